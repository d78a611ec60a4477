"""Conditions that last: a tenant, a network or a clock that is so for a while, or until somebody mends it.

    service: lag 30 s, 3 replicas, told as alternate     Entra's replicas learn of a write up to 30 s late
    service: refused by quota                            fails at once; active once it is mended and retried
    public: no Graph for 780 min                         every call is answered 503 for 13 hours

Each is played until nothing is left to do, and ends with the check of all promises.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from dev.emulator import Fault, constants
from dev.emulator.client import Client
from dev.emulator.graph.records import Application
from provisioning.domain.errors import TryAgain
from provisioning.domain.registration import Registration, Status
from provisioning.flow.conclude import GIVEN_UP_AFTER
from tests.faults.pasts import a_world
from tests.faults.schedules import plays
from tests.worlds.checker import check
from tests.worlds.clock import VirtualClock
from tests.worlds.outside import Died, straight
from tests.worlds.queued import VISIBILITY_TIMEOUT
from tests.worlds.request_bodies import REQUESTS, a_resource
from tests.worlds.world import World

SECOND: Final = timedelta(seconds=1)
# What is promised, in figures of its own: a change of the product's must not change it.
STEP: Final = 8 * SECOND
ONE_DELIVERY: Final = 60 * SECOND
SECRET_HOLDERS: Final = ("confidential", "service")
# A resource with tokens of version 2 is changed after its creation: one more call that has to wait.
CLIENTS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    **REQUESTS,
    "resource-v2": partial(a_resource, fhirServerUrl="https://v2.contoso.example", accessTokenVersion=2),
}


# --- how each of them goes ------------------------------------------------------------------------------------------


def begin(client_type: str) -> World:
    """A world whose process has just started: no token of its own identity is kept from before."""
    world = a_world(client_type)
    world.services = world.new_process()
    world.emulator.calls.clear()
    return world


def submit(world: World, client_type: str) -> Registration:
    """POST it; it must be accepted."""
    answer = world.post(CLIENTS[client_type]())
    assert answer.status == 202, answer.body
    return world.row(json.loads(answer.body)["registrationId"])


def lasts(world: World, duration: timedelta) -> None:
    """Have all faults end after that time, whatever is under way by then."""
    ends_at = world.clock.now() + duration

    def outside(_name: str, action: Callable[[], Any]) -> Any:
        if world.clock.now() >= ends_at:
            world.emulator.faults.clear()
        return action()

    world.outside = outside


def lift(world: World) -> None:
    """End whatever is wrong with the world."""
    world.outside = straight
    world.emulator.faults.clear()


def ends_active(world: World, row: Registration) -> timedelta:
    """Let the platform play to the end, and check all promises; return the time from the request to `active`."""
    world.settle(timedelta(days=3))
    lift(world)
    world.clock.sleep(600)
    check(world)
    row = world.row(row.id)
    assert row.status is Status.ACTIVE, row.operation.failure
    return row.updated_at - row.operation.requested_at


def ends_failed(world: World, row: Registration, code: str) -> timedelta:
    """As above for one that ends `failed`, with that code and a remedy."""
    world.settle(timedelta(days=3))
    check(world)
    row = world.row(row.id)
    assert row.status is Status.FAILED, row.status
    assert row.operation.failure is not None
    assert row.operation.failure.code == code, row.operation.failure
    assert row.operation.failure.remedy
    return row.updated_at - row.operation.requested_at


def calls(world: World, prefix: str) -> list[int]:
    """The statuses of the calls of such an operation, in order."""
    return [call.status for call in world.emulator.calls if call.operation.startswith(prefix)]


def application_of(world: World, row: Registration) -> Application:
    application = world.emulator.directory.application(unique_name=row.unique_name)
    assert application is not None
    return application


def living_credentials(world: World, row: Registration) -> int:
    return len([each for each in application_of(world, row).passwords if each.removed_at is None])


# --- what passes ----------------------------------------------------------------------------------------------------


@plays(r"([\w-]+): lag (\d+) s, (\d+) replicas, told as (\w+)")
def lag(client_type: str, seconds: int, replicas: int, form: str) -> None:
    """Have Entra's replicas be late: it takes the lag and a back-off step for each write that must be seen first."""
    world = begin(client_type)
    world.emulator.faults.set(replication_lag=seconds, replicas=replicas, unreplicated_principal=form)
    took = ends_active(world, submit(world, client_type))
    assert took <= longest(client_type, seconds * SECOND), took
    refused = {status for status in calls(world, "graph.") if status >= 400}
    if replicas == 1 and seconds and client_type == "resource-v2":
        assert refused == {404}
    elif replicas == 1 and seconds:
        assert refused == {"alternate": {400, 403}, "badRequest": {400}, "forbidden": {403}}[form]


