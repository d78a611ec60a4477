"""How a registration ends: its application and its secret are gone, recoverably; the row stays as evidence."""

from provisioning.rotate import check_ours
from provisioning.run import Run


def ensure_application_gone(run: Run) -> None:
    """Afterwards the application is deleted, its service principal with it, and its identifier URIs are free.

    Safe to repeat because what is not there needs no deleting. A deleted application would keep its URIs for 30 days.
    """
    directory, registration = run.services.directory, run.registration
    if registration.application_object_id is not None:
        application = directory.read_application(registration.application_object_id)
    else:
        application = directory.find_application(registration.unique_name)
    if application is None:
        return
    check_ours(registration, application)
    if application.identifier_uris:
        directory.update_application(application.object_id, {"identifierUris": []})
    directory.delete_application(application.object_id)


def ensure_vault_secret_gone(run: Run) -> None:
    """Afterwards the vault has no live secret of the registration's name; a late write is refused for that.

    Safe to repeat because a second deletion is no error. All versions go at once, and can be recovered.
    """
    if run.registration.holds_secret:
        run.services.vault.remove(run.registration.secret_name)
