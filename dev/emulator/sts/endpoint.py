"""Who gets a token, and what it says: the token endpoint, its discovery documents, App Service's managed identity."""

from __future__ import annotations

import base64
import hmac
import itertools
import re
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import unquote_plus

from dev.emulator import constants
from dev.emulator.errors import IdentityError, Json, TokenError
from dev.emulator.graph.application_body import token_version
from dev.emulator.graph.uris import is_verified
from dev.emulator.shapes import is_guid
from dev.emulator.sts import assertions, signing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dev.emulator.graph.directory import Directory
    from dev.emulator.graph.password_credentials import Password
    from dev.emulator.graph.records import Application, ServicePrincipal
    from dev.emulator.graph.replication import Replicas
    from dev.emulator.sts.accounts import Account

_MANAGED_FHIR = re.compile(r"https://[a-z0-9-]+(\.[a-z0-9-]+)*\.azurehealthcareapis\.com/?", re.IGNORECASE)
_DEFAULT = "/.default"
IDENTITY_API_VERSION = "2019-08-01"


class TokenService:
    """Issues tokens to whoever proves to be an application of the tenant."""

    def __init__(self, directory: Directory, now: Callable[[], datetime], seed: int) -> None:
        self._directory = directory
        self._now = now
        self._wavering: dict[str, itertools.count[int]] = {}
        self._seed = seed

    @property
    def replicas(self) -> Replicas:
        """The replicas of the directory, of which one answers each request."""
        return self._directory.replicas

    @property
    def v2_issuer(self) -> str:
        """The issuer of tokens of version 2."""
        return f"{self._directory.origin}/{self._directory.tenant_id}/v2.0"

    @property
    def v1_issuer(self) -> str:
        """The issuer of tokens of version 1.

        In Entra it lies on a host of its own (sts.windows.net). Here it is a path of the emulator, so that no token
        of the emulator can pass for one of Entra's.
        """
        return f"{self._directory.origin}/sts/{self._directory.tenant_id}/"

    def discovery(self, tenant: str, *, version: int) -> Json:
        """The OpenID configuration."""
        self._check_tenant(tenant)
        origin, tenant = self._directory.origin, self._directory.tenant_id
        oauth2 = f"{origin}/{tenant}/oauth2" + ("/v2.0" if version != 1 else "")
        return {
            "issuer": self.v1_issuer if version == 1 else self.v2_issuer,
            "authorization_endpoint": f"{oauth2}/authorize",
            "token_endpoint": f"{oauth2}/token",
            "device_authorization_endpoint": f"{oauth2}/devicecode",
            "jwks_uri": f"{origin}/{tenant}/discovery/v2.0/keys",
            "token_endpoint_auth_methods_supported": ["client_secret_post", "private_key_jwt", "client_secret_basic"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "response_types_supported": ["code", "id_token", "code id_token", "id_token token"],
            "response_modes_supported": ["query", "fragment", "form_post"],
            "subject_types_supported": ["pairwise"],
            "scopes_supported": ["openid", "profile", "email", "offline_access"],
            "claims_supported": ["sub", "iss", "aud", "exp", "iat", "tid", "oid", "ver"],
        }

    def keys(self, tenant: str) -> Json:
        """The signing keys."""
        self._check_tenant(tenant)
        return signing.public_keys()

    def client_credentials(
        self, tenant: str, form: Mapping[str, str], authorization: str | None, *, version: int, replica: int
    ) -> Json:
        """POST …/token: an application signs in as itself."""
        self._check_tenant(tenant)
        if form.get("grant_type") != "client_credentials":
            raise _missing("grant_type") if not form.get("grant_type") else _grant_unsupported(form["grant_type"])
        client_id, secret = _credentials(form, authorization)
        resource_name = _resource_of(form, version=version)

        def check(application: Application) -> str | None:
            if secret:
                return self._check_secret(application, secret)
            return assertions.check(form, application, self._assertion_audiences(), self._now())

        principal, key_id = self._sign_in(client_id, check, replica)
        resource = self._resource(resource_name, replica)
        answer = self._answer(principal, resource, resource_name, by="1" if secret else "2")
        self._directory.sign_ins.with_credential(principal, resource, key_id)
        return answer

    def _assertion_audiences(self) -> frozenset[str]:
        """Whom an assertion that a client signed itself may be for."""
        origin, tenant = self._directory.origin, self._directory.tenant_id
        endpoints = {f"{origin}/{tenant}/oauth2/v2.0/token", f"{origin}/{tenant}/oauth2/token"}
        return frozenset(endpoints | {self.v1_issuer, self.v2_issuer})

    def _sign_in(
        self, client_id: str, check: Callable[[Application], str | None], replica: int
    ) -> tuple[ServicePrincipal, str | None]:
        directory = self._directory
        application = directory.application(app_id=client_id)
        if application is None or application.body.seen_by(directory.replicas, replica) is None:
            raise TokenError(
                400,
                "unauthorized_client",
                700016,
                f"Application with identifier '{client_id}' was not found in the directory '{directory.tenant_id}'. "
                "This can happen if the application has not been installed by the administrator of the tenant or "
                "consented to by any user in the tenant. You may have sent your authentication request to the wrong "
                "tenant.",
            )
        principal = directory.principal_of(client_id)
        seen = principal.seen_by(directory.replicas, replica) if principal else None
        if principal is None or seen is None:
            message = (
                f"The client application {client_id} is missing service principal in the tenant {directory.tenant_id}."
            )
            raise TokenError(401, "invalid_client", 7000229, message)
        if not seen[0]["accountEnabled"]:
            message = f"Application '{client_id}'({application.last_body['displayName']}) is disabled."
            raise TokenError(400, "unauthorized_client", 7000112, message)
        return principal, check(application)

    def _check_secret(self, application: Application, secret: str) -> str:
        """The key id of the secret that it is."""
        now = self._now()
        expired = False
        for password in application.passwords:
            same = hmac.compare_digest(password.text.encode(), secret.encode())
            if not same or not self._is_known(password, now) or password.start > now + timedelta(minutes=5):
                continue
            if now < password.end:
                return password.key_id
            expired = True
        if expired:
            message = f"The provided client secret keys for app '{application.app_id}' are expired."
            raise TokenError(401, "invalid_client", 7000222, message)
        raise TokenError(
            401,
            "invalid_client",
            7000215,
            "Invalid client secret provided. Ensure the secret being sent in the request is the client secret value, "
            f"not the client secret ID, for a secret added to app '{application.app_id}'.",
        )

    def _is_known(self, password: Password, now: datetime) -> bool:
        """Whether the token endpoint has heard of the secret, and not yet of its removal."""
        if not self._has_heard(password.key_id, password.added_at, now):
            return False
        return password.removed_at is None or not self._has_heard(password.key_id, password.removed_at, now)

    def _has_heard(self, key_id: str, written_at: datetime, now: datetime) -> bool:
        """Not during the propagation; after it by turns, for as long as the replicas waver; then for good."""
        switches = self._directory.switches
        age = (now - written_at).total_seconds()
        if age < switches.secret_propagation:
            return False
        if age < switches.secret_propagation + switches.flapping:
            turn = self._wavering.setdefault(key_id, itertools.count(self._seed))
            return next(turn) % 2 == 0
        return True

    def _resource(self, name: str, replica: int) -> ServicePrincipal:
        """The service principal that a scope or resource parameter names."""
        directory = self._directory
        principal = directory.resource(constants.FHIR_RESOURCE if _MANAGED_FHIR.fullmatch(name) else name)
        seen = principal.seen_by(directory.replicas, replica) if principal is not None else None
        if principal is not None and seen is not None:
            if not seen[0]["accountEnabled"]:
                raise _resource_disabled(name)
            return principal
        raise TokenError(
            400,
            "invalid_resource",
            500011,
            f"The resource principal named {name} was not found in the tenant named {directory.tenant_id}. This can "
            "happen if the application has not been installed by the administrator of the tenant or consented to by "
            "any user in the tenant. You might have sent your authentication request to the wrong tenant.",
        )

    def _answer(self, principal: ServicePrincipal, resource: ServicePrincipal, name: str, by: str = "1") -> Json:
        roles = self._directory.roles_of(principal.id, resource)
        if resource.last_body["appRoleAssignmentRequired"] and not roles:
            message = (
                f"Application '{principal.app_id}' is not assigned to a role for the application '{resource.app_id}'."
            )
            raise TokenError(400, "invalid_grant", 501051, message)
        self._check_mapped_claims(resource, name)
        token = signing.issue(self._claims(principal, resource, name, roles, by), self._now())
        return {
            "token_type": "Bearer",
            "expires_in": signing.LIFETIME,
            "ext_expires_in": signing.LIFETIME,
            "access_token": token,
        }

    def _check_mapped_claims(self, resource: ServicePrincipal, name: str) -> None:
        """Tokens may carry mapped claims only where nobody else can have their audience."""
        application = resource.application
        if application is None or not application.last_body["api"]["acceptMappedClaims"]:
            return
        audience = name if token_version(application.last_body) == 1 else resource.app_id
        if audience.lower() != resource.app_id and not is_verified(audience, self._directory.verified_domains):
            message = (
                "AcceptMappedClaims is only supported for a token audience matching the application GUID or an audience"
                " within the tenant's verified domains. Either change the resource identifier, or use an "
                "application-specific signing key."
            )
            raise TokenError(400, "invalid_request", 501461, message)

    def _claims(
        self, principal: ServicePrincipal, resource: ServicePrincipal, name: str, roles: list[str], by: str
    ) -> Json:
        """The form of a token follows its resource, not the endpoint; `by` is 1 for a secret, 2 for an assertion."""
        application = resource.application
        version = token_version(application.last_body) if application else 1
        claims: Json = {"oid": principal.id, "sub": principal.id, "tid": self._directory.tenant_id}
        if version == 1:
            claims |= {"aud": name, "iss": self.v1_issuer, "appid": principal.app_id, "appidacr": by, "ver": "1.0"}
        else:
            claims |= {
                "aud": resource.app_id,
                "iss": self.v2_issuer,
                "azp": principal.app_id,
                "azpacr": by,
                "ver": "2.0",
            }
        if application and _wants_idtyp(application.last_body):
            claims["idtyp"] = "app"
        if roles:
            claims["roles"] = roles
        return claims

    def managed_identity(self, query: Mapping[str, str], header: str | None) -> Json:
        """GET /msi/token: the registrar signs in by being where it is."""
        if header != constants.IDENTITY_HEADER:
            raise IdentityError(401, "The X-IDENTITY-HEADER is missing or wrong.")
        if query.get("api-version") != IDENTITY_API_VERSION or not query.get("resource"):
            raise IdentityError(400, "The api-version must be 2019-08-01, and a resource must be named.")
        wanted = query.get("client_id") or query.get("principal_id") or query.get("object_id")
        if wanted not in constants.IDENTITIES or "mi_res_id" in query:
            raise IdentityError(400, "No managed identity with this id is assigned.")
        principal = self._directory.principals[constants.IDENTITIES[wanted]]
        try:
            resource = self._resource(query["resource"], replica=0)
        except TokenError as error:
            raise IdentityError(400, f"AADSTS{error.number}: {error.message}") from None
        answer = self._answer(principal, resource, query["resource"])
        return {
            "access_token": answer["access_token"],
            "client_id": principal.app_id,
            "expires_on": str(int(self._now().timestamp()) + signing.LIFETIME),
            "resource": query["resource"],
            "token_type": "Bearer",
        }

    def sign_in(self, account: Account) -> Json:
        """A token for the registrar's API, in the place of a sign-in by its pages or of a client's own request."""
        claims = {"aud": constants.API_CLIENT_ID, "iss": self.v2_issuer, **account.claims(self._directory.tenant_id)}
        return {
            "token_type": "Bearer",
            "expires_in": signing.LIFETIME,
            "access_token": signing.issue(claims, self._now()),
        }

    def verify(self, token: str, audiences: frozenset[str]) -> Json | None:
        """The claims of a token of ours for this audience, if it is valid now."""
        return signing.verify(token, audiences, frozenset({self.v1_issuer, self.v2_issuer}), self._now())

    def _check_tenant(self, tenant: str) -> None:
        if tenant.lower() != self._directory.tenant_id and tenant.lower() not in self._directory.verified_domains:
            message = f"Tenant '{tenant}' not found. Check to make sure you have the correct tenant ID."
            raise TokenError(400, "invalid_request", 90002, message)


def _wants_idtyp(body: Json) -> bool:
    claims = (body["optionalClaims"] or {}).get("accessToken", [])
    return any(claim["name"] == "idtyp" for claim in claims)


def _resource_disabled(name: str) -> TokenError:
    """Text and code are from public reports of tenants whose resource was disabled."""
    message = (
        f"The service principal for resource '{name}' is disabled. This indicate that a subscription within the tenant "
        "has lapsed, or that the administrator for this tenant has disabled the application, preventing tokens from "
        "being issued for it."
    )
    return TokenError(400, "invalid_resource", 500014, message)


def _missing(name: str) -> TokenError:
    return TokenError(
        400, "invalid_request", 900144, f"The request body must contain the following parameter: '{name}'."
    )


def _grant_unsupported(grant: str) -> TokenError:
    message = f"The app requested an unsupported grant type '{grant}'."
    return TokenError(400, "unsupported_grant_type", 70003, message)


def _credentials(form: Mapping[str, str], authorization: str | None) -> tuple[str, str]:
    """Client id and secret, from the form or from basic authentication (where both are form-encoded).

    The secret is empty where an assertion stands in its place.
    """
    client_id, secret = form.get("client_id", ""), form.get("client_secret", "")
    if authorization and authorization.lower().startswith("basic "):
        try:
            decoded = base64.b64decode(authorization[6:]).decode()
        except ValueError:
            decoded = ""
        name, _, password = decoded.partition(":")
        client_id, secret = unquote_plus(name), unquote_plus(password)
    if not client_id:
        raise _missing("client_id")
    if not is_guid(client_id):
        message = f"Specified client identifier '{client_id}' is neither an application id nor a URI."
        raise TokenError(400, "unauthorized_client", 900023, message)
    if not secret and not form.get("client_assertion"):
        message = "The request body must contain the following parameter: 'client_assertion' or 'client_secret'."
        raise TokenError(401, "invalid_client", 7000218, message)
    return client_id, secret


def _resource_of(form: Mapping[str, str], *, version: int) -> str:
    """What the token shall be for; v1 names a resource, v2 a scope of the form `{resource}/.default`."""
    if version == 1:
        if not form.get("resource"):
            raise _missing("resource")
        return form["resource"]
    scope = form.get("scope", "").strip()
    if not scope:
        raise _missing("scope")
    if " " in scope:
        message = (
            f"The provided request must include a 'scope' input parameter for one resource. Scope {scope} is not valid."
        )
        raise TokenError(400, "invalid_scope", 70011, message)
    if not scope.endswith(_DEFAULT) or scope == _DEFAULT:
        raise TokenError(
            400,
            "invalid_scope",
            1002012,
            f"The provided value for scope {scope} is not valid. Client credential flows must have a scope value with "
            "/.default suffixed to the resource identifier (application ID URI).",
        )
    return scope.removesuffix(_DEFAULT)
