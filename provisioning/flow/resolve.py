"""What a client's `resource` names: one of ours, a managed FHIR service, or a foreign one that the operator allows.

Anything else is refused: otherwise anyone could have directory permissions declared, and wait for a careless consent.
"""

from dataclasses import replace
from datetime import datetime

from provisioning.domain.azure_roles import data_permissions
from provisioning.domain.callers import Caller
from provisioning.domain.directory import Permission, ResolvedResource
from provisioning.domain.errors import Fault, NeedsOperator, NotOffered, TryAgain, UnreadableRow
from provisioning.domain.intake import ResourceApplicationRequest, ServiceClientRequest
from provisioning.domain.manifest import resource_identifier
from provisioning.domain.names import (
    DIRECTORY_AND_AZURE_CLIENT_IDS,
    MANAGED_FHIR_CLIENT_ID,
    Hold,
    compared,
    managed_fhir_url,
    plain_name,
)
from provisioning.domain.operation import OperationType
from provisioning.domain.permissions import ClientRequest, app_roles_of, asked_for, data_roles_of, scopes_of
from provisioning.domain.registration import REGISTRATION_ID, Registration, Status
from provisioning.domain.values import dataclass
from provisioning.ports import Registry, Services


def resolve_resource(services: Services, request: ClientRequest, caller: Caller | None = None) -> ResolvedResource:
    """Return the resource with the permissions that the request asks of it, each of which exists.

    What the operator lists means what the operator meant by it, whatever is registered here under that name. A caller
    names by their ids only registrations that it may read; without one, that was judged when it asked. Raises TryAgain
    while it is a registration of ours that is still being provisioned, and NeedsOperator when there is no such
    resource, it may not be asked for, or it lacks a permission.
    """
    name, managed = plain_name(request.resource, services.tenant.id), managed_fhir_url(request.resource)
    listed = services.allowed_resources.get(compared(name)) if managed is None else None
    if listed is not None:
        return _foreign(services, listed, request)
    ours = _registration(services.registry, name, caller)
    if ours is not None:
        return _ours(services, ours, request)
    if managed is None:
        raise not_allowed()
    return _managed(services, managed, request)


def _foreign(services: Services, name: str, request: ClientRequest) -> ResolvedResource:
    principal = services.directory.find_resource(name)
    if principal is not None and principal.client_id in DIRECTORY_AND_AZURE_CLIENT_IDS:
        raise not_allowed()  # by one of its many other names
    if principal is None:
        raise NeedsOperator(
            "resource-not-found",
            "The tenant has no service principal for the resource.",
            remedy="Create its service principal (az ad sp create --id <client id>), then retry the registration.",
        )
    if data_roles_of(request):
        raise _no_data_roles()
    scopes, app_roles = asked_for(request, principal.scopes, principal.app_roles)
    return ResolvedResource(name, principal.client_id, principal.id, scopes, app_roles)


def check_resource(services: Services, request: ClientRequest, caller: Caller | None = None) -> Registration | None:
    """Refuse, before anything is accepted, what our own rows show to be wrong with the resource of a client.

    Return the registration of ours that the resource is, where that was looked up. Raises NeedsOperator as
    `resolve_resource` would. One of ours that is still being provisioned is waited for; what Entra alone knows is asked
    for later, and so is whether a managed FHIR service is one of ours. Raises UnreadableRow for an id of which nobody
    can tell now whether the caller may read it.
    """
    name, managed = plain_name(request.resource, services.tenant.id), managed_fhir_url(request.resource)
    listed = managed is None and compared(name) in services.allowed_resources
    if listed and data_roles_of(request):
        raise _no_data_roles()
    if listed or not (managed is None or _asks_for_roles(request) or data_roles_of(request)):
        return None
    try:
        ours = _registration(services.registry, name, caller)
    except UnreadableRow:
        if REGISTRATION_ID.fullmatch(compared(name)) and not (caller is None or caller.sees_all):
            raise  # the queue will not ask whether this caller may name it
        return None  # of a newer version: the queue waits until it can be read
    if ours is not None:
        _offered(ours, request)
        _data_service(services, ours, request)
    elif managed is None:
        raise not_allowed()
    elif _asks_for_roles(request):
        raise _no_app_roles()
    return ours


