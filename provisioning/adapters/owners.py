"""Which registrations are an owner's, and how many: the owner's partition of the table `owners`.

    PartitionKey: owner     RowKey: "!count"            hour, inHour, number: -1 where it is to be counted anew
    PartitionKey: owner     RowKey: registration id     listedAt; over: it is this owner's no more, or deleted

What is listed may be stale, and is never missing. A registration is listed and counted in one transaction, guarded by
the ETag of the count: so instances agree, and none takes a place that another has taken. Nothing is counted back: once
the number seems reached, what is there is counted from the rows, so that whatever a crash left is counted no longer.
"""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import compress, islice
from typing import Any, Final

from azure.core import MatchConditions
from azure.data.tables import TableClient, TableTransactionError, UpdateMode

from provisioning.adapters.on import On
from provisioning.adapters.rows import SCHEMA_VERSION, time_key
from provisioning.adapters.transactions import transact
from provisioning.domain.errors import TryAgain
from provisioning.domain.quota import Count, Exceeded, Quota

COUNT: Final = "!count"  # before every id
BEFORE_ALL_IDS: Final = "!~"
# How many requests are made at a time.
AT_ONCE: Final = 8
_MOST_ATTEMPTS: Final = 30
_IN_ONE_TRANSACTION: Final = 100
# An answer to HTTP takes at most 230 s; until long after that the row of what is listed may still be on its way.
_ROW_MAY_FOLLOW: Final = timedelta(minutes=10)
_UNKNOWN: Final = -1


