"""When a secret is replaced, and what may be removed afterwards: nobody who uses a secret is ever cut off.

The two rules at the top are pure, and every condition in them is there because a model of the whole found the schedule
that breaks without it. The steps below them are what a rotation does beside `ensure_secret`.
"""

import hashlib
import uuid
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Final

from provisioning import telemetry, trail
from provisioning.domain.directory import Application, Credential
from provisioning.domain.errors import CredentialNotFound, NeedsOperator, TryAgain
from provisioning.domain.manifest import is_marked
from provisioning.domain.registration import Registration, Status
from provisioning.domain.secrets import CREDENTIAL_LABEL_PREFIX, CurrentSecret, SecretPolicy
from provisioning.domain.usage import CredentialUse
from provisioning.domain.values import dataclass
from provisioning.flow.mint import belongs_to, current_secret
from provisioning.flow.run import Run
from provisioning.flow.spare import spared

logger = trail.logger(__name__)

# Entra has no limit of its own below the size of the whole application; more than this is a fault that repeats.
MOST_CREDENTIALS: Final = 10
# Until then a read that finds nothing may have asked a replica that has not heard of the application.
REPLICATED_AFTER: Final = timedelta(hours=1)
SPREAD: Final = 10  # the part of the time until a rotation by which it may come sooner
_ROTATIONS: Final = uuid.UUID("6f1d7a52-0b7e-5d0e-9a55-8c2f0c1f7b3e")


# --- the rules ------------------------------------------------------------------------------------------------------


def is_due(
    current: CurrentSecret,
    now: datetime,
    rotate_before: timedelta | None,
    replace_before: datetime | None = None,
    revoke_before: datetime | None = None,
) -> bool:
    """Tell whether the vault's current secret has to be replaced.

    It ends within `rotate_before`, or has no end date that says when, or was minted before somebody asked for another.
    With `rotate_before` None its end is no reason.
    """
    ends = rotate_before is not None and (current.expires_at is None or current.expires_at - rotate_before <= now)
    return ends or any(bound is not None and current.minted_at < bound for bound in (replace_before, revoke_before))


def removable(
    credentials: Iterable[Credential],
    current: CurrentSecret,
    now: datetime,
    policy: SecretPolicy,
    revoke_before: datetime | None,
) -> list[Credential]:
    """Return the credentials that may be removed: ours, not current, and older than the overlap, as the current one is.

    A revoked one is removable sooner: as soon as a younger one is current, and its own run cannot publish it any more.
    `now` was read before `current`, and `current` before `credentials`. While the current secret is not among the
    credentials, or has ended, nothing is removable: that is drift, and the others may be all that works.
    """
    listed = list(credentials)
    known = next((each for each in listed if each.key_id == current.key_id), None)
    if known is None or (known.expires_at or now) <= now or (current.expires_at or now) <= now:
        return []
    others = [each for each in listed if is_labelled(each) and each is not known]
    overlapped = now - current.created_at > policy.overlap
    return [
        each
        for each in others
        if (overlapped and now - each.minted_at > policy.overlap)
        or (
            is_revoked(each, revoke_before)
            and each.minted_at <= known.minted_at
            and now >= publishable_until(each, policy)
        )
    ]


def is_labelled(credential: Credential) -> bool:
    """Whether this service minted the credential."""
    return credential.label.startswith(CREDENTIAL_LABEL_PREFIX)


def is_revoked(credential: Credential, revoke_before: datetime | None) -> bool:
    """Whether somebody asked that the credential stops working at once."""
    return revoke_before is not None and credential.minted_at < revoke_before


def publishable_until(credential: Credential, policy: SecretPolicy) -> datetime:
    """Return the time from which no run can publish the credential any more, with a minute for clocks that differ."""
    return policy.publishable_until(credential.minted_at)


def rotate_before_of(
    registration_id: str, published_at: datetime, expires_at: datetime, policy: SecretPolicy
) -> timedelta:
    """Return how long before its end this registration's secret is replaced.

    Spread by up to a tenth of the time until then, so that what was registered together does not rotate together;
    never so much that a secret would be replaced before the one before it could be removed.
    """
    until_due = expires_at - published_at - policy.rotate_before
    room = max(timedelta(0), min(until_due / SPREAD, until_due - policy.overlap))
    share = int.from_bytes(hashlib.sha256(registration_id.encode()).digest()[:4]) / 2**32
    return policy.rotate_before + room * share


