"""App Service Authentication in front of the app, as far as the app can tell: where CALLER_AUTH is entra.

Sources: "Work with user identities in Azure App Service authentication" (the headers, which requests from outside
cannot set; claim mapping, with the token store on), "Configure Microsoft Entra authentication" (allowed applications),
"Authentication and authorization in App Service" (a browser's POST with a session and a foreign origin is refused),
"Environment variables and app settings reference" (WEBSITE_AUTH_…).

Limits: the tenant is the emulated one. A session is that of whoever has signed in with the browser (`sessions.py`), or
whom `--as` names. The header `X-Dev-As` is of this host alone: it stands for a token of whom it names.
"""

from __future__ import annotations

import base64
import json
import logging
from dataclasses import replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Literal
from urllib.parse import urlsplit

import jwt
import requests

from dev.host.routes import Response
from dev.host.sessions import Sessions
from dev.host.settings import HostError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

    from dev.host.routes import Request

log = logging.getLogger("dev.host")

Claims = Literal["long", "short"]
EXCLUDED_PATHS = ("/api/health", "/api/docs", "/api/openapi.json", "/api/page/*", "/api/chat/slack", "/api/chat/teams")
_WRITTEN = "x-ms-"
_AS = "x-dev-as"
_SKEW_SECONDS = 300
_TIMEOUT = 10
# How the token store renames claims; others keep the names that Entra gave them, `groups` among them.
_LONG_NAMES = {
    "oid": "http://schemas.microsoft.com/identity/claims/objectidentifier",
    "tid": "http://schemas.microsoft.com/identity/claims/tenantid",
    "scp": "http://schemas.microsoft.com/identity/claims/scope",
    "roles": "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
    "sub": "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier",
}
_TYPES = {
    "short": ("name", "roles"),
    "long": ("http://schemas.xmlsoap.org/ws/2005/05/identity/claims/emailaddress", _LONG_NAMES["roles"]),
}


def configuration(issuer: str, client_id: str, clients: Collection[str]) -> dict[str, Any]:
    """Returns what the platform tells the app of its own configuration (Microsoft.Web/sites/config, authsettingsV2)."""
    return {
        "platform": {"enabled": True, "runtimeVersion": "~1"},
        "globalValidation": {
            "requireAuthentication": True,
            "unauthenticatedClientAction": "Return401",
            "excludedPaths": list(EXCLUDED_PATHS),
        },
        "identityProviders": {
            "azureActiveDirectory": {
                "enabled": True,
                "registration": {"openIdIssuer": issuer, "clientId": client_id},
                "validation": {"defaultAuthorizationPolicy": {"allowedApplications": list(clients)}},
            }
        },
    }


