"""Deliveries that overlap: each in a thread of its own, of which exactly one moves; every outside call is a switch."""

import json
import threading
from collections.abc import Callable
from datetime import timedelta
from typing import Any, TypeVar

from provisioning.errors import TryAgain
from provisioning.messages import read_message
from provisioning.registration import Status
from tests.checker import check
from tests.faults.schedules import PLAYED, REQUESTS, a_world
from tests.world import World

T = TypeVar("T")

STALL = timedelta(minutes=15)


class Job:
    """One of the overlapping runs."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.error: BaseException | None = None
        self.result: Any = None
        self.next_call = ""
        self.ended = False
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
        except Exception as error:  # noqa: BLE001 -- the test looks at it
            job.error = error
        job.ended = True
        job.stopped.release()

    def _outside(self, name: str, action: Callable[[], T]) -> T:
        job: Job | None = getattr(self._mine, "job", None)
        if job is not None:
            job.next_call = name
            job.stopped.release()
            job.go.acquire()
        return action()

    def step(self, number: int) -> bool:
        """Let a job go on to its next outside call, which it does not make yet; tell whether it has not ended."""
        job = self.jobs[number]
        if job.ended:
            return False
        job.go.release()
        job.stopped.acquire()
        return not job.ended

    def finish(self, number: int) -> int:
        """Let a job run to its end; return how many steps that took."""
        steps = 1
        while self.step(number):
            steps += 1
        return steps


def deliveries(world: World, client_type: str, number: int) -> tuple[str, Overlap]:
    """Submit, and have that many processes take the one message."""
    answer = world.post(REQUESTS[client_type]())
    [queued] = world.queue
    world.queue.clear()
    message = read_message(queued.text.encode())

    def one() -> Callable[[], Any]:
        services = world.new_process()
        return lambda: world.run(services, message)

    overlap = Overlap(world, [one() for _ in range(number)])
    registration_id = json.loads(answer.body)["registrationId"]
    overlap.message = queued.text  # type: ignore[attr-defined]
    return str(registration_id), overlap


def settled(world: World, registration_id: str, overlap: Overlap) -> None:
    """Have every run that ended in an error delivered again, let the platform play, and check."""
    world.outside = lambda _name, action: action()
    for job in overlap.jobs:
        assert job.ended
        if job.error is not None:
            assert isinstance(job.error, TryAgain), job.error
            world.send(overlap.message)  # type: ignore[attr-defined]
    world.violations = [each for each in world.violations if "had a good one" not in each]  # the runs began together
    world.settle()
    check(world)
    assert world.row(registration_id).status is Status.ACTIVE


def play_stall(
    client_type: str, stalled_at: int, stall: timedelta, prepare: Callable[[World], None] | None = None
) -> str | None:
    """Have one of two runs stall before one of its calls while the other finishes, and check all promises.

    Return the name of that call; None where the run had ended before. One in a prepared world is not counted.
    """
    world = a_world(client_type)
    if prepare is None:
        PLAYED[f"{client_type}: stalls at {stalled_at} for {stall}"] += 1
    else:
        prepare(world)
    registration_id, overlap = deliveries(world, client_type, 2)
    stalls = all(overlap.step(0) for _ in range(stalled_at + 1))
    call = overlap.jobs[0].next_call if stalls else None
    overlap.finish(1)
    world.clock.sleep(stall.total_seconds())
    overlap.finish(0)
    settled(world, registration_id, overlap)
    return call
