"""The figures and their targets, each a median of several runs beside that of its reference."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Sequence


@dataclass(frozen=True)
class Figure:
    """What is measured, beside what, and how large the ratio may be; without `most` the target is met or not."""

    title: str
    reference: str
    target: str
    most: float | None = None


FIGURES: Final = {
    "import": Figure("`import function_app`", "`import azure.functions`", "at most 1.8 x", 1.8),
    "cold": Figure("cold start: new process to first 202", "a one-function app on the same host", "at most 1.6 x", 1.6),
    "calls": Figure(
        "outside calls per active service client",
        "floor: 2 Graph, 1 vault write, 1 vault read, 3 proofs",
        "the floor, 0 s of fixed waiting",
    ),
    "redelivery": Figure("redelivery of a finished operation", "", "1 row read, 0 writes, 0 outside calls"),
    "one": Figure("one client, POST to active", "sum of the latencies on the critical path", "at most 1.2 x", 1.2),
    "many": Figure(
        "service clients through one instance, concurrency 16",
        "critical path x ceil(clients / 16)",
        "at most 1.3 x",
        1.3,
    ),
    "cpu": Figure("CPU per active service client", "a script that makes the same calls bare", "at most 2 x", 2.0),
    "rotate": Figure("rotating clients through one instance", "as for registering them", "at most 1.3 x", 1.3),
    "throttled": Figure(
        "throttled Graph, 20 writes/s", "the cap", "at least 90 % of it used, 0 failed, at most 1 refusal per write"
    ),
    "post-p50": Figure("POST answered, p50, 50 callers", "a bare function, same outputs", "at most 1.3 x", 1.3),
    "post-p99": Figure("POST answered, p99, 50 callers", "a bare function, same outputs", "at most 1.5 x", 1.5),
    "post-url": Figure("POST that names its resource by URL, p50", "a bare function, same outputs", "none"),
    "get": Figure("GET status, p50", "a bare function with one table read", "at most 1.3 x", 1.3),
    "planner-requests": Figure("planner, requests: due of 100,000", "due of 1,000", "at most 1.0 x", 1.0),
    "planner-time": Figure("planner, time: due of 100,000", "a bare query of the same table", "at most 1.3 x", 1.3),
    "memory": Figure("resident memory after many registrations", "after 50", "at most 1.2 x", 1.2),
    "memory-total": Figure("resident memory in all", "the limit", "under 160 MB", 1.0),
}


class Sample(NamedTuple):
    """Measured values of one thing, and their unit."""

    values: Sequence[float]
    unit: str

    @property
    def median(self) -> float:
        """The middle one."""
        return statistics.median(self.values)

    def __str__(self) -> str:
        """Return the median and, of several, the spread: the middle half of them, or of two or three all."""
        if len(self.values) == 1:
            return f"{_number(self.median)} {self.unit}"
        few = len(self.values) < 4  # noqa: PLR2004 -- fewer have no quarters
        quarters = statistics.quantiles(self.values, n=4, method="inclusive")
        low, high = (min(self.values), max(self.values)) if few else (quarters[0], quarters[2])
        return f"{_number(self.median)} {self.unit} ({_number(low)} to {_number(high)})"


class Row(NamedTuple):
    """One figure as measured. `note` says what else was seen, such as what bounds it."""

    figure: Figure
    ours: str
    reference: str
    ratio: float | None
    met: bool | None
    note: str = ""


class Options(NamedTuple):
    """How long a run is: the latency of an outside call in seconds, and the sizes of the figures."""

    latency: float
    quick: bool

    def size(self, full: int, quick: int) -> int:
        """Return how many."""
        return quick if self.quick else full


def compared(name: str, ours: Sample, reference: Sample, note: str = "") -> Row:
    """Return the row of a figure whose ratio has a target."""
    figure = FIGURES[name]
    ratio = ours.median / reference.median
    met = None if figure.most is None else ratio <= figure.most
    return Row(figure, str(ours), str(reference), ratio, met, note)


def counted(  # noqa: PLR0913 -- each is a column
    name: str, ours: str, reference: str, *, met: bool, ratio: float | None = None, note: str = ""
) -> Row:
    """Return the row of a figure that is met or not."""
    return Row(FIGURES[name], ours, reference, ratio, met, note)


def _number(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"  # noqa: PLR2004 -- three digits
