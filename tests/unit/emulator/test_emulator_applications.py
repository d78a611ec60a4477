from __future__ import annotations

from typing import Any

import pytest

from dev.emulator import Emulator
from dev.emulator.client import Client
from dev.emulator.constants import GRAPH_PRINCIPAL_ID, READ_WRITE_ALL

ID = "0a0a0a0a-0000-4000-8000-00000000000"


@pytest.fixture
def client() -> Client:
    return Client(Emulator())


def refused(client: Client, **properties: Any) -> dict[str, Any]:
    response = client.graph("POST", "/applications", {"displayName": "x", **properties})
    assert response.status_code == 400, response.text
    assert not client.emulator.directory.records
    error: dict[str, Any] = response.json()["error"]
    return error


def test_a_new_application_has_ids_and_the_defaults_of_a_single_tenant() -> None:
    client = Client(Emulator())
    created = client.create(displayName="One")
    assert created["signInAudience"] == "AzureADMyOrg"
    assert created["createdByAppId"] == client.emulator.registrar_client_id
    assert created["id"] != created["appId"]


def test_ids_are_the_same_for_the_same_seed_and_differ_for_another() -> None:
    first, again, other = (Client(Emulator(seed=seed)).create()["appId"] for seed in (1, 1, 2))
    assert first == again != other


@pytest.mark.parametrize("name", ["colour", "passwordcredentials", "owners"])
def test_an_unknown_property_is_refused_by_name(client: Client, name: str) -> None:
    error = refused(client, **{name: "x"})
    assert (error["code"], error["message"]) == ("Request_BadRequest", f"Invalid property '{name}'.")


@pytest.mark.parametrize("name", ["id", "appId", "createdDateTime", "publisherDomain"])
def test_a_read_only_property_is_refused(client: Client, name: str) -> None:
    assert "read-only" in refused(client, **{name: "x"})["message"]


def test_a_display_name_is_required(client: Client) -> None:
    response = client.graph("POST", "/applications", {"tags": []})
    assert response.status_code == 400
    assert "displayName" in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("name", "accepted", "refused_value"),
    [
        ("displayName", "x" * 120, "x" * 121),
        ("displayName", "𐐷" * 60, "𐐷" * 61),  # counted in UTF-16
        ("displayName", "x", ""),
        ("displayName", "x", None),
        ("description", "x" * 1024, "x" * 1025),
        ("notes", None, 5),
        ("tags", ["x" * 256], ["x" * 257]),
        ("tags", ["a"], [""]),
        ("tags", ["a:b=c"], ["a b"]),
        ("tags", ["a", "A"], ["a", "a"]),
        ("signInAudience", "AzureADMultipleOrgs", "Everybody"),
        ("isFallbackPublicClient", False, "false"),
        ("serviceManagementReference", "x", 1),
        ("uniqueName", "fhir-1", ""),
        ("web", {"implicitGrantSettings": {"enableIdTokenIssuance": False}}, {"redirectUris": "https://a.example/"}),
        ("web", {"logoutUrl": "https://a.example/out"}, {"logoutUrl": "http://a.example/out"}),
        ("web", {"logoutUrl": "https://localhost/out"}, {"logoutUrl": "https://a.example/" + "x" * 238}),
        ("spa", {}, {"logoutUrl": "https://a.example/"}),
        ("api", {"requestedAccessTokenVersion": None}, {"requestedAccessTokenVersion": 3}),
        ("api", {"requestedAccessTokenVersion": 1}, {"requestedAccessTokenVersion": True}),
        ("api", {"requestedAccessTokenVersion": 2}, {"requestedAccessTokenVersion": "2"}),
        ("optionalClaims", {"accessToken": [{"name": "idtyp"}]}, {"accessToken": [{"essential": True}]}),
        ("optionalClaims", None, {"otherToken": []}),
        ("groupMembershipClaims", "SecurityGroup", "Everything"),
    ],
)
def test_a_property_keeps_to_its_type_and_limits(
    client: Client, name: str, accepted: object, refused_value: object
) -> None:
    refused(client, **{name: refused_value})
    client.create(**{name: accepted})


def test_personal_audiences_have_narrower_limits(client: Client) -> None:
    personal: dict[str, Any] = {"signInAudience": "AzureADandPersonalMicrosoftAccount"}
    refused(client, **personal)
    refused(client, **personal, api={"requestedAccessTokenVersion": 2}, displayName="x" * 91)
    personal["api"] = {"requestedAccessTokenVersion": 2}
    refused(client, **personal, web={"redirectUris": ["https://a.example/?x=1"]})
    refused(client, **personal, web={"redirectUris": [f"https://a.example/{number}" for number in range(101)]})
    client.create(**personal)


