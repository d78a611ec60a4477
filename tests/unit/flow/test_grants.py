"""What a client asks of a resource of ours is granted once its owner agreed to that, and taken back on a word."""

import json
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import jwt
import pytest

from dev.emulator import Fault
from dev.emulator.constants import GRANTER_CLIENT_ID, GRANTER_OBJECT_ID
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.callers import Caller
from provisioning.domain.registration import Status
from provisioning.flow.grant import RUNS_END_WITHIN, SHOWS_WITHIN
from tests.worlds.checker import check, token_answer
from tests.worlds.outside import done_twice, straight
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.signed_in import ALICE, BOT, ENTRA, MALLORY, OTHER_TEAM, TEAM, headers_of
from tests.worlds.steps import body_of, code_of, operations, post_as, text_of
from tests.worlds.world import World

ON = {"GRANTS": "on"}
ROLE_CALLS = ("graph.assignAppRole", "graph.unassignAppRole", "graph.listAppRoleAssignments")


def a_world(**settings: str) -> tuple[World, str]:
    """A world with a FHIR server, where what was agreed is granted; return the server's registration id."""
    world = World(settings={**ON, **settings})
    return world, str(world.registered(a_resource())["registrationId"])


def grants(world: World, registration_id: str) -> list[tuple[str, str, str | None]]:
    return [(each["permission"], each["state"], each["waitsFor"]) for each in world.get(registration_id)["grants"]]


def roles(world: World, registration_id: str) -> list[str]:
    """The roles that a token of the client for its resource carries: what the FHIR server reads."""
    row = world.row(registration_id)
    assert row.resource is not None
    answer = token_answer(
        world, row.client_id or "", text_of(world, registration_id), f"{row.resource.audience}/.default"
    )
    claims = jwt.decode(answer.json()["access_token"], options={"verify_signature": False})
    assert claims["aud"] in (row.resource.audience, row.resource.client_id)
    return list(claims.get("roles", []))


def preauthorized(world: World, server: str) -> dict[str, list[str]]:
    application = world.emulator.directory.application(app_id=world.row(server).client_id or "")
    assert application is not None
    entries = application.last_body["api"]["preAuthorizedApplications"]
    return {each["appId"]: each["delegatedPermissionIds"] for each in entries}


def owner_says(world: World, what: str, server: str, client: str, caller: Caller | None = None, **more: Any) -> Answer:
    headers = {"content-type": "application/json"} | (headers_of(caller, world.emulator) if caller else {})
    headers |= {"on-behalf-of": more.pop("speaks_for")} if "speaks_for" in more else {}
    body = json.dumps(more).encode() if more else b""
    path = f"/api/registrations/{server}/clients/{client}/{what}"
    call = Call(path, headers, body=body, registration_id=server, client_registration_id=client, method="POST")
    answer = world.call(web.CALLS[f"{what}_client"], call)
    world.deliver()
    return answer


def clients(world: World, server: str) -> list[dict[str, Any]]:
    call = Call(f"/api/registrations/{server}/clients", registration_id=server)
    return list(body_of(world.call(web.CALLS["list_clients"], call))["value"])


def test_a_service_client_of_ones_own_server_holds_its_roles_and_a_token_proves_it() -> None:
    world, server = a_world()
    began = world.clock.now()
    client = world.registered(a_service_client(appRoles=["globalReader", "globalExporter"]))["registrationId"]
    assert world.clock.now() == began, "what shows at once is not waited for"
    assert grants(world, client) == [("globalReader", "granted", None), ("globalExporter", "granted", None)]
    assert all(each["provenAt"] and each["resource"] == server for each in world.get(client)["grants"])
    assert sorted(roles(world, client)) == ["globalExporter", "globalReader"]
    assert [each["code"] for each in world.get(client)["nextSteps"]] == ["grant-vault-read"]
    assert world.row(client).grants_due_at is None, "what is granted and proven is not looked at again by itself"
    check(world)


