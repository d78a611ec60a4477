"""When a registration and its credentials were last used, as the reports of Entra say, or why that is not known. Pure.

The reports show use. What they lack shows nothing: they are late, need a licence and a permission, and may be empty.
This service signs in itself, to prove a secret or a grant; a sign-in at such a time is nobody's use.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Final

from provisioning.domain.grants import Grant
from provisioning.domain.secrets import SecretState
from provisioning.domain.values import dataclass

# Why a last use is not known, beside the code of what the reports were refused with.
OFF: Final = "sign-in-activity-off"
NOT_LOOKED_YET: Final = "not-looked-yet"
NOT_REPORTED: Final = "no-sign-in-reported"
OWN_ALONE: Final = "only-own-sign-ins-reported"

# For so long nobody signed in with what is called unused.
UNUSED_AFTER: Final = timedelta(days=90)
# How far the clocks of this app and of Entra may differ.
CLOCKS_DIFFER: Final = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Observed:
    """What the reports say of an application: its last sign-in, in whatever part, and those of its credentials.

    `keys` are the last sign-ins by key id. `unknown` is the code of why nothing is said.
    """

    last_used_at: datetime | None = None
    keys: Mapping[str, datetime] = field(default_factory=dict)
    unknown: str | None = None


@dataclass(frozen=True, slots=True)
class CredentialUse:
    """When a credential was last used; `kept_until` is how long it stays because it is, though it was replaced."""

    key_id: str
    last_used_at: datetime | None = None
    kept_until: datetime | None = None


@dataclass(frozen=True, slots=True)
class Usage:
    """What is remembered of it. `unknown` is the code of why nothing is known, or nothing newer."""

    last_used_at: datetime | None = None
    unknown: str | None = None
    credentials: tuple[CredentialUse, ...] = ()

    def of(self, key_id: str) -> CredentialUse:
        """Return what is known of a credential."""
        return next((each for each in self.credentials if each.key_id == key_id), CredentialUse(key_id))

    def sparing(self, uses: Iterable[CredentialUse]) -> "Usage":
        """Return it with what is newly known of these credentials."""
        newer = {each.key_id: each for each in uses}
        others = (each for each in self.credentials if each.key_id not in newer)
        return replace(self, credentials=(*others, *newer.values())) if newer else self

    def among(self, living: Collection[str]) -> "Usage":
        """Return it without the credentials that are gone."""
        return replace(self, credentials=tuple(each for each in self.credentials if each.key_id in living))

    @property
    def kept(self) -> tuple[CredentialUse, ...]:
        """The replaced credentials that stay because they are used."""
        return tuple(each for each in self.credentials if each.kept_until is not None)


def learned(usage: Usage, observed: Observed, own: "Own", living: Collection[str]) -> Usage:
    """Return what is known after the reports were read: never less of what was, but for credentials that are gone."""
    at = observed.last_used_at
    others = at if at is not None and at not in own else None
    last_used_at = later(usage.last_used_at, others)
    unknown = observed.unknown
    if unknown is None and last_used_at is None:
        unknown = NOT_REPORTED if at is None else OWN_ALONE
    uses = (_used(usage.of(key_id), observed.keys.get(key_id), own) for key_id in dict.fromkeys(living))
    return Usage(last_used_at, unknown, tuple(uses))


def is_unused(usage: Usage, observed: Observed, now: datetime, *, stood: bool) -> bool:
    """Whether the reports show that nobody has used it for so long; `usage` is what is known after they were read.

    Only what they say counts: where they say nothing, it is what it was called before, which is `stood`. Of what nobody
    is known to have used, they show this service's own sign-in; a younger one of these changes nothing either.
    """
    if observed.last_used_at is None or observed.unknown is not None:
        return stood
    if usage.last_used_at is None and stood:
        return True
    return (usage.last_used_at or observed.last_used_at) < now - UNUSED_AFTER


def _used(use: CredentialUse, at: datetime | None, own: "Own") -> CredentialUse:
    others = at if at is not None and at not in own else None
    return CredentialUse(use.key_id, later(use.last_used_at, others), use.kept_until)


def later(one: datetime | None, other: datetime | None) -> datetime | None:
    """Return the later of two times, as far as there are any."""
    return max((each for each in (one, other) if each is not None), default=None)


class Own:
    """The times at which this service signed in as the client, by what it proved last."""

    def __init__(self, secret: SecretState | None, grants: Iterable[Grant]) -> None:
        self._spans = tuple(_spans(secret, grants))

    def __contains__(self, at: datetime) -> bool:
        """Whether a sign-in at that time may have been this service's own."""
        return any(begin - CLOCKS_DIFFER <= at <= end + CLOCKS_DIFFER for begin, end in self._spans)


def _spans(secret: SecretState | None, grants: Iterable[Grant]) -> Iterator[tuple[datetime, datetime]]:
    if secret is not None and secret.minted_at is not None and secret.published_at is not None:
        yield secret.minted_at, secret.published_at
    yield from ((each.proven_at, each.proven_at) for each in grants if each.proven_at is not None)
