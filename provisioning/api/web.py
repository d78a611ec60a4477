"""The HTTP API without HTTP: what a call means, what is answered; problem documents, paging.

`function_app.py` turns the host's request into `Call` and `Answer` into the host's response, and knows nothing else.
Sources: RFC 9457 (problem documents), RFC 9110 (Retry-After, Location), the Idempotency-Key draft of the IETF.
"""

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from provisioning.api import alter, openapi
from provisioning.api.guidance import fhir_server_settings, next_steps, oauth
from provisioning.api.submit import Accepted, preview, submit
from provisioning.domain.client_types import ClientType
from provisioning.domain.credentials import shown_credential
from provisioning.domain.errors import Fault, RequestRejected, SettingsError, TryAgain
from provisioning.domain.intake import RegistrationRequest, dump, parse
from provisioning.domain.operation import Failure
from provisioning.domain.registration import Registration, Status
from provisioning.flow.rotate import rotates_at
from provisioning.ports import Services

logger = logging.getLogger(__name__)

MERGE_PATCH: Final = "application/merge-patch+json"  # RFC 7396
LARGEST_BODY: Final = 64 * 1024
POLL_AFTER: Final = 2
DEFAULT_TOP: Final = 50
LARGEST_TOP: Final = 200
# With function keys nobody knows who calls: whoever has the key is one and the same caller.
KEY_HOLDER: Final = "function-key"

