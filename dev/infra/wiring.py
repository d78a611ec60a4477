"""Whether the templates fit together.

Each name is declared, each module is given what it asks for, and what has to be there first is there first.
"""

from __future__ import annotations

import re
from itertools import chain
from typing import TYPE_CHECKING, Final

from dev.infra.templates import texts

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from dev.infra.templates import Template

ROLE_ASSIGNMENT: Final = "Microsoft.Authorization/roleAssignments"
# The language's own words, and those of its functions that the templates use. Another one is to be looked up and added.
_WORDS: Final = frozenset(
    {"existing", "false", "for", "if", "in", "null", "true", "array", "bool", "int", "object", "string"}
)
_FUNCTIONS: Final = frozenset(
    {
        "empty",
        "environment",
        "format",
        "guid",
        "json",
        "loadJsonContent",
        "loadTextContent",
        "replace",
        "resourceGroup",
        "split",
        "string",
        "subscription",
        "subscriptionResourceId",
        "toLower",
        "union",
        "uniqueString",
    }
)
_TEXT: Final = re.compile(r"'(?:[^'\\\n]|\\.)*'")
_COMMENT: Final = re.compile(r"^\s*//.*$|(?<=\s)//.*$", re.MULTILINE)
_DECORATOR: Final = re.compile(r"^@.*$", re.MULTILINE)
_DECLARED: Final = re.compile(r"^(param|var|resource|module|output) (\w+)", re.MULTILINE)
_HEAD: Final = re.compile(r"^(?:param|var|resource|module|output) \w+|^targetScope", re.MULTILINE)
_LOOP: Final = re.compile(r"\bfor (?:(\w+)|\((\w+), (\w+)\)) in (\w+)[\w.]*:")
_NAME: Final = re.compile(r"(?<![\w.$])([A-Za-z_]\w*)(?!\w)(?!:)(\()?")


def faults(templates: Mapping[str, Template], sources: Mapping[str, str]) -> Iterator[str]:
    """What does not fit together, in the templates and in their text."""
    for name, text in sources.items():
        yield from _undeclared(name, text)
    for template in templates.values():
        yield from _misused_modules(template, templates)
        yield from _too_early(template, templates)


def _undeclared(name: str, text: str) -> Iterator[str]:
    code = _DECORATOR.sub("", _COMMENT.sub("", text))
    declared = {match[2] for match in _DECLARED.finditer(code) if match[1] != "output"}
    loops = list(_LOOP.finditer(code))
    declared |= {each for loop in loops for each in loop.groups()[:3] if each}
    inside = " ".join(part for found in _TEXT.findall(code) for part in re.findall(r"\$\{([^}]*)\}", found))
    bare = _HEAD.sub("", _TEXT.sub("''", code)) + " " + _TEXT.sub("''", inside)
    bare += " " + " ".join(loop[4] for loop in loops)
    for word, call in sorted(set(_NAME.findall(bare))):
        if call and word not in _FUNCTIONS | _WORDS:
            yield f"{name}: {word}(): no function that is known here"
        elif not call and word not in declared | _WORDS:
            yield f"{name}: {word}: is not declared"


def _misused_modules(template: Template, templates: Mapping[str, Template]) -> Iterator[str]:
    folder = template.name.rpartition("/")[0]
    symbols = {}
    for module in template.modules:
        where, path = f"{template.name}: module {module.symbol}", f"{folder}/{module.path}".lstrip("/")
        if not module.local:
            yield f"{where}: is restored from elsewhere; templates are read alone"
        elif path not in templates:
            yield f"{where}: there is no {path}"
        else:
            symbols[module.symbol] = templates[path]
            asked, given = templates[path].parameters, module.properties.get("params", {})
            required = required_of(templates[path])
            yield from (f"{where}: there is no parameter {name}" for name in sorted(given.keys() - asked.keys()))
            yield from (f"{where}: the parameter {name} is missing" for name in sorted(required - given.keys()))
    for used, output in _outputs_used(template):
        if used in symbols and output not in symbols[used].outputs:
            yield f"{template.name}: {used}.outputs.{output}: there is no such output"


def required_of(template: Template) -> set[str]:
    """The parameters that a template has to be given."""
    return {name for name, each in template.parameters.items() if each.get("default") is None}


def _outputs_used(template: Template) -> Iterator[tuple[str, str]]:
    def visit(value: object) -> Iterator[tuple[str, str]]:
        if isinstance(value, list):
            yield from chain.from_iterable(map(visit, value))
        elif isinstance(value, dict):
            if value.get("type") == "property_accessor":
                left, right = value["operands"]["operand_1"], value["operands"]["operand_2"]
                inner = right.get("operator", {}).get("operands", {}) if isinstance(right, dict) else {}
                if inner.get("operand_1") == "outputs":
                    yield left, inner["operand_2"]
            yield from chain.from_iterable(map(visit, value.values()))

    yield from visit([template.content.get("modules"), template.content.get("outputs")])


def _too_early(template: Template, templates: Mapping[str, Template]) -> Iterator[str]:
    """A module with an app in it comes after each that assigns the app a role: else it starts and is refused."""
    folder = template.name.rpartition("/")[0]
    inside = {each.symbol: templates.get(f"{folder}/{each.path}".lstrip("/")) for each in template.modules}
    after = {
        # What is deployed on a condition only holds nothing up where it is not.
        each.symbol: set[str]()
        if each.condition
        else {text for text in texts({k: v for k, v in each.properties.items() if k != "name"}) if text in inside}
        for each in template.modules
    }
    assigning = {symbol for symbol, of in inside.items() if of and _has(of, ROLE_ASSIGNMENT)}
    for symbol, of in inside.items():
        if of is None or not _has(of, "Microsoft.Web/sites"):
            continue
        before, ahead = set[str](), {symbol}
        while ahead:
            one = ahead.pop()
            ahead |= after[one] - before
            before |= after[one]
        for missing in sorted(assigning - before - {symbol}):
            yield f"{template.name}: module {symbol}: does not wait for {missing}, which assigns it a role"


def _has(template: Template, resource_type: str) -> bool:
    return any(resource.type == resource_type for resource in template.resources)
