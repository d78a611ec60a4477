"""What nobody asked for: that something waits for an approval, told to whoever may decide, and what became of it."""

import json
import logging
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dev.emulator.faults import Fault
from provisioning.api.chat.waiting import MOST_TOLD
from provisioning.api.chat.work import carry_out, give_up
from provisioning.domain.approval import LAPSES_AFTER, Outcome
from provisioning.domain.callers import Caller, Role
from provisioning.domain.chat import ChatUser, SignIn
from provisioning.domain.errors import TryAgain
from provisioning.domain.messages import notice_message, waiting_message
from provisioning.domain.notices import CHAT
from provisioning.domain.registration import Registration, Status
from provisioning.domain.teams import Conversation
from provisioning.flow.notify import send_notices
from provisioning.flow.plan import DUE_AGAIN_AFTER, waiting_notices
from tests.worlds import slack
from tests.worlds import teaming as teams_
from tests.worlds.approvals import APPROVER, awaiting
from tests.worlds.chatting import ALICES, APPROVERS, MALLORYS, Chat, a_client
from tests.worlds.outside import Died, straight
from tests.worlds.signed_in import ALICE, MALLORY
from tests.worlds.teaming import TeamsChat

SECOND = replace(APPROVER, object_id="a9900000-0000-4000-8000-00000000000a")
SECONDS = "U0SECOND"


class InSlack(Chat):
    """People of Slack, who are told in their conversation with the app."""

    def comes(self, person: Caller) -> None:
        users = {ALICE.object_id: ALICES, MALLORY.object_id: MALLORYS, APPROVER.object_id: APPROVERS}
        self.link(users.get(person.object_id, SECONDS), person)

    def told(self, person: Caller) -> list[str]:
        """Return what stands in the person's conversation by now, of what nobody asked for."""
        user = {APPROVER.object_id: APPROVERS, SECOND.object_id: SECONDS}.get(person.object_id, "")
        return [slack.words(message) for who, message in self.slack.messages.values() if who == user]

    def decides(self, verb: str) -> str:
        [message] = [message for who, message in self.slack.messages.values() if who == APPROVERS]
        return slack.words(self.presses(APPROVERS, slack.buttons(message)[verb], "Not here."))

    def everybody_told(self) -> int:
        return len(self.slack.messages)


class InTeams(TeamsChat):
    """People of Microsoft Teams, who are told in a chat of their own with the bot."""

    def comes(self, person: Caller) -> None:
        self.knows(person)
        self.bot.told.clear()

    def told(self, person: Caller) -> list[str]:
        conversation = self.bot.conversation(person.object_id)
        return [teams_.words(each.card) for each in self.bot.told if each.conversation == conversation]

    def decides(self, verb: str) -> str:
        conversation = self.bot.conversation(APPROVER.object_id)
        [message] = [each for each in self.bot.told if each.conversation == conversation]
        self.presses(APPROVER, message, teams_.buttons(message.card)[verb], {"reason": "Not here."})
        return teams_.words(message.card)

    def everybody_told(self) -> int:
        return len(self.bot.told)


There = InSlack | InTeams


@pytest.fixture(params=[InSlack, InTeams])
def there(request: pytest.FixtureRequest) -> There:
    made: There = request.param()
    return made


def comes_to_wait(there: There) -> Registration:
    row = awaiting(there.world, a_client(ALICE))
    passes(there)
    return row


def passes(there: There, time: timedelta = timedelta(minutes=3)) -> None:
    """Let time pass, and have everything done that is due then."""
    there.world.clock.time += time
    there.world.plan()
    for _ in range(3):
        there.world.deliver()
    there.work(f"at {there.world.clock.time}")
    assert there.world.errors == []


def test_whoever_may_decide_is_told_what_the_api_shows_them_and_nobody_else_is(there: There) -> None:
    for person in (APPROVER, replace(ALICE, roles=frozenset(Role)), replace(MALLORY, roles=frozenset({Role.READ_ALL}))):
        there.comes(person)
    row = comes_to_wait(there)
    [told] = there.told(APPROVER)
    assert told.startswith("It waits for an approval:")
    assert all(part in told for part in (row.id, "asked by:", "resource:"))
    assert there.everybody_told() == 1


def test_a_chat_hears_of_what_waits_for_it_once_and_not_where_it_is_off_by_now() -> None:
    chat = InSlack()
    world, mailbox = chat.world, f"{CHAT}{awaiting(chat.world, a_client(ALICE)).id}"
    world.clock.sleep(180)
    world.plan()
    world.deliver()
    off = replace(world.services, workspace=None, bot=None)
    waits = world.registry.notices(mailbox)
    send_notices(off, mailbox)
    assert (len(waits), world.registry.notices(mailbox), list(chat.queue)) == (1, [], [])
    world.registry.put_notice(waits[0], world.clock.now())
    for _ in range(2):
        send_notices(world.services, mailbox)
        assert len(chat.queue) == 1


