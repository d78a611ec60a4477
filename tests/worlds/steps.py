"""What tests do with one registration and read of it, again and again."""

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from dev.emulator.client import Client
from dev.emulator.constants import TENANT_ID
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.callers import Caller
from provisioning.domain.errors import ProvisioningError
from provisioning.domain.names import canonical_name
from provisioning.domain.operation import OperationStatus
from tests.worlds.checker import token_answer
from tests.worlds.request_bodies import OWNER, a_public_client
from tests.worlds.signed_in import headers_of
from tests.worlds.world import World

FOREIGN_URI = f"api://{TENANT_ID}/Payments"


def listed(*names: str) -> dict[str, str]:
    """What ALLOWED_RESOURCES with these names comes to."""
    return {canonical_name(name, TENANT_ID): name for name in names}


def a_foreign_resource(world: World) -> dict[str, Any]:
    """Have a resource of somebody else be in the tenant, with an app role and a scope; return its application."""
    entra = Client(world.emulator)
    texts = {"value": "pay", "isEnabled": True}
    role = {"id": OWNER, "displayName": "pay", "description": "pay", "allowedMemberTypes": ["Application"], **texts}
    scope = {"id": TENANT_ID, "type": "Admin", "value": "read", "isEnabled": True}
    scope |= dict.fromkeys(("adminConsentDisplayName", "adminConsentDescription"), "read")
    created = entra.create(
        identifierUris=[FOREIGN_URI], appRoles=[role], api={"oauth2PermissionScopes": [scope]}, displayName="Payments"
    )
    principal = entra.graph("POST", "/servicePrincipals", {"appId": created["appId"]})
    return created | {"servicePrincipalId": principal.json()["id"]}


def operations(world: World) -> Counter[str]:
    """Count the calls by operation, apart from those for tokens of our own identity."""
    ours = ("identity.token", "vault.challenge", "token.discovery")
    return Counter(call.operation for call in world.emulator.calls if call.operation not in ours)


def refused_with(act: Callable[[], Any]) -> str:
    """Have it be done; return the code of the refusal, or nothing where there is none."""
    try:
        act()
    except ProvisioningError as error:
        return error.code
    return ""


def submitted(world: World, body: dict[str, Any]) -> str:
    """Have a request accepted, not carried out yet."""
    return id_of(world.post(body))


def failure_of(world: World, registration_id: str) -> dict[str, Any]:
    registration = world.get(registration_id)
    assert registration["status"] == "failed", registration
    assert registration["operation"]["failure"]["remedy"]
    return dict(registration["operation"]["failure"])


def rotated_now(world: World, registration_id: str, body: Any = None) -> None:
    """Rotate, a second after whatever was before: at one and the same moment nothing is older."""
    world.clock.sleep(1)
    assert world.rotate(registration_id, body).status == 202
    world.deliver()
    assert world.row(registration_id).operation.status is OperationStatus.SUCCEEDED


def code_of(answer: Answer) -> str:
    return str(body_of(answer)["code"])


def text_of(world: World, registration_id: str) -> str:
    return str(world.emulator.vault.get(world.row(registration_id).secret_name)["value"])


def works(world: World, registration_id: str, text: str) -> bool:
    return token_answer(world, world.row(registration_id).client_id or "", text).status_code == 200


def live_keys(world: World, registration_id: str) -> list[str]:
    application = world.emulator.directory.application(app_id=world.row(registration_id).client_id or "")
    assert application is not None
    now = world.clock.now()
    return [each.key_id for each in application.passwords if each.removed_at is None and each.end > now]


def body_in_entra(world: World, registration_id: str) -> dict[str, Any]:
    application = world.emulator.directory.application(app_id=world.row(registration_id).client_id or "")
    assert application is not None
    return dict(application.last_body)


def passes(world: World, **time: float) -> None:
    world.clock.time += timedelta(**time)


def a_client_that_fails() -> dict[str, Any]:
    """A client that asks for what only Entra knows not to exist: accepted, and failed by the queue function."""
    return a_public_client(resource="https://ws-svc.fhir.azurehealthcareapis.com", scopes=["patient.Nothing.rs"])


def failed_registration(world: World) -> str:
    """A client that was accepted, and failed by the queue function."""
    registration_id = submitted(world, a_client_that_fails())
    world.deliver()
    assert world.get(registration_id)["status"] == "failed"
    return registration_id


def body_of(answer: Answer) -> dict[str, Any]:
    content = json.loads(answer.body)
    assert isinstance(content, dict)
    return content


def id_of(answer: Answer) -> str:
    assert answer.status == 202, answer.body
    return str(body_of(answer)["registrationId"])


def post_as(world: World, caller: Caller, body: dict[str, Any], query: str = "") -> Answer:
    """POST /registrations, signed in."""
    headers = {"content-type": "application/json", **headers_of(caller, world.emulator)}
    call = Call("/api/registrations", headers, query, json.dumps(body).encode(), method="POST")
    return world.call(web.submit_registration, call)
