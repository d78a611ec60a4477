"""The emulator's own addresses, under `/_emulator`: faults, holds, state, calls, sign-ins. No service has them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Protocol

from dev.emulator.constants import API_CLIENT_ID
from dev.emulator.errors import Json, ManagementError
from dev.emulator.faults import Fault
from dev.emulator.http import envelopes
from dev.emulator.http.exchange import Answer, Call, Context, Route
from dev.emulator.shapes import as_text, is_guid
from dev.emulator.sts.accounts import ACCOUNTS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from werkzeug.wrappers import Request

    from dev.emulator.faults import Faults
    from dev.emulator.graph.directory import Directory
    from dev.emulator.graph.records import Application
    from dev.emulator.http.wire import Holds
    from dev.emulator.sts.endpoint import TokenService
    from dev.emulator.vault.secrets import Secret, Vault

ROOT = "/_emulator"


class Whole(Protocol):
    """The emulator, as its own addresses see it."""

    tenant_id: str
    faults: Faults
    directory: Directory
    vault: Vault
    sts: TokenService

    @property
    def calls(self) -> list[Call]:
        """Every call so far, oldest first."""

    @property
    def holds(self) -> Holds:
        """The calls that are held at present."""

    def reset(self) -> None:
        """Back to the state of the start."""


def _body(request: Request, *names: str) -> Json:
    """The JSON object that a call brings, which has no other names than these, if any are given."""
    body = envelopes.json_object(request)
    if body is None:
        raise ManagementError(400, "a JSON object is expected")
    unknown = sorted(set(body) - set(names)) if names else []
    if unknown:
        raise ManagementError(400, f"there is no {unknown[0]!r} here")
    return body


def _faults(whole: Whole, _context: Context) -> Answer:
    return Answer(200, whole.faults.dump())


def _add_faults(whole: Whole, context: Context) -> Answer:
    try:
        numbers = whole.faults.load(_body(context.request))
    except ValueError as error:
        raise ManagementError(400, str(error)) from error
    return Answer(201, {"numbers": numbers})


def _clear_faults(whole: Whole, _context: Context) -> Answer:
    whole.faults.clear()
    return Answer(204)


def _holds(whole: Whole, _context: Context) -> Answer:
    held = whole.holds.held()
    value = [{"number": item.number, "operation": item.operation, "when": item.when} for item in held]
    return Answer(200, {"value": value})


def _add_hold(whole: Whole, context: Context) -> Answer:
    body = _body(context.request)
    try:
        number = whole.faults.add(Fault(**{**body, "kind": "hold"}))
    except (TypeError, ValueError) as error:
        raise ManagementError(400, str(error)) from error
    return Answer(201, {"number": number})


def _release(whole: Whole, context: Context) -> Answer:
    arguments = context.request.args
    number, drop = arguments.get("number", type=int), arguments.get("drop")
    if set(arguments) - {"number", "drop"} or drop not in (None, "true", "false"):
        raise ManagementError(400, "expected number= and drop=true or false")
    if "number" in arguments and number is None:
        raise ManagementError(400, "number must be one")
    count = whole.holds.release(number, drop=drop == "true")
    return Answer(200, {"released": count})


def _state(whole: Whole, _context: Context) -> Answer:
    directory = whole.directory
    principals = [
        {
            "id": principal.id,
            "appId": principal.app_id,
            "deleted": principal.body.latest is None,
            "roles": sorted(each.role_id for each in directory.living_assignments(principal.id)),
        }
        for principal in directory.principals.values()
    ]
    secrets = [*whole.vault.secrets.values(), *whole.vault.deleted.values()]
    body = {
        "tenantId": whole.tenant_id,
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


def _calls(whole: Whole, _context: Context) -> Answer:
    return Answer(200, {"value": [_call(call) for call in whole.calls]})


def _call(call: Call) -> Json:
    return {
        "operation": call.operation,
        "method": call.method,
        "path": call.path,
        "status": call.status,
        "clientRequestId": call.client_request_id,
        "at": as_text(call.at),
    }


def _forget_calls(whole: Whole, _context: Context) -> Answer:
    whole.calls.clear()
    return Answer(204)


def _add_principal(whole: Whole, context: Context) -> Answer:
    object_id = _body(context.request, "id").get("id")
    if object_id is not None and not is_guid(object_id):
        raise ManagementError(400, "id must be a GUID")
    return Answer(201, {"id": whole.directory.add_principal(object_id)})


def _grant(whole: Whole, context: Context) -> Answer:
    """What an admin does by hand: give a client an application role of a resource."""
    body = _body(context.request, "principalId", "resourceId", "appRole")
    try:
        whole.directory.grant(body["principalId"], body["resourceId"], body["appRole"])
    except (KeyError, ValueError) as error:
        raise ManagementError(400, f"cannot grant: {error}") from error
    return Answer(204)


def _let_assign(whole: Whole, context: Context) -> Answer:
    """What an admin does by hand: a directory role whose scope is one service principal."""
    body = _body(context.request, "principalId", "resourceId")
    if not {body["principalId"], body["resourceId"]} <= set(whole.directory.principals):
        raise ManagementError(400, "principalId and resourceId must be object ids of service principals")
    whole.directory.let_assign(body["principalId"], body["resourceId"])
    return Answer(204)


def _accounts(_whole: Whole, _context: Context) -> Answer:
    """Who can sign in to the registrar's API, and the client ids that are there to call it."""
    clients = [account.client_id for account in ACCOUNTS.values() if account.client_id is not None]
    value = [
        {"name": name, "id": account.object_id, "roles": account.roles, "person": account.client_id is None}
        for name, account in ACCOUNTS.items()
    ]
    return Answer(200, {"api": API_CLIENT_ID, "clients": [API_CLIENT_ID, *clients], "value": value})


