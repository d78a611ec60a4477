"""JSON Patch (RFC 6902) of a request: single entries of lists are added, removed and exchanged.

It becomes a merge-patch, and is judged as one. Of its operations those are known that say what is to be different; any
other one, and any part of one that RFC 6902 would have ignored, is refused.
"""

import json
import re
from collections.abc import Mapping
from typing import Any, Final

from provisioning.domain.errors import Fault, RequestRejected
from provisioning.domain.faults import broken_rules, refuse_private_keys
from provisioning.domain.intake import RegistrationRequest, dump
from provisioning.domain.values import dataclass

_PARTS: Final[Mapping[str, tuple[str, ...]]] = {
    "add": ("op", "path", "value"),
    "remove": ("op", "path"),
    "replace": ("op", "path", "value"),
    "test": ("op", "path", "value"),
}
_POINTER: Final = re.compile(r"(?:/(?:[^~/]|~[01])*)+")  # RFC 6901, but for that of the whole document
_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,5}", re.ASCII)
_NO_PLACE: Final = "The registration has nothing there. Read it again; see that indexes begin at 0, and - is the end."


@dataclass(frozen=True, slots=True)
class Step:
    """One operation: what it does, where, and with which value."""

    op: str
    path: tuple[str, ...]
    value: Any


@dataclass(frozen=True, slots=True)
class JsonPatch:
    """What is to be different, one thing after the other."""

    steps: tuple[Step, ...]


def parse_patch(body: object) -> JsonPatch:
    """Return the operations; raise RequestRejected (400) that names every fault of them at once."""
    refuse_private_keys(body)
    if not isinstance(body, list) or not body:
        rule = "Send an array of one or more operations: add, remove, replace or test."
        raise broken_rules([Fault("#", "wrong-type", rule)])
    faults = [fault for number, each in enumerate(body) for fault in _faults(f"#/{number}", each)]
    if faults:
        raise broken_rules(faults)
    return JsonPatch(tuple(Step(each["op"], _tokens(each["path"]), each.get("value")) for each in body))


def _faults(pointer: str, operation: object) -> list[Fault]:
    if not isinstance(operation, dict):
        return [Fault(pointer, "wrong-type", "Send an object with op, path and, but for remove, value.")]
    op = operation.get("op")
    if not isinstance(op, str) or op not in _PARTS:
        return [Fault(f"{pointer}/op", "not-one-of", f"Send one of {', '.join(_PARTS)}.")]
    faults = [Fault(f"{pointer}/{name}", "required", "Add it.") for name in _PARTS[op] if name not in operation]
    if set(operation) - set(_PARTS[op]):
        faults.append(Fault(pointer, "field-not-allowed", f"It has {', '.join(_PARTS[op])}, and nothing else."))
    path = operation.get("path", "/")
    if not isinstance(path, str) or not _POINTER.fullmatch(path):
        faults.append(
            Fault(f"{pointer}/path", "patch-path", "Send a JSON pointer to a field, such as /redirectUris/-.")
        )
    return faults


def _tokens(path: str) -> tuple[str, ...]:
    return tuple(each.replace("~1", "/").replace("~0", "~") for each in path.split("/")[1:])


def as_merge_patch(patch: JsonPatch, request: RegistrationRequest) -> dict[str, Any]:
    """Return the fields that are different once the patch is applied to a request: null for one that is gone.

    Raises RequestRejected: 400 for a path to nothing, 409 where a value is not the one that is tested for.
    """
    before = dump(request)
    after = json.loads(json.dumps(before))
    for number, step in enumerate(patch.steps):
        _apply(step, after, f"#/{number}")
    return _different(before, after)


def _different(before: Mapping[str, Any], after: Mapping[str, Any]) -> dict[str, Any]:
    names = [name for name in dict.fromkeys((*before, *after)) if before.get(name) != after.get(name)]
    return {name: _part(before.get(name), after.get(name)) for name in names}


def _part(before: object, after: object) -> object:
    both_objects = isinstance(before, Mapping) and isinstance(after, Mapping)
    return _different(before, after) if both_objects else after  # type: ignore[arg-type]


def _apply(step: Step, document: Any, pointer: str) -> None:  # noqa: ANN401 -- JSON
    *above, last = step.path
    for token in above:
        document = document[_place(token, document, pointer)]
    if step.op == "add" and isinstance(document, dict):
        document[last] = step.value
    elif step.op == "add" and isinstance(document, list):
        document.insert(len(document) if last == "-" else _index(last, len(document), pointer), step.value)
    else:
        place = _place(last, document, pointer)
        match step.op:
            case "remove":
                del document[place]
            case "test" if json.dumps(document[place], sort_keys=True) != json.dumps(step.value, sort_keys=True):
                rule = "The registration has another value there. Read it again."
                fault = Fault(f"{pointer}/value", "patch-test-failed", rule)
                raise RequestRejected(409, "patch-test-failed", "A value is not the one that is tested for.", [fault])
            case "replace" | "add":
                document[place] = step.value


def _place(token: str, document: Any, pointer: str) -> str | int:  # noqa: ANN401 -- JSON
    """Return where in an object or a list a token leads to; raise RequestRejected where there is nothing."""
    if isinstance(document, dict) and token in document:
        return token
    if isinstance(document, list):
        return _index(token, len(document) - 1, pointer)
    raise broken_rules([Fault(f"{pointer}/path", "patch-path", _NO_PLACE)])


def _index(token: str, most: int, pointer: str) -> int:
    if not _INDEX.fullmatch(token) or int(token) > most:
        raise broken_rules([Fault(f"{pointer}/path", "patch-path", _NO_PLACE)])
    return int(token)


def patch_schema() -> list[dict[str, Any]]:
    """Return the schemas of the operations."""
    described: dict[str, dict[str, Any]] = {
        "path": {
            "type": "string",
            "pattern": f"^{_POINTER.pattern}$",
            "description": "A JSON pointer to a field of the request, to an entry of a list, or to its end (-).",
        },
        "value": {"description": "What is to be there; of test, what has to be."},
    }
    return [
        {
            "type": "object",
            "properties": {"op": {"const": op, "description": "What is done."}}
            | {name: described[name] for name in names if name in described},
            "required": list(names),
            "additionalProperties": False,
        }
        for op, names in _PARTS.items()
    ]
