"""A change of which the policy wants an approval: it waits beside the registration, which lives on as it is."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.approval import LAPSES_AFTER
from provisioning.domain.callers import Caller, CallerKind, Role
from provisioning.domain.events import What
from provisioning.domain.operation import OperationStatus, OperationType
from provisioning.domain.registration import Registration, Status
from provisioning.flow.plan import STALLED_AFTER
from provisioning.flow.rotate import rotates_at
from tests.worlds.approvals import APPROVER
from tests.worlds.checker import check
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import a_confidential_client, a_policy, a_resource
from tests.worlds.signed_in import ALICE, BOT, ENTRA, MALLORY, OTHER_TEAM, TEAM, headers_of
from tests.worlds.steps import body_in_entra, body_of, code_of, live_keys, post_as, text_of, works
from tests.worlds.world import World

NAMES: dict[str, Any] = {"id": "names", "kind": "displayName", "pattern": "FHR-.*", "approval": "approver"}
NUMBER: dict[str, Any] = {"id": "one", "kind": "registrations", "most": 1, "owners": {"include": [OTHER_TEAM]}}
OTHER: dict[str, Any] = {"displayName": "Other", "redirectUris": ["https://app.contoso.example/other"]}
TEAM_MATE = Caller("7ea33333-0000-4000-8000-00000000000b", CallerKind.USER, groups=frozenset({TEAM}), name="Mate")
MANAGER = Caller("3a9a9e60-0000-4000-8000-00000000000a", CallerKind.USER, frozenset({Role.MANAGE_ALL}), name="Manager")


class SignedIn(World):
    """A world in which a manager reads what is there."""

    def get(self, registration_id: str) -> dict[str, Any]:
        sent = headers_of(MANAGER, self.emulator)
        answer = self.call(web.show_registration, Call("/registrations/x", sent, registration_id=registration_id))
        return body_of(answer)


@pytest.fixture
def world() -> World:
    """A web application of Alice's team, whose names a rule is about."""
    world = SignedIn(settings=ENTRA, receiver=Receiver(), rules=[NAMES, NUMBER])
    post_as(world, ALICE, a_resource(owner=TEAM, displayName="FHR-server"))
    world.deliver()
    post_as(world, ALICE, a_confidential_client(owner=TEAM, displayName="FHR-app", autoRotate=True))
    world.settle()
    return world


def of(world: World) -> Registration:
    return next(row for row in world.registry.find(top=9).registrations if row.client_type == "confidential")


def call(world: World, name: str, caller: Caller, body: Any = None, query: str = "", **headers: str) -> Answer:
    sent = headers_of(caller, world.emulator) | headers
    content = b""
    if body is not None:
        sent, content = sent | {"content-type": "application/json"}, json.dumps(body).encode()
    path = f"/api/registrations/{of(world).id}"
    return world.call(web.CALLS[name], Call(path, sent, query, content, of(world).id, "POST"))


def change(world: World, body: Any = OTHER, caller: Caller = ALICE, query: str = "") -> Answer:
    return call(world, "change_registration", caller, body, query)


def decide(world: World, what: str, caller: Caller = APPROVER, **body: Any) -> Answer:
    approval = of(world).approval
    assert approval is not None
    return call(world, f"{what}_registration", caller, {"digest": approval.digest, "reason": "Because."} | body)


def writes(world: World) -> list[str]:
    return [each.operation for each in world.emulator.calls if each.operation == "graph.updateApplication"]


def told_of(world: World) -> list[dict[str, Any]]:
    return [each for each in world.told if isinstance(each, dict) and each["subject"] == of(world).id]


# --- it waits ---------------------------------------------------------------------------------------------------------


