"""Which registrations a list has: what the query asks for and the caller may know of, in order of the ids.

Table storage has an index of owners and one of names, and no other. So what is asked of owners, and of a resource by
its one name, costs as much among many as among few. Anything else is looked for row by row: one call looks at a
thousand, and says where the next goes on (docs/decisions/0069).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from typing import Final

from provisioning.api.calls import DEFAULT_TOP, Call, bad_query, parameters, top_faults
from provisioning.domain.approval import Outcome, check_decider
from provisioning.domain.callers import Caller
from provisioning.domain.client_types import ClientType
from provisioning.domain.credentials import credential_expires_at
from provisioning.domain.errors import Fault, RequestRejected
from provisioning.domain.names import canonical_name
from provisioning.domain.registration import REGISTRATION_ID, Page, Registration, Status
from provisioning.domain.values import dataclass
from provisioning.ports import Services

SHORTEST_TEXT: Final = 2
LONGEST_TEXT: Final = 255
# How many rows one request reads, and how many requests one call makes, or for how long.
LOOKED_AT: Final = 200
_MOST_LOOKS: Final = 5
_LONGEST_LOOK: Final = timedelta(seconds=5)
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_URL: Final = re.compile(r"https://[^/]", re.ASCII | re.IGNORECASE)
_BOOLEANS: Final = ("true", "false")
_KNOWN: Final = (
    *("owner", "mine", "clientType", "status", "q", "expiringBefore", "hasFindings", "awaitingMyApproval"),
    *("top", "continuationToken"),
)

Keep = Callable[[Registration], bool]


@dataclass(frozen=True, slots=True)
class ListQuery:
    """Which registrations are asked for."""

    owner: str | None
    mine: bool
    client_type: ClientType | None
    status: Status | None
    text: str | None
    expiring_before: datetime | None
    has_findings: bool | None
    awaiting: bool
    top: int
    continuation_token: str | None

    @classmethod
    def read(cls, call: Call) -> "ListQuery":
        """Return what the query asks for; raise RequestRejected (400) that names every fault of it."""
        query, faults = parameters(call, *_KNOWN)
        faults += _faults(query)
        if faults:
            raise bad_query(faults)
        return cls(
            query["owner"].lower() if "owner" in query else None,
            "mine" in query,
            ClientType(query["clientType"]) if "clientType" in query else None,
            Status(query["status"]) if "status" in query else None,
            query["q"].strip() if "q" in query else None,
            _moment(query["expiringBefore"]) if "expiringBefore" in query else None,
            query["hasFindings"] == "true" if "hasFindings" in query else None,
            "awaitingMyApproval" in query,
            int(query.get("top", DEFAULT_TOP)),
            query.get("continuationToken"),
        )


def _faults(query: Mapping[str, str]) -> Iterator[Fault]:
    if "owner" in query and not _GUID.fullmatch(query["owner"]):
        yield Fault("?owner", "not-a-guid", "Give an Entra object id.")
    if "clientType" in query and query["clientType"] not in list(ClientType):
        yield Fault("?clientType", "not-one-of", f"Send one of {', '.join(ClientType)}.")
    if "status" in query and query["status"] not in list(Status):
        yield Fault("?status", "not-one-of", f"Send one of {', '.join(Status)}.")
    if "q" in query and not SHORTEST_TEXT <= len(query["q"].strip()) <= LONGEST_TEXT:
        yield Fault("?q", "wrong-length", f"Write {SHORTEST_TEXT} to {LONGEST_TEXT} characters.")
    if "expiringBefore" in query and _moment(query["expiringBefore"]) is None:
        yield Fault(
            "?expiringBefore", "not-a-moment", "Write a day, as 2027-01-31, or a moment of RFC 3339 with its zone."
        )
    for name in ("mine", "awaitingMyApproval"):
        if query.get(name, "true") != "true":
            yield Fault(f"?{name}", "not-one-of", "Send true, or leave it out.")
    if query.get("hasFindings", "true") not in _BOOLEANS:
        yield Fault("?hasFindings", "not-one-of", "Send true or false, or leave it out.")
    yield from top_faults(query)


def _moment(text: str) -> datetime | None:
    """Return the moment; a day is its beginning in UTC. None for what is neither, or has no zone."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if re.fullmatch(r"\d{4}-\d{2}-\d{2}", text, re.ASCII):
        return moment.replace(tzinfo=UTC)
    return moment if moment.tzinfo is not None else None


