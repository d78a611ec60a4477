"""What is not fully understood is refused, never ignored: the query, the body, the headers."""

import gzip
import json
import re
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode, urlsplit

import pytest

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.api.openapi.served import show_docs_for_key_holders, show_openapi
from provisioning.flow.plan import STALLED_AFTER
from tests.worlds.request_bodies import a_public_client, a_resource, a_service_client
from tests.worlds.world import World

ID = "00000000-11111111-2222-4333-8444-555555555555"
JSON = {"content-type": "application/json"}
TRACED = {"traceparent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"}


def code_of(answer: Answer) -> str:
    return str(json.loads(answer.body)["code"])


def faults_of(answer: Answer) -> list[tuple[str, str]]:
    return [(each["pointer"], each["code"]) for each in json.loads(answer.body).get("errors", [])]


def ask(world: World, name: str, registration_id: str = ID, **parts: Any) -> Answer:
    """Send one call by its name, with the body that it needs unless another is given."""
    act = name.removesuffix("_registration")
    if name in ("approve_client", "revoke_client"):
        row = world.registry.get(registration_id.lower())
        parts["client_registration_id"] = registration_id
        registration_id = (row.resource.registration_id if row and row.resource else None) or ID
    acts = ("retry", "rotate", "approve", "deny", "revoke")
    suffix = f"/{act}" if act in acts else "/events" if act == "list_events" else ""
    collection = name in ("submit_registration", "list_registrations")
    path = "/api/registrations" if collection else f"/api/registrations/{registration_id}{suffix}"
    decision = {"digest": "0" * 64, "reason": "Because."}
    bodies = {
        "submit_registration": a_resource(),
        "change_registration": {"displayName": "New"},
        "approve_registration": decision,
        "deny_registration": decision,
        "approve_client": {"permissions": ["globalReader"]},
    }
    if name in bodies:
        parts = {"headers": JSON, "body": json.dumps(bodies[name]).encode()} | parts
    parts["headers"] = TRACED | parts.get("headers", {})
    return world.call(web.CALLS[name], Call(path, registration_id="" if collection else registration_id, **parts))


BODILESS = [
    *("delete_registration", "list_events", "list_registrations", "retry_registration", "revoke_registration"),
    *("show_registration", "list_clients", "revoke_client", "show_policy", "show_readiness", "show_caller"),
]
READING = {
    "list_events",
    "list_clients",
    "list_registrations",
    "show_registration",
    "show_policy",
    "show_caller",
    "show_readiness",
}
WRITING = sorted(set(web.CALLS) - READING)
OF_THE_CHAT = {"link_chat", "unlink_chat"}


def active(world: World, body: dict[str, Any] | None = None) -> str:
    if body is None:
        world.registered(a_resource())
        body = a_service_client()
    return str(world.registered(body)["registrationId"])


def everything(world: World) -> Any:
    registry: Any = world.registry
    return dict(registry.rows), set(registry.entries), dict(registry.names), len(world.emulator.calls), len(world.queue)


# --- the query ------------------------------------------------------------------------------------------------------


def test_a_call_is_what_was_received_with_its_names_in_lower_case() -> None:
    url = f"https://r.contoso.example/api/registrations/{ID}/clients/{ID[9:]}/approve?dryRun=true"
    values = {"registrationId": ID, "clientId": ID[9:]}
    assert Call.received("post", url, {"If-Match": "*", "X-One": "1"}, b"{}", values) == Call(
        urlsplit(url).path, {"if-match": "*", "x-one": "1"}, "dryRun=true", b"{}", ID, ID[9:], "POST"
    )


def test_a_call_is_answered_by_its_name() -> None:
    world = World()
    answer = web.answer_call(lambda: world.services, "list_registrations", Call("/api/registrations"))
    assert (answer.status, json.loads(answer.body)["value"]) == (200, [])


