"""Has a client hold what the owner of its resource agreed to, and nothing beyond that by this service.

Scopes are pre-authorised on the resource, and app roles assigned to the client's service principal; data roles are in
`data_roles.py`. What was agreed is on the client's row; the resource's list of clients follows from it. There is no
lease: whoever writes the resource's list to Entra looks afterwards whether another one has joined it meanwhile, and
then writes again.
"""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any, Final

from provisioning import trail
from provisioning.domain.azure_roles import DATA_ROLES
from provisioning.domain.directory import Permission
from provisioning.domain.errors import NeedsOperator, ProvisioningError, TryAgain
from provisioning.domain.grants import APPROVER, PROPAGATION, RESOURCE_OWNER, ClientOf, Grant, GrantState
from provisioning.domain.intake import ResourceApplicationRequest
from provisioning.domain.manifest import TAG
from provisioning.domain.registration import Registration, Status
from provisioning.domain.secrets import MintedSecret
from provisioning.domain.values import dataclass
from provisioning.flow.assign import PASSING
from provisioning.flow.clients import listed_clients
from provisioning.flow.data_roles import bring_about, ensure_no_data_roles, is_data_role, roles_on_data
from provisioning.flow.patience import waits
from provisioning.flow.resolve import holder_of
from provisioning.flow.rotate import is_ours
from provisioning.flow.run import Run
from provisioning.ports import AzureRoles, Services

logger = trail.logger(__name__)

SHOWS_WITHIN: Final = timedelta(seconds=30)
# The host ends a function after ten minutes (`functionTimeout` of host.json): a run that began before somebody took an
# agreement back, and stood still since, can do nothing any more then.
RUNS_END_WITHIN: Final = timedelta(minutes=11)
LOOKED_AT_AGAIN_AFTER: Final = timedelta(minutes=2)
LONGEST_PAUSE: Final = timedelta(days=1)
_TAKES_TIME: Final = frozenset({PROPAGATION, *PASSING, "principal-not-found"})

_Entries = Mapping[str, frozenset[str]]


def ensure_granted(run: Run) -> None:
    """Afterwards the client holds what its resource's owner agreed to, as far as this service may grant it.

    Safe to repeat because Entra lets a role be assigned, and an application pre-authorised, only once. Nothing here
    fails a registration: what cannot be granted is declared, or waits, and is what a person does next.
    """
    may, refused, seen = _where_it_may(run), dict[str, str](), None
    if may.grants_something:
        refused = _brought_about(run, may)
        while run.overtaken():  # somebody agreed, or withdrew that, since the row was read
            refused = _brought_about(run, may)
        if run.ended:  # app roles end with the client's own service principal
            ensure_no_data_roles(run)
    if may.in_entra:
        seen = _proven(run, {each.value for each in run.registration.agreed if each.id not in refused})
    run.learn(grants=_told(run, may, refused, seen))
    now = run.services.clock.now()
    run.learn(grants_due_at=_looked_at_again(run.registration, refused, now) if may.grants_something else None)


def ensure_granted_anew(run: Run) -> None:
    """Afterwards the client holds of what it asks for by a change what is agreed to, and nothing of before.

    Safe to repeat as `ensure_granted` is; a change that is not about permissions has nothing to do here.
    """
    if run.registration.asks_otherwise:
        ensure_granted(run)


def ensure_not_preauthorised(run: Run) -> None:
    """Afterwards the resource of a client that has ended does not pre-authorise it any more.

    Safe to repeat because it has the resource's list in Entra be the one here. App roles end with the client's own
    service principal. What cannot be written now is found by the check of the resource.
    """
    row = run.registration
    if row.agreement is None or row.status is not Status.DELETING or row.resource is None or not row.resource.scopes:
        return
    server = server_of(run.services, row)
    if server is None:
        return
    run.services.registry.put_client(_entry(row, server))
    try:
        preauthorise(run.services, server, afresh=True)
    except NeedsOperator as error:
        logger.warning("registration %s: it is still pre-authorised: %s", row.id, error.code)


def server_of(services: Services, row: Registration) -> Registration | None:
    """Return the live resource application of ours whose client this is; None for a resource of others."""
    resource = row.resource
    if resource is None:
        return None
    known = resource.registration_id
    found = services.registry.get(known) if known is not None else holder_of(services.registry, resource.client_id)
    live = found is not None and found.status is Status.ACTIVE and found.client_id == resource.client_id
    return found if live and found is not None and isinstance(found.request, ResourceApplicationRequest) else None


@dataclass(frozen=True, slots=True)
class _Where:
    """Where this service may grant what a client asks for.

    `server` is its resource, where that is one of ours; `in_entra` whether it is granted what it asks of that. `azure`
    is who has which role on its managed FHIR service.
    """

    server: Registration | None
    in_entra: bool
    azure: AzureRoles | None

    @property
    def grants_something(self) -> bool:
        """Whether there is anything that may be granted."""
        return self.in_entra or self.azure is not None

    def grants(self, permission_id: str) -> bool:
        """Whether this permission may be granted."""
        return self.azure is not None if is_data_role(permission_id) else self.in_entra


