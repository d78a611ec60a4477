"""A client of a managed FHIR service gets the data roles that somebody else agreed to, and they are taken back."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dev.emulator import Fault
from dev.emulator.constants import FHIR_SERVICE_ID
from provisioning.api import web
from provisioning.api.calls import Call
from provisioning.domain.azure_roles import DATA_ROLES, RoleAssignment
from provisioning.domain.callers import Caller, CallerKind, Role
from provisioning.domain.errors import AzureRoleDenied
from provisioning.domain.messages import read_message, reconcile_message
from provisioning.flow.grant import RUNS_END_WITHIN
from tests.worlds.approvals import APPROVER, REQUESTER, asked_as
from tests.worlds.checker import check
from tests.worlds.data_roles import (
    GIVING,
    READER,
    WRITER,
    a_giving_world,
    a_reader,
    asked,
    changed,
    given,
    gives_by_hand,
    held,
    revoked,
    says,
    told,
)
from tests.worlds.outside import straight
from tests.worlds.request_bodies import OTHER_OWNER, a_confidential_client, a_policy, a_resource, a_service_client
from tests.worlds.signed_in import ALICE, ENTRA, TEAM
from tests.worlds.steps import body_of, code_of, operations, post_as
from tests.worlds.world import World

ARM_CALLS = ("arm.assignRole", "arm.unassignRole", "arm.listRoleAssignments", "arm.getRoleAssignment")


def arm_calls(world: World) -> Mapping[str, int]:
    return {name: count for name, count in operations(world).items() if name in ARM_CALLS}


def steps_left(world: World, registration_id: str) -> list[str]:
    steps = world.get(registration_id)["nextSteps"]
    return [each["command"] for each in steps if each["code"] == "assign-fhir-data-role"]


def test_a_client_has_the_data_roles_that_an_approver_agreed_to_and_nothing_is_left_to_do_for_them() -> None:
    world = a_giving_world()
    client = asked(world, READER, WRITER)
    world.deliver()
    waiting = world.get(client)
    assert (waiting["operation"]["status"], waiting["approval"]["rules"]) == ("awaiting-approval", ["dataRoles"])
    assert waiting["warnings"] == [], "nobody has to assign what is asked of an approver"
    assert arm_calls(world) == {}
    assert says(world, "approve", client).status == 202
    assert held(world, client) == [READER, WRITER]
    assert told(world, client) == [(READER, "granted", None), (WRITER, "granted", None)]
    assert steps_left(world, client) == []
    assert world.get(client)["warnings"] == []
    check(world)


def test_a_dry_run_says_who_has_to_agree_and_that_a_person_assigns_them_only_where_that_is_so() -> None:
    said = []
    for world in (World(settings={**ENTRA, **GIVING}), World(settings=ENTRA)):
        seen = body_of(post_as(world, ALICE, a_reader(owner=TEAM), "dryRun=true"))
        said.append([*(each["rule"] for each in seen["approvalsNeeded"]), *(each["code"] for each in seen["warnings"])])
    assert said == [["dataRoles"], ["data-roles-by-hand"]]


def test_each_role_costs_one_call_more_after_the_first_of_an_hour() -> None:
    world, without = a_giving_world(), World()
    given(world)
    costs = []
    for each in (world, without):
        before = operations(each)
        client = asked(each, READER, WRITER)
        each.deliver()
        if each is world:
            assert says(each, "approve", client).status == 202
        costs.append(operations(each) - before)
        assert each.row(client).status == "active"
    more = costs[0] - costs[1]
    assert dict(more) == {"arm.assignRole": 2}


def test_it_may_give_no_data_role_without_saying_that_it_is_for_a_service_principal() -> None:
    world = a_giving_world()
    assert held(world, given(world)) == [READER]
    principal = world.row(given(world, displayName="Another")).service_principal_id or ""
    assignment = RoleAssignment(DATA_ROLES[WRITER], FHIR_SERVICE_ID, principal)
    for kind in (None, "User"):
        with pytest.raises(AzureRoleDenied):
            world.new_process().data_roles[FHIR_SERVICE_ID].assign(assignment, kind)


def test_without_the_setting_a_person_assigns_them_and_no_token_for_resource_manager_is_ever_asked_for() -> None:
    world = World()
    client = asked(world, READER, WRITER)
    world.deliver()
    assert world.row(client).status == "active"
    assert told(world, client) == [(READER, "declared", None), (WRITER, "declared", None)]
    assert [command.split('"')[1] for command in steps_left(world, client)] == [READER, WRITER]
    assert [each["code"] for each in world.get(client)["warnings"]] == ["data-roles-by-hand"]
    changed(world, client, {"dataRoles": [READER]})
    revoked(world, client)
    world.reconcile()
    world.delete(client)
    world.settle()
    assert arm_calls(world) == {}
    check(world)


def test_once_the_service_is_listed_nobody_has_agreed_yet_and_it_waits() -> None:
    world = World()
    client = asked(world)
    world.deliver()
    giving = a_giving_world().services
    world.exchange(lambda services: replace(services, fhir_services=giving.fhir_services, data_roles=giving.data_roles))
    world.reconcile()
    assert held(world, client) == []
    assert told(world, client) == [(READER, "waits", "approver")]


# --- who may agree --------------------------------------------------------------------------------------------------


BOT_APPROVER = Caller("b0b00000-0000-4000-8000-000000000009", CallerKind.APPLICATION, frozenset({Role.APPROVE}))


@pytest.mark.parametrize(
    ("caller", "code"),
    [
        (REQUESTER, "own-request"),
        (BOT_APPROVER, "not-in-person"),
        (replace(APPROVER, via="b0b00000-0000-4000-8000-000000000009"), "not-in-person"),
        (Caller("function-key", CallerKind.KEY, frozenset(Role)), "approver-unknown"),
        (replace(APPROVER, roles=frozenset({Role.READ_ALL})), "not-an-approver"),
    ],
)
def test_whoever_asked_a_bot_or_a_key_agrees_to_nothing(caller: Caller, code: str) -> None:
    world = a_giving_world()
    client = asked(world)
    world.deliver()
    assert code_of(says(world, "approve", client, caller)) == code
    assert world.row(client).awaits_approval
    assert arm_calls(world) == {}


@pytest.mark.parametrize("query", [{}, {"dryRun": "true"}])
def test_with_a_function_key_data_roles_are_refused_where_they_would_be_given(query: dict[str, str]) -> None:
    world = a_giving_world()
    answer = world.post(a_reader(), query=query)
    assert (answer.status, code_of(answer)) == (403, "approval-needed")
    assert [each["code"] for each in body_of(answer)["errors"]] == ["data-roles-need-approval"]


def test_where_the_service_is_registered_its_owner_agrees_and_takes_it_back() -> None:
    world, server = registered_here()
    client = asked(
        world, caller=replace(REQUESTER, groups=frozenset({OTHER_OWNER})), owner=OTHER_OWNER, resource=server
    )
    world.deliver()
    owner = Caller("0e0e0e00-0000-4000-8000-000000000001", CallerKind.USER, frozenset(), frozenset({SERVER_OWNER}))
    assert code_of(says(world, "approve", client, replace(owner, groups=frozenset()))) == "registration-not-found"
    assert says(world, "approve", client, owner).status == 202
    assert held(world, client) == [READER]
    assert owner_says(world, "revoke", server, client, owner).status == 202
    assert held(world, client) == []
    assert told(world, client) == [(READER, "waits", "resource-owner")]
    asker = replace(owner, object_id=REQUESTER.object_id)
    assert code_of(owner_says(world, "approve", server, client, asker)) == "own-request"
    bot = replace(owner, kind=CallerKind.APPLICATION)
    assert code_of(owner_says(world, "approve", server, client, bot)) == "not-in-person"
    assert owner_says(world, "approve", server, client, owner).status == 202
    assert held(world, client) == [READER]
    check(world)


def test_the_owner_of_a_registered_service_does_not_agree_by_asking() -> None:
    world, server = registered_here()
    owner = replace(REQUESTER, groups=frozenset({SERVER_OWNER}))
    client = asked(world, caller=owner, owner=SERVER_OWNER, resource=server)
    world.deliver()
    assert world.row(client).awaits_approval
    assert world.row(client).agreement is None
    assert code_of(says(world, "approve", client, owner)) == "own-request"
    assert says(world, "approve", client).status == 202
    assert held(world, client) == [READER]


SERVER_OWNER = "5e5e5e5e-2222-4333-8444-555555555555"


def registered_here() -> tuple[World, str]:
    """A world where the managed service is registered too, by a team that the policy names for it."""
    world = a_giving_world()
    claim = {
        "id": "claims",
        "kind": "fhirServers",
        "hosts": {"include": ["ws-svc.fhir.azurehealthcareapis.com"]},
        "claimants": {"include": [SERVER_OWNER]},
    }
    world.policy = a_policy(claim)
    url = "https://ws-svc.fhir.azurehealthcareapis.com"
    return world, world.registered(a_resource(fhirServerUrl=url, owner=SERVER_OWNER))["registrationId"]


def owner_says(world: World, what: str, server: str, client: str, caller: Caller) -> Any:
    handle = web.CALLS[f"{what}_client"]
    body = json.dumps({"permissions": [each.value for each in world.row(client).declared]}) if what == "approve" else ""
    headers = {"content-type": "application/json"} if body else {}
    path = f"/api/registrations/{server}/clients/{client}/{what}"
    call = Call(path, headers, body=body.encode(), registration_id=server, client_registration_id=client, method="POST")

    def as_person(services: Any, _: Caller, about: Call) -> Any:
        return handle(services, caller, about)

    as_person.__name__ = handle.__name__
    answer = world.call(as_person, call)
    world.deliver()
    return answer


# --- what is refused ------------------------------------------------------------------------------------------------


def test_a_name_that_is_no_data_role_is_refused_with_the_names_that_there_are() -> None:
    world = a_giving_world()
    answer = asked_as(REQUESTER, world, "submit_registration", a_reader("FHIR Data Owner"), "")
    [error] = body_of(answer)["errors"]
    assert (error["pointer"], error["code"]) == ("#/dataRoles/0", "not-one-of")
    assert READER in error["message"]
    assert "FHIR SMART User" in error["message"]


@pytest.mark.parametrize("resource", ["https://fhir.contoso.example", "api://payments"])
def test_a_resource_that_is_no_managed_service_has_no_data_roles(resource: str) -> None:
    world = a_giving_world(ALLOWED_RESOURCES="api://payments")
    world.registered(a_resource())
    answer = world.post(a_reader(resource=resource))
    assert [each["code"] for each in body_of(answer)["errors"]] == ["data-roles-not-offered"]


def test_a_web_application_is_told_that_its_users_open_the_data() -> None:
    answer = a_giving_world().post(a_confidential_client(dataRoles=[READER]))
    [error] = body_of(answer)["errors"]
    assert (error["pointer"], error["code"]) == ("#/dataRoles", "field-not-allowed")
    assert "users" in error["message"]


def test_nobody_registers_the_own_name_of_a_listed_service_unless_the_policy_names_who_may() -> None:
    world = World(settings={"FHIR_SERVICE_IDS": f"https://fhir.contoso.example={FHIR_SERVICE_ID}"})
    [error] = body_of(world.post(a_resource()))["errors"]
    assert error["code"] == "name-not-claimable"


# --- what stands in the way -----------------------------------------------------------------------------------------


def test_where_it_is_no_delegate_a_person_does_it_and_azure_is_not_asked_again_for_an_hour() -> None:
    world = a_giving_world(delegated=False)
    client = given(world)
    assert told(world, client) == [(READER, "waits", "azure-role-denied")]
    assert len(steps_left(world, client)) == 1
    calls = sum(arm_calls(world).values())
    given(world, displayName="Another")
    assert sum(arm_calls(world).values()) == calls


@pytest.mark.parametrize("fault", ["status", "throttle", "reset", "hang"])
def test_what_passes_is_waited_for_some_seconds_and_then_given_later(fault: Any) -> None:
    world = a_giving_world()
    world.emulator.faults.add(Fault(fault, "arm.assignRole", times=1))
    world.clock.slept.clear()
    client = given(world)
    assert fault != "status" or 0 < sum(world.clock.slept) <= 0.5, "it is asked again within half a second"
    world.live(timedelta(minutes=10))
    assert told(world, client) == [(READER, "granted", None)]


def test_a_principal_that_azure_has_not_heard_of_is_waited_for_and_then_given_later() -> None:
    world = a_giving_world()
    world.emulator.faults.add(Fault("status", "arm.assignRole", status=400, code="PrincipalNotFound", times=2))
    assert told(world, given(world)) == [(READER, "granted", None)]
    world.emulator.faults.add(Fault("status", "arm.assignRole", status=400, code="PrincipalNotFound", times=None))
    client = given(world, displayName="Another")
    assert told(world, client) == [(READER, "waits", "principal-not-found")]
    world.emulator.faults.clear()
    world.live(timedelta(minutes=10))
    assert told(world, client) == [(READER, "granted", None)]


def test_near_the_limit_of_the_subscription_it_stops_and_says_so() -> None:
    world = a_giving_world()
    world.emulator.directory.groups.add(OTHER_OWNER)
    for number in range(3800):
        world.emulator.role_assignments.delegate(OTHER_OWNER, f"{FHIR_SERVICE_ID}/{number}", None)
    client = given(world)
    assert told(world, client) == [(READER, "waits", "role-assignments-near-limit")]
    assert held(world, client) == []


# --- what changes ---------------------------------------------------------------------------------------------------


def test_roles_that_are_asked_for_by_a_change_wait_for_an_approval_and_the_rest_stays() -> None:
    world = a_giving_world()
    client = given(world)
    answer = changed(world, client, {"dataRoles": [READER, WRITER]})
    assert body_of(answer)["operation"]["status"] == "awaiting-approval"
    assert held(world, client) == [READER]
    assert code_of(says(world, "approve", client, REQUESTER)) == "own-request"
    assert says(world, "approve", client).status == 202
    assert held(world, client) == [READER, WRITER]
    assert told(world, client) == [(READER, "granted", None), (WRITER, "granted", None)]


def test_roles_that_are_not_asked_for_any_more_are_taken_back_and_nobody_has_to_agree() -> None:
    world = a_giving_world()
    client = given(world, READER, WRITER)
    assert body_of(changed(world, client, {"dataRoles": [WRITER]}))["operation"]["status"] == "pending"
    assert held(world, client) == [WRITER]
    patch = [{"op": "remove", "path": "/dataRoles"}]
    handle = asked_as(
        REQUESTER, world, "change_registration", patch, client, **{"content-type": "application/json-patch+json"}
    )
    assert handle.status == 202, handle.body
    world.deliver()
    assert (held(world, client), told(world, client)) == ([], [])
    check(world)


def test_whoever_asked_for_what_stays_does_not_agree_to_it_because_somebody_else_asked_for_more() -> None:
    world, other = a_giving_world(), replace(APPROVER, object_id="a9900000-0000-4000-8000-00000000000a")
    asker = replace(REQUESTER, object_id="a9900000-0000-4000-8000-00000000000b")
    client = given(world, READER)
    revoked(world, client)
    changed(world, client, {"dataRoles": [READER, WRITER]}, asker)
    assert code_of(says(world, "approve", client, REQUESTER)) == "own-request"
    assert says(world, "approve", client, other).status == 202
    changed(world, client, {"dataRoles": [READER]}, APPROVER_AND_OWNER)
    assert set(world.row(client).data_roles_by) == {REQUESTER.object_id, asker.object_id}
    assert held(world, client) == [READER]


APPROVER_AND_OWNER = replace(REQUESTER, object_id="a9900000-0000-4000-8000-00000000000c")


@pytest.mark.parametrize("caller", [APPROVER, REQUESTER])
def test_what_was_agreed_to_is_taken_back_on_a_word_and_stays_so(caller: Caller) -> None:
    world = a_giving_world()
    client = given(world)
    assert revoked(world, client, caller).status == 202
    assert held(world, client) == []
    assert told(world, client) == [(READER, "waits", "approver")]
    world.live(RUNS_END_WITHIN + timedelta(days=1))
    assert held(world, client) == []
    before = world.row(client)
    assert revoked(world, client, caller).status == 202
    assert world.row(client) == before
    assert body_of(changed(world, client, {"displayName": "Another"}))["operation"]["status"] == "pending", (
        "what somebody took back is not asked for again by a change of something else"
    )
    assert held(world, client) == []
    check(world)


def test_whoever_is_neither_approver_nor_owner_takes_nothing_back() -> None:
    world = a_giving_world()
    client = given(world)
    reader = replace(APPROVER, roles=frozenset({Role.READ_ALL}))
    assert code_of(revoked(world, client, reader)) == "not-the-owner"
    assert code_of(revoked(world, client, replace(APPROVER, roles=frozenset()))) == "registration-not-found"
    assert held(world, client) == [READER]


def test_of_what_waits_for_an_approval_nothing_is_taken_back() -> None:
    world = a_giving_world()
    client = asked(world)
    assert code_of(revoked(world, client)) == "registration-not-active"


def test_of_a_client_without_data_roles_there_is_nothing_to_take_back() -> None:
    world = a_giving_world()
    client = world.registered(a_resource())["registrationId"]
    assert code_of(revoked(world, client, REQUESTER)) == "no-data-roles"


def test_with_the_registration_the_assignments_end() -> None:
    world = a_giving_world()
    client = given(world, READER, WRITER)
    world.delete(client)
    world.settle()
    assert held(world, client) == []
    check(world)


def test_what_a_run_gives_while_the_registration_is_deleted_it_takes_back_itself() -> None:
    world = a_giving_world()
    client = given(world)
    world.clock.sleep(7200)

    def delete_it_first(name: str, action: Any) -> Any:
        if name.startswith("PUT") and "roleAssignments" in name:
            world.outside = straight
            assert world.delete(client).status == 202
            world.deliver()
            assert held(world, client) == []
        return action()

    world.outside = delete_it_first
    world.run(world.services, read_message(reconcile_message(client, "20260101T000000Z").encode()))
    assert held(world, client) == []


def test_of_a_client_that_nobody_agreed_to_there_is_nothing_to_end() -> None:
    world = a_giving_world()
    client = asked(world, READER)
    world.deliver()
    world.delete(client)
    world.settle()
    assert (world.row(client).status, arm_calls(world)) == ("deleted", {})


def test_what_cannot_be_taken_back_is_told_until_it_is() -> None:
    world = a_giving_world()
    client = given(world)
    world.emulator.faults.add(Fault("status", "arm.unassignRole", times=None))
    revoked(world, client)
    assert (told(world, client), world.errors) == ([(READER, "granted", None)], [])
    world.emulator.faults.clear()
    world.live(timedelta(minutes=10))
    assert (held(world, client), told(world, client)) == ([], [(READER, "waits", "approver")])


# --- what others did ------------------------------------------------------------------------------------------------


def test_once_a_day_azure_is_compared_and_what_others_gave_is_told_and_stays() -> None:
    world = a_giving_world()
    client = given(world)
    assigned = world.emulator.role_assignments.all
    for name in [name for name, each in assigned.items() if each.role_id == DATA_ROLES[READER].id]:
        del assigned[name]
    gives_by_hand(world, client, WRITER)
    world.reconcile()
    assert held(world, client) == [READER, WRITER]
    assert "roles-assigned-by-hand" in [each["code"] for each in world.get(client)["findings"]]
    assert told(world, client) == [(READER, "granted", None)]


@pytest.mark.parametrize("status", [403, 503])
def test_where_azure_does_not_say_who_has_what_the_roles_stay_and_nothing_fails(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    world = a_giving_world()
    client = given(world)
    world.emulator.faults.add(Fault("status", "arm.listRoleAssignments", status=status, times=None))
    world.reconcile()
    assert f"registration {client}: its data roles are not compared: " in caplog.text
    assert (world.errors, world.get(client)["findings"], held(world, client)) == ([], [], [READER])
    assert told(world, client) == [(READER, "granted", None)]


def test_what_was_given_stays_granted_where_the_service_is_not_listed_any_more() -> None:
    world = a_giving_world()
    client = given(world)
    world.settings = replace(world.settings, fhir_services={})
    world.services = world.new_process()
    world.reconcile()
    assert (held(world, client), told(world, client)) == ([READER], [(READER, "granted", None)])
    world.delete(client)
    world.settle()
    assert (world.row(client).status, held(world, client), world.errors) == ("deleted", [READER], [])


def test_an_assignment_that_a_run_made_and_did_not_live_to_tell_is_taken_back() -> None:
    world = a_giving_world()
    client = given(world)
    principal = world.row(client).service_principal_id or ""
    stray = RoleAssignment(DATA_ROLES[WRITER], FHIR_SERVICE_ID, principal)
    world.services.data_roles[FHIR_SERVICE_ID].assign(stray, "ServicePrincipal")
    world.reconcile()
    assert held(world, client) == [READER]


def test_what_somebody_else_gave_is_as_good_and_stays_theirs() -> None:
    world = a_giving_world()
    client = given(world)
    revoked(world, client)
    gives_by_hand(world, client, READER)
    changed(world, client, {"dataRoles": []})
    changed(world, client, {"dataRoles": [READER]})
    assert says(world, "approve", client).status == 202
    assert told(world, client) == [(READER, "granted", None)]
    world.reconcile()
    assert world.get(client)["findings"] == [], "it was agreed to, whoever gave it"
    revoked(world, client)
    world.reconcile()
    assert held(world, client) == [READER]
    assert "roles-assigned-by-hand" in [each["code"] for each in world.get(client)["findings"]]


def test_nothing_but_what_gives_or_takes_back_asks_anything_of_resource_manager() -> None:
    world = a_giving_world()
    client = given(world)
    before = arm_calls(world)
    world.get(client)
    world.list()
    asked_as(REQUESTER, world, "rotate_registration", {"revokePrevious": True}, client)
    world.deliver()
    changed(world, client, {"displayName": "Another name"})
    changed(world, client, {"dataRoles": [READER, WRITER]})
    says(world, "deny", client)
    world.registered(a_resource())
    world.registered(a_service_client())
    world.plan()
    world.settle(timedelta(hours=2))
    assert arm_calls(world) == before
