from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from dev.emulator import SECRET_MARKER, Emulator
from dev.emulator.client import Client, ManualClock

if TYPE_CHECKING:
    import requests

UNKNOWN = "0a0a0a0a-0000-4000-8000-000000000001"


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def client(clock: ManualClock) -> Client:
    return Client(Emulator(now=clock.now, sleep=clock.sleep))


@pytest.fixture
def path(client: Client) -> str:
    return f"/applications/{client.create()['id']}"


def add(client: Client, path: str, **credential: Any) -> requests.Response:
    return client.graph("POST", f"{path}/addPassword", {"passwordCredential": credential})


def stored(client: Client, path: str) -> list[dict[str, Any]]:
    passwords: list[dict[str, Any]] = client.graph("GET", path).json()["passwordCredentials"]
    return passwords


def test_a_secret_is_shown_once_and_holds_the_marker(client: Client, path: str) -> None:
    response = add(client, path, displayName="label")
    body = response.json()
    assert response.status_code == 200
    assert len(body["secretText"]) == 40
    assert SECRET_MARKER in body["secretText"]
    assert body["hint"] == body["secretText"][:3]
    (listed,) = stored(client, path)
    assert listed == {key: value for key, value in body.items() if key != "@odata.context"} | {"secretText": None}
    assert SECRET_MARKER not in client.graph("GET", "/applications").text
    assert SECRET_MARKER not in client.session.get(f"{client.emulator.origin}/_emulator/state").text


def test_a_secret_lives_two_years_unless_an_end_is_given(client: Client, path: str) -> None:
    assert add(client, path).json()["endDateTime"] == "2032-01-01T00:00:00Z"
    assert add(client, path, endDateTime="2030-06-01T02:00:00+02:00").json()["endDateTime"] == "2030-06-01T00:00:00Z"


def test_a_secret_can_be_born_with_the_application(client: Client) -> None:
    created = client.create(passwordCredentials=[{"displayName": "first", "endDateTime": "2030-06-01T00:00:00Z"}])
    (password,) = created["passwordCredentials"]
    assert SECRET_MARKER in password["secretText"]
    assert stored(client, f"/applications/{created['id']}") == [{**password, "secretText": None}]


def test_an_inline_secret_can_be_left_out_of_the_answer_or_refused(client: Client) -> None:
    client.emulator.faults.set(inline_secret_omitted=True)
    (password,) = client.create(passwordCredentials=[{}])["passwordCredentials"]
    assert password["secretText"] is None
    client.emulator.faults.set(inline_secret_refused=True)
    body = {"displayName": "x", "passwordCredentials": [{}]}
    assert client.graph("POST", "/applications", body).status_code == 400
    client.create()


@pytest.mark.parametrize(
    "credential",
    [
        {"secretText": "chosen"},
        {"keyId": UNKNOWN},
        {"hint": "abc"},
        {"endDateTime": "2031-01-01"},
        {"endDateTime": "2031-01-01T00:00:00"},
        {"endDateTime": "2031-13-01T00:00:00Z"},
        {"endDateTime": "2029-12-31T00:00:00Z"},
        {"endDateTime": "2031-01-01T00:00:00Z", "startDateTime": "2031-01-01T00:00:00Z"},
        {"displayName": 5},
    ],
)
def test_a_secret_is_asked_for_by_label_and_dates_only(client: Client, path: str, credential: dict[str, Any]) -> None:
    assert add(client, path, **credential).status_code == 400
    body = {"displayName": "x", "passwordCredentials": [credential]}
    assert client.graph("POST", "/applications", body).status_code == 400
    assert stored(client, path) == []


def test_passwords_cannot_be_written_by_patch(client: Client, path: str) -> None:
    assert client.graph("PATCH", path, {"passwordCredentials": []}).status_code == 400


def test_the_actions_take_no_other_parameters(client: Client, path: str) -> None:
    assert client.graph("POST", f"{path}/addPassword", {"displayName": "x"}).status_code == 400
    assert client.graph("POST", f"{path}/removePassword", {"keyId": "x"}).status_code == 400
    assert client.graph("POST", f"{path}/removePassword", {}).status_code == 400


