"""The description as a page of HTML: readable as it is, without a key and without a script.

Its style and its script, which lets a caller try each call, are files of the page of this service.
"""

import html
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from provisioning.api.openapi.remedies import REMEDIES

_LIMITS: Final = (
    ("minLength", "maxLength", "characters"),
    ("minItems", "maxItems", "entries"),
    ("minimum", "maximum", ""),
)
_FRAME: Final = """<!doctype html>
<html lang="en" data-sign-in="{sign_in}"><head><meta charset="utf-8"><title>{title}: the API</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><meta name="color-scheme" content="light dark">
<link rel="icon" href="page/icon.svg" type="image/svg+xml"><link rel="stylesheet" href="page/style.css">
<link rel="stylesheet" href="page/docs.css"><script type="module" src="page/docs.js"></script></head><body>
<header id="top"><a class="skip" href="#main">Skip to the content</a><div class="bar"><a class="brand" href="page/">
<svg class="mark" aria-hidden="true"><use href="page/pictures.svg#mark"></use></svg>{title}</a>
<nav aria-label="Main"><a href="page/">Page</a><a href="docs" aria-current="page">API</a>
<a href="openapi.json">OpenAPI</a></nav></div></header>
<div class="docs"><nav class="contents" aria-label="Contents">{contents}</nav>
<main id="main" tabindex="-1"><h1>{title} {version}</h1><p class="lead">{description}</p>
<section aria-labelledby="callers"><h2 id="callers">Who calls</h2>{callers}</section>
<h2 id="calls">Calls</h2>{calls}
<section aria-labelledby="codes"><h2 id="codes">Codes, and what to do</h2>
<p>Each refusal is a problem document (RFC 9457) with one of these codes; so is each of its <code>errors</code>.</p>
{codes}</section>
<h2 id="schemas">Schemas</h2>{schemas}</main></div>
<p id="told" class="unseen" role="status" aria-live="polite"></p></body></html>
"""


def page(document: Mapping[str, Any], sign_in: str = "key") -> str:
    """Return the description as HTML: how to call, the calls, what each code means, then each schema as a table."""
    info, components = document["info"], document["components"]
    calls = [
        (path, method, operation)
        for path, operations in document["paths"].items()
        for method, operation in operations.items()
    ]
    return _FRAME.format(
        sign_in=_escape(sign_in),
        title=_escape(info["title"]),
        version=_escape(info["version"]),
        description=_words(info["description"]),
        contents=_contents(calls, components),
        callers=_table(("How", "What it is"), _schemes(components["securitySchemes"])),
        calls="".join(_call(*call, components) for call in calls),
        codes=_table(("Code", "What to do"), _codes()),
        schemas="".join(_schema(name, schema) for name, schema in components["schemas"].items()),
    )


def _contents(calls: Iterable[tuple[str, str, Mapping[str, Any]]], components: Mapping[str, Any]) -> str:
    listed = "".join(_link(_identity(path, method, one), one["summary"]) for path, method, one in calls)
    schemas = "".join(_link(name, name) for name in components["schemas"])
    return (
        f'<ul>{_link("callers", "Who calls")}<li><a href="#calls">Calls</a><ul>{listed}</ul></li>'
        f"{_link('codes', 'Codes, and what to do')}"
        f'<li><a href="#schemas">Schemas</a><details><summary>All of them</summary><ul>{schemas}</ul></details>'
        "</li></ul>"
    )


def _link(identity: str, text: str) -> str:
    return f'<li><a href="#{_escape(identity)}">{_escape(text)}</a></li>'


def _identity(path: str, method: str, operation: Mapping[str, Any]) -> str:
    return str(operation.get("operationId", f"{method} {path}"))


def _codes() -> Iterator[tuple[str, str]]:
    for code, remedy in REMEDIES.items():
        yield f'<code id="code-{_escape(code)}">{_escape(code)}</code>', _words(remedy)


