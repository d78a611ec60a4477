"""What is too long, or nested without end, is refused wherever a caller can send it, and never an error of ours."""

import base64
import json
from typing import Any

import pytest

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import LARGEST_BODY, Call
from provisioning.domain.messages import read_message, read_notice_message
from tests.worlds.signed_in import ALICE, ENTRA, headers_of
from tests.worlds.world import World

DEEP = b"[" * 60_000
WITH_BODY = sorted(
    name for name in web.CALLS if name.split("_")[0] in ("submit", "rotate", "change", "approve", "deny")
)


def told(answer: Answer) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["code"]


@pytest.fixture
def world() -> World:
    return World(settings=ENTRA)


@pytest.mark.parametrize("name", WITH_BODY)
@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (b" " * (LARGEST_BODY + 1), (413, "body-too-large")),
        (b"{}" * LARGEST_BODY, (413, "body-too-large")),
        (DEEP, (400, "invalid-json")),
        (b'{"a":' * 10_000, (400, "invalid-json")),
        (b"9" * 60_000, (400, "invalid-json")),
    ],
    ids=["blanks", "twice over", "lists in lists", "objects in objects", "a long number"],
)
def test_every_call_with_a_body_refuses_what_is_too_long_or_too_deep(
    world: World, name: str, body: bytes, expected: tuple[int, str]
) -> None:
    headers = {"content-type": "application/json", **headers_of(ALICE, world.emulator)}
    call = Call("/api/registrations/x", headers, body=body, registration_id="x", method="POST")
    assert told(world.call(web.CALLS[name], call)) == expected


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


@pytest.mark.parametrize("name", sorted(web.CALLS))
@pytest.mark.parametrize("content", [DEEP, b'{"a":' * 10_000, b"9" * 60_000, b"{" + b" " * 60_000 + b"}"])
def test_a_principal_or_a_token_that_is_too_long_or_too_deep_is_nobodys(
    world: World, name: str, content: bytes
) -> None:
    good = headers_of(ALICE, world.emulator)
    head, body, signature = good["authorization"].split(".")
    bad: list[dict[str, Any]] = [
        good | {"x-ms-client-principal": base64.b64encode(content).decode()},
        good | {"authorization": f"Bearer {encoded(content)}.{body}.{signature}"},
        good | {"authorization": f"{head}.{encoded(content)}.{signature}"},
        good | {"authorization": f"{head}.{body}.{encoded(content)}"},
    ]
    for headers in bad:
        answer = world.call(web.CALLS[name], Call("/api/registrations/x", headers, registration_id="x"))
        assert told(answer) == (401, "unauthenticated")


@pytest.mark.parametrize("content", [DEEP, b'{"a":' * 10_000, b"9" * 60_000])
def test_a_message_that_is_too_long_or_too_deep_is_none(content: bytes) -> None:
    assert (read_message(content), read_notice_message(content)) == (None, None)
