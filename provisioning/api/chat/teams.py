"""How Microsoft Teams asks, and is told: what an activity is, once the token over it is verified.

Sources: "Authentication with the Bot Connector API" (what is verified, in this order), "Activity object", "Universal
Actions for Adaptive Cards" (the invoke `adaptiveCard/action`, whose HTTP answer the card shows). The token says who
sent an activity, and not what is in it: so that is kept here, and the queue has its name alone (docs/decisions/0084).
"""

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from typing import Any, Final

from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.api.chat.arrived import Arrived, queue
from provisioning.api.chat.cards import LONGEST_REASON, activity_of, answer_of, form_of, told_of
from provisioning.api.chat.form import KINDS, body_of, errors_of
from provisioning.api.chat.slack import NO_REASON, SOMEBODY
from provisioning.api.chat.verbs import Ask, Said, Verb, answered, read
from provisioning.api.chat.who import caller_in_teams, unlinked
from provisioning.domain.callers import unauthenticated
from provisioning.domain.errors import RequestRejected, TryAgain
from provisioning.domain.intake import parse
from provisioning.domain.registration import REGISTRATION_ID
from provisioning.domain.teams import CHANNEL, LARGEST_BODY, REMEMBERED, Bot, Conversation
from provisioning.domain.values import dataclass
from provisioning.ports import Services, Teams

ELSEWHERE: Final = "Ask me in a chat of our own: here others would read the answer."
NO_CODE_NEEDED: Final = Said("No code is needed here: Microsoft Teams says who you are. Sign in on the page, and ask.")
_UNDER_WAY: Final = "It is being done."
_PERSON: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_KEY: Final = re.compile(r"[0-9a-f]{32}", re.ASCII)
_NAMED: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)
_DIGEST: Final = re.compile(r"[0-9A-Za-z-]{1,128}", re.ASCII)
_MENTION: Final = re.compile(r"<at>[^<]{0,256}</at>")
_LONGEST_ID: Final = 1024
# A column of Table storage has 64 KiB, of two bytes for a letter.
_MOST_KEPT: Final = 30_000
_PRESSED: Final = "adaptiveCard/action"
_DECIDED: Final = (Verb.APPROVE, Verb.DENY, Verb.ROTATE)
# How long is waited for its row, which goes out at the same time.
_MOMENTS: Final = (0.25, 0.5, 1.0)


@dataclass(frozen=True, slots=True)
class Posed:
    """Who asks for what, and where the answer goes: `card` is the message with the button that was pressed.

    `own` is whether nobody else is in the conversation.
    """

    key: str
    person: str
    ask: Ask
    conversation: Conversation
    own: bool
    card: str = ""

    @property
    def content(self) -> str:
        """What is kept of it."""
        ask = self.ask
        asked = [ask.verb, ask.registration_id, ask.text, ask.digest, ask.request, ask.key]
        return json.dumps([self.person, asked, self.conversation.service, self.conversation.id, self.own, self.card])

    @classmethod
    def of(cls, key: str, content: str) -> "Posed":
        """Return what was kept."""
        person, asked, service, conversation, own, card = json.loads(content)
        verb, *others = asked
        return cls(key, person, Ask(Verb(verb), *others), Conversation(service, conversation), own, card)


# What an activity is answered, and what it asks for.
Read = tuple[Mapping[str, Any] | None, Posed | None]


def take(services: Services, call: Call) -> Answer:
    """Return 200 at once; what is asked for is kept then, and its name is in the queue.

    Raises RequestRejected, before anything is parsed, for a body that is too large (413), or without a token of the Bot
    Framework for this bot that is valid now (401); afterwards for an activity of another service than the token is
    for, of another tenant, of too long ago, or that came before (401), and for what is not documented (400).
    """
    here = _here(services)
    if len(call.body) > LARGEST_BODY:
        raise RequestRejected(413, "body-too-large", "An activity may have at most 64 KB.")
    scheme, _, token = call.headers.get("authorization", "").partition(" ")
    if here is None or scheme.lower() != "bearer":
        raise unauthenticated()
    bot, teams = here
    claims = teams.verify(token)
    if claims is None:
        raise unauthenticated()
    try:
        activity = json.loads(call.body)
        _check_sender(services, bot, activity, claims)
        told, posed = _read(services, activity)
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise RequestRejected(400, "invalid-request", "This is no activity that is known here.") from None
    if posed is not None:
        _kept_and_queued(services, posed)
    return _ok(told)


def key_of(message: bytes) -> str | None:
    """Return the name of the activity that a message of the queue is about; None for any other message."""
    try:
        key = json.loads(message)["teams"]
        return key if _NAMED.fullmatch(key) else None
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def arrived(services: Services, key: str) -> Arrived | None:
    """Return what was kept under this name; None where there is no bot any more. Raises TryAgain where nothing is."""
    here = _here(services)
    if here is None:
        return None
    bot, teams = here
    kept = services.people.kept(key)
    for moment in _MOMENTS:
        if kept is not None:
            break
        services.clock.sleep(moment)
        kept = services.people.kept(key)
    if kept is None:
        raise TryAgain("chat-not-kept", "What the message is about is not there, or not yet.")
    posed = Posed.of(key, kept)

    def tell(said: Said) -> None:
        teams.tell(posed.conversation, activity_of(said, bot), posed.card if said.done else "")

    def remember() -> None:
        if posed.own and posed.ask.verb is not Verb.UNLINK:
            services.people.put_place(posed.person, posed.conversation)

    return Arrived(key, posed.ask, lambda: _said(services, bot, posed), tell, remember)


