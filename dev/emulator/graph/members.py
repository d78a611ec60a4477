"""Users and groups, as far as anybody asks about them here: whether there is one of an object id.

Sources: "Get user" (application permission User.Read.All), "Get group" (GroupMember.Read.All); who holds neither is
refused before anything is looked for, as by every operation of Graph.
"""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Final

from dev.emulator import constants
from dev.emulator.errors import Json, bad_request, denied, not_found

if TYPE_CHECKING:
    from dev.emulator.graph.directory import Directory
    from dev.emulator.graph.records import Caller

READER: Final = {"users": constants.USER_READ_ALL, "groups": constants.GROUP_MEMBER_READ_ALL}


class Members:
    """The users and groups of the tenant."""

    def __init__(self, directory: Directory) -> None:
        self._there = {"users": directory.people | directory.users, "groups": directory.groups}

    def read(self, by: Caller, what: str, object_id: str) -> Json:
        """The user or the group with this object id."""
        if READER[what] not in by.roles:
            raise denied()
        try:
            uuid.UUID(object_id)
        except ValueError:
            if what == "groups":
                raise bad_request(f"Invalid object identifier '{object_id}'.") from None
            raise not_found(object_id) from None  # of a user it may be a principal name
        if object_id.lower() not in self._there[what]:
            raise not_found(object_id)
        return {"id": object_id.lower(), "displayName": f"One of the {what}"}
