"""What people do with a registration: where to ask for tokens, what to paste, and what an administrator grants next.

Permissions that are declared are not yet granted, and least privilege cannot grant them: so a service client always
has a next step. Commands are ready to paste; all they hold is ids and names that this service made or checked.
Sources: the FHIR server's own settings, "Azure built-in roles" for health data, the Graph resource appRoleAssignment.
"""

import json
from collections.abc import Iterator
from shlex import quote as quoted
from typing import Final
from urllib.parse import quote, urlsplit

from provisioning.domain.clouds import Cloud
from provisioning.domain.directory import ResolvedResource
from provisioning.domain.grants import GrantState
from provisioning.domain.intake import (
    ConfidentialClientRequest,
    PublicClientRequest,
    ResourceApplicationRequest,
    ServiceClientRequest,
)
from provisioning.domain.manifest import mapped_claims, resource_identifier
from provisioning.domain.names import managed_fhir_service, managed_fhir_url
from provisioning.domain.openid import GRAPH_CLIENT_ID
from provisioning.domain.permissions import openid_scopes
from provisioning.domain.registration import Registration, Status
from provisioning.domain.tenant import Tenant
from provisioning.domain.values import dataclass

_UNKNOWN: Final = "<assigned when active>"


@dataclass(frozen=True, slots=True)
class NextStep:
    """Something a person does outside of this service: who, with which command, or where in the portal."""

    code: str
    who: str
    command: str
    url: str


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
    scopes = [f"{resource.audience}/{scope.value}" for scope in resource.scopes] or [f"{resource.audience}/.default"]
    return " ".join([*scopes, *(scope.value for scope in openid_scopes(registration.request))])


def fhir_server_settings(registration: Registration, tenant: Tenant) -> dict[str, str] | None:
    """Return the settings of the open-source FHIR server that has it accept tokens for this resource."""
    accepted = _accepted(registration, tenant)
    if accepted is None:
        return None
    audience, authority = accepted
    return {
        "FhirServer__Security__Enabled": "true",
        "FhirServer__Security__Authentication__Audience": audience,
        "FhirServer__Security__Authentication__Authority": authority,
    }


def _accepted(registration: Registration, tenant: Tenant) -> tuple[str, str] | None:
    """Return audience and authority of tokens for a resource; None while they are not known.

    A server takes exactly one audience. A v1 token's is the identifier URI, a v2 token's the client id, and the
    authority's version decides which issuer the server expects.
    """
    request = registration.request
    if not isinstance(request, ResourceApplicationRequest) or registration.client_id is None:
        return None
    if request.access_token_version == 1:
        return resource_identifier(registration, tenant), tenant.authority
    return registration.client_id, f"{tenant.authority}/v2.0"


def left_to_do(registration: Registration, tenant: Tenant) -> list[NextStep]:
    """Return what people have to do next: decide about what waits for them, and make use of what is active."""
    steps = next_steps(registration, tenant) if registration.status is Status.ACTIVE else []
    approval = registration.approval
    if approval is None or not registration.awaits_approval or approval.outcome is not None:
        return steps
    body = quoted(json.dumps({"digest": approval.digest}))
    command = (
        f'curl -X POST "$API/registrations/{registration.id}/approve" -H "Authorization: Bearer $TOKEN" '
        f"-H 'Content-Type: application/json' -d {body}"
    )
    return [NextStep("decide", approval.who, command, ""), *steps]


def next_steps(registration: Registration, tenant: Tenant) -> list[NextStep]:
    """Return what is left for people to do before the first useful token."""
    match registration.request:
        case ResourceApplicationRequest():
            return [*_configure_server(registration, tenant), *_map_claims(registration, tenant)]
        case ServiceClientRequest():
            return [*_grant_data_access(registration, tenant), *_use_credential(registration, tenant)]
        case ConfidentialClientRequest():
            return [
                *_consent(registration, tenant),
                *_map_claims(registration, tenant),
                *_data_role(registration, tenant.cloud),
                *_grant_vault_read(registration, tenant),
            ]
        case PublicClientRequest():
            return [
                *_consent(registration, tenant),
                *_map_claims(registration, tenant),
                *_data_role(registration, tenant.cloud),
            ]


