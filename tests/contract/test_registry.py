"""The promises of the Registry port, held by Table storage and by the one in memory alike."""

import base64
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import pytest

from provisioning.domain.client_types import ClientType
from provisioning.domain.directory import Permission, ResolvedResource
from provisioning.domain.errors import RequestRejected, StaleRegistration
from provisioning.domain.grants import LISTED, ClientOf
from provisioning.domain.intake import fingerprint, parse
from provisioning.domain.notices import Notice
from provisioning.domain.operation import DueEntry, Operation, OperationStatus, OperationType
from provisioning.domain.registration import Registration, Status, registration_id
from provisioning.ports import Registry
from tests.worlds.certificates import a_certificate
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.variants import full

NOW = datetime(2026, 1, 15, 12, 0, 0, 123456, tzinfo=UTC)


def a_registration(body: dict[str, object] | None = None, **changes: object) -> Registration:
    request = parse(body or a_service_client())
    registration = Registration(
        id=registration_id(request.owner, "caller", None),
        caller="caller",
        request=request,
        request_hash=fingerprint(request),
        status=Status.ACCEPTED,
        operation=Operation(str(uuid4()), OperationType.PROVISION, OperationStatus.PENDING, NOW),
        created_at=NOW,
        updated_at=NOW,
        due_at=NOW + timedelta(minutes=2),
    )
    return replace(registration, **changes)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "body",
    [
        a_resource(),
        a_confidential_client(),
        a_public_client(),
        a_service_client(),
        a_service_client(credential={"type": "federated", "issuer": "https://token.example", "subject": "Süß 😀"}),
        a_service_client(credential={"type": "certificate", "certificate": a_certificate().pem}),
    ],
    ids=["resource", "confidential", "public", "service", "federated", "certificate"],
)
def test_what_was_inserted_is_read_back_to_the_last_field(registry: Registry, body: dict[str, object]) -> None:
    stored = registry.insert(full(a_registration(body)))
    assert stored is not None
    assert registry.get(stored.id) == stored


def test_a_resources_list_has_each_client_once_and_never_an_older_entry(registry: Registry) -> None:
    server, other = a_registration().id, a_registration().id
    names = sorted(a_registration().id for _ in range(3))
    first = [ClientOf(server, name, "client", ("1", "2"), 1) for name in names]
    assert [registry.put_client(each) for each in first] == first
    assert registry.put_client(ClientOf(other, names[0], "client", (), 1)).resource_id == other
    later = replace(first[1], scopes=(), number=3)
    assert registry.put_client(later) == later
    assert registry.put_client(replace(first[1], number=2)) == later
    page = registry.clients(server, top=2)
    rest = registry.clients(server, top=2, continuation_token=page.continuation_token)
    assert [*page.clients, *rest.clients] == [first[0], later, first[2]]
    assert rest.continuation_token is None
    with pytest.raises(RequestRejected):
        registry.clients(other, top=2, continuation_token=page.continuation_token)


def test_a_client_is_listed_before_its_row_and_what_is_known_of_it_later_stays(registry: Registry) -> None:
    server, client, old = (a_registration().id for _ in range(3))
    assert registry.list_client(server, client, NOW)
    assert not registry.list_client(server, client)
    assert registry.list_client(server, old)
    assert not registry.list_client(server, old, NOW)
    known = ClientOf(server, client, "client", ("1",), 0)
    assert registry.put_client(known) == known
    ended = replace(known, scopes=(), number=4, ended=True)
    assert registry.put_client(ended) == ended
    assert registry.put_client(replace(ended, ended=False, number=5)).number == 5
    assert not registry.list_client(server, client, NOW + timedelta(hours=1))
    page = registry.clients(server, top=9)
    found = {each.registration_id: each for each in page.clients}
    assert found[client] == replace(ended, number=5, listed_at=NOW + timedelta(hours=1))
    assert found[old] == ClientOf(server, old, "", (), LISTED, NOW)


