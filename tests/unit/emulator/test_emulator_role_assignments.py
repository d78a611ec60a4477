"""Role assignments as Resource Manager has them: who may give what, and what is refused."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING, Any

import pytest

from dev.emulator import Emulator, Fault
from dev.emulator.arm.conditions import Attempt, is_fulfilled
from dev.emulator.client import TIMEOUT, Client
from dev.emulator.constants import REGISTRAR_OBJECT_ID, SUBSCRIPTION, VAULT_ID, VAULT_RESOURCE
from provisioning.domain.azure_roles import DELEGATE, SECRETS_USER, delegation

if TYPE_CHECKING:
    import requests

PROVIDER = "Microsoft.Authorization/roleAssignments"
SECRET = f"{VAULT_ID}/secrets/one"
SOMEBODY = "66666666-eeee-4eee-8eee-000000000001"
OWN_CONDITION = delegation([SECRETS_USER], REGISTRAR_OBJECT_ID)


@pytest.fixture
def client() -> Client:
    """The registrar may give Secrets User on the vault, and nothing else."""
    client = Client(Emulator())
    client.emulator.role_assignments.delegate(REGISTRAR_OBJECT_ID, VAULT_ID, OWN_CONDITION)
    return client


def call(  # noqa: PLR0913, PLR0917 -- all that a call has
    client: Client, method: str, name: str = "", body: Any = None, scope: str = SECRET, resource: str = "", **query: str
) -> requests.Response:
    path = f"{scope}/providers/{PROVIDER}" + (f"/{name}" if name else "")
    headers = {"Authorization": f"Bearer {client.token(resource or 'https://management.azure.com')}"}
    query = {"api-version": "2022-04-01", **{name.replace("_", "$"): value for name, value in query.items()}}
    url = f"{client.emulator.origin}{path}"
    return client.session.request(method, url, json=body, params=query, headers=headers, timeout=TIMEOUT)


def a_body(principal_id: str, role: str = SECRETS_USER.id, **more: Any) -> dict[str, Any]:
    definition = f"{SUBSCRIPTION}/providers/Microsoft.Authorization/roleDefinitions/{role}"
    return {"properties": {"roleDefinitionId": definition, "principalId": principal_id, **more}}


def a_name() -> str:
    return str(uuid.uuid4())


def told(answer: requests.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_an_assignment_is_made_once_read_listed_and_removed(client: Client) -> None:
    name, user = a_name(), client.emulator.directory.add_principal()
    made = call(client, "PUT", name, a_body(user))
    assert (made.status_code, made.json()["properties"]["principalType"]) == (201, "User")
    assert call(client, "PUT", name, a_body(user)).status_code == 200
    assert call(client, "GET", name).json() == made.json()
    own = [each["name"] for each in call(client, "GET", _filter=f"principalId eq '{user}'").json()["value"]]
    assert own == [name]
    assert call(client, "DELETE", name).status_code == 200
    assert call(client, "DELETE", name).status_code == 204
    assert told(call(client, "GET", name)) == (404, "RoleAssignmentNotFound")


def test_a_list_has_what_is_above_and_without_at_scope_what_is_below(client: Client) -> None:
    user, names = client.emulator.directory.add_principal(), [a_name(), a_name()]
    call(client, "PUT", names[0], a_body(user))
    call(client, "PUT", names[1], a_body(user), scope=VAULT_ID)
    client.emulator.faults.set(page_size=1)

    def listed(scope: str, **query: str) -> set[str]:
        found, answer = set(), call(client, "GET", scope=scope, **query).json()
        while True:
            found |= {each["name"] for each in answer["value"]}
            if "nextLink" not in answer:
                return found & set(names)
            token = answer["nextLink"].rpartition("skiptoken=")[2]
            answer = call(client, "GET", scope=scope, **query, _skiptoken=token).json()

    assert listed(SECRET, _filter="atScope()") == set(names)
    assert listed(VAULT_ID, _filter="atScope()") == {names[1]}
    assert listed(VAULT_ID) == set(names)
    assert listed(VAULT_ID, _filter=f"atScope() and assignedTo('{user}')") == {names[1]}
    assert told(call(client, "GET", _filter="scope eq 'x'")) == (400, "UnsupportedQuery")


def test_the_same_for_the_same_exists_already_whatever_its_name(client: Client) -> None:
    user, name = client.emulator.directory.add_principal(), a_name()
    call(client, "PUT", name, a_body(user))
    answer = call(client, "PUT", a_name(), a_body(user))
    assert told(answer) == (409, "RoleAssignmentExists")
    assert name.replace("-", "") in answer.json()["error"]["message"]
    other = client.emulator.directory.add_principal()
    assert told(call(client, "PUT", name, a_body(other))) == (400, "RoleAssignmentUpdateNotPermitted")


def test_whom_the_directory_does_not_know_needs_its_kind_to_be_said(client: Client) -> None:
    assert told(call(client, "PUT", a_name(), a_body(a_name()))) == (400, "PrincipalNotFound")
    client.create_client()
    client.emulator.faults.set(replication_lag=30)
    young = next(reversed(client.emulator.directory.principals))
    assert told(call(client, "PUT", a_name(), a_body(young))) == (400, "PrincipalNotFound")
    assert call(client, "PUT", a_name(), a_body(young, principalType="ServicePrincipal")).status_code == 201
    user = client.emulator.directory.add_principal()
    assert told(call(client, "PUT", a_name(), a_body(user, principalType="Group"))) == (400, "UnmatchedPrincipalType")


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("not-a-guid", a_body(SOMEBODY), "InvalidRoleAssignmentId"),
        (SOMEBODY, a_body(SOMEBODY, note="x"), "InvalidRequestContent"),
        (SOMEBODY, a_body("somebody"), "InvalidRequestContent"),
        (SOMEBODY, a_body(SOMEBODY, principalType="Robot"), "InvalidRequestContent"),
        (SOMEBODY, a_body(SOMEBODY, condition="x"), "InvalidRequestContent"),
        (SOMEBODY, a_body(SOMEBODY) | {"scope": "x"}, "InvalidRequestContent"),
        (SOMEBODY, {"properties": {"roleDefinitionId": "Reader", "principalId": SOMEBODY}}, "InvalidRoleDefinitionId"),
        (SOMEBODY, [], "InvalidRequestContent"),
    ],
)
def test_what_is_not_in_the_documents_is_refused(client: Client, name: str, body: Any, code: str) -> None:
    assert told(call(client, "PUT", name, body)) == (400, code)


def test_a_delegate_gives_and_takes_what_its_condition_allows_and_nowhere_else(client: Client) -> None:
    assignments, user, name = client.emulator.role_assignments, client.emulator.directory.add_principal(), a_name()
    denied = (403, "AuthorizationFailed")
    assert told(call(client, "PUT", name, a_body(REGISTRAR_OBJECT_ID))) == denied
    assert told(call(client, "PUT", name, a_body(user, DELEGATE.id))) == denied
    assert told(call(client, "PUT", name, a_body(user), scope=SUBSCRIPTION)) == denied
    assert told(call(client, "GET", scope=SUBSCRIPTION)) == denied
    assert told(call(client, "DELETE", next(iter(assignments.all)), scope=VAULT_ID)) == denied
    assert call(client, "PUT", name, a_body(user)).status_code == 201
    nobody = Client(Emulator())
    assert told(call(nobody, "PUT", name, a_body(user))) == denied
    assert told(call(nobody, "DELETE", name)) == denied


def test_a_subscription_has_at_most_4000(client: Client) -> None:
    client.emulator.faults.set(other_role_assignments=3998)
    users = [client.emulator.directory.add_principal() for _ in range(2)]
    assert call(client, "PUT", a_name(), a_body(users[0])).status_code == 201
    assert told(call(client, "PUT", a_name(), a_body(users[1]))) == (400, "RoleAssignmentLimitExceeded")


def test_nothing_is_done_without_a_token_for_resource_manager_or_without_a_version(client: Client) -> None:
    answer = call(client, "PUT", a_name(), a_body(a_name()), resource=VAULT_RESOURCE)
    assert told(answer) == (401, "InvalidAuthenticationToken")
    answer = call(client, "GET", **{"api-version": "2099-01-01"})
    assert told(answer) == (400, "InvalidApiVersionParameter")


def test_its_calls_can_fail_and_be_throttled(client: Client) -> None:
    client.emulator.faults.add(Fault("throttle", "arm.assignRole"))
    client.emulator.faults.add(Fault("status", "arm.assignRole", status=400, code="PrincipalNotFound"))
    user = client.emulator.directory.add_principal()
    answers = [call(client, "PUT", a_name(), a_body(user)) for _ in range(2)]
    assert [told(each) for each in answers] == [(429, "TooManyRequests"), (400, "PrincipalNotFound")]


# --- conditions -----------------------------------------------------------------------------------------------------

A_ROLE, ANOTHER = (f"{number}0000000-0000-4000-8000-000000000000" for number in (1, 2))
ROLE, KIND = f"{PROVIDER}:RoleDefinitionId", f"{PROVIDER}:PrincipalType"


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (f"@Request[{ROLE}] ForAnyOfAnyValues:GuidEquals {{{A_ROLE}, {ANOTHER}}}", True),
        (f"@Request[{ROLE}] ForAnyOfAnyValues:GuidEquals {{{ANOTHER}}}", False),
        (f"@Request[{ROLE}] ForAnyOfAllValues:GuidNotEquals {{{ANOTHER}, {A_ROLE}}}", False),
        (f"@Request[{ROLE}] ForAnyOfAnyValues:GuidNotEquals {{{ANOTHER}, {A_ROLE}}}", True),
        (f"@Request[{ROLE}] GuidEquals {A_ROLE}", True),
        (f"@Request[{KIND}] ForAnyOfAnyValues:StringEqualsIgnoreCase {{'user', 'Group'}}", True),
        (f"@Resource[{ROLE}] ForAnyOfAllValues:GuidNotEquals {{{ANOTHER}}}", False),  # there is no resource yet
        ("ActionMatches{'a/write'}", True),
        ("ActionMatches{'a/*'} AND NOT ActionMatches{'a/delete'}", True),
        ("(!(ActionMatches{'a/write'}) || ActionMatches{'a/write'}) && ActionMatches{'a/delete'}", False),
    ],
)
def test_a_condition_is_read_as_it_is_documented(condition: str, expected: bool) -> None:  # noqa: FBT001 -- of a table
    attempt = Attempt("a/write", request={ROLE: A_ROLE, KIND: "User"})
    assert is_fulfilled(condition, attempt) is expected


@pytest.mark.parametrize(
    "condition",
    [
        "",
        "(ActionMatches{'a'}",
        "ActionMatches{'a'} AND",
        "ActionMatches{'a'} ActionMatches{'b'}",
        "ActionMatches{'a'} AND ActionMatches{'b'} OR ActionMatches{'c'}",
        f"@Request[{ROLE}] ForSomeValues:GuidEquals {{{A_ROLE}}}",
        f"@Request[{ROLE}] ForAnyOfAnyValues:GuidLike {{{A_ROLE}}}",
        f"@Environment[{ROLE}] GuidEquals {A_ROLE}",
    ],
)
def test_a_condition_that_cannot_be_read_is_refused(condition: str) -> None:
    with pytest.raises(ValueError, match="cannot be read"):
        is_fulfilled(condition, Attempt("a"))
