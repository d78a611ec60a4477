"""What another team has registered cannot be told from what does not exist: not by an answer, nor by what it takes.

"What it takes" are the calls that leave the process: their number and order is what somebody could measure.
"""

import base64
import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

import pytest

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call, entity_tag
from provisioning.domain.approval import LAPSES_AFTER, Approval, Proposal
from provisioning.domain.callers import Caller, CallerKind, Role
from provisioning.domain.operation import OperationStatus, new_id
from provisioning.domain.registration import Registration, Status
from tests.worlds import approvals
from tests.worlds.memory import MemoryRegistry
from tests.worlds.request_bodies import (
    MANAGED,
    OWNER,
    a_confidential_client,
    a_public_client,
    a_resource,
    a_service_client,
)
from tests.worlds.signed_in import ALICE, BOT, ENTRA, MALLORY, OTHER_TEAM, TEAM, headers_of
from tests.worlds.world import World

TRACE: Final = f"00-{'a' * 32}"
NOBODYS: Final = "00000000-11111111-2222-4333-8444-555555555555"
WITHOUT_ID: Final = (
    *("submit_registration", "list_registrations", "show_policy", "show_caller", "show_readiness"),
    *("link_chat", "unlink_chat"),
)
READS: Final = ("show_registration", "list_events", "list_clients")
ABOUT_ONE: Final = sorted(set(web.CALLS) - set(WITHOUT_ID))
APPROVER = Caller("a9900000-0000-4000-8000-000000000009", CallerKind.USER, frozenset({Role.APPROVE}), name="Approver")
STRANGERS: Final = {
    "another team's": (MALLORY, {}),
    "another team's reader of its own": (replace(MALLORY, roles=frozenset()), {}),
    "an approver": (APPROVER, {}),
    "a bot": (BOT, {}),
    "a bot for a stranger": (BOT, {"on-behalf-of": MALLORY.object_id}),
    "a bot for one of the team": (BOT, {"on-behalf-of": ALICE.object_id}),
}


def seen(world: World, name: str, call: Call) -> tuple[Answer, list[str]]:
    """What is answered, in one trace, and which calls left the process for it."""
    left: list[str] = []

    def outside(called: str, action: Any) -> Any:
        left.append(called)
        return action()

    world.outside = outside
    answer = world.call(
        web.CALLS[name], replace(call, headers={**call.headers, "traceparent": f"{TRACE}-{'1' * 16}-00"})
    )
    # The last part is another one in each answer, of whatever.
    return replace(answer, headers={**answer.headers, "traceparent": answer.headers["traceparent"][: len(TRACE)]}), left


def signed(world: World, caller: Caller, **headers: str) -> dict[str, str]:
    return {"content-type": "application/json", **headers_of(caller, world.emulator), **headers}


def world_of(state: str) -> tuple[World, Registration]:
    """A world in which Alice's team has a registration in that state."""
    world = World(settings=ENTRA)
    for name in (MALLORY, APPROVER, BOT):  # the keys that verify tokens are fetched once for all
        world.call(web.list_registrations, Call("/api/registrations", headers_of(name, world.emulator)))
    if state == "awaiting approval":
        return world, approvals.awaiting(world, a_resource(owner=TEAM))
    call = Call(
        "/api/registrations",
        signed(world, ALICE),
        body=json.dumps(a_service_client(owner=TEAM, resource=MANAGED, appRoles=[])).encode(),
        method="POST",
    )
    row = world.row(json.loads(world.call(web.submit_registration, call).body)["registrationId"])
    if state != "accepted":
        world.deliver()
        row = world.row(row.id)
    if state in ("failed", "deleting", "deleted"):
        operation = replace(row.operation, status=OperationStatus.FAILED if state == "failed" else row.operation.status)
        row = world.registry.replace(replace(row, status=Status(state), operation=operation))
    if state == "of a newer version":
        row = world.registry.replace(replace(row, status=Status("paused")))
    if state == "awaiting the approval of a change":
        row = world.registry.replace(with_proposal(row))
    world.queue.clear()
    return world, row


