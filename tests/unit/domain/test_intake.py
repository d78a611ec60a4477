"""What a request consists of: its defaults, its one spelling, and which fields each client type has."""

import re
from typing import Any

import pytest

from provisioning.domain.intake import (
    ConfidentialClientRequest,
    PublicClientRequest,
    ResourceApplicationRequest,
    ServiceClientRequest,
    dump,
    parse,
)
from tests.unit.domain.any_requests import EVERY_FIELD, FIELDS
from tests.unit.domain.refusals import codes_of, faults_of
from tests.worlds.request_bodies import (
    MARKER,
    OWNER,
    REQUESTS,
    a_confidential_client,
    a_public_client,
    a_resource,
    a_service_client,
)


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


@pytest.mark.parametrize("client_type", REQUESTS)
def test_every_field_of_another_client_type_is_refused_by_name(client_type: str) -> None:
    foreign = sorted(EVERY_FIELD - FIELDS[client_type])
    body = REQUESTS[client_type](**dict.fromkeys(foreign, MARKER))
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
    [fault] = faults_of(REQUESTS[client_type](**{name: True}))
    [unknown] = faults_of(REQUESTS[client_type](noSuchField=True))
    assert (fault.pointer, fault.code) == (f"#/{name}", "field-not-allowed")
    assert fault.message != unknown.message


@pytest.mark.parametrize("client_type", REQUESTS)
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


def spellings(name: str) -> list[str]:
    """Other ways in which callers of other APIs write the name of a field."""
    words = re.findall("^[a-z]+|[A-Z][a-z]*", name)
    snake, kebab = ("-_"[each].join(word.lower() for word in words) for each in (1, 0))
    return [
        each
        for each in (snake, kebab, snake.upper(), name[0].upper() + name[1:], name.lower(), name.upper())
        if each != name
    ]


@pytest.mark.parametrize("client_type", REQUESTS)
def test_a_field_in_another_spelling_is_told_the_name_that_it_should_have(client_type: str) -> None:
    for name in FIELDS[client_type] - {"clientType"}:
        for spelling in spellings(name):
            body = REQUESTS[client_type]()
            body.pop(name, None)
            found = [fault for fault in faults_of({**body, spelling: 1}) if fault.code == "field-not-allowed"]
            assert [(fault.pointer, fault.message) for fault in found] == [
                (f"#/{spelling}", f"There is no {spelling}; write {name}.")
            ]


@pytest.mark.parametrize(
    ("credential", "name"),
    [
        ({"type": "federated", "Issuer": "https://token.example", "subject": "s"}, "issuer"),
        ({"type": "federated", "issuer": "https://token.example", "SUBJECTS": ["s"]}, "subjects"),
        ({"type": "certificate", "Certificate": "x"}, "certificate"),
    ],
)
def test_a_field_of_a_credential_in_another_spelling_is_told_its_name_too(
    credential: dict[str, Any], name: str
) -> None:
    [spelling] = [each for each in credential if each.lower() == name]
    found = [fault for fault in faults_of(a_service_client(credential=credential)) if fault.code == "field-not-allowed"]
    assert [(fault.pointer, fault.message) for fault in found] == [
        (f"#/credential/{spelling}", f"There is no {spelling}; write {name}.")
    ]


def test_the_client_type_in_another_spelling_is_told_its_name() -> None:
    [fault] = faults_of({"client_type": "resource"})
    assert (fault.pointer, fault.code) == ("#/clientType", "required")
    assert fault.message.startswith("There is no client_type; write clientType. Send one of ")


def test_another_spelling_of_a_field_of_another_client_type_is_told_why_there_is_none() -> None:
    [fault] = faults_of(a_service_client(redirect_uris=[MARKER]))
    assert (fault.pointer, fault.code) == ("#/redirect_uris", "field-not-allowed")
    assert fault.message == ServiceClientRequest.HINTS["redirectUris"]


@pytest.mark.parametrize(
    "name",
    [
        *("colour_name", "display name", "displayNames", "display_nam", f"display_{MARKER}"),
        *(f"display{'_' * 60}name", "callbac\u212aUrl"),  # too long for a name, and the sign of Kelvin
    ],
)
def test_a_name_that_is_no_spelling_of_a_field_is_told_nothing_of_one(name: str) -> None:
    [fault] = faults_of(a_resource(**{name: 1}))
    assert fault.message == "This field does not exist for this client type. Remove it."


WRONG: tuple[Any, ...] = (1, 1.5, True, [1], [None], [[]], {"a": 1}, "\ud800", 10**4000, 1e400)
RIGHT_AFTER_ALL = [("accessTokenVersion", 1), ("autoRotate", True), ("acceptMappedClaims", True)]


@pytest.mark.parametrize("client_type", REQUESTS)
def test_a_value_of_another_json_type_is_refused_at_its_field(client_type: str) -> None:
    for name in sorted(FIELDS[client_type] - {"clientType"}):
        for value in WRONG:
            if any(name == right and value is good for right, good in RIGHT_AFTER_ALL):
                continue
            for fault in faults_of(REQUESTS[client_type](**{name: value})):
                assert fault.pointer.startswith(f"#/{name}"), (name, value)
                assert "_" not in fault.code, (name, value)


def test_the_version_of_access_tokens_is_a_number_and_not_a_flag() -> None:
    assert codes_of(a_resource(accessTokenVersion=True)) == [("#/accessTokenVersion", "wrong-type")]
    assert codes_of(a_resource(accessTokenVersion=1.0)) == [("#/accessTokenVersion", "wrong-type")]
    assert codes_of(a_resource(accessTokenVersion=3)) == [("#/accessTokenVersion", "not-one-of")]