def test_secrets_are_added_and_removed_by_client_id_as_well(client: Client) -> None:
    created = client.create()
    path = f"/applications(appId='{created['appId']}')"
    key_id = add(client, path).json()["keyId"]
    assert client.graph("POST", f"{path}/removePassword", {"keyId": key_id}).status_code == 204
    assert stored(client, path) == []


def test_removing_an_unknown_secret_is_refused_with_the_words_that_clients_look_for(client: Client, path: str) -> None:
    response = client.graph("POST", f"{path}/removePassword", {"keyId": UNKNOWN})
    assert response.status_code == 400
    assert response.json()["error"]["message"].startswith("No password credential found with keyId")


def test_policies_on_secrets_hold_at_create_and_afterwards(client: Client, path: str) -> None:
    client.emulator.faults.set(password_lifetime_days=180)
    for response in (
        add(client, path),
        client.graph("POST", "/applications", {"displayName": "x", "passwordCredentials": [{}]}),
    ):
        assert response.status_code == 400
        assert response.json()["error"]["code"] == "CredentialInvalidLifetimeAsPerAppPolicy"
    assert add(client, path, endDateTime="2030-06-30T00:00:00Z").status_code == 200
    client.emulator.faults.set(password_addition_blocked=True)
    response = add(client, path, endDateTime="2030-02-01T00:00:00Z")
    assert response.json()["error"]["code"] == "CredentialTypeNotAllowedAsPerAppPolicy"


def test_personal_audiences_hold_two_secrets(client: Client) -> None:
    personal = {"signInAudience": "PersonalMicrosoftAccount", "api": {"requestedAccessTokenVersion": 2}}
    path = f"/applications/{client.create(**personal, passwordCredentials=[{}, {}])['id']}"
    assert add(client, path).status_code == 400


def certificate(start: datetime, days: int) -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client")])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = builder.not_valid_before(start).not_valid_after(start + timedelta(days=days)).sign(key, hashes.SHA256())
    return base64.b64encode(signed.public_bytes(serialization.Encoding.DER)).decode()


def key(text: str | None = None, **changes: Any) -> dict[str, Any]:
    return {"type": "AsymmetricX509Cert", "usage": "Verify", "displayName": "c", "key": text, **changes}


def test_a_certificate_is_kept_but_given_back_only_when_it_is_selected(client: Client, path: str) -> None:
    text = certificate(datetime(2030, 1, 1, tzinfo=UTC), 30)
    assert client.graph("PATCH", path, {"keyCredentials": [key(text)]}).status_code == 204
    (first,) = client.graph("GET", path).json()["keyCredentials"]
    assert (first["key"], first["endDateTime"]) == (None, "2030-01-31T00:00:00Z")
    assert client.graph("GET", f"{path}?$select=keyCredentials").json()["keyCredentials"][0]["key"] == text
    second = key(certificate(datetime(2030, 1, 1, tzinfo=UTC), 30))
    assert client.graph("PATCH", path, {"keyCredentials": [first, second]}).status_code == 204
    assert len(client.graph("GET", path).json()["keyCredentials"]) == 2
    assert client.graph("PATCH", path, {"keyCredentials": [second]}).status_code == 204
    assert first["keyId"] not in client.graph("GET", path).text


@pytest.mark.parametrize(
    "item",
    [
        key("not base64!"),
        key(base64.b64encode(b"no certificate").decode()),
        key(None),
        key(None, keyId=UNKNOWN),
        key(certificate(datetime(2030, 1, 1, tzinfo=UTC), 30), endDateTime="2031-01-01T00:00:00Z"),
        key(certificate(datetime(2030, 1, 1, tzinfo=UTC), 30), type="Symmetric"),
        key(certificate(datetime(2030, 1, 1, tzinfo=UTC), 30), usage="Sign"),
    ],
)
def test_what_is_no_certificate_is_refused(client: Client, path: str, item: dict[str, Any]) -> None:
    assert client.graph("PATCH", path, {"keyCredentials": [item]}).status_code == 400


