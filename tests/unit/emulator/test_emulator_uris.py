from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dev.emulator import TENANT_ID, Emulator
from dev.emulator.client import Client

if TYPE_CHECKING:
    import requests

GUID = "0a0a0a0a-0000-4000-8000-000000000001"


@pytest.fixture
def client() -> Client:
    return Client(Emulator())


def post(client: Client, **properties: Any) -> requests.Response:
    return client.graph("POST", "/applications", {"displayName": "x", **properties})


def code(response: requests.Response) -> str:
    assert response.status_code == 400, response.text
    return str(response.json()["error"]["code"])


@pytest.mark.parametrize(
    ("platform", "uri"),
    [
        ("web", "https://a.example/callback?x=1&y=%20"),
        ("web", "http://localhost:3000/callback"),
        ("web", "http://127.0.0.1/callback"),
        ("web", "https://a.example/" + "x" * 238),
        ("spa", "https://a.example/app"),
        ("publicClient", "http://localhost"),
        ("publicClient", "myapp://auth"),
        ("publicClient", "msauth.org.example.app://auth"),
        ("publicClient", "urn:ietf:wg:oauth:2.0:oob"),
    ],
)
def test_these_redirect_uris_are_accepted(client: Client, platform: str, uri: str) -> None:
    client.create(**{platform: {"redirectUris": [uri]}})


@pytest.mark.parametrize("platform", ["web", "spa", "publicClient"])
@pytest.mark.parametrize(
    "uri",
    [
        "",
        "/callback",
        "a.example/callback",
        "//a.example/callback",
        "https://",
        "https:///callback",
        "http://a.example/callback",
        "http://localhost.a.example/callback",
        "http://[::1]/callback",
        "https://[::1]/callback",
        "https://a.example/#fragment",
        "https://*.a.example/",
        "https://a.example/*",
        "https://user:x@a.example/",
        "https://a.example:99999/",
        "https://a.example/a b",
        "https://a.example/\t",
        "https://a.example\\callback",
        *(f"https://a.example/{character}" for character in "!$'(),;"),
        "https://a.example/" + "x" * 239,
    ],
)
def test_these_redirect_uris_are_refused_on_every_platform(client: Client, platform: str, uri: str) -> None:
    assert code(post(client, **{platform: {"redirectUris": [uri]}})) == "InvalidRedirectUri"


@pytest.mark.parametrize("platform", ["web", "spa"])
@pytest.mark.parametrize("uri", ["myapp://auth", "urn:ietf:wg:oauth:2.0:oob", "javascript:alert", "ftp://a.example/"])
def test_schemes_of_apps_are_refused_for_the_browser(client: Client, platform: str, uri: str) -> None:
    assert code(post(client, **{platform: {"redirectUris": [uri]}})) == "InvalidRedirectUri"


def test_a_redirect_uri_without_a_path_comes_back_with_a_slash(client: Client) -> None:
    created = client.create(web={"redirectUris": ["https://a.example", "http://localhost:8080?x=1"]})
    assert created["web"]["redirectUris"] == ["https://a.example/", "http://localhost:8080/?x=1"]


def test_redirect_uris_are_told_apart_by_the_case_of_their_path(client: Client) -> None:
    client.create(web={"redirectUris": ["https://a.example/A", "https://a.example/a"]})


def test_no_redirect_uri_stands_twice_in_any_platform(client: Client) -> None:
    assert post(client, web={"redirectUris": ["https://a.example", "https://a.example/"]}).status_code == 400
    uri = {"redirectUris": ["https://a.example/"]}
    assert post(client, web=uri, publicClient=uri).status_code == 400


def test_there_are_at_most_256_redirect_uris_over_all_platforms(client: Client) -> None:
    web, spa = ([f"https://{name}.example/{number}" for number in range(128)] for name in "ab")
    over = [*spa, "https://c.example/"]
    assert post(client, web={"redirectUris": web}, spa={"redirectUris": over}).status_code == 400
    path = f"/applications/{client.create(web={'redirectUris': web}, spa={'redirectUris': spa})['id']}"
    assert client.graph("PATCH", path, {"spa": {"redirectUris": over}}).status_code == 400


@pytest.mark.parametrize(
    "uri",
    [
        f"api://{TENANT_ID}/fhir",
        f"api://{TENANT_ID}/fhir.example/r4",
        "https://contoso.example",
        "https://contoso.example/fhir",
        "https://fhir.contoso.example",
        "https://a.b.contoso.example/r4",
        "https://contoso.example/" + "x" * 231,
    ],
)
def test_these_identifier_uris_are_accepted_at_once(client: Client, uri: str) -> None:
    assert client.create(identifierUris=[uri])["identifierUris"] == [uri]


