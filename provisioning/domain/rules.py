"""How a field is judged: by a rule that names every fault of a value, and says what JSON Schema can of it.

What the rules are is in `fields.py`.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from datetime import timedelta
from typing import Any, Final

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, ValidationError, ValidationInfo
from pydantic_core import CoreSchema, InitErrorDetails, PydanticCustomError, core_schema

from provisioning.domain.errors import Fault
from provisioning.domain.values import dataclass

Lifetimes = tuple[timedelta, timedelta]  # a secret lives longer than the first, at most as long as the second


@dataclass(frozen=True, slots=True)
class Basis:
    """What a request is judged by beside itself.

    `judged` are the fields that are judged and normalised, by their Python names: None for all. `lifetimes` is told,
    not judged by. Of a change: `client_id` is the client's own, `redirect_uris` are those that were accepted before.
    """

    judged: frozenset[str] | None = None
    lifetimes: Lifetimes | None = None
    client_id: str | None = None
    redirect_uris: frozenset[str] = frozenset()


NEW: Final = Basis()
# A stored request is read back: what was accepted once stays readable when rules are tightened.
STORED: Final = Basis(judged=frozenset())

FindFaults = Callable[[Any, Mapping[str, Any], Basis], Iterable[Fault]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A validator of a field, after its type, and the keywords of JSON Schema that hold for whatever it accepts."""

    check: Callable[[Any, ValidationInfo], Any]
    keywords: Mapping[str, Any] = field(compare=False)

    def __get_pydantic_core_schema__(self, source: object, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Return the schema of the type with the check; pydantic's own validators ask its signature each time."""
        return core_schema.with_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return the schema of what is accepted."""
        return handler(schema) | dict(self.keywords)


def rule(find: FindFaults, normalise: Callable[[Any], Any] = lambda value: value, **keywords: object) -> Rule:
    """Make a validator: it refuses a value with every fault that `find` names, and normalises one without.

    `find` is given the value, the fields that stand before it in the request type and are valid, and the basis. What
    of it JSON Schema can say, `keywords` do.
    """

    def check(value: Any, info: ValidationInfo) -> Any:  # noqa: ANN401 -- the type of the field
        basis: Basis = info.context or NEW
        if basis.judged is not None and info.field_name not in basis.judged:
            return value
        _raise_all(find(value, info.data, basis))
        return normalise(value)

    return Rule(check, keywords)


def _raise_all(faults: Iterable[Fault]) -> None:
    """Raise all faults as one validation error, each at its own place below the value that is being validated."""
    details = [
        InitErrorDetails(
            type=PydanticCustomError(fault.code, "{rule}", {"rule": fault.message}),
            loc=tuple(int(step) if step.isdigit() else step for step in fault.pointer.split("/")[1:]),
            input=None,
        )
        for fault in faults
    ]
    if details:
        raise ValidationError.from_exception_data("request", details)