def _configure_server(registration: Registration, tenant: Tenant) -> Iterator[NextStep]:
    settings = fhir_server_settings(registration, tenant) or {}
    pairs = " ".join(f"{name}={value}" for name, value in settings.items()) or quoted("<fhirServerSettings>")
    managed = managed_fhir_url(getattr(registration.request, "fhir_server_url", ""))
    if managed is None:
        yield NextStep(
            "configure-fhir-server",
            "whoever runs the FHIR server",
            f'az webapp config appsettings set --resource-group "<group>" --name "<fhir server>" --settings {pairs}',
            _all_of(tenant.cloud, "Microsoft.Web/sites"),
        )
    if managed is not None or mapped_claims(registration.request):
        # Whose tokens are to carry claims of its own at a managed service registers a name of its own for it.
        yield _configure_service(registration, tenant, managed)


def _configure_service(registration: Registration, tenant: Tenant, url: str | None) -> NextStep:
    audience, authority = _accepted(registration, tenant) or ("<audience>", "<authority>")
    place = "properties.authenticationConfiguration"
    pairs = f"{quoted(f'{place}.audience={audience}')} {quoted(f'{place}.authority={authority}')}"
    return NextStep(
        "configure-fhir-service",
        "whoever runs the FHIR service, if the server is a managed one",
        f"az resource update --ids {_fhir_service_id(url)} --set {pairs}",
        _all_of(tenant.cloud, _FHIR_SERVICES),
    )


_FHIR_SERVICES: Final = "Microsoft.HealthcareApis/workspaces/fhirservices"


def _fhir_service_id(url: str | None) -> str:
    """Return what a shell makes the resource id of a managed FHIR service of."""
    named = managed_fhir_service(url) if url is not None else None
    if named is None:
        return quoted("<resource id of the FHIR service>")
    query = f"[?name=='{named[0]}/{named[1]}'].id"
    return f'"$(az resource list --resource-type {_FHIR_SERVICES} --query "{query}" --output tsv)"'


def _all_of(cloud: Cloud, resource_type: str) -> str:
    """Return where the portal lists all resources of a type."""
    return f"{_portal(cloud)}/HubsExtension/BrowseResource/resourceType/{quote(resource_type, safe='')}"


def _portal(cloud: Cloud) -> str:
    return f"{cloud.portal}/#view"


def _map_claims(registration: Registration, tenant: Tenant) -> Iterator[NextStep]:
    """A claim such as fhirUser is in tokens once a policy says which property of the user it is made of."""
    if not mapped_claims(registration.request):
        return
    principal, client_id = registration.service_principal_id or _UNKNOWN, registration.client_id or _UNKNOWN
    policy = {"@odata.id": f"{tenant.graph_endpoint}/v1.0/policies/claimsMappingPolicies/<policy id>"}
    url = f"{tenant.graph_endpoint}/v1.0/servicePrincipals/{principal}/claimsMappingPolicies/$ref"
    yield NextStep(
        "map-claims",
        "an Application Administrator",
        f"az rest --method POST --url {quoted(url)} --body {quoted(json.dumps(policy))}",
        f"{_portal(tenant.cloud)}/Microsoft_AAD_IAM/ManagedAppMenuBlade/~/SignOn/objectId/{quote(principal)}"
        f"/appId/{quote(client_id)}",
    )


def _grant_data_access(registration: Registration, tenant: Tenant) -> Iterator[NextStep]:
    resource, held = registration.resource, _held(registration)
    yield from _data_role(registration, tenant.cloud)
    if resource is not None and resource.fhir_service is not None and not resource.app_roles:
        return
    roles = resource.app_roles if resource is not None else ()
    for role in roles:
        if role.id in held:
            continue
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
            _permissions_blade(registration, tenant.cloud),
        )
    if not roles:
        yield NextStep(
            "grant-app-role",
            "the team, then a Privileged Role Administrator",
            f"az ad sp show --id {quoted(resource.client_id if resource else _UNKNOWN)} --query 'appRoles[].value'",
            _permissions_blade(registration, tenant.cloud),
        )


