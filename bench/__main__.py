"""`python -m bench`: measures every figure, prints them, and writes them to docs/performance.md."""

from __future__ import annotations

import argparse
import sys
import time
from typing import TYPE_CHECKING, Final

from bench import answering, clients, planning, report, starting
from bench.figures import FIGURES, Options
from bench.stage import BenchError, say
from dev.stack import stop_on_signals
from dev.storage import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.figures import Row

LATENCY: Final = 280.0
# What measures which figures, in the order in which they are run.
MEASURES: Final[dict[Callable[[Options], list[Row]], tuple[str, ...]]] = {
    starting.importing: ("import",),
    starting.cold_start: ("cold",),
    clients.one_client: ("calls", "redelivery", "one"),
    clients.many_clients: ("many", "cpu", "rotate"),
    clients.throttled: ("throttled",),
    answering.answers: ("post-p50", "post-p99", "post-url", "get"),
    clients.memory: ("memory", "memory-total"),
    planning.planner: ("planner-requests", "planner-time"),
}


def main() -> int:
    """Run; 0 only if every figure that was measured meets its target."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller numbers, for a look")
    parser.add_argument("--only", nargs="+", choices=FIGURES, metavar="FIGURE", help=f"of {', '.join(FIGURES)}")
    parser.add_argument(
        "--latency", type=float, default=LATENCY, metavar="MS", help="of an outside call (default: 280)"
    )
    arguments = parser.parse_args()
    options = Options(arguments.latency / 1000, arguments.quick)
    chosen = set(arguments.only or FIGURES)
    stop_on_signals()
    rows: dict[str, Row] = {}
    try:
        for measure, names in MEASURES.items():
            if chosen.intersection(names):
                begun = time.monotonic()
                found = measure(options)
                rows |= zip(names, found, strict=True)
                for row in found:
                    say(f"{row.figure.title}: {row.ours}, {row.ratio or 1:.2f} x", end="\n")
                say(f"took {time.monotonic() - begun:.0f} s", end="\n")
    except KeyboardInterrupt:
        print("\nStopped; nothing is left running.", file=sys.stderr)
        return 130
    except (BenchError, StorageError, RuntimeError, OSError) as error:
        print(f"The bench failed: {error}", file=sys.stderr)
        return 1
    measured = [row for name, row in rows.items() if name in chosen]
    print(report.table(measured))
    if not arguments.quick and arguments.latency == LATENCY:
        report.write(rows, options)
    return int(any(row.met is False for row in measured))


if __name__ == "__main__":
    sys.exit(main())
