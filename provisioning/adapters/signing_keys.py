"""The public keys that somebody signs tokens with: fetched at first use, daily, and for a key id that is new.

Source: "Access tokens in the Microsoft identity platform": keys are rolled at any time; an unknown one is looked for.
"""

import threading
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final

import jwt
import requests

from provisioning.adapters.transport import TIMEOUT
from provisioning.domain.errors import TryAgain
from provisioning.ports import Clock

CLOCK_SKEW: Final = timedelta(minutes=5)
KEYS_KEPT_FOR: Final = timedelta(hours=24)
# A token with a key id of somebody's invention must not have the keys fetched at every call.
KEYS_ASKED_AGAIN_AFTER: Final = timedelta(minutes=1)
# Nor may each of many calls that wait for one another wait for keys that cannot be read: anybody may bring a token.
FAILURE_KEPT_FOR: Final = timedelta(seconds=1)
LONGEST_TOKEN: Final = 32 * 1024


class SigningKeys:
    """The keys at one address; `fits` is whether a key of that document signs what is verified here."""

    def __init__(
        self,
        url: str,
        session: requests.Session,
        clock: Clock,
        fits: Callable[[Mapping[str, Any]], bool] = lambda _key: True,
    ) -> None:
        self._url = url
        self._session = session
        self._clock = clock
        self._fits = fits
        self._keys: Mapping[str, jwt.PyJWK] = {}
        self._fetched_at: datetime | None = None
        self._failed_at: datetime | None = None
        self._lock = threading.Lock()

    def verified(self, token: str, audiences: frozenset[str], issuer: str) -> Mapping[str, Any] | None:
        """Return what a token says that one of the keys signed by RS256, for these, valid now; None for any other.

        Raises TryAgain where the keys cannot be read.
        """
        if len(token) > LONGEST_TOKEN or not audiences:
            return None
        try:
            key = self._key(str(jwt.get_unverified_header(token).get("kid")))
            if key is None:
                return None
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=["RS256"],
                audience=audiences,
                issuer=issuer,
                # Times are compared below, with the clock that everything else goes by; when it was issued, nowhere.
                options={
                    "require": ["exp", "nbf", "iss", "aud"],
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                },
            )
        except jwt.PyJWTError:
            return None
        return claims if self._is_valid_now(claims) else None

    def _is_valid_now(self, claims: Mapping[str, Any]) -> bool:
        now, skew = self._clock.now().timestamp(), CLOCK_SKEW.total_seconds()
        begins, ends = claims["nbf"], claims["exp"]
        known = isinstance(begins, int | float) and isinstance(ends, int | float)
        return known and begins - skew <= now < ends + skew

    def _key(self, key_id: str) -> jwt.PyJWK | None:
        with self._lock:
            age = None if self._fetched_at is None else self._clock.now() - self._fetched_at
            unknown = key_id not in self._keys
            if age is None or age > KEYS_KEPT_FOR or (unknown and age > KEYS_ASKED_AGAIN_AFTER):
                self._renew()
            return self._keys.get(key_id)

    def _renew(self) -> None:
        if self._failed_at is not None and self._clock.now() - self._failed_at < FAILURE_KEPT_FOR:
            raise _unavailable()
        try:
            self._keys = self._fetched()
        except TryAgain:
            self._failed_at = self._clock.now()
            raise
        self._fetched_at, self._failed_at = self._clock.now(), None

    def _fetched(self) -> Mapping[str, jwt.PyJWK]:
        try:
            answer = self._session.get(self._url, timeout=TIMEOUT, allow_redirects=False)
            if answer.status_code != HTTPStatus.OK:
                raise _unavailable()
            fitting = [each for each in answer.json()["keys"] if self._fits(each)]
            keys = jwt.PyJWKSet.from_dict({"keys": fitting}).keys
        except (requests.RequestException, ValueError, KeyError, TypeError, AttributeError, jwt.PyJWTError):
            raise _unavailable() from None
        return {key.key_id: key for key in keys if key.key_id}


def _unavailable() -> TryAgain:
    return TryAgain(
        "signing-keys-unavailable",
        "The keys that tokens are signed with could not be read.",
        remedy="See the health of Entra and the app's network.",
    )
