"""What a credential is known by, of whichever type; X.509 itself is in `certificates.py`, secrets in `secrets.py`."""

import hashlib
from datetime import datetime
from typing import Any

from provisioning.domain.certificates import thumbprint, validity
from provisioning.domain.directory import TrustedToken
from provisioning.domain.intake import CertificateCredential, FederatedCredential, ServiceClientRequest
from provisioning.domain.registration import Registration
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
            name if credential.subjects is None else f"{name}-{_digest(subject)}", credential.issuer, subject, audience
        )
        for subject in credential.trusted
    )


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]


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
        case CertificateCredential(certificate=certificate):
            ends_at = validity(certificate)[1].strftime("%Y-%m-%dT%H:%M:%SZ")
            return {"type": "certificate", "thumbprint": thumbprint(certificate), "expiresAt": ends_at}
        case FederatedCredential() as federated:
            audience = federated.audience or tenant.token_exchange_audience
            return federated.model_dump(mode="json", exclude_none=True) | {"audience": audience}
        case _:
            return {"type": "secret"}
