"""A resource and its clients end together: whatever dies or comes between, no client outlives its resource unseen."""

import sys
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from provisioning.domain.client_types import ClientType
from provisioning.domain.grants import ClientPage
from provisioning.domain.registration import Registration, Status
from tests.faults.pasts import a_world, ready
from tests.faults.scenarios import SCENARIOS, SECRETLESS, Scenario, answered
from tests.faults.schedules import plays
from tests.faults.weakened import InsteadOf
from tests.worlds.checker import check
from tests.worlds.outside import straight
from tests.worlds.request_bodies import a_public_client, a_service_client
from tests.worlds.steps import body_of, code_of
from tests.worlds.world import World

if TYPE_CHECKING:
    from provisioning.ports import Registry

WITH_CLIENTS: Final = "cascade=true"


# --- what was before ------------------------------------------------------------------------------------------------


@ready
def a_used_server() -> World:
    """A FHIR server that two clients use."""
    world = a_world("public")
    for body in (SECRETLESS["federated"](), a_public_client()):
        world.registered(body)
    world.clock.sleep(7200)
    return world


def the_server(world: World) -> Registration:
    rows = world.registry.find(client_type=ClientType.RESOURCE, top=9).registrations
    gone = world.registry.find(client_type=ClientType.RESOURCE, status=Status.DELETED, top=9).registrations
    return min((*rows, *gone), key=lambda row: row.created_at)


def clients(world: World) -> list[Registration]:
    rows = [
        *world.registry.find(top=99).registrations,
        *world.registry.find(top=99, status=Status.DELETED).registrations,
    ]
    return [row for row in rows if row.client_type is not ClientType.RESOURCE]


# --- what is asked, and how it must end -----------------------------------------------------------------------------


def ended(query: str, world: World) -> str:
    server = the_server(world)
    assert answered(world, lambda: world.delete(server.id, query)).status == 202
    return server.id


def gone_at(world: World, row: Registration) -> Any:
    return world.emulator.directory.records[row.application_object_id or ""].deleted_at


def went_after_its_clients(world: World, row: Registration) -> None:
    assert row.status is Status.DELETED
    server_gone = gone_at(world, row)
    for each in clients(world):
        assert each.status is Status.DELETED, "a client is left"
        assert gone_at(world, each) <= server_gone, "the resource went before a client"


CASCADES: Final = {"cascade": Scenario(a_used_server, partial(ended, WITH_CLIENTS), went_after_its_clients)}
SCENARIOS.update(CASCADES)


# --- what comes between ---------------------------------------------------------------------------------------------


class Between:
    """Has something else happen once, before the n-th outside call, and lets each of its own through."""

    def __init__(self, call: int, what: Callable[[], None]) -> None:
        self._call = call
        self._what = what
        self.count = 0
        self.reached: str | None = None

    def __call__(self, name: str, action: Callable[[], Any]) -> Any:
        self.count += 1
        if self.count == self._call + 1 and self.reached is None:
            self.reached = name
            self._what()
        return action()


@plays(r"(deletion|cascade): a client comes at (\d+)")
def a_client_comes(asked: str, call: int, prepare: Callable[[World], None] | None = None) -> str | None:
    """Have somebody ask for a client, which is carried out at once as far as it can be, before that outside call.

    Return the name of the call; None where there are fewer.
    """
    return _crossed(asked, call, prepare).reached


def outside_calls(asked: str) -> int:
    """Return how many outside calls there are before which a client may come."""
    return _crossed(asked, sys.maxsize, None).count


def _crossed(asked: str, call: int, prepare: Callable[[World], None] | None) -> Between:
    world = a_used_server() if asked == "cascade" else a_world("public")
    if prepare is not None:
        prepare(world)
    between = Between(call, lambda: _asked_for(world))
    world.outside = between
    world.delete(the_server(world).id, WITH_CLIENTS if asked == "cascade" else "")
    world.deliver()
    world.outside = straight
    _ends_well(world)
    return between


def _asked_for(world: World) -> None:
    answer = world.post(a_public_client(displayName="The one between"))
    assert answer.status == 202 or "resource-not-active" in answer.body, answer.body
    if answer.status == 202:
        [queued] = [each for each in world.queue if body_of(answer)["registrationId"] in each.text]
        _carried_out(world, queued)


def _carried_out(world: World, queued: Any) -> None:
    others, world.queue[:] = list(world.queue), [queued]
    world.deliver()
    world.queue[:] = [*others, *world.queue]


@plays(r"(service|public): its resource is deleted at (\d+), (alone|with it)")
def a_resource_goes(client_type: str, call: int, how: str, prepare: Callable[[World], None] | None = None) -> Any:
    """Have somebody delete the resource, with its clients or without, before that outside call of a client's request.

    Return the name of the call; None where there are fewer.
    """
    world = a_world("public")
    if prepare is not None:
        prepare(world)
    server = the_server(world)

    def deleted() -> None:
        answer = world.delete(server.id, WITH_CLIENTS if how == "with it" else "")
        assert answer.status == 202 or code_of(answer) == "resource-in-use", answer.body
        for queued in [each for each in world.queue if server.id in each.text]:
            _carried_out(world, queued)

    between = Between(call, deleted)
    world.outside = between
    body = a_service_client() if client_type == "service" else a_public_client()
    world.post(body)
    world.deliver()
    world.outside = straight
    _ends_well(world)
    return between.reached


def _ends_well(world: World) -> None:
    """Whatever was accepted ended as it says, and no client that works has lost its resource."""
    server = the_server(world)
    world.clock.sleep(1200)
    for _ in range(16):  # a deletion that waits for a client is never at rest
        world.deliver()
        world.plan()
        world.clock.sleep(300)
    server = world.row(server.id)
    for each in clients(world):
        assert each.status in (Status.ACTIVE, Status.FAILED, Status.DELETED), f"a client is {each.status}"
        if each.status is Status.ACTIVE:
            assert gone_at(world, server) is None, "a client that works has lost its resource"
            assert server.last_error is None or server.last_error.failure.code == "resource-in-use"
    if not any(each.status is Status.ACTIVE for each in clients(world)):
        assert server.status in (Status.DELETED, Status.ACTIVE), f"nobody uses it, and it is {server.status}"
        check(world)


# --- with a rule broken ---------------------------------------------------------------------------------------------


class ListsNobody(InsteadOf):
    """Has no client be listed before its row is there."""

    def list_client(self, *_: object) -> bool:
        return False

    def lists_all_clients(self) -> bool:
        return True


class LooksOnce(InsteadOf):
    """Has a run find no client: what the call has looked at is taken for all there is."""

    def lists_all_clients(self) -> bool:
        return True

    def clients(self, resource_id: str, **where: Any) -> ClientPage:
        server = self._inner.get(resource_id)
        if server.status is Status.DELETING:
            return ClientPage((), None)
        return cast("ClientPage", self._inner.clients(resource_id, **where))


def list_nobody(world: World) -> None:
    _exchange(world, ListsNobody)


def look_once_for_clients(world: World) -> None:
    _exchange(world, LooksOnce)


def _exchange(world: World, weakened: type[InsteadOf]) -> None:
    world.exchange(lambda services: replace(services, registry=cast("Registry", weakened(services.registry))))
