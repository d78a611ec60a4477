"""What is deployed fits what the app asks for: its settings, its front door, its permissions."""

import json
import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from dev.infra.templates import Resource, Template, read, resolved
from provisioning.domain.clouds import cloud_of
from provisioning.domain.front_door import OPEN_PATHS, front_door
from provisioning.settings import Settings

ROOT = Path(__file__).parents[3]
TENANT = "7f6f1c1e-6f0b-4a53-9d0e-5b1f6c8f2a11"
API = "3f6f1c1e-6f0b-4a53-9d0e-5b1f6c8f2a12"
# What the parameters and symbols of a deployment come to.
GIVEN = {
    "allowedResources": "",
    "apiClientId": API,
    "authorityHost": "https://login.microsoftonline.com",
    "callbackHosts": "",
    "fhirServiceIds": "",
    "granterClientId": "",
    "grants": "off",
    "signInActivity": "off",
    "graphEndpoint": "https://graph.microsoft.com",
    "insightsConnectionString": "InstrumentationKey=1",
    "notifyWebhookFormat": "cloudevents",
    "notifyWebhookUrl": "",
    "policy": "",
    "registrarClientId": API,
    "registrarPrincipalId": API,
    "signInClientId": API,
    "slackWorkspace": "",
    "storageBlobs": "https://st1.blob.core.windows.net/",
    "storageQueues": "https://st1.queue.core.windows.net/",
    "storageTables": "https://st1.table.core.windows.net/",
    "vaultId": f"/subscriptions/{TENANT}/resourceGroups/rg/providers/Microsoft.KeyVault/vaults/kv-1",
    "vaultUri": "https://kv-1.vault.azure.net/",
    "verifiedDomains": "contoso.com",
}
# Of the platform itself, or of whom the local stack needs: nobody sets them in Azure.
NOT_DEPLOYED = {
    "CURL_CA_BUNDLE",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
    "RESOURCE_MANAGER_ENDPOINT",  # follows from the token authority
    "TEAMS_LOGIN_ENDPOINT",  # so does this
    "REQUESTS_CA_BUNDLE",
    "WEBSITE_AUTH_ENABLED",
    "WEBSITE_AUTH_USE_LEGACY_CLAIMS",
    "WEBSITE_AUTH_V2_CONFIG_JSON",
    "WEBSITE_HOSTNAME",
}
# Of the host and the platform, which no line of this app reads.
OF_THE_PLATFORM = {
    "APPLICATIONINSIGHTS_AUTHENTICATION_STRING",
    "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
}


@pytest.fixture(scope="module")
def templates() -> dict[str, Template]:
    return read(ROOT / "infra")


def resource(template: Template, symbol: str) -> Resource:
    [found] = [each for each in template.resources if each.symbol == symbol]
    return found


def deployed(value: Any) -> Any:
    """Return what a value of a template comes to, for the few expressions that the app's settings have."""
    if isinstance(value, list):
        return [deployed(each) for each in value]
    if not isinstance(value, dict):
        text = GIVEN.get(value, value) if isinstance(value, str) else value
        known = GIVEN | {"subscription().tenantId": TENANT}
        return re.sub(r"\$\{([^}]*)\}", lambda found: known[found[1]], text) if isinstance(text, str) else text
    operator = value.get("operator")
    if operator is None and "function" not in value:
        return {name: deployed(each) for name, each in value.items()}
    if operator is None:
        assert value["function"]["type"] == "union", value
        return [*deployed(value["function"]["parameters"]["arg_1"])]
    if operator["type"] == "conditional":
        return deployed(operator["operands"]["true_value"])  # of the setting that is empty here
    assert operator["operands"]["operand_2"] == "tenantId", value
    return TENANT


@pytest.fixture(scope="module")
def app_settings(templates: dict[str, Template]) -> dict[str, str]:
    found: dict[str, str] = deployed(resource(templates["modules/app.bicep"], "settings").properties["properties"])
    return found


