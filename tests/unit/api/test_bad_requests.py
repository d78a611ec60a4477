"""Each bad request is refused with field, rule and remedy, and leaves no trace."""

import ast
import json
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.errors import RequestRejected
from provisioning.domain.intake import parse
from tests.unit.api.bad_requests import BAD, DRY_RUN, Bad, federated, uris
from tests.worlds.request_bodies import (
    MARKER,
    OWNER,
    a_confidential_client,
    a_public_client,
    a_resource,
    a_service_client,
)
from tests.worlds.world import World

JSON = {"content-type": "application/json"}


def traces(world: World) -> tuple[object, ...]:
    registry: Any = world.registry
    return (
        dict(registry.rows),
        set(registry.entries),
        dict(registry.names),
        [queued.text for queued in world.queue],
        len(world.emulator.calls),
        len(world.emulator.directory.records),
    )


def prepared(bad: Bad) -> World:
    """Return a world in which happened what the row presupposes."""
    world = World()
    for body in bad.given:
        assert world.post(body, key="first").status == 202
        world.deliver()
    for body in bad.waiting:
        assert world.post(body, key="first").status == 202
    return world


def sent(world: World, bad: Bad) -> Answer:
    raw = bad.body if isinstance(bad.body, bytes) else json.dumps(bad.body).encode()
    return world.call(
        web.submit_registration, Call("/api/registrations", {**JSON, **bad.headers}, urlencode(bad.query), raw)
    )


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_request_is_refused_with_field_rule_and_remedy_and_leaves_no_trace(bad: Bad) -> None:
    world = prepared(bad)
    before = traces(world)

    answer = sent(world, bad)

    assert traces(world) == before
    assert answer.message is None
    problem = json.loads(answer.body)
    assert (answer.status, problem["status"], problem["code"]) == (bad.status, bad.status, bad.code)
    assert answer.content_type == "application/problem+json"
    assert answer.headers.keys() == {"Cache-Control", "traceparent"}
    assert len(problem["detail"]) > 20
    told: dict[str, list[str]] = {}
    for fault in problem.get("errors", []):
        assert set(fault) - {"offered"} == {"pointer", "code", "message"}
        assert len(fault["message"]) > 12
        assert fault["message"].endswith((".", '."'))
        told.setdefault(fault["pointer"], []).append(fault["code"])
    assert told == {pointer: [code] if isinstance(code, str) else code for pointer, code in bad.faults.items()}
    assert MARKER not in answer.body.lower()
    assert MARKER not in repr(answer.headers)


HUGE: dict[str, Any] = {
    "empty redirect URIs": uris(*[""] * 20_000),
    "redirect URIs of another type": a_confidential_client(redirectUris=[1] * 28_000),
    "redirect URIs that are lists": a_confidential_client(redirectUris=[[]] * 20_000),
    "wildcards": uris(*["http://*:0#"] * 4_000),
    "256 redirect URIs with every fault": uris(*[f"http://u@*.a:0/{number}#?" for number in range(256)]),
    "scopes": a_public_client(scopes=[""] * 20_000),
    "app roles of another type": a_service_client(appRoles=[{}] * 20_000),
    "scopes and app roles of a resource": a_resource(scopes=[" "] * 400, appRoles=[" "] * 400),
    "subjects": federated(subject=None, subjects=[""] * 20_000),
    "unknown fields": a_resource(**{f"f{number}": 0 for number in range(6_000)}),
    "unknown fields with long names": a_resource(**{f"{number:04}".rjust(64, "x"): 0 for number in range(850)}),
    "unknown fields in a credential": a_service_client(credential={f"f{number}": 0 for number in range(6_000)}),
    "private keys": a_resource(scopes=["BEGIN PRIVATE KEY"] * 3_000),
    "one long text": a_resource(displayName="\ud800" * 10_000),
    "unknown scopes of a resource": a_public_client(scopes=[f"{number:03}{'x' * 117}" for number in range(400)]),
}


@pytest.mark.parametrize("query", [{}, DRY_RUN], ids=["POST", "dry run"])
@pytest.mark.parametrize("body", HUGE.values(), ids=HUGE)
def test_no_answer_to_a_bad_request_is_larger_than_100_kb_or_takes_long(body: Any, query: dict[str, str]) -> None:
    raw = json.dumps(body, separators=(",", ":")).encode()
    assert len(raw) <= 64 * 1024
    world = World()
    world.registered(a_resource(scopes=[f"{number:03}{'y' * 117}" for number in range(400)], appRoles=[]))
    began = time.thread_time()
    answer = world.post(raw, query=query)
    assert time.thread_time() - began < 3
    assert len(answer.body) <= 100 * 1024
    if answer.status == 202:
        return  # what it is short of shows later
    problem = json.loads(answer.body)
    assert answer.status == 400
    assert 1 <= len(problem["errors"]) <= 100


