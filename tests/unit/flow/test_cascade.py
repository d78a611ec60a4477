"""A resource that live clients use is deleted with them or not at all, whoever comes between; nobody is taken along."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.api.delete import MOST_CASCADED
from provisioning.domain.callers import Caller, Role
from provisioning.domain.events import What
from provisioning.domain.operation import OperationStatus, OperationType
from provisioning.domain.registration import Status
from provisioning.flow.plan import STALLED_AFTER
from tests.worlds.approvals import awaiting, decided
from tests.worlds.checker import check
from tests.worlds.memory import MemoryRegistry
from tests.worlds.outside import straight
from tests.worlds.request_bodies import OTHER_OWNER, a_public_client, a_resource, a_service_client
from tests.worlds.signed_in import ALICE, ENTRA, MALLORY, OTHER_TEAM, TEAM, headers_of
from tests.worlds.steps import body_of, code_of, failure_of, id_of, post_as, submitted
from tests.worlds.world import World

OTHER_SERVER = "https://other.contoso.example"


@pytest.fixture
def world() -> World:
    """A world without a FHIR server."""
    return World()


def deleted(world: World, registration_id: str, query: str = "", caller: Caller | None = None) -> Answer:
    headers = headers_of(caller, world.emulator) if caller is not None else {}
    call = Call(f"/api/registrations/{registration_id}", headers, query, registration_id=registration_id)
    return world.call(web.delete_registration, replace(call, method="DELETE"))


def a_server(world: World, **fields: Any) -> str:
    return str(world.registered(a_resource(**fields))["registrationId"])


def a_client(world: World, **fields: Any) -> str:
    return str(world.registered(a_service_client(**fields))["registrationId"])


def status(world: World, *ids: str) -> list[str]:
    return [world.row(each).status.value for each in ids]


def is_live(world: World, registration_id: str) -> bool:
    found = world.emulator.directory.records[world.row(registration_id).application_object_id or ""]
    return found.deleted_at is None


def listed_all(world: World) -> None:
    """Have a reconciliation go through all rows, and find none that no list names."""
    for _ in range(2):
        world.clock.sleep(1)
        world.reconcile()
    assert world.registry.lists_all_clients()


# --- without cascade ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", ["", "dryRun=true", "cascade=false"])
@pytest.mark.parametrize("lists", ["some", "all"])
def test_a_resource_that_live_clients_use_is_not_deleted(world: World, query: str, lists: str) -> None:
    server = a_server(world)
    clients = {a_client(world), world.registered(a_public_client())["registrationId"]}
    if lists == "all":
        listed_all(world)
    answer = deleted(world, server, query)
    assert (answer.status, code_of(answer)) == (409, "resource-in-use")
    first, *named = [each["message"] for each in body_of(answer)["errors"]]
    assert first == "2 live clients use the resource. Send cascade=true to have them deleted with it."
    assert {each for each in clients if any(each in message for message in named)} == clients
    assert answer.message is None
    world.settle()
    assert status(world, server, *clients) == ["active"] * 3
    check(world)


def test_what_is_no_live_client_any_more_keeps_no_resource(world: World) -> None:
    server, other = a_server(world), a_server(world, fhirServerUrl=OTHER_SERVER)
    gone, elsewhere = a_client(world), a_client(world, resource=OTHER_SERVER)
    world.delete(gone)
    world.deliver()
    world.emulator.faults.set(directory_quota_exceeded=True)
    failed = submitted(world, a_service_client())
    world.deliver()
    failure_of(world, failed)
    world.emulator.faults.set(directory_quota_exceeded=False)
    ended = {each.registration_id: each.ended for each in world.registry.clients(server, top=9).clients}
    assert ended == {gone: True, failed: False}
    listed_all(world)
    assert deleted(world, server).status == 202
    world.settle()
    assert status(world, server, other, gone, failed, elsewhere) == ["deleted", "active", "deleted", "failed", "active"]
    check(world)


def test_a_client_keeps_its_resource_before_its_first_run_and_not_before_somebody_agreed_to_it(world: World) -> None:
    server = a_server(world)
    asked = awaiting(world, a_service_client())
    world.deliver()
    client = submitted(world, a_service_client())
    assert "1 live client uses" in body_of(deleted(world, server))["errors"][0]["message"]
    world.deliver()
    assert deleted(world, client).status == 202
    world.deliver()
    assert deleted(world, server).status == 202
    world.deliver()
    assert decided(world, asked, "approve").status == 202
    world.settle()
    assert status(world, server, client, asked.id) == ["deleted", "deleted", "failed"]
    assert failure_of(world, asked.id)["code"] == "resource-not-allowed", "there is none of that name"


def test_a_deletion_looks_at_no_other_registration_once_the_lists_name_all_clients(world: World) -> None:
    server = a_server(world)
    client = a_client(world)
    row = world.row(client)
    assert row.resource is not None
    elsewhere = replace(row.resource, client_id="another", registration_id="another")
    for number in range(1000):
        other = f"{number:08x}-{number:08x}{client[17:]}"
        world.registry.insert(replace(row, id=other, resource=elsewhere, status=Status.FAILED))
    listed_all(world)
    calls: list[str] = []

    def noted(name: str, action: Any) -> Any:
        calls.append(name)
        return action()

    world.outside = noted
    assert code_of(deleted(world, server)) == "resource-in-use"
    assert world.change(server, {"appRoles": ["globalAdmin"]}).status == 409
    assert deleted(world, client).status == 202
    calls.clear()
    world.deliver()
    assert "registry.clients" not in calls, "nobody is the client of a client"
    calls.clear()
    assert deleted(world, server).status == 202
    world.deliver()
    assert "registry.find" not in calls
    # The row, the note that lists are whole, and the list; the run reads each of them again, and the list once more.
    assert [each for each in calls if each in ("registry.clients", "registry.lists_all_clients")] == [
        *("registry.lists_all_clients", "registry.clients"),
        *("registry.clients", "registry.lists_all_clients", "registry.clients"),
    ]


# --- rows of earlier versions ---------------------------------------------------------------------------------------


def test_a_client_of_an_earlier_version_keeps_its_resource_from_the_first_moment_on() -> None:
    registry = MemoryRegistry()
    world = World(registry=registry)
    server, client = a_server(world), a_client(world)
    registry.clients_of.clear()
    assert code_of(deleted(world, server)) == "resource-in-use"
    world.clock.sleep(1)
    world.reconcile()
    assert (server, client) in registry.clients_of
    assert not registry.lists_all_clients(), "an instance of the earlier version may still add some"
    assert code_of(deleted(world, server)) == "resource-in-use"
    listed_all(world)
    assert code_of(deleted(world, server)) == "resource-in-use"
    registry.clients_of.clear()
    world.clock.sleep(1)
    world.reconcile()
    assert not registry.lists_all_clients(), "one that no list named was found again"


def test_where_another_version_wrote_what_may_be_a_client_the_resource_stays() -> None:
    registry = MemoryRegistry()
    world = World(registry=registry)
    server, client = a_server(world), a_client(world)
    registry.unreadable.add(client)
    answer = deleted(world, server)
    assert (answer.status, status(world, server)) == (503, ["active"])


# --- with cascade ---------------------------------------------------------------------------------------------------


def test_with_cascade_the_clients_go_first_and_then_the_resource(world: World) -> None:
    server = a_server(world)
    clients = [a_client(world), world.registered(a_public_client())["registrationId"]]
    seen = body_of(deleted(world, server, "cascade=true&dryRun=true"))
    assert sorted(each["registrationId"] for each in seen["clients"]) == sorted(clients)
    assert status(world, server, *clients) == ["active"] * 3
    assert deleted(world, server, "cascade=true").status == 202
    before = world.row(server)
    assert before.due_at == world.clock.now() + STALLED_AFTER
    world.clock.sleep(1)
    assert deleted(world, server, "cascade=true").status == 202
    assert world.row(server) == before, "with nobody new to take along it is as it was"
    order: list[str] = []
    while world.queue or status(world, server) != ["deleted"]:
        world.deliver()
        world.clock.sleep(60)
        order += [each for each in (*clients, server) if not is_live(world, each) and each not in order]
    assert order[-1] == server
    assert sorted(order[:-1]) == sorted(clients)
    world.settle()
    assert status(world, server, *clients) == ["deleted"] * 3
    trace = world.registry.events(server, top=1000).events[-1].trace_id
    for each in clients:
        events = world.registry.events(each, top=1000).events
        assert [event.trace_id for event in events if event.what is What.DELETION_REQUESTED] == [trace]
    assert deleted(world, server, "cascade=true").status == 202
    check(world)


def test_a_resource_without_clients_is_deleted_with_cascade_as_without(world: World) -> None:
    server = a_server(world)
    assert body_of(deleted(world, server, "dryRun=true"))["clients"] == []
    assert deleted(world, server, "cascade=TRUE").status == 202
    world.settle()
    assert status(world, server) == ["deleted"]


def test_a_client_that_goes_along_ends_its_provisioning_before_it_is_deleted(world: World) -> None:
    server, client = a_server(world), submitted(world, a_service_client())
    [its_own] = world.queue
    world.queue.clear()
    assert deleted(world, server, "cascade=true").status == 202
    world.deliver()
    assert status(world, server, client) == ["deleting", "accepted"]
    assert world.row(client).operation.type is OperationType.PROVISION
    world.queue.append(its_own)
    world.settle()
    assert status(world, server, client) == ["deleted", "deleted"]
    ended = [each.what for each in world.registry.events(client, top=9).events]
    assert ended == [What.REQUESTED, What.FAILED, What.DELETION_REQUESTED, What.DELETED]


def test_a_client_that_is_being_provisioned_is_waited_for_and_fails_or_goes(world: World) -> None:
    server = a_server(world)
    running, queued = submitted(world, a_service_client()), submitted(world, a_public_client())
    during(world, "POST /*/applications", lambda: deleted(world, server, "cascade=true"))
    world.deliver()
    world.outside = straight
    world.settle()
    assert status(world, server, running, queued) == ["deleted", "deleted", "deleted"]
    check(world)


def test_a_client_goes_along_by_one_deletion_however_often_its_resource_is_looked_at_and_though_its_message_is_lost(
    world: World,
) -> None:
    server, client = a_server(world), a_client(world)
    assert deleted(world, server, "cascade=true").status == 202
    [own] = world.queue
    world.deliver()
    operation, error = world.row(client).operation, world.row(server).last_error
    assert error is not None
    assert (error.failure.code, error.passing) == ("clients-remain", True)
    assert world.row(client).due_at == operation.requested_at + STALLED_AFTER
    world.queue[:], own.visible_at = [own], world.clock.now()
    world.deliver()
    assert (world.queue, world.row(client).operation) == ([own], operation), "it is waited for"
    world.settle(timedelta(hours=1))
    assert status(world, server, client) == ["deleted", "deleted"]
    check(world)


def test_a_client_that_this_version_does_not_understand_is_not_deleted_and_its_resource_waits() -> None:
    registry = MemoryRegistry()
    world = World(registry=registry)
    server, client = a_server(world), a_client(world)
    listed_all(world)
    assert deleted(world, server, "cascade=true").status == 202
    row = world.row(client)
    another = replace(row.operation, type=OperationType("another"), status=OperationStatus.PENDING)
    world.registry.replace(replace(row, operation=another))
    world.deliver()
    assert [world.row(client).operation.type, *status(world, server, client)] == ["another", "deleting", "active"]


def test_whoever_may_not_delete_each_client_deletes_none_of_them() -> None:
    world = World(settings=ENTRA)
    server = id_of(post_as(world, ALICE, a_resource(owner=TEAM)))
    world.deliver()
    mine, theirs = (
        id_of(post_as(world, who, a_service_client(owner=owner)))
        for who, owner in ((ALICE, TEAM), (MALLORY, OTHER_TEAM))
    )
    world.deliver()
    for query in ("", "cascade=true", "cascade=true&dryRun=true"):
        answer = deleted(world, server, query, ALICE)
        assert (answer.status, code_of(answer)) == (409, "resource-in-use")
        messages = [each["message"] for each in body_of(answer)["errors"]]
        assert "2 live clients" in messages[0]
        assert "1 of them only their own owners may delete" in messages[0]
        assert mine in messages[1]
        assert theirs not in answer.body
        assert len(messages) == 2
    assert deleted(world, server, "cascade=true", MALLORY).status == 404
    world.settle()
    assert status(world, server, mine, theirs) == ["active"] * 3
    assert deleted(world, theirs, caller=MALLORY).status == 202
    world.deliver()
    assert deleted(world, server, "cascade=true", ALICE).status == 202
    world.settle()
    assert status(world, server, mine, theirs) == ["deleted"] * 3


@pytest.mark.parametrize("role", [*Role, None])
def test_what_each_role_may_take_along_of_others_and_which_of_them_it_is_told(role: Role | None) -> None:
    world = World(settings=ENTRA)
    server = id_of(post_as(world, ALICE, a_resource(owner=TEAM)))
    world.deliver()
    theirs = id_of(post_as(world, MALLORY, a_service_client(owner=OTHER_TEAM)))
    world.deliver()
    caller = replace(ALICE, roles=frozenset({role} if role is not None else ()))
    alone, with_it = (deleted(world, server, query, caller) for query in ("", "cascade=true"))
    assert code_of(alone) == "resource-in-use"
    assert (theirs in alone.body) is (role in (Role.READ_ALL, Role.MANAGE_ALL))
    assert with_it.status == (202 if role is Role.MANAGE_ALL else 409)
    world.settle()
    assert status(world, server, theirs) == ["deleted" if role is Role.MANAGE_ALL else "active"] * 2


def test_a_client_that_is_given_away_between_the_two_looks_at_it_is_not_deleted(world: World) -> None:
    server, client = a_server(world), a_client(world)
    listed_all(world)
    deleted(world, server, "cascade=true")
    calls = list[str]()

    def outside(name: str, action: Any) -> Any:
        calls.append(name)
        if name == "registry.get" and calls.count("registry.clients") == 2 and calls[-2] == name:
            world.registry.replace(replace(row, request=row.request.model_copy(update={"owner": OTHER_OWNER})))
        return action()

    row, world.outside = world.row(client), outside
    world.deliver()
    world.outside = straight
    assert world.row(client).request.owner == OTHER_OWNER
    error = world.row(server).last_error
    assert error is not None
    assert error.failure.code == "resource-in-use"
    assert status(world, server, client) == ["deleting", "active"]


def test_a_client_that_was_given_away_meanwhile_stays_and_so_does_its_resource(world: World) -> None:
    server, client, other = a_server(world), a_client(world), a_client(world)
    deleted(world, server, "cascade=true")
    assert world.change(client, {"owner": OTHER_OWNER}).status == 202
    world.deliver()
    assert status(world, server, client, other) == ["deleting", "active", "active"]
    error = world.row(server).last_error
    assert error is not None
    assert error.failure.code == "resource-in-use"
    assert is_live(world, server)
    assert deleted(world, server, "cascade=true").status == 202
    assert world.row(server).due_at == world.clock.now() + STALLED_AFTER
    world.settle()
    assert status(world, server, client, other) == ["deleted"] * 3
    check(world)


def test_more_clients_than_one_call_deletes_are_refused(world: World) -> None:
    server, client = a_server(world), a_client(world)
    row = world.row(client)
    for number in range(MOST_CASCADED + 1):
        if number == MOST_CASCADED - 1:
            assert deleted(world, server, "cascade=true&dryRun=true").status == 200
            alone = body_of(deleted(world, server))["errors"][0]["message"]
            assert alone == "200 live clients use the resource. Send cascade=true to have them deleted with it."
        another = f"{number:08x}-{number:08x}{client[17:]}"
        world.registry.insert(replace(row, id=another))
        world.registry.list_client(server, another)
    world.registry.note_listed("a run", lacked=False)
    read: list[str] = []

    def noted(name: str, action: Any) -> Any:
        read.append(name)
        return action()

    world.outside = noted
    answer = deleted(world, server, "cascade=true")
    assert read.count("registry.get") == 1 + MOST_CASCADED + 1, "the resource, and no more clients than it takes"
    assert code_of(answer) == "resource-in-use"
    assert body_of(answer)["errors"][0]["message"] == (
        "More than 200 live clients use the resource. So many are not deleted by one call: delete some of them first."
    )
    assert len(body_of(answer)["errors"]) == 21


@pytest.mark.parametrize("query", ["cascade=", "cascade=yes", "cascade=true&cascade=true", "cascading=true"])
def test_what_is_not_understood_of_cascade_is_refused(world: World, query: str) -> None:
    server = a_server(world)
    assert code_of(deleted(world, server, query)) == "invalid-query"
    call = Call(f"/api/registrations/{server}/rotate", query="cascade=true", registration_id=server)
    assert code_of(world.call(web.rotate_registration, call)) == "invalid-query"


# --- whoever comes between ------------------------------------------------------------------------------------------


def during(world: World, point: str, what: Any) -> None:
    """Have something happen before the first outside call of that name."""
    done: list[str] = []

    def outside(name: str, action: Any) -> Any:
        if name == point and not done:
            done.append(name)
            what()
        return action()

    world.outside = outside


@pytest.mark.parametrize("query", ["", "cascade=true"])
def test_a_client_is_refused_whose_resource_began_to_end_while_it_was_asked_for(world: World, query: str) -> None:
    server = a_server(world)
    during(world, "registry.list_client", lambda: deleted(world, server, query))
    answer = world.post(a_service_client())
    world.outside = straight
    assert (answer.status, code_of(answer)) == (400, "invalid-request")
    assert [each["code"] for each in body_of(answer)["errors"]] == ["resource-not-active"]
    world.clock.sleep(3600)
    world.settle()
    assert status(world, server) == ["deleted"]
    check(world)


def test_a_client_whose_row_comes_after_the_deletion_began_fails_and_says_so(world: World) -> None:
    server = a_server(world)

    def ends() -> None:
        deleted(world, server)
        world.deliver()

    during(world, "registry.insert", ends)
    client = submitted(world, a_service_client())
    world.outside = straight
    assert status(world, server, client) == ["deleting", "accepted"], "its row was on its way, and is waited for"
    assert is_live(world, server)
    world.settle()
    assert status(world, server, client) == ["deleted", "failed"]
    assert failure_of(world, client)["code"] == "resource-not-active"
    check(world)


def test_a_resource_stays_for_a_client_that_became_active_before_the_deletion_was_written(world: World) -> None:
    server, clients = a_server(world), list[str]()
    during(world, "registry.replace", lambda: clients.append(a_client(world)))
    assert deleted(world, server).status == 202
    world.outside = straight
    world.deliver()
    assert status(world, server, *clients) == ["deleting", "active"]
    error = world.row(server).last_error
    assert error is not None
    assert (error.failure.code, error.passing) == ("resource-in-use", False)
    assert is_live(world, server)
    assert deleted(world, server).status == 202, "as any deletion that is sent again"
    assert deleted(world, clients[0]).status == 202
    world.settle()
    assert status(world, server, *clients) == ["deleted", "deleted"]
    check(world)


def test_a_client_that_never_got_its_row_is_waited_for_ten_minutes_and_no_longer(world: World) -> None:
    server = a_server(world)
    world.registry.list_client(server, "0" * 8 + "-" + server[9:], world.clock.now())
    deleted(world, server)
    world.deliver()
    assert status(world, server) == ["deleting"]
    assert is_live(world, server)
    world.settle(timedelta(minutes=20))
    assert status(world, server) == ["deleted"]


@pytest.mark.parametrize("lists", ["some", "all"])
def test_scopes_that_an_accepted_client_asks_for_are_not_taken_away_before_its_first_run(
    world: World, lists: str
) -> None:
    server = a_server(world)
    if lists == "all":
        listed_all(world)
    client = submitted(world, a_service_client())
    answer = world.change(server, {"appRoles": ["globalAdmin"]})
    assert (answer.status, code_of(answer)) == (409, "permission-in-use")
    world.deliver()
    assert status(world, client) == ["active"]


def test_a_failed_client_that_is_retried_while_its_resource_ends_fails_again(world: World) -> None:
    server = a_server(world)
    world.emulator.faults.set(directory_quota_exceeded=True)
    client = submitted(world, a_service_client())
    world.deliver()
    world.emulator.faults.set(directory_quota_exceeded=False)
    assert deleted(world, server).status == 202
    assert world.retry(client).status == 202
    world.settle()
    assert status(world, server, client) == ["deleted", "failed"]
    assert failure_of(world, client)["code"] == "resource-not-active"
