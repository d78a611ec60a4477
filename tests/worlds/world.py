"""A world in one process for tests: the emulator, virtual time, a registry and a queue, wired as the product is."""

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from urllib.parse import parse_qsl

import requests
from azure.core.credentials import AccessToken
from requests.adapters import BaseAdapter

from dev.emulator import Emulator
from dev.emulator.mount import RegistrarCredential
from provisioning.adapters.graph import GraphDirectory
from provisioning.adapters.keyvault import KeyVaultSecrets
from provisioning.adapters.tokens import TokenEndpointProof
from provisioning.adapters.webhook import WebhookNotifier
from provisioning.api import web
from provisioning.domain.messages import Message, Outgoing, ReconcilePage, read_message, read_notice_message
from provisioning.domain.notices import source_of
from provisioning.domain.operation import OperationType
from provisioning.domain.registration import Registration, Status
from provisioning.domain.secrets import SecretPolicy
from provisioning.domain.tenant import Tenant
from provisioning.flow import conclude, plan
from provisioning.flow.notify import send_notices
from provisioning.flow.provision import carry_out
from provisioning.flow.reconcile import first_page
from provisioning.ports import Clock, Directory, Notifier, Registry, SecretStore, Services, TokenProof
from provisioning.settings import Settings
from tests.worlds.memory import MemoryRegistry
from tests.worlds.receiver import Receiver
from tests.worlds.watch import Watch, versions_of

OWNER = "11111111-2222-4333-8444-555555555555"
LOCAL_STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}


MAX_DEQUEUE_COUNT = 12
VISIBILITY_TIMEOUT = timedelta(minutes=1)
LEASE = timedelta(minutes=10)
PLANNER_PERIOD = timedelta(minutes=5)
AT_REST = timedelta(hours=1)


@dataclass
class Queued:
    """A message as the queue keeps it."""

    text: str
    visible_at: datetime
    dequeue_count: int = 0
    poison: bool = False
    about_notices: bool = False


T = TypeVar("T")
Outside = Callable[[str, Callable[[], T]], T]


def straight(_name: str, action: Callable[[], T]) -> T:
    """Let every outside call through."""
    return action()


class WatchedAdapter(BaseAdapter):
    """Hands each HTTP request to the emulator as one outside call, named by method and the kind of its path.

    It sees what no other place sees, and notes what breaks a promise on the way: a secret published before the token
    endpoint accepted it so often in a row, and a mint repeated without a look into the vault.
    """

    def __init__(self, world: "World", inner: BaseAdapter) -> None:
        super().__init__()
        self._world = world
        self._inner = inner
        self._mint_unanswered = False

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        path = re.sub(r"[^/(]*\d[^/(]*", "*", request.path_url.partition("?")[0])
        name = f"{request.method} {path}"
        self._watch_before(name, request)
        status = 0
        try:
            answer = self._world.outside(name, lambda: self._effect(name, request, options))
            status = answer.status_code
        finally:
            self._watch_after(name, request, status)
        return cast("requests.Response", answer)

    def _effect(self, name: str, request: requests.PreparedRequest, options: dict[str, Any]) -> requests.Response:
        watch = self._world.watch
        return watch.over(name, request.path_url, lambda: self._inner.send(request, **options))

    def _watch_before(self, name: str, request: requests.PreparedRequest) -> None:
        if name.endswith("/addPassword"):
            if self._mint_unanswered:
                self._world.violations.append("a mint was repeated blindly")
            self._world.mints += 1
        if name.startswith("PUT /secrets/") and "Authorization" in request.headers:
            value = json.loads(request.body or b"{}")["value"]
            if self._world.accepted[value] < self._world.settings.secrets.proof_count:
                self._world.violations.append("a secret was published before it was proven")

    def _watch_after(self, name: str, request: requests.PreparedRequest, status: int) -> None:
        if name.endswith("/addPassword"):
            self._mint_unanswered = status == 0 or status >= 500
        elif name.startswith("GET /secrets/"):
            self._mint_unanswered = False
        elif name.endswith("/token"):
            form = dict(parse_qsl(str(request.body)))
            accepted = self._world.accepted
            if status == 200:
                accepted[form["client_secret"]] += 1
            elif status in (400, 401):
                accepted[form["client_secret"]] = 0

    def close(self) -> None:
        self._inner.close()


