"""The values of a request's fields: which are accepted, and by which rule each other is refused."""

import pytest

from provisioning.domain.intake import SERVER_ROLES, ResourceApplicationRequest, dump, parse
from tests.unit.domain.refusals import codes_of
from tests.worlds.request_bodies import OWNER, a_confidential_client, a_public_client, a_resource, a_service_client

LIMITS = {"displayName": 120, "description": 1024, "serviceManagementReference": 256}


@pytest.mark.parametrize(("name", "longest"), LIMITS.items(), ids=LIMITS)
def test_a_text_may_be_as_long_as_entra_allows_and_no_longer(name: str, longest: int) -> None:
    assert parse(a_resource(**{name: "x" * longest}))
    assert parse(a_resource(**{name: "😀" * (longest // 2)}))
    assert codes_of(a_resource(**{name: "x" * (longest + 1)})) == [(f"#/{name}", "wrong-length")]
    assert codes_of(a_resource(**{name: "😀" * (longest // 2) + "x"})) == [(f"#/{name}", "wrong-length")]
    assert codes_of(a_resource(**{name: ""})) == [(f"#/{name}", "wrong-length")]


def test_the_name_of_a_resource_may_be_as_long_as_an_identifier_uri_and_no_longer() -> None:
    name = "https://fhir.contoso.example/".ljust(255, "x")
    assert parse(a_service_client(resource=name))
    assert codes_of(a_service_client(resource=name + "x")) == [("#/resource", "wrong-length")]


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
        ("patient/Patient.rs é", "name-character"),
        ("patient.Patient.rs é", "name-character"),
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


@pytest.mark.parametrize(
    ("name", "code"),
    [("https://fhir.contoso.example/read", "name-is-uri"), ("a/b", "name-character"), ("OpenID", "openid-scope")],
)
def test_a_resource_offers_no_scope_that_only_a_client_could_ask_for(name: str, code: str) -> None:
    assert codes_of(a_resource(scopes=[name])) == [("#/scopes/0", code)]
    if code == "name-is-uri":
        assert codes_of(a_public_client(scopes=[name])) == [("#/scopes/0", code)]
    else:
        assert parse(a_public_client(scopes=[name]))


def test_data_roles_are_names_that_azure_has_in_one_order_and_none_is_as_if_nobody_asked() -> None:
    names = ["FHIR Data Writer", "FHIR Data Reader"]
    assert dump(parse(a_service_client(dataRoles=names)))["dataRoles"] == sorted(names)
    assert codes_of(a_service_client(dataRoles=[*names, "Owner"])) == [("#/dataRoles/2", "not-one-of")]
    assert parse(a_service_client(dataRoles=[])) == parse(a_service_client())


def test_claims_are_mapped_or_it_is_as_if_nobody_asked() -> None:
    assert dump(parse(a_public_client(acceptMappedClaims=True)))["acceptMappedClaims"] is True
    assert parse(a_public_client(acceptMappedClaims=False)) == parse(a_public_client())


@pytest.mark.parametrize(("version", "taken"), [(0, False), (1, True), (2, True), (3, False)])
def test_access_tokens_are_of_version_1_or_2(version: int, *, taken: bool) -> None:
    body = a_resource(accessTokenVersion=version)
    if taken:
        assert dump(parse(body))["accessTokenVersion"] == version
    else:
        assert codes_of(body) == [("#/accessTokenVersion", "not-one-of")]


def test_a_contact_may_have_254_characters_and_no_more() -> None:
    address = "a@" + ".".join(["b" * 60] * 4) + ".example"
    longest = address + "x" * (254 - len(address))
    assert parse(a_resource(contact=longest))
    assert codes_of(a_resource(contact=longest + "x")) == [("#/contact", "not-an-email-address")]


def test_an_invisible_character_is_named_as_one_and_a_control_character_as_one() -> None:
    assert codes_of(a_resource(displayName="a\u202eb")) == [("#/displayName", "invisible-character")]


def test_scopes_and_roles_are_at_most_400_each_and_none_stands_twice() -> None:
    names = [f"n{number}" for number in range(401)]
    assert parse(a_resource(scopes=names[:400]))
    assert codes_of(a_resource(scopes=names)) == [("#/scopes", "too-many-items")]
    assert codes_of(a_service_client(appRoles=names)) == [("#/appRoles", "too-many-items")]
    assert codes_of(a_resource(scopes=["a", "b", "A"])) == [("#/scopes/2", "name-duplicate")]
    assert codes_of(a_resource(scopes=["Same"], appRoles=["other", "same"])) == [
        ("#/appRoles/1", "role-named-as-scope")
    ]


@pytest.mark.parametrize("role", SERVER_ROLES)
def test_a_scope_is_named_as_a_default_role_letter_by_letter_or_not_at_all(role: str) -> None:
    assert parse(a_resource(scopes=[role]))
    place = f"#/appRoles/{SERVER_ROLES.index(role)}"
    assert codes_of(a_resource(scopes=[role.upper()])) == [(place, "role-named-as-scope")]


def test_a_role_is_named_as_the_default_scope_letter_by_letter_or_not_at_all() -> None:
    assert parse(a_resource(appRoles=["user_impersonation"]))
    assert codes_of(a_resource(appRoles=["User_Impersonation"])) == [("#/appRoles/0", "role-named-as-scope")]


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
