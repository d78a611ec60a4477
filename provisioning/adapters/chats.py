"""ChatPeople over Azure Table storage: the table `chats`, whose partitions are seven kinds of rows.

PartitionKey: "link"       RowKey: {workspace}_{user}      objectId: who that is, for good until it is unlinked
-             "person"     RowKey: object id               roles, groups, name, at: the last sign-in
-             "code"       RowKey: hash of the code        objectId, until: good once
-             "place"      RowKey: object id               service, conversation: where the person is in Teams
-             "told"       RowKey: id of a registration    messages: which ones tell of it
-             "came"       RowKey: what names a request    content, until: so that the same one is refused
-             "request"    RowKey: what names a request    delivery, until: so that no request is taken twice
"""

import json
from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import datetime
from itertools import islice
from typing import Any, Final

from azure.core import MatchConditions
from azure.core.exceptions import ResourceExistsError, ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableClient, UpdateMode

from provisioning.adapters.on import On
from provisioning.adapters.rows import SCHEMA_VERSION, UNREADABLE, time_key
from provisioning.domain.callers import Caller, CallerKind, Role
from provisioning.domain.chat import ChatUser, SignIn
from provisioning.domain.teams import Conversation

CHATS: Final = "chats"
_LINK, _PERSON, _CODE, _CAME, _REQUEST = "link", "person", "code", "came", "request"
_PLACE, _TOLD = "place", "told"
# How many rows that are over one call removes, at the most.
_SWEPT: Final = 50


