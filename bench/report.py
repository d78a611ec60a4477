"""The figures as a table, and the measured part of docs/performance.md."""

from __future__ import annotations

import json
import os
import platform
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from bench.figures import FIGURES, Row
from bench.stage import KEPT, ROOT

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from bench.figures import Options

_DOCUMENT = ROOT / "docs" / "performance.md"
_KEPT = KEPT / "figures.json"
_BEGIN, _END = "<!-- measured: written by make bench -->", "<!-- /measured -->"
_HEAD = ("figure", "ours", "reference", "ratio", "target", "met")
_GIBIBYTE = 2**30


def table(rows: Sequence[Row]) -> str:
    """Return the figures as a table in Markdown, and below it what else was seen."""
    cells = [_HEAD, *map(_cells, rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(_HEAD))]
    lines = [" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in cells]
    lines.insert(1, " | ".join("-" * width for width in widths))
    notes = [f"- {row.figure.title}: {row.note}." for row in rows if row.note]
    return "\n".join([*(f"| {line} |" for line in lines), "", *notes])


def _cells(row: Row) -> tuple[str, ...]:
    figure = row.figure
    reference = ": ".join(filter(None, (row.reference, figure.reference))) or "-"
    ratio = "-" if row.ratio is None else f"{row.ratio:.2f}"
    met = {True: "yes", False: "**no**", None: "-"}[row.met]
    return figure.title, row.ours, reference, ratio, figure.target, met


def write(rows: Mapping[str, Row], options: Options) -> None:
    """Replace the measured part of the document, once each figure was measured; what people wrote around it stays.

    A figure that this run did not measure keeps the values of the run before: each is beside its own reference.
    """
    kept = json.loads(_KEPT.read_text(encoding="utf-8")) if _KEPT.exists() else {}
    kept |= {name: list(row[1:]) for name, row in rows.items()}
    _KEPT.parent.mkdir(parents=True, exist_ok=True)
    _KEPT.write_text(json.dumps(kept, indent=1), encoding="utf-8")
    if kept.keys() < FIGURES.keys():
        return
    before, _, rest = _DOCUMENT.read_text(encoding="utf-8").partition(_BEGIN)
    _, _, after = rest.partition(_END)
    latest = table([Row(figure, *kept[name]) for name, figure in FIGURES.items()])
    measured = f"{_BEGIN}\n\n{_conditions(options)}\n\n{latest}\n\n{_END}"
    _DOCUMENT.write_text(before + measured + after, encoding="utf-8")


def _conditions(options: Options) -> str:
    """Say when and on what this was measured, without the machine's name."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIBIBYTE
    return (
        f"{datetime.now(UTC):%Y-%m-%d}. {os.cpu_count()} cores ({_processor()}), {memory:.0f} GiB, "
        f"{platform.system()}, Python {platform.python_version()}. "
        f"{1000 * options.latency:.0f} ms for each outside call, 20 % less or more. "
        f"Load of the machine over the last 15 minutes: {os.getloadavg()[2]:.1f}."
    )


def _processor() -> str:
    information = Path("/proc/cpuinfo")
    lines = information.read_text(encoding="utf-8").splitlines() if information.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
