"""The service with one of its safety rules broken: what a simpler design would do, as a part of the world exchanged.

Each rule is prepared on a world before a schedule is played in it. On a calm day most of them do no harm at all.
"""

import json
import uuid
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Final, cast

from dev.emulator.graph.password_credentials import Password
from dev.emulator.vault.secrets import Version
from provisioning.domain.directory import Application
from provisioning.domain.errors import OutcomeUnknown
from provisioning.domain.operation import OperationType
from provisioning.domain.registration import Registration
from provisioning.domain.secrets import CREDENTIAL_LABEL_PREFIX, CurrentSecret, MintedSecret
from provisioning.ports import Directory, Registry, SecretStore, Services, TokenProof
from tests.worlds.watch import is_labelled
from tests.worlds.world import World

Rule = Callable[[World], None]


class InsteadOf:
    """Hands on whatever a weakened part does not do itself."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)


class MintsAgain(InsteadOf):
    """Takes a mint without an answer for one without effect, as a library that repeats by itself does."""

    def add_secret(self, object_id: str, label: str, expires_at: datetime) -> MintedSecret:
        while True:
            try:
                return cast("MintedSecret", self._inner.add_secret(object_id, label, expires_at))
            except OutcomeUnknown:
                continue


def repeat_a_mint_blindly(world: World) -> None:
    world.exchange(lambda services: replace(services, directory=cast("Directory", MintsAgain(services.directory))))


class CreatesNameless(InsteadOf):
    """Creates without the one name that Entra lets exist only once."""

    def create_application(self, body: Mapping[str, Any]) -> Application:
        nameless = {key: value for key, value in body.items() if key != "uniqueName"}
        return cast("Application", self._inner.create_application(nameless))


def create_without_a_unique_name(world: World) -> None:
    world.exchange(lambda services: replace(services, directory=cast("Directory", CreatesNameless(services.directory))))


class RemovesStrays(InsteadOf):
    """Removes, after each publication, every other credential that carries our label, whatever its age."""

    def __init__(self, inner: SecretStore, directory: Directory, world: World) -> None:
        super().__init__(inner)
        self._directory = directory
        self._world = world

    def publish(self, name: str, secret: MintedSecret, tags: Mapping[str, str], not_after: datetime) -> CurrentSecret:
        published = self._inner.publish(name, secret, tags, not_after)
        application = self._world.emulator.directory.application(unique_name=name)
        assert application is not None
        for each in application.passwords:
            labelled = (each.display_name or "").startswith(CREDENTIAL_LABEL_PREFIX)
            if labelled and each.removed_at is None and each.key_id != secret.key_id:
                self._directory.remove_secret(application.id, each.key_id)
        return cast("CurrentSecret", published)


def remove_strays_by_label_alone(world: World) -> None:
    world.exchange(
        lambda services: replace(
            services, vault=cast("SecretStore", RemovesStrays(services.vault, services.directory, world))
        )
    )


@dataclass(frozen=True)
class Seen:
    """What a removal goes by: a credential beside the current one, which may be missing, and what the vault says."""

    each: Password
    known: Password | None
    current: Version
    now: datetime
    overlap: timedelta


# The conditions of the removal rule, each of which it needs.
CONDITIONS: Final[Mapping[str, Callable[[Seen], bool]]] = {
    "its own age": lambda seen: seen.now - seen.each.start > seen.overlap,
    "the current one's age": lambda seen: seen.now - seen.current.created > seen.overlap,
    "the current one is ours": lambda seen: "id" in seen.current.tags,
    "the current one is listed": lambda seen: seen.known is not None,
    "the current one has not ended": lambda seen: seen.known is None or seen.known.end > seen.now,
}


class RemovesMore(InsteadOf):
    """Removes, whenever it reads an application, what the removal rule allows when one condition is left out."""

    def __init__(self, inner: Directory, world: World, left_out: str) -> None:
        super().__init__(inner)
        self._world = world
        self._conditions = [condition for name, condition in CONDITIONS.items() if name != left_out]

    def read_application(self, object_id: str) -> Application | None:
        for key_id in [each.key_id for each in self._removable(object_id)]:
            self._inner.remove_secret(object_id, key_id)
        return cast("Application | None", self._inner.read_application(object_id))

    def _removable(self, object_id: str) -> Iterator[Password]:
        emulator, now = self._world.emulator, self._world.clock.now()
        application = emulator.directory.records[object_id]
        secret = emulator.vault.secrets.get(application.last_body["uniqueName"])
        if secret is None:
            return
        current, overlap = secret.versions[-1], self._world.settings.secrets.overlap
        listed = [each for each in application.passwords if each.removed_at is None or each.removed_at > now]
        known = next((each for each in listed if each.key_id == current.tags.get("keyId")), None)
        for each in listed:
            seen = Seen(each, known, current, now, overlap)
            if is_labelled(each) and each is not known and all(condition(seen) for condition in self._conditions):
                yield each


def remove_without_asking_for(left_out: str) -> Rule:
    """Return the rule that lacks one condition of a removal."""

    def rule(world: World) -> None:
        world.exchange(
            lambda services: replace(
                services, directory=cast("Directory", RemovesMore(services.directory, world, left_out))
            )
        )

    rule.__name__ = f"remove without asking for: {left_out}"
    return rule


class AsksTheRow(InsteadOf):
    """Calls current what the row shows, which is written only when a run ends."""

    def __init__(self, inner: SecretStore, registry: Registry) -> None:
        super().__init__(inner)
        self._registry = registry

    def current(self, name: str) -> CurrentSecret | None:
        row = self._registry.get(name.removeprefix("fhir-registrar-"))
        if row is None or row.secret is None:
            return None
        tags = {"id": row.id, "clientId": row.client_id or ""}
        return CurrentSecret(row.secret.id, row.secret.key_id, row.updated_at, row.secret.expires_at, tags)


def take_the_current_secret_from_the_row(world: World) -> None:
    world.exchange(
        lambda services: replace(services, vault=cast("SecretStore", AsksTheRow(services.vault, services.registry)))
    )


class Believes:
    """Takes a secret that was just minted for one that works."""

    def accepts(self, client_id: str, secret: MintedSecret) -> bool:
        return True


def publish_before_the_proof(world: World) -> None:
    proof: TokenProof = Believes()
    world.exchange(lambda services: replace(services, proof=proof))


class Overwrites(InsteadOf):
    """Writes a row over whatever another run wrote there since it was read."""

    def replace(self, registration: Registration) -> Registration:
        there = self._inner.get(registration.id)
        return cast("Registration", self._inner.replace(replace(registration, etag=there.etag)))


def write_the_row_without_its_etag(world: World) -> None:
    world.exchange(lambda services: replace(services, registry=cast("Registry", Overwrites(services.registry))))


def have_the_planner_name_an_operation(world: World) -> None:
    """The planner reads no rows: all that it could derive an operation's id from is the registration's."""

    def messages(services: Services) -> Iterator[str]:
        for entry in services.registry.due(services.clock.now(), 1000):
            operation_id = str(uuid.uuid5(uuid.NAMESPACE_OID, entry.registration_id))
            content = {"registrationId": entry.registration_id, "operationId": operation_id}
            yield json.dumps({"operation": OperationType.PROVISION} | content)

    world.due_messages = messages
