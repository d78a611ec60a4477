"""Whether each property of each resource is one that Azure knows there, with a value of its type."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from dev.infra.templates import choices, is_expression, resolved

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.infra.templates import Resource, Template

KNOWN: Final = Path(__file__).with_name("known.json")
# What Bicep itself takes of any resource, beside what is sent.
_OF_BICEP: Final = frozenset({"dependsOn", "name", "parent", "scope"})
_CHILDREN_BY_NAME: Final = "Microsoft.Web/sites/config"


@dataclass
class Known:
    """What is known of resources: the model of each type, the properties of each model, the values of enumerations."""

    roots: dict[str, str]
    models: dict[str, dict[str, str]]
    enumerations: dict[str, list[str]]

    @classmethod
    def load(cls) -> Known:
        """As it was taken from Azure's libraries."""
        return cls(**json.loads(KNOWN.read_text(encoding="utf-8")))

    def dumps(self) -> str:
        """As it is kept."""
        content = {"roots": self.roots, "models": self.models, "enumerations": self.enumerations}
        return json.dumps(content, indent=1, sort_keys=True) + "\n"

    def root(self, resource_type: str) -> str | None:
        """The model of a type of resource; None for one that is not known."""
        return self.roots.get(resource_type)

    def model(self, name: str) -> dict[str, str] | None:
        """The properties of a model, with the type of each."""
        return self.models.get(name)

    def values(self, name: str) -> list[str] | None:
        """The values of an enumeration."""
        return self.enumerations.get(name)


def walk(known: Known, template: Template, resource: Resource) -> Iterator[str]:
    """What is wrong with the properties of a resource."""
    where = f"{template.name}: {resource.symbol}"
    resource_type = resource.type
    if resource_type == _CHILDREN_BY_NAME:
        resource_type += f"/{resource.properties.get('name')}"
    if resource.existing:
        return
    root = known.root(resource_type)
    if root is None:
        yield f"{where}: nothing is known of {resource_type}; dev/infra/models.py says which models are read"
        return
    sent = {name: value for name, value in resource.properties.items() if name not in _OF_BICEP}
    yield from _object(known, template, where, root, sent)


def _object(known: Known, template: Template, where: str, model: str, value: dict[str, Any]) -> Iterator[str]:
    properties = known.model(model)
    if properties is None:
        yield f"{where}: nothing is known of what is in it; run `make infra-models`"
        return
    for name, each in value.items():
        if name not in properties:
            close = next((one for one in properties if one.lower() == name.lower()), None)
            yield f"{where}.{name}: there is no such property" + (f"; it is {close}" if close else "")
            continue
        for choice in choices(each):
            yield from _value(known, template, f"{where}.{name}", properties[name], choice)


def _value(known: Known, template: Template, where: str, kind: str, value: Any) -> Iterator[str]:  # noqa: ANN401 -- JSON
    value = resolved(template, value)
    if is_expression(value) or value is None or kind == "any":
        return
    if kind.startswith("[") or isinstance(value, list):
        yield from _list(known, template, where, kind, value)
    elif kind.startswith("{"):
        for name, each in value.items() if isinstance(value, dict) else ():
            yield from _value(known, template, f"{where}.{name}", kind[1:-1], each)
    elif kind in {"bool", "int", "str"}:
        yield from _plain(template, where, kind, value)
    elif isinstance(value, dict):
        yield from _object(known, template, where, kind, value)
    else:
        yield from _named(known, template, where, kind, value)


def _list(known: Known, template: Template, where: str, kind: str, value: Any) -> Iterator[str]:  # noqa: ANN401 -- JSON
    if not kind.startswith("["):
        yield f"{where}: must not be a list"
    elif isinstance(value, list):
        for each in value:
            yield from _value(known, template, where, kind[1:-1], each)
    elif isinstance(value, dict):
        yield f"{where}: must be a list"


def _plain(template: Template, where: str, kind: str, value: Any) -> Iterator[str]:  # noqa: ANN401 -- JSON
    if isinstance(value, str) and (value in template.parameters or kind == "str" or "." in value):
        return  # the parser does not tell a symbol from a text
    found = "bool" if isinstance(value, bool) else "int" if isinstance(value, int) else type(value).__name__
    if found != kind:
        yield f"{where}: must be a value of the type {kind}"


def _named(known: Known, template: Template, where: str, kind: str, value: Any) -> Iterator[str]:  # noqa: ANN401 -- JSON
    values = known.values(kind)
    if values is None:
        if isinstance(value, bool | int):
            yield f"{where}: must be an object"
        return
    if not isinstance(value, str) or value in template.parameters or "${" in value:
        return
    if value.lower() not in {each.lower() for each in values}:
        yield f"{where}: must be one of {', '.join(values)}"
