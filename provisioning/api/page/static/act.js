// Rotate, revoke, delete, retry: each says what follows before it is done.
import * as api from "./api.js";
import { callersOf } from "./callers.js";
import { fill, h, note } from "./dom.js";
import { consequences } from "./form.js";
import { kindLine, problem, view } from "./parts.js";
import { words } from "./words.js";

const DO = {
  rotate: { text: words.act.rotate, run: (id, options) => api.rotate(id, false, options) },
  revoke: { text: words.act.revoke, run: (id, options) => api.rotate(id, true, options), danger: true },
  delete: { text: words.act.remove, run: (id, options) => api.remove(id, options), danger: true },
  retry: { text: words.act.retry, run: (id, options) => api.retry(id, options) },
};

/** #/r/{id}/rotate, …/revoke, …/delete, …/retry */
export async function act({ signal, parts: [id, verb] }) {
  const { text, run, danger } = DO[verb];
  const { body: registration, etag } = await api.show(id, { signal });
  const name = registration.displayName;
  const general = h("div");
  const broken = verb === "delete" && registration.clientType === "resource" ? await callersOf(registration) : null;
  const button = h(`button.${danger ? "danger" : "main"}`, { type: "submit" }, text.go);
  const field = h("input", { id: "sure", autocomplete: "off", spellcheck: "false" });
  const sure = () => { button.disabled = verb === "delete" && field.value.trim() !== name; };
  field.addEventListener("input", sure);
  sure();
  const go = async (event) => {
    event.preventDefault();
    button.disabled = true;
    fill(general, h("p", { role: "status" }, words.act.working));
    try {
      await run(id, { etag });
      location.hash = `#/r/${id}`;
    } catch (error) {
      sure();
      if (!(error instanceof api.Refused) || error.status === 401) throw error;
      fill(general, error.status === 412 ? note("bad", words.act.changedMeanwhile) : problem(error));
    }
  };
  view(
    `${text.title}: ${name}`,
    kindLine(registration),
    h("p.lead", {}, text.text),
    broken && brokenList(broken),
    await foreseen(id, run, etag),
    h("form.narrow", { onsubmit: go },
      verb === "delete" && h("div.field", {}, h("label", { for: "sure" }, words.act.remove.confirm(name)), field),
      general, h("div.send", {}, button, h("a", { href: `#/r/${id}` }, words.cancel))),
  );
}

/** What the service says that follows, in a dry run; or why it would be refused. */
async function foreseen(id, run, etag) {
  try {
    return consequences((await run(id, { etag, dryRun: true })).body.warnings);
  } catch (error) {
    if (error instanceof api.Refused && error.status !== 401) return problem(error);
    throw error;
  }
}

function brokenList(clients) {
  const { broken, brokenNone, brokenMaybe } = words.act.remove;
  return note("bad",
    h("p", {}, clients.length ? broken : brokenNone),
    clients.length > 0 && h("ul", {}, clients.map((each) => h("li", {}, h("a", { href: `#/r/${each.registrationId}` }, each.displayName)))),
    h("p.hint", {}, brokenMaybe));
}
