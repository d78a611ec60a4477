"""What an administrator grants: each thing can be looked for at Microsoft Graph, made so, and taken back.

It imports the standard library alone, as `grant_permissions.py` does, which runs it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote

Json = dict[str, Any]
# Method, address, headers and body of a request; status and body of its answer.
Send = Callable[[str, str, dict[str, str], bytes | None], tuple[int, bytes]]

MICROSOFT_GRAPH = "00000003-0000-0000-c000-000000000000"
OWNED_BY = "Application.ReadWrite.OwnedBy"
SIGN_INS = "AuditLog.Read.All"
API_NAME = "fhir-registrar-api"
# What Entra lets an identity without a directory role make ends at 250 objects; with these two actions it does not.
QUOTA = ("FHIR Registrar", ("microsoft.directory/applications/create", "microsoft.directory/servicePrincipals/create"))
GRANTER = ("FHIR Registrar granter", ("microsoft.directory/servicePrincipals/appRoleAssignedTo/update",))
# The app roles of the API and what they are for: those of provisioning/domain/callers.py.
ROLES = {
    "Registrations.Create": "Register applications, and see and change one's own",
    "Registrations.Read.All": "See every registration",
    "Registrations.Manage.All": "See and change every registration",
    "Registrations.Approve": "Decide about requests that wait for an approval",
    "Registrations.OnBehalf": "Act for a person, with that person's rights",
}


class GraphRefused(Exception):
    """Graph does not do what it was asked."""


class Graph:
    """Microsoft Graph, as far as it is needed here."""

    def __init__(self, origin: str, token: str, send: Send) -> None:
        self._root = f"{origin}/v1.0"
        self._token = token
        self._send = send

    def call(self, method: str, path: str, body: Json | None = None) -> Json | None:
        """Returns the answer; None where there is nothing of that name, or nothing to say.

        Raises:
            GraphRefused: It is refused.
        """
        headers = {"Authorization": f"Bearer {self._token}", "Content-Type": "application/json"}
        sent = None if body is None else json.dumps(body).encode()
        status, answer = self._send(method, self._root + path, headers, sent)
        if status == 404 and method in {"GET", "DELETE"}:  # noqa: PLR2004 -- not found
            return None
        content = json.loads(answer) if answer else {}
        if status >= 400:  # noqa: PLR2004 -- refused
            raise GraphRefused(
                f"{method} {path.split('?', maxsplit=1)[0]}: {status} {content.get('error', {}).get('message', '')}"
            )
        return content or None

    def find(self, path: str) -> list[Json]:
        """Returns what is in a list; all that is asked for here are short."""
        return list((self.call("GET", path) or {}).get("value", []))


class Wish(Protocol):
    """Something that is to be so."""

    @property
    def text(self) -> str:
        """What it is, in words."""

    def holds(self, graph: Graph) -> bool:
        """Whether it is so."""

    def gone(self, graph: Graph) -> bool:
        """Whether nothing of it is there."""

    def make(self, graph: Graph) -> None:
        """Makes it so."""

    def take_back(self, graph: Graph) -> None:
        """Has it be gone."""


@dataclass(frozen=True)
class GraphPermission:
    """An application permission of Microsoft Graph for an identity."""

    principal: str
    value: str = OWNED_BY

    @property
    def text(self) -> str:
        """What it is, in words."""
        what = "reads all logs of the tenant" if self.value == SIGN_INS else "with it what it creates itself"
        return f"{self.principal} holds {self.value} of Microsoft Graph, and {what}"

    def _role(self, graph: Graph) -> tuple[str, str]:
        found = graph.call("GET", f"/servicePrincipals(appId='{MICROSOFT_GRAPH}')?$select=id,appRoles")
        assert found is not None
        [role] = [each["id"] for each in found["appRoles"] if each["value"] == self.value]
        return found["id"], role

    def _held(self, graph: Graph) -> list[str]:
        resource, role = self._role(graph)
        held = graph.find(f"/servicePrincipals/{self.principal}/appRoleAssignments")
        return [each["id"] for each in held if (each["resourceId"], each["appRoleId"]) == (resource, role)]

    def holds(self, graph: Graph) -> bool:
        """Whether it is so."""
        return bool(self._held(graph))

    def gone(self, graph: Graph) -> bool:
        """Whether nothing of it is there."""
        return not self._held(graph)

    def make(self, graph: Graph) -> None:
        """Makes it so."""
        resource, role = self._role(graph)
        body = {"principalId": self.principal, "resourceId": resource, "appRoleId": role}
        graph.call("POST", f"/servicePrincipals/{self.principal}/appRoleAssignments", body)

    def take_back(self, graph: Graph) -> None:
        """Has it be gone."""
        for each in self._held(graph):
            graph.call("DELETE", f"/servicePrincipals/{self.principal}/appRoleAssignments/{each}")


@dataclass(frozen=True)
class DirectoryRole:
    """A custom directory role for an identity, at the whole tenant or at one object."""

    principal: str
    name: str
    actions: tuple[str, ...]
    scope: str = "/"

    @property
    def text(self) -> str:
        """What it is, in words."""
        where = "in the tenant" if self.scope == "/" else f"at {self.scope.removeprefix('/')} alone"
        return f"{self.principal} has the custom role '{self.name}' {where}: {', '.join(self.actions)}"

    def _definition(self, graph: Graph) -> Json | None:
        rule = quote(f"displayName eq '{self.name}'")
        found = graph.find(f"/roleManagement/directory/roleDefinitions?$filter={rule}")
        return next(iter(found), None)

    def _assignments(self, graph: Graph, definition: Json) -> list[Json]:
        rule = quote(f"roleDefinitionId eq '{definition['id']}'")
        return graph.find(f"/roleManagement/directory/roleAssignments?$filter={rule}")

    def _ours(self, graph: Graph) -> list[Json]:
        definition = self._definition(graph)
        if definition is None:
            return []
        found = self._assignments(graph, definition)
        return [
            each for each in found if (each["principalId"], each["directoryScopeId"]) == (self.principal, self.scope)
        ]

    def holds(self, graph: Graph) -> bool:
        """Whether it is so: the role has just these actions, and is assigned."""
        definition = self._definition(graph)
        if definition is None or not self._ours(graph):
            return False
        allowed = {action for each in definition["rolePermissions"] for action in each["allowedResourceActions"]}
        return allowed == set(self.actions)

    def gone(self, graph: Graph) -> bool:
        """Whether nothing of it is there; the role itself stays while others have it."""
        return not self._ours(graph)

    def make(self, graph: Graph) -> None:
        """Makes it so."""
        definition = self._definition(graph)
        permissions = {"rolePermissions": [{"allowedResourceActions": list(self.actions)}]}
        if definition is None:
            body = {"displayName": self.name, "isEnabled": True, **permissions}
            definition = graph.call("POST", "/roleManagement/directory/roleDefinitions", body)
            assert definition is not None
        else:
            graph.call("PATCH", f"/roleManagement/directory/roleDefinitions/{definition['id']}", permissions)
        if not self._ours(graph):
            body = {"principalId": self.principal, "roleDefinitionId": definition["id"], "directoryScopeId": self.scope}
            graph.call("POST", "/roleManagement/directory/roleAssignments", body)

    def take_back(self, graph: Graph) -> None:
        """Has it be gone, and the role with it where nobody else has it."""
        for each in self._ours(graph):
            graph.call("DELETE", f"/roleManagement/directory/roleAssignments/{each['id']}")
        definition = self._definition(graph)
        if definition is not None and not self._assignments(graph, definition):
            graph.call("DELETE", f"/roleManagement/directory/roleDefinitions/{definition['id']}")


@dataclass(frozen=True)
class ApiApplication:
    """The application that stands for the registrar's own API: its roles, where people come back to, whom it trusts."""

    host: str | None = None
    sign_in: str | None = None
    authority: str = "https://login.microsoftonline.com"
    tenant: str = ""
    audience: str = "api://AzureADTokenExchange"

    @property
    def text(self) -> str:
        """What it is, in words."""
        back = f", people come back to {self.host}" if self.host else ""
        trusts = f", {self.sign_in} vouches for it" if self.sign_in else ""
        return f"the application {API_NAME} has the {len(ROLES)} roles of the API{back}{trusts}"

    def _found(self, graph: Graph) -> Json | None:
        return graph.call("GET", f"/applications(uniqueName='{API_NAME}')")

    def _wanted(self) -> Json:
        space = uuid.uuid5(uuid.NAMESPACE_URL, API_NAME)
        scope = {
            "id": str(uuid.uuid5(space, "user_impersonation")),
            "value": "user_impersonation",
            "type": "User",
            "isEnabled": True,
            "adminConsentDisplayName": "Use the FHIR registrar",
            "adminConsentDescription": "Use the FHIR registrar as the person who is signed in",
        }
        return {
            "displayName": "FHIR Registrar",
            "signInAudience": "AzureADMyOrg",
            "groupMembershipClaims": "ApplicationGroup",
            "api": {"requestedAccessTokenVersion": 2, "oauth2PermissionScopes": [scope]},
            "optionalClaims": {"accessToken": [{"name": "idtyp"}]},
            "appRoles": [
                {
                    "id": str(uuid.uuid5(space, value)),
                    "value": value,
                    "displayName": value,
                    "description": description,
                    "allowedMemberTypes": ["User", "Application"],
                    "isEnabled": True,
                }
                for value, description in ROLES.items()
            ],
        }

    def _web(self) -> Json:
        back = [f"https://{self.host}/.auth/login/aad/callback"] if self.host else []
        return {"redirectUris": back, "implicitGrantSettings": {"enableIdTokenIssuance": True}}

    def _trust(self) -> Json:
        return {
            "name": "app-service-authentication",
            "issuer": f"{self.authority}/{self.tenant}/v2.0",
            "subject": self.sign_in,
            "audiences": [self.audience],
        }

    def holds(self, graph: Graph) -> bool:
        """Whether it is so; what others added to it is theirs."""
        found = self._found(graph)
        if found is None or graph.call("GET", f"/servicePrincipals(appId='{found['appId']}')") is None:
            return False
        as_wanted = {each["value"] for each in found["appRoles"]} >= ROLES.keys() and found["identifierUris"]
        redirects = set(found["web"]["redirectUris"]) >= set(self._web()["redirectUris"])
        trusted = graph.find(f"/applications/{found['id']}/federatedIdentityCredentials") if self.sign_in else []
        return bool(as_wanted and redirects) and (
            not self.sign_in or any(self._trust().items() <= each.items() for each in trusted)
        )

    def gone(self, graph: Graph) -> bool:
        """Whether nothing of it is there."""
        return self._found(graph) is None

    def make(self, graph: Graph) -> None:
        """Makes it so, and says its client id, which the deployment asks for."""
        found = self._found(graph)
        if found is None:
            found = graph.call("POST", "/applications", {**self._wanted(), "uniqueName": API_NAME, "web": self._web()})
            assert found is not None
        changes = {**self._wanted(), "web": self._web(), "identifierUris": [f"api://{found['appId']}"]}
        changes["web"]["redirectUris"] = sorted({*found["web"]["redirectUris"], *self._web()["redirectUris"]})
        others = [each for each in found["appRoles"] if each["value"] not in ROLES]
        graph.call("PATCH", f"/applications/{found['id']}", {**changes, "appRoles": [*changes["appRoles"], *others]})
        if graph.call("GET", f"/servicePrincipals(appId='{found['appId']}')") is None:
            # Nobody gets a token for the API to whom no role was assigned.
            graph.call("POST", "/servicePrincipals", {"appId": found["appId"], "appRoleAssignmentRequired": True})
        if self.sign_in:
            self._have_trusted(graph, found["id"])
        print(f"  client id of {API_NAME}: {found['appId']}")

    def _have_trusted(self, graph: Graph, application: str) -> None:
        path, wanted = f"/applications/{application}/federatedIdentityCredentials", self._trust()
        known = [each for each in graph.find(path) if each["name"] == wanted["name"]]
        if not known:
            graph.call("POST", path, wanted)
        else:
            graph.call("PATCH", f"{path}/{known[0]['id']}", {key: wanted[key] for key in wanted if key != "name"})

    def take_back(self, graph: Graph) -> None:
        """Has it be gone; Entra keeps it for 30 days."""
        found = self._found(graph)
        if found is not None:
            graph.call("DELETE", f"/applications/{found['id']}")
