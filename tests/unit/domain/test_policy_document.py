"""The policy document: read whole or not at all, and everything that is wrong with it told at once."""

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from provisioning.domain.errors import Fault
from provisioning.domain.intake import parse
from provisioning.domain.judgement import Asked, Decision, judge
from provisioning.domain.policy import KINDS, Policy
from provisioning.domain.policy_document import LARGEST_POLICY, PolicyError, read_policy, schema
from tests.documents import blocks
from tests.worlds.request_bodies import OWNER, a_policy, a_service_client
from tests.worlds.variants import FEDERATED

ROOT = Path(__file__).parents[3]
DEFAULT = ROOT / "provisioning" / "policy.json"
MARKER = "qzmarkerqz"
EVERYONE = {"include": ["*"]}
# One valid rule of each kind, with every field that it has.
RULES: dict[str, dict[str, Any]] = {
    "redirectUris": {
        "id": "redirects",
        "description": "Ours alone.",
        "owners": {"include": ["*"], "exclude": [OWNER]},
        "approval": "approver",
        "clientTypes": ["confidential"],
        "schemes": ["https"],
        "hosts": {"include": ["*.contoso.example", "localhost"], "exclude": ["old.contoso.example"]},
    },
    "fhirServers": {
        "id": "servers",
        "hosts": {"include": ["*.contoso.example"]},
        "claimants": {"include": [OWNER]},
        "approval": "approver",
    },
    "resources": {"id": "resources", "clientTypes": ["service"], "resources": EVERYONE, "approval": "resourceOwner"},
    "appRoles": {"id": "roles", "resources": {"include": ["https://fhir.contoso.example"]}, "appRoles": EVERYONE},
    "secretless": {"id": "secretless", "appRoles": {"include": ["globalAdmin"]}},
    "secretLifetime": {"id": "lifetime", "longest": "P90D"},
    "displayName": {"id": "names", "pattern": "[A-Z].*"},
    "serviceManagementReference": {"id": "reference", "clientTypes": ["resource"]},
    "callbackHosts": {"id": "callbacks", "hosts": {"include": ["*.contoso.example"]}, "approval": "approver"},
    "registrations": {"id": "number", "most": 50, "mostPerHour": 20},
}


def a_rule(kind: str, **fields: Any) -> dict[str, Any]:
    return {"kind": kind, **RULES[kind], **fields}


def faults(document: bytes) -> dict[str, str]:
    with pytest.raises(PolicyError) as caught:
        read_policy(document)
    assert all(fault.message for fault in caught.value.faults)
    return {fault.pointer: fault.code for fault in caught.value.faults}


def test_a_rule_of_every_kind_is_read_and_shown_as_it_was_written() -> None:
    assert set(RULES) == set(KINDS)
    written = [a_rule(kind) for kind in KINDS]
    policy = read_policy(a_policy(*written))
    for rule, shown in zip(written, policy.shown(), strict=True):
        assert shown.items() >= {name: value for name, value in rule.items() if not isinstance(value, dict)}.items()


def test_what_a_rule_leaves_out_is_not_shown() -> None:
    [shown] = read_policy(a_policy({"id": "number", "kind": "registrations", "mostPerHour": 1})).shown()
    everybody = {"include": ["*"], "exclude": []}
    assert shown == {"id": "number", "kind": "registrations", "owners": everybody, "mostPerHour": 1}


def test_the_default_policy_is_valid_limits_numbers_and_nothing_else() -> None:
    policy = read_policy(DEFAULT.read_bytes())
    quota = policy.quota(OWNER)
    assert (quota.most, quota.most_per_hour) == (50, 20)
    assert [rule.kind for rule in policy.rules] == ["registrations"]


def test_the_published_schema_is_current() -> None:
    expected = json.dumps(schema(), indent=2) + "\n"
    assert (ROOT / "docs" / "policy.schema.json").read_text(encoding="utf-8") == expected, (
        "write it anew: python -c 'import json; from provisioning.domain.policy_document import schema; "
        "print(json.dumps(schema(), indent=2))' > docs/policy.schema.json"
    )


def test_the_published_schema_is_one_and_takes_what_is_read() -> None:
    Draft202012Validator.check_schema(schema())
    validator = Draft202012Validator(schema())
    for document in (DEFAULT.read_bytes(), a_policy(*(a_rule(kind) for kind in KINDS))):
        assert list(validator.iter_errors(json.loads(document))) == []
        read_policy(document)


