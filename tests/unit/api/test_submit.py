"""A request that is accepted: how it is answered, what is stored, and which server it keeps."""

import json
from dataclasses import replace
from datetime import timedelta

import pytest

from provisioning.api import web
from provisioning.api.calls import Call, entity_tag
from provisioning.domain.operation import Failure
from provisioning.domain.registration import Registration, Status
from provisioning.domain.traces import read_traceparent
from tests.worlds.request_bodies import OWNER, a_resource, a_service_client
from tests.worlds.steps import body_of, id_of
from tests.worlds.world import World


def test_an_accepted_request_is_answered_with_where_and_when_to_poll() -> None:
    world = World()
    answer = world.post(a_resource())
    assert answer.status == 202
    assert answer.content_type == "application/json"
    assert answer.headers == {
        "Location": f"/api/registrations/{id_of(answer)}",
        "Retry-After": "2",
        "ETag": entity_tag(world.row(id_of(answer))),
        "Cache-Control": "no-store",
        "traceparent": answer.headers["traceparent"],
    }
    assert world.get(id_of(answer)) == body_of(answer)


def test_location_follows_the_path_that_the_caller_used() -> None:
    world = World()
    raw = json.dumps(a_resource()).encode()
    call = Call("/gateway/fhir/registrations/", {"content-type": "application/json;charset=utf-8"}, "", raw)
    answer = world.call(web.submit_registration, call)
    assert answer.headers["Location"] == f"/gateway/fhir/registrations/{id_of(answer)}"


def test_the_message_names_the_operation_and_nothing_else() -> None:
    answer = World().post(a_resource())
    assert answer.message is not None
    assert json.loads(answer.message) == {
        "operation": "provision",
        "registrationId": id_of(answer),
        "operationId": body_of(answer)["operation"]["id"],
        "trace": read_traceparent(answer.headers["traceparent"]),
    }


def test_an_accepted_registration_is_stored_due_and_untouched_outside() -> None:
    world = World()
    registration_id = id_of(world.post(a_resource()))
    assert world.row(registration_id).status is Status.ACCEPTED
    [entry] = world.registry.due(world.clock.now() + timedelta(days=1), 10)
    assert (entry.registration_id, entry.due_at) == (registration_id, world.row(registration_id).due_at)
    assert world.emulator.calls == []


@pytest.mark.parametrize("content_type", ["application/json", "Application/JSON", "application/json; charset=UTF-8"])
@pytest.mark.parametrize("prefix", [b"", b"\xef\xbb\xbf", b" \r\n"], ids=["plain", "byte order mark", "white space"])
def test_json_is_json_however_a_client_labels_it(content_type: str, prefix: bytes) -> None:
    raw = prefix + json.dumps(a_resource(displayName="Zoë 😀")).encode()
    answer = World().call(web.submit_registration, Call("/api/registrations", {"content-type": content_type}, "", raw))
    assert body_of(answer)["displayName"] == "Zoë 😀"


def test_a_body_of_exactly_64_kb_is_read() -> None:
    raw = json.dumps(a_resource()).encode().ljust(64 * 1024)
    assert World().post(raw).status == 202
    assert World().post(raw + b" ").status == 413


def test_a_post_that_died_after_its_claim_does_not_keep_the_server() -> None:
    world = World()
    world.registry.claim("https://fhir.contoso.example", f"00000000-{OWNER}")
    assert world.post(a_resource(), query={"dryRun": "true"}).status == 200
    assert world.registered(a_resource())


def failed_resource(world: World, application_object_id: str | None) -> Registration:
    row = world.row(id_of(world.post(a_resource())))
    left = replace(row, application_object_id=application_object_id)
    return world.registry.replace(left.failed(Failure("x", "y"), world.clock.now()))


def test_a_failed_registration_keeps_its_server_while_an_application_may_be_behind_it() -> None:
    world = World()
    failed_resource(world, "an application")
    assert world.post(a_resource(), query={"dryRun": "true"}).status == 409
    assert world.post(a_resource()).status == 409


def test_a_registration_that_failed_keeps_its_server_until_it_is_deleted_because_nobody_knows_what_it_made() -> None:
    world = World()
    before = failed_resource(world, None)
    assert world.post(a_resource()).status == 409
    assert world.delete(before.id).status == 202
    world.settle()
    assert world.post(a_resource(), query={"dryRun": "true"}).status == 200
    following = world.registered(a_resource())
    assert world.registered(a_service_client())["oauth"]["scope"] == following["oauth"]["scope"]


def test_a_deleted_registration_keeps_nothing() -> None:
    world = World()
    row = failed_resource(world, "an application")
    world.registry.replace(replace(row, status=Status.DELETED))
    assert world.post(a_resource(), query={"dryRun": "true"}).status == 200
    assert world.post(a_resource()).status == 202


def test_a_port_or_a_path_makes_another_server() -> None:
    world = World()
    urls = ["https://fhir.contoso.example", "https://fhir.contoso.example:8443", "https://fhir.contoso.example/r4"]
    assert [world.registered(a_resource(fhirServerUrl=url))["fhirServerUrl"] for url in urls] == urls
