"""The calls that a service client costs, made bare: urllib3 and Azure's storage libraries, and nothing decided."""

import ssl
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import urllib3
from azure.data.tables import TableServiceClient, UpdateMode
from azure.storage.queue import QueueClient

CONCURRENCY = 16


def cpu_seconds(settings: dict[str, str], number: int) -> float:
    """Make the calls of so many clients; return the CPU seconds that this process took for them, all imports done."""
    graph, vault, storage = (settings[name] for name in ("GRAPH_ENDPOINT", "KEY_VAULT_URL", "AzureWebJobsStorage"))
    tls = ssl.create_default_context(cafile=settings["REQUESTS_CA_BUNDLE"])
    http = urllib3.PoolManager(maxsize=CONCURRENCY, ssl_context=tls, retries=False)
    tables = TableServiceClient.from_connection_string(storage)
    rows, due = (tables.create_table_if_not_exists(name) for name in ("barerows", "baredue"))
    queue = QueueClient.from_connection_string(storage, f"bare-{uuid.uuid4()}")
    queue.create_queue()

    def call(expected: int, method: str, url: str, pool: Any = http, **options: Any) -> Any:  # noqa: ANN401 -- JSON
        answer = pool.request(method, url, **options)
        if answer.status != expected:
            raise RuntimeError(f"bare: {answer.status} in place of {expected}: {answer.data.decode()[:500]}")
        return answer.json()

    def bearer(audience: str) -> dict[str, str]:
        fields = {"api-version": "2019-08-01", "resource": audience}
        own = {"X-IDENTITY-HEADER": settings["IDENTITY_HEADER"]}
        token = call(200, "GET", settings["IDENTITY_ENDPOINT"], fields=fields, headers=own)["access_token"]
        return {"Authorization": f"Bearer {token}"}

    def carry_out(message: Any) -> None:  # noqa: ANN401 -- a queue message
        key = str(uuid.uuid4())
        kept = f"{vault}/secrets/{key}?api-version=2025-07-01"
        row, *_ = [rows.get_entity("bare", message.content) for _ in range(3)]
        body: dict[str, Any] = {"displayName": key, "uniqueName": key, "signInAudience": "AzureADMyOrg"}
        body |= {"tags": ["bare", f"bare:id={key}"], "notes": '{"contact": "team@contoso.example"}'}
        body["passwordCredentials"] = [{"displayName": key, "endDateTime": "2099-01-01T00:00:00Z"}]
        made = call(201, "POST", f"{graph}/v1.0/applications", json=body, headers=to_graph)
        client, secret = made["appId"], made["passwordCredentials"][0]["secretText"]
        call(201, "POST", f"{graph}/v1.0/servicePrincipals", json={"appId": client}, headers=to_graph)
        call(404, "GET", kept, headers=to_vault)
        form = {"grant_type": "client_credentials", "client_id": client, "client_secret": secret, "scope": scope}
        for _ in range(3):
            with urllib3.PoolManager(ssl_context=tls, retries=False) as once:
                call(200, "POST", token_endpoint, once, fields=form, encode_multipart=False)
        call(200, "PUT", kept, json={"value": secret, "tags": {"id": key}}, headers=to_vault)
        due.upsert_entity({"PartitionKey": "due", "RowKey": key}, mode=UpdateMode.REPLACE)
        rows.update_entity(row, mode=UpdateMode.REPLACE)
        due.delete_entity("due", key)
        queue.delete_message(message)

    scope, to_graph, to_vault = f"{graph}/.default", bearer(graph), bearer("https://vault.azure.net")
    token_endpoint = f"{settings['AZURE_AUTHORITY_HOST']}/{settings['AZURE_TENANT_ID']}/oauth2/v2.0/token"
    for key in (str(uuid.uuid4()) for _ in range(number)):
        rows.create_entity({"PartitionKey": "bare", "RowKey": key, "request": "x" * 500})
        queue.send_message(key)
    begun = time.process_time()
    with ThreadPoolExecutor(CONCURRENCY) as pool:
        list(pool.map(carry_out, queue.receive_messages(messages_per_page=CONCURRENCY, visibility_timeout=600)))
    return time.process_time() - begun
