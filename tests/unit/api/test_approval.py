"""A request that needs an approval: who decides, to what the decision is bound, and how it ends without one."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.approval import Approval, Outcome, check_decider
from provisioning.domain.callers import KEY_HOLDER, Caller, CallerKind, Role
from provisioning.domain.errors import RequestRejected
from provisioning.domain.intake import fingerprint, parse
from provisioning.domain.registration import Registration, Status
from provisioning.flow.plan import STALLED_AFTER
from tests.worlds import approvals
from tests.worlds.approvals import APPROVER
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import MANAGED, a_resource, a_service_client
from tests.worlds.servers import FOR_ALICES_TEAM as ONLY_ALICES
from tests.worlds.signed_in import ALICE, BOT, ENTRA, MALLORY, OTHER_TEAM, TEAM, headers_of
from tests.worlds.steps import post_as
from tests.worlds.world import World


def awaiting(world: World, body: dict[str, Any] | None = None, resource_owner: str | None = None) -> Registration:
    return approvals.awaiting(world, body or a_resource(owner=TEAM), resource_owner)


def decide(world: World, caller: Caller, row: Registration, what: str = "approve", **body: Any) -> Answer:
    content = {"digest": row.asked_digest, "reason": "Because."} | body
    headers = headers_of(caller, world.emulator) | {"content-type": "application/json"}
    call = Call(
        f"/api/registrations/{row.id}/{what}",
        headers,
        body=json.dumps(content).encode(),
        registration_id=row.id,
        method="POST",
    )
    return world.call(web.CALLS[f"{what}_registration"], call)


def code_of(answer: Answer) -> str:
    return str(json.loads(answer.body)["code"])


@pytest.fixture
def world() -> World:
    return World(settings=ENTRA)


def test_nothing_is_sent_to_entra_before_somebody_agrees_and_all_of_it_afterwards(world: World) -> None:
    row = awaiting(world)
    world.settle()
    assert [each for each in world.emulator.calls if not each.operation.startswith("token.")] == []
    answer = decide(world, APPROVER, row)
    assert (answer.status, json.loads(answer.body)["operation"]["status"]) == (202, "pending")
    assert world.row(row.id).due_at == world.clock.now() + STALLED_AFTER
    world.deliver()
    after = world.row(row.id)
    assert (after.status, after.operation.id) == (Status.ACTIVE, row.operation.id)
    assert after.approval is not None
    assert (after.approval.decided_by, after.approval.reason) == (APPROVER.object_id, "Because.")


def test_what_is_denied_fails_with_the_reason_and_nothing_was_ever_sent(world: World) -> None:
    row = awaiting(world)
    assert decide(world, APPROVER, row, "deny", reason="Not this server.").status == 202
    world.deliver()
    shown = json.loads(show(world, ALICE, row).body)
    assert (shown["status"], shown["operation"]["failure"]["code"]) == ("failed", "approval-denied")
    assert (shown["approval"]["outcome"], shown["approval"]["reason"]) == ("denied", "Not this server.")
    assert [each for each in world.emulator.calls if each.operation.startswith("graph.")] == []


def test_what_nobody_decides_lapses_after_fourteen_days_and_not_before(world: World) -> None:
    row = awaiting(world)
    world.live(timedelta(days=13, hours=23))
    assert world.row(row.id).awaits_approval
    world.live(timedelta(hours=2))
    after = world.row(row.id)
    assert after.operation.failure is not None
    assert (after.status, after.operation.failure.code) == (Status.FAILED, "approval-lapsed")
    assert code_of(decide(world, APPROVER, row)) == "nothing-to-decide"


def test_from_the_moment_on_at_which_it_lapses_nobody_decides_it(world: World) -> None:
    row = awaiting(world)
    assert row.approval is not None
    world.clock.time = row.approval.lapses_at
    assert code_of(decide(world, APPROVER, row)) == "nothing-to-decide"


def test_what_has_lapsed_or_was_denied_is_asked_again_by_a_retry_and_never_done_by_it(world: World) -> None:
    row = awaiting(world)
    decide(world, APPROVER, row, "deny")
    world.deliver()
    assert retry(world, ALICE, row).status == 202
    world.settle()
    again = world.row(row.id)
    assert again.awaits_approval
    assert again.approval is not None
    assert (again.approval.outcome, again.approval.decided_by) == (None, None)
    assert [each for each in world.emulator.calls if each.operation.startswith("graph.")] == []
    assert decide(world, APPROVER, again).status == 202
    world.deliver()
    assert world.row(row.id).status is Status.ACTIVE


APPROVERS = {
    "the requester": (ALICE, None, "own-request"),
    "the requester with every role": (replace(ALICE, roles=frozenset(Role)), None, "own-request"),
    "one of the team": (replace(MALLORY, groups=frozenset({TEAM})), None, "not-an-approver"),
    "a manager": (replace(MALLORY, roles=frozenset({Role.READ_ALL, Role.MANAGE_ALL})), None, "not-an-approver"),
    "a reader": (replace(MALLORY, roles=frozenset({Role.READ_ALL})), None, "not-an-approver"),
    "a stranger": (MALLORY, None, "registration-not-found"),
    "the owner of another resource": (MALLORY, TEAM, "registration-not-found"),
    "the owner of the resource": (MALLORY, OTHER_TEAM, None),
    "an approver": (APPROVER, OTHER_TEAM, None),
}
FOR_ALICES_TEAM = {**ONLY_ALICES, "approval": "approver"}


def of_a_resource(world: World, resource_owner: str | None) -> Registration:
    """Have a client of Alice's team wait for whoever owns its resource, or an approver."""
    post_as(world, MALLORY, a_resource(owner=OTHER_TEAM))
    world.deliver()
    return awaiting(world, a_service_client(owner=TEAM), resource_owner)


