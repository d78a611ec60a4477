"""Entra's rules for the certificates of an application (`keyCredentials`); signatures with them the STS checks."""

from __future__ import annotations

import base64
import binascii
import uuid
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes

from dev.emulator.errors import Json, bad_request, invalid_value
from dev.emulator.shapes import as_text, guid, many, nullable, one_of, parse_time, record, text, time

_KEY = record(
    {
        "customKeyIdentifier": nullable(text(256)),
        "displayName": nullable(text(256)),
        "endDateTime": nullable(time),
        "key": nullable(text(16_384)),
        "keyId": nullable(guid),
        "startDateTime": nullable(time),
        "type": one_of("AsymmetricX509Cert"),
        "usage": one_of("Verify"),
    },
    ("type", "usage"),
)


def key_credentials(value: object, name: str) -> object:
    """The list as sent: new items bring a certificate, stored ones are named by `keyId`."""
    items = many(_KEY)(value, name)
    assert isinstance(items, list)
    return [_with_certificate(item) if item.get("key") else item for item in items]


def refuse_key_ids(sent: list[Json]) -> None:
    """In a create call nobody but Entra gives a credential its key id (ansible-collections/azure #2248, #2250)."""
    if any(item.get("keyId") for item in sent):
        raise invalid_value("keyId", "KeyCredential", "It is not expected of a new application.")


def check_new_keys(before: list[Json], after: list[Json], now: datetime, most_days: float | None) -> None:
    """What holds of a certificate at the time when it is added: it has not ended, and the tenant's policy allows it."""
    known = {item["keyId"] for item in before}
    for item in after:
        start, end = parse_time(item["startDateTime"]), parse_time(item["endDateTime"])
        if item["keyId"] in known:
            continue
        if end <= now:
            message = "Key credential end date is invalid."
            raise bad_request(message, code="KeyCredentialsInvalidEndDate", target="keyCredentials")
        if most_days is not None and end - start > timedelta(days=most_days):
            message = f"Credential lifetime exceeds the max value allowed as per assigned policy: {most_days:g} days."
            raise bad_request(message, code="CredentialInvalidLifetimeAsPerAppPolicy")


def _with_certificate(item: Json) -> Json:
    """Check the certificate and take from it what the caller has left out."""
    try:
        der = base64.b64decode(item["key"], validate=True)
        certificate = x509.load_der_x509_certificate(der)
    except (ValueError, binascii.Error):
        raise invalid_value("key", "KeyCredential", "It must be a certificate, base64 of DER.") from None
    start, end = certificate.not_valid_before_utc, certificate.not_valid_after_utc
    ends = parse_time(item["endDateTime"]) if item.get("endDateTime") else end
    starts = parse_time(item["startDateTime"]) if item.get("startDateTime") else start
    if ends > end or starts < start or starts >= ends:
        raise bad_request(
            "Key credential end date is invalid.", code="KeyCredentialsInvalidEndDate", target="keyCredentials"
        )
    thumbprint = certificate.fingerprint(hashes.SHA1()).hex().upper()  # noqa: S303 -- names a certificate, protects nothing
    return {
        "customKeyIdentifier": item.get("customKeyIdentifier") or thumbprint,
        "displayName": item.get("displayName") or certificate.subject.rfc4514_string(),
        "endDateTime": as_text(ends),
        "key": item["key"],
        "keyId": item.get("keyId") or str(uuid.uuid4()),
        "startDateTime": as_text(starts),
        "type": item["type"],
        "usage": item["usage"],
    }


def keep_stored_keys(before: list[Json], after: list[Json]) -> None:
    """Fill in, in place, the stored certificates that a PATCH names without their text."""
    stored = {item["keyId"]: item for item in before}
    for index, item in enumerate(after):
        if not item.get("key"):
            if item.get("keyId") not in stored:
                raise invalid_value("keyCredentials", why="A new key credential needs a key.")
            after[index] = stored[item["keyId"]]
    key_ids = [item["keyId"] for item in after]
    if len(set(key_ids)) != len(key_ids):
        raise bad_request("Request contains a property with duplicate values. Property: keyId.")


def shown(items: list[Json]) -> list[Json]:
    """As Graph lists them: the certificate itself is given back only where one application is read with `$select`."""
    return [{**item, "key": None} for item in items]