ALLOWED_TRANSITIONS = {
    (Status.ACCEPTED, Status.ACCEPTED),
    (Status.ACCEPTED, Status.ACTIVE),
    (Status.ACCEPTED, Status.FAILED),
    (Status.ACTIVE, Status.ACTIVE),
    (Status.FAILED, Status.ACCEPTED),
    (Status.ACTIVE, Status.DELETING),
    (Status.FAILED, Status.DELETING),
    (Status.DELETING, Status.DELETING),
    (Status.DELETING, Status.DELETED),
    (Status.DELETED, Status.DELETED),
}


class WatchedRegistry:
    """Hands each call of a registry on as one outside call, and notes a transition that is not allowed."""

    def __init__(self, world: "World", inner: Registry) -> None:
        self._world = world
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return lambda *args, **kwargs: self._world.outside(f"registry.{name}", lambda: method(*args, **kwargs))

    def replace(self, registration: Registration) -> Registration:
        def watched() -> Registration:
            before = self._inner.get(registration.id)
            after = self._inner.replace(registration)
            if before is not None and (before.status, after.status) not in ALLOWED_TRANSITIONS:
                self._world.violations.append(f"{before.status} became {after.status}")
            return after

        return cast("Registration", self._world.outside("registry.replace", watched))


class Died(BaseException):
    """The process was killed: nothing after this ran, and nothing that it knew is left."""


class VirtualClock:
    """Time that passes only by sleeping.

    `meanwhile` is what others do while it passes: it is told from when until when, yields each moment at which they do
    something, and is resumed at that moment.
    """

    def __init__(self, start: datetime = datetime(2026, 1, 15, 12, tzinfo=UTC)) -> None:
        self._time = start
        self.slept: list[float] = []
        self.meanwhile: Callable[[datetime, datetime], Iterable[datetime]] = lambda _began, _until: ()

    @property
    def time(self) -> datetime:
        return self._time

    @time.setter
    def time(self, until: datetime) -> None:
        for moment in self.meanwhile(self._time, until):
            self._time = moment
        self._time = until

    def now(self) -> datetime:
        return self.time

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.time += timedelta(seconds=seconds)


class CachedCredential:
    """The registrar's own identity, its tokens kept until they run out, as azure-identity does."""

    def __init__(self, emulator: Emulator) -> None:
        self._source = RegistrarCredential(emulator)
        self._now = emulator.now
        self._kept: dict[tuple[str, ...], AccessToken] = {}

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        kept = self._kept.get(scopes)
        if kept is None or kept.expires_on <= self._now().timestamp() + 300:
            kept = self._kept[scopes] = self._source.get_token(*scopes, **options)
        return kept


@dataclass(frozen=True)
class TestServices:
    """Services over given adapters."""

    __test__ = False

    directory: Directory
    vault: SecretStore
    proof: TokenProof
    registry: Registry
    notifier: Notifier | None
    clock: Clock
    tenant: Tenant
    secrets: SecretPolicy
    allowed_resources: frozenset[str]


