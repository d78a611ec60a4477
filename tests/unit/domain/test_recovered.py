"""The way back from an application to its registration, field by field; `rebuild` goes it with whole applications."""

import json
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from provisioning.domain.client_types import ClientType
from provisioning.domain.directory import Permission, TrustedToken
from provisioning.domain.intake import dump, fingerprint
from provisioning.domain.openid import GRAPH_CLIENT_ID, OPENID_SCOPES
from provisioning.domain.operation import OperationStatus
from provisioning.domain.recovered import (
    LOST_CONTACT,
    Marks,
    Unrecoverable,
    has_secret,
    marks_of,
    registration_of,
    request_of,
    resources_of,
    twice,
    unfinished,
)
from provisioning.domain.registration import Status
from tests.worlds.certificates import YEAR, a_certificate
from tests.worlds.request_bodies import OWNER

IDENTITY = "01234567-01234567-0123-4567-89ab-0123456789ab"
RESOURCE = "aaaaaaaa-0000-4000-8000-000000000001"
NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)
OFFERED = (Permission("id-1", "user_impersonation"), Permission("id-2", "patient.all.read"), Permission("id-3", "own"))
NAMED = {"resource": "https://fhir.contoso.example", "contact": "team@contoso.example"}
ISSUER, AUDIENCE = "https://token.actions.githubusercontent.com", "api://AzureADTokenExchange"
OURS, NEWER = "registrar:1:20260101T000000.000000Z", "registrar:2:20260201T000000.000000Z"
ONE, OTHER = a_certificate(), a_certificate(life=YEAR)


def tags(**changed: str) -> list[str]:
    values = {"id": IDENTITY, "type": "service", "owner": OWNER} | changed
    return ["fhir-registrar", *(f"fhir-registrar:{name}={value}" for name, value in values.items())]


def application(**properties: Any) -> dict[str, Any]:
    """Return an application as Graph gives it: what is empty is there, as null or an empty list."""
    empty = dict.fromkeys(("description", "serviceManagementReference", "api", "web", "spa", "publicClient"))
    lists = {name: list[Any]() for name in ("identifierUris", "passwordCredentials", "keyCredentials", "appRoles")}
    marks = {"displayName": "One", "tags": tags(), "signInAudience": "AzureADMyOrg", "notes": json.dumps(NAMED)}
    return {"id": "object", "appId": "client", **empty, **lists, **marks, "requiredResourceAccess": []} | properties


def asking(*accesses: tuple[str, str], of: str = RESOURCE) -> dict[str, Any]:
    return {"resourceAppId": of, "resourceAccess": [{"id": each, "type": kind} for each, kind in accesses]}


def request(
    manifest: dict[str, Any], client_type: ClientType, *tokens: TrustedToken, notes: dict[str, Any] | None = None
) -> dict[str, Any]:
    """Return what is recovered, as JSON, without what every registration has."""
    marks = Marks(IDENTITY, client_type, OWNER, NAMED if notes is None else notes)
    body = dump(request_of(manifest, marks, {RESOURCE: OFFERED}.get, tokens))  # type: ignore[arg-type]
    assert (body.pop("clientType"), body.pop("displayName"), body.pop("owner")) == (client_type.value, "One", OWNER)
    assert body.pop("contact") == (NAMED["contact"] if notes is None else LOST_CONTACT)
    return body


# --- the marks ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notes", "read"),
    [('{"a":1}', {"a": 1}), ("[1]", {}), ("somebody's own", {}), ("", {}), (None, {})],
)
def test_the_marks_say_whose_an_application_is_and_what_the_notes_do(notes: str | None, read: dict[str, Any]) -> None:
    assert marks_of(application(notes=notes)) == Marks(IDENTITY, ClientType.SERVICE, OWNER, read)


OTHER_TAGS = "its tags fhir-registrar:type and fhir-registrar:owner are missing or wrong"
NO_ID = "its tag fhir-registrar:id is missing or names no registration"


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({"tags": None}, NO_ID),
        ({"tags": tags(id=IDENTITY[1:])}, NO_ID),
        ({"tags": tags(id=f"{IDENTITY}=")}, NO_ID),
        ({"signInAudience": None}, "its signInAudience is not AzureADMyOrg any more"),
        ({"tags": tags(type="person")}, OTHER_TAGS),
        ({"tags": tags(owner="somebody")}, OTHER_TAGS),
        ({"tags": tags()[:-1]}, OTHER_TAGS),
    ],
)
def test_an_application_whose_marks_do_not_tell_whose_it_is_is_refused(properties: dict[str, Any], why: str) -> None:
    with pytest.raises(Unrecoverable) as caught:
        marks_of(application(**properties))
    assert str(caught.value) == why


# --- what was asked for ---------------------------------------------------------------------------------------------


def offers(*names: str, **properties: Any) -> list[dict[str, Any]]:
    return [{"value": name, **properties} for name in names]


