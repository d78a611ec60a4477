"""Who may do what: each call, by each kind of caller, with each role, about what is its own and what is not.

What is expected is read from the table below, which is written by hand; nothing of it is asked of the product.
"""

import json
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from typing import Any, Final

import pytest

from dev.emulator.sts.accounts import ACCOUNTS
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.approval import LAPSES_AFTER, Approval
from provisioning.domain.callers import Caller, CallerKind, Role
from provisioning.domain.directory import Permission, ResolvedResource
from provisioning.domain.intake import fingerprint, parse
from provisioning.domain.operation import Operation, OperationStatus, OperationType, new_id
from provisioning.domain.registration import Registration, Status, registration_id
from tests.worlds.memory import MemoryRegistry
from tests.worlds.request_bodies import MANAGED, a_resource, a_service_client
from tests.worlds.signed_in import ENTRA, headers_of, principal_of
from tests.worlds.world import World

#                        no role         Create          Read.All        Manage.All      Approve         key
#                        own     other   own     other   own     other   own     other   own     other   any
TABLE: Final = """
submit_registration      role    role    yes     owner   role    role    yes     yes     role    role    yes
list_registrations       yes     hidden  yes     hidden  yes     yes     yes     yes     yes     hidden  yes
show_registration        yes     404     yes     404     yes     yes     yes     yes     yes     404     yes
retry_registration       yes     404     yes     404     yes     not     yes     yes     yes     404     yes
rotate_registration      yes     404     yes     404     yes     not     yes     yes     yes     404     yes
change_registration      yes     404     yes     404     yes     not     yes     yes     yes     404     yes
delete_registration      yes     404     yes     404     yes     not     yes     yes     yes     404     yes
approve_registration     decides 404     decides 404     decides decides decides decides yes     yes     unknown
list_events              yes     404     yes     404     yes     yes     yes     yes     yes     404     yes
deny_registration        yes     404     yes     404     yes     decides yes     yes     yes     yes     yes
revoke_registration      yes     404     yes     404     yes     not     yes     yes     yes     404     yes
list_clients             yes     404     yes     404     yes     yes     yes     yes     yes     404     yes
approve_client           yes     404     yes     404     yes     not     yes     yes     yes     404     yes
revoke_client            yes     404     yes     404     yes     not     yes     yes     yes     404     yes
show_policy              yes     yes     yes     yes     yes     yes     yes     yes     yes     yes     yes
show_caller              yes     yes     yes     yes     yes     yes     yes     yes     yes     yes     yes
link_chat                yes     yes     yes     yes     yes     yes     yes     yes     yes     yes     nobody
unlink_chat              yes     yes     yes     yes     yes     yes     yes     yes     yes     yes     nobody
show_readiness           role    role    yes     yes     yes     yes     yes     yes     yes     yes     yes
"""
# About a registration that does not exist every caller gets 404; of what nobody owns yet "other" holds.
ABOUT_NONE: Final = frozenset(
    {
        *("submit_registration", "list_registrations", "show_policy", "show_caller", "show_readiness"),
        *("link_chat", "unlink_chat"),
    }
)

ANSWERS: Final = {
    "404": (404, "registration-not-found"),
    "not": (403, "not-the-owner"),
    "role": (403, "role-required"),
    "owner": (403, "owner-not-yours"),
    "decides": (403, "not-an-approver"),
    "unknown": (403, "approver-unknown"),
    "person": (403, "not-in-person"),
    "nobody": (403, "not-a-person"),
}
# Only somebody who signs in is somebody in a chat.
OF_THE_CHAT: Final = ("link_chat", "unlink_chat")
SUCCESS: Final = dict.fromkeys(
    (
        "list_registrations",
        "show_registration",
        "list_events",
        "list_clients",
        "show_policy",
        "show_caller",
        "show_readiness",
        "link_chat",
    ),
    200,
) | {"unlink_chat": 204}

ROLES: Final = {"none": None} | {
    name: Role(f"Registrations.{name}") for name in ("Create", "Read.All", "Manage.All", "Approve")
}
COLUMNS: Final = [(role, whose) for role in ROLES for whose in ("own", "other")] + [("key", "any")]
EXPECTED: Final = {
    (name, *column): outcome
    for name, *outcomes in map(str.split, TABLE.strip().splitlines())
    for column, outcome in zip(COLUMNS, outcomes, strict=True)
}
# A group counts for a person who signs in alone: no token of an application names one, and none is known of a person
# whom a bot names. Of a bot's own roles, for this person, only that to create counts.
OWN: Final = {
    "user": ("own id", "own group"),
    "application": ("own id",),
    "bot": ("own id",),
}
KINDS: Final = (*OWN, "key")

