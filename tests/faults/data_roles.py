"""What a client has on its FHIR service is what somebody agreed to, whatever dies, stalls or comes between."""

from collections.abc import Callable
from functools import partial
from typing import Any, Final

from provisioning.api.answers import Answer
from provisioning.domain.azure_roles import DATA_ROLES_BY_ID
from provisioning.domain.errors import TryAgain
from provisioning.domain.grants import GrantState
from provisioning.domain.registration import Registration, Status
from tests.faults.overlaps import Deliveries
from tests.faults.pasts import ready, subject
from tests.faults.scenarios import SCENARIOS, Scenario, answered, asked, is_deleted, outlived
from tests.faults.schedules import plays
from tests.worlds import data_roles
from tests.worlds.approvals import APPROVER, REQUESTER, asked_as
from tests.worlds.data_roles import READER, WRITER, a_giving_world, held, revocation
from tests.worlds.outside import Died
from tests.worlds.world import World

ASSIGNMENTS: Final = "/roleAssignments"


# --- what was before ------------------------------------------------------------------------------------------------


@ready
def a_waiting() -> World:
    """A world in which a client waits for somebody to agree to a data role."""
    world = a_giving_world()
    world.services.vault.current("none")
    data_roles.asked(world)
    world.settle()
    return world


@ready
def a_holder() -> World:
    """A world in which a client has got a data role an hour ago."""
    world = a_giving_world()
    data_roles.given(world, READER)
    world.clock.sleep(3600)
    return world


@ready
def a_waiting_change() -> World:
    """The same, and a change to another one waits."""
    world = a_holder()
    asked_as(REQUESTER, world, "change_registration", {"dataRoles": [WRITER]}, subject(world).id)
    world.settle()
    return world


# --- what is asked --------------------------------------------------------------------------------------------------


def ask(world: World, send: Callable[[World, Registration], Answer]) -> str:
    """Say it as often as it takes to get an answer; that it was said before is one."""
    row = subject(world)
    answer = answered(world, lambda: send(world, row))
    assert answer.status in (202, 409), answer.body
    return row.id


def approve(world: World, row: Registration) -> Answer:
    body: Any = {"digest": row.asked_digest, "reason": "Because."}
    return asked_as(APPROVER, world, "approve_registration", body, row.id)


def revoke(world: World, row: Registration) -> Answer:
    return revocation(world, row.id)


# --- how it must end ------------------------------------------------------------------------------------------------


def holds(*roles: str) -> Callable[[World, Registration], None]:
    """Assert that it is active, and has in Azure, and by its row, exactly these, which are what was agreed to."""

    def check_roles(world: World, row: Registration) -> None:
        assert row.status is Status.ACTIVE, row.operation.failure
        outlived(world)
        row = world.row(row.id)
        assert sorted(each.value for each in row.agreed) == sorted(roles), "something else was agreed to"
        assert held(world, row.id) == sorted(roles), "other data roles than were agreed to"
        told = sorted(each.permission for each in row.grants if each.state is GrantState.GRANTED)
        assert told == sorted(roles), "its row says otherwise"

    return check_roles


def is_gone(world: World, row: Registration) -> None:
    is_deleted(world, row)
    outlived(world)
    nothing_is_left(world)


def nothing_is_left(world: World) -> None:
    left = [each for each in world.emulator.role_assignments.all.values() if each.role_id in DATA_ROLES_BY_ID]
    assert not left, "a client that is gone has a data role"


GIVEN: Final[dict[str, Scenario]] = {
    "data-given": Scenario(a_waiting, partial(ask, send=approve), holds(READER)),
    "data-changed": Scenario(a_waiting_change, partial(ask, send=approve), holds(WRITER)),
    "data-revoked": Scenario(a_holder, partial(ask, send=revoke), holds()),
    "data-gone": Scenario(a_holder, partial(asked, "delete"), is_gone),
}
SCENARIOS.update(GIVEN)


# --- what comes between ---------------------------------------------------------------------------------------------


def stalled(call: int, prepare: Callable[[World], None] | None) -> tuple[Deliveries, str | None]:
    """Have a run that changes the data roles stall so many calls after its first to Azure; return the call's name."""
    runs = Deliveries("data-changed", 1, prepare)
    runs.awaited = (TryAgain, Died)
    while ASSIGNMENTS not in runs.jobs[0].next_call and runs.step(0):
        pass
    return runs, runs.jobs[0].next_call if all(runs.step(0) for _ in range(call)) else None


@plays(r"data-changed: revoked at (\d+), and then it (goes on|dies)")
def take_back(call: int, then: str, prepare: Callable[[World], None] | None = None) -> str | None:
    """Have a run stall while an approver takes it all back; then it goes on, or makes its call and dies.

    Return the name of the call; None where the run had ended before.
    """
    runs, reached = stalled(call, prepare)
    world = runs.world
    assert revoke(world, world.row(runs.registration_id)).status == 202
    world.deliver()
    world.clock.sleep(30)
    if then == "dies" and runs.step(0):
        runs.kill(0)
    runs.finish(0)
    runs.settle()
    holds()(world, world.row(runs.registration_id))
    return reached


@plays(r"data-changed: deleted at (\d+)")
def delete(call: int, prepare: Callable[[World], None] | None = None) -> str | None:
    """Have a run stall while its client is deleted, and then go on."""
    runs, reached = stalled(call, prepare)
    world = runs.world
    assert world.delete(runs.registration_id).status == 202
    world.deliver()
    world.clock.sleep(30)
    runs.finish(0)
    runs.settle()
    is_gone(world, world.row(runs.registration_id))
    return reached
