"""Whoever looks can see why: on the row within ten seconds, in one line of the log, and not after it was mended."""

import logging
import traceback
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from dev.emulator.client import Client
from dev.emulator.faults import Fault
from provisioning.domain.errors import TryAgain
from provisioning.flow.plan import DUE_AGAIN_AFTER, due_messages
from tests.worlds.checker import check
from tests.worlds.request_bodies import a_confidential_client, a_resource, a_service_client
from tests.worlds.steps import submitted
from tests.worlds.world import World


class Onlooker:
    """Looks at a registration each second while a run waits, and notes the code of its last error."""

    def __init__(self, world: World, registration_id: str) -> None:
        self.seen: dict[int, str | None] = {}
        self.passing = set[bool]()
        self._world = world
        self._id = registration_id
        self._began = world.clock.now()
        world.clock.meanwhile = self._look

    def _look(self, began: datetime, until: datetime) -> Iterator[datetime]:
        for second in range(1, 60):
            moment = self._began + timedelta(seconds=second)
            if began < moment <= until:
                yield moment
                error = self._world.get(self._id)["operation"].get("lastError")
                self.seen[second] = error and error["code"]
                last = self._world.row(self._id).last_error
                self.passing.add(last is None or last.passing)


OUT: dict[str, tuple[str, str]] = {
    "Graph": ("graph.*", "graph-unavailable"),
    "the vault, to read": ("vault.getSecret", "vault-unavailable"),
    "the vault, to write": ("vault.setSecret", "vault-outcome-unknown"),
    "the token endpoint": ("token.clientCredentials", "token-endpoint-unavailable"),
}


@pytest.mark.parametrize("what", OUT)
def test_what_a_run_waits_for_is_on_the_row_within_ten_seconds(what: str) -> None:
    world = World()
    world.registered(a_resource())
    operation, code = OUT[what]
    world.emulator.faults.add(Fault("status", operation, times=None, status=503))
    registration_id = submitted(world, a_service_client())
    onlooker = Onlooker(world, registration_id)
    world.deliver()
    assert onlooker.seen[10] == code
    assert onlooker.seen[1] is None
    assert onlooker.passing == {True}, "what a run waits for passes"
    world.emulator.faults.clear()
    world.settle()
    assert "lastError" not in world.get(registration_id)["operation"]
    check(world)


def test_a_secret_that_entra_does_not_know_yet_is_on_the_row_within_ten_seconds() -> None:
    world = World()
    world.registered(a_resource())
    world.emulator.faults.set(secret_propagation=30)
    registration_id = submitted(world, a_service_client())
    onlooker = Onlooker(world, registration_id)
    world.deliver()
    assert onlooker.seen[10] == "secret-not-accepted-yet"
    assert onlooker.seen[1] is None
    shown = world.get(registration_id)
    assert shown["status"] == "active"
    assert "lastError" not in shown["operation"]
    check(world)


def test_a_resource_that_is_not_ready_is_told_too() -> None:
    world = World()
    world.emulator.faults.add(Fault("status", "graph.createApplication", times=None, status=503))
    resource = submitted(world, a_resource())
    world.deliver()
    registration_id = submitted(world, a_service_client(resource=resource))
    onlooker = Onlooker(world, registration_id)
    world.deliver()
    assert onlooker.seen[10] == "resource-not-ready"


def test_what_a_long_pause_waits_for_is_told_before_the_pause() -> None:
    world = World()
    world.emulator.faults.add(Fault("throttle", "graph.createApplication", retry_after=40))
    registration_id = submitted(world, a_resource())
    onlooker = Onlooker(world, registration_id)
    world.deliver()
    assert onlooker.seen[1] == "graph-throttled"
    assert world.get(registration_id)["status"] == "active"


