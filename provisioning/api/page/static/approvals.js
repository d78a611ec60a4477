// Requests that wait for somebody to agree, and the decision about one.
import * as api from "./api.js";
import { distance, fill, h, moment, note, pairs } from "./dom.js";
import { differences } from "./form.js";
import { isWaiting, kindLine, linkButton, problem, view } from "./parts.js";
import { words } from "./words.js";

const text = words.approvals;

/** #/approvals */
export async function approvals() {
  const waiting = await api.all({ awaitingMyApproval: "true" });
  view(text.title, waiting.length ? h("ul.cards", {}, waiting.map(card)) : [h("p.lead", {}, text.none), h("p.hint", {}, text.noneText)]);
}

function card(registration) {
  return h("li.card", {}, kindLine(registration),
    h("h2", {}, h("a", { href: `#/r/${registration.registrationId}/decide` }, registration.displayName)),
    h("p", {}, registration.fhirServerUrl ?? registration.resource),
    h("p.hint", {}, `${text.requested} `, moment(registration.operation.requestedAt), `. ${words.detail.lapses} ${distance(registration.approval.lapsesAt)}.`));
}

/** #/r/{id}/decide */
export async function decide({ signal, parts: [id] }) {
  const { body: registration, etag } = await api.show(id, { signal });
  if (!isWaiting(registration)) {
    view(registration.displayName, h("p.lead", {}, text.decided), h("p", {}, linkButton(`#/r/${id}`, words.back)));
    return;
  }
  const general = h("div");
  const reason = h("textarea", { id: "reason", rows: "3", maxlength: "1024", "aria-describedby": "reason-hint" });
  const go = (verb) => async (event) => {
    event.preventDefault();
    const decision = { digest: registration.approval.digest, ...(reason.value.trim() ? { reason: reason.value.trim() } : {}) };
    try {
      await api.decide(id, verb, decision, { etag });
      location.hash = `#/r/${id}`;
    } catch (error) {
      if (!(error instanceof api.Refused) || error.status === 401) throw error;
      fill(general, error.status === 412 ? note("bad", words.act.changedMeanwhile) : problem(error));
    }
  };
  view(
    registration.displayName,
    kindLine(registration),
    registration.approval.changes
      ? h("section", {}, h("h2", {}, words.act.difference), differences(registration.approval.changes))
      : h("section", {}, h("h2", {}, text.asks), asked(registration)),
    h("section", {}, h("h2", {}, text.rules), h("ul", {}, registration.approval.rules.map((each) => h("li", {}, h("code", {}, each))))),
    h("form.narrow", { onsubmit: go("approve") },
      h("p.hint", {}, text.bound),
      h("div.field", {}, h("label", { for: "reason" }, text.reason), h("p.hint", { id: "reason-hint" }, text.reasonHint), reason),
      general,
      h("div.send", {}, h("button.main", { type: "submit" }, text.approve), h("button.danger", { type: "button", onclick: go("deny") }, text.deny),
        h("a", { href: `#/r/${id}` }, words.cancel))),
  );
}

function asked(registration) {
  const codes = (values) => (values?.length ? h("ul.plain", {}, values.map((each) => h("li", {}, h("code", {}, each)))) : null);
  const { detail } = words;
  return pairs(
    [detail.resource, registration.fhirServerUrl ?? registration.resource], [detail.description, registration.description],
    [detail.redirectUris, codes(registration.redirectUris)], [detail.scopes, codes(registration.scopes)],
    [detail.appRoles, codes(registration.appRoles)], [detail.owner, h("code", {}, registration.owner)],
    [detail.contact, registration.contact], [text.requested, moment(registration.operation.requestedAt)]);
}
