"""Every client type ends active and proven, within its budget of calls, and whatever passes is waited out."""

from typing import Any

import pytest

from dev.emulator import Fault
from dev.emulator.client import RegistrarCredential
from provisioning.domain.registration import Status
from tests.worlds.checker import check
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.steps import failure_of, operations, submitted
from tests.worlds.world import World

CLIENTS = {
    "confidential": a_confidential_client,
    "public": a_public_client,
    "service": a_service_client,
}


# --- the good case, and its budget ----------------------------------------------------------------------------------


def test_a_service_client_costs_two_graph_calls_one_vault_read_one_vault_write_and_the_proof(world: World) -> None:
    world.registered(a_service_client())
    assert operations(world) == {
        "graph.createApplication": 1,
        "graph.createServicePrincipal": 1,
        "vault.getSecret": 1,
        "token.clientCredentials": 3,
        "vault.setSecret": 1,
    }
    check(world)


def test_a_confidential_client_costs_what_a_service_client_does(world: World) -> None:
    world.registered(a_confidential_client())
    assert operations(world) == {
        "graph.createApplication": 1,
        "graph.createServicePrincipal": 1,
        "vault.getSecret": 1,
        "token.clientCredentials": 3,
        "vault.setSecret": 1,
    }
    check(world)


def test_a_public_client_costs_two_graph_calls_and_has_no_credential(world: World) -> None:
    registration = world.registered(a_public_client())
    assert operations(world) == {"graph.createApplication": 1, "graph.createServicePrincipal": 1}
    assert registration["secret"] is None
    check(world)


@pytest.mark.parametrize(("version", "updates"), [(1, 0), (2, 1)])
def test_a_resource_costs_two_graph_calls_and_a_third_for_an_identifier_uri_of_its_client_id(
    version: int, updates: int
) -> None:
    world = World()
    world.registered(a_resource(accessTokenVersion=version))
    expected = {"graph.createApplication": 1, "graph.createServicePrincipal": 1}
    assert operations(world) == expected | ({"graph.updateApplication": 1} if updates else {})
    check(world)


def test_a_foreign_resource_costs_one_read_per_ten_minutes() -> None:
    world = World()
    managed = a_service_client(resource="https://ws-fhir.fhir.azurehealthcareapis.com", appRoles=[])
    for _ in range(3):
        world.registered(managed)
    assert operations(world)["graph.readServicePrincipal"] == 1
    world.clock.sleep(601)
    world.registered(managed)
    assert operations(world)["graph.readServicePrincipal"] == 2
    check(world)


def test_a_redelivery_of_a_finished_operation_reads_one_row_and_does_nothing_else(world: World) -> None:
    answer = world.post(a_service_client())
    assert answer.message is not None
    world.deliver()
    world.emulator.calls.clear()
    rows = dict(world.registry.rows)  # type: ignore[attr-defined]
    world.send(answer.message)
    world.deliver()
    assert world.emulator.calls == []
    assert world.registry.rows == rows  # type: ignore[attr-defined]


def test_the_good_case_waits_for_nothing(world: World) -> None:
    world.registered(a_service_client())
    assert world.clock.slept == []


# --- adoption, and what is not ours ---------------------------------------------------------------------------------


@pytest.mark.parametrize("conflict_status", [400, 409])
def test_an_application_whose_answer_was_lost_is_adopted(world: World, conflict_status: int) -> None:
    world.emulator.faults.set(unique_name_conflict_status=conflict_status)
    world.emulator.faults.add(Fault("reset", "graph.createApplication", when="after"))
    world.registered(a_service_client())
    assert operations(world)["graph.addPassword"] == 1
    check(world)


def test_an_application_with_our_name_but_without_our_tags_is_never_adopted(world: World) -> None:
    registration_id = submitted(world, a_public_client())
    token = RegistrarCredential(world.emulator).get_token(f"{world.emulator.origin}/.default").token
    headers = {"Authorization": f"Bearer {token}"}
    body = {"displayName": "foreign", "uniqueName": f"fhir-registrar-{registration_id}"}
    url = f"{world.emulator.origin}/v1.0/applications"
    assert world.emulator.session().post(url, json=body, headers=headers, timeout=5).status_code == 201
    world.deliver()
    assert failure_of(world, registration_id)["code"] == "application-not-ours"


# --- what passes, what does not -------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [a_confidential_client, a_public_client, a_service_client], ids=CLIENTS)
@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
@pytest.mark.parametrize("operation", ["graph.createApplication", "graph.createServicePrincipal", "vault.*", "token.*"])
def test_a_call_that_fails_in_passing_is_waited_out_within_the_delivery(
    world: World, body: Any, status: int, operation: str
) -> None:
    world.emulator.faults.add(Fault("status", operation, status=status, retry_after=1.5))
    world.registered(body())
    check(world)


@pytest.mark.parametrize("form", ["seconds", "fractional", "httpDate"])
def test_a_retry_after_is_obeyed_in_each_of_its_forms(world: World, form: Any) -> None:
    world.emulator.faults.add(Fault("throttle", "graph.createApplication", retry_after=17, form=form))
    world.registered(a_public_client())
    assert 16 <= sum(world.clock.slept) <= 18


def test_a_retry_after_beyond_a_minute_is_left_to_the_queue(world: World) -> None:
    world.emulator.faults.add(Fault("throttle", "graph.createApplication", retry_after=90))
    registration_id = submitted(world, a_public_client())
    world.deliver()
    assert world.clock.slept == []
    assert world.get(registration_id)["operation"]["lastError"]["code"] == "graph-throttled"
    world.settle()
    check(world)


def test_replication_lag_is_waited_out_without_a_second_application(world: World) -> None:
    world.emulator.faults.set(replication_lag=20, replicas=3)
    for body in (a_confidential_client(), a_public_client(), a_service_client()):
        submitted(world, body)
    world.settle()
    assert operations(world)["graph.createApplication"] == 3
    check(world)


PERMANENT = {
    "password_lifetime_days": (1, "secret-lifetime-refused"),
    "password_addition_blocked": (True, "secrets-forbidden"),
    "service_management_reference_required": (True, "service-management-reference-required"),
    "known_services": ([], "service-management-reference-refused"),
    "directory_quota_exceeded": (True, "quota-exceeded"),
    "vault_denied": (True, "vault-denied"),
    "allowed_audiences": ([], "audience-forbidden"),
}


@pytest.mark.parametrize("switch", PERMANENT)
def test_a_permanent_refusal_fails_within_one_delivery_without_waiting_and_names_a_remedy(
    world: World, switch: str
) -> None:
    value, code = PERMANENT[switch]
    world.emulator.faults.set(**{switch: value})
    reference = {"serviceManagementReference": "a service"} if switch == "known_services" else {}
    registration_id = submitted(world, a_service_client(**reference))
    world.deliver()
    assert failure_of(world, registration_id)["code"] == code
    assert world.clock.slept == []
    assert world.queue == []


def test_a_service_management_reference_that_the_tenant_requires_is_passed_on(world: World) -> None:
    world.emulator.faults.set(service_management_reference_required=True)
    world.registered(a_public_client(serviceManagementReference="a service"))
    check(world)


def test_a_failed_registration_is_active_after_the_cause_was_mended_and_it_was_retried(world: World) -> None:
    world.emulator.faults.set(vault_denied=True)
    registration_id = submitted(world, a_service_client())
    world.deliver()
    assert failure_of(world, registration_id)["code"] == "vault-denied"
    world.emulator.faults.clear()
    assert world.retry(registration_id).status == 202
    world.deliver()
    assert world.row(registration_id).status is Status.ACTIVE
    check(world)
