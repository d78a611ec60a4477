"""What a resource offers is added to, and taken away in Entra's order; nobody loses what a live client asks for."""

from dataclasses import replace
from typing import Any

import pytest

from dev.emulator import Fault
from tests.unit.flow.test_change_of_permissions import changed
from tests.worlds.checker import check
from tests.worlds.request_bodies import a_public_client, a_resource, a_service_client
from tests.worlds.steps import body_in_entra, body_of, code_of, operations
from tests.worlds.world import World

SCOPES = ["user_impersonation", "patient.Patient.rs"]


@pytest.fixture
def world() -> World:
    """A world without a FHIR server."""
    return World()


def offers(world: World, server: str) -> tuple[dict[str, str], dict[str, str]]:
    """The ids of the enabled scopes and app roles of a resource in Entra, by name."""
    body = body_in_entra(world, server)
    lists = body["api"]["oauth2PermissionScopes"], body["appRoles"]
    return tuple({one["value"]: one["id"] for one in each if one["isEnabled"]} for each in lists)  # type: ignore[return-value]


def a_server(world: World, **fields: Any) -> str:
    return str(
        world.registered(a_resource(scopes=SCOPES, appRoles=["globalReader", "globalExporter"], **fields))[
            "registrationId"
        ]
    )


def test_scopes_and_app_roles_are_added_and_those_that_stay_keep_their_ids(world: World) -> None:
    server = a_server(world)
    before = offers(world, server)
    body = {"scopes": [*SCOPES, "fhirUser"], "appRoles": ["globalReader", "globalExporter", "globalAdmin"]}
    calls = operations(world)
    assert changed(world, server, body).status == 202
    after = offers(world, server)
    assert [list(each) for each in after] == [body["scopes"], body["appRoles"]]
    assert all(new | old == new for old, new in zip(before, after, strict=True))
    assert operations(world) - calls == {"graph.readApplication": 1, "graph.updateApplication": 1}
    client = world.registered(a_service_client(appRoles=["globalAdmin"]))
    assert client["grants"][0]["permission"] == "globalAdmin"
    check(world)


def test_what_nobody_asks_for_is_disabled_and_then_taken_away(world: World) -> None:
    server = a_server(world)
    client = world.registered(a_service_client())["registrationId"]
    calls = operations(world)
    assert changed(world, server, {"scopes": SCOPES[:1], "appRoles": ["globalReader"]}).status == 202
    assert [list(each) for each in offers(world, server)] == [SCOPES[:1], ["globalReader"]]
    assert len(body_in_entra(world, server)["appRoles"]) == 1
    assert (operations(world) - calls)["graph.updateApplication"] == 2
    assert world.row(client).declared[0].id in offers(world, server)[1].values()
    check(world)


def test_what_a_live_client_asks_for_is_refused_until_the_client_asks_no_more(world: World) -> None:
    server = a_server(world)
    service = world.registered(a_service_client())["registrationId"]
    public = world.registered(a_public_client(scopes=SCOPES[1:]))["registrationId"]
    before = world.row(server)
    for body, field in (({"appRoles": ["globalExporter"]}, "appRoles"), ({"scopes": SCOPES[:1]}, "scopes")):
        answer = changed(world, server, body)
        assert (answer.status, code_of(answer)) == (409, "permission-in-use")
        assert [each["pointer"] for each in body_of(answer)["errors"]] == [f"#/{field}"]
        assert replace(world.row(server), etag=before.etag, events=before.events) == before
    assert changed(world, service, {"appRoles": []}).status == 202
    world.delete(public)
    world.settle()
    for body in ({"appRoles": ["globalExporter"]}, {"scopes": SCOPES[:1]}):
        assert changed(world, server, body).status == 202
    assert [list(each) for each in offers(world, server)] == [SCOPES[:1], ["globalExporter"]]


def test_a_client_that_came_between_keeps_what_it_asks_for_and_the_change_says_why_it_failed(world: World) -> None:
    server = a_server(world)
    client = world.row(world.registered(a_service_client())["registrationId"])
    assert client.resource is not None
    changed(world, client.id, {"appRoles": []})
    world.change(server, {"appRoles": ["globalExporter"]})
    world.registry.replace(replace(world.row(client.id), resource=client.resource))  # by a run that came between
    world.deliver()
    failure = world.row(server).operation.failure
    assert failure is not None
    assert failure.code == "permission-in-use"
    assert list(offers(world, server)[1]) == ["globalReader", "globalExporter"]
    world.reconcile()
    assert [each["code"] for each in world.get(server)["findings"]] == ["permission-in-use"]
    world.registry.replace(replace(world.row(client.id), resource=replace(client.resource, app_roles=())))
    world.reconcile()
    assert list(offers(world, server)[1]) == ["globalExporter"]
    assert world.get(server)["findings"] == []


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("skip", [0, 1])
def test_an_answer_that_is_lost_between_the_two_writes_is_made_up_for(world: World, when: Any, skip: int) -> None:
    server = a_server(world)
    world.emulator.faults.add(Fault("reset", "graph.updateApplication", when=when, skip=skip))
    changed(world, server, {"appRoles": ["globalReader"]})
    world.settle()
    assert world.row(server).operation.failure is None
    assert [each["value"] for each in body_in_entra(world, server)["appRoles"]] == ["globalReader"]


