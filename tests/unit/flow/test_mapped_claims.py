"""Mapped claims, such as fhirUser: asked for with the application, and set in a call of their own."""

import json
from typing import Any

import pytest

from dev.emulator import Fault
from dev.emulator.client import Client
from dev.emulator.constants import TENANT_ID
from tests.worlds.checker import check
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource
from tests.worlds.steps import body_in_entra, operations
from tests.worlds.world import World

ASKING = {
    "resource": a_resource(fhirServerUrl="https://fhir2.contoso.example"),
    "resource with v2 tokens": a_resource(fhirServerUrl="https://fhir2.elsewhere.example", accessTokenVersion=2),
    "confidential": a_confidential_client(),
    "public": a_public_client(),
}


@pytest.fixture
def world() -> World:
    world = World()
    world.registered(a_resource())
    world.emulator.calls.clear()
    return world


@pytest.mark.parametrize("name", ASKING)
def test_mapped_claims_cost_one_call_more_and_nothing_where_nobody_asks_for_them(world: World, name: str) -> None:
    updates = 1 if "v2" in name else 0
    shown = world.registered({**ASKING[name], "acceptMappedClaims": True})
    assert body_in_entra(world, shown["registrationId"])["api"]["acceptMappedClaims"] is True
    assert operations(world)["graph.updateApplication"] == updates + 1
    world.emulator.calls.clear()
    other = {**ASKING[name], "fhirServerUrl": "https://fhir3.contoso.example"} if "resource" in name else ASKING[name]
    without = world.registered(other)
    assert body_in_entra(world, without["registrationId"])["api"]["acceptMappedClaims"] is None
    assert operations(world)["graph.updateApplication"] == updates
    check(world)


def test_false_is_the_same_request_as_nothing(world: World) -> None:
    body = a_public_client()
    ids = [
        json.loads(world.post(each, key="k").body)["registrationId"]
        for each in (body, {**body, "acceptMappedClaims": False})
    ]
    assert len(set(ids)) == 1
    assert "acceptMappedClaims" not in world.get(ids[0])


@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_that_is_lost_leaves_it_set(world: World, when: Any) -> None:
    world.emulator.faults.add(Fault("reset", "graph.updateApplication", when=when))
    shown = world.registered(a_public_client(acceptMappedClaims=True))
    assert body_in_entra(world, shown["registrationId"])["api"]["acceptMappedClaims"] is True
    check(world)


def test_a_replica_that_does_not_know_the_application_yet_is_waited_for(world: World) -> None:
    world.emulator.faults.set(replication_lag=8, replicas=2)
    shown = world.registered(a_confidential_client(acceptMappedClaims=True))
    assert body_in_entra(world, shown["registrationId"])["api"]["acceptMappedClaims"] is True
    check(world)


@pytest.mark.parametrize(
    ("url", "version"), [("https://fhir2.contoso.example/r4", 1), ("https://fhir2.elsewhere.example", 2)]
)
def test_a_resource_that_is_accepted_with_mapped_claims_gets_tokens(world: World, url: str, version: int) -> None:
    shown = world.registered(a_resource(fhirServerUrl=url, accessTokenVersion=version, acceptMappedClaims=True))
    client = Client(world.emulator)
    answer = client.sign_in(*client.create_client(), shown["oauth"]["scope"])
    assert answer.status_code == 200, answer.text


def test_a_resource_for_which_entra_would_give_no_token_is_refused_with_the_way_out(world: World) -> None:
    body = a_resource(fhirServerUrl="https://fhir2.elsewhere.example", acceptMappedClaims=True)
    answer = world.post(body)
    [fault] = json.loads(answer.body)["errors"]
    assert (answer.status, fault["pointer"]) == (400, "#/acceptMappedClaims")
    assert "accessTokenVersion 2" in fault["message"]
    # What it is spared: without mapped claims the same audience is one that Entra serves.
    shown = world.registered({**body, "acceptMappedClaims": False})
    assert shown["oauth"]["scope"] == f"api://{TENANT_ID}/fhir2.elsewhere.example/.default"


@pytest.mark.parametrize("name", ASKING)
def test_who_has_mapped_claims_is_told_that_a_policy_has_to_map_them(world: World, name: str) -> None:
    shown = world.registered({**ASKING[name], "acceptMappedClaims": True})
    [step] = [step for step in shown["nextSteps"] if step["code"] == "map-claims"]
    assert f"/servicePrincipals/{shown['servicePrincipalId']}/claimsMappingPolicies/$ref" in step["command"]
    assert step["url"].endswith(f"/objectId/{shown['servicePrincipalId']}/appId/{shown['clientId']}")


@pytest.mark.parametrize("body", [a_resource(fhirServerUrl="https://fhir2.contoso.example"), a_public_client()])
def test_a_service_principal_is_listed_among_the_enterprise_applications(world: World, body: dict[str, Any]) -> None:
    shown = world.registered(body)
    listed = Client(world.emulator).graph("GET", f"/servicePrincipals/{shown['servicePrincipalId']}").json()
    assert "WindowsAzureActiveDirectoryIntegratedApp" in listed["tags"]
    assert operations(world)["graph.updateServicePrincipal"] == 0
