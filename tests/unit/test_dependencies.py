"""What is imported is declared, what is declared is pinned, and what is pinned is locked."""

import ast
import sys
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from importlib.metadata import distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from dev.lock_check import pins, version_of

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
DEPLOYED = [Requirement(text) for text in PROJECT["project"]["dependencies"]]
GROUPS = {name: [Requirement(text) for text in texts] for name, texts in PROJECT["dependency-groups"].items()}
WORKER, INFRA = (
    [Requirement(text) for text in (ROOT / f"dev/{name}/requirements.in").read_text(encoding="utf-8").splitlines()]
    for name in ("worker", "infra")
)
LOCKED = {
    "requirements.txt": DEPLOYED,
    "requirements-dev.txt": DEPLOYED + GROUPS["dev"],
    "requirements-browser.txt": GROUPS["browser"],
    "requirements-checkov.txt": GROUPS["checkov"],
    "requirements-node.txt": GROUPS["node"],
    "dev/worker/requirements.txt": WORKER,
    "dev/infra/requirements.txt": INFRA,
}
BROWSER = ROOT / "tests" / "browser"
# `_typeshed` comes with the type checker.
OURS = {"_typeshed", "bench", "dev", "function_app", "infra", "provisioning", "tests"}


def sources(*folders: str) -> list[Path]:
    return [path for name in folders for path in (ROOT / name).rglob("*.py") if "node_modules" not in path.parts]


def imported(path: Path) -> Iterator[str]:
    """Yield every module that is imported anywhere in a file; of `from a import b`, that is `a.b`."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.module is not None, f"{path}: a relative import"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


@cache
def owners() -> dict[str, str]:
    """Return the package that each installed module comes from: `azure.core` and `azure.identity` have one each."""
    return {
        ".".join([*file.parts[:-1], file.name.split(".")[0]]).removesuffix(".__init__"): canonicalize_name(package.name)
        for package in distributions()
        for file in package.files or ()
        if file.suffix in {".py", ".so", ".pyd"}
    }


def package_of(module: str) -> str:
    parts = module.split(".")
    names = [".".join(parts[:length]) for length in range(len(parts), 0, -1)]
    return next((owners()[name] for name in names if name in owners()), f"nothing that is installed: {module}")


def packages(paths: Iterable[Path]) -> set[str]:
    modules = {module for path in paths for module in imported(path)}
    known = sys.stdlib_module_names | OURS
    return {package_of(module) for module in modules if module.split(".")[0] not in known}


def test_the_administrators_script_needs_nothing_but_python() -> None:
    assert packages(sources("infra")) == set()


def names(requirements: Iterable[Requirement]) -> set[str]:
    return {canonicalize_name(requirement.name) for requirement in requirements}


def test_what_is_deployed_declares_each_package_that_it_imports_and_no_other() -> None:
    assert packages([ROOT / "function_app.py", *sources("provisioning")]) == names(DEPLOYED)


def test_development_declares_each_package_that_it_imports() -> None:
    paths = [path for path in sources("bench", "dev", "infra", "tests") if path.parent != BROWSER]
    assert packages(paths) <= names(DEPLOYED + GROUPS["dev"])


def test_only_the_tests_with_a_browser_import_its_driver_which_is_declared() -> None:
    """It is in an environment of its own, so that its modules are told by their names alone."""
    outside = {name.removeprefix("nothing that is installed: ") for name in packages(sources("tests/browser"))}
    beyond = {name.split(".")[0] for name in outside - names(DEPLOYED + GROUPS["dev"])}
    assert beyond
    assert beyond <= {name.replace("-", "_") for name in names(GROUPS["browser"])}


@pytest.mark.parametrize("lock", LOCKED)
def test_a_lock_holds_what_is_declared_and_each_at_its_one_version(lock: str) -> None:
    locked = {(canonicalize_name(pin.name), version_of(pin)) for pin in pins(ROOT / lock)}
    assert {(canonicalize_name(one.name), version_of(one)) for one in LOCKED[lock]} <= locked


@pytest.mark.parametrize("lock", LOCKED)
def test_whatever_is_locked_is_locked_by_hash(lock: str) -> None:
    blocks = (ROOT / lock).read_text(encoding="utf-8").replace("\\\n", "").splitlines()
    assert [block.split()[0] for block in blocks if "--hash=sha256:" not in block] == []
