"""X.509: what Entra takes of a certificate, and what is read from one; that a client has one is in `credentials.py`.

A certificate is public. The private key that belongs to it never comes here: a text that holds one is refused before
anything else is done with it. The library is loaded when the first certificate is read, not when the app starts.

Sources: "Create a self-signed public certificate to authenticate your application" (RSA only, 2048 bits or longer,
SHA-256, SHA-384 or SHA-512), "Application authentication certificate credentials" (PS256 or RS256), RFC 7468 (PEM).
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from provisioning.domain.errors import Fault

if TYPE_CHECKING:
    from cryptography.x509 import Certificate

LARGEST: Final = 16 * 1024
SHORTEST_KEY: Final = 2048
SHORTEST_REST_OF_LIFE: Final = timedelta(days=7)
CLOCK_SKEW: Final = timedelta(minutes=5)

_PEM: Final = re.compile(
    r"\s*-----BEGIN CERTIFICATE-----(?P<body>[A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*", re.ASCII
)
_GOOD_HASHES: Final = frozenset({"sha256", "sha384", "sha512"})


def certificate_faults(text: str) -> Iterator[Fault]:
    """Yield what is wrong with the text, or with the certificate in it, whatever the time is."""
    if "PRIVATE KEY" in text.upper():
        yield Fault(
            "",
            "certificate-private-key",
            "The text holds a private key, which must never leave its owner. Make a new key pair, throw this one "
            "away, and send the new certificate alone.",
        )
    elif len(text) > LARGEST:
        yield Fault("", "certificate-too-large", "A certificate may have at most 16 KB as PEM. Send a smaller one.")
    elif text.count("-----BEGIN ") > 1:
        yield Fault("", "certificate-chain", "Send the client's own certificate only, without those of its issuers.")
    elif not _PEM.fullmatch(text):
        yield Fault(
            "",
            "certificate-not-pem",
            "Send PEM: all from -----BEGIN CERTIFICATE----- to -----END CERTIFICATE-----, and nothing around it.",
        )
    else:
        yield from _content_faults(text)


def _content_faults(pem: str) -> Iterator[Fault]:
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    try:
        certificate = _load(pem)
        key, signed_over = certificate.public_key(), _signature_hash(certificate)
    except Exception:  # noqa: BLE001 -- foreign bytes: the library raises more than it documents
        yield Fault("", "certificate-unreadable", "What is between the lines is no X.509 certificate. Export it anew.")
        return
    if not isinstance(key, RSAPublicKey) or key.key_size < SHORTEST_KEY:
        yield Fault("", "certificate-key", "Entra takes RSA keys of 2048 bits or more. Make a new key pair.")
    if signed_over not in _GOOD_HASHES:
        message = "The certificate must be signed with SHA-256, SHA-384 or SHA-512. Have it issued anew."
        yield Fault("", "certificate-signature", message)


def _signature_hash(certificate: "Certificate") -> str | None:
    algorithm = certificate.signature_hash_algorithm
    return algorithm.name if algorithm is not None else None


def validity_faults(pem: str, now: datetime) -> Iterator[Fault]:
    """Yield what is wrong with the certificate at this time: it has not begun, has ended, or is about to."""
    begins_at, ends_at = validity(pem)
    if begins_at > now + CLOCK_SKEW:
        yield Fault("", "certificate-not-yet-valid", "The certificate is not valid yet. Send it once it is.")
    if ends_at <= now:
        yield Fault("", "certificate-expired", "The certificate has expired. Send one that is valid.")
    elif ends_at < now + SHORTEST_REST_OF_LIFE:
        yield Fault("", "certificate-ends-too-soon", "The certificate ends within seven days. Send a newer one.")


def normalise_certificate(pem: str) -> str:
    """Return the one way in which this service writes the certificate: lines of 64 characters."""
    text = base64.b64encode(_der(pem)).decode()
    lines = [text[start : start + 64] for start in range(0, len(text), 64)]
    return "\n".join(["-----BEGIN CERTIFICATE-----", *lines, "-----END CERTIFICATE-----", ""])


def as_base64(pem: str) -> str:
    """Return the certificate's DER in base64, as Graph wants it."""
    return base64.b64encode(_der(pem)).decode()


def thumbprint(pem: str) -> str:
    """Return the SHA-256 of the certificate, in upper case hexadecimal digits, as tools show it."""
    return hashlib.sha256(_der(pem)).hexdigest().upper()


def validity(pem: str) -> tuple[datetime, datetime]:
    """Return when the certificate begins and ends, in UTC."""
    certificate = _load(pem)
    return certificate.not_valid_before_utc, certificate.not_valid_after_utc


def _der(pem: str) -> bytes:
    found = _PEM.fullmatch(pem)
    if found is None:
        raise binascii.Error("not a PEM certificate")
    return base64.b64decode("".join(found["body"].split()), validate=True)


def _load(pem: str) -> "Certificate":
    from cryptography.x509 import load_der_x509_certificate

    return load_der_x509_certificate(_der(pem))
