"""What an event tells of two states of a row, field by field; that each act is told once is tested with the flow."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from provisioning.domain.approval import Proposal
from provisioning.domain.azure_roles import AzureGrant
from provisioning.domain.callers import Caller, CallerKind
from provisioning.domain.errors import RequestRejected
from provisioning.domain.events import (
    Actor,
    ActorKind,
    Trail,
    What,
    brought_back,
    carried_out,
    numbered,
    refused,
    wished,
)
from provisioning.domain.grants import Grant, GrantState
from provisioning.domain.operation import Failure, OperationStatus, OperationType
from provisioning.domain.registration import Registration, Status
from provisioning.domain.usage import CredentialUse, Usage
from tests.worlds.variants import NOW, REQUESTS, full, row

LATER, EARLIER = NOW + timedelta(hours=1), NOW - timedelta(days=1)
TRAIL: Final = Trail("trace", Actor(ActorKind.PLANNER))
FAILURE: Final = Failure("code", "message", "remedy", "graph-request")
GRANT: Final = Grant("read", "1", GrantState.WAITS, NOW, "resource-owner")
ROLE: Final = AzureGrant("Role", "/scope", "principal", GrantState.DECLARED, NOW)


def settled() -> Registration:
    """A service client with a secret, whose rotation succeeded."""
    done = replace(full(row(REQUESTS["service"])), usage=None, proposal=None, grants=(GRANT,), azure_grants=(ROLE,))
    return replace(done, operation=replace(done.operation, status=OperationStatus.SUCCEEDED, failure=None))


def doing(kind: OperationType, registration: Registration) -> Registration:
    operation = replace(registration.operation, type=kind, status=OperationStatus.PENDING)
    return replace(registration, operation=operation)


def with_secret(registration: Registration, key_id: str) -> Registration:
    assert registration.secret is not None
    return replace(registration, secret=replace(registration.secret, key_id=key_id))


def told(before: Registration, after: Registration) -> dict[str, Any] | None:
    """What one run tells, without what every event has; None where it tells nothing."""
    found = carried_out(TRAIL, before, after, (), LATER)
    if not found:
        return None
    [event] = found
    assert (event.registration_id, event.time, event.trace_id, event.actor) == (before.id, LATER, "trace", TRAIL.actor)
    assert (event.operation_id, event.policy_version, event.n) == (after.operation.id, "policy", "")
    named = ("changed", "key_id", "former_key_id", "code", "graph_request_id", "last_used_at")
    return {"what": str(event.what), "outcome": str(event.outcome)} | {
        name: value for name in named if (value := getattr(event, name))
    }


USED: Final = Usage(EARLIER, None, (CredentialUse("key", EARLIER, NOW),))
ENDS: dict[str, tuple[Callable[[Registration], Registration], Callable[[Registration], Registration], Any]] = {
    "nothing": (lambda row: row, lambda row: replace(row, due_at=LATER, last_error=None), None),
    "provisioned": (
        lambda row: doing(OperationType.PROVISION, row),
        lambda row: row.succeeded(LATER),
        {"what": "provisioned", "outcome": "succeeded", "key_id": "key"},
    ),
    "changed": (
        lambda row: doing(OperationType.CHANGE, row),
        lambda row: row.succeeded(LATER),
        {"what": "changed", "outcome": "succeeded", "changed": ("contact",)},
    ),
    "rotated": (
        lambda row: doing(OperationType.ROTATE, row),
        lambda row: with_secret(row, "other").succeeded(LATER),
        {"what": "rotated", "outcome": "succeeded", "key_id": "other", "former_key_id": "key"},
    ),
    "deleted, and used": (
        lambda row: replace(doing(OperationType.DELETE, row), usage=USED),
        lambda row: row.succeeded(LATER),
        {"what": "deleted", "outcome": "succeeded", "last_used_at": EARLIER},
    ),
    "changed, and used": (
        lambda row: replace(doing(OperationType.CHANGE, row), usage=USED),
        lambda row: row.succeeded(LATER),
        {"what": "changed", "outcome": "succeeded", "changed": ("contact",)},
    ),
    "failed": (
        lambda row: doing(OperationType.CHANGE, row),
        lambda row: row.failed(FAILURE, LATER),
        {"what": "failed", "outcome": "failed", "code": "code", "graph_request_id": "graph-request"},
    ),
    "a rotation that is due": (
        lambda row: row,
        lambda row: row.begun("next", OperationType.ROTATE, LATER, LATER),
        {"what": "rotation-requested", "outcome": "accepted"},
    ),
    "the same operation again": (
        lambda row: row,
        lambda row: doing(OperationType.ROTATE, row),
        {"what": "reopened", "outcome": "accepted"},
    ),
    "begun anew": (
        lambda row: doing(OperationType.ROTATE, row),
        lambda row: replace(row, operation=replace(row.operation, requested_at=LATER)),
        {"what": "reopened", "outcome": "accepted"},
    ),
    "a secret alone": (
        lambda row: row,
        lambda row: with_secret(row, "other"),
        {"what": "secret-published", "outcome": "succeeded", "key_id": "other", "former_key_id": "key"},
    ),
    "a first secret alone": (
        lambda row: replace(row, secret=None),
        lambda row: replace(row, secret=settled().secret),
        {"what": "secret-published", "outcome": "succeeded", "key_id": "key"},
    ),
    "a permission": (
        lambda row: row,
        lambda row: replace(row, grants=(replace(GRANT, state=GrantState.GRANTED),)),
        {"what": "granted", "outcome": "succeeded"},
    ),
    "a permission that may be on its way": (
        lambda row: row,
        lambda row: replace(row, grants=(replace(GRANT, waits_for="propagation"),)),
        {"what": "granted", "outcome": "succeeded"},
    ),
    "a role of Azure": (
        lambda row: row,
        lambda row: replace(row, azure_grants=(replace(ROLE, state=GrantState.GRANTED),)),
        {"what": "granted", "outcome": "succeeded"},
    ),
    "the same role for somebody else": (
        lambda row: replace(row, azure_grants=(replace(ROLE, state=GrantState.GRANTED),)),
        lambda row: replace(row, azure_grants=(replace(ROLE, state=GrantState.GRANTED, principal_id="other"),)),
        {"what": "grant-taken-back", "outcome": "succeeded"},
    ),
    "a permission taken back": (
        lambda row: replace(row, grants=(replace(GRANT, state=GrantState.GRANTED),)),
        lambda row: replace(row, grants=()),
        {"what": "grant-taken-back", "outcome": "succeeded"},
    ),
    "a permission that waits for something else": (
        lambda row: row,
        lambda row: replace(row, grants=(replace(GRANT, waits_for="approver"),)),
        None,
    ),
}


@pytest.mark.parametrize(("before", "after", "expected"), ENDS.values(), ids=ENDS)
def test_what_a_run_made_of_a_row_is_told_with_what_it_is_about_and_nothing_else(
    before: Callable[[Registration], Registration], after: Callable[[Registration], Registration], expected: Any
) -> None:
    was = before(settled())
    assert told(was, after(was)) == expected


def test_each_credential_that_was_removed_is_told_with_its_last_use_as_whichever_row_knows_it() -> None:
    before = replace(settled(), usage=USED)
    after = replace(
        settled(), usage=Usage(NOW, None, (CredentialUse("other", NOW, NOW), CredentialUse("key", NOW, NOW)))
    )
    found = carried_out(TRAIL, before, with_secret(after, "new"), ("key", "other", "unknown"), LATER)
    assert [(str(each.what), each.former_key_id, each.last_used_at) for each in found] == [
        ("credential-removed", "key", EARLIER),
        ("credential-removed", "other", NOW),
        ("credential-removed", "unknown", None),
        ("secret-published", "key", None),
    ]
    assert {str(each.outcome) for each in found} == {"succeeded"}
    [unknown] = carried_out(TRAIL, settled(), settled(), ("key",), LATER)
    assert unknown.last_used_at is None


def test_a_wish_names_the_fields_that_it_changes_and_the_policy_that_it_is_judged_by() -> None:
    before = replace(settled(), updated_at=LATER)
    changed = REQUESTS["service"].model_copy(update={"display_name": "Another", "contact": "x@contoso.example"})
    now = wished(TRAIL, What.CHANGE_REQUESTED, before, replace(before, request=changed, policy_version="newer"))
    assert (now.changed, now.policy_version, now.time) == (("displayName", "contact"), "newer", LATER)
    assert (str(now.outcome), now.n, now.last_used_at) == ("accepted", "", None)
    proposal = Proposal("proposed", NOW, changed, "policy")
    for version, shown in (("other", "other"), ("", None)):
        after = replace(before, proposal=replace(proposal, policy_version=version))
        waits = wished(TRAIL, What.CHANGE_REQUESTED, before, after)
        assert (waits.changed, waits.policy_version) == (("displayName", "contact"), shown)
        assert wished(TRAIL, What.ROTATION_REQUESTED, before, after).changed == ()
    assert wished(TRAIL, What.REQUESTED, None, replace(before, policy_version="")).changed == ()
    assert wished(TRAIL, What.REQUESTED, None, replace(before, policy_version="")).policy_version is None


def test_a_wish_that_ends_something_is_told_with_when_that_was_last_used_and_no_other_is() -> None:
    after = replace(settled(), usage=USED)
    ends = {what for what in What if wished(TRAIL, what, after, after).last_used_at == EARLIER}
    assert ends == {"revocation-requested", "deletion-requested"}


def test_a_refusal_has_its_code_and_no_number_of_a_write_and_two_are_told_apart() -> None:
    error = RequestRejected(409, "not-now", "Not now.")
    first, second = (refused(TRAIL, What.RETRIED, settled(), error, LATER) for _ in range(2))
    assert (str(first.what), str(first.outcome), first.code, first.time) == ("retried", "refused", "not-now", LATER)
    assert len(first.n) == len("r") + 12
    assert first.n.startswith("r")
    assert first.n != second.n


def test_what_is_brought_back_is_accepted_while_it_is_to_be_gone_on_with_and_names_its_secret() -> None:
    for pending, outcome in ((True, "accepted"), (False, "succeeded")):
        found = doing(OperationType.PROVISION, settled()) if pending else settled()
        event = brought_back(TRAIL, found)
        assert (str(event.what), str(event.outcome), event.key_id) == ("rebuilt", outcome, "key")
        assert brought_back(TRAIL, replace(found, secret=None)).key_id is None


def test_events_are_numbered_on_from_those_that_a_row_has() -> None:
    event = wished(TRAIL, What.RETRIED, None, settled())
    written, events = numbered(replace(settled(), events=9), (event, event))
    assert (written.events, [each.n for each in events]) == (11, ["000010", "000011"])
    assert numbered(settled(), ())[0] == settled()


@pytest.mark.parametrize(
    ("caller", "object_id", "shown"),
    [
        (Caller("a", CallerKind.USER, via="b"), "a", "user a via b"),
        (Caller("a", CallerKind.APPLICATION), "a", "application a"),
        (Caller("function-key", CallerKind.KEY), None, "key"),
    ],
)
def test_an_actor_is_the_caller_by_object_id_and_whoever_holds_a_key_has_none(
    caller: Caller, object_id: str | None, shown: str
) -> None:
    actor = Actor.of(caller)
    assert (str(actor.kind), actor.object_id, actor.via, str(actor)) == (caller.kind, object_id, caller.via, shown)


def test_a_registration_that_ends_is_told_so_whatever_it_was() -> None:
    deleted = doing(OperationType.DELETE, replace(settled(), status=Status.DELETING)).succeeded(LATER)
    assert deleted.status is Status.DELETED
    assert (told(doing(OperationType.DELETE, settled()), deleted) or {})["what"] == "deleted"
