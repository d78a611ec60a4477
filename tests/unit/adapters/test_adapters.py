"""What the adapters make of answers that are late, odd or not from where they should be."""

import json
import logging
import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import requests
from azure.core.credentials import AccessToken
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict

from dev.emulator import SECRET_MARKER, Fault
from provisioning.adapters.transport import BearerToken, new_session, retry_after, sdk_options
from provisioning.domain.errors import NeedsOperator, OutcomeUnknown, PublishBoundPassed, TryAgain
from provisioning.domain.secrets import MintedSecret
from provisioning.flow.mint import mint, publish
from tests.worlds.checker import check
from tests.worlds.leaks import leaked
from tests.worlds.request_bodies import a_public_client, a_resource, a_service_client
from tests.worlds.world import World

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)


@pytest.fixture
def world() -> World:
    world = World()
    world.registered(a_resource())
    return world


def answering(name: str, status: int, body: bytes, times: int = 1, **headers: str) -> Callable[..., Any]:
    """Answer the named outside call so often with something else than the emulator would."""
    left = [times]

    def outside(called: str, action: Callable[[], Any]) -> Any:
        if called != name or not left[0]:
            return action()
        left[0] -= 1
        response = requests.Response()
        response.status_code = status
        response._content = body  # noqa: SLF001 -- requests has no other way to make one
        response.headers = CaseInsensitiveDict({"Content-Type": "text/html"} | headers)
        return response

    return outside


def submitted(world: World, body: dict[str, Any]) -> str:
    return str(json.loads(world.post(body).body)["registrationId"])


TOKEN = "POST /*/*/*/token"


