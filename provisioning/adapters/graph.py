"""Directory over Microsoft Graph: one method, one sentence; never a repeat of its own."""

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError

from provisioning import trail
from provisioning.adapters.graph_answers import (
    application_of,
    born_secret,
    expiry_asked_for,
    secret_of,
    service_principal_of,
    trusted_token_of,
)
from provisioning.adapters.graph_errors import (
    REPLICATION,
    Refusal,
    certificate_error,
    error_of,
    name_taken_error,
    not_found_error,
    refusal,
    request_id,
)
from provisioning.adapters.pace import Pace
from provisioning.adapters.people import People
from provisioning.adapters.transport import TIMEOUT, BearerToken, next_page_token, retry_after
from provisioning.domain.directory import Application, Manifests, Marked, ResourceServicePrincipal, TrustedToken
from provisioning.domain.errors import NameTaken, OutcomeUnknown, ProvisioningError, TryAgain
from provisioning.domain.manifest import TAG, graph_time, marked_id
from provisioning.domain.readiness import SignedIn
from provisioning.domain.secrets import MintedSecret
from provisioning.domain.traces import as_guid
from provisioning.ports import Clock

logger = trail.logger(__name__)

PAGE: Final = 100
REMEMBERED_FOR: Final = timedelta(minutes=10)
REFUSAL_REMEMBERED_FOR: Final = timedelta(hours=1)
# What of an application a registration is rebuilt from, beside its certificates.
MANIFEST: Final = (
    *("id", "appId", "displayName", "description", "signInAudience", "tags", "notes", "uniqueName"),
    *("createdDateTime", "serviceManagementReference", "identifierUris", "api", "appRoles", "web", "spa"),
    *("publicClient", "requiredResourceAccess", "passwordCredentials", "isFallbackPublicClient"),
)
# The portal lists a service principal under Enterprise applications by this tag (Azure/azure-powershell #7646).
LISTED_IN_PORTAL: Final = "WindowsAzureActiveDirectoryIntegratedApp"


class _Refused(Exception):
    def __init__(self, refused: Refusal) -> None:
        super().__init__(refused.status)
        self.refused = refused


class _Unanswered(Exception):
    """The request may have taken effect; its answer did not arrive whole."""


