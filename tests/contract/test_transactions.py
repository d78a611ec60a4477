"""A transaction is what azure-data-tables would send, and its answer is read as the library reads it."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import requests
from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.data.tables import TableClient, TableServiceClient, TableTransactionError, UpdateMode

from provisioning.adapters.on import changed
from provisioning.adapters.transactions import transact
from provisioning.adapters.transport import sdk_options

Send = Callable[[TableClient, list[Any]], list[str]]

KEY, OTHER = {"PartitionKey": "o'Neill", "RowKey": "!count"}, {"PartitionKey": "o'Neill", "RowKey": "a b"}
MERGED = {"mode": UpdateMode.MERGE}
WRITES = [
    ("create", {**KEY, "text": 'é "quoted"\r\nHTTP/1.1 500 line', "number": 3, "yes": True}),
    ("upsert", {**OTHER, "text": ""}, MERGED),
]
GENERATED = re.compile(r"(batch|changeset)_[0-9a-f-]{36}|^(x-ms-date|Date): .*\r\n", re.MULTILINE)


def by_the_library(table: TableClient, operations: list[Any]) -> list[str]:
    return [str(each["etag"]) for each in table.submit_transaction(operations)]


@contextmanager
def a_table(azurite: str) -> Iterator[tuple[TableClient, list[requests.PreparedRequest]]]:
    """Serve a new table, and tell what was sent to it."""
    sent = list[requests.PreparedRequest]()
    with requests.Session() as session:
        service = TableServiceClient.from_connection_string(azurite, **sdk_options(session))
        table = service.create_table_if_not_exists("transactions")
        session.hooks["response"].append(lambda answer, **_: sent.append(answer.request))
        yield table, sent
        service.delete_table("transactions")


@pytest.fixture(params=[transact, by_the_library])
def send(request: pytest.FixtureRequest) -> Send:
    way: Send = request.param
    return way


def test_what_is_sent_is_what_the_library_would_send(azurite: str) -> None:
    with a_table(azurite) as (table, sent):
        etag = transact(table, WRITES)[0]
        guarded = {**MERGED, "etag": etag, "match_condition": MatchConditions.IfNotModified}
        for operations in (WRITES, [("update", KEY, guarded)]):
            sent.clear()
            for way in (transact, by_the_library):
                with pytest.raises(TableTransactionError):
                    way(table, [*operations, ("create", KEY)])
            ours, theirs = sent
            assert GENERATED.sub("", str_of(ours)) == GENERATED.sub("", str_of(theirs))
            assert ours.url == theirs.url
            generated = {"x-ms-client-request-id", "x-ms-date", "Date", "Authorization", "Content-Length"}
            headers = [
                {name: GENERATED.sub("", each.headers[name]) for name in each.headers if name not in generated}
                for each in (ours, theirs)
            ]
            assert headers[0] == headers[1]


def str_of(request: requests.PreparedRequest) -> str:
    assert request.body is not None
    return request.body.decode() if isinstance(request.body, bytes) else request.body


def test_all_operations_are_done_and_each_etag_is_told(azurite: str, send: Send) -> None:
    with a_table(azurite) as (table, _):
        etags = send(table, WRITES)
        found = [table.get_entity(each["PartitionKey"], each["RowKey"]) for each in (KEY, OTHER)]
        assert [each.metadata["etag"] for each in found] == etags
        assert dict(found[0]) == WRITES[0][1]


def test_where_one_is_refused_none_is_done_and_the_error_says_which_and_why(azurite: str, send: Send) -> None:
    with a_table(azurite) as (table, _):
        stale, *_ = send(table, WRITES)
        table.upsert_entity({**KEY, "number": 4})
        guarded = {**MERGED, "etag": stale, "match_condition": MatchConditions.IfNotModified}
        new = {**KEY, "RowKey": "new"}
        for operations, code, index in (
            ([("create", new), ("create", KEY)], "EntityAlreadyExists", 1),
            ([("update", KEY, guarded), ("create", new)], "UpdateConditionNotSatisfied", 0),
        ):
            with pytest.raises(TableTransactionError) as caught:
                send(table, operations)
            refused: Any = caught.value
            assert (str(refused.error_code), refused.index) == (code, index)
        assert {row["RowKey"] for row in table.list_entities()} == {KEY["RowKey"], OTHER["RowKey"]}


def test_a_row_is_changed_as_it_was_read_and_not_where_somebody_was_faster(azurite: str) -> None:
    with a_table(azurite) as (table, _):
        table.create_entity({**KEY, "number": 1})
        read = table.get_entity(KEY["PartitionKey"], KEY["RowKey"])
        said = [changed(lambda own, action: action(own), table, read, {**KEY, "number": each}) for each in (2, 3)]
        assert (said, table.get_entity(KEY["PartitionKey"], KEY["RowKey"])["number"]) == ([True, False], 2)
        table.delete_entity(read)
        assert not changed(lambda own, action: action(own), table, read, {**KEY, "number": 4})
        assert list(table.list_entities()) == []


def test_a_refusal_of_the_whole_is_no_error_of_a_transaction(azurite: str, send: Send) -> None:
    wrong = re.sub("AccountKey=[^;]+", "AccountKey=d3Jvbmc=", azurite)
    with TableServiceClient.from_connection_string(wrong, retry_total=0) as service:
        with pytest.raises(HttpResponseError) as caught:
            send(service.get_table_client("transactions"), WRITES)
        assert not isinstance(caught.value, TableTransactionError)
        assert caught.value.status_code == 403
