"""How the directory asks Microsoft Graph: what is asked again, what is remembered, and what an absent answer means."""

import base64
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from dev.emulator import Fault
from dev.emulator.client import Client
from dev.emulator.constants import TENANT_ID
from provisioning.domain.directory import Application, TrustedToken
from provisioning.domain.errors import OutcomeUnknown, TryAgain
from provisioning.domain.manifest import TAG
from provisioning.ports import Directory
from tests.worlds.certificates import YEAR, a_certificate
from tests.worlds.request_bodies import a_resource
from tests.worlds.steps import operations, refused_with
from tests.worlds.world import World

MOMENT = timedelta(microseconds=1)
BODY = {"displayName": "An application", "signInAudience": "AzureADMyOrg", "tags": [TAG, f"{TAG}:id=one"]}
TOKEN = TrustedToken("ours", "https://issuer.example", "subject", "api://AzureADTokenExchange")


def with_secret(world: World) -> dict[str, Any]:
    ends = (world.clock.now() + timedelta(days=1)).isoformat()
    return {**BODY, "passwordCredentials": [{"displayName": "registrar:x", "endDateTime": ends}]}


def made(directory: Directory) -> Application:
    application = directory.create_application(BODY)
    directory.create_service_principal(application.client_id)
    return application


# --- what is created ------------------------------------------------------------------------------------------------


def test_for_an_hour_no_secret_is_asked_for_at_birth_where_the_tenant_refuses_it(
    world: World, directory: Directory
) -> None:
    world.emulator.faults.set(inline_secret_refused=True)
    costs = []
    for passed in (timedelta(), timedelta(hours=1) - MOMENT, MOMENT):
        world.clock.time += passed
        before = operations(world)["graph.createApplication"]
        assert directory.create_application(with_secret(world)).secret is None
        costs.append(operations(world)["graph.createApplication"] - before)
    assert costs == [2, 1, 2]


@pytest.mark.parametrize(
    ("status", "theirs", "ours"),
    [
        (403, "Authorization_RequestDenied", "permission-missing"),
        (404, "Request_ResourceNotFound", "graph-not-found"),
        (404, "Directory_ObjectNotFound", "not-replicated-yet"),
        (503, "", "graph-unavailable"),
    ],
)
def test_what_is_refused_for_another_reason_is_asked_once(
    world: World, directory: Directory, status: int, theirs: str, ours: str
) -> None:
    world.emulator.faults.add(Fault("status", "graph.createApplication", status=status, code=theirs))
    assert refused_with(lambda: directory.create_application(with_secret(world))) == ours
    assert operations(world)["graph.createApplication"] == 1
    assert directory.create_application(with_secret(world)).secret is not None


def test_an_application_without_a_secret_is_refused_once_whatever_the_refusal_says_of_secrets(
    world: World, directory: Directory
) -> None:
    said = "Property 'passwordCredentials' is not allowed."
    refusing = Fault("status", "graph.createApplication", status=400, code="Request_BadRequest", message=said)
    world.emulator.faults.add(refusing)
    assert refused_with(lambda: directory.create_application(BODY)) == "graph-refused"
    assert operations(world)["graph.createApplication"] == 1


def test_a_service_principal_that_exists_is_read_and_one_that_cannot_be_is_waited_for(
    world: World, directory: Directory
) -> None:
    application = directory.create_application(BODY)
    first = directory.create_service_principal(application.client_id)
    assert operations(world)["graph.readServicePrincipal"] == 0
    assert directory.create_service_principal(application.client_id) == first
    world.emulator.faults.add(
        Fault("status", "graph.readServicePrincipal", status=404, code="Request_ResourceNotFound")
    )
    assert refused_with(lambda: directory.create_service_principal(application.client_id)) == "not-replicated-yet"


@pytest.mark.parametrize(
    ("fault", "unknown"),
    [
        (Fault("status", "graph.addPassword", status=503), True),
        (Fault("status", "graph.addPassword", status=503, code="Directory_ConcurrencyViolation"), False),
        (Fault("status", "graph.addPassword", status=400, code="Directory_ConcurrencyViolation"), False),
        (Fault("reset", "graph.addPassword"), True),
    ],
)
def test_whether_a_secret_was_minted_is_unknown_where_the_request_may_have_taken_effect(
    world: World, directory: Directory, fault: Fault, *, unknown: bool
) -> None:
    application = made(directory)
    world.emulator.faults.add(fault)
    with pytest.raises((OutcomeUnknown, TryAgain)) as raised:
        directory.add_secret(application.object_id, "registrar:x", world.clock.now() + timedelta(days=1))
    assert isinstance(raised.value, OutcomeUnknown) is unknown


