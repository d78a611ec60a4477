"""What is wrong with a request, in our words: pydantic's errors become faults, and no fault repeats what was sent."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from pydantic.alias_generators import to_camel

from provisioning.domain.certificates import holds_private_key
from provisioning.domain.client_types import ClientType
from provisioning.domain.errors import MOST_FAULTS, Fault, RequestRejected
from provisioning.domain.fields import lifetime_rule
from provisioning.domain.rules import Lifetimes

CREDENTIAL_TYPES: Final = ("secret", "federated", "certificate")

_WRONG_TYPE: Final = {
    "string_type": "Send a string.",
    "bool_type": "Send true or false, without quotes.",
    "int_type": "Send a whole number, without quotes.",
    "tuple_type": "Send an array.",
    "model_type": "Send an object.",
    "model_attributes_type": "Send an object.",
    "union_tag_not_found": "Send an object.",
}
_FIELD_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9]{0,63}", re.ASCII)
_SPELLING: Final = re.compile(r"[A-Za-z0-9_-]{1,64}", re.ASCII)
_PRIVATE_KEY: Final = (
    "The text holds a private key, which must never leave its owner. Make a new key pair, throw this one away, and "
    "send nothing of it but, as a credential, the certificate."
)


def broken_rules(faults: Sequence[Fault]) -> RequestRejected:
    """Return the refusal that names the faults."""
    where = "see errors" if len(faults) <= MOST_FAULTS else f"errors has the first {MOST_FAULTS}"
    message = f"The request breaks {len(faults)} rule{'s' if len(faults) > 1 else ''}; {where}."
    return RequestRejected(400, "invalid-request", message, faults)


def refuse_private_keys(body: object) -> None:
    """Refuse a body with a private key in any text of it, before anything else is done with it."""
    faults, left = list[Fault](), list[tuple[str, object]]([("#", body)])
    while left:
        pointer, value = left.pop()
        if isinstance(value, Mapping):
            for name, content in value.items():
                known = f"{pointer}/{name}" if _FIELD_NAME.fullmatch(name) else pointer
                left += [(pointer, name), (known, content)]
        elif isinstance(value, list):
            left += [(f"{pointer}/{index}", content) for index, content in enumerate(value)]
        elif isinstance(value, str) and holds_private_key(value):
            faults.append(Fault(pointer, "private-key", _PRIVATE_KEY))
    if faults:
        raise broken_rules(faults)


def meant_by(name: str, known: Iterable[str]) -> str | None:
    """Return the one of the known names that this is another spelling of: displayName of display_name, DisplayName."""
    if not _SPELLING.fullmatch(name):
        return None
    letters = re.sub("[_-]", "", name).lower()
    return next((each for each in known if each != name and each.lower() == letters), None)


def respelt(name: str, known: Iterable[str]) -> str | None:
    """Return what to tell whoever spelt a known name in another way; None for a name that is none of them.

    Such a name alone is repeated: it is made of the letters of one of ours.
    """
    meant = meant_by(name, known)
    return f"There is no {name}; write {meant}." if meant is not None else None


def unknown_client_type(body: Mapping[str, Any]) -> Fault:
    """Return the fault of a body whose client type is missing or none of ours."""
    code = "client-type-unknown" if "clientType" in body else "required"
    other = next(filter(None, (respelt(name, ["clientType"]) for name in body)), None) if code == "required" else None
    return Fault("#/clientType", code, f"{other or ''} Send one of {', '.join(ClientType)}.".lstrip())


def not_changeable(name: str, changeable: Sequence[str]) -> Fault:
    """Return the fault of a field that a change may not name."""
    other = respelt(name, changeable)
    rule = other or f"Only {', '.join(changeable)} can be changed. Register anew for anything else."
    return Fault(_pointer_to(name, [], known=other is not None), "field-not-changeable", rule)


def fault_of(
    error: Mapping[str, Any], known: Iterable[str], hints: Mapping[str, str], lifetimes: Lifetimes | None
) -> Fault:
    """Turn one of pydantic's errors into ours; custom rules bring their own code and message in their context.

    `known` are the fields of the object that it is about; `hints` says of fields that the client type does not have
    why it has none.
    """
    kind, steps, context = str(error["type"]), list(error["loc"]), error.get("ctx", {})
    if steps[:1] == ["credential"]:
        del steps[1:2]  # pydantic's name of the kind of credential, which no JSON has
    if kind == "union_tag_invalid":
        rule = f"Send one of {', '.join(CREDENTIAL_TYPES)}, or leave it out for a secret."
        return Fault(_pointer([*steps, "type"]), "credential-type-unknown", rule)
    if kind == "extra_forbidden":
        return _refused_field(steps, known, hints)
    if kind in _WRONG_TYPE:
        more = f" {lifetime_rule(lifetimes)}" if steps == ["secretLifetime"] else ""
        return Fault(_pointer(steps), "wrong-type", _WRONG_TYPE[kind] + more)
    code, message = {
        "missing": ("required", "This field is required. Add it."),
        "literal_error": ("not-one-of", f"Send one of {context.get('expected')}."),
        "string_unicode": ("control-character", "Half of a surrogate pair is no character. Send whole ones."),
        "string_sub_type": ("wrong-type", "Send a string."),
    }.get(kind, (kind, str(context.get("rule", "Send a value that the description of the API allows."))))
    return Fault(_pointer(steps), code, message)


def _refused_field(steps: list[int | str], known: Iterable[str], hints: Mapping[str, str]) -> Fault:
    name, above = str(steps[-1]), steps[:-1]
    here = {} if above else hints
    other, unwanted = respelt(name, known), meant_by(name, here)
    rule = other or here.get(unwanted or name) or "This field does not exist for this client type. Remove it."
    return Fault(_pointer_to(name, above, known=bool(other or unwanted)), "field-not-allowed", rule)


def _pointer_to(name: str, above: list[int | str], *, known: bool) -> str:
    """Return where a field is that should not be there; only above it where its name could be anything.

    A name that no field could have is not repeated: a pasted secret may be one.
    """
    return _pointer(above) + (f"/{name}" if known or _FIELD_NAME.fullmatch(name) else "")


def _pointer(steps: Iterable[int | str]) -> str:
    """Return a JSON pointer in fragment form, as RFC 9457 shows it.

    pydantic names a field that has its default by its Python name.
    """
    return "#" + "".join(f"/{to_camel(str(step)) if '_' in str(step) else step}" for step in steps)
