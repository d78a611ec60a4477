import base64
import json
import re
import shlex
import subprocess
from dataclasses import replace
from typing import Any

import pytest

from dev.emulator.client import Client
from provisioning.api.guidance import fhir_server_settings, next_steps
from tests.worlds.request_bodies import OWNER, a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.steps import FOREIGN_URI, a_foreign_resource, listed
from tests.worlds.world import World

MANAGED = "https://ws-my-svc.fhir.azurehealthcareapis.com"
V1, V2 = "https://v1.contoso.example/r4", "https://v2.elsewhere.example"
CLIENTS = {"confidential": a_confidential_client, "public": a_public_client, "service": a_service_client}
PORTAL = "https://portal.azure.com/#view"
BROWSE = f"{PORTAL}/HubsExtension/BrowseResource/resourceType"


class Scene:
    """A world with a resource of each kind, and the client that a test asks for."""

    def __init__(self) -> None:
        self.world = World(rules=[])
        self.foreign = a_foreign_resource(self.world)
        known = listed(FOREIGN_URI, self.foreign["appId"])
        self.world.exchange(lambda services: replace(services, allowed_resources=known))
        self.without = World(managed_fhir=False, rules=[])
        self.v1 = self.world.registered(a_resource(fhirServerUrl=V1))
        self.v2 = self.world.registered(a_resource(fhirServerUrl=V2, accessTokenVersion=2))

    def client(self, client_type: str, resource: str) -> dict[str, Any]:
        references = {
            "ours v1": V1,
            "ours v2": self.v2["registrationId"],
            "managed": MANAGED,
            "managed without service principal": MANAGED,
            "foreign": FOREIGN_URI,
            "foreign by client id": self.foreign["appId"],
        }
        roles: dict[str, Any] = {"appRoles": ["globalReader"]} if resource.startswith("ours") else {"appRoles": []}
        if resource.startswith("foreign"):
            roles = {"appRoles": ["pay"]}
        scopes: dict[str, Any] = {"scopes": ["read"]} if resource.startswith("foreign") else {}
        fields = roles if client_type == "service" else scopes
        world = self.without if "without" in resource else self.world
        return world.registered(CLIENTS[client_type](resource=references[resource], **fields))


@pytest.fixture(scope="module")
def scene() -> Scene:
    return Scene()


RESOURCES = (
    "ours v1",
    "ours v2",
    "managed",
    "managed without service principal",
    "foreign",
    "foreign by client id",
)
STEPS = {
    "confidential": {
        "ours v1": ["consent", "grant-vault-read"],
        "ours v2": ["consent", "grant-vault-read"],
        "managed": ["consent", "assign-fhir-data-role", "grant-vault-read"],
        "managed without service principal": ["assign-fhir-data-role", "grant-vault-read"],
        "foreign": ["consent", "grant-vault-read"],
        "foreign by client id": ["consent", "grant-vault-read"],
    },
    "public": {
        "ours v1": ["consent"],
        "ours v2": ["consent"],
        "managed": ["consent", "assign-fhir-data-role"],
        "managed without service principal": ["assign-fhir-data-role"],
        "foreign": ["consent"],
        "foreign by client id": ["consent"],
    },
    "service": {
        "ours v1": ["grant-app-role", "grant-vault-read"],
        "ours v2": ["grant-app-role", "grant-vault-read"],
        "managed": ["assign-fhir-data-role", "grant-vault-read"],
        "managed without service principal": ["assign-fhir-data-role", "grant-vault-read"],
        "foreign": ["grant-app-role", "grant-vault-read"],
        "foreign by client id": ["grant-app-role", "grant-vault-read"],
    },
}
every_client = pytest.mark.parametrize(
    ("client_type", "resource"), [(client_type, resource) for client_type in CLIENTS for resource in RESOURCES]
)


def steps_of(shown: dict[str, Any]) -> dict[str, dict[str, str]]:
    return {step["code"]: step for step in shown["nextSteps"]}


@every_client
def test_the_next_steps_are_what_is_left_for_people(scene: Scene, client_type: str, resource: str) -> None:
    shown = scene.client(client_type, resource)
    assert [step["code"] for step in shown["nextSteps"]] == STEPS[client_type][resource]
    for step in shown["nextSteps"]:
        assert set(step) == {"code", "who", "command", "url"}
        assert step["who"]
        assert step["command"].startswith("az ")
        assert re.match(r"https://(portal\.azure\.com|localhost:8443)/", step["url"])


