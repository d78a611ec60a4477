"""What works, but perhaps not as the caller thinks, is said: by the dry run, and by whatever shows the registration."""

import json
from typing import Any

import pytest

from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.world import World

MANAGED = "https://ws-svc.fhir.azurehealthcareapis.com"
OTHER = "https://fhir2.contoso.example"
MIXED = {"scopes": ["patient.all.read", "user.all.read"]}
CASES: dict[str, tuple[dict[str, Any], list[str]]] = {
    "a resource": (a_resource(fhirServerUrl=OTHER), []),
    "a resource that offers nothing": (
        a_resource(fhirServerUrl=OTHER, scopes=[], appRoles=[]),
        ["resource-offers-nothing"],
    ),
    "a resource without scopes": (a_resource(fhirServerUrl=OTHER, scopes=[]), []),
    "a scope fhirUser alone": (a_resource(fhirServerUrl=OTHER, scopes=["fhirUser"]), ["fhir-user-claim-not-mapped"]),
    "a scope fhirUser and its claim": (
        a_resource(fhirServerUrl=OTHER, scopes=["fhirUser"], acceptMappedClaims=True),
        [],
    ),
    "all contexts at a resource": (a_resource(fhirServerUrl=OTHER, **MIXED), []),
    "a client": (a_public_client(), []),
    "mixed contexts": (a_public_client(**MIXED), ["mixed-smart-contexts"]),
    "mixed contexts of a web application": (a_confidential_client(**MIXED), ["mixed-smart-contexts"]),
    "one context": (a_public_client(scopes=["patient.all.read", "fhirUser", "openid"]), []),
    "mixed roles": (a_service_client(appRoles=["system.all.read", "user.all.read"]), ["mixed-smart-contexts"]),
    "a service client": (a_service_client(), []),
    "a service client without app roles": (a_service_client(appRoles=[]), ["no-app-roles"]),
    "a service client of a managed service": (a_service_client(resource=MANAGED, appRoles=[]), []),
    "localhost": (a_confidential_client(redirectUris=["http://localhost:1/"]), ["localhost-redirect"]),
}


def a_world(**emulator: Any) -> World:
    world = World(**emulator)
    scopes = ["user_impersonation", "patient.all.read", "user.all.read", "fhirUser"]
    roles = ["globalReader", "system.all.read", "user.all.read"]
    world.registered(a_resource(scopes=scopes, appRoles=roles, acceptMappedClaims=True))
    return world


def warned(content: dict[str, Any]) -> list[str]:
    assert all(set(warning) == {"code", "message"} for warning in content["warnings"])
    return [warning["code"] for warning in content["warnings"]]


@pytest.mark.parametrize("name", CASES)
def test_a_warning_of_the_dry_run_stands_in_every_answer_about_the_registration(name: str) -> None:
    world = a_world()
    body, expected = CASES[name]
    assert warned(json.loads(world.post(body, query={"dryRun": "true"}).body)) == expected
    accepted = json.loads(world.post(body).body)
    assert warned(accepted) == expected
    world.deliver()
    shown = world.get(accepted["registrationId"])
    assert (shown["status"], warned(shown)) == ("active", expected)
    [listed] = [each for each in world.list()["value"] if each["registrationId"] == accepted["registrationId"]]
    assert warned(listed) == expected


@pytest.mark.parametrize("body", [a_service_client(resource=MANAGED, appRoles=[]), a_public_client(resource=MANAGED)])
def test_a_client_of_a_managed_service_that_the_tenant_does_not_know_yet_is_told_what_to_do(
    body: dict[str, Any],
) -> None:
    world = World(managed_fhir=False)
    shown = world.registered(body)
    [warning] = shown["warnings"]
    assert warning["code"] == "resource-service-principal-missing"
    assert "az ad sp create --id 4f6778d8-5aef-43dc-a1ff-b073724b9495" in warning["message"]
    assert [warning] == json.loads(world.post(body, query={"dryRun": "true"}).body)["warnings"]


def test_of_a_registration_that_is_deleted_nobody_is_warned() -> None:
    world = a_world()
    shown = world.registered(a_service_client(appRoles=[]))
    assert shown["warnings"]
    world.delete(shown["registrationId"])
    world.deliver()
    assert world.get(shown["registrationId"])["warnings"] == []
