"""What a call has beside its body: in its path, its query, and its headers."""

from collections.abc import Mapping
from typing import Any, Final

from provisioning.api.calls import DEFAULT_TOP, LARGEST_TOP
from provisioning.api.lists import LONGEST_TEXT, SHORTEST_TEXT
from provisioning.domain import patterns
from provisioning.domain.client_types import ClientType
from provisioning.domain.registration import Status


def _query(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
    return {"name": name, "in": "query", "description": description, "schema": dict(schema)}


def _header(name: str, description: str, schema: Mapping[str, Any], *, example: str) -> dict[str, Any]:
    return {"name": name, "in": "header", "description": description, "schema": dict(schema), "example": example}


PARAMETERS: Final[Mapping[str, Any]] = {
    "registrationId": {
        "name": "registrationId",
        "in": "path",
        "required": True,
        "description": "The id of a registration, in any case.",
        "schema": {"type": "string", "pattern": patterns.REGISTRATION_ID},
        "example": "8bcd0a38-5168dfc5-55e5-54a1-ac0e-d5bd8bcd0a38",
    },
    "clientId": {
        "name": "clientId",
        "in": "path",
        "required": True,
        "description": "The id of the registration of a client, in any case.",
        "schema": {"type": "string", "pattern": patterns.REGISTRATION_ID},
        "example": "8bcd0a38-5168dfc5-55e5-54a1-ac0e-d5bd8bcd0a38",
    },
    "idempotencyKey": _header(
        "Idempotency-Key",
        "Visible ASCII characters, such as a UUID. The same key, owner and request give the same registration, however "
        "often they are sent.",
        {"type": "string", "minLength": 1, "maxLength": 255, "pattern": "^[!-~]+$"},
        example="nightly-export-1",
    ),
    "ifMatch": _header(
        "If-Match",
        "The ETag of an answer, quotes included; several with commas; or *. It is done only if the registration is "
        "still as that answer shows it.",
        {"type": "string", "pattern": patterns.ENTITY_TAGS},
        example='"82a947320751e854efe19659"',
    ),
    "prefer": _header(
        "Prefer",
        "`wait=10`: answer once the operation has ended, after at most so many seconds; more than 20 are 20. Other "
        "preferences are ignored (RFC 7240). Where the call was waited for, the answer says so in Preference-Applied; "
        "where very many wait already, it comes at once.",
        {"type": "string"},
        example="wait=10",
    ),
    "onBehalfOf": _header(
        "On-Behalf-Of",
        "The Entra object id of a person: access is that person's, and both are recorded. For applications with the "
        "app role Registrations.OnBehalf, where CALLER_AUTH is `entra`.",
        {"type": "string", "format": "uuid", "pattern": patterns.GUID},
        example="a11ce000-0000-4000-8000-000000000001",
    ),
    "dryRun": _query(
        "dryRun", "Answer what would be done; nothing is stored or sent.", {"type": "boolean", "default": False}
    ),
    "cascade": _query(
        "cascade",
        "Of a resource: delete its live clients first, each of which the caller may delete. Without it a resource with "
        "live clients is not deleted.",
        {"type": "boolean", "default": False},
    ),
    "owner": _query(
        "owner",
        "Only what this Entra object id owns.",
        {"type": "string", "format": "uuid", "pattern": patterns.GUID},
    ),
    "clientType": _query("clientType", "Only those of this type.", {"type": "string", "enum": list(ClientType)}),
    "status": _query(
        "status",
        "Only those with this status. Without it those that were deleted are left out.",
        {"type": "string", "enum": list(Status)},
    ),
    "mine": _query(
        "mine", "Only what the caller owns, or a group of the caller's.", {"type": "boolean", "const": True}
    ),
    "q": _query(
        "q",
        "Only what has this: a client id as a whole, the URL of a FHIR server as a whole, or a part of the displayName "
        "without regard to case.",
        {"type": "string", "minLength": SHORTEST_TEXT, "maxLength": LONGEST_TEXT},
    ),
    "expiringBefore": _query(
        "expiringBefore",
        "Only those whose secret or certificate ends before: a day, which begins in UTC, or a moment with its zone.",
        {"type": "string", "pattern": patterns.DAY_OR_MOMENT, "examples": ["2027-01-31", "2027-01-31T12:00:00Z"]},
    ),
    "hasFindings": _query("hasFindings", "Only those with findings, or without.", {"type": "boolean"}),
    "awaitingMyApproval": _query(
        "awaitingMyApproval",
        "Only those that wait for an approval which the caller may give, whoever owns them.",
        {"type": "boolean", "const": True},
    ),
    "top": _query(
        "top",
        "How many a page has at most; it may have fewer and still not be the last.",
        {"type": "integer", "minimum": 1, "maximum": LARGEST_TOP, "default": DEFAULT_TOP},
    ),
    "continuationToken": _query(
        "continuationToken",
        "What the page before had as continuationToken, unchanged.",
        {"type": "string", "minLength": 1},
    ),
}