_IDEMPOTENCY_KEY: Final = re.compile(r"[\x21-\x7e]{1,255}")
_GUID: Final = re.compile(r"[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", re.ASCII)
_NO_STORE: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Call:
    """What a caller sent. Header names are in lower case; `path` is the URL's path, as the caller sees it."""

    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    registration_id: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller gets, and what the queue gets with it."""

    status: int
    body: str
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str | None = None


def answer(services: Callable[[], Services], handle: Callable[[Services, Call], Answer], call: Call) -> Answer:
    """Return what `handle` answers, or the problem document of the error that it raised."""
    try:
        return handle(services(), call)
    except RequestRejected as error:
        return _problem(error.status, error.code, error.message, error.faults)
    except TryAgain as error:
        wait = max(1, round(error.retry_after or POLL_AFTER))
        return _problem(503, error.code, error.message, headers={"Retry-After": str(wait)})
    except SettingsError:
        logger.exception("The app settings are wrong")
        return _problem(500, "misconfigured", "The service is not configured; its log names each wrong setting.")
    except Exception:
        logger.exception("A call ended in an error that nobody foresaw")
        return _problem(
            500, "internal-error", "The service failed; its log has the cause. It is safe to send it again."
        )


# --- the calls ------------------------------------------------------------------------------------------------------


def submit_registration(services: Services, call: Call) -> Answer:
    """POST /registrations: 202 and the registration; with dryRun=true 200 and what would be done."""
    dry_run = _dry_run(call.query)
    key = _idempotency_key(call.headers)
    request = parse(_json(call))
    if dry_run:
        return _preview(services, request, key)
    return _accepted(submit(services, request, KEY_HOLDER, key), call.path.rstrip("/"), services)


def _preview(services: Services, request: RegistrationRequest, key: str | None) -> Answer:
    seen = preview(services, request, KEY_HOLDER, key)
    return _ok(
        {
            "registrationId": seen.registration.id,
            "request": dump(request),
            "application": seen.body,
            "warnings": [asdict(warning) for warning in seen.warnings],
            "nextSteps": [asdict(step) for step in next_steps(seen.registration, services.tenant)],
        }
    )


def retry_registration(services: Services, call: Call) -> Answer:
    """POST /registrations/{id}/retry: 202, and the failed registration is accepted again."""
    return _accepted(alter.retry(services, call.registration_id), _collection(call), services)


def rotate_registration(services: Services, call: Call) -> Answer:
    """POST /registrations/{id}/rotate: 202, and its secret is replaced; with revokePrevious the others end at once."""
    revoke = _revoke_previous(_json(call) if call.body else {})
    accepted = alter.rotate(services, call.registration_id, revoke_previous=revoke)
    return _accepted(accepted, _collection(call), services)


def change_registration(services: Services, call: Call) -> Answer:
    """PATCH /registrations/{id}: 202, and Entra gets what was changed."""
    return _accepted(
        alter.change(services, call.registration_id, _json(call, MERGE_PATCH)), _collection(call), services
    )


def delete_registration(services: Services, call: Call) -> Answer:
    """DELETE /registrations/{id}: 202, and the application and the secret are deleted; the registration is kept."""
    return _accepted(alter.delete(services, call.registration_id), _collection(call), services)


def _collection(call: Call) -> str:
    """Return the path of all registrations, as the caller sees it."""
    return call.path.partition(f"/{call.registration_id}")[0]


def show_registration(services: Services, call: Call) -> Answer:
    """GET /registrations/{id}: 200 and the registration, with Retry-After while an operation is pending."""
    registration = _found(services, call)
    headers = {"Retry-After": str(POLL_AFTER)} if registration.pending else {}
    return _ok(represent(registration, services), headers)


def list_registrations(services: Services, call: Call) -> Answer:
    """GET /registrations: 200 and a page of registrations."""
    query = _ListQuery.read(call.query)
    page = services.registry.find(
        owner=query.owner,
        client_type=query.client_type,
        status=query.status,
        top=query.top,
        continuation_token=query.continuation_token,
    )
    value = [represent(registration, services) for registration in page.registrations]
    return _ok({"value": value, "continuationToken": page.continuation_token})


def show_openapi(_call: Call) -> Answer:
    """GET /openapi.json: the description of this API."""
    return Answer(200, json.dumps(openapi.describe()))


def show_docs(_call: Call) -> Answer:
    """GET /docs: the description as a page that loads nothing from elsewhere."""
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return Answer(200, openapi.page(openapi.describe()), "text/html", {"Content-Security-Policy": policy})


CALLS: Final[Mapping[str, Callable[[Services, Call], Answer]]] = {
    handle.__name__: handle
    for handle in (
        submit_registration,
        list_registrations,
        show_registration,
        retry_registration,
        rotate_registration,
        change_registration,
        delete_registration,
    )
}

# --- reading a call -------------------------------------------------------------------------------------------------


def _json(call: Call, *also: str) -> object:
    if len(call.body) > LARGEST_BODY:
        raise RequestRejected(413, "body-too-large", "A request may have at most 64 KB.")
    content_type = call.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type not in ("application/json", *also):
        raise RequestRejected(415, "not-json", "Send the request as JSON, with Content-Type: application/json.")
    try:
        return json.loads(call.body.decode("utf-8-sig"), object_pairs_hook=_no_name_twice, parse_constant=_no_constant)
    except (ValueError, RecursionError):
        raise RequestRejected(
            400, "invalid-json", "The body is not JSON (RFC 8259) in UTF-8 with each name once in an object."
        ) from None


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a name stands twice")
    return content


def _no_constant(_name: str) -> float:
    raise ValueError("NaN and Infinity are no JSON")


def _revoke_previous(body: object) -> bool:
    known = isinstance(body, dict) and not set(body) - {"revokePrevious"}
    revoke = body.get("revokePrevious", False) if isinstance(body, dict) else None
    if not known or not isinstance(revoke, bool):
        fault = Fault("#/revokePrevious", "wrong-type", "Send true or false, and no other field; or leave it out.")
        raise RequestRejected(400, "invalid-request", "The request breaks 1 rule; see errors.", [fault])
    return revoke


def _dry_run(query: Mapping[str, str]) -> bool:
    faults, value = list(_unknown_parameters(query, "dryRun")), query.get("dryRun", "false").lower()
    if value not in ("true", "false"):
        faults.append(Fault("?dryRun", "not-one-of", "Send true or false, or leave it out."))
    if faults:
        raise _bad_query(faults)
    return value == "true"


def _unknown_parameters(query: Mapping[str, str], *names: str) -> Iterator[Fault]:
    """Yield a fault for query parameters that this call does not have; `code` is the host's, a function key."""
    if set(query) - {*names, "code"}:
        yield Fault("?", "query-parameter-unknown", f"Known here: {', '.join(names)}. Remove others.")


def _idempotency_key(headers: Mapping[str, str]) -> str | None:
    key = headers.get("idempotency-key")
    if key is not None and not _IDEMPOTENCY_KEY.fullmatch(key):
        raise RequestRejected(
            400, "invalid-idempotency-key", "An Idempotency-Key has 1 to 255 visible ASCII characters, such as a UUID."
        )
    return key


def _found(services: Services, call: Call) -> Registration:
    registration = services.registry.get(call.registration_id)
    if registration is None:
        raise RequestRejected(404, "registration-not-found", "There is no registration of that id.")
    return registration


def _bad_query(faults: list[Fault]) -> RequestRejected:
    return RequestRejected(400, "invalid-query", "The query breaks rules; see errors.", faults)


