"""What follows from what is remembered of a registration, and how each thing that happens to it changes that."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provisioning.domain.approval import Approval, Outcome, Proposal, digest_of
from provisioning.domain.callers import Caller, CallerKind, Role
from provisioning.domain.directory import Permission, ResolvedResource
from provisioning.domain.grants import Agreement
from provisioning.domain.intake import fingerprint, parse
from provisioning.domain.operation import Failure, LastError, Operation, OperationStatus, OperationType
from provisioning.domain.registration import Page, Registration, Status, registration_id
from provisioning.domain.secrets import SecretState
from tests.worlds.request_bodies import (
    OTHER_OWNER,
    OWNER,
    a_confidential_client,
    a_public_client,
    a_resource,
    a_service_client,
)

ID = "0a1b2c3d-11111111-2222-4333-8444-666666666666"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
SECOND, TICK = timedelta(seconds=1), timedelta(microseconds=1)
LATER, DUE = NOW + timedelta(hours=1), NOW + timedelta(hours=2)
ENDED = Failure("other", "text")
CHANGE, ROTATE, PROVISION, DELETE = (
    OperationType.CHANGE,
    OperationType.ROTATE,
    OperationType.PROVISION,
    OperationType.DELETE,
)
AWAITS, PENDING, SUCCEEDED, FAILED = (
    OperationStatus.AWAITING_APPROVAL,
    OperationStatus.PENDING,
    OperationStatus.SUCCEEDED,
    OperationStatus.FAILED,
)
ONE, TWO, THREE = (Permission(f"id-{number}", f"name.{number}") for number in (1, 2, 3))
RESOURCE = ResolvedResource("https://fhir.contoso.example", "client", "principal", (ONE,), (TWO,), data_roles=(THREE,))
CALLER = Caller("person", CallerKind.USER, via="bot")
APPROVAL = Approval("digest", ("rule",), LATER, operation_id="1", asked_by="asker", asked_via="chat")


def an_operation(kind: OperationType = PROVISION, status: OperationStatus = SUCCEEDED, **fields: Any) -> Operation:
    return Operation("1", kind, status, NOW, **fields)


def a_row(body: dict[str, Any] | None = None, **changes: Any) -> Registration:
    request = parse(body or a_service_client())
    row = Registration(ID, "person", request, fingerprint(request), Status.ACTIVE, an_operation(), NOW, NOW)
    return replace(row, last_error=LastError(ENDED, passing=True), due_at=NOW, **changes)


def a_proposal(body: dict[str, Any] | None = None) -> Proposal:
    return Proposal("2", NOW - SECOND, parse(body or a_service_client(displayName="Other")), "p2", "trace")


# --- whose it is and what it waits for ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({}, {"person"}),
        ({"via": "bot"}, {"person", "bot"}),
        ({"via": "bot", "approval": APPROVAL}, {"person", "bot", "asker", "chat"}),
        ({"approval": replace(APPROVAL, asked_via=None), "proposal": a_proposal()}, {"asker"}),
        ({"proposal": a_proposal()}, set()),
    ],
)
def test_who_asked_does_not_decide_and_of_a_change_that_is_who_asked_for_it(
    changes: dict[str, Any], asked: set[str]
) -> None:
    assert a_row(**changes).asked_by == asked


def test_a_change_that_waits_is_approved_as_what_the_registration_becomes() -> None:
    row, proposal = a_row(policy_version="p1"), a_proposal()
    assert row.asked_digest == digest_of(fingerprint(row.request), "p1")
    assert replace(row, proposal=proposal).asked_digest == digest_of(fingerprint(proposal.request), "p2")


@pytest.mark.parametrize(
    ("status", "approval", "expected"),
    [
        (FAILED, APPROVAL, True),
        (FAILED, replace(APPROVAL, outcome=Outcome.DENIED), True),
        (FAILED, replace(APPROVAL, outcome=Outcome.APPROVED), False),
        (FAILED, replace(APPROVAL, operation_id="0"), False),
        (FAILED, None, False),
        (AWAITS, APPROVAL, False),
        (SUCCEEDED, APPROVAL, False),
    ],
)
def test_an_operation_was_not_approved_where_it_failed_without_the_consent_it_needed(
    status: OperationStatus, approval: Approval | None, *, expected: bool
) -> None:
    row = a_row(operation=an_operation(CHANGE, status), approval=approval)
    assert row.was_not_approved is expected
    assert row.has_lost_change is (status is FAILED and not expected)
    assert not a_row(operation=an_operation(ROTATE, status), approval=approval).has_lost_change


@pytest.mark.parametrize(
    ("approval", "application", "expected"),
    [
        (APPROVAL, None, True),
        (replace(APPROVAL, outcome=Outcome.DENIED), None, True),
        (replace(APPROVAL, outcome=Outcome.APPROVED), None, False),
        (APPROVAL, "object", False),
        (None, None, False),
    ],
)
def test_nobody_agreed_to_have_it_created_until_there_is_consent_or_an_application(
    approval: Approval | None, application: str | None, *, expected: bool
) -> None:
    assert a_row(approval=approval, application_object_id=application).was_never_approved is expected


@pytest.mark.parametrize(
    ("caller", "approval", "readable"),
    [
        (Caller(OWNER, CallerKind.USER), None, True),
        (Caller("x", CallerKind.USER), None, False),
        (Caller("x", CallerKind.USER), APPROVAL, False),
        (Caller("x", CallerKind.USER, frozenset({Role.APPROVE})), APPROVAL, True),
        (Caller("x", CallerKind.USER, frozenset({Role.APPROVE})), None, False),
    ],
)
def test_owners_and_those_who_decide_may_know_of_it(
    caller: Caller, approval: Approval | None, *, readable: bool
) -> None:
    assert a_row(approval=approval).readable_by(caller) is readable


@pytest.mark.parametrize(
    ("status", "awaits", "pending"), [(AWAITS, True, False), (PENDING, False, True), (SUCCEEDED, False, False)]
)
def test_it_waits_for_an_approval_of_its_creation_or_of_a_change(
    status: OperationStatus, *, awaits: bool, pending: bool
) -> None:
    row = a_row(operation=an_operation(status=status))
    assert (row.awaits_approval, row.pending) == (awaits, pending)
    assert replace(row, proposal=a_proposal()).awaits_approval


UNKNOWN = "of-a-newer-version"


@pytest.mark.parametrize(
    ("status", "kind", "operation", "understood"),
    [
        ("active", "change", "pending", True),
        (UNKNOWN, "change", "pending", False),
        ("active", "change", UNKNOWN, False),
        ("active", UNKNOWN, "pending", False),
        ("active", UNKNOWN, "succeeded", True),
        (UNKNOWN, UNKNOWN, UNKNOWN, False),
    ],
)
def test_what_a_newer_version_began_is_not_understood_until_it_has_ended(
    status: str, kind: str, operation: str, *, understood: bool
) -> None:
    begun = an_operation(OperationType(kind), OperationStatus(operation))
    assert a_row(status=Status(status), operation=begun).understood is understood


@pytest.mark.parametrize("status", list(Status))
def test_of_what_is_being_deleted_nothing_is_granted_and_that_is_a_change_of_what_is(status: Status) -> None:
    row = a_row(status=status, change=3, resource=RESOURCE)
    agreed = replace(row, agreement=Agreement(5, (ONE.value, THREE.value), "owner", NOW))
    ending = status in {Status.DELETING, Status.DELETED}
    assert row.ending is ending
    assert (row.grant_number, agreed.grant_number) == (3 + ending, 8 + ending)
    assert (row.agreed, agreed.agreed) == ((), () if ending else (ONE, THREE))
    assert row.declared == (ONE, TWO, THREE)


@pytest.mark.parametrize(
    ("changed", "resource", "asks"),
    [
        (("scopes",), RESOURCE, True),
        (("appRoles", "contact"), RESOURCE, True),
        (("dataRoles",), RESOURCE, True),
        (("contact",), RESOURCE, False),
        ((), RESOURCE, False),
        (("scopes",), None, False),
    ],
)
def test_a_change_of_permissions_asks_its_resource_otherwise(
    changed: tuple[str, ...], resource: ResolvedResource | None, *, asks: bool
) -> None:
    assert a_row(changed_fields=changed, resource=resource).asks_otherwise is asks


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (a_confidential_client(), "secret"),
        (a_service_client(), "secret"),
        (
            a_service_client(credential={"type": "federated", "issuer": "https://a.example", "subject": "s"}),
            "federated",
        ),
        (a_public_client(), None),
        (a_resource(), None),
    ],
)
def test_it_signs_in_with_the_credential_of_its_type(body: dict[str, Any], kind: str | None) -> None:
    row = a_row(body)
    assert (row.credential_type, row.holds_secret, row.client_type.value) == (
        kind,
        kind == "secret",
        body["clientType"],
    )


def test_what_it_is_called_in_entra_and_in_the_vault_follows_from_its_id() -> None:
    row = a_row()
    assert {row.unique_name, row.secret_name, row.federated_credential_name} == {f"fhir-registrar-{ID}"}


def test_what_was_read_of_a_row_is_neither_compared_nor_shown() -> None:
    row = a_row()
    read = replace(row, row={"field": "of-a-newer-version"})
    assert read == row
    assert "of-a-newer-version" not in repr(read)
    assert (row.change, row.events, row.owner_unseen) == (0, 0, False)
    assert Page((row,), None).unreadable == 0


# --- bounds of secrets ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("bounds", [(None, None), (LATER, None), (None, LATER), (LATER, DUE), (DUE, LATER)])
def test_a_secret_counts_as_minted_after_every_bound_and_whoever_asks_raises_it_past_the_secret(
    bounds: tuple[datetime | None, datetime | None],
) -> None:
    row = a_row(replace_before=bounds[0], revoke_before=bounds[1])
    last = max((each for each in bounds if each is not None), default=NOW)
    assert row.minted_at(NOW) == row.bound_at(NOW) == last
    assert row.minted_at(DUE + SECOND) == DUE + SECOND
    assert row.wants_younger(last - TICK) is (bounds != (None, None))
    assert not row.wants_younger(last)
    assert row.secret_label(NOW) == f"registrar:1:{last:%Y%m%dT%H%M%S.%fZ}"
    for minted, bound in ((None, last), (last, last + TICK), (last - SECOND, last), (DUE, DUE + TICK)):
        there = replace(row, secret=SecretState("id", "key", None, minted_at=minted))
        assert there.bound_at(NOW) == bound


# --- what happens to it ---------------------------------------------------------------------------------------------


ALLOWED = {
    (Status.ACCEPTED, DELETE): Status.DELETING,
    (Status.ACTIVE, ROTATE): Status.ACTIVE,
    (Status.ACTIVE, CHANGE): Status.ACTIVE,
    (Status.ACTIVE, DELETE): Status.DELETING,
    (Status.FAILED, PROVISION): Status.ACCEPTED,
    (Status.FAILED, DELETE): Status.DELETING,
}


@pytest.mark.parametrize("status", list(Status))
@pytest.mark.parametrize("kind", list(OperationType))
def test_an_operation_begins_only_where_it_has_its_place(status: Status, kind: OperationType) -> None:
    row = a_row(status=status)
    if (status, kind) not in ALLOWED:
        with pytest.raises(ValueError, match=f"a registration that is {status} cannot be "):
            row.begun("2", kind, LATER, DUE)
        return
    begun = row.begun("2", kind, LATER, DUE, "trace")
    assert begun.status is ALLOWED[status, kind]
    assert begun.operation == Operation("2", kind, PENDING, LATER, trace_id="trace")
    assert (begun.updated_at, begun.due_at, begun.last_error) == (LATER, DUE, None)


@pytest.mark.parametrize(
    ("row", "kind", "superseded", "proposed"),
    [
        (a_row(operation=an_operation(CHANGE, PENDING)), ROTATE, "1", False),
        (a_row(operation=an_operation(PROVISION, AWAITS), status=Status.ACCEPTED), DELETE, "1", False),
        (a_row(operation=a_proposal().operation, proposal=a_proposal()), DELETE, "2", False),
        (a_row(operation=a_proposal().operation, proposal=a_proposal()), ROTATE, None, True),
        (a_row(operation=an_operation(ROTATE, PENDING), proposal=a_proposal()), DELETE, "1", False),
        (a_row(), DELETE, None, False),
    ],
)
def test_what_an_operation_finds_waiting_it_takes_the_place_of_but_a_proposal_only_where_all_is_deleted(
    row: Registration, kind: OperationType, superseded: str | None, *, proposed: bool
) -> None:
    begun = row.begun("3", kind, LATER, DUE)
    assert (begun.operation.supersedes, begun.proposal is not None) == (superseded, proposed)


@pytest.mark.parametrize(
    ("operation", "kind", "told"),
    [
        (an_operation(CHANGE, PENDING), CHANGE, True),
        (an_operation(CHANGE, SUCCEEDED), CHANGE, True),
        (an_operation(CHANGE, PENDING), ROTATE, True),
        (an_operation(CHANGE, SUCCEEDED), ROTATE, False),
        (an_operation(ROTATE, PENDING), ROTATE, False),
    ],
)
def test_what_a_change_is_about_is_told_until_another_operation_begins_after_it(
    operation: Operation, kind: OperationType, *, told: bool
) -> None:
    row = a_row(operation=operation, changed_fields=("contact",), former_contact="old@contoso.example")
    begun = row.begun("3", kind, LATER, DUE)
    expected = (("contact",), "old@contoso.example") if told else ((), None)
    assert (begun.changed_fields, begun.former_contact) == expected


@pytest.mark.parametrize("lost", [True, False])
def test_a_proposal_changes_nothing_of_what_is_asked_for_and_keeps_what_a_lost_change_was_about(*, lost: bool) -> None:
    operation = an_operation(CHANGE, FAILED if lost else SUCCEEDED)
    row = a_row(operation=operation, changed_fields=("contact",), former_contact="old@contoso.example")
    proposal = a_proposal()
    proposed = row.proposed(proposal, APPROVAL, LATER, DUE)
    assert (proposed.operation, proposed.proposal, proposed.approval) == (proposal.operation, proposal, APPROVAL)
    assert (proposed.request, proposed.updated_at, proposed.due_at) == (row.request, LATER, DUE)
    expected = (("contact",), "old@contoso.example") if lost else ((), None)
    assert (proposed.changed_fields, proposed.former_contact) == expected


def test_a_registration_that_waits_for_its_approval_is_due_when_that_is_to_be_told() -> None:
    row = a_row(operation=an_operation(status=PENDING)).awaiting(APPROVAL, DUE)
    assert (row.operation.status, row.approval, row.due_at) == (AWAITS, APPROVAL, DUE)


@pytest.mark.parametrize("outcome", [Outcome.APPROVED, Outcome.DENIED])
@pytest.mark.parametrize("proposal", [None, a_proposal()])
def test_what_is_approved_is_pending_from_then_on_and_what_is_denied_waits_for_its_end(
    outcome: Outcome, proposal: Proposal | None
) -> None:
    waiting = an_operation(status=AWAITS) if proposal is None else proposal.operation
    approval = replace(APPROVAL, outcome=outcome)
    before = a_row(operation=waiting, proposal=proposal)
    row = before.decided(approval, LATER, DUE)
    assert (row.approval, row.updated_at, row.due_at) == (approval, LATER, DUE)
    if outcome is Outcome.DENIED:
        assert (row.operation, row.proposal, row.request) == (waiting, proposal, before.request)
        return
    assert (row.operation, row.proposal) == (replace(waiting, status=PENDING, requested_at=LATER), None)
    assert (row.request, row.policy_version, row.change) == (
        (before.request, "", 0) if proposal is None else (proposal.request, "p2", 1)
    )
    assert (row.last_error is None) is (proposal is not None)


@pytest.mark.parametrize(
    ("operation", "proposal", "again"),
    [
        (an_operation(CHANGE, FAILED), None, True),
        (an_operation(CHANGE, SUCCEEDED), None, False),
        (an_operation(ROTATE, FAILED), None, False),
        (a_proposal().operation, a_proposal(), True),
    ],
)
def test_what_a_lost_change_was_about_is_told_with_the_next(
    operation: Operation, proposal: Proposal | None, *, again: bool
) -> None:
    row = a_row(
        a_service_client(contact="second@contoso.example"),
        operation=operation,
        proposal=proposal,
        changed_fields=("appRoles", "contact"),
        former_contact="first@contoso.example",
    )
    changed = row.changed(parse(a_service_client(contact="third@contoso.example", displayName="Other")), "p3")
    expected = ("appRoles", "contact", "displayName") if again else ("contact", "displayName")
    assert (changed.changed_fields, changed.policy_version, changed.change) == (expected, "p3", 1)
    assert changed.former_contact == ("first@contoso.example" if again else "second@contoso.example")
    same = row.changed(parse(a_service_client(contact="second@contoso.example", displayName="Other")), "p3")
    assert same.former_contact == ("first@contoso.example" if again else None)
    back = row.changed(parse(a_service_client(contact="first@contoso.example")), "p3")
    assert back.former_contact == (None if again else "second@contoso.example")


@pytest.mark.parametrize(("owner", "unseen"), [(OWNER, False), (OTHER_OWNER, True)])
def test_another_owner_is_one_that_entra_has_not_shown_yet(owner: str, *, unseen: bool) -> None:
    changed = parse(a_service_client(owner=owner))
    assert a_row().changed(changed, "").owner_unseen is unseen
    assert a_row(owner_unseen=True).changed(changed, "").owner_unseen


def uris(*names: str) -> list[str]:
    return [f"https://{name}.contoso.example/cb" for name in names]


def test_the_redirect_uris_that_changes_took_away_are_kept_the_latest_first() -> None:
    row = a_row(
        a_confidential_client(redirectUris=uris("a", "b", "c")), former_redirect_uris=tuple(uris("d", "c", "e"))
    )
    changed = row.changed(parse(a_confidential_client(redirectUris=uris("b", "e", "f"))), "")
    assert changed.former_redirect_uris == tuple(uris("a", "c", "d"))
    many = tuple(uris(*(f"n{number}" for number in range(256))))
    kept = replace(row, former_redirect_uris=many).changed(
        parse(a_confidential_client(redirectUris=uris("b", "c"))), ""
    )
    assert kept.former_redirect_uris == (*uris("a"), *many[:255])


@pytest.mark.parametrize(
    ("agreed", "asked", "number"),
    [
        (("one", "two"), ["two", "one"], 5),
        (("one", "two"), ["one"], 6),
        (("one",), ["one", "three"], 5),
        (("one",), ["three"], 6),
        ((), ["one"], 5),
    ],
)
def test_what_is_not_asked_for_any_more_is_agreed_to_anew(
    agreed: tuple[str, ...], asked: list[str], number: int
) -> None:
    row = a_row(a_service_client(appRoles=list(agreed)), agreement=Agreement(5, agreed, "owner", NOW))
    agreement = row.changed(parse(a_service_client(appRoles=asked)), "").agreement
    assert agreement == Agreement(number, tuple(each for each in agreed if each in asked), "owner", NOW)


def test_of_a_resource_nothing_is_agreed_and_its_change_takes_nothing_of_that_away() -> None:
    agreement = Agreement(5, ("one",), "owner", NOW)
    for each in (None, agreement):
        row = a_row(a_resource(), agreement=each)
        assert row.changed(parse(a_resource(scopes=["own"])), "").agreement == each
    assert a_row().changed(parse(a_service_client(appRoles=[])), "").agreement is None


def test_each_consent_of_a_resources_owner_has_a_higher_number() -> None:
    first = a_row().agreed_to(("one",), CALLER, NOW)
    assert first.agreement == Agreement(1, ("one",), "person", NOW, "bot")
    assert first.agreed_to((), CALLER, LATER).agreement == Agreement(2, (), "person", LATER, "bot")


def test_the_permissions_that_it_asked_for_are_known_until_it_asks_for_them_again() -> None:
    row = a_row(resource=RESOURCE, former_permissions=("id-9", "id-2"))
    fewer = row.declaring(replace(RESOURCE, scopes=(), data_roles=()))
    assert (fewer.declared, fewer.former_permissions) == ((TWO,), ("id-1", "id-3", "id-9"))
    assert fewer.declaring(RESOURCE).former_permissions == ("id-9",)
    many = replace(row, former_permissions=tuple(f"old-{number}" for number in range(1000)))
    assert len(many.declaring(replace(RESOURCE, scopes=())).former_permissions) == 1000


def test_what_a_resource_does_not_offer_any_more_is_known_by_its_id() -> None:
    row = a_row(a_resource(scopes=["one", "two"], appRoles=["one", "own"]))
    changed = row.changed(parse(a_resource(scopes=["one"], appRoles=[])), "")
    back = changed.changed(row.request, "")
    assert (len(changed.former_permissions), back.former_permissions) == (2, ())


# --- how it ends ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", list(OperationType))
def test_an_operation_that_ends_well_leaves_it_active_or_deleted(kind: OperationType) -> None:
    row = a_row(operation=an_operation(kind, PENDING, failure=ENDED)).succeeded(LATER)
    assert row.status is (Status.DELETED if kind is DELETE else Status.ACTIVE)
    assert row.operation == an_operation(kind)
    assert (row.updated_at, row.due_at, row.last_error) == (LATER, None, None)


@pytest.mark.parametrize("kind", list(OperationType))
def test_only_a_provisioning_that_fails_makes_it_failed(kind: OperationType) -> None:
    row = a_row(operation=an_operation(kind, PENDING)).failed(ENDED, LATER)
    assert row.status is (Status.FAILED if kind is PROVISION else Status.ACTIVE)
    assert row.operation == an_operation(kind, FAILED, failure=ENDED)
    assert (row.updated_at, row.due_at, row.last_error) == (LATER, None, None)


def test_of_a_change_that_was_not_approved_nothing_is_left_but_what_it_was_about() -> None:
    proposal = a_proposal()
    row = a_row(operation=an_operation(ROTATE), proposal=proposal).not_approved(ENDED, LATER)
    assert (row.operation, row.proposal) == (replace(proposal.operation, status=FAILED, failure=ENDED), None)
    assert (row.status, row.changed_fields) == (Status.ACTIVE, ("displayName",))
    never = a_row(status=Status.ACCEPTED, operation=an_operation(status=AWAITS)).not_approved(ENDED, LATER)
    assert (never.status, never.operation.status) == (Status.FAILED, FAILED)


def test_a_registration_has_the_same_id_for_the_same_caller_owner_and_key_alone() -> None:
    first = registration_id("owner", "caller", "key")
    assert registration_id("owner", "caller", "key") == first
    others = {registration_id("owner", "other", "key"), registration_id("other", "caller", "key")}
    others |= {registration_id("owner", "caller", each) for each in ("other", None, None)}
    assert len({first, *others}) == 6
    assert first.partition("-")[0] == first[-8:]