def holder_of(registry: Registry, name: str) -> Registration | None:
    """Return the live registration whose plain name this is, whatever the case of its letters.

    A claim alone is not enough: its POST may have died before the row was written, or lost to another request. Earlier
    versions claimed a name as it was written: until `claim_server` has claimed it anew, it is found by that spelling.
    """
    for spelling in dict.fromkeys((compared(name), name)):
        holder = registry.holder(spelling)
        found = registry.get(holder) if holder is not None else None
        if found is not None and _has(found, name):
            return found
    return None


def _has(registration: Registration, name: str) -> bool:
    """Whether the name is this registration's. Of one that failed too: an application may be behind it all the same.

    Not of one to which nobody agreed: a name is not to be had by asking for it.
    """
    if registration.status is Status.FAILED and registration.was_never_approved:
        return False
    its_own = (getattr(registration.request, "fhir_server_url", None), registration.client_id)
    named = compared(name) in [compared(each) for each in its_own if each is not None]
    return named and registration.status is not Status.DELETED


@dataclass(frozen=True, slots=True)
class Whose:
    """Who has a FHIR server's URL: the live registration, if there is one, and for whom it was held last."""

    holder: Registration | None
    hold: Hold | None

    def keeps_out(self, registration: Registration, now: datetime) -> bool:
        """Whether this registration cannot have it."""
        if self.holder is not None:
            return self.holder.id != registration.id
        return self.hold is not None and self.hold.keeps_out(registration.request.owner, now)


def whose(registry: Registry, server_url: str) -> Whose:
    """Return who has the URL; the hold is asked for in any case, so that nothing is told by how long it takes."""
    holder = holder_of(registry, server_url)
    return Whose(holder, registry.hold(compared(server_url)))


def claim_server(registry: Registry, registration: Registration, server_url: str, now: datetime) -> Whose | None:
    """Have the server's URL belong to this registration; return who keeps it out, or None where it does then.

    Another live one does that has it, and for a while another owner who had it last.
    """
    name = compared(server_url)
    if name != server_url:  # an earlier version may have claimed it in this spelling
        live = holder_of(registry, server_url)
        if live is not None and live.id != registration.id:
            return Whose(live, None)
    holder = registry.claim(name, registration.id)
    if holder == registration.id:
        return None
    found = whose(registry, name)
    if found.keeps_out(registration, now):
        return found
    before, holder = holder, registry.claim(name, registration.id, instead_of=holder)
    overtaken = registry.get(before)
    if holder == registration.id and overtaken is not None and _has(overtaken, name):
        # Its row was on its way while the name changed hands: it was first.
        holder = registry.claim(name, before, instead_of=registration.id)
    return None if holder == registration.id else whose(registry, name)


def not_allowed() -> NeedsOperator:
    """Return the error for a resource that is neither ours, nor a managed FHIR service, nor allowed."""
    return NeedsOperator(
        "resource-not-allowed",
        "The resource is neither registered here, nor a managed FHIR service, nor in ALLOWED_RESOURCES.",
        remedy="Register the FHIR server first, or have the operator add the resource to ALLOWED_RESOURCES.",
    )


def _registration(registry: Registry, name: str, caller: Caller | None) -> Registration | None:
    """Return the registration that is named by its id, or by a URL or client id, which everybody may know."""
    if not REGISTRATION_ID.fullmatch(compared(name)):
        return holder_of(registry, name)
    found = registry.get(compared(name))
    if found is None or not (caller is None or found.readable_by(caller)):
        raise NeedsOperator(
            "resource-not-found",
            "There is no registration of that id.",
            remedy="Correct the registration id in resource, and send a new request.",
        )
    return found


