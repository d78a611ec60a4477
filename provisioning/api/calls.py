"""What a caller sent, and how it is read: what is not fully understood is refused, never ignored.

Sources: RFC 9110 (Content-Encoding, If-Match, entity tags), RFC 8259 (JSON), RFC 7396 (merge-patch), the
Idempotency-Key draft of the IETF. The Functions host hands over no body that has no Content-Length above 0, and no
query parameter that is empty (GrpcMessageConversionExtensions.cs; azure-functions-host #4926, #7930;
azure-functions-python-worker #894): so the query is read from the URL, and a body that was announced is asked for.
"""

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import field
from typing import Any, Final
from urllib.parse import parse_qsl, urlsplit

from provisioning.api.prefer import preferred_wait
from provisioning.domain import patterns
from provisioning.domain.callers import Caller, Role
from provisioning.domain.errors import Fault, RequestRejected
from provisioning.domain.faults import respelt
from provisioning.domain.json_patch import parse_patch
from provisioning.domain.registration import Registration
from provisioning.domain.values import dataclass
from provisioning.ports import Services

MERGE_PATCH: Final = "application/merge-patch+json"
JSON_PATCH: Final = "application/json-patch+json"
LARGEST_BODY: Final = 64 * 1024
DEFAULT_TOP: Final = 50
LARGEST_TOP: Final = 200

_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_ENTITY_TAG: Final = re.compile(patterns.ENTITY_TAG)
_ENTITY_TAGS: Final = re.compile(patterns.ENTITY_TAGS)
_OTHER_CONDITIONS: Final = ("if-none-match", "if-modified-since", "if-unmodified-since")
_HOSTS_OWN: Final = ("code", "clientid")  # a function key in the URL, and the name of that key


