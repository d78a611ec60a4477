"""The app's functions, read from its decorators, and how one is called: the part of the Python worker."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import logging
import os
import re
import sys
import threading
import time
import uuid
from base64 import b64encode
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from types import GenericAlias, SimpleNamespace
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar, get_args, get_origin, get_type_hints

import azure.functions as func
from azure.core.exceptions import ResourceExistsError, ResourceNotFoundError
from azure.functions.meta import Datum, get_binding_registry

from dev.host.settings import Connections, HostError, resolve

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from azure.storage.queue import QueueClient

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger("dev.host")

TRIGGERS = {"httpTrigger", "queueTrigger", "timerTrigger"}
OUTPUTS = {"http", "queue"}
_QUEUE_NAME = re.compile(r"(?!.*--)[a-z0-9][a-z0-9-]{1,61}[a-z0-9]")
_RETURN = "$return"


@dataclass(frozen=True)
class Function:
    """One function: its trigger and outputs as raw bindings."""

    name: str
    call: Callable[..., Any]
    trigger: dict[str, Any]
    outputs: tuple[dict[str, Any], ...]
    wants_context: bool

    @property
    def kind(self) -> str:
        """The trigger's type."""
        return str(self.trigger["type"])


class _Out(func.Out[Any]):
    """What a function sets on an output parameter."""

    def __init__(self) -> None:
        self._value: Any = None

    def set(self, val: Any) -> None:  # noqa: ANN401 - the type of the binding, which only the function knows
        self._value = val

    def get(self) -> Any:  # noqa: ANN401 - as in set
        return self._value


@dataclass(frozen=True)
class _Context(func.Context):
    """What a parameter named `context` receives."""

    function_name: str = ""
    invocation_id: str = ""
    function_directory: str = ""
    thread_local_storage: Any = None
    trace_context: Any = None
    retry_context: Any = None


def load_app(folder: Path) -> func.FunctionApp:
    """Imports function_app.py and returns its one app.

    Raises:
        HostError: It holds no app, or more than one.
    """
    sys.path.insert(0, str(folder))
    module = importlib.import_module("function_app")
    apps = {id(value): value for value in vars(module).values() if isinstance(value, func.FunctionApp)}
    if len(apps) != 1:
        raise HostError(f"function_app.py must hold one FunctionApp object at module level, not {len(apps)}")
    return next(iter(apps.values()))


def index(app: func.FunctionApp) -> list[Function]:
    """Returns the app's functions; can be asked once per app object, as the library has it.

    Raises:
        HostError: A function is one that the real worker refuses, or one that this host cannot serve.
    """
    try:
        found = app.get_functions()
    except ValueError as error:
        raise HostError(str(error)) from error
    functions = [_function(one) for one in found]
    if not functions:
        raise HostError("function_app.py holds no function")
    names = [function.name.lower() for function in functions]
    for name in names:
        if names.count(name) > 1:
            raise HostError(f"function {name}: the name is used twice")
    return functions


def _function(one: func.Function) -> Function:
    name = str(one.get_function_name())
    bindings = [json.loads(raw) for raw in one.get_raw_bindings()]
    triggers = [binding for binding in bindings if str(binding["type"]).endswith("Trigger")]
    outputs = [binding for binding in bindings if binding not in triggers]
    if len(triggers) != 1 or triggers[0]["type"] not in TRIGGERS:
        raise HostError(f"function {name}: this host serves one trigger of {', '.join(sorted(TRIGGERS))}")
    for binding in outputs:
        if binding["type"] not in OUTPUTS or binding["direction"] != "OUT":
            raise HostError(f"function {name}: this host does not serve the binding {binding['name']}")
    if one.get_settings_dict("retry_policy"):
        raise HostError(f"function {name}: this host does not serve retry policies")
    call = one.get_user_function()
    parameters = set(inspect.signature(call).parameters)
    expected = {str(binding["name"]) for binding in bindings} - {_RETURN}
    if parameters - {"context"} != expected:
        raise HostError(f"function {name}: its parameters are {sorted(parameters)}, its bindings {sorted(expected)}")
    with suppress(NameError):
        for parameter, hint in get_type_hints(call).items():
            if get_origin(hint) is func.Out and isinstance(get_args(hint)[0], GenericAlias):
                raise HostError(f"function {name}: the real worker refuses the type of {parameter}; write typing.List")
    return Function(name, call, triggers[0], tuple(outputs), "context" in parameters)


def disabled(function: Function, settings: Mapping[str, str]) -> bool:
    """Whether an app setting says that the function's trigger is to be ignored; it can still be fired by hand.

    Source: "How to disable functions in Azure Functions" (azure-functions/disable-function).
    """
    return settings.get(f"AzureWebJobs.{function.name}.Disabled", "").lower() in ("true", "1")


def queue_name(function: Function, binding: dict[str, Any], settings: Mapping[str, str]) -> str:
    """Returns the queue that a binding names, its settings replaced."""
    name = resolve(str(binding["queueName"]), settings, f"function {function.name}")
    if not _QUEUE_NAME.fullmatch(name):
        raise HostError(f"function {function.name}: '{name}' is no queue name")
    return name


