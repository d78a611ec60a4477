"""What the figures measure: how long callers wait, what clients cost one host instance, and what a planner costs."""

import multiprocessing
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from datetime import UTC, datetime
from functools import partial
from math import ceil
from timeit import timeit
from typing import Final

import urllib3

from bench.bare_calls import CONCURRENCY, cpu_seconds
from bench.stage import CLIENT, LATENCY, ROOT, SERVER, Found, Load, Size, anew, asked_of, due_table, in_turns, stage
from provisioning.adapters.rows import time_key
from provisioning.domain.messages import operation_message, read_message
from provisioning.flow.plan import due_messages
from provisioning.flow.provision import carry_out

FEW, CALLERS, POLLERS, MANY_AT_ONCE = 50, 50, 8, 64
WRITES_PER_SECOND, LEAST_SHARE, MOST_REFUSALS, LARGEST_MEMORY = 20, 0.9, 1.0, 160.0
# 2 Graph, 1 vault read, 1 vault write, and SECRET_PROOF_COUNT token requests.
_ONE_EACH: Final = ("graph.createApplication", "graph.createServicePrincipal", "vault.getSecret", "vault.setSecret")
FLOOR: Final = Counter(_ONE_EACH) + Counter({"token.clientCredentials": 3})
# What a warm process does not call for each client: tokens of its own, discovery, the vault's question who calls.
_ONCE: Final = frozenset({"identity.token", "token.discovery", "vault.challenge"})
# In Azure queues are looked at by the host, in another process than the app's; here they would share its interpreter.
_OFF: Final = ("provision", "give_up", "notify", "drop_notice_message")
_ANSWERS_ONLY: Final = {f"AzureWebJobs.{name}.Disabled": "1" for name in _OFF}
_IMPORT: Final = "from timeit import timeit; print(timeit('import {}', number=1))"
# Storage closed a connection, and the app answered 503: a caller sends it again.
_AGAIN: Final = urllib3.Retry(100, status_forcelist=[503], allowed_methods=None, respect_retry_after_header=False)
_POST, _BARE = "/api/registrations", "/api/bare"


def importing(size: Size) -> Iterator[Found]:
    """Import the app and the library, each in a new interpreter."""

    def seconds(module: str) -> float:
        return float(subprocess.check_output([sys.executable, "-c", _IMPORT.format(module)], cwd=ROOT))  # noqa: S603 -- ours

    measures = (partial(seconds, module) for module in ("function_app", "azure.functions"))
    yield Found(in_turns("import", size(25, 7), *measures), "s")


def cold_start(size: Size) -> Iterator[Found]:
    """Start a host for the app and for one function, and wait for the first 202 of each."""

    def first_202(app: str) -> float:
        host, begun = on.host(app, **_ANSWERS_ONLY), time.perf_counter()
        try:
            on.post(host.start().origin + _POST, anew(body))
            return time.perf_counter() - begun
        finally:
            host.kill()
            on.queue.clear_messages()  # the next host must not have anything to do but to answer

    with stage() as on:
        with on.host() as host:
            body = CLIENT | {"resource": on.registered(host, SERVER)[0].id}
        measures = (partial(first_202, app) for app in ("function_app", "bench/least_app"))
        yield Found(in_turns("cold start", size(15, 5), *measures), "s")


def answers(size: Size) -> Iterator[Found]:
    """Call the app and bare functions, by so many callers at the same time."""

    def percentiles(rounds: int, note: str, *loads: Callable[[], list[float]]) -> Iterator[Found]:
        taken = [each[1:] for each in in_turns("answers", rounds + 1, *loads)]  # the first one warms up
        for percent in (49, 98):
            yield Found([[statistics.quantiles(each, n=100)[percent] for each in some] for some in taken], "ms", note)

    rounds, each = size(7, 3), size(8, 6)
    with stage() as on:
        with on.host() as host:
            by_id = CLIENT | {"resource": on.registered(host, SERVER)[0].id}
            client, _ = on.registered(host, by_id)
        with on.host(**_ANSWERS_ONLY) as host, on.host("bench/bare_app") as bare:
            key = on.post(bare.origin + _BARE, CLIENT)["registrationId"]
            get, post = partial(_load, POLLERS, 4 * each, "GET"), partial(_load, CALLERS, each, "POST")
            gets = partial(get, f"{host.origin}{_POST}/{client.id}"), partial(get, f"{bare.origin}{_BARE}/{key}")
            bare_post = partial(post, bare.origin + _BARE, CLIENT)
            shown, _ = percentiles(3 * rounds, f"{POLLERS} callers", *gets)
            yield from percentiles(rounds, "", partial(post, host.origin + _POST, by_id), bare_post)
            named, two_more = partial(post, host.origin + _POST, CLIENT), "two reads more, to find whose URL it is"
            by_url, _ = percentiles(size(3, 1), two_more, named, bare_post)
    yield from (by_url, shown)


def _load(callers: int, each: int, method: str, url: str, body: dict[str, object] | None = None) -> list[float]:
    """Return the milliseconds that each answer took, all callers at the same time on a connection of their own."""

    def called(_number: int) -> list[float]:
        taken = []
        with urllib3.PoolManager(retries=_AGAIN) as http:
            for _ in range(each):
                content, begun = anew(body) if body else None, time.perf_counter()
                answer = http.request(method, url, json=content)
                taken.append(1000 * (time.perf_counter() - begun))
                if answer.status not in {200, 202}:
                    raise RuntimeError(f"{method} {url} was answered {answer.status}")
        return taken

    with ThreadPoolExecutor(callers) as pool:
        return [one for some in pool.map(called, range(callers)) for one in some]


