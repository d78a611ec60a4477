"""What a world is like, what is asked in it, and how that must end, whatever goes wrong meanwhile.

The four client types are provisioned, and the service clients without a secret. Then what follows in their lives:
rotation, clean-up, revocation, change and deletion, asked for by a caller or found to be due.
"""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

import requests

from provisioning.api.answers import Answer
from provisioning.domain.errors import TryAgain
from provisioning.domain.messages import reconcile_message
from provisioning.domain.operation import OperationStatus, OperationType
from provisioning.domain.registration import Registration, Status
from provisioning.flow.reconcile import first_page
from tests.worlds.certificates import a_certificate
from tests.worlds.checker import check
from tests.worlds.outside import Died
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.watch import is_labelled, live, versions_of
from tests.worlds.world import World

DAY: Final = timedelta(days=1)
HAND_MADE: Final = "by hand"

REQUESTS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "resource": a_resource,
    "confidential": a_confidential_client,
    "public": a_public_client,
    "service": a_service_client,
}
# Service clients without a secret: little differs, so they are struck once at a time only.
SECRETLESS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "federated": lambda: a_service_client(
        credential={"type": "federated", "issuer": "https://token.example", "subject": "repo:contoso/export"}
    ),
    "certificate": lambda: a_service_client(credential={"type": "certificate", "certificate": a_certificate().pem}),
}


@dataclass(frozen=True)
class Scenario:
    """How its world is prepared, what is asked there and of which registration, and how that must have ended."""

    begin: Callable[[], World]
    ask: Callable[[World], str]
    ends: Callable[[World, Registration], None]


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


def answered(world: World, ask: Callable[[], Answer]) -> Answer:
    """Ask until there is an answer: a bot that got none, or a 503, sends the same again."""
    for _ in range(9):
        try:
            answer = ask()
        except (Died, requests.ConnectionError, TryAgain):
            continue
        if answer.status != 503:
            return answer
        world.clock.sleep(float(answer.headers["Retry-After"]))
    raise AssertionError("no answer")


def submitted(world: World, client_type: str) -> str:
    """POST with a key, as a bot does; return the id of the registration."""
    answer = answered(world, lambda: world.post((REQUESTS | SECRETLESS)[client_type](), key="the-same"))
    assert answer.status == 202, answer.body
    return str(json.loads(answer.body)["registrationId"])


def is_active(_world: World, row: Registration) -> None:
    assert row.status is Status.ACTIVE, row.operation.failure


def provisioning(client_type: str) -> Scenario:
    return Scenario(lambda: a_world(client_type), lambda world: submitted(world, client_type), is_active)


# --- what a registration may have lived through ---------------------------------------------------------------------


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


# --- what is asked --------------------------------------------------------------------------------------------------

NEW_VALUES: Final = {"displayName": "Another name", "redirectUris": ["https://app.contoso.example/another"]}
ASKS: Final[dict[str, Callable[[World, str], Answer]]] = {
    "rotate": lambda world, registration_id: world.rotate(registration_id),
    "revoke": lambda world, registration_id: world.rotate(registration_id, {"revokePrevious": True}),
    "rename": lambda world, registration_id: world.change(registration_id, {"displayName": "Another name"}),
    "change": lambda world, registration_id: world.change(registration_id, NEW_VALUES),
    "delete": lambda world, registration_id: world.delete(registration_id),
}


def asked(what: str, world: World) -> str:
    """Ask for it as a bot does: that it is pending already is an answer too, if the first one was lost."""
    row = subject(world)
    answer = answered(world, lambda: ASKS[what](world, row.id))
    in_progress = answer.status == 409 and world.row(row.id).operation.id != row.operation.id
    assert answer.status == 202 or in_progress, answer.body
    return row.id


def asked_in_vain(world: World) -> str:
    """Ask for a rotation while the vault's secret is somebody else's; ask again once they have taken that away."""
    row = world.row(asked("rotate", world))
    world.settle()
    failure = world.row(row.id).operation.failure
    assert failure is not None
    assert failure.code == "vault-secret-not-ours"
    versions_of(world, row).pop()
    return asked("rotate", world)


def planned(world: World) -> str:
    """Fire the planner."""
    world.plan()
    return subject(world).id


def reconciled(world: World) -> str:
    """Fire the reconciliation."""
    world.send(first_page(world.services))
    return subject(world).id


