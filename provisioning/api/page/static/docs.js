// Each call of the description can be tried, with the caller's own sign-in; nothing is sent before somebody asks for it.
import * as api from "./api.js";
import { fill, h, note, tell } from "./dom.js";
import { words } from "./words.js";

const text = words.docs;
let count = 0;

for (const call of document.querySelectorAll("section.call")) call.append(trial(call));

function trial(call) {
  const { method, path, parameters } = call.dataset;
  const inputs = JSON.parse(parameters).map(parameter);
  const example = call.querySelector('[data-example="body"]');
  const id = `body-${(count += 1)}`;
  const body = example && h("textarea", { id, rows: "10", spellcheck: "false" });
  if (body) body.value = example.textContent;
  const answered = h("div.answered", { role: "status" });
  const button = h("button.main", { type: "submit" }, text.send(method));
  const send = async (event) => {
    event.preventDefault();
    const headers = {};
    const query = new URLSearchParams();
    let target = path;
    for (const { name, place, input } of inputs) {
      const value = input.value.trim();
      if (place === "path") target = target.replace(`{${name}}`, encodeURIComponent(value));
      else if (value && place === "query") query.set(name, value);
      else if (value) headers[name] = value;
    }
    button.disabled = true;
    fill(answered, text.sending);
    try {
      const found = await api.raw(method, query.size ? `${target}?${query}` : target, {
        headers: body?.value.trim() ? { ...headers, "Content-Type": method === "PATCH" ? "application/merge-patch+json" : "application/json" } : headers,
        body: body?.value.trim() || undefined,
      });
      fill(answered, shown(found), found.status === 401 && signIn());
      tell(text.status(found.status));
    } catch {
      fill(answered, note("bad", h("p", {}, words.problem.unreachable)));
    } finally {
      button.disabled = false;
    }
  };
  return h("details.try", {}, h("summary", {}, text.try), h("form", { onsubmit: send },
    method !== "GET" && method !== "HEAD" && h("p.hint", {}, text.real),
    inputs.map(({ node }) => node),
    body && h("div.field", {}, h("label", { for: id }, text.body), body),
    button, answered));
}

function parameter({ name, in: place, required }) {
  const id = `parameter-${(count += 1)}`;
  const input = h("input", { id, name, required, autocomplete: "off", spellcheck: "false" });
  const node = h("div.field", {}, h("label", { for: id }, name, !required && h("span.optional", {}, words.form.optional)), input);
  return { name, place, input, node };
}

function shown({ status, headers, body }) {
  let readable = body;
  try {
    readable = JSON.stringify(JSON.parse(body), null, 2);
  } catch {
    // It is no JSON, and shown as it is.
  }
  return [
    h("p", {}, h("strong", {}, text.status(status))),
    h("pre", { tabindex: "0", role: "group", "aria-label": text.answer }, h("code", {}, `${headers}\n\n${readable}`)),
  ];
}

/** How to sign in, for whoever is not known. */
function signIn() {
  if (api.signsIn) {
    const there = `/.auth/login/aad?post_login_redirect_uri=${encodeURIComponent(location.pathname)}`;
    return h("p", {}, h("a.button.main", { href: there }, words.signIn.button));
  }
  const id = `key-${(count += 1)}`;
  const field = h("input", { id, type: "password", autocomplete: "off" });
  field.addEventListener("input", () => api.useKey(field.value.trim()));
  return h("div.field", {}, h("label", { for: id }, words.signIn.keyLabel), h("p.hint", {}, words.signIn.keyText), field);
}