def longest(client_type: str, late: timedelta) -> timedelta:
    """The longest time from POST to `active`: the lag, one back-off step, and the proof where there is one.

    A step is what may lie between two attempts: eight seconds within a delivery, and a minute between two of them,
    for a lag that one delivery does not outlast. The proof needs a second object to be seen: it waits until the token
    endpoint knows the service principal, which could not be made before the application was seen.
    """
    until_made = late + (STEP if late + STEP <= ONE_DELIVERY else VISIBILITY_TIMEOUT)
    proof = late + STEP if client_type in SECRET_HOLDERS else timedelta(0)
    return until_made + proof


@plays(r"(\w+): secret known after (\d+) s, wavering for (\d+) s")
def slow_secret(client_type: str, seconds: int, wavering: int) -> None:
    """Have the token endpoint learn of new secrets late, for half an hour: what is unproven is not published."""
    world = begin(client_type)
    world.emulator.faults.set(secret_propagation=seconds, flapping=wavering)
    lasts(world, timedelta(minutes=30))
    row = submit(world, client_type)
    took = ends_active(world, row)
    known_after = (seconds + wavering) * SECOND
    if known_after < world.settings.secrets.proof_timeout:
        assert took <= known_after + STEP, took
    assert calls(world, "vault.setSecret") == [200]
    assert living_credentials(world, row) == 1


WRITES: Final = {"any": "graph.*", "credential": "graph.*Password"}


@plays(r"([\w-]+): concurrent with (any|credential) write for (\d+) s, told as (\d+)")
def concurrent_writes(client_type: str, what: str, seconds: int, status: int) -> None:
    """Have somebody write all the time, so that Entra refuses ours as concurrent."""
    world = begin(client_type)
    world.emulator.faults.set(inline_secret_refused=True)
    world.emulator.faults.add(Fault("concurrencyViolation", WRITES[what], times=None, status=status))
    lasts(world, seconds * SECOND)
    row = submit(world, client_type)
    ends_active(world, row)
    assert living_credentials(world, row) == (1 if row.holds_secret else 0)


@plays(r"(\w+): (\d+) secrets lost at once")
def lost_secrets(client_type: str, number: int) -> None:
    """Have other writes undo the adding of so many secrets: none of them is published, and another is minted."""
    world = begin(client_type)
    world.emulator.faults.set(inline_secret_refused=True)
    world.emulator.faults.add(Fault("lostUpdate", times=number))
    row = submit(world, client_type)
    ends_active(world, row)
    assert world.mints == number + 1
    assert calls(world, "vault.setSecret") == [200]
    assert living_credentials(world, row) == 1


OUTAGES: Final = {
    "Graph": Fault("status", "graph.*", times=None, retry_after=45),
    "vault": Fault("status", "vault.*", times=None, retry_after=45),
    "token endpoint": Fault("status", "token.*", times=None, retry_after=45),
    "identity": Fault("identityHiccup", times=None),
}


@plays(r"([\w-]+): no ([\w ]+) for (\d+) min")
def outage(client_type: str, what: str, minutes: int) -> None:
    """Have one of the services be down so long: the registration waits, and is active soon after."""
    world = begin(client_type)
    world.emulator.faults.add(OUTAGES[what])
    lasts(world, timedelta(minutes=minutes))
    took = ends_active(world, submit(world, client_type))
    assert timedelta(0) < took - timedelta(minutes=minutes) < timedelta(minutes=40), took


class WrongClock(VirtualClock):
    """The clock of a machine that is wrong by so much, always."""

    def __init__(self, right: VirtualClock, wrong_by: timedelta) -> None:
        self._right = right
        self._wrong_by = wrong_by
        super().__init__(right.time + wrong_by)

    @property
    def time(self) -> datetime:
        return self._right.time + self._wrong_by

    @time.setter
    def time(self, value: datetime) -> None:
        self._right.time = value - self._wrong_by