@pytest.mark.parametrize("body", [a_confidential_client, a_public_client])
def test_the_scopes_of_a_client_are_pre_authorised_on_its_server(body: Any) -> None:
    world, server = a_world()
    client = world.registered(body())
    assert grants(world, client["registrationId"]) == [("user_impersonation", "granted", None)]
    [scope] = world.row(client["registrationId"]).declared
    assert preauthorized(world, server) == {client["clientId"]: [scope.id]}
    assert "consent" not in [each["code"] for each in client["nextSteps"]]
    check(world)


def test_with_grants_off_nothing_is_asked_of_entra_and_everything_is_declared() -> None:
    world = World()
    server = world.registered(a_resource())["registrationId"]
    before = operations(world)
    client = world.registered(a_service_client())
    assert grants(world, client["registrationId"]) == [("globalReader", "declared", None)]
    assert not (operations(world) - before).keys() & {*ROLE_CALLS, "graph.updateApplication"}
    assert [(each["registrationId"], each["grants"]) for each in clients(world, server)] == [
        (client["registrationId"], client["grants"])
    ]


def test_what_was_granted_stays_so_once_grants_are_turned_off() -> None:
    world, server = a_world()
    service, public = (world.registered(body())["registrationId"] for body in (a_service_client, a_public_client))
    object_id = world.row(server).application_object_id or ""
    world.services.directory.update_application(object_id, {"api": {"preAuthorizedApplications": []}})
    world.settings = replace(world.settings, grants=False)
    world.services = world.new_process()
    world.reconcile()
    assert grants(world, service) == [("globalReader", "granted", None)]
    assert grants(world, public) == [("user_impersonation", "granted", None)]
    assert (roles(world, service), preauthorized(world, server)) == (["globalReader"], {}), "nobody touches it"


def test_a_reconciliation_that_finds_all_as_was_agreed_writes_nothing() -> None:
    world, _ = a_world()
    world.registered(a_public_client())
    world.registered(a_service_client())
    before = operations(world)
    world.reconcile()
    spent = operations(world) - before
    assert spent["graph.readApplication"] > 0
    assert not [name for name in spent if name.startswith(("graph.update", "graph.assign", "graph.unassign"))]


def test_a_grant_costs_one_call_for_each_role_and_one_read_and_one_write_for_scopes() -> None:
    granted, _ = a_world()
    without = World()
    without.registered(a_resource())
    for body in (a_service_client(appRoles=["globalReader", "globalExporter"]), a_public_client()):
        costs = []
        for world in (granted, without):
            before = operations(world)
            world.registered(body)
            spent = operations(world) - before
            costs.append(sum(count for name, count in spent.items() if name.startswith("graph.")))
        assert costs[0] - costs[1] == 2


# --- the owner's word -----------------------------------------------------------------------------------------------


def a_server_of_others(rules: Sequence[dict[str, Any]] = ()) -> tuple[World, str, str]:
    """Alice's team has a server, and Mallory's a client of it."""
    world = World(settings={**ENTRA, **ON}, rules=list(rules))
    server = body_of(post_as(world, ALICE, a_resource(owner=TEAM)))["registrationId"]
    world.deliver()
    client = body_of(post_as(world, MALLORY, a_service_client(owner=OTHER_TEAM)))["registrationId"]
    world.deliver()
    return world, server, client


def states(world: World, registration_id: str) -> list[tuple[str, str | None]]:
    return [(each.state.value, each.waits_for) for each in world.row(registration_id).grants]


def test_a_client_of_another_teams_server_waits_for_its_owner_and_then_holds_what_it_asked_for() -> None:
    world, server, client = a_server_of_others()
    assert world.row(client).status == "active"
    assert states(world, client) == [("waits", "resource-owner")]
    assert roles(world, client) == []
    assert owner_says(world, "approve", server, client, ALICE, permissions=["globalReader"]).status == 202
    assert states(world, client) == [("granted", None)]
    assert roles(world, client) == ["globalReader"]
    agreement = world.row(client).agreement
    assert agreement is not None
    assert agreement.by == ALICE.object_id
    before = world.row(client)
    assert owner_says(world, "approve", server, client, ALICE, permissions=["globalReader"]).status == 202
    assert world.row(client) == before, "who agrees to the same again changes nothing"


