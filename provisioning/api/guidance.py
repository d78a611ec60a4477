"""What people do with a registration: where to ask for tokens, what to paste, and what an administrator grants next.

Permissions that are declared are not yet granted, and least privilege cannot grant them: so a service client always
has a next step. Commands are ready to paste; all they hold is ids and names that this service made or checked.
Sources: the FHIR server's own settings, "Azure built-in roles" for health data, the Graph resource appRoleAssignment.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote as quoted
from typing import Final
from urllib.parse import quote, urlsplit

from provisioning.domain.directory import ResolvedResource
from provisioning.domain.intake import (
    ConfidentialClientRequest,
    PublicClientRequest,
    ResourceApplicationRequest,
    ServiceClientRequest,
)
from provisioning.domain.manifest import resource_identifier
from provisioning.domain.names import managed_fhir_service
from provisioning.domain.registration import Registration
from provisioning.domain.tenant import Tenant

PORTAL: Final = "https://portal.azure.com/#view"
_UNKNOWN: Final = "<assigned when active>"


@dataclass(frozen=True, slots=True)
class NextStep:
    """Something a person does outside of this service: who, with which command, or where in the portal."""

    code: str
    who: str
    command: str
    url: str


@dataclass(frozen=True, slots=True)
class Warning_:  # noqa: N801 -- `Warning` is Python's own
    """Something that works, but perhaps not as the caller thinks."""

    code: str
    message: str


def oauth(registration: Registration, tenant: Tenant) -> dict[str, str | None]:
    """Return where tokens are asked for, and with which scope."""
    return {
        "authority": f"{tenant.authority}/v2.0",
        "tokenEndpoint": f"{tenant.authority}/oauth2/v2.0/token",
        "authorizationEndpoint": f"{tenant.authority}/oauth2/v2.0/authorize",
        "scope": _scope(registration, tenant),
    }


def _scope(registration: Registration, tenant: Tenant) -> str | None:
    if isinstance(registration.request, ResourceApplicationRequest):
        if registration.request.access_token_version == 1 or registration.client_id:
            return f"{resource_identifier(registration, tenant)}/.default"
        return None
    resource = registration.resource
    if resource is None:
        return None
    return (
        " ".join(f"{resource.audience}/{scope.value}" for scope in resource.scopes) or f"{resource.audience}/.default"
    )


def fhir_server_settings(registration: Registration, tenant: Tenant) -> dict[str, str] | None:
    """Return the settings of the open-source FHIR server that has it accept tokens for this resource.

    The server takes exactly one audience. A v1 token's is the identifier URI, a v2 token's the client id, and the
    authority's version decides which issuer the server expects.
    """
    request = registration.request
    if not isinstance(request, ResourceApplicationRequest) or registration.client_id is None:
        return None
    first = request.access_token_version == 1
    return {
        "FhirServer__Security__Enabled": "true",
        "FhirServer__Security__Authentication__Audience": (
            resource_identifier(registration, tenant) if first else registration.client_id
        ),
        "FhirServer__Security__Authentication__Authority": tenant.authority if first else f"{tenant.authority}/v2.0",
    }


def next_steps(registration: Registration, tenant: Tenant) -> list[NextStep]:
    """Return what is left for people to do before the first useful token."""
    match registration.request:
        case ResourceApplicationRequest():
            return [*_configure_server(registration, tenant)]
        case ServiceClientRequest():
            return [*_grant_data_access(registration, tenant), *_use_credential(registration, tenant)]
        case ConfidentialClientRequest():
            return [
                *_consent(registration, tenant),
                *_data_role(registration),
                *_grant_vault_read(registration, tenant),
            ]
        case PublicClientRequest():
            return [*_consent(registration, tenant), *_data_role(registration)]


def _configure_server(registration: Registration, tenant: Tenant) -> Iterator[NextStep]:
    settings = fhir_server_settings(registration, tenant) or {}
    pairs = " ".join(f"{name}={value}" for name, value in settings.items()) or quoted("<fhirServerSettings>")
    yield NextStep(
        "configure-fhir-server",
        "whoever runs the FHIR server",
        f'az webapp config appsettings set --resource-group "<group>" --name "<fhir server>" --settings {pairs}',
        f"{PORTAL}/HubsExtension/BrowseResource/resourceType/Microsoft.Web%2Fsites",
    )


def _grant_data_access(registration: Registration, tenant: Tenant) -> Iterator[NextStep]:
    resource = registration.resource
    if resource is not None and resource.fhir_service is not None:
        yield from _data_role(registration)
        return
    roles = resource.app_roles if resource is not None else ()
    for role in roles:
        grant = {
            "principalId": registration.service_principal_id or _UNKNOWN,
            "resourceId": _resource_principal(resource),
            "appRoleId": role.id,
        }
        yield NextStep(
            "grant-app-role",
            "a Privileged Role Administrator",
            f"az rest --method POST --url {tenant.graph_endpoint}/v1.0/servicePrincipals/"
            f"{quoted(_resource_principal(resource))}/appRoleAssignedTo --body '{json.dumps(grant)}'",
            _permissions_blade(registration),
        )
    if not roles:
        yield NextStep(
            "grant-app-role",
            "the team, then a Privileged Role Administrator",
            f"az ad sp show --id {quoted(resource.client_id if resource else _UNKNOWN)} --query 'appRoles[].value'",
            _permissions_blade(registration),
        )


def _resource_principal(resource: ResolvedResource | None) -> str:
    return (resource.service_principal_id if resource else None) or _UNKNOWN


def _consent(registration: Registration, tenant: Tenant) -> Iterator[NextStep]:
    if registration.resource is not None and registration.resource.scopes:
        client_id = registration.client_id or _UNKNOWN
        yield NextStep(
            "consent",
            "a Cloud Application Administrator, or each user where the tenant lets users consent",
            f"az ad app permission admin-consent --id {quoted(client_id)}",
            f"{tenant.authority}/adminconsent?client_id={quote(client_id)}",
        )


def _data_role(registration: Registration) -> Iterator[NextStep]:
    """Azure roles open the data of a managed FHIR service: to a service client itself, else to the client's users."""
    resource = registration.resource
    if resource is None or resource.fhir_service is None:
        return
    daemon = isinstance(registration.request, ServiceClientRequest)
    assignee, kind = (
        (registration.service_principal_id or _UNKNOWN, "ServicePrincipal") if daemon else ("<user>", "User")
    )
    named = managed_fhir_service(resource.fhir_service)
    scope = (
        '"$(az resource list --resource-type Microsoft.HealthcareApis/workspaces/fhirservices '
        f'--query "[?name==\'{named[0]}/{named[1]}\'].id" --output tsv)"'
        if named
        else quoted("<resource id of the FHIR service>")
    )
    yield NextStep(
        "assign-fhir-data-role",
        "an Owner or User Access Administrator of the FHIR service",
        f'az role assignment create --role "FHIR Data Reader" --assignee-object-id {quoted(assignee)} '
        f"--assignee-principal-type {kind} --scope {scope}",
        f"{PORTAL}/HubsExtension/BrowseResource/resourceType/Microsoft.HealthcareApis%2Fworkspaces%2Ffhirservices",
    )