def _held(registration: Registration) -> frozenset[str]:
    """Return the ids of the permissions that are granted: nobody has to do that any more."""
    return frozenset(each.id for each in registration.grants if each.state is GrantState.GRANTED)


def _resource_principal(resource: ResolvedResource | None) -> str:
    return (resource.service_principal_id if resource else None) or _UNKNOWN


def _consent(registration: Registration, tenant: Tenant) -> Iterator[NextStep]:
    """In the public cloud one command consents to all that is declared; elsewhere az has one for each resource."""
    resource, client_id = registration.resource, registration.client_id or _UNKNOWN
    scopes = [each.value for each in resource.scopes if each.id not in _held(registration)] if resource else []
    declared = {resource.client_id: scopes} if resource is not None else {}
    declared[GRAPH_CLIENT_ID] = [
        *declared.get(GRAPH_CLIENT_ID, ()),
        *(each.value for each in openid_scopes(registration.request)),
    ]
    commands = [
        f"az ad app permission grant --id {quoted(client_id)} --api {api} --scope {quoted(' '.join(names))}"
        for api, names in declared.items()
        if names
    ]
    if tenant.cloud.admin_consent and commands:  # to what is granted already it consents once more
        commands = [f"az ad app permission admin-consent --id {quoted(client_id)}"]
    for command in commands:
        yield NextStep(
            "consent",
            "a Cloud Application Administrator, or each user where the tenant lets users consent",
            command,
            f"{tenant.authority}/adminconsent?client_id={quote(client_id)}",
        )


def _data_role(registration: Registration, cloud: Cloud) -> Iterator[NextStep]:
    """Azure roles open the data of a managed FHIR service: to a service client itself, else to the client's users."""
    resource = registration.resource
    if resource is None or resource.fhir_service is None:
        return
    daemon = isinstance(registration.request, ServiceClientRequest)
    assignee, kind = (
        (registration.service_principal_id or _UNKNOWN, "ServicePrincipal") if daemon else ("<user>", "User")
    )
    asked = [each.value for each in resource.data_roles if each.id not in _held(registration)]
    for role in asked if resource.data_roles else ["FHIR Data Reader"]:
        yield NextStep(
            "assign-fhir-data-role",
            "an Owner or User Access Administrator of the FHIR service",
            f'az role assignment create --role "{role}" --assignee-object-id {quoted(assignee)} '
            f"--assignee-principal-type {kind} --scope {_fhir_service_id(resource.fhir_service)}",
            _all_of(cloud, _FHIR_SERVICES),
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
            _blade(registration, tenant.cloud, "Credentials"),
        )


def _grant_vault_read(registration: Registration, tenant: Tenant) -> Iterator[NextStep]:
    """The narrowest that there is: to read this one secret.

    By its object id the owner is named without a look-up that the caller of az may not be allowed; az finds out by
    itself whether it is a user, a group or a service principal (Azure/azure-cli #17669), which this service cannot.
    """
    owner = registration.request.owner
    if any((each.principal_id, each.state) == (owner, GrantState.GRANTED) for each in registration.azure_grants):
        return
    vault = (urlsplit(tenant.key_vault_url).hostname or "").partition(".")[0]
    yield NextStep(
        "grant-vault-read",
        "an Owner or User Access Administrator of the key vault",
        'az role assignment create --role "Key Vault Secrets User" '
        f"--assignee-object-id {registration.request.owner} "
        f'--scope "$(az keyvault show --name {vault} --query id --output tsv)/secrets/{registration.secret_name}"',
        _all_of(tenant.cloud, "Microsoft.KeyVault/vaults"),
    )


def _permissions_blade(registration: Registration, cloud: Cloud) -> str:
    return _blade(registration, cloud, "CallAnAPI")


def _blade(registration: Registration, cloud: Cloud, blade: str) -> str:
    """Return where the portal shows a part of the application."""
    client_id = quote(registration.client_id or _UNKNOWN)
    return f"{_portal(cloud)}/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/{blade}/appId/{client_id}"
