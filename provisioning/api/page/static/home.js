// The registrations that the caller may see, and what there is to choose from for the next one.
import * as api from "./api.js";
import { daysUntil, distance, fill, h, moment, picture, tell } from "./dom.js";
import { badge, chooser, isWaiting, kindOf, linkButton, view } from "./parts.js";
import { words } from "./words.js";

const SOON = 30;
const FILTERS = {
  all: () => true,
  problems: (each) => each.findings.length > 0 || each.status === "failed" || each.operation.status === "failed",
  expiring: (each) => each.secret !== null && daysUntil(each.secret.expiresAt) < SOON,
};

/** #/new: the five things to choose from. */
export function choose() {
  view(words.home.chooseTitle, h("p.lead", {}, words.home.chooseText), chooser());
}

/** #/: what is registered; for a newcomer the five things at once. */
export async function home({ me }) {
  const registrations = await api.all();
  if (registrations.length === 0 && !me.roles.includes("Registrations.Approve")) {
    view(words.home.firstTitle, h("p.lead", {}, words.home.firstText), chooser());
    return;
  }
  const search = h("input", { id: "search", type: "search", placeholder: words.home.searchHint, autocomplete: "off" });
  const filter = h("select", { id: "filter" }, ["all", "problems", "expiring", "deleted"].map((name) => h("option", { value: name }, words.home[name])));
  const results = h("div");
  let gone = null;
  const show = async () => {
    if (filter.value === "deleted") gone ??= await api.all({ status: "deleted" });
    const among = filter.value === "deleted" ? gone : registrations.filter(FILTERS[filter.value]);
    const wanted = search.value.trim().toLowerCase();
    const found = among.filter((each) => matches(each, wanted)).sort((a, b) => a.displayName.localeCompare(b.displayName));
    fill(results, h("p.count", {}, words.home.count(found.length)), found.length ? table(found) : h("p.empty", {}, words.home.none));
    tell(words.home.count(found.length));
  };
  search.addEventListener("input", show);
  filter.addEventListener("change", show);
  view(
    words.home.title,
    waiting(registrations, me),
    h("div.tools", {},
      h("div.field", {}, h("label", { for: "search" }, words.home.search), search),
      h("div.field", {}, h("label", { for: "filter" }, words.home.show), filter),
      linkButton("#/new", words.home.new, "main")),
    results,
  );
  await show();
}

function waiting(registrations, me) {
  const waits = registrations.filter((each) => isWaiting(each)).length;
  if (!waits || !me.roles.includes("Registrations.Approve")) return null;
  return h("p.note.wait", {}, words.home.waiting(waits), " ", h("a", { href: "#/approvals" }, words.home.look));
}

function matches(registration, wanted) {
  const { displayName, clientId, fhirServerUrl, resource, registrationId } = registration;
  return [displayName, clientId, fhirServerUrl, resource, registrationId].some((text) => text?.toLowerCase().includes(wanted));
}

function table(registrations) {
  const { columns } = words.home;
  return h("table.list", {},
    h("thead", {}, h("tr", {}, Object.values(columns).map((name) => h("th", { scope: "col" }, name)))),
    h("tbody", {}, registrations.map(row)));
}

function row(registration) {
  const kind = kindOf(registration);
  const { columns } = words.home;
  const cell = (name, ...content) => h("td", { "data-name": name }, ...content);
  return h("tr", {},
    h("th", { scope: "row" }, h("a", { href: `#/r/${registration.registrationId}` }, registration.displayName),
      h("span.under", {}, registration.fhirServerUrl ?? registration.resource)),
    cell(columns.type, h("span.kind", {}, picture(kind, "small-picture"), words.types[kind]?.title ?? registration.clientType)),
    cell(columns.status, badge(registration),
      registration.findings.length > 0 && h("span.under", {}, words.home.findings(registration.findings.length))),
    cell(columns.ends, ends(registration)),
    cell(columns.changed, moment(registration.updatedAt, { time: false })));
}

function ends({ secret }) {
  if (!secret) return words.home.noSecret;
  const soon = daysUntil(secret.expiresAt) < SOON;
  return h(`span${soon ? ".soon" : ""}`, { title: secret.expiresAt }, distance(secret.expiresAt));
}