def principal(claims: Mapping[str, Any], names: Claims) -> str:
    """Returns the value of X-MS-CLIENT-PRINCIPAL: a claim of several values is repeated, and all are texts."""
    renamed = _LONG_NAMES if names == "long" else {}
    name_type, role_type = _TYPES[names]
    listed = [
        {"typ": renamed.get(name, name), "val": value if isinstance(value, str) else json.dumps(value)}
        for name, values in claims.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    content = {"auth_typ": "aad", "claims": listed, "name_typ": name_type, "role_typ": role_type}
    return base64.b64encode(json.dumps(content).encode()).decode()


class _Refused(Exception):
    """The platform answers itself; the app does not hear of the request."""

    def __init__(self, status: HTTPStatus, text: str, *headers: tuple[str, str]) -> None:
        super().__init__(text)
        self.response = Response(status, (("content-type", "text/plain; charset=utf-8"), *headers), text.encode())


class Platform:
    """Lets in whom the emulated tenant vouches for, and tells the app who it is.

    Raises:
        HostError: The tenant cannot be asked, or nobody in it is called like `signed_in_as`.
    """

    def __init__(
        self,
        settings: Mapping[str, str],
        *,
        names: Claims = "short",
        signed_in_as: str | None = None,
        session: requests.Session | None = None,
    ) -> None:
        self._authority = settings.get("AZURE_AUTHORITY_HOST", "").rstrip("/")
        self._issuer = f"{self._authority}/{settings.get('AZURE_TENANT_ID', '')}/v2.0"
        self._names = names
        self._signed_in_as = signed_in_as
        self._session = session or requests.Session()
        self._keys: dict[str, jwt.PyJWK] = {}
        try:
            accounts = self._asked("GET", f"{self._authority}/_emulator/accounts")
        except requests.RequestException as error:
            raise HostError(
                "CALLER_AUTH is entra, and this host plays the platform for the emulated tenant alone, which is not "
                "served at AZURE_AUTHORITY_HOST; --no-platform goes without"
            ) from error
        self._client_id, self._clients = str(accounts["api"]), list(accounts["clients"])
        self._known = [each["name"] for each in accounts["value"]]
        self._sessions = Sessions([each["name"] for each in accounts["value"] if each["person"]])
        if signed_in_as is not None and signed_in_as not in self._known:
            raise HostError(f"--as: nobody is called {signed_in_as}; known are {', '.join(self._known)}")

    def settings(self) -> dict[str, str]:
        """The app settings that the platform puts there."""
        content = configuration(self._issuer, self._client_id, self._clients)
        return {"WEBSITE_AUTH_ENABLED": "True", "WEBSITE_AUTH_V2_CONFIG_JSON": json.dumps(content)}

    def answer(self, request: Request, app: Callable[[Request], Response]) -> Response:
        """Answers a request, or has the app answer it with the headers that name its caller.

        On an excluded path the app gets a request as it came: no document says that its headers are taken off there.
        """
        if _is_excluded(request.path):
            return app(request)
        own = self._sessions.answer(request)
        if own is not None:
            return own
        headers = {name: value for name, value in request.headers.items() if not name.startswith(_WRITTEN)}
        try:
            named = self._named(replace(request, headers=headers))
        except _Refused as refused:
            return refused.response
        except requests.RequestException:
            log.exception("The tenant cannot be asked who calls")
            return Response(HTTPStatus.INTERNAL_SERVER_ERROR)
        return app(named)

    def _named(self, request: Request) -> Request:
        """Returns the request with the headers that name its caller; raises _Refused where nobody is known."""
        request = self._acting(request)
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        claims = self._by_token(token.strip()) if scheme.lower() == "bearer" else self._by_session(request)
        written = {
            "x-ms-client-principal": principal(claims, self._names),
            "x-ms-client-principal-id": str(claims["oid"]),
            "x-ms-client-principal-idp": "aad",
        }
        if "preferred_username" in claims:
            written["x-ms-client-principal-name"] = str(claims["preferred_username"])
        return replace(request, headers=request.headers | written)

    def _acting(self, request: Request) -> Request:
        """Puts a token in the place of X-Dev-As."""
        headers = dict(request.headers)
        name = headers.pop(_AS, None)
        if name is None:
            return request
        if name not in self._known or "authorization" in headers:
            known = ", ".join(self._known)
            raise _Refused(HTTPStatus.UNAUTHORIZED, f"X-Dev-As is one of {known}, and stands for Authorization.")
        return replace(request, headers=headers | {"authorization": f"Bearer {self._token(name)}"})

    def _by_token(self, token: str) -> Mapping[str, Any]:
        claims = self._verified(token)
        if claims is None:
            raise _unauthenticated()
        if claims.get("azp") not in self._clients:
            raise _Refused(HTTPStatus.FORBIDDEN, "This application may not call.")
        return claims

    def _by_session(self, request: Request) -> Mapping[str, Any]:
        """Returns what a session holds: the claims of the sign-in, whose token is not on the request."""
        name = self._sessions.name(request) or self._signed_in_as
        if name is None:
            raise _unauthenticated()
        if _is_foreign(request):
            raise _Refused(HTTPStatus.FORBIDDEN, "A page of another origin may not post.")
        return self._by_token(self._token(name))

    def _token(self, name: str) -> str:
        return str(self._asked("POST", f"{self._authority}/_emulator/accounts/{name}/token")["access_token"])

    def _verified(self, token: str) -> dict[str, Any] | None:
        """Returns the claims of a token of the tenant for this API that is valid now, and nothing for any other."""
        try:
            key = self._key(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                return None
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=self._client_id,
                issuer=self._issuer,
                leeway=_SKEW_SECONDS,
                options={"require": ["exp", "nbf", "iss", "aud", "oid"]},
            )
        except jwt.PyJWTError:
            return None
        return claims

    def _key(self, key_id: str) -> jwt.PyJWK | None:
        """Returns a key of the tenant, which are asked for again when one is not known."""
        if key_id not in self._keys:
            metadata = self._asked("GET", f"{self._issuer}/.well-known/openid-configuration")
            keys = jwt.PyJWKSet.from_dict(self._asked("GET", metadata["jwks_uri"])).keys
            self._keys = {key.key_id: key for key in keys if key.key_id}
        return self._keys.get(key_id)

    def _asked(self, method: str, url: str) -> dict[str, Any]:
        answer = self._session.request(method, url, timeout=_TIMEOUT)
        answer.raise_for_status()
        content: dict[str, Any] = answer.json()
        return content


def _is_excluded(path: str) -> bool:
    """Whether nobody has to sign in for a path; one that ends in a wildcard leads to no other folder."""
    return "/../" not in path and any(
        path.startswith(each.removesuffix("*")) if each.endswith("*") else path == each for each in EXCLUDED_PATHS
    )


def _is_foreign(request: Request) -> bool:
    """Whether a browser posts from a page of another origin, or does not say from where."""
    if request.method != "POST" or "mozilla" not in request.headers.get("user-agent", "").lower():
        return False
    origin = request.headers.get("origin") or request.headers.get("referer") or ""
    return urlsplit(origin).netloc != request.headers.get("host")


def _unauthenticated() -> _Refused:
    text = "You do not have permission to view this directory or page."
    return _Refused(HTTPStatus.UNAUTHORIZED, text, ("www-authenticate", 'Bearer realm="local-functions-host"'))