def test_required_permissions_keep_to_their_shape_and_numbers(client: Client) -> None:
    def access(resources: int, permissions: int) -> list[dict[str, Any]]:
        each = [{"id": f"{number:08x}-0000-4000-8000-000000000000", "type": "Scope"} for number in range(permissions)]
        ids = (f"{number:08x}-1111-4000-8000-000000000000" for number in range(resources))
        return [{"resourceAppId": identifier, "resourceAccess": each} for identifier in ids]

    refused(client, requiredResourceAccess=access(51, 1))
    refused(client, requiredResourceAccess=access(1, 401))
    refused(client, requiredResourceAccess=[*access(1, 1), *access(1, 2)])
    refused(client, requiredResourceAccess=[{"resourceAppId": ID + "1"}])
    wrong_type = [{"id": ID + "1", "type": "Permission"}]
    refused(client, requiredResourceAccess=[{"resourceAppId": ID + "1", "resourceAccess": wrong_type}])
    client.create(requiredResourceAccess=access(50, 8))


def test_all_collections_together_have_a_limit(client: Client) -> None:
    refused(client, tags=[f"t{number}" for number in range(1001)])
    tags = [f"t{number}" for number in range(900)]
    uris = [f"https://a.example/{number}" for number in range(101)]
    assert "size of the object" in refused(client, tags=tags, web={"redirectUris": uris})["message"]
    client.create(tags=tags)


def test_mapped_claims_cannot_be_accepted_at_create_under_owned_by(client: Client) -> None:
    body = {"displayName": "x", "api": {"acceptMappedClaims": True}}
    assert client.graph("POST", "/applications", body).status_code == 403
    created = client.create()
    assert client.graph("PATCH", f"/applications/{created['id']}", {"api": body["api"]}).status_code == 204


@pytest.mark.parametrize("status", [400, 409])
def test_a_unique_name_is_given_once_and_the_status_of_a_clash_can_be_chosen(client: Client, status: int) -> None:
    client.emulator.faults.set(unique_name_conflict_status=status)
    client.create(uniqueName="n")
    response = client.graph("POST", "/applications", {"displayName": "x", "uniqueName": "n"})
    error = response.json()["error"]
    assert (response.status_code, error["details"][0]["code"]) == (status, "ObjectConflict")
    assert error["message"] == "Another object with the same value for property uniqueName already exists."


def test_a_unique_name_can_be_given_later_once_and_is_not_changed_afterwards(client: Client) -> None:
    client.create(uniqueName="taken")
    path = f"/applications/{client.create()['id']}"
    refused_name = client.graph("PATCH", path, {"uniqueName": "taken"})
    message = "Another object with the same value for property uniqueName already exists."
    assert (refused_name.status_code, refused_name.json()["error"]["message"]) == (400, message)
    assert client.graph("PATCH", path, {"uniqueName": "n"}).status_code == 204
    assert client.graph("GET", "/applications(uniqueName='n')").status_code == 200
    assert client.graph("POST", "/applications", {"displayName": "x", "uniqueName": "n"}).status_code == 400
    for name in ("m", None):
        assert client.graph("PATCH", path, {"uniqueName": name}).status_code == 400
    client.graph("DELETE", path)
    assert client.graph("DELETE", path.replace("applications", "directory/deletedItems")).status_code == 204
    client.create(uniqueName="n")


def test_owners_are_bound_by_url_and_the_creator_is_always_one_of_them(client: Client) -> None:
    emulator = client.emulator
    person = emulator.directory.add_principal()
    urls = [
        f"{emulator.origin}/v1.0/directoryObjects/{person}",
        f"https://graph.microsoft.com/v1.0/servicePrincipals/{GRAPH_PRINCIPAL_ID}",
    ]
    created = client.create(**{"owners@odata.bind": urls})
    owners = client.graph("GET", f"/applications/{created['id']}/owners").json()["value"]
    assert {owner["id"] for owner in owners} == {person, GRAPH_PRINCIPAL_ID, emulator.registrar_object_id}


