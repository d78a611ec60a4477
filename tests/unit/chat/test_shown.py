"""What is said, as each chat shows it: to the letter, and at the limits of each."""

import json
from datetime import timedelta
from typing import Any

import pytest

from provisioning.api.chat.blocks import message_of
from provisioning.api.chat.cards import LARGEST, activity_of, answer_of, card_of, form_of, told_of
from provisioning.api.chat.form import KINDS, errors_of, view_of
from provisioning.api.chat.verbs import Item, Said
from provisioning.domain.clouds import PUBLIC
from provisioning.domain.errors import Fault
from provisioning.domain.slack import Workspace
from provisioning.domain.teams import Bot, bot_cloud
from tests.worlds.described import operations, resolved
from tests.worlds.slack import check_blocks

PAGE = "https://r.contoso.com/api/page/"
HOUR = timedelta(hours=1)
WITH_FORMS = Workspace("T1", b"s", HOUR, PAGE, has_forms=True)
WITHOUT_FORMS = Workspace("T1", b"s", HOUR, PAGE)
WITHOUT_A_PAGE = Workspace("T1", b"s", HOUR, None)
CLOUD = bot_cloud(PUBLIC)
assert CLOUD is not None
BOT, BOT_WITHOUT_A_PAGE = (Bot("b", "t", CLOUD, HOUR, page) for page in (PAGE, None))
DECIDED = Said(
    "A & <b> > c",
    (Item("A client", "id-1", ("service, accepted", "owner: o")),),
    ("rules: r", "more"),
    decide_digest="d-1",
    page="#/r/id-1/decide",
)


# --- Slack ---


def plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def section(text: str) -> dict[str, Any]:
    return {"type": "section", "text": plain(text)}


def header(text: str) -> dict[str, Any]:
    return {"type": "header", "text": plain(text)}


def pressable(action: str, text: str, value: str, **more: str) -> dict[str, Any]:
    return {"type": "button", "action_id": action, "text": plain(text), "value": value, **more}


def linked(url: str) -> dict[str, Any]:
    return {
        "type": "actions",
        "elements": [{"type": "button", "action_id": "open", "text": plain("Open the page"), "url": url}],
    }


def test_slack_shows_what_may_be_decided_with_a_reason_two_buttons_and_the_page() -> None:
    assert message_of(DECIDED, WITH_FORMS) == {
        "response_type": "ephemeral",
        "text": "A &amp; &lt;b&gt; &gt; c",
        "replace_original": False,
        "blocks": [
            section("A & <b> > c"),
            header("A client"),
            section("service, accepted\nowner: o\nid-1"),
            section("rules: r\nmore"),
            {
                "type": "input",
                "block_id": "reason",
                "optional": True,
                "label": plain("Reason, to deny it"),
                "element": {"type": "plain_text_input", "action_id": "reason", "max_length": 1000},
            },
            {
                "type": "actions",
                "elements": [
                    pressable("approve", "Approve", "id-1 d-1", style="primary"),
                    pressable("deny", "Deny", "id-1 d-1", style="danger"),
                ],
            },
            linked(f"{PAGE}#/r/id-1/decide"),
        ],
    }


def test_slack_offers_the_forms_where_it_has_them_and_the_page_where_it_has_that() -> None:
    offers = Said("What?", forms=True, page="#/new")
    several = [pressable(f"register-{kind}", each.title, kind) for kind, each in KINDS.items()]
    assert message_of(offers, WITH_FORMS)["blocks"] == [section("What?"), {"type": "actions", "elements": several}]
    assert message_of(offers, WITHOUT_FORMS)["blocks"] == [section("What?"), linked(f"{PAGE}#/new")]
    assert message_of(offers, WITHOUT_A_PAGE)["blocks"] == [section("What?")]
    assert message_of(Said("What?"), WITH_FORMS)["blocks"] == [section("What?")]
    assert message_of(Said(""), WITH_FORMS, instead=True) == {
        "response_type": "ephemeral",
        "text": "",
        "replace_original": True,
        "blocks": [section(" ")],
    }


@pytest.mark.parametrize(
    ("said", "index", "shown"),
    [
        (Said("x" * 3000), 0, "x" * 3000),
        (Said("x" * 3001), 0, "x" * 2999 + "…"),
        (Said("t", (Item("n" * 150, "i"),)), 1, "n" * 150),
        (Said("t", (Item("n" * 151, "i"),)), 1, "n" * 149 + "…"),
    ],
    ids=["section", "longer section", "header", "longer header"],
)
def test_slack_takes_a_text_up_to_its_limit_and_a_longer_one_is_cut(said: Said, index: int, shown: str) -> None:
    blocks = message_of(said, WITH_FORMS)["blocks"]
    check_blocks(blocks)
    assert blocks[index]["text"]["text"] == shown


