from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any

import jwt
import pytest

from dev.emulator import TENANT_ID, TOKEN_MARKERS, Emulator
from dev.emulator.client import Client, ManualClock
from dev.emulator.constants import FHIR_APP_ID, IDENTITY_HEADER
from tests.worlds.leaks import leaked
from tests.worlds.signed_in import ALICE, claims_of, token_of

if TYPE_CHECKING:
    import requests

UNKNOWN = "0a0a0a0a-0000-4000-8000-000000000001"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def client(clock: ManualClock) -> Client:
    return Client(Emulator(now=clock.now, sleep=clock.sleep))


def refusal(response: requests.Response) -> tuple[int, str, int]:
    body = response.json()
    assert body["error_description"].startswith(f"AADSTS{body['error_codes'][0]}: ")
    assert body["trace_id"]
    assert body["correlation_id"]
    return response.status_code, body["error"], body["error_codes"][0]


def claims(response: requests.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    decoded: dict[str, Any] = jwt.decode(response.json()["access_token"], options={"verify_signature": False})
    return decoded


def resource(client: Client, version: int | None, uris: list[str], **properties: Any) -> dict[str, Any]:
    """A resource application with one role, its service principal's object id as `principal`."""
    member = {"id": UNKNOWN, "value": "reader", "displayName": "r", "description": "r"}
    roles = [{**member, "allowedMemberTypes": ["Application"], "isEnabled": True}]
    api = {"requestedAccessTokenVersion": version}
    created = client.create(displayName="API", api=api, appRoles=roles, identifierUris=uris, **properties)
    principal = client.graph("POST", "/servicePrincipals", {"appId": created["appId"]}).json()
    return {**created, "principal": principal["id"]}


def test_a_secret_that_graph_has_minted_signs_its_client_in(client: Client) -> None:
    client_id, secret = client.create_client()
    body = client.sign_in(client_id, secret).json()
    assert (body["token_type"], body["expires_in"]) == ("Bearer", 3600)


def test_basic_authentication_and_the_v1_endpoint_work_as_well(client: Client) -> None:
    client_id, secret = client.create_client()
    basic = base64.b64encode(f"{client_id}:{secret.replace('~', '%7E')}".encode()).decode()
    url = f"{client.emulator.origin}/{TENANT_ID}/oauth2/token"
    form = {"grant_type": "client_credentials", "resource": "https://graph.microsoft.com"}
    response = client.session.post(url, data=form, headers={"Authorization": f"Basic {basic}"})
    assert claims(response)["aud"] == "https://graph.microsoft.com"


def test_each_mistake_has_its_own_error(client: Client) -> None:
    client_id, secret = client.create_client()
    without_principal = client.create(passwordCredentials=[{}])
    lonely = without_principal["appId"], without_principal["passwordCredentials"][0]["secretText"]
    key_id = client.graph("GET", f"/applications(appId='{client_id}')").json()["passwordCredentials"][0]["keyId"]
    url = f"{client.emulator.origin}/other.example/oauth2/v2.0/token"
    assert refusal(client.session.post(url, data={})) == (400, "invalid_request", 90002)
    assert refusal(client.sign_in(client_id, "wrong")) == (401, "invalid_client", 7000215)
    assert refusal(client.sign_in(client_id, key_id)) == (401, "invalid_client", 7000215)
    assert refusal(client.sign_in(client_id, "")) == (401, "invalid_client", 7000218)
    assert refusal(client.sign_in(UNKNOWN, secret)) == (400, "unauthorized_client", 700016)
    assert refusal(client.sign_in("x", secret)) == (400, "unauthorized_client", 900023)
    assert refusal(client.sign_in(*lonely)) == (401, "invalid_client", 7000229)
    assert refusal(client.sign_in(client_id, secret, grant_type="password")) == (400, "unsupported_grant_type", 70003)
    assert refusal(client.sign_in(client_id, secret, grant_type="")) == (400, "invalid_request", 900144)
    for scope, expected in (
        ("https://graph.microsoft.com/User.Read", ("invalid_scope", 1002012)),
        ("/.default", ("invalid_scope", 1002012)),
        ("https://graph.microsoft.com/.default https://vault.azure.net/.default", ("invalid_scope", 70011)),
        ("api://nobody/.default", ("invalid_resource", 500011)),
    ):
        assert refusal(client.sign_in(client_id, secret, scope=scope)) == (400, *expected)


def test_an_expired_secret_is_told_from_a_wrong_one(client: Client, clock: ManualClock) -> None:
    created = client.create(passwordCredentials=[{"endDateTime": "2030-01-01T01:00:00Z"}])
    client.graph("POST", "/servicePrincipals", {"appId": created["appId"]})
    secret = created["passwordCredentials"][0]["secretText"]
    assert client.sign_in(created["appId"], secret).status_code == 200
    clock.sleep(3600)
    assert refusal(client.sign_in(created["appId"], secret)) == (401, "invalid_client", 7000222)


def test_a_removed_secret_a_deleted_client_and_a_disabled_one_are_refused(client: Client) -> None:
    client_id, secret = client.create_client()
    path = f"/applications(appId='{client_id}')"
    principal = f"/servicePrincipals(appId='{client_id}')"
    client.graph("PATCH", principal, {"accountEnabled": False})
    assert refusal(client.sign_in(client_id, secret)) == (400, "unauthorized_client", 7000112)
    client.graph("PATCH", principal, {"accountEnabled": True})
    key_id = client.graph("GET", path).json()["passwordCredentials"][0]["keyId"]
    client.graph("POST", f"{path}/removePassword", {"keyId": key_id})
    assert refusal(client.sign_in(client_id, secret)) == (401, "invalid_client", 7000215)
    client.graph("DELETE", path)
    assert refusal(client.sign_in(client_id, secret)) == (400, "unauthorized_client", 700016)


@pytest.mark.parametrize("version", [None, 1])
def test_a_version_1_token_names_the_identifier_that_was_asked_for(client: Client, version: int | None) -> None:
    uri = f"api://{TENANT_ID}/fhir"
    target = resource(client, version, [uri])
    client_id, secret = client.create_client()
    for name in (uri, target["appId"]):
        token = claims(client.sign_in(client_id, secret, scope=f"{name}/.default"))
        assert (token["aud"], token["ver"], token["appid"], token["appidacr"]) == (name, "1.0", client_id, "1")
        assert token["iss"] == f"{client.emulator.origin}/sts/{TENANT_ID}/"
        assert "azp" not in token


def test_a_version_2_token_names_the_client_id_of_its_resource(client: Client) -> None:
    target = resource(client, 2, [f"api://{TENANT_ID}/fhir"])
    client_id, secret = client.create_client()
    token = claims(client.sign_in(client_id, secret, scope=f"api://{TENANT_ID}/fhir/.default"))
    assert (token["aud"], token["ver"], token["azp"], token["azpacr"]) == (target["appId"], "2.0", client_id, "1")
    assert token["iss"] == f"{client.emulator.origin}/{TENANT_ID}/v2.0"
    assert token["oid"] == token["sub"]
    assert token["tid"] == TENANT_ID
    assert not {"appid", "idtyp", "scp", "roles"} & set(token)


def test_roles_stand_in_the_token_only_after_they_were_granted(client: Client) -> None:
    target = resource(client, 2, [])
    client_id, secret = client.create_client(
        requiredResourceAccess=[
            {"resourceAppId": target["appId"], "resourceAccess": [{"id": UNKNOWN, "type": "Role"}]},
        ]
    )
    scope = f"{target['appId']}/.default"
    assert "roles" not in claims(client.sign_in(client_id, secret, scope=scope))
    principal = client.graph("GET", f"/servicePrincipals(appId='{client_id}')").json()["id"]
    client.emulator.directory.grant(principal, target["principal"], "reader")
    assert claims(client.sign_in(client_id, secret, scope=scope))["roles"] == ["reader"]


def test_a_resource_can_require_an_assignment_and_ask_for_idtyp(client: Client) -> None:
    target = resource(client, 2, [], optionalClaims={"accessToken": [{"name": "idtyp"}]})
    client_id, secret = client.create_client()
    scope = f"{target['appId']}/.default"
    assert claims(client.sign_in(client_id, secret, scope=scope))["idtyp"] == "app"
    client.graph("PATCH", f"/servicePrincipals/{target['principal']}", {"appRoleAssignmentRequired": True})
    assert refusal(client.sign_in(client_id, secret, scope=scope)) == (400, "invalid_grant", 501051)


def test_a_managed_fhir_server_is_microsofts_application(client: Client) -> None:
    client_id, secret = client.create_client()
    url = "https://workspace-fhir.fhir.azurehealthcareapis.com"
    assert claims(client.sign_in(client_id, secret, scope=f"{url}/.default"))["aud"] == url
    assert claims(client.sign_in(client_id, secret, scope=f"{FHIR_APP_ID}/.default"))["aud"] == FHIR_APP_ID
    without = Client(Emulator(managed_fhir=False))
    response = without.sign_in(*without.create_client(), scope=f"{url}/.default")
    assert refusal(response) == (400, "invalid_resource", 500011)


@pytest.mark.parametrize("path", ["v2.0/.well-known/openid-configuration", ".well-known/openid-configuration"])
def test_a_token_can_be_verified_by_the_published_documents(path: str) -> None:
    client = Client(Emulator())
    document = client.session.get(f"{client.emulator.origin}/{TENANT_ID}/{path}").json()
    target = resource(client, 2 if path.startswith("v2.0") else 1, [])
    response = client.sign_in(*client.create_client(), scope=f"{target['appId']}/.default")
    keys = jwt.PyJWKSet.from_dict(client.session.get(document["jwks_uri"]).json())
    token = response.json()["access_token"]
    key = keys[jwt.get_unverified_header(token)["kid"]]
    verified = jwt.decode(token, key, algorithms=["RS256"], audience=target["appId"], issuer=document["issuer"])
    assert verified["tid"] == TENANT_ID


def test_discovery_knows_its_tenant_by_id_and_domain_only(client: Client) -> None:
    for tenant, status in ((TENANT_ID, 200), ("contoso.example", 200), ("other.example", 400)):
        url = f"{client.emulator.origin}/{tenant}/v2.0/.well-known/openid-configuration"
        assert client.session.get(url).status_code == status


@pytest.mark.parametrize(
    ("header", "query", "status"),
    [
        (IDENTITY_HEADER, {}, 200),
        (IDENTITY_HEADER, {"client_id": "22222222-bbbb-4bbb-8bbb-000000000001"}, 200),
        (IDENTITY_HEADER, {"client_id": UNKNOWN}, 400),
        (IDENTITY_HEADER, {"mi_res_id": "/subscriptions/x"}, 400),
        (IDENTITY_HEADER, {"api-version": "2017-09-01"}, 400),
        (IDENTITY_HEADER, {"resource": ""}, 400),
        (IDENTITY_HEADER, {"resource": "https://nobody.example"}, 400),
        ("wrong", {}, 401),
        (None, {}, 401),
    ],
)
def test_the_managed_identity_asks_for_its_header_version_and_resource(
    client: Client, header: str | None, query: dict[str, str], status: int
) -> None:
    query = {"api-version": "2019-08-01", "resource": "https://vault.azure.net", **query}
    headers = {"X-IDENTITY-HEADER": header} if header else {}
    response = client.session.get(f"{client.emulator.origin}/msi/token", params=query, headers=headers)
    assert response.status_code == status
    if status == 200:
        assert response.json()["resource"] == query["resource"]
        assert claims(response)["oid"] == client.emulator.registrar_object_id


@pytest.mark.parametrize(
    ("version", "uri", "status"),
    [
        (1, "https://fhir.contoso.example/r4", 200),
        (1, f"api://{TENANT_ID}/fhir.elsewhere.example", 400),
        (2, f"api://{TENANT_ID}/fhir.elsewhere.example", 200),
    ],
)
def test_mapped_claims_are_for_audiences_that_nobody_else_can_have(
    client: Client, version: int, uri: str, status: int
) -> None:
    api = resource(client, version, [uri])
    client_id, secret = client.create_client()
    path = f"/applications/{api['id']}"
    assert client.sign_in(client_id, secret, f"{uri}/.default").status_code == 200
    assert client.graph("PATCH", path, {"api": {"acceptMappedClaims": True}}).status_code == 204
    response = client.sign_in(client_id, secret, f"{uri}/.default")
    assert response.status_code == status
    if status != 200:
        assert refusal(response) == (400, "invalid_request", 501461)
    assert client.sign_in(client_id, secret, f"{api['appId']}/.default").status_code == 200


def test_every_token_can_be_searched_for_by_how_its_parts_begin(client: Client) -> None:
    client_id, secret = client.create_client()
    form = {"grant_type": "client_credentials", "resource": "https://graph.microsoft.com"}
    origin, basic = client.emulator.origin, base64.b64encode(f"{client_id}:{secret}".encode()).decode()
    headers = {"Authorization": f"Basic {basic}"}
    query = {"api-version": "2019-08-01", "resource": "https://vault.azure.net"}
    answers = (
        client.sign_in(client_id, secret),
        client.session.post(f"{origin}/{TENANT_ID}/oauth2/token", data=form, headers=headers),
        client.session.get(f"{origin}/msi/token", params=query, headers={"X-IDENTITY-HEADER": IDENTITY_HEADER}),
    )
    for token in (*(answer.json()["access_token"] for answer in answers), token_of(client.emulator, claims_of(ALICE))):
        parts = token.split(".")[:2]
        assert [part[:8] for part in parts] == list(TOKEN_MARKERS)
        assert {leaked(text) for text in (f"a line with {token} in it", *parts)} == {"an access token"}
