"""A notice as a card: what it says, where it leads, and that nothing in it is read as anything but text."""

import json
from dataclasses import replace
from typing import Any

import pytest

from provisioning.domain import notices
from provisioning.domain.cards import message_of
from provisioning.domain.notices import Notice, heartbeat, of_drift, of_ended_operation, of_requested_approval
from provisioning.domain.operation import Failure
from tests.worlds.approvals import awaiting
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.variants import NOW, REQUESTS, row
from tests.worlds.world import World

PAGE = "https://registrar.azurewebsites.net/api/page/"
LARGEST_MESSAGE = 28 * 1024
EVIL = "[Sign in](https://evil.example) **now** <at>all</at>"


def card_of(notice: Notice, page: str | None = PAGE) -> dict[str, Any]:
    message = message_of(notice, page)
    assert message is not None
    [attachment] = message["attachments"]
    assert (message["type"], attachment["contentUrl"]) == ("message", None)
    assert attachment["contentType"] == "application/vnd.microsoft.card.adaptive"
    return dict(attachment["content"])


def texts(card: dict[str, Any]) -> list[str]:
    return [run["text"] for block in card["body"] for run in block["inlines"]]


def test_a_card_says_what_happened_to_what_and_leads_to_it() -> None:
    registration = row(REQUESTS["service"]).succeeded(NOW)
    card = card_of(of_ended_operation(registration))
    assert texts(card)[:2] == [registration.request.display_name, "Registered"]
    assert f"Owner: {registration.request.owner}" in texts(card)
    assert [(each["type"], each["url"]) for each in card["actions"]] == [
        ("Action.OpenUrl", f"{PAGE}#/r/{registration.id}")
    ]


def test_a_failure_says_what_to_do() -> None:
    registration = row(REQUESTS["service"]).failed(Failure("vault-denied", "Key Vault denied it.", "Give access."), NOW)
    assert {"Key Vault denied it.", "Give access."} <= set(texts(card_of(of_ended_operation(registration))))


def test_a_change_says_which_fields_are_different() -> None:
    world = World()
    identity = world.registered(a_resource())["registrationId"]
    world.change(identity, {"displayName": "Another", "contact": "other@contoso.example"})
    world.deliver()
    assert "Changed: contact, displayName" in texts(card_of(of_ended_operation(world.row(identity))))


def test_a_request_that_waits_leads_to_its_decision_and_grants_nothing_by_itself() -> None:
    world = World()
    registration = awaiting(world, a_resource())
    assert registration.approval is not None
    card = card_of(of_requested_approval(registration, registration.approval))
    assert [each["url"] for each in card["actions"]] == [f"{PAGE}#/r/{registration.id}/decide"]
    assert registration.approval.digest not in json.dumps(card)


def test_what_somebody_wrote_is_text_and_never_a_link() -> None:
    """A TextBlock, a Fact and an action are what Teams reads more than text in."""
    request = REQUESTS["service"].model_copy(update={"display_name": EVIL})
    card = card_of(of_ended_operation(row(request).succeeded(NOW)))
    assert {block["type"] for block in card["body"]} == {"RichTextBlock"}
    assert {run["type"] for block in card["body"] for run in block["inlines"]} == {"TextRun"}
    assert not any("selectAction" in run for block in card["body"] for run in block["inlines"])
    assert EVIL in texts(card)
    assert EVIL not in json.dumps(card["actions"])


def test_every_notice_of_a_registration_has_its_headline_and_the_heartbeat_is_no_card() -> None:
    kinds = {
        value for name, value in vars(notices).items() if name.isupper() and str(value).startswith("registration.")
    }
    about = of_ended_operation(row(REQUESTS["service"]).succeeded(NOW))
    headlines = {texts(card_of(replace(about, type=kind)))[1] for kind in kinds}
    assert len(headlines) == len(kinds) > 5
    assert message_of(heartbeat("20260115T120000Z", NOW, {"registrations": 1}), PAGE) is None


def test_a_card_without_a_page_has_no_link() -> None:
    assert "actions" not in card_of(of_ended_operation(row(REQUESTS["public"]).succeeded(NOW)), None)


@pytest.mark.parametrize(("length", "shown"), [(400, "m" * 400), (401, "m" * 399 + "…")])
def test_a_text_of_400_characters_is_shown_whole_and_a_longer_one_is_cut_to_that(length: int, shown: str) -> None:
    registration = row(REQUESTS["service"]).failed(Failure("code", "m" * length, "r"), NOW)
    assert texts(card_of(of_ended_operation(registration)))[-2:] == [shown, "r"]


@pytest.mark.parametrize(("number", "more"), [(5, []), (6, ["and 1 more."])])
def test_five_findings_are_told_and_how_many_more_there_are(number: int, more: list[str]) -> None:
    findings = [Failure(f"code-{each}", f"m{each}", f"r{each}") for each in range(number)]
    shown = texts(card_of(of_drift(row(REQUESTS["service"]).succeeded(NOW), findings, NOW)))
    assert shown[shown.index("m0") :] == [text for each in range(5) for text in (f"m{each}", f"r{each}")] + more


@pytest.mark.parametrize("number", [1, 200])
def test_no_card_is_larger_than_a_workflow_takes(number: int) -> None:
    findings = [Failure(f"code-{each}", "m" * 5_000, "😀" * 5_000) for each in range(number)]
    request = a_service_client(displayName="😀" * 60)
    world = World()
    world.registered(a_resource())
    registration = world.row(world.registered(request)["registrationId"])
    message = message_of(of_drift(registration, findings, NOW), PAGE)
    assert len(json.dumps(message, ensure_ascii=False).encode()) < LARGEST_MESSAGE
    assert ("and 195 more." in json.dumps(message)) == (number == 200)
