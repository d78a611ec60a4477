"""How each emulated service refuses: one exception type per protocol, one constructor per error that has a name."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any


class ServiceError(Exception):
    """A refusal; the HTTP layer turns it into the envelope of the service."""

    status: int
    headers: dict[str, str]


@dataclass(eq=False)
class GraphError(ServiceError):
    """`{"error": {"code", "message", "details"?, "innerError"}}`."""

    status: int
    code: str
    message: str
    details: list[dict[str, str]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class VaultError(ServiceError):
    """`{"error": {"code", "message", "innererror"?}}`."""

    status: int
    code: str
    message: str
    inner: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class ArmError(ServiceError):
    """`{"error": {"code", "message"}}`: Azure Resource Manager."""

    status: int
    code: str
    message: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class TokenError(ServiceError):
    """`{"error", "error_description", "error_codes", "trace_id", "correlation_id", "timestamp"}`."""

    status: int
    error: str
    number: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class IdentityError(ServiceError):
    """`{"statusCode", "message", "correlationId"}`: the managed identity endpoint of App Service."""

    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(eq=False)
class ManagementError(ServiceError):
    """`{"error"}`: a mistake in a call to `/_emulator/…`."""

    status: int
    message: str
    headers: dict[str, str] = field(default_factory=dict)


def bad_request(message: str, *, code: str = "Request_BadRequest", detail: str = "", target: str = "") -> GraphError:
    """Graph's 400; `detail` is the finer code that Graph puts in `details`."""
    details = [{"code": detail, "message": message, "target": target}] if detail else []
    return GraphError(400, code, message, details)


def invalid_value(target: str, resource: str = "Application", why: str = "") -> GraphError:
    """A value that the type of the property forbids."""
    message = f"Invalid value specified for property '{target}' of resource '{resource}'."
    return bad_request(f"{message} {why}".strip(), detail="InvalidValue", target=target)


def invalid_property(name: str) -> GraphError:
    """A property that the type does not have."""
    return bad_request(f"Invalid property '{name}'.")


def object_conflict(target: str, *, status: int = 400) -> GraphError:
    """A unique value that is taken, be it by a deleted object."""
    error = bad_request(
        f"Another object with the same value for property {target} already exists.",
        detail="ObjectConflict",
        target=target,
    )
    error.status = status
    return error


def too_large() -> GraphError:
    """More than an application may hold; Graph has no code for it (hashicorp/vault-plugin-secrets-azure)."""
    return bad_request(
        "The size of the object has exceeded its limit. Please reduce the number of values and retry your request."
    )


def not_found(key: str) -> GraphError:
    """No such object, or not on this replica yet: Graph says the same for both."""
    message = f"Resource '{key}' does not exist or one of its queried reference-property objects are not present."
    return GraphError(404, "Request_ResourceNotFound", message)


def denied() -> GraphError:
    """The caller lacks the permission, or does not own the object."""
    return GraphError(403, "Authorization_RequestDenied", "Insufficient privileges to complete the operation.")


def unsupported_query(message: str) -> GraphError:
    """A filter that the directory does not support."""
    return bad_request(message, code="Request_UnsupportedQuery")


Json = dict[str, Any]
