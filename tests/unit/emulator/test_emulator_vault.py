from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dev.emulator import Emulator
from dev.emulator.client import Client, ManualClock

if TYPE_CHECKING:
    import requests


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def client(clock: ManualClock) -> Client:
    return Client(Emulator(now=clock.now, sleep=clock.sleep))


def put(client: Client, name: str = "one", value: object = "v", **body: Any) -> requests.Response:
    return client.vault("PUT", f"/secrets/{name}", {"value": value, **body})


def error(response: requests.Response) -> tuple[int, str, str | None]:
    body = response.json()["error"]
    return response.status_code, body["code"], body.get("innererror", {}).get("code")


def test_a_request_without_a_token_is_challenged_for_the_vaults_resource(client: Client) -> None:
    emulator = client.emulator
    response = client.session.put(f"{emulator.origin}/secrets/one?api-version=2026-04-01")
    assert response.status_code == 401
    assert response.headers["WWW-Authenticate"] == (
        f'Bearer authorization="{emulator.origin}/{emulator.tenant_id}", resource="https://vault.azure.net"'
    )
    assert emulator.calls[-1].operation == "vault.challenge"


def test_a_token_for_graph_does_not_open_the_vault(client: Client) -> None:
    headers = {"Authorization": f"Bearer {client.token(client.emulator.origin)}"}
    response = client.session.get(f"{client.emulator.origin}/secrets?api-version=2026-04-01", headers=headers)
    assert response.status_code == 401


def test_only_principals_with_a_role_use_the_vault(client: Client) -> None:
    token = client.sign_in(*client.create_client(), scope="https://vault.azure.net/.default").json()["access_token"]
    headers = {"Authorization": f"Bearer {token}"}
    response = client.session.get(f"{client.emulator.origin}/secrets?api-version=2026-04-01", headers=headers)
    assert error(response) == (403, "Forbidden", "ForbiddenByRbac")
    client.emulator.faults.set(vault_denied=True)
    assert error(put(client)) == (403, "Forbidden", "ForbiddenByRbac")


@pytest.mark.parametrize("version", ["", "latest", "1"])
def test_an_api_version_is_required(client: Client, version: str) -> None:
    assert client.vault("GET", "/secrets", **{"api-version": version}).status_code == 400


def test_every_set_makes_a_new_version_and_old_ones_stay_readable(client: Client, clock: ManualClock) -> None:
    first = put(client, value="a", tags={"k": "1"}, contentType="text", attributes={"exp": 2_000_000_000}).json()
    clock.sleep(10)
    second = put(client, value="b").json()
    assert first["attributes"]["exp"] == 2_000_000_000
    assert second["attributes"]["created"] - first["attributes"]["created"] == 10
    assert "exp" not in second["attributes"]
    assert "tags" not in second
    version = first["id"].rpartition("/")[2]
    assert len(version) == 32
    assert client.vault("GET", f"/secrets/one/{version}").json() == first
    for path in ("/secrets/one", "/secrets/one/", "/secrets/ONE"):
        assert client.vault("GET", path).json()["value"] == "b"


def test_a_secret_is_readable_outside_its_dates_but_not_when_disabled(client: Client) -> None:
    put(client, attributes={"exp": 1_000_000_000, "nbf": 900_000_000})
    assert client.vault("GET", "/secrets/one").status_code == 200
    version = client.vault("GET", "/secrets/one").json()["id"].rpartition("/")[2]
    updated = client.vault("PATCH", f"/secrets/one/{version}", {"attributes": {"enabled": False}, "tags": {"k": "v"}})
    assert updated.status_code == 200
    assert "value" not in updated.json()
    assert error(client.vault("GET", "/secrets/one"))[0] == 403
    assert client.vault("PATCH", f"/secrets/one/{version}", {"value": "x"}).status_code == 400


@pytest.mark.parametrize(
    ("name", "body"),
    [
        ("a_b", {}),
        ("a.b", {}),
        ("x" * 128, {}),
        ("one", {"value": None}),
        ("one", {"value": "x" * (25 * 1024 + 1)}),
        ("one", {"value": "é" * (13 * 1024)}),
        ("one", {"tags": {str(number): "x" for number in range(16)}}),
        ("one", {"tags": {"k": "x" * 257}}),
        ("one", {"tags": {"k": 1}}),
        ("one", {"tags": ["k"]}),
        ("one", {"contentType": "x" * 256}),
        ("one", {"attributes": {"exp": "2031-01-01"}}),
        ("one", {"attributes": {"exp": 1.5}}),
        ("one", {"attributes": {"exp": 5, "nbf": 6}}),
        ("one", {"attributes": {"enabled": "yes"}}),
        ("one", {"colour": "x"}),
    ],
)
def test_what_breaks_a_limit_is_refused_and_nothing_is_stored(client: Client, name: str, body: dict[str, Any]) -> None:
    assert client.vault("PUT", f"/secrets/{name}", {"value": "v", **body}).status_code == 400
    assert client.vault("GET", "/secrets").json()["value"] == []


