"""The tables are gone, and `rebuild` brings every active registration back; rotation goes on."""

import functools
import json
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from dev.emulator import Fault
from dev.emulator.client import Client
from provisioning.domain.errors import TryAgain
from provisioning.domain.events import What
from provisioning.domain.registration import Registration, Status
from provisioning.flow.resolve import claim_server
from tests.worlds.certificates import YEAR, a_certificate
from tests.worlds.checker import check
from tests.worlds.command_line import Ran, typed
from tests.worlds.deaths import dying, noting
from tests.worlds.memory import MemoryRegistry
from tests.worlds.outside import Died, straight
from tests.worlds.request_bodies import (
    MANAGED,
    OTHER_OWNER,
    OWNER,
    a_confidential_client,
    a_policy,
    a_public_client,
    a_resource,
    a_service_client,
)
from tests.worlds.world import World

STRANGER = "99999999-0000-4000-8000-000000000001"
FEDERATED = {"type": "federated", "issuer": "https://token.actions.githubusercontent.com", "subject": "repo:o/r:ref:x"}
BODIES: dict[str, dict[str, Any]] = {
    "resource": a_resource(),
    "resource-v2": a_resource(
        fhirServerUrl="https://v2.contoso.example/Base",
        accessTokenVersion=2,
        scopes=["user_impersonation", "patient.Observation.rs"],
        appRoles=["globalReader", "own"],
        acceptMappedClaims=True,
        description="The second one.",
    ),
    "resource-elsewhere": a_resource(fhirServerUrl="https://fhir.elsewhere.example/r4"),
    "confidential": a_confidential_client(
        scopes=["user_impersonation", "openid", "offline_access"],
        logoutUrl="https://app.contoso.example/out",
        secretLifetime="P90D",
        autoRotate=True,
    ),
    "spa": a_public_client(),
    "native": a_public_client(platform="native", redirectUris=["com.example.app:/auth"], owner=OTHER_OWNER),
    "service": a_service_client(secretLifetime="P60D"),
    "service-managed": a_service_client(resource=MANAGED, appRoles=[]),
    "service-federated": a_service_client(credential=FEDERATED),
    "service-subjects": a_service_client(
        credential={"type": "federated", "issuer": FEDERATED["issuer"], "subjects": ["a", "b"]}
    ),
    "service-certificate": a_service_client(credential={"type": "certificate", "certificate": a_certificate().pem}),
}
# What only the tables knew, or what says when and by which run something was done.
LOST = {
    "operation": None,
    "updated_at": None,
    "due_at": None,
    "events": 0,
    "etag": None,
    "policy_version": "",
    "created_at": None,
    "clean_up_at": None,
    "findings": (),
    "agreement": None,
    "grants": (),
}


@functools.cache
def everything() -> tuple[World, dict[str, str]]:
    """A world with a registration of each kind, and the id of each; it is copied, and nothing happens in it."""
    world = World()
    return world, {name: str(world.registered(body)["registrationId"]) for name, body in BODIES.items()}


def a_world() -> tuple[World, dict[str, Registration]]:
    """A world of its own with a registration of each kind, and what is remembered of each."""
    world, identities = everything()
    return world.copy(), {name: world.row(identity) for name, identity in identities.items()}


def lose_the_tables(world: World) -> None:
    registry = world.registry
    assert isinstance(registry, MemoryRegistry)
    for each in (registry.rows, registry.entries, registry.names, registry.owned, registry.hours, registry.told):
        each.clear()
    registry.clients_of.clear()
    world.changes.clear()


def rebuilt(world: World, *options: str) -> Ran:
    return typed(world, "rebuild", "--apply", "--json", *options)


def remembered(row: Registration) -> Registration:
    """Return what of a registration has to come back as it was."""
    return replace(row, **LOST, row=None)  # type: ignore[arg-type]


@pytest.mark.parametrize("page_size", [None, 2])
def test_every_active_registration_is_back_as_it_was(page_size: int | None) -> None:
    world, before = a_world()
    lose_the_tables(world)
    world.emulator.faults.set(page_size=page_size)
    ran = rebuilt(world)
    assert (ran.code, ran.json["counts"]) == (0, {"restored": len(BODIES)})
    for name, row in before.items():
        assert world.row(row.id).status is Status.ACTIVE
        assert remembered(world.row(row.id)) == remembered(row), name


