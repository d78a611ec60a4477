"""`python -m bench`: measures every figure, prints them, and writes them to docs/performance.md."""

import argparse
import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from typing import Final, NamedTuple

from bench.measures import answers, cold_start, importing, many_clients, one_client, planner, throttled
from bench.stage import LATENCY, ROOT, Found, Size, say
from dev.stack import to_the_end

_DOCUMENT: Final = ROOT / "docs/performance.md"
_BEGIN, _END = "<!-- measured: written by make bench -->", "<!-- /measured -->"


class Figure(NamedTuple):
    """One line of the table. A measure finds all figures that name it; `most` is the target of the ratio."""

    title: str
    reference: str
    measure: Callable[[Size], Iterable[Found]]
    most: float | None = None
    target: str = ""

    def row(self, found: Found) -> list[str]:
        """Return the cells of its line, and the note that belongs to it."""
        (ours, theirs), unit, note, met = found
        ratio = statistics.median(ours) / statistics.median(theirs)
        met = ratio <= self.most if self.most else met
        reference = f"{_told(theirs, unit)}: {self.reference}"
        cells = self.title, _told(ours, unit), reference, f"{ratio:.2f}"
        target = self.target or (f"at most {self.most} x" if self.most else "none")
        return [*cells, target, {True: "yes", False: "**no**", None: "-"}[met], note]


def _told(values: Sequence[float], unit: str) -> str:
    """Return the median and, of several, the spread: the middle half of them, or of two or three all."""
    ends = sorted(values) if len(values) < 4 else statistics.quantiles(values, method="inclusive")  # noqa: PLR2004 -- quarters
    median, least, most = (f"{float(f'{each:.3g}'):g}" for each in (statistics.median(values), ends[0], ends[-1]))
    return f"{median} {unit}".strip() + (f" ({least} to {most})" if len(values) > 1 else "")


def table(rows: Iterable[list[str]]) -> str:
    """Return the rows as a table in Markdown, and below it their notes."""
    *cells, notes = zip(["figure", "ours", "reference", "ratio", "target", "met", ""], *rows, strict=True)
    columns = [[each.ljust(max(map(len, column))) for each in column] for column in cells]
    lines = [f"| {' | '.join(line)} |" for line in zip(*columns, strict=True)]
    lines.insert(1, f"| {' | '.join('-' * len(column[0]) for column in columns)} |")
    told = (f"- {title}: {note}." for title, note in zip(cells[0], notes, strict=True) if note)
    return "\n".join([*lines, "", *told])


def write(rows: Iterable[list[str]]) -> None:
    """Replace the measured part of the document; what people wrote around it stays."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    conditions = (
        f"{datetime.now(UTC):%Y-%m-%d}. {os.cpu_count()} cores ({platform.machine()}), "
        f"{memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}. {1000 * LATENCY:.0f} ms for each "
        f"outside call, 20 % less or more. Load of the machine over the last 15 minutes: {os.getloadavg()[2]:.1f}."
    )
    before, _, rest = _DOCUMENT.read_text("utf-8").partition(_BEGIN)
    measured = f"{_BEGIN}\n\n{conditions}\n\n{table(rows)}\n\n{_END}"
    _DOCUMENT.write_text(before + measured + rest.partition(_END)[2], "utf-8")


_FLOOR: Final = "floor: 2 Graph, 1 vault write, 1 vault read, 3 proofs"
_NO_WAIT: Final = "the floor, 0 s of fixed waiting"
_CAP: Final = "at least 90 % of it used, 0 failed, at most 1 refusal per write"
_MANY: Final = "service clients through one instance, concurrency 16"
_LEAST, _BARE = "a one-function app on the same host", "a bare function, same outputs"

# What is measured beside what, by which function, and how large the ratio may be.
FIGURES: Final = (
    Figure("`import function_app`", "`import azure.functions`", importing, 1.8),
    Figure("cold start: new process to first 202", _LEAST, cold_start, 1.6),
    Figure("outside calls per active service client", _FLOOR, one_client, target=_NO_WAIT),
    Figure("redelivery of a finished operation", "the row read", one_client, target="0 writes, 0 outside calls"),
    Figure("one client, POST to active", "sum of the latencies on the critical path", one_client, 1.2),
    Figure(_MANY, "critical path x ceil(clients / 16)", many_clients, 1.3),
    Figure("CPU per active service client", "a script that makes the same calls bare", many_clients, 2),
    Figure("rotating clients through one instance", "as for registering them", many_clients, 1.3),
    Figure("resident memory after many registrations", "after 50", many_clients, 1.2),
    Figure("resident memory in all", "the limit", many_clients, 1.0, "under 160 MB"),
    Figure("throttled Graph, 20 writes/s", "the cap", throttled, target=_CAP),
    Figure("POST answered, p50, 50 callers", _BARE, answers, 1.3),
    Figure("POST answered, p99, 50 callers", _BARE, answers, 1.5),
    Figure("POST that names its resource by URL, p50", _BARE, answers),
    Figure("GET status, p50", "a bare function with one table read", answers, 1.3),
    Figure("planner, requests: due of 100,000", "due of 1,000", planner, 1.0),
    Figure("planner, time: due of 100,000", "a bare query of the same table", planner, 1.3),
)


def measured(chosen: Iterable[Figure], rows: list[list[str]], quick: int) -> int:
    """Measure, and append a row for each figure; 0 only if every one meets its target."""
    for measure, figures in groupby(chosen, attrgetter("measure")):
        for figure, found in zip(figures, measure(lambda *sizes: sizes[quick]), strict=True):
            rows.append(figure.row(found))
            say("{0}: {1}, ratio {3}".format(*rows[-1]), end="\n")
    return int(any("**no**" in row for row in rows))


def main() -> int:
    """Run as asked on the command line; 0 only if every figure that was measured meets its target."""
    measures = list(dict.fromkeys(figure.measure.__name__ for figure in FIGURES))
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller numbers, for a look")
    parser.add_argument("--only", nargs="+", choices=measures, metavar="MEASURE", help=f"of {', '.join(measures)}")
    arguments, rows = parser.parse_args(), list[list[str]]()
    chosen = [figure for figure in FIGURES if figure.measure.__name__ in (arguments.only or measures)]
    code = to_the_end(lambda: measured(chosen, rows, arguments.quick), "The bench failed", RuntimeError, OSError)
    print(table(rows))
    if len(rows) == len(FIGURES) and not arguments.quick:
        write(rows)
    return code


if __name__ == "__main__":
    sys.exit(main())
