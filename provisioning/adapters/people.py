"""Whom Entra knows: users, groups and service principals by their object ids, where this app may read them.

Reading users needs User.Read.All, and groups GroupMember.Read.All ("Get user", "Get group"); this app works without
either. It may read service principals anyway ("Get servicePrincipal", of Application.ReadWrite.OwnedBy).
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, Final

from provisioning import trail
from provisioning.domain.errors import NeedsOperator, TryAgain
from provisioning.ports import Clock

logger = trail.logger(__name__)

REMEMBERED_FOR: Final = timedelta(minutes=10)
DENIAL_REMEMBERED_FOR: Final = timedelta(hours=1)
# Where each kind is looked for, and how Azure names it.
_KINDS: Final = {"groups": "Group", "users": "User", "servicePrincipals": "ServicePrincipal"}

Read = Callable[[str], Mapping[str, Any] | None]


class People:
    """Who is there, as far as this app may look. `read` returns what Graph has at a path, or None."""

    def __init__(self, read: Read, clock: Clock) -> None:
        self._read = read
        self._clock = clock
        self._there_until: dict[str, datetime] = {}
        self._kinds: dict[str, str] = {}
        self._denied_until: dict[str, datetime] = {}

    def knows(self, object_id: str) -> bool | None:
        """As the port says. One request for each kind of object, until it is found."""
        now = self._clock.now()
        if self._lasts(self._there_until, object_id, now):
            return True
        looked_everywhere = True
        for kind in _KINDS:
            found = None if self._lasts(self._denied_until, kind, now) else self._look(kind, object_id, now)
            if found:
                self._there_until[object_id], self._kinds[object_id] = now + REMEMBERED_FOR, _KINDS[kind]
                return True
            looked_everywhere = looked_everywhere and found is not None
        return False if looked_everywhere else None

    def kind_of(self, object_id: str) -> str | None:
        """As the port says."""
        return self._kinds[object_id] if self.knows(object_id) else None

    def _look(self, kind: str, object_id: str, now: datetime) -> bool | None:
        try:
            return self._read(f"/{kind}/{object_id}?$select=id") is not None
        except NeedsOperator:
            self._denied_until[kind] = now + DENIAL_REMEMBERED_FOR
        except TryAgain:
            logger.warning("graph %s: cannot say now who is there", kind)
        return None

    @staticmethod
    def _lasts(until: Mapping[str, datetime], name: str, now: datetime) -> bool:
        return name in until and now < until[name]
