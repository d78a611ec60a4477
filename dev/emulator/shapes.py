"""The shapes of JSON values: small checks, put together in tables, that refuse what Graph's types refuse."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import UTC, datetime

from dev.emulator.errors import Json, bad_request, invalid_property, invalid_value

Check = Callable[[object, str], object]  # takes the value and its property's name, returns what is stored

_GUID = re.compile(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_TIME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}(\.\d{1,7})?(Z|[+-]\d{2}:\d{2})")


def utf16_length(text: str) -> int:
    """How .NET counts: a character outside the basic plane is two."""
    return len(text.encode("utf-16-le", errors="surrogatepass")) // 2


def is_guid(value: object) -> bool:
    """Whether it is a GUID in the usual form."""
    return isinstance(value, str) and _GUID.fullmatch(value) is not None


def text(at_most: int = 1024, at_least: int = 0) -> Check:
    """A string within the limits."""

    def check(value: object, name: str) -> object:
        if not isinstance(value, str) or not at_least <= utf16_length(value) <= at_most:
            raise invalid_value(name)
        return value

    return check


def flag(value: object, name: str) -> object:
    """A boolean."""
    if not isinstance(value, bool):
        raise invalid_value(name)
    return value


def guid(value: object, name: str) -> object:
    """A GUID."""
    if not is_guid(value):
        raise invalid_value(name)
    return str(value).lower()


def time(value: object, name: str) -> object:
    """An ISO 8601 time with a time zone, kept in UTC."""
    if not isinstance(value, str) or not _TIME.fullmatch(value):
        raise invalid_value(name)
    return as_text(parse_time(value))


def parse_time(value: str) -> datetime:
    """Read what `time` has accepted; .NET has seven decimals, Python six."""
    value = re.sub(r"(\.\d{6})\d", r"\1", value)
    try:
        return datetime.fromisoformat(value).astimezone(UTC)
    except ValueError:
        raise invalid_value("dateTime") from None


def as_text(at: datetime) -> str:
    """As Graph writes times."""
    at = at.astimezone(UTC)
    return at.strftime("%Y-%m-%dT%H:%M:%S") + (f".{at.microsecond:06}".rstrip("0") if at.microsecond else "") + "Z"


def one_of(*choices: object) -> Check:
    """One of a few values; 1 is not True here."""

    def check(value: object, name: str) -> object:
        if not any(value == choice and type(value) is type(choice) for choice in choices):
            raise invalid_value(name)
        return value

    return check


def nullable(inner: Check) -> Check:
    """Null, or what the inner check accepts."""
    return lambda value, name: None if value is None else inner(value, name)


def many(inner: Check, at_most: int = 1000) -> Check:
    """A list of what the inner check accepts."""

    def check(value: object, name: str) -> object:
        if not isinstance(value, list) or len(value) > at_most:
            raise invalid_value(name)
        return [inner(item, name) for item in value]

    return check


def distinct(inner: Check, fold: Callable[[str], str] = str) -> Check:
    """A list without duplicates, of which `fold` says what counts as the same."""

    def check(value: object, name: str) -> object:
        items = many(inner)(value, name)
        assert isinstance(items, list)
        if len({fold(str(item)) for item in items}) != len(items):
            raise bad_request(f"Request contains a property with duplicate values. Property: {name}.")
        return items

    return check


def record(fields: Mapping[str, Check], required: tuple[str, ...] = ()) -> Check:
    """A JSON object with these fields and no other."""

    def check(value: object, name: str) -> object:
        if not isinstance(value, dict):
            raise invalid_value(name)
        return read(value, fields, required, name)

    return check


def read(
    body: Json, fields: Mapping[str, Check], required: tuple[str, ...] = (), resource: str = "Application"
) -> Json:
    """Check an object field by field."""
    stored: Json = {}
    for name, value in body.items():
        if name not in fields:
            raise invalid_property(name)
        stored[name] = fields[name](value, name)
    for name in required:
        if stored.get(name) is None:
            message = f"A value is required for property '{name}' of resource '{resource}'."
            raise bad_request(message, detail="MissingValue", target=name)
    return stored
