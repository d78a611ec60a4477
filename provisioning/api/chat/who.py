"""Who somebody in a chat is: by a code of the page in Slack, by Entra's own id in Microsoft Teams.

Either way what counts of a person is what the platform said at the last sign-in on the page (docs/decisions/0075).
"""

from datetime import UTC, datetime, timedelta
from typing import Final

from provisioning import trail
from provisioning.api.chat.verbs import Ask, Said
from provisioning.domain.callers import Caller, CallerKind
from provisioning.domain.chat import ChatUser, SignIn, code_key
from provisioning.domain.events import Actor
from provisioning.ports import Services

logger = trail.logger(__name__)

# Where on the page a person is given a code.
_PLACE: Final = "#/chat"
_UNLINKED: Final = Said(
    "Who are you? Open the page, sign in, and have it show you a code. Then write here: link <code>", page=_PLACE
)
_SIGN_IN: Final = "Your sign-in does not count any more. Open the page, sign in, and ask again."
_NO_CODE: Final = Said(
    "This code is not good, or not any more. Have the page show you another one, and write it within ten minutes.",
    page=_PLACE,
)
_NOT_YET: Final = Said("You have not signed in yet. Open the page, sign in, and ask again.", page="#/")
# Of whoever has spoken here and has not signed in since.
_NEVER: Final = datetime(1970, 1, 1, tzinfo=UTC)


def caller_in_slack(services: Services, user: ChatUser, session: timedelta) -> Caller | Said:
    """Return who the user is, with what the platform last said of that person; or what to do first."""
    object_id = services.people.linked(user)
    if object_id is None:
        return _UNLINKED
    sign_in = services.people.sign_in(object_id)
    if sign_in is None or not sign_in.counts(services.clock.now(), session):
        return Said(_SIGN_IN, page=_PLACE)
    return sign_in.caller


def caller_in_teams(services: Services, object_id: str, session: timedelta) -> Caller | Said:
    """Return the person of this id in Entra, with what the platform last said of them; or what to do first.

    Whoever speaks for the first time is known from then on: so the page has their next sign-in count here.
    """
    sign_in = services.people.sign_in(object_id)
    if sign_in is None:
        services.people.put_sign_in(SignIn(Caller(object_id, CallerKind.USER), _NEVER))
        return _NOT_YET
    if not sign_in.counts(services.clock.now(), session):
        return _NOT_YET if sign_in.at == _NEVER else Said(_SIGN_IN, page="#/")
    return sign_in.caller


def linked(services: Services, user: ChatUser, ask: Ask) -> Said:
    """Have the user be whom the code was shown to; return what is said then."""
    object_id = services.people.take_code(code_key(ask.text), services.clock.now())
    sign_in = services.people.sign_in(object_id) if object_id is not None else None
    if object_id is None or sign_in is None:
        return _NO_CODE
    services.people.link(user, object_id)
    logger.info("a user of the chat is linked to %s", Actor.of(sign_in.caller))
    return Said(f"You are {sign_in.caller.name or object_id} here. Write: help")


def unlinked(services: Services, object_id: str | None) -> Said:
    """Have nothing be known of the person in any chat; return what is said then."""
    if object_id is not None:
        services.people.unlink(object_id)
    return Said("You are nobody here.")
