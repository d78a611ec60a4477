"""The same request again: with a key it is the same registration, whoever comes in between."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from provisioning.domain.events import Event
from provisioning.domain.registration import Registration
from tests.worlds.memory import MemoryRegistry
from tests.worlds.request_bodies import MANAGED, OTHER_OWNER, OWNER, a_resource, a_service_client
from tests.worlds.steps import a_client_that_fails, body_of, id_of, passes
from tests.worlds.world import World

if TYPE_CHECKING:
    from provisioning.api.answers import Answer


def test_without_a_key_every_request_is_a_new_registration() -> None:
    world = World()
    body = a_service_client(resource=MANAGED, appRoles=[])
    assert len({id_of(world.post(body)) for _ in range(3)}) == 3


def test_the_same_key_and_request_give_the_same_registration_unchanged() -> None:
    world = World()
    first = world.post(a_resource(), key="k")
    row, entries = world.row(id_of(first)), world.registry.due(world.clock.now() + timedelta(days=1), 10)
    passes(world, seconds=3)
    again = world.post(a_resource(), key="k")
    assert (again.status, again.body, again.headers.keys()) == (first.status, first.body, first.headers.keys())
    assert all(again.headers[name] == first.headers[name] for name in ("ETag", "Location"))
    assert world.row(id_of(first)) == row
    assert world.registry.due(world.clock.now() + timedelta(days=1), 10) == entries


def test_the_same_request_in_other_words_is_the_same() -> None:
    world = World()
    first = world.post(a_resource(), key="k")
    again = world.post(
        a_resource(owner=OWNER.upper(), fhirServerUrl="https://FHIR.contoso.example:443/", accessTokenVersion=1),
        key="k",
    )
    assert id_of(again) == id_of(first)


def test_a_key_belongs_to_an_owner() -> None:
    world = World()
    body = a_service_client(resource=MANAGED, appRoles=[])
    mine, theirs = world.post(body, key="k"), world.post({**body, "owner": OTHER_OWNER}, key="k")
    assert id_of(mine) != id_of(theirs)
    assert id_of(mine)[:8] != id_of(theirs)[:8]  # the partition, whose 32 bits two owners may share
    assert id_of(mine)[9:] != id_of(theirs)[9:]


@pytest.mark.parametrize("key", ["k", "K", "!", "~" * 255, "8b9ff5a4-1c0e-4f0c-9d6e-2f7f1e1f5a11", '"quoted"'])
def test_keys_are_compared_exactly(key: str) -> None:
    world = World()
    body = a_service_client(resource=MANAGED, appRoles=[])
    assert id_of(world.post(body, key=key)) == id_of(world.post(body, key=key))
    assert id_of(world.post(body, key=key)) != id_of(world.post(body, key="another"))


@pytest.mark.parametrize(
    ("seconds", "sent_again"), [(0, False), (1, False), (5, False), (5.1, True), (60, True), (86_400, True)]
)
def test_the_message_is_sent_again_once_the_first_may_be_lost(seconds: float, sent_again: bool) -> None:  # noqa: FBT001
    world = World()
    first = world.post(a_resource(), key="k")
    passes(world, seconds=seconds)
    again = world.post(a_resource(), key="k")
    assert again.message == (first.message if sent_again else None)


def test_what_is_finished_is_shown_and_not_sent_again() -> None:
    world = World()
    registration_id = id_of(world.post(a_resource(), key="k"))
    world.deliver()
    calls = len(world.emulator.calls)
    passes(world, hours=1)
    again = world.post(a_resource(), key="k")
    assert (body_of(again), again.message) == (world.get(registration_id), None)
    assert body_of(again)["status"] == "active"
    assert len(world.emulator.calls) == calls
    assert world.registry.due(world.clock.now() + timedelta(days=1), 10) == []


def test_what_has_failed_is_shown_and_not_sent_again() -> None:
    world = World()
    body = a_client_that_fails()
    registration_id = id_of(world.post(body, key="k"))
    world.deliver()
    passes(world, hours=1)
    again = world.post(body, key="k")
    assert (body_of(again), again.message) == (world.get(registration_id), None)
    assert body_of(again)["status"] == "failed"


def test_a_repeat_is_answered_although_the_rules_became_stricter_since() -> None:
    world = World()
    world.services = world.but(allowed_resources={"api://other": "api://other"})
    body = a_service_client(resource="api://other", secretLifetime="P180D")
    first = world.post(body, key="k")
    strict = replace(world.services.secrets, lifetime=timedelta(days=90))
    world.services = world.but(allowed_resources={}, secrets=strict)
    assert id_of(world.post(body, key="k")) == id_of(first)
    assert world.post(body, key="another").status == 400


class RacingRegistry(MemoryRegistry):
    """A registry in which another request comes in between the moment that a POST looks and the one that it writes."""

    meanwhile: Callable[[], object] | None = None

    def insert(self, registration: Registration, *events: Event) -> Registration | None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().insert(registration, *events)


def test_two_requests_with_one_key_at_the_same_moment_are_one_registration() -> None:
    registry = RacingRegistry()
    world = World(registry=registry)
    answers: list[Answer] = []
    registry.meanwhile = lambda: answers.append(world.post(a_resource(), key="k"))
    answers.append(world.post(a_resource(), key="k"))
    assert id_of(answers[0]) == id_of(answers[1])
    assert len(registry.rows) == 1
    assert len(registry.entries) == 1, "the entry of the one is that of the other"
    world.deliver()
    world.settle()
    assert world.get(id_of(answers[0]))["status"] == "active"
    assert len([each for each in world.emulator.calls if each.operation == "graph.createApplication"]) == 1


def test_the_loser_of_a_race_for_a_key_keeps_neither_server_nor_due_entry() -> None:
    registry = RacingRegistry()
    world = World(registry=registry)
    winner: list[Answer] = []

    def meanwhile() -> None:
        passes(world, seconds=1)
        winner.append(world.post(a_resource(), key="k"))

    registry.meanwhile = meanwhile
    loser = world.post(a_resource(fhirServerUrl="https://other.example"), key="k")
    assert (loser.status, body_of(loser)["code"], loser.message) == (409, "idempotency-key-reused", None)
    assert {entry.due_at for entry in registry.entries} == {world.row(id_of(winner[0])).due_at}
    assert world.post(a_resource(fhirServerUrl="https://other.example")).status == 202
    client = world.post(a_service_client(resource="https://other.example"))
    world.deliver()
    assert world.get(id_of(client))["oauth"]["scope"].startswith(f"api://{world.emulator.tenant_id}/other.example/")


class Contradictory(MemoryRegistry):
    """A registry that says that a row is there, and then that it is not: it was taken away in between."""

    def insert(self, registration: Registration, *events: Event) -> None:
        del registration, events


def test_a_row_that_is_there_and_then_is_not_is_503_and_no_error_of_ours() -> None:
    world = World(registry=Contradictory())
    answer = world.post(a_resource(), key="once")
    assert (answer.status, body_of(answer)["code"]) == (503, "storage-unavailable")
    assert world.queue == []