def test_the_lists_have_all_clients_once_a_reconciliation_went_through_and_found_none_missing(
    registry: Registry,
) -> None:
    told = []
    for run, lacked in (("1", True), ("1", False), ("2", False), ("3", True), ("3", False), ("4", False), ("5", False)):
        registry.note_listed(run, lacked=lacked)
        told.append(registry.lists_all_clients())
    assert told == [False, False, True, False, False, True, True]


def test_an_id_can_be_inserted_once(registry: Registry) -> None:
    registration = a_registration()
    assert registry.insert(registration) is not None
    assert registry.insert(registration) is None


def test_the_longest_request_and_resource_fit(registry: Registry) -> None:
    uris = [f"https://app.contoso.example/{number:03}/{'x' * 215}" for number in range(240)]
    permissions = tuple(Permission(str(uuid4()), f"{number:03}{'r' * 117}") for number in range(400))
    resource = ResolvedResource("https://fhir.contoso.example", "api", "principal", permissions)
    registration = a_registration(a_confidential_client(redirectUris=uris), resource=resource)
    stored = registry.insert(registration)
    assert stored is not None
    assert registry.get(stored.id) == stored


def test_a_shorter_request_leaves_nothing_of_a_longer_one(registry: Registry) -> None:
    permissions = tuple(Permission(str(uuid4()), f"{number:03}{'r' * 117}") for number in range(400))
    long = a_registration(resource=ResolvedResource("https://a.example", "api", "principal", permissions))
    stored = registry.insert(long)
    assert stored is not None
    assert stored.resource is not None
    shortened = registry.replace(replace(stored, resource=replace(stored.resource, scopes=())))
    assert registry.get(stored.id) == shortened


@pytest.mark.parametrize(
    "nobody", ["", "x", "../../etc", "cf4c4732-e2dac6e6-8deb-4deb-b54d-7987f82f2a96", "cf4c4732-' or 1 eq 1", "ä" * 50]
)
def test_what_is_not_there_is_none_and_no_error(registry: Registry, nobody: str) -> None:
    registry.insert(a_registration())
    assert registry.get(nobody) is None


def test_a_write_with_an_old_etag_is_refused_and_changes_nothing(registry: Registry) -> None:
    first = registry.insert(a_registration())
    assert first is not None
    second = registry.replace(replace(first, client_id="winner"))
    with pytest.raises(StaleRegistration):
        registry.replace(replace(first, client_id="loser"))
    assert registry.get(first.id) == second
    assert second.etag != first.etag


def test_a_row_that_does_not_exist_cannot_be_replaced(registry: Registry) -> None:
    registry.insert(a_registration())
    with pytest.raises(StaleRegistration):
        registry.replace(a_registration(etag='W/"1"'))


def test_pages_hold_every_registration_exactly_once(registry: Registry) -> None:
    owners = [str(uuid4()) for _ in range(3)]
    ids = {inserted(registry, a_service_client(owner=owners[number % 3])).id for number in range(11)}
    seen: list[str] = []
    token = None
    for _ in range(20):
        page = registry.find(top=3, continuation_token=token)
        assert len(page.registrations) <= 3
        seen += [registration.id for registration in page.registrations]
        token = page.continuation_token
        if token is None:
            break
    assert sorted(seen) == sorted(ids)


def test_filters_join_and_deleted_ones_are_shown_only_when_asked_for(registry: Registry) -> None:
    mine, other = str(uuid4()), str(uuid4())
    service = inserted(registry, a_service_client(owner=mine))
    public = inserted(registry, a_public_client(owner=mine))
    deleted = inserted(registry, a_service_client(owner=mine), status=Status.DELETED)
    failed = inserted(registry, a_service_client(owner=other), status=Status.FAILED)

    def found(**query: object) -> set[str]:
        return {each.id for each in registry.find(top=10, **query).registrations}  # type: ignore[arg-type]

    assert found() == {service.id, public.id, failed.id}
    assert found(owners={mine}) == {service.id, public.id}
    assert found(owners={mine}, client_type=ClientType.SERVICE) == {service.id}
    assert found(status=Status.DELETED) == {deleted.id}
    assert found(client_type=ClientType.SERVICE, status=Status.FAILED) == {failed.id}
    assert found(owners={other}, status=Status.ACTIVE) == set()