def test_of_very_many_faults_the_first_are_told_and_how_many_there_are() -> None:
    raw = json.dumps(HUGE["unknown fields"], separators=(",", ":")).encode()
    problem = json.loads(World().post(raw).body)
    assert problem["detail"] == "The request breaks 6000 rules; errors has the first 100."
    assert len(problem["errors"]) == 100


@pytest.mark.parametrize("name", ["displayName", "fhirServerUrl", "contact", "owner", "description"])
@pytest.mark.parametrize("piece", ["a", "a.", "-", "/", "a@", "%", "é", "\u200d", "M", "PRIVATE ", "?", "[", "1."])
def test_no_text_of_64_kb_takes_long_to_be_refused(name: str, piece: str) -> None:
    body = a_resource(
        **{name: (f"https://{piece}" + piece * 60_000)[:60_000].encode()[:60_000].decode(errors="ignore")}
    )
    began = time.thread_time()
    with pytest.raises(RequestRejected):
        parse(body)
    assert time.thread_time() - began < 3


def test_the_table_has_at_least_sixty_rows() -> None:
    assert len(BAD) >= 60


def test_the_service_still_takes_what_a_refused_request_named() -> None:
    for name in ("an idempotency key for another server", "a second registration of a server"):
        world = prepared(BAD[name])
        assert sent(world, BAD[name]).status == 409
        url = f"https://{MARKER}.example"
        assert world.post(a_resource(fhirServerUrl=url)).status == 202, name


# --- the other calls ------------------------------------------------------------------------------------------------

LISTS: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "an owner by name": ({"owner": MARKER}, {"?owner": "not-a-guid"}, "invalid-query"),
    "an empty owner": ({"owner": ""}, {"?owner": "query-parameter-empty"}, "invalid-query"),
    "an unknown client type": ({"clientType": MARKER}, {"?clientType": "not-one-of"}, "invalid-query"),
    "an unknown status": ({"status": MARKER}, {"?status": "not-one-of"}, "invalid-query"),
    "no items": ({"top": "0"}, {"?top": "out-of-range"}, "invalid-query"),
    "201 items": ({"top": "201"}, {"?top": "out-of-range"}, "invalid-query"),
    "minus one items": ({"top": "-1"}, {"?top": "out-of-range"}, "invalid-query"),
    "1.5 items": ({"top": "1.5"}, {"?top": "out-of-range"}, "invalid-query"),
    "items in another script": ({"top": "٣"}, {"?top": "out-of-range"}, "invalid-query"),
    "items in words": ({"top": MARKER}, {"?top": "out-of-range"}, "invalid-query"),
    "an unknown parameter": ({MARKER: MARKER}, {"?": "query-parameter-unknown"}, "invalid-query"),
    "a parameter in another case": ({"Owner": OWNER}, {"?": "query-parameter-unknown"}, "invalid-query"),
    "a token of one's own": ({"continuationToken": MARKER}, {}, "invalid-continuation-token"),
    "an empty token": ({"continuationToken": ""}, {"?continuationToken": "query-parameter-empty"}, "invalid-query"),
    "everything at once": (
        {"owner": MARKER, "clientType": MARKER, "status": MARKER, "top": MARKER, "x": MARKER},
        {
            "?": "query-parameter-unknown",
            "?owner": "not-a-guid",
            "?clientType": "not-one-of",
            "?status": "not-one-of",
            "?top": "out-of-range",
        },
        "invalid-query",
    ),
}


@pytest.mark.parametrize(("query", "faults", "code"), LISTS.values(), ids=LISTS)
def test_a_bad_query_is_refused_with_every_fault_and_without_its_values(
    query: dict[str, str], faults: dict[str, str], code: str
) -> None:
    answer = World().call(web.list_registrations, Call("/api/registrations", query=urlencode(query)))
    problem = json.loads(answer.body)
    assert (answer.status, answer.content_type, problem["code"]) == (400, "application/problem+json", code)
    assert {fault["pointer"]: fault["code"] for fault in problem.get("errors", [])} == faults
    assert MARKER not in answer.body


