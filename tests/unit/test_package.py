"""What goes into the package that is deployed, and into the repository."""

import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
LEFT_OUT = (
    "provisioning/__pycache__/web.cpython-311.pyc",
    "provisioning/web.pyc",
    "__pycache__/function_app.cpython-313.pyc",
    "ca.pem",
    "client.key",
    "provisioning/client.pem",
    ".local/ca.pem",
    ".venv/bin/python",
    "local.settings.json",
)


def git(folder: Path, *arguments: str) -> list[str]:
    ran = subprocess.run(["git", *arguments], cwd=folder, capture_output=True, text=True, check=True)  # noqa: S603, S607
    return ran.stdout.splitlines()


def left_in(folder: Path, ignoring: str, names: list[str]) -> set[str]:
    """Return which of the files an ignore file leaves, by git's own reading of it."""
    git(folder, "init", "--quiet")
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return set(git(folder, "ls-files", "--others", f"--exclude-from={ROOT / ignoring}"))


def test_what_is_deployed_is_the_app_and_nothing_else(tmp_path: Path) -> None:
    tracked = git(ROOT, "ls-files")
    packed = left_in(tmp_path, ".funcignore", [*tracked, *LEFT_OUT])
    assert {name for name in packed if not name.startswith("provisioning/")} == {
        "LICENSE",
        "function_app.py",
        "host.json",
        "requirements.txt",
    }
    assert packed >= {name for name in tracked if name.startswith("provisioning/") and name.endswith(".py")}
    assert not packed & set(LEFT_OUT)


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_made_here_and_what_is_secret_is_not_for_the_repository(tmp_path: Path, name: str) -> None:
    assert left_in(tmp_path, ".gitignore", [name]) == set()


def test_the_licence_is_named_and_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "MIT"
    [file] = project["license-files"]
    assert (ROOT / file).read_text(encoding="utf-8").startswith("MIT License\n")
