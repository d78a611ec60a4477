"""A transaction of one partition, as azure-data-tables sends it, at the cost of one request.

The library starts four pools of threads for each transaction, and builds and reads its body with the package `email`:
with fifty callers at the same time that is more than all the rest of a POST. So the operations are the library's, and
so is the pipeline that they go through; what lies between, the multipart body and its answer, is made here.

Format: https://learn.microsoft.com/rest/api/storageservices/performing-entity-group-transactions
"""

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from http import HTTPStatus
from typing import Any, Final
from uuid import uuid4

from azure.core.exceptions import HttpResponseError
from azure.core.rest import HttpRequest, HttpResponse
from azure.data.tables import TableClient, TableTransactionError
from azure.data.tables._table_batch import TableBatchOperations  # the lock holds the version, and a test what it makes

_HEADERS: Final = {"Accept": "application/json", "DataServiceVersion": "3.0", "MaxDataServiceVersion": "3.0;NetFx"}
_PART: Final = re.compile(rb"^HTTP/1\.1 (\d{3})[^\r\n]*\r\n(.*?)\r\n\r\n([^\r\n]*)", re.MULTILINE | re.DOTALL)
_ETAG: Final = re.compile(rb"^etag: *([^\r\n]+)", re.MULTILINE | re.IGNORECASE)


def transact(table: TableClient, operations: Iterable[Any]) -> list[str]:
    """Do all of the operations, or none; return the ETag of each entity after it, empty where none was told.

    Operations are those of `TableClient.submit_transaction`, and so are the errors: TableTransactionError with the
    code and the index of the operation that was refused, HttpResponseError where the whole request was.
    """
    client = table._client  # noqa: SLF001 -- the pipeline: what signs, and what is traced and measured
    batch = TableBatchOperations(client._config, table.url.rstrip("/"), table.table_name)  # noqa: SLF001 -- the API's version
    for operation in operations:
        batch.add_operation(operation)
    request = _request(f"{table.url.rstrip('/')}/$batch", client._config.version, batch.requests)  # noqa: SLF001 -- as above
    response = client.send_request(request, stream=True)  # or the pipeline would read the content as something else
    content = response.read()
    if response.status_code != HTTPStatus.ACCEPTED:
        raise HttpResponseError(response=response)
    parts = list(_parts(content))
    for status, told, _ in parts:
        if status >= HTTPStatus.BAD_REQUEST:
            raise _refused(response, told)
    if len(parts) != len(batch.requests):
        raise HttpResponseError("The answer to a transaction does not tell of each operation.", response=response)
    return [etag for *_, etag in parts]


def _request(url: str, version: str, requests: Sequence[HttpRequest]) -> HttpRequest:
    outer, inner = f"batch_{uuid4()}", f"changeset_{uuid4()}"
    lines = [f"--{outer}", f"Content-Type: multipart/mixed; boundary={inner}", ""]
    for index, request in enumerate(requests):
        lines += [f"--{inner}", "Content-Type: application/http", "Content-Transfer-Encoding: binary"]
        lines += [f"Content-ID: {index}", "", f"{request.method} {request.url} HTTP/1.1"]
        lines += [f"{name}: {value}" for name, value in request.headers.items()]
        lines += ["", _text(request.content)]
    body = "\r\n".join([*lines, f"--{inner}--", "", f"--{outer}--", ""]).encode()
    headers = {**_HEADERS, "x-ms-version": version, "Content-Type": f"multipart/mixed; boundary={outer}"}
    return HttpRequest("POST", url, headers=headers, content=body)


def _text(content: Any) -> str:  # noqa: ANN401 -- as the library has it
    return content.decode() if isinstance(content, bytes) else str(content or "")


def _parts(content: bytes) -> Iterator[tuple[int, bytes, str]]:
    """Yield the status, content and ETag of each operation; the content of an answer is JSON on one line."""
    for status, headers, inside in _PART.findall(content):
        etag = _ETAG.search(headers)
        yield int(status), inside, etag[1].decode() if etag else ""


def _refused(response: HttpResponse, content: bytes) -> HttpResponseError:
    try:
        told = json.loads(content)["odata.error"]
        code, message = str(told["code"]), str(told["message"]["value"])
    except (ValueError, KeyError, TypeError):
        code, message = "", "A transaction was refused without a reason."
    error: Any = TableTransactionError(message=message, response=response)
    error.error_code = code  # which the library sets, and does not declare
    refused: HttpResponseError = error
    return refused