def _sign_in(whole: Whole, context: Context) -> Answer:
    account = ACCOUNTS.get(context.path["name"])
    if account is None:
        raise ManagementError(404, f"nobody is called so; known are {', '.join(ACCOUNTS)}")
    return Answer(200, whole.sts.sign_in(account))


def _reset(whole: Whole, _context: Context) -> Answer:
    whole.reset()
    return Answer(204)


def routes(whole: Whole) -> Iterator[Route]:
    """The table of addresses."""
    yield Route("GET", f"{ROOT}/faults", "emulator.faults", partial(_faults, whole))
    yield Route("POST", f"{ROOT}/faults", "emulator.addFaults", partial(_add_faults, whole))
    yield Route("DELETE", f"{ROOT}/faults", "emulator.clearFaults", partial(_clear_faults, whole))
    yield Route("GET", f"{ROOT}/holds", "emulator.holds", partial(_holds, whole))
    yield Route("POST", f"{ROOT}/holds", "emulator.addHold", partial(_add_hold, whole))
    yield Route("DELETE", f"{ROOT}/holds", "emulator.release", partial(_release, whole))
    yield Route("GET", f"{ROOT}/state", "emulator.state", partial(_state, whole))
    yield Route("GET", f"{ROOT}/calls", "emulator.calls", partial(_calls, whole))
    yield Route("DELETE", f"{ROOT}/calls", "emulator.forgetCalls", partial(_forget_calls, whole))
    yield Route("POST", f"{ROOT}/principals", "emulator.addPrincipal", partial(_add_principal, whole))
    yield Route("POST", f"{ROOT}/grants", "emulator.grant", partial(_grant, whole))
    yield Route("POST", f"{ROOT}/scoped-roles", "emulator.letAssign", partial(_let_assign, whole))
    yield Route("GET", f"{ROOT}/accounts", "emulator.accounts", partial(_accounts, whole))
    yield Route("POST", f"{ROOT}/accounts/<name>/token", "emulator.signIn", partial(_sign_in, whole))
    yield Route("POST", f"{ROOT}/reset", "emulator.reset", partial(_reset, whole))
