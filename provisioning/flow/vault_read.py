"""Has the owner of a registration be able to read its secret in the vault, and no owner before.

Which assignment was made by this service follows from its name, so Azure itself says what is left of it. Nothing here
fails a registration: what cannot be given waits, and is what a person does next.
"""

from datetime import datetime
from functools import partial

from provisioning import trail
from provisioning.domain.azure_roles import SECRETS_USER, AzureGrant, RoleAssignment, secret_scope
from provisioning.domain.errors import NeedsOperator, PrincipalNotFound
from provisioning.domain.grants import GrantState
from provisioning.domain.operation import OperationType
from provisioning.domain.registration import Registration
from provisioning.flow.assign import PASSING, refusal_of
from provisioning.flow.grant import LONGEST_PAUSE, LOOKED_AT_AGAIN_AFTER, RUNS_END_WITHIN
from provisioning.flow.run import Run
from provisioning.ports import AzureRoles

logger = trail.logger(__name__)


def ensure_vault_read(run: Run) -> None:
    """Afterwards the owner may read the registration's secret, as far as this service may give that; nobody before.

    Safe to repeat because an assignment has a name that follows from what it is. What is taken from a former owner is
    not put off: a change of the owner ends once it is gone, or cannot be taken.
    """
    row, roles = run.registration, run.services.azure_roles
    if roles is None or not row.holds_secret:
        return
    scope, owner = secret_scope(roles.resource_id, row.secret_name), _owner_of(row)
    looks = run.compares or row.change > 0
    while True:
        stuck = _taken_back(run, roles, scope, owner) if looks else {}
        waits_for = _given(run, roles, scope, owner)
        now = _owner_now(run)
        if now == owner:
            break
        owner, looks = now, True  # somebody changed it, or asked for its end, since the row was read
    _learn(run, scope, owner, waits_for, stuck)


def ensure_vault_read_anew(run: Run) -> None:
    """Afterwards its owner by a change may read the secret, and nobody before.

    Safe to repeat as `ensure_vault_read` is; a change that is not about the owner has nothing to do here.
    """
    if "owner" in run.registration.changed_fields:
        ensure_vault_read(run)


def ensure_nobody_reads(run: Run) -> None:
    """Afterwards nobody has by this service a role on the secret of a registration that has ended.

    Safe to repeat because a second time nothing is there. What cannot be taken back opens nothing: the secret is gone.
    """
    row, roles = run.registration, run.services.azure_roles
    if roles is None or not row.holds_secret or row.was_never_approved:
        return
    stuck = _taken_back(run, roles, secret_scope(roles.resource_id, row.secret_name), None)
    run.learn(azure_grants=tuple(each for each in row.azure_grants if each.principal_id in stuck))


def _owner_now(run: Run) -> str | None:
    row = run.services.registry.get(run.registration.id)
    return None if row is None else _owner_of(row)


def _owner_of(row: Registration) -> str | None:
    """Return who is to read its secret; nobody, once it ends."""
    return None if row.ending else row.request.owner


def _taken_back(run: Run, roles: AzureRoles, scope: str, owner: str | None) -> dict[str, str]:
    """Take the role from everybody to whom this service gave it, but for the owner; return from whom that was refused.

    What is not listed by now, but is on the row, is taken back too.
    """
    known = {each.principal_id for each in run.registration.azure_grants if each.scope == scope}
    stuck = dict[str, str]()
    try:
        known |= roles.made(SECRETS_USER, scope)
    except NeedsOperator as error:
        logger.warning("registration %s: who reads its secret is not known: %s", run.registration.id, error.code)
    for principal in sorted(known - {owner}):
        try:
            roles.take_back(RoleAssignment(SECRETS_USER, scope, principal))
        except NeedsOperator as error:
            logger.warning("registration %s: a former owner reads its secret: %s", run.registration.id, error.code)
            stuck[principal] = error.code
    return stuck


def _given(run: Run, roles: AzureRoles, scope: str, owner: str | None) -> str | None:
    """Give the owner the role; return the code of what stands in the way, if anything does."""
    if owner is None:
        return None
    assignment = RoleAssignment(SECRETS_USER, scope, owner)
    return refusal_of(run.services.clock, partial(_assign, run, roles, assignment))


def _assign(run: Run, roles: AzureRoles, assignment: RoleAssignment) -> None:
    """Have Azure find out what the owner is, and tell it of one that it has not heard of yet, where that is known."""
    try:
        roles.assign(assignment, None)
    except PrincipalNotFound:
        kind = run.services.directory.kind_of(assignment.principal_id)
        if kind is None:
            raise
        roles.assign(assignment, kind)


def _learn(run: Run, scope: str, owner: str | None, waits_for: str | None, stuck: dict[str, str]) -> None:
    """Have the row say what became of it, and when it is looked at again.

    What passes is looked at later and later, at the latest in a day. Once the owner was changed it is compared once
    more when every run has ended that may not know of that.
    """
    row, now = run.registration, run.services.clock.now()
    if owner is None:
        return  # its end takes it all back
    state = GrantState.GRANTED if waits_for is None else GrantState.WAITS
    told = AzureGrant(SECRETS_USER.name, scope, owner, state, now, waits_for)
    same = [each for each in row.azure_grants if _tells(each) == _tells(told)]
    former = [each for each in row.azure_grants if each.principal_id in stuck]
    run.learn(azure_grants=(*(same or [told]), *former))
    times = list[datetime]()
    if waits_for in PASSING:
        since = (same or [told])[0].since
        times.append(now + min(max(LOOKED_AT_AGAIN_AFTER, now - since), LONGEST_PAUSE))
    if row.operation.type is OperationType.CHANGE and "owner" in row.changed_fields:
        ended = row.operation.requested_at + RUNS_END_WITHIN
        times += [ended] if now < ended else []
    run.learn(azure_grants_due_at=min(times, default=None))


def _tells(grant: AzureGrant) -> tuple[object, ...]:
    return grant.role, grant.scope, grant.principal_id, grant.state, grant.waits_for
