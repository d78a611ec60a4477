"""Counts the fault schedules of a session and prints how many there were."""

import pytest

from tests.faults.schedules import PLAYED, play


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--replay", help="one fault schedule, by the name that a failure printed")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    if PLAYED:
        terminalreporter.write_line(f"{len(PLAYED)} distinct fault schedules played")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    schedule = config.getoption("--replay", default=None)
    if schedule:
        play(schedule)
        items.clear()
