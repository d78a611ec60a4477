"""What a change sends of an application that is there already: what is asked for now, and what people put there."""

import json
from dataclasses import replace
from typing import Any, Final

import pytest

from provisioning.domain.directory import Application, Permission, ResolvedResource
from provisioning.domain.drift import different
from provisioning.domain.entitlements import disabled_first, offered, offered_by_hand, removed_ids
from provisioning.domain.intake import parse
from provisioning.domain.manifest import (
    Access,
    added_by_hand,
    application_body,
    change_of,
    changed_properties,
    is_marked,
    mapped_claims,
    maps_claims,
    marked_id,
    marks,
    permissions_added_by_hand,
    redirect_platform,
    required_access,
    resource_identifier,
    tags,
)
from provisioning.domain.registration import Registration
from tests.unit.domain.test_manifest import TENANT
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.variants import ID, row

GRAPH: Final = "00000003-0000-0000-c000-000000000000"
RESOURCE: Final = ResolvedResource(
    "https://fhir.contoso.example", "api", "principal", (Permission("s1", "read"),), (Permission("r1", "reader"),)
)
HAND: Final = {"resourceAppId": "other", "resourceAccess": [{"id": "h1", "type": "Role"}]}


def registration(body: dict[str, Any], **fields: Any) -> Registration:
    return replace(row(parse(body)), **fields)


def there(properties: dict[str, Any] | None = None, **fields: Any) -> Application:
    return Application("object", "client", "AzureADMyOrg", properties=properties or {}, **fields)


# --- the body of a change -------------------------------------------------------------------------------------------


def test_a_change_of_a_resource_sends_what_it_offers_and_nothing_that_a_client_has() -> None:
    body = changed_properties(registration(a_resource(description="d", serviceManagementReference="SVC-1")))
    assert body.keys() == {
        *("displayName", "description", "serviceManagementReference", "notes", "tags", "api", "appRoles"),
    }
    assert (body["displayName"], body["description"], body["serviceManagementReference"]) == (
        "A resource",
        "d",
        "SVC-1",
    )
    assert "requestedAccessTokenVersion" not in body["api"]


def test_what_is_not_asked_for_any_more_is_sent_as_null() -> None:
    body = changed_properties(registration(a_confidential_client(), resource=RESOURCE))
    assert (body["description"], body["serviceManagementReference"], body["web"]["logoutUrl"]) == (None, None, None)


def test_a_change_of_a_client_declares_what_it_asks_for_and_keeps_what_others_declared() -> None:
    client = registration(a_public_client(scopes=["read", "openid"]), resource=RESOURCE, former_permissions=("f1",))
    has = [
        {"resourceAppId": "api", "resourceAccess": [{"id": "s1", "type": "Scope"}, {"id": "f1", "type": "Scope"}]},
        HAND,
        {"resourceAppId": "api", "resourceAccess": [{"id": "s1", "type": "Role"}]},
    ]
    found = there({"requiredResourceAccess": has})
    assert permissions_added_by_hand(client, found) == [Access("other", "h1", "Role"), Access("api", "s1", "Role")]
    access = changed_properties(client, found)["requiredResourceAccess"]
    assert [(each["resourceAppId"], [one["type"] for one in each["resourceAccess"]]) for each in access] == [
        ("api", ["Scope", "Role", "Role"]),
        (GRAPH, ["Scope"]),
        ("other", ["Role"]),
    ]
    assert "requiredResourceAccess" not in changed_properties(replace(client, resource=None), found)
    assert permissions_added_by_hand(replace(client, resource=None), found) == []
    assert permissions_added_by_hand(client, None) == []


def test_of_a_resource_without_a_service_principal_a_change_declares_nothing() -> None:
    client = registration(a_service_client(), resource=replace(RESOURCE, service_principal_id=None))
    assert changed_properties(client)["requiredResourceAccess"] == []


