"""THE PAGE: how an accepted registration becomes applications, service principals and proven secrets in Entra.

The queue delivers a message at least once: perhaps twice, perhaps twice at the same time, perhaps after a run that
stopped anywhere. The promise: any number of runs, in any overlap, ends in one application, one service principal and
one current secret in Key Vault that the token endpoint accepts. The rule for every step: ask the world, not a
counter, whether there is anything left to do; then it may be repeated.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Final

from provisioning.credentials import TOKEN_EXCHANGE_AUDIENCE
from provisioning.errors import NameTaken, NeedsOperator, ProvisioningError, StaleRegistration, TryAgain
from provisioning.intake import (
    CertificateCredential,
    FederatedCredential,
    ResourceApplicationRequest,
    ServiceClientRequest,
)
from provisioning.manifest import SIGN_IN_AUDIENCE, TAG, application_body, key_credential, resource_identifier
from provisioning.messages import Message
from provisioning.mint import current_secret, mint, prove, publish, secret_expiry
from provisioning.patience import Patience
from provisioning.plan import DUE_AGAIN_AFTER, forget_due
from provisioning.ports import Application, DueEntry, MintedSecret, Services, TrustedToken
from provisioning.registration import ClientType, Failure, LastError, Registration
from provisioning.resolve import claim_server, resolve_resource

logger = logging.getLogger(__name__)

PATIENCE: Final = timedelta(minutes=1)


@dataclass(slots=True)
class Run:
    """One delivery: what is known so far, and a secret that was born with the application, in memory only.

    `certified` is whether the application was seen to have the client's certificate. `unsure` is whether a request to
    create the application may have taken effect although its answer was lost.
    """

    services: Services
    registration: Registration
    minted: MintedSecret | None = None
    certified: bool = False
    unsure: bool = False

    def learn(self, **facts: object) -> None:
        """Remember facts about the registration; the runner saves them when the run ends."""
        self.registration = replace(self.registration, **facts)  # type: ignore[arg-type]


def ensure_server_url(run: Run) -> None:
    """Afterwards the FHIR server's URL belongs to this registration, and no second one can be made for it.

    Safe to repeat because a claim by its own holder changes nothing.
    """
    request = run.registration.request
    assert isinstance(request, ResourceApplicationRequest)
    if not claim_server(run.services.registry, run.registration, request.fhir_server_url):
        raise NeedsOperator(
            "fhir-server-already-registered",
            "Another registration was made for the same FHIR server at the same time.",
            remedy="Use that registration: list those with clientType=resource to find it.",
        )


def ensure_resource(run: Run) -> None:
    """Afterwards the client's resource and each permission that it asks for are known to exist.

    Safe to repeat because it only reads. It runs first, so that nothing is created for a request that cannot work.
    """
    request = run.registration.request
    assert not isinstance(request, ResourceApplicationRequest)
    run.learn(resource=resolve_resource(run.services, request))


def ensure_application(run: Run) -> None:
    """Afterwards the application exists, is ours, and its ids are known.

    Safe to repeat because `uniqueName` lets only the first POST create; every later one adopts what that one made.
    """
    if run.registration.application_object_id is not None:
        return
    expires_at = secret_expiry(run.services, run.registration) if run.registration.holds_secret else None
    try:
        body = application_body(run.registration, run.services.tenant, expires_at)
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
    if f"{TAG}:id={run.registration.id}" not in found.tags or found.sign_in_audience != SIGN_IN_AUDIENCE:
        raise NeedsOperator(
            "application-not-ours",
            "An application has our unique name, but not our tags or not our audience.",
            remedy="Find out who changed or made it; restore its tags, or delete it for good, and retry.",
        )
    return found


def ensure_identifier_uri(run: Run) -> None:
    """Afterwards a resource with v2 access tokens has `api://{client id}` as its identifier URI.

    Safe to repeat because it sets the whole list. With v1 the URI was in the first call, as it holds no client id.
    """
    request, registration = run.registration.request, run.registration
    assert isinstance(request, ResourceApplicationRequest)
    assert registration.application_object_id is not None
    uri = resource_identifier(registration, run.services.tenant)
    if request.access_token_version == 2:  # noqa: PLR2004 -- the version itself
        run.services.directory.set_identifier_uris(registration.application_object_id, [uri])
    run.learn(identifier_uri=uri)


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
    text was lost on the way stays on the application, unusable.
    """
    secret = current_secret(run.services, run.registration)
    if secret is None:
        minted, run.minted = run.minted or mint(run.services, run.registration), None
        prove(run.services, run.registration, minted)
        secret = publish(run.services, run.registration, minted)
    run.learn(secret=secret)


def ensure_certificate(run: Run) -> None:
    """Afterwards the application has the client's certificate.

    Safe to repeat because one that is there is not added again. It was in the first call already: the application is
    asked only where the answer to that was lost, or did not show it.
    """
    request, registration = run.registration.request, run.registration
    assert isinstance(request, ServiceClientRequest)
    assert isinstance(request.credential, CertificateCredential)
    assert registration.application_object_id is not None
    if not run.certified:
        key = key_credential(registration, request.credential)
        run.services.directory.add_certificate(registration.application_object_id, key)
        run.certified = True


