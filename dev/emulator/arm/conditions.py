"""What a condition on a role assignment says, read from its text: whoever holds the role may act where it is true.

Of the grammar in "Azure role assignment condition format and syntax" it reads what a delegation of role assignments
needs: actions, attributes of the request and of the resource, comparisons of GUIDs and texts over sets. AND beside OR
without parentheses is refused, so that nobody depends on which comes first.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_TOKENS = re.compile(
    r"\s*(?:(?P<word>AND|OR|NOT|&&|\|\||!|\(|\))|ActionMatches\{'(?P<action>[^']+)'\}"
    r"|@(?P<source>Request|Resource)\[(?P<attribute>[^\]]+)\]\s+(?P<operator>[A-Za-z]+(?::[A-Za-z]+)?)\s+"
    r"(?P<values>\{[^}]*\}|'[^']*'|[0-9a-fA-F-]{36}))"
)
_WORDS = {"&&": "AND", "||": "OR", "!": "NOT"}
_LISTED = re.compile(r"\s*'?([^',]+)'?\s*")
_OVER_SETS: dict[str, tuple[Callable[..., bool], Callable[..., bool]]] = {
    "ForAnyOfAnyValues": (any, any),
    "ForAnyOfAllValues": (any, all),
    "ForAllOfAnyValues": (all, any),
    "ForAllOfAllValues": (all, all),
    "": (any, any),  # a single value on either side
}
_COMPARISONS: dict[str, Callable[[str, str], bool]] = {
    "GuidEquals": lambda left, right: left.lower() == right.lower(),
    "GuidNotEquals": lambda left, right: left.lower() != right.lower(),
    "StringEquals": lambda left, right: left == right,
    "StringEqualsIgnoreCase": lambda left, right: left.lower() == right.lower(),
    "StringNotEqualsIgnoreCase": lambda left, right: left.lower() != right.lower(),
}


@dataclass(frozen=True)
class Attempt:
    """An action that somebody wants to take: what the request says, and what the resource is, by attribute."""

    action: str
    request: Mapping[str, str] = field(default_factory=dict)
    resource: Mapping[str, str] = field(default_factory=dict)


def is_fulfilled(condition: str, attempt: Attempt) -> bool:
    """Whether the condition allows the attempt; raises ValueError for a text that it cannot read."""
    reading = _Reading(_tokens(condition), attempt)
    fulfilled = reading.expression()
    if reading.left:
        _unreadable(reading.left[0][0])
    return fulfilled


def _tokens(text: str) -> list[re.Match[str]]:
    found, at = [], 0
    while text[at:].strip():
        token = _TOKENS.match(text, at)
        if token is None:
            _unreadable(text[at : at + 40])
        found.append(token)
        at = token.end()
    return found


class _Reading:
    """Reads on from the first token that is left; every part is read, whether or not the whole is decided."""

    def __init__(self, left: list[re.Match[str]], attempt: Attempt) -> None:
        self.left = left
        self._attempt = attempt

    def expression(self) -> bool:
        """Terms that are joined by one and the same word."""
        value, joined = self._term(), ""
        while self._next_word() in ("AND", "OR"):
            word = self._take_word()
            if joined not in ("", word):
                _unreadable(f"{word} after {joined}")
            joined, other = word, self._term()
            value = (value and other) if word == "AND" else (value or other)
        return value

    def _term(self) -> bool:
        word = self._next_word()
        if word == "NOT":
            self._take_word()
            return not self._term()
        if word == "(":
            self._take_word()
            value = self.expression()
            if self._next_word() != ")":
                _unreadable("a parenthesis that is not closed")
            self._take_word()
            return value
        if word or not self.left:
            _unreadable(word or "the end")
        token = self.left.pop(0)
        if token["action"]:
            return bool(re.fullmatch(re.escape(token["action"]).replace(r"\*", ".*"), self._attempt.action))
        return self._compared(token)

    def _compared(self, token: re.Match[str]) -> bool:
        over, _, name = token["operator"].rpartition(":")
        if over not in _OVER_SETS or name not in _COMPARISONS:
            _unreadable(token["operator"])
        source = self._attempt.request if token["source"] == "Request" else self._attempt.resource
        has = source.get(token["attribute"])
        (of_left, of_right), compare = _OVER_SETS[over], _COMPARISONS[name]
        values = _LISTED.findall(token["values"].strip("{}"))
        return has is not None and of_left([of_right([compare(has, value.strip()) for value in values])])

    def _next_word(self) -> str:
        word = (self.left[0]["word"] or "") if self.left else ""
        return _WORDS.get(word, word)

    def _take_word(self) -> str:
        word = self._next_word()
        self.left.pop(0)
        return word


def _unreadable(part: str) -> NoReturn:
    message = f"the condition cannot be read at {part!r}"
    raise ValueError(message)