def test_all_goes_on_as_if_nothing_had_been_lost() -> None:
    world, before = a_world()
    keys = {name: row.secret.key_id for name, row in before.items() if row.secret is not None}
    lose_the_tables(world)
    assert rebuilt(world).code == 0
    world.settle()
    assert typed(world, "findings").code == 0
    for _ in range(2):  # the rotation, and the removal of what it replaced
        world.clock.time += timedelta(days=150)
        world.settle()
    check_but_for_the_past(world)
    assert all(world.row(before[name].id).secret.key_id != key_id for name, key_id in keys.items())  # type: ignore[union-attr]


def check_but_for_the_past(world: World) -> None:
    """Check every promise; the events before the loss are lost, and are not asked for."""
    for row in world.registry.find(top=1000).registrations:
        assert world.registry.events(row.id, top=1).events[0].what is What.REBUILT
    check(world)


CHANGED: dict[str, dict[str, Any]] = {
    "service-certificate": {"credential": {"certificate": a_certificate(life=YEAR).pem}},
    "service-federated": {"credential": {"subject": "repo:o/renamed:ref:x"}},
    "service-subjects": {"credential": {"subjects": ["b", "c"]}},
    "service": {"appRoles": ["globalExporter"], "secretLifetime": "P90D"},
    "confidential": {"scopes": ["user_impersonation"], "autoRotate": None, "serviceManagementReference": "SVC-1"},
    "resource-v2": {"scopes": ["fhirUser"], "appRoles": ["own", "globalAdmin"]},
}


def test_what_was_changed_is_back_as_it_became_and_what_was_given_up_goes_in_time() -> None:
    world, before = a_world()
    for name, body in CHANGED.items():
        assert world.change(before[name].id, body).status == 202
    world.settle()
    requests = {name: world.row(row.id).request for name, row in before.items()}
    lose_the_tables(world)
    assert rebuilt(world).code == 0
    world.settle()
    found = {name: world.row(row.id).request for name, row in before.items()}
    different = {name: (found[name], requests[name]) for name in found if found[name] != requests[name]}
    assert {name: each for name, each in different.items() if name != "confidential"} == {}
    assert world.row(before["confidential"].id).declared[0].value == "user_impersonation"
    world.live(timedelta(days=9))
    application = world.emulator.directory.application(app_id=before["service-certificate"].client_id or "")
    assert application is not None
    assert [each["endDateTime"][:4] for each in application.last_body["keyCredentials"]] == ["2027"]


def test_a_change_and_a_deletion_go_on() -> None:
    world, before = a_world()
    world.change(before["confidential"].id, {"displayName": "Changed once"})
    world.deliver()
    lose_the_tables(world)
    rebuilt(world)
    world.settle()
    identity = before["confidential"].id
    assert world.row(identity).change == 1
    assert world.change(identity, {"displayName": "Changed twice"}).status == 202
    assert world.delete(before["spa"].id).status == 202
    world.settle()
    assert world.get(identity)["displayName"] == "Changed twice"
    assert world.row(before["spa"].id).status is Status.DELETED
    application = world.emulator.directory.application(unique_name=before["confidential"].unique_name)
    assert application is not None
    assert application.last_body["displayName"] == "Changed twice"


def test_an_idempotency_key_gives_the_same_registration_as_before() -> None:
    world = World()
    first = world.post(BODIES["service-managed"], key="once")
    world.deliver()
    lose_the_tables(world)
    rebuilt(world)
    again = world.post(BODIES["service-managed"], key="once")
    assert again.status == 202
    assert json.loads(again.body)["registrationId"] == json.loads(first.body)["registrationId"]
    other = world.post(BODIES["service-managed"] | {"displayName": "Another"}, key="once")
    assert (other.status, json.loads(other.body)["code"]) == (409, "idempotency-key-reused")


def test_names_belong_to_whom_they_belonged() -> None:
    world, before = a_world()
    lose_the_tables(world)
    rebuilt(world)
    answer = world.post(a_resource(owner=OTHER_OWNER))
    assert answer.status == 409
    client = world.registered(a_service_client(resource=before["resource"].client_id))
    assert client["oauth"]["scope"] == "https://fhir.contoso.example/.default"


