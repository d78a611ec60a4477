"""Installs every lock file in a clean folder where newer releases are to be had, and looks at what was taken.

`make lock-check` runs it. The commands are the Makefile's own, in a copy of this folder. Beside the usual index, pip
sees a folder with two newer releases of every package of the locks. First it must see a set-up fall for them, or it
could not fail at all. It also compares the locks with what they are made from.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from importlib.metadata import distributions
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).parents[1]
# What each environment is made of.
_WORKER = ".local/worker"
ENVIRONMENTS = {
    ".local/browser": ("requirements-browser.txt",),
    ".local/checkov": ("requirements-checkov.txt",),
    ".venv": ("requirements-dev.txt", "requirements-node.txt"),
    _WORKER: ("requirements.txt", "dev/worker/requirements.txt"),
}
NODE_LOCK = "dev/azurite/package-lock.json"
_PYTHON_LOCKS = (*(lock for locks in ENVIRONMENTS.values() for lock in locks), "dev/infra/requirements.txt")
_LEFT_OUT = re.compile(r"^certifi==.*\n(?: .*\n)*", re.MULTILINE)
# What an install line must not be. Some versions of pip resolve to the pinned files as long as all of them are named.
_RESOLVING = "-m pip install --quiet --require-hashes"
# How Azure's remote build installs them.
_REMOTE_BUILD = ("install", "-r", "requirements.txt")
# Both are newer than the release that they are named for; the second is so for `==` as well.
_NEWER = (".post9999", "+newer")


def pins(lock: Path) -> list[Requirement]:
    """Returns what a lock file of Python packages names, markers and extras included."""
    lines = lock.read_text(encoding="utf-8").splitlines()
    return [Requirement(line.rstrip(" \\")) for line in lines if line and line[0] not in " #-"]


def version_of(pin: Requirement) -> str:
    """Returns the one version that is pinned."""
    [one] = pin.specifier
    assert one.operator == "=="
    return one.version


def differences(environment: Path, locks: list[Path]) -> list[str]:
    """Says where an environment of this version of Python holds anything but what the locks name, pip aside."""
    named = {canonicalize_name(pin.name): version_of(pin) for pin in _of_this_python(locks)}
    [packages] = environment.glob("lib/python*/site-packages")
    there = {canonicalize_name(one.name): one.version for one in distributions(path=[str(packages)])}
    there.pop(canonicalize_name("pip"), None)
    return [
        f"{environment.name}: {name} is locked to {named.get(name)}, and {there.get(name)} is installed"
        for name in sorted(named.keys() | there.keys())
        if named.get(name) != there.get(name)
    ]


def _of_this_python(locks: list[Path]) -> list[Requirement]:
    return [pin for lock in locks for pin in pins(lock) if pin.marker is None or pin.marker.evaluate()]


def node_differences(folder: Path) -> list[str]:
    """Says where Azurite's folder holds anything but what its lock file names, and what that does not name by hash."""
    locked = json.loads((folder / "package-lock.json").read_text(encoding="utf-8"))["packages"]
    there = json.loads((folder / "node_modules" / ".package-lock.json").read_text(encoding="utf-8"))["packages"]
    del locked[""]
    return [
        *(f"{name} is locked without a hash" for name, one in locked.items() if "integrity" not in one),
        *(f"{name} is not installed" for name in locked.keys() - there.keys() if not locked[name].get("optional")),
        *(f"{name} is not as locked" for name, one in there.items() if one != locked.get(name)),
    ]


