"""Several replicas of one directory, of which some learn of a write later than others."""

from __future__ import annotations

import itertools
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.emulator.faults import Faults

T = TypeVar("T")


class Replicas:
    """Which replica answers a request, and what it has seen. Requests go round, from a start that the seed decides."""

    def __init__(self, faults: Faults, now: Callable[[], datetime], seed: int) -> None:
        self._faults = faults
        self._turns = itertools.count(seed)
        self.now = now

    def next(self) -> int:
        """The replica for one request."""
        return next(self._turns) % max(1, self._faults.switches.replicas)

    def has_seen(self, replica: int, written_at: datetime) -> bool:
        """Whether a write of that time has reached the replica."""
        switches = self._faults.switches
        share = replica / (switches.replicas - 1) if switches.replicas > 1 else 1
        return self.now() >= written_at + timedelta(seconds=switches.replication_lag * share)


class Versioned(Generic[T]):
    """A value with its history; None stands for deleted."""

    def __init__(self, at: datetime, value: T) -> None:
        self._history: list[tuple[datetime, T | None]] = [(at, value)]

    @property
    def began_at(self) -> datetime:
        """When the first value was written."""
        return self._history[0][0]

    @property
    def ended_at(self) -> datetime | None:
        """When it was deleted, if it was."""
        at, value = self._history[-1]
        return at if value is None else None

    @property
    def latest(self) -> T | None:
        """The value on the replica that takes the writes."""
        return self._history[-1][1]

    def put(self, at: datetime, value: T | None) -> None:
        """Write a new value, or None to delete."""
        self._history.append((at, value))

    def seen_by(self, replicas: Replicas, replica: int) -> T | None:
        """The newest value that has reached the replica; None also before the first one has."""
        for at, value in reversed(self._history):
            if replicas.has_seen(replica, at):
                return value
        return None
