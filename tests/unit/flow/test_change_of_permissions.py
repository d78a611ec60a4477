"""What a client asks of its resource changes, and what it holds with it: what was agreed to, and nothing beyond."""

import json
from dataclasses import replace
from typing import Any

import pytest

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.callers import Caller
from provisioning.flow.grant import RUNS_END_WITHIN
from tests.unit.flow.test_grants import a_server_of_others, a_world, grants, owner_says, preauthorized, roles
from tests.worlds.checker import check
from tests.worlds.request_bodies import (
    MANAGED,
    a_confidential_client,
    a_public_client,
    a_resource,
    a_service_client,
)
from tests.worlds.signed_in import ALICE, MALLORY, TEAM, headers_of
from tests.worlds.steps import body_in_entra, body_of
from tests.worlds.world import World

SCOPES = ["user_impersonation", "patient.Patient.rs"]


def changed(world: World, registration_id: str, body: Any, caller: Caller | None = None, query: str = "") -> Answer:
    headers = {"content-type": "application/json"} | (headers_of(caller, world.emulator) if caller else {})
    path = f"/api/registrations/{registration_id}"
    call = Call(path, headers, query, json.dumps(body).encode(), registration_id=registration_id, method="PATCH")
    answer = world.call(web.change_registration, call)
    world.deliver()
    return answer


def declared(world: World, registration_id: str) -> dict[str, list[str]]:
    """What the application asks for in Entra: ids, by the client id of the resource."""
    entries = body_in_entra(world, registration_id)["requiredResourceAccess"]
    return {each["resourceAppId"]: [access["id"] for access in each["resourceAccess"]] for each in entries}


def test_app_roles_are_declared_granted_and_taken_back_as_they_are_changed() -> None:
    world, server = a_world()
    client = world.registered(a_service_client())["registrationId"]
    api = world.row(server).client_id or ""
    for names in (["globalReader", "globalExporter"], ["globalExporter"], ["globalReader"], []):
        assert changed(world, client, {"appRoles": names}).status == 202
        row = world.row(client)
        assert row.operation.failure is None
        assert declared(world, client).get(api, []) == [each.id for each in row.declared]
        assert [each.value for each in row.declared] == names
        assert grants(world, client) == [(name, "granted", None) for name in names]
        assert sorted(roles(world, client)) == sorted(names)
    world.settle()
    check(world)


@pytest.mark.parametrize("body", [a_confidential_client, a_public_client])
def test_scopes_are_declared_and_pre_authorised_as_they_are_changed(body: Any) -> None:
    world = World(settings={"GRANTS": "on"})
    server = world.registered(a_resource(scopes=SCOPES))["registrationId"]
    client = world.registered(body())
    api = world.row(server).client_id or ""
    for names in (SCOPES, [SCOPES[1], "openid"], None):
        assert changed(world, client["registrationId"], {"scopes": names}).status == 202
        row = world.row(client["registrationId"])
        ids = [each.id for each in row.declared]
        assert declared(world, row.id)[api] == ids
        assert len(declared(world, row.id)) == (2 if names and "openid" in names else 1)
        assert preauthorized(world, server) == {client["clientId"]: sorted(ids)}
    assert [each.value for each in world.row(client["registrationId"]).declared] == SCOPES[:1]
    check(world)


def test_what_a_client_of_anothers_server_asks_for_anew_waits_for_that_owner_and_the_rest_is_held() -> None:
    world, server, client = a_server_of_others()
    owner_says(world, "approve", server, client, ALICE, permissions=["globalReader"])
    assert changed(world, client, {"appRoles": ["globalReader", "globalExporter"]}, MALLORY).status == 202
    assert roles(world, client) == ["globalReader"]
    waiting = [(each.permission, each.state, each.waits_for) for each in world.row(client).grants]
    assert waiting == [("globalReader", "granted", None), ("globalExporter", "waits", "resource-owner")]
    both = ["globalReader", "globalExporter"]
    assert owner_says(world, "approve", server, client, ALICE, permissions=both).status == 202
    assert sorted(roles(world, client)) == sorted(both)