@pytest.mark.parametrize("resource", ["ours v1", "ours v2", "foreign", "foreign by client id"])
def test_an_app_role_is_granted_to_the_client_on_its_resource(scene: Scene, resource: str) -> None:
    shown = scene.client("service", resource)
    ours = {"ours v1": scene.v1, "ours v2": scene.v2}.get(resource)
    principal = (ours or scene.foreign)["servicePrincipalId"]
    role = OWNER
    if ours:
        application = scene.world.emulator.directory.application(app_id=ours["clientId"])
        assert application is not None
        [role] = [each["id"] for each in application.last_body["appRoles"] if each["value"] == "globalReader"]
    step = steps_of(shown)["grant-app-role"]
    words = shlex.split(step["command"])
    assert words[:7] == [
        "az",
        "rest",
        "--method",
        "POST",
        "--url",
        f"https://localhost:8443/v1.0/servicePrincipals/{principal}/appRoleAssignedTo",
        "--body",
    ]
    assert [json.loads(words[7]), *words[8:]] == [
        {"principalId": shown["servicePrincipalId"], "resourceId": principal, "appRoleId": role}
    ]
    assert step["who"] == "a Privileged Role Administrator"
    assert step["url"] == (
        f"{PORTAL}/Microsoft_AAD_RegisteredApps/ApplicationMenuBlade/~/CallAnAPI/appId/{shown['clientId']}"
    )


def test_every_app_role_that_was_asked_for_has_a_step_of_its_own(scene: Scene) -> None:
    shown = scene.world.registered(a_service_client(resource=V1, appRoles=["globalReader", "globalExporter"]))
    steps = [step for step in shown["nextSteps"] if step["code"] == "grant-app-role"]
    assert len({json.loads(shlex.split(step["command"])[7])["appRoleId"] for step in steps}) == len(steps) == 2


def test_a_service_client_without_app_roles_is_told_which_ones_there_are(scene: Scene) -> None:
    shown = scene.world.registered(a_service_client(resource=V1, appRoles=[]))
    assert [step["code"] for step in shown["nextSteps"]] == ["grant-app-role", "grant-vault-read"]
    command = shlex.split(steps_of(shown)["grant-app-role"]["command"])
    assert command == ["az", "ad", "sp", "show", "--id", scene.v1["clientId"], "--query", "appRoles[].value"]


@pytest.mark.parametrize("client_type", ["confidential", "public"])
def test_consent_is_given_to_the_client(scene: Scene, client_type: str) -> None:
    shown = scene.client(client_type, "ours v1")
    step = steps_of(shown)["consent"]
    assert step["command"] == f"az ad app permission admin-consent --id {shown['clientId']}"
    authority = shown["oauth"]["authority"].removesuffix("/v2.0")
    assert step["url"] == f"{authority}/adminconsent?client_id={shown['clientId']}"


def reached_az(command: str) -> list[str]:
    """Return the arguments that `az` gets when a person pastes the command into a shell."""
    script = f'az() {{ printf "<%s>" "$@"; }}\n{command}'
    ran = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=True, timeout=10)  # noqa: S603, S607
    assert not ran.stderr
    return ran.stdout.removeprefix("<").removesuffix(">").split("><")


@pytest.mark.parametrize("resource", ["managed", "managed without service principal"])
@pytest.mark.parametrize("client_type", CLIENTS)
def test_the_data_of_a_managed_service_is_opened_to_the_daemon_itself_or_to_the_users(
    scene: Scene, client_type: str, resource: str
) -> None:
    shown = scene.client(client_type, resource)
    step = steps_of(shown)["assign-fhir-data-role"]
    command = reached_az(step["command"])
    daemon = client_type == "service"
    assert command[:8] == [
        "role",
        "assignment",
        "create",
        "--role",
        "FHIR Data Reader",
        "--assignee-object-id",
        shown["servicePrincipalId"] if daemon else command[6],
        "--assignee-principal-type",
    ]
    assert "user" in command[6] or daemon
    assert command[8:10] == ["ServicePrincipal" if daemon else "User", "--scope"]
    # The shell runs the inner command for the value of --scope.
    inner = " ".join(command[10:])
    assert "resource list --resource-type Microsoft.HealthcareApis/workspaces/fhirservices" in inner.replace("> <", " ")
    assert "[?name=='ws/my-svc'].id" in inner
    assert step["url"] == f"{BROWSE}/Microsoft.HealthcareApis%2Fworkspaces%2Ffhirservices"


@pytest.mark.parametrize("client_type", ["confidential", "service"])
def test_the_owner_may_be_let_read_this_one_secret(scene: Scene, client_type: str) -> None:
    shown = scene.client(client_type, "ours v1")
    step = steps_of(shown)["grant-vault-read"]
    assert step["command"] == (
        f'az role assignment create --role "Key Vault Secrets User" --assignee-object-id {OWNER} --scope '
        '"$(az keyvault show --name localhost --query id --output tsv)'
        f'/secrets/fhir-registrar-{shown["registrationId"]}"'
    )
    assert step["url"] == f"{BROWSE}/Microsoft.KeyVault%2Fvaults"
    assert shown["secret"]["id"].endswith(f"/secrets/fhir-registrar-{shown['registrationId']}")