def test_a_change_waits_and_the_registration_stays_what_it_is_until_somebody_agrees(world: World) -> None:
    before = of(world)
    answer = change(world)
    shown = body_of(answer)
    assert (answer.status, shown["status"]) == (202, "active")
    assert of(world).due_at == world.clock.now() + STALLED_AFTER
    assert (shown["operation"]["type"], shown["operation"]["status"]) == ("change", "awaiting-approval")
    assert [each["field"] for each in shown["approval"]["changes"]] == ["displayName", "redirectUris"]
    assert shown["approval"]["operationId"] == shown["operation"]["id"]
    assert shown["nextSteps"][0]["code"] == "decide"
    world.settle()
    assert (of(world).request, of(world).change, writes(world)) == (before.request, before.change, [])
    check(world)
    assert decide(world, "approve").status == 202
    world.settle()
    after = of(world)
    assert (after.operation.id, after.operation.status) == (shown["operation"]["id"], OperationStatus.SUCCEEDED)
    assert (after.request.display_name, after.proposal) == ("Other", None)
    assert body_in_entra(world, after.id)["displayName"] == "Other"
    check(world)


@pytest.mark.parametrize("how", ["denied", "lapsed"])
def test_a_change_that_gets_no_approval_ends_and_leaves_nothing_behind(world: World, how: str) -> None:
    before = of(world)
    change(world)
    if how == "denied":
        assert decide(world, "deny", reason="No.").status == 202
        world.settle()
    else:
        world.live(LAPSES_AFTER + timedelta(minutes=10))
    after = of(world)
    assert (after.status, after.operation.status) == (Status.ACTIVE, OperationStatus.FAILED)
    assert after.operation.failure is not None
    assert after.operation.failure.code == f"approval-{how}"
    assert (after.request, after.proposal, after.change) == (before.request, None, before.change)
    assert "graph.updateApplication" not in writes(world)
    assert code_of(decide(world, "approve")) == "nothing-to-decide"
    world.settle()
    check(world)
    assert change(world, {"displayName": before.request.display_name}).status == 202
    assert not of(world).pending, "what was never begun is not begun again"
    assert change(world).status == 202
    assert of(world).awaits_approval


def test_a_change_that_was_denied_is_over_and_changes_nothing_of_what_comes_later(world: World) -> None:
    change(world)
    decide(world, "deny")
    world.settle()
    assert call(world, "rotate_registration", ALICE).status == 202
    world.settle()
    before = of(world).operation
    assert (before.type, before.status) == (OperationType.ROTATE, OperationStatus.SUCCEEDED)
    world.clock.sleep(86_400)
    world.reconcile()
    assert of(world).operation == before


def test_a_dry_run_says_what_a_change_would_wait_for_and_what_it_would_then_be(world: World) -> None:
    before = of(world)
    told = body_of(change(world, query="dryRun=true"))
    assert told["approvalsNeeded"] == [{"rule": "names", "whose": "approver", "pointer": "#/displayName"}]
    assert [each["to"] for each in told["changes"]] == [OTHER["displayName"], OTHER["redirectUris"]]
    assert told["application"]["displayName"] == "Other"
    assert (of(world), world.queue) == (before, [])
    free = body_of(change(world, {"displayName": "FHR-other"}, query="dryRun=true"))
    assert (free["approvalsNeeded"], free["operation"]) == ([], "change")


def test_a_dry_run_of_an_approval_says_what_it_would_change(world: World) -> None:
    change(world)
    approval = of(world).approval
    assert approval is not None
    body = {"digest": approval.digest}
    told = body_of(call(world, "approve_registration", APPROVER, body, "dryRun=true"))
    assert (told["operation"], [each["field"] for each in told["changes"]]) == (
        "change",
        ["displayName", "redirectUris"],
    )
    assert of(world).awaits_approval


def test_those_who_decide_are_told_what_is_to_change_and_its_owner_what_became_of_it(world: World) -> None:
    change(world)
    world.settle()
    world.reconcile()
    decide(world, "deny")
    world.settle()
    first, second = told_of(world)[-2:]
    assert (first["type"], first["data"]["changed"]) == (
        "registration.approval-requested",
        ["displayName", "redirectUris"],
    )
    assert (second["type"], second["data"]["changed"]) == (
        "registration.change-failed",
        ["displayName", "redirectUris"],
    )
    assert OTHER["displayName"] not in json.dumps(told_of(world))