def test_a_list_of_several_owners_holds_each_of_theirs_once_in_pages(registry: Registry) -> None:
    owners = [str(uuid4()) for _ in range(5)]
    theirs = {inserted(registry, a_service_client(owner=owners[number % 4])).id for number in range(11)}
    for _ in range(3):
        inserted(registry, a_service_client(owner=str(uuid4())))
    seen: list[str] = []
    token = None
    while True:
        page = registry.find(owners=set(owners), top=3, continuation_token=token)
        assert len(page.registrations) <= 3
        seen += [registration.id for registration in page.registrations]
        token = page.continuation_token
        if token is None:
            break
    assert seen == sorted(theirs)


def test_a_page_of_an_owner_goes_on_until_it_has_what_is_asked_for(registry: Registry) -> None:
    owner = str(uuid4())
    for _ in range(12):
        inserted(registry, a_public_client(owner=owner))
    wanted = inserted(registry, a_service_client(owner=owner))
    page = registry.find(owners={owner}, client_type=ClientType.SERVICE, top=1)
    assert [each.id for each in page.registrations] == [wanted.id]


def test_a_name_in_an_owners_list_that_is_stale_or_without_a_row_does_no_harm(registry: Registry) -> None:
    before, after = str(uuid4()), str(uuid4())
    moved = inserted(registry, a_service_client(owner=before))
    registry.put_owned(after, moved.id)
    registry.put_owned(before, a_registration().id)
    registry.replace(replace(moved, request=moved.request.model_copy(update={"owner": after})))
    assert registry.find(owners={before}, top=9).registrations == ()
    assert [each.id for each in registry.find(owners={before, after}, top=9).registrations] == [moved.id]
    assert registry.find(owners=set(), top=9).registrations == ()


def inserted(registry: Registry, body: dict[str, object], **changes: object) -> Registration:
    registration = a_registration(body, **changes)
    registry.put_owned(registration.request.owner, registration.id)
    stored = registry.insert(registration)
    assert stored is not None
    return stored


def encoded(*keys: object) -> str:
    """Return a token as Table storage's are written, of whatever keys."""
    return base64.urlsafe_b64encode(json.dumps(keys).encode()).decode().rstrip("=")


STRANGE_KEYS = [("\ud800", "x"), ("x", "\udfff"), ("x" * 20_000, "x"), ("x", "y" * 20_000), ("x", "a b"), ("a\nb", "x")]
STRANGE_KEYS += [("é", "x"), ("", "x"), ("x", ""), (None, "x"), (1, 2), ("x", ["y"]), ("x", "y", "z")]  # type: ignore[list-item]
FOREIGN_TOKENS = ["", "x", "W10", "eyJhIjoxfQ", "bnVsbA", "ä", "['a','b']", "A" * 4000, "[" * 4000]


@pytest.mark.parametrize(
    "token", [*FOREIGN_TOKENS, *(encoded(*keys) for keys in STRANGE_KEYS)], ids=lambda token: token[:9]
)
def test_a_continuation_token_of_somebody_else_is_rejected(registry: Registry, token: str) -> None:
    inserted(registry, a_service_client())
    with pytest.raises(RequestRejected) as rejected:
        registry.find(top=5, continuation_token=token)
    assert (rejected.value.status, rejected.value.code) == (400, "invalid-continuation-token")


def test_due_entries_come_oldest_first_up_to_the_time_and_the_number(registry: Registry) -> None:
    entries = [DueEntry(a_registration().id, NOW + timedelta(microseconds=step)) for step in (3, 1, 0, 2, 5)]
    for entry in entries:
        registry.put_due(entry)
    ordered = sorted(entries, key=lambda entry: entry.due_at)
    assert registry.due(NOW + timedelta(microseconds=3), 10) == ordered[:4]
    assert registry.due(NOW + timedelta(days=1), 2) == ordered[:2]
    assert registry.due(NOW - timedelta(microseconds=1), 10) == []