SELF = "5e1f0000-0000-4000-8000-000000000001"
GROUP = "5e1f0000-0000-4000-8000-000000000002"
STRANGER = "5e1f0000-0000-4000-8000-000000000003"
BOTS = "5e1f0000-0000-4000-8000-000000000004"
REQUESTER = "5e1f0000-0000-4000-8000-000000000005"
NOBODYS = f"00000000-{REQUESTER}"
CLIENT_ID = registration_id(REQUESTER, REQUESTER, "a client")
ABOUT_A_CLIENT: Final = ("approve_client", "revoke_client")


@dataclass(frozen=True)
class Cell:
    call: str
    kind: str
    role: str
    whose: str

    def __str__(self) -> str:
        return f"{self.call}-{self.kind}-{self.role}-{self.whose}"

    @property
    def expected(self) -> str:
        if self.whose == "nobody's" and self.call not in ABOUT_NONE:
            return "404"
        if self.kind == "key":
            return EXPECTED[self.call, "key", "any"]
        if self.call in OF_THE_CHAT and self.kind != "user":
            return "person" if self.kind == "bot" else "nobody"
        role = self.role if self.kind != "bot" or self.role == "Create" else "none"
        outcome = EXPECTED[self.call, role, "own" if self.whose in OWN[self.kind] else "other"]
        # A bot shows nobody's consent.
        return "person" if (self.kind, self.call, outcome) == ("bot", "approve_client", "yes") else outcome

    @property
    def owner(self) -> str:
        """Whose it is; what is another's for a person is the bot's own, where a bot speaks for this person."""
        others = BOTS if self.kind == "bot" else STRANGER
        return {"own id": SELF, "own group": GROUP, "another's": others, "nobody's": others}[self.whose]

    def headers(self, world: World) -> dict[str, str]:
        if self.kind == "key":
            return {}
        role = ROLES[self.role]
        roles = frozenset({role} if role is not None else ())
        if self.kind == "bot":
            bot = Caller(BOTS, CallerKind.APPLICATION, roles | {Role.ON_BEHALF})
            return headers_of(bot, world.emulator) | {"on-behalf-of": SELF}
        kind = CallerKind.USER if self.kind == "user" else CallerKind.APPLICATION
        return headers_of(Caller(SELF, kind, roles, frozenset({GROUP}), "Somebody"), world.emulator)


CELLS = [
    Cell(*cell)
    for cell in product(
        dict.fromkeys(name for name, *_ in EXPECTED), KINDS, ROLES, ("own id", "own group", "another's", "nobody's")
    )
    if cell[1] != "key" or cell[2] == "none"
]


def row_for(world: World, call: str, owner: str) -> Registration:
    """Have a registration be in the state in which this call is possible; somebody else has asked for it."""
    if call in ABOUT_A_CLIENT:
        return server_for(world, owner)
    request, now = parse(client_of(owner)), world.clock.now() - timedelta(days=1)
    status, operation = {
        "retry_registration": (Status.FAILED, OperationStatus.FAILED),
        "approve_registration": (Status.ACCEPTED, OperationStatus.PENDING),
        "deny_registration": (Status.ACCEPTED, OperationStatus.PENDING),
    }.get(call, (Status.ACTIVE, OperationStatus.SUCCEEDED))
    row = Registration(
        registration_id(owner, REQUESTER, None),
        REQUESTER,
        request,
        fingerprint(request),
        status,
        Operation(new_id(), OperationType.PROVISION, operation, now),
        now,
        now,
        policy_version="1",
    )
    if operation is OperationStatus.PENDING:
        row = row.awaiting(Approval(row.asked_digest, ("rule",), now + LAPSES_AFTER), now + LAPSES_AFTER)
    world.registry.put_owned(owner, row.id)
    stored = world.registry.insert(row)
    assert stored is not None
    return stored