def test_a_short_wait_costs_no_write_and_a_long_one_costs_one_for_each_reason() -> None:
    world, writes = World(), list[str]()

    def counted(name: str, action: Any) -> Any:
        writes.extend([name] if name == "registry.replace" else [])
        return action()

    world.outside = counted
    world.emulator.faults.add(Fault("status", "graph.createApplication", times=2, status=503))
    world.registered(a_resource())
    assert len(writes) == 1
    writes.clear()
    world.emulator.faults.add(Fault("status", "graph.createApplication", times=6, status=503))
    world.emulator.faults.add(Fault("throttle", "graph.createServicePrincipal", times=2, retry_after=5))
    world.registered(a_confidential_client())
    assert len(writes) == 3


def test_the_row_of_a_run_that_waits_has_what_it_learned() -> None:
    world = World()
    world.emulator.faults.add(Fault("status", "graph.createServicePrincipal", times=None, status=503))
    registration_id = submitted(world, a_resource())
    ids = list[str | None]()

    def look(began: datetime, until: datetime) -> Iterator[datetime]:
        if (until - began).total_seconds() > 2:
            yield began
            ids.append(world.get(registration_id)["applicationObjectId"])

    world.clock.meanwhile = look
    world.deliver()
    assert ids[-1] is not None


def test_a_run_that_another_one_overtook_says_nothing_and_goes_on() -> None:
    world = World()
    registration_id = submitted(world, a_resource())
    world.emulator.faults.add(Fault("status", "graph.createServicePrincipal", times=8, status=503))

    def write(began: datetime, until: datetime) -> Iterator[datetime]:
        if world.clock.slept[-1] > 2:
            yield began
            world.registry.replace(world.row(registration_id))

    world.clock.meanwhile = write
    world.deliver()
    world.clock.meanwhile = lambda _began, _until: ()
    world.settle()
    assert world.get(registration_id)["status"] == "active"
    check(world)


# --- findings -------------------------------------------------------------------------------------------------------


def findings(world: World, registration_id: str) -> list[str]:
    return [finding["code"] for finding in world.get(registration_id)["findings"]]


def test_a_finding_is_gone_once_a_rotation_has_mended_it() -> None:
    world = World()
    world.registered(a_resource())
    registration_id = str(world.registered(a_service_client())["registrationId"])
    name = world.row(registration_id).secret_name
    assert Client(world.emulator).vault("DELETE", f"/secrets/{name}").status_code == 200
    assert Client(world.emulator).vault("DELETE", f"/deletedsecrets/{name}").status_code == 204
    world.reconcile()
    assert findings(world, registration_id) == ["vault-secret-missing"]
    assert world.rotate(registration_id).status == 202
    world.deliver()
    world.deliver()
    assert world.get(registration_id)["operation"]["status"] == "succeeded"
    assert findings(world, registration_id) == []
    check(world)


def test_a_finding_is_gone_once_a_change_has_mended_it() -> None:
    world = World()
    world.registered(a_resource())
    registration_id = str(world.registered(a_confidential_client())["registrationId"])
    added = ["https://app.contoso.example/cb", "https://by.hand.example/cb"]
    path = f"/applications/{world.row(registration_id).application_object_id}"
    assert Client(world.emulator).graph("PATCH", path, {"web": {"redirectUris": added}}).status_code == 204
    world.reconcile()
    assert findings(world, registration_id) == ["redirect-uris-added-by-hand"]
    assert world.change(registration_id, {"redirectUris": added}).status == 202
    world.deliver()
    world.deliver()
    assert findings(world, registration_id) == []


def test_a_finding_that_was_not_mended_stays_and_is_not_looked_for_again_and_again() -> None:
    world = World()
    world.registered(a_resource())
    registration_id = str(world.registered(a_service_client())["registrationId"])
    path = f"/applications/{world.row(registration_id).application_object_id}/addPassword"
    assert Client(world.emulator).graph("POST", path, {"passwordCredential": {}}).status_code == 200
    world.reconcile()
    assert world.rotate(registration_id).status == 202
    world.settle()
    asked = len(world.emulator.calls)
    world.live(timedelta(hours=6))
    assert findings(world, registration_id) == ["foreign-credentials"]
    assert len(world.emulator.calls) == asked


