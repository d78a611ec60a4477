"""The outside world, where what is read is real and what is written is only noted: so a flow tells what it would do."""

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, cast

from provisioning.domain.events import Event
from provisioning.domain.front_door import FrontDoor
from provisioning.domain.notices import Notice
from provisioning.domain.registration import Registration
from provisioning.domain.secrets import SecretPolicy
from provisioning.domain.slack import Workspace
from provisioning.domain.teams import Bot
from provisioning.domain.tenant import Tenant
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


class NotRehearsed(Exception):
    """Something would be written of which nobody said what it would answer: a fault of ours."""


@dataclass
class Noted:
    """What would have been done."""

    removed: list[str] = field(default_factory=list)
    updated: bool = False
    notices: list[str] = field(default_factory=list)


class _Only:
    """Hands on what reads, by name; anything else would write, and is refused."""

    def __init__(self, inner: object, reads: Collection[str]) -> None:
        self._inner = inner
        self._reads = frozenset(reads)

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- any method of a port
        if name not in self._reads:
            return _refused(name)
        return getattr(self._inner, name)


def _refused(name: str) -> Callable[..., Any]:
    def refuse(*_: object, **__: object) -> Any:  # noqa: ANN401 -- as any method
        raise NotRehearsed(f"A rehearsal does not do {name}.")

    return refuse


class _RehearsedDirectory(_Only):
    def __init__(self, inner: Directory, noted: Noted) -> None:
        found = ("find_application", "read_application", "marked_applications", "find_resource", "knows", "signed_in")
        super().__init__(inner, (*found, "disabled_clients", "trusted_tokens"))
        self._noted = noted

    def remove_secret(self, _object_id: str, key_id: str) -> None:
        self._noted.removed.append(key_id)

    def update_application(self, _object_id: str, _changes: Mapping[str, Any]) -> None:
        self._noted.updated = True


class _RehearsedRegistry(_Only):
    def __init__(self, inner: Registry, noted: Noted) -> None:
        reads = ("get", "find", "due", "holder", "hold", "notices", "events", "clients", "lists_all_clients")
        super().__init__(inner, reads)
        self._noted = noted

    def replace(self, registration: Registration, *_events: Event) -> Registration:
        return replace(registration)

    def put_notice(self, notice: Notice, _due_at: datetime) -> None:
        self._noted.notices.append(notice.type)

    def claim(self, name: str, registration_id: str, *, instead_of: str | None = None) -> str:
        holder = cast("Registry", self._inner).holder(name)
        return registration_id if holder in (None, instead_of) else str(holder)

    def put_event(self, event: Event) -> None: ...
    def put_due(self, entry: object) -> None: ...
    def remove_due(self, entry: object) -> None: ...
    def put_owned(self, owner: str, registration_id: str) -> None: ...
    def note_listed(self, run: str, *, lacked: bool) -> None: ...

    def list_client(self, *_: object) -> bool:
        return False


@dataclass(frozen=True)
class _Rehearsed:
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
    queues: Queues
    notifier: Notifier | None
    callbacks: Callbacks | None
    clock: Clock
    tenant: Tenant
    secrets: SecretPolicy
    most_waiting: int
    front_door: FrontDoor | None
    caller_tokens: CallerTokens
    policy: PolicySource
    allowed_resources: Mapping[str, str]
    workspace: Workspace | None
    bot: Bot | None
    people: ChatPeople
    slack: Slack
    teams: Teams | None


def rehearsed(services: Services) -> tuple[Services, Noted]:
    """Return services that read what these read and write nothing, and where they note what they would have written."""
    noted = Noted()
    return _Rehearsed(
        directory=cast("Directory", _RehearsedDirectory(services.directory, noted)),
        app_roles=cast("AppRoles", _Only(services.app_roles, ("held",))),
        grants=False,
        azure_roles=None,
        sign_ins=services.sign_ins,
        fhir_services={},
        data_roles={},
        vault=cast("SecretStore", _Only(services.vault, ("current", "read", "marked"))),
        proof=services.proof,
        registry=cast("Registry", _RehearsedRegistry(services.registry, noted)),
        copies=cast("Copies", _Only(services.copies, ("rows",))),
        queues=cast("Queues", _Only(services.queues, ("names",))),
        notifier=services.notifier,
        callbacks=None,
        clock=services.clock,
        tenant=services.tenant,
        secrets=services.secrets,
        most_waiting=services.most_waiting,
        front_door=services.front_door,
        caller_tokens=services.caller_tokens,
        policy=services.policy,
        allowed_resources=services.allowed_resources,
        workspace=None,
        bot=None,
        people=cast("ChatPeople", _Only(services.people, ())),
        slack=cast("Slack", _Only(services.slack, ())),
        teams=None,
    ), noted
