"""Replaced secrets that somebody uses still: they stay up to the limit, and not beyond it, whatever dies meanwhile."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, cast

from provisioning.domain.directory import Application
from provisioning.domain.registration import Registration
from provisioning.ports import Directory, Registry
from tests.faults.pasts import DAY, ready, subject, until_due
from tests.faults.scenarios import SCENARIOS, Scenario, ours, planned
from tests.faults.weakened import InsteadOf
from tests.worlds.checker import check
from tests.worlds.request_bodies import a_service_client
from tests.worlds.steps import rotated_now
from tests.worlds.usage import a_reading_world, secret_of, sign_in, used_daily
from tests.worlds.watch import is_labelled, versions_of
from tests.worlds.world import World


def a_used(days: int) -> World:
    """A world in which a secret was replaced so many days ago, and is used each day since."""
    world = a_reading_world(SECRET_OVERLAP_LIMIT="P10D")
    client = world.registered(a_service_client())
    kept = secret_of(world, client)
    world.clock.sleep(86_400)
    sign_in(world, client)
    rotated_now(world, client["registrationId"])
    assert used_daily(world, client, kept, days) == days
    world.settle()
    return world


@ready
def a_used_secret() -> World:
    """The overlap is over within the hour; a reconciliation has just seen that the secret is used."""
    world = a_used(7)
    world.reconcile()
    return world


@ready
def a_spared_secret() -> World:
    """The limit is over, and the secret is used still."""
    return until_due(a_used(9))


def replaced_key(world: World, row: Registration) -> str:
    """The key id of the secret that was current before."""
    return str(versions_of(world, row)[-2].tags["keyId"])


def is_spared(world: World, row: Registration) -> None:
    """What somebody used yesterday works still; some days after the last use it is gone."""
    assert replaced_key(world, row) in ours(world), "a secret was removed that is used still"
    world.live(4 * DAY, reconciled=9 * DAY)
    world.settle()
    check(world)
    assert replaced_key(world, row) not in ours(world), "what nobody uses any more is spared"


def is_at_its_limit(world: World, row: Registration) -> None:
    """However much it is used."""
    assert replaced_key(world, row) not in ours(world), "a replaced secret outlives its limit"


SPARED: Final[dict[str, Scenario]] = {
    "spare": Scenario(lambda: until_due(a_used_secret()), planned, is_spared),
    "spare-limit": Scenario(a_spared_secret, planned, is_at_its_limit),
}
SCENARIOS.update(SPARED)


# --- the service with one of its rules broken -----------------------------------------------------------------------


def ask_nobody_who_uses_it(world: World) -> None:
    """Have the service know nothing of who uses what."""
    world.exchange(lambda services: replace(services, sign_ins=None))


class ForgetsUntilWhen(InsteadOf):
    """Does not remember until when a replaced secret was to stay."""

    def get(self, registration_id: str) -> Registration | None:
        row = cast("Registration | None", self._inner.get(registration_id))
        return replace(row, usage=None) if row is not None else None


def know_no_limit(world: World) -> None:
    """Have a secret stay for as long as it is used."""
    forever = timedelta(days=3650)
    world.exchange(
        lambda services: replace(
            services,
            registry=cast("Registry", ForgetsUntilWhen(services.registry)),
            secrets=replace(services.secrets, overlap_limit=forever),
        )
    )


class TakesSilenceForDisuse(InsteadOf):
    """Removes, whenever it reads an application, each replaced secret of which no report says that it is used."""

    def __init__(self, inner: Directory, world: World) -> None:
        super().__init__(inner)
        self._world = world

    def read_application(self, object_id: str, **options: bool) -> Application | None:
        application = cast("Application | None", self._inner.read_application(object_id, **options))
        row, reports = subject(self._world), self._world.emulator.directory.sign_ins
        current = versions_of(self._world, row)[-1].tags["keyId"]
        reported: set[Any] = {about[1] for about in reports.keys() if reports.seen("key", *about)}  # noqa: SIM118
        if self._world.emulator.faults.switches.reports_empty:
            reported = set()
        for each in self._world.emulator.directory.records[object_id].passwords:
            if is_labelled(each) and each.removed_at is None and each.key_id not in {current, *reported}:
                self._inner.remove_secret(object_id, each.key_id)
        return application


def take_silence_for_disuse(world: World) -> None:
    """Have what is not reported be ended, as if it were known that nobody uses it."""
    world.emulator.faults.set(reports_empty=True)
    world.exchange(
        lambda services: replace(
            services, directory=cast("Directory", TakesSilenceForDisuse(services.directory, world))
        )
    )
