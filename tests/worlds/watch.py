"""Those who use a secret are never cut off: what would do that is noted at the very call that does it.

A consumer reads the vault now and then, and goes on using what it read; so whatever the vault called current during
the last overlap is in use, until somebody asks that it ends.
"""

from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Protocol, TypeVar

from dev.emulator import Emulator
from provisioning.domain.secrets import CREDENTIAL_LABEL_PREFIX, labelled_time
from provisioning.ports import Clock, Registry
from provisioning.settings import Settings

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.emulator.graph.password_credentials import Password
    from dev.emulator.graph.records import Application
    from dev.emulator.vault.secrets import Version
    from provisioning.domain.registration import Registration

T = TypeVar("T")

ID_TAG = "fhir-registrar:id="


class Watchable(Protocol):
    """A world of which one can see who may use which secret."""

    @property
    def emulator(self) -> Emulator: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def registry(self) -> Registry: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def violations(self) -> list[str]: ...

    @property
    def lost(self) -> Collection[str]: ...


class Watch:
    """Looks at each outside call that may end a secret, and notes in the world what breaks a promise.

    `lost` are the key ids of what Entra itself lost, by whose end nobody broke anything.
    """

    def __init__(self, world: Watchable) -> None:
        self._world = world
        self.lost: set[str] = set()
        self._removed: set[str] = set()

    def over(self, name: str, path: str, act: "Callable[[], T]") -> "T":
        """Let a call take its effect, whose answer may be lost, and note what it did."""
        if name.endswith("/removePassword"):
            return self._over_removal(path, act)
        if name.startswith("PUT /secrets/"):
            return self._over_publication(act)
        if name == "DELETE /*/applications/*":
            self._before_deletion(path)
        return act()

    def _over_removal(self, path: str, act: "Callable[[], T]") -> "T":
        application = self._application(path)
        before = live(application, self._world.clock.now()) if application else []
        try:
            return act()
        finally:
            left = live(application, self._world.clock.now()) if application else []
            for each in before:
                if application is not None and each not in left:
                    self._removed.add(each.key_id)
                    self._world.violations.extend(self._wrong_removal(application, each, left))

    def _over_publication(self, act: "Callable[[], T]") -> "T":
        try:
            return act()
        finally:
            for secret in self._world.emulator.vault.secrets.values():
                if secret.versions[-1].tags.get("keyId") in self._removed:
                    self._world.violations.append("a secret was published that had been removed")

    def _before_deletion(self, path: str) -> None:
        application = self._application(path)
        row = self._row(application) if application else None
        if row is not None and not row.ending:
            self._world.violations.append("an application was deleted that nobody wants to end")

    def _wrong_removal(self, application: "Application", gone: "Password", left: "list[Password]") -> Iterator[str]:
        """Yield what a removal breaks, unless the registration is ending."""
        if not is_labelled(gone):
            yield "a credential was removed that is not ours"
        row = self._row(application)
        if row is None or row.ending:
            return
        versions = versions_of(self._world, row)
        if gone.key_id not in {each.tags.get("keyId") for each in versions}:
            return  # nobody ever knew its text
        if versions[-1].tags.get("keyId") == gone.key_id:
            yield "the vault's current secret was removed"
        if versions[-1].tags.get("id") != row.id:
            yield "a secret was removed while the vault's current one was somebody else's"
        if gone in in_use(self._world, row, application, self._world.settings.secrets.overlap):
            yield "a secret was removed that somebody may still use"
        if not any(is_labelled(each) for each in left):
            yield "the only valid secret was removed"

    def _application(self, path: str) -> "Application | None":
        records = self._world.emulator.directory.records
        return next((records[part] for part in path.split("/") if part in records), None)

    def _row(self, application: "Application") -> "Registration | None":
        ids = [tag.removeprefix(ID_TAG) for tag in application.last_body["tags"] if tag.startswith(ID_TAG)]
        return self._world.registry.get(ids[0]) if ids else None


def is_labelled(password: "Password") -> bool:
    return (password.display_name or "").startswith(CREDENTIAL_LABEL_PREFIX)


def minted_at(password: "Password") -> datetime:
    """When it counts as minted: by the time in its label, which no clock but ours set."""
    return labelled_time(password.display_name or "") or password.start


def live(application: "Application", now: datetime) -> "list[Password]":
    """The credentials that the token endpoint accepts, anybody's."""
    if application.deleted_at is not None:
        return []
    return [each for each in application.passwords if (each.removed_at or each.end) > now and each.end > now]


def versions_of(world: Watchable, row: "Registration") -> "list[Version]":
    secret = world.emulator.vault.secrets.get(row.secret_name.lower())
    return secret.versions if secret else []


def in_use(world: Watchable, row: "Registration", application: "Application", span: timedelta) -> "list[Password]":
    """The credentials that a consumer may use: current during that span, neither ended by their date nor revoked.

    Key Vault tells times to the second, so that what it says may be a second old.
    """
    now, versions = world.clock.now(), versions_of(world, row)
    if not versions:
        return []
    replaced_at = [*(each.created for each in versions[1:]), now]
    keys = {
        version.tags.get("keyId")
        for version, until in zip(versions, replaced_at, strict=True)
        if until >= now - span + timedelta(seconds=1)
    }
    current = versions[-1].tags.get("keyId")
    return [
        each
        for each in application.passwords
        if each.key_id in keys - set(world.lost)
        and each.end > now
        and (each.key_id == current or row.revoke_before is None or minted_at(each) >= row.revoke_before)
    ]
