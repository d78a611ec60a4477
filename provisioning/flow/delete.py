"""How a registration ends: its application and its secret are gone, recoverably; the row stays as evidence."""

from datetime import timedelta
from typing import Final

from provisioning.domain.errors import ProvisioningError
from provisioning.domain.intake import ResourceApplicationRequest
from provisioning.domain.names import HELD_FOR, Hold, compared
from provisioning.domain.registration import Status
from provisioning.flow.rotate import REPLICATED_AFTER, check_ours, is_ours
from provisioning.flow.run import Run

# Once a deletion was sent, a read that finds nothing is believed that much later: it was there to be deleted.
DELETED_AFTER: Final = timedelta(minutes=5)


def ensure_gone(run: Run) -> None:
    """Afterwards neither the application nor the vault's secret is there any more.

    Safe to repeat because each half is. Neither holds up the other.
    """
    try:
        ensure_application_gone(run)
    except ProvisioningError:
        ensure_vault_secret_gone(run)
        raise
    ensure_vault_secret_gone(run)


def ensure_application_gone(run: Run) -> None:
    """Afterwards the application is deleted, its service principal with it, and its identifier URIs are free.

    Safe to repeat because what is not there needs no deleting. A deleted application would keep its URIs for 30 days.
    """
    directory, registration = run.services.directory, run.registration
    object_id = registration.application_object_id
    if object_id is not None:
        application = directory.read_application(object_id)
    else:
        application = directory.find_application(registration.unique_name)
    late = _may_be_late(run)
    if application is None and not late:
        return
    if object_id is None and application is not None and not is_ours(registration, application):
        return  # it was never adopted
    application = check_ours(run, application)
    if application.identifier_uris:
        directory.update_application(application.object_id, {"identifierUris": []})
    if late:
        run.learn(deletion_sent_at=run.services.clock.now())
        run.save()
    if not directory.delete_application(application.object_id) and late:
        check_ours(run, None)  # this replica has not heard of what another one has just shown


def _may_be_late(run: Run) -> bool:
    """Whether a replica that finds no application may not have heard of it yet.

    An hour after its creation none is; nor is one some minutes after it was sent to be deleted, or once it was.
    """
    registration, now = run.registration, run.services.clock.now()
    if registration.application_object_id is None or registration.status is Status.DELETED:
        return False
    sent_at = registration.deletion_sent_at
    young = now - registration.created_at < REPLICATED_AFTER
    return young and (sent_at is None or now - sent_at < DELETED_AFTER)


def ensure_vault_secret_gone(run: Run) -> None:
    """Afterwards the vault has no live secret of the registration's name; a late write is refused for that.

    Safe to repeat because a second deletion is no error. All versions go at once, and can be recovered.
    """
    if run.registration.holds_secret:
        run.services.vault.remove(run.registration.secret_name)


def ensure_server_url_held(run: Run) -> None:
    """Afterwards nobody but its last owner can register the FHIR server for 30 days.

    Safe to repeat because a name that another registration has by then is left alone. It is before the row says
    `deleted`: until then the name is not free. A registration to which nobody ever agreed never had it.
    """
    registration, request = run.registration, run.registration.request
    if registration.was_never_approved:
        return
    if isinstance(request, ResourceApplicationRequest) and registration.status is not Status.DELETED:
        hold = Hold(request.owner, run.services.clock.now() + HELD_FOR)
        run.services.registry.put_hold(compared(request.fhir_server_url), registration.id, hold)
