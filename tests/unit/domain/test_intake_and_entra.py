"""What is accepted here is never refused by Entra."""

import json
from typing import Any

import pytest
from hypothesis import assume, example, given

from provisioning.domain.registration import Status
from tests.unit.domain.any_requests import FEDERATED, accepted, client_bodies, resource_bodies, slow
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.world import World

# Many examples of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover


def provisioned(world: World, body: dict[str, Any]) -> None:
    answer = world.post(body)
    assert answer.status == 202, answer.body
    world.deliver()
    assert world.errors == []
    row = world.row(json.loads(answer.body)["registrationId"])
    assert row.status is Status.ACTIVE, row.operation.failure


@slow
@given(resource_bodies)
@example(a_resource(scopes=["globalReader"]))
@example(a_resource(scopes=["s" * 120], appRoles=["r" * 120]))
@example(a_resource(scopes=[f"s{n}" for n in range(400)], appRoles=[f"r{n}" for n in range(400)]))
@example(a_resource(displayName="😀" * 60, description="é" * 1024, serviceManagementReference="x" * 256))
@example(a_resource(scopes=[], appRoles=[]))
@example(a_resource(scopes=["a/b"]))
@example(a_resource(appRoles=["a/b"]))
def test_a_resource_that_is_accepted_is_never_refused_by_entra(body: dict[str, Any]) -> None:
    assume(accepted(body))
    provisioned(World(), body)


@slow
@given(client_bodies)
@example(a_confidential_client(logoutUrl="http://127.0.0.1/out"))
@example(a_confidential_client(logoutUrl="https://a.example/".ljust(255, "x")))
@example(a_confidential_client(redirectUris=[f"https://a.example/{n}".ljust(256, "x") for n in range(200)]))
@example(a_public_client(platform="native", redirectUris=["com.ex:?q"]))
@example(a_public_client(platform="native", redirectUris=["https://[0:0:0:0:0:0:0:1]/cb"]))
@example(a_public_client(scopes=["user_impersonation"]))
@example(a_service_client(credential={**FEDERATED, "issuer": "https://t.example/".ljust(600, "x")}))
@example(a_service_client(credential={**FEDERATED, "subject": "😀" * 300}))
def test_a_client_that_is_accepted_is_never_refused_by_entra(body: dict[str, Any]) -> None:
    assume(accepted(body))
    world = World()
    world.registered(a_resource())
    provisioned(world, body)


def test_256_redirect_uris_of_256_characters_do_not_fit_into_64_kb_but_250_do() -> None:
    world = World()
    world.registered(a_resource())
    uris = [f"https://a.example/{number}/".ljust(256, "x") for number in range(250)]
    body = a_confidential_client(redirectUris=uris)
    assert world.post(json.dumps(body, separators=(",", ":")).encode()).status == 202
    world.deliver()
    assert world.errors == []


@pytest.mark.parametrize(
    "body", [a_resource(contact="a" * 64 + "@" + ".".join(["x" * 63] * 2) + "." + "y" * 61)], ids=["contact"]
)
def test_the_longest_values_that_are_kept_in_notes_fit_there(body: dict[str, Any]) -> None:
    path = "x" * (255 - len(f"api://{World().emulator.tenant_id}/fhir.contoso.example/"))
    assert len(body["contact"]) == 254
    provisioned(World(), {**body, "fhirServerUrl": f"https://fhir.contoso.example/{path}"})
