"""What somebody put beside what this service set stays, and is told with who can mend it; for as long as it is so."""

from dataclasses import replace
from typing import Any

import pytest

from dev.emulator.client import Client
from provisioning.domain.certificates import as_base64
from provisioning.domain.credentials import name_of
from tests.unit.flow.test_change_of_permissions import changed
from tests.unit.flow.test_grants import a_world, roles
from tests.worlds.certificates import YEAR, a_certificate
from tests.worlds.clock import DAY
from tests.worlds.request_bodies import a_public_client, a_resource, a_service_client
from tests.worlds.steps import body_in_entra
from tests.worlds.world import World

ISSUER = "https://token.example"
KEY = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": as_base64(a_certificate(life=YEAR).pem)}
# Disabled, so that it can be removed again.
ROLE = {
    "id": "0b0b0b0b-0000-4000-8000-000000000001",
    "value": "byHand",
    "displayName": "By hand",
    "description": "By hand",
    "allowedMemberTypes": ["Application"],
    "isEnabled": False,
}


def findings(world: World, registration_id: str) -> list[str]:
    return [each["code"] for each in world.get(registration_id)["findings"]]


def test_a_role_that_somebody_assigned_beside_those_that_are_asked_for_is_told_and_kept() -> None:
    world, server = a_world()
    client = world.registered(a_service_client())["registrationId"]
    row, resource = world.row(client), world.row(server)
    by_hand = next(each["id"] for each in body_in_entra(world, server)["appRoles"] if each["value"] == "globalAdmin")
    path, ids = f"/servicePrincipals/{resource.service_principal_id}/appRoleAssignedTo", row.service_principal_id
    body = {"principalId": ids, "resourceId": resource.service_principal_id, "appRoleId": by_hand}
    assert Client(world.emulator).graph("POST", path, body).status_code == 201
    world.live(8 * DAY)
    assert findings(world, client) == ["roles-assigned-by-hand"]
    assert sorted(roles(world, client)) == ["globalAdmin", "globalReader"]
    assert changed(world, client, {"appRoles": ["globalReader", "globalAdmin"]}).status == 202
    world.live(2 * DAY)
    assert findings(world, client) == []
    assert sorted(roles(world, client)) == ["globalAdmin", "globalReader"]


@pytest.mark.parametrize(
    ("body", "added", "code"),
    [
        (
            a_public_client(),
            {
                "requiredResourceAccess": [
                    {
                        "resourceAppId": "00000003-0000-0000-c000-000000000000",
                        "resourceAccess": [{"id": "e1fe6dd8-ba31-4d61-89e7-88639da4683d", "type": "Scope"}],
                    }
                ]
            },
            "permissions-added-by-hand",
        ),
        (a_service_client(), {"keyCredentials": [KEY | {"displayName": "by hand"}]}, "credentials-added-by-hand"),
        (a_resource(fhirServerUrl="https://b.example"), {"appRoles": [ROLE]}, "offers-added-by-hand"),
    ],
    ids=["a permission", "a certificate", "an offer"],
)
def test_what_somebody_added_is_told_until_it_is_gone(body: Any, added: Any, code: str) -> None:
    world, _ = a_world()
    client = world.registered(body)["registrationId"]
    world.clock.sleep(7200)
    object_id, [name] = world.row(client).application_object_id or "", list(added)
    before = body_in_entra(world, client)[name]
    world.services.directory.update_application(object_id, {name: [*before, *added[name]]})
    for _ in range(2):
        world.reconcile()
        assert findings(world, client) == [code]
        assert len(body_in_entra(world, client)[name]) == len(before) + 1
    world.services.directory.update_application(object_id, {name: before})
    world.reconcile()
    assert findings(world, client) == []


def test_a_subject_that_somebody_added_is_told_and_one_that_a_late_run_left_goes() -> None:
    world, _ = a_world()
    credential = {"type": "federated", "issuer": ISSUER, "subjects": ["one", "two"]}
    client = world.registered(a_service_client(credential=credential))["registrationId"]
    path = f"/applications/{world.row(client).application_object_id}/federatedIdentityCredentials"
    left = next(each for each in Client(world.emulator).graph("GET", path).json()["value"] if each["subject"] == "two")
    changed(world, client, {"credential": {"subjects": ["one"]}})
    common = {"issuer": ISSUER, "audiences": ["api://AzureADTokenExchange"]}
    for body in ({"name": left["name"], "subject": "two"}, {"name": "by-hand", "subject": "three"}):
        assert Client(world.emulator).graph("POST", path, {**common, **body}).status_code == 201
    by_hand = {"keyCredentials": [KEY | {"displayName": "by hand"}]}
    world.services.directory.update_application(world.row(client).application_object_id or "", by_hand)
    world.live(3 * DAY)
    assert findings(world, client) == ["credentials-added-by-hand"]
    assert "trusts 2 certificates or subjects" in world.row(client).findings[0].message
    there = Client(world.emulator).graph("GET", path).json()["value"]
    assert sorted(each["subject"] for each in there) == ["one", "three"]


def test_a_subject_that_makes_room_for_one_that_was_taken_away_is_not_told() -> None:
    world, _ = a_world()
    subjects = [f"subject {number}" for number in range(20)]
    credential = {"type": "federated", "issuer": ISSUER, "subjects": subjects}
    row = world.row(world.registered(a_service_client(credential=credential))["registrationId"])
    world.clock.sleep(7200)
    directory, object_id = world.services.directory, row.application_object_id or ""
    [first, *_] = directory.trusted_tokens(object_id)
    directory.distrust_token(object_id, first.name)
    directory.trust_token(object_id, replace(first, name=name_of(row, "late"), subject="late"))
    world.reconcile()
    assert findings(world, row.id) == []
    assert sorted(each.subject for each in directory.trusted_tokens(object_id)) == sorted(subjects)


def test_what_is_changed_by_hand_stays_for_an_hour_because_a_replica_may_be_late() -> None:
    world, _ = a_world()
    client = world.registered(a_public_client())["registrationId"]
    world.services.directory.update_application(world.row(client).application_object_id or "", {"displayName": "X"})
    world.reconcile()
    assert body_in_entra(world, client)["displayName"] == "X"
    world.clock.sleep(3600)
    world.reconcile()
    assert body_in_entra(world, client)["displayName"] == "A public"


def test_notes_that_are_somebody_elses_are_left_to_them_and_the_rest_is_repaired() -> None:
    world, _ = a_world()
    client = world.registered(a_public_client())["registrationId"]
    world.clock.sleep(7200)
    spoilt = {"displayName": "X", "notes": "Call Bob."}
    world.services.directory.update_application(world.row(client).application_object_id or "", spoilt)
    world.reconcile()
    body = body_in_entra(world, client)
    assert (body["displayName"], body["notes"]) == ("A public", "Call Bob.")
    assert findings(world, client) == ["notes-changed"]
