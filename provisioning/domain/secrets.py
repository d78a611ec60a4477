"""Client secrets: as minted, as the vault has them, as the row shows them, and for how long they live.

What Entra lists of them is in `directory.py`; credentials without a secret are in `credentials.py`.
"""

from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import Final

from provisioning.domain.values import dataclass

CREDENTIAL_LABEL_PREFIX: Final = "registrar:"
_LABEL_TIME: Final = "%Y%m%dT%H%M%S.%fZ"


@dataclass(frozen=True, slots=True)
class MintedSecret:
    """A client secret just minted: in memory here, and nowhere else until it is published to Key Vault.

    `text` hides itself in `repr`. `minted_at` is our clock before the request was sent, so never too late.
    """

    key_id: str
    expires_at: datetime
    minted_at: datetime
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class CurrentSecret:
    """What the vault calls current, without the secret's text."""

    id: str
    key_id: str | None
    created_at: datetime
    expires_at: datetime | None
    tags: Mapping[str, str]

    @property
    def minted_at(self) -> datetime:
        """When its text was asked for, as the version's tag says; without one, when the version was written."""
        try:
            return datetime.fromisoformat(self.tags["mintedAt"])
        except (KeyError, ValueError):
            return self.created_at


@dataclass(frozen=True, slots=True)
class SecretState:
    """What the vault held when the row was last written; the vault itself says which secret is current."""

    id: str
    key_id: str
    expires_at: datetime | None
    published_at: datetime | None = None
    minted_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class NewSecret:
    """What a secret to be minted is asked for with."""

    label: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class MissingCredential:
    """The current secret's key id was not among the application's credentials, in that reconciliation."""

    key_id: str
    run: str


@dataclass(frozen=True, slots=True)
class SecretPolicy:
    """How long secrets live and how they are proven; from the settings of the same names."""

    lifetime: timedelta
    rotate_before: timedelta
    overlap: timedelta
    overlap_limit: timedelta
    proof_count: int
    proof_timeout: timedelta

    @property
    def publish_bound(self) -> timedelta:
        """How long after its minting a secret may still be published."""
        return min(self.proof_timeout + timedelta(minutes=1), self.overlap / 2)

    def publishable_until(self, minted_at: datetime) -> datetime:
        """Return the time from which no run can publish what was minted then, with a minute for clocks that differ."""
        return minted_at + self.publish_bound + timedelta(minutes=1)

    @property
    def lifetimes(self) -> tuple[timedelta, timedelta]:
        """What a caller may choose: a life longer than the first, at most the second."""
        return self.rotate_before + self.overlap, self.lifetime


def is_ours_by_label(label: str) -> bool:
    """Whether the display name of a credential is one that this service gives."""
    return label.startswith(CREDENTIAL_LABEL_PREFIX)


def timed_label(prefix: str, counts_as_minted: datetime) -> str:
    """Return the display name of a secret, which says when it counts as minted."""
    return f"{prefix}:{counts_as_minted.astimezone(UTC):{_LABEL_TIME}}"


def labelled_time(label: str) -> datetime | None:
    """Return when a secret counts as minted, as its label says; None where it says nothing."""
    try:
        return datetime.strptime(label.rpartition(":")[2], _LABEL_TIME).replace(tzinfo=UTC)
    except ValueError:
        return None
