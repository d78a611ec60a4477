"""A world wired as the product is, over the emulator and in virtual time, before anything happens in it."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

import requests
from azure.core.credentials import AccessToken

from dev.emulator import Emulator
from dev.emulator.client import RegistrarCredential
from provisioning.adapters.app_roles import GraphAppRoles
from provisioning.adapters.arm import ArmRoles
from provisioning.adapters.bearer import EntraCallerTokens
from provisioning.adapters.bot import TeamsBot
from provisioning.adapters.callbacks import SignedCallbacks
from provisioning.adapters.graph import GraphDirectory
from provisioning.adapters.graph_calls import GraphCalls
from provisioning.adapters.keyvault import KeyVaultSecrets
from provisioning.adapters.policy import Document, PolicyDocument
from provisioning.adapters.sign_ins import GraphSignIns
from provisioning.adapters.slack import SlackAnswers
from provisioning.adapters.tokens import TokenEndpointProof
from provisioning.adapters.webhook import WebhookNotifier
from provisioning.domain.front_door import FrontDoor
from provisioning.domain.notices import source_of
from provisioning.domain.secrets import SecretPolicy
from provisioning.domain.slack import Workspace
from provisioning.domain.teams import Bot
from provisioning.domain.tenant import Tenant
from provisioning.flow import plan
from provisioning.ports import (
    AppRoles,
    AzureRoles,
    Callbacks,
    CallerTokens,
    ChatPeople,
    Clock,
    Copies,
    Directory,
    Notifier,
    PolicySource,
    Queues,
    Registry,
    SecretStore,
    Services,
    SignIns,
    Slack,
    Teams,
    TokenProof,
)
from provisioning.settings import Settings
from tests.worlds.chat_people import MemoryChatPeople
from tests.worlds.clock import VirtualClock
from tests.worlds.memory import MemoryCopies, MemoryRegistry
from tests.worlds.outside import WatchedAdapter, WatchedPeople, WatchedRegistry, WorldQueues, straight
from tests.worlds.receiver import CallbackReceiver, Receiver
from tests.worlds.request_bodies import a_policy
from tests.worlds.watch import Watch

if TYPE_CHECKING:
    from tests.worlds.queued import Queued
    from tests.worlds.slack import SlackDouble
    from tests.worlds.told import Facts

LOCAL_STORAGE = {"AzureWebJobsStorage": "UseDevelopmentStorage=true"}


class CachedCredential:
    """The registrar's own identity, its tokens kept until they run out, as azure-identity does."""

    def __init__(self, emulator: Emulator, client_id: str | None = None) -> None:
        self._source = RegistrarCredential(emulator, client_id=client_id)
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
    app_roles: AppRoles
    grants: bool
    azure_roles: AzureRoles | None
    sign_ins: SignIns | None
    fhir_services: Mapping[str, str]
    data_roles: Mapping[str, AzureRoles]
    vault: SecretStore
    proof: TokenProof
    registry: Registry
    copies: Copies
    notifier: Notifier | None
    callbacks: Callbacks | None
    queues: Queues
    clock: Clock
    tenant: Tenant
    secrets: SecretPolicy
    policy: PolicySource
    allowed_resources: Mapping[str, str]
    front_door: FrontDoor | None
    caller_tokens: CallerTokens
    workspace: Workspace | None
    people: ChatPeople
    slack: Slack
    bot: Bot | None
    teams: Teams | None
    most_waiting: int = 8


