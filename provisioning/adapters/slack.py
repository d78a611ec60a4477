"""Slack over one HTTPS POST each: to the response URL of a request, or to a method of its API.

Sources: "Handling user interaction" (a response URL takes JSON without a token; whoever knows it may post there, so it
is in no error and no log line); `views.open`, `chat.postMessage` (to a user's id: into the conversation with the app)
and `chat.update` (a bearer token; `ok` in the answer says how it went).
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final

import requests

from provisioning.domain.errors import TryAgain

API: Final = "https://slack.com/api"
_TELLING: Final = 10.0
# Slack forgets what a trigger is good for after 3 s, and shows an error then.
_OPENING: Final = 2.0


class SlackAnswers:
    """Answers, by a session that goes to public addresses only, but on the local stack."""

    def __init__(self, session: requests.Session, bot_token: str | None, api: str = API) -> None:
        self._session = session
        self._bot_token = bot_token
        self._api = api

    def tell(self, url: str, message: Mapping[str, Any]) -> None:
        """As the port says."""
        self._posted(url, message, {}, _TELLING)

    def open_form(self, trigger: str, view: Mapping[str, Any]) -> None:
        """As the port says."""
        self._called("views.open", {"trigger_id": trigger, "view": view}, _OPENING)

    def say(self, user: str, message: Mapping[str, Any]) -> str:
        """As the port says."""
        answer = self._called("chat.postMessage", {"channel": user, **_shown(message)}, _TELLING)
        return f"{answer['channel']} {answer['ts']}"

    def change(self, name: str, message: Mapping[str, Any]) -> None:
        """As the port says."""
        channel, _, ts = name.partition(" ")
        self._called("chat.update", {"channel": channel, "ts": ts, **_shown(message)}, _TELLING)

    def _called(self, method: str, content: Mapping[str, Any], seconds: float) -> Mapping[str, Any]:
        headers = {"Authorization": f"Bearer {self._bot_token}"}
        answer = self._posted(f"{self._api}/{method}", content, headers, seconds)
        try:
            read: Mapping[str, Any] = json.loads(answer)
            if read["ok"] is True:
                return read
        except (ValueError, KeyError, TypeError):
            pass
        raise _not_taken(f"did not take {method}")

    def _posted(self, url: str, content: Mapping[str, Any], headers: Mapping[str, str], seconds: float) -> bytes:
        body = json.dumps(content, separators=(",", ":")).encode()
        sent = {"Content-Type": "application/json; charset=utf-8", **headers}
        try:
            answer = self._session.post(
                url, data=body, headers=sent, auth=_as_it_is, timeout=seconds, allow_redirects=False
            )
        except (requests.RequestException, ValueError):
            # Its text has the URL, so it ends here.
            raise _not_taken("gave no answer") from None
        if answer.status_code != HTTPStatus.OK:
            raise _not_taken(f"answered {answer.status_code}")
        return answer.content


def _shown(message: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what of an answer is a message by itself, too."""
    return {name: message[name] for name in ("text", "blocks")}


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from putting a password from a .netrc file on it."""
    return request


def _not_taken(how: str) -> TryAgain:
    return TryAgain("chat-not-told", f"Slack {how}.", remedy="If it lasts, check SLACK_BOT_TOKEN and the network.")
