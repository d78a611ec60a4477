"""The owner of a registration reads its secret, where this service is a delegate for the vault; nobody else does."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dev.emulator import Fault
from dev.emulator.constants import (
    GROUP_MEMBER_READ_ALL,
    REGISTRAR_OBJECT_ID,
    USER_READ_ALL,
    VAULT_ID,
    VAULT_RESOURCE,
)
from provisioning.domain.azure_roles import SECRETS_USER, RoleAssignment, delegation, secret_scope
from provisioning.domain.errors import StaleRegistration
from provisioning.domain.messages import read_message, reconcile_message
from provisioning.domain.operation import DueEntry
from provisioning.flow.grant import RUNS_END_WITHIN
from tests.worlds.checker import check, token_answer
from tests.worlds.outside import straight
from tests.worlds.request_bodies import OTHER_OWNER, OWNER, REQUESTS, a_resource, a_service_client
from tests.worlds.steps import operations, submitted, text_of
from tests.worlds.world import World

ARM_CALLS = ("arm.assignRole", "arm.unassignRole", "arm.listRoleAssignments")


def a_world(*, delegated: bool = True, **settings: str) -> World:
    world = World(settings={"KEY_VAULT_ID": VAULT_ID, **settings})
    world.emulator.directory.add_principal(OWNER)
    world.emulator.directory.groups.add(OTHER_OWNER)
    if delegated:
        condition = delegation([SECRETS_USER], REGISTRAR_OBJECT_ID)
        world.emulator.role_assignments.delegate(REGISTRAR_OBJECT_ID, VAULT_ID, condition)
    world.registered(a_resource())
    return world


def readers(world: World, registration_id: str) -> list[str]:
    scope = secret_scope(VAULT_ID, world.row(registration_id).secret_name).lower()
    assigned = world.emulator.role_assignments.all.values()
    return [each.principal_id for each in assigned if (each.scope, each.role_id) == (scope, SECRETS_USER.id)]


def told(world: World, registration_id: str) -> list[tuple[str, str, str | None]]:
    shown = world.get(registration_id)["azureRoles"]
    return [(each["principalId"], each["state"], each["waitsFor"]) for each in shown]


def steps_left(world: World, registration_id: str) -> list[str]:
    return [each["code"] for each in world.get(registration_id)["nextSteps"]]


def arm_calls(world: World) -> Mapping[str, int]:
    return {name: count for name, count in operations(world).items() if name in ARM_CALLS}


@pytest.mark.parametrize("kind", ["service", "confidential"])
def test_an_owner_reads_the_secret_of_a_registration_and_nothing_is_left_to_do_for_it(kind: str) -> None:
    world = a_world()
    client = world.registered(REQUESTS[kind]())["registrationId"]
    assert readers(world, client) == [OWNER]
    assert told(world, client) == [(OWNER, "granted", None)]
    assert "grant-vault-read" not in steps_left(world, client)
    check(world)


def test_it_costs_one_call_more_after_the_first_of_an_hour_and_no_call_of_graph() -> None:
    world, without = a_world(), World()
    without.registered(a_resource())
    world.registered(a_service_client())
    costs = []
    for each in (world, without):
        before = operations(each)
        each.registered(a_service_client(displayName="Another"))
        costs.append(operations(each) - before)
    more = costs[0] - costs[1]
    assert more["arm.assignRole"] == 1
    assert set(more) <= {"arm.assignRole", "identity.token"}


@pytest.mark.parametrize("kind", ["public", "resource"])
def test_what_holds_no_secret_asks_nothing_of_azure(kind: str) -> None:
    world = a_world()
    if kind != "resource":
        world.registered(REQUESTS[kind]())
    assert arm_calls(world) == {}


def test_without_the_setting_no_token_for_resource_manager_is_ever_asked_for() -> None:
    world = World()
    world.registered(a_resource())
    client = world.registered(a_service_client())["registrationId"]
    world.change(client, {"owner": OTHER_OWNER})
    world.deliver()
    world.delete(client)
    world.deliver()
    assert arm_calls(world) == {}
    assert told(world, client) == []


@pytest.mark.parametrize(
    ("right", "owner", "kind"), [(USER_READ_ALL, OWNER, "User"), (GROUP_MEMBER_READ_ALL, OTHER_OWNER, "Group")]
)
def test_azure_is_told_what_an_owner_is_of_whom_it_has_not_heard_yet(right: str, owner: str, kind: str) -> None:
    world = a_world()
    graph = world.emulator.directory.resource("https://graph.microsoft.com")
    assert graph is not None
    young = Fault("status", "arm.assignRole", status=400, code="PrincipalNotFound")
    world.emulator.faults.add(young)
    unknown = world.registered(a_service_client(owner=owner))["registrationId"]
    assert told(world, unknown) == [(owner, "waits", "principal-not-found")]
    world.emulator.directory.grant(REGISTRAR_OBJECT_ID, graph.id, right)
    world.clock.sleep(3700)
    world.emulator.faults.add(young)
    client = world.registered(a_service_client(owner=owner, displayName="Another"))["registrationId"]
    [made] = [each for each in world.emulator.role_assignments.all.values() if each.principal_id == owner]
    assert made.principal_type == kind
    assert readers(world, client) == [owner]


def test_an_owner_that_is_an_application_reads_its_own_secret_by_its_own_token_and_no_other() -> None:
    world = a_world()
    owner = world.registered(a_service_client(displayName="The one that reads"))
    principal = world.row(owner["registrationId"]).service_principal_id
    own = world.registered(a_service_client(displayName="What it owns", owner=principal))["registrationId"]
    other = world.registered(a_service_client(displayName="What it does not own"))["registrationId"]
    text = text_of(world, owner["registrationId"])
    token = token_answer(world, owner["clientId"], text, f"{VAULT_RESOURCE}/.default").json()["access_token"]

    def read(registration_id: str) -> int:
        url = f"{world.emulator.origin}/secrets/{world.row(registration_id).secret_name}/?api-version=7.4"
        headers = {"Authorization": f"Bearer {token}"}
        return world.emulator.session().get(url, headers=headers, timeout=5).status_code

    assert (read(own), read(other)) == (200, 403)
    world.change(own, {"owner": OWNER})
    world.deliver()
    assert read(own) == 403


def test_who_reads_is_looked_at_when_that_is_due_and_not_by_a_check_for_something_else() -> None:
    world = a_world()
    world.emulator.faults.add(Fault("status", "arm.assignRole", status=503, times=None))
    client = world.registered(a_service_client())["registrationId"]
    world.emulator.faults.clear()
    due_at = world.row(client).azure_grants_due_at
    assert due_at is not None
    for at, asked in ((due_at - timedelta(seconds=1), 0), (due_at, 1)):
        world.emulator.calls.clear()
        world.clock.time = at
        world.registry.put_due(DueEntry(client, at))
        world.registry.replace(replace(world.row(client), due_at=at))
        world.send(json.dumps({"operation": "check", "registrationId": client}))
        world.deliver()
        assert arm_calls(world).get("arm.assignRole", 0) == asked
        assert world.registry.due(at, 10) == [], "it is looked at, and comes again no sooner than it has to"
    assert readers(world, client) == [OWNER]


def test_whoever_is_given_the_role_while_another_becomes_the_owner_loses_it_again_in_the_same_run() -> None:
    world = a_world()
    world.emulator.faults.add(Fault("status", "arm.assignRole", status=503, times=None))
    client = world.registered(a_service_client())["registrationId"]
    world.emulator.faults.clear()
    assert told(world, client) == [(OWNER, "waits", "resource-manager-unavailable")]
    world.clock.time += timedelta(hours=1)
    changed: list[int] = []

    def change_it_first(name: str, action: Any) -> Any:
        if name.startswith("PUT") and "roleAssignments" in name and not changed:
            world.outside = lambda _name, action: action()
            changed.append(world.change(client, {"owner": OTHER_OWNER}).status)
            world.deliver()
            assert readers(world, client) == [OTHER_OWNER]
        return action()

    world.plan()
    [check_of_it] = world.queue
    world.queue.clear()
    world.outside = change_it_first
    with pytest.raises(StaleRegistration):
        world.run(world.services, read_message(check_of_it.text.encode()))
    assert changed == [202]
    assert readers(world, client) == [OTHER_OWNER]


def test_nobody_is_given_the_role_once_the_registration_ends() -> None:
    world = a_world()
    client = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(7200)
    asked = arm_calls(world)

    def delete_it_first(name: str, action: Any) -> Any:
        if name.startswith("PUT") and "roleAssignments" in name:
            world.outside = straight
            assert world.delete(client).status == 202
            world.deliver()
        return action()

    world.outside = delete_it_first
    world.run(world.services, read_message(reconcile_message(client, "20260101T000000Z").encode()))
    assert arm_calls(world)["arm.assignRole"] == asked["arm.assignRole"] + 1
    assert readers(world, client) == []


def test_nothing_but_who_reads_a_secret_asks_anything_of_resource_manager() -> None:
    world = a_world()
    client = world.registered(a_service_client())["registrationId"]
    before = arm_calls(world)
    world.get(client)
    world.list()
    world.post(a_service_client(displayName="Another"), query={"dryRun": "true"})
    world.rotate(client, {"revokePrevious": True})
    world.deliver()
    world.change(client, {"displayName": "Another name"})
    world.deliver()
    world.plan()
    world.settle(timedelta(hours=2))
    assert arm_calls(world) == before


# --- what stands in the way -----------------------------------------------------------------------------------------


def test_where_it_is_no_delegate_a_person_does_it_and_azure_is_not_asked_again_for_an_hour() -> None:
    world = a_world(delegated=False)
    client = world.registered(a_service_client())["registrationId"]
    assert world.row(client).status == "active"
    assert told(world, client) == [(OWNER, "waits", "azure-role-denied")]
    assert "grant-vault-read" in steps_left(world, client)
    asked = sum(arm_calls(world).values())
    world.registered(a_service_client(displayName="Another"))
    assert sum(arm_calls(world).values()) == asked
    world.clock.sleep(3700)
    world.registered(a_service_client(displayName="A third"))
    assert sum(arm_calls(world).values()) > asked
    check(world)


def test_once_it_is_a_delegate_the_daily_check_gives_what_waited() -> None:
    world = a_world(delegated=False)
    client = world.registered(a_service_client())["registrationId"]
    world.emulator.role_assignments.delegate(REGISTRAR_OBJECT_ID, VAULT_ID, None)
    world.clock.sleep(3700)
    world.reconcile()
    assert readers(world, client) == [OWNER]
    assert told(world, client) == [(OWNER, "granted", None)]
    assert "granted" in [each.what.value for each in world.registry.events(client, top=99).events]


def test_it_never_gives_itself_a_role() -> None:
    world = a_world()
    client = world.registered(a_service_client(owner=REGISTRAR_OBJECT_ID))["registrationId"]
    assert told(world, client) == [(REGISTRAR_OBJECT_ID, "waits", "azure-role-denied")]
    other = world.registered(a_service_client(displayName="Another"))["registrationId"]
    assert readers(world, other) == [OWNER]


@pytest.mark.parametrize(
    ("fault", "code"),
    [
        (Fault("status", "arm.assignRole", status=400, code="PrincipalNotFound"), "principal-not-found"),
        (
            Fault("status", "arm.assignRole", status=400, code="RoleAssignmentLimitExceeded"),
            "role-assignments-near-limit",
        ),
        (Fault("status", "arm.assignRole", status=400, code="ScopeLocked"), "azure-refused"),
        (Fault("status", "arm.assignRole", status=409, code="ScopeLocked"), "azure-refused"),
    ],
)
def test_a_refusal_is_told_and_fails_no_registration(fault: Fault, code: str) -> None:
    world = a_world()
    world.emulator.faults.add(fault)
    client = world.registered(a_service_client())["registrationId"]
    assert told(world, client) == [(OWNER, "waits", code)]
    world.live(timedelta(days=1, hours=1))
    assert told(world, client) == [(OWNER, "granted", None)]


@pytest.mark.parametrize("operation", ["arm.assignRole", "arm.listRoleAssignments"])
@pytest.mark.parametrize("kind", ["status", "throttle", "reset", "hang"])
def test_what_passes_is_waited_for_some_seconds_and_then_given_later(operation: str, kind: Any) -> None:
    world = a_world()
    world.emulator.faults.add(Fault(kind, operation, times=1))
    client = world.registered(a_service_client())["registrationId"]
    world.live(timedelta(minutes=10))
    assert told(world, client) == [(OWNER, "granted", None)]
    world.emulator.faults.add(Fault("status", operation, times=None))
    if operation == "arm.assignRole":
        other = world.registered(a_service_client(displayName="Another"))["registrationId"]
        assert world.row(other).status == "active"
        assert told(world, other) == [(OWNER, "waits", "resource-manager-unavailable")]
        world.emulator.faults.clear()
        world.live(timedelta(minutes=10))
        assert told(world, other) == [(OWNER, "granted", None)]
    world.emulator.faults.clear()
    check(world)


def test_where_resource_manager_is_not_reached_no_registration_waits_for_it() -> None:
    world = a_world()
    world.emulator.faults.add(Fault("hang", "arm.*", times=None))
    world.registered(a_service_client())
    asked = sum(arm_calls(world).values())
    began = world.clock.now()
    client = world.registered(a_service_client(displayName="Another"))["registrationId"]
    assert sum(arm_calls(world).values()) == asked
    assert world.clock.now() - began < timedelta(seconds=5)
    assert told(world, client) == [(OWNER, "waits", "resource-manager-unavailable")]
    world.emulator.faults.clear()
    world.live(timedelta(minutes=30))
    assert told(world, client) == [(OWNER, "granted", None)]


def test_near_the_limit_of_the_subscription_it_stops_and_says_so() -> None:
    world = a_world()
    for number in range(3800):
        world.emulator.role_assignments.delegate(OTHER_OWNER, f"{VAULT_ID}/secrets/{number}", None)
    client = world.registered(a_service_client())["registrationId"]
    assert told(world, client) == [(OWNER, "waits", "role-assignments-near-limit")]
    assert readers(world, client) == []


def test_what_somebody_else_gave_is_as_good_and_stays_theirs() -> None:
    world = a_world()
    row = world.row(submitted(world, a_service_client()))
    world.emulator.role_assignments.give(OWNER, secret_scope(VAULT_ID, row.secret_name), SECRETS_USER.id)
    world.deliver()
    assert told(world, row.id) == [(OWNER, "granted", None)]
    world.change(row.id, {"owner": OTHER_OWNER})
    world.deliver()
    assert sorted(readers(world, row.id)) == sorted([OWNER, OTHER_OWNER])


def test_who_was_registered_before_the_setting_reads_its_secret_within_a_day() -> None:
    world = a_world()
    world.exchange(lambda services: replace(services, azure_roles=None))
    client = world.registered(a_service_client())["registrationId"]
    assert told(world, client) == []
    world.exchange(lambda services: services)
    world.reconcile()
    assert told(world, client) == [(OWNER, "granted", None)]
    assert readers(world, client) == [OWNER]


def test_an_owner_is_the_same_in_capitals() -> None:
    world = a_world()
    group = "ABCDEF01-2222-4333-8444-555555555555"
    world.emulator.directory.groups.add(group.lower())
    client = world.registered(a_service_client(owner=group))["registrationId"]
    world.reconcile()
    unassigned = arm_calls(world).get("arm.unassignRole", 0)
    assert (readers(world, client), unassigned) == ([group.lower()], 0)


# --- what changes ---------------------------------------------------------------------------------------------------


def test_another_owner_reads_the_secret_and_the_former_one_does_not() -> None:
    world = a_world()
    client = world.registered(a_service_client())["registrationId"]
    assert world.change(client, {"owner": OTHER_OWNER}).status == 202
    world.deliver()
    assert readers(world, client) == [OTHER_OWNER]
    assert told(world, client) == [(OTHER_OWNER, "granted", None)]
    assert world.services.azure_roles is not None
    scope = secret_scope(VAULT_ID, world.row(client).secret_name)
    world.services.azure_roles.assign(RoleAssignment(SECRETS_USER, scope, OWNER), None)  # by a run that stood still
    world.live(RUNS_END_WITHIN + timedelta(minutes=5))
    assert readers(world, client) == [OTHER_OWNER]
    asked = arm_calls(world)
    world.live(timedelta(hours=2))
    assert arm_calls(world) == asked, "it is compared once"
    check(world)


def test_an_assignment_that_a_run_made_and_did_not_live_to_tell_is_taken_back_from_a_former_owner() -> None:
    world = a_world()
    client = world.registered(a_service_client())["registrationId"]
    scope = secret_scope(VAULT_ID, world.row(client).secret_name)
    roles = world.services.azure_roles
    assert roles is not None
    stray = world.emulator.directory.add_principal()
    roles.assign(RoleAssignment(SECRETS_USER, scope, stray), None)
    world.reconcile()
    assert readers(world, client) == [OWNER]


def test_a_former_owner_who_cannot_be_kept_out_is_told_until_that_is_done() -> None:
    world = a_world()
    client = world.registered(a_service_client())["registrationId"]
    world.emulator.faults.add(Fault("status", "arm.unassignRole", status=403, code="AuthorizationFailed"))
    world.change(client, {"owner": OTHER_OWNER})
    world.deliver()
    assert told(world, client) == [(OTHER_OWNER, "granted", None), (OWNER, "granted", None)]
    world.live(timedelta(days=2))
    assert told(world, client) == [(OTHER_OWNER, "granted", None)]
    assert readers(world, client) == [OTHER_OWNER]


def test_a_former_owner_is_kept_out_although_nobody_tells_who_reads() -> None:
    world = a_world()
    client = world.registered(a_service_client())["registrationId"]
    unlisted = Fault("status", "arm.listRoleAssignments", status=403, code="AuthorizationFailed", times=None)
    world.emulator.faults.add(unlisted)
    world.change(client, {"owner": OTHER_OWNER})
    world.deliver()
    assert OWNER not in readers(world, client)


def test_a_change_of_the_owner_ends_once_the_former_one_is_out() -> None:
    world = a_world()
    client = world.registered(a_service_client())["registrationId"]
    world.emulator.faults.add(Fault("status", "arm.unassignRole", times=None))
    world.change(client, {"owner": OTHER_OWNER})
    world.deliver()
    assert world.row(client).pending
    world.emulator.faults.clear()
    world.settle()
    assert not world.row(client).pending
    assert readers(world, client) == [OTHER_OWNER]


def test_with_the_registration_the_assignment_ends() -> None:
    world = a_world()
    client = world.registered(a_service_client())["registrationId"]
    world.delete(client)
    world.settle()
    assert readers(world, client) == []
    assert world.get(client)["azureRoles"] == []
    check(world)


def test_a_check_goes_on_where_resource_manager_is_away() -> None:
    world = a_world()
    client = world.registered(a_service_client())["registrationId"]
    world.emulator.faults.add(Fault("status", "arm.*", times=None))
    first = world.row(client).secret
    world.clock.sleep(timedelta(days=155).total_seconds())
    world.reconcile()
    world.settle()
    assert first is not None
    assert world.row(client).secret not in (None, first), "it was not rotated"
    assert readers(world, client) == [OWNER]