class GraphDirectory:
    """Microsoft Entra, through one pooled session. Each call is one request, except where a method says so."""

    def __init__(self, endpoint: str, credential: TokenCredential, session: requests.Session, clock: Clock) -> None:
        self._root = f"{endpoint}/v1.0"
        self._session = session
        self._token = BearerToken(credential, f"{endpoint}/.default")
        self._clock = clock
        self._pace = Pace(clock)
        self._resources: dict[str, tuple[datetime, ResourceServicePrincipal]] = {}
        self._no_inline_secret_until: datetime | None = None
        self._people = People(self._read, clock)

    def create_application(self, body: Mapping[str, Any]) -> Application:
        """As the port says. Two requests where Graph refuses a secret in the create call: again, without it.

        The tenant refuses it to the next client too, so for an hour none is sent.
        """
        asked_at = self._clock.now()
        if self._no_inline_secret_until is not None and asked_at < self._no_inline_secret_until:
            body = {key: body[key] for key in body if key != "passwordCredentials"}
        try:
            answer = self._call("POST", "/applications", body)
        except _Refused as error:
            if error.refused.name_taken:
                raise NameTaken(name_taken_error(error.refused)) from None
            if error.refused.status == HTTPStatus.NOT_FOUND and "Directory_ObjectNotFound" not in error.refused.codes:
                raise not_found_error(error.refused) from None
            if "passwordCredentials" in body and error.refused.inline_secret_refused:
                self._no_inline_secret_until = self._clock.now() + REFUSAL_REMEMBERED_FOR
                return self.create_application(body)
            raise _error_of(error.refused, body) from None
        except _Unanswered:
            raise _unavailable() from None
        return replace(application_of(answer), secret=born_secret(answer, asked_at, expiry_asked_for(body)))

    def find_application(self, unique_name: str) -> Application | None:
        """As the port says."""
        found = self._read(
            f"/applications(uniqueName='{unique_name}')?$select=id,appId,signInAudience,tags,identifierUris"
        )
        return None if found is None else application_of(found)

    def read_application(self, object_id: str) -> Application | None:
        """As the port says."""
        select = "id,appId,signInAudience,tags,notes,identifierUris,web,spa,publicClient,passwordCredentials"
        found = self._read(f"/applications/{object_id}?$select={select}")
        return None if found is None else application_of(found)

    def marked_applications(self, continuation_token: str | None) -> Marked:
        """As the port says. Of the link to the next page only its token is kept, never the address."""
        skip = f"&$skiptoken={quote(continuation_token, safe='')}" if continuation_token else ""
        listed = self._read(f"/applications?$filter=tags/any(t:t eq '{TAG}')&$select=tags&$top={PAGE}{skip}")
        if listed is None:
            raise _unavailable()
        ids = (marked_id(found.get("tags") or ()) for found in listed["value"])
        try:
            return Marked(tuple(each for each in ids if each), next_page_token(listed.get("@odata.nextLink")))
        except ValueError:
            raise _unavailable() from None

    def marked_manifests(self, continuation_token: str | None) -> Manifests:
        """As the port says. Of the link to the next page only its token is kept, never the address."""
        skip = f"&$skiptoken={quote(continuation_token, safe='')}" if continuation_token else ""
        listed = self._read(
            f"/applications?$filter=tags/any(t:t eq '{TAG}')&$select={','.join(MANIFEST)}&$top={PAGE}{skip}"
        )
        if listed is None:
            raise _unavailable()
        try:
            return Manifests(tuple(listed["value"]), next_page_token(listed.get("@odata.nextLink")))
        except ValueError:
            raise _unavailable() from None

    def read_manifest(self, client_id: str) -> Mapping[str, Any] | None:
        """As the port says: only where one application is read does Graph show the certificates themselves."""
        return self._read(f"/applications(appId='{client_id}')?$select={','.join(MANIFEST)},keyCredentials")

    def trusted_tokens(self, object_id: str) -> tuple[TrustedToken, ...]:
        """As the port says."""
        listed = self._read(f"/applications/{object_id}/federatedIdentityCredentials")
        return tuple(map(trusted_token_of, listed["value"])) if listed else ()

    def owners_of(self, object_id: str) -> frozenset[str]:
        """As the port says."""
        listed = self._read(f"/applications/{object_id}/owners")
        return frozenset(str(each["id"]).lower() for each in listed["value"]) if listed else frozenset()

    def update_application(self, object_id: str, changes: Mapping[str, Any]) -> None:
        """As the port says."""
        self._repeatable("PATCH", f"/applications/{object_id}", changes)

    def delete_application(self, object_id: str) -> bool:
        """As the port says."""
        try:
            self._call("DELETE", f"/applications/{object_id}")
        except _Refused as error:
            if not error.refused.missing:
                raise error_of(error.refused) from None
            return False
        except _Unanswered:
            raise _unavailable() from None
        return True

    def create_service_principal(self, client_id: str) -> str:
        """As the port says. Two requests where it exists already: the second reads its id."""
        try:
            answer = self._call("POST", "/servicePrincipals", {"appId": client_id, "tags": [LISTED_IN_PORTAL]})
        except _Refused as error:
            if not error.refused.already_exists:
                raise error_of(error.refused) from None
        except _Unanswered:
            raise _unavailable() from None
        else:
            return str(answer["id"])
        found = self._read(f"/servicePrincipals(appId='{client_id}')?$select=id")
        if found is None:
            raise TryAgain(
                "not-replicated-yet",
                "Entra says that the service principal exists, but cannot read it.",
                remedy="It may still be replicating, or another service principal has one of its names: look for "
                "one with the same identifier URI and delete it, then retry.",
            )
        return str(found["id"])

    def add_secret(self, object_id: str, label: str, expires_at: datetime) -> MintedSecret:
        """As the port says."""
        asked_at = self._clock.now()
        body = {"passwordCredential": {"displayName": label, "endDateTime": graph_time(expires_at)}}
        try:
            answer = self._call("POST", f"/applications/{object_id}/addPassword", body)
        except _Refused as error:
            if error.refused.unfinished and not error.refused.concurrent:
                raise _mint_unknown(error.refused.request_id) from None
            raise error_of(error.refused) from None
        except _Unanswered:
            raise _mint_unknown() from None
        minted = secret_of(answer, asked_at, expires_at)
        if minted is None:
            raise _mint_unknown()
        return minted

    def remove_secret(self, object_id: str, key_id: str) -> None:
        """As the port says."""
        self._repeatable("POST", f"/applications/{object_id}/removePassword", {"keyId": key_id})

    def add_certificate(self, object_id: str, key: Mapping[str, str]) -> None:
        """As the port says. One request where it is there already, else two: a PATCH replaces the whole list."""
        path = f"/applications/{object_id}"
        found = self._read(f"{path}?$select=keyCredentials")  # which alone has Graph show the certificates themselves
        if found is None:
            raise TryAgain("not-replicated-yet", "Entra does not know the application, or not yet.", remedy=REPLICATION)
        there = found.get("keyCredentials") or []
        if all(each.get("key") != key["key"] for each in there):
            self._repeatable("PATCH", path, {"keyCredentials": [*there, dict(key)]})

    def trust_token(self, object_id: str, token: TrustedToken) -> TrustedToken:
        """As the port says. Two requests where one exists already: the second reads it."""
        path = f"/applications/{object_id}/federatedIdentityCredentials"
        body = {
            "name": token.name,
            "issuer": token.issuer,
            "subject": token.subject,
            "audiences": [token.audience],
        }
        try:
            self._call("POST", path, body)
        except _Refused as error:
            if not error.refused.already_exists:
                raise error_of(error.refused) from None
        except _Unanswered:
            raise _unavailable() from None
        else:
            return token
        listed = self._read(path)
        found = [trusted_token_of(each) for each in listed["value"]] if listed else []
        claims = (token.issuer, token.subject)
        for same in (each for each in found if each.name == token.name or (each.issuer, each.subject) == claims):
            return same
        raise TryAgain(
            "not-replicated-yet",
            "Entra says that the federated credential exists, but does not list it.",
            remedy="If it lasts, look at the federated credentials of the application in Entra, then retry.",
        )

    def find_resource(self, name: str) -> ResourceServicePrincipal | None:
        """As the port says. Only one that was found is remembered: an absent one may be created at any moment."""
        until, known = self._resources.get(name, (None, None))
        if until is not None and self._clock.now() < until:
            return known
        # Without a lock: two threads may both ask, but none waits for the time-out of another.
        found = self._find_service_principal(name)
        if found is not None:
            self._resources[name] = (self._clock.now() + REMEMBERED_FOR, found)
        return found

    def knows(self, object_id: str) -> bool | None:
        """As the port says."""
        return self._people.knows(object_id)

    def signed_in(self) -> SignedIn:
        """As the port says. No request, but for the token."""
        try:
            claims = self._token.claims()
        except AzureError:
            raise _no_token() from None
        except ValueError:
            raise _unavailable() from None
        person = "scp" in claims
        permissions = str(claims["scp"]).split() if person else claims.get("roles") or ()
        return SignedIn(
            str(claims.get("oid", "")).lower(),
            str(claims.get("appid") or claims.get("azp") or "").lower(),
            frozenset(map(str, permissions)),
            person,
        )

    def _find_service_principal(self, name: str) -> ResourceServicePrincipal | None:
        select = "$select=id,appId,oauth2PermissionScopes,appRoles"
        try:
            uuid.UUID(name)
        except ValueError:
            quoted = quote(name.replace("'", "''"), safe="")
            listed = self._read(f"/servicePrincipals?$filter=servicePrincipalNames/any(n:n eq '{quoted}')&{select}")
            found = next(iter(listed["value"]), None) if listed else None
        else:
            found = self._read(f"/servicePrincipals(appId='{name}')?{select}")
        return None if found is None else service_principal_of(found)

    def _read(self, path: str) -> dict[str, Any] | None:
        """Return what is there, or None where Graph says that there is nothing."""
        try:
            return self._call("GET", path)
        except _Refused as error:
            if error.refused.missing:
                return None
            raise error_of(error.refused) from None
        except _Unanswered:
            raise _unavailable() from None

    def _repeatable(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        try:
            self._call(method, path, body)
        except _Refused as error:
            raise _error_of(error.refused, body) from None
        except _Unanswered:
            raise _unavailable() from None

    def _call(self, method: str, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """Send one request and return its answer; raise _Refused, _Unanswered, or TryAgain when nothing was sent."""
        response = self._send(method, path, None) if method == "GET" else self._send_in_turn(method, path, body)
        if not response.ok or response.is_redirect:
            raise _Refused(refusal(response, self._clock.now()))
        if response.status_code == HTTPStatus.NO_CONTENT:
            return {}
        try:
            answer = response.json()
        except ValueError:
            raise _Unanswered from None
        if not isinstance(answer, dict):
            raise _Unanswered
        return answer

    def _send_in_turn(self, method: str, path: str, body: Mapping[str, Any] | None) -> requests.Response:
        """Send a write when it is its turn, and learn from the answer how fast they may go out."""
        self._pace.wait()
        response = self._send(method, path, body)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            self._pace.slow_down(retry_after(response.headers, self._clock.now()))
        else:
            self._pace.let_through()
        return response

    def _send(self, method: str, path: str, body: Mapping[str, Any] | None) -> requests.Response:
        client_request_id = as_guid(trail.current().trace_id)
        try:
            response = self._session.request(
                method,
                self._root + path,
                json=body,
                auth=self._token,
                headers={"client-request-id": client_request_id, "Accept": "application/json"},
                timeout=TIMEOUT,
                allow_redirects=False,
            )
        except AzureError:
            # A hiccup of the identity endpoint reads like a missing configuration, so it is never taken for one.
            raise _no_token() from None
        except requests.ConnectTimeout:
            raise _unavailable() from None
        except requests.RequestException:
            raise _Unanswered from None
        operation = path.partition("?")[0].partition("(")[0].rpartition("/")[2]
        theirs = request_id(response.headers.get("request-id"))
        ids = f"client-request-id {client_request_id}, request-id {theirs}"
        logger.info("graph %s %s: %d, %s", method, operation, response.status_code, ids)
        return response


def _error_of(refused: Refusal, body: Mapping[str, Any]) -> ProvisioningError:
    return (certificate_error(refused) if "keyCredentials" in body else None) or error_of(refused)


def _no_token() -> TryAgain:
    return TryAgain(
        "no-identity-token",
        "No token could be had for Microsoft Graph.",
        remedy="If it lasts, check that the app has a managed identity and AZURE_CLIENT_ID names it.",
    )


def _unavailable() -> ProvisioningError:
    return TryAgain(
        "graph-unavailable",
        "Microsoft Graph could not be reached, or its answer was lost.",
        remedy="If it lasts, see the health of Microsoft Graph and the app's network, then retry.",
    )


def _mint_unknown(request_id: str | None = None) -> OutcomeUnknown:
    return OutcomeUnknown(
        "secret-outcome-unknown",
        "Whether Entra added a secret is not known; if it did, nobody has its text.",
        remedy="If it lasts, see the health of Microsoft Graph, then retry.",
        graph_request_id=request_id,
    )
