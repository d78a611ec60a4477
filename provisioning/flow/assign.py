"""Has somebody have a role of Azure: what may pass is waited for some seconds, and is else looked at later."""

from collections.abc import Callable
from datetime import timedelta
from typing import Final

from provisioning.domain.errors import NeedsOperator, ProvisioningError, TryAgain
from provisioning.flow.patience import waits
from provisioning.ports import Clock

WAITS_UP_TO: Final = timedelta(seconds=20)
# What may pass; everything else waits for a person, and is looked at once a day.
PASSING: Final = frozenset({"no-identity-token", "resource-manager-throttled", "resource-manager-unavailable"})


def refusal_of(
    clock: Clock, assign: Callable[[], None], passes: tuple[type[ProvisioningError], ...] = (TryAgain,)
) -> str | None:
    """Return the code of what stands in the way of an assignment, if anything does.

    What `passes` is waited for some seconds: nothing is held up by it.
    """
    until = clock.now() + WAITS_UP_TO
    for wait in waits():
        try:
            assign()
        except passes as error:
            pause = max(wait, getattr(error, "retry_after", None) or 0)
            if clock.now() + timedelta(seconds=pause) > until:
                return error.code
            clock.sleep(pause)
        except NeedsOperator as error:
            return error.code
        else:
            return None
    raise AssertionError("waits never end")
