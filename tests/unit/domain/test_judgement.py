"""What the policy says of a request: each rule by itself, and what holds whatever the rules are."""

import time
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.domain.intake import parse
from provisioning.domain.judgement import Asked, Decision, judge, too_many
from provisioning.domain.policy import Policy
from provisioning.domain.policy_document import read_policy
from provisioning.domain.quota import Exceeded, Quota
from tests.worlds.request_bodies import (
    OTHER_OWNER,
    OWNER,
    a_confidential_client,
    a_policy,
    a_public_client,
    a_resource,
    a_service_client,
)
from tests.worlds.variants import CERTIFICATE, FEDERATED

SERVER = "https://fhir.contoso.example"
LIFETIME = timedelta(days=180)
EVERYTHING: dict[str, Any] = {"include": ["*"]}
NOTHING: dict[str, Any] = {"include": []}


def policy(*rules: dict[str, Any]) -> Policy:
    return read_policy(a_policy(*({"id": f"rule-{index}", **rule} for index, rule in enumerate(rules))))


def asked(body: dict[str, Any], *names: str) -> Asked:
    return Asked(parse(body), LIFETIME, frozenset(names or {SERVER}))


def broken(rule: dict[str, Any], body: dict[str, Any], *names: str) -> dict[str, str]:
    """Return the places at which a request breaks the only rule, with the codes."""
    decision = judge(policy(rule), asked(body, *names))
    assert decision.allowed == (not decision.refusals)
    for each in decision.refusals:
        assert (each.rule, each.exception) == ("rule-0", "Write to policy@contoso.example.")
        assert each.message
    return {each.pointer: each.code for each in decision.refusals}


# --- each rule --------------------------------------------------------------------------------------------------------


def test_redirect_uris_and_log_out_urls_are_on_hosts_that_are_allowed() -> None:
    rule = {
        "kind": "redirectUris",
        "hosts": {"include": ["*.contoso.example", "localhost"], "exclude": ["x.contoso.example"]},
    }
    uris = [
        "https://app.contoso.example/cb",
        "http://localhost:5000/cb",
        "https://contoso.example/",
        "https://X.contoso.example/",
    ]
    body = a_confidential_client(
        redirectUris=[*uris, "https://evilcontoso.example/"], logoutUrl="https://evil.example/out"
    )
    assert broken(rule, body) == dict.fromkeys(
        ("#/redirectUris/2", "#/redirectUris/3", "#/redirectUris/4", "#/logoutUrl"), "host-not-allowed"
    )


def test_redirect_uris_have_schemes_that_are_allowed_and_an_own_scheme_has_no_host() -> None:
    native = {"platform": "native", "redirectUris": ["com.contoso.app://auth", "https://evil.example/cb"]}
    https = {"kind": "redirectUris", "schemes": ["https"]}
    assert broken(https, a_public_client(**native)) == {"#/redirectUris/0": "scheme-not-allowed"}
    hosts = {"kind": "redirectUris", "hosts": {"include": ["*.contoso.example"]}}
    assert broken(hosts, a_public_client(**native)) == {"#/redirectUris/1": "host-not-allowed"}


def test_a_fhir_server_on_a_host_of_a_rule_is_for_its_claimants_alone() -> None:
    rule = {"kind": "fhirServers", "hosts": {"include": ["*.contoso.example"]}, "claimants": {"include": [OWNER]}}
    assert broken(rule, a_resource()) == {}
    assert broken(rule, a_resource(owner=OTHER_OWNER)) == {"#/fhirServerUrl": "fhir-server-not-claimable"}
    assert broken(rule, a_resource(owner=OTHER_OWNER, fhirServerUrl="https://fhir.fabrikam.example:8443/r4")) == {}
    nobody = {"kind": "fhirServers", "hosts": EVERYTHING, "claimants": NOTHING}
    assert broken(nobody, a_resource(fhirServerUrl="https://FHIR.fabrikam.example")) != {}
    assert broken(nobody, a_service_client()) == {}


