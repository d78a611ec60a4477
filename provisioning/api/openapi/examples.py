"""An example of each thing that is sent or answered; tests hold that the product takes, and answers, just such ones.

The requests are those of the folder `examples/`.
"""

from collections.abc import Mapping
from typing import Any, Final

_ID: Final = "8bcd0a38-5168dfc5-55e5-54a1-ac0e-d5bd8bcd0a38"
_TENANT: Final = "11111111-aaaa-4aaa-8aaa-000000000001"
_LOGIN: Final = f"https://login.microsoftonline.com/{_TENANT}"
_PORTAL: Final = "https://portal.azure.com/#view"
_SECRET: Final = f"fhir-registrar-{_ID}"
_TRACE: Final = "4bf92f3577b34da6a3ce929d0e0e4736"
_DIGEST: Final = "5d41402abc4b2a76b9719d911017c5922ae2b5b54b1b6a0f1f2a3b4c5d6e7f80"

# --- what is sent ---------------------------------------------------------------------------------------------------

_OWNER: Final = "3f6f1c1e-6f0b-4a53-9d0e-5b1f6c8f2a11"
_SERVER: Final = "https://fhir.contoso.example"

EVENTS: Final[Mapping[str, Any]] = {
    "value": [
        {
            "time": "2026-11-23T04:09:28Z",
            "what": "requested",
            "outcome": "accepted",
            "actor": {"kind": "user", "objectId": "a11ce000-0000-4000-8000-000000000001"},
            "operationId": "539bf97b-a236-409d-ae77-bd30f957fab7",
            "traceId": _TRACE,
        }
    ],
    "continuationToken": None,
}

READY: Final[Mapping[str, Any]] = {
    "ready": True,
    "checks": [{"dependency": "vault", "what": "set secrets", "state": "ok"}],
    "checkedAt": "2026-01-15T12:00:00Z",
}
CALLER: Final[Mapping[str, Any]] = {
    "objectId": "a11ce000-0000-4000-8000-000000000001",
    "kind": "user",
    "name": "Alice",
    "roles": ["Registrations.Create"],
    "groups": ["7ea11111-0000-4000-8000-000000000001"],
    "tenantId": "3f0d5b2e-4c11-4e0c-9b59-0f6f7b1d6a11",
}
CHAT_CODE: Final[Mapping[str, Any]] = {"code": "ABCD-EFGH-JKLM", "expiresAt": "2026-12-01T08:10:00Z"}
POLICY: Final[Mapping[str, Any]] = {
    "version": "1",
    "exceptions": "Ask the platform team.",
    "rules": [{"id": "at-most-fifty", "registrationsPerOwner": 50}],
}

REQUESTS: Final[Mapping[str, Any]] = {
    "resource": {
        "clientType": "resource",
        "displayName": "FHIR server, test",
        "owner": _OWNER,
        "contact": "fhir-team@contoso.example",
        "fhirServerUrl": _SERVER,
        "scopes": ["user_impersonation", "patient.all.read"],
    },
    "confidential": {
        "clientType": "confidential",
        "displayName": "Patient portal, test",
        "owner": _OWNER,
        "contact": "portal-team@contoso.example",
        "redirectUris": ["https://portal.contoso.example/signin-oidc", "http://localhost:5000/signin-oidc"],
        "logoutUrl": "https://portal.contoso.example/signout-oidc",
        "resource": _SERVER,
        "scopes": ["user_impersonation"],
    },
    "public": {
        "clientType": "public",
        "displayName": "Growth chart, test",
        "owner": _OWNER,
        "contact": "charts-team@contoso.example",
        "platform": "spa",
        "redirectUris": ["https://charts.contoso.example/callback", "http://localhost:3000/callback"],
        "resource": _SERVER,
        "scopes": ["patient.all.read"],
    },
    "service": {
        "clientType": "service",
        "displayName": "Nightly export, test",
        "owner": _OWNER,
        "contact": "export-team@contoso.example",
        "resource": _SERVER,
        "appRoles": ["globalReader"],
    },
    "service-federated": {
        "clientType": "service",
        "displayName": "Terminology sync, test",
        "owner": _OWNER,
        "contact": "export-team@contoso.example",
        "resource": _SERVER,
        "appRoles": ["globalReader"],
        "credential": {
            "type": "federated",
            "issuer": "https://token.actions.githubusercontent.com",
            "subject": "repo:contoso@4242424/terminology-sync@987654321:environment:test",
        },
    },
}
CHANGES: Final[Mapping[str, Any]] = {
    "names": {"displayName": "Nightly export", "description": None},
    "redirect-uris": {"redirectUris": ["https://portal.contoso.example/signin-oidc"]},
}
JSON_PATCH: Final = [
    {"op": "test", "path": "/appRoles/0", "value": "globalReader"},
    {"op": "add", "path": "/appRoles/-", "value": "globalExporter"},
]
ROTATIONS: Final[Mapping[str, Any]] = {"plain": {"revokePrevious": False}, "leaked": {"revokePrevious": True}}
APPROVAL: Final = {"digest": _DIGEST}
DENIAL: Final = {"digest": _DIGEST, "reason": "Read access is enough for a report. Ask for globalReader."}

