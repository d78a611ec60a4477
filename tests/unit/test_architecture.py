import ast
import json
import re
import subprocess
import sys
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from pathlib import Path

import pytest

from provisioning.api import web

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "provisioning"
FUNCTION_APP = ROOT / "function_app.py"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in [*PACKAGE.rglob("*.py"), FUNCTION_APP]
}

# From the docstring of `provisioning`: what each room may import beside itself. A room that is not named here fails.
ALLOWED = {
    "domain": set(),
    "ports": {"domain"},
    "trail": {"domain"},
    "telemetry": {"trail"},
    "flow": {"domain", "ports", "trail", "telemetry"},
    "adapters": {"domain", "ports", "trail", "telemetry"},
    "api": {"domain", "ports", "trail", "telemetry", "flow"},
    "operator": {"domain", "ports", "telemetry", "trail", "flow", "api"},
    "__main__": {"domain", "ports", "operator", "settings", "wiring"},
    "settings": {"domain"},
    "wiring": {"domain", "ports", "adapters", "settings"},
    "function_app": {"domain", "flow", "api", "settings", "wiring", "ports"},
}
# From the docstring of `dev.emulator`, as above; of a service's room, `routes.py` alone may import `http`, too.
SHARED = {"constants", "errors", "faults", "pages", "shapes"}
EMULATOR_ALLOWED = {
    **dict.fromkeys(SHARED, SHARED),
    "http": SHARED,
    "graph": SHARED,
    "vault": SHARED,
    "bot": SHARED,
    "arm": {*SHARED, "graph"},
    "sts": {*SHARED, "graph"},
    "management": {*SHARED, "http", "graph", "vault", "sts"},
    "emulator": {*SHARED, "http", "graph", "vault", "arm", "bot", "sts", "management"},
    "client": {*SHARED, "emulator"},
    "server": {*SHARED, "http", "emulator"},
}
OUTSIDE = ("azure", "msal", "opentelemetry", "requests", "certifi")
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}
LATE = (
    "opentelemetry",
    "pydantic",
    "msal",
    "requests",
    "certifi",
    "azure.identity",
    "azure.keyvault",
    "azure.data",
    "azure.core",
)


