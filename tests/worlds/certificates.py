"""Certificates for tests, made when asked for, so that none of them runs out."""

import base64
import functools
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

BEGINS = datetime(2026, 1, 1, tzinfo=UTC)
YEAR = timedelta(days=365)


@dataclass(frozen=True)
class Pair:
    """A certificate, and the private key that its owner would keep."""

    certificate: x509.Certificate
    key: Any

    @property
    def pem(self) -> str:
        return self.certificate.public_bytes(serialization.Encoding.PEM).decode()

    @property
    def der(self) -> bytes:
        return self.certificate.public_bytes(serialization.Encoding.DER)

    @property
    def private_pem(self) -> str:
        return self.private("PKCS8")

    def private(self, form: str, password: bytes | None = None) -> str:
        hidden = serialization.BestAvailableEncryption(password) if password else serialization.NoEncryption()
        kind = getattr(serialization.PrivateFormat, form)
        return str(self.key.private_bytes(serialization.Encoding.PEM, kind, hidden).decode())


@functools.cache
def a_key(size: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=size)


@functools.cache
def a_certificate(  # noqa: PLR0913 -- each is one wish
    begins: datetime = BEGINS,
    life: timedelta = 2 * YEAR,
    *,
    size: int = 2048,
    curve: bool = False,
    sha1: bool = False,
    modulus: int | None = None,
) -> Pair:
    """A certificate that signed itself; the same one for the same wishes. A modulus may be any, and has no owner."""
    key: Any = ec.generate_private_key(ec.SECP256R1()) if curve else a_key(size)
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "client.contoso.example")])
    public = key.public_key() if modulus is None else rsa.RSAPublicNumbers(65537, modulus).public_key()
    builder = x509.CertificateBuilder(name, name, public, x509.random_serial_number())
    builder = builder.not_valid_before(begins).not_valid_after(begins + life)
    certificate = builder.sign(key, hashes.SHA256())
    if sha1:  # the library signs with nothing so weak, so the names of the algorithm are exchanged afterwards
        der = certificate.public_bytes(serialization.Encoding.DER)
        sha256_with_rsa, sha1_with_rsa = (bytes.fromhex(f"06092a864886f70d0101{last}") for last in ("0b", "05"))
        certificate = x509.load_der_x509_certificate(der.replace(sha256_with_rsa, sha1_with_rsa))
    return Pair(certificate, key)


def as_pem(der: bytes, label: str = "CERTIFICATE") -> str:
    """Whatever bytes, dressed up."""
    return f"-----BEGIN {label}-----\n{base64.encodebytes(der).decode()}-----END {label}-----\n"
