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
from provisioning.domain.approval import Outcome
from provisioning.domain.directory import Application
from provisioning.domain.errors import CredentialNotFound, NeedsOperator, OutcomeUnknown
from provisioning.domain.events import Event
from provisioning.domain.operation import OperationStatus, OperationType
from provisioning.domain.registration import Registration
from provisioning.domain.secrets import (
    CREDENTIAL_LABEL_PREFIX,
    CurrentSecret,
    MintedSecret,
    labelled_time,
    timed_label,
)
from provisioning.ports import Directory, Registry, SecretStore, Services, TokenProof
from tests.worlds.watch import is_labelled, live
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


class SkipsApprovals(InsteadOf):
    """Takes a request that waits for an approval for one that may be carried out."""

    def get(self, registration_id: str) -> Registration | None:
        row: Registration | None = self._inner.get(registration_id)
        if row is None or not row.awaits_approval or row.approval is None or row.due_at is None:
            return row
        agreed = replace(row.approval, outcome=Outcome.APPROVED)
        return replace(row.decided(agreed, row.updated_at, row.due_at), approval=None)


def skip_the_approval(world: World) -> None:
    world.exchange(lambda services: replace(services, registry=cast("Registry", SkipsApprovals(services.registry))))


def skip_the_approval_of_a_change(world: World) -> None:
    skip_the_approval(world)


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

    def read_application(self, object_id: str, **options: bool) -> Application | None:
        application = cast("Application | None", self._inner.read_application(object_id, **options))
        for key_id in [each.key_id for each in self._removable(object_id)]:
            self._inner.remove_secret(object_id, key_id)
        return application

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


class AsksForRoom(InsteadOf):
    """Asks for room on the application before it looks whether there is anything left to mint, but for a leak."""

    def __init__(self, inner: SecretStore, world: World) -> None:
        super().__init__(inner)
        self._world = world

    def current(self, name: str) -> CurrentSecret | None:
        current = cast("CurrentSecret | None", self._inner.current(name))
        row = self._world.registry.get(name.removeprefix("fhir-registrar-"))
        application = self._world.emulator.directory.application(unique_name=name)
        rotates = row is not None and row.pending and row.operation.type is OperationType.ROTATE
        if rotates and application is not None and not is_leaked(row, current):
            check_room(len(live(application, self._world.clock.now())))
        return current


def is_leaked(row: Registration | None, current: CurrentSecret | None) -> bool:
    bound = row.revoke_before if row is not None else None
    return bound is not None and (current is None or current.minted_at < bound)


def check_room(taken: int) -> None:
    if taken >= 10:
        raise NeedsOperator("too-many-credentials", "There is no room.", remedy="Remove some.")


def ask_for_room_for_what_is_there(world: World) -> None:
    world.exchange(lambda services: replace(services, vault=cast("SecretStore", AsksForRoom(services.vault, world))))


class ForgetsWhoMinted(InsteadOf):
    """Knows of a credential that this service minted it, and not for which operation."""

    def read_application(self, object_id: str, **options: bool) -> Application | None:
        application = cast("Application | None", self._inner.read_application(object_id, **options))
        if application is None:
            return None
        credentials = [replace(each, label=self._without_id(each.label)) for each in application.credentials]
        return replace(application, credentials=tuple(credentials))

    def _without_id(self, label: str) -> str:
        minted_at = labelled_time(label)
        return timed_label(f"{CREDENTIAL_LABEL_PREFIX}anybody", minted_at) if minted_at is not None else label


def forget_which_operation_minted(world: World) -> None:
    world.exchange(
        lambda services: replace(services, directory=cast("Directory", ForgetsWhoMinted(services.directory)))
    )


class MissesWhatIsGone(InsteadOf):
    """Counts a credential that another run has removed as one that is still there."""

    def __init__(self, inner: Directory) -> None:
        super().__init__(inner)
        self._listed = 0

    def read_application(self, object_id: str, **options: bool) -> Application | None:
        application = cast("Application | None", self._inner.read_application(object_id, **options))
        self._listed = len(application.credentials) if application is not None else 0
        return application

    def remove_secret(self, object_id: str, key_id: str) -> None:
        try:
            self._inner.remove_secret(object_id, key_id)
        except CredentialNotFound:
            check_room(self._listed)
        else:
            self._listed -= 1


def count_what_another_run_removed(world: World) -> None:
    world.exchange(
        lambda services: replace(services, directory=cast("Directory", MissesWhatIsGone(services.directory)))
    )


class BelievesTheFirstRefusal(InsteadOf):
    """Takes what was refused once for refused, and asks for nothing more."""

    def __init__(self, inner: Directory) -> None:
        super().__init__(inner)
        self._refusal: NeedsOperator | None = None

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)

        def asked(*args: Any, **options: Any) -> Any:
            if self._refusal is not None:
                raise self._refusal
            try:
                return method(*args, **options)
            except NeedsOperator as refusal:
                self._refusal = refusal
                raise

        return asked


def believe_the_first_refusal(world: World) -> None:
    world.exchange(
        lambda services: replace(services, directory=cast("Directory", BelievesTheFirstRefusal(services.directory)))
    )


class LetsFailuresStand(InsteadOf):
    """Writes nothing over the failure of an operation but another operation."""

    def replace(self, registration: Registration, *events: Event) -> Registration:
        there = cast("Registration", self._inner.get(registration.id))
        same = there.operation.id == registration.operation.id
        if same and there.operation.status is OperationStatus.FAILED:
            return there
        return cast("Registration", self._inner.replace(registration, *events))


def let_a_failure_stand(world: World) -> None:
    world.exchange(lambda services: replace(services, registry=cast("Registry", LetsFailuresStand(services.registry))))


class ForgetsDeletions(InsteadOf):
    """Does not remember that Entra was asked to delete an application."""

    def replace(self, registration: Registration, *events: Event) -> Registration:
        return cast("Registration", self._inner.replace(replace(registration, deletion_sent_at=None), *events))


def forget_that_a_deletion_was_sent(world: World) -> None:
    world.exchange(lambda services: replace(services, registry=cast("Registry", ForgetsDeletions(services.registry))))


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

    def roles(self, client_id: str, secret: MintedSecret, audience: str) -> frozenset[str]:
        return frozenset()

    def check_tenant(self) -> None:
        """As if it had answered."""


def publish_before_the_proof(world: World) -> None:
    proof: TokenProof = Believes()
    world.exchange(lambda services: replace(services, proof=proof))


class Overwrites(InsteadOf):
    """Writes a row over whatever another run wrote there since it was read."""

    def replace(self, registration: Registration, *events: Event) -> Registration:
        there = self._inner.get(registration.id)
        return cast("Registration", self._inner.replace(replace(registration, etag=there.etag), *events))


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
