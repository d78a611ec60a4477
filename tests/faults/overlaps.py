"""Deliveries that overlap: each in a thread of its own, of which exactly one moves; every outside call is a switch.

    service: stalls at 3 for 15 min     one of two runs stalls before its call 3, while the other finishes
    service: 4 runs, seed 17            four runs interleave in the order that the seed draws
    rotate meets delete at 5 for 15 min a caller deletes what a run rotates that stalls before its call 5
    service: second POST at 5           the same request is sent a second time before call 5 of the first
    rotate: refused at 5, the other dead  one of two runs is refused call 5 for good, and the other dies unsaved
    rotate: overtaken at 5              one of two runs stalls before its call 5 and ends while the other publishes

In the end there is one application, and one current secret that works; or nothing that lives, where it was deleted.
"""

import json
import random
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from dev.emulator import Fault
from provisioning.domain.errors import NeedsOperator, TryAgain
from provisioning.domain.messages import read_message
from provisioning.domain.operation import OperationStatus
from provisioning.domain.registration import Registration, Status
from tests.faults.pasts import WAITING_VALUES, a_world
from tests.faults.scenarios import ALL_ASKS, NEW_VALUES, SCENARIOS, is_cleaned_up, is_deleted
from tests.faults.schedules import PUBLISH, SAVE, plays
from tests.worlds.checker import check
from tests.worlds.outside import Died, straight
from tests.worlds.request_bodies import REQUESTS
from tests.worlds.world import World

T = TypeVar("T")


class Job:
    """One of the overlapping runs."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.error: BaseException | None = None
        self.result: Any = None
        self.next_call = ""
        self.ended = False
        self.killed = False
        self.go = threading.Semaphore(0)
        self.stopped = threading.Semaphore(0)


class Overlap:
    """Moves jobs one outside call at a time, in whatever order the test wants."""

    def __init__(self, world: World, works: list[Callable[[], Any]]) -> None:
        self._mine = threading.local()
        self.jobs = [Job(work) for work in works]
        world.outside = self._outside
        for job in self.jobs:
            threading.Thread(target=self._run, args=(job,), daemon=True).start()

    def _run(self, job: Job) -> None:
        self._mine.job = job
        job.go.acquire()
        try:
            job.result = job.work()
        except (Exception, Died) as error:  # noqa: BLE001 -- the test looks at it
            job.error = error
        job.ended = True
        job.stopped.release()

    def _outside(self, name: str, action: Callable[[], T]) -> T:
        job: Job | None = getattr(self._mine, "job", None)
        if job is not None:
            job.next_call = name
            job.stopped.release()
            job.go.acquire()
            if job.killed:
                raise Died
        return action()

    def step(self, number: int) -> bool:
        """Let a job go on to its next outside call, which it does not make yet; tell whether it has not ended."""
        job = self.jobs[number]
        if job.ended:
            return False
        job.go.release()
        job.stopped.acquire()
        return not job.ended

    def go_on_to(self, number: int, call: str) -> None:
        """Let a job go on until before its next call of that name, or to its end."""
        while self.jobs[number].next_call != call and self.step(number):
            pass

    def kill(self, number: int) -> None:
        """Have a job's process die before the outside call that it stands at."""
        self.jobs[number].killed = True
        self.finish(number)

    def finish(self, number: int) -> int:
        """Let a job run to its end; return how many steps that took."""
        steps = 1
        while self.step(number):
            steps += 1
        return steps


def deliveries_of(world: World, text: str, number: int) -> list[Callable[[], Any]]:
    """So many processes that take the same message at once; none knows what another remembers."""
    message = read_message(text.encode())

    def one() -> Callable[[], Any]:
        services = world.new_process()
        return lambda: world.run(services, message)

    return [one() for _ in range(number)]


class Deliveries(Overlap):
    """What is asked in a scenario, whose one message that many processes take at once.

    `awaited` are the errors with which a run may end so that its message comes back.
    """

    awaited: tuple[type[BaseException], ...] = (TryAgain,)

    def __init__(self, scenario: str, number: int, prepare: Callable[[World], None] | None = None) -> None:
        self.scenario = SCENARIOS[scenario]
        world = self.scenario.begin()
        if prepare is not None:
            prepare(world)
        self.registration_id = self.scenario.ask(world)
        [queued] = world.queue
        world.queue.clear()
        self.world = world
        self.text = queued.text
        super().__init__(world, deliveries_of(world, queued.text, number))

    def stall(self, call: int) -> str | None:
        """Let the first run go on until before that call; return the call's name, or None where it ended before."""
        stalls = all(self.step(0) for _ in range(call + 1))
        return self.jobs[0].next_call if stalls else None

    def settle(self) -> None:
        """Have every run that ended in an error delivered again, let the platform play, and check."""
        world = self.world
        world.outside = straight
        for job in self.jobs:
            assert job.ended
            if job.error is not None:
                assert isinstance(job.error, self.awaited), job.error
                world.send(self.text)
        # The runs began together.
        world.violations = [each for each in world.violations if "had a good one" not in each]
        world.settle()

    def end(self) -> None:
        """Settle, and check that it has ended as the scenario must."""
        self.settle()
        check(self.world)
        self.scenario.ends(self.world, self.world.row(self.registration_id))


def calls_of(scenario: str) -> list[str]:
    """The outside calls of a run that nobody disturbs."""
    runs, calls = Deliveries(scenario, 1), []
    while runs.step(0):
        calls.append(runs.jobs[0].next_call)
    return calls