def _release_newer(folder: Path, pin: Requirement) -> None:
    """Puts newer releases of a package in a folder, as wheels that hold nothing."""
    name = canonicalize_name(pin.name).replace("-", "_")
    for suffix in _NEWER:
        version = version_of(pin) + suffix
        with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
            at = f"{name}-{version}.dist-info"
            wheel.writestr(f"{at}/METADATA", f"Metadata-Version: 2.1\nName: {pin.name}\nVersion: {version}\n")
            wheel.writestr(f"{at}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
            wheel.writestr(f"{at}/RECORD", "")


class _Copy:
    """A copy of this folder that nothing was made in, with newer releases beside the usual index."""

    def __init__(self, folder: Path) -> None:
        self.place, newer = folder / "project", folder / "newer"
        listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        for name in subprocess.run(listed, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split("\0"):  # noqa: S603
            if name and (ROOT / name).is_file():
                (self.place / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(ROOT / name, self.place / name)
        newer.mkdir()
        for lock in _PYTHON_LOCKS:
            for pin in pins(ROOT / lock):
                _release_newer(newer, pin)
        # The make that runs this must not tell the one below what to do.
        kept = {name: value for name, value in os.environ.items() if name not in {"MAKEFLAGS", "MAKELEVEL", "MFLAGS"}}
        self.environment = kept | {"PIP_FIND_LINKS": f"{os.environ.get('PIP_FIND_LINKS', '')} {newer}"}

    def make(self, *arguments: str, quiet: bool = False) -> bool:
        """Runs make in it; `quiet` where it is to fail."""
        # The machine's own Node.js is never new enough: that lock is to be installed as well.
        command = ["make", f"PYTHON={sys.executable}", "NODE_OLDEST=1000", *arguments]
        return self.run(*command, quiet=quiet)

    def run(self, *command: str, quiet: bool = False) -> bool:
        """Runs a command in it; whether it succeeded."""
        ran = subprocess.run(  # noqa: S603
            command, cwd=self.place, env=self.environment, capture_output=quiet, check=False
        )
        return ran.returncode == 0

    def leave_one_out(self) -> None:
        """Has the locks leave out a package that others need: whatever resolves comes upon its newer releases."""
        for lock in _PYTHON_LOCKS:
            text = (ROOT / lock).read_text(encoding="utf-8")
            (self.place / lock).write_text(_LEFT_OUT.sub("", text), encoding="utf-8")

    def restore_locks(self) -> None:
        """Has them as they are here, and what is installed count as installed from them."""
        for lock in _PYTHON_LOCKS:
            shutil.copyfile(ROOT / lock, self.place / lock)
        self.make("--touch", "setup", quiet=True)

    def differences(self, environment: str) -> list[str]:
        """As the function of that name."""
        return differences(self.place / environment, [self.place / lock for lock in ENVIRONMENTS[environment]])


def _sees_what_resolves(copy: _Copy) -> list[str]:
    copy.leave_one_out()
    if copy.make("worker", f"PIP={_RESOLVING}", quiet=True) and not copy.differences(_WORKER):
        return [f"{_WORKER}: a set-up that resolves took no newer release: this check sees nothing"]
    return []


def _installs_what_is_locked(copy: _Copy) -> list[str]:
    if not copy.make("setup", "worker", "driver", "checkov"):
        return ["the set-up failed where newer releases are to be had"]
    return [
        *(difference for environment in ENVIRONMENTS for difference in copy.differences(environment)),
        *node_differences(copy.place / Path(NODE_LOCK).parent),
    ]


def _deploys_what_is_locked(copy: _Copy) -> list[str]:
    copy.restore_locks()
    environment = copy.place / ".local" / "deployed"
    venv.create(environment)
    pip = [".venv/bin/python", "-m", "pip", "--quiet", f"--python={environment / 'bin' / 'python'}"]
    if not copy.run(*pip, *_REMOTE_BUILD):
        return ["a remote build failed where newer releases are to be had"]
    return differences(environment, [copy.place / "requirements.txt"])


def _locks_what_is_asked_for(copy: _Copy) -> list[str]:
    if not copy.make("lock"):
        return ["the locks could not be made"]
    return [
        f"{lock} is not what pyproject.toml asks for: run `make lock`"
        for lock in (*_PYTHON_LOCKS, NODE_LOCK)
        if (copy.place / lock).read_bytes() != (ROOT / lock).read_bytes()
    ]


def main() -> int:
    """Runs the check and prints what was found."""
    steps = {
        "A set-up that resolves must fall for the newer releases": _sees_what_resolves,
        "The set-up of this folder must not": _installs_what_is_locked,
        "Nor must Azure's remote build": _deploys_what_is_locked,
        "The locks must be what is asked for": _locks_what_is_asked_for,
    }
    with tempfile.TemporaryDirectory(prefix="fhir-registrar-") as folder:
        copy = _Copy(Path(folder))
        for text, step in steps.items():
            print(f"{text} ...", flush=True)
            if found := step(copy):
                print(*(f"lock check: {one}" for one in found), sep="\n", file=sys.stderr)
                return 1
    print("lock check: what is pinned is what is installed")
    return 0


if __name__ == "__main__":
    sys.exit(main())
