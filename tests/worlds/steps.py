"""What tests do with one registration and read of it, again and again."""

import json
from collections import Counter
from typing import Any

from tests.worlds.world import World


def operations(world: World) -> Counter[str]:
    """Count the calls by operation, apart from those for tokens of our own identity."""
    ours = ("identity.token", "vault.challenge", "token.discovery")
    return Counter(call.operation for call in world.emulator.calls if call.operation not in ours)


def submitted(world: World, body: dict[str, Any]) -> str:
    answer = world.post(body)
    assert answer.status == 202, answer.body
    return str(json.loads(answer.body)["registrationId"])


def failure_of(world: World, registration_id: str) -> dict[str, Any]:
    registration = world.get(registration_id)
    assert registration["status"] == "failed", registration
    assert registration["operation"]["failure"]["remedy"]
    return dict(registration["operation"]["failure"])