def test_whoever_owned_the_resource_when_it_was_asked_approves_nothing_of_it_afterwards(world: World) -> None:
    row = of_a_resource(world, OTHER_TEAM)
    resource = next(each for each in world.registry.find(top=9).registrations if each.id != row.id)
    given = resource.request.model_copy(update={"owner": ALICE.object_id})
    world.registry.replace(replace(resource, request=given))
    assert code_of(decide(world, MALLORY, row)) == "not-an-approver"
    assert decide(world, APPROVER, row).status == 202


def test_a_name_is_not_to_be_had_by_asking_for_it() -> None:
    world = World(settings=ENTRA, rules=[FOR_ALICES_TEAM])
    asked = post_as(world, MALLORY, a_resource(owner=OTHER_TEAM, displayName="Squatter"))
    row = world.row(json.loads(asked.body)["registrationId"])
    assert row.awaits_approval
    assert post_as(world, ALICE, a_resource(owner=TEAM)).status == 409, "one of the two is asked for at a time"
    decide(world, APPROVER, row, "deny")
    world.settle()
    assert post_as(world, ALICE, a_resource(owner=TEAM)).status == 202
    world.settle()
    again = retry(world, MALLORY, world.row(row.id))
    assert again.status == 202
    assert decide(world, APPROVER, world.row(row.id)).status == 202
    world.settle()
    failure = world.row(row.id).operation.failure
    assert failure is not None
    assert failure.code == "fhir-server-not-available"


@pytest.mark.parametrize("what", ["denied", "waiting"])
def test_what_nobody_agreed_to_leaves_no_hold_on_a_name_when_it_is_deleted(what: str) -> None:
    world = World(settings=ENTRA, rules=[FOR_ALICES_TEAM])
    asked = post_as(world, MALLORY, a_resource(owner=OTHER_TEAM))
    row = world.row(json.loads(asked.body)["registrationId"])
    if what == "denied":
        decide(world, APPROVER, row, "deny")
        world.settle()
    call = Call("/registrations/x", headers_of(MALLORY, world.emulator), registration_id=row.id)
    assert world.call(web.delete_registration, call).status == 202
    world.settle()
    assert post_as(world, ALICE, a_resource(owner=TEAM)).status == 202


