"""What is said of requests is true: what the description refuses is refused, and a value at each limit is taken."""

import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from provisioning.api import web
from provisioning.api.calls import Call
from provisioning.api.openapi.document import describe
from provisioning.domain.errors import RequestRejected
from provisioning.domain.fields import MOST_PERMISSIONS, MOST_SUBJECTS
from provisioning.domain.intake import REQUEST_TYPES, parse, parse_decision
from provisioning.domain.uris import MOST_REDIRECT_URIS
from tests.unit.domain.any_requests import accepted, bodies, thorough
from tests.unit.domain.spellings import any_uris, likely_uris, server_urls
from tests.worlds.certificates import a_certificate
from tests.worlds.described import faults, operations, request_faults
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


# --- examples -------------------------------------------------------------------------------------------------------


def examples(operation_id: str) -> dict[str, Any]:
    content = operations()[operation_id]["requestBody"]["content"]["application/json"]
    return {name: each["value"] for name, each in content["examples"].items()}


def test_the_examples_of_a_request_are_the_files_that_the_documents_use() -> None:
    files = {path.stem: json.loads(path.read_text(encoding="utf-8")) for path in EXAMPLES}
    assert examples("submitRegistration") == files


def test_the_examples_of_other_bodies_are_as_described_and_taken() -> None:
    world = World()
    world.registered(a_resource())
    clients = {"names": a_service_client(), "redirect-uris": a_confidential_client()}
    ids = {name: world.registered(body)["registrationId"] for name, body in clients.items()}
    for name, body in examples("changeRegistration").items():
        assert faults("Change", body) == []
        assert world.change(ids[name], body).status == 202
        world.settle()
    for body in examples("rotateRegistration").values():
        assert faults("Rotation", body) == []
        assert world.rotate(ids["names"], body).status == 202
        world.settle()
    for name, schema in (("approveRegistration", "Decision"), ("denyRegistration", "Denial")):
        for body in examples(name).values():
            assert faults(schema, body) == []
            assert parse_decision(body, reason_required=schema == "Denial")


# --- what is accepted is as described: so what is not as described is refused -----------------------------------------


@thorough
@given(bodies)
def test_a_request_that_is_accepted_is_as_described(body: dict[str, Any]) -> None:
    assume(accepted(body))
    assert request_faults(body) == []


URIS = st.one_of(likely_uris, any_uris)


@thorough
@given(st.one_of(server_urls, URIS))
def test_a_server_url_that_is_accepted_is_as_described(url: str) -> None:
    if accepted(a_resource(fhirServerUrl=url)):
        assert request_faults(a_resource(fhirServerUrl=url)) == []


@thorough
@given(URIS, st.sampled_from(["web", "spa", "native"]))
@example("msauth.com.example.app://auth", "native")
@example("msauth://com.example.app/Xo8WBi6jzSxKDVR4drqm84yr9iU%3D", "native")
@example("urn:ietf:wg:oauth:2.0:oob", "native")
@example("brk-multihub://app.contoso.example", "spa")
@example("HTTP://LocalHost:3000/cb?a=b", "web")
def test_a_redirect_uri_that_is_accepted_is_as_described(uri: str, platform: str) -> None:
    body = (
        a_confidential_client(redirectUris=[uri])
        if platform == "web"
        else a_public_client(redirectUris=[uri], platform=platform)
    )
    assume(accepted(body))
    assert request_faults(body) == []


@thorough
@given(URIS, URIS)
def test_an_issuer_and_a_log_out_url_that_are_accepted_are_as_described(issuer: str, url: str) -> None:
    for body in (
        a_service_client(credential={"type": "federated", "issuer": issuer, "subject": "s"}),
        a_confidential_client(logoutUrl=url),
    ):
        if accepted(body):
            assert request_faults(body) == []


TEXTS = st.text(min_size=1, max_size=6) | st.text("a \t\u00a0\u2028\ufeff\u200d*😀é\x85", min_size=1, max_size=4)


@thorough
@given(TEXTS, TEXTS, TEXTS)
def test_a_text_that_is_accepted_is_as_described(name: str, resource: str, subject: str) -> None:
    credential = {"type": "federated", "issuer": "https://token.example", "subject": subject}
    for body in (
        a_service_client(displayName=name),
        a_service_client(resource=resource),
        a_service_client(credential=credential),
    ):
        if accepted(body):
            assert request_faults(body) == []


