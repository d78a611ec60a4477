import threading
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import azure.functions as func
import pytest

from dev.host.functions import Worker, index
from dev.host.settings import Connections, HostError
from dev.host.timers import Timer

SETTINGS = {"SCHEDULE": "0 0 3 * * *"}


def timer(
    call: Callable[[func.TimerRequest], None], now: Callable[[], datetime], *, run_on_startup: bool = False
) -> Timer:
    app = func.FunctionApp()

    @app.timer_trigger(arg_name="timer", schedule="%SCHEDULE%", run_on_startup=run_on_startup)
    def tick(timer: func.TimerRequest) -> None:
        call(timer)

    return Timer(index(app)[0], SETTINGS, Worker({}, Connections({}), base64=True), now)


class Watch:
    """A clock that stands until it is set."""

    def __init__(self) -> None:
        self.moment = datetime(2026, 11, 23, 2, 59, 59, 900_000, tzinfo=UTC)

    def __call__(self) -> datetime:
        return self.moment


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.005)
    return condition()


def test_a_timer_is_fired_once_at_each_occurrence() -> None:
    watch, calls = Watch(), list[dict[str, str]]()
    one = timer(lambda request: calls.append(getattr(request, "schedule_status", {})), watch)
    one.start()
    try:
        assert not within(0.2, lambda: bool(calls))
        watch.moment = datetime(2026, 11, 23, 3, 0, 0, 1, tzinfo=UTC)
        assert within(2, lambda: len(calls) == 1)
        assert calls[0]["Next"] == "2026-11-24T03:00:00+00:00"
        assert not within(0.2, lambda: len(calls) > 1)
    finally:
        one.stop()


def test_a_timer_fired_by_hand_is_called_although_nothing_is_due() -> None:
    calls = list[bool]()
    one = timer(lambda request: calls.append(request.past_due), Watch())
    one.start()
    try:
        one.fire("")
        one.fire({"IsPastDue": True})
        assert within(2, lambda: calls == [False, True])
    finally:
        one.stop()


def test_a_timer_is_not_entered_again_while_it_runs_and_skips_what_fell_into_the_run() -> None:
    watch, let, calls, most, running = Watch(), threading.Event(), list[int](), [0], [0]

    def slow(request: func.TimerRequest) -> None:
        running[0] += 1
        most[0] = max(most[0], running[0])
        calls.append(1)
        let.wait(5)
        running[0] -= 1

    one = timer(slow, watch)
    one.start()
    try:
        watch.moment += timedelta(seconds=1)
        assert within(2, lambda: len(calls) == 1)
        one.fire("")
        watch.moment += timedelta(days=3)
        let.set()
        assert within(2, lambda: len(calls) == 2)
        assert not within(0.3, lambda: len(calls) > 2)
        assert most == [1]
    finally:
        one.stop()


def test_a_timer_that_fails_is_fired_again_at_the_next_occurrence() -> None:
    watch, calls = Watch(), list[int]()

    def failing(request: func.TimerRequest) -> None:
        calls.append(1)
        raise ValueError("a failure of this test")

    one = timer(failing, watch)
    one.start()
    try:
        for number in (1, 2):
            watch.moment += timedelta(days=1)
            one.fire("")
            assert within(2, lambda: len(calls) >= number)  # noqa: B023 - called at once
    finally:
        one.stop()


def test_a_timer_may_be_run_on_startup() -> None:
    calls = list[int]()
    one = timer(lambda request: calls.append(1), Watch(), run_on_startup=True)
    one.start()
    try:
        assert within(2, lambda: len(calls) == 1)
    finally:
        one.stop()


@pytest.mark.parametrize(
    ("schedule", "reason"), [("%MISSING%", "the setting MISSING is not set"), ("every day", "six fields")]
)
def test_a_nonsense_schedule_is_told_with_its_function(schedule: str, reason: str) -> None:
    app = func.FunctionApp()

    @app.timer_trigger(arg_name="timer", schedule=schedule)
    def tick(timer: func.TimerRequest) -> None: ...

    with pytest.raises(HostError, match=f"function tick: .*{reason}"):
        Timer(index(app)[0], {}, Worker({}, Connections({}), base64=True))