def test_where_the_queue_of_the_chat_is_out_what_waits_for_it_is_put_off_for_half_an_hour() -> None:
    world = InSlack().world
    mailbox = f"{CHAT}{awaiting(world, a_client(ALICE)).id}"
    world.clock.sleep(180)
    world.plan()
    world.deliver()

    def out(name: str, action: Any) -> Any:
        if name == "queue.send":
            raise TryAgain("storage-unavailable", "The queue could not be reached.")
        return action()

    world.outside = out
    with pytest.raises(TryAgain):
        send_notices(world.services, mailbox)
    world.outside = straight
    world.clock.sleep(DUE_AGAIN_AFTER.total_seconds() - 1)
    assert waiting_notices(world.services) == []
    world.clock.sleep(1)
    assert waiting_notices(world.services) == [notice_message(mailbox)]


@pytest.mark.parametrize(("verb", "outcome"), [("approve", "approved"), ("deny", "denied")])
def test_a_button_of_such_a_message_decides_and_each_of_them_tells_how(there: There, verb: str, outcome: str) -> None:
    there.comes(APPROVER)
    there.comes(SECOND)
    row = comes_to_wait(there)
    assert there.everybody_told() == 2
    assert there.decides(verb).startswith(f"You have {outcome} what")
    passes(there)
    assert there.world.row(row.id).status is (Status.ACTIVE if verb == "approve" else Status.FAILED)
    for person in (APPROVER, SECOND):
        [told] = there.told(person)
        assert told.startswith(f"{row.request.display_name} was {outcome}")
    assert there.everybody_told() == 2
    assert there.world.people.told(row.id) == ""


def test_a_button_of_such_a_message_pressed_twice_acts_once(there: There) -> None:
    there.comes(APPROVER)
    row = comes_to_wait(there)
    there.decides("approve")
    before = there.world.row(row.id)
    if isinstance(there, InSlack):
        assert there.decides("approve") == "You have approved it already."
    assert there.world.row(row.id) == before


def test_whoever_was_told_is_not_told_again_and_who_came_since_is(there: There) -> None:
    there.comes(APPROVER)
    row = comes_to_wait(there)
    for _ in range(2):
        carry_out(there.world.services, waiting_message(row.id).encode(), "again")
    assert there.everybody_told() == 1
    if isinstance(there, InSlack):
        there.comes(SECOND)
        carry_out(there.world.services, waiting_message(row.id).encode(), "later")
        assert (len(there.told(SECOND)), len(there.told(APPROVER))) == (1, 1)


def test_whose_sign_in_is_over_is_told_that_something_waits_and_nothing_of_it(there: There) -> None:
    there.comes(APPROVER)
    there.world.clock.time += timedelta(hours=9)
    row = comes_to_wait(there)
    [told] = there.told(APPROVER)
    assert told.startswith("Something waits for your approval.")
    assert not [part for part in (row.id, row.request.display_name, row.request.owner) if part in told]


def test_what_nobody_decided_about_is_told_as_waiting_no_more(there: There) -> None:
    there.comes(APPROVER)
    row = comes_to_wait(there)
    passes(there, LAPSES_AFTER)
    passes(there)
    [told] = there.told(APPROVER)
    assert told.startswith(f"{row.request.display_name} does not wait for an approval any more")


