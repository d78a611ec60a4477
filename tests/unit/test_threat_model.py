"""Each threat in docs/threat-model.md is stopped by something, and that is held by tests that exist."""

import re
from pathlib import Path

import pytest

MODEL = Path("docs/threat-model.md").read_text(encoding="utf-8")
ROWS = [
    (section.partition("\n")[0], *(cell.strip() for cell in line.strip("|").split("|")))
    for section in MODEL.split("\n## ")[1:]
    for line in section.splitlines()
    if re.match(r"\| [A-Z] \|", line)
]
COMPONENTS = {
    *("Front door", "HTTP API", "Queue messages", "Tables", "Microsoft Graph", "Key Vault"),
    *("Token endpoint", "Notices", "Operator", "Supply chain", "Chat"),
}


def test_each_component_and_each_letter_has_its_threats() -> None:
    assert {component for component, *_ in ROWS} == COMPONENTS
    assert {letter for _, letter, *_ in ROWS} == set("STRIDE")
    assert len(ROWS) > 50


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row[0]}: {row[2][:60]}")
def test_every_threat_is_stopped_and_every_test_that_is_said_to_hold_it_exists(row: tuple[str, ...]) -> None:
    _, _, threat, stopped, held = row
    assert threat
    assert stopped
    tests = re.findall(r"`([^`:]+)::([^`]+)`", held)
    assert len(tests) == held.count("`") / 2 > 0
    for path, name in tests:
        assert f"\ndef {name}(" in Path(path).read_text(encoding="utf-8"), f"{path}::{name}"