@pytest.mark.parametrize(
    ("body", "platform"),
    [
        (a_confidential_client(), "web"),
        (a_public_client(), "spa"),
        (a_public_client(platform="native"), "publicClient"),
        (a_service_client(), None),
        (a_resource(), None),
    ],
    ids=["confidential", "spa", "native", "service", "resource"],
)
def test_redirect_uris_are_changed_on_their_own_platform_and_those_of_others_stay(
    body: dict[str, Any], platform: str | None
) -> None:
    client = registration(body, former_redirect_uris=("https://former.example/",))
    assert redirect_platform(client.request) == platform
    asked = list(getattr(client.request, "redirect_uris", ()))
    uris = {
        each: (*asked, "https://former.example/", f"https://{each.lower()}.example/")
        for each in ("web", "spa", "publicClient")
    }
    found = there(redirect_uris=uris)
    sent = changed_properties(client, found)
    assert {"web", "spa", "publicClient"} & sent.keys() == ({platform} if platform else set())
    if platform:
        by_hand = [f"https://{platform.lower()}.example/"]
        assert added_by_hand(client, found) == by_hand
        assert sent[platform]["redirectUris"] == [*asked, *by_hand]
        assert changed_properties(client)[platform]["redirectUris"] == asked
        assert added_by_hand(client, there()) == []
    else:
        assert added_by_hand(client, found) == []
    assert ("logoutUrl" in sent.get("web", {})) is (platform == "web")


def test_nothing_required_is_read_from_an_application_that_shows_none() -> None:
    assert required_access({}) == required_access({"requiredResourceAccess": None}) == []
    assert required_access({"requiredResourceAccess": [{"resourceAppId": "other"}, HAND]}) == [
        Access("other", "h1", "Role")
    ]


# --- marks ----------------------------------------------------------------------------------------------------------


def test_marks_take_the_place_of_older_ones_and_leave_the_tags_of_others() -> None:
    mine = registration(a_resource())
    old = ["fhir-registrar", f"fhir-registrar:id={ID}", "fhir-registrar:owner=somebody", "fhir-registrar:typed=x"]
    assert marks(mine, ["HideApp", *old, "b"]) == [*tags(mine), "HideApp", "fhir-registrar:typed=x", "b"]
    assert changed_properties(mine, there(tags=("HideApp",)))["tags"] == [*tags(mine), "HideApp"]
    assert changed_properties(mine)["tags"] == tags(mine)


def test_only_an_application_of_this_tenant_alone_with_this_very_mark_is_ours() -> None:
    mine = registration(a_resource())
    assert is_marked(mine, tags(mine), "AzureADMyOrg")
    assert not is_marked(mine, tags(mine), "AzureADMultipleOrgs")
    assert not is_marked(mine, tags(replace(mine, id=f"{ID}0")), "AzureADMyOrg")
    assert marked_id(["x", *tags(mine)]) == ID
    assert marked_id(["x", "fhir-registrar"]) is None


@pytest.mark.parametrize(
    ("notes", "change"),
    [('{"change":3}', 3), ('{"change":"3"}', None), ("{}", None), ("[]", None), ("", None), ("3", None)],
)
def test_the_number_of_a_change_is_read_from_notes_of_ours_alone(notes: str, change: int | None) -> None:
    assert change_of(notes) == change


def test_notes_hold_no_null() -> None:
    kept = json.loads(changed_properties(registration(a_service_client(), change=3))["notes"])
    assert (kept["change"], None in kept.values(), "fhirServerUrl" in kept) == (3, False, False)


def test_the_identifier_uri_is_the_one_that_was_registered_whatever_follows_from_the_settings_by_now() -> None:
    for version in (1, 2):
        mine = registration(a_resource(accessTokenVersion=version), identifier_uri="api://as-it-was", client_id="c")
        assert resource_identifier(mine, TENANT) == "api://as-it-was"


def test_claims_are_mapped_where_that_was_asked_for_alone() -> None:
    asked = {"api": {"acceptMappedClaims": True}}
    assert mapped_claims(parse(a_public_client(acceptMappedClaims=True))) == asked
    assert mapped_claims(parse(a_public_client())) == mapped_claims(parse(a_service_client())) == {}
    assert "acceptMappedClaims" not in json.dumps(
        application_body(registration(a_resource(acceptMappedClaims=True)), TENANT, None)
    )
    assert maps_claims(there(asked))
    assert not any(map(maps_claims, (there(), there({"api": None}), there({"api": {"acceptMappedClaims": None}}))))


# --- what a resource offers -----------------------------------------------------------------------------------------

OFFERS: Final = {"scopes": ["read", "both"], "appRoles": ["reader", "both"]}


def a_server(**fields: Any) -> Registration:
    return registration(a_resource(**OFFERS), **fields)


def of_hand(kind: str, name: str, **fields: Any) -> dict[str, Any]:
    """A scope or an app role as Graph shows it."""
    of_its_kind = {"type": "User"} if kind == "oauth2PermissionScopes" else {"allowedMemberTypes": ["User"]}
    return {"id": f"{name}-id", "value": name, "isEnabled": True, "origin": "Application", **of_its_kind, **fields}


