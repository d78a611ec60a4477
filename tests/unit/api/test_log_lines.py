"""No caller writes the log, or an event in another's name: nothing that is sent is part of a line or makes one."""

import base64
import json
import logging

import pytest

from provisioning.api import web
from provisioning.api.calls import Call
from tests.worlds.request_bodies import MANAGED, MARKER, a_service_client
from tests.worlds.signed_in import ALICE, BOT, ENTRA, MALLORY, TEAM, claims_of, headers_of, principal_of
from tests.worlds.world import World

FORGED = f"{MARKER}\nERROR registration 00000000: all is lost\r\x1b[2J\u2028"


@pytest.mark.parametrize("name", sorted(web.CALLS))
def test_nothing_that_a_caller_sends_is_in_a_line_of_the_log(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World(settings=ENTRA)
    good = {"content-type": "application/json", **headers_of(MALLORY, world.emulator)}
    named = principal_of(claims_of(MALLORY) | {"name": FORGED, "preferred_username": FORGED})
    bot = headers_of(BOT, world.emulator)
    body = json.dumps(a_service_client(displayName=FORGED, **{FORGED: FORGED})).encode()
    calls = [
        Call("/api/registrations", good, body=body, registration_id=FORGED, method="POST"),
        Call(f"/api/registrations/{FORGED}", good, f"{FORGED}={FORGED}&dryRun={FORGED}", body, "x", "POST"),
        *(
            Call("/api/registrations", good | {header: FORGED}, body=body, registration_id="x", method="POST")
            for header in ("authorization", "idempotency-key", "if-match", "on-behalf-of", "traceparent", "origin")
        ),
        Call("/api/registrations", bot | {"on-behalf-of": FORGED}, registration_id="x"),
        Call("/api/registrations", {"x-ms-client-principal": named}, registration_id="x"),
        Call("/api/registrations", {"x-ms-client-principal": base64.b64encode(FORGED.encode()).decode()}),
        Call("/api/registrations", good, body=FORGED.encode(), registration_id="x", method="POST"),
    ]
    for call in calls:
        told = world.call(web.CALLS[name], call).body
        # The platform's word for the caller's name is told to this very caller.
        assert MARKER not in told or (name == "show_caller" and named in call.headers.values())
    assert MARKER not in caplog.text
    assert "all is lost" not in caplog.text


def test_what_is_registered_names_no_line_of_the_log_but_by_its_id(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World(settings=ENTRA)
    texts = {"displayName": MARKER, "description": MARKER, "contact": f"{MARKER}@contoso.example"}
    body = json.dumps(a_service_client(owner=TEAM, resource=MANAGED, appRoles=[], **texts)).encode()
    headers = {"content-type": "application/json", **headers_of(ALICE, world.emulator)}
    answer = world.call(web.submit_registration, Call("/api/registrations", headers, body=body, method="POST"))
    world.deliver()
    registration_id = json.loads(answer.body)["registrationId"]
    assert world.row(registration_id).status == "active"
    assert registration_id in caplog.text
    assert MARKER not in caplog.text


def test_an_event_names_whoever_was_verified_and_nothing_that_was_sent() -> None:
    world = World(settings=ENTRA)
    body = json.dumps(a_service_client(owner=TEAM, resource=MANAGED, appRoles=[], displayName=MARKER)).encode()
    forged = {"content-type": "application/json", "traceparent": FORGED, "x-ms-client-principal-name": FORGED}
    headers = headers_of(ALICE, world.emulator) | forged
    answer = world.call(web.submit_registration, Call("/api/registrations", headers, body=body, method="POST"))
    row = world.row(json.loads(answer.body)["registrationId"])
    for name in ("delete_registration", "retry_registration", "rotate_registration"):
        stranger = headers_of(MALLORY, world.emulator) | {"x-ms-client-principal-id": ALICE.object_id}
        world.call(web.CALLS[name], Call("/api/registrations/x", stranger, registration_id=row.id, method="POST"))
    world.deliver()
    events = world.registry.events(row.id, top=100).events
    assert [each.actor.object_id for each in events if each.actor.object_id is not None] == [ALICE.object_id]
    assert MARKER not in repr(events)
