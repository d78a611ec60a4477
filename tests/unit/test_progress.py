import re
import sys

import pytest

from dev import progress


@pytest.mark.parametrize("code", [0, 3])
def test_it_ends_as_the_command_did_and_says_what_it_was_for(code: int, capfd: pytest.CaptureFixture[str]) -> None:
    command = [
        sys.executable,
        "-c",
        f"import sys; print('chatter'); print('trouble', file=sys.stderr); sys.exit({code})",
    ]
    assert progress.main("Fetching", command) == code
    told, trouble = capfd.readouterr()
    assert re.fullmatch(rf"Fetching \.\.\.\n  {'failed' if code else 'done'} after \d+ s\n", told)
    assert trouble == "trouble\n"


def test_a_command_that_takes_long_is_seen_to_go_on(capfd: pytest.CaptureFixture[str]) -> None:
    command = [sys.executable, "-c", "import time; print('fetching a thing', flush=True); time.sleep(1)"]
    assert progress.main("Fetching", command, every=0.1) == 0
    assert re.search(r"^ +\d+ s: fetching a thing$", capfd.readouterr().out, re.MULTILINE)


def test_a_command_that_is_not_there_is_named(capfd: pytest.CaptureFixture[str]) -> None:
    assert progress.main("Fetching", ["no-such-command"]) == 127
    assert capfd.readouterr().err == "no-such-command: No such file or directory\n"
