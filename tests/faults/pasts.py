"""What a registration may have lived through before anything is asked of it: worlds that are made once, and copied."""

import functools
from collections.abc import Callable
from datetime import timedelta
from typing import Any, Final

from provisioning.domain.approval import LAPSES_AFTER
from provisioning.domain.messages import reconcile_message
from provisioning.domain.registration import Registration, Status
from tests.worlds.approvals import REQUESTER, asked_as, awaiting
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import (
    OTHER_OWNER,
    a_confidential_client,
    a_policy,
    a_public_client,
    a_resource,
    a_service_client,
)
from tests.worlds.watch import live, versions_of
from tests.worlds.world import World

DAY: Final = timedelta(days=1)
HAND_MADE: Final = "by hand"
WAITING_VALUES: Final = {
    "displayName": "Another name",
    "redirectUris": ["https://app.contoso.example/another"],
    "owner": OTHER_OWNER,
}
# Beside the secret of the registration itself: with it, an application has room for one secret more.
ROOM_FOR_ONE: Final = 8


def ready(make: Callable[..., World]) -> Callable[..., World]:
    """Make such a world only once, and then return copies of it."""
    made = functools.cache(make)
    return functools.wraps(make)(lambda *args: made(*args).copy())


@ready
def a_world(client_type: str) -> World:
    """A world in which a client's FHIR server is registered already."""
    world = World()
    if client_type != "resource":
        world.registered(a_resource())
    # The vault's library remembers for the whole process that it was challenged: after this, all worlds count alike.
    world.services.vault.current("none")
    return world


def subject(world: World) -> Registration:
    """The registration that a scenario is about: the last one that was made."""
    rows = [*world.registry.find(top=9).registrations, *world.registry.find(top=9, status=Status.DELETED).registrations]
    return max(rows, key=lambda row: (row.created_at, row.client_type != "resource"))


def add_credential(world: World, label: str, lives: timedelta = 300 * DAY) -> str:
    """Add a credential beside those that are there, whose text nobody keeps."""
    row = subject(world)
    return world.services.directory.add_secret(row.application_object_id or "", label, world.clock.now() + lives).key_id


def registered(body: dict[str, Any]) -> World:
    """A world with a registration of some days, which has been cleaned up since, and has a credential not ours."""
    world = a_world(body["clientType"])
    world.registered(body)
    if subject(world).holds_secret:
        add_credential(world, HAND_MADE)
    pass_time(world, 8 * DAY)
    return world


@ready
def a_client() -> World:
    return registered(a_service_client())


@ready
def a_confidential() -> World:
    return registered(a_confidential_client())


@ready
def a_server() -> World:
    return registered(a_resource())


@ready
def an_awaiting_request() -> World:
    """A world in which a FHIR server waits for an approval."""
    world = a_world("resource")
    awaiting(world, a_resource())
    return world


def a_forgotten_request() -> World:
    """The same, two weeks later."""
    world = an_awaiting_request()
    world.clock.sleep(LAPSES_AFTER.total_seconds() + 1)
    return world


ASKED_FIRST: Final = {"id": "names", "kind": "displayName", "pattern": "FHR .*", "approval": "approver"}


@ready
def a_policy_that_asks() -> World:
    """A world with a server, and a policy that wants an approval for most names."""
    world = a_world("public")
    world.policy = a_policy(ASKED_FIRST)
    world.clock.sleep(61)
    return world


def heard(world: World) -> World:
    """Have somebody be told of what happens in a world from now on."""
    return world.copy(Receiver())


@ready
def a_client_of_a_policy() -> World:
    """The same with a client that has no secret, in which little has to be looked at."""
    world = a_policy_that_asks()
    world.registered(a_public_client(displayName="FHR app"))
    world.clock.sleep(1)
    return world


@ready
def a_secret_of_a_policy() -> World:
    """The same with a web application, whose secret is replaced in time."""
    world = a_policy_that_asks()
    world.registered(a_confidential_client(displayName="FHR portal", autoRotate=True))
    pass_time(world, 8 * DAY)
    return world


@ready
def a_waiting_change() -> World:
    """A world in which a change of a client without a secret waits: of its name, where it leads, and whose it is."""
    return with_a_waiting_change(a_client_of_a_policy())


@ready
def a_change_beside_a_secret() -> World:
    """The same of one with a secret."""
    return with_a_waiting_change(a_secret_of_a_policy())


def with_a_waiting_change(world: World) -> World:
    """Have somebody ask for a change that waits."""
    asked_as(REQUESTER, world, "change_registration", WAITING_VALUES, subject(world).id)
    world.settle()
    assert subject(world).proposal is not None
    return world


def a_forgotten_change() -> World:
    """A world in which nobody has decided about a change for two weeks."""
    world = a_waiting_change()
    world.clock.sleep(LAPSES_AFTER.total_seconds() + 1)
    return world


def pass_time(world: World, time: timedelta) -> None:
    """Let time pass in which nothing happens, and then the platform catch up."""
    world.clock.sleep(time.total_seconds())
    world.plan()
    world.settle()


