"""Spans and measures: what was done, for how long, within what, and how often; nobody listens unless settings say so.

A span is known when it ends, so that the first call of a process has one although the settings are read within it.
Who listens is in `adapters/`. All that leads from one call belongs to its trace; the call itself, or for a trace that
somebody else began a place in that, is above everything that messages bring on later.
"""

import hashlib
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from provisioning import trail


class Kind(StrEnum):
    """Whether somebody asked for it, a message brought it, it asks somebody else, or none of that."""

    SERVER = "SERVER"
    CONSUMER = "CONSUMER"
    CLIENT = "CLIENT"
    INTERNAL = "INTERNAL"


@dataclass(slots=True)
class Span:
    """What was done. Its attributes are names, numbers and ids of this service's own making, and nobody else's."""

    name: str
    kind: Kind
    trace_id: str
    span_id: str
    parent_id: str | None
    began: datetime
    ended: datetime | None = None
    error: str | None = None
    attributes: dict[str, str | int] = field(default_factory=dict)


Listener = Callable[[Span], None]
# A measure: its name in `adapters/metrics.py`, its value, and words of this service's own making.
Measurer = Callable[[str, float, Mapping[str, str]], None]

_CURRENT: Final[ContextVar[Span | None]] = ContextVar("span", default=None)
_UNMEASURED: Final = ContextVar("unmeasured", default=False)
_LISTENERS: Final[list[Listener]] = []
_MEASURERS: Final[list[Measurer]] = []


def listen(listener: Listener) -> Callable[[], None]:
    """Have a listener be told of each span that ends; return what ends that."""
    _LISTENERS.append(listener)
    return lambda: _LISTENERS.remove(listener)


def is_heard() -> bool:
    """Whether anybody listens to spans: who makes many of them need not make any otherwise."""
    return bool(_LISTENERS)


def listen_to_measures(measurer: Measurer) -> Callable[[], None]:
    """Have it be told of each measure from now on; return what ends that."""
    _MEASURERS.append(measurer)
    return lambda: _MEASURERS.remove(measurer)


def measure(name: str, value: float = 1, **attributes: str) -> None:
    """Tell whoever listens of a number; of ids, names and texts that anybody sent, nothing."""
    for measurer in () if _UNMEASURED.get() else _MEASURERS:
        measurer(name, value, attributes)


@contextmanager
def unmeasured() -> Iterator[None]:
    """Have nothing be measured meanwhile: what is only rehearsed has not happened."""
    token = _UNMEASURED.set(True)
    try:
        yield
    finally:
        _UNMEASURED.reset(token)


def root_of(trace_id: str) -> str:
    """Return the id of the span above all others of a trace."""
    return hashlib.sha256(trace_id.encode()).hexdigest()[:16]


@contextmanager
def span(name: str, kind: Kind = Kind.INTERNAL, *, begins_trace: bool = False) -> Iterator[Span]:
    """Have what is done meanwhile be a span of the current trace, within the one that is under way here."""
    above, trace_id = _CURRENT.get(), trail.current().trace_id
    if above is not None and above.trace_id != trace_id:
        above = None
    root = root_of(trace_id)
    own = root if begins_trace else secrets.token_hex(8)
    parent = above.span_id if above is not None else None if begins_trace else root
    made = Span(name, kind, trace_id, own, parent, datetime.now(UTC))
    token = _CURRENT.set(made)
    try:
        yield made
    except Exception as error:
        made.error = type(error).__name__
        raise
    finally:
        _CURRENT.reset(token)
        made.ended = datetime.now(UTC)
        for listener in _LISTENERS:
            listener(made)
