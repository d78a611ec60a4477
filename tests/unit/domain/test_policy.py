"""What a rule chooses, whom it names, and what a policy as a whole looks at."""

from typing import Any

import pytest
from pydantic import ValidationError

from provisioning.domain.policy import Hosts, Owners, Policy
from provisioning.domain.policy_document import read_policy
from tests.worlds.request_bodies import MARKER, OTHER_OWNER, OWNER, a_policy

EVERYTHING = {"include": ["*"]}


def a_rule(kind: str, **fields: Any) -> Policy:
    return read_policy(a_policy({"id": "rule", "kind": kind, **fields}))


@pytest.mark.parametrize(
    ("include", "exclude", "has", "names"),
    [
        ([], [], False, False),
        ([OWNER], [], True, True),
        (["*"], [], True, False),
        (["*", OWNER], [], True, True),
        (["*", OTHER_OWNER], [], True, False),
        ([OTHER_OWNER], [], False, False),
        (["*", OWNER], [OWNER], False, False),
        ([OWNER], ["*"], False, False),
        ([OWNER], [OTHER_OWNER], True, True),
    ],
)
def test_a_selection_has_what_it_includes_and_does_not_exclude(
    include: list[str], exclude: list[str], *, has: bool, names: bool
) -> None:
    owners = Owners.model_validate({"include": include, "exclude": exclude})
    assert (owners.has(OWNER), owners.names(OWNER)) == (has, names)
    assert owners.has(OWNER, "another name of it") is has


@pytest.mark.parametrize(
    ("pattern", "host", "has"),
    [
        ("*", "a.example", True),
        ("a.example", "a.example", True),
        ("a.example", "b.a.example", False),
        ("*.a.example", "b.a.example", True),
        ("*.a.example", "c.b.a.example", True),
        ("*.a.example", "a.example", False),
        ("*.a.example", "ba.example", False),
        ("a.example", "ba.example", False),
    ],
)
def test_a_host_is_chosen_by_its_name_or_by_a_domain_that_it_is_below(pattern: str, host: str, *, has: bool) -> None:
    assert Hosts.model_validate({"include": [pattern]}).has(host) is has


ONE_RESOURCE = {"include": ["https://a.example"]}


@pytest.mark.parametrize(
    ("policy", "looks"),
    [
        (a_rule("resources", resources=EVERYTHING), True),
        (a_rule("appRoles", appRoles=EVERYTHING), False),
        (a_rule("appRoles", appRoles=EVERYTHING, resources=EVERYTHING), False),
        (a_rule("appRoles", appRoles=EVERYTHING, resources=ONE_RESOURCE), True),
        (a_rule("appRoles", appRoles=EVERYTHING, approval="resourceOwner"), True),
        (a_rule("appRoles", appRoles=EVERYTHING, approval="approver"), False),
        (a_rule("secretless", appRoles=EVERYTHING), False),
        (a_rule("secretless", appRoles=EVERYTHING, resources=ONE_RESOURCE), True),
        (a_rule("secretLifetime", longest="P90D"), False),
        (a_rule("secretLifetime", longest="P90D", approval="resourceOwner"), True),
        (a_rule("registrations", most=1), False),
        (read_policy(a_policy()), False),
    ],
)
def test_a_policy_looks_at_the_resource_where_a_rule_is_about_some_or_asks_the_owner_of_one(
    policy: Policy, *, looks: bool
) -> None:
    assert policy.looks_at_resource is looks


@pytest.mark.parametrize(
    ("hosts", "claimants", "names"),
    [
        (["a.example"], [OWNER], True),
        (["*.example"], [OWNER], True),
        (["*"], [OWNER], False),
        (["*", "a.example"], [OWNER], True),
        (["b.example"], [OWNER], False),
        (["a.example"], [OTHER_OWNER], False),
        (["a.example"], ["*"], True),
        (["a.example"], [], False),
    ],
)
def test_a_claimant_is_named_for_a_host_that_is_named(hosts: list[str], claimants: list[str], *, names: bool) -> None:
    policy = a_rule("fhirServers", hosts={"include": hosts}, claimants={"include": claimants})
    assert policy.names_claimant("a.example", OWNER) is names


def test_a_rule_of_another_kind_names_no_claimant_and_every_rule_of_an_owner_is_shown_but_for_its_own_alone() -> None:
    policy = a_rule("callbackHosts", hosts={"include": ["a.example"]}, owners={"include": [OWNER]})
    assert not policy.names_claimant("a.example", OWNER)
    [shown] = policy.shown_to([OTHER_OWNER, OWNER])
    assert shown["owners"] == {"include": [OWNER], "exclude": []}
    assert policy.shown_to([OTHER_OWNER]) == []


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [("A.*", "Abc", True), ("A.*", "bA", False), ("A|B", "AB", False), ("a", "a\n", False), ("A", "A", True)],
)
def test_a_pattern_is_for_the_whole_of_a_name(pattern: str, name: str, *, matches: bool) -> None:
    [rule] = a_rule("displayName", pattern=pattern).rules
    assert rule.matches(name) is matches  # type: ignore[union-attr]


@pytest.mark.parametrize("fields", [{"most": 0}, {"mostPerHour": 0}, {"most": 1_000_000, "mostPerHour": 1_000_000}])
def test_a_number_alone_has_an_effect(fields: dict[str, int]) -> None:
    quota = a_rule("registrations", **fields).quota(OWNER)
    assert (quota.most, quota.most_per_hour) == (fields.get("most"), fields.get("mostPerHour"))
    assert (quota.rule, quota.hour_rule) == tuple("rule" if name in fields else "" for name in ("most", "mostPerHour"))


@pytest.mark.parametrize("fields", [{"schemes": ["https"]}, {"hosts": EVERYTHING}])
def test_schemes_or_hosts_alone_have_an_effect(fields: dict[str, Any]) -> None:
    assert len(a_rule("redirectUris", **fields).rules) == 1


def test_a_rule_that_was_read_is_not_changed_and_an_error_of_one_repeats_nothing_of_it() -> None:
    [rule] = a_rule("registrations", most=1).rules
    with pytest.raises(ValidationError):
        rule.id = "other"
    with pytest.raises(ValidationError) as caught:
        Owners.model_validate({"include": MARKER})
    assert MARKER not in str(caught.value)
