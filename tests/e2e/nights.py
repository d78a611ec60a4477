"""Six nights of whoever is on call, played on the local stack: what is seen, what tells it, and what helps.

It is told by the log and by the measures.

`make nights` plays them; it takes minutes, because some of what helps is to wait. What is typed is typed as on call it
would be: the command line in a process of its own, with the app settings in its environment. The table in
`docs/operations.md` tells the same, and a test compares them.
"""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pytest
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueClient

from dev.emulator import Fault
from dev.host import HostProcess
from dev.stack import stack
from tests.e2e.caller import Caller, example
from tests.e2e.collector import Collector
from tests.worlds.leaks import leaked
from tests.worlds.request_bodies import MANAGED, a_service_client

CLIENT: Final = a_service_client(resource=MANAGED, appRoles=[])
# So that a night is short: a revoked secret ends after a minute, and the planner comes every two seconds.
SETTINGS: Final = {"SECRET_OVERLAP": "PT15S", "PLANNER_SCHEDULE": "*/2 * * * * *"}
PATIENCE: Final = 240.0
ENDPOINT: Final = "OTEL_EXPORTER_OTLP_ENDPOINT"
# What the log says, by the name of the night as the table in the documents has it.
LOG: Final = {
    "Graph is out": "comes back: graph-unavailable",
    "A role on the vault is gone": "provision failed with vault-denied",
    "The queue was cleared": "provision succeeded",
    "The tables are gone": "things carry our mark and belong to no registration",
    "A secret has leaked": "removed credential",
    "A setting is wrong": "The app settings are wrong",
}
# What is measured, by the same names: the measure, and one of its attributes; nothing where nobody measures.
MEASURE: Final = {
    "Graph is out": ("registrar.dependency.duration", ("http.response.status_code", "503")),
    "A role on the vault is gone": ("registrar.operations.ended", ("code", "vault-denied")),
    "The queue was cleared": ("registrar.due.entries", None),
    "The tables are gone": ("registrar.strays", ("kind", "secrets")),
    "A secret has leaked": ("registrar.credentials.removed", None),
    "A setting is wrong": None,
}


