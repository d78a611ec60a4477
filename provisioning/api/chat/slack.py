"""How Slack asks: what a request of it is, once its signature is verified over the bytes as they came.

Sources: "Slash commands" and "Handling user interaction" (forms, a JSON `payload`, 3 s for the answer). Slack adds
fields as it likes, so what is not known is left alone here; only what is read has to be as documented.
"""

import json
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.api.chat.blocks import message_of
from provisioning.api.chat.verbs import Ask, Verb, help_of, read
from provisioning.domain.callers import unauthenticated
from provisioning.domain.chat import ChatUser
from provisioning.domain.errors import RequestRejected
from provisioning.domain.registration import REGISTRATION_ID
from provisioning.domain.slack import LARGEST_BODY, SignedRequest, Workspace
from provisioning.domain.values import dataclass
from provisioning.ports import Services

_MOST_FIELDS: Final = 50
_DECISIONS: Final = (Verb.APPROVE, Verb.DENY)
_NO_STORE: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what, and where the answer goes."""

    user: ChatUser
    ask: Ask
    url: str
    by_button: bool = False


def take(services: Services, call: Call) -> Answer:
    """Return 200 at once; what is asked for is in the queue then, as it came, with its signature.

    Nothing is read or written for that. Raises RequestRejected, before anything is parsed, for a body that is too large
    (413), or that Slack did not sign, just now (401); afterwards for one of another workspace (401).
    """
    workspace = services.workspace
    if len(call.body) > LARGEST_BODY:
        raise RequestRejected(413, "body-too-large", "A request may have at most 32 KB.")
    request = SignedRequest.received(call.headers, call.body)
    if workspace is None or not workspace.vouches_for(request, services.clock.now()):
        raise unauthenticated()
    asked = read_asked(request.body, workspace)
    if asked is None:
        return Answer(200, "", "text/plain", _NO_STORE)
    if asked.ask.verb is Verb.HELP:
        return Answer(200, json.dumps(message_of(help_of(asked.ask), workspace.page)), headers=_NO_STORE)
    return Answer(200, "", "text/plain", _NO_STORE, request.message)


def read_asked(body: bytes, workspace: Workspace) -> Asked | None:
    """Return what a signed request asks for; None for a button that is a link, and asks for nothing here.

    Raises RequestRejected: 401 for one of another workspace, 400 for what Slack does not document.
    """
    try:
        form = dict(parse_qsl(body.decode("ascii"), strict_parsing=True, max_num_fields=_MOST_FIELDS))
        if "payload" in form:
            return _button(json.loads(form["payload"]), workspace)
        user = _user(form["team_id"], form["user_id"], workspace)
        return Asked(user, read(form.get("text", "")), _url(form["response_url"], workspace))
    except (ValueError, KeyError, TypeError, AttributeError, IndexError, RecursionError):
        raise RequestRejected(400, "invalid-request", "This is no request of a chat that is known here.") from None


def _button(content: Mapping[str, Any], workspace: Workspace) -> Asked | None:
    user = _user(content["team"]["id"], content["user"]["id"], workspace)
    if content["type"] != "block_actions":
        raise ValueError
    [action] = content["actions"]
    if action["action_id"] == "open":
        return None
    verb = Verb(action["action_id"])
    identity, _, digest = action["value"].partition(" ")
    if verb not in _DECISIONS or not REGISTRATION_ID.fullmatch(identity) or not digest:
        raise ValueError
    url = _url(content["response_url"], workspace)
    if verb is Verb.APPROVE:
        return Asked(user, Ask(verb, identity, digest=digest), url, by_button=True)
    reason = content["state"]["values"]["reason"]["reason"]["value"] or ""
    if not reason.strip():
        return Asked(user, Ask(Verb.HELP, text="Write the reason above the button, then press it again."), url)
    return Asked(user, Ask(verb, identity, reason.strip(), digest), url, by_button=True)


def _user(team: str, user: str, workspace: Workspace) -> ChatUser:
    if team != workspace.id:
        raise unauthenticated()
    if not (isinstance(user, str) and user.isascii() and user.isalnum()):
        raise ValueError
    return ChatUser(team, user)


def _url(url: str, workspace: Workspace) -> str:
    if not workspace.answers_at(url):
        raise ValueError
    return url