def secret_is_due(
    registration: Registration, current: CurrentSecret, now: datetime, policy: SecretPolicy, *, scheduled: bool = True
) -> bool:
    """Tell whether this registration's secret is due: because somebody asked, or, if `scheduled`, because it ends."""
    rotate_before = None
    if scheduled:
        end = current.expires_at or current.created_at
        rotate_before = rotate_before_of(registration.id, current.created_at, end, policy)
    return is_due(current, now, rotate_before, registration.replace_before, registration.revoke_before)


def is_good(run: Run, current: CurrentSecret) -> bool:
    """Whether the vault's current secret is one of this very application, and not due."""
    now, policy = run.services.clock.now(), run.services.secrets
    return belongs_to(current, run.registration) and not secret_is_due(run.registration, current, now, policy)


def clean_up_time(moments: Iterable[datetime], policy: SecretPolicy) -> datetime:
    """Return when the removal rule first allows what has to have been there since all of these moments.

    The rule asks for more than the overlap, and Key Vault tells times to the second.
    """
    return max(moments) + policy.overlap + timedelta(seconds=2)


def rotates(registration: Registration) -> bool:
    """Whether its secret is replaced by the schedule: a service client's always, another's when it asked for that."""
    return bool(getattr(registration.request, "auto_rotate", True)) and registration.holds_secret


def rotates_at(registration: Registration, policy: SecretPolicy) -> datetime | None:
    """Return when its secret is replaced by the schedule; None for one that is not."""
    secret = registration.secret
    if secret is None or registration.status is not Status.ACTIVE or not rotates(registration):
        return None
    if secret.expires_at is None or secret.published_at is None:
        return secret.published_at
    return secret.expires_at - rotate_before_of(registration.id, secret.published_at, secret.expires_at, policy)


def rotation_id(registration: Registration, replaced: CurrentSecret) -> str:
    """Return the id of the operation that replaces this secret: two checks that find it due open the same one."""
    return str(uuid.uuid5(_ROTATIONS, f"{registration.id}\n{replaced.key_id}"))


# --- the steps ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class View:
    """The vault's current secret and the application, read in this order after the clock; each may be missing."""

    now: datetime
    current: CurrentSecret | None
    application: Application | None

    @property
    def live(self) -> list[Credential]:
        """The credentials that have not ended, anybody's."""
        listed = self.application.credentials if self.application else ()
        return [each for each in listed if each.expires_at is None or each.expires_at > self.now]


def view(run: Run) -> View:
    """Return what the vault and Entra say now. The order matters: a removal never uses a later clock."""
    registration, now = run.registration, run.services.clock.now()
    current = run.services.vault.current(registration.secret_name) if registration.holds_secret else None
    return View(now, current, _application(run))


def _application(run: Run) -> Application | None:
    assert run.registration.application_object_id is not None
    return run.services.directory.read_application(run.registration.application_object_id, owners=run.compares)


def ensure_room(run: Run) -> None:
    """Afterwards the application is known to be ours and has room for the secret that is still to be minted, if any is.

    Safe to repeat because it removes only what the removal rule allows, and what the operation itself has minted takes
    no room from it: a secret that was published needs none, and those that were lost on the way are counted apart.
    """
    now, current = run.services.clock.now(), current_secret(run.services, run.registration)
    if current is not None and is_good(run, current):
        return
    seen = View(now, current, _application(run))
    check_ours(run, seen.application)
    replaced = replaced_credentials(run, seen)
    stay = {each.key_id for each in used_still(run, seen, replaced)}
    replaced = [each for each in replaced if each.key_id not in stay]
    remove(run, seen, replaced)
    left = [each for each in seen.live if each not in replaced]
    own = [each for each in left if each.label.startswith(run.registration.credential_label)]
    is_full = max(len(own), len(left) - len(own)) >= MOST_CREDENTIALS
    if is_full and not _has_to_be_revoked(run.registration, current):
        raise NeedsOperator(
            "too-many-credentials",
            f"The application has {MOST_CREDENTIALS} live secrets or more, and none may be removed yet.",
            remedy="Remove those that nobody uses: list them with az ad app credential list. Then rotate again.",
        )


def _has_to_be_revoked(registration: Registration, current: CurrentSecret | None) -> bool:
    bound = registration.revoke_before
    return bound is not None and (current is None or current.minted_at < bound)


