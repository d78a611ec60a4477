"""Whether Entra knows an owner: shown by a token, looked for by dry runs and by checks, and never by a POST."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dev.emulator import Fault
from dev.emulator.constants import (
    GRAPH_PRINCIPAL_ID,
    GROUP_MEMBER_READ_ALL,
    REGISTRAR_OBJECT_ID,
    USER_READ_ALL,
)
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.callers import Caller, CallerKind, Role
from tests.worlds.request_bodies import a_resource
from tests.worlds.signed_in import ALICE, BOT, ENTRA, MALLORY, OTHER_TEAM, TEAM, headers_of
from tests.worlds.steps import body_of, operations, post_as
from tests.worlds.world import World

NOBODY = "00b0d000-0000-4000-8000-00000000000f"
MANAGER = Caller("3a9a9e60-0000-4000-8000-00000000000a", CallerKind.USER, frozenset({Role.MANAGE_ALL}), name="Manager")
LOOKS = ("graph.readUser", "graph.readGroup")


def world_where_the_app(*, may_look: bool, **settings: Any) -> World:
    world = World(settings=settings or ENTRA)
    for role in (USER_READ_ALL, GROUP_MEMBER_READ_ALL) if may_look else ():
        world.emulator.directory.grant(REGISTRAR_OBJECT_ID, GRAPH_PRINCIPAL_ID, role)
    return world


def looks(world: World) -> dict[str, int]:
    """The calls by which anybody is looked for, by name."""
    return {name: count for name, count in operations(world).items() if name in (*LOOKS, "graph.readServicePrincipal")}


def warned(answer: Answer) -> list[str]:
    assert answer.status in (200, 202), answer.body
    return [each["code"] for each in body_of(answer)["warnings"]]


def posted(world: World, caller: Caller, owner: str, *, dry: bool = False) -> Answer:
    return post_as(world, caller, a_resource(owner=owner), "dryRun=true" if dry else "")


def patched(
    world: World, registration_id: str, owner: str, *, dry: bool = False, caller: Caller = MANAGER, **more: str
) -> Answer:
    headers = headers_of(caller, world.emulator) | {"content-type": "application/json"}
    query, body = "dryRun=true" if dry else "", json.dumps({"owner": owner, **more}).encode()
    call = Call("/api/registrations/x", headers, query, body, registration_id, "PATCH")
    return world.call(web.change_registration, call)


@pytest.mark.parametrize("owner", [ALICE.object_id, TEAM])
def test_nobody_is_looked_for_whom_the_callers_own_token_names(owner: str) -> None:
    world = world_where_the_app(may_look=True)
    assert warned(posted(world, ALICE, owner, dry=True)) == []
    assert warned(posted(world, ALICE, owner)) == []
    assert looks(world) == {}


@pytest.mark.parametrize("may_look", [True, False])
@pytest.mark.parametrize("owner", [OTHER_TEAM, NOBODY])
def test_a_post_looks_for_nobody_and_warns_of_an_owner_whom_nothing_has_shown(
    owner: str,
    may_look: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    world = world_where_the_app(may_look=may_look)
    answer = posted(world, MANAGER, owner)
    assert warned(answer) == ["owner-not-seen"]
    world.deliver()
    row = world.row(body_of(answer)["registrationId"])
    assert (row.status, row.owner_unseen) == ("active", True)
    assert looks(world) == {}


@pytest.mark.parametrize(
    ("owner", "may_look", "code"),
    [
        (OTHER_TEAM, True, []),
        (MALLORY.object_id, True, []),
        (REGISTRAR_OBJECT_ID, False, []),
        (NOBODY, True, ["owner-not-found"]),
        (NOBODY, False, ["owner-not-seen"]),
        (OTHER_TEAM, False, ["owner-not-seen"]),
    ],
)
def test_a_dry_run_looks_where_the_app_may_and_warns_where_it_may_not(
    owner: str,
    may_look: bool,  # noqa: FBT001 -- a parameter of the test
    code: list[str],
) -> None:
    world = world_where_the_app(may_look=may_look)
    assert warned(posted(world, MANAGER, owner, dry=True)) == code
    registration_id = body_of(posted(world, ALICE, TEAM))["registrationId"]
    world.deliver()
    assert warned(patched(world, registration_id, owner, dry=True)) == code
    assert warned(patched(world, registration_id, owner)) == ["owner-not-seen"]


def test_a_change_warns_of_no_owner_whom_it_leaves_and_of_none_whom_the_callers_own_token_names() -> None:
    world = world_where_the_app(may_look=False)
    registration_id = body_of(posted(world, ALICE, TEAM))["registrationId"]
    world.deliver()
    assert warned(patched(world, registration_id, TEAM, displayName="Another")) == []
    world.deliver()
    assert warned(patched(world, registration_id, ALICE.object_id, caller=ALICE)) == []


def test_a_person_whom_a_bot_names_is_not_shown_by_the_bots_token() -> None:
    world = world_where_the_app(may_look=True)
    headers = headers_of(BOT, world.emulator) | {"content-type": "application/json", "on-behalf-of": NOBODY}
    body = json.dumps(a_resource(owner=NOBODY)).encode()
    call = Call("/api/registrations", headers, "dryRun=true", body, method="POST")
    assert warned(world.call(web.submit_registration, call)) == ["owner-not-found"]


def test_a_denial_is_remembered_for_an_hour_and_who_was_found_for_ten_minutes() -> None:
    world = world_where_the_app(may_look=False)
    for _ in range(3):
        posted(world, MANAGER, NOBODY, dry=True)
    assert looks(world) == {"graph.readUser": 1, "graph.readGroup": 1, "graph.readServicePrincipal": 3}
    world.clock.time += timedelta(hours=1)
    posted(world, MANAGER, NOBODY, dry=True)
    assert looks(world)["graph.readUser"] == 2
    world = world_where_the_app(may_look=True)
    for _ in range(3):
        posted(world, MANAGER, OTHER_TEAM, dry=True)
    assert looks(world) == {"graph.readGroup": 1}
    world.clock.time += timedelta(minutes=10)
    posted(world, MANAGER, OTHER_TEAM, dry=True)
    assert looks(world) == {"graph.readGroup": 2}


def test_a_right_for_one_kind_alone_finds_these_and_says_nothing_of_others() -> None:
    world = world_where_the_app(may_look=False)
    world.emulator.directory.grant(REGISTRAR_OBJECT_ID, GRAPH_PRINCIPAL_ID, GROUP_MEMBER_READ_ALL)
    assert warned(posted(world, MANAGER, OTHER_TEAM, dry=True)) == []
    assert warned(posted(world, MANAGER, MALLORY.object_id, dry=True)) == ["owner-not-seen"]


def test_the_daily_check_finds_an_owner_who_is_there_and_tells_of_one_who_is_not_or_has_left() -> None:
    world = world_where_the_app(may_look=True)
    there, gone = (
        body_of(post_as(world, MANAGER, a_resource(owner=owner, fhirServerUrl=f"https://{name}.contoso.example")))
        for owner, name in ((OTHER_TEAM, "a"), (NOBODY, "b"))
    )
    world.deliver()
    world.clock.time += timedelta(days=1)
    world.reconcile()
    rows = [world.row(each["registrationId"]) for each in (there, gone)]
    assert [row.owner_unseen for row in rows] == [False, True]
    assert [[each.code for each in row.findings] for row in rows] == [[], ["owner-not-found"]]
    world.emulator.directory.groups.discard(OTHER_TEAM)
    world.clock.time += timedelta(days=1)
    world.reconcile()
    assert [each.code for each in world.row(rows[0].id).findings] == ["owner-not-found"]
    world.emulator.directory.groups.add(OTHER_TEAM)
    world.clock.time += timedelta(days=1)
    world.reconcile()
    assert world.row(rows[0].id).findings == ()


def test_without_the_right_a_check_tells_nothing_and_does_its_work_all_the_same() -> None:
    world = world_where_the_app(may_look=False)
    row = world.row(body_of(posted(world, MANAGER, NOBODY))["registrationId"])
    world.deliver()
    world.clock.time += timedelta(days=1)
    world.reconcile()
    after = world.row(row.id)
    assert (after.findings, after.last_error, after.owner_unseen) == ((), None, True)


def test_an_owner_that_an_approval_lets_in_was_shown_by_nobodys_token() -> None:
    world = world_where_the_app(may_look=False)
    row = world.row(body_of(posted(world, ALICE, TEAM))["registrationId"])
    given = row.changed(row.request.model_copy(update={"owner": OTHER_TEAM}), "1")
    assert (row.owner_unseen, given.owner_unseen) == (False, True)
    assert replace(given, owner_unseen=False).changed(given.request, "1").owner_unseen is False


def test_with_function_keys_an_owner_decides_nothing_and_is_not_looked_for() -> None:
    world = world_where_the_app(may_look=True, CALLER_AUTH="key")
    assert warned(world.post(a_resource(owner=NOBODY), query={"dryRun": "true"})) == []
    registration_id = world.registered(a_resource(owner=NOBODY))["registrationId"]
    world.clock.time += timedelta(days=1)
    world.reconcile()
    assert world.row(registration_id).findings == ()
    assert looks(world) == {}


def test_where_graph_cannot_say_now_a_dry_run_warns_and_a_check_goes_on() -> None:
    world = world_where_the_app(may_look=True)
    registration_id = body_of(posted(world, ALICE, TEAM))["registrationId"]
    world.deliver()
    world.emulator.faults.add(Fault("status", "graph.readGroup", status=503, times=None))
    assert warned(patched(world, registration_id, OTHER_TEAM, dry=True)) == ["owner-not-seen"]
    world.clock.time += timedelta(days=1)
    world.reconcile()
    row = world.row(registration_id)
    assert (row.findings, row.last_error) == ((), None)
