"""The service with one of its rules of grants broken, as `weakened.py` has it of the others."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

from provisioning.domain.azure_roles import AzureRole, RoleAssignment
from provisioning.domain.events import Event
from provisioning.domain.grants import ClientPage
from provisioning.domain.registration import Registration
from provisioning.ports import AzureRoles, Registry
from tests.faults.weakened import InsteadOf
from tests.worlds.wired import TestServices
from tests.worlds.world import World


def exchange_registry(world: World, weakened: Callable[[Registry], InsteadOf]) -> None:
    world.exchange(lambda services: replace(services, registry=cast("Registry", weakened(services.registry))))


class AgreesToAll(InsteadOf):
    """Takes what a client declares for what was agreed to."""

    def get(self, registration_id: str) -> Registration | None:
        row: Registration | None = self._inner.get(registration_id)
        if row is None or row.agreement is None:
            return row
        return replace(row, agreement=replace(row.agreement, permissions=tuple(each.value for each in row.declared)))


def grant_what_is_declared(world: World) -> None:
    exchange_registry(world, AgreesToAll)


class LooksOnce(InsteadOf):
    """Forgets to look again once every run has ended that may not know what was taken back."""

    def replace(self, registration: Registration, *events: Event) -> Registration:
        due, now = registration.grants_due_at, registration.updated_at
        later = due is not None and due > now + timedelta(minutes=5)
        return cast(
            "Registration",
            self._inner.replace(replace(registration, grants_due_at=None) if later else registration, *events),
        )


def look_once_at_what_was_taken_back(world: World) -> None:
    exchange_registry(world, LooksOnce)


class ReadsTheListOnce(InsteadOf):
    """Has a process read the list of a resource's clients once, and write to Entra by that."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        self._read: dict[str, ClientPage] = {}

    def clients(self, resource_id: str, *, top: int, continuation_token: str | None = None) -> ClientPage:
        if resource_id not in self._read:
            self._read[resource_id] = self._inner.clients(resource_id, top=top, continuation_token=continuation_token)
        return self._read[resource_id]


def look_once_at_the_list(world: World) -> None:
    exchange_registry(world, ReadsTheListOnce)


class TrustsTheRow(InsteadOf):
    """Takes what the row says for all who read a secret, and does not ask Azure."""

    def made(self, _role: AzureRole, _scope: str) -> frozenset[str]:
        return frozenset()


def trust_the_row_alone(world: World) -> None:
    world.exchange(
        lambda services: replace(services, azure_roles=cast("AzureRoles", TrustsTheRow(services.azure_roles)))
    )


class ComparesNoMore(InsteadOf):
    """Forgets to compare once more when every run has ended that may not know of another owner."""

    def replace(self, registration: Registration, *events: Event) -> Registration:
        return cast("Registration", self._inner.replace(replace(registration, azure_grants_due_at=None), *events))


def compare_no_more(world: World) -> None:
    exchange_registry(world, ComparesNoMore)


class TakesNothingBack(InsteadOf):
    """Says that it has taken a data role back, and has not."""

    def take_back(self, _assignment: RoleAssignment) -> None: ...


def take_no_data_role_back(world: World) -> None:
    def weakened(services: TestServices) -> TestServices:
        roles = {each: cast("AzureRoles", TakesNothingBack(inner)) for each, inner in services.data_roles.items()}
        return replace(services, data_roles=roles)

    world.exchange(weakened)
