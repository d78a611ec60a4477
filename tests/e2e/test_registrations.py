"""The product as a user meets it: the real host process, real storage, the emulator over TLS, and HTTP only."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import jwt
import pytest
from azure.data.tables import TableServiceClient
from azure.storage.queue import QueueClient

from dev.stack import stack
from tests.e2e.caller import PATIENCE, Caller, example
from tests.worlds.leaks import leaked
from tests.worlds.request_bodies import a_public_client, a_resource, a_service_client


@pytest.fixture(scope="module")
def caller(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Caller]:
    folder = tmp_path_factory.mktemp("stack")
    with stack(folder, log_file=folder / "host.log") as running:
        caller = Caller(running, folder / "host.log")
        caller.registered(example("resource"))
        yield caller


@pytest.mark.parametrize("client_type", ["confidential", "public", "service"])
def test_each_example_ends_active(caller: Caller, client_type: str) -> None:
    registration = caller.registered(example(client_type))
    assert registration["clientType"] == client_type
    assert (registration["secret"] is None) == (client_type == "public")
    assert registration["nextSteps"]


def test_the_service_clients_secret_from_the_vault_gets_a_token(caller: Caller) -> None:
    client = caller.registered(a_service_client())
    claims = jwt.decode(caller.token(client, client["oauth"]["scope"]), options={"verify_signature": False})
    assert claims["appid"] == client["clientId"]
    assert claims["aud"] == "https://fhir.contoso.example"


def test_the_public_client_has_no_credential_in_entra(caller: Caller) -> None:
    client = caller.registered(a_public_client())
    [application] = [each for each in caller.state()["applications"] if each["appId"] == client["clientId"]]
    assert application["passwords"] == []


@pytest.mark.parametrize("version", [1, 2])
def test_a_token_for_the_resource_passes_the_fhir_servers_own_check_with_the_settings_of_the_answer(
    caller: Caller, version: int
) -> None:
    resource = caller.registered(
        a_resource(fhirServerUrl=f"https://v{version}.contoso.example/fhir", accessTokenVersion=version)
    )
    client = caller.registered(a_service_client(resource=resource["registrationId"]))
    settings = resource["fhirServerSettings"]
    authority = settings["FhirServer__Security__Authentication__Authority"]
    metadata = caller.http.get(f"{authority}/.well-known/openid-configuration", timeout=10).json()
    token = caller.token(client, resource["oauth"]["scope"])
    keys = caller.http.get(metadata["jwks_uri"], timeout=10).json()["keys"]
    [key] = [jwt.PyJWK(each) for each in keys if each["kid"] == jwt.get_unverified_header(token)["kid"]]
    claims = jwt.decode(
        token,
        key,
        algorithms=["RS256"],
        audience=settings["FhirServer__Security__Authentication__Audience"],
        issuer=metadata["issuer"],
        options={"require": ["exp", "iss", "aud"]},
    )
    assert claims["ver"] == f"{version}.0"


def test_the_same_idempotency_key_sent_twenty_times_at_once_is_one_registration_and_one_application(
    caller: Caller,
) -> None:
    body = a_service_client(displayName="Twenty at once")
    with ThreadPoolExecutor(20) as callers:
        answers = list(callers.map(lambda _: caller.post(body, key="twenty-at-once"), range(20)))
    assert {answer.status_code for answer in answers} == {202}
    [registration_id] = {answer.json()["registrationId"] for answer in answers}
    deadline = time.monotonic() + PATIENCE
    while caller.get(f"/registrations/{registration_id}").json()["status"] != "active":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    applications = [each for each in caller.state()["applications"] if each["displayName"] == "Twenty at once"]
    assert len(applications) == 1
    assert len(applications[0]["passwords"]) == 1


def test_a_refused_request_is_a_problem_document_and_leaves_nothing_in_storage_or_in_entra(caller: Caller) -> None:
    before = (caller.state(), rows(caller), queued(caller))
    answer = caller.post(
        {"clientType": "public", "platform": "spa", "redirectUris": ["http://x.example/*#y"], "secret": 1}
    )
    assert (answer.status_code, answer.headers["Content-Type"]) == (400, "application/problem+json")
    assert {"uri-wildcard", "uri-fragment", "uri-not-https", "required", "field-not-allowed"} <= {
        error["code"] for error in answer.json()["errors"]
    }
    too_large = caller.http.post(
        f"{caller.running.api}/registrations",
        data=b"x" * 70_000,
        headers={"Content-Type": "application/json"},
        timeout=30,
    )
    assert (too_large.status_code, too_large.json()["code"]) == (413, "body-too-large")
    assert (caller.state(), rows(caller), queued(caller)) == before


def rows(caller: Caller) -> int:
    with TableServiceClient.from_connection_string(caller.running.storage.connection_string) as service:
        return sum(len(list(service.get_table_client(table.name).list_entities())) for table in service.list_tables())


def queued(caller: Caller) -> int | None:
    with QueueClient.from_connection_string(caller.running.storage.connection_string, "registrations") as queue:
        return queue.get_queue_properties().approximate_message_count


def test_a_list_shows_what_was_registered_page_by_page(caller: Caller) -> None:
    caller.registered(a_public_client())
    caller.registered(a_public_client())
    first = caller.get("/registrations?clientType=public&top=1").json()
    assert len(first["value"]) == 1
    second = caller.get(f"/registrations?clientType=public&top=1&continuationToken={first['continuationToken']}").json()
    assert second["value"][0]["registrationId"] != first["value"][0]["registrationId"]


def test_a_dry_run_stores_nothing_and_shows_the_body_for_graph(caller: Caller) -> None:
    before = (caller.state(), rows(caller), queued(caller))
    answer = caller.post(a_service_client(), path="/registrations?dryRun=true")
    assert answer.status_code == 200
    assert answer.json()["application"]["signInAudience"] == "AzureADMyOrg"
    assert (caller.state(), rows(caller), queued(caller)) == before


def test_the_description_the_page_and_the_health_are_served(caller: Caller) -> None:
    assert caller.get("/openapi.json").json()["openapi"] == "3.1.0"
    assert caller.get("/docs").headers["Content-Type"].startswith("text/html")
    assert caller.get("/health").json() == {"status": "alive"}


def test_no_secret_and_no_token_is_in_the_hosts_log_or_the_tables(caller: Caller) -> None:
    caller.registered(a_service_client())
    assert "ensure_secret" in caller.log.read_text(), "the log was not read"
    assert not leaked(caller.log.read_text())
    with TableServiceClient.from_connection_string(caller.running.storage.connection_string) as service:
        entities = [
            str(dict(entity))
            for table in service.list_tables()
            for entity in service.get_table_client(table.name).list_entities()
        ]
    assert entities
    assert not any(map(leaked, entities))
