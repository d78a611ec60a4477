"""Has a client have on a managed FHIR service the roles of Azure that were agreed to, and by this service no other.

Which assignment was made by this service follows from its name, so that one which somebody made by hand is as good, is
never taken back, and is told. Nothing here fails a registration: what cannot be given waits.
"""

from functools import partial

from provisioning import trail
from provisioning.domain.azure_roles import DATA_ROLES_BY_ID, SERVICE_PRINCIPAL, RoleAssignment, data_permissions
from provisioning.domain.errors import NeedsOperator, PrincipalNotFound, TryAgain
from provisioning.domain.names import compared
from provisioning.domain.permissions import data_roles_of
from provisioning.domain.registration import Registration
from provisioning.flow.assign import refusal_of
from provisioning.flow.run import Run
from provisioning.ports import AzureRoles, Services

logger = trail.logger(__name__)


def roles_on_data(services: Services, row: Registration) -> AzureRoles | None:
    """Return who has which role on the client's FHIR service; None where this service gives none there."""
    url = row.resource.fhir_service if row.resource is not None else None
    resource_id = services.fhir_services.get(compared(url)) if url is not None else None
    return services.data_roles[resource_id] if resource_id is not None else None


def is_data_role(permission_id: str) -> bool:
    """Whether this is the id of a data role, and not of a scope or an app role."""
    return permission_id in DATA_ROLES_BY_ID


def bring_about(run: Run, roles: AzureRoles) -> dict[str, str]:
    """Have Azure be as was agreed; return the ids of the roles of which that was refused, and the codes.

    One write for each role; before anything was ever withdrawn or changed, nothing has to be looked for.
    """
    row = run.registration
    if row.service_principal_id is None:
        return {}
    wanted = {each.id for each in row.agreed} & DATA_ROLES_BY_ID.keys()
    ours = _known(row) | _found(run, roles, row.service_principal_id, wanted)
    looks, refused = row.grant_number > 1 or run.compares, dict[str, str]()
    for role_id in sorted(ours if looks else wanted):
        assignment = RoleAssignment(DATA_ROLES_BY_ID[role_id], roles.resource_id, row.service_principal_id)
        if role_id in wanted:
            assign = partial(roles.assign, assignment, SERVICE_PRINCIPAL)
            code = refusal_of(run.services.clock, assign, (TryAgain, PrincipalNotFound))
        else:
            code = _taken_back(run, roles, assignment)
        refused |= {role_id: code} if code is not None else {}
    return refused


def ensure_no_data_roles(run: Run) -> None:
    """Afterwards a client that has ended has no data role by this service, as far as this service may take it.

    Safe to repeat because a second time nothing is there. Its service principal is gone, but might be restored.
    """
    row, roles = run.registration, roles_on_data(run.services, run.registration)
    if roles is None or row.service_principal_id is None or row.agreement is None:
        return
    for role_id in sorted(_known(row)):
        try:
            roles.take_back(RoleAssignment(DATA_ROLES_BY_ID[role_id], roles.resource_id, row.service_principal_id))
        except NeedsOperator as error:
            logger.warning("registration %s: a data role is left: %s", row.id, error.code)


def _known(row: Registration) -> set[str]:
    """Return the ids of the data roles that it ever asked for, as far as the row knows."""
    asked = data_permissions(data_roles_of(row.request))  # by a change too, of which nobody has looked at the rest yet
    ids = {each.id for each in (*asked, *row.declared)} | {each.id for each in row.grants} | {*row.former_permissions}
    return ids & DATA_ROLES_BY_ID.keys()


def _found(run: Run, roles: AzureRoles, principal_id: str, wanted: set[str]) -> set[str]:
    """Return the ids of the roles that this service gave the client; learn which others did that nobody agreed to."""
    if not run.compares:
        return set()
    try:
        held = roles.held(principal_id)
    except (NeedsOperator, TryAgain) as error:
        logger.warning("registration %s: its data roles are not compared: %s", run.registration.id, error.code)
        return set()
    known = {name: DATA_ROLES_BY_ID[role_id] for name, role_id in held.items() if is_data_role(role_id)}
    made = {name: RoleAssignment(role, roles.resource_id, principal_id).name == name for name, role in known.items()}
    by_hand = [role.id for name, role in known.items() if not made[name] and role.id not in wanted]
    run.roles_by_hand = (*(each for each in run.roles_by_hand if not is_data_role(each)), *by_hand)
    return {role.id for name, role in known.items() if made[name]}


def _taken_back(run: Run, roles: AzureRoles, assignment: RoleAssignment) -> str | None:
    try:
        roles.take_back(assignment)
    except (NeedsOperator, TryAgain) as error:
        logger.warning("registration %s: a data role is not taken back: %s", run.registration.id, error.code)
        return error.code
    return None