TAKES_BACK = {"the requester", "the requester with every role", "one of the team", "a manager"}


@pytest.mark.parametrize("name", APPROVERS)
def test_the_owner_of_the_resource_or_an_approver_approves_and_never_the_requester(world: World, name: str) -> None:
    caller, resource_owner, code = APPROVERS[name]
    answer = decide(world, caller, of_a_resource(world, resource_owner))
    assert (answer.status == 202) == (code is None)
    assert code is None or code_of(answer) == code


@pytest.mark.parametrize("resource_owner", [None, OTHER_TEAM])
def test_an_approver_agrees_for_the_owner_of_the_resource_only_where_that_owner_is_asked(
    world: World, resource_owner: str | None
) -> None:
    row = of_a_resource(world, resource_owner)
    assert decide(world, APPROVER, row).status == 202
    agreement = world.row(row.id).agreement
    assert (agreement.by if agreement else None) == (APPROVER.object_id if resource_owner else None)


@pytest.mark.parametrize("what", ["approve", "deny"])
def test_of_a_resource_that_nobody_registered_no_decision_is_the_word_of_its_owner(world: World, what: str) -> None:
    row = awaiting(world, a_service_client(owner=TEAM, resource=MANAGED, appRoles=[]))
    assert decide(world, APPROVER, row, what).status == 202
    assert world.row(row.id).agreement is None


@pytest.mark.parametrize("name", APPROVERS)
def test_whoever_may_approve_may_deny_and_whoever_could_delete_it_takes_it_back_so(world: World, name: str) -> None:
    caller, resource_owner, code = APPROVERS[name]
    row = of_a_resource(world, resource_owner)
    answer = decide(world, caller, row, "deny")
    refused = code is not None and name not in TAKES_BACK
    assert (answer.status == 202) == (not refused)
    assert not refused or code_of(answer) == code
    world.settle()
    assert world.row(row.id).status is (Status.ACCEPTED if refused else Status.FAILED)


def test_whoever_asked_through_a_bot_and_the_bot_itself_approve_in_no_guise() -> None:
    bot = "b0700000-0000-4000-8000-000000000003"
    approval, asked_by = Approval("digest", ("rule",), datetime.max.replace(tzinfo=UTC)), {ALICE.object_id, bot}
    check_decider(approval, Outcome.APPROVED, APPROVER, frozenset(asked_by), TEAM)
    as_bot = Caller(bot, CallerKind.APPLICATION, frozenset({Role.APPROVE}))
    for caller in (as_bot, replace(APPROVER, via=bot), replace(APPROVER, via=ALICE.object_id)):
        with pytest.raises(RequestRejected) as raised:
            check_decider(approval, Outcome.APPROVED, caller, frozenset(asked_by), TEAM)
        assert raised.value.code == "own-request"


def test_a_bot_shows_nobodys_consent_whoever_it_names() -> None:
    asked_by, owner = frozenset({ALICE.object_id}), MALLORY.object_id
    approval = Approval("digest", ("rule",), datetime.max.replace(tzinfo=UTC), owner)
    in_person = Caller(owner, CallerKind.USER)
    check_decider(approval, Outcome.APPROVED, in_person, asked_by, TEAM)
    for outcome in (Outcome.APPROVED, Outcome.DENIED):
        with pytest.raises(RequestRejected) as raised:
            check_decider(approval, outcome, replace(in_person, via=BOT.object_id), asked_by, TEAM)
        assert raised.value.code == "not-in-person"
    check_decider(approval, Outcome.DENIED, replace(in_person, via=BOT.object_id), asked_by, owner)


def test_whoever_asks_again_for_what_another_asked_for_approves_it_no_more_than_the_other(world: World) -> None:
    row = awaiting(world)
    decide(world, APPROVER, row, "deny")
    world.deliver()
    both = replace(APPROVER, object_id=MALLORY.object_id, groups=frozenset({TEAM}))
    assert retry(world, both, row).status == 202
    again = world.row(row.id)
    assert again.awaits_approval
    assert again.due_at == world.clock.now() + STALLED_AFTER
    assert json.loads(show(world, APPROVER, again).body)["approval"]["askedBy"] == both.object_id
    for caller in (both, replace(ALICE, roles=frozenset({Role.APPROVE}))):
        assert code_of(decide(world, caller, again)) == "own-request"
    assert decide(world, APPROVER, again).status == 202


