from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from dev.emulator import Emulator
from dev.emulator.client import Client, ManualClock
from dev.emulator.constants import (
    FHIR_APP_ID,
    GRAPH_APP_ID,
    GRAPH_PRINCIPAL_ID,
    GROUP_MEMBER_READ_ALL,
    REGISTRAR_OBJECT_ID,
    USER_READ_ALL,
    VAULT_RESOURCE,
)
from dev.emulator.sts.accounts import ACCOUNTS, TEAM

if TYPE_CHECKING:
    import requests

ALICE = ACCOUNTS["alice"].object_id
UNKNOWN = "0a0a0a0a-0000-4000-8000-000000000001"


@pytest.fixture
def client() -> Client:
    return Client(Emulator())


def code(response: requests.Response) -> tuple[int, str]:
    return response.status_code, response.json()["error"]["code"]


def raw(client: Client, token: str, path: str = "/applications") -> requests.Response:
    headers = {"Authorization": token} if token else {}
    return client.session.get(f"{client.emulator.origin}/v1.0{path}", headers=headers)


def test_a_call_without_a_valid_token_for_graph_is_refused(client: Client) -> None:
    good, vault = client.token(client.emulator.origin), client.token(VAULT_RESOURCE)
    head, payload, signature = good.split(".")
    tampered = f"{head}.{payload[:-2]}AA.{signature}"
    for token in ("", good, "Bearer ", "Bearer x.y.z", f"Bearer {vault}", f"Bearer {tampered}", f"Basic {good}"):
        assert code(raw(client, token)) == (401, "InvalidAuthenticationToken")
    assert raw(client, f"Bearer {good}").status_code == 200
    assert raw(client, f"Bearer {client.token('https://graph.microsoft.com')}").status_code == 200


def test_a_token_ends_after_an_hour() -> None:
    clock = ManualClock()
    client = Client(Emulator(now=clock.now, sleep=clock.sleep))
    token = f"Bearer {client.token(client.emulator.origin)}"
    clock.sleep(timedelta(minutes=59).total_seconds())
    assert raw(client, token).status_code == 200
    clock.sleep(60)
    assert code(raw(client, token)) == (401, "InvalidAuthenticationToken")


def test_a_caller_without_the_permission_is_refused(client: Client) -> None:
    token = client.sign_in(*client.create_client()).json()["access_token"]
    assert code(raw(client, f"Bearer {token}")) == (403, "Authorization_RequestDenied")
    client.emulator.directory.revoke(client.emulator.registrar_object_id)
    for method, path, body in (("GET", "/applications", None), ("POST", "/applications", {"displayName": "x"})):
        assert code(client.graph(method, path, body)) == (403, "Authorization_RequestDenied")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/directory/deletedItems/microsoft.graph.application"),
        ("GET", f"/directory/deletedItems/{UNKNOWN}"),
        ("POST", f"/applications/{UNKNOWN}/owners/$ref"),
        ("POST", "/oauth2PermissionGrants"),
    ],
)
def test_owned_by_reaches_no_consents_owners_or_recycle_bin(client: Client, method: str, path: str) -> None:
    assert code(client.graph(method, path, {})) == (403, "Authorization_RequestDenied")


def test_unknown_addresses_and_methods_are_refused_behind_the_token(client: Client) -> None:
    assert client.graph("GET", "/nothing").status_code == 404
    assert client.graph("POST", "/$batch", {"requests": []}).status_code == 404
    assert client.graph("PUT", "/applications", {}).status_code == 405
    assert raw(client, "", "/nothing").status_code == 401


def test_every_answer_tells_its_request_id_and_repeats_the_clients(client: Client) -> None:
    response = client.graph("GET", f"/applications/{UNKNOWN}", **{"client-request-id": "mine"})
    inner = response.json()["error"]["innerError"]
    assert inner["request-id"] == response.headers["request-id"]
    assert inner["client-request-id"] == response.headers["client-request-id"] == "mine"
    assert response.headers["X-Emulator"] == "memory-only"
    assert client.emulator.calls[-1].client_request_id == "mine"


