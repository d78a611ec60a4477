"""What a client signs in with, and how long a secret lives: what is accepted, and what is told of the rest."""

import json
from datetime import timedelta
from typing import Any

import pytest

from provisioning.domain.intake import dump, parse, secret_lifetime_faults
from tests.unit.domain.any_requests import FEDERATED
from tests.unit.domain.refusals import codes_of
from tests.worlds.certificates import a_certificate
from tests.worlds.request_bodies import MARKER, OWNER, a_confidential_client, a_resource, a_service_client
from tests.worlds.world import World


@pytest.mark.parametrize("kind", ["federatedx", "Secret", "", "password", 1, None, [], {}], ids=repr)
def test_a_credential_of_no_known_type_is_refused_at_its_type(kind: Any) -> None:
    assert codes_of(a_service_client(credential={"type": kind})) == [("#/credential/type", "credential-type-unknown")]


@pytest.mark.parametrize(
    "credential",
    [{"type": "secret", "value": MARKER}, {"value": MARKER}, {**FEDERATED, "value": MARKER}],
    ids=["secret", "no type", "federated"],
)
def test_a_credential_has_no_field_of_another_one(credential: dict[str, Any]) -> None:
    assert codes_of(a_service_client(credential=credential)) == [("#/credential/value", "field-not-allowed")]


MANY = {
    "type": "federated",
    "issuer": "https://token.example",
    "subjects": ["repo:a/b:ref:x", "repo:a/b:environment:y"],
}


def test_up_to_20_subjects_of_one_issuer_are_trusted_and_kept_as_they_were_sent() -> None:
    assert dump(parse(a_service_client(credential=MANY)))["credential"] == MANY
    many = {**MANY, "subjects": [f"s{number}" for number in range(20)], "audience": "ari:cloud:bitbucket::workspace/x"}
    assert dump(parse(a_service_client(credential=many)))["credential"] == many


@pytest.mark.parametrize(
    ("claims", "faults"),
    [
        ({"subjects": []}, [("subjects", "too-few-items")]),
        ({"subjects": [f"s{number}" for number in range(21)]}, [("subjects", "too-many-items")]),
        ({"subjects": ["a", "b", "a"]}, [("subjects/2", "subject-duplicate")]),
        ({"subjects": ["a", "", "b*"]}, [("subjects/1", "wrong-length"), ("subjects/2", "claim-wildcard")]),
        ({"subjects": "a"}, [("subjects", "wrong-type")]),
        ({"subjects": [1]}, [("subjects/0", "wrong-type")]),
        ({"subjects": ["a"], "subject": "b"}, [("subject", "subject-twice")]),
        ({}, [("subject", "required")]),
        ({"subject": None}, [("subject", "required")]),
        ({"subject": "a", "audience": ""}, [("audience", "wrong-length")]),
        ({"subject": "a", "audience": "x" * 601}, [("audience", "wrong-length")]),
        ({"subject": "a", "audience": "api://*"}, [("audience", "claim-wildcard")]),
    ],
    ids=str,
)
def test_subjects_are_told_apart_and_never_sent_in_two_ways(
    claims: dict[str, Any], faults: list[tuple[str, str]]
) -> None:
    body = a_service_client(credential={"type": "federated", "issuer": "https://token.example", **claims})
    assert codes_of(body) == [(f"#/credential/{place}", code) for place, code in faults]


@pytest.mark.parametrize(
    ("issuer", "code"),
    [
        ("https://[v1.example]", "uri-host"),
        ("https://localhost", "uri-not-public"),
        ("https://localhost:8443/x", "uri-not-public"),
        ("https://app.localhost", "uri-not-public"),
        ("https://127.0.0.1", "uri-not-public"),
        ("https://127.8.8.8/", "uri-not-public"),
        ("https://0.0.0.0", "uri-not-public"),
        ("https://10.0.0.1", "uri-not-public"),
        ("https://169.254.169.254/metadata", "uri-not-public"),
        ("https://127.1", "uri-host"),
        ("https://0x7f000001", "uri-host"),
        ("https://2130706433", "uri-host"),
        ("https://017700000001", "uri-host"),
        ("https://[::1]", "uri-host"),
        ("https://token.example.", "uri-host"),
        ("https://token", "uri-host"),
        ("https://token.example:0443", "uri-host"),
    ],
)
def test_an_issuer_is_where_entra_can_reach_it(issuer: str, code: str) -> None:
    assert codes_of(a_service_client(credential={**FEDERATED, "issuer": issuer})) == [("#/credential/issuer", code)]


