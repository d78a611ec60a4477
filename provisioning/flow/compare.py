"""What others put beside what this service set, who else owns an application, and whether anybody may sign in with it.

All of it is told, and none of it is touched. Owners come with the application, and who is disabled in one answer for
all; federated credentials would cost a call each, so that a client which is to have none is asked about once a week.
"""

import zlib
from collections.abc import Iterator
from datetime import datetime
from typing import Final

from provisioning.domain.directory import Application
from provisioning.domain.entitlements import offered_by_hand
from provisioning.domain.intake import FederatedCredential
from provisioning.domain.manifest import maps_claims, permissions_added_by_hand
from provisioning.domain.operation import Failure
from provisioning.domain.registration import Registration
from provisioning.domain.secrets import is_ours_by_label
from provisioning.flow.run import Run

SUBJECTS: Final = "subjects-added-by-hand"
LOOKED_FOR_DAILY: Final = (
    *("roles-assigned-by-hand", "credentials-added-by-hand", "registrar-not-owner", "owners-added-by-hand"),
    *("sign-in-disabled", "mapped-claims-added-by-hand", SUBJECTS),
)
_WRITES_ALL: Final = "Application.ReadWrite.All"
_DAYS: Final = 7


def put_by_others(run: Run, application: Application) -> Iterator[Failure]:
    """Yield what others put beside what this service set, of permissions and of credentials without a secret."""
    registration = run.registration
    if permissions_added_by_hand(registration, application):
        yield Failure(
            "permissions-added-by-hand",
            "The application asks for permissions that this service did not declare; they are kept.",
            "Have its owner send them with PATCH /registrations/{id}, or an administrator remove them in Entra.",
        )
    if offered_by_hand(registration, application):
        yield Failure(
            "offers-added-by-hand",
            "The application offers scopes or app roles that this service did not set; they are kept.",
            "Have its owner send them with PATCH /registrations/{id} once an administrator removed them in Entra.",
        )
    if not run.compares:  # what is looked for once a day is told until it is looked for again
        yield from (each for each in registration.findings if each.code in LOOKED_FOR_DAILY)
        return
    if run.roles_by_hand:
        yield Failure(
            "roles-assigned-by-hand",
            f"The client holds {len(run.roles_by_hand)} roles of its resource that it does not ask for.",
            "Have its owner ask for them with PATCH /registrations/{id}, or an administrator remove the assignments.",
        )
    known = registration.credential_type == "certificate"
    certificates = [] if known else [each for each in application.certificates if not is_ours_by_label(each)]
    if foreign := len(run.trusted_by_hand) + len(certificates):
        yield Failure(
            "credentials-added-by-hand",
            f"The application trusts {foreign} certificates or subjects that this service did not add; they are kept.",
            "Find out who uses them; have their owner send them with PATCH, or an administrator remove them in Entra.",
        )
    yield from _compared(run, application)


def _compared(run: Run, application: Application) -> Iterator[Failure]:
    yield from _owners(run, application)
    if (application.client_id or "").lower() in run.services.directory.disabled_clients():
        yield Failure(
            "sign-in-disabled",
            "Somebody disabled sign-in to the application in Entra: nobody gets a token with it, or for it.",
            "Ask the administrators of Entra why. One of them enables it again; this service does not.",
        )
    if maps_claims(application) and not getattr(run.registration.request, "accept_mapped_claims", None):
        yield Failure(
            "mapped-claims-added-by-hand",
            "Tokens for the application may carry mapped claims, which the registration does not ask for.",
            "Have an administrator set api.acceptMappedClaims to null in Entra, unless somebody needs it.",
        )
    yield from _subjects(run, application)


def _owners(run: Run, application: Application) -> Iterator[Failure]:
    """Yield that this app is no owner, without which Application.ReadWrite.OwnedBy is no right; and who else is."""
    signed_in, owners = run.services.directory.signed_in(), application.owners
    identity = (run.services.tenant.registrar_object_id or signed_in.object_id).lower()
    if owners is None or (signed_in.person and run.services.tenant.registrar_object_id is None):
        return
    if identity not in owners and _WRITES_ALL not in signed_in.permissions:
        yield Failure(
            "registrar-not-owner",
            "This app's identity does not own the application any more, so that Graph lets it change nothing there.",
            "Have an administrator make it an owner again: az ad app owner add, as docs/operations.md has it.",
        )
    if others := owners - {identity}:
        yield Failure(
            "owners-added-by-hand",
            f"The application has {len(others)} owners beside this app, each of whom can add a secret to it.",
            "Find out who they are; have an administrator remove them, or keep them knowingly.",
        )


def _subjects(run: Run, application: Application) -> Iterator[Failure]:
    """Yield that somebody has a client trust tokens of other issuers that is to sign in otherwise, or not at all."""
    registration = run.registration
    if isinstance(getattr(registration.request, "credential", None), FederatedCredential):
        return  # compared by `keep_credential`
    known = [each for each in registration.findings if each.code == SUBJECTS]
    if not known and not is_the_day(registration, run.services.clock.now()):
        return
    foreign = run.services.directory.trusted_tokens(application.object_id)
    if foreign:
        yield Failure(
            SUBJECTS,
            f"The application trusts {len(foreign)} federated credentials, and its registration asks for none.",
            "Find out who signs in with them; have an administrator remove them in Entra.",
        )


def is_the_day(registration: Registration, now: datetime) -> bool:
    """Whether this is the day of the week on which the registration is asked about: each has one."""
    return (now.toordinal() + zlib.crc32(registration.id.encode())) % _DAYS == 0
