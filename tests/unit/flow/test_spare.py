"""A replaced secret that is used still stays up to a hard limit; what is not known to be used goes as it always did."""

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from provisioning.domain.messages import read_message, reconcile_message
from provisioning.domain.usage import CredentialUse, Usage
from provisioning.flow.spare import looked_at_again
from tests.worlds.checker import check
from tests.worlds.clock import DAY, VirtualClock
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import a_service_client
from tests.worlds.steps import live_keys, rotated_now
from tests.worlds.usage import SILENT, a_reading_world, secret_of, sign_in, used_daily
from tests.worlds.world import World

OVERLAP = 7 * DAY


class Replaced:
    """A client whose secret was just replaced, and a consumer that kept the old one."""

    def __init__(self, world: World, **body: Any) -> None:
        self.world = world
        self.client = world.registered(a_service_client(**body))
        self.id: str = self.client["registrationId"]
        self.kept, self.key_id = secret_of(world, self.client), self.client["secret"]["keyId"]
        world.clock.sleep(10 * 86_400)
        sign_in(world, self.client)
        rotated_now(world, self.id)
        self.replaced_at = world.clock.now()

    @property
    def lives(self) -> bool:
        return self.key_id in live_keys(self.world, self.id)

    @property
    def use(self) -> dict[str, Any]:
        """What is told of the replaced secret."""
        [found] = [each for each in self.world.get(self.id)["usage"]["credentials"] if each["keyId"] == self.key_id]
        return dict(found)

    def used(self, days: int) -> int:
        return used_daily(self.world, self.client, self.kept, days)

    @property
    def asked(self) -> int:
        """How often it was asked about a single secret: the reports themselves are read in pairs."""
        reads = Counter(each.operation for each in self.world.emulator.calls)
        return reads["graph.listCredentialSignIns"] - reads["graph.listPrincipalSignIns"]


def test_a_replaced_secret_that_is_used_still_stays_up_to_the_limit_and_its_owner_is_told_once() -> None:
    receiver = Receiver()
    world = a_reading_world(receiver, SECRET_OVERLAP_LIMIT="P12D")
    replaced = Replaced(world)
    assert replaced.used(9) == 9, "whoever uses it is not cut off"
    until = datetime.fromisoformat(replaced.use["keptUntil"])
    assert timedelta(0) <= until - (replaced.replaced_at + 12 * DAY) < timedelta(minutes=5)
    assert replaced.used(5) in (2, 3), "however much it is used, it goes at the limit"
    assert not replaced.lives
    told = [each for each in receiver.taken if each["type"] == "registration.secret-in-use"]
    assert [each["data"]["keyId"] for each in told] == [replaced.key_id]
    [data] = [each["data"] for each in told]
    assert data["contact"] == "team@contoso.example"
    assert datetime.fromisoformat(data["keptUntil"]).replace(microsecond=0) == until
    used_at = datetime.fromisoformat(data["lastUsedAt"])
    assert replaced.replaced_at + OVERLAP - 2 * DAY < used_at < replaced.replaced_at + OVERLAP + DAY
    world.settle()
    check(world)


def test_a_replaced_secret_that_nobody_uses_any_more_goes_on_time() -> None:
    replaced = Replaced(a_reading_world())
    assert replaced.used(3) == 3
    replaced.world.live(OVERLAP - 3 * DAY - timedelta(hours=2))
    assert replaced.lives
    replaced.world.live(timedelta(hours=4))
    assert not replaced.lives
    replaced.world.settle()
    check(replaced.world)


def test_a_spared_secret_goes_days_after_its_last_use() -> None:
    replaced = Replaced(a_reading_world())
    replaced.used(8)
    assert replaced.lives
    replaced.world.live(2 * DAY)
    assert replaced.lives
    replaced.world.live(3 * DAY, reconciled=99 * DAY)
    assert not replaced.lives
    assert replaced.key_id not in json.dumps(replaced.world.get(replaced.id)), "what is gone is not shown"
    replaced.world.settle()
    check(replaced.world)


@pytest.mark.parametrize("code", SILENT)
def test_where_nothing_is_known_a_used_secret_goes_when_it_always_did(code: str) -> None:
    world = a_reading_world()
    SILENT[code](world)
    replaced = Replaced(world)
    replaced.used(6)
    world.live(DAY - timedelta(hours=2))
    assert replaced.lives, "it goes no sooner"
    world.live(timedelta(hours=4))
    assert not replaced.lives, "it stays no longer"
    world.settle()
    check(world)


def test_where_it_is_off_nothing_is_asked_and_a_used_secret_goes_when_it_always_did() -> None:
    world = a_reading_world(SIGN_IN_ACTIVITY="off")
    replaced = Replaced(world)
    assert replaced.used(8) == 7
    assert not [each for each in world.emulator.calls if "SignIns" in each.operation]
    assert replaced.world.get(replaced.id)["usage"]["credentials"][0]["keptUntil"] is None


def test_a_report_that_is_a_day_late_is_evidence_enough() -> None:
    world = a_reading_world()
    world.emulator.faults.set(report_lag=86_400)
    replaced = Replaced(world)
    assert replaced.used(11) == 11


