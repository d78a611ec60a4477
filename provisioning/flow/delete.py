"""How a registration ends: its application and its secret are gone, recoverably; the row stays as evidence."""

from provisioning.flow.rotate import REPLICATED_AFTER, check_ours, is_ours
from provisioning.flow.run import Run


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
    young = run.services.clock.now() - registration.created_at < REPLICATED_AFTER
    if application is None and not (young and object_id is not None):
        return
    if object_id is None and application is not None and not is_ours(registration, application):
        return  # it was never adopted
    application = check_ours(run, application)
    if application.identifier_uris:
        directory.update_application(application.object_id, {"identifierUris": []})
    directory.delete_application(application.object_id)


def ensure_vault_secret_gone(run: Run) -> None:
    """Afterwards the vault has no live secret of the registration's name; a late write is refused for that.

    Safe to repeat because a second deletion is no error. All versions go at once, and can be recovered.
    """
    if run.registration.holds_secret:
        run.services.vault.remove(run.registration.secret_name)