def _schemes(schemes: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for scheme in schemes.values():
        name = f"{scheme['name']}: …" if scheme["type"] == "apiKey" else "Authorization: Bearer …"
        yield f"<code>{_escape(name)}</code>", _words(scheme["description"])


def _call(path: str, method: str, operation: Mapping[str, Any], components: Mapping[str, Any]) -> str:
    named = [each["$ref"].rpartition("/")[2] for each in operation.get("parameters", ())]
    parameters = [components["parameters"][name] for name in named]
    open_to_all = "" if operation.get("security") != [] else " Without a key."
    identity = _escape(_identity(path, method, operation))
    told = "".join(
        f' data-{each}="{_escape(value)}"' for each, value in (("method", method.upper()), ("path", path.lstrip("/")))
    )
    asked = _escape(json.dumps([_asked(each) for each in parameters]))
    return (
        f'<section class="call" aria-labelledby="{identity}"{told} data-parameters="{asked}">'
        f'<h3 id="{identity}">{_escape(operation["summary"])}</h3>'
        f'<p class="line"><span class="method">{_escape(method)}</span> <code>/api{_escape(path)}</code></p>'
        f"<p>{_words(operation.get('description', ''))}{open_to_all}</p>"
        + _part("Parameters", _table(("Name", "Kind", "What it says"), map(_parameter, parameters)))
        + _part("Body", _content(operation.get("requestBody", {}), "body"))
        + _part(
            "Answers", _table(("Status", "What it says"), (_answer(*each) for each in operation["responses"].items()))
        )
        + _content(operation["responses"].get("202", operation["responses"].get("200", {})), "answer")
        + "</section>"
    )


def _asked(parameter: Mapping[str, Any]) -> dict[str, Any]:
    """Return of a parameter what somebody who tries the call is asked for."""
    kept = {name: parameter[name] for name in ("name", "in") if name in parameter}
    return kept | {"required": bool(parameter.get("required"))}


def _part(heading: str, content: str) -> str:
    return f"<h4>{heading}</h4>{content}" if content else ""


def _parameter(parameter: Mapping[str, Any]) -> tuple[str, str, str]:
    required = " (required)" if parameter.get("required") else ""
    name = f"<code>{_escape(parameter['name'])}</code>{required}, {_escape(parameter['in'])}"
    return name, _escape(_kind(parameter["schema"])), _words(parameter["description"])


def _answer(status: str, answer: Mapping[str, Any]) -> tuple[str, str]:
    headers = ", ".join(answer.get("headers", ()))
    told = re.sub(r"<code>([a-z]+(?:-[a-z]+)+)</code>", _to_code, _words(answer["description"]))
    return _escape(status), told + (f" Headers: {_escape(headers)}." if headers else "")


def _to_code(found: re.Match[str]) -> str:
    code = found[1]
    return f'<a href="#code-{code}"><code>{code}</code></a>' if code in REMEDIES else found[0]


def _content(described: Mapping[str, Any], of: str) -> str:
    """Return which schema it has, and its examples, once where several media types have the same."""
    told = list[str]()
    content = [each for each in described.get("content", {}).items() if each[1].get("schema")]
    for shown in [each for number, (_, each) in enumerate(content) if each not in [one for _, one in content[:number]]]:
        types = ", ".join(f"<code>{_escape(name)}</code>" for name, each in content if each == shown)
        told += [f"<p>{types}: {_kinds(shown['schema'])}</p>", *_examples(shown, of)]
    return "".join(told)


def _examples(shown: Mapping[str, Any], of: str) -> Iterator[str]:
    for name, example in shown.get("examples", {}).items():
        value = _escape(json.dumps(example["value"], indent=2))
        yield f"<details><summary>Example: {_escape(name)}</summary>"
        yield f'<pre tabindex="0" data-example="{of}"><code>{value}</code></pre></details>'


def _schema(name: str, schema: Mapping[str, Any]) -> str:
    required = schema.get("required", ())
    rows = (
        (
            f"<code>{_escape(field)}</code>{' (required)' if field in required else ''}",
            _kinds(content),
            _words(content.get("description", "")),
        )
        for field, content in schema.get("properties", {}).items()
    )
    heading = f'<h3 id="{_escape(name)}">{_escape(name)}</h3>'
    table = _table(("Field", "Kind", "What it says"), rows)
    return f"<section>{heading}<p>{_words(schema.get('description', ''))}</p>{table}</section>"


def _table(heads: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    """Return a table, and nothing where it has no row; on a phone each cell has its heading beside it."""
    names = tuple(heads)
    content = "".join(f"<tr>{''.join(map(_cell, names, row))}</tr>" for row in rows)
    head = "".join(f'<th scope="col">{name}</th>' for name in names)
    return f'<table class="list"><thead><tr>{head}</tr></thead><tbody>{content}</tbody></table>' if content else ""


def _cell(name: str, content: str) -> str:
    return f'<td data-name="{name}">{content}</td>'


def _kinds(content: Mapping[str, Any]) -> str:
    """Return a schema's type in a few words, with a link to each schema that is named."""
    names = set(re.findall(r"#/components/schemas/(\w+)", json.dumps(content)))
    text = _escape(_kind(content))
    return re.sub(
        r"\b[A-Z]\w+\b", lambda found: f'<a href="#{found[0]}">{found[0]}</a>' if found[0] in names else found[0], text
    )


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
