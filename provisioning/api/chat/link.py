"""POST and DELETE /chat/link: a person who has signed in is given a code to say in the chat, or takes back what it did.

The code goes from the page to the chat, and not the other way: a link from the chat with a code in it could be sent to
somebody else, whose sign-in would then be given to whoever sent it (docs/decisions/0075).
"""

from provisioning import trail
from provisioning.api.answers import Answer, instant, ok
from provisioning.api.calls import Call, no_body, no_key, no_parameters
from provisioning.domain.approval import check_in_person
from provisioning.domain.callers import Caller, CallerKind
from provisioning.domain.chat import CODE_LIVES, SignIn, code_key, new_code
from provisioning.domain.errors import RequestRejected, TryAgain
from provisioning.ports import Services

logger = trail.logger(__name__)


def link_chat(services: Services, caller: Caller, call: Call) -> Answer:
    """POST /chat/link: 200, and a code that makes whoever says it in the chat this caller, once, within ten minutes."""
    _check_call(call)
    _check_person(caller)
    code, now = new_code(), services.clock.now()
    services.people.put_sign_in(SignIn(caller, now))
    services.people.put_code(code_key(code), caller.object_id, now + CODE_LIVES)
    return ok({"code": code, "expiresAt": instant(now + CODE_LIVES)})


def unlink_chat(services: Services, caller: Caller, call: Call) -> Answer:
    """DELETE /chat/link: 204, and nobody in a chat is this caller any more."""
    _check_call(call)
    _check_person(caller)
    services.people.unlink(caller.object_id)
    return Answer(204, "", headers={"Cache-Control": "no-store"})


def renewed(services: Services, caller: Caller) -> None:
    """Have what the platform says of the caller now be what counts in the chat, for whoever is known there.

    Whoever only looks at the page is not kept from it by that.
    """
    has_chat = services.workspace is not None or services.bot is not None
    if not has_chat or caller.kind is not CallerKind.USER or caller.via is not None:
        return
    try:
        services.people.renew(SignIn(caller, services.clock.now()))
    except TryAgain as error:
        logger.warning("a sign-in is not renewed for the chat: %s", error.code)


def _check_call(call: Call) -> None:
    no_body(call)
    no_parameters(call)
    no_key(call)


def _check_person(caller: Caller) -> None:
    """Raise RequestRejected (403) for whoever is no person, or is spoken for: a bot is nobody in a chat."""
    check_in_person(caller)
    if caller.kind is not CallerKind.USER:
        raise RequestRejected(403, "not-a-person", "Only a person who has signed in is somebody in the chat.")
