"""Who is let in: in every call, before anything else is done."""

import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dev.emulator import Fault
from provisioning.api import web
from provisioning.api.admit import OUR_HEADER
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.callers import Caller, Role
from tests.worlds.leaks import leaked
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.signed_in import (
    ALICE,
    BOT,
    CONFIGURATION,
    ENTRA,
    MALLORY,
    OTHER_TEAM,
    TEAM,
    claims_of,
    headers_of,
    principal_of,
    token_of,
)
from tests.worlds.world import World

LIST = Call("/api/registrations")


def listed(world: World, headers: dict[str, str], **parts: Any) -> Answer:
    return world.call(web.list_registrations, replace(LIST, headers=headers, **parts))


def post(world: World, caller: Caller, body: dict[str, Any], **headers: str) -> Answer:
    sent = {"content-type": "application/json", **headers_of(caller, world.emulator), **headers}
    call = Call("/api/registrations", sent, body=json.dumps(body).encode(), method="POST")
    return world.call(web.submit_registration, call)


def fetched(world: World) -> int:
    return sum(each.operation == "token.keys" for each in world.emulator.calls)


def code_of(answer: Answer) -> str:
    return str(json.loads(answer.body)["code"])


def test_whom_the_platform_names_is_let_in_with_a_token_or_a_session() -> None:
    world = World(settings=ENTRA)
    for headers in (headers_of(ALICE), headers_of(ALICE, world.emulator)):
        assert listed(world, headers).status == 200


@pytest.mark.parametrize("name", sorted(web.CALLS))
def test_a_call_without_a_principal_is_refused_whatever_else_it_brings(name: str) -> None:
    world = World(settings=ENTRA)
    token = {"authorization": f"Bearer {token_of(world.emulator, claims_of(ALICE))}"}
    for headers in ({}, token, {"x-functions-key": "k"}, {"x-ms-client-principal-id": ALICE.object_id}):
        answer = world.call(web.CALLS[name], Call("/api/registrations/x", headers, registration_id="x"))
        assert (answer.status, code_of(answer)) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "settings",
    [
        {"WEBSITE_AUTH_ENABLED": "False"},
        {"WEBSITE_AUTH_ENABLED": ""},
        {"WEBSITE_AUTH_V2_CONFIG_JSON": ""},
        {"WEBSITE_AUTH_V2_CONFIG_JSON": json.dumps(CONFIGURATION | {"globalValidation": {}})},
        {"WEBSITE_AUTH_USE_LEGACY_CLAIMS": "true"},
    ],
    ids=str,
)
@pytest.mark.parametrize("name", sorted(web.CALLS))
def test_a_forged_principal_is_refused_where_the_platform_does_not_vouch_for_it(
    name: str, settings: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    world = World(settings=ENTRA | settings)
    with caplog.at_level(logging.ERROR):
        call = Call("/api/registrations/x", headers_of(ALICE, world.emulator), registration_id="x")
        answer = world.call(web.CALLS[name], call)
    assert (answer.status, code_of(answer)) == (401, "unauthenticated")


def test_the_log_names_the_setting_that_is_wrong_once(caplog: pytest.LogCaptureFixture) -> None:
    broken = json.dumps(CONFIGURATION | {"platform": {"enabled": "no"}, "globalValidation": {"excludedPaths": ["/x"]}})
    world = World(settings=ENTRA | {"WEBSITE_AUTH_V2_CONFIG_JSON": broken})
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            assert listed(world, headers_of(ALICE)).status == 401
    assert [record.getMessage() for record in caplog.records if "platform.enabled" in record.getMessage()] != []
    assert len([record for record in caplog.records if "platform.enabled" in record.getMessage()]) == 1


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "00000003-0000-0000-c000-000000000000"},
        {"iss": "https://login.microsoftonline.com/other/v2.0"},
        {"exp": 1},
        {"nbf": 9_999_999_999},
        {"oid": MALLORY.object_id},
        {"roles": [Role.MANAGE_ALL]},
        {"tid": "bbbbbbbb-0000-4000-8000-000000000009"},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_api_and_this_caller_is_refused(changes: dict[str, Any]) -> None:
    world = World(settings=ENTRA)
    headers = headers_of(ALICE)
    # The issuing side adds the times itself; what is given here comes last.
    content = claims_of(ALICE) | changes
    token = token_of(world.emulator, content) if not changes.keys() & {"exp", "nbf"} else _timed(world, content)
    answer = listed(world, headers | {"authorization": f"Bearer {token}"})
    assert (answer.status, code_of(answer)) == (401, "unauthenticated")


def _timed(world: World, claims: dict[str, Any]) -> str:
    """A token that is over, or not valid yet: issued at another time."""
    before = world.clock.time
    world.clock.time += timedelta(days=-30 if "exp" in claims else 30)
    token = token_of(world.emulator, {name: value for name, value in claims.items() if name not in ("exp", "nbf")})
    world.clock.time = before
    return token


