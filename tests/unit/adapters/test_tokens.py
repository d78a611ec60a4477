"""What the token endpoint says of a secret, told apart by status, error and code; and how often it is asked."""

import base64
import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from dev.emulator import Fault
from provisioning.domain.errors import NeedsOperator, ProvisioningError, TryAgain
from provisioning.domain.secrets import MintedSecret
from tests.unit.adapters.test_adapters import TOKEN, answering
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.world import World

DISCOVERY = "GET /*/*/.well-known/openid-configuration"
CLIENT = "cf4c4732-e2da-4deb-8deb-7987f82f2a96"
WRONG = MintedSecret("key", datetime(2030, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC), text="wrong")
WRONG_SECRET = "AADSTS7000215: Invalid client secret provided."


@pytest.mark.parametrize(
    ("status", "answer", "said"),
    [
        (200, {"access_token": "x"}, True),
        (401, {"error": "invalid_client", "error_description": WRONG_SECRET}, False),
        (401, {"error": "invalid_client", "error_codes": [7000215]}, False),
        (400, {"error": "unauthorized_client", "error_codes": [700016, 999]}, False),
        (401, {"error": "invalid_client"}, False),
        (400, {"error": "unauthorized_client"}, False),
        (400, {"error": "invalid_scope"}, "secret-refused (no code)"),
        (401, {"error": "invalid_client", "error_codes": [7000222]}, "secret-refused (AADSTS7000222)"),
        (400, {"error": "x", "error_codes": [53003, 50020, "y"]}, "secret-refused (AADSTS50020, AADSTS53003)"),
        (499, {"error": "x", "error_codes": [53003]}, "secret-refused (AADSTS53003)"),
        (400, {"error": "x", "error_codes": [50196]}, "token-endpoint-unavailable"),
        (400, {"error": "temporarily_unavailable"}, "token-endpoint-unavailable"),
        (400, {"error": "server_error"}, "token-endpoint-unavailable"),
        (429, {"error": "invalid_client", "error_codes": [7000215]}, "token-endpoint-unavailable"),
        (500, {"error": "invalid_client", "error_codes": [7000215]}, "token-endpoint-unavailable"),
        (503, {"error": "invalid_client", "error_codes": [7000215]}, "token-endpoint-unavailable"),
        (200, {"token_type": "Bearer"}, "token-endpoint-unavailable"),
    ],
)
def test_an_answer_of_the_token_endpoint_is_a_yes_a_not_yet_a_never_or_none(
    status: int, answer: dict[str, Any], said: object
) -> None:
    world = World()
    world.outside = answering(TOKEN, status, json.dumps(answer).encode(), 1, **{"Retry-After": "7"})
    if isinstance(said, bool):
        assert world.services.proof.accepts(CLIENT, WRONG) is said
        return
    code, _, named = str(said).partition(" ")
    with pytest.raises(ProvisioningError) as raised:
        world.services.proof.accepts(CLIENT, WRONG)
    assert (raised.value.code, named in raised.value.message) == (code, True)
    assert isinstance(raised.value, NeedsOperator) == bool(named)
    if isinstance(raised.value, TryAgain):
        assert raised.value.retry_after == 7


def test_a_connection_that_breaks_says_nothing_of_the_tenant_and_an_unknown_one_refuses_every_secret() -> None:
    world = World()
    assert not world.services.proof.accepts(CLIENT, WRONG), "the discovery document is kept from here on"
    world.emulator.faults.add(Fault("reset", "token.clientCredentials"))
    with pytest.raises(TryAgain):
        world.services.proof.accepts(CLIENT, WRONG)
    world.outside = answering(DISCOVERY, 400, b'{"error": "x", "error_codes": [90002]}')
    with pytest.raises(NeedsOperator) as raised:
        world.new_process().proof.accepts(CLIENT, WRONG)
    assert raised.value.code == "authority-refused"


