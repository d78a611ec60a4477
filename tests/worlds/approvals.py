"""Requests and changes that wait for an approval, and how somebody asks for them and decides about them."""

import json
from typing import Any

from provisioning import trail
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.approval import LAPSES_AFTER, Approval
from provisioning.domain.callers import Caller, CallerKind, Role
from provisioning.domain.events import What, wished
from provisioning.domain.intake import fingerprint, parse
from provisioning.domain.operation import Operation, OperationStatus, OperationType, new_id
from provisioning.domain.registration import Registration, Status, registration_id
from provisioning.flow.plan import STALLED_AFTER, put_due
from provisioning.ports import Services
from tests.worlds.request_bodies import OTHER_OWNER, OWNER
from tests.worlds.signed_in import ALICE
from tests.worlds.world import World

REQUESTER = Caller(
    "a5ced000-0000-4000-8000-000000000008", CallerKind.USER, frozenset(Role), frozenset({OWNER, OTHER_OWNER})
)
APPROVER = Caller("a9900000-0000-4000-8000-000000000009", CallerKind.USER, frozenset({Role.APPROVE}), name="Approver")


def awaiting(world: World, body: dict[str, Any], resource_owner: str | None = None) -> Registration:
    """Have a request of Alice's wait for an approval."""
    request, now = parse(body), world.clock.now()
    row = Registration(
        registration_id(request.owner, ALICE.object_id, None),
        ALICE.object_id,
        request,
        fingerprint(request),
        Status.ACCEPTED,
        Operation(new_id(), OperationType.PROVISION, OperationStatus.PENDING, now),
        now,
        now,
        policy_version="1",
    )
    approval = Approval(
        row.asked_digest,
        ("rule",),
        now + LAPSES_AFTER,
        resource_owner,
        operation_id=row.operation.id,
        asked_by=ALICE.object_id,
    )
    row = row.awaiting(approval, now + STALLED_AFTER)
    world.registry.put_owned(request.owner, row.id)
    put_due(world.services, row)
    stored = world.registry.insert(row, wished(trail.current(), What.REQUESTED, None, row))
    assert stored is not None
    return stored


def decided(world: World, row: Registration, what: str) -> Answer:
    """Have the approver decide about what the registration asks for now, whoever else may call in this world."""
    body = {"digest": world.row(row.id).asked_digest, "reason": "Because."}
    return asked_as(APPROVER, world, f"{what}_registration", body, row.id)


def asked_as(caller: Caller, world: World, name: str, body: object, registration_id: str, **headers: str) -> Answer:
    """Have a person call who has signed in, whoever else may call in this world."""
    handle = web.CALLS[name]

    def as_person(services: Services, _: Caller, call: Call) -> Answer:
        return handle(services, caller, call)

    as_person.__name__ = handle.__name__
    path = f"/api/registrations/{registration_id}"
    sent = {"content-type": "application/json", **headers}
    call = Call(path, sent, body=json.dumps(body).encode(), registration_id=registration_id, method="POST")
    return world.call(as_person, call)
