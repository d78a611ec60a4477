"""Reads who uses what, for a page of registrations at once, and remembers it on each; the reports never hold up a run.

What the reports lack shows nothing: nothing ends sooner, and nothing is called unused, because a report says nothing.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

from provisioning import trail
from provisioning.domain.directory import Credential
from provisioning.domain.errors import NeedsOperator, ProvisioningError, TryAgain
from provisioning.domain.notices import of_secret_in_use
from provisioning.domain.operation import Failure
from provisioning.domain.registration import Registration, Status
from provisioning.domain.usage import (
    NOT_REPORTED,
    UNUSED_AFTER,
    CredentialUse,
    Observed,
    Own,
    Usage,
    is_unused,
    learned,
)
from provisioning.flow.notify import announce
from provisioning.flow.patience import Patience
from provisioning.flow.rotate import View, used_still
from provisioning.flow.run import Run
from provisioning.ports import Services, SignIns

logger = trail.logger(__name__)

PATIENCE: Final = timedelta(minutes=1)
_UNUSED: Final = Failure(
    "registration-unused",
    f"Nobody has signed in with it, or to it, for {UNUSED_AFTER.days} days or more.",
    "If nobody needs it any more, delete it: DELETE /registrations/{id}. It is never removed for that by itself.",
)
UNUSED: Final = _UNUSED.code


def observe(services: Services, rows: Iterable[Registration]) -> Mapping[str, Observed]:
    """Return what the reports say of the active ones of these registrations, by their ids; nothing where they are off.

    Where they cannot be read, why not: nothing is raised.
    """
    if services.sign_ins is None:
        return {}
    ids = {each.client_id: each.id for each in rows if each.client_id is not None and each.status is Status.ACTIVE}
    found = _waited_for(services, services.sign_ins, ids) if ids else {}
    if isinstance(found, ProvisioningError):
        logger.warning("sign-ins: what is used is not known now: %s", found.code)
        return dict.fromkeys(ids.values(), Observed(unknown=found.code))
    return {each: found.get(client_id, Observed(unknown=NOT_REPORTED)) for client_id, each in ids.items()}


def _waited_for(
    services: Services, reports: SignIns, client_ids: Collection[str]
) -> Mapping[str, Observed] | ProvisioningError:
    try:
        return Patience(services.clock, PATIENCE).through(lambda: _reported(reports, client_ids))
    except TryAgain as error:
        return error


def _reported(reports: SignIns, client_ids: Collection[str]) -> Mapping[str, Observed] | ProvisioningError:
    """Return what the reports say, or why they say nothing; that Graph wants fewer requests is raised, for that passes.

    It lets few through: five in ten seconds. What was read by then is not read again.
    """
    try:
        return reports.of_clients(client_ids)
    except TryAgain as error:
        if error.code == "graph-throttled":
            raise
        return error
    except NeedsOperator as error:
        return error


def learn_usage(run: Run, seen: View, living: Sequence[Credential], observed: Observed | None) -> None:
    """Have the row say when it and its living credentials were last used, if the reports were read just now."""
    row, application = run.registration, seen.application
    if application is None:
        return
    key_ids = (*(each.key_id for each in living), *application.certificate_ids)
    if observed is not None:
        run.learn(usage=learned(row.usage or Usage(), observed, Own(row.secret, row.grants), key_ids))
    elif row.usage is not None:
        run.learn(usage=row.usage.among(key_ids))


def learn_spared(run: Run, seen: View, replaced: Iterable[Credential]) -> Mapping[str, CredentialUse]:
    """Have the row say which of what may be removed stays because it is used, and return that by key id."""
    spared = used_still(run, seen, replaced)
    if spared:
        run.learn(usage=(run.registration.usage or Usage()).sparing(spared))
    return {each.key_id: each for each in spared}


def announce_use(run: Run, before: Registration, now: datetime) -> list[str]:
    """Tell of each replaced secret that stays because it is used, once; return the messages about that."""
    row, notices = run.registration, list[str]()
    told = {each.key_id for each in before.usage.kept} if before.usage is not None else set[str]()
    for each in row.usage.kept if row.usage is not None else ():
        if each.key_id not in told:
            logger.warning("registration %s: a replaced secret is used still: %s", row.id, each.key_id)
            notices += announce(run.services, of_secret_in_use(row, each, now), row)
    return notices


def found_unused(run: Run, observed: Observed | None, now: datetime) -> tuple[Failure, ...]:
    """Return the finding that nobody uses it, where the reports show that; what they do not show is as it was.

    A registration that is younger is not called so, and nothing is removed for it.
    """
    row = run.registration
    if run.services.sign_ins is None or row.created_at > now - UNUSED_AFTER:
        return ()
    stood = any(each.code == UNUSED for each in row.findings)
    return (_UNUSED,) if is_unused(row.usage or Usage(), observed or Observed(), now, stood=stood) else ()
