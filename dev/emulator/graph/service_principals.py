"""Graph's operations on service principals; those on their applications are `applications.py`'s."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from dev.emulator import constants
from dev.emulator.errors import GraphError, Json, not_found
from dev.emulator.graph.records import Application, Caller, ServicePrincipal
from dev.emulator.graph.replication import Versioned
from dev.emulator.shapes import Check, distinct, flag, guid, nullable, read, text

if TYPE_CHECKING:
    from dev.emulator.graph.directory import Directory

_FIELDS: dict[str, Check] = {
    "appId": guid,
    "accountEnabled": flag,
    "appRoleAssignmentRequired": flag,
    "tags": distinct(text(256, 1)),
    "notes": nullable(text(1024)),
}
_DEFAULTS: Json = {"accountEnabled": True, "appRoleAssignmentRequired": False, "tags": [], "notes": None}
_KNOWN_ELSEWHERE = frozenset(
    {constants.GRAPH_APP_ID, constants.VAULT_APP_ID, constants.FHIR_APP_ID, constants.ARM_APP_ID}
)


class ServicePrincipals:
    """Each method is one operation: checks the caller, then the body, then acts."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def create(self, by: Caller, body: Json) -> Json:
        """POST /servicePrincipals."""
        directory = self._directory
        directory.may_write(by)
        asked = read(body, _FIELDS, ("appId",), "ServicePrincipal")
        app_id = str(asked.pop("appId"))
        if directory.principal_of(app_id) is not None:
            raise GraphError(
                409,
                "Request_MultipleObjectsWithSameKeyValue",
                "The service principal cannot be created, updated, or restored because the service principal name "
                f"{app_id} is already in use.",
            )
        application = directory.application(app_id=app_id)
        if application is None or application.body.latest is None:
            raise self._not_local() if app_id in _KNOWN_ELSEWHERE else self._no_backing(app_id)
        if application.body.seen_by(directory.replicas, by.replica) is None:
            raise self._unreplicated(app_id)
        directory.may_write(by, application)
        return self._store(by, application, {**copy.deepcopy(_DEFAULTS), **asked})

    def _store(self, by: Caller, application: Application, stored: Json) -> Json:
        directory = self._directory
        principal = ServicePrincipal(
            number=directory.next_number(),
            id=directory.new_id(),
            app_id=application.app_id,
            application=application,
            published={},
            body=Versioned(directory.now(), stored),
            last_body=stored,
            owners={by.object_id},
        )
        directory.add_service_principal(principal)
        assert application.body.latest is not None
        return self._shown(principal, stored, application.body.latest)

    def _unreplicated(self, app_id: str) -> GraphError:
        choice = self._directory.switches.unreplicated_principal
        if choice == "alternate":
            choice = "forbidden" if next(self._directory.misleading) % 2 else "badRequest"
        return self._not_local() if choice == "forbidden" else self._no_backing(app_id)

    @staticmethod
    def _no_backing(app_id: str) -> GraphError:
        message = f"The appId '{app_id}' of the service principal does not reference a valid application object."
        detail = {"code": "NoBackingApplicationObject", "message": message, "target": "appId"}
        return GraphError(400, "Request_BadRequest", message, [detail])

    @staticmethod
    def _not_local() -> GraphError:
        """Graph's own words; also, misleadingly, for an application that a replica has not seen yet."""
        return GraphError(
            403,
            "Authorization_RequestDenied",
            "When using this permission, the backing application of the service principal being created must in the "
            "local tenant",
        )

    def read(self, by: Caller, **key: str) -> Json:
        """GET of one service principal."""
        self._directory.may_read(by)
        principal = self._directory.find_principal(by, **key)
        seen = principal.seen_by(self._directory.replicas, by.replica)
        assert seen is not None
        return self._shown(principal, *seen)

    def listed(self, by: Caller) -> list[Json]:
        """All service principals that the caller's replica has."""
        directory = self._directory
        directory.may_read(by)
        return [
            {**self._shown(principal, *seen), "#": principal.number}
            for principal in directory.principals.values()
            if (seen := principal.seen_by(directory.replicas, by.replica)) is not None
        ]

    def update(self, by: Caller, body: Json, **key: str) -> None:
        """PATCH of one service principal."""
        principal = self._find_owned(by, **key)
        fields = {name: check for name, check in _FIELDS.items() if name != "appId"}
        after = {**principal.last_body, **read(body, fields, resource="ServicePrincipal")}
        principal.body.put(self._directory.now(), after)
        principal.last_body = after

    def delete(self, by: Caller, **key: str) -> None:
        """DELETE of one service principal; its application stays."""
        principal = self._find_owned(by, **key)
        self._directory.retire_service_principal(principal)

    def _find_owned(self, by: Caller, **key: str) -> ServicePrincipal:
        self._directory.may_write(by)
        principal = self._directory.find_principal(by, **key)
        self._directory.may_write(by, principal)
        if principal.body.latest is None:
            raise not_found(next(iter(key.values())))
        return principal

    def _shown(self, principal: ServicePrincipal, own: Json, face: Json) -> Json:
        application = principal.application
        published = principal.published_by(face) if application else face
        homed = published.get("appOwnerOrganizationId") if application is None else self._directory.tenant_id
        return {
            "id": principal.id,
            "deletedDateTime": None,
            "accountEnabled": own["accountEnabled"],
            "appDisplayName": published["displayName"],
            "appId": principal.app_id,
            "appOwnerOrganizationId": homed,
            "appRoleAssignmentRequired": own["appRoleAssignmentRequired"],
            "appRoles": published["appRoles"],
            "displayName": published["displayName"],
            "notes": own.get("notes"),
            "oauth2PermissionScopes": published["oauth2PermissionScopes"],
            "servicePrincipalNames": published["servicePrincipalNames"],
            "servicePrincipalType": published.get("servicePrincipalType", "Application"),
            "signInAudience": published.get("signInAudience", "AzureADMultipleOrgs"),
            # An application's tags show on its service principal, too.
            "tags": [*own["tags"], *(tag for tag in (face["tags"] if application else []) if tag not in own["tags"])],
        }
