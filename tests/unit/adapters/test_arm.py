"""What Azure's answers about role assignments mean, how long each is remembered, and when Azure is left alone."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any, cast

import pytest

from dev.emulator import Fault
from dev.emulator.constants import REGISTRAR_OBJECT_ID, VAULT_ID
from provisioning.adapters.arm import ArmRoles
from provisioning.domain.azure_roles import DELEGATE, SECRETS_USER, RoleAssignment, secret_scope
from provisioning.domain.errors import TryAgain
from tests.worlds.request_bodies import OTHER_OWNER, OWNER
from tests.worlds.steps import operations, refused_with
from tests.worlds.world import World

SCOPE = secret_scope(VAULT_ID, "a-secret")
ASKED = RoleAssignment(SECRETS_USER, SCOPE, OWNER)
OTHER = RoleAssignment(SECRETS_USER, SCOPE, OTHER_OWNER)
HOUR, MINUTE, MOMENT = timedelta(hours=1), timedelta(minutes=1), timedelta(microseconds=1)


@pytest.fixture
def world() -> World:
    world = World(settings={"KEY_VAULT_ID": VAULT_ID})
    world.emulator.directory.add_principal(OWNER)
    world.emulator.directory.groups.add(OTHER_OWNER)
    world.emulator.role_assignments.delegate(REGISTRAR_OBJECT_ID, VAULT_ID, None)
    return world


def arm(world: World) -> ArmRoles:
    return cast("ArmRoles", world.services.azure_roles)


def asked(world: World) -> int:
    return sum(count for name, count in operations(world).items() if name.startswith("arm."))


def assign(world: World, assignment: RoleAssignment = ASKED) -> str:
    return refused_with(lambda: arm(world).assign(assignment, None))


def take_back(world: World, assignment: RoleAssignment = ASKED) -> str:
    return refused_with(lambda: arm(world).take_back(assignment))


def listing(*answers: Any) -> Callable[..., Any]:
    """Answer each list of assignments in turn with this, whatever else is asked."""
    left = list(answers)

    def outside(name: str, action: Callable[[], Any]) -> Any:
        listed = name.startswith("GET ") and name.endswith("/roleAssignments") and left
        answer = action()
        if listed:
            answer._content = json.dumps(left.pop(0)).encode()  # noqa: SLF001 -- requests has no other way to change one
        return answer

    return outside


@pytest.mark.parametrize(
    ("status", "theirs", "assigning", "taking_back"),
    [
        (403, "AuthorizationFailed", "azure-role-denied", "azure-role-denied"),
        (401, "ExpiredAuthenticationToken", "resource-manager-unavailable", "resource-manager-unavailable"),
        (400, "RoleAssignmentLimitExceeded", "role-assignments-near-limit", "role-assignments-near-limit"),
        (400, "PrincipalNotFound", "principal-not-found", "principal-not-found"),
        (400, "UnmatchedPrincipalType", "principal-not-found", "principal-not-found"),
        (400, "ScopeLocked", "azure-refused", "azure-refused"),
        (404, "ResourceNotFound", "azure-refused", ""),
        (409, "RoleAssignmentExists", "", "azure-refused"),
        (429, "TooManyRequests", "resource-manager-throttled", "resource-manager-throttled"),
        (500, "InternalServerError", "resource-manager-unavailable", "resource-manager-unavailable"),
    ],
)
def test_a_refusal_means_what_its_status_and_code_say(
    world: World, status: int, theirs: str, assigning: str, taking_back: str
) -> None:
    for operation, act, ours in (("arm.unassignRole", take_back, taking_back), ("arm.assignRole", assign, assigning)):
        world.emulator.faults.add(Fault("status", operation, status=status, code=theirs, retry_after=7))
        world.services = world.new_process()
        assert act(world) == ours


def test_how_long_azure_asks_to_wait_is_told(world: World) -> None:
    world.emulator.faults.add(Fault("throttle", "arm.unassignRole", retry_after=40))
    with pytest.raises(TryAgain) as throttled:
        arm(world).take_back(ASKED)
    assert throttled.value.retry_after == 40


def test_for_an_hour_nobody_asks_for_whom_it_was_denied_and_everybody_else_does(world: World) -> None:
    world.emulator.faults.add(Fault("status", "arm.assignRole", status=403, code="AuthorizationFailed"))
    assert assign(world) == "azure-role-denied"
    before = asked(world)
    assert (assign(world), take_back(world)) == ("azure-role-denied", "azure-role-denied")
    assert asked(world) == before
    world.emulator.faults.add(Fault("status", "arm.assignRole", status=403, code="AuthorizationFailed"))
    world.clock.time += HOUR - MOMENT
    assert (assign(world, OTHER), assign(world)) == ("azure-role-denied", "azure-role-denied")
    world.clock.time += MOMENT
    assert (assign(world), assign(world, OTHER)) == ("", "azure-role-denied")


def test_a_denial_for_the_whole_resource_stops_no_holder_of_a_part_of_it(world: World) -> None:
    world.emulator.faults.add(Fault("status", "arm.assignRole", status=403, code="AuthorizationFailed"))
    whole, others = (RoleAssignment(SECRETS_USER, VAULT_ID, each) for each in (OWNER, OTHER_OWNER))
    assert (assign(world, whole), assign(world, others), assign(world)) == (
        "azure-role-denied",
        "azure-role-denied",
        "",
    )


def test_nobody_is_sent_elsewhere_with_the_token_and_nothing_is_done_there(world: World) -> None:
    def elsewhere(name: str, action: Callable[[], Any]) -> Any:
        went.append(name.partition(" ")[0])
        answer = action()
        answer.status_code, answer._content = 307, b""  # noqa: SLF001 -- requests has no other way to change one
        answer.headers["Location"] = f"{world.emulator.origin}/elsewhere"
        return answer

    went = list[str]()
    world.outside = elsewhere
    assert (assign(world), take_back(world)) == ("resource-manager-unavailable", "resource-manager-unavailable")
    assert went == ["GET", "DELETE"]
    world.outside = lambda name, action: elsewhere(name, action) if name.startswith("PUT ") else action()
    assert (assign(world), went) == ("resource-manager-unavailable", ["GET", "DELETE", "PUT"])


def test_whoever_may_assign_and_not_look_assigns(world: World) -> None:
    world.emulator.faults.add(Fault("status", "arm.listRoleAssignments", status=403, code="AuthorizationFailed"))
    assert (assign(world), operations(world)["arm.assignRole"]) == ("", 1)


def test_the_assignments_are_counted_once_an_hour_and_with_what_was_made_since(world: World) -> None:
    world.outside = listing({"value": [{}] * 3798}, {"value": [{}] * 3800}, {"value": []})
    thirds = RoleAssignment(SECRETS_USER, f"{SCOPE}-2", OWNER)
    assert [assign(world, each) for each in (ASKED, ASKED, OTHER, thirds)] == [
        "",
        "",
        "",
        "role-assignments-near-limit",
    ]
    assert operations(world)["arm.assignRole"] == 3
    for passed, refused in ((HOUR - MOMENT, True), (MOMENT, True), (HOUR, False)):
        world.clock.time += passed
        assert assign(world, thirds) == ("role-assignments-near-limit" if refused else "")
    assert operations(world)["arm.listRoleAssignments"] == 3


def test_what_is_listed_is_read_to_the_last_page_or_not_at_all(world: World) -> None:
    world.emulator.faults.set(page_size=1)
    assert assign(world) == assign(world, OTHER) == ""
    world.emulator.role_assignments.give(OWNER, SCOPE, DELEGATE.id, None)
    assert arm(world).made(SECRETS_USER, SCOPE) == {OWNER, OTHER_OWNER}
    assert arm(world).made(DELEGATE, SCOPE) == set(), "by another name it is somebody else's"
    assert sorted(arm(world).held(OWNER).values()) == sorted([SECRETS_USER.id, DELEGATE.id])
    assert arm(world).held(OWNER)[ASKED.name] == SECRETS_USER.id
    world.emulator.faults.add(Fault("status", "arm.listRoleAssignments", status=400, code="InvalidFilter"))
    assert refused_with(lambda: arm(world).held(OWNER)) == "azure-refused"
    broken: list[Any] = [{}, {"value": [], "nextLink": "https://management.azure.com/no-token"}, []]
    for each in broken:
        world.outside = listing(each)
        assert refused_with(lambda: arm(world).made(SECRETS_USER, SCOPE)) == "resource-manager-unavailable"


def test_the_conditions_are_those_of_the_role_alone(world: World) -> None:
    world.emulator.role_assignments.give(REGISTRAR_OBJECT_ID, VAULT_ID, SECRETS_USER.id)
    assert arm(world).conditions(DELEGATE, REGISTRAR_OBJECT_ID) == (None,)
    assert arm(world).conditions(SECRETS_USER, OWNER) == ()


def test_after_two_requests_without_an_answer_or_one_out_of_time_azure_is_left_alone_for_a_minute(
    world: World,
) -> None:
    def fails(kind: Any) -> str:
        world.emulator.faults.add(Fault(kind, "arm.unassignRole"))
        return take_back(world)

    unavailable = "resource-manager-unavailable"
    assert (fails("reset"), take_back(world), fails("reset"), take_back(world)) == (unavailable, "", unavailable, "")
    for kinds in (("reset", "reset"), ("hang",), ("reset", "reset")):
        assert [fails(each) for each in kinds] == [unavailable] * len(kinds)
        before = asked(world)
        for passed, waits in ((timedelta(), 60.0), (MINUTE - MOMENT, MOMENT.total_seconds())):
            world.clock.time += passed
            with pytest.raises(TryAgain) as refused:
                arm(world).take_back(ASKED)
            assert (refused.value.code, refused.value.retry_after) == (unavailable, waits)
        assert asked(world) == before
        world.clock.time += MOMENT
        assert (fails("reset"), take_back(world)) == (unavailable, "")


def test_without_a_token_of_its_own_it_says_what_to_check(world: World) -> None:
    world.emulator.faults.add(Fault("identityHiccup"))
    assert take_back(world) == "no-identity-token"
    assert asked(world) == 0
