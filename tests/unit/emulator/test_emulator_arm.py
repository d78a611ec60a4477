"""Resource Manager, as far as a command line asks it to sign in."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dev.emulator import TENANT_ID, Emulator, Fault
from dev.emulator.client import TIMEOUT, Client
from dev.emulator.constants import VAULT_RESOURCE

if TYPE_CHECKING:
    import requests

VERSION = "2022-12-01"


@pytest.fixture
def client() -> Client:
    return Client(Emulator())


def get(client: Client, path: str, token: str = "", **query: str) -> requests.Response:
    headers = {"Authorization": f"Bearer {token}"} if token else {}
    return client.session.get(f"{client.emulator.origin}{path}", params=query, headers=headers, timeout=TIMEOUT)


def test_a_client_that_signs_in_sees_its_tenant_and_no_subscription(client: Client) -> None:
    """The calls of `az login --service-principal`, which asks for a token of `{endpoint}/`, with two slashes."""
    client_id, secret = client.create_client()
    origin = client.emulator.origin
    for scope in (f"{origin}//.default", "https://management.azure.com/.default"):
        token = client.sign_in(client_id, secret, scope).json()["access_token"]
        assert get(client, "/subscriptions", token, **{"api-version": VERSION}).json()["value"] == []
        [tenant] = get(client, "/tenants", token, **{"api-version": VERSION}).json()["value"]
        assert tenant["tenantId"] == TENANT_ID


@pytest.mark.parametrize("version", ["2015-01-01", "2022-09-01"])
def test_where_to_sign_in_is_told_without_a_token(client: Client, version: str) -> None:
    told = get(client, "/metadata/endpoints", **{"api-version": version}).json()["authentication"]
    assert told["loginEndpoint"] == client.emulator.origin
    assert told["audiences"] == [f"{client.emulator.origin}/"]


@pytest.mark.parametrize("path", ["/subscriptions", "/tenants"])
def test_nobody_is_told_anything_without_a_token_for_resource_manager(client: Client, path: str) -> None:
    query = {"api-version": VERSION}
    for token, code in (
        ("", "AuthenticationFailed"),
        ("x.y.z", "InvalidAuthenticationToken"),
        (client.token(VAULT_RESOURCE), "InvalidAuthenticationToken"),
    ):
        answer = get(client, path, token, **query)
        assert (answer.status_code, answer.json()["error"]["code"]) == (401, code)
        assert f'authorization_uri="{client.emulator.origin}/{TENANT_ID}"' in answer.headers["WWW-Authenticate"]


@pytest.mark.parametrize("path", ["/metadata/endpoints", "/subscriptions", "/tenants"])
@pytest.mark.parametrize(
    ("query", "code"),
    [({}, "MissingApiVersionParameter"), ({"api-version": "2099-01-01"}, "InvalidApiVersionParameter")],
)
def test_every_call_names_a_version_that_there_is(client: Client, path: str, query: Any, code: str) -> None:
    answer = get(client, path, client.token("https://management.azure.com"), **query)
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_its_calls_can_fail_as_those_of_every_service(client: Client) -> None:
    client.emulator.faults.add(Fault("status", "arm.listSubscriptions", status=503))
    client.emulator.faults.add(Fault("throttle", "arm.*"))
    answers = [get(client, "/subscriptions", client.token("https://management.azure.com")) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [503, 429]
    assert all(answer.json()["error"]["code"] for answer in answers)