@cache
def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imported(tree: ast.AST, modules: Collection[str] = MODULES.keys()) -> Iterator[str]:
    """Yield every module that is imported anywhere in the tree, inside of functions and for type checks too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            assert node.module is not None
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from names & set(modules) or {node.module}


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def room_of(module: str) -> str:
    """Return the folder of `provisioning/` that the module lives in, or its own name where it lives in none."""
    return module.removeprefix("provisioning.").partition(".")[0]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_only_the_adapters_and_the_wiring_know_azure_msal_and_requests(module: str) -> None:
    allowed = within(module, "provisioning.adapters") or module == "provisioning.wiring"
    outside = {name for name in imported(tree_of(module)) if any(within(name, package) for package in OUTSIDE)}
    assert allowed or outside <= ({"azure.functions"} if module == "function_app" else set())


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"provisioning.settings", "function_app"}))
def test_only_the_settings_read_the_environment(module: str) -> None:
    for node in ast.walk(tree_of(module)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            assert node.attr not in ENVIRONMENT
        if isinstance(node, ast.ImportFrom) and node.module == "os":
            assert not ENVIRONMENT & {alias.name for alias in node.names}


def test_the_triggers_read_only_what_a_decorator_needs() -> None:
    reads = [line for line in MODULES["function_app"].read_text(encoding="utf-8").splitlines() if "os.environ" in line]
    told_to_pydantic = 'os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")'
    read = ["PLANNER_SCHEDULE", "RECONCILE_SCHEDULE", "ENTRA", "SLACK", "TEAMS"]
    assert [line.partition(" = ")[0] for line in reads] == [*read, told_to_pydantic]


def test_the_settings_do_read_it() -> None:
    assert "os.environ" in MODULES["provisioning.settings"].read_text(encoding="utf-8")


@pytest.mark.parametrize("module", sorted(MODULES))
def test_nothing_that_is_deployed_knows_development_or_tests(module: str) -> None:
    assert not [name for name in imported(tree_of(module)) if within(name, "dev") or within(name, "tests")]


def broken_layers(module: str, tree: ast.AST) -> list[str]:
    allowed = {room_of(module), *ALLOWED[room_of(module)]}
    names = (name for name in imported(tree) if within(name, "provisioning"))
    return [name for name in names if room_of(name) not in allowed]


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"provisioning"}))
def test_dependency_runs_one_way(module: str) -> None:
    assert broken_layers(module, tree_of(module)) == []


def calls_to_sleep(node: ast.AST) -> Iterator[ast.Call]:
    """Yield every call of something named `sleep` in the tree, of whatever it is."""
    for each in ast.walk(node):
        if isinstance(each, ast.Call) and ast.unparse(each.func).rpartition(".")[2] == "sleep":
            yield each


def test_only_the_system_clock_makes_the_machine_wait() -> None:
    assert [module for module in MODULES if {"time", "asyncio"} & set(imported(tree_of(module)))] == [
        "provisioning.wiring"
    ]
    calls = {ast.unparse(call.func) for module in MODULES for call in calls_to_sleep(tree_of(module))}
    assert [call for call in calls if not call.endswith("clock.sleep")] == ["time.sleep"]
    [clock] = [
        node
        for node in tree_of("provisioning.wiring").body
        if isinstance(node, ast.ClassDef) and node.name == "SystemClock"
    ]
    for tree in (clock, tree_of("provisioning.wiring")):
        assert [ast.unparse(call) for call in calls_to_sleep(tree)] == ["time.sleep(seconds)"]


@pytest.mark.parametrize("module", sorted(MODULES))
def test_nothing_sleeps_for_a_fixed_time(module: str) -> None:
    for call in calls_to_sleep(tree_of(module)):
        names = {node.id for node in ast.walk(call.args[0]) if isinstance(node, ast.Name)}
        assert [name for name in names if not name.isupper()], ast.unparse(call)


def test_no_module_is_a_drawer() -> None:
    assert not {"utils", "util", "helpers", "common", "manager", "misc"} & {name.rpartition(".")[2] for name in MODULES}


def depends_on(sources: Mapping[str, ast.AST]) -> dict[str, set[str]]:
    """Return which of the modules each imports anywhere, in functions and for types too, but for itself."""
    return {
        module: {name for name in imported(tree, sources.keys()) if name in sources} - {module}
        for module, tree in sources.items()
    }


def in_circles(depends: Mapping[str, set[str]]) -> set[str]:
    """Return the modules that are part of a circle, or that import one that is."""
    left = set(depends)
    while free := {module for module in left if not depends[module] & left}:
        left -= free
    return left


def sources_of(folder: str) -> dict[str, ast.AST]:
    return {
        ".".join(path.relative_to(ROOT).with_suffix("").parts): ast.parse(path.read_text(encoding="utf-8"))
        for path in (ROOT / folder).rglob("*.py")
        if path.name != "__init__.py" and "node_modules" not in path.parts
    }


def broken_rooms(module: str, tree: ast.AST, modules: Collection[str]) -> list[str]:
    """Return what a module of the emulator imports of it against the order of its rooms."""

    def room(name: str) -> str:
        return name.removeprefix("dev.emulator.").partition(".")[0]

    allowed = {room(module), *EMULATOR_ALLOWED[room(module)]} | ({"http"} if module.endswith(".routes") else set())
    return [name for name in imported(tree, modules) if within(name, "dev") and room(name) not in allowed]


def test_the_rooms_of_the_emulator_import_one_way() -> None:
    sources = sources_of("dev/emulator")
    assert [name for module, tree in sources.items() for name in broken_rooms(module, tree, sources)] == []


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("shapes", "from dev.emulator.http import wire"),
        ("http.wsgi", "if TYPE_CHECKING:\n    from dev.emulator.emulator import Emulator"),
        ("http.bearer", "from dev.emulator.sts.endpoint import TokenService"),
        ("graph.routes", "from dev.emulator.sts import signing"),
        ("graph.applications", "from dev.emulator.http.exchange import Answer"),
        ("graph.directory", "def late():\n    import dev.emulator.vault.secrets"),
        ("vault.secrets", "from dev.emulator.graph.records import Caller"),
        ("sts.endpoint", "from dev.emulator import management"),
        ("management", "from dev.emulator import Emulator"),
        ("emulator", "from dev import stack"),
    ],
)
def test_a_planted_import_against_the_emulators_rooms_is_found(module: str, planted: str) -> None:
    modules = sources_of("dev/emulator")
    assert broken_rooms(f"dev.emulator.{module}", ast.parse(planted), modules)


@pytest.mark.parametrize("folder", ["provisioning", "dev", "bench"])
def test_no_modules_import_each_other_not_even_for_their_types(folder: str) -> None:
    sources = sources_of(folder)
    assert len(sources) > 5
    assert in_circles(depends_on(sources)) == set()


@pytest.mark.parametrize(
    "planted",
    [
        "from provisioning.domain import registration",
        "if TYPE_CHECKING:\n    from provisioning.domain.registration import Registration",
        "def late():\n    import provisioning.domain.registration",
    ],
)
def test_a_planted_circle_is_found_however_it_is_imported(planted: str) -> None:
    sources = sources_of("provisioning")
    sources["provisioning.domain.directory"] = ast.parse(planted)
    assert {"provisioning.domain.registration", "provisioning.domain.directory"} <= in_circles(depends_on(sources))


@pytest.mark.parametrize(
    ("module", "planted"),
    [
        ("provisioning.domain.uris", "from provisioning.ports import Clock"),
        ("provisioning.ports", "from provisioning.flow.run import Run"),
        ("provisioning.flow.mint", "from provisioning.api import guidance"),
        ("provisioning.flow.mint", "import provisioning.adapters.graph"),
        ("provisioning.adapters.graph", "def late():\n    from provisioning.flow import patience"),
        ("provisioning.api.web", "from provisioning.wiring import AzureServices"),
        ("provisioning.settings", "if TYPE_CHECKING:\n    from provisioning import wiring"),
    ],
)
def test_a_planted_import_against_the_layers_is_found(module: str, planted: str) -> None:
    assert broken_layers(module, ast.parse(planted))


FOLDERS = sorted(
    {path.parent for each in ("provisioning", "dev", "bench") for path in (ROOT / each).rglob("__init__.py")}
)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: str(folder.relative_to(ROOT)))
def test_a_folder_says_what_lives_in_it_and_what_may_not(folder: Path) -> None:
    told = ast.get_docstring(ast.parse((folder / "__init__.py").read_text(encoding="utf-8"))) or ""
    assert len(re.findall(r"\.(?:\s|$)", told)) >= 2


def test_importing_the_function_app_loads_what_indexing_needs_and_nothing_more() -> None:
    script = "import function_app, json, sys; print(json.dumps(sorted(sys.modules)))"
    ran = subprocess.run(  # noqa: S603 -- this very interpreter
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    loaded = json.loads(ran.stdout)
    assert "azure.functions" in loaded
    assert [name for name in loaded if any(within(name, package) for package in LATE)] == []
    assert [name for name in loaded if within(name, "provisioning")] == []


def triggers() -> dict[str, ast.FunctionDef]:
    return {
        node.name: node
        for node in ast.walk(tree_of("function_app"))
        if isinstance(node, ast.FunctionDef) and any("app." in ast.unparse(each) for each in node.decorator_list)
    }


def test_the_function_app_has_its_triggers() -> None:
    assert {"health", "provision", "give_up", "notify", "planner", "reconcile", "chat"} <= triggers().keys()


@pytest.mark.parametrize("name", sorted(triggers()))
def test_a_trigger_decodes_calls_and_encodes_in_ten_lines(name: str) -> None:
    body = triggers()[name].body
    assert ast.get_docstring(triggers()[name]) is not None
    last = body[-1].end_lineno
    assert last is not None
    assert last - body[0].lineno + 1 <= 10


def test_every_call_of_the_callers_side_has_its_trigger_and_no_trigger_names_another() -> None:
    assert sorted(call for *_, call in http_calls()) == sorted(web.CALLS)


def http_calls() -> list[tuple[str, str, str, str]]:
    """Return the tables of the function app: function, method, route, call."""
    tables = [
        node.value
        for node in tree_of("function_app").body
        if isinstance(node, ast.Assign) and ast.unparse(node.targets[0]) in ("CALLS", "CHAT_CALLS")
    ]
    return [call for table in tables for call in ast.literal_eval(table)]
