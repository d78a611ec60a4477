"""Key Vault's rules for secrets, in memory; tokens and addresses are `routes.py`'s."""

from __future__ import annotations

import random
import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING

from dev.emulator.constants import REGISTRAR_OBJECT_ID
from dev.emulator.errors import Json, VaultError

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from dev.emulator.faults import Faults

LARGEST_VALUE = 25 * 1024  # bytes
MOST_TAGS = 15
LONGEST_TAG = 256
LONGEST_CONTENT_TYPE = 255
LARGEST_PAGE = 25
RECOVERABLE_DAYS = 90
_NAME = re.compile(r"[0-9a-zA-Z-]{1,127}")


@dataclass
class Version:
    """One version of a secret."""

    id: str
    value: str
    content_type: str | None
    tags: dict[str, str]
    enabled: bool
    expires: int | None
    not_before: int | None
    created: datetime
    updated: datetime
    number: int


@dataclass
class Secret:
    """A name with all its versions, oldest first."""

    name: str
    versions: list[Version] = field(default_factory=list)
    deleted_at: datetime | None = None
    recovered_at: datetime | None = None


class Vault:
    """The secrets of one vault. Names are compared without regard to case."""

    def __init__(
        self,
        *,
        url: str,
        faults: Faults,
        now: Callable[[], datetime],
        seed: int,
        reads: Callable[[str, str], bool] = lambda _object_id, _name: False,
    ) -> None:
        self.url = url
        self._reads = reads  # whether somebody, by object id, has a role that reads the secret of that name
        self._faults = faults
        self._now = now
        self._rng = random.Random(seed)  # noqa: S311 -- the names of versions guard nothing
        self._number = 0
        self.secrets: dict[str, Secret] = {}
        self.deleted: dict[str, Secret] = {}
        self.officers = {REGISTRAR_OBJECT_ID}  # object ids with the role Key Vault Secrets Officer

    @property
    def page_cap(self) -> int | None:
        """The most items of a page at present, below the vault's own limit."""
        return self._faults.switches.page_size

    def authorize(self, object_id: str, reading: str | None = None) -> None:
        """The caller's role on the vault; for `reading` a secret one on that secret is enough."""
        allowed = object_id in self.officers or (reading is not None and self._reads(object_id, reading))
        if self._faults.switches.vault_denied or not allowed:
            raise VaultError(
                403,
                "Forbidden",
                "Caller is not authorized to perform action on resource. If role assignments, deny assignments or role "
                "definitions were changed recently, please observe propagation time.",
                "ForbiddenByRbac",
            )

    def set(self, name: str, body: Json) -> Json:
        """PUT /secrets/{name}: every call makes a new version."""
        _check_name(name)
        asked = _read(body, {"value", "contentType", "tags", "attributes"})
        value = asked.get("value")
        if not isinstance(value, str):
            raise _bad("The request body must have a value.")
        if len(value.encode()) > LARGEST_VALUE:
            raise _bad("The secret value is too large: at most 25 KB are allowed.")
        self._check_free(name)
        self._number += 1
        now = self._now()
        version = Version(
            id=f"{self._rng.getrandbits(128):032x}",
            value=value,
            content_type=None,
            tags={},
            enabled=True,
            expires=None,
            not_before=None,
            created=now,
            updated=now,
            number=self._number,
        )
        _apply(version, asked)
        secret = self.secrets.setdefault(name.lower(), Secret(name))
        secret.versions.append(version)
        return self._bundle(secret, version)

    def _check_free(self, name: str) -> None:
        deleted, recovered = self.deleted.get(name.lower()), self.secrets.get(name.lower())
        if deleted is not None and self._is_moving(deleted.deleted_at):
            message = f"Secret {name} is currently being deleted and cannot be re-created; retry later."
            raise VaultError(409, "Conflict", message, "ObjectIsBeingDeleted")
        if deleted is not None:
            raise VaultError(
                409,
                "Conflict",
                f"Secret {name} is currently in a deleted but recoverable state, and its name cannot be reused; in "
                "this state, the secret can only be recovered or purged.",
                "ObjectIsDeletedButRecoverable",
            )
        if recovered is not None and self._is_moving(recovered.recovered_at):
            message = f"Secret {name} is currently being recovered and cannot be re-created; retry later."
            raise VaultError(409, "Conflict", message, "ObjectIsBeingRecovered")

    def _is_moving(self, since: datetime | None) -> bool:
        """Whether a deletion or recovery that began then is still under way."""
        return since is not None and self._now() < since + timedelta(seconds=self._faults.switches.vault_transition)

    def get(self, name: str, version_id: str = "") -> Json:
        """GET /secrets/{name}[/{version}]. Dates only inform; a disabled version is not given out."""
        secret, version = self._find(name, version_id)
        if not version.enabled:
            raise VaultError(403, "Forbidden", "Operation get is not allowed on a disabled secret.", "SecretDisabled")
        return self._bundle(secret, version)

    def update(self, name: str, version_id: str, body: Json) -> Json:
        """PATCH /secrets/{name}/{version}: everything but the value."""
        secret, version = self._find(name, version_id)
        _apply(version, _read(body, {"contentType", "tags", "attributes"}))
        version.updated = self._now()
        bundle = self._bundle(secret, version)
        del bundle["value"]
        return bundle

    def versions(self, name: str) -> list[Json]:
        """GET /secrets/{name}/versions."""
        secret, _ = self._find(name, "")
        return [{**self._item(secret, version, with_version=True), "#": version.number} for version in secret.versions]

    def listed(self) -> list[Json]:
        """GET /secrets: the current version of each, without the value."""
        return [
            {**self._item(secret, secret.versions[-1], with_version=False), "#": secret.versions[0].number}
            for secret in self.secrets.values()
        ]

    def delete(self, name: str) -> Json:
        """DELETE /secrets/{name}: all versions at once, recoverable."""
        secret, _ = self._find(name, "")
        del self.secrets[name.lower()]
        secret.deleted_at = self._now()
        self.deleted[name.lower()] = secret
        return self._deleted_bundle(secret)

    def get_deleted(self, name: str) -> Json:
        """GET /deletedsecrets/{name}."""
        return self._deleted_bundle(self._find_deleted(name))

    def listed_deleted(self) -> list[Json]:
        """GET /deletedsecrets."""
        return [
            {**self._deletion(secret), **self._item(secret, secret.versions[-1], with_version=False)}
            | {"#": secret.versions[0].number}
            for secret in self.deleted.values()
        ]

    def recover(self, name: str) -> Json:
        """POST /deletedsecrets/{name}/recover."""
        secret = self._find_deleted(name)
        del self.deleted[name.lower()]
        secret.deleted_at = None
        secret.recovered_at = self._now()
        self.secrets[name.lower()] = secret
        bundle = self._bundle(secret, secret.versions[-1])
        del bundle["value"]
        return bundle

    def purge(self, name: str) -> None:
        """DELETE /deletedsecrets/{name}."""
        self._find_deleted(name)
        if self._faults.switches.vault_purge_protected:
            message = 'Operation "purge" is not allowed because purge protection is enabled for this vault.'
            raise VaultError(403, "Forbidden", message)
        del self.deleted[name.lower()]

    def _find(self, name: str, version_id: str) -> tuple[Secret, Version]:
        _check_name(name)
        secret = self.secrets.get(name.lower())
        if secret is not None and not self._is_moving(secret.recovered_at):
            for version in reversed(secret.versions):
                if version_id in ("", version.id):
                    return secret, version
        raise VaultError(
            404,
            "SecretNotFound",
            f"A secret with (name/id) {name}{'/' if version_id else ''}{version_id} was not found in this key vault. "
            "If you recently deleted this secret you may be able to recover it using the correct recovery command.",
        )

    def _find_deleted(self, name: str) -> Secret:
        _check_name(name)
        secret = self.deleted.get(name.lower())
        if secret is None or self._is_moving(secret.deleted_at):
            raise VaultError(404, "SecretNotFound", f"Deleted Secret not found: {name}")
        return secret

    def _bundle(self, secret: Secret, version: Version) -> Json:
        return {"value": version.value, **self._item(secret, version, with_version=True)}

    def _item(self, secret: Secret, version: Version, *, with_version: bool) -> Json:
        attributes: Json = {
            "enabled": version.enabled,
            "nbf": version.not_before,
            "exp": version.expires,
            "created": int(version.created.timestamp()),
            "updated": int(version.updated.timestamp()),
            "recoveryLevel": "Recoverable" if self._faults.switches.vault_purge_protected else "Recoverable+Purgeable",
            "recoverableDays": RECOVERABLE_DAYS,
        }
        item: Json = {
            "id": f"{self.url}/secrets/{secret.name}" + (f"/{version.id}" if with_version else ""),
            "attributes": {name: value for name, value in attributes.items() if value is not None},
        }
        if version.content_type is not None:
            item["contentType"] = version.content_type
        if version.tags:
            item["tags"] = dict(version.tags)
        return item

    def _deletion(self, secret: Secret) -> Json:
        assert secret.deleted_at is not None
        deleted = int(secret.deleted_at.timestamp())
        return {
            "recoveryId": f"{self.url}/deletedsecrets/{secret.name}",
            "deletedDate": deleted,
            "scheduledPurgeDate": deleted + RECOVERABLE_DAYS * 86_400,
        }

    def _deleted_bundle(self, secret: Secret) -> Json:
        return {**self._deletion(secret), **self._item(secret, secret.versions[-1], with_version=True)}


