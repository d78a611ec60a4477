// The registrations that the caller may see, and what there is to choose from for the next one.
import * as api from "./api.js";
import { daysUntil, distance, fill, h, moment, picture, tell } from "./dom.js";
import { badge, chooser, kindOf, linkButton, view } from "./parts.js";
import { words } from "./words.js";

const SOON = 30;
const PAUSE = 300;
const AT_ONCE = 50;
const SHORTEST = 2;
const soon = () => new Date(Date.now() + SOON * 86_400_000).toISOString();
const FILTERS = {
  all: () => ({}), mine: () => ({ mine: "true" }), problems: () => ({ hasFindings: "true" }),
  expiring: () => ({ expiringBefore: soon() }), failed: () => ({ status: "failed" }), deleted: () => ({ status: "deleted" }),
};

/** #/new: the five things to choose from. */
export function choose() {
  view(words.home.chooseTitle, h("p.lead", {}, words.home.chooseText), chooser());
}

/** #/, or #/?q=…&show=…: what is registered; for a newcomer the five things at once. */
export async function home({ me, signal }) {
  const asked = new URLSearchParams(location.hash.split("?")[1] ?? "");
  const search = h("input", { id: "search", type: "search", placeholder: words.home.searchHint, autocomplete: "off", value: asked.get("q") ?? "" });
  const filter = h("select", { id: "filter" }, Object.keys(FILTERS).map((name) => h("option", { value: name }, words.home[name])));
  filter.value = asked.get("show") in FILTERS ? asked.get("show") : "all";
  const results = h("div");
  const first = await found(search, filter, null);
  if (!first.value.length && !first.continuationToken && !asked.size && !me.roles.includes("Registrations.Approve")) {
    view(words.home.firstTitle, h("p.lead", {}, words.home.firstText), chooser());
    return;
  }
  let timer = null;
  const again = () => {
    clearTimeout(timer);
    timer = setTimeout(async () => {
      const told = new URLSearchParams([["q", search.value.trim()], ["show", filter.value === "all" ? "" : filter.value]].filter(([, value]) => value));
      history.replaceState(null, "", told.size ? `#/?${told}` : "#/");
      const wanted = `${search.value} ${filter.value}`;
      const page = await found(search, filter, null);
      if (signal.aborted || wanted !== `${search.value} ${filter.value}`) return;
      show(results, page, search, filter);
      tell(words.home.count(page.value.length, Boolean(page.continuationToken)));
    }, PAUSE);
  };
  signal.addEventListener("abort", () => clearTimeout(timer));
  search.addEventListener("input", again);
  filter.addEventListener("change", again);
  const waiting = h("div");
  view(
    words.home.title,
    waiting,
    h("div.tools", {},
      h("div.field", {}, h("label", { for: "search" }, words.home.search), search),
      h("div.field", {}, h("label", { for: "filter" }, words.home.show), filter),
      linkButton("#/new", words.home.new, "main")),
    results,
  );
  show(results, first, search, filter);
  await tellWaiting(waiting, signal);
}

/** What waits for this caller is looked for among all that there is: nobody waits for it to see the list. */
async function tellWaiting(place, signal) {
  const { value } = await api.list({ awaitingMyApproval: "true", top: "200" });
  if (signal.aborted || !value.length) return;
  fill(place, h("p.note.wait", {}, words.home.waiting(value.length), " ", h("a", { href: "#/approvals" }, words.home.look)));
}

/** So many that a screen is full; a page of the API may have fewer and still go on. */
async function found(search, filter, token) {
  const text = search.value.trim();
  const query = { ...FILTERS[filter.value](), ...(text.length >= SHORTEST ? { q: text } : {}), top: String(AT_ONCE) };
  const value = [];
  let next = token;
  do {
    const page = await api.list(next ? { ...query, continuationToken: next } : query);
    value.push(...page.value);
    next = page.continuationToken;
  } while (next && value.length < AT_ONCE);
  return { value, continuationToken: next };
}

function show(results, page, search, filter) {
  const sorted = [...page.value].sort((a, b) => a.displayName.localeCompare(b.displayName));
  const more = h("button", { type: "button" }, words.home.more);
  more.addEventListener("click", async () => {
    const next = await found(search, filter, page.continuationToken);
    show(results, { value: [...page.value, ...next.value], continuationToken: next.continuationToken }, search, filter);
  });
  fill(results,
    h("p.count", {}, words.home.count(sorted.length, Boolean(page.continuationToken))),
    sorted.length ? table(sorted) : h("p.empty", {}, words.home.none),
    page.continuationToken && h("p.buttons", {}, more));
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