@dataclass(frozen=True, slots=True)
class Call:
    """What a caller sent: header names in lower case, `path` and `query` as they stand in the URL."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: str = ""
    body: bytes = b""
    registration_id: str = ""
    client_registration_id: str = ""
    method: str = "GET"

    @classmethod
    def received(
        cls, method: str, url: str, headers: Mapping[str, str], body: bytes, route_values: Mapping[str, str]
    ) -> "Call":
        """Return the call as the host passes it on."""
        parts = urlsplit(url)
        named = {name.lower(): value for name, value in headers.items()}
        identity, client = (route_values.get(name, "") for name in ("registrationId", "clientId"))
        return cls(parts.path, named, parts.query, body, identity, client, method.upper())

    @property
    def collection(self) -> str:
        """The path of all registrations, as the caller sees it."""
        name = "/registrations"
        return self.path[: self.path.lower().rindex(name) + len(name)]


@dataclass(frozen=True, slots=True)
class Wish:
    """What is asked of one registration: by whom, of which, only if it is still so, and perhaps only to see.

    With `cascade` it is asked of its clients too.
    """

    caller: Caller
    registration_id: str
    if_match: str | None = None
    dry_run: bool = False
    wait: int | None = None
    cascade: bool = False

    def check(self, row: Registration) -> None:
        """Raise RequestRejected where the caller may not do this: 404, 403, or 412 for what has changed since.

        What is another's is 404, so that nobody can tell whether it exists.
        """
        self.check_read(row)
        if not self.caller.may_change(row.request.owner):
            raise RequestRejected(
                403, "not-the-owner", f"Only its owner may do that, or a caller with the app role {Role.MANAGE_ALL}."
            )
        self.check_unchanged(row)

    def check_decision(self, row: Registration) -> None:
        """Raise RequestRejected where the caller may not know of it (404), or has read another (412)."""
        self.check_read(row)
        self.check_unchanged(row)

    def check_read(self, row: Registration) -> None:
        """Raise RequestRejected (404) where the caller may not know of the registration."""
        if not row.readable_by(self.caller):
            raise not_found()

    def check_unchanged(self, row: Registration) -> None:
        """Raise RequestRejected (412) where the registration is not any more what the caller has read."""
        if self.if_match is None or self.if_match.strip() == "*" or entity_tag(row) in _entity_tags(self.if_match):
            return
        raise RequestRejected(
            412,
            "registration-changed",
            "The registration is not what If-Match names any more. Read it again, and send its ETag.",
        )


def entity_tag(row: Registration) -> str:
    """Return the ETag of a registration: another one after each time that its row was written."""
    return f'"{hashlib.sha256((row.etag or "").encode()).hexdigest()[:24]}"'


def _entity_tags(header: str) -> list[str]:
    return _ENTITY_TAG.findall(header)


def called_about(services: Services, caller: Caller, call: Call) -> Registration:
    """Return the registration that the call names; raise RequestRejected (404) where the caller may know of none."""
    found = services.registry.get(registration_id(call))
    if found is None or not found.readable_by(caller):
        raise not_found()
    return found


def not_found() -> RequestRejected:
    """Return the one answer about a registration that does not exist, or that the caller may not know of."""
    return RequestRejected(404, "registration-not-found", "There is no registration of that id.")


def wish(caller: Caller, call: Call, *, may_cascade: bool = False) -> Wish:
    """Return what is asked of one registration by a call that writes; raise RequestRejected for what is not known."""
    flags = _flags(call, "dryRun", *(["cascade"] if may_cascade else []))
    no_key(call)
    condition = call.headers.get("if-match")
    if condition is not None and not _ENTITY_TAGS.fullmatch(condition.strip()):
        raise RequestRejected(
            400, "invalid-if-match", "If-Match is * or the ETag of an answer, quotes included; several with commas."
        )
    if any(name in call.headers for name in _OTHER_CONDITIONS):
        raise RequestRejected(
            400, "condition-not-supported", "Of the conditional headers only If-Match is known here. Send that one."
        )
    waits = preferred_wait(call.headers)
    return Wish(caller, registration_id(call), condition, "dryRun" in flags, waits, "cascade" in flags)


def no_key(call: Call) -> None:
    """Raise RequestRejected (400) for an Idempotency-Key, which would do nothing."""
    if "idempotency-key" in call.headers:
        raise RequestRejected(
            400,
            "idempotency-key-not-supported",
            "Only POST /registrations takes an Idempotency-Key. Use If-Match to do this once.",
        )


def registration_id(call: Call) -> str:
    """Return the id that the URL names, in the case in which ids are stored."""
    return call.registration_id.lower()


# --- the query ------------------------------------------------------------------------------------------------------


def no_parameters(call: Call) -> None:
    """Raise RequestRejected (400) for any query parameter."""
    _, faults = parameters(call)
    if faults:
        raise bad_query(faults)


def read_dry_run(call: Call) -> bool:
    """Return whether `dryRun` is asked for; raise RequestRejected (400) for anything else."""
    return "dryRun" in _flags(call, "dryRun")


def _flags(call: Call, *names: str) -> frozenset[str]:
    """Return which of these are asked for, in any case; raise RequestRejected (400) for anything else."""
    query, faults = parameters(call, *names)
    values = {name: query.get(name, "false").lower() for name in names}
    for name, value in values.items():
        if value not in ("true", "false"):
            faults.append(Fault(f"?{name}", "not-one-of", "Send true or false, or leave it out."))
    if faults:
        raise bad_query(faults)
    return frozenset(name for name, value in values.items() if value == "true")


def parameters(call: Call, *known: str) -> tuple[dict[str, str], list[Fault]]:
    """Return the good parameters of the query, and the faults of others: not known, without a value, or repeated."""
    sent = [pair for pair in parse_qsl(call.query, keep_blank_values=True) if pair[0].lower() not in _HOSTS_OWN]
    names = [name for name, _ in sent]
    rule = f"Known here: {', '.join(known)}. Remove others." if known else "This call has none. Remove it."
    faults = [Fault("?", "query-parameter-unknown", rule)] if set(names) - set(known) else []
    for name in known:
        if names.count(name) > 1:
            faults.append(Fault(f"?{name}", "query-parameter-repeated", "Send it once."))
        elif (name, "") in sent:
            faults.append(Fault(f"?{name}", "query-parameter-empty", "Give it a value, or leave it out."))
    faulty = {fault.pointer[1:] for fault in faults}
    return {name: value for name, value in sent if name in known and name not in faulty}, faults


def bad_query(faults: list[Fault]) -> RequestRejected:
    """Return the refusal of a query with these faults."""
    return RequestRejected(400, "invalid-query", "The query breaks rules; see errors.", faults)


def read_page(call: Call) -> tuple[int, str | None]:
    """Return how many are asked for, and where the page before ended; raise RequestRejected (400) for more."""
    query, faults = parameters(call, "top", "continuationToken")
    faults += top_faults(query)
    if faults:
        raise bad_query(faults)
    return int(query.get("top", DEFAULT_TOP)), query.get("continuationToken")


def top_faults(query: Mapping[str, str]) -> Iterator[Fault]:
    """Yield what is wrong with the size of a page."""
    top = query.get("top", str(DEFAULT_TOP))
    if not re.fullmatch(r"\d{1,3}", top, re.ASCII) or not 1 <= int(top) <= LARGEST_TOP:
        yield Fault("?top", "out-of-range", f"Send a whole number from 1 to {LARGEST_TOP}.")


# --- headers and body -----------------------------------------------------------------------------------------------


def idempotency_key(call: Call) -> str | None:
    """Return the caller's key, if any; raise RequestRejected (400) for one that is none."""
    key = call.headers.get("idempotency-key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise RequestRejected(
            400, "invalid-idempotency-key", "An Idempotency-Key has 1 to 255 visible ASCII characters, such as a UUID."
        )
    return key


