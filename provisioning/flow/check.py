"""What is left to do for a registration at rest; when it is looked at is in `plan.py`, how a run ends in `conclude.py`.

The planner asks when something is due, and a reconciliation asks once a day about each. Only what is provably ours and
provably broken is repaired; whatever else is found is reported on the registration, and never touched.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from provisioning import telemetry, trail
from provisioning.domain.client_types import ClientType
from provisioning.domain.credentials import credential_expires_at
from provisioning.domain.directory import Credential
from provisioning.domain.errors import NeedsOperator, TryAgain
from provisioning.domain.intake import ResourceApplicationRequest
from provisioning.domain.manifest import added_by_hand, change_of
from provisioning.domain.messages import Message
from provisioning.domain.notices import are_same, expiry_days, of_drift, of_expiry
from provisioning.domain.operation import Failure, OperationType
from provisioning.domain.registration import Registration
from provisioning.domain.secrets import CurrentSecret, MissingCredential, SecretPolicy
from provisioning.flow.change import lacks_change, repair, send_change
from provisioning.flow.clients import listed_clients
from provisioning.flow.compare import put_by_others
from provisioning.flow.grant import LOOKED_AT_AGAIN_AFTER, ensure_granted, preauthorise
from provisioning.flow.mint import belongs_to, not_by_hand, shown
from provisioning.flow.notify import announce
from provisioning.flow.observe import UNUSED, announce_use, found_unused, learn_spared, learn_usage
from provisioning.flow.plan import NEVER, STALLED_AFTER, forget_due, next_due, put_due, tried_again_after
from provisioning.flow.resolve import claim_server
from provisioning.flow.rotate import (
    MOST_CREDENTIALS,
    View,
    check_ours,
    clean_up_time,
    is_labelled,
    is_revoked,
    lists,
    remove,
    replaced_credentials,
    rotates,
    rotates_at,
    rotation_id,
    secret_is_due,
    view,
)
from provisioning.flow.run import Run, failure_of
from provisioning.flow.spare import looked_at_again
from provisioning.flow.trust import clean_up_certificates, keep_credential
from provisioning.flow.vault_read import ensure_vault_read

logger = trail.logger(__name__)

NEVER_NOTICED: Final = 1000  # days before the end: more than any threshold
LISTED_AFTER: Final = timedelta(hours=1)


def check(run: Run, message: Message) -> list[str]:
    """Look at an active registration, and do or begin what is left to do.

    Afterwards either a rotation is pending, or what could be removed is removed, the row names what is due next, and
    its findings are what a person has to know. Return the messages about notices to send.
    """
    before, now = run.registration, run.services.clock.now()
    put_off = before.last_error is not None
    if message.run is None and not put_off and (before.due_at is None or before.due_at > now):
        return []  # sent for a stale entry
    _measure_lateness(before, run.services.secrets, now)
    try:
        _keep_grants(run, message)
        _keep_vault_read(run)
        seen = view(run)
        check_ours(run, seen.application)
        if message.run is not None:
            _keep_name(run)
            _keep_clients(run)
        if before.holds_secret and _begins_rotation(run, message, seen):
            _tell_waiting_revocation(before, seen.live)
            return []
        removed, owner = _clean_up(run, seen), _look_for_owner(run)
        left = [each for each in seen.live if each not in removed]
        learn_usage(run, seen, left, message.observed)
        _tell_waiting_revocation(run.registration, left)
        unused = found_unused(run, message.observed, now)
        run.learn(findings=(*owner, *_findings(run, seen, left), *unused))
        due_at = next_due(run.registration, run.services.secrets, now)
    except NeedsOperator as error:
        due_at = now + tried_again_after(run.services.secrets)
        run.learn(findings=(failure_of(error),))
        _tell_stuck_revocation(before)
    notices = _announce(run, before, now)
    _save(run, message, before, due_at)
    return notices


def _measure_lateness(registration: Registration, policy: SecretPolicy, now: datetime) -> None:
    due_at = rotates_at(registration, policy)
    if due_at is not None and due_at <= now:
        telemetry.measure("registrar.secrets.late", (now - due_at).total_seconds())


def _tell_waiting_revocation(registration: Registration, live: Sequence[Credential]) -> None:
    """Have the log say that what somebody wanted to end at once still works: whoever asked may believe it dead."""
    waiting = sum(is_labelled(each) and is_revoked(each, registration.revoke_before) for each in live)
    if waiting:
        logger.warning("registration %s: a revocation waits: %d revoked secrets still work", registration.id, waiting)


def _tell_stuck_revocation(registration: Registration) -> None:
    """Have the log say it where nothing could be read: by the row, the secret in use is one that was to end."""
    secret, bound = registration.secret, registration.revoke_before
    if secret is not None and bound is not None and (secret.minted_at or NEVER) < bound:
        logger.warning("registration %s: a revocation waits: the secret in use is a revoked one", registration.id)


def _keep_grants(run: Run, message: Message) -> None:
    """Have what was agreed be granted, where that has changed, was late to show, or is compared once a day.

    It is before all else: neither a missing secret nor drift may hold up that something is taken back.
    """
    row, now = run.registration, run.services.clock.now()
    run.compares = message.run is not None
    asks_or_asked = bool(row.declared or row.grants or row.former_permissions)
    if asks_or_asked and (run.compares or (row.grants_due_at is not None and row.grants_due_at <= now)):
        ensure_granted(run)


def _keep_vault_read(run: Run) -> None:
    """Have the owner read the secret, where that could not be given before, or is compared once a day.

    Resource Manager being away holds up nothing of what is due.
    """
    due_at = run.registration.azure_grants_due_at
    if run.compares or (due_at is not None and due_at <= run.services.clock.now()):
        try:
            ensure_vault_read(run)
        except TryAgain as error:
            logger.warning("registration %s: who reads its secret is not compared: %s", run.registration.id, error.code)
            run.learn(azure_grants_due_at=run.services.clock.now() + LOOKED_AT_AGAIN_AFTER)


def _keep_clients(run: Run) -> None:
    """Have a resource pre-authorise its clients and nobody who was one, whatever a run that died had left."""
    server = run.registration
    grants = run.services.grants and server.client_type is ClientType.RESOURCE
    if grants and any(listed_clients(run.services, server.id)):
        preauthorise(run.services, server, afresh=False)


def _keep_name(run: Run) -> None:
    """Have a resource's name be claimed as it is compared; earlier versions claimed it as it was written."""
    request = run.registration.request
    if isinstance(request, ResourceApplicationRequest):
        claim_server(run.services.registry, run.registration, request.fhir_server_url, run.services.clock.now())


