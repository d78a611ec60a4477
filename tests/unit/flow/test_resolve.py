"""A name belongs to one: what clients mean by it, who may claim it, and that its spelling makes no second one."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dev.emulator.constants import TENANT_ID
from tests.worlds.checker import check
from tests.worlds.request_bodies import a_public_client, a_resource, a_service_client
from tests.worlds.steps import FOREIGN_URI, a_foreign_resource, failure_of, submitted
from tests.worlds.world import World

SERVER = "https://fhir.contoso.example/FHIR"
MANAGED = "https://ws-svc.fhir.azurehealthcareapis.com"


def codes(world: World, body: dict[str, Any], **query: str) -> list[tuple[str, str]]:
    answer = world.post(body, query=query)
    return [(fault["pointer"], fault["code"]) for fault in json.loads(answer.body).get("errors", [])]


# --- one name, however it is spelt ----------------------------------------------------------------------------------

SPELLINGS = [
    SERVER,
    SERVER.lower(),
    SERVER.upper().replace("HTTPS", "https"),
    f"{SERVER}/",
    SERVER.replace(".example/", ".example:443/"),
    SERVER.replace("https", "HTTPS"),
]


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("first", [SERVER, SERVER.lower()], ids=["as written", "in lower case"])
def test_a_server_is_registered_once_however_it_is_spelt(first: str, spelling: str) -> None:
    world = World()
    world.registered(a_resource(fhirServerUrl=first))
    for query in ({}, {"dryRun": "true"}):
        answer = world.post(a_resource(fhirServerUrl=spelling), query=query)
        assert (answer.status, json.loads(answer.body)["code"]) == (409, "fhir-server-already-registered")


@pytest.mark.parametrize(
    "reference",
    [
        *SPELLINGS,
        f"api://{TENANT_ID}/fhir.contoso.example/FHIR",
        f"API://{TENANT_ID.upper()}/Fhir.Contoso.Example/fhir",
        f"api://{TENANT_ID}/fhir.contoso.example/FHIR/",
    ],
)
def test_a_client_finds_its_resource_however_it_is_spelt_and_the_audience_is_as_written(reference: str) -> None:
    world = World()
    resource = world.registered(a_resource(fhirServerUrl=SERVER))
    client = world.registered(a_service_client(resource=reference))
    row = world.row(client["registrationId"])
    assert row.resource is not None
    assert row.resource.client_id == resource["clientId"]
    assert row.resource.audience == SERVER
    check(world)


@pytest.mark.parametrize("form", ["{}", "api://{}", "API://{}", f"api://{TENANT_ID}/{{}}"])
@pytest.mark.parametrize("case", [str, str.upper], ids=["lower", "upper"])
def test_a_resource_is_found_by_its_client_id_and_by_its_registration_in_any_case(
    form: str, case: Callable[[str], str]
) -> None:
    world = World()
    resource = world.registered(a_resource(accessTokenVersion=2))
    for name in (form.format(case(resource["clientId"])), case(resource["registrationId"])):
        client = world.registered(a_service_client(resource=name))
        row = world.row(client["registrationId"])
        assert row.resource is not None
        assert row.resource.client_id == resource["clientId"]


parts = st.tuples(
    st.sampled_from(["https://", "HTTPS://"]),
    st.sampled_from(["fhir.contoso.example", "FHIR.Contoso.Example", "fhir.contoso.example.", "10.0.0.1", "10.1"]),
    st.sampled_from(["", ":443", ":0443", ":8443", ":08443"]),
    st.sampled_from(["", "/", "/fhir", "/FHIR", "/Fhir/", "/fhir//", "/%66hir", "/fhir/.", "/fhir?", "/r4"]),
)


@settings(max_examples=40, deadline=None, derandomize=True, database=None)
@given(st.lists(parts.map("".join), min_size=2, max_size=6), st.sampled_from(["", "contoso.example"]))
def test_no_two_live_resources_have_urls_that_entra_compares_as_equal(urls: list[str], verified: str) -> None:
    world = World(settings={"VERIFIED_DOMAINS": verified}, verified_domains=[verified] if verified else [])
    taken = [url for url in urls if world.post(a_resource(fhirServerUrl=url)).status == 202]
    world.settle()
    rows = world.registry.find(top=100).registrations
    assert len(rows) == len(taken)
    assert [row.operation.failure for row in rows] == [None] * len(rows)
    identifiers = [str(row.identifier_uri).lower() for row in rows]
    assert len(set(identifiers)) == len(rows)
    for url in urls:
        assert world.post(a_resource(fhirServerUrl=url)).status in (400, 409)


# --- rows and names of an earlier version ---------------------------------------------------------------------------


def claimed_as_written(world: World, url: str) -> dict[str, Any]:
    """Return a resource as an earlier version left it: its name is claimed in the spelling of the request."""
    shown = world.registered(a_resource(fhirServerUrl="https://old.contoso.example"))
    registry: Any = world.registry
    row = world.row(shown["registrationId"])
    request = row.request.model_copy(update={"fhir_server_url": url})
    registry.rows[row.id] = replace(row, request=request, identifier_uri=f"api://{TENANT_ID}/{url[8:]}")
    del registry.names["https://old.contoso.example"]
    registry.names[url] = row.id
    return shown


@pytest.mark.parametrize("url", [SERVER, "https://fhirserver/R4", "https://localhost:44348/fhir", "https://10.1/FHIR"])
def test_a_name_that_an_earlier_version_claimed_as_written_still_belongs_to_its_registration(url: str) -> None:
    world = World()
    old = claimed_as_written(world, url)
    for reference in (url, f"{url}/", f"api://{TENANT_ID}/{url[8:]}"):
        client = world.registered(a_service_client(resource=reference))
        row = world.row(client["registrationId"])
        assert row.resource is not None
        assert row.resource.client_id == old["clientId"]


def test_a_server_that_an_earlier_version_registered_is_not_registered_again() -> None:
    world = World()
    claimed_as_written(world, SERVER)
    assert world.post(a_resource(fhirServerUrl=SERVER)).status == 409


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_within_a_day_a_name_of_an_earlier_version_is_known_in_every_spelling(spelling: str) -> None:
    world = World()
    old = claimed_as_written(world, SERVER)
    world.reconcile()
    assert world.post(a_resource(fhirServerUrl=spelling)).status == 409
    client = world.registered(a_service_client(resource=spelling))
    row = world.row(client["registrationId"])
    assert row.resource is not None
    assert row.resource.client_id == old["clientId"]


# --- names that are nobody's to claim -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        MANAGED,
        f"{MANAGED}/R4",
        f"{MANAGED}:8443",
        MANAGED.upper().replace("HTTPS", "https"),
        "https://account.azurehealthcareapis.com",
        "https://ws-svc.fhir.azurehealthcareapis.us",
        "https://ws-images.dicom.azurehealthcareapis.com",
        "https://azurehealthcareapis.com",
        "https://graph.microsoft.com",
        "https://Graph.Microsoft.com/v1.0",
        "https://graph.microsoft.us",
        "https://management.azure.com",
        "https://v.vault.azure.net",
        "https://vault.azure.cn",
        "https://account.blob.core.windows.net",
        "https://login.microsoftonline.com/common",
        "https://management.chinacloudapi.cn",
    ],
)
@pytest.mark.parametrize("query", [{}, {"dryRun": "true"}], ids=["POST", "dry run"])
def test_a_name_of_microsoft_is_nobodys_to_register(url: str, query: dict[str, str]) -> None:
    world = World()
    assert codes(world, a_resource(fhirServerUrl=url), **query) == [("#/fhirServerUrl", "name-not-claimable")]
    assert world.registry.find(top=1).registrations == ()


@pytest.mark.parametrize(
    "url",
    [
        "https://fhir.azurewebsites.net",
        "https://fhir.westeurope.cloudapp.azure.com/r4",
        "https://fhir.chinanorth.cloudapp.chinacloudapi.cn",
        "https://fhir.proudriver-1234.westeurope.azurecontainerapps.io",
        "https://gateway.azure-api.net/fhir",
        "https://notazurehealthcareapis.com",
        "https://microsoft.com.contoso.example",
    ],
)
def test_a_name_that_azure_gives_to_its_customers_is_theirs(url: str) -> None:
    World().registered(a_resource(fhirServerUrl=url))


def test_on_a_verified_domain_a_name_is_the_tenants_own_unless_it_is_a_managed_service() -> None:
    domains = ["microsoft.com", "azurehealthcareapis.com"]
    world = World(settings={"VERIFIED_DOMAINS": ",".join(domains)}, verified_domains=domains)
    world.registered(a_resource(fhirServerUrl="https://fhir.microsoft.com"))
    assert codes(world, a_resource(fhirServerUrl=MANAGED)) == [("#/fhirServerUrl", "name-not-claimable")]


@pytest.mark.parametrize(
    ("listed", "url"),
    [
        ("https://pay.contoso.example/API", "https://Pay.Contoso.Example/api/"),
        ("https://pay.contoso.example", "https://pay.contoso.example:443"),
        (f"api://{TENANT_ID}/pay.contoso.example", "https://pay.contoso.example"),
    ],
)
def test_what_the_operator_lists_is_nobodys_to_register(listed: str, url: str) -> None:
    world = World(settings={"ALLOWED_RESOURCES": listed})
    assert codes(world, a_resource(fhirServerUrl=url)) == [("#/fhirServerUrl", "name-not-claimable")]


def test_what_the_operator_lists_means_the_operators_resource_though_it_was_registered_before() -> None:
    world = World()
    world.registered(a_resource(fhirServerUrl="https://pay.contoso.example"))
    foreign = a_foreign_resource(world)
    world.exchange(lambda services: replace(services, allowed_resources={"https://pay.contoso.example": FOREIGN_URI}))
    client = world.registered(a_service_client(resource="https://pay.contoso.example", appRoles=["pay"]))
    row = world.row(client["registrationId"])
    assert row.resource is not None
    assert row.resource.client_id == foreign["appId"]


@pytest.mark.parametrize("reference", [FOREIGN_URI, FOREIGN_URI.lower(), FOREIGN_URI.upper(), f"{FOREIGN_URI}/"])
def test_a_listed_resource_is_found_in_any_case_and_its_audience_is_as_the_operator_wrote_it(reference: str) -> None:
    world = World(settings={"ALLOWED_RESOURCES": FOREIGN_URI})
    foreign = a_foreign_resource(world)
    client = world.registered(a_service_client(resource=reference, appRoles=["pay"]))
    row = world.row(client["registrationId"])
    assert row.resource is not None
    assert (row.resource.client_id, row.resource.audience) == (foreign["appId"], FOREIGN_URI)


def test_microsoft_graph_is_not_asked_for_by_any_of_its_other_names() -> None:
    world = World()
    origin = world.emulator.origin  # which the emulated Microsoft Graph goes by too
    world.exchange(lambda services: replace(services, allowed_resources={origin: origin}))
    client = submitted(world, a_service_client(resource=origin, appRoles=["Application.Read.All"]))
    world.deliver()
    assert failure_of(world, client)["code"] == "resource-not-allowed"


def test_nobody_takes_the_default_identifier_uri_of_somebody_elses_application() -> None:
    world = World()
    victim = a_foreign_resource(world)["appId"]
    for host in (victim, victim.upper(), victim.replace("-", ""), f"{victim}.contoso.example"):
        body = a_resource(fhirServerUrl=f"https://{host}")
        assert codes(world, body) == [("#/fhirServerUrl", "uri-client-id")]
    for name in (victim, f"api://{victim}", f"api://{TENANT_ID}/{victim}", f"https://{victim}"):
        assert codes(world, a_public_client(resource=name)) == [("#/resource", "resource-not-allowed")]
