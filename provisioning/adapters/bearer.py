"""CallerTokens over PyJWT: a bearer token of the tenant, verified by its keys and not by whoever passed it on.

Sources: "Secure applications and APIs by validating claims", "Access tokens in the Microsoft identity platform" (the
issuer of a v2 token). The API's application asks for v2 tokens, so others are refused.
"""

from collections.abc import Mapping
from typing import Any

import requests

from provisioning.adapters.signing_keys import SigningKeys
from provisioning.ports import Clock


class EntraCallerTokens:
    """Verifies tokens of one tenant."""

    def __init__(self, authority: str, session: requests.Session, clock: Clock) -> None:
        self._issuer = f"{authority}/v2.0"
        self._keys = SigningKeys(f"{authority}/discovery/v2.0/keys", session, clock)

    def verify(self, token: str, audiences: frozenset[str]) -> Mapping[str, Any] | None:
        """As the port says."""
        return self._keys.verified(token, audiences, self._issuer)