def _begins_rotation(run: Run, message: Message, seen: View) -> bool:
    """Have a rotation be pending if the current secret is due, or provably broken."""
    registration, current = run.registration, not_by_hand(run.registration, seen.current)
    if current is None:
        raise NeedsOperator(
            "vault-secret-missing",
            "The vault has no secret of the registration's name any more.",
            remedy="Recover it (az keyvault secret recover). If it was purged, POST /registrations/{id}/rotate.",
        )
    broken = message.run is not None and _is_broken(run, message.run, seen, current)
    scheduled = rotates(registration)
    if not broken and not secret_is_due(registration, current, seen.now, run.services.secrets, scheduled=scheduled):
        return False
    due_at = seen.now + STALLED_AFTER
    operation_id, trace_id = rotation_id(registration, current), trail.current().trace_id
    begun = registration.begun(operation_id, OperationType.ROTATE, seen.now, due_at, trace_id)
    if broken:
        begun = replace(begun, replace_before=registration.bound_at(seen.now), missing=None)
    put_due(run.services, begun)
    run.registration = run.write(begun)
    forget_due(run.services, message, registration, keep=due_at)
    logger.info("registration %s: a rotation is due", registration.id)
    return True


def _is_broken(run: Run, reconciliation: str, seen: View, current: CurrentSecret) -> bool:
    """Whether Entra has lost the current secret: not listed in two successive reconciliations, and refused.

    A list may lag, and a list that lags for all registrations must not rotate all of them.
    """
    registration, services = run.registration, run.services
    assert seen.application is not None
    if (
        lists(seen.application, current)
        or seen.now - current.created_at < LISTED_AFTER
        or not belongs_to(current, registration)
    ):
        run.learn(missing=None)
        return False
    known = registration.missing
    if known is None or known.key_id != current.key_id:
        run.learn(missing=MissingCredential(current.key_id or "", reconciliation))
        return False
    if known.run == reconciliation:
        return False
    secret = services.vault.read(registration.secret_name)
    if secret is None or secret.key_id != current.key_id or registration.client_id is None:
        return False
    return not any(services.proof.accepts(registration.client_id, secret) for _ in range(services.secrets.proof_count))


