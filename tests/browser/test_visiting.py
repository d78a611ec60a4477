"""Coming and going: signing in, deep links, the way back, what is kept, what fails, how fast, how large."""

import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from dev.host import HostProcess
from dev.stack import Stack
from tests.browser.conftest import People, registered

URL = "https://fhir.contoso.example"
NEEDLE = {"fhirServerUrl": "https://needle.contoso.example"}
KEY = "a-function-key-of-this-test"
LARGEST = 150_000


@pytest.fixture(scope="module")
def with_keys(running: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The origin of a host of the same cloud whose callers have a function key."""
    # A chat is there only where callers sign in.
    settings = {name: value for name, value in running.settings.items() if not name.startswith("SLACK_")}
    settings["CALLER_AUTH"] = "key"
    log = tmp_path_factory.mktemp("keys") / "host.log"
    with HostProcess(settings, function_key=KEY, log_file=log) as host:
        yield host.origin


def test_whoever_is_not_signed_in_signs_in_and_comes_to_where_the_link_led(people: People, server: Any) -> None:
    alice = people.called(None)
    alice.signs_in("alice", f"#/r/{server['registrationId']}/events")
    alice.sees_heading("Events: FHIR server, test")
    alice.clicks("Sign out", "link")
    alice.page.wait_for_url("**/.auth/login/**")


def test_the_root_of_the_api_leads_to_the_page(people: People) -> None:
    alice = people.called("alice")
    alice.page.goto(f"{alice.origin}/api/")
    alice.page.wait_for_url("**/api/page/")
    alice.sees_heading()


def test_the_way_back_leads_to_where_somebody_was(people: People, server: Any) -> None:
    alice = people.called("alice")
    alice.looks_at("#/")
    alice.page.wait_for_load_state("networkidle")  # what waits for her is told above the list, which moves down then
    alice.page.get_by_role("link", name="FHIR server, test").first.click()
    alice.sees_heading("FHIR server, test")
    alice.page.go_back()
    alice.sees_heading("Registrations")
    alice.page.go_forward()
    alice.sees_heading("FHIR server, test")


def test_a_search_finds_by_a_part_of_the_name_and_by_the_url_and_can_be_sent_to_somebody(
    people: People, server: Any
) -> None:
    registered(
        people.served, {"clientType": "resource", "displayName": "Needle", "contact": "a@contoso.example"} | NEEDLE
    )
    alice = people.called("alice")
    alice.sees_heading("Registrations")
    for text in ("eedl", NEEDLE["fhirServerUrl"]):
        alice.types("Search", text)
        alice.page.get_by_text("1 registration", exact=True).first.wait_for()
        assert alice.page.locator("tbody tr").count() == 1
        assert "Needle" in alice.text
    alice.types("Search", "nothing is called so")
    alice.sees("Nothing matches.")
    alice.looks_well()
    alice.types("Search", "eedl")
    alice.page.get_by_text("1 registration", exact=True).first.wait_for()
    alice.page.reload()
    alice.page.get_by_text("1 registration", exact=True).first.wait_for()
    assert alice.page.get_by_label("Search").input_value() == "eedl"
    alice.types("Search", "")
    alice.chooses("Show", "Secret ends within 30 days")
    alice.sees("Nothing matches.")


def test_what_was_typed_is_there_after_a_reload_and_gone_after_it_was_sent(people: People, server: Any) -> None:
    alice = people.called("alice")
    alice.looks_at("#/new/spa")
    alice.types("Name", "Draft, test")
    alice.types("E-mail for notices", "a@contoso.example")
    alice.types("FHIR server", URL)
    alice.types("Redirect URIs, line 1", "https://draft.contoso.example/cb")
    alice.ticks("Ask for patient.Patient.r")
    alice.page.reload()
    alice.sees("All of it is valid. Nothing was created yet.")
    assert alice.page.get_by_label("Name", exact=True).input_value() == "Draft, test"
    assert alice.page.get_by_label("Ask for patient.Patient.r").is_checked()
    alice.registers()
    alice.looks_at("#/new/spa")
    assert alice.page.get_by_label("Name", exact=True).input_value() == ""


def test_a_private_key_is_told_to_be_one_and_is_neither_kept_nor_sent(people: People) -> None:
    alice = people.called("alice")
    sent: list[str] = []
    alice.page.on("request", lambda request: sent.append(request.post_data or ""))
    alice.looks_at("#/new/service")
    alice.page.get_by_label("A certificate").check()
    alice.types("Certificate", "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----")
    alice.sees("This is a private key.")
    alice.types("Name", "With a key")
    alice.page.wait_for_timeout(800)
    assert "PRIVATE KEY" not in alice.page.evaluate("JSON.stringify({...localStorage})")
    assert not [each for each in sent if "PRIVATE KEY" in each]


def test_a_session_that_ended_loses_nothing(people: People) -> None:
    alice = people.called("alice")
    alice.looks_at("#/new/spa")
    alice.types("Name", "Before the end")
    alice.context.clear_cookies()
    alice.types("E-mail for notices", "a@contoso.example")
    alice.sees("Your session has ended.")
    alice.looks_well()
    alice.clicks("Sign in", "link")
    alice.page.get_by_role("link", name="alice", exact=True).click()
    alice.sees_heading("Register a single-page app")
    assert alice.page.get_by_label("Name", exact=True).input_value() == "Before the end"


def test_what_is_anothers_is_not_there(people: People, server: Any) -> None:
    mallory = people.called("mallory")
    mallory.looks_at(f"#/r/{server['registrationId']}")
    mallory.sees("There is no registration of that id, or none that you may know of.")
    mallory.looks_well()
    mallory.looks_at("#/nowhere", "There is no such page here.")


def test_a_service_that_cannot_be_reached_is_told_and_tried_again(people: People, server: Any) -> None:
    alice = people.called("alice")
    alice.looks_at("#/new")
    alice.page.route("**/api/registrations*", lambda route: route.abort())
    alice.clicks("Registrations", "link")
    alice.sees("The service cannot be reached.")
    alice.looks_well()
    alice.page.unroute("**/api/registrations*")
    alice.wrong.clear()
    alice.clicks("Try again")
    alice.sees_heading("Registrations")


def test_a_function_key_is_asked_for_kept_nowhere_and_asked_for_again(people: People, with_keys: str) -> None:
    holder = people.called(None, origin=with_keys)
    holder.looks_at("", "Your function key")
    holder.looks_well("key")
    holder.types("Function key", "wrong")
    holder.clicks("Go on")
    holder.sees("This key was refused.")
    holder.types("Function key", KEY)
    holder.clicks("Go on")
    holder.page.get_by_role("navigation").wait_for()
    kept = "JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href])"
    assert KEY not in holder.page.evaluate(kept)
    holder.page.reload()
    holder.sees_heading("Your function key")


def test_somebody_in_too_many_groups_is_told_what_to_do(people: People) -> None:
    carol = people.called(None)
    carol.opens()
    carol.page.get_by_role("link", name="carol", exact=True).click()
    carol.sees("groupMembershipClaims")
    carol.looks_well()


@pytest.mark.parametrize("at", ["", "#/new/spa", "#/r/{id}"])
def test_the_page_can_be_used_within_a_second_and_is_small(people: People, server: Any, at: str) -> None:
    alice = people.called("alice")
    alice.page.goto("about:blank")
    sizes: dict[str, int] = {}
    alice.page.on(
        "response", lambda answer: sizes.update({answer.url: len(answer.body()) if answer.status == 200 else 0})
    )
    began = time.perf_counter()
    alice.looks_at(at.format(id=server["registrationId"]))
    alice.page.locator("main a, main button").first.wait_for()
    took = time.perf_counter() - began
    alice.page.wait_for_load_state("networkidle")
    whole = sum(size for url, size in sizes.items() if "/api/page/" in url)
    assert took < 1.0, f"{took:.2f} s"
    assert 20_000 < whole < LARGEST, whole


def test_the_page_shows_a_code_for_the_chat_and_another_one_each_time(people: People, server: Any) -> None:
    alice, shown = people.called("alice"), set()
    for _ in range(2):
        alice.looks_at("#/chat")
        command = alice.page.locator("main pre", has_text="/registrar link").inner_text()
        shown.add(re.fullmatch(r"/registrar link (?:[A-Z2-9]{4}-){2}[A-Z2-9]{4}", command.strip()) and command)
        alice.looks_at("#/approvals")
        alice.page.locator("main pre").wait_for(state="detached")
    assert len(shown - {None}) == 2


VIEWS = {
    "home": "#/",
    "new": "#/new",
    "form": "#/new/spa",
    "form-server": "#/new/resource",
    "detail": "#/r/{id}",
    "change": "#/r/{id}/change",
    "rotate": "#/r/{client}/rotate",
    "revoke": "#/r/{client}/revoke",
    "delete": "#/r/{id}/delete",
    "events": "#/r/{id}/events",
    "approvals": "#/approvals",
    "chat": "#/chat",
    "service": "#/r/{client}",
}


PICTURES = {"home-desk-light", "home-phone-dark", "form-server-desk-dark"}


@pytest.fixture(scope="module")
def a_client(running: Stack, server: Any) -> dict[str, Any]:
    body = {
        "clientType": "service",
        "displayName": "Seen from all sides",
        "contact": "a@contoso.example",
        "resource": URL,
    }
    return registered(running, body | {"appRoles": ["globalReader"]})


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_every_view_is_well_on_a_phone_and_a_desk_by_day_and_by_night(
    people: People, server: Any, a_client: Any, width: int, *, dark: bool
) -> None:
    alice = people.called("alice", width=width, dark=dark)
    for name, at in VIEWS.items():
        alice.looks_at(at.format(id=server["registrationId"], client=a_client["registrationId"]))
        alice.page.wait_for_load_state("networkidle")
        shown = f"{name}-{'phone' if width < 600 else 'desk'}-{'dark' if dark else 'light'}"
        alice.looks_well(shown if shown in PICTURES else None)
