"""The policy at work on a call that writes: what it refuses, what it has approved first, and whose place is taken."""

from collections.abc import Iterable
from datetime import datetime

from provisioning.domain.approval import LAPSES_AFTER, Approval
from provisioning.domain.callers import Caller, CallerKind
from provisioning.domain.errors import Fault, RequestRejected
from provisioning.domain.faults import broken_rules
from provisioning.domain.intake import (
    RegistrationRequest,
    ResourceApplicationRequest,
    certificate_validity_faults,
    changed_names,
    secret_lifetime_faults,
)
from provisioning.domain.judgement import SERVER_NOT_CLAIMABLE, Asked, Decision, judge, too_many
from provisioning.domain.names import compared
from provisioning.domain.operation import Operation
from provisioning.domain.permissions import asked_names, data_roles_of
from provisioning.domain.policy import Policy
from provisioning.domain.quota import Exceeded, Quota, until_next_hour
from provisioning.domain.registration import Registration
from provisioning.flow.grant import server_of
from provisioning.flow.permit import judge_data_roles, names_of, names_of_resolved
from provisioning.flow.resolve import Whose
from provisioning.ports import Services


def check_new(policy: Policy, asked: Asked, caller: Caller, others: Iterable[Fault]) -> Decision:
    """Return what the policy says of a new request: allowed, perhaps once it is approved.

    What is right but for an approval is judged by `check_approvable`, once all is known that one may be wanted for.
    Raises RequestRejected for what the policy refuses, together with what else is wrong with the request. Whoever may
    not know of others' registrations is not told that a rule lets others claim the FHIR server: then the decision says
    so, and the server is to be refused like one that somebody has.
    """
    decision = judge(policy, asked)
    hidden = [each for each in decision.refusals if each.code == SERVER_NOT_CLAIMABLE and not caller.sees_all]
    shown = Decision(tuple(each for each in decision.refusals if each not in hidden), decision.approvals_needed)
    faults = [*others, *(each.fault for each in shown.refusals)]
    if len(faults) > len(shown.refusals):
        raise RequestRejected(400, "invalid-request", "The request breaks rules of this service; see errors.", faults)
    refuse(shown)
    return decision


def approval_of(
    row: Registration,
    decision: Decision,
    resource: Registration | None,
    caller: Caller,
    operation: Operation,
) -> Approval:
    """Return the approval that the policy wants of what the row asks for, by this operation, as nobody decided it yet.

    The owner of a resource of ours decides where a rule says so, and no other rule wants somebody else.
    """
    owner = resource.request.owner if resource is not None and decision.approved_by_resource_owner else None
    return Approval(
        row.asked_digest,
        decision.approving_rules,
        operation.requested_at + LAPSES_AFTER,
        owner,
        operation_id=operation.id,
        asked_by=caller.object_id,
        asked_via=caller.via,
    )


def agreed_by_asking(row: Registration, resource: Registration | None, caller: Caller, now: datetime) -> Registration:
    """Return the registration with its resource's owner's agreement, where that owner asks for it in person.

    To data roles nobody agrees by asking for them: of these it stays what was agreed to before.
    """
    if resource is None or isinstance(row.request, ResourceApplicationRequest):
        return row
    if caller.via is not None or not caller.may_change(resource.request.owner):
        return row
    agreed = row.agreement.permissions if row.agreement is not None else ()
    names = tuple(each for each in asked_names(row.request) if each in agreed or each not in data_roles_of(row.request))
    return row.agreed_to(names, caller, now) if names or not data_roles_of(row.request) else row


def check_change(
    services: Services, policy: Policy, row: Registration, changed: Registration, caller: Caller
) -> Decision:
    """Return what the policy says of a change: of what it would break, and what is not broken as it is.

    Raises RequestRejected for what the policy refuses, and for what the service's own rules do.
    """
    request, faults = changed.request, list[Fault]()
    if request.callback_url != row.request.callback_url:
        faults += callback_faults(services, request)
    if "secretLifetime" in changed_names(row.request, request):
        faults += secret_lifetime_faults(request, services.secrets.lifetimes)
    if "credential" in changed_names(row.request, request):
        faults += certificate_validity_faults(request, services.clock.now())
    if faults:
        raise broken_rules(faults)
    names, data_roles = names_of_resolved(changed.resource), Decision()
    if not isinstance(request, ResourceApplicationRequest):
        server = server_of(services, changed)
        names |= names_of(request.resource, server, services.tenant)
        if data_roles_of(request) != data_roles_of(row.request):
            agreed = row.agreement.permissions if row.agreement is not None else ()
            data_roles = judge_data_roles(services, request, server, agreed)
    before, after = (judge(policy, Asked(each, services.secrets.lifetime, names)) for each in (row.request, request))
    decision = after.beyond(before).joined(data_roles)
    refuse(decision)
    check_approvable(decision, caller)
    return decision


