"""How a wish for a registration that exists is accepted: retry, rotate, change; the flow carries them out.

As in `submit`, the order is what makes a crash harmless: the due entry, the row, and then the message.
"""

from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import datetime
from typing import Final

from provisioning import trail
from provisioning.api.calls import Wish, not_found
from provisioning.api.enforce import agreed_by_asking, approval_of, check_change, check_place, take_place
from provisioning.api.submit import Accepted, check_owner, is_unseen, message_may_be_lost, message_of, resolved
from provisioning.domain.approval import (
    DATA_ROLES,
    Approval,
    Outcome,
    Proposal,
    check_decider,
    check_in_person,
    check_other_person,
    not_an_approver,
)
from provisioning.domain.callers import Role
from provisioning.domain.errors import Fault, NeedsOperator, RequestRejected, StaleRegistration, UnreadableRow
from provisioning.domain.events import What, refused, wished
from provisioning.domain.intake import (
    Decision,
    RegistrationRequest,
    ResourceApplicationRequest,
    changed_names,
    parse_change,
)
from provisioning.domain.json_patch import JsonPatch, as_merge_patch
from provisioning.domain.judgement import ApprovalNeeded
from provisioning.domain.judgement import Decision as PolicyDecision
from provisioning.domain.messages import check_message, operation_message
from provisioning.domain.operation import DueEntry, OperationType, new_id
from provisioning.domain.permissions import asked_names, data_roles_of
from provisioning.domain.registration import Registration, Status
from provisioning.flow.change import in_use
from provisioning.flow.clients import users_of
from provisioning.flow.grant import server_of
from provisioning.flow.plan import STALLED_AFTER, put_due
from provisioning.flow.resolve import check_resource
from provisioning.ports import Services

MOST_ATTEMPTS: Final = 5


def retry(services: Services, wish: Wish) -> Accepted:
    """Return the failed registration `accepted` again; raise RequestRejected (409) for one that has not failed."""

    def retried(row: Registration, now: datetime) -> Registration:
        if row.status is not Status.FAILED:
            raise RequestRejected(409, "registration-not-failed", "Only a failed registration can be retried.")
        begun = row.begun(new_id(), OperationType.PROVISION, now, now + STALLED_AFTER)
        if row.approval is None or row.approval.outcome is Outcome.APPROVED:
            return begun
        again = row.approval.asked_again(row.asked_digest, begun.operation.id, wish.caller, now)
        return begun.awaiting(again, now + STALLED_AFTER)

    return altered_row(services, wish, What.RETRIED, retried)


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
    return altered_row(services, wish, asked, rotated)


def change(services: Services, wish: Wish, body: object) -> Accepted:
    """Return the registration as changed, the change pending; nothing is pending where it asks for nothing new.

    A change of which the policy wants an approval waits for it, and the registration stays what it is; the same asked
    again changes nothing about that. Raises RequestRejected: 400 for a body that breaks rules, 409 where the
    registration cannot be changed now.
    """
    needed: tuple[ApprovalNeeded, ...] = ()

    def changed(row: Registration, now: datetime) -> Registration:
        nonlocal needed
        _check_active(row)
        merged = as_merge_patch(body, row.request) if isinstance(body, JsonPatch) else body
        if merged == {} and isinstance(body, JsonPatch):
            return row  # each test passed, and nothing is different
        request = parse_change(row.request, merged, row.client_id)
        if request.owner != row.request.owner:
            check_owner(wish.caller, request.owner)
        waits = row.proposal is not None and request == row.proposal.request
        if waits or (request == row.request and not row.has_lost_change):
            return row
        _check_idle(row)
        if row.proposal is not None:
            raise RequestRejected(
                409,
                "operation-in-progress",
                "A change waits for an approval. Take it back by POST /registrations/{id}/deny, or wait for its end.",
            )
        policy = services.policy.current()
        changed = _asking(services, row, row.changed(request, policy.recorded_version), wish)
        changed = _with_askers(row, changed, wish.caller.both_ids)
        decision = check_change(services, policy, row, changed, wish.caller)
        needed = decision.approvals_needed
        if needed and not wish.dry_run:
            trace_id = trail.current().trace_id
            proposal = Proposal(new_id(), now, request, policy.recorded_version, trace_id)
            return _proposed(services, wish, row, proposal, decision)
        if request.owner != row.request.owner:
            changed = replace(changed, owner_unseen=is_unseen(wish.caller, request.owner))
        return changed.begun(new_id(), OperationType.CHANGE, now, now + STALLED_AFTER)

    return replace(altered_row(services, wish, What.CHANGE_REQUESTED, changed), approvals=needed)


