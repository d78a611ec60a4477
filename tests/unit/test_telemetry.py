"""A span belongs to the trace of what is being done, stands within the span around it, and is told once it ends."""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

import pytest

from provisioning import telemetry, trail
from provisioning.domain.traces import new_trace_id
from provisioning.telemetry import Kind, Span, root_of, span

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def told() -> Iterator[list[Span]]:
    spans = list[Span]()
    forget = telemetry.listen(spans.append)
    yield spans
    forget()


def test_a_call_is_above_all_that_its_trace_brings_on_later(told: list[Span]) -> None:
    began = datetime.now(UTC)
    with trail.following(TRACE), span("call", Kind.SERVER, begins_trace=True), span("within"):
        pass
    with trail.following(TRACE), span("message", Kind.CONSUMER), span("step"), span("request", Kind.CLIENT):
        pass
    assert [(each.name, each.kind) for each in told] == [
        ("within", Kind.INTERNAL),
        ("call", Kind.SERVER),
        ("request", Kind.CLIENT),
        ("step", Kind.INTERNAL),
        ("message", Kind.CONSUMER),
    ]
    by_name = {each.name: each for each in told}
    above = {each.name: each.parent_id for each in told}
    assert (above["call"], above["message"]) == (None, root_of(TRACE))
    assert by_name["call"].span_id == root_of(TRACE)
    assert [above[each] for each in ("within", "step", "request")] == [
        by_name[each].span_id for each in ("call", "message", "step")
    ]
    assert {each.trace_id for each in told} == {TRACE}
    assert len({each.span_id for each in told}) == 5
    for each in told:
        assert re.fullmatch(r"[0-9a-f]{16}", each.span_id)
        assert each.ended is not None
        assert began <= each.began <= each.ended


def test_a_trace_within_another_is_not_part_of_it_and_afterwards_the_first_goes_on(told: list[Span]) -> None:
    other = new_trace_id()
    with trail.following(TRACE), span("outer"):
        with trail.following(other), span("of another"):
            pass
        with span("inner"):
            pass
    another, inner, outer = told
    assert (another.parent_id, inner.parent_id, outer.parent_id) == (root_of(other), outer.span_id, root_of(TRACE))


def test_what_fails_is_told_by_the_kind_of_its_error_and_fails_all_the_same(told: list[Span]) -> None:
    with pytest.raises(KeyError), trail.following(TRACE), span("step") as made:
        raise KeyError("a value of somebody")
    with trail.following(TRACE), span("next"):
        pass
    assert [(each.name, each.error, each.parent_id) for each in told] == [
        ("step", "KeyError", root_of(TRACE)),
        ("next", None, root_of(TRACE)),
    ]
    assert told[0] is made


def test_nobody_is_told_any_more_once_it_has_forgotten() -> None:
    def note(name: str, value: float, attributes: Mapping[str, str]) -> None:
        measures.append((name, value, dict(attributes)))

    measures = list[tuple[str, float, dict[str, str]]]()
    heard = telemetry.is_heard()
    forget, forget_measures = telemetry.listen(lambda _: None), telemetry.listen_to_measures(note)
    assert telemetry.is_heard()
    telemetry.measure("one")
    telemetry.measure("two", 2.5, code="word")
    with telemetry.unmeasured():
        telemetry.measure("rehearsed")
    telemetry.measure("three", 3)
    forget()
    forget_measures()
    telemetry.measure("four")
    assert measures == [("one", 1, {}), ("two", 2.5, {"code": "word"}), ("three", 3, {})]
    assert telemetry.is_heard() is heard