class OwnersTable:
    """An owner's registrations, listed and counted. `is_live` tells whether one is there still, and this owner's."""

    def __init__(self, table: TableClient, on: On, is_live: Callable[[str, str], bool | None]) -> None:
        self._table = table
        self._on = on
        self._is_live = is_live

    def listed(self, owner: str, after: str, most: int) -> list[str]:
        """Return the first ids of an owner's list that come after one: of one page, which has up to 1000."""

        def read(table: TableClient) -> list[str]:
            entities = table.query_entities(
                "PartitionKey eq @owner and RowKey gt @after",
                parameters={"owner": owner, "after": max(after, BEFORE_ALL_IDS)},
                select=["RowKey"],
                results_per_page=most,
            )
            return [str(entity["RowKey"]) for entity in islice(entities, most)]

        return self._on(self._table, read)

    def put(self, owner: str, registration_id: str) -> None:
        """Have the list name the registration; what is counted stays as it is."""
        entity = {"PartitionKey": owner, "RowKey": registration_id, "schema": SCHEMA_VERSION}
        self._on(self._table, lambda table: table.upsert_entity(entity, mode=UpdateMode.MERGE))

    def take_place(self, owner: str, registration_id: str, quota: Quota, now: datetime) -> Exceeded | None:
        """As the port says: one request to read and one to write, unless the number seems reached or another is faster.

        Where nothing is limited it is one request alone, and the owner is counted anew once something is.
        """
        if not quota.limits:
            self._list_uncounted(owner, registration_id, now)
            return None
        for _ in range(_MOST_ATTEMPTS):
            exceeded, count, etag = self._look(owner, quota, now, mend=True)
            if exceeded is not None:
                return exceeded
            match self._list_counted(owner, registration_id, count.and_one(now), now, etag):
                case "listed":
                    return None
                case "listed before":
                    self._list_uncounted(owner, registration_id, now)
                    return None
        raise TryAgain(
            "owner-busy",
            "Very many registrations of this owner are sent at the same time.",
            remedy="Nothing, if it passes; send fewer of them at the same time.",
        )

    def exceeds(self, owner: str, quota: Quota, now: datetime) -> Exceeded | None:
        """As the port says."""
        return self._look(owner, quota, now, mend=False)[0] if quota.limits else None

    def _look(
        self, owner: str, quota: Quota, now: datetime, *, mend: bool
    ) -> tuple[Exceeded | None, Count, str | None]:
        """Return what of the quota is reached, the owner's count, and its ETag; None where there is none yet."""
        count, etag = self._count(owner)
        exceeded = count.exceeds(quota, now)
        if exceeded is Exceeded.NUMBER:
            count = replace(count, number=self._count_anew(owner, now, mend=mend))
            exceeded = count.exceeds(quota, now)
        return exceeded, count, etag

    def _count(self, owner: str) -> tuple[Count, str | None]:
        """Read the first row of the partition: the count, or what was listed before any was counted, or nothing."""

        def read(table: TableClient) -> list[Any]:
            pages = table.query_entities("PartitionKey eq @owner", parameters={"owner": owner}, results_per_page=1)
            return list(next(pages.by_page(), []))

        for entity in self._on(self._table, read):
            if entity["RowKey"] != COUNT:
                return Count(number=None), None
            number = int(entity.get("number", _UNKNOWN))
            count = Count(str(entity.get("hour", "")), int(entity.get("inHour", 0)), None if number < 0 else number)
            return count, entity.metadata["etag"]
        return Count(), None

    def _list_counted(self, owner: str, registration_id: str, count: Count, now: datetime, etag: str | None) -> str:
        """List it and write the count, both or neither; say what came of it: one of three words."""
        counted = {**_key(owner, COUNT), "hour": count.hour, "inHour": count.in_hour, "number": _stored(count.number)}
        guard = {"mode": UpdateMode.MERGE, "etag": etag, "match_condition": MatchConditions.IfNotModified}
        operations: list[Any] = [
            ("create", {**_key(owner, registration_id), "listedAt": time_key(now)}),
            ("create", counted) if etag is None else ("update", counted, guard),
        ]

        def write(table: TableClient) -> str:
            try:
                transact(table, operations)
            except TableTransactionError as error:
                if _code(error) not in ("EntityAlreadyExists", "UpdateConditionNotSatisfied"):
                    raise
                return "overtaken" if error.index else "listed before"
            return "listed"

        return self._on(self._table, write)

    def _list_uncounted(self, owner: str, registration_id: str, now: datetime) -> None:
        operations: list[Any] = [
            ("upsert", {**_key(owner, registration_id), "listedAt": time_key(now), "over": False}, _MERGED),
            ("upsert", {**_key(owner, COUNT), "number": _UNKNOWN}, _MERGED),
        ]
        self._on(self._table, lambda table: transact(table, operations))

    def _count_anew(self, owner: str, now: datetime, *, mend: bool) -> int:
        """Return how many of the owner's registrations are there; those that are not are not looked at again."""

        def read(table: TableClient) -> list[Any]:
            entities = table.query_entities(
                "PartitionKey eq @owner and RowKey gt @after", parameters={"owner": owner, "after": BEFORE_ALL_IDS}
            )
            return [entity for entity in entities if not entity.get("over", False)]

        def is_over(entity: Any) -> bool:  # noqa: ANN401 -- an entity
            is_live = self._is_live(owner, entity["RowKey"])
            return is_live is False or (is_live is None and str(entity.get("listedAt", "")) < follows_since)

        follows_since = time_key(now - _ROW_MAY_FOLLOW)
        entities = self._on(self._table, read)
        with ThreadPoolExecutor(AT_ONCE) as pool:
            over = list(compress(entities, pool.map(is_over, entities)))
        if mend:
            self._note_over(owner, over)
        return len(entities) - len(over)

    def _note_over(self, owner: str, entities: list[Any]) -> None:
        """Have these be passed over when the owner is next counted anew, but for those that were listed again."""
        for start in range(0, len(entities), _IN_ONE_TRANSACTION):
            operations: list[Any] = [
                (
                    "update",
                    {**_key(owner, each["RowKey"]), "over": True},
                    {**_MERGED, "etag": each.metadata["etag"], "match_condition": MatchConditions.IfNotModified},
                )
                for each in entities[start : start + _IN_ONE_TRANSACTION]
            ]

            def write(table: TableClient, operations: list[Any] = operations) -> None:
                with suppress(TableTransactionError):  # then they are counted once more
                    transact(table, operations)

            self._on(self._table, write)


_MERGED: Final[Mapping[str, Any]] = {"mode": UpdateMode.MERGE}


def _key(owner: str, row_key: str) -> dict[str, Any]:
    return {"PartitionKey": owner, "RowKey": row_key, "schema": SCHEMA_VERSION}


def _code(error: TableTransactionError) -> str:
    return str(getattr(error, "error_code", ""))


def _stored(number: int | None) -> int:
    return _UNKNOWN if number is None else number
