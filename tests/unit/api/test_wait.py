"""Whoever would wait is answered once the operation has ended: by then, at the latest after 20 seconds."""

import json
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from dev.emulator.faults import Fault
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.api.prefer import preferred_wait
from provisioning.api.wait import Places, wait
from provisioning.domain.callers import Caller, CallerKind
from provisioning.domain.errors import RequestRejected, TryAgain
from tests.worlds.approvals import awaiting, decided
from tests.worlds.request_bodies import OTHER_OWNER, OWNER, a_resource
from tests.worlds.steps import body_of, code_of, submitted
from tests.worlds.world import World

WAITS = {"prefer": "wait=10"}


class Played:
    """A world whose queue is delivered some seconds after each time that somebody began to wait."""

    def __init__(self, after: float = 3) -> None:
        self.world = World()
        self.after = timedelta(seconds=after)
        self.began: datetime | None = None
        self.world.clock.meanwhile = self._meanwhile

    def _meanwhile(self, began: datetime, until: datetime) -> Iterator[datetime]:
        self.began = self.began or began
        if self.began + self.after <= until and self.world.queue:
            yield max(began, self.began + self.after)
            self.world.clock.meanwhile = lambda _began, _until: ()
            self.world.deliver()

    def post(self, prefer: str = "wait=10") -> Answer:
        headers = {"content-type": "application/json", "prefer": prefer}
        call = Call("/api/registrations", headers, body=json.dumps(a_resource()).encode(), method="POST")
        return self.world.call(web.submit_registration, call)


def show(world: World, registration_id: str, prefer: str = "wait=10") -> Answer:
    path = f"/api/registrations/{registration_id}"
    return world.call(web.show_registration, Call(path, {"prefer": prefer}, registration_id=registration_id))


def test_a_post_that_waits_is_answered_once_its_operation_has_ended() -> None:
    played = Played()
    begin = played.world.clock.now()
    answer = played.post()
    assert (answer.status, body_of(answer)["status"]) == (202, "active")
    assert answer.headers["Preference-Applied"] == "wait=10"
    assert "Retry-After" not in answer.headers
    assert answer.message is None, "it was sent before the wait, and is not sent again"
    assert played.world.clock.now() - begin < timedelta(seconds=5)


def test_a_wait_ends_when_its_time_is_over_and_the_answer_says_when_to_ask_again() -> None:
    played = Played(after=60)
    begin = played.world.clock.now()
    answer = played.post()
    assert (answer.status, body_of(answer)["status"]) == (202, "accepted")
    assert answer.headers["Preference-Applied"] == "wait=10"
    assert answer.headers["Retry-After"] == "2"
    assert played.world.clock.now() - begin == timedelta(seconds=10)


def test_nobody_waits_for_longer_than_twenty_seconds() -> None:
    played = Played(after=60)
    begin = played.world.clock.now()
    assert played.post("wait=3600").headers["Preference-Applied"] == "wait=20"
    assert played.world.clock.now() - begin == timedelta(seconds=20)


def test_a_wait_of_twenty_seconds_looks_at_most_twenty_two_times() -> None:
    played = Played(after=60)
    played.post("wait=20")
    assert len(played.world.clock.slept) <= 22


def test_a_get_waits_for_what_is_pending_and_not_for_what_has_ended() -> None:
    played = Played()
    world = played.world
    registration_id = submitted(world, a_resource())
    answer = show(world, registration_id)
    assert (body_of(answer)["status"], answer.headers["Preference-Applied"]) == ("active", "wait=10")
    slept = len(world.clock.slept)
    again = show(world, registration_id)
    assert (body_of(again), again.headers["Preference-Applied"]) == (body_of(answer), "wait=10")
    assert len(world.clock.slept) == slept


def test_a_change_and_a_deletion_can_be_waited_for() -> None:
    for handle, body, expected in (
        (web.change_registration, {"displayName": "Another name"}, "active"),
        (web.delete_registration, None, "deleted"),
    ):
        played = Played()
        world = played.world
        registration_id = body_of(played.post())["registrationId"]
        world.clock.meanwhile, played.began = played._meanwhile, None  # noqa: SLF001 -- its own
        raw = json.dumps(body).encode() if body else b""
        headers = {**WAITS, **({"content-type": "application/json"} if body else {})}
        call = Call(f"/api/registrations/{registration_id}", headers, body=raw, registration_id=registration_id)
        answer = world.call(handle, call)
        assert (answer.status, body_of(answer)["status"]) == (202, expected)
        assert body_of(answer)["operation"]["status"] == "succeeded"


def test_what_waits_for_a_person_is_not_waited_for_and_its_denial_is() -> None:
    played = Played()
    world = played.world
    row = awaiting(world, a_resource())
    assert body_of(show(world, row.id))["operation"]["status"] == "awaiting-approval"
    assert world.clock.slept == []
    decided(world, row, "deny")
    assert body_of(show(world, row.id))["operation"]["failure"]["code"] == "approval-denied"


