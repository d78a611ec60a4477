"""What an accepted change does to its application in Entra; how a change is accepted is in `api/alter.py`."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from provisioning import trail
from provisioning.domain.directory import Application
from provisioning.domain.drift import different
from provisioning.domain.entitlements import disabled_first, removed_ids
from provisioning.domain.errors import NeedsOperator
from provisioning.domain.intake import ResourceApplicationRequest
from provisioning.domain.manifest import change_of, changed_properties, mapped_claims, maps_claims
from provisioning.flow.clients import users_of
from provisioning.flow.resolve import resolve_resource
from provisioning.flow.rotate import REPLICATED_AFTER, check_ours
from provisioning.flow.run import Run

logger = trail.logger(__name__)


def ensure_asked(run: Run) -> None:
    """Afterwards each permission that a client asks for by this change is known to exist.

    Safe to repeat because it only reads. It runs before anything is sent, so that nothing is declared that cannot be.
    """
    request, registration = run.registration.request, run.registration
    if registration.asks_otherwise and not isinstance(request, ResourceApplicationRequest):
        asking = registration.declaring(resolve_resource(run.services, request))
        run.learn(resource=asking.resource, former_permissions=asking.former_permissions)


def ensure_changed(run: Run) -> None:
    """Afterwards Entra has what the registration asks for now; what others added to a list by hand is still in it.

    Safe to repeat because the application's notes say which change it has, and the same values change nothing.
    """
    registration = run.registration
    assert registration.application_object_id is not None
    application = run.services.directory.read_application(registration.application_object_id)
    send_change(run, check_ours(run, application))


def send_change(run: Run, application: Application) -> None:
    """Set what the registration asks for now, unless the application has this change, or a later one.

    What a resource offers and is to be another, or is taken away, is disabled first. Raises NeedsOperator where a
    client asks for what is taken away.
    """
    if not lacks_change(run, application):
        return
    _send(run, application, changed_properties(run.registration, application))


def repair(run: Run, application: Application, now: datetime) -> None:
    """Set again what somebody has changed by hand of what the registration asks for; what is beside it stays.

    Not before every replica has heard of the latest change, nor where the application has a later one. Notes that are
    somebody else's are left to them.
    """
    registration, has = run.registration, change_of(application.notes)
    if registration.pending or now - registration.operation.requested_at < REPLICATED_AFTER:
        return
    body = changed_properties(registration, application)
    if has is None:
        del body["notes"]
    elif has > registration.change:
        return
    names = different(body, application.properties)
    if names:
        logger.warning("registration %s: repaired what was changed by hand: %s", registration.id, ", ".join(names))
        _send(run, application, body)
    claims = mapped_claims(registration.request)
    if claims and not maps_claims(application):
        logger.warning("registration %s: repaired what was changed by hand: acceptMappedClaims", registration.id)
        run.services.directory.update_application(application.object_id, claims)


def _send(run: Run, application: Application, body: Mapping[str, Any]) -> None:
    registration, directory = run.registration, run.services.directory
    before = disabled_first(registration, application)
    if before:
        for each in users_of(run.services, registration, removed_ids(registration, application)):
            logger.warning("registration %s: client %s uses what is taken away", registration.id, each.id)
            raise in_use()
        directory.update_application(application.object_id, before)
    directory.update_application(application.object_id, body)


def in_use() -> NeedsOperator:
    """Return the error of what cannot be taken away from a resource while clients ask for it."""
    return NeedsOperator(
        "permission-in-use",
        "Clients ask for what is to be taken away from the resource.",
        remedy="See GET /registrations/{id}/clients, and have them changed first; then send the change again.",
    )


def lacks_change(run: Run, application: Application) -> bool:
    """Whether the application's notes name an earlier change than the row.

    Notes that are not ours any more tell nothing: only a change that is under way is sent then.
    """
    has = change_of(application.notes)
    return run.registration.pending if has is None else has < run.registration.change
