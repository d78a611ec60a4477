"""The API's description, generated from the request types, and a page to read it that loads nothing from elsewhere."""

import functools
import html
from collections.abc import Iterable, Mapping
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter

from provisioning.domain.approval import Outcome
from provisioning.domain.client_types import ClientType
from provisioning.domain.events import ActorKind, EventOutcome, What
from provisioning.domain.intake import CHANGEABLE, RegistrationRequest
from provisioning.domain.operation import OperationStatus, OperationType
from provisioning.domain.registration import Status

VERSION: Final = "0.1.0"
_ACTORS: Final = [each for each in ActorKind if each is not ActorKind.UNKNOWN]
_SCHEMAS: Final = "#/components/schemas"


@functools.cache
def describe() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    request, schemas = _request_schemas()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "FHIR Registrar",
            "version": VERSION,
            "description": (
                "Self-service Microsoft Entra app registrations for FHIR servers. A request that was accepted ends "
                "`active`, with a credential that is proven to work, or `failed`, with a reason a person can act on. "
                "A secret is only ever in Key Vault."
            ),
        },
        "servers": [{"url": "/api"}],
        "security": [{"functionKey": []}],
        "paths": _paths(request),
        "components": {
            "securitySchemes": {"functionKey": {"type": "apiKey", "in": "header", "name": "x-functions-key"}},
            "parameters": _parameters(),
            "schemas": schemas | _answer_schemas(schemas),
        },
    }


def _request_schemas() -> tuple[dict[str, Any], dict[str, Any]]:
    adapter: TypeAdapter[RegistrationRequest] = TypeAdapter(
        Annotated[RegistrationRequest, Field(discriminator="client_type")]
    )
    request = adapter.json_schema(ref_template=f"{_SCHEMAS}/{{model}}")
    return request, request.pop("$defs")


def _paths(request: Mapping[str, Any]) -> dict[str, Any]:
    accepted = _json_answer(
        "Accepted. Poll `Location` after `Retry-After` seconds.", _ref("Registration"), accepted=True
    )
    found = _json_answer(
        "The registration. `Retry-After` is there while an operation is pending.", _ref("Registration")
    )
    seen = _json_answer("What would change; nothing was stored or sent.", _ref("ChangePreview"))
    altering = [_parameter(name) for name in ("registrationId", "dryRun", "ifMatch")]
    return {
        "/registrations": {
            "post": {
                "operationId": "submitRegistration",
                "summary": "Ask for a registration, or with dryRun=true see what it would be",
                "parameters": [_parameter("dryRun"), _parameter("idempotencyKey")],
                "requestBody": {"required": True, "content": {"application/json": {"schema": dict(request)}}},
                "responses": {"200": _json_answer("What would be done; nothing was.", _ref("Preview")), "202": accepted}
                | _problems("400", "401", "409", "413", "415", "500", "503"),
            },
            "get": {
                "operationId": "listRegistrations",
                "summary": "List registrations; deleted ones only with status=deleted",
                "parameters": [_parameter(name) for name in ("owner", "clientType", "status", "top", "continuation")],
                "responses": {"200": _json_answer("A page.", _ref("RegistrationList"))}
                | _problems("400", "401", "500", "503"),
            },
        },
        "/registrations/{registrationId}": {
            "get": {
                "operationId": "showRegistration",
                "summary": "Read a registration",
                "parameters": [_parameter("registrationId")],
                "responses": {"200": found} | _problems("400", "401", "404", "500", "503"),
            },
            "patch": {
                "operationId": "changeRegistration",
                "summary": "Change what people see, or where sign-ins go; null takes an optional field out",
                "parameters": altering,
                "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("Change")}}},
                "responses": {"200": seen, "202": accepted}
                | _problems("400", "401", "404", "409", "412", "413", "415", "500", "503"),
            },
            "delete": {
                "operationId": "deleteRegistration",
                "summary": "Delete the application and the secret, recoverably; the registration is kept as evidence",
                "parameters": altering,
                "responses": {"200": seen, "202": accepted}
                | _problems("400", "401", "404", "409", "412", "500", "503"),
            },
        },
        "/registrations/{registrationId}/events": {
            "get": {
                "operationId": "listEvents",
                "summary": "Read who did what to a registration, oldest first",
                "parameters": [_parameter(name) for name in ("registrationId", "top", "continuation")],
                "responses": {"200": _json_answer("A page.", _ref("EventList"))}
                | _problems("400", "401", "404", "500", "503"),
            }
        },
        "/registrations/{registrationId}/rotate": {
            "post": {
                "operationId": "rotateRegistration",
                "summary": "Replace the secret now; the one before goes on working, unless it is revoked",
                "parameters": altering,
                "requestBody": {"required": False, "content": {"application/json": {"schema": _ref("Rotation")}}},
                "responses": {"200": seen, "202": accepted}
                | _problems("400", "401", "404", "409", "412", "413", "415", "500", "503"),
            }
        },
        **{
            f"/registrations/{{registrationId}}/{name}": {
                "post": {
                    "operationId": f"{name}Registration",
                    "summary": summary,
                    "parameters": altering,
                    "requestBody": {"required": True, "content": {"application/json": {"schema": _ref("Decision")}}},
                    "responses": {"200": seen, "202": accepted}
                    | _problems("400", "401", "403", "404", "409", "412", "413", "415", "500", "503"),
                }
            }
            for name, summary in (
                ("approve", "Agree to a request that waits for an approval; it is then carried out"),
                ("deny", "Refuse a request that waits for an approval, with the reason"),
            )
        },
        "/registrations/{registrationId}/retry": {
            "post": {
                "operationId": "retryRegistration",
                "summary": "Have a failed registration tried again, once its cause is mended",
                "parameters": altering,
                "responses": {"200": seen, "202": accepted}
                | _problems("400", "401", "404", "409", "412", "500", "503"),
            }
        },
        "/openapi.json": {"get": _page_operation("showOpenapi", "This description", "application/json")},
        "/docs": {"get": _page_operation("showDocs", "This description as a page", "text/html")},
        "/health": {
            "get": {
                "operationId": "health",
                "summary": "Tell that the process lives; needs no key and says nothing else",
                "security": [],
                "responses": {"200": _json_answer("It lives.", {"type": "object"})},
            },
            "head": {
                "operationId": "probe",
                "summary": "Tell that the process lives, without a word",
                "security": [],
                "responses": {"200": {"description": "It lives."}},
            },
        },
    }


