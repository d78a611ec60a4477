"""What is read from Graph's answers: every part may be absent or null, and a time has its offset."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from provisioning.adapters.graph_answers import (
    CHANGED,
    application_of,
    born_secret,
    certificate_of,
    expiry_asked_for,
    secret_of,
    service_principal_of,
    trusted_token_of,
)
from provisioning.domain.directory import (
    Application,
    CertificateThere,
    Credential,
    Permission,
    ResourceServicePrincipal,
    TrustedToken,
)
from provisioning.domain.secrets import MintedSecret

IDS = {"id": "object", "appId": "client"}
NOWHERE: dict[str, tuple[str, ...]] = {"web": (), "spa": (), "publicClient": ()}
ASKED, END = datetime(2026, 1, 15, 12, tzinfo=UTC), datetime(2026, 7, 14, 12, tzinfo=UTC)
LISTS = ("tags", "identifierUris", "passwordCredentials", "keyCredentials")


def test_an_application_of_which_nothing_is_told_has_nothing() -> None:
    nothing = Application("object", "client", "", redirect_uris=NOWHERE)
    assert application_of(IDS) == nothing
    untold = dict.fromkeys((*CHANGED, *LISTS))
    read = application_of({**IDS, **untold})
    assert read.properties == dict.fromkeys(CHANGED)
    assert application_of({**IDS, **dict.fromkeys(LISTS), "notes": None}).notes == ""
    assert (read.tags, read.identifier_uris, read.credentials, read.certificates) == ((), (), (), ())
    assert (read.certificate_ids, read.has_certificate, read.redirect_uris, read.preauthorized) == (
        (),
        False,
        NOWHERE,
        {},
    )
    empty = {"web": {"redirectUris": None}, "api": {"preAuthorizedApplications": None}}
    assert application_of({**IDS, **empty}).redirect_uris == NOWHERE
    assert application_of({**IDS, **empty}).preauthorized == {}


def test_an_application_has_all_that_is_told_of_it() -> None:
    api = {
        "preAuthorizedApplications": [
            {"appId": "one", "delegatedPermissionIds": ["scope"]},
            {"appId": "other", "delegatedPermissionIds": None},
        ]
    }
    told = {
        **IDS,
        "signInAudience": "AzureADMyOrg",
        "tags": ["tag"],
        "notes": "notes",
        "identifierUris": ["api://uri"],
        "spa": {"redirectUris": ["https://there"]},
        "passwordCredentials": [{"keyId": "secret"}],
        "keyCredentials": [{"keyId": "key", "displayName": "name"}, {"keyId": "other"}],
        "api": api,
        "displayName": "An application",
        "owners": [{"id": "OWNER"}],
    }
    assert application_of(told) == Application(
        "object",
        "client",
        "AzureADMyOrg",
        tags=("tag",),
        notes="notes",
        identifier_uris=("api://uri",),
        redirect_uris=NOWHERE | {"spa": ("https://there",)},
        credentials=(Credential("secret", "", application_of(told).credentials[0].minted_at, None),),
        has_certificate=True,
        preauthorized={"one": ("scope",), "other": ()},
        properties={name: told[name] for name in ("notes", "tags", "spa", "api", "displayName")},
        certificates=("name", ""),
        certificate_ids=("key", "other"),
        owners=frozenset({"owner"}),
    )


def test_a_credential_of_unknown_age_is_never_old() -> None:
    told = {"keyId": "k", "displayName": None, "startDateTime": "2026-01-15T13:00:00+01:00", "endDateTime": None}
    [known, unknown] = application_of({**IDS, "passwordCredentials": [told, {"keyId": "k"}]}).credentials
    assert known == Credential("k", "", ASKED, None)
    assert unknown.minted_at > ASKED + timedelta(days=365_000)


@pytest.mark.parametrize(
    ("told", "minted"),
    [
        ({"secretText": "text", "keyId": "key"}, MintedSecret("key", END, ASKED, text="text")),
        (
            {"secretText": "text", "keyId": "key", "endDateTime": "2026-07-13T14:00:00+02:00"},
            MintedSecret("key", END - timedelta(days=1), ASKED, text="text"),
        ),
        ({"secretText": "text", "keyId": ""}, None),
        ({"secretText": None, "keyId": "key"}, None),
    ],
)
def test_a_secret_has_a_text_and_a_key_id_and_the_end_that_was_asked_for(
    told: dict[str, Any], minted: MintedSecret | None
) -> None:
    assert secret_of(told, ASKED, END) == minted
    assert born_secret({"passwordCredentials": [told]}, ASKED, END) == minted
    for others in (None, [], [told, told]):
        assert born_secret({"passwordCredentials": others}, ASKED, END) is None


def test_the_end_that_was_asked_for_stands_in_the_request() -> None:
    assert expiry_asked_for({"passwordCredentials": [{"endDateTime": "2026-07-14T12:00:00Z"}]}) == END
    assert expiry_asked_for({}).year == 9999


def test_a_certificate_has_what_is_told_of_it() -> None:
    times = {"startDateTime": "2026-01-15T12:00:00Z", "endDateTime": "2026-07-14T12:00:00Z"}
    told = {"keyId": "k", "displayName": "name", "key": "AAAA", **times}
    assert certificate_of(told) == CertificateThere("k", "name", "AAAA", ASKED, END)
    assert certificate_of(told | {"displayName": None, "key": None}) == CertificateThere("k", "", "", ASKED, END)


@pytest.mark.parametrize(("audiences", "audience"), [(["a"], "a"), ([], ""), (None, ""), (["a", "b"], "")])
def test_a_federated_credential_is_for_its_only_audience(audiences: list[str] | None, audience: str) -> None:
    told = {"name": "n", "issuer": "i", "subject": "s", "audiences": audiences}
    assert trusted_token_of(told) == TrustedToken("n", "i", "s", audience)


def test_of_a_resource_only_what_is_on_and_has_a_value_may_be_asked_for_and_roles_of_applications_alone() -> None:
    scopes: list[dict[str, Any]] = [
        {"id": "1", "value": "on", "isEnabled": True},
        {"id": "2", "value": "untold"},
        {"id": "3", "value": "off", "isEnabled": False},
        {"id": "4", "value": None},
    ]
    of_applications = {"allowedMemberTypes": ["User", "Application"]}
    roles = [
        *({**each, **of_applications} for each in scopes),
        {"id": "5", "value": "of users", "allowedMemberTypes": ["User"]},
        {"id": "6", "value": "of nobody"},
    ]
    offered = (Permission("1", "on"), Permission("2", "untold"))
    told = {**IDS, "oauth2PermissionScopes": scopes, "appRoles": roles}
    assert service_principal_of(told) == ResourceServicePrincipal("object", "client", scopes=offered, app_roles=offered)
    untold = {**IDS, "oauth2PermissionScopes": None, "appRoles": None}
    assert service_principal_of(untold) == ResourceServicePrincipal("object", "client", scopes=(), app_roles=())
