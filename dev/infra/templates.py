"""The Bicep files of a folder, read by pycep: parameters, variables, resources, modules, outputs and expressions."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from pycep import BicepParser

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

Json = Any
# An expression is an object of one of these alone; none of them is a property of a resource that is used here.
_EXPRESSION = frozenset({"function", "operator"})


class TemplateError(Exception):
    """A file that is no Bicep."""


@dataclass(frozen=True)
class Resource:
    """A resource as it is declared: its symbol, type, and properties; a loop or a condition around them is apart."""

    symbol: str
    type: str
    existing: bool
    properties: Mapping[str, Json]
    loop: Json
    condition: Json


@dataclass(frozen=True)
class Module:
    """A module as it is used: the file that it names, and what it is given."""

    symbol: str
    path: str
    local: bool
    properties: Mapping[str, Json]
    condition: Json


@dataclass(frozen=True)
class Template:
    """A Bicep file, read."""

    name: str
    content: Mapping[str, Json]

    @property
    def scope(self) -> str:
        """What it is deployed to."""
        return str(self.content["globals"]["scope"]["value"])

    @property
    def parameters(self) -> Mapping[str, Mapping[str, Json]]:
        """Its parameters, by name."""
        return self.content.get("parameters", {})  # type: ignore[no-any-return]

    @property
    def variables(self) -> Mapping[str, Json]:
        """The values of its variables, by name."""
        return {name: each["value"] for name, each in self.content.get("variables", {}).items()}

    @property
    def outputs(self) -> Mapping[str, Json]:
        """The values of its outputs, by name."""
        return {name: each["value"] for name, each in self.content.get("outputs", {}).items()}

    @property
    def resources(self) -> list[Resource]:
        """Its resources, in order."""
        return [
            Resource(symbol, each["type"], each["existing"], *_unwrapped(each["config"]))
            for symbol, each in self.content.get("resources", {}).items()
        ]

    @property
    def modules(self) -> list[Module]:
        """Its modules, in order."""
        found = []
        for symbol, each in self.content.get("modules", {}).items():
            properties, _, condition = _unwrapped(each["config"])
            found.append(Module(symbol, each["detail"]["full"], each["type"] == "local", properties, condition))
        return found


def _unwrapped(config: Mapping[str, Json]) -> tuple[Mapping[str, Json], Json, Json]:
    """The properties inside of a loop or a condition, the loop, and the condition."""
    loop, condition = config.get("loop_type"), config.get("condition")
    if loop is not None or set(config) == {"condition", "config"}:
        return config["config"], loop, condition
    return config, None, None


def read(folder: Path) -> dict[str, Template]:
    """Every Bicep file below a folder, by its path from there.

    Raises:
        TemplateError: One of them cannot be read.
    """
    found = {}
    for path in sorted(folder.rglob("*.bicep")):
        name = path.relative_to(folder).as_posix()
        try:
            content = _parsed(path.read_text(encoding="utf-8"))
        except Exception as error:  # the parser's library has no family of its own
            raise TemplateError(f"{name}: {str(error).splitlines()[0]}") from error
        found[name] = Template(name, content)
    return found


@functools.cache
def _parser() -> BicepParser:
    return BicepParser()


@functools.cache
def _parsed(text: str) -> Mapping[str, Json]:
    return _parser().parse(text=text)


def is_expression(value: Json) -> bool:
    """Whether a value is not written out."""
    return isinstance(value, dict) and len(value) == 1 and not _EXPRESSION.isdisjoint(value)


def choices(value: Json) -> list[Json]:
    """What a value may be: of a condition either side; itself otherwise."""
    if is_expression(value) and value.get("operator", {}).get("type") == "conditional":
        operands = value["operator"]["operands"]
        return [*choices(operands["true_value"]), *choices(operands["false_value"])]
    return [value]


def resolved(template: Template, value: Json) -> Json:
    """A value, or that of the variable that it names."""
    while isinstance(value, str) and value in template.variables:
        value = template.variables[value]
    return value


def texts(value: Json) -> Iterator[str]:
    """Every text in a value: names of symbols, and written texts, which the parser does not tell apart."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for each in value.values():
            yield from texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from texts(each)


def functions(value: Json) -> Iterator[str]:
    """The name of every function that is called on a resource: those that read keys are among them."""
    if isinstance(value, dict):
        if "func_name" in value:
            yield str(value["func_name"])
        for each in value.values():
            yield from functions(each)
    elif isinstance(value, list):
        for each in value:
            yield from functions(each)
