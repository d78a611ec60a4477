"""A world in one process for tests: the emulator, virtual time, a registry and a queue, wired as the product is."""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast

import requests
from azure.core.credentials import AccessToken
from azure.core.pipeline.transport import RequestsTransport
from requests.adapters import BaseAdapter

from dev.emulator import Emulator
from dev.emulator.mount import RegistrarCredential
from provisioning import plan, web
from provisioning.adapters.graph import GraphDirectory
from provisioning.adapters.keyvault import KeyVaultSecrets
from provisioning.adapters.tokens import TokenEndpointProof
from provisioning.messages import read_message
from provisioning.ports import Clock, Directory, Registry, SecretPolicy, SecretStore, TokenProof
from provisioning.provision import carry_out
from provisioning.registration import Registration
from provisioning.settings import Settings
from provisioning.tenant import Tenant
from tests.memory import MemoryRegistry

OWNER = "11111111-2222-4333-8444-555555555555"
LOCAL_STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}


MAX_DEQUEUE_COUNT = 12
VISIBILITY_TIMEOUT = timedelta(minutes=1)
PLANNER_PERIOD = timedelta(minutes=5)


@dataclass
class Queued:
    """A message as the queue keeps it."""

    text: str
    visible_at: datetime
    dequeue_count: int = 0
    poison: bool = False


T = TypeVar("T")
Outside = Callable[[str, Callable[[], T]], T]


def straight(_name: str, action: Callable[[], T]) -> T:
    """Let every outside call through."""
    return action()


class WatchedAdapter(BaseAdapter):
    """Hands each HTTP request to the emulator as one outside call, named by method and the kind of its path."""

    def __init__(self, world: "World", inner: BaseAdapter) -> None:
        super().__init__()
        self._world = world
        self._inner = inner

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        path = re.sub(r"[^/(]*\d[^/(]*", "*", request.path_url.partition("?")[0])
        answer = self._world.outside(f"{request.method} {path}", lambda: self._inner.send(request, **options))
        return cast("requests.Response", answer)

    def close(self) -> None:
        self._inner.close()


class WatchedRegistry:
    """Hands each call of a registry on as one outside call."""

    def __init__(self, world: "World", inner: Registry) -> None:
        self._world = world
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        return lambda *args, **kwargs: self._world.outside(f"registry.{name}", lambda: method(*args, **kwargs))


class VirtualClock:
    """Time that passes only by sleeping."""

    def __init__(self, start: datetime = datetime(2026, 1, 15, 12, tzinfo=UTC)) -> None:
        self.time = start
        self.slept: list[float] = []

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
    clock: Clock
    tenant: Tenant
    secrets: SecretPolicy
    allowed_resources: frozenset[str]


class World:
    """The product over the emulator: call it as over HTTP, deliver its messages, let time pass."""

    def __init__(
        self, *, registry: Registry | None = None, settings: Mapping[str, str] | None = None, **emulator: Any
    ) -> None:
        self.clock = VirtualClock()
        self.emulator = Emulator(now=self.clock.now, sleep=self.clock.sleep, **emulator)
        self.settings = Settings.from_env({**self.emulator.settings(), **LOCAL_STORAGE, **(settings or {})})
        self.registry = registry or MemoryRegistry()
        self.outside: Any = straight
        self.queue: list[Queued] = []
        self.errors: list[Exception] = []
        self.services = self._services()

    def _services(self) -> TestServices:
        session, credential = self._session(), CachedCredential(self.emulator)
        tenant, clock = self.settings.tenant, self.clock
        return TestServices(
            directory=GraphDirectory(tenant.graph_endpoint, credential, session, clock),
            vault=KeyVaultSecrets(
                tenant.key_vault_url,
                credential,
                clock,
                verify_challenge_resource=False,
                transport=RequestsTransport(session=session, session_owner=False),
            ),
            proof=TokenEndpointProof(tenant.authority, f"{tenant.graph_endpoint}/.default", self._session, clock),
            registry=cast("Registry", WatchedRegistry(self, self.registry)),
            clock=clock,
            tenant=tenant,
            secrets=self.settings.secrets,
            allowed_resources=self.settings.allowed_resources,
        )

    def _session(self) -> requests.Session:
        session = self.emulator.session()
        place = self.emulator.origin + "/"
        session.mount(place, WatchedAdapter(self, session.get_adapter(place)))
        return session

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

    def call(self, handle: Any, call: web.Call) -> web.Answer:
        answer = web.answer(lambda: self.services, handle, call)
        if answer.message is not None:
            self.send(answer.message)
        return answer

    # --- as the platform ---

    def send(self, *messages: str) -> None:
        """Put messages into the queue, visible at once."""
        self.queue.extend(Queued(message, self.clock.now()) for message in messages)

    def deliver(self) -> None:
        """Deliver every visible message once, as the host does: one that fails is visible again in a minute."""
        for queued in [each for each in self.queue if each.visible_at <= self.clock.now()]:
            handle = plan.give_up if queued.poison else carry_out
            try:
                handle(self.services, read_message(queued.text.encode()))
            except Exception as error:  # noqa: BLE001 -- as the host: whatever it is, the message comes back
                self.errors.append(error)
                queued.dequeue_count += 1
                queued.visible_at = self.clock.now() + VISIBILITY_TIMEOUT
                if queued.dequeue_count >= MAX_DEQUEUE_COUNT:
                    self.queue.remove(queued)
                    self.queue.append(Queued(queued.text, self.clock.now(), poison=True))
            else:
                self.queue.remove(queued)

    def plan(self) -> int:
        """Fire the planner; return how many messages it enqueued."""
        messages = list(plan.due_messages(self.services))
        self.send(*messages)
        return len(messages)

    def settle(self, within: timedelta = timedelta(hours=30)) -> None:
        """Play the platform, planner included, until nothing is queued and nothing is due; fail after `within`."""
        deadline, next_plan = self.clock.now() + within, self.clock.now() + PLANNER_PERIOD
        while self.queue or self.registry.due(deadline + within, 1):
            assert self.clock.now() < deadline, "the world does not settle"
            self.deliver()
            times = [queued.visible_at for queued in self.queue] + [next_plan]
            self.clock.time = max(self.clock.time, min(times))
            if self.clock.now() >= next_plan:
                self.plan()
                next_plan = self.clock.now() + PLANNER_PERIOD

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
