"""A message is a value with a schema: what this service wrote is read back, and what it never wrote is no message."""

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.domain.messages import (
    COUNTED,
    PARTS,
    Message,
    ReconcilePage,
    check_message,
    notice_message,
    operation_message,
    page_message,
    read_message,
    read_notice_message,
    read_waiting_message,
    reconcile_message,
    waiting_message,
)
from provisioning.domain.operation import DueEntry, Failure, LastError, OperationType
from provisioning.domain.registration import Status
from provisioning.domain.usage import Observed
from tests.worlds.variants import REQUESTS, row

ID = "0badc0de-0f0e0d0c-1111-2222-3333-444455556666"
OPERATION = "0badc0de-0000-4000-8000-00000000000e"
RUN = "20260115T023000Z"
NOW = datetime(2026, 1, 15, 12, 0, 0, 123456, tzinfo=UTC)
A_CHECK: dict[str, Any] = {"operation": "check", "registrationId": ID, "due": NOW.isoformat()}
AN_OPERATION: dict[str, Any] = {"operation": "rotate", "registrationId": ID, "operationId": OPERATION}
A_PAGE: dict[str, Any] = {"operation": "reconcile", "run": RUN, "part": "secrets", "page": "eyJ+/=", "counts": {}}


def read(content: object) -> Message | ReconcilePage | None:
    return read_message(json.dumps(content).encode())


def test_what_was_written_is_read_back() -> None:
    assert read_message(check_message(DueEntry(ID, NOW)).encode()) == Message(ID, "check", None, NOW)
    assert read_message(reconcile_message(ID, RUN).encode()) == Message(ID, "check", run=RUN)
    assert read_notice_message(notice_message(ID).encode()) == ID
    assert read_notice_message(notice_message("registrar").encode()) == "registrar"


@pytest.mark.parametrize(
    "observed", [Observed(), Observed(NOW, {"key": NOW, OPERATION: NOW}), Observed(unknown="graph-throttled")]
)
def test_what_a_reconciliation_read_of_a_registration_is_read_back(observed: Observed) -> None:
    message = reconcile_message(ID, RUN, observed=observed)
    assert read_message(message.encode()) == Message(ID, "check", run=RUN, observed=observed)


@pytest.mark.parametrize(
    "used",
    [
        *("yesterday", [], {"at": None}, {"at": None, "keys": {}}),
        {"at": "2026-01-15T12:00:00", "keys": {}, "unknown": None},
        {"at": None, "keys": {"a key": NOW.isoformat()}, "unknown": None},
        {"at": None, "keys": {"key": 7}, "unknown": None},
        {"at": None, "keys": {}, "unknown": "<b>"},
    ],
)
def test_what_no_reconciliation_read_makes_it_no_message(used: object) -> None:
    assert read({"operation": "check", "registrationId": ID, "run": RUN, "used": used}) is None


def test_a_key_id_that_is_none_is_left_out_and_takes_no_check_with_it() -> None:
    message = reconcile_message(ID, RUN, observed=Observed(NOW, {"": NOW, "a b": NOW, "key": NOW}))
    assert read_message(message.encode()) == Message(ID, "check", run=RUN, observed=Observed(NOW, {"key": NOW}))


def test_the_hundred_credentials_that_were_used_last_are_told() -> None:
    keys = {f"key-{number}": NOW + timedelta(seconds=number) for number in range(101)}
    message = read_message(reconcile_message(ID, RUN, observed=Observed(NOW, keys)).encode())
    assert isinstance(message, Message)
    assert message.observed == Observed(NOW, {name: at for name, at in keys.items() if name != "key-0"})


def test_the_longest_report_of_a_registration_fits_into_a_message_of_a_queue() -> None:
    keys = {f"{number:08}-0000-4000-8000-000000000000": NOW for number in range(5000)}
    assert len(reconcile_message(ID, RUN, OPERATION, Observed(NOW, keys))) < 48_000


@pytest.mark.parametrize("kind", OperationType)
def test_the_message_of_each_operation_is_read_back(kind: OperationType) -> None:
    assert read(AN_OPERATION | {"operation": kind}) == Message(ID, kind, OPERATION)


@given(
    part=st.sampled_from(PARTS),
    token=st.none() | st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=200),
    counts=st.dictionaries(st.sampled_from(COUNTED), st.integers(0, 10_000_000)),
)
def test_every_page_is_read_back(part: str, token: str | None, counts: dict[str, int]) -> None:
    page = ReconcilePage(RUN, part, token, counts)
    assert read_message(page_message(page).encode()) == page


def test_of_a_registration_that_is_gone_only_its_deletion_or_what_is_left_of_it_is_carried_out() -> None:
    deleted = replace(row(REQUESTS["service"]).succeeded(NOW), status=Status.DELETED)
    left = replace(deleted, last_error=LastError(Failure("vault-denied", "Denied.", "Give access."), passing=False))
    messages = (Message(deleted.id, "delete", OPERATION), Message(deleted.id, "check"), Message(deleted.id, "rotate"))
    assert [each.concerns(deleted) for each in messages] == [True, False, False]
    assert [each.concerns(left) for each in messages] == [True, True, False]
    active = replace(deleted, status=Status.ACTIVE)
    assert not any(each.concerns(active) for each in messages)


