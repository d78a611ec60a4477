"""What a registration shows of itself, at each point of its life."""

import json
from dataclasses import replace

import pytest

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.operation import Failure, LastError
from tests.worlds.leaks import leaked
from tests.worlds.request_bodies import MANAGED, OWNER, REQUESTS, a_resource, a_service_client
from tests.worlds.steps import failed_registration, id_of
from tests.worlds.world import World


def test_an_accepted_registration_shows_what_is_known_and_null_for_what_is_not() -> None:
    world = World()
    shown = world.get(id_of(world.post(a_service_client(resource=MANAGED, appRoles=[], description="d"))))
    registration_id = shown["registrationId"]
    authority = f"{world.emulator.origin}/{world.emulator.tenant_id}"
    assert shown == {
        "registrationId": registration_id,
        "clientType": "service",
        "displayName": "A service",
        "owner": OWNER,
        "contact": "team@contoso.example",
        "description": "d",
        "resource": MANAGED,
        "appRoles": [],
        "credential": {"type": "secret"},
        "status": "accepted",
        "operation": {
            "id": shown["operation"]["id"],
            "type": "provision",
            "status": "pending",
            "requestedAt": "2026-01-15T12:00:00Z",
            "failure": None,
        },
        "createdAt": "2026-01-15T12:00:00Z",
        "updatedAt": "2026-01-15T12:00:00Z",
        "tenantId": world.emulator.tenant_id,
        "clientId": None,
        "applicationObjectId": None,
        "servicePrincipalId": None,
        "oauth": {
            "authority": f"{authority}/v2.0",
            "tokenEndpoint": f"{authority}/oauth2/v2.0/token",
            "authorizationEndpoint": f"{authority}/oauth2/v2.0/authorize",
            "scope": None,
        },
        "secret": None,
        "warnings": [],
        "findings": [],
        "grants": [],
        "agreement": None,
        "azureRoles": [],
        "usage": {"lastUsedAt": None, "reason": "sign-in-activity-off", "credentials": []},
        "nextSteps": [],
    }


@pytest.mark.parametrize("client_type", REQUESTS)
def test_an_active_registration_shows_its_ids_and_never_a_secret(client_type: str) -> None:
    world = World()
    world.registered(a_resource())
    body = REQUESTS[client_type]()
    if client_type == "resource":
        body["fhirServerUrl"] = "https://second.contoso.example"
    shown = world.registered(body)
    assert shown["operation"]["status"] == "succeeded"
    application = world.emulator.directory.application(app_id=shown["clientId"])
    assert application is not None
    assert application.id == shown["applicationObjectId"]
    principal = world.emulator.directory.principal_of(shown["clientId"])
    assert principal is not None
    assert principal.id == shown["servicePrincipalId"]
    assert (shown["secret"] is not None) == (client_type in ("confidential", "service"))
    assert ("fhirServerSettings" in shown) == (client_type == "resource")
    assert ("credential" in shown) == (client_type == "service")
    assert not leaked(json.dumps(shown))


def test_a_secret_is_shown_by_its_vault_id_without_a_version() -> None:
    world = World()
    world.registered(a_resource())
    shown = world.registered(a_service_client(secretLifetime="P90D"))
    assert shown["secret"]["id"] == f"{world.emulator.origin}/secrets/fhir-registrar-{shown['registrationId']}"
    assert shown["secret"]["expiresAt"] == "2026-04-15T12:00:00Z"
    application = world.emulator.directory.application(app_id=shown["clientId"])
    assert application is not None
    assert [password.key_id for password in application.passwords] == [shown["secret"]["keyId"]]


def test_a_failure_is_shown_with_its_remedy_and_no_next_steps() -> None:
    world = World()
    shown = world.get(failed_registration(world))
    assert set(shown["operation"]["failure"]) == {"code", "message", "remedy"}
    assert shown["operation"]["failure"]["code"] == "scope-not-found"
    assert shown["nextSteps"] == []


def test_a_registration_that_waits_says_why_and_stops_saying_so_when_it_is_done() -> None:
    world = World()
    registration_id = id_of(world.post(a_resource()))
    waits = LastError(Failure("graph-throttled", "m", "r", "request-1"), passing=True)
    world.registry.replace(replace(world.row(registration_id), last_error=waits))
    shown = world.get(registration_id)["operation"]
    assert shown["lastError"] == {
        "code": "graph-throttled",
        "message": "m",
        "remedy": "r",
        "graphRequestId": "request-1",
    }
    assert shown["failure"] is None
    world.deliver()
    assert "lastError" not in world.get(registration_id)["operation"]


def test_retry_after_is_there_exactly_while_an_operation_is_pending() -> None:
    world = World()
    registration_id = id_of(world.post(a_resource()))

    def show() -> Answer:
        call = Call(f"/api/registrations/{registration_id}", registration_id=registration_id)
        return world.call(web.show_registration, call)

    assert show().headers["Retry-After"] == "2"
    world.deliver()
    assert "Retry-After" not in show().headers
