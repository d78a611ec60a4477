"""Slack in this process: what its people type and press, signed by its own SDK, and what it is answered.

It is as strict as what it stands for: a message is refused that breaks the limits of Block Kit, and a response URL
takes five messages ("Handling user interaction"). Its models of blocks are the SDK's.
"""

import json
from collections import Counter
from http import HTTPStatus
from io import BytesIO
from typing import Any, Final
from urllib.parse import urlencode

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from slack_sdk.models.blocks import Block
from slack_sdk.models.views import View
from slack_sdk.signature import SignatureVerifier
from urllib3 import HTTPResponse

from provisioning.api.calls import Call

SIGNING_SECRET: Final = "8f742231b10e8888abcd99111222085a"
BOT_TOKEN: Final = "xoxb-1234-5678-qzbottokenqz"
WORKSPACE: Final = "T0CONTOSO"
_LIMITS: Final = {"section": 3000, "header": 150}
_MOST_MESSAGES: Final = 5


class SlackDouble(BaseAdapter):
    """A workspace of Slack: `told` has what each response URL was sent, `views` those that were opened.

    `messages` has what stands in the conversation of a user with the app, by its `ts`, and `versions` how often each
    was written.
    """

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[str, dict[str, Any]]] = []
        self.views: list[dict[str, Any]] = []
        self.messages: dict[str, tuple[str, dict[str, Any]]] = {}
        self.versions = Counter[str]()
        self.unreached = ""
        self.triggers: set[str] = set()
        self._triggers = 0
        self.status = int(HTTPStatus.OK)
        self._given: Counter[str] = Counter()
        self._urls = 0

    def settings(self) -> dict[str, str]:
        """Return the settings that have its people be heard."""
        return {"SLACK_SIGNING_SECRET": SIGNING_SECRET, "SLACK_WORKSPACE": WORKSPACE, "SLACK_BOT_TOKEN": BOT_TOKEN}

    # --- what its people do ---

    def command(self, user: str, text: str, **changes: str) -> bytes:
        """Return the body of a slash command."""
        form = {
            "token": "deprecated",
            "team_id": WORKSPACE,
            "team_domain": "contoso",
            "channel_id": "C1",
            "user_id": user,
            "user_name": "somebody",
            "command": "/registrar",
            "text": text,
            "api_app_id": "A1",
            "is_enterprise_install": "false",
            "response_url": self.new_url(),
            "trigger_id": self.new_trigger(),
        }
        return urlencode(form | changes).encode()

    def pressed(self, user: str, action: dict[str, Any], reason: str | None = None, /, **changes: Any) -> bytes:
        """Return the body of a button that is pressed, as it was in a message, the text beside it included."""
        payload = {
            "type": "block_actions",
            "team": {"id": WORKSPACE, "domain": "contoso"},
            "user": {"id": user, "team_id": WORKSPACE},
            "response_url": self.new_url(),
            "trigger_id": self.new_trigger(),
            "actions": [{name: action[name] for name in ("type", "action_id", "value", "url") if name in action}],
            "state": {"values": {"reason": {"reason": {"type": "plain_text_input", "value": reason}}}},
        }
        return urlencode({"payload": json.dumps(payload | changes)}).encode()

    def filled_in(self, user: str, view: dict[str, Any], values: dict[str, str], **changes: Any) -> bytes:
        """Return the body of a form that is sent: every field of it is there, and an empty one is null."""
        fields = {each["block_id"]: each["element"]["action_id"] for each in view["blocks"]}
        state = {
            name: {action: {"type": "plain_text_input", "value": values.get(name)}} for name, action in fields.items()
        }
        told = {name: view[name] for name in ("type", "callback_id", "private_metadata")}
        payload = {
            "type": "view_submission",
            "team": {"id": WORKSPACE, "domain": "contoso"},
            "user": {"id": user, "team_id": WORKSPACE},
            "trigger_id": self.new_trigger(),
            "view": {"id": "VMHU10V25", **told, "state": {"values": state}},
        }
        return urlencode({"payload": json.dumps(payload | changes)}).encode()

    def new_url(self) -> str:
        """Return a response URL of its own for something that somebody did."""
        self._urls += 1
        return f"https://hooks.slack.com/commands/{WORKSPACE}/{self._urls}/qzresponseqz"

    def new_trigger(self) -> str:
        """Return a trigger, which is good once."""
        self._triggers += 1
        trigger = f"13345224609.{self._triggers}.qztriggerqz"
        self.triggers.add(trigger)
        return trigger

    # --- what it is answered ---

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        assert options["timeout"]
        content, url = json.loads(request.body or b""), str(request.url)
        if url == "https://slack.com/api/views.open":
            return self._answer(request, HTTPStatus.OK, json.dumps(self._opened(request, content)).encode())
        if url.startswith("https://slack.com/api/chat."):
            said = self._said(request, url.rpartition(".")[2], content)
            return self._answer(request, self.status, json.dumps(said).encode())
        assert url.startswith("https://hooks.slack.com/"), url
        self._given[url] += 1
        status = self.status if self._given[url] <= _MOST_MESSAGES else HTTPStatus.NOT_FOUND
        if status == HTTPStatus.OK:
            check_blocks(content["blocks"])
            self.told.append((url, content))
        return self._answer(request, status, b"ok")

    def _opened(self, request: requests.PreparedRequest, content: dict[str, Any]) -> dict[str, Any]:
        """Open a view as `views.open` does: for whoever has the token, with a trigger that is good once."""
        if request.headers.get("Authorization") != f"Bearer {BOT_TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        if content["trigger_id"] not in self.triggers:
            return {"ok": False, "error": "exchanged_trigger_id"}
        self.triggers.remove(content["trigger_id"])
        view = View(**content["view"])
        view.validate_json()
        assert len(view.private_metadata or "") <= 3000
        self.views.append(content["view"])
        return {"ok": True}

    def _said(self, request: requests.PreparedRequest, method: str, content: dict[str, Any]) -> dict[str, Any]:
        """Take a message as `chat.postMessage` does for a user's id, or another one for it as `chat.update` does."""
        if request.headers.get("Authorization") != f"Bearer {BOT_TOKEN}":
            return {"ok": False, "error": "invalid_auth"}
        message = {name: content[name] for name in ("text", "blocks")}
        check_blocks(message["blocks"])
        if method == "postMessage":
            user, ts = content["channel"], f"1700000000.{len(self.messages):06}"
            if not user.startswith("U") or user == self.unreached:
                return {"ok": False, "error": "channel_not_found"}
        else:
            assert method == "update"
            user, ts = content["channel"].replace("D0", "U0"), content["ts"]
            if self.messages.get(ts, ("", {}))[0] != user:
                return {"ok": False, "error": "message_not_found"}
        self.messages[ts] = user, message
        self.versions[ts] += 1
        return {"ok": True, "channel": user.replace("U0", "D0"), "ts": ts}

    def _answer(self, request: requests.PreparedRequest, status: int, body: bytes) -> requests.Response:
        raw = HTTPResponse(BytesIO(body), status=status, preload_content=False)
        return HTTPAdapter().build_response(request, raw)

    def close(self) -> None:
        """Nothing is held."""


