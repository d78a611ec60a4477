"""The message that a notice is as a card in a channel of Microsoft Teams, posted by a workflow. Pure.

Sources: Adaptive Cards 1.2, the version that Teams shows on phones too; "Create incoming webhooks with Workflows" (a
message with cards as attachments, of at most 28 KB). A TextRun shows text as it stands, where a TextBlock or a Fact
would read Markdown in it: a name that somebody chose is never a link.
"""

from collections.abc import Mapping
from typing import Any, Final

from provisioning.domain import notices
from provisioning.domain.notices import Notice

_CARD: Final = "application/vnd.microsoft.card.adaptive"
_LONGEST_TEXT: Final = 400
_MOST_FINDINGS: Final = 5

# What each notice says first, and in which of the colours of a card.
_HEADLINES: Final[Mapping[str, tuple[str, str]]] = {
    notices.ACTIVE: ("Registered", "Good"),
    notices.FAILED: ("Could not be registered", "Attention"),
    notices.ROTATED: ("Has a new secret", "Good"),
    notices.ROTATION_FAILED: ("Could not get a new secret", "Attention"),
    notices.CHANGED: ("Changed", "Good"),
    notices.CHANGE_FAILED: ("Could not be changed", "Attention"),
    notices.DELETED: ("Deleted", "Default"),
    notices.APPROVAL_REQUESTED: ("Waits for an approval", "Warning"),
    notices.EXPIRING: ("A credential ends soon", "Warning"),
    notices.SECRET_IN_USE: ("A replaced secret is used still", "Warning"),
    notices.DRIFT: ("Is not as it was left", "Warning"),
}
_NAMES: Final[Mapping[str, str]] = {
    "clientType": "Client type",
    "status": "Status",
    "owner": "Owner",
    "contact": "Contact",
    "formerContact": "Contact before",
    "clientId": "Client id",
    "who": "Decided by",
    "lapsesAt": "Decide before",
    "what": "What ends",
    "expiresAt": "Ends at",
    "keyId": "Key id",
    "lastUsedAt": "Last used at",
    "keptUntil": "Removed after",
}


def message_of(notice: Notice, page: str | None) -> dict[str, Any] | None:
    """Return the message of a notice, with a link to the page where there is one; None for what is no news to people.

    The heartbeat is none: its absence is the news, and no card tells that.
    """
    if notice.type not in _HEADLINES:
        return None
    headline, colour = _HEADLINES[notice.type]
    data = notice.data
    body = [_line(str(data.get("displayName", "")), size="Medium", weight="Bolder"), _line(headline, color=colour)]
    body += [_line(f"{label}: {data[name]}") for name, label in _NAMES.items() if data.get(name) is not None]
    if changed := data.get("changed"):
        body.append(_line(f"Changed: {', '.join(changed)}"))
    findings = data.get("findings", ())
    for each in (*filter(None, (data.get("failure"),)), *findings[:_MOST_FINDINGS]):
        body += [_line(each["message"], weight="Bolder"), _line(each["remedy"])]
    if len(findings) > _MOST_FINDINGS:
        body.append(_line(f"and {len(findings) - _MOST_FINDINGS} more."))
    card: dict[str, Any] = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.2",
        "fallbackText": _short(f"{data.get('displayName', '')}: {headline}"),
        "body": body,
    }
    if page is not None:
        decides = notice.type == notices.APPROVAL_REQUESTED
        link = f"{page}#/r/{notice.subject}" + ("/decide" if decides else "")
        card["actions"] = [{"type": "Action.OpenUrl", "title": "Decide" if decides else "Open", "url": link}]
    return {"type": "message", "attachments": [{"contentType": _CARD, "contentUrl": None, "content": card}]}


def _line(text: str, **style: str) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": _short(text), **style}]}


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_TEXT else f"{text[: _LONGEST_TEXT - 1]}…"