def test_a_dry_run_waits_for_nothing() -> None:
    world = World()
    call = Call(
        "/api/registrations",
        {**WAITS, "content-type": "application/json"},
        "dryRun=true",
        json.dumps(a_resource()).encode(),
    )
    answer = world.call(web.submit_registration, call)
    assert (answer.status, "Preference-Applied" in answer.headers) == (200, False)
    assert world.clock.slept == []


@pytest.mark.parametrize(
    ("prefer", "seconds"),
    [
        ("wait=10", 10),
        (' Wait = "7" ', 7),
        ("respond-async, wait=5", 5),
        ("wait=3, wait=9", 3),
        ("wait=4; foo=bar", 4),
        ('handling=lenient; x="a, wait=9", wait=2', 2),
        ("wait=0", 0),
        ("wait=9999999999", 20),
        ("respond-async", None),
        ("return=minimal, foo", None),
        ("waiting=abc", None),
        ("", None),
    ],
)
def test_of_what_is_preferred_the_first_wait_counts_and_the_rest_is_ignored(prefer: str, seconds: int | None) -> None:
    """By RFC 7240, section 2."""
    assert preferred_wait({"prefer": prefer}) == seconds


@pytest.mark.parametrize("prefer", ["wait", "wait=", "wait=abc", "wait=-1", "wait=1.5", 'wait="', "wait=1e3", "wait=٣"])
def test_a_wait_that_is_no_number_of_seconds_is_refused_before_anything_is_done(prefer: str) -> None:
    with pytest.raises(RequestRejected) as raised:
        preferred_wait({"prefer": prefer})
    assert (raised.value.status, raised.value.code) == (400, "invalid-prefer")
    played = Played()
    assert code_of(played.post(prefer)) == "invalid-prefer"
    assert played.world.registry.find(top=10).registrations == ()


def test_a_very_long_header_is_read_in_no_time() -> None:
    """Nothing in it is looked at more than once."""
    assert preferred_wait({"prefer": '",' * 50_000}) is None
    assert preferred_wait({"prefer": "a," * 50_000 + "wait=1"}) == 1


def test_storage_that_fails_while_a_call_waits_is_no_failure_of_the_call() -> None:
    played = Played(after=60)
    world = played.world
    answers = iter([None])

    def once(name: str, action: object) -> object:
        if name == "registry.get" and next(answers, "over") == "over":
            raise TryAgain("storage-unavailable", "Table storage answered 503.")
        return action()  # type: ignore[operator]

    registration_id = submitted(world, a_resource())
    world.outside = once
    answer = show(world, registration_id)
    assert (answer.status, body_of(answer)["status"]) == (200, "accepted")


def test_a_queue_that_takes_nothing_leaves_the_message_to_the_host_and_nobody_waits() -> None:
    played = Played()
    world = played.world

    class Full:
        names = ()

        def send(self, _queue: str, _message: str) -> None:
            raise TryAgain("storage-unavailable", "Queue storage answered 503.")

        def check(self, _queue: str) -> None: ...

    world.exchange(lambda services: replace(services, queues=Full()))
    answer = played.post()
    assert (answer.status, "Preference-Applied" in answer.headers) == (202, False)
    assert answer.message is not None
    assert world.clock.slept == []


def test_whoever_finds_no_place_is_answered_at_once() -> None:
    played = Played()
    played.world.exchange(lambda services: replace(services, most_waiting=0))
    answer = played.post()
    assert (answer.status, "Preference-Applied" in answer.headers) == (202, False)
    assert (answer.message is not None, played.world.clock.slept) == (True, [])


def test_no_more_wait_than_there_are_places_and_each_is_given_back() -> None:
    places, most = Places(), 3
    entered, leave = threading.Semaphore(0), threading.Event()
    results = list[bool]()

    def enter() -> None:
        with places.one(most) as has_place:
            results.append(has_place)
            entered.release()
            if has_place:
                leave.wait(10)

    threads = [threading.Thread(target=enter) for _ in range(8)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert entered.acquire(timeout=10)
    leave.set()
    for thread in threads:
        thread.join(10)
    assert sorted(results) == [False] * 5 + [True] * 3
    with pytest.raises(RuntimeError), places.one(1):
        raise RuntimeError
    with places.one(1) as has_place:
        assert has_place


def test_what_is_anothers_by_the_time_the_wait_is_over_is_shown_as_it_was() -> None:
    world = World()
    row = world.row(submitted(world, a_resource()))

    def give_away(began: datetime, _until: datetime) -> Iterator[datetime]:
        yield began
        world.clock.meanwhile = lambda _began, _until: ()
        theirs = row.request.model_copy(update={"owner": OTHER_OWNER})
        world.registry.replace(replace(row, request=theirs).succeeded(world.clock.now()))

    world.clock.meanwhile = give_away
    waited = wait(world.services, Caller(OWNER, CallerKind.USER), row, 10)
    assert waited.registration == row


def test_a_run_that_fails_ends_the_wait_too() -> None:
    played = Played()
    played.world.emulator.faults.add(Fault("status", "graph.createApplication", times=None, status=403))
    answer = played.post()
    assert body_of(answer)["status"] == "failed"
    assert body_of(answer)["operation"]["failure"]["code"]