def with_proposal(row: Registration) -> Registration:
    """Return it with a change that waits for the owner of its resource, or an approver."""
    proposal = Proposal(new_id(), row.updated_at, row.request, "1")
    waits = replace(row, proposal=proposal)
    approval = Approval(waits.asked_digest, ("rule",), row.updated_at + LAPSES_AFTER, OWNER)
    return row.proposed(proposal, approval, row.updated_at, row.updated_at)


STATES: Final = (
    *("accepted", "active", "failed", "deleting", "deleted", "of a newer version", "awaiting approval"),
    "awaiting the approval of a change",
)
BODIES: Final[Mapping[str, Any]] = {
    "change_registration": {"displayName": "Mine now"},
    "rotate_registration": {"revokePrevious": True},
    "approve_registration": {"digest": "0" * 64, "reason": "Because."},
    "deny_registration": {"digest": "0" * 64, "reason": "Because."},
    "approve_client": {"permissions": ["globalReader"]},
}


@pytest.mark.parametrize("name", ABOUT_ONE)
@pytest.mark.parametrize("state", STATES)
def test_no_call_tells_anothers_registration_from_one_that_does_not_exist(state: str, name: str) -> None:
    world, row = world_of(state)
    for who, (caller, more) in STRANGERS.items():
        if who == "an approver" and state.startswith("awaiting"):
            continue  # has to read what waits
        conditions: list[tuple[dict[str, str], str]] = [({}, ""), ({"if-match": entity_tag(row)}, "")]
        if name not in READS:
            conditions.append(({"if-match": '"x"'}, "dryRun=true"))
        for headers, query in conditions:
            answers = []
            for identity in (row.id, row.id.upper(), NOBODYS):
                call = Call("/api/registrations/x", signed(world, caller, **more, **headers), query)
                call = replace(call, registration_id=identity)
                if name in BODIES:
                    call = replace(call, body=json.dumps(BODIES[name]).encode())
                answers.append(seen(world, name, call))
            assert answers[0] == answers[1] == answers[2], who
            answer, left = answers[0]
            assert (answer.status, json.loads(answer.body)["code"]) == (404, "registration-not-found"), who
            assert left == ["registry.get"], who
    assert world.registry.get(row.id) == row


@pytest.mark.parametrize("dry_run", ["", "dryRun=true"], ids=["", "dry run"])
@pytest.mark.parametrize("state", ["accepted", "active", "failed", "deleted", "a client"])
def test_a_client_that_names_anothers_registration_as_its_resource_is_answered_as_if_there_were_none(
    state: str, dry_run: str
) -> None:
    world = World(settings=ENTRA)
    body = a_resource(owner=TEAM)
    if state == "a client":
        body = a_service_client(owner=TEAM, resource=MANAGED, appRoles=[])
    row = posted(world, ALICE, body)
    world.call(web.list_registrations, Call("/api/registrations", headers_of(MALLORY, world.emulator)))
    if state not in ("accepted", "a client"):
        world.deliver()
        row = world.registry.replace(replace(world.row(row.id), status=Status(state)))
    for client in (a_service_client, a_confidential_client, a_public_client):
        answers = []
        for identity in (row.id, row.id.upper(), NOBODYS):
            content = json.dumps(client(owner=OTHER_TEAM, resource=identity)).encode()
            call = Call("/api/registrations", signed(world, MALLORY), dry_run, content, method="POST")
            answers.append(seen(world, "submit_registration", call))
        assert answers[0] == answers[1] == answers[2]
        assert answers[0][0].status == 400
        assert json.loads(answers[0][0].body)["errors"][0]["code"] == "resource-not-found"
        assert answers[0][1] == ["registry.get"]
    assert world.registry.get(row.id) == row


