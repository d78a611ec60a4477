"""Entra's rules for passwords and federated identity credentials of an application."""

from __future__ import annotations

import re
import string
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dev.emulator.constants import SECRET_MARKER
from dev.emulator.errors import GraphError, Json, bad_request, invalid_value
from dev.emulator.shapes import as_text, many, nullable, parse_time, read, text, time

if TYPE_CHECKING:
    import random
    from collections.abc import Callable

    from dev.emulator.faults import Switches

_CHARACTERS = string.ascii_letters + string.digits + "~._-"
_LENGTH = 40
MOST_FEDERATED = 20
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


_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._~-]{2,119}")


def _federated_name(value: object, name: str) -> object:
    if not isinstance(value, str) or not _NAME.fullmatch(value):
        raise invalid_value(name, "FederatedIdentityCredential")
    return value


def _issuer(value: object, name: str) -> object:
    stored = str(text(600, 1)(value, name))
    parts = urlsplit(stored)
    if parts.scheme != "https" or not parts.hostname:
        raise invalid_value(name, "FederatedIdentityCredential")
    return stored


_FEDERATED_FIELDS = {
    "name": _federated_name,
    "issuer": _issuer,
    "subject": text(600, 1),
    "audiences": many(text(600, 1)),
    "description": nullable(text(600)),
}


def federated(body: Json, stored: list[Json], new_id: Callable[[], str]) -> Json:
    """A new federated identity credential beside the stored ones."""
    asked = read(body, _FEDERATED_FIELDS, ("name", "issuer", "subject", "audiences"), "FederatedIdentityCredential")
    if len(asked["audiences"]) != 1:
        raise invalid_value("audiences", "FederatedIdentityCredential", "Exactly one audience is expected.")
    if "*" in asked["subject"] or "*" in asked["issuer"]:
        raise invalid_value("subject", "FederatedIdentityCredential", "Wildcards are not supported.")
    for other in stored:
        if other["name"] == asked["name"]:
            raise _federated_conflict(f"name {asked['name']}")
        if (other["issuer"], other["subject"]) == (asked["issuer"], asked["subject"]):
            raise _federated_conflict("the same issuer and subject")
    if len(stored) >= MOST_FEDERATED:
        raise bad_request("The application already has 20 federated identity credentials.", detail="TooManyValues")
    return {"id": new_id(), "description": None, **asked}


def _federated_conflict(what: str) -> GraphError:
    message = f"FederatedIdentityCredential with {what} already exists."
    return GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message)