@pytest.mark.parametrize(
    ("reference", "status"),
    [
        ("https://evil.example/v1.0/directoryObjects/22222222-bbbb-4bbb-8bbb-000000000002", 400),
        ("22222222-bbbb-4bbb-8bbb-000000000002", 400),
        ("https://graph.microsoft.com/v1.0/directoryObjects/00000000-0000-4000-8000-000000000000", 404),
    ],
)
def test_an_owner_must_exist_and_be_named_by_its_url(client: Client, reference: str, status: int) -> None:
    body = {"displayName": "x", "owners@odata.bind": [reference]}
    assert client.graph("POST", "/applications", body).status_code == status


def test_no_more_than_20_owners_can_be_bound(client: Client) -> None:
    people = [client.emulator.directory.add_principal() for _ in range(21)]
    urls = [f"{client.emulator.origin}/v1.0/directoryObjects/{person}" for person in people]
    refused(client, **{"owners@odata.bind": urls})
    client.create(**{"owners@odata.bind": urls[:20]})


def test_a_patch_replaces_collections_and_merges_complex_values(client: Client) -> None:
    web = {"redirectUris": ["https://a.example/1"], "logoutUrl": "https://a.example/out"}
    path = f"/applications/{client.create(tags=['a', 'b'], web=web)['id']}"
    change = {"tags": ["c"], "web": {"redirectUris": ["https://a.example/2"]}}
    assert client.graph("PATCH", path, change).status_code == 204
    body = client.graph("GET", path).json()
    assert body["tags"] == ["c"]
    assert body["web"]["redirectUris"] == ["https://a.example/2"]
    assert body["web"]["logoutUrl"] == web["logoutUrl"]


@pytest.mark.parametrize("change", [{"displayName": None}, {"appId": ID + "1"}, {"x": 1}, {"tags": ["a", "a"]}])
def test_a_patch_keeps_to_the_same_rules_and_changes_nothing_when_refused(
    client: Client, change: dict[str, Any]
) -> None:
    path = f"/applications/{client.create(tags=['a'])['id']}"
    before = client.graph("GET", path).json()
    assert client.graph("PATCH", path, {"description": "changed", **change}).status_code == 400
    assert client.graph("GET", path).json() == before


def test_an_application_is_written_by_its_owner_only(client: Client) -> None:
    emulator = client.emulator
    emulator.faults.set(caller_not_owner=True)
    path = f"/applications/{client.create()['id']}"
    for method, tail, body in (("PATCH", "", {"tags": []}), ("DELETE", "", None), ("POST", "/addPassword", {})):
        response = client.graph(method, path + tail, body)
        assert response.status_code == 403
        assert response.json()["error"]["code"] == "Authorization_RequestDenied"
    assert client.graph("GET", path).status_code == 200
    emulator.directory.grant(emulator.registrar_object_id, GRAPH_PRINCIPAL_ID, READ_WRITE_ALL)
    assert client.graph("PATCH", path, {"tags": []}).status_code == 204


def test_binding_the_caller_makes_it_owner_even_where_creating_does_not(client: Client) -> None:
    emulator = client.emulator
    emulator.faults.set(caller_not_owner=True)
    owner = f"{emulator.origin}/v1.0/directoryObjects/{emulator.registrar_object_id}"
    path = f"/applications/{client.create(**{'owners@odata.bind': [owner]})['id']}"
    assert client.graph("PATCH", path, {"tags": []}).status_code == 204


def test_the_directory_quota_ends_creation(client: Client) -> None:
    client.emulator.faults.set(directory_quota_exceeded=True)
    response = client.graph("POST", "/applications", {"displayName": "x"})
    assert (response.status_code, response.json()["error"]["code"]) == (403, "Directory_QuotaExceeded")


def test_a_tenant_can_require_a_service_management_reference_and_forbid_audiences(client: Client) -> None:
    client.emulator.faults.set(service_management_reference_required=True, allowed_audiences=["AzureADMyOrg"])
    assert refused(client)["code"] == "ServiceTreeValueMissing"
    error = refused(client, serviceManagementReference="x", signInAudience="AzureADMultipleOrgs")
    assert error["code"] == "SignInAudienceNotAllowedAsPerAppPolicy"
    client.create(serviceManagementReference="x")


def test_a_tenant_can_know_its_services_and_refuse_the_reference_of_another(client: Client) -> None:
    client.emulator.faults.set(known_services=["a"])
    error = refused(client, serviceManagementReference="b")
    assert (error["code"], error.get("details")) == ("ServiceTreeInvalid", None)
    client.create(serviceManagementReference="a")
    client.create()
