"""Each permission that the service depends on, withheld: the check of that one says so, and no other."""

from collections.abc import Callable
from typing import Any

import jwt
import pytest
from azure.core.credentials import AccessToken

from dev.emulator import Fault
from dev.emulator.constants import (
    ASSIGN_ROLES,
    AUDIT_LOG_READ_ALL,
    FHIR_SERVICE_ID,
    GRANTER_CLIENT_ID,
    GRANTER_OBJECT_ID,
    GRAPH_PRINCIPAL_ID,
    OWNED_BY,
    READ_WRITE_ALL,
    REGISTRAR_OBJECT_ID,
    VAULT_ID,
)
from dev.emulator.sts.signing import issue
from provisioning.adapters.graph import GraphDirectory
from provisioning.adapters.graph_calls import GraphCalls
from provisioning.domain.azure_roles import DATA_ROLES, DELEGATE, SECRETS_USER, data_delegation, delegation
from provisioning.domain.errors import TryAgain
from provisioning.domain.readiness import Dependency, State
from provisioning.flow.ready import CANARY, look
from tests.worlds.clock import DAY
from tests.worlds.leaks import leaked
from tests.worlds.request_bodies import MANAGED, OWNER
from tests.worlds.signed_in import ENTRA
from tests.worlds.wired import CachedCredential
from tests.worlds.world import World

Found = dict[str, str | None]
READS = {"SIGN_IN_ACTIVITY": "on"}


def told(world: World, state: State) -> Found:
    """Return the checks in this state, and the code of each."""
    checks = look(world.new_process())
    assert not leaked(repr(checks))
    return {f"{each.dependency}: {each.what}": each.code for each in checks if each.state is state}


def regrant(world: World, *roles: str) -> None:
    world.emulator.directory.revoke(REGISTRAR_OBJECT_ID)
    for role in roles:
        world.emulator.directory.grant(REGISTRAR_OBJECT_ID, GRAPH_PRINCIPAL_ID, role)


def denied(operation: str) -> Callable[[World], object]:
    """Have the emulator deny this operation to whoever asks."""
    fault = Fault("status", operation, status=403, times=None)
    return lambda world: world.emulator.faults.add(fault)


def refusing(name: str) -> Callable[[World], None]:
    """Have storage refuse this call, as it refuses whoever lacks a role."""

    def outside(called: str, action: Callable[[], Any]) -> Any:
        if called == name:
            raise TryAgain("storage-unavailable", "Storage answered 403.")
        return action()

    def withhold(world: World) -> None:
        world.outside = outside

    return withhold


WITHHELD: dict[str, tuple[Callable[[World], object], Found]] = {
    "no permission of Graph": (
        regrant,
        {f"graph: {OWNED_BY}": "permission-missing", "graph: list applications": "permission-missing"},
    ),
    "Graph is out": (
        lambda world: world.emulator.faults.add(Fault("status", "graph.*", times=None)),
        {"graph: list applications": "graph-unavailable"},
    ),
    "no identity": (
        lambda world: world.emulator.faults.add(Fault("identityHiccup", times=None)),
        {
            "graph: identity": "no-identity-token",
            **{f"vault: {what} secrets": "no-identity-token" for what in ("list", "set", "get", "delete")},
        },
    ),
    "list secrets": (denied("vault.listSecrets"), {"vault: list secrets": "vault-denied"}),
    "get secrets": (denied("vault.getSecret"), {"vault: get secrets": "vault-denied"}),
    "set secrets": (denied("vault.setSecret"), {"vault: set secrets": "vault-denied"}),
    "delete secrets": (denied("vault.deleteSecret"), {"vault: delete secrets": "vault-denied"}),
    "the whole vault": (
        lambda world: world.emulator.faults.set(vault_denied=True),
        {f"vault: {what} secrets": "vault-denied" for what in ("list", "set", "get", "delete")},
    ),
    "the token endpoint": (
        lambda world: world.emulator.faults.add(Fault("status", "token.discovery", times=None)),
        {"tokenEndpoint: knows the tenant": "token-endpoint-unavailable"},
    ),
    "read tables": (refusing("registry.due"), {"tables: read": "storage-unavailable"}),
    "write tables": (refusing("registry.put_due"), {"tables: write": "storage-unavailable"}),
    "delete in tables": (refusing("registry.remove_due"), {"tables: delete": "storage-unavailable"}),
    "the queue of registrations": (
        refusing("queue.check registrations"),
        {"queues: send to registrations": "storage-unavailable"},
    ),
    "the queue of notices": (refusing("queue.check notices"), {"queues: send to notices": "storage-unavailable"}),
}


def test_nothing_is_lacking_where_everything_is_granted() -> None:
    world = World()
    assert told(world, State.LACKING) == {}
    assert told(world, State.WARNING) == {}
    assert len(told(world, State.OK)) == 14


