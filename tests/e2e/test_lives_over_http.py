"""Registrations live, as their owners see it: the real host process, real storage, the emulator over TLS, and HTTP."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import jwt
import msal
import pytest
import requests

from dev.stack import stack
from tests.e2e.caller import PATIENCE, Caller, example
from tests.worlds.certificates import a_certificate
from tests.worlds.request_bodies import a_confidential_client, a_resource, a_service_client

OVERLAP = 8
SETTINGS = {"SECRET_OVERLAP": f"PT{OVERLAP}S", "PLANNER_SCHEDULE": "* * * * * *"}


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    folder = tmp_path_factory.mktemp("lives")
    with stack(folder, log_file=folder / "host.log", app_settings=SETTINGS) as running:
        caller = Caller(running, folder / "host.log")
        caller.registered(example("resource"))
        yield caller


def path_of(registration: dict[str, Any]) -> str:
    return f"/registrations/{registration['registrationId']}"


def succeeded(caller: Caller, accepted: requests.Response, operation: str) -> dict[str, Any]:
    ended = caller.ended(accepted)
    assert (ended["operation"]["type"], ended["operation"]["status"]) == (operation, "succeeded"), ended
    return ended


def by_msal(caller: Caller, client: dict[str, Any], credential: dict[str, Any]) -> bool:
    """Whether a client with that credential gets a token, by the library that a client would use."""
    application = msal.ConfidentialClientApplication(
        client["clientId"],
        client_credential=credential,
        oidc_authority=client["oauth"]["authority"],
        http_client=caller.http,
    )
    return "access_token" in application.acquire_token_for_client([client["oauth"]["scope"]])


def test_a_rotated_secret_works_beside_the_new_one_through_the_overlap_and_not_after_it(caller: Caller) -> None:
    client = caller.registered(a_service_client())
    old = caller.stored_secret(client)
    asked = time.monotonic()
    rotated = succeeded(caller, caller.post({}, path=f"{path_of(client)}/rotate"), "rotate")
    new, published_by = caller.stored_secret(rotated), time.monotonic()
    assert new != old
    assert rotated["secret"]["keyId"] != client["secret"]["keyId"]
    assert caller.accepts(client, old)
    while caller.accepts(client, old):
        assert caller.accepts(client, new)
        assert time.monotonic() < published_by + PATIENCE
        time.sleep(0.1)
    assert time.monotonic() > asked + OVERLAP
    assert caller.accepts(client, new)


def test_a_leaked_secret_is_refused_once_its_revocation_has_succeeded(caller: Caller) -> None:
    client = caller.registered(a_service_client())
    leaked = caller.stored_secret(client)
    application = caller.running.azure.emulator.directory.application(app_id=client["clientId"])
    assert application is not None
    application.passwords[0].start -= timedelta(hours=1)  # a younger one could still be published, and waits a minute
    revoked = succeeded(caller, caller.post({"revokePrevious": True}, path=f"{path_of(client)}/rotate"), "rotate")
    assert not caller.accepts(client, leaked)
    assert caller.accepts(client, caller.stored_secret(revoked))


def test_a_change_of_a_confidential_client_reaches_entra(caller: Caller) -> None:
    client = caller.registered(a_confidential_client())
    uris = ["https://app.contoso.example/new", "http://localhost:5000/new"]
    changed = succeeded(caller, caller.patch(path_of(client), {"displayName": "New", "redirectUris": uris}), "change")
    application = caller.graph("GET", f"/applications/{client['applicationObjectId']}")
    assert (application["displayName"], application["web"]["redirectUris"]) == ("New", uris)
    assert (changed["displayName"], changed["redirectUris"]) == ("New", uris)
    assert caller.accepts(client, caller.stored_secret(client))


def test_a_fhir_server_can_be_registered_again_once_its_registration_is_deleted(caller: Caller) -> None:
    body = a_resource(fhirServerUrl="https://moved.contoso.example")
    first = caller.registered(body)
    assert caller.post(body).status_code == 409
    deleted = succeeded(caller, caller.delete(path_of(first)), "delete")
    assert deleted["status"] == "deleted"
    second = caller.registered(body)
    assert second["clientId"] != first["clientId"]
    client = caller.registered(a_service_client(resource="https://moved.contoso.example"))
    claims = jwt.decode(caller.token(client, client["oauth"]["scope"]), options={"verify_signature": False})
    assert claims["aud"] == second["fhirServerSettings"]["FhirServer__Security__Authentication__Audience"]


def test_a_federated_client_exchanges_a_token_of_its_platform(caller: Caller) -> None:
    client = caller.registered(example("service-federated"))
    trusted = client["credential"]
    claims = {"iss": trusted["issuer"], "sub": trusted["subject"], "aud": trusted["audience"]}
    claims["exp"] = datetime.now(UTC) + timedelta(minutes=5)
    another = claims | {"sub": "repo:contoso/another:environment:test"}
    assert client["secret"] is None
    assert by_msal(caller, client, {"client_assertion": partial(jwt.encode, claims, "k" * 32)})
    assert not by_msal(caller, client, {"client_assertion": partial(jwt.encode, another, "k" * 32)})


def test_a_client_with_a_certificate_signs_in_with_its_key(caller: Caller) -> None:
    pair = a_certificate(datetime.now(UTC).replace(microsecond=0) - timedelta(days=1))
    client = caller.registered(a_service_client(credential={"type": "certificate", "certificate": pair.pem}))
    assert client["secret"] is None
    assert by_msal(caller, client, {"private_key": pair.private_pem, "public_certificate": pair.pem})


def test_a_reconciliation_fired_by_hand_finds_what_somebody_did_in_entra(caller: Caller) -> None:
    client = caller.registered(a_service_client())
    added = {"passwordCredential": {"displayName": "by hand"}}
    caller.graph("POST", f"/applications/{client['applicationObjectId']}/addPassword", added)
    origin = caller.running.host.origin
    fired = caller.http.post(f"{origin}/admin/functions/reconcile", json={"input": ""}, timeout=10)
    assert fired.status_code == 202
    deadline = time.monotonic() + PATIENCE
    while not (findings := caller.get(path_of(client)).json()["findings"]):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [finding["code"] for finding in findings] == ["foreign-credentials"]
