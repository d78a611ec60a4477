"""Client assertions (RFC 7523): a client shows a signed token in place of a secret.

A token that the client signed itself is checked in full, against the certificates of the application. A token of
another issuer is checked by its claims against the federated identity credentials; its signature is not, because the
issuer's keys are out of reach here: never trust the emulator to refuse a forged one.
"""

from __future__ import annotations

import base64
import hmac
from typing import TYPE_CHECKING, Any

import jwt
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from dev.emulator.errors import Json, TokenError
from dev.emulator.shapes import parse_time

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import datetime

    from dev.emulator.graph.records import Application

TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ALGORITHMS = ["RS256", "PS256"]  # ES256, RS384 and others are not accepted
SKEW = 300


def read(form: Mapping[str, str]) -> tuple[str, Json, Json]:
    """The assertion of a token request, with its header and its claims, none of them verified."""
    assertion = form["client_assertion"]
    if form.get("client_assertion_type") != TYPE:
        message = "The 'client_assertion_type' must be 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer'."
        raise TokenError(400, "invalid_request", 900144, message)
    try:
        header: Json = jwt.get_unverified_header(assertion)
        claims: Json = jwt.decode(assertion, options={"verify_signature": False})
    except jwt.PyJWTError:
        message = "Client assertion failed to parse: it is no JSON Web Token."
        raise TokenError(401, "invalid_client", 50027, message) from None
    return assertion, header, claims


def check(form: Mapping[str, str], application: Application, audiences: frozenset[str], now: datetime) -> str | None:
    """Refuse the assertion unless it was signed with a certificate of the application, or its issuer is trusted.

    The key id of the certificate, if it was one.
    """
    assertion, header, claims = read(form)
    _check_times(claims, now)
    if claims.get("iss") == application.app_id:
        key_id = _check_signed(assertion, header, application, audiences, now)
        if claims.get("sub") != application.app_id:
            raise _refused(700021, "Client assertion application identifier doesn't match 'client_id' parameter.")
        return key_id
    _check_federated(claims, application)
    return None


def _check_times(claims: Json, now: datetime) -> None:
    at, begins, ends = now.timestamp(), claims.get("nbf", 0), claims.get("exp")
    if not isinstance(ends, int | float) or not isinstance(begins, int | float):
        raise _refused(50027, "Client assertion must have the claim 'exp'.")
    if not begins - SKEW <= at < ends + SKEW:
        raise _refused(700024, "Client assertion is not within its valid time range.")


def _check_signed(
    assertion: str, header: Json, application: Application, audiences: frozenset[str], now: datetime
) -> str:
    certificate, key_id = _certificate(header, application, now)
    key = certificate.public_key()
    if header.get("alg") not in ALGORITHMS or not isinstance(key, RSAPublicKey):
        raise _refused(50027, "Client assertion must be signed with RS256 or PS256.")
    # Times are compared with the emulator's clock, which a test may have moved.
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": ["aud", "iss", "exp"]}
    try:
        jwt.decode(assertion, key, algorithms=ALGORITHMS, audience=audiences, options=options)
    except jwt.InvalidAudienceError:
        raise _refused(700023, "Client assertion audience claim does not match Realm issuer.") from None
    except jwt.PyJWTError:
        raise _refused(700027, "Client assertion failed signature validation.") from None
    return key_id


def _certificate(header: Json, application: Application, now: datetime) -> tuple[x509.Certificate, str]:
    """The certificate of the application that the header names by its thumbprint, and its key id."""
    for item in application.last_body["keyCredentials"]:
        certificate = x509.load_der_x509_certificate(base64.b64decode(item["key"]))
        named = (
            _same(header.get("x5t#S256"), certificate.fingerprint(hashes.SHA256()))
            or _same(header.get("x5t"), certificate.fingerprint(hashes.SHA1()))  # noqa: S303 -- names a certificate
        )
        if named:
            if not parse_time(item["startDateTime"]) <= now < parse_time(item["endDateTime"]):
                raise _refused(700027, "The certificate with identifier used to sign the client assertion is expired.")
            return certificate, str(item["keyId"])
    message = "The certificate with identifier used to sign the client assertion is not registered on application."
    raise _refused(700027, message)


def _same(named: object, digest: bytes) -> bool:
    return isinstance(named, str) and hmac.compare_digest(
        named.rstrip("=").encode(), base64.urlsafe_b64encode(digest).rstrip(b"=")
    )


def _check_federated(claims: Json, application: Application) -> None:
    for item in application.federated:
        wanted = (item["issuer"], item["subject"], item["audiences"][0])
        if (claims.get("iss"), claims.get("sub"), claims.get("aud")) == wanted:
            return
    message = "No matching federated identity record found for presented assertion."
    raise _refused(70021, message)


def _refused(number: int, message: str) -> TokenError:
    return TokenError(401, "invalid_client", number, message)
