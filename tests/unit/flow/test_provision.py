"""The page: every client type ends active and proven, within its budget of calls, and safe to repeat."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dev.emulator import SECRET_MARKER, Fault
from dev.emulator.client import Client, RegistrarCredential
from dev.emulator.constants import REGISTRAR_CLIENT_ID
from provisioning.domain.registration import Status
from tests.worlds.checker import check, token_answer
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.steps import FOREIGN_URI, a_foreign_resource, failure_of, listed, operations, submitted
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


# --- what a registration ends as ------------------------------------------------------------------------------------


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


def test_of_two_posts_for_one_server_that_passed_each_other_one_fails_with_a_remedy() -> None:
    world = World()
    slow = submitted(world, a_resource())
    world.registry.claim("https://fhir.contoso.example", "00000000-dead", instead_of=slow)
    fast = submitted(world, a_resource())
    world.deliver()
    assert failure_of(world, slow)["code"] == "fhir-server-already-registered"
    assert world.get(fast)["status"] == "active"
    check(world)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"resource": "cf4c4732-00000000-0000-4000-8000-000000000000"}, "resource-not-found"),
        ({"appRoles": ["noSuchRole"]}, "app-role-not-found"),
        ({"resource": "https://ws-x.fhir.azurehealthcareapis.com", "appRoles": ["globalReader"]}, "app-role-not-found"),
    ],
)
def test_a_resource_that_cannot_be_had_fails_before_anything_is_created(
    world: World, fields: dict[str, Any], code: str
) -> None:
    registration_id = submitted(world, a_service_client(**fields))
    world.deliver()
    assert failure_of(world, registration_id)["code"] == code
    assert operations(world)["graph.createApplication"] == 0


def test_a_client_cannot_be_the_resource_of_a_client(world: World) -> None:
    client = world.registered(a_service_client())
    registration_id = submitted(world, a_service_client(resource=client["registrationId"]))
    world.deliver()
    assert failure_of(world, registration_id)["code"] == "resource-is-a-client"


def test_a_failed_resource_is_an_error_for_its_clients() -> None:
    world = World()
    world.emulator.faults.set(directory_quota_exceeded=True)
    resource = submitted(world, a_resource())
    world.deliver()
    world.emulator.faults.clear()
    client = submitted(world, a_service_client(resource=resource))
    world.deliver()
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


def test_the_secret_in_the_vault_expires_with_the_credential_and_carries_the_marks_of_a_rebuild(world: World) -> None:
    client = world.registered(a_service_client(secretLifetime="P90D"))
    stored = world.emulator.vault.get(f"fhir-registrar-{client['registrationId']}")
    expected = world.clock.now() + timedelta(days=90)
    assert stored["attributes"]["exp"] == int(expected.timestamp())
    assert client["secret"]["expiresAt"] == expected.strftime("%Y-%m-%dT%H:%M:%SZ")
    assert stored["tags"] == {
        "id": client["registrationId"],
        "keyId": client["secret"]["keyId"],
        "operationId": client["operation"]["id"],
        "clientId": client["clientId"],
        "mintedAt": world.clock.now().isoformat(),
    }
    assert client["secret"]["id"] == f"{world.emulator.origin}/secrets/fhir-registrar-{client['registrationId']}"


@pytest.mark.parametrize("minutes", [-5, 5])
def test_where_entra_ends_a_credential_earlier_or_later_than_asked_the_vault_and_the_answer_say_so(
    world: World, minutes: int
) -> None:
    ends: list[str] = []

    def by_its_own_clock(name: str, action: Callable[[], Any]) -> Any:
        answer = action()
        if name == "POST /*/applications":
            body = answer.json()
            end = datetime.fromisoformat(body["passwordCredentials"][0]["endDateTime"]) + timedelta(minutes=minutes)
            ends.append(end.strftime("%Y-%m-%dT%H:%M:%SZ"))
            body["passwordCredentials"][0]["endDateTime"] = ends[-1]
            answer._content = json.dumps(body).encode()  # noqa: SLF001 -- requests has no other way to change one
        return answer

    world.outside = by_its_own_clock
    client = world.registered(a_service_client())
    stored = world.emulator.vault.get(f"fhir-registrar-{client['registrationId']}")
    assert [client["secret"]["expiresAt"]] == ends
    assert stored["attributes"]["exp"] == int(datetime.fromisoformat(ends[0]).timestamp())
    check(world)


def test_the_published_secret_gets_a_token_for_the_resource_that_was_asked_for(world: World) -> None:
    client = world.registered(a_service_client())
    stored = world.emulator.vault.get(f"fhir-registrar-{client['registrationId']}")
    assert token_answer(world, client["clientId"], stored["value"], client["oauth"]["scope"]).status_code == 200


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


@pytest.mark.parametrize("form", ["{}", "api://{}"])
def test_this_service_itself_cannot_be_asked_for_as_a_resource(form: str) -> None:
    world = World(settings={"AZURE_CLIENT_ID": REGISTRAR_CLIENT_ID})
    answer = world.post(a_service_client(resource=form.format(REGISTRAR_CLIENT_ID)))
    assert answer.status == 400
    assert [fault["code"] for fault in json.loads(answer.body)["errors"]] == ["resource-not-allowed"]
    assert (world.queue, world.emulator.calls) == ([], [])


def test_a_vault_secret_that_somebody_else_set_is_never_overwritten(world: World) -> None:
    registration_id = submitted(world, a_service_client())
    name = f"fhir-registrar-{registration_id}"
    world.emulator.vault.set(name, {"value": "set by hand"})
    world.deliver()
    assert failure_of(world, registration_id)["code"] == "vault-secret-not-ours"
    assert world.emulator.vault.get(name)["value"] == "set by hand"


@pytest.mark.parametrize("switch", ["inline_secret_omitted", "inline_secret_refused"])
def test_where_no_secret_is_born_with_the_application_one_is_added(world: World, switch: str) -> None:
    world.emulator.faults.set(**{switch: True})
    world.registered(a_service_client())
    assert operations(world)["graph.addPassword"] == 1
    check(world)


# --- proof and publication ------------------------------------------------------------------------------------------


def test_nothing_is_published_before_the_token_endpoint_accepted_it_so_often_in_a_row(world: World) -> None:
    world.emulator.faults.set(secret_propagation=20, flapping=15)
    world.registered(a_service_client())
    names = [
        call.operation
        for call in world.emulator.calls
        if call.operation in ("token.clientCredentials", "vault.setSecret")
    ]
    assert names[-1] == "vault.setSecret"
    statuses = [call.status for call in world.emulator.calls if call.operation == "token.clientCredentials"]
    assert statuses[-3:] == [200, 200, 200]
    assert 401 in statuses
    check(world)


def test_a_secret_that_is_not_accepted_in_time_is_removed_unpublished_and_the_next_delivery_mints_another(
    world: World,
) -> None:
    world.emulator.faults.set(secret_propagation=600)
    registration_id = submitted(world, a_service_client())
    world.deliver()
    assert world.get(registration_id)["operation"]["lastError"]["code"] == "secret-not-accepted-yet"
    assert operations(world)["vault.setSecret"] == 0
    assert operations(world)["graph.removePassword"] == 1
    world.emulator.faults.clear()
    world.settle()
    application = world.emulator.directory.application(unique_name=f"fhir-registrar-{registration_id}")
    assert application is not None
    assert len([each for each in application.passwords if each.removed_at is None]) == 1
    check(world)


def test_an_unproven_secret_that_cannot_be_removed_is_told_in_the_log_and_holds_up_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.emulator.faults.set(secret_propagation=600)
    world.emulator.faults.add(Fault("concurrencyViolation", "graph.removePassword", times=None))
    submitted(world, a_service_client())
    world.deliver()
    assert "stays: graph-concurrent-write" in caplog.text
    world.emulator.faults.clear()
    world.settle()
    check(world)


def test_no_answer_of_the_token_endpoint_is_no_refusal(world: World) -> None:
    world.emulator.faults.add(Fault("status", "token.clientCredentials", skip=1, times=2, status=503))
    world.registered(a_service_client())
    check(world)


def test_a_refusal_that_time_does_not_heal_fails_at_once_and_leaves_no_credential(world: World) -> None:
    def disabled_as_soon_as_made(name: str, action: Callable[[], Any]) -> Any:
        answer = action()
        if name == "POST /*/servicePrincipals":
            path = f"/servicePrincipals/{answer.json()['id']}"
            assert Client(world.emulator).graph("PATCH", path, {"accountEnabled": False}).status_code == 204
        return answer

    world.outside = disabled_as_soon_as_made
    registration_id = submitted(world, a_service_client())
    world.deliver()
    failure = failure_of(world, registration_id)
    assert failure["code"] == "secret-refused"
    assert "AADSTS7000112" in failure["message"]
    application = world.emulator.directory.application(unique_name=f"fhir-registrar-{registration_id}")
    assert application is not None
    assert all(each.removed_at for each in application.passwords)


@pytest.mark.parametrize("when", ["before", "after"])
def test_after_a_publication_of_unknown_outcome_the_vault_is_asked_before_it_is_sent_again(
    world: World, when: Any
) -> None:
    world.emulator.faults.add(Fault("reset", "vault.setSecret", when=when))
    world.registered(a_service_client())
    assert operations(world)["vault.setSecret"] == (2 if when == "before" else 1)
    assert operations(world)["vault.getSecret"] == 2
    assert operations(world)["graph.addPassword"] == 0
    check(world)


def test_a_mint_of_unknown_outcome_is_left_to_the_queue_and_never_repeated_in_the_same_run(world: World) -> None:
    world.emulator.faults.set(inline_secret_omitted=True)
    world.emulator.faults.add(Fault("reset", "graph.addPassword", when="after"))
    registration_id = submitted(world, a_service_client())
    world.deliver()
    assert operations(world)["graph.addPassword"] == 1
    assert world.get(registration_id)["operation"]["lastError"]["code"] == "secret-outcome-unknown"
    world.settle()
    assert operations(world)["graph.addPassword"] == 2
    check(world)


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


# --- secrecy --------------------------------------------------------------------------------------------------------


def test_no_log_line_of_any_library_at_any_level_holds_a_secret(world: World, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world.emulator.faults.add(Fault("reset", "vault.setSecret"))
    world.emulator.faults.add(Fault("status", "token.clientCredentials", status=500))
    world.registered(a_service_client())
    assert caplog.records
    assert SECRET_MARKER not in caplog.text


def test_the_repr_of_a_minted_secret_hides_its_text(world: World) -> None:
    client = world.registered(a_service_client())
    minted = world.services.directory.add_secret(
        client["applicationObjectId"], "registrar:x", world.clock.now() + timedelta(days=1)
    )
    assert SECRET_MARKER in minted.text
    assert SECRET_MARKER not in repr(minted) + str(minted) + f"{minted}"
