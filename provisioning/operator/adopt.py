"""`adopt`: an application that was made by hand becomes a registration, and nobody who uses it notices.

First it says what it finds and what would change. What it does is small: it marks the application, and writes a row
whose provisioning goes on from there, by the steps of every other registration. These mint a secret of their own beside
the one that is there; a credential that this service did not make is never removed, until its owner says so.
"""

from argparse import Namespace
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from provisioning import trail
from provisioning.api.enforce import take_place
from provisioning.api.submit import preview
from provisioning.domain.client_types import ClientType
from provisioning.domain.errors import NeedsOperator, RequestRejected, UnreadableRow
from provisioning.domain.events import Actor, What, wished
from provisioning.domain.intake import parse
from provisioning.domain.manifest import TAG, marked_id, marks, notes
from provisioning.domain.messages import operation_message
from provisioning.domain.names import MANAGED_FHIR_CLIENT_ID, managed_fhir_url
from provisioning.domain.registration import REGISTRATION_ID, Registration
from provisioning.domain.values import dataclass
from provisioning.flow.clients import listed
from provisioning.flow.plan import put_due
from provisioning.operator.desk import Desk
from provisioning.operator.found import Found, body_of, found_in
from provisioning.operator.shown import time_text

NOT_FOUND: Final = 404


@dataclass(frozen=True, slots=True)
class _Adoption:
    """What is adopted, as what, and what the application has now."""

    found: Found
    registration: Registration
    approvals: tuple[str, ...]


def adopt(desk: Desk, typed: Namespace) -> int:
    """Say what is found and what would change; with --apply do it."""
    manifest = desk.services.directory.read_manifest(typed.client_id)
    if manifest is None:
        raise RequestRejected(NOT_FOUND, "application-not-found", "There is no application of that client id.")
    found = found_in(manifest)
    adoption = _planned(desk, typed, found)
    faults = list(_faults(desk, typed, found, adoption.registration))
    if typed.apply and not faults:
        _apply(desk, adoption)
    _tell(desk, typed, adoption, faults)
    return 2 if faults else 0


def _planned(desk: Desk, typed: Namespace, found: Found) -> _Adoption:
    """Return what the application would be, judged as a new request is."""
    resource = _client_id_of(desk, typed.resource) if typed.resource else None
    client_id = resource or next(iter(found.resources), None)
    principal = desk.services.directory.find_resource(client_id) if client_id else None
    offered = (*principal.scopes, *principal.app_roles) if principal is not None else ()
    body = body_of(
        found,
        owner=typed.owner,
        contact=typed.contact,
        client_type=ClientType(typed.type) if typed.type else None,
        resource=(client_id, typed.resource or client_id),
        names={each.id: each.value for each in offered},
    )
    body |= {"secretLifetime": typed.secret_lifetime} if typed.secret_lifetime else {}
    body |= {"autoRotate": True} if typed.auto_rotate else {}
    request = parse(body, desk.services.secrets.lifetimes)
    seen = preview(desk.services, request, desk.caller, f"adopt {found.client_id}")
    marked = marked_id(found.tags)
    row = replace(
        seen.registration,
        id=marked if marked is not None and REGISTRATION_ID.fullmatch(marked) else seen.registration.id,
        application_object_id=found.object_id,
        client_id=found.client_id,
        policy_version=desk.services.policy.current().recorded_version,
    )
    return _Adoption(found, row, tuple(each.rule for each in seen.approvals))


def _client_id_of(desk: Desk, reference: str) -> str | None:
    """Return the client id of a resource that somebody named."""
    if managed_fhir_url(reference) is not None:
        return MANAGED_FHIR_CLIENT_ID
    if REGISTRATION_ID.fullmatch(reference.lower()):
        row = desk.services.registry.get(reference.lower())
        return row.client_id if row is not None else None
    principal = desk.services.directory.find_resource(reference)
    return principal.client_id if principal is not None else None


def _faults(desk: Desk, typed: Namespace, found: Found, row: Registration) -> Iterator[str]:
    """Yield why it cannot be adopted now, each with what to do about it."""
    yield from found.faults
    goes_on = _adopted_by(desk) in found.tags  # an adoption that died before its row was written
    if _is_there(desk, row.id):
        yield f"It is registered already, as {row.id}: there is nothing to adopt."
    elif marked_id(found.tags) is not None and not goes_on:
        yield (
            "It carries the mark of a registration that is not here. It is another installation's; or the row was "
            "lost, and rebuild brings it back."
        )
    if found.notes and not goes_on and not typed.replace_notes:
        yield (
            "Its notes hold something: this service keeps its own record there. Keep them elsewhere and add "
            "--replace-notes."
        )
    if _identity(desk) not in desk.services.directory.owners_of(found.object_id):
        yield (
            "This app's identity does not own it, and cannot make itself an owner. Have an administrator run: "
            f"az ad app owner add --id {found.client_id} --owner-object-id {_identity(desk)}"
        )


