"""What becomes of a registration, with a browser: change, rotate, revoke, delete, approve, and who did what."""

from typing import Any

import pytest
from playwright.sync_api import expect

from dev.emulator.sts.accounts import OTHER_TEAM
from tests.browser.conftest import SERVER, People, registered

CONTACT = "team@contoso.example"
URL = "https://fhir.contoso.example"


def client(people: People, name: str, **fields: Any) -> dict[str, Any]:
    body = {
        "clientType": "service",
        "displayName": name,
        "contact": CONTACT,
        "resource": URL,
        "appRoles": ["globalReader"],
    }
    return registered(people.served, body | fields)


def test_a_change_is_seen_before_it_is_made_and_made_as_it_was_seen(people: People, server: Any) -> None:
    redirects = ["https://a.contoso.example/cb", "https://b.contoso.example/cb"]
    fields = {"clientType": "public", "platform": "spa", "scopes": ["patient.Patient.r"], "redirectUris": redirects}
    made = registered(people.served, {"displayName": "Chart", "contact": CONTACT, "resource": URL, **fields})
    alice = people.called("alice")
    alice.looks_at(f"#/r/{made['registrationId']}", "Chart")
    alice.clicks("Change", "link")
    alice.sees_heading("Change Chart")
    alice.sees("Nothing is different yet.")
    assert alice.page.get_by_role("button", name="Save the change").is_disabled()
    alice.types("Name", "Growth chart")
    alice.types("Redirect URIs, line 2", "https://c.contoso.example/cb")
    alice.sees("Whoever signs in through a redirect URI that goes is refused.")
    difference = alice.page.locator(".differences")
    told = [" ".join(each.split()) for each in difference.locator(".gone, .new").all_inner_texts()]
    assert told == [
        *("now: Chart", "then: Growth chart"),
        *("now: https://b.contoso.example/cb", "then: https://c.contoso.example/cb"),
    ]
    alice.looks_well("change")
    alice.clicks("Save the change")
    alice.sees_heading("Growth chart")
    alice.page.locator(".progress").wait_for(state="detached")
    assert "https://c.contoso.example/cb" in alice.text
    assert "https://b.contoso.example/cb" not in alice.text


def test_what_a_client_asks_for_is_changed_by_ticking_what_its_server_offers(people: People, server: Any) -> None:
    made = client(people, "To ask for more")
    alice = people.called("alice")
    alice.looks_at(f"#/r/{made['registrationId']}/change")
    alice.sees("Nothing is different yet.")
    alice.ticks("Ask for globalExporter")
    told = alice.page.locator(".differences .new")
    told.wait_for()
    assert [" ".join(each.split()) for each in told.all_inner_texts()] == ["then: globalExporter"]
    alice.clicks("Save the change")
    alice.sees_heading("To ask for more")
    alice.page.locator(".progress").wait_for(state="detached")
    assert "globalExporter" in alice.text


FEDERATED = {"type": "federated", "issuer": "https://token.example", "subjects": ["one"]}


@pytest.mark.parametrize(
    "fields",
    [
        {"clientType": "resource", "fhirServerUrl": "https://nothing.contoso.example"},
        {"clientType": "confidential", "resource": URL, "redirectUris": ["https://a.contoso.example/cb"]},
        {"clientType": "service", "resource": URL},
        {"clientType": "service", "resource": URL, "credential": FEDERATED},
    ],
    ids=["resource", "confidential", "service", "federated"],
)
def test_a_form_of_a_change_begins_with_nothing_different(people: People, server: Any, fields: dict[str, Any]) -> None:
    scopes = {"scopes": ["patient.Patient.r"]} if fields["clientType"] == "confidential" else {}
    made = registered(people.served, {"displayName": "As it is", "contact": CONTACT, **fields, **scopes})
    alice = people.called("alice")
    alice.looks_at(f"#/r/{made['registrationId']}/change")
    alice.types("E-mail for notices", "other@contoso.example")
    told = alice.page.locator(".differences .new")
    told.wait_for()
    assert [" ".join(each.split()) for each in told.all_inner_texts()] == ["then: other@contoso.example"]