def test_the_owner_agrees_to_exactly_what_the_client_asks_for() -> None:
    world, server, client = a_server_of_others()
    for names in (["globalAdmin"], ["globalReader", "globalAdmin"]):
        answer = owner_says(world, "approve", server, client, ALICE, permissions=names)
        assert (answer.status, code_of(answer)) == (409, "permissions-differ")
    assert roles(world, client) == []


def test_nobody_but_the_owner_of_the_server_agrees_or_takes_back() -> None:
    world, server, client = a_server_of_others()
    for what, more in (("approve", {"permissions": ["globalReader"]}), ("revoke", {})):
        answer = owner_says(world, what, server, client, MALLORY, **more)
        assert (answer.status, code_of(answer)) == (404, "registration-not-found")
    other = body_of(post_as(world, MALLORY, a_resource(owner=OTHER_TEAM, fhirServerUrl="https://x.contoso.example")))
    world.deliver()
    answer = owner_says(world, "approve", other["registrationId"], client, MALLORY, permissions=["globalReader"])
    assert (answer.status, code_of(answer)) == (404, "registration-not-found"), "a client of another server"


def test_what_the_owner_takes_back_the_next_token_does_not_carry() -> None:
    world, server = a_world()
    service = world.registered(a_service_client())["registrationId"]
    public = world.registered(a_public_client())
    for client in (service, public["registrationId"]):
        assert owner_says(world, "revoke", server, client).status == 202
        assert [each[1:] for each in grants(world, client)] == [("waits", "resource-owner")]
    assert roles(world, service) == []
    assert preauthorized(world, server) == {}
    assert owner_says(world, "approve", server, service, permissions=["globalReader"]).status == 202
    assert roles(world, service) == ["globalReader"]
    world.settle()
    check(world)


@pytest.mark.parametrize(
    ("body", "call"),
    [(a_service_client, "POST /*/servicePrincipals/*/app"), (a_public_client, "PATCH /*/applications")],
)
def test_what_the_owner_takes_back_while_it_is_being_granted_is_not_granted(body: Any, call: str) -> None:
    world, server = a_world()
    client = world.registered(body())["registrationId"]
    permissions = [each.value for each in world.row(client).declared]
    assert owner_says(world, "revoke", server, client).status == 202
    world.clock.time += timedelta(minutes=1)
    taken_back: list[int] = []

    def take_back_first(name: str, action: Any) -> Any:
        if name.startswith(call) and not taken_back:
            path = f"/api/registrations/{server}/clients/{client}/revoke"
            said = Call(path, registration_id=server, client_registration_id=client, method="POST")
            taken_back.append(world.call(web.CALLS["revoke_client"], said).status)
        return action()

    world.outside = take_back_first
    owner_says(world, "approve", server, client, permissions=permissions)
    world.outside = lambda _name, action: action()
    assert taken_back == [202]
    world.settle()
    assert [each[1:] for each in grants(world, client)] == [("waits", "resource-owner")]
    assert body is not a_service_client or roles(world, client) == []
    assert preauthorized(world, server) == {}
    check(world)


def test_a_role_that_somebody_else_takes_back_at_the_same_moment_is_taken_back_and_no_error() -> None:
    world, server = a_world()
    client = world.registered(a_service_client())["registrationId"]
    world.outside = done_twice("DELETE")
    assert owner_says(world, "revoke", server, client).status == 202
    world.outside = straight
    assert (world.errors, roles(world, client)) == ([], [])
    assert grants(world, client) == [("globalReader", "waits", "resource-owner")]