@dataclass(frozen=True, slots=True)
class _ListQuery:
    owner: str | None
    client_type: ClientType | None
    status: Status | None
    top: int
    continuation_token: str | None

    @classmethod
    def read(cls, query: Mapping[str, str]) -> "_ListQuery":
        faults = list(_unknown_parameters(query, "owner", "clientType", "status", "top", "continuationToken"))
        owner, top = query.get("owner"), query.get("top", str(DEFAULT_TOP))
        client_type, status = query.get("clientType"), query.get("status")
        if owner is not None and not _GUID.fullmatch(owner):
            faults.append(Fault("?owner", "not-a-guid", "Give an Entra object id."))
        if client_type is not None and client_type not in list(ClientType):
            faults.append(Fault("?clientType", "not-one-of", f"Send one of {', '.join(ClientType)}."))
        if status is not None and status not in list(Status):
            faults.append(Fault("?status", "not-one-of", f"Send one of {', '.join(Status)}."))
        if not re.fullmatch(r"\d{1,3}", top, re.ASCII) or not 1 <= int(top) <= LARGEST_TOP:
            faults.append(Fault("?top", "out-of-range", f"Send a whole number from 1 to {LARGEST_TOP}."))
        if faults:
            raise _bad_query(faults)
        return cls(
            owner.lower() if owner is not None else None,
            ClientType(client_type) if client_type is not None else None,
            Status(status) if status is not None else None,
            int(top),
            query.get("continuationToken"),
        )


# --- answering ------------------------------------------------------------------------------------------------------


def represent(registration: Registration, services: Services) -> dict[str, Any]:
    """Return the registration as it is answered; no secret's text is known here, so none can be in it."""
    operation, secret, tenant = registration.operation, registration.secret, services.tenant
    content = dump(registration.request) | {
        "registrationId": registration.id,
        "status": registration.status,
        "operation": {
            "id": operation.id,
            "type": operation.type,
            "status": operation.status,
            "requestedAt": _time(operation.requested_at),
            "failure": _failure(operation.failure),
        },
        "createdAt": _time(registration.created_at),
        "updatedAt": _time(registration.updated_at),
        "tenantId": tenant.id,
        "clientId": registration.client_id,
        "applicationObjectId": registration.application_object_id,
        "servicePrincipalId": registration.service_principal_id,
        "oauth": oauth(registration, tenant),
        "secret": {
            "id": secret.id,
            "keyId": secret.key_id,
            "expiresAt": _time(secret.expires_at),
            "rotatesAt": _time(rotates_at(registration, services.secrets)),
        }
        if secret
        else None,
        "findings": [_failure(finding) for finding in registration.findings],
        "nextSteps": [],
    }
    if operation.supersedes is not None:
        content["operation"]["supersedes"] = operation.supersedes
    if (credential := shown_credential(registration)) is not None:
        content["credential"] = credential
    if registration.pending and registration.last_error is not None:
        # Why it is still pending: kind to whoever waits, and gone with the next success.
        content["operation"]["lastError"] = _failure(registration.last_error.failure)
    if registration.status is Status.ACTIVE:
        content["nextSteps"] = [asdict(step) for step in next_steps(registration, tenant)]
    if registration.client_type is ClientType.RESOURCE:
        content["fhirServerSettings"] = fhir_server_settings(registration, tenant)
    return content


def _failure(failure: Failure | None) -> dict[str, str] | None:
    if failure is None:
        return None
    content = {"code": failure.code, "message": failure.message, "remedy": failure.remedy}
    return content | ({"graphRequestId": failure.graph_request_id} if failure.graph_request_id else {})


def _time(moment: datetime | None) -> str | None:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None


def _ok(content: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Answer:
    return Answer(200, json.dumps(content), headers={**_NO_STORE, **(headers or {})})


def _accepted(accepted: Accepted, collection: str, services: Services) -> Answer:
    headers = {"Location": f"{collection}/{accepted.registration.id}", "Retry-After": str(POLL_AFTER), **_NO_STORE}
    body = json.dumps(represent(accepted.registration, services))
    return Answer(202, body, headers=headers, message=accepted.message)


def _problem(
    status: int, code: str, detail: str, faults: tuple[Fault, ...] = (), headers: Mapping[str, str] | None = None
) -> Answer:
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
    }
    if faults:
        content["errors"] = [asdict(fault) for fault in faults]
    return Answer(status, json.dumps(content), "application/problem+json", {**_NO_STORE, **(headers or {})})