def as_it_is(server: Registration, scopes: Any = (), roles: Any = ()) -> Application:
    """The application that offers what is asked for, and some more."""
    has = offered(server)
    return there(
        {
            "api": {"oauth2PermissionScopes": [*has["api"]["oauth2PermissionScopes"], *scopes]},
            "appRoles": [*has["appRoles"], *roles],
        }
    )


def names(body: dict[str, Any]) -> tuple[list[str], list[str]]:
    return [each["value"] for each in body["api"]["oauth2PermissionScopes"]], [
        each["value"] for each in body["appRoles"]
    ]


def test_a_client_offers_nothing() -> None:
    client = registration(a_service_client())
    assert offered(client) == disabled_first(client, there()) == {}
    assert offered_by_hand(client, there({"appRoles": [of_hand("appRoles", "x")]})) == []


def test_what_is_offered_is_enabled_and_for_users_and_one_that_is_both_has_equal_texts() -> None:
    body = offered(a_server())
    (read, both), (reader, both_role) = body["api"]["oauth2PermissionScopes"], body["appRoles"]
    assert (read["type"], read["isEnabled"], reader["isEnabled"]) == ("User", True, True)
    assert reader["allowedMemberTypes"] == ["User", "Application"]
    assert (reader["displayName"], reader["description"]) == ("reader", "reader on A resource")
    assert read["adminConsentDescription"].endswith("read for the signed-in user.")
    assert both["id"] == both_role["id"]
    assert both["adminConsentDescription"] == both_role["description"]
    assert both_role["description"].endswith("for the signed-in user or for itself.")


def test_what_others_put_there_stays_and_what_a_change_took_away_goes() -> None:
    server = a_server(former_permissions=("gone-id",))
    scopes = [of_hand("oauth2PermissionScopes", name) for name in ("mine", "gone")]
    roles = [of_hand("appRoles", name) for name in ("gone", "mine")]
    found = as_it_is(server, scopes, roles)
    assert names(offered(server, found)) == (["read", "both", "mine"], ["reader", "both", "mine"])
    assert "origin" not in json.dumps(offered(server, found))
    assert offered_by_hand(server, found) == ["mine", "mine"]
    assert removed_ids(server, found) == {"gone-id"}
    assert removed_ids(a_server(former_permissions=("another",)), found) == frozenset()


def test_one_of_the_same_name_under_another_id_is_the_one() -> None:
    server = a_server()
    found = there({"appRoles": [of_hand("appRoles", "reader")], "api": None})
    roles = offered(server, found)["appRoles"]
    assert [(each["value"], each["id"] == "reader-id") for each in roles] == [("both", False), ("reader", True)]


def test_texts_that_people_wrote_stay_until_the_name_is_another_one() -> None:
    server = a_server()
    found = as_it_is(server)
    scope, role = found.properties["api"]["oauth2PermissionScopes"][0], found.properties["appRoles"][0]
    scope["adminConsentDescription"], role["description"] = "By hand", "By hand too"
    kept = offered(server, found)
    assert kept["api"]["oauth2PermissionScopes"][0]["adminConsentDescription"] == "By hand"
    assert kept["appRoles"][0]["description"] == "By hand too"
    for about in (("displayName",), ("contact",)):
        again = json.dumps(offered(replace(server, changed_fields=about), found))
        assert ("By hand" in again) is (about == ("contact",))


def test_a_permission_that_becomes_both_has_its_texts_written_anew_and_one_that_was_keeps_them() -> None:
    server = a_server()
    found = as_it_is(server)
    both = found.properties["api"]["oauth2PermissionScopes"][1], found.properties["appRoles"][1]
    for each in both:
        each.update({name: "By hand" for name in each if "Description" in name or name == "description"})
    assert json.dumps(offered(server, found)).count("By hand") == 3
    found.properties["appRoles"].pop()
    assert "By hand" not in json.dumps(offered(server, found))


def test_nothing_is_disabled_first_where_everything_enabled_stays_as_it_is() -> None:
    server = a_server()
    found = as_it_is(server, [of_hand("oauth2PermissionScopes", "mine")])
    assert disabled_first(server, found) == {}
    found.properties["appRoles"][0]["allowedMemberTypes"] = ["Application", "User"]  # Entra keeps no order
    assert disabled_first(server, found) == {}