def _bad(message: str) -> VaultError:
    return VaultError(400, "BadParameter", message)


def _check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise _bad(f"The request URI contains an invalid name: {name}")


def _read(body: Json, known: set[str]) -> Json:
    unknown = sorted(set(body) - known)
    if unknown:
        raise _bad(f"Property  has invalid value: unknown property {unknown[0]}")
    return body


def _apply(version: Version, asked: Json) -> None:
    """Take over everything but the value, all or nothing."""
    content_type, tags = asked.get("contentType"), asked.get("tags")
    attributes = asked.get("attributes") or {}
    if content_type is not None and not (isinstance(content_type, str) and len(content_type) <= LONGEST_CONTENT_TYPE):
        raise _bad("The content type must be text of at most 255 characters.")
    if tags is not None:
        texts = [text for pair in tags.items() for text in pair] if isinstance(tags, dict) else [None]
        if len(texts) > 2 * MOST_TAGS or not all(isinstance(text, str) and len(text) <= LONGEST_TAG for text in texts):
            raise _bad("At most 15 tags are allowed, with names and values of at most 256 characters.")
    _apply_attributes(version, attributes)
    if content_type is not None:
        version.content_type = content_type
    if tags is not None:
        version.tags = dict(tags)


def _apply_attributes(version: Version, attributes: object) -> None:
    if not isinstance(attributes, dict):
        raise _bad("The attributes must be an object.")
    _read(attributes, {"enabled", "exp", "nbf", "created", "updated", "recoveryLevel", "recoverableDays"})
    enabled, expires, starts = attributes.get("enabled"), attributes.get("exp"), attributes.get("nbf")
    whole = all(
        value is None or (isinstance(value, int) and not isinstance(value, bool)) for value in (expires, starts)
    )
    if not whole or not isinstance(enabled, bool | None):
        raise _bad("The attributes exp and nbf must be whole seconds, and enabled a boolean.")
    if expires is not None and starts is not None and expires <= starts:
        raise _bad("The attribute exp must be later than nbf.")
    version.enabled = version.enabled if enabled is None else enabled
    version.expires = version.expires if expires is None else expires
    version.not_before = version.not_before if starts is None else starts
