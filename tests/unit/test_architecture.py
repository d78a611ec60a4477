import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "provisioning"
FUNCTION_APP = ROOT / "function_app.py"
MODULES = {
    ".".join(path.relative_to(ROOT).with_suffix("").parts).removesuffix(".__init__"): path
    for path in [*PACKAGE.rglob("*.py"), FUNCTION_APP]
}

# From the docstring of `provisioning`: a module imports what stands in a row before its own, or in its own row.
ROWS = (
    {
        "errors",
        "durations",
        "uris",
        "certificates",
        "tenant",
        "registration",
        "fields",
        "intake",
        "credentials",
        "manifest",
        "guidance",
        "openapi",
        "notices",
    },
    {"ports"},
    {
        *("messages", "patience", "run", "resolve", "mint", "rotate", "trust", "change", "delete", "plan", "notify"),
        *("conclude", "check", "reconcile", "provision", "submit", "alter", "web", "settings"),
    },
    {"wiring"},
)
OUTSIDE = ("azure", "msal", "requests", "certifi")
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb"}
LATE = ("pydantic", "msal", "requests", "certifi", "azure.identity", "azure.keyvault", "azure.data", "azure.core")


def tree_of(module: str) -> ast.Module:
    return ast.parse(MODULES[module].read_text(encoding="utf-8"))


def imported(tree: ast.AST) -> Iterator[str]:
    """Yield every module that is imported anywhere in the tree, inside of functions and for type checks too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "a relative import"
            assert node.module is not None
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            yield from names & MODULES.keys() or {node.module}


def within(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def row_of(module: str) -> int:
    name = module.removeprefix("provisioning.")
    if within(name, "adapters"):
        return 2
    [row] = [number for number, names in enumerate(ROWS) if name in names]
    return row


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
    assert [line.partition(" = ")[0] for line in reads] == ["PLANNER_SCHEDULE", "RECONCILE_SCHEDULE", told_to_pydantic]


def test_the_settings_do_read_it() -> None:
    assert "os.environ" in MODULES["provisioning.settings"].read_text(encoding="utf-8")


@pytest.mark.parametrize("module", sorted(MODULES))
def test_nothing_that_is_deployed_knows_development_or_tests(module: str) -> None:
    assert not [name for name in imported(tree_of(module)) if within(name, "dev") or within(name, "tests")]


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"provisioning", "provisioning.adapters", "function_app"}))
def test_dependency_runs_one_way(module: str) -> None:
    for name in imported(tree_of(module)):
        if within(name, "provisioning"):
            assert row_of(name) <= row_of(module), name


@pytest.mark.parametrize("module", sorted(MODULES.keys() - {"provisioning", "function_app", "provisioning.wiring"}))
def test_flows_and_adapters_meet_only_in_the_ports(module: str) -> None:
    is_adapter = within(module, "provisioning.adapters")
    for name in imported(tree_of(module)):
        if is_adapter and within(name, "provisioning") and not within(name, "provisioning.adapters"):
            assert row_of(name) < 2, name
        if not is_adapter:
            assert not within(name, "provisioning.adapters"), name


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


def at_run_time(module: str) -> set[str]:
    """Return what is imported when the module is, which is neither in a function nor for a type checker."""
    top = ast.Module([node for node in tree_of(module).body if not isinstance(node, ast.If)], [])
    for node in ast.walk(top):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            node.body = []
    return {name for name in imported(top) if name in MODULES}


def test_no_modules_import_each_other() -> None:
    depends = {module: at_run_time(module) - {module} for module in MODULES}
    left = set(MODULES)
    while free := {module for module in left if not depends[module] & left}:
        left -= free
    assert left == set()


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
        for node in tree_of("function_app").body
        if isinstance(node, ast.FunctionDef) and any("app." in ast.unparse(each) for each in node.decorator_list)
    }


def test_the_function_app_has_its_triggers() -> None:
    assert {
        "submit",
        "show",
        "list_registrations",
        "retry",
        "provision",
        "give_up",
        "planner",
        "notify",
    } <= triggers().keys()


@pytest.mark.parametrize("name", sorted(triggers()))
def test_a_trigger_decodes_calls_and_encodes_in_ten_lines(name: str) -> None:
    body = triggers()[name].body
    assert ast.get_docstring(triggers()[name]) is not None
    last = body[-1].end_lineno
    assert last is not None
    assert last - body[0].lineno + 1 <= 10
