// Scopes and app roles are ticked in a table: context, resource, letters. Nobody types the name of a SMART scope.
import { fill, h } from "./dom.js";
import { fresh, lines, mark } from "./inputs.js";
import { words } from "./words.js";

const SMART = /^(patient|user|system)\.([A-Za-z*]+)\.([a-z*]+)(\?.*)?$/;
const LETTERS = ["c", "r", "u", "d", "s"];
const MEANS = { read: "rs", write: "cud", all: "cruds", "*": "cruds" };
const OPENID = ["openid", "profile", "email", "offline_access"];
const TYPES = (
  "AllergyIntolerance Appointment Binary CarePlan CareTeam Condition Coverage Device DiagnosticReport DocumentReference " +
  "Encounter Goal Immunization List Location Medication MedicationRequest Observation Organization Patient Practitioner " +
  "PractitionerRole Procedure Questionnaire QuestionnaireResponse RelatedPerson Schedule ServiceRequest Slot Specimen Task"
).split(" ");

/** A SMART scope taken apart, and null for any other name. */
export function taken(name) {
  const found = SMART.exec(name);
  if (!found) return null;
  const [, context, resource, letters, search] = found;
  return { name, context, resource, letters: MEANS[letters] ?? letters, search: search ?? "" };
}

const said = (name) => words.permissions.known[name] ?? words.permissions.roles[name] ?? "";
const onResource = (each) => (each.resource === "all" || each.resource === "*" ? words.permissions.all : each.resource) + each.search;

function group(name, extra) {
  const reason = h("p.reason");
  const [label] = words.fields[name];
  const title = extra ? words.permissions.defines[name] : label;
  const body = h("div.permissions");
  const node = h("fieldset.field", {}, h("legend", {}, title), extra, body, reason);
  return { node, body, reason };
}

/** What a client asks for, of what its server offers. `offer` says what that is once it is known. */
export function chosen(name, { value, changed, always = [] }) {
  const picked = new Set(value ?? []);
  const { node, body, reason } = group(name);
  let known = null;
  const tick = (each) => {
    const box = h("input", { type: "checkbox", "aria-label": words.permissions.pick(each) });
    box.checked = picked.has(each);
    box.addEventListener("change", () => {
      if (box.checked) picked.add(each);
      else picked.delete(each);
      changed();
    });
    return box;
  };
  const draw = () => {
    const names = [...new Set([...(known ?? []), ...picked])].filter((each) => !OPENID.includes(each));
    const smart = names.map(taken).filter(Boolean);
    const others = [...names.filter((each) => !taken(each)), ...always];
    fill(body,
      known === null && h("p.hint", {}, words.permissions.nameServerFirst),
      known !== null && !names.length && h("p.hint", {}, words.permissions.offersNothing),
      ["patient", "user", "system"].map((context) => table(context, smart.filter((each) => each.context === context), tick)),
      (known !== null || others.some((each) => picked.has(each))) && others.length > 0 && list(others, tick, smart.length > 0));
  };
  draw();
  return {
    node,
    value: () => [...picked],
    faults: (faults) => mark(null, reason, faults),
    focus: () => (body.querySelector("input") ?? node).focus(),
    offer: (names) => {
      if (known !== null && known.join() === names.join()) return;
      known = names;
      for (const each of picked) if (!names.includes(each) && !always.includes(each)) picked.delete(each);
      draw();
    },
  };
}

function table(context, scopes, tick) {
  if (!scopes.length) return null;
  const { contexts, contextHints, letters, resource } = words.permissions;
  const sorted = [...scopes].sort((a, b) => (onResource(a) > onResource(b) ? 1 : -1));
  return h("fieldset.context", {},
    h("legend", {}, contexts[context]), h("p.hint", {}, contextHints[context]),
    h("div.scroll", {}, h("table.letters", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, resource), LETTERS.map((each) => h("th", { scope: "col" }, letters[each])))),
      h("tbody", {}, sorted.map((each) => h("tr", {},
        h("th", { scope: "row" }, h("label", {}, tick(each.name), h("span", {}, onResource(each), h("code.under", {}, each.name)))),
        LETTERS.map((letter) => h("td", {}, each.letters.includes(letter)
          ? h("span.dot", {}, h("span.unseen", {}, words.form.yes)) : ""))))))));
}

function list(names, tick, titled) {
  return h(titled ? "fieldset.context" : "div.context", {}, titled && h("legend", {}, words.permissions.others),
    h("ul.ticks", {}, names.map((each) => h("li", {}, h("label", {}, tick(each),
      h("span", {}, said(each) || each, said(each) && h("code.under", {}, each)))))));
}

