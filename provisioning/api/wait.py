"""An answer that comes once the operation has ended, so that whoever asks needs no loop.

A thread that waits does nothing else, and there are few: so only some may wait at the same time, and nobody waits for
long. What `Prefer` may say is in `prefer.py`.
"""

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from typing import Final

from provisioning import trail
from provisioning.domain.callers import Caller
from provisioning.domain.errors import TryAgain
from provisioning.domain.messages import REGISTRATIONS_QUEUE
from provisioning.domain.registration import Registration
from provisioning.domain.values import dataclass
from provisioning.ports import Services

logger = trail.logger(__name__)

# Each look comes after twice as long as the one before, in seconds.
_FIRST_LOOK: Final = 0.25
_LONGEST_PAUSE: Final = 1.0


@dataclass(frozen=True, slots=True)
class Waited:
    """A registration as it stood when the wait was over, the message still to be sent, and what was honoured."""

    registration: Registration
    message: str | None
    headers: Mapping[str, str]


class Places:
    """How many calls of this process wait at the same time; whoever finds no place is answered at once."""

    def __init__(self) -> None:
        self._taken = 0
        self._lock = threading.Lock()

    @contextmanager
    def one(self, most: int) -> Iterator[bool]:
        """Take a place until the end of the block, or say that there is none."""
        with self._lock:
            has_place = self._taken < most
            self._taken += has_place
        try:
            yield has_place
        finally:
            with self._lock:
                self._taken -= has_place


_PLACES: Final = Places()


def ends_soon(row: Registration) -> bool:
    """Whether nobody has to do anything for its operation to end: it is pending, or was denied."""
    decided = row.approval is not None and row.approval.outcome is not None
    return row.pending or (row.awaits_approval and decided)


def wait(
    services: Services, caller: Caller, row: Registration, seconds: int | None, message: str | None = None
) -> Waited:
    """Return the registration once its operation has ended, or the time is over.

    It is as the caller could read it last: what is another's by then is not shown. `message` is sent before the wait,
    because the host would send it with the answer. Where the queue does not take it, or no place is free to wait in,
    the host sends it, at once, and nothing is said of a wait. Storage that fails ends the wait, and is no failure of
    the call, which has been carried out.
    """
    if seconds is None:
        return Waited(row, message, {})
    applied = {"Preference-Applied": f"wait={seconds}"}
    if not ends_soon(row):
        return Waited(row, message, applied)
    with _PLACES.one(services.most_waiting) as has_place:
        if not has_place or not _sent(services, message):
            return Waited(row, message, {})
        return Waited(_watched(services, caller, row, seconds), None, applied)


def _sent(services: Services, message: str | None) -> bool:
    try:
        if message is not None:
            services.queues.send(REGISTRATIONS_QUEUE, message)
    except TryAgain as error:
        logger.warning("a call that would wait is answered at once: %s", error)
        return False
    return True


def _watched(services: Services, caller: Caller, row: Registration, seconds: int) -> Registration:
    deadline = services.clock.now() + timedelta(seconds=seconds)
    pause = _FIRST_LOOK
    while ends_soon(row) and (left := (deadline - services.clock.now()).total_seconds()) > 0:
        services.clock.sleep(min(pause, left))
        pause = min(pause * 2, _LONGEST_PAUSE)
        try:
            read = services.registry.get(row.id)
        except TryAgain as error:
            logger.warning("the wait for an operation ends early: %s", error)
            break
        if read is None or not read.readable_by(caller):
            break
        row = read
    return row
