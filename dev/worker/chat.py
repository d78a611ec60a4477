"""What is called of the chat, where a workspace of Slack may ask: somebody gets a code, says it, asks, and unlinks.

Slack is played by a signature and an address for the answers. The settings that say so are those of the process; who
signs in stands in `PRINCIPAL`, as the platform would write it.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import os
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from dev.worker.life import expect, expect_that

if TYPE_CHECKING:
    from dev.worker.channel import Channel

FUNCTIONS = {"slack", "chat", "give_up_chat", "link", "unlink"}
_LINK, _SLACK = "/api/chat/link", "/api/chat/slack"


class Answers:
    """Where answers to the chat go, on this machine."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        answers = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                message = json.loads(self.rfile.read(int(self.headers["content-length"])))
                answers.texts.append(message["text"])
                self.send_response(200)
                self.send_header("content-length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:  # noqa: ANN401 -- the library's signature
                """Writes nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/commands/1"


class Chat:
    """The invocations, in order."""

    def __init__(self, channel: Channel, answers: Answers) -> None:
        self.channel = channel
        self.answers = answers

    async def play(self) -> None:
        """Plays all of it."""
        person = {"x-ms-client-principal": os.environ["PRINCIPAL"]}
        ours = {**person, "origin": "http://127.0.0.1", "x-registrar-page": "1"}
        expect("link, of nobody", await self.channel.http("link", "POST", _LINK), 401)
        expect("link, of a foreign page", await self.channel.http("link", "POST", _LINK, headers=person), 403)
        code = expect("link", await self.channel.http("link", "POST", _LINK, headers=ours), 200).json()["code"]
        expect("slack, unsigned", await self.channel.http("slack", "POST", _SLACK, b"text=list"), 401)
        for text, told in (
            ("list", "Who are you?"),
            (f"link {code}", "You are "),
            ("list", "There is none."),
            ("unlink", "You are nobody here."),
        ):
            message = await self._asked(text)
            expect("chat", await self.channel.queue("chat", message), messages=0)
            expect_that(f"the chat is told {told!r}", self.answers.texts[-1].startswith(told))
        expect("give_up_chat", await self.channel.queue("give_up_chat", message))
        expect_that("what is given up is told", "could not be done" in self.answers.texts[-1])
        for garbage in ("", "garbage", "{}", "[1]", "null"):
            expect("chat, of garbage", await self.channel.queue("chat", garbage), messages=0)
            expect("give_up_chat, of garbage", await self.channel.queue("give_up_chat", garbage))
        expect("unlink", await self.channel.http("unlink", "DELETE", _LINK, headers=ours), 204)

    async def _asked(self, text: str) -> str:
        """Returns the message that a command puts into the queue."""
        form = {
            "team_id": os.environ["SLACK_WORKSPACE"],
            "user_id": "U1",
            "text": text,
            "response_url": self.answers.url,
            "trigger_id": str(len(self.answers.texts)),
        }
        body, at = urlencode(form).encode(), str(int(time.time()))
        signed = hmac.digest(os.environ["SLACK_SIGNING_SECRET"].encode(), f"v0:{at}:".encode() + body, hashlib.sha256)
        headers = {"x-slack-request-timestamp": at, "x-slack-signature": f"v0={signed.hex()}"}
        answer = await self.channel.http("slack", "POST", _SLACK, body, headers)
        [message] = expect("slack", answer, 200, message=1).outputs["message"]
        return message
