"""How a wish for a registration that exists is accepted: retry, rotate, change, end; the flow carries them out.

As in `submit`, the order is what makes a crash harmless: the due entry, the row, and then the message.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from typing import Final

from provisioning import trail
from provisioning.api.calls import Wish, not_found
from provisioning.api.enforce import check_change, check_place, take_place
from provisioning.api.submit import Accepted, check_owner, message_may_be_lost
from provisioning.domain.approval import Outcome, check_decider
from provisioning.domain.errors import RequestRejected, StaleRegistration, UnreadableRow
from provisioning.domain.events import What, changed_names, refused, wished
from provisioning.domain.intake import Decision, RegistrationRequest, parse_change
from provisioning.domain.messages import check_message, operation_message
from provisioning.domain.operation import DueEntry, OperationStatus, OperationType, new_id
from provisioning.domain.registration import Registration, Status
from provisioning.flow.plan import STALLED_AFTER, put_due
from provisioning.ports import Services

MOST_ATTEMPTS: Final = 5
MOST_FORMER_URIS: Final = 256


def retry(services: Services, wish: Wish) -> Accepted:
    """Return the failed registration `accepted` again; raise RequestRejected (409) for one that has not failed."""

    def retried(row: Registration, now: datetime) -> Registration:
        if row.status is not Status.FAILED:
            raise RequestRejected(409, "registration-not-failed", "Only a failed registration can be retried.")
        begun = row.begun(new_id(), OperationType.PROVISION, now, now + STALLED_AFTER)
        if row.approval is None or row.approval.outcome is Outcome.APPROVED:
            return begun
        return begun.awaiting(row.approval.asked_again(now))

    return _altered(services, wish, What.RETRIED, retried)


def rotate(services: Services, wish: Wish, *, revoke_previous: bool) -> Accepted:
    """Return the registration with a rotation pending; every secret minted before now is due.

    With `revoke_previous` those secrets also stop working as soon as a new one is in the vault; then a pending
    operation is no obstacle and goes on, and the new secret is made beside it. Raises RequestRejected (409) for a
    registration that holds no secret, is not active, or, without `revoke_previous`, has an operation pending.
    """

    def rotated(row: Registration, now: datetime) -> Registration:
        if not row.holds_secret:
            raise RequestRejected(409, "registration-holds-no-secret", "This registration has no secret to rotate.")
        _check_active(row)
        bound = row.bound_at(now)
        bounds = {"replace_before": bound} | ({"revoke_before": bound} if revoke_previous else {})
        if row.pending and revoke_previous:
            return replace(row, **bounds, due_at=now + STALLED_AFTER, updated_at=now)  # type: ignore[arg-type]
        _check_idle(row)
        return replace(row.begun(new_id(), OperationType.ROTATE, now, now + STALLED_AFTER), **bounds)  # type: ignore[arg-type]

    asked = What.REVOCATION_REQUESTED if revoke_previous else What.ROTATION_REQUESTED
    return _altered(services, wish, asked, rotated)


def change(services: Services, wish: Wish, body: object) -> Accepted:
    """Return the registration as changed, the change pending; nothing is pending where it asks for nothing new.

    Raises RequestRejected: 400 for a body that breaks rules, 409 where the registration cannot be changed now.
    """

    def changed(row: Registration, now: datetime) -> Registration:
        _check_active(row)
        request = parse_change(row.request, body, row.client_id)
        if request.owner != row.request.owner:
            check_owner(wish.caller, request.owner)
        failed = row.operation.status is OperationStatus.FAILED and row.operation.type is OperationType.CHANGE
        if request == row.request and not failed:
            return row
        _check_idle(row)
        policy = services.policy.current()
        check_change(services, policy, row, request)
        begun = row.begun(new_id(), OperationType.CHANGE, now, now + STALLED_AFTER)
        former = dict.fromkeys((*_redirect_uris(row.request), *row.former_redirect_uris))
        gone = [uri for uri in former if uri not in _redirect_uris(request)][:MOST_FORMER_URIS]
        # What a failed change was about is changed with this one, and told with it.
        fields = {*(row.changed_fields if failed else ()), *changed_names(row.request, request)}
        contact = (row.former_contact if failed else None) or row.request.contact
        return replace(
            begun,
            request=request,
            policy_version=policy.recorded_version,
            change=row.change + 1,
            former_redirect_uris=tuple(gone),
            changed_fields=tuple(sorted(fields)),
            former_contact=contact if contact != request.contact else None,
        )

    return _altered(services, wish, What.CHANGE_REQUESTED, changed)


def decide(services: Services, wish: Wish, outcome: Outcome, decision: Decision) -> Accepted:
    """Return the registration as it was decided: its operation pending once approved, on its way to fail once denied.

    Raises RequestRejected: 403 for whoever may not decide, 409 where there is nothing to decide, or where the digest is
    not that of what is asked now.
    """

    def decided(row: Registration, now: datetime) -> Registration:
        approval = row.approval
        if not row.awaits_approval or approval is None or approval.outcome is not None or now >= approval.lapses_at:
            raise RequestRejected(409, "nothing-to-decide", "The registration does not wait for an approval.")
        check_decider(approval, wish.caller, row.caller, row.via)
        if decision.digest != approval.digest or approval.digest != row.asked_digest:
            raise RequestRejected(
                409, "digest-differs", "The digest is not that of what is asked. Read it again, and decide about that."
            )
        return row.decided(approval.decided(outcome, wish.caller, now, decision.reason), now, now + STALLED_AFTER)

    asked = What.APPROVED if outcome is Outcome.APPROVED else What.DENIED
    return _altered(services, wish, asked, decided, Wish.check_decision)


def delete(services: Services, wish: Wish) -> Accepted:
    """Return the registration with its deletion pending, or done; a pending operation is superseded.

    Raises RequestRejected (409) while it is `accepted`, unless it waits for an approval: nothing was sent for that.
    """

    def ended(row: Registration, now: datetime) -> Registration:
        if row.status is Status.ACCEPTED and not row.awaits_approval:
            raise RequestRejected(
                409, "registration-in-progress", "It is being provisioned. Delete it once it is active or failed."
            )
        if row.ending:
            return row
        return row.begun(new_id(), OperationType.DELETE, now, now + STALLED_AFTER)

    return _altered(services, wish, What.DELETION_REQUESTED, ended)


def _altered(
    services: Services,
    wish: Wish,
    asked: What,
    alter: Callable[[Registration, datetime], Registration],
    check: Callable[[Wish, Registration], None] = Wish.check,
) -> Accepted:
    """Save what `alter` makes of the registration, of its latest row; what it leaves alone is not written.

    Of a dry run nothing is saved or sent. Raises RequestRejected (412) where the row is not what the caller has read.
    """
    for _ in range(MOST_ATTEMPTS):
        row = services.registry.get(wish.registration_id)
        if row is None:
            raise not_found()
        with _refusal_told(services, wish, asked, row):
            check(wish, row)
            if not row.understood:
                raise UnreadableRow
            altered = alter(row, services.clock.now())
        new_owner = altered.request.owner if altered.request.owner != row.request.owner else None
        if wish.dry_run:
            if new_owner is not None:
                check_place(services, services.policy.current(), new_owner)
            return Accepted(altered, None, row)
        if altered is row:
            return Accepted(row, operation_message(row) if message_may_be_lost(row, services) else None, row)
        if altered.operation.id != row.operation.id:
            altered = replace(altered, operation=replace(altered.operation, trace_id=trail.current().trace_id))
        put_due(services, altered)
        if new_owner is not None:
            take_place(services, services.policy.current(), new_owner, altered.id)
        try:
            stored = services.registry.replace(altered, wished(trail.current(), asked, row, altered))
        except StaleRegistration:
            continue  # a run or another caller was faster: what is asked for is judged anew
        return Accepted(stored, _message(stored), row)
    raise StaleRegistration


@contextmanager
def _refusal_told(services: Services, wish: Wish, asked: What, row: Registration) -> Iterator[None]:
    """Have a refusal leave an event, where the caller may know of the registration.

    Of another's nothing is written: the call must not differ from one about none.
    """
    try:
        yield
    except RequestRejected as error:
        if row.readable_by(wish.caller) and not wish.dry_run:
            services.registry.put_event(refused(trail.current(), asked, row, error, services.clock.now()))
        raise


def _message(row: Registration) -> str | None:
    """Return what has the queue carry out what was just asked; nothing while somebody has to agree first."""
    if not row.awaits_approval:
        return operation_message(row)
    denied = row.approval is not None and row.approval.outcome is not None and row.due_at is not None
    return check_message(DueEntry(row.id, row.due_at)) if denied and row.due_at is not None else None


def _check_active(row: Registration) -> None:
    if row.status is not Status.ACTIVE:
        raise RequestRejected(409, "registration-not-active", "Only an active registration can be rotated or changed.")


def _check_idle(row: Registration) -> None:
    if row.pending:
        raise RequestRejected(
            409, "operation-in-progress", "An operation is pending. Wait until it has ended, then send this again."
        )


def _redirect_uris(request: RegistrationRequest) -> tuple[str, ...]:
    return getattr(request, "redirect_uris", ())
