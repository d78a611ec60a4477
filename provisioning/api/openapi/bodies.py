"""The schemas of what is sent, as the types of requests in `intake.py` say."""

from collections.abc import Mapping
from typing import Annotated, Any, Final

from pydantic import Field, TypeAdapter

from provisioning.domain.intake import CHANGEABLE, Decision, Permissions, RegistrationRequest
from provisioning.domain.json_patch import patch_schema

SCHEMAS: Final = "#/components/schemas"

Schema = dict[str, Any]


def ref(name: str) -> Schema:
    """Return a reference to one of the schemas."""
    return {"$ref": f"{SCHEMAS}/{name}"}


def request_schema() -> Schema:
    """Return the schema of a request for a registration: one of four, told apart by `clientType`."""
    return {name: content for name, content in _described().items() if name != "$defs"}


def bodies() -> dict[str, Schema]:
    """Return the schema of every body that a call takes, and of their parts, by its name."""
    requests: dict[str, Schema] = _described()["$defs"]
    return requests | _other_bodies(requests)


def _described() -> Schema:
    adapter: TypeAdapter[RegistrationRequest] = TypeAdapter(
        Annotated[RegistrationRequest, Field(discriminator="client_type")]
    )
    schema: Schema = _tidy(adapter.json_schema(ref_template=f"{SCHEMAS}/{{model}}"))
    return schema


def _tidy(value: Any) -> Any:  # noqa: ANN401 -- JSON
    """Return a schema without the titles that pydantic makes of names, and without defaults that say nothing."""
    if not isinstance(value, dict):  # what is in lists has neither
        return value
    return {
        name: _tidy(content)
        for name, content in value.items()
        if not (name == "title" and isinstance(content, str)) and not (name == "default" and content is None)
    }


def asked(schemas: Mapping[str, Schema]) -> dict[str, list[Schema]]:
    """Return the fields of all client types: of each name every schema that a type has for it."""
    found: dict[str, list[Schema]] = {}
    for schema in schemas.values():
        if "clientType" in schema.get("properties", ()):
            for name, content in schema["properties"].items():
                found.setdefault(name, []).append(content)
    return found


def _other_bodies(requests: Mapping[str, Schema]) -> dict[str, Schema]:
    fields = asked(requests)
    decision = _tidy(TypeAdapter(Decision).json_schema())
    reason = decision["properties"]["reason"]
    [text] = [each for each in reason["anyOf"] if each["type"] == "string"]
    denial = {"reason": text | {"description": reason["description"]}}
    return {
        "Change": _closed(
            "What is to be different; what is left out stays as it is, and null takes an optional field out. Which "
            "fields there are depends on the client type.",
            {
                name: _in_a_change(fields[name]) if name != "credential" else _credential_in_a_change(requests)
                for name in sorted({name for one in CHANGEABLE.values() for name in one})
            },
        )
        | {"minProperties": 1},
        "JsonPatch": {
            "type": "array",
            "description": "What is to be different, one operation after the other (RFC 6902): of single entries of "
            "lists above all. Others than these operations are not known here.",
            "minItems": 1,
            "items": {"oneOf": list(patch_schema())},
        },
        "Rotation": _closed(
            "How the secret is replaced.",
            {
                "revokePrevious": {
                    "type": "boolean",
                    "default": False,
                    "description": "Whether all secrets minted before now stop working once the new one is in Key "
                    "Vault, as after a leak. It is not refused while an operation is pending.",
                }
            },
        ),
        "Permissions": _tidy(TypeAdapter(Permissions).json_schema()),
        "Decision": decision,
        "Denial": decision
        | {
            "description": "Why a request is refused: about what exactly, and the reason.",
            "properties": decision["properties"] | denial,
            "required": ["digest", "reason"],
        },
    }


def any_of(several: list[Schema]) -> Schema:
    """Return what any of the schemas allows, described as the first is."""
    different = [schema for index, schema in enumerate(several) if schema not in several[:index]]
    if len(different) == 1:
        return different[0]
    alternatives = [{key: value for key, value in each.items() if key != "description"} for each in different]
    return {"anyOf": alternatives, "description": different[0]["description"]}


def _in_a_change(several: list[Schema]) -> Schema:
    """Return what a change may set a field to: what has a default may be null, and is that then."""
    optional = any("default" in each for each in several)
    schema = any_of([{name: value for name, value in each.items() if name != "default"} for each in several])
    if not optional:
        return schema
    alternatives = schema.get("anyOf", [{name: value for name, value in schema.items() if name != "description"}])
    return {"anyOf": [*alternatives, {"type": "null"}], "description": schema["description"]}


def _credential_in_a_change(requests: Mapping[str, Schema]) -> Schema:
    """Return what of a credential may be changed; of subject and subjects the one takes the other's place."""
    federated, certificate = (requests[f"{kind}Credential"]["properties"] for kind in ("Federated", "Certificate"))
    parts = {name: federated[name] for name in ("subject", "subjects")} | {"certificate": certificate["certificate"]}
    return _closed("What it signs in with now: of a federated credential its subjects, or another certificate.", parts)


def _closed(description: str, properties: Mapping[str, Schema]) -> Schema:
    return {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "additionalProperties": False,
    }
