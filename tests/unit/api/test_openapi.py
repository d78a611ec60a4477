"""The description as a whole: it is valid and current, it says something of everything, and answers are as it says."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from provisioning.api.openapi.document import describe
from provisioning.domain.operation import Failure, LastError
from tests.worlds.certificates import a_certificate
from tests.worlds.described import faults, operations
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.world import World

ROOT = Path(__file__).parents[3]
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


def test_the_description_in_the_docs_is_current() -> None:
    expected = json.dumps(describe(), indent=2) + "\n"
    assert (ROOT / "docs" / "openapi.json").read_text(encoding="utf-8") == expected, (
        "write it anew: python -c 'import json; from provisioning.api.openapi.document import describe; "
        "print(json.dumps(describe(), indent=2))' > docs/openapi.json"
    )


def test_the_description_is_valid_openapi() -> None:
    document = json.loads(json.dumps(describe()))
    assert document["openapi"].startswith("3.1.")
    assert [error.message for error in OpenAPIV31SpecValidator(document).iter_errors()] == []


OF_THE_CHATS = {("/chat/slack", "post"), ("/chat/teams", "post")}
OF_THE_PAGE = {("/{nothing:maxlength(0)?}", "get"), ("/page/{file?}", "get")}


def routes_of_the_function_app() -> set[tuple[str, str]]:
    """The methods of each route, as the host reads them, in a process of its own: the decorators run once."""
    script = (
        "import json, function_app\n"
        "bindings = [json.loads(raw) for one in function_app.app.get_functions() for raw in one.get_raw_bindings()]\n"
        "print(json.dumps([(each['route'], each['methods']) for each in bindings if each['type'] == 'httpTrigger']))"
    )
    with_chat = {**os.environ, "SLACK_SIGNING_SECRET": "x", "TEAMS_BOT_ID": "x"}
    ran = subprocess.run(  # noqa: S603 -- this very interpreter
        [sys.executable, "-c", script], cwd=ROOT, env=with_chat, capture_output=True, text=True, check=True, timeout=60
    )
    found = {(f"/{route}", method.lower()) for route, methods in json.loads(ran.stdout) for method in methods}
    # The files of the page are for a browser, and what a chat sends is the chat's: nobody calls them as an API.
    assert found >= OF_THE_PAGE | OF_THE_CHATS
    return found - OF_THE_PAGE - OF_THE_CHATS


def test_every_route_is_described_and_nothing_else() -> None:
    described = {(path, method) for path, operations in describe()["paths"].items() for method in operations}
    assert described == routes_of_the_function_app()


# --- it says something of everything ---------------------------------------------------------------------------------


def objects(value: Any, place: str = "#") -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every JSON object of the description but those in examples, with its place."""
    if isinstance(value, dict):
        yield place, value
        for name, content in value.items():
            if name not in ("example", "examples"):
                yield from objects(content, f"{place}/{name}")
    elif isinstance(value, list):
        for index, content in enumerate(value):
            yield from objects(content, f"{place}/{index}")


def says(schema: dict[str, Any]) -> str:
    """Return what is said of a property: at its place, or where it refers to."""
    name = schema.get("$ref", "").rpartition("/")[2]
    return str((describe()["components"]["schemas"][name] if name else schema).get("description", ""))


def test_every_property_at_any_depth_has_a_description() -> None:
    named = [
        (f"{place}/{name}", schema)
        for place, content in objects(describe()["components"]["schemas"])
        for name, schema in content.get("properties", {}).items()
        if not place.endswith("/properties")
    ]
    assert len(named) > 100
    assert [place for place, schema in named if len(says(schema)) < 8] == []


def test_every_schema_parameter_header_answer_and_call_has_a_description() -> None:
    components = describe()["components"]
    for kind in ("schemas", "parameters", "securitySchemes"):
        assert [name for name, content in components[kind].items() if not content.get("description")] == []
    for operation in operations().values():
        assert operation["summary"]
        assert operation["description"]
        for answer in operation["responses"].values():
            assert answer["description"]
            assert all(header["description"] for header in answer.get("headers", {}).values())


def test_no_name_is_repeated_as_a_title() -> None:
    titles = [place for place, content in objects(describe()) if isinstance(content.get("title"), str)]
    assert titles == ["#/info"]


def test_whatever_is_sent_is_described_to_the_last_field() -> None:
    sent = {name for name in describe()["components"]["schemas"] if name.endswith(("Request", "Credential"))}
    for name in {*sent, "Change", "Rotation", "Decision", "Denial"}:
        assert describe()["components"]["schemas"][name]["additionalProperties"] is False


def test_every_call_with_a_body_or_an_answer_has_an_example_of_each() -> None:
    for name, operation in operations().items():
        described = [operation.get("requestBody", {}), *map(operation["responses"].get, ("200", "202"))]
        for content in (content for each in described if each for content in each.get("content", {}).values()):
            assert "examples" in content or name in ("showOpenapi", "showDocs"), name


def test_links_lead_to_calls_that_take_what_they_are_given() -> None:
    answers = [answer for operation in operations().values() for answer in operation["responses"].values()]
    links = [link for answer in answers for link in answer.get("links", {}).values()]
    assert len(links) > 40
    parameters = describe()["components"]["parameters"]
    for link in links:
        refs = [each["$ref"].rpartition("/")[2] for each in operations()[link["operationId"]]["parameters"]]
        names = {parameters[name]["name"] for name in refs}
        assert {given.removeprefix("header.") for given in link["parameters"]} <= names


def test_a_deleted_registration_is_said_to_stay_readable() -> None:
    schemas = describe()["components"]["schemas"]
    for text in (
        operations()["deleteRegistration"]["description"],
        operations()["showRegistration"]["description"],
        schemas["Registration"]["description"],
        schemas["Registration"]["properties"]["status"]["description"],
    ):
        assert "stays readable" in " ".join(text.split())


def test_a_key_or_a_token_is_asked_for_but_where_nothing_is_said_about_anybody() -> None:
    assert describe()["security"] == [{"functionKey": []}, {"bearerToken": []}]
    assert describe()["components"]["securitySchemes"]["functionKey"]["name"] == "x-functions-key"
    open_to_all = {name for name, operation in operations().items() if operation.get("security") == []}
    assert open_to_all == {"showOpenapi", "showDocs", "health", "probe"}


# --- answers --------------------------------------------------------------------------------------------------------


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


OPTIONAL = {"description", "serviceManagementReference", "callbackUrl", "callbackKey", "secretLifetime"}


def test_the_examples_of_answers_are_as_described_and_have_just_what_such_an_answer_has() -> None:
    answered = {
        ("submitRegistration", "202"): "accepted service",
        ("showRegistration", "200"): "active service",
        ("submitRegistration", "200"): "preview service",
    }
    for name, operation in operations().items():
        for status, answer in operation["responses"].items():
            for content in answer.get("content", {}).values():
                for example in content.get("examples", {}).values():
                    schema = content["schema"]["$ref"].rpartition("/")[2]
                    assert faults(schema, example["value"], strict=True) == [], (name, status)
                    if (name, status) in answered:
                        real = ANSWERS[answered[name, status]][1]
                        assert example["value"].keys() == real.keys() - {
                            "description",
                            "serviceManagementReference",
                            "secretLifetime",
                        }


@pytest.mark.parametrize("schema", ["Registration", "RegistrationList", "Preview", "Problem"])
def test_the_schemas_do_tell_something_else_apart(schema: str) -> None:
    for other, content in ANSWERS.values():
        if other != schema:
            assert faults(schema, content), f"a {other} passes for a {schema}"