@ready
def a_young_client() -> World:
    """A world with a secret that was minted so lately that its own run could still publish it."""
    world = a_newborn_client()
    world.clock.sleep(330)
    return world


@ready
def a_newborn_client() -> World:
    """A world with a secret that was minted a second ago."""
    world = a_world("service")
    world.registered(a_service_client())
    world.clock.sleep(1)
    return world


@ready
def a_full_client() -> World:
    """A world with a secret that was minted seconds ago, and room for one more on its application."""
    return filled(a_newborn_client())


def filled(world: World) -> World:
    """Add credentials by hand until there is room for one secret more."""
    for _ in range(ROOM_FOR_ONE):
        add_credential(world, HAND_MADE)
    world.clock.sleep(1)
    return world


@ready
def a_newborn_server() -> World:
    """A world with a resource application that was made a second ago."""
    world = a_world("resource")
    world.registered(a_resource())
    world.clock.sleep(1)
    return world


@ready
def a_crowded_client() -> World:
    """A world with credentials enough to remove, and an overlap that is shorter than replicas may be late."""
    short = {"SECRET_OVERLAP": "PT20M", "SECRET_ROTATE_BEFORE": "PT6H", "SECRET_LIFETIME": "PT20H"}
    world = World(settings=short)
    world.registered(a_resource())
    world.registered(a_service_client())
    for _ in range(ROOM_FOR_ONE + 2):
        add_credential(world, subject(world).credential_label)
    world.clock.sleep(25 * 60)
    return world


def listed_late(world: World) -> World:
    """Have Entra go on listing for a minute what was removed."""
    world.emulator.faults.set(replication_lag=60)
    return world


@ready
def a_rotated_client() -> World:
    """A world in which a secret was replaced."""
    world = a_client()
    world.rotate(subject(world).id)
    world.settle()
    return world


@ready
def a_due_client() -> World:
    """A world in which a secret has to be replaced."""
    return until_due(a_client())


@ready
def an_overlapped_client() -> World:
    """A world in which a replaced secret may be removed."""
    return until_due(a_rotated_client())


def until_due(world: World) -> World:
    """Let time pass until the planner finds something."""
    due_at = subject(world).due_at
    assert due_at is not None
    world.clock.time = due_at + timedelta(seconds=1)
    return world


@ready
def a_lost_secret() -> World:
    """A world in which Entra lost a secret soon after it was published; a reconciliation has seen that, weeks later."""
    world = a_rotated_client()
    row = subject(world)
    [lost] = [each for each in credentials(world) if row.secret and each.key_id == row.secret.key_id]
    lost.lose_after(3600)
    world.watch.lost.add(lost.key_id)
    world.clock.sleep(8 * 86_400)
    compared(world)
    world.deliver()
    world.clock.sleep(86_400)
    return world


@ready
def a_secret_by_hand() -> World:
    """A world in which somebody put a secret of their own into the vault, long ago, in place of ours."""
    world = a_rotated_client()
    row = subject(world)
    [theirs] = [each for each in credentials(world) if each.display_name == HAND_MADE]
    world.emulator.vault.set(row.secret_name, {"value": theirs.text, "tags": {"keyId": theirs.key_id}})
    world.clock.sleep(8 * 86_400)
    return world


@ready
def an_ended_secret() -> World:
    """A world that stood still until the current secret had ended, which lives for less long than the one before it."""
    world = a_rotated_client()
    [current] = [each for each in credentials(world) if each.key_id == keys_of_versions(world, subject(world))[-1]]
    current.end = world.clock.now() + 9 * DAY
    version = versions_of(world, subject(world))[-1]
    version.expires = int(current.end.timestamp())
    world.clock.sleep(10 * 86_400)
    return world


@ready
def a_stray() -> World:
    """A world with a credential of ours that a run of long ago left, and that no entry tells of."""
    world = a_client()
    add_credential(world, subject(world).credential_label)
    world.clock.sleep(8 * 86_400)
    return world


@ready
def leftovers() -> World:
    """A world in which a run that came too late brought back what was deleted."""
    world = a_client()
    row = subject(world)
    world.delete(row.id)
    world.settle()
    application = world.emulator.directory.application(app_id=row.client_id or "")
    assert application is not None
    application.deleted_at = None
    application.body.put(world.clock.now(), application.last_body)
    world.emulator.vault.deleted.clear()
    world.emulator.vault.set(row.secret_name, {"value": "late", "tags": {"id": row.id}})
    return world


def compared(world: World) -> str:
    """Have a reconciliation come to the registration."""
    row = subject(world)
    world.send(reconcile_message(row.id, f"{world.clock.now():%Y%m%dT%H%M%SZ}"))
    return row.id


def credentials(world: World) -> list[Any]:
    application = world.emulator.directory.application(app_id=subject(world).client_id or "")
    return live(application, world.clock.now()) if application else []


def keys_of_versions(world: World, row: Registration) -> list[str]:
    return [each.tags["keyId"] for each in versions_of(world, row)]
