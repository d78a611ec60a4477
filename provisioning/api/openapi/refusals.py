"""With which codes each call may be refused, by status: the problem's own, and those of the faults in its `errors`.

A test holds that no call of any test is answered with a code that is not here.
"""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

Codes = Mapping[int, Sequence[str]]

_ALONE: Final[Codes] = {400: ("invalid-query",), 500: ("internal-error",)}
_ANY: Final[Codes] = {
    400: ("invalid-query", "invalid-on-behalf-of"),
    401: ("unauthenticated",),
    403: ("groups-not-in-token", "on-behalf-not-allowed"),
    500: ("misconfigured", "internal-error"),
    503: ("storage-unavailable", "registration-unreadable", "signing-keys-unavailable"),
}
_NO_BODY: Final[Codes] = {400: ("body-not-expected",)}
_BODY: Final[Codes] = {
    400: ("invalid-request", "invalid-json", "body-not-delivered"),
    413: ("body-too-large",),
    415: ("not-json", "encoding-not-supported"),
}
_WAITS: Final[Codes] = {400: ("invalid-prefer",)}
_WRITES: Final[Codes] = {**_WAITS, 403: ("foreign-page",)}
_WRITES_ONE: Final[Codes] = {
    400: ("idempotency-key-not-supported", "invalid-if-match", "condition-not-supported", *_WAITS[400]),
    403: ("foreign-page",),
    404: ("registration-not-found",),
    412: ("registration-changed",),
    503: ("registration-changed",),
}
_OWNER: Final[Codes] = {403: ("not-the-owner",)}
_DECIDES: Final[Codes] = {
    403: ("approver-unknown", "own-request", "not-an-approver", "not-in-person"),
    409: ("nothing-to-decide", "digest-differs", "operation-in-progress"),
}
_OF_A_PERSON: Final[Codes] = {
    400: ("idempotency-key-not-supported",),
    403: ("foreign-page", "not-in-person", "not-a-person"),
}
# What looks a resource up in Entra, as a dry run does at once and otherwise the queue function.
_LOOKS_UP: Final[Codes] = {
    400: (
        *("resource-not-found", "resource-not-allowed", "resource-is-a-client", "resource-not-active"),
        *("scope-required", "scope-not-found", "app-role-not-found", "permission-missing", "graph-refused"),
        "data-roles-not-offered",
    ),
    409: ("resource-not-ready",),
    503: ("graph-unavailable", "graph-throttled", "graph-token-refused", "not-replicated-yet", "no-identity-token"),
}
# What the policy says of what is asked; and where it cannot be read, nothing new is accepted.
_POLICY: Final[Codes] = {503: ("policy-unavailable", "policy-broken")}
_ENFORCED: Final[Codes] = {403: ("refused-by-policy", "approval-needed"), 429: ("too-many-per-hour",)}


def _together(*parts: Codes) -> Codes:
    statuses = sorted({status for part in parts for status in part})
    return {
        status: tuple(dict.fromkeys(code for part in parts for code in part.get(status, ()))) for status in statuses
    }


