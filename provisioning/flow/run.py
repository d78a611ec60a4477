"""One delivery of a message: what is known so far about the registration that it is about."""

from dataclasses import dataclass, field, replace

from provisioning.domain.errors import UnreadableRow
from provisioning.domain.registration import Registration
from provisioning.domain.secrets import MintedSecret
from provisioning.ports import Registry, Services


def understood(registry: Registry, registration_id: str) -> Registration | None:
    """Return the registration; raise UnreadableRow where this version may not act on it."""
    registration = registry.get(registration_id)
    if registration is not None and not registration.understood:
        raise UnreadableRow
    return registration


@dataclass(slots=True)
class Run:
    """What is known so far, and a secret that was born with the application, in memory only.

    `certified` is whether the application was seen to have the client's certificate. `unsure` is whether a request to
    create the application may have taken effect although its answer was lost.
    """

    services: Services
    registration: Registration
    minted: MintedSecret | None = None
    certified: bool = False
    unsure: bool = False
    _learned: dict[str, object] = field(default_factory=dict)

    def learn(self, **facts: object) -> None:
        """Remember facts about the registration; the runner saves them when the run ends."""
        self._learned |= facts
        self.registration = replace(self.registration, **facts)  # type: ignore[arg-type]

    def look_again(self) -> None:
        """Take over what callers asked for meanwhile, while the row is still about the same operation."""
        row = self.services.registry.get(self.registration.id)
        if row is not None and row.pending and row.operation.id == self.registration.operation.id:
            self.registration = replace(row, **self._learned)  # type: ignore[arg-type]