def test_a_due_entry_put_twice_is_one_and_removed_twice_is_no_error(registry: Registry) -> None:
    entry = DueEntry(a_registration().id, NOW)
    registry.put_due(entry)
    registry.put_due(entry)
    assert registry.due(NOW, 10) == [entry]
    registry.remove_due(entry)
    registry.remove_due(entry)
    assert registry.due(NOW, 10) == []


def test_a_name_belongs_to_the_first_who_claims_it(registry: Registry) -> None:
    name = "https://fhir.contoso.example/a b?c=d#e"
    assert registry.holder(name) is None
    assert registry.claim(name, "first") == "first"
    assert registry.claim(name, "first") == "first"
    assert registry.claim(name, "second") == "first"
    assert registry.holder(name) == "first"


def test_a_name_changes_hands_only_from_the_named_holder(registry: Registry) -> None:
    registry.claim("name", "first")
    assert registry.claim("name", "third", instead_of="second") == "first"
    assert registry.claim("name", "second", instead_of="first") == "second"
    assert registry.claim("name", "third", instead_of="first") == "second"
    assert registry.holder("name") == "second"


def a_notice(subject: str, number: int, after: int = 0) -> Notice:
    data = {
        "displayName": "Größe 😀",
        "count": 1.5,
        "failure": None,
        "findings": [{"code": "a"}],
        "deep": {"b": [True]},
    }
    return Notice(f"{subject}-{number}", "registration.active", subject, NOW + timedelta(microseconds=after), data)


def test_notices_wait_in_the_order_of_their_times_and_are_read_back_to_the_last_field(registry: Registry) -> None:
    mine = [a_notice("mine", number, after) for number, after in enumerate((3, 1, 2))]
    other = a_notice("other", 7)
    for notice in (*mine, other):
        registry.put_notice(notice, NOW)
    assert registry.notices("mine") == [mine[1], mine[2], mine[0]]
    assert registry.notices("mine", most=2) == [mine[1], mine[2]]
    assert registry.notices() == [other, mine[1], mine[2], mine[0]]
    assert registry.notices(most=1) == [other]
    assert registry.notices("nobody' or PartitionKey ne '") == []


def test_a_notice_put_twice_is_one_and_removed_twice_is_no_error(registry: Registry) -> None:
    notice = a_notice("mine", 1)
    registry.put_notice(notice, NOW)
    registry.put_notice(a_notice("mine", 1, after=5), NOW)
    assert registry.notices() == [a_notice("mine", 1, after=5)]
    registry.remove_notice(notice)
    registry.remove_notice(notice)
    assert registry.notices() == []


def test_before_the_first_notice_there_is_none(registry: Registry) -> None:
    registry.remove_notice(a_notice("mine", 1))
    assert (registry.notices(), registry.notices("mine"), registry.mailboxes(NOW)) == ([], [], [])


def test_a_long_notice_fits(registry: Registry) -> None:
    long = replace(a_notice("mine", 1), data={"findings": [{"message": "x" * 1000} for _ in range(100)]})
    registry.put_notice(long, NOW)
    assert registry.notices() == [long]
    registry.put_notice(a_notice("mine", 1), NOW)
    assert registry.notices() == [a_notice("mine", 1)]


def test_a_subject_is_due_when_its_oldest_notice_is(registry: Registry) -> None:
    later = NOW + timedelta(minutes=30)
    registry.put_notice(a_notice("later", 1, after=1), later)
    registry.put_notice(a_notice("later", 2, after=2), NOW)
    registry.put_notice(a_notice("due", 3, after=1), NOW)
    registry.put_notice(a_notice("due", 4, after=2), later)
    assert registry.mailboxes(NOW - timedelta(microseconds=1)) == []
    assert registry.mailboxes(NOW) == ["due"]
    assert sorted(registry.mailboxes(later)) == ["due", "later"]
    registry.put_notice(a_notice("due", 3, after=1), later)
    assert registry.mailboxes(NOW) == []
    registry.remove_notice(a_notice("later", 1))
    assert registry.mailboxes(NOW) == ["later"]