@pytest.mark.parametrize("status", [302, 307])
def test_a_secret_does_not_follow_a_redirect(status: int) -> None:
    world = World()
    asked = list[str]()

    def elsewhere(name: str, action: Callable[[], Any]) -> Any:
        asked.append(name)
        answer = action()
        if name == TOKEN:
            answer.status_code, answer.headers["Location"] = status, f"{world.emulator.origin}/elsewhere"
        return answer

    world.outside = elsewhere
    assert not world.services.proof.accepts(CLIENT, WRONG)
    assert asked[-1] == TOKEN


def test_the_discovery_document_is_asked_for_once_an_hour_and_every_proof_anew() -> None:
    world = World()
    world.registered(a_resource())
    client = world.registered(a_service_client())["clientId"]
    proof = world.new_process().proof
    world.emulator.calls.clear()
    asked = []
    for pause in (0, 3599, 1):
        world.clock.sleep(pause)
        assert not proof.accepts(client, WRONG)
        asked.append([sum(call.operation == f"token.{each}" for call in world.emulator.calls) for each in KINDS])
    assert asked == [[1, 1], [1, 2], [2, 3]]


KINDS = ("discovery", "clientCredentials")


@pytest.mark.parametrize(("status", "body"), [(200, {"error": "x"}), (500, {"token_endpoint": "https://x"})])
def test_what_is_no_discovery_document_is_not_kept(status: int, body: dict[str, Any]) -> None:
    world = World()
    world.outside = answering(DISCOVERY, status, json.dumps(body).encode())
    with pytest.raises(TryAgain):
        world.services.proof.accepts(CLIENT, WRONG)
    assert not world.services.proof.accepts(CLIENT, WRONG)


def a_token(claims: object) -> str:
    return f"h.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.s"


@pytest.mark.parametrize(
    ("answer", "roles"),
    [
        *(({"access_token": a_token({"roles": ["reader", "x" * more]})}, {"reader", "x" * more}) for more in range(4)),
        ({"access_token": a_token({"aud": "api://x"})}, set()),
        ({"access_token": a_token({"roles": None})}, set()),
        ({"access_token": a_token(["roles"])}, set()),
        ({"access_token": "opaque"}, set()),
        ({"access_token": "h.e.s"}, set()),
        ({"error": "invalid_grant", "error_codes": [501051]}, set()),
    ],
)
def test_the_roles_are_those_of_the_token_and_none_without_one(answer: dict[str, Any], roles: set[str]) -> None:
    world = World()
    world.outside = answering(TOKEN, 200 if "access_token" in answer else 400, json.dumps(answer).encode())
    assert world.services.proof.roles(CLIENT, WRONG, "api://x") == roles


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (200, {"token_endpoint": "https://x"}, None),
        (203, {"token_endpoint": "https://x"}, "token-endpoint-unavailable"),
        (400, {"error": "invalid_tenant", "error_codes": [90002]}, "authority-refused"),
        (400, {"error": "x", "error_description": "AADSTS900023: no"}, "authority-refused"),
        (400, {"error": "x", "error_codes": [90003]}, "token-endpoint-unavailable"),
        (404, {"error": "x"}, "token-endpoint-unavailable"),
        (200, {"x": "y"}, "token-endpoint-unavailable"),
    ],
)
def test_whether_the_tenant_is_known_is_asked_anew_each_time(
    status: int, body: dict[str, Any], code: str | None
) -> None:
    world = World()
    proof = world.services.proof
    proof.check_tenant()
    world.outside = answering(DISCOVERY, status, json.dumps(body).encode())
    if code is None:
        proof.check_tenant()
        return
    with pytest.raises(ProvisioningError) as raised:
        proof.check_tenant()
    assert raised.value.code == code
    assert isinstance(raised.value, TryAgain) == (code == "token-endpoint-unavailable")
    world.emulator.faults.add(Fault("reset", "token.discovery"))
    with pytest.raises(TryAgain):
        proof.check_tenant()
    proof.check_tenant()
