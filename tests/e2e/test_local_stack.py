"""The two commands of the local stack, run as a newcomer runs them."""

import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import IO

import pytest
import requests

from tests.worlds.leaks import leaked

ROOT = Path(__file__).parents[2]


def started(*arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(  # noqa: S603 - its own interpreter
        [sys.executable, "-m", "dev", *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def origins(stream: IO[str] | None, most: int) -> list[str]:
    """The addresses that a command prints, once it has printed so many of them."""
    found: list[str] = []
    assert stream
    for line in stream:
        found += [one for one in re.findall(r"https?://[a-z0-9.]+:\d+", line) if one not in found]
        if len(found) >= most:
            break
    return found


def nothing_answers(addresses: list[str]) -> bool:
    end = time.monotonic() + 5
    while any(map(answers, addresses)) and time.monotonic() < end:
        time.sleep(0.05)
    return not any(map(answers, addresses))


def answers(address: str) -> bool:
    try:
        requests.get(address, timeout=5, verify=False)  # noqa: S501 - whether anything is there at all
    except requests.exceptions.SSLError:
        return True
    except requests.ConnectionError:
        return False
    return True


def test_the_demo_proves_each_type_and_a_rotation_prints_no_secret_and_leaves_nothing_behind() -> None:
    with started("demo") as demo:
        text, _ = demo.communicate(timeout=120)
    assert demo.returncode == 0, text
    for client_type in ("resource", "confidential", "public", "service"):
        assert re.search(rf"^{client_type} +[0-9a-f-]{{36}}  active ", text, re.MULTILINE), text
    shown = re.findall(r"(old|new) secret {4}[0-9a-f-]{36}  (.+)$", text, re.MULTILINE)
    assert shown == [("old", "works"), ("new", "works"), ("old", "is refused"), ("new", "works")]
    assert not leaked(text)
    assert nothing_answers(re.findall(r"http://127\.0\.0\.1:\d+", text))


def test_a_demo_that_is_interrupted_leaves_nothing_behind() -> None:
    with started("demo") as demo:
        addresses = origins(demo.stdout, 2)
        demo.send_signal(signal.SIGINT)
        demo.communicate(timeout=30)
    assert demo.returncode == 130
    assert len(addresses) == 2
    assert nothing_answers(addresses)


@pytest.mark.filterwarnings("ignore:Unverified HTTPS request")
def test_the_stack_serves_until_it_is_told_to_stop_and_leaves_nothing_behind() -> None:
    with started("up", "--port", "0", "--emulator-port", "0") as up:
        addresses = origins(up.stdout, 4)
        assert len(addresses) == 4
        assert all(map(answers, addresses))
        api = next(one for one in addresses if one.startswith("http://127"))
        assert requests.get(f"{api}/api/health", timeout=10).status_code == 200
        up.send_signal(signal.SIGTERM)
        up.communicate(timeout=30)
    assert up.returncode == 0
    assert nothing_answers(addresses)


def test_a_stack_whose_callers_sign_in_names_them_and_lets_in_whoever_has_their_token() -> None:
    with started("up", "--port", "0", "--emulator-port", "0", "--auth", "entra") as up:
        assert up.stdout
        text = "".join(iter(up.stdout.readline, "Ctrl-C ends it.\n"))
        [api] = set(re.findall(r"http://127\.0\.0\.1:\d+/api(?=/registrations)", text))
        callers = re.findall(r"^  ([a-z]+) +[0-9a-f-]{36}  ", text, re.MULTILINE)
        assert {"alice", "mallory", "bot", "approver"} <= set(callers)
        for caller in callers:
            with started("token", caller) as command:
                token, _ = command.communicate(timeout=30)
            answer = requests.get(
                f"{api}/registrations", headers={"Authorization": f"Bearer {token.strip()}"}, timeout=10
            )
            assert answer.status_code == (403 if caller == "carol" else 200), answer.text
        assert requests.get(f"{api}/registrations", timeout=10).status_code == 401
        with started("token", "eve") as command:
            told, _ = command.communicate(timeout=30)
        assert (command.returncode, "known are alice" in told) == (1, True)
        up.send_signal(signal.SIGTERM)
        up.communicate(timeout=30)
    assert up.returncode == 0
