"""What `GET /ready` tells: the checks of `flow/ready.py`, made at most every 30 seconds in each process."""

import threading
import weakref
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from provisioning.domain.readiness import Check
from provisioning.flow.ready import look
from provisioning.ports import Registry, Services

KEPT_FOR: Final = timedelta(seconds=30)


@dataclass(slots=True)
class _Latest:
    """What was found last, and when; one at a time looks, and whoever comes meanwhile waits for it."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    found: tuple[Check, ...] = ()
    looked_at: datetime | None = None


# For each registry, of which a process has one.
_LATEST: Final[weakref.WeakKeyDictionary[Registry, _Latest]] = weakref.WeakKeyDictionary()


def latest(services: Services) -> tuple[tuple[Check, ...], datetime]:
    """Return the checks, at most 30 seconds old, and when they were made."""
    kept = _LATEST.setdefault(services.registry, _Latest())
    with kept.lock:
        now = services.clock.now()
        if kept.looked_at is None or not timedelta(0) <= now - kept.looked_at < KEPT_FOR:
            kept.found = look(services)
            kept.looked_at = now
        return kept.found, kept.looked_at
