"""Requests that wait for an approval, as a POST leaves them, and how somebody decides about them."""

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
from provisioning.flow.plan import put_due
from provisioning.ports import Services
from tests.worlds.signed_in import ALICE
from tests.worlds.world import World

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
    row = row.awaiting(Approval(row.asked_digest, ("rule",), now + LAPSES_AFTER, resource_owner))
    world.registry.put_owned(request.owner, row.id)
    put_due(world.services, row)
    stored = world.registry.insert(row, wished(trail.current(), What.REQUESTED, None, row))
    assert stored is not None
    return stored


def decided(world: World, row: Registration, what: str) -> Answer:
    """Have the approver decide, whoever else may call in this world."""
    handle = web.CALLS[f"{what}_registration"]

    def as_approver(services: Services, _: Caller, call: Call) -> Answer:
        return handle(services, APPROVER, call)

    as_approver.__name__ = handle.__name__
    body = json.dumps({"digest": row.asked_digest, "reason": "Because."}).encode()
    headers = {"content-type": "application/json"}
    path = f"/api/registrations/{row.id}/{what}"
    return world.call(as_approver, Call(path, headers, body=body, registration_id=row.id, method="POST"))
