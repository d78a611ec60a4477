"""What goes into the package that is deployed, and into the repository."""

import json
import os
import subprocess
import tomllib
import zipfile
from pathlib import Path

import pytest
from cyclonedx.schema import SchemaVersion
from cyclonedx.validation.json import JsonStrictValidator
from packaging.utils import canonicalize_name

from dev import package
from dev.bill import SPECIFICATION, bill_of_materials
from dev.lock_check import pins, version_of

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


@pytest.fixture
def copy(tmp_path: Path) -> Path:
    """A repository with the sources of this one, and with what is never deployed lying among them."""
    folder = tmp_path / "copy"
    for name in git(ROOT, "ls-files"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes((ROOT / name).read_bytes())
    git(folder, "init", "--quiet")
    for name in LEFT_OUT:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return folder


def test_the_package_is_the_app_and_nothing_else(copy: Path, tmp_path: Path) -> None:
    git(copy, "add", "--force", ".")  # not even what was put under version control by mistake
    packed = set(package.build(tmp_path / "app.zip", copy))
    assert set(zipfile.ZipFile(tmp_path / "app.zip").namelist()) == packed
    assert {name for name in packed if not name.startswith("provisioning/")} == {
        "LICENSE",
        "function_app.py",
        "host.json",
        "requirements.txt",
    }
    tracked = git(ROOT, "ls-files", "provisioning")
    assert {name for name in packed if name.startswith("provisioning/")} == set(tracked)


def test_a_module_that_nobody_committed_yet_is_packed(copy: Path, tmp_path: Path) -> None:
    git(copy, "add", ".")
    (copy / "provisioning" / "new.py").touch()
    assert "provisioning/new.py" in package.build(tmp_path / "app.zip", copy)


def test_equal_sources_make_an_equal_package(copy: Path, tmp_path: Path) -> None:
    package.build(tmp_path / "one.zip", copy)
    for name in git(ROOT, "ls-files", "provisioning"):
        os.utime(copy / name, (1, 1))
        (copy / name).chmod(0o600)
    package.build(tmp_path / "two.zip", copy)
    assert (tmp_path / "one.zip").read_bytes() == (tmp_path / "two.zip").read_bytes()
    (copy / "host.json").write_text("{}")
    package.build(tmp_path / "two.zip", copy)
    assert (tmp_path / "one.zip").read_bytes() != (tmp_path / "two.zip").read_bytes()


def test_the_bill_of_materials_is_one_by_its_schema() -> None:
    validator = JsonStrictValidator(SchemaVersion.from_version(SPECIFICATION))
    bill = bill_of_materials(ROOT)
    assert validator.validate_str(bill) is None
    assert validator.validate_str(bill.replace('"library"', '"book"')) is not None
    assert bill == bill_of_materials(ROOT)


def test_the_bill_names_each_package_that_is_locked_with_its_hashes() -> None:
    lock = ROOT / "requirements.txt"
    bill = json.loads(bill_of_materials(ROOT))
    named = {(one["name"], one["version"]) for one in bill["components"]}
    assert named == {(canonicalize_name(pin.name), version_of(pin)) for pin in pins(lock)}
    [hashes] = [[each["hashes"] for each in one["externalReferences"]] for one in bill["components"][:1]]
    assert all(each["content"] in lock.read_text(encoding="utf-8") for each in hashes[0])
    counted = sum(len(each["hashes"]) for one in bill["components"] for each in one["externalReferences"])
    assert counted == lock.read_text(encoding="utf-8").count("--hash=sha256:")
    [direct] = bill["dependencies"]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert len(direct["dependsOn"]) == len(project["dependencies"])


@pytest.mark.parametrize("name", LEFT_OUT)
def test_what_is_made_here_and_what_is_secret_is_not_for_the_repository(tmp_path: Path, name: str) -> None:
    assert left_in(tmp_path, ".gitignore", [name]) == set()


def test_the_licence_is_named_and_there() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["license"] == "MIT"
    [file] = project["license-files"]
    assert (ROOT / file).read_text(encoding="utf-8").startswith("MIT License\n")