@pytest.mark.parametrize(
    ("uri", "expected"),
    [
        ("https://fhir.azurewebsites.net", "HostNameNotOnVerifiedDomain"),
        ("https://x.fhir.azurehealthcareapis.com", "HostNameNotOnVerifiedDomain"),
        ("https://notcontoso.example", "HostNameNotOnVerifiedDomain"),
        ("http://other.example/", "Request_BadRequest"),
        ("api://fhir", "InvalidUniqueTenantIdentifierAsPerAppPolicy"),
        ("api://fhir.contoso.example", "InvalidUniqueTenantIdentifierAsPerAppPolicy"),
        (f"api://fhir/{GUID}", "InvalidUniqueTenantIdentifierAsPerAppPolicy"),
        ("urn:fhir", "InvalidUniqueTenantIdentifierAsPerAppPolicy"),
        (f"api://{TENANT_ID}", "InvalidUniqueTenantIdentifierAsPerAppPolicy"),
        (f"api://{GUID}", "Request_BadRequest"),
        (f"api://{GUID}/fhir", "Request_BadRequest"),
        (f"api://{TENANT_ID}/fhir/", "Request_BadRequest"),
        ("https://contoso.example/", "Request_BadRequest"),
        ("https://*.contoso.example", "Request_BadRequest"),
        (f"api://{TENANT_ID}/a b", "Request_BadRequest"),
        ("contoso.example", "Request_BadRequest"),
        ("", "Request_BadRequest"),
        ("https://contoso.example/" + "x" * 232, "Request_BadRequest"),
    ],
)
def test_these_identifier_uris_are_refused(client: Client, uri: str, expected: str) -> None:
    assert code(post(client, identifierUris=[uri])) == expected
    path = f"/applications/{client.create()['id']}"
    assert code(client.graph("PATCH", path, {"identifierUris": [uri]})) == expected


@pytest.mark.parametrize("form", ["api://{app}", "api://{tenant}/{app}", "api://fhir/{app}"])
def test_an_identifier_uri_with_the_client_id_follows_in_a_second_call(client: Client, form: str) -> None:
    created = client.create()
    uri = form.format(app=created["appId"], tenant=TENANT_ID)
    path = f"/applications/{created['id']}"
    assert client.graph("PATCH", path, {"identifierUris": [uri]}).status_code == 204
    assert client.graph("GET", path).json()["identifierUris"] == [uri]


def test_tokens_of_version_2_free_api_uris_but_only_from_the_next_write_on(client: Client) -> None:
    version_2 = {"requestedAccessTokenVersion": 2}
    expected = "InvalidUniqueTenantIdentifierAsPerAppPolicy"
    assert code(post(client, api=version_2, identifierUris=["api://fhir"])) == expected
    path = f"/applications/{client.create(api=version_2)['id']}"
    assert client.graph("PATCH", path, {"identifierUris": ["api://fhir", "urn:fhir"]}).status_code == 204
    foreign = {"identifierUris": ["https://fhir.azurewebsites.net"]}
    assert code(client.graph("PATCH", path, foreign)) == "HostNameNotOnVerifiedDomain"


def test_what_is_already_there_is_not_checked_again(client: Client) -> None:
    path = f"/applications/{client.create(identifierUris=['https://contoso.example/fhir'])['id']}"
    client.emulator.faults.set(non_default_uri_addition=True)
    uris = ["https://contoso.example/fhir"]
    assert client.graph("PATCH", path, {"identifierUris": uris}).status_code == 204
    more = {"identifierUris": [*uris, f"api://{TENANT_ID}/more"]}
    assert code(client.graph("PATCH", path, more)) == "InvalidNonDefaultUriAsPerAppPolicy"


def test_a_tenant_can_allow_default_uris_only(client: Client) -> None:
    client.emulator.faults.set(non_default_uri_addition=True)
    assert post(client, identifierUris=[f"api://{TENANT_ID}/fhir"]).status_code == 400
    created = client.create()
    uris = [f"api://{created['appId']}", f"api://{TENANT_ID}/{created['appId']}"]
    assert client.graph("PATCH", f"/applications/{created['id']}", {"identifierUris": uris}).status_code == 204


def test_an_identifier_uri_is_unique_in_the_tenant_whatever_its_case(client: Client) -> None:
    client.create(identifierUris=["https://contoso.example/fhir"])
    response = post(client, identifierUris=["https://contoso.example/FHIR"])
    error = response.json()["error"]
    assert (response.status_code, error["details"][0]["code"]) == (400, "ObjectConflict")
    assert error["message"] == "Another object with the same value for property identifierUris already exists."


@pytest.mark.parametrize("second", ["https://contoso.example/a", "https://contoso.example/A"])
def test_no_identifier_uri_stands_twice_in_one_application(client: Client, second: str) -> None:
    assert post(client, identifierUris=["https://contoso.example/a", second]).status_code == 400


def test_a_deleted_application_keeps_its_names_until_it_is_purged(client: Client) -> None:
    names = {"uniqueName": "n", "identifierUris": ["https://contoso.example/fhir"]}
    created = client.create(**names)
    path = f"/applications/{created['id']}"
    assert client.graph("DELETE", path).status_code == 204
    assert client.graph("GET", "/applications(uniqueName='n')").status_code == 404
    for name, value in names.items():
        assert post(client, **{name: value}).status_code == 400
    assert client.graph("DELETE", f"/directory/deletedItems/{created['id']}").status_code == 204
    client.create(**names)


def test_identifier_uris_are_free_when_they_are_taken_off_before_the_deletion(client: Client) -> None:
    uris = ["https://contoso.example/fhir"]
    path = f"/applications/{client.create(identifierUris=uris)['id']}"
    assert client.graph("PATCH", path, {"identifierUris": []}).status_code == 204
    assert client.graph("DELETE", path).status_code == 204
    client.create(identifierUris=uris)
