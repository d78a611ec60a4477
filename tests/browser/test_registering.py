"""From nothing to a registration, with a browser: the four client types, by mouse, by keyboard, and over a mistake."""

from typing import Any

import pytest

from tests.browser.conftest import People
from tests.browser.person import Person

CONTACT = "charts@contoso.example"
URL = "https://fhir.contoso.example"


def test_a_smart_client_is_registered_in_eight_actions_and_no_scope_is_typed(people: People, server: Any) -> None:
    mallory = people.called("mallory")
    mallory.sees_heading("What are you building?")
    mallory.looks_well("choose")
    mallory.page.get_by_role("link", name="A single-page app").click()
    mallory.actions += 1
    mallory.types("Name", "Growth chart, test")
    mallory.types("E-mail for notices", CONTACT)
    mallory.types("FHIR server", URL)
    mallory.types("Redirect URIs, line 1", "https://charts.contoso.example/callback")
    mallory.ticks("Ask for patient.Observation.rs")
    mallory.sees("All of it is valid. Nothing was created yet.")
    mallory.looks_well("form")
    mallory.registers()
    assert mallory.actions <= 8
    mallory.looks_well("registration")
    assert "patient.Observation.rs" in mallory.text


def test_a_server_is_registered_with_scopes_that_are_ticked_in_a_table(people: People) -> None:
    alice = people.called("alice")
    alice.looks_at("#/new/resource", "Register a FHIR server")
    alice.types("Name", "Clinic, test")
    alice.types("E-mail for notices", CONTACT)
    alice.types("URL of the FHIR server", "https://clinic.contoso.example")
    for each in ("Patient: Read", "Observation: Read", "Observation: Search"):
        alice.ticks(f"The patient's own data, {each}")
    alice.sees("Makes user_impersonation, patient.Patient.r, patient.Observation.rs")
    alice.types("Add a resource", "Condition")
    alice.clicks("Add")
    alice.ticks("What the signed-in person may see, Condition: Create")
    alice.looks_well()
    alice.registers()
    assert "FhirServer__Security__Authentication__Audience=https://clinic.contoso.example" in alice.text
    for name in ("patient.Patient.r", "patient.Observation.rs", "user.Condition.c"):
        assert name in alice.text


def test_a_service_is_registered_and_everything_to_paste_has_its_secret_by_its_place_alone(
    people: People, server: Any
) -> None:
    alice = people.called("alice")
    alice.looks_at("#/new/service", "Register a background service")
    alice.types("Name", "Nightly export, test")
    alice.types("E-mail for notices", CONTACT)
    alice.types("FHIR server", URL)
    alice.ticks("Ask for globalReader")
    alice.registers()
    for language in ("JavaScript", "Python", "C#", "Java", "Go"):
        alice.chooses("Language", language)
        alice.page.get_by_role("group", name=language, exact=True).wait_for()
        assert "fhir-registrar-" in alice.text
    alice.clicks("GitHub Actions", "tab")
    assert "azure/login" in alice.text
    alice.clicks("Copy the command")
    copied = alice.page.evaluate("navigator.clipboard.readText()")
    assert copied.startswith("az ")
    alice.looks_well("service")


def test_a_service_without_a_secret_trusts_a_token_of_github(people: People, server: Any) -> None:
    alice = people.called("alice")
    alice.looks_at("#/new/service")
    alice.types("Name", "Terminology sync, test")
    alice.types("E-mail for notices", CONTACT)
    alice.types("FHIR server", URL)
    alice.page.get_by_label("A token of another issuer").check()
    alice.types("Issuer", "https://token.actions.githubusercontent.com")
    alice.types("Subjects, line 1", "repo:contoso/sync:environment:test")
    alice.ticks("Ask for globalReader")
    alice.registers()
    alice.clicks("GitHub Actions", "tab")
    assert f"client-id: {alice.page.locator('.head code').inner_text()}" in alice.text
    alice.looks_well()


def test_a_web_app_with_a_server_is_registered(people: People, server: Any) -> None:
    alice = people.called("alice")
    alice.looks_at("#/new/confidential", "Register a web app with a server")
    alice.types("Name", "Portal, test")
    alice.types("E-mail for notices", CONTACT)
    alice.types("FHIR server", URL)
    alice.types("Redirect URIs, line 1", "https://portal.contoso.example/signin-oidc")
    alice.ticks("Ask for user_impersonation")
    alice.registers()
    alice.chooses("Language", "Python")
    assert "acquire_token_by_auth_code_flow" in alice.text


def test_a_phone_app_is_registered_with_a_scheme_of_its_own(people: People, server: Any) -> None:
    alice = people.called("alice", width=390)
    alice.looks_at("#/new/native", "Register a mobile or desktop app")
    alice.types("Name", "Ward round, test")
    alice.types("E-mail for notices", CONTACT)
    alice.types("FHIR server", URL)
    alice.types("Redirect URIs, line 1", "com.contoso.ward:/auth")
    alice.ticks("Ask for user.all.rs")
    alice.looks_well("form-phone", scrolled=True)
    alice.registers()
    alice.looks_well()


