// A code by which somebody says in the chat who they are.
import { chatCode } from "./api.js";
import { block, h } from "./dom.js";
import { view } from "./parts.js";
import { words } from "./words.js";

/** #/chat */
export async function chat() {
  const { title, lead } = words.chat;
  view(title, h("p.lead", {}, lead), block(`/registrar link ${(await chatCode()).body.code}`, title));
}
