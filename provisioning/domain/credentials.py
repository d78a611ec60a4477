"""What a credential is known by, of whichever type; X.509 itself is in `certificates.py`, secrets in `secrets.py`."""

from datetime import datetime
from typing import Any, Final

from provisioning.domain.certificates import thumbprint, validity
from provisioning.domain.directory import TrustedToken
from provisioning.domain.intake import CertificateCredential, FederatedCredential, ServiceClientRequest
from provisioning.domain.registration import Registration

# The audience that Entra's documents recommend for tokens that are exchanged, and issuers offer by themselves.
TOKEN_EXCHANGE_AUDIENCE: Final = "api://AzureADTokenExchange"  # noqa: S105 -- a public name


def trusted_token(registration: Registration, credential: FederatedCredential) -> TrustedToken:
    """Return whose tokens Entra takes in place of a secret of the client."""
    name, audience = registration.federated_credential_name, TOKEN_EXCHANGE_AUDIENCE
    return TrustedToken(name, credential.issuer, credential.subject, audience)


def credential_expires_at(registration: Registration) -> datetime | None:
    """Return when the credential ends: a certificate's own end, a secret's as last known, never for a federated one."""
    request = registration.request
    if isinstance(request, ServiceClientRequest) and isinstance(request.credential, CertificateCredential):
        return validity(request.credential.certificate)[1]
    return registration.secret.expires_at if registration.secret is not None else None


def shown_credential(registration: Registration) -> dict[str, Any] | None:
    """Return the credential of a service client as it is answered; None for other client types."""
    request = registration.request
    if not isinstance(request, ServiceClientRequest):
        return None
    match request.credential:
        case CertificateCredential(certificate=certificate):
            ends_at = validity(certificate)[1].strftime("%Y-%m-%dT%H:%M:%SZ")
            return {"type": "certificate", "thumbprint": thumbprint(certificate), "expiresAt": ends_at}
        case FederatedCredential(issuer=issuer, subject=subject):
            return {"type": "federated", "issuer": issuer, "subject": subject, "audience": TOKEN_EXCHANGE_AUDIENCE}
        case _:
            return {"type": "secret"}
