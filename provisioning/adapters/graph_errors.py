"""What Microsoft Graph's refusals mean: who must act, and what they should do.

Decided by status and code. Text is matched only where Graph gives nothing else; each such case says so. Graph's own
message is never kept, because it may repeat what was sent.
Sources: "Microsoft Graph error responses", "Configure app management policies", "Restrictions on identifier URIs",
and the public reports named beside a rule.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import requests

from provisioning.adapters.transport import retry_after
from provisioning.domain.errors import CredentialNotFound, NeedsOperator, ProvisioningError, TryAgain

_UNFINISHED: Final = frozenset({408, 423, 424, 425})
_CODE: Final = re.compile(r"[A-Za-z0-9_.]{1,80}")


@dataclass(frozen=True, slots=True)
class Refusal:
    """Graph's error envelope, and the request's id for a support case."""

    status: int
    codes: frozenset[str]
    text: str
    request_id: str | None
    retry_after: float | None

    @property
    def name_taken(self) -> bool:
        """Whether a name of the application to create is in use. Entra answers 409, or 400 which only its text tells.

        Which of `uniqueName` and `identifierUris` it names first is not documented.
        """
        if self.status == HTTPStatus.CONFLICT:
            return not self.concurrent
        named = "uniquename" in self.text or "identifieruris" in self.text
        return self.status == HTTPStatus.BAD_REQUEST and named and self._says_duplicate

    @property
    def already_exists(self) -> bool:
        """Whether a service principal exists already: 409, at times 400 with nothing but the text to tell it."""
        return (self.status == HTTPStatus.CONFLICT and not self.concurrent) or (
            self.status == HTTPStatus.BAD_REQUEST and self._says_duplicate
        )

    @property
    def missing(self) -> bool:
        """Whether what the request names is not there, and not for a hiccup of the directory."""
        return self.status == HTTPStatus.NOT_FOUND and "Directory_ObjectNotFound" not in self.codes

    @property
    def unfinished(self) -> bool:
        """Whether the request may have taken effect all the same."""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or self.status in _UNFINISHED

    @property
    def inline_secret_refused(self) -> bool:
        """Whether a 400 is about `passwordCredentials` in the create call, which older documents do not allow.

        Graph has no code for it; a policy that forbids secrets has, and is another matter.
        """
        named = "passwordcredential" in self.text.replace(" ", "")
        return self.status == HTTPStatus.BAD_REQUEST and named and not self.codes & _REFUSED.keys()

    @property
    def concurrent(self) -> bool:
        """Whether two writes met: 409 or 503 with a code, or a 400 that only its text tells apart."""
        return "Directory_ConcurrencyViolation" in self.codes or "concurrent" in self.text

    @property
    def _says_duplicate(self) -> bool:
        return any(each in self.text for each in ("already exists", "same value", "already in use"))


def refusal(response: requests.Response, now: datetime) -> Refusal:
    """Read Graph's error envelope; a body that is none gives no codes and no text."""
    try:
        error = response.json()["error"]
        details = [detail for detail in error.get("details") or [] if isinstance(detail, dict)]
        inner = error.get("innerError") or {}
        codes = {error.get("code"), inner.get("code"), *(detail.get("code") for detail in details)}
        texts = [error.get("message"), *(detail.get("message") for detail in details)]
        texts += [detail.get("target") for detail in details]
    except (ValueError, KeyError, TypeError, AttributeError):
        inner, codes, texts = {}, set(), []
    return Refusal(
        status=response.status_code,
        codes=frozenset(code for code in codes if isinstance(code, str) and _CODE.fullmatch(code)),
        text=" ".join(text for text in texts if isinstance(text, str)).lower(),
        request_id=_request_id(response.headers.get("request-id") or inner.get("request-id")),
        retry_after=retry_after(response.headers, now),
    )


def _request_id(value: Any) -> str | None:  # noqa: ANN401 -- another system's JSON
    return value if isinstance(value, str) and re.fullmatch(r"[0-9A-Za-z-]{1,64}", value) else None


