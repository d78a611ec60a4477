"""What the host reads: `host.json`, `local.settings.json`, the environment, and the connections that settings name."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from azure.storage.queue import LinearRetry, QueueClient, QueueServiceClient

from dev.storage import DEVELOPMENT_STORAGE, connection_string

if TYPE_CHECKING:
    from collections.abc import Mapping, MutableMapping
    from pathlib import Path

_TIMESPAN = re.compile(r"(?:(\d+)\.)?(\d{1,2}):(\d{1,2}):(\d{1,2})(?:\.(\d{1,7}))?")
_SETTING = re.compile(r"%([^%]+)%")
_LARGEST_BATCH = 32
# Older than the newest that the client knows, so that a storage emulator started without further flags answers as well.
_API_VERSION = "2025-11-05"


class HostError(Exception):
    """The app or its settings are such that the host refuses to start; the message names what is wrong."""


@dataclass(frozen=True)
class QueueOptions:
    """`extensions.queues` of host.json, with the real host's defaults."""

    batch_size: int = 16
    new_batch_threshold: int = 8
    visibility_timeout: timedelta = timedelta(0)
    max_dequeue_count: int = 5
    max_polling_interval: timedelta = timedelta(minutes=1)
    base64: bool = True


@dataclass(frozen=True)
class HostOptions:
    """The part of host.json that this host follows."""

    route_prefix: str = "api"
    queues: QueueOptions = QueueOptions()

    @classmethod
    def read(cls, path: Path) -> HostOptions:
        """Reads host.json; without one the real host does not start either."""
        document = _object(path)
        if document.get("version") != "2.0":
            raise HostError(f'{path.name}: "version" must be "2.0"')
        extensions = document.get("extensions", {})
        prefix = extensions.get("http", {}).get("routePrefix", "api")
        return cls(str(prefix).strip("/"), _queue_options(extensions.get("queues", {})))


def _queue_options(given: dict[str, Any]) -> QueueOptions:
    default = QueueOptions()
    batch_size = _whole(given, "batchSize", default.batch_size, 1, _LARGEST_BATCH)
    encoding = str(given.get("messageEncoding", "base64")).lower()
    if encoding not in {"base64", "none"}:
        raise HostError("host.json: extensions.queues.messageEncoding must be base64 or none")
    return QueueOptions(
        batch_size=batch_size,
        new_batch_threshold=_whole(given, "newBatchThreshold", batch_size // 2, 0, 1000),
        visibility_timeout=_timespan(given, "visibilityTimeout", default.visibility_timeout),
        max_dequeue_count=_whole(given, "maxDequeueCount", default.max_dequeue_count, 1, 1000),
        max_polling_interval=_timespan(given, "maxPollingInterval", default.max_polling_interval),
        base64=encoding == "base64",
    )


def _whole(given: dict[str, Any], name: str, default: int, lowest: int, highest: int) -> int:
    value = given.get(name, default)
    if not isinstance(value, int) or isinstance(value, bool) or not lowest <= value <= highest:
        raise HostError(f"host.json: extensions.queues.{name} must be a whole number from {lowest} to {highest}")
    return value


def _timespan(given: dict[str, Any], name: str, default: timedelta) -> timedelta:
    if name not in given:
        return default
    found = _TIMESPAN.fullmatch(str(given[name]))
    if not found:
        raise HostError(f'host.json: extensions.queues.{name} must be a time span such as "00:01:00"')
    days, hours, minutes, seconds, fraction = (part or "0" for part in found.groups())
    return timedelta(
        days=int(days), hours=int(hours), minutes=int(minutes), seconds=int(seconds) + float(f"0.{fraction}")
    )


def load_local_settings(path: Path, environment: MutableMapping[str, str]) -> None:
    """Puts the `Values` of a local.settings.json into the environment, which wins; no file is no error."""
    if not path.exists():
        return
    document = _object(path)
    if document.get("IsEncrypted"):
        raise HostError(f"{path.name} is encrypted; decrypt it with `func settings decrypt`")
    values = document.get("Values", {})
    if not isinstance(values, dict) or not all(isinstance(value, str) for value in values.values()):
        raise HostError(f"{path.name}: Values must map names to strings")
    for name, value in values.items():
        environment.setdefault(name, value)


def _object(path: Path) -> dict[str, Any]:
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise HostError(f"{path.name} cannot be read: {error}") from error
    if not isinstance(document, dict):
        raise HostError(f"{path.name} is not a JSON object")
    return document


def resolve(text: str, settings: Mapping[str, str], where: str) -> str:
    """Replaces `%NAME%` by the setting's value.

    Raises:
        HostError: A setting is missing or empty.
    """

    def value(match: re.Match[str]) -> str:
        found = settings.get(match[1], "")
        if not found:
            raise HostError(f"{where}: the setting {match[1]} is not set")
        return found

    return _SETTING.sub(value, text)


class Connections:
    """Queue clients by connection name: the setting of that name, or its identity-based forms."""

    def __init__(self, settings: Mapping[str, str], *, retries: int = 2) -> None:
        self._settings = settings
        self._retries = retries
        self._services: dict[str, QueueServiceClient] = {}

    def queue(self, connection: str, name: str, where: str) -> QueueClient:
        """Returns the client of a queue, which need not exist.

        Raises:
            HostError: No setting says how to connect.
        """
        connection = connection or "AzureWebJobsStorage"
        if connection not in self._services:
            self._services[connection] = self._connect(connection, where)
        return self._services[connection].get_queue_client(name)

    def _connect(self, connection: str, where: str) -> QueueServiceClient:
        options: dict[str, Any] = {
            "api_version": _API_VERSION,
            "retry_policy": LinearRetry(backoff=1, retry_total=self._retries, random_jitter_range=1),
            "connection_timeout": 10,
            "read_timeout": 30,
        }
        for name in (f"AzureWebJobs{connection}", connection):
            if text := self._settings.get(name):
                if text.rstrip(";") == DEVELOPMENT_STORAGE:
                    text = connection_string()
                try:
                    return QueueServiceClient.from_connection_string(text, **options)
                except ValueError as error:
                    raise HostError(f"{where}: the connection string {name} is malformed") from error
            if uri := self._service_uri(name):
                return QueueServiceClient(uri, credential=self._credential(name), **options)
        raise HostError(
            f"{where}: the connection {connection} is not set: neither {connection} "
            f"nor {connection}__queueServiceUri nor {connection}__accountName"
        )

    def _service_uri(self, name: str) -> str | None:
        for form in ("queueServiceUri", "serviceUri"):
            if uri := self._settings.get(f"{name}__{form}"):
                return uri
        account = self._settings.get(f"{name}__accountName")
        return f"https://{account}.queue.core.windows.net" if account else None

    def _credential(self, name: str) -> Any:  # noqa: ANN401 - azure-storage-queue accepts a union without a name
        from azure.identity import DefaultAzureCredential, ManagedIdentityCredential  # noqa: PLC0415 - seldom needed

        client_id = self._settings.get(f"{name}__clientId")
        if self._settings.get(f"{name}__credential", "").lower() == "managedidentity":
            return ManagedIdentityCredential(client_id=client_id)
        return DefaultAzureCredential(managed_identity_client_id=client_id)