def listed(services: Services, caller: Caller, query: ListQuery) -> Page:
    """Return a page of what is asked for and the caller may know of.

    It may have fewer than `top`, none included, and still go on. Raises RequestRejected (400) for a continuation token
    of another list.
    """
    owners, keep = _owners(caller, query), _keep(services, caller, query)
    if keep is None:
        return services.registry.find(
            owners=owners,
            client_type=query.client_type,
            status=query.status,
            top=query.top,
            continuation_token=query.continuation_token,
        )
    named = _named(services, query)
    if named is not None and query.continuation_token is None and _is_among(named, owners, query) and keep(named):
        return Page((named,), None)
    return _looked_for(services, owners, query, keep)


def _owners(caller: Caller, query: ListQuery) -> frozenset[str] | None:
    """Return whose registrations are looked through: None for everybody's, of which `_keep` leaves what may be seen."""
    seen = None if caller.sees_all or query.awaiting else caller.identities
    if query.mine:
        seen = caller.identities
    if query.owner is None:
        return seen
    return frozenset({query.owner}) if seen is None or query.owner in seen else frozenset()


def _keep(services: Services, caller: Caller, query: ListQuery) -> Keep | None:
    """Return what rows have to pass; None where owners, type and status say it all."""
    conditions: list[Keep] = []
    if query.text is not None:
        conditions.append(_matches(query.text, services.tenant.id))
    if (before := query.expiring_before) is not None:
        conditions.append(lambda row: (ends := credential_expires_at(row)) is not None and ends < before)
    if query.has_findings is not None:
        conditions.append(lambda row: bool(row.findings) is query.has_findings)
    if query.awaiting:
        now = services.clock.now()
        conditions.append(lambda row: awaits_word_of(row, caller, now))
    if not conditions:
        return None
    return lambda row: row.readable_by(caller) and all(condition(row) for condition in conditions)


def _matches(text: str, tenant_id: str) -> Keep:
    """Return whether a row has a client id as a whole, the URL of a FHIR server as a whole, or a part of a name."""
    if _GUID.fullmatch(text):
        return lambda row: row.client_id == text.lower()
    if _URL.match(text):
        name = canonical_name(text, tenant_id)
        return lambda row: canonical_name(getattr(row.request, "fhir_server_url", ""), tenant_id) == name
    return lambda row: text.casefold() in row.request.display_name.casefold()


def awaits_word_of(row: Registration, caller: Caller, now: datetime) -> bool:
    """Whether this caller may agree to it now, as far as the row says."""
    approval = row.approval
    if approval is None or not row.awaits_approval or approval.outcome is not None or now >= approval.lapses_at:
        return False
    try:
        check_decider(approval, Outcome.APPROVED, caller, row.asked_by, row.request.owner)
    except RequestRejected:
        return False
    return True


def _named(services: Services, query: ListQuery) -> Registration | None:
    """Return the registration that the text names as a whole, by the index of names."""
    text = query.text
    if text is None or not (_GUID.fullmatch(text) or _URL.match(text)):
        return None
    holder = services.registry.holder(canonical_name(text, services.tenant.id))
    return services.registry.get(holder) if holder is not None else None


def _is_among(row: Registration, owners: frozenset[str] | None, query: ListQuery) -> bool:
    return (
        (owners is None or row.request.owner in owners)
        and query.client_type in (None, row.client_type)
        and (row.status is not Status.DELETED if query.status is None else row.status is query.status)
    )


def _looked_for(services: Services, owners: frozenset[str] | None, query: ListQuery, keep: Keep) -> Page:
    """Look through pages of the registry, which are in order of ids, until there is enough, or enough was looked at."""
    after, token = _place(query.continuation_token)
    found, began, unreadable = list[Registration](), services.clock.now(), 0
    for _ in range(_MOST_LOOKS):
        page = services.registry.find(
            owners=owners, client_type=query.client_type, status=query.status, top=LOOKED_AT, continuation_token=token
        )
        unreadable += page.unreadable
        for row in page.registrations:
            if row.id > after and keep(row):
                if len(found) == query.top:
                    return Page(tuple(found), _token(found[-1].id, token), unreadable)
                found.append(row)
        after, token = "", page.continuation_token
        if token is None or len(found) == query.top or services.clock.now() - began > _LONGEST_LOOK:
            break
    return Page(tuple(found), None if token is None else _token("", token), unreadable)


def _token(after: str, token: str | None) -> str:
    """Return where a list goes on: the registry's own place, and after which id of what begins there."""
    return f"{after}.{token or ''}"


def _place(continuation_token: str | None) -> tuple[str, str | None]:
    after, dot, token = (continuation_token or ".").partition(".")
    if not dot or (after and not REGISTRATION_ID.fullmatch(after)):
        raise RequestRejected(
            400, "invalid-continuation-token", "Send the continuationToken of the page before, unchanged."
        )
    return after, token or None
