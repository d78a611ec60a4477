"""Graph's operations on custom directory roles: definitions, and who has one of them where.

Sources: the Graph pages "Create unifiedRoleDefinition" (RoleManagement.ReadWrite.Directory; displayName, isEnabled and
rolePermissions are required), "Create unifiedRoleAssignment" (principalId, roleDefinitionId and directoryScopeId; the
same one twice is refused), "Delete unifiedRoleDefinition" (not while it is assigned). Of what a role allows, the
emulator knows microsoft.directory/servicePrincipals/appRoleAssignedTo/update at one service principal.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.emulator import constants
from dev.emulator.errors import GraphError, Json, bad_request, denied, not_found
from dev.emulator.shapes import flag, guid, many, read, record, text

if TYPE_CHECKING:
    from dev.emulator.graph.directory import Directory
    from dev.emulator.graph.records import Caller

ASSIGNS_APP_ROLES = "microsoft.directory/servicePrincipals/appRoleAssignedTo/update"
_DEFINITION = {
    "displayName": text(256, 1),
    "description": text(1024),
    "isEnabled": flag,
    "rolePermissions": many(record({"allowedResourceActions": many(text(256, 1))})),
}
_ASSIGNMENT = {"principalId": guid, "roleDefinitionId": guid, "directoryScopeId": text(256, 1)}


class RoleManagement:
    """Each method is one operation: checks the caller, then the body, then acts."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def _may(self, by: Caller) -> None:
        if constants.MANAGE_ROLES not in by.roles:
            raise denied()

    def definitions(self, by: Caller) -> list[Json]:
        """GET of the custom roles; the built-in ones are not emulated."""
        self._may(by)
        return list(self._directory.role_definitions.values())

    def define(self, by: Caller, body: Json) -> Json:
        """POST of a custom role."""
        self._may(by)
        sent = read(body, _DEFINITION, ("displayName", "isEnabled", "rolePermissions"), "UnifiedRoleDefinition")
        if any(each["displayName"] == sent["displayName"] for each in self._directory.role_definitions.values()):
            raise bad_request("A role definition with the same display name already exists.", target="displayName")
        made = {"id": self._directory.new_id(), "isBuiltIn": False, "description": None, **sent}
        made["#"] = self._directory.next_number()
        self._directory.role_definitions[made["id"]] = made
        return made

    def redefine(self, by: Caller, definition: str, body: Json) -> None:
        """PATCH of a custom role."""
        self._may(by)
        self._definition(definition).update(read(body, _DEFINITION, (), "UnifiedRoleDefinition"))

    def undefine(self, by: Caller, definition: str) -> None:
        """DELETE of a custom role that nobody has."""
        self._may(by)
        self._definition(definition)
        if any(each["roleDefinitionId"] == definition for each in self._directory.role_assignments.values()):
            raise bad_request("The role definition is assigned, and cannot be deleted.")
        del self._directory.role_definitions[definition]

    def assignments(self, by: Caller) -> list[Json]:
        """GET of who has which role where."""
        self._may(by)
        return list(self._directory.role_assignments.values())

    def assign(self, by: Caller, body: Json) -> Json:
        """POST of one."""
        self._may(by)
        sent = read(body, _ASSIGNMENT, tuple(_ASSIGNMENT), "UnifiedRoleAssignment")
        definition, principal = self._definition(str(sent["roleDefinitionId"])), str(sent["principalId"])
        if principal not in self._directory.principals:
            raise not_found(principal)
        scope = str(sent["directoryScopeId"]).removeprefix("/")
        if scope and scope not in self._directory.principals and scope not in self._directory.records:
            raise not_found(scope)
        if any(each.items() >= sent.items() for each in self._directory.role_assignments.values()):
            raise GraphError(409, "Request_ResourceExists", "A conflicting object with one or more properties exists.")
        made = {"id": self._directory.new_id(), **sent, "#": self._directory.next_number()}
        self._directory.role_assignments[made["id"]] = made
        if scope and _allows(definition):
            self._directory.let_assign(principal, scope)
        return made

    def unassign(self, by: Caller, assignment: str) -> None:
        """DELETE of one."""
        self._may(by)
        if assignment not in self._directory.role_assignments:
            raise not_found(assignment)
        gone = self._directory.role_assignments.pop(assignment)
        pair = gone["principalId"], gone["directoryScopeId"].removeprefix("/")
        self._directory.scoped_to.discard(pair)

    def _definition(self, definition: str) -> Json:
        if definition not in self._directory.role_definitions:
            raise not_found(definition)
        return self._directory.role_definitions[definition]


def _allows(definition: Json) -> bool:
    actions = [action for each in definition["rolePermissions"] for action in each["allowedResourceActions"]]
    return bool(definition["isEnabled"]) and ASSIGNS_APP_ROLES in actions
