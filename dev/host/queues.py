"""Queue triggers: takes messages from a storage queue as host.json says, and never loses one."""

from __future__ import annotations

import json
import logging
import threading
import time
import uuid
from base64 import b64decode
from binascii import Error as Base64Error
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from azure.core.exceptions import AzureError, HttpResponseError, ResourceNotFoundError
from azure.functions.meta import Datum

from dev.host.functions import send

if TYPE_CHECKING:
    from concurrent.futures import Future

    from azure.storage.queue import QueueClient, QueueMessage

    from dev.host.functions import Function, Worker
    from dev.host.settings import QueueOptions

log = logging.getLogger("dev.host")

POISON = "-poison"
_FIRST_DELAY = 0.1
_LONGEST_TROUBLE_DELAY = 10.0


@dataclass
class _Taken:
    """A message that this host holds; its receipt changes with every renewal."""

    message: QueueMessage
    receipt: str
    renew_at: float
    ended: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class Poller:
    """Takes the messages of one queue and has its function called for each.

    As in the real host: the next batch is fetched once no more than `newBatchThreshold` messages are in hand; a message
    is hidden for the lease, renewed at half of it; success deletes it; failure shows it again after
    `visibilityTimeout`, or moves it to the poison queue once it was taken `maxDequeueCount` times. A message of a
    poison queue has no further place to go to: it stays hidden for the rest of its lease and comes back. A queue that
    was empty is looked at more and more seldom, up to `maxPollingInterval`: nobody wakes a poller, as on a plan where
    queue functions run on other instances than HTTP.
    """

    def __init__(  # noqa: PLR0913 - each is one thing that it depends on
        self,
        function: Function,
        queue: QueueClient,
        poison: QueueClient | None,
        *,
        options: QueueOptions,
        lease: int,
        worker: Worker,
    ) -> None:
        self._function = function
        self._queue = queue
        self._poison = poison
        self._options = options
        self._lease = lease
        self._worker = worker
        self._taken: dict[str, _Taken] = {}
        self._changed = threading.Condition()
        self._stopping = threading.Event()
        name = queue.queue_name
        self._thread = threading.Thread(target=self._poll, name=f"poll {name}", daemon=True)
        self._renewer = threading.Thread(target=self._renew, name=f"renew {name}", daemon=True)

    def start(self) -> None:
        """Begins to take messages."""
        self._thread.start()
        self._renewer.start()

    def stop(self) -> None:
        """Takes nothing more; what is in hand goes on and is still renewed."""
        self._stopping.set()
        with self._changed:
            self._changed.notify_all()

    def _poll(self) -> None:
        idle, trouble = _FIRST_DELAY, _FIRST_DELAY
        longest = max(_FIRST_DELAY, self._options.max_polling_interval.total_seconds())
        while self._has_room():
            try:
                messages = self._receive()
            except Exception as error:  # noqa: BLE001 - whatever storage does, the next look may succeed
                trouble = min(trouble * 2, _LONGEST_TROUBLE_DELAY)
                log.warning("Queue %s cannot be read, again in %.1f s: %s", self._queue.queue_name, trouble, _of(error))
                self._stopping.wait(trouble)
                continue
            trouble = _FIRST_DELAY
            if messages:
                idle = _FIRST_DELAY
                for message in messages:
                    self._take(message)
            else:
                self._stopping.wait(idle)
                idle = min(idle * 2, longest)

    def _has_room(self) -> bool:
        """Waits until a batch may be fetched; False: the host stops."""
        with self._changed:
            self._changed.wait_for(
                lambda: self._stopping.is_set() or len(self._taken) <= self._options.new_batch_threshold
            )
        return not self._stopping.is_set()

    def _receive(self) -> list[QueueMessage]:
        pages = self._queue.receive_messages(
            messages_per_page=self._options.batch_size, visibility_timeout=self._lease
        ).by_page()
        try:
            return list(next(pages, ()))
        except ResourceNotFoundError:  # a trigger waits for its queue; whoever sends to it creates it
            return []

    def _take(self, message: QueueMessage) -> None:
        taken = _Taken(message, str(message.pop_receipt), time.monotonic() + self._lease / 2)
        with self._changed:
            self._taken[message.id] = taken
        try:
            future = self._worker.start(self._process, taken)
        except RuntimeError:
            self._give_back(taken)
            return
        future.add_done_callback(lambda done: self._ended(done, taken))

    def _ended(self, future: Future[None], taken: _Taken) -> None:
        if future.cancelled():
            self._give_back(taken)
        elif error := future.exception():
            log.error("Message %s stays hidden until its lease ends", taken.message.id, exc_info=error)
        with self._changed:
            # The same message may be in hand again by now: its lease ended while this was running.
            if self._taken.get(taken.message.id) is taken:
                del self._taken[taken.message.id]
            self._changed.notify_all()

    def _process(self, taken: _Taken) -> None:
        succeeded = poisoned = False
        try:
            poisoned = int(taken.message.dequeue_count or 0) > self._options.max_dequeue_count
            if not poisoned:
                value = text_datum(taken.message.content, base64=self._options.base64)
                self._worker.invoke(self._function, value, _metadata(taken.message))
                succeeded = True
        except (Base64Error, UnicodeError) as error:
            poisoned = not succeeded
            log.warning("Message %s of queue %s: %s", taken.message.id, self._queue.queue_name, _of(error))
        except Exception:  # noqa: BLE001 - logged with its traceback where it was called
            log.debug("message %s failed", taken.message.id)
        with taken.lock:
            taken.ended = True
        try:
            self._complete(taken, succeeded=succeeded, poisoned=poisoned)
        except AzureError as error:
            self._tell(taken, "ended but not completed", error)

    def _complete(self, taken: _Taken, *, succeeded: bool, poisoned: bool) -> None:
        message = taken.message
        if succeeded:
            self._queue.delete_message(message.id, pop_receipt=taken.receipt)
        elif self._poison is None:
            log.warning("Message %s stays hidden until its lease ends: no poison queue of a poison queue", message.id)
        elif poisoned or int(message.dequeue_count or 0) >= self._options.max_dequeue_count:
            send(self._poison, message.content)
            log.warning("Message %s moved to queue %s", message.id, self._poison.queue_name)
            self._queue.delete_message(message.id, pop_receipt=taken.receipt)
        else:
            seconds = int(self._options.visibility_timeout.total_seconds())
            self._queue.update_message(message.id, pop_receipt=taken.receipt, visibility_timeout=seconds)

    def _give_back(self, taken: _Taken) -> None:
        """Shows a message again that was taken but not begun."""
        with taken.lock:
            taken.ended = True
        with self._changed:
            self._taken.pop(taken.message.id, None)
        try:
            self._queue.update_message(taken.message.id, pop_receipt=taken.receipt, visibility_timeout=0)
        except AzureError as error:
            self._tell(taken, "not given back", error)

    def _renew(self) -> None:
        """Keeps what is in hand hidden, for as long as the process lives."""
        while True:
            time.sleep(min(1.0, self._lease / 8))
            with self._changed:
                due = [taken for taken in self._taken.values() if taken.renew_at <= time.monotonic()]
            for taken in due:
                with taken.lock:
                    if not taken.ended:
                        self._renew_one(taken)

    def _renew_one(self, taken: _Taken) -> None:
        try:
            renewed = self._queue.update_message(
                taken.message.id, pop_receipt=taken.receipt, visibility_timeout=self._lease
            )
            taken.receipt = str(renewed.pop_receipt)
            taken.renew_at = time.monotonic() + self._lease / 2
        except AzureError as error:
            lost = _receipt_lost(error)
            taken.renew_at = time.monotonic() + (float("inf") if lost else self._lease / 8)
            self._tell(taken, "not renewed", error)

    def _tell(self, taken: _Taken, what: str, error: AzureError) -> None:
        if _receipt_lost(error):
            log.info("Message %s %s: its lease had ended, and it is no longer ours", taken.message.id, what)
        else:
            log.warning("Message %s %s: %s", taken.message.id, what, _of(error))


