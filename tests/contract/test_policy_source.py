"""The promises of the PolicySource port, held by a file and by a blob in real storage alike."""

import base64
import hashlib
import hmac
import logging
import os
import threading
from collections.abc import Iterator
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urlsplit
from uuid import uuid4

import pytest
import requests
from azure.core.credentials import AccessToken

from dev.storage import ACCOUNT, ACCOUNT_KEY
from provisioning.adapters.policy import Document, PolicyDocument, blob, file
from provisioning.adapters.shared_key import SharedKey
from provisioning.adapters.transport import STORAGE_SCOPE, BearerToken
from provisioning.domain.errors import TryAgain
from provisioning.settings import Settings
from provisioning.wiring import AzureServices, SystemClock
from tests.worlds.clock import VirtualClock
from tests.worlds.request_bodies import a_policy

MINUTE = timedelta(minutes=1)
MARKER = "qzmarkerqz"


class Place(Protocol):
    """Where an operator puts the document."""

    source: PolicyDocument

    def put(self, document: bytes) -> None: ...

    def remove(self) -> None: ...


class InFile:
    """A document in a file."""

    def __init__(self, folder: Path, clock: VirtualClock) -> None:
        self.path = folder / "policy.json"
        self.source = PolicyDocument(file(self.path), clock)
        self._puts = 0

    def put(self, document: bytes) -> None:
        self.path.write_bytes(document)
        self._puts += 1
        os.utime(self.path, ns=(self._puts, self._puts))  # two writes within a tick of the file system's clock

    def remove(self) -> None:
        self.path.unlink()


class InBlob:
    """A document in a blob, put there with the account's key by other code than what reads it."""

    def __init__(self, connection_string: str, clock: VirtualClock) -> None:
        parts = dict(part.split("=", 1) for part in connection_string.split(";") if part)
        self._container = f"{parts['BlobEndpoint']}/policy-{uuid4()}"
        self.url = f"{self._container}/policy.json"
        self._send("PUT", f"{self._container}?restype=container")
        self.source = PolicyDocument(
            blob(self.url, requests.Session(), SharedKey(ACCOUNT, ACCOUNT_KEY, SystemClock())), clock
        )

    def put(self, document: bytes) -> None:
        self._send("PUT", self.url, document)

    def remove(self) -> None:
        self._send("DELETE", self.url)

    @staticmethod
    def _send(method: str, url: str, body: bytes = b"") -> None:
        date = SystemClock().now().strftime("%a, %d %b %Y %H:%M:%S GMT")
        own = {"x-ms-date": date, "x-ms-version": "2023-11-03"}
        own |= {"x-ms-blob-type": "BlockBlob"} if body else {}
        parts = urlsplit(url)
        resource = f"/{ACCOUNT}{parts.path}" + (f"\n{parts.query.replace('=', ':')}" if parts.query else "")
        lines = [
            method,
            "",
            "",
            str(len(body) or ""),
            *[""] * 8,
            *(f"{k}:{v}" for k, v in sorted(own.items())),
            resource,
        ]
        digest = hmac.new(base64.b64decode(ACCOUNT_KEY), "\n".join(lines).encode(), hashlib.sha256).digest()
        signed = own | {"Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(digest).decode()}"}
        answer = requests.request(method, url, data=body or None, headers=signed, timeout=5)
        assert answer.ok, answer.text


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture(params=["file", "blob"])
def place(request: pytest.FixtureRequest, tmp_path: Path, clock: VirtualClock) -> Place:
    return InFile(tmp_path, clock) if request.param == "file" else InBlob(request.getfixturevalue("azurite"), clock)


def version(source: PolicyDocument) -> str:
    return source.current().version


def test_a_document_is_in_force_and_a_new_one_within_a_minute(place: Place, clock: VirtualClock) -> None:
    place.put(a_policy(version="one"))
    assert version(place.source) == "one"
    place.put(a_policy(version="two"))
    clock.time += MINUTE - timedelta(seconds=1)
    assert version(place.source) == "one"
    clock.time += timedelta(seconds=1)
    assert version(place.source) == "two"


