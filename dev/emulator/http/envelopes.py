"""JSON of requests, refusals in their service's envelope, answers to bytes; what is refused, the services decide."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from werkzeug.wrappers import Request, Response

from dev.emulator.errors import (
    ArmError,
    GraphError,
    IdentityError,
    Json,
    ManagementError,
    ServiceError,
    TokenError,
    VaultError,
)
from dev.emulator.http.exchange import Answer
from dev.emulator.shapes import as_text

if TYPE_CHECKING:
    from datetime import datetime


def json_object(request: Request) -> Json | None:
    """The JSON object that a request brings, or None if it brings something else."""
    try:
        body = json.loads(request.get_data())
    except ValueError:
        return None
    return body if isinstance(body, dict) else None


def too_many(operation: str, headers: dict[str, str]) -> ServiceError:
    """429 in the form of the operation's service."""
    code = "Throttled" if operation.startswith("vault.") else "TooManyRequests"
    return service_error(operation, 429, code, "Too many requests.", headers)


def service_error(  # noqa: PLR0913, PLR0917 -- what the forms of the four services hold
    operation: str, status: int, code: str, message: str, headers: dict[str, str], detail: str = ""
) -> ServiceError:
    """A refusal in the form of the operation's service; `detail` is what that form has beneath the code."""
    area = operation.partition(".")[0]
    if area == "vault":
        return VaultError(status, code, message, detail or None, headers=headers)
    if area == "token":
        error = code if detail else "temporarily_unavailable"
        return TokenError(status, error, int(detail or 90033), message, headers=headers)
    if area in ("arm", "bot"):
        return ArmError(status, code, message, headers=headers)
    if area == "identity":
        return IdentityError(status, message, headers=headers)
    return GraphError(status, code, message, headers=headers)


def refusal(error: ServiceError, now: datetime) -> Answer:
    """The envelope of a refusal; `response` fills in the ids."""
    return Answer(error.status, _envelope(error, now), dict(error.headers))


def _envelope(error: ServiceError, now: datetime) -> Json:
    at = as_text(now)
    if isinstance(error, GraphError):
        details = {"details": error.details} if error.details else {}
        inner = {"date": at.removesuffix("Z").partition(".")[0], "request-id": "", "client-request-id": ""}
        return {"error": {"code": error.code, "message": error.message, **details, "innerError": inner}}
    if isinstance(error, VaultError):
        inner_error = {"innererror": {"code": error.inner}} if error.inner else {}
        return {"error": {"code": error.code, "message": error.message, **inner_error}}
    if isinstance(error, ArmError):
        return {"error": {"code": error.code, "message": error.message}}
    if isinstance(error, TokenError):
        return {
            "error": error.error,
            "error_description": f"AADSTS{error.number}: {error.message}",
            "error_codes": [error.number],
            "timestamp": at.replace("T", " "),
            "trace_id": "",
            "correlation_id": "",
            "error_uri": f"https://login.microsoftonline.com/error?code={error.number}",
        }
    if isinstance(error, IdentityError):
        return {"statusCode": error.status, "message": error.message, "correlationId": ""}
    assert isinstance(error, ManagementError)
    return {"error": error.message}


def response(answer: Answer, request_id: str, client_request_id: str) -> Response:
    """Encode; the ids of the headers stand in the envelope, too."""
    body = answer.body
    if body is not None:
        inner = body["error"].get("innerError") if isinstance(body.get("error"), dict) else None
        if inner is not None:
            inner |= {"request-id": request_id, "client-request-id": client_request_id}
        if "trace_id" in body:
            message = f"{body['error_description']} Trace ID: {request_id} Correlation ID: {client_request_id}"
            stamped = f"{message} Timestamp: {body['timestamp']}"
            body |= {"trace_id": request_id, "correlation_id": client_request_id, "error_description": stamped}
    encoded = Response(status=answer.status, headers=answer.headers)
    if body is not None:
        encoded.data = json.dumps(body)
        encoded.content_type = "application/json; charset=utf-8"
    else:
        encoded.headers.pop("Content-Type", None)
    for name in ("request-id", "x-ms-request-id"):
        encoded.headers[name] = request_id
    encoded.headers["client-request-id"] = client_request_id
    encoded.headers["Cache-Control"] = "no-store"
    return encoded
