"""A dry run shows what would be sent, and does nothing."""

from typing import Any

import pytest

from dev.emulator import Fault
from tests.worlds.request_bodies import (
    MANAGED,
    REQUESTS,
    a_confidential_client,
    a_public_client,
    a_resource,
    a_service_client,
)
from tests.worlds.steps import body_of, id_of
from tests.worlds.world import World

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


@pytest.mark.parametrize("client_type", REQUESTS)
def test_a_dry_run_stores_and_sends_nothing(client_type: str) -> None:
    world = World()
    if client_type != "resource":
        world.registered(a_resource())
    registry: Any = world.registry
    before = dict(registry.rows), set(registry.entries), dict(registry.names), len(world.emulator.calls)
    answer = world.post(REQUESTS[client_type](), query=DRY_RUN)
    assert (answer.status, answer.message) == (200, None)
    assert set(body_of(answer)) == {
        "registrationId",
        "request",
        "application",
        "approvalsNeeded",
        "warnings",
        "nextSteps",
    }
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


@pytest.mark.parametrize(
    ("status", "code", "answered"),
    [
        (401, "graph-token-refused", 503),
        (429, "graph-throttled", 503),
        (503, "graph-unavailable", 503),
        (403, "permission-missing", 400),
        (418, "graph-refused", 400),
    ],
)
def test_a_dry_run_that_graph_does_not_answer_says_whether_to_send_it_again(
    status: int, code: str, answered: int
) -> None:
    world = World()
    code_of_graph = "Authorization_RequestDenied" if status == 403 else ""
    fault = Fault("status", operation="graph.readServicePrincipal", status=status, code=code_of_graph, times=None)
    world.emulator.faults.add(fault)
    answer = world.post(a_public_client(resource=MANAGED), query=DRY_RUN)
    assert (answer.status, body_of(answer)["code"]) == (answered, code)
    assert ("Retry-After" in answer.headers) == (answered == 503)