class World:
    """The product over the emulator: call it as over HTTP, deliver its messages, let time pass."""

    def __init__(
        self,
        *,
        registry: Registry | None = None,
        receiver: Receiver | None = None,
        settings: Mapping[str, str] | None = None,
        **emulator: Any,
    ) -> None:
        self.clock = VirtualClock()
        self.emulator = Emulator(now=self.clock.now, sleep=self.clock.sleep, **emulator)
        self.receiver = receiver
        told = receiver.settings() if receiver else {}
        self.settings = Settings.from_env({**self.emulator.settings(), **LOCAL_STORAGE, **told, **(settings or {})})
        self.registry = registry or MemoryRegistry()
        self.outside: Any = straight
        self.violations: list[str] = []
        self.watch = Watch(self)
        self.accepted: Counter[str] = Counter()
        self.mints = 0
        self.queue: list[Queued] = []
        self.errors: list[Exception] = []
        self.due_messages: Callable[[Services], Iterable[str]] = plan.due_messages
        self._exchanged: Callable[[TestServices], TestServices] = lambda services: services
        self.services = self.new_process()

    def new_process(self) -> TestServices:
        """Return the services of a process of its own: nothing is remembered from another."""
        watched = WatchedAdapter(self, self.emulator.session().get_adapter(self.emulator.origin + "/"))
        session, credential = self._session(watched), CachedCredential(self.emulator)
        tenant, clock = self.settings.tenant, self.clock
        services = TestServices(
            directory=GraphDirectory(tenant.graph_endpoint, credential, session, clock),
            vault=KeyVaultSecrets(
                tenant.key_vault_url,
                credential,
                session,
                clock,
                verify_challenge_resource=False,
            ),
            proof=TokenEndpointProof(
                tenant.authority, f"{tenant.graph_endpoint}/.default", lambda: self._session(watched), clock
            ),
            registry=cast("Registry", WatchedRegistry(self, self.registry)),
            notifier=self._notifier(),
            clock=clock,
            tenant=tenant,
            secrets=self.settings.secrets,
            allowed_resources=self.settings.allowed_resources,
        )
        return self._exchanged(services)

    def exchange(self, change: Callable[[TestServices], TestServices]) -> None:
        """Have every process from now on work with the services that `change` makes of its own."""
        self._exchanged = change
        self.services = self.new_process()

    def copy(self) -> "World":
        """Return a world of its own that is as this one is, at rest: nothing queued, nothing wrong."""
        assert isinstance(self.registry, MemoryRegistry)
        assert not self.queue
        assert not self.violations, self.violations
        world = World(registry=self.registry.copy())
        ours, theirs = self.emulator, world.emulator
        memo: dict[int, Any] = {id(self.clock): world.clock, id(ours.faults): theirs.faults}
        world.clock.time = self.clock.time
        theirs.directory, theirs.vault, theirs.sts = deepcopy((ours.directory, ours.vault, ours.sts), memo)
        world.watch.lost |= self.watch.lost
        world.accepted, world.mints = self.accepted.copy(), self.mints
        return world

    def _session(self, watched: WatchedAdapter, origin: str | None = None) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.mount(origin or self.emulator.origin, watched)
        return session

    def _notifier(self) -> Notifier | None:
        webhook = self.settings.webhook
        if self.receiver is None or webhook is None:
            return None
        session = self._session(WatchedAdapter(self, self.receiver), webhook.url)
        return WebhookNotifier(webhook.url, webhook.key, source_of(self.settings.tenant), session, self.clock)

    @property
    def told(self) -> Sequence[object]:
        """The events that the receiver of notices took."""
        return self.receiver.taken if self.receiver is not None else ()

    @property
    def lost(self) -> set[str]:
        """The key ids of what Entra itself lost."""
        return self.watch.lost

    def but(self, **changes: Any) -> TestServices:
        """Return the services with some of them exchanged."""
        return replace(self.services, **changes)

    # --- as a caller ---

    def post(self, body: Any, *, key: str | None = None, query: Mapping[str, str] | None = None) -> web.Answer:
        """POST /registrations; what it sends to the queue is queued."""
        headers = {"content-type": "application/json"} | ({"idempotency-key": key} if key else {})
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        return self.call(web.submit_registration, web.Call("/api/registrations", headers, query or {}, raw))

    def get(self, registration_id: str) -> dict[str, Any]:
        """GET /registrations/{id}, its JSON."""
        call = web.Call(f"/api/registrations/{registration_id}", registration_id=registration_id)
        answer = self.call(web.show_registration, call)
        assert answer.status == 200, answer.body
        return dict(json.loads(answer.body))

    def list(self, **query: str) -> dict[str, Any]:
        """GET /registrations, its JSON."""
        answer = self.call(web.list_registrations, web.Call("/api/registrations", query=query))
        assert answer.status == 200, answer.body
        return dict(json.loads(answer.body))

    def retry(self, registration_id: str) -> web.Answer:
        """POST /registrations/{id}/retry; what it sends to the queue is queued."""
        path = f"/api/registrations/{registration_id}/retry"
        return self.call(web.retry_registration, web.Call(path, registration_id=registration_id))

    def rotate(self, registration_id: str, body: Any = None) -> web.Answer:
        """POST /registrations/{id}/rotate; what it sends to the queue is queued."""
        return self._ask(web.rotate_registration, registration_id, body, "/rotate")

    def change(self, registration_id: str, body: Any) -> web.Answer:
        """PATCH /registrations/{id}; what it sends to the queue is queued."""
        return self._ask(web.change_registration, registration_id, body)

    def delete(self, registration_id: str) -> web.Answer:
        """DELETE /registrations/{id}; what it sends to the queue is queued."""
        return self._ask(web.delete_registration, registration_id, None)

    def _ask(self, handle: Any, registration_id: str, body: Any, suffix: str = "") -> web.Answer:
        path, headers = f"/api/registrations/{registration_id}{suffix}", {"content-type": "application/json"}
        raw = b"" if body is None else json.dumps(body).encode()
        return self.call(handle, web.Call(path, headers, body=raw, registration_id=registration_id))

    def call(self, handle: Any, call: web.Call) -> web.Answer:
        """Answer a call; as in the real host its message goes out before the answer does."""
        try:
            answer = web.answer(lambda: self.services, handle, call)
            message = answer.message
            if message is not None:
                self.outside("queue.send", lambda: self.send(message))
        except Died:
            self.services = self.new_process()
            raise
        return answer

    # --- as the platform ---

    def send(self, *messages: str, about_notices: bool = False) -> None:
        """Put messages into their queue, visible at once."""
        self.queue.extend(Queued(message, self.clock.now(), about_notices=about_notices) for message in messages)

    def deliver(self) -> None:
        """Deliver every visible message once, as the host does: one that fails is visible again in a minute."""
        for queued in [each for each in self.queue if each.visible_at <= self.clock.now()]:
            try:
                self._handle(queued)
            except Died:
                self.services = self.new_process()
                self._comes_back(queued, LEASE)
            except Exception as error:  # noqa: BLE001 -- as the host: whatever it is, the message comes back
                self.errors.append(error)
                self._comes_back(queued, VISIBILITY_TIMEOUT)
            else:
                self.queue.remove(queued)

    def _handle(self, queued: Queued) -> None:
        """Call the function whose queue it is in."""
        body = queued.text.encode()
        if queued.about_notices:
            if not queued.poison:  # those are dropped
                send_notices(self.services, read_notice_message(body))
        elif queued.poison:
            conclude.give_up(self.services, read_message(body))
        else:
            self.run(self.services, read_message(body))

    def run(self, services: TestServices, message: Message | ReconcilePage) -> None:
        """Carry a message out, and note a mint by a first provisioning that began with a good secret in the vault."""
        needless, mints = self._has_secret_already(message), self.mints
        try:
            outgoing = carry_out(services, message)
        finally:
            if needless and self.mints > mints:
                self.violations.append("a secret was minted although the vault had a good one")
        if outgoing.registrations or outgoing.notices:
            self.outside("queue.send", lambda: self._send_out(outgoing))

    def _send_out(self, outgoing: Outgoing) -> None:
        self.send(*outgoing.registrations)
        self.send(*outgoing.notices, about_notices=True)

    def _has_secret_already(self, message: Message | ReconcilePage) -> bool:
        row = self.registry.get(message.registration_id) if isinstance(message, Message) else None
        if row is None or not row.pending or row.operation.type is not OperationType.PROVISION:
            return False
        versions = versions_of(self, row)
        half_its_life = self.settings.secrets.lifetime.total_seconds() / 2  # in the first half no secret is due
        return bool(versions) and (versions[-1].expires or 0) - self.clock.now().timestamp() > half_its_life

    def _comes_back(self, queued: Queued, after: timedelta) -> None:
        """Have a message that was not finished come again; a poison message that keeps failing is never moved."""
        queued.dequeue_count += 1
        queued.visible_at = self.clock.now() + after
        if queued.dequeue_count >= MAX_DEQUEUE_COUNT and not queued.poison:
            self.queue.remove(queued)
            self.queue.append(replace(queued, visible_at=self.clock.now(), dequeue_count=0, poison=True))

    def plan(self) -> int:
        """Fire the planner; return how many messages it enqueued. One that is killed comes at its next time again."""

        def enqueue() -> None:
            self.send(*messages)
            self.send(*notices, about_notices=True)

        try:
            messages = list(self.due_messages(self.services))
            notices = list(plan.waiting_notices(self.services))
            self.outside("queue.send", enqueue)
        except Died:
            self.services = self.new_process()
            return 0
        except Exception as error:  # noqa: BLE001 -- as the host: a timer is not tried again before its next time
            self.errors.append(error)
            return 0
        return len(messages) + len(notices)

    def reconcile(self) -> None:
        """Fire the reconciliation, and let the platform play until it is through."""
        self.send(first_page(self.services))
        self.settle()

    def live(self, time: timedelta, *, reconciled: timedelta = timedelta(days=1)) -> None:
        """Let time pass, and the platform play meanwhile: queue, planner, and once a day the reconciliation.

        Turns of the planner that would find nothing are left out.
        """
        end, next_reconciliation = self.clock.now() + time, self.clock.now() + reconciled
        while self.clock.now() < end:
            due = [max(self.clock.now() + PLANNER_PERIOD, entry.due_at) for entry in self.registry.due(end, 1)]
            times = [end, next_reconciliation, *due, *(queued.visible_at for queued in self.queue)]
            self.clock.time = max(self.clock.time, min(times))
            if self.clock.now() >= next_reconciliation:
                self.send(first_page(self.services))
                next_reconciliation += reconciled
            self.deliver()
            if due and self.clock.now() >= due[0]:
                self.plan()
                self.deliver()

    def settle(self, within: timedelta = timedelta(hours=30)) -> None:
        """Play the platform, planner included, until nothing is queued, waiting or due soon; fail after `within`."""
        deadline, next_plan = self.clock.now() + within, self.clock.now() + PLANNER_PERIOD
        while self.queue or self.registry.due(self.clock.now() + AT_REST, 1) or self.registry.notices():
            assert self.clock.now() < deadline, f"the world does not settle: {self._pending()}"
            self.deliver()
            times = [queued.visible_at for queued in self.queue] + [next_plan]
            self.clock.time = max(self.clock.time, min(times))
            if self.clock.now() >= next_plan:
                self.plan()
                next_plan = self.clock.now() + PLANNER_PERIOD

    def _pending(self) -> str:
        rows = self.registry.find(top=1000).registrations
        return ", ".join(f"{row.id} is {row.status}" for row in rows if row.pending) or "no operation is pending"

    def registered(self, body: Any) -> dict[str, Any]:
        """Have it registered, and return it as answered; it must be active."""
        answer = self.post(body)
        assert answer.status == 202, answer.body
        self.deliver()
        registration = self.get(json.loads(answer.body)["registrationId"])
        assert registration["status"] == "active", registration
        return registration

    def row(self, registration_id: str) -> Registration:
        """Return what the registry holds."""
        row = self.registry.get(registration_id)
        assert row is not None
        return row


