"""The world of a test of one adapter, and its directory, where the test needs no other."""

import pytest

from provisioning.ports import Directory
from tests.worlds.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def directory(world: World) -> Directory:
    return world.services.directory
