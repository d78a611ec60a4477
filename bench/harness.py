"""How values are taken, set beside each other, and told: as a table, and as the measured part of the document."""

import os
import platform
import statistics
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

T = TypeVar("T")
_DOCUMENT: Final = Path(__file__).parents[1] / "docs" / "performance.md"
_BEGIN, _END = "<!-- measured: written by make bench -->", "<!-- /measured -->"
_HEAD: Final = ["figure", "ours", "reference", "ratio", "target", "met", ""]


class Options(NamedTuple):
    """How long a run is: the latency of an outside call in seconds, and the sizes of the figures."""

    latency: float
    quick: bool

    def size(self, full: int, quick: int) -> int:
        """Return how many."""
        return quick if self.quick else full


class Sample(NamedTuple):
    """Measured values of one thing, and their unit."""

    values: Sequence[float]
    unit: str

    def __str__(self) -> str:
        """Return the median and, of several, the spread: the middle half of them, or of two or three all."""
        few = len(self.values) < 4  # noqa: PLR2004 -- fewer have no quarters
        ends = sorted(self.values) if few else statistics.quantiles(self.values, method="inclusive")
        spread = f" ({_number(ends[0])} to {_number(ends[-1])})" if len(ends) > 1 else ""
        return f"{_number(statistics.median(self.values))} {self.unit}".strip() + spread


class Found(NamedTuple):
    """What was measured for one figure. `met` where the ratio does not say; `note` is what else was seen."""

    ours: Sample | str
    reference: Sample | None = None
    note: str = ""
    met: bool | None = None


def beside(taken: Sequence[Sequence[float]], unit: str, note: str = "") -> Found:
    """Return what is found by values of ours and of its reference."""
    ours, reference = (Sample(values, unit) for values in taken)
    return Found(ours, reference, note)


class Figure(NamedTuple):
    """One line of the table. A measure finds all figures that name it; `most` is the target of the ratio."""

    title: str
    reference: str
    measure: Callable[[Options], Iterable[Found]]
    most: float | None = None
    target: str = ""

    def row(self, found: Found) -> list[str]:
        """Return the cells of its line, and the note that belongs to it."""
        ours, reference, note, met = found
        ratio, target = "-", self.target or (f"at most {self.most} x" if self.most else "none")
        if reference is not None and not isinstance(ours, str):
            times = statistics.median(ours.values) / statistics.median(reference.values)
            ratio, met = f"{times:.2f}", times <= self.most if self.most else met
        held_to = ": ".join(filter(None, (str(reference or ""), self.reference))) or "-"
        return [self.title, str(ours), held_to, ratio, target, {True: "yes", False: "**no**", None: "-"}[met], note]


def in_turns(name: str, rounds: int, *measures: Callable[[], T]) -> list[list[T]]:
    """Return what each measure gave in each round; they take turns, so that a busy machine strikes all of them."""
    taken: list[list[T]] = [[] for _ in measures]
    for number in range(rounds):
        say(f"{name}: {number + 1} of {rounds}")
        for measure, values in zip(measures, taken, strict=True):
            values.append(measure())
    return taken


def say(text: str, end: str = "\r") -> None:
    """Show progress: on a terminal in place, else only what ends a line."""
    if sys.stderr.isatty() or end == "\n":
        print(f"\033[K  {text}" if sys.stderr.isatty() else f"  {text}", end=end, file=sys.stderr, flush=True)


def table(rows: Iterable[list[str]]) -> str:
    """Return the rows as a table in Markdown, and below it their notes."""
    *cells, notes = zip(_HEAD, *rows, strict=True)
    columns = [[each.ljust(max(map(len, column))) for each in column] for column in cells]
    lines = [f"| {' | '.join(line)} |" for line in zip(*columns, strict=True)]
    lines.insert(1, f"| {' | '.join('-' * len(column[0]) for column in columns)} |")
    return "\n".join(
        [*lines, "", *(f"- {title}: {note}." for title, note in zip(cells[0], notes, strict=True) if note)]
    )


def write(rows: Iterable[list[str]], latency: float) -> None:
    """Replace the measured part of the document; what people wrote around it stays."""
    lines = Path("/proc/cpuinfo").read_text("utf-8").splitlines()
    processor = next((line.partition(": ")[2] for line in lines if line.startswith("model name")), platform.machine())
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    conditions = (
        f"{datetime.now(UTC):%Y-%m-%d}. {os.cpu_count()} cores ({processor}), {memory:.0f} GiB, {platform.system()}, "
        f"Python {platform.python_version()}. {latency:.0f} ms for each outside call, 20 % less or more. "
        f"Load of the machine over the last 15 minutes: {os.getloadavg()[2]:.1f}."
    )
    before, _, rest = _DOCUMENT.read_text("utf-8").partition(_BEGIN)
    measured = f"{_BEGIN}\n\n{conditions}\n\n{table(rows)}\n\n{_END}"
    _DOCUMENT.write_text(before + measured + rest.partition(_END)[2], "utf-8")


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 -- three digits