# --- what is answered -----------------------------------------------------------------------------------------------

ACCEPTED: Final = {
    **REQUESTS["service"],
    "credential": {"type": "secret"},
    "registrationId": _ID,
    "status": "accepted",
    "operation": {
        "id": "8061ce26-ced5-4410-bc19-8bc78bdc2b77",
        "type": "provision",
        "status": "pending",
        "requestedAt": "2026-01-15T12:00:00Z",
        "failure": None,
    },
    "createdAt": "2026-01-15T12:00:00Z",
    "updatedAt": "2026-01-15T12:00:00Z",
    "tenantId": _TENANT,
    "clientId": None,
    "applicationObjectId": None,
    "servicePrincipalId": None,
    "oauth": {
        "authority": f"{_LOGIN}/v2.0",
        "tokenEndpoint": f"{_LOGIN}/oauth2/v2.0/token",
        "authorizationEndpoint": f"{_LOGIN}/oauth2/v2.0/authorize",
        "scope": None,
    },
    "secret": None,
    "warnings": [],
    "findings": [],
    "grants": [],
    "agreement": None,
    "azureRoles": [],
    "usage": {"lastUsedAt": None, "reason": "sign-in-activity-off", "credentials": []},
    "nextSteps": [],
}
_GRANT: Final = {
    "code": "grant-app-role",
    "who": "a Privileged Role Administrator",
    "command": "az rest --method POST --url https://graph.microsoft.com/v1.0/servicePrincipals/"
    'eb1167b3-67a9-4378-bc65-c1e582e2e662/appRoleAssignedTo --body \'{"principalId": '
    '"820865d6-e005-4860-91ef-1922fe43c49e", "resourceId": "eb1167b3-67a9-4378-bc65-c1e582e2e662", "appRoleId": '
    '"241b8ad9-4821-5858-aeac-167c10b5fa1e"}\'',
    "url": f"{_PORTAL}/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/CallAnAPI/appId/"
    "e443df78-9558-467f-9ba9-1faf7a024204",
}
_READ: Final = {
    "code": "grant-vault-read",
    "who": "an Owner or User Access Administrator of the key vault",
    "command": f'az role assignment create --role "Key Vault Secrets User" --assignee {_OWNER} '
    f'--scope "$(az keyvault show --name contoso --query id --output tsv)/secrets/{_SECRET}"',
    "url": f"{_PORTAL}/HubsExtension/BrowseResource/resourceType/Microsoft.KeyVault%2Fvaults",
}
ACTIVE: Final = {
    **ACCEPTED,
    "status": "active",
    "operation": {**ACCEPTED["operation"], "status": "succeeded"},
    "clientId": "e443df78-9558-467f-9ba9-1faf7a024204",
    "applicationObjectId": "f7c1bd87-4da5-4709-9471-3d60c8a70639",
    "servicePrincipalId": "820865d6-e005-4860-91ef-1922fe43c49e",
    "oauth": {**ACCEPTED["oauth"], "scope": f"{_SERVER}/.default"},
    "secret": {
        "id": f"https://contoso.vault.azure.net/secrets/{_SECRET}",
        "keyId": "23a7711a-8133-4876-b7eb-dcd9e87a1613",
        "expiresAt": "2026-07-14T12:00:00Z",
        "rotatesAt": "2026-06-11T00:16:44Z",
    },
    "grants": [
        {
            "permission": "globalReader",
            "resource": "1f0c63d2-9e6a4d54-1c0c-4f9e-8b1d-6f0a1f0c63d2",
            "state": "waits",
            "since": "2026-01-15T12:00:04Z",
            "waitsFor": "resource-owner",
            "provenAt": None,
        }
    ],
    "nextSteps": [_GRANT, _READ],
}
PERMISSIONS: Final = {"permissions": ["globalReader"]}
CLIENT: Final = {
    "registrationId": _ID,
    "clientId": ACTIVE["clientId"],
    "clientType": "service",
    "displayName": "Nightly export, test",
    "owner": _OWNER,
    "contact": "exports@contoso.example",
    "status": "active",
    "grants": [
        {
            "permission": "globalReader",
            "resource": "1f0c63d2-9e6a4d54-1c0c-4f9e-8b1d-6f0a1f0c63d2",
            "state": "granted",
            "since": "2026-01-15T12:04:11Z",
            "waitsFor": None,
            "provenAt": "2026-01-15T12:04:11Z",
        }
    ],
    "agreement": {
        "permissions": ["globalReader"],
        "by": "a11ce000-0000-4000-8000-000000000001",
        "via": None,
        "at": "2026-01-15T12:04:09Z",
    },
}
CLIENTS: Final = {"value": [CLIENT], "continuationToken": None}
LIST: Final = {"value": [ACTIVE], "continuationToken": None}
PREVIEW: Final = {
    "registrationId": _ID,
    "request": {**REQUESTS["service"], "credential": {"type": "secret"}},
    "application": {
        "displayName": "Nightly export, test",
        "signInAudience": "AzureADMyOrg",
        "uniqueName": _SECRET,
        "isFallbackPublicClient": False,
        "requiredResourceAccess": [
            {
                "resourceAppId": "f728b4fa-4248-4e3a-8a5d-2f346baa9455",
                "resourceAccess": [{"id": "241b8ad9-4821-5858-aeac-167c10b5fa1e", "type": "Role"}],
            }
        ],
    },
    "approvalsNeeded": [],
    "warnings": [],
    "nextSteps": [_GRANT, _READ],
}


