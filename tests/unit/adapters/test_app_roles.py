"""Who assigns app roles, in which order, how long a denial is remembered, and what Graph's answers mean."""

from datetime import timedelta
from typing import Any

import pytest

from dev.emulator import Fault
from dev.emulator.constants import GRANTER_CLIENT_ID, GRANTER_OBJECT_ID, TENANT_ID
from provisioning.domain.manifest import TAG
from provisioning.ports import AppRoles
from tests.worlds.steps import operations, refused_with
from tests.worlds.world import World

ROLE, OTHER_ROLE = (f"99999999-aaaa-4aaa-8aaa-00000000000{each}" for each in (1, 2))
MARK = f"{TAG}:id=one"
HOUR, MOMENT = timedelta(hours=1), timedelta(microseconds=1)


class There:
    """A world with a resource that carries our mark, and with a client; what is asked of both."""

    def __init__(self, *, granter: bool = False) -> None:
        self.world = World(settings={"GRANTER_CLIENT_ID": GRANTER_CLIENT_ID} if granter else {})
        directory = self.world.services.directory
        texts = {"allowedMemberTypes": ["Application"], "isEnabled": True}
        roles = [
            {"id": each, "value": f"v{each[-1]}", "displayName": "r", "description": "r", **texts}
            for each in (ROLE, OTHER_ROLE)
        ]
        body: dict[str, Any] = {"displayName": "An application", "signInAudience": "AzureADMyOrg", "tags": [TAG, MARK]}
        owned = body | {"appRoles": roles}
        self.resource = directory.create_service_principal(directory.create_application(owned).client_id)
        self.client = directory.create_service_principal(directory.create_application(body).client_id)
        self.world.emulator.directory.let_assign(GRANTER_OBJECT_ID, self.resource)
        self.world.emulator.calls.clear()

    @property
    def roles(self) -> AppRoles:
        return self.world.services.app_roles

    def assign(self, role: str = ROLE, mark: str = MARK) -> str:
        return refused_with(lambda: self.roles.assign(self.resource, self.client, role, mark))

    def asked(self) -> int:
        return operations(self.world)["graph.assignAppRole"]

    def owner_may_not(self) -> None:
        self.world.emulator.faults.set(owner_may_not_assign=True)


def test_a_role_is_assigned_read_and_taken_back_and_a_second_time_is_no_error() -> None:
    there = There()
    made = there.roles.assign(there.resource, there.client, ROLE, MARK)
    assert made is not None
    assert there.roles.assign(there.resource, there.client, ROLE, MARK) is None
    assert there.roles.held(there.client, there.resource) == {ROLE: made}
    for _ in range(2):
        there.roles.take_back(there.resource, made, MARK)
    assert there.roles.held(there.client, there.resource) == {}
    assert refused_with(lambda: there.roles.held(TENANT_ID, there.resource)) == "not-replicated-yet"
    assert there.roles.granter() is None


def test_whoever_was_denied_is_asked_again_after_an_hour_and_about_another_resource_at_once() -> None:
    there = There()
    there.owner_may_not()
    assert [there.assign() for _ in range(2)] == ["grant-denied", "grant-denied"]
    assert there.asked() == 1
    assert refused_with(lambda: there.roles.assign(TENANT_ID, there.client, ROLE, MARK)) == "not-replicated-yet"
    there.world.clock.time += HOUR - MOMENT
    assert (there.assign(), there.asked()) == ("grant-denied", 2)
    there.world.clock.time += MOMENT
    assert (there.assign(), there.asked()) == ("grant-denied", 3)


def test_the_granter_is_asked_where_this_app_is_denied_and_only_about_what_carries_the_mark() -> None:
    there = There(granter=True)
    signed_in = there.roles.granter()
    assert signed_in is not None
    assert signed_in.object_id == GRANTER_OBJECT_ID
    there.owner_may_not()
    assert there.assign(mark=f"{TAG}:id=other") == "grant-denied"
    assert there.asked() == 1, "the granter was not asked"
    assert (there.assign(), there.asked()) == ("", 2)
    assert (there.assign(OTHER_ROLE), there.asked()) == ("", 3), "this app is not asked again within the hour"
    [held] = {ROLE} & there.roles.held(there.client, there.resource).keys()
    there.roles.take_back(there.resource, there.roles.held(there.client, there.resource)[held], MARK)
    assert there.roles.held(there.client, there.resource).keys() == {OTHER_ROLE}
    hidden = Fault("status", "graph.readServicePrincipal", status=404, code="Request_ResourceNotFound")
    there.world.emulator.faults.add(hidden)
    assert there.assign() == "grant-denied"


@pytest.mark.parametrize(
    ("fault", "ours"),
    [
        (Fault("reset", "graph.*AppRole"), "graph-unavailable"),
        (Fault("throttle", "graph.*AppRole"), "graph-throttled"),
        (Fault("status", "graph.*AppRole", status=403, code="Authorization_RequestDenied"), "grant-denied"),
        (Fault("status", "graph.*AppRole", status=400, message="Not a valid reference update."), "not-replicated-yet"),
        (
            Fault("status", "graph.*AppRole", status=400, code="ServiceTreeInvalid"),
            "service-management-reference-refused",
        ),
        (Fault("status", "graph.*AppRole", status=404, code="Directory_ObjectNotFound"), "not-replicated-yet"),
    ],
)
def test_a_refusal_is_told_and_only_a_denial_is_remembered(fault: Fault, ours: str) -> None:
    there = There()
    made = there.roles.assign(there.resource, there.client, OTHER_ROLE, MARK)
    there.world.emulator.faults.add(fault)
    assert there.assign() == ours
    assert there.assign() == ("grant-denied" if ours == "grant-denied" else "")
    there.world.services = there.world.new_process()
    there.world.emulator.faults.add(fault)
    assert refused_with(lambda: there.roles.take_back(there.resource, str(made), MARK)) == ours
