import json
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from provisioning.domain.durations import parse_duration
from provisioning.domain.errors import Fault, RequestRejected
from provisioning.domain.intake import (
    SERVER_ROLES,
    ConfidentialClientRequest,
    PublicClientRequest,
    ResourceApplicationRequest,
    ServiceClientRequest,
    dump,
    fingerprint,
    parse,
    restore,
    secret_lifetime_faults,
)
from provisioning.domain.registration import Status
from tests.worlds.certificates import a_certificate
from tests.worlds.request_bodies import OWNER, a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.world import World

thorough = settings(max_examples=200, deadline=None, derandomize=True, database=None)
slow = settings(max_examples=100, deadline=None, derandomize=True, database=None)
MARKER = "qzmarkerqz"
BUILDERS = {
    "resource": a_resource,
    "confidential": a_confidential_client,
    "public": a_public_client,
    "service": a_service_client,
}
COMMON = {"clientType", "displayName", "owner", "contact", "description", "serviceManagementReference"}
FIELDS = {
    "resource": COMMON | {"fhirServerUrl", "scopes", "appRoles", "accessTokenVersion"},
    "confidential": COMMON | {"redirectUris", "resource", "scopes", "logoutUrl", "secretLifetime", "autoRotate"},
    "public": COMMON | {"platform", "redirectUris", "resource", "scopes"},
    "service": COMMON | {"resource", "appRoles", "credential", "secretLifetime"},
}
EVERY_FIELD = {*FIELDS["resource"], *FIELDS["confidential"], *FIELDS["public"], *FIELDS["service"]}


def faults_of(body: object) -> list[Fault]:
    with pytest.raises(RequestRejected) as caught:
        parse(body)
    assert caught.value.status == 400
    assert caught.value.code == "invalid-request"
    return list(caught.value.faults)


def codes_of(body: object) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in faults_of(body)]


# --- requests as teams send them ------------------------------------------------------------------------------------


def test_a_resource_has_the_servers_scope_roles_and_token_version_by_default() -> None:
    request = parse(a_resource())
    assert isinstance(request, ResourceApplicationRequest)
    assert dump(request) == {
        "clientType": "resource",
        "displayName": "A resource",
        "owner": OWNER,
        "contact": "team@contoso.example",
        "fhirServerUrl": "https://fhir.contoso.example",
        "scopes": ["user_impersonation"],
        "appRoles": [
            "globalReader",
            "globalExporter",
            "globalConverter",
            "globalImporter",
            "globalWriter",
            "globalAdmin",
            "smartUser",
        ],
        "accessTokenVersion": 1,
    }


def test_a_confidential_client_does_not_rotate_by_itself_unless_asked() -> None:
    request = parse(a_confidential_client())
    assert isinstance(request, ConfidentialClientRequest)
    assert not request.auto_rotate
    assert (request.scopes, request.logout_url, request.secret_lifetime) == (None, None, None)


def test_a_public_client_has_its_platform_and_nothing_like_a_credential() -> None:
    request = parse(a_public_client())
    assert isinstance(request, PublicClientRequest)
    assert set(dump(request)) == {
        "clientType",
        "displayName",
        "owner",
        "contact",
        "resource",
        "platform",
        "redirectUris",
    }


def test_a_service_client_has_a_secret_by_default() -> None:
    request = parse({key: value for key, value in a_service_client().items() if key != "appRoles"})
    assert isinstance(request, ServiceClientRequest)
    assert request.app_roles == ()
    assert request.credential.type == "secret"


def test_what_differs_only_in_spelling_is_normalised() -> None:
    request = dump(
        parse(
            a_confidential_client(
                owner=OWNER.upper(), redirectUris=["HTTPS://App.Contoso.Example"], secretLifetime="PT2160H"
            )
        )
    )
    assert request["owner"] == OWNER
    assert request["redirectUris"] == ["https://app.contoso.example/"]
    assert request["secretLifetime"] == "P90D"
    assert dump(parse(a_resource(fhirServerUrl="https://FHIR.Contoso.Example:443/")))["fhirServerUrl"] == (
        "https://fhir.contoso.example"
    )


