"""The Functions host's end of the channel to a Python worker: what it sends for each trigger, and what it takes back.

Sources: Azure/azure-functions-host, GrpcMessageConversionExtensions.cs (what becomes of a request) and
ScriptInvocationContextExtensions.cs (of an invocation); azure-functions-python-worker, whose proxy hands each message
to the library in this form. Every message goes through its bytes, as it does on the wire.
"""

from __future__ import annotations

import importlib
import json
import uuid
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from dev.worker.messages import Messages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_HOST_VERSION = "4.1042.100"
# Bodies arrive as bytes and only in their own place, and route values once, where a worker claims these.
_CLAIMED = {"RawHttpBodyBytes", "RpcHttpBodyOnly", "RpcHttpTriggerMetadataRemoved", "TypedDataCollection"}
_NULLABLE = "UseNullableValueDictionaryForHttp"


class WorkerError(Exception):
    """The worker answers what the host would not take."""


@dataclass(frozen=True)
class Outcome:
    """What an invocation came to: the HTTP answer, and the queue messages by output binding.

    `failure` is what the host logs, and the reason for which it delivers a queue message again.
    """

    failure: str = ""
    status: int = 0
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    outputs: Mapping[str, list[str]] = field(default_factory=dict)

    def json(self) -> Any:  # noqa: ANN401 -- any JSON
        """The body, read."""
        return json.loads(self.body)


