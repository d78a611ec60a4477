"""Commands and links are for the cloud that the token authority is in."""

from dataclasses import replace
from typing import Any

import pytest

from provisioning.api.guidance import next_steps
from provisioning.domain.tenant import Tenant
from provisioning.settings import Settings
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.world import World

MANAGED = "https://ws-svc.fhir.azurehealthcareapis.com"
GRAPH_CLIENT_ID = "00000003-0000-0000-c000-000000000000"
PUBLIC, GOVERNMENT = "https://login.microsoftonline.com", "https://login.microsoftonline.us"
CLOUDS = {
    PUBLIC: ("https://portal.azure.com/", "https://graph.microsoft.com"),
    GOVERNMENT: ("https://portal.azure.us/", "https://graph.microsoft.us"),
    "https://login.chinacloudapi.cn": ("https://portal.azure.cn/", "https://microsoftgraph.chinacloudapi.cn"),
    "https://login.partner.microsoftonline.cn": (
        "https://portal.azure.cn/",
        "https://microsoftgraph.chinacloudapi.cn",
    ),
}
FEDERATED = {"type": "federated", "issuer": "https://token.example", "subject": "s"}
BODIES = (
    a_resource(fhirServerUrl="https://fhir2.contoso.example", acceptMappedClaims=True),
    a_confidential_client(scopes=["user_impersonation", "openid"], acceptMappedClaims=True),
    a_public_client(resource=MANAGED),
    a_service_client(),
    a_service_client(credential=FEDERATED),
    a_service_client(resource=MANAGED, appRoles=[]),
)


def settings(**env: str) -> Settings:
    needed = {
        "AzureWebJobsStorage__accountName": "fhirregistrar",
        "AZURE_TENANT_ID": "11111111-aaaa-4aaa-8aaa-000000000001",
        "KEY_VAULT_URL": "https://kv-fhir.vault.azure.net",
    }
    return Settings.from_env({**needed, **env})


def steps(tenant: Tenant, body: dict[str, Any]) -> list[Any]:
    world = World()
    if body["clientType"] != "resource":
        world.registered(a_resource(appRoles=["globalReader"]))
    return list(next_steps(world.row(world.registered(body)["registrationId"]), tenant))


@pytest.mark.parametrize("authority", CLOUDS)
def test_graph_is_that_of_the_cloud_unless_another_is_set(authority: str) -> None:
    assert settings(AZURE_AUTHORITY_HOST=f"{authority}/").tenant.graph_endpoint == CLOUDS[authority][1]
    other = "https://dod-graph.microsoft.us"
    assert settings(AZURE_AUTHORITY_HOST=authority, GRAPH_ENDPOINT=other).tenant.graph_endpoint == other


@pytest.mark.parametrize("authority", CLOUDS)
def test_every_link_and_command_is_for_the_cloud_of_the_authority(authority: str) -> None:
    portal, graph = CLOUDS[authority]
    tenant = settings(AZURE_AUTHORITY_HOST=authority).tenant
    known = {part for parts in CLOUDS.values() for part in parts} | set(CLOUDS)
    foreign = known - {portal, graph, authority}
    seen = ""
    for body in BODIES:
        for step in steps(tenant, body):
            assert step.url.startswith((portal, f"{authority}/"))
            assert not [each for each in foreign if each in step.command + step.url]
            seen += step.command
    assert graph in seen


def test_consent_is_given_where_az_has_no_command_for_all_of_it_by_one_for_each_resource() -> None:
    world = World()
    resource = world.registered(a_resource(scopes=["user_impersonation", "fhirUser"]))
    body = a_confidential_client(scopes=["user_impersonation", "fhirUser", "openid", "profile"])
    shown = world.registered(body)
    row, client_id = world.row(shown["registrationId"]), shown["clientId"]

    def consent(authority: str) -> list[str]:
        tenant = settings(AZURE_AUTHORITY_HOST=authority).tenant
        return [step.command for step in next_steps(row, tenant) if step.code == "consent"]

    assert consent(PUBLIC) == [f"az ad app permission admin-consent --id {client_id}"]
    grant = f"az ad app permission grant --id {client_id} --api"
    assert consent(GOVERNMENT) == [
        f"{grant} {resource['clientId']} --scope 'user_impersonation fhirUser'",
        f"{grant} {GRAPH_CLIENT_ID} --scope 'openid profile'",
    ]
    without = replace(row, resource=None)
    assert [step.code for step in next_steps(without, settings().tenant)] == ["consent", "grant-vault-read"]


# --- a managed FHIR service -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("version", [1, 2])
def test_who_runs_a_managed_service_is_told_its_own_properties_and_not_the_settings_of_a_web_app(version: int) -> None:
    world = World()
    shown = world.registered(a_resource(accessTokenVersion=version, acceptMappedClaims=True))
    web_app, service, claims = shown["nextSteps"]
    assert [each["code"] for each in (web_app, claims)] == ["configure-fhir-server", "map-claims"]
    assert service["code"] == "configure-fhir-service"
    assert service["url"].endswith("/Microsoft.HealthcareApis%2Fworkspaces%2Ffhirservices")
    settings = shown["fhirServerSettings"]
    place = "properties.authenticationConfiguration"
    assert service["command"] == (
        "az resource update --ids '<resource id of the FHIR service>' --set "
        f"{place}.audience={settings['FhirServer__Security__Authentication__Audience']} "
        f"{place}.authority={settings['FhirServer__Security__Authentication__Authority']}"
    )


def test_a_managed_service_that_was_registered_by_its_own_url_is_named_in_its_step() -> None:
    world = World()
    row = world.row(world.registered(a_resource())["registrationId"])
    managed = replace(row, request=row.request.model_copy(update={"fhir_server_url": MANAGED}))
    [step] = next_steps(managed, world.settings.tenant)
    assert step.code == "configure-fhir-service"
    assert "\"[?name=='ws/svc'].id\"" in step.command


def test_a_resource_without_mapped_claims_is_not_told_of_managed_services() -> None:
    [step] = World().registered(a_resource())["nextSteps"]
    assert step["code"] == "configure-fhir-server"
