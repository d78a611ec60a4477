"""What the documents claim that can be checked without running it.

Codes and settings are explained, links lead somewhere, and each block of commands is one that `tests/e2e/` runs, or one
that it can tell. That they do what is shown, `tests/e2e/test_documents.py` holds.
"""

import json
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.documents import DOCUMENTS, SUBSCRIPTION, Block, blocks, prose

ERRORS = re.compile(
    r"\b(?:NeedsOperator|TryAgain|OutcomeUnknown|Failure|_try_again)\(\s*(?:refused,\s*)?\"(?P<code>[a-z]+(?:-[a-z]+)+)\""
)
MEANING = re.compile(r"\(\s*\"(?P<code>[a-z]+(?:-[a-z]+)+)\",\s*\"[A-Z]")


def failure_codes() -> set[str]:
    """Collect the codes that a registration can end or wait with, from the source."""
    found: set[str] = set()
    for path in Path("provisioning").rglob("*.py"):
        if path.name not in ("web.py", "guidance.py", "intake.py", "fields.py", "uris.py"):
            text = path.read_text()
            found |= {match["code"] for match in ERRORS.finditer(text)}
            if path.name == "graph_errors.py":
                found |= {match["code"] for match in MEANING.finditer(text)}
    return found


def check_codes() -> set[str]:
    """Collect the codes of the checks of `GET /ready`, from the source."""
    rule = re.compile(r"\.(?:lacks|warned)\(\s*\"(?P<code>[a-z]+(?:-[a-z]+)+)\"")
    return {match["code"] for path in Path("provisioning").rglob("*.py") for match in rule.finditer(path.read_text())}


def refusal_codes() -> set[str]:
    """Collect the codes of the problem documents that a caller is answered, from the source."""
    rule = re.compile(r"\b(?:RequestRejected|problem)\(\s*\d{3},\s*\"(?P<code>[a-z]+(?:-[a-z]+)*)\"")
    sources = [path.read_text() for path in Path("provisioning").rglob("*.py")]
    return {match["code"] for source in sources for match in rule.finditer(source)}


def settings() -> set[str]:
    names = set(re.findall(r'"([A-Z][A-Z_]{5,})"', Path("provisioning/settings.py").read_text()))
    return names - {"CURL_CA_BUNDLE"}


def test_the_codes_and_settings_were_found() -> None:
    assert {"graph-unavailable", "identifier-uri-taken", "secret-refused", "vault-denied"} <= failure_codes()
    assert {"invalid-json", "misconfigured", "operation-in-progress"} <= refusal_codes()
    assert {"permission-too-wide", "registrar-differs"} <= check_codes()
    assert {"GRAPH_ENDPOINT", "SECRET_OVERLAP", "CALLER_AUTH"} <= settings()


@pytest.mark.parametrize("code", sorted(failure_codes() | refusal_codes() | check_codes()))
def test_every_code_is_explained_to_whoever_is_on_call(code: str) -> None:
    assert f"`{code}`" in Path("docs/operations.md").read_text()


@pytest.mark.parametrize("name", sorted(settings()))
def test_every_setting_is_explained(name: str) -> None:
    assert f"`{name}`" in Path("docs/settings.md").read_text()


def test_the_readme_is_read_in_ten_minutes() -> None:
    assert len(Path("README.md").read_text().splitlines()) <= 200


def test_every_document_is_found_from_the_readme_or_from_one_that_it_names() -> None:
    found, ahead = set(), {Path("README.md")}
    while ahead:
        document = ahead.pop()
        found.add(document)
        for target, _ in links(document):
            path = (document.parent / target).resolve().relative_to(Path.cwd())
            ahead |= {one for one in (path, *path.glob("*.md")) if one.suffix == ".md" and one not in found}
    assert set(DOCUMENTS) <= found


def links(document: Path) -> list[tuple[str, str]]:
    """The relative links of a document: the file, and the heading in it."""
    found = re.findall(r"\]\(([^)#\s]*)(?:#([^)]*))?\)", prose(document))
    return [one for one in found if not one[0].startswith(("http://", "https://", "mailto:"))]


def headings(document: Path) -> set[str]:
    """The names by which the headings of a document are linked to."""
    found = re.findall(r"^#+ (.+)$", prose(document), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in found}


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_every_relative_link_leads_to_a_file_and_to_a_heading_of_it(document: Path) -> None:
    for target, heading in links(document):
        file = document.parent / target if target else document
        assert file.exists(), target
        assert not heading or heading in headings(file), f"{target}#{heading}"


BLOCKS = [block for document in DOCUMENTS for block in blocks(document)]
COMMANDS = [block for block in BLOCKS if block.language == "sh"]
# Their blocks are a notice, which no command asks for, and a policy: `domain/test_notices.py` compares the one with one
# that is sent, and `domain/test_policy_document.py` reads the other.
WITHOUT_COMMAND = {Path("docs/notices.md"), Path("docs/policy.md")}


def test_the_blocks_of_commands_were_found() -> None:
    assert sum(block.needs_a_subscription for block in COMMANDS) > 10
    assert sum(block.is_make for block in COMMANDS) > 2
    assert sum(block.answer is not None for block in COMMANDS) > 10


@pytest.mark.parametrize("block", BLOCKS, ids=str)
def test_a_block_says_what_it_is(block: Block) -> None:
    assert block.language in {"sh", "json", "text", "mermaid", "python", "kusto"}, "commands are in blocks called sh"
    if block.language == "json":
        assert block.document in WITHOUT_COMMAND, "an answer stands directly below its commands"
    if block.language == "text":
        assert not block.commands & {"curl", "make", *SUBSCRIPTION}, "commands are in blocks called sh"
    for shown in (block, block.answer):
        if shown and shown.language == "json":
            json.loads(shown.text)


@pytest.mark.parametrize("block", COMMANDS, ids=str)
def test_a_shell_can_read_the_commands(block: Block) -> None:
    shell = shutil.which("bash")
    assert shell
    read = subprocess.run([shell, "-n"], input=block.text, capture_output=True, text=True, check=False)  # noqa: S603 - its own documents
    assert read.returncode == 0, read.stderr


@pytest.mark.parametrize("block", [block for block in COMMANDS if block.needs_a_subscription], ids=str)
def test_what_needs_a_subscription_is_apart_from_what_is_run(block: Block) -> None:
    assert "$API" not in block.text, "a call of the API is a block of its own, which is run"
    assert block.answer is None, "nobody knows that it is answered like this"


@pytest.mark.parametrize("block", [block for block in COMMANDS if block.is_make], ids=str)
def test_what_is_made_can_be_made(block: Block) -> None:
    targets = set(re.findall(r"^([a-z-]+):", Path("Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"^make ([a-z-]+)", block.text, re.MULTILINE)) <= targets


@pytest.mark.parametrize("document", DOCUMENTS, ids=str)
def test_no_call_hides_in_a_sentence_where_nothing_runs_it(document: Path) -> None:
    assert not re.findall(r"`curl\s[^`]*`", prose(document))


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