def test_the_places_of_owners_are_counted_again() -> None:
    world, _ = a_world()
    lose_the_tables(world)
    rebuilt(world)
    own = sum(body["owner"] == OTHER_OWNER for body in BODIES.values())
    assert [len(world.list(owner=each)["value"]) for each in (OWNER, OTHER_OWNER)] == [len(BODIES) - own, own]
    world.policy = a_policy({"id": "few", "kind": "registrations", "most": own})
    world.services = world.new_process()
    refused = world.post(a_service_client(resource=MANAGED, appRoles=[], owner=OTHER_OWNER))
    assert (refused.status, json.loads(refused.body)["code"]) == (403, "refused-by-policy")


def test_without_apply_nothing_is_written() -> None:
    world, _ = a_world()
    lose_the_tables(world)
    ran = typed(world, "rebuild", "--json")
    assert (ran.code, ran.json["applied"], ran.json["counts"]) == (0, False, {"restored": len(BODIES)})
    registry = world.registry
    assert isinstance(registry, MemoryRegistry)
    assert [registry.rows, registry.entries, registry.names, registry.owned] == [{}, set(), {}, {}]
    told = f"{len(BODIES)} restored. Nothing was written: --apply does it.\n"
    assert typed(world, "rebuild").out == told


def test_what_is_there_is_left_as_it_is() -> None:
    world, before = a_world()
    registry = world.registry
    assert isinstance(registry, MemoryRegistry)
    del registry.rows[before["spa"].id]
    rows = dict(registry.rows)
    assert rebuilt(world).json["counts"] == {"restored": 1, "there": len(BODIES) - 1}
    assert {identity: row for identity, row in registry.rows.items() if identity in rows} == rows
    assert rebuilt(world).json["counts"] == {"there": len(BODIES)}


def test_a_rebuild_that_dies_anywhere_is_run_again() -> None:
    """A resource and a client of it; the process dies before and after each of its writes."""
    names, alive = ("resource", "service"), World()
    for name in names:
        alive.registered(BODIES[name])

    def one() -> World:
        world = alive.copy()
        lose_the_tables(world)
        return world

    world, writes = one(), list[str]()
    world.outside = noting(writes)
    assert rebuilt(world).code == 0
    assert len(writes) > 5
    for number, after in product(range(len(writes)), (False, True)):
        world = one()
        world.outside = dying(number, after=after)
        with pytest.raises(Died):
            rebuilt(world)
        world.outside = straight
        assert rebuilt(world).code == 0
        world.settle()
        check_but_for_the_past(world)
        assert len(world.registry.find(top=100).registrations) == len(names)


def test_what_passes_with_time_is_waited_out() -> None:
    world, _ = a_world()
    lose_the_tables(world)
    world.emulator.faults.add(Fault("throttle", "graph.readServicePrincipal", times=5, retry_after=10))
    world.emulator.faults.add(Fault("status", "vault.getSecret", status=503, times=3))
    assert rebuilt(world).json["counts"] == {"restored": len(BODIES)}


def test_whichever_call_to_storage_is_not_answered_once_each_is_restored_whole() -> None:
    alive = World()
    for name in ("resource", "service"):
        alive.registered(BODIES[name])
    for number in range(60):
        world, calls = alive.copy(), list[str]()
        lose_the_tables(world)

        def outside(name: str, action: Any, number: int = number, calls: list[str] = calls) -> Any:
            if name.startswith("registry."):
                calls.append(name)
                if len(calls) == number + 1:
                    raise TryAgain("storage-unavailable", "Table storage could not answer.")
            return action()

        world.outside = outside
        assert rebuilt(world).json["counts"] == {"restored": 2}, calls[-1]
        if len(calls) <= number:
            assert number > 8
            return
    raise AssertionError("there are more calls than failures")


def test_what_lasts_is_4_and_a_second_run_does_the_rest() -> None:
    world, _ = a_world()
    lose_the_tables(world)
    world.emulator.faults.add(Fault("status", "vault.*", status=503, times=None))
    ran = rebuilt(world)
    assert (ran.code, ran.err.splitlines()[-1].partition(":")[0]) == (4, "vault-unavailable")
    world.emulator.faults.clear()
    assert rebuilt(world).code == 0
    assert len(world.registry.find(top=100).registrations) == len(BODIES)


def applications(world: World) -> dict[str, Any]:
    return {each.last_body["displayName"]: each for each in world.emulator.directory.records.values()}


