"""Callbacks: who asks for one hears of its own registration, and nobody waits for a receiver that somebody chose."""

import logging
from collections.abc import Callable
from datetime import timedelta
from http import HTTPStatus
from typing import Any

import pytest

from provisioning.domain.messages import notice_message, read_notice_message
from provisioning.domain.notices import CALLBACK
from provisioning.flow.notify import CALLBACK_GIVEN_UP_AFTER, send_notices
from tests.worlds.outside import Died
from tests.worlds.receiver import CALLBACK_SEED, WEBHOOK_TOKEN, CallbackReceiver, Receiver
from tests.worlds.request_bodies import OTHER_OWNER, OWNER, a_public_client, a_resource
from tests.worlds.world import World

URL = CallbackReceiver.url
PLANNER = timedelta(minutes=5).total_seconds()


@pytest.fixture
def team() -> CallbackReceiver:
    return CallbackReceiver()


@pytest.fixture
def operator() -> Receiver:
    return Receiver()


@pytest.fixture
def world(operator: Receiver, team: CallbackReceiver) -> World:
    return World(receiver=operator, called_back=team)


def test_a_team_and_the_operator_are_told_the_same(world: World, operator: Receiver, team: CallbackReceiver) -> None:
    registered = world.registered(a_resource(callbackUrl=URL))
    world.settle()
    assert [event["type"] for event in team.taken] == ["registration.active"]
    assert team.taken == [each for each in operator.taken if each["subject"] == registered["registrationId"]]
    assert registered["callbackKey"].startswith("whpk_")
    assert CALLBACK_SEED.hex() not in str(registered)


def test_without_a_callback_only_the_operator_is_told(world: World, operator: Receiver, team: CallbackReceiver) -> None:
    registered = world.registered(a_resource())
    world.settle()
    assert (len(operator.taken), team.attempts) == (1, 0)
    assert "callbackKey" not in registered


def test_a_callback_needs_no_webhook_of_the_operator(team: CallbackReceiver) -> None:
    world = World(called_back=team)
    world.registered(a_resource(callbackUrl=URL))
    world.settle()
    assert [event["type"] for event in team.taken] == ["registration.active"]


def test_a_change_moves_the_callback_and_null_ends_it(world: World, team: CallbackReceiver) -> None:
    registration_id = world.registered(a_resource())["registrationId"]
    assert world.change(registration_id, {"callbackUrl": URL}).status == HTTPStatus.ACCEPTED
    world.settle()
    assert [event["type"] for event in team.taken] == ["registration.changed"]
    assert team.taken[0]["data"]["changed"] == ["callbackUrl"]
    assert world.change(registration_id, {"callbackUrl": None}).status == HTTPStatus.ACCEPTED
    world.settle()
    assert len(team.taken) == 1


def test_where_callbacks_are_off_by_now_what_waits_for_one_wakes_nobody(operator: Receiver) -> None:
    world = World(receiver=operator)
    identity = world.registered(a_resource())["registrationId"]
    world.settle()
    world.send(notice_message(f"{CALLBACK}{identity}"), about_notices=True)
    world.deliver()
    assert (world.queue, world.errors, len(operator.taken)) == ([], [], 1)


def test_a_policy_can_keep_an_owners_callbacks_to_fewer_hosts_than_the_operator_allows(team: CallbackReceiver) -> None:
    elsewhere = {"id": "callbacks", "kind": "callbackHosts", "hosts": {"include": ["other.contoso.example"]}}
    world = World(called_back=team, rules=[elsewhere | {"owners": {"include": [OWNER]}}])
    assert world.post(a_resource(callbackUrl=URL)).status == HTTPStatus.FORBIDDEN
    mine = world.registered(a_resource())["registrationId"]
    assert world.change(mine, {"callbackUrl": URL}).status == HTTPStatus.FORBIDDEN
    world.registered(a_resource(owner=OTHER_OWNER, fhirServerUrl="https://b.contoso.example", callbackUrl=URL))


@pytest.mark.parametrize(
    "url",
    [
        *("https://contoso.example/x", "https://ci.contoso.example.evil.example/", "https://x.ci.contoso.example/"),
        *("https://ci.contoso.example:8443/", "https://ci.contoso.example@evil.example/", "http://ci.contoso.example/"),
        *("https://169.254.169.254/metadata", "https://[::1]/", "https://[::ffff:127.0.0.1]/", "https://localhost/"),
        *(
            "https://2130706433/",
            "https://0x7f.1/",
            "https://evil.example#@ci.contoso.example/",
            "//ci.contoso.example/",
        ),
        *("https://evil.example\\@ci.contoso.example/", "https://ci.contoso.example./"),
    ],
)
def test_a_callback_goes_only_to_hosts_that_the_operator_names(world: World, team: CallbackReceiver, url: str) -> None:
    assert world.post(a_resource(callbackUrl=url)).status == HTTPStatus.BAD_REQUEST
    registration_id = world.registered(a_resource())["registrationId"]
    assert world.change(registration_id, {"callbackUrl": url}).status == HTTPStatus.BAD_REQUEST
    world.settle()
    assert team.attempts == 0