def test_what_a_client_gave_up_is_agreed_to_anew_before_it_is_held_again() -> None:
    world, server, client = a_server_of_others()
    owner_says(world, "approve", server, client, ALICE, permissions=["globalReader"])
    for names in ([], ["globalReader"]):
        assert changed(world, client, {"appRoles": names}, MALLORY).status == 202
        assert roles(world, client) == []
    assert [each.waits_for for each in world.row(client).grants] == ["resource-owner"]


def test_what_was_given_up_is_compared_once_more_when_no_run_is_left_that_may_not_know_of_it() -> None:
    world, server = a_world()
    client = world.registered(a_service_client())["registrationId"]
    row, resource = world.row(client), world.row(server)
    changed(world, client, {"appRoles": []})
    [role] = row.declared
    world.services.app_roles.assign(  # by a run that stalled since before
        resource.service_principal_id or "", row.service_principal_id or "", role.id, f"fhir-registrar:id={server}"
    )
    world.settle()
    world.clock.sleep(RUNS_END_WITHIN.total_seconds() + 1)
    world.plan()
    world.settle()
    assert roles(world, client) == []


def test_without_grants_what_is_asked_for_is_declared_as_it_is_changed() -> None:
    world = World()
    world.registered(a_resource())
    client = world.registered(a_service_client())["registrationId"]
    changed(world, client, {"appRoles": ["globalExporter"]})
    assert grants(world, client) == [("globalExporter", "declared", None)]
    assert [each["code"] for each in world.get(client)["nextSteps"]] == ["grant-app-role", "grant-vault-read"]
    assert roles(world, client) == []


@pytest.mark.parametrize(
    ("body", "change", "pointer", "code"),
    [
        (a_service_client(), {"appRoles": ["globalReader", "none"]}, "#/appRoles/1", "app-role-not-found"),
        (a_public_client(), {"scopes": ["none"]}, "#/scopes/0", "scope-not-found"),
        (a_public_client(), {"scopes": ["openid"]}, "#/scopes", "scope-required"),
        (a_public_client(resource=MANAGED), {"scopes": ["none"]}, "#/scopes/0", "scope-not-found"),
        (a_service_client(resource=MANAGED, appRoles=[]), {"appRoles": ["x"]}, "#/appRoles", "app-role-not-found"),
    ],
)
def test_what_the_resource_does_not_have_is_refused_at_once_by_name(
    body: Any, change: Any, pointer: str, code: str
) -> None:
    world = World()
    world.registered(a_resource())
    client = world.registered(body)["registrationId"]
    before = world.row(client)
    answer = changed(world, client, change)
    assert (answer.status, body_of(answer)["code"]) == (400, code)
    [fault] = body_of(answer)["errors"]
    assert (fault["pointer"], fault["code"]) == (pointer, code)
    assert replace(world.row(client), etag=before.etag, events=before.events) == before


