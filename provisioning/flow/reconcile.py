"""The reconciliation: once a day, everything that is remembered is compared with Entra and the vault.

It goes in pages through the queue: the registrations, each of which gets a check of its own; then the applications and
the vault's secrets that carry our mark, for what a late run left of a registration that was deleted. It is the net
under everything: what no other message finds is found within a day.
"""

from collections.abc import Mapping
from contextlib import suppress
from itertools import pairwise
from typing import Final

from provisioning import telemetry, trail
from provisioning.domain.directory import Marked
from provisioning.domain.errors import UnreadableRow
from provisioning.domain.events import Actor, ActorKind
from provisioning.domain.messages import (
    PARTS,
    Outgoing,
    ReconcilePage,
    operation_message,
    page_message,
    reconcile_message,
)
from provisioning.domain.notices import heartbeat
from provisioning.domain.registration import Registration, Status
from provisioning.flow.clients import listed
from provisioning.flow.notify import announce
from provisioning.flow.observe import observe
from provisioning.ports import Services

logger = trail.logger(__name__)

REGISTRATIONS, APPLICATIONS, SECRETS = PARTS
_FOLLOWS: Final = dict(pairwise(PARTS))
PAGE: Final = 100


def first_page(services: Services) -> str:
    """Return the message that begins a reconciliation; the time of its beginning is its name."""
    run = f"{services.clock.now():%Y%m%dT%H%M%SZ}"
    with (
        trail.following(None, Actor(ActorKind.RECONCILIATION), f"reconciliation {run}") as turn,
        telemetry.span("first_page", begins_trace=True),
    ):
        return page_message(ReconcilePage(run, REGISTRATIONS, trace_id=turn.trace_id))


def reconcile(services: Services, page: ReconcilePage) -> Outgoing:
    """Return the messages that a page leads to, that of the next page last; after the last page a heartbeat is told."""
    if page.part == REGISTRATIONS:
        found = services.registry.find(top=PAGE, continuation_token=page.continuation_token)
        for each in found.registrations:  # rows of a version that had no lists of owners, or of clients, too
            services.registry.put_owned(each.request.owner, each.id)
            if listed(services, each):
                services.registry.note_listed(page.run, lacked=True)
        used = observe(services, found.registrations)
        messages = [
            reconcile_message(each.id, page.run, page.trace_id, used.get(each.id)) for each in found.registrations
        ]
        following = found.continuation_token
        if following is None:
            services.registry.note_listed(page.run, lacked=False)
        counted = {
            "registrations": len(messages),
            "unreadable": found.unreadable,
            "active": sum(each.status is Status.ACTIVE for each in found.registrations),
            "awaitingApproval": sum(each.awaits_approval for each in found.registrations),
        }
    else:
        marked = _marked(services, page)
        messages, unknown = _left_behind(services, marked)
        following = marked.continuation_token
        counted = {f"unknown{page.part.capitalize()}": unknown, "leftBehind": len(messages)}
    counts = {name: page.counts.get(name, 0) + counted.get(name, 0) for name in {**page.counts, **counted}}
    part = page.part if following else _FOLLOWS.get(page.part)
    if part is None:
        logger.info("%s: %s", page, counts)
        _measure(counts)
        return Outgoing(
            tuple(messages), tuple(announce(services, heartbeat(page.run, services.clock.now(), counts), None))
        )
    return Outgoing((*messages, page_message(ReconcilePage(page.run, part, following, counts, page.trace_id))))


def _measure(counts: Mapping[str, int]) -> None:
    """Tell what stands, which nobody else reads all of."""
    telemetry.measure("registrar.registrations", counts.get("active", 0), state="active")
    telemetry.measure("registrar.registrations", counts.get("awaitingApproval", 0), state="awaiting-approval")
    telemetry.measure("registrar.strays", counts.get("unknownApplications", 0), kind="applications")
    telemetry.measure("registrar.strays", counts.get("unknownSecrets", 0), kind="secrets")


def _marked(services: Services, page: ReconcilePage) -> Marked:
    if page.part == APPLICATIONS:
        return services.directory.marked_applications(page.continuation_token)
    return services.vault.marked(page.continuation_token)


def _left_behind(services: Services, marked: Marked) -> tuple[list[str], int]:
    """Return the deletions of what belongs to deleted registrations, and how much belongs to none that is known."""
    rows = list[Registration | None]()
    for each in marked.registration_ids:
        with suppress(UnreadableRow):  # it is somebody's; the first part counts it
            rows.append(services.registry.get(each))
    unknown = rows.count(None)
    if unknown:
        logger.warning("%d things carry our mark and belong to no registration", unknown)
    return [operation_message(row) for row in rows if row is not None and row.status is Status.DELETED], unknown
