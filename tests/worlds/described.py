"""What the description says: of the statuses and codes that a call answers with, and of what is in a body."""

import functools
import json
import re
from typing import Any

from jsonschema import Draft202012Validator
from pydantic.alias_generators import to_camel

from provisioning.api.answers import Answer
from provisioning.api.openapi.document import describe


@functools.cache
def operations() -> dict[str, Any]:
    """Return every described call by its id."""
    return {operation["operationId"]: operation for path in describe()["paths"].values() for operation in path.values()}


@functools.cache
def described_codes(operation_id: str) -> dict[str, tuple[frozenset[str], frozenset[str]]]:
    """Return for each status of a call the codes of the problem, and those of each of its `errors`."""
    found = {}
    for status, answer in operations()[operation_id]["responses"].items():
        own, _, of_errors = answer["description"].partition(" The `code` of each of `errors`: ")
        codes, faults = (re.findall("`([a-z0-9-]+)`", text.rpartition("`code`: ")[2]) for text in (own, of_errors))
        found[status] = frozenset(codes), frozenset(faults)
    return found


def undescribed(handler: str, answer: Answer) -> list[str]:
    """Return what of an answer the description of its call does not say: its status, its code, a code of `errors`."""
    by_status = described_codes(to_camel(handler))
    if str(answer.status) not in by_status:
        return [str(answer.status)]
    if answer.status < 400:
        return []
    codes, faults = by_status[str(answer.status)]
    problem = json.loads(answer.body)
    told = {fault["code"] for fault in problem.get("errors", ())}
    return [code for code in [problem["code"]] if code not in codes] + sorted(told - faults)


def resolved(schema: Any) -> Any:
    """Return the schema with its references followed; none of ours leads back to itself."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            content: Any = describe()
            for step in schema["$ref"].removeprefix("#/").split("/"):
                content = content[step]
            return resolved(content)
        return {name: resolved(content) for name, content in schema.items() if name != "discriminator"}
    return [resolved(each) for each in schema] if isinstance(schema, list) else schema


def closed(schema: Any) -> Any:
    """Return the schema with no property allowed that is not described."""
    if isinstance(schema, dict):
        inner = {name: closed(content) for name, content in schema.items()}
        described = isinstance(inner.get("properties"), dict) and "additionalProperties" not in inner
        return inner | ({"additionalProperties": False} if described else {})
    return [closed(each) for each in schema] if isinstance(schema, list) else schema


@functools.cache
def _validator(name: str, *, strict: bool) -> Draft202012Validator:
    schema = resolved({"$ref": f"#/components/schemas/{name}"})
    return Draft202012Validator(
        closed(schema) if strict else schema, format_checker=Draft202012Validator.FORMAT_CHECKER
    )


def faults(name: str, content: Any, *, strict: bool = False) -> list[str]:
    """Return what is wrong with a body by the schema of this name; strictly also what is not described."""
    errors = _validator(name, strict=strict).iter_errors(content)
    return [f"{error.json_path}: {error.message[:200]}" for error in errors]


@functools.cache
def _request() -> Draft202012Validator:
    body = operations()["submitRegistration"]["requestBody"]["content"]["application/json"]
    return Draft202012Validator(resolved(body["schema"]), format_checker=Draft202012Validator.FORMAT_CHECKER)


def request_faults(body: Any) -> list[str]:
    """Return what is wrong with a request for a registration by its schema."""
    return [error.message[:200] for error in _request().iter_errors(body)]
