"""Takes from the models of Azure's management libraries what a resource may hold, and writes it to `known.json`.

`make infra-models` runs it where these libraries are installed. They are read and not imported. Three generations of
them name a property as it is sent in three ways: as a key of a TypedDict, as a `rest_field`, and in an
`_attribute_map`. Only what the templates use is kept: the models on the way to each property that is set.
"""

from __future__ import annotations

import ast
import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Final

from dev.infra.properties import KNOWN, Known, walk
from dev.infra.templates import read

if TYPE_CHECKING:
    from collections.abc import Iterator

# Of each resource type: the file of models below azure/mgmt, and the model of what is sent to create one.
ROOTS: Final = {
    "Microsoft.Authorization/roleAssignments": (
        "authorization/v2022_04_01/models/_models_py3.py",
        "RoleAssignmentCreateParameters",
    ),
    "Microsoft.BotService/botServices": ("botservice/models/_models_py3.py", "Bot"),
    "Microsoft.BotService/botServices/channels": ("", "MsTeamsChannel"),
    "Microsoft.Insights/actionGroups": ("monitor/models/_models_py3.py", "ActionGroupResource"),
    "Microsoft.Insights/components": (
        "applicationinsights/v2020_02_02/models/_models_py3.py",
        "ApplicationInsightsComponent",
    ),
    "Microsoft.Insights/diagnosticSettings": ("", "DiagnosticSettings"),
    "Microsoft.Insights/scheduledQueryRules": ("monitor/models/_models_py3.py", "ScheduledQueryRuleResource"),
    "Microsoft.Insights/workbooks": ("applicationinsights/v2022_04_01/models/_models_py3.py", "Workbook"),
    "Microsoft.KeyVault/vaults": ("keyvault/types.py", "VaultCreateOrUpdateParameters"),
    "Microsoft.ManagedIdentity/userAssignedIdentities": ("msi/v2024_11_30/models/_models_py3.py", "Identity"),
    "Microsoft.Network/privateDnsZones": ("privatedns/types.py", "PrivateZone"),
    "Microsoft.Network/privateDnsZones/virtualNetworkLinks": ("privatedns/types.py", "VirtualNetworkLink"),
    "Microsoft.Network/privateEndpoints": ("network/types.py", "PrivateEndpoint"),
    "Microsoft.Network/privateEndpoints/privateDnsZoneGroups": ("network/types.py", "PrivateDnsZoneGroup"),
    "Microsoft.Network/virtualNetworks": ("network/types.py", "VirtualNetwork"),
    "Microsoft.OperationalInsights/workspaces": ("loganalytics/models/_models.py", "Workspace"),
    "Microsoft.Resources/resourceGroups": ("resource/resources/models/_models.py", "ResourceGroup"),
    "Microsoft.Storage/storageAccounts": ("storage/types.py", "StorageAccountCreateParameters"),
    "Microsoft.Storage/storageAccounts/blobServices": ("storage/types.py", "BlobServiceProperties"),
    "Microsoft.Storage/storageAccounts/blobServices/containers": ("storage/types.py", "BlobContainer"),
    "Microsoft.Web/serverfarms": ("web/types.py", "AppServicePlan"),
    "Microsoft.Web/sites": ("web/types.py", "Site"),
    "Microsoft.Web/sites/basicPublishingCredentialsPolicies": (
        "web/types.py",
        "CsmPublishingCredentialsPoliciesEntity",
    ),
    "Microsoft.Web/sites/config/appsettings": ("web/types.py", "StringDictionary"),
    "Microsoft.Web/sites/config/authsettingsV2": ("web/types.py", "SiteAuthSettingsV2"),
}
# The libraries have left these out, or have them as one kind of many. Sources: the references of
# Microsoft.Insights/diagnosticSettings and of Microsoft.BotService/botServices/channels.
BY_HAND: Final = {
    "MsTeamsChannel": {"location": "str", "properties": ":MsTeamsChannel.properties"},
    "MsTeamsChannel.properties": {"channelName": "str", "properties": ":MsTeamsChannel.inner"},
    "MsTeamsChannel.inner": {"isEnabled": "bool"},
    "DiagnosticSettings": {"properties": ":DiagnosticSettings.properties"},
    "DiagnosticSettings.properties": {"workspaceId": "str", "logs": "[:DiagnosticSettings.logs]"},
    "DiagnosticSettings.logs": {"category": "str", "categoryGroup": "str", "enabled": "bool"},
}
_LISTS: Final = frozenset({"List", "Sequence", "list"})
_MAPS: Final = frozenset({"Dict", "Mapping", "MutableMapping", "dict"})
_PLAIN: Final = {"bool": "bool", "float": "int", "int": "int", "str": "str"}


class _File:
    """One file of models, and the enumerations beside it."""

    def __init__(self, path: Path) -> None:
        folder = path.parent if path.parent.name == "models" else path.parent / "models"
        self._classes = _classes(path)
        self._enums: dict[str, list[str]] = {}
        for file in folder.glob("*_enums.py"):
            self._enums |= {name: _values(each) for name, each in _classes(file).items()}

    def model(self, name: str) -> dict[str, str] | None:
        """The properties of a model with the type of each; None where there is no such model.

        An `_attribute_map` names what is deeper by its path: `Model.properties` is what such paths have below it.
        """
        owner, _, place = name.partition(".")
        if owner not in self._classes:
            return None
        found: dict[str, str] = {}
        for path, kind in self._all(owner).items():
            if not place or path.startswith(f"{place}."):
                first, _, more = path.removeprefix(f"{place}." if place else "").partition(".")
                found[first] = f"{name}.{first}" if more else kind
        return found

    def values(self, name: str) -> list[str] | None:
        """The values of an enumeration."""
        return self._enums.get(name)

    def _all(self, name: str) -> dict[str, str]:
        node = self._classes.get(name)
        if node is None:
            return {}
        found: dict[str, str] = {}
        for base in node.bases:
            found |= self._all(_last_name(base))
        return {**found, **dict(_own(node))}