def _where_it_may(run: Run) -> _Where:
    services, row = run.services, run.registration
    azure = roles_on_data(services, row)
    server = server_of(services, row) if services.grants or azure is not None else None
    return _Where(server, services.grants and server is not None, azure)


def _entry(row: Registration, server: Registration) -> ClientOf:
    assert row.resource is not None
    scopes = tuple(each.id for each in row.agreed if each in row.resource.scopes)
    return ClientOf(server.id, row.id, row.client_id or "", scopes, row.grant_number)


def _brought_about(run: Run, may: _Where) -> dict[str, str]:
    """Have Entra and Azure be as was agreed; return the ids of what was refused of that, and the codes."""
    row, server = run.registration, may.server
    if server is not None:
        entry = _entry(row, server)
        if run.services.registry.put_client(entry).number > entry.number:
            return {}
    refused = dict[str, str]()
    if server is not None and may.in_entra and row.agreement is not None:
        refused |= _granted_in_entra(run, server)
    if may.azure is not None:
        refused |= bring_about(run, may.azure)
    return refused


def _granted_in_entra(run: Run, server: Registration) -> dict[str, str]:
    row = run.registration
    if row.resource is None or not row.resource.scopes:
        return _assigned(run, server)
    try:
        preauthorise(run.services, server, afresh=row.grant_number > 1)
    except NeedsOperator as error:
        return {each.id: error.code for each in row.declared}
    return {}


# --- scopes ---------------------------------------------------------------------------------------------------------


def preauthorise(services: Services, server: Registration, *, afresh: bool) -> None:
    """Have the resource pre-authorise exactly its clients, each for what was agreed; those of others stay.

    One read and one write. Unless `afresh`, nothing is written where Entra shows it to be so: what a replica shows that
    is late may be as it was before something was withdrawn.
    """
    assert server.application_object_id is not None
    application = services.directory.read_application(server.application_object_id)
    if application is None or not is_ours(server, application):
        raise NeedsOperator(
            "resource-application-lost",
            "The resource's application is not in Entra any more, or does not carry our mark.",
            remedy="See the findings of the resource's registration.",
        )
    has: _Entries = {client_id: frozenset(scopes) for client_id, scopes in application.preauthorized.items()}
    while True:
        wanted = entries(has, listed_clients(services, server.id))
        if wanted == has and not afresh:
            return
        services.directory.update_application(server.application_object_id, {"api": _property(wanted)})
        has, afresh = wanted, False


def entries(has: _Entries, listed: Iterable[ClientOf]) -> _Entries:
    """Return what the resource pre-authorises once its clients are those that are listed."""
    ours = {each.client_id: frozenset(each.scopes) for each in listed}
    others = {client_id: scopes for client_id, scopes in has.items() if client_id not in ours}
    return others | {client_id: scopes for client_id, scopes in ours.items() if scopes}


def _property(wanted: _Entries) -> dict[str, Any]:
    return {
        "preAuthorizedApplications": [
            {"appId": client_id, "delegatedPermissionIds": sorted(scopes)}
            for client_id, scopes in sorted(wanted.items())
        ]
    }


# --- app roles ------------------------------------------------------------------------------------------------------


def _assigned(run: Run, server: Registration) -> dict[str, str]:
    """Have the client hold the roles that were agreed, and of those that it declares no other.

    One write for each role; before anything was ever withdrawn or changed, nothing has to be looked for.
    """
    row, roles = run.registration, run.services.app_roles
    assert row.service_principal_id is not None
    assert server.service_principal_id is not None
    resource_id, mark, refused = server.service_principal_id, f"{TAG}:id={server.id}", dict[str, str]()
    wanted = {each.id for each in row.agreed if not is_data_role(each.id)}
    known = (*(each.id for each in row.declared), *(each.id for each in row.grants), *row.former_permissions)
    ours = {each for each in known if not is_data_role(each)}
    try:
        held = dict(roles.held(row.service_principal_id, resource_id)) if row.grant_number > 1 or run.compares else {}
    except NeedsOperator as error:
        return dict.fromkeys(ours | wanted, error.code)
    run.roles_by_hand = tuple(held.keys() - ours)
    held |= run.assigned  # what this run assigned itself not every replica has heard of
    for role_id in ours | wanted:
        try:
            if role_id in wanted and role_id not in held:
                made = roles.assign(resource_id, row.service_principal_id, role_id, mark)
                run.assigned |= {role_id: made} if made is not None else {}
            elif role_id in held and role_id not in wanted:
                roles.take_back(resource_id, held[role_id], mark)
                run.assigned.pop(role_id, None)
        except NeedsOperator as error:
            refused[role_id] = error.code
    return refused


