import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from dev.emulator import SECRET_MARKER, Fault
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call, entity_tag
from provisioning.domain.errors import SettingsError, TryAgain
from provisioning.domain.operation import DueEntry, Failure, LastError
from provisioning.domain.registration import Page, Registration, Status
from tests.worlds.memory import MemoryRegistry
from tests.worlds.request_bodies import OWNER, a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.world import World

OTHER_OWNER = "99999999-2222-4333-8444-555555555555"
MARKER = "qzmarkerqz"
MANAGED = "https://ws-svc.fhir.azurehealthcareapis.com"
BUILDERS = {
    "resource": a_resource,
    "confidential": a_confidential_client,
    "public": a_public_client,
    "service": a_service_client,
}


def body_of(answer: Answer) -> dict[str, Any]:
    content = json.loads(answer.body)
    assert isinstance(content, dict)
    return content


def id_of(answer: Answer) -> str:
    assert answer.status == 202, answer.body
    return str(body_of(answer)["registrationId"])


def passes(world: World, **time: float) -> None:
    world.clock.time += timedelta(**time)


def failed_registration(world: World) -> str:
    """A client of a registration that does not exist: accepted, and failed by the queue function."""
    registration_id = id_of(world.post(a_service_client(resource=f"00000000-{OWNER}")))
    world.deliver()
    assert world.get(registration_id)["status"] == "failed"
    return registration_id


# --- accepting ------------------------------------------------------------------------------------------------------


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


# --- a representation -----------------------------------------------------------------------------------------------


def test_an_accepted_registration_shows_what_is_known_and_null_for_what_is_not() -> None:
    world = World()
    shown = world.get(id_of(world.post(a_service_client(resource=MANAGED, appRoles=[], description="d"))))
    registration_id = shown["registrationId"]
    authority = f"{world.emulator.origin}/{world.emulator.tenant_id}"
    assert shown == {
        "registrationId": registration_id,
        "clientType": "service",
        "displayName": "A service",
        "owner": OWNER,
        "contact": "team@contoso.example",
        "description": "d",
        "resource": MANAGED,
        "appRoles": [],
        "credential": {"type": "secret"},
        "status": "accepted",
        "operation": {
            "id": shown["operation"]["id"],
            "type": "provision",
            "status": "pending",
            "requestedAt": "2026-01-15T12:00:00Z",
            "failure": None,
        },
        "createdAt": "2026-01-15T12:00:00Z",
        "updatedAt": "2026-01-15T12:00:00Z",
        "tenantId": world.emulator.tenant_id,
        "clientId": None,
        "applicationObjectId": None,
        "servicePrincipalId": None,
        "oauth": {
            "authority": f"{authority}/v2.0",
            "tokenEndpoint": f"{authority}/oauth2/v2.0/token",
            "authorizationEndpoint": f"{authority}/oauth2/v2.0/authorize",
            "scope": None,
        },
        "secret": None,
        "findings": [],
        "nextSteps": [],
    }


@pytest.mark.parametrize("client_type", BUILDERS)
def test_an_active_registration_shows_its_ids_and_never_a_secret(client_type: str) -> None:
    world = World()
    world.registered(a_resource())
    body = BUILDERS[client_type]()
    if client_type == "resource":
        body["fhirServerUrl"] = "https://second.contoso.example"
    shown = world.registered(body)
    assert shown["operation"]["status"] == "succeeded"
    application = world.emulator.directory.application(app_id=shown["clientId"])
    assert application is not None
    assert application.id == shown["applicationObjectId"]
    principal = world.emulator.directory.principal_of(shown["clientId"])
    assert principal is not None
    assert principal.id == shown["servicePrincipalId"]
    assert (shown["secret"] is not None) == (client_type in ("confidential", "service"))
    assert ("fhirServerSettings" in shown) == (client_type == "resource")
    assert SECRET_MARKER not in json.dumps(shown)


def test_a_secret_is_shown_by_its_vault_id_without_a_version() -> None:
    world = World()
    world.registered(a_resource())
    shown = world.registered(a_service_client(secretLifetime="P90D"))
    assert shown["secret"]["id"] == f"{world.emulator.origin}/secrets/fhir-registrar-{shown['registrationId']}"
    assert shown["secret"]["expiresAt"] == "2026-04-15T12:00:00Z"
    application = world.emulator.directory.application(app_id=shown["clientId"])
    assert application is not None
    assert [password.key_id for password in application.passwords] == [shown["secret"]["keyId"]]


