"""What a change of a request is read as: what of it is judged, what stays, and by which rule each other is refused."""

from datetime import datetime, timedelta
from typing import Any, Final

import pytest
from pydantic import BaseModel, ValidationError

from provisioning.domain.errors import RequestRejected
from provisioning.domain.intake import (
    CHANGEABLE,
    CREDENTIALS,
    REQUEST_TYPES,
    Decision,
    FederatedCredential,
    Permissions,
    RegistrationRequest,
    ServiceClientRequest,
    certificate_validity_faults,
    changed_names,
    dump,
    fingerprint,
    parse,
    parse_change,
    parse_decision,
    parse_permissions,
    restore,
    secret_lifetime_faults,
)
from tests.worlds.certificates import BEGINS
from tests.worlds.request_bodies import (
    MARKER,
    OWNER,
    a_confidential_client,
    a_public_client,
    a_resource,
    a_service_client,
)
from tests.worlds.variants import CERTIFICATE, FEDERATED, OTHER_CERTIFICATE, REQUESTS, SUBJECTS

PUBLIC: Final = REQUESTS["public"]
KEY: Final = "-----BEGIN PRIVATE KEY-----\nMIIE"
OLD: Final = "http://accepted.once.example/"  # by no rule of today
NEW: Final = "https://new.contoso.example/cb"
CLIENT_ID: Final = "0a0a0a0a-0000-4000-8000-000000000001"


def refused(call: Any, *args: Any, **named: Any) -> list[tuple[str, str]]:
    with pytest.raises(RequestRejected) as caught:
        call(*args, **named)
    assert (caught.value.status, caught.value.code) == (400, "invalid-request")
    return [(each.pointer, each.code) for each in caught.value.faults]


def refused_words(call: Any, request: Any, body: Any) -> str:
    with pytest.raises(RequestRejected) as caught:
        call(request, body, None)
    assert caught.value.faults[0].pointer == f"#/{next(iter(body))}"
    return caught.value.faults[0].message


def stored(body: dict[str, Any], **fields: Any) -> RegistrationRequest:
    """A request of an earlier version, which today's rules would refuse."""
    return restore(dump(parse(body)) | fields)


def test_what_a_change_leaves_out_stays_and_null_takes_a_field_out() -> None:
    before = parse(a_confidential_client(description="old", logoutUrl="https://app.contoso.example/out"))
    after = parse_change(before, {"displayName": "New", "description": None, "owner": OWNER.upper()}, None)
    expected = dump(before) | {"displayName": "New"}
    assert expected.pop("description") == "old"
    assert dump(after) == expected
    assert changed_names(before, after) == ("displayName", "description")
    assert (after.owner, changed_names(after, after)) == (OWNER, ())


@pytest.mark.parametrize("body", [{}, [], None, "x", 1])
def test_a_change_is_an_object_with_something_in_it(body: object) -> None:
    assert refused(parse_change, REQUESTS["service"], body, None) == [("#", "required")]


@pytest.mark.parametrize("kind", ["resource", "confidential", "public", "service"])
def test_what_cannot_be_changed_is_named_and_everything_else_is_judged_at_once(kind: str) -> None:
    request = REQUESTS[kind]
    fixed = [name for name in dump(request) if name not in CHANGEABLE[type(request)]]
    assert fixed
    assert refused_words(parse_change, request, {"display_name": 1}) == "There is no display_name; write displayName."
    assert refused_words(parse_change, request, {fixed[0]: 1}).startswith(f"Only {CHANGEABLE[type(request)][0]}, ")
    found = refused(parse_change, request, {**dict.fromkeys(fixed, "x"), "owner": "x", "a b": 1}, None)
    fixed_ones = [(f"#/{name}", "field-not-changeable") for name in fixed]
    assert found == [*fixed_ones, ("#", "field-not-changeable"), ("#/owner", "not-a-guid")]


