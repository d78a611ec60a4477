"""The policy at work: in a POST, its dry run and a PATCH; and what a caller is told of it."""

import json
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.callers import KEY_HOLDER, Caller, CallerKind, Role
from provisioning.domain.names import MANAGED_FHIR_CLIENT_ID
from provisioning.domain.registration import Status
from tests.worlds.clock import DAY
from tests.worlds.request_bodies import (
    MANAGED,
    OTHER_OWNER,
    OWNER,
    a_confidential_client,
    a_policy,
    a_resource,
    a_service_client,
)
from tests.worlds.signed_in import ALICE, ENTRA, MALLORY, OTHER_TEAM, TEAM, headers_of
from tests.worlds.steps import FOREIGN_URI, a_foreign_resource, body_of, code_of, failure_of, listed, post_as
from tests.worlds.world import World

APPROVER = Caller("a9900000-0000-4000-8000-000000000009", CallerKind.USER, frozenset({Role.APPROVE}), name="Approver")
MANAGER = Caller("3a9a9e60-0000-4000-8000-00000000000a", CallerKind.USER, frozenset({Role.MANAGE_ALL}), name="Manager")
SERVER = "https://fhir.contoso.example"
NAMES: dict[str, Any] = {"id": "names", "kind": "displayName", "pattern": "FHR-.*"}
REDIRECTS: dict[str, Any] = {"id": "redirects", "kind": "redirectUris", "hosts": {"include": ["*.contoso.example"]}}
FOR_ALICES_TEAM: dict[str, Any] = {
    "id": "servers",
    "kind": "fhirServers",
    "hosts": {"include": ["*.contoso.example"]},
    "claimants": {"include": [TEAM]},
}
DRY = {"dryRun": "true"}


def shown(world: World, caller: Caller | None = None) -> dict[str, Any]:
    headers = headers_of(caller, world.emulator) if caller is not None else {}
    answer = world.call(web.show_policy, Call("/api/policy", headers))
    assert answer.status == 200, answer.body
    return body_of(answer)


def everything(world: World) -> object:
    registry = world.registry
    return registry.find(top=99).registrations, registry.due(world.clock.now() + DAY, 99), len(world.queue)


# --- refused ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("query", [None, DRY], ids=["call", "dry run"])
def test_a_refusal_names_each_rule_and_how_to_ask_for_an_exception_and_does_nothing(query: Any) -> None:
    world = World(rules=[NAMES, REDIRECTS])
    world.policy = a_policy()
    world.registered(a_resource())
    world.policy = a_policy(NAMES, REDIRECTS)
    world.clock.time += timedelta(minutes=1)
    before = everything(world)
    uris = ["https://app.contoso.example/cb", "https://evil.example/cb"]
    answer = world.post(a_confidential_client(redirectUris=uris), query=query)
    assert (answer.status, code_of(answer)) == (403, "refused-by-policy")
    exception = "Write to policy@contoso.example."
    assert [(each["pointer"], each["code"], each["rule"], each["exception"]) for each in body_of(answer)["errors"]] == [
        ("#/displayName", "display-name-not-permitted", "names", exception),
        ("#/redirectUris/1", "host-not-allowed", "redirects", exception),
    ]
    assert "evil" not in answer.body
    assert everything(world) == before


@pytest.mark.parametrize("query", [None, DRY], ids=["call", "dry run"])
def test_what_breaks_the_services_own_rules_too_is_told_of_both_at_once(query: Any) -> None:
    world = World(rules=[NAMES])
    answer = world.post(a_service_client(resource="https://nobody.example"), query=query)
    assert (answer.status, code_of(answer)) == (400, "invalid-request")
    assert [each["code"] for each in body_of(answer)["errors"]] == [
        "resource-not-allowed",
        "display-name-not-permitted",
    ]
    assert [each.get("rule") for each in body_of(answer)["errors"]] == [None, "names"]


def test_what_was_accepted_is_not_judged_again_when_it_is_sent_again() -> None:
    world = World(rules=[])
    first = world.post(a_resource(), key="k")
    world.policy = a_policy(NAMES)
    world.clock.time += timedelta(minutes=1)
    again = world.post(a_resource(), key="k")
    assert (again.status, body_of(again)["registrationId"]) == (202, body_of(first)["registrationId"])
    assert world.post(a_resource(fhirServerUrl="https://b.contoso.example"), key="l").status == 403


def test_the_version_of_the_policy_is_on_every_row_and_another_after_a_change() -> None:
    world = World(rules=[])
    registration_id = world.registered(a_resource())["registrationId"]
    assert world.row(registration_id).policy_version == shown(world)["version"]
    world.policy = a_policy(version="later")
    world.clock.time += timedelta(minutes=1)
    world.change(registration_id, {"displayName": "Another"})
    assert world.row(registration_id).policy_version.startswith("later+")