def changed(world: World, identity: str, **properties: Any) -> None:
    """Somebody changes an application by hand."""
    [found] = [each for each in world.emulator.directory.records.values() if identity in str(each.last_body["tags"])]
    found.last_body = found.last_body | properties
    found.body.put(world.clock.now(), found.last_body)


def test_notes_that_somebody_wrote_over_cost_the_contact_and_no_more() -> None:
    world, before = a_world()
    names = ("resource", "resource-elsewhere", "service", "confidential")
    for name in names:
        changed(world, before[name].id, notes="somebody's own")
    lose_the_tables(world)
    assert rebuilt(world).code == 0
    world.settle()
    for name in names:
        row = world.row(before[name].id)
        assert row.request.contact == "contact-lost@registrar.invalid"
        assert [each.code for each in row.findings] == ["notes-changed"]
    resource = world.row(before["resource"].id).request
    assert getattr(resource, "fhir_server_url", None) == "https://fhir.contoso.example"
    elsewhere = world.row(before["resource-elsewhere"].id).request
    assert getattr(elsewhere, "fhir_server_url", None) == "https://fhir.elsewhere.example/r4"
    assert getattr(world.row(before["service"].id).request, "resource", None) == before["resource"].client_id


@pytest.mark.parametrize(
    ("properties", "why"),
    [
        ({"tags": ["fhir-registrar", "fhir-registrar:id=x"]}, "its tag fhir-registrar:id is missing"),
        ({"signInAudience": "AzureADMultipleOrgs"}, "its signInAudience is not AzureADMyOrg"),
    ],
)
def test_an_application_without_its_marks_is_named(properties: dict[str, Any], why: str) -> None:
    world = World()
    identity = str(world.registered(BODIES["service-managed"])["registrationId"])
    lose_the_tables(world)
    changed(world, identity, **properties)
    ran = rebuilt(world)
    assert (ran.code, ran.json["counts"]) == (1, {"lost": 1})
    assert ran.json["applications"][0]["why"].startswith(why)


def test_two_applications_with_the_same_mark_are_both_left_alone() -> None:
    world = World()
    one, other = (str(world.registered(BODIES["service-managed"])["registrationId"]) for _ in range(2))
    changed(world, other, tags=[each.replace(other, one) for each in tags_of(world, other)])
    lose_the_tables(world)
    ran = rebuilt(world)
    assert (ran.code, ran.json["counts"]) == (1, {"lost": 2})


def test_a_mark_that_somebody_copied_to_an_application_of_their_own_takes_nothing_away() -> None:
    world = World()
    one, other = (str(world.registered(BODIES["service-managed"])["registrationId"]) for _ in range(2))
    [copied] = [each for each in world.emulator.directory.records.values() if other in str(each.last_body["tags"])]
    changed(world, other, tags=[each.replace(other, one) for each in tags_of(world, other)])
    copied.owners = {STRANGER}
    lose_the_tables(world)
    ran = rebuilt(world)
    assert (ran.code, ran.json["counts"]) == (0, {"another's": 1, "restored": 1})
    assert world.row(one).client_id != copied.app_id


def tags_of(world: World, identity: str) -> list[str]:
    return next(
        list(each.last_body["tags"])
        for each in world.emulator.directory.records.values()
        if identity in str(each.last_body["tags"])
    )


def test_what_another_installation_owns_is_left_alone() -> None:
    world = World()
    identity = str(world.registered(BODIES["service-managed"])["registrationId"])
    [application] = world.emulator.directory.records.values()
    application.owners = {STRANGER}
    lose_the_tables(world)
    assert rebuilt(world).json["counts"] == {"another's": 1}
    assert world.registry.get(identity) is None
    assert rebuilt(world, "--any-owner").json["counts"] == {"restored": 1}


def test_what_was_not_finished_is_finished() -> None:
    world = World()
    world.emulator.faults.add(Fault("status", "vault.setSecret", status=503, times=None))
    identity = json.loads(world.post(BODIES["service-managed"]).body)["registrationId"]
    world.deliver()
    world.queue.clear()
    world.emulator.faults.clear()
    lose_the_tables(world)
    assert rebuilt(world).json["counts"] == {"unfinished": 1}
    world.settle()
    assert world.row(identity).status is Status.ACTIVE