@pytest.mark.parametrize(
    ("content_type", "data", "status"),
    [
        ("application/json", b"{", 400),
        ("application/json", b"[]", 400),
        ("application/json", b"", 400),
        ("text/plain", b"{}", 415),
        ("", b'{"displayName": "x"}', 400),
    ],
)
def test_a_write_brings_a_json_object(client: Client, content_type: str, data: bytes, status: int) -> None:
    headers = {"Authorization": f"Bearer {client.token(client.emulator.origin)}", "Content-Type": content_type}
    url = f"{client.emulator.origin}/v1.0/applications"
    assert client.session.post(url, data=data, headers=headers).status_code == status


def test_an_application_is_found_by_each_of_its_keys(client: Client) -> None:
    created = client.create(uniqueName="it's")
    for key in (f"/{created['id']}", f"(appId='{created['appId']}')", "(uniqueName='it''s')"):
        assert client.graph("GET", f"/applications{key}").json()["id"] == created["id"]
    assert client.graph("GET", "/applications(uniqueName='it's')").status_code == 400
    for key in (f"/{UNKNOWN}", f"(appId='{UNKNOWN}')", "(uniqueName='none')"):
        assert code(client.graph("GET", f"/applications{key}")) == (404, "Request_ResourceNotFound")


def test_only_selected_properties_are_answered_and_unknown_ones_refused(client: Client) -> None:
    created = client.create()
    path = f"/applications/{created['id']}"
    body = client.graph("GET", f"{path}?$select=id,appId").json()
    assert {name for name in body if not name.startswith("@")} == {"id", "appId"}
    assert client.graph("GET", f"{path}?$select=id,colour").status_code == 400
    assert client.graph("GET", f"{path}?$expand=extensionProperties").status_code == 400


def names(client: Client, query: str, **headers: str) -> list[str]:
    response = client.graph("GET", f"/applications?{query}", **headers)
    assert response.status_code == 200, response.text
    return [item["displayName"] for item in response.json()["value"]]


def test_applications_are_filtered_as_documented(client: Client) -> None:
    client.create(displayName="One", uniqueName="reg-1", tags=["mine", "it's"])
    client.create(displayName="It's and more")
    two = client.create(displayName="Two", tags=["mine", "two"], identifierUris=["https://contoso.example/2"])
    assert names(client, "$filter=tags/any(t:t eq 'mine')") == ["One", "Two"]
    assert names(client, "$filter=tags/any(t:t eq 'mine') and tags/any(t:t eq 'two')") == ["Two"]
    assert names(client, "$filter=tags/any(x:x eq 'it''s')") == ["One"]
    assert names(client, "$filter=displayName eq 'It''s and more'") == ["It's and more"]
    assert names(client, "$filter=tags/any(t:startsWith(t,'tw'))") == ["Two"]
    assert names(client, "$filter=startsWith(displayName,'tW')") == ["Two"]
    assert names(client, "$filter=startswith(uniqueName,'reg-')") == ["One"]
    assert names(client, "$filter=uniqueName eq 'reg-1'") == ["One"]
    assert names(client, f"$filter=appId eq '{two['appId']}'") == ["Two"]
    assert names(client, "$filter=displayName eq 'one'&$select=displayName") == ["One"]
    assert names(client, "$filter=identifierUris/any(u:u eq 'https://contoso.example/2')") == ["Two"]


def test_comparisons_are_joined_by_or_and_and_grouped(client: Client) -> None:
    for name, tag in (("One", "a"), ("Two", "b"), ("Three", "b")):
        client.create(displayName=name, tags=[tag, "or"])
    two_or_three = "tags/any(t:t eq 'b')"
    assert names(client, "$filter=displayName eq 'One' or displayName eq 'Two'") == ["One", "Two"]
    # `and` binds closer than `or`.
    query = f"displayName eq 'One' or displayName eq 'Two' and {two_or_three}"
    assert names(client, f"$filter={query}") == ["One", "Two"]
    assert names(client, f"$filter=(displayName eq 'One' or displayName eq 'Two') and {two_or_three}") == ["Two"]
    assert names(client, "$filter=displayName in ('one', 'Three')") == ["One", "Three"]
    assert names(client, "$filter=tags/any(t:t eq 'or') and displayName eq 'One or Two'") == []


