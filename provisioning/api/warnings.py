"""What works, but perhaps not as the caller thinks; and what becomes of those who use a registration that is changed.

What cannot work at all is refused (`submit.py`); what people still have to do is in `guidance.py`.
"""

from collections.abc import Iterator
from typing import Final
from urllib.parse import urlsplit

from provisioning.domain.approval import DATA_ROLES
from provisioning.domain.grants import GrantState
from provisioning.domain.intake import (
    CertificateCredential,
    FederatedCredential,
    ResourceApplicationRequest,
    ServiceClientRequest,
)
from provisioning.domain.names import managed_fhir_url
from provisioning.domain.permissions import data_roles_of, smart_contexts
from provisioning.domain.registration import Registration
from provisioning.domain.values import dataclass
from provisioning.ports import Services


@dataclass(frozen=True, slots=True)
class Warning_:  # noqa: N801 -- `Warning` is Python's own
    """Something that works, but perhaps not as the caller thinks."""

    code: str
    message: str


OWNER_NOT_SEEN: Final = Warning_(
    "owner-not-seen",
    "Nothing has shown yet that Entra knows the owner, who is neither the caller nor one of the caller's groups. See "
    "that the object id is right, or nobody but a manager can change the registration.",
)


DATA_ROLES_BY_HAND: Final = Warning_(
    "data-roles-by-hand",
    "This service gives no data roles on this FHIR service. A person assigns them: nextSteps have the commands.",
)


def warnings(registration: Registration) -> tuple[Warning_, ...]:
    """Return what works, but perhaps not as the caller thinks: the same in a dry run and of what was registered.

    But that a dry run looks for an owner whom nobody has seen.
    """
    of_owner = (OWNER_NOT_SEEN,) if registration.owner_unseen else ()
    if isinstance(registration.request, ResourceApplicationRequest):
        return (*of_owner, *_of_resource(registration.request))
    return (*of_owner, *_of_client(registration))


def of_owner(services: Services, row: Registration) -> tuple[Warning_, ...]:
    """Return what a dry run has to say of the owner, whom it looks for where nothing has shown that Entra knows it."""
    known = not row.owner_unseen or services.directory.knows(row.request.owner)
    if known is None:
        return (OWNER_NOT_SEEN,)
    return () if known else (_OWNER_NOT_FOUND,)


_OWNER_NOT_FOUND: Final = Warning_(
    "owner-not-found",
    "Entra knows no user, group or service principal of the owner's object id: nobody but a manager could change the "
    "registration.",
)


def _of_resource(request: ResourceApplicationRequest) -> Iterator[Warning_]:
    if "fhirUser" in request.scopes and not request.accept_mapped_claims:
        yield Warning_(
            "fhir-user-claim-not-mapped",
            "The scope fhirUser puts no claim of this name into tokens. A claims mapping policy does, and needs "
            "acceptMappedClaims.",
        )
    if not request.scopes and not request.app_roles:
        yield Warning_("resource-offers-nothing", "Without scopes and app roles no client can ask for anything here.")


def _of_client(registration: Registration) -> Iterator[Warning_]:
    request, resource = registration.request, registration.resource
    if resource is not None and resource.service_principal_id is None:
        yield Warning_(
            "resource-service-principal-missing",
            "The tenant has no service principal for the resource yet, so no permission is declared. Create it with "
            f"az ad sp create --id {resource.client_id}, delete this registration, and register anew.",
        )
    managed = resource.fhir_service if resource else managed_fhir_url(getattr(request, "resource", ""))
    if isinstance(request, ServiceClientRequest) and not request.app_roles and managed is None:
        yield Warning_(
            "no-app-roles",
            "Without app roles its tokens have no roles, and a FHIR server opens nothing to them. Ask for "
            "appRoles by PATCH.",
        )
    if _gives_no_data_roles(registration):
        yield DATA_ROLES_BY_HAND
    if len(smart_contexts(request)) > 1:
        yield Warning_(
            "mixed-smart-contexts",
            "A FHIR server refuses a token that mixes patient, user and system, and Entra puts all that was consented "
            "to into one. Register a client for each.",
        )
    uris = getattr(request, "redirect_uris", ())
    if any(urlsplit(uri).hostname == "localhost" for uri in uris):
        yield Warning_(
            "localhost-redirect",
            "Microsoft recommends 127.0.0.1 over localhost, which a firewall or a hosts file may send elsewhere.",
        )


