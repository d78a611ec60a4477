"""Registrations live: their secrets rotate, they change and end, and nobody who uses one is cut off."""

import json
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dev.emulator import Fault
from dev.emulator.client import Client
from dev.emulator.replication import Versioned
from provisioning.domain.operation import OperationStatus, OperationType
from provisioning.domain.registration import Registration, Status
from tests.faults.conditions import WrongClock
from tests.worlds.certificates import a_certificate
from tests.worlds.checker import check, token_answer
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.world import World

DAY = timedelta(days=1)


@pytest.fixture
def world() -> World:
    world = World()
    world.registered(a_resource())
    return world


def code_of(answer: Any) -> str:
    return str(json.loads(answer.body)["code"])


def live_keys(world: World, registration_id: str) -> list[str]:
    application = world.emulator.directory.application(app_id=world.row(registration_id).client_id or "")
    assert application is not None
    now = world.clock.now()
    return [each.key_id for each in application.passwords if each.removed_at is None and each.end > now]


def works(world: World, registration_id: str, text: str) -> bool:
    return token_answer(world, world.row(registration_id).client_id or "", text).status_code == 200


def text_of(world: World, registration_id: str) -> str:
    return str(world.emulator.vault.get(world.row(registration_id).secret_name)["value"])


def rotated_now(world: World, registration_id: str, body: Any = None) -> None:
    """Rotate, a second after whatever was before: at one and the same moment nothing is older."""
    world.clock.sleep(1)
    assert world.rotate(registration_id, body).status == 202
    world.deliver()
    assert world.row(registration_id).operation.status is OperationStatus.SUCCEEDED


# --- rotation -------------------------------------------------------------------------------------------------------


def test_the_secret_of_a_service_client_is_replaced_before_it_ends_and_the_old_one_works_on(world: World) -> None:
    client = world.registered(a_service_client())
    registration_id, old = client["registrationId"], text_of(world, client["registrationId"])
    world.live(timedelta(days=165))
    world.settle()
    assert text_of(world, registration_id) != old
    check(world)
    shown = world.get(registration_id)
    assert shown["operation"]["type"] == "rotate"
    assert shown["operation"]["status"] == "succeeded"
    assert len(live_keys(world, registration_id)) == 1