@pytest.mark.parametrize("name", sorted(web.CALLS))
@pytest.mark.parametrize("query", ["dryrun=true", "dry_run=true", "force", "x=1", "%64ryRun%20=true", "=1"])
def test_a_parameter_that_a_call_does_not_know_is_refused_by_every_call(name: str, query: str) -> None:
    answer = ask(World(), name, query=query)
    assert (answer.status, code_of(answer)) == (400, "invalid-query")
    assert ("?", "query-parameter-unknown") in faults_of(answer)


@pytest.mark.parametrize("name", WRITING)
@pytest.mark.parametrize("query", ["dryRun=", "dryRun", "dryRun=&dryRun=true"])
def test_a_flag_without_a_value_is_refused_and_nothing_is_done(name: str, query: str) -> None:
    world = World()
    registration_id = active(world)
    before = everything(world)
    answer = ask(world, name, registration_id, query=query)
    assert (answer.status, code_of(answer)) == (400, "invalid-query")
    assert everything(world) == before


@pytest.mark.parametrize("query", ["owner=", "clientType=", "status=", "top=", "continuationToken="])
def test_a_filter_without_a_value_does_not_list_everything(query: str) -> None:
    answer = ask(World(), "list_registrations", query=query)
    assert faults_of(answer) == [(f"?{query[:-1]}", "query-parameter-empty")]


@pytest.mark.parametrize("query", ["dryRun=true&dryRun=false", "dryRun=true&dryRun=true"])
def test_a_parameter_that_stands_twice_is_refused(query: str) -> None:
    assert faults_of(ask(World(), "submit_registration", query=query)) == [("?dryRun", "query-parameter-repeated")]


@pytest.mark.parametrize("query", ["code=key", "code=key&clientId=default", "Code=key"])
def test_the_hosts_own_parameters_are_not_the_calls(query: str) -> None:
    assert ask(World(), "submit_registration", query=query).status == 202


@pytest.mark.parametrize("handle", [show_openapi, show_docs_for_key_holders])
def test_the_description_takes_no_parameters_either(handle: Any) -> None:
    assert web.answer_alone(handle, Call("/api/docs", query="x=1")).status == 400
    assert web.answer_alone(handle, Call("/api/docs")).status == 200


# --- a dry run of every call that writes -----------------------------------------------------------------------------

DRY_RUN = urlencode({"dryRun": "true"})


@pytest.mark.parametrize("name", ["change_registration", "delete_registration", "rotate_registration"])
def test_a_dry_run_of_any_call_stores_and_sends_nothing(name: str) -> None:
    world = World()
    registration_id = active(world)
    before = everything(world)
    answer = ask(world, name, registration_id, query=DRY_RUN)
    assert (answer.status, answer.message) == (200, None)
    assert ("application" in json.loads(answer.body)) is (name == "change_registration")
    assert everything(world) == before


@pytest.mark.parametrize("name", ["change_registration", "delete_registration", "rotate_registration"])
def test_a_call_costs_two_writes_beside_reads_of_rows_and_its_dry_run_no_more_than_those(name: str) -> None:
    world = World()
    registration_id = active(world)
    costs = []
    for query in (DRY_RUN, ""):
        calls: list[str] = []
        world.outside = noting(calls)
        assert ask(world, name, registration_id, query=query).status in (200, 202)
        costs.append([each for each in calls if each != "registry.get"])
    assert costs == [[], ["registry.put_due", "registry.replace", "queue.send"]]
    assert world.row(registration_id).due_at == world.clock.now() + STALLED_AFTER


def noting(calls: list[str]) -> Callable[[str, Callable[[], Any]], Any]:
    """Return what notes each outside call by its name, and makes it."""

    def outside(name: str, action: Callable[[], Any]) -> Any:
        calls.append(name)
        return action()

    return outside


