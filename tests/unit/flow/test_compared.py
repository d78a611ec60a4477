"""Who owns an application, who may sign in with it, and what maps its claims is compared, told, and left to people."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dev.emulator.client import Client
from dev.emulator.constants import REGISTRAR_OBJECT_ID
from provisioning.adapters.graph import GraphDirectory
from provisioning.adapters.graph_calls import GraphCalls
from provisioning.domain.directory import Application
from provisioning.domain.manifest import changed_properties
from provisioning.flow.compare import is_the_day
from provisioning.flow.reconcile import first_page
from tests.unit.flow.test_added_by_hand import findings
from tests.unit.flow.test_ready import Person
from tests.worlds.checker import check, token_answer
from tests.worlds.clock import DAY
from tests.worlds.request_bodies import REQUESTS, a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.steps import body_in_entra, operations, text_of
from tests.worlds.world import World

SOMEBODY = [f"0b0b0b0b-0000-4000-8000-{number:012}" for number in range(30)]
TRUSTED = {"name": "by-hand", "issuer": "https://token.example", "subject": "anybody", "audiences": ["api://x"]}


def reconciled(world: World, *ids: str) -> list[list[str]]:
    world.clock.sleep(86_400)
    world.reconcile()
    return [findings(world, each) for each in ids]


def application(world: World, registration_id: str) -> Any:
    return world.emulator.directory.application(app_id=world.row(registration_id).client_id or "")


def enable(world: World, registration_id: str, *, enabled: bool) -> None:
    """Have an administrator switch sign-in to the application on or off."""
    path = f"/servicePrincipals/{world.row(registration_id).service_principal_id}"
    assert Client(world.emulator).graph("PATCH", path, {"accountEnabled": enabled}).status_code == 204


def registered(world: World, body: dict[str, Any]) -> str:
    registration_id = str(world.registered(body)["registrationId"])
    world.clock.sleep(7200)
    return registration_id


# --- owners ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [1, 25])
def test_further_owners_are_counted_and_kept_however_many_there_are(world: World, number: int) -> None:
    client = registered(world, a_service_client())
    application(world, client).owners |= set(SOMEBODY[:number])
    assert reconciled(world, client) == [["owners-added-by-hand"]]
    [found] = world.row(client).findings
    assert f"{number} owners beside" in found.message
    assert application(world, client).owners == {REGISTRAR_OBJECT_ID, *SOMEBODY[:number]}
    application(world, client).owners -= set(SOMEBODY)
    assert reconciled(world, client) == [[]]


def test_it_is_told_that_this_app_is_no_owner_any_more_before_a_write_fails_of_it(world: World) -> None:
    client = registered(world, a_service_client())
    application(world, client).owners = {SOMEBODY[0]}
    assert reconciled(world, client) == [["registrar-not-owner", "owners-added-by-hand"]]
    world.rotate(client)
    world.deliver()
    failure = world.row(client).operation.failure
    assert failure is not None
    assert failure.code == "permission-missing"
    application(world, client).owners = {REGISTRAR_OBJECT_ID}
    reconciled(world, client)  # the rotation that failed is done first
    assert reconciled(world, client) == [[]]


@pytest.mark.parametrize(
    ("person", "setting", "found"),
    [
        (True, "", []),
        (True, REGISTRAR_OBJECT_ID, ["registrar-not-owner", "owners-added-by-hand"]),
        (False, "", ["registrar-not-owner", "owners-added-by-hand"]),
    ],
    ids=["somebody", "somebody in its place", "the app itself"],
)
def test_whoever_is_signed_in_at_a_command_line_is_not_looked_for_among_the_owners(
    person: bool,  # noqa: FBT001 -- a parameter of the test
    setting: str,
    found: list[str],
) -> None:
    world = World(settings={"REGISTRAR_OBJECT_ID": setting})
    server = registered(world, a_resource())
    application(world, server).owners = {SOMEBODY[0]}
    if person:
        endpoint = world.settings.tenant.graph_endpoint
        calls = GraphCalls(endpoint, Person(world), world.emulator.session(), world.clock)
        world.services = world.but(directory=GraphDirectory(calls, world.clock))
    assert reconciled(world, server) == [found]


def test_what_a_reconciliation_found_is_told_by_the_checks_between(world: World) -> None:
    client = registered(world, a_service_client())
    application(world, client).owners.add(SOMEBODY[0])
    reconciled(world, client)
    world.clock.sleep(3600)
    world.change(client, {"displayName": "Another name"})
    world.settle()
    assert findings(world, client) == ["owners-added-by-hand"]


# --- sign-in --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client_type", REQUESTS)
def test_a_service_principal_that_somebody_disabled_is_told_and_never_switched_on(client_type: str) -> None:
    world = World()
    if client_type != "resource":
        world.registered(a_resource())
    registration_id = registered(world, REQUESTS[client_type]())
    enable(world, registration_id, enabled=False)
    for _ in range(2):
        assert reconciled(world, registration_id) == [["sign-in-disabled"]]
    principal = world.emulator.directory.principal_of(world.row(registration_id).client_id or "")
    assert principal is not None
    assert principal.last_body["accountEnabled"] is False
    enable(world, registration_id, enabled=True)
    assert reconciled(world, registration_id) == [[]]
    check(world)


def test_nobody_signs_in_with_what_is_disabled_or_gets_a_token_for_it(world: World) -> None:
    server = world.list(clientType="resource")["value"][0]["registrationId"]
    client = registered(world, a_service_client())
    row = world.row(client)
    assert row.resource is not None
    secret, scope = text_of(world, client), f"{row.resource.audience}/.default"
    enable(world, server, enabled=False)
    refused = token_answer(world, row.client_id or "", secret, scope)
    assert (refused.status_code, refused.json()["error_codes"]) == (400, [500014])
    enable(world, server, enabled=True)
    enable(world, client, enabled=False)
    refused = token_answer(world, row.client_id or "", secret, scope)
    assert (refused.status_code, refused.json()["error"], refused.json()["error_codes"]) == (
        *(400, "unauthorized_client"),
        [7000112],
    )


def test_a_secret_of_what_is_disabled_stays_as_it_is_when_it_is_rotated(world: World) -> None:
    client = registered(world, a_service_client())
    enable(world, client, enabled=False)
    before = text_of(world, client)
    world.rotate(client)
    world.settle()
    failure = world.row(client).operation.failure
    assert failure is not None
    assert failure.code == "secret-refused"
    assert "AADSTS7000112" in failure.message
    assert text_of(world, client) == before


# --- mapped claims --------------------------------------------------------------------------------------------------


def accept(world: World, registration_id: str, value: Any) -> None:
    object_id = world.row(registration_id).application_object_id or ""
    world.services.directory.update_application(object_id, {"api": {"acceptMappedClaims": value}})


def test_mapped_claims_that_were_asked_for_are_allowed_again(world: World) -> None:
    client = registered(world, a_public_client(acceptMappedClaims=True))
    accept(world, client, None)
    assert reconciled(world, client) == [[]]
    assert body_in_entra(world, client)["api"]["acceptMappedClaims"] is True
    check(world)


def test_mapped_claims_that_nobody_asked_for_are_told_and_kept(world: World) -> None:
    client = registered(world, a_confidential_client())
    accept(world, client, value=True)
    assert reconciled(world, client) == [["mapped-claims-added-by-hand"]]
    assert body_in_entra(world, client)["api"]["acceptMappedClaims"] is True
    accept(world, client, None)
    assert reconciled(world, client) == [[]]


# --- credentials of a kind that the registration has not -------------------------------------------------------------


@pytest.mark.parametrize("body", [a_service_client(), a_public_client(), a_resource(fhirServerUrl="https://b.example")])
def test_a_federated_credential_that_a_registration_does_not_ask_for_is_found_within_a_week(
    world: World, body: Any
) -> None:
    client = registered(world, body)
    path = f"/applications/{world.row(client).application_object_id}/federatedIdentityCredentials"
    by_hand = TRUSTED | {"audiences": ["api://AzureADTokenExchange"]}
    assert Client(world.emulator).graph("POST", path, by_hand).status_code == 201
    days = 0
    while reconciled(world, client) == [[]]:
        days += 1
        assert days < 7
    assert findings(world, client) == ["subjects-added-by-hand"]
    assert reconciled(world, client) == [["subjects-added-by-hand"]], "it is looked for daily once it was found"
    assert [each["name"] for each in application(world, client).federated] == ["by-hand"]
    application(world, client).federated.clear()
    assert reconciled(world, client) == [[]]


def test_each_registration_has_one_day_of_the_week(world: World) -> None:
    row = world.row(registered(world, a_service_client()))
    days = [world.clock.now() + number * DAY for number in range(70)]
    assert sum(is_the_day(row, day) for day in days) == 10
    assert Counter(number % 7 for number, day in enumerate(days) if is_the_day(row, day)).most_common(1)[0][1] == 10


# --- what it costs --------------------------------------------------------------------------------------------------


def test_a_week_of_nights_costs_one_list_a_night_and_one_call_a_registration(world: World) -> None:
    ids = [world.registered(a_public_client(displayName=f"Client {number}"))["registrationId"] for number in range(5)]
    world.clock.sleep(7200)
    before = operations(world)
    for _ in range(7):
        reconciled(world, *ids)
    spent = operations(world) - before
    assert spent["graph.listServicePrincipals"] == 7
    assert spent["graph.listFederatedCredentials"] == 6, "each of five clients, and their resource"
    assert spent["graph.listOwners"] == 0
    assert spent["graph.readApplication"] == 7 * 6


def renamed_by_hand(world: World, registration_id: str, **more: Any) -> None:
    object_id = world.row(registration_id).application_object_id or ""
    world.services.directory.update_application(object_id, {"displayName": "By hand", **more})


@pytest.mark.parametrize(("age", "repaired"), [(timedelta(minutes=59, seconds=59), False), (timedelta(hours=1), True)])
def test_what_was_changed_by_hand_is_repaired_from_an_hour_after_the_latest_change_on(
    world: World,
    age: timedelta,
    repaired: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    client = str(world.registered(a_public_client())["registrationId"])
    renamed_by_hand(world, client)
    world.clock.time = world.row(client).operation.requested_at + age
    world.send(first_page(world.services))
    world.deliver()
    world.deliver()
    assert (body_in_entra(world, client)["displayName"] == "A public") is repaired


def test_an_application_that_has_a_later_change_than_its_row_is_left_alone(world: World) -> None:
    client = registered(world, a_public_client())
    row = world.row(client)
    later = changed_properties(replace(row, change=row.change + 1), application_of(world, client))["notes"]
    renamed_by_hand(world, client, notes=later)
    world.reconcile()
    assert body_in_entra(world, client)["displayName"] == "By hand"


def application_of(world: World, registration_id: str) -> Application:
    found = world.services.directory.read_application(world.row(registration_id).application_object_id or "")
    assert found is not None
    return found