@plays(r"([a-z-]+): stalls at (\d+) for (\d+) min")
def stall(scenario: str, call: int, minutes: int, prepare: Callable[[World], None] | None = None) -> str | None:
    """Have one of two runs stall before that call while the other finishes.

    Return the name of the call; None where the run had ended before.
    """
    runs = Deliveries(scenario, 2, prepare)
    reached = runs.stall(call)
    runs.finish(1)
    runs.world.clock.sleep(minutes * 60)
    runs.finish(0)
    runs.end()
    return reached


@plays(r"([a-z-]+) meets ([a-z]+) at (\d+) for (\d+) min")
def meet(
    scenario: str, what: str, call: int, minutes: int, prepare: Callable[[World], None] | None = None
) -> str | None:
    """Have a run stall before that call, while a caller asks for something else that is carried out.

    Return the name of the call; None where the run had ended before.
    """
    runs = Deliveries(scenario, 1, prepare)
    world, registration_id = runs.world, runs.registration_id
    reached = runs.stall(call)
    world.clock.sleep(1)
    first = ALL_ASKS[what](world, registration_id)
    world.deliver()
    world.clock.sleep(minutes * 60)
    runs.finish(0)
    runs.settle()
    if first.status == 409 and "nothing-to-decide" in first.body:
        runs.scenario.ends(world, world.row(registration_id))
        return reached
    if first.status == 409:
        assert "operation-in-progress" in first.body or "registration-in-progress" in first.body
        world.clock.sleep(1)
        assert ALL_ASKS[what](world, registration_id).status == 202
        world.settle()
    if what == "delete":
        world.reconcile()
    check(world)
    met(what, world, world.row(registration_id))
    return reached


def met(what: str, world: World, row: Registration) -> None:
    """Whatever it met, what the caller asked for has been done."""
    if what == "delete":
        if row.application_object_id is not None:
            is_deleted(world, row)
        assert row.status is Status.DELETED
        return
    if what == "deny":
        assert row.was_not_approved
        return
    assert row.status is Status.ACTIVE
    assert row.operation.status is OperationStatus.SUCCEEDED, row.operation.failure
    if what == "rename":
        assert row.request.display_name == NEW_VALUES["displayName"]
    if what == "approve":
        assert row.proposal is None
        assert row.request.display_name in (WAITING_VALUES["displayName"], REQUESTS[row.client_type]()["displayName"])
    elif row.holds_secret:
        is_cleaned_up(world, row)


@plays(r"([a-z-]+): (\d+) runs, seed (\d+)")
def interleave(scenario: str, number: int, seed: int) -> None:
    """Have the runs go on in the order that the seed draws, and time pass now and then."""
    chance = random.Random(f"{scenario} {number} {seed}")  # noqa: S311 -- picks an order
    runs = Deliveries(scenario, number)
    alive = list(range(number))
    while alive:
        chosen = chance.choice(alive)
        if chance.random() < 0.02:
            runs.world.clock.sleep(chance.choice([1, 60, 400]))
        if not runs.step(chosen):
            alive.remove(chosen)
    runs.end()


@plays(r"([a-z-]+): refused at (\d+), the other (done|unsaved|dead)")
def refuse(scenario: str, call: int, other: str, prepare: Callable[[World], None] | None = None) -> str | None:
    """Have one of two runs be refused for good what it asks from that call on, while the other does the whole of it.

    The other has ended, or still has to save what it did, or dies before it can. Of one that died nobody else can tell,
    so there a single call is refused. Return the name of the call; None where the run had ended before.
    """
    runs = Deliveries(scenario, 2, prepare)
    runs.awaited = (TryAgain, NeedsOperator, Died)
    world = runs.world
    reached = runs.stall(call)
    if other == "done":
        runs.finish(1)
    else:
        runs.go_on_to(1, SAVE)
    denied = partial(Fault, "status", status=403, code="Authorization_RequestDenied")
    for fault in (
        [denied("*")] if other == "dead" else [denied(each, times=None) for each in ("graph.*", "vault.*", "token.*")]
    ):
        world.emulator.faults.add(fault)
    if other == "dead":
        runs.kill(1)
    runs.finish(0)
    world.emulator.faults.clear()
    runs.finish(1)
    runs.end()
    return reached


@plays(r"([a-z-]+): overtaken at (\d+)")
def overtake(scenario: str, call: int, prepare: Callable[[World], None] | None = None) -> str | None:
    """Have one of two runs stall before that call until the other is about to publish, and then end before it.

    Nothing is refused, so it must not say that anything has failed. Return the name of the call; None where the run
    had ended before.
    """
    runs = Deliveries(scenario, 2, prepare)
    reached = runs.stall(call)
    runs.go_on_to(1, PUBLISH)
    runs.finish(0)
    assert runs.world.row(runs.registration_id).operation.failure is None, "it failed for what the other did"
    runs.finish(1)
    runs.end()
    return reached


@plays(r"(\w+): second POST at (\d+)")
def post_twice(client_type: str, call: int) -> bool:
    """Send the same request again before that call of the first; tell whether it had so many calls."""
    world = a_world(client_type)
    body = REQUESTS[client_type]()
    overlap = Overlap(world, [lambda: world.post(body, key="same")] * 2)
    reached = all(overlap.step(0) for _ in range(call + 1))
    overlap.finish(1)
    overlap.finish(0)
    world.outside = straight
    answers = [job.result for job in overlap.jobs]
    assert [answer.status for answer in answers] == [202, 202]
    [registration_id] = {json.loads(answer.body)["registrationId"] for answer in answers}
    world.settle()
    check(world)
    assert world.row(registration_id).status is Status.ACTIVE
    return reached