def named_in_the_source() -> set[str]:
    source = (ROOT / "provisioning" / "settings.py").read_text(encoding="utf-8")
    triggers = (ROOT / "function_app.py").read_text(encoding="utf-8")
    named = set(re.findall(r'"([A-Z][A-Z0-9_]{5,})"', source)) | set(re.findall(r'environ\.get\("([A-Z_]+)"', triggers))
    return named | {f"AzureWebJobsStorage__{each}" for each in re.findall(r"\{_STORAGE\}__(\w+)", source)}


def test_the_app_is_given_each_setting_that_it_reads_and_no_other(app_settings: dict[str, str]) -> None:
    """The account's name would lead to the public cloud's endpoints; the deployment gives those of its own."""
    read_by_host = {"AzureWebJobsStorage__blobServiceUri", "AzureWebJobsStorage__queueServiceUri"}
    ours = app_settings.keys() - OF_THE_PLATFORM - read_by_host
    assert ours == named_in_the_source() - NOT_DEPLOYED - {"AzureWebJobsStorage__accountName"}


def test_what_is_deployed_is_what_the_settings_take(app_settings: dict[str, str]) -> None:
    settings = Settings.from_env(app_settings)
    assert settings.storage.managed
    assert settings.tenant.id == TENANT
    assert settings.secrets == Settings.from_env(required_only(app_settings)).secrets, "these are the defaults"


def required_only(app_settings: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in app_settings.items() if not name.startswith("SECRET_")}


def test_the_front_door_that_is_deployed_is_one_that_the_app_believes(templates: dict[str, Template]) -> None:
    template = templates["modules/app.bicep"]
    configuration = deployed(resource(template, "authentication").properties["properties"])
    door = front_door("true", json.dumps(configuration), "", TENANT)
    assert door.faults == ()
    assert door.audiences == {API, f"api://{API}"}
    validation = configuration["globalValidation"]
    assert set(validation["excludedPaths"]) == OPEN_PATHS
    assert validation["unauthenticatedClientAction"] == "Return401"


def test_signing_in_needs_no_secret(templates: dict[str, Template], app_settings: dict[str, str]) -> None:
    template = templates["modules/app.bicep"]
    registration = resource(template, "authentication").properties["properties"]["identityProviders"][
        "azureActiveDirectory"
    ]["registration"]
    assert registration["clientSecretSettingName"] in app_settings
    assert registration["clientSecretSettingName"] == "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID"


def test_the_roles_that_are_assigned_are_those_that_the_document_gives_reasons_for(
    templates: dict[str, Template],
) -> None:
    """A role stands under the name of its definition, as a variable of the template that assigns it."""
    assigned = {
        name.lower()
        for template in templates.values()
        for name, value in template.variables.items()
        if isinstance(value, str) and re.fullmatch(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", value)
    }
    document = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8").lower().replace(" ", "").replace("-", "")
    assert {name for name in assigned if name not in document} == set()
    assert len(assigned) == 7


@pytest.mark.parametrize("cloud", ["us-government", "china"])
def test_a_national_cloud_is_named_by_its_authority_and_its_graph(cloud: str) -> None:
    path = ROOT / "infra" / f"{cloud}.parameters.json"
    given = {name: each["value"] for name, each in json.loads(path.read_text(encoding="utf-8"))["parameters"].items()}
    assert cloud_of(given["authorityHost"]).graph_endpoint == given["graphEndpoint"] != GIVEN["graphEndpoint"]


def test_the_versions_of_python_that_can_be_deployed_are_those_that_the_package_is_tried_on(
    templates: dict[str, Template],
) -> None:
    [allowed] = [
        each["argument"]
        for each in templates["main.bicep"].parameters["pythonVersion"]["decorators"]
        if each["type"] == "allowed"
    ]
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert project["requires-python"] == f">={allowed[0]}"
    registrar = templates["registrar.bicep"]
    assert resolved(registrar, registrar.parameters["pythonVersion"]["default"]) in allowed