def _preview(operation: str, status: str, *warnings: tuple[str, str], **more: Any) -> dict[str, Any]:  # noqa: ANN401 -- JSON
    told = [{"code": code, "message": message} for code, message in warnings]
    preview = {"registrationId": _ID, "operation": operation, "status": status, "changes": []}
    return preview | {"approvalsNeeded": [], "warnings": told} | more


CHANGE_PREVIEW: Final = _preview(
    "change",
    "active",
    changes=[{"field": "displayName", "from": "Nightly export, test", "to": "Nightly export"}],
    application={"displayName": "Nightly export", "description": None},
)
_SIGN_INS_END: Final = (
    "Tokens that were issued work until they expire; no new one is. The application can be restored in Entra for 30 "
    "days, without its identifier URIs."
)
DELETE_PREVIEW: Final = _preview("delete", "deleting", ("sign-ins-end", _SIGN_INS_END))
ROTATE_PREVIEW: Final = _preview(
    "rotate",
    "active",
    (
        "previous-secret-replaced",
        "The secret in use goes on working for the overlap. Clients have to read the new one by then.",
    ),
)
RETRY_PREVIEW: Final = _preview("provision", "accepted")
REVOCATION_PREVIEW: Final = {**_preview("provision", "active"), "operation": None}
DECISION_PREVIEW: Final = {**RETRY_PREVIEW, "operation": None}


def _problem(status: int, title: str, code: str, detail: str, *faults: tuple[str, str, str]) -> dict[str, Any]:
    problem = {"type": "about:blank", "title": title, "status": status, "detail": detail, "code": code}
    problem["traceId"] = _TRACE
    errors = [{"pointer": pointer, "code": code, "message": message} for pointer, code, message in faults]
    return problem | ({"errors": errors} if errors else {})


# By status: of each one problem that any call may meet which has the status.
PROBLEMS: Final[Mapping[str, Any]] = {
    "400": _problem(
        400,
        "Bad Request",
        "invalid-query",
        "The query breaks rules; see errors.",
        ("?", "query-parameter-unknown", "This call has none. Remove it."),
    ),
    "403": _problem(
        403,
        "Forbidden",
        "on-behalf-not-allowed",
        "On-Behalf-Of needs the app role Registrations.OnBehalf. Leave it out.",
    ),
    "404": _problem(404, "Not Found", "registration-not-found", "There is no registration of that id."),
    "412": _problem(
        412,
        "Precondition Failed",
        "registration-changed",
        "The registration is not what If-Match names any more. Read it again, and send its ETag.",
    ),
    "413": _problem(413, "Content Too Large", "body-too-large", "A request may have at most 64 KB."),
    "415": _problem(
        415,
        "Unsupported Media Type",
        "not-json",
        "Send the request as JSON, with Content-Type: application/json.",
    ),
    "500": _problem(
        500,
        "Internal Server Error",
        "internal-error",
        "The service failed; its log has the cause. It is safe to send it again.",
    ),
    "503": _problem(503, "Service Unavailable", "storage-unavailable", "Table storage could not answer."),
}