# --- a change ---------------------------------------------------------------------------------------------------------


def changed(world: World, registration_id: str, body: dict[str, Any]) -> tuple[Answer, Answer]:
    """Return what a dry run of a change is answered, and then the change."""
    call = Call(
        f"/api/registrations/{registration_id}",
        {"content-type": "application/json"},
        "dryRun=true",
        json.dumps(body).encode(),
        registration_id=registration_id,
    )
    return world.call(web.change_registration, call), world.change(registration_id, body)


def with_old_redirects() -> tuple[World, str]:
    """A client with redirect URIs and a name that the policy does not allow any more."""
    world = World(rules=[])
    world.registered(a_resource())
    uris = ["https://old.example/cb", "https://app.contoso.example/cb"]
    registration_id = world.registered(a_confidential_client(redirectUris=uris))["registrationId"]
    world.policy = a_policy(NAMES, REDIRECTS)
    world.clock.time += timedelta(minutes=1)
    return world, registration_id


def test_what_a_change_leaves_as_it_was_is_not_judged_and_what_it_changes_is() -> None:
    world, registration_id = with_old_redirects()
    for answer in changed(world, registration_id, {"contact": "others@contoso.example"}):
        assert answer.status in (200, 202), answer.body
    world.deliver()
    for body, pointer in (
        ({"displayName": "Other"}, "#/displayName"),
        ({"redirectUris": ["https://old.example/cb", "https://evil.example/"]}, "#/redirectUris/1"),
    ):
        for answer in changed(world, registration_id, body):
            assert (answer.status, code_of(answer)) == (403, "refused-by-policy")
            assert [each["pointer"] for each in body_of(answer)["errors"]] == [pointer]
    for body in ({"displayName": "FHR-1"}, {"redirectUris": ["https://b.contoso.example/", "https://old.example/cb"]}):
        assert world.change(registration_id, body).status == 202
        world.deliver()


def test_an_owner_who_could_not_register_it_does_not_get_it_by_a_change_either() -> None:
    world = World(rules=[{**FOR_ALICES_TEAM, "claimants": {"include": [OWNER]}}])
    registration_id = world.registered(a_resource())["registrationId"]
    for answer in changed(world, registration_id, {"owner": OTHER_OWNER}):
        assert (answer.status, code_of(answer)) == (403, "refused-by-policy")
        assert body_of(answer)["errors"][0]["rule"] == "servers"
    assert world.row(registration_id).request.owner == OWNER


def test_an_owner_without_a_place_does_not_get_one_by_a_change() -> None:
    world = World(rules=[{"id": "two", "kind": "registrations", "most": 1, "owners": {"include": [OTHER_OWNER]}}])
    world.registered(a_resource(owner=OTHER_OWNER))
    registration_id = world.registered(a_resource(fhirServerUrl="https://b.contoso.example"))["registrationId"]
    for answer in changed(world, registration_id, {"owner": OTHER_OWNER}):
        assert (answer.status, code_of(answer)) == (403, "refused-by-policy")
        assert body_of(answer)["errors"][0]["code"] == "too-many-registrations"


def test_with_function_keys_what_needs_an_approval_is_refused_at_once_for_nobody_could_give_it() -> None:
    world = World(rules=[{**NAMES, "approval": "approver", "clientTypes": ["confidential"]}])
    world.registered(a_resource())
    registration_id = body_of(world.post(a_confidential_client(displayName="FHR-1")))["registrationId"]
    world.deliver()
    before = everything(world)
    for answer in (
        *changed(world, registration_id, {"displayName": "Other"}),
        *(world.post(a_confidential_client(), query=query) for query in (None, DRY)),
    ):
        assert (answer.status, code_of(answer)) == (403, "approval-needed")
        assert body_of(answer)["errors"][0]["rule"] == "names"
    assert everything(world) == before


# --- an approval ------------------------------------------------------------------------------------------------------


def approve(world: World, caller: Caller, registration_id: str) -> Answer:
    row = world.row(registration_id)
    assert row.approval is not None
    call = Call(
        f"/api/registrations/{registration_id}/approve",
        headers_of(caller, world.emulator) | {"content-type": "application/json"},
        body=json.dumps({"digest": row.approval.digest, "reason": "Because."}).encode(),
        registration_id=registration_id,
        method="POST",
    )
    return world.call(web.approve_registration, call)


ASK: dict[str, Any] = {
    "id": "ask",
    "kind": "appRoles",
    "appRoles": {"include": ["globalReader"]},
    "approval": "resourceOwner",
}