@pytest.mark.parametrize("enabled", [True, False])
def test_what_is_enabled_and_goes_or_becomes_another_is_disabled_first_in_both_lists(enabled: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    server = a_server(former_permissions=("gone-id",))
    gone = [of_hand(kind, "gone", isEnabled=enabled) for kind in ("oauth2PermissionScopes", "appRoles")]
    found = as_it_is(server, gone[:1], [gone[1], of_hand("appRoles", "off", isEnabled=False)])
    body = disabled_first(server, found)
    if not enabled:
        assert body == {}
        return
    scopes, roles = body["api"]["oauth2PermissionScopes"], body["appRoles"]
    assert [each["isEnabled"] for each in scopes] == [True, True, False]
    assert [each["isEnabled"] for each in roles] == [True, True, False, False]


@pytest.mark.parametrize("change", [{"allowedMemberTypes": ["User"]}, {"description": "x"}, {"value": "x"}])
def test_an_enabled_role_whose_content_changes_is_disabled_first(change: dict[str, Any]) -> None:
    server = a_server(changed_fields=("displayName",))
    found = as_it_is(server)
    found.properties["appRoles"][0].update(change)
    body = disabled_first(server, found)
    assert [each["isEnabled"] for each in body["appRoles"]] == [False, True]
    assert [each["isEnabled"] for each in body["api"]["oauth2PermissionScopes"]] == [True, True]


# --- what is different ----------------------------------------------------------------------------------------------


def test_what_differs_in_order_alone_or_is_empty_in_another_way_is_no_drift() -> None:
    client = registration(a_confidential_client(scopes=["read", "openid"]), resource=RESOURCE)
    wanted = changed_properties(client)
    has = dict(wanted) | {
        "tags": wanted["tags"][::-1],
        "requiredResourceAccess": wanted["requiredResourceAccess"][::-1],
        "description": "",
        "web": {"redirectUris": wanted["web"]["redirectUris"][::-1], "logoutUrl": ""},
    }
    assert different(wanted, has) == []
    assert different({"tags": [], "description": None, "requiredResourceAccess": []}, {}) == []
    assert different({"spa": {"redirectUris": []}, "api": {}, "appRoles": []}, {"spa": None, "api": None}) == []


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("displayName", "Another"),
        ("description", "x"),
        ("tags", []),
        ("requiredResourceAccess", [HAND]),
        ("web", {"redirectUris": ["https://other.example/"]}),
        ("web", None),
        ("web", {"redirectUris": ["https://app.contoso.example/cb"], "logoutUrl": "https://x.example/"}),
    ],
)
def test_a_property_that_is_another_is_drift_and_no_other_one_is(name: str, value: Any) -> None:
    wanted = changed_properties(registration(a_confidential_client(), resource=RESOURCE))
    assert different(wanted, dict(wanted) | {name: value}) == [name]


def test_a_log_out_url_is_compared_where_one_may_be_asked_for_alone() -> None:
    has = {"redirectUris": [], "logoutUrl": "https://x.example/"}
    assert different({"web": {"redirectUris": []}}, {"web": has}) == []
    assert different({"web": {"redirectUris": [], "logoutUrl": None}}, {"web": has}) == ["web"]


def test_redirect_uris_are_compared_as_entra_compares_them() -> None:
    assert (
        different({"spa": {"redirectUris": ["https://A.example"]}}, {"spa": {"redirectUris": ["https://a.example/"]}})
        == []
    )


@pytest.mark.parametrize(
    "change", [{"isEnabled": False}, {"value": "x"}, {"allowedMemberTypes": ["User"]}, {"id": "x"}]
)
def test_an_app_role_that_is_another_is_drift_and_its_texts_are_peoples(change: dict[str, Any]) -> None:
    wanted = offered(a_server())
    has = json.loads(json.dumps(wanted))
    has["appRoles"][0] |= {"description": "By hand", "allowedMemberTypes": ["Application", "User"]}
    has["api"]["oauth2PermissionScopes"].reverse()
    assert different(wanted, has) == []
    has["appRoles"][0] |= change
    assert different(wanted, has) == ["appRoles"]


@pytest.mark.parametrize("change", [{"isEnabled": False}, {"value": "x"}, {"type": "Admin"}, {"id": "x"}])
def test_a_scope_that_is_another_is_drift(change: dict[str, Any]) -> None:
    wanted = offered(a_server())
    has = json.loads(json.dumps(wanted))
    has["api"]["oauth2PermissionScopes"][0] |= change
    assert different(wanted, has) == ["api"]
