"""Every field that can be changed: from the PATCH to what Entra has, and there again after a change by hand."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import pytest
from pydantic.alias_generators import to_camel

from dev.emulator.client import Client
from provisioning.domain.certificates import as_base64
from provisioning.domain.intake import CHANGEABLE, REQUEST_TYPES
from tests.unit.flow.test_change_of_permissions import changed
from tests.worlds.certificates import YEAR, a_certificate
from tests.worlds.request_bodies import (
    OTHER_OWNER,
    a_confidential_client,
    a_public_client,
    a_resource,
    a_service_client,
)
from tests.worlds.steps import body_in_entra
from tests.worlds.world import World

FIRST, SECOND = a_certificate(), a_certificate(life=YEAR)
ISSUER: Final = "https://token.example"
FEDERATED: Final = {"type": "federated", "issuer": ISSUER, "subject": "one"}
CERTIFICATE: Final = {"type": "certificate", "certificate": FIRST.pem}
SCOPES: Final = ["user_impersonation", "patient.Patient.rs"]
BODIES: Final[dict[str, Callable[[], dict[str, Any]]]] = {
    "resource": lambda: a_resource(fhirServerUrl="https://second.contoso.example"),
    "confidential": a_confidential_client,
    "public": a_public_client,
    "service": a_service_client,
    "service-federated": lambda: a_service_client(credential=FEDERATED),
    "service-certificate": lambda: a_service_client(credential=CERTIFICATE),
}

Body = dict[str, Any]


@dataclass(frozen=True)
class Field:
    """A field: another value, where Entra has it, what it has there then, and how somebody changes it by hand."""

    kind: str
    name: str
    value: Any
    found: Callable[[World, str], Any]
    expected: Any
    by_hand: Callable[[Body], Body] | None


def of(path: str) -> Callable[[World, str], Any]:
    def found(world: World, registration_id: str) -> Any:
        value: Any = body_in_entra(world, registration_id)
        for step in path.split("."):
            value = value[step]
        return value

    return found


def of_notes(name: str) -> Callable[[World, str], Any]:
    return lambda world, registration_id: json.loads(body_in_entra(world, registration_id)["notes"])[name]


def without_notes(body: Body) -> Body:
    notes = json.loads(body["notes"])
    return {"notes": json.dumps({name: notes[name] for name in ("change", "hash")})}


def owner_tag(world: World, registration_id: str) -> Any:
    return next(tag for tag in body_in_entra(world, registration_id)["tags"] if ":owner=" in tag)


def declared(world: World, registration_id: str) -> list[str]:
    row = world.row(registration_id)
    names = {each.id: each.value for each in row.declared}
    entries = body_in_entra(world, registration_id)["requiredResourceAccess"]
    return [names.get(access["id"], "?") for entry in entries for access in entry["resourceAccess"]]


def offered(path: str) -> Callable[[World, str], Any]:
    return lambda world, registration_id: [
        each["value"] for each in of(path)(world, registration_id) if each["isEnabled"]
    ]


def disabled(body: Body) -> Body:
    roles = [{**each, "isEnabled": False} for each in body["appRoles"]]
    scopes = [{**each, "isEnabled": False} for each in body["api"]["oauth2PermissionScopes"]]
    return {"appRoles": roles, "api": {"oauth2PermissionScopes": scopes}}


def subjects(world: World, registration_id: str) -> list[str]:
    application = world.emulator.directory.application(app_id=world.row(registration_id).client_id or "")
    assert application is not None
    return sorted(each["subject"] for each in application.federated)


def keys(world: World, registration_id: str) -> list[str]:
    held = [each["key"] for each in body_in_entra(world, registration_id)["keyCredentials"]]
    return [key for key in held if key == as_base64(SECOND.pem)]


URI: Final = "https://other.contoso.example/cb"


def common(kind: str) -> list[Field]:
    return [
        Field(kind, "displayName", "Another", of("displayName"), "Another", lambda _: {"displayName": "By hand"}),
        Field(kind, "description", "What for", of("description"), "What for", lambda _: {"description": None}),
        Field(
            kind,
            "serviceManagementReference",
            "SVC-1",
            of("serviceManagementReference"),
            "SVC-1",
            lambda _: {"serviceManagementReference": "SVC-2"},
        ),
        Field(kind, "contact", "b@contoso.example", of_notes("contact"), "b@contoso.example", without_notes),
        Field(
            kind,
            "owner",
            OTHER_OWNER,
            owner_tag,
            f"fhir-registrar:owner={OTHER_OWNER}",
            lambda body: {"tags": [tag for tag in body["tags"] if ":owner=" not in tag]},
        ),
    ]


def redirects(kind: str, platform: str) -> Field:
    def gone(_: Body) -> Body:
        return {platform: {"redirectUris": []}}

    return Field(kind, "redirectUris", [URI], of(f"{platform}.redirectUris"), [URI], gone)


def nothing_declared(_: Body) -> Body:
    return {"requiredResourceAccess": []}


TABLE: Final = [
    *(field for kind in ("resource", "confidential", "public", "service") for field in common(kind)),
    Field("resource", "scopes", SCOPES, offered("api.oauth2PermissionScopes"), SCOPES, disabled),
    Field("resource", "appRoles", ["globalReader"], offered("appRoles"), ["globalReader"], disabled),
    redirects("confidential", "web"),
    redirects("public", "spa"),
    Field("confidential", "logoutUrl", URI, of("web.logoutUrl"), URI, lambda _: {"web": {"logoutUrl": None}}),
    Field("confidential", "scopes", SCOPES, declared, SCOPES, nothing_declared),
    Field("public", "scopes", SCOPES[1:], declared, SCOPES[1:], nothing_declared),
    Field("service", "appRoles", ["globalExporter"], declared, ["globalExporter"], nothing_declared),
    Field("confidential", "secretLifetime", "P90D", of_notes("secretLifetime"), "P90D", without_notes),
    Field("service", "secretLifetime", "P90D", of_notes("secretLifetime"), "P90D", without_notes),
    Field("confidential", "autoRotate", value=True, expected=True, found=of_notes("autoRotate"), by_hand=without_notes),
    Field(
        "service-certificate",
        "credential",
        {"certificate": SECOND.pem},
        keys,
        [as_base64(SECOND.pem)],
        lambda _: {"keyCredentials": []},
    ),
    Field("service-federated", "credential", {"subjects": ["one", "two"]}, subjects, ["one", "two"], None),
]
# Of these Entra has nothing: one is this service's own, of the other Azure knows.
OURS_ALONE: Final = {"callbackUrl", "dataRoles"}


def test_the_table_has_every_field_that_can_be_changed() -> None:
    for client_type, request_type in REQUEST_TYPES.items():
        names = {each.name for each in TABLE if each.kind.partition("-")[0] == client_type}
        assert names == set(CHANGEABLE[request_type]) - OURS_ALONE
        assert names <= {to_camel(name) for name in request_type.model_fields}


@pytest.fixture(scope="module")
def worlds() -> dict[str, tuple[World, str]]:
    """A world for each kind of client, and the registration there whose fields are changed one after the other."""
    made = {}
    for kind, body in BODIES.items():
        world = World(settings={"GRANTS": "on"})
        world.registered(a_resource(scopes=SCOPES))
        made[kind] = world, str(world.registered(body())["registrationId"])
    return made


@pytest.mark.parametrize("field", TABLE, ids=lambda field: f"{field.kind} {field.name}")
def test_a_change_reaches_entra_and_is_there_again_after_somebody_changed_it_by_hand(
    worlds: dict[str, tuple[World, str]], field: Field
) -> None:
    world, registration_id = worlds[field.kind]
    assert changed(world, registration_id, {field.name: field.value}).status == 202
    assert world.row(registration_id).operation.failure is None
    assert field.found(world, registration_id) == field.expected
    world.clock.sleep(7200)
    row = world.row(registration_id)
    if field.by_hand is not None:
        spoilt = field.by_hand(body_in_entra(world, registration_id))
        world.services.directory.update_application(row.application_object_id or "", spoilt)
    else:
        path = f"/applications/{row.application_object_id}/federatedIdentityCredentials"
        client = Client(world.emulator)
        for each in client.graph("GET", path).json()["value"]:
            assert client.graph("DELETE", f"{path}/{each['id']}").status_code == 204
    assert _spoilt(field, world, registration_id), "nothing was changed by hand"
    world.reconcile()
    assert field.found(world, registration_id) == field.expected
    assert world.get(registration_id)["findings"] == []


def _spoilt(field: Field, world: World, registration_id: str) -> bool:
    try:
        return bool(field.found(world, registration_id) != field.expected)
    except (KeyError, StopIteration):
        return True
