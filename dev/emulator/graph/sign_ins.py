"""Which credential, and which service principal, was last part of a sign-in; `reports.py` has what of that is told."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.emulator.faults import Faults
    from dev.emulator.graph.records import ServicePrincipal

# Of a service principal: as what it was used, in which flow.
CLIENT, RESOURCE = "applicationAuthenticationClientSignInActivity", "applicationAuthenticationResourceSignInActivity"
DELEGATED_CLIENT, DELEGATED_RESOURCE = "delegatedClientSignInActivity", "delegatedResourceSignInActivity"
ROLES = (CLIENT, RESOURCE, DELEGATED_CLIENT, DELEGATED_RESOURCE)


class SignIns:
    """When which credential, and which service principal in which part, was last part of a sign-in."""

    def __init__(self, faults: Faults, now: Callable[[], datetime]) -> None:
        self._faults = faults
        self._now = now
        self._times: dict[tuple[str, ...], list[datetime]] = {}
        self._asked: list[datetime] = []

    def with_credential(self, client: ServicePrincipal, resource: ServicePrincipal, key_id: str | None) -> None:
        """A client got a token for itself; a federated credential has no key, and is in no report of keys."""
        self._note(CLIENT, client.app_id)
        self._note(RESOURCE, resource.app_id)
        if key_id is not None:
            self._note("key", client.app_id, key_id, resource.id)

    def of_a_person(self, client: ServicePrincipal, resource: ServicePrincipal) -> None:
        """A person signed in to a client, which nobody can do here: tests and demos say that somebody did."""
        self._note(DELEGATED_CLIENT, client.app_id)
        self._note(DELEGATED_RESOURCE, resource.app_id)

    def seen(self, *about: str) -> datetime | None:
        """The last time that the reports know of."""
        until = self._told_until()
        return max((each for each in self._times.get(about, ()) if each <= until), default=None)

    def keys(self) -> list[tuple[str, str, str]]:
        """Application id, key id and the id of the resource's service principal, in order of their first sign-in."""
        return [(about[1], about[2], about[3]) for about in self._times if about[0] == "key"]

    def asked(self) -> int:
        """Count one more request for a report; how many there were in the last ten seconds."""
        now = self._now()
        self._asked = [*(each for each in self._asked if now - each < timedelta(seconds=10)), now]
        return len(self._asked)

    def _note(self, *about: str) -> None:
        """Keep what is young enough to be told later, and the last of what is told already."""
        times, told = self._times.setdefault(about, []), self._told_until()
        young = [each for each in times if each > told]
        times[:] = [*[each for each in times if each <= told][-1:], *young, self._now()]

    def _told_until(self) -> datetime:
        return self._now() - timedelta(seconds=self._faults.switches.report_lag)
