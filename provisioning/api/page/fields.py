"""What the page's forms are made of: the fields of each client type, as the description of the API has them."""

import json
from typing import Any, Final

from provisioning.api.openapi.bodies import Schema, bodies
from provisioning.domain.client_types import ClientType
from provisioning.domain.intake import CHANGEABLE, REQUEST_TYPES

# What a form says in another way; and what few ask for, so that the page stays small: there is the API for it.
_LEFT_OUT: Final = frozenset({"clientType", "dataRoles"})


def fields_json() -> str:
    """Return the fields of a request by client type, each with its schema, and which of them can be changed later."""
    described = bodies()
    told = {client_type: _fields(client_type, described) for client_type in ClientType}
    return json.dumps(told, separators=(",", ":"))


def _fields(client_type: ClientType, described: dict[str, Schema]) -> dict[str, Any]:
    request = REQUEST_TYPES[client_type]
    schema = described[request.__name__]
    return {
        "fields": {name: _short(content) for name, content in schema["properties"].items() if name not in _LEFT_OUT},
        "required": [name for name in schema["required"] if name != "clientType"],
        "changeable": [name for name in CHANGEABLE[request] if name not in _LEFT_OUT],
    }


def _short(content: Schema) -> Schema:
    """Return of a field's schema what a form shows: what it is for, how long it may be, and what may be chosen."""
    told = next((each for each in content.get("anyOf", ()) if each.get("type") != "null"), {}) | content
    kept = ("description", "type", "enum", "default", "maxLength")
    return {name: told[name] for name in kept if name in told}