def test_times_are_compared_bare_and_texts_in_quotes() -> None:
    clock = ManualClock()
    client = Client(Emulator(now=clock.now, sleep=clock.sleep))
    created = []
    for name in ("One", "Two", "Three"):
        created.append(client.create(displayName=name)["createdDateTime"])
        clock.sleep(60)
    assert names(client, f"$filter=createdDateTime ge {created[1]}") == ["Two", "Three"]
    assert names(client, f"$filter=createdDateTime le {created[1]} and createdDateTime ge {created[1]}") == ["Two"]
    assert names(client, "$filter=displayName ge 'p'") == ["Two", "Three"]


def test_at_most_15_comparisons_are_joined_by_or(client: Client) -> None:
    def query(count: int) -> str:
        return " or ".join(f"displayName eq '{number}'" for number in range(count))

    assert client.graph("GET", f"/applications?$filter={query(15)}").status_code == 200
    values = ",".join(f"'{number}'" for number in range(16))
    for text in (query(16), f"displayName in ({values})"):
        assert code(client.graph("GET", f"/applications?$filter={text}")) == (400, "Request_UnsupportedQuery")


@pytest.mark.parametrize(
    "query",
    [
        "createdDateTime ge '2030-01-01T00:00:00Z'",
        "displayName ge 2030-01-01T00:00:00Z",
        "createdDateTime eq 2030-01-01T00:00:00Z",
        "appId ge 'x'",
        "tags in ('x')",
        "displayName in ()",
        "displayName in 'x'",
        "(displayName eq 'x'",
        "displayName eq 'x')",
        "displayName eq 'x' or",
        "displayName eq 'x' xor displayName eq 'y'",
        "passwordCredentials/any(p:p/keyId eq '1')",
        "passwordCredentials eq null",
        "notes eq 'x'",
        "displayName ne 'x'",
        "displayName eq x",
        "not(displayName eq 'x')",
        "",
    ],
)
def test_other_filters_are_refused(client: Client, query: str) -> None:
    assert code(client.graph("GET", f"/applications?$filter={query}")) == (400, "Request_UnsupportedQuery")


def test_some_filters_need_the_advanced_query_headers(client: Client) -> None:
    client.create(displayName="One", notes="x")
    assert names(client, "$filter=notes eq 'x'&$count=true", ConsistencyLevel="eventual") == ["One"]


def test_lists_come_in_pages_that_survive_deletions(client: Client) -> None:
    ids = [client.create(tags=["mine"])["id"] for _ in range(5)]
    response = client.graph("GET", "/applications?$top=2&$select=id&$filter=tags/any(t:t eq 'mine')").json()
    seen = [item["id"] for item in response["value"]]
    client.graph("DELETE", f"/applications/{ids[0]}")
    while "@odata.nextLink" in response:
        link = response["@odata.nextLink"].removeprefix(f"{client.emulator.origin}/v1.0")
        response = client.graph("GET", link).json()
        seen += [item["id"] for item in response["value"]]
    assert seen == ids
    for bad in ("$top=0", "$top=1000", "$top=x", "$skiptoken=x", "$skip=1"):
        assert client.graph("GET", f"/applications?{bad}").status_code == 400


@pytest.mark.parametrize(("plus", "status"), [("+", 200), ("%2B", 200), ("%20", 400), ("", 400)])
def test_a_plus_in_the_token_of_a_next_page_is_a_plus(client: Client, plus: str, status: int) -> None:
    for _ in range(2):
        client.create()
    link = client.graph("GET", "/applications?$top=1").json()["@odata.nextLink"]
    token = link.partition("$skiptoken=")[2]
    assert token.startswith("+")
    response = client.graph("GET", f"/applications?$skiptoken={plus}{token.removeprefix('+')}")
    assert response.status_code == status


