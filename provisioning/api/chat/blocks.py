"""What is said, as Slack shows it: Block Kit. Every text is `plain_text`: a name that somebody chose is never a link.

Sources: "Block Kit" (50 blocks in a message, 3,000 characters in a section, 150 in a header), "Handling user
interaction" (`ephemeral`: only whoever asked sees it). The text beside the blocks is for notifications, and is escaped.
"""

from collections.abc import Iterator
from typing import Any, Final

from provisioning.api.chat.form import KINDS
from provisioning.api.chat.verbs import Item, Said
from provisioning.domain.slack import Workspace

_LONGEST: Final = 3000
_LONGEST_NAME: Final = 150
_MOST_BLOCKS: Final = 50
_LONGEST_REASON: Final = 1000


def message_of(said: Said, workspace: Workspace, *, instead: bool = False) -> dict[str, Any]:
    """Return the message, which whoever asked sees alone; `instead` of the one with the button that was pressed.

    Who cannot be shown all that a request asks for is not offered to agree to it: that is on the page then.
    """
    whole = all(len(_text_of(item)) <= _LONGEST for item in said.items)
    blocks = [_section(said.text)]
    for item in said.items:
        blocks += [{"type": "header", "text": _plain(item.name, _LONGEST_NAME)}, _section(_text_of(item))]
    blocks += [_section("\n".join(said.lines))] if said.lines else []
    if said.decide_digest and whole:
        [item] = said.items
        blocks += _decision(f"{item.registration_id} {said.decide_digest}")
    if said.forms and workspace.has_forms:
        blocks.append(
            {"type": "actions", "elements": [_button("register", each.title, kind) for kind, each in KINDS.items()]}
        )
    elif workspace.page is not None and said.page:
        blocks.append({"type": "actions", "elements": [_link(f"{workspace.page}{said.page}")]})
    shown = {"response_type": "ephemeral", "text": _escaped(said.text), "blocks": blocks[:_MOST_BLOCKS]}
    return shown | ({"replace_original": True} if instead else {"replace_original": False})


def _decision(value: str) -> Iterator[dict[str, Any]]:
    reason = {"type": "plain_text_input", "action_id": "reason", "max_length": _LONGEST_REASON}
    label = _plain("Reason, to deny it", _LONGEST_NAME)
    yield {"type": "input", "block_id": "reason", "optional": True, "label": label, "element": reason}
    agree = _button("approve", "Approve", value) | {"style": "primary"}
    yield {"type": "actions", "elements": [agree, _button("deny", "Deny", value) | {"style": "danger"}]}


def _button(action: str, text: str, value: str) -> dict[str, Any]:
    # Of several buttons in a block each has an action of its own.
    name = action if action != "register" else f"{action}-{value}"
    return {"type": "button", "action_id": name, "text": _plain(text, _LONGEST_NAME), "value": value}


def _text_of(item: Item) -> str:
    return "\n".join((*item.lines, item.registration_id))


def _link(url: str) -> dict[str, Any]:
    return {"type": "button", "action_id": "open", "text": _plain("Open the page", _LONGEST_NAME), "url": url}


def _section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": _plain(text, _LONGEST)}


def _plain(text: str, longest: int) -> dict[str, Any]:
    shown = text if len(text) <= longest else f"{text[: longest - 1]}…"
    return {"type": "plain_text", "text": shown or " ", "emoji": False}


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
