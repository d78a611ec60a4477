"""Eventual consistency: what replicas and the token endpoint do not know yet."""

from __future__ import annotations

from typing import Any

import pytest

from dev.emulator import Emulator
from dev.emulator.client import Client, ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def client(clock: ManualClock) -> Client:
    return Client(Emulator(now=clock.now, sleep=clock.sleep))


def test_a_lone_replica_learns_of_every_write_after_the_lag(client: Client, clock: ManualClock) -> None:
    client.emulator.faults.set(replication_lag=10)
    created = client.create(uniqueName="n", tags=["old"], passwordCredentials=[{}])
    path = f"/applications/{created['id']}"
    calls: list[tuple[str, str, Any]] = [
        ("GET", "", None),
        ("PATCH", "", {"tags": []}),
        ("POST", "/addPassword", {}),
        ("POST", "/removePassword", {"keyId": created["passwordCredentials"][0]["keyId"]}),
        ("DELETE", "", None),
    ]
    for method, tail, body in calls:
        response = client.graph(method, path + tail, body)
        assert (response.status_code, response.json()["error"]["code"]) == (404, "Request_ResourceNotFound")
    assert client.graph("GET", "/applications").json()["value"] == []
    taken = client.graph("POST", "/applications", {"displayName": "x", "uniqueName": "n"})
    assert taken.status_code == 400
    assert client.graph("GET", "/applications(uniqueName='n')").status_code == 404
    clock.sleep(10)
    assert client.graph("PATCH", path, {"tags": ["new"]}).status_code == 204
    assert client.graph("GET", path).json()["tags"] == ["old"]
    clock.sleep(10)
    assert client.graph("GET", path).json()["tags"] == ["new"]
    assert client.graph("DELETE", path).status_code == 204
    assert client.graph("GET", path).status_code == 200
    clock.sleep(10)
    assert client.graph("GET", path).status_code == 404


def test_a_service_principal_for_an_unseen_application_is_refused_in_two_misleading_ways(
    client: Client, clock: ManualClock
) -> None:
    client.emulator.faults.set(replication_lag=10)
    body = {"appId": client.create()["appId"]}
    answers = [client.graph("POST", "/servicePrincipals", body) for _ in range(3)]
    assert [answer.status_code for answer in answers] == [400, 403, 400]
    assert answers[0].json()["error"]["details"][0]["code"] == "NoBackingApplicationObject"
    assert "backing application" in answers[1].json()["error"]["message"]
    for choice, status in (("forbidden", 403), ("badRequest", 400)):
        client.emulator.faults.set(unreplicated_principal=choice)
        assert client.graph("POST", "/servicePrincipals", body).status_code == status
    clock.sleep(10)
    principal = client.graph("POST", "/servicePrincipals", body)
    assert principal.status_code == 201
    assert client.graph("POST", "/servicePrincipals", body).status_code == 409
    assert client.graph("GET", f"/servicePrincipals/{principal.json()['id']}").status_code == 404


def test_a_personal_application_cannot_be_changed_until_every_replica_has_it(
    client: Client, clock: ManualClock
) -> None:
    client.emulator.faults.set(replication_lag=10, replicas=2)
    personal = {"signInAudience": "PersonalMicrosoftAccount", "api": {"requestedAccessTokenVersion": 2}}
    path = f"/applications/{client.create(**personal)['id']}"
    answers = [client.graph("PATCH", path, {"tags": []}) for _ in range(2)]
    assert {answer.json()["error"]["code"] for answer in answers} == {
        "Request_ResourceNotFound",
        "Error_MsaAppDoesNotExist",
    }
    clock.sleep(10)
    assert client.graph("PATCH", path, {"tags": []}).status_code == 204


def test_an_unseen_secret_is_reported_as_absent_when_it_is_removed(client: Client, clock: ManualClock) -> None:
    path = f"/applications/{client.create()['id']}"
    client.emulator.faults.set(replication_lag=10)
    clock.sleep(10)
    key_id = client.graph("POST", f"{path}/addPassword", {}).json()["keyId"]
    removal = {"keyId": key_id}
    response = client.graph("POST", f"{path}/removePassword", removal)
    assert response.status_code == 400
    assert "No password credential found with keyId" in response.json()["error"]["message"]
    clock.sleep(10)
    assert client.graph("POST", f"{path}/removePassword", removal).status_code == 204
    assert client.graph("POST", f"{path}/removePassword", removal).status_code == 400


def test_successive_requests_reach_different_replicas(client: Client, clock: ManualClock) -> None:
    client.emulator.faults.set(replication_lag=10, replicas=3)
    path = f"/applications/{client.create()['id']}"

    def seen() -> list[bool]:
        return [client.graph("GET", path).status_code == 200 for _ in range(6)]

    assert sum(seen()) == 2
    assert seen()[:3] == seen()[3:]
    clock.sleep(5)
    assert sum(seen()) == 4
    clock.sleep(5)
    assert sum(seen()) == 6


def test_the_token_endpoint_needs_the_application_and_its_service_principal_replicated(
    client: Client, clock: ManualClock
) -> None:
    client_id, secret = client.create_client()
    client.emulator.faults.set(replication_lag=10)
    assert client.sign_in(client_id, secret).json()["error_codes"] == [700016]
    clock.sleep(10)
    assert client.sign_in(client_id, secret).status_code == 200
    late = client.create(passwordCredentials=[{}])
    clock.sleep(10)
    client.graph("POST", "/servicePrincipals", {"appId": late["appId"]})
    late_secret = late["passwordCredentials"][0]["secretText"]
    assert client.sign_in(late["appId"], late_secret).json()["error_codes"] == [7000229]
    clock.sleep(10)
    assert client.sign_in(late["appId"], late_secret).status_code == 200


def test_a_new_secret_is_refused_then_wavers_then_holds_and_so_does_its_removal(
    client: Client, clock: ManualClock
) -> None:
    client.emulator.faults.set(secret_propagation=10, flapping=10)
    client_id, secret = client.create_client()

    def accepted() -> list[bool]:
        return [client.sign_in(client_id, secret).status_code == 200 for _ in range(4)]

    assert accepted() == [False] * 4
    clock.sleep(10)
    assert accepted() == [True, False, True, False]
    clock.sleep(10)
    assert accepted() == [True] * 4
    path = f"/applications(appId='{client_id}')"
    key_id = client.graph("GET", path).json()["passwordCredentials"][0]["keyId"]
    client.graph("POST", f"{path}/removePassword", {"keyId": key_id})
    assert accepted() == [True] * 4
    clock.sleep(10)
    assert sum(accepted()) == 2
    clock.sleep(10)
    assert accepted() == [False] * 4