def one_client(size: Size) -> Iterator[Found]:
    """Register one client after the other, and deliver the message of one again."""
    rounds, floor = size(11, 5), FLOOR.total()
    with stage() as on, on.host() as host:
        on.warm(host, FEW)
        on.slow_down(LATENCY)
        on.emulator.calls.clear()
        [taken] = in_turns("one client", rounds, lambda: on.registered(host, CLIENT))
        calls = Counter(call.operation for call in on.emulator.calls)
        on.emulator.calls.clear()
        again = asked_of(on.services)
        carry_out(on.services, read_message(operation_message(taken[-1][0]).encode()))
        outside = len(on.emulator.calls)
    note = ", ".join(f"{count // rounds} {name}" for name, count in sorted(calls.items()))
    exact = calls == Counter({name: rounds * count for name, count in FLOOR.items()})
    yield Found([[calls.total() / rounds], [floor]], note=note, met=exact)
    yield Found([[again.total() + outside], [1]], "requests", met=again == Counter(GET=1))
    yield Found([[second for _, second in taken], [floor * LATENCY]], "s", f"{floor} calls")


def many_clients(size: Size) -> Iterator[Found]:
    """Register many clients at a time, make the same calls bare, rotate some, and look at the memory of the host."""

    def beside_ideal(loads: list[Load], clients: int) -> Found:
        seconds, calls, cpu = loads[-1]
        chain = round(sum(call.operation not in _ONCE for call in calls) / clients)
        ideal = chain * LATENCY * ceil(clients / CONCURRENCY)
        note = f"{clients} clients of {chain} calls each; the host uses {cpu / seconds:.0%} of a core"
        return Found([[load.seconds for load in loads], [ideal]], "s", note)

    sizes = (256, 64), (128, 48), (160, 32), (3000, 300)
    number, fewer, rotated, in_all = (size(*each) for each in sizes)
    rounds, loads, bare = size(3, 1), list[Load](), list[float]()
    spawned = partial(ProcessPoolExecutor, 1, mp_context=multiprocessing.get_context("spawn"))
    with stage() as on, on.host("function_app", CONCURRENCY) as host:
        on.warm(host, FEW)
        _, few = on.used(host)
        on.slow_down(LATENCY)
        for _ in range(rounds):
            loads.append(on.register(host, number))
            with spawned() as pool:  # a process that does nothing else
                bare.append(1000 * pool.submit(cpu_seconds, on.settings, fewer).result() / fewer)
        rotations = [on.rotate(host, rotated) for _ in range(rounds)]
        on.emulator.faults.clear()
        on.register(host, in_all - FEW - rounds * number)
        _, many = on.used(host)
    yield beside_ideal(loads, number)
    yield Found([[1000 * load.cpu / number for load in loads], bare], "ms")
    yield beside_ideal(rotations, rotated)
    yield Found([[many], [few]], "MB", f"after {in_all} registrations and {rounds * rotated} rotations")
    yield Found([[many], [LARGEST_MEMORY]], "MB")


def throttled(size: Size) -> Iterator[Found]:
    """Register more clients at a time than Graph lets through: the writes in a second, and the refusals of each."""

    def rate_and_refusals() -> tuple[float, float]:
        with stage() as on, on.host("function_app", MANY_AT_ONCE, **threads) as host:
            on.warm(host, FEW)
            on.slow_down(LATENCY, writesPerSecond=WRITES_PER_SECOND)
            writes = [call for call in on.register(host, number).calls if call.operation.startswith("graph.create")]
        through = sum(call.status != 429 for call in writes)  # noqa: PLR2004 -- HTTP
        return through / (writes[-1].at - writes[0].at).total_seconds(), len(writes) / through - 1

    # As many at once as several instances: one alone asks for little more than the cap lets through.
    number, threads = size(300, 100), {"PYTHON_THREADPOOL_THREAD_COUNT": str(MANY_AT_ONCE)}
    [seen] = in_turns("throttled", size(3, 1), rate_and_refusals)
    rates, refusals = [rate for rate, _ in seen], max(refused for _, refused in seen)
    met = statistics.median(rates) >= LEAST_SHARE * WRITES_PER_SECOND and refusals <= MOST_REFUSALS
    note = f"0 of {number} failed, {refusals:.2f} refusals per write, {MANY_AT_ONCE} clients at a time"
    yield Found([rates, [WRITES_PER_SECOND]], "writes/s", note, met)


def planner(_size: Size) -> Iterator[Found]:
    """Have it read a large table and a small one, and a bare query the large one."""
    asked, query = list[int](), f"PartitionKey eq 'due' and RowKey lt '{time_key(datetime.now(UTC))}'"
    for number in (1000, 100_000):
        with due_table(number) as (services, due):
            requests = asked_of(services)
            found = len(list(due_messages(services)))
            asked.append(requests.total())
            reads = partial(due_messages, services), partial(due.query_entities, query, select=["RowKey"])
            once = (partial(timeit, "list(read())", globals={"read": read}, number=1) for read in reads)
            taken = in_turns("planner", 15, *once)
    note = f"{found} due of {number:,}; {asked[1]} table requests"
    yield Found([asked[1:], asked[:1]], "requests", note, asked[1] == 1)
    yield Found(taken, "s")
