"""The webhook as it is deployed: chosen by settings, over TLS, to a receiver that verifies with another's library."""

import contextlib
import json
import logging
import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from standardwebhooks import Webhook
from standardwebhooks.webhooks import WebhookVerificationError

from provisioning.adapters.transport import new_session, tls_context
from provisioning.adapters.webhook import WebhookNotifier
from provisioning.domain.errors import TryAgain
from provisioning.domain.notices import Notice, cloud_event, source_of
from provisioning.ports import Notifier
from provisioning.settings import Settings
from provisioning.wiring import AzureServices, SystemClock
from tests.worlds.https_receiver import Handler, HttpsReceiver, answering
from tests.worlds.receiver import WEBHOOK_SECRET, WEBHOOK_TOKEN

NOTICE = Notice(
    "0d7d1a1e-failed",
    "registration.failed",
    "cf4c4732-e2dac6e6-8deb-4deb-b54d-7987f82f2a96",
    datetime(2026, 1, 15, 12, tzinfo=UTC),
    {"displayName": "Größe 😀", "contact": "team@contoso.example", "failure": {"code": "vault-denied"}},
)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpsReceiver]:
    with HttpsReceiver(tmp_path) as running:
        yield running


def settings(server: HttpsReceiver, **changes: str) -> Settings:
    return Settings.from_env(
        {
            "AzureWebJobsStorage": "UseDevelopmentStorage=true",
            "AZURE_TENANT_ID": "11111111-aaaa-4aaa-8aaa-000000000001",
            "KEY_VAULT_URL": "https://v.vault.azure.net",
            "NOTIFY_WEBHOOK_URL": server.url,
            "NOTIFY_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "REQUESTS_CA_BUNDLE": server.ca_bundle,
            **changes,
        }
    )


def notifier(server: HttpsReceiver, **changes: str) -> Notifier:
    chosen = AzureServices(settings(server, **changes)).notifier
    assert chosen is not None
    return chosen


def refused(send: Callable[[], None]) -> str:
    """Return the message of the TryAgain, which says all that is known, and no more."""
    with pytest.raises(TryAgain) as raised:
        send()
    assert raised.value.code == "notice-not-taken"
    assert WEBHOOK_TOKEN not in f"{raised.value!r} {raised.value.remedy}"
    return raised.value.message


# --- what is sent ---------------------------------------------------------------------------------------------------


def test_a_notice_is_one_signed_cloud_event_that_another_library_verifies(server: HttpsReceiver) -> None:
    before = int(time.time())
    notifier(server).send(NOTICE)
    [received] = server.received
    assert received.path == f"/hook/?token={WEBHOOK_TOKEN}"
    assert received.headers["content-type"] == "application/cloudevents+json"
    assert received.headers["webhook-id"] == NOTICE.id
    assert before <= int(received.headers["webhook-timestamp"]) <= time.time()
    event = Webhook(WEBHOOK_SECRET).verify(received.body, received.headers)
    assert event == cloud_event(NOTICE, source_of(settings(server).tenant))


@pytest.mark.parametrize("part", ["body", "webhook-id", "webhook-timestamp", "webhook-signature", "key"])
def test_whatever_is_changed_on_the_way_the_signature_is_refused(server: HttpsReceiver, part: str) -> None:
    notifier(server).send(NOTICE)
    [received] = server.received
    body, headers, secret = received.body, dict(received.headers), WEBHOOK_SECRET
    if part == "body":
        body = body.replace(b"vault-denied", b"vault-defied")
    elif part == "key":
        secret = "whsec_" + "A" * 44
    elif part == "webhook-timestamp":
        headers[part] = str(int(headers[part]) + 1)
    else:
        headers[part] = headers[part].swapcase()
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify(body, headers)


def test_a_second_attempt_has_the_same_id_and_body_and_its_own_time(server: HttpsReceiver) -> None:
    sender = notifier(server)
    server.answer = answering(500)
    refused(lambda: sender.send(NOTICE))
    time.sleep(1.1)
    server.answer = answering(200)
    sender.send(NOTICE)
    first, second = server.received
    assert (first.body, first.headers["webhook-id"]) == (second.body, second.headers["webhook-id"])
    assert int(first.headers["webhook-timestamp"]) < int(second.headers["webhook-timestamp"])
    Webhook(WEBHOOK_SECRET).verify(second.body, second.headers)


def test_no_password_of_this_machine_is_sent(
    server: HttpsReceiver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("machine localhost login somebody password something\n")
    monkeypatch.setenv("NETRC", str(netrc))
    notifier(server).send(NOTICE)
    assert "authorization" not in server.received[0].headers


def test_the_verification_that_is_shown_takes_a_notice_and_refuses_a_changed_one(server: HttpsReceiver) -> None:
    notifier(server).send(NOTICE)
    [received] = server.received
    example, _ = re.findall(r"```python\n(.*?)```", Path("docs/notices.md").read_text(encoding="utf-8"), re.DOTALL)
    shown: dict[str, Any] = {}
    exec(example, shown)  # noqa: S102 -- the document of this repository
    seen: set[str] = set()
    assert shown["receive"](received.headers, received.body, WEBHOOK_SECRET, seen)["subject"] == NOTICE.subject
    assert shown["receive"](received.headers, received.body, WEBHOOK_SECRET, seen) is None, "a repeat"
    with pytest.raises(WebhookVerificationError):
        shown["receive"](received.headers, received.body + b" ", WEBHOOK_SECRET, set())


# --- what is an answer ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_every_2xx_is_taken(server: HttpsReceiver, status: int) -> None:
    server.answer = answering(status)
    notifier(server).send(NOTICE)
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404, 410, 413, 429, 500, 502, 503, 504])
def test_every_other_status_is_to_be_tried_again_and_nothing_is_repeated_here(
    server: HttpsReceiver, status: int
) -> None:
    server.answer = answering(status, b"why", **{"Retry-After": "1"})
    assert refused(lambda: notifier(server).send(NOTICE)) == f"The receiver of notices answered {status}."
    assert len(server.received) == 1


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: HttpsReceiver, status: int) -> None:
    server.answer = answering(status, Location="/elsewhere")
    assert refused(lambda: notifier(server).send(NOTICE)) == f"The receiver of notices answered {status}."
    assert len(server.received) == 1


