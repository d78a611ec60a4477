"""`python -m bench`: measures every figure, prints them, and writes them to docs/performance.md."""

import argparse
import os
import platform
import re
import statistics
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple

from bench.measures import answers, cold_start, importing, many_clients, one_client, planner, throttled
from bench.stage import LATENCY, ROOT, Found, Size, say
from dev.stack import stop_on_signals

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
        taken, unit, note, met = found
        told, ratio = [taken, ""] if isinstance(taken, str) else [_told(values, unit) for values in taken], "-"
        if not isinstance(taken, str):
            times = statistics.median(taken[0]) / statistics.median(taken[1])
            ratio, met = f"{times:.2f}", times <= self.most if self.most else met
        reference = ": ".join(filter(None, (told[1], self.reference))) or "-"
        target = self.target or (f"at most {self.most} x" if self.most else "none")
        return [self.title, told[0], reference, ratio, target, {True: "yes", False: "**no**", None: "-"}[met], note]


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
    model = re.search(r"model name\s*: (.*)", Path("/proc/cpuinfo").read_text("utf-8"))
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    conditions = (
        f"{datetime.now(UTC):%Y-%m-%d}. {os.cpu_count()} cores ({model[1] if model else platform.machine()}), "
        f"{memory:.0f} GiB, {platform.system()}, Python {platform.python_version()}. {1000 * LATENCY:.0f} ms for each "
        f"outside call, 20 % less or more. Load of the machine over the last 15 minutes: {os.getloadavg()[2]:.1f}."
    )
    before, _, rest = _DOCUMENT.read_text("utf-8").partition(_BEGIN)
    measured = f"{_BEGIN}\n\n{conditions}\n\n{table(rows)}\n\n{_END}"
    _DOCUMENT.write_text(before + measured + rest.partition(_END)[2], "utf-8")


_FLOOR: Final = "floor: 2 Graph, 1 vault write, 1 vault read, 3 proofs"
_NO_WAIT: Final = "the floor, 0 s of fixed waiting"
_CAP: Final = "at least 90 % of it used, 0 failed, at most 1 refusal per write"
_ONCE: Final = "1 row read, 0 writes, 0 outside calls"
_MANY: Final = "service clients through one instance, concurrency 16"
_LEAST, _BARE = "a one-function app on the same host", "a bare function, same outputs"

# What is measured beside what, by which function, and how large the ratio may be.
FIGURES: Final = (
    Figure("`import function_app`", "`import azure.functions`", importing, 1.8),
    Figure("cold start: new process to first 202", _LEAST, cold_start, 1.6),
    Figure("outside calls per active service client", _FLOOR, one_client, target=_NO_WAIT),
    Figure("redelivery of a finished operation", "", one_client, target=_ONCE),
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


def main() -> int:
    """Run; 0 only if every figure that was measured meets its target."""
    measures = {figure.measure.__name__: figure.measure for figure in FIGURES}
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller numbers, for a look")
    parser.add_argument("--only", nargs="+", choices=measures, metavar="MEASURE", help=f"of {', '.join(measures)}")
    arguments, rows = parser.parse_args(), list[list[str]]()
    stop_on_signals()
    try:
        for measure in (measures[name] for name in arguments.only or measures):
            figures, begun = [each for each in FIGURES if each.measure is measure], time.monotonic()
            for figure, found in zip(figures, measure(lambda *sizes: sizes[arguments.quick]), strict=True):
                title, ours, _, ratio, *_ = row = figure.row(found)
                rows.append(row)
                say(f"{title}: {ours}, ratio {ratio}", end="\n")
            say(f"took {time.monotonic() - begun:.0f} s", end="\n")
    except KeyboardInterrupt:
        print("\nStopped; nothing is left running.", file=sys.stderr)
        return 130
    except (RuntimeError, OSError) as error:
        print(f"The bench failed: {error}", file=sys.stderr)
        return 1
    print(table(rows))
    if not arguments.quick and not arguments.only:
        write(rows)
    return int(any("**no**" in row for row in rows))


if __name__ == "__main__":
    sys.exit(main())
