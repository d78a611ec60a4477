"""What the directory remembers of an application and of a service principal; `directory.py` finds them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from dev.emulator.errors import Json
    from dev.emulator.graph.password_credentials import Password
    from dev.emulator.graph.replication import Replicas, Versioned


@dataclass(frozen=True)
class Caller:
    """Who sends a request, by the token, and which replica it has reached."""

    app_id: str
    object_id: str
    roles: frozenset[str]
    replica: int


@dataclass
class Application:
    """An app registration. `body` is None while it is deleted; then `last_body` is what a restore brings back."""

    number: int  # order of creation
    id: str
    app_id: str
    created_at: datetime
    created_by: str  # application id of the creator
    body: Versioned[Json]
    last_body: Json
    owners: set[str] = field(default_factory=set)
    passwords: list[Password] = field(default_factory=list)
    federated: list[Json] = field(default_factory=list)
    deleted_at: datetime | None = None


@dataclass
class AppRoleAssignment:
    """That a service principal holds an application role of a resource; `body` is None once that was taken back."""

    number: int
    id: str
    principal_id: str
    resource_id: str
    role_id: str
    body: Versioned[bool]

    @property
    def created_at(self) -> datetime:
        """When it was given."""
        return self.body.began_at


@dataclass
class ServicePrincipal:
    """An application's presence in the tenant. What it shows of the application is read from there."""

    number: int
    id: str
    app_id: str
    application: Application | None  # None: the application lives in another tenant
    published: Json  # for an application of another tenant: its names, roles and scopes
    body: Versioned[Json]
    last_body: Json
    owners: set[str] = field(default_factory=set)
    deleted_at: datetime | None = None

    def seen_by(self, replicas: Replicas, replica: int) -> tuple[Json, Json] | None:
        """Its own properties and its application's, if the replica has both."""
        body = self.body.seen_by(replicas, replica)
        face = self.application.body.seen_by(replicas, replica) if self.application else self.published
        return (body, face) if body is not None and face is not None else None

    @property
    def exposed(self) -> Json:
        """What it exposes as a resource, as the token endpoint knows it."""
        return self.published_by(self.application.last_body) if self.application else self.published

    def published_by(self, body: Json) -> Json:
        """What an application of this tenant with that body publishes in its service principal."""
        return {
            "appId": self.app_id,
            "displayName": body["displayName"],
            "servicePrincipalNames": [self.app_id, *body["identifierUris"]],
            "appRoles": body["appRoles"],
            "oauth2PermissionScopes": body["api"]["oauth2PermissionScopes"],
            "requestedAccessTokenVersion": body["api"]["requestedAccessTokenVersion"],
            "signInAudience": body["signInAudience"],
        }
