// How a service client proves who it is: a secret, a token of another issuer, or a certificate.
import { fill, h, note } from "./dom.js";
import { fresh, lines, mark, text } from "./inputs.js";
import { words } from "./words.js";

const KINDS = ["secret", "federated", "certificate"];

/** The three, of which one is chosen; a private key never leaves the field. */
export function credential(name, { value, changed }) {
  const given = value ?? { type: "secret" };
  const [label] = words.fields[name];
  const radio = fresh(name);
  const reason = h("p.reason");
  const inside = h("div");
  let kind = given.type;
  const part = (field, hint, options) => {
    words.fields[field] ??= [words.credential[field], words.credential[`${field}Hint`]];
    return options(field);
  };
  const issuer = part("issuer", "", (field) => text(field, { required: true, value: given.issuer, changed }));
  const subjects = part("subjects", "", (field) => lines(field, { required: true, value: given.subjects ?? (given.subject ? [given.subject] : []), changed, type: "text" }));
  const audience = part("audience", "", (field) => text(field, { required: false, value: given.audience, changed }));
  const pem = part("pem", "", (field) => text(field, { required: true, value: given.certificate, changed, area: true }));
  const secretKey = note("bad", words.form.private);
  const isPrivate = () => kind === "certificate" && /PRIVATE KEY/.test(pem.value() ?? "");
  const parts = { secret: [], federated: [issuer, subjects, audience], certificate: [pem] };
  const draw = () => fill(inside, parts[kind].map((each) => each.node), isPrivate() && secretKey);
  pem.node.addEventListener("input", () => (isPrivate() ? inside.append(secretKey) : secretKey.remove()));
  const choice = (each) => {
    const [title, hint] = words.credential[each];
    const input = h("input", { type: "radio", name: radio, value: each });
    input.checked = each === kind;
    input.addEventListener("change", () => {
      kind = each;
      draw();
      changed();
    });
    return h("li", {}, h("label", {}, input, h("span", {}, title, h("span.under", {}, hint))));
  };
  const node = h("fieldset.field", {}, h("legend", {}, label), h("ul.ticks", {}, KINDS.map(choice)), inside, reason);
  draw();
  const named = {
    secret: () => ({ type: "secret" }),
    federated: () => ({ type: "federated", issuer: issuer.value(), subjects: subjects.value(), audience: audience.value() }),
    certificate: () => ({ type: "certificate", certificate: isPrivate() ? undefined : pem.value() }),
  };
  const places = { issuer, subjects, subject: subjects, audience, certificate: pem };
  return {
    node,
    value: () => named[kind](),
    faults: (list) => {
      for (const [field, input] of Object.entries(places)) {
        if (field === "subject") continue;
        const own = list.filter((each) => places[each.rest[0]] === input);
        input.faults(own.map((each) => ({ ...each, rest: each.rest.slice(1) })));
      }
      mark(null, reason, list.filter((each) => !(each.rest[0] in places)));
    },
    focus: () => node.querySelector("input:checked").focus(),
  };
}