def test_a_federated_credential_that_is_there_is_returned_as_it_is(world: World, directory: Directory) -> None:
    object_id = made(directory).object_id
    assert directory.trust_token(object_id, TOKEN) == TOKEN
    other = TrustedToken("other", TOKEN.issuer, "another", TOKEN.audience)
    assert directory.trust_token(object_id, other) == other
    assert operations(world)["graph.listFederatedCredentials"] == 0
    by_claims = TrustedToken("otherwise", TOKEN.issuer, TOKEN.subject, TOKEN.audience)
    by_name = TrustedToken("other", TOKEN.issuer, "a third", TOKEN.audience)
    assert (directory.trust_token(object_id, by_claims), directory.trust_token(object_id, by_name)) == (TOKEN, other)
    assert set(directory.trusted_tokens(object_id)) == {TOKEN, other}
    hidden = Fault("status", "graph.listFederatedCredentials", status=404, code="Request_ResourceNotFound", times=2)
    world.emulator.faults.add(hidden)
    assert refused_with(lambda: directory.trust_token(object_id, TOKEN)) == "not-replicated-yet"
    assert directory.trusted_tokens(object_id) == ()
    for _ in range(2):
        directory.distrust_token(object_id, "ours")
    assert directory.trusted_tokens(object_id) == (other,)


# --- what is remembered ---------------------------------------------------------------------------------------------


def test_who_is_disabled_and_which_resources_there_are_is_remembered_for_ten_minutes(
    world: World, directory: Directory
) -> None:
    resource = world.registered(a_resource())["clientId"]
    world.emulator.calls.clear()
    principal = directory.find_resource(resource)
    assert principal is not None
    for passed, times in ((timedelta(), 1), (timedelta(minutes=10) - MOMENT, 1), (MOMENT, 2)):
        world.clock.time += passed
        assert directory.find_resource(resource) == principal
        assert directory.disabled_clients() == set()
        told = operations(world)
        assert (told["graph.readServicePrincipal"], told["graph.listServicePrincipals"]) == (times, times)


def test_a_resource_that_was_not_found_is_looked_for_again(world: World, directory: Directory) -> None:
    for name in ("api://nobody's", "99999999-aaaa-4aaa-8aaa-000000000009"):
        assert directory.find_resource(name) is None
        assert directory.find_resource(name) is None
    told = operations(world)
    assert (told["graph.readServicePrincipal"], told["graph.listServicePrincipals"]) == (2, 2)


# --- what is listed -------------------------------------------------------------------------------------------------


ASKS: dict[str, Callable[[Directory], Any]] = {
    "applications": lambda directory: directory.marked_applications(None),
    "manifests": lambda directory: directory.marked_manifests(None),
    "disabled": lambda directory: directory.disabled_clients(),
}


@pytest.mark.parametrize("ask", ASKS.values(), ids=ASKS)
@pytest.mark.parametrize("broken", ["not there", "away", "lost", "without its next page"])
def test_a_list_that_is_not_there_is_no_list_that_is_empty(
    world: World, directory: Directory, ask: Callable[[Directory], Any], broken: str
) -> None:
    def outside(_name: str, action: Callable[[], Any]) -> Any:
        answer = action()
        if broken == "without its next page":
            link = {"@odata.nextLink": "https://graph.microsoft.com/v1.0/applications"}
            answer._content = json.dumps(answer.json() | link).encode()  # noqa: SLF001 -- requests has no other way to change one
        return answer

    faults = {
        "not there": Fault("status", "graph.list*", status=404, code="Request_ResourceNotFound"),
        "away": Fault("status", "graph.list*", status=503),
        "lost": Fault("reset", "graph.list*", "after"),
    }
    if broken in faults:
        world.emulator.faults.add(faults[broken])
    world.outside = outside
    assert refused_with(lambda: ask(directory)) == "graph-unavailable"
    assert sum(operations(world).values()) == 1


def test_each_list_is_read_to_its_last_page(world: World, directory: Directory) -> None:
    entra, disabled = Client(world.emulator), set()
    for number in range(3):
        application = directory.create_application({**BODY, "tags": [TAG, f"{TAG}:id={number}"][: number + 1]})
        principal = directory.create_service_principal(application.client_id)
        entra.graph("PATCH", f"/servicePrincipals/{principal}", {"accountEnabled": False, "tags": [TAG]})
        disabled.add(application.client_id)
    world.emulator.faults.set(page_size=1)
    assert directory.disabled_clients() == disabled
    ids, names, token = list[str](), list[str](), None
    for _ in range(3):
        page, manifests = directory.marked_applications(token), directory.marked_manifests(token)
        ids += page.registration_ids
        names += [each["displayName"] for each in manifests.manifests]
        token = page.continuation_token
    assert (sorted(ids), len(names), token) == (["1", "2"], 3, None)


