"""Entra's rules for the issuers that an application trusts (`federatedIdentityCredentials`): no key, no secret."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from dev.emulator.errors import GraphError, Json, bad_request, invalid_value, too_large
from dev.emulator.shapes import many, nullable, read, text

if TYPE_CHECKING:
    from collections.abc import Callable

MOST_FEDERATED = 20
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
_REQUIRED = ("name", "issuer", "subject", "audiences")


def created(body: Json, stored: list[Json], new_id: Callable[[], str]) -> Json:
    """A new federated identity credential beside the stored ones."""
    asked = read(body, _FEDERATED_FIELDS, _REQUIRED, "FederatedIdentityCredential")
    _check(asked, stored)
    if len(stored) >= MOST_FEDERATED:
        raise too_large()
    return {"id": new_id(), "description": None, **asked}


def updated(body: Json, before: Json, others: list[Json]) -> Json:
    """One that is changed; its name is as immutable as its id."""
    if body.get("name", before["name"]) != before["name"]:
        raise bad_request("Property 'name' is immutable.", detail="PropertyNotUpdatable", target="name")
    after = {**before, **read(body, _FEDERATED_FIELDS, resource="FederatedIdentityCredential")}
    _check(after, others)
    return after


def _check(asked: Json, stored: list[Json]) -> None:
    if len(asked["audiences"]) != 1:
        raise invalid_value("audiences", "FederatedIdentityCredential", "Exactly one audience is expected.")
    if "*" in asked["subject"] or "*" in asked["issuer"]:
        raise invalid_value("subject", "FederatedIdentityCredential", "Wildcards are not supported.")
    for other in stored:
        if other["name"] == asked["name"]:
            raise _federated_conflict(f"name {asked['name']}")
        if (other["issuer"], other["subject"]) == (asked["issuer"], asked["subject"]):
            raise _federated_conflict("the same issuer and subject")


def _federated_conflict(what: str) -> GraphError:
    message = f"FederatedIdentityCredential with {what} already exists."
    return GraphError(409, "Request_MultipleObjectsWithSameKeyValue", message)
