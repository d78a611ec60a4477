"""How Slack asks, and is told: what a request of it is, once its signature is verified over the bytes as they came.

Sources: "Slash commands" and "Handling user interaction" (forms, a JSON `payload`, 3 s for the answer). Slack adds
fields as it likes, so what is not known is left alone here; only what is read has to be as documented.
"""

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qsl

from provisioning import trail
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.api.chat.arrived import Arrived, queue
from provisioning.api.chat.blocks import message_of
from provisioning.api.chat.form import CALLBACK, KINDS, body_of, errors_of, texts_of, view_of
from provisioning.api.chat.verbs import Ask, Said, Verb, answered, help_of, read
from provisioning.api.chat.who import caller_in_slack, linked, unlinked
from provisioning.domain.callers import unauthenticated
from provisioning.domain.chat import ChatUser
from provisioning.domain.errors import Fault, RequestRejected, TryAgain
from provisioning.domain.intake import parse
from provisioning.domain.registration import REGISTRATION_ID
from provisioning.domain.slack import LARGEST_BODY, LONGEST_WAIT, REMEMBERED, SignedRequest, Workspace
from provisioning.domain.values import dataclass
from provisioning.ports import Services

logger = trail.logger(__name__)

NO_REASON: Final = "Write the reason above the button, then press it again."
# Who owns it is not known before it is known who asks.
SOMEBODY: Final = "00000000-0000-4000-8000-000000000000"
_MOST_FIELDS: Final = 50
_DECISIONS: Final = (Verb.APPROVE, Verb.DENY)
_NO_STORE: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Asked:
    """Who asks for what, and where the answer goes. `form` is the kind of the form that is to be opened, by a trigger.

    `view` is of the form that was filled in: its kind, whose faults are shown in it.
    """

    user: ChatUser
    ask: Ask
    url: str
    by_button: bool = False
    form: str = ""
    trigger: str = ""
    view: str = ""


def take(services: Services, call: Call) -> Answer:
    """Return 200 at once; what is asked for is in the queue then, as it came, with its signature.

    Raises RequestRejected, before anything is parsed, for a body that is too large (413), or that Slack did not sign,
    just now (401); afterwards for one of another workspace (401), and for one that came before (401).
    """
    workspace = services.workspace
    if len(call.body) > LARGEST_BODY:
        raise RequestRejected(413, "body-too-large", "A request may have at most 32 KB.")
    request = SignedRequest.received(call.headers, call.body)
    if workspace is None or not workspace.vouches_for(request, services.clock.now()):
        raise unauthenticated()
    asked = read_asked(request.body, workspace)
    if asked is None:
        return _ok()
    if asked.form:
        return _opened(services, workspace, asked)
    if asked.ask.verb is Verb.HELP and not asked.by_button:
        return _ok(message_of(help_of(asked.ask), workspace))
    if asked.view and (errors := _errors(services, asked)):
        return _ok({"response_action": "errors", "errors": errors})
    queue(services, request.signature, "", request.message, services.clock.now() + REMEMBERED)
    return _ok()


def arrived(services: Services, message: bytes) -> Arrived | None:
    """Return what a message of the queue asks for that Slack signed while its answer can still be sent; or None."""
    workspace, request = services.workspace, SignedRequest.from_message(message)
    if workspace is None or request is None or not workspace.vouches_for(request, services.clock.now(), LONGEST_WAIT):
        return None
    try:
        asked = read_asked(request.body, workspace)
    except RequestRejected:
        return None
    if asked is None:
        return None

    def tell(said: Said) -> None:
        services.slack.tell(asked.url, message_of(said, workspace, instead=asked.by_button and said.done))

    return Arrived(request.signature, asked.ask, lambda: _said(services, workspace, asked), tell)


def _said(services: Services, workspace: Workspace, asked: Asked) -> Said:
    if asked.ask.verb is Verb.LINK:
        return linked(services, asked.user, asked.ask)
    if asked.ask.verb is Verb.UNLINK:
        return unlinked(services, services.people.linked(asked.user))
    caller = caller_in_slack(services, asked.user, workspace.session)
    return caller if isinstance(caller, Said) else answered(services, caller, asked.ask)


def _ok(content: Mapping[str, Any] | None = None) -> Answer:
    if content is None:
        return Answer(200, "", "text/plain", _NO_STORE)
    return Answer(200, json.dumps(content), headers=_NO_STORE)


def _opened(services: Services, workspace: Workspace, asked: Asked) -> Answer:
    """Have the form be opened now, as its trigger ends in seconds; where it is not, say so."""
    try:
        services.slack.open_form(asked.trigger, view_of(asked.form, asked.url))
    except TryAgain as error:
        logger.warning("a form was not opened: %s", error.code)
        said = Said("The form could not be opened. Press the button again, or use the page.", page="#/new")
        with suppress(TryAgain):
            services.slack.tell(asked.url, message_of(said, workspace))
    return _ok()


def _errors(services: Services, asked: Asked) -> Mapping[str, str]:
    """Return what is wrong with the form by itself; what else may be, is told once it was sent."""
    faults = tuple[Fault, ...]()
    try:
        parse({**(asked.ask.request or {}), "owner": SOMEBODY}, services.secrets.lifetimes)
    except RequestRejected as error:
        faults = error.faults
    return errors_of(asked.view, faults)


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
    if content["type"] == "view_submission":
        return _filled_in(content["view"], user, workspace)
    if content["type"] != "block_actions":
        raise ValueError
    [action] = content["actions"]
    name, _, kind = str(action["action_id"]).partition("-")
    if name == "open":
        return None
    verb, url = Verb(name), _url(content["response_url"], workspace)
    if verb is Verb.REGISTER:
        if kind not in KINDS or not workspace.has_forms:
            raise ValueError
        return Asked(user, Ask(verb), url, form=kind, trigger=str(content["trigger_id"]))
    identity, _, digest = action["value"].partition(" ")
    if verb not in _DECISIONS or not REGISTRATION_ID.fullmatch(identity) or not digest:
        raise ValueError
    if verb is Verb.APPROVE:
        return Asked(user, Ask(verb, identity, digest=digest), url, by_button=True)
    reason = content["state"]["values"]["reason"]["reason"]["value"] or ""
    if not reason.strip():
        # It goes the way of every answer: Slack shows nobody what a button is answered.
        return Asked(user, Ask(Verb.HELP, text=NO_REASON), url, by_button=True)
    return Asked(user, Ask(verb, identity, reason.strip(), digest), url, by_button=True)


def _filled_in(view: Mapping[str, Any], user: ChatUser, workspace: Workspace) -> Asked:
    """Return the request that a form comes to. The view's id is the same each time that it is sent."""
    told = json.loads(view["private_metadata"])
    kind, key = told["kind"], str(view["id"])
    if view["callback_id"] != CALLBACK or kind not in KINDS or not (key.isascii() and key.isalnum()):
        raise ValueError
    request = body_of(kind, texts_of(view["state"]["values"]))
    ask = Ask(Verb.REGISTER, request=request, key=f"slack-{workspace.id}-{key}")
    return Asked(user, ask, _url(told["url"], workspace), view=kind)


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