@pytest.mark.parametrize("name", WITHHELD)
def test_what_is_withheld_is_named_and_nothing_else(name: str) -> None:
    world = World()
    withhold, lacking = WITHHELD[name]
    withhold(world)
    assert told(world, State.LACKING) == lacking


def test_a_policy_that_is_broken_is_a_lack() -> None:
    world = World()
    world.policy = b"{"
    assert told(world, State.LACKING) == {"policy: read": "policy-broken"}


def test_a_tenant_that_nobody_knows_is_a_lack() -> None:
    world = World(settings={"AZURE_TENANT_ID": "99999999-aaaa-4aaa-8aaa-000000000001"})
    assert told(world, State.LACKING) == {"tokenEndpoint: knows the tenant": "authority-refused"}


def test_a_bot_whose_identity_gets_no_token_is_a_warning_and_one_that_gets_it_is_none() -> None:
    nobodys = "99999999-aaaa-4aaa-8aaa-000000000001"
    for bot, warned in ((nobodys, {"tokenEndpoint: the bot's identity": "no-identity-token"}), (GRANTER_CLIENT_ID, {})):
        world = World(settings=ENTRA | {"TEAMS_BOT_ID": bot})
        assert (told(world, State.LACKING), told(world, State.WARNING)) == ({}, warned)


def test_a_front_door_that_does_not_vouch_is_a_lack_that_names_its_setting() -> None:
    world = World(settings=ENTRA | {"WEBSITE_AUTH_ENABLED": "False"})
    assert told(world, State.LACKING) == {"callers: are named by the platform": "unauthenticated"}
    [check] = [each for each in look(world.services) if each.dependency == "callers"]
    assert "WEBSITE_AUTH_ENABLED" in check.remedy


def test_another_identity_than_the_one_that_is_set_is_a_lack() -> None:
    world = World(settings={"REGISTRAR_OBJECT_ID": "99999999-aaaa-4aaa-8aaa-000000000001"})
    assert told(world, State.LACKING) == {"graph: identity": "registrar-differs"}


def test_an_identity_that_is_not_set_is_a_warning() -> None:
    world = World(settings={"REGISTRAR_OBJECT_ID": ""})
    assert told(world, State.WARNING) == {"graph: identity": "registrar-unknown"}


class Person:
    """The credential of a person who is signed in at a command line: a token of the same tenant that has scopes."""

    def __init__(self, world: World) -> None:
        self._registrar = CachedCredential(world.emulator)
        self._now = world.clock.now

    def get_token(self, *scopes: str, **_options: Any) -> AccessToken:
        token = self._registrar.get_token(*scopes)
        claims = jwt.decode(token.token, options={"verify_signature": False})
        claims |= {"oid": OWNER, "scp": "Directory.AccessAsUser.All User.Read"}
        return AccessToken(issue(claims, self._now()), token.expires_on)


def test_where_a_person_is_signed_in_that_is_told_and_nothing_that_is_about_this_person() -> None:
    world = World(settings=READS)
    endpoint = world.settings.tenant.graph_endpoint
    calls = GraphCalls(endpoint, Person(world), world.emulator.session(), world.clock)
    found = look(world.but(directory=GraphDirectory(calls, world.clock)))
    seen = {each.what: (each.state, each.code) for each in found if each.dependency is Dependency.GRAPH}
    assert seen == {
        "identity": (State.WARNING, "not-the-app"),
        OWNED_BY: (State.OK, None),
        "list applications": (State.OK, None),
    }


@pytest.mark.parametrize("wider", [READ_WRITE_ALL, ASSIGN_ROLES])
def test_a_wider_permission_of_graph_is_a_warning(wider: str) -> None:
    world = World()
    regrant(world, OWNED_BY, wider)
    assert told(world, State.LACKING) == {}
    assert told(world, State.WARNING) == {f"graph: {wider}": "permission-too-wide"}


def test_the_wider_permission_alone_works_and_is_warned_of() -> None:
    world = World()
    regrant(world, READ_WRITE_ALL)
    assert told(world, State.LACKING) == {}
    assert told(world, State.WARNING) == {f"graph: {READ_WRITE_ALL}": "permission-too-wide"}


def granting(**settings: str) -> World:
    return World(settings={"GRANTS": "on", **settings})


def test_a_granter_that_can_be_had_is_well_and_needs_no_permission_of_graph() -> None:
    found = look(granting(GRANTER_CLIENT_ID=GRANTER_CLIENT_ID).services)
    assert [each.state for each in found if each.what == "granter's identity"] == [State.OK]
    assert all(each.state is State.OK for each in found)
    for world in (granting(), World(settings={"GRANTER_CLIENT_ID": GRANTER_CLIENT_ID})):
        assert "granter's identity" not in [each.what for each in look(world.services)], "none is asked"


def test_a_granter_that_cannot_be_had_is_a_lack() -> None:
    world = granting(GRANTER_CLIENT_ID="99999999-aaaa-4aaa-8aaa-000000000001")
    assert told(world, State.LACKING) == {"graph: granter's identity": "no-identity-token"}