@pytest.mark.parametrize("token", ["", "x", "a.b.c", "e30.e30.", "eyJhbGciOiJub25lIn0.e30."])
@pytest.mark.parametrize("scheme", ["Bearer", "bearer", "Basic", "SharedKey"])
def test_what_is_no_token_is_refused_and_never_ignored(scheme: str, token: str) -> None:
    world = World(settings=ENTRA)
    assert listed(world, headers_of(ALICE) | {"authorization": f"{scheme} {token}"}).status == 401


def test_a_forged_signature_is_refused() -> None:
    world = World(settings=ENTRA)
    token = token_of(world.emulator, claims_of(ALICE))
    head, body, signature = token.split(".")
    for forged in (f"{head}.{body}.{signature[::-1]}", f"{head}.{body}x.{signature}", f"{head}.{body}."):
        assert listed(world, headers_of(ALICE) | {"authorization": f"Bearer {forged}"}).status == 401


def test_the_keys_are_fetched_once_and_again_for_a_key_that_is_new_but_not_at_every_call() -> None:
    world = World(settings=ENTRA)
    for _ in range(5):
        assert listed(world, headers_of(ALICE, world.emulator)).status == 200
    assert fetched(world) == 1
    unknown = "eyJhbGciOiJSUzI1NiIsImtpZCI6IngifQ.e30.e30"
    for _ in range(5):
        assert listed(world, headers_of(ALICE) | {"authorization": f"Bearer {unknown}"}).status == 401
    assert fetched(world) == 1
    world.clock.time += timedelta(minutes=2)
    for _ in range(5):
        assert listed(world, headers_of(ALICE) | {"authorization": f"Bearer {unknown}"}).status == 401
    assert fetched(world) == 2


def test_keys_that_cannot_be_read_are_no_refusal() -> None:
    world = World(settings=ENTRA)
    world.emulator.faults.add(Fault("status", operation="token.keys", status=503))
    answer = listed(world, headers_of(ALICE, world.emulator))
    assert (answer.status, code_of(answer)) == (503, "signing-keys-unavailable")
    world.clock.time += timedelta(seconds=1)
    assert listed(world, headers_of(ALICE, world.emulator)).status == 200


def test_no_log_line_at_any_level_holds_a_token_or_a_principal_of_a_caller(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world = World(settings=ENTRA)
    post(world, ALICE, a_resource(owner=TEAM))
    world.deliver()
    headers = headers_of(ALICE, world.emulator)
    for changes in ({}, {"authorization": headers["authorization"][:-3]}, {"x-ms-client-principal": "e30="}):
        listed(world, headers | changes)
    world.emulator.faults.add(Fault("status", operation="token.keys", status=503))
    world.clock.time += timedelta(days=2)
    listed(world, headers_of(ALICE, world.emulator))
    assert caplog.records
    assert not leaked(caplog.text)
    assert headers["x-ms-client-principal"] not in caplog.text


# --- the session of a browser ---------------------------------------------------------------------------------------

OWN_PAGE = {"host": "registrar.example", "origin": "https://registrar.example", OUR_HEADER: "1"}


def test_the_services_own_page_writes_with_the_session_of_a_person() -> None:
    world = World(settings=ENTRA)
    own = OWN_PAGE | {"origin": "https://REGISTRAR.example"}
    headers = {"content-type": "application/json", **headers_of(ALICE), **own}
    body = json.dumps(a_resource(owner=ALICE.object_id)).encode()
    assert (
        world.call(web.submit_registration, Call("/api/registrations", headers, body=body, method="POST")).status == 202
    )


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {OUR_HEADER: "1"},
        {"origin": "https://registrar.example"},
        OWN_PAGE | {"origin": "https://evil.example"},
        OWN_PAGE | {"origin": "null"},
        OWN_PAGE | {"origin": "https://registrar.example.evil.example"},
    ],
    ids=str,
)
def test_a_foreign_page_cannot_write_with_the_session_of_a_person(headers: dict[str, str]) -> None:
    world = World(settings=ENTRA)
    call = Call(
        "/api/registrations",
        {"content-type": "application/json", "host": "registrar.example", **headers_of(ALICE), **headers},
        body=json.dumps(a_resource(owner=ALICE.object_id)).encode(),
        method="POST",
    )
    answer = world.call(web.submit_registration, call)
    assert (answer.status, code_of(answer)) == (403, "foreign-page")
    own = replace(call, headers={**call.headers, **OWN_PAGE})
    assert world.call(web.submit_registration, own).status == 202


# --- whose ----------------------------------------------------------------------------------------------------------


