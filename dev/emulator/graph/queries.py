"""The OData options that the directory supports: which it allows, $filter and $select; `pages.py` cuts the lists."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dev.emulator.errors import Json, bad_request, unsupported_query
from dev.emulator.pages import without_place
from dev.emulator.shapes import parse_time, time

OPTIONS = frozenset({"$filter", "$select", "$top", "$count", "$skiptoken"})

_TEXT = r"'(?P<value>(?:[^']|'')*)'"
_EQUALS = re.compile(rf"(?P<name>\w+)\s+eq\s+(?:{_TEXT}|(?P<literal>true|false|null)\b)")
_IN = re.compile(r"(?P<name>\w+)\s+in\s+\(\s*(?P<values>'(?:[^']|'')*'(?:\s*,\s*'(?:[^']|'')*')*)\s*\)")
_ORDERED = re.compile(rf"(?P<name>\w+)\s+(?P<order>ge|le)\s+(?:{_TEXT}|(?P<time>\d{{4}}-[\dT:.Z+-]+))")
_STARTS = re.compile(rf"startswith\(\s*(?P<name>\w+)\s*,\s*{_TEXT}\s*\)", re.IGNORECASE)
_ANY = re.compile(rf"(?P<name>\w+)/any\(\s*(?P<v>\w+)\s*:\s*(?P=v)\s+eq\s+{_TEXT}\s*\)")
_ANY_STARTS = re.compile(
    rf"(?P<name>\w+)/any\(\s*(?P<v>\w+)\s*:\s*startswith\(\s*(?P=v)\s*,\s*{_TEXT}\s*\)\s*\)", re.IGNORECASE
)
_GUID = re.compile(r"(?P<name>\w+)\s+eq\s+(?P<guid>[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12})\b")
_ONE_TEXT = re.compile(r"'((?:[^']|'')*)'")
_TIMES = frozenset({"createdDateTime"})
MOST_OR = 15  # comparisons joined by `or`, or values of an `in`

Test = Callable[[Json], bool]


@dataclass(frozen=True)
class Supported:
    """Which properties a collection can be filtered by, and how."""

    equals: frozenset[str]  # by `eq` and `in`
    starts: frozenset[str]
    any: frozenset[str]
    ordered: frozenset[str] = frozenset()  # by `ge` and `le`
    guids: frozenset[str] = frozenset()  # by `eq`, without quotes
    advanced: frozenset[str] = frozenset()  # these need ConsistencyLevel: eventual and $count=true


APPLICATION = Supported(
    equals=frozenset({"id", "appId", "displayName", "uniqueName", "signInAudience", "publisherDomain"}),
    starts=frozenset({"displayName", "uniqueName"}),
    any=frozenset({"tags", "identifierUris"}),
    ordered=frozenset({"displayName", "createdDateTime"}),
    advanced=frozenset({"notes", "serviceManagementReference", "description"}),
)
SERVICE_PRINCIPAL = Supported(
    equals=frozenset({"id", "appId", "displayName", "accountEnabled", "servicePrincipalType"}),
    starts=frozenset({"displayName"}),
    any=frozenset({"tags", "servicePrincipalNames"}),
    ordered=frozenset({"displayName"}),
    advanced=frozenset({"notes"}),
)

# "List appRoleAssignments granted to a user", example 2: the resource's id stands bare. One in quotes is refused, as
# that of a role is ("Invalid filter clause"; Microsoft Q&A 603125).
ASSIGNMENT = Supported(equals=frozenset(), starts=frozenset(), any=frozenset(), guids=frozenset({"resourceId"}))

ROLE_DEFINITION = Supported(equals=frozenset({"id", "displayName"}), starts=frozenset(), any=frozenset())
ROLE_ASSIGNMENT = Supported(
    equals=frozenset({"principalId", "roleDefinitionId", "directoryScopeId"}), starts=frozenset(), any=frozenset()
)


def predicate(text: str, supported: Supported, *, advanced: bool) -> Test:
    """Read a $filter: `and` binds closer than `or`, parentheses closer than both."""
    return _Filter(text.strip(), supported, advanced=advanced).read()


class _Filter:
    """One $filter, and how far it is read."""

    def __init__(self, text: str, supported: Supported, *, advanced: bool) -> None:
        self._text = text
        self._supported = supported
        self._advanced = advanced
        self._place = 0

    def read(self) -> Test:
        test = self._either()
        if self._place != len(self._text):
            raise unsupported_query("Unsupported or invalid query filter clause.")
        return test

    def _took(self, pattern: str) -> bool:
        match = re.compile(pattern).match(self._text, self._place)
        self._place = match.end() if match else self._place
        return match is not None

    def _either(self) -> Test:
        tests = [self._both()]
        while self._took(r"\s+or\s+"):
            tests.append(self._both())
        _check_count(len(tests))
        return lambda item: any(test(item) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._took(r"\s+and\s+"):
            tests.append(self._one())
        return lambda item: all(test(item) for test in tests)

    def _one(self) -> Test:
        if not self._took(r"\(\s*"):
            return self._comparison()
        test = self._either()
        if not self._took(r"\s*\)"):
            raise unsupported_query("Unsupported or invalid query filter clause.")
        return test

    def _comparison(self) -> Test:
        supported = self._supported
        forms = (
            (_EQUALS, supported.equals, _equals),
            (_GUID, supported.guids, _equals_guid),
            (_IN, supported.equals, _in),
            (_ORDERED, supported.ordered, _ordered),
            (_STARTS, supported.starts, _starts),
            (_ANY, supported.any, _any),
            (_ANY_STARTS, supported.any, _any_starts),
        )
        for pattern, names, make in forms:
            match = pattern.match(self._text, self._place)
            if match is None:
                continue
            name = match["name"]
            needs_advanced = name in supported.advanced and pattern in (_EQUALS, _STARTS)
            if name not in names and not (needs_advanced and self._advanced):
                raise unsupported_query(f"Unsupported or invalid query filter clause specified for property '{name}'.")
            self._place = match.end()
            return make(name, match)
        raise unsupported_query("Unsupported or invalid query filter clause.")


def _check_count(count: int) -> None:
    if count > MOST_OR:
        raise unsupported_query(
            "Too many child clauses specified in search filter expression containing 'OR' operators: "
            f"{count}. Max allowed: {MOST_OR}."
        )


def _literal(match: re.Match[str]) -> object:
    if match["value"] is not None:
        return _unquoted(match["value"])
    return {"true": True, "false": False, "null": None}[match["literal"]]


def _unquoted(text: str) -> str:
    return text.replace("''", "'")


def _fold(value: object) -> object:
    return value.lower() if isinstance(value, str) else value


def _equals(name: str, match: re.Match[str]) -> Test:
    value = _fold(_literal(match))
    return lambda item: bool(_fold(item[name]) == value)


def _equals_guid(name: str, match: re.Match[str]) -> Test:
    value = _fold(match["guid"])
    return lambda item: bool(_fold(item[name]) == value)


def _in(name: str, match: re.Match[str]) -> Test:
    values = {_fold(_unquoted(each)) for each in _ONE_TEXT.findall(match["values"])}
    _check_count(len(values))
    return lambda item: _fold(item[name]) in values


def _ordered(name: str, match: re.Match[str]) -> Test:
    """Times are written bare, texts in quotes."""
    if (match["time"] is not None) != (name in _TIMES):
        raise unsupported_query(f"Unsupported or invalid query filter clause specified for property '{name}'.")
    compare = operator.ge if match["order"] == "ge" else operator.le
    if match["time"] is not None:
        bound = parse_time(str(time(match["time"], name)))
        return lambda item: bool(compare(parse_time(item[name]), bound))
    text = str(_fold(_unquoted(match["value"])))
    return lambda item: bool(compare(str(_fold(item[name] or "")), text))


def _starts(name: str, match: re.Match[str]) -> Test:
    value = str(_fold(_unquoted(match["value"])))
    return lambda item: str(_fold(item[name] or "")).startswith(value)


def _any(name: str, match: re.Match[str]) -> Test:
    value = _fold(_unquoted(match["value"]))
    return lambda item: any(_fold(entry) == value for entry in item[name])


def _any_starts(name: str, match: re.Match[str]) -> Test:
    value = str(_fold(_unquoted(match["value"])))
    return lambda item: any(str(_fold(entry)).startswith(value) for entry in item[name])


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