def _asking(services: Services, row: Registration, changed: Registration, wish: Wish) -> Registration:
    """Return the changed registration with what is asked of its resource by that.

    Raises RequestRejected where the resource does not have that, or cannot be asked for it now. What was not asked for
    before, its owner agrees to anew.
    """
    request = changed.request
    _check_unused(services, row, changed)
    if isinstance(request, ResourceApplicationRequest) or not _asks_otherwise(row.request, request):
        return changed
    changed = changed.declaring(resolved(services, request))
    return agreed_by_asking(changed, server_of(services, changed), wish.caller, services.clock.now())


def _check_unused(services: Services, row: Registration, changed: Registration) -> None:
    """Raise RequestRejected (409) where a resource is not to offer any more what a live client asks for."""
    if not isinstance(changed.request, ResourceApplicationRequest):
        return
    gone = set(changed.former_permissions) - set(row.former_permissions)
    users = len(list(users_of(services, row, gone)))
    if users:
        error, what = in_use(), "client asks" if users == 1 else "clients ask"
        fields = [each for each in ("scopes", "appRoles") if each in changed_names(row.request, changed.request)]
        message = f"{users} {what} for what would go. {error.remedy}"
        faults = [Fault(f"#/{each}", error.code, message) for each in fields]
        raise RequestRejected(409, error.code, error.message, faults)


def _proposed(
    services: Services, wish: Wish, row: Registration, proposal: Proposal, decision: PolicyDecision
) -> Registration:
    """Return the registration with the change waiting; a new owner must have a place for it now, and once approved."""
    request, now = proposal.request, proposal.requested_at
    if request.owner != row.request.owner:
        check_place(services, services.policy.current(), request.owner)
    resource = None
    if decision.approved_by_resource_owner and not isinstance(request, ResourceApplicationRequest):
        with suppress(NeedsOperator):  # where there is none of ours any more, an approver decides
            resource = check_resource(services, request)
    approval = approval_of(replace(row, proposal=proposal), decision, resource, wish.caller, proposal.operation)
    return row.proposed(proposal, approval, now, now + STALLED_AFTER)


def decide(services: Services, wish: Wish, outcome: Outcome, decision: Decision) -> Accepted:
    """Return the registration as it was decided: its operation pending once approved, on its way to fail once denied.

    Raises RequestRejected: 403 for whoever may not decide, 409 where there is nothing to decide, or where the digest is
    not that of what is asked now.
    """

    def decided(row: Registration, now: datetime) -> Registration:
        approval = row.approval
        if not row.awaits_approval or approval is None or approval.outcome is not None or now >= approval.lapses_at:
            raise RequestRejected(409, "nothing-to-decide", "The registration does not wait for an approval.")
        check_decider(approval, outcome, wish.caller, row.asked_by, row.request.owner)
        agreed = outcome is Outcome.APPROVED
        data_roles = agreed and DATA_ROLES in approval.rules
        if data_roles:
            check_other_person(wish.caller, row.asked_by | {*row.data_roles_by})
        if decision.digest != approval.digest or (agreed and approval.digest != row.asked_digest):
            raise RequestRejected(
                409, "digest-differs", "The digest is not that of what is asked. Read it again, and decide about that."
            )
        if agreed and Role.APPROVE not in wish.caller.roles:
            _check_owns_resource(services, row, approval)
        _check_idle(row)
        settled = row.decided(approval.decided(outcome, wish.caller, now, decision.reason), now, now + STALLED_AFTER)
        if agreed:
            settled = _with_askers(row, settled, [each for each in (approval.asked_by, approval.asked_via) if each])
        asks = row.proposal is None or _asks_otherwise(row.request, row.proposal.request)
        by_owner = agreed and approval.resource_owner is not None
        alone = data_roles and not _has_owner(services, settled.request)
        return _as_agreed(settled, wish, now) if asks and (by_owner or alone) else settled

    asked = What.APPROVED if outcome is Outcome.APPROVED else What.DENIED
    return altered_row(services, wish, asked, decided, Wish.check_decision)


def _check_owns_resource(services: Services, row: Registration, approval: Approval) -> None:
    """Raise RequestRejected (403) where the resource has another owner by now than when its approval was asked for."""
    request = row.request
    if not isinstance(request, ResourceApplicationRequest):
        with suppress(NeedsOperator):  # there is none any more, or it does not offer what is asked of it
            resource = check_resource(services, request)
            if resource is not None and resource.request.owner == approval.resource_owner:
                return
    raise not_an_approver()


def _with_askers(row: Registration, changed: Registration, by: Iterable[str]) -> Registration:
    """Return the changed registration with who asked for its data roles: of what stays, whoever did before too."""
    was, becomes = (set(data_roles_of(each.request)) for each in (row, changed))
    if becomes <= was:
        return changed
    before = row.data_roles_by if was & becomes else ()
    return replace(changed, data_roles_by=tuple(dict.fromkeys((*before, *by))))