def test_those_who_decide_are_told_once_that_it_waits_and_of_its_end_as_of_any() -> None:
    world = World(settings=ENTRA, receiver=Receiver())
    row = awaiting(world)
    for _ in range(2):
        world.settle()
        world.reconcile()
    [notice] = told_of(world, row)
    assert (notice["type"], notice["data"]["digest"]) == ("registration.approval-requested", row.asked_digest)
    assert (notice["data"]["who"], notice["data"]["rules"]) == ("an approver", ["rule"])
    decide(world, APPROVER, row, "deny")
    world.settle()
    assert [each["type"] for each in told_of(world, row)] == [notice["type"], "registration.failed"]


def test_what_was_approved_once_holds_up_no_later_change_that_needs_nobodys_consent(world: World) -> None:
    row = awaiting(world)
    decide(world, APPROVER, row)
    world.deliver()
    headers = headers_of(ALICE, world.emulator) | {"content-type": "application/json"}
    call = Call(f"/api/registrations/{row.id}", headers, body=b'{"displayName": "Other"}', registration_id=row.id)
    assert world.call(web.change_registration, call).status == 202
    world.deliver()
    after = world.row(row.id)
    assert (after.operation.failure, after.request.display_name, after.pending) == (None, "Other", False)


def test_what_waits_and_was_told_is_due_again_when_it_lapses_and_not_before(world: World) -> None:
    row = awaiting(world)
    world.clock.sleep(180)
    world.plan()
    world.deliver()
    assert row.approval is not None
    entries = world.registry.due(world.clock.now() + timedelta(days=99), 9)
    assert [each.due_at for each in entries] == [row.approval.lapses_at]


def test_what_is_agreed_to_before_anybody_was_told_is_done_at_once_and_nobody_is_told_that_it_waits() -> None:
    world = World(settings=ENTRA, receiver=Receiver())
    row = awaiting(world)
    decide(world, APPROVER, row)
    world.deliver()
    assert world.row(row.id).status is Status.ACTIVE
    world.settle()
    assert [each["type"] for each in told_of(world, row)] == ["registration.active"]


def test_what_waits_shows_whoever_decides_how_to_and_what_is_decided_does_not(world: World) -> None:
    row = awaiting(world)
    [step] = json.loads(show(world, APPROVER, row).body)["nextSteps"]
    assert (step["code"], step["who"]) == ("decide", "an approver")
    assert row.asked_digest in step["command"]
    decide(world, APPROVER, row, "deny")
    assert json.loads(show(world, APPROVER, row).body)["nextSteps"] == []


def test_with_function_keys_nobody_can_be_told_apart_so_nobody_approves_and_it_can_be_taken_back() -> None:
    world = World()
    row = awaiting(world)
    call = Call(
        "/api/registrations/x/approve",
        {"content-type": "application/json"},
        body=json.dumps({"digest": row.asked_digest}).encode(),
        registration_id=row.id,
    )
    answer = world.call(web.approve_registration, call)
    assert (answer.status, code_of(answer)) == (403, "approver-unknown")
    assert KEY_HOLDER.object_id == "function-key"
    body = json.dumps({"digest": row.asked_digest, "reason": "Nobody can."}).encode()
    assert world.call(web.deny_registration, replace(call, body=body)).status == 202


def test_a_decision_is_bound_to_what_was_read(world: World) -> None:
    row = awaiting(world)
    assert code_of(decide(world, APPROVER, row, digest="0" * 64)) == "digest-differs"
    other = parse(a_resource(owner=TEAM, displayName="Something else"))
    slipped = world.registry.replace(replace(world.row(row.id), request=other, request_hash=fingerprint(other)))
    assert code_of(decide(world, APPROVER, slipped, digest=slipped.asked_digest)) == "digest-differs"
    assert code_of(decide(world, APPROVER, slipped, digest=row.asked_digest)) == "digest-differs"


