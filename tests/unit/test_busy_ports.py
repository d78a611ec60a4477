"""A port that cannot be had ends a command at once, with its number and the way out, and nothing was started."""

import argparse
import os
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from dev.host import run
from dev.storage import SERVICES, Azurite, StorageError, why_taken

ROOT = Path(__file__).parents[2]
IN_USE = "Address already in use"


@pytest.fixture
def busy() -> Iterator[int]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def ended(*arguments: str) -> tuple[int, list[str]]:
    """Run `python -m dev` to its end, which comes before anything is started."""
    command = [sys.executable, "-m", "dev", *arguments]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)  # noqa: S603
    assert ran.stdout == ""
    return ran.returncode, ran.stderr.splitlines()


def test_a_port_is_free_until_somebody_listens(busy: int) -> None:
    assert why_taken(busy) == IN_USE
    assert why_taken(0) == ""


@pytest.mark.parametrize(
    ("variable", "arguments"),
    [("PORT", ("--port", "{}", "--emulator-port", "0")), ("EMULATOR_PORT", ("--port", "0", "--emulator-port", "{}"))],
)
def test_the_local_stack_names_a_busy_port_and_the_way_out_in_one_line(
    busy: int, variable: str, arguments: tuple[str, ...]
) -> None:
    code, [line] = ended("up", *(argument.format(busy) for argument in arguments))
    assert code == 1
    assert line.startswith(f"Port {busy} cannot be had ({IN_USE}): ")
    assert f"make run {variable}=" in line


def test_the_local_stack_does_not_put_two_things_on_one_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = str(listener.getsockname()[1])
    code, [line] = ended("up", "--port", port, "--emulator-port", port)
    assert code == 1
    assert "make run EMULATOR_PORT=" in line


def test_the_host_names_a_busy_port_and_the_way_out_in_one_line(busy: int, tmp_path: Path) -> None:
    (tmp_path / "host.json").write_text('{"version": "2.0"}')
    (tmp_path / "function_app.py").write_text(
        "import azure.functions as func\napp = func.FunctionApp()\n\n\n@app.route('hello')\n"
        "def hello(req: func.HttpRequest) -> str:\n    return 'hello'\n"
    )
    ran = subprocess.run(  # noqa: S603
        [sys.executable, "-m", "dev", "host", "--port", str(busy), "--environment-only"],
        cwd=tmp_path,
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    [line] = ran.stderr.splitlines()
    assert ran.returncode == 1
    assert f"port {busy} of 127.0.0.1 cannot be listened on: {IN_USE}" in line
    assert "--port" in line


@pytest.mark.parametrize("service", SERVICES)
def test_storage_names_a_busy_port_in_one_line(busy: int, service: str) -> None:
    ports = dict.fromkeys(SERVICES, 0) | {service: busy}
    with pytest.raises(StorageError, match=rf"^port {busy}, wanted for .*{service.lower()}s, .*{IN_USE}[^\n]*$"):
        Azurite(ports=ports).__enter__()


@pytest.mark.parametrize("text", ["65536", "-1", "8080x", "", "٨٠"])
def test_what_is_no_port_is_refused(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match="from 0 to 65535"):
        run.port(text)


def test_what_is_no_port_is_told_before_anything_starts() -> None:
    code, lines = ended("up", "--port=65536")
    assert code == 2
    assert lines[-1] == "python -m dev up: error: argument --port: a port is a whole number from 0 to 65535"


def test_make_passes_the_ports_on() -> None:
    command = ["make", "--dry-run", "run", "PORT=8080", "EMULATOR_PORT=0"]
    made = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60)  # noqa: S603
    assert "-m dev up --port 8080 --emulator-port 0" in made.stdout