BROKEN: list[tuple[dict[str, Any], str, str]] = [
    (a_rule("registrations", id="Not Kebab"), "#/rules/0/id", "wrong-form"),
    (a_rule("registrations", colour="blue"), "#/rules/0/colour", "field-not-allowed"),
    (a_rule("registrations", **{"no name of a field": "blue"}), "#/rules/0", "field-not-allowed"),
    (a_rule("registrations", most=-1), "#/rules/0/most", "out-of-range"),
    (a_rule("registrations", most="50"), "#/rules/0/most", "wrong-type"),
    (a_rule("registrations", most=True), "#/rules/0/most", "wrong-type"),
    (a_rule("registrations", mostPerHour=10**9), "#/rules/0/mostPerHour", "out-of-range"),
    (a_rule("registrations", most=None, mostPerHour=None), "#/rules/0", "rule-without-effect"),
    (a_rule("registrations", approval="approver"), "#/rules/0/approval", "field-not-allowed"),
    (a_rule("redirectUris", schemes=None, hosts=None), "#/rules/0", "rule-without-effect"),
    (a_rule("redirectUris", schemes=["HTTPS"]), "#/rules/0/schemes/0", "wrong-form"),
    (a_rule("redirectUris", schemes=["https:"]), "#/rules/0/schemes/0", "wrong-form"),
    (a_rule("redirectUris", clientTypes=[]), "#/rules/0/clientTypes", "too-few-items"),
    (a_rule("redirectUris", clientTypes=["service"]), "#/rules/0/clientTypes/0", "not-one-of"),
    (a_rule("redirectUris", approval="somebody"), "#/rules/0/approval", "not-one-of"),
    *(
        (a_rule("redirectUris", hosts={"include": [host]}), "#/rules/0/hosts/include/0", "wrong-form")
        for host in (
            "*contoso.example",
            "Contoso.example",
            "https://contoso.example",
            "a.*.b",
            "a.example:443",
            "**",
            "",
        )
    ),
    (a_rule("redirectUris", hosts=["contoso.example"]), "#/rules/0/hosts", "wrong-type"),
    (a_rule("redirectUris", hosts={}), "#/rules/0/hosts/include", "required"),
    (a_rule("fhirServers", claimants={"include": ["team"]}), "#/rules/0/claimants/include/0", "not-a-guid"),
    (a_rule("fhirServers", owners=EVERYONE), "#/rules/0/owners", "field-not-allowed"),
    (a_rule("fhirServers", approval="resourceOwner"), "#/rules/0/approval", "not-one-of"),
    (a_rule("secretLifetime", longest="90 days"), "#/rules/0/longest", "not-a-duration"),
    (a_rule("appRoles", appRoles={"include": ["a b"]}), "#/rules/0/appRoles/include/0", "name-character"),
    *(
        (a_rule("displayName", pattern=pattern), "#/rules/0/pattern", "not-a-pattern")
        for pattern in ("(", "a)|(b", r"(a)\1", "(?=a)b", "(?x)a # comment", "[z-a]", "a{100000}{100000}")
    ),
    (a_rule("displayName", pattern="x" * 257), "#/rules/0/pattern", "wrong-length"),
    ({"id": "a", "kind": "colours"}, "#/rules/0", "not-one-of"),
    ({"id": "a"}, "#/rules/0", "required"),
]


@pytest.mark.parametrize(("rule", "pointer", "code"), BROKEN, ids=[f"{each[1]} {each[2]}" for each in BROKEN])
def test_what_is_wrong_with_a_rule_is_told_where_it_is(rule: dict[str, Any], pointer: str, code: str) -> None:
    assert faults(a_policy(rule)) == {pointer: code}


def test_all_faults_of_a_document_are_told_at_once() -> None:
    rules = [rule for rule, _, _ in BROKEN if rule.get("most", 0) is not None and rule.get("hosts", "") is not None]
    found = faults(a_policy(*rules, version="1 2", colour="blue"))
    assert {"#/version", "#/colour"} <= found.keys()
    assert {int(pointer.split("/")[2]) for pointer in found if pointer.startswith("#/rules/")} == set(range(len(rules)))


def test_two_rules_of_one_id_are_told_apart_by_nobody() -> None:
    assert faults(a_policy(a_rule("registrations"), a_rule("registrations"))) == {"#/rules/1/id": "rule-id-duplicate"}


@pytest.mark.parametrize(
    "document",
    [b"", b"{", b"\xff", b"[]", b'{"version": "1", "version": "2"}', b"[" * 100_000, b"null", b'"x"'],
    ids=lambda document: str(document[:20]),
)
def test_what_is_no_document_is_refused(document: bytes) -> None:
    assert faults(document)


def test_a_name_that_stands_twice_is_not_guessed() -> None:
    twice = a_policy(a_rule("registrations")).replace(b'"most": 50', b'"most": 50, "most": 60')
    assert faults(twice) == {"#": "invalid-json"}


def test_a_document_has_an_end() -> None:
    longest = a_policy().ljust(LARGEST_POLICY)
    assert read_policy(longest).rules == ()
    assert faults(longest + b" ") == {"#": "too-large"}
    with pytest.raises(PolicyError) as caught:
        read_policy(longest + b" ")
    assert caught.value.faults[0].message == "A policy has at most 256 KB."
    assert faults(a_policy(*(a_rule("registrations", id=f"rule-{each}") for each in range(201)))) == {
        "#/rules": "too-many-items"
    }