@dataclass
class OnCall:
    """Whoever is called: the API, the log, what is measured, and a shell."""

    caller: Caller
    log: Path
    collector: Collector
    settings: dict[str, str]

    def types(self, *arguments: str) -> tuple[int, str]:
        """Type a command; return its exit code and what it printed for people."""
        ran = self._run(arguments)
        return ran.returncode, ran.stdout + ran.stderr

    def reads(self, *arguments: str) -> Any:
        """Type a command that prints JSON."""
        ran = self._run((*arguments, "--json"))
        assert ran.returncode in (0, 1), ran.stderr
        return json.loads(ran.stdout)

    def _run(self, arguments: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
        ran = subprocess.run(  # noqa: S603 -- this very interpreter
            [sys.executable, "-m", "provisioning", *arguments],
            env={"PATH": os.environ["PATH"], **self.settings},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )
        assert not leaked(ran.stdout + ran.stderr)
        return ran

    def log_says(self, night: str) -> None:
        """Wait until the line of this night is in the log."""
        until(lambda: LOG[night] in self.log.read_text())
        assert not leaked(self.log.read_text())

    def measures_say(self, night: str) -> None:
        """Wait until the measure of this night has arrived."""
        told = MEASURE[night]
        assert told is not None
        name, attribute = told
        until(lambda: self.collector.has(name, attribute))

    def shown(self, identity: str) -> dict[str, Any]:
        return dict(self.caller.get(f"/registrations/{identity}").json())

    def fires(self, timer: str) -> None:
        answer = self.caller.http.post(
            f"{self.caller.running.host.origin}/admin/functions/{timer}", json={"input": ""}, timeout=20
        )
        assert answer.status_code == 202


def until(holds: Callable[[], object]) -> None:
    """Wait until it is so."""
    deadline = time.monotonic() + PATIENCE
    while not holds():
        assert time.monotonic() < deadline, "it does not become so"
        time.sleep(0.5)


@pytest.fixture
def on_call(tmp_path: Path) -> Iterator[OnCall]:
    with night(tmp_path) as somebody:
        yield somebody


@contextmanager
def night(folder: Path, **settings: str) -> Iterator[OnCall]:
    log = folder / "host.log"
    with Collector() as collector:
        told = {ENDPOINT: collector.origin, "OTEL_METRIC_EXPORT_INTERVAL": "1000"}
        with stack(folder, log_file=log, app_settings={**SETTINGS, **told, **settings}) as running:
            yield OnCall(Caller(running, log), log, collector, dict(running.settings))


def test_graph_is_out(on_call: OnCall) -> None:
    faults = on_call.caller.running.azure.emulator.faults
    faults.add(Fault("status", "graph.*", status=503, times=None))
    identity = on_call.caller.post(CLIENT).json()["registrationId"]
    until(lambda: on_call.shown(identity)["operation"].get("lastError"))
    assert on_call.shown(identity)["operation"]["lastError"]["code"] == "graph-unavailable"
    code, text = on_call.types("doctor")
    assert (code, "graph: list applications (graph-unavailable)" in text) == (1, True)
    on_call.log_says("Graph is out")
    on_call.measures_say("Graph is out")
    faults.clear()
    until(lambda: on_call.shown(identity)["status"] == "active")
    assert on_call.types("doctor")[0] == 0


def test_a_role_on_the_vault_is_gone(on_call: OnCall) -> None:
    faults = on_call.caller.running.azure.emulator.faults
    faults.set(vault_denied=True)
    registration = on_call.caller.ended(on_call.caller.post(CLIENT))
    identity = registration["registrationId"]
    assert registration["operation"]["failure"]["code"] == "vault-denied"
    on_call.log_says("A role on the vault is gone")
    on_call.measures_say("A role on the vault is gone")
    assert [each["code"] for each in on_call.reads("findings")] == ["vault-denied"]
    lacking = [each for each in on_call.reads("doctor") if each["state"] == "lacking"]
    assert {each["dependency"] for each in lacking} == {"vault"}
    assert all('--role "Key Vault Secrets Officer"' in each["command"] for each in lacking)
    faults.clear()  # the command was run
    assert on_call.types("doctor")[0] == 0
    assert on_call.types("retry", identity)[0] == 0
    until(lambda: on_call.shown(identity)["status"] == "active")
    assert on_call.types("findings")[0] == 0


def test_the_queue_was_cleared(on_call: OnCall) -> None:
    held = on_call.caller.running.azure.emulator.faults
    held.add(Fault("status", "graph.*", status=503, times=None))  # so that the message is still there to be cleared
    identity = on_call.caller.post(CLIENT).json()["registrationId"]
    until(lambda: on_call.shown(identity)["operation"].get("lastError"))
    with QueueClient.from_connection_string(on_call.settings["AzureWebJobsStorage"], "registrations") as queue:
        until(lambda: "comes back" in on_call.log.read_text())
        queue.clear_messages()
    held.clear()
    [due] = on_call.reads("due", "--within", "PT10M")
    assert (due["registrationId"], due["operation"]) == (identity, "provision pending")
    until(lambda: on_call.shown(identity)["status"] == "active")  # nothing is done: the planner finds it
    on_call.log_says("The queue was cleared")
    on_call.measures_say("The queue was cleared")


def test_the_tables_are_gone(on_call: OnCall) -> None:
    identities = {on_call.caller.registered(each)["registrationId"] for each in (CLIENT, example("resource"))}
    with TableServiceClient.from_connection_string(on_call.settings["AzureWebJobsStorage"]) as tables:
        for table in list(tables.list_tables()):
            tables.delete_table(table.name)
    assert on_call.caller.get(f"/registrations/{min(identities)}").status_code == 404
    assert on_call.reads("status")["registrations"] == {}
    on_call.fires("reconcile")
    on_call.log_says("The tables are gone")
    on_call.measures_say("The tables are gone")
    assert on_call.reads("rebuild")["counts"] == {"restored": 2}
    assert on_call.reads("rebuild", "--apply")["counts"] == {"restored": 2}
    assert {each["registrationId"] for each in on_call.reads("list")} == identities
    until(lambda: on_call.reads("status")["overdue"] == 0)
    client = next(each for each in on_call.reads("list") if each["clientType"] == "service")
    assert on_call.types("rotate", client["registrationId"])[0] == 0
    before = client["secret"]["keyId"]
    until(lambda: on_call.shown(client["registrationId"])["secret"]["keyId"] != before)


def test_a_secret_has_leaked(on_call: OnCall) -> None:
    client = on_call.caller.registered(CLIENT)
    leaked_one = on_call.caller.stored_secret(client)
    assert on_call.caller.accepts(client, leaked_one)
    assert on_call.types("rotate", client["registrationId"], "--revoke-previous")[0] == 0
    until(lambda: on_call.shown(client["registrationId"])["operation"]["status"] == "succeeded")
    until(lambda: not on_call.caller.accepts(client, leaked_one))
    assert on_call.caller.accepts(client, on_call.caller.stored_secret(client))
    on_call.log_says("A secret has leaked")
    on_call.measures_say("A secret has leaked")
    told = [each["what"] for each in on_call.reads("events", client["registrationId"])]
    assert {"revocation-requested", "credential-removed", "rotated"} <= set(told)


def test_a_setting_is_wrong(on_call: OnCall, tmp_path: Path) -> None:
    log = tmp_path / "wrong.log"
    wrong = on_call.settings | {"KEY_VAULT_URL": "vault", "SECRET_OVERLAP": "a week"}
    with Collector() as collector, HostProcess(wrong | {ENDPOINT: collector.origin}, log_file=log) as host:
        answer = on_call.caller.http.get(f"{host.origin}/api/registrations", timeout=30)
        assert (answer.status_code, answer.json()["code"]) == (500, "misconfigured")
        answer = on_call.caller.http.get(f"{host.origin}/api/ready", timeout=30)
        named = {each["what"] for each in answer.json()["checks"]}
        assert (answer.status_code, named) == (503, {"KEY_VAULT_URL", "SECRET_OVERLAP"})
        mistaken = OnCall(on_call.caller, log, collector, wrong)
        mistaken.log_says("A setting is wrong")
        assert MEASURE["A setting is wrong"] is None
        assert collector.names == set()
        code, text = mistaken.types("doctor")
    assert code == 5
    for name in ("KEY_VAULT_URL", "SECRET_OVERLAP"):
        assert f"{name}: must be" in text
        assert f"--settings {name}=" in text
    assert on_call.caller.get("/ready").status_code == 200  # as it was set before