def test_slack_takes_fifty_blocks_and_no_more_are_sent() -> None:
    for items, blocks in ((24, 50), (25, 50)):
        said = Said("t", (Item("n", "i"),) * items, ("more",))
        shown = message_of(said, WITH_FORMS)["blocks"]
        check_blocks(shown)
        assert len(shown) == blocks


def test_who_cannot_be_shown_all_of_it_in_slack_is_not_offered_to_agree() -> None:
    decision = ["input", "actions"]
    for length, offered in ((2998, decision), (2999, [])):
        said = Said("t", (Item("n", "i", ("x" * length,)),), decide_digest="d")
        shown = [each["type"] for each in message_of(said, WITH_FORMS)["blocks"]]
        assert shown == ["section", "header", "section", *offered]


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_of_slack_has_each_field_of_its_kind(kind: str) -> None:
    view = view_of(kind, "https://hooks.slack.com/x")
    fields = view.pop("blocks")
    assert view == {
        "type": "modal",
        "callback_id": "register",
        "private_metadata": json.dumps({"kind": kind, "url": "https://hooks.slack.com/x"}),
        "title": plain(KINDS[kind].title),
        "submit": plain("Register"),
        "close": plain("Cancel"),
    }
    assert fields == [
        {
            "type": "input",
            "block_id": each.name,
            "optional": each.optional,
            "label": plain(each.label),
            "element": {
                "type": "plain_text_input",
                "action_id": "value",
                "multiline": each.several,
                "max_length": 3000,
            },
        }
        for each in KINDS[kind].entries
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_a_form_asks_for_what_the_api_requires_and_for_several_values_where_it_takes_a_list(kind: str) -> None:
    """But the owner, who is whoever fills it in; and app roles, of which there may be none."""
    body = resolved(operations()["submitRegistration"]["requestBody"]["content"]["application/json"]["schema"])
    client_type = KINDS[kind].says["clientType"]
    [schema] = [each for each in body["oneOf"] if each["properties"]["clientType"]["const"] == client_type]
    asked = {each.name for each in KINDS[kind].entries if not each.optional} | KINDS[kind].says.keys()
    assert asked | {"owner"} == {*schema["required"]} - {"appRoles"}
    for each in KINDS[kind].entries:
        assert each.several is ("array" in json.dumps(schema["properties"][each.name]))


def test_what_is_wrong_is_told_under_its_field_and_what_is_wrong_elsewhere_under_the_first() -> None:
    faults = [
        Fault("#/contact", "not-an-email-address", "No address."),
        Fault("#/redirectUris/0", "uri-host", "No host."),
        Fault("#/redirectUris/1", "uri-scheme", "x" * 300),
        Fault("#/platform", "required", "No platform."),
    ]
    assert errors_of("spa", faults) == {
        "contact": "No address.",
        "redirectUris": "No host. " + "x" * 240 + "…",
        "displayName": "#/platform: No platform.",
    }
    assert errors_of("spa", [Fault("#/contact", "c", "x" * 250)]) == {"contact": "x" * 250}


# --- Microsoft Teams ---


def line(text: str, **style: Any) -> dict[str, Any]:
    more = {"separator": True} if style.pop("separator", False) else {}
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}], **more}


def card(body: list[dict[str, Any]], *actions: dict[str, Any]) -> dict[str, Any]:
    shown = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
    }
    return shown | ({"actions": list(actions)} if actions else {})


def execute(title: str, verb: str, **data: str) -> dict[str, Any]:
    return {"type": "Action.Execute", "title": title, "verb": verb, "data": data}


def opens(title: str, body: dict[str, Any], action: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "Action.ShowCard",
        "title": title,
        "card": {"type": "AdaptiveCard", "body": [body], "actions": [action]},
    }


def opened(place: str) -> dict[str, Any]:
    return {"type": "Action.OpenUrl", "title": "Open the page", "url": f"{PAGE}{place}"}


