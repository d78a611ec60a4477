"""One trace id from the call to the notice, and a log in which each line says what it is about, on one line."""

import json
import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from dev.emulator import SECRET_MARKER, Fault
from provisioning import trail
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.api.openapi.served import show_openapi
from provisioning.domain.events import Actor, ActorKind
from provisioning.domain.messages import read_message
from provisioning.domain.traces import TRACE_ID, as_guid, new_trace_id, read_traceparent, traceparent
from tests.worlds.memory import MemoryRegistry
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import REQUESTS, a_public_client, a_resource, a_service_client
from tests.worlds.signed_in import ALICE, ENTRA, MALLORY, TEAM, headers_of
from tests.worlds.steps import body_of, failed_registration, id_of, rotated_now, submitted
from tests.worlds.world import World

MINE = "4bf92f3577b34da6a3ce929d0e0e4736"
HEADER = f"00-{MINE}-00f067aa0ba902b7-01"


def post(world: World, body: Any, **headers: str) -> Answer:
    sent = {"content-type": "application/json", **headers}
    return world.call(
        web.submit_registration, Call("/api/registrations", sent, "", json.dumps(body).encode(), method="POST")
    )


# --- the trace ------------------------------------------------------------------------------------------------------


def test_a_callers_trace_is_on_everything_that_the_call_leads_to(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    receiver = Receiver()
    world = World(receiver=receiver)
    world.registered(a_resource())
    world.emulator.calls.clear()
    caplog.clear()
    answer = post(world, a_service_client(), traceparent=HEADER)
    registration_id = id_of(answer)
    assert read_traceparent(answer.headers["traceparent"]) == MINE
    assert answer.headers["traceparent"] != HEADER
    assert answer.message is not None
    assert json.loads(answer.message)["trace"] == MINE
    world.deliver()
    world.settle()
    row = world.row(registration_id)
    assert row.operation.trace_id == MINE
    graph = [call for call in world.emulator.calls if call.operation.startswith("graph.create")]
    assert {call.client_request_id for call in graph} == {as_guid(MINE)}
    assert world.emulator.vault.get(row.secret_name)["tags"]["traceId"] == MINE
    assert {event.trace_id for event in world.registry.events(registration_id, top=9).events} == {MINE}
    notices = [each for each in receiver.taken if each["subject"] == registration_id]
    assert [read_traceparent(each["traceparent"]) for each in notices] == [MINE]
    lines = [record.getMessage() for record in ours(caplog) if registration_id in record.getMessage()]
    assert lines
    assert all(line.endswith(f"[{MINE}]") for line in lines if "ended" not in line)


def test_an_operation_that_the_planner_finds_again_goes_on_in_its_own_trace() -> None:
    world = World()
    registration_id = id_of(post(world, a_resource(), traceparent=HEADER))
    world.queue.clear()
    world.clock.sleep(600)
    world.plan()
    message = read_message(world.queue[0].text.encode())
    assert message is not None
    assert message.trace_id not in (None, MINE)
    world.settle()
    requested, provisioned = world.registry.events(registration_id, top=9).events
    assert requested.trace_id == provisioned.trace_id == MINE
    assert provisioned.actor.kind == "planner"


def test_each_operation_has_the_trace_of_the_call_that_asked_for_it() -> None:
    world = World()
    registration_id = id_of(post(world, a_resource(), traceparent=HEADER))
    world.settle()
    world.change(registration_id, {"displayName": "Another"})
    world.settle()
    traces = [event.trace_id for event in world.registry.events(registration_id, top=9).events]
    assert traces[:2] == [MINE, MINE]
    assert traces[2] == traces[3] == world.row(registration_id).operation.trace_id != MINE


def test_a_turn_of_the_planner_and_a_reconciliation_make_a_trace_of_their_own() -> None:
    world = World()
    for each in ("https://a.example", "https://b.example"):
        post(world, a_resource(fhirServerUrl=each))
    world.queue.clear()
    world.clock.sleep(600)
    world.plan()
    traces = {json.loads(queued.text)["trace"] for queued in world.queue}
    assert len(traces) == 1
    world.settle()
    world.reconcile()
    world.clock.sleep(600)


@pytest.mark.parametrize(
    "header",
    [
        "",
        "x",
        HEADER.upper(),
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{MINE}-{'0' * 16}-01",
        f"ff-{MINE}-00f067aa0ba902b7-01",
        f"{HEADER}-more",
        f" {HEADER}",
        f"{HEADER}\n",
        f"{HEADER},{HEADER}",
        HEADER.replace("4", "٤"),
    ],
)
def test_a_traceparent_that_is_none_gives_a_new_trace(header: str) -> None:
    answer = World().call(web.list_registrations, Call("/api/registrations", {"traceparent": header}))
    found = read_traceparent(answer.headers["traceparent"])
    assert answer.status == 200
    assert found not in (None, MINE)


def test_a_traceparent_of_a_later_version_is_read_as_far_as_it_is_known() -> None:
    assert read_traceparent(f"01-{MINE}-00f067aa0ba902b7-01-what-comes-later") == MINE
    assert read_traceparent(f"01-{MINE}-00f067aa0ba902b7-01.what") is None


@given(st.text() | st.from_regex(r"[0-9a-f]{2}-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}", fullmatch=True))
@example(HEADER)
def test_whatever_is_read_of_a_header_is_a_trace_id_that_stands_in_it(header: str) -> None:
    found = read_traceparent(header)
    assert found is None or (TRACE_ID.fullmatch(found) and found in header)
    assert read_traceparent(traceparent(found or new_trace_id())) is not None


def test_a_problem_names_the_trace_of_its_call_and_an_answer_to_anybody_too() -> None:
    world = World()
    answer = world.call(web.show_registration, Call("/api/registrations/x", {"traceparent": HEADER}))
    assert body_of(answer)["traceId"] == read_traceparent(answer.headers["traceparent"]) == MINE
    shown = web.answer_alone(show_openapi, Call("/api/openapi.json", {"traceparent": HEADER}))
    assert read_traceparent(shown.headers["traceparent"]) == MINE


def test_the_notice_of_one_act_is_the_same_each_time_it_is_sent() -> None:
    assert traceparent(MINE, "an act") == traceparent(MINE, "an act") != traceparent(MINE, "another")


def test_afterwards_nobody_is_on_the_trail() -> None:
    with trail.following(MINE, Actor(ActorKind.USER, "x"), "registration y"):
        trail.known(subject="registration z")
        assert trail.current().subject == "registration z"
        assert trail.current().actor.object_id == "x"
    assert trail.current().trace_id != MINE
    assert trail.current().subject == ""


# --- the log --------------------------------------------------------------------------------------------------------


def ours(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    return [record for record in caplog.records if record.name.startswith("provisioning")]


BEGINS = re.compile(
    r"registration ([0-9a-f-]{45}): |reconciliation \w+: |answered \d{3} |notice |a message that this|"
    r"The app settings|POLICY: |ended in"
)


def lives(world: World) -> Iterator[str]:
    """Have most of what can happen happen; yield the ids."""
    for body in REQUESTS.values():
        yield submitted(world, body())
        world.deliver()
    client = world.registered(a_service_client())["registrationId"]
    yield client
    rotated_now(world, client)
    world.change(client, {"displayName": "A value of the caller"})
    world.settle()
    world.emulator.faults.add(Fault("status", operation="graph.*", times=9, status=503))
    rotated = world.rotate(client, {"revokePrevious": True})
    assert rotated.status == 202
    world.settle()
    world.reconcile()
    yield failed_registration(world)
    world.delete(client)
    world.delete(client)
    world.retry(client)
    world.settle()


def test_every_line_says_what_it_is_about_and_in_which_trace(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World(receiver=Receiver())
    ids = set(lives(world))
    lines = [record.getMessage() for record in ours(caplog)]
    assert len(lines) > 50
    for line in lines:
        assert BEGINS.match(line), line
        assert re.search(r" \[[0-9a-f]{32}\]$", line), line
        assert "\n" not in line
        assert "A value of the caller" not in line
        assert SECRET_MARKER not in line
    named = {found.group(1) for line in lines if (found := BEGINS.match(line))} - {None}
    assert ids <= named
    assert any("graph POST applications: 201" in line for line in lines if line.startswith("registration "))


def test_an_answer_that_is_an_error_has_one_line_with_status_code_caller_and_trace(
    caplog: pytest.LogCaptureFixture,
) -> None:
    world = World(settings=ENTRA)
    sent = headers_of(ALICE, world.emulator)
    theirs = id_of(post(world, a_resource(owner=TEAM), **sent))
    caplog.clear()
    path = f"/api/registrations/{theirs}/retry"
    call = Call(path, headers_of(MALLORY, world.emulator) | {"traceparent": HEADER}, "", b"", theirs, "POST")
    assert world.call(web.retry_registration, call).status == 404
    call = Call(path, {**sent, "traceparent": HEADER}, "", b"", theirs, "POST")
    assert world.call(web.retry_registration, call).status == 409
    assert world.call(web.retry_registration, Call(path, {"traceparent": HEADER}, "", b"", theirs)).status == 401
    assert world.call(web.retry_registration, replace(call, query="x=1")).status == 400
    assert [record.getMessage() for record in ours(caplog)] == [
        f"registration {theirs}: answered 404 registration-not-found to user {MALLORY.object_id} [{MINE}]",
        f"registration {theirs}: answered 409 registration-not-failed to user {ALICE.object_id} [{MINE}]",
        f"registration {theirs}: answered 401 unauthenticated to nobody known [{MINE}]",
        f"registration {theirs}: answered 400 invalid-query to user {ALICE.object_id} [{MINE}]",
    ]


class Broken(MemoryRegistry):
    """Fails in a way that nobody foresaw, in the words of whoever calls."""

    def get(self, registration_id: str) -> Any:
        raise RuntimeError(registration_id)


NASTY = st.text(st.sampled_from("\n\r\t\x1b\x85\u2028\u202e %sdäx0-{}"), max_size=60) | st.text(max_size=60)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=60, deadline=None)
@given(forged=NASTY, key=NASTY, registry=st.sampled_from([MemoryRegistry, Broken]))
@example(forged="\nregistration 0: provision succeeded", key="x", registry=Broken)
def test_whatever_a_caller_sends_no_line_is_forged_and_none_quotes_it(
    caplog: pytest.LogCaptureFixture, forged: str, key: str, registry: type[MemoryRegistry]
) -> None:
    caplog.clear()
    caplog.set_level(logging.DEBUG, "provisioning")
    marked = f"qUOTED{forged}"
    world = World(registry=registry())
    headers = {"traceparent": marked, "idempotency-key": key, "if-match": marked, "on-behalf-of": marked}
    for name, handle in web.CALLS.items():
        path = f"/api/registrations/{marked}"
        for sent in ({}, headers, {"content-type": "application/json", "traceparent": marked}):
            call = Call(path, sent, f"{marked}=1", b'{"a": 1}' if name[0] in "sc" else b"", marked, "POST")
            assert world.call(handle, call).status >= 400
            world.call(handle, Call(path, sent, "", b"", marked, "GET"))
    lines = [record.getMessage() for record in ours(caplog)]
    assert lines
    assert all(line.isprintable() and "qUOTED" not in line for line in lines)
    assert all(record.exc_info is None for record in ours(caplog))


@given(st.text() | st.integers() | st.floats() | st.none())
@example("one\nregistration 0: provision succeeded")
def test_no_argument_breaks_a_line(value: object) -> None:
    records = list[logging.LogRecord]()
    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign,assignment]
    logging.getLogger("provisioning.test").addHandler(handler)
    try:
        with trail.following(MINE, subject="registration y"):
            trail.logger("provisioning.test").warning("is %s, 100 %%", value)
    finally:
        logging.getLogger("provisioning.test").removeHandler(handler)
    [line] = [record.getMessage() for record in records]
    assert line.isprintable()
    assert line.startswith("registration y: is ")
    assert line.endswith(f", 100 % [{MINE}]")


def test_a_public_client_is_told_without_its_redirect_uris(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "provisioning")
    world = World()
    world.registered(a_resource())
    world.registered(a_public_client(redirectUris=["https://quoted.contoso.example/here"]))
    assert "quoted.contoso.example" not in "".join(record.getMessage() for record in ours(caplog))


def test_outside_of_any_trail_a_line_stands_alone_and_names_the_place_that_it_is_from(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "provisioning.test")
    trail.known(subject="registration z")
    assert trail.current().subject == ""
    for log in (trail.logger("provisioning.test").info, trail.logger("provisioning.test").debug):
        log("is %s", "x\ny")
    [record] = caplog.records
    expected = "test_outside_of_any_trail_a_line_stands_alone_and_names_the_place_that_it_is_from"
    assert (record.getMessage(), record.funcName) == ("is x?y", expected)
