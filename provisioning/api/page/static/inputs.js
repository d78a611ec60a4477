// What a form asks with: one kind of input for each kind of field. Each has `node`, `value()`, and `faults(list)`.
import { fill, h } from "./dom.js";
import { faultText } from "./parts.js";
import { words } from "./words.js";

let count = 0;
export const fresh = (name) => `${name}-${(count += 1)}`;

/** The label of a field, its hint, and where a reason goes; `control` is what is labelled. */
export function labelled(name, control, { required, id, legend = false, hint }) {
  const [label, said] = words.fields[name] ?? [name, ""];
  const reason = h("p.reason", { id: `${id}-reason` });
  const marked = [label, !required && h("span.optional", {}, words.form.optional)];
  const told = hint ?? said;
  const node = legend
    ? h("fieldset.field", { "aria-describedby": `${id}-reason` }, h("legend", {}, marked), told && h("p.hint", { id: `${id}-hint` }, told), control, reason)
    : h("div.field", {}, h("label", { for: id }, marked), told && h("p.hint", { id: `${id}-hint` }, told), control, reason);
  return { node, reason };
}

/** Say beside an input what is wrong with it; nothing takes it back. */
export function mark(input, reason, faults) {
  fill(reason, faults.map((each) => h("span", {}, faultText(each))));
  if (input) input.setAttribute("aria-invalid", faults.length ? "true" : "false");
}

/** One line of text, or several. */
export function text(name, { required, value, maxLength, changed, type = "text", area = false, options }) {
  const id = fresh(name);
  const listId = options?.length ? `${id}-list` : null;
  const given = { id, name, required, "aria-describedby": `${id}-hint ${id}-reason`, autocomplete: "off", spellcheck: "false" };
  const input = area
    ? h("textarea", { ...given, rows: "6" })
    : h("input", { ...given, type, list: listId, maxlength: maxLength ? String(maxLength) : null });
  input.value = value ?? "";
  input.addEventListener("input", changed);
  const offered = listId && h("datalist", { id: listId }, options.map(([option, label]) => h("option", { value: option, label })));
  const { node, reason } = labelled(name, [input, offered], { required, id });
  return { node, value: () => input.value.trim() || undefined, faults: (list) => mark(input, reason, list), focus: () => input.focus() };
}

/** Yes, or nothing said. */
export function checkbox(name, { value, changed }) {
  const id = fresh(name);
  const [label, hint] = words.fields[name] ?? [name, ""];
  const input = h("input", { id, type: "checkbox", "aria-describedby": `${id}-hint ${id}-reason` });
  input.checked = value === true;
  input.addEventListener("change", changed);
  const reason = h("p.reason", { id: `${id}-reason` });
  const node = h("div.field.check", {}, h("label", { for: id }, input, h("span", {}, label)), h("p.hint", { id: `${id}-hint` }, hint), reason);
  return { node, value: () => (input.checked ? true : value === undefined ? undefined : false), faults: (list) => mark(input, reason, list), focus: () => input.focus() };
}

/** One of a few. */
export function select(name, { required, value, options, changed, convert = (each) => each }) {
  const id = fresh(name);
  const input = h("select", { id, "aria-describedby": `${id}-hint ${id}-reason` },
    !required && h("option", { value: "" }, words.form.unset),
    options.map(([option, label]) => h("option", { value: option }, label)));
  if (value !== undefined) input.value = String(value);
  input.addEventListener("change", changed);
  const { node, reason } = labelled(name, input, { required, id });
  return { node, value: () => (input.value === "" ? undefined : convert(input.value)), faults: (list) => mark(input, reason, list), focus: () => input.focus() };
}

/** Several texts, one a line; the reason of each stands beside it. */
export function lines(name, { required, value, changed, type = "url", hint }) {
  const id = fresh(name);
  const rows = h("ol.lines");
  const { node, reason } = labelled(name, null, { required, id, legend: true, hint });
  const [label] = words.fields[name] ?? [name];
  const inputs = () => [...rows.querySelectorAll("input")];
  const row = (given = "") => {
    const rowId = fresh(name);
    const input = h("input", { id: rowId, type: "text", inputmode: type, autocomplete: "off", spellcheck: "false", "aria-describedby": `${rowId}-reason` });
    input.value = given;
    const remove = h("button.plain", { type: "button" }, "×");
    const made = h("li", {}, h("div.line", {}, input, remove), h("p.reason", { id: `${rowId}-reason` }));
    input.addEventListener("input", changed);
    input.addEventListener("keydown", (event) => {
      if (event.key !== "Enter") return;
      event.preventDefault();
      insert(made, row());
    });
    input.addEventListener("paste", (event) => {
      const several = event.clipboardData.getData("text").split(/\s+/).filter(Boolean);
      if (several.length < 2) return;
      event.preventDefault();
      input.value = several[0];
      several.slice(1).reduceRight((_, each) => made.after(row(each)), null);
      renumber();
      changed();
    });
    remove.addEventListener("click", () => {
      if (inputs().length > 1) made.remove();
      else input.value = "";
      renumber();
      inputs().at(-1).focus();
      changed();
    });
    return made;
  };
  const insert = (after, made) => {
    after.after(made);
    renumber();
    made.querySelector("input").focus();
  };
  const renumber = () => {
    inputs().forEach((input, index) => {
      input.setAttribute("aria-label", words.form.row(index + 1, label));
      input.nextElementSibling.setAttribute("aria-label", words.form.removeRow(index + 1));
    });
  };
  rows.append(...(value?.length ? value : [""]).map(row));
  const more = h("button.plain", { type: "button", onclick: () => insert(rows.lastElementChild, row()) }, words.form.addRow);
  reason.before(rows, more);
  renumber();
  const filled = () => inputs().filter((input) => input.value.trim());
  return {
    node,
    value: () => (filled().length ? filled().map((input) => input.value.trim()) : undefined),
    faults: (list) => {
      mark(null, reason, list.filter((each) => !each.rest.length));
      const asked = filled();
      inputs().forEach((input) => {
        const index = String(asked.indexOf(input));
        mark(input, input.closest("li").querySelector(".reason"), list.filter((each) => each.rest[0] === index));
      });
    },
    focus: () => inputs()[0].focus(),
  };
}