def test_what_was_changed_behind_an_approval_is_never_created(world: World) -> None:
    row = awaiting(world)
    decide(world, APPROVER, row)
    other = parse(a_resource(owner=TEAM, displayName="Something else"))
    world.registry.replace(replace(world.row(row.id), request=other, request_hash=fingerprint(other)))
    world.deliver()
    after = world.row(row.id)
    assert after.operation.failure is not None
    assert after.operation.failure.code == "not-approved"
    assert [each for each in world.emulator.calls if each.operation == "graph.createApplication"] == []


def test_a_dry_run_of_a_decision_decides_nothing(world: World) -> None:
    row = awaiting(world)
    body = json.dumps({"digest": row.asked_digest}).encode()
    headers = headers_of(APPROVER, world.emulator) | {"content-type": "application/json"}
    call = Call("/x/registrations/y/approve", headers, "dryRun=true", body, row.id, "POST")
    answer = world.call(web.approve_registration, call)
    assert (answer.status, answer.message) == (200, None)
    assert world.row(row.id) == row


def test_it_is_decided_once(world: World) -> None:
    row = awaiting(world)
    assert decide(world, APPROVER, row).status == 202
    for what in ("approve", "deny"):
        assert code_of(decide(world, APPROVER, row, what)) == "nothing-to-decide"


def test_a_request_that_waits_can_be_withdrawn(world: World) -> None:
    row = awaiting(
        world, a_service_client(owner=TEAM, resource="https://ws-svc.fhir.azurehealthcareapis.com", appRoles=[])
    )
    call = Call(f"/api/registrations/{row.id}", headers_of(ALICE), registration_id=row.id)
    assert world.call(web.delete_registration, call).status == 202
    world.settle()
    assert world.row(row.id).status is Status.DELETED


@pytest.mark.parametrize(
    "body", [{"reason": ""}, {"digest": None}, {"digest": 1}, {"more": 1}, {"reason": "a\nb"}], ids=str
)
def test_a_decision_that_is_not_understood_is_refused(world: World, body: dict[str, Any]) -> None:
    row = awaiting(world)
    assert code_of(decide(world, APPROVER, row, **body)) == "invalid-request"
    assert world.row(row.id).awaits_approval


@pytest.mark.parametrize("what", ["approve", "deny"])
@pytest.mark.parametrize("body", [[], [{"digest": "d"}], "x", None, 1, True], ids=str)
def test_a_decision_that_is_no_object_is_refused(world: World, what: str, body: Any) -> None:
    headers = {"content-type": "application/json", **headers_of(APPROVER, world.emulator)}
    path = f"/api/registrations/{awaiting(world).id}/{what}"
    call = Call(path, headers, body=json.dumps(body).encode(), registration_id="x", method="POST")
    answer = world.call(web.CALLS[f"{what}_registration"], call)
    assert (answer.status, code_of(answer)) == (400, "invalid-request")
    assert [(each["pointer"], each["code"]) for each in json.loads(answer.body)["errors"]] == [("#", "wrong-type")]


def test_a_denial_says_why(world: World) -> None:
    row = awaiting(world)
    answer = decide(world, APPROVER, row, "deny", reason=None)
    assert code_of(answer) == "invalid-request"


def told_of(world: World, row: Registration) -> list[dict[str, Any]]:
    return [each for each in world.told if isinstance(each, dict) and each["subject"] == row.id]


def retry(world: World, caller: Caller, row: Registration) -> Answer:
    call = Call(f"/api/registrations/{row.id}/retry", headers_of(caller), registration_id=row.id, method="GET")
    return world.call(web.retry_registration, call)


def show(world: World, caller: Caller, row: Registration) -> Answer:
    return world.call(web.show_registration, Call("/x", headers_of(caller), registration_id=row.id))
