"""A client and the resource that it names: found in any spelling, waited for, and declared with Graph's own ids."""

import json
from dataclasses import replace
from typing import Any

import pytest

from dev.emulator.constants import REGISTRAR_CLIENT_ID
from tests.worlds.checker import check
from tests.worlds.memory import MemoryRegistry
from tests.worlds.outside import straight
from tests.worlds.request_bodies import OTHER_OWNER, OWNER, a_resource, a_service_client
from tests.worlds.steps import (
    FOREIGN_URI,
    a_foreign_resource,
    body_in_entra,
    code_of,
    failure_of,
    listed,
    operations,
    submitted,
)
from tests.worlds.world import World


def test_a_resource_named_in_any_of_its_ways_is_the_same_resource(world: World) -> None:
    resource = world.list(clientType="resource")["value"][0]
    references = (
        resource["registrationId"],
        resource["clientId"],
        resource["clientId"].upper(),
        f"api://{resource['clientId']}",
        "https://fhir.contoso.example",
        "https://FHIR.contoso.example/",
    )
    declared = set()
    for reference in references:
        client = world.registered(a_service_client(resource=reference))
        application = world.emulator.directory.application(app_id=client["clientId"])
        assert application is not None
        declared.add(json.dumps(application.last_body["requiredResourceAccess"]))
        assert client["oauth"]["scope"] == "https://fhir.contoso.example/.default"
    assert len(declared) == 1


def test_a_client_waits_for_a_resource_that_is_still_accepted_and_then_becomes_active() -> None:
    world = World()
    resource = submitted(world, a_resource())
    client = submitted(world, a_service_client(resource=resource))
    world.queue.reverse()
    world.settle()
    assert {world.get(each)["status"] for each in (resource, client)} == {"active"}
    check(world)


def test_a_second_live_registration_of_a_server_is_a_conflict_in_whatever_spelling(world: World) -> None:
    answer = world.post(a_resource(fhirServerUrl="https://FHIR.contoso.example:443/"))
    assert (answer.status, json.loads(answer.body)["code"]) == (409, "fhir-server-already-registered")
    assert world.queue == []


def test_a_server_whose_claimant_died_before_its_row_was_written_can_be_registered() -> None:
    world = World()
    world.registry.claim("https://fhir.contoso.example", "00000000-dead")
    world.registered(a_resource())


@pytest.mark.parametrize(
    ("owner", "code"), [(OWNER, "fhir-server-already-registered"), (OTHER_OWNER, "fhir-server-not-available")]
)
def test_of_two_posts_for_one_server_that_passed_each_other_one_fails_with_a_remedy(owner: str, code: str) -> None:
    world = World()
    slow = submitted(world, a_resource())
    world.registry.claim("https://fhir.contoso.example", "00000000-dead", instead_of=slow)
    fast = submitted(world, a_resource(owner=owner))
    world.deliver()
    assert failure_of(world, slow)["code"] == code
    assert world.get(fast)["status"] == "active"
    check(world)


def test_whoever_was_first_keeps_a_name_although_its_row_came_after_that_had_changed_hands() -> None:
    registry = MemoryRegistry()
    world = World(registry=registry)
    first = submitted(world, a_resource())
    row, claims = registry.rows.pop(first), list[str]()

    def row_comes_late(name: str, action: Any) -> Any:
        answer = action()
        claims.extend([name] if name == "registry.claim" else [])
        if len(claims) == 2:
            registry.rows[first] = row
        return answer

    world.outside = row_comes_late
    assert code_of(world.post(a_resource())) == "fhir-server-already-registered"
    assert len(claims) == 3, "taken, taken over, given back"
    world.outside = straight
    world.settle()
    assert world.get(first)["status"] == "active"


@pytest.mark.parametrize(("version", "updates"), [(1, 0), (2, 1)])
def test_a_resource_has_its_identifier_uri_from_the_first_call_on_or_once_its_client_id_is_known(
    version: int, updates: int
) -> None:
    world = World()
    shown = world.registered(a_resource(accessTokenVersion=version))
    uri = f"api://{shown['clientId']}" if version == 2 else "https://fhir.contoso.example"
    assert body_in_entra(world, shown["registrationId"])["identifierUris"] == [uri]
    assert world.row(shown["registrationId"]).identifier_uri == uri
    assert operations(world)["graph.updateApplication"] == updates


def test_a_name_that_nobody_has_costs_one_claim_and_the_message_comes_after_all_writes() -> None:
    world, called = World(), list[str]()

    def noted(name: str, action: Any) -> Any:
        called.append(name)
        return action()

    world.outside = noted
    submitted(world, a_resource())
    writes = [f"registry.{each}" for each in ("claim", "take_place", "put_due", "insert")]
    assert called == [*writes, "queue.send"]


def test_an_allowed_resource_that_the_tenant_does_not_know_is_named_with_what_mends_it() -> None:
    world = World(settings={"ALLOWED_RESOURCES": FOREIGN_URI})
    client = submitted(world, a_service_client(resource=FOREIGN_URI, appRoles=["pay"]))
    world.deliver()
    assert failure_of(world, client)["code"] == "resource-not-found"
    a_foreign_resource(world)
    assert world.retry(client).status == 202
    world.clock.sleep(3600)  # what is not there is remembered too
    world.settle()
    assert world.get(client)["status"] == "active"


def test_a_resource_that_failed_meanwhile_fails_its_clients() -> None:
    world = World()
    world.emulator.faults.set(directory_quota_exceeded=True)
    resource = submitted(world, a_resource())
    client = submitted(world, a_service_client(resource=resource))
    world.deliver()
    world.emulator.faults.clear()
    world.settle()
    assert failure_of(world, client)["code"] == "resource-not-active"


def test_an_allowed_foreign_resource_is_declared_with_the_ids_that_graph_gives() -> None:
    world = World()
    foreign = a_foreign_resource(world)["appId"]
    world.exchange(lambda services: replace(services, allowed_resources=listed(FOREIGN_URI, foreign)))
    for reference in (foreign, FOREIGN_URI):
        client = world.registered(a_service_client(resource=reference, appRoles=["pay"]))
        application = world.emulator.directory.application(app_id=client["clientId"])
        assert application is not None
        [access] = application.last_body["requiredResourceAccess"]
        assert access["resourceAppId"] == foreign
        assert [each["type"] for each in access["resourceAccess"]] == ["Role"]


def test_without_the_first_party_service_principal_nothing_is_declared_and_the_client_still_works() -> None:
    world = World(managed_fhir=False)
    client = world.registered(a_service_client(resource="https://ws-x.fhir.azurehealthcareapis.com", appRoles=[]))
    application = world.emulator.directory.application(app_id=client["clientId"])
    assert application is not None
    assert not application.last_body.get("requiredResourceAccess")
    check(world)


@pytest.mark.parametrize("form", ["{}", "api://{}"])
def test_this_service_itself_cannot_be_asked_for_as_a_resource(form: str) -> None:
    world = World(settings={"AZURE_CLIENT_ID": REGISTRAR_CLIENT_ID})
    answer = world.post(a_service_client(resource=form.format(REGISTRAR_CLIENT_ID)))
    assert answer.status == 400
    assert [fault["code"] for fault in json.loads(answer.body)["errors"]] == ["resource-not-allowed"]
    assert (world.queue, world.emulator.calls) == ([], [])
