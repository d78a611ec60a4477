"""What `GET /ready` tells: the checks of `flow/ready.py`, made at most every 30 seconds in each process."""

import json
import threading
import weakref
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from provisioning.api.answers import Answer, instant, ok, problem
from provisioning.domain.readiness import Check, State, is_ready
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


def show(services: Services) -> Answer:
    """Return 200 and each check, or 503 where anything is lacking."""
    checks, looked_at = _checked(services)
    content = {"checks": [_told(each) for each in checks], "checkedAt": instant(looked_at)}
    if is_ready(checks):
        return ok({"ready": True, **content})
    lacking = dict.fromkeys(each.dependency.value for each in checks if each.state is State.LACKING)
    detail = f"Something is lacking; see checks: {', '.join(lacking)}."
    answer = problem(503, "not-ready", detail, headers={"Retry-After": "30"})
    return replace(answer, body=json.dumps({**json.loads(answer.body), "ready": False, **content}))


def _checked(services: Services) -> tuple[tuple[Check, ...], datetime]:
    """Return the checks, at most 30 seconds old, and when they were made."""
    kept = _LATEST.setdefault(services.registry, _Latest())
    with kept.lock:
        now = services.clock.now()
        if kept.looked_at is None or not timedelta(0) <= now - kept.looked_at < KEPT_FOR:
            kept.found = look(services)
            kept.looked_at = now
        return kept.found, kept.looked_at


def _told(check: Check) -> dict[str, str]:
    told = {"dependency": check.dependency, "what": check.what, "state": check.state, "code": check.code}
    told |= {"message": check.message, "remedy": check.remedy}
    return {name: value for name, value in told.items() if value}
