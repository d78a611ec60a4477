"""What is called of the chats, where Slack and Microsoft Teams may ask: somebody says who they are, asks, and unlinks.

Slack is played by a signature and an address for the answers, Teams by a key and the same address. The settings that
say so are those of the process; who signs in stands in `PRINCIPAL`, as the platform would write it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import re
import threading
import time
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import jwt
import requests
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from dev.worker.life import CheckError, expect, expect_that
from provisioning.adapters.shared_key import SharedKey
from provisioning.settings import from_environment
from provisioning.wiring import SystemClock

if TYPE_CHECKING:
    from dev.worker.channel import Channel

FUNCTIONS = {"slack", "teams", "chat", "give_up_chat", "link", "unlink"}
_LINK, _SLACK, _TEAMS = "/api/chat/link", "/api/chat/slack", "/api/chat/teams"
_TEXT = re.compile(r"<MessageText>([^<]*)</MessageText>")
_TIMEOUT = 10


class Answers:
    """Where answers to the chats go, on this machine, and where the keys of the Bot Framework are."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = RSAAlgorithm.to_jwk(self._key.public_key(), as_dict=True)
        keys = {"keys": [{**public, "use": "sig", "kid": "1", "endorsements": ["msteams"]}]}
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                self._answer(json.dumps(keys).encode())

            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["content-length"])))
                is_of_bot = "/v3/conversations/" in self.path and self.headers["authorization"].startswith("Bearer ey")
                answers.texts.append(message["summary"] if is_of_bot else message["text"])
                self._answer(b"{}")

            def _answer(self, body: bytes) -> None:
                self.send_response(200)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:  # noqa: ANN401 -- the library's signature
                """Writes nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.origin = f"http://127.0.0.1:{self._server.server_address[1]}"

    def settings(self) -> dict[str, str]:
        """The app settings that have the keys be looked for here."""
        return {"TEAMS_LOGIN_ENDPOINT": self.origin}

    def token(self) -> str:
        """A token of the Bot Framework over an activity of this address."""
        at = int(time.time())
        claims = {"iss": "https://api.botframework.com", "aud": os.environ["TEAMS_BOT_ID"], "nbf": at, "exp": at + 60}
        return jwt.encode({**claims, "serviceurl": self.origin}, self._key, algorithm="RS256", headers={"kid": "1"})


class Chat:
    """The invocations, in order."""

    def __init__(self, channel: Channel, answers: Answers) -> None:
        self.channel = channel
        self.answers = answers
        self._asked = 0

    async def play(self) -> None:
        """Plays all of it."""
        person = {"x-ms-client-principal": os.environ["PRINCIPAL"]}
        ours = {**person, "origin": "http://127.0.0.1", "x-registrar-page": "1"}
        expect("link, of nobody", await self.channel.http("link", "POST", _LINK), 401)
        expect("link, of a foreign page", await self.channel.http("link", "POST", _LINK, headers=person), 403)
        code = expect("link", await self.channel.http("link", "POST", _LINK, headers=ours), 200).json()["code"]
        expect("slack, unsigned", await self.channel.http("slack", "POST", _SLACK, b"text=list"), 401)
        expect("teams, without a token", await self.channel.http("teams", "POST", _TEAMS, b"{}"), 401)
        for ask, text, told in (
            (self._in_slack, "list", "Who are you?"),
            (self._in_slack, f"link {code}", "You are "),
            (self._in_slack, "list", "There is none."),
            (self._in_teams, "list", "There is none."),
            (self._in_slack, "unlink", "You are nobody here."),
            (self._in_teams, "list", "You have not signed in yet."),
        ):
            message = await ask(text)
            expect("chat", await self.channel.queue("chat", message), messages=0)
            expect_that(f"the chat is told {told!r}", self.answers.texts[-1].startswith(told))
        expect("give_up_chat", await self.channel.queue("give_up_chat", message))
        expect_that("what is given up is told", "could not be done" in self.answers.texts[-1])
        for garbage in ("", "garbage", "{}", "[1]", "null"):
            expect("chat, of garbage", await self.channel.queue("chat", garbage), messages=0)
            expect("give_up_chat, of garbage", await self.channel.queue("give_up_chat", garbage))
        expect("unlink", await self.channel.http("unlink", "DELETE", _LINK, headers=ours), 204)

    async def _in_slack(self, text: str) -> str:
        """Returns the message that a command puts into the queue."""
        self._asked += 1
        form = {
            "team_id": os.environ["SLACK_WORKSPACE"],
            "user_id": "U1",
            "text": text,
            "response_url": f"{self.answers.origin}/commands/1",
            "trigger_id": str(self._asked),
        }
        body, at = urlencode(form).encode(), str(int(time.time()))
        signed = hmac.digest(os.environ["SLACK_SIGNING_SECRET"].encode(), f"v0:{at}:".encode() + body, hashlib.sha256)
        headers = {"x-slack-request-timestamp": at, "x-slack-signature": f"v0={signed.hex()}"}
        expect("slack", await self.channel.http("slack", "POST", _SLACK, body, headers), 200)
        return _queued()

    async def _in_teams(self, text: str) -> str:
        """Returns the message that somebody who writes to the bot puts into the queue."""
        self._asked += 1
        principal = json.loads(base64.b64decode(os.environ["PRINCIPAL"]))
        [person] = [each["val"] for each in principal["claims"] if each["typ"] == "oid"]
        tenant = os.environ["AZURE_TENANT_ID"]
        activity = {
            "type": "message",
            "id": str(self._asked),
            "timestamp": datetime.now(UTC).isoformat(),
            "serviceUrl": self.answers.origin,
            "channelId": "msteams",
            "from": {"id": "29:1", "aadObjectId": person},
            "conversation": {"conversationType": "personal", "tenantId": tenant, "id": "a:1"},
            "channelData": {"tenant": {"id": tenant}},
            "text": text,
        }
        headers = {"authorization": f"Bearer {self.answers.token()}"}
        body = json.dumps(activity).encode()
        expect("teams", await self.channel.http("teams", "POST", _TEAMS, body, headers), 200)
        expect("teams, again", await self.channel.http("teams", "POST", _TEAMS, body, headers), 401)
        first = _queued()
        expect_that("what came again names the same", _queued() == first)
        return first


def _queued() -> str:
    """Returns the oldest message of the chat's queue that was not looked at before."""
    storage = from_environment().storage
    account = storage.account_key
    assert account is not None
    url = f"{storage.queue_service_uri.rstrip('/')}/chat/messages?numofmessages=1&visibilitytimeout=600"
    answer = requests.get(
        url, headers={"x-ms-version": "2023-11-03"}, auth=SharedKey(*account, SystemClock()), timeout=_TIMEOUT
    )
    found = _TEXT.search(answer.text)
    if found is None:
        raise CheckError(f"the chat's queue has no message: {answer.status_code} {answer.text}")
    return base64.b64decode(found[1]).decode()
