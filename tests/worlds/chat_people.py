"""ChatPeople in memory; the contract suite holds it to the same promises as Table storage."""

import threading
from dataclasses import replace
from datetime import datetime

from provisioning.domain.chat import ChatUser, SignIn
from provisioning.domain.teams import Conversation


class MemoryChatPeople:
    """What is remembered of a chat, in dictionaries behind one lock."""

    def __init__(self) -> None:
        self.came: dict[str, tuple[str, datetime]] = {}
        self.requests: dict[str, tuple[str, datetime]] = {}
        self.codes: dict[str, tuple[str, datetime]] = {}
        self.linked_users: dict[ChatUser, str] = {}
        self.sign_ins: dict[str, SignIn] = {}
        self.where: dict[str, Conversation] = {}
        self.tellings: dict[str, str] = {}
        self._lock = threading.Lock()

    def keep(self, request: str, content: str, until: datetime) -> bool:
        with self._lock:
            before = len(self.came)
            self.came.setdefault(request, (content, until))
            return len(self.came) > before

    def kept(self, request: str) -> str | None:
        with self._lock:
            return self.came[request][0] if request in self.came else None

    def take(self, request: str, delivery: str, until: datetime) -> bool:
        with self._lock:
            return self.requests.setdefault(request, (delivery, until))[0] == delivery

    def put_code(self, key: str, object_id: str, until: datetime) -> None:
        with self._lock:
            self.codes[key] = object_id, until

    def take_code(self, key: str, now: datetime) -> str | None:
        with self._lock:
            object_id, until = self.codes.pop(key, (None, now))
            return object_id if now < until else None

    def link(self, user: ChatUser, object_id: str) -> None:
        with self._lock:
            self.linked_users[user] = object_id

    def linked(self, user: ChatUser) -> str | None:
        with self._lock:
            return self.linked_users.get(user)

    def unlink(self, object_id: str) -> None:
        with self._lock:
            self.linked_users = {user: person for user, person in self.linked_users.items() if person != object_id}
            self.sign_ins.pop(object_id, None)
            self.where.pop(object_id, None)

    def put_sign_in(self, sign_in: SignIn) -> None:
        with self._lock:
            self.sign_ins[sign_in.caller.object_id] = replace(sign_in)

    def renew(self, sign_in: SignIn) -> None:
        with self._lock:
            if sign_in.caller.object_id in self.sign_ins:
                self.sign_ins[sign_in.caller.object_id] = sign_in

    def sign_in(self, object_id: str) -> SignIn | None:
        with self._lock:
            return self.sign_ins.get(object_id)

    def everybody(self) -> list[SignIn]:
        with self._lock:
            return list(self.sign_ins.values())

    def links(self) -> list[tuple[ChatUser, str]]:
        with self._lock:
            return list(self.linked_users.items())

    def put_place(self, object_id: str, conversation: Conversation) -> None:
        with self._lock:
            self.where[object_id] = conversation

    def places(self) -> dict[str, Conversation]:
        with self._lock:
            return dict(self.where)

    def put_told(self, registration_id: str, messages: str) -> None:
        with self._lock:
            self.tellings[registration_id] = messages

    def told(self, registration_id: str) -> str:
        with self._lock:
            return self.tellings.get(registration_id, "")

    def forget(self, now: datetime) -> None:
        with self._lock:
            self.codes = {key: each for key, each in self.codes.items() if now <= each[1]}
            self.came = {key: each for key, each in self.came.items() if now <= each[1]}
            self.requests = {key: each for key, each in self.requests.items() if now <= each[1]}
