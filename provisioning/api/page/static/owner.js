// Who is to own it: the caller, one of its groups, or, for whoever may, anybody by object id.
import { h } from "./dom.js";
import { fresh, labelled, mark, text } from "./inputs.js";
import { words } from "./words.js";

const ANY = "Registrations.Manage.All";
const OTHER = "other";

/** A list of those whom the caller may name; a function key names none, so its holder types one. */
export function owner(name, { required, value, changed, me }) {
  if (me.kind === "key") return text(name, { required, value, changed });
  const id = fresh(name);
  const own = [[me.objectId, me.name ? `${words.form.me} (${me.name})` : words.form.me], ...me.groups.map((each) => [each, words.form.group(each)])];
  const known = own.map(([each]) => each);
  const free = me.roles.includes(ANY) || (value && !known.includes(value));
  const list = h("select", { id, "aria-describedby": `${id}-hint ${id}-reason` },
    own.map(([each, label]) => h("option", { value: each }, label)), free && h("option", { value: OTHER }, words.form.somebody));
  const typed = h("input", { type: "text", autocomplete: "off", spellcheck: "false", "aria-label": words.form.ownerOther });
  if (value && !known.includes(value)) {
    list.value = OTHER;
    typed.value = value;
  } else if (value) list.value = value;
  const show = () => { typed.hidden = list.value !== OTHER; };
  for (const each of [list, typed]) each.addEventListener("input", () => { show(); changed(); });
  show();
  const { node, reason } = labelled(name, list, { required, id });
  list.after(typed);
  return {
    node,
    value: () => (list.value === OTHER ? typed.value.trim() || undefined : list.value),
    faults: (faults) => mark(list, reason, faults),
    focus: () => list.focus(),
  };
}