# --- fields ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("client_type", BUILDERS)
def test_every_field_of_another_client_type_is_refused_by_name(client_type: str) -> None:
    foreign = sorted(EVERY_FIELD - FIELDS[client_type])
    body = BUILDERS[client_type](**dict.fromkeys(foreign, MARKER))
    assert sorted(codes_of(body)) == [(f"#/{name}", "field-not-allowed") for name in foreign]


REFUSED_WITH_A_REASON = {
    "resource": ["redirectUris", "credential", "secretLifetime", "identifierUri", "identifierUris"],
    "confidential": ["platform", "appRoles", "credential"],
    "public": [
        "credential",
        "secretLifetime",
        "autoRotate",
        "implicitGrant",
        "implicitGrantSettings",
        "isFallbackPublicClient",
        "appRoles",
    ],
    "service": ["redirectUris", "logoutUrl", "scopes", "autoRotate"],
}


@pytest.mark.parametrize(
    ("client_type", "name"), [(key, name) for key, names in REFUSED_WITH_A_REASON.items() for name in names]
)
def test_a_field_that_the_design_refuses_is_told_why(client_type: str, name: str) -> None:
    [fault] = faults_of(BUILDERS[client_type](**{name: True}))
    [unknown] = faults_of(BUILDERS[client_type](noSuchField=True))
    assert (fault.pointer, fault.code) == (f"#/{name}", "field-not-allowed")
    assert fault.message != unknown.message


@pytest.mark.parametrize("client_type", BUILDERS)
def test_every_required_field_that_is_missing_is_named_at_once(client_type: str) -> None:
    required = {
        "resource": {"fhirServerUrl"},
        "confidential": {"redirectUris", "resource"},
        "public": {"platform", "redirectUris", "resource"},
        "service": {"resource"},
    }[client_type] | {"displayName", "owner", "contact"}
    assert set(codes_of({"clientType": client_type})) == {(f"#/{name}", "required") for name in required}


@pytest.mark.parametrize(
    "client_type", [None, "", "Resource", "client", 1, True, [], ["resource"], {}, {"resource": 1}, "\ud800"], ids=repr
)
def test_an_unknown_client_type_is_refused_whatever_its_type(client_type: object) -> None:
    assert codes_of({**a_resource(), "clientType": client_type}) == [("#/clientType", "client-type-unknown")]


@pytest.mark.parametrize("body", [{}, {"client_type": "resource"}, {"ClientType": "resource"}], ids=repr)
def test_a_missing_client_type_is_told_before_anything_else(body: dict[str, Any]) -> None:
    assert codes_of(body) == [("#/clientType", "required")]


@pytest.mark.parametrize("body", [None, [], "x", 1, True, [a_resource()]], ids=repr)
def test_a_body_that_is_no_object_is_refused(body: object) -> None:
    assert codes_of(body) == [("#", "wrong-type")]


@pytest.mark.parametrize(
    "name", ["client_type", "display_name", "fhir_server_url", "app_roles", "DisplayName", "displayname"]
)
def test_a_field_has_one_spelling_only(name: str) -> None:
    assert codes_of({**a_resource(), name: MARKER}) in (
        [(f"#/{name}", "field-not-allowed")],
        [("#", "field-not-allowed")],
    )


@pytest.mark.parametrize("name", ["a b", "a/b", "a~b", "", "ä", "x" * 65, "Eby8vdM02xNOcqFlqUwJPLlmEtlCD=", "\ud800"])
def test_a_name_that_no_field_could_have_is_not_repeated(name: str) -> None:
    [fault] = faults_of(a_resource(**{name: 1}))
    assert (fault.pointer, fault.code) in (("#", "field-not-allowed"), ("#", "control-character"))
    assert not name or name not in fault.message


