"""The two implementations of the Registry port, each empty."""

from collections.abc import Iterator

import pytest
from azure.data.tables import TableServiceClient

from provisioning.adapters.tables import TableRegistry
from provisioning.ports import Registry
from tests.worlds.clock import VirtualClock
from tests.worlds.memory import MemoryRegistry


@pytest.fixture(params=["memory", "tables"])
def registry(request: pytest.FixtureRequest) -> Iterator[Registry]:
    if request.param == "memory":
        yield MemoryRegistry()
        return
    connection_string: str = request.getfixturevalue("azurite")
    with TableServiceClient.from_connection_string(connection_string, retry_total=0) as service:
        yield TableRegistry(service, VirtualClock())
        for table in service.list_tables():
            service.delete_table(table.name)
