"""Reads who uses what, for a page of registrations at once, and remembers it on each; the reports never hold up a run.

What the reports lack shows nothing: nothing ends sooner, and nothing is called unused, because a report says nothing.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime

from provisioning import trail
from provisioning.domain.directory import Credential
from provisioning.domain.errors import ProvisioningError
from provisioning.domain.notices import of_secret_in_use
from provisioning.domain.registration import Registration, Status
from provisioning.domain.usage import NOT_REPORTED, CredentialUse, Observed, Own, Usage, learned
from provisioning.flow.notify import announce
from provisioning.flow.rotate import View, used_still
from provisioning.flow.run import Run
from provisioning.ports import Services

logger = trail.logger(__name__)


def observe(services: Services, rows: Iterable[Registration]) -> Mapping[str, Observed]:
    """Return what the reports say of the active ones of these registrations, by their ids; nothing where they are off.

    Where they cannot be read, why not: nothing is raised.
    """
    if services.sign_ins is None:
        return {}
    ids = {each.client_id: each.id for each in rows if each.client_id is not None and each.status is Status.ACTIVE}
    try:
        found = services.sign_ins.of_clients(ids) if ids else {}
    except ProvisioningError as error:
        logger.warning("sign-ins: what is used is not known now: %s", error.code)
        return dict.fromkeys(ids.values(), Observed(unknown=error.code))
    return {each: found.get(client_id, Observed(unknown=NOT_REPORTED)) for client_id, each in ids.items()}


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
