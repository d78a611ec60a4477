"""Which Adaptive Cards Microsoft Teams shows, of those elements that this service uses; others are not known here.

Sources: the schema of Adaptive Cards (which version brought which element, what each of them must have), "Universal
Actions for Adaptive Cards" (`Action.Execute`), "Cards reference" of Teams (28 KB).
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.emulator.errors import Json

LARGEST = 28 * 1024
# Of each element: what it must have, and what it may.
_ELEMENTS = {
    "RichTextBlock": ({"inlines"}, {"separator"}),
    "Input.Text": ({"id"}, {"label", "isMultiline", "isRequired", "errorMessage", "maxLength", "value"}),
}
_ACTIONS = {
    "Action.Execute": ({"title", "verb", "data"}, {"style"}),
    "Action.OpenUrl": ({"title", "url"}, set[str]()),
    "Action.ShowCard": ({"title", "card"}, set[str]()),
}
_RUN = ({"text"}, {"weight", "size", "color"})


def faults(card: Json) -> Iterator[str]:
    """What is wrong with a card."""
    if len(json.dumps(card, ensure_ascii=False).encode()) > LARGEST:
        yield "too large"
    if (card.get("type"), card.get("version")) != ("AdaptiveCard", "1.4"):
        yield "no AdaptiveCard 1.4, which Action.Execute is of"
    if set(card) - {"$schema", "type", "version", "body", "actions"}:
        yield "what a card does not have"
    ids = [each["id"] for each in inputs(card)]
    if len(ids) != len(set(ids)):
        yield "two inputs of one id"
    yield from _of_card(card)


def inputs(card: Json) -> Iterator[Json]:
    """The inputs of a card, and of those that its actions show."""
    yield from (each for each in card.get("body", ()) if str(each.get("type")).startswith("Input."))
    for each in card.get("actions", ()):
        if each["type"] == "Action.ShowCard":
            yield from inputs(each["card"])


def buttons(card: Json) -> Iterator[Json]:
    """The buttons that come back to the bot, those within shown cards included."""
    for each in card.get("actions", ()):
        if each["type"] == "Action.Execute":
            yield each
        elif each["type"] == "Action.ShowCard":
            yield from buttons(each["card"])


def _of_card(card: Json) -> Iterator[str]:
    for each in card.get("body", ()):
        yield from _shape(each, _ELEMENTS.get(each.get("type")))
        for run in each.get("inlines", ()):
            if run.get("type") != "TextRun" or not run.get("text"):
                yield "a run without text"
            yield from _shape(run, _RUN)
    for each in card.get("actions", ()):
        yield from _shape(each, _ACTIONS.get(each.get("type")))
        if each.get("type") == "Action.ShowCard":
            yield from _of_card(each["card"])


def _shape(given: Json, rule: tuple[set[str], set[str]] | None) -> Iterator[str]:
    if rule is None:
        yield f"an element that is not known: {given.get('type')}"
    elif not rule[0] <= given.keys() - {"type"} <= rule[0] | rule[1]:
        yield f"{given.get('type')} has too much, or lacks something"
