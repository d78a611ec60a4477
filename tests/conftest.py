"""What any test may ask for by name. Nothing here starts before a test asks for it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from dev.storage import Azurite

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def azurite() -> Iterator[str]:
    """The connection string of a storage emulator that lives as long as the session."""
    with Azurite() as storage:
        yield storage.connection_string
