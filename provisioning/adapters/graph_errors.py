"""What Microsoft Graph's refusals mean: who must act, and what they should do.

Decided by status and code. A text decides only where Graph sends no code that is known here, and each such case says
so. Graph's own message is never kept, because it may repeat what was sent.
Sources: "Microsoft Graph error responses", "Configure app management policies", "Restrictions on identifier URIs",
and the public reports named beside a rule.
"""

import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

import requests

from provisioning.adapters.transport import retry_after
from provisioning.domain.errors import CredentialNotFound, NeedsOperator, ProvisioningError, TryAgain
from provisioning.domain.values import dataclass

_UNFINISHED: Final = frozenset({408, 423, 424, 425})
_CODE: Final = re.compile(r"[A-Za-z0-9_.]{1,80}")
_NAMES: Final = frozenset({"uniquename", "identifieruris"})
_DUPLICATE: Final = frozenset({"ObjectConflict", "Request_MultipleObjectsWithSameKeyValue"})


@dataclass(frozen=True, slots=True)
class Refusal:
    """Graph's error envelope, and the request's id for a support case.

    `conflicts` are the properties, in lower case, of which another object has the same value.
    """

    status: int
    codes: frozenset[str]
    conflicts: frozenset[str]
    text: str
    request_id: str | None
    retry_after: float | None

    @property
    def name_taken(self) -> bool:
        """Whether a name of the application to create is in use.

        Which of `uniqueName` and `identifierUris` Graph names first is not documented, nor that it names one.
        """
        named = self.conflicts or self.status == HTTPStatus.CONFLICT or "ObjectConflict" in self.codes
        return bool(self.already_exists and named and (not self.conflicts or self.conflicts & _NAMES))

    @property
    def already_exists(self) -> bool:
        """Whether the object to create exists already: by a code, by 409, or by a 400 with nothing but its text."""
        if self.codes & _DUPLICATE:
            return True
        said = self.status == HTTPStatus.BAD_REQUEST and self.says("already exists", "same value", "already in use")
        return said or (self.status == HTTPStatus.CONFLICT and self._untold and not self.concurrent)

    @property
    def missing(self) -> bool:
        """Whether what the request names is not there: no other 404, such as a hiccup of the directory, says that."""
        return self.status == HTTPStatus.NOT_FOUND and "Request_ResourceNotFound" in self.codes

    @property
    def unfinished(self) -> bool:
        """Whether the request may have taken effect all the same."""
        return self.status >= HTTPStatus.INTERNAL_SERVER_ERROR or self.status in _UNFINISHED

    @property
    def inline_secret_refused(self) -> bool:
        """Whether a 400 is about `passwordCredentials` in the create call, which older documents do not allow.

        Graph has no code for it; a policy that forbids secrets has, and is another matter.
        """
        return self.status == HTTPStatus.BAD_REQUEST and self.says("passwordcredential", "password credential")

    @property
    def credential_not_found(self) -> bool:
        """Whether a credential to remove is not known, or not yet. Graph has no code for it (vault-plugin-secrets)."""
        return self.status == HTTPStatus.BAD_REQUEST and self.says("no password credential found")

    @property
    def certificate_refused(self) -> bool:
        """Whether it is about the certificate sent: all codes of certificates that are known begin alike."""
        coded = any(code.startswith("KeyCredential") for code in self.codes)
        return coded or self.says("keycredential", "key credential")

    @property
    def concurrent(self) -> bool:
        """Whether two writes met: a code, and in some reports of 400 and 409 only the text."""
        return "Directory_ConcurrencyViolation" in self.codes or self.says("concurrent")

    @property
    def not_replicated(self) -> bool:
        """Whether a replica that has not heard of the application yet would answer so."""
        return (
            self.status == HTTPStatus.NOT_FOUND
            or bool(self.codes & {"NoBackingApplicationObject", "Error_MsaAppDoesNotExist"})
            # Of a permission that was disabled a moment ago (Azure-Samples, terraform-provider-azuread waits for it).
            or "CannotDeleteOrUpdateEnabledEntitlement" in self.codes
            # The same refusal with no code of its own, and a 403 that has the code of a missing permission: both are
            # answered while the application is not replicated (terraform-provider-azuread, vault-plugin-secrets-azure).
            or self.says("does not reference a valid application object")
            or (self.status == HTTPStatus.FORBIDDEN and "backing application" in self.text and "tenant" in self.text)
        )

    @property
    def _untold(self) -> bool:
        return not self.codes & _KNOWN

    def says(self, *texts: str) -> bool:
        """Whether one of these texts is in it, and no code that says what it is."""
        return self._untold and any(text in self.text for text in texts)


def refusal(response: requests.Response, now: datetime) -> Refusal:
    """Read Graph's error envelope; a body that is none gives no codes and no text."""
    try:
        error = response.json()["error"]
        details = [detail for detail in error.get("details") or [] if isinstance(detail, dict)]
        inner = error.get("innerError") or {}
        codes = {error.get("code"), inner.get("code"), *(detail.get("code") for detail in details)}
        texts = [error.get("message"), *(detail.get("message") for detail in details)]
    except (ValueError, KeyError, TypeError, AttributeError):
        inner, codes, texts, details = {}, set(), [], []
    text = " ".join(text for text in texts if isinstance(text, str)).lower()
    return Refusal(
        status=response.status_code,
        codes=frozenset(code for code in codes if isinstance(code, str) and _CODE.fullmatch(code)),
        conflicts=_conflicts(details) or frozenset(re.findall(r"same value for property (\w+)", text)),
        text=text,
        request_id=request_id(response.headers.get("request-id") or inner.get("request-id")),
        retry_after=retry_after(response.headers, now),
    )