def test_a_bad_change_has_its_reason_and_cannot_be_saved_unseen(people: People, server: Any) -> None:
    made = client(people, "To change")
    alice = people.called("alice")
    alice.looks_at(f"#/r/{made['registrationId']}/change")
    alice.types("E-mail for notices", "nobody")
    alice.sees("Give one e-mail address")
    alice.looks_well()


def test_what_somebody_else_changed_meanwhile_is_not_overwritten(people: People, server: Any) -> None:
    made = client(people, "Changed twice")
    first, second = people.called("alice"), people.called("alice")
    for each in (first, second):
        each.looks_at(f"#/r/{made['registrationId']}/change")
        each.types("Name", "Changed")
        each.page.get_by_role("button", name="Save the change", disabled=False).wait_for()
        each.page.locator(".differences").wait_for()
    first.clicks("Save the change")
    first.sees_heading("Changed")
    second.clicks("Save the change")
    second.sees("Somebody has changed it meanwhile")
    with second.page.expect_response(lambda answer: "dryRun=true" in answer.url):
        second.types("Name", "Changed again")
    second.page.wait_for_load_state("networkidle")
    second.sees("Somebody has changed it meanwhile")
    second.looks_well()


@pytest.mark.parametrize(
    ("link", "button"), [("Rotate", "Replace it"), ("It has leaked: revoke", "Revoke and replace")]
)
def test_a_secret_is_replaced_after_it_was_told_what_follows(
    people: People, server: Any, link: str, button: str
) -> None:
    made = client(people, f"To {button.lower()}")
    alice = people.called("alice")
    alice.looks_at(f"#/r/{made['registrationId']}")
    alice.clicks(link, "link")
    alice.sees("What follows")
    alice.looks_well("rotate" if link == "Rotate" else None)
    alice.clicks(button)
    alice.page.wait_for_url(f"**/#/r/{made['registrationId']}")
    alice.sees("Replacing the secret")
    if link == "Rotate":  # what is revoked is removed once its own run cannot publish it any more, which takes a minute
        key = alice.page.locator("dt", has_text="Key id").locator("xpath=following-sibling::dd")
        expect(key).not_to_have_text(made["secret"]["keyId"], timeout=60_000)
    alice.looks_at(f"#/r/{made['registrationId']}/events")
    alice.sees("rotation-requested" if link == "Rotate" else "revocation-requested")


def test_a_server_is_deleted_after_its_clients_were_named_and_its_name_was_typed(people: People) -> None:
    url = "https://gone.contoso.example"
    registered(people.served, SERVER | {"displayName": "Stays", "fhirServerUrl": "https://stays.contoso.example"})
    made = registered(people.served, SERVER | {"displayName": "To delete", "fhirServerUrl": url})
    client(people, "Taken along", resource=url)
    alice = people.called("alice")
    alice.looks_at(f"#/r/{made['registrationId']}")
    alice.sees("Taken along")
    alice.clicks("Delete", "link")
    alice.sees("These registered clients call this server, and are deleted with it:")
    assert "Taken along" in alice.text
    assert "What follows" in alice.text
    assert alice.page.get_by_role("button", name="Delete it").is_disabled()
    alice.looks_well("delete")
    alice.types("Type To delete to confirm", "To delete")
    alice.clicks("Delete it")
    alice.page.locator(".badge.deleted").wait_for(timeout=60_000)  # its client goes first
    alice.sees("Application and secret are gone.")
    alice.looks_at("#/")
    alice.chooses("Show", "Deleted")
    alice.sees("To delete")


