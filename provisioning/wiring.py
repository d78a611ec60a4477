"""Settings -> Services: the only place that chooses adapters. Each is made, and its library loaded, on first use."""

import logging
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from provisioning.domain.notices import source_of
from provisioning.ports import (
    AppRoles,
    AzureRoles,
    Callbacks,
    CallerTokens,
    ChatPeople,
    Copies,
    Directory,
    Notifier,
    PolicySource,
    Queues,
    Registry,
    SecretStore,
    SignIns,
    Slack,
    Teams,
    TokenProof,
)
from provisioning.settings import Settings, Telemetry

if TYPE_CHECKING:
    import ssl

    import requests
    from azure.core.credentials import TokenCredential
    from azure.data.tables import TableServiceClient
    from requests.auth import AuthBase

    from provisioning.adapters.graph_calls import GraphCalls
    from provisioning.adapters.tables import TableRegistry


class SystemClock:
    """The machine's time."""

    def now(self) -> datetime:
        """Return the time in UTC."""
        return datetime.now(UTC)

    def sleep(self, seconds: float) -> None:
        """Return after that time."""
        time.sleep(seconds)


class AzureServices:
    """Services over Azure, as the settings name it. A POST needs the registry only, so only that is loaded for it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        # Azure's libraries log each request at INFO; ours logs what matters of it.
        logging.getLogger("azure").setLevel(logging.WARNING)
        # It logs each request with the query of its URL at DEBUG; that of the webhook may be a token.
        logging.getLogger("urllib3").setLevel(logging.WARNING)
        self.clock = SystemClock()
        self.tenant = settings.tenant
        self.secrets = settings.secrets
        self.most_waiting = settings.threads // 4
        self.allowed_resources = settings.allowed_resources
        self.front_door = settings.front_door
        self.grants = settings.grants
        self.fhir_services = settings.fhir_services
        self.workspace = settings.workspace
        self.bot = settings.bot
        if settings.telemetry is not None:
            self._tell(settings.telemetry)

    def _tell(self, telemetry: Telemetry) -> None:
        """Have spans and measures be sent where the settings say; only then OpenTelemetry is loaded."""
        from provisioning.adapters import metrics, opentelemetry

        spans, measures = [], []
        if telemetry.connection_string is not None:
            spans.append(opentelemetry.to_application_insights(telemetry.connection_string, self._identity))
            measures.append(metrics.to_application_insights(telemetry.connection_string, self._identity))
        if telemetry.collector is not None:
            spans.append(opentelemetry.to_collector(telemetry.collector, self._settings.ca_bundle))
            measures.append(metrics.to_collector(telemetry.collector, self._settings.ca_bundle))
        opentelemetry.start(spans)
        metrics.start([metrics.periodically(each) for each in measures])

    @property
    def registry(self) -> Registry:
        """Table storage of the function app's own storage account."""
        return self._registry

    @property
    def people(self) -> ChatPeople:
        """A table beside those of the registry."""
        return self._registry.people

    @cached_property
    def _registry(self) -> "TableRegistry":
        from provisioning.adapters.tables import TableRegistry

        return TableRegistry(self._tables, self.clock)

    @cached_property
    def copies(self) -> Copies:
        """The rows of the same tables."""
        from provisioning.adapters.copies import TableCopies

        return TableCopies(self._tables)

    @cached_property
    def _tables(self) -> "TableServiceClient":
        from azure.data.tables import TableServiceClient

        from provisioning.adapters.transport import TABLES_TIMEOUT, sdk_options

        storage, options = self._settings.storage, sdk_options(self._session, TABLES_TIMEOUT)
        if storage.connection_string is not None:
            return TableServiceClient.from_connection_string(storage.connection_string, **options)
        identity = self._own_identity(storage.client_id or self._settings.client_id, managed=storage.managed)
        return TableServiceClient(storage.table_service_uri or "", credential=identity, **options)

    @cached_property
    def directory(self) -> Directory:
        """Microsoft Graph."""
        from provisioning.adapters.graph import GraphDirectory

        return GraphDirectory(self._graph, self.clock)

    @cached_property
    def _graph(self) -> "GraphCalls":
        from provisioning.adapters.graph_calls import GraphCalls

        return GraphCalls(self.tenant.graph_endpoint, self._identity, self._session, self.clock)

    @cached_property
    def app_roles(self) -> AppRoles:
        """App roles in Microsoft Graph: assigned as this app, or else as the identity that the settings name for it."""
        from provisioning.adapters.app_roles import GraphAppRoles
        from provisioning.adapters.graph_calls import GraphCalls

        granter = None
        if self._settings.granter_client_id is not None:
            identity = self._own_identity(self._settings.granter_client_id)
            granter = GraphCalls(self.tenant.graph_endpoint, identity, self._session, self.clock)
        return GraphAppRoles(self._graph, granter, self.clock)

    @cached_property
    def sign_ins(self) -> SignIns | None:
        """The reports of sign-ins in the beta version of Microsoft Graph, where the settings say that they be read."""
        if not self._settings.sign_in_activity:
            return None
        from provisioning.adapters.graph_calls import GraphCalls
        from provisioning.adapters.sign_ins import GraphSignIns

        beta = GraphCalls(self.tenant.graph_endpoint, self._identity, self._session, self.clock, version="beta")
        return GraphSignIns(beta, self.clock)

    @cached_property
    def azure_roles(self) -> AzureRoles | None:
        """Roles of Azure on the key vault, where the settings name it."""
        vault_id = self._settings.vault_id
        if vault_id is None:
            return None
        from provisioning.adapters.arm import ArmRoles

        return ArmRoles(self._settings.resource_manager, vault_id, self._identity, self._session, self.clock)

    @cached_property
    def data_roles(self) -> Mapping[str, AzureRoles]:
        """Roles of Azure on the managed FHIR services that the settings list."""
        from provisioning.adapters.arm import ArmRoles

        return {
            each: ArmRoles(self._settings.resource_manager, each, self._identity, self._session, self.clock)
            for each in self._settings.fhir_services.values()
        }

    @cached_property
    def vault(self) -> SecretStore:
        """Key Vault."""
        from provisioning.adapters.keyvault import KeyVaultSecrets

        return KeyVaultSecrets(
            self.tenant.key_vault_url,
            self._identity,
            self._session,
            self.clock,
            verify_challenge_resource=not self._settings.local_vault,
        )

    @cached_property
    def proof(self) -> TokenProof:
        """The tenant's token endpoint."""
        from provisioning.adapters.tokens import TokenEndpointProof
        from provisioning.adapters.transport import new_session

        return TokenEndpointProof(
            self.tenant.authority,
            f"{self.tenant.graph_endpoint}/.default",
            lambda: new_session(self._tls, 1),
            self.clock,
        )

    @cached_property
    def caller_tokens(self) -> CallerTokens:
        """Tokens of the tenant for this service's own API."""
        from provisioning.adapters.bearer import EntraCallerTokens

        return EntraCallerTokens(self.tenant.authority, self._session, self.clock)

    @cached_property
    def policy(self) -> PolicySource:
        """The document that the settings name, in a file or a blob."""
        from provisioning.adapters.policy import PolicyDocument, blob, file
        from provisioning.adapters.shared_key import SharedKey
        from provisioning.adapters.transport import STORAGE_SCOPE, BearerToken

        place, storage = self._settings.policy, self._settings.storage
        if not place.startswith(("https://", "http://")):
            return PolicyDocument(file(Path(place)), self.clock)
        if storage.account_key is not None and storage.has_blob(place):
            auth: AuthBase = SharedKey(*storage.account_key, self.clock)
        else:
            auth = BearerToken(self._identity, STORAGE_SCOPE)
        return PolicyDocument(blob(place, self._session, auth), self.clock)

    @cached_property
    def queues(self) -> Queues:
        """Queue storage, beside the tables."""
        from provisioning.adapters.queues import StorageQueues
        from provisioning.adapters.shared_key import SharedAccessSignature, SharedKey
        from provisioning.adapters.transport import STORAGE_SCOPE, BearerToken

        storage = self._settings.storage
        auth: AuthBase
        if storage.shared_access_signature is not None:
            auth = SharedAccessSignature(storage.shared_access_signature)
        elif storage.account_key is not None:
            auth = SharedKey(*storage.account_key, self.clock)
        else:
            identity = self._own_identity(storage.client_id or self._settings.client_id, managed=storage.managed)
            auth = BearerToken(identity, STORAGE_SCOPE)
        return StorageQueues(storage.queue_service_uri, self._session, auth, self.clock)

    @cached_property
    def notifier(self) -> Notifier | None:
        """The operator's webhook, or channel of Microsoft Teams, if there is one."""
        webhook = self._settings.webhook
        if webhook is None:
            return None
        if webhook.teams:
            from provisioning.adapters.teams import TeamsNotifier

            return TeamsNotifier(webhook.url, self._settings.page, self._session)
        from provisioning.adapters.webhook import WebhookNotifier

        return WebhookNotifier(webhook.url, webhook.key, source_of(self.tenant), self._session, self.clock)

    @cached_property
    def callbacks(self) -> Callbacks | None:
        """Callbacks to the hosts that the settings name, if they name any."""
        allowed = self._settings.callbacks
        if allowed is None:
            return None
        from provisioning.adapters.callbacks import SignedCallbacks
        from provisioning.adapters.public_hosts import public_session

        session = public_session(self._tls)
        return SignedCallbacks(allowed.hosts, allowed.seed, source_of(self.tenant), session, self.clock)

    @cached_property
    def slack(self) -> Slack:
        """Slack, at public addresses; on the local stack also what is on this machine."""
        from provisioning.adapters.public_hosts import public_session
        from provisioning.adapters.slack import SlackAnswers

        session = self._session if self._settings.storage.local else public_session(self._tls)
        return SlackAnswers(session, self._settings.slack_bot_token)

    @cached_property
    def teams(self) -> Teams | None:
        """The Bot Framework; answers go to public addresses, and on the local stack also to this machine."""
        bot = self._settings.bot
        if bot is None:
            return None
        from provisioning.adapters.bot import TeamsBot
        from provisioning.adapters.public_hosts import public_session

        answers = self._session if self._settings.storage.local else public_session(self._tls)
        return TeamsBot(bot, self._own_identity(bot.id), self._session, answers, self.clock)

    @cached_property
    def _session(self) -> "requests.Session":
        """One pool for storage, Graph, the vault and the webhook: a connection to each for each thread."""
        from provisioning.adapters.transport import new_session

        return new_session(self._tls, self._settings.threads)

    @cached_property
    def _tls(self) -> "ssl.SSLContext":
        from provisioning.adapters.transport import tls_context

        return tls_context(self._settings.ca_bundle)

    @cached_property
    def _identity(self) -> "TokenCredential":
        return self._own_identity(self._settings.client_id)

    def _own_identity(self, client_id: str | None, *, managed: bool = False) -> "TokenCredential":
        from provisioning.adapters.identity import OwnIdentity

        return OwnIdentity(
            managed=managed or self._settings.has_identity_endpoint,
            client_id=client_id,
            authority_host=self.tenant.authority_host,
        )