def _gives_no_data_roles(registration: Registration) -> bool:
    """Whether it asks for data roles, and this service was found to give none there, or asked nobody to agree."""
    asked, approval = data_roles_of(registration.request), registration.approval
    if registration.grants or not asked:
        return any(each.permission in asked and each.state is GrantState.DECLARED for each in registration.grants)
    return approval is None or DATA_ROLES not in approval.rules


def consequences(before: Registration, after: Registration) -> Iterator[Warning_]:
    """Yield what becomes of those who use a registration, once it is as `after`."""
    if after.ending and not before.ending:
        yield Warning_(
            "sign-ins-end",
            "Tokens that were issued work until they expire; no new one is. The application can be restored in Entra "
            "for 30 days, without its identifier URIs.",
        )
    if after.revoke_before != before.revoke_before:
        yield Warning_(
            "previous-secrets-end",
            "Whoever still uses a secret from before is refused as soon as the new one is in the vault.",
        )
    elif after.replace_before != before.replace_before:
        yield Warning_(
            "previous-secret-replaced",
            "The secret in use goes on working for the overlap. Clients have to read the new one by then.",
        )
    held = {each.id for each in before.grants if each.may_be_held} or {each.id for each in before.declared}
    if held - {each.id for each in after.declared} or (not after.ending and {*before.agreed} - {*after.agreed}):
        yield Warning_(
            "permissions-end",
            "What it asks for no more, or nobody agrees to, is taken back, where this service granted it. Tokens that "
            "were issued carry it until they expire.",
        )
    if getattr(before.request, "secret_lifetime", None) != getattr(after.request, "secret_lifetime", None):
        yield Warning_("secret-in-use-keeps-its-end", "The secret in use keeps its end: the next one lives as long.")
    yield from _of_use(before, after)
    yield from _of_credential(before, after)
    yield from _of_offer(before, after)
    gone = set(_redirect_uris(before)) - set(_redirect_uris(after))
    if gone:
        yield Warning_("redirect-uris-removed", "Whoever signs in through a redirect URI that goes is refused.")


def _of_use(before: Registration, after: Registration) -> Iterator[Warning_]:
    """Yield when what is about to end was last used, where the reports of sign-ins have been read."""
    ends = (after.ending and not before.ending) or after.revoke_before != before.revoke_before
    if before.usage is None or not ends:
        return
    if before.usage.last_used_at is None:
        yield Warning_("last-use-not-known", "When somebody used it last is not known; `usage` says why.")
    else:
        at = before.usage.last_used_at.strftime("%Y-%m-%dT%H:%M:%SZ")
        yield Warning_(
            "last-used", f"Somebody signed in with it last at {at}, by reports that are late by a day or so."
        )


def _of_credential(before: Registration, after: Registration) -> Iterator[Warning_]:
    """Yield what becomes of those who sign in with what is exchanged."""
    was, becomes = (getattr(row.request, "credential", None) for row in (before, after))
    if isinstance(was, CertificateCredential) and was != becomes:
        yield Warning_(
            "previous-certificate-ends",
            "The certificate from before goes on working for the overlap, or until its own end. Clients have to sign "
            "with the new one by then.",
        )
    if set(_trusted(was)) - set(_trusted(becomes)):
        yield Warning_("subjects-removed", "Workloads with a subject that goes are refused from then on.")


def _trusted(credential: object) -> tuple[str, ...]:
    return credential.trusted if isinstance(credential, FederatedCredential) else ()


def _of_offer(before: Registration, after: Registration) -> Iterator[Warning_]:
    """Yield what becomes of those who ask a resource for what it offers."""
    was, becomes = before.request, after.request
    if isinstance(was, ResourceApplicationRequest) and was.display_name != becomes.display_name:
        yield Warning_(
            "permissions-pause",
            "The texts of its scopes and app roles hold its name. Entra has them disabled to be changed: for a moment "
            "nobody gets a token with one of them.",
        )


def _redirect_uris(registration: Registration) -> tuple[str, ...]:
    return getattr(registration.request, "redirect_uris", ())
