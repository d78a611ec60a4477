"""The turns of the clock are traced as calls are: the planner's, the reconciliation's, and the sending of notices."""

from collections.abc import Iterator

import pytest

from provisioning import telemetry
from provisioning.flow.reconcile import first_page
from provisioning.telemetry import Kind, Span, root_of
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import MANAGED, a_service_client
from tests.worlds.world import World

CLIENT = a_service_client(resource=MANAGED, appRoles=[])


@pytest.fixture
def spans() -> Iterator[list[Span]]:
    """What ended during a test, in this order."""
    ended = list[Span]()
    forget = telemetry.listen(ended.append)
    yield ended
    forget()


def named(spans: list[Span], name: str) -> Span:
    [found] = [each for each in spans if each.name == name]
    return found


def test_a_turn_of_the_planner_is_the_root_of_the_trace_of_what_it_sends(spans: list[Span]) -> None:
    world = World()
    world.post(CLIENT)
    world.queue.clear()
    world.clock.sleep(3600)
    spans.clear()
    world.plan()
    turn = named(spans, "due_messages")
    assert (turn.parent_id, turn.span_id, turn.kind) == (None, root_of(turn.trace_id), Kind.INTERNAL)
    spans.clear()
    world.deliver()
    [checked] = [each for each in spans if each.kind is Kind.CONSUMER]
    assert (checked.trace_id, checked.parent_id) == (turn.trace_id, turn.span_id)


def test_a_turn_that_looks_for_notices_has_a_trace_of_its_own(spans: list[Span]) -> None:
    World(receiver=Receiver()).plan()
    due, waiting = named(spans, "due_messages"), named(spans, "waiting_notices")
    assert waiting.parent_id is None
    assert waiting.trace_id != due.trace_id


def test_a_reconciliation_is_one_trace_from_its_beginning_to_its_checks(spans: list[Span]) -> None:
    world = World()
    world.registered(CLIENT)
    spans.clear()
    world.send(first_page(world.services))
    world.settle()
    began = named(spans, "first_page")
    assert began.parent_id is None
    delivered = [each for each in spans if each.kind is Kind.CONSUMER]
    assert len(delivered) == 4, "three parts and a check"
    assert {(each.trace_id, each.parent_id) for each in delivered} == {(began.trace_id, began.span_id)}


def test_the_sending_of_a_notice_belongs_to_the_trace_of_what_it_tells(spans: list[Span]) -> None:
    world = World(receiver=Receiver())
    world.post(CLIENT)
    call = named(spans, "submit_registration")
    world.settle()
    sent = next(each for each in spans if each.name == "send_notice")
    assert (sent.trace_id, sent.parent_id) == (call.trace_id, call.span_id)
    turns = [each for each in spans if each.name == "send_notices"]
    assert turns
    assert all(each.parent_id is None and each.kind is Kind.CONSUMER for each in turns)


def test_a_notice_that_is_not_taken_is_a_span_with_its_error(spans: list[Span]) -> None:
    receiver = Receiver()
    receiver.status = 503
    world = World(receiver=receiver)
    world.post(CLIENT)
    world.deliver()
    world.deliver()
    assert [each.error for each in spans if each.name == "send_notice"] == ["TryAgain"]


def test_the_spans_of_a_call_and_of_a_run_name_the_registration_that_they_are_about(spans: list[Span]) -> None:
    world = World()
    identity = world.registered(CLIENT)["registrationId"]
    world.get(identity)
    world.change(identity, {"displayName": "Another name"})
    world.deliver()
    told = {each.name: each.attributes for each in spans if each.kind in (Kind.SERVER, Kind.CONSUMER)}
    assert told["show_registration"] == {"registrar.registration_id": identity, "http.response.status_code": 200}
    assert told["submit_registration"] == {"http.response.status_code": 202}
    assert [each for each in told.values() if "registrar.operation" in each] == [
        {"registrar.registration_id": identity, "registrar.operation": "change"}
    ]