def _ours(services: Services, ours: Registration, request: ClientRequest) -> ResolvedResource:
    scopes, app_roles = _offered(ours, request)
    changes = ours.pending and ours.operation.type is OperationType.CHANGE  # Entra may not have what it offers now
    if ours.status is not Status.ACTIVE or ours.client_id is None or changes:
        raise TryAgain(
            "resource-not-ready",
            "The resource application is still being provisioned, or changed.",
            remedy="See what holds up the registration of the resource application, then retry this one.",
        )
    audience = resource_identifier(ours, services.tenant)
    return ResolvedResource(
        audience,
        ours.client_id,
        ours.service_principal_id,
        scopes,
        app_roles,
        fhir_service=_data_service(services, ours, request),
        registration_id=ours.id,
        data_roles=data_permissions(data_roles_of(request)),
    )


def check_live(ours: Registration) -> None:
    """Raise NeedsOperator where a registration has failed, or ended, and is nobody's resource any more."""
    if ours.status in (Status.FAILED, Status.DELETING, Status.DELETED):
        raise NeedsOperator(
            "resource-not-active",
            "The resource application has failed or was deleted.",
            remedy="Repair or register the resource application, then retry this registration.",
        )


def service_url(services: Services, ours: Registration | None, request: ClientRequest) -> str | None:
    """Return the URL of the managed FHIR service that a client calls; None where it calls none.

    One of ours is one too that is registered by its URL, or by a name of its own that the operator has listed.
    """
    if ours is None:
        return managed_fhir_url(request.resource)
    url = str(getattr(ours.request, "fhir_server_url", ""))
    return managed_fhir_url(url) or (url if compared(url) in services.fhir_services else None)


def _data_service(services: Services, ours: Registration, request: ClientRequest) -> str | None:
    """Return the service whose data roles are asked for of a registration of ours, if any are."""
    if not data_roles_of(request):
        return None
    url = service_url(services, ours, request)
    if url is None:
        raise _no_data_roles()
    return url


def _offered(ours: Registration, request: ClientRequest) -> tuple[tuple[Permission, ...], tuple[Permission, ...]]:
    """Return what the client asks of a registration of ours, if that is a live resource application and has it all."""
    if not isinstance(ours.request, ResourceApplicationRequest):
        raise NeedsOperator(
            "resource-is-a-client",
            "The registration named as resource is a client.",
            remedy="Name the registration of a resource application, and send a new request.",
        )
    check_live(ours)
    return asked_for(request, scopes_of(ours.id, ours.request), app_roles_of(ours.id, ours.request))


def _managed(services: Services, url: str, request: ClientRequest) -> ResolvedResource:
    if _asks_for_roles(request):
        raise _no_app_roles()
    principal, data_roles = services.directory.find_resource(MANAGED_FHIR_CLIENT_ID), data_roles_of(request)
    found = ResolvedResource(
        url, MANAGED_FHIR_CLIENT_ID, None, fhir_service=url, data_roles=data_permissions(data_roles)
    )
    if principal is None:
        return found
    scopes, _ = asked_for(request, principal.scopes, ())
    return replace(found, service_principal_id=principal.id, scopes=scopes)


def _asks_for_roles(request: ClientRequest) -> bool:
    return isinstance(request, ServiceClientRequest) and bool(request.app_roles)


def _no_app_roles() -> NotOffered:
    return NotOffered(
        "app-role-not-found",
        "A managed FHIR service has no app roles; its data is opened by Azure roles.",
        [Fault("#/appRoles", "app-role-not-found", "Leave them out, and ask for dataRoles in their place.")],
    )


def _no_data_roles() -> NotOffered:
    return NotOffered(
        "data-roles-not-offered",
        "Only a managed FHIR service has data roles, and the resource is none.",
        [Fault("#/dataRoles", "data-roles-not-offered", "Leave them out, and ask for appRoles of the resource.")],
    )