def name_taken_error(refused: Refusal) -> ProvisioningError:
    """Return what a taken name means where no application of ours has it."""
    if "identifieruris" in refused.text:
        return _for_operator(refused)
    return TryAgain(
        "unique-name-taken",
        "The application's unique name is taken, but the application cannot be read.",
        remedy="It is not replicated yet, or it was deleted: then restore it in Entra (App registrations, Deleted "
        "applications) or delete it there for good, and retry.",
        graph_request_id=refused.request_id,
    )


def not_found_error(refused: Refusal) -> NeedsOperator:
    """Return what a 404 to a create call means: nothing in it could still be replicating."""
    return NeedsOperator(
        "graph-not-found",
        "Microsoft Graph does not know the address, or the owner that the application was to have.",
        remedy="Check GRAPH_ENDPOINT, and that REGISTRAR_OBJECT_ID is the object id of this app's service principal.",
        graph_request_id=refused.request_id,
    )


def certificate_error(refused: Refusal) -> NeedsOperator | None:
    """Return what a refusal of a body that holds a certificate says of the certificate; None if nothing."""
    if refused.status != HTTPStatus.BAD_REQUEST:
        return None
    if "CredentialInvalidLifetimeAsPerAppPolicy" in refused.codes:
        return NeedsOperator(
            "certificate-lifetime-refused",
            "An app management policy of the tenant allows only a shorter life for certificates.",
            remedy="Send a new request with a certificate of shorter life, or exempt this service from the policy.",
            graph_request_id=refused.request_id,
        )
    # Graph's codes for certificates are not documented; all that are known begin like this.
    named = any(code.startswith("KeyCredential") for code in refused.codes) or "keycredential" in refused.text
    if named or "key credential" in refused.text:
        return NeedsOperator(
            "certificate-refused",
            "Microsoft Graph refused the certificate.",
            remedy="Check that it has not expired, and send a new request with a certificate that is valid.",
            graph_request_id=refused.request_id,
        )
    return None


def error_of(refused: Refusal) -> ProvisioningError:
    """Return the error of the family whose turn it is to act."""
    # Of a key that this replica has not seen yet as well as of one that is gone.
    if "no password credential found" in refused.text:
        return CredentialNotFound(
            "credential-not-found",
            "Entra knows no credential of that key id, or not yet.",
            remedy=REPLICATION,
            graph_request_id=refused.request_id,
        )
    return _passing(refused) or _for_operator(refused)


def _passing(refused: Refusal) -> TryAgain | None:
    status, text = refused.status, refused.text
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        return _try_again(refused, "graph-throttled", "Microsoft Graph asks for fewer requests.")
    if refused.concurrent:
        return _try_again(refused, "graph-concurrent-write", "Another write to the same application was under way.")
    if refused.unfinished:
        return _try_again(refused, "graph-unavailable", "Microsoft Graph could not answer.")
    if status == HTTPStatus.UNAUTHORIZED:  # a token that ran out on the way; a missing permission is a 403
        return _try_again(refused, "graph-token-refused", "Microsoft Graph did not accept the token.")
    not_replicated = (
        status == HTTPStatus.NOT_FOUND
        or "NoBackingApplicationObject" in refused.codes
        or "Error_MsaAppDoesNotExist" in refused.codes
        # The same refusal with no code of its own, and a 403 that reads like a missing permission: both are answered
        # while the application is not replicated (hashicorp/terraform-provider-azuread, vault-plugin-secrets-azure).
        or "does not reference a valid application object" in text
        or (status == HTTPStatus.FORBIDDEN and "backing application" in text and "local tenant" in text)
    )
    if not_replicated:
        return _try_again(refused, "not-replicated-yet", "Entra does not know the object, or not yet.", REPLICATION)
    return None


def _for_operator(refused: Refusal) -> NeedsOperator:
    for code, (ours, message, remedy) in _REFUSED.items():
        if code in refused.codes:
            return NeedsOperator(ours, message, remedy=remedy, graph_request_id=refused.request_id)
    for text, (ours, message, remedy) in _REFUSED_BY_TEXT.items():
        if text in refused.text:
            return NeedsOperator(ours, message, remedy=remedy, graph_request_id=refused.request_id)
    named = ", ".join(sorted(refused.codes)) or "no code"
    return NeedsOperator(
        "graph-refused",
        f"Microsoft Graph refused the request with status {refused.status} ({named}).",
        remedy="Look the request id up in Entra's audit log or with Microsoft support; mend the cause, then retry.",
        graph_request_id=refused.request_id,
    )


