"""The app settings: the only place that knows their names, and that all wrong ones are reported together.

Standard names where a standard exists: `AzureWebJobsStorage` as the Functions host reads it, `AZURE_*` as
azure-identity does, `REQUESTS_CA_BUNDLE` as requests does.
"""

import base64
import json
import os
import re
from collections.abc import Callable, Mapping
from dataclasses import field, replace
from datetime import timedelta
from pathlib import Path
from typing import Final, TypeVar
from urllib.parse import urlsplit

from provisioning.domain.clouds import PUBLIC, cloud_of
from provisioning.domain.durations import format_duration, parse_duration
from provisioning.domain.errors import SettingsError
from provisioning.domain.front_door import FrontDoor, front_door
from provisioning.domain.names import (
    can_name_resource,
    canonical_name,
    compared,
    is_microsofts,
    managed_fhir_service,
    managed_fhir_url,
    opens_directory_or_azure,
    server_url_faults,
)
from provisioning.domain.secrets import SecretPolicy
from provisioning.domain.slack import Workspace
from provisioning.domain.teams import Bot, bot_cloud
from provisioning.domain.tenant import Tenant
from provisioning.domain.values import dataclass

T = TypeVar("T")

_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_DOMAIN: Final = re.compile(r"(?:[a-z0-9](?:[a-z0-9-]*[a-z0-9])?\.)+[a-z0-9][a-z0-9-]*[a-z0-9]", re.ASCII)
_ACCOUNT: Final = re.compile(r"[a-z0-9]{3,24}", re.ASCII)
_LONGEST_PROOF: Final = timedelta(minutes=7)
_MOST_OVERLAPS: Final = 4  # for which a replaced secret stays by default, while it is used
_STORAGE: Final = "AzureWebJobsStorage"
_WEBHOOK_KEY: Final = "whsec_"
_CALLBACK_KEY: Final = "whsk_"
# Of the storage emulators: published by Microsoft, the same on every machine.
_DEVELOPMENT_ACCOUNT: Final = (
    "devstoreaccount1",
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==",
)
_DEVELOPMENT_BLOBS: Final = "http://127.0.0.1:10000/devstoreaccount1"
_DEVELOPMENT_QUEUES: Final = "http://127.0.0.1:10001/devstoreaccount1"
_WORKSPACE: Final = re.compile(r"T[A-Z0-9]{2,30}", re.ASCII)
_SIGNING_SECRET: Final = re.compile(r"[0-9a-f]{32,64}", re.ASCII)
_BOT_TOKEN: Final = re.compile(r"xoxb-[A-Za-z0-9-]{1,200}", re.ASCII)
_LONGEST_SESSION: Final = timedelta(days=1)
_BLOBS: Final = re.compile(
    r"https://[a-z0-9]{3,24}\.blob\.core\.(?:windows\.net|usgovcloudapi\.net|chinacloudapi\.cn)/[^\s?#]+/[^\s?#]+"
)
# The identity that the app runs as, the files that it has, and who names its callers.
_OF_THE_APP: Final = frozenset(
    {
        *("AZURE_CLIENT_ID", "AzureWebJobsStorage__credential", "AzureWebJobsStorage__clientId", "CALLER_AUTH"),
        # These need to know who names the callers.
        *("KEY_VAULT_ID", "FHIR_SERVICE_IDS"),
        *("SLACK_WORKSPACE", "SLACK_SIGNING_SECRET", "SLACK_BOT_TOKEN", "TEAMS_BOT_ID"),
        *("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "IDENTITY_ENDPOINT", "IDENTITY_HEADER"),
    }
)
_POLICY: Final = Path(__file__).with_name("policy.json")
_WEBHOOK: Final = ("NOTIFY_WEBHOOK_URL", "NOTIFY_WEBHOOK_SECRET")
_CALLBACKS: Final = ("CALLBACK_HOSTS", "CALLBACK_SIGNING_KEY")
_SLACK: Final = ("SLACK_WORKSPACE", "SLACK_SIGNING_SECRET")
_TEAMS: Final = ("TEAMS_BOT_ID", "TEAMS_LOGIN_ENDPOINT")
_FORMATS: Final = ("cloudevents", "teams")
_VAULT_ID: Final = re.compile(
    r"/subscriptions/[0-9a-f-]{36}/resourceGroups/[\w().-]{1,90}/providers/Microsoft\.KeyVault/vaults/([0-9a-z-]{3,24})",
    re.ASCII | re.IGNORECASE,
)
_FHIR_SERVICE_ID: Final = re.compile(
    r"/subscriptions/[0-9a-f-]{36}/resourceGroups/[\w().-]{1,90}/providers/Microsoft\.HealthcareApis/"
    r"workspaces/([0-9a-z]{1,24})/fhirservices/([0-9a-z-]{1,24})",
    re.ASCII | re.IGNORECASE,
)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Storage:
    """Where the tables are: a connection string, or a service URI that an identity opens."""

    connection_string: str | None
    table_service_uri: str | None
    client_id: str | None
    managed: bool

    @property
    def local(self) -> bool:
        """Whether it is the storage emulator on this machine; then alone loopback endpoints are allowed elsewhere."""
        if self._is_development_storage:
            return True
        endpoint = self._parts.get("tableendpoint") if self.connection_string else self.table_service_uri
        return _host(endpoint or "") in _LOOPBACK

    @property
    def account_key(self) -> tuple[str, str] | None:
        """The account and its key, where the connection string has them."""
        if self._is_development_storage:
            return _DEVELOPMENT_ACCOUNT
        account, key = self._parts.get("accountname"), self._parts.get("accountkey")
        return (account, key) if account and key else None

    def has_blob(self, url: str) -> bool:
        """Whether a blob of this address is in the account of the connection string."""
        parts, account = self._parts, self.account_key
        if account is None:
            return False
        suffix, scheme = parts.get("endpointsuffix", "core.windows.net"), parts.get("defaultendpointsprotocol", "https")
        endpoint = parts.get("blobendpoint") or f"{scheme}://{account[0]}.blob.{suffix}"
        endpoint = _DEVELOPMENT_BLOBS if self._is_development_storage else endpoint
        return url.startswith(endpoint.rstrip("/") + "/")

    @property
    def shared_access_signature(self) -> str | None:
        """The signature that the connection string has in place of a key."""
        return self._parts.get("sharedaccesssignature")

    @property
    def queue_service_uri(self) -> str:
        """Where the queues are: beside the tables."""
        if self._is_development_storage:
            return _DEVELOPMENT_QUEUES
        if not self.connection_string:
            return (self.table_service_uri or "").replace(".table.", ".queue.")
        parts = self._parts
        suffix, scheme = parts.get("endpointsuffix", "core.windows.net"), parts.get("defaultendpointsprotocol", "https")
        return parts.get("queueendpoint") or f"{scheme}://{parts.get('accountname', '')}.queue.{suffix}"

    @property
    def _is_development_storage(self) -> bool:
        return (self.connection_string or "").lower() == "usedevelopmentstorage=true"

    @property
    def _parts(self) -> Mapping[str, str]:
        """What the connection string says, by names in lower case."""
        parts = (part.split("=", 1) for part in (self.connection_string or "").split(";") if "=" in part)
        return {name.strip().lower(): value for name, value in parts}


@dataclass(frozen=True, slots=True)
class Webhook:
    """Where notices go, and the key that signs them; none where they are cards of Microsoft Teams.

    Both hide themselves in `repr`: the URL may hold a token.
    """

    url: str = field(repr=False)
    key: bytes = field(repr=False)
    teams: bool


@dataclass(frozen=True, slots=True)
class CallbackSettings:
    """The hosts that callbacks may go to, and the private key that signs them, which hides itself in `repr`."""

    hosts: tuple[str, ...]
    seed: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Telemetry:
    """Where spans go: to Application Insights, to a collector, or to both."""

    connection_string: str | None = field(repr=False)
    collector: str | None


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting, checked and typed."""

    storage: Storage
    tenant: Tenant
    secrets: SecretPolicy
    allowed_resources: Mapping[str, str]
    webhook: Webhook | None
    callbacks: CallbackSettings | None
    client_id: str | None
    has_identity_endpoint: bool
    ca_bundle: str | None
    threads: int
    front_door: FrontDoor | None
    policy: str
    page: str | None
    telemetry: Telemetry | None
    grants: bool
    granter_client_id: str | None
    sign_in_activity: bool
    workspace: Workspace | None
    slack_bot_token: str | None = field(repr=False)
    bot: Bot | None
    vault_id: str | None
    fhir_services: Mapping[str, str]
    resource_manager: str

    @property
    def local_vault(self) -> bool:
        """Whether the vault is an emulator on this machine; real vaults always have their challenge verified."""
        return self.storage.local and _host(self.tenant.key_vault_url) in _LOOPBACK

    @classmethod
    def from_env(cls, env: Mapping[str, str]) -> "Settings":
        """Read the settings; raise SettingsError that names every wrong one."""
        reader = _Reader(env)
        storage, tenant_id = reader.storage(), reader.guid("AZURE_TENANT_ID", required=True) or ""
        authority_host = reader.endpoint("AZURE_AUTHORITY_HOST", storage, "https://login.microsoftonline.com")
        session = reader.chat_session("CHAT_SESSION")
        settings = cls(
            storage=storage,
            tenant=Tenant(
                id=tenant_id,
                authority_host=authority_host,
                graph_endpoint=reader.endpoint("GRAPH_ENDPOINT", storage, cloud_of(authority_host).graph_endpoint),
                key_vault_url=reader.endpoint("KEY_VAULT_URL", storage, None),
                registrar_object_id=reader.guid("REGISTRAR_OBJECT_ID"),
                verified_domains=reader.domains("VERIFIED_DOMAINS"),
            ),
            secrets=reader.secret_policy(storage),
            allowed_resources=reader.resources("ALLOWED_RESOURCES", tenant_id),
            webhook=reader.webhook("NOTIFY_WEBHOOK_URL", "NOTIFY_WEBHOOK_SECRET", "NOTIFY_WEBHOOK_FORMAT", storage),
            callbacks=reader.callbacks("CALLBACK_HOSTS", "CALLBACK_SIGNING_KEY"),
            page=reader.page("WEBSITE_HOSTNAME"),
            client_id=reader.guid("AZURE_CLIENT_ID"),
            has_identity_endpoint="IDENTITY_ENDPOINT" in env,
            ca_bundle=reader.existing_path("REQUESTS_CA_BUNDLE") or reader.existing_path("CURL_CA_BUNDLE"),
            threads=reader.whole_number("PYTHON_THREADPOOL_THREAD_COUNT", 32),
            front_door=reader.front_door("CALLER_AUTH"),
            policy=reader.policy("POLICY", storage),
            telemetry=reader.telemetry("APPLICATIONINSIGHTS_CONNECTION_STRING", "OTEL_EXPORTER_OTLP_ENDPOINT", storage),
            grants=reader.one_of("GRANTS", ("off", "on")) == "on",
            granter_client_id=reader.guid("GRANTER_CLIENT_ID"),
            sign_in_activity=reader.sign_in_activity("SIGN_IN_ACTIVITY", authority_host),
            workspace=reader.workspace(*_SLACK, storage, session),
            slack_bot_token=reader.bot_token("SLACK_BOT_TOKEN"),
            bot=reader.bot(*_TEAMS, storage, tenant_id, authority_host, session),
            vault_id=reader.vault_id("KEY_VAULT_ID", "KEY_VAULT_URL", storage),
            fhir_services=reader.fhir_services("FHIR_SERVICE_IDS", storage),
            resource_manager=reader.endpoint(
                "RESOURCE_MANAGER_ENDPOINT", storage, cloud_of(authority_host).resource_manager
            ),
        )
        if reader.faults:
            # As function_app.py decides whether the host asks for a key.
            keys_are_asked = env.get("CALLER_AUTH", "").strip() != "entra"
            raise SettingsError(reader.faults, keys_are_asked=keys_are_asked)
        return settings


def from_environment() -> Settings:
    """Return the settings of this process; raise SettingsError that names every wrong one."""
    return Settings.from_env(os.environ)


def from_file(path: str) -> Settings:
    """Return the settings that a file has: a list of names and values, or a local.settings.json.

    The environment has what the file has not. What holds only where the app runs is left out: its identity, its files,
    who names its callers, and a reference into Key Vault, with the URL of the webhook or the hosts of callbacks. Raises
    SettingsError for a file that is neither.
    """
    try:
        content = json.loads(Path(path).read_text(encoding="utf-8"))
        values = content["Values"] if isinstance(content, dict) else {each["name"]: each["value"] for each in content}
        found = {str(name): str(value) for name, value in values.items() if name not in _OF_THE_APP}
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        raise SettingsError(["--settings: must name a file of app settings, as az or func write it"]) from None
    for together in (_WEBHOOK, _CALLBACKS):
        if any(found.get(name, "").startswith("@Microsoft.KeyVault(") for name in together):
            found = {name: value for name, value in found.items() if name not in together}
    return Settings.from_env({**os.environ, **found})


class _Reader:
    """Reads one setting after the other and keeps what is wrong, never the value itself."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self.faults: list[str] = []

    def _parsed(self, name: str, parse: Callable[[str], T], default: T, rule: str) -> T:
        text = self._env.get(name, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except ValueError:
            self.faults.append(f"{name}: {rule}")
            return default

    def guid(self, name: str, *, required: bool = False) -> str | None:
        if required and not self._env.get(name, "").strip():
            self.faults.append(f"{name}: is required; set it to a GUID")
        return self._parsed(name, _matching(_GUID), None, "must be a GUID")

    def items(self, name: str) -> tuple[str, ...]:
        return tuple(item.strip() for item in self._env.get(name, "").split(",") if item.strip())

    def domains(self, name: str) -> tuple[str, ...]:
        domains = tuple(item.lower() for item in self.items(name))
        if not all(_DOMAIN.fullmatch(domain) for domain in domains):
            self.faults.append(f"{name}: must be domain names joined by commas, such as contoso.com")
        return domains

    def resources(self, name: str, tenant_id: str) -> Mapping[str, str]:
        """Return each resource by its canonical name, as Entra is asked for it and tokens name it."""
        items = self.items(name)
        if not all(map(can_name_resource, items)):
            self.faults.append(
                f"{name}: must be client ids and identifier URIs joined by commas, such as api://payments"
            )
            return {}
        resources = {canonical_name(item, tenant_id): item.rstrip("/") for item in items}
        if any(map(opens_directory_or_azure, resources)):
            self.faults.append(
                f"{name}: must not hold Microsoft Graph, Azure's management or Key Vault: whoever may register could "
                "have their permissions declared"
            )
        # A client id is the name of a resource in any of its forms.
        return {known: known if _GUID.fullmatch(known) else written for known, written in resources.items()}

    def whole_number(self, name: str, default: int) -> int:
        return self._parsed(name, _positive, default, "must be a whole number of at least 1")

    def existing_path(self, name: str) -> str | None:
        path = self._env.get(name) or None
        if path is not None and not Path(path).exists():
            self.faults.append(f"{name}: must name a file or folder of certificates that exists")
        return path

    def duration(self, name: str, default: timedelta) -> timedelta:
        return self._parsed(name, parse_duration, default, "must be an ISO 8601 duration of days and time, as P180D")

    def endpoint(self, name: str, storage: Storage, default: str | None) -> str:
        text = self._env.get(name, "").strip() or default
        if text is None:
            self.faults.append(f"{name}: is required; set it to a URL")
            return ""
        self._check_url(name, text, storage)
        return text.rstrip("/")

    def _check_url(self, name: str, url: str, storage: Storage, *, query: bool = False) -> None:
        host = _host(url, query=query)
        if host is None:
            refused = "fragment or user name" if query else "query, fragment or user name"
            self.faults.append(f"{name}: must be a URL with a host and no {refused}")
        elif not url.startswith("https://") and not storage.local:
            self.faults.append(f"{name}: must begin with https://")
        elif host in _LOOPBACK and not storage.local:
            self.faults.append(f"{name}: this machine is allowed only beside the local storage emulator")

    def policy(self, name: str, storage: Storage) -> str:
        """Return where the policy is: a path, or the address of a blob.

        Whether it is there is no matter of settings: a policy that cannot be read must not stop those who only read.
        """
        place = self._env.get(name, "").strip() or str(_POLICY)
        if (
            re.match(r"[A-Za-z][A-Za-z0-9+.-]*://", place)
            and not _BLOBS.fullmatch(place)
            and not (storage.local and storage.has_blob(place))
        ):
            self.faults.append(
                f"{name}: must be the path of a file, or the address of a blob, such as "
                "https://youraccount.blob.core.windows.net/policy/policy.json, without a query"
            )
        return place

    def page(self, name: str) -> str | None:
        """Return where people meet the page of this service, by the host name that the platform gives it."""
        host = self._env.get(name, "").strip().lower()
        return f"https://{host}/api/page/" if _DOMAIN.fullmatch(host) else None

    def telemetry(self, connection_name: str, collector_name: str, storage: Storage) -> Telemetry | None:
        connection, collector = (self._env.get(name, "").strip() or None for name in (connection_name, collector_name))
        if connection is not None and "instrumentationkey=" not in connection.lower():
            self.faults.append(f"{connection_name}: must be the connection string of Application Insights")
        if collector is not None:
            self._check_url(collector_name, collector, storage)
        return Telemetry(connection, collector.rstrip("/") if collector else None) if connection or collector else None

    def webhook(self, url_name: str, secret_name: str, format_name: str, storage: Storage) -> Webhook | None:
        url, secret = self._env.get(url_name, "").strip(), self._env.get(secret_name, "").strip()
        key = self._parsed(secret_name, _webhook_key, b"", f"must be {_WEBHOOK_KEY} and 24 to 64 bytes in base64")
        if url:
            self._check_url(url_name, url, storage, query=True)
        chosen = self._env.get(format_name, "").strip() or _FORMATS[0]
        if chosen not in _FORMATS:
            self.faults.append(f"{format_name}: must be {' or '.join(_FORMATS)}")
        teams = chosen == "teams"
        if teams and secret:
            self.faults.append(f"{secret_name}: signs nothing where {format_name} is teams; leave it out")
        if url and not secret and not teams:
            self.faults.append(f"{secret_name}: is required beside {url_name}")
        if secret and not url:
            self.faults.append(f"{url_name}: is required beside {secret_name}")
        return Webhook(url, key, teams) if url else None

    def callbacks(self, hosts_name: str, key_name: str) -> CallbackSettings | None:
        hosts = tuple(host.lower() for host in self.items(hosts_name))
        if not all(_DOMAIN.fullmatch(host.removeprefix("*.")) for host in hosts):
            self.faults.append(f"{hosts_name}: must be hosts joined by commas, such as ci.contoso.com, *.contoso.com")
        seed = self._parsed(key_name, _callback_key, b"", f"must be {_CALLBACK_KEY} and 32 bytes in base64")
        given = {name: bool(self._env.get(name, "").strip()) for name in (hosts_name, key_name)}
        if len({*given.values()}) > 1:
            absent = next(name for name, is_given in given.items() if not is_given)
            self.faults.append(f"{absent}: is required beside {key_name if absent == hosts_name else hosts_name}")
        return CallbackSettings(hosts, seed) if all(given.values()) else None

    def chat_session(self, name: str) -> timedelta:
        session = self.duration(name, timedelta(hours=8))
        if not timedelta(minutes=5) <= session <= _LONGEST_SESSION:
            self.faults.append(f"{name}: must be between PT5M and {format_duration(_LONGEST_SESSION)}")
        return session

    def bot(  # noqa: PLR0913, PLR0917 -- the parts of a bot
        self, name: str, login_name: str, storage: Storage, tenant_id: str, authority_host: str, session: timedelta
    ) -> Bot | None:
        bot_id, cloud = self.guid(name), bot_cloud(cloud_of(authority_host))
        if bot_id is None:
            return None
        if cloud is None:
            self.faults.append(f"{name}: there is no bot in the cloud of AZURE_AUTHORITY_HOST; leave it out")
            return None
        self._signed_in(name)
        known = replace(cloud, login=self.endpoint(login_name, storage, cloud.login))
        return Bot(bot_id, tenant_id, known, session, self.page("WEBSITE_HOSTNAME"), local=storage.local)

    def workspace(self, id_name: str, secret_name: str, storage: Storage, session: timedelta) -> Workspace | None:
        given = {name: self._env.get(name, "").strip() for name in (id_name, secret_name)}
        for name, rule in ((id_name, _WORKSPACE), (secret_name, _SIGNING_SECRET)):
            if given[name] and not rule.fullmatch(given[name]):
                self.faults.append(f"{name}: must be as Slack shows it, with the team's id T... or the signing secret")
        if not any(given.values()):
            return None
        self.faults += [f"{name}: is required beside the other settings of Slack" for name in given if not given[name]]
        self._signed_in(id_name)
        page, has_forms = self.page("WEBSITE_HOSTNAME"), bool(self._env.get("SLACK_BOT_TOKEN", "").strip())
        return Workspace(
            given[id_name], given[secret_name].encode(), session, page, local=storage.local, has_forms=has_forms
        )

    def _signed_in(self, name: str) -> None:
        if self._env.get("CALLER_AUTH", "").strip() != "entra":
            self.faults.append(f"{name}: needs CALLER_AUTH=entra, which says who a person of the chat is")

    def bot_token(self, name: str) -> str | None:
        token = self._env.get(name, "").strip()
        if token and not _BOT_TOKEN.fullmatch(token):
            self.faults.append(f"{name}: must be the token of a bot, xoxb-...")
        return token or None

    def storage(self) -> Storage:
        connection_string = self._env.get(_STORAGE, "").strip() or None
        account = self._parsed(
            f"{_STORAGE}__accountName", _matching(_ACCOUNT), None, "must be 3 to 24 lower-case letters and digits"
        )
        uri = self._env.get(f"{_STORAGE}__tableServiceUri", "").strip().rstrip("/") or None
        if uri is None and account is not None:
            uri = f"https://{account}.table.core.windows.net"
        managed = self._env.get(f"{_STORAGE}__credential", "").strip().lower() == "managedidentity"
        storage = Storage(connection_string, uri, self.guid(f"{_STORAGE}__clientId"), managed)
        if not (connection_string or uri) and not self.faults:
            self.faults.append(f"{_STORAGE}: is required: a connection string, or {_STORAGE}__accountName")
        if not connection_string and uri is not None:
            self.endpoint(f"{_STORAGE}__tableServiceUri", storage, uri)
        return storage

    def secret_policy(self, storage: Storage) -> SecretPolicy:
        overlap = self.duration("SECRET_OVERLAP", timedelta(days=7))
        policy = SecretPolicy(
            lifetime=self.duration("SECRET_LIFETIME", timedelta(days=180)),
            rotate_before=self.duration("SECRET_ROTATE_BEFORE", timedelta(days=30)),
            overlap=overlap,
            overlap_limit=self.duration("SECRET_OVERLAP_LIMIT", _MOST_OVERLAPS * overlap),
            proof_count=self.whole_number("SECRET_PROOF_COUNT", 3),
            proof_timeout=self.duration("SECRET_PROOF_TIMEOUT", timedelta(minutes=5)),
        )
        if not timedelta(0) < policy.proof_timeout <= _LONGEST_PROOF:
            longest = format_duration(_LONGEST_PROOF)
            self.faults.append(
                f"SECRET_PROOF_TIMEOUT: must be between PT1S and {longest}: a run ends after ten minutes"
            )
        if policy.lifetime <= policy.rotate_before + policy.overlap:
            self.faults.append("SECRET_LIFETIME: must be longer than SECRET_ROTATE_BEFORE and SECRET_OVERLAP together")
        if policy.rotate_before <= policy.overlap:
            self.faults.append("SECRET_ROTATE_BEFORE: must be longer than SECRET_OVERLAP")
        if policy.overlap_limit < policy.overlap:
            self.faults.append("SECRET_OVERLAP_LIMIT: must be at least SECRET_OVERLAP")
        shortest = 2 * (policy.proof_timeout + timedelta(minutes=1))
        if policy.overlap < shortest and not storage.local:
            self.faults.append(
                f"SECRET_OVERLAP: must be at least {format_duration(shortest)}, "
                "twice the SECRET_PROOF_TIMEOUT and a minute"
            )
        return policy

    def vault_id(self, name: str, url_name: str, storage: Storage) -> str | None:
        """Return the resource id of the key vault: of the very one that has the secrets, or of an emulated one."""
        text = self._env.get(name, "").strip().rstrip("/")
        if not text:
            return None
        found, host = _VAULT_ID.fullmatch(text), _host(self._env.get(url_name, "").strip()) or ""
        if found is None:
            self.faults.append(
                f"{name}: must be the resource id of a key vault, as az keyvault show --query id tells it"
            )
        elif self._env.get("CALLER_AUTH", "").strip() != "entra" and not storage.local:
            self.faults.append(
                f"{name}: needs CALLER_AUTH=entra: with function keys whoever calls could make itself the owner of any "
                "registration, and read its secret"
            )
        elif found[1].lower() != host.partition(".")[0].lower() and not (storage.local and host in _LOOPBACK):
            self.faults.append(f"{name}: must be the resource id of the vault that {url_name} names")
        return text

    def fhir_services(self, name: str, storage: Storage) -> Mapping[str, str]:
        """Return the resource id of each managed FHIR service, by the URL that it answers at, as it is compared."""
        found = [(url, resource_id) for url, _, resource_id in (item.partition("=") for item in self.items(name))]
        services = {compared(url.strip()): resource_id.strip().rstrip("/") for url, resource_id in found}
        if not all(_answers_at(url, resource_id) for url, resource_id in services.items()) or len(services) < len(
            found
        ):
            self.faults.append(
                f"{name}: must be the URLs of managed FHIR services, each once and with = and its resource id, as "
                "https://workspace-service.fhir.azurehealthcareapis.com=/subscriptions/..., joined by commas"
            )
        elif services and self._env.get("CALLER_AUTH", "").strip() != "entra" and not storage.local:
            self.faults.append(
                f"{name}: needs CALLER_AUTH=entra: with function keys nobody could agree to what whoever calls asks for"
            )
        return services

    def one_of(self, name: str, choices: tuple[str, ...]) -> str:
        """Return one of the choices, the first of which is the default."""
        chosen = self._env.get(name, "").strip() or choices[0]
        if chosen not in choices:
            self.faults.append(f"{name}: must be {' or '.join(choices)}")
        return chosen

    def sign_in_activity(self, name: str, authority_host: str) -> bool:
        """Return whether the reports of sign-ins are to be read, which only the global cloud has."""
        chosen = self.one_of(name, ("off", "on")) == "on"
        if chosen and cloud_of(authority_host) is not PUBLIC:
            self.faults.append(f"{name}: must be off in a national cloud, whose Microsoft Graph has no such reports")
        return chosen

    def front_door(self, name: str) -> FrontDoor | None:
        """Return what the platform is set to where it names the callers; what is wrong with it is no fault here.

        A wrong front door refuses calls. It must not stop the queue, whose messages come from nobody outside.
        """
        chosen = self._env.get(name, "").strip() or "key"
        if chosen not in ("key", "entra"):
            self.faults.append(f"{name}: must be key or entra")
        if chosen != "entra":
            return None
        return front_door(
            self._env.get("WEBSITE_AUTH_ENABLED", ""),
            self._env.get("WEBSITE_AUTH_V2_CONFIG_JSON", ""),
            self._env.get("WEBSITE_AUTH_USE_LEGACY_CLAIMS", ""),
            self._env.get("AZURE_TENANT_ID", "").strip(),
        )


def _host(url: str, *, query: bool = False) -> str | None:
    """Return the host of an http or https URL without fragment, user name and, mostly, query; None for another."""
    try:
        parts = urlsplit(url)
        valid = parts.scheme in ("http", "https") and not (parts.fragment or "@" in parts.netloc)
        valid = valid and (query or not parts.query) and parts.port != 0 and not re.search(r"\s", url)
    except ValueError:
        return None
    return (parts.hostname or None) if valid else None


def _answers_at(url: str, resource_id: str) -> bool:
    """Whether a managed FHIR service of this resource id may answer at this URL: at a name of its own, or by its id."""
    found = _FHIR_SERVICE_ID.fullmatch(resource_id)
    if found is None or any(server_url_faults(url)):
        return False
    if not is_microsofts(url, ()):
        return True
    managed = managed_fhir_url(url)
    return managed is not None and managed_fhir_service(managed) == (found[1].lower(), found[2].lower())


def _matching(pattern: re.Pattern[str]) -> Callable[[str], str]:
    def parse(text: str) -> str:
        if not pattern.fullmatch(text):
            raise ValueError
        return text.lower()

    return parse


def _webhook_key(text: str) -> bytes:
    key = base64.b64decode(text.removeprefix(_WEBHOOK_KEY), validate=True)
    if not text.startswith(_WEBHOOK_KEY) or not 24 <= len(key) <= 64:  # noqa: PLR2004 -- of Standard Webhooks
        raise ValueError
    return key


def _callback_key(text: str) -> bytes:
    seed = base64.b64decode(text.removeprefix(_CALLBACK_KEY), validate=True)
    if not text.startswith(_CALLBACK_KEY) or len(seed) != 32:  # noqa: PLR2004 -- of Ed25519
        raise ValueError
    return seed


def _positive(text: str) -> int:
    if not re.fullmatch(r"[1-9][0-9]{0,8}", text, re.ASCII):
        raise ValueError
    return int(text)
