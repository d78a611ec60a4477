"""Directory over Microsoft Graph: one method, one sentence; never a repeat of its own."""

import uuid
from collections.abc import Collection, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from provisioning.adapters.graph_answers import (
    CHANGED,
    application_of,
    born_secret,
    certificate_of,
    expiry_asked_for,
    secret_of,
    service_principal_of,
    trusted_token_of,
)
from provisioning.adapters.graph_calls import GraphCalls, Refused, Unanswered, error_about, unavailable
from provisioning.adapters.graph_errors import REPLICATION, error_of, name_taken_error, not_found_error
from provisioning.adapters.people import People
from provisioning.adapters.transport import next_page_token
from provisioning.domain.directory import (
    Application,
    CertificateThere,
    Manifests,
    Marked,
    ResourceServicePrincipal,
    TrustedToken,
)
from provisioning.domain.errors import NameTaken, OutcomeUnknown, TryAgain
from provisioning.domain.manifest import TAG, graph_time, marked_id
from provisioning.domain.readiness import SignedIn
from provisioning.domain.secrets import MintedSecret
from provisioning.ports import Clock

PAGE: Final = 100
REMEMBERED_FOR: Final = timedelta(minutes=10)
REFUSAL_REMEMBERED_FOR: Final = timedelta(hours=1)
# What of an application a registration is rebuilt from, beside its certificates.
MANIFEST: Final = (
    *("id", "appId", "displayName", "description", "signInAudience", "tags", "notes", "uniqueName"),
    *("createdDateTime", "serviceManagementReference", "identifierUris", "api", "appRoles", "web", "spa"),
    *("publicClient", "requiredResourceAccess", "passwordCredentials", "isFallbackPublicClient"),
)
# So many of what belongs to an object of the directory Graph expands, and no address of the rest (known issues of
# Microsoft Graph, "$expand on relationships of directory objects").
MOST_EXPANDED: Final = 20
# The portal lists a service principal under Enterprise applications by this tag (Azure/azure-powershell #7646).
LISTED_IN_PORTAL: Final = "WindowsAzureActiveDirectoryIntegratedApp"


