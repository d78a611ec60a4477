"""How long a new process takes: to import the app, and to answer its first POST."""

from __future__ import annotations

import subprocess
import sys
import time

from bench.figures import Options, Row, Sample, compared
from bench.stage import ANSWERS_ONLY, ROOT, BenchError, Stage, a_service_client, say

_IMPORT = "import time; begun = time.perf_counter(); import {}; print(time.perf_counter() - begun)"


def importing(options: Options) -> list[Row]:
    """Import the app and the library, in turn, each in a new interpreter."""
    ours, bare = [], []
    rounds = options.size(25, 7)
    for number in range(rounds):
        say(f"import: {number + 1} of {rounds}")
        ours.append(_import_milliseconds("function_app"))
        bare.append(_import_milliseconds("azure.functions"))
    return [compared("import", Sample(ours, "ms"), Sample(bare, "ms"))]


def _import_milliseconds(module: str) -> float:
    command = [sys.executable, "-c", _IMPORT.format(module)]
    answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)  # noqa: S603 -- this interpreter
    return 1000 * float(answer.stdout)


def cold_start(options: Options) -> list[Row]:
    """Start a host for the app and for one function, in turn, and wait for the first 202 of each."""
    ours, bare = [], []
    rounds = options.size(15, 5)
    with Stage() as stage:
        with stage.host() as host:
            resource = stage.a_resource(host)
        for number in range(rounds):
            say(f"cold start: {number + 1} of {rounds}")
            ours.append(_first_202(stage, "", resource))
            bare.append(_first_202(stage, "bench/one_function", resource))
    return [compared("cold", Sample(ours, "s"), Sample(bare, "s"))]


def _first_202(stage: Stage, folder: str, resource: str) -> float:
    host = stage.host(ROOT / folder, ANSWERS_ONLY)
    begun = time.perf_counter()
    host.start()
    try:
        body = a_service_client(resource=resource)
        answer = stage.http.post(f"{host.origin}/api/registrations", json=body, timeout=60)
        seconds = time.perf_counter() - begun
        if answer.status_code != 202:  # noqa: PLR2004 -- HTTP
            raise BenchError(f"the first POST was answered {answer.status_code}")
        return seconds
    finally:
        host.kill()
        stage.queue.clear_messages()  # the next host must not have anything to do but to answer