# By the id of the operation.
REFUSALS: Final[Mapping[str, Codes]] = {
    "submitRegistration": _together(
        _ANY,
        _BODY,
        _WRITES,
        _LOOKS_UP,
        {
            400: ("invalid-idempotency-key",),
            403: ("role-required", "owner-not-yours"),
            409: (
                *("idempotency-key-reused", "fhir-server-already-registered"),
                *("fhir-server-held", "fhir-server-not-available"),
            ),
        },
        _POLICY,
        _ENFORCED,
    ),
    "listRegistrations": _together(_ANY, _NO_BODY, {400: ("invalid-continuation-token",)}),
    "showRegistration": _together(_ANY, _NO_BODY, _WAITS, {404: ("registration-not-found",)}),
    "changeRegistration": _together(
        _ANY,
        _BODY,
        _WRITES_ONE,
        _OWNER,
        _LOOKS_UP,
        {
            403: ("owner-not-yours",),
            409: ("registration-not-active", "operation-in-progress", "permission-in-use", "patch-test-failed"),
        },
        _POLICY,
        _ENFORCED,
    ),
    "deleteRegistration": _together(
        _ANY, _NO_BODY, _WRITES_ONE, _OWNER, {409: ("registration-in-progress", "resource-in-use")}
    ),
    "rotateRegistration": _together(
        _ANY,
        _BODY,
        _WRITES_ONE,
        _OWNER,
        {409: ("registration-holds-no-secret", "registration-not-active", "operation-in-progress")},
    ),
    "retryRegistration": _together(_ANY, _NO_BODY, _WRITES_ONE, _OWNER, {409: ("registration-not-failed",)}),
    "approveRegistration": _together(
        _ANY, _BODY, _WRITES_ONE, _DECIDES, _POLICY, {403: ("refused-by-policy",), 429: ("too-many-per-hour",)}
    ),
    "denyRegistration": _together(_ANY, _BODY, _WRITES_ONE, _DECIDES),
    "revokeRegistration": _together(
        _ANY, _NO_BODY, _WRITES_ONE, _OWNER, {409: ("registration-not-active", "no-data-roles")}
    ),
    "listClients": _together(_ANY, _NO_BODY, {400: ("invalid-continuation-token",), 404: ("registration-not-found",)}),
    "approveClient": _together(
        *(_ANY, _BODY, _WRITES_ONE, _OWNER),
        {
            403: ("not-in-person", "own-request", "approver-unknown"),
            409: ("registration-not-active", "permissions-differ"),
        },
    ),
    "revokeClient": _together(_ANY, _NO_BODY, _WRITES_ONE, _OWNER, {409: ("registration-not-active",)}),
    "listEvents": _together(_ANY, _NO_BODY, {400: ("invalid-continuation-token",), 404: ("registration-not-found",)}),
    "showPolicy": _together(_ANY, _NO_BODY, _POLICY),
    "showReadiness": _together(_ANY, _NO_BODY, {403: ("role-required",), 503: ("not-ready",)}),
    "showCaller": _together(_ANY, _NO_BODY),
    "linkChat": _together(_ANY, _NO_BODY, _OF_A_PERSON),
    "unlinkChat": _together(_ANY, _NO_BODY, _OF_A_PERSON),
    "showOpenapi": _ALONE,
    "showDocs": _ALONE,
}

# --- what each of `errors` may have as its code ---------------------------------------------------------------------

_QUERY: Final = ("query-parameter-unknown",)
_DRY_RUN: Final = (*_QUERY, "query-parameter-empty", "query-parameter-repeated", "not-one-of")
_FIELDS: Final = ("required", "wrong-type", "private-key")
_TEXTS: Final = ("wrong-length", "control-character", "invisible-character", "outer-whitespace")
_VALUES: Final = (*_FIELDS, *_TEXTS, "not-a-guid", "not-an-email-address")
_URIS: Final = (
    *("too-few-items", "too-many-items", "uri-not-absolute", "uri-too-long", "uri-character", "uri-fragment"),
    *("uri-empty-query", "uri-wildcard", "uri-host", "uri-ipv6", "uri-credentials", "uri-not-https", "uri-scheme"),
    *("uri-unsafe-scheme", "uri-client-id", "uri-duplicate", "uri-differs-by-port"),
    *("uri-not-public", "callback-not-allowed"),
)
_NAMES: Final = (
    *("name-is-uri", "name-character", "name-leading-dot", "name-duplicate", "role-named-as-scope"),
    *("smart-scope-slash", "smart-scope-name", "openid-scope"),
)
_CREDENTIALS: Final = (
    *("credential-type-unknown", "subject-twice", "subject-duplicate", "claim-wildcard"),
    *("certificate-not-pem", "certificate-chain", "certificate-too-large", "certificate-unreadable"),
    *("certificate-key", "certificate-signature", "certificate-not-yet-valid", "certificate-expired"),
    *("certificate-ends-too-soon", "not-a-duration", "secret-lifetime-out-of-range", "secret-lifetime-without-secret"),
)
_RESOURCES: Final = (
    *("uri-query", "uri-path", "name-not-claimable", "mapped-claims-unverified-audience"),
    *("resource-not-allowed", "resource-not-found", "resource-is-a-client", "resource-not-active"),
    *("scope-required", "scope-not-found", "app-role-not-found", "permission-missing", "graph-refused"),
    "data-roles-not-offered",
)

