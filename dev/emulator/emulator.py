"""The emulator as a whole, in process: one tenant, one vault, one token endpoint; `server.py` gives it a socket."""

from __future__ import annotations

import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import requests

from dev.emulator import constants, management
from dev.emulator.arm import routes as arm_routes
from dev.emulator.arm.role_assignments import RoleAssignments
from dev.emulator.bot import routes as bot_routes
from dev.emulator.bot.service import BotFramework
from dev.emulator.faults import Faults
from dev.emulator.graph import routes as graph_routes
from dev.emulator.graph.directory import Directory
from dev.emulator.http.bearer import Bearer
from dev.emulator.http.in_process import InProcessAdapter
from dev.emulator.http.wsgi import Routing, WsgiApplication
from dev.emulator.sts import routes as sts_routes
from dev.emulator.sts.accounts import ACCOUNTS
from dev.emulator.sts.endpoint import TokenService
from dev.emulator.vault import routes as vault_routes
from dev.emulator.vault.secrets import Vault

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dev.emulator.errors import Json
    from dev.emulator.http.exchange import Call
    from dev.emulator.http.wire import Holds


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Emulator:
    """Graph, tokens, managed identity, Key Vault secrets and a bot's Teams, in memory. Not for production."""

    def __init__(  # noqa: PLR0913 -- every part of the world can be set
        self,
        *,
        origin: str = "https://localhost:8443",
        tenant_id: str = constants.TENANT_ID,
        now: Callable[[], datetime] = _utc_now,
        sleep: Callable[[float], None] = time.sleep,
        verified_domains: Iterable[str] = ("contoso.example",),
        managed_fhir: bool = True,
        seed: int = 0,
    ) -> None:
        self.origin = origin.rstrip("/")
        self.tenant_id = tenant_id.lower()
        self.registrar_object_id: str = constants.REGISTRAR_OBJECT_ID
        self.registrar_client_id: str = constants.REGISTRAR_CLIENT_ID
        self.now = now
        self.sleep = sleep
        self.faults = Faults()
        self._verified_domains = tuple(verified_domains)
        self._managed_fhir = managed_fhir
        self._seed = seed
        self._lock = threading.RLock()
        self._build()
        bearer = Bearer(self.origin, self.tenant_id, self._verify)
        routing = self._routing(bearer)
        self.faults.operations = routing.operations
        self.wsgi = WsgiApplication(routing, bearer, faults=self.faults, now=now, sleep=sleep, lock=self._lock)

    def _verify(self, token: str, audiences: frozenset[str]) -> Json | None:
        return self.sts.verify(token, audiences)  # of now: a reset makes a new one

    def _routing(self, bearer: Bearer) -> Routing:
        return Routing(
            (
                *graph_routes.routes(lambda: self.directory, bearer),
                *vault_routes.routes(lambda: self.vault, bearer),
                *sts_routes.routes(lambda: self.sts),
                *arm_routes.routes(lambda: self.role_assignments, bearer),
                *bot_routes.routes(lambda: self.bot, bearer),
                *management.routes(self),
            )
        )

    def _build(self) -> None:
        self.directory = Directory(
            origin=self.origin,
            tenant_id=self.tenant_id,
            faults=self.faults,
            now=self.now,
            verified_domains=self._verified_domains,
            managed_fhir=self._managed_fhir,
            seed=self._seed,
        )
        self.directory.users |= {each.object_id for each in ACCOUNTS.values() if each.client_id is None}
        self.directory.groups |= {group for each in ACCOUNTS.values() for group in each.groups}
        self.role_assignments = RoleAssignments(self.directory, self.faults, self.now)
        reads = self.role_assignments.reads_secret
        self.vault = Vault(url=self.origin, faults=self.faults, now=self.now, seed=self._seed, reads=reads)
        self.bot = BotFramework(self.origin, self.tenant_id, constants.REGISTRAR_CLIENT_ID, self.now)
        self.sts = TokenService(self.directory, self.now, self._seed)

    @property
    def calls(self) -> list[Call]:
        """Every call so far, oldest first."""
        return self.wsgi.calls

    @property
    def holds(self) -> Holds:
        """The calls that are held at present."""
        return self.wsgi.holds

    def session(self) -> requests.Session:
        """A session whose requests to the emulator are answered in this process, without a socket."""
        session = requests.Session()
        session.trust_env = False
        session.mount(self.origin + "/", InProcessAdapter(self.wsgi, self.sleep))
        return session

    def settings(self) -> dict[str, str]:
        """The app settings that make the service talk to this emulator."""
        return {
            "GRAPH_ENDPOINT": self.origin,
            "AZURE_AUTHORITY_HOST": self.origin,
            "AZURE_TENANT_ID": self.tenant_id,
            "KEY_VAULT_URL": self.origin,
            "RESOURCE_MANAGER_ENDPOINT": self.origin,
            "TEAMS_LOGIN_ENDPOINT": self.origin,
            "IDENTITY_ENDPOINT": f"{self.origin}/msi/token",
            "IDENTITY_HEADER": constants.IDENTITY_HEADER,
            "REGISTRAR_OBJECT_ID": self.registrar_object_id,
            "VERIFIED_DOMAINS": ",".join(self._verified_domains),
        }

    def reset(self) -> None:
        """Back to the state of the start; held calls are dropped."""
        with self._lock:
            self.faults.clear()
            self._build()
            self.calls.clear()
        self.holds.release(drop=True)