def server_for(world: World, owner: str) -> Registration:
    """Have a FHIR server be registered for the owner, and a client of it for somebody else."""
    now, resource = world.clock.now() - timedelta(days=1), ResolvedResource("api://server", "server", "principal")
    done = Operation(new_id(), OperationType.PROVISION, OperationStatus.SUCCEEDED, now)
    for identity, body, its_own in (
        (registration_id(owner, REQUESTER, None), a_resource(owner=owner), {"client_id": "server"}),
        (
            CLIENT_ID,
            a_service_client(owner=REQUESTER, resource=MANAGED, appRoles=[]),
            {"resource": replace(resource, app_roles=(Permission("1", "globalReader"),))},
        ),
    ):
        request = parse(body)
        row = Registration(identity, REQUESTER, request, fingerprint(request), Status.ACTIVE, done, now, now)
        stored = world.registry.insert(replace(row, **its_own))
        assert stored is not None
        if identity != CLIENT_ID:
            server = stored
    return server


def client_of(owner: str) -> dict[str, Any]:
    return a_service_client(owner=owner, resource=MANAGED, appRoles=[], dataRoles=["FHIR Data Reader"])


BODIES: Final = {"rotate_registration": {}, "change_registration": {"displayName": "Another name"}}


def call_about(name: str, row: Registration, identity: str, headers: dict[str, str]) -> Call:
    """The call that would do it, if the caller may."""
    decision = {"digest": row.asked_digest, "reason": "Because."}
    body = {
        **BODIES,
        "submit_registration": client_of(row.request.owner),
        "approve_registration": decision,
        "deny_registration": decision,
    }.get(name)
    if name == "approve_client":
        body = {"permissions": ["globalReader"]}
    about = "" if name in ABOUT_NONE else identity
    if body is None:
        return Call(f"/api/registrations/{about}", headers, registration_id=about, client_registration_id=CLIENT_ID)
    sent = headers | {"content-type": "application/json"}
    raw = json.dumps(body).encode()
    return Call(f"/api/registrations/{about}", sent, body=raw, registration_id=about, client_registration_id=CLIENT_ID)


def told(answer: Answer) -> tuple[int, str]:
    content = json.loads(answer.body or "{}")
    return answer.status, content.get("code", "") if answer.content_type == "application/problem+json" else ""


def test_the_table_has_each_call_of_the_api_and_no_other() -> None:
    assert {name for name, *_ in EXPECTED} == set(web.CALLS), "a call without a line: who may do it?"


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_each_caller_may_do_what_the_table_says_and_no_more(cell: Cell) -> None:
    registry = MemoryRegistry()
    world = World(registry=registry, settings={} if cell.kind == "key" else ENTRA)
    row = row_for(world, cell.call, cell.owner)
    identity = row.id
    if cell.whose == "nobody's":
        registry.rows.clear()
        identity = NOBODYS
    before = dict(registry.rows)
    answer = world.call(web.CALLS[cell.call], call_about(cell.call, row, identity, cell.headers(world)))
    if cell.call == "list_registrations":
        shown = [each["registrationId"] for each in json.loads(answer.body)["value"]]
        there = cell.expected == "yes" and cell.whose != "nobody's"
        assert (answer.status, shown) == (200, [row.id] if there else [])
    elif cell.expected == "yes":
        assert told(answer) == (SUCCESS.get(cell.call, 202), "")
    else:
        assert told(answer) == ANSWERS[cell.expected]
        assert (registry.rows, world.queue) == (before, [])


@pytest.mark.parametrize("name", sorted(web.CALLS))
def test_a_forged_principal_with_every_role_opens_no_call_without_the_platforms_word(name: str) -> None:
    caller = Caller(SELF, CallerKind.USER, frozenset(Role), frozenset({GROUP}), "Somebody")
    for settings in ({"WEBSITE_AUTH_ENABLED": "False"}, {"WEBSITE_AUTH_V2_CONFIG_JSON": "{}"}):
        world = World(settings=ENTRA | settings)
        row = row_for(world, name, SELF)
        forged = headers_of(caller) | {"x-ms-client-principal-id": SELF, "x-ms-client-principal-idp": "aad"}
        for headers in (forged, headers_of(caller, world.emulator), forged | {"on-behalf-of": SELF}):
            answer = world.call(web.CALLS[name], call_about(name, row, row.id, headers))
            assert told(answer) == (401, "unauthenticated")


@pytest.mark.parametrize("name", sorted(web.CALLS))
def test_a_caller_in_201_groups_is_told_so_by_every_call(name: str) -> None:
    world = World(settings=ENTRA)
    carol = ACCOUNTS["carol"]
    assert len(carol.groups) == 201
    row = row_for(world, name, carol.object_id)
    headers = {"x-ms-client-principal": principal_of(carol.claims(world.emulator.tenant_id))}
    call = replace(call_about(name, row, row.id, headers), method="GET")
    assert told(world.call(web.CALLS[name], call)) == (403, "groups-not-in-token")