def test_a_caller_registers_for_itself_and_for_its_groups_and_for_nobody_else() -> None:
    world = World(settings=ENTRA)
    urls = (f"https://{name}.contoso.example" for name in "abcdef")
    assert post(world, ALICE, a_resource(owner=ALICE.object_id, fhirServerUrl=next(urls))).status == 202
    assert post(world, ALICE, a_resource(owner=TEAM.upper(), fhirServerUrl=next(urls))).status == 202
    answer = post(world, ALICE, a_resource(owner=OTHER_TEAM, fhirServerUrl=next(urls)))
    assert (answer.status, code_of(answer)) == (403, "owner-not-yours")
    manager = replace(ALICE, roles=frozenset({Role.MANAGE_ALL}))
    assert post(world, manager, a_resource(owner=OTHER_TEAM, fhirServerUrl=next(urls))).status == 202


def test_a_caller_without_the_role_registers_nothing_not_even_in_a_dry_run() -> None:
    world = World(settings=ENTRA)
    reader = replace(ALICE, roles=frozenset({Role.READ_ALL, Role.APPROVE}))
    answer = post(world, reader, a_resource(owner=ALICE.object_id))
    assert (answer.status, code_of(answer)) == (403, "role-required")


def test_who_may_read_everything_may_change_nothing_of_another() -> None:
    world = World(settings=ENTRA)
    created = post(world, ALICE, a_resource(owner=TEAM))
    registration_id = json.loads(created.body)["registrationId"]
    reader = replace(MALLORY, roles=frozenset({Role.READ_ALL}))
    call = Call(
        f"/api/registrations/{registration_id}", headers_of(reader, world.emulator), registration_id=registration_id
    )
    assert world.call(web.show_registration, call).status == 200
    answer = world.call(web.delete_registration, replace(call, method="DELETE"))
    assert (answer.status, code_of(answer)) == (403, "not-the-owner")


def test_an_owner_gives_a_registration_to_a_group_of_its_own_and_a_manager_to_anybody() -> None:
    world = World(settings=ENTRA)
    registration_id = json.loads(post(world, ALICE, a_resource(owner=ALICE.object_id)).body)["registrationId"]
    world.deliver()
    assert code_of(give(world, ALICE, registration_id, OTHER_TEAM)) == "owner-not-yours"
    assert give(world, ALICE, registration_id, TEAM).status == 202
    world.deliver()
    assert owned_by(world, registration_id) == TEAM
    manager = replace(MALLORY, roles=frozenset({Role.MANAGE_ALL}), groups=frozenset())
    assert give(world, manager, registration_id, OTHER_TEAM).status == 202
    world.deliver()
    assert owned_by(world, registration_id) == OTHER_TEAM
    for caller, seen in ((ALICE, []), (MALLORY, [registration_id])):
        page = json.loads(listed(world, headers_of(caller, world.emulator)).body)
        assert [each["registrationId"] for each in page["value"]] == seen


def give(world: World, caller: Caller, registration_id: str, owner: str) -> Answer:
    headers = {"content-type": "application/json", **headers_of(caller, world.emulator)}
    path = f"/api/registrations/{registration_id}"
    call = Call(path, headers, body=json.dumps({"owner": owner}).encode(), registration_id=registration_id)
    return world.call(web.change_registration, replace(call, method="PATCH"))


def owned_by(world: World, registration_id: str) -> str:
    """Whose it is, as the row and the application in Entra say alike."""
    row = world.row(registration_id)
    application = world.emulator.directory.application(app_id=row.client_id or "")
    assert application is not None
    assert f"fhir-registrar:owner={row.request.owner}" in application.last_body["tags"]
    return row.request.owner


def test_a_bot_acts_for_a_person_and_both_are_recorded() -> None:
    world = World(settings=ENTRA)
    created = post(world, BOT, a_resource(owner=ALICE.object_id), **{"on-behalf-of": ALICE.object_id})
    assert created.status == 202
    row = world.row(json.loads(created.body)["registrationId"])
    assert (row.caller, row.via) == (ALICE.object_id, BOT.object_id)
    refused = post(world, BOT, a_service_client(owner=TEAM), **{"on-behalf-of": ALICE.object_id})
    assert code_of(refused) == "owner-not-yours"


def test_with_function_keys_no_header_makes_somebody_else_of_the_caller() -> None:
    world = World()
    headers = {"content-type": "application/json", **headers_of(ALICE)}
    call = Call("/api/registrations", headers, body=json.dumps(a_resource()).encode(), method="POST")
    row = world.row(json.loads(world.call(web.submit_registration, call).body)["registrationId"])
    assert (row.caller, row.via) == ("function-key", None)
    answer = listed(world, {"on-behalf-of": ALICE.object_id})
    assert (answer.status, code_of(answer)) == (403, "on-behalf-not-allowed")


def test_a_principal_of_another_tenant_is_nobody() -> None:
    world = World(settings=ENTRA)
    header = principal_of(claims_of(ALICE, tid="bbbbbbbb-0000-4000-8000-000000000009"))
    assert listed(world, {"x-ms-client-principal": header}).status == 401
