"""One delivery of a message: what is known so far about the registration that it is about."""

import functools
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Final, ParamSpec, TypeVar

from provisioning import telemetry, trail
from provisioning.domain.errors import ProvisioningError, StaleRegistration, TryAgain, UnreadableRow
from provisioning.domain.events import Actor, ActorKind, apart, carried_out
from provisioning.domain.messages import Message, ReconcilePage
from provisioning.domain.operation import Failure, LastError
from provisioning.domain.registration import Registration
from provisioning.domain.secrets import MintedSecret
from provisioning.ports import Registry, Services

P = ParamSpec("P")
T = TypeVar("T")

# Whoever looks at a pending operation ten seconds after it went wrong can read why it waits.
TOLD_AFTER: Final = timedelta(seconds=5)


def briefly(flow: Callable[P, T]) -> Callable[P, T]:
    """Have an expected error leave the flow without a word of where it came from.

    The platform logs the traceback of what a function raises, and of all that led to it. An error that nobody foresaw
    keeps its own.
    """

    @functools.wraps(flow)
    def brief(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            return flow(*args, **kwargs)
        except ProvisioningError as error:
            raise error.with_traceback(None) from None

    return brief


def failure_of(error: Exception) -> Failure:
    """Return the error as it is remembered and answered.

    Of an error that nobody foresaw only the type: its text could hold anything.
    """
    if isinstance(error, ProvisioningError):
        return Failure(error.code, error.message, error.remedy, error.graph_request_id)
    return Failure(
        "unexpected-error",
        f"The run stopped on an error of the type {type(error).__name__}.",
        "Read its traceback in the log of the function, and report it.",
    )


def understood(registry: Registry, registration_id: str) -> Registration | None:
    """Return the registration; raise UnreadableRow where this version may not act on it."""
    registration = registry.get(registration_id)
    if registration is not None and not registration.understood:
        raise UnreadableRow
    return registration


def taken(services: Services, put_at: datetime | None) -> None:
    """Have it be measured how old a message was when it was taken; None, or a time of no zone, says nothing."""
    if put_at is not None and put_at.tzinfo is not None:
        age = (services.clock.now() - put_at).total_seconds()
        telemetry.measure("registrar.queue.age", max(0.0, age))


Told = Message | ReconcilePage | None


def on_its_trail(flow: Callable[[Services, Told], T]) -> Callable[[Services, Told], T]:
    """Have all that the flow does for a message belong to the message's trace, and say what it is about."""

    @functools.wraps(flow)
    def followed(services: Services, message: Told) -> T:
        subject = "" if message is None else str(message)
        with (
            trail.following(message.trace_id if message is not None else None, _actor_of(message), subject),
            telemetry.span(flow.__name__, telemetry.Kind.CONSUMER) as made,
        ):
            if isinstance(message, Message):
                made.attributes["registrar.operation"] = message.operation
                made.attributes["registrar.registration_id"] = message.registration_id
            return flow(services, message)

    return followed


def _actor_of(message: Told) -> Actor:
    """Return what had this service act: the clock, or a message about something that was asked."""
    if message is not None and message.run is not None:
        return Actor(ActorKind.RECONCILIATION)
    return Actor(ActorKind.PLANNER if isinstance(message, Message) and message.is_check else ActorKind.QUEUE)


def write(services: Services, before: Registration, after: Registration, removed: Iterable[str] = ()) -> Registration:
    """Write what became of a row, with the events that tell it; return it with its new etag.

    Raises StaleRegistration where another run wrote it since; what was removed is told all the same.
    """
    told = carried_out(trail.current(), before, after, removed, services.clock.now())
    try:
        return services.registry.replace(after, *told)
    except StaleRegistration:
        for event in carried_out(trail.current(), before, before, removed, services.clock.now()):
            services.registry.put_event(apart(event))
        raise


@dataclass(slots=True)
class Run:
    """What is known so far, and a secret that was born with the application, in memory only.

    `stored` is the row as it was read or written last, and `removed` are the key ids of the credentials removed since.
    `published` is the secret that this run has published, in memory only. `assigned` are the app roles that it has
    assigned: the ids of the assignments, by those of the roles. `compares` is whether a reconciliation asks.
    `roles_by_hand` and `trusted_by_hand` are what it found that others assigned, and had Entra trust.
    `ended` is whether the registration was found to end meanwhile.
    `certified` is whether the application was seen to have the client's certificate. `unsure` is whether a request to
    create the application may have taken effect although its answer was lost.
    """

    services: Services
    registration: Registration
    minted: MintedSecret | None = None
    published: MintedSecret | None = None
    certified: bool = False
    compares: bool = False
    unsure: bool = False
    ended: bool = False
    began: datetime = field(init=False)
    stored: Registration = field(init=False)
    removed: list[str] = field(default_factory=list)
    assigned: dict[str, str] = field(default_factory=dict)
    roles_by_hand: tuple[str, ...] = ()
    trusted_by_hand: tuple[str, ...] = ()
    _learned: dict[str, object] = field(default_factory=dict)
    _told: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Note when the delivery began, and with what."""
        self.began, self.stored = self.services.clock.now(), self.registration

    def learn(self, **facts: object) -> None:
        """Remember facts about the registration; the runner saves them when the run ends."""
        self._learned |= facts
        self.registration = replace(self.registration, **facts)  # type: ignore[arg-type]

    def waits_for(self, error: TryAgain, pause: float) -> None:
        """Have the row say once what is waited for, where the run has lasted five seconds by the end of the pause.

        Where another run wrote the row first, or storage is what is waited for, nothing is said.
        """
        now = self.services.clock.now()
        if error.code in self._told or now + timedelta(seconds=pause) < self.began + TOLD_AFTER:
            return
        self._told.add(error.code)
        last_error = LastError(failure_of(error), passing=True)
        with suppress(TryAgain):
            row = self.write(replace(self.registration, last_error=last_error, updated_at=now))
            self.registration = replace(self.registration, events=row.events, etag=row.etag, row=row.row)

    def with_learned(self, row: Registration) -> Registration:
        """Return the row with what this run learned."""
        return replace(row, **self._learned)  # type: ignore[arg-type]

    def save(self) -> None:
        """Write the row now: what is done next must be known even if this run does not live to tell of it."""
        self.registration = self.write(self.registration)

    def write(self, row: Registration) -> Registration:
        """Write this as the row; return it with its new etag."""
        try:
            self.stored = write(self.services, self.stored, row, self.removed)
        except StaleRegistration:
            self.removed.clear()
            raise
        self.removed.clear()
        return self.stored

    def overtaken(self) -> bool:
        """Take over what is to be granted now; return whether that has changed since the row was read.

        Where another run has ended the operation, or another one has begun, the rest of the row is not taken over: this
        run ends as it began, and its row is not written over the other's. Of what ends, the deletion takes it back.
        """
        row = self.services.registry.get(self.registration.id)
        self.ended = row is None or row.ending
        if row is None or self.ended or row.grant_number == self.registration.grant_number:
            return False
        if (row.operation.id, row.status) == (self.registration.operation.id, self.registration.status):
            self.registration, self.stored = self.with_learned(row), row
        else:
            self.registration = replace(
                self.registration,
                agreement=row.agreement,
                change=row.change,
                resource=row.resource,
                former_permissions=row.former_permissions,
            )
        return True

    def look_again(self) -> None:
        """Take over what callers asked for meanwhile, while the row is still about the same operation."""
        row = self.services.registry.get(self.registration.id)
        if row is not None and row.pending and row.operation.id == self.registration.operation.id:
            self.registration, self.stored = self.with_learned(row), row
