"""Worlds in which the reports of sign-ins are read, and those who sign in there."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Final

from dev.emulator import Fault
from dev.emulator.constants import AUDIT_LOG_READ_ALL, GRAPH_PRINCIPAL_ID, OWNED_BY, REGISTRAR_OBJECT_ID
from tests.worlds.checker import token_answer
from tests.worlds.clock import DAY
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import a_resource
from tests.worlds.world import World

READING: Final = {"SIGN_IN_ACTIVITY": "on"}


def a_reading_world(receiver: Receiver | None = None, **settings: str) -> World:
    """A world with a FHIR server, whose registrar may read the reports, and does."""
    world = World(settings=READING | settings, receiver=receiver)
    let_read(world)
    world.registered(a_resource())
    return world


def let_read(world: World) -> None:
    """Give the registrar the permission to read the reports, as if it had always had it."""
    always = datetime.min.replace(tzinfo=world.clock.now().tzinfo)
    world.emulator.directory.grant(REGISTRAR_OBJECT_ID, GRAPH_PRINCIPAL_ID, AUDIT_LOG_READ_ALL, always)


def secret_of(world: World, client: Mapping[str, Any]) -> str:
    """The text of a client's current secret, as a consumer keeps it."""
    return str(world.emulator.vault.get(f"fhir-registrar-{client['registrationId']}")["value"])


def sign_in(world: World, client: Mapping[str, Any], secret: str | None = None) -> bool:
    """Sign in as the client does, with what the vault has or with what a consumer kept; tell whether it was let in."""
    return token_answer(world, client["clientId"], secret or secret_of(world, client)).status_code == 200


def used_daily(world: World, client: Mapping[str, Any], secret: str, days: int) -> int:
    """Have a consumer sign in each day, and the platform play meanwhile; return on how many days it was let in."""
    let_in = 0
    for _ in range(days):
        world.live(DAY)
        let_in += sign_in(world, client, secret)
    return let_in


def unlicensed(world: World) -> None:
    world.emulator.faults.set(premium_missing=True)


def denied(world: World) -> None:
    world.emulator.directory.revoke(REGISTRAR_OBJECT_ID)
    world.emulator.directory.grant(REGISTRAR_OBJECT_ID, GRAPH_PRINCIPAL_ID, OWNED_BY)


def throttled(world: World) -> None:
    world.emulator.faults.add(Fault("throttle", "graph.*SignIns", times=None, retry_after=30))


def unavailable(world: World) -> None:
    world.emulator.faults.add(Fault("status", "graph.*SignIns", times=None, status=503))


def empty(world: World) -> None:
    world.emulator.faults.set(reports_empty=True)


# Why the reports say nothing, by the code of it.
SILENT: Final[Mapping[str, Callable[[World], None]]] = {
    "sign-in-activity-denied": denied,
    "entra-premium-missing": unlicensed,
    "graph-throttled": throttled,
    "graph-unavailable": unavailable,
    "no-sign-in-reported": empty,
}
