"""What is sent to Entra, as files that a person can read: one per kind of application."""

import json
import uuid
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from dev.emulator.constants import GRAPH_PRINCIPAL_ID
from dev.emulator.graph.first_party import first_party
from provisioning.domain.certificates import as_base64
from provisioning.domain.directory import Permission, ResolvedResource
from provisioning.domain.intake import ResourceApplicationRequest, fingerprint, parse
from provisioning.domain.manifest import application_body, resource_identifier, tags
from provisioning.domain.operation import Operation, OperationStatus, OperationType
from provisioning.domain.permissions import app_roles_of, scopes_of
from provisioning.domain.registration import Registration, Status
from provisioning.domain.secrets import NewSecret
from provisioning.domain.tenant import Tenant
from tests.worlds.certificates import a_certificate
from tests.worlds.request_bodies import OWNER, a_confidential_client, a_public_client, a_resource, a_service_client

CERTIFICATE = a_certificate().pem
MANIFESTS = Path(__file__).parent / "manifests"
NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
SECRET = NewSecret(
    "registrar:88888888-2222-4333-8444-000000000008:20260115T120000.000000Z",
    datetime(2026, 7, 14, 12, 0, 0, 999_999, tzinfo=UTC),
)
ID = "0a1b2c3d-11111111-2222-4333-8444-666666666666"
TENANT = Tenant(
    id="11111111-aaaa-4aaa-8aaa-000000000001",
    authority_host="https://login.microsoftonline.com",
    graph_endpoint="https://graph.microsoft.com",
    key_vault_url="https://v.vault.azure.net",
    registrar_object_id="22222222-bbbb-4bbb-8bbb-000000000002",
    verified_domains=("contoso.example",),
)
RESOURCE = ResolvedResource(
    audience="https://fhir.contoso.example",
    client_id="33333333-cccc-4ccc-8ccc-000000000003",
    service_principal_id="44444444-dddd-4ddd-8ddd-000000000004",
)
DELEGATED = replace(RESOURCE, scopes=(Permission("55555555-eeee-4eee-8eee-000000000005", "user_impersonation"),))
APP_ONLY = replace(
    RESOURCE,
    app_roles=(
        Permission("66666666-ffff-4fff-8fff-000000000006", "globalReader"),
        Permission("77777777-ffff-4fff-8fff-000000000007", "globalExporter"),
    ),
)


def registration(body: dict[str, Any], resource: ResolvedResource | None = None) -> Registration:
    request = parse(body)
    return Registration(
        id=ID,
        caller="function-key",
        request=request,
        request_hash=fingerprint(request),
        status=Status.ACCEPTED,
        operation=Operation(
            "88888888-2222-4333-8444-000000000008", OperationType.PROVISION, OperationStatus.PENDING, NOW
        ),
        created_at=NOW,
        updated_at=NOW,
        resource=resource,
    )


CASES: dict[str, tuple[Registration, NewSecret | None]] = {
    "resource-v1": (
        registration(
            a_resource(
                displayName="FHIR server, test",
                description="The FHIR server of the test stage",
                serviceManagementReference="SVC-0042",
                fhirServerUrl="https://fhir.contoso.example/r4",
                scopes=["user_impersonation", "patient.all.read"],
            )
        ),
        None,
    ),
    "resource-v2": (
        registration(a_resource(accessTokenVersion=2, appRoles=["globalReader"], scopes=["user_impersonation"])),
        None,
    ),
    "confidential": (
        registration(
            a_confidential_client(
                displayName="Patient portal, test",
                redirectUris=["https://app.contoso.example/cb", "http://localhost:5000/cb"],
                logoutUrl="https://app.contoso.example/out",
                secretLifetime="P90D",
                autoRotate=True,
            ),
            DELEGATED,
        ),
        SECRET,
    ),
    "public-spa": (registration(a_public_client(displayName="Growth chart, test"), DELEGATED), None),
    "public-native": (
        registration(
            a_public_client(platform="native", redirectUris=["com.example.app://auth", "http://127.0.0.1/"]), DELEGATED
        ),
        None,
    ),
    "service-federated": (
        registration(
            a_service_client(credential={"type": "federated", "issuer": "https://token.example", "subject": "s"}),
            APP_ONLY,
        ),
        None,
    ),
    "service-certificate": (
        registration(a_service_client(credential={"type": "certificate", "certificate": CERTIFICATE}), APP_ONLY),
        None,
    ),
    "service": (registration(a_service_client(appRoles=["globalReader", "globalExporter"]), APP_ONLY), SECRET),
}


def test_a_logout_url_that_was_not_asked_for_is_not_sent() -> None:
    body = application_body(registration(a_confidential_client(), DELEGATED), TENANT, SECRET)
    assert "logoutUrl" not in body["web"]