_PERMITTED: Final = (
    *("scheme-not-allowed", "host-not-allowed", "resource-not-permitted", "app-role-not-permitted"),
    *("secret-not-permitted", "secret-lifetime-not-permitted", "display-name-not-permitted", "reference-required"),
    *("fhir-server-not-claimable", "too-many-registrations", "owner-not-yours", "data-roles-need-approval"),
)

FAULTS: Final[Mapping[str, Mapping[int, Sequence[str]]]] = {
    "submitRegistration": {
        400: (
            *("client-type-unknown", "field-not-allowed", *_DRY_RUN, *_VALUES),
            *(*_URIS, *_NAMES, *_CREDENTIALS, *_RESOURCES, *_PERMITTED),
        ),
        403: _PERMITTED,
        429: ("too-many-per-hour",),
    },
    "listRegistrations": {400: (*_DRY_RUN, "not-a-guid", "out-of-range", "wrong-length", "not-a-moment")},
    "showRegistration": {400: _QUERY},
    "changeRegistration": {
        400: (
            *_DRY_RUN,
            *_VALUES,
            *_URIS,
            *_NAMES,
            *_CREDENTIALS,
            *_RESOURCES,
            "patch-path",
            "field-not-changeable",
            "field-not-allowed",
        ),
        403: _PERMITTED,
        409: ("permission-in-use", "patch-test-failed"),
        429: ("too-many-per-hour",),
    },
    "deleteRegistration": {400: _DRY_RUN, 409: ("resource-in-use",)},
    "rotateRegistration": {400: (*_DRY_RUN, "wrong-type")},
    "retryRegistration": {400: _DRY_RUN},
    "approveRegistration": {
        400: (*_DRY_RUN, *_FIELDS, *_TEXTS, "field-not-allowed"),
        403: ("too-many-registrations",),
        429: ("too-many-per-hour",),
    },
    "denyRegistration": {400: (*_DRY_RUN, *_FIELDS, *_TEXTS, "field-not-allowed")},
    "revokeRegistration": {400: _DRY_RUN},
    "listClients": {400: (*_DRY_RUN, "out-of-range")},
    "approveClient": {400: (*_DRY_RUN, *_FIELDS, *_TEXTS, "field-not-allowed", "too-many-items", *_NAMES)},
    "revokeClient": {400: _DRY_RUN},
    "listEvents": {400: (*_DRY_RUN, "out-of-range")},
    "showPolicy": {400: _QUERY},
    "showReadiness": {400: _QUERY},
    "showCaller": {400: _QUERY},
    "linkChat": {400: _QUERY},
    "unlinkChat": {400: _QUERY},
    "showOpenapi": {400: _QUERY},
    "showDocs": {400: _QUERY},
}

# --- in words -------------------------------------------------------------------------------------------------------

_MEANINGS: Final[Mapping[int, str]] = {
    400: "The request is wrong: mend it. `errors` names each fault, with its place.",
    401: "The function key is missing or wrong, which the host answers without a body. Where CALLER_AUTH is `entra`: "
    "nobody is signed in, which is a problem document as any other.",
    403: "The caller may not do that.",
    404: "There is none of that id, or none that the caller may know of.",
    409: "It clashes with what there is.",
    412: "The registration is not any more what If-Match names.",
    413: "The body is larger than 64 KB.",
    415: "The body is not JSON, or compressed.",
    429: "The owner has asked for as many as the policy allows for now.",
    500: "The service is set up wrongly, or has a fault; its log has the cause.",
    503: "It passes with time: send it again after `Retry-After` seconds.",
}


def refusals(operation_id: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield each status with which the call may be refused, and what is said of it."""
    for status, codes in REFUSALS[operation_id].items():
        faults = FAULTS[operation_id].get(status, ())
        description = f"{_MEANINGS[status]} `code`: {_listed(codes)}."
        if faults:
            description += f" The `code` of each of `errors`: {_listed(sorted(set(faults)))}."
        yield str(status), {"description": description}


def _listed(codes: Sequence[str]) -> str:
    return ", ".join(f"`{code}`" for code in codes)
