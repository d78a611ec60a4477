"""The secret of a new registration: proven before it is published, ours alone to overwrite, and seen nowhere else."""

import json
import logging
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dev.emulator import SECRET_MARKER, Fault
from dev.emulator.client import Client
from provisioning.flow.mint import belongs_to
from tests.worlds.checker import check, token_answer
from tests.worlds.leaks import leaked
from tests.worlds.outside import straight
from tests.worlds.request_bodies import a_service_client
from tests.worlds.steps import failure_of, operations, submitted
from tests.worlds.world import World


def application(world: World, registration_id: str) -> Any:
    return world.emulator.directory.application(unique_name=f"fhir-registrar-{registration_id}")


def test_the_secret_in_the_vault_expires_with_the_credential_and_carries_the_marks_of_a_rebuild(world: World) -> None:
    world.clock.time = world.clock.now().replace(microsecond=1)
    client = world.registered(a_service_client(secretLifetime="P90D"))
    [ends_at] = (each.end for each in application(world, client["registrationId"]).passwords)
    assert ends_at.microsecond == 0, "the vault's end has no fractions of a second"
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
        "traceId": world.row(client["registrationId"]).operation.trace_id,
    }
    assert client["secret"]["id"] == f"{world.emulator.origin}/secrets/fhir-registrar-{client['registrationId']}"


def test_where_entra_refuses_a_secret_in_the_create_call_none_is_sent_with_it_for_an_hour(world: World) -> None:
    world.emulator.faults.set(inline_secret_refused=True)
    calls = []
    for pause in (timedelta(), timedelta(minutes=59), timedelta(minutes=1), timedelta(minutes=59)):
        world.clock.time += pause
        before = operations(world)
        world.registered(a_service_client())
        calls.append((operations(world) - before)["graph.createApplication"])
    assert calls == [2, 1, 2, 1]


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


def test_a_secret_that_was_proven_too_late_to_be_published_is_removed(world: World) -> None:
    registration_id = submitted(world, a_service_client())
    proofs: list[str] = []

    def late(name: str, action: Callable[[], Any]) -> Any:
        answer = action()
        if name.endswith("/token"):
            proofs.append(name)
            if len(proofs) == world.settings.secrets.proof_count:
                world.clock.time += world.settings.secrets.publish_bound + timedelta(seconds=1)
        return answer

    world.outside = late
    world.deliver()
    world.outside = straight
    assert (operations(world)["vault.setSecret"], operations(world)["graph.removePassword"]) == (0, 1)
    assert all(each.removed_at for each in application(world, registration_id).passwords)
    world.settle()
    check(world)


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


def test_no_log_line_of_any_library_at_any_level_holds_a_secret_or_a_token(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    world.emulator.faults.add(Fault("reset", "vault.setSecret"))
    world.emulator.faults.add(Fault("status", "token.clientCredentials", status=500))
    world.registered(a_service_client())
    assert caplog.records
    assert not leaked(caplog.text)


def test_the_repr_of_a_minted_secret_hides_its_text(world: World) -> None:
    client = world.registered(a_service_client())
    minted = world.services.directory.add_secret(
        client["applicationObjectId"], "registrar:x", world.clock.now() + timedelta(days=1)
    )
    assert SECRET_MARKER in minted.text
    assert SECRET_MARKER not in repr(minted) + str(minted) + f"{minted}"


def test_what_graph_refuses_for_another_reason_is_not_asked_for_again_without_its_secret(world: World) -> None:
    refusal = Fault("status", "graph.createApplication", status=400, code="SomethingNew", times=None)
    world.emulator.faults.add(refusal)
    before = operations(world)["graph.createApplication"]
    registration_id = submitted(world, a_service_client())
    world.deliver()
    assert failure_of(world, registration_id)["code"] == "graph-refused"
    # Once, and once more before it is believed.
    assert operations(world)["graph.createApplication"] - before == 2


@pytest.mark.parametrize("mark", ["id", "clientId"])
def test_a_version_is_a_registrations_own_by_all_of_its_marks_together(world: World, mark: str) -> None:
    row = world.row(world.registered(a_service_client())["registrationId"])
    current = world.services.vault.current(row.secret_name)
    assert current is not None
    assert belongs_to(current, row)
    assert not belongs_to(replace(current, tags={**current.tags, mark: "another"}), row)
    assert not belongs_to(replace(current, key_id=None), row)


def test_a_message_that_fails_for_good_is_decided_on_the_trace_of_its_operation(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    row = world.row(submitted(world, a_service_client()))
    [queued] = world.queue
    queued.poison = True
    caplog.set_level(logging.INFO)
    world.deliver()
    [line] = [each.getMessage() for each in caplog.records if "waits, after" in each.getMessage()]
    assert f"[{row.operation.trace_id}]" in line
