"""Deliveries that overlap: each in a thread of its own, of which exactly one moves; every outside call is a switch."""

import threading
from collections.abc import Callable
from typing import Any, TypeVar

from tests.world import World

T = TypeVar("T")


class Job:
    """One of the overlapping runs."""

    def __init__(self, work: Callable[[], Any]) -> None:
        self.work = work
        self.error: BaseException | None = None
        self.result: Any = None
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

    def _outside(self, _name: str, action: Callable[[], T]) -> T:
        job: Job | None = getattr(self._mine, "job", None)
        if job is not None:
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
