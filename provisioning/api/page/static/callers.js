// Which registered clients call a FHIR server: those that its owner is told of, and those that the caller may see anyway.
import * as api from "./api.js";

const plain = (name) => name.toLowerCase().replace(/\/$/, "");

/** The clients of this server, each once; of those whom it has to agree to, `grants` says what they may do. */
export async function callersOf(server) {
  const { registrationId, clientId, fhirServerUrl, oauth } = server;
  const names = [registrationId, clientId, fhirServerUrl, oauth.scope?.replace(/\/\.default$/, "")];
  const known = new Set(names.filter(Boolean).map(plain));
  const told = await api.clients(registrationId);
  const seen = new Set(told.map((each) => each.registrationId));
  const others = (await api.all()).filter((each) => each.resource && known.has(plain(each.resource)));
  return [...told, ...others.filter((each) => !seen.has(each.registrationId))];
}
