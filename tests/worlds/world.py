"""A world in one process: call the product as over HTTP, deliver its messages, let time pass."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.errors import UnreadableRow
from provisioning.domain.messages import Message, Outgoing, ReconcilePage, read_message, read_notice_message
from provisioning.domain.operation import OperationType
from provisioning.domain.registration import Registration
from provisioning.flow import conclude, plan
from provisioning.flow.notify import send_notices
from provisioning.flow.provision import carry_out
from provisioning.flow.reconcile import first_page
from tests.worlds.described import undescribed
from tests.worlds.outside import Died
from tests.worlds.queued import AT_REST, LEASE, MAX_DEQUEUE_COUNT, PLANNER_PERIOD, VISIBILITY_TIMEOUT, Queued
from tests.worlds.watch import versions_of
from tests.worlds.wired import TestServices, WiredWorld


class World(WiredWorld):
    """The product over the emulator: call it as over HTTP, deliver its messages, let time pass."""

    # --- as a caller ---

    def post(self, body: Any, *, key: str | None = None, query: Mapping[str, str] | None = None) -> Answer:
        """POST /registrations; what it sends to the queue is queued."""
        headers = {"content-type": "application/json"} | ({"idempotency-key": key} if key else {})
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.call(web.submit_registration, Call("/api/registrations", headers, urlencode(query or {}), raw))

    def get(self, registration_id: str) -> dict[str, Any]:
        """GET /registrations/{id}, its JSON."""
        call = Call(f"/api/registrations/{registration_id}", registration_id=registration_id)
        answer = self.call(web.show_registration, call)
        assert answer.status == 200, answer.body
        return dict(json.loads(answer.body))

    def list(self, **query: str) -> dict[str, Any]:
        """GET /registrations, its JSON."""
        answer = self.call(web.list_registrations, Call("/api/registrations", query=urlencode(query)))
        assert answer.status == 200, answer.body
        return dict(json.loads(answer.body))

    def retry(self, registration_id: str) -> Answer:
        """POST /registrations/{id}/retry; what it sends to the queue is queued."""
        path = f"/api/registrations/{registration_id}/retry"
        return self.call(web.retry_registration, Call(path, registration_id=registration_id))

    def rotate(self, registration_id: str, body: Any = None) -> Answer:
        """POST /registrations/{id}/rotate; what it sends to the queue is queued."""
        return self._ask(web.rotate_registration, registration_id, body, "/rotate")

    def change(self, registration_id: str, body: Any) -> Answer:
        """PATCH /registrations/{id}; what it sends to the queue is queued."""
        return self._ask(web.change_registration, registration_id, body)

    def delete(self, registration_id: str, query: str = "") -> Answer:
        """DELETE /registrations/{id}; what it sends to the queue is queued."""
        return self._ask(web.delete_registration, registration_id, None, query=query)

    def _ask(self, handle: Any, registration_id: str, body: Any, suffix: str = "", query: str = "") -> Answer:
        call = Call(f"/api/registrations/{registration_id}{suffix}", query=query, registration_id=registration_id)
        if body is not None:
            call = replace(call, headers={"content-type": "application/json"}, body=json.dumps(body).encode())
        return self.call(handle, call)

    def call(self, handle: Any, call: Call) -> Answer:
        """Answer a call, as it is described; as in the real host its message goes out before the answer does."""
        try:
            answer = web.answer(lambda: self.services, handle, call)
            message = answer.message
            if message is not None:
                self.outside("queue.send", lambda: self.send(message))
        except Died:
            self.services = self.new_process()
            raise
        told = undescribed(handle.__name__, answer)
        assert told == [], f"provisioning/api/openapi/refusals.py does not have {told}"
        return answer

    # --- as the platform ---

    def send(self, *messages: str, about_notices: bool = False) -> None:
        """Put messages into their queue, visible at once."""
        self.queue.extend(Queued(message, self.clock.now(), about_notices=about_notices) for message in messages)

    def deliver(self) -> None:
        """Deliver every visible message once, as the host does: one that fails is visible again in a minute."""
        for queued in [each for each in self.queue if each.visible_at <= self.clock.now()]:
            try:
                self._handle(queued)
            except Died:
                self.services = self.new_process()
                self._comes_back(queued, LEASE)
            except Exception as error:  # noqa: BLE001 -- as the host: whatever it is, the message comes back
                self.errors.append(error)
                self._comes_back(queued, VISIBILITY_TIMEOUT)
            else:
                self.queue.remove(queued)

    def _handle(self, queued: Queued) -> None:
        """Call the function whose queue it is in."""
        body = queued.text.encode()
        if queued.about_notices:
            if not queued.poison:  # those are dropped
                send_notices(self.services, read_notice_message(body))
        elif queued.poison:
            conclude.give_up(self.services, read_message(body))
        else:
            self.run(self.services, read_message(body))

    def run(self, services: TestServices, message: Message | ReconcilePage | None) -> None:
        """Carry a message out, and note a mint by a first provisioning that began with a good secret in the vault."""
        needless, mints = self._has_secret_already(message), self.mints
        try:
            outgoing = carry_out(services, message)
        finally:
            if needless and self.mints > mints:
                self.violations.append("a secret was minted although the vault had a good one")
        if outgoing.registrations or outgoing.notices:
            self.outside("queue.send", lambda: self._send_out(outgoing))

    def _send_out(self, outgoing: Outgoing) -> None:
        self.send(*outgoing.registrations)
        self.send(*outgoing.notices, about_notices=True)

    def _has_secret_already(self, message: Message | ReconcilePage | None) -> bool:
        try:
            row = self.registry.get(message.registration_id) if isinstance(message, Message) else None
        except UnreadableRow:
            return False
        if row is None or not row.pending or row.operation.type is not OperationType.PROVISION:
            return False
        versions = versions_of(self, row)
        half_its_life = self.settings.secrets.lifetime.total_seconds() / 2  # in the first half no secret is due
        return bool(versions) and (versions[-1].expires or 0) - self.clock.now().timestamp() > half_its_life

    def _comes_back(self, queued: Queued, after: timedelta) -> None:
        """Have a message that was not finished come again; a poison message that keeps failing is never moved."""
        queued.dequeue_count += 1
        queued.visible_at = self.clock.now() + after
        if queued.dequeue_count >= MAX_DEQUEUE_COUNT and not queued.poison:
            self.queue.remove(queued)
            self.queue.append(replace(queued, visible_at=self.clock.now(), dequeue_count=0, poison=True))

    def plan(self) -> int:
        """Fire the planner; return how many messages it enqueued. One that is killed comes at its next time again."""

        def enqueue() -> None:
            self.send(*messages)
            self.send(*notices, about_notices=True)

        try:
            messages = list(self.due_messages(self.services))
            notices = list(plan.waiting_notices(self.services))
            self.outside("queue.send", enqueue)
        except Died:
            self.services = self.new_process()
            return 0
        except Exception as error:  # noqa: BLE001 -- as the host: a timer is not tried again before its next time
            self.errors.append(error)
            return 0
        return len(messages) + len(notices)

    def reconcile(self) -> None:
        """Fire the reconciliation, and let the platform play until it is through."""
        self.send(first_page(self.services))
        self.settle()

    def live(self, time: timedelta, *, reconciled: timedelta = timedelta(days=1)) -> None:
        """Let time pass, and the platform play meanwhile: queue, planner, and once a day the reconciliation.

        Turns of the planner that would find nothing are left out.
        """
        end, next_reconciliation = self.clock.now() + time, self.clock.now() + reconciled
        while self.clock.now() < end:
            due = [max(self.clock.now() + PLANNER_PERIOD, entry.due_at) for entry in self.registry.due(end, 1)]
            times = [end, next_reconciliation, *due, *(queued.visible_at for queued in self.queue)]
            self.clock.time = max(self.clock.time, min(times))
            if self.clock.now() >= next_reconciliation:
                self.send(first_page(self.services))
                next_reconciliation += reconciled
            self.deliver()
            if due and self.clock.now() >= due[0]:
                self.plan()
                self.deliver()

    def settle(self, within: timedelta = timedelta(hours=30)) -> None:
        """Play the platform, planner included, until nothing is queued, waiting or due soon; fail after `within`."""
        deadline, next_plan = self.clock.now() + within, self.clock.now() + PLANNER_PERIOD
        while self.queue or self.registry.due(self.clock.now() + AT_REST, 1) or self.registry.notices():
            assert self.clock.now() < deadline, f"the world does not settle: {self._pending()}"
            self.deliver()
            times = [queued.visible_at for queued in self.queue] + [next_plan]
            self.clock.time = max(self.clock.time, min(times))
            if self.clock.now() >= next_plan:
                self.plan()
                next_plan = self.clock.now() + PLANNER_PERIOD

    def _pending(self) -> str:
        rows = self.registry.find(top=1000).registrations
        return ", ".join(f"{row.id} is {row.status}" for row in rows if row.pending) or "no operation is pending"

    def registered(self, body: Any) -> dict[str, Any]:
        """Have it registered, and return it as answered; it must be active."""
        answer = self.post(body)
        assert answer.status == 202, answer.body
        self.deliver()
        registration = self.get(json.loads(answer.body)["registrationId"])
        assert registration["status"] == "active", registration
        return registration

    def row(self, registration_id: str) -> Registration:
        """Return what the registry holds."""
        row = self.registry.get(registration_id)
        assert row is not None
        return row