class Channel:
    """A worker that has loaded the app in a folder."""

    def __init__(self, folder: Path) -> None:
        self._worker = importlib.import_module("azure_functions_runtime")
        self._messages = Messages()
        self._folder = folder
        self.functions: dict[str, Any] = {}
        self.calls: Counter[str] = Counter()

    async def load(self) -> None:
        """Has the worker index the app, and load each function.

        Raises:
            WorkerError: It refuses the app, or is not the worker that the local host plays.
        """
        self._worker.start_threadpool_executor()
        begun = await self._ask(
            "worker_init_request",
            self._messages.WorkerInitRequest(
                host_version=_HOST_VERSION, function_app_directory=str(self._folder), worker_directory=str(self._folder)
            ),
        )
        claimed = {name for name, value in begun.capabilities.items() if value}
        if not claimed >= _CLAIMED or _NULLABLE in claimed:
            raise WorkerError(f"it claims {sorted(claimed)}; this channel and the local host play another worker")
        metadata = self._messages.FunctionsMetadataRequest(function_app_directory=str(self._folder))
        told = await self._ask("functions_metadata_request", metadata)
        self.functions = {each.name: each for each in told.function_metadata_results}
        for each in self.functions.values():
            request = self._messages.FunctionLoadRequest(function_id=each.function_id, metadata=each)
            await self._ask("function_load_request", request)

    def stop(self) -> None:
        """Ends the worker's threads."""
        self._worker.stop_threadpool_executor()

    def bindings(self, name: str) -> list[dict[str, Any]]:
        """A function's bindings, as the host reads them."""
        return [json.loads(raw) for raw in self.functions[name].raw_bindings]

    async def http(
        self, name: str, method: str, target: str, body: bytes = b"", headers: Mapping[str, str] | None = None
    ) -> Outcome:
        """Calls an HTTP function at a path with query; the values of its route are read from the path.

        A parameter without a value is left out of the query, and a body without a length does not arrive.
        """
        url = urlsplit(f"http://127.0.0.1{target}")
        query = {key: ",".join(values) for key, values in parse_qs(url.query).items()}
        sent = {"host": "127.0.0.1", **({"content-length": str(len(body))} if body else {}), **(headers or {})}
        request = self._messages.RpcHttp(
            method=method,
            url=url.geturl(),
            query=query,
            headers={key.lower(): value for key, value in sent.items()},
            params=self._route_values(name, url.path),
            body=self._messages.TypedData(bytes=body) if body else None,
        )
        return await self._invoke(name, self._messages.TypedData(http=request), {})

    def _route_values(self, name: str, path: str) -> dict[str, str]:
        route = str(self._trigger(name)["route"]).split("/")
        given = path.removeprefix("/api/").split("/")
        return {part.strip("{}"): value for part, value in zip(route, given, strict=True) if part.startswith("{")}

    async def queue(self, name: str, text: str, *, taken: int = 1) -> Outcome:
        """Calls a queue function for a message."""
        now = datetime.now(UTC)
        times = {"InsertionTime": now, "NextVisibleTime": now + timedelta(minutes=10)}
        metadata = {
            "QueueTrigger": self._messages.TypedData(string=text),
            "Id": self._messages.TypedData(string=str(uuid.uuid4())),
            "PopReceipt": self._messages.TypedData(string="AgAAAAMAAAAAAAAA"),
            "DequeueCount": self._messages.TypedData(json=str(taken)),
            **{key: self._messages.TypedData(json=json.dumps(at.isoformat())) for key, at in times.items()},
        }
        return await self._invoke(name, self._messages.TypedData(string=text), metadata)

    async def timer(self, name: str) -> Outcome:
        """Calls a timer function, as at an occurrence of its schedule."""
        now = datetime.now(UTC)
        status = {"Last": now.isoformat(), "LastUpdated": now.isoformat(), "Next": now.isoformat()}
        value = {"Schedule": {"AdjustForDST": True}, "ScheduleStatus": status, "IsPastDue": False}
        return await self._invoke(name, self._messages.TypedData(json=json.dumps(value)), {})

    def _trigger(self, name: str) -> dict[str, Any]:
        [trigger] = [each for each in self.bindings(name) if each["type"].endswith("Trigger")]
        return trigger

    async def _invoke(self, name: str, data: Any, metadata: Mapping[str, Any]) -> Outcome:  # noqa: ANN401 -- a message
        self.calls[name] += 1
        invocation_id = str(uuid.uuid4())
        now = datetime.now(UTC).isoformat()
        system = {"MethodName": name, "UtcNow": now, "RandGuid": str(uuid.uuid4())}
        request = self._messages.InvocationRequest(
            invocation_id=invocation_id,
            function_id=self.functions[name].function_id,
            input_data=[self._messages.ParameterBinding(name=self._trigger(name)["name"], data=data)],
            trigger_metadata={**metadata, "sys": self._messages.TypedData(json=json.dumps(system))},
            trace_context=self._messages.RpcTraceContext(trace_parent=f"00-{uuid.uuid4().hex}-{'1' * 16}-00"),
        )
        answer = await self._ask("invocation_request", request, failing=True)
        if answer.invocation_id != invocation_id:
            raise WorkerError(f"{name}: another invocation is answered")
        if answer.result.status != self._messages.StatusResult.Success:
            return Outcome(failure=answer.result.exception.message or "no reason")
        return self._outcome(name, answer)

    def _outcome(self, name: str, answer: Any) -> Outcome:  # noqa: ANN401 -- a message
        """Reads an answer as the host does: the bindings of the function say what may be in it."""
        outputs = {each.name: _queue_messages(name, each.data) for each in answer.output_data}
        bindings = self.bindings(name)
        strangers = outputs.keys() - {each["name"] for each in bindings if each["type"] == "queue"}
        if strangers:
            raise WorkerError(f"{name}: no queue output is called {sorted(strangers)}")
        kind = answer.return_value.WhichOneof("data")
        if not any(each["type"] == "http" for each in bindings):
            if kind is not None:
                raise WorkerError(f"{name}: it returns a value, and has no output for it")
            return Outcome(outputs=outputs)
        if kind != "http" or answer.return_value.http.body.WhichOneof("data") != "bytes":
            raise WorkerError(f"{name}: its answer is no HTTP answer")
        http = answer.return_value.http
        return Outcome("", int(http.status_code), dict(http.headers), http.body.bytes, outputs)

    async def _ask(self, kind: str, content: Any, *, failing: bool = False) -> Any:  # noqa: ANN401 -- messages
        message = _over_the_wire(self._messages.StreamingMessage(request_id=str(uuid.uuid4()), **{kind: content}))
        properties = {"host": "127.0.0.1", "protos": self._messages}
        answer = await getattr(self._worker, kind)(SimpleNamespace(request=message, properties=properties))
        answer = _over_the_wire(answer)
        if not failing and answer.result.status != self._messages.StatusResult.Success:
            raise WorkerError(f"{kind}: {answer.result.exception.message}")
        return answer


def _over_the_wire(message: Any) -> Any:  # noqa: ANN401 -- a message
    return type(message).FromString(message.SerializeToString())


def _queue_messages(name: str, data: Any) -> list[str]:  # noqa: ANN401 -- a message
    """Returns what the host puts into the queue: a text is one message, a JSON list one for each of its texts."""
    kind = data.WhichOneof("data")
    if kind == "string":
        return [data.string]
    items = json.loads(data.json) if kind == "json" else None
    if not isinstance(items, list) or not all(isinstance(item, str) for item in items):
        raise WorkerError(f"{name}: its output is neither a message nor a list of messages")
    return items