def _clean_up(run: Run, seen: View) -> list[Credential]:
    """Remove what may be removed, and return it; send a change that Entra lacks, and learn when to come again."""
    application, current, policy = check_ours(run, seen.application), seen.current, run.services.secrets
    replaced = replaced_credentials(run, seen)
    spared = learn_spared(run, seen, replaced)
    removed = remove(run, seen, [each for each in replaced if each.key_id not in spared])
    if lacks_change(run, application):
        send_change(run, application)
    elif run.compares:
        repair(run, application, seen.now)
    keep_credential(run, seen.now)
    clean_up_certificates(run, seen.now)
    if current is None:
        return removed
    others = [each for each in seen.live if is_labelled(each) and each.key_id != current.key_id]
    left = [each for each in others if each not in removed and each.key_id not in spared]
    times = [clean_up_time([current.created_at, each.minted_at], policy) for each in left]
    overlap_ends = clean_up_time([current.created_at], policy)
    if overlap_ends > seen.now:
        times.append(overlap_ends)
    elif times and min(times) <= seen.now:  # the current secret is not listed: drift
        times = [seen.now + tried_again_after(policy)]
    times += [looked_at_again(each, seen.now) for each in spared.values()]
    run.learn(secret=shown(current), clean_up_at=min(times, default=None))
    return removed


def _look_for_owner(run: Run) -> tuple[Failure, ...]:
    """Return the finding that Entra does not know the owner; that it does is learned. Its owner may have left.

    With function keys an owner decides nothing, and is not looked for.
    """
    if run.services.front_door is None:
        return ()
    known = run.services.directory.knows(run.registration.request.owner)
    if known:
        run.learn(owner_unseen=False)
    return () if known is not False else (_OWNER_NOT_FOUND,)


_OWNER_NOT_FOUND: Final = Failure(
    "owner-not-found",
    "Entra knows no user, group or service principal of the owner's object id.",
    "Have a manager give the registration to a group of the team: PATCH /registrations/{id} with owner.",
)


def _findings(run: Run, seen: View, left: Sequence[Credential]) -> Iterator[Failure]:
    """Yield what a person has to know about and this service does not touch."""
    registration, current, application = run.registration, seen.current, seen.application
    assert application is not None
    foreign = [each for each in left if not is_labelled(each)]
    if foreign:
        yield Failure(
            "foreign-credentials",
            f"The application has {len(foreign)} secrets that this service did not make.",
            "Find out who uses them; remove them, or keep them and their rotation in your own hands.",
        )
    if len(left) >= MOST_CREDENTIALS - 1:
        yield Failure(
            "credentials-near-limit",
            f"The application has {len(left)} live secrets; at {MOST_CREDENTIALS} it is not rotated any more.",
            "Remove those that nobody uses: list them with az ad app credential list.",
        )
    if current is not None and not lists(application, current) and seen.now - current.created_at >= LISTED_AFTER:
        yield Failure(
            "current-secret-not-listed",
            "Entra does not list the vault's current secret among the application's.",
            "Nothing, if it passes within a day; a reconciliation replaces a secret that Entra has lost.",
        )
    if added_by_hand(registration, application):
        yield Failure(
            "redirect-uris-added-by-hand",
            "The application has redirect URIs that this service did not set; they are kept.",
            "Send them with PATCH /registrations/{id}, or remove them in Entra.",
        )
    yield from put_by_others(run, application)
    if change_of(application.notes) is None:
        yield Failure(
            "notes-changed",
            "Somebody changed the application's notes, where this service keeps its own record.",
            "Keep notes elsewhere; the next change of the registration restores them.",
        )


def _announce(run: Run, before: Registration, now: datetime) -> list[str]:
    """Tell what is new of the findings, and of the end of a credential that nothing replaces."""
    registration, notices = run.registration, list[str]()
    for each in registration.findings:
        telemetry.measure("registrar.findings", code=each.code)
    codes = ", ".join(each.code for each in registration.findings if each.code != UNUSED)  # which alarms nobody
    if codes:
        logger.warning("registration %s: found: %s", registration.id, codes)
    if registration.findings and not are_same(registration.findings, before.findings):
        notices += announce(run.services, of_drift(registration, registration.findings, now), registration)
    expires_at = credential_expires_at(registration)
    days = expiry_days(expires_at, now) if expires_at is not None and not rotates(registration) else None
    if expires_at is not None and days is not None and days < (before.expiry_noticed or NEVER_NOTICED):
        what = registration.credential_type or "credential"
        logger.warning("registration %s: its %s ends in %d days, and nothing replaces it", registration.id, what, days)
        notices += announce(run.services, of_expiry(registration, what, expires_at, days), registration)
    run.learn(expiry_noticed=days)
    return notices + announce_use(run, before, now)


def _save(run: Run, message: Message, before: Registration, due_at: datetime | None) -> None:
    """Save what was found and when to come again, if that is anything new."""
    run.learn(last_error=None, due_at=due_at)
    if run.registration != before or run.removed:
        if run.removed or replace(run.registration, usage=before.usage) != before:  # that it is used changes nothing
            run.learn(updated_at=run.services.clock.now())
        put_due(run.services, run.registration)
        run.save()
    forget_due(run.services, message, before, keep=due_at)
