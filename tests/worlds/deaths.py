"""A process that dies at one of its writes: what it read before that is read again by the next one."""

from collections.abc import Callable
from typing import Any

from tests.worlds.outside import Died

Outside = Callable[[str, Callable[[], Any]], Any]
_READS = (
    *("GET ", "registry.get", "registry.find", "registry.hold", "registry.due"),
    *("registry.exceeds", "registry.events"),
)


def is_write(name: str) -> bool:
    return not name.startswith(_READS)


def noting(writes: list[str]) -> Outside:
    """Return what notes each write and lets it through."""

    def outside(name: str, action: Callable[[], Any]) -> Any:
        if is_write(name):
            writes.append(name)
        return action()

    return outside


def dying(number: int, *, after: bool) -> Outside:
    """Return what has the process die at its n-th write, before or after the effect."""
    count = iter(range(10_000))

    def outside(name: str, action: Callable[[], Any]) -> Any:
        if not is_write(name) or next(count) < number:
            return action()
        if after:
            action()
        raise Died

    return outside