def _use_credential(registration: Registration, tenant: Tenant) -> Iterator[NextStep]:
    """A secret is read from the vault, a foreign token is exchanged, and whoever has a certificate has its key."""
    if registration.holds_secret:
        yield from _grant_vault_read(registration, tenant)
    if registration.credential_type == "federated":
        client_id = registration.client_id or _UNKNOWN
        yield NextStep(
            "exchange-token",
            "the workload, with a token that has issuer, subject and audience of `credential`",
            f"az login --service-principal --username {quoted(client_id)} --tenant {tenant.id} "
            '--federated-token "$TOKEN" --allow-no-subscriptions',
            f"{PORTAL}/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/Credentials/appId/{quote(client_id)}",
        )


def _grant_vault_read(registration: Registration, tenant: Tenant) -> Iterator[NextStep]:
    vault = (urlsplit(tenant.key_vault_url).hostname or "").partition(".")[0]
    yield NextStep(
        "grant-vault-read",
        "an Owner or User Access Administrator of the key vault",
        'az role assignment create --role "Key Vault Secrets User" '
        f"--assignee {registration.request.owner} "
        f'--scope "$(az keyvault show --name {vault} --query id --output tsv)/secrets/{registration.secret_name}"',
        f"{PORTAL}/HubsExtension/BrowseResource/resourceType/Microsoft.KeyVault%2Fvaults",
    )


def _permissions_blade(registration: Registration) -> str:
    client_id = quote(registration.client_id or _UNKNOWN)
    return f"{PORTAL}/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/CallAnAPI/appId/{client_id}"


def warnings(registration: Registration) -> tuple[Warning_, ...]:
    """Return what works, but perhaps not as the caller thinks."""
    return tuple(_warnings(registration))


def _warnings(registration: Registration) -> Iterator[Warning_]:
    request, resource = registration.request, registration.resource
    if resource is not None and resource.service_principal_id is None:
        yield Warning_(
            "resource-service-principal-missing",
            "The tenant has no service principal for the resource yet, so no permission is declared in the manifest.",
        )
    uris = getattr(request, "redirect_uris", ())
    if any(urlsplit(uri).hostname == "localhost" for uri in uris):
        yield Warning_(
            "localhost-redirect",
            "Microsoft recommends 127.0.0.1 over localhost, which a firewall or a hosts file may send elsewhere.",
        )


def consequences(before: Registration, after: Registration) -> Iterator[Warning_]:
    """Yield what becomes of those who use a registration, once it is as `after`."""
    if after.ending and not before.ending:
        yield Warning_(
            "sign-ins-end",
            "Tokens that were issued work until they expire; no new one is. The application can be restored in Entra "
            "for 30 days, without its identifier URIs.",
        )
    if after.revoke_before != before.revoke_before:
        yield Warning_(
            "previous-secrets-end",
            "Whoever still uses a secret from before is refused as soon as the new one is in the vault.",
        )
    elif after.replace_before != before.replace_before:
        yield Warning_(
            "previous-secret-replaced",
            "The secret in use goes on working for the overlap. Clients have to read the new one by then.",
        )
    gone = set(_redirect_uris(before)) - set(_redirect_uris(after))
    if gone:
        yield Warning_("redirect-uris-removed", "Whoever signs in through a redirect URI that goes is refused.")


def _redirect_uris(registration: Registration) -> tuple[str, ...]:
    return getattr(registration.request, "redirect_uris", ())