def test_what_was_accepted_once_is_judged_again_only_where_it_is_changed() -> None:
    before = stored(a_confidential_client(), redirectUris=[OLD], displayName="", contact="nobody")
    after = parse_change(before, {"description": "d"}, None)
    assert changed_names(before, after) == ("description",)
    after = parse_change(before, {"redirectUris": [OLD, NEW]}, None)
    assert dump(after)["redirectUris"] == [OLD, NEW]
    assert refused(parse_change, before, {"redirectUris": [NEW, OLD.replace("once", "twice")]}, None) == [
        ("#/redirectUris/1", "uri-not-https")
    ]
    assert refused(parse_change, before, {"redirectUris": [OLD, OLD]}, None) == [("#/redirectUris/1", "uri-duplicate")]
    assert refused(parse_change, before, {"displayName": "", "contact": "x"}, None) == [
        ("#/displayName", "wrong-length"),
        ("#/contact", "not-an-email-address"),
    ]


def test_a_redirect_uri_that_was_there_before_stays_in_whatever_spelling_it_is_sent() -> None:
    before = stored(a_public_client(platform="native"), redirectUris=["http://accepted.example/"])
    assert parse_change(before, {"redirectUris": ["HTTP://Accepted.example"]}, None)


def test_a_form_that_holds_a_client_id_is_added_by_the_client_of_that_id_alone() -> None:
    before = parse(a_public_client(platform="native", redirectUris=["http://localhost/"]))
    body = {"redirectUris": [f"msal{CLIENT_ID}://auth"]}
    assert parse_change(before, body, CLIENT_ID)
    assert refused(parse_change, before, body, None) == [("#/redirectUris/0", "uri-client-id")]


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"appRoles": ["SAME"]}, "#/appRoles/0"),
        ({"scopes": ["Same"]}, "#/appRoles/0"),
    ],
)
def test_scopes_and_app_roles_of_a_resource_are_judged_together_whichever_is_changed(
    body: dict[str, Any], pointer: str
) -> None:
    before = parse(a_resource(scopes=["same"], appRoles=["same"]))
    assert refused(parse_change, before, body, None) == [(pointer, "role-named-as-scope")]
    assert parse_change(stored(a_resource(), scopes=["same"], appRoles=["SAME"]), {"displayName": "x"}, None)


EXCHANGED: dict[str, tuple[dict[str, Any], Any, Any]] = {
    "one subject for another": (FEDERATED, {"subject": "b"}, {**FEDERATED, "subject": "b"}),
    "several for one": (
        FEDERATED,
        {"subjects": ["a", "b"]},
        {"type": "federated", "issuer": FEDERATED["issuer"], "subjects": ["a", "b"]},
    ),
    "one for several": (SUBJECTS, {"subject": "a"}, {**FEDERATED, "subject": "a"}),
    "the same type and issuer": (FEDERATED, dict(FEDERATED), FEDERATED),
    "a certificate": (CERTIFICATE, {"certificate": OTHER_CERTIFICATE["certificate"]}, OTHER_CERTIFICATE),
    "nothing of it": (FEDERATED, {}, FEDERATED),
    "both": (FEDERATED, {"subject": "a", "subjects": ["b"]}, [("#/credential/subject", "subject-twice")]),
    "neither": (FEDERATED, {"subject": None}, [("#/credential/subject", "required")]),
    "another type": (FEDERATED, {"type": "secret"}, [("#/credential/type", "field-not-changeable")]),
    "another issuer": (
        FEDERATED,
        {"issuer": "https://x.example", "subject": ""},
        [("#/credential/issuer", "field-not-changeable"), ("#/credential/subject", "wrong-length")],
    ),
    "an audience": (FEDERATED, {"audience": "api://x"}, [("#/credential/audience", "field-not-changeable")]),
    "null": (FEDERATED, None, [("#/credential", "field-not-changeable")]),
    "a word": (FEDERATED, "federated", [("#/credential", "wrong-type")]),
    "a certificate that is none": (
        CERTIFICATE,
        {"certificate": "x"},
        [("#/credential/certificate", "certificate-not-pem")],
    ),
    "of a secret": ({"type": "secret"}, {"subject": "a"}, [("#/credential/subject", "field-not-allowed")]),
}


