// Elements, and nothing else: text goes in as text, so that nothing that anybody registered becomes markup.
import { words } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/** Make an element: h("a.button", {href: "#/", onclick: f}, "text", child, …). */
export function h(what, given = {}, ...children) {
  const [tag, ...classes] = what.split(".");
  const made = document.createElement(tag);
  if (classes.length) made.className = classes.join(" ");
  for (const [name, value] of Object.entries(given)) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) made.addEventListener(name.slice(2), value);
    else if (name in made && typeof value !== "string") made[name] = value;
    else if (name === "value") made.value = value;
    else made.setAttribute(name, value === true ? "" : value);
  }
  add(made, children);
  return made;
}

/** Put children into an element: texts, elements, lists of them; what is empty is left out. */
export function add(parent, children) {
  for (const child of [children].flat(9)) {
    if (child === null || child === undefined || child === false || child === "") continue;
    parent.append(child instanceof Node ? child : String(child));
  }
  return parent;
}

/** Have an element hold these children, and no others. */
export function fill(parent, ...children) {
  parent.replaceChildren();
  return add(parent, children);
}

/** A picture of `pictures.svg`; it says nothing that the text beside it does not say. */
export function picture(name, kind = "picture") {
  const svg = document.createElementNS(SVG, "svg");
  svg.setAttribute("class", kind);
  svg.setAttribute("aria-hidden", "true");
  const use = document.createElementNS(SVG, "use");
  use.setAttribute("href", `pictures.svg#${name}`);
  svg.append(use);
  return svg;
}

/** Tell those who listen and do not look. */
export function tell(text) {
  const told = document.getElementById("told");
  told.textContent = "";
  setTimeout(() => { told.textContent = text; }, 50);
}

/** A text that is read letter by letter, with a button that copies it. */
export function copyable(text, what) {
  return h("span.copyable", {}, h("code", {}, text), copyButton(text, what));
}

/** A block to paste, with its button. */
export function block(text, what) {
  return h("div.block", {}, h("pre", { tabindex: "0", role: "group", "aria-label": what }, h("code", {}, text)), copyButton(text, what));
}

function copyButton(text, what) {
  const button = h("button.copy", { type: "button", "aria-label": words.copyOf(what) }, words.copy);
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(text);
    button.textContent = words.copied;
    tell(words.copiedOf(what));
    setTimeout(() => { button.textContent = words.copy; }, 2000);
  });
  return button;
}

/** A table of names and values; what has no value is left out. */
export function pairs(...rows) {
  const shown = rows.filter(([, value]) => value !== null && value !== undefined && value !== "");
  return h("dl.pairs", {}, shown.map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));
}

/** Something to notice: `kind` is good, wait, warn or bad. */
export function note(kind, ...children) {
  return h(`div.note.${kind}`, {}, ...children);
}

const dated = new Intl.DateTimeFormat("en", { dateStyle: "medium" });
const timed = new Intl.DateTimeFormat("en", { dateStyle: "medium", timeStyle: "short" });
const relative = new Intl.RelativeTimeFormat("en", { numeric: "auto" });

/** A moment as people read it, with the whole of it for whoever needs that. */
export function moment(text, { time = true } = {}) {
  if (!text) return "";
  const at = new Date(text);
  return h("time", { datetime: text, title: text }, (time ? timed : dated).format(at));
}

/** How far away a day is, such as "in 3 weeks". */
export function distance(text, now = Date.now()) {
  const days = Math.round((new Date(text) - now) / 86_400_000);
  if (Math.abs(days) < 14) return relative.format(days, "day");
  if (Math.abs(days) < 60) return relative.format(Math.round(days / 7), "week");
  return relative.format(Math.round(days / 30.4), "month");
}

/** How many days are left until a moment. */
export function daysUntil(text, now = Date.now()) {
  return (new Date(text) - now) / 86_400_000;
}