def test_a_dry_run_of_a_retry_stores_and_sends_nothing() -> None:
    world = World()
    managed = "https://ws-svc.fhir.azurehealthcareapis.com"
    answer = world.post(a_public_client(resource=managed, scopes=["patient.Nothing.rs"]))
    world.deliver()
    registration_id = json.loads(answer.body)["registrationId"]
    before = everything(world)
    seen = json.loads(ask(world, "retry_registration", registration_id, query=DRY_RUN).body)
    assert (seen["operation"], seen["status"], seen["changes"]) == ("provision", "accepted", [])
    assert everything(world) == before


def test_a_dry_run_of_a_change_shows_each_field_old_and_new_and_the_body_for_graph() -> None:
    world = World()
    world.registered(a_resource())
    registration_id = active(world, a_public_client(description="before"))
    body = {"displayName": "After", "description": None, "redirectUris": ["https://new.contoso.example/cb"]}
    answer = ask(
        world, "change_registration", registration_id, query=DRY_RUN, headers=JSON, body=json.dumps(body).encode()
    )
    seen = json.loads(answer.body)
    assert {each["field"]: (each["from"], each["to"]) for each in seen["changes"]} == {
        "displayName": (a_public_client()["displayName"], "After"),
        "description": ("before", None),
        "redirectUris": (a_public_client()["redirectUris"], ["https://new.contoso.example/cb"]),
    }
    assert seen["operation"] == "change"
    assert [each["code"] for each in seen["warnings"]] == ["redirect-uris-removed"]
    world.change(registration_id, body)
    world.deliver()
    assert world.emulator.directory.application(app_id=world.get(registration_id)["clientId"]) is not None
    sent = [each for each in world.emulator.calls if each.operation == "graph.updateApplication"]
    assert len(sent) == 1
    assert seen["application"]["displayName"] == "After"


def test_a_dry_run_of_a_change_that_asks_for_nothing_new_begins_nothing() -> None:
    world = World()
    registration_id = active(world, a_resource())
    body = json.dumps({"displayName": a_resource()["displayName"]}).encode()
    seen = json.loads(ask(world, "change_registration", registration_id, query=DRY_RUN, headers=JSON, body=body).body)
    assert (seen["operation"], seen["changes"], seen["warnings"]) == (None, [], [])
    assert "clients" not in seen, "which are those that a deletion takes along"


@pytest.mark.parametrize(
    ("body", "warning"),
    [(b"", "previous-secret-replaced"), (b'{"revokePrevious": true}', "previous-secrets-end")],
)
def test_a_dry_run_of_a_rotation_says_what_becomes_of_the_secret_in_use(body: bytes, warning: str) -> None:
    world = World()
    registration_id = active(world)
    parts: dict[str, Any] = {"headers": JSON, "body": body} if body else {}
    seen = json.loads(ask(world, "rotate_registration", registration_id, query=DRY_RUN, **parts).body)
    assert (seen["operation"], [each["code"] for each in seen["warnings"]]) == ("rotate", [warning])


def test_a_dry_run_of_a_deletion_says_that_sign_ins_end() -> None:
    world = World()
    seen = json.loads(ask(world, "delete_registration", active(world), query=DRY_RUN).body)
    assert (seen["operation"], seen["status"]) == ("delete", "deleting")
    assert "clients" not in seen, "which only a resource has"
    assert [each["code"] for each in seen["warnings"]] == ["sign-ins-end"]


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("retry_registration", "active"),
        ("rotate_registration", "without a secret"),
        ("delete_registration", "accepted"),
        ("change_registration", "accepted"),
        *((name, "missing") for name in WRITING if name not in {"submit_registration", *OF_THE_CHAT}),
    ],
)
def test_a_dry_run_is_refused_exactly_as_the_call_itself_is(name: str, kind: str) -> None:
    world = World()
    match kind:
        case "active":
            registration_id = active(world)
        case "without a secret":
            registration_id = active(world, a_resource())
        case "accepted":
            registration_id = str(json.loads(world.post(a_resource()).body)["registrationId"])
        case _:
            registration_id = ID
    dry, real = (ask(world, name, registration_id, query=query) for query in (DRY_RUN, ""))
    assert real.status in (404, 409)
    assert (dry.status, dry.body) == (real.status, real.body)