@given(
    st.recursive(
        st.one_of(
            st.none(), st.booleans(), st.integers(), st.just(MARKER), st.sampled_from([*KINDS, "*", "x.example"])
        ),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(
                    [*sorted({name for rule in RULES.values() for name in rule}), "include", "kind", MARKER]
                ),
                inner,
                max_size=5,
            )
        ),
        max_leaves=20,
    ).map(lambda rules: json.dumps({"version": "1", "exceptions": "x", "rules": rules}).encode())
)
def test_whatever_a_document_holds_it_is_read_or_told_and_no_value_of_it_is_repeated(document: bytes) -> None:
    found = faults_or_none(document)
    if found is not None:
        assert found
        assert MARKER not in " ".join(f"{each.code} {each.message}" for each in found)
        assert all(re.fullmatch(r"#(/[A-Za-z0-9$]+)*", each.pointer) for each in found)


def faults_or_none(document: bytes) -> tuple[Fault, ...] | None:
    try:
        read_policy(document)
    except PolicyError as error:
        return error.faults
    return None


def test_the_recorded_version_is_another_one_for_every_change_and_the_same_for_none() -> None:
    rule = a_rule("registrations")
    versions = {
        read_policy(a_policy(rule)).recorded_version,
        read_policy(a_policy(rule, version="test-2")).recorded_version,
        read_policy(a_policy(rule, exceptions="Somebody else.")).recorded_version,
        read_policy(a_policy({**rule, "most": 49})).recorded_version,
    }
    assert len(versions) == 4
    spaced = json.dumps(json.loads(a_policy(rule)), indent=4).encode()
    assert read_policy(spaced).recorded_version == read_policy(a_policy(rule)).recorded_version
    # What was approved is bound to it: another version of this service has to come to the same.
    assert read_policy(a_policy(rule)).recorded_version == "test-1+b5bdfbde5041"


def shown_to(policy: Policy, *owners: str) -> list[str]:
    return [str(rule["id"]) for rule in policy.shown_to(owners)]


def test_an_owner_is_shown_the_rules_that_hold_for_it_and_not_who_else_may_claim_what() -> None:
    other = "99999999-0000-4000-8000-000000000009"
    policy = read_policy(a_policy(*(a_rule(kind) for kind in KINDS)))
    assert "servers" in shown_to(policy, OWNER)
    assert "redirects" not in shown_to(policy, OWNER)
    assert "servers" not in shown_to(policy, other)
    assert "redirects" in shown_to(policy, other)
    both = {str(rule["id"]): rule for rule in policy.shown_to([OWNER, other])}
    assert both["servers"]["claimants"] == {"include": [OWNER], "exclude": []}
    assert both["redirects"]["owners"] == {"include": [other], "exclude": []}
    assert both["number"]["owners"] == {"include": sorted([OWNER, other]), "exclude": []}


def test_the_lowest_number_holds_and_is_told_by_its_rule() -> None:
    rules = [
        a_rule("registrations", id="all", most=50, mostPerHour=20),
        a_rule("registrations", id="some", owners={"include": [OWNER]}, most=5, mostPerHour=None),
        a_rule("registrations", id="others", owners={"include": ["*"], "exclude": [OWNER]}, most=1, mostPerHour=1),
    ]
    quota = read_policy(a_policy(*rules)).quota(OWNER)
    assert (quota.most, quota.rule, quota.most_per_hour, quota.hour_rule) == (5, "some", 20, "all")
    assert not read_policy(a_policy()).quota(OWNER).limits


def test_the_example_of_the_document_is_a_policy_and_does_what_is_said_of_it() -> None:
    [example] = [
        block.text
        for block in blocks(ROOT / "docs" / "policy.md")
        if block.language == "json" and '"clinic-north"' in block.text
    ]
    policy = read_policy(example.encode())
    body = a_service_client(
        owner="7ea11111-0000-4000-8000-000000000001",
        displayName="Nightly export",
        resource="https://fhir.contoso.com",
        appRoles=["globalWriter"],
        serviceManagementReference="SVC-1",
    )

    def judged(**fields: Any) -> Decision:
        return judge(policy, Asked(parse(body | fields), timedelta(days=180), frozenset({"https://fhir.contoso.com"})))

    assert {each.rule for each in judged().refusals} == {"quarterly", "names", "no-secret-that-writes"}
    better = judged(displayName="NORTH Nightly export, prod", credential=FEDERATED)
    assert better.allowed
    assert [(each.rule, each.whose) for each in better.approvals_needed] == [("ask-to-write", "resourceOwner")]
