"""Who uses a resource of ours: the list of its clients, which names each before its row is written.

A list may name what is no client any more, and is never without one that is. Whoever begins a deletion of the resource
writes that first, and looks at the list then; whoever becomes a client is listed first, and looks at the resource then.
So one of the two sees the other.
"""

from collections.abc import Iterator
from collections.abc import Set as AbstractSet
from datetime import timedelta
from typing import Final

from provisioning.domain.errors import UnreadableRow
from provisioning.domain.grants import ClientOf
from provisioning.domain.intake import ResourceApplicationRequest
from provisioning.domain.names import compared, plain_name
from provisioning.domain.permissions import asked_names, ids_of
from provisioning.domain.registration import REGISTRATION_ID, Registration, Status
from provisioning.flow.resolve import holder_of
from provisioning.flow.run import Run
from provisioning.ports import Services

# An answer to HTTP takes at most 230 s; until long after that the row of a client may still be on its way.
_ROW_MAY_FOLLOW: Final = timedelta(minutes=10)
_PAGE: Final = 1000


def listed_clients(services: Services, resource_id: str) -> Iterator[ClientOf]:
    """Yield the whole list of a resource's clients."""
    token, more = None, True
    while more:
        page = services.registry.clients(resource_id, top=_PAGE, continuation_token=token)
        yield from page.clients
        token = page.continuation_token
        more = token is not None


def resource_of(services: Services, row: Registration) -> str | None:
    """Return the id of the registration of ours that is the resource of a client; None for one of others.

    Of a client that was not carried out yet, that of what its request names.
    """
    if isinstance(row.request, ResourceApplicationRequest):
        return None
    if row.resource is not None:
        if row.resource.registration_id is not None:
            return row.resource.registration_id
        holder = holder_of(services.registry, row.resource.client_id)
        return holder.id if holder is not None else None
    name = plain_name(row.request.resource, services.tenant.id)
    if REGISTRATION_ID.fullmatch(compared(name)):
        return compared(name)
    holder = holder_of(services.registry, name)
    return holder.id if holder is not None else None


def listed(services: Services, row: Registration) -> bool:
    """Have the list of its resource name a client; return whether it did not before."""
    resource_id = resource_of(services, row)
    return resource_id is not None and services.registry.list_client(resource_id, row.id)


def live_clients(services: Services, server: Registration) -> Iterator[Registration]:
    """Yield the clients of a resource that are accepted or active, each once.

    Until a reconciliation has listed those of earlier versions, all registrations are looked at. Raises UnreadableRow
    where this version cannot tell of one.
    """
    if not services.registry.lists_all_clients():
        yield from _found(services, server)
        return
    for each in listed_clients(services, server.id):
        row = services.registry.get(each.registration_id) if not each.ended else None
        # One that was not carried out yet is listed for a reason.
        if row is not None and _is_live(row) and (row.resource is None or _uses(row, server)):
            yield row


def _found(services: Services, server: Registration) -> Iterator[Registration]:
    token, more = None, True
    while more:
        page = services.registry.find(top=_PAGE, continuation_token=token)
        if page.unreadable:
            raise UnreadableRow
        for row in page.registrations:
            uses = _uses(row, server) or (row.resource is None and resource_of(services, row) == server.id)
            if _is_live(row) and uses:
                yield row
        token = page.continuation_token
        more = token is not None


def _is_live(row: Registration) -> bool:
    """Whether it works, or is on its way to; not what nobody has agreed to yet: nothing is to be had by asking."""
    return row.status is Status.ACTIVE or (row.status is Status.ACCEPTED and not row.awaits_approval)


def _uses(row: Registration, server: Registration) -> bool:
    resource = row.resource
    if resource is None:
        return False
    by_client_id = server.client_id is not None and server.client_id == resource.client_id
    return by_client_id or server.id == resource.registration_id


def users_of(services: Services, server: Registration, ids: AbstractSet[str]) -> Iterator[Registration]:
    """Yield the live clients that ask for one of these permissions of a resource of ours."""
    if ids:
        yield from (row for row in live_clients(services, server) if ids & _asked(row, server))


def _asked(row: Registration, server: Registration) -> set[str]:
    """Return the ids of what a client asks of the resource; by their names where that was not looked up yet."""
    if row.resource is not None:
        return {each.id for each in row.declared}
    if isinstance(row.request, ResourceApplicationRequest):
        return set()
    return set(ids_of(server.id, asked_names(row.request)))


def rows_may_follow(services: Services, server: Registration) -> bool:
    """Whether a client was listed of which the row may still be on its way."""
    since = services.clock.now() - _ROW_MAY_FOLLOW
    young = (
        each
        for each in listed_clients(services, server.id)
        if each.listed_at is not None and each.listed_at >= since and not each.ended
    )
    return any(services.registry.get(each.registration_id) is None for each in young)


def ensure_off_the_list(run: Run) -> None:
    """Afterwards whoever looks for the clients of its resource need not look at this one.

    Safe to repeat because one that is being deleted never comes back.
    """
    row = run.registration
    resource_id = resource_of(run.services, row) if row.status is Status.DELETING else None
    if resource_id is not None:
        ended = ClientOf(resource_id, row.id, row.client_id or "", (), row.grant_number, ended=True)
        run.services.registry.put_client(ended)
