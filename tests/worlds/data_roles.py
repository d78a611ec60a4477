"""Clients that ask for data roles of a managed FHIR service, and what they have there."""

import json
from typing import Any

from dev.emulator.constants import FHIR_SERVICE_ID, REGISTRAR_OBJECT_ID
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.azure_roles import DATA_ROLES, DATA_ROLES_BY_ID, data_delegation
from provisioning.domain.callers import Caller
from tests.worlds.approvals import APPROVER, REQUESTER, asked_as
from tests.worlds.request_bodies import MANAGED, a_service_client
from tests.worlds.steps import id_of
from tests.worlds.world import World

READER, WRITER = "FHIR Data Reader", "FHIR Data Writer"
GIVING = {"FHIR_SERVICE_IDS": f"{MANAGED}={FHIR_SERVICE_ID}"}


def a_giving_world(*, delegated: bool = True, **settings: str) -> World:
    """A world in which this service may give clients the data roles of one managed FHIR service."""
    world = World(settings={**GIVING, **settings})
    if delegated:
        condition = data_delegation(REGISTRAR_OBJECT_ID)
        world.emulator.role_assignments.delegate(REGISTRAR_OBJECT_ID, FHIR_SERVICE_ID, condition)
    return world


def a_reader(*roles: str, **fields: Any) -> dict[str, Any]:
    """A valid request for a service client of that service."""
    return a_service_client(**{"resource": MANAGED, "appRoles": [], "dataRoles": list(roles or (READER,))} | fields)


def asked(world: World, *roles: str, caller: Caller = REQUESTER, **fields: Any) -> str:
    """Have a client be asked for; return its id."""
    return id_of(asked_as(caller, world, "submit_registration", a_reader(*roles, **fields), ""))


def says(world: World, what: str, registration_id: str, caller: Caller = APPROVER) -> Answer:
    """Have somebody decide about what the registration asks for now, and the queue carry it out."""
    body = {"digest": world.row(registration_id).asked_digest, "reason": "Because."}
    answer = asked_as(caller, world, f"{what}_registration", body, registration_id)
    world.deliver()
    return answer


def given(world: World, *roles: str, **fields: Any) -> str:
    """Have a client be asked for and approved; return its id."""
    registration_id = asked(world, *roles, **fields)
    world.deliver()
    answer = says(world, "approve", registration_id)
    assert answer.status == 202, answer.body
    return registration_id


def changed(world: World, registration_id: str, body: Any, caller: Caller = REQUESTER) -> Answer:
    """Have somebody change the registration, and the queue carry it out."""
    answer = asked_as(caller, world, "change_registration", body, registration_id)
    world.deliver()
    return answer


def revoked(world: World, registration_id: str, caller: Caller = APPROVER) -> Answer:
    """Have somebody take back what was agreed to, and the queue carry it out."""
    answer = revocation(world, registration_id, caller)
    world.deliver()
    return answer


def revocation(world: World, registration_id: str, caller: Caller = APPROVER) -> Answer:
    """Have somebody take back what was agreed to."""
    handle = web.CALLS["revoke_registration"]
    path = f"/api/registrations/{registration_id}/revoke"
    call = Call(path, {}, registration_id=registration_id, method="POST")

    def as_person(services: Any, _: Caller, about: Call) -> Answer:
        return handle(services, caller, about)

    as_person.__name__ = handle.__name__
    return world.call(as_person, call)


def held(world: World, registration_id: str) -> list[str]:
    """The data roles that the client has in Azure, by whomever."""
    principal = world.row(registration_id).service_principal_id
    assigned = world.emulator.role_assignments.all.values()
    return sorted(DATA_ROLES_BY_ID[each.role_id].name for each in assigned if each.principal_id == principal)


def told(world: World, registration_id: str) -> list[tuple[str, str, str | None]]:
    """What the registration says of its grants."""
    shown = json.loads(json.dumps(world.get(registration_id)["grants"]))
    return [(each["permission"], each["state"], each["waitsFor"]) for each in shown]


def gives_by_hand(world: World, registration_id: str, role: str) -> None:
    """Have an Owner of the service give the client a role."""
    principal = world.row(registration_id).service_principal_id or ""
    world.emulator.role_assignments.give(principal, FHIR_SERVICE_ID, DATA_ROLES[role].id)
