"""The way back from an application in Entra to its registration: by its marks, and by what it is. Pure.

`manifest.py` writes what is read here. What only the tables knew is not here: events, who holds a freed name, requests
for which nothing was created.
"""

import json
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlsplit

from provisioning.domain.certificates import from_base64
from provisioning.domain.client_types import ClientType
from provisioning.domain.directory import Permission, TrustedToken
from provisioning.domain.intake import DEFAULT_SCOPE, RegistrationRequest, fingerprint, restore
from provisioning.domain.manifest import SIGN_IN_AUDIENCE, TAG, change_of
from provisioning.domain.openid import GRAPH_CLIENT_ID, OPENID_SCOPES
from provisioning.domain.operation import Operation, OperationStatus, OperationType
from provisioning.domain.registration import REGISTRATION_ID, Registration, Status
from provisioning.domain.secrets import CREDENTIAL_LABEL_PREFIX, labelled_time
from provisioning.domain.values import dataclass

Manifest = Mapping[str, Any]

# In place of what somebody took out of the notes: an address that nobody has (RFC 2606).
LOST_CONTACT: Final = "contact-lost@registrar.invalid"
UNKNOWN_CALLER: Final = "unknown"
_OPERATIONS: Final = uuid.UUID("0c7f6a0e-31a7-5e0d-8c55-4f0b1a9f6d21")


class Unrecoverable(Exception):
    """Why there is no way back from an application; the text is a constant of ours."""


@dataclass(frozen=True, slots=True)
class Marks:
    """What the marks of an application say of its registration."""

    registration_id: str
    client_type: ClientType
    owner: str
    notes: Mapping[str, Any]


def marks_of(manifest: Manifest) -> Marks:
    """Return the marks of an application; raise Unrecoverable where they do not tell whose it is."""
    tags = {name: value for name, _, value in (tag.partition("=") for tag in manifest.get("tags") or ())}
    identity, owner = tags.get(f"{TAG}:id", ""), tags.get(f"{TAG}:owner", "")
    if not REGISTRATION_ID.fullmatch(identity):
        raise Unrecoverable("its tag fhir-registrar:id is missing or names no registration")
    if manifest.get("signInAudience") != SIGN_IN_AUDIENCE:
        raise Unrecoverable("its signInAudience is not AzureADMyOrg any more")
    try:
        client_type = ClientType(tags.get(f"{TAG}:type", ""))
        uuid.UUID(owner)
    except ValueError:
        raise Unrecoverable("its tags fhir-registrar:type and fhir-registrar:owner are missing or wrong") from None
    return Marks(identity, client_type, owner, _notes(manifest))


def _notes(manifest: Manifest) -> Mapping[str, Any]:
    try:
        content = json.loads(manifest.get("notes") or "")
    except ValueError:
        return {}
    return content if isinstance(content, dict) else {}


Named = Callable[[str], Sequence[Permission]]


def request_of(
    manifest: Manifest, marks: Marks, offered: Named, tokens: Sequence[TrustedToken] = ()
) -> RegistrationRequest:
    """Return what the application's owner asks for, as the application has it.

    `offered` returns the permissions of a resource by its client id, and `tokens` are the application's federated
    credentials. Raises Unrecoverable where the application does not tell enough.
    """
    common = {
        "clientType": marks.client_type.value,
        "displayName": manifest.get("displayName"),
        "owner": marks.owner,
        "contact": marks.notes.get("contact") or LOST_CONTACT,
        "description": manifest.get("description"),
        "serviceManagementReference": manifest.get("serviceManagementReference"),
    }
    own: Mapping[str, Any]
    match marks.client_type:
        case ClientType.RESOURCE:
            own = _resource(manifest, marks.notes)
        case ClientType.CONFIDENTIAL:
            own = _confidential(manifest, marks.notes, offered)
        case ClientType.PUBLIC:
            own = _public(manifest, marks.notes, offered)
        case ClientType.SERVICE:
            own = _service(manifest, marks.notes, offered, tokens)
    body = {name: value for name, value in {**common, **own}.items() if value is not None}
    try:
        return restore(body)
    except (ValueError, KeyError, TypeError):
        raise Unrecoverable("the application does not have what a registration of its type needs") from None


def _resource(manifest: Manifest, notes: Mapping[str, Any]) -> dict[str, Any]:
    api = manifest.get("api") or {}
    return {
        "fhirServerUrl": notes.get("fhirServerUrl") or _server_url(manifest),
        "scopes": [each["value"] for each in api.get("oauth2PermissionScopes") or () if each.get("isEnabled", True)],
        "appRoles": [each["value"] for each in manifest.get("appRoles") or () if each.get("isEnabled", True)],
        "accessTokenVersion": api.get("requestedAccessTokenVersion") or 1,
        "acceptMappedClaims": api.get("acceptMappedClaims") or None,
    }


def _server_url(manifest: Manifest) -> str | None:
    """Return the URL of the server that an identifier URI was derived from; None where it holds a client id."""
    for uri in manifest.get("identifierUris") or ():
        parts = urlsplit(uri)
        if parts.scheme == "https":
            return str(uri)
        if parts.scheme == "api" and parts.path.strip("/"):
            return f"https:/{parts.path}"
    return None


def _confidential(manifest: Manifest, notes: Mapping[str, Any], offered: Named) -> dict[str, Any]:
    web = manifest.get("web") or {}
    return {
        **_client(manifest, notes),
        "redirectUris": web.get("redirectUris") or [],
        "logoutUrl": web.get("logoutUrl"),
        "scopes": _scopes(manifest, offered),
        "acceptMappedClaims": (manifest.get("api") or {}).get("acceptMappedClaims") or None,
        "secretLifetime": notes.get("secretLifetime"),
        "autoRotate": bool(notes.get("autoRotate")),
    }


