"""The commands of the documents, run as they are written, in order, one shell for each document.

They meet the local stack as a reader does who started `make run`, and find no more on their path than what the
documents ask for. An answer that stands below a block is compared with the real one. What is not run is told by its
commands: those of Azure need a subscription, and `make` is what runs this.
"""

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import pytest

from dev.stack import Stack, stack
from tests.documents import DOCUMENTS, Block, blocks, differences

PATIENCE = 90.0
TOOLS = ("curl", "mktemp", "sleep", "tail")
# Not on every machine; where it is missing, the blocks that call it are left out.
NOT_EVERYWHERE = "openssl"
ROOT = Path(__file__).parents[2]
# A document that says so is run against a stack whose callers sign in.
SIGN_IN = "make run AUTH=entra"
REFUSED = re.compile(r"^HTTP/\S+ [45]\d\d|\"type\": \"about:blank\"", re.MULTILINE)

RUN = {
    document: run
    for document in DOCUMENTS
    if (
        run := [
            block
            for block in blocks(document)
            if block.language == "sh" and not block.needs_a_subscription and not block.is_make
        ]
    )
}


class Reader(NamedTuple):
    """Somebody with a shell in a folder where the stack is served."""

    folder: Path
    running: Stack


@pytest.fixture(scope="module")
def reader(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with reading(tmp_path_factory.mktemp("reader"), "key") as one:
        yield one


@pytest.fixture(scope="module")
def reader_who_signs_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    with reading(tmp_path_factory.mktemp("reader"), "entra") as one:
        yield one


@contextmanager
def reading(home: Path, caller_auth: str) -> Iterator[Reader]:
    folder = home / "project"
    shutil.copytree("examples", folder / "examples")
    (folder / ".local").mkdir()
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nPYTHONPATH={ROOT} PYTHONDONTWRITEBYTECODE=1 exec {sys.executable} "$@"\n')
    python.chmod(0o755)
    (home / "tools").mkdir()
    for tool in (*TOOLS, NOT_EVERYWHERE):
        if found := shutil.which(tool):
            (home / "tools" / tool).symlink_to(found)
    (home / "tools" / "python3").symlink_to(sys.executable)
    settings = {"CALLER_AUTH": caller_auth}
    with stack(folder / ".local", log_file=home / "host.log", app_settings=settings) as running:
        yield Reader(folder, running)


def test_most_blocks_are_run() -> None:
    assert {Path("README.md"), Path("docs/api.md"), Path("docs/operations.md")} <= RUN.keys()
    assert sum(map(len, RUN.values())) >= 20


@pytest.mark.parametrize("document", RUN, ids=str)
def test_the_commands_of_a_document_do_what_it_shows(
    request: pytest.FixtureRequest, document: Path, tmp_path: Path
) -> None:
    signs_in = SIGN_IN in document.read_text(encoding="utf-8")
    reader: Reader = request.getfixturevalue("reader_who_signs_in" if signs_in else "reader")
    before = files(reader.folder)
    faults = play(reader, RUN[document], tmp_path)
    assert not faults, "\n".join(faults)
    after = files(reader.folder)
    left = sorted(str(path) for path in after if after[path] != before.get(path))
    assert not left, f"{document} leaves files in the folder of the repository"
    assert after == before


@pytest.mark.parametrize(
    ("text", "answer", "fault"),
    [
        ("echo '{' && false", None, "exit 1"),
        ("jq . examples/public.json", None, "command not found"),
        ("curl -s $API/registrations/$NOBODY", None, "NOBODY: unbound variable"),
        ("curl -s $API/registrations/nobody", None, "is refused"),
        ("curl -i -X POST -d '' $API/registrations/nobody/rotate", None, "is refused"),
        ("curl -s $API/health", '{"status": "well"}', "#/status is shown as 'well', and is 'alive'"),
        ("curl -s $API/health", '{"alive": true, "…": "…"}', "#/alive is shown, and is not there"),
        ("curl -s $API/health", "{}", "#/status is there, and is not shown"),
        ("curl -s $API/health", '{"status": null}', "#/status is shown as NoneType, and is str"),
        ("curl -s $API/health; echo so", '{"status": "alive"}', "no JSON"),
    ],
)
def test_a_block_that_does_not_do_what_it_shows_is_named(
    reader: Reader, text: str, answer: str | None, fault: str, tmp_path: Path
) -> None:
    shown = Block(Path("broken.md"), 13, "json", answer) if answer else None
    well = Block(Path("broken.md"), 3, "sh", "API=${API:?}\n")
    [found] = play(reader, [well, Block(Path("broken.md"), 7, "sh", text + "\n", shown)], tmp_path)
    assert found.startswith("broken.md:7: ")
    assert fault in found


def play(reader: Reader, run: list[Block], folder: Path) -> list[str]:
    """Run blocks in one shell, and say what was not as it is shown: no more once a block has stopped."""
    present = [block for block in run if NOT_EVERYWHERE not in block.commands or shutil.which(NOT_EVERYWHERE)]
    for block in present:
        (folder / f"{block.line}.sh").write_text(block.text)
    stopped = typed(
        reader,
        folder,
        "".join(f". {folder}/{b.line}.sh >{folder}/{b.line}.out 2>{folder}/{b.line}.err\n" for b in present),
    )
    begun = [block for block in present if (folder / f"{block.line}.out").exists()]
    if stopped:
        return [f"{begun[-1]}: {stopped}\n" + (folder / f"{begun[-1].line}.err").read_text()]
    outputs = [(block, (folder / f"{block.line}.out").read_text()) for block in begun]
    return [f"{block}: {fault}" for block, output in outputs for fault in faults_of(block, output)]


def typed(reader: Reader, folder: Path, script: str) -> str | None:
    """Have a shell take a script; return how it stopped, if it did before its end."""
    shell = shutil.which("bash")
    assert shell
    try:
        done = subprocess.run(  # noqa: S603 - the documents of this repository
            [shell, "--noprofile", "--norc", "-euo", "pipefail", "-c", script],
            cwd=reader.folder,
            env={
                "API": reader.running.api,
                "HOME": str(folder),
                "TMPDIR": str(folder),
                "PATH": str(reader.folder.parent / "tools"),
                "LANG": os.environ.get("LANG", "C.UTF-8"),
            },
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            timeout=PATIENCE,
            check=False,
        )
    except subprocess.TimeoutExpired:
        return f"does not end within {PATIENCE:.0f} s"
    return f"exit {done.returncode} {done.stderr}" if done.returncode else None


def faults_of(block: Block, output: str) -> Iterator[str]:
    """Say where the output of a block is not the answer that is shown; where none is, it is at least no refusal."""
    if block.answer is None:
        if REFUSED.search(output):
            yield f"is refused, and does not say so\n{output}"
        return
    head, shown = parted(block.answer.text) if block.answer.language == "http" else ("", block.answer.text)
    real_head, real = parted(output) if block.answer.language == "http" else ("", output)
    lines = real_head.splitlines()
    for line in head.splitlines():
        if all(list(differences(line, real_line)) for real_line in lines):
            yield f"{line!r} is shown, and is not in the answer\n{real_head}"
    if shown.strip() or real.strip():
        try:
            yield from differences(json.loads(shown), json.loads(real))
        except ValueError:
            yield f"no JSON is answered\n{output}"


def parted(answer: str) -> tuple[str, str]:
    """Return the head of an HTTP answer and its body."""
    head, _, body = answer.replace("\r\n", "\n").partition("\n\n")
    return head, body


def files(folder: Path) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
