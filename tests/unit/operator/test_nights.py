"""The nights that are played are those that the documents tell of, with the same lines of the log."""

import re
from pathlib import Path

from tests.e2e import nights


def test_each_night_of_the_documents_is_played_and_the_log_says_the_same() -> None:
    table = Path("docs/operations.md").read_text().partition("## Six nights")[2].partition("\n## ")[0]
    told = {name: line for line in table.splitlines() for name in re.findall(r"^\| \*\*(.+?)\.\*\*", line)}
    assert told.keys() == nights.LOG.keys()
    assert told.keys() == nights.MEASURE.keys()
    for name, said in nights.LOG.items():
        _, log, measure, _ = told[name].split(" | ")
        assert f"`{said}`" in log, name
        measured = nights.MEASURE[name]
        assert measure.startswith("none: ") if measured is None else f"`{measured[0]}`" in measure, name
        assert measured is None or measured[1] is None or measured[1][1] in measure or measured[1][0] == "kind", name
        assert f"test_{name.lower().replace(' ', '_')}" in dir(nights)