@pytest.mark.parametrize("role", [ASSIGN_ROLES, READ_WRITE_ALL])
def test_a_granter_with_a_permission_for_the_whole_tenant_is_a_warning(role: str) -> None:
    world = granting(GRANTER_CLIENT_ID=GRANTER_CLIENT_ID)
    world.emulator.directory.grant(GRANTER_OBJECT_ID, GRAPH_PRINCIPAL_ID, role)
    assert told(world, State.LACKING) == {}
    assert told(world, State.WARNING) == {f"graph: {role}": "granter-too-powerful"}


def test_to_look_a_hundred_times_leaves_one_deleted_secret_and_nothing_else() -> None:
    world = World()
    before = dict(world.emulator.vault.secrets)
    for _ in range(100):
        assert told(world, State.LACKING) == {}
    assert world.emulator.vault.secrets == before
    assert list(world.emulator.vault.deleted) == [CANARY]
    [version] = world.emulator.vault.deleted[CANARY].versions
    assert version.expires == (world.clock.now() + DAY).timestamp()
    assert world.registry.due(world.clock.now().replace(year=9999), 10) == []
    assert world.queue == []


def test_two_that_look_at_the_same_time_do_not_take_each_other_for_a_lack() -> None:
    world = World()
    world.emulator.faults.set(vault_transition=60)
    for _ in range(2):
        assert told(world, State.LACKING) == {}


def test_the_canary_is_no_secret_of_a_registration() -> None:
    world = World()
    world.emulator.faults.add(Fault("status", "vault.deleteSecret", status=403))
    assert told(world, State.LACKING) == {"vault: delete secrets": "vault-denied"}
    assert list(world.emulator.vault.secrets) == [CANARY]
    assert world.services.vault.marked(None).registration_ids == ()


# --- the delegation -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (delegation([SECRETS_USER], REGISTRAR_OBJECT_ID), {}),
        (delegation([SECRETS_USER, DELEGATE], REGISTRAR_OBJECT_ID), {"delegation-differs"}),
        (None, {"delegation-differs"}),
        ("nobody", {"azure-role-denied"}),
    ],
)
def test_a_delegation_that_is_lacking_or_allows_more_is_a_warning(condition: str | None, expected: set[str]) -> None:
    world = World(settings={"KEY_VAULT_ID": VAULT_ID})
    if condition != "nobody":
        world.emulator.role_assignments.delegate(REGISTRAR_OBJECT_ID, VAULT_ID, condition)
    before = len(world.emulator.role_assignments.all)
    assert set(told(world, State.WARNING).values()) == set(expected)
    assert told(world, State.LACKING) == {}
    assert len(world.emulator.role_assignments.all) == before


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (data_delegation(REGISTRAR_OBJECT_ID), []),
        (delegation(DATA_ROLES.values(), REGISTRAR_OBJECT_ID), ["delegation-differs"]),
        ("nobody", ["azure-role-denied"]),
    ],
)
def test_each_fhir_service_has_a_check_of_its_own(condition: str, expected: list[str | None]) -> None:
    world = World(settings={"FHIR_SERVICE_IDS": f"{MANAGED}={FHIR_SERVICE_ID}"})
    if condition != "nobody":
        world.emulator.role_assignments.delegate(REGISTRAR_OBJECT_ID, FHIR_SERVICE_ID, condition)
    [check] = [each for each in look(world.services) if each.dependency is Dependency.RESOURCE_MANAGER]
    assert check.what == f"assign data roles of {MANAGED}"
    assert [check.code] == (expected or [None])
    assert told(world, State.LACKING) == {}


@pytest.mark.parametrize("settings", [{}, {"KEY_VAULT_ID": VAULT_ID, "REGISTRAR_OBJECT_ID": ""}], ids=["none", "one"])
def test_without_the_settings_resource_manager_is_not_looked_at(settings: dict[str, str]) -> None:
    found = look(World(settings=settings).services)
    assert not [each for each in found if each.dependency is Dependency.RESOURCE_MANAGER]


def test_the_right_to_read_sign_ins_is_tried_where_it_is_to_be_used_and_its_lack_is_a_warning() -> None:
    world = World(settings=READS)
    check = f"graph: {AUDIT_LOG_READ_ALL}"
    assert told(world, State.WARNING) == {check: "sign-in-activity-denied"}
    assert told(world, State.LACKING) == {}
    regrant(world, OWNED_BY, AUDIT_LOG_READ_ALL)
    assert told(world, State.WARNING) == {}
    assert check in told(world, State.OK)
    world.emulator.faults.set(premium_missing=True)
    assert told(world, State.WARNING) == {check: "entra-premium-missing"}


def test_the_right_to_read_sign_ins_is_too_wide_where_it_is_not_used() -> None:
    world = World()
    regrant(world, OWNED_BY, AUDIT_LOG_READ_ALL)
    assert told(world, State.WARNING) == {f"graph: {AUDIT_LOG_READ_ALL}": "permission-too-wide"}
