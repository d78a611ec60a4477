"""Has Entra trust what a service client shows in place of a secret: a certificate, or tokens of another issuer."""

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime

from provisioning import telemetry, trail
from provisioning.domain.certificates import as_base64, validity
from provisioning.domain.credentials import given_up, is_named_after, is_named_ours, name_of, trusted_tokens
from provisioning.domain.directory import TrustedToken
from provisioning.domain.errors import NeedsOperator
from provisioning.domain.fields import MOST_SUBJECTS
from provisioning.domain.intake import CertificateCredential, FederatedCredential, ServiceClientRequest
from provisioning.domain.manifest import key_credential
from provisioning.domain.registration import Registration
from provisioning.domain.secrets import is_ours_by_label, labelled_time
from provisioning.flow.rotate import REPLICATED_AFTER
from provisioning.flow.run import Run
from provisioning.ports import Services

logger = trail.logger(__name__)


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


def ensure_federated_credential(run: Run) -> None:
    """Afterwards Entra takes the tokens of the issuer and the subjects that the client named, in place of a secret.

    Safe to repeat because names follow from the registration, and one that exists is compared, not changed.
    """
    registration = run.registration
    assert registration.application_object_id is not None
    for wanted in trusted_tokens(registration, run.services.tenant):
        if run.services.directory.trust_token(registration.application_object_id, wanted) != wanted:
            raise _differs()


def _differs() -> NeedsOperator:
    return NeedsOperator(
        "federated-credential-differs",
        "The application has a federated credential of our name, issuer or subject that this service did not make.",
        remedy="Find out who made or changed it, delete it in Entra, and retry.",
    )


# --- by a change ----------------------------------------------------------------------------------------------------


def ensure_credential(run: Run) -> None:
    """Afterwards the client signs in with what its registration names now, by a change that is about its credential.

    A certificate is added beside the one before, which goes once the overlap is past. A subject is added before another
    one goes. Safe to repeat because what is there is not added again. A run that stood still may come after a later
    change: it looks at the row again, and goes round.
    """
    registration = run.registration
    if "credential" not in registration.changed_fields:
        return
    while True:
        _bring_about(run.services, registration)
        latest = run.services.registry.get(registration.id)
        if latest is None or latest.ending or latest.request == registration.request:
            break
        registration = latest
    if registration.credential_type == "certificate":
        run.learn(clean_up_at=run.services.clock.now() + run.services.secrets.overlap)


def _bring_about(services: Services, registration: Registration) -> None:
    request = registration.request
    assert registration.application_object_id is not None
    if isinstance(request, ServiceClientRequest) and isinstance(request.credential, CertificateCredential):
        key = key_credential(registration, request.credential, registration.secret_label(services.clock.now()))
        services.directory.add_certificate(registration.application_object_id, key)
    else:
        exchange_subjects(services, registration, lambda token: is_named_ours(registration, token))


def exchange_subjects(
    services: Services, registration: Registration, may_go: Callable[[TrustedToken], bool]
) -> list[str]:
    """Have Entra trust every subject of the client, and of others those no more of which `may_go` says so.

    Return the names of the others that are left. What is named anew comes first, so far as there is room: a subject
    that stays is trusted all the time.
    """
    directory, object_id = services.directory, registration.application_object_id
    assert object_id is not None
    there, wanted = list(directory.trusted_tokens(object_id)), trusted_tokens(registration, services.tenant)
    subjects = {(each.issuer, each.subject) for each in wanted}
    gone = [each for each in there if (each.issuer, each.subject) not in subjects and may_go(each)]
    for each in wanted:
        same = [known for known in there if (known.issuer, known.subject) == (each.issuer, each.subject)]
        if same:
            if same[0].audience != each.audience or not is_named_ours(registration, same[0]):
                raise _differs()
            continue
        if len(there) >= MOST_SUBJECTS and gone:
            there.remove(gone[0])
            directory.distrust_token(object_id, gone.pop(0).name)
        is_taken = any(known.name == each.name for known in there)
        named = replace(each, name=name_of(registration, each.subject)) if is_taken else each
        if directory.trust_token(object_id, named) != named:
            raise _differs()
        there.append(named)
    for each in gone:
        directory.distrust_token(object_id, each.name)
    return [each.name for each in there if (each.issuer, each.subject) not in subjects and each not in gone]


# --- at rest --------------------------------------------------------------------------------------------------------


def keep_credential(run: Run, now: datetime) -> None:
    """Have Entra trust what the client signs in with, once a day: what somebody took away by hand is there again.

    A subject that a late run of ours added again goes; what others added stays. Not before every replica has heard of
    the latest change.
    """
    registration, request = run.registration, run.registration.request
    young = now - registration.operation.requested_at < REPLICATED_AFTER
    if not run.compares or registration.pending or young or not isinstance(request, ServiceClientRequest):
        return
    match request.credential:
        case FederatedCredential():
            left = exchange_subjects(run.services, registration, lambda token: is_named_after(registration, token))
            run.trusted_by_hand = tuple(left)
        case CertificateCredential(certificate=certificate) if validity(certificate)[1] > now:
            _bring_about(run.services, registration)


def clean_up_certificates(run: Run, now: datetime) -> None:
    """Remove the certificates that were given up, once the overlap is past or they have ended; never all that works.

    Looked at when that is due, and once a day.
    """
    registration, request = run.registration, run.registration.request
    if not isinstance(request, ServiceClientRequest) or not isinstance(request.credential, CertificateCredential):
        return
    due_at, object_id = registration.clean_up_at, registration.application_object_id
    if object_id is None or not (run.compares or (due_at is not None and due_at <= now)):
        return
    there = run.services.directory.certificates(object_id) or ()
    overlap = run.services.secrets.overlap
    times = [labelled_time(each.label) or registration.created_at for each in there if is_ours_by_label(each.label)]
    since = max([*times, *([due_at - overlap] if due_at is not None else [])], default=registration.created_at)
    current = as_base64(request.credential.certificate)
    foreign = [each for each in there if each.key != current and not is_ours_by_label(each.label)]
    run.trusted_by_hand = tuple(each.key_id for each in foreign)
    gone = given_up(there, current, now, since, overlap)
    if gone:
        run.services.directory.remove_certificates(object_id, [each.key_id for each in gone])
        for each in gone:
            run.removed.append(each.key_id)
            telemetry.measure("registrar.credentials.removed")
            logger.info("registration %s: removed certificate %s", registration.id, each.key_id)
    run.learn(clean_up_at=due_at if due_at is not None and due_at > now else None)
