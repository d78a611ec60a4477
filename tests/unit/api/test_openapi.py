import json
import re
import subprocess
import sys
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from provisioning.api import web
from provisioning.api.calls import Call
from provisioning.api.openapi import describe, page
from provisioning.domain.errors import RequestRejected
from provisioning.domain.intake import REQUEST_TYPES, parse
from provisioning.domain.operation import Failure, LastError
from tests.worlds.certificates import a_certificate
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.world import World

ROOT = Path(__file__).parents[3]
EXAMPLES = sorted((ROOT / "examples").glob("*.json"))
CREDENTIALS = {
    "federated": {"type": "federated", "issuer": "https://token.example", "subject": "s"},
    "federated with subjects": {
        "type": "federated",
        "issuer": "https://token.example",
        "subjects": ["s", "t"],
        "audience": "api://exchange",
    },
    "certificate": {"type": "certificate", "certificate": a_certificate().pem},
}
BUILDERS = (a_resource, a_confidential_client, a_public_client, a_service_client)


def test_the_description_in_the_docs_is_current() -> None:
    expected = json.dumps(describe(), indent=2) + "\n"
    assert (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8") == expected, (
        "write it anew: python -c 'import json; from provisioning.api.openapi import describe; "
        "print(json.dumps(describe(), indent=2))' > docs/openapi.json"
    )


