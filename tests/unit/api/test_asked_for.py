"""What a client asks of its resource is judged when it is accepted, as far as our own rows tell."""

import json
from dataclasses import replace
from typing import Any

import pytest

from provisioning.api.answers import Answer
from provisioning.domain.registration import Registration
from tests.worlds.checker import check
from tests.worlds.memory import MemoryRegistry
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.steps import FOREIGN_URI, a_foreign_resource, failure_of, listed, operations, submitted
from tests.worlds.world import World

SERVER = "https://fhir.contoso.example"
MANAGED = "https://ws-svc.fhir.azurehealthcareapis.com"
GRAPH = "https://graph.microsoft.com"
SMART = ["user_impersonation", "patient.Patient.rs", "fhirUser"]


def a_world(registry: MemoryRegistry | None = None) -> World:
    """A world in which a foreign resource may be asked for."""
    world = World(registry=registry)
    a_foreign_resource(world)
    world.exchange(lambda services: replace(services, allowed_resources=listed(FOREIGN_URI)))
    world.emulator.calls.clear()
    return world


def faults_of(answer: Answer) -> list[tuple[str, str]]:
    content = json.loads(answer.body)
    assert (answer.status, content["code"]) == (400, "invalid-request"), answer.body
    return [(fault["pointer"], fault["code"]) for fault in content["errors"]]


@pytest.mark.parametrize("accepted_only", [False, True], ids=["an active resource", "one on its way"])
@pytest.mark.parametrize("query", [None, {"dryRun": "true"}], ids=["the call", "its dry run"])
def test_a_permission_that_a_resource_of_ours_lacks_is_refused_when_it_is_asked_for(
    query: dict[str, str] | None, *, accepted_only: bool
) -> None:
    world = World()
    resource = submitted(world, a_resource(scopes=SMART))
    if not accepted_only:
        world.deliver()
    before = len(world.registry.find(top=10).registrations), len(world.queue)
    for reference in (SERVER, resource):
        scopes = world.post(a_public_client(resource=reference, scopes=["fhirUser", "patient.Patient.r"]), query=query)
        assert faults_of(scopes) == [("#/scopes/1", "scope-not-found")]
        assert "Did you mean patient.Patient.rs? It has user_impersonation" in scopes.body
        roles = world.post(a_service_client(resource=reference, appRoles=["globalReader", "reader"]), query=query)
        assert faults_of(roles) == [("#/appRoles/1", "app-role-not-found")]
        assert "globalReader, globalExporter" in roles.body
    assert (len(world.registry.find(top=10).registrations), len(world.queue)) == before


@pytest.mark.parametrize("builder", [a_public_client, a_confidential_client])
def test_a_client_that_no_token_would_be_given_to_is_refused(builder: Any) -> None:
    world = World()
    world.registered(a_resource(scopes=["patient.Patient.rs"]))
    nothing: tuple[dict[str, Any], ...] = ({}, {"scopes": []}, {"scopes": ["openid", "profile"]})
    for fields in nothing:
        answer = world.post(builder(**fields))
        assert faults_of(answer) == [("#/scopes", "scope-required")]
        assert "patient.Patient.rs" in answer.body
    world.registered(builder(scopes=["patient.Patient.rs"]))


def test_a_resource_that_cannot_be_had_is_refused() -> None:
    world = World()
    world.registered(a_resource())
    client = world.registered(a_service_client())
    world.emulator.faults.set(directory_quota_exceeded=True)
    failed = submitted(world, a_resource(fhirServerUrl="https://fhir2.contoso.example"))
    world.deliver()
    references = {
        "cf4c4732-00000000-0000-4000-8000-000000000000": "resource-not-found",
        client["registrationId"]: "resource-is-a-client",
        failed: "resource-not-active",
    }
    for reference, code in references.items():
        assert faults_of(world.post(a_service_client(resource=reference))) == [("#/resource", code)]


class CountingRegistry(MemoryRegistry):
    """A registry that counts what is read of it."""

    def __init__(self) -> None:
        super().__init__()
        self.reads: list[str] = []

    def get(self, registration_id: str) -> Registration | None:
        self.reads.append("row")
        return super().get(registration_id)

    def holder(self, name: str) -> str | None:
        self.reads.append("name")
        return super().holder(name)


