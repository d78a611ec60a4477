// From the description of a field to what a form asks with, by its name where it is one of a kind, else by its schema.
import { credential } from "./credential.js";
import { checkbox, lines, select, text } from "./inputs.js";
import { chosen, defined, roles } from "./permissions.js";
import { owner } from "./owner.js";

const GENERAL = ["user_impersonation", "launch", "launch.patient", "fhirUser"];
const OPENID = ["openid", "profile", "email", "offline_access"];
/** What every form begins with, in this order; the rest is under more settings. */
export const FIRST = [
  "displayName", "contact", "owner", "fhirServerUrl", "resource", "redirectUris", "credential", "scopes", "appRoles",
];

/** Make the input of a field; `about` is {kind, fields, required, me, servers}. */
export function input(name, about, { value, changed }) {
  const schema = about.fields[name];
  const required = about.required.includes(name);
  const given = { required, value, changed, maxLength: schema.maxLength };
  switch (name) {
    case "owner": return owner(name, { ...given, me: about.me });
    case "resource": return text(name, { ...given, options: about.servers, type: "text" });
    case "redirectUris": return lines(name, given);
    case "credential": return credential(name, given);
    case "scopes":
      return about.kind === "resource"
        ? defined(name, { ...given, value: value ?? schema.default, general: GENERAL })
        : chosen(name, { ...given, always: OPENID });
    case "appRoles":
      return about.kind === "resource" ? roles(name, { ...given, usual: schema.default }) : chosen(name, given);
    default: return bySchema(name, schema, given);
  }
}

function bySchema(name, schema, given) {
  if (schema.type === "boolean") return checkbox(name, given);
  if (schema.enum) {
    const convert = schema.type === "integer" ? Number : undefined;
    return select(name, { ...given, value: given.value ?? schema.default, options: schema.enum.map((each) => [String(each), String(each)]), convert });
  }
  if (schema.type === "array") return lines(name, given);
  return text(name, { ...given, type: name === "contact" ? "email" : "text" });
}
