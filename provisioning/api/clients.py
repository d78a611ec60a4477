"""The clients of a resource: who may do what there, since when, and its owner's word on it.

A client of another team is its owner's to see; of it the resource's owner is shown what it is, and what it may do, once
that is known.
"""

from dataclasses import replace
from typing import Any

from provisioning.api import alter
from provisioning.api.answers import Answer, named, ok, represent_agreement, represent_grants, welcomed
from provisioning.api.calls import Call, Wish, called_about, json_body, no_body, not_found, read_page, wish
from provisioning.domain.callers import Caller
from provisioning.domain.errors import UnreadableRow
from provisioning.domain.intake import parse_permissions
from provisioning.domain.registration import Registration, Status
from provisioning.ports import Services


def list_clients(services: Services, caller: Caller, call: Call) -> Answer:
    """GET /registrations/{id}/clients: 200 and a page of the resource's clients, each with what it may do."""
    no_body(call)
    top, continuation_token = read_page(call)
    server = called_about(services, caller, call)
    page = services.registry.clients(server.id, top=top, continuation_token=continuation_token)
    rows = [_row(services, each.registration_id) for each in page.clients if not each.ended]
    value = [_client(row) for row in rows if row is not None]
    return ok({"value": value, "continuationToken": page.continuation_token})


def approve_client(services: Services, caller: Caller, call: Call) -> Answer:
    """POST /registrations/{id}/clients/{client}/approve: 202, and the client is granted exactly these permissions."""
    wanted = wish(caller, call)
    return _agreed(services, wanted, call, parse_permissions(json_body(call)))


def revoke_client(services: Services, caller: Caller, call: Call) -> Answer:
    """POST /registrations/{id}/clients/{client}/revoke: 202, and what the client was granted is taken away."""
    no_body(call)
    return _agreed(services, wish(caller, call), call, None)


def _agreed(services: Services, wanted: Wish, call: Call, permissions: tuple[str, ...] | None) -> Answer:
    """Have the owner of the resource, of which If-Match speaks too, agree to this, or to nothing any more."""
    server = services.registry.get(wanted.registration_id)
    if server is None:
        raise not_found()
    wanted.check(server)
    about_client = replace(wanted, registration_id=call.client_registration_id.lower())
    done = alter.agree(services, about_client, server, permissions)
    content = _client(done.registration)
    return ok(content) if wanted.dry_run else welcomed(content, done.message, f"{call.collection}/{server.id}/clients")


def _row(services: Services, client_id: str) -> Registration | None:
    try:
        row = services.registry.get(client_id)
    except UnreadableRow:
        return None
    # What nobody has agreed to yet, or was not carried out, may be another team's business.
    return None if row is None or row.resource is None or row.status is Status.DELETED else row


def _client(row: Registration) -> dict[str, Any]:
    return {
        **named(row),
        "clientId": row.client_id,
        "contact": row.request.contact,
        "grants": represent_grants(row),
        "agreement": represent_agreement(row),
    }
