"""What can happen to a connection, apart from an answer: the part of a fault that only the transport can play."""

from __future__ import annotations

import itertools
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.emulator.faults import When


class Wire(Protocol):
    """The connection of one request; a transport puts it into the WSGI environment."""

    def delay(self, seconds: float) -> None:
        """Let time pass before the call takes effect."""

    def hang(self, operation: str, when: When) -> NoReturn:
        """Never answer."""

    def reset(self) -> NoReturn:
        """Break the connection."""


WIRE = "emulator.wire"


class Dropped(Exception):
    """A held call was let go without an answer."""


@dataclass
class Held:
    """A call that waits."""

    number: int
    operation: str
    when: When
    released: threading.Event = field(default_factory=threading.Event)
    dropped: bool = False


class Holds:
    """Calls that are held at present, until somebody releases them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._numbers = itertools.count(1)
        self._held: dict[int, Held] = {}

    def wait(self, operation: str, when: When) -> None:
        """Hold the calling thread; real time passes, whatever clock the emulator has."""
        with self._lock:
            held = Held(next(self._numbers), operation, when)
            self._held[held.number] = held
        held.released.wait()
        if held.dropped:
            raise Dropped

    def held(self) -> list[Held]:
        """The calls that wait now, oldest first."""
        with self._lock:
            return list(self._held.values())

    def release(self, number: int | None = None, *, drop: bool = False) -> int:
        """Let one call go on, or all; `drop` breaks its connection instead. The answer is how many there were."""
        with self._lock:
            numbers = [key for key in self._held if number in (None, key)]
            chosen = [self._held.pop(key) for key in numbers]
        for held in chosen:
            held.dropped = drop
            held.released.set()
        return len(chosen)


class PlainWire:
    """For a transport that has no wire of its own, such as a WSGI test client."""

    def __init__(self, sleep: Callable[[float], None]) -> None:
        self._sleep = sleep

    def delay(self, seconds: float) -> None:
        """Sleep."""
        self._sleep(seconds)

    def hang(self, operation: str, when: When) -> NoReturn:
        """Nothing to hold on to."""
        del operation, when
        raise Dropped

    def reset(self) -> NoReturn:
        """Nothing to break."""
        raise Dropped
