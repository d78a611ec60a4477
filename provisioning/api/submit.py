"""From a request to an accepted registration: claimed, counted, due, stored, and then sent to the queue, in this order.

The order is what makes a crash harmless: whatever is missing after one, the planner finds the due entry and the row.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final
from urllib.parse import urlsplit

from provisioning import telemetry, trail
from provisioning.api.enforce import (
    agreed_by_asking,
    approval_of,
    callback_faults,
    check_approvable,
    check_new,
    check_place,
    not_claimable,
    refuse,
    server_taken,
    take_place,
)
from provisioning.api.warnings import DATA_ROLES_BY_HAND, Warning_, of_owner, warnings
from provisioning.domain.approval import DATA_ROLES
from provisioning.domain.callers import Caller, CallerKind, Role
from provisioning.domain.directory import ResolvedResource
from provisioning.domain.errors import Fault, NeedsOperator, NotOffered, RequestRejected, TryAgain
from provisioning.domain.events import What, wished
from provisioning.domain.intake import (
    RegistrationRequest,
    ResourceApplicationRequest,
    certificate_validity_faults,
    fingerprint,
    secret_lifetime_faults,
)
from provisioning.domain.judgement import ApprovalNeeded, Asked, Decision
from provisioning.domain.manifest import application_body
from provisioning.domain.messages import check_message, operation_message
from provisioning.domain.names import canonical_name, compared, identifier_uri, is_microsofts
from provisioning.domain.operation import DueEntry, Operation, OperationStatus, OperationType, new_id
from provisioning.domain.permissions import ClientRequest, data_roles_of
from provisioning.domain.policy import Policy
from provisioning.domain.registration import Registration, Status, registration_id
from provisioning.domain.tenant import Tenant
from provisioning.domain.values import dataclass
from provisioning.flow.mint import new_secret
from provisioning.flow.permit import judge_data_roles, judge_resolved, names_of
from provisioning.flow.plan import STALLED_AFTER
from provisioning.flow.resolve import check_live, check_resource, claim_server, resolve_resource, whose
from provisioning.ports import Services

# A repeat of a request within this time finds the first one's message still on its way; a second message would only
# have two runs meet. Later, the message may have been lost, and is sent again.
MESSAGE_ON_ITS_WAY: Final = timedelta(seconds=5)


@dataclass(frozen=True, slots=True)
class Accepted:
    """A registration as it stands now, the message to send for it, if any, and what the registration was before.

    Of a dry run also the approvals that it would wait for; then `registration` is what it would be with them. `clients`
    are those that are deleted with a resource.
    """

    registration: Registration
    message: str | None
    before: Registration
    approvals: tuple[ApprovalNeeded, ...] = ()
    clients: tuple[Registration, ...] = ()


@dataclass(frozen=True, slots=True)
class Preview:
    """What a request would lead to: nothing of it is stored or sent."""

    registration: Registration
    body: dict[str, Any]
    warnings: tuple[Warning_, ...]
    approvals: tuple[ApprovalNeeded, ...]


def submit(services: Services, request: RegistrationRequest, caller: Caller, idempotency_key: str | None) -> Accepted:
    """Return the accepted registration; afterwards it is stored and due, and `message` is to be sent.

    The same caller, owner and key give the same registration, which is not judged again. Raises RequestRejected when
    the key was used for another request, the FHIR server is registered already, or the service's own rules or the
    policy refuse the request.
    """
    _check_caller(caller, request)
    registration = _new(services, request, caller, idempotency_key)
    trail.known(subject=f"registration {registration.id}")
    existing = services.registry.get(registration.id) if idempotency_key is not None else None
    if existing is None:
        policy = services.policy.current()
        registration = replace(registration, policy_version=policy.recorded_version)
        decision, resource = _check(services, policy, request, caller)
        _check_claimable(services, policy, registration, decision, claims=True)
        check_approvable(decision, caller)
        if decision.approvals_needed:
            approval = approval_of(registration, decision, resource, caller, registration.operation)
            registration = registration.awaiting(approval, registration.created_at + STALLED_AFTER)
        registration = agreed_by_asking(registration, resource, caller, registration.created_at)
        if resource is not None:
            _list_client(services, registration, resource)
        _claim_server(services, policy, registration, caller)
        take_place(services, policy, request.owner, registration.id)
        entry = DueEntry(registration.id, registration.due_at or registration.created_at)
        services.registry.put_due(entry)
        told = wished(trail.current(), What.REQUESTED, None, registration)
        stored = services.registry.insert(registration, told)
        if stored is not None:
            waits = "yes" if registration.awaits_approval else "no"
            telemetry.measure("registrar.requests.accepted", client_type=registration.client_type, waits=waits)
            return Accepted(stored, message_of(stored), stored)
        existing = services.registry.get(registration.id)
        if existing is None:
            raise TryAgain("storage-unavailable", "A row that exists could not be read.")
        if existing.due_at != entry.due_at:
            services.registry.remove_due(entry)
    # What was given to somebody else since is shown to its new owner alone: its key is used up.
    if existing.request_hash != registration.request_hash or not existing.readable_by(caller):
        raise RequestRejected(
            409,
            "idempotency-key-reused",
            "The Idempotency-Key was used for another request. Send a new key, or the same request.",
        )
    message = operation_message(existing) if message_may_be_lost(existing, services) else None
    return Accepted(existing, message, existing)


def preview(services: Services, request: RegistrationRequest, caller: Caller, idempotency_key: str | None) -> Preview:
    """Return what `submit` would lead to; the resource is resolved, nothing is stored or sent.

    Raises RequestRejected for what `submit` refuses and for what the queue function would fail on.
    """
    _check_caller(caller, request)
    policy = services.policy.current()
    decision, _ = _check(services, policy, request, caller)
    registration = _new(services, request, caller, idempotency_key)
    _check_claimable(services, policy, registration, decision, claims=False)
    if isinstance(request, ResourceApplicationRequest):
        found = whose(services.registry, request.fhir_server_url)
        if found.keeps_out(registration, services.clock.now()):
            raise server_taken(policy, caller, found)
    else:
        resource = resolved(services, request, caller)
        decision = decision.joined(judge_resolved(services, request, resource))
        refuse(decision)
        registration = replace(registration, resource=resource)
    check_approvable(decision, caller)
    check_place(services, policy, request.owner)
    body = application_body(registration, services.tenant, new_secret(services, registration))
    of_the_owner = of_owner(services, registration)
    others = warnings(replace(registration, owner_unseen=False))
    if DATA_ROLES in decision.approving_rules:
        others = tuple(each for each in others if each != DATA_ROLES_BY_HAND)
    return Preview(registration, body, (*of_the_owner, *others), decision.approvals_needed)


def resolved(services: Services, request: ClientRequest, caller: Caller | None = None) -> ResolvedResource:
    """Return the resource of a client with what is asked of it; raise RequestRejected where that cannot be."""
    try:
        return resolve_resource(services, request, caller)
    except NeedsOperator as error:
        raise RequestRejected(400, error.code, error.message, _faults(error)) from None
    except TryAgain as error:
        if error.code != "resource-not-ready":
            raise
        raise RequestRejected(409, error.code, error.message) from None


def _new(services: Services, request: RegistrationRequest, caller: Caller, idempotency_key: str | None) -> Registration:
    now = services.clock.now()
    return Registration(
        id=registration_id(request.owner, caller.object_id, idempotency_key),
        caller=caller.object_id,
        via=caller.via,
        request=request,
        request_hash=fingerprint(request),
        owner_unseen=is_unseen(caller, request.owner),
        status=Status.ACCEPTED,
        operation=Operation(
            new_id(), OperationType.PROVISION, OperationStatus.PENDING, now, trace_id=trail.current().trace_id
        ),
        created_at=now,
        updated_at=now,
        due_at=now + STALLED_AFTER,
        data_roles_by=caller.both_ids if data_roles_of(request) else (),
    )


def _check_caller(caller: Caller, request: RegistrationRequest) -> None:
    """Refuse who may not ask for registrations at all, or not for this owner."""
    if not caller.may_create:
        raise RequestRejected(
            403, "role-required", f"Asking for a registration needs the app role {Role.CREATE}. Ask the administrator."
        )
    check_owner(caller, request.owner)


def is_unseen(caller: Caller, owner: str) -> bool:
    """Whether nothing shows that Entra knows this owner. With function keys an owner decides nothing: it may be so."""
    return caller.kind is not CallerKind.KEY and not caller.vouches_for(owner)


def check_owner(caller: Caller, owner: str) -> None:
    """Refuse (403) that a caller makes somebody own a registration who is neither itself nor one of its groups."""
    if not caller.may_change(owner):
        rule = f"Name yourself or one of your groups. Another owner needs the app role {Role.MANAGE_ALL}."
        raise RequestRejected(
            403, "owner-not-yours", "The owner is somebody else.", [Fault("#/owner", "owner-not-yours", rule)]
        )


def _check(
    services: Services, policy: Policy, request: RegistrationRequest, caller: Caller
) -> tuple[Decision, Registration | None]:
    """Refuse what the request alone, beside settings, policy and the names of our resources, shows to be wrong.

    Returns what the policy says of it otherwise, and the registration of ours that it names as its resource, where
    that was looked up.
    """
    faults = secret_lifetime_faults(request, services.secrets.lifetimes)
    faults += certificate_validity_faults(request, services.clock.now())
    faults += callback_faults(services, request)
    if isinstance(request, ResourceApplicationRequest):
        names = ours = None
        faults += _claim_faults(services, policy, request)
        faults += _mapped_claims_faults(request, services.tenant)
    else:
        names = ours = None
        try:
            ours = check_resource(services, request, caller)
            names = names_of(request.resource, ours, services.tenant)
        except NeedsOperator as error:
            faults += _faults(error)
    decision = check_new(policy, Asked(request, services.secrets.lifetime, names), caller, faults)
    if not isinstance(request, ResourceApplicationRequest):
        decision = decision.joined(judge_data_roles(services, request, ours))
    return decision, ours


def _claim_faults(services: Services, policy: Policy, request: ResourceApplicationRequest) -> list[Fault]:
    """Return the fault of a name that means somebody else's resource to whoever reads it.

    A rule of the policy that names its host, and not only all hosts, says who may register it all the same.
    """
    tenant, server_url = services.tenant, request.fhir_server_url
    listed = canonical_name(server_url, tenant.id) in services.allowed_resources
    listed = listed or compared(server_url) in services.fhir_services
    if not listed and not is_microsofts(server_url, tenant.verified_domains):
        return []
    if policy.names_claimant(urlsplit(server_url).hostname or "", request.owner):
        return []
    rule = (
        "The name belongs to a service of Microsoft, or to one in ALLOWED_RESOURCES or FHIR_SERVICE_IDS: clients name "
        "it as their resource, and nobody registers it, unless the policy names who may. For claims of your own at a "
        "managed FHIR service register a name of your own domain, and have authenticationConfiguration.audience of the "
        "service be its identifier URI."
    )
    return [Fault("#/fhirServerUrl", "name-not-claimable", rule)]


def _claim_server(services: Services, policy: Policy, registration: Registration, caller: Caller) -> None:
    request = registration.request
    if not isinstance(request, ResourceApplicationRequest):
        return
    taken = claim_server(services.registry, registration, request.fhir_server_url, services.clock.now())
    if taken is not None:
        raise server_taken(policy, caller, taken)


def _list_client(services: Services, registration: Registration, resource: Registration) -> None:
    """Have the list of its resource name the client, before its row is there; refuse it where that has ended meanwhile.

    Whoever deletes the resource says so first, and then looks at the list.
    """
    services.registry.list_client(resource.id, registration.id, registration.created_at)
    latest = services.registry.get(resource.id)
    try:
        check_live(latest if latest is not None else resource)
    except NeedsOperator as error:
        raise RequestRejected(
            400, "invalid-request", "The request breaks rules of this service; see errors.", _faults(error)
        ) from None


def _check_claimable(
    services: Services, policy: Policy, registration: Registration, decision: Decision, *, claims: bool
) -> None:
    request = registration.request
    if isinstance(request, ResourceApplicationRequest) and not decision.allowed:
        raise not_claimable(services, policy, registration, request.fhir_server_url, claims=claims)


def message_of(row: Registration) -> str | None:
    """Return what has the queue do what was just asked or decided; of what waits, tell or end it."""
    if row.pending:
        return operation_message(row)
    return check_message(DueEntry(row.id, row.due_at)) if row.awaits_approval and row.due_at is not None else None


def message_may_be_lost(registration: Registration, services: Services) -> bool:
    """Whether the message of a pending operation should have arrived by now."""
    waiting = services.clock.now() - registration.operation.requested_at
    return registration.pending and waiting > MESSAGE_ON_ITS_WAY


def _faults(error: NeedsOperator) -> Sequence[Fault]:
    """Return what is wrong with a request of which the queue function would make this error."""
    if isinstance(error, NotOffered):
        return error.faults
    return [Fault("#/resource", error.code, f"{error.message} {error.remedy}")]


def _mapped_claims_faults(request: ResourceApplicationRequest, tenant: Tenant) -> Iterator[Fault]:
    """Yield what Entra refuses at the token endpoint alone: mapped claims for an audience that anybody could have."""
    first = request.access_token_version == 1
    if not request.accept_mapped_claims or not first:
        return
    if not identifier_uri(request.fhir_server_url, tenant.id, tenant.verified_domains).startswith("https:"):
        yield Fault(
            "#/acceptMappedClaims",
            "mapped-claims-unverified-audience",
            "Entra maps claims only for an audience on a verified domain of the tenant, or the client id "
            "(AADSTS501461). Send accessTokenVersion 2, or have the operator add the domain to VERIFIED_DOMAINS.",
        )
