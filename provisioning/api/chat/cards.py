"""What is said, as Microsoft Teams shows it: Adaptive Cards, whose buttons come back to the bot.

Sources: "Universal Actions for Adaptive Cards" (`Action.Execute`, of 1.4; what a press is answered), "Format your bot
messages" (28 KB). A TextRun shows text as it stands, where a TextBlock would read Markdown: a name that somebody chose
is never a link. A button that changes something opens what it means first, with the button that does it.
"""

import json
from collections.abc import Iterator, Mapping
from typing import Any, Final

from provisioning.api.chat.form import KINDS, Entry
from provisioning.api.chat.verbs import Item, Said
from provisioning.domain.teams import Bot

CARD: Final = "application/vnd.microsoft.card.adaptive"
MESSAGE: Final = "application/vnd.microsoft.activity.message"
LARGEST: Final = 28 * 1024
LONGEST_REASON: Final = 1000
_LONGEST_INPUT: Final = 3000
_LONGEST: Final = 3000

Json = dict[str, Any]


def activity_of(said: Said, bot: Bot) -> Json:
    """Return the message with the card; what would be larger than Teams takes is said in short, and is on the page.

    Who cannot be shown all that a request asks for is not offered to agree to it.
    """
    whole = _activity(said, card_of(said, bot))
    has_all = all(len(line) <= _LONGEST for item in said.items for line in item.lines)
    if has_all and len(json.dumps(whole, ensure_ascii=False).encode()) <= LARGEST:
        return whole
    items = tuple(Item(each.name, each.registration_id) for each in said.items)
    short = Said(said.text, items, ("There is more to read than fits here: see the page.",), page=said.page)
    return _activity(short, card_of(short, bot))


def card_of(said: Said, bot: Bot) -> Json:
    """Return what is said as a card."""
    body = [_line(said.text, weight="Bolder")]
    for item in said.items:
        body += [_line(item.name, size="Medium", weight="Bolder", separator=True)]
        body += [_line(each) for each in (*item.lines, item.registration_id)]
    body += [_line(each) for each in said.lines]
    return _card(body, [*_actions(said), *_link(said, bot)])


def form_of(kind: str, key: str, texts: Mapping[str, str], errors: Mapping[str, str]) -> Json:
    """Return the form for this kind of application, with what was filled in, and what is wrong under its field.

    `key` is the same each time that this form is sent.
    """
    body: list[Json] = [_line(KINDS[kind].title, size="Medium", weight="Bolder")]
    for each in KINDS[kind].entries:
        body.append(_input(each, texts.get(each.name, "")))
        body += [_line(errors[each.name], color="Attention")] if each.name in errors else []
    return _card(body, [_execute("Register", "send", {"kind": kind, "key": key})])


def answer_of(card: Json) -> Json:
    """Return what a press is answered that has the card be shown in place of the one with the button."""
    return {"statusCode": 200, "type": CARD, "value": card}


def told_of(text: str) -> Json:
    """Return what a press is answered that leaves the card as it is, and shows this beside it for a moment."""
    return {"statusCode": 200, "type": MESSAGE, "value": text}


def _activity(said: Said, card: Json) -> Json:
    return {"type": "message", "summary": said.text, "attachments": [{"contentType": CARD, "content": card}]}


def _card(body: list[Json], actions: list[Json]) -> Json:
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    return card | ({"actions": actions} if actions else {})


def _actions(said: Said) -> Iterator[Json]:
    if said.forms:
        yield from (_execute(each.title, "register", {"kind": kind}) for kind, each in KINDS.items())
    if said.decide_digest:
        [item] = said.items
        data = {"id": item.registration_id, "digest": said.decide_digest}
        agree = _execute("Approve what is shown", "approve", data) | {"style": "positive"}
        yield _opens("Approve…", [_line("It is done as soon as you agree.")], agree)
        refuse = _execute("Deny it", "deny", data) | {"style": "destructive"}
        yield _opens("Deny…", [_reason()], refuse)
    if said.secret:
        [item] = said.items
        data = {"id": item.registration_id, "digest": said.secret}
        warning = _line("The secret is replaced in the vault. The one of now works on for a while.")
        yield _opens("Rotate…", [warning], _execute("Replace the secret", "rotate", data))


def _link(said: Said, bot: Bot) -> Iterator[Json]:
    if bot.page is not None and said.page:
        yield {"type": "Action.OpenUrl", "title": "Open the page", "url": f"{bot.page}{said.page}"}


def _opens(title: str, body: list[Json], action: Json) -> Json:
    card = {"type": "AdaptiveCard", "body": body, "actions": [action]}
    return {"type": "Action.ShowCard", "title": title, "card": card}


def _execute(title: str, verb: str, data: Mapping[str, str]) -> Json:
    return {"type": "Action.Execute", "title": title, "verb": verb, "data": dict(data)}


def _reason() -> Json:
    return {
        "type": "Input.Text",
        "id": "reason",
        "label": "Reason",
        "isRequired": True,
        "errorMessage": "Write the reason.",
        "maxLength": LONGEST_REASON,
    }


def _input(entry: Entry, text: str) -> Json:
    field: Json = {"type": "Input.Text", "id": entry.name, "label": entry.label, "maxLength": _LONGEST_INPUT}
    field |= {"isMultiline": True} if entry.several else {}
    field |= {} if entry.optional else {"isRequired": True, "errorMessage": "This is needed."}
    return field | ({"value": text} if text else {})


def _line(text: str, *, separator: bool = False, **style: str) -> Json:
    shown = text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"
    line: Json = {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": shown, **style}]}
    return line | ({"separator": True} if separator else {})
