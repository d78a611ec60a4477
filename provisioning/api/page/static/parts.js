// Pieces that several views have: the heading, a status, a problem, the kind of an application.
import { Refused, Unreachable } from "./api.js";
import { fill, h, note, picture } from "./dom.js";
import { words } from "./words.js";

/** Which of the five kinds a registration is: a public client is one of two. */
export function kindOf(registration) {
  return registration.clientType === "public" ? registration.platform : registration.clientType;
}

/** What a registration is now: its status, or that all of it waits for an approval. */
export function stateOf(registration) {
  return registration.status === "accepted" && isWaiting(registration) ? "awaiting-approval" : registration.status;
}

/** Whether somebody has to agree to it, or to a change of it, which waits whatever else is done meanwhile. */
export function isWaiting(registration) {
  return registration.operation?.status === "awaiting-approval" || Boolean(registration.approval?.changes);
}

/** Whether an operation of it is under way. */
export function isPending(registration) {
  return registration.operation?.status === "pending";
}

/** A status as a word with a mark; the mark alone never says it. */
export function badge(registration) {
  const state = stateOf(registration);
  return h(`span.badge.${state}`, {}, words.status[state] ?? state);
}

let views = 0;

/** Show a view: its heading gets the focus, so that whoever listens hears where they are; the first one is read anyway. */
export function view(title, ...content) {
  const heading = h("h1", { tabindex: "-1" }, title);
  document.title = `${title} · ${words.product}`;
  fill(document.getElementById("main"), heading, ...content);
  if ((views += 1) > 1) heading.focus({ preventScroll: true });
  scrollTo(0, 0);
  return heading;
}

/** A link that looks like a button. */
export function linkButton(href, text, kind = "") {
  return h(`a.button${kind ? `.${kind}` : ""}`, { href }, text);
}

/** What went wrong, in words, with what to do about it. */
export function problem(error) {
  if (error instanceof Unreachable) return note("bad", h("p", {}, words.problem.unreachable));
  if (!(error instanceof Refused)) {
    console.error(error);
    return note("bad", h("p", {}, words.problem.title));
  }
  return note(
    "bad",
    h("p", {}, error.status === 404 ? words.problem.notFound : error.message),
    error.errors.length > 0 && h("ul", {}, error.errors.map((each) => h("li", {}, faultText(each)))),
    error.status >= 500 && error.traceId && h("p.small", {}, `${words.problem.trace} `, h("code", {}, error.traceId)),
  );
}

/** A fault as a sentence: its message, the rule of the policy, and how to ask for an exception. */
export function faultText(fault) {
  const rule = fault.rule ? ` ${words.form.rule(fault.rule)}` : "";
  return `${fault.message}${rule}${fault.exception ? ` ${fault.exception}` : ""}`;
}

/** Steps that people have to do, each with its command, who does it, and where. */
export function kindLine(registration) {
  const kind = kindOf(registration);
  return h("p.kind", {}, picture(kind, "small-picture"), words.types[kind]?.title ?? registration.clientType);
}

/** The five things that can be built, each with a picture, a sentence, and the question that decides. */
export function chooser() {
  return h(
    "ul.chooser",
    {},
    Object.entries(words.types).map(([kind, text]) =>
      h("li", {}, h(
        "a.choice", { href: `#/new/${kind}` }, picture(kind),
        h("span.words", {}, h("strong", {}, text.title), h("span", {}, text.sentence), h("em", {}, text.question)),
      )),
    ),
  );
}
