// Who did what to a registration, and what came of it.
import * as api from "./api.js";
import { add, h, moment } from "./dom.js";
import { linkButton, view } from "./parts.js";
import { words } from "./words.js";

const text = words.events;

/** #/r/{id}/events */
export async function events({ signal, parts: [id] }) {
  const { body: registration } = await api.show(id, { signal });
  const rows = h("tbody");
  const more = h("button", { type: "button" }, text.more);
  let token = null;
  const next = async () => {
    const page = await api.events(id, token);
    add(rows, page.value.map(row));
    token = page.continuationToken;
    more.hidden = token === null;
  };
  more.addEventListener("click", next);
  await next();
  view(
    `${text.title}: ${registration.displayName}`,
    h("table.list", {}, h("thead", {}, h("tr", {}, Object.values(text.columns).map((name) => h("th", { scope: "col" }, name)))), rows),
    h("p.buttons", {}, more, linkButton(`#/r/${id}`, words.back)),
  );
}

function row(event) {
  const { columns } = text;
  const who = [text.by[event.actor.kind] ?? event.actor.kind, event.actor.objectId && h("code.under", {}, event.actor.objectId)];
  const keys = [event.changed?.map((each) => words.fields[each]?.[0] ?? each).join(", "), event.code, event.keyId].filter(Boolean);
  const cell = (name, ...content) => h("td", { "data-name": name }, ...content);
  return h("tr", {}, h("th", { scope: "row" }, moment(event.time)), cell(columns.what, event.what), cell(columns.who, who),
    cell(columns.outcome, event.outcome), cell(columns.detail, keys.map((each) => h("span.under", {}, each))));
}
