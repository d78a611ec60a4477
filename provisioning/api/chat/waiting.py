"""What nobody asked for in a chat: a registration waits for an approval, or does not any more.

Each person who may decide, as far as is known from their last sign-in, is told in a conversation of their own, with
the buttons that decide, what the API shows that person; and once it is decided, each of these messages says how
(docs/decisions/0086).
"""

import json
from collections.abc import Iterator
from typing import Any, Final

from provisioning import trail
from provisioning.api.chat.blocks import message_of
from provisioning.api.chat.cards import activity_of
from provisioning.api.chat.verbs import Ask, Said, Verb, answered
from provisioning.api.lists import awaits_word_of
from provisioning.domain.approval import Outcome
from provisioning.domain.callers import Caller
from provisioning.domain.chat import SignIn
from provisioning.domain.errors import TryAgain, UnreadableRow
from provisioning.domain.registration import Registration
from provisioning.domain.teams import Conversation
from provisioning.domain.values import dataclass
from provisioning.ports import Services

logger = trail.logger(__name__)

_SLACK, _TEAMS = "slack", "teams"
# How many are told of one thing: what is remembered of them is one column of a row.
MOST_TOLD: Final = 50
_SIGN_IN: Final = Said(
    "Something waits for your approval. Open the page and sign in; then write here: list waiting", page="#/"
)
_OUTCOMES: Final = {Outcome.APPROVED: "was approved.", Outcome.DENIED: "was denied, or taken back."}
_OVER: Final = "does not wait for an approval any more."


@dataclass(frozen=True, slots=True)
class Place:
    """Where somebody is reached: in Slack by the user's id, in Microsoft Teams by a conversation."""

    chat: str
    name: str
    service: str = ""


@dataclass(frozen=True, slots=True)
class Told:
    """A message that tells of something that waits: where it is, its id there, and the digest of what it shows."""

    place: Place
    message: str
    digest: str


def tell_of(services: Services, registration_id: str) -> None:
    """Afterwards whoever may decide about it has been told that it waits; or, in those messages, what became of it.

    Who was told of the same is not told again, and whom a chat does not reach is in the log: the operator's notice and
    the page tell of it, too. Raises TryAgain where storage cannot answer.
    """
    with trail.following(None, trail.current().actor, f"registration {registration_id}"):
        try:
            row = services.registry.get(registration_id)
        except UnreadableRow:  # a newer version tells of it
            return
        told, now = _read(services.people.told(registration_id)), services.clock.now()
        approval = row.approval if row is not None else None
        waits = row is not None and row.awaits_approval and approval is not None and approval.outcome is None
        if row is None or approval is None or not waits or now >= approval.lapses_at:
            _tell_outcome(services, row, told)
            services.people.put_told(registration_id, "")
            return
        current = [each for each in told if each.digest == approval.digest]
        _tell_outcome(services, row, [each for each in told if each not in current])
        for place, sign_in, counts in _whom(services, row):
            if len(current) >= MOST_TOLD:
                logger.warning("not everybody who may decide is told: they are too many")
                return
            if place not in [each.place for each in current]:
                ask = Ask(Verb.SHOW, registration_id, digest=approval.digest)
                current += _asked(services, place, sign_in.caller if counts else None, ask)
                services.people.put_told(registration_id, _written(current))


def _whom(services: Services, row: Registration) -> Iterator[tuple[Place, SignIn, bool]]:
    """Yield where each person is reached who may decide, by what was said of them last; and if that counts still."""
    now, deciders = services.clock.now(), dict[str, SignIn]()
    for sign_in in services.people.everybody():
        if awaits_word_of(row, sign_in.caller, now):
            deciders[sign_in.caller.object_id] = sign_in
    workspace = services.workspace
    if workspace is not None and workspace.has_forms:
        for user, object_id in services.people.links():
            if user.workspace == workspace.id and object_id in deciders:
                sign_in = deciders[object_id]
                yield Place(_SLACK, user.user), sign_in, sign_in.counts(now, workspace.session)
    if services.bot is not None:
        for object_id, conversation in services.people.places().items():
            if object_id in deciders:
                place, sign_in = Place(_TEAMS, conversation.id, conversation.service), deciders[object_id]
                yield place, sign_in, sign_in.counts(now, services.bot.session)


def _asked(services: Services, place: Place, caller: Caller | None, ask: Ask) -> list[Told]:
    """Tell one person, as they may see it now; whose sign-in is over is told no more than that something waits."""
    said = answered(services, caller, ask) if caller is not None else _SIGN_IN
    if caller is not None and said.decide_digest != ask.digest:
        return []  # it was decided, or asked for anew, just now
    try:
        return [Told(place, _sent(services, place, said), ask.digest)]
    except TryAgain as error:
        logger.warning("somebody who may decide is not told: %s", error.code)
        return []


def _tell_outcome(services: Services, row: Registration | None, told: list[Told]) -> None:
    approval = row.approval if row is not None else None
    outcome = approval.outcome if approval is not None else None
    for each in told:
        same = approval is not None and approval.digest == each.digest
        became = _OUTCOMES[outcome] if outcome is not None and same else _OVER
        name = row.request.display_name if row is not None else "What waited here"
        try:
            _sent(services, each.place, Said(f"{name} {became}", page=""), each.message)
        except TryAgain as error:
            logger.warning("somebody is not told how it was decided: %s", error.code)


def _sent(services: Services, place: Place, said: Said, instead_of: str = "") -> str:
    """Return the id of the message that this place has now; an empty one where there is no such chat any more."""
    if place.chat == _SLACK and services.workspace is not None:
        message = message_of(said, services.workspace)
        if not instead_of:
            return services.slack.say(place.name, message)
        services.slack.change(instead_of, message)
    elif place.chat == _TEAMS and services.bot is not None and services.teams is not None:
        conversation = Conversation(place.service, place.name)
        return services.teams.tell(conversation, activity_of(said, services.bot), instead_of)
    return instead_of


def _written(told: list[Told]) -> str:
    return json.dumps(
        [[each.place.chat, each.place.name, each.place.service, each.message, each.digest] for each in told]
    )


def _read(content: str) -> list[Told]:
    listed: list[list[Any]] = json.loads(content or "[]")
    return [Told(Place(chat, name, service), message, digest) for chat, name, service, message, digest in listed]
