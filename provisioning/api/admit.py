"""Who is let in: the one place where a call becomes a caller. What a caller may then do is in `domain/callers.py`."""

import functools
from typing import Final
from urllib.parse import urlsplit

from provisioning import trail
from provisioning.api.calls import Call
from provisioning.domain.callers import KEY_HOLDER, Caller, caller_of, claims_of_token, read_principal, unauthenticated
from provisioning.domain.errors import RequestRejected
from provisioning.ports import Services

logger = trail.logger(__name__)

OUR_HEADER: Final = "x-registrar-page"
_READS: Final = ("GET", "HEAD")


def admit(services: Services, call: Call) -> Caller:
    """Return who calls.

    With function keys that is whoever holds one: the host has asked for it. Otherwise the principal is believed only
    where the platform's configuration shows that nobody else can have written it; a bearer token that is still on the
    request is verified as well, and must name the same caller. Raises RequestRejected: 401 for whoever is not known,
    403 for a foreign page that uses the session of a person, and what `callers` raises.
    """
    caller = KEY_HOLDER if services.front_door is None else _signed_in(services, call)
    person = call.headers.get("on-behalf-of")
    return caller if person is None else caller.acting_for(person)


def _signed_in(services: Services, call: Call) -> Caller:
    door = services.front_door
    if door is None or not door.vouches:
        _tell_once(door.faults if door else ())
        raise unauthenticated()
    principal = call.headers.get("x-ms-client-principal")
    if principal is None:
        raise unauthenticated()
    caller = caller_of(read_principal(principal), services.tenant.id)
    authorization = call.headers.get("authorization")
    if authorization is None:
        _check_own_page(call)
        return caller
    scheme, _, token = authorization.partition(" ")
    claims = services.caller_tokens.verify(token.strip(), door.audiences) if scheme.lower() == "bearer" else None
    verified = caller_of(claims_of_token(claims), services.tenant.id) if claims is not None else None
    if verified is None or (verified.object_id, verified.roles) != (caller.object_id, caller.roles):
        raise unauthenticated()
    return verified


@functools.cache
def _tell_once(faults: tuple[str, ...]) -> None:
    """Name each wrong setting in the log, once for each process: the calls that it refuses may be many."""
    for fault in faults:
        logger.error("Every call is refused, because nobody vouches for its caller. %s", fault)


def _check_own_page(call: Call) -> None:
    """Refuse a writing call that comes with the session cookie of a person, and not from our own page.

    The platform checks the origin of a POST alone ("Authentication and authorization in App Service"). A foreign page
    can send neither a header of ours nor our origin.
    """
    if call.method in _READS:
        return
    origin = urlsplit(call.headers.get("origin", "")).netloc.lower()
    if OUR_HEADER not in call.headers or not origin or origin != call.headers.get("host", "").lower():
        raise RequestRejected(
            403,
            "foreign-page",
            f"A call with the session of a browser comes from this service's own page, with the header {OUR_HEADER}. "
            "Other programs send a bearer token.",
        )