def _here(services: Services) -> tuple[Bot, Teams] | None:
    return None if services.bot is None or services.teams is None else (services.bot, services.teams)


def _said(services: Services, bot: Bot, posed: Posed) -> Said:
    if posed.ask.verb is Verb.LINK:
        return NO_CODE_NEEDED
    if posed.ask.verb is Verb.UNLINK:
        return unlinked(services, posed.person)
    caller = caller_in_teams(services, posed.person, bot.session)
    return caller if isinstance(caller, Said) else answered(services, caller, posed.ask)


def _check_sender(services: Services, bot: Bot, activity: Mapping[str, Any], claims: Mapping[str, Any]) -> None:
    """Raise RequestRejected (401) unless it is what the token vouches for, of this tenant, and of just now."""
    service = activity["serviceUrl"]
    told = (
        activity["conversation"].get("tenantId"),
        ((activity.get("channelData") or {}).get("tenant") or {}).get("id"),
    )
    tenants = {str(each).lower() for each in told if each is not None}
    if not (
        isinstance(service, str)
        and claims.get("serviceurl") == service
        and bot.answers_at(service)
        and activity["channelId"] == CHANNEL
        and tenants == {bot.tenant}
        and bot.is_new(activity["timestamp"], services.clock.now())
    ):
        raise unauthenticated()


def _read(services: Services, activity: Mapping[str, Any]) -> Read:
    kind, own = activity["type"], activity["conversation"].get("conversationType") == "personal"
    if kind == "message":
        text = _MENTION.sub("", activity.get("text") or "").replace("\xa0", " ")
        return None, _posed(activity, read(text) if own else Ask(Verb.HELP, text=ELSEWHERE))
    if kind != "invoke":
        return None, None  # that somebody comes, goes, types or likes it: nothing is asked for
    if activity["name"] != _PRESSED:
        raise ValueError
    return _pressed(services, activity) if own else (told_of(ELSEWHERE), None)


def _pressed(services: Services, activity: Mapping[str, Any]) -> Read:
    action = activity["value"]["action"]
    verb, data = action["verb"], action["data"]
    if verb == "register":
        return answer_of(form_of(data["kind"], secrets.token_hex(16), {}, {})), None
    if verb == "send":
        return _filled_in(services, activity, data)
    asked, identity, digest = Verb(verb), data["id"], data["digest"]
    if asked not in _DECIDED or not REGISTRATION_ID.fullmatch(identity) or not _DIGEST.fullmatch(digest):
        raise ValueError
    reason = str(data.get("reason") or "").strip()[:LONGEST_REASON] if asked is Verb.DENY else ""
    if asked is Verb.DENY and not reason:
        return told_of(NO_REASON), None
    return told_of(_UNDER_WAY), _posed(activity, Ask(asked, identity, reason, digest), button=True)


def _filled_in(services: Services, activity: Mapping[str, Any], data: Mapping[str, Any]) -> Read:
    """Return the form again with what is wrong by itself; what else may be, is told once it was sent."""
    kind, key = data["kind"], data["key"]
    if not _KEY.fullmatch(key):
        raise ValueError
    texts = {each.name: str(data.get(each.name) or "") for each in KINDS[kind].entries}
    request = body_of(kind, texts)
    try:
        parse({**request, "owner": SOMEBODY}, services.secrets.lifetimes)
    except RequestRejected as error:
        return answer_of(form_of(kind, key, texts, errors_of(kind, error.faults))), None
    return told_of(_UNDER_WAY), _posed(activity, Ask(Verb.REGISTER, request=request, key=f"teams-{key}"), button=True)


def _posed(activity: Mapping[str, Any], ask: Ask, *, button: bool = False) -> Posed:
    person = str(activity["from"]["aadObjectId"]).lower()
    names = (activity["id"], activity["conversation"]["id"], activity["replyToId"] if button else "-")
    if not _PERSON.fullmatch(person) or not all(
        isinstance(each, str) and 0 < len(each) <= _LONGEST_ID for each in names
    ):
        raise ValueError
    identity, conversation, card = names
    key = hashlib.sha256(f"{conversation}\n{identity}".encode()).hexdigest()
    own = activity["conversation"].get("conversationType") == "personal"
    return Posed(key, person, ask, Conversation(activity["serviceUrl"], conversation), own, card if button else "")


def _kept_and_queued(services: Services, posed: Posed) -> None:
    content = posed.content
    if len(content) > _MOST_KEPT:
        raise RequestRejected(413, "body-too-large", "What is asked for may have at most 30 KB.")
    queue(services, posed.key, content, json.dumps({"teams": posed.key}), services.clock.now() + REMEMBERED)


def _ok(content: Mapping[str, Any] | None) -> Answer:
    headers = {"Cache-Control": "no-store"}
    return (
        Answer(200, "", "text/plain", headers) if content is None else Answer(200, json.dumps(content), headers=headers)
    )