def ensure_federated_credential(run: Run) -> None:
    """Afterwards Entra takes the tokens of the issuer and subject that the client named, in place of a secret.

    Safe to repeat because the name follows from the registration, and the one that exists is compared, not changed.
    """
    request, registration = run.registration.request, run.registration
    assert isinstance(request, ServiceClientRequest)
    assert isinstance(request.credential, FederatedCredential)
    assert registration.application_object_id is not None
    issuer, subject = request.credential.issuer, request.credential.subject
    wanted = TrustedToken(registration.federated_credential_name, issuer, subject, TOKEN_EXCHANGE_AUDIENCE)
    if run.services.directory.trust_token(registration.application_object_id, wanted) != wanted:
        raise NeedsOperator(
            "federated-credential-differs",
            "The application has a federated credential of our name, issuer or subject that this service did not make.",
            remedy="Find out who made or changed it, delete it in Entra, and retry.",
        )


Step = Callable[[Run], None]

STEPS: Final[Mapping[tuple[ClientType, str | None], tuple[Step, ...]]] = {
    (ClientType.RESOURCE, None): (
        ensure_server_url,
        ensure_application,
        ensure_identifier_uri,
        ensure_service_principal,
        ensure_known_by_client_id,
    ),
    (ClientType.PUBLIC, None): (ensure_resource, ensure_application, ensure_service_principal),
    (ClientType.CONFIDENTIAL, "secret"): (
        ensure_resource,
        ensure_application,
        ensure_service_principal,
        ensure_secret,
    ),
    (ClientType.SERVICE, "secret"): (
        ensure_resource,
        ensure_application,
        ensure_service_principal,
        ensure_secret,
    ),
    (ClientType.SERVICE, "federated"): (
        ensure_resource,
        ensure_application,
        ensure_service_principal,
        ensure_federated_credential,
    ),
    (ClientType.SERVICE, "certificate"): (
        ensure_resource,
        ensure_application,
        ensure_service_principal,
        ensure_certificate,
    ),
}


def carry_out(services: Services, message: Message) -> None:
    """Do what the message asks, if it is still to be done: afterwards the operation has ended, or an error is raised.

    Raises TryAgain, or the unknown error itself, for the queue to deliver the message again; why is on the row.
    """
    registration = services.registry.get(message.registration_id)
    if registration is not None and registration.pending:
        if not message.concerns(registration):
            return  # of an operation that another one followed, whose due entry must stay
        _save(services, _ended(Run(services, registration), message))
    forget_due(services, message, registration)


def _ended(run: Run, message: Message) -> Registration:
    """Return the registration with its operation ended; an error that time may heal is remembered and raised."""
    try:
        _take_steps(run)
        ended = run.registration.succeeded(run.services.clock.now())
    except NeedsOperator as error:
        ended = run.registration.failed(failure_of(error), run.services.clock.now())
    except Exception as error:
        _remember(run, message, error)
        raise
    return ended


def _save(services: Services, ended: Registration) -> None:
    """Save how the operation ended, unless another run ended it first."""
    try:
        services.registry.replace(ended)
    except StaleRegistration:
        if ended.secret is None:
            raise
        _show_current_secret(services, ended.id)
    else:
        failure = ended.operation.failure
        level = logging.ERROR if failure else logging.INFO
        what = f"failed with {failure.code}" if failure else "succeeded"
        logger.log(level, "registration %s: %s %s", ended.id, ended.operation.type, what)


def _show_current_secret(services: Services, registration_id: str) -> None:
    """Have the row of a registration that another run ended show what the vault calls current after both published."""
    while True:
        row = services.registry.get(registration_id)
        if row is None or row.pending:
            raise StaleRegistration
        secret = current_secret(services, row)
        if secret is None or secret == row.secret:
            return
        try:
            services.registry.replace(replace(row, secret=secret))
        except StaleRegistration:
            continue  # by a third run: look again
        return


def _take_steps(run: Run) -> None:
    patience = Patience(run.services.clock, PATIENCE)
    for step in STEPS[run.registration.client_type, run.registration.credential_type]:
        started = run.services.clock.now()
        patience.through(lambda step=step: step(run))  # type: ignore[misc]
        took = run.services.clock.now() - started
        logger.info("registration %s: %s in %.3f s", run.registration.id, step.__name__, took.total_seconds())


def _remember(run: Run, message: Message, error: Exception) -> None:
    """Save what the run learned, and why it stopped, before the queue delivers again; poison copies lose the reason.

    An entry that is due is put off: or the planner would enqueue it at every turn while this message comes back.
    """
    now, known = run.services.clock.now(), run.registration
    failure = failure_of(error) if isinstance(error, ProvisioningError) else unknown_failure(error)
    due_at = known.due_at if known.due_at is not None and known.due_at > now else now + DUE_AGAIN_AFTER
    run.services.registry.put_due(DueEntry(known.id, due_at))
    try:
        last_error = LastError(failure, passing=isinstance(error, TryAgain))
        run.services.registry.replace(replace(known, last_error=last_error, due_at=due_at, updated_at=now))
    except StaleRegistration:
        logger.info("registration %s: another run was faster to save", known.id)
    else:
        forget_due(run.services, message, known, keep=due_at)


def failure_of(error: ProvisioningError) -> Failure:
    """Return the error as it is remembered and answered."""
    return Failure(error.code, error.message, error.remedy, error.graph_request_id)


def unknown_failure(error: Exception) -> Failure:
    """Return an error that nobody foresaw: its type alone, because its text could hold anything."""
    return Failure(
        "unexpected-error",
        f"The run stopped on an error of the type {type(error).__name__}.",
        "Read its traceback in the log of the function, and report it.",
    )