# --- the body -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["submit_registration", "rotate_registration", "change_registration"])
@pytest.mark.parametrize(
    "headers",
    [
        {"content-type": "application/json"},
        {"content-type": "application/json; charset=utf-8", "transfer-encoding": "chunked"},
        {"transfer-encoding": "chunked"},
        {"content-type": "text/plain", "transfer-encoding": "chunked"},
        {"content-length": "24"},
    ],
)
def test_a_body_that_was_announced_and_did_not_arrive_is_refused(name: str, headers: dict[str, str]) -> None:
    world = World()
    registration_id = active(world)
    before = everything(world)
    answer = ask(world, name, registration_id, headers=headers, body=b"")
    assert (answer.status, code_of(answer)) == (400, "body-not-delivered")
    assert everything(world) == before


@pytest.mark.parametrize(
    "headers", [{}, {"content-length": "0"}, {"content-type": "application/x-www-form-urlencoded"}]
)
def test_a_rotation_needs_no_body(headers: dict[str, str]) -> None:
    world = World()
    assert ask(world, "rotate_registration", active(world), headers=headers).status == 202


@pytest.mark.parametrize("name", BODILESS)
@pytest.mark.parametrize(
    "parts",
    [{"body": b"{}", "headers": JSON}, {"body": b"x"}, {"headers": {"transfer-encoding": "chunked"}}],
    ids=["an empty object", "a text", "chunks"],
)
def test_a_body_that_a_call_has_no_use_for_is_refused(name: str, parts: dict[str, Any]) -> None:
    answer = ask(World(), name, **parts)
    assert (answer.status, code_of(answer)) == (400, "body-not-expected")


@pytest.mark.parametrize("name", ["show_registration", "delete_registration"])
def test_a_client_that_labels_every_request_as_json_is_understood(name: str) -> None:
    world = World()
    assert ask(world, name, active(world), headers=JSON).status in (200, 202)


@pytest.mark.parametrize("encoding", ["gzip", "br", "deflate", "GZIP", "identity, gzip", "zstd", "x-unknown"])
def test_a_compressed_body_is_told_to_be_one(encoding: str) -> None:
    raw = gzip.compress(json.dumps(a_resource()).encode())
    headers = JSON | {"content-encoding": encoding}
    answer = ask(World(), "submit_registration", headers=headers, body=raw)
    assert (answer.status, code_of(answer)) == (415, "encoding-not-supported")


@pytest.mark.parametrize("encoding", ["identity", "Identity", ""])
def test_a_body_as_it_is_may_say_so(encoding: str) -> None:
    headers = JSON | {"content-encoding": encoding}
    assert ask(World(), "submit_registration", headers=headers).status == 202


@pytest.mark.parametrize(
    ("raw", "where"),
    [
        (b'{\n  "clientType" "resource"\n}', "line 2, column 16"),
        (b'{"displayName": ', "line 1, column 17"),
        (b'{"displayName": "\xff"}', "byte 18"),
        (b'{"owner": 1, "owner": 2}', "twice"),
        (b'{"top": NaN}', "NaN"),
        (b'{"top": ' + b"9" * 5000 + b"}", "number"),
        (b"[" * 50_000, "nested"),
    ],
    ids=["a colon", "cut off", "not UTF-8", "a name twice", "not a number", "a long number", "nested"],
)
def test_invalid_json_is_told_where_it_goes_wrong(raw: bytes, where: str) -> None:
    answer = ask(World(), "submit_registration", headers=JSON, body=raw)
    assert (answer.status, code_of(answer)) == (400, "invalid-json")
    assert where in json.loads(answer.body)["detail"]