/** The scopes that a server offers: ticked in a table, from which their names are made. */
export function defined(name, { value, changed, general }) {
  const given = value ?? [];
  const smart = given.map(taken).filter((each) => each && !each.search);
  const picked = new Set(given.filter((each) => general.includes(each)));
  const cells = new Map();
  const place = (context, resource) => `${context}.${resource}`;
  for (const each of smart) cells.set(place(each.context, each.resource), new Set(each.letters));
  const resources = [...new Set(["all", "Patient", "Observation", ...smart.map((each) => each.resource)])];
  const others = lines(name, { value: given.filter((each) => !general.includes(each) && !smart.some((one) => one.name === each)), changed, type: "text", hint: "" });
  others.node.querySelector("legend").textContent = words.permissions.free;
  const { node, body, reason } = group(name, h("p.hint", {}, words.permissions.defineHint));
  const making = h("p.making", { role: "status" });
  const names = () => {
    const made = [...cells].filter(([, letters]) => letters.size)
      .map(([at, letters]) => `${at}.${LETTERS.filter((each) => letters.has(each)).join("")}`);
    return [...general.filter((each) => picked.has(each)), ...made, ...(others.value() ?? [])];
  };
  const ticked = () => {
    making.textContent = words.permissions.making(names());
    changed();
  };
  const cell = (context, resource, letter) => {
    const at = place(context, resource);
    const box = h("input", { type: "checkbox", "aria-label": `${words.permissions.contexts[context]}, ${resource}: ${words.permissions.letters[letter]}` });
    box.checked = cells.get(at)?.has(letter) ?? false;
    box.addEventListener("change", () => {
      if (!cells.has(at)) cells.set(at, new Set());
      if (box.checked) cells.get(at).add(letter);
      else cells.get(at).delete(letter);
      ticked();
    });
    return h("td", {}, box);
  };
  const draw = () => {
    const id = fresh("resource-type");
    const type = h("input", { id, list: `${id}-list`, autocomplete: "off", spellcheck: "false" });
    const add = () => {
      if (type.value.trim() && !resources.includes(type.value.trim())) resources.push(type.value.trim());
      draw();
      body.querySelector(`#${CSS.escape(id)}`)?.focus();
    };
    fill(body,
      h("ul.ticks", {}, general.map((each) => {
        const box = h("input", { type: "checkbox" });
        box.checked = picked.has(each);
        box.addEventListener("change", () => {
          if (box.checked) picked.add(each);
          else picked.delete(each);
          ticked();
        });
        return h("li", {}, h("label", {}, box, h("span", {}, said(each) || each, h("code.under", {}, each))));
      })),
      ["patient", "user"].map((context) => h("fieldset.context", {},
        h("legend", {}, words.permissions.contexts[context]),
        h("div.scroll", {}, h("table.letters", {},
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, words.permissions.resource),
            LETTERS.map((each) => h("th", { scope: "col" }, words.permissions.letters[each])))),
          h("tbody", {}, resources.map((resource) => h("tr", {},
            h("th", { scope: "row" }, resource === "all" ? words.permissions.all : resource),
            LETTERS.map((letter) => cell(context, resource, letter))))))))),
      h("div.inline", {}, h("label", { for: id }, words.permissions.addResource), type,
        h("datalist", { id: `${id}-list` }, TYPES.map((each) => h("option", { value: each }))),
        h("button", { type: "button", onclick: add }, words.permissions.add)),
      others.node, making);
  };
  draw();
  making.textContent = words.permissions.making(names());
  return {
    node, value: names,
    faults: (faults) => {
      const made = names();
      const free = others.value() ?? [];
      const first = made.length - free.length;
      const ofFree = faults.filter((each) => Number(each.rest[0]) >= first);
      others.faults(ofFree.map((each) => ({ ...each, rest: [String(Number(each.rest[0]) - first)] })));
      mark(null, reason, faults.filter((each) => !ofFree.includes(each)));
    },
    focus: () => body.querySelector("input").focus(),
  };
}

/** The app roles that a server offers: those of the FHIR server, each ticked or not, and others by name. */
export function roles(name, { value, changed, usual }) {
  const given = value ?? usual;
  const picked = new Set(given.filter((each) => usual.includes(each)));
  const others = lines(name, { value: given.filter((each) => !usual.includes(each)), changed, type: "text", hint: "" });
  others.node.querySelector("legend").textContent = words.permissions.free;
  const { node, body, reason } = group(name, h("p.hint", {}, words.permissions.rolesHint));
  const names = () => [...usual.filter((each) => picked.has(each)), ...(others.value() ?? [])];
  fill(body, h("ul.ticks", {}, usual.map((each) => {
    const box = h("input", { type: "checkbox" });
    box.checked = picked.has(each);
    box.addEventListener("change", () => {
      if (box.checked) picked.add(each);
      else picked.delete(each);
      changed();
    });
    return h("li", {}, h("label", {}, box, h("span", {}, said(each) || each, h("code.under", {}, each))));
  })), others.node);
  return { node, value: names, faults: (faults) => mark(null, reason, faults), focus: () => body.querySelector("input").focus() };
}
