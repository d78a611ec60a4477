"""Grants: what a client holds is what the owner of its resource agreed to, whatever dies, stalls or comes between."""

import json
import random
from collections.abc import Callable
from functools import partial
from typing import Final

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.client_types import ClientType
from provisioning.domain.errors import TryAgain
from provisioning.domain.grants import GrantState
from provisioning.domain.registration import Registration, Status
from tests.faults.overlaps import Deliveries, Overlap, deliveries_of
from tests.faults.pasts import ready, subject
from tests.faults.scenarios import SCENARIOS, Scenario, answered, asked, is_deleted, outlived, submitted
from tests.faults.schedules import plays
from tests.worlds.outside import Died, straight
from tests.worlds.request_bodies import REQUESTS, a_resource
from tests.worlds.world import World

GRANTING: Final = {"GRANTS": "on"}
HOLDERS: Final = ("service", "public")


# --- what was before ------------------------------------------------------------------------------------------------


@ready
def a_granting_world() -> World:
    """A world with a FHIR server, and a public client that it pre-authorises."""
    world = World(settings=GRANTING)
    world.registered(a_resource())
    world.registered(REQUESTS["public"](displayName="The one before"))
    world.services.vault.current("none")
    world.clock.sleep(3600)
    return world


@ready
def a_granted(client_type: str) -> World:
    """The same, and an hour ago a client got what it asks for."""
    world = a_granting_world()
    world.registered(REQUESTS[client_type]())
    world.clock.sleep(3600)
    return world


@ready
def a_withdrawn(client_type: str) -> World:
    """The same, and an hour later the owner of the server took it back."""
    world = a_granted(client_type)
    said("revoke", world)
    world.settle()
    world.clock.sleep(3600)
    world.plan()
    world.settle()
    return world


# --- what is asked --------------------------------------------------------------------------------------------------


def server_of(world: World) -> Registration:
    [server] = world.registry.find(client_type=ClientType.RESOURCE, top=9).registrations
    return server


def tell(what: str, world: World, client: Registration) -> Answer:
    """Agree to a client, or take that back, as the owner of the server does."""
    server = server_of(world)
    path = f"/api/registrations/{server.id}/clients/{client.id}/{what}"
    body = json.dumps({"permissions": [each.value for each in client.declared]}) if what == "approve" else ""
    headers = {"content-type": "application/json"} if body else {}
    call = Call(
        path, headers, body=body.encode(), registration_id=server.id, client_registration_id=client.id, method="POST"
    )
    return world.call(web.CALLS[f"{what}_client"], call)


def said(what: str, world: World) -> str:
    """Say it as often as it takes to get an answer."""
    row = subject(world)
    answer = answered(world, lambda: tell(what, world, row))
    assert answer.status == 202, answer.body
    return row.id


# --- how it must end ------------------------------------------------------------------------------------------------


def check_grants(world: World) -> None:
    """Assert that each client holds what was agreed to, exactly: in Entra, and as its row says."""
    directory, server = world.emulator.directory, server_of(world)
    rows = world.registry.find(top=100).registrations
    clients = [row for row in rows if row.resource is not None and row.status is Status.ACTIVE]
    application = directory.application(app_id=server.client_id or "")
    assert application is not None
    listed = application.last_body["api"]["preAuthorizedApplications"]
    scopes = {row.client_id: {each.id for each in row.agreed} & scopes_of(row) for row in clients}
    held = {each["appId"]: set(each["delegatedPermissionIds"]) for each in listed}
    assert held == {client: ids for client, ids in scopes.items() if ids}, "other scopes than were agreed to"
    for row in clients:
        roles = [each.role_id for each in directory.living_assignments(row.service_principal_id or "")]
        assert sorted(roles) == sorted({each.id for each in row.agreed} - scopes_of(row)), "other roles than agreed"
        told = {each.id for each in row.grants if each.state is GrantState.GRANTED}
        assert told == {each.id for each in row.agreed}, "its row says otherwise"


def scopes_of(row: Registration) -> set[str]:
    assert row.resource is not None
    return {each.id for each in row.resource.scopes}


def rested(world: World) -> None:
    """Have every run end that began before; and check, grants too."""
    outlived(world)
    check_grants(world)


def holds_all(world: World, row: Registration) -> None:
    assert row.status is Status.ACTIVE, row.operation.failure
    assert row.agreed == row.declared
    rested(world)


def holds_nothing(world: World, row: Registration) -> None:
    assert row.status is Status.ACTIVE, row.operation.failure
    assert row.agreed == (), "more than was agreed to"
    rested(world)


def is_gone(world: World, row: Registration) -> None:
    is_deleted(world, row)
    rested(world)


def of_each(name: str, make: Callable[[str], Scenario]) -> dict[str, Scenario]:
    return {f"{name}-{client_type}": make(client_type) for client_type in HOLDERS}


GRANTS: Final[dict[str, Scenario]] = {
    **of_each("grant", lambda one: Scenario(a_granting_world, lambda world: submitted(world, one), holds_all)),
    **of_each("withdraw", lambda one: Scenario(partial(a_granted, one), partial(said, "revoke"), holds_nothing)),
    **of_each("agree", lambda one: Scenario(partial(a_withdrawn, one), partial(said, "approve"), holds_all)),
    **of_each("forget", lambda one: Scenario(partial(a_granted, one), partial(asked, "delete"), is_gone)),
}
SCENARIOS.update(GRANTS)


# --- what comes between ---------------------------------------------------------------------------------------------


@plays(r"(agree-[a-z]+): taken back at (\d+), and then it (goes on|dies)")
def take_back(scenario: str, call: int, then: str, prepare: Callable[[World], None] | None = None) -> str | None:
    """Have a run stall before that call while the owner takes it back; then it goes on, or makes its call and dies.

    Return the name of the call; None where the run had ended before.
    """
    runs = Deliveries(scenario, 1, prepare)
    runs.awaited = (TryAgain, Died)
    world = runs.world
    reached = runs.stall(call)
    assert tell("revoke", world, world.row(runs.registration_id)).status == 202
    world.deliver()
    world.clock.sleep(30)
    if then == "dies" and runs.step(0):
        runs.kill(0)
    runs.finish(0)
    runs.settle()
    holds_nothing(world, world.row(runs.registration_id))
    return reached


@plays(r"(\d+) (service|public) clients at once, seed (\d+)")
def at_once(number: int, client_type: str, seed: int, prepare: Callable[[World], None] | None = None) -> None:
    """Have so many clients of one server be provisioned at the same time, their calls in an order that is drawn."""
    world = a_granting_world()
    if prepare is not None:
        prepare(world)
    for each in range(number):
        assert world.post(REQUESTS[client_type](displayName=f"Client {each}")).status == 202
    messages = [queued.text for queued in world.queue]
    world.queue.clear()
    overlap = Overlap(world, [one for text in messages for one in deliveries_of(world, text, 1)])
    chance = random.Random(f"{number} {client_type} {seed}")  # noqa: S311 -- picks an order
    alive = list(range(number))
    while alive:
        chosen = chance.choice(alive)
        if not overlap.step(chosen):
            alive.remove(chosen)
    world.outside = straight
    for job, text in zip(overlap.jobs, messages, strict=True):
        if job.error is not None:
            world.send(text)
    world.settle()
    rested(world)
