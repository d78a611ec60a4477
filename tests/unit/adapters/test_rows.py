"""Rows of registrations, as they are written and read."""

from dataclasses import replace

import pytest
from azure.data.tables import TableEntity

from provisioning.adapters.rows import registration_entity, registration_of
from provisioning.domain.registration import Registration
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.world import World


@pytest.fixture
def deleting() -> Registration:
    """What a row says once a deletion was sent; an etag is the table's own."""
    world = World()
    world.registered(a_resource())
    row = world.row(str(world.registered(a_service_client())["registrationId"]))
    return replace(row, deletion_sent_at=world.clock.now(), etag=None)


def test_a_row_is_read_as_it_was_written(deleting: Registration) -> None:
    assert registration_of(TableEntity(registration_entity(deleting))) == deleting


def test_a_row_that_was_written_before_deletions_were_remembered_says_that_none_was_sent(
    deleting: Registration,
) -> None:
    columns = registration_entity(deleting)
    del columns["deletionSentAt"]
    assert registration_of(TableEntity(columns)) == replace(deleting, deletion_sent_at=None)