def test_both_secrets_work_during_the_overlap_and_only_the_new_one_after_it(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    old = text_of(world, registration_id)
    rotated_now(world, registration_id)
    new = text_of(world, registration_id)
    world.live(timedelta(days=6, hours=23))
    assert works(world, registration_id, old)
    assert works(world, registration_id, new)
    world.live(timedelta(hours=2))
    assert not works(world, registration_id, old)
    assert works(world, registration_id, new)


def test_rotates_at_tells_when_the_planner_will_do_it(world: World) -> None:
    client = world.registered(a_service_client())
    world.live(8 * DAY)
    row = world.row(client["registrationId"])
    assert row.due_at is not None
    assert row.due_at.strftime("%Y-%m-%dT%H:%M:%SZ") == client["secret"]["rotatesAt"]


@pytest.mark.parametrize(("auto_rotate", "rotations"), [(False, 0), (True, 1)])
def test_a_confidential_client_rotates_by_itself_only_when_it_asked_for_it(
    world: World,
    auto_rotate: bool,  # noqa: FBT001 -- a parameter of the test
    rotations: int,
) -> None:
    client = world.registered(a_confidential_client(autoRotate=auto_rotate))
    world.live(timedelta(days=155))
    versions = world.emulator.vault.secrets[world.row(client["registrationId"]).secret_name.lower()].versions
    assert len(versions) == 1 + rotations
    assert (world.get(client["registrationId"])["secret"]["rotatesAt"] is None) is not auto_rotate


def test_a_confidential_client_without_auto_rotate_rotates_when_somebody_asks(world: World) -> None:
    registration_id = world.registered(a_confidential_client())["registrationId"]
    old = text_of(world, registration_id)
    rotated_now(world, registration_id)
    assert text_of(world, registration_id) != old
    check(world)


def test_a_planner_that_comes_late_catches_up(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(175 * 86_400)
    world.plan()
    world.settle()
    check(world)
    assert world.row(registration_id).operation.type is OperationType.ROTATE


def test_two_planners_at_once_rotate_once(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.live(8 * DAY)
    world.clock.sleep(160 * 86_400)
    assert (world.plan(), world.plan()) == (1, 1)
    world.settle()
    assert len(live_keys(world, registration_id)) == 2
    check(world)


def test_a_rotation_costs_two_vault_reads_one_graph_read_one_mint_the_proof_and_one_write(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(1)
    world.rotate(registration_id)
    world.emulator.calls.clear()
    world.deliver()
    operations = [call.operation for call in world.emulator.calls]
    assert sorted(operations) == sorted(
        [
            *2 * ["vault.getSecret"],
            "graph.readApplication",
            "graph.addPassword",
            *3 * ["token.clientCredentials"],
            "vault.setSecret",
        ]
    ), operations


def test_a_rotation_is_refused_while_another_operation_is_pending(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    assert world.rotate(registration_id).status == 202
    answer = world.rotate(registration_id)
    assert (answer.status, code_of(answer)) == (409, "operation-in-progress")


@pytest.mark.parametrize("body", [a_public_client(), a_resource(fhirServerUrl="https://second.contoso.example")])
def test_what_holds_no_secret_cannot_be_rotated(world: World, body: Any) -> None:
    answer = world.rotate(world.registered(body)["registrationId"])
    assert (answer.status, code_of(answer)) == (409, "registration-holds-no-secret")


def test_a_rotation_whose_proof_fails_leaves_the_old_secret_current_and_nothing_behind(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    old, keys = text_of(world, registration_id), live_keys(world, registration_id)
    principal = f"/servicePrincipals/{world.row(registration_id).service_principal_id}"
    assert Client(world.emulator).graph("PATCH", principal, {"accountEnabled": False}).status_code == 204
    world.clock.sleep(1)
    world.rotate(registration_id)
    world.deliver()
    row = world.row(registration_id)
    assert (row.status, row.operation.status) == (Status.ACTIVE, OperationStatus.FAILED)
    assert row.operation.failure is not None
    assert (row.operation.failure.code, bool(row.operation.failure.remedy)) == ("secret-refused", True)
    assert text_of(world, registration_id) == old
    assert live_keys(world, registration_id) == keys


def test_a_failed_rotation_is_tried_again_in_a_day_and_not_before(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.live(8 * DAY)
    world.emulator.faults.set(password_addition_blocked=True)
    world.clock.sleep(160 * 86_400)
    world.plan()
    world.settle()
    assert world.row(registration_id).operation.status is OperationStatus.FAILED
    world.emulator.faults.clear()
    world.live(timedelta(hours=22))
    assert world.row(registration_id).operation.status is OperationStatus.FAILED
    world.live(timedelta(hours=4))
    assert world.row(registration_id).operation.status is OperationStatus.SUCCEEDED
    check(world)


# --- revocation -----------------------------------------------------------------------------------------------------


def test_a_leaked_secret_is_dead_as_soon_as_a_new_one_is_current(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    leaked = text_of(world, registration_id)
    world.clock.sleep(3600)
    asked = world.clock.now()
    rotated_now(world, registration_id, {"revokePrevious": True})
    assert not works(world, registration_id, leaked)
    assert world.clock.now() - asked < world.settings.secrets.publish_bound + timedelta(minutes=1)
    check(world)


def test_a_leaked_secret_that_was_already_replaced_is_dead_too(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    leaked = text_of(world, registration_id)
    world.clock.sleep(3600)
    rotated_now(world, registration_id)
    world.clock.sleep(3600)
    rotated_now(world, registration_id, {"revokePrevious": True})
    assert not works(world, registration_id, leaked)
    assert len(live_keys(world, registration_id)) == 1


def test_a_secret_leaked_in_its_first_minute_is_dead_when_no_run_can_publish_it_any_more(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    leaked = text_of(world, registration_id)
    world.clock.sleep(1)
    asked = world.clock.now()
    assert world.rotate(registration_id, {"revokePrevious": True}).status == 202
    world.deliver()
    assert world.get(registration_id)["operation"]["lastError"]["code"] == "revocation-waits"
    while works(world, registration_id, leaked):
        world.clock.time = min(each.visible_at for each in world.queue)
        world.deliver()
    assert world.clock.now() - asked <= world.settings.secrets.publish_bound + timedelta(minutes=1)
    world.settle()
    check(world)


def test_a_revocation_is_not_refused_while_an_operation_is_pending_and_loses_nothing(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    leaked = text_of(world, registration_id)
    world.clock.sleep(3600)
    assert world.change(registration_id, {"displayName": "Another name"}).status == 202
    assert world.rotate(registration_id, {"revokePrevious": True}).status == 202
    world.settle()
    assert not works(world, registration_id, leaked)
    assert world.get(registration_id)["displayName"] == "Another name"
    check(world)


def test_a_revocation_during_a_rotation_has_the_run_go_round_again(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(3600)
    world.rotate(registration_id)
    first: list[str] = []

    def revoke_before_publication(name: str, action: Any) -> Any:
        if name.startswith("PUT /secrets") and not first:
            first.append(name)
            world.clock.sleep(1)
            assert world.rotate(registration_id, {"revokePrevious": True}).status == 202
        return action()

    world.outside = revoke_before_publication
    world.deliver()
    world.outside = lambda _name, action: action()
    world.settle()
    versions = world.emulator.vault.secrets[world.row(registration_id).secret_name.lower()].versions
    assert len(versions) == 3
    assert len(live_keys(world, registration_id)) == 1
    check(world)


# --- clean-up -------------------------------------------------------------------------------------------------------


def test_a_credential_that_is_not_ours_is_reported_and_never_touched(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    row = world.row(registration_id)
    application = world.emulator.directory.application(app_id=row.client_id or "")
    assert application is not None
    minted = world.services.directory.add_secret(application.id, "by hand", world.clock.now() + 300 * DAY)
    world.live(9 * DAY)
    assert minted.key_id in live_keys(world, registration_id)
    assert [each["code"] for each in world.get(registration_id)["findings"]] == ["foreign-credentials"]


def test_a_stray_of_a_crash_is_gone_after_the_overlap(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    row = world.row(registration_id)
    stray = world.services.directory.add_secret(
        row.application_object_id or "", row.credential_label, world.clock.now() + 100 * DAY
    )
    world.live(7 * DAY - timedelta(hours=1))
    assert stray.key_id in live_keys(world, registration_id)
    world.live(2 * DAY)
    world.settle()
    assert stray.key_id not in live_keys(world, registration_id)
    check(world)


def test_a_removal_that_fails_is_tried_until_it_is_done(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(3600)
    rotated_now(world, registration_id)
    world.emulator.faults.add(Fault("status", "graph.removePassword", status=503, times=None))
    world.live(9 * DAY)
    assert len(live_keys(world, registration_id)) == 2
    world.emulator.faults.clear()
    world.live(timedelta(hours=2))
    assert len(live_keys(world, registration_id)) == 1


def test_an_application_full_of_secrets_is_reported_and_not_rotated_any_more_but_a_leak_is_still_revoked(
    world: World,
) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    row = world.row(registration_id)
    for _ in range(8):
        world.services.directory.add_secret(row.application_object_id or "", "by hand", world.clock.now() + 300 * DAY)
    world.live(DAY + timedelta(hours=1))
    assert "credentials-near-limit" in [each["code"] for each in world.get(registration_id)["findings"]]
    rotated_now(world, registration_id)
    world.clock.sleep(1)
    world.rotate(registration_id)
    world.deliver()
    assert world.get(registration_id)["operation"]["failure"]["code"] == "too-many-credentials"
    world.clock.sleep(3600)
    rotated_now(world, registration_id, {"revokePrevious": True})
    assert len(live_keys(world, registration_id)) == 9


# --- reconciliation -------------------------------------------------------------------------------------------------


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
def test_a_list_that_lags_for_a_thousand_registrations_rotates_none_but_the_one_whose_secret_is_lost(
    world: World,
) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.live(6 * DAY)
    world.emulator.faults.set(replication_lag=5 * 86_400)
    rotated_now(world, registration_id)
    world.clock.sleep(86_400)
    world.reconcile()  # the first to find its secret missing, and so of each copy
    row = world.row(registration_id)
    ids = [registration_id, *(copied(world, row).id for _ in range(999))]
    lost = world.row(ids[500])
    world.emulator.directory.records[lost.application_object_id or ""].passwords.clear()
    mints = world.mints
    world.clock.sleep(86_400)
    world.reconcile()
    assert world.mints == mints + 1
    rows = [world.row(each) for each in ids]
    assert [each.id for each in rows if each.operation.id != row.operation.id] == [lost.id]
    findings = Counter(finding.code for each in rows for finding in each.findings)
    assert findings == {"current-secret-not-listed": 1000}
    assert all(works(world, each, text_of(world, each)) for each in ids[:10])


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


def test_a_finding_is_gone_once_its_cause_is(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    secret = world.emulator.vault.secrets[world.row(registration_id).secret_name.lower()]
    world.emulator.vault.set(world.row(registration_id).secret_name, {"value": "by hand"})
    world.reconcile()
    assert world.get(registration_id)["findings"]
    secret.versions.pop()
    world.reconcile()
    assert world.get(registration_id)["findings"] == []


def test_a_reconciliation_goes_through_all_pages_and_leaves_what_is_well_alone(world: World) -> None:
    world.emulator.faults.set(page_size=2)
    ids = [world.registered(a_service_client())["registrationId"] for _ in range(5)]
    rows = {each: world.row(each) for each in ids}
    world.reconcile()
    assert {each: world.row(each) for each in ids} == rows


# --- change ---------------------------------------------------------------------------------------------------------


def body_in_entra(world: World, registration_id: str) -> dict[str, Any]:
    application = world.emulator.directory.application(app_id=world.row(registration_id).client_id or "")
    assert application is not None
    return dict(application.last_body)


def test_a_change_reaches_entra_as_an_operation_of_its_own(world: World) -> None:
    registration_id = world.registered(a_confidential_client(description="old"))["registrationId"]
    uris = ["https://app.contoso.example/new"]
    body = {"displayName": "New", "redirectUris": uris, "description": None, "contact": "new@contoso.example"}
    answer = world.change(registration_id, body | {"logoutUrl": "https://app.contoso.example/out"})
    assert answer.status == 202
    assert json.loads(answer.body)["operation"]["type"] == "change"
    world.deliver()
    entra, shown = body_in_entra(world, registration_id), world.get(registration_id)
    assert (entra["displayName"], entra["description"], entra["web"]["redirectUris"]) == ("New", None, uris)
    assert entra["web"]["logoutUrl"] == "https://app.contoso.example/out"
    assert json.loads(entra["notes"])["contact"] == "new@contoso.example"
    assert (shown["displayName"], shown["redirectUris"]) == ("New", uris)
    assert "description" not in shown
    assert shown["operation"]["status"] == "succeeded"
    check(world)


@pytest.mark.parametrize(
    ("body", "field", "platform"),
    [
        (a_confidential_client(), "web", None),
        (a_public_client(), "spa", None),
        (a_public_client(platform="native", redirectUris=["https://a.contoso.example/x"]), "publicClient", None),
    ],
)
def test_redirect_uris_that_somebody_added_by_hand_stay_and_are_reported(
    world: World, body: Any, field: str, platform: None
) -> None:
    registration_id = world.registered(body)["registrationId"]
    row = world.row(registration_id)
    by_hand = "https://by-hand.contoso.example/cb"
    ours = list(body["redirectUris"])
    world.services.directory.update_application(
        row.application_object_id or "", {field: {"redirectUris": [*ours, by_hand]}}
    )
    new = "https://new.contoso.example/cb"
    world.change(registration_id, {"redirectUris": [new]})
    world.deliver()
    assert body_in_entra(world, registration_id)[field]["redirectUris"] == [new, by_hand]
    world.reconcile()
    assert [each["code"] for each in world.get(registration_id)["findings"]] == ["redirect-uris-added-by-hand"]


def test_the_same_change_sent_again_is_the_same_change(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    first = world.change(registration_id, {"displayName": "New"})
    second = world.change(registration_id, {"displayName": "New"})
    assert (first.status, second.status) == (202, 202)
    assert json.loads(first.body)["operation"] == json.loads(second.body)["operation"]
    assert second.message is None
    world.settle()
    assert world.row(registration_id).change == 1


def test_another_change_is_refused_while_one_is_pending(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.change(registration_id, {"displayName": "New"})
    answer = world.change(registration_id, {"displayName": "Newer"})
    assert (answer.status, code_of(answer)) == (409, "operation-in-progress")


def test_a_stale_run_that_overwrote_a_later_change_is_repaired_by_the_next_reconciliation(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    for name in ("First", "Second"):
        world.change(registration_id, {"displayName": name})
        world.deliver()
    stale = {"displayName": "First", "notes": json.dumps({"change": 1})}
    world.services.directory.update_application(world.row(registration_id).application_object_id or "", stale)
    world.reconcile()
    assert body_in_entra(world, registration_id)["displayName"] == "Second"


def test_a_change_of_what_was_deleted_by_hand_fails_with_a_remedy_and_the_registration_stays_active(
    world: World,
) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(7200)
    world.services.directory.delete_application(world.row(registration_id).application_object_id or "")
    world.change(registration_id, {"displayName": "New"})
    world.deliver()
    row = world.row(registration_id)
    assert (row.status, row.operation.status) == (Status.ACTIVE, OperationStatus.FAILED)
    assert row.operation.failure is not None
    assert row.operation.failure.code == "application-missing"


# --- end of life ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("body", [a_service_client(), a_confidential_client(), a_public_client()])
def test_a_deleted_registration_leaves_nothing_live_and_stays_as_evidence(world: World, body: Any) -> None:
    registration_id = world.registered(body)["registrationId"]
    answer = world.delete(registration_id)
    assert (answer.status, json.loads(answer.body)["status"]) == (202, "deleting")
    world.deliver()
    assert world.get(registration_id)["status"] == "deleted"
    assert registration_id not in [each["registrationId"] for each in world.list()["value"]]
    assert [each["registrationId"] for each in world.list(status="deleted")["value"]] == [registration_id]
    check(world)


@pytest.mark.parametrize("version", [1, 2])
def test_the_same_fhir_server_can_be_registered_right_after_its_registration_was_deleted(version: int) -> None:
    world = World()
    first = world.registered(a_resource(accessTokenVersion=version))
    world.delete(first["registrationId"])
    world.deliver()
    second = world.registered(a_resource(accessTokenVersion=version))
    assert second["registrationId"] != first["registrationId"]
    world.registered(a_service_client())
    check(world)


def test_a_deletion_is_safe_to_repeat(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    answers = [world.delete(registration_id) for _ in range(2)]
    world.settle()
    answers.append(world.delete(registration_id))
    assert [answer.status for answer in answers] == [202, 202, 202]
    assert answers[2].message is None
    world.settle()
    check(world)


def test_what_is_being_provisioned_cannot_be_deleted_and_what_failed_can(world: World) -> None:
    registration_id = json.loads(world.post(a_service_client(resource="https://fhir.contoso.example")).body)[
        "registrationId"
    ]
    answer = world.delete(registration_id)
    assert (answer.status, code_of(answer)) == (409, "registration-in-progress")
    world.emulator.faults.set(directory_quota_exceeded=True)
    world.deliver()
    assert world.get(registration_id)["status"] == "failed"
    assert world.delete(registration_id).status == 202
    world.settle()
    assert world.get(registration_id)["status"] == "deleted"


def test_a_deletion_supersedes_a_pending_operation_and_says_so(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    rotation = json.loads(world.rotate(registration_id).body)["operation"]["id"]
    assert json.loads(world.delete(registration_id).body)["operation"]["supersedes"] == rotation
    world.settle()
    assert world.get(registration_id)["status"] == "deleted"
    check(world)


@pytest.mark.parametrize("point", ["addPassword", "secrets"])
def test_a_rotation_in_flight_while_its_registration_is_deleted_leaves_nothing(world: World, point: str) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(3600)
    world.rotate(registration_id)
    [rotation] = world.queue
    done: list[str] = []

    def delete_first(name: str, action: Any) -> Any:
        if name.startswith(("POST", "PUT")) and point in name and not done:
            done.append(name)
            world.delete(registration_id)
            world.queue.remove(rotation)
            world.outside = lambda _name, action: action()
            world.deliver()
            world.queue.append(rotation)
        return action()

    world.outside = delete_first
    world.deliver()
    assert done
    world.settle()
    world.reconcile()
    check(world)


def test_a_deletion_that_cannot_be_done_is_never_given_up_and_says_why(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.emulator.faults.set(vault_denied=True)
    world.delete(registration_id)
    with pytest.raises(AssertionError, match="does not settle"):
        world.settle()
    shown = world.get(registration_id)
    assert shown["status"] == "deleting"
    assert shown["operation"]["lastError"]["code"] == "vault-denied"
    world.emulator.faults.clear()
    world.settle()
    assert world.get(registration_id)["status"] == "deleted"
    check(world)


def test_what_a_late_run_left_of_a_deleted_registration_is_gone_after_a_reconciliation(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    row = world.row(registration_id)
    application = world.emulator.directory.application(app_id=row.client_id or "")
    assert application is not None
    world.delete(registration_id)
    world.settle()
    application.deleted_at = None
    application.body.put(world.clock.now(), application.last_body)
    world.emulator.vault.deleted.clear()
    world.emulator.vault.set(row.secret_name, {"value": "late", "tags": {"id": registration_id}})
    world.reconcile()
    check(world)


@pytest.mark.parametrize("asked", ["rotate", "change"])
def test_a_deleted_registration_cannot_be_rotated_or_changed(world: World, asked: str) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.delete(registration_id)
    world.settle()
    answer = world.rotate(registration_id) if asked == "rotate" else world.change(registration_id, {"displayName": "x"})
    assert (answer.status, code_of(answer)) == (409, "registration-not-active")


# --- clocks that differ, replicas that lag, and what crosses what ---------------------------------------------------


@pytest.mark.parametrize("seconds", [-300, -5, 5, 300])
def test_no_secret_outlives_its_revocation_or_ends_early_because_the_clock_of_entra_differs(seconds: int) -> None:
    world = World()
    world.clock = WrongClock(world.clock, timedelta(seconds=seconds))
    world.services = world.new_process()
    world.registered(a_resource())
    registration_id = world.registered(a_service_client())["registrationId"]
    leaked = text_of(world, registration_id)
    world.clock.sleep(3600)
    rotated_now(world, registration_id, {"revokePrevious": True})
    assert not works(world, registration_id, leaked)
    replaced = text_of(world, registration_id)
    world.live(8 * DAY)
    rotated_now(world, registration_id)
    assert works(world, registration_id, replaced)


@pytest.mark.parametrize("body", [{}, {"revokePrevious": True}], ids=["replaced", "revoked"])
@pytest.mark.parametrize("seconds", [-300, -3, 3, 300])
def test_one_secret_is_minted_and_the_old_one_revoked_though_the_clock_of_whoever_asks_differs(
    world: World, seconds: int, body: dict[str, bool]
) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    old, skew = text_of(world, registration_id), timedelta(seconds=seconds)
    world.clock.sleep(120)
    world.clock.time += skew
    assert world.rotate(registration_id, body).status == 202
    world.clock.time -= skew
    mints = world.mints
    world.queue[0].visible_at = world.clock.now()
    world.settle()
    assert world.mints == mints + 1
    assert works(world, registration_id, old) is not bool(body)
    world.live(DAY)
    assert world.mints == mints + 1


def test_a_bound_is_only_ever_raised_though_the_clock_of_whoever_asks_differs(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    leaked = text_of(world, registration_id)
    world.clock.sleep(3600)
    world.clock.time += timedelta(minutes=5)
    assert world.rotate(registration_id, {"revokePrevious": True}).status == 202
    raised = world.row(registration_id).revoke_before
    world.clock.time -= timedelta(minutes=5)
    assert raised is not None
    assert world.rotate(registration_id, {"revokePrevious": True}).status == 202
    assert (world.row(registration_id).revoke_before or raised) >= raised
    assert (world.row(registration_id).replace_before or raised) >= raised
    world.settle()
    assert not works(world, registration_id, leaked)
    check(world)


def test_a_redirect_uri_that_was_removed_stays_removed_though_a_replica_still_shows_it(world: World) -> None:
    registration_id = world.registered(a_confidential_client())["registrationId"]
    world.clock.sleep(3600)
    world.emulator.faults.set(replication_lag=600)
    for name in ("b", "c"):
        assert world.change(registration_id, {"redirectUris": [f"https://{name}.contoso.example/cb"]}).status == 202
        world.deliver()
    assert body_in_entra(world, registration_id)["web"]["redirectUris"] == ["https://c.contoso.example/cb"]


def test_a_change_after_the_overlap_does_not_lose_the_clean_up(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(3600)
    rotated_now(world, registration_id)
    world.clock.sleep(7 * 86_400 + 60)
    world.change(registration_id, {"displayName": "Renamed"})
    world.settle()
    assert len(live_keys(world, registration_id)) == 1


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


def test_a_registration_deleted_while_no_replica_knows_its_application_leaves_nothing(world: World) -> None:
    world.emulator.faults.set(replication_lag=90)
    registration_id = json.loads(world.post(a_public_client()).body)["registrationId"]
    while world.get(registration_id)["status"] != "active":
        world.clock.sleep(1)
        world.deliver()
    world.delete(registration_id)
    world.settle()
    check(world)


def test_a_registration_whose_name_somebody_else_holds_can_be_deleted_and_theirs_stays(world: World) -> None:
    registration_id = json.loads(world.post(a_public_client()).body)["registrationId"]
    theirs = {"displayName": "Theirs", "uniqueName": f"fhir-registrar-{registration_id}"}
    assert Client(world.emulator).graph("POST", "/applications", theirs).status_code == 201
    world.deliver()
    assert world.get(registration_id)["operation"]["failure"]["code"] == "application-not-ours"
    world.delete(registration_id)
    world.settle()
    assert world.get(registration_id)["status"] == "deleted"
    application = world.emulator.directory.application(unique_name=f"fhir-registrar-{registration_id}")
    assert application is not None
    assert application.deleted_at is None


def test_each_notice_of_a_life_comes_once_and_in_order() -> None:
    receiver = Receiver()
    world = World(receiver=receiver)
    world.registered(a_resource())
    registration_id = world.registered(a_confidential_client(secretLifetime="P60D"))["registrationId"]
    world.clock.sleep(3600)
    rotated_now(world, registration_id)
    world.change(registration_id, {"displayName": "Renamed"})
    world.live(61 * DAY)
    world.delete(registration_id)
    world.settle()
    told = [each for each in receiver.taken if each["subject"] == registration_id]
    assert len({each["id"] for each in told}) == len(told)
    kinds = [each["type"].removeprefix("registration.") for each in told]
    assert kinds == ["active", "rotated", "changed", "expiring", "expiring", "expiring", "expiring", "deleted"]
    assert [each["data"]["days"] for each in told if each["type"].endswith("expiring")] == [30, 14, 7, 1]
    beats = [each for each in receiver.taken if each["type"] == "registrar.heartbeat"]
    assert 60 <= len(beats) <= 61
    assert beats[-1]["data"]["counts"]["registrations"] == 2


def test_a_certificate_that_ends_is_told_too() -> None:
    receiver = Receiver()
    world = World(receiver=receiver)
    world.registered(a_resource())
    certificate = a_certificate(world.clock.now() - DAY, 21 * DAY).pem
    registration_id = world.registered(
        a_service_client(credential={"type": "certificate", "certificate": certificate})
    )["registrationId"]
    world.live(21 * DAY)
    told = [each for each in receiver.taken if each["type"] == "registration.expiring"]
    assert {each["subject"] for each in told} == {registration_id}
    assert [each["data"]["days"] for each in told] == [30, 14, 7, 1]


def test_a_rotation_that_failed_is_told_and_the_registration_stays_active() -> None:
    receiver = Receiver()
    world = World(receiver=receiver)
    world.registered(a_resource())
    registration_id = world.registered(a_service_client())["registrationId"]
    world.emulator.faults.set(password_addition_blocked=True)
    world.clock.sleep(60)
    world.rotate(registration_id)
    world.settle()
    assert world.get(registration_id)["status"] == "active"
    [failed] = [each for each in receiver.taken if each["type"] == "registration.rotation-failed"]
    assert failed["data"]["failure"]["code"] == "secrets-forbidden"
    assert failed["data"]["status"] == "active"
