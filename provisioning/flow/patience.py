"""How passing errors are waited out inside one delivery: jittered, doubling, bounded; never a fixed sleep."""

import random
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Final, TypeVar

from provisioning.domain.errors import OutcomeUnknown, StaleRegistration, TryAgain
from provisioning.ports import Clock

T = TypeVar("T")

FIRST_WAIT: Final = 0.5
LONGEST_WAIT: Final = 8.0


# Is told what is waited for, and how long, before each pause.
WaitsFor = Callable[[TryAgain, float], None]


def unsaid(_error: TryAgain, _pause: float) -> None:
    """Tell nobody."""


def waits() -> Iterator[float]:
    """Yield seconds to wait: half a second, doubling up to eight, each shortened by up to a half at random.

    The randomness keeps runs that failed together from coming back together.
    """
    wait = FIRST_WAIT
    while True:
        yield wait * random.uniform(0.5, 1)  # noqa: S311 -- spreads load; protects nothing
        wait = min(2 * wait, LONGEST_WAIT)


class Patience:
    """A budget of waiting shared by all that one delivery does; the queue waits out what is longer."""

    def __init__(self, clock: Clock, budget: timedelta, waits_for: WaitsFor = unsaid) -> None:
        self._clock = clock
        self._until = clock.now() + budget
        self._waits_for = waits_for

    def through(self, action: Callable[[], T]) -> T:
        """Return what `action` returns, repeating it on TryAgain; raise that once the budget would be passed.

        A Retry-After is obeyed or, where it leads past the budget, left to the queue. What must not be repeated
        blindly, and what another run overtook, is raised at once.
        """
        for wait in waits():
            try:
                return action()
            except (OutcomeUnknown, StaleRegistration):
                raise
            except TryAgain as error:
                pause = max(wait, error.retry_after or 0)
                if self._clock.now() + timedelta(seconds=pause) > self._until:
                    raise
                self._waits_for(error, pause)
                self._clock.sleep(pause)
        raise AssertionError("waits never end")
