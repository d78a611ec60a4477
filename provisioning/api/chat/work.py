"""From a queue's message to the answer in the chat: that it counts, and that it is done once and told."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from provisioning import trail
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.api.chat import slack, teams, waiting
from provisioning.api.chat.arrived import Arrived
from provisioning.api.chat.verbs import Said, Verb, help_of
from provisioning.domain.errors import TryAgain
from provisioning.domain.events import Actor, ActorKind
from provisioning.domain.messages import DROPPED, read_waiting_message
from provisioning.domain.slack import REMEMBERED
from provisioning.ports import Services

logger = trail.logger(__name__)

_LATER: Final = Said("This could not be done now. Ask again later.")
# The calls of the chats, by the names that the triggers have.
_TAKE: Final = {"answer_slack": slack.take, "answer_teams": teams.take}


def answer_chat(services: Callable[[], Services], name: str, call: Call) -> Answer:
    """Return what a chat is answered at once; see `slack.take`, `teams.take`."""
    return web.answer_alone(lambda asked: _TAKE[name](services(), asked), call, name.removeprefix("answer_"))


def carry_out(services: Services, message: bytes, delivery: str) -> list[str]:
    """Do what a message of the queue asks for, and tell whoever asked; return the messages for the other queue.

    Of what waits for an approval see `waiting.tell_of`.

    What vouches for the request is looked at again: whoever may write to the queue may ask for nothing. A request is
    taken once; the delivery that took it may come again. Raises TryAgain where it cannot be told who asks.
    """
    with trail.following(None, Actor(ActorKind.UNKNOWN), "chat"):
        if (waits := read_waiting_message(message)) is not None:
            waiting.tell_of(services, waits)
            return []
        arrived = _arrived(services, message)
        if arrived is None:
            logger.warning(DROPPED)
            return []
        if not services.people.take(arrived.key, delivery, services.clock.now() + REMEMBERED):
            logger.warning("a request that was taken before came again, and is dropped")
            return []
        said = help_of(arrived.ask) if arrived.ask.verb is Verb.HELP else arrived.say()
        _tell(arrived, said)
        with suppress(TryAgain):  # what is done is done; what is over can go the next time
            arrived.remember()
            services.people.forget(services.clock.now())
        return [said.message] if said.message is not None else []


def give_up(services: Services, message: bytes) -> None:
    """Tell whoever asked that it could not be done: the queue has given the message up."""
    with trail.following(None, Actor(ActorKind.UNKNOWN), "chat"):
        try:
            arrived = _arrived(services, message)
        except TryAgain:
            arrived = None
        if arrived is None:
            logger.warning(DROPPED)
            return
        logger.error("what somebody asked for in the chat could not be done")
        _tell(arrived, _LATER)


def _arrived(services: Services, message: bytes) -> Arrived | None:
    key = teams.key_of(message)
    return slack.arrived(services, message) if key is None else teams.arrived(services, key)


def _tell(arrived: Arrived, said: Said) -> None:
    """Send the answer; where the chat does not take it, what was done stays done, and can be asked for again."""
    try:
        arrived.tell(said)
    except TryAgain as error:
        logger.warning("an answer was not taken: %s", error.code)
