"""What the check of the infrastructure finds: each mistake is planted in a copy of the templates as they are."""

import shutil
from pathlib import Path
from typing import NamedTuple

import pytest

from dev.infra_check import faults

ROOT = Path(__file__).parents[3]


class Mistake(NamedTuple):
    file: str
    before: str
    after: str
    found: str


MISTAKES = {
    "a property that there is not": Mistake(
        "modules/storage.bicep",
        "minimumTlsVersion:",
        "minTlsVersion:",
        "account.properties.minTlsVersion: there is no such",
    ),
    "a property in another spelling": Mistake(
        "modules/vault.bicep", "enablePurgeProtection:", "enablePurgeprotection:", "it is enablePurgeProtection"
    ),
    "a property deep inside of an app": Mistake(
        "modules/app.bicep",
        "perInstanceConcurrency: 16",
        "concurrency: 16",
        "http.concurrency: there is no such property",
    ),
    "a value that there is not": Mistake("modules/storage.bicep", "'TLS1_2'", "'TLS2'", "must be one of TLS1_0"),
    "a text for a number": Mistake(
        "modules/monitoring.bicep", "retentionInDays: 90", "retentionInDays: true", "must be a value of the type int"
    ),
    "one value for a list": Mistake(
        "modules/network.bicep", "addressPrefixes: ['10.20.0.0/24']", "addressPrefixes: {}", "must be a list"
    ),
    "a storage account with public blobs": Mistake(
        "modules/storage.bicep",
        "allowBlobPublicAccess: false",
        "allowBlobPublicAccess: true",
        "allowBlobPublicAccess: must be false",
    ),
    "a storage account that says nothing of public blobs": Mistake(
        "modules/storage.bicep", "    allowBlobPublicAccess: false\n", "", "allowBlobPublicAccess: must be false"
    ),
    "a storage account that a key opens": Mistake(
        "modules/storage.bicep",
        "allowSharedKeyAccess: false",
        "allowSharedKeyAccess: true",
        "allowSharedKeyAccess: must be false",
    ),
    "a public container": Mistake(
        "modules/storage.bicep", "publicAccess: 'None'", "publicAccess: 'Blob'", "publicAccess: must be None"
    ),
    "a vault that can be purged": Mistake(
        "modules/vault.bicep", "    enablePurgeProtection: true\n", "", "enablePurgeProtection: must be true"
    ),
    "a role at the scope of a resource group": Mistake(
        "modules/vault.bicep",
        "  scope: vault\n  properties: {\n    principalId",
        "  properties: {\n    principalId",
        "more than one resource",
    ),
    "a role at the scope of the subscription": Mistake(
        "main.bicep",
        "output AZURE_LOCATION",
        "resource wide 'Microsoft.Authorization/roleAssignments@2022-04-01' = {\n  name: guid('x')\n  properties: {\n"
        "    principalId: apiClientId\n    principalType: 'ServicePrincipal'\n    roleDefinitionId: 'x'\n  }\n}\n\n"
        "output AZURE_LOCATION",
        "wide: assigns a role to a whole subscription",
    ),
    "a module with a role, deployed to the subscription": Mistake(
        "modules/vault.bicep",
        "param suffix string",
        "targetScope = 'subscription'\nparam suffix string",
        "to a whole subscription",
    ),
    "a right to assign any role": Mistake(
        "modules/vault.bicep", "    condition: readersOnly\n", "", "gives: may assign any role"
    ),
    "an assignment without the kind of its principal": Mistake(
        "modules/monitoring.bicep", "    principalType: 'ServicePrincipal'\n", "", "principalType: is missing"
    ),
    "an app that does not wait for its roles in storage": Mistake(
        "registrar.bicep",
        "    storageBlobs: storage.outputs.blobs\n    storageQueues: storage.outputs.queues\n"
        "    storageTables: storage.outputs.tables\n    packages: storage.outputs.packages\n",
        "    storageBlobs: 'b'\n    storageQueues: 'q'\n    storageTables: 't'\n    packages: 'p'\n",
        "module app: does not wait for storage",
    ),
    "a module that is nowhere": Mistake(
        "registrar.bicep", "'modules/vault.bicep'", "'modules/safe.bicep'", "there is no modules/safe.bicep"
    ),
    "a module from a registry": Mistake(
        "registrar.bicep",
        "'modules/vault.bicep'",
        "'br/public:avm/res/key-vault/vault:0.9.0'",
        "restored from elsewhere",
    ),
    "a parameter that nobody gives": Mistake(
        "registrar.bicep", "    vaultUri: vault.outputs.vaultUri\n", "", "the parameter vaultUri is missing"
    ),
    "a parameter that nobody takes": Mistake(
        "modules/vault.bicep", "param workspaceId string\n", "", "there is no parameter workspaceId"
    ),
    "a symbol that is not declared": Mistake(
        "modules/app.bicep", "serverFarmId: plan.id", "serverFarmId: hosting.id", "hosting: is not declared"
    ),
    "a symbol in a text that is not declared": Mistake(
        "modules/app.bicep", "'plan-${suffix}'", "'plan-${ending}'", "ending: is not declared"
    ),
    "a list to loop over that is not declared": Mistake(
        "modules/storage.bicep", "for role in roles:", "for role in tasks:", "tasks: is not declared"
    ),
    "an output that there is not": Mistake(
        "registrar.bicep", "vault.outputs.vaultUri", "vault.outputs.uri", "vault.outputs.uri: there is no such output"
    ),
    "a function that reads a key": Mistake(
        "modules/storage.bicep",
        "output storageId string = account.id",
        "output storageId string = account.listKeys().keys[0].value",
        "reads a key",
    ),
    "an app over plain http": Mistake(
        "modules/app.bicep", "httpsOnly: true", "httpsOnly: false", "httpsOnly: must be true"
    ),
    "a parameter file with a parameter that there is not": Mistake(
        "china.parameters.json", '"location"', '"region"', "china.parameters.json: there is no parameter region"
    ),
    "what is no Bicep": Mistake("main.bicep", "module registrar", "modul registrar", "main.bicep: "),
}


def test_nothing_is_wrong_with_the_infrastructure() -> None:
    assert list(faults()) == []


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_a_planted_mistake_is_found(tmp_path: Path, mistake: Mistake) -> None:
    folder = tmp_path / "infra"
    shutil.copytree(ROOT / "infra", folder)
    text = (folder / mistake.file).read_text(encoding="utf-8")
    assert mistake.before in text
    (folder / mistake.file).write_text(text.replace(mistake.before, mistake.after), encoding="utf-8")
    assert any(mistake.found in fault for fault in faults(folder)), list(faults(folder))
