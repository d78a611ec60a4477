"""From a queue's message to the answer in the chat: who asks, whether that counts, and what is said."""

from collections.abc import Callable
from contextlib import suppress
from typing import Final

from provisioning import trail
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.api.chat import slack
from provisioning.api.chat.blocks import message_of
from provisioning.api.chat.verbs import Ask, Said, Verb, answered, help_of
from provisioning.domain.callers import Caller
from provisioning.domain.chat import ChatUser, code_key
from provisioning.domain.errors import RequestRejected, TryAgain
from provisioning.domain.events import Actor, ActorKind
from provisioning.domain.messages import DROPPED
from provisioning.domain.slack import LONGEST_WAIT, REMEMBERED, SignedRequest, Workspace
from provisioning.ports import Services

logger = trail.logger(__name__)

# Where on the page a person is given a code.
_PLACE: Final = "#/chat"
_UNLINKED: Final = Said(
    "Who are you? Open the page, sign in, and have it show you a code. Then write here: link <code>", page=_PLACE
)
_SIGN_IN: Final = Said("Your sign-in does not count any more. Open the page, sign in, and ask again.", page=_PLACE)
_NO_CODE: Final = Said(
    "This code is not good, or not any more. Have the page show you another one, and write it within ten minutes.",
    page=_PLACE,
)
_LATER: Final = Said("This could not be done now. Ask again later.")


def answer_slack(services: Callable[[], Services], call: Call) -> Answer:
    """Return what Slack is answered at once; see `slack.take`."""
    return web.answer_alone(lambda asked: slack.take(services(), asked), call, "slack")


def carry_out(services: Services, message: bytes, delivery: str) -> list[str]:
    """Do what a message of the queue asks for, and tell whoever asked; return the messages for the other queue.

    The message is as Slack signed it, and is verified again: whoever may write to the queue may ask for nothing. A
    request is taken once; the delivery that took it may come again. Raises TryAgain where it cannot be told who asks.
    """
    with trail.following(None, Actor(ActorKind.UNKNOWN), "chat"):
        workspace, request = services.workspace, SignedRequest.from_message(message)
        asked = None if workspace is None or request is None else _asked(services, workspace, request)
        if asked is None or workspace is None or request is None:
            logger.warning(DROPPED)
            return []
        if not services.people.take(request.signature, delivery, services.clock.now() + REMEMBERED):
            logger.warning("a request that was taken before came again, and is dropped")
            return []
        said = _said(services, workspace, asked)
        _tell(services, workspace, asked, said)
        with suppress(TryAgain):  # what is done is done; what is over can go the next time
            services.people.forget(services.clock.now())
        return [said.message] if said.message is not None else []


def give_up(services: Services, message: bytes) -> None:
    """Tell whoever asked that it could not be done: the queue has given the message up."""
    with trail.following(None, Actor(ActorKind.UNKNOWN), "chat"):
        workspace, request = services.workspace, SignedRequest.from_message(message)
        asked = None if workspace is None or request is None else _asked(services, workspace, request)
        if asked is None or workspace is None:
            logger.warning(DROPPED)
            return
        logger.error("what somebody asked for in the chat could not be done")
        _tell(services, workspace, asked, _LATER)


def _asked(services: Services, workspace: Workspace, request: SignedRequest) -> slack.Asked | None:
    """Return what a request asks for that Slack signed while its answer can still be sent."""
    if not workspace.vouches_for(request, services.clock.now(), LONGEST_WAIT):
        return None
    try:
        return slack.read_asked(request.body, workspace)
    except RequestRejected:
        return None


def _said(services: Services, workspace: Workspace, asked: slack.Asked) -> Said:
    if asked.ask.verb is Verb.HELP:
        return help_of(asked.ask)
    if asked.ask.verb is Verb.LINK:
        return _linked(services, asked.user, asked.ask)
    if asked.ask.verb is Verb.UNLINK:
        return _unlinked(services, asked.user)
    caller = _caller(services, workspace, asked.user)
    return caller if isinstance(caller, Said) else answered(services, caller, asked.ask)


def _caller(services: Services, workspace: Workspace, user: ChatUser) -> Caller | Said:
    """Return who the user of the chat is, with what the platform last said of that person; or what to do first."""
    object_id = services.people.linked(user)
    if object_id is None:
        return _UNLINKED
    sign_in = services.people.sign_in(object_id)
    if sign_in is None or not sign_in.counts(services.clock.now(), workspace.session):
        return _SIGN_IN
    return sign_in.caller


def _linked(services: Services, user: ChatUser, ask: Ask) -> Said:
    object_id = services.people.take_code(code_key(ask.text), services.clock.now())
    sign_in = services.people.sign_in(object_id) if object_id is not None else None
    if object_id is None or sign_in is None:
        return _NO_CODE
    services.people.link(user, object_id)
    trail.known(actor=Actor.of(sign_in.caller))
    logger.info("a user of the chat is linked to a person")
    return Said(f"You are {sign_in.caller.name or object_id} here. Write: help", done=True)


def _unlinked(services: Services, user: ChatUser) -> Said:
    object_id = services.people.linked(user)
    if object_id is not None:
        services.people.unlink(object_id)
    return Said("You are nobody here.", done=True)


def _tell(services: Services, workspace: Workspace, asked: slack.Asked, said: Said) -> None:
    """Send the answer; where Slack does not take it, what was done stays done, and can be asked for again."""
    message = message_of(said, workspace, instead=asked.by_button and said.done)
    try:
        services.slack.tell(asked.url, message)
    except TryAgain as error:
        logger.warning("an answer was not taken: %s", error.code)
