// What a client may do on a server, and the word of the server's owner on it.
import * as api from "./api.js";
import { fill, h, moment, note, pairs, tell } from "./dom.js";
import { badge, kindLine, linkButton, problem, view } from "./parts.js";
import { words } from "./words.js";

const text = words.clients;
const LOOKS = 15;

/** Whether a client waits for the owner of its server to agree. */
export function waitsForOwner(client) {
  return (client.grants ?? []).some((each) => each.waitsFor === "resource-owner");
}

/** Each permission of a client with what became of it. */
export function granted({ grants }) {
  return h("ul.plain.grants", {}, grants.map((each) => h("li", {}, h("code", {}, each.permission), ` ${text.states[each.state] ?? each.state}`,
    each.waitsFor && `: ${text.waitsFor[each.waitsFor] ?? each.waitsFor}`, " · ", moment(each.since))));
}

/** #/r/{id}/client/{client} */
export async function client({ signal, parts: [id, clientId] }) {
  const [{ body: server, etag }, found] = await Promise.all([api.show(id, { signal }), one(id, clientId)]);
  const back = h("p", {}, linkButton(`#/r/${id}`, server.displayName));
  if (!found) {
    view(text.gone, h("p.lead", {}, text.goneText), back);
    return;
  }
  const general = h("div");
  const may = h("div");
  const agreed = found.agreement?.permissions ?? [];
  const asked = found.grants.map((each) => each.permission);
  const go = (permissions) => async (event) => {
    event.preventDefault();
    try {
      await api.agree(id, clientId, permissions, { etag });
      fill(general, h("p", { role: "status" }, words.act.working));
      await settled(id, clientId, may, signal);
      if (!signal.aborted) await client({ signal, parts: [id, clientId] });
      tell(text.done);
    } catch (error) {
      if (!(error instanceof api.Refused) || error.status === 401) throw error;
      fill(general, error.status === 412 ? note("bad", words.act.changedMeanwhile) : problem(error));
    }
  };
  fill(may, granted(found));
  view(
    `${found.displayName}: ${text.title}`,
    h("div.head", {}, kindLine(found), badge(found)),
    h("section", {}, h("h2", {}, text.asks(server.displayName)), may),
    pairs([words.detail.owner, h("code", {}, found.owner)], [words.detail.contact, found.contact],
      [words.detail.clientId, found.clientId && h("code", {}, found.clientId)],
      [text.agreedAt, agreed.length ? moment(found.agreement.at) : null]),
    h("form.narrow", { onsubmit: go(asked) },
      h("p.hint", {}, agreed.length ? text.takeBackText : waitsForOwner(found) && text.agreeText), general,
      h("div.send", {}, !agreed.length && waitsForOwner(found) && h("button.main", { type: "submit" }, text.agree),
        agreed.length > 0 && h("button.danger", { type: "button", onclick: go(null) }, text.takeBack),
        h("a", { href: `#/r/${id}` }, words.cancel))),
  );
}

const one = async (id, clientId) => (await api.clients(id)).find((each) => each.registrationId === clientId);

/** Look again until what was decided is done, or it takes longer than people wait. */
async function settled(id, clientId, place, signal) {
  const before = JSON.stringify((await one(id, clientId))?.grants);
  for (let looks = 0; looks < LOOKS && !signal.aborted; looks += 1) {
    await new Promise((done) => { setTimeout(done, 1000); });
    const now = await one(id, clientId);
    if (!now) return;
    fill(place, granted(now));
    if (JSON.stringify(now.grants) !== before) return;
  }
}
