"""Lists: filtered, in pages, each registration once."""

from dataclasses import replace
from typing import Any

import pytest

from provisioning.domain.registration import Status
from tests.worlds.request_bodies import (
    MANAGED,
    OTHER_OWNER,
    OWNER,
    a_confidential_client,
    a_public_client,
    a_resource,
    a_service_client,
)
from tests.worlds.steps import failed_registration, id_of
from tests.worlds.world import World


def filled() -> World:
    world = World()
    world.registered(a_resource())
    for number in range(3):
        world.registered(a_service_client(displayName=f"s{number}"))
    world.registered(a_public_client(owner=OTHER_OWNER))
    failed_registration(world)
    id_of(world.post(a_confidential_client()))
    gone = id_of(world.post(a_confidential_client(displayName="gone")))
    world.registry.replace(replace(world.row(gone), status=Status.DELETED))
    return world


def shown_in(page: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((each["clientType"], each["status"]) for each in page["value"])


ACTIVE_SERVICES = [("service", "active")] * 3


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            {},
            [
                ("confidential", "accepted"),
                ("public", "active"),
                ("public", "failed"),
                ("resource", "active"),
                *ACTIVE_SERVICES,
            ],
        ),
        ({"owner": OTHER_OWNER}, [("public", "active")]),
        ({"owner": OTHER_OWNER.upper()}, [("public", "active")]),
        ({"owner": "00000000-2222-4333-8444-555555555555"}, []),
        ({"clientType": "public"}, [("public", "active"), ("public", "failed")]),
        ({"status": "accepted"}, [("confidential", "accepted")]),
        ({"status": "deleted"}, [("confidential", "deleted")]),
        ({"status": "deleting"}, []),
        ({"clientType": "service", "status": "active", "owner": OWNER}, ACTIVE_SERVICES),
        ({"clientType": "service", "code": "the function key"}, ACTIVE_SERVICES),
    ],
    ids=[
        "all but deleted",
        "owner",
        "owner in upper case",
        "another owner",
        "client type",
        "status",
        "deleted",
        "none",
        "all three",
        "beside the host's key",
    ],
)
def test_a_list_is_filtered(query: dict[str, str], expected: list[tuple[str, str]]) -> None:
    page = filled().list(**query)
    assert shown_in(page) == expected
    assert page["continuationToken"] is None


@pytest.mark.parametrize("top", [1, 2, 3, 7, 200])
def test_pages_put_together_are_the_list_each_once(top: int) -> None:
    world = filled()
    whole = world.list()["value"]
    collected: list[Any] = []
    page = world.list(top=str(top))
    while True:
        assert len(page["value"]) <= top
        collected += page["value"]
        if page["continuationToken"] is None:
            break
        page = world.list(top=str(top), continuationToken=page["continuationToken"])
    assert collected == whole
    assert len({each["registrationId"] for each in collected}) == len(collected) == 7


def test_a_list_shows_what_a_single_read_shows() -> None:
    world = filled()
    for shown in world.list()["value"]:
        assert world.get(shown["registrationId"]) == shown


def test_fifty_are_shown_by_default() -> None:
    world = World(rules=[])
    for number in range(51):
        id_of(world.post(a_service_client(resource=MANAGED, appRoles=[]), key=str(number)))
    page = world.list()
    assert len(page["value"]) == 50
    assert len(world.list(continuationToken=page["continuationToken"])["value"]) == 1
