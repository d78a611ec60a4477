"""A schedule is played again by the name that its failure printed."""

import subprocess
import sys

import pytest

from tests.faults.schedules import replay


@pytest.mark.parametrize(
    "name",
    [
        "public: after-7 before-9",
        "public: stalls at 3 for 15 min",
        "public: 2 runs, seed 17",
        "public: second POST at 2",
        "change: refused at 2, the other unsaved",
        "rotate: overtaken at 3",
        "clean-up: hang-after-6",
        "change meets delete at 2 for 15 min",
        "resource-v2: lag 30 s, 2 replicas, told as alternate",
    ],
)
def test_the_name_of_a_schedule_of_any_kind_plays_it(name: str) -> None:
    replay(name)


def test_a_failure_tells_the_name_that_plays_it_again() -> None:
    name = "public: lag 30 s, 2 replicas, told as nonsense"
    with pytest.raises(ValueError, match="nonsense") as failure:
        replay(name)
    assert failure.value.__notes__ == [f"--replay {name!r}"]


def test_a_name_of_no_kind_is_an_error() -> None:
    with pytest.raises(ValueError, match="0 kinds"):
        replay("public: nonsense")


def test_the_option_plays_one_schedule_and_nothing_else() -> None:
    command = [sys.executable, "-m", "pytest", "-q", "tests/faults", "--replay", "public: second POST at 2"]
    ran = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603 -- pytest itself
    assert "1 distinct fault schedules played\n1 passed" in ran.stdout
