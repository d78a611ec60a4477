"""The tokens that the Bot Framework signs: its keys, with the channels that each of them is endorsed for.

Source: "Authentication with the Bot Connector API" (keys, `endorsements`, `serviceurl`, an hour).
"""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

if TYPE_CHECKING:
    from datetime import datetime

    from dev.emulator.errors import Json

ISSUER = "https://api.botframework.com"
LIFETIME = 3600
# Key ids, and what they are endorsed for.
TEAMS_KEY, OTHER_KEY = "teams-1", "directline-1"
_ENDORSED = {TEAMS_KEY: ["msteams", "skype"], OTHER_KEY: ["directline", "webchat"]}


@functools.cache
def private_key(key_id: str) -> rsa.RSAPrivateKey:
    """A key, new in every process, so that nobody can come to trust it."""
    del key_id
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


def public_keys() -> Json:
    """The document of the keys."""
    keys = []
    for key_id, endorsements in _ENDORSED.items():
        public: Json = RSAAlgorithm.to_jwk(private_key(key_id).public_key(), as_dict=True)
        known = {name: public[name] for name in ("kty", "n", "e")}
        keys.append({**known, "use": "sig", "kid": key_id, "x5t": key_id, "endorsements": endorsements})
    return {"keys": keys}


def token(bot_id: str, service: str, now: datetime, key_id: str = TEAMS_KEY, **changes: object) -> str:
    """A token over an activity of this service for this bot; `changes` are to its claims."""
    at = int(now.timestamp())
    claims: Json = {"iss": ISSUER, "aud": bot_id, "serviceurl": service, "nbf": at, "exp": at + LIFETIME, **changes}
    return jwt.encode(claims, private_key(key_id), algorithm="RS256", headers={"kid": key_id, "x5t": key_id})
