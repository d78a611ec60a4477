"""Pure: a registration becomes the body of a Microsoft Graph application, one function per client type.

A repeat gives the same body: ids of scopes and roles are name-based UUIDs (`permissions.py`). The body carries
marks enough to rebuild the registry from Entra and the vault alone: the unique name, tags, and `notes` with what tags
cannot hold.

Sources: the Graph resources application, apiApplication, permissionScope, appRole, requiredResourceAccess,
keyCredential.
"""

import json
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple, assert_never

from provisioning.domain.certificates import as_base64
from provisioning.domain.directory import Application
from provisioning.domain.entitlements import offered
from provisioning.domain.intake import (
    CertificateCredential,
    ConfidentialClientRequest,
    PublicClientRequest,
    RegistrationRequest,
    ResourceApplicationRequest,
    ServiceClientRequest,
)
from provisioning.domain.names import identifier_uri
from provisioning.domain.openid import GRAPH_CLIENT_ID
from provisioning.domain.permissions import openid_scopes
from provisioning.domain.registration import Registration
from provisioning.domain.secrets import NewSecret
from provisioning.domain.tenant import Tenant

TAG: Final = "fhir-registrar"
SIGN_IN_AUDIENCE: Final = "AzureADMyOrg"
_NO_IMPLICIT_GRANT: Final = {
    "implicitGrantSettings": {"enableAccessTokenIssuance": False, "enableIdTokenIssuance": False}
}


def application_body(registration: Registration, tenant: Tenant, secret: NewSecret | None) -> dict[str, Any]:
    """Return the body of `POST /applications`.

    `secret` has the first secret be born with the application: its text is in the answer, which saves a
    call and the wait for the application to replicate. Only a label and an end date may be sent with it.
    """
    request = registration.request
    body: dict[str, Any] = {
        "displayName": request.display_name,
        "signInAudience": SIGN_IN_AUDIENCE,
        "uniqueName": registration.unique_name,
        "tags": tags(registration),
        "notes": notes(registration),
        "isFallbackPublicClient": False,
    }
    if request.description is not None:
        body["description"] = request.description
    if request.service_management_reference is not None:
        body["serviceManagementReference"] = request.service_management_reference
    body |= _of_client_type(registration, tenant)
    if secret is not None:
        body["passwordCredentials"] = [{"displayName": secret.label, "endDateTime": graph_time(secret.expires_at)}]
    if tenant.registrar_object_id is not None:
        # A plain POST makes the caller the owner by most reports, not by all; bound explicitly it is safe either way.
        owner = f"{tenant.graph_endpoint}/v1.0/directoryObjects/{tenant.registrar_object_id}"
        body["owners@odata.bind"] = [owner]
    return body


def _of_client_type(registration: Registration, tenant: Tenant) -> dict[str, Any]:
    match registration.request:
        case ResourceApplicationRequest() as request:
            return _resource(registration, request, tenant)
        case ConfidentialClientRequest() as request:
            return _confidential(request) | _required_access(registration)
        case PublicClientRequest() as request:
            return _public(request) | _required_access(registration)
        case ServiceClientRequest() as request:
            body = _required_access(registration)
            if isinstance(request.credential, CertificateCredential):
                body["keyCredentials"] = [key_credential(registration, request.credential)]
            return body
        case _ as never:
            assert_never(never)


def _resource(registration: Registration, request: ResourceApplicationRequest, tenant: Tenant) -> dict[str, Any]:
    body = offered(registration)
    if request.access_token_version == 1:
        # With version 2 the URI holds the client id, which Entra has yet to assign: it follows in a second call.
        body["identifierUris"] = [identifier_uri(request.fhir_server_url, tenant.id, tenant.verified_domains)]
    body["api"]["requestedAccessTokenVersion"] = request.access_token_version
    return body


def _confidential(request: ConfidentialClientRequest) -> dict[str, Any]:
    web: dict[str, Any] = {"redirectUris": list(request.redirect_uris), **_NO_IMPLICIT_GRANT}
    if request.logout_url is not None:
        web["logoutUrl"] = request.logout_url
    return {"web": web}


