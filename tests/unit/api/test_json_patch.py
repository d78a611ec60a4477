"""JSON Patch of a registration: single entries of lists are changed, and what is not understood is refused."""

import json
from typing import Any

import pytest

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from tests.worlds.request_bodies import MARKER, a_confidential_client, a_resource, a_service_client
from tests.worlds.steps import body_in_entra, body_of, code_of
from tests.worlds.world import World

URIS = ["https://app.contoso.example/a", "https://app.contoso.example/b"]
TO_ADD = {"op": "add", "path": "/redirectUris/-", "value": "https://app.contoso.example/c"}


def patched(world: World, registration_id: str, *steps: Any, query: str = "", **headers: str) -> Answer:
    sent = {"content-type": "application/json-patch+json; charset=utf-8", **headers}
    path = f"/api/registrations/{registration_id}"
    call = Call(path, sent, query, json.dumps(steps).encode(), registration_id=registration_id, method="PATCH")
    answer = world.call(web.change_registration, call)
    world.deliver()
    return answer


@pytest.fixture
def world() -> World:
    """A world with a FHIR server."""
    world = World()
    world.registered(a_resource())
    return world


@pytest.fixture
def app(world: World) -> str:
    """A web application with two redirect URIs."""
    return str(world.registered(a_confidential_client(redirectUris=URIS, description="old"))["registrationId"])


@pytest.mark.parametrize(
    ("steps", "uris"),
    [
        ([TO_ADD], [*URIS, TO_ADD["value"]]),
        ([TO_ADD | {"path": "/redirectUris/0"}], [TO_ADD["value"], *URIS]),
        ([TO_ADD | {"path": "/redirectUris/2"}], [*URIS, TO_ADD["value"]]),
        ([{"op": "remove", "path": "/redirectUris/0"}], URIS[1:]),
        ([{"op": "replace", "path": "/redirectUris/1", "value": TO_ADD["value"]}], [URIS[0], TO_ADD["value"]]),
        ([{"op": "test", "path": "/redirectUris/0", "value": URIS[0]}, TO_ADD], [*URIS, TO_ADD["value"]]),
        ([{"op": "remove", "path": "/redirectUris/0"}, TO_ADD], [URIS[1], TO_ADD["value"]]),
    ],
)
def test_single_entries_of_a_list_are_changed(world: World, app: str, steps: Any, uris: list[str]) -> None:
    assert patched(world, app, *steps).status == 202
    assert body_in_entra(world, app)["web"]["redirectUris"] == uris
    assert world.get(app)["redirectUris"] == uris


def test_fields_and_parts_of_a_credential_are_changed_too(world: World, app: str) -> None:
    steps = [{"op": "remove", "path": "/description"}, {"op": "replace", "path": "/displayName", "value": "New"}]
    assert patched(world, app, *steps).status == 202
    assert (body_in_entra(world, app)["displayName"], body_in_entra(world, app)["description"]) == ("New", None)
    credential = {"type": "federated", "issuer": "https://token.example", "subjects": ["one"]}
    client = world.registered(a_service_client(credential=credential))["registrationId"]
    assert patched(world, client, {"op": "add", "path": "/credential/subjects/-", "value": "two"}).status == 202
    assert world.get(client)["credential"]["subjects"] == ["one", "two"]


