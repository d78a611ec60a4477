"""The host's queue triggers and outputs, against real queues."""

import json
import random
import socket
import threading
import time
import uuid
from base64 import b64decode, b64encode
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

import azure.functions as func
import pytest
import requests
from azure.core.exceptions import ResourceNotFoundError
from azure.storage.queue import QueueClient

from dev.host.run import Host
from dev.host.settings import Connections, HostOptions, QueueOptions
from dev.storage import Azurite

OPTIONS = QueueOptions(max_polling_interval=timedelta(seconds=0.2))
Work = Callable[[func.QueueMessage], None]


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.01)
    return condition()


class Queues:
    """The queues of one test."""

    def __init__(self, storage: str) -> None:
        self.name = f"q{uuid.uuid4().hex[:20]}"
        self.settings = {"AzureWebJobsStorage": storage, "QUEUE": self.name}
        connections = Connections(self.settings)
        self.main: QueueClient = connections.queue("", self.name, "this test")
        self.poison: QueueClient = connections.queue("", f"{self.name}-poison", "this test")

    def send(self, *texts: str) -> None:
        for text in texts:
            self.main.send_message(b64encode(text.encode()).decode())

    @staticmethod
    def texts(queue: QueueClient) -> list[str]:
        """What lies in a queue, hidden or not being left out; a queue that is missing holds nothing."""
        try:
            return sorted(b64decode(one.content).decode() for one in queue.peek_messages(max_messages=32))
        except ResourceNotFoundError:
            return []

    def empty(self) -> bool:
        """Whether no message is left, hidden ones included."""
        return self.main.get_queue_properties().approximate_message_count == 0

    @contextmanager
    def host(self, work: Work, options: QueueOptions = OPTIONS, lease: int = 30, **more: str) -> Iterator[Host]:
        app = func.FunctionApp()

        @app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
        def run(message: func.QueueMessage) -> None:
            work(message)

        @app.route(route="send", auth_level=func.AuthLevel.ANONYMOUS)
        @app.queue_output(arg_name="out", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
        def submit(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
            out.set(req.get_body().decode())
            return func.HttpResponse(status_code=202)

        host = Host(app, HostOptions(queues=options), self.settings | more, message_lease=lease)
        host.start()
        try:
            yield host
        finally:
            host.stop(5)


@pytest.fixture
def queues(azurite: str) -> Queues:
    made = Queues(azurite)
    made.main.create_queue()
    return made


def test_a_message_reaches_its_function_and_is_gone_when_that_succeeds(queues: Queues) -> None:
    seen: list[func.QueueMessage] = []
    queues.send(json.dumps({"a": "é"}))
    with queues.host(seen.append):
        assert within(5, lambda: bool(seen) and queues.empty())
    assert seen[0].get_json() == {"a": "é"}
    assert seen[0].dequeue_count == 1
    assert seen[0].id
    assert seen[0].insertion_time is not None


def test_a_trigger_waits_for_its_queue_and_whoever_sends_to_it_creates_it(azurite: str) -> None:
    queues, seen = Queues(azurite), list[bytes]()
    with queues.host(lambda message: seen.append(message.get_body())) as host:
        assert not within(0.5, lambda: _exists(queues.main))
        assert requests.post(f"{host.origin}/api/send", data="hello", timeout=10).status_code == 202
        assert within(5, lambda: seen == [b"hello"])


def test_a_disabled_function_leaves_its_queue_alone_and_a_disabled_route_is_not_found(queues: Queues) -> None:
    seen: list[bytes] = []
    queues.send("waits")
    off = {"AzureWebJobs.run.Disabled": "true", "AzureWebJobs.submit.Disabled": "1"}
    with queues.host(lambda message: seen.append(message.get_body()), OPTIONS, 30, **off) as host:
        assert requests.post(f"{host.origin}/api/send", data="hello", timeout=10).status_code == 404
        fired = requests.post(f"{host.origin}/admin/functions/run", json={"input": "by hand"}, timeout=10)
        assert fired.status_code == 202
        assert within(5, lambda: seen == [b"by hand"])
    assert queues.texts(queues.main) == ["waits"]


def test_an_output_goes_out_first_an_array_as_one_message_for_each_element_and_objects_written_anew(
    azurite: str,
) -> None:
    queues = Queues(azurite)
    app = func.FunctionApp()

    @app.route(route="send", auth_level=func.AuthLevel.ANONYMOUS)
    @app.queue_output(arg_name="out", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
    def submit(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
        if req.params:
            out.set(req.get_body().decode())
        return func.HttpResponse(status_code=202)

    host = Host(app, HostOptions(queues=OPTIONS), queues.settings)
    host.start()
    try:
        for body in ('{"a": 1}', '["b", {"c": 2}]'):
            assert requests.post(f"{host.origin}/api/send?x=1", data=body, timeout=10).status_code == 202
        assert requests.post(f"{host.origin}/api/send", data="not set", timeout=10).status_code == 202
        assert queues.texts(queues.main) == sorted(['{\n  "a": 1\n}', "b", '{\n  "c": 2\n}'])
    finally:
        host.stop(5)


def test_a_failing_message_is_hidden_for_the_visibility_timeout_and_then_tried_again(queues: Queues) -> None:
    tries: list[tuple[int | None, float]] = []

    def work(message: func.QueueMessage) -> None:
        tries.append((message.dequeue_count, time.monotonic()))
        if len(tries) < 2:
            raise ValueError("a failure of this test")

    queues.send("again")
    with queues.host(work, replace(OPTIONS, visibility_timeout=timedelta(seconds=1))):
        assert within(10, lambda: len(tries) == 2 and queues.empty())
    assert [count for count, _ in tries] == [1, 2]
    assert tries[1][1] - tries[0][1] > 0.9


def test_a_message_that_keeps_failing_ends_in_the_poison_queue(queues: Queues) -> None:
    tries = list[int]()

    def work(message: func.QueueMessage) -> None:
        tries.append(1)
        raise ValueError("a failure of this test")

    queues.send("poison")
    with queues.host(work, replace(OPTIONS, max_dequeue_count=3)):
        assert within(10, lambda: queues.texts(queues.poison) == ["poison"] and queues.empty())
    assert len(tries) == 3


def test_a_message_taken_too_often_by_killed_hosts_is_moved_without_another_try(queues: Queues) -> None:
    queues.send("poison")
    for _ in range(2):
        assert queues.main.receive_message(visibility_timeout=1) is not None
        time.sleep(1.1)
    tries = list[int]()
    with queues.host(lambda message: tries.append(1), replace(OPTIONS, max_dequeue_count=2)):
        assert within(10, lambda: queues.texts(queues.poison) == ["poison"] and queues.empty())
    assert not tries


def test_a_message_that_is_not_base64_is_moved_as_it_is(queues: Queues) -> None:
    queues.main.send_message("not base64!")
    tries = list[int]()
    with queues.host(lambda message: tries.append(1)):
        assert within(10, lambda: _plain(queues.poison) == ["not base64!"] and queues.empty())
    assert not tries


def _plain(queue: QueueClient) -> list[str]:
    try:
        return [one.content for one in queue.peek_messages()]
    except ResourceNotFoundError:
        return []


def test_a_failing_message_of_a_poison_queue_stays_there_and_is_hidden_for_its_lease(queues: Queues) -> None:
    queues.poison.create_queue()
    queues.poison.send_message(b64encode(b"bad").decode())
    poisoned = Queues(queues.settings["AzureWebJobsStorage"])
    poisoned.main, poisoned.settings["QUEUE"] = queues.poison, queues.poison.queue_name
    tries = list[float]()

    def work(message: func.QueueMessage) -> None:
        tries.append(time.monotonic())
        raise ValueError("a failure of this test")

    with poisoned.host(work, replace(OPTIONS, max_dequeue_count=2), lease=1):
        assert within(10, lambda: len(tries) == 2)
        assert tries[1] - tries[0] > 0.9
        # As in the real host: taken more often than that, it is not tried again and stays where it is.
        assert not within(2, lambda: len(tries) > 2)
    assert not poisoned.empty()


def test_a_message_is_hidden_for_as_long_as_its_function_runs(queues: Queues) -> None:
    tries = list[int]()

    def work(message: func.QueueMessage) -> None:
        tries.append(1)
        time.sleep(2.5)

    queues.send("slow")
    with queues.host(work, lease=1):
        assert within(10, queues.empty)
    assert len(tries) == 1


def test_a_message_whose_receipt_is_lost_is_tolerated(queues: Queues) -> None:
    seen: list[bytes] = []

    def work(message: func.QueueMessage) -> None:
        seen.append(message.get_body())
        if message.get_body() == b"stolen":
            queues.main.delete_message(str(message.id), pop_receipt=str(message.pop_receipt))

    queues.send("stolen")
    with queues.host(work):
        assert within(5, lambda: seen == [b"stolen"])
        queues.send("next")
        assert within(5, lambda: seen == [b"stolen", b"next"] and queues.empty())
    assert queues.texts(queues.poison) == []


class Crowd:
    """Functions that wait, and how many of them did at once."""

    def __init__(self) -> None:
        self.now = self.most = self.ended = 0
        self.leave = threading.Event()
        self._lock = threading.Lock()

    def work(self, message: func.QueueMessage) -> None:
        with self._lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.leave.wait(10)
        with self._lock:
            self.now -= 1
            self.ended += 1


def test_no_more_than_batch_and_threshold_run_at_once(queues: Queues) -> None:
    crowd = Crowd()
    queues.send(*map(str, range(12)))
    options = replace(OPTIONS, batch_size=4, new_batch_threshold=2)
    with queues.host(crowd.work, options, PYTHON_THREADPOOL_THREAD_COUNT="32"):
        assert within(5, lambda: crowd.now >= 4)
        time.sleep(0.5)
        assert crowd.now <= 6
        crowd.leave.set()
        assert within(10, lambda: crowd.ended == 12 and queues.empty())
    assert crowd.most <= 6


def test_no_more_run_at_once_than_there_are_threads(queues: Queues) -> None:
    crowd = Crowd()
    queues.send(*map(str, range(8)))
    with queues.host(crowd.work, PYTHON_THREADPOOL_THREAD_COUNT="3"):
        assert within(5, lambda: crowd.now == 3)
        time.sleep(0.3)
        crowd.leave.set()
        assert within(10, lambda: crowd.ended == 8 and queues.empty())
    assert crowd.most == 3


def test_a_host_that_stops_ends_what_runs_and_gives_back_what_has_not_begun(queues: Queues) -> None:
    crowd = Crowd()
    queues.send(*map(str, range(5)))
    with queues.host(crowd.work, PYTHON_THREADPOOL_THREAD_COUNT="2") as host:
        assert within(5, lambda: crowd.now == 2)
        threading.Timer(0.3, crowd.leave.set).start()
        assert host.stop(5) == 0
    assert crowd.ended == 2
    assert len(queues.texts(queues.main)) == 3


def test_a_host_that_stops_tells_what_did_not_end_in_time(queues: Queues) -> None:
    crowd = Crowd()
    queues.send("slow")
    with queues.host(crowd.work) as host:
        assert within(5, lambda: crowd.now == 1)
        assert host.stop(0.2) == 1
        crowd.leave.set()


def test_a_queue_function_fired_by_hand_gets_the_input_as_its_message(queues: Queues) -> None:
    seen: list[bytes] = []
    with queues.host(lambda message: seen.append(message.get_body())) as host:
        for given in ("text", {"a": 1}):
            body: dict[str, Any] = {"input": given}
            assert requests.post(f"{host.origin}/admin/functions/run", json=body, timeout=10).status_code == 202
        assert within(5, lambda: sorted(seen) == [b"text", b'{"a": 1}'])
    assert queues.empty()


def ports_that_stay_free(number: int) -> list[int]:
    """Return ports that nobody has, below those that a system gives to whoever connects to somewhere."""
    found = list[int]()
    for port in random.sample(range(20_000, 30_000), 200):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            found.append(port)
        if len(found) == number:
            return found
    raise AssertionError("no port is free")


def test_messages_go_on_after_an_outage_of_the_storage() -> None:
    ports = dict(zip(("Blob", "Queue", "Table"), ports_that_stay_free(3), strict=True))
    later = Azurite(ports=ports)
    later.ports = ports
    queues, seen = Queues(later.connection_string), list[bytes]()
    with queues.host(lambda message: seen.append(message.get_body())):
        time.sleep(0.5)
        with later:
            queues.main.create_queue()
            queues.send("after")
            assert within(25, lambda: seen == [b"after"])


def _exists(queue: QueueClient) -> bool:
    try:
        queue.get_queue_properties()
    except ResourceNotFoundError:
        return False
    return True