def test_pages_may_be_smaller_than_asked_for(client: Client) -> None:
    for _ in range(3):
        client.create()
    client.emulator.faults.set(page_size=1)
    page = client.graph("GET", "/applications?$top=999&$count=true").json()
    assert (len(page["value"]), page["@odata.count"]) == (1, 3)
    assert "@odata.nextLink" in page


def test_a_service_principal_shows_what_its_application_exposes(client: Client) -> None:
    created = client.create(displayName="API", tags=["mine"], identifierUris=["https://contoso.example/api"])
    response = client.graph("POST", "/servicePrincipals", {"appId": created["appId"], "tags": ["own"]})
    body = response.json()
    assert response.status_code == 201
    assert body["servicePrincipalNames"] == [created["appId"], "https://contoso.example/api"]
    assert (body["tags"], body["appOwnerOrganizationId"]) == (["own", "mine"], client.emulator.tenant_id)
    for key in (f"/{body['id']}", f"(appId='{created['appId']}')"):
        assert client.graph("GET", f"/servicePrincipals{key}?$select=id").json()["id"] == body["id"]
    query = "/servicePrincipals?$filter=servicePrincipalNames/any(n:n eq 'https://contoso.example/api')"
    assert [item["id"] for item in client.graph("GET", query).json()["value"]] == [body["id"]]


def test_an_application_has_one_service_principal(client: Client) -> None:
    body = {"appId": client.create()["appId"]}
    assert client.graph("POST", "/servicePrincipals", body).status_code == 201
    expected = (409, "Request_MultipleObjectsWithSameKeyValue")
    assert code(client.graph("POST", "/servicePrincipals", body)) == expected


def test_a_service_principal_needs_an_application_in_the_tenant_that_the_caller_owns(client: Client) -> None:
    response = client.graph("POST", "/servicePrincipals", {"appId": UNKNOWN})
    assert response.json()["error"]["details"][0]["code"] == "NoBackingApplicationObject"
    assert client.graph("POST", "/servicePrincipals", {"appId": "x"}).status_code == 400
    assert client.graph("POST", "/servicePrincipals", {"appId": UNKNOWN, "x": 1}).status_code == 400
    client.emulator.faults.set(caller_not_owner=True)
    foreign = {"appId": client.create()["appId"]}
    assert code(client.graph("POST", "/servicePrincipals", foreign)) == (403, "Authorization_RequestDenied")


def test_the_service_principal_goes_with_its_application(client: Client) -> None:
    created = client.create()
    principal = client.graph("POST", "/servicePrincipals", {"appId": created["appId"]}).json()
    assert client.graph("DELETE", f"/applications/{created['id']}").status_code == 204
    assert client.graph("GET", f"/servicePrincipals/{principal['id']}").status_code == 404
    assert client.graph("DELETE", f"/applications/{created['id']}").status_code == 404


def test_a_service_principal_can_be_changed_deleted_and_made_again(client: Client) -> None:
    body = {"appId": client.create()["appId"]}
    path = f"/servicePrincipals/{client.graph('POST', '/servicePrincipals', body).json()['id']}"
    assert client.graph("PATCH", path, {"tags": ["x"]}).status_code == 204
    assert client.graph("PATCH", path, {"appId": UNKNOWN}).status_code == 400
    assert client.graph("GET", path).json()["tags"] == ["x"]
    assert client.graph("DELETE", path).status_code == 204
    assert client.graph("DELETE", path).status_code == 404
    assert client.graph("POST", "/servicePrincipals", body).status_code == 201
    assert client.graph("DELETE", path.replace("servicePrincipals", "directory/deletedItems")).status_code == 204


def test_only_an_owner_purges_and_only_what_is_deleted(client: Client) -> None:
    created = client.create()
    path = f"/directory/deletedItems/{created['id']}"
    assert client.graph("DELETE", path).status_code == 404
    client.graph("DELETE", f"/applications/{created['id']}")
    client.emulator.directory.records[created["id"]].owners.clear()
    assert client.graph("DELETE", path).status_code == 403


