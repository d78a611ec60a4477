"""How `owners.py`, `names.py` and `clients.py` act on their tables: through the registry's own way, and guarded."""

from collections.abc import Callable, Mapping
from typing import Any, Protocol, TypeVar

from azure.core import MatchConditions
from azure.core.exceptions import ResourceModifiedError, ResourceNotFoundError
from azure.data.tables import TableClient, UpdateMode

T = TypeVar("T")


class On(Protocol):
    """How the registry acts on a table: a missing one is created, and what time heals is told as such."""

    def __call__(self, table: TableClient, action: Callable[[TableClient], T]) -> T:
        """Return what the action returns."""
        ...


def changed(on: On, table: TableClient, read: Any, entity: Mapping[str, Any]) -> bool:  # noqa: ANN401 -- an entity
    """Write to the row as it was read; return False where somebody was faster."""
    guard = {"etag": read.metadata["etag"], "match_condition": MatchConditions.IfNotModified}
    try:
        on(table, lambda own: own.update_entity(entity, mode=UpdateMode.MERGE, **guard))
    except (ResourceModifiedError, ResourceNotFoundError):
        return False
    return True
