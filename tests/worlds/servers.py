"""Why a FHIR server cannot be registered by anybody but Alice's team."""

from collections.abc import Callable, Mapping
from typing import Any

from provisioning.api import web
from provisioning.api.calls import Call
from provisioning.domain.registration import Status
from tests.worlds.request_bodies import a_policy, a_resource
from tests.worlds.signed_in import ALICE, TEAM, headers_of
from tests.worlds.steps import body_of, post_as
from tests.worlds.world import World

FOR_ALICES_TEAM: dict[str, Any] = {
    "id": "servers",
    "kind": "fhirServers",
    "hosts": {"include": ["fhir.contoso.example"]},
    "claimants": {"include": [TEAM]},
}


def taken(world: World) -> None:
    """Alice's team has the server."""
    assert post_as(world, ALICE, a_resource(owner=TEAM)).status == 202
    world.deliver()


def freed(world: World) -> None:
    """Alice's team had the server, and deleted its registration."""
    answer = post_as(world, ALICE, a_resource(owner=TEAM))
    world.deliver()
    registration_id = body_of(answer)["registrationId"]
    call = Call(
        f"/api/registrations/{registration_id}", headers_of(ALICE, world.emulator), registration_id=registration_id
    )
    assert world.call(web.delete_registration, call).status == 202
    world.deliver()
    assert world.row(registration_id).status is Status.DELETED


def ruled(world: World) -> None:
    """The policy lets Alice's team alone claim the server; nobody has it."""
    world.policy = a_policy(FOR_ALICES_TEAM)
    world.services = world.new_process()


WHYS: Mapping[str, Callable[[World], None]] = {"taken": taken, "freed": freed, "ruled": ruled}
