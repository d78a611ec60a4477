"""What the registry makes of answers of Table storage that are none of a table."""

from collections.abc import Callable
from typing import Any

import pytest
import requests
from azure.data.tables import TableServiceClient

from dev.storage import ACCOUNT, ACCOUNT_KEY
from provisioning.adapters.tables import TableRegistry
from provisioning.adapters.transport import sdk_options
from provisioning.domain.errors import ProvisioningError, RequestRejected, TryAgain
from tests.contract.test_queues import Answering
from tests.contract.test_registry import NOW, a_registration, encoded
from tests.worlds.clock import VirtualClock

ONE = a_registration()
TOKEN = encoded("1!8!partition", "1!8!row")


def over(session: requests.Session, storage: Answering) -> TableRegistry:
    session.mount("http://", storage)
    connection = f"AccountName={ACCOUNT};AccountKey={ACCOUNT_KEY};TableEndpoint=http://a.table.example/"
    return TableRegistry(TableServiceClient.from_connection_string(connection, **sdk_options(session)), VirtualClock())


@pytest.mark.parametrize(
    ("ask", "status", "code"),
    [
        (lambda registry: registry.find(top=5, continuation_token=TOKEN), 400, "invalid-continuation-token"),
        (lambda registry: registry.find(top=5, continuation_token=TOKEN), 403, "storage-unavailable"),
        (lambda registry: registry.find(top=5), 400, "storage-unavailable"),
        (lambda registry: registry.find(top=5), 503, "storage-unavailable"),
        (lambda registry: registry.get(ONE.id), 500, "storage-unavailable"),
        (lambda registry: registry.insert(ONE), 403, "storage-unavailable"),
        (lambda registry: registry.due(NOW, 1), 503, "storage-unavailable"),
    ],
)
def test_what_storage_refuses_passes_but_for_a_place_that_it_never_gave(
    ask: Callable[[TableRegistry], Any], status: int, code: str
) -> None:
    with requests.Session() as session:
        registry = over(session, Answering(status, b"{}", **{"Retry-After": "4"}))
        with pytest.raises(ProvisioningError) as raised:
            ask(registry)
    assert raised.value.code == code
    if code == "storage-unavailable":
        assert isinstance(raised.value, TryAgain)
        assert (raised.value.message, raised.value.retry_after) == (f"Table storage answered {status}.", 4)
    else:
        assert isinstance(raised.value, RequestRejected)