def _public(manifest: Manifest, notes: Mapping[str, Any], offered: Named) -> dict[str, Any]:
    spa, native = ((manifest.get(name) or {}).get("redirectUris") or [] for name in ("spa", "publicClient"))
    return {
        **_client(manifest, notes),
        "platform": "spa" if spa else "native",
        "redirectUris": spa or native,
        "scopes": _scopes(manifest, offered),
        "acceptMappedClaims": (manifest.get("api") or {}).get("acceptMappedClaims") or None,
    }


def _service(
    manifest: Manifest, notes: Mapping[str, Any], offered: Named, tokens: Sequence[TrustedToken]
) -> dict[str, Any]:
    credential = _credential(manifest, tokens)
    return {
        **_client(manifest, notes),
        "appRoles": [value for kind, value in _asked(manifest, offered) if kind == "Role"],
        "credential": credential,
        "secretLifetime": notes.get("secretLifetime") if credential["type"] == "secret" else None,
    }


def _client(manifest: Manifest, notes: Mapping[str, Any]) -> dict[str, Any]:
    """Return the resource by the name that the owner gave it, or by its client id where the notes are not ours."""
    return {"resource": notes.get("resource") or next(iter(resources_of(manifest)), None)}


def resources_of(manifest: Manifest) -> list[str]:
    """Return the client ids of the resources that the application asks anything of, but for Microsoft Graph."""
    asked = [each["resourceAppId"] for each in manifest.get("requiredResourceAccess") or ()]
    return [client_id for client_id in asked if client_id != GRAPH_CLIENT_ID]


def _asked(manifest: Manifest, offered: Named) -> list[tuple[str, str]]:
    """Return the kind and the name of each permission that the application asks for."""
    openid, found = {identity: name for name, identity in OPENID_SCOPES.items()}, []
    for entry in manifest.get("requiredResourceAccess") or ():
        client_id = entry["resourceAppId"]
        names = openid if client_id == GRAPH_CLIENT_ID else {each.id: each.value for each in offered(client_id)}
        for access in entry.get("resourceAccess") or ():
            if access["id"] not in names:
                raise Unrecoverable("it asks for a permission that its resource does not have any more")
            found.append((access["type"], names[access["id"]]))
    return found


def _scopes(manifest: Manifest, offered: Named) -> list[str] | None:
    """Return the scopes; none where it is the one that is asked for by itself, or nothing could be declared."""
    names = [value for kind, value in _asked(manifest, offered) if kind == "Scope"]
    return None if names in ([], [DEFAULT_SCOPE]) else names


def _credential(manifest: Manifest, tokens: Sequence[TrustedToken]) -> dict[str, Any]:
    if tokens:
        first, subjects = tokens[0], [each.subject for each in tokens]
        own = {"subject": subjects[0]} if len(subjects) == 1 else {"subjects": subjects}
        audience = {"audience": first.audience} if first.audience else {}
        return {"type": "federated", "issuer": first.issuer, **audience, **own}
    if has_secret(manifest):
        return {"type": "secret"}
    keys = [each for each in manifest.get("keyCredentials") or () if each.get("key")]
    if keys:  # the one that was added last, and of those that were there from the first the one that lives longest
        latest = max(keys, key=lambda each: (_added(each), str(each.get("endDateTime"))))
        return {"type": "certificate", "certificate": from_base64(latest["key"])}
    return {"type": "secret"}


def _added(key: Mapping[str, Any]) -> tuple[bool, str]:
    """Return what sorts a certificate by when this service added it; behind those of others."""
    label = str(key.get("displayName") or "")
    added_at = labelled_time(label)
    return label.startswith(CREDENTIAL_LABEL_PREFIX), added_at.isoformat() if added_at is not None else ""


def has_secret(manifest: Manifest) -> bool:
    """Whether the application has a secret of this service's making."""
    labels = [each.get("displayName") or "" for each in manifest.get("passwordCredentials") or ()]
    return any(label.startswith(CREDENTIAL_LABEL_PREFIX) for label in labels)


def registration_of(manifest: Manifest, marks: Marks, request: RegistrationRequest, now: datetime) -> Registration:
    """Return the registration, active and due at once: whatever is left to do for it is found by the next check."""
    created_at = datetime.fromisoformat(str(manifest.get("createdDateTime") or now.isoformat())).astimezone(UTC)
    uris = manifest.get("identifierUris") or ()
    kept_hash, caller = marks.notes.get("hash"), marks.notes.get("caller")
    return Registration(
        id=marks.registration_id,
        caller=caller if isinstance(caller, str) else UNKNOWN_CALLER,
        request=request,
        request_hash=kept_hash if isinstance(kept_hash, str) else fingerprint(request),
        status=Status.ACTIVE,
        operation=Operation(
            str(uuid.uuid5(_OPERATIONS, marks.registration_id)),
            OperationType.PROVISION,
            OperationStatus.SUCCEEDED,
            created_at,
        ),
        created_at=created_at,
        updated_at=now,
        due_at=now,
        application_object_id=str(manifest["id"]),
        client_id=str(manifest["appId"]),
        identifier_uri=str(uris[0]) if uris and marks.client_type is ClientType.RESOURCE else None,
        change=change_of(str(manifest.get("notes") or "")) or 0,
    )


def unfinished(row: Registration, now: datetime) -> Registration:
    """Return it as one whose provisioning goes on: something of it is not there."""
    operation = replace(row.operation, status=OperationStatus.PENDING, requested_at=now)
    return replace(row, status=Status.ACCEPTED, operation=operation)


def twice(identities: Iterable[str]) -> frozenset[str]:
    """Return what is there more than once."""
    return frozenset(each for each, count in Counter(identities).items() if count > 1)
