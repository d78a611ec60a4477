"""What is being done in this process just now, for all who tell of it: events, Graph, the vault, and the log.

Set where a call or a message comes in, and read where something goes out. So one place says how a line of the log
begins, and none of them holds a line break of somebody else.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any, Final

from provisioning.domain.events import Actor, ActorKind, Trail
from provisioning.domain.traces import new_trace_id

_CURRENT: Final[ContextVar[Trail | None]] = ContextVar("trail", default=None)
_SUBJECTS: Final = ("registration ", "reconciliation ")


def current() -> Trail:
    """Return whose trail this is; a new one of the queue's where nobody has said it."""
    return _CURRENT.get() or Trail(new_trace_id(), Actor(ActorKind.QUEUE))


@contextmanager
def following(trace_id: str | None, actor: Actor | None = None, subject: str = "") -> Iterator[Trail]:
    """Have all that is done meanwhile belong to the trace, or to a new one; afterwards it is as it was before."""
    token = _CURRENT.set(Trail(trace_id or new_trace_id(), actor or current().actor, subject))
    try:
        yield current()
    finally:
        _CURRENT.reset(token)


def known(*, actor: Actor | None = None, subject: str | None = None, trace_id: str | None = None) -> None:
    """Say who it turned out to be that acts, about what, or in which trace, until the end of `following`."""
    trail = _CURRENT.get()
    if trail is not None:
        _CURRENT.set(
            replace(
                trail,
                actor=actor or trail.actor,
                subject=trail.subject if subject is None else subject,
                trace_id=trace_id or trail.trace_id,
            )
        )


class _TrailLogger(logging.LoggerAdapter[logging.Logger]):
    """Begins each line with what it is about, ends it with its trace, and lets no argument break it."""

    def log(self, level: int, msg: object, *args: object, **options: Any) -> None:  # noqa: ANN401 -- the signature of logging
        if not self.isEnabledFor(level):
            return
        text, trail = str(msg) % tuple(map(_on_one_line, args)), _CURRENT.get()
        if trail is not None:
            begins = f"{trail.subject}: " if trail.subject and not text.startswith(_SUBJECTS) else ""
            text = f"{begins}{text} [{trail.trace_id}]"
        self.logger.log(level, "%s", text, stacklevel=2, **options)


def _on_one_line(value: object) -> object:
    if isinstance(value, int | float):
        return value
    return "".join(each if each.isprintable() else "?" for each in str(value))


def logger(name: str) -> logging.LoggerAdapter[logging.Logger]:
    """Return the logger of a module."""
    return _TrailLogger(logging.getLogger(name))
