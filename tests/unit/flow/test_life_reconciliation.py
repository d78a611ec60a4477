"""The daily look at every registration: what it finds it reports, and repairs only what is safe to repair."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dev.emulator import Fault
from dev.emulator.graph.replication import Versioned
from provisioning.domain.events import ActorKind
from provisioning.domain.messages import read_message, reconcile_message
from provisioning.domain.operation import OperationType
from provisioning.domain.registration import Registration
from provisioning.flow.compare import is_the_day
from tests.worlds.certificates import a_certificate
from tests.worlds.checker import check
from tests.worlds.clock import DAY
from tests.worlds.memory import MemoryRegistry
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.steps import operations, rotated_now, text_of, works
from tests.worlds.world import World


def test_a_secret_that_entra_lost_is_replaced_after_two_reconciliations_and_a_refusal(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    application = world.emulator.directory.application(app_id=world.row(registration_id).client_id or "")
    assert application is not None
    world.clock.sleep(7200)
    application.passwords.clear()
    lost = text_of(world, registration_id)
    world.reconcile()
    assert text_of(world, registration_id) == lost
    world.reconcile()
    assert text_of(world, registration_id) != lost
    check(world)


def test_one_reconciliation_delivered_twice_is_one(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    application = world.emulator.directory.application(app_id=world.row(registration_id).client_id or "")
    assert application is not None
    world.clock.sleep(7200)
    application.passwords.clear()
    lost = text_of(world, registration_id)
    world.reconcile()
    run = world.row(registration_id).missing
    assert run is not None
    world.send(json.dumps({"operation": "check", "registrationId": registration_id, "run": run.run}))
    world.settle()
    assert text_of(world, registration_id) == lost


@pytest.mark.parametrize(
    ("credential", "reads"),
    [
        ({"type": "secret"}, {"graph.readApplication": 1, "vault.getSecret": 1}),
        (
            {"type": "federated", "issuer": "https://token.example", "subject": "a"},
            {"graph.readApplication": 1, "graph.listFederatedCredentials": 1},
        ),
        ({"type": "certificate", "certificate": a_certificate().pem}, {"graph.readApplication": 3}),
    ],
    ids=["secret", "federated", "certificate"],
)
def test_a_daily_look_at_what_is_well_reads_little_and_writes_nothing(
    world: World, credential: dict[str, str], reads: dict[str, int]
) -> None:
    row = world.row(world.registered(a_service_client(credential=credential))["registrationId"])
    world.clock.sleep(7200)
    while is_the_day(row, world.clock.now()):  # of the week on which it is looked who else may sign in
        world.clock.sleep(86_400)
    world.emulator.calls.clear()
    world.run(world.services, read_message(reconcile_message(row.id, "20260101T000000Z").encode()))
    assert operations(world) == reads | {"graph.listServicePrincipals": 1}, "which is read for all of them at once"
    assert world.row(row.id) == row


def look_at(world: World, registration_id: str, run: str = "20260101T000000Z") -> None:
    """Have one reconciliation look at it."""
    world.run(world.services, read_message(reconcile_message(registration_id, run).encode()))


@pytest.mark.parametrize(("age", "missed"), [(timedelta(minutes=59, seconds=59), False), (timedelta(hours=1), True)])
def test_a_secret_that_entra_does_not_list_is_missed_from_its_first_hour_on_until_it_is_listed_again(
    world: World,
    age: timedelta,
    missed: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    row = world.row(registration_id)
    application = world.emulator.directory.application(app_id=row.client_id or "")
    assert application is not None
    assert row.secret is not None
    assert row.secret.published_at is not None
    there = [*application.passwords]
    application.passwords.clear()
    world.clock.time = row.secret.published_at + age
    look_at(world, registration_id)
    found = world.row(registration_id)
    assert [each.code for each in found.findings] == ["current-secret-not-listed"] * missed
    assert (found.missing is not None) is missed
    application.passwords.extend(there)
    look_at(world, registration_id, "20260102T000000Z")
    assert (world.row(registration_id).findings, world.row(registration_id).missing) == ((), None)


def test_a_servers_name_is_claimed_as_it_is_compared_though_an_earlier_version_did_not() -> None:
    registry = MemoryRegistry()
    world = World(registry=registry)
    server = world.registered(a_resource())["registrationId"]
    names = {**registry.names}
    registry.names.clear()
    look_at(world, server)
    assert "https://fhir.contoso.example" in registry.names
    assert registry.names.items() <= names.items()


def copied(world: World, row: Registration) -> Registration:
    """Return a registration like this one: its row, application, service principal and vault secret are as those are.

    Thousands can be had so, where each would take a hundred times as long to be provisioned.
    """
    directory, vault = world.emulator.directory, world.emulator.vault
    copy = replace(
        row,
        id=f"{row.id[:8]}-{directory.new_id()}",
        application_object_id=directory.new_id(),
        client_id=directory.new_id(),
        service_principal_id=directory.new_id(),
        etag=None,
    )
    ids = {
        getattr(row, name): getattr(copy, name)
        for name in ("id", "application_object_id", "client_id", "service_principal_id")
    }

    def renamed(document: Any) -> Any:
        text = json.dumps(document)
        for old, new in ids.items():
            text = text.replace(old, new)
        return json.loads(text)

    application, principal = (
        directory.records[row.application_object_id or ""],
        directory.principal_of(row.client_id or ""),
    )
    assert principal is not None
    body = renamed(application.last_body)
    application = replace(
        application,
        id=copy.application_object_id or "",
        app_id=copy.client_id or "",
        body=Versioned(application.created_at, body),
        last_body=body,
        passwords=[replace(each) for each in application.passwords],
    )
    directory.add_application(application)
    directory.add_service_principal(
        replace(principal, id=copy.service_principal_id or "", app_id=application.app_id, application=application)
    )
    secret = vault.secrets[row.secret_name.lower()]
    versions = [replace(version, tags=renamed(version.tags)) for version in secret.versions]
    vault.secrets[copy.secret_name.lower()] = replace(secret, name=copy.secret_name, versions=versions)
    stored = world.registry.insert(copy)
    assert stored is not None
    return stored


@pytest.mark.no_cover
def test_a_list_that_lags_for_hundreds_of_registrations_rotates_none_but_the_one_whose_secret_is_lost(
    world: World,
) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.live(6 * DAY)
    world.emulator.faults.set(replication_lag=5 * 86_400)
    rotated_now(world, registration_id)
    world.clock.sleep(86_400)
    world.reconcile()  # the first to find its secret missing, and so of each copy
    row = world.row(registration_id)
    ids = [registration_id, *(copied(world, row).id for _ in range(299))]
    lost = world.row(ids[150])
    world.emulator.directory.records[lost.application_object_id or ""].passwords.clear()
    mints = world.mints
    world.clock.sleep(86_400)
    world.reconcile()
    assert world.mints == mints + 1
    rows = [world.row(each) for each in ids]
    assert [each.id for each in rows if each.operation.id != row.operation.id] == [lost.id]
    findings = Counter(finding.code for each in rows for finding in each.findings)
    assert findings == {"current-secret-not-listed": 299}  # that of the rotated one is mended
    assert all(works(world, each, text_of(world, each)) for each in ids[:10])


def test_what_the_reconciliation_had_done_is_told_as_its_own(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.live(2 * DAY)
    [application] = [each for each in world.emulator.directory.records.values() if each.passwords]
    application.passwords.clear()
    world.live(4 * DAY)
    told = world.registry.events(registration_id, top=99).events
    assert ActorKind.RECONCILIATION in [each.actor.kind for each in told]
    assert {each.actor.kind for each in told} <= set(ActorKind)


def test_within_a_day_an_owner_lists_what_was_registered_before_there_were_lists_of_owners() -> None:
    registry = MemoryRegistry()
    world = World(registry=registry)
    server = world.registered(a_resource())
    client = world.registered(a_service_client(resource=server["registrationId"]))
    rows = [world.row(each["registrationId"]) for each in (server, client)]
    registry.owned.clear()
    world.reconcile()
    assert set(registry.owned) == {(each.request.owner, each.id) for each in rows}


def test_an_application_deleted_by_hand_is_reported_and_never_made_again(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    row = world.row(registration_id)
    world.clock.sleep(7200)
    world.services.directory.delete_application(row.application_object_id or "")
    world.live(3 * DAY)
    shown = world.get(registration_id)
    assert shown["status"] == "active"
    assert [each["code"] for each in shown["findings"]] == ["application-missing"]
    assert world.emulator.directory.application(app_id=row.client_id or "").deleted_at is not None  # type: ignore[union-attr]


def test_a_vault_version_set_by_hand_is_reported_and_never_overwritten(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.emulator.vault.set(world.row(registration_id).secret_name, {"value": "by hand"})
    world.live(200 * DAY)
    assert [each["code"] for each in world.get(registration_id)["findings"]] == ["vault-secret-not-ours"]
    assert text_of(world, registration_id) == "by hand"


def test_a_finding_is_gone_once_its_cause_is(world: World, caplog: pytest.LogCaptureFixture) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(60)
    secret = world.emulator.vault.secrets[world.row(registration_id).secret_name.lower()]
    world.emulator.vault.set(world.row(registration_id).secret_name, {"value": "by hand"})
    looked_at = world.clock.now()
    world.reconcile()
    assert world.get(registration_id)["findings"]
    assert world.row(registration_id).updated_at == looked_at
    assert f"registration {registration_id}: found: vault-secret-not-ours" in caplog.text
    caplog.clear()
    secret.versions.pop()
    world.reconcile()
    assert world.get(registration_id)["findings"] == []
    assert ": found: " not in caplog.text


def test_a_reconciliation_goes_through_all_pages_and_leaves_what_is_well_alone(world: World) -> None:
    world.emulator.faults.set(page_size=2)
    ids = [world.registered(a_service_client())["registrationId"] for _ in range(5)]
    rows = {each: world.row(each) for each in ids}
    world.reconcile()
    assert {each: world.row(each) for each in ids} == rows


def test_a_check_that_met_a_passing_error_goes_on_when_its_message_comes_back(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.live(8 * DAY)
    world.clock.sleep(160 * 86_400)
    world.emulator.faults.add(Fault("status", "graph.readApplication", status=503, times=20))
    world.plan()
    world.deliver()
    assert world.row(registration_id).last_error is not None
    world.emulator.faults.clear()
    world.clock.sleep(61)
    world.deliver()
    assert world.row(registration_id).operation.type is OperationType.ROTATE


def test_checks_that_keep_failing_are_a_finding_and_a_notice_and_gone_with_the_next_that_succeeds() -> None:
    receiver = Receiver()
    world = World(receiver=receiver)
    world.registered(a_resource())
    registration_id = world.registered(a_service_client())["registrationId"]
    world.live(7 * DAY - timedelta(hours=1))
    world.emulator.faults.add(Fault("status", "graph.readApplication", status=503, times=None))
    world.live(timedelta(hours=4))
    assert [each["code"] for each in world.get(registration_id)["findings"]] == ["graph-unavailable"]
    drift = [each for each in receiver.taken if each["type"] == "registration.drift"]
    assert [each["data"]["findings"][0]["code"] for each in drift] == ["graph-unavailable"]
    world.emulator.faults.clear()
    world.live(timedelta(hours=1))
    assert world.get(registration_id)["findings"] == []
    assert len([each for each in receiver.taken if each["type"] == "registration.drift"]) == 1
