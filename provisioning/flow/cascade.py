"""How a resource ends that clients use: those go first that are deleted with it, and for another one it stays.

Who may delete which of them was judged when it was asked for, in `api/delete.py`.
"""

from provisioning import trail
from provisioning.domain.errors import NeedsOperator, TryAgain, UnreadableRow
from provisioning.domain.events import What, wished
from provisioning.domain.grants import Cascaded
from provisioning.domain.intake import ResourceApplicationRequest
from provisioning.domain.messages import REGISTRATIONS_QUEUE, operation_message
from provisioning.domain.operation import OperationType, new_id
from provisioning.domain.registration import Registration, Status
from provisioning.flow.clients import live_clients, rows_may_follow
from provisioning.flow.plan import STALLED_AFTER, put_due
from provisioning.flow.run import Run
from provisioning.ports import Services

logger = trail.logger(__name__)


def ensure_clients_gone(run: Run) -> None:
    """Afterwards no live client uses the resource, and those are deleted that go with it.

    Safe to repeat because a client that is being deleted is left to that. The row said that the resource is being
    deleted before this looks, so that nobody becomes its client afterwards. While one is there that does not go with
    it, nothing is deleted, and the resource stays.
    """
    services, server = run.services, run.registration
    if not isinstance(server.request, ResourceApplicationRequest) or server.status is not Status.DELETING:
        return
    if rows_may_follow(services, server):
        raise _remain()
    along = {each.registration_id: each for each in server.cascade}
    for client in live_clients(services, server):
        if client.id not in along or client.request.owner != along[client.id].owner:
            logger.warning("registration %s: client %s uses the resource", server.id, client.id)
            raise in_use()
    there = [each for each in server.cascade if _is_there(services, server, each)]
    if there:
        raise _remain()


def _is_there(services: Services, server: Registration, along: Cascaded) -> bool:
    """Have a client that goes with its resource be deleted; return whether that has not ended yet.

    One that is being provisioned is waited for: it fails, or can be deleted then.
    """
    client, now = services.registry.get(along.registration_id), services.clock.now()
    if client is None or client.status is Status.DELETED:
        return False
    if client.ending or (client.status is Status.ACCEPTED and not client.awaits_approval):
        return True
    if client.request.owner != along.owner:  # since it was looked at above
        raise in_use()
    if not client.understood:
        raise UnreadableRow
    trace_id = server.operation.trace_id
    begun = client.begun(new_id(), OperationType.DELETE, now, now + STALLED_AFTER, trace_id)
    put_due(services, begun)
    stored = services.registry.replace(begun, wished(trail.current(), What.DELETION_REQUESTED, client, begun))
    logger.info("registration %s: is deleted with its resource %s", client.id, server.id)
    services.queues.send(REGISTRATIONS_QUEUE, operation_message(stored))
    return True


def _remain() -> TryAgain:
    return TryAgain(
        "clients-remain",
        "Clients of the resource are still being deleted, or on their way.",
        remedy="Nothing, if it passes; if it lasts, see what holds up their deletion: GET /registrations/{id}/clients.",
    )


def in_use() -> NeedsOperator:
    """Return the error of a resource that cannot be deleted while clients use it."""
    return NeedsOperator(
        "resource-in-use",
        "Live clients use the resource.",
        remedy="See GET /registrations/{id}/clients, and have them deleted first; or DELETE it with cascade=true.",
    )