def _is_there(desk: Desk, registration_id: str) -> bool:
    try:
        return desk.services.registry.get(registration_id) is not None
    except UnreadableRow:
        return True


def _apply(desk: Desk, adoption: _Adoption) -> None:
    """Mark it, and have its provisioning go on. It may be run again after it died anywhere."""
    services, row = desk.services, adoption.registration
    with trail.following(None, Actor.of(desk.caller), f"registration {row.id}"):
        _mark(desk, adoption)
        put_due(services, row)
        take_place(services, services.policy.current(), row.request.owner, row.id)
        listed(services, row)
        stored = services.registry.insert(row, wished(trail.current(), What.ADOPTED, None, row))
        if stored is not None:
            desk.send(operation_message(stored))


def _mark(desk: Desk, adoption: _Adoption) -> None:
    """Have the application carry our marks beside its own tags; its unique name too, where Entra lets that be set."""
    directory, found, row = desk.services.directory, adoption.found, adoption.registration
    adopted_by = _adopted_by(desk)
    tags = [*marks(row, found.tags), *([] if adopted_by in found.tags else [adopted_by])]
    directory.update_application(found.object_id, {"tags": tags, "notes": notes(row)})
    if found.unique_name is None:
        try:
            directory.update_application(found.object_id, {"uniqueName": row.unique_name})
        except NeedsOperator as error:
            desk.note(f"Its uniqueName stays empty ({error.code}): nothing depends on it from here on.")


def _identity(desk: Desk) -> str:
    """Return the object id of this app's identity."""
    return desk.services.tenant.registrar_object_id or desk.signed_in.object_id


def _adopted_by(desk: Desk) -> str:
    """Return the tag that says which installation has adopted an application."""
    return f"{TAG}:adopted-by={_identity(desk)}"


def _tell(desk: Desk, typed: Namespace, adoption: _Adoption, faults: list[str]) -> None:
    row, found, done = adoption.registration, adoption.found, typed.apply and not faults
    told: dict[str, Any] = {
        "registrationId": row.id,
        "applied": done,
        "faults": faults,
        "found": _found(found),
        "changes": _changes(adoption),
        "approvalsNotAsked": list(adoption.approvals),
    }
    if desk.as_json:
        desk.show_json(told)
        return
    said = {name: each if isinstance(each, str) else ", ".join(each) for name, each in _found(found).items()}
    desk.say(f"{found.display_name} ({found.client_id})", *(f"  {name}: {each}" for name, each in said.items()))
    desk.say("", "Changed now:" if done else "Would change:", *(f"  {each}" for each in _changes(adoption)))
    if adoption.approvals:
        desk.say("", f"A new request would need an approval ({', '.join(adoption.approvals)}); what exists is adopted.")
    desk.say("", *(f"Not possible: {each}" for each in faults))
    if not faults:
        desk.say(f"Adopted as {row.id}: see `show`." if done else "Nothing was written: --apply does it.")


def _found(found: Found) -> Mapping[str, Any]:
    ends = [f"{each.label or 'unnamed'}, until {time_text(each.expires_at) or 'ever'}" for each in found.secrets]
    return {
        "type": found.client_type,
        "secrets": ends or "none",
        "certificates": found.certificates or "none",
        "redirectUris": list(found.redirect_uris) or "none",
        "resources": list(found.resources) or "none",
        "tags": list(found.tags) or "none",
        "uniqueName": found.unique_name or "none",
    }


def _changes(adoption: _Adoption) -> list[str]:
    row, found = adoption.registration, adoption.found
    changes = ["tags: those of this service are added", "notes: the record of this service"]
    if found.unique_name is None:
        changes.append(f"uniqueName: {row.unique_name}, if Entra lets it be set")
    if row.holds_secret:
        changes.append(f"a secret of its own, proven and kept as {row.secret_name} in the vault")
    if found.secrets:
        changes.append("the secrets that are there stay, until somebody removes them with `retire`")
    if len(found.resources) > 1:
        changes.append("what it asks of other resources stays declared, and is not managed here")
    return changes
