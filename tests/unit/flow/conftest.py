"""Where registrations live."""

import pytest

from tests.worlds.request_bodies import a_resource
from tests.worlds.world import World


@pytest.fixture
def world() -> World:
    """A world in which the FHIR server that the clients name is registered; its calls until then are forgotten."""
    world = World()
    world.registered(a_resource())
    world.emulator.calls.clear()
    return world