def test_what_just_keeps_a_limit_is_stored(client: Client) -> None:
    tags = {"x" * 255 + f"{number:x}": "x" * 256 for number in range(15)}
    assert put(client, "x" * 127, "x" * 25 * 1024, tags=tags, contentType="x" * 255).status_code == 200


def test_lists_show_no_values_and_come_in_pages(client: Client) -> None:
    for number in range(5):
        put(client, f"s{number}", "FRMARK-text")
        put(client, "versions")
    for path, expected in (("/secrets", 6), ("/secrets/versions/versions", 5)):
        response = client.vault("GET", path, maxresults="2")
        seen = response.json()["value"]
        while link := response.json()["nextLink"]:
            path_and_query = link.removeprefix(client.emulator.origin)
            response = client.vault("GET", path_and_query.partition("?")[0], **dict(_query(path_and_query)))
            assert "FRMARK" not in response.text
            seen += response.json()["value"]
        assert len({item["id"] for item in seen}) == len(seen) == expected
    assert client.vault("GET", "/secrets", maxresults="26").status_code == 400


def _query(link: str) -> list[tuple[str, str]]:
    pairs = (pair.partition("=") for pair in link.partition("?")[2].split("&"))
    return [(name.replace("%24", "$"), value) for name, _, value in pairs]


def test_a_deleted_name_cannot_be_set_until_it_is_recovered_or_purged(client: Client) -> None:
    put(client, value="a")
    deleted = client.vault("DELETE", "/secrets/one").json()
    assert deleted["recoveryId"].endswith("/deletedsecrets/one")
    assert deleted["scheduledPurgeDate"] - deleted["deletedDate"] == 90 * 86_400
    assert error(put(client)) == (409, "Conflict", "ObjectIsDeletedButRecoverable")
    assert error(client.vault("GET", "/secrets/one"))[:2] == (404, "SecretNotFound")
    assert client.vault("GET", "/secrets/one/versions").status_code == 404
    assert [item["recoveryId"] for item in client.vault("GET", "/deletedsecrets").json()["value"]]
    assert "value" not in client.vault("GET", "/deletedsecrets/one").json()
    assert client.vault("POST", "/deletedsecrets/one/recover").status_code == 200
    assert client.vault("GET", "/secrets/one").json()["value"] == "a"
    client.vault("DELETE", "/secrets/one")
    assert client.vault("DELETE", "/deletedsecrets/one").status_code == 204
    assert client.vault("GET", "/deletedsecrets/one").status_code == 404
    assert put(client).status_code == 200
    assert len(client.vault("GET", "/secrets/one/versions").json()["value"]) == 1


def test_deleting_and_recovering_can_take_a_while(client: Client, clock: ManualClock) -> None:
    client.emulator.faults.set(vault_transition=5)
    put(client)
    client.vault("DELETE", "/secrets/one")
    assert error(put(client)) == (409, "Conflict", "ObjectIsBeingDeleted")
    assert client.vault("GET", "/deletedsecrets/one").status_code == 404
    clock.sleep(5)
    assert error(put(client)) == (409, "Conflict", "ObjectIsDeletedButRecoverable")
    assert client.vault("POST", "/deletedsecrets/one/recover").status_code == 200
    assert client.vault("GET", "/secrets/one").status_code == 404
    assert error(put(client)) == (409, "Conflict", "ObjectIsBeingRecovered")
    clock.sleep(5)
    assert put(client).status_code == 200


def test_purge_protection_keeps_what_was_deleted(client: Client) -> None:
    client.emulator.faults.set(vault_purge_protected=True)
    put(client)
    client.vault("DELETE", "/secrets/one")
    assert error(client.vault("DELETE", "/deletedsecrets/one"))[:2] == (403, "Forbidden")
    assert client.vault("GET", "/deletedsecrets/one").json()["attributes"]["recoveryLevel"] == "Recoverable"


def test_what_is_not_there_is_not_found_and_unknown_addresses_are_refused(client: Client) -> None:
    for method in ("GET", "DELETE"):
        assert error(client.vault(method, "/secrets/none"))[:2] == (404, "SecretNotFound")
    put(client)
    assert client.vault("GET", f"/secrets/one/{'0' * 32}").status_code == 404
    assert client.vault("POST", "/secrets/one").status_code == 405