class ChatsTable:
    """Who in a chat is who."""

    def __init__(self, table: TableClient, on: On) -> None:
        self._table = table
        self._on = on

    def keep(self, request: str, content: str, until: datetime) -> bool:
        """As the port says. One request."""
        try:
            self._create(_CAME, request, {"content": content, "until": time_key(until)})
        except ResourceExistsError:
            return False
        return True

    def kept(self, request: str) -> str | None:
        """As the port says."""
        found = self._read(_CAME, request)
        return None if found is None else str(found.get("content", ""))

    def take(self, request: str, delivery: str, until: datetime) -> bool:
        """As the port says. One request, and a second one where it was taken before."""
        try:
            self._create(_REQUEST, request, {"delivery": delivery, "until": time_key(until)})
        except ResourceExistsError:
            found = self._read(_REQUEST, request)
            return found is not None and found.get("delivery") == delivery
        return True

    def put_code(self, key: str, object_id: str, until: datetime) -> None:
        """As the port says."""
        self._create(_CODE, key, {"objectId": object_id, "until": time_key(until)})

    def take_code(self, key: str, now: datetime) -> str | None:
        """As the port says: whoever removes the row has it."""
        found = self._read(_CODE, key)
        if found is None:
            return None
        guard = {"etag": found.metadata["etag"], "match_condition": MatchConditions.IfNotModified}
        try:
            self._on(self._table, lambda table: table.delete_entity(found, **guard))
        except (ResourceModifiedError, ResourceNotFoundError):
            return None
        return str(found["objectId"]) if time_key(now) < str(found["until"]) else None

    def link(self, user: ChatUser, object_id: str) -> None:
        """As the port says."""
        self._upsert(_LINK, _name(user), {"objectId": object_id})

    def linked(self, user: ChatUser) -> str | None:
        """As the port says."""
        found = self._read(_LINK, _name(user))
        return None if found is None else str(found["objectId"])

    def unlink(self, object_id: str) -> None:
        """As the port says; a person has few links, and all of them are looked through for these."""

        def read(table: TableClient) -> list[Any]:
            condition = "PartitionKey eq 'link' and objectId eq @person"
            return list(table.query_entities(condition, parameters={"person": object_id}, select=["RowKey"]))

        for each in self._on(self._table, read):
            self._remove(_LINK, each["RowKey"])
        self._remove(_PERSON, object_id)
        self._remove(_PLACE, object_id)

    def put_sign_in(self, sign_in: SignIn) -> None:
        """As the port says."""
        self._upsert(_PERSON, sign_in.caller.object_id, _columns(sign_in))

    def renew(self, sign_in: SignIn) -> None:
        """As the port says: one request, which Table storage refuses where there is no row."""
        entity = _entity(_PERSON, sign_in.caller.object_id, _columns(sign_in))
        try:
            self._on(self._table, lambda table: table.update_entity(entity, mode=UpdateMode.REPLACE))
        except ResourceNotFoundError:
            return

    def sign_in(self, object_id: str) -> SignIn | None:
        """As the port says."""
        found = self._read(_PERSON, object_id)
        try:
            return None if found is None else _sign_in(found)
        except UNREADABLE:
            return None

    def everybody(self) -> Iterable[SignIn]:
        """As the port says; what cannot be read is nobody."""
        found = list[SignIn]()
        for each in self._all(_PERSON):
            with suppress(*UNREADABLE):
                found.append(_sign_in(each))
        return found

    def links(self) -> Iterable[tuple[ChatUser, str]]:
        """As the port says."""
        for each in self._all(_LINK):
            workspace, _, user = str(each["RowKey"]).partition("_")
            yield ChatUser(workspace, user), str(each["objectId"])

    def put_place(self, object_id: str, conversation: Conversation) -> None:
        """As the port says."""
        self._upsert(_PLACE, object_id, {"service": conversation.service, "conversation": conversation.id})

    def places(self) -> Mapping[str, Conversation]:
        """As the port says."""
        return {
            str(each["RowKey"]): Conversation(str(each["service"]), str(each["conversation"]))
            for each in self._all(_PLACE)
        }

    def put_told(self, registration_id: str, messages: str) -> None:
        """As the port says."""
        if messages:
            self._upsert(_TOLD, registration_id, {"messages": messages})
        else:
            self._remove(_TOLD, registration_id)

    def told(self, registration_id: str) -> str:
        """As the port says."""
        found = self._read(_TOLD, registration_id)
        return "" if found is None else str(found.get("messages", ""))

    def forget(self, now: datetime) -> None:
        """As the port says."""

        def read(table: TableClient) -> list[Any]:
            condition = (
                "(PartitionKey eq 'came' or PartitionKey eq 'code' or PartitionKey eq 'request') and until lt @now"
            )
            keys = ["PartitionKey", "RowKey"]
            found = table.query_entities(
                condition, parameters={"now": time_key(now)}, select=keys, results_per_page=_SWEPT
            )
            return list(islice(found, _SWEPT))

        for each in self._on(self._table, read):
            self._remove(each["PartitionKey"], each["RowKey"])

    def _all(self, kind: str) -> list[Any]:
        def read(table: TableClient) -> list[Any]:
            return list(table.query_entities("PartitionKey eq @kind", parameters={"kind": kind}))

        return self._on(self._table, read)

    def _create(self, kind: str, key: str, columns: Mapping[str, Any]) -> None:
        self._on(self._table, lambda table: table.create_entity(_entity(kind, key, columns)))

    def _upsert(self, kind: str, key: str, columns: Mapping[str, Any]) -> None:
        entity = _entity(kind, key, columns)
        self._on(self._table, lambda table: table.upsert_entity(entity, mode=UpdateMode.REPLACE))

    def _read(self, kind: str, key: str) -> Any:  # noqa: ANN401 -- an entity, or None
        try:
            return self._on(self._table, lambda table: table.get_entity(kind, key))
        except ResourceNotFoundError:
            return None

    def _remove(self, kind: str, key: str) -> None:
        try:
            self._on(self._table, lambda table: table.delete_entity(kind, key))
        except ResourceNotFoundError:
            return


def _name(user: ChatUser) -> str:
    return f"{user.workspace}_{user.user}"


def _entity(kind: str, key: str, columns: Mapping[str, Any]) -> dict[str, Any]:
    return {"PartitionKey": kind, "RowKey": key, "schema": SCHEMA_VERSION, **columns}


def _columns(sign_in: SignIn) -> dict[str, Any]:
    caller = sign_in.caller
    return {
        "roles": json.dumps(sorted(caller.roles)),
        "groups": json.dumps(sorted(caller.groups)),
        "name": caller.name,
        "at": time_key(sign_in.at),
    }


def _sign_in(entity: Mapping[str, Any]) -> SignIn:
    roles = frozenset(Role(each) for each in json.loads(entity["roles"]) if each in set(Role))
    groups = frozenset(map(str, json.loads(entity["groups"])))
    caller = Caller(entity["RowKey"], CallerKind.USER, roles, groups, str(entity["name"]))
    at = datetime.fromisoformat(entity["at"])
    if at.tzinfo is None:
        raise ValueError("a time without its offset from UTC")
    return SignIn(caller, at)