@pytest.mark.parametrize("status", [200, 400, 403, 404, 502])
def test_a_page_that_quotes_the_request_is_neither_logged_nor_taken_for_an_answer(
    world: World, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    def quoting(called: str, action: Callable[[], Any]) -> Any:
        answer = action()
        if called == TOKEN and SECRET_MARKER not in seen:
            seen.append(SECRET_MARKER)
            answer.status_code = status
            answer._content = b"<html>blocked: " + str(answer.request.body).encode()  # noqa: SLF001 -- as above
        return answer

    seen: list[str] = []
    caplog.set_level(logging.DEBUG)
    world.outside = quoting
    world.registered(a_service_client())
    assert seen
    assert not leaked(caplog.text)
    check(world)


@pytest.mark.parametrize("body", [b"null", b"[]", b'"text"', b"{}", b"12", b"{", b""])
def test_a_token_answer_that_says_nothing_is_no_refusal(world: World, body: bytes) -> None:
    world.outside = answering(TOKEN, 200, body)
    world.registered(a_service_client())
    check(world)


def test_a_page_in_place_of_the_discovery_document_is_not_kept() -> None:
    world = World()
    world.registered(a_resource())
    world.outside = answering("GET /*/*/.well-known/openid-configuration", 200, b"<html>", times=2)
    world.registered(a_service_client())
    assert world.clock.now() - NOW < timedelta(minutes=1)


def test_an_unknown_tenant_fails_at_once_with_the_settings_to_check(world: World) -> None:
    error = {"error": "invalid_tenant", "error_description": "AADSTS90002: Tenant not found.", "error_codes": [90002]}
    name = "GET /*/*/.well-known/openid-configuration"
    world.outside = answering(name, 400, json.dumps(error).encode(), times=99)
    registration_id = submitted(world, a_service_client())
    world.deliver()
    failure = world.row(registration_id).operation.failure
    assert failure is not None
    assert (failure.code, "AZURE_TENANT_ID" in failure.remedy) == ("authority-refused", True)


@pytest.mark.parametrize("status", [408, 500, 503])
def test_a_mint_that_may_have_happened_is_never_repeated_in_the_same_delivery(world: World, status: int) -> None:
    world.emulator.faults.set(inline_secret_omitted=True)
    world.emulator.faults.add(Fault("status", "graph.addPassword", "after", status=status, times=3))
    submitted(world, a_service_client())
    world.deliver()
    assert world.mints == 1
    world.emulator.faults.clear()
    world.settle()
    check(world)


@pytest.mark.parametrize("missing", ["secretText", "keyId"])
def test_a_minted_secret_that_nobody_can_use_is_an_unknown_outcome(world: World, missing: str) -> None:
    client = world.registered(a_service_client())
    answer = {"secretText": "x", "keyId": "y", "endDateTime": None}
    del answer[missing]
    world.outside = answering("POST /*/applications/*/addPassword", 200, json.dumps(answer).encode())
    with pytest.raises(OutcomeUnknown):
        world.services.directory.add_secret(client["applicationObjectId"], "registrar:x", NOW + timedelta(days=1))


def test_the_end_that_was_asked_for_stands_where_the_answer_names_none(world: World) -> None:
    client = world.registered(a_service_client())
    body = json.dumps({"secretText": "x", "keyId": "y"}).encode()
    world.outside = answering("POST /*/applications/*/addPassword", 200, body)
    end = NOW + timedelta(days=1)
    assert world.services.directory.add_secret(client["applicationObjectId"], "registrar:x", end).expires_at == end


def test_the_clock_is_read_after_the_challenge_and_directly_before_the_publication() -> None:
    world = World(origin="https://another-vault:8443")
    not_after = world.clock.now() + timedelta(minutes=1)
    secret = MintedSecret("key", not_after + timedelta(days=1), world.clock.now(), text="text")

    def slow_challenge(name: str, action: Callable[[], Any]) -> Any:
        answer = action()
        if name.startswith("PUT /secrets/") and answer.status_code == 401:
            world.clock.sleep(61)
        return answer

    world.outside = slow_challenge
    with pytest.raises(PublishBoundPassed):
        world.services.vault.publish("name", secret, {}, not_after)
    assert "name" not in world.emulator.vault.secrets


def test_a_secret_whose_bound_passed_before_any_attempt_is_removed_and_never_published(world: World) -> None:
    client = world.registered(a_service_client())
    row = world.row(client["registrationId"])
    minted = mint(world.services, row)
    world.clock.sleep(world.services.secrets.publish_bound.total_seconds() + 1)
    with pytest.raises(PublishBoundPassed):
        publish(world.services, row, minted)
    application = world.emulator.directory.application(app_id=client["clientId"])
    assert application is not None
    assert [each.key_id for each in application.passwords if each.removed_at is None] == [client["secret"]["keyId"]]
    check(world)


def test_a_secret_that_may_have_been_published_is_not_removed_when_its_bound_passes(world: World) -> None:
    client = world.registered(a_service_client())
    row = world.row(client["registrationId"])
    minted, bound = mint(world.services, row), world.services.secrets.publish_bound
    world.emulator.faults.add(Fault("status", "vault.setSecret", status=503))

    def late(name: str, action: Callable[[], Any]) -> Any:
        world.clock.time += bound if name == "GET /secrets/*/" else timedelta()
        return action()

    world.outside = late
    with pytest.raises(PublishBoundPassed):
        publish(world.services, row, minted)
    application = world.emulator.directory.application(app_id=client["clientId"])
    assert application is not None
    assert minted.key_id in [each.key_id for each in application.passwords if each.removed_at is None]


def test_a_vault_that_stays_away_is_asked_until_the_bound_and_not_waited_for_beyond_it(world: World) -> None:
    row = world.row(world.registered(a_service_client())["registrationId"])
    minted, bound = mint(world.services, row), world.services.secrets.publish_bound
    world.emulator.faults.add(Fault("status", "vault.setSecret", times=None, status=503))
    world.emulator.calls.clear()
    with pytest.raises(TryAgain):
        publish(world.services, row, minted)
    assert world.clock.now() <= minted.minted_at + bound
    assert sum(call.operation == "vault.setSecret" for call in world.emulator.calls) > 2


def test_after_an_unknown_publication_a_failing_read_does_not_cost_the_proven_secret(world: World) -> None:
    world.emulator.faults.add(Fault("reset", "vault.setSecret", "after"))
    world.emulator.faults.add(Fault("status", "vault.getSecret", skip=1, status=503))
    world.registered(a_service_client())
    assert world.mints == 0
    check(world)


def test_a_retry_after_of_the_token_endpoint_is_obeyed(world: World) -> None:
    world.emulator.faults.add(Fault("throttle", "token.clientCredentials", retry_after=40))
    world.registered(a_service_client())
    assert max(world.clock.slept) >= 40


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("2.5", 2.5),
        ("-3", 0.0),
        ("999999", 3600.0),
        ("Thu, 15 Jan 2026 12:00:30 GMT", 30.0),
        ("Thu, 15 Jan 2026 11:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
    ],
)
def test_a_retry_after_is_read_in_each_form_and_bounded(value: str, seconds: float | None) -> None:
    assert retry_after(CaseInsensitiveDict({"retry-after": value}), NOW) == seconds