def test_what_a_newer_version_wrote_is_there() -> None:
    world, before = a_world()
    assert isinstance(world.registry, MemoryRegistry)
    world.registry.unreadable.add(before["spa"].id)
    assert rebuilt(world).json["counts"] == {"there": len(BODIES)}


def test_what_needs_a_person_is_told_with_the_reason() -> None:
    world = World()
    world.registered(BODIES["service-managed"])
    lose_the_tables(world)
    world.emulator.faults.set(vault_denied=True)
    ran = rebuilt(world)
    assert (ran.code, ran.json["counts"]) == (1, {"lost": 1})
    assert ran.json["applications"][0]["why"].startswith("vault-denied: ")
    told = typed(world, "rebuild").out
    assert ran.json["applications"][0]["why"] in told
    assert told.endswith("1 lost. Nothing was written: --apply does it.\n")


def test_a_client_whose_server_is_not_finished_is_finished_after_it() -> None:
    world = World()
    server = str(world.registered(BODIES["resource"])["registrationId"])
    client = str(world.registered(BODIES["service"])["registrationId"])
    principal = world.row(server).service_principal_id
    lose_the_tables(world)
    Client(world.emulator).graph("DELETE", f"/servicePrincipals/{principal}")
    assert rebuilt(world).json["counts"] == {"unfinished": 2}
    world.settle()
    assert [world.row(each).status for each in (server, client)] == [Status.ACTIVE, Status.ACTIVE]


def test_the_event_names_who_rebuilt_it() -> None:
    world = World()
    identity = str(world.registered(BODIES["service-managed"])["registrationId"])
    lose_the_tables(world)
    rebuilt(world)
    [event] = typed(world, "events", identity, "--json").json
    assert (event["what"], event["actor"]["kind"]) == ("rebuilt", "application")


def test_the_clients_of_a_resource_are_listed_again_before_any_of_them_is_looked_at() -> None:
    world, before = a_world()
    server = before["resource"].id
    clients = {each.registration_id for each in world.registry.clients(server, top=99).clients}
    lose_the_tables(world)
    rebuilt(world)
    assert len(clients) > 3
    assert {each.registration_id for each in world.registry.clients(server, top=99).clients} == clients


def test_a_server_whose_url_somebody_else_has_by_now_is_named_and_not_given_it_back() -> None:
    world = World()
    row = world.row(str(world.registered(BODIES["resource"])["registrationId"]))
    lose_the_tables(world)
    somebodys = replace(row, id=f"{'0' * 8}{row.id[8:]}")
    assert world.registry.insert(somebodys) is not None
    assert claim_server(world.registry, somebodys, "https://fhir.contoso.example", world.clock.now()) is None
    ran = rebuilt(world)
    assert (ran.code, ran.json["counts"]) == (1, {"lost": 1})
    assert ran.json["applications"][0]["why"] == "another registration has its FHIR server's URL"
    assert [each.id for each in world.registry.find(top=9).registrations] == [somebodys.id]


def test_a_client_whose_server_is_gone_is_back_without_it() -> None:
    world = World()
    server = str(world.registered(BODIES["resource"])["registrationId"])
    client = str(world.registered(a_service_client(appRoles=[]))["registrationId"])
    Client(world.emulator).graph("DELETE", f"/applications/{world.row(server).application_object_id}")
    world.clock.time += timedelta(hours=1)
    lose_the_tables(world)
    assert rebuilt(world).json["counts"] == {"restored": 1}
    assert (world.row(client).status, world.row(client).resource) == (Status.ACTIVE, None)


def test_the_identity_that_owns_what_is_ours_is_that_of_the_app_whoever_runs_it() -> None:
    world = World()
    world.registered(BODIES["service-managed"])
    [application] = world.emulator.directory.records.values()
    application.owners = {STRANGER}
    lose_the_tables(world)
    settings = replace(world.settings, tenant=replace(world.settings.tenant, registrar_object_id=STRANGER))
    world.settings = settings
    world.services = world.new_process()
    assert rebuilt(world).json["counts"] == {"restored": 1}


def test_only_a_service_client_without_a_secret_is_asked_for_its_federated_credentials() -> None:
    world, _ = a_world()
    lose_the_tables(world)
    world.emulator.calls.clear()
    rebuilt(world)
    asked = [each for each in world.emulator.calls if "ederated" in each.operation]
    assert len(asked) == len({"service-federated", "service-subjects", "service-certificate"} & BODIES.keys())
