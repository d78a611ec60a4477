// Which view the address names, and who looks at it.
import * as api from "./api.js";
import { fill, h, picture } from "./dom.js";
import { problem, view } from "./parts.js";
import { words } from "./words.js";

const ROUTES = [
  [/^#?\/?(?:\?.*)?$/, () => import("./home.js"), "home"],
  [/^#\/new$/, () => import("./home.js"), "choose"],
  [/^#\/new\/(\w+)$/, () => import("./form.js"), "create"],
  [/^#\/approvals$/, () => import("./approvals.js"), "approvals"],
  [/^#\/chat$/, () => import("./chat.js"), "chat"],
  [/^#\/r\/([^/]+)$/, () => import("./detail.js"), "detail"],
  [/^#\/r\/([^/]+)\/change$/, () => import("./form.js"), "alter"],
  [/^#\/r\/([^/]+)\/events$/, () => import("./events.js"), "events"],
  [/^#\/r\/([^/]+)\/(rotate|revoke|delete|retry)$/, () => import("./act.js"), "act"],
  [/^#\/r\/([^/]+)\/client\/([^/]+)$/, () => import("./clients.js"), "client"],
  [/^#\/r\/([^/]+)\/decide$/, () => import("./approvals.js"), "decide"],
];
const TRIED = "fhir-registrar.signing-in";
const HASH = "fhir-registrar.after-sign-in";
let me = null;
let showing = new AbortController();

function header() {
  const at = location.hash || "#/";
  const link = (href, text, current) => h("a", { href, "aria-current": current ? "page" : null }, text);
  fill(
    document.getElementById("top"),
    h("a.skip", { href: "#main", onclick: skip }, words.skip),
    h("div.bar", {},
      h("a.brand", { href: "#/" }, picture("mark", "mark"), words.product),
      me && h("nav", { "aria-label": words.nav.main },
        link("#/", words.nav.registrations, at === "#/" || at.startsWith("#/?") || at.startsWith("#/r/")),
        link("#/new", words.nav.new, at.startsWith("#/new")),
        link("#/approvals", words.nav.approvals, at === "#/approvals"),
        h("a", { href: "../docs" }, words.nav.docs)),
      me && h("p.who", {}, me.kind === "key" ? words.keyHolder : me.name || me.objectId, " ", leave())),
  );
}

function leave() {
  if (api.signsIn) {
    return h("a", { href: `/.auth/logout?post_logout_redirect_uri=${encodeURIComponent(location.pathname)}` }, words.signOut);
  }
  return api.hasKey() && h("button.plain", { type: "button", onclick: () => location.reload() }, words.forgetKey);
}

function skip(event) {
  event.preventDefault();
  document.getElementById("main").focus();
}

async function route() {
  showing.abort();
  showing = new AbortController();
  const { signal } = showing;
  if (me === null && !(await signedIn())) return;
  header();
  const at = location.hash || "#/";
  for (const [pattern, load, name] of ROUTES) {
    const found = pattern.exec(at);
    if (found) {
      await shown(async () => (await load())[name]({ me, signal, parts: found.slice(1).map(decodeURIComponent) }), signal);
      return;
    }
  }
  view(words.problem.noPage, h("p", {}, h("a", { href: "#/" }, words.nav.registrations)));
}

async function shown(show, signal) {
  try {
    await show();
  } catch (error) {
    if (signal.aborted) return;
    if (error instanceof api.Refused && error.status === 401) askWho(words.signIn.ended);
    else view(words.problem.title, problem(error), h("p", {}, h("button", { type: "button", onclick: route }, words.retry)));
  }
}

async function signedIn() {
  try {
    me = await api.whoAmI();
    sessionStorage.removeItem(TRIED);
    const wanted = sessionStorage.getItem(HASH);
    sessionStorage.removeItem(HASH);
    if (wanted && !location.hash) history.replaceState(null, "", wanted);
    return true;
  } catch (error) {
    header();
    if (error instanceof api.Refused && error.status === 401) askWho();
    else view(words.problem.title, problem(error), h("p", {}, h("button", { type: "button", onclick: route }, words.retry)));
    return false;
  }
}

function askWho(why) {
  if (api.signsIn) askToSignIn(why);
  else askForKey();
}

function askToSignIn(why) {
  sessionStorage.setItem(HASH, location.hash);
  const there = `/.auth/login/aad?post_login_redirect_uri=${encodeURIComponent(location.pathname)}`;
  const tried = sessionStorage.getItem(TRIED);
  sessionStorage.setItem(TRIED, "yes");
  if (!why && !tried) {
    location.assign(there);
    return;
  }
  const failed = !why && tried && h("p", {}, words.signIn.failed);
  view(words.signIn.title, h("p.lead", {}, why ?? words.signIn.text), failed, h("p", {}, h("a.button.main", { href: there }, words.signIn.button)));
}

function askForKey() {
  const wrong = api.hasKey();
  const field = h("input", { id: "key", type: "password", autocomplete: "off", required: true, "aria-describedby": "key-why" });
  const go = (event) => {
    event.preventDefault();
    api.useKey(field.value.trim());
    me = null;
    route();
  };
  view(
    words.signIn.keyTitle,
    h("form.narrow", { onsubmit: go },
      h("p.lead", {}, words.signIn.keyText),
      h("label", { for: "key" }, words.signIn.keyLabel), field,
      h("p.reason", { id: "key-why" }, wrong && words.signIn.keyWrong),
      h("button.main", { type: "submit" }, words.signIn.keyButton)),
  );
  field.focus();
}

addEventListener("hashchange", route);
header();
route();

// What fails behind a view's back: a session that has ended, a network that is gone.
addEventListener("unhandledrejection", (event) => {
  if (!(event.reason instanceof api.Refused || event.reason instanceof api.Unreachable)) return;
  event.preventDefault();
  if (event.reason.status === 401) askWho(words.signIn.ended);
  else document.getElementById("main").append(problem(event.reason));
});