def test_without_a_retry_after_there_is_none() -> None:
    assert retry_after({}, NOW) is None


@pytest.mark.parametrize("first", ["uniqueName", "identifierUris"])
def test_our_own_resource_is_adopted_whichever_of_its_names_graph_says_is_taken(first: str) -> None:
    world = World()
    world.emulator.faults.add(Fault("reset", "graph.createApplication", "after"))
    message = f"Another object with the same value for property {first} already exists."
    body = json.dumps({"error": {"code": "Request_BadRequest", "message": message}}).encode()
    calls = []

    def outside(name: str, action: Callable[[], Any]) -> Any:
        if name == "POST /*/applications":
            calls.append(name)
            if len(calls) == 2:
                return answering(name, 400, body)(name, action)
        return action()

    world.outside = outside
    world.registered(a_resource())
    check(world)


def test_an_identifier_uri_of_a_foreign_application_fails_at_once(world: World) -> None:
    message = "Another object with the same value for property identifierUris already exists."
    body = json.dumps({"error": {"code": "Request_BadRequest", "message": message}}).encode()
    world.outside = answering("POST /*/applications", 400, body, times=2)
    registration_id = submitted(world, a_resource(fhirServerUrl="https://other.example"))
    world.deliver()
    failure = world.row(registration_id).operation.failure
    assert failure is not None
    assert failure.code == "identifier-uri-taken"
    assert world.clock.slept == []


def test_a_create_call_that_nobody_knows_fails_at_once(world: World) -> None:
    body = json.dumps({"error": {"code": "Request_ResourceNotFound", "message": "Resource not found."}}).encode()
    world.outside = answering("POST /*/applications", 404, body, times=2)
    registration_id = submitted(world, a_public_client())
    world.deliver()
    failure = world.row(registration_id).operation.failure
    assert failure is not None
    assert (failure.code, "REGISTRAR_OBJECT_ID" in failure.remedy) == ("graph-not-found", True)


def test_a_deletion_says_whether_there_was_anything_to_delete(world: World) -> None:
    directory = world.services.directory
    made = directory.create_application({"displayName": "An application", "signInAudience": "AzureADMyOrg"})
    assert directory.delete_application(made.object_id)
    assert not directory.delete_application(made.object_id)
    world.emulator.faults.add(Fault("status", "graph.deleteApplication", status=403))
    with pytest.raises(NeedsOperator):
        directory.delete_application(made.object_id)


class Identity:
    """An identity with one token, whatever it is for."""

    def __init__(self, token: str) -> None:
        self._token = AccessToken(token, 2_000_000_000)

    def get_token(self, *_: str, **__: Any) -> AccessToken:
        return self._token


@pytest.mark.parametrize("token", ["opaque", "a.W10.c", "a.bnVsbA.c"])
def test_a_token_that_says_nothing_of_its_holder_is_an_error_and_nobodys(token: str) -> None:
    assert BearerToken(Identity("a.eyJvaWQiOiAieCJ9.c"), "scope").claims() == {"oid": "x"}
    with pytest.raises(ValueError, match="no claims"):
        BearerToken(Identity(token), "scope").claims()


def test_a_client_of_azures_that_is_closed_leaves_the_session_to_the_others() -> None:
    with requests.Session() as session:
        transport = sdk_options(session)["transport"]
        transport.close()
        assert transport.session is session


@pytest.mark.parametrize("url", ["https://graph.microsoft.com/", "http://127.0.0.1/"])
def test_no_request_is_repeated_by_a_library(url: str) -> None:
    adapter = new_session(ssl.create_default_context(), 4).get_adapter(url)
    assert isinstance(adapter, HTTPAdapter)
    assert (adapter.max_retries.total, adapter.max_retries.read) == (0, False)
