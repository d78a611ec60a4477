"""THE PAGE: how an accepted registration becomes applications, service principals and proven secrets in Entra.

The queue delivers a message at least once: perhaps twice, perhaps twice at the same time, perhaps after a run that
stopped anywhere. The promise: any number of runs, in any overlap, ends in one application, one service principal and
one current secret in Key Vault that the token endpoint accepts. The rule for every step: ask the world, not a
counter, whether there is anything left to do; then it may be repeated.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Final

from provisioning import telemetry, trail
from provisioning.domain.client_types import ClientType
from provisioning.domain.directory import Application
from provisioning.domain.errors import NameTaken, NeedsOperator, ProvisioningError, TryAgain, UnreadableRow
from provisioning.domain.intake import ResourceApplicationRequest
from provisioning.domain.manifest import application_body, mapped_claims, resource_identifier
from provisioning.domain.messages import DROPPED, Message, Outgoing, ReconcilePage
from provisioning.domain.operation import OperationType
from provisioning.domain.registration import Registration, Status
from provisioning.flow.cascade import ensure_clients_gone
from provisioning.flow.change import ensure_asked, ensure_changed
from provisioning.flow.check import check
from provisioning.flow.clients import ensure_off_the_list, listed
from provisioning.flow.conclude import announce_again, conclude, remember
from provisioning.flow.data_roles import ensure_no_data_roles
from provisioning.flow.delete import ensure_gone, ensure_server_url_held
from provisioning.flow.grant import ensure_granted, ensure_granted_anew, ensure_not_preauthorised
from provisioning.flow.mint import current_secret, discard, mint, new_secret, prove, publish, shown
from provisioning.flow.patience import Patience
from provisioning.flow.permit import check_permitted
from provisioning.flow.plan import forget_due, put_off
from provisioning.flow.reconcile import reconcile
from provisioning.flow.resolve import claim_server, resolve_resource
from provisioning.flow.rotate import check_ours, clean_up_time, ensure_revoked, ensure_room, is_good
from provisioning.flow.run import Run, briefly, failure_of, on_its_trail, understood
from provisioning.flow.settle import ensure_approved, settle
from provisioning.flow.trust import ensure_certificate, ensure_credential, ensure_federated_credential
from provisioning.flow.vault_read import ensure_nobody_reads, ensure_vault_read, ensure_vault_read_anew
from provisioning.ports import Services

logger = trail.logger(__name__)

PATIENCE: Final = timedelta(minutes=1)


def ensure_server_url(run: Run) -> None:
    """Afterwards the FHIR server's URL belongs to this registration, and no second one can be made for it.

    Safe to repeat because a claim by its own holder changes nothing.
    """
    request = run.registration.request
    assert isinstance(request, ResourceApplicationRequest)
    services, url = run.services, request.fhir_server_url
    taken = claim_server(services.registry, run.registration, url, services.clock.now())
    if taken is None:
        return
    if taken.holder is not None and taken.holder.request.owner == request.owner:
        raise NeedsOperator(
            "fhir-server-already-registered",
            "Another registration was made for the same FHIR server at the same time.",
            remedy="Use that registration: list those with clientType=resource to find it.",
        )
    raise NeedsOperator(
        "fhir-server-not-available",
        "This owner cannot register the FHIR server: somebody else has it, had it lately, or may alone claim it.",
        remedy="Ask the operator of this service whose it is, and delete this registration.",
    )


def ensure_resource(run: Run) -> None:
    """Afterwards the client's resource and each permission that it asks for are known to exist, and to be permitted.

    Safe to repeat because it only reads, but for the list of the resource's clients, which names each once. It runs
    first, so that nothing is created for a request that cannot work.
    """
    request = run.registration.request
    assert not isinstance(request, ResourceApplicationRequest)
    resource = resolve_resource(run.services, request)
    if listed(run.services, replace(run.registration, resource=resource)):
        resource = resolve_resource(run.services, request)  # whoever deletes it has seen the list, or is seen here
    if run.registration.application_object_id is None:
        check_permitted(run.services, run.registration, request, resource)
    run.learn(resource=resource)


def ensure_application(run: Run) -> None:
    """Afterwards the application exists, is ours, and its ids are known.

    Safe to repeat because `uniqueName` lets only the first POST create; every later one adopts what that one made.
    """
    if run.registration.application_object_id is not None:
        return
    try:
        body = application_body(run.registration, run.services.tenant, new_secret(run.services, run.registration))
        application = run.services.directory.create_application(body)
    except NameTaken as taken:
        application = _adopted(run, taken)
    except TryAgain:
        run.unsure = True
        raise
    run.minted, run.certified = application.secret, application.has_certificate
    run.learn(application_object_id=application.object_id, client_id=application.client_id)


def _adopted(run: Run, taken: NameTaken) -> Application:
    found = run.services.directory.find_application(run.registration.unique_name)
    if found is None:
        if run.unsure or run.registration.last_error is not None:
            # Our own application, perhaps, that is not replicated yet: time tells.
            raise TryAgain(
                taken.otherwise.code,
                taken.otherwise.message,
                remedy=taken.otherwise.remedy,
                graph_request_id=taken.otherwise.graph_request_id,
            )
        raise taken.otherwise
    return check_ours(run, found)


def ensure_identifier_uri(run: Run) -> None:
    """Afterwards a resource with v2 access tokens has `api://{client id}` as its identifier URI.

    Safe to repeat because it sets the whole list. With v1 the URI was in the first call, as it holds no client id.
    """
    request, registration = run.registration.request, run.registration
    assert isinstance(request, ResourceApplicationRequest)
    assert registration.application_object_id is not None
    uri = resource_identifier(registration, run.services.tenant)
    if request.access_token_version == 2:  # noqa: PLR2004 -- the version itself
        run.services.directory.update_application(registration.application_object_id, {"identifierUris": [uri]})
    run.learn(identifier_uri=uri)


def ensure_mapped_claims(run: Run) -> None:
    """Afterwards tokens for the application may carry claims that a policy maps, if that was asked for.

    Safe to repeat because it sets one value, and always the same.
    """
    changes = mapped_claims(run.registration.request)
    if changes:
        assert run.registration.application_object_id is not None
        run.services.directory.update_application(run.registration.application_object_id, changes)


def ensure_service_principal(run: Run) -> None:
    """Afterwards the application has its service principal in the tenant.

    Safe to repeat because Entra lets an application have only one, and "already exists" is success.
    """
    if run.registration.service_principal_id is None:
        assert run.registration.client_id is not None
        run.learn(service_principal_id=run.services.directory.create_service_principal(run.registration.client_id))


def ensure_known_by_client_id(run: Run) -> None:
    """Afterwards a client may name this resource by its client id too.

    Safe to repeat because a claim by its own holder changes nothing.
    """
    assert run.registration.client_id is not None
    run.services.registry.claim(run.registration.client_id, run.registration.id)


def ensure_secret(run: Run) -> None:
    """Afterwards the vault's current secret is ours, was proven before it was published, and is not due.

    Safe to repeat because the vault is asked first, and only the vault says which secret is current. A secret whose
    text was lost on the way stays on the application, unusable, until the removal rule allows its removal.
    """
    secret = current_secret(run.services, run.registration)
    while secret is None or not is_good(run, secret):
        minted, run.minted = run.minted or mint(run.services, run.registration), None
        counts_as = run.registration.minted_at(minted.minted_at)
        prove(run.services, run.registration, minted, run.waits_for)
        run.look_again()
        if run.registration.wants_younger(counts_as):  # asked for meanwhile: nobody may begin to use it
            discard(run.services, run.registration, minted)
            continue
        secret = publish(run.services, run.registration, minted, run.waits_for)
        run.published = minted
        run.look_again()
    if run.registration.secret is None or run.registration.secret.key_id != secret.key_id:
        clean_up_at = clean_up_time([secret.created_at], run.services.secrets)
        run.learn(secret=shown(secret), clean_up_at=clean_up_at)


Step = Callable[[Run], None]

STEPS: Final[Mapping[tuple[ClientType, str | None], tuple[Step, ...]]] = {
    (ClientType.RESOURCE, None): (
        ensure_server_url,
        ensure_application,
        ensure_identifier_uri,
        ensure_mapped_claims,
        ensure_service_principal,
        ensure_known_by_client_id,
    ),
    (ClientType.PUBLIC, None): (
        ensure_resource,
        ensure_application,
        ensure_mapped_claims,
        ensure_service_principal,
        ensure_granted,
    ),
    (ClientType.CONFIDENTIAL, "secret"): (
        ensure_resource,
        ensure_application,
        ensure_mapped_claims,
        ensure_service_principal,
        ensure_secret,
        ensure_vault_read,
        ensure_granted,
    ),
    (ClientType.SERVICE, "secret"): (
        ensure_resource,
        ensure_application,
        ensure_service_principal,
        ensure_secret,
        ensure_vault_read,
        ensure_granted,
    ),
    (ClientType.SERVICE, "federated"): (
        ensure_resource,
        ensure_application,
        ensure_service_principal,
        ensure_federated_credential,
        ensure_granted,
    ),
    (ClientType.SERVICE, "certificate"): (
        ensure_resource,
        ensure_application,
        ensure_service_principal,
        ensure_certificate,
        ensure_granted,
    ),
}


ROTATION: Final[tuple[Step, ...]] = (ensure_room, ensure_secret, ensure_revoked)
CHANGE: Final[tuple[Step, ...]] = (
    ensure_approved,
    ensure_asked,
    ensure_changed,
    ensure_credential,
    ensure_granted_anew,
    ensure_vault_read_anew,
)
DELETION: Final[tuple[Step, ...]] = (
    ensure_clients_gone,
    ensure_gone,
    ensure_off_the_list,
    ensure_not_preauthorised,
    ensure_no_data_roles,
    ensure_nobody_reads,
    ensure_server_url_held,
)


def steps_of(registration: Registration) -> tuple[Step, ...]:
    """Return what the registration's operation consists of."""
    match registration.operation.type:
        case OperationType.PROVISION:
            return (ensure_approved, *STEPS[registration.client_type, registration.credential_type])
        case OperationType.ROTATE:
            return ROTATION
        case OperationType.CHANGE:
            return CHANGE
        case OperationType.DELETE:
            return DELETION


