"""The codes of each status that the description lists, held against the product's source.

That no call answers with anything else is held by every test that calls: see `World.call`.
"""

import ast
from collections.abc import Iterator
from pathlib import Path

import provisioning
from provisioning.api.openapi.refusals import FAULTS, REFUSALS
from tests.unit.api.bad_requests import BAD
from tests.worlds.described import described_codes, operations

# What the command line alone refuses is not answered over HTTP.
OPERATOR = Path(provisioning.__file__).parent / "operator"
SOURCES = sorted(each for each in OPERATOR.parent.rglob("*.py") if OPERATOR not in each.parents)


def texts_of(path: Path) -> set[str]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}


def refusals_in(path: Path) -> Iterator[tuple[str, str]]:
    """Yield status and code of every refusal that a module can make."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Call(
                func=ast.Name(id="RequestRejected" | "problem"),
                args=[ast.Constant(value=int(status)), ast.Constant(value=str(code)), *_],
            ):
                yield str(status), code


def test_every_refusal_that_the_source_can_make_is_described_with_its_status() -> None:
    described = {
        (status, code)
        for name in operations()
        for status, (codes, _) in described_codes(name).items()
        for code in codes
    }
    made = {refusal for path in SOURCES for refusal in refusals_in(path)}
    assert len(made) > 30
    assert made - described == set()


def test_every_code_that_is_described_is_met_by_a_test() -> None:
    tests = [path for path in Path(__file__).parents[2].rglob("*.py") if not path.stem.startswith("test_openapi")]
    written = set[str]().union(*map(texts_of, tests))
    tables = [*REFUSALS.values(), *FAULTS.values()]
    assert {code for codes in tables for status in codes.values() for code in status} - written == set()


def test_what_the_table_of_bad_requests_shows_is_described() -> None:
    described = described_codes("submitRegistration")
    for bad in BAD.values():
        codes, faults = described[str(bad.status)]
        told = {code for each in bad.faults.values() for code in ([each] if isinstance(each, str) else each)}
        assert {bad.code} - codes == set()
        assert told - faults == set()
