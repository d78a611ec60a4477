"""The service with one of its orders broken: what is to be written first is written afterwards.

In each the later of two writes is not counted among the calls, so that a schedule strikes at the same call as before.
"""

from dataclasses import replace
from datetime import datetime
from typing import Any, cast

from provisioning.domain.events import Event, apart
from provisioning.domain.notices import APPROVAL_REQUESTED, Notice
from provisioning.domain.quota import Exceeded, Quota
from provisioning.domain.registration import Registration
from provisioning.ports import Registry
from tests.faults.weakened import InsteadOf
from tests.worlds.world import World


class ListsAfterwards(InsteadOf):
    """Names a registration in its owner's list once the row is written."""

    def __init__(self, inner: Registry, uncounted: Registry) -> None:
        super().__init__(inner)
        self._uncounted = uncounted
        self._unlisted: tuple[Any, ...] | None = None

    def take_place(self, owner: str, registration_id: str, quota: Quota, now: datetime) -> Exceeded | None:
        self._unlisted = (owner, registration_id, quota, now)
        return cast("Exceeded | None", self._inner.exceeds(owner, quota, now))

    def insert(self, registration: Registration, *events: Event) -> Registration | None:
        stored = cast("Registration | None", self._inner.insert(registration, *events))
        self._list()
        return stored

    def replace(self, registration: Registration, *events: Event) -> Registration:
        stored = cast("Registration", self._inner.replace(registration, *events))
        self._list()
        return stored

    def _list(self) -> None:
        if self._unlisted is not None:
            self._uncounted.take_place(*self._unlisted)
            self._unlisted = None


def list_after_the_row(world: World) -> None:
    world.exchange(
        lambda services: replace(
            services, registry=cast("Registry", ListsAfterwards(services.registry, world.registry))
        )
    )


def list_after_a_change_of_owner(world: World) -> None:
    list_after_the_row(world)


class TellsNobodyAgain(InsteadOf):
    """Notes that those who decide were told that something waits, and tells them after that."""

    def __init__(self, inner: Registry, uncounted: Registry) -> None:
        super().__init__(inner)
        self._uncounted = uncounted
        self._untold: tuple[Notice, datetime] | None = None

    def put_notice(self, notice: Notice, due_at: datetime) -> None:
        if notice.type == APPROVAL_REQUESTED:
            self._untold = (notice, due_at)
            self._inner.notices(notice.subject)
        else:
            self._inner.put_notice(notice, due_at)

    def replace(self, registration: Registration, *events: Event) -> Registration:
        stored = cast("Registration", self._inner.replace(registration, *events))
        if self._untold is not None:
            self._uncounted.put_notice(*self._untold)
            self._untold = None
        return stored


def note_that_it_is_told_before_it_is(world: World) -> None:
    world.exchange(
        lambda services: replace(
            services, registry=cast("Registry", TellsNobodyAgain(services.registry, world.registry))
        )
    )


class TellsAfterwards(InsteadOf):
    """Writes the event of an act after the act, in a request of its own."""

    def __init__(self, inner: Registry, uncounted: Registry) -> None:
        super().__init__(inner)
        self._uncounted = uncounted

    def insert(self, registration: Registration, *events: Event) -> Registration | None:
        stored = cast("Registration | None", self._inner.insert(registration))
        if stored is not None:
            self._tell(events)
        return stored

    def replace(self, registration: Registration, *events: Event) -> Registration:
        stored = cast("Registration", self._inner.replace(registration))
        self._tell(events)
        return stored

    def _tell(self, events: tuple[Event, ...]) -> None:
        for event in events:
            self._uncounted.put_event(apart(event))


def tell_after_the_act(world: World) -> None:
    world.exchange(
        lambda services: replace(
            services, registry=cast("Registry", TellsAfterwards(services.registry, world.registry))
        )
    )
