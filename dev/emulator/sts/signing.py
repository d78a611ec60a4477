"""The signature of access tokens, put on and verified; who gets a token and what it says is `endpoint.py`'s."""

from __future__ import annotations

import functools
import uuid
from typing import TYPE_CHECKING, Any

import jwt
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

if TYPE_CHECKING:
    from datetime import datetime

    from dev.emulator.errors import Json

LIFETIME = 3600


@functools.cache
def _signing_key() -> tuple[rsa.RSAPrivateKey, str]:
    """One key for the process, new in every process, so that nobody can come to trust it; and its id."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    digest = hashes.Hash(hashes.SHA256())
    public = key.public_key()
    digest.update(public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo))
    return key, digest.finalize().hex()[:27]


def issue(claims: Json, now: datetime) -> str:
    """Sign the claims, with the usual times added; both readable parts begin with their mark."""
    key, key_id = _signing_key()
    at = int(now.timestamp())
    body = {"aud": claims["aud"], **claims, "iat": at, "nbf": at, "exp": at + LIFETIME, "uti": uuid.uuid4().hex[:22]}
    return jwt.encode(body, key, algorithm="RS256", headers={"kid": key_id, "x5t": key_id})


def verify(token: str, audiences: frozenset[str], issuers: frozenset[str], now: datetime) -> Json | None:
    """The claims, or None if the token is not ours, not for this audience, or not valid now."""
    key, _ = _signing_key()
    # Times are compared with the emulator's clock, which a test may have moved.
    options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "require": ["aud", "iss", "exp"]}
    try:
        claims: Json = jwt.decode(
            token, key.public_key(), algorithms=["RS256"], audience=audiences, issuer=list(issuers), options=options
        )
    except jwt.PyJWTError:
        return None
    return claims if claims["nbf"] <= now.timestamp() < claims["exp"] else None


def public_keys() -> Json:
    """The JWKS document."""
    key, key_id = _signing_key()
    public: Json = RSAAlgorithm.to_jwk(key.public_key(), as_dict=True)
    public = {name: public[name] for name in ("kty", "n", "e")}
    return {"keys": [{**public, "use": "sig", "alg": "RS256", "kid": key_id, "x5t": key_id}]}
