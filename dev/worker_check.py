"""`python -m dev worker-check`: has the real Python worker's own library call the app, with what is deployed alone.

The local host of this repository is of our making; what it takes for a function, or for an answer, the worker might
refuse. The package is built and unpacked, and the app in it is called: by the environment that `make worker-check`
makes, or with `--every-python` by a clean one of each version of Python that the app may run on and this machine has.
Such an environment takes what `requirements.txt` names and nothing else, as Azure's remote build does; the worker's
library lies beside it. The check is a process of its own, between the storage and the cloud that this process serves
meanwhile; `dev/worker/` has it.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from dev import package
from dev.emulator.constants import API_CLIENT_ID, REGISTRAR_CLIENT_ID, TENANT_ID
from dev.emulator.sts.accounts import ACCOUNTS
from dev.host.platform import configuration, principal
from dev.stack import cloud, to_the_end
from dev.storage import StorageError

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

_ROOT = Path(__file__).parents[1]
_PYTHON = _ROOT / ".local" / "worker" / "bin" / "python"
_PATIENCE = 120.0
# What Azure Functions offers from the version on that this project asks for, and the one that comes next.
PYTHONS = ("3.11", "3.12", "3.13", "3.14")
_WORKER_LOCK = _ROOT / "dev" / "worker" / "requirements.txt"
_LOCKED = ("--no-deps", "--require-hashes", "--only-binary=:all:", "--ignore-requires-python")


def main(arguments: argparse.Namespace) -> int:
    """Runs the check; its own exit code, or 1 where it cannot be run."""
    if not arguments.every_python and not _PYTHON.exists():
        print("The environment of the check is missing: `make worker-check` makes it", file=sys.stderr)
        return 1
    errors = StorageError, subprocess.SubprocessError, OSError
    return to_the_end(lambda: _checked(every_python=arguments.every_python), "The check could not be run", *errors)


def _checked(*, every_python: bool) -> int:
    with tempfile.TemporaryDirectory(prefix="fhir-registrar-") as name:
        folder, app = Path(name), Path(name) / "app"
        package.build(folder / package.PACKAGE.name)
        with zipfile.ZipFile(folder / package.PACKAGE.name) as built:
            built.extractall(app)
        return _with_every_python(folder, app) if every_python else _check(_PYTHON, app)


def _check(python: Path, app: Path, *library: Path) -> int:
    """Has the app in a folder be called, in a cloud of its own; what is not deployed comes after it on the path."""
    with tempfile.TemporaryDirectory(prefix="fhir-registrar-") as folder, cloud(Path(folder)) as running:
        environment = {
            **running.settings,
            "EMULATOR": running.azure.origin,
            "PATH": os.environ["PATH"],
            "PYTHONPATH": os.pathsep.join(map(str, (_ROOT, *library))),
            "PYTHONDONTWRITEBYTECODE": "1",
        }
        command = [str(python), "-m", "dev.worker"]
        for more in ({}, _with_chat(running.azure.origin)):
            ran = subprocess.run(command, cwd=app, env=environment | more, timeout=_PATIENCE, check=False)  # noqa: S603
            if ran.returncode:
                return ran.returncode
        return 0


def _with_chat(origin: str) -> dict[str, str]:
    """Returns the settings by which Slack and Microsoft Teams may ask, and who signs in then."""
    front = configuration(f"{origin}/{TENANT_ID}/v2.0", API_CLIENT_ID, [API_CLIENT_ID])
    return {
        "CALLER_AUTH": "entra",
        "WEBSITE_AUTH_ENABLED": "True",
        "WEBSITE_AUTH_V2_CONFIG_JSON": json.dumps(front),
        "SLACK_WORKSPACE": "T0CONTOSO",
        "SLACK_SIGNING_SECRET": os.urandom(16).hex(),
        "TEAMS_BOT_ID": REGISTRAR_CLIENT_ID,
        "PRINCIPAL": principal(ACCOUNTS["alice"].claims(TENANT_ID), "short"),
    }


def _with_every_python(folder: Path, app: Path) -> int:
    """Runs the check with each version of Python; the first exit code that is not 0, and 1 where none could be run."""
    found = {version: _interpreter(version) for version in PYTHONS}
    for version, python in found.items():
        if python is None:
            print(f"Python {version}: not on this machine, not run", flush=True)
            continue
        print(f"Python {version}: what requirements.txt names, and nothing else ...", flush=True)
        environment, library = folder / version, folder / f"{version}-worker"
        subprocess.run([python, "-m", "venv", environment], check=True)  # noqa: S603
        pip = [str(environment / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "-r", str(app / "requirements.txt")], check=True)  # noqa: S603
        subprocess.run([*pip, *_LOCKED, "--target", str(library), "-r", str(_WORKER_LOCK)], check=True)  # noqa: S603
        if code := _check(environment / "bin" / "python", app, library):
            return code
        shutil.rmtree(environment)
    return 0 if any(found.values()) else 1


def _interpreter(version: str) -> Path | None:
    """The first interpreter of that version that can be run, on the path or among those that pyenv has."""
    script = f"import sys, ssl; sys.exit('%d.%d' % sys.version_info[:2] != '{version}')"
    for python in _candidates(version):
        ran = subprocess.run([python, "-c", script], capture_output=True, check=False)  # noqa: S603
        if ran.returncode == 0:
            return python
    return None


def _candidates(version: str) -> Iterator[Path]:
    on_path = shutil.which(f"python{version}")
    yield from [Path(on_path)] if on_path else []
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    yield from sorted(pyenv.glob(f"versions/{version}.*/bin/python"))