def test_a_failure_is_shown_with_its_remedy_and_no_next_steps() -> None:
    world = World()
    shown = world.get(failed_registration(world))
    assert set(shown["operation"]["failure"]) == {"code", "message", "remedy"}
    assert shown["operation"]["failure"]["code"] == "resource-not-found"
    assert shown["nextSteps"] == []


def test_a_registration_that_waits_says_why_and_stops_saying_so_when_it_is_done() -> None:
    world = World()
    registration_id = id_of(world.post(a_resource()))
    waits = LastError(Failure("graph-throttled", "m", "r", "request-1"), passing=True)
    world.registry.replace(replace(world.row(registration_id), last_error=waits))
    shown = world.get(registration_id)["operation"]
    assert shown["lastError"] == {
        "code": "graph-throttled",
        "message": "m",
        "remedy": "r",
        "graphRequestId": "request-1",
    }
    assert shown["failure"] is None
    world.deliver()
    assert "lastError" not in world.get(registration_id)["operation"]


def test_retry_after_is_there_exactly_while_an_operation_is_pending() -> None:
    world = World()
    registration_id = id_of(world.post(a_resource()))

    def show() -> Answer:
        call = Call(f"/api/registrations/{registration_id}", registration_id=registration_id)
        return world.call(web.show_registration, call)

    assert show().headers["Retry-After"] == "2"
    world.deliver()
    assert "Retry-After" not in show().headers


# --- the same request again -----------------------------------------------------------------------------------------


def test_without_a_key_every_request_is_a_new_registration() -> None:
    world = World()
    body = a_service_client(resource=MANAGED, appRoles=[])
    assert len({id_of(world.post(body)) for _ in range(3)}) == 3


def test_the_same_key_and_request_give_the_same_registration_unchanged() -> None:
    world = World()
    first = world.post(a_resource(), key="k")
    row, entries = world.row(id_of(first)), world.registry.due(world.clock.now() + timedelta(days=1), 10)
    passes(world, seconds=3)
    again = world.post(a_resource(), key="k")
    assert (again.status, again.body, again.headers) == (first.status, first.body, first.headers)
    assert world.row(id_of(first)) == row
    assert world.registry.due(world.clock.now() + timedelta(days=1), 10) == entries


def test_the_same_request_in_other_words_is_the_same() -> None:
    world = World()
    first = world.post(a_resource(), key="k")
    again = world.post(
        a_resource(owner=OWNER.upper(), fhirServerUrl="https://FHIR.contoso.example:443/", accessTokenVersion=1),
        key="k",
    )
    assert id_of(again) == id_of(first)


def test_a_key_belongs_to_an_owner() -> None:
    world = World()
    body = a_service_client(resource=MANAGED, appRoles=[])
    mine, theirs = world.post(body, key="k"), world.post({**body, "owner": OTHER_OWNER}, key="k")
    assert id_of(mine) != id_of(theirs)
    assert id_of(mine)[:8] != id_of(theirs)[:8]  # the partition, whose 32 bits two owners may share
    assert id_of(mine)[9:] != id_of(theirs)[9:]


@pytest.mark.parametrize("key", ["k", "K", "!", "~" * 255, "8b9ff5a4-1c0e-4f0c-9d6e-2f7f1e1f5a11", '"quoted"'])
def test_keys_are_compared_exactly(key: str) -> None:
    world = World()
    body = a_service_client(resource=MANAGED, appRoles=[])
    assert id_of(world.post(body, key=key)) == id_of(world.post(body, key=key))
    assert id_of(world.post(body, key=key)) != id_of(world.post(body, key="another"))


@pytest.mark.parametrize(
    ("seconds", "sent_again"), [(0, False), (1, False), (5, False), (5.1, True), (60, True), (86_400, True)]
)
def test_the_message_is_sent_again_once_the_first_may_be_lost(seconds: float, sent_again: bool) -> None:  # noqa: FBT001
    world = World()
    first = world.post(a_resource(), key="k")
    passes(world, seconds=seconds)
    again = world.post(a_resource(), key="k")
    assert again.message == (first.message if sent_again else None)


