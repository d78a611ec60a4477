// One registration: what it is, what becomes of it, what is left to do, and everything to paste.
import * as api from "./api.js";
import { callersOf } from "./callers.js";
import { granted, waitsForOwner } from "./clients.js";
import { add, copyable, block, distance, fill, h, moment, note, pairs, tell } from "./dom.js";
import { pasteable } from "./paste.js";
import { differences } from "./form.js";
import { badge, isPending, isWaiting, kindLine, linkButton, stateOf, view } from "./parts.js";
import { words } from "./words.js";

const text = words.detail;
const LOOKS = 300;

/** #/r/{id} */
export async function detail({ me, signal, parts: [id] }) {
  const { body } = await api.show(id, { signal });
  const place = h("div");
  view(body.displayName, place);
  fill(place, await whole(body, me));
  if (isPending(body)) follow(id, body, place, me, signal);
}

/** Look again until the operation has ended; what is shown stays where it is, but for the progress. */
async function follow(id, before, place, me, signal) {
  const since = new Date(before.operation.requestedAt);
  const what = words.operations[before.operation.type] ?? before.operation.type;
  const tick = setInterval(() => {
    const seconds = Math.max(0, Math.round((Date.now() - since) / 1000));
    const line = place.querySelector(".progress-text");
    if (line) line.textContent = text.progressText(what, seconds);
  }, 1000);
  signal.addEventListener("abort", () => clearInterval(tick));
  let wait = 0;
  for (let looks = 0; looks < LOOKS && !signal.aborted; looks += 1) {
    await new Promise((done) => { setTimeout(done, wait * 1000); });
    if (signal.aborted) return;
    let seen;
    try {
      seen = await api.awaited(id, signal);
    } catch (error) {
      if (error instanceof api.Refused && error.status < 500) throw error;
      continue;
    }
    wait = seen.retryAfter ?? 2;
    const reason = place.querySelector(".progress-reason");
    if (isPending(seen.body) && seen.body.secret?.keyId === before.secret?.keyId) {
      if (reason) fill(reason, waits(seen.body));
      continue;
    }
    if (isPending(seen.body)) {
      // A revocation goes on until what was revoked is gone; the new secret is there before.
      before = seen.body;
      fill(place, await whole(before, me));
      continue;
    }
    clearInterval(tick);
    fill(place, await whole(seen.body, me));
    tell(`${seen.body.displayName}: ${words.status[stateOf(seen.body)]}`);
    return;
  }
  clearInterval(tick);
  const line = place.querySelector(".progress-text");
  if (line && !signal.aborted) line.textContent = text.progressStopped;
}

function waits({ operation }) {
  return operation.lastError ? `${text.waitsBecause}${operation.lastError.message}` : "";
}

async function whole(registration, me) {
  const callers = registration.clientType === "resource" ? await callersOf(registration) : null;
  return [
    h("div.head", {}, kindLine(registration), badge(registration),
      registration.clientId && h("p", {}, `${text.clientId} `, copyable(registration.clientId, text.clientId))),
    progress(registration),
    approval(registration, me),
    failure(registration),
    listed(text.findings, text.findingsText, registration.findings, "bad"),
    listed(text.warnings, null, registration.warnings, "warn"),
    steps(registration),
    registration.status === "active" && section(text.paste, pasteable(registration)),
    secret(registration),
    registration.grants?.length > 0 && section(text.grants, granted(registration)),
    callers && section(text.callers, callersList(registration, callers)),
    section(text.facts, facts(registration)),
    actions(registration),
  ];
}

function section(title, ...content) {
  return h("section", {}, h("h2", {}, title), ...content);
}

function progress(registration) {
  if (!isPending(registration)) return registration.status === "deleted" && note("wait", text.gone);
  const what = words.operations[registration.operation.type] ?? registration.operation.type;
  return h("div.progress", {}, h("span.bar-of-progress", { "aria-hidden": "true" }),
    h("p.progress-text", {}, text.progressText(what, 0)), h("p.progress-reason.hint", {}, waits(registration)));
}

function approval(registration, me) {
  const { approval: asked } = registration;
  if (!asked) return null;
  if (!isWaiting(registration)) {
    if (asked.outcome !== "denied" || asked.operationId !== registration.operation.id) return null;
    return note("bad", h("h2", {}, text.denied), h("p", {}, asked.reason ?? ""));
  }
  const who = asked.who.charAt(0).toUpperCase() + asked.who.slice(1);
  return note("wait", h("h2", {}, text.approvalTitle), h("p", {}, text.approvalText(who, asked.rules.join(", "))),
    asked.changes && differences(asked.changes),
    h("p.hint", {}, `${text.lapses} ${distance(asked.lapsesAt)}.`),
    me.kind !== "key" && h("p", {}, h("a", { href: `#/r/${registration.registrationId}/decide` }, words.approvals.title)));
}

