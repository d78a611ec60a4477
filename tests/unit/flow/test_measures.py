"""What is measured of the work: how it ends, how long it lay undone, what was found; and never an id."""

import ast
from collections import defaultdict
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from dev.emulator import Fault
from provisioning import telemetry
from provisioning.adapters.metrics import METRICS
from provisioning.domain.errors import PublishBoundPassed
from provisioning.domain.messages import ReconcilePage
from provisioning.domain.secrets import MintedSecret
from provisioning.flow.mint import publish
from provisioning.flow.reconcile import SECRETS, reconcile
from provisioning.flow.rotate import rotates_at
from provisioning.flow.run import taken
from tests.worlds.approvals import awaiting
from tests.worlds.memory import MemoryRegistry
from tests.worlds.request_bodies import MANAGED, a_public_client, a_resource, a_service_client
from tests.worlds.signed_in import ENTRA, TEAM
from tests.worlds.world import World

Told = list[tuple[str, float, dict[str, str]]]
CLIENT = a_service_client(resource=MANAGED, appRoles=[])
ROOT = Path(__file__).parents[3]


@pytest.fixture
def told() -> Iterator[Told]:
    """What is measured during a test."""
    measures: Told = []
    forget = telemetry.listen_to_measures(lambda name, value, words: measures.append((name, value, {**words})))
    yield measures
    forget()


def of(told: Told, name: str) -> list[tuple[float, dict[str, str]]]:
    return [(value, attributes) for each, value, attributes in told if each == name]


def test_a_registration_is_counted_when_it_is_accepted_and_when_it_has_ended(told: Told) -> None:
    world = World()
    world.registered(CLIENT)
    assert of(told, "registrar.requests.accepted") == [(1, {"client_type": "service", "waits": "no"})]
    assert of(told, "registrar.operations.ended") == [(1, {"operation": "provision", "code": "none"})]
    [(seconds, _)] = of(told, "registrar.operations.duration")
    assert seconds >= 0


def test_a_failure_is_counted_by_its_code(told: Told) -> None:
    world = World()
    world.emulator.faults.add(Fault("status", "graph.createApplication", status=400, code="SomethingNew", times=None))
    world.post(CLIENT)
    world.deliver()
    assert of(told, "registrar.operations.ended") == [(1, {"operation": "provision", "code": "graph-refused"})]


def test_what_lies_undone_is_measured_by_the_age_of_the_oldest(told: Told) -> None:
    world = World()
    world.plan()
    assert of(told, "registrar.due.age") == [(0, {})]
    world.post(CLIENT)
    world.queue.clear()
    world.clock.sleep(3600)
    told.clear()
    world.plan()
    [(seconds, _)] = of(told, "registrar.due.age")
    assert 3400 < seconds <= 3600
    assert of(told, "registrar.due.entries") == [(1, {})]


def test_findings_and_what_was_cleaned_up_are_counted(told: Told) -> None:
    world = World()
    identity = world.registered(CLIENT)["registrationId"]
    [application] = world.emulator.directory.records.values()
    application.last_body = application.last_body | {"notes": "somebody's own"}
    application.body.put(world.clock.now(), application.last_body)
    world.reconcile()
    assert of(told, "registrar.findings") == [(1, {"code": "notes-changed"})]
    world.rotate(identity)
    world.live(timedelta(days=9))
    assert sum(value for value, _ in of(told, "registrar.credentials.removed")) == 1


def test_what_a_revocation_removed_is_counted_as_well(told: Told) -> None:
    world = World()
    identity = world.registered(CLIENT)["registrationId"]
    world.clock.sleep(3600)
    world.rotate(identity, {"revokePrevious": True})
    world.settle()
    assert of(told, "registrar.credentials.removed") == [(1, {})]


def test_a_message_that_failed_for_good_is_counted(told: Told) -> None:
    world = World()
    world.post(CLIENT)
    [queued] = world.queue
    queued.poison = True
    world.deliver()
    assert of(told, "registrar.messages.poisoned") == [(1, {})]


def test_a_secret_that_is_too_old_to_be_published_is_counted(told: Told) -> None:
    world = World()
    row = world.row(world.registered(CLIENT)["registrationId"])
    now = world.clock.now()
    minted = MintedSecret("0" * 8, now + timedelta(days=90), now - timedelta(hours=1), "text")
    with pytest.raises(PublishBoundPassed):
        publish(world.services, row, minted)
    assert of(told, "registrar.publications.late") == [(1, {})]


@pytest.mark.parametrize("hours", [0, 5])
def test_how_late_a_secret_is_replaced_is_measured_when_it_is_looked_at(told: Told, hours: int) -> None:
    world = World()
    identity = world.registered(CLIENT)["registrationId"]
    world.reconcile()
    assert of(told, "registrar.secrets.late") == [], "it is not due yet"
    due_at = rotates_at(world.row(identity), world.settings.secrets)
    assert due_at is not None
    world.clock.time = due_at + timedelta(hours=hours)
    world.plan()
    world.deliver()
    [(seconds, words)] = of(told, "registrar.secrets.late")
    assert (seconds, words) == (hours * 3600, {})


def test_a_reconciliation_counts_what_stands(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    world = World(settings=ENTRA)
    awaiting(world, a_resource(owner=TEAM))
    world.reconcile()
    assert of(told, "registrar.registrations") == [(0, {"state": "active"}), (1, {"state": "awaiting-approval"})]
    assert of(told, "registrar.strays") == [(0, {"kind": "applications"}), (0, {"kind": "secrets"})]
    assert "belong to no registration" not in caplog.text


def test_a_reconciliation_counts_what_is_nobodys(told: Told, caplog: pytest.LogCaptureFixture) -> None:
    registry = MemoryRegistry()
    world = World(registry=registry)
    for body in (CLIENT, a_public_client(resource=MANAGED)):
        world.registered(body)
    world.reconcile()
    assert of(told, "registrar.registrations") == [(2, {"state": "active"}), (0, {"state": "awaiting-approval"})]
    told.clear()
    registry.rows.clear()
    world.reconcile()
    assert of(told, "registrar.strays") == [(2, {"kind": "applications"}), (1, {"kind": "secrets"})]
    for count in (2, 1):
        assert f"{count} things carry our mark and belong to no registration" in caplog.text


def test_a_last_page_that_an_earlier_version_sent_measures_nothing_of_what_that_did_not_count(told: Told) -> None:
    world = World()
    reconcile(world.services, ReconcilePage("20260101T000000Z", SECRETS))
    assert of(told, "registrar.registrations") == [(0, {"state": "active"}), (0, {"state": "awaiting-approval"})]
    assert of(told, "registrar.strays") == [(0, {"kind": "applications"}), (0, {"kind": "secrets"})]


def test_how_old_a_message_was_is_measured_when_it_is_taken(told: Told) -> None:
    world = World()
    now = world.clock.now()
    for put_at in (now - timedelta(minutes=7), now + timedelta(seconds=1), None, now.replace(tzinfo=None)):
        taken(world.services, put_at)
    assert of(told, "registrar.queue.age") == [(420, {}), (0, {})]


def test_each_measure_is_in_the_table_with_its_attributes_and_in_the_documents() -> None:
    measured = defaultdict[str, set[str]](set)
    for path in (ROOT / "provisioning").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "telemetry.measure":
                measured[ast.literal_eval(node.args[0])] |= {each.arg for each in node.keywords if each.arg}
    assert measured.keys() == METRICS.keys() - {"registrar.dependency.duration"}
    assert all(given <= METRICS[name].attributes for name, given in measured.items())
    documented = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
    assert [name for name in METRICS if f"`{name}`" not in documented] == []