class WiredWorld:
    """The product over the emulator; what is noted of it, and what waits in its queue."""

    def __init__(  # noqa: PLR0913 -- each is one wish
        self,
        *,
        registry: Registry | None = None,
        receiver: Receiver | None = None,
        called_back: CallbackReceiver | None = None,
        chat: "SlackDouble | None" = None,
        settings: Mapping[str, str] | None = None,
        rules: Sequence[Mapping[str, Any]] | None = None,
        **emulator: Any,
    ) -> None:
        self.clock = VirtualClock()
        self.emulator = Emulator(now=self.clock.now, sleep=self.clock.sleep, **emulator)
        self.receiver = receiver
        self.called_back = called_back
        self._asked_for = settings
        told = (receiver.settings() if receiver else {}) | (called_back.settings() if called_back else {})
        told |= chat.settings() if chat else {}
        self.settings = Settings.from_env({**self.emulator.settings(), **LOCAL_STORAGE, **told, **(settings or {})})
        self.registry = registry or MemoryRegistry()
        self.copies: Copies = MemoryCopies()
        self.people = MemoryChatPeople()
        self.chat = chat
        self.policy = a_policy(*rules) if rules is not None else Path(self.settings.policy).read_bytes()
        self.outside: Any = straight
        self.violations: list[str] = []
        self.changes: defaultdict[str, Facts] = defaultdict(set)
        self.watch = Watch(self)
        self.accepted: Counter[str] = Counter()
        self.mints = 0
        self.queue: list[Queued] = []
        self.chat_queue: list[str] = []
        self.errors: list[Exception] = []
        self.due_messages: Callable[[Services], Iterable[str]] = plan.due_messages
        self._exchanged: Callable[[TestServices], TestServices] = lambda services: services
        self.services = self.new_process()

    def new_process(self) -> TestServices:
        """Return the services of a process of its own: nothing is remembered from another."""
        watched = WatchedAdapter(self, self.emulator.session().get_adapter(self.emulator.origin + "/"))
        session, credential = self._session(watched), CachedCredential(self.emulator)
        tenant, clock = self.settings.tenant, self.clock
        calls, granter = GraphCalls(tenant.graph_endpoint, credential, session, clock), None
        if self.settings.granter_client_id is not None:
            identity = CachedCredential(self.emulator, self.settings.granter_client_id)
            granter = GraphCalls(tenant.graph_endpoint, identity, session, clock)
        services = TestServices(
            directory=GraphDirectory(calls, clock),
            app_roles=GraphAppRoles(calls, granter, clock),
            grants=self.settings.grants,
            azure_roles=self._azure_roles(credential, session),
            sign_ins=self._sign_ins(credential, session),
            fhir_services=self.settings.fhir_services,
            data_roles={
                each: ArmRoles(self.settings.resource_manager, each, credential, session, clock)
                for each in self.settings.fhir_services.values()
            },
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
            copies=self.copies,
            notifier=self._notifier(),
            callbacks=self._callbacks(),
            queues=WorldQueues(self),
            clock=clock,
            tenant=tenant,
            secrets=self.settings.secrets,
            policy=PolicyDocument(self._document_of_policy, clock),
            allowed_resources=self.settings.allowed_resources,
            front_door=self.settings.front_door,
            caller_tokens=EntraCallerTokens(tenant.authority, session, clock),
            workspace=self.settings.workspace,
            people=cast("ChatPeople", WatchedPeople(self, self.people)),
            slack=self._slack(),
            bot=self.settings.bot,
            teams=self._teams(session),
        )
        return self._exchanged(services)

    def _document_of_policy(self, stamp: str | None) -> Document | None:
        """Read what the operator has put in place of the default, as a blob is read."""
        now = hashlib.sha256(self.policy).hexdigest()
        return None if now == stamp else Document(self.policy, now)

    def exchange(self, change: Callable[[TestServices], TestServices]) -> None:
        """Have every process from now on work with the services that `change` makes of its own."""
        self._exchanged = change
        self.services = self.new_process()

    def copy(self, receiver: Receiver | None = None) -> Self:
        """Return a world of its own that is as this one is, at rest: nothing queued, nothing wrong."""
        assert isinstance(self.registry, MemoryRegistry)
        assert not self.queue
        assert not self.violations, self.violations
        world = type(self)(registry=self.registry.copy(), receiver=receiver, settings=self._asked_for)
        world.policy = self.policy
        ours, theirs = self.emulator, world.emulator
        memo: dict[int, Any] = {id(self.clock): world.clock, id(ours.faults): theirs.faults}
        world.clock.time = self.clock.time
        theirs.directory, theirs.vault, theirs.sts, theirs.role_assignments = deepcopy(
            (ours.directory, ours.vault, ours.sts, ours.role_assignments), memo
        )
        world.watch.lost |= self.watch.lost
        world.accepted, world.mints = self.accepted.copy(), self.mints
        return world

    def _session(self, watched: WatchedAdapter, origin: str | None = None) -> requests.Session:
        session = requests.Session()
        session.trust_env = False
        session.mount(origin or self.emulator.origin, watched)
        return session

    def _azure_roles(self, credential: CachedCredential, session: requests.Session) -> AzureRoles | None:
        vault_id = self.settings.vault_id
        return ArmRoles(self.settings.resource_manager, vault_id, credential, session, self.clock) if vault_id else None

    def _sign_ins(self, credential: CachedCredential, session: requests.Session) -> SignIns | None:
        if not self.settings.sign_in_activity:
            return None
        return GraphSignIns(
            GraphCalls(self.settings.tenant.graph_endpoint, credential, session, self.clock, version="beta"), self.clock
        )

    def _notifier(self) -> Notifier | None:
        webhook = self.settings.webhook
        if self.receiver is None or webhook is None:
            return None
        session = self._session(WatchedAdapter(self, self.receiver), webhook.url)
        return WebhookNotifier(webhook.url, webhook.key, source_of(self.settings.tenant), session, self.clock)

    def _callbacks(self) -> Callbacks | None:
        allowed = self.settings.callbacks
        if self.called_back is None or allowed is None:
            return None
        session = self._session(WatchedAdapter(self, self.called_back), self.called_back.origin)
        return SignedCallbacks(allowed.hosts, allowed.seed, source_of(self.settings.tenant), session, self.clock)

    def _slack(self) -> Slack:
        session = (
            requests.Session() if self.chat is None else self._session(WatchedAdapter(self, self.chat), "https://")
        )
        return SlackAnswers(session, self.settings.slack_bot_token)

    def _teams(self, session: requests.Session) -> Teams | None:
        bot = self.settings.bot
        if bot is None:
            return None
        return TeamsBot(bot, CachedCredential(self.emulator, bot.id), session, session, self.clock)

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