WRONG: tuple[Any, ...] = (1, 1.5, True, [1], [None], [[]], {"a": 1}, "\ud800", 10**4000, 1e400)
RIGHT_AFTER_ALL = [("accessTokenVersion", 1), ("autoRotate", True)]


@pytest.mark.parametrize("client_type", BUILDERS)
def test_a_value_of_another_json_type_is_refused_at_its_field(client_type: str) -> None:
    for name in sorted(FIELDS[client_type] - {"clientType"}):
        for value in WRONG:
            if any(name == right and value is good for right, good in RIGHT_AFTER_ALL):
                continue
            for fault in faults_of(BUILDERS[client_type](**{name: value})):
                assert fault.pointer.startswith(f"#/{name}"), (name, value)
                assert "_" not in fault.code, (name, value)


def test_the_version_of_access_tokens_is_a_number_and_not_a_flag() -> None:
    assert codes_of(a_resource(accessTokenVersion=True)) == [("#/accessTokenVersion", "wrong-type")]
    assert codes_of(a_resource(accessTokenVersion=1.0)) == [("#/accessTokenVersion", "wrong-type")]
    assert codes_of(a_resource(accessTokenVersion=3)) == [("#/accessTokenVersion", "not-one-of")]


# --- values ---------------------------------------------------------------------------------------------------------

LIMITS = {"displayName": 120, "description": 1024, "serviceManagementReference": 256}