@pytest.mark.parametrize("name", CASES)
def test_an_application_is_what_the_snapshot_shows(name: str) -> None:
    expected = (MANIFESTS / f"{name}.json").read_text(encoding="utf-8")
    for varying, value in {"<certificate>": as_base64(CERTIFICATE), "<hash>": CASES[name][0].request_hash}.items():
        expected = expected.replace(varying, value)
    assert application_body(CASES[name][0], TENANT, CASES[name][1]) == json.loads(expected)


def test_there_is_no_snapshot_without_a_case() -> None:
    assert {path.stem for path in MANIFESTS.iterdir()} == CASES.keys()


@pytest.mark.parametrize("name", CASES)
def test_a_repeat_gives_the_same_body(name: str) -> None:
    case, secret = CASES[name]
    later = replace(case, updated_at=NOW.replace(year=2027), status=Status.FAILED, etag="another")
    assert application_body(later, TENANT, secret) == application_body(case, TENANT, secret)


@pytest.mark.parametrize("name", CASES)
def test_a_retry_changes_the_label_of_the_secret_and_nothing_else(name: str) -> None:
    case, secret = CASES[name]
    retried = replace(case, status=Status.FAILED).begun("another-operation", OperationType.PROVISION, NOW, NOW)
    again = secret and replace(secret, label=retried.secret_label(NOW))
    first, second = application_body(case, TENANT, secret), application_body(retried, TENANT, again)
    born = [second.pop(kind, []) for kind in ("passwordCredentials", "keyCredentials")]
    labels = [credential["displayName"] for credentials in born for credential in credentials]
    assert len(labels) == (1 if case.credential_type in ("secret", "certificate") else 0)
    assert all(label.startswith("registrar:another-operation") for label in labels)
    assert {key: value for key, value in first.items() if not key.endswith("Credentials")} == second


@pytest.mark.parametrize("name", CASES)
def test_the_registry_could_be_rebuilt_from_the_marks(name: str) -> None:
    case, secret = CASES[name]
    body = application_body(case, TENANT, secret)
    assert body["uniqueName"] == f"fhir-registrar-{ID}"
    marks = dict(tag.removeprefix("fhir-registrar:").split("=") for tag in body["tags"] if "=" in tag)
    assert body["tags"][0] == "fhir-registrar"
    assert marks == {"id": ID, "type": case.request.client_type, "owner": OWNER}
    kept = json.loads(body["notes"])
    request = json.loads(case.request.model_dump_json(by_alias=True, exclude_none=True))
    names = ("contact", "resource", "fhirServerUrl", "secretLifetime", "autoRotate")
    own = {"caller": case.caller, "hash": case.request_hash, "change": 0}
    assert kept == {key: request[key] for key in names if key in request} | own


@pytest.mark.parametrize("name", CASES)
def test_no_application_allows_the_implicit_grant_other_tenants_or_the_device_code_flow(name: str) -> None:
    case, secret = CASES[name]
    body = application_body(case, TENANT, secret)
    assert body["signInAudience"] == "AzureADMyOrg"
    assert body["isFallbackPublicClient"] is False
    implicit = body.get("web", {}).get("implicitGrantSettings", {})
    assert True not in implicit.values()
    assert ("keyCredentials" in body) is (case.credential_type == "certificate")
    assert ("passwordCredentials" in body) is case.holds_secret


@pytest.mark.parametrize(
    "name", ["resource-v1", "resource-v2", "public-spa", "public-native", "service-federated", "service-certificate"]
)
def test_what_cannot_keep_a_secret_is_born_without_one(name: str) -> None:
    assert "passwordCredentials" not in application_body(CASES[name][0], TENANT, None)


def test_ids_of_permissions_follow_from_registration_kind_and_name_alone() -> None:
    several = set[str]()
    for _ in range(2):
        for registration_id in (ID, ID.replace("0a1b", "0a1c")):
            case = request_of(a_resource(scopes=["a", "A.b"], appRoles=["c", "C.d"]))
            several |= {each.id for each in scopes_of(registration_id, case)}
            several |= {each.id for each in app_roles_of(registration_id, case)}
            as_roles = request_of(a_resource(scopes=["e"], appRoles=["a"]))
            several |= {each.id for each in app_roles_of(registration_id, as_roles)}
    assert len(several) == 10
    assert all(str(uuid.UUID(each)) == each for each in several)


def request_of(body: dict[str, Any]) -> ResourceApplicationRequest:
    request = parse(body)
    assert isinstance(request, ResourceApplicationRequest)
    return request


