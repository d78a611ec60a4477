"""The policy as a document: read whole, every fault of it named at once, and the schema that is published of it."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from pydantic import ValidationError

from provisioning.domain.errors import Fault
from provisioning.domain.policy import KINDS, MOST_PLACES, MOST_RULES, Policy

LARGEST_POLICY: Final = 256 * 1024


class PolicyError(Exception):
    """The document is wrong; `faults` names every place, the rule and the remedy, and never a value."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__(f"The policy breaks {len(self.faults)} rules of its own form.")


def read_policy(document: bytes) -> Policy:
    """Return the policy of a document; raise PolicyError that names every fault of it at once."""
    if len(document) > LARGEST_POLICY:
        raise PolicyError([Fault("#", "too-large", f"A policy has at most {LARGEST_POLICY // 1024} KB.")])
    try:
        content = json.loads(document.decode("utf-8-sig"), object_pairs_hook=_no_name_twice)
    except (ValueError, RecursionError):
        rule = "The document is not JSON, or names a field twice in one object. Check it with an editor."
        raise PolicyError([Fault("#", "invalid-json", rule)]) from None
    try:
        return Policy.model_validate(content)
    except ValidationError as error:
        raise PolicyError(_faults(error)) from None


def schema() -> dict[str, Any]:
    """Return the published JSON Schema of a document."""
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **Policy.model_json_schema(by_alias=True)}


def _no_name_twice(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    content = dict(pairs)
    if len(content) != len(pairs):
        raise ValueError("a name twice")
    return content


_MESSAGES: Final[Mapping[str, tuple[str, str]]] = {
    "missing": ("required", "This field is required. Add it."),
    "extra_forbidden": ("field-not-allowed", "This field does not exist here. Remove it, or correct its spelling."),
    "union_tag_not_found": ("required", f"Each rule is an object with a kind: one of {', '.join(KINDS)}."),
    "union_tag_invalid": ("not-one-of", f"Send one of {', '.join(KINDS)}."),
    "string_type": ("wrong-type", "Write a string."),
    "int_type": ("wrong-type", "Write a whole number, without quotes."),
    "tuple_type": ("wrong-type", "Write an array."),
    "model_type": ("wrong-type", "Write an object."),
    "string_sub_type": ("wrong-type", "Write a string."),
    "string_unicode": ("control-character", "Half of a surrogate pair is no character. Write whole ones."),
    "too_long": ("too-many-items", f"A policy has at most {MOST_RULES} rules."),
    "string_too_short": ("wrong-length", "Write at least one character."),
    "string_too_long": ("wrong-length", "The text is too long; the schema says how long it may be."),
    "greater_than_equal": ("out-of-range", f"Write a number from 0 to {MOST_PLACES}."),
    "less_than_equal": ("out-of-range", f"Write a number from 0 to {MOST_PLACES}."),
}
_OWN_PATTERNS: Final[Mapping[str, str]] = {
    "id": "Write lower-case letters, digits and single hyphens, such as web-redirects.",
    "version": "Write letters, digits and . _ - only, such as 2027-01-31.",
    "schemes": "Write a URI scheme in lower case, without the colon.",
    "hosts": "Write *, a host in lower case, or *. and a domain; no scheme, port or path.",
}
_FIELD_NAME: Final = re.compile(r"\$?[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)


def _faults(error: ValidationError) -> Iterator[Fault]:
    for each in error.errors(include_url=False, include_input=False):
        context = each.get("ctx", {})
        if each["type"] == "policy":
            yield from context["faults"]
        else:
            yield _fault(str(each["type"]), list(each["loc"]), context)


def _fault(kind: str, steps: list[int | str], context: Mapping[str, Any]) -> Fault:
    del steps[2:3]  # of a rule: its kind, by which pydantic tells rules apart, and no place in the document
    if kind == "extra_forbidden" and not _FIELD_NAME.fullmatch(str(steps[-1])):
        del steps[-1:]  # what can be no field's name is not repeated
    pointer = "#" + "".join(f"/{step}" for step in steps)
    if kind == "string_pattern_mismatch":
        own = next((_OWN_PATTERNS[str(step)] for step in reversed(steps) if str(step) in _OWN_PATTERNS), "")
        return Fault(pointer, "wrong-form", own)
    if kind == "literal_error":
        return Fault(pointer, "not-one-of", f"Write one of {context.get('expected')}.")
    code, message = _MESSAGES.get(kind, (kind, str(context.get("rule", "Write what the schema allows."))))
    return Fault(pointer, code, message)