def test_the_vault_of_a_command_is_named_as_its_url_names_it() -> None:
    world = World(settings={"KEY_VAULT_URL": "https://kv-fhir.vault.azure.net"})
    answer = world.post(a_service_client(resource=MANAGED, appRoles=[]), query={"dryRun": "true"})
    step = steps_of(json.loads(answer.body))["grant-vault-read"]
    assert "--name kv-fhir --query" in step["command"]


# --- the server's own settings --------------------------------------------------------------------------------------


def test_a_server_with_v1_tokens_expects_its_identifier_uri_from_the_v1_issuer(scene: Scene) -> None:
    authority = f"https://localhost:8443/{scene.world.emulator.tenant_id}"
    assert scene.v1["fhirServerSettings"] == {
        "FhirServer__Security__Enabled": "true",
        "FhirServer__Security__Authentication__Audience": V1,
        "FhirServer__Security__Authentication__Authority": authority,
    }
    assert scene.v1["oauth"]["scope"] == f"{V1}/.default"
    assert scene.v1["oauth"]["authority"] == f"{authority}/v2.0"


def test_a_server_with_v2_tokens_expects_its_client_id_from_the_v2_issuer(scene: Scene) -> None:
    authority = f"https://localhost:8443/{scene.world.emulator.tenant_id}"
    assert scene.v2["fhirServerSettings"] == {
        "FhirServer__Security__Enabled": "true",
        "FhirServer__Security__Authentication__Audience": scene.v2["clientId"],
        "FhirServer__Security__Authentication__Authority": f"{authority}/v2.0",
    }
    assert scene.v2["oauth"]["scope"] == f"api://{scene.v2['clientId']}/.default"


@pytest.mark.parametrize("version", [1, 2])
def test_the_settings_are_those_that_the_token_of_a_client_meets(scene: Scene, version: int) -> None:
    ours = scene.v1 if version == 1 else scene.v2
    client = scene.client("service", f"ours v{version}")
    answer = signed_in(scene.world, client)
    assert answer.status_code == 200, answer.text
    payload = answer.json()["access_token"].split(".")[1]
    claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    settings = ours["fhirServerSettings"]
    assert claims["aud"] == settings["FhirServer__Security__Authentication__Audience"]
    issuer = claims["iss"].rstrip("/")
    expected = settings["FhirServer__Security__Authentication__Authority"]
    # A v1 issuer has another host than the authority (sts.windows.net); the version is what must agree.
    assert issuer.endswith("/v2.0") is expected.endswith("/v2.0")


@pytest.mark.parametrize("version", [1, 2])
def test_the_step_of_a_resource_sets_these_settings(scene: Scene, version: int) -> None:
    shown = scene.v1 if version == 1 else scene.v2
    [step] = shown["nextSteps"]
    assert step["code"] == "configure-fhir-server"
    assert step["who"] == "whoever runs the FHIR server"
    assert step["url"] == f"{BROWSE}/Microsoft.Web%2Fsites"
    words = shlex.split(step["command"])
    assert words[:5] == ["az", "webapp", "config", "appsettings", "set"]
    assert words[words.index("--settings") + 1 :] == [
        f"{key}={value}" for key, value in shown["fhirServerSettings"].items()
    ]


def test_settings_are_told_only_when_they_are_known() -> None:
    world = World()
    shown = world.get(json.loads(world.post(a_resource(accessTokenVersion=2)).body)["registrationId"])
    assert shown["fhirServerSettings"] is None
    assert shown["oauth"]["scope"] is None


# --- a scope that works ---------------------------------------------------------------------------------------------


def signed_in(world: World, client: dict[str, Any]) -> Any:
    application = world.emulator.directory.application(app_id=client["clientId"])
    assert application is not None
    return Client(world.emulator).sign_in(client["clientId"], application.passwords[0].text, client["oauth"]["scope"])


@pytest.mark.parametrize("resource", [each for each in RESOURCES if "without" not in each])
def test_the_scope_of_a_service_client_is_one_that_the_token_endpoint_knows(scene: Scene, resource: str) -> None:
    answer = signed_in(scene.world, scene.client("service", resource))
    assert answer.status_code == 200, answer.text


SCOPES = {
    "ours v1": (V1, "user_impersonation"),
    "ours v2": ("api://{v2}", "user_impersonation"),
    "managed": (MANAGED, "user_impersonation"),
    "managed without service principal": (MANAGED, ".default"),
    "foreign": (FOREIGN_URI, "read"),
    "foreign by client id": ("{foreign}", "read"),
}