def signed(body: bytes, at: float, **changes: str) -> Call:
    """Return the call by which Slack sends a body, signed by its own SDK at this moment."""
    timestamp = str(int(at))
    signature = SignatureVerifier(SIGNING_SECRET).generate_signature(timestamp=timestamp, body=body)
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "x-slack-request-timestamp": timestamp,
        "x-slack-signature": str(signature),
    }
    return Call("/api/chat/slack", headers | changes, body=body, method="POST")


def check_blocks(blocks: list[dict[str, Any]]) -> None:
    """Assert that Slack would show these blocks: the SDK's models know them, and no limit is broken."""
    assert 0 < len(blocks) <= 50
    for given, block in zip(blocks, Block.parse_all(blocks), strict=True):
        block.validate_json()
        text = given.get("text")
        if text is not None:
            assert text["type"] == "plain_text", "a text that Slack would look for links in"
            assert 0 < len(text["text"]) <= _LIMITS[given["type"]]


def buttons(message: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the buttons of a message by their actions."""
    found = [each for block in message["blocks"] if block["type"] == "actions" for each in block["elements"]]
    return {each["action_id"]: each for each in found}


def words(message: dict[str, Any]) -> str:
    """Return all that a message says."""
    return "\n".join(block["text"]["text"] for block in message["blocks"] if "text" in block)
