"""The documents: the blocks of commands in them, and the answers that are shown for these."""

import re
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

DOCUMENTS = sorted([*Path().glob("*.md"), *Path("docs").rglob("*.md")])
SUBSCRIPTION = frozenset({"az", "func", "azd"})
REST = "…"

_FENCE = re.compile(r"^(?P<indent> *)```(?P<language>\S*)\n(?P<text>.*?)^(?P=indent)```$", re.MULTILINE | re.DOTALL)
# Of a quoted text or a comment only what the shell runs in it is left, so that neither makes a command.
_QUOTED = re.compile(r"'[^']*'|\"(?:\\.|[^\"\\])*\"|(?<!\S)#[^\n]*", re.DOTALL)
_SUBSTITUTED = re.compile(r"\$\([^)]*\)")
_COMMAND = re.compile(
    r"(?:^|[|;&(!]|\{\s|\b(?:then|do|else|elif|if|until|while)\s)\s*(?:\w+=[^\s(]*\s+)*(?P<name>[\w./-]+)(?![\w./-]|=|\(\))",
    re.MULTILINE,
)
_VARYING = {
    "<id>": re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{8})?(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"),
    "<time>": re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z|\d{8}T\d{6}Z"),
    "<port>": re.compile(r"(?<=://localhost:)\d+"),
}


@dataclass(frozen=True)
class Block:
    """A fenced block of a document, and the answer that stands directly below it."""

    document: Path
    line: int
    language: str
    text: str
    answer: "Block | None" = None

    def __str__(self) -> str:
        return f"{self.document}:{self.line}"

    @property
    def commands(self) -> frozenset[str]:
        """What stands where the shell looks for a command: not in a text, and not in a comment."""
        bare = _QUOTED.sub(lambda quoted: " ".join(_SUBSTITUTED.findall(quoted[0])), self.text.replace("\\\n", " "))
        return frozenset(match["name"] for match in _COMMAND.finditer(bare))

    @property
    def needs_a_subscription(self) -> bool:
        return bool(self.commands & SUBSCRIPTION) or "infra.grant_permissions" in self.text  # of a tenant

    @property
    def is_make(self) -> bool:
        return self.commands == {"make"}


def blocks(document: Path) -> list[Block]:
    """Return the blocks of a document in order; an answer is with its commands, and not for itself."""
    text = document.read_text(encoding="utf-8")
    found: list[Block] = []
    above = None
    for fence in _FENCE.finditer(text):
        line = text.count("\n", 0, fence.start()) + 1
        block = Block(document, line, fence["language"], textwrap.dedent(fence["text"]))
        adjacent = above is not None and not text[above.end() : fence.start()].strip()
        if adjacent and found[-1].language == "sh" and block.language in {"json", "http"}:
            found[-1] = Block(document, found[-1].line, "sh", found[-1].text, block)
        else:
            found.append(block)
        above = fence
    return found


def prose(document: Path) -> str:
    """Return a document without its blocks."""
    return _FENCE.sub("", document.read_text(encoding="utf-8"))


def differences(shown: Any, real: Any, at: str = "#") -> Iterator[str]:
    """Say where a real answer is not as it is shown, but for ids, times, ports, and what `…` leaves out."""
    if type(shown) is not type(real):
        yield f"{at} is shown as {type(shown).__name__}, and is {type(real).__name__}"
    elif isinstance(shown, dict):
        yield from _named(shown, real, at)
    elif isinstance(shown, list):
        yield from _listed(shown, real, at)
    elif not _same(shown, real):
        yield f"{at} is shown as {shown!r}, and is {real!r}"


def _named(shown: dict[str, Any], real: dict[str, Any], at: str) -> Iterator[str]:
    yield from (f"{at}/{name} is shown, and is not there" for name in sorted(shown.keys() - real.keys() - {REST}))
    if REST not in shown:
        yield from (f"{at}/{name} is there, and is not shown" for name in sorted(real.keys() - shown.keys()))
    for name in shown.keys() & real.keys():
        yield from differences(shown[name], real[name], f"{at}/{name}")


def _listed(shown: list[Any], real: list[Any], at: str) -> Iterator[str]:
    entries = [entry for entry in shown if entry != REST]
    if len(real) < len(entries) or (len(real) > len(entries) and REST not in shown):
        yield f"{at} is shown with {len(entries)} entries, and has {len(real)}"
    for number, (entry, other) in enumerate(zip(entries, real, strict=False)):
        yield from differences(entry, other, f"{at}/{number}")


def _same(shown: Any, real: Any) -> bool:
    if not isinstance(shown, str):
        return bool(shown == real)
    pattern = ".*".join(map(re.escape, _without_varying(shown).split(REST)))
    return bool(re.fullmatch(pattern, _without_varying(real), re.DOTALL))


def _without_varying(text: str) -> str:
    for name, pattern in _VARYING.items():
        text = pattern.sub(name, text)
    return text
