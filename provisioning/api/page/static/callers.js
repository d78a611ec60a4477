// Which registered clients call a FHIR server, of those that the caller of this page may see.
import * as api from "./api.js";

const plain = (name) => name.toLowerCase().replace(/\/$/, "");

/** The clients that name this server, by any of its names. */
export async function callersOf(server) {
  const { registrationId, clientId, fhirServerUrl, oauth } = server;
  const names = [registrationId, clientId, fhirServerUrl, oauth.scope?.replace(/\/\.default$/, "")];
  const known = new Set(names.filter(Boolean).map(plain));
  return (await api.all()).filter((each) => each.resource && known.has(plain(each.resource)));
}