def test_a_resource_offers_what_it_does_not_say_is_off() -> None:
    scopes = [*offers("a.b"), *offers("c.d", isEnabled=True), *offers("e.f", isEnabled=False)]
    roles = [*offers("one"), *offers("two", isEnabled=True), *offers("three", isEnabled=False)]
    api = {"oauth2PermissionScopes": scopes, "requestedAccessTokenVersion": 2, "acceptMappedClaims": True}
    assert request(
        application(api=api, appRoles=roles), ClientType.RESOURCE, notes={"fhirServerUrl": "https://a.example/R4"}
    ) == {
        "fhirServerUrl": "https://a.example/R4",
        "scopes": ["a.b", "c.d"],
        "appRoles": ["one", "two"],
        "accessTokenVersion": 2,
        "acceptMappedClaims": True,
    }


@pytest.mark.parametrize(
    ("uris", "url"),
    [
        (["https://fhir.contoso.example/r4"], "https://fhir.contoso.example/r4"),
        ([f"api://{OWNER}/fhir.contoso.example/r4"], "https://fhir.contoso.example/r4"),
        (["api://client", "urn:x/y", "https://fhir.contoso.example"], "https://fhir.contoso.example"),
        (["api://client/", f"api://{OWNER}/b.example"], "https://b.example"),
    ],
)
def test_a_server_whose_url_is_lost_has_that_of_its_identifier_uri(uris: list[str], url: str) -> None:
    recovered = request(application(identifierUris=uris), ClientType.RESOURCE, notes={})
    assert (recovered["fhirServerUrl"], recovered["accessTokenVersion"]) == (url, 1)
    assert "acceptMappedClaims" not in recovered


@pytest.mark.parametrize("uris", [None, [], ["api://client"], ["urn:fhir/contoso"]])
def test_a_server_without_a_url_is_not_guessed(uris: list[str] | None) -> None:
    with pytest.raises(Unrecoverable, match="does not have what a registration of its type needs"):
        request(application(identifierUris=uris), ClientType.RESOURCE, notes={})


BOTH = [asking(("id-2", "Scope"), ("id-3", "Role")), asking((OPENID_SCOPES["openid"], "Scope"), of=GRAPH_CLIENT_ID)]


@pytest.mark.parametrize("claims", [True, False, None])
def test_a_confidential_client_has_what_its_application_and_its_notes_say(claims: object) -> None:
    web = {"redirectUris": ["https://app.contoso.example/cb"], "logoutUrl": "https://app.contoso.example/out"}
    manifest = application(web=web, requiredResourceAccess=BOTH, api={"acceptMappedClaims": claims})
    notes = {"secretLifetime": "P90D", "autoRotate": True}
    assert request(manifest, ClientType.CONFIDENTIAL, notes=notes) == {
        **web,
        "resource": RESOURCE,
        "scopes": ["patient.all.read", "openid"],
        "secretLifetime": "P90D",
        "autoRotate": True,
        **({"acceptMappedClaims": True} if claims else {}),
    }


@pytest.mark.parametrize("claims", [True, False, None])
@pytest.mark.parametrize(("platform", "place"), [("spa", "spa"), ("native", "publicClient")])
def test_a_public_client_is_of_the_platform_that_has_its_redirect_uris(
    platform: str, place: str, claims: object
) -> None:
    uris = {"redirectUris": ["https://app.contoso.example/cb"]}
    manifest = application(**{place: uris}, api={"acceptMappedClaims": claims}, requiredResourceAccess=[])
    assert request(manifest, ClientType.PUBLIC) == {
        **uris,
        "platform": platform,
        "resource": NAMED["resource"],
        **({"acceptMappedClaims": True} if claims else {}),
    }


@pytest.mark.parametrize(
    ("accesses", "scopes"),
    [
        ([], None),
        ([("id-1", "Scope")], None),
        ([("id-1", "Scope"), ("id-2", "Scope")], ["user_impersonation", "patient.all.read"]),
    ],
)
def test_the_scope_that_is_asked_for_by_itself_was_not_asked_for(
    accesses: list[tuple[str, str]], scopes: list[str] | None
) -> None:
    manifest = application(requiredResourceAccess=[asking(*accesses)], web={"redirectUris": ["https://a.example/cb"]})
    assert request(manifest, ClientType.CONFIDENTIAL).get("scopes") == scopes


def test_a_permission_that_its_resource_does_not_have_any_more_is_not_guessed() -> None:
    with pytest.raises(Unrecoverable, match="a permission that its resource does not have any more"):
        request(application(requiredResourceAccess=[asking(("id-4", "Role"))]), ClientType.SERVICE)


def test_resources_are_all_but_microsoft_graph() -> None:
    assert resources_of(application(requiredResourceAccess=BOTH)) == [RESOURCE]
    assert resources_of(application(requiredResourceAccess=None)) == []


# --- credentials ----------------------------------------------------------------------------------------------------


def secret(label: str | None) -> dict[str, Any]:
    return {"displayName": label, "keyId": "1"}


def key(label: str | None, certificate: Any, end: str = "2027-01-01T00:00:00Z") -> dict[str, Any]:
    return {"displayName": label, "endDateTime": end, "key": base64_of(certificate.pem)}


def base64_of(pem: str) -> str:
    return "".join(pem.splitlines()[1:-1])


