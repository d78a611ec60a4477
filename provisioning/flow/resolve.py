"""What a client's `resource` names: one of ours, a managed FHIR service, or a foreign one that the operator allows.

Anything else is refused: otherwise anyone could have directory permissions declared, and wait for a careless consent.
"""

from collections.abc import Container, Iterable

from provisioning.domain.directory import Permission, ResolvedResource
from provisioning.domain.errors import NeedsOperator, TryAgain
from provisioning.domain.intake import (
    DEFAULT_SCOPE,
    ConfidentialClientRequest,
    PublicClientRequest,
    ResourceApplicationRequest,
    ServiceClientRequest,
)
from provisioning.domain.manifest import permissions, resource_identifier
from provisioning.domain.names import (
    DIRECTORY_AND_AZURE_CLIENT_IDS,
    MANAGED_FHIR_CLIENT_ID,
    compared,
    managed_fhir_url,
    plain_name,
)
from provisioning.domain.registration import REGISTRATION_ID, Registration, Status
from provisioning.ports import Registry, Services

ClientRequest = ConfidentialClientRequest | PublicClientRequest | ServiceClientRequest


def resolve_resource(services: Services, request: ClientRequest) -> ResolvedResource:
    """Return the resource with the permissions that the request asks of it, each of which exists.

    What the operator lists means what the operator meant by it, whatever is registered here under that name. Raises
    TryAgain while it is a registration of ours that is still being provisioned, and NeedsOperator when there is no such
    resource, it may not be asked for, or it lacks a permission.
    """
    name, managed = plain_name(request.resource, services.tenant.id), managed_fhir_url(request.resource)
    listed = services.allowed_resources.get(compared(name)) if managed is None else None
    if listed is not None:
        return _foreign(services, listed, request)
    ours = _registration(services.registry, name)
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
    return ResolvedResource(
        audience=name,
        client_id=principal.client_id,
        service_principal_id=principal.id,
        scopes=_scopes(request, principal.scopes),
        app_roles=_app_roles(request, principal.app_roles),
    )


def may_be_asked_for(registry: Registry, reference: str, tenant_id: str, allowed: Container[str]) -> bool:
    """Tell, without resolving it, whether a resource may be asked for; an id of ours is looked up later."""
    name = plain_name(reference, tenant_id)
    return (
        REGISTRATION_ID.fullmatch(compared(name)) is not None
        or managed_fhir_url(name) is not None
        or compared(name) in allowed
        or holder_of(registry, name) is not None
    )


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
    """Whether the name is this registration's. Of one that failed too: an application may be behind it all the same."""
    its_own = (getattr(registration.request, "fhir_server_url", None), registration.client_id)
    named = compared(name) in [compared(each) for each in its_own if each is not None]
    return named and registration.status is not Status.DELETED


def claim_server(registry: Registry, registration: Registration, server_url: str) -> bool:
    """Have the server's URL belong to this registration, unless another live one has it; tell whether it does."""
    name = compared(server_url)
    if name != server_url:  # an earlier version may have claimed it in this spelling
        live = holder_of(registry, server_url)
        if live is not None and live.id != registration.id:
            return False
    holder = registry.claim(name, registration.id)
    if holder != registration.id and holder_of(registry, name) is None:
        before, holder = holder, registry.claim(name, registration.id, instead_of=holder)
        overtaken = registry.get(before)
        if holder == registration.id and overtaken is not None and _has(overtaken, name):
            # Its row was on its way while the name changed hands: it was first.
            holder = registry.claim(name, before, instead_of=registration.id)
    return holder == registration.id


def not_allowed() -> NeedsOperator:
    """Return the error for a resource that is neither ours, nor a managed FHIR service, nor allowed."""
    return NeedsOperator(
        "resource-not-allowed",
        "The resource is neither registered here, nor a managed FHIR service, nor in ALLOWED_RESOURCES.",
        remedy="Register the FHIR server first, or have the operator add the resource to ALLOWED_RESOURCES.",
    )


def _registration(registry: Registry, name: str) -> Registration | None:
    if not REGISTRATION_ID.fullmatch(compared(name)):
        return holder_of(registry, name)
    found = registry.get(compared(name))
    if found is None:
        raise NeedsOperator(
            "resource-not-found",
            "There is no registration of that id.",
            remedy="Correct the registration id in resource, and send a new request.",
        )
    return found


def _ours(services: Services, ours: Registration, request: ClientRequest) -> ResolvedResource:
    if not isinstance(ours.request, ResourceApplicationRequest):
        raise NeedsOperator(
            "resource-is-a-client",
            "The registration named as resource is a client.",
            remedy="Name the registration of a resource application, and send a new request.",
        )
    if ours.status is Status.ACCEPTED or not ours.status.known:
        raise TryAgain(
            "resource-not-ready",
            "The resource application is still being provisioned.",
            remedy="See what holds up the registration of the resource application, then retry this one.",
        )
    if ours.status is not Status.ACTIVE or ours.client_id is None:
        raise NeedsOperator(
            "resource-not-active",
            "The resource application has failed or was deleted.",
            remedy="Repair or register the resource application, then retry this registration.",
        )
    scopes = permissions(ours.id, "scope", ours.request.scopes)
    app_roles = permissions(ours.id, "role", ours.request.app_roles)
    return ResolvedResource(
        audience=resource_identifier(ours, services.tenant),
        client_id=ours.client_id,
        service_principal_id=ours.service_principal_id,
        scopes=_scopes(request, scopes),
        app_roles=_app_roles(request, app_roles),
    )


def _managed(services: Services, url: str, request: ClientRequest) -> ResolvedResource:
    if isinstance(request, ServiceClientRequest) and request.app_roles:
        raise NeedsOperator(
            "app-role-not-found",
            "A managed FHIR service has no app roles; its data is opened by Azure roles.",
            remedy="Send a new request without appRoles, and assign a FHIR data role as its next steps say.",
        )
    principal = services.directory.find_resource(MANAGED_FHIR_CLIENT_ID)
    return ResolvedResource(
        audience=url,
        client_id=MANAGED_FHIR_CLIENT_ID,
        service_principal_id=principal.id if principal else None,
        scopes=_scopes(request, principal.scopes) if principal else (),
        fhir_service=url,
    )


def _scopes(request: ClientRequest, offered: Iterable[Permission]) -> tuple[Permission, ...]:
    if isinstance(request, ServiceClientRequest):
        return ()
    if request.scopes is None:
        return tuple(scope for scope in offered if scope.value == DEFAULT_SCOPE)
    return _chosen("scope", request.scopes, offered)


def _app_roles(request: ClientRequest, offered: Iterable[Permission]) -> tuple[Permission, ...]:
    if not isinstance(request, ServiceClientRequest):
        return ()
    return _chosen("app role", request.app_roles, offered)


def _chosen(kind: str, names: Iterable[str], offered: Iterable[Permission]) -> tuple[Permission, ...]:
    by_name = {permission.value: permission for permission in offered}
    wanted = list(names)
    if not set(wanted) <= by_name.keys():
        raise NeedsOperator(
            f"{kind.replace(' ', '-')}-not-found",
            f"The resource does not have every {kind} that was asked for.",
            remedy="Send a new request that names only what the resource has, spelt as it spells it.",
        )
    return tuple(by_name[name] for name in wanted)
