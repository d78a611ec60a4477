"""What any test may ask for by name. Nothing here starts before a test asks for it.

Also counts the fault schedules of a session, and the tokens that consumers asked for, over all of its processes, and
prints how many there were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dev.storage import Azurite
from tests.faults import conditions, overlaps  # noqa: F401 -- they add their kinds of schedules
from tests.faults.consumer import TALLY
from tests.faults.schedules import PLAYED, replay

if TYPE_CHECKING:
    from collections.abc import Iterator


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option that plays one fault schedule again."""
    parser.addoption("--replay", help="one fault schedule, by the name that a failure printed")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have one schedule be the only test where that was asked for."""
    schedule = config.getoption("--replay")
    if schedule:

        def play() -> None:
            replay(schedule)

        items[:] = [pytest.Function.from_parent(items[0].parent, name=f"--replay {schedule!r}", callobj=play)]


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Have a worker tell which schedules it played, and what its consumers met."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    if output is not None:
        output["played"] = list(PLAYED)
        output["consumers"] = dict(TALLY)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Hear what a worker played."""
    output = getattr(node, "workeroutput", {})
    PLAYED.update(output.get("played", ()))
    TALLY.update(output.get("consumers", {}))


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Print the number of distinct schedules, and what became of the tokens that consumers asked for."""
    if PLAYED:
        terminalreporter.write_line(f"{len(PLAYED)} distinct fault schedules played")
    if TALLY:
        terminalreporter.write_line(
            f"{TALLY['tokens']} tokens asked for through {TALLY['rotations']} rotations: {TALLY['refusals']} refused"
        )


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """The connection string of a storage emulator that lives as long as the session."""
    with Azurite() as storage:
        yield storage.connection_string
