"""The page of the description: all of it, and nothing that loads or runs."""

import json
import re

from provisioning.api.calls import Call
from provisioning.api.openapi.document import describe
from provisioning.api.openapi.page import page
from provisioning.api.openapi.served import show_docs, show_openapi
from tests.worlds.described import operations
from tests.worlds.elements import elements_of


def test_the_page_loads_nothing_and_runs_nothing() -> None:
    html = page(describe())
    found = elements_of(html).found
    loading = {"script", "link", "img", "iframe", "object", "embed", "base", "form", "video", "audio", "svg"}
    assert not loading & {tag for tag, _ in found}
    for _, attributes in found:
        assert not {"src", "href", "srcset", "action", "style"} & attributes.keys()
        assert not [name for name in attributes if name.startswith("on")]
    assert not re.search(r"url\(|@import|javascript:", html)


def test_the_page_shows_every_call_and_every_schema() -> None:
    text = elements_of(page(describe())).text
    for path in describe()["paths"]:
        assert f"/api{path}" in text
    for name, schema in describe()["components"]["schemas"].items():
        assert name in text
        for field in schema.get("properties", ()):
            assert field in text


def test_the_page_escapes_whatever_the_description_holds() -> None:
    document = json.loads(json.dumps(describe()))
    evil = '<img src=x onerror="alert(1)">'
    document["info"] |= {"title": evil, "version": evil, "description": evil}
    document["components"]["schemas"] = {
        evil: {"description": evil, "properties": {evil: {"type": evil, "description": evil}}}
    }
    operation = {"summary": evil, "responses": {"200": {"description": evil}}}
    document["paths"] = {f"/{evil}": {"get": operation}}
    found = elements_of(page(document)).found
    assert "img" not in {tag for tag, _ in found}


def test_the_description_and_the_page_are_served_as_what_they_are() -> None:
    call = Call("/api/docs")
    described, shown = show_openapi(call), show_docs(call)
    assert (described.status, described.content_type) == (200, "application/json")
    assert json.loads(described.body) == json.loads(json.dumps(describe()))
    assert (shown.status, shown.content_type.partition(";")[0]) == (200, "text/html")
    policy = shown.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert shown.body == page(describe())


def test_the_page_shows_who_calls_and_every_parameter_code_and_example() -> None:
    text = elements_of(page(describe())).text
    assert "x-functions-key: …" in text
    assert "Authorization: Bearer …" in text
    for parameter in describe()["components"]["parameters"].values():
        assert parameter["name"] in text
        assert parameter["description"].replace("`", "") in text
    for operation in operations().values():
        for answer in operation["responses"].values():
            assert answer["description"].replace("`", "") in text
        for content in operation.get("requestBody", {}).get("content", {}).values():
            for example in content["examples"].values():
                assert json.dumps(example["value"], indent=2) in text
