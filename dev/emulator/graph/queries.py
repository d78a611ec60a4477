"""The OData options that the directory supports: which it allows, $filter and $select; `pages.py` cuts the lists."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dev.emulator.errors import Json, bad_request, unsupported_query
from dev.emulator.pages import without_place

OPTIONS = frozenset({"$filter", "$select", "$top", "$count", "$skiptoken"})

_TEXT = r"'(?P<value>(?:[^']|'')*)'"
_EQUALS = re.compile(rf"(?P<name>\w+)\s+eq\s+(?:{_TEXT}|(?P<literal>true|false|null))")
_STARTS = re.compile(rf"startswith\(\s*(?P<name>\w+)\s*,\s*{_TEXT}\s*\)", re.IGNORECASE)
_ANY = re.compile(rf"(?P<name>\w+)/any\(\s*(?P<v>\w+)\s*:\s*(?P=v)\s+eq\s+{_TEXT}\s*\)")
_ANY_STARTS = re.compile(
    rf"(?P<name>\w+)/any\(\s*(?P<v>\w+)\s*:\s*startswith\(\s*(?P=v)\s*,\s*{_TEXT}\s*\)\s*\)", re.IGNORECASE
)
_AND = re.compile(r"\s+and\s+(?=(?:[^']|'[^']*')*$)")

Test = Callable[[Json], bool]


@dataclass(frozen=True)
class Supported:
    """Which properties a collection can be filtered by, and how."""

    equals: frozenset[str]
    starts: frozenset[str]
    any: frozenset[str]
    advanced: frozenset[str] = frozenset()  # these need ConsistencyLevel: eventual and $count=true


APPLICATION = Supported(
    equals=frozenset({"id", "appId", "displayName", "uniqueName", "signInAudience", "publisherDomain"}),
    starts=frozenset({"displayName", "uniqueName"}),
    any=frozenset({"tags", "identifierUris"}),
    advanced=frozenset({"notes", "serviceManagementReference", "description"}),
)
SERVICE_PRINCIPAL = Supported(
    equals=frozenset({"id", "appId", "displayName", "accountEnabled", "servicePrincipalType"}),
    starts=frozenset({"displayName"}),
    any=frozenset({"tags", "servicePrincipalNames"}),
    advanced=frozenset({"notes"}),
)


def predicate(text: str, supported: Supported, *, advanced: bool) -> Test:
    """Read a $filter: comparisons joined by `and`."""
    tests = [_comparison(part.strip(), supported, advanced=advanced) for part in _AND.split(text.strip())]
    return lambda item: all(test(item) for test in tests)


def _comparison(text: str, supported: Supported, *, advanced: bool) -> Test:
    forms = (
        (_EQUALS, supported.equals, _equals),
        (_STARTS, supported.starts, _starts),
        (_ANY, supported.any, _any),
        (_ANY_STARTS, supported.any, _any_starts),
    )
    for pattern, names, make in forms:
        match = pattern.fullmatch(text)
        if match is None:
            continue
        name = match["name"]
        value = _literal(match)
        needs_advanced = name in supported.advanced and pattern in (_EQUALS, _STARTS)
        if name not in names and not (needs_advanced and advanced):
            raise unsupported_query(f"Unsupported or invalid query filter clause specified for property '{name}'.")
        return make(name, value)
    raise unsupported_query("Unsupported or invalid query filter clause.")


def _literal(match: re.Match[str]) -> object:
    if match["value"] is not None:
        return match["value"].replace("''", "'")
    return {"true": True, "false": False, "null": None}[match["literal"]]


def _fold(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _equals(name: str, value: object) -> Test:
    return lambda item: bool(_fold(item[name]) == _fold(value))


def _starts(name: str, value: object) -> Test:
    return lambda item: str(_fold(item[name] or "")).startswith(str(_fold(value)))


def _any(name: str, value: object) -> Test:
    return lambda item: any(_fold(entry) == _fold(value) for entry in item[name])


def _any_starts(name: str, value: object) -> Test:
    return lambda item: any(str(_fold(entry)).startswith(str(_fold(value))) for entry in item[name])


def check_options(options: Mapping[str, str], allowed: frozenset[str]) -> None:
    """Refuse an option that the path does not have."""
    for name in options:
        if name.startswith("$") and name not in allowed:
            raise bad_request(f"The query option '{name}' is not supported here.", code="BadRequest")


def select(item: Json, options: Mapping[str, str], kind: str) -> Json:
    """Only the asked properties, if any were asked for."""
    if "$select" not in options:
        return without_place(item)
    names = [name.strip() for name in options["$select"].split(",")]
    for name in names:
        if name not in item or name == "#":
            message = (
                f"Parsing OData Select and Expand failed: Could not find a property named '{name}' on type '{kind}'."
            )
            raise bad_request(message, code="BadRequest")
    return {name: item[name] for name in names}
