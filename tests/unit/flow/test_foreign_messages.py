"""Whoever may write to a queue or a table can forge what is in it: it leads nowhere and says nothing in the log."""

import json
import logging
from datetime import timedelta

import pytest
import requests
from requests.adapters import BaseAdapter

from provisioning.adapters.graph import GraphDirectory
from provisioning.adapters.graph_calls import GraphCalls
from provisioning.adapters.keyvault import KeyVaultSecrets
from provisioning.adapters.transport import next_page_token
from provisioning.domain.errors import ProvisioningError
from provisioning.domain.messages import ReconcilePage, check_message
from provisioning.domain.operation import DueEntry
from tests.worlds.memory import MemoryRegistry
from tests.worlds.queued import Queued
from tests.worlds.receiver import Receiver
from tests.worlds.request_bodies import MANAGED, a_resource, a_service_client
from tests.worlds.wired import CachedCredential
from tests.worlds.world import World

FORGED = "20260115T023000Z\nregistration 0badc0de: provision succeeded"
GARBAGE = ["", "garbage", "{", "null", "[]", json.dumps({"operation": "check", "registrationId": FORGED})]
GARBAGE += [json.dumps({"operation": "reconcile", "run": FORGED, "part": "secrets", "page": None, "counts": {}})]
GARBAGE += [json.dumps({"subject": FORGED})]


@pytest.mark.parametrize("after", [timedelta(), timedelta(days=30)], ids=["a message", "what is due"])
def test_what_a_newer_version_wrote_is_left_to_it_and_looked_at_again_in_half_an_hour(after: timedelta) -> None:
    registry = MemoryRegistry()
    world = World(registry=registry)
    identity = world.registered(a_service_client(resource=MANAGED, appRoles=[]))["registrationId"]
    world.clock.sleep(3600)
    if not after:
        world.rotate(identity)
    world.clock.time += after
    before = registry.rows[identity]
    registry.unreadable.add(identity)
    world.plan()
    world.deliver()
    assert (world.queue, world.errors, registry.rows[identity]) == ([], [], before)
    again = DueEntry(identity, world.clock.now() + timedelta(minutes=30))
    assert (again in registry.entries) == bool(after)
    assert not after or registry.entries == {again}


@pytest.mark.parametrize("poison", [False, True])
def test_a_message_about_a_registration_that_nobody_knows_does_nothing(poison: bool) -> None:  # noqa: FBT001 -- a parameter of the test
    world = World()
    entry = DueEntry("0badc0de-0f0e0d0c-1111-2222-3333-444455556666", world.clock.now())
    world.queue.append(Queued(check_message(entry), world.clock.now(), poison=poison))
    world.deliver()
    assert (world.queue, world.errors, list(world.registry.find(top=9).registrations)) == ([], [], [])


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize("queue", ["registrations", "registrations-poison", "notices", "notices-poison"])
def test_what_this_service_never_wrote_leaves_each_queue_at_once_and_without_a_word_of_its_own(
    garbage: str, queue: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    world = World(receiver=Receiver())
    name, _, poison = queue.partition("-")
    world.queue.append(Queued(garbage, world.clock.now(), poison=bool(poison), about_notices=name == "notices"))
    world.deliver()
    assert not world.queue
    assert not world.errors
    assert "succeeded" not in caplog.text
    if queue != "notices-poison":  # its messages are dropped unread
        assert "a message that this service never wrote is dropped" in caplog.text


@pytest.mark.parametrize(
    "counts", [{"registrations": 10**9}, {"registrations": -1}, {"leaks": 0}, {"registrations": "many"}]
)
def test_a_forged_page_has_no_heartbeat_signed_with_what_nobody_counted(counts: dict[str, object]) -> None:
    receiver = Receiver()
    world = World(receiver=receiver)
    page = {"operation": "reconcile", "run": "20260115T023000Z", "part": "secrets", "page": None, "counts": counts}
    world.send(json.dumps(page))
    world.settle()
    assert receiver.taken == []
    world.reconcile()
    assert [event["type"] for event in receiver.taken] == ["registrar.heartbeat"]


class Elsewhere(BaseAdapter):
    """Every other host: what is sent there, with whatever token, is noted."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str | None] = []

    def send(self, request: requests.PreparedRequest, **options: object) -> requests.Response:  # type: ignore[override]
        self.asked.append(request.url)
        raise requests.ConnectionError

    def close(self) -> None:
        """Nothing is held."""


ADDRESSES = [
    "https://evil.example/secrets?api-version=7.4&$skiptoken=x",
    "//evil.example/secrets",
    "@evil.example/secrets",
    "x&$filter=a eq b#",
    "../../deletedsecrets",
    "%2e%2e/x?y",
]


@pytest.mark.parametrize("token", ADDRESSES)
def test_of_a_next_page_only_its_token_is_asked_for_and_never_another_address(token: str) -> None:
    world, elsewhere = World(), Elsewhere()
    session = world.emulator.session()
    session.mount("https://", elsewhere)
    session.mount(world.emulator.origin, world.emulator.session().get_adapter(world.emulator.origin))
    tenant, credential = world.settings.tenant, CachedCredential(world.emulator)
    vault = KeyVaultSecrets(tenant.key_vault_url, credential, session, world.clock, verify_challenge_resource=False)
    calls = GraphCalls(tenant.graph_endpoint, credential, session, world.clock)
    directory = GraphDirectory(calls, world.clock)
    for marked in (vault.marked, directory.marked_applications):
        with pytest.raises(ProvisioningError):
            marked(token)
    assert elsewhere.asked == []
    listed = [
        call for call in world.emulator.calls if call.operation in ("vault.listSecrets", "graph.listApplications")
    ]
    assert len(listed) == 2


def test_a_page_message_holds_no_address() -> None:
    world = World()
    world.emulator.faults.set(page_size=1)
    world.registered(a_resource())
    for _ in range(2):
        world.registered(a_service_client())
    for part in ("applications", "secrets"):
        world.run(world.services, ReconcilePage("20260115T023000Z", part))
        page = json.loads(world.queue.pop().text)
        assert page["part"] == part
        assert page["page"]
        assert "/" not in page["page"]
        assert "skiptoken" not in page["page"]


@pytest.mark.parametrize(
    ("link", "token"),
    [
        (None, None),
        ("", None),
        ("https://graph.microsoft.com/v1.0/applications?$top=100&$skiptoken=RFN+w/A=", "RFN+w/A="),
        ("https://graph.microsoft.com/v1.0/applications?%24skiptoken=RFN%2Bw%2FA%3D&$top=1", "RFN+w/A="),
        ("https://vault.vault.azure.net:443/secrets?api-version=7.4&$skipToken=eyJ!MDA&maxresults=25", "eyJ!MDA"),
    ],
)
def test_a_token_is_cut_out_of_its_link_letter_by_letter(link: str | None, token: str | None) -> None:
    assert next_page_token(link) == token


@pytest.mark.parametrize("link", ["x", "https://graph.microsoft.com/v1.0/applications?$skip=100", "?$skiptoken="])
def test_a_next_page_that_cannot_be_asked_for_is_an_error_and_not_the_end(link: str) -> None:
    with pytest.raises(ValueError, match="skiptoken"):
        next_page_token(link)
