"""What an accepted change does to its application in Entra; how a change is accepted is in `api/alter.py`."""

from provisioning.domain.directory import Application
from provisioning.domain.intake import ResourceApplicationRequest
from provisioning.domain.manifest import change_of, changed_properties
from provisioning.flow.resolve import resolve_resource
from provisioning.flow.rotate import check_ours
from provisioning.flow.run import Run


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
    """Set what the registration asks for now, unless the application has this change, or a later one."""
    if lacks_change(run, application):
        body = changed_properties(run.registration, application)
        run.services.directory.update_application(application.object_id, body)


def lacks_change(run: Run, application: Application) -> bool:
    """Whether the application's notes name an earlier change than the row.

    Notes that are not ours any more tell nothing: only a change that is under way is sent then.
    """
    has = change_of(application.notes)
    return run.registration.pending if has is None else has < run.registration.change
