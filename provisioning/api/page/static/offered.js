// What a FHIR server offers to clients: the service says so where it refuses a name that a server does not have.
import { preview, Refused } from "./api.js";

const NONE = "which-are-there";

/** The names of the scopes, or of the app roles, that a resource has; null where that cannot be told. */
export async function offeredBy(resource, clientType, me, signal) {
  const owner = me.kind === "key" ? "00000000-0000-4000-8000-000000000000" : me.objectId;
  const asked = clientType === "service"
    ? { clientType, appRoles: [NONE] }
    : { clientType: "public", platform: "spa", redirectUris: ["https://localhost/"], scopes: [NONE] };
  try {
    await preview({ displayName: NONE, owner, contact: "nobody@example.com", resource, ...asked }, signal);
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    return error.errors.find((each) => each.offered)?.offered ?? null;
  }
  return null;
}