# --- the log --------------------------------------------------------------------------------------------------------


def as_the_worker_tells(error: Exception) -> str:
    """Return what the Functions worker sends to the host of an error: its traceback, and all that led to it."""
    return "".join(traceback.format_exception(type(error), error, error.__traceback__))


FAILING = {
    "Graph": Fault("status", "graph.createApplication", times=None, status=503),
    "a connection": Fault("reset", "graph.createApplication", times=None),
    "the token endpoint": Fault("reset", "token.clientCredentials", times=None),
    "the vault": Fault("status", "vault.setSecret", times=None, status=500),
    "the app's identity": Fault("identityHiccup", times=None),
}


@pytest.mark.parametrize("what", FAILING)
def test_an_expected_failure_is_one_line_with_the_id_and_no_traceback_of_ours(
    what: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world = World()
    if what != "the app's identity":
        world.registered(a_resource())
    registration_id = submitted(
        world, a_resource(fhirServerUrl="https://b.example") if "identity" in what else a_service_client()
    )
    world.emulator.faults.add(FAILING[what])
    world.services = world.new_process()  # whose token is asked for anew
    world.deliver()
    [error] = world.errors
    lines = [record for record in caplog.records if "comes back" in record.getMessage()]
    code = world.get(registration_id)["operation"]["lastError"]["code"]
    trace_id = world.row(registration_id).operation.trace_id
    assert [line.getMessage() for line in lines] == [f"registration {registration_id}: comes back: {code} [{trace_id}]"]
    assert lines[0].levelno == logging.WARNING
    assert all(record.exc_info is None for record in caplog.records)
    told = as_the_worker_tells(error)
    assert "adapters" not in told
    assert "During handling" not in told
    assert "direct cause" not in told
    assert len(traceback.extract_tb(error.__traceback__)) <= 5


def test_storage_that_is_out_is_told_in_the_same_way(caplog: pytest.LogCaptureFixture) -> None:
    world = World()
    registration_id = submitted(world, a_resource())

    def out(name: str, action: Any) -> Any:
        if name.startswith("registry."):
            raise TryAgain("storage-unavailable", "Table storage could not answer.") from OSError("a quoted request")
        return action()

    world.outside = out
    world.deliver()
    assert world.plan() == 0
    assert f"registration {registration_id}: comes back: storage-unavailable" in caplog.text
    assert len(world.errors) == 2
    assert all("quoted" not in as_the_worker_tells(error) for error in world.errors)


def test_an_error_that_nobody_foresaw_keeps_its_traceback_and_has_a_line_with_the_id(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World()
    registration_id = submitted(world, a_resource())

    class Broken:
        def __getattr__(self, name: str) -> Any:
            raise ZeroDivisionError

    world.exchange(lambda services: replace(services, directory=Broken()))
    world.deliver()
    [error] = world.errors
    assert "ensure_application" in as_the_worker_tells(error)
    assert f"registration {registration_id}: comes back: unexpected-error" in caplog.text


def test_what_failed_is_due_half_an_hour_later_and_no_turn_of_the_planner_sends_it_before() -> None:
    world = World()
    world.registered(a_resource())
    world.emulator.faults.add(Fault("status", "graph.createApplication", times=None, status=503))
    registration_id = submitted(world, a_service_client())
    world.clock.sleep(180)  # beyond the entry that was made with the row
    world.deliver()
    row, now = world.row(registration_id), world.clock.now()
    assert row.due_at == now + DUE_AGAIN_AFTER
    assert [each.due_at for each in world.services.registry.due(now + timedelta(days=1), 9)] == [row.due_at]
    world.clock.sleep(DUE_AGAIN_AFTER.total_seconds() - 1)
    assert due_messages(world.services) == []
    world.clock.sleep(1)
    assert len(due_messages(world.services)) == 1