def test_whom_a_chat_does_not_reach_keeps_nobody_else_from_being_told(
    there: There, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    there.comes(APPROVER)
    there.comes(SECOND)
    if isinstance(there, InSlack):
        there.slack.unreached = APPROVERS
    else:
        there.world.emulator.faults.add(Fault("status", "bot.say"))
    comes_to_wait(there)
    assert there.everybody_told() == 1
    assert "somebody who may decide is not told: chat-not-told" in caplog.text


def test_a_run_that_dies_while_it_tells_is_gone_on_with(there: There) -> None:
    there.comes(APPROVER)
    there.comes(SECOND)
    row = awaiting(there.world, a_client(ALICE))
    message, before = waiting_message(row.id).encode(), there.everybody_told()

    def dies(name: str, action: Any) -> Any:
        if name == "people.put_told" and there.everybody_told() == before + 2:
            raise Died
        return action()

    there.world.outside = dies
    with pytest.raises(Died):
        carry_out(there.world.services, message, "one")
    there.world.outside = straight
    carry_out(there.world.services, message, "one")
    assert {len(there.told(APPROVER)), len(there.told(SECOND))} == {1, 2}, "the one that was not noted comes twice"


def test_whoever_may_write_to_the_queue_has_nobody_told_what_is_not_so(there: There) -> None:
    there.comes(APPROVER)
    there.comes(ALICE)
    before = there.everybody_told()
    nobodys = "00000000-00000000-0000-4000-8000-000000000000"
    for message in (waiting_message(nobodys).encode(), b'{"waits": "x"}', b'{"waits": 1}', json.dumps({}).encode()):
        assert carry_out(there.world.services, message, "x") == []
        give_up(there.world.services, message)
    assert there.everybody_told() == before


def test_of_very_many_who_may_decide_the_first_fifty_are_told_once() -> None:
    there = InSlack()
    for number in range(MOST_TOLD + 1):
        person = replace(APPROVER, object_id=f"a9900000-0000-4000-8000-{number:012}")
        there.world.people.put_sign_in(SignIn(person, there.world.clock.now()))
        there.world.people.link(ChatUser(slack.WORKSPACE, f"U0{number}"), person.object_id)
    row = awaiting(there.world, a_client(ALICE))
    for _ in range(2):
        carry_out(there.world.services, waiting_message(row.id).encode(), "x")
        assert there.everybody_told() == MOST_TOLD
    # A column of Table storage has 64 KiB, of two bytes for a letter.
    assert len(there.world.people.told(row.id)) < 32_000 / 3


def test_without_what_tells_by_itself_nobody_is_told() -> None:
    chat = Chat(SLACK_BOT_TOKEN="")
    chat.link(APPROVERS, APPROVER)
    awaiting(chat.world, a_client(ALICE))
    chat.world.clock.time += timedelta(minutes=3)
    chat.world.plan()
    for _ in range(3):
        chat.world.deliver()
    assert (chat.queue, chat.slack.messages, chat.world.errors) == ([], {}, [])


def asked_anew(there: There, row: Registration, **changes: Any) -> str:
    """Have something else wait in place of what it waits for, or what `changes` say; return its digest."""
    stored = there.world.row(row.id)
    assert stored.approval is not None
    there.world.registry.replace(replace(stored, approval=replace(stored.approval, **{"digest": "d" * 64, **changes})))
    return "d" * 64


def test_what_was_told_of_an_earlier_request_is_over_and_the_new_one_is_told(there: There) -> None:
    there.comes(APPROVER)
    row = comes_to_wait(there)
    digest = asked_anew(there, row)
    for _ in range(2):
        carry_out(there.world.services, waiting_message(row.id).encode(), "again")
        over, waits = there.told(APPROVER)
        assert over == f"{row.request.display_name} does not wait for an approval any more."
        assert waits.startswith("It waits for an approval:")
    assert json.loads(there.world.people.told(row.id))[0][-1] == digest


def test_what_was_decided_of_another_request_is_no_outcome_of_this_one(there: There) -> None:
    there.comes(APPROVER)
    row = comes_to_wait(there)
    asked_anew(there, row, outcome=Outcome.APPROVED)
    carry_out(there.world.services, waiting_message(row.id).encode(), "again")
    assert there.told(APPROVER) == [f"{row.request.display_name} does not wait for an approval any more."]


def test_at_the_moment_that_it_lapses_nobody_is_told_that_it_waits(there: There) -> None:
    there.comes(APPROVER)
    row = awaiting(there.world, a_client(ALICE))
    assert row.approval is not None
    before = there.everybody_told()
    there.world.clock.time = row.approval.lapses_at
    carry_out(there.world.services, waiting_message(row.id).encode(), "x")
    assert there.everybody_told() == before
    there.world.clock.time -= timedelta(seconds=1)
    carry_out(there.world.services, waiting_message(row.id).encode(), "x")
    assert there.everybody_told() == before + 1
    there.world.clock.time = row.approval.lapses_at
    carry_out(there.world.services, waiting_message(row.id).encode(), "x")
    assert there.told(APPROVER)[-1].startswith(f"{row.request.display_name} does not wait for an approval any more")


def test_what_is_decided_while_somebody_is_looked_up_is_told_to_nobody(there: There) -> None:
    there.comes(APPROVER)
    row = awaiting(there.world, a_client(ALICE))
    before = there.everybody_told()

    def meanwhile(name: str, action: Any) -> Any:
        if name == "people.everybody":
            asked_anew(there, row)
        return action()

    there.world.outside = meanwhile
    carry_out(there.world.services, waiting_message(row.id).encode(), "x")
    assert (there.everybody_told(), there.world.people.told(row.id)) == (before, "[]")


def test_who_is_reached_by_a_chat_that_is_there_no_more_is_not_told_and_keeps_nobody_waiting(there: There) -> None:
    there.comes(APPROVER)
    people = there.world.people
    people.link(ChatUser(slack.WORKSPACE, "U0GONE"), APPROVER.object_id)
    people.put_place(APPROVER.object_id, people.places().get(APPROVER.object_id, Conversation("https://gone", "a:1")))
    row = comes_to_wait(there)
    told = there.everybody_told()
    gone = ["slack" if isinstance(there, InTeams) else "teams", "a:gone", "https://gone", "1", row.asked_digest]
    people.put_told(row.id, json.dumps([*json.loads(people.told(row.id)), gone]))
    assert there.decides("deny").startswith("You have denied what")
    passes(there)
    assert (there.everybody_told(), people.told(row.id)) == (told, "")


def test_without_what_tells_by_itself_nobody_is_told_whatever_is_in_the_queue() -> None:
    chat = Chat(SLACK_BOT_TOKEN="")
    chat.link(APPROVERS, APPROVER)
    row = awaiting(chat.world, a_client(ALICE))
    told = len(chat.slack.told)
    carry_out(chat.world.services, waiting_message(row.id).encode(), "x")
    assert (chat.slack.messages, len(chat.slack.told)) == ({}, told)
