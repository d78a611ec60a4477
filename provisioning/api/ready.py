"""What `GET /ready` tells: the checks of `flow/ready.py`, made at most every 30 seconds in each process."""

import json
import threading
import weakref
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final

from provisioning.api.answers import Answer, instant, ok, problem
from provisioning.domain.readiness import Check, Dependency, State, is_ready
from provisioning.flow.ready import look
from provisioning.ports import Registry, Services

KEPT_FOR: Final = timedelta(seconds=30)
_CODE: Final = "misconfigured"
_SET_IT: Final = "Correct this app setting; doctor on the command line has the command."


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
    return ok({"ready": True, **content}) if is_ready(checks) else _lacking(checks, content)


def show_settings(faults: Sequence[str]) -> Answer:
    """Return 503 and a check for each wrong setting; for one and all where none may be told."""
    settings = Check(Dependency.SETTINGS, "are good")
    checks = [replace(settings, what=fault.partition(":")[0]).lacks(_CODE, fault, _SET_IT) for fault in faults]
    checks = checks or [settings.lacks(_CODE, "The app settings are wrong.", "The service's log names each wrong one.")]
    return _lacking(checks, {"checks": [_told(each) for each in checks]})


def _lacking(checks: Sequence[Check], content: Mapping[str, object]) -> Answer:
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
