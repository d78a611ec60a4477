"""What a world is like, what is asked in it, and how that must end, whatever goes wrong meanwhile.

The four client types are provisioned, and the service clients without a secret. Then what follows in their lives:
rotation, clean-up, revocation, change and deletion, asked for by a caller or found to be due.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import Any, Final

import requests

from provisioning.api.answers import Answer
from provisioning.domain.approval import Outcome
from provisioning.domain.errors import TryAgain
from provisioning.domain.operation import OperationStatus, OperationType
from provisioning.domain.registration import Registration, Status
from provisioning.flow.grant import RUNS_END_WITHIN
from provisioning.flow.reconcile import first_page
from tests.faults.pasts import (
    DAY,
    HAND_MADE,
    WAITING_VALUES,
    a_change_beside_a_secret,
    a_client,
    a_client_of_a_policy,
    a_confidential,
    a_crowded_client,
    a_due_client,
    a_forgotten_change,
    a_forgotten_request,
    a_full_client,
    a_lost_secret,
    a_newborn_client,
    a_newborn_server,
    a_policy_that_asks,
    a_secret_by_hand,
    a_server,
    a_stray,
    a_waiting_change,
    a_world,
    a_young_client,
    an_awaiting_request,
    an_ended_secret,
    an_overlapped_client,
    compared,
    credentials,
    heard,
    keys_of_versions,
    leftovers,
    listed_late,
    subject,
)
from tests.worlds.approvals import REQUESTER, asked_as, decided
from tests.worlds.certificates import a_certificate
from tests.worlds.checker import check
from tests.worlds.outside import Died
from tests.worlds.request_bodies import OTHER_OWNER, REQUESTS, a_service_client
from tests.worlds.watch import is_labelled, versions_of
from tests.worlds.world import World

SOON: Final = timedelta(minutes=20)

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


# --- what is asked --------------------------------------------------------------------------------------------------

NEW_VALUES: Final = {"displayName": "Another name", "redirectUris": ["https://app.contoso.example/another"]}
ASKS: Final[dict[str, Callable[[World, str], Answer]]] = {
    "rotate": lambda world, registration_id: world.rotate(registration_id),
    "revoke": lambda world, registration_id: world.rotate(registration_id, {"revokePrevious": True}),
    "rename": lambda world, registration_id: world.change(registration_id, {"displayName": "Another name"}),
    "change": lambda world, registration_id: world.change(registration_id, NEW_VALUES),
    "delete": lambda world, registration_id: world.delete(registration_id),
}
# The same, and what is asked about a registration of which something waits for an approval.
ALL_ASKS: Final[dict[str, Callable[[World, str], Answer]]] = {
    **ASKS,
    "contact": lambda world, registration_id: world.change(registration_id, {"contact": "b@contoso.example"}),
    "approve": lambda world, registration_id: decided(world, world.row(registration_id), "approve"),
    "deny": lambda world, registration_id: decided(world, world.row(registration_id), "deny"),
}


def asked(what: str, world: World) -> str:
    """Ask for it as a bot does: that it is pending already is an answer too, if the first one was lost."""
    row = subject(world)
    answer = answered(world, lambda: ASKS[what](world, row.id))
    in_progress = answer.status == 409 and world.row(row.id).operation.id != row.operation.id
    assert answer.status == 202 or in_progress, answer.body
    return row.id


def asked_in_vain(world: World) -> str:
    """Ask for a rotation while the vault's secret is somebody else's; ask again once they have taken that away.

    Meanwhile a reconciliation looks at it, which must not clean up beside a secret that is not ours.
    """
    row = world.row(asked("rotate", world))
    world.reconcile()
    failure = world.row(row.id).operation.failure
    assert failure is not None
    assert failure.code == "vault-secret-not-ours"
    versions_of(world, row).pop()
    return asked("rotate", world)


def submitted_to_wait(world: World) -> str:
    """POST with a key, as a bot does, what has to wait for an approval."""
    body = REQUESTS["public"](owner=OTHER_OWNER)
    key = {"idempotency-key": "the-same"}
    answer = answered(world, lambda: asked_as(REQUESTER, world, "submit_registration", body, "", **key))
    assert answer.status == 202, answer.body
    return str(json.loads(answer.body)["registrationId"])


def change_asked(world: World) -> str:
    """PATCH what has to wait for an approval, as often as it takes to get an answer."""
    row = subject(world)
    answer = answered(world, lambda: asked_as(REQUESTER, world, "change_registration", WAITING_VALUES, row.id))
    assert answer.status == 202, answer.body
    return row.id


def approved_or_denied(what: str, world: World) -> str:
    """Decide as a person does: that it is decided already is an answer too, if the first one was lost."""
    row = subject(world)
    answer = answered(world, lambda: decided(world, row, what))
    assert answer.status == 202 or json.loads(answer.body)["code"] == "nothing-to-decide", answer.body
    return row.id


def planned(world: World) -> str:
    """Fire the planner."""
    world.plan()
    return subject(world).id


def reconciled(world: World) -> str:
    """Fire the reconciliation."""
    world.send(first_page(world.services))
    return subject(world).id


# --- how it must end ------------------------------------------------------------------------------------------------


def ours(world: World) -> set[str]:
    """The key ids of the credentials of this service that are live."""
    return {each.key_id for each in credentials(world) if is_labelled(each)}


def has_succeeded(operation: OperationType, row: Registration) -> None:
    assert (row.status, row.operation.type) == (Status.ACTIVE, operation)
    assert row.operation.status is OperationStatus.SUCCEEDED, row.operation.failure


def has_rotated(world: World, row: Registration) -> None:
    has_succeeded(OperationType.ROTATE, row)
    assert len(set(keys_of_versions(world, row))) > 1, "nothing was rotated"


def is_rotated(world: World, row: Registration) -> None:
    """Both secrets work, until the overlap has passed."""
    has_succeeded(OperationType.ROTATE, row)
    keys = keys_of_versions(world, row)
    assert len(set(keys)) > 1, "nothing was rotated"
    assert ours(world) >= set(keys[-2:]), "a replaced secret does not work"
    is_cleaned_up(world, row)


def is_revoked(world: World, row: Registration) -> None:
    """Of all secrets from before, none works."""
    has_rotated(world, row)
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


def is_approved(world: World, row: Registration) -> None:
    is_active(world, row)
    assert row.approval is not None
    assert row.approval.outcome is Outcome.APPROVED


def is_refused(code: str) -> Callable[[World, Registration], None]:
    """It has failed, and nothing of it was ever created."""

    def ends(world: World, row: Registration) -> None:
        assert row.status is Status.FAILED, "created although nobody agreed"
        assert row.operation.failure is not None
        assert row.operation.failure.code == code
        assert world.emulator.directory.application(unique_name=row.unique_name) is None

    return ends


def waits(world: World, row: Registration) -> None:
    """It waits, and nothing of it has happened; once approved all of it does."""
    before = world.emulator.directory.application(app_id=row.client_id) if row.client_id else None
    assert row.awaits_approval
    if row.proposal is None:
        assert world.emulator.directory.application(unique_name=row.unique_name) is None
    else:
        assert before is not None
        assert before.last_body["displayName"] != row.proposal.request.display_name, "changed although nobody agreed"
    assert decided(world, row, "approve").status == 202
    world.settle()
    check(world)
    after = world.row(row.id)
    assert (after.status, after.operation.status) == (Status.ACTIVE, OperationStatus.SUCCEEDED)


def waits_and_is_told(world: World, row: Registration) -> None:
    """Whoever decides was told that it waits."""
    assert row.approval is not None
    assert row.approval.digest in repr(world.told), "nobody was told that it waits"
    waits(world, row)


def is_changed_as_approved(_world: World, row: Registration) -> None:
    has_succeeded(OperationType.CHANGE, row)
    assert row.request.display_name == WAITING_VALUES["displayName"]
    assert row.proposal is None


def is_left(code: str) -> Callable[[World, Registration], None]:
    """Nobody agreed to the change, and the registration lives on as it was."""

    def ends(_world: World, row: Registration) -> None:
        assert row.request.display_name != WAITING_VALUES["displayName"], "changed although nobody agreed"
        assert (row.status, row.operation.type, row.proposal) == (Status.ACTIVE, OperationType.CHANGE, None)
        assert row.operation.failure is not None
        assert row.operation.failure.code == code

    return ends


def is_rotated_beside(world: World, row: Registration) -> None:
    """A secret was replaced in time, and the change waits still."""
    has_rotated(world, row)
    waits(world, row)


def is_changed(_world: World, row: Registration) -> None:
    has_succeeded(OperationType.CHANGE, row)
    assert row.request.display_name == NEW_VALUES["displayName"]


def outlived(world: World) -> None:
    """Let so much time pass that no run is left that began before, without a reconciliation; and check."""
    world.live(RUNS_END_WITHIN + timedelta(minutes=10), reconciled=timedelta(days=2))
    world.settle()
    check(world)


def is_deleted(world: World, row: Registration) -> None:
    assert row.status is Status.DELETED
    application = world.emulator.directory.application(unique_name=row.unique_name)
    assert application is not None
    assert application.last_body["identifierUris"] == [], "a deleted application keeps its URI"


def soon(ends: Callable[[World, Registration], None]) -> Callable[[World, Registration], None]:
    """It ends so, and not later than one run that died, or one wait of each kind, explains."""

    def ends_soon(world: World, row: Registration) -> None:
        assert row.updated_at - row.operation.requested_at <= SOON, "it took too long"
        ends(world, row)

    return ends_soon


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
    "approve": Scenario(an_awaiting_request, partial(approved_or_denied, "approve"), is_approved),
    "deny": Scenario(an_awaiting_request, partial(approved_or_denied, "deny"), is_refused("approval-denied")),
    "lapse": Scenario(a_forgotten_request, planned, is_refused("approval-lapsed")),
    "ask-new": Scenario(lambda: heard(a_policy_that_asks()), submitted_to_wait, waits_and_is_told),
    "ask": Scenario(lambda: heard(a_client_of_a_policy()), change_asked, waits_and_is_told),
    "approve-change": Scenario(a_waiting_change, partial(approved_or_denied, "approve"), is_changed_as_approved),
    "deny-change": Scenario(a_waiting_change, partial(approved_or_denied, "deny"), is_left("approval-denied")),
    "lapse-change": Scenario(a_forgotten_change, planned, is_left("approval-lapsed")),
    "rotate-beside": Scenario(a_change_beside_a_secret, partial(asked, "rotate"), is_rotated_beside),
    "leftovers": Scenario(leftovers, reconciled, is_deleted),
}
# Made seconds ago, and with room for one secret more: here a run is most likely to trip over its own effect.
TIGHT: Final[dict[str, Scenario]] = {
    "rotate-full": Scenario(a_full_client, partial(asked, "rotate"), soon(is_rotated)),
    "revoke-full": Scenario(a_full_client, partial(asked, "revoke"), soon(is_revoked)),
    "delete-full": Scenario(a_full_client, partial(asked, "delete"), soon(is_deleted)),
    "delete-newborn": Scenario(a_newborn_server, partial(asked, "delete"), soon(is_deleted)),
}
SCENARIOS: Final[dict[str, Scenario]] = {
    **{client_type: provisioning(client_type) for client_type in REQUESTS | SECRETLESS},
    **LIVES,
    **TIGHT,
    "rotate-crowded": Scenario(lambda: listed_late(a_crowded_client()), partial(asked, "rotate"), has_rotated),
}
