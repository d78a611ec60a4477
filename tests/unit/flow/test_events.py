"""Every act on a registration is told once: who, what, on which credential, and never a value that somebody sent."""

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest

from dev.emulator import Fault
from provisioning import trail
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.callers import Caller, CallerKind, Role
from provisioning.domain.events import carried_out
from provisioning.domain.messages import read_message
from provisioning.domain.operation import OperationStatus, OperationType
from provisioning.domain.registration import Status
from tests.worlds.approvals import awaiting as waits_for_approval
from tests.worlds.approvals import decided
from tests.worlds.checker import check
from tests.worlds.memory import MemoryRegistry
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.signed_in import ALICE, ENTRA, MALLORY, TEAM, headers_of
from tests.worlds.steps import body_of, code_of, failed_registration, id_of, rotated_now, submitted
from tests.worlds.world import World

BOT = Caller("b0700000-0000-4000-8000-000000000007", CallerKind.APPLICATION, frozenset({Role.ON_BEHALF, Role.CREATE}))
READER = Caller("4ead0000-0000-4000-8000-000000000004", CallerKind.USER, frozenset({Role.READ_ALL}))
NOBODYS = "00000000-11111111-2222-4333-8444-555555555555"


def events(world: World, registration_id: str) -> list[dict[str, Any]]:
    """GET /registrations/{id}/events, all pages."""
    found, query = list[dict[str, Any]](), {"top": "2"}
    while True:
        call = Call(f"/api/registrations/{registration_id}/events", query=urlencode(query))
        answer = world.call(web.list_events, replaced(call, registration_id))
        assert answer.status == 200, answer.body
        page = json.loads(answer.body)
        found += page["value"]
        if page["continuationToken"] is None:
            return found
        query["continuationToken"] = page["continuationToken"]


def replaced(call: Call, registration_id: str) -> Call:
    return Call(call.path, call.headers, call.query, call.body, registration_id, call.method)


def told(world: World, registration_id: str) -> list[tuple[str, str, str]]:
    return [(each["what"], each["outcome"], each["actor"]["kind"]) for each in events(world, registration_id)]


def test_a_life_is_told_from_its_request_to_its_end_each_act_once(world: World) -> None:
    registration_id = submitted(world, a_service_client())
    world.deliver()
    first = world.row(registration_id).secret
    rotated_now(world, registration_id)
    second = world.row(registration_id).secret
    world.live(world.settings.secrets.overlap + timedelta(days=1))
    world.settle()
    world.change(registration_id, {"displayName": "Another name", "description": "Another text"})
    world.deliver()
    world.delete(registration_id)
    world.settle()
    assert told(world, registration_id) == [
        ("requested", "accepted", "key"),
        ("provisioned", "succeeded", "queue"),
        ("rotation-requested", "accepted", "key"),
        ("rotated", "succeeded", "queue"),
        ("credential-removed", "succeeded", "planner"),
        ("change-requested", "accepted", "key"),
        ("changed", "succeeded", "queue"),
        ("deletion-requested", "accepted", "key"),
        ("deleted", "succeeded", "queue"),
    ]
    by_name = {each["what"]: each for each in events(world, registration_id)}
    assert first is not None
    assert second is not None
    assert by_name["provisioned"]["keyId"] == first.key_id
    assert (by_name["rotated"]["keyId"], by_name["rotated"]["formerKeyId"]) == (second.key_id, first.key_id)
    assert by_name["credential-removed"]["formerKeyId"] == first.key_id
    for each in ("change-requested", "changed"):
        assert sorted(by_name[each]["changed"]) == ["description", "displayName"]
    assert "Another" not in json.dumps(events(world, registration_id))
    check(world)


