// What Microsoft Graph is going to get, in the terms that Entra's own pages use.
import { block, h, moment, pairs } from "./dom.js";
import { words } from "./words.js";

const list = (names) => h("ul.plain", {}, names.map((each) => h("li", {}, h("code", {}, each))));

/** The body of an application, in words; the request says by name what the body says by id. */
export function application(body, request) {
  const platforms = ["spa", "web", "publicClient"]
    .filter((each) => body[each]?.redirectUris?.length)
    .map((each) => [words.entra.platforms[each], list(body[each].redirectUris)]);
  const secret = body.passwordCredentials?.[0];
  const kind = request.clientType === "service" ? words.entra.application : words.entra.delegated;
  const asked = body.requiredResourceAccess?.reduce((sum, each) => sum + each.resourceAccess.length, 0) ?? 0;
  const names = request.clientType === "resource" ? [] : request.appRoles ?? request.scopes ?? [];
  return [
    pairs(
      [words.entra.name, body.displayName],
      [words.entra.audience, words.entra.oneTenant],
      [words.entra.uri, body.identifierUris?.length ? list(body.identifierUris) : null],
      ...platforms,
      [words.entra.apiPermissions, asked ? [words.entra.permissions(asked, kind), names.length > 0 && list(names)] : null],
      [words.entra.exposes, body.api?.oauth2PermissionScopes?.length ? list(body.api.oauth2PermissionScopes.map((each) => each.value)) : null],
      [words.entra.roles, body.appRoles?.length ? list(body.appRoles.map((each) => each.value)) : null],
      [words.entra.tokens, request.clientType === "resource" ? words.entra.version(body.api?.requestedAccessTokenVersion ?? 1) : null],
      [words.entra.secretUntil, secret ? moment(secret.endDateTime, { time: false }) : null],
      [words.entra.certificate, body.keyCredentials?.length ? words.credential.certificate[0] : null],
    ),
    h("details", {}, h("summary", {}, words.form.whole), block(JSON.stringify(body, null, 2), words.form.whole)),
  ];
}
