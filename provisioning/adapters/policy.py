"""The policy document: a file, or a blob read with requests; read again once a minute, and only if it has changed.

Sources: "Get Blob" and "Versioning for Azure Storage" (REST reference), RFC 9110 (ETag, If-None-Match).
"""

import threading
from collections.abc import Callable
from datetime import datetime, timedelta
from http import HTTPStatus
from pathlib import Path
from typing import Final

import requests
from azure.core.exceptions import AzureError
from requests.auth import AuthBase

from provisioning import trail
from provisioning.adapters.transport import TABLES_TIMEOUT
from provisioning.domain.errors import TryAgain
from provisioning.domain.policy import Policy
from provisioning.domain.policy_document import LARGEST_POLICY, PolicyError, read_policy
from provisioning.domain.values import dataclass
from provisioning.ports import Clock

READ_AGAIN_AFTER: Final = timedelta(minutes=1)
_API_VERSION: Final = "2023-11-03"

logger = trail.logger(__name__)


@dataclass(frozen=True, slots=True)
class Document:
    """What was read, and by what it is told that it is the same still."""

    content: bytes
    stamp: str


# Returns the document, or None where it is still the one with the given stamp. Raises Unreadable.
Fetch = Callable[[str | None], Document | None]


class Unreadable(Exception):
    """The document could not be read; the text says why, and holds nothing of the document."""


class PolicyDocument:
    """The policy in force: the latest document that was good, as far as this process has seen."""

    def __init__(self, fetch: Fetch, clock: Clock) -> None:
        self._fetch = fetch
        self._clock = clock
        self._lock = threading.Lock()
        self._policy: Policy | None = None
        self._stamp: str | None = None
        self._wrong: TryAgain | None = None
        self._looked_at: datetime | None = None

    def current(self) -> Policy:
        """As the port says. Whoever comes while another looks gets what was good before."""
        if self._is_due() and self._lock.acquire(blocking=self._policy is None):
            try:
                if self._is_due():
                    self._look()
                    self._looked_at = self._clock.now()
            finally:
                self._lock.release()
        if self._policy is None:
            raise self._wrong or _unavailable()
        return self._policy

    def _is_due(self) -> bool:
        return self._looked_at is None or not (timedelta(0) <= self._clock.now() - self._looked_at < READ_AGAIN_AFTER)

    def _look(self) -> None:
        """Take over the document if it is another one and good; else say in the log what is wrong with it, once."""
        try:
            found = self._fetch(self._stamp)
        except Unreadable as error:
            logger.error("POLICY: the document cannot be read: %s", error)  # noqa: TRY400 -- the reason is all there is
            self._wrong = _unavailable()
            return
        if found is None:
            return
        self._stamp = found.stamp
        try:
            self._policy = read_policy(found.content)
        except PolicyError as error:
            for fault in error.faults:
                logger.error("POLICY: %s: %s: %s", fault.pointer, fault.code, fault.message)  # noqa: TRY400 -- as above
            if self._policy is not None:
                logger.error("POLICY: version %s stays in force", self._policy.recorded_version)  # noqa: TRY400 -- as above
            self._wrong = _broken()
        else:
            logger.info("POLICY: version %s is in force", self._policy.recorded_version)


def file(path: Path) -> Fetch:
    """Return what reads a file, anew where its time or size is another one."""

    def fetch(stamp: str | None) -> Document | None:
        try:
            found = path.stat()
            now = f"{found.st_mtime_ns} {found.st_size} {found.st_ino}"
            return None if now == stamp else Document(path.read_bytes(), now)
        except OSError as error:
            raise Unreadable(type(error).__name__) from None

    return fetch


def blob(url: str, session: requests.Session, auth: AuthBase) -> Fetch:
    """Return what reads a blob, anew where its ETag is another one."""

    def fetch(stamp: str | None) -> Document | None:
        headers = {"x-ms-version": _API_VERSION} | ({"If-None-Match": stamp} if stamp else {})
        try:
            answer = session.get(
                url, headers=headers, auth=auth, timeout=TABLES_TIMEOUT, allow_redirects=False, stream=True
            )
            with answer:
                content = answer.raw.read(LARGEST_POLICY + 1, decode_content=True)
        except (requests.RequestException, OSError, AzureError) as error:
            raise Unreadable(type(error).__name__) from None
        if answer.status_code == HTTPStatus.NOT_MODIFIED:
            return None
        if answer.status_code != HTTPStatus.OK or "ETag" not in answer.headers:
            raise Unreadable(f"storage answered {answer.status_code}")
        return Document(content, answer.headers["ETag"])

    return fetch


def _broken() -> TryAgain:
    return TryAgain(
        "policy-broken",
        "The policy is broken, so nothing new is accepted.",
        remedy="Mend the document that POLICY names: the log has each of its faults. It is read again within a minute.",
        retry_after=READ_AGAIN_AFTER.total_seconds(),
    )


def _unavailable() -> TryAgain:
    return TryAgain(
        "policy-unavailable",
        "The policy cannot be read, so nothing new is accepted.",
        remedy="See in the log why the document that POLICY names cannot be read, and let this app's identity read it.",
        retry_after=READ_AGAIN_AFTER.total_seconds(),
    )
