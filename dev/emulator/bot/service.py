"""What people do in Microsoft Teams, as the bot is told of it, and the conversations that it answers in.

Sources: "Activity object" and "Bot Connector API reference" (Send to Conversation, Reply to Activity, Update Activity),
"Receive messages in a bot" of Teams (what an activity has in a personal chat and in a channel).
"""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dev.emulator.bot import cards, signing
from dev.emulator.errors import ArmError, Json

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

CARD = "application/vnd.microsoft.card.adaptive"


@dataclass
class Told:
    """A message of the bot in a conversation, as it stands now; `versions` is how often it was written."""

    conversation: str
    id: str
    activity: Json
    versions: int = 1

    @property
    def card(self) -> Json:
        """Its card."""
        [attachment] = self.activity["attachments"]
        card: Json = attachment["content"]
        return card


class BotFramework:
    """One bot in one tenant: `told` has what it said, oldest first."""

    def __init__(self, origin: str, tenant_id: str, bot_id: str, now: Callable[[], datetime]) -> None:
        self.service = f"{origin}/emea/"
        self.bot_id = bot_id
        self.told: list[Told] = []
        self._tenant_id = tenant_id
        self._now = now
        self._numbers = itertools.count(1)

    # --- what people do ---

    def headers(self, **changes: str) -> dict[str, str]:
        """The headers of an activity that the Bot Framework sends just now; `changes` are to the token's claims."""
        return {"authorization": f"Bearer {signing.token(self.bot_id, self.service, self._now(), **changes)}"}

    def message(self, person: str, text: str, *, channel: bool = False) -> Json:
        """Somebody writes to the bot, in a chat of their own or in a channel, where it has to be mentioned."""
        said = f"<at>Registrar</at> {text}\n" if channel else text
        return {**self._activity("message", person, channel=channel), "text": said, "textFormat": "plain"}

    def press(self, person: str, told: Told, button: Json, texts: dict[str, str] | None = None) -> Json:
        """Somebody presses a button of a card; what was written into its inputs comes with the button's data."""
        value = {
            "action": {"type": "Action.Execute", "verb": button["verb"], "data": {**button["data"], **(texts or {})}}
        }
        return {
            **self._activity("invoke", person),
            "name": "adaptiveCard/action",
            "replyToId": told.id,
            "value": {**value, "trigger": "manual"},
        }

    def joins(self, person: str) -> Json:
        """Somebody installs the bot."""
        return {**self._activity("installationUpdate", person), "action": "add"}

    def _activity(self, kind: str, person: str, *, channel: bool = False) -> Json:
        conversation, of = self.conversation(person), "personal"
        if channel:
            conversation, of = "19:general@thread.tacv2;messageid=1700000000000", "channel"
        number = next(self._numbers)
        return {
            "type": kind,
            "id": f"f:{number}" if kind != "message" else str(1700000000000 + number),
            "timestamp": self._now().isoformat(timespec="microseconds").replace("+00:00", "0Z"),
            "serviceUrl": self.service,
            "channelId": "msteams",
            "from": {"id": f"29:{person}", "name": "Somebody", "aadObjectId": person},
            "conversation": {"conversationType": of, "tenantId": self._tenant_id, "id": conversation},
            "recipient": {"id": f"28:{self.bot_id}", "name": "Registrar"},
            "entities": [{"locale": "en-US", "country": "US", "platform": "Web", "type": "clientInfo"}],
            "channelData": {"tenant": {"id": self._tenant_id}},
        }

    @staticmethod
    def conversation(person: str) -> str:
        """The id of the chat that a person has with the bot."""
        return f"a:{hashlib.sha256(person.encode()).hexdigest()}@bot"

    # --- what the bot says ---

    def say(self, claims: Json | None, conversation: str, activity: Json | None) -> Json:
        """A message of the bot; returns its id."""
        self._check(claims, conversation, activity)
        assert activity is not None
        told = Told(conversation, f"1:{next(self._numbers)}", activity)
        self.told.append(told)
        return {"id": told.id}

    def change(self, claims: Json | None, conversation: str, message: str, activity: Json | None) -> Json:
        """Another message in place of one that the bot sent there."""
        self._check(claims, conversation, activity)
        assert activity is not None
        for each in self.told:
            if (each.conversation, each.id) == (conversation, message):
                each.activity, each.versions = activity, each.versions + 1
                return {"id": each.id}
        raise ArmError(404, "ActivityNotFoundInConversation", "The activity was not found in the conversation.")

    def _check(self, claims: Json | None, conversation: str, activity: Json | None) -> None:
        """Only the bot speaks, and only where somebody spoke to it."""
        if claims is None:
            raise ArmError(401, "Unauthorized", "Authorization has been denied for this request.")
        if claims.get("appid") != self.bot_id:
            raise ArmError(403, "BotNotInConversationRoster", "The bot is not part of the conversation roster.")
        if not conversation.startswith(("a:", "19:")):
            raise ArmError(404, "ConversationNotFound", "Conversation not found.")
        if activity is None or activity.get("type") != "message":
            raise ArmError(400, "BadSyntax", "Invalid or missing activity type.")
        attachments = activity.get("attachments")
        if not isinstance(attachments, list) or [each.get("contentType") for each in attachments] != [CARD]:
            raise ArmError(400, "BadSyntax", "Only one adaptive card is known here.")
        if found := sorted(set(cards.faults(attachments[0]["content"]))):
            raise ArmError(400, "BadArgument", "; ".join(found))