@pytest.mark.parametrize(("before", "change", "expected"), EXCHANGED.values(), ids=EXCHANGED)
def test_of_a_credential_only_what_it_trusts_is_changed(before: Any, change: Any, expected: Any) -> None:
    request = parse(a_service_client(credential=before))
    if isinstance(expected, list):
        assert refused(parse_change, request, {"credential": change}, None) == expected
    else:
        after = dump(parse_change(request, {"credential": change}, None))
        assert {name: value for name, value in after["credential"].items() if value is not None} == expected
        assert {**after, "credential": None} == {**dump(request), "credential": None}


def test_whoever_changes_a_part_of_a_credential_is_told_which_parts_can_be() -> None:
    for before, parts in (
        (FEDERATED, "subject and subjects"),
        (CERTIFICATE, "certificate"),
        ({"type": "secret"}, "nothing"),
    ):
        request = parse(a_service_client(credential=before))
        with pytest.raises(RequestRejected) as caught:
            parse_change(request, {"credential": {"type": "x"}}, None)
        assert caught.value.faults[0].message.startswith(f"Of this credential {parts} can be changed.")


def test_a_credential_is_changed_by_an_object_and_is_not_taken_away() -> None:
    request = REQUESTS["service-federated"]
    assert refused_words(parse_change, request, {"credential": "x"}) == "Send an object."
    assert refused_words(parse_change, request, {"credential": None}).startswith("Its type stays.")


@pytest.mark.parametrize(
    ("credential", "trusted"),
    [(FEDERATED, ("workload",)), (SUBJECTS, ("workload", "another"))],
    ids=["subject", "subjects"],
)
def test_every_subject_that_is_named_is_trusted(credential: dict[str, Any], trusted: tuple[str, ...]) -> None:
    request = parse(a_service_client(credential=credential))
    assert isinstance(request, ServiceClientRequest)
    assert isinstance(request.credential, FederatedCredential)
    assert request.credential.trusted == trusted


