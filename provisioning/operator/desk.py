"""Where the operator sits: on whose behalf a command acts, what it prints to, and how it asks the callers' side."""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any, Final, TextIO
from urllib.parse import urlencode

from provisioning import trail
from provisioning.api import web
from provisioning.api.calls import Call
from provisioning.domain.callers import KEY_HOLDER, Caller, CallerKind, Role
from provisioning.domain.errors import TryAgain
from provisioning.domain.events import Actor
from provisioning.domain.messages import REGISTRATIONS_QUEUE
from provisioning.domain.readiness import SignedIn
from provisioning.domain.registration import Registration, Status
from provisioning.operator.shown import as_table
from provisioning.ports import Services

PAGE: Final = 200
_TOLD_EVERY: Final = timedelta(seconds=5)
_PATH: Final = "/registrations"


@dataclass
class Desk:
    """One run of the command line. Results go to `out`, and what is only for people who watch to `err`."""

    services: Services
    out: TextIO
    err: TextIO
    as_json: bool = False
    _told_at: datetime | None = None

    @cached_property
    def signed_in(self) -> SignedIn:
        """Who runs this, as Entra says; raises TryAgain where nobody is signed in."""
        return self.services.directory.signed_in()

    @cached_property
    def caller(self) -> Caller:
        """Whoever runs this, as a caller: to open the tables is to be allowed everything, and each act has a name."""
        kind = CallerKind.USER if self.signed_in.person else CallerKind.APPLICATION
        roles = frozenset({Role.CREATE, Role.READ_ALL, Role.MANAGE_ALL, Role.APPROVE})
        return Caller(self.signed_in.object_id, kind, roles)

    def read(self, name: str, registration_id: str = "", **query: str) -> dict[str, Any]:
        """Return what the call of this name answers; it writes nothing, so it does not matter who asks."""
        call = Call(_PATH, query=urlencode(query), registration_id=registration_id.lower())
        return self._asked(name, KEY_HOLDER, call)

    def write(
        self, name: str, registration_id: str, body: Mapping[str, Any] | None = None, *, dry_run: bool = False
    ) -> dict[str, Any]:
        """Have the call of this name done on behalf of whoever runs this, and return its answer."""
        raw = b"" if body is None else json.dumps(body).encode()
        headers = {"content-type": "application/json", "content-length": str(len(raw))} if raw else {}
        query = urlencode({"dryRun": "true"} if dry_run else {})
        call = Call(f"{_PATH}/{registration_id}", headers, query, raw, registration_id.lower(), "POST")
        return self._asked(name, self.caller, call)

    def _asked(self, name: str, caller: Caller, call: Call) -> dict[str, Any]:
        subject = f"registration {call.registration_id}" if call.registration_id else ""
        with trail.following(None, Actor.of(caller), subject):
            answer = web.CALLS[name](self.services, caller, call)
            if answer.message is not None:
                self.send(answer.message)
        content: dict[str, Any] = json.loads(answer.body)
        return content

    def send(self, message: str) -> None:
        """Have the queue carry it out; where the queue cannot be told, the planner finds the due entry."""
        try:
            self.services.queues.send(REGISTRATIONS_QUEUE, message)
        except TryAgain as error:
            self.note(f"It is accepted, and the queue could not be told ({error.code}): the planner takes it up.")

    def rows(self, status: Status | None = None) -> Iterator[Registration]:
        """Yield every registration that is not deleted, or each one of the status; how far it is, is told."""
        token, seen = None, 0
        while True:
            page = self.services.registry.find(status=status, top=PAGE, continuation_token=token)
            yield from page.registrations
            seen, token = seen + len(page.registrations), page.continuation_token
            if page.unreadable:
                self.note(f"{page.unreadable} rows were written by another version and are left out.")
            if token is None:
                return
            self.progress(seen, "registrations read")

    def progress(self, count: int, what: str) -> None:
        """Tell how far a long work is, every few seconds."""
        now = self.services.clock.now()
        self._told_at = self._told_at or now
        if now - self._told_at >= _TOLD_EVERY:
            self._told_at = now
            self.note(f"… {count} {what}")

    def note(self, text: str) -> None:
        """Tell something to whoever watches."""
        print(text, file=self.err)

    def show(self, rows: list[dict[str, Any]], columns: Mapping[str, str], empty: str) -> None:
        """Print rows, as JSON or as a table of these columns: each a name, and what it is called."""
        if self.as_json:
            self.show_json(rows)
        else:
            print(as_table(rows, columns) if rows else empty, file=self.out)

    def show_json(self, content: object) -> None:
        """Print JSON."""
        print(json.dumps(content, indent=2), file=self.out)

    def say(self, *lines: str) -> None:
        """Print lines."""
        print(*lines, sep="\n", file=self.out)
