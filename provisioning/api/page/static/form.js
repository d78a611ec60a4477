// The form of a new registration, and that of a change: checked by a dry run while somebody types.
import * as api from "./api.js";
import { fill, h, note, tell } from "./dom.js";
import * as draft from "./draft.js";
import { application } from "./entra.js";
import { FIRST, input } from "./fields.js";
import { offeredBy } from "./offered.js";
import { problem, view } from "./parts.js";
import { words } from "./words.js";

const PAUSE = 350;
const CLIENT_TYPES = { spa: "public", native: "public", confidential: "confidential", service: "service", resource: "resource" };
let described = null;

async function fieldsOf(clientType) {
  described ??= await api.fieldsOfForms();
  return described[clientType];
}

/** What both forms are made of: inputs by name, which of them were touched, and what is wrong with each. */
class Inputs {
  constructor(names, make) {
    this.touched = new Set();
    this.all = new Map(names.map((name) => [name, make(name, () => this.touched.add(name))]));
  }

  values() {
    return Object.fromEntries([...this.all].map(([name, each]) => [name, each.value()]).filter(([, value]) => value !== undefined));
  }

  nodes(names) {
    return names.filter((name) => this.all.has(name)).map((name) => this.all.get(name).node);
  }

  /** Show what is wrong beside each input; returns what belongs to none of them. */
  show(faults, everything) {
    const placed = faults.map((each) => {
      const [name, ...rest] = each.pointer.replace(/^#\/?/, "").split("/");
      return { ...each, name, rest };
    });
    for (const [name, each] of this.all) {
      const own = placed.filter((fault) => fault.name === name);
      each.faults(everything || this.touched.has(name) ? own.filter((fault) => everything || fault.code !== "required") : []);
    }
    return placed.filter((fault) => !this.all.has(fault.name));
  }

  focusFirst(faults) {
    const names = faults.map((each) => each.pointer.replace(/^#\/?/, "").split("/")[0]);
    for (const [name, each] of this.all) {
      if (names.includes(name)) {
        each.focus();
        return;
      }
    }
  }
}

/** Run something once somebody has paused, and stop what it was running before. */
function paused(run, outer) {
  let timer = null;
  let running = null;
  outer.addEventListener("abort", () => { clearTimeout(timer); running?.abort(); });
  return (wait = PAUSE) => {
    clearTimeout(timer);
    running?.abort();
    running = new AbortController();
    const { signal } = running;
    timer = setTimeout(() => run(signal), wait);
  };
}

function needed(faults) {
  const label = (each) => words.fields[each.pointer.replace(/^#\/?/, "").split("/")[0]]?.[0] ?? each.pointer;
  const missing = faults.filter((each) => each.code === "required");
  const wrong = faults.filter((each) => each.code !== "required");
  const listed = (title, found) => found.length > 0 && [h("h3", {}, title), h("ul", {}, [...new Set(found.map(label))].map((each) => h("li", {}, each)))];
  return [listed(words.form.stillNeeded, missing), listed(words.form.toMend, wrong)];
}

/** #/new/{kind} */
export async function create({ me, signal, parts: [kind] }) {
  const clientType = CLIENT_TYPES[kind];
  if (!clientType) {
    view(words.problem.noPage, h("p", {}, h("a", { href: "#/new" }, words.home.chooseTitle)));
    return;
  }
  const [about, servers] = await Promise.all([fieldsOf(clientType), clientType === "resource" ? [] : registeredServers()]);
  const kept = draft.read(me, kind);
  const names = Object.keys(about.fields).filter((name) => name !== "platform");
  const side = h("aside.side", { "aria-labelledby": "preview-title" });
  const sideBody = h("div", {}, h("p.hint", {}, words.form.previewWaiting));
  const general = h("div");
  let everything = false;
  let offeredFor = null;
  const request = () => ({ clientType, ...(clientType === "public" ? { platform: kind } : {}), ...inputs.values() });
  const offer = async (resource) => {
    if (offeredFor === resource) return;
    offeredFor = resource;
    const names = resource ? await offeredBy(resource, clientType, me, signal) : null;
    if (names && offeredFor === resource) {
      (inputs.all.get("scopes") ?? inputs.all.get("appRoles")).offer(names);
      check(0);
    }
  };
  const check = paused(async (stopped) => {
    const asked = request();
    if (clientType !== "resource") offer(asked.resource).catch(() => {});
    fill(state, words.form.checking);
    try {
      const seen = await api.preview(asked, stopped);
      inputs.show([], everything);
      fill(general);
      fill(state, words.form.ready);
      fill(sideBody, previewOf(seen));
    } catch (error) {
      if (stopped.aborted || signal.aborted) return;
      fill(state);
      if (!(error instanceof api.Refused) || error.status === 401) throw error;
      const left = inputs.show(error.errors, everything);
      fill(general, (left.length > 0 || error.errors.length === 0) && error.status !== 400 && problem(error));
      fill(sideBody, h("p.hint", {}, words.form.previewWaiting), needed(error.errors));
    }
  }, signal);
  const inputs = new Inputs(names, (name, touch) => input(name, { ...about, kind, me, servers }, {
    value: kept.values[name],
    changed: () => {
      touch();
      draft.keep(me, kind, { ...kept, values: inputs.values() });
      check();
    },
  }));
  for (const name of Object.keys(kept.values)) inputs.touched.add(name);
  const state = h("p.state", { role: "status" });
  const button = h("button.main", { type: "submit" }, words.form.submit);
  const send = async (event) => {
    event.preventDefault();
    everything = true;
    button.disabled = true;
    button.textContent = words.form.submitting;
    try {
      const { body } = await api.submit(request(), kept.key);
      draft.forget(me, kind);
      location.hash = `#/r/${body.registrationId}`;
    } catch (error) {
      if (!(error instanceof api.Refused) || error.status === 401) throw error;
      inputs.show(error.errors, true);
      fill(general, problem(error));
      inputs.focusFirst(error.errors);
      tell(error.message);
    } finally {
      button.disabled = false;
      button.textContent = words.form.submit;
    }
  };
  const discard = () => {
    draft.forget(me, kind);
    dispatchEvent(new HashChangeEvent("hashchange"));
  };
  const rest = names.filter((name) => !FIRST.includes(name));
  fill(side, h("h2", { id: "preview-title" }, words.form.previewTitle), sideBody);
  view(
    words.form.title(words.types[kind].title),
    h("p.lead", {}, words.types[kind].sentence, " ", h("a", { href: "#/new" }, words.form.other)),
    h("div.two", {},
      h("form", { onsubmit: send, novalidate: true },
        inputs.nodes(FIRST),
        h("details.more", {}, h("summary", {}, words.form.more), inputs.nodes(rest)),
        general,
        h("div.send", {}, button, h("button.plain", { type: "button", onclick: discard }, words.form.discard), state),
        h("p.hint", {}, words.form.draftKept)),
      side),
  );
  check(0);
}

async function registeredServers() {
  try {
    const found = await api.all({ clientType: "resource" }, 200);
    return found.filter((each) => each.status === "active").map((each) => [each.fhirServerUrl, each.displayName]);
  } catch {
    return [];
  }
}

/** Who has to agree first, if anybody. */
function waits({ approvalsNeeded: needed }) {
  return needed.length > 0 && note("wait", h("h3", {}, words.form.approvals),
    h("ul", {}, needed.map((each) => h("li", {}, words.form.approvalOf(each.rule)))));
}

function previewOf(seen) {
  const listed = (title, found, show) => found.length > 0 && [h("h3", {}, title), h("ul", {}, found.map((each) => h("li", {}, show(each))))];
  return [
    application(seen.application, seen.request),
    waits(seen),
    seen.warnings.length > 0 && note("warn", listed(words.form.warnings, seen.warnings, (each) => each.message)),
    listed(words.form.after, seen.nextSteps, (each) => [h("code", {}, each.code), ` · ${each.who}`]),
  ];
}

/** What of an object is different. */
function parts(now, before) {
  return Object.fromEntries(Object.entries(now).filter(([name, value]) => JSON.stringify(value) !== JSON.stringify(before[name])));
}

/** #/r/{id}/change */
export async function alter({ me, signal, parts: [id] }) {
  const { body: registration, etag } = await api.show(id, { signal });
  const about = await fieldsOf(registration.clientType);
  const kind = registration.clientType === "public" ? registration.platform : registration.clientType;
  const servers = [];
  // In place of the default scope, what it asks for.
  const had = { ...registration, scopes: registration.scopes ?? registration.grants.map((each) => each.permission) };
  const names = about.changeable.filter((name) => name !== "secretLifetime" || (registration.credential?.type ?? "secret") === "secret");
  const side = h("div");
  const general = h("div");
  const changes = () => {
    const now = inputs.values();
    const different = names.filter((name) => JSON.stringify(now[name]) !== JSON.stringify(first[name]));
    return Object.fromEntries(different.map((name) => [name, name === "credential" ? parts(now[name], first[name]) : now[name] ?? null]));
  };
  const button = h("button.main", { type: "submit", disabled: true }, words.act.save);
  const nothing = () => fill(side, h("p.hint", {}, words.act.nothing));
  const check = paused(async (stopped) => {
    const asked = changes();
    button.disabled = Object.keys(asked).length === 0;
    if (button.disabled) {
      inputs.show([], true);
      fill(general);
      nothing();
      return;
    }
    try {
      const { body } = await api.change(id, asked, { etag, dryRun: true, signal: stopped });
      inputs.show([], true);
      fill(general);
      fill(side, differences(body.changes), waits(body), consequences(body.warnings));
    } catch (error) {
      if (stopped.aborted || signal.aborted) return;
      if (!(error instanceof api.Refused) || error.status === 401) throw error;
      const left = inputs.show(error.errors, true);
      fill(general, (left.length > 0 || error.errors.length === 0) && told(error));
      fill(side, needed(error.errors));
    }
  }, signal);
  const inputs = new Inputs(names, (name, touch) => input(name, { ...about, kind, me, servers }, {
    value: had[name],
    changed: () => { touch(); check(); },
  }));
  const first = inputs.values();
  const permissions = inputs.all.get("scopes") ?? inputs.all.get("appRoles");
  if (registration.resource && permissions) {
    offeredBy(registration.resource, registration.clientType, me, signal)
      .then((offered) => { if (offered) permissions.offer(offered); })
      .catch(() => {});
  }
  const send = async (event) => {
    event.preventDefault();
    try {
      await api.change(id, changes(), { etag });
      location.hash = `#/r/${id}`;
    } catch (error) {
      if (!(error instanceof api.Refused) || error.status === 401) throw error;
      inputs.show(error.errors, true);
      fill(general, told(error));
      inputs.focusFirst(error.errors);
      tell(error.message);
    }
  };
  nothing();
  view(
    words.act.changeTitle(registration.displayName),
    h("p.lead", {}, words.act.changeText),
    h("div.two", {},
      h("form", { onsubmit: send, novalidate: true }, inputs.nodes(names), general,
        h("div.send", {}, button, h("a", { href: `#/r/${id}` }, words.cancel))),
      h("aside.side", { "aria-labelledby": "difference" }, h("h2", { id: "difference" }, words.act.difference), side)),
  );
}

const told = (error) => (error.status === 412 ? note("bad", words.act.changedMeanwhile) : problem(error));

/** Each field that will be different: what it is, and what it will be. */
export function differences(changes) {
  const lines = (value) => (Array.isArray(value) ? value : [value === null || value === undefined ? words.act.empty : String(value)]);
  return h("dl.differences", {}, changes.map(({ field, from, to }) => {
    const [before, after] = [lines(from), lines(to)];
    const line = (kind, word, text) => h(`li.${kind}`, {}, h("span.unseen", {}, `${word}: `), text);
    return h("div", {}, h("dt", {}, words.fields[field]?.[0] ?? field), h("dd", {}, h("ul.plain", {},
      before.filter((each) => !after.includes(each)).map((each) => line("gone", words.act.from, each)),
      after.map((each) => (before.includes(each) ? h("li", {}, each) : line("new", words.act.to, each))))));
  }));
}

/** What follows for those who use it, in words. */
export function consequences(warnings) {
  return warnings.length > 0 && note("warn", h("h2", {}, words.act.consequences), h("ul", {}, warnings.map((each) => h("li", {}, each.message))));
}