def test_its_events_name_the_change_its_fields_and_who_agreed(world: World) -> None:
    change(world)
    decide(world, "approve")
    world.settle()
    events = world.registry.events(of(world).id, top=99).events[-3:]
    assert [each.what for each in events] == [What.CHANGE_REQUESTED, What.APPROVED, What.CHANGED]
    assert {each.operation_id for each in events} == {of(world).operation.id}
    assert {each.changed for each in events} == {("displayName", "redirectUris")}
    assert [each.actor.object_id for each in events[:2]] == [ALICE.object_id, APPROVER.object_id]


# --- what else is asked meanwhile -------------------------------------------------------------------------------------


def test_the_same_change_asked_again_still_waits_and_another_one_has_to_wait_for_its_end(world: World) -> None:
    first = change(world)
    again = change(world, caller=TEAM_MATE)
    assert (again.status, body_of(again)["operation"]) == (202, body_of(first)["operation"])
    assert again.message is None
    for body in ({"displayName": "Third"}, {"contact": "free@contoso.example"}):
        for query in ("", "dryRun=true"):
            assert code_of(change(world, body, query=query)) == "operation-in-progress"
    assert code_of(decide(world, "approve", replace(ALICE, roles=frozenset({Role.APPROVE})))) == "own-request"
    assert decide(world, "deny", TEAM_MATE, reason="Taken back.").status == 202
    world.settle()
    assert change(world, {"contact": "free@contoso.example"}).status == 202