@plays(r"([\w-]+): our clock (\d+) min (ahead|behind)")
def wrong_clock(client_type: str, minutes: int, direction: str) -> None:
    """Have this app's clock differ from Entra's and the vault's, which also name a time by which to come again."""
    world = begin(client_type)
    world.clock = WrongClock(world.clock, timedelta(minutes=minutes if direction == "ahead" else -minutes))
    world.services = world.new_process()
    world.emulator.faults.add(Fault("throttle", "graph.createApplication", retry_after=11, form="httpDate"))
    assert ends_active(world, submit(world, client_type)) < timedelta(minutes=10)


# --- what a person must mend ----------------------------------------------------------------------------------------


def switched(**switches: object) -> Callable[[World], Any]:
    return lambda world: world.emulator.faults.set(**switches)


def answered(status: int, code: str, message: str = "Refused.") -> Callable[[World], Any]:
    fault = Fault("status", "graph.createApplication", times=None, status=status, code=code, message=message)
    return lambda world: world.emulator.faults.add(fault)


def take_permission(world: World) -> None:
    world.emulator.directory.revoke(constants.REGISTRAR_OBJECT_ID)


def give_permission(world: World) -> None:
    """An administrator grants it; it shows with the next token of its own."""
    directory = world.emulator.directory
    directory.grant(constants.REGISTRAR_OBJECT_ID, constants.GRAPH_PRINCIPAL_ID, constants.OWNED_BY)
    world.clock.sleep(3600)


def own_nothing(world: World) -> None:
    """Entra makes nobody the owner, and the setting that binds one is not set."""
    world.emulator.faults.set(caller_not_owner=True)
    world.services = world.but(tenant=replace(world.services.tenant, registrar_object_id=None))


def own_it(world: World) -> None:
    """An administrator makes this app's identity the owner."""
    lift(world)
    for application in world.emulator.directory.records.values():
        application.owners.add(constants.REGISTRAR_OBJECT_ID)


def take_uri(world: World) -> None:
    Client(world.emulator).create(uniqueName="another", identifierUris=["https://fhir.contoso.example"])


def free_uri(world: World) -> None:
    other = world.emulator.directory.application(unique_name="another")
    assert other is not None
    for path in (f"/applications/{other.id}", f"/directory/deletedItems/{other.id}"):
        assert Client(world.emulator).graph("DELETE", path).status_code == 204


@dataclass(frozen=True)
class Refusal:
    """How Entra or the vault comes to refuse, whom that concerns, as what it is told, and how it is mended."""

    concerns: tuple[str, ...]
    code: str
    begin: Callable[[World], Any]
    mend: Callable[[World], Any] = lift


EVERYONE: Final = tuple(CLIENTS)
RESOURCE: Final = ("resource",)
REFUSALS: Final = {
    "secret lifetime": Refusal(SECRET_HOLDERS, "secret-lifetime-refused", switched(password_lifetime_days=1)),
    "secret lifetime told by text": Refusal(
        SECRET_HOLDERS,
        "secret-lifetime-refused",
        answered(400, "Request_BadRequest", "Credential lifetime exceeds the max value allowed."),
    ),
    "secret lifetime once there is an application": Refusal(
        SECRET_HOLDERS,
        "secret-lifetime-refused",
        switched(password_lifetime_days=1, inline_secret_refused=True),
    ),
    "no secrets": Refusal(SECRET_HOLDERS, "secrets-forbidden", switched(password_addition_blocked=True)),
    "no secrets once there is an application": Refusal(
        SECRET_HOLDERS,
        "secrets-forbidden",
        switched(password_addition_blocked=True, inline_secret_refused=True),
    ),
    "identifier URI": Refusal(RESOURCE, "identifier-uri-refused", switched(non_default_uri_addition=True)),
    "identifier URI without tenant": Refusal(
        RESOURCE, "identifier-uri-refused", answered(400, "InvalidUniqueTenantIdentifierAsPerAppPolicy")
    ),
    "domain": Refusal(RESOURCE, "domain-not-verified", answered(400, "HostNameNotOnVerifiedDomain")),
    "identifier URI of another": Refusal(RESOURCE, "identifier-uri-taken", take_uri, free_uri),
    "quota": Refusal(EVERYONE, "quota-exceeded", switched(directory_quota_exceeded=True)),
    "permission": Refusal(EVERYONE, "permission-missing", take_permission, give_permission),
    "unknown identity": Refusal(EVERYONE, "permission-missing", answered(403, "Authorization_IdentityNotFound")),
    "owner": Refusal(EVERYONE, "permission-missing", own_nothing, own_it),
    "service management reference": Refusal(
        EVERYONE, "service-management-reference-required", switched(service_management_reference_required=True)
    ),
    "audience": Refusal(EVERYONE, "audience-forbidden", switched(allowed_audiences=[])),
    "size": Refusal(
        EVERYONE,
        "application-too-large",
        answered(400, "Request_BadRequest", "The size of the object has exceeded its limit."),
    ),
    "something new": Refusal(EVERYONE, "graph-refused", answered(400, "SomethingNew")),
    "vault": Refusal(SECRET_HOLDERS, "vault-denied", switched(vault_denied=True)),
}