ODD_IDS = ["", MARKER, f"{'0' * 8}-{OWNER}", "../x", f"{'0' * 8}-{OWNER}\n", "٣" * 8, "x" * 5000, "\ud800"]


@pytest.mark.parametrize(
    "handle",
    [web.show_registration, web.retry_registration, web.rotate_registration, web.delete_registration],
    ids=["show", "retry", "rotate", "delete"],
)
@pytest.mark.parametrize("registration_id", ODD_IDS, ids=ascii)
def test_an_unknown_registration_is_not_found_whatever_its_id(handle: Any, registration_id: str) -> None:
    answer = World().call(handle, Call("/api/registrations/x", registration_id=registration_id))
    assert (answer.status, json.loads(answer.body)["code"]) == (404, "registration-not-found")
    assert answer.message is None
    assert MARKER not in answer.body


CHANGES: dict[str, tuple[dict[str, Any], Any, dict[str, str]]] = {
    "nothing": (a_service_client(), {}, {"#": "required"}),
    "a list": (a_service_client(), [], {"#": "required"}),
    "an owner who is none": (a_service_client(), {"owner": MARKER}, {"#/owner": "not-a-guid"}),
    "no owner": (a_service_client(), {"owner": None}, {"#/owner": "required"}),
    "a client type": (a_service_client(), {"clientType": "public"}, {"#/clientType": "field-not-changeable"}),
    "an unknown field": (a_service_client(), {MARKER: 1}, {f"#/{MARKER}": "field-not-changeable"}),
    "a field in snake case": (
        a_service_client(),
        {"display_name": "x"},
        {"#/display_name": "field-not-changeable"},
    ),
    "a field that could be a secret": (a_service_client(), {f"{MARKER} ~!": 1}, {"#": "field-not-changeable"}),
    "redirect URIs of a service client": (
        a_service_client(),
        {"redirectUris": ["https://app.contoso.example/cb"]},
        {"#/redirectUris": "field-not-changeable"},
    ),
    "a log-out URL of a public client": (
        a_public_client(),
        {"logoutUrl": "https://app.contoso.example/out"},
        {"#/logoutUrl": "field-not-changeable"},
    ),
    "a name that is taken out": (a_service_client(), {"displayName": None}, {"#/displayName": "required"}),
    "a name that is too long": (a_service_client(), {"displayName": "x" * 121}, {"#/displayName": "wrong-length"}),
    "a contact that is none": (a_service_client(), {"contact": MARKER}, {"#/contact": "not-an-email-address"}),
    "a redirect URI that is none": (
        a_confidential_client(),
        {"redirectUris": [f"http://{MARKER}.example/cb"]},
        {"#/redirectUris/0": "uri-not-https"},
    ),
    "a secret in place of nothing": (
        a_service_client(),
        {"credential": None},
        {"#/credential": "field-not-changeable"},
    ),
    "another kind of credential": (
        a_service_client(),
        {"credential": {"type": MARKER}},
        {"#/credential/type": "field-not-changeable"},
    ),
    "a part of a credential that there is not": (
        a_service_client(),
        {"credential": {MARKER: MARKER}},
        {f"#/credential/{MARKER}": "field-not-allowed"},
    ),
    "everything at once": (
        a_confidential_client(),
        {"displayName": "", "contact": MARKER, "resource": MARKER},
        {"#/displayName": "wrong-length", "#/contact": "not-an-email-address", "#/resource": "field-not-changeable"},
    ),
}


@pytest.mark.parametrize(("registered", "body", "faults"), CHANGES.values(), ids=CHANGES)
def test_a_bad_change_is_refused_with_every_fault_and_changes_nothing(
    registered: dict[str, Any], body: Any, faults: dict[str, str]
) -> None:
    world = World()
    world.registered(a_resource())
    registration_id = world.registered(registered)["registrationId"]
    row = world.row(registration_id)
    answer = world.change(registration_id, body)
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"], answer.message) == (400, "invalid-request", None)
    assert {fault["pointer"]: fault["code"] for fault in problem["errors"]} == faults
    assert world.row(registration_id) == row


@pytest.mark.parametrize("body", [[], {"revokePrevious": "yes"}, {"revokePrevious": None}, {"revoke": True}, "x"])
def test_a_bad_rotation_is_refused_and_rotates_nothing(body: Any) -> None:
    world = World()
    world.registered(a_resource())
    registration_id = world.registered(a_service_client())["registrationId"]
    answer = world.rotate(registration_id, body)
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"], answer.message) == (400, "invalid-request", None)
    assert [fault["code"] for fault in problem["errors"]] == ["wrong-type"]
    assert not world.row(registration_id).pending