@pytest.mark.parametrize("name", [SERVER, "a-registration-id", "a-client-id"])
def test_a_resource_is_chosen_by_any_of_its_names(name: str) -> None:
    names = (SERVER, "a-registration-id", "a-client-id")
    allowed = {"kind": "resources", "resources": {"include": [name]}}
    assert broken(allowed, a_service_client(), *names) == {}
    assert broken(allowed, a_service_client(), "another") == {"#/resource": "resource-not-permitted"}
    forbidden = {"kind": "resources", "resources": {"include": ["*"], "exclude": [name]}}
    assert broken(forbidden, a_public_client(), *names) == {"#/resource": "resource-not-permitted"}


def test_app_roles_are_those_that_are_allowed_of_the_resources_that_the_rule_chooses() -> None:
    rule = {"kind": "appRoles", "resources": {"include": [SERVER]}, "appRoles": {"include": ["globalReader"]}}
    body = a_service_client(appRoles=["globalReader", "globalAdmin", "globalWriter"])
    assert broken(rule, body) == {"#/appRoles/1": "app-role-not-permitted", "#/appRoles/2": "app-role-not-permitted"}
    assert broken(rule, body, "https://other.contoso.example") == {}


@pytest.mark.parametrize(
    ("credential", "refused"), [({"type": "secret"}, True), (FEDERATED, False), (CERTIFICATE, False)]
)
def test_with_a_chosen_app_role_a_client_has_no_secret(credential: dict[str, Any], refused: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    rule = {"kind": "secretless", "appRoles": {"include": ["globalAdmin"]}}
    body = a_service_client(appRoles=["globalReader", "globalAdmin"], credential=credential)
    assert broken(rule, body) == ({"#/credential": "secret-not-permitted"} if refused else {})
    assert broken(rule, a_service_client(credential=credential)) == {}


def test_a_secret_lives_no_longer_than_is_allowed_also_one_whose_life_was_left_out() -> None:
    rule = {"kind": "secretLifetime", "longest": "P90D"}
    too_long = {"#/secretLifetime": "secret-lifetime-not-permitted"}
    assert broken(rule, a_service_client(secretLifetime="P90D")) == {}
    assert broken(rule, a_service_client(secretLifetime="P90DT1S")) == too_long
    assert broken(rule, a_service_client()) == too_long
    assert broken(rule, a_confidential_client()) == too_long
    assert broken({**rule, "longest": "P180D"}, a_confidential_client()) == {}
    for without in (a_resource(), a_public_client(), a_service_client(credential=FEDERATED)):
        assert broken(rule, without) == {}


@pytest.mark.parametrize(
    ("pattern", "name", "matches"),
    [
        ("[A-Z]{3}-[0-9]+ .*", "FHR-17 Portal", True),
        ("[A-Z]{3}-[0-9]+ .*", "x FHR-17 Portal", False),
        ("a|b", "ab", False),
        ("a|b", "b", True),
        ("a", "a", True),
        ("(?i)portal", "PORTAL", True),
        (".*", "Größe 😀", True),
        (r"\p{Lu}\w*", "Über", True),
    ],
)
def test_a_display_name_is_matched_whole(pattern: str, name: str, matches: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    found = broken({"kind": "displayName", "pattern": pattern}, a_resource(displayName=name))
    assert found == ({} if matches else {"#/displayName": "display-name-not-permitted"})


@pytest.mark.parametrize(
    "pattern", ["(a+)+$", "(a|a)*b", "(.*)*x", "(a|aa)+!", "([a-zA-Z]+)*[0-9]", "(?:a{1,60}){1,60}b"]
)
def test_no_pattern_takes_longer_than_a_name_is_long(pattern: str) -> None:
    rules, body = policy({"kind": "displayName", "pattern": pattern}), asked(a_resource(displayName="a" * 120))
    judge(rules, body)
    began = time.thread_time()
    judge(rules, body)
    assert time.thread_time() - began < 0.1


def test_a_uri_that_an_older_version_took_and_nobody_can_read_is_on_no_host() -> None:
    request = parse(a_public_client()).model_copy(update={"redirect_uris": ("https://[app", "https://[::g]/")})
    rules = policy({"kind": "redirectUris", "schemes": ["https"], "hosts": EVERYTHING})
    decision = judge(rules, Asked(request, LIFETIME, frozenset({SERVER})))
    assert {each.pointer: each.code for each in decision.refusals} == {
        "#/redirectUris/0": "scheme-not-allowed",
        "#/redirectUris/1": "scheme-not-allowed",
    }


def test_a_reference_is_required_where_a_rule_wants_one() -> None:
    rule = {"kind": "serviceManagementReference", "clientTypes": ["service"]}
    assert broken(rule, a_service_client()) == {"#/serviceManagementReference": "reference-required"}
    assert broken(rule, a_service_client(serviceManagementReference="SVC-1")) == {}
    assert broken(rule, a_public_client()) == {}


def test_a_callback_goes_to_a_host_that_the_rule_has_whoever_asks_for_one() -> None:
    rule = {"kind": "callbackHosts", "hosts": {"include": ["*.contoso.example"], "exclude": ["old.contoso.example"]}}
    refused = {"#/callbackUrl": "host-not-allowed"}
    for url, found in {
        "https://hooks.contoso.example/registrar": {},
        "https://old.contoso.example/registrar": refused,
        "https://contoso.example/registrar": refused,
        "https://hooks.contoso.example.evil.example/": refused,
    }.items():
        assert broken(rule, a_public_client(callbackUrl=url)) == found, url
        assert broken(rule, a_resource(callbackUrl=url)) == found, url
    assert broken(rule, a_public_client()) == {}
    anothers = {**rule, "owners": {"include": [OTHER_OWNER]}}
    assert broken(anothers, a_public_client(callbackUrl="https://old.contoso.example/")) == {}


def test_a_rule_holds_for_the_owners_and_client_types_that_it_names_unless_they_are_excluded() -> None:
    name = {"kind": "displayName", "pattern": "never"}
    only_me = {**name, "owners": {"include": [OWNER.upper()]}}
    all_but_me = {**name, "owners": {"include": ["*"], "exclude": [OWNER]}}
    assert [bool(broken(rule, a_resource())) for rule in (name, only_me, all_but_me)] == [True, True, False]
    other = a_resource(owner=OTHER_OWNER)
    assert [bool(broken(rule, other)) for rule in (name, only_me, all_but_me)] == [True, False, True]
    assert broken({**name, "clientTypes": ["public"]}, a_resource()) == {}


def test_a_rule_with_an_approval_refuses_nothing_and_says_whose_it_is() -> None:
    rules: list[dict[str, Any]] = [
        {"kind": "displayName", "pattern": "never", "approval": "approver"},
        {"kind": "appRoles", "appRoles": NOTHING, "approval": "resourceOwner"},
        {"kind": "secretLifetime", "longest": "P1D"},
    ]
    decision = judge(policy(*rules), asked(a_service_client()))
    assert [(each.rule, each.whose) for each in decision.approvals_needed] == [
        ("rule-0", "approver"),
        ("rule-1", "resourceOwner"),
    ]
    assert [each.rule for each in decision.refusals] == ["rule-2"]
    assert not decision.approved_by_resource_owner
    assert judge(policy(rules[1]), asked(a_service_client())).approved_by_resource_owner


def test_decisions_are_joined_and_chosen_by_place_and_nothing_is_told_twice() -> None:
    rules: list[dict[str, Any]] = [
        {"kind": "displayName", "pattern": "never", "approval": "approver"},
        {"kind": "appRoles", "appRoles": NOTHING, "approval": "resourceOwner"},
        {"kind": "appRoles", "appRoles": NOTHING},
    ]
    roles = ["#/appRoles/0", "#/appRoles/1"]
    first = judge(policy(*rules[1:]), asked(a_service_client(appRoles=["globalReader", "globalAdmin"])))
    decision = first.joined(judge(policy(rules[0]), asked(a_service_client()))).joined(first)
    assert decision.refusals == first.refusals
    assert [each.pointer for each in decision.refusals] == roles
    assert [each.refusal.pointer for each in decision.approvals_needed] == [*roles, "#/displayName"]
    assert decision.approving_rules == ("rule-0",)
    assert (decision.about("#/appRoles"), decision.about("#/displayName").refusals) == (first, ())
    assert decision.about("#/displayName").approving_rules == ("rule-0",)
    fault = decision.refusals[0].fault
    assert (fault.pointer, fault.code, fault.rule) == ("#/appRoles/0", "app-role-not-permitted", "rule-1")
    assert fault.exception == "Write to policy@contoso.example."


@pytest.mark.parametrize(
    ("exceeded", "code", "rule", "told"),
    [
        (Exceeded.HOUR, "too-many-per-hour", "hourly", "At most 2 registrations of an owner are accepted in one hour."),
        (Exceeded.NUMBER, "too-many-registrations", "in-all", "An owner has at most 9 registrations."),
    ],
)
def test_whoever_has_too_many_is_told_which_number_is_reached_and_by_which_rule(
    exceeded: Exceeded, code: str, rule: str, told: str
) -> None:
    fault = too_many(policy(), Quota(9, 2, "in-all", "hourly"), exceeded)
    assert (fault.pointer, fault.code, fault.rule) == ("#/owner", code, rule)
    assert fault.exception == "Write to policy@contoso.example."
    assert fault.message.startswith(told)


def test_whoever_named_no_lifetime_is_told_which_one_that_is() -> None:
    rule = policy({"kind": "secretLifetime", "longest": "P90D"})
    for named, end in (({"secretLifetime": "P100D"}, "at most P90D."), ({}, "at most P90D: left out, it is P180D.")):
        [refusal] = judge(rule, asked(a_confidential_client(**named))).refusals
        assert refusal.message.endswith(end)


def test_while_the_names_of_a_resource_are_not_known_no_rule_about_resources_is_judged() -> None:
    rules = policy(
        {"kind": "resources", "resources": NOTHING},
        {"kind": "appRoles", "appRoles": NOTHING},
        {"kind": "secretless", "appRoles": EVERYTHING},
    )
    unknown = Asked(parse(a_service_client()), LIFETIME)
    assert judge(rules, unknown) == Decision()
    assert len(judge(rules, asked(a_service_client())).refusals) == 3


# --- whatever the rules are -------------------------------------------------------------------------------------------

BODIES = st.sampled_from(
    [
        a_resource(),
        a_resource(owner=OTHER_OWNER, displayName="FHR-1", fhirServerUrl="https://fhir.fabrikam.example"),
        a_confidential_client(logoutUrl="https://app.fabrikam.example/out", secretLifetime="P60D"),
        a_confidential_client(redirectUris=["https://app.contoso.example/a", "https://b.fabrikam.example/"]),
        a_public_client(platform="native", redirectUris=["com.contoso.app://auth"]),
        a_public_client(owner=OTHER_OWNER, serviceManagementReference="SVC-1"),
        a_public_client(callbackUrl="https://app.contoso.example/registrar"),
        a_service_client(appRoles=["globalReader", "globalAdmin"]),
        a_service_client(credential=FEDERATED, displayName="FHR-2"),
    ]
)


def selections(*names: str) -> st.SearchStrategy[dict[str, Any]]:
    some = st.lists(st.sampled_from(["*", *names]), max_size=3, unique=True)
    return st.fixed_dictionaries({"include": some}, optional={"exclude": some})


OWNERS = selections(OWNER, OTHER_OWNER)
HOSTS = selections("*.contoso.example", "app.contoso.example", "fhir.fabrikam.example", "*.fabrikam.example")
RESOURCES = selections(SERVER, "a-client-id")
ROLES = selections("globalReader", "globalAdmin")
APPROVAL = {"owners": OWNERS, "approval": st.sampled_from(["approver", None])}


def of_kind(kind: str, /, optional: Any = APPROVAL, **fields: Any) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({"kind": st.just(kind), **fields}, optional=optional)


A_RULE = st.one_of(
    of_kind(
        "redirectUris", schemes=st.lists(st.sampled_from(["https", "http", "com.contoso.app"]), max_size=2), hosts=HOSTS
    ),
    of_kind("fhirServers", optional={"approval": st.just("approver")}, hosts=HOSTS, claimants=OWNERS),
    of_kind("resources", resources=RESOURCES),
    of_kind("appRoles", resources=RESOURCES, appRoles=ROLES),
    of_kind("secretless", resources=RESOURCES, appRoles=ROLES),
    of_kind("secretLifetime", longest=st.sampled_from(["P30D", "P90D", "P200D"])),
    of_kind("displayName", pattern=st.sampled_from(["FHR-[0-9]+", ".*", "A .*"])),
    of_kind("serviceManagementReference"),
    of_kind("callbackHosts", hosts=HOSTS),
    of_kind("registrations", optional={"owners": OWNERS}, most=st.integers(0, 3)),
)
RULES = st.lists(A_RULE, max_size=5)


@given(RULES, A_RULE, BODIES)
def test_one_rule_more_never_allows_more(
    rules: list[dict[str, Any]], more: dict[str, Any], body: dict[str, Any]
) -> None:
    before, after = (judge(policy(*some), asked(body)) for some in (rules, [*rules, more]))
    assert set(before.refusals) <= set(after.refusals)
    assert set(before.approvals_needed) <= set(after.approvals_needed)


@given(RULES, BODIES)
def test_without_its_rules_every_request_is_allowed_and_each_refusal_names_one_of_them(
    rules: list[dict[str, Any]], body: dict[str, Any]
) -> None:
    decision = judge(policy(*rules), asked(body))
    for each in decision.all_broken:
        index = int(each.rule.removeprefix("rule-"))
        assert judge(policy(*rules[index : index + 1]), asked(body)).all_broken != ()
    assert judge(policy(), asked(body)) == Decision()


@given(RULES, BODIES)
def test_an_approval_in_place_of_a_refusal_changes_who_decides_and_not_what_is_broken(
    rules: list[dict[str, Any]], body: dict[str, Any]
) -> None:
    strict = [{**rule, "approval": None} if rule["kind"] != "registrations" else rule for rule in rules]
    asking = [{**rule, "approval": "approver"} if rule["kind"] != "registrations" else rule for rule in rules]
    refused, asks = judge(policy(*strict), asked(body)), judge(policy(*asking), asked(body))
    assert asks.allowed
    assert refused.approvals_needed == ()
    assert refused.refusals == tuple(each.refusal for each in asks.approvals_needed)


@given(RULES, BODIES)
def test_a_change_of_nothing_breaks_nothing_and_a_new_request_all_that_it_breaks(
    rules: list[dict[str, Any]], body: dict[str, Any]
) -> None:
    decision = judge(policy(*rules), asked(body))
    assert decision.beyond(decision) == Decision()
    assert decision.beyond(Decision()) == decision


@given(
    RULES,
    st.permutations(
        ["https://a.contoso.example/", "https://b.evil.example/", "http://localhost/", "https://c.evil.example/"]
    ),
)
def test_redirect_uris_in_another_order_break_nothing_new(rules: list[dict[str, Any]], uris: list[str]) -> None:
    first, second = (
        judge(policy(*rules), asked(a_confidential_client(redirectUris=each))) for each in (sorted(uris), uris)
    )
    assert second.beyond(first) == Decision()


@given(RULES, BODIES)
def test_what_is_told_holds_nothing_of_what_was_asked(rules: list[dict[str, Any]], body: dict[str, Any]) -> None:
    marked = {**body, "displayName": "qzmarkerqz", "description": "qzmarkerqz"}
    told = [each.fault for each in judge(policy(*rules), asked(marked)).all_broken]
    assert "qzmarkerqz" not in repr(told)