def _classes(path: Path) -> dict[str, ast.ClassDef]:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}


def _values(node: ast.ClassDef) -> list[str]:
    return [
        each.value.value
        for each in node.body
        if isinstance(each, ast.Assign) and isinstance(each.value, ast.Constant) and isinstance(each.value.value, str)
    ]


def _own(node: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for each in node.body:
        if isinstance(each, ast.AnnAssign) and isinstance(each.target, ast.Name):
            yield _sent_name(each) or each.target.id, _kind(each.annotation)
        elif isinstance(each, ast.Assign) and _last_name(each.targets[0]) == "_attribute_map":
            for entry in ast.literal_eval(each.value).values():
                yield entry["key"].replace("\\\\.", "."), _mapped(entry["type"])


def _sent_name(node: ast.AnnAssign) -> str | None:
    if isinstance(node.value, ast.Call):
        for keyword in node.value.keywords:
            if keyword.arg == "name" and isinstance(keyword.value, ast.Constant):
                return str(keyword.value.value)
    return None


def _mapped(kind: str) -> str:
    """A type as an `_attribute_map` writes it: lists and maps in brackets; what is no model is a text."""
    if kind[:1] in "[{":
        return f"{kind[0]}{_mapped(kind[1:-1])}{kind[-1]}"
    return _PLAIN.get(kind, kind if kind[:1].isupper() else "any" if kind == "object" else "str")


def _kind(node: ast.expr) -> str:
    """A type as an annotation writes it, in the same form."""
    if isinstance(node, ast.Constant):
        return _kind(ast.parse(node.value, mode="eval").body) if isinstance(node.value, str) else "None"
    if isinstance(node, ast.Subscript):
        return _generic(node)
    name = _last_name(node)
    return _PLAIN.get(name, "any" if name in {"Any", "JSON"} else "str" if name in {"datetime", "timedelta"} else name)


def _generic(node: ast.Subscript) -> str:
    name = _last_name(node.value)
    inner = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
    if name == "Literal":
        return "str"
    kinds = [kind for kind in map(_kind, inner) if kind != "None"]
    if name in _LISTS:
        return f"[{kinds[0]}]"
    if name in _MAPS:
        return f"{{{kinds[1]}}}"
    return next((kind for kind in kinds if kind != "str"), "str")


def _last_name(node: ast.expr) -> str:
    return node.attr if isinstance(node, ast.Attribute) else node.id if isinstance(node, ast.Name) else ""


class _Libraries(Known):
    """What the libraries say, instead of what is remembered of them; it remembers what it was asked."""

    def __init__(self, folder: Path) -> None:
        super().__init__({}, {}, {})
        self._folder = folder
        self._files: dict[str, _File] = {}

    def _named(self, name: str) -> tuple[str, _File, str]:
        path, _, model = name.partition(":")
        if path not in self._files:
            self._files[path] = _File(self._folder / path)
        return path, self._files[path], model

    def root(self, resource_type: str) -> str | None:
        """As above, from the table of them."""
        if resource_type in ROOTS:
            self.roots[resource_type] = ":".join(ROOTS[resource_type])
        return super().root(resource_type)

    def model(self, name: str) -> dict[str, str] | None:
        """As above, from its file."""
        if name.startswith(":"):
            self.models[name] = BY_HAND[name.removeprefix(":")]
            return self.models[name]
        path, file, model = self._named(name)
        found = file.model(model)
        if found is not None:
            self.models[name] = {each: _qualified(path, kind) for each, kind in found.items()}
        return super().model(name)

    def values(self, name: str) -> list[str] | None:
        """As above, from the file of enumerations."""
        _, file, enumeration = self._named(name)
        found = file.values(enumeration)
        if found is not None:
            self.enumerations[name] = found
        return super().values(name)


def _qualified(path: str, kind: str) -> str:
    if kind[:1] in "[{":
        return f"{kind[0]}{_qualified(path, kind[1:-1])}{kind[-1]}"
    return kind if kind in {"any", "bool", "int", "str"} else f"{path}:{kind}"


def main(arguments: list[str]) -> int:
    """Writes what the templates use of the libraries; with `--check`, says whether it is what was written before."""
    # They are not in the development environment.
    found = importlib.util.find_spec("azure.mgmt")
    assert found is not None
    assert found.submodule_search_locations is not None
    libraries = _Libraries(Path(next(iter(found.submodule_search_locations))))
    for template in read(Path("infra")).values():
        for resource in template.resources:
            list(walk(libraries, template, resource))
    text = libraries.dumps()
    if "--check" in arguments:
        if KNOWN.read_text(encoding="utf-8") != text:
            print("infra check: known.json is not what the libraries say: run `make infra-models`", file=sys.stderr)
            return 1
        return 0
    KNOWN.write_text(text, encoding="utf-8")
    print(f"{KNOWN.name}: {len(json.loads(text)['models'])} models")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
