"""What Entra knows, in our words: applications with their credentials, service principals, permissions."""

from collections.abc import Mapping
from dataclasses import field
from datetime import datetime
from typing import Any

from provisioning.domain.secrets import MintedSecret
from provisioning.domain.values import dataclass


@dataclass(frozen=True, slots=True)
class Credential:
    """A client secret of an application, as Entra lists it: its text is never told again."""

    key_id: str
    label: str
    minted_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True)
class Application:
    """An application as Entra has it; `secret` only when this very request minted one.

    `redirect_uris` are by platform: `web`, `spa`, `publicClient`. `preauthorized` are, by client id, the ids of the
    scopes to which nobody need consent for that client.
    `properties` is what of it a change sets, as Graph has it.
    `certificates` are the display names of its certificates, and `certificate_ids` their key ids.
    `has_certificate` is whether the answer shows one; it may have one that the answer does not show. `owners` are the
    object ids of its owners, where they were asked for.
    """

    object_id: str
    client_id: str
    sign_in_audience: str
    tags: tuple[str, ...] = ()
    notes: str = ""
    identifier_uris: tuple[str, ...] = ()
    redirect_uris: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    credentials: tuple[Credential, ...] = ()
    secret: MintedSecret | None = None
    has_certificate: bool = False
    preauthorized: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    properties: Mapping[str, Any] = field(default_factory=dict)
    certificates: tuple[str, ...] = ()
    certificate_ids: tuple[str, ...] = ()
    owners: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class CertificateThere:
    """A certificate of an application, as Entra has it: `key` is its DER in base64."""

    key_id: str
    label: str
    key: str
    begins_at: datetime
    ends_at: datetime


@dataclass(frozen=True, slots=True)
class TrustedToken:
    """A federated identity credential: whoever shows a token with these claims signs in as the application."""

    name: str
    issuer: str
    subject: str
    audience: str


@dataclass(frozen=True, slots=True)
class Permission:
    """A scope or an app role of a resource: its id in the manifest and its name in tokens."""

    id: str
    value: str


@dataclass(frozen=True, slots=True)
class ResourceServicePrincipal:
    """The service principal of a resource: what a client may ask of it."""

    id: str
    client_id: str
    scopes: tuple[Permission, ...]
    app_roles: tuple[Permission, ...]


@dataclass(frozen=True, slots=True)
class ResolvedResource:
    """The OAuth resource that a client asked for, as found in the queue function.

    `registration_id` is that of a resource of ours. `audience` is the identifier that tokens are asked for.
    `service_principal_id` is None where the tenant has no service principal for it; then nothing can be declared in the
    manifest. `fhir_service` is the URL of a managed FHIR service, whose data is opened by Azure roles: `data_roles` are
    those that are asked for, by the ids of their definitions.
    """

    audience: str
    client_id: str
    service_principal_id: str | None
    scopes: tuple[Permission, ...] = ()
    app_roles: tuple[Permission, ...] = ()
    fhir_service: str | None = None
    registration_id: str | None = None
    data_roles: tuple[Permission, ...] = ()


@dataclass(frozen=True, slots=True)
class Manifests:
    """Applications that carry our tag, each as Graph describes it, with all that a registration is rebuilt from."""

    manifests: tuple[Mapping[str, Any], ...]
    continuation_token: str | None


@dataclass(frozen=True, slots=True)
class Marked:
    """The ids of registrations by whose mark a part of the directory or of the vault is known to be ours."""

    registration_ids: tuple[str, ...]
    continuation_token: str | None