def test_a_request_that_an_earlier_version_took_has_the_hash_that_it_had_then() -> None:
    """A repeat is known by it, and an approval is bound to it."""
    body = {"clientType": "service", "displayName": "A", "owner": OWNER, "contact": "a@b.example", "resource": "r"}
    assert fingerprint(parse(body)) == "e4775266d5ea9e3de20586b755e1d90c945d842c9e7053dc5dc8d661f030fe10"


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (1, "The request breaks 1 rule; see errors."),
        (2, "The request breaks 2 rules; see errors."),
        (100, "The request breaks 100 rules; see errors."),
        (101, "The request breaks 101 rules; errors has the first 100."),
    ],
)
def test_a_refusal_says_how_many_rules_are_broken_and_names_the_first_hundred(number: int, said: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        parse(a_resource(**{f"a{each}": 1 for each in range(number)}))
    assert (caught.value.message, len(caught.value.faults)) == (said, min(number, 100))


@pytest.mark.parametrize("kind", [*REQUEST_TYPES.values(), *CREDENTIALS.values(), Decision, Permissions])
def test_no_error_about_a_body_repeats_a_value_of_it_and_none_is_changed_once_it_is_read(kind: type[BaseModel]) -> None:
    with pytest.raises(ValidationError) as caught:
        kind.model_validate({"unknown": MARKER, "type": [MARKER], "permissions": MARKER, "digest": [MARKER]})
    assert MARKER not in str(caught.value)
    read = kind.model_construct()
    with pytest.raises(ValidationError, match="frozen"):
        setattr(read, next(iter(kind.model_fields)), MARKER)


# --- what else is sent ----------------------------------------------------------------------------------------------


def test_what_somebody_agrees_to_is_a_list_of_names() -> None:
    assert parse_permissions({"permissions": ["read", "FHIR Data Reader"]}) == ("read", "FHIR Data Reader")
    assert refused(parse_permissions, {}) == [("#/permissions", "required")]
    assert refused(parse_permissions, {"permissions": ["a b"], "Permissions": 1}) == [
        ("#/permissions/0", "name-character"),
        ("#/Permissions", "field-not-allowed"),
    ]


def test_a_decision_names_what_it_is_about_and_a_denial_its_reason() -> None:
    assert parse_decision({"digest": "0" * 64}).reason is None
    assert refused(parse_decision, {"digest": "0" * 64}, reason_required=True) == [("#/reason", "required")]
    assert parse_decision({"digest": "0", "reason": "r" * 1024}, reason_required=True).reason == "r" * 1024
    assert refused(parse_decision, {"digest": "", "reason": "r" * 1025, "Reason": "x"}) == [
        *(("#/digest", "wrong-length"), ("#/reason", "wrong-length"), ("#/Reason", "field-not-allowed")),
    ]
    with pytest.raises(RequestRejected) as caught:
        parse_decision({"digest": "0", "REASON": "x"})
    assert caught.value.faults[0].message == "There is no REASON; write reason."


@pytest.mark.parametrize(
    "read", [parse, parse_decision, parse_permissions, lambda body: parse_change(PUBLIC, body, None)]
)
def test_a_private_key_in_whatever_is_sent_is_refused_before_all_else(read: Any) -> None:
    for body, place in (
        ({"digest": KEY}, "#/digest"),
        ({"permissions": ["a", KEY]}, "#/permissions/1"),
        ({"a": [{"b": KEY}, "c"]}, "#/a/0/b"),
        ({"a": {KEY: 1}}, "#/a"),
        ({KEY: KEY, "a": KEY}, "#"),
    ):
        found = refused(read, body)
        assert {code for _, code in found} == {"private-key"}
        assert place in {pointer for pointer, _ in found}


# --- what the time and the settings say -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lifetime", "faulty"), [("PT1H", True), ("PT1H1S", False), ("P90D", False), ("P90DT1S", True)]
)
def test_a_secret_lives_longer_than_the_first_bound_and_at_most_as_long_as_the_second(
    lifetime: str,
    faulty: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    bounds = timedelta(hours=1), timedelta(days=90)
    found = secret_lifetime_faults(parse(a_service_client(secretLifetime=lifetime)), bounds)
    assert [(each.pointer, each.code) for each in found] == (
        [("#/secretLifetime", "secret-lifetime-out-of-range")] if faulty else []
    )
    assert secret_lifetime_faults(REQUESTS["service"], bounds) == secret_lifetime_faults(PUBLIC, bounds) == []


@pytest.mark.parametrize(("name", "code"), [("service-certificate", ["certificate-not-yet-valid"]), ("service", [])])
def test_of_a_certificate_alone_the_time_is_judged(name: str, code: list[str]) -> None:
    before: datetime = BEGINS - timedelta(days=1)
    found = certificate_validity_faults(REQUESTS[name], before)
    assert [(each.pointer, each.code) for each in found] == [("#/credential/certificate", each) for each in code]
    assert certificate_validity_faults(PUBLIC, before) == []


def test_a_lifetime_of_another_type_is_told_what_may_be_sent_and_another_field_is_not() -> None:
    bounds = timedelta(hours=1), timedelta(days=90)
    with pytest.raises(RequestRejected) as caught:
        parse(a_service_client(secretLifetime=90, displayName=1), bounds)
    messages = {each.pointer: each.message for each in caught.value.faults}
    assert messages["#/displayName"] == "Send a string."
    assert messages["#/secretLifetime"].startswith("Send a string. ")
    assert messages["#/secretLifetime"].endswith("such as P90D: more than PT1H, at most P90D; or leave it out.")
    with pytest.raises(RequestRejected) as caught:
        parse(a_service_client(secretLifetime="x"))
    assert caught.value.faults[0].message.endswith("such as P90D; or leave it out.")


def test_a_list_that_is_too_long_is_told_as_one_and_not_entry_by_entry() -> None:
    uris = [f"http://a{number}.example/" for number in range(257)]
    assert refused(parse, a_confidential_client(redirectUris=uris)) == [("#/redirectUris", "too-many-items")]
    assert len(refused(parse, a_confidential_client(redirectUris=uris[:256]))) == 100
