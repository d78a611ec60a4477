"""What a list has is what was asked for and may be seen, each once, and by an index where there is one."""

import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlencode

import pytest

from provisioning.api import web
from provisioning.api.calls import Call
from provisioning.domain.approval import Outcome
from provisioning.domain.callers import Caller, CallerKind, Role
from provisioning.domain.operation import Failure
from tests.worlds.approvals import APPROVER, awaiting
from tests.worlds.request_bodies import OTHER_OWNER, OWNER, a_resource, a_service_client
from tests.worlds.signed_in import ALICE, ENTRA, headers_of
from tests.worlds.steps import body_of, code_of
from tests.worlds.world import World

SERVER = "https://fhir.contoso.example"
READER = Caller("4ead0000-0000-4000-8000-000000000001", CallerKind.USER, frozenset({Role.READ_ALL}))
OWNS = Caller(OWNER, CallerKind.USER)
OWNS_OTHER = Caller(OTHER_OWNER, CallerKind.USER)


def two_owners() -> World:
    """A resource and a client of one owner, a client of another."""
    world = World()
    world.registered(a_resource(displayName="Clinical Data"))
    world.registered(a_service_client(displayName="Nightly Export"))
    world.registered(a_service_client(displayName="Day Export", owner=OTHER_OWNER))
    return World(registry=world.registry, settings=ENTRA)


def page_of(world: World, caller: Caller, **query: str) -> dict[str, Any]:
    call = Call("/api/registrations", headers_of(caller), urlencode(query))
    answer = world.call(web.list_registrations, call)
    assert answer.status == 200, answer.body
    return dict(json.loads(answer.body))


def names(world: World, caller: Caller, **query: str) -> set[str]:
    """Return the names on all pages; each registration must be on one only."""
    found, token = list[str](), None
    while True:
        page = page_of(world, caller, **query, **({"continuationToken": token} if token else {}))
        found += [each["displayName"] for each in page["value"]]
        assert len(page["value"]) <= int(query.get("top", "50"))
        token = page["continuationToken"]
        if token is None:
            assert len(found) == len(set(found))
            return set(found)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("export", {"Nightly Export", "Day Export"}),
        ("NIGHTLY", {"Nightly Export"}),
        ("  clinical ", {"Clinical Data"}),
        (SERVER, {"Clinical Data"}),
        (SERVER.upper().replace("HTTPS", "https") + "/", {"Clinical Data"}),
        ("https://other.contoso.example", set()),
        ("00000000-0000-4000-8000-000000000000", set()),
        ("nobody's", set()),
    ],
)
def test_a_text_finds_a_part_of_a_name_and_a_server_as_a_whole(text: str, expected: set[str]) -> None:
    assert names(two_owners(), READER, q=text) == expected


def test_a_client_id_finds_the_one_registration_that_has_it() -> None:
    world = two_owners()
    for each in page_of(world, READER)["value"]:
        assert names(world, READER, q=each["clientId"].upper()) == {each["displayName"]}


def test_what_is_found_by_its_name_is_still_of_the_owner_that_is_asked_for() -> None:
    world = two_owners()
    assert names(world, READER, q=SERVER, owner=OWNER) == {"Clinical Data"}
    assert names(world, READER, q=SERVER, owner=OTHER_OWNER) == set()


def test_nobody_finds_what_nobody_but_another_may_see() -> None:
    world = two_owners()
    other = next(each for each in page_of(world, OWNS_OTHER)["value"])
    for query in (
        {"q": "export"},
        {"q": other["clientId"]},
        {"expiringBefore": "2099-01-01"},
        {"hasFindings": "false"},
    ):
        assert "Day Export" not in names(world, OWNS, **query)
        assert "Day Export" not in names(world, OWNS, **query, owner=OTHER_OWNER)
    assert names(world, OWNS_OTHER, q=SERVER) == set()


def test_mine_is_what_the_caller_owns_and_not_what_it_may_see() -> None:
    world = two_owners()
    owner_who_sees_all = replace(OWNS_OTHER, roles=frozenset({Role.READ_ALL}))
    assert names(world, owner_who_sees_all) == {"Clinical Data", "Nightly Export", "Day Export"}
    assert names(world, owner_who_sees_all, mine="true") == {"Day Export"}
    assert names(world, owner_who_sees_all, mine="true", owner=OWNER) == set()
    assert names(world, READER, mine="true") == set()


def test_what_ends_before_a_moment_is_listed_and_what_ends_later_is_not() -> None:
    world = two_owners()
    [client] = page_of(world, OWNS_OTHER)["value"]
    ends = client["secret"]["expiresAt"]
    assert names(world, OWNS_OTHER, expiringBefore=ends) == set()
    assert names(world, OWNS_OTHER, expiringBefore=ends.replace("Z", "+00:00").replace("+00:00", ".1Z")) == {
        "Day Export"
    }
    assert names(world, READER, expiringBefore="2099-01-01") == {"Nightly Export", "Day Export"}, (
        "a resource has no end"
    )


def test_findings_are_there_or_not() -> None:
    world = two_owners()
    row = next(each for each in world.registry.find(top=9).registrations if each.request.owner == OTHER_OWNER)
    world.registry.replace(replace(row, findings=(Failure("secret-missing", "It is gone.", "Rotate it."),)))
    assert names(world, READER, hasFindings="true") == {"Day Export"}
    assert names(world, READER, hasFindings="false") == {"Clinical Data", "Nightly Export"}


