"""The promises about who in a chat is who, held by Table storage and by what is in memory alike."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from azure.data.tables import TableServiceClient

from provisioning.adapters.chats import CHATS
from provisioning.adapters.tables import TableRegistry
from provisioning.domain.callers import Caller, CallerKind, Role
from provisioning.domain.chat import ChatUser, SignIn, code_key
from provisioning.domain.teams import Conversation
from provisioning.ports import ChatPeople
from tests.worlds.chat_people import MemoryChatPeople
from tests.worlds.clock import VirtualClock

NOW = datetime(2026, 1, 15, 12, 0, 0, 123456, tzinfo=UTC)
LATER = NOW + timedelta(minutes=10)
ALICE = Caller(
    "a11ce000-0000-4000-8000-000000000001",
    CallerKind.USER,
    frozenset(Role),
    frozenset(f"7ea11111-0000-4000-8000-{each:012}" for each in range(200)),
    "Älice 😀",
)
BOB = Caller("b0b00000-0000-4000-8000-000000000002", CallerKind.USER)
USER, OTHER = ChatUser("T1", "U1"), ChatUser("T2", "U1")
SIGNATURE = "v0=" + "0" * 64


@pytest.fixture(params=["memory", "tables"])
def people(request: pytest.FixtureRequest) -> Iterator[ChatPeople]:
    if request.param == "memory":
        yield MemoryChatPeople()
        return
    connection_string: str = request.getfixturevalue("azurite")
    with TableServiceClient.from_connection_string(connection_string, retry_total=0) as service:
        yield TableRegistry(service, VirtualClock()).people
        for table in service.list_tables():
            service.delete_table(table.name)


def test_a_request_is_one_deliverys_and_no_others(people: ChatPeople) -> None:
    assert [people.take(SIGNATURE, each, LATER) for each in ("1", "2", "1")] == [True, False, True]
    people.forget(LATER)
    assert not people.take(SIGNATURE, "2", LATER)
    people.forget(LATER + timedelta(seconds=1))
    assert people.take(SIGNATURE, "2", LATER)


def test_a_request_is_kept_as_it_came_first_until_it_is_over(people: ChatPeople) -> None:
    assert people.kept(SIGNATURE) is None
    assert [people.keep(SIGNATURE, each, LATER) for each in ("first", "second")] == [True, False]
    assert people.kept(SIGNATURE) == "first"
    # To have come is not to be taken.
    assert people.take(SIGNATURE, "1", LATER)
    people.forget(LATER)
    assert people.kept(SIGNATURE) == "first"
    people.forget(LATER + timedelta(seconds=1))
    assert people.kept(SIGNATURE) is None


def test_where_people_are_is_known_until_they_are_unlinked(people: ChatPeople) -> None:
    there, elsewhere = (Conversation("https://smba.trafficmanager.net/emea/", f"a:{each}") for each in ("1", "2"))
    people.put_sign_in(SignIn(ALICE, NOW))
    people.put_sign_in(SignIn(BOB, NOW))
    people.link(USER, ALICE.object_id)
    people.link(OTHER, BOB.object_id)
    people.put_place(ALICE.object_id, there)
    people.put_place(ALICE.object_id, elsewhere)
    people.put_place(BOB.object_id, there)
    assert {each.caller for each in people.everybody()} == {ALICE, BOB}
    assert dict(people.links()) == {USER: ALICE.object_id, OTHER: BOB.object_id}
    assert people.places() == {ALICE.object_id: elsewhere, BOB.object_id: there}
    people.unlink(ALICE.object_id)
    assert [each.caller for each in people.everybody()] == [BOB]
    assert dict(people.links()) == {OTHER: BOB.object_id}
    assert people.places() == {BOB.object_id: there}


def test_which_messages_tell_of_a_registration_is_known_until_it_is_forgotten(people: ChatPeople) -> None:
    people.put_told("1", "")
    assert people.told("1") == ""
    for each in ("[1]", "[1, 2]"):
        people.put_told("1", each)
        assert people.told("1") == each
    assert people.told("2") == ""
    people.put_told("1", "")
    assert people.told("1") == ""


def test_a_code_is_good_once_and_until_it_ends(people: ChatPeople) -> None:
    for code in ("AAAA-AAAA-AAAA", "BBBB-BBBB-BBBB"):
        people.put_code(code_key(code), ALICE.object_id, LATER)
    keys = [code_key(code) for code in (" aaaa aaaa aaaa ", "BBBBBBBBBBBB", "CCCC-CCCC-CCCC")]
    assert people.take_code(keys[0], NOW) == ALICE.object_id
    assert people.take_code(keys[0], NOW) is None
    assert people.take_code(keys[1], LATER) is None
    assert people.take_code(keys[2], NOW) is None


def test_a_user_of_a_chat_is_one_person_until_that_person_takes_it_back(people: ChatPeople) -> None:
    people.link(USER, BOB.object_id)
    people.link(USER, ALICE.object_id)
    people.link(OTHER, BOB.object_id)
    people.put_sign_in(SignIn(ALICE, NOW))
    assert [people.linked(each) for each in (USER, OTHER, ChatUser("T1", "U2"))] == [
        ALICE.object_id,
        BOB.object_id,
        None,
    ]
    for _ in range(2):
        people.unlink(ALICE.object_id)
        assert [people.linked(each) for each in (USER, OTHER)] == [None, BOB.object_id]
        assert people.sign_in(ALICE.object_id) is None


def test_a_sign_in_is_read_back_to_the_last_group_and_renewed_only_where_there_is_one(people: ChatPeople) -> None:
    people.renew(SignIn(ALICE, NOW))
    assert people.sign_in(ALICE.object_id) is None
    people.put_sign_in(SignIn(ALICE, NOW))
    assert people.sign_in(ALICE.object_id) == SignIn(ALICE, NOW)
    less = SignIn(replace(ALICE, roles=frozenset(), groups=frozenset(), name=""), LATER)
    people.renew(less)
    assert people.sign_in(ALICE.object_id) == less


def test_a_sign_in_whose_time_has_no_offset_is_nobodys_and_of_what_tells_of_nothing_no_row_is_left(
    azurite: str,
) -> None:
    with TableServiceClient.from_connection_string(azurite, retry_total=0) as service:
        people = TableRegistry(service, VirtualClock()).people
        people.put_sign_in(SignIn(ALICE, NOW))
        for messages in ("[1]", ""):
            people.put_told("1", messages)
        table = service.get_table_client(CHATS)
        [row] = table.list_entities()
        assert people.sign_in(ALICE.object_id) == SignIn(ALICE, NOW)
        table.update_entity({**row, "at": NOW.replace(tzinfo=None).isoformat()})
        assert people.sign_in(ALICE.object_id) is None
        assert list(people.everybody()) == []
        service.delete_table(CHATS)