def test_a_permission_that_somebody_declared_by_hand_stays_beside_those_that_are_changed() -> None:
    world = World()
    server = world.registered(a_resource())["registrationId"]
    client = world.registered(a_service_client())["registrationId"]
    api, row = world.row(server).client_id or "", world.row(client)
    by_hand = {"id": "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "type": "Scope"}
    own = [{"id": each.id, "type": "Role"} for each in row.declared]
    asked = [
        {"resourceAppId": api, "resourceAccess": own},
        {"resourceAppId": "00000003-0000-0000-c000-000000000000", "resourceAccess": [by_hand]},
    ]
    world.services.directory.update_application(row.application_object_id or "", {"requiredResourceAccess": asked})
    changed(world, client, {"appRoles": ["globalExporter"]})
    [role] = world.row(client).declared
    assert declared(world, client) == {api: [role.id], "00000003-0000-0000-c000-000000000000": [by_hand["id"]]}


def test_the_owner_who_approves_a_change_agrees_to_what_it_asks_for() -> None:
    rule = {
        "id": "exports",
        "kind": "appRoles",
        "appRoles": {"include": ["globalReader"]},
        "approval": "resourceOwner",
    }
    world, server, client = a_server_of_others(rules=[rule])
    owner_says(world, "approve", server, client, ALICE, permissions=["globalReader"])
    both = ["globalReader", "globalExporter"]
    assert changed(world, client, {"appRoles": both}, MALLORY).status == 202
    assert world.row(client).awaits_approval
    assert roles(world, client) == ["globalReader"]
    headers = {"content-type": "application/json"} | headers_of(ALICE, world.emulator)
    body = json.dumps({"digest": world.row(client).asked_digest}).encode()
    call = Call(f"/api/registrations/{client}/approve", headers, body=body, registration_id=client, method="POST")
    assert world.call(web.approve_registration, call).status == 202
    world.settle()
    assert sorted(roles(world, client)) == sorted(both)
    assert world.row(server).request.owner == TEAM


def test_the_secret_life_and_the_reference_are_changed() -> None:
    world = World()
    world.registered(a_resource())
    web_app = world.registered(a_confidential_client())
    assert web_app["secret"]["rotatesAt"] is None
    row = world.row(web_app["registrationId"])
    body = {"autoRotate": True, "secretLifetime": "P90D", "serviceManagementReference": "SVC-1"}
    assert changed(world, row.id, body).status == 202
    shown = world.get(row.id)
    assert shown["secret"]["rotatesAt"] is not None
    assert shown["secret"]["expiresAt"] == web_app["secret"]["expiresAt"]
    assert body_in_entra(world, row.id)["serviceManagementReference"] == "SVC-1"
    notes = json.loads(body_in_entra(world, row.id)["notes"])
    assert (notes["secretLifetime"], notes["autoRotate"]) == ("P90D", True)
    world.rotate(row.id)
    world.settle()
    left = world.row(row.id).secret
    assert left is not None
    assert left.expires_at is not None
    assert (left.expires_at - world.clock.now()).days in (89, 90)
    assert changed(world, row.id, {"serviceManagementReference": None, "autoRotate": None}).status == 202
    assert body_in_entra(world, row.id)["serviceManagementReference"] is None
    assert world.get(row.id)["secret"]["rotatesAt"] is None


def test_a_life_of_secrets_that_is_out_of_range_is_refused() -> None:
    world = World()
    world.registered(a_resource())
    client = world.registered(a_service_client())["registrationId"]
    for life, code in (("P9000D", "secret-lifetime-out-of-range"), ("x", "not-a-duration")):
        answer = changed(world, client, {"secretLifetime": life})
        assert (answer.status, body_of(answer)["errors"][0]["code"]) == (400, code)


def test_whoever_asks_for_less_is_warned_where_nobody_agreed_and_nothing_is_granted_too() -> None:
    world = World()
    world.registered(a_resource())
    client = world.registered(a_service_client())["registrationId"]
    world.registry.replace(replace(world.row(client), agreement=None))
    seen = body_of(changed(world, client, {"appRoles": ["globalExporter"]}, query="dryRun=true"))
    assert [each.state for each in world.row(client).grants] == ["declared"]
    assert [each["code"] for each in seen["warnings"]] == ["permissions-end"]


def test_a_dry_run_shows_each_field_and_what_entra_would_be_told_and_does_nothing() -> None:
    world, server = a_world()
    client = world.registered(a_service_client())["registrationId"]
    row, calls = world.row(client), len(world.emulator.calls)
    answer = changed(world, client, {"appRoles": ["globalExporter"], "secretLifetime": "P90D"}, query="dryRun=true")
    seen = body_of(answer)
    assert answer.status == 200
    assert sorted((each["field"], str(each["from"]), str(each["to"])) for each in seen["changes"]) == [
        ("appRoles", "['globalReader']", "['globalExporter']"),
        ("secretLifetime", "None", "P90D"),
    ]
    [entry] = seen["application"]["requiredResourceAccess"]
    assert entry["resourceAppId"] == world.row(server).client_id
    assert [each["code"] for each in seen["warnings"]] == ["permissions-end", "secret-in-use-keeps-its-end"]
    assert (world.row(client), len(world.emulator.calls)) == (row, calls)
    warned = body_of(changed(world, client, {"appRoles": []}, query="dryRun=true"))["warnings"]
    assert "no-app-roles" in [each["code"] for each in warned]