def _conflicts(details: Iterable[Mapping[str, Any]]) -> frozenset[str]:
    targets = (detail.get("target") for detail in details if detail.get("code") == "ObjectConflict")
    return frozenset(target.lower() for target in targets if isinstance(target, str))


def request_id(value: Any) -> str | None:  # noqa: ANN401 -- another system's JSON
    """Return Graph's id of a request; None for what is none."""
    return value if isinstance(value, str) and re.fullmatch(r"[0-9A-Za-z-]{1,64}", value) else None


def name_taken_error(refused: Refusal) -> ProvisioningError:
    """Return what a taken name means where no application of ours has it."""
    if "identifieruris" in refused.conflicts:
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
    if refused.certificate_refused:
        return NeedsOperator(
            "certificate-refused",
            "Microsoft Graph refused the certificate.",
            remedy="Check that it has not expired, and send a new request with a certificate that is valid.",
            graph_request_id=refused.request_id,
        )
    return None


def error_of(refused: Refusal) -> ProvisioningError:
    """Return the error of the family whose turn it is to act."""
    if refused.credential_not_found:
        return CredentialNotFound(
            "credential-not-found",
            "Entra knows no credential of that key id, or not yet.",
            remedy=REPLICATION,
            graph_request_id=refused.request_id,
        )
    return _passing(refused) or _for_operator(refused)


def _passing(refused: Refusal) -> TryAgain | None:
    if refused.status == HTTPStatus.TOO_MANY_REQUESTS:
        return _try_again(refused, "graph-throttled", "Microsoft Graph asks for fewer requests.")
    if refused.concurrent:
        return _try_again(refused, "graph-concurrent-write", "Another write to the same application was under way.")
    if refused.unfinished:
        return _try_again(refused, "graph-unavailable", "Microsoft Graph could not answer.")
    if refused.status == HTTPStatus.UNAUTHORIZED:  # a token that ran out on the way; a missing permission is a 403
        return _try_again(refused, "graph-token-refused", "Microsoft Graph did not accept the token.")
    if refused.not_replicated:
        return _try_again(refused, "not-replicated-yet", "Entra does not know the object, or not yet.", REPLICATION)
    return None


def _for_operator(refused: Refusal) -> NeedsOperator:
    meanings = [meaning for code, meaning in _REFUSED.items() if code in refused.codes]
    meanings += [_IDENTIFIER_URI_TAKEN] if "identifieruris" in refused.conflicts else []
    # Graph has no code of its own for these, or not always.
    meanings += [meaning for text, meaning in _REFUSED_BY_TEXT.items() if refused.says(text)]
    for ours, message, remedy in meanings:
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
_IDENTIFIER_URI_TAKEN: Final[_Meaning] = (
    "identifier-uri-taken",
    "Another application has the identifier URI, perhaps one that was deleted less than 30 days ago.",
    "Remove the URI from that application, or delete it for good, then retry.",
)
_REFERENCE_MISSING: Final[_Meaning] = (
    "service-management-reference-required",
    "The tenant requires a service management reference on every application.",
    "Send a new request with serviceManagementReference.",
)
_REFERENCE_REFUSED: Final[_Meaning] = (
    "service-management-reference-refused",
    "The tenant does not know the service management reference.",
    "Look the reference up in your service inventory, and send a new request with that one.",
)
_TOO_LARGE: Final[_Meaning] = (
    "application-too-large",
    "The application would hold more entries than Entra allows.",
    "Remove credentials that nobody uses, or send a new request with fewer redirect URIs, scopes or roles.",
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
        "The quota of the directory, or the 250 objects of an identity without a directory role, is used up.",
        (
            "Give this app's identity a custom role with microsoft.directory/applications/create, which lifts the 250; "
            "or delete objects for good (deleted ones count for 30 days), or have the quota raised. Then retry."
        ),
    ),
    "Directory_ResourceSizeExceeded": _TOO_LARGE,
    "ServiceTreeValueMissing": _REFERENCE_MISSING,
    "ServiceTreeNullValueProvided": _REFERENCE_MISSING,
    "ServiceTreeInvalid": _REFERENCE_REFUSED,
    "Authorization_RequestDenied": _PERMISSION,
    "Authorization_IdentityNotFound": _PERMISSION,
}
_REFUSED_BY_TEXT: Final[Mapping[str, _Meaning]] = {
    "the newly added uri": _IDENTIFIER_URI,  # microsoft/entra-app-identifier-uri-protection
    "credential lifetime exceeds": _SECRET_LIFETIME,  # OfficeDev/microsoft-365-agents-toolkit
    "servicemanagementreference field is required": _REFERENCE_MISSING,  # Azure/azure-cli #30717
    "servicemanagementreference": _REFERENCE_REFUSED,  # Azure/azure-cli #31212
    "exceeded its limit": _TOO_LARGE,  # vault-plugin-secrets-azure
}
# Each code that says by itself what it means: beside it no text decides.
_KNOWN: Final = frozenset(
    {
        *_REFUSED,
        *_DUPLICATE,
        "Directory_ConcurrencyViolation",
        "Directory_ObjectNotFound",
        "CannotDeleteOrUpdateEnabledEntitlement",
        "Error_MsaAppDoesNotExist",
        "NoBackingApplicationObject",
        "Request_ResourceNotFound",
    }
)
