"""`python -m bench`: measures every figure, prints them, and writes them to docs/performance.md."""

import argparse
import sys
import time
from typing import Final

from bench.harness import Figure, Options, say, table, write
from bench.measures import answers, cold_start, importing, many_clients, memory, one_client, planner, throttled
from dev.stack import stop_on_signals

LATENCY: Final = 280.0
_FLOOR: Final = "floor: 2 Graph, 1 vault write, 1 vault read, 3 proofs"
_CAP: Final = "at least 90 % of it used, 0 failed, at most 1 refusal per write"
_ONCE: Final = "1 row read, 0 writes, 0 outside calls"
_MANY: Final = "service clients through one instance, concurrency 16"
_LEAST, _BARE = "a one-function app on the same host", "a bare function, same outputs"

# What is measured beside what, by which function, and how large the ratio may be.
FIGURES: Final = {
    "import": Figure("`import function_app`", "`import azure.functions`", importing, 1.8),
    "cold": Figure("cold start: new process to first 202", _LEAST, cold_start, 1.6),
    "calls": Figure(
        "outside calls per active service client", _FLOOR, one_client, target="the floor, 0 s of fixed waiting"
    ),
    "redelivery": Figure("redelivery of a finished operation", "", one_client, target=_ONCE),
    "one": Figure("one client, POST to active", "sum of the latencies on the critical path", one_client, 1.2),
    "many": Figure(_MANY, "critical path x ceil(clients / 16)", many_clients, 1.3),
    "cpu": Figure("CPU per active service client", "a script that makes the same calls bare", many_clients, 2),
    "rotate": Figure("rotating clients through one instance", "as for registering them", many_clients, 1.3),
    "throttled": Figure("throttled Graph, 20 writes/s", "the cap", throttled, target=_CAP),
    "post-p50": Figure("POST answered, p50, 50 callers", _BARE, answers, 1.3),
    "post-p99": Figure("POST answered, p99, 50 callers", _BARE, answers, 1.5),
    "post-url": Figure("POST that names its resource by URL, p50", _BARE, answers),
    "get": Figure("GET status, p50", "a bare function with one table read", answers, 1.3),
    "planner-requests": Figure("planner, requests: due of 100,000", "due of 1,000", planner, 1.0),
    "planner-time": Figure("planner, time: due of 100,000", "a bare query of the same table", planner, 1.3),
    "memory": Figure("resident memory after many registrations", "after 50", memory, 1.2),
    "memory-total": Figure("resident memory in all", "the limit", memory, 1.0, "under 160 MB"),
}


def main() -> int:
    """Run; 0 only if every figure that was measured meets its target."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="smaller numbers, for a look")
    parser.add_argument("--only", nargs="+", choices=FIGURES, metavar="FIGURE", help=f"of {', '.join(FIGURES)}")
    parser.add_argument("--latency", type=float, default=LATENCY, metavar="MS", help="of an outside call")
    arguments = parser.parse_args()
    options, rows = Options(arguments.latency / 1000, arguments.quick), dict[str, list[str]]()
    stop_on_signals()
    try:
        for measure in dict.fromkeys(FIGURES[name].measure for name in arguments.only or FIGURES):
            names, begun = [name for name in FIGURES if FIGURES[name].measure is measure], time.monotonic()
            for name, found in zip(names, measure(options), strict=True):
                title, ours, _, ratio, *_ = rows[name] = FIGURES[name].row(found)
                say(f"{title}: {ours}, ratio {ratio}", end="\n")
            say(f"took {time.monotonic() - begun:.0f} s", end="\n")
    except KeyboardInterrupt:
        print("\nStopped; nothing is left running.", file=sys.stderr)
        return 130
    except (RuntimeError, OSError) as error:
        print(f"The bench failed: {error}", file=sys.stderr)
        return 1
    print(table(rows.values()))
    if rows.keys() == FIGURES.keys() and not arguments.quick and arguments.latency == LATENCY:
        write(rows.values(), LATENCY)
    return int(any("**no**" in row for row in rows.values()))


if __name__ == "__main__":
    sys.exit(main())
