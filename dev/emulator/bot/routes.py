"""Where the Bot Framework's keys and the conversations of Microsoft Teams are found; `service.py` has their rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.emulator.bot import signing
from dev.emulator.http import envelopes
from dev.emulator.http.exchange import Answer, Context, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dev.emulator.bot.service import BotFramework
    from dev.emulator.http.bearer import Bearer


def routes(find: Callable[[], BotFramework], bearer: Bearer) -> Iterator[Route]:
    """The table of addresses; what was said is asked for at each request, because a reset makes a new one."""

    def say(context: Context) -> Answer:
        claims, activity = bearer.bot(context.request), envelopes.json_object(context.request)
        return Answer(201, find().say(claims, context.path["conversation"], activity))

    def change(context: Context) -> Answer:
        claims, activity = bearer.bot(context.request), envelopes.json_object(context.request)
        return Answer(200, find().change(claims, context.path["conversation"], context.path["activity"], activity))

    yield Route("GET", "/v1/.well-known/keys", "bot.keys", lambda _context: Answer(200, signing.public_keys()))
    known = "/<region>/v3/conversations/<conversation>/activities"
    yield Route("POST", known, "bot.say", say)
    yield Route("PUT", f"{known}/<activity>", "bot.change", change)