def test_what_is_finished_is_shown_and_not_sent_again() -> None:
    world = World()
    registration_id = id_of(world.post(a_resource(), key="k"))
    world.deliver()
    calls = len(world.emulator.calls)
    passes(world, hours=1)
    again = world.post(a_resource(), key="k")
    assert (body_of(again), again.message) == (world.get(registration_id), None)
    assert body_of(again)["status"] == "active"
    assert len(world.emulator.calls) == calls
    assert world.registry.due(world.clock.now() + timedelta(days=1), 10) == []


def test_what_has_failed_is_shown_and_not_sent_again() -> None:
    world = World()
    body = a_service_client(resource=f"00000000-{OWNER}")
    registration_id = id_of(world.post(body, key="k"))
    world.deliver()
    passes(world, hours=1)
    again = world.post(body, key="k")
    assert (body_of(again), again.message) == (world.get(registration_id), None)
    assert body_of(again)["status"] == "failed"


def test_a_repeat_is_answered_although_the_rules_became_stricter_since() -> None:
    world = World()
    world.services = world.but(allowed_resources={"api://other": "api://other"})
    body = a_service_client(resource="api://other", secretLifetime="P180D")
    first = world.post(body, key="k")
    strict = replace(world.services.secrets, lifetime=timedelta(days=90))
    world.services = world.but(allowed_resources={}, secrets=strict)
    assert id_of(world.post(body, key="k")) == id_of(first)
    assert world.post(body, key="another").status == 400


class RacingRegistry(MemoryRegistry):
    """A registry in which another request comes in between the moment that a POST looks and the one that it writes."""

    meanwhile: Callable[[], object] | None = None

    def insert(self, registration: Registration) -> Registration | None:
        meanwhile, self.meanwhile = self.meanwhile, None
        if meanwhile is not None:
            meanwhile()
        return super().insert(registration)


def test_two_requests_with_one_key_at_the_same_moment_are_one_registration() -> None:
    registry = RacingRegistry()
    world = World(registry=registry)
    answers: list[Answer] = []
    registry.meanwhile = lambda: answers.append(world.post(a_resource(), key="k"))
    answers.append(world.post(a_resource(), key="k"))
    assert id_of(answers[0]) == id_of(answers[1])
    assert len(registry.rows) == 1
    world.deliver()
    world.settle()
    assert world.get(id_of(answers[0]))["status"] == "active"
    assert len([each for each in world.emulator.calls if each.operation == "graph.createApplication"]) == 1


def test_the_loser_of_a_race_for_a_key_keeps_neither_server_nor_due_entry() -> None:
    registry = RacingRegistry()
    world = World(registry=registry)
    winner: list[Answer] = []

    def meanwhile() -> None:
        passes(world, seconds=1)
        winner.append(world.post(a_resource(), key="k"))

    registry.meanwhile = meanwhile
    loser = world.post(a_resource(fhirServerUrl="https://other.example"), key="k")
    assert (loser.status, body_of(loser)["code"], loser.message) == (409, "idempotency-key-reused", None)
    assert {entry.due_at for entry in registry.entries} == {world.row(id_of(winner[0])).due_at}
    assert world.post(a_resource(fhirServerUrl="https://other.example")).status == 202
    client = world.post(a_service_client(resource="https://other.example"))
    world.deliver()
    assert world.get(id_of(client))["oauth"]["scope"].startswith(f"api://{world.emulator.tenant_id}/other.example/")


# --- one registration for one server --------------------------------------------------------------------------------


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


# --- a list ---------------------------------------------------------------------------------------------------------


def filled() -> World:
    world = World()
    world.registered(a_resource())
    for number in range(3):
        world.registered(a_service_client(displayName=f"s{number}"))
    world.registered(a_public_client(owner=OTHER_OWNER))
    failed_registration(world)
    id_of(world.post(a_confidential_client()))
    gone = id_of(world.post(a_confidential_client(displayName="gone")))
    world.registry.replace(replace(world.row(gone), status=Status.DELETED))
    return world


def shown_in(page: dict[str, Any]) -> list[tuple[str, str]]:
    return sorted((each["clientType"], each["status"]) for each in page["value"])


