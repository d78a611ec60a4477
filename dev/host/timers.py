"""Timer triggers: fired by schedule and by hand, one call at a time."""

from __future__ import annotations

import json
import logging
import queue
import threading
from contextlib import suppress
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from azure.functions.meta import Datum

from dev.host.ncrontab import Schedule, ScheduleError
from dev.host.settings import HostError, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from dev.host.functions import Function, Worker

log = logging.getLogger("dev.host")

_LONGEST_WAIT = 30.0


def _now() -> datetime:
    return datetime.now(UTC)


class Timer:
    """Calls one timer function.

    The next occurrence is looked for when a call has ended, so that one that falls into a running call is left out,
    and a failed call is not repeated. Where it stood is not remembered over a restart: nothing is past due at start.
    """

    def __init__(
        self, function: Function, settings: Mapping[str, str], worker: Worker, now: Callable[[], datetime] = _now
    ) -> None:
        where = f"function {function.name}"
        try:
            self._schedule = Schedule.parse(resolve(str(function.trigger["schedule"]), settings, where))
        except ScheduleError as error:
            raise HostError(f"{where}: {error}") from error
        self._function = function
        self._worker = worker
        self._now = now
        self._last: datetime | None = None
        self._stopping = False
        self._by_hand: queue.SimpleQueue[dict[str, Any] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=f"timer {function.name}", daemon=True)

    def start(self) -> None:
        """Begins to wait for the next occurrence."""
        if self._function.trigger.get("runOnStartup"):
            self.fire({})
        self._thread.start()

    def stop(self) -> None:
        """Fires no more."""
        self._stopping = True
        self._by_hand.put(None)

    def fire(self, given: Any) -> None:  # noqa: ANN401 - whatever JSON the caller sent
        """Has it called as soon as no call is running; a JSON object stands for fields of the timer's own."""
        self._by_hand.put(given if isinstance(given, dict) else {})

    def _run(self) -> None:
        due = self._schedule.next_after(self._now())
        while not self._stopping:
            left = (due - self._now()).total_seconds()
            given: dict[str, Any] | None = {}
            if left > 0:
                try:
                    # No longer than this at once: the machine's clock may be set meanwhile.
                    given = self._by_hand.get(timeout=min(left, _LONGEST_WAIT))
                except queue.Empty:
                    continue
            if given is None:
                continue
            following = self._schedule.next_after(max(due, self._now())) if left <= 0 else due
            self._call(given, following)
            due = due if due > self._now() else self._schedule.next_after(self._now())

    def _call(self, given: dict[str, Any], following: datetime) -> None:
        called = self._now()
        status = {name: moment.isoformat() for name, moment in (("Last", self._last), ("Next", following)) if moment}
        value = {"IsPastDue": False, "Schedule": {"AdjustForDST": False}, "ScheduleStatus": status} | given
        # A failure is logged where it is called, and a pool that is shut down means that the host stops.
        with suppress(Exception):
            self._worker.start(self._worker.invoke, self._function, Datum(json.dumps(value), "json")).result()
        self._last = called
