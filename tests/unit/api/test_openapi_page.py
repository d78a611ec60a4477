"""The page of the description: all of it, and nothing that loads or runs."""

import json
import re
from typing import Any

import pytest

from provisioning.api.calls import Call
from provisioning.api.openapi.document import describe
from provisioning.api.openapi.page import page
from provisioning.api.openapi.refusals import FAULTS, REFUSALS
from provisioning.api.openapi.remedies import REMEDIES
from provisioning.api.openapi.served import show_docs_for_key_holders, show_docs_for_people, show_openapi
from provisioning.api.page.headers import POLICY
from provisioning.api.page.served import FILES
from provisioning.domain.errors import RequestRejected
from tests.worlds.described import operations
from tests.worlds.elements import elements_of


def test_the_page_loads_nothing_but_files_of_this_service_and_has_no_script_of_its_own() -> None:
    html = page(describe())
    found = elements_of(html).found
    ours = {f"page/{each.name}" for each in FILES.iterdir()} | {"page/", "docs", "openapi.json"}
    identities = {attributes["id"] for _, attributes in found if "id" in attributes}
    for tag, attributes in found:
        assert tag not in {"img", "iframe", "object", "embed", "base", "form", "video", "audio", "style"}
        assert not [name for name in attributes if name.startswith("on") or name in ("srcset", "action", "style")]
        assert tag != "script" or attributes["src"]
        for name in ("src", "href"):
            where = attributes.get(name)
            assert where is None or where.partition("#")[0] in ours or (where[:1] == "#" and where[1:] in identities)
    assert not re.search(r"url\(|@import|javascript:", html)


# A schema, and what of it is told in a few words.
KINDS: list[tuple[dict[str, Any], str]] = [
    ({"type": "string"}, "string"),
    ({}, "any"),
    ({"$ref": "#/components/schemas/Kept"}, '<a href="#Kept">Kept</a>'),
    ({"oneOf": [{"$ref": "#/components/schemas/Kept"}, {"type": "null"}]}, '<a href="#Kept">Kept</a> or null'),
    ({"anyOf": [{"type": "string"}, {"type": "string"}, {"type": "null"}]}, "string or null"),
    ({"type": "object", "properties": {}, "anyOf": [{"required": ["a"]}]}, "object"),
    ({"const": "Secret"}, "Secret"),
    ({"type": "string", "enum": ["a", "b"]}, "a, b"),
    ({"type": ["string", "null"], "maxLength": 5}, "string or null, at most 5 characters"),
    ({"type": "string", "minLength": 1}, "string"),
    ({"type": "integer", "minimum": 1, "maximum": 200}, "integer, 1 to 200"),
    (
        {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "string", "minLength": 2, "maxLength": 4}},
        "array of string, 2 to 4 characters, 1 to 3 entries",
    ),
    ({"type": "array"}, "array of any"),
]


def test_of_each_schema_its_kind_is_told_in_a_few_words() -> None:
    properties = {f"field{number}": schema for number, (schema, _) in enumerate(KINDS)}
    document = json.loads(json.dumps(describe()))
    document["components"]["schemas"] = {"Kept": {"type": "object", "required": ["field0"], "properties": properties}}
    row = r'<td data-name="Field">(.*?)</td><td data-name="Kind">(.*?)</td><td data-name="What it says"></td>'
    told = re.findall(row, page(document))
    assert told[0][0] == "<code>field0</code> (required)"
    assert {field for field, _ in told[1:]} == {f"<code>field{number}</code>" for number in range(1, len(KINDS))}
    assert [kind for _, kind in told] == [expected for _, expected in KINDS]


def test_of_each_call_is_told_what_it_takes_and_whether_it_needs_a_key() -> None:
    html, parameters = page(describe()), describe()["components"]["parameters"]
    sections = re.findall(r'<section class="call" aria-labelledby="(\w+)".*?</section>', html, re.DOTALL)
    assert sections == list(operations())
    for found in re.finditer(r'<section class="call" aria-labelledby="(\w+)".*?</section>', html, re.DOTALL):
        operation, section = operations()[found[1]], found[0]
        assert (" Without a key." in section) is (operation.get("security") == []), found[1]
        [(_, attributes), *_] = elements_of(section).found
        assert json.loads(attributes["data-parameters"] or "") == [
            {"name": each["name"], "in": each["in"], "required": each["in"] == "path"}
            for each in (parameters[one["$ref"].rpartition("/")[2]] for one in operation.get("parameters", ()))
        ]
    text = elements_of(html).text
    assert "application/json, application/merge-patch+json: Change" in text
    assert "application/json-patch+json: JsonPatch" in text


def test_a_code_in_an_answer_leads_to_its_remedy_and_what_only_looks_like_one_stays_as_it_is() -> None:
    document = json.loads(json.dumps(describe()))
    asked = document["paths"]["/registrations"]["get"]["responses"]["200"]
    asked["description"] = "`resource-in-use`, and `no-such-code`."
    html = page(document)
    assert '<a href="#code-resource-in-use"><code>resource-in-use</code></a>, and <code>no-such-code</code>.' in html


def test_every_code_has_its_remedy_and_nothing_else_has() -> None:
    codes = {
        code for by_status in (*REFUSALS.values(), *FAULTS.values()) for each in by_status.values() for code in each
    }
    assert set(REMEDIES) == codes, "a code without a line in remedies.py: what is to be done about it?"
    text = elements_of(page(describe())).text
    for code, remedy in REMEDIES.items():
        assert code in text
        assert remedy in text
        assert remedy[0].isupper()
        assert remedy.endswith(".")


def test_the_contents_lead_to_every_call_and_every_schema() -> None:
    found = elements_of(page(describe())).found
    identities = [attributes["id"] for _, attributes in found if "id" in attributes]
    assert len(identities) == len(set(identities))
    linked = {attributes["href"] for _, attributes in found if attributes.get("href")}
    assert linked >= {f"#{name}" for name in (*operations(), *describe()["components"]["schemas"])}


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
    described = show_openapi(call)
    assert (described.status, described.content_type) == (200, "application/json")
    assert json.loads(described.body) == json.loads(json.dumps(describe()))
    for show, sign_in in ((show_docs_for_key_holders, "key"), (show_docs_for_people, "entra")):
        shown = show(call)
        assert (shown.status, shown.content_type.partition(";")[0]) == (200, "text/html")
        assert shown.headers["Content-Security-Policy"] == POLICY
        assert shown.body == page(describe(), sign_in)
        assert show(Call("/api/docs", {"if-none-match": shown.headers["ETag"]})).status == 304
        beside = show(Call("/api/docs/"))
        assert (beside.status, beside.headers["Location"]) == (307, "../docs")
    for show in (show_openapi, show_docs_for_key_holders, show_docs_for_people):
        with pytest.raises(RequestRejected) as refused:
            show(Call("/api/docs", query="x=1"))
        assert (refused.value.status, refused.value.code) == (400, "invalid-query")


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