ACTIVE_SERVICES = [("service", "active")] * 3


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        (
            {},
            [
                ("confidential", "accepted"),
                ("public", "active"),
                ("resource", "active"),
                *ACTIVE_SERVICES,
                ("service", "failed"),
            ],
        ),
        ({"owner": OTHER_OWNER}, [("public", "active")]),
        ({"owner": OTHER_OWNER.upper()}, [("public", "active")]),
        ({"owner": "00000000-2222-4333-8444-555555555555"}, []),
        ({"clientType": "service"}, [*ACTIVE_SERVICES, ("service", "failed")]),
        ({"status": "accepted"}, [("confidential", "accepted")]),
        ({"status": "deleted"}, [("confidential", "deleted")]),
        ({"status": "deleting"}, []),
        ({"clientType": "service", "status": "active", "owner": OWNER}, ACTIVE_SERVICES),
        ({"clientType": "service", "code": "the function key"}, [*ACTIVE_SERVICES, ("service", "failed")]),
    ],
    ids=[
        "all but deleted",
        "owner",
        "owner in upper case",
        "another owner",
        "client type",
        "status",
        "deleted",
        "none",
        "all three",
        "beside the host's key",
    ],
)
def test_a_list_is_filtered(query: dict[str, str], expected: list[tuple[str, str]]) -> None:
    page = filled().list(**query)
    assert shown_in(page) == expected
    assert page["continuationToken"] is None


@pytest.mark.parametrize("top", [1, 2, 3, 7, 200])
def test_pages_put_together_are_the_list_each_once(top: int) -> None:
    world = filled()
    whole = world.list()["value"]
    collected: list[Any] = []
    page = world.list(top=str(top))
    while True:
        assert len(page["value"]) <= top
        collected += page["value"]
        if page["continuationToken"] is None:
            break
        page = world.list(top=str(top), continuationToken=page["continuationToken"])
    assert collected == whole
    assert len({each["registrationId"] for each in collected}) == len(collected) == 7


def test_a_list_shows_what_a_single_read_shows() -> None:
    world = filled()
    for shown in world.list()["value"]:
        assert world.get(shown["registrationId"]) == shown


def test_fifty_are_shown_by_default() -> None:
    world = World()
    for number in range(51):
        id_of(world.post(a_service_client(resource=MANAGED, appRoles=[]), key=str(number)))
    page = world.list()
    assert len(page["value"]) == 50
    assert len(world.list(continuationToken=page["continuationToken"])["value"]) == 1


# --- retry ----------------------------------------------------------------------------------------------------------


def test_a_failed_registration_is_retried_with_a_new_operation() -> None:
    world = World()
    registration_id = failed_registration(world)
    before = world.get(registration_id)
    passes(world, hours=1)
    answer = world.retry(registration_id)
    shown = body_of(answer)
    assert (answer.status, shown["status"], shown["operation"]["status"]) == (202, "accepted", "pending")
    assert shown["operation"]["id"] != before["operation"]["id"]
    assert shown["operation"]["failure"] is None
    assert answer.headers["Location"] == f"/api/registrations/{registration_id}"
    assert answer.headers["Retry-After"] == "2"
    assert answer.message is not None
    assert json.loads(answer.message)["operationId"] == shown["operation"]["id"]
    due = world.registry.due(world.clock.now() + timedelta(days=1), 10)
    assert DueEntry(registration_id, world.clock.now() + timedelta(minutes=2)) in due


def test_a_retry_succeeds_once_its_cause_is_mended() -> None:
    world = World()
    world.registered(a_resource())
    world.emulator.faults.set(service_management_reference_required=True)
    registration_id = id_of(world.post(a_service_client()))
    world.deliver()
    assert world.get(registration_id)["operation"]["failure"]["code"] == "service-management-reference-required"
    world.emulator.faults.clear()
    world.retry(registration_id)
    world.deliver()
    assert world.get(registration_id)["status"] == "active"


def test_a_second_retry_is_a_conflict() -> None:
    world = World()
    registration_id = failed_registration(world)
    assert world.retry(registration_id).status == 202
    again = world.retry(registration_id)
    assert (again.status, body_of(again)["code"], again.message) == (409, "registration-not-failed", None)