def _proven(run: Run, wanted: set[str]) -> frozenset[str] | None:
    """Return the roles that a token of the client was seen to carry; None where no token can be had for it.

    What it was seen to carry before is not asked for again.
    """
    row, services = run.registration, run.services
    assert row.resource is not None
    wanted = wanted - DATA_ROLES.keys()
    known = frozenset(each.permission for each in row.grants if each.proven_at is not None)
    if not row.resource.app_roles or not row.holds_secret or row.client_id is None or wanted <= known:
        return known if row.holds_secret else None
    secret = run.published or services.vault.read(row.secret_name)
    return known | _seen(run, secret, wanted) if secret is not None else None


def _seen(run: Run, secret: MintedSecret, wanted: set[str]) -> frozenset[str]:
    row, services = run.registration, run.services
    assert row.client_id is not None
    assert row.resource is not None
    until = services.clock.now() + SHOWS_WITHIN
    for wait in waits():
        seen, pause = frozenset[str](), wait
        try:
            seen = services.proof.roles(row.client_id, secret, row.resource.audience)
        except TryAgain as unanswered:
            pause = max(wait, unanswered.retry_after or 0)
        except ProvisioningError as error:
            logger.warning("registration %s: no token for its resource: %s", row.id, error.code)
        if wanted <= seen or services.clock.now() + timedelta(seconds=pause) > until:
            return seen
        services.clock.sleep(pause)
    raise AssertionError("waits never end")


# --- what is told ---------------------------------------------------------------------------------------------------


def _told(run: Run, may: _Where, refused: Mapping[str, str], seen: frozenset[str] | None) -> tuple[Grant, ...]:
    """Return what became of each permission; one that could not be taken back, or may not be, stays as it was."""
    row, agreed = run.registration, {each.id for each in run.registration.agreed}
    told = [_became(run, may, each, refused, seen) for each in row.declared]
    stuck = {
        each.id: each
        for each in row.grants
        if each.may_be_held
        and (_stays(run, each.id) if not may.grants(each.id) else each.id in refused and each.id not in agreed)
    }
    return (*(stuck.pop(each.id, each) for each in told), *stuck.values())


def _stays(run: Run, permission_id: str) -> bool:
    """Whether what was granted stays so where this service may not grant it now: it was turned off."""
    return is_data_role(permission_id) or not run.services.grants


def _became(run: Run, may: _Where, each: Permission, refused: Mapping[str, str], seen: frozenset[str] | None) -> Grant:
    row = run.registration
    if not may.grants(each.id):
        return _grant(run, each, GrantState.DECLARED)
    if each not in row.agreed:
        return _grant(run, each, GrantState.WAITS, RESOURCE_OWNER if may.server is not None else APPROVER)
    if each.id in refused:
        return _grant(run, each, GrantState.WAITS, refused[each.id])
    if is_data_role(each.id) or seen is None or (row.resource is not None and each in row.resource.scopes):
        return _grant(run, each, GrantState.GRANTED)
    if each.value not in seen:
        return _grant(run, each, GrantState.WAITS, PROPAGATION)
    return _grant(run, each, GrantState.GRANTED, proven_at=run.services.clock.now())


def _grant(
    run: Run, of: Permission, state: GrantState, waits_for: str | None = None, proven_at: datetime | None = None
) -> Grant:
    """Return the grant: in a state that it had it is since then, and proven since then."""
    before = next((each for each in run.registration.grants if each.id == of.id), None)
    if before is None or (before.state, before.waits_for) != (state, waits_for):
        return Grant(of.value, of.id, state, run.services.clock.now(), waits_for, proven_at)
    return replace(before, proven_at=before.proven_at or proven_at)


def _looked_at_again(row: Registration, refused: Mapping[str, str], now: datetime) -> datetime | None:
    """Return when it is looked at again, if it has to be.

    What takes time is looked for later and later, at the latest in a day. What was taken back is compared once more
    when every run has ended that may not know of it.
    """
    agreed = {each.id for each in row.agreed}
    pauses = [now - each.since for each in row.grants if each.waits_for in _TAKES_TIME]
    if row.agreement is not None:  # what could not be taken back
        left = [code for permission, code in refused.items() if permission not in agreed]
        pauses += [now - max(row.agreement.at, row.operation.requested_at) for code in left if code in _TAKES_TIME]
    times = [now + min(max(LOOKED_AT_AGAIN_AFTER, min(pauses)), LONGEST_PAUSE)] if pauses else []
    taken_back = [row.agreement.at] if row.agreement is not None and row.agreement.number > 1 else []
    taken_back += [row.operation.requested_at] if row.agreement is not None and row.asks_otherwise else []
    return min([*times, *(at + RUNS_END_WITHIN for at in taken_back if now < at + RUNS_END_WITHIN)], default=None)
