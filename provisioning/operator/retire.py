"""`retire`: a secret that this service did not make is removed, because its owner says that nobody uses it any more."""

from argparse import Namespace
from dataclasses import replace
from typing import NoReturn

from provisioning import trail
from provisioning.api.calls import not_found
from provisioning.domain.certificates import as_base64
from provisioning.domain.credentials import is_usable
from provisioning.domain.directory import Application, Credential
from provisioning.domain.errors import RequestRejected
from provisioning.domain.events import Actor
from provisioning.domain.intake import CertificateCredential
from provisioning.domain.registration import Registration, Status
from provisioning.flow.mint import belongs_to, current_secret
from provisioning.flow.plan import put_due
from provisioning.flow.rotate import is_labelled, is_ours, lists
from provisioning.flow.run import understood, write
from provisioning.operator.desk import Desk


def retire(desk: Desk, typed: Namespace) -> int:
    """Remove one foreign secret; without --apply say which it is. The only credential that works is never removed."""
    row = understood(desk.services.registry, typed.id.lower())
    if row is None:
        raise not_found()
    application = _application(desk, row)
    credential = _credential(application, typed.key_id.lower())
    _check_another_works(desk, row, application)
    if typed.apply:
        _remove(desk, row, application, credential)
    told = {"registrationId": row.id, "keyId": credential.key_id, "label": credential.label, "applied": typed.apply}
    if desk.as_json:
        desk.show_json(told)
    else:
        done = "Removed" if typed.apply else "Would remove"
        desk.say(f"{done} {credential.key_id} ({credential.label or 'unnamed'}) of {row.id}.")
    return 0


def _application(desk: Desk, row: Registration) -> Application:
    if row.status is not Status.ACTIVE or row.application_object_id is None:
        _refuse("registration-not-active", "Only of an active registration a secret is removed.")
    application = desk.services.directory.read_application(row.application_object_id)
    if application is None or not is_ours(row, application):
        _refuse("application-not-ours", "The application is gone, or does not carry the registration's mark.")
    return application


def _credential(application: Application, key_id: str) -> Credential:
    for each in application.credentials:
        if each.key_id.lower() == key_id:
            if is_labelled(each):
                _refuse("credential-not-foreign", "This service made it, and removes it by itself in its time.")
            return each
    raise RequestRejected(404, "credential-not-found", "The application has no secret of that key id.")


def _check_another_works(desk: Desk, row: Registration, application: Application) -> None:
    """Refuse where the registration's own credential is not seen to be there."""
    credential = getattr(row.request, "credential", None)
    if isinstance(credential, CertificateCredential):
        there = desk.services.directory.certificates(application.object_id) or ()
        if not is_usable(there, as_base64(credential.certificate), desk.services.clock.now()):
            _refuse("credential-missing", "Entra does not show the registration's certificate, or it is not valid now.")
    if not row.holds_secret:
        return
    current = current_secret(desk.services, row)
    if current is None or not belongs_to(current, row) or not lists(application, current):
        _refuse("credential-missing", "The registration's own secret is not in the vault, or not listed by Entra.")


def _remove(desk: Desk, row: Registration, application: Application, credential: Credential) -> None:
    """Remove it, tell who did, and have the registration be looked at: its finding is gone then."""
    services = desk.services
    with trail.following(None, Actor.of(desk.caller), f"registration {row.id}"):
        services.directory.remove_secret(application.object_id, credential.key_id)
        now = services.clock.now()
        after = replace(row, due_at=now, updated_at=now)
        put_due(services, after)
        write(services, row, after, [credential.key_id])


def _refuse(code: str, message: str) -> NoReturn:
    raise RequestRejected(409, code, message)