def _public(request: PublicClientRequest) -> dict[str, Any]:
    platform = str(redirect_platform(request))
    return {platform: {"redirectUris": list(request.redirect_uris)}, "web": dict(_NO_IMPLICIT_GRANT)}


def mapped_claims(request: RegistrationRequest) -> dict[str, Any]:
    """Return the body of the `PATCH` that has tokens carry mapped claims; empty where nobody asked for it.

    In the create call Graph denies it to whoever may write its own applications only (nais/azurerator #164).
    """
    return {"api": {"acceptMappedClaims": True}} if getattr(request, "accept_mapped_claims", None) else {}


def maps_claims(application: Application) -> bool:
    """Whether Entra has it that tokens for the application may carry mapped claims."""
    return bool((application.properties.get("api") or {}).get("acceptMappedClaims"))


def key_credential(
    registration: Registration, credential: CertificateCredential, label: str | None = None
) -> dict[str, str]:
    """Return the client's certificate, as Graph wants it; its label is that of the operation, unless one is given."""
    return {
        "type": "AsymmetricX509Cert",
        "usage": "Verify",
        "key": as_base64(credential.certificate),
        "displayName": label or registration.credential_label,
    }


def _required_access(registration: Registration) -> dict[str, Any]:
    """Declare what the client asks for; an administrator grants it, or who agrees for the resource."""
    entries = _entries(_asked_access(registration))
    return {"requiredResourceAccess": entries} if entries else {}


class Access(NamedTuple):
    """A permission that an application asks for: of which resource, its id there, and whether scope or role."""

    client_id: str
    id: str
    type: str


def _asked_access(registration: Registration) -> list[Access]:
    """Return what the client asks of its resource, and of Microsoft Graph for the sign-in.

    Of a resource without a service principal nothing can be declared.
    """
    resource, asked = registration.resource, list[Access]()
    if resource is not None and resource.service_principal_id is not None:
        asked += [Access(resource.client_id, each.id, "Scope") for each in resource.scopes]
        asked += [Access(resource.client_id, each.id, "Role") for each in resource.app_roles]
    return [*asked, *(Access(GRAPH_CLIENT_ID, each.id, "Scope") for each in openid_scopes(registration.request))]


def _entries(asked: Iterable[Access]) -> list[dict[str, Any]]:
    """Return the permissions as Graph wants them: one entry for each resource."""
    found: dict[str, list[dict[str, str]]] = {}
    for each in asked:
        found.setdefault(each.client_id, []).append({"id": each.id, "type": each.type})
    return [{"resourceAppId": client_id, "resourceAccess": access} for client_id, access in found.items()]


def resource_identifier(registration: Registration, tenant: Tenant) -> str:
    """Return the identifier URI that tokens for a resource application of ours are asked with."""
    request = registration.request
    if not isinstance(request, ResourceApplicationRequest):
        raise TypeError("only a resource application has an identifier URI")
    if registration.identifier_uri is not None:
        return registration.identifier_uri  # as it was registered, whatever VERIFIED_DOMAINS says today
    if request.access_token_version == 1:
        return identifier_uri(request.fhir_server_url, tenant.id, tenant.verified_domains)
    return f"api://{registration.client_id}"


def tags(registration: Registration) -> list[str]:
    """Return the marks by which an application is known to be ours, and whose."""
    return [
        TAG,
        f"{TAG}:id={registration.id}",
        f"{TAG}:type={registration.client_type}",
        f"{TAG}:owner={registration.request.owner}",
    ]


def marks(registration: Registration, there: Iterable[str]) -> list[str]:
    """Return the marks, and behind them the tags that others have put there."""
    ours = tags(registration)
    replaced = tuple(f"{each.partition('=')[0]}=" for each in ours if "=" in each)
    return [*ours, *(each for each in there if each != TAG and not each.startswith(replaced))]


