"""Whether a message comes from the chat that it says it comes from, and in time; where its answer may go."""

import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provisioning.domain.clouds import PUBLIC, US_GOVERNMENT, Cloud
from provisioning.domain.slack import SignedRequest, Workspace
from provisioning.domain.teams import Bot, bot_cloud

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
MINUTE, TICK = timedelta(minutes=1), timedelta(microseconds=1)
WORKSPACE = Workspace("T1", b"key", MINUTE, None)


def signed(at: datetime | str, body: bytes = b"text=x", key: bytes = b"key") -> SignedRequest:
    timestamp = at if isinstance(at, str) else str(int(at.timestamp()))
    signature = hmac.new(key, f"v0:{timestamp}:".encode() + body, hashlib.sha256).hexdigest()
    return SignedRequest(body, timestamp, f"v0={signature}")


GOOD = signed(NOW)


@pytest.mark.parametrize(
    ("request_", "now", "vouches"),
    [
        (GOOD, NOW, True),
        (GOOD, NOW + 5 * MINUTE, True),
        (GOOD, NOW + 5 * MINUTE + TICK, False),
        (GOOD, NOW - 5 * MINUTE, True),
        (GOOD, NOW - 5 * MINUTE - TICK, False),
        (replace(GOOD, body=b"text=y"), NOW, False),
        (signed(NOW, key=b"other"), NOW, False),
        (replace(GOOD, timestamp=f"0{GOOD.timestamp}"), NOW, False),
        (signed("yesterday"), NOW, False),
        (signed(f" {GOOD.timestamp}"), NOW, False),
        (signed("1" * 12), NOW, False),
        (replace(GOOD, signature="v0=\u00e9"), NOW, False),
        (replace(GOOD, signature=GOOD.signature.upper()), NOW, False),
        (replace(GOOD, signature=""), NOW, False),
    ],
)
def test_slack_vouches_for_the_bytes_that_it_signed_at_most_five_minutes_ago(
    request_: SignedRequest, now: datetime, *, vouches: bool
) -> None:
    assert WORKSPACE.vouches_for(request_, now) is vouches


def test_a_request_waits_in_the_queue_as_it_came() -> None:
    headers = {"x-slack-request-timestamp": GOOD.timestamp, "x-slack-signature": GOOD.signature}
    assert SignedRequest.received(headers, GOOD.body) == SignedRequest.from_message(GOOD.message.encode()) == GOOD
    assert SignedRequest.received({}, b"") == SignedRequest(b"", "", "")
    assert "text=x" not in repr(GOOD)
    assert "key" not in repr(WORKSPACE)
    assert (WORKSPACE.local, WORKSPACE.has_forms) == (False, False)


@pytest.mark.parametrize("message", [b"", b"{}", b"[]", b'{"body":1,"timestamp":"1","signature":"x"}', b"[" * 100_000])
def test_a_message_of_another_shape_is_no_request(message: bytes) -> None:
    assert SignedRequest.from_message(message) is None


def test_what_stands_for_a_time_and_a_signature_is_read_as_text() -> None:
    message = json.dumps({"body": "b", "timestamp": 1, "signature": None}).encode()
    assert SignedRequest.from_message(message) == SignedRequest(b"b", "1", "None")


def a_bot(cloud: Cloud = PUBLIC, **fields: Any) -> Bot:
    where = bot_cloud(cloud)
    assert where is not None
    return Bot("bot", "tenant", where, MINUTE, None, **fields)


@pytest.mark.parametrize(
    ("timestamp", "new"),
    [
        ("2026-11-28T12:00:00Z", True),
        ("2026-11-28T12:05:00Z", True),
        ("2026-11-28T12:05:00.000001Z", False),
        ("2026-11-28T11:55:00Z", True),
        ("2026-11-28T11:54:59.999999Z", False),
        ("2026-11-28T13:00:00+01:00", True),
        ("2026-11-28T12:00:00+01:00", False),
    ],
)
def test_an_activity_is_new_within_five_minutes(timestamp: str, *, new: bool) -> None:
    assert a_bot().is_new(timestamp, NOW) is new


@pytest.mark.parametrize(
    ("timestamp", "why"), [("2026-11-28T12:00:00", "without its offset from UTC"), ("now", "Invalid isoformat")]
)
def test_a_time_of_no_place_is_no_time(timestamp: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        a_bot().is_new(timestamp, NOW)


@pytest.mark.parametrize(
    ("cloud", "url", "may"),
    [
        (PUBLIC, "https://smba.trafficmanager.net/emea/", True),
        (PUBLIC, "https://smba.trafficmanager.net/emea/?x", False),
        (PUBLIC, "https://smba.infra.gov.teams.microsoft.us/", False),
        (PUBLIC, "http://smba.trafficmanager.net/", False),
        (PUBLIC, "http://127.0.0.1:3978/", False),
        (US_GOVERNMENT, "https://smba.infra.gov.teams.microsoft.us/", True),
        (US_GOVERNMENT, "https://smba.trafficmanager.net/", False),
    ],
)
def test_an_answer_goes_to_the_bot_framework_of_the_cloud_alone(cloud: Cloud, url: str, *, may: bool) -> None:
    assert a_bot(cloud).answers_at(url) is may


def test_on_the_local_stack_alone_an_answer_may_go_to_this_machine() -> None:
    assert a_bot(local=True).answers_at("http://127.0.0.1:3978/")
    assert replace(WORKSPACE, local=True).answers_at("http://127.0.0.1:3978/")
    assert not WORKSPACE.answers_at("http://127.0.0.1:3978/")
    assert WORKSPACE.answers_at("https://hooks.slack.com/commands/x")


def test_a_token_that_answers_is_for_the_bot_framework_of_the_cloud() -> None:
    assert [a_bot(cloud).cloud.scope for cloud in (PUBLIC, US_GOVERNMENT)] == [
        "https://api.botframework.com/.default",
        "https://api.botframework.us/.default",
    ]