def _receipt_lost(error: AzureError) -> bool:
    gone = {HTTPStatus.BAD_REQUEST, HTTPStatus.NOT_FOUND}
    return isinstance(error, HttpResponseError) and error.status_code in gone


def _of(error: BaseException) -> str:
    lines = str(error).splitlines() or [""]
    return f"{type(error).__name__}: {lines[0]}"


def text_datum(content: str, *, base64: bool) -> Datum:
    """Decodes a message's text as host.json's messageEncoding says."""
    return Datum(b64decode(content, validate=True).decode(), "string") if base64 else Datum(content, "string")


def _metadata(message: QueueMessage) -> dict[str, Datum]:
    times = {
        "InsertionTime": message.inserted_on,
        "ExpirationTime": message.expires_on,
        "NextVisibleTime": message.next_visible_on,
    }
    return {
        "Id": Datum(message.id, "string"),
        "PopReceipt": Datum(message.pop_receipt, "string"),
        "DequeueCount": Datum(json.dumps(message.dequeue_count), "json"),
        **{name: Datum(json.dumps(moment.isoformat()), "json") for name, moment in times.items() if moment},
    }


def by_hand(given: Any) -> tuple[Datum, dict[str, Datum]]:  # noqa: ANN401 - whatever JSON the caller sent
    """Returns the message and its metadata for a function that is fired by hand."""
    text = given if isinstance(given, str) else json.dumps(given)
    metadata = {"Id": Datum(str(uuid.uuid4()), "string"), "DequeueCount": Datum("1", "json")}
    return Datum(text, "string"), metadata
