"""How long callers wait for an answer, beside bare functions on the same host."""

from __future__ import annotations

import json
import statistics
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlsplit

from bench.figures import Options, Row, Sample, compared
from bench.stage import ANSWERS_ONLY, OWNER, ROOT, BenchError, Stage, a_service_client, say

CALLERS, POLLERS = 50, 8


class _Call(NamedTuple):
    method: str
    origin: str
    path: str
    body: str | None
    expected: int


def answers(options: Options) -> list[Row]:
    """Call the app and bare functions in turn."""
    rounds, each = options.size(7, 3), options.size(8, 6)
    with Stage() as stage:
        with stage.host() as host:
            resource = stage.a_resource(host)
            client, _ = stage.registered(host, a_service_client(resource=resource))
        host, bare = stage.host(settings=ANSWERS_ONLY), stage.host(ROOT / "bench" / "bare")
        host.start()
        bare.start()
        try:
            body, by_url = json.dumps(a_service_client(resource=resource)), json.dumps(a_service_client())
            post, bare_post = "/api/registrations", "/api/bare"
            key = stage.http.post(bare.origin + bare_post, data=body, timeout=60).json()["registrationId"]
            show, plain_show = _rounds(
                "GET",
                3 * rounds,
                POLLERS,
                4 * each,
                [
                    _Call("GET", host.origin, f"{post}/{client}", None, 200),
                    _Call("GET", bare.origin, f"{bare_post}/{key}", None, 200),
                ],
            )
            plain_post = _Call("POST", bare.origin, bare_post, body, 202)
            ours, plain = _rounds(
                "POST", rounds, CALLERS, each, [_Call("POST", host.origin, post, body, 202), plain_post]
            )
            url, plain_beside = _rounds(
                "POST by URL", rounds, CALLERS, each, [_Call("POST", host.origin, post, by_url, 202), plain_post]
            )
        finally:
            host.kill()
            bare.kill()
    return [
        compared("post-p50", _percentile(ours, 50), _percentile(plain, 50)),
        compared("post-p99", _percentile(ours, 99), _percentile(plain, 99)),
        compared(
            "post-url", _percentile(url, 50), _percentile(plain_beside, 50), "two reads more, to find whose URL it is"
        ),
        compared("get", _percentile(show, 50), _percentile(plain_show, 50), f"{POLLERS} callers"),
    ]


def _rounds(name: str, rounds: int, callers: int, each: int, calls: list[_Call]) -> list[list[list[float]]]:
    """Return the milliseconds of each answer, by call and round; the calls take turns."""
    for call in calls:
        _load(call, callers, 2)
    taken: list[list[list[float]]] = [[] for _ in calls]
    for number in range(rounds):
        say(f"{name}: {number + 1} of {rounds}")
        for call, found in zip(calls, taken, strict=True):
            found.append(_load(call, callers, each))
    return taken


def _load(call: _Call, callers: int, each: int) -> list[float]:
    """Have so many callers call so often at the same time, each on a connection of its own."""
    with ThreadPoolExecutor(callers) as pool:
        return [one for some in pool.map(lambda _: _caller(call, each), range(callers)) for one in some]


def _caller(call: _Call, each: int) -> list[float]:
    connection = HTTPConnection(urlsplit(call.origin).netloc, timeout=60)
    taken = []
    for _ in range(each):
        begun, status = time.perf_counter(), HTTPStatus.SERVICE_UNAVAILABLE
        while status == HTTPStatus.SERVICE_UNAVAILABLE:  # storage closed a connection: a caller sends it again
            # Each has another owner: Azurite searches a whole partition, which must not grow on one side only.
            body = call.body and call.body.replace(OWNER, str(uuid.uuid4()))
            connection.request(call.method, call.path, body, {"Content-Type": "application/json"})
            answer = connection.getresponse()
            answer.read()
            status = HTTPStatus(answer.status)
        taken.append(1000 * (time.perf_counter() - begun))
        if status != call.expected:
            raise BenchError(f"{call.method} {call.path} was answered {status}")
    connection.close()
    return taken


def _percentile(rounds: list[list[float]], percent: int) -> Sample:
    return Sample([statistics.quantiles(taken, n=100)[percent - 1] for taken in rounds], "ms")