def a_resource(**fields: Any) -> dict[str, Any]:
    """A valid request for a resource application."""
    return _request("resource", **{"fhirServerUrl": "https://fhir.contoso.example"} | fields)


def a_confidential_client(**fields: Any) -> dict[str, Any]:
    """A valid request for a confidential client of the FHIR server above."""
    return _request(
        "confidential",
        **{"resource": "https://fhir.contoso.example", "redirectUris": ["https://app.contoso.example/cb"]} | fields,
    )


def a_public_client(**fields: Any) -> dict[str, Any]:
    """A valid request for a single-page application of the FHIR server above."""
    defaults = {
        "resource": "https://fhir.contoso.example",
        "platform": "spa",
        "redirectUris": ["https://spa.contoso.example/cb"],
    }
    return _request("public", **defaults | fields)


def a_service_client(**fields: Any) -> dict[str, Any]:
    """A valid request for a service client of the FHIR server above."""
    return _request("service", **{"resource": "https://fhir.contoso.example", "appRoles": ["globalReader"]} | fields)


def _request(client_type: str, **fields: Any) -> dict[str, Any]:
    common = {"displayName": f"A {client_type}", "owner": OWNER, "contact": "team@contoso.example"}
    return {"clientType": client_type} | common | fields


def operations(world: World) -> Counter[str]:
    """Count the calls by operation, apart from those for tokens of our own identity."""
    ours = ("identity.token", "vault.challenge", "token.discovery")
    return Counter(call.operation for call in world.emulator.calls if call.operation not in ours)


def submitted(world: World, body: dict[str, Any]) -> str:
    answer = world.post(body)
    assert answer.status == 202, answer.body
    return str(json.loads(answer.body)["registrationId"])


def failure_of(world: World, registration_id: str) -> dict[str, Any]:
    registration = world.get(registration_id)
    assert registration["status"] == "failed", registration
    assert registration["operation"]["failure"]["remedy"]
    return dict(registration["operation"]["failure"])