def is_marked(registration: Registration, tags: Iterable[str], sign_in_audience: str) -> bool:
    """Whether an application carries this registration's mark; without it, it is neither adopted nor touched."""
    return f"{TAG}:id={registration.id}" in tags and sign_in_audience == SIGN_IN_AUDIENCE


def marked_id(tags: Iterable[str]) -> str | None:
    """Return the id of the registration that an application's tags name."""
    prefix = f"{TAG}:id="
    return next((tag.removeprefix(prefix) for tag in tags if tag.startswith(prefix)), None)


def changed_properties(registration: Registration, there: Application | None = None) -> dict[str, Any]:
    """Return the body of the `PATCH` that brings an application to what its registration asks for now.

    `there` is the application as it is. What this service never set stays beside what it sets.
    """
    request = registration.request
    body: dict[str, Any] = {
        "displayName": request.display_name,
        "description": request.description,
        "serviceManagementReference": request.service_management_reference,
        "notes": notes(registration),
        "tags": marks(registration, there.tags if there is not None else ()),
        **offered(registration, there),
    }
    if registration.resource is not None:
        by_hand = permissions_added_by_hand(registration, there)
        body["requiredResourceAccess"] = _entries([*_asked_access(registration), *by_hand])
    platform = redirect_platform(request)
    if platform is not None:
        asked_for = list(getattr(request, "redirect_uris", ()))
        body[platform] = {"redirectUris": asked_for + added_by_hand(registration, there)}
    if isinstance(request, ConfidentialClientRequest):
        body["web"]["logoutUrl"] = request.logout_url
    return body


def added_by_hand(registration: Registration, there: Application | None) -> list[str]:
    """Return the redirect URIs of its platform that the application has and this service never set."""
    platform = redirect_platform(registration.request)
    if platform is None or there is None:
        return []
    ours = {*getattr(registration.request, "redirect_uris", ()), *registration.former_redirect_uris}
    return [uri for uri in there.redirect_uris.get(platform, ()) if uri not in ours]


def permissions_added_by_hand(registration: Registration, there: Application | None) -> list[Access]:
    """Return the permissions that the application asks for and this service never declared."""
    if registration.resource is None or there is None:
        return []
    ours = _asked_access(registration)
    return [
        access
        for access in required_access(there.properties)
        if access not in ours and access.id not in registration.former_permissions
    ]


def required_access(properties: Mapping[str, Any]) -> list[Access]:
    """Return each permission that an application of Graph's asks for."""
    return [
        Access(str(entry["resourceAppId"]), str(each["id"]), str(each["type"]))
        for entry in properties.get("requiredResourceAccess") or ()
        for each in entry.get("resourceAccess") or ()
    ]


def redirect_platform(request: RegistrationRequest) -> str | None:
    """Return the property of an application that holds the redirect URIs of such a client."""
    match request:
        case ConfidentialClientRequest():
            return "web"
        case PublicClientRequest():
            return "spa" if request.platform == "spa" else "publicClient"
        case _:
            return None


def notes(registration: Registration) -> str:
    """Return, as JSON, what a rebuild of the registry needs and tags cannot hold, and which change this is."""
    request = registration.request
    kept = {
        "contact": request.contact,
        "resource": getattr(request, "resource", None),
        "fhirServerUrl": getattr(request, "fhir_server_url", None),
        "secretLifetime": getattr(request, "secret_lifetime", None),
        "autoRotate": getattr(request, "auto_rotate", None),
        "caller": registration.caller,
        "hash": registration.request_hash,
        "change": registration.change,
    }
    return json.dumps({name: value for name, value in kept.items() if value is not None}, separators=(",", ":"))


def change_of(notes: str) -> int | None:
    """Return the number of the latest change that an application has; None for notes that are not ours any more."""
    try:
        change = json.loads(notes)["change"]
    except (ValueError, KeyError, TypeError):
        return None
    return change if isinstance(change, int) else None


def graph_time(moment: datetime) -> str:
    """Return the time as Graph writes it, to the second."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