def test_the_texts_of_scopes_and_app_roles_follow_the_name(world: World) -> None:
    server = a_server(world)
    ids = offers(world, server)
    seen = body_of(changed(world, server, {"displayName": "Cardiology"}, query="dryRun=true"))
    assert [each["code"] for each in seen["warnings"]] == ["permissions-pause"]
    assert changed(world, server, {"displayName": "Cardiology"}).status == 202
    body = body_in_entra(world, server)
    texts = [each["adminConsentDescription"] for each in body["api"]["oauth2PermissionScopes"]]
    texts += [each["description"] for each in body["appRoles"]]
    assert all("Cardiology" in each for each in texts)
    assert offers(world, server) == ids


def test_texts_that_somebody_wrote_in_entra_stay_until_the_name_is_changed(world: World) -> None:
    server = a_server(world)
    object_id, roles = world.row(server).application_object_id or "", body_in_entra(world, server)["appRoles"]
    off = [{**each, "isEnabled": False} for each in roles]
    on = [{**each, "description": "Reads everything"} for each in roles]
    for each in (off, on):
        world.services.directory.update_application(object_id, {"appRoles": each})
    changed(world, server, {"scopes": [*SCOPES, "fhirUser"]})
    assert {each["description"] for each in body_in_entra(world, server)["appRoles"]} == {"Reads everything"}


def test_a_role_that_becomes_a_scope_too_has_one_id_and_equal_texts(world: World) -> None:
    server = a_server(world)
    assert changed(world, server, {"appRoles": ["globalReader", "globalExporter", SCOPES[1]]}).status == 202
    assert world.row(server).operation.failure is None
    scopes, roles = offers(world, server)
    assert roles[SCOPES[1]] == scopes[SCOPES[1]]
    assert changed(world, server, {"scopes": [*SCOPES, "globalReader"]}).status == 202
    scopes, roles = offers(world, server)
    assert roles["globalReader"] == scopes["globalReader"]
    assert changed(world, server, {"scopes": SCOPES[:1]}).status == 202
    assert world.row(server).operation.failure is None
    assert SCOPES[1] in offers(world, server)[1]
    check(world)


def test_names_are_judged_together_whichever_of_them_is_changed(world: World) -> None:
    server = a_server(world)
    answer = changed(world, server, {"scopes": [*SCOPES, "GlobalReader"]})
    assert [(each["pointer"], each["code"]) for each in body_of(answer)["errors"]] == [
        ("#/appRoles/0", "role-named-as-scope")
    ]
    answer = changed(world, server, {"scopes": ["patient/x"]})
    assert [each["code"] for each in body_of(answer)["errors"]] == ["smart-scope-slash"]


def test_what_somebody_added_by_hand_stays(world: World) -> None:
    server = a_server(world)
    object_id, roles = world.row(server).application_object_id or "", body_in_entra(world, server)["appRoles"]
    by_hand = {**roles[0], "id": "99999999-0000-4000-8000-000000000001", "value": "byHand", "displayName": "By hand"}
    world.services.directory.update_application(object_id, {"appRoles": [*roles, by_hand]})
    changed(world, server, {"appRoles": ["globalReader"]})
    assert list(offers(world, server)[1]) == ["globalReader", "byHand"]


def test_a_client_waits_while_what_its_server_offers_is_changed(world: World) -> None:
    server = a_server(world)
    world.emulator.faults.add(Fault("status", "graph.updateApplication", status=503, times=None))
    world.change(server, {"appRoles": ["globalReader", "globalAdmin"]})
    world.deliver()
    answer = world.post(a_service_client(appRoles=["globalAdmin"]))
    assert answer.status == 202
    world.deliver()
    client = body_of(answer)["registrationId"]
    assert world.row(client).application_object_id is None
    world.emulator.faults.clear()
    world.settle()
    assert world.get(client)["status"] == "active"
    check(world)