def _has_owner(services: Services, request: RegistrationRequest) -> bool:
    """Whether a client's resource is one of ours, or none that it may ask for: then no approver speaks for it."""
    try:
        return isinstance(request, ResourceApplicationRequest) or check_resource(services, request) is not None
    except NeedsOperator:
        return True


def _as_agreed(row: Registration, wish: Wish, now: datetime) -> Registration:
    """Return a client as the owner of its resource has agreed to all that it asks for."""
    if isinstance(row.request, ResourceApplicationRequest):
        return row
    return row.agreed_to(asked_names(row.request), wish.caller, now)


def _asks_otherwise(before: RegistrationRequest, after: RegistrationRequest) -> bool:
    """Whether a client asks for other permissions of its resource."""
    both = [asked_names(each) for each in (before, after) if not isinstance(each, ResourceApplicationRequest)]
    return len(both) > 1 and both[0] != both[1]


def agree(services: Services, wish: Wish, server: Registration, permissions: Collection[str] | None) -> Accepted:
    """Return the client with what the owner of its resource agrees to: these permissions, or none any more.

    Who asks acts for that owner, which was judged before. Nothing is pending for it: the client's next check grants it,
    or takes it back. Raises RequestRejected: 404 for what is no client of the resource, 409 for one that is not active,
    or where the permissions are not exactly those that it declares; 403 for consent that is not given in person.
    """
    if permissions is not None:
        check_in_person(wish.caller)

    def agreed(row: Registration, now: datetime) -> Registration:
        _check_active(row)
        declared = tuple(each.value for each in row.declared)
        if permissions is not None and data_roles_of(row.request):
            check_other_person(wish.caller, frozenset(row.data_roles_by))
        if permissions is not None and set(permissions) != set(declared):
            raise RequestRejected(
                409, "permissions-differ", "These are not the permissions that the client asks for. Read them again."
            )
        before, names = row.agreement, declared if permissions is not None else ()
        if (before.permissions if before is not None else ()) == names:
            return row
        return replace(row.agreed_to(names, wish.caller, now), grants_due_at=now, due_at=now, updated_at=now)

    def check(_wish: Wish, row: Registration) -> None:
        if row.resource is None or row.resource.client_id != server.client_id or row.status is Status.DELETED:
            raise not_found()

    asked = What.CLIENT_APPROVED if permissions is not None else What.CLIENT_REVOKED
    return altered_row(services, wish, asked, agreed, check)


def revoke(services: Services, wish: Wish) -> Accepted:
    """Return the client with its data roles agreed to no more: its next check takes them back.

    An approver does so, or whoever may change the client. Raises RequestRejected: 403 for others who may know of it,
    409 for one that is not active or that has none.
    """

    def revoked(row: Registration, now: datetime) -> Registration:
        _check_active(row)
        agreement, names = row.agreement, data_roles_of(row.request)
        if not names:
            raise RequestRejected(409, "no-data-roles", "The registration asks for no data roles.")
        kept = tuple(each for each in agreement.permissions if each not in names) if agreement is not None else ()
        if agreement is None or kept == agreement.permissions:
            return row
        return replace(row.agreed_to(kept, wish.caller, now), grants_due_at=now, due_at=now, updated_at=now)

    def check(wish: Wish, row: Registration) -> None:
        wish.check_decision(row)
        if Role.APPROVE not in wish.caller.roles:
            wish.check(row)

    return altered_row(services, wish, What.CLIENT_REVOKED, revoked, check)


def altered_row(
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
        if altered.operation.trace_id is None:
            altered = replace(altered, operation=replace(altered.operation, trace_id=trail.current().trace_id))
        put_due(services, altered)
        if new_owner is not None:
            take_place(services, services.policy.current(), new_owner, altered.id)
        try:
            stored = services.registry.replace(altered, wished(trail.current(), asked, row, altered))
        except StaleRegistration:
            continue  # a run or another caller was faster: what is asked for is judged anew
        return Accepted(stored, _message(stored, row), row)
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


def _message(row: Registration, before: Registration) -> str | None:
    """Return what has the queue do what was just asked, agreed or decided."""
    if not row.pending and row.agreement != before.agreement:
        return check_message(DueEntry(row.id, row.grants_due_at or row.updated_at))
    return message_of(row)


def _check_active(row: Registration) -> None:
    if row.status is not Status.ACTIVE:
        raise RequestRejected(409, "registration-not-active", "Only an active registration can be rotated or changed.")


def _check_idle(row: Registration) -> None:
    if row.pending:
        raise RequestRejected(
            409, "operation-in-progress", "An operation is pending. Wait until it has ended, then send this again."
        )
