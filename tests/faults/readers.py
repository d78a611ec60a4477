"""Who reads a secret: its owner and nobody else by this service, whatever dies, stalls or comes between."""

from collections.abc import Callable
from functools import partial
from typing import Final

from dev.emulator.constants import REGISTRAR_OBJECT_ID, VAULT_ID
from provisioning.domain.azure_roles import SECRETS_USER, delegation, secret_scope
from provisioning.domain.errors import TryAgain
from provisioning.domain.grants import GrantState
from provisioning.domain.registration import Registration, Status
from tests.faults.overlaps import Deliveries
from tests.faults.pasts import ready, subject
from tests.faults.scenarios import SCENARIOS, Scenario, answered, asked, is_deleted, outlived, submitted
from tests.faults.schedules import plays
from tests.worlds.outside import Died
from tests.worlds.request_bodies import OTHER_OWNER, OWNER, a_resource, a_service_client
from tests.worlds.world import World

ASSIGNMENTS: Final = "/roleAssignments"


# --- what was before ------------------------------------------------------------------------------------------------


@ready
def a_delegate() -> World:
    """A world in which this service may let owners read their secrets."""
    world = World(settings={"KEY_VAULT_ID": VAULT_ID})
    for owner in (OWNER, OTHER_OWNER):
        world.emulator.directory.add_principal(owner)
    condition = delegation([SECRETS_USER], REGISTRAR_OBJECT_ID)
    world.emulator.role_assignments.delegate(REGISTRAR_OBJECT_ID, VAULT_ID, condition)
    world.registered(a_resource())
    world.services.vault.current("none")
    world.clock.sleep(3600)
    return world


@ready
def a_reader() -> World:
    """The same, and an hour ago a client was registered whose owner reads its secret."""
    world = a_delegate()
    world.registered(a_service_client())
    world.clock.sleep(3600)
    return world


def handed_over(world: World) -> str:
    """Give the client to another owner, and say so until there is an answer."""
    row = subject(world)
    answer = answered(world, lambda: world.change(row.id, {"owner": OTHER_OWNER}))
    assert answer.status in (200, 202), answer.body
    return row.id


# --- how it must end ------------------------------------------------------------------------------------------------


def check_readers(world: World) -> None:
    """Assert that each owner reads its secret and nobody else does: in Azure, and as the rows say."""
    live = {row.id: row for row in world.registry.find(top=100).registrations if row.holds_secret}
    assigned = world.emulator.role_assignments.all.values()
    readers = sorted((each.scope, each.principal_id) for each in assigned if each.role_id == SECRETS_USER.id)
    owners = {
        (secret_scope(VAULT_ID, row.secret_name).lower(), row.request.owner)
        for row in live.values()
        if row.status is Status.ACTIVE
    }
    assert readers == sorted(owners), "others read a secret than its owner"
    for row in live.values():
        told = [(each.principal_id, each.state) for each in row.azure_grants]
        assert told == [(row.request.owner, GrantState.GRANTED)], "its row says otherwise"


def rested(world: World) -> None:
    """Have every run end that began before; and check, readers too."""
    outlived(world)
    check_readers(world)


def is_read(world: World, row: Registration) -> None:
    assert row.status is Status.ACTIVE, row.operation.failure
    rested(world)


def is_gone(world: World, row: Registration) -> None:
    is_deleted(world, row)
    rested(world)


READERS: Final[dict[str, Scenario]] = {
    "reads": Scenario(a_delegate, lambda world: submitted(world, "service"), is_read),
    "hands-over": Scenario(a_reader, handed_over, is_read),
    "reads-no-more": Scenario(a_reader, partial(asked, "delete"), is_gone),
}
SCENARIOS.update(READERS)


# --- what comes between ---------------------------------------------------------------------------------------------


@plays(r"reads: handed over at (\d+), and then it (goes on|dies)")
def hand_over(call: int, then: str, prepare: Callable[[World], None] | None = None) -> str | None:
    """Have one of two runs stall so many calls after its first to Azure; the other ends, and then the owner changes.

    Then it goes on, or makes its call and dies. Return the name of the call; None where the run had ended before.
    """
    runs = Deliveries("reads", 2, prepare)
    runs.awaited = (TryAgain, Died)
    world = runs.world
    while ASSIGNMENTS not in runs.jobs[0].next_call and runs.step(0):
        pass
    reached = runs.jobs[0].next_call if all(runs.step(0) for _ in range(call)) else None
    runs.finish(1)
    handed_over(world)
    world.deliver()
    world.clock.sleep(30)
    if then == "dies" and runs.step(0):
        runs.kill(0)
    runs.finish(0)
    runs.settle()
    is_read(world, world.row(runs.registration_id))
    return reached