@pytest.mark.parametrize(("name", "longest"), LIMITS.items(), ids=LIMITS)
def test_a_text_may_be_as_long_as_entra_allows_and_no_longer(name: str, longest: int) -> None:
    assert parse(a_resource(**{name: "x" * longest}))
    assert parse(a_resource(**{name: "😀" * (longest // 2)}))
    assert codes_of(a_resource(**{name: "x" * (longest + 1)})) == [(f"#/{name}", "wrong-length")]
    assert codes_of(a_resource(**{name: "😀" * (longest // 2) + "x"})) == [(f"#/{name}", "wrong-length")]
    assert codes_of(a_resource(**{name: ""})) == [(f"#/{name}", "wrong-length")]


@pytest.mark.parametrize("text", ["a\nb", "a\tb", "a\x00b", "a\x7fb", "a\x85b", "a\u2028b", "a\u2029b", "a\ud800b"])
def test_control_characters_are_refused_in_texts(text: str) -> None:
    assert codes_of(a_resource(displayName=text, description=text)) == [
        ("#/displayName", "control-character"),
        ("#/description", "control-character"),
    ]


@pytest.mark.parametrize("text", [" a", "a ", "\u00a0a", "a\u3000"])
def test_white_space_around_a_text_is_refused(text: str) -> None:
    assert codes_of(a_resource(displayName=text)) == [("#/displayName", "outer-whitespace")]


@pytest.mark.parametrize("text", ["Zoë's FHIR — test", "患者アプリ", "👩🏽‍⚕️ app", "<b>&amp;</b>", '"quoted"', "{rule}"])
def test_a_display_name_may_be_in_any_script(text: str) -> None:
    assert parse(a_resource(displayName=text)).display_name == text


@pytest.mark.parametrize(
    "owner",
    [
        "",
        "team@contoso.example",
        OWNER[:-1],
        OWNER + "0",
        f"{{{OWNER}}}",
        OWNER.replace("-", ""),
        OWNER + "\n",
        "１" + OWNER[1:],  # noqa: RUF001 -- a full-width digit
    ],
)
def test_the_owner_is_an_object_id(owner: str) -> None:
    assert codes_of(a_resource(owner=owner)) == [("#/owner", "not-a-guid")]


@pytest.mark.parametrize(
    "contact",
    [
        "team@contoso.example",
        "first.last+tag@sub.contoso.example",
        "o'neil@contoso.example",
        "a" * 64 + "@contoso.example",
    ],
)
def test_an_email_address_is_accepted(contact: str) -> None:
    assert parse(a_resource(contact=contact)).contact == contact


@pytest.mark.parametrize(
    "contact",
    [
        "",
        "team",
        "team@",
        "@contoso.example",
        "team@contoso",
        "team@contoso..example",
        "a@b.example, c@d.example",
        "a@b.example;c@d.example",
        "Team <team@contoso.example>",
        "mailto:team@contoso.example",
        "team@contoso.example\r\nBcc: all@contoso.example",
        "team@contoso.example\n",
        "tèam@contoso.example",
        "team@bücher.example",
        "a" * 65 + "@contoso.example",
        "team@" + ".".join(["x" * 60] * 5),
    ],
)
def test_the_contact_is_one_email_address(contact: str) -> None:
    assert codes_of(a_resource(contact=contact)) == [("#/contact", "not-an-email-address")]


@pytest.mark.parametrize(
    "scope",
    [
        "user_impersonation",
        "fhirUser",
        "launch",
        "launch.patient",
        "openid",
        "patient.Patient.rs",
        "patient.all.read",
        "patient.*.*",
        "user.Observation.cruds",
        "system.all.write",
        "user.Observation.rs?category=laboratory",
        "Data.Read",
        "x" * 120,
    ],
)
def test_a_scope_that_entra_and_the_fhir_server_know_is_accepted(scope: str) -> None:
    request = parse(a_resource(scopes=[scope]))
    assert isinstance(request, ResourceApplicationRequest)
    assert request.scopes == (scope,)


@pytest.mark.parametrize(
    ("scope", "code"),
    [
        ("", "wrong-length"),
        ("x" * 121, "wrong-length"),
        ("a b", "name-character"),
        ('a"b', "name-character"),
        ("a\\b", "name-character"),
        ("é", "name-character"),
        ("\ud800", "name-character"),
        ("a\n", "name-character"),
        (".default", "name-leading-dot"),
        ("patient/Patient.rs", "smart-scope-slash"),
        ("system/*.read", "smart-scope-slash"),
        ("launch/patient", "smart-scope-slash"),
        ("patient.patient.rs", "smart-scope-name"),
        ("patient.Patient", "smart-scope-name"),
        ("patient.Patient.sr", "smart-scope-name"),
        ("patient.Patient.", "smart-scope-name"),
        ("user.Observation.execute", "smart-scope-name"),
    ],
)
def test_a_scope_that_entra_or_the_fhir_server_would_not_know_is_refused(scope: str, code: str) -> None:
    assert codes_of(a_resource(scopes=["ok", scope])) == [("#/scopes/1", code)]
    assert codes_of(a_public_client(scopes=[scope])) == [("#/scopes/0", code)]


def test_scopes_and_roles_are_at_most_400_each_and_never_share_a_name() -> None:
    names = [f"n{number}" for number in range(401)]
    assert parse(a_resource(scopes=names[:400]))
    assert codes_of(a_resource(scopes=names)) == [("#/scopes", "too-many-items")]
    assert codes_of(a_service_client(appRoles=names)) == [("#/appRoles", "too-many-items")]
    assert codes_of(a_resource(scopes=["a", "b", "A"])) == [("#/scopes/2", "name-duplicate")]
    assert codes_of(a_resource(scopes=["Same"], appRoles=["other", "same"])) == [
        ("#/appRoles/1", "role-named-as-scope")
    ]


@pytest.mark.parametrize("role", SERVER_ROLES)
def test_a_scope_may_not_be_named_like_a_default_role_either(role: str) -> None:
    assert {code for _, code in codes_of(a_resource(scopes=[role]))} == {"role-named-as-scope"}


def test_the_default_scope_is_a_name_that_no_role_may_have() -> None:
    assert codes_of(a_resource(appRoles=["user_impersonation"])) == [("#/appRoles/0", "role-named-as-scope")]


@pytest.mark.parametrize("platform", ["web", "SPA", "", "mobile", None, 1])
def test_the_platform_is_spa_or_native_and_the_uris_are_judged_all_the_same(platform: object) -> None:
    body = a_public_client(platform=platform, redirectUris=["com.example.app://auth", "https://a.example/#x"])
    pointers = dict(codes_of(body))
    assert pointers.pop("#/platform") in ("not-one-of", "wrong-type")
    assert pointers == {"#/redirectUris/1": "uri-fragment"}


def test_redirect_uris_are_judged_for_their_platform() -> None:
    uris = ["com.example.app://auth"]
    assert parse(a_public_client(platform="native", redirectUris=uris))
    assert codes_of(a_public_client(platform="spa", redirectUris=uris)) == [("#/redirectUris/0", "uri-scheme")]
    assert codes_of(a_confidential_client(redirectUris=uris)) == [("#/redirectUris/0", "uri-scheme")]


def test_every_fault_of_every_uri_is_told_at_once() -> None:
    uris = ["https://a.example/#x", "http://a.example/", "https://b.example/", "https://b.example/"]
    assert codes_of(a_confidential_client(redirectUris=uris)) == [
        ("#/redirectUris/0", "uri-fragment"),
        ("#/redirectUris/1", "uri-not-https"),
        ("#/redirectUris/3", "uri-duplicate"),
    ]


@pytest.mark.parametrize(
    ("url", "codes"),
    [
        ("https://app.contoso.example/out", []),
        ("http://localhost:5000/out", ["uri-not-https"]),
        ("http://127.0.0.1/out", ["uri-not-https"]),
        ("http://app.contoso.example/out", ["uri-not-https"]),
        ("https://app.contoso.example/out#x", ["uri-fragment"]),
        ("com.example.app://out", ["uri-scheme"]),
        ("/out", ["uri-not-absolute"]),
    ],
)
def test_the_log_out_url_is_https_and_nothing_else(url: str, codes: list[str]) -> None:
    body = a_confidential_client(logoutUrl=url)
    if codes:
        assert codes_of(body) == [("#/logoutUrl", code) for code in codes]
    else:
        assert dump(parse(body))["logoutUrl"] == url


def test_a_log_out_url_may_have_255_characters_one_less_than_a_redirect_uri() -> None:
    longest = "https://a.example/".ljust(255, "x")
    assert parse(a_confidential_client(logoutUrl=longest))
    assert codes_of(a_confidential_client(logoutUrl=longest + "x")) == [("#/logoutUrl", "uri-too-long")]


FEDERATED = {"type": "federated", "issuer": "https://Token.example/Tenant/", "subject": "Repo:A/b:Environment:Prod"}


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


def test_faults_of_all_fields_are_named_together() -> None:
    body = a_confidential_client(
        displayName="", owner="x", contact="x", redirectUris=["x"], logoutUrl="x", secretLifetime="x", colour="red"
    )
    assert sorted(codes_of(body)) == [
        ("#/colour", "field-not-allowed"),
        ("#/contact", "not-an-email-address"),
        ("#/displayName", "wrong-length"),
        ("#/logoutUrl", "uri-not-absolute"),
        ("#/owner", "not-a-guid"),
        ("#/redirectUris/0", "uri-not-absolute"),
        ("#/secretLifetime", "not-a-duration"),
    ]


# --- by property ----------------------------------------------------------------------------------------------------


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


plain_text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1)
names = st.from_regex(
    r"[A-Za-z0-9:!#%&*+,/;<=>?@^_`{|}~'()$\[\]-][A-Za-z0-9:!#%&*+,./;<=>?@^_`{|}~'()$\[\]-]{0,119}", fullmatch=True
)
name_lists = st.lists(st.one_of(names, st.sampled_from(["globalReader", "User_Impersonation", "s" * 120])), max_size=6)
durations = st.one_of(
    st.integers(38, 180).map("P{}D".format),
    st.integers(37 * 24 + 1, 180 * 24).map("PT{}H".format),
    st.sampled_from(["P90D", "PT2160H", "P0089DT24H"]),
)
https_uris = st.one_of(
    st.sampled_from(
        ["https://a.example", "https://A.Example/", "https://a.example/cb", "https://a.example:443/cb?x=%20"]
    ),
    st.from_regex(
        r"https://[a-z0-9]{1,20}(\.[A-Z]{1,9}){0,2}(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~@:+=&%%*-]{0,20}){0,2}",
        fullmatch=True,
    ),
    st.sampled_from(["http://localhost:1/a", "http://localhost:2/b", "http://127.0.0.1", "https://[2001:db8::1]/"]),
)
native_uris = st.one_of(https_uris, st.sampled_from(["com.ex://auth", "com.ex:/a?b", "urn:a:b", "a:b", "com.ex:?q"]))
common = st.fixed_dictionaries(
    {
        "displayName": plain_text.filter(lambda text: len(text) <= 60),
        "owner": st.uuids().map(str) | st.uuids().map(lambda owner: str(owner).upper()) | st.just(OWNER),
        "contact": st.from_regex(r"[a-z0-9.'+]{1,64}@[a-z0-9-]{1,63}\.[a-z]{1,63}", fullmatch=True),
    },
    optional={
        "description": st.none() | plain_text.filter(lambda text: len(text) <= 512) | st.just("é" * 1024),
        "serviceManagementReference": st.none() | st.uuids().map(str),
    },
)
SERVER = "https://fhir.contoso.example"


def client(required: Mapping[str, Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    always = st.fixed_dictionaries({"resource": st.just(SERVER), **required})
    return st.tuples(common, always, optional(**fields)).map(lambda parts: {**parts[0], **parts[1], **parts[2]})


resource_bodies = st.tuples(
    common,
    st.fixed_dictionaries(
        {
            "clientType": st.just("resource"),
            "fhirServerUrl": st.sampled_from([SERVER, SERVER.upper().replace("HTTPS", "https") + "/", f"{SERVER}:443"])
            | st.from_regex(
                r"https://[a-z]{1,9}(\.[a-zA-Z]{1,9}){0,2}(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~-]{1,9}){0,2}/?",
                fullmatch=True,
            )
            | st.sampled_from(["https://[2001:db8::1]/x", "https://10.0.0.1", "https://a.example./"]),
        },
        optional={"scopes": name_lists, "appRoles": name_lists, "accessTokenVersion": st.sampled_from([1, 2])},
    ),
).map(lambda parts: {**parts[0], **parts[1]})
federated_credentials = st.fixed_dictionaries(
    {"type": st.just("federated"), "issuer": https_uris, "subject": st.text(min_size=1, max_size=8)}
)
CERTIFICATE = {"type": "certificate", "certificate": a_certificate().pem}
client_bodies = st.one_of(
    client(
        {"clientType": st.just("confidential"), "redirectUris": st.lists(https_uris, min_size=1, max_size=4)},
        scopes=st.none() | st.sampled_from([[], ["user_impersonation"]]),
        logoutUrl=st.none() | https_uris,
        secretLifetime=st.none() | durations,
        autoRotate=st.booleans(),
    ),
    client(
        {
            "clientType": st.just("public"),
            "platform": st.sampled_from(["spa", "native"]),
            "redirectUris": st.lists(native_uris, min_size=1, max_size=4),
        },
        scopes=st.none() | st.sampled_from([[], ["user_impersonation"]]),
    ),
    client(
        {"clientType": st.just("service")},
        appRoles=st.lists(st.sampled_from(SERVER_ROLES), unique=True),
        credential=st.sampled_from([{}, {"type": "secret"}]) | federated_credentials | st.just(CERTIFICATE),
        secretLifetime=st.none() | durations,
    ),
)
bodies = st.one_of(resource_bodies, client_bodies)


def accepted(body: object) -> bool:
    try:
        parse(body)
    except RequestRejected:
        return False
    return True


@thorough
@given(bodies)
@example(a_resource(fhirServerUrl="https://[2001:db8::1]/fhir"))
def test_a_normalised_request_is_accepted_as_it_is(body: dict[str, Any]) -> None:
    assume(accepted(body))
    request = parse(body)
    assert parse(json.loads(json.dumps(dump(request)))) == request


@thorough
@given(bodies)
def test_a_stored_request_is_restored_as_it_was(body: dict[str, Any]) -> None:
    assume(accepted(body))
    request = parse(body)
    stored = json.loads(json.dumps(dump(request)))
    assert restore(stored) == request
    assert dump(restore(stored)) == stored


@pytest.mark.parametrize(
    "stored",
    [
        a_resource(fhirServerUrl="http://an.older.rule", scopes=["a b"]),
        a_confidential_client(redirectUris=["http://an.older.rule#x"], contact="nobody", displayName="x" * 500),
        a_service_client(secretLifetime="P9999D", appRoles=["a", "a"]),
        a_service_client(credential={"type": "federated", "issuer": "http://an.older.rule", "subject": "*"}),
        a_service_client(credential={"type": "certificate", "certificate": a_certificate(size=1024).pem}),
    ],
    ids=["resource", "confidential", "service", "federated", "certificate"],
)
def test_what_was_accepted_once_stays_readable_when_rules_are_tightened(stored: dict[str, Any]) -> None:
    assert not accepted(stored)
    restored = dump(restore(stored))
    assert {name: restored[name] for name in stored} == stored


@thorough
@given(bodies, bodies)
def test_two_requests_have_the_same_fingerprint_exactly_when_they_are_the_same(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    assume(accepted(first) and accepted(second))
    requests = parse(first), parse(second)
    same = dump(requests[0]) == dump(requests[1])
    assert (fingerprint(requests[0]) == fingerprint(requests[1])) is same


def respelt(body: Mapping[str, Any]) -> dict[str, Any]:
    """Say the same in other words: order, case, default port, defaults written out, nulls for what is not sent."""
    again = dict(reversed(list(body.items())))
    again["owner"] = again["owner"].swapcase()
    if "fhirServerUrl" in again:
        scheme, _, rest = again["fhirServerUrl"].partition("://")
        host, slash, path = rest.partition("/")
        again["fhirServerUrl"] = f"{scheme.upper()}://{host.swapcase()}{slash}{path}".removesuffix("/") + "/"
        again.setdefault("accessTokenVersion", 1)
        again.setdefault("scopes", ["user_impersonation"])
        again.setdefault("appRoles", list(SERVER_ROLES))
    if again.get("secretLifetime"):
        again["secretLifetime"] = f"PT{int(parse_duration(again['secretLifetime']).total_seconds())}S"
    if again["clientType"] == "service":
        if again.get("credential", {}).get("type", "secret") == "secret":
            again["credential"] = {"type": "secret"}
        again.setdefault("appRoles", [])
    if again["clientType"] == "confidential":
        again.setdefault("autoRotate", False)
        again.setdefault("logoutUrl", None)
        again.setdefault("scopes", None)
    again.setdefault("description", None)
    return again


@thorough
@given(bodies)
def test_a_request_keeps_its_fingerprint_however_it_is_spelt(body: dict[str, Any]) -> None:
    assume(accepted(body))
    assert fingerprint(parse(respelt(body))) == fingerprint(parse(body))


hostile_strings = st.one_of(
    st.just(MARKER),
    st.text(max_size=5).map(lambda text: MARKER + text),
    st.text(max_size=5).map(lambda text: text + MARKER),
    st.sampled_from([f"https://{MARKER}", f"https://{MARKER}.example/#", f"{MARKER}@x.example\n", f"P{MARKER}D"]),
    st.sampled_from([f"patient/{MARKER}", f".{MARKER}", f"javascript:{MARKER}", "{" + MARKER + "}", MARKER * 100]),
)
hostile_values = st.recursive(
    hostile_strings,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "a", "b"]), inner, max_size=2),
    max_leaves=4,
)
hostile_bodies = st.fixed_dictionaries(
    {"clientType": st.sampled_from([*BUILDERS, MARKER])},
    optional=dict.fromkeys(sorted(EVERY_FIELD - {"clientType"}), hostile_values),
)


@thorough
@given(hostile_bodies)
def test_no_fault_repeats_a_value(body: dict[str, Any]) -> None:
    with pytest.raises(RequestRejected) as caught:
        parse(body)
    told = [caught.value.code, caught.value.message, str(caught.value), *map(repr, caught.value.faults)]
    assert caught.value.faults
    assert MARKER not in "".join(told)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@thorough
@given(
    st.one_of(
        json_values,
        st.builds(
            lambda body, name, value: {**body, name: value},
            bodies,
            st.sampled_from(sorted(EVERY_FIELD)) | st.text(max_size=6),
            json_values,
        ),
    )
)
def test_any_json_is_accepted_or_refused_with_reasons_and_never_an_error(body: object) -> None:
    assume(not accepted(body))
    faults = faults_of(body)
    assert faults
    for fault in faults:
        assert fault.pointer.startswith("#")
        assert fault.code == fault.code.lower().replace("_", "-").strip("-")
        assert fault.message.endswith((".", '."'))


# --- accepted by us means accepted by Entra -------------------------------------------------------------------------


def provisioned(world: World, body: dict[str, Any]) -> None:
    answer = world.post(body)
    assert answer.status == 202, answer.body
    world.deliver()
    assert world.errors == []
    row = world.row(json.loads(answer.body)["registrationId"])
    assert row.status is Status.ACTIVE, row.operation.failure


@slow
@given(resource_bodies)
@example(a_resource(scopes=["globalReader"]))
@example(a_resource(scopes=["s" * 120], appRoles=["r" * 120]))
@example(a_resource(scopes=[f"s{n}" for n in range(400)], appRoles=[f"r{n}" for n in range(400)]))
@example(a_resource(displayName="😀" * 60, description="é" * 1024, serviceManagementReference="x" * 256))
@example(a_resource(scopes=[], appRoles=[]))
@example(a_resource(scopes=["a/b"]))
@example(a_resource(appRoles=["a/b"]))
def test_a_resource_that_is_accepted_is_never_refused_by_entra(body: dict[str, Any]) -> None:
    assume(accepted(body))
    provisioned(World(), body)


@slow
@given(client_bodies)
@example(a_confidential_client(logoutUrl="http://127.0.0.1/out"))
@example(a_confidential_client(logoutUrl="https://a.example/".ljust(255, "x")))
@example(a_confidential_client(redirectUris=[f"https://a.example/{n}".ljust(256, "x") for n in range(200)]))
@example(a_public_client(platform="native", redirectUris=["com.ex:?q"]))
@example(a_public_client(platform="native", redirectUris=["https://[0:0:0:0:0:0:0:1]/cb"]))
@example(a_public_client(scopes=["user_impersonation"]))
@example(a_service_client(credential={**FEDERATED, "issuer": "https://t.example/".ljust(600, "x")}))
@example(a_service_client(credential={**FEDERATED, "subject": "😀" * 300}))
def test_a_client_that_is_accepted_is_never_refused_by_entra(body: dict[str, Any]) -> None:
    assume(accepted(body))
    world = World()
    world.registered(a_resource())
    provisioned(world, body)


def test_256_redirect_uris_of_256_characters_do_not_fit_into_64_kb_but_250_do() -> None:
    world = World()
    world.registered(a_resource())
    uris = [f"https://a.example/{number}/".ljust(256, "x") for number in range(250)]
    body = a_confidential_client(redirectUris=uris)
    assert world.post(json.dumps(body, separators=(",", ":")).encode()).status == 202
    world.deliver()
    assert world.errors == []


@pytest.mark.parametrize(
    "body", [a_resource(contact="a" * 64 + "@" + ".".join(["x" * 63] * 2) + "." + "y" * 61)], ids=["contact"]
)
def test_the_longest_values_that_are_kept_in_notes_fit_there(body: dict[str, Any]) -> None:
    path = "x" * (255 - len(f"api://{World().emulator.tenant_id}/fhir.contoso.example/"))
    assert len(body["contact"]) == 254
    provisioned(World(), {**body, "fhirServerUrl": f"https://fhir.contoso.example/{path}"})
