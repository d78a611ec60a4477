"""Whatever happens, in whatever order, the promises hold: the steps of the machine are the list of what can happen."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any, Final, TypeVar

import pytest
import requests
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from dev.emulator import Fault
from provisioning.api.answers import Answer
from provisioning.domain.client_types import ClientType
from provisioning.domain.intake import ResourceApplicationRequest
from provisioning.domain.registration import Registration, Status
from provisioning.flow.reconcile import first_page
from tests.faults.scenarios import ASKS
from tests.faults.schedules import DEATHS, HTTP_BLOWS, PLAYED, Script, some_of
from tests.worlds.checker import check, is_ours
from tests.worlds.leaks import leaked
from tests.worlds.outside import Died, straight
from tests.worlds.queued import PLANNER_PERIOD
from tests.worlds.request_bodies import REQUESTS, a_resource, a_service_client
from tests.worlds.watch import in_use, live
from tests.worlds.world import World

# Thousands of runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover

T = TypeVar("T")

SECOND_SERVER: Final = "https://second.contoso.example"
BODIES: Final[Mapping[str, dict[str, Any]]] = {
    **{client_type: request() for client_type, request in REQUESTS.items()},
    "second resource": a_resource(fhirServerUrl=SECOND_SERVER, accessTokenVersion=2),
    "service of the second": a_service_client(resource=SECOND_SERVER),
}
# Beside a key that was used for another request: a client of a server that nobody registered, and a second resource.
REFUSALS: Final = {(400, "invalid-request"), (409, "fhir-server-already-registered"), (409, "idempotency-key-reused")}
# Of two registrations of one server, the second accepted after the first had failed, only one can be active.
ONLY_ONE: Final = {"fhir-server-already-registered", "identifier-uri-taken"}
# What a client ends with whose server was deleted.
NO_SERVER: Final = {"resource-not-found", "resource-not-active", "resource-not-allowed"}
# What of a registration that is there already is refused: by its type, or until it has ended what it does.
NOT_NOW: Final = {(409, "registration-not-active"), (409, "operation-in-progress")}
REFUSED: Final = {
    "rotate": NOT_NOW | {(409, "registration-holds-no-secret")},
    "revoke": NOT_NOW | {(409, "registration-holds-no-secret")},
    "rename": NOT_NOW,
    "change": NOT_NOW | {(400, "invalid-request")},
    "delete": {(409, "registration-in-progress"), (409, "resource-in-use")},
}

OPERATIONS: Final = (
    "graph.createApplication",
    "graph.readApplication",
    "graph.updateApplication",
    "graph.deleteApplication",
    "graph.createServicePrincipal",
    "graph.readServicePrincipal",
    "graph.addPassword",
    "graph.removePassword",
    "token.discovery",
    "token.clientCredentials",
    "vault.challenge",
    "vault.getSecret",
    "vault.setSecret",
    "vault.deleteSecret",
    "identity.token",
    "*",
)
PASSING: Final[Mapping[str, Fault]] = {
    name: fault or Fault("reset", when=name.removeprefix("reset-"))  # type: ignore[arg-type]
    for name, fault in HTTP_BLOWS.items()
}
# What waiting does not help: a switch of the emulator, or a rule that strikes every call.
PERMANENT: Final[Mapping[str, object]] = {
    "directory_quota_exceeded": True,
    "vault_denied": True,
    "password_addition_blocked": True,
    "password_lifetime_days": 1,
    "service_management_reference_required": True,
    "allowed_audiences": [],
    "permission": Fault("status", "graph.*", times=None, status=403, code="Authorization_RequestDenied"),
}

ONE_OF_THEM: Final = st.integers(min_value=0, max_value=9)


class Fate(Script):
    """A script that is written while it plays. A reset of a connection shows itself as an error of storage there."""

    def __call__(self, name: str, action: Callable[[], T]) -> T:
        call = len(self.calls) + 1
        if name.startswith("registry.") and call in self.blows:
            self.blows[call] = self.blows[call].replace("reset", "unanswered")
        return super().__call__(name, action)

    def strike(self, calls_from_now: int, blow: str) -> None:
        self.blows[len(self.calls) + calls_from_now] = blow


class Machine(RuleBasedStateMachine):
    """The product in its world. First what can happen, then what always holds, and last how every history ends."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()
        self.fate = Fate(self.world, {})
        self.answered: dict[str, tuple[str, str]] = {}  # by idempotency key: which body, which registration

    @property
    def accepted(self) -> list[str]:
        """The registrations that a caller was promised."""
        return [registration_id for _, registration_id in self.answered.values()]

    @property
    def rows(self) -> tuple[Registration, ...]:
        """All of them, those that were deleted too."""
        found = self.world.registry.find(top=1000), self.world.registry.find(top=1000, status=Status.DELETED)
        return found[0].registrations + found[1].registrations

    @property
    def name(self) -> str:
        """A name that two histories share only if the same was asked of the outside and it did the same."""
        did = [f"{call.operation} {call.status}" for call in self.world.emulator.calls]
        return f"history {hashlib.sha256(repr((self.fate.calls, did)).encode()).hexdigest()}"

    @initialize(bodies=st.lists(st.sampled_from(list(BODIES)), max_size=4, unique=True), is_active=st.booleans())
    def a_server_is_registered_and_more_is_asked_for(self, bodies: list[str], is_active: bool) -> None:  # noqa: FBT001 -- drawn
        self.submit("resource", "first")
        if is_active:
            self.world.deliver()
        for body in bodies:
            self.submit(body, body.replace(" ", "-"))
        self.world.outside = self.fate

    # --- callers ---

    @rule(body=st.sampled_from(list(BODIES)), key=st.sampled_from("abcde"))
    def a_caller_submits(self, body: str, key: str) -> None:
        self.submit(body, key)

    def submit(self, body: str, key: str) -> None:
        answer = self.call(lambda: self.world.post(BODIES[body], key=key))
        if answer is None:
            return
        known = self.answered.get(key)
        if known is not None and known[0] != body:
            assert refusal(answer) == (409, "idempotency-key-reused")
        elif answer.status == 202:
            registration_id = json.loads(answer.body)["registrationId"]
            assert known in (None, (body, registration_id)), "a repeated request is another registration"
            self.answered[key] = body, registration_id
        else:
            assert known is None
            assert refusal(answer) in REFUSALS

    @precondition(lambda self: self.accepted)
    @rule(number=ONE_OF_THEM)
    def a_caller_retries(self, number: int) -> None:
        registration_id = one_of(self.accepted, number)
        has_failed = self.world.row(registration_id).status is Status.FAILED
        answer = self.call(lambda: self.world.retry(registration_id))
        if answer is None:
            return
        if has_failed:
            assert answer.status == 202
        else:
            assert refusal(answer) == (409, "registration-not-failed")

    @precondition(lambda self: self.accepted)
    @rule(number=ONE_OF_THEM, what=st.sampled_from(list(ASKS)))
    def a_caller_asks_for_more(self, number: int, what: str) -> None:
        registration_id = one_of(self.accepted, number)
        answer = self.call(lambda: ASKS[what](self.world, registration_id))
        assert answer is None or answer.status == 202 or refusal(answer) in REFUSED[what]

    def call(self, ask: Callable[[], Answer]) -> Answer | None:
        """Return the answer to a caller, or None where there is none, or only that the caller should try again."""
        try:
            answer = ask()
        except (Died, requests.ConnectionError):
            return None
        assert not leaked(answer.body), "an answer holds a secret or a token"
        return None if answer.status == 503 else answer

    # --- the platform ---

    @rule()
    def the_queue_delivers(self) -> None:
        self.world.deliver()

    @precondition(lambda self: self.world.queue)
    @rule(number=ONE_OF_THEM)
    def the_queue_delivers_a_message_once_more(self, number: int) -> None:
        self.world.queue.append(replace(one_of(self.world.queue, number), visible_at=self.world.clock.now()))

    @precondition(lambda self: self.world.queue)
    @rule(number=ONE_OF_THEM)
    def a_message_is_lost(self, number: int) -> None:
        self.world.queue.remove(one_of(self.world.queue, number))

    @rule()
    def the_planner_has_its_turn(self) -> None:
        self.world.plan()

    @rule()
    def the_reconciliation_has_its_turn(self) -> None:
        self.world.send(first_page(self.world.services))

    @rule(days=st.sampled_from([1, 4, 8, 40, 160]))
    def days_pass(self, days: int) -> None:
        self.world.clock.sleep(days * 86_400)

    @rule(seconds=st.sampled_from([1, 10, 60, 300, 600, 1800, 3600, 43200]))
    def time_passes(self, seconds: int) -> None:
        self.world.clock.sleep(seconds)

    @rule(hours=st.integers(1, 2))
    def the_platform_goes_on(self, hours: int) -> None:
        self.go_on(hours)

    def go_on(self, hours: int) -> None:
        until, next_plan = self.world.clock.now() + timedelta(hours=hours), self.world.clock.now()
        while self.world.clock.now() < until:
            self.world.deliver()
            if self.world.clock.now() >= next_plan:
                self.world.plan()
                next_plan += PLANNER_PERIOD
            self.world.clock.sleep(60)

    # --- what strikes ---

    @rule(calls_from_now=st.integers(1, 25), when=st.sampled_from(DEATHS))
    def the_process_will_die(self, calls_from_now: int, when: str) -> None:
        self.fate.strike(calls_from_now, f"{when}")

    @rule(calls_from_now=st.integers(1, 25), blow=st.sampled_from(list(HTTP_BLOWS)))
    def a_call_will_fail(self, calls_from_now: int, blow: str) -> None:
        self.fate.strike(calls_from_now, blow)

    @rule(
        operation=st.sampled_from(OPERATIONS),
        fault=st.sampled_from(list(PASSING)),
        times=st.sampled_from([1, 2, 7, 40, None]),
    )
    def an_operation_fails(self, operation: str, fault: str, times: int | None) -> None:
        self.world.emulator.faults.add(replace(PASSING[fault], operation=operation, times=times))

    @rule(status=st.sampled_from([409, 503]), times=st.integers(1, 9))
    def writes_meet_in_the_directory(self, status: int, times: int) -> None:
        self.world.emulator.faults.add(Fault("concurrencyViolation", status=status, times=times))

    @rule(
        replication_lag=st.integers(0, 120),
        replicas=st.integers(1, 3),
        secret_propagation=st.integers(0, 20),
        flapping=st.integers(0, 20),
        unique_name_conflict_status=st.sampled_from([400, 409]),
    )
    def the_directory_gets_slow(self, **switches: int) -> None:
        self.world.emulator.faults.set(**switches)

    @rule(how=st.sampled_from(["inline_secret_omitted", "inline_secret_refused"]))
    def no_secret_is_born_with_an_application(self, how: str) -> None:
        self.world.emulator.faults.set(**{how: True})

    @rule(cause=st.sampled_from(list(PERMANENT)))
    def something_is_forbidden(self, cause: str) -> None:
        how = PERMANENT[cause]
        if isinstance(how, Fault):
            self.world.emulator.faults.add(how)
        else:
            self.world.emulator.faults.set(**{cause: how})

    @rule()
    def all_is_mended(self) -> None:
        self.world.emulator.faults.clear()
        self.fate.blows.clear()

    # --- what always holds ---

    @invariant()
    def no_promise_was_broken_on_the_way(self) -> None:
        assert not self.world.violations, self.world.violations

    @invariant()
    def each_accepted_registration_is_answered(self) -> None:
        with self.calm():
            for registration_id in self.accepted:
                answer = self.world.get(registration_id)
                assert answer["registrationId"] == registration_id
                assert not leaked(json.dumps(answer)), "an answer holds a secret or a token"

    @invariant()
    def each_pending_operation_is_due_some_day(self) -> None:
        due = {
            entry.registration_id for entry in self.world.registry.due(self.world.clock.now() + timedelta(365), 1000)
        }
        assert due >= {row.id for row in self.rows if row.pending}

    @invariant()
    def no_registration_has_two_applications(self) -> None:
        applications = self.world.emulator.directory.records.values()
        owners = Counter(
            tag.partition("=")[2]
            for application in applications
            if is_ours(application.last_body)
            for tag in application.last_body["tags"]
            if tag.startswith("fhir-registrar:id=")
        )
        assert owners.keys() <= {row.id for row in self.rows}
        assert set(owners.values()) <= {1}

    @invariant()
    def nobody_who_uses_a_secret_is_cut_off(self) -> None:
        overlap = self.world.settings.secrets.overlap
        for row in self.rows:
            application = self.world.emulator.directory.application(app_id=row.client_id or "")
            if row.status is Status.ACTIVE and application is not None:
                living = live(application, self.world.clock.now())
                assert all(each in living for each in in_use(self.world, row, application, overlap / 2))

    @invariant()
    def no_secret_is_in_a_row_or_a_message(self) -> None:
        assert not leaked(repr(self.rows))
        assert not leaked(repr(self.world.queue))

    @invariant()
    def each_failure_says_what_to_do(self) -> None:
        for row in self.rows:
            if row.status is Status.FAILED:
                failure = row.operation.failure
                assert failure is not None
                assert failure.code
                assert failure.message
                assert failure.remedy, failure.code

    @contextmanager
    def calm(self) -> Iterator[None]:
        """Let nothing strike for as long as a test only looks."""
        struck, self.world.outside = self.world.outside, straight
        yield
        self.world.outside = struck

    # --- how it ends ---

    def teardown(self) -> None:
        """Let strike what still will; mend everything and retry what failed: all checks pass, and a week later too."""
        self.go_on(hours=1)
        PLAYED[self.name] += 1
        self.all_is_mended()
        self.world.settle()
        for row in sorted(self.rows, key=lambda row: row.client_type is not ClientType.RESOURCE):
            if row.status is Status.FAILED:
                assert self.world.retry(row.id).status == 202
                self.world.settle()
        self.world.live(timedelta(days=1, hours=2))  # what failed, or was left by a run that came late
        self.world.settle()
        check(self.world)
        self.world.clock.sleep((self.world.settings.secrets.overlap + timedelta(days=1)).total_seconds())
        self.world.plan()
        self.world.settle()
        self.world.reconcile()
        check(self.world)
        active = {server_of(row) for row in self.rows if row.status is Status.ACTIVE}
        for row in self.rows:
            if row.status is Status.FAILED:
                assert row.operation.failure is not None
                code = row.operation.failure.code
                if row.client_type is ClientType.RESOURCE:
                    assert code in ONLY_ONE, row.operation.failure
                    assert server_of(row) in active
                else:
                    assert code in NO_SERVER, row.operation.failure
                    assert wanted_by(row) not in active


def one_of(items: list[T], number: int) -> T:
    return items[number % len(items)]


def refusal(answer: Answer) -> tuple[int, str]:
    return answer.status, json.loads(answer.body)["code"]


def server_of(row: Registration) -> str | None:
    return row.request.fhir_server_url if isinstance(row.request, ResourceApplicationRequest) else None


def wanted_by(row: Registration) -> str:
    assert not isinstance(row.request, ResourceApplicationRequest)
    return row.request.resource


def test_whatever_happens_in_whatever_order_the_promises_hold() -> None:
    run_state_machine_as_test(
        Machine,
        settings=settings(
            max_examples=some_of(60),
            stateful_step_count=40,
            deadline=None,
            derandomize=True,
            suppress_health_check=[HealthCheck.too_slow],
        ),
    )