@briefly
@on_its_trail
def carry_out(services: Services, message: Message | ReconcilePage | None) -> Outgoing:
    """Do what the message asks, if it is still to be done; return the messages to send. None is dropped.

    Afterwards the operation has ended, or an error is raised: TryAgain, or the unknown error itself, for the queue to
    deliver the message again; why is on the row, and in one line of the log.
    """
    if message is None:
        logger.error(DROPPED)
        return Outgoing()
    try:
        return reconcile(services, message) if isinstance(message, ReconcilePage) else _carried_out(services, message)
    except Exception as error:
        level = logging.WARNING if isinstance(error, ProvisioningError) else logging.ERROR
        logger.log(level, "comes back: %s", failure_of(error).code)
        raise


def _carried_out(services: Services, message: Message) -> Outgoing:
    try:
        registration = understood(services.registry, message.registration_id)
    except UnreadableRow:
        put_off(services, message)
        return Outgoing()
    if registration is None:
        forget_due(services, message, None)
        return Outgoing()
    run, notices = Run(services, registration), list[str]()
    try:
        if message.is_check and registration.awaits_approval and not registration.pending:
            settled = settle(run, message)
            if settled is not None:
                return settled
        if message.is_check and registration.status is Status.ACTIVE and not registration.pending:
            notices = check(run, message)
        before = run.registration
        if message.concerns(before):
            trail.known(trace_id=before.operation.trace_id)
            return conclude(run, message, before, _ended(run))
    except Exception as error:
        instead = remember(run, message, error)
        if instead is not None:
            return instead
        raise
    if message.is_check:
        notices += announce_again(services, message, registration)
        forget_due(services, message, before, keep=before.due_at)
    return Outgoing(notices=tuple(notices))


def _ended(run: Run) -> Registration:
    """Take the steps of the operation, and return the registration with it ended.

    A refusal is final only when the world, asked once more from the first step on, still leaves to do what is refused:
    another delivery may have done it meanwhile.
    """
    patience = Patience(run.services.clock, PATIENCE, run.waits_for)
    for is_last in (False, True):
        try:
            _take_steps(run, patience)
            break
        except NeedsOperator as error:
            if run.registration.operation.type is OperationType.DELETE:
                raise  # a deletion is never given up
            if is_last:
                return run.registration.failed(failure_of(error), run.services.clock.now())
            logger.info("registration %s: %s; the world is asked once more", run.registration.id, error.code)
    return run.registration.succeeded(run.services.clock.now())


def _take_steps(run: Run, patience: Patience) -> None:
    for step in steps_of(run.registration):
        started = run.services.clock.now()
        with telemetry.span(step.__name__):
            patience.through(lambda step=step: step(run))  # type: ignore[misc]
        took = run.services.clock.now() - started
        logger.info("registration %s: %s in %.3f s", run.registration.id, step.__name__, took.total_seconds())
