"""The applications of Microsoft, and one of somebody else, that the tenant holds from the start."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

from dev.emulator import constants

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.emulator.errors import Json

_NAMESPACE = uuid.UUID("a3f1c1de-5c5e-4b0c-9d57-0f3e0b6a1c11")

# Ids of Microsoft Graph's own roles and scopes are the same in every tenant.
GRAPH_ROLES = {
    constants.OWNED_BY: "18a4783c-866b-4cc7-a460-3d5e5662c884",
    constants.READ_WRITE_ALL: "1bfefb4e-e0b5-418b-a88f-73c46d2cc8e9",
    constants.APPLICATION_READ_ALL: "9a5d68dd-52b0-4cc2-bd40-abcf44ac3a30",
    constants.USER_READ_ALL: "df021288-bdef-4463-88db-98f22de89214",
    constants.GROUP_MEMBER_READ_ALL: "98830695-27a2-44f7-8c18-0c3ebc9698f6",
    constants.ASSIGN_ROLES: "06b708a9-e830-4db3-a914-8e69da51d44f",
    constants.AUDIT_LOG_READ_ALL: "b0afded3-3588-46d8-8b3d-9842eff778da",
    constants.DIRECTORY_READ_ALL: "7ab1d382-f21e-4acd-a863-ba3e13f7da61",
    constants.MANAGE_ROLES: "9e3f62cf-ca93-4989-b6ce-bf83c28f9fe8",
}
_GRAPH_SCOPES = {
    "User.Read": "e1fe6dd8-ba31-4d61-89e7-88639da4683d",
    "openid": "37f7f235-527c-4136-accd-4a02d197296e",
    "profile": "14dad69e-099b-42c9-810b-d002981feec1",
    "email": "64a6cdd6-aab1-4aaf-94b8-3cc8405e90d0",
    "offline_access": "7427e0e9-2fba-42fe-b0c0-848c9e6a8182",
}
_FHIR_SCOPES = (
    "user_impersonation",
    "fhirUser",
    "launch",
    "launch.patient",
    "patient.all.read",
    "patient.all.rs",
    "patient.Patient.read",
    "patient.Patient.rs",
    "patient.Observation.rs",
    "user.all.read",
    "user.all.rs",
    "user.Observation.rs",
    "system.all.read",
    "system.all.rs",
)


def first_party(origin: str, *, managed_fhir: bool) -> Iterator[tuple[str, Json]]:
    """Object id and published face of each."""
    yield (
        constants.GRAPH_PRINCIPAL_ID,
        _published(
            constants.GRAPH_APP_ID,
            "Microsoft Graph",
            [constants.GRAPH_RESOURCE, origin],
            roles=GRAPH_ROLES,
            scopes=_GRAPH_SCOPES,
        ),
    )
    yield (
        constants.VAULT_PRINCIPAL_ID,
        _published(constants.VAULT_APP_ID, "Azure Key Vault", [constants.VAULT_RESOURCE]),
    )
    yield (
        constants.ARM_PRINCIPAL_ID,
        _published(constants.ARM_APP_ID, "Windows Azure Service Management API", list(constants.ARM_RESOURCES)),
    )
    yield (
        constants.BOT_PRINCIPAL_ID,
        _published(constants.BOT_APP_ID, "Bot Framework", [constants.BOT_RESOURCE]),
    )
    if managed_fhir:
        scopes = {value: str(uuid.uuid5(_NAMESPACE, value)) for value in _FHIR_SCOPES}
        yield (
            constants.FHIR_PRINCIPAL_ID,
            _published(constants.FHIR_APP_ID, "Azure Healthcare APIs", [constants.FHIR_RESOURCE], scopes=scopes),
        )


def registrar() -> Json:
    """The managed identity that the registrar runs as."""
    return _published(constants.REGISTRAR_CLIENT_ID, "fhir-registrar", [], organization=None, kind="ManagedIdentity")


def granter() -> Json:
    """A second managed identity of the same app, which holds no permission of Graph."""
    return _published(constants.GRANTER_CLIENT_ID, "fhir-granter", [], organization=None, kind="ManagedIdentity")


def _published(  # noqa: PLR0913 -- the columns of a table
    app_id: str,
    name: str,
    names: list[str],
    *,
    roles: dict[str, str] | None = None,
    scopes: dict[str, str] | None = None,
    organization: str | None = constants.FIRST_PARTY_TENANT_ID,
    kind: str = "Application",
) -> Json:
    return {
        "appId": app_id,
        "displayName": name,
        "appOwnerOrganizationId": organization,
        "servicePrincipalType": kind,
        "servicePrincipalNames": [app_id, *names],
        "appRoles": [_role(value, identifier) for value, identifier in (roles or {}).items()],
        "oauth2PermissionScopes": [_scope(value, identifier) for value, identifier in (scopes or {}).items()],
        "requestedAccessTokenVersion": 1,
    }


def _role(value: str, identifier: str) -> Json:
    return {
        "id": identifier,
        "value": value,
        "displayName": value,
        "description": value,
        "allowedMemberTypes": ["Application"],
        "isEnabled": True,
    }


def _scope(value: str, identifier: str) -> Json:
    return {
        "id": identifier,
        "value": value,
        "type": "User",
        "isEnabled": True,
        "adminConsentDisplayName": value,
        "adminConsentDescription": value,
        "userConsentDisplayName": value,
        "userConsentDescription": value,
    }
