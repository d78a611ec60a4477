"""A copy of what is stored: which rows a rebuild from Entra and the vault does not bring back, and may be put back."""

from collections.abc import Mapping
from typing import Final

from provisioning.domain.registration import Status
from provisioning.domain.values import dataclass

Json = str | bool | int | Mapping[str, str]
# An event of a registration is beside its row, under a key that begins so.
_EVENT: Final = "~"


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row as it is stored, keys included; what is not text, a boolean or a number of 32 bits has its type with it."""

    table: str
    content: Mapping[str, Json]

    @property
    def key(self) -> str:
        """What it is found by in its partition."""
        return str(self.content.get("RowKey", ""))


def kind_of(row: StoredRow) -> str | None:
    """Return as what a row may be put back: one that tells of the past, and that nothing goes by any more.

    None for all others. A row of a living registration names the secret that was current then, and a rebuild knows
    better; a due entry, a list or a notice would have something done that was done long ago; and that somebody in a
    chat is a person may have been taken back since.
    """
    match row.table:
        case "registrations" if row.key.startswith(_EVENT):
            return "events"
        case "registrations" if row.content.get("status") == Status.DELETED.value:
            return "deletedRegistrations"
        case "names" if "heldFor" in row.content:
            return "heldNames"
    return None
