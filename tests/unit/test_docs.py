"""What the documents claim that can be checked: codes and settings are explained, links lead somewhere."""

import re
from pathlib import Path

import pytest

DOCUMENTS = [*Path().glob("*.md"), *Path("docs").rglob("*.md")]
ERRORS = re.compile(
    r"\b(?:NeedsOperator|TryAgain|OutcomeUnknown|Failure|_try_again)\(\s*(?:refused,\s*)?\"(?P<code>[a-z]+(?:-[a-z]+)+)\""
)
MEANING = re.compile(r"\(\s*\"(?P<code>[a-z]+(?:-[a-z]+)+)\",\s*\"[A-Z]")


def failure_codes() -> set[str]:
    """Collect the codes that a registration can end or wait with, from the source."""
    found: set[str] = set()
    for path in Path("provisioning").rglob("*.py"):
        if path.name not in ("web.py", "guidance.py", "intake.py", "fields.py", "uris.py", "openapi.py"):
            text = path.read_text()
            found |= {match["code"] for match in ERRORS.finditer(text)}
            if path.name == "graph_errors.py":
                found |= {match["code"] for match in MEANING.finditer(text)}
    return found


def settings() -> set[str]:
    names = set(re.findall(r'"([A-Z][A-Z_]{5,})"', Path("provisioning/settings.py").read_text()))
    return names - {"CURL_CA_BUNDLE"}


def test_the_codes_and_settings_were_found() -> None:
    assert {"graph-unavailable", "identifier-uri-taken", "secret-refused", "vault-denied"} <= failure_codes()
    assert {"GRAPH_ENDPOINT", "SECRET_OVERLAP", "CALLER_AUTH"} <= settings()


@pytest.mark.parametrize("code", sorted(failure_codes()))
def test_every_failure_code_is_explained_to_whoever_is_on_call(code: str) -> None:
    assert f"`{code}`" in Path("docs/operations.md").read_text()


@pytest.mark.parametrize("name", sorted(settings()))
def test_every_setting_is_in_the_readme(name: str) -> None:
    assert f"`{name}`" in Path("README.md").read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_relative_link_leads_to_a_file(document: Path) -> None:
    for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()):
        if not target.startswith(("http://", "https://", "mailto:")):
            assert (document.parent / target).exists(), target


FAILURE_POINTS = [
    line for line in Path("docs/failure-points.md").read_text().splitlines() if re.match(r"\| \d+ \|", line)
]


def test_the_failure_points_are_all_there() -> None:
    assert [int(line.split("|")[1]) for line in FAILURE_POINTS] == list(range(1, 22))


@pytest.mark.parametrize("line", FAILURE_POINTS, ids=lambda line: line.split("|")[1].strip())
def test_every_test_that_is_said_to_cover_a_failure_point_exists(line: str) -> None:
    covering = line.rstrip(" |").rpartition("|")[2]
    tests = re.findall(r"`([^`:]+)::([^`]+)`", covering)
    assert tests
    for path, name in tests:
        assert f"\ndef {name}(" in Path(path).read_text(), f"{path}::{name}"