def test_a_request_waits_is_agreed_to_by_an_approver_and_goes_on(people: People, server: Any) -> None:
    alice, approver = people.called("alice"), people.called("approver")
    alice.looks_at("#/new/service")
    alice.types("Name", "Nightly import, test")
    alice.types("E-mail for notices", CONTACT)
    alice.types("FHIR server", URL)
    alice.ticks("Ask for globalWriter")
    alice.sees("By the rule no-daemon-writes.")
    alice.looks_well()
    alice.clicks("Register")
    alice.page.wait_for_url("**/#/r/*")
    alice.page.locator(".badge.awaiting-approval").wait_for()
    alice.looks_well("waiting")
    approver.looks_at("#/")
    approver.sees("waits for an approval.")
    approver.clicks("Approvals", "link")
    approver.sees_heading("Waiting for you")
    approver.looks_well()
    approver.clicks("Nightly import, test", "link")
    approver.sees_heading("Nightly import, test")
    approver.looks_well("decide")
    approver.types("Reason", "Agreed with the platform team.")
    approver.clicks("Approve")
    approver.page.wait_for_url(f"**/#/r/{alice.registration_id}")
    alice.looks_at("#/")
    alice.page.get_by_role("link", name="Nightly import, test").click()
    alice.page.locator(".head .badge.active").wait_for(timeout=30_000)


def test_a_request_is_denied_with_a_reason_that_the_requester_reads(people: People, server: Any) -> None:
    body = {
        "clientType": "service",
        "displayName": "Too much",
        "contact": CONTACT,
        "resource": URL,
        "appRoles": ["globalWriter"],
    }
    waits = registered(people.served, body, wait=False)
    approver = people.called("approver")
    approver.looks_at(f"#/r/{waits['registrationId']}/decide")
    approver.clicks("Deny")
    approver.sees("Say why: the requester reads it, and can ask for less.")
    approver.types("Reason", "Reading is enough here.")
    approver.clicks("Deny")
    approver.page.wait_for_url(f"**/#/r/{waits['registrationId']}")
    alice = people.called("alice")
    alice.looks_at(f"#/r/{waits['registrationId']}")
    alice.page.locator(".badge.failed").wait_for()
    alice.sees("Reading is enough here.")
    alice.looks_well()


def test_the_owner_of_a_server_sees_who_may_call_it_agrees_and_takes_it_back(people: People) -> None:
    url = "https://shared.contoso.example"
    registered(people.served, SERVER | {"displayName": "Shared server", "fhirServerUrl": url})
    asked = {"clientType": "service", "contact": CONTACT, "resource": url, "appRoles": ["globalReader"]}
    theirs = {"displayName": "Statistics of others", "owner": OTHER_TEAM, **asked}
    made = registered(people.served, theirs, "mallory")
    alice = people.called("alice")
    alice.looks_at("#/")
    alice.clicks("Shared server", "link")
    alice.sees("One client waits for your word")
    alice.looks_well()
    alice.clicks("Statistics of others", "link")
    alice.sees("for the server's owner to agree")
    alice.looks_well("client")
    alice.clicks("Agree to exactly these")
    alice.page.get_by_role("button", name="Take everything back").wait_for()
    alice.page.locator(".grants", has_text="granted").wait_for()
    alice.looks_well()
    alice.clicks("Take everything back")
    alice.page.get_by_role("button", name="Agree to exactly these").wait_for()
    mallory = people.called("mallory")
    mallory.looks_at(f"#/r/{made['registrationId']}")
    mallory.sees("What it may do there")
    mallory.looks_well()
    mallory.clicks("Delete", "link")  # so that she is new here again for whoever comes next
    mallory.types("Type Statistics of others to confirm", "Statistics of others")
    mallory.clicks("Delete it")
    mallory.page.locator(".badge.deleted").wait_for()


def test_events_say_who_did_what(people: People, server: Any) -> None:
    made = client(people, "With events")
    alice = people.called("alice")
    alice.looks_at(f"#/r/{made['registrationId']}/events", "Events: With events")
    assert "provisioned" in alice.text
    alice.looks_well("events")
