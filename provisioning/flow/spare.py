"""Spares replaced secrets that somebody still uses: they go on working for longer than the overlap, up to a hard limit.

Evidence has one direction. What is not known to be used goes when it would go, whatever the reports lack or whoever
cannot be asked; nothing goes sooner for it.
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta
from typing import Final

from provisioning import trail
from provisioning.domain.directory import Credential
from provisioning.domain.errors import ProvisioningError
from provisioning.domain.secrets import SecretPolicy
from provisioning.domain.usage import CredentialUse, Usage, later
from provisioning.flow.run import Run
from provisioning.ports import SignIns

logger = trail.logger(__name__)

# The reports are late by up to a day, and a client that keeps a token, or its copy of the secret, signs in once a day.
STILL_USED_WITHIN: Final = timedelta(days=3)
LOOKED_AT_AGAIN_AFTER: Final = timedelta(days=1)


def spared(run: Run, candidates: Iterable[Credential], replaced_at: datetime, now: datetime) -> Iterator[CredentialUse]:
    """Yield those of the credentials, all of which may be removed, that are used still, and until when they stay.

    A credential of which the row knows a late use already is not asked about.
    """
    usage, reports = run.registration.usage or Usage(), run.services.sign_ins
    if reports is None:
        return
    for each in candidates:
        use, policy = usage.of(each.key_id), run.services.secrets
        kept_until = limit_of(each, use, replaced_at, policy)
        if kept_until <= now:
            continue
        since = max(now - STILL_USED_WITHIN, policy.publishable_until(each.minted_at))  # until then by its own proof
        used_at = use.last_used_at
        if used_at is None or used_at <= since:
            used_at = later(used_at, _asked(reports, run, each.key_id))
        if used_at is not None and used_at > since:
            yield CredentialUse(each.key_id, used_at, kept_until)


def limit_of(credential: Credential, use: CredentialUse, replaced_at: datetime, policy: SecretPolicy) -> datetime:
    """Return until when a replaced credential stays at most: by the limit, by what was said before, by its own end."""
    ends = (replaced_at + policy.overlap_limit, use.kept_until, credential.expires_at)
    return min(each for each in ends if each is not None)


def looked_at_again(use: CredentialUse, now: datetime) -> datetime:
    """Return when it is asked again whether a spared credential is used still."""
    again = now + LOOKED_AT_AGAIN_AFTER
    return min(again, (use.kept_until or again) + timedelta(seconds=1))


def _asked(reports: SignIns, run: Run, key_id: str) -> datetime | None:
    """Return when the reports say that it was used last; None where they say nothing, or cannot be asked now."""
    try:
        return reports.of_credential(key_id)
    except ProvisioningError as error:
        logger.info("registration %s: who uses a replaced secret is not known: %s", run.registration.id, error.code)
        return None
