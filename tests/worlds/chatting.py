"""A world with a workspace of Slack, in which people ask: typed, pressed, filled in, and done from the queue."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.api.chat.work import answer_chat, carry_out
from provisioning.domain.callers import Caller
from tests.worlds.approvals import APPROVER
from tests.worlds.outside import Died, straight
from tests.worlds.request_bodies import MANAGED, a_service_client
from tests.worlds.signed_in import ENTRA, headers_of
from tests.worlds.slack import SlackDouble, buttons, signed
from tests.worlds.world import World

ALICES, MALLORYS, APPROVERS = "U0ALICE", "U0MALLORY", "U0APPROVER"


class Chat:
    """A world with a workspace of Slack, and the queue between the answer and the work."""

    def __init__(self, rules: Sequence[Mapping[str, Any]] | None = None, **settings: str) -> None:
        self.slack = SlackDouble()
        told = {**ENTRA, "WEBSITE_HOSTNAME": "r.contoso.com", **settings}
        self.world = World(chat=self.slack, settings=told, rules=rules)
        self.queue = self.world.chat_queue
        self.calls: list[str] = []

    @property
    def now(self) -> float:
        return self.world.clock.now().timestamp()

    def ask(self, call: Call) -> Answer:
        return answer_chat(lambda: self.world.services, "answer_slack", call)

    def work(self, delivery: str = "1") -> None:
        """Have what is queued done, and what follows from it."""
        while self.queue:
            message = self.queue.pop(0).encode()
            self.world.send(*carry_out(self.world.services, message, delivery))
        self.world.deliver()

    def says(self, user: str, text: str) -> dict[str, Any]:
        """Return what somebody is told who types a command."""
        before = len(self.slack.told)
        assert self.ask(signed(self.slack.command(user, text), self.now)).status == 200
        self.work(f"delivery {before}")
        [(_, message)] = self.slack.told[before:]
        return message

    def presses(self, user: str, button: dict[str, Any], reason: str | None = None) -> dict[str, Any]:
        """Return what somebody is told who presses a button."""
        before = len(self.slack.told)
        assert self.ask(signed(self.slack.pressed(user, button, reason), self.now)).status == 200
        self.work(f"delivery {before}")
        [(_, message)] = self.slack.told[before:]
        return message

    def fills_in(self, user: str, kind: str, values: dict[str, str]) -> Answer:
        """Return what Slack is answered at once where somebody opens a form and fills it in."""
        opens = buttons(self.says(user, "register"))[f"register-{kind}"]
        assert self.ask(signed(self.slack.pressed(user, opens), self.now)).body == ""
        return self.ask(signed(self.slack.filled_in(user, self.slack.views[-1], values), self.now))

    def on_the_page(self, caller: Caller, name: str = "show_caller", method: str = "GET") -> Answer:
        call = Call("/api/me", headers_of(caller, self.world.emulator), method=method)
        return self.world.call(web.CALLS[name], call)

    def code(self, caller: Caller) -> str:
        return str(json.loads(self.on_the_page(caller, "link_chat", "POST").body)["code"])

    def link(self, user: str, caller: Caller) -> dict[str, Any]:
        return self.says(user, f"link {self.code(caller)}")


def noting(chat: Chat) -> list[str]:
    """Return what notes each call to the outside from now on."""
    calls: list[str] = []

    def outside(name: str, action: Any) -> Any:
        calls.append(name)
        return action()

    chat.world.outside = outside
    return calls


def a_client(owner: Caller) -> dict[str, Any]:
    return a_service_client(owner=owner.object_id, resource=MANAGED, appRoles=[])


def approver(chat: Chat) -> None:
    chat.link(APPROVERS, APPROVER)


def delivered(world: World, message: str, delivery: str, outside: Any) -> bool:
    """Deliver a message of a chat to a process that dies, and again to one that does not; return whether it died."""
    world.outside = outside
    try:
        carry_out(world.services, message.encode(), delivery)
    except Died:
        world.outside = straight
        world.services = world.new_process()
        world.send(*carry_out(world.services, message.encode(), delivery))
        return True
    world.outside = straight
    return False