@thorough
@given(st.lists(st.from_regex(r"[A-Za-z.:/ -]{0,12}", fullmatch=True), max_size=3))
@example(["patient/Patient.rs"])
@example(["api://x/y"])
@example([".a"])
def test_a_name_that_is_accepted_is_as_described(names: list[str]) -> None:
    for body in (
        a_resource(scopes=names, appRoles=[]),
        a_resource(scopes=[], appRoles=names),
        a_public_client(scopes=names),
        a_service_client(appRoles=names),
    ):
        if accepted(body):
            assert request_faults(body) == []


@pytest.mark.parametrize("lifetime", ["P", "PT", "P1Y", "P1W", "P1M", "p90d", "P90D ", "P٣D", "PT1H1H"])
def test_a_duration_that_is_none_is_refused_by_the_description_too(lifetime: str) -> None:
    body = a_service_client(secretLifetime=lifetime)
    assert not accepted(body)
    assert request_faults(body)


@pytest.mark.parametrize("lifetime", ["P90D", "P2M", "P1W", "PT2160H", "P89DT24H", "P0D", "PT0S", "PT1M1S"])
def test_a_duration_that_is_one_is_as_described(lifetime: str) -> None:
    body = a_service_client(secretLifetime=lifetime)
    assert accepted(body) == (request_faults(body) == [])


# --- at the limits --------------------------------------------------------------------------------------------------


def some(name: str, count: int) -> list[str]:
    return [f"{name}{number}" for number in range(count)]


def trusted(**fields: Any) -> dict[str, Any]:
    return a_service_client(credential={"type": "federated", "issuer": "https://token.example", **fields})


URL, PEM = "https://app.contoso.example/", a_certificate().pem
# For each limit of a request: the request with so many characters or entries there.
LIMITS: dict[str, tuple[int, int, Callable[[int], dict[str, Any]]]] = {
    "displayName": (1, 120, lambda size: a_resource(displayName="x" * size)),
    "description": (1, 1024, lambda size: a_resource(description="x" * size)),
    "serviceManagementReference": (1, 256, lambda size: a_resource(serviceManagementReference="x" * size)),
    "contact": (0, 254, lambda size: a_resource(contact=f"{'x' * 64}@{'.'.join(['y' * 60] * 4)[: size - 65]}")),
    "resource": (1, 255, lambda size: a_service_client(resource="x" * size)),
    "fhirServerUrl": (0, 220, lambda size: a_resource(fhirServerUrl=URL.ljust(size, "x"))),
    "logoutUrl": (0, 255, lambda size: a_confidential_client(logoutUrl=URL.ljust(size, "x"))),
    "callbackUrl": (0, 1024, lambda size: a_resource(callbackUrl=URL.ljust(size, "x"))),
    "issuer": (0, 600, lambda size: trusted(subject="s", issuer=URL.ljust(size, "x"))),
    "subject": (1, 600, lambda size: trusted(subject="x" * size)),
    "audience": (1, 600, lambda size: trusted(subject="s", audience="x" * size)),
    "subjects": (1, MOST_SUBJECTS, lambda size: trusted(subjects=some("s", size))),
    "subjects/items": (1, 600, lambda size: trusted(subjects=["x" * size])),
    "certificate": (
        0,
        16_384,
        lambda size: a_service_client(credential={"type": "certificate", "certificate": PEM.ljust(size, "\n")}),
    ),
    "redirectUris": (1, MOST_REDIRECT_URIS, lambda size: a_confidential_client(redirectUris=some(URL, size))),
    "redirectUris/items": (0, 256, lambda size: a_public_client(redirectUris=[URL.ljust(size, "x")])),
    "scopes": (0, MOST_PERMISSIONS, lambda size: a_public_client(scopes=some("s", size))),
    "scopes/items": (1, 120, lambda size: a_resource(scopes=["x" * size])),
    "appRoles": (0, MOST_PERMISSIONS, lambda size: a_resource(appRoles=some("r", size))),
    "appRoles/items": (1, 120, lambda size: a_service_client(appRoles=["x" * size])),
}


def limited(schema: Any, path: str) -> Iterator[tuple[str, int, int]]:
    """Yield each place below that has limits, with the least and the most."""
    if isinstance(schema, dict):
        for several in ("anyOf", "oneOf"):
            for each in schema.get(several, ()):
                yield from limited(each, path)
        if "maxLength" in schema or "maxItems" in schema:
            least, most = (
                next((schema[f"{word}{unit}"] for unit in ("Length", "Items") if f"{word}{unit}" in schema), 0)
                for word in ("min", "max")
            )
            yield path, least, most
        if "items" in schema:
            yield from limited(schema["items"], f"{path}/items")


