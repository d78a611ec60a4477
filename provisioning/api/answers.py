"""What a caller is answered: registrations as JSON, and problem documents (RFC 9457). No secret is known here."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, field
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from provisioning import trail
from provisioning.api.calls import entity_tag
from provisioning.api.guidance import fhir_server_settings, left_to_do, oauth
from provisioning.api.wait import ends_soon
from provisioning.api.warnings import warnings
from provisioning.domain.approval import Approval
from provisioning.domain.client_types import ClientType
from provisioning.domain.credentials import shown_credential, told_credential
from provisioning.domain.errors import Fault
from provisioning.domain.events import Event
from provisioning.domain.intake import RegistrationRequest, changed_names, dump
from provisioning.domain.judgement import ApprovalNeeded
from provisioning.domain.operation import Failure
from provisioning.domain.registration import Registration
from provisioning.domain.usage import NOT_LOOKED_YET, NOT_REPORTED, OFF, CredentialUse, Usage
from provisioning.domain.values import dataclass
from provisioning.flow.rotate import rotates_at
from provisioning.ports import Services

POLL_AFTER: Final = 2
_NO_STORE: Final = {"Cache-Control": "no-store"}


@dataclass(frozen=True, slots=True)
class Answer:
    """What the caller gets, and what the queue gets with it."""

    status: int
    body: str
    content_type: str = "application/json"
    headers: Mapping[str, str] = field(default_factory=dict)
    message: str | None = None
    code: str = ""


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
            "requestedAt": instant(operation.requested_at),
            "failure": _failure(operation.failure),
        },
        "createdAt": instant(registration.created_at),
        "updatedAt": instant(registration.updated_at),
        "tenantId": tenant.id,
        "clientId": registration.client_id,
        "applicationObjectId": registration.application_object_id,
        "servicePrincipalId": registration.service_principal_id,
        "oauth": oauth(registration, tenant),
        "secret": {
            "id": secret.id,
            "keyId": secret.key_id,
            "expiresAt": instant(secret.expires_at),
            "rotatesAt": instant(rotates_at(registration, services.secrets)),
        }
        if secret
        else None,
        "warnings": [] if registration.ending else [asdict(warning) for warning in warnings(registration)],
        "findings": [_failure(finding) for finding in registration.findings],
        "grants": represent_grants(registration),
        "agreement": represent_agreement(registration),
        "azureRoles": _azure_roles(registration),
        "usage": _usage(registration, is_read=services.sign_ins is not None),
        "nextSteps": [asdict(step) for step in left_to_do(registration, tenant)],
    }
    if registration.request.callback_url is not None and services.callbacks is not None:
        content["callbackKey"] = services.callbacks.public_key
    if registration.approval is not None:
        content["approval"] = _approval(registration, registration.approval)
    if operation.supersedes is not None:
        content["operation"]["supersedes"] = operation.supersedes
    if (credential := shown_credential(registration, tenant)) is not None:
        content["credential"] = credential
    if registration.pending and registration.last_error is not None:
        # Why it is still pending: kind to whoever waits, and gone with the next success.
        content["operation"]["lastError"] = _failure(registration.last_error.failure)
    if registration.client_type is ClientType.RESOURCE:
        content["fhirServerSettings"] = fhir_server_settings(registration, tenant)
    return content


def _approval(registration: Registration, approval: Approval) -> dict[str, Any]:
    """Return the approval as it is answered; of a change that waits for it also what it would change."""
    content: dict[str, Any] = {
        "operationId": approval.operation_id,
        "digest": approval.digest,
        "rules": list(approval.rules),
        "who": approval.who,
        "askedBy": approval.asked_by or registration.caller,
        "askedVia": approval.asked_via if approval.asked_by else registration.via,
        "lapsesAt": instant(approval.lapses_at),
        "outcome": approval.outcome,
        "decidedBy": approval.decided_by,
        "decidedVia": approval.decided_via,
        "decidedAt": instant(approval.decided_at),
        "reason": approval.reason,
    }
    if registration.proposal is not None:
        content["changes"] = differences(registration.request, registration.proposal.request)
    return content


def represent_grants(row: Registration) -> list[dict[str, Any]]:
    """Return what became of each permission that a client asks of its resource."""
    resource = row.resource
    return [
        {
            "permission": each.permission,
            "resource": (resource.registration_id or resource.client_id) if resource is not None else None,
            "state": each.state,
            "since": instant(each.since),
            "waitsFor": each.waits_for,
            "provenAt": instant(each.proven_at),
        }
        for each in row.grants
    ]


def _azure_roles(row: Registration) -> list[dict[str, Any]]:
    """Return the roles of Azure that this service gives its owner."""
    return [
        {
            "role": each.role,
            "scope": each.scope,
            "principalId": each.principal_id,
            "state": each.state,
            "since": instant(each.since),
            "waitsFor": each.waits_for,
        }
        for each in row.azure_grants
    ]


def _usage(row: Registration, *, is_read: bool) -> dict[str, Any]:
    """Return when it and each of its credentials was last used, or why that is not known."""
    usage = (row.usage or Usage(unknown=NOT_LOOKED_YET)) if is_read else Usage(unknown=OFF)
    uses = {row.secret.key_id: usage.of(row.secret.key_id)} if row.secret is not None else dict[str, CredentialUse]()
    uses |= {each.key_id: each for each in usage.credentials}
    return {
        "lastUsedAt": instant(usage.last_used_at),
        "reason": usage.unknown,
        "credentials": [
            {
                "keyId": each.key_id,
                "lastUsedAt": instant(each.last_used_at),
                "reason": usage.unknown or (NOT_REPORTED if each.last_used_at is None else None),
                "keptUntil": instant(each.kept_until),
            }
            for each in uses.values()
        ],
    }


def represent_agreement(row: Registration) -> dict[str, Any] | None:
    """Return what the owner of its resource agreed to last; no permission, where that was withdrawn."""
    agreement = row.agreement
    if agreement is None:
        return None
    return {
        "permissions": list(agreement.permissions),
        "by": agreement.by,
        "via": agreement.via,
        "at": instant(agreement.at),
    }


def named(row: Registration) -> dict[str, Any]:
    """Return by what people know a registration, and whose it is."""
    request = row.request
    told = {"registrationId": row.id, "clientType": row.client_type, "displayName": request.display_name}
    return told | {"owner": request.owner, "status": row.status}


def represent_event(event: Event) -> dict[str, Any]:
    """Return the event as it is answered; what it has no value for is left out."""
    actor = {"kind": event.actor.kind, "objectId": event.actor.object_id, "via": event.actor.via}
    content = {
        "time": event.time.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z"),
        "what": event.what,
        "outcome": event.outcome,
        "actor": {name: value for name, value in actor.items() if value is not None},
        "operationId": event.operation_id,
        "changed": list(event.changed) or None,
        "keyId": event.key_id,
        "formerKeyId": event.former_key_id,
        "code": event.code,
        "graphRequestId": event.graph_request_id,
        "policyVersion": event.policy_version,
        "lastUsedAt": instant(event.last_used_at),
        "traceId": event.trace_id,
    }
    return {name: value for name, value in content.items() if value is not None}


def differences(before: RegistrationRequest, after: RegistrationRequest) -> list[dict[str, Any]]:
    """Return each field of a request that differs, with what it is and what it would be; null where it has no value."""
    old, new = _told_values(before), _told_values(after)
    return [{"field": name, "from": old.get(name), "to": new.get(name)} for name in changed_names(before, after)]


def _told_values(request: RegistrationRequest) -> dict[str, Any]:
    values = dump(request)
    return values | ({"credential": told_credential(values["credential"])} if "credential" in values else {})


def approvals_needed(approvals: Sequence[ApprovalNeeded]) -> list[dict[str, str]]:
    """Return the approvals that a request or a change would wait for, each with its rule, and what it is about."""
    return [{"rule": each.rule, "whose": each.whose, "pointer": each.refusal.pointer} for each in approvals]


def _failure(failure: Failure | None) -> dict[str, str] | None:
    if failure is None:
        return None
    content = {"code": failure.code, "message": failure.message, "remedy": failure.remedy}
    return content | ({"graphRequestId": failure.graph_request_id} if failure.graph_request_id else {})


def instant(moment: datetime | None) -> str | None:
    """Return a time as it is answered."""
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ") if moment is not None else None


def ok(content: Mapping[str, Any]) -> Answer:
    """Return 200 with this content."""
    return Answer(200, json.dumps(content), headers=_NO_STORE)


def accepted(
    row: Registration, message: str | None, collection: str, services: Services, waited: Mapping[str, str]
) -> Answer:
    """Return 202: the registration, where to poll for it, and the message that goes out with the answer.

    Whoever waited for the end of it is not told to ask again.
    """
    headers = {"Location": f"{collection}/{row.id}", **_about(row), **waited}
    if ends_soon(row) or not waited:
        headers["Retry-After"] = str(POLL_AFTER)
    return Answer(202, json.dumps(represent(row, services)), headers=headers, message=message)


def welcomed(content: Mapping[str, Any], message: str | None, location: str) -> Answer:
    """Return 202 with this content, where to look how it went, and the message that goes out with the answer."""
    headers = {"Location": location, "Retry-After": str(POLL_AFTER), **_NO_STORE}
    return Answer(202, json.dumps(content), headers=headers, message=message)


def shown(row: Registration, services: Services, waited: Mapping[str, str]) -> Answer:
    """Return 200: the registration, and when to ask again while an operation is pending."""
    headers = {"Retry-After": str(POLL_AFTER)} if row.pending else {}
    return Answer(200, json.dumps(represent(row, services)), headers={**headers, **_about(row), **waited})


def _about(row: Registration) -> dict[str, str]:
    return {"ETag": entity_tag(row), **_NO_STORE}


def _told(fault: Fault) -> dict[str, Any]:
    return {name: value for name, value in asdict(fault).items() if value is not None}


def problem(
    status: int,
    code: str,
    detail: str,
    faults: tuple[Fault, ...] = (),
    headers: Mapping[str, str] | None = None,
) -> Answer:
    """Return a problem document, with what is wrong and what to do."""
    content: dict[str, Any] = {
        "type": "about:blank",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        "code": code,
        "traceId": trail.current().trace_id,
    }
    if faults:
        content["errors"] = [_told(fault) for fault in faults]
    told = {**_NO_STORE, **(headers or {})}
    return Answer(status, json.dumps(content), "application/problem+json", told, code=code)