def test_a_client_asks_for_the_very_ids_that_its_resource_has() -> None:
    case = CASES["resource-v1"][0]
    body = application_body(case, TENANT, None)
    assert isinstance(case.request, ResourceApplicationRequest)
    scopes = [(each["id"], each["value"]) for each in body["api"]["oauth2PermissionScopes"]]
    roles = [(each["id"], each["value"]) for each in body["appRoles"]]
    assert scopes == [(each.id, each.value) for each in scopes_of(ID, case.request)]
    assert roles == [(each.id, each.value) for each in app_roles_of(ID, case.request)]


def test_a_scope_and_an_app_role_of_one_value_are_one_permission_with_one_id_and_equal_texts() -> None:
    name = "Data.Read.All." + "x" * 100
    body = application_body(
        registration(a_resource(scopes=["patient.all.read", name], appRoles=["globalReader", name])), TENANT, None
    )
    _, scope = body["api"]["oauth2PermissionScopes"]
    _, role = body["appRoles"]
    assert (scope["id"], scope["value"], scope["isEnabled"]) == (role["id"], role["value"], role["isEnabled"])
    assert scope["adminConsentDisplayName"] == role["displayName"]
    assert scope["adminConsentDescription"] == role["description"]
    ids = [each["id"] for each in (*body["api"]["oauth2PermissionScopes"], *body["appRoles"])]
    assert len(set(ids)) == 3


def test_the_scopes_of_openid_connect_are_declared_as_those_of_microsoft_graph() -> None:
    asked = ["openid", "user_impersonation", "offline_access", "profile", "email"]
    for body in (a_confidential_client(scopes=asked), a_public_client(scopes=asked)):
        resource, graph = application_body(registration(body, DELEGATED), TENANT, None)["requiredResourceAccess"]
        assert resource["resourceAppId"] == DELEGATED.client_id
        assert graph["resourceAppId"] == "00000003-0000-0000-c000-000000000000"
        ids = {each["value"]: each["id"] for each in first_party_scopes()}
        assert graph["resourceAccess"] == [
            {"id": ids[name], "type": "Scope"} for name in ("openid", "offline_access", "profile", "email")
        ]


def first_party_scopes() -> list[dict[str, Any]]:
    """What Microsoft Graph offers in the emulated tenant."""
    published = dict(first_party("https://localhost", managed_fhir=False))
    scopes: list[dict[str, Any]] = published[GRAPH_PRINCIPAL_ID]["oauth2PermissionScopes"]
    return scopes


def test_a_client_of_microsoft_graph_declares_it_once() -> None:
    graph = replace(DELEGATED, client_id="00000003-0000-0000-c000-000000000000")
    body = application_body(registration(a_public_client(scopes=["User.Read", "openid"]), graph), TENANT, None)
    [entry] = body["requiredResourceAccess"]
    assert len(entry["resourceAccess"]) == len(DELEGATED.scopes) + 1


def test_nothing_is_declared_where_the_tenant_has_no_service_principal_of_the_resource() -> None:
    absent = replace(DELEGATED, service_principal_id=None)
    for body in (a_confidential_client(), a_public_client(), a_service_client()):
        assert "requiredResourceAccess" not in application_body(registration(body, absent), TENANT, None)
        assert "requiredResourceAccess" not in application_body(registration(body, RESOURCE), TENANT, None)


def test_without_an_object_id_of_its_own_the_registrar_relies_on_being_the_creator() -> None:
    body = application_body(CASES["service"][0], replace(TENANT, registrar_object_id=None), SECRET)
    assert "owners@odata.bind" not in body


def test_the_identifier_of_a_resource_follows_its_token_version() -> None:
    first = replace(CASES["resource-v1"][0], client_id="c")
    assert resource_identifier(first, TENANT) == "https://fhir.contoso.example/r4"
    elsewhere = replace(TENANT, verified_domains=())
    assert resource_identifier(first, elsewhere) == f"api://{TENANT.id}/fhir.contoso.example/r4"
    assert resource_identifier(replace(CASES["resource-v2"][0], client_id="c"), TENANT) == "api://c"
    with pytest.raises(TypeError):
        resource_identifier(CASES["service"][0], TENANT)


def test_texts_that_entra_limits_to_100_characters_are_cut_and_names_are_not() -> None:
    name = "s" * 120
    body = application_body(registration(a_resource(scopes=[name], displayName="d" * 120)), TENANT, None)
    [scope] = body["api"]["oauth2PermissionScopes"]
    assert scope["value"] == name
    assert len(scope["adminConsentDisplayName"]) <= 100
    assert len(scope["userConsentDisplayName"]) <= 100


def test_tags_have_no_white_space() -> None:
    assert not [tag for case, _ in CASES.values() for tag in tags(case) if tag.split() != [tag]]