def test_what_entra_refuses_to_pre_authorise_waits_and_says_why_and_the_client_is_active() -> None:
    world, server = a_world()
    world.emulator.faults.add(Fault("status", "graph.updateApplication", status=403, times=None))
    client = world.registered(a_public_client())["registrationId"]
    [(permission, state, waits_for)] = grants(world, client)
    assert (permission, state, waits_for) == ("user_impersonation", "waits", "graph-refused")
    assert "consent" in [each["code"] for each in world.get(client)["nextSteps"]]
    world.emulator.faults.clear()
    world.live(timedelta(days=2))
    assert grants(world, client) == [("user_impersonation", "granted", None)]
    assert list(preauthorized(world, server)) == [world.row(client).client_id]


def test_a_dry_run_of_the_owners_word_changes_nothing() -> None:
    world, server = a_world()
    client = world.registered(a_service_client())["registrationId"]
    before = world.row(client)
    path = f"/api/registrations/{server}/clients/{client}/revoke"
    call = Call(path, query="dryRun=true", registration_id=server, client_registration_id=client, method="POST")
    answer = world.call(web.CALLS["revoke_client"], call)
    assert (answer.status, body_of(answer)["agreement"]["permissions"]) == (200, [])
    assert world.row(client) == before


def test_the_owner_of_a_server_reads_who_may_do_what_there_and_since_when() -> None:
    world, server = a_world()
    ids = {world.registered(body())["registrationId"] for body in (a_service_client, a_public_client)}
    listed = clients(world, server)
    assert {each["registrationId"] for each in listed} == ids
    assert all(each["grants"][0]["state"] == "granted" and each["grants"][0]["since"] for each in listed)
    world.delete(ids.pop())
    world.deliver()
    assert {each["registrationId"] for each in clients(world, server)} == ids


def test_the_list_of_a_servers_clients_leaves_out_what_is_not_there_what_was_not_carried_out_and_what_is_gone() -> None:
    world, server = a_world()
    client = world.registered(a_service_client())["registrationId"]
    row = world.row(client)
    for number, other in enumerate((None, replace(row, resource=None), replace(row, status=Status.DELETED))):
        registration_id = f"{number:08x}{client[8:]}"
        world.registry.list_client(server, registration_id)
        if other is not None:
            world.registry.insert(replace(other, id=registration_id))
    assert [each["registrationId"] for each in clients(world, server)] == [client]


def test_a_client_that_is_deleted_is_not_pre_authorised_any_more_and_what_others_added_stays() -> None:
    world, server = a_world()
    client = world.registered(a_public_client())
    row = world.row(server)
    by_hand = {"appId": "99999999-0000-4000-8000-000000000009", "delegatedPermissionIds": []}
    entries = [*({"appId": one, "delegatedPermissionIds": ids} for one, ids in preauthorized(world, server).items())]
    world.services.directory.update_application(
        row.application_object_id or "", {"api": {"preAuthorizedApplications": [*entries, by_hand]}}
    )
    world.delete(client["registrationId"])
    world.deliver()
    assert list(preauthorized(world, server)) == [by_hand["appId"]]


def test_a_client_that_is_deleted_is_not_pre_authorised_though_the_replica_that_is_asked_never_saw_it_so() -> None:
    world, server = a_world()
    client = world.registered(a_public_client())["registrationId"]
    world.clock.sleep(7200)
    owner_says(world, "revoke", server, client)
    world.clock.sleep(7200)
    world.emulator.faults.set(replication_lag=600)
    permissions = [each.value for each in world.row(client).declared]
    assert owner_says(world, "approve", server, client, permissions=permissions).status == 202
    assert list(preauthorized(world, server)) == [world.row(client).client_id]
    world.delete(client)
    world.deliver()
    assert (world.row(client).status, preauthorized(world, server)) == ("deleted", {})


def test_a_bot_agrees_for_nobody_and_may_take_back_for_the_owner() -> None:
    world, server, client = a_server_of_others()
    # It names the owner of the server, which is a group, as the person.
    answer = owner_says(world, "approve", server, client, BOT, speaks_for=TEAM, permissions=["globalReader"])
    assert (answer.status, code_of(answer)) == (403, "not-in-person")
    assert owner_says(world, "approve", server, client, ALICE, permissions=["globalReader"]).status == 202
    assert roles(world, client) == ["globalReader"]
    assert owner_says(world, "revoke", server, client, BOT, speaks_for=TEAM).status == 202
    assert roles(world, client) == []