def test_an_answer_that_breaks_off_is_none(server: HttpsReceiver) -> None:
    def break_off(handler: Handler) -> None:
        handler.connection.shutdown(socket.SHUT_RDWR)

    server.answer = break_off
    assert refused(lambda: notifier(server).send(NOTICE)) == "The receiver of notices gave no answer."
    assert len(server.received) == 1


def test_a_receiver_that_nobody_vouches_for_gets_nothing(server: HttpsReceiver) -> None:
    assert refused(lambda: notifier(server, REQUESTS_CA_BUNDLE="").send(NOTICE))
    assert server.received == []


def test_a_receiver_that_is_not_there_is_to_be_tried_again(server: HttpsReceiver) -> None:
    nowhere = re.sub(r":\d+/", ":1/", server.url)
    assert refused(lambda: notifier(server, NOTIFY_WEBHOOK_URL=nowhere).send(NOTICE))


def test_a_receiver_that_never_answers_is_waited_for_no_longer_than_the_others(server: HttpsReceiver) -> None:
    asked: list[Any] = []

    class Hurried(HTTPAdapter):
        """Notes the time-out that it is asked for, and waits a hundredth of it."""

        def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
            asked.append(options["timeout"])
            hurried = {"timeout": tuple(each / 100 for each in options["timeout"]), "verify": server.ca_bundle}
            return super().send(request, **options | hurried)

    released = threading.Event()

    def hang(_: Handler) -> None:
        released.wait(10)

    server.answer = hang
    session = requests.Session()
    session.mount("https://", Hurried())
    sender = WebhookNotifier(server.url, b"k" * 32, "urn:x", session, SystemClock())
    assert refused(lambda: sender.send(NOTICE)) == "The receiver of notices gave no answer."
    released.set()
    assert asked == [(5.0, 20.0)]


def test_an_endless_answer_holds_nothing_up(server: HttpsReceiver) -> None:
    def endless(handler: Handler) -> None:
        handler.send_response(200)
        handler.end_headers()
        with contextlib.suppress(OSError):
            while True:
                handler.wfile.write(b"x" * 65536)

    server.answer = endless
    started = time.monotonic()
    notifier(server).send(NOTICE)
    assert time.monotonic() - started < 5


def test_two_threads_share_the_sender(server: HttpsReceiver) -> None:
    with new_session(tls_context(server.ca_bundle), 2) as session:
        sender = WebhookNotifier(server.url, b"k" * 32, "urn:x", session, SystemClock())
        threads = [threading.Thread(target=sender.send, args=(NOTICE,)) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert len(server.received) == 4


# --- what nobody may see --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [204, 302, 410, 500])
def test_neither_token_nor_key_nor_answer_is_logged(
    server: HttpsReceiver, caplog: pytest.LogCaptureFixture, status: int
) -> None:
    caplog.set_level(logging.DEBUG)
    server.answer = answering(status, b"qzanswerqz" if status != 204 else b"", Location="/qzlocationqz")
    sender = notifier(server)
    with contextlib.suppress(TryAgain):
        sender.send(NOTICE)
    assert len(server.received) == 1
    for text in (WEBHOOK_TOKEN, WEBHOOK_SECRET.removeprefix("whsec_"), "qzanswerqz", "qzlocationqz"):
        assert text not in caplog.text
        assert text not in repr(sender)
    assert json.loads(server.received[0].body)["id"] == NOTICE.id


# --- in Microsoft Teams -----------------------------------------------------------------------------------------------

CARD = replace(NOTICE, data={"displayName": "Größe 😀", "failure": {"message": "It failed.", "remedy": "Give access."}})


def teams(server: HttpsReceiver, **changes: str) -> Notifier:
    host = {"WEBSITE_HOSTNAME": "registrar.azurewebsites.net"}
    return notifier(server, NOTIFY_WEBHOOK_FORMAT="teams", NOTIFY_WEBHOOK_SECRET="", **host, **changes)


def test_a_notice_for_teams_is_one_card_that_leads_to_the_page(server: HttpsReceiver) -> None:
    server.answer = answering(202)
    teams(server).send(CARD)
    [received] = server.received
    [card] = [each["content"] for each in json.loads(received.body)["attachments"]]
    assert received.headers["content-type"] == "application/json"
    assert [each["url"] for each in card["actions"]] == [
        f"https://registrar.azurewebsites.net/api/page/#/r/{NOTICE.subject}"
    ]
    assert card["type"] == "AdaptiveCard"
    assert "Größe 😀".encode() in received.body, "not escaped: what it may measure is counted in bytes"


def test_the_heartbeat_is_no_card_and_is_taken(server: HttpsReceiver) -> None:
    teams(server).send(Notice("run-heartbeat", "registrar.heartbeat", "registrar", NOTICE.time, {"counts": {}}))
    assert server.received == []


@pytest.mark.parametrize("status", [302, 400, 404, 429, 500])
def test_a_workflow_that_does_not_take_a_card_has_it_sent_again(server: HttpsReceiver, status: int) -> None:
    server.answer = answering(status, b"why", Location=server.url)
    assert str(status) in refused(lambda: teams(server).send(CARD))
    assert len(server.received) == 1