class Worker:
    """Calls functions in a pool of threads, as many as PYTHON_THREADPOOL_THREAD_COUNT says, and sends their outputs."""

    def __init__(self, settings: Mapping[str, str], connections: Connections, *, base64: bool) -> None:
        self._settings = settings
        self._connections = connections
        self._base64 = base64
        self._outputs: dict[tuple[str, str], QueueClient] = {}
        self._running: set[Future[Any]] = set()
        self._lock = threading.Lock()
        self._local = threading.local()
        default = min(32, (os.cpu_count() or 1) + 4)
        try:
            threads = int(settings.get("PYTHON_THREADPOOL_THREAD_COUNT") or default)
            self._pool = ThreadPoolExecutor(threads, thread_name_prefix="function")
        except ValueError as error:
            raise HostError("PYTHON_THREADPOOL_THREAD_COUNT must be a whole number from 1") from error

    def prepare(self, functions: list[Function]) -> None:
        """Resolves every output, so that a wrong one is told at start."""
        for function in functions:
            for binding in function.outputs:
                if binding["type"] == "queue":
                    name = queue_name(function, binding, self._settings)
                    where = f"function {function.name}"
                    client = self._connections.queue(str(binding.get("connection") or ""), name, where)
                    self._outputs[function.name, str(binding["name"])] = client

    def start(self, task: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> Future[T]:
        """Runs a task in the pool and counts it until it has ended."""
        with self._lock:
            future = self._pool.submit(task, *args, **kwargs)
            self._running.add(future)
        future.add_done_callback(self._ended)
        return future

    def _ended(self, future: Future[Any]) -> None:
        with self._lock:
            self._running.discard(future)

    def stop(self, seconds: float) -> int:
        """Starts nothing more and lets what runs end; returns how many are still running."""
        self._pool.shutdown(wait=False, cancel_futures=True)
        with self._lock:
            running = set(self._running)
        return len(wait(running, seconds).not_done)

    def invoke(self, function: Function, value: Datum, metadata: dict[str, Datum] | None = None) -> Datum | None:
        """Calls a function and sends its queue outputs; returns its HTTP response.

        Whatever the function, a conversion or an output raises is logged and raised again.
        """
        invocation_id = str(uuid.uuid4())
        began = time.perf_counter()
        try:
            response = self._call(function, value, metadata, invocation_id)
        except BaseException as error:
            log.error(  # noqa: TRY400 - the traceback is the function's, from here on
                "Executed %s (Failed, %s, %.0f ms)", *_end(function, invocation_id, began), exc_info=error
            )
            raise
        log.info("Executed %s (Succeeded, %s, %.0f ms)", *_end(function, invocation_id, began))
        return response

    def _call(
        self, function: Function, value: Datum, metadata: dict[str, Datum] | None, invocation_id: str
    ) -> Datum | None:
        registry = get_binding_registry()  # type: ignore[no-untyped-call]
        arguments = {function.trigger["name"]: registry.get(function.kind).decode(value, trigger_metadata=metadata)}
        outs = {str(binding["name"]): _Out() for binding in function.outputs}
        arguments |= {name: out for name, out in outs.items() if name != _RETURN}
        self._local.invocation_id = invocation_id
        if function.wants_context:
            trace = SimpleNamespace(trace_parent="", trace_state="", attributes={})
            arguments["context"] = _Context(function.name, invocation_id, str(Path.cwd()), self._local, trace)
        result = function.call(**arguments)
        if inspect.isawaitable(result):
            result = asyncio.run(_awaited(result))
        if _RETURN in outs:
            outs[_RETURN].set(result)
        elif result is not None:
            raise TypeError(f"function {function.name} returned a value but has no $return binding")
        response = None
        for binding in function.outputs:
            name = str(binding["name"])
            given = outs[name].get()
            if given is None and (name != _RETURN or binding["type"] == "http"):
                continue
            datum = registry.get(binding["type"]).encode(given, expected_type=None)
            if binding["type"] == "http":
                response = datum
            else:
                self._send(self._outputs[function.name, name], datum)
        return response

    def _send(self, queue: QueueClient, datum: Datum) -> None:
        for message in _messages(datum):
            send(queue, b64encode(message).decode() if self._base64 else message.decode())


async def _awaited(result: Any) -> Any:  # noqa: ANN401 - what the function returns
    return await result


def _end(function: Function, invocation_id: str, began: float) -> tuple[str, str, float]:
    return function.name, invocation_id, (time.perf_counter() - began) * 1000


def _messages(datum: Datum) -> list[bytes]:
    """Splits an output into messages: a JSON array is one message per element, and objects are written anew, indented.

    So the real host has it: what is JSON is parsed, and its elements written again (azure-webjobs-sdk, JObject).
    """
    if isinstance(datum.value, bytes):
        return [datum.value]
    text = str(datum.value)
    try:
        items = json.loads(text)
    except ValueError:
        items = None
    if isinstance(items, dict):
        return [_written(items)]
    if not isinstance(items, list):
        return [text.encode()]
    return [item.encode() if isinstance(item, str) else _written(item) for item in items]


def _written(value: Any) -> bytes:  # noqa: ANN401 - any JSON
    return json.dumps(value, indent=2, ensure_ascii=False).encode()


def send(queue: QueueClient, text: str) -> None:
    """Sends a message, to a queue that is created if missing."""
    try:
        queue.send_message(text)
    except ResourceNotFoundError:
        create(queue)
        queue.send_message(text)


def create(queue: QueueClient) -> None:
    """Creates a queue; one that exists is left as it is."""
    try:
        queue.create_queue()
    except ResourceExistsError:
        log.debug("queue %s exists", queue.queue_name)