@pytest.mark.parametrize(
    ("step", "pointer", "code"),
    [
        ({"op": "move", "path": "/a", "from": "/b"}, "#/0/op", "not-one-of"),
        ({"op": "copy", "path": "/a", "from": "/b"}, "#/0/op", "not-one-of"),
        ({"op": MARKER, "path": "/a"}, "#/0/op", "not-one-of"),
        ({"path": "/a", "value": 1}, "#/0/op", "not-one-of"),
        ({"op": "add", "path": "/description"}, "#/0/value", "required"),
        ({"op": "remove"}, "#/0/path", "required"),
        ({"op": "remove", "path": "/description", "value": 1}, "#/0", "field-not-allowed"),
        ({"op": "remove", "path": ""}, "#/0/path", "patch-path"),
        ({"op": "remove", "path": "description"}, "#/0/path", "patch-path"),
        ({"op": "remove", "path": "/~2"}, "#/0/path", "patch-path"),
        ({"op": "remove", "path": f"/{MARKER}"}, "#/0/path", "patch-path"),
        ({"op": "remove", "path": "/redirectUris/2"}, "#/0/path", "patch-path"),
        ({"op": "remove", "path": "/redirectUris/-"}, "#/0/path", "patch-path"),
        ({"op": "remove", "path": "/redirectUris/00"}, "#/0/path", "patch-path"),
        ({"op": "remove", "path": "/redirectUris/-1"}, "#/0/path", "patch-path"),
        ({"op": "add", "path": "/redirectUris/3", "value": "x"}, "#/0/path", "patch-path"),
        ({"op": "add", "path": "/displayName/0", "value": "x"}, "#/0/path", "patch-path"),
        (MARKER, "#/0", "wrong-type"),
        (
            {"op": "add", "path": "/redirectUris/-", "value": f"http://{MARKER}.example"},
            "#/redirectUris/2",
            "uri-not-https",
        ),
        ({"op": "add", "path": "/redirectUris/-", "value": URIS[0]}, "#/redirectUris/2", "uri-duplicate"),
        ({"op": "replace", "path": "/clientType", "value": "public"}, "#/clientType", "field-not-changeable"),
        ({"op": "add", "path": f"/{MARKER}", "value": 1}, f"#/{MARKER}", "field-not-changeable"),
        ({"op": "remove", "path": "/displayName"}, "#/displayName", "required"),
        ({"op": "replace", "path": "/redirectUris", "value": 1}, "#/redirectUris", "wrong-type"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(
    world: World, app: str, step: Any, pointer: str, code: str
) -> None:
    before = world.row(app).request
    answer = patched(world, app, step)
    assert answer.status == 400
    assert (pointer, code) in [(each["pointer"], each["code"]) for each in body_of(answer)["errors"]]
    assert MARKER not in answer.body.replace(f"#/{MARKER}", "")
    assert world.row(app).request == before


@pytest.mark.parametrize("body", [{"op": "add"}, [], "x"], ids=str)
def test_a_patch_is_an_array_of_operations(world: World, app: str, body: Any) -> None:
    call = Call(
        f"/api/registrations/{app}",
        {"content-type": "application/json-patch+json"},
        body=json.dumps(body).encode(),
        registration_id=app,
        method="PATCH",
    )
    answer = world.call(web.change_registration, call)
    assert [(each["pointer"], each["code"]) for each in body_of(answer)["errors"]] == [("#", "wrong-type")]


@pytest.mark.parametrize("value", [URIS[1], None, 0, [URIS[0]]])
def test_a_test_that_fails_changes_nothing(world: World, app: str, value: Any) -> None:
    answer = patched(world, app, TO_ADD, {"op": "test", "path": "/redirectUris/0", "value": value})
    assert (answer.status, code_of(answer)) == (409, "patch-test-failed")
    assert body_of(answer)["errors"][0]["pointer"] == "#/1/value"
    assert world.row(app).change == 0


def test_tests_alone_and_what_is_undone_again_change_nothing(world: World, app: str) -> None:
    row = world.row(app)
    steps = [{"op": "test", "path": "/autoRotate", "value": False}, TO_ADD, {"op": "remove", "path": "/redirectUris/2"}]
    for asked in (steps[:1], steps):
        answer = patched(world, app, *asked)
        assert (answer.status, answer.message) == (202, None)
    assert world.row(app) == row


def test_a_false_is_no_zero(world: World, app: str) -> None:
    assert patched(world, app, {"op": "test", "path": "/autoRotate", "value": 0}).status == 409


def test_an_object_is_tested_for_whatever_its_order_and_is_not_exchanged_for_what_is_none(world: World) -> None:
    credential = {"type": "federated", "issuer": "https://token.example", "subject": "one"}
    client = world.registered(a_service_client(credential=credential))["registrationId"]
    for value, status in ((dict(reversed(credential.items())), 202), ({**credential, "subject": "two"}, 409)):
        assert patched(world, client, {"op": "test", "path": "/credential", "value": value}).status == status
    for step in ({"op": "replace", "path": "/credential", "value": 1}, {"op": "remove", "path": "/credential"}):
        answer = patched(world, client, step)
        assert (answer.status, body_of(answer)["errors"][0]["pointer"]) == (400, "#/credential")


def test_a_dry_run_and_a_condition_hold_for_it_too(world: World, app: str) -> None:
    seen = body_of(patched(world, app, TO_ADD, query="dryRun=true"))
    assert seen["changes"] == [{"field": "redirectUris", "from": URIS, "to": [*URIS, TO_ADD["value"]]}]
    assert world.row(app).change == 0
    assert patched(world, app, TO_ADD, **{"if-match": '"another"'}).status == 412


def test_a_private_key_in_it_is_refused_before_all_else(world: World, app: str) -> None:
    key = "-----BEGIN PRIVATE KEY-----\nMIIE"
    for step in (
        {"op": "add", "path": f"/{MARKER}", "value": key},
        {"op": "no operation", "path": "/displayName", "value": key},
        {"op": "remove", "path": "/description", "value": key},
        {"op": "add", "path": "no pointer", "value": {"certificate": key}},
    ):
        answer = patched(world, app, step)
        assert [each["code"] for each in body_of(answer)["errors"]] == ["private-key"], step