class GraphDirectory:
    """Microsoft Entra. Each call is one request, except where a method says so."""

    def __init__(self, calls: GraphCalls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        self._resources: dict[str, tuple[datetime, ResourceServicePrincipal]] = {}
        self._no_inline_secret_until: datetime | None = None
        self._disabled: tuple[datetime | None, frozenset[str]] = (None, frozenset())
        self._people = People(calls.read, clock)

    def create_application(self, body: Mapping[str, Any]) -> Application:
        """As the port says. Two requests where Graph refuses a secret in the create call: again, without it.

        The tenant refuses it to the next client too, so for an hour none is sent.
        """
        asked_at = self._clock.now()
        if self._no_inline_secret_until is not None and asked_at < self._no_inline_secret_until:
            body = {key: body[key] for key in body if key != "passwordCredentials"}
        try:
            answer = self._calls.call("POST", "/applications", body)
        except Refused as error:
            if error.refused.name_taken:
                raise NameTaken(name_taken_error(error.refused)) from None
            if error.refused.status == HTTPStatus.NOT_FOUND and "Directory_ObjectNotFound" not in error.refused.codes:
                raise not_found_error(error.refused) from None
            if "passwordCredentials" in body and error.refused.inline_secret_refused:
                self._no_inline_secret_until = self._clock.now() + REFUSAL_REMEMBERED_FOR
                return self.create_application(body)
            raise error_about(error.refused, body) from None
        except Unanswered:
            raise unavailable() from None
        return replace(application_of(answer), secret=born_secret(answer, asked_at, expiry_asked_for(body)))

    def find_application(self, unique_name: str) -> Application | None:
        """As the port says."""
        found = self._calls.read(
            f"/applications(uniqueName='{unique_name}')?$select=id,appId,signInAudience,tags,identifierUris"
        )
        return None if found is None else application_of(found)

    def read_application(self, object_id: str, *, owners: bool = False) -> Application | None:
        """As the port says. Owners cost no request of their own, unless there are more than Graph expands."""
        select = ",".join(
            ("id", "appId", "signInAudience", "identifierUris", "passwordCredentials", "keyCredentials", *CHANGED)
        )
        expand = "&$expand=owners" if owners else ""
        found = self._calls.read(f"/applications/{object_id}?$select={select}{expand}")
        if found is None:
            return None
        application = application_of(found)
        if application.owners is not None and len(application.owners) >= MOST_EXPANDED:
            return replace(application, owners=self.owners_of(object_id))
        return application

    def marked_applications(self, continuation_token: str | None) -> Marked:
        """As the port says. Of the link to the next page only its token is kept, never the address."""
        skip = f"&$skiptoken={quote(continuation_token, safe='')}" if continuation_token else ""
        listed = self._calls.read(f"/applications?$filter=tags/any(t:t eq '{TAG}')&$select=tags&$top={PAGE}{skip}")
        if listed is None:
            raise unavailable()
        ids = (marked_id(found.get("tags") or ()) for found in listed["value"])
        try:
            return Marked(tuple(each for each in ids if each), next_page_token(listed.get("@odata.nextLink")))
        except ValueError:
            raise unavailable() from None

    def marked_manifests(self, continuation_token: str | None) -> Manifests:
        """As the port says. Of the link to the next page only its token is kept, never the address."""
        skip = f"&$skiptoken={quote(continuation_token, safe='')}" if continuation_token else ""
        listed = self._calls.read(
            f"/applications?$filter=tags/any(t:t eq '{TAG}')&$select={','.join(MANIFEST)}&$top={PAGE}{skip}"
        )
        if listed is None:
            raise unavailable()
        try:
            return Manifests(tuple(listed["value"]), next_page_token(listed.get("@odata.nextLink")))
        except ValueError:
            raise unavailable() from None

    def read_manifest(self, client_id: str) -> Mapping[str, Any] | None:
        """As the port says: only where one application is read does Graph show the certificates themselves."""
        return self._calls.read(f"/applications(appId='{client_id}')?$select={','.join(MANIFEST)},keyCredentials")

    def trusted_tokens(self, object_id: str) -> tuple[TrustedToken, ...]:
        """As the port says."""
        listed = self._calls.read(f"/applications/{object_id}/federatedIdentityCredentials")
        return tuple(map(trusted_token_of, listed["value"])) if listed else ()

    def disabled_clients(self) -> frozenset[str]:
        """As the port says: a request for each hundred that are disabled, which are few."""
        now, (until, known) = self._clock.now(), self._disabled
        if until is None or now >= until:
            known = self._list_disabled()
            self._disabled = (now + REMEMBERED_FOR, known)
        return known

    def _list_disabled(self) -> frozenset[str]:
        """Ask by the tag, which a service principal shows of its application."""
        asked = f"/servicePrincipals?$filter=tags/any(t:t eq '{TAG}') and accountEnabled eq false&$select=appId"
        found, token = set[str](), None
        while True:
            skip = f"&$skiptoken={quote(token, safe='')}" if token else ""
            listed = self._calls.read(f"{asked}&$top={PAGE}{skip}")
            if listed is None:
                raise unavailable()
            found |= {str(each["appId"]).lower() for each in listed["value"]}
            try:
                token = next_page_token(listed.get("@odata.nextLink"))
            except ValueError:
                raise unavailable() from None
            if token is None:
                return frozenset(found)

    def owners_of(self, object_id: str) -> frozenset[str]:
        """As the port says."""
        listed = self._calls.read(f"/applications/{object_id}/owners")
        return frozenset(str(each["id"]).lower() for each in listed["value"]) if listed else frozenset()

    def update_application(self, object_id: str, changes: Mapping[str, Any]) -> None:
        """As the port says."""
        self._calls.repeatable("PATCH", f"/applications/{object_id}", changes)

    def delete_application(self, object_id: str) -> bool:
        """As the port says."""
        try:
            self._calls.call("DELETE", f"/applications/{object_id}")
        except Refused as error:
            if not error.refused.missing:
                raise error_of(error.refused) from None
            return False
        except Unanswered:
            raise unavailable() from None
        return True

    def create_service_principal(self, client_id: str) -> str:
        """As the port says. Two requests where it exists already: the second reads its id."""
        try:
            answer = self._calls.call("POST", "/servicePrincipals", {"appId": client_id, "tags": [LISTED_IN_PORTAL]})
        except Refused as error:
            if not error.refused.already_exists:
                raise error_of(error.refused) from None
        except Unanswered:
            raise unavailable() from None
        else:
            return str(answer["id"])
        found = self._calls.read(f"/servicePrincipals(appId='{client_id}')?$select=id")
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
            answer = self._calls.call("POST", f"/applications/{object_id}/addPassword", body)
        except Refused as error:
            if error.refused.unfinished and not error.refused.concurrent:
                raise _mint_unknown(error.refused.request_id) from None
            raise error_of(error.refused) from None
        except Unanswered:
            raise _mint_unknown() from None
        minted = secret_of(answer, asked_at, expires_at)
        if minted is None:
            raise _mint_unknown()
        return minted

    def remove_secret(self, object_id: str, key_id: str) -> None:
        """As the port says."""
        self._calls.repeatable("POST", f"/applications/{object_id}/removePassword", {"keyId": key_id})

    def add_certificate(self, object_id: str, key: Mapping[str, str]) -> None:
        """As the port says. One request where it is there already, else two: a PATCH replaces the whole list."""
        there = self._key_credentials(object_id)
        if there is None:
            raise TryAgain("not-replicated-yet", "Entra does not know the application, or not yet.", remedy=REPLICATION)
        if all(each.get("key") != key["key"] for each in there):
            self.update_application(object_id, {"keyCredentials": [*there, dict(key)]})

    def certificates(self, object_id: str) -> tuple[CertificateThere, ...] | None:
        """As the port says."""
        there = self._key_credentials(object_id)
        return None if there is None else tuple(map(certificate_of, there))

    def remove_certificates(self, object_id: str, key_ids: Collection[str]) -> None:
        """As the port says. One request where none is there any more, else two: a PATCH replaces the whole list."""
        there = self._key_credentials(object_id) or []
        left = [each for each in there if each.get("keyId") not in key_ids]
        if left != there:
            self.update_application(object_id, {"keyCredentials": left})

    def _key_credentials(self, object_id: str) -> list[dict[str, Any]] | None:
        """Return the certificates as Graph has them: it shows them where they alone are asked for."""
        found = self._calls.read(f"/applications/{object_id}?$select=keyCredentials")
        return None if found is None else list(found.get("keyCredentials") or [])

    def distrust_token(self, object_id: str, name: str) -> None:
        """As the port says."""
        try:
            self._calls.call("DELETE", f"/applications/{object_id}/federatedIdentityCredentials/{name}")
        except Refused as error:
            if not error.refused.missing:
                raise error_of(error.refused) from None
        except Unanswered:
            raise unavailable() from None

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
            self._calls.call("POST", path, body)
        except Refused as error:
            if not error.refused.already_exists:
                raise error_of(error.refused) from None
        except Unanswered:
            raise unavailable() from None
        else:
            return token
        listed = self._calls.read(path)
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

    def kind_of(self, object_id: str) -> str | None:
        """As the port says."""
        return self._people.kind_of(object_id)

    def signed_in(self) -> SignedIn:
        """As the port says. No request, but for the token."""
        return self._calls.signed_in()

    def _find_service_principal(self, name: str) -> ResourceServicePrincipal | None:
        select = "$select=id,appId,oauth2PermissionScopes,appRoles"
        try:
            uuid.UUID(name)
        except ValueError:
            quoted = quote(name.replace("'", "''"), safe="")
            listed = self._calls.read(
                f"/servicePrincipals?$filter=servicePrincipalNames/any(n:n eq '{quoted}')&{select}"
            )
            found = next(iter(listed["value"]), None) if listed else None
        else:
            found = self._calls.read(f"/servicePrincipals(appId='{name}')?{select}")
        return None if found is None else service_principal_of(found)


def _mint_unknown(request_id: str | None = None) -> OutcomeUnknown:
    return OutcomeUnknown(
        "secret-outcome-unknown",
        "Whether Entra added a secret is not known; if it did, nobody has its text.",
        remedy="If it lasts, see the health of Microsoft Graph, then retry.",
        graph_request_id=request_id,
    )