def test_the_description_is_valid_openapi() -> None:
    document = json.loads(json.dumps(describe()))
    assert document["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


def routes_of_the_function_app() -> set[tuple[str, str]]:
    """The methods of each route, as the host reads them, in a process of its own: the decorators run once."""
    script = (
        "import json, function_app\n"
        "bindings = [json.loads(raw) for one in function_app.app.get_functions() for raw in one.get_raw_bindings()]\n"
        "print(json.dumps([(each['route'], each['methods']) for each in bindings if each['type'] == 'httpTrigger']))"
    )
    ran = subprocess.run(  # noqa: S603 -- this very interpreter
        [sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, check=True, timeout=60
    )
    return {(f"/{route}", method.lower()) for route, methods in json.loads(ran.stdout) for method in methods}


def test_every_route_is_described_and_nothing_else() -> None:
    described = {(path, method) for path, operations in describe()["paths"].items() for method in operations}
    assert described == routes_of_the_function_app()


# --- schemas --------------------------------------------------------------------------------------------------------


def resolved(schema: Any) -> Any:
    """Return the schema with its references followed; none of ours leads back to itself."""
    if isinstance(schema, dict):
        if "$ref" in schema:
            content: Any = describe()
            for step in schema["$ref"].removeprefix("#/").split("/"):
                content = content[step]
            return resolved(content)
        return {name: resolved(content) for name, content in schema.items() if name != "discriminator"}
    return [resolved(each) for each in schema] if isinstance(schema, list) else schema


def closed(schema: Any) -> Any:
    """Return the schema with no property allowed that is not described."""
    if isinstance(schema, dict):
        inner = {name: closed(content) for name, content in schema.items()}
        described = isinstance(inner.get("properties"), dict) and "additionalProperties" not in inner
        return inner | ({"additionalProperties": False} if described else {})
    return [closed(each) for each in schema] if isinstance(schema, list) else schema


def faults(name: str, content: Any, *, strict: bool = False) -> list[str]:
    schema = resolved({"$ref": f"#/components/schemas/{name}"})
    validator = Draft202012Validator(
        closed(schema) if strict else schema, format_checker=Draft202012Validator.FORMAT_CHECKER
    )
    return [f"{error.json_path}: {error.message[:200]}" for error in validator.iter_errors(content)]


def answers() -> dict[str, tuple[str, Any]]:
    """One answer of each shape, from a world in which it came about."""
    world = World()
    shown: dict[str, tuple[str, Any]] = {}

    def accepted(body: Any) -> dict[str, Any]:
        answer = world.post(body)
        assert answer.status == 202, answer.body
        return dict(json.loads(answer.body))

    texts = {"description": "d", "serviceManagementReference": "s"}
    shown["accepted resource"] = ("Registration", accepted(a_resource(**texts)))
    world.deliver()
    shown["active resource"] = ("Registration", world.get(shown["accepted resource"][1]["registrationId"]))
    for body in (
        a_confidential_client(**texts, logoutUrl="https://app.contoso.example/out", secretLifetime="P90D"),
        a_public_client(**texts, scopes=["openid", "user_impersonation"], acceptMappedClaims=True),
        a_service_client(**texts, secretLifetime="P90D"),
    ):
        shown[f"accepted {body['clientType']}"] = ("Registration", accepted(body))
        world.deliver()
        registered = world.get(shown[f"accepted {body['clientType']}"][1]["registrationId"])
        assert registered["status"] == "active"
        shown[f"active {body['clientType']}"] = ("Registration", registered)
    for name, credential in CREDENTIALS.items():
        shown[f"active {name}"] = ("Registration", world.registered(a_service_client(credential=credential)))
        preview = world.post(a_service_client(credential=credential), query={"dryRun": "true"})
        shown[f"preview {name}"] = ("Preview", json.loads(preview.body))
    managed = "https://ws-svc.fhir.azurehealthcareapis.com"
    lost = accepted(a_public_client(resource=managed, scopes=["patient.Nothing.rs"]))["registrationId"]
    world.deliver()
    shown["failed"] = ("Registration", world.get(lost))
    assert shown["failed"][1]["status"] == "failed"
    waiting = accepted(a_service_client())["registrationId"]
    error = LastError(Failure("graph-throttled", "m", "r", "request-1"), passing=True)
    world.registry.replace(replace(world.row(waiting), last_error=error))
    shown["waiting"] = ("Registration", world.get(waiting))
    shown["list"] = ("RegistrationList", world.list())
    shown["first page"] = ("RegistrationList", world.list(top="1"))
    for builder in (a_confidential_client, a_public_client, a_service_client):
        preview = world.post(builder(), query={"dryRun": "true"})
        shown[f"preview {builder()['clientType']}"] = ("Preview", json.loads(preview.body))
    other = a_resource(fhirServerUrl="https://other.contoso.example")
    shown["preview resource"] = ("Preview", json.loads(world.post(other, query={"dryRun": "true"}).body))
    local = a_confidential_client(redirectUris=["http://localhost:5000/cb"])
    shown["preview with a warning"] = ("Preview", json.loads(world.post(local, query={"dryRun": "true"}).body))
    assert shown["preview with a warning"][1]["warnings"]
    shown["problem with faults"] = ("Problem", json.loads(world.post(a_resource(displayName="", owner="")).body))
    shown["problem"] = ("Problem", json.loads(world.post(a_resource()).body))
    return shown


ANSWERS = answers()


@pytest.mark.parametrize(("schema", "content"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_is_as_described(schema: str, content: Any) -> None:
    assert faults(schema, content) == []


@pytest.mark.parametrize(("schema", "content"), ANSWERS.values(), ids=ANSWERS)
def test_an_answer_has_nothing_that_is_not_described(schema: str, content: Any) -> None:
    assert faults(schema, content, strict=True) == []


@pytest.mark.parametrize("schema", ["Registration", "RegistrationList", "Preview", "Problem"])
def test_the_schemas_do_tell_something_else_apart(schema: str) -> None:
    for other, content in ANSWERS.values():
        if other != schema:
            assert faults(schema, content), f"a {other} passes for a {schema}"


def described_answers() -> dict[str, set[str]]:
    return {
        f"{method} {path}": set(operation["responses"])
        for path, operations in describe()["paths"].items()
        for method, operation in operations.items()
    }


def test_every_status_that_a_call_answers_with_is_described() -> None:
    described = described_answers()
    world = World()
    world.post(a_resource(), key="k")
    call = Call("/api/registrations/x", registration_id="x")
    seen = {
        "post /registrations": [
            world.post(a_public_client()).status,
            world.post(a_public_client(), query={"dryRun": "true"}).status,
            world.post(a_resource(scopes=["a"]), query={"dryRun": "true"}).status,
            world.post(b"").status,
            world.post(b" " * 70_000).status,
            world.call(web.submit_registration, Call("/")).status,
            world.post(a_resource(displayName="x"), key="k").status,
        ],
        "get /registrations": [world.call(web.list_registrations, Call("/", query="top=0")).status],
        "get /registrations/{registrationId}": [world.call(web.show_registration, call).status],
        "post /registrations/{registrationId}/retry": [
            world.call(web.retry_registration, call).status,
            world.retry(json.loads(world.post(a_resource(), key="k").body)["registrationId"]).status,
        ],
    }
    assert sorted(set(seen["post /registrations"])) == [202, 400, 409, 413, 415]
    for operation, statuses in seen.items():
        assert {str(status) for status in statuses} <= described[operation], operation
        assert {"401", "500", "503"} <= described[operation]


# --- requests -------------------------------------------------------------------------------------------------------


def request_faults(body: Any) -> list[str]:
    content = describe()["paths"]["/registrations"]["post"]["requestBody"]["content"]["application/json"]
    return [error.message for error in Draft202012Validator(resolved(content["schema"])).iter_errors(body)]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_the_examples_are_as_described_and_accepted(path: Path) -> None:
    body = json.loads(path.read_text(encoding="utf-8"))
    assert request_faults(body) == []
    assert parse(body).client_type == path.stem.partition("-")[0]


def test_there_is_an_example_for_each_client_type() -> None:
    assert {path.stem for path in EXAMPLES} == {*map(str, REQUEST_TYPES), "service-federated"}


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: builder()["clientType"])
def test_what_is_accepted_is_described(builder: Any) -> None:
    optional = {"description": None, "serviceManagementReference": None}
    for body in (builder(), builder(**optional)):
        assert parse(body)
        assert request_faults(body) == []


@pytest.mark.parametrize(
    "credential", [{}, {"type": "secret"}, *CREDENTIALS.values()], ids=lambda each: each.get("type", "none")
)
def test_every_credential_that_is_accepted_is_described(credential: dict[str, Any]) -> None:
    assert parse(a_service_client(credential=credential))
    assert request_faults(a_service_client(credential=credential)) == []


@pytest.mark.parametrize(
    "credential",
    [{"type": "password"}, {"type": "federated"}, {"type": "certificate"}, {"value": "x"}, "secret", None],
    ids=str,
)
def test_no_other_credential_is_described(credential: Any) -> None:
    assert request_faults(a_service_client(credential=credential))


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: builder()["clientType"])
@pytest.mark.parametrize(
    "change",
    [
        {"colour": "red"},
        {"displayName": 1},
        {"contact": None},
        {"owner": ["x"]},
        {"description": {}},
        {"clientType": "daemon"},
    ],
    ids=lambda change: str(*change),
)
def test_what_is_not_described_is_refused_by_the_description_too(builder: Any, change: dict[str, Any]) -> None:
    body = {**builder(), **change}
    with pytest.raises(RequestRejected):
        parse(body)
    assert request_faults(body)


@pytest.mark.parametrize("builder", BUILDERS, ids=lambda builder: builder()["clientType"])
def test_what_is_required_is_described_as_required(builder: Any) -> None:
    required = builder().keys() - {"appRoles"}
    for name in required:
        body = {key: value for key, value in builder().items() if key != name}
        with pytest.raises(RequestRejected):
            parse(body)
        assert request_faults(body), name


# --- the page -------------------------------------------------------------------------------------------------------


class Elements(HTMLParser):
    """Every element of a page, with its attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data


def elements_of(html: str) -> Elements:
    parser = Elements()
    parser.feed(html)
    return parser


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
    described, shown = web.show_openapi(call), web.show_docs(call)
    assert (described.status, described.content_type) == (200, "application/json")
    assert json.loads(described.body) == json.loads(json.dumps(describe()))
    assert (shown.status, shown.content_type.partition(";")[0]) == (200, "text/html")
    policy = shown.headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert shown.body == page(describe())