def test_a_request_that_needs_an_approval_waits_for_it_and_is_created_then() -> None:
    world = World(settings=ENTRA, rules=[{**NAMES, "approval": "approver"}])
    dry = post_as(world, ALICE, a_resource(owner=TEAM), "dryRun=true")
    assert body_of(dry)["approvalsNeeded"] == [{"rule": "names", "whose": "approver", "pointer": "#/displayName"}]
    answer = post_as(world, ALICE, a_resource(owner=TEAM))
    row = world.row(body_of(answer)["registrationId"])
    assert (answer.status, row.awaits_approval) == (202, True)
    assert row.approval is not None
    assert (row.approval.rules, row.approval.resource_owner) == (("names",), None)
    world.settle()
    assert world.row(row.id).due_at == row.approval.lapses_at
    assert not world.emulator.directory.records.keys() & {row.application_object_id}
    assert approve(world, APPROVER, row.id).status == 202
    world.deliver()
    assert world.row(row.id).status is Status.ACTIVE


def test_the_owner_of_the_resource_decides_where_a_rule_says_so_however_the_client_names_it() -> None:
    world = World(settings=ENTRA, rules=[ASK])
    answer = post_as(world, MALLORY, a_resource(owner=OTHER_TEAM))
    world.deliver()
    resource = world.row(body_of(answer)["registrationId"])
    for reference in (SERVER, resource.client_id, f"api://{resource.client_id}"):
        body = a_service_client(owner=TEAM, resource=reference, appRoles=["globalAdmin"])
        row = world.row(body_of(post_as(world, ALICE, body))["registrationId"])
        assert row.approval is not None
        assert row.approval.resource_owner == OTHER_TEAM
        assert code_of(approve(world, ALICE, row.id)) == "own-request"
        assert approve(world, MALLORY, row.id).status == 202
        world.deliver()
        assert world.row(row.id).status is Status.ACTIVE


def test_a_change_is_judged_by_the_name_that_the_resource_was_asked_for_by_too() -> None:
    elsewhere = "https://fhir.not-verified.example"  # so that its audience is another name than its URL
    rule = {**ASK, "resources": {"include": [elsewhere]}}
    world = World(settings=ENTRA, rules=[rule])
    post_as(world, MALLORY, a_resource(owner=OTHER_TEAM, fhirServerUrl=elsewhere))
    world.deliver()
    body = a_service_client(owner=TEAM, resource=elsewhere, appRoles=["globalReader"])
    client = body_of(post_as(world, ALICE, body))["registrationId"]
    world.deliver()
    call = Call(
        f"/api/registrations/{client}",
        headers_of(ALICE, world.emulator) | {"content-type": "application/merge-patch+json"},
        body=json.dumps({"appRoles": ["globalAdmin"]}).encode(),
        registration_id=client,
        method="PATCH",
    )
    answer = world.call(web.change_registration, call)
    assert (answer.status, body_of(answer)["approval"]["rules"]) == (202, ["ask"])


def test_where_another_rule_wants_an_approver_the_owner_of_the_resource_is_not_enough() -> None:
    world = World(settings=ENTRA, rules=[ASK, {**NAMES, "approval": "approver", "clientTypes": ["service"]}])
    post_as(world, MALLORY, a_resource(owner=OTHER_TEAM))
    world.deliver()
    row = world.row(
        body_of(post_as(world, ALICE, a_service_client(owner=TEAM, appRoles=["globalAdmin"])))["registrationId"]
    )
    assert row.approval is not None
    assert (row.approval.rules, row.approval.resource_owner) == (("ask", "names"), None)
    assert approve(world, MALLORY, row.id).status in (403, 404)
    assert approve(world, APPROVER, row.id).status == 202


# --- numbers ----------------------------------------------------------------------------------------------------------


def server(number: int) -> dict[str, Any]:
    return a_resource(fhirServerUrl=f"https://fhir{number}.contoso.example")


def test_an_owner_has_as_many_registrations_as_the_policy_says_and_a_deleted_one_frees_its_place() -> None:
    world = World(rules=[{"id": "two", "kind": "registrations", "most": 2}])
    first, _ = (world.registered(server(number)) for number in range(2))
    for query in (None, DRY):
        answer = world.post(server(2), query=query)
        assert (answer.status, code_of(answer)) == (403, "refused-by-policy")
        [error] = body_of(answer)["errors"]
        assert (error["pointer"], error["code"], error["rule"]) == ("#/owner", "too-many-registrations", "two")
    assert world.post(server(2) | {"owner": OTHER_OWNER}, query=DRY).status == 200
    world.delete(first["registrationId"])
    world.deliver()
    world.registered(server(2))