class OvertakenRegistry(MemoryRegistry):
    """A registry in which somebody else writes a row between the moment that it is read and the one it is written."""

    def __init__(self) -> None:
        super().__init__()
        self.overtaking = False

    def get(self, registration_id: str) -> Registration | None:
        row = super().get(registration_id)
        if row is not None and self.overtaking:
            self.overtaking = False
            super().replace(row)
        return row


def test_a_retry_that_somebody_overtook_is_judged_anew() -> None:
    registry = OvertakenRegistry()
    world = World(registry=registry)
    registration_id = failed_registration(world)
    registry.overtaking = True
    answers = [world.retry(registration_id) for _ in range(2)]
    assert [answer.status for answer in answers] == [202, 409]
    assert len([each for each in world.queue if not each.poison]) == 1


# --- a dry run ------------------------------------------------------------------------------------------------------

DRY_RUN = {"dryRun": "true"}


def includes(stored: Any, sent: Any) -> bool:
    """Whether all that was sent is stored; what Entra adds by itself may stand beside it."""
    if isinstance(sent, dict):
        return isinstance(stored, dict) and all(name in stored and includes(stored[name], sent[name]) for name in sent)
    return bool(stored == sent)


@pytest.mark.parametrize(
    "body",
    [
        a_resource(fhirServerUrl="https://other.example/r4", description="d", serviceManagementReference="s"),
        a_resource(fhirServerUrl="https://fhir2.contoso.example", accessTokenVersion=2, scopes=["patient.all.read"]),
        a_confidential_client(logoutUrl="https://app.contoso.example/out", secretLifetime="P90D", autoRotate=True),
        a_confidential_client(resource=MANAGED, redirectUris=["https://A.example", "http://localhost:1/"]),
        a_public_client(scopes=["user_impersonation"]),
        a_public_client(platform="native", redirectUris=["com.example.app://auth"]),
        a_service_client(appRoles=["globalReader", "globalExporter"]),
        a_service_client(resource=MANAGED, appRoles=[]),
    ],
    ids=[
        "resource v1",
        "resource v2",
        "confidential",
        "confidential of a managed service",
        "single-page",
        "native",
        "service",
        "service of a managed service",
    ],
)
def test_a_dry_run_shows_exactly_what_is_then_sent_to_entra(body: dict[str, Any]) -> None:
    world = World()
    world.registered(a_resource())
    seen = body_of(world.post(body, key="k", query=DRY_RUN))
    registration_id = id_of(world.post(body, key="k"))
    assert seen["registrationId"] == registration_id
    world.deliver()
    shown = world.get(registration_id)
    assert shown["status"] == "active"
    assert includes(shown, seen["request"])
    application = world.emulator.directory.application(app_id=shown["clientId"])
    assert application is not None
    sent = dict(seen["application"])
    passwords = sent.pop("passwordCredentials", [])
    owners = [url.rpartition("/")[2] for url in sent.pop("owners@odata.bind")]
    if shown.get("accessTokenVersion") == 2:
        assert "identifierUris" not in sent
    assert includes(application.last_body, sent)
    assert application.owners == {*owners}
    # The label names the operation, which a dry run does not have; the time is the same in this world.
    assert all(each["displayName"].startswith("registrar:") for each in passwords)
    assert [each["endDateTime"] for each in passwords] == [
        each.end.strftime("%Y-%m-%dT%H:%M:%SZ") for each in application.passwords
    ]


@pytest.mark.parametrize("client_type", BUILDERS)
def test_a_dry_run_stores_and_sends_nothing(client_type: str) -> None:
    world = World()
    if client_type != "resource":
        world.registered(a_resource())
    registry: Any = world.registry
    before = dict(registry.rows), set(registry.entries), dict(registry.names), len(world.emulator.calls)
    answer = world.post(BUILDERS[client_type](), query=DRY_RUN)
    assert (answer.status, answer.message) == (200, None)
    assert set(body_of(answer)) == {"registrationId", "request", "application", "warnings", "nextSteps"}
    assert (dict(registry.rows), set(registry.entries), dict(registry.names), len(world.emulator.calls)) == before
    assert not world.queue


