"""Clients through one host instance: one, many at a time, rotated, throttled; what they cost, and what stays."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from http import HTTPStatus
from math import ceil
from typing import TYPE_CHECKING

from bench.figures import Options, Row, Sample, compared, counted
from bench.planning import table_requests
from bench.stage import ONCE, OWNER, ROOT, BenchError, Load, Stage, a_service_client, resident_megabytes, say
from provisioning.domain.client_types import ClientType
from provisioning.domain.messages import read_message
from provisioning.domain.operation import DueEntry
from provisioning.domain.registration import Registration, Status
from provisioning.flow.provision import carry_out

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.host import HostProcess

CONCURRENCY = 16
WRITES_PER_SECOND, LEAST_SHARE, MOST_REFUSALS = 20, 0.9, 1.0
LARGEST_MEMORY = 160.0
# 2 Graph, 1 vault read, 1 vault write, and SECRET_PROOF_COUNT token requests.
FLOOR = Counter(
    {
        "graph.createApplication": 1,
        "graph.createServicePrincipal": 1,
        "vault.getSecret": 1,
        "vault.setSecret": 1,
        "token.clientCredentials": 3,
    }
)
# As many as several instances: one alone, at the set latency, asks for little more than the cap lets through.
_MANY_AT_ONCE = 64
_WARM_UP, _FEW = 32, 50
# Under these, every secret that was made under the default settings is due, and no other.
_ROTATES_EVERYTHING = {"SECRET_LIFETIME": "P400D", "SECRET_ROTATE_BEFORE": "P200D"}


def one_client(options: Options) -> list[Row]:
    """Register one client after the other, and deliver the message of one again."""
    rounds = options.size(15, 5)
    with Stage() as stage, stage.host() as host:
        _warm(stage, host)
        stage.set_latency(options.latency)
        stage.calls()
        seconds, registration_id = [], ""
        for number in range(rounds):
            say(f"one client: {number + 1} of {rounds}")
            registration_id, took = stage.registered(host, a_service_client())
            seconds.append(took)
        calls = Counter(str(call["operation"]) for call in stage.calls())
        each = Counter({name: count // rounds for name, count in calls.items()})
        exact = each == FLOOR and calls.total() == rounds * FLOOR.total()
        again = _delivered_again(stage, registration_id)
        outside = len(stage.calls())
    path = FLOOR.total() * options.latency
    note = ", ".join(f"{count} {name}" for name, count in sorted(each.items()))
    reference = f"{path:.3g} s, {FLOOR.total()} calls"
    redelivered = f"{again['GET']} row read, {again.total() - again['GET']} writes, {outside} outside calls"
    one_read = again == Counter(GET=1) and not outside
    return [
        counted(
            "calls", f"{each.total()}", f"{FLOOR.total()}", met=exact, ratio=each.total() / FLOOR.total(), note=note
        ),
        counted("redelivery", redelivered, "", met=one_read),
        compared("one", Sample(seconds, "s"), Sample([path], "s"), f"reference: {reference}"),
    ]


def _delivered_again(stage: Stage, registration_id: str) -> Counter[str]:
    row = stage.services.registry.get(registration_id)
    assert row is not None
    content = {"operation": "provision", "registrationId": row.id, "operationId": row.operation.id}
    with table_requests() as seen:
        carry_out(stage.services, read_message(json.dumps(content).encode()))
    return Counter(seen)


def many_clients(options: Options) -> list[Row]:
    """Register many clients at a time, make the same calls bare, then rotate some of the clients."""
    number, rotated, rounds = options.size(500, 64), options.size(300, 32), range(options.size(3, 1))
    with Stage() as stage:
        folder = stage.host_with_queues(CONCURRENCY // 2, CONCURRENCY // 2)
        registered, bare = list[Load](), list[float]()
        with stage.host(folder) as host:
            _warm(stage, host)
            stage.set_latency(options.latency)
            for _ in rounds:
                registered.append(_registered(stage, host, number))
                bare.append(_bare_cpu(stage, options.size(200, 48)))
        with stage.host(folder, _ROTATES_EVERYTHING) as host:
            _rotated(stage, host, _WARM_UP)
            rotations = [_rotated(stage, host, rotated) for _ in rounds]
    cpu = [1000 * load.cpu["host"] / number for load in registered]
    return [
        _many("many", registered, number, options),
        compared("cpu", Sample(cpu, "ms"), Sample(bare, "ms")),
        _many("rotate", rotations, rotated, options),
    ]


def _many(name: str, loads: list[Load], number: int, options: Options) -> Row:
    last = loads[-1]
    chain = round(sum(count for call, count in last.calls.items() if call not in ONCE) / number)
    ideal = chain * options.latency * ceil(number / CONCURRENCY)
    note = f"{number} clients of {chain} calls each; of one core: {last.shares()}"
    return compared(name, Sample([load.seconds for load in loads], "s"), Sample([ideal], "s"), note)


def _warm(stage: Stage, host: HostProcess) -> None:
    """Have a host load what it loads once, and open its connections; its clients need a resource."""
    stage.a_resource(host)
    _registered(stage, host, _WARM_UP)


def _registered(stage: Stage, host: HostProcess, number: int) -> Load:
    messages = [accepted.message for accepted in stage.accept(number)]
    load = stage.carried(host, "registering", number, lambda: stage.send(messages))
    _check(stage)
    return load


def _rotated(stage: Stage, host: HostProcess, number: int) -> Load:
    """Have the planner find so many registrations due whose secrets are."""
    registry, now = stage.services.registry, stage.services.clock.now()
    soon = now + timedelta(days=200)
    due = [row for row in _clients(stage) if row.secret and row.secret.expires_at and row.secret.expires_at < soon]
    for row in due[:number]:
        registry.put_due(DueEntry(row.id, now))
        registry.replace(replace(row, due_at=now))
    load = stage.carried(host, "rotating", number, lambda: _fire_the_planner(stage, host))
    _check(stage)
    if load.calls["vault.setSecret"] != number:
        raise BenchError(f"{load.calls['vault.setSecret']} of {number} secrets were replaced")
    return load


def _clients(stage: Stage) -> Iterator[Registration]:
    token: str | None = None
    while True:
        page = stage.services.registry.find(
            owner=OWNER, client_type=ClientType.SERVICE, status=Status.ACTIVE, top=200, continuation_token=token
        )
        yield from page.registrations
        token = page.continuation_token
        if token is None:
            return


def _fire_the_planner(stage: Stage, host: HostProcess) -> None:
    stage.http.post(f"{host.origin}/admin/functions/planner", json={"input": ""}, timeout=60).raise_for_status()


def _check(stage: Stage) -> None:
    if left := stage.not_active():
        raise BenchError(f"{left} registrations are not active")


def _bare_cpu(stage: Stage, number: int) -> float:
    """Return the milliseconds of CPU that the calls of a client cost a script that does nothing else."""
    say("the same calls, bare")
    command = [sys.executable, "-m", "bench.bare_client", str(number)]
    answer = subprocess.run(  # noqa: S603 -- this interpreter
        command, cwd=ROOT, input=json.dumps(stage.settings) + "\n", capture_output=True, text=True, check=False
    )
    if answer.returncode:
        raise BenchError(f"the bare script failed: {answer.stderr[-1000:]}")
    return 1000 * float(answer.stdout) / number


def throttled(options: Options) -> list[Row]:
    """Register more clients at a time than Graph lets through."""
    number = options.size(300, 100)
    seen = [_throttled(number, options.latency) for _ in range(options.size(3, 1))]
    rate, refusals = Sample([rate for rate, _ in seen], "writes/s"), max(refusals for _, refusals in seen)
    share = rate.median / WRITES_PER_SECOND
    return [
        counted(
            "throttled",
            str(rate),
            f"{WRITES_PER_SECOND} writes/s",
            met=share >= LEAST_SHARE and refusals <= MOST_REFUSALS,
            ratio=share,
            note=f"0 of {number} failed, {refusals:.2f} refusals per write, {_MANY_AT_ONCE} clients at a time",
        )
    ]


def _throttled(number: int, latency: float) -> tuple[float, float]:
    """Return the writes that got through in a second, and the refusals for each of them."""
    with Stage() as stage:
        folder = stage.host_with_queues(_MANY_AT_ONCE // 2, _MANY_AT_ONCE // 2)
        with stage.host(folder, {"PYTHON_THREADPOOL_THREAD_COUNT": str(_MANY_AT_ONCE)}) as host:
            _warm(stage, host)
            stage.set_latency(latency, writesPerSecond=WRITES_PER_SECOND)
            load = _registered(stage, host, number)
    writes = [call for call in load.made if str(call["operation"]).startswith("graph.create")]
    refused = sum(call["status"] == HTTPStatus.TOO_MANY_REQUESTS for call in writes)
    begun, ended = (datetime.fromisoformat(writes[place]["at"]) for place in (0, -1))
    through = len(writes) - refused
    return through / (ended - begun).total_seconds(), refused / through


def memory(options: Options) -> list[Row]:
    """Look at the host's memory after a few registrations and after many."""
    number = options.size(5000, 500)
    with Stage() as stage, stage.host() as host:
        stage.a_resource(host)
        _registered(stage, host, _FEW)
        few = resident_megabytes(host.pid)
        _registered(stage, host, number - _FEW)
        many = resident_megabytes(host.pid)
    return [
        compared("memory", Sample([many], "MB"), Sample([few], "MB"), f"after {number}"),
        compared("memory-total", Sample([many], "MB"), Sample([LARGEST_MEMORY], "MB")),
    ]
