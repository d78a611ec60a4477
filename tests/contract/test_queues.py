"""The queues over real storage: what is sent arrives as the host reads it, and what only tries is gone."""

import base64
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

import pytest
import requests
from azure.storage.queue import QueueServiceClient, generate_account_sas
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

import function_app
from provisioning.adapters.queues import StorageQueues
from provisioning.adapters.shared_key import SharedKey
from provisioning.domain import messages
from provisioning.domain.errors import TryAgain
from provisioning.domain.readiness import State
from provisioning.flow.ready import look
from provisioning.settings import Settings
from provisioning.wiring import AzureServices, SystemClock
from tests.worlds.clock import VirtualClock
from tests.worlds.wired import LOCAL_STORAGE
from tests.worlds.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def service(azurite: str) -> Iterator[QueueServiceClient]:
    with QueueServiceClient.from_connection_string(azurite, retry_total=0) as service:
        yield service
        for queue in service.list_queues():
            service.delete_queue(queue.name or "")


def services_of(world: World, connection_string: str) -> AzureServices:
    settings = {**world.emulator.settings(), **LOCAL_STORAGE, "AzureWebJobsStorage": connection_string}
    return AzureServices(Settings.from_env(settings))


def signed(connection_string: str, permissions: str) -> str:
    """Return a connection string that opens the tables and queues with no more than these permissions."""
    parts = dict(part.split("=", 1) for part in connection_string.split(";") if part)
    signature = generate_account_sas(
        parts["AccountName"],
        parts["AccountKey"],
        "sco",
        permissions,
        datetime.now(UTC) + timedelta(hours=1),
        services="qt",
    )
    endpoints = ";".join(f"{name}={value}" for name, value in parts.items() if name.endswith("Endpoint"))
    return f"{endpoints};SharedAccessSignature={signature}"


@pytest.mark.parametrize(
    ("permissions", "lacking"),
    [
        ("rwdlacup", set[str]()),
        ("rl", {"tables: write", "tables: delete", "queues: send to registrations", "queues: send to notices"}),
        ("wdlacup", {"tables: read"}),
        ("rdlc", {"tables: write", "queues: send to registrations", "queues: send to notices"}),
        ("rwlacu", {"tables: delete", "queues: send to registrations", "queues: send to notices"}),
    ],
)
def test_what_storage_itself_withholds_is_named(
    world: World, azurite: str, service: QueueServiceClient, permissions: str, lacking: set[str]
) -> None:
    """Real storage says no, by a signature that gives less; the rest is the world's."""
    whole, stored = services_of(world, azurite), services_of(world, signed(azurite, permissions))
    for queue in whole.queues.names:
        whole.queues.check(queue)
    assert whole.registry.due(datetime.now(UTC), 1) == []
    checks = look(world.but(registry=stored.registry, queues=stored.queues))
    assert {f"{each.dependency}: {each.what}" for each in checks if each.state is State.LACKING} == lacking
    assert service.account_name


def test_the_names_of_the_queues_are_those_of_the_triggers() -> None:
    assert (messages.REGISTRATIONS_QUEUE, messages.NOTICES_QUEUE) == (function_app.QUEUE, function_app.NOTICES)


def test_a_message_arrives_in_base64_and_a_missing_queue_is_made(
    world: World, azurite: str, service: QueueServiceClient
) -> None:
    services_of(world, azurite).queues.send("registrations", '{"operation": "check"}')
    [message] = service.get_queue_client("registrations").receive_messages()
    assert base64.b64decode(message.content) == b'{"operation": "check"}'


def test_a_check_leaves_no_message(world: World, azurite: str, service: QueueServiceClient) -> None:
    queues = services_of(world, azurite).queues
    for queue in queues.names:
        queues.check(queue)
        assert service.get_queue_client(queue).get_queue_properties().approximate_message_count == 0


def test_a_question_with_an_empty_answer_is_signed_as_storage_reads_it(azurite: str) -> None:
    parts = dict(part.split("=", 1) for part in azurite.split(";") if part)
    key = SharedKey(parts["AccountName"], parts["AccountKey"], SystemClock())
    for query in ("comp=list", "comp=list&prefix=", "prefix=a%20b&comp=list"):
        assert requests.get(f"{parts['QueueEndpoint']}?{query}", auth=key, timeout=5).status_code == 200


class Answering(BaseAdapter):
    """Storage that gives each request the same answer, and notes which there were."""

    def __init__(self, status: int, body: bytes = b"", **headers: str) -> None:
        super().__init__()
        self._status, self._body, self._headers = status, body, headers
        self.asked: list[str] = []

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        self.asked.append(f"{request.method} {request.path_url}")
        raw = HTTPResponse(BytesIO(self._body), headers=self._headers, status=self._status, preload_content=False)
        return HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        """Nothing is held."""


FOUND = b"<QueueMessage><MessageId>a-1</MessageId><PopReceipt>%s</PopReceipt></QueueMessage>"


@pytest.mark.parametrize(
    ("storage", "message", "then"),
    [
        (Answering(307, Location="http://elsewhere.example/"), "Queue storage answered 307.", []),
        (Answering(503, b"", **{"Retry-After": "4"}), "Queue storage answered 503.", []),
        (Answering(404), "Queue storage answered 404.", ["PUT /notices"]),
        (Answering(201, b"<html>"), "Queue storage's answer is not one of a queue.", []),
        (Answering(201, FOUND % b""), "Queue storage's answer is not one of a queue.", []),
        (
            Answering(201, FOUND % b"a/b+c="),
            "Queue storage answered 201.",
            ["DELETE /notices/messages/a-1?popreceipt=a%2Fb%2Bc%3D"],
        ),
    ],
    ids=["redirect", "outage", "missing", "page", "no receipt", "not removed"],
)
def test_any_other_answer_of_storage_is_a_passing_error(storage: Answering, message: str, then: list[str]) -> None:
    with requests.Session() as session:
        session.mount("http://", storage)
        queues = StorageQueues("http://a.queue.example/", session, lambda each: each, VirtualClock())  # type: ignore[arg-type]
        with pytest.raises(TryAgain) as raised:
            queues.check("notices")
    assert (raised.value.code, raised.value.message) == ("storage-unavailable", message)
    assert raised.value.retry_after == (4 if "503" in message else None)
    assert storage.asked == ["POST /notices/messages?visibilitytimeout=59&messagettl=60", *then]


def test_storage_that_is_not_there_is_a_passing_error(world: World) -> None:
    queues = StorageQueues("http://127.0.0.1:9/devstoreaccount1", requests.Session(), lambda each: each, world.clock)  # type: ignore[arg-type]
    with pytest.raises(TryAgain) as raised:
        queues.check("registrations")
    assert raised.value.code == "storage-unavailable"
