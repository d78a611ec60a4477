"""How a wish for a registration to end is accepted, and what of a resource's clients has to end with it."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import datetime
from itertools import islice
from typing import Final

from provisioning.api.alter import altered_row
from provisioning.api.calls import Wish
from provisioning.api.submit import Accepted
from provisioning.domain.callers import Caller
from provisioning.domain.errors import Fault, RequestRejected
from provisioning.domain.events import What
from provisioning.domain.grants import Cascaded
from provisioning.domain.intake import ResourceApplicationRequest
from provisioning.domain.operation import OperationType, new_id
from provisioning.domain.registration import Registration, Status
from provisioning.flow.cascade import in_use
from provisioning.flow.clients import live_clients
from provisioning.flow.plan import STALLED_AFTER
from provisioning.ports import Services

# Each is read, and remembered with the resource.
MOST_CASCADED: Final = 200
_MOST_NAMED: Final = 20


def delete(services: Services, wish: Wish) -> Accepted:
    """Return the registration with its deletion pending, or done; a pending operation is superseded.

    With `cascade` the live clients of a resource are deleted first, each of which the caller may delete. Raises
    RequestRejected (409) while it is `accepted`, unless it waits for an approval: nothing was sent for that; and where
    live clients use it that are not deleted with it.
    """
    clients: Sequence[Registration] = ()

    def ended(row: Registration, now: datetime) -> Registration:
        nonlocal clients
        if row.status is Status.ACCEPTED and not row.awaits_approval:
            raise RequestRejected(
                409, "registration-in-progress", "It is being provisioned. Delete it once it is active or failed."
            )
        if row.status is Status.DELETED or (row.ending and not wish.cascade):
            return row
        clients = _checked(services, row, wish)
        along = tuple(Cascaded(each.id, each.request.owner) for each in clients)
        if row.ending:
            return _joined(row, along, now)
        return replace(row.begun(new_id(), OperationType.DELETE, now, now + STALLED_AFTER), cascade=along)

    return replace(altered_row(services, wish, What.DELETION_REQUESTED, ended), clients=tuple(clients))


def _joined(row: Registration, along: Sequence[Cascaded], now: datetime) -> Registration:
    """Return a resource that is being deleted with those deleted with it too that came between."""
    ids = {each.registration_id for each in along}
    cascade = (*(each for each in row.cascade if each.registration_id not in ids), *along)
    if set(cascade) == set(row.cascade):
        return row
    return replace(row, cascade=cascade, due_at=now + STALLED_AFTER, updated_at=now)


def _checked(services: Services, row: Registration, wish: Wish) -> Sequence[Registration]:
    """Return the clients that are deleted with a resource; raise RequestRejected where they may not be, or not now."""
    if not isinstance(row.request, ResourceApplicationRequest):
        return ()
    clients = list(islice(live_clients(services, row), MOST_CASCADED + 1))
    others = [each for each in clients if not wish.caller.may_change(each.request.owner)]
    if clients and (not wish.cascade or others or len(clients) > MOST_CASCADED):
        error = in_use()
        faults = list(_faults(clients, len(others), wish.caller))
        raise RequestRejected(409, error.code, f"{error.message} {error.remedy}", faults)
    return clients


def _faults(clients: Sequence[Registration], others: int, caller: Caller) -> Iterator[Fault]:
    """Yield how many use it, and those that the caller may know of; the owner of a resource may list all of them."""
    number = str(len(clients)) if len(clients) <= MOST_CASCADED else f"More than {MOST_CASCADED}"
    what = "client uses" if len(clients) == 1 else "clients use"
    message = f"{number} live {what} the resource."
    if others:
        message += f" {others} of them only their own owners may delete: ask them to."
    elif len(clients) > MOST_CASCADED:
        message += " So many are not deleted by one call: delete some of them first."
    else:
        message += " Send cascade=true to have them deleted with it."
    code = in_use().code
    yield Fault("?cascade", code, message)
    seen = [each for each in clients if each.readable_by(caller)]
    for each in seen[:_MOST_NAMED]:
        yield Fault("?cascade", code, f"Registration {each.id} is one of them.")