def no_body(call: Call) -> None:
    """Raise RequestRejected (400) where a body was sent, or announced, to a call that has no use for one."""
    if call.body or _announces_bytes(call):
        raise RequestRejected(400, "body-not-expected", "This call takes no body. Send it without one.")


def json_body(call: Call, *also: str) -> object:
    """Return the JSON value that was sent; raise RequestRejected for all that is none, and for no body.

    Its media type is application/json or one of `also`.
    """
    if not _has_json(call, *also):
        raise _not_json()
    return _parsed(call.body)


def change_body(call: Call) -> object:
    """Return what is to be different: a merge-patch, or a JsonPatch where the media type says so."""
    body = json_body(call, MERGE_PATCH, JSON_PATCH)
    return parse_patch(body) if _media_type(call) == JSON_PATCH else body


def _media_type(call: Call) -> str:
    return call.headers.get("content-type", "").partition(";")[0].strip().lower()


def _has_json(call: Call, *also: str) -> bool:
    """Whether a body was sent that is to be read as JSON; raise RequestRejected for any other body."""
    is_json = _media_type(call) in ("application/json", *also)
    if call.headers.get("content-encoding", "identity").strip().lower() not in ("", "identity"):
        raise RequestRejected(
            415, "encoding-not-supported", "A compressed body is not unpacked here. Send it without Content-Encoding."
        )
    if len(call.body) > LARGEST_BODY:
        raise RequestRejected(413, "body-too-large", "A request may have at most 64 KB.")
    if not call.body:
        if is_json or _announces_bytes(call):
            raise RequestRejected(
                400,
                "body-not-delivered",
                "A body was announced and none arrived. Send it with its Content-Length, and not in chunks.",
            )
        return False
    if not is_json:
        raise _not_json()
    return True


def _not_json() -> RequestRejected:
    return RequestRejected(415, "not-json", "Send the request as JSON, with Content-Type: application/json.")


def _announces_bytes(call: Call) -> bool:
    return "transfer-encoding" in call.headers or call.headers.get("content-length", "0").strip() not in ("", "0")


def _parsed(body: bytes) -> object:
    try:
        return json.loads(body.decode("utf-8-sig"), object_pairs_hook=_no_name_twice, parse_constant=_no_constant)
    except json.JSONDecodeError as error:
        where = f"It breaks off or goes wrong at line {error.lineno}, column {error.colno}."
    except UnicodeDecodeError as error:
        where = f"It is no UTF-8 from byte {error.start + 1} on."
    except RecursionError:
        where = "It is nested too deeply."
    except _NoJson as error:
        where = str(error)
    except ValueError:
        where = "It has a number that is too long."
    raise RequestRejected(400, "invalid-json", f"The body is not JSON (RFC 8259). {where}") from None


class _NoJson(ValueError):
    """What Python reads as JSON, and RFC 8259 does not allow or leaves open; its text is a constant."""


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise _NoJson("A name stands twice in one object.")
    return content


def _no_constant(_name: str) -> float:
    raise _NoJson("NaN and Infinity are no numbers there.")


def revoke_previous(call: Call) -> bool:
    """Return the one field of a rotation, whose body may be left out; raise RequestRejected for anything else in it."""
    if not _has_json(call):
        return False
    body = _parsed(call.body)
    known = isinstance(body, dict) and not set(body) - {"revokePrevious"}
    revoke = body.get("revokePrevious", False) if isinstance(body, dict) else None
    if not known or not isinstance(revoke, bool):
        names = body if isinstance(body, dict) else ()
        other = next(filter(None, (respelt(name, ["revokePrevious"]) for name in names)), None)
        rule = other or "Send true or false, and no other field; or leave it out."
        fault = Fault("#/revokePrevious", "wrong-type", rule)
        raise RequestRejected(400, "invalid-request", "The request breaks 1 rule; see errors.", [fault])
    return revoke