def test_a_bad_redirect_uri_has_its_reason_beside_it_and_the_others_have_none(people: People, server: Any) -> None:
    alice = people.called("alice")
    alice.looks_at("#/new/spa")
    alice.types("Name", "Growth chart, test")
    alice.types("E-mail for notices", CONTACT)
    alice.types("FHIR server", URL)
    alice.types("Redirect URIs, line 1", "https://charts.contoso.example/callback")
    alice.clicks("Add another")
    alice.types("Redirect URIs, line 2", "http://charts.contoso.example/callback")
    alice.sees("Use https; plain http is for http://localhost and http://127.0.0.1 only.")
    lines = alice.page.locator("ol.lines > li")
    assert lines.nth(0).locator(".reason").inner_text() == ""
    assert "Use https" in lines.nth(1).locator(".reason").inner_text()
    assert lines.nth(1).locator("input").get_attribute("aria-invalid") == "true"
    alice.looks_well("form-reason", scrolled=True)
    alice.clicks("Remove line 2")
    alice.ticks("Ask for patient.Patient.r")
    alice.sees("All of it is valid. Nothing was created yet.")


def test_what_is_missing_is_told_when_somebody_registers_and_not_before(people: People) -> None:
    alice = people.called("alice")
    alice.looks_at("#/new/confidential")
    alice.sees("Still needed")
    assert alice.page.locator("form .reason", has_text="required").count() == 0
    assert alice.page.locator("form .reason:not(:empty)").count() == 0
    alice.clicks("Register")
    alice.page.locator("form .reason:not(:empty)").first.wait_for()
    assert alice.page.evaluate("document.activeElement.name") == "displayName"
    alice.looks_well()


NAMES = "(({ariaLabel, labels, innerText}) => [ariaLabel, labels?.[0]?.innerText, innerText])(document.activeElement)"


def tabs_to(person: Person, name: str, most: int = 60) -> None:
    """Presses Tab until what has this name has the focus."""
    for _ in range(most):
        person.page.keyboard.press("Tab")
        if any((each or "").strip().startswith(name) for each in person.page.evaluate(NAMES)):
            return
    raise AssertionError(f"Tab does not lead to {name}")


def test_all_of_it_is_done_by_keyboard_alone(people: People, server: Any) -> None:
    mallory = people.called("mallory")
    mallory.looks_at("#/new")
    keyboard = mallory.page.keyboard
    tabs_to(mallory, "A single-page app")
    keyboard.press("Enter")
    mallory.sees_heading("Register a single-page app")
    for label, text in (
        ("Name", "By keyboard, test"),
        ("E-mail for notices", CONTACT),
        ("FHIR server", URL),
        ("Redirect URIs, line 1", "https://keys.contoso.example/callback"),
    ):
        tabs_to(mallory, label)
        keyboard.type(text)
    mallory.page.get_by_label("Ask for patient.Patient.r").wait_for()
    tabs_to(mallory, "Ask for patient.Patient.r")
    keyboard.press("Space")
    mallory.sees("All of it is valid. Nothing was created yet.")
    tabs_to(mallory, "Register")
    keyboard.press("Enter")
    mallory.page.wait_for_url("**/#/r/*")
    mallory.page.locator(".head .badge.active").wait_for()
    mallory.page.get_by_role("tab", name="MSAL").wait_for()
    tabs_to(mallory, "MSAL")
    keyboard.press("ArrowRight")
    assert mallory.page.get_by_role("tab", name="SMART launcher").get_attribute("aria-selected") == "true"
    tabs_to(mallory, "Change")
    keyboard.press("Enter")
    mallory.sees_heading("Change By keyboard, test")


def test_the_first_tab_skips_to_the_content(people: People) -> None:
    alice = people.called("alice")
    alice.looks_at("#/new")
    alice.page.reload()
    alice.sees_heading("What are you building?")
    alice.page.keyboard.press("Tab")
    assert alice.page.evaluate("document.activeElement.innerText") == "Skip to the content"
    alice.page.keyboard.press("Enter")
    assert alice.page.evaluate("document.activeElement.id") == "main"


@pytest.mark.parametrize("name", ['<img src=x onerror="window.violations.push(1)">', "{{7*7}} & <b>bold</b>"])
def test_a_name_that_is_markup_is_a_name(people: People, server: Any, name: str) -> None:
    mallory = people.called("mallory")
    mallory.looks_at("#/new/spa")
    mallory.types("Name", name)
    mallory.types("E-mail for notices", CONTACT)
    mallory.types("FHIR server", URL)
    mallory.types("Redirect URIs, line 1", "https://charts.contoso.example/callback")
    mallory.ticks("Ask for patient.Patient.r")
    mallory.registers()
    assert mallory.page.locator("h1").inner_text() == name
    mallory.looks_at("#/")
    mallory.sees(name)