def test_what_a_bot_registers_for_the_owner_of_its_server_is_not_agreed_to_by_that() -> None:
    world = World(settings={**ENTRA, **ON})
    post_as(world, ALICE, a_resource(owner=ALICE.object_id))
    world.deliver()
    asked = a_service_client(owner=ALICE.object_id)
    for headers, state in (({"on-behalf-of": ALICE.object_id}, "waits"), ({}, "granted")):
        sent = headers_of(BOT if headers else ALICE, world.emulator) | headers | {"content-type": "application/json"}
        call = Call("/api/registrations", sent, "", json.dumps(asked).encode(), method="POST")
        answer = world.call(web.submit_registration, call)
        world.deliver()
        assert states(world, body_of(answer)["registrationId"])[0][0] == state


# --- rights, and time -----------------------------------------------------------------------------------------------


def test_without_the_right_a_role_stays_a_next_step_and_is_not_asked_for_again_for_an_hour() -> None:
    world, _ = a_world()
    world.emulator.faults.set(owner_may_not_assign=True)
    for _ in range(3):
        client = world.registered(a_service_client())["registrationId"]
        assert grants(world, client) == [("globalReader", "waits", "grant-denied")]
        assert "grant-app-role" in [each["code"] for each in world.get(client)["nextSteps"]]
    assert operations(world)["graph.assignAppRole"] == 1
    world.clock.sleep(3601)
    world.emulator.faults.set(owner_may_not_assign=False)
    world.reconcile()
    assert grants(world, client) == [("globalReader", "granted", None)]
    check(world)


def test_the_granter_is_asked_only_where_this_app_may_not_and_only_about_a_server_of_ours() -> None:
    world, server = a_world(GRANTER_CLIENT_ID=GRANTER_CLIENT_ID)
    principal = world.row(server).service_principal_id or ""
    world.emulator.directory.let_assign(GRANTER_OBJECT_ID, principal)
    world.registered(a_service_client())
    world.emulator.faults.set(owner_may_not_assign=True)
    client = world.registered(a_service_client())["registrationId"]
    assert grants(world, client) == [("globalReader", "granted", None)]
    assert roles(world, client) == ["globalReader"]
    row = world.row(server)
    world.services = world.new_process()
    world.services.directory.update_application(row.application_object_id or "", {"tags": ["another"]})
    other = world.registered(a_service_client())["registrationId"]
    assert grants(world, other) == [("globalReader", "waits", "grant-denied")]


def test_a_role_that_takes_time_to_show_is_waited_for_and_looked_at_again() -> None:
    world, _ = a_world()
    world.emulator.faults.set(role_propagation=20)
    assert grants(world, world.registered(a_service_client())["registrationId"]) == [("globalReader", "granted", None)]
    world.emulator.faults.set(role_propagation=48 * 3600)
    began = world.clock.now()
    client = world.registered(a_service_client())["registrationId"]
    assert timedelta(seconds=20) < world.clock.now() - began <= SHOWS_WITHIN
    assert grants(world, client) == [("globalReader", "waits", "propagation")]
    [grant], pauses = world.row(client).grants, list[timedelta]()
    for late in (timedelta(), timedelta(), timedelta(hours=30), timedelta(hours=30)):
        due_at, now = world.row(client).grants_due_at or began, world.clock.now()
        pauses.append(due_at - now)
        assert pauses[-1] == min(max(timedelta(minutes=2), now - grant.since), timedelta(days=1))
        world.clock.time = due_at + late
        world.plan()
        world.deliver()
    assert (pauses[0], pauses[-1]) == (timedelta(minutes=2), timedelta(days=1))
    assert world.row(client).grants_due_at is None
    assert grants(world, client) == [("globalReader", "granted", None)]
    world.settle()
    check(world)


