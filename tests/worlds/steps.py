"""What tests do with one registration, and read of it, again and again."""

import json
from collections import Counter
from datetime import timedelta
from typing import Any

from provisioning.api import web
from provisioning.domain.operation import OperationStatus
from tests.worlds.checker import token_answer
from tests.worlds.request_bodies import OWNER, a_service_client
from tests.worlds.world import World

# --- what is done ---------------------------------------------------------------------------------------------------


def passes(world: World, **time: float) -> None:
    world.clock.time += timedelta(**time)


def submitted(world: World, body: dict[str, Any]) -> str:
    """Have a request accepted, not carried out yet."""
    return id_of(world.post(body))


def failed_registration(world: World) -> str:
    """A client of a registration that does not exist: accepted, and failed by the queue function."""
    registration_id = submitted(world, a_service_client(resource=f"00000000-{OWNER}"))
    world.deliver()
    assert world.get(registration_id)["status"] == "failed"
    return registration_id


def rotated_now(world: World, registration_id: str, body: Any = None) -> None:
    """Rotate, a second after whatever was before: at one and the same moment nothing is older."""
    world.clock.sleep(1)
    assert world.rotate(registration_id, body).status == 202
    world.deliver()
    assert world.row(registration_id).operation.status is OperationStatus.SUCCEEDED


# --- what is read ---------------------------------------------------------------------------------------------------


def body_of(answer: web.Answer) -> dict[str, Any]:
    content = json.loads(answer.body)
    assert isinstance(content, dict)
    return content


def id_of(answer: web.Answer) -> str:
    assert answer.status == 202, answer.body
    return str(body_of(answer)["registrationId"])


def code_of(answer: web.Answer) -> str:
    return str(body_of(answer)["code"])


def failure_of(world: World, registration_id: str) -> dict[str, Any]:
    registration = world.get(registration_id)
    assert registration["status"] == "failed", registration
    assert registration["operation"]["failure"]["remedy"]
    return dict(registration["operation"]["failure"])


def operations(world: World) -> Counter[str]:
    """Count the calls by operation, apart from those for tokens of our own identity."""
    ours = ("identity.token", "vault.challenge", "token.discovery")
    return Counter(call.operation for call in world.emulator.calls if call.operation not in ours)


def body_in_entra(world: World, registration_id: str) -> dict[str, Any]:
    application = world.emulator.directory.application(app_id=world.row(registration_id).client_id or "")
    assert application is not None
    return dict(application.last_body)


def text_of(world: World, registration_id: str) -> str:
    """The text of its current secret."""
    return str(world.emulator.vault.get(world.row(registration_id).secret_name)["value"])


def works(world: World, registration_id: str, text: str) -> bool:
    """Whether the token endpoint accepts a secret's text."""
    return token_answer(world, world.row(registration_id).client_id or "", text).status_code == 200


def live_keys(world: World, registration_id: str) -> list[str]:
    """The key ids of its credentials that are neither removed nor over."""
    application = world.emulator.directory.application(app_id=world.row(registration_id).client_id or "")
    assert application is not None
    now = world.clock.now()
    return [each.key_id for each in application.passwords if each.removed_at is None and each.end > now]