@pytest.mark.parametrize("value", ["true", "True", "TRUE"])
def test_a_dry_run_is_asked_for_in_any_case(value: str) -> None:
    assert World().post(a_resource(), query={"dryRun": value}).status == 200


@pytest.mark.parametrize(
    "query", [{}, {"dryRun": "false"}, {"dryRun": "False"}, {"code": "the function key"}], ids=repr
)
def test_without_it_the_request_is_carried_out(query: dict[str, str]) -> None:
    assert World().post(a_resource(), query=query).status == 202


def test_a_dry_run_warns_of_what_may_not_be_as_the_caller_thinks() -> None:
    def warned(world: World, body: dict[str, Any]) -> list[str]:
        return [warning["code"] for warning in body_of(world.post(body, query=DRY_RUN))["warnings"]]

    world = World()
    world.registered(a_resource())
    assert warned(world, a_confidential_client()) == []
    assert warned(world, a_confidential_client(redirectUris=["http://localhost:1/"])) == ["localhost-redirect"]
    assert warned(world, a_confidential_client(redirectUris=["http://127.0.0.1:1/"])) == []
    assert warned(world, a_service_client(resource=MANAGED, appRoles=[])) == []
    without = World(managed_fhir=False)
    assert warned(without, a_service_client(resource=MANAGED, appRoles=[])) == ["resource-service-principal-missing"]


# --- when something is wrong on our side ----------------------------------------------------------------------------


class BrokenRegistry(MemoryRegistry):
    """A registry that raises one error, whatever it is asked."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def get(self, registration_id: str) -> Registration | None:
        raise self.error

    def put_due(self, entry: DueEntry) -> None:
        raise self.error

    def find(self, **_query: Any) -> Page:
        raise self.error


def every_answer(world: World) -> list[Answer]:
    call = Call("/api/registrations/x", registration_id=f"00000000-{OWNER}")
    return [
        world.post(a_resource()),
        world.post(a_resource(), key="k"),
        world.call(web.show_registration, call),
        world.call(web.retry_registration, call),
        world.call(web.list_registrations, Call("/api/registrations")),
    ]


@pytest.mark.parametrize(("retry_after", "header"), [(None, "2"), (0.2, "1"), (7, "7"), (7.6, "8"), (3600.0, "3600")])
def test_what_passes_with_time_is_503_with_when_to_come_back(retry_after: float | None, header: str) -> None:
    world = World(registry=BrokenRegistry(TryAgain("storage-unavailable", "Constant.", retry_after=retry_after)))
    for answer in every_answer(world):
        assert (answer.status, answer.content_type) == (503, "application/problem+json")
        assert answer.headers["Retry-After"] == header
        assert body_of(answer)["code"] == "storage-unavailable"
        assert answer.message is None


def test_a_throttled_lookup_of_a_dry_run_passes_on_when_to_come_back() -> None:
    world = World(settings={"ALLOWED_RESOURCES": "api://other"})
    world.emulator.faults.add(Fault("throttle", operation="graph.*", times=None, retry_after=9))
    answer = world.post(a_service_client(resource="api://other"), query=DRY_RUN)
    assert (answer.status, body_of(answer)["code"], answer.headers["Retry-After"]) == (503, "graph-throttled", "9")


def test_wrong_settings_are_500_without_their_names() -> None:
    def services() -> Any:
        raise SettingsError([f"KEY_VAULT_URL: {MARKER}"])

    for handle in (web.submit_registration, web.show_registration, web.retry_registration, web.list_registrations):
        answer = web.answer(services, handle, Call("/api/registrations"))
        assert (answer.status, answer.content_type, body_of(answer)["code"]) == (
            500,
            "application/problem+json",
            "misconfigured",
        )
        assert "KEY_VAULT_URL" not in answer.body
        assert MARKER not in answer.body


def test_an_error_that_nobody_foresaw_is_500_without_its_text() -> None:
    world = World(registry=BrokenRegistry(RuntimeError(MARKER)))
    for answer in every_answer(world):
        assert (answer.status, answer.content_type, body_of(answer)["code"]) == (
            500,
            "application/problem+json",
            "internal-error",
        )
        assert MARKER not in answer.body
        assert "RuntimeError" not in answer.body
        assert answer.message is None
