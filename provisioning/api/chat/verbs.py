"""What a person can ask for in a chat, whichever it is: each verb as a value, and what is said to it as another.

A verb does nothing itself. It is a call of the API, answered by the same function that answers over HTTP, to the same
caller: what that may see and do is decided there, and there alone. Only whoever asked is told what is said.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import Any, Final
from urllib.parse import urlencode

from provisioning import trail
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.callers import Caller
from provisioning.domain.events import Actor
from provisioning.domain.registration import REGISTRATION_ID
from provisioning.domain.values import dataclass
from provisioning.ports import Services

MOST_LISTED: Final = 10
_COLLECTION: Final = "/api/registrations"
_FIRST_ERROR: Final = 400
# What is shown of a registration after its state, in this order; of what waits for an approval all that was asked for.
_SHOWN: Final = ("clientId", "fhirServerUrl", "resource", "owner", "contact")
ASKED: Final = (
    *("description", "fhirServerUrl", "resource", "platform", "redirectUris", "logoutUrl", "scopes", "appRoles"),
    *("credential", "secretLifetime", "autoRotate", "acceptMappedClaims", "accessTokenVersion", "owner", "contact"),
    *("dataRoles", "serviceManagementReference", "callbackUrl"),
)
# The answer comes once it is done, as far as that takes seconds.
_WAITS: Final[Mapping[str, str]] = {"prefer": "wait=15"}
_REGISTERED: Final[Mapping[str, str]] = {
    "succeeded": "It is registered.",
    "failed": "It could not be registered.",
    "pending": "It is being registered. Ask in a while: show <id>",
    "awaiting-approval": "It waits for an approval.",
}
_ROTATED: Final[Mapping[str, str]] = {
    "succeeded": "has a new secret, in the vault. The one before works on for a while.",
    "failed": "could not get a new secret.",
    "pending": "is getting a new secret, in the vault. The one before works on for a while.",
}
_LISTED: Final = {"mine": {"mine": "true"}, "waiting": {"awaitingMyApproval": "true"}}


class Verb(StrEnum):
    """What can be asked for."""

    LIST = "list"
    SHOW = "show"
    REGISTER = "register"
    APPROVE = "approve"
    DENY = "deny"
    ROTATE = "rotate"
    LINK = "link"
    UNLINK = "unlink"
    HELP = "help"


USAGE: Final[Mapping[Verb, str]] = {
    Verb.LIST: "list [mine | waiting | a part of a name]: registrations that you may see",
    Verb.SHOW: "show <id>: one registration",
    Verb.REGISTER: "register: ask for a new registration, in a form",
    Verb.APPROVE: "approve <id>: what it asks for, with a button that agrees to it",
    Verb.DENY: "deny <id> <reason>: refuse what it asks for, or take back what you asked for",
    Verb.ROTATE: "rotate <id>: replace its secret; the one before works on for a while",
    Verb.LINK: "link <code>: say who you are, with the code that the page shows",
    Verb.UNLINK: "unlink: be nobody here any more",
    Verb.HELP: "help: this",
}
_ABOUT_ONE: Final = (Verb.SHOW, Verb.APPROVE, Verb.DENY, Verb.ROTATE)


@dataclass(frozen=True, slots=True)
class Ask:
    """What somebody asks for. `digest` is that of what was shown; `text` a reason, a code, or what to look for.

    Of a rotation `digest` is the key id of the secret that was shown: another one is not replaced.

    `request` is for a registration, without its owner, and `key` the same each time that this request comes.
    """

    verb: Verb
    registration_id: str = ""
    text: str = ""
    digest: str = ""
    request: Mapping[str, Any] | None = None
    key: str = ""


@dataclass(frozen=True, slots=True)
class Item:
    """A registration as it is shown: its name, its id, and lines about it."""

    name: str
    registration_id: str
    lines: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Said:
    """What is said to whoever asked. `decide_digest` is that of what the one item asks for, where it may be decided.

    `secret` is the key id of the one item's secret, where it has one that could be replaced. `page` is where on the
    page to go on. `forms` is whether a form is offered for each kind of application. `done` is whether something was
    done. `message` is for the queue.
    """

    text: str
    items: tuple[Item, ...] = ()
    lines: tuple[str, ...] = ()
    decide_digest: str = ""
    secret: str = ""
    page: str = ""
    forms: bool = False
    done: bool = False
    message: str | None = None


def read(text: str) -> Ask:
    """Return what is asked for by these words; whatever is none of the verbs asks for help."""
    word, _, rest = text.strip().partition(" ")
    name, rest = word.lower() or Verb.HELP, rest.strip()
    if name not in list(Verb):
        return Ask(Verb.HELP, text=f"There is no such command here. {USAGE[Verb.HELP]}")
    verb = Verb(name)
    if verb not in _ABOUT_ONE:
        return Ask(verb, text=rest)
    named, _, reason = rest.partition(" ")
    # A chat may put quotes or accents of its own around what was pasted.
    identity = named.strip("`'\"<>").lower()
    if not REGISTRATION_ID.fullmatch(identity) or (verb is not Verb.DENY and reason.strip()):
        return Ask(Verb.HELP, text=f"Write: {USAGE[verb]}")
    if verb is Verb.DENY and not reason.strip():
        return Ask(Verb.HELP, text=f"Say why. Write: {USAGE[verb]}")
    return Ask(verb, identity, reason.strip())


def help_of(ask: Ask) -> Said:
    """Return what can be asked for; it is the same for everybody."""
    return Said(ask.text or "What you can ask for:", lines=tuple(USAGE.values()))


def answered(services: Services, caller: Caller, ask: Ask) -> Said:
    """Return what is said to this caller; what it asks for is done then, where it may do that."""
    return _ANSWERS[ask.verb](services, caller, ask)


def _list(services: Services, caller: Caller, ask: Ask) -> Said:
    wanted = _LISTED.get(ask.text.lower(), {"q": ask.text} if ask.text else {})
    query = urlencode({"top": str(MOST_LISTED), **wanted})
    answer = _call(services, caller, "list_registrations", Call(_COLLECTION, query=query))
    page = _content(answer)
    if page is None:
        return _refused(answer)
    items = tuple(Item(each["displayName"], each["registrationId"], (_state(each),)) for each in page["value"])
    more = "There are more, or more to look through: see the page." if page["continuationToken"] else ""
    if not items:
        return Said(more or "There is none.")
    return Said("Registrations:", items, lines=(more,) if more else ())


def _show(services: Services, caller: Caller, ask: Ask) -> Said:
    return _shown(services, caller, ask, "")


def _shown(services: Services, caller: Caller, ask: Ask, otherwise: str) -> Said:
    """Return the registration; with `otherwise` only what waits is of interest, and that is said where nothing does."""
    answer = _call(services, caller, "show_registration", _one(ask))
    content = _content(answer)
    if content is None:
        return _refused(answer)
    approval: Any = content.get("approval")
    waits = approval is not None and approval["outcome"] is None
    if not waits and otherwise:
        return Said(otherwise)
    lines = (*_lines(content, ASKED), *_of_approval(approval)) if waits else tuple(_of(content))
    item = Item(content["displayName"], content["registrationId"], (_state(content), *lines))
    digest = approval["digest"] if waits else ""
    secret = str(content["secret"]["keyId"]) if content["secret"] and not waits else ""
    place = f"#/r/{content['registrationId']}" + ("/decide" if waits else "")
    text = "It waits for an approval:" if waits else "Registration:"
    return Said(text, (item,), decide_digest=digest, secret=secret, page=place)


def _register(services: Services, caller: Caller, ask: Ask) -> Said:
    """Offer the forms; or send what was filled into one, for the person alone who did that."""
    if ask.request is None:
        return Said("What are you building?", forms=True, page="#/new")
    body = json.dumps({**ask.request, "owner": caller.object_id}).encode()
    headers = {"content-type": "application/json", "idempotency-key": ask.key, **_WAITS}
    answer = _call(services, caller, "submit_registration", Call(_COLLECTION, headers, body=body, method="POST"))
    content = _content(answer)
    if content is None:
        return _refused(answer)
    item = Item(content["displayName"], content["registrationId"], (_state(content), *_failures(content)))
    page = f"#/r/{content['registrationId']}"
    return Said(_of_progress(_REGISTERED, content), (item,), page=page, done=True, message=answer.message)


def _approve(services: Services, caller: Caller, ask: Ask) -> Said:
    """Agree to what was shown; where nothing was shown yet, show it: nobody agrees to what nobody has read."""
    if not ask.digest:
        return _shown(services, caller, ask, "It does not wait for an approval.")
    return _decided(services, caller, ask, "approve_registration", {"digest": ask.digest})


def _deny(services: Services, caller: Caller, ask: Ask) -> Said:
    digest = ask.digest
    if not digest:
        shown = _shown(services, caller, ask, "It does not wait for an approval.")
        if not shown.decide_digest:
            return shown
        digest = shown.decide_digest
    return _decided(services, caller, ask, "deny_registration", {"digest": digest, "reason": ask.text})


def _decided(services: Services, caller: Caller, ask: Ask, call: str, decision: Mapping[str, str]) -> Said:
    answer = _call(services, caller, call, _one(ask, "POST", decision))
    outcome = "approved" if call == "approve_registration" else "denied"
    content = _content(answer)
    if content is not None:
        text = f"You have {outcome} what {content['displayName']} asks for."
        return Said(text, lines=(_state(content), *_failures(content)), done=True, message=answer.message)
    if answer.code == "nothing-to-decide" and _is_decided_by(services, caller, ask, outcome):
        return Said(f"You have {outcome} it already.", done=True)
    return _refused(answer)


def _is_decided_by(services: Services, caller: Caller, ask: Ask, outcome: str) -> bool:
    """Whether this caller has decided so before: a button that is pressed twice is no error."""
    approval = _known(services, caller, ask).get("approval") or {}
    same = (approval.get("outcome"), approval.get("decidedBy")) == (outcome, caller.object_id)
    return same and approval.get("digest") == ask.digest


def _rotate(services: Services, caller: Caller, ask: Ask) -> Said:
    if ask.digest and _has_another_secret(services, caller, ask):
        return Said("It has a new secret already.", done=True)
    answer = _call(services, caller, "rotate_registration", _one(ask, "POST"))
    content = _content(answer)
    if content is None:
        return _refused(answer)
    text = f"{content['displayName']} {_of_progress(_ROTATED, content)}"
    lines = tuple(_failures(content))
    return Said(text, lines=lines, page=f"#/r/{ask.registration_id}", done=True, message=answer.message)


def _has_another_secret(services: Services, caller: Caller, ask: Ask) -> bool:
    """Whether the secret that was shown has been replaced since: a button that is pressed twice replaces one secret."""
    secret = _known(services, caller, ask).get("secret")
    return secret is not None and secret["keyId"] != ask.digest


_ANSWERS: Final[Mapping[Verb, Callable[[Services, Caller, Ask], Said]]] = {
    Verb.LIST: _list,
    Verb.SHOW: _show,
    Verb.REGISTER: _register,
    Verb.APPROVE: _approve,
    Verb.DENY: _deny,
    Verb.ROTATE: _rotate,
}


def _one(ask: Ask, method: str = "GET", body: Mapping[str, str] | None = None) -> Call:
    raw = b"" if body is None else json.dumps(body).encode()
    headers = {} if body is None else {"content-type": "application/json"}
    headers |= _WAITS if method == "POST" else {}
    path = f"{_COLLECTION}/{ask.registration_id}"
    return Call(path, headers, body=raw, registration_id=ask.registration_id, method=method)


def _call(services: Services, caller: Caller, name: str, call: Call) -> Answer:
    """Return what the API answers this caller; whatever goes wrong is an answer, too."""

    def handle(asked: Call) -> Answer:
        trail.known(actor=Actor.of(caller))
        return web.CALLS[name](services, caller, asked)

    return web.answer_alone(handle, call, name)


def _content(answer: Answer) -> dict[str, Any] | None:
    """Return what the API answered; None where it refused."""
    content: dict[str, Any] = json.loads(answer.body)
    return content if answer.status < _FIRST_ERROR else None


def _known(services: Services, caller: Caller, ask: Ask) -> Mapping[str, Any]:
    """Return the registration as the caller may see it; nothing of one that may not be seen."""
    return _content(_call(services, caller, "show_registration", _one(ask))) or {}


def _refused(answer: Answer) -> Said:
    """Return why it was refused, in the words of the API."""
    problem = json.loads(answer.body)
    faults = tuple(f"{each['pointer']}: {each['message']}" for each in problem.get("errors", ()))
    return Said(problem["detail"], lines=faults)


def _state(content: Mapping[str, Any]) -> str:
    operation = content["operation"]
    doing = "" if operation["status"] == "succeeded" else f", {operation['type']} {operation['status']}"
    return f"{content['clientType']}, {content['status']}{doing}"


def _of(content: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is told of a registration that waits for nobody; of a secret where it is, and never what it is."""
    yield from _lines(content, _SHOWN)
    if content["secret"]:
        yield f"secret: {content['secret']['id']}, ends {content['secret']['expiresAt']}"
    yield from _failures(content)
    yield from (f"next: {each['code']}, by {each['who']}" for each in content["nextSteps"])


def _failures(content: Mapping[str, Any]) -> Iterator[str]:
    failures = [content["operation"]["failure"], *content["findings"]]
    yield from (f"{each['message']} {each['remedy']}" for each in failures if each)


def _of_progress(texts: Mapping[str, str], content: Mapping[str, Any]) -> str:
    return texts.get(content["operation"]["status"], texts["pending"])


def _of_approval(approval: Mapping[str, Any]) -> Iterator[str]:
    yield f"asked by: {approval['askedBy']}"
    yield f"decided by: {approval['who']}, before {approval['lapsesAt']}"
    yield f"rules: {', '.join(approval['rules'])}"
    for each in approval.get("changes", ()):
        yield f"{each['field']}: from {_text(each['from'])} to {_text(each['to'])}"


def _lines(content: Mapping[str, Any], names: Sequence[str]) -> tuple[str, ...]:
    return tuple(f"{name}: {_text(content[name])}" for name in names if content.get(name) not in (None, "", []))


def _text(value: object) -> str:
    if isinstance(value, list) and all(isinstance(each, str) for each in value):
        return ", ".join(value)
    return value if isinstance(value, str) else json.dumps(value)
