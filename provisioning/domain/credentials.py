"""What a credential is known by, of whichever type; X.509 itself is in `certificates.py`, secrets in `secrets.py`."""

import hashlib
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from typing import Any

from provisioning.domain.certificates import thumbprint, validity
from provisioning.domain.directory import CertificateThere, TrustedToken
from provisioning.domain.intake import CertificateCredential, FederatedCredential, ServiceClientRequest
from provisioning.domain.registration import Registration
from provisioning.domain.secrets import is_ours_by_label
from provisioning.domain.tenant import Tenant


def trusted_tokens(registration: Registration, tenant: Tenant) -> tuple[TrustedToken, ...]:
    """Return what a federated client signs in with, one for each subject: none for any other registration.

    A name follows from the registration, and where subjects are several from the subject too.
    """
    credential = getattr(registration.request, "credential", None)
    if not isinstance(credential, FederatedCredential):
        return ()
    audience, name = credential.audience or tenant.token_exchange_audience, registration.federated_credential_name
    return tuple(
        TrustedToken(
            name if credential.subjects is None else name_of(registration, subject),
            credential.issuer,
            subject,
            audience,
        )
        for subject in credential.trusted
    )


def name_of(registration: Registration, subject: str) -> str:
    """Return the name of the federated credential of one subject, beside those of others."""
    digest = hashlib.sha256(subject.encode()).hexdigest()[:16]
    return f"{registration.federated_credential_name}-{digest}"


def is_named_after(registration: Registration, token: TrustedToken) -> bool:
    """Whether a federated credential has the name that this service gives to one of this very subject."""
    return token.name == name_of(registration, token.subject)


def is_named_ours(registration: Registration, token: TrustedToken) -> bool:
    """Whether a federated credential has a name that this service gives."""
    ours = registration.federated_credential_name
    return token.name == ours or token.name.startswith(f"{ours}-")


def is_usable(credentials: Iterable[CertificateThere], current: str, now: datetime) -> bool:
    """Whether an application shows a certificate, as Entra has it, that is valid now."""
    return any(each.key == current and each.begins_at <= now < each.ends_at for each in credentials)


def given_up(
    credentials: Iterable[CertificateThere], current: str, now: datetime, since: datetime, overlap: timedelta
) -> list[CertificateThere]:
    """Return the certificates of our label that may go: ended, or the current one is there for longer than the overlap.

    `current` is the certificate of the registration, as Entra has it; `since` is when it became that. While it is not
    there, or not valid now, nothing may go: the others may be all that works.
    """
    there = list(credentials)
    if not is_usable(there, current, now):
        return []
    others = [each for each in there if each.key != current and is_ours_by_label(each.label)]
    return [each for each in others if each.ends_at <= now or since + overlap <= now]


def exchanged_credentials(before: Registration, after: Registration, tenant: Tenant) -> dict[str, Any]:
    """Return what a change adds and takes away of what a client signs in with, as Graph has it; empty for nothing."""
    both = [_as_graph_has(each, tenant) for each in (before, after)]
    added, removed = ([each for each in one if each not in other] for one, other in (both[::-1], both))
    return {"credentials": {"added": added, "removed": removed}} if added or removed else {}


def _as_graph_has(registration: Registration, tenant: Tenant) -> list[dict[str, Any]]:
    credential = getattr(registration.request, "credential", None)
    if isinstance(credential, CertificateCredential):
        named = told_credential(credential.model_dump())
        return [{"type": "AsymmetricX509Cert", "usage": "Verify", "thumbprint": named["thumbprint"]}]
    tokens = trusted_tokens(registration, tenant)
    return [{"issuer": each.issuer, "subject": each.subject, "audiences": [each.audience]} for each in tokens]


def told_credential(credential: Mapping[str, Any]) -> dict[str, Any]:
    """Return a credential, as a request has it, as people tell it from another: of a certificate not its text."""
    told = dict(credential)
    if "certificate" in told:
        pem = told.pop("certificate")
        told |= {"thumbprint": thumbprint(pem), "expiresAt": validity(pem)[1].strftime("%Y-%m-%dT%H:%M:%SZ")}
    return told


def credential_expires_at(registration: Registration) -> datetime | None:
    """Return when the credential ends: a certificate's own end, a secret's as last known, never for a federated one."""
    request = registration.request
    if isinstance(request, ServiceClientRequest) and isinstance(request.credential, CertificateCredential):
        return validity(request.credential.certificate)[1]
    return registration.secret.expires_at if registration.secret is not None else None


def shown_credential(registration: Registration, tenant: Tenant) -> dict[str, Any] | None:
    """Return the credential of a service client as it is answered; None for other client types."""
    request = registration.request
    if not isinstance(request, ServiceClientRequest):
        return None
    match request.credential:
        case CertificateCredential() as certificate:
            return told_credential(certificate.model_dump())
        case FederatedCredential() as federated:
            audience = federated.audience or tenant.token_exchange_audience
            return federated.model_dump(mode="json", exclude_none=True) | {"audience": audience}
        case _:
            return {"type": "secret"}