def test_a_rotation_that_is_due_is_told_as_the_planners(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.live(world.settings.secrets.lifetime - world.settings.secrets.rotate_before)
    world.settle()
    assert ("rotation-requested", "accepted", "planner") in told(world, registration_id)
    check(world)


def test_a_revocation_is_told_beside_the_operation_that_it_found_pending(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(1)
    world.rotate(registration_id)
    world.rotate(registration_id, {"revokePrevious": True})
    world.settle()
    asked = [what for what, outcome, _ in told(world, registration_id) if outcome == "accepted"]
    assert asked == ["requested", "rotation-requested", "revocation-requested"]
    check(world)


def test_a_failure_and_a_retry_are_told_with_the_code_and_no_text() -> None:
    world = World()
    registration_id = failed_registration(world)
    world.retry(registration_id)
    world.deliver()
    found = events(world, registration_id)
    assert [each["what"] for each in found] == ["requested", "failed", "retried", "failed"]
    assert found[1]["code"] == world.get(registration_id)["operation"]["failure"]["code"]
    assert "message" not in found[1]
    check(world)


def test_a_refusal_of_graph_is_told_with_its_own_id_of_the_request() -> None:
    world = World()
    world.emulator.faults.add(Fault("status", operation="graph.createApplication", times=None, status=403))
    registration_id = submitted(world, a_resource())
    world.deliver()
    failed = events(world, registration_id)[-1]
    assert (failed["what"], failed["outcome"]) == ("failed", "failed")
    assert failed["graphRequestId"] == world.row(registration_id).operation.failure.graph_request_id  # type: ignore[union-attr]
    assert failed["graphRequestId"]


def test_what_only_keeps_books_is_not_told(world: World) -> None:
    world.emulator.faults.add(Fault("status", operation="graph.createApplication", times=30, status=503))
    registration_id = submitted(world, a_public_client())
    world.deliver()
    assert world.row(registration_id).last_error is not None
    assert told(world, registration_id) == [("requested", "accepted", "key")]
    world.settle()
    assert [what for what, *_ in told(world, registration_id)] == ["requested", "provisioned"]


@pytest.mark.parametrize(
    ("what", "decision", "ends"), [("approve", "approved", "provisioned"), ("deny", "denied", "failed")]
)
def test_a_decision_is_told(what: str, decision: str, ends: str) -> None:
    world = World(settings={})
    row = waits_for_approval(world, a_resource(owner=TEAM))
    assert decided(world, row, what).status == 202
    world.settle()
    assert [each for each, *_ in told(world, row.id)] == ["requested", decision, ends]
    check(world)


# --- callers --------------------------------------------------------------------------------------------------------


WRITES: dict[str, tuple[str, str, Any]] = {
    "change_registration": ("", "change-requested", {"displayName": "A value of the caller"}),
    "rotate_registration": ("/rotate", "rotation-requested", None),
    "retry_registration": ("/retry", "retried", None),
    "delete_registration": ("", "deletion-requested", None),
    "approve_registration": ("/approve", "approved", {"digest": "0" * 64, "reason": "A value of the caller"}),
    "deny_registration": ("/deny", "denied", {"digest": "0" * 64, "reason": "A value of the caller"}),
}


def ask(world: World, name: str, caller: Caller, registration_id: str, query: str = "", **headers: str) -> Answer:
    suffix, _, body = WRITES[name]
    sent = headers_of(caller, world.emulator) | {each.replace("_", "-"): value for each, value in headers.items()}
    if body is not None:
        sent |= {"content-type": "application/json"}
    raw = json.dumps(body).encode() if body is not None else b""
    path = f"/api/registrations/{registration_id}{suffix}"
    return world.call(web.CALLS[name], Call(path, sent, query, raw, registration_id, "POST"))


def entra_world() -> tuple[World, str]:
    """Return a world in which callers sign in, and a registration of Alice's team."""
    world = World(settings=ENTRA)
    sent = headers_of(ALICE, world.emulator) | {"content-type": "application/json"}
    body = json.dumps(a_resource(owner=TEAM)).encode()
    answer = world.call(web.submit_registration, Call("/api/registrations", sent, "", body, method="POST"))
    world.deliver()
    return world, id_of(answer)


def kept(world: World, registration_id: str) -> list[Any]:
    return list(world.registry.events(registration_id, top=100).events)


def test_who_acts_is_told_by_the_object_id_and_who_spoke_for_them() -> None:
    world, registration_id = entra_world()
    owner = Caller(ALICE.object_id, CallerKind.USER, ALICE.roles, ALICE.groups, ALICE.name)
    ask(world, "change_registration", owner, registration_id)
    first, *_, last = (event.actor for event in kept(world, registration_id))
    assert (first.kind, first.object_id, first.via) == ("user", ALICE.object_id, None)
    assert last == first
    sent = headers_of(BOT, world.emulator) | {"content-type": "application/json", "on-behalf-of": ALICE.object_id}
    body = json.dumps(a_resource(owner=ALICE.object_id, fhirServerUrl="https://b.example/fhir")).encode()
    answer = world.call(web.submit_registration, Call("/api/registrations", sent, "", body, method="POST"))
    [requested] = kept(world, id_of(answer))
    assert (requested.actor.object_id, requested.actor.via) == (ALICE.object_id, BOT.object_id)


@pytest.mark.parametrize("name", WRITES)
def test_a_refusal_is_told_to_whoever_may_know_of_the_registration_and_has_no_input(name: str) -> None:
    world, registration_id = entra_world()
    before = kept(world, registration_id)
    answer = ask(world, name, READER, registration_id)
    assert answer.status in (403, 409), answer.body
    [event] = [each for each in kept(world, registration_id) if each not in before]
    assert (event.what, event.outcome, event.code) == (WRITES[name][1], "refused", code_of(answer))
    assert (event.actor.object_id, event.trace_id) == (READER.object_id, body_of(answer)["traceId"])
    assert "A value of the caller" not in repr(event)
    seen = kept(world, registration_id)
    assert ask(world, name, READER, registration_id, "dryRun=true").status == answer.status
    assert kept(world, registration_id) == seen


class CountingRegistry(MemoryRegistry):
    """Notes the name of each method that is called."""

    def __init__(self) -> None:
        super().__init__()
        self.called: list[str] = []

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if callable(found) and not name.startswith("_"):
            self.called.append(name)
        return found


@pytest.mark.parametrize("name", [*WRITES, "show_registration", "list_events"])
def test_another_teams_registration_is_answered_with_the_same_calls_as_none(name: str) -> None:
    registry = CountingRegistry()
    world = World(registry=registry, settings=ENTRA)
    sent = headers_of(ALICE, world.emulator) | {"content-type": "application/json"}
    body = json.dumps(a_resource(owner=TEAM)).encode()
    theirs = id_of(world.call(web.submit_registration, Call("/api/registrations", sent, "", body, method="POST")))
    world.deliver()
    calls, answers = [], []
    for registration_id in (theirs, NOBODYS):
        registry.called.clear()
        world.emulator.calls.clear()
        if name in WRITES:
            answers.append(ask(world, name, MALLORY, registration_id, traceparent=f"00-{'a' * 32}-{'b' * 16}-00"))
        else:
            headers = headers_of(MALLORY, world.emulator) | {"traceparent": f"00-{'a' * 32}-{'b' * 16}-00"}
            path = f"/api/registrations/{registration_id}"
            answers.append(world.call(web.CALLS[name], Call(path, headers, registration_id=registration_id)))
        calls.append((list(registry.called), [each.operation for each in world.emulator.calls]))
    assert [answer.status for answer in answers] == [404, 404]
    assert answers[0].body == answers[1].body
    assert calls[0] == calls[1]
    assert [event.what for event in kept(world, theirs)] == ["requested", "provisioned"]


def test_two_runs_that_remove_the_same_credentials_tell_of_each_at_least_once(world: World) -> None:
    registration_id = world.registered(a_confidential_client())["registrationId"]
    rotated_now(world, registration_id)
    gone = kept(world, registration_id)[-1].former_key_id
    world.clock.sleep((world.settings.secrets.overlap + timedelta(days=1)).total_seconds())
    row = world.row(registration_id)
    assert row.status is Status.ACTIVE
    world.plan()
    messages = [read_message(queued.text.encode()) for queued in world.queue]
    assert messages
    world.deliver()
    removed = [event.former_key_id for event in kept(world, registration_id) if event.what == "credential-removed"]
    assert removed == [gone]
    check(world)


@pytest.mark.parametrize("overtaken", [False, True])
def test_what_a_run_removed_is_told_once_however_often_it_writes_its_row(world: World, *, overtaken: bool) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    rotated_now(world, registration_id)
    gone = kept(world, registration_id)[-1].former_key_id
    world.clock.sleep((world.settings.secrets.overlap + timedelta(days=1)).total_seconds())
    world.rotate(registration_id)
    world.emulator.faults.set(secret_propagation=30)
    writes = list[datetime]()

    def another_writes(_began: datetime, until: datetime) -> Iterator[datetime]:
        if world.clock.slept[-1] > 2 and not writes:
            writes.append(until)
            yield until
            world.registry.replace(world.row(registration_id))

    if overtaken:
        world.clock.meanwhile = another_writes
    world.deliver()
    world.settle()
    assert len(writes) == overtaken
    removed = [event.former_key_id for event in kept(world, registration_id) if event.what == "credential-removed"]
    assert removed == [gone]
    assert world.row(registration_id).operation.status is OperationStatus.SUCCEEDED


def test_the_end_of_a_rotation_names_the_secret_that_the_row_showed_and_of_a_change_none(world: World) -> None:
    row = world.row(world.registered(a_service_client())["registrationId"])
    assert row.secret is not None
    for kind, named in ((OperationType.ROTATE, row.secret.key_id), (OperationType.CHANGE, None)):
        before = replace(row, operation=replace(row.operation, id="x", type=kind, status=OperationStatus.PENDING))
        after = replace(before, operation=replace(before.operation, status=OperationStatus.SUCCEEDED))
        [event] = carried_out(trail.current(), before, after, (), world.clock.now())
        assert (event.key_id, event.former_key_id) == (named, None)
