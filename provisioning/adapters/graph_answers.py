"""What Microsoft Graph's answers hold, as this service knows it; what its refusals mean is in `graph_errors.py`."""

from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from provisioning.domain.directory import (
    Application,
    CertificateThere,
    Credential,
    Permission,
    ResourceServicePrincipal,
    TrustedToken,
)
from provisioning.domain.secrets import MintedSecret, labelled_time

# What a change of a registration sets.
CHANGED: Final = (
    *("displayName", "description", "serviceManagementReference", "notes", "tags", "requiredResourceAccess"),
    *("api", "appRoles", "web", "spa", "publicClient"),
)
NEVER_OLD: Final = datetime(9000, 1, 1, tzinfo=UTC)  # of what Entra does not tell the age of


def application_of(answer: Mapping[str, Any]) -> Application:
    """Return the application of an answer."""
    platforms = {name: answer.get(name) or {} for name in ("web", "spa", "publicClient")}
    return Application(
        object_id=str(answer["id"]),
        client_id=str(answer["appId"]),
        sign_in_audience=str(answer.get("signInAudience", "")),
        tags=tuple(answer.get("tags") or ()),
        notes=str(answer.get("notes") or ""),
        identifier_uris=tuple(answer.get("identifierUris") or ()),
        redirect_uris={name: tuple(each.get("redirectUris") or ()) for name, each in platforms.items()},
        credentials=tuple(map(_credential, answer.get("passwordCredentials") or ())),
        has_certificate=bool(answer.get("keyCredentials")),
        preauthorized={
            str(each["appId"]): tuple(each.get("delegatedPermissionIds") or ())
            for each in (answer.get("api") or {}).get("preAuthorizedApplications") or ()
        },
        certificates=tuple(str(each.get("displayName") or "") for each in answer.get("keyCredentials") or ()),
        certificate_ids=tuple(str(each.get("keyId")) for each in answer.get("keyCredentials") or ()),
        properties={name: answer[name] for name in CHANGED if name in answer},
        owners=frozenset(str(each["id"]).lower() for each in answer["owners"]) if "owners" in answer else None,
    )


def _credential(item: Mapping[str, Any]) -> Credential:
    end, start = item.get("endDateTime"), item.get("startDateTime")
    label = str(item.get("displayName") or "")
    started_at = _time(start) if start else NEVER_OLD
    return Credential(
        key_id=str(item["keyId"]),
        label=label,
        minted_at=labelled_time(label) or started_at,
        expires_at=_time(end) if end else None,
    )


def _time(text: object) -> datetime:
    return datetime.fromisoformat(str(text)).astimezone(UTC)


def born_secret(answer: Mapping[str, Any], asked_at: datetime, expires_at: datetime) -> MintedSecret | None:
    """Return the secret that was born with an application, if exactly one was."""
    credentials = answer.get("passwordCredentials") or []
    return secret_of(credentials[0], asked_at, expires_at) if len(credentials) == 1 else None


def expiry_asked_for(body: Mapping[str, Any]) -> datetime:
    """Return the end that was asked for the secret that is born with an application."""
    credentials = body.get("passwordCredentials") or [{"endDateTime": "9999-12-31T00:00:00Z"}]
    return datetime.fromisoformat(credentials[0]["endDateTime"])


def secret_of(credential: Mapping[str, Any], asked_at: datetime, expires_at: datetime) -> MintedSecret | None:
    """Return the secret in an answer; None where its text or key id is missing, so that nobody could use it."""
    text, key_id, end = (credential.get(name) for name in ("secretText", "keyId", "endDateTime"))
    if not (text and key_id):
        return None
    if end:
        expires_at = _time(end)
    return MintedSecret(str(key_id), expires_at, asked_at, text=str(text))


def certificate_of(found: Mapping[str, Any]) -> CertificateThere:
    """Return the certificate of an answer."""
    return CertificateThere(
        key_id=str(found.get("keyId")),
        label=str(found.get("displayName") or ""),
        key=str(found.get("key") or ""),
        begins_at=_time(found["startDateTime"]),
        ends_at=_time(found["endDateTime"]),
    )


def trusted_token_of(found: Mapping[str, Any]) -> TrustedToken:
    """Return the federated identity credential of an answer."""
    audiences: list[Any] = found.get("audiences") or []
    return TrustedToken(
        name=str(found.get("name")),
        issuer=str(found.get("issuer")),
        subject=str(found.get("subject")),
        audience=str(audiences[0]) if len(audiences) == 1 else "",
    )


def service_principal_of(found: Mapping[str, Any]) -> ResourceServicePrincipal:
    """Return the service principal of a resource, with what of it may be asked for."""
    scopes = [scope for scope in found.get("oauth2PermissionScopes") or [] if scope.get("isEnabled", True)]
    roles = [
        role
        for role in found.get("appRoles") or []
        if role.get("isEnabled", True) and "Application" in role.get("allowedMemberTypes", ())
    ]
    return ResourceServicePrincipal(
        id=str(found["id"]), client_id=str(found["appId"]), scopes=_permissions(scopes), app_roles=_permissions(roles)
    )


def _permissions(items: Iterable[Mapping[str, Any]]) -> tuple[Permission, ...]:
    return tuple(Permission(str(item["id"]), str(item["value"])) for item in items if item.get("value"))