def test_what_waits_for_an_approval_is_listed_for_those_who_may_give_it_until_it_is_decided() -> None:
    world = two_owners()
    row = awaiting(world, a_service_client(displayName="Asked For"), resource_owner=OTHER_OWNER)
    for caller in (APPROVER, OWNS_OTHER):
        assert names(world, caller, awaitingMyApproval="true") == {"Asked For"}
        assert names(world, caller, awaitingMyApproval="true", q="nightly") == set()
        assert names(world, caller, awaitingMyApproval="true", mine="true") == set()
    for caller in (READER, OWNS, replace(ALICE, roles=frozenset(Role))):  # whoever asked does not agree
        assert names(world, caller, awaitingMyApproval="true") == set()
    lapsed = World(registry=world.registry, settings=ENTRA)
    assert row.approval is not None
    lapsed.clock.time = row.approval.lapses_at
    assert names(lapsed, APPROVER, awaitingMyApproval="true") == set()
    denied = row.approval.decided(Outcome.DENIED, APPROVER, world.clock.now(), "Because.")
    world.registry.replace(replace(row, approval=denied))
    assert names(world, APPROVER, awaitingMyApproval="true") == set()


def noting(looks: list[str]) -> Callable[[str, Callable[[], Any]], Any]:
    """Return what notes each outside call by its name, and makes it."""

    def outside(name: str, action: Callable[[], Any]) -> Any:
        looks.append(name)
        return action()

    return outside


def many(world: World, number: int) -> set[str]:
    """Have many rows be there, of which every tenth has another name."""
    row = world.registry.find(top=9).registrations[0]
    wanted = set[str]()
    for each in range(number):
        name = f"Wanted {each}" if each % 10 == 0 else f"Other {each}"
        identity = f"{each:08x}-{each:08x}-0000-4000-8000-{each:012x}"
        request = row.request.model_copy(update={"display_name": name})
        world.registry.insert(replace(row, id=identity, request=request, etag=None, row=None))
        world.registry.put_owned(row.request.owner, identity)
        wanted |= {name} if each % 10 == 0 else set()
    return wanted


@pytest.mark.parametrize("top", ["1", "7", "50", "200"])
@pytest.mark.parametrize("caller", [READER, OWNS], ids=["of all", "of an owner"])
def test_every_row_that_fits_is_on_one_page_whatever_the_size_of_a_page(caller: Caller, top: str) -> None:
    world = World()
    world.registered(a_resource(displayName="Clinical Data"))
    world = World(registry=world.registry, settings=ENTRA)
    wanted = many(world, 450)
    assert names(world, caller, q="wanted", top=top) == wanted


def test_one_call_looks_at_a_thousand_rows_and_says_where_the_next_goes_on() -> None:
    world = World()
    world.registered(a_resource(displayName="Clinical Data"))
    world = World(registry=world.registry, settings=ENTRA)
    many(world, 1_300)
    looks = list[str]()
    world.outside = noting(looks)
    page = page_of(world, READER, q="clinical")
    assert looks.count("registry.find") == 5
    assert page["continuationToken"] is not None
    assert names(world, READER, q="clinical") == {"Clinical Data"}


def test_a_server_and_the_client_id_of_a_resource_are_found_by_their_name_and_no_row_is_looked_through() -> None:
    world = two_owners()
    resource = next(each for each in page_of(world, OWNS)["value"] if each["clientType"] == "resource")
    for text in (SERVER, resource["clientId"]):
        looks = list[str]()
        world.outside = noting(looks)
        assert [each["displayName"] for each in page_of(world, READER, q=text)["value"]] == ["Clinical Data"]
        assert looks == ["registry.holder", "registry.get"]


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"mine": "false"}, "not-one-of"),
        ({"awaitingMyApproval": "1"}, "not-one-of"),
        ({"hasFindings": "yes"}, "not-one-of"),
        ({"q": "x"}, "wrong-length"),
        ({"q": "   "}, "wrong-length"),
        ({"q": "x" * 256}, "wrong-length"),
        ({"expiringBefore": "tomorrow"}, "not-a-moment"),
        ({"expiringBefore": "2027-01-31T12:00:00"}, "not-a-moment"),
        ({"expiringBefore": "2027-13-31"}, "not-a-moment"),
    ],
)
def test_what_cannot_be_looked_for_is_refused_by_its_name(query: dict[str, str], code: str) -> None:
    answer = World().call(web.list_registrations, Call("/api/registrations", query=urlencode(query)))
    found = [(each["pointer"], each["code"]) for each in body_of(answer)["errors"]]
    assert (answer.status, found) == (400, [(f"?{next(iter(query))}", code)])


@pytest.mark.parametrize("token", ["x", "x.", "zzz.abc", "..", ".not-a-token", "'.or"])
def test_a_token_of_another_list_is_refused(token: str) -> None:
    world = World()
    query = urlencode({"q": "export", "continuationToken": token})
    answer = world.call(web.list_registrations, Call("/api/registrations", query=query))
    assert (answer.status, code_of(answer)) == (400, "invalid-continuation-token")
