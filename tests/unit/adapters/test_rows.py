"""Rows of registrations, as they are written and read."""

from dataclasses import replace

import pytest
from azure.data.tables import TableEntity

from provisioning.adapters.rows import registration_entity, registration_of
from provisioning.domain.registration import Registration
from provisioning.domain.secrets import SecretState
from tests.contract.test_rows_of_other_versions import OF_THE_FIRST_VERSION
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.variants import full
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


def test_a_row_of_the_first_version_says_nothing_of_what_came_later(deleting: Registration) -> None:
    whole = replace(full(deleting), row=None)
    columns = registration_entity(whole)
    assert whole.secret is not None
    known = ("id", "caller", "request", "request_hash", "status", "created_at", "updated_at", "due_at", "resource")
    made = ("application_object_id", "client_id", "service_principal_id")
    assert registration_of(TableEntity({name: columns[name] for name in OF_THE_FIRST_VERSION})) == Registration(
        **{name: getattr(whole, name) for name in (*known, *made)},
        operation=replace(whole.operation, failure=None, supersedes=None, trace_id=None),
        secret=SecretState(whole.secret.id, whole.secret.key_id, whole.secret.expires_at),
    )


@pytest.mark.parametrize("time", ["2026-01-15T12:00:00", "soon", ""])
def test_a_time_without_its_offset_is_none(deleting: Registration, time: str) -> None:
    with pytest.raises(ValueError, match=r"offset|isoformat"):
        registration_of(TableEntity(registration_entity(deleting) | {"createdAt": time}))