# --- ids and conditions ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", sorted(set(web.CALLS) - {"submit_registration", "list_registrations"}))
def test_an_id_is_found_in_any_case(name: str) -> None:
    world = World()
    registration_id = active(world)
    answers = [ask(world, name, each, query="") for each in (registration_id.upper(), registration_id)]
    assert 404 not in {answer.status for answer in answers}


@pytest.mark.parametrize(
    "path",
    [
        "/api/registrations/{}/rotate",
        "/api/Registrations/{}/rotate",
        "/gateway/registrations/{}/rotate",
        "/api/registrations/%61{}/rotate",
    ],
)
def test_location_leads_to_the_registration_however_its_path_was_written(path: str) -> None:
    world = World()
    registration_id = active(world)
    written = path.format(registration_id.replace("-", "%2D") if "%" in path else registration_id)
    call = Call(written, registration_id=registration_id)
    location = world.call(web.rotate_registration, call).headers["Location"]
    assert location == f"{path.partition('/{')[0].partition('/%')[0]}/{registration_id}"


CONDITIONAL = ["change_registration", "rotate_registration", "delete_registration"]


@pytest.mark.parametrize("name", CONDITIONAL)
def test_what_has_changed_since_it_was_read_is_not_written(name: str) -> None:
    world = World()
    registration_id = active(world)
    before = ask(world, "show_registration", registration_id).headers["ETag"]
    assert re.fullmatch('"[0-9a-f]{24}"', before)
    world.change(registration_id, {"displayName": "Meanwhile"})
    world.settle()
    answer = ask(world, name, registration_id, **_with(name, before))
    assert (answer.status, code_of(answer)) == (412, "registration-changed")
    now = ask(world, "show_registration", registration_id).headers["ETag"]
    assert now != before
    assert ask(world, name, registration_id, **_with(name, f'"other", {now}')).status == 202


@pytest.mark.parametrize("name", CONDITIONAL)
def test_a_star_matches_whatever_there_is(name: str) -> None:
    world = World()
    assert ask(world, name, active(world), **_with(name, "*")).status == 202


@pytest.mark.parametrize("tag", ["abc", '"abc', "", '"a" "b"', "**"])
def test_a_condition_that_is_no_entity_tag_is_refused(tag: str) -> None:
    world = World()
    answer = ask(world, "delete_registration", active(world), **_with("delete_registration", tag))
    assert (answer.status, code_of(answer)) == (400, "invalid-if-match")


def test_a_weak_entity_tag_matches_nothing() -> None:
    world = World()
    registration_id = active(world)
    tag = ask(world, "show_registration", registration_id).headers["ETag"]
    assert ask(world, "delete_registration", registration_id, headers={"if-match": f"W/{tag}"}).status == 412


@pytest.mark.parametrize("header", ["if-none-match", "if-unmodified-since", "if-modified-since"])
def test_a_condition_that_is_not_known_is_refused_and_not_ignored(header: str) -> None:
    world = World()
    answer = ask(world, "delete_registration", active(world), headers={header: "*"})
    assert (answer.status, code_of(answer)) == (400, "condition-not-supported")


@pytest.mark.parametrize("name", sorted(set(WRITING) - {"submit_registration"}))
def test_an_idempotency_key_is_refused_where_it_would_do_nothing(name: str) -> None:
    world = World()
    headers = {"idempotency-key": "k"} | (JSON if name in {"change_registration", "approve_client"} else {})
    answer = ask(world, name, active(world), headers=headers)
    assert (answer.status, code_of(answer)) == (400, "idempotency-key-not-supported")


def test_the_entity_tag_of_an_accepted_change_is_that_of_the_next_read() -> None:
    world = World()
    registration_id = active(world)
    accepted = ask(world, "rotate_registration", registration_id)
    assert accepted.headers["ETag"] == ask(world, "show_registration", registration_id).headers["ETag"]


def _with(name: str, tag: str) -> dict[str, Any]:
    return {"headers": {"if-match": tag} | (JSON if name == "change_registration" else {})}