def test_issuer_and_subject_are_kept_letter_by_letter() -> None:
    assert dump(parse(a_service_client(credential=FEDERATED)))["credential"] == FEDERATED


@pytest.mark.parametrize("subject", ["x" * 600, "system:serviceaccount:ns:name", "😀" * 300, OWNER, "a b", "'"])
def test_a_subject_is_whatever_an_issuer_calls_its_workloads(subject: str) -> None:
    assert parse(a_service_client(credential={**FEDERATED, "subject": subject}))


@pytest.mark.parametrize(
    "issuer",
    [
        "https://token.actions.githubusercontent.com",
        "https://oidc.prod-aks.azure.com/00000000-0000-0000-0000-000000000000/",
        "https://login.microsoftonline.com/11111111-aaaa-4aaa-8aaa-000000000001/v2.0",
        "https://gitlab.contoso.example:8443/auth/realms/Ci",
        "https://t.example/".ljust(600, "x"),
    ],
)
def test_an_issuer_is_a_url_by_https(issuer: str) -> None:
    assert parse(a_service_client(credential={**FEDERATED, "issuer": issuer}))


def test_only_a_secret_has_a_lifetime() -> None:
    certificate = {"type": "certificate", "certificate": a_certificate().pem}
    for credential in (FEDERATED, certificate):
        assert parse(a_service_client(credential=credential, secretLifetime=None))
        body = a_service_client(credential=credential, secretLifetime="P90D")
        assert codes_of(body) == [("#/secretLifetime", "secret-lifetime-without-secret")]


@pytest.mark.parametrize(
    ("lifetime", "allowed"),
    [
        ("P37D", False),
        ("P38D", True),
        ("P180D", True),
        ("P36DT23H59M59S", False),
        ("P180DT1S", False),
        ("P0D", False),
        ("P99999D", False),
    ],
)
def test_a_secret_lives_as_long_as_the_operator_allows(lifetime: str, allowed: bool) -> None:  # noqa: FBT001 -- a column
    request = parse(a_service_client(secretLifetime=lifetime))
    faults = secret_lifetime_faults(request, (timedelta(days=37), timedelta(days=180)))
    assert [(fault.pointer, fault.code) for fault in faults] == (
        [] if allowed else [("#/secretLifetime", "secret-lifetime-out-of-range")]
    )


@pytest.mark.parametrize("lifetime", ["six months", "P6M", "P1Y", "180", "PT1.5H", "-P1D", "", "\ud800", "PT3000000H"])
def test_a_lifetime_that_is_none_is_refused(lifetime: str) -> None:
    assert codes_of(a_service_client(secretLifetime=lifetime)) == [("#/secretLifetime", "not-a-duration")]


@pytest.mark.parametrize("builder", [a_service_client, a_confidential_client], ids=["service", "confidential"])
@pytest.mark.parametrize("lifetime", ["six months", "P6M", 180, "P1D", "P181D", ""], ids=repr)
def test_the_first_answer_to_a_wrong_lifetime_says_form_example_and_limits(builder: Any, lifetime: Any) -> None:
    world = World()
    world.registered(a_resource())
    problem = json.loads(world.post(builder(secretLifetime=lifetime)).body)
    [fault] = problem["errors"]
    assert fault["pointer"] == "#/secretLifetime"
    for said in ("ISO 8601", "P90D", "more than P37D", "at most P180D", "leave it out"):
        assert said in fault["message"]
    assert world.post(builder(secretLifetime="P90D")).status == 202