def test_an_owner_makes_as_many_in_an_hour_as_the_policy_says_and_is_told_when_to_come_again() -> None:
    world = World(rules=[{"id": "hour", "kind": "registrations", "mostPerHour": 2}])
    world.clock.time = world.clock.time.replace(minute=20, second=0, microsecond=0)
    for number in range(2):
        assert world.post(server(number)).status == 202
    for query in (None, DRY):
        answer = world.post(server(2), query=query)
        assert (answer.status, code_of(answer), answer.headers["Retry-After"]) == (429, "too-many-per-hour", "2400")
        assert body_of(answer)["errors"][0]["rule"] == "hour"
    world.clock.time += timedelta(seconds=2400)
    assert world.post(server(2)).status == 202


def test_a_request_that_was_accepted_already_takes_no_second_place() -> None:
    world = World(rules=[{"id": "one", "kind": "registrations", "most": 1, "mostPerHour": 1}])
    for _ in range(3):
        assert world.post(server(0), key="k").status == 202


# --- a document that is broken ----------------------------------------------------------------------------------------


def test_a_broken_policy_refuses_what_is_new_and_lets_reading_go_on() -> None:
    world = World(rules=[])
    registration_id = world.registered(a_resource())["registrationId"]
    world.policy = b"{"
    world.services = world.new_process()
    for answer in (world.post(server(1)), world.post(server(1), query=DRY)):
        assert (answer.status, code_of(answer), answer.headers["Retry-After"]) == (503, "policy-broken", "60")
    for answer in changed(world, registration_id, {"displayName": "Another"}):
        assert (answer.status, code_of(answer)) == (503, "policy-broken")
    assert world.get(registration_id)["status"] == "active"
    assert len(world.list()["value"]) == 1
    assert world.delete(registration_id).status == 202
    world.deliver()
    world.policy = a_policy()
    world.clock.time += timedelta(minutes=1)
    world.registered(server(1))


# --- what a caller is told --------------------------------------------------------------------------------------------


def test_a_caller_is_told_what_holds_for_it_and_its_groups_and_who_sees_all_is_told_all() -> None:
    rules = [NAMES, FOR_ALICES_TEAM, {**REDIRECTS, "owners": {"include": [OTHER_TEAM]}}]
    world = World(settings=ENTRA, rules=rules)
    assert [each["id"] for each in shown(world, ALICE)["rules"]] == ["names", "servers"]
    assert [each["id"] for each in shown(world, MALLORY)["rules"]] == ["names", "redirects"]
    assert TEAM not in json.dumps(shown(world, MALLORY))
    assert [each["id"] for each in shown(world, MANAGER)["rules"]] == ["names", "servers", "redirects"]
    names = shown(world, ALICE)["rules"][0]
    assert names["owners"]["include"] == sorted([ALICE.object_id, TEAM])
    assert shown(world, ALICE)["exceptions"] == "Write to policy@contoso.example."
    assert [each["id"] for each in shown(World(rules=rules))["rules"]] == ["names", "servers", "redirects"]
    assert KEY_HOLDER.sees_all


# --- what is known only when the resource is resolved ----------------------------------------------------------------


def test_a_rule_may_name_all_managed_services_by_the_client_id_that_they_have_in_common_and_no_other_with_them() -> (
    None
):
    no = {"id": "no", "kind": "resources", "resources": {"include": ["*"], "exclude": [MANAGED_FHIR_CLIENT_ID]}}
    world = World(rules=[no], settings={"ALLOWED_RESOURCES": FOREIGN_URI})
    world.registered(a_resource())
    a_foreign_resource(world)
    assert world.post(a_service_client(resource=MANAGED, appRoles=[])).status == 403
    for body in (a_service_client(), a_service_client(resource=FOREIGN_URI, appRoles=["pay"])):
        world.registered(body)


def test_a_name_of_a_foreign_resource_that_entra_alone_knows_is_judged_in_the_run_and_in_a_dry_run() -> None:
    world = World(rules=[])
    foreign = a_foreign_resource(world)
    world.exchange(lambda services: replace(services, allowed_resources=listed(FOREIGN_URI)))
    no = {"id": "no", "kind": "resources", "resources": {"include": ["*"], "exclude": [foreign["appId"]]}}
    world.policy = a_policy(no)
    body = a_service_client(resource=FOREIGN_URI, appRoles=["pay"])
    assert code_of(world.post(body, query=DRY)) == "refused-by-policy"
    answer = world.post(body)
    assert answer.status == 202
    world.deliver()
    failure = failure_of(world, body_of(answer)["registrationId"])
    assert failure["code"] == "refused-by-policy"
    assert "The rule is no. Write to policy@contoso.example." in failure["remedy"]
    assert len(world.emulator.directory.records) == 1