def test_a_client_of_a_registration_that_cannot_be_read_is_not_accepted_before_it_is_known_whose_it_is() -> None:
    registry = MemoryRegistry()
    world = World(registry=registry, settings=ENTRA)
    server = posted(world, ALICE, a_resource(owner=TEAM)).id
    registry.unreadable.add(server)
    body = json.dumps(a_service_client(owner=OTHER_TEAM, resource=server)).encode()
    call = Call("/api/registrations", signed(world, MALLORY), body=body, method="POST")
    assert seen(world, "submit_registration", call)[0].status == 503
    assert len(registry.rows) == 1
    reader = replace(MALLORY, roles=MALLORY.roles | {Role.READ_ALL})
    posted(world, reader, a_service_client(owner=OTHER_TEAM, resource=server))


def posted(world: World, caller: Caller, body: dict[str, Any], **headers: str) -> Registration:
    call = Call("/api/registrations", signed(world, caller, **headers), body=json.dumps(body).encode(), method="POST")
    answer = world.call(web.submit_registration, call)
    assert answer.status == 202, answer.body
    return world.row(json.loads(answer.body)["registrationId"])


def test_a_client_names_a_registration_that_it_may_read_and_any_resource_by_its_public_names() -> None:
    world = World(settings=ENTRA)
    server = posted(world, ALICE, a_resource(owner=TEAM))
    world.deliver()
    reader = replace(MALLORY, roles=MALLORY.roles | {Role.READ_ALL})
    posted(world, ALICE, a_service_client(owner=TEAM, resource=server.id))
    posted(world, reader, a_service_client(owner=OTHER_TEAM, resource=server.id))
    for name in (world.row(server.id).client_id, "https://FHIR.contoso.example/"):
        posted(world, MALLORY, a_service_client(owner=OTHER_TEAM, resource=name))
    world.deliver()
    assert {each.status for each in world.registry.find(top=10).registrations} == {Status.ACTIVE}


def test_a_key_shows_nothing_of_a_registration_that_was_given_to_another_team() -> None:
    world = World(settings=ENTRA)
    body = a_service_client(owner=ALICE.object_id, resource=MANAGED, appRoles=[])
    row = posted(world, ALICE, body, **{"idempotency-key": "k"})
    world.deliver()
    world.registry.put_owned(OTHER_TEAM, row.id)
    given = world.row(row.id)
    world.registry.replace(replace(given, request=given.request.model_copy(update={"owner": OTHER_TEAM})))
    other = body | {"displayName": "Another one"}
    answers = []
    for content in (body, other):
        headers = signed(world, ALICE, **{"idempotency-key": "k"})
        call = Call("/api/registrations", headers, body=json.dumps(content).encode(), method="POST")
        answers.append(seen(world, "submit_registration", call))
    assert answers[0] == answers[1]
    assert json.loads(answers[0][0].body)["code"] == "idempotency-key-reused"


def test_anothers_key_is_free_for_everybody_else() -> None:
    world = World(settings=ENTRA)
    body = a_service_client(resource=MANAGED, appRoles=[])
    theirs = posted(world, ALICE, body | {"owner": TEAM}, **{"idempotency-key": "k"})
    colleague = replace(MALLORY, groups=frozenset({TEAM, OTHER_TEAM}))
    for caller, owner in ((MALLORY, OTHER_TEAM), (colleague, TEAM)):
        mine = posted(world, caller, body | {"owner": owner}, **{"idempotency-key": "k"})
        assert mine.id != theirs.id


@pytest.mark.parametrize("name", ["another team's", "a bot", "an approver"])
def test_a_list_tells_nothing_of_what_is_anothers(name: str) -> None:
    world, row = world_of("active")
    caller, more = STRANGERS[name]
    headers = headers_of(caller, world.emulator) | more

    def listed(query: str) -> tuple[Answer, list[str]]:
        return seen(world, "list_registrations", Call("/api/registrations", headers, query))

    assert listed(f"owner={TEAM}") == listed("owner=00000000-0000-4000-8000-00000000000f")
    tokens = [
        base64.urlsafe_b64encode(json.dumps(["owned", identity]).encode()).decode().rstrip("=")
        for identity in (row.id, NOBODYS)
    ]
    for query in ("", f"&owner={TEAM}", "&status=active&clientType=service"):
        answers = [listed(f"top=1&continuationToken={token}{query}") for token in tokens]
        assert answers[0] == answers[1]
        assert row.id not in answers[0][0].body
