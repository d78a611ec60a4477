"""The nights that are played are those that the documents tell of, with the same lines of the log."""

import re
from pathlib import Path

from tests.e2e import nights


def test_each_night_of_the_documents_is_played_and_the_log_says_the_same() -> None:
    table = Path("docs/operations.md").read_text().partition("## Six nights")[2].partition("\n## ")[0]
    told = {name: line for line in table.splitlines() for name in re.findall(r"^\| \*\*(.+?)\.\*\*", line)}
    assert told.keys() == nights.LOG.keys()
    for name, said in nights.LOG.items():
        assert f"`{said}`" in told[name].split(" | ")[1], name
        assert f"test_{name.lower().replace(' ', '_')}" in dir(nights)