def test_to_judge_it_a_post_reads_one_row_which_it_reads_again_once_listed_and_asks_nobody_outside() -> None:
    registry = CountingRegistry()
    world = a_world(registry)
    resource = world.registered(a_resource())
    world.emulator.calls.clear()
    reads = {}
    for name, body in {
        "by URL": a_service_client(),
        "by client id": a_service_client(resource=resource["clientId"]),
        "by registration id": a_service_client(resource=resource["registrationId"]),
        "managed": a_public_client(resource=MANAGED),
        "managed, with roles": a_service_client(resource=MANAGED),
        "foreign": a_service_client(resource=FOREIGN_URI),
    }.items():
        registry.reads.clear()
        world.post(body)
        reads[name] = registry.reads.copy()
    assert reads == {
        "by URL": ["name", "row", "row"],
        "by client id": ["name", "row", "row"],
        "by registration id": ["row", "row"],
        "managed": [],
        "managed, with roles": ["name"],
        "foreign": [],
    }
    assert world.emulator.calls == []


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        (a_public_client(resource=MANAGED, scopes=["patient.Patients.rs"]), "scope-not-found", "patient.Patient.rs"),
        (a_public_client(resource=MANAGED, scopes=["openid"]), "scope-required", "user_impersonation"),
        (a_public_client(resource=FOREIGN_URI), "scope-required", "It has read"),
        (a_service_client(resource=FOREIGN_URI, appRoles=["pays"]), "app-role-not-found", "Did you mean pay?"),
    ],
    ids=["unknown", "none", "no default", "unknown role"],
)
def test_what_only_entra_knows_ends_failed_and_a_dry_run_says_so_before(
    body: dict[str, Any], code: str, said: str
) -> None:
    world = a_world()
    place = "appRoles" if body["clientType"] == "service" else "scopes"
    seen = world.post(body, query={"dryRun": "true"})
    content = json.loads(seen.body)
    assert (seen.status, content["code"]) == (400, code)
    assert content["errors"][0]["pointer"].startswith(f"#/{place}")
    assert said in content["errors"][0]["message"]
    registration_id = submitted(world, body)
    world.deliver()
    failure = failure_of(world, registration_id)
    assert failure["code"] == code
    assert said in failure["remedy"]
    assert operations(world)["graph.createApplication"] == 0


def test_a_permission_that_the_resource_lost_on_the_way_fails_the_client() -> None:
    world = World()
    resource = submitted(world, a_resource(scopes=SMART))
    client = submitted(world, a_public_client(scopes=["fhirUser"]))
    row = world.row(resource)
    world.registry.replace(replace(row, request=row.request.model_copy(update={"scopes": ("other",)})))
    world.deliver()
    world.settle()
    assert failure_of(world, client)["code"] == "scope-not-found"


def test_the_scopes_of_openid_connect_are_declared_beside_those_of_the_resource() -> None:
    world = World()
    world.registered(a_resource(scopes=SMART))
    shown = world.registered(a_public_client(scopes=["openid", "fhirUser", "offline_access"]))
    application = world.emulator.directory.application(app_id=shown["clientId"])
    assert application is not None
    declared = {entry["resourceAppId"]: entry for entry in application.last_body["requiredResourceAccess"]}
    graph = world.emulator.directory.resource(GRAPH)
    assert graph is not None
    ids = {scope["value"]: scope["id"] for scope in graph.exposed["oauth2PermissionScopes"]}
    assert declared[graph.app_id]["resourceAccess"] == [
        {"id": ids["openid"], "type": "Scope"},
        {"id": ids["offline_access"], "type": "Scope"},
    ]
    assert len(declared) == 2
    assert shown["oauth"]["scope"] == f"{SERVER}/fhirUser openid offline_access"
    assert [step["code"] for step in shown["nextSteps"]] == ["consent"]
    check(world)


def test_a_value_that_is_a_scope_and_an_app_role_can_be_asked_for_as_both() -> None:
    world = World()
    world.registered(a_resource(scopes=["user_impersonation", "user.all.read"], appRoles=["user.all.read"]))
    ids = set()
    for body in (a_public_client(scopes=["user.all.read"]), a_service_client(appRoles=["user.all.read"])):
        shown = world.registered(body)
        application = world.emulator.directory.application(app_id=shown["clientId"])
        assert application is not None
        [entry] = application.last_body["requiredResourceAccess"]
        ids |= {(access["id"], access["type"]) for access in entry["resourceAccess"]}
    assert {kind for _, kind in ids} == {"Scope", "Role"}
    assert len({each for each, _ in ids}) == 1
    check(world)
