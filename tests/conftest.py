"""What any test may ask for by name. Nothing here starts before a test asks for it.

Also counts the fault schedules of a session, and the tokens that consumers asked for, over all of its processes, and
prints how many there were.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import settings

from dev.storage import Azurite
from tests.e2e.kills import SAMPLE, kill_points
from tests.faults import conditions, crossings, grants, overlaps, readers, spared  # noqa: F401 -- they add their kinds of schedules
from tests.faults.consumer import TALLY
from tests.faults.schedules import PLAYED, play_all, replay

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


# Beside other work anything may take long: what has to be quick is measured by the bench.
settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the options that say which fault schedule, kill points and requests are played."""
    parser.addoption("--replay", help="one fault schedule, by the name that a failure printed")
    parser.addoption("--schedules", choices=["some", "all"], default="some", help="how many fault schedules")
    parser.addoption("--kill", help="one kill point, by the name that a failure printed")
    parser.addoption("--kills", type=int, help="so many kill points, instead of a sample")
    parser.addoption("--fuzz", type=int, help="so many requests of each call by chance, instead of a sample")


def pytest_configure(config: pytest.Config) -> None:
    """Have all fault schedules be played where that was asked for."""
    if config.getoption("--schedules") == "all":
        play_all()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Have the test of kill points play those that were asked for."""
    if "kill_point" in metafunc.fixturenames:
        one, number = metafunc.config.getoption("--kill"), metafunc.config.getoption("--kills")
        metafunc.parametrize("kill_point", [one] if one else kill_points(number) if number else SAMPLE)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Have one schedule be the only test where that was asked for."""
    schedule = config.getoption("--replay")
    if schedule:

        def play() -> None:
            replay(schedule)

        items[:] = [pytest.Function.from_parent(items[0].parent, name=f"--replay {schedule!r}", callobj=play)]


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Have a worker trace once, so that `no_cover` holds there: what pauses a second tracer lets the first go on.

    pytest-cov starts one in every process, and in a worker another one, whose figures alone are used.
    """
    tracing: Any = session.config.pluginmanager.get_plugin("_cov")
    if tracing is not None and hasattr(session.config, "workerinput"):
        tracing.cov_controller.pause()


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
    """Print the number of distinct schedules, of tokens that consumers asked for, and of kill points."""
    if PLAYED:
        terminalreporter.write_line(f"{len(PLAYED)} distinct fault schedules played")
    if TALLY:
        terminalreporter.write_line(
            f"{TALLY['tokens']} tokens asked for through {TALLY['rotations']} rotations: {TALLY['refusals']} refused"
        )
    ended = {outcome: _kills(terminalreporter.stats.get(outcome, ())) for outcome in ("passed", "failed", "error")}
    if any(ended.values()):
        violations = ended["failed"] + ended["error"]
        terminalreporter.write_line(f"{ended['passed'] + violations} kill points, {violations} violations")


def _kills(reports: Iterable[pytest.TestReport]) -> int:
    return sum("/test_kills.py::" in report.nodeid for report in reports)


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """The connection string of a storage emulator that lives as long as the session."""
    with Azurite() as storage:
        yield storage.connection_string