def test_of_as_many_owners_as_graph_shows_beside_an_application_all_are_asked_for(
    world: World, directory: Directory
) -> None:
    object_id = made(directory).object_id
    there = world.emulator.directory.application(object_id=object_id)
    assert there is not None
    for owners, asked in ((19, 0), (20, 1), (25, 2)):
        there.owners |= {world.emulator.directory.add_principal() for _ in range(owners - len(there.owners))}
        told = directory.read_application(object_id, owners=True)
        assert told is not None
        assert told.owners == frozenset(there.owners)
        assert operations(world)["graph.listOwners"] == asked
    untold = directory.read_application(object_id)
    assert untold is not None
    assert untold.owners is None
    assert directory.delete_application(object_id)
    assert directory.read_application(object_id, owners=True) is None
    assert directory.owners_of(object_id) == set()


# --- what is changed ------------------------------------------------------------------------------------------------


CHANGES: dict[str, Callable[[Directory, str], Any]] = {
    "graph.updateApplication": lambda directory, id_: directory.update_application(id_, {"notes": ""}),
    "graph.deleteApplication": lambda directory, id_: directory.delete_application(id_),
    "graph.createServicePrincipal": lambda directory, _: made(directory),
    "graph.createFederatedCredential": lambda directory, id_: directory.trust_token(id_, TOKEN),
    "graph.deleteFederatedCredential": lambda directory, id_: directory.distrust_token(id_, "ours"),
    "graph.createApplication": lambda directory, _: made(directory),
    "graph.removePassword": lambda directory, id_: directory.remove_secret(id_, TENANT_ID),
}


@pytest.mark.parametrize("operation", CHANGES)
def test_what_could_not_be_done_is_said(world: World, directory: Directory, operation: str) -> None:
    object_id = made(directory).object_id
    directory.trust_token(object_id, TOKEN)
    refusals = {
        "graph-unavailable": Fault("reset", operation),
        "permission-missing": Fault("status", operation, status=403, code="Authorization_RequestDenied"),
        "not-replicated-yet": Fault("status", operation, status=404, code="Directory_ObjectNotFound"),
    }
    for ours, fault in refusals.items():
        world.emulator.faults.add(fault)
        assert refused_with(lambda: CHANGES[operation](directory, object_id)) == ours


def test_a_certificate_is_added_once_and_beside_the_others_and_removed_alone(
    world: World, directory: Directory
) -> None:
    def key(number: int) -> dict[str, str]:
        der = (a_certificate() if number == 1 else a_certificate(life=YEAR)).der
        return {"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.b64encode(der).decode()}

    def keys() -> list[str]:
        return [each.key for each in directory.certificates(object_id) or ()]

    object_id = made(directory).object_id
    directory.remove_certificates(object_id, [])
    for number, writes in ((1, 1), (1, 1), (2, 2)):
        directory.add_certificate(object_id, key(number))
        assert operations(world)["graph.updateApplication"] == writes
    assert sorted(keys()) == sorted(key(number)["key"] for number in (1, 2))
    [first, _] = directory.certificates(object_id) or ()
    for gone in (TENANT_ID, first.key_id, first.key_id):
        directory.remove_certificates(object_id, [gone])
    assert operations(world)["graph.updateApplication"] == 3
    assert first.key not in keys()
    assert len(keys()) == 1
    assert refused_with(lambda: directory.add_certificate(TENANT_ID, key(1))) == "not-replicated-yet"
    assert directory.certificates(TENANT_ID) is None
    world.emulator.faults.add(
        Fault("status", "graph.updateApplication", status=400, code="KeyCredentialsInvalidEndDate")
    )
    assert refused_with(lambda: directory.add_certificate(object_id, key(1))) == "certificate-refused"
    world.emulator.faults.add(
        Fault("status", "graph.updateApplication", status=400, code="KeyCredentialsInvalidEndDate")
    )
    assert refused_with(lambda: directory.update_application(object_id, {"notes": ""})) == "graph-refused"


# --- what is read ---------------------------------------------------------------------------------------------------


def test_an_application_is_found_by_its_unique_name_and_in_full_by_its_client_id(
    world: World, directory: Directory
) -> None:
    created = directory.create_application({**BODY, "uniqueName": "one"})
    found, manifest = directory.find_application("one"), directory.read_manifest(created.client_id)
    assert found is not None
    assert manifest is not None
    assert (found.object_id, found.client_id) == (created.object_id, created.client_id)
    assert (manifest["id"], manifest["uniqueName"]) == (created.object_id, "one")
    assert directory.find_application("other") is None
    assert directory.read_manifest(TENANT_ID) is None
    end = world.clock.now() + timedelta(days=1)
    minted = directory.add_secret(created.object_id, "registrar:x", end)
    assert (minted.minted_at, minted.expires_at, bool(minted.text)) == (world.clock.now(), end, True)
    [credential] = (directory.read_application(created.object_id) or created).credentials
    assert (credential.key_id, credential.label) == (minted.key_id, "registrar:x")