@pytest.mark.parametrize("resource", RESOURCES)
@pytest.mark.parametrize("client_type", CLIENTS)
def test_the_scope_names_the_resource_and_what_was_asked_of_it(scene: Scene, client_type: str, resource: str) -> None:
    audience, scope = SCOPES[resource]
    shown = scene.client(client_type, resource)
    audience = audience.replace("{v2}", scene.v2["clientId"]).replace("{foreign}", scene.foreign["appId"])
    assert shown["oauth"]["scope"] == f"{audience}/{'.default' if client_type == 'service' else scope}"


def test_several_scopes_are_joined_by_blanks() -> None:
    world = World()
    world.registered(a_resource(scopes=["user_impersonation", "patient.all.read", "fhirUser"]))
    shown = world.registered(a_public_client(scopes=["patient.all.read", "fhirUser"]))
    assert shown["oauth"]["scope"] == (
        "https://fhir.contoso.example/patient.all.read https://fhir.contoso.example/fhirUser"
    )


# --- safe to paste --------------------------------------------------------------------------------------------------

HOSTILE = 'x\'; touch /tmp/pwned; "$(id)" `id` & | > <'


def hostile_world() -> tuple[World, list[dict[str, Any]]]:
    """Requests whose free texts and names would do harm in a shell."""
    world = World()
    names = ["a'b`id`", "$(id)", "a;b", "a|b", "a&b", "a>b", "--query"]
    texts = {"displayName": HOSTILE, "description": HOSTILE, "serviceManagementReference": HOSTILE}
    url = "https://fhir.contoso.example/~a_b.c-d"
    resource = world.registered(
        a_resource(**texts, scopes=names, appRoles=[f"r{name}" for name in names], fhirServerUrl=url)
    )
    clients = [
        world.registered(a_service_client(**texts, resource=url, appRoles=[f"r{name}" for name in names])),
        world.registered(a_confidential_client(**texts, resource=url, scopes=names, contact="$o'x`id`@x.example")),
        world.registered(a_public_client(**texts, resource=url, scopes=names)),
        world.registered(a_service_client(**texts, resource=MANAGED, appRoles=[])),
    ]
    return world, [resource, *clients]


def test_commands_hold_ids_and_checked_names_only() -> None:
    _, registrations = hostile_world()
    for shown in registrations:
        for step in shown["nextSteps"]:
            text = step["command"] + step["url"]
            assert shlex.split(step["command"])[0] == "az"
            for harm in ("touch", "pwned", "$(id)", "`", ";", "|", "$o", "x.example"):
                assert harm not in text


def test_every_command_reaches_az_whole_when_it_is_pasted(scene: Scene) -> None:
    _, registrations = hostile_world()
    shown = [scene.v1, scene.v2, *registrations, *(scene.client(c, r) for c in CLIENTS for r in RESOURCES)]
    for step in (step for each in shown for step in each["nextSteps"]):
        assert len(reached_az(step["command"])) >= 4, step["command"]


@pytest.mark.parametrize(
    "body",
    [
        a_resource(accessTokenVersion=2),
        a_confidential_client(resource=MANAGED),
        a_public_client(resource=MANAGED),
        a_service_client(resource=MANAGED, appRoles=[]),
        a_service_client(resource="https://account.azurehealthcareapis.com", appRoles=[]),
    ],
    ids=["resource", "confidential", "public", "service", "Azure API for FHIR"],
)
def test_the_commands_of_a_dry_run_can_be_pasted_without_harm_too(body: dict[str, Any]) -> None:
    steps = json.loads(World().post(body, query={"dryRun": "true"}).body)["nextSteps"]
    assert steps
    for step in steps:
        assert len(reached_az(step["command"])) >= 4, step["command"]


@pytest.mark.parametrize("resource", RESOURCES)
def test_a_service_client_always_has_a_step(scene: Scene, resource: str) -> None:
    world = scene.without if "without" in resource else scene.world
    shown = scene.client("service", resource)
    assert shown["nextSteps"]
    # Also while nothing is known yet, as in a dry run.
    unresolved = replace(world.row(shown["registrationId"]), resource=None, client_id=None, service_principal_id=None)
    assert next_steps(unresolved, world.settings.tenant)


def test_only_a_resource_has_server_settings(scene: Scene) -> None:
    for client_type in CLIENTS:
        shown = scene.client(client_type, "ours v1")
        assert "fhirServerSettings" not in shown
        row = scene.world.row(shown["registrationId"])
        assert fhir_server_settings(row, scene.world.settings.tenant) is None