def test_nobody_but_entra_gives_the_credentials_of_a_new_application_their_key_ids(client: Client) -> None:
    certificates = [key(certificate(datetime(2030, 1, 1, tzinfo=UTC), 30), keyId=UNKNOWN)]
    passwords = [{"displayName": "first", "keyId": UNKNOWN}]
    for credentials in ({"keyCredentials": certificates}, {"passwordCredentials": passwords}):
        response = client.graph("POST", "/applications", {"displayName": "x", **credentials})
        assert response.status_code == 400, response.text


def federated(**changes: Any) -> dict[str, Any]:
    basics = {"name": "ci", "issuer": "https://token.example", "subject": "repo:a/b:ref:refs/heads/main"}
    return {**basics, "name": "main-branch", "audiences": ["api://AzureADTokenExchange"], **changes}


def test_federated_credentials_are_created_listed_and_deleted(client: Client, path: str) -> None:
    url = f"{path}/federatedIdentityCredentials"
    created = client.graph("POST", url, federated())
    assert created.status_code == 201
    (listed,) = client.graph("GET", url).json()["value"]
    assert listed["id"] == created.json()["id"]
    assert client.graph("DELETE", f"{url}/main-branch").status_code == 204
    assert client.graph("DELETE", f"{url}/main-branch").status_code == 404
    assert client.graph("GET", url).json()["value"] == []


def test_a_federated_credential_is_read_and_changed_by_its_id_and_by_its_name(client: Client, path: str) -> None:
    url = f"{path}/federatedIdentityCredentials"
    created = client.graph("POST", url, federated()).json()
    for number, one in enumerate((f"{url}/{created['id']}", f"{url}/main-branch", f"{url}(name='main-branch')")):
        assert client.graph("GET", one).json()["id"] == created["id"]
        assert client.graph("PATCH", one, {"subject": f"s{number}"}).status_code == 204
        assert client.graph("GET", one).json()["subject"] == f"s{number}"
        assert client.graph("PATCH", one, {"name": "other"}).status_code == 400
        assert client.graph("PATCH", one, {"audiences": []}).status_code == 400
    assert client.graph("GET", f"{url}/other").status_code == 404
    assert client.graph("PATCH", f"{url}/other", {"subject": "s"}).status_code == 404
    client.graph("POST", url, federated(name="second", subject="taken"))
    assert client.graph("PATCH", f"{url}/main-branch", {"subject": "taken"}).status_code == 409


def test_a_federated_credential_is_made_by_its_name_if_it_is_missing_and_changed_if_it_is_not(
    client: Client, path: str
) -> None:
    one = f"{path}/federatedIdentityCredentials(name='main-branch')"
    body = {name: value for name, value in federated().items() if name != "name"}
    for status in (201, 204):
        response = client.graph("PATCH", one, body, Prefer="create-if-missing")
        assert response.status_code == status, response.text
    assert client.graph("GET", one).json()["name"] == "main-branch"


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "ab"},
        {"name": "-ab"},
        {"name": "a b c"},
        {"name": "x" * 121},
        {"issuer": "http://token.example"},
        {"issuer": "token.example"},
        {"issuer": "https://token.example/" + "x" * 600},
        {"subject": ""},
        {"subject": "repo:*"},
        {"subject": "x" * 601},
        {"audiences": []},
        {"audiences": ["a", "b"]},
        {"audiences": "a"},
        {"description": "x" * 601},
        {"claims": {}},
    ],
)
def test_a_federated_credential_keeps_to_its_rules(client: Client, path: str, changes: dict[str, Any]) -> None:
    url = f"{path}/federatedIdentityCredentials"
    assert client.graph("POST", url, federated(**changes)).status_code == 400


def test_name_and_subject_of_federated_credentials_are_unique_and_20_are_the_most(client: Client, path: str) -> None:
    url = f"{path}/federatedIdentityCredentials"
    for number in range(20):
        unique = federated(name=f"name-{number}", subject=f"subject-{number}")
        assert client.graph("POST", url, unique).status_code == 201
    assert client.graph("POST", url, federated(name="name-1")).status_code == 409
    assert client.graph("POST", url, federated(subject="subject-1")).status_code == 409
    assert client.graph("POST", url, federated()).status_code == 400
