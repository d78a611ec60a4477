"""Graph's operations on app role assignments: who holds which application role of which resource, and who may say so.

Sources: the Graph pages "Grant an appRoleAssignment for a service principal" (the ids are object ids of service
principals; AppRoleAssignment.ReadWrite.All with Application.Read.All), "List appRoleAssignments" (OwnedBy may read;
late for what was granted or removed just now), "Manage app consent policies" of Entra (an owner of a service principal
may grant the roles that it exposes), hashicorp/terraform-provider-azuread #1290 (a directory role whose scope is that
one service principal does, for an application too).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.emulator import constants
from dev.emulator.errors import GraphError, Json, bad_request, denied, not_found
from dev.emulator.shapes import as_text, guid, read

if TYPE_CHECKING:
    from dev.emulator.graph.directory import Directory
    from dev.emulator.graph.records import AppRoleAssignment, Caller, ServicePrincipal

MOST_ASSIGNMENTS = 1500  # of one principal ("Microsoft Entra service limits and restrictions")
_NAMES = ("principalId", "resourceId", "appRoleId")
_FIELDS = dict.fromkeys(_NAMES, guid)
_KIND = "AppRoleAssignment"


class AppRoleAssignments:
    """Each method is one operation: checks the caller, then the body, then acts."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def create(self, by: Caller, body: Json, side: str, **key: str) -> Json:
        """POST …/appRoleAssignedTo of the resource, or …/appRoleAssignments of the principal (`side` names it)."""
        directory = self._directory
        addressed = directory.find_principal(by, **key)
        asked = read(body, _FIELDS, _NAMES, _KIND)
        if asked[side] != addressed.id:
            raise bad_request(f"The {side} of the assignment is not that of the address.", target=side)
        resource = directory.principals.get(str(asked["resourceId"]))
        if resource is None or resource.body.latest is None:
            raise not_found(str(asked["resourceId"]))
        self._may_assign(by, resource)
        principal = self._principal(by, str(asked["principalId"]))
        role = next((each for each in resource.exposed["appRoles"] if each["id"] == asked["appRoleId"]), None)
        if role is None or not role["isEnabled"] or "Application" not in role["allowedMemberTypes"]:
            raise bad_request(f"Permission being assigned was not found on application '{resource.app_id}'.")
        held = directory.living_assignments(principal.id)
        if any((each.resource_id, each.role_id) == (resource.id, role["id"]) for each in held):
            raise bad_request("Permission being assigned already exists on the object")
        if len(held) >= MOST_ASSIGNMENTS:
            raise GraphError(403, "Directory_QuotaExceeded", "The principal has too many app role assignments.")
        return self._shown(directory.assign(principal, resource, role["id"]))

    def _principal(self, by: Caller, object_id: str) -> ServicePrincipal:
        """Whom it is given to; of one that the replica has not seen Graph says 404 and 400 by turns."""
        directory = self._directory
        principal = directory.principals.get(object_id)
        if principal is not None and principal.seen_by(directory.replicas, by.replica) is not None:
            return principal
        if principal is not None and next(directory.misleading) % 2:
            raise bad_request("Not a valid reference update.")
        raise not_found(object_id)

    def _may_assign(self, by: Caller, resource: ServicePrincipal) -> None:
        directory = self._directory
        if constants.ASSIGN_ROLES in by.roles and constants.APPLICATION_READ_ALL in by.roles:
            return
        if (by.object_id, resource.id) in directory.scoped_to:
            return
        owns = constants.OWNED_BY in by.roles and by.object_id in resource.owners
        if not owns or directory.switches.owner_may_not_assign:
            raise denied()

    def listed(self, by: Caller, side: str, **key: str) -> list[Json]:
        """GET of either list, as the caller's replica has it."""
        directory = self._directory
        directory.may_read(by)
        addressed = directory.find_principal(by, **key)
        seen = (each for each in directory.assignments if each.body.seen_by(directory.replicas, by.replica))
        return [
            {**self._shown(each), "#": each.number}
            for each in seen
            if addressed.id == (each.resource_id if side == "resourceId" else each.principal_id)
        ]

    def delete(self, by: Caller, assignment_id: str, side: str, **key: str) -> None:
        """DELETE of one, in either list."""
        directory = self._directory
        addressed = directory.find_principal(by, **key)
        for each in directory.assignments:
            ours = each.resource_id if side == "resourceId" else each.principal_id
            if each.id == assignment_id and ours == addressed.id and each.body.latest:
                self._may_assign(by, directory.principals[each.resource_id])
                each.body.put(directory.now(), None)
                return
        raise not_found(assignment_id)

    def _shown(self, assignment: AppRoleAssignment) -> Json:
        names = {
            side: self._directory.principals[object_id].exposed["displayName"]
            for side, object_id in (("principal", assignment.principal_id), ("resource", assignment.resource_id))
        }
        return {
            "id": assignment.id,
            "deletedDateTime": None,
            "appRoleId": assignment.role_id,
            "createdDateTime": as_text(assignment.created_at),
            "principalDisplayName": names["principal"],
            "principalId": assignment.principal_id,
            "principalType": "ServicePrincipal",
            "resourceDisplayName": names["resource"],
            "resourceId": assignment.resource_id,
        }
