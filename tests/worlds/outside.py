"""Every call that leaves a process, as one that a test can stop, delay or repeat, and what is noted of it."""

import json
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast
from urllib.parse import parse_qsl

import requests
from requests.adapters import BaseAdapter

from provisioning.domain.events import Event
from provisioning.domain.messages import CHAT_QUEUE, NOTICES_QUEUE, REGISTRATIONS_QUEUE
from provisioning.domain.registration import Registration, Status
from provisioning.flow.ready import CANARY
from provisioning.ports import Registry
from tests.worlds.queued import Queued
from tests.worlds.told import facts_of

if TYPE_CHECKING:
    from tests.worlds.wired import WiredWorld


class Died(BaseException):
    """The process was killed: nothing after this ran, and nothing that it knew is left."""


T = TypeVar("T")
Outside = Callable[[str, Callable[[], T]], T]


def straight(_name: str, action: Callable[[], T]) -> T:
    """Let every outside call through."""
    return action()


def done_twice(begins: str) -> Outside[Any]:
    """Return what does each such call of ours a moment after somebody else has done the very same."""

    def outside(name: str, action: Callable[[], Any]) -> Any:
        if name.startswith(begins):
            action()
        return action()

    return outside


class WatchedAdapter(BaseAdapter):
    """Hands each HTTP request to the emulator as one outside call, named by method and the kind of its path.

    It sees what no other place sees, and notes what breaks a promise on the way: a secret published before the token
    endpoint accepted it so often in a row, and a mint repeated without a look into the vault.
    """

    def __init__(self, world: "WiredWorld", inner: BaseAdapter) -> None:
        super().__init__()
        self._world = world
        self._inner = inner
        self._mint_unanswered = False

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        path = re.sub(r"[^/(]*\d[^/(]*", "*", request.path_url.partition("?")[0])
        name = f"{request.method} {path}"
        self._watch_before(name, request)
        status = 0
        try:
            answer = self._world.outside(name, lambda: self._effect(name, request, options))
            status = answer.status_code
        finally:
            self._watch_after(name, request, status)
        return cast("requests.Response", answer)

    def _effect(self, name: str, request: requests.PreparedRequest, options: dict[str, Any]) -> requests.Response:
        watch = self._world.watch
        return watch.over(name, request.path_url, lambda: self._inner.send(request, **options))

    def _watch_before(self, name: str, request: requests.PreparedRequest) -> None:
        if name.endswith("/addPassword"):
            if self._mint_unanswered:
                self._world.violations.append("a mint was repeated blindly")
            self._world.mints += 1
        if name.startswith("PUT /secrets/") and CANARY not in name and "Authorization" in request.headers:
            value = json.loads(request.body or b"{}")["value"]
            if self._world.accepted[value] < self._world.settings.secrets.proof_count:
                self._world.violations.append("a secret was published before it was proven")

    def _watch_after(self, name: str, request: requests.PreparedRequest, status: int) -> None:
        if name.endswith("/addPassword"):
            self._mint_unanswered = status == 0 or status >= 500
        elif name.startswith("GET /secrets/"):
            self._mint_unanswered = False
        elif name.endswith("/token"):
            form = dict(parse_qsl(str(request.body)))
            accepted = self._world.accepted
            if status == 200:
                accepted[form["client_secret"]] += 1
            elif status in (400, 401):
                accepted[form["client_secret"]] = 0

    def close(self) -> None:
        self._inner.close()


class WorldQueues:
    """The world's own queue; each call is one outside call."""

    names = (REGISTRATIONS_QUEUE, NOTICES_QUEUE)

    def __init__(self, world: "WiredWorld") -> None:
        self._world = world

    def send(self, queue: str, message: str) -> None:
        if queue == CHAT_QUEUE:
            self._world.outside("queue.send", lambda: self._world.chat_queue.append(message))
            return
        queued = Queued(message, self._world.clock.now(), about_notices=queue == NOTICES_QUEUE)
        self._world.outside("queue.send", lambda: self._world.queue.append(queued))

    def check(self, queue: str) -> None:
        self._world.outside(f"queue.check {queue}", lambda: None)


class WatchedPeople:
    """Hands each call about who in a chat is who on as one outside call."""

    def __init__(self, world: "WiredWorld", inner: Any) -> None:
        self._world = world
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return lambda *args, **kwargs: self._world.outside(f"people.{name}", lambda: method(*args, **kwargs))


ALLOWED_TRANSITIONS = {
    (Status.ACCEPTED, Status.ACCEPTED),
    (Status.ACCEPTED, Status.ACTIVE),
    (Status.ACCEPTED, Status.FAILED),
    (Status.ACTIVE, Status.ACTIVE),
    (Status.FAILED, Status.ACCEPTED),
    (Status.ACTIVE, Status.DELETING),
    (Status.FAILED, Status.DELETING),
    (Status.DELETING, Status.DELETING),
    (Status.DELETING, Status.DELETED),
    (Status.DELETED, Status.DELETED),
}


def is_allowed(before: Registration, after: Registration) -> bool:
    """Whether it may become so. Of what waits for an approval nothing was created that a deletion could miss."""
    withdrawn = before.awaits_approval and (before.status, after.status) == (Status.ACCEPTED, Status.DELETING)
    return withdrawn or (before.status, after.status) in ALLOWED_TRANSITIONS


class WatchedRegistry:
    """Hands each call of a registry on as one outside call, and notes a transition that is not allowed."""

    def __init__(self, world: "WiredWorld", inner: Registry) -> None:
        self._world = world
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return lambda *args, **kwargs: self._world.outside(f"registry.{name}", lambda: method(*args, **kwargs))

    def insert(self, registration: Registration, *events: Event) -> Registration | None:
        def watched() -> Registration | None:
            after = self._inner.insert(registration, *events)
            if after is not None:
                self._world.changes[after.id] |= facts_of(None, after)
            return after

        return cast("Registration | None", self._world.outside("registry.insert", watched))

    def replace(self, registration: Registration, *events: Event) -> Registration:
        def watched() -> Registration:
            before = self._inner.get(registration.id)
            after = self._inner.replace(registration, *events)
            self._world.changes[registration.id] |= facts_of(before, after)
            if before is not None and not is_allowed(before, after):
                self._world.violations.append(f"{before.status} became {after.status}")
            return after

        return cast("Registration", self._world.outside("registry.replace", watched))