def test_a_field_in_another_spelling_is_told_its_name_by_every_call_with_a_body() -> None:
    world = World()
    world.registered(a_resource())
    registration_id = world.registered(a_service_client())["registrationId"]
    for answer, told in (
        (world.post(a_resource(**{"app-roles": []})), "There is no app-roles; write appRoles."),
        (world.change(registration_id, {"display_name": "x"}), "There is no display_name; write displayName."),
        (
            world.rotate(registration_id, {"revoke_previous": True}),
            "There is no revoke_previous; write revokePrevious.",
        ),
    ):
        assert [fault["message"] for fault in json.loads(answer.body)["errors"]] == [told]


def test_only_a_failed_registration_is_retried() -> None:
    world = World()
    registered = world.registered(a_resource())
    before = traces(world)
    answer = world.retry(registered["registrationId"])
    assert (answer.status, json.loads(answer.body)["code"]) == (409, "registration-not-failed")
    assert (traces(world), answer.message) == (before, None)


# --- the table is complete ------------------------------------------------------------------------------------------

SOURCES = ("intake", "fields", "faults", "uris", "names", "certificates", "calls", "web", "submit", "alter")
NAMED_ELSEWHERE = {
    "permissions-differ": "tests/unit/flow/test_grants.py: an agreement to something else",
    "registration-not-found": "above: an unknown registration is not found",
    "no-data-roles": "tests/unit/flow/test_data_roles.py: of a client without them",
    "registration-not-failed": "above: only a failed registration is retried",
    **dict.fromkeys(
        (
            "registration-not-active",
            "registration-holds-no-secret",
            "registration-in-progress",
            "operation-in-progress",
        ),
        "tests/unit/flow/test_life_*.py: each refused while it is so",
    ),
    **dict.fromkeys(
        (
            "body-not-expected",
            "condition-not-supported",
            "encoding-not-supported",
            "idempotency-key-not-supported",
            "invalid-if-match",
            "query-parameter-repeated",
            "registration-changed",
        ),
        "tests/unit/api/test_calls.py: what is not fully understood is refused",
    ),
    **dict.fromkeys(("invalid-prefer",), "tests/unit/api/test_wait.py: a wait that is no number of seconds is refused"),
    **dict.fromkeys(
        ("digest-differs", "nothing-to-decide"), "tests/unit/api/test_approval.py: a decision is bound to what was read"
    ),
    **dict.fromkeys(
        ("foreign-page", "not-the-owner", "owner-not-yours", "role-required"),
        "tests/unit/api/test_admit.py: who is let in, and for whom",
    ),
}
_CODE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_ARGUMENT = {"Fault": 1, "fault": 0, "RequestRejected": 1}


def codes_in(source: str) -> Iterator[str]:
    """Yield the error codes that a module can produce: where one is an argument, and where pydantic's become ours."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ARGUMENT:
            position = _ARGUMENT[node.func.id]
            yield from texts(node.args[position]) if len(node.args) > position else ()
        if isinstance(node, ast.Dict):
            for value in node.values:
                if isinstance(value, ast.Tuple):
                    yield from texts(value.elts[0])
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "code":
            yield from texts(node.value)


def texts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)) if _CODE.fullmatch(text):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from texts(body)
            yield from texts(orelse)


def known_codes() -> set[str]:
    package = Path(web.__file__).parents[1]
    sources = [path for path in package.rglob("*.py") if path.stem in SOURCES]
    assert {path.stem for path in sources} == set(SOURCES)
    return {code for path in sources for code in codes_in(path.read_text())}


def test_every_error_code_that_a_caller_can_meet_is_explained() -> None:
    explained = Path("docs/api.md").read_text() + Path("docs/operations.md").read_text()
    assert {code for code in known_codes() if f"`{code}`" not in explained} == set()


def test_every_error_code_that_a_caller_can_meet_is_in_the_table() -> None:
    known = known_codes()
    assert {"required", "uri-host", "not-json", "idempotency-key-reused", "wrong-type", "not-one-of"} <= known
    assert len(known) >= 45
    shown = set(NAMED_ELSEWHERE)
    for bad in BAD.values():
        shown |= {
            bad.code,
            *(code for codes in bad.faults.values() for code in ([codes] if isinstance(codes, str) else codes)),
        }
    for _, faults, code in LISTS.values():
        shown |= {code, *faults.values()}
    for _, _, faults in CHANGES.values():
        shown |= set(faults.values())
    assert known - shown == set()