def compared(world: World) -> str:
    """Have a reconciliation come to the registration."""
    row = subject(world)
    world.send(reconcile_message(row.id, f"{world.clock.now():%Y%m%dT%H%M%SZ}"))
    return row.id


# --- how it must end ------------------------------------------------------------------------------------------------


def credentials(world: World) -> list[Any]:
    application = world.emulator.directory.application(app_id=subject(world).client_id or "")
    return live(application, world.clock.now()) if application else []


def ours(world: World) -> set[str]:
    """The key ids of the credentials of this service that are live."""
    return {each.key_id for each in credentials(world) if is_labelled(each)}


def keys_of_versions(world: World, row: Registration) -> list[str]:
    return [each.tags["keyId"] for each in versions_of(world, row)]


def has_succeeded(operation: OperationType, row: Registration) -> None:
    assert (row.status, row.operation.type) == (Status.ACTIVE, operation)
    assert row.operation.status is OperationStatus.SUCCEEDED, row.operation.failure


def is_rotated(world: World, row: Registration) -> None:
    """Both secrets work, until the overlap has passed."""
    has_succeeded(OperationType.ROTATE, row)
    keys = keys_of_versions(world, row)
    assert len(set(keys)) > 1, "nothing was rotated"
    assert ours(world) >= set(keys[-2:]), "a replaced secret does not work"
    is_cleaned_up(world, row)


def is_revoked(world: World, row: Registration) -> None:
    """Of all secrets from before, none works."""
    has_succeeded(OperationType.ROTATE, row)
    assert len(set(keys_of_versions(world, row))) > 1, "nothing was rotated"
    is_cleaned_up(world, row)


def is_replaced(world: World, row: Registration) -> None:
    """A secret that does not work any more is replaced, and the one before it was left alone until then."""
    has_succeeded(OperationType.ROTATE, row)
    assert len(set(keys_of_versions(world, row))) > 2, "nothing was replaced"
    is_cleaned_up(world, row)


def is_cleaned_up(world: World, row: Registration) -> None:
    """After the overlap and a day, without a reconciliation, there is the current secret and nothing else of ours."""
    by_hand = [each for each in credentials(world) if each.display_name == HAND_MADE]
    overlap = world.settings.secrets.overlap
    world.live(overlap + DAY, reconciled=overlap + 2 * DAY)
    world.settle()
    check(world)
    assert ours(world) == set(keys_of_versions(world, row)[-1:]), "something of ours was not cleaned up"
    assert [each for each in by_hand if each not in credentials(world)] == []


def is_changed(_world: World, row: Registration) -> None:
    has_succeeded(OperationType.CHANGE, row)
    assert row.request.display_name == NEW_VALUES["displayName"]


def is_deleted(world: World, row: Registration) -> None:
    assert row.status is Status.DELETED
    application = world.emulator.directory.application(unique_name=row.unique_name)
    assert application is not None
    assert application.last_body["identifierUris"] == [], "a deleted application keeps its URI"


LIVES: Final[dict[str, Scenario]] = {
    "rotate": Scenario(a_client, partial(asked, "rotate"), is_rotated),
    "due": Scenario(a_due_client, planned, is_rotated),
    "revoke": Scenario(a_client, partial(asked, "revoke"), is_revoked),
    "revoke-young": Scenario(a_young_client, partial(asked, "revoke"), is_revoked),
    "revoke-newborn": Scenario(a_newborn_client, partial(asked, "revoke"), is_revoked),
    "clean-up": Scenario(an_overlapped_client, planned, is_cleaned_up),
    "change": Scenario(a_confidential, partial(asked, "change"), is_changed),
    "delete": Scenario(a_client, partial(asked, "delete"), is_deleted),
    "delete-resource": Scenario(a_server, partial(asked, "delete"), is_deleted),
    "lost": Scenario(a_lost_secret, compared, is_replaced),
    "ended": Scenario(an_ended_secret, planned, is_replaced),
    "by-hand": Scenario(a_secret_by_hand, asked_in_vain, is_rotated),
    "stray": Scenario(a_stray, compared, is_cleaned_up),
    "leftovers": Scenario(leftovers, reconciled, is_deleted),
}
SCENARIOS: Final[dict[str, Scenario]] = {
    **{client_type: provisioning(client_type) for client_type in REQUESTS | SECRETLESS},
    **LIVES,
}