def certificate(which: Any) -> dict[str, Any]:
    return {"type": "certificate", "certificate": which.pem}


@pytest.mark.parametrize(
    ("secrets", "keys", "expected"),
    [
        ([secret(OURS)], [], {"type": "secret"}),
        ([secret(OURS)], [key(OURS, ONE)], {"type": "secret"}),
        ([secret("somebody's"), secret(None)], [key(OURS, ONE)], certificate(ONE)),
        ([], [{"displayName": OURS, "key": None}], {"type": "secret"}),
        ([], [], {"type": "secret"}),
        ([], [key(NEWER, ONE), key(OURS, OTHER, "2028-01-01T00:00:00Z")], certificate(ONE)),
        ([], [key(OURS, OTHER, "2028-01-01T00:00:00Z"), key(NEWER, ONE)], certificate(ONE)),
        ([], [key("x" + NEWER, OTHER), key(OURS, ONE)], certificate(ONE)),
        ([], [key(None, OTHER), key("registrar:1", ONE)], certificate(ONE)),
        ([], [key(None, ONE, "2027-01-02T00:00:00Z"), key(None, OTHER)], certificate(ONE)),
    ],
)
def test_a_daemon_has_the_credential_that_this_service_gave_it_last(
    secrets: list[dict[str, Any]], keys: list[dict[str, Any]], expected: dict[str, Any]
) -> None:
    manifest = application(passwordCredentials=secrets, keyCredentials=keys)
    notes = NAMED | {"secretLifetime": "P90D"}
    recovered = dump(request_of(manifest, Marks(IDENTITY, ClientType.SERVICE, OWNER, notes), lambda _: OFFERED))
    assert recovered["credential"] == expected
    assert recovered.get("secretLifetime") == ("P90D" if expected == {"type": "secret"} else None)
    assert has_secret(manifest) is (secret(OURS) in secrets)


@pytest.mark.parametrize(
    ("subjects", "audience", "expected"),
    [
        (["a"], AUDIENCE, {"subject": "a", "audience": AUDIENCE}),
        (["a"], "", {"subject": "a"}),
        (["a", "b"], "api://other", {"subjects": ["a", "b"], "audience": "api://other"}),
    ],
)
def test_a_daemon_with_federated_credentials_trusts_their_subjects(
    subjects: list[str], audience: str, expected: dict[str, Any]
) -> None:
    tokens = [TrustedToken(str(number), ISSUER, each, audience) for number, each in enumerate(subjects)]
    manifest = application(keyCredentials=[key(OURS, ONE)], requiredResourceAccess=BOTH)
    recovered = request(manifest, ClientType.SERVICE, *tokens)
    assert recovered["credential"] == {"type": "federated", "issuer": ISSUER, **expected}
    assert recovered["appRoles"] == ["own"]


# --- the registration -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("notes", "client_type", "expected"),
    [
        ({"hash": "h", "caller": "c", "change": 3}, ClientType.RESOURCE, ("h", "c", 3, "https://a.example")),
        ({"hash": 1, "caller": 2}, ClientType.RESOURCE, (None, "unknown", 0, "https://a.example")),
        ({}, ClientType.SERVICE, (None, "unknown", 0, None)),
    ],
)
def test_a_registration_is_active_and_due_at_once(
    notes: dict[str, Any], client_type: ClientType, expected: tuple[object, ...]
) -> None:
    created = NOW.astimezone(timezone(timedelta(hours=2))) - timedelta(days=9)
    manifest = application(
        notes=json.dumps(notes),
        identifierUris=["https://a.example", "api://client"],
        createdDateTime=created.isoformat(),
    )
    marks = Marks(IDENTITY, client_type, OWNER, NAMED | notes)
    asked = request_of(manifest, marks, lambda _: OFFERED)
    row = registration_of(manifest, marks, asked, NOW)
    assert (row.id, row.application_object_id, row.client_id) == (IDENTITY, "object", "client")
    assert (row.status, row.operation.status) == (Status.ACTIVE, OperationStatus.SUCCEEDED)
    assert (row.created_at, row.operation.requested_at, row.updated_at, row.due_at) == (created, created, NOW, NOW)
    assert row.created_at.tzinfo is UTC
    assert (row.request_hash, row.caller, row.change, row.identifier_uri) == (
        expected[0] or fingerprint(asked),
        *expected[1:],
    )
    left = unfinished(row, NOW)
    assert (left.status, left.operation.status, left.operation.requested_at) == (
        Status.ACCEPTED,
        OperationStatus.PENDING,
        NOW,
    )


def test_a_registration_whose_application_does_not_say_when_it_was_made_is_of_now() -> None:
    manifest = application(identifierUris=None)
    marks = Marks(IDENTITY, ClientType.SERVICE, OWNER, NAMED)
    row = registration_of(manifest, marks, request_of(manifest, marks, lambda _: ()), NOW)
    assert (row.created_at, row.identifier_uri) == (NOW, None)


def test_what_is_there_twice_or_more_is_named() -> None:
    assert twice(["a", "b", "a", "c", "c", "c"]) == {"a", "c"}