def test_the_limits_of_every_field_are_those_that_are_tried() -> None:
    found = {
        limit
        for name, schema in describe()["components"]["schemas"].items()
        if name.endswith(("Request", "Credential"))
        for field, content in schema["properties"].items()
        for limit in limited(content, field)
    }
    assert found == {(path, least, most) for path, (least, most, _) in LIMITS.items()}


@pytest.mark.parametrize(("least", "most", "body"), LIMITS.values(), ids=LIMITS)
def test_a_value_at_a_limit_is_taken_and_one_beyond_it_is_refused(
    least: int, most: int, body: Callable[[int], dict[str, Any]]
) -> None:
    for size in ({least} if least else set()) | {most}:
        assert request_faults(body(size)) == []
        assert accepted(body(size)), size
    for size in ({least - 1} if least else set()) | {most + 1}:
        assert request_faults(body(size)), size
        assert not accepted(body(size)), size


BAD_CHANGES: list[Any] = [
    {},
    [],
    {"displayName": ""},
    {"displayName": None},
    {"clientType": "public"},
    {"colour": 1},
    {"redirectUris": []},
    {"owner": "me"},
]


@pytest.mark.parametrize("body", BAD_CHANGES, ids=str)
def test_a_change_that_is_not_as_described_is_refused(body: Any) -> None:
    world = World()
    world.registered(a_resource())
    registration_id = world.registered(a_confidential_client())["registrationId"]
    assert faults("Change", body)
    assert world.change(registration_id, body).status == 400


@pytest.mark.parametrize(
    "body",
    [{"displayName": "x" * 120}, {"description": None, "logoutUrl": None}, {"redirectUris": ["com.example.app:/cb"]}],
    ids=str,
)
def test_a_change_of_some_client_is_as_described(body: Any) -> None:
    assert faults("Change", body) == []


@pytest.mark.parametrize("body", [{"revokePrevious": None}, {"revokePrevious": "true"}, {"revoke": True}, []], ids=str)
def test_a_rotation_that_is_not_as_described_is_refused(body: Any) -> None:
    world = World()
    world.registered(a_resource())
    registration_id = world.registered(a_service_client())["registrationId"]
    assert faults("Rotation", body)
    assert world.rotate(registration_id, body).status == 400


@pytest.mark.parametrize("body", [{}, {"digest": "d"}, {"digest": "d", "reason": None}, {"digest": "d", "reason": ""}])
def test_a_denial_that_is_not_as_described_is_refused(body: Any) -> None:
    assert faults("Denial", body)
    with pytest.raises(RequestRejected):
        parse_decision(body, reason_required=True)


PATTERNS = {
    name: re.compile(parameter["schema"]["pattern"])
    for name, parameter in describe()["components"]["parameters"].items()
    if "pattern" in parameter["schema"]
}


@pytest.mark.parametrize("tag", ['"a"', 'W/"a"', '"a", "b"', "*", '"a,b"', '""', "a", '"a', '"a" "b"', "**", '"a",'])
def test_an_if_match_is_refused_exactly_when_it_is_not_as_described(tag: str) -> None:
    world = World()
    registration_id = world.registered(a_resource())["registrationId"]
    call = Call("/api/registrations/x", {"if-match": tag}, registration_id=registration_id, method="DELETE")
    answer = world.call(web.delete_registration, call)
    described = PATTERNS["ifMatch"].fullmatch(tag) is not None
    assert (json.loads(answer.body).get("code") != "invalid-if-match") == described


@pytest.mark.parametrize("key", ["a", "~" * 255, "!", "", "a b", "é", "x" * 256])
def test_an_idempotency_key_is_refused_exactly_when_it_is_not_as_described(key: str) -> None:
    schema = describe()["components"]["parameters"]["idempotencyKey"]["schema"]
    described = bool(PATTERNS["idempotencyKey"].fullmatch(key)) and len(key) <= schema["maxLength"]
    headers = {"content-type": "application/json", "idempotency-key": key}
    call = Call("/api/registrations", headers, body=json.dumps(a_resource()).encode(), method="POST")
    assert (World().call(web.submit_registration, call).status == 202) == described