@plays(r"([\w-]+): refused by ([\w ]+)")
def refused(client_type: str, why: str) -> None:
    """Have it refused for good: `failed` in one delivery, in seconds and few calls; active once mended and retried."""
    world = begin(client_type)
    refusal = REFUSALS[why]
    refusal.begin(world)
    world.emulator.calls.clear()
    row = submit(world, client_type)
    world.deliver()
    assert ends_failed(world, row, refusal.code) < 5 * SECOND
    assert world.errors == [], "it took more than one delivery"
    assert len(calls(world, "graph.")) <= 5
    refusal.mend(world)
    assert world.retry(row.id).status == 202
    ends_active(world, row)


@plays(r"(\w+): vault secret deleted, then (recovered|purged), each in (\d+) s")
def deleted_secret(client_type: str, then: str, seconds: int) -> None:
    """Have an operator delete a secret that was published by a run that could not say so."""
    world = begin(client_type)
    world.emulator.faults.set(vault_transition=seconds)
    unsaid = iter([TryAgain("storage-unavailable", "No answer.")])

    def outside(name: str, action: Callable[[], Any]) -> Any:
        if name == "registry.replace":
            for error in unsaid:
                raise error
        return action()

    world.outside = outside
    row = submit(world, client_type)
    world.deliver()
    published = world.emulator.vault.get(row.secret_name)["tags"]["keyId"]
    world.emulator.vault.delete(row.secret_name)
    ends_failed(world, row, "vault-secret-deleted")
    if then == "recovered":
        world.emulator.vault.recover(row.secret_name)
    else:
        world.emulator.vault.purge(row.secret_name)
    assert world.retry(row.id).status == 202
    world.deliver()
    if then == "recovered" and seconds:  # until then the vault says that there is none, so that one is minted
        world.violations.remove("a secret was minted although the vault had a good one")
    ends_active(world, row)
    current = world.emulator.vault.get(row.secret_name)["tags"]["keyId"]
    assert (current == published) is (then == "recovered" and not seconds)


@plays(r"([\w-]+): application deleted while its ids are (unknown|known), then (restored|purged)")
def deleted_application(client_type: str, ids: str, then: str) -> None:
    """Have somebody delete the application half-way, which looks like a lag: only a day tells the one from the other.

    The function app stands still for most of that day.
    """
    world = begin(client_type)
    if ids == "unknown":
        world.outside = dies_after("POST /*/applications")
    else:
        for operation in ("graph.createServicePrincipal", "graph.updateApplication"):
            world.emulator.faults.add(Fault("status", operation, times=None))
    row = submit(world, client_type)
    world.deliver()
    lift(world)
    application = application_of(world, row)
    assert Client(world.emulator).graph("DELETE", f"/applications/{application.id}").status_code == 204
    world.clock.sleep(3600)
    world.deliver()
    assert world.row(row.id).status is Status.ACCEPTED
    world.clock.sleep(22.8 * 3600)
    code = "unique-name-taken" if ids == "unknown" else "not-replicated-yet"
    assert GIVEN_UP_AFTER <= ends_failed(world, row, code) <= GIVEN_UP_AFTER + timedelta(hours=2)
    failure = world.row(row.id).operation.failure
    assert failure is not None
    assert "replicat" in failure.remedy
    assert "deleted" in failure.remedy
    if then == "restored":
        restore(world, application)
    else:
        path = f"/directory/deletedItems/{application.id}"
        assert Client(world.emulator).graph("DELETE", path).status_code == 204
    assert world.retry(row.id).status == 202
    ends_active(world, row)


def dies_after(call: str) -> Callable[[str, Callable[[], Any]], Any]:
    def outside(name: str, action: Callable[[], Any]) -> Any:
        answer = action()
        if name == call:
            raise Died
        return answer

    return outside


def restore(world: World, application: Application) -> None:
    """An administrator restores a deleted application, which this app may not."""
    application.deleted_at = None
    application.body.put(world.clock.now(), application.last_body)
