"""Entra's rules for the secrets of an application (`passwordCredentials`), which Graph makes and shows once."""

from __future__ import annotations

import string
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dev.emulator.constants import SECRET_MARKER
from dev.emulator.errors import Json, bad_request
from dev.emulator.shapes import as_text, nullable, parse_time, read, text, time

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from dev.emulator.faults import Switches

_CHARACTERS = string.ascii_letters + string.digits + "~._-"
_LENGTH = 40
_PASSWORD_FIELDS = {"displayName": nullable(text(256)), "startDateTime": nullable(time), "endDateTime": nullable(time)}


@dataclass
class Password:
    """A secret of an application. Its text is kept for the token endpoint to compare, and for nothing else."""

    key_id: str
    text: str
    display_name: str | None
    start: datetime
    end: datetime
    added_at: datetime
    removed_at: datetime | None = None

    def lose_after(self, seconds: float) -> None:
        """Let another write, made from an older copy of the list, undo this one."""
        self.removed_at = self.added_at + timedelta(seconds=seconds)

    def shown(self) -> Json:
        """As Graph lists it: without the text."""
        return {
            "customKeyIdentifier": None,
            "displayName": self.display_name,
            "endDateTime": as_text(self.end),
            "hint": self.text[:3],
            "keyId": self.key_id,
            "secretText": None,
            "startDateTime": as_text(self.start),
        }


def secret_text(rng: random.Random) -> str:
    """A secret in Entra's form. The marker stands after the first characters, which Graph shows as the hint."""
    free = _LENGTH - len(SECRET_MARKER)
    drawn = "".join(rng.choice(_CHARACTERS) for _ in range(free))
    at = rng.randrange(3, free)
    return drawn[:at] + SECRET_MARKER + drawn[at:]


def mint(body: Json, switches: Switches, now: datetime, rng: random.Random, new_id: Callable[[], str]) -> Password:
    """Make a password as asked for, if the tenant's policies allow it."""
    asked = read(body, _PASSWORD_FIELDS, resource="PasswordCredential")
    start = parse_time(asked["startDateTime"]) if asked.get("startDateTime") else now
    end = parse_time(asked["endDateTime"]) if asked.get("endDateTime") else _two_years_after(start)
    if switches.password_addition_blocked:
        raise bad_request(
            "Credential type not allowed as per assigned policy.", code="CredentialTypeNotAllowedAsPerAppPolicy"
        )
    limit = switches.password_lifetime_days
    if limit is not None and end - start > timedelta(days=limit):
        message = f"Credential lifetime exceeds the max value allowed as per assigned policy: {limit:g} days."
        raise bad_request(message, code="CredentialInvalidLifetimeAsPerAppPolicy")
    if end <= start or end <= now:
        raise bad_request("Password credential end date is invalid.", detail="InvalidValue", target="endDateTime")
    return Password(new_id(), secret_text(rng), asked.get("displayName"), start, end, now)


def _two_years_after(start: datetime) -> datetime:
    try:
        return start.replace(year=start.year + 2)
    except ValueError:  # 29 February
        return start.replace(year=start.year + 2, day=28)