def _try_again(refused: Refusal, code: str, message: str, remedy: str = "") -> TryAgain:
    return TryAgain(
        code,
        message,
        remedy=remedy or "If it lasts, see the health of Microsoft Graph and Entra, then retry.",
        retry_after=refused.retry_after,
        graph_request_id=refused.request_id,
    )


REPLICATION: Final = (
    "Entra may still be replicating, or somebody deleted the application: look for it among the app registrations and "
    "the deleted ones; restore it, then retry."
)
_Meaning = tuple[str, str, str]
_SECRET_LIFETIME: Final[_Meaning] = (
    "secret-lifetime-refused",
    "An app management policy of the tenant allows only a shorter life for secrets.",
    "Lower SECRET_LIFETIME or send a shorter secretLifetime, or exempt this service from the policy; then retry.",
)
_IDENTIFIER_URI: Final[_Meaning] = (
    "identifier-uri-refused",
    "The tenant's policy refuses the identifier URI.",
    "Exempt this service from the identifier URI restriction, or send a new request with accessTokenVersion 2.",
)
_PERMISSION: Final[_Meaning] = (
    "permission-missing",
    "Microsoft Graph denied the request.",
    (
        "Grant this app's identity Application.ReadWrite.OwnedBy, which shows within a day, and set "
        "REGISTRAR_OBJECT_ID; where the application exists already, make the identity its owner; then retry."
    ),
)
_REFUSED: Final[Mapping[str, _Meaning]] = {
    "CredentialInvalidLifetimeAsPerAppPolicy": _SECRET_LIFETIME,
    "CredentialTypeNotAllowedAsPerAppPolicy": (
        "secrets-forbidden",
        "An app management policy of the tenant forbids client secrets.",
        "Ask for a federated credential or a certificate (service clients), or exempt this service (excludeActors).",
    ),
    "SignInAudienceNotAllowedAsPerAppPolicy": (
        "audience-forbidden",
        "An app management policy of the tenant forbids single-tenant applications.",
        "Exempt this service's identity from the policy (excludeActors), then retry.",
    ),
    "InvalidUniqueTenantIdentifierAsPerAppPolicy": _IDENTIFIER_URI,
    "HostNameNotOnVerifiedDomain": (
        "domain-not-verified",
        "The FHIR server's host is not on a verified domain of the tenant.",
        "Verify the domain in Entra or remove it from VERIFIED_DOMAINS, then retry.",
    ),
    "Directory_QuotaExceeded": (
        "quota-exceeded",
        "The directory quota is used up; deleted objects count for 30 days.",
        "Delete objects for good or have the quota raised, then retry.",
    ),
    "Authorization_RequestDenied": _PERMISSION,
    "Authorization_IdentityNotFound": _PERMISSION,
}
# Graph has no code of its own for these.
_REFUSED_BY_TEXT: Final[Mapping[str, _Meaning]] = {
    "identifieruris already exists": (
        "identifier-uri-taken",
        "Another application has the identifier URI, perhaps one that was deleted less than 30 days ago.",
        "Remove the URI from that application, or delete it for good, then retry.",
    ),
    "the newly added uri": _IDENTIFIER_URI,
    "verified domain": _IDENTIFIER_URI,
    "lifetime": _SECRET_LIFETIME,
    "servicemanagementreference": (
        "service-management-reference-required",
        "The tenant requires a service management reference on every application.",
        "Send a new request with serviceManagementReference.",
    ),
    "exceeded its limit": (
        "application-too-large",
        "The application would hold more entries than Entra allows.",
        "Remove credentials that nobody uses, or send a new request with fewer redirect URIs, scopes or roles.",
    ),
    "insufficient privileges": _PERMISSION,
}
