"""X.509: what Entra takes of a certificate, and what is read from one; that a client has one is in `credentials.py`.

A certificate is public. The private key that belongs to it never comes here: a text that holds one is refused before
anything else is done with it. The library is loaded when the first certificate is read, not when the app starts.

Sources: "Create a self-signed public certificate to authenticate your application" (RSA only, 2048 bits or longer,
SHA-256, SHA-384 or SHA-512), "Application authentication certificate credentials" (PS256 or RS256), RFC 7468 (PEM).
"""

import base64
import functools
import hashlib
import math
import re
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Final

from provisioning.domain.errors import Fault

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
    from cryptography.x509 import Certificate

LARGEST: Final = 16 * 1024
SHORTEST_KEY: Final = 2048
LONGEST_KEY: Final = 16_384
SHORTEST_REST_OF_LIFE: Final = timedelta(days=7)
CLOCK_SKEW: Final = timedelta(minutes=5)

_PEM: Final = re.compile(
    r"\s*-----BEGIN CERTIFICATE-----(?P<body>[A-Za-z0-9+/=\s]+)-----END CERTIFICATE-----\s*", re.ASCII
)
# By its label, whatever stands between the words, or by how its DER begins: a sequence whose first part is a version,
# or says how the key is encrypted (PKCS #5).
_KEY_LABEL: Final = re.compile(r"(?:BEGIN|END)[\w\s+-]{0,40}PRIVATE[\s_+-]{0,8}KEY|PRIVATE[\s_+-]{0,8}KEY\s{0,8}----")
_BASE64: Final = re.compile(r"(?=(M[A-Za-z0-9+/_-]{31}|b3BlbnNzaC1rZXktdjEA))", re.ASCII)
_LENGTH: Final = rb"(?:[\x1a-\x7f]|\x81.|\x82..)"
_KEY_IN_DER: Final = re.compile(
    rb"\x30"
    + _LENGTH
    + rb"(?:\x02\x01[\x00-\x03][\x30\x02\x04]|\x30"
    + _LENGTH
    + rb"\x06\x09\x2a\x86\x48\x86\xf7\x0d\x01\x05)",
    re.DOTALL,
)
_KEY_OF_OPENSSH: Final = b"openssh-key-v1\0"
_GOOD_HASHES: Final = frozenset({"sha256", "sha384", "sha512"})


def holds_private_key(text: str) -> bool:
    """Whether the text holds a private key: in PEM, with or without line breaks, or the base64 inside of PEM alone."""
    return _KEY_LABEL.search(text.upper()) is not None or any(map(_begins_key, _BASE64.finditer(text)))


def _begins_key(found: re.Match[str]) -> bool:
    begins = base64.b64decode(found[1], altchars=b"-_" if set("-_") & set(found[1]) else None)
    return _KEY_IN_DER.match(begins) is not None or begins.startswith(_KEY_OF_OPENSSH)


def certificate_faults(text: str) -> Iterator[Fault]:
    """Yield what is wrong with the text, or with the certificate in it, whatever the time is."""
    if len(text) > LARGEST:
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
    try:
        certificate = _load(pem)
        sound, signed_over = _is_sound(certificate.public_key()), _signature_hash(certificate)
    except Exception:  # noqa: BLE001 -- foreign bytes: the library raises more than it documents
        yield Fault("", "certificate-unreadable", "What is between the lines is no X.509 certificate. Export it anew.")
        return
    if not sound:
        message = "Entra takes RSA keys of 2048 bits or more, here up to 16,384, of two primes. Make a new key pair."
        yield Fault("", "certificate-key", message)
    if signed_over not in _GOOD_HASHES:
        message = "The certificate must be signed with SHA-256, SHA-384 or SHA-512. Have it issued anew."
        yield Fault("", "certificate-signature", message)


def _is_sound(key: "CertificatePublicKeyTypes") -> bool:
    """Whether it is an RSA key of a length that is taken, and not one whose factors anybody finds."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

    if not isinstance(key, RSAPublicKey) or not SHORTEST_KEY <= key.key_size <= LONGEST_KEY:
        return False
    modulus = key.public_numbers().n
    return math.gcd(modulus, math.prod(_small_primes())) == 1 and not _is_power(modulus)


def _is_power(modulus: int) -> bool:
    """Whether it is a power of a number above 2000: the square of one prime, above all."""
    most = modulus.bit_length() // 10
    return any(_root(modulus, exponent) ** exponent == modulus for exponent in _small_primes() if exponent <= most)


@functools.cache
def _small_primes() -> tuple[int, ...]:
    return tuple(n for n in range(2, 2000) if all(n % each for each in range(2, math.isqrt(n) + 1)))


def _root(power: int, exponent: int) -> int:
    """Return the whole part of a root, by Newton's method from a guess that is a little too high."""
    size = math.log2(power) / exponent
    shift = max(0, int(size) - 40)
    root = (int(2 ** (size - shift)) + 4) << shift
    while (lower := ((exponent - 1) * root + power // root ** (exponent - 1)) // exponent) < root:
        root = lower
    return root


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
    return from_base64(as_base64(pem))


def from_base64(text: str) -> str:
    """Return the certificate in PEM whose DER in base64 this is, as Graph has it."""
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
    """Return what is between the lines of a text that is PEM."""
    _, _, body, *_ = pem.split("-----")
    return base64.b64decode("".join(body.split()), validate=True)


def _load(pem: str) -> "Certificate":
    from cryptography.x509 import load_der_x509_certificate

    return load_der_x509_certificate(_der(pem))
