"""What is printed: a table for people. Nothing of it holds a control character, whatever a row holds."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final

_WIDEST: Final = 60


def as_table(rows: Iterable[Mapping[str, Any]], columns: Mapping[str, str]) -> str:
    """Return the rows below the names of the columns, each as wide as it needs to be; the last one is not cut."""
    last = list(columns)[-1]
    lines = [list(columns.values())]
    lines += [[_text(row.get(name), whole=name == last) for name in columns] for row in rows]
    widths = [max(len(line[place]) for line in lines) for place in range(len(columns))]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: list[str], widths: list[int]) -> str:
    return "  ".join(map(str.ljust, cells, widths)).rstrip()


def _text(value: object, *, whole: bool) -> str:
    if value is None or value == "":
        return "-"
    if isinstance(value, list | tuple):
        value = ", ".join(map(str, value)) or "-"
    text = "".join(each if each.isprintable() else "?" for each in str(value))
    return text if whole or len(text) <= _WIDEST else f"{text[: _WIDEST - 1]}…"


def time_text(moment: datetime | None) -> str | None:
    """Return a time to the second."""
    return None if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%SZ")
