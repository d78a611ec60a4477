"""The one hard step: a secret that Entra shows once is minted, proven and published, and nothing is lost or doubled.

Adding a secret cannot be repeated safely: every call makes another. So the vault is asked first and says which secret
is current; a secret whose text was lost on the way stays on the application, harmless because nobody knows it.
"""

from datetime import timedelta

from provisioning import telemetry, trail
from provisioning.domain.durations import parse_duration
from provisioning.domain.errors import NeedsOperator, OutcomeUnknown, ProvisioningError, PublishBoundPassed, TryAgain
from provisioning.domain.registration import Registration
from provisioning.domain.secrets import CurrentSecret, MintedSecret, NewSecret, SecretState
from provisioning.flow.patience import WaitsFor, unsaid, waits
from provisioning.ports import Services

logger = trail.logger(__name__)


def new_secret(services: Services, registration: Registration) -> NewSecret | None:
    """Return what a secret minted now is asked for with: it ends after the lifetime asked for, else the operator's.

    None for a registration that holds no secret.
    """
    if not registration.holds_secret:
        return None
    asked_for: str | None = getattr(registration.request, "secret_lifetime", None)
    lifetime = parse_duration(asked_for) if asked_for is not None else services.secrets.lifetime
    now = services.clock.now()
    return NewSecret(registration.secret_label(now), now + lifetime)


def current_secret(services: Services, registration: Registration) -> CurrentSecret | None:
    """Return what the vault calls current, due or not; None where there is nothing yet.

    Raises NeedsOperator when somebody else wrote the current version.
    """
    return not_by_hand(registration, services.vault.current(registration.secret_name))


def not_by_hand(registration: Registration, current: CurrentSecret | None) -> CurrentSecret | None:
    """Return the vault's current secret; raise NeedsOperator when somebody else wrote it."""
    if current is not None and (current.tags.get("id") != registration.id or current.key_id is None):
        raise NeedsOperator(
            "vault-secret-not-ours",
            "The vault's current secret of this name was not written by this service.",
            remedy="Find out who set it; keep it under another name, delete and purge this one, and retry.",
        )
    return current


def belongs_to(current: CurrentSecret, registration: Registration) -> bool:
    """Whether a version carries our tags and is a secret of this very application."""
    tags = current.tags
    return tags.get("id") == registration.id and tags.get("clientId") == registration.client_id and bool(current.key_id)


def mint(services: Services, registration: Registration) -> MintedSecret:
    """Return one more secret of the application, in memory only; raise OutcomeUnknown when its text may be lost."""
    secret = new_secret(services, registration)
    assert registration.application_object_id is not None
    assert secret is not None
    return services.directory.add_secret(registration.application_object_id, secret.label, secret.expires_at)


def prove(services: Services, registration: Registration, minted: MintedSecret, waits_for: WaitsFor = unsaid) -> None:
    """Return once the token endpoint accepted the secret so often in a row; else remove it, unpublished, and raise."""
    try:
        _wait_for_acceptance(services, registration, minted, waits_for)
    except ProvisioningError:
        discard(services, registration, minted)
        raise


def _wait_for_acceptance(
    services: Services, registration: Registration, minted: MintedSecret, waits_for: WaitsFor
) -> None:
    assert registration.client_id is not None
    clock = services.clock
    # Proven later than that, it could not be published any more.
    deadline = min(clock.now() + services.secrets.proof_timeout, minted.minted_at + services.secrets.publish_bound)
    not_yet = TryAgain(
        "secret-not-accepted-yet",
        "The token endpoint does not accept the new secret yet, or not often enough in a row.",
        remedy="Look for an Entra incident or a conditional access policy for workload identities, and retry.",
    )
    accepted, pauses = 0, waits()
    while accepted < services.secrets.proof_count:
        if clock.now() >= deadline:
            raise not_yet
        pause = next(pauses)
        try:
            if services.proof.accepts(registration.client_id, minted):
                accepted += 1
                continue
            accepted, waited_for = 0, not_yet
        except TryAgain as unanswered:  # says nothing about the secret
            logger.info("registration %s: no answer to a proof: %s", registration.id, unanswered.code)
            waited_for = unanswered
        pause = max(pause, waited_for.retry_after or 0)
        waits_for(waited_for, pause)
        clock.sleep(min(pause, max(0.0, (deadline - clock.now()).total_seconds())))


def discard(services: Services, registration: Registration, minted: MintedSecret) -> None:
    """Remove a secret of which no publication was attempted. Where that fails it stays, unknown to anybody."""
    assert registration.application_object_id is not None
    try:
        services.directory.remove_secret(registration.application_object_id, minted.key_id)
    except ProvisioningError as error:
        logger.warning("registration %s: credential %s stays: %s", registration.id, minted.key_id, error.code)


def publish(
    services: Services, registration: Registration, minted: MintedSecret, waits_for: WaitsFor = unsaid
) -> CurrentSecret:
    """Return the version that holds the secret; after an unknown outcome the vault is asked before it is sent again.

    From the first attempt on the credential is not removed by this run: the vault may call it current at any moment.
    Raises PublishBoundPassed, or the last error, once the bound has passed.
    """
    name, not_after = registration.secret_name, minted.minted_at + services.secrets.publish_bound
    tags = {
        "id": registration.id,
        "keyId": minted.key_id,
        "operationId": registration.operation.id,
        "clientId": registration.client_id or "",
        "mintedAt": registration.minted_at(minted.minted_at).isoformat(),
        "traceId": trail.current().trace_id,
    }
    attempted = unknown = False
    for wait in waits():
        try:
            if unknown and (current := services.vault.current(name)) and current.key_id == minted.key_id:
                return current
            return services.vault.publish(name, minted, tags, not_after)
        except PublishBoundPassed:
            telemetry.measure("registrar.publications.late")
            if not attempted:
                discard(services, registration, minted)
            raise
        except TryAgain as error:
            attempted, unknown = True, unknown or isinstance(error, OutcomeUnknown)
            pause = max(wait, error.retry_after or 0)
            if services.clock.now() + timedelta(seconds=pause) > not_after:
                raise
            waits_for(error, pause)
            services.clock.sleep(pause)
    raise AssertionError("waits never end")


def shown(current: CurrentSecret) -> SecretState:
    """Return what the row shows of the vault's current secret."""
    return SecretState(current.id, current.key_id or "", current.expires_at, current.created_at, current.minted_at)