SHOWN = [
    line("A & <b> > c", weight="Bolder"),
    line("A client", size="Medium", weight="Bolder", separator=True),
    *(line("service, accepted"), line("owner: o"), line("id-1"), line("rules: r"), line("more")),
]
REASON = {
    "type": "Input.Text",
    "id": "reason",
    "label": "Reason",
    "isRequired": True,
    "errorMessage": "Write the reason.",
    "maxLength": 1000,
}


def test_teams_shows_what_may_be_decided_with_two_buttons_that_say_what_they_do_and_the_page() -> None:
    agree = execute("Approve what is shown", "approve", id="id-1", digest="d-1") | {"style": "positive"}
    refuse = execute("Deny it", "deny", id="id-1", digest="d-1") | {"style": "destructive"}
    shown = card(
        SHOWN,
        opens("Approve…", line("It is done as soon as you agree."), agree),
        opens("Deny…", REASON, refuse),
        opened("#/r/id-1/decide"),
    )
    assert activity_of(DECIDED, BOT) == {
        "type": "message",
        "summary": "A & <b> > c",
        "attachments": [{"contentType": "application/vnd.microsoft.card.adaptive", "content": shown}],
    }


def test_teams_offers_the_forms_a_new_secret_and_the_page_where_there_is_one() -> None:
    forms = [execute(each.title, "register", kind=kind) for kind, each in KINDS.items()]
    assert card_of(Said("t", forms=True, page="#/new"), BOT)["actions"] == [*forms, opened("#/new")]
    assert card_of(Said("t", forms=True, page="#/new"), BOT_WITHOUT_A_PAGE)["actions"] == forms
    warning = line("The secret is replaced in the vault. The one of now works on for a while.")
    rotates = opens("Rotate…", warning, execute("Replace the secret", "rotate", id="i", digest="key"))
    assert card_of(Said("t", (Item("n", "i"),), secret="key"), BOT)["actions"] == [rotates]
    assert card_of(Said("t"), BOT) == card([line("t", weight="Bolder")])


def test_teams_takes_twenty_eight_kilobytes_and_what_is_larger_is_told_in_short() -> None:
    def sized(more: int) -> Said:
        item = Item("n", "i", ("é" * 1500,) * 8 + ("x" * (1000 + more),))
        return Said("t", (item,), page="#/p", decide_digest="d")

    size = len(json.dumps(activity_of(sized(0), BOT), ensure_ascii=False).encode())
    largest = activity_of(sized(LARGEST - size), BOT)
    assert len(json.dumps(largest, ensure_ascii=False).encode()) == LARGEST == 28 * 1024
    short = card(
        [
            line("t", weight="Bolder"),
            line("n", size="Medium", weight="Bolder", separator=True),
            *(line("i"), line("There is more to read than fits here: see the page.")),
        ],
        opened("#/p"),
    )
    for larger in (sized(LARGEST - size + 1), Said("t", (Item("n", "i", ("x" * 3001,)),), page="#/p", secret="s")):
        assert activity_of(larger, BOT)["attachments"][0]["content"] == short
    longest = activity_of(Said("t", (Item("n", "i", ("x" * 3000,)),), secret="s"), BOT)["attachments"][0]["content"]
    assert longest["body"][2:] == [line("x" * 3000), line("i")]
    assert longest["actions"][0]["title"] == "Rotate…"
    [cut] = card_of(Said("x" * 3001), BOT)["body"]
    assert cut == line("x" * 2999 + "…", weight="Bolder")


def test_a_form_of_teams_has_what_was_filled_in_and_what_is_wrong_under_its_field() -> None:
    name, contact, resource, uris, scopes = KINDS["spa"].entries
    needed = {"isRequired": True, "errorMessage": "This is needed."}

    def field(entry: Any, **more: Any) -> dict[str, Any]:
        return {"type": "Input.Text", "id": entry.name, "label": entry.label, "maxLength": 3000, **more}

    shown = form_of("spa", "k", {"displayName": "x", "scopes": ""}, {"contact": "No address."})
    assert shown == card(
        [
            line("Single-page app", size="Medium", weight="Bolder"),
            field(name, **needed, value="x"),
            field(contact, **needed),
            line("No address.", color="Attention"),
            field(resource, **needed),
            field(uris, isMultiline=True, **needed),
            field(scopes, isMultiline=True),
        ],
        execute("Register", "send", kind="spa", key="k"),
    )
    assert answer_of(shown) == {
        "statusCode": 200,
        "type": "application/vnd.microsoft.card.adaptive",
        "value": shown,
    }
    assert told_of("t") == {"statusCode": 200, "type": "application/vnd.microsoft.activity.message", "value": "t"}
