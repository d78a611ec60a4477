"""The description of the API as a page: readable without a sign-in, on a phone too, and each call can be tried."""

from typing import Any

import pytest

from tests.browser.conftest import People


@pytest.mark.parametrize("dark", [False, True], ids=["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
def test_the_description_is_well_for_whoever_has_not_signed_in(people: People, width: int, *, dark: bool) -> None:
    reader = people.called(None, width=width, dark=dark)
    reader.page.goto(f"{reader.origin}/api/docs")
    reader.sees_heading()
    for name in ("Calls", "Codes, and what to do", "Schemas"):
        assert reader.page.get_by_role("heading", level=2, name=name, exact=True).count() == 1
    reader.looks_well({(1280, False): "docs", (390, True): "docs-phone"}.get((width, dark)))


def test_a_call_is_tried_with_the_callers_own_sign_in(people: People, server: Any) -> None:
    alice = people.called("alice")
    alice.page.goto(f"{alice.origin}/api/docs#showRegistration")
    section = alice.page.locator("section.call", has=alice.page.locator("#showRegistration"))
    section.locator("summary", has_text="Try it").click()
    section.get_by_label("registrationId").fill(server["registrationId"])
    section.get_by_role("button", name="Send GET").click()
    section.get_by_text("Status 200").wait_for()
    assert server["clientId"] in section.locator(".answered").inner_text()
    alice.looks_well()


def test_a_body_begins_as_an_example_and_a_refusal_is_shown_as_it_is(people: People) -> None:
    alice = people.called("alice")
    alice.page.goto(f"{alice.origin}/api/docs")
    section = alice.page.locator("section.call", has=alice.page.locator("#submitRegistration"))
    section.locator("summary", has_text="Try it").click()
    assert '"clientType"' in section.get_by_label("Body").input_value()
    section.get_by_label("dryRun").fill("true")
    section.get_by_label("Body").fill('{"clientType": "resource"}')
    section.get_by_role("button", name="Send POST").click()
    section.get_by_text("Status 400").wait_for()
    assert '"invalid-request"' in section.locator(".answered").inner_text()


def test_whoever_is_not_known_is_led_to_sign_in(people: People) -> None:
    reader = people.called(None)
    reader.page.goto(f"{reader.origin}/api/docs")
    section = reader.page.locator("section.call", has=reader.page.locator("#listRegistrations"))
    section.locator("summary", has_text="Try it").click()
    section.get_by_role("button", name="Send GET").click()
    section.get_by_text("Status 401").wait_for()
    section.get_by_role("link", name="Sign in").click()
    reader.page.get_by_role("link", name="alice", exact=True).click()
    reader.page.wait_for_url("**/api/docs")


def test_the_contents_lead_to_a_call(people: People) -> None:
    reader = people.called(None)
    reader.page.goto(f"{reader.origin}/api/docs")
    reader.page.get_by_role("navigation", name="Contents").get_by_role("link", name="Replace the secret now").click()
    top = reader.page.locator("#rotateRegistration").bounding_box()["y"]
    assert 0 <= top < 200