@pytest.mark.parametrize(
    ("operation", "operation_id", "concerned"),
    [
        *(("provision", row(REQUESTS["service"]).operation.id, True), ("provision", OPERATION, False)),
        *(("check", None, True), ("delete", OPERATION, False)),
    ],
)
def test_while_an_operation_is_pending_its_own_message_and_every_check_are_about_it(
    operation: str, operation_id: str | None, *, concerned: bool
) -> None:
    pending = row(REQUESTS["service"])
    assert Message(pending.id, operation, operation_id).concerns(pending) is concerned
    assert not Message(pending.id, operation, operation_id).concerns(pending.succeeded(NOW))


def test_a_message_of_an_operation_names_it_and_the_trace_of_whoever_asked_for_it() -> None:
    for trace in (None, "a" * 32):
        pending = row(REQUESTS["service"])
        pending = replace(pending, operation=replace(pending.operation, trace_id=trace))
        read_back = read_message(operation_message(pending).encode())
        assert read_back == Message(pending.id, "provision", pending.operation.id, trace_id=trace)
        assert str(read_back) == f"registration {pending.id}"
        page = ReconcilePage(RUN, "secrets", trace_id=trace)
        assert read_message(page_message(page).encode()) == page
        assert str(page) == f"reconciliation {RUN}"
        assert ('"trace"' in operation_message(pending)) is (trace is not None)


def test_what_waits_is_read_back_from_the_queue_of_the_chat_and_is_no_other_message() -> None:
    assert read_waiting_message(waiting_message(ID).encode()) == ID
    assert read_message(waiting_message(ID).encode()) is None
    for body in (b"{", b"[]", b"{}", b'{"waits": 7}', b'{"waits": "x"}', notice_message(ID).encode()):
        assert read_waiting_message(body) is None


def test_what_a_newer_version_says_beside_is_no_obstacle() -> None:
    assert read(AN_OPERATION | {"traceparent": "00-…"}) == Message(ID, "rotate", OPERATION)
    assert read(A_PAGE | {"began": "…"}) == ReconcilePage(RUN, "secrets", "eyJ+/=", {})


BROKEN: dict[str, list[object]] = {
    "registrationId": [None, 7, "", "x", f"{ID}\nregistration 0: provision succeeded", ID.upper(), [ID]],
    "operation": [None, 7, "", "grant", ["check"], {"check": 1}, "check\n"],
    "operationId": [None, 7, "", "x", f"{OPERATION}\n", OPERATION.upper()],
    "due": [7, "", "2026-01-15T12:00:00", "0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "yesterday", [1]],
    "run": [7, "", "20260115T023000Z\nreconciliation 20260115T023000Z: {}", "2026-01-15", ["x"]],
    "part": [None, 7, "", "vault", "secrets\n", ["secrets"]],
    "page": [7, "", "a\nb", "é", "\ud800", "x" * 8193, ["x"]],
    "counts": [
        None,
        7,
        [],
        {"other": 1},
        {"registrations": -1},
        {"registrations": 10_000_001},
        {"registrations": 1.5},
        {"registrations": True},
        {"registrations": "1"},
        {"registrations\n": 1},
    ],
}


@pytest.mark.parametrize(
    "content",
    [
        message | {name: value}
        for message in (A_CHECK | {"run": RUN}, AN_OPERATION, A_PAGE)
        for name in message
        for value in BROKEN[name]
    ],
    ids=str,
)
def test_one_part_that_does_not_fit_makes_it_no_message(content: dict[str, object]) -> None:
    assert read(content) is None


@pytest.mark.parametrize("message", [A_CHECK, AN_OPERATION, A_PAGE], ids=["check", "operation", "page"])
def test_without_a_part_that_it_needs_it_is_no_message(message: dict[str, object]) -> None:
    assert read(message) is not None
    for name in message.keys() - {"due"}:
        assert read({other: value for other, value in message.items() if other != name}) is None, name


@pytest.mark.parametrize(
    "body", [b"", b"\xff", b"{", b"7", b"null", b"[]", b'"check"', b"[" * 40_000, b"1" * 5000, b'{"operation": NaN}']
)
def test_what_is_no_object_of_json_is_no_message(body: bytes) -> None:
    assert read_message(body) is None
    assert read_notice_message(body) is None


@given(
    st.binary(max_size=200)
    | st.recursive(st.none() | st.integers() | st.text(), st.lists, max_leaves=5).map(
        lambda value: json.dumps({"operation": "check", "registrationId": value, "subject": value}).encode()
    )
)
def test_whatever_else_it_is_it_is_no_message_and_no_error(body: bytes) -> None:
    assert read_message(body) is None
    assert read_notice_message(body) is None


@pytest.mark.parametrize("subject", [None, 7, "", "x", "registrar\n", f"{ID}' or 1 eq 1", [ID]])
def test_a_subject_is_the_registrar_or_the_id_of_a_registration(subject: object) -> None:
    assert read_notice_message(json.dumps({"subject": subject}).encode()) is None
