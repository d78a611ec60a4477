"""The emulator's own addresses, under `/_emulator`: faults, holds, state and calls. No service has them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.emulator import encoding
from dev.emulator.errors import Json, ManagementError
from dev.emulator.exchange import Answer, Call, Context, Route
from dev.emulator.faults import Fault
from dev.emulator.shapes import as_text, is_guid

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.emulator.records import Application
    from dev.emulator.vault import Secret

ROOT = "/_emulator"


def _faults(context: Context) -> Answer:
    return Answer(200, context.emulator.faults.dump())


def _add_faults(context: Context) -> Answer:
    try:
        numbers = context.emulator.faults.load(encoding.management_body(context.request))
    except ValueError as error:
        raise ManagementError(400, str(error)) from error
    return Answer(201, {"numbers": numbers})


def _clear_faults(context: Context) -> Answer:
    context.emulator.faults.clear()
    return Answer(204)


def _holds(context: Context) -> Answer:
    held = context.emulator.holds.held()
    value = [{"number": item.number, "operation": item.operation, "when": item.when} for item in held]
    return Answer(200, {"value": value})


def _add_hold(context: Context) -> Answer:
    body = encoding.management_body(context.request)
    try:
        number = context.emulator.faults.add(Fault(**{**body, "kind": "hold"}))
    except (TypeError, ValueError) as error:
        raise ManagementError(400, str(error)) from error
    return Answer(201, {"number": number})


def _release(context: Context) -> Answer:
    arguments = context.request.args
    count = context.emulator.holds.release(arguments.get("number", type=int), drop=arguments.get("drop") == "true")
    return Answer(200, {"released": count})


def _state(context: Context) -> Answer:
    emulator = context.emulator
    directory = emulator.directory
    principals = [
        {
            "id": principal.id,
            "appId": principal.app_id,
            "deleted": principal.body.latest is None,
            "roles": sorted(
                role for (holder, _), held in directory.assignments.items() if holder == principal.id for role in held
            ),
        }
        for principal in directory.principals.values()
    ]
    secrets = [*emulator.vault.secrets.values(), *emulator.vault.deleted.values()]
    body = {
        "tenantId": emulator.tenant_id,
        "applications": [_application(record) for record in directory.records.values()],
        "servicePrincipals": principals,
        "secrets": [_secret(secret) for secret in secrets],
        "principals": sorted(directory.people),
    }
    return Answer(200, body)


def _application(record: Application) -> Json:
    body = record.last_body
    return {
        "id": record.id,
        "appId": record.app_id,
        "deleted": record.body.latest is None,
        "displayName": body["displayName"],
        "uniqueName": body["uniqueName"],
        "identifierUris": body["identifierUris"],
        "tags": body["tags"],
        "owners": sorted(record.owners),
        "passwords": [
            {
                "keyId": password.key_id,
                "displayName": password.display_name,
                "endDateTime": as_text(password.end),
                "removed": password.removed_at is not None,
            }
            for password in record.passwords
        ],
        "certificates": [key["keyId"] for key in body["keyCredentials"]],
        "federatedIdentityCredentials": [item["name"] for item in record.federated],
    }


def _secret(secret: Secret) -> Json:
    versions = [
        {
            "version": version.id,
            "enabled": version.enabled,
            "exp": version.expires,
            "contentType": version.content_type,
            "tags": version.tags,
        }
        for version in secret.versions
    ]
    return {"name": secret.name, "deleted": secret.deleted_at is not None, "versions": versions}


def _calls(context: Context) -> Answer:
    return Answer(200, {"value": [_call(call) for call in context.emulator.calls]})


def _call(call: Call) -> Json:
    return {
        "operation": call.operation,
        "method": call.method,
        "path": call.path,
        "status": call.status,
        "clientRequestId": call.client_request_id,
        "at": as_text(call.at),
    }


def _forget_calls(context: Context) -> Answer:
    context.emulator.calls.clear()
    return Answer(204)


def _add_principal(context: Context) -> Answer:
    object_id = encoding.management_body(context.request).get("id")
    if object_id is not None and not is_guid(object_id):
        raise ManagementError(400, "id must be a GUID")
    return Answer(201, {"id": context.emulator.directory.add_principal(object_id)})


def _grant(context: Context) -> Answer:
    """What an admin does by hand: give a client an application role of a resource."""
    body = encoding.management_body(context.request)
    try:
        context.emulator.directory.grant(body["principalId"], body["resourceId"], body["appRole"])
    except (KeyError, ValueError) as error:
        raise ManagementError(400, f"cannot grant: {error}") from error
    return Answer(204)


def _reset(context: Context) -> Answer:
    context.emulator.reset()
    return Answer(204)


def management_routes() -> Iterator[Route]:
    """The table of addresses."""
    yield Route("GET", f"{ROOT}/faults", "emulator.faults", _faults)
    yield Route("POST", f"{ROOT}/faults", "emulator.addFaults", _add_faults)
    yield Route("DELETE", f"{ROOT}/faults", "emulator.clearFaults", _clear_faults)
    yield Route("GET", f"{ROOT}/holds", "emulator.holds", _holds)
    yield Route("POST", f"{ROOT}/holds", "emulator.addHold", _add_hold)
    yield Route("DELETE", f"{ROOT}/holds", "emulator.release", _release)
    yield Route("GET", f"{ROOT}/state", "emulator.state", _state)
    yield Route("GET", f"{ROOT}/calls", "emulator.calls", _calls)
    yield Route("DELETE", f"{ROOT}/calls", "emulator.forgetCalls", _forget_calls)
    yield Route("POST", f"{ROOT}/principals", "emulator.addPrincipal", _add_principal)
    yield Route("POST", f"{ROOT}/grants", "emulator.grant", _grant)
    yield Route("POST", f"{ROOT}/reset", "emulator.reset", _reset)