def test_a_broken_document_leaves_the_last_good_one_and_is_told_fault_by_fault_once(
    place: Place, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    place.put(a_policy(version="good"))
    assert version(place.source) == "good"
    place.put(a_policy({"id": "A", "kind": "registrations"}, {"id": "b", "kind": MARKER}, version="bad"))
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            clock.time += MINUTE
            assert version(place.source) == "good"
    told = [record.getMessage() for record in caplog.records]
    assert [each for each in told if "#/rules/0/id: wrong-form" in each] != []
    assert [each for each in told if "#/rules/1: not-one-of" in each] != []
    assert sum("stays in force" in each for each in told) == 1
    assert MARKER not in caplog.text
    place.put(a_policy(version="mended"))
    clock.time += MINUTE
    assert version(place.source) == "mended"


def test_one_that_is_broken_from_the_start_is_a_passing_error_until_it_is_mended(
    place: Place, clock: VirtualClock
) -> None:
    place.put(b"{")
    for _ in range(2):
        with pytest.raises(TryAgain) as broken:
            place.source.current()
        assert broken.value.code == "policy-broken"
    place.put(a_policy(version="mended"))
    clock.time += MINUTE
    assert version(place.source) == "mended"


def test_one_that_is_missing_is_a_passing_error_and_one_that_was_there_stays_in_force(
    place: Place, clock: VirtualClock
) -> None:
    with pytest.raises(TryAgain) as missing:
        place.source.current()
    assert missing.value.code == "policy-unavailable"
    place.put(a_policy(version="there"))
    clock.time += MINUTE
    assert version(place.source) == "there"
    place.remove()
    clock.time += MINUTE
    assert version(place.source) == "there"


def test_one_that_is_too_large_is_refused_whole(place: Place) -> None:
    place.put(a_policy(description="x" * 300_000))
    with pytest.raises(TryAgain):
        place.source.current()


# --- a blob -----------------------------------------------------------------------------------------------------------


class Blobs(ThreadingHTTPServer):
    """Notes what is asked of storage, and answers as it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Blob)
        self.asked: list[dict[str, str]] = []
        self.status, self.headers, self.body = 200, {"ETag": '"1"'}, a_policy(version="told")
        threading.Thread(target=self.serve_forever, args=(0.02,), daemon=True).start()
        self.url = f"http://127.0.0.1:{self.server_address[1]}/policy/policy.json"


class _Blob(BaseHTTPRequestHandler):
    server: Blobs

    def do_GET(self) -> None:
        self.server.asked.append({name.lower(): value for name, value in self.headers.items()})
        unchanged = self.headers.get("If-None-Match") == self.server.headers.get("ETag")
        self.send_response(304 if unchanged else self.server.status)
        for name, value in self.server.headers.items():
            self.send_header(name, value)
        body = b"" if unchanged else self.server.body
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Requests are kept, not printed."""


@pytest.fixture
def blobs() -> Iterator[Blobs]:
    with Blobs() as server:
        yield server
        server.shutdown()


class Identity:
    """This app's identity, and what tokens it was asked for."""

    def __init__(self) -> None:
        self.scopes: list[str] = []

    def get_token(self, *scopes: str, **_: Any) -> AccessToken:
        self.scopes += scopes
        return AccessToken("token-of-the-app", 2_000_000_000)


def test_a_blob_is_read_by_the_apps_identity_and_only_if_it_is_another_one(
    blobs: Blobs, clock: VirtualClock, caplog: pytest.LogCaptureFixture
) -> None:
    identity = Identity()
    caplog.set_level(logging.WARNING)
    source = PolicyDocument(blob(blobs.url, requests.Session(), BearerToken(identity, STORAGE_SCOPE)), clock)
    for _ in range(3):
        assert version(source) == "told"
        clock.time += MINUTE
    assert set(identity.scopes) == {"https://storage.azure.com/.default"}
    assert [each["authorization"] for each in blobs.asked] == ["Bearer token-of-the-app"] * 3
    assert [each.get("if-none-match") for each in blobs.asked] == [None, '"1"', '"1"']
    assert {each["x-ms-version"] for each in blobs.asked} == {"2023-11-03"}
    assert caplog.text == "", "that it is the same still is no fault"


@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (302, {"Location": "https://elsewhere.example/policy.json", "ETag": '"2"'}),
        (403, {"ETag": '"2"'}),
        (404, {}),
        (200, {}),
        (500, {"ETag": '"2"'}),
    ],
)
def test_any_other_answer_of_storage_is_no_document(
    blobs: Blobs, clock: VirtualClock, status: int, headers: dict[str, str]
) -> None:
    source = PolicyDocument(blob(blobs.url, requests.Session(), BearerToken(Identity(), STORAGE_SCOPE)), clock)
    assert version(source) == "told"
    blobs.status, blobs.headers, blobs.body = status, headers, a_policy(version="wrong")
    clock.time += MINUTE
    assert version(source) == "told"
    fresh = PolicyDocument(blob(blobs.url, requests.Session(), BearerToken(Identity(), STORAGE_SCOPE)), clock)
    with pytest.raises(TryAgain):
        fresh.current()


def test_the_settings_choose_the_storage_connection_for_a_blob_of_its_own_account(azurite: str) -> None:
    place = InBlob(azurite, VirtualClock())
    place.put(a_policy(version="chosen"))
    settings = Settings.from_env(
        {
            "AzureWebJobsStorage": azurite,
            "AZURE_TENANT_ID": str(uuid4()),
            "KEY_VAULT_URL": "https://v.vault.azure.net",
            "POLICY": place.url,
        }
    )
    assert AzureServices(settings).policy.current().version == "chosen"


def test_one_thread_looks_while_the_others_go_on_with_what_was_good(clock: VirtualClock) -> None:
    looking, go_on = threading.Event(), threading.Event()

    def fetch(stamp: str | None) -> Document | None:
        if stamp is not None:
            looking.set()
            assert go_on.wait(5)
        return Document(a_policy(version="new" if stamp else "old"), str(stamp))

    source = PolicyDocument(fetch, clock)
    assert version(source) == "old"
    clock.time += MINUTE
    looks = threading.Thread(target=source.current)
    looks.start()
    assert looking.wait(5)
    assert version(source) == "old"
    go_on.set()
    looks.join()
    assert version(source) == "new"