def ensure_revoked(run: Run) -> None:
    """Afterwards no secret works that was minted before somebody asked for its end.

    Safe to repeat because a removal of what is gone is no error. It waits until no run can publish a revoked one.
    """
    revoke_before = run.registration.revoke_before
    if revoke_before is None:
        return
    seen = view(run)
    application = check_ours(run, seen.application)
    if seen.current is not None and not lists(application, seen.current):
        if seen.now - seen.current.created_at > REPLICATED_AFTER:
            raise NeedsOperator(
                "new-secret-lost",
                "Entra does not list the secret that was made in place of the revoked ones: it may have lost it.",
                remedy="Rotate again with revokePrevious; if a thief uses the old secret, remove it in Entra now.",
            )
        raise TryAgain(
            "revocation-waits",
            "Entra does not list the new secret yet, so its list may lack a revoked one too.",
            remedy="Nothing to do; if it lasts, see whether the vault's current secret is among the application's.",
        )
    removed = remove(run, seen, replaced_credentials(run, seen))
    left = [each for each in seen.live if is_revoked(each, revoke_before) and is_labelled(each) and each not in removed]
    if left:
        wait = max(publishable_until(each, run.services.secrets) for each in left) - run.services.clock.now()
        raise TryAgain(
            "revocation-waits",
            "A revoked secret may still be published by a run under way; it is removed as soon as it cannot.",
            remedy="Nothing to do; if it lasts, see whether the vault's current secret is among the application's.",
            retry_after=max(1.0, wait.total_seconds()),
        )


def replaced_credentials(run: Run, seen: View) -> list[Credential]:
    """Return what the removal rule allows to remove."""
    registration, current, application = run.registration, seen.current, seen.application
    if current is None or application is None or not belongs_to(current, registration):
        return []
    return removable(application.credentials, current, seen.now, run.services.secrets, registration.revoke_before)


def used_still(run: Run, seen: View, replaced: Iterable[Credential]) -> tuple[CredentialUse, ...]:
    """Return which of what may be removed stays, because it is used still.

    Nothing that was revoked, and nothing where the application has no room but for the secret in use and a next one.
    """
    if seen.current is None or len(seen.live) >= MOST_CREDENTIALS - 1:
        return ()
    bound = run.registration.revoke_before
    candidates = [each for each in replaced if not is_revoked(each, bound)]
    return tuple(spared(run, candidates, seen.current.created_at, seen.now))


def remove(run: Run, seen: View, credentials: Iterable[Credential]) -> list[Credential]:
    """Remove them, and return those that are gone for certain; what another delivery removed is gone.

    Of a young credential Entra may not know yet what it has just listed: another replica answers.
    """
    registration, removed = run.registration, []
    assert registration.application_object_id is not None
    for credential in credentials:
        try:
            run.services.directory.remove_secret(registration.application_object_id, credential.key_id)
        except CredentialNotFound:
            if seen.now - credential.minted_at < REPLICATED_AFTER:
                continue
        removed.append(credential)
        run.removed.append(credential.key_id)
        telemetry.measure("registrar.credentials.removed")
        logger.info("registration %s: removed credential %s", registration.id, credential.key_id)
    return removed


def lists(application: Application, current: CurrentSecret | None) -> bool:
    """Whether Entra lists the vault's current secret among the application's."""
    return current is not None and any(each.key_id == current.key_id for each in application.credentials)


def is_ours(registration: Registration, application: Application) -> bool:
    """Whether the application carries this registration's mark."""
    return is_marked(registration, application.tags, application.sign_in_audience)


def check_ours(run: Run, application: Application | None) -> Application:
    """Return the application; raise NeedsOperator where it is gone or does not carry our mark.

    Of a young one that cannot be read this replica may not have heard: that passes, and TryAgain is raised.
    """
    registration = run.registration
    if application is None and run.services.clock.now() - registration.created_at < REPLICATED_AFTER:
        raise TryAgain(
            "not-replicated-yet",
            "Entra does not know the object, or not yet.",
            remedy="Look for the application among the deleted ones, restore it, and send this again.",
        )
    if application is None:
        raise NeedsOperator(
            "application-missing",
            "The application is not in Entra any more, or cannot be read.",
            remedy="Look for it among the deleted applications and restore it; or delete this registration.",
        )
    if not is_ours(registration, application):
        raise NeedsOperator(
            "application-not-ours",
            "An application has our unique name, but not our tags or not our audience.",
            remedy="Find out who changed or made it; restore its tags, or delete it for good, and retry.",
        )
    return application
