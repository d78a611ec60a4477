"""What it costs in requests to real storage that callers sign in, beside what a function key costs."""

import json
from typing import Any

import pytest
from azure.data.tables import TableServiceClient

from provisioning.adapters.tables import TableRegistry
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from tests.contract.test_scale import CountingTransport
from tests.worlds.clock import VirtualClock
from tests.worlds.request_bodies import MANAGED, a_service_client
from tests.worlds.signed_in import ALICE, ENTRA, TEAM, headers_of
from tests.worlds.world import World

CLIENT = a_service_client(resource=MANAGED, appRoles=[], owner=TEAM)
ASKED: dict[str, tuple[str, Any]] = {
    "submit_registration": ("POST", CLIENT),
    "show_registration": ("GET", None),
    "list_events": ("GET", None),
    "change_registration": ("PATCH", {"displayName": "Another name"}),
    "rotate_registration": ("POST", {"revokePrevious": False}),
    "delete_registration": ("DELETE", None),
}


def asked(world: World, name: str, registration_id: str, *, signed_in: bool) -> Answer:
    method, body = ASKED[name]
    headers = headers_of(ALICE, world.emulator) if signed_in else {}
    headers |= {"content-type": "application/json"} if body else {}
    raw = json.dumps(body).encode() if body else b""
    path = f"/api/registrations/{registration_id}"
    return world.call(web.CALLS[name], Call(path, headers, "", raw, registration_id, method))


def requests_of(azurite: str, name: str, *, signed_in: bool) -> list[str]:
    """Ask for it about a registration of one's team, and return the requests that it took."""
    transport = CountingTransport()
    with TableServiceClient.from_connection_string(azurite, retry_total=0, transport=transport) as tables:
        world = World(registry=TableRegistry(tables, VirtualClock()), settings=ENTRA if signed_in else None)
        made = json.loads(asked(world, "submit_registration", "", signed_in=signed_in).body)["registrationId"]
        world.deliver()
        transport.requests.clear()
        answer = asked(world, name, "" if name == "submit_registration" else made, signed_in=signed_in)
        spent = list(transport.requests)
        for table in tables.list_tables():
            tables.delete_table(table.name)
    assert answer.status in (200, 202), answer.body
    return spent


@pytest.mark.parametrize("name", ASKED)
def test_a_caller_who_signs_in_costs_at_most_one_read_and_one_write_more_than_a_function_key(
    azurite: str, name: str
) -> None:
    by_key, by_person = (requests_of(azurite, name, signed_in=each) for each in (False, True))
    reads = [sum(each.startswith("GET") for each in spent) for spent in (by_key, by_person)]
    assert reads[1] - reads[0] <= 1
    assert (len(by_person) - reads[1]) - (len(by_key) - reads[0]) <= 1