@pytest.mark.parametrize("what", ["graph.assignAppRole", "graph.unassignAppRole", "graph.updateApplication"])
@pytest.mark.parametrize("when", ["before", "after"])
def test_an_answer_that_is_lost_grants_and_takes_back_exactly_what_was_agreed(what: str, when: Any) -> None:
    world, server = a_world()
    world.emulator.faults.add(Fault("status", what, when, status=503))
    service = world.registered(a_service_client())["registrationId"]
    public = world.registered(a_public_client())
    assert roles(world, service) == ["globalReader"]
    assert list(preauthorized(world, server)) == [public["clientId"]]
    for client in (service, public["registrationId"]):
        owner_says(world, "revoke", server, client)
    world.settle()
    assert (roles(world, service), preauthorized(world, server)) == ([], {})
    check(world)


def test_a_run_ends_before_what_was_taken_back_is_compared_once_more() -> None:
    """The host ends a function after `functionTimeout`, and the run with it."""
    host = json.loads((Path(__file__).parents[3] / "host.json").read_text())
    hours, minutes, seconds = map(int, host["functionTimeout"].split(":"))
    assert timedelta(hours=hours, minutes=minutes, seconds=seconds) < RUNS_END_WITHIN


@pytest.mark.parametrize("what", ["the owner's word", "a change"])
def test_what_was_taken_back_is_compared_once_more_when_no_run_can_be_under_way_and_then_no_more(what: str) -> None:
    world, server = a_world()
    client = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(60)
    taken_back_at = world.clock.now()
    if what == "a change":
        assert world.change(client, {"appRoles": ["globalAdmin"]}).status == 202
        world.deliver()
    else:
        owner_says(world, "revoke", server, client)
    due_at = world.row(client).grants_due_at
    assert due_at == taken_back_at + RUNS_END_WITHIN
    before = operations(world)["graph.listAppRoleAssignments"]
    world.clock.time = due_at - timedelta(seconds=1)
    world.registry.replace(replace(world.row(client), due_at=world.clock.now()))
    world.send(json.dumps({"operation": "check", "registrationId": client}))
    world.deliver()
    assert operations(world)["graph.listAppRoleAssignments"] == before, "what it is looked at for is something else"
    world.clock.time = due_at
    world.plan()
    world.deliver()
    assert operations(world)["graph.listAppRoleAssignments"] == before + 1
    assert world.row(client).grants_due_at is None


def test_a_reconciliation_has_a_server_forget_a_client_that_is_gone() -> None:
    world, server = a_world()
    gone, left = world.registered(a_public_client()), world.registered(a_public_client())
    [scope] = preauthorized(world, server)[left["clientId"]]
    world.delete(gone["registrationId"])
    world.delete(left["registrationId"])
    world.deliver()
    stale = {"appId": gone["clientId"], "delegatedPermissionIds": [scope]}
    world.services.directory.update_application(
        world.row(server).application_object_id or "", {"api": {"preAuthorizedApplications": [stale]}}
    )
    world.reconcile()
    assert preauthorized(world, server) == {}


def test_where_nobody_may_read_what_a_client_holds_it_waits_and_nothing_fails() -> None:
    world, server = a_world()
    client = world.registered(a_service_client())["registrationId"]
    world.emulator.faults.add(
        Fault("status", "graph.listAppRoleAssignments", status=403, code="Authorization_RequestDenied", times=None)
    )
    assert owner_says(world, "revoke", server, client).status == 202
    assert world.row(client).status == "active"
    assert [each["code"] for each in world.get(client)["findings"]] == []
    assert roles(world, client) == ["globalReader"], "it cannot be seen, and so not taken"
    assert grants(world, client) == [("globalReader", "granted", None)], "what could not be taken back stays as it was"
    world.emulator.faults.clear()
    world.reconcile()
    assert (roles(world, client), grants(world, client)) == ([], [("globalReader", "waits", "resource-owner")])