def test_a_dead_callback_delays_no_notice_of_the_operator_and_is_given_up(
    world: World, operator: Receiver, team: CallbackReceiver
) -> None:
    team.status = None
    world.registered(a_resource(callbackUrl=URL))
    world.deliver()
    assert (len(operator.taken), team.attempts) == (1, 1)
    assert (world.queue, world.errors) == ([], [])
    began, attempts = world.clock.now(), team.attempts
    while world.registry.notices():
        assert world.clock.now() - began < CALLBACK_GIVEN_UP_AFTER + timedelta(hours=7)
        world.clock.sleep(PLANNER)
        world.plan()
        world.deliver()
    assert 10 < team.attempts - attempts < 40
    assert world.clock.now() - began >= CALLBACK_GIVEN_UP_AFTER


def test_a_callback_is_given_up_after_just_three_days_and_not_before(world: World, team: CallbackReceiver) -> None:
    team.status = None
    registration_id = world.registered(a_resource(callbackUrl=URL))["registrationId"]
    [notice] = [each for each in world.registry.notices() if each.callback]
    for left, waits in ((timedelta(seconds=1), [notice.id]), (timedelta(0), [])):
        world.clock.time = notice.time + CALLBACK_GIVEN_UP_AFTER - left
        send_notices(world.services, f"{CALLBACK}{registration_id}")
        assert [each.id for each in world.registry.notices() if each.callback] == waits


@pytest.mark.parametrize("status", [None, 302, 500, 204])
def test_neither_the_token_in_the_url_nor_the_key_is_logged(
    world: World, team: CallbackReceiver, caplog: pytest.LogCaptureFixture, status: int | None
) -> None:
    caplog.set_level(logging.DEBUG)
    team.status = status
    world.registered(a_resource(callbackUrl=URL))
    world.deliver()
    assert "callback " in caplog.text
    key = team.settings()["CALLBACK_SIGNING_KEY"].removeprefix("whsk_")
    for text in (WEBHOOK_TOKEN, key, repr(CALLBACK_SEED)):
        assert text not in caplog.text + repr(world.settings)


def test_a_callback_that_is_back_gets_what_waited_in_order(world: World, team: CallbackReceiver) -> None:
    team.status = HTTPStatus.INTERNAL_SERVER_ERROR
    registration_id = world.registered(a_resource(callbackUrl=URL))["registrationId"]
    world.clock.sleep(1)
    world.change(registration_id, {"displayName": "Another"})
    world.deliver()
    world.deliver()
    assert team.attempts == 2, "what waits behind another is not tried before that was taken"
    team.status = HTTPStatus.NO_CONTENT
    world.settle()
    assert [event["type"] for event in team.taken] == ["registration.active", "registration.changed"]


def test_a_host_that_is_allowed_no_more_gets_nothing_more(world: World, team: CallbackReceiver) -> None:
    team.status = None
    registration_id = world.registered(a_resource(callbackUrl=URL))["registrationId"]
    world.deliver()
    after = World(registry=world.registry, called_back=team, settings={"CALLBACK_HOSTS": "other.contoso.example"})
    attempts = team.attempts
    after.send(
        *[notice_message(each) for each in {each.mailbox for each in world.registry.notices()}], about_notices=True
    )
    after.deliver()
    assert ([each for each in world.registry.notices() if each.callback], team.attempts) == ([], attempts)
    assert after.change(registration_id, {"displayName": "Another"}).status == HTTPStatus.ACCEPTED, "it stays as it is"


def test_a_message_about_a_callback_names_a_registration_and_nothing_else(world: World) -> None:
    registration_id = world.registered(a_public_client(resource=world.registered(a_resource())["registrationId"]))[
        "registrationId"
    ]
    mailbox = f"{CALLBACK}{registration_id}"
    assert read_notice_message(notice_message(mailbox).encode()) == mailbox
    for other in (CALLBACK, f"{CALLBACK}{CALLBACK}{registration_id}", f"{CALLBACK}registrar", f"x:{registration_id}"):
        assert read_notice_message(notice_message(other).encode()) is None


class DiesOnce:
    """Has the process die at one outside call: before it is made, or once it is done."""

    def __init__(self, at: int, *, after: bool) -> None:
        self.at, self.after, self.calls = at, after, 0

    def __call__(self, _name: str, action: Callable[[], Any]) -> Any:
        self.calls += 1
        if self.calls != self.at:
            return action()
        if self.after:
            action()
        raise Died


@pytest.mark.parametrize("after", [False, True])
def test_wherever_a_process_dies_a_team_is_told_all_the_same(*, after: bool) -> None:
    deaths = 0
    while True:
        team, operator = CallbackReceiver(), Receiver()
        world = World(receiver=operator, called_back=team)
        world.post(a_resource(callbackUrl=URL))
        world.outside = dies = DiesOnce(deaths + 1, after=after)
        world.settle()
        assert {event["type"] for event in team.taken} == {"registration.active"}, dies.at
        assert {event["id"] for event in team.taken} == {event["id"] for event in operator.taken}, dies.at
        if dies.calls < dies.at:
            break
        deaths += 1
    assert deaths > 10
