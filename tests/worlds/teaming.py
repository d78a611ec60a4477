"""A world with a bot of Microsoft Teams, in which people ask: written, pressed, filled in, done from the queue."""

import json
from typing import Any

from dev.emulator.bot import cards
from dev.emulator.bot.service import Told
from dev.emulator.constants import REGISTRAR_CLIENT_ID
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.api.chat.work import answer_chat, carry_out
from provisioning.domain.callers import Caller
from tests.worlds.signed_in import ENTRA, headers_of
from tests.worlds.world import World

BOT = {"TEAMS_BOT_ID": REGISTRAR_CLIENT_ID, "WEBSITE_HOSTNAME": "r.contoso.com"}


class TeamsChat:
    """A world with a bot, and the queue between the answer and the work."""

    def __init__(self) -> None:
        self.world = World(settings={**ENTRA, **BOT})
        self.bot = self.world.emulator.bot
        self.queue = self.world.chat_queue

    def ask(self, call: Call) -> Answer:
        return answer_chat(lambda: self.world.services, "answer_teams", call)

    def sent(self, activity: dict[str, Any], **claims: Any) -> Call:
        """Return the call by which the Bot Framework sends an activity, just now."""
        body = json.dumps(activity).encode()
        return Call("/api/chat/teams", self.bot.headers(**claims), body=body, method="POST")

    def work(self, delivery: str = "1") -> None:
        """Have what is queued done, and what follows from it."""
        while self.queue:
            message = self.queue.pop(0).encode()
            self.world.send(*carry_out(self.world.services, message, delivery))
        self.world.deliver()

    def says(self, person: Caller, text: str, *, channel: bool = False) -> Told:
        """Return what somebody is told who writes to the bot."""
        before = len(self.bot.told)
        answer = self.ask(self.sent(self.bot.message(person.object_id, text, channel=channel)))
        assert (answer.status, answer.body) == (200, "")
        self.work(f"delivery {before}")
        [told] = self.bot.told[before:]
        return told

    def presses(
        self, person: Caller, told: Told, button: dict[str, Any], texts: dict[str, str] | None = None
    ) -> dict[str, Any]:
        """Return what a press is answered at once; what it asked for is done then."""
        answer = self.ask(self.sent(self.bot.press(person.object_id, told, button, texts)))
        assert answer.status == 200, answer.body
        self.work(f"press {len(self.bot.told)}")
        response: dict[str, Any] = json.loads(answer.body)
        return response

    def on_the_page(self, caller: Caller) -> Answer:
        return self.world.call(web.CALLS["show_caller"], Call("/api/me", headers_of(caller, self.world.emulator)))

    def knows(self, caller: Caller) -> None:
        """Have somebody speak to the bot, and sign in on the page then."""
        self.says(caller, "list")
        self.on_the_page(caller)


def words(card: dict[str, Any]) -> str:
    """Return all that a card says, but for what its buttons open."""
    lines = [each["inlines"] for each in card["body"] if each["type"] == "RichTextBlock"]
    return "\n".join(run["text"] for line in lines for run in line)


def buttons(card: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """Return the buttons that come back to the bot: by verb, and of those that open a form by its kind, too."""
    found = list(cards.buttons(card))
    return {"-".join(filter(None, (each["verb"], each["data"].get("kind")))): each for each in found}
