"""The description as a page of HTML that loads nothing from elsewhere, and runs nothing."""

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

_STYLE: Final = """
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1b1b1b;background:#fff}
code,pre{background:#f2f2f2;padding:.1em .3em;border-radius:3px}pre{overflow:auto;padding:.6rem}
h2{margin-top:2.5rem}h3{margin-top:2rem}h4{margin:1rem 0 .2rem}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;padding:.35rem .6rem;
border-bottom:1px solid #ddd;overflow-wrap:anywhere}.method{font-weight:600;text-transform:uppercase;margin-right:.6rem}
@media(prefers-color-scheme:dark){body{color:#eee;background:#161616}code,pre{background:#2a2a2a}
td,th{border-color:#444}}
"""
_LIMITS: Final = (
    ("minLength", "maxLength", "characters"),
    ("minItems", "maxItems", "entries"),
    ("minimum", "maximum", ""),
)


def page(document: Mapping[str, Any]) -> str:
    """Return the description as HTML: how to call, the calls, then each schema as a table."""
    info, components = document["info"], document["components"]
    title = _escape(info["title"])
    calls = "".join(
        _call(path, method, operation, components)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    )
    schemas = "".join(_schema(name, schema) for name, schema in components["schemas"].items())
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style></head><body>'
        f"<h1>{title} {_escape(info['version'])}</h1><p>{_words(info['description'])}</p>"
        f"<h2>Who calls</h2>{_table(_schemes(components['securitySchemes']))}"
        f"<h2>Calls</h2>{calls}<h2>Schemas</h2>{schemas}</body></html>"
    )


def _schemes(schemes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for scheme in schemes.values():
        name = f"{scheme['name']}: …" if scheme["type"] == "apiKey" else "Authorization: Bearer …"
        yield f"<code>{_escape(name)}</code>", _words(scheme["description"])


def _call(path: str, method: str, operation: Mapping[str, Any], components: Mapping[str, Any]) -> str:
    named = [each["$ref"].rpartition("/")[2] for each in operation.get("parameters", ())]
    parameters = [components["parameters"][name] for name in named]
    open_to_all = "" if operation.get("security") != [] else " Without a key."
    return (
        f'<h3><span class="method">{_escape(method)}</span><code>/api{_escape(path)}</code></h3>'
        f"<p>{_words(operation['summary'])}. {_words(operation.get('description', ''))}{open_to_all}</p>"
        + _part("Parameters", _table(map(_parameter, parameters)))
        + _part("Body", _content(operation.get("requestBody", {})))
        + _part("Answers", _table(_answer(*each) for each in operation["responses"].items()))
        + _content(operation["responses"].get("202", operation["responses"].get("200", {})))
    )


def _part(heading: str, content: str) -> str:
    return f"<h4>{heading}</h4>{content}" if content else ""


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, str, str]:
    required = " (required)" if parameter.get("required") else ""
    name = f"<code>{_escape(parameter['name'])}</code>{required}, {_escape(parameter['in'])}"
    return name, _escape(_kind(parameter["schema"])), _words(parameter["description"])


def _answer(status: str, answer: Mapping[str, Any]) -> tuple[str, str]:
    headers = ", ".join(answer.get("headers", ()))
    return _escape(status), _words(answer["description"]) + (f" Headers: {_escape(headers)}." if headers else "")


def _content(described: Mapping[str, Any]) -> str:
    """Return which schema it has, and its examples, which are the same for each media type."""
    content = described.get("content", {})
    first: Mapping[str, Any] = next(iter(content.values()), {})
    if not first.get("schema"):
        return ""
    examples = "".join(
        f"<details><summary>Example: {_escape(name)}</summary>"
        f"<pre>{_escape(json.dumps(example['value'], indent=2))}</pre></details>"
        for name, example in first.get("examples", {}).items()
    )
    types = ", ".join(f"<code>{_escape(each)}</code>" for each in content)
    return f"<p>{types}: {_escape(_kind(first['schema']))}</p>{examples}"


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = (
        (
            f"<code>{_escape(field)}</code>{' (required)' if field in required else ''}",
            _escape(_kind(content)),
            _words(content.get("description", "")),
        )
        for field, content in schema.get("properties", {}).items()
    )
    heading = f'<h3 id="{_escape(name)}">{_escape(name)}</h3>'
    return f"{heading}<p>{_words(schema.get('description', ''))}</p>{_table(rows)}"


def _table(rows: Iterable[Iterable[str]]) -> str:
    cells = ("".join(f"<td>{cell}</td>" for cell in row) for row in rows)
    content = "".join(f"<tr>{row}</tr>" for row in cells)
    return f"<table>{content}</table>" if content else ""


def _kind(content: Mapping[str, Any]) -> str:
    """Return a schema's type and limits in a few words."""
    if "$ref" in content:
        return str(content["$ref"]).rpartition("/")[2]
    for several in ("oneOf", "anyOf"):
        if several in content and "properties" not in content:
            return " or ".join(dict.fromkeys(_kind(each) for each in content[several]))
    if "const" in content or "enum" in content:
        return ", ".join(str(each) for each in content.get("enum", [content.get("const")]))
    if content.get("type") == "array":
        return f"array of {_kind(content.get('items', {}))}{_limits(content)}"
    kind = content.get("type", "any")
    return (" or ".join(kind) if isinstance(kind, list) else str(kind)) + _limits(content)


def _limits(content: Mapping[str, Any]) -> str:
    """Return how many or how much a schema allows, in words; nothing where it does not say."""
    told = ""
    for least, most, unit in _LIMITS:
        if most in content:
            told += (
                f", {content[least]} to {content[most]} {unit}"
                if least in content
                else f", at most {content[most]} {unit}"
            )
    return told.rstrip()


def _words(text: str) -> str:
    """Return a text with what stands in backticks as code."""
    return re.sub("`([^`]*)`", r"<code>\1</code>", _escape(text))


def _escape(text: object) -> str:
    return html.escape(str(text))