def _page_operation(operation_id: str, summary: str, content_type: str) -> dict[str, Any]:
    answer = {"description": summary, "content": {content_type: {}}}
    responses = {"200": answer} | _problems("400")
    return {"operationId": operation_id, "summary": summary, "security": [], "responses": responses}


_UNAUTHORIZED: Final = {"description": "The function key is missing or wrong. Answered by the host, without a body."}


def _json_answer(description: str, schema: Mapping[str, Any], *, accepted: bool = False) -> dict[str, Any]:
    answer: dict[str, Any] = {"description": description, "content": {"application/json": {"schema": dict(schema)}}}
    if accepted:
        answer["headers"] = {
            "Location": {"description": "Where to poll.", "schema": {"type": "string"}},
            "Retry-After": {"description": "Seconds to wait before that.", "schema": {"type": "integer"}},
        }
    return answer


def _problems(*statuses: str) -> dict[str, Any]:
    problem = {
        "description": "What is wrong and what to do (RFC 9457).",
        "content": {"application/problem+json": {"schema": _ref("Problem")}},
    }
    return {status: _UNAUTHORIZED if status == "401" else problem for status in statuses}


def _ref(name: str) -> dict[str, str]:
    return {"$ref": f"{_SCHEMAS}/{name}"}


def _parameter(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/parameters/{name}"}


def _parameters() -> dict[str, Any]:
    def query(name: str, description: str, schema: Mapping[str, Any]) -> dict[str, Any]:
        return {"name": name, "in": "query", "description": description, "schema": dict(schema)}

    return {
        "registrationId": {"name": "registrationId", "in": "path", "required": True, "schema": {"type": "string"}},
        "idempotencyKey": {
            "name": "Idempotency-Key",
            "in": "header",
            "description": "The same key and request give the same registration, however often they are sent.",
            "schema": {"type": "string", "pattern": "^[!-~]{1,255}$"},
        },
        "ifMatch": {
            "name": "If-Match",
            "in": "header",
            "description": "The ETag of an answer: do it only if the registration is still as that answer shows it.",
            "schema": {"type": "string"},
        },
        "dryRun": query("dryRun", "See what would be done.", {"type": "boolean", "default": False}),
        "owner": query("owner", "Entra object id.", {"type": "string", "format": "uuid"}),
        "clientType": query("clientType", "Client type.", {"type": "string", "enum": list(ClientType)}),
        "status": query("status", "Status.", {"type": "string", "enum": list(Status)}),
        "top": query("top", "Most on a page.", {"type": "integer", "minimum": 1, "maximum": 200, "default": 50}),
        "continuation": query("continuationToken", "Where the page before ended.", {"type": "string"}),
    }


def _object(properties: Mapping[str, Any], required: Iterable[str] = ()) -> dict[str, Any]:
    return {"type": "object", "properties": dict(properties), "required": list(required)}


def _answer_schemas(requests: Mapping[str, Any]) -> dict[str, Any]:
    text: dict[str, Any] = {"type": "string"}
    maybe: dict[str, Any] = {"type": ["string", "null"]}
    moment: dict[str, Any] = {"type": "string", "format": "date-time"}
    maybe_moment: dict[str, Any] = {"type": ["string", "null"], "format": "date-time"}
    failure = _object({"code": text, "message": text, "remedy": text, "graphRequestId": text}, ["code", "message"])
    operation = _object(
        {
            "id": text,
            "type": {"type": "string", "enum": list(OperationType)},
            "status": {"type": "string", "enum": list(OperationStatus)},
            "requestedAt": moment,
            "failure": {"oneOf": [_ref("Failure"), {"type": "null"}]},
            "lastError": _ref("Failure"),
            "supersedes": text,
        },
        ["id", "type", "status", "requestedAt", "failure"],
    )
    secret = _object({"id": text, "keyId": text, "expiresAt": maybe_moment, "rotatesAt": maybe_moment}, ["id", "keyId"])
    trusted = _object(
        {
            "type": {"const": "federated"},
            **dict.fromkeys(("issuer", "subject", "audience"), text),
            "subjects": {"type": "array", "items": text},
        },
        ["type", "issuer", "audience"],
    )
    in_use = _object(
        {
            "type": {"const": "certificate"},
            "thumbprint": text | {"description": "SHA-256 of the certificate, in hexadecimal digits."},
            "expiresAt": moment,
        },
        ["type", "thumbprint", "expiresAt"],
    )
    asked = {
        name: content
        for schema in requests.values()
        if "clientType" in schema.get("properties", {})
        for name, content in schema["properties"].items()
    }
    registration = _object(
        asked
        | {
            "registrationId": text,
            "clientType": {"type": "string", "enum": list(ClientType)},
            "displayName": text,
            "owner": text,
            "contact": text,
            "status": {"type": "string", "enum": list(Status)},
            "operation": _ref("Operation"),
            "approval": _ref("Approval"),
            "createdAt": moment,
            "updatedAt": moment,
            "tenantId": text,
            "clientId": maybe,
            "applicationObjectId": maybe,
            "servicePrincipalId": maybe,
            "oauth": _object(dict.fromkeys(("authority", "tokenEndpoint", "authorizationEndpoint", "scope"), maybe)),
            "credential": {"oneOf": [_ref(each) for each in ("SecretCredential", "TrustedToken", "CertificateInUse")]},
            "secret": {"oneOf": [_ref("Secret"), {"type": "null"}]},
            "warnings": {
                "type": "array",
                "items": _ref("Warning"),
                "description": "What works, but perhaps not as the caller thinks; a dry run has the same.",
            },
            "findings": {"type": "array", "items": _ref("Failure")},
            "nextSteps": {"type": "array", "items": _ref("NextStep")},
            "fhirServerSettings": {"type": ["object", "null"], "additionalProperties": text},
        },
        ["registrationId", "clientType", "displayName", "owner", "contact", "status", "operation", "tenantId"],
    )
    changeable = sorted({name for names in CHANGEABLE.values() for name in names})
    revoke = {"type": "boolean", "default": False, "description": "Have all secrets minted before now stop working."}
    fault = _object({"pointer": text, "code": text, "message": text}, ["pointer", "code", "message"])
    return {
        "Change": _object({name: asked[name] for name in changeable}),
        "Rotation": _object({"revokePrevious": revoke}),
        "Decision": _object({"digest": text, "reason": text}, ["digest"]),
        "Approval": _object(
            {
                "digest": text,
                "rules": {"type": "array", "items": text},
                "who": text,
                "lapsesAt": moment,
                "outcome": {"type": ["string", "null"], "enum": [*Outcome, None]},
                **dict.fromkeys(("decidedBy", "decidedVia", "reason"), maybe),
                "decidedAt": maybe_moment,
            },
            ["digest", "rules", "who", "lapsesAt", "outcome"],
        ),
        "Registration": registration,
        "Operation": operation,
        "Failure": failure,
        "Warning": _object({"code": text, "message": text}, ["code", "message"]),
        "Secret": secret,
        "TrustedToken": trusted,
        "CertificateInUse": in_use,
        "NextStep": _object(dict.fromkeys(("code", "who", "command", "url"), text), ["code", "who"]),
        "RegistrationList": _object(
            {"value": {"type": "array", "items": _ref("Registration")}, "continuationToken": maybe},
            ["value", "continuationToken"],
        ),
        "EventList": _object(
            {"value": {"type": "array", "items": _ref("Event")}, "continuationToken": maybe},
            ["value", "continuationToken"],
        ),
        "Event": _object(
            {
                "time": moment,
                "what": {"type": "string", "enum": list(What)},
                "outcome": {"type": "string", "enum": list(EventOutcome)},
                "actor": _object(
                    {"kind": {"type": "string", "enum": _ACTORS}, "objectId": text, "via": text}, ["kind"]
                ),
                "changed": {"type": "array", "items": text, "description": "Names of fields, never their values."},
                **dict.fromkeys(("operationId", "keyId", "formerKeyId", "code"), text),
                **dict.fromkeys(("graphRequestId", "policyVersion", "traceId"), text),
            },
            ["time", "what", "outcome", "actor", "operationId", "traceId"],
        ),
        "Preview": _object(
            {
                "registrationId": text,
                "request": {"type": "object"},
                "application": {"type": "object", "description": "The body of POST /applications, exactly."},
                "warnings": {"type": "array", "items": _ref("Warning")},
                "nextSteps": {"type": "array", "items": _ref("NextStep")},
            },
            ["registrationId", "request", "application", "warnings", "nextSteps"],
        ),
        "ChangePreview": _object(
            {
                "registrationId": text,
                "operation": {"type": ["string", "null"], "enum": [*OperationType, None]},
                "status": {"type": "string", "enum": list(Status)},
                "changes": {"type": "array", "items": _object({"field": text, "from": {}, "to": {}}, ["field"])},
                "application": {"type": "object", "description": "The body of PATCH /applications/{id}."},
                "warnings": {"type": "array", "items": _ref("Warning")},
            },
            ["registrationId", "operation", "status", "changes", "warnings"],
        ),
        "Problem": _object(
            {
                "type": text,
                "title": text,
                "status": {"type": "integer"},
                "detail": text,
                "code": text,
                "traceId": text | {"description": "Names the call in the service's log."},
                "errors": {"type": "array", "items": fault},
            },
            ["title", "status", "detail", "code", "traceId"],
        ),
    }


# --- the page -------------------------------------------------------------------------------------------------------

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
code{background:#f2f2f2;padding:.1em .3em;border-radius:3px}h2{margin-top:2.5rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.35rem .6rem;
border-bottom:1px solid #ddd}.method{font-weight:600;text-transform:uppercase;margin-right:.6rem}
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}code{background:#2a2a2a}td,th{border-color:#444}}
"""


def page(document: Mapping[str, Any]) -> str:
    """Return the description as HTML: the calls, then each schema as a table."""
    info = document["info"]
    calls = "".join(
        _call(path, method, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    schemas = "".join(_schema(name, schema) for name, schema in document["components"]["schemas"].items())
    title = _escape(info["title"])
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{title} {_escape(info['version'])}</h1><p>{_escape(info['description'])}</p>"
        f"<h2>Calls</h2>{calls}<h2>Schemas</h2>{schemas}</body></html>"
    )


def _call(path: str, method: str, operation: Mapping[str, Any]) -> str:
    answers = "".join(
        f"<tr><td>{status}</td><td>{_escape(answer['description'])}</td></tr>"
        for status, answer in operation["responses"].items()
    )
    return (
        f'<h3><span class="method">{method}</span><code>/api{_escape(path)}</code></h3>'
        f"<p>{_escape(operation['summary'])}</p><table>{answers}</table>"
    )


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = "".join(
        f"<tr><td><code>{_escape(field)}</code>{' (required)' if field in required else ''}</td>"
        f"<td>{_escape(_kind(content))}</td><td>{_escape(content.get('description', ''))}</td></tr>"
        for field, content in schema.get("properties", {}).items()
    )
    heading = f'<h3 id="{_escape(name)}">{_escape(name)}</h3>'
    return f"{heading}<p>{_escape(schema.get('description', ''))}</p><table>{rows}</table>"


def _kind(content: Mapping[str, Any]) -> str:
    """Return a schema's type in a few words."""
    if "$ref" in content:
        return str(content["$ref"]).rpartition("/")[2]
    for several in ("oneOf", "anyOf"):
        if several in content:
            return " or ".join(_kind(each) for each in content[several])
    if "const" in content or "enum" in content:
        return ", ".join(str(each) for each in content.get("enum", [content.get("const")]))
    if content.get("type") == "array":
        return f"array of {_kind(content.get('items', {}))}"
    kind = content.get("type", "any")
    return " or ".join(kind) if isinstance(kind, list) else str(kind)


def _escape(text: object) -> str:
    return html.escape(str(text))