def test_a_use_that_is_known_since_the_morning_counts_although_nobody_can_be_asked_now() -> None:
    replaced = Replaced(a_reading_world())
    world = replaced.world
    replaced.used(6)
    world.reconcile()
    SILENT["graph-throttled"](world)
    world.services = world.new_process()
    world.emulator.calls.clear()
    world.live(DAY + timedelta(hours=1), reconciled=9 * DAY)
    assert replaced.lives
    assert "graph.listCredentialSignIns" not in [each.operation for each in world.emulator.calls], "nobody is asked"
    assert replaced.use["keptUntil"] is not None


def test_the_proof_of_a_secret_does_not_prolong_it() -> None:
    world = a_reading_world(SECRET_OVERLAP="PT1H", SECRET_OVERLAP_LIMIT="P28D")
    client = world.registered(a_service_client())
    world.clock.sleep(60)
    rotated_now(world, client["registrationId"])
    world.live(timedelta(hours=2))
    assert client["secret"]["keyId"] not in live_keys(world, client["registrationId"])


def test_a_use_before_it_was_replaced_counts_where_the_overlap_is_shorter_than_the_reports_are_late() -> None:
    world = a_reading_world(SECRET_OVERLAP="PT1H", SECRET_OVERLAP_LIMIT="P28D")
    replaced = Replaced(world)
    world.live(2 * DAY)
    assert replaced.lives
    world.live(3 * DAY)
    assert not replaced.lives


def test_it_never_stays_beyond_its_own_end_nor_longer_than_was_said_whatever_is_rotated_meanwhile() -> None:
    settings = {"SECRET_ROTATE_BEFORE": "P8D", "SECRET_OVERLAP": "P7D", "SECRET_OVERLAP_LIMIT": "P28D"}
    replaced = Replaced(a_reading_world(None, **settings), secretLifetime="P20D")
    replaced.used(8)
    assert replaced.use["keptUntil"] == replaced.client["secret"]["expiresAt"]
    again = Replaced(a_reading_world())
    again.used(8)
    until = again.use["keptUntil"]
    rotated_now(again.world, again.id)
    again.used(1)
    assert again.use["keptUntil"] == until, "another rotation promises nothing more"
    assert again.lives


@pytest.mark.parametrize("again", [False, True])
def test_three_days_after_its_last_known_use_it_is_asked_whether_it_was_used_since(*, again: bool) -> None:
    replaced = Replaced(a_reading_world())
    world = replaced.world
    replaced.used(6)
    world.clock.sleep(3600)  # the reports are read once an hour
    world.reconcile()
    known = (world.row(replaced.id).usage or Usage()).of(replaced.key_id).last_used_at
    assert known is not None
    if again:
        world.clock.sleep(3600)
        assert sign_in(world, replaced.client, replaced.kept)
    world.clock.time = known + 3 * DAY
    world.reconcile()
    assert replaced.lives is again


def test_at_the_limit_it_goes_and_not_after_it() -> None:
    replaced = Replaced(a_reading_world(SECRET_OVERLAP_LIMIT="P12D"))
    world = replaced.world
    replaced.used(11)
    until = (world.row(replaced.id).usage or Usage()).of(replaced.key_id).kept_until
    assert until is not None
    for left, lives in ((timedelta(seconds=1), True), (timedelta(0), False)):
        world.clock.time = until - left
        looks = reconcile_message(replaced.id, "20260601T000000Z", None, None)
        world.run(world.services, read_message(looks.encode()))
        assert replaced.lives is lives


@pytest.mark.parametrize(
    ("kept_for", "again_after"),
    [(None, DAY), (9 * DAY, DAY), (timedelta(hours=1), timedelta(hours=1, seconds=1))],
    ids=["by no limit", "for days", "for an hour"],
)
def test_a_spared_secret_is_looked_at_daily_and_at_its_limit(
    kept_for: timedelta | None, again_after: timedelta
) -> None:
    now = VirtualClock().now()
    use = CredentialUse("key", now, None if kept_for is None else now + kept_for)
    assert looked_at_again(use, now) == now + again_after


@pytest.mark.parametrize(("by_hand", "lives"), [(6, True), (7, False)])
def test_where_the_application_has_hardly_any_room_nothing_is_spared(by_hand: int, *, lives: bool) -> None:
    replaced = Replaced(a_reading_world())
    world = replaced.world
    object_id = world.row(replaced.id).application_object_id or ""
    for _ in range(by_hand):
        world.services.directory.add_secret(object_id, "by hand", world.clock.now() + 300 * DAY)
    assert replaced.used(8) == (8 if lives else 7)
    assert replaced.lives is lives
    world.settle()
    check(world)


def test_a_revoked_secret_goes_at_once_however_much_it_is_used() -> None:
    replaced = Replaced(a_reading_world())
    replaced.used(9)
    assert replaced.asked <= 3, "it costs at most one question a day"
    rotated_now(replaced.world, replaced.id)
    assert replaced.lives, "a rotation leaves it alone"
    assert len(live_keys(replaced.world, replaced.id)) == 3
    replaced.world.clock.sleep(3600)
    asked = replaced.asked
    rotated_now(replaced.world, replaced.id, {"revokePrevious": True})
    assert not replaced.lives
    assert len(live_keys(replaced.world, replaced.id)) == 1
    assert replaced.asked == asked, "nobody asks first"
    replaced.world.settle()
    check(replaced.world)
