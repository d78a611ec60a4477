"""What the host reads of the triggers, in a process of its own: the decorators run once, when the app is loaded."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
OPEN = {"health", "docs", "openapi", "home", "page"}


def auth_levels(caller_auth: str | None, **more: str) -> dict[str, str]:
    """Return the auth level of each HTTP function, by its name."""
    script = (
        "import json, function_app\n"
        "bindings = {one.get_function_name(): map(json.loads, one.get_raw_bindings())"
        " for one in function_app.app.get_functions()}\n"
        "print(json.dumps({name: each['authLevel'] for name, all in bindings.items() for each in all"
        " if each['type'] == 'httpTrigger'}))"
    )
    environment = {"PATH": os.environ["PATH"], **more, **({} if caller_auth is None else {"CALLER_AUTH": caller_auth})}
    ran = subprocess.run(  # noqa: S603 -- this very interpreter
        [sys.executable, "-c", script],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    levels: dict[str, str] = json.loads(ran.stdout)
    return levels


@pytest.mark.parametrize(
    ("caller_auth", "level"),
    [(None, "FUNCTION"), ("key", "FUNCTION"), ("entra", "ANONYMOUS"), (" entra ", "ANONYMOUS"), ("ENTRA", "FUNCTION")],
)
def test_the_host_asks_for_a_key_unless_callers_sign_in(caller_auth: str | None, level: str) -> None:
    """A value that is none is a settings error at first use; until then the host asks for the key."""
    levels = auth_levels(caller_auth)
    assert levels.keys() > OPEN
    assert {name: found for name, found in levels.items() if found != "ANONYMOUS"} == {
        name: "FUNCTION" for name in levels.keys() - OPEN if level == "FUNCTION"
    }


def test_without_a_chat_its_functions_do_not_exist() -> None:
    with_chat = auth_levels("entra", SLACK_SIGNING_SECRET="x")
    assert with_chat.keys() - auth_levels("entra").keys() == {"slack", "link", "unlink"}
    # Slack signs what it sends, and has no key of the host.
    assert auth_levels("key", SLACK_SIGNING_SECRET="x")["slack"] == "ANONYMOUS"
    with_teams = auth_levels("entra", TEAMS_BOT_ID="x")
    assert with_teams.keys() - auth_levels("entra").keys() == {"teams"}
    assert auth_levels("key", TEAMS_BOT_ID="x")["teams"] == "ANONYMOUS"
    assert auth_levels("entra", SLACK_SIGNING_SECRET=" ", TEAMS_BOT_ID=" ").keys() == auth_levels("entra").keys()


def test_the_triggers_are_a_page_or_two_that_somebody_reads() -> None:
    assert len((ROOT / "function_app.py").read_text(encoding="utf-8").splitlines()) <= 200