@pytest.mark.parametrize("revoke", [False, True])
def test_a_secret_is_rotated_or_revoked_while_a_change_waits_and_the_change_goes_on_waiting(
    world: World,
    revoke: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    change(world)
    world.settle()
    waits, before = of(world).proposal, text_of(world, of(world).id)
    assert call(world, "rotate_registration", ALICE, {"revokePrevious": revoke}).status == 202
    assert of(world).operation.type is OperationType.ROTATE
    assert code_of(decide(world, "approve")) == "operation-in-progress"
    world.settle()
    after = of(world)
    assert (after.operation.type, after.operation.status) == (OperationType.ROTATE, OperationStatus.SUCCEEDED)
    assert after.proposal == waits
    assert text_of(world, after.id) != before
    assert works(world, after.id, before) is not revoke
    assert decide(world, "approve").status == 202
    world.settle()
    assert of(world).request.display_name == "Other"
    check(world)


def test_the_scheduled_rotation_of_a_secret_does_not_wait_for_an_approval(world: World) -> None:
    due_at = rotates_at(of(world), world.settings.secrets)
    assert due_at is not None
    world.live(due_at - world.clock.now() - timedelta(days=7))
    change(world)
    before = live_keys(world, of(world).id)
    world.live(timedelta(days=13))
    assert of(world).proposal is not None
    assert of(world).operation.type is OperationType.ROTATE
    assert len(live_keys(world, of(world).id)) == len(before) + 1
    assert decide(world, "approve").status == 202
    world.settle()
    assert of(world).request.display_name == "Other"
    check(world)


def test_a_deletion_supersedes_a_change_that_waits(world: World) -> None:
    waiting = body_of(change(world))["operation"]["id"]
    answer = call(world, "delete_registration", ALICE)
    assert body_of(answer)["operation"]["supersedes"] == waiting
    assert code_of(decide(world, "approve")) == "nothing-to-decide"
    row = of(world)
    world.settle()
    assert world.row(row.id).status is Status.DELETED
    check(world)


# --- what is approved is what is applied ------------------------------------------------------------------------------


def test_who_approves_names_what_was_read_and_nothing_slips_in(world: World) -> None:
    change(world)
    row = of(world)
    assert row.proposal is not None
    assert code_of(decide(world, "approve", digest="0" * 64)) == "digest-differs"
    evil = row.proposal.request.model_copy(update={"redirect_uris": ("https://evil.example/",)})
    world.registry.replace(replace(row, proposal=replace(row.proposal, request=evil)))
    assert code_of(decide(world, "approve")) == "digest-differs"
    assert decide(world, "deny").status == 202


def test_what_was_changed_behind_an_approval_is_never_sent(world: World) -> None:
    change(world)
    decide(world, "approve")
    row = of(world)
    evil = row.request.model_copy(update={"redirect_uris": ("https://evil.example/",)})
    world.registry.replace(replace(row, request=evil))
    world.deliver()
    failure = of(world).operation.failure
    assert failure is not None
    assert failure.code == "not-approved"
    assert writes(world) == []


def test_a_policy_that_changes_meanwhile_changes_nothing_about_what_was_asked(world: World) -> None:
    change(world)
    waits = of(world).proposal
    assert waits is not None
    world.policy = a_policy(version="later")
    world.clock.time += timedelta(minutes=2)
    assert decide(world, "approve").status == 202
    assert of(world).policy_version == waits.policy_version


def test_a_new_owner_has_a_place_for_it_when_it_is_asked_and_when_it_is_approved(world: World) -> None:
    body = {"owner": OTHER_TEAM, "displayName": "Other"}
    assert change(world, body, MANAGER).status == 202
    world.settle()
    assert of(world).request.owner == TEAM
    assert [row.id for row in world.registry.find(owners=[OTHER_TEAM], top=9).registrations] == []
    taken = post_as(
        world, MALLORY, a_resource(owner=OTHER_TEAM, displayName="FHR-2", fhirServerUrl="https://m.example")
    )
    assert taken.status == 202
    assert code_of(decide(world, "approve")) == "refused-by-policy"
    world.settle()
    call_ = Call(
        "/registrations/x", headers_of(MALLORY, world.emulator), registration_id=body_of(taken)["registrationId"]
    )
    assert world.call(web.delete_registration, call_).status == 202
    world.settle()
    assert decide(world, "approve").status == 202
    world.settle()
    assert [row.id for row in world.registry.find(owners=[OTHER_TEAM], top=9).registrations] == [of(world).id]
    full = post_as(world, MALLORY, a_resource(owner=OTHER_TEAM, displayName="FHR-3", fhirServerUrl="https://n.example"))
    assert code_of(full) == "refused-by-policy"


def test_a_change_to_an_owner_without_a_place_does_not_begin_to_wait(world: World) -> None:
    post_as(world, MALLORY, a_resource(owner=OTHER_TEAM, displayName="FHR-2", fhirServerUrl="https://m.example"))
    for query in ("", "dryRun=true"):
        answer = change(world, {"owner": OTHER_TEAM, "displayName": "Other"}, MANAGER, query)
        assert code_of(answer) == "refused-by-policy"
    assert not of(world).awaits_approval


def test_a_bot_that_asks_for_a_person_approves_neither_as_itself_nor_for_another(world: World) -> None:
    person = {"on-behalf-of": ALICE.object_id}
    mine = a_confidential_client(owner=ALICE.object_id, displayName="FHR-mine")
    world.settle()
    answer = world.call(
        web.submit_registration,
        Call(
            "/api/registrations",
            headers_of(BOT, world.emulator) | person | {"content-type": "application/json"},
            "",
            json.dumps(mine).encode(),
        ),
    )
    world.settle()
    row = world.row(body_of(answer)["registrationId"])

    def as_bot(name: str, body: Any, **headers: str) -> Answer:
        sent = headers_of(replace(BOT, roles=BOT.roles | {Role.APPROVE}), world.emulator) | headers
        content = json.dumps(body).encode()
        sent |= {"content-type": "application/json"}
        return world.call(web.CALLS[name], Call("/registrations/x", sent, "", content, row.id, "POST"))

    assert as_bot("change_registration", {"displayName": "Other"}, **person).status == 202
    approval = world.row(row.id).approval
    assert approval is not None
    assert (approval.asked_by, approval.asked_via) == (ALICE.object_id, BOT.object_id)
    digest = {"digest": approval.digest}
    assert code_of(as_bot("approve_registration", digest)) == "own-request"
    assert code_of(as_bot("approve_registration", digest, **person)) == "own-request"
    for somebody in (APPROVER.object_id, MALLORY.object_id):
        refused = as_bot("approve_registration", digest, **{"on-behalf-of": somebody})
        assert code_of(refused) == "registration-not-found"