def test_microsofts_applications_are_there_unless_managed_fhir_is_absent(client: Client) -> None:
    fhir = client.graph("GET", f"/servicePrincipals(appId='{FHIR_APP_ID}')").json()
    assert fhir["displayName"] == "Azure Healthcare APIs"
    assert "user_impersonation" in {scope["value"] for scope in fhir["oauth2PermissionScopes"]}
    assert "https://azurehealthcareapis.com" in fhir["servicePrincipalNames"]
    assert client.graph("GET", f"/servicePrincipals(appId='{GRAPH_APP_ID}')").status_code == 200
    without = Client(Emulator(managed_fhir=False))
    assert without.graph("GET", f"/servicePrincipals(appId='{FHIR_APP_ID}')").status_code == 404
    response = without.graph("POST", "/servicePrincipals", {"appId": FHIR_APP_ID})
    assert response.status_code == 403
    assert "backing application" in response.json()["error"]["message"]


def test_nobody_but_an_owner_changes_a_service_principal(client: Client) -> None:
    path = f"/servicePrincipals(appId='{GRAPH_APP_ID}')"
    assert code(client.graph("PATCH", path, {"tags": []})) == (403, "Authorization_RequestDenied")
    assert code(client.graph("DELETE", path)) == (403, "Authorization_RequestDenied")


def test_a_reset_forgets_everything(client: Client) -> None:
    client.create(uniqueName="n")
    client.emulator.faults.set(page_size=1)
    client.emulator.reset()
    assert client.emulator.calls == []
    assert client.graph("GET", "/applications").json()["value"] == []
    assert client.emulator.faults.switches.page_size is None


@pytest.mark.parametrize(
    ("what", "role", "there"), [("users", USER_READ_ALL, ALICE), ("groups", GROUP_MEMBER_READ_ALL, TEAM)]
)
def test_whoever_may_read_users_or_groups_is_told_of_those_that_are_there_and_nobody_else_of_any(
    client: Client, what: str, role: str, there: str
) -> None:
    for object_id in (there, UNKNOWN):
        assert code(client.graph("GET", f"/{what}/{object_id}")) == (403, "Authorization_RequestDenied")
    client.emulator.directory.grant(REGISTRAR_OBJECT_ID, GRAPH_PRINCIPAL_ID, role)
    found = client.graph("GET", f"/{what}/{there}?$select=id")
    assert (found.status_code, found.json()["id"]) == (200, there)
    assert code(client.graph("GET", f"/{what}/{UNKNOWN}")) == (404, "Request_ResourceNotFound")
    other = "groups" if what == "users" else "users"
    assert code(client.graph("GET", f"/{other}/{there}")) == (403, "Authorization_RequestDenied")


def test_owners_are_expanded_up_to_twenty_without_options_of_their_own(client: Client) -> None:
    created = client.create()
    path = f"/applications/{created['id']}"
    client.emulator.directory.records[created["id"]].owners |= {f"{UNKNOWN[:-2]}{number:02}" for number in range(40)}
    found = client.graph("GET", f"{path}?$select=id&$expand=owners").json()
    assert (found["id"], len(found["owners"])) == (created["id"], 20)
    assert len(client.graph("GET", f"{path}/owners").json()["value"]) == 41
    for asked in ("owners($select=id)", "owners,federatedIdentityCredentials", "members", ""):
        assert client.graph("GET", f"{path}?$expand={asked}").status_code == 400


def test_an_applications_tags_and_whether_it_is_enabled_filter_service_principals_together(client: Client) -> None:
    ids = []
    for tags in (["ours"], ["ours"], ["theirs"]):
        created = client.create(tags=tags)
        principal = client.graph("POST", "/servicePrincipals", {"appId": created["appId"]}).json()
        ids.append((principal["id"], created["appId"]))
    for object_id, _ in ids[1:]:
        client.graph("PATCH", f"/servicePrincipals/{object_id}", {"accountEnabled": False})
    query = "$filter=tags/any(t:t eq 'ours') and accountEnabled eq false&$select=appId&$top=100"
    listed = client.graph("GET", f"/servicePrincipals?{query}").json()["value"]
    assert listed == [{"appId": ids[1][1]}]
