"""The messages between the Functions host and a worker, as classes of protobuf: of the protocol what is used here.

Their names, numbers and types are those of the Functions RPC (Azure/azure-functions-language-worker-protobuf). What
the worker's library sets and is not declared here ends in an error, so nothing that it says is lost unseen.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

# Not in the development environment, which checks the types of this.
_descriptors = importlib.import_module("google.protobuf.descriptor_pb2")
_pools = importlib.import_module("google.protobuf.descriptor_pool")
_factory = importlib.import_module("google.protobuf.message_factory")

_PACKAGE: Final = "AzureFunctionsRpcMessages"
_Field = _descriptors.FieldDescriptorProto
_SCALARS: Final = {
    "bool": _Field.TYPE_BOOL,
    "bytes": _Field.TYPE_BYTES,
    "double": _Field.TYPE_DOUBLE,
    "int32": _Field.TYPE_INT32,
    "sint64": _Field.TYPE_SINT64,
    "string": _Field.TYPE_STRING,
}


class _Shape(NamedTuple):
    """A field: its number, the type of its values, and whether it holds one, a list, or a map with texts as keys."""

    number: int
    type: str
    holds: str = "one"


def _list(number: int, of: str) -> _Shape:
    return _Shape(number, of, "list")


def _map(number: int, of: str = "string") -> _Shape:
    return _Shape(number, of, "map")


_ENUMS: Final[Mapping[str, Mapping[str, Mapping[str, int]]]] = {
    "BindingInfo": {
        "Direction": {"in": 0, "out": 1, "inout": 2},
        "DataType": {"undefined": 0, "string": 1, "binary": 2, "stream": 3},
    },
    "StatusResult": {"Status": {"Failure": 0, "Success": 1, "Cancelled": 2}},
}
_ONE_OF: Final = {"StreamingMessage": "content", "TypedData": "data", "ParameterBinding": "rpc_data"}
_ALWAYS_THERE: Final = {("StreamingMessage", "request_id"), ("ParameterBinding", "name")}
_SHAPES: Final[Mapping[str, Mapping[str, _Shape]]] = {
    "StreamingMessage": {
        "request_id": _Shape(1, "string"),
        "worker_init_request": _Shape(17, "WorkerInitRequest"),
        "functions_metadata_request": _Shape(29, "FunctionsMetadataRequest"),
        "function_load_request": _Shape(8, "FunctionLoadRequest"),
        "invocation_request": _Shape(4, "InvocationRequest"),
    },
    "WorkerInitRequest": {
        "host_version": _Shape(1, "string"),
        "capabilities": _map(2),
        "worker_directory": _Shape(4, "string"),
        "function_app_directory": _Shape(5, "string"),
    },
    "WorkerInitResponse": {
        "capabilities": _map(2),
        "result": _Shape(3, "StatusResult"),
        "worker_metadata": _Shape(4, "WorkerMetadata"),
    },
    "WorkerMetadata": {
        "runtime_name": _Shape(1, "string"),
        "runtime_version": _Shape(2, "string"),
        "worker_version": _Shape(3, "string"),
        "worker_bitness": _Shape(4, "string"),
        "custom_properties": _map(5),
    },
    "StatusResult": {
        "result": _Shape(1, "string"),
        "exception": _Shape(2, "RpcException"),
        "status": _Shape(4, "StatusResult.Status"),
    },
    "RpcException": {
        "stack_trace": _Shape(1, "string"),
        "message": _Shape(2, "string"),
        "source": _Shape(3, "string"),
    },
    "FunctionsMetadataRequest": {"function_app_directory": _Shape(1, "string")},
    "FunctionMetadataResponse": {
        "function_metadata_results": _list(1, "RpcFunctionMetadata"),
        "result": _Shape(2, "StatusResult"),
        "use_default_metadata_indexing": _Shape(3, "bool"),
    },
    "RpcFunctionMetadata": {
        "directory": _Shape(1, "string"),
        "script_file": _Shape(2, "string"),
        "entry_point": _Shape(3, "string"),
        "name": _Shape(4, "string"),
        "bindings": _map(6, "BindingInfo"),
        "is_proxy": _Shape(7, "bool"),
        "status": _Shape(8, "StatusResult"),
        "language": _Shape(9, "string"),
        "raw_bindings": _list(10, "string"),
        "function_id": _Shape(13, "string"),
        "managed_dependency_enabled": _Shape(14, "bool"),
        "retry_options": _Shape(15, "RpcRetryOptions"),
        "properties": _map(16),
    },
    "RpcRetryOptions": {"max_retry_count": _Shape(2, "int32")},
    "BindingInfo": {
        "type": _Shape(2, "string"),
        "direction": _Shape(3, "BindingInfo.Direction"),
        "data_type": _Shape(4, "BindingInfo.DataType"),
    },
    "FunctionLoadRequest": {
        "function_id": _Shape(1, "string"),
        "metadata": _Shape(2, "RpcFunctionMetadata"),
        "managed_dependency_enabled": _Shape(3, "bool"),
    },
    "FunctionLoadResponse": {"function_id": _Shape(1, "string"), "result": _Shape(2, "StatusResult")},
    "InvocationRequest": {
        "invocation_id": _Shape(1, "string"),
        "function_id": _Shape(2, "string"),
        "input_data": _list(3, "ParameterBinding"),
        "trigger_metadata": _map(4, "TypedData"),
        "trace_context": _Shape(5, "RpcTraceContext"),
        "retry_context": _Shape(6, "RetryContext"),
    },
    "RpcTraceContext": {
        "trace_parent": _Shape(1, "string"),
        "trace_state": _Shape(2, "string"),
        "attributes": _map(3),
    },
    "RetryContext": {
        "retry_count": _Shape(1, "int32"),
        "max_retry_count": _Shape(2, "int32"),
        "exception": _Shape(3, "RpcException"),
    },
    "InvocationResponse": {
        "invocation_id": _Shape(1, "string"),
        "output_data": _list(2, "ParameterBinding"),
        "result": _Shape(3, "StatusResult"),
        "return_value": _Shape(4, "TypedData"),
    },
    "ParameterBinding": {"name": _Shape(1, "string"), "data": _Shape(2, "TypedData")},
    "TypedData": {
        "string": _Shape(1, "string"),
        "json": _Shape(2, "string"),
        "bytes": _Shape(3, "bytes"),
        "http": _Shape(5, "RpcHttp"),
        "int": _Shape(6, "sint64"),
        "double": _Shape(7, "double"),
    },
    "RpcHttp": {
        "method": _Shape(1, "string"),
        "url": _Shape(2, "string"),
        "headers": _map(3),
        "body": _Shape(4, "TypedData"),
        "params": _map(10),
        "status_code": _Shape(12, "string"),
        "query": _map(15),
        "enable_content_negotiation": _Shape(16, "bool"),
        "cookies": _list(19, "RpcHttpCookie"),
    },
    "RpcHttpCookie": {"name": _Shape(1, "string"), "value": _Shape(2, "string")},
}


class Messages:
    """The messages' classes, each an attribute by its name."""

    def __init__(self) -> None:
        pool = _pools.DescriptorPool()
        pool.Add(_file())
        for name in _SHAPES:
            setattr(self, name, _factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{name}")))

    def __getattr__(self, name: str) -> Any:  # noqa: ANN401 -- a class that protobuf makes
        """Says that a message is not declared; reached only for those."""
        raise AttributeError(f"the worker's library uses a message that is not declared here: {name}")


def _file() -> Any:  # noqa: ANN401 -- a message of protobuf's own
    file = _descriptors.FileDescriptorProto(name="functions_rpc.proto", package=_PACKAGE, syntax="proto3")
    for name, shapes in _SHAPES.items():
        message = file.message_type.add(name=name)
        if name in _ONE_OF:
            message.oneof_decl.add(name=_ONE_OF[name])
        for enum, values in _ENUMS.get(name, {}).items():
            declared = message.enum_type.add(name=enum)
            for value, number in values.items():
                declared.value.add(name=value, number=number)
        for field, shape in shapes.items():
            _declare(message, field, shape)
    return file


def _declare(message: Any, name: str, shape: _Shape) -> None:  # noqa: ANN401 -- as in _file
    """Adds a field. A map is a list of entries, each a message of its own with key and value."""
    field = message.field.add(name=name, number=shape.number, label=_Field.LABEL_OPTIONAL)
    if shape.holds == "map":
        entry = message.nested_type.add(name="".join(part.title() for part in name.split("_")) + "Entry")
        entry.options.map_entry = True
        _declare(entry, "key", _Shape(1, "string"))
        _declare(entry, "value", _Shape(2, shape.type))
        shape = _list(shape.number, f"{message.name}.{entry.name}")
    if shape.holds == "list":
        field.label = _Field.LABEL_REPEATED
    elif message.name in _ONE_OF and (message.name, name) not in _ALWAYS_THERE:
        field.oneof_index = 0
    if shape.type in _SCALARS:
        field.type = _SCALARS[shape.type]
    else:
        field.type_name = f".{_PACKAGE}.{shape.type}"
