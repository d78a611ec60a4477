"""Fixed names of the emulated tenant: the same in every run, so that a test or a demo can state them."""

from __future__ import annotations

from typing import Final

TENANT_ID: Final = "11111111-aaaa-4aaa-8aaa-000000000001"
REGISTRAR_CLIENT_ID: Final = "22222222-bbbb-4bbb-8bbb-000000000001"
REGISTRAR_OBJECT_ID: Final = "22222222-bbbb-4bbb-8bbb-000000000002"
GRANTER_CLIENT_ID: Final = "22222222-bbbb-4bbb-8bbb-000000000003"  # a second identity of the registrar's app
GRANTER_OBJECT_ID: Final = "22222222-bbbb-4bbb-8bbb-000000000004"
# Which managed identity a request means, by its client id or object id; one that names none means the first.
IDENTITIES: Final[dict[str | None, str]] = {
    **dict.fromkeys((None, REGISTRAR_CLIENT_ID, REGISTRAR_OBJECT_ID), REGISTRAR_OBJECT_ID),
    **dict.fromkeys((GRANTER_CLIENT_ID, GRANTER_OBJECT_ID), GRANTER_OBJECT_ID),
}
API_CLIENT_ID: Final = "5a5a5a5a-0000-4000-8000-00000000a91a"  # of the application that the registrar's own API is
FOREIGN_APP_ID: Final = "33333333-cccc-4ccc-8ccc-000000000001"  # an application of somebody else in the tenant
FOREIGN_OBJECT_ID: Final = "33333333-cccc-4ccc-8ccc-000000000002"

GRAPH_APP_ID: Final = "00000003-0000-0000-c000-000000000000"
GRAPH_PRINCIPAL_ID: Final = "44444444-dddd-4ddd-8ddd-000000000001"
GRAPH_RESOURCE: Final = "https://graph.microsoft.com"
VAULT_APP_ID: Final = "cfa8b339-82a2-471a-a3c9-0fc0be7a4093"
VAULT_PRINCIPAL_ID: Final = "44444444-dddd-4ddd-8ddd-000000000002"
VAULT_RESOURCE: Final = "https://vault.azure.net"
FHIR_APP_ID: Final = "4f6778d8-5aef-43dc-a1ff-b073724b9495"  # first-party "Azure Healthcare APIs"
FHIR_PRINCIPAL_ID: Final = "44444444-dddd-4ddd-8ddd-000000000003"
FHIR_RESOURCE: Final = "https://azurehealthcareapis.com"
ARM_APP_ID: Final = "797f4846-ba00-4fd7-ba43-dac1f8f63013"
ARM_PRINCIPAL_ID: Final = "44444444-dddd-4ddd-8ddd-000000000004"
ARM_RESOURCES: Final = ("https://management.azure.com", "https://management.core.windows.net")
BOT_APP_ID: Final = "44444444-dddd-4ddd-8ddd-0000000000b0"  # emulated: that of the Bot Framework is not documented
BOT_PRINCIPAL_ID: Final = "44444444-dddd-4ddd-8ddd-000000000005"
BOT_RESOURCE: Final = "https://api.botframework.com"
SUBSCRIPTION: Final = "/subscriptions/55555555-eeee-4eee-8eee-000000000001"
VAULT_ID: Final = f"{SUBSCRIPTION}/resourceGroups/registrar/providers/Microsoft.KeyVault/vaults/emulated"
FHIR_SERVICE_ID: Final = (
    f"{SUBSCRIPTION}/resourceGroups/health/providers/Microsoft.HealthcareApis/workspaces/ws/fhirservices/svc"
)
FIRST_PARTY_TENANT_ID: Final = "f8cdef31-a31e-4b4a-93e4-5f571e91255a"

OWNED_BY: Final = "Application.ReadWrite.OwnedBy"
READ_WRITE_ALL: Final = "Application.ReadWrite.All"
APPLICATION_READ_ALL: Final = "Application.Read.All"
USER_READ_ALL: Final = "User.Read.All"
GROUP_MEMBER_READ_ALL: Final = "GroupMember.Read.All"
ASSIGN_ROLES: Final = "AppRoleAssignment.ReadWrite.All"
AUDIT_LOG_READ_ALL: Final = "AuditLog.Read.All"
DIRECTORY_READ_ALL: Final = "Directory.Read.All"
MANAGE_ROLES: Final = "RoleManagement.ReadWrite.Directory"

# In every secret text that the emulator mints: whoever finds it anywhere but in the vault has found a leak.
SECRET_MARKER: Final = "FRMARK"  # noqa: S105 -- no password, but the mark of one
# How the two readable parts of every token that it issues begin: {"alg" and {"aud" in base64url.
TOKEN_MARKERS: Final = ("eyJhbGci", "eyJhdWQi")

# The value that a managed identity sends to prove that it runs on this machine; App Service makes one per start.
IDENTITY_HEADER: Final = "emulated-identity-header"