def callback_faults(services: Services, request: RegistrationRequest) -> list[Fault]:
    """Return the fault of a callback where the operator allows none, or not to its host."""
    url, callbacks = request.callback_url, services.callbacks if request.callback_url is not None else None
    if url is None or (callbacks is not None and callbacks.allows(url)):
        return []
    message = "The operator of this service allows no callback to this host. Leave it out, or ask the operator."
    return [Fault("#/callbackUrl", "callback-not-allowed", message)]


def check_approvable(decision: Decision, caller: Caller) -> None:
    """Raise RequestRejected where the policy wants an approval that nobody could give.

    With function keys nobody can be told apart: whoever asked could approve it as well, so nobody approves.
    """
    if decision.approvals_needed and caller.kind is CallerKind.KEY:
        raise RequestRejected(
            403,
            "approval-needed",
            "The policy wants an approval, and with function keys nobody could give it: whoever asks could. Have the "
            "operator set CALLER_AUTH=entra, or ask for the exception that errors name.",
            [each.refusal.fault for each in decision.approvals_needed],
        )


def refuse(decision: Decision) -> None:
    """Raise RequestRejected where the policy refuses something, approved or not."""
    if not decision.allowed:
        raise RequestRejected(
            403,
            "refused-by-policy",
            "The policy refuses the request; each of errors names its rule, and how to ask for an exception.",
            [each.fault for each in decision.refusals],
        )


def take_place(services: Services, policy: Policy, owner: str, registration_id: str) -> None:
    """Have the owner's list name the registration, and count it; raise RequestRejected where there is no place."""
    quota, now = policy.quota(owner), services.clock.now()
    _check_place(services, policy, quota, services.registry.take_place(owner, registration_id, quota, now))


def check_place(services: Services, policy: Policy, owner: str) -> None:
    """Raise RequestRejected where `take_place` would; nothing is stored."""
    quota = policy.quota(owner)
    _check_place(services, policy, quota, services.registry.exceeds(owner, quota, services.clock.now()))


def _check_place(services: Services, policy: Policy, quota: Quota, exceeded: Exceeded | None) -> None:
    if exceeded is None:
        return
    faults = [too_many(policy, quota, exceeded)]
    if exceeded is Exceeded.HOUR:
        raise RequestRejected(
            429,
            "too-many-per-hour",
            "The owner has as many new registrations in this hour as the policy allows; see errors.",
            faults,
            retry_after=until_next_hour(services.clock.now()).total_seconds(),
        )
    raise RequestRejected(
        403, "refused-by-policy", "The owner has as many registrations as the policy allows; see errors.", faults
    )


# --- FHIR servers that cannot be registered -------------------------------------------------------------------------


def server_taken(policy: Policy, caller: Caller, taken: Whose) -> RequestRejected:
    """Return the refusal of a FHIR server that a registration has, or had lately: as much of it as the caller may know.

    Whoever may not know of that registration cannot tell it from a rule of the policy.
    """
    holder, hold = taken.holder, taken.hold
    if holder is not None and caller.may_read(holder.request.owner):
        return RequestRejected(
            409,
            "fhir-server-already-registered",
            "The FHIR server has a registration. List those with clientType=resource to find and use it.",
        )
    if holder is None and hold is not None and caller.may_read(hold.owner):
        return RequestRejected(
            409,
            "fhir-server-held",
            "A registration of the FHIR server was deleted in the last 30 days, and until then its last owner alone "
            "may register it again. Name that owner; the owner can be changed afterwards.",
        )
    return not_available(policy)


def not_claimable(services: Services, policy: Policy, row: Registration, url: str, *, claims: bool) -> RequestRejected:
    """Return the refusal of a FHIR server that others may claim, once as many calls are made as for one that is taken.

    So nothing is told by how long it takes. With `claims` the calls of a claim that fails are among them.
    """
    registry = services.registry
    for _ in range(3 if claims else 1):
        holder = registry.holder(compared(url))
    registry.get(holder or row.id)
    registry.hold(compared(url))
    return not_available(policy)


def not_available(policy: Policy) -> RequestRejected:
    """Return the one answer about a FHIR server that is others', was lately, or may be claimed by others alone."""
    return RequestRejected(
        409,
        "fhir-server-not-available",
        "This owner cannot register the FHIR server: somebody else has it, had it lately, or may alone claim it. "
        f"{policy.exceptions}",
    )