function failure({ status, operation }) {
  if (!operation.failure || operation.status === "pending") return null;
  const { message, remedy, code, graphRequestId } = operation.failure;
  return note("bad",
    h("h2", {}, text.failed), status === "active" && h("p", {}, text.opFailed(words.operations[operation.type] ?? operation.type)),
    h("p", {}, message), h("p", {}, h("strong", {}, `${text.remedy}: `), remedy),
    h("p.small", {}, h("code", {}, code), graphRequestId && [" · ", h("code", {}, graphRequestId)]));
}

function listed(title, said, found, kind) {
  if (!found.length) return null;
  return note(kind, h("h2", {}, title), said && h("p", {}, said),
    h("ul", {}, found.map((each) => h("li", {}, each.message, each.remedy && ` ${each.remedy}`))));
}

function steps({ nextSteps, status }) {
  if (status !== "active") return null;
  if (!nextSteps.length) return section(text.steps, h("p", {}, text.stepsNone));
  return section(text.steps, h("p.hint", {}, text.stepsText),
    h("ol.steps", {}, nextSteps.map((each) => h("li", {}, h("h3", {}, text.step(each.who)), block(each.command, text.command),
      h("p.small", {}, h("code", {}, each.code), each.url && " · ", each.url && h("a", { href: each.url, rel: "noreferrer noopener", target: "_blank" }, text.portal))))));
}

function secret(registration) {
  const { secret: kept, status, registrationId } = registration;
  if (!kept) return null;
  const ends = [moment(kept.expiresAt), ` (${distance(kept.expiresAt)})`];
  const go = (verb, label, kind) => linkButton(`#/r/${registrationId}/${verb}`, label, kind);
  return section(text.secret, h("p.hint", {}, text.secretText),
    pairs([text.secretId, copyable(kept.id, text.secretId)], [text.secretEnds, ends],
      [text.secretRotates, kept.rotatesAt ? moment(kept.rotatesAt) : text.secretManual], [text.keyId, h("code", {}, kept.keyId)]),
    status === "active" && h("p.buttons", {}, !isPending(registration) && go("rotate", text.rotate), go("revoke", text.revoke, "danger")));
}

function callersList(server, callers) {
  if (!callers.length) return h("p", {}, text.callersNone);
  const waiting = callers.filter(waitsForOwner).length;
  const all = callers.some((each) => each.grants?.length);
  return [waiting > 0 && note("wait", words.clients.waiting(waiting)), !all && h("p.hint", {}, text.callersMine), h("ul.rows", {}, callers.map((each) => h("li", {},
    h("a", { href: each.grants?.length ? `#/r/${server.registrationId}/client/${each.registrationId}` : `#/r/${each.registrationId}` }, each.displayName),
    badge(each),
    each.grants?.length ? granted(each) : h("span.under", {}, (each.appRoles ?? each.scopes ?? []).join(", ")))))];
}

const several = (values) => (values?.length ? h("ul.plain", {}, values.map((each) => h("li", {}, h("code", {}, each)))) : null);
const code = (value) => (value ? h("code", {}, value) : null);

function facts(each) {
  return pairs(
    [text.description, each.description], [text.resource, code(each.fhirServerUrl ?? each.resource)],
    [text.redirectUris, several(each.redirectUris)], [text.scopes, several(each.scopes)], [text.appRoles, several(each.appRoles)],
    [text.owner, code(each.owner)], [text.contact, each.contact], [text.tenantId, code(each.tenantId)],
    [text.objectId, code(each.applicationObjectId)], [text.principal, code(each.servicePrincipalId)],
    [text.registrationId, code(each.registrationId)], [text.created, moment(each.createdAt)], [text.used, moment(each.usage.lastUsedAt)]);
}

function actions(registration) {
  const { registrationId, status } = registration;
  const at = (verb) => `#/r/${registrationId}/${verb}`;
  const buttons = h("p.buttons", {});
  if (status === "active" && !isPending(registration)) add(buttons, linkButton(at("change"), text.change));
  if (status === "failed") add(buttons, linkButton(at("retry"), text.retry));
  add(buttons, linkButton(at("events"), text.events));
  if (status === "active" || status === "failed") add(buttons, linkButton(at("delete"), text.remove, "danger"));
  return section(text.actions, buttons);
}
