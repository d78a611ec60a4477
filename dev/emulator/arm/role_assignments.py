"""Role assignments of one subscription: who may give which role to whom, and on what.

Sources: the operations RoleAssignments_Create, _Get, _Delete and _ListForScope of Microsoft.Authorization 2022-04-01;
"List Azure role assignments using the REST API" (filters); "Troubleshoot Azure RBAC" (PrincipalNotFound without
`principalType`, RoleAssignmentUpdateNotPermitted, names that are unique in the whole cloud); "Troubleshoot Azure RBAC
limits" (4,000 in a subscription, RoleAssignmentLimitExceeded, whose status no document names); "Authorization actions
and attributes" (a write is judged by the request, a deletion by the resource). RoleAssignmentExists names the id of the
other one without dashes, by public reports. A caller whose condition is not fulfilled is refused with the same code as
one who has no role at all.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from dev.emulator import pages
from dev.emulator.arm.conditions import Attempt, is_fulfilled
from dev.emulator.constants import VAULT_ID
from dev.emulator.errors import ArmError, Json
from dev.emulator.shapes import as_text, is_guid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from datetime import datetime

    from dev.emulator.faults import Faults
    from dev.emulator.graph.directory import Directory

VERSIONS = frozenset({"2015-07-01", "2018-07-01", "2022-04-01"})
MOST_OF_A_SUBSCRIPTION = 4000
PROVIDER = "Microsoft.Authorization/roleAssignments"
# "Azure built-in roles": the one that assigns roles, and those that are assigned here.
ADMINISTRATOR = "f58310d9-a9f6-439a-9e8d-f62e7b41a168"  # Role Based Access Control Administrator
SECRETS_USER = "4633458b-17de-408a-b874-0445c86b69e6"
ROLES = {
    ADMINISTRATOR: "Role Based Access Control Administrator",
    "8e3af657-a8ff-443c-a75c-2fe8c4bcb635": "Owner",
    "b86a8fe4-44ce-4948-aee5-eccb2c155cd7": "Key Vault Secrets Officer",
    SECRETS_USER: "Key Vault Secrets User",
    "4c8d0bbc-75d3-4935-991f-5f3c56d81508": "FHIR Data Reader",
    "3f88fce4-5892-4214-ae73-ba5294559913": "FHIR Data Writer",
    "5a1fc7df-4bf1-4951-a576-89034ee01acd": "FHIR Data Contributor",
    "3db33094-8700-4567-8da5-1501d4e7e843": "FHIR Data Exporter",
    "4465e953-8ced-4406-a58e-0f6e3f3b530b": "FHIR Data Importer",
    "a1705bd2-3a8f-45a5-8683-466fcfd5cc24": "FHIR Data Converter",
    "4ba50f17-9666-485c-a643-ff00808643f0": "FHIR SMART User",
}
TYPES = ("User", "Group", "ServicePrincipal", "ForeignGroup", "Device")
_OPTIONAL = ("principalType", "description", "condition", "conditionVersion", "delegatedManagedIdentityResourceId")
_ROLE = re.compile(
    r"(?:/subscriptions/[0-9a-f-]{36})?/providers/microsoft\.authorization/roledefinitions/([0-9a-f-]{36})"
)
_FILTER = re.compile(r"(atScope\(\))?(?: and )?(?:assignedTo\('([^']+)'\))?|principalId eq '([^']+)'")


@dataclass(frozen=True)
class RoleAssignment:
    """Somebody has a role on a scope and all that is below it; `condition` is on what holding it allows."""

    name: str
    scope: str
    role_id: str
    principal_id: str
    principal_type: str
    condition: str | None
    by: str
    at: datetime
    number: int

    @property
    def attributes(self) -> dict[str, str]:
        """What a condition can ask about it."""
        return {
            f"{PROVIDER}:RoleDefinitionId": self.role_id,
            f"{PROVIDER}:PrincipalId": self.principal_id,
            f"{PROVIDER}:PrincipalType": self.principal_type,
        }


class RoleAssignments:
    """Each method is one operation: looks at the caller's own roles first, then at the request, then acts."""

    def __init__(self, directory: Directory, faults: Faults, now: Callable[[], datetime]) -> None:
        self._directory = directory
        self._faults = faults
        self._now = now
        self._number = 0
        self.all: dict[str, RoleAssignment] = {}

    # What tests and the local stack set up, as an Owner would.

    def delegate(self, principal_id: str, scope: str, condition: str | None) -> None:
        """Have somebody be Role Based Access Control Administrator of a scope."""
        if condition is not None:
            is_fulfilled(condition, Attempt("none"))
        self.give(principal_id, scope, ADMINISTRATOR, condition)

    def give(self, principal_id: str, scope: str, role_id: str, condition: str | None = None) -> None:
        """Give somebody a role by hand."""
        name = f"00000000-0000-4000-8000-{self._number:012}"
        self._put(name, scope, role_id, principal_id, self._kind(principal_id, None), condition)

    def reads_secret(self, principal_id: str, name: str) -> bool:
        """Whether somebody has by a role of its own, and not by one of a group, Key Vault Secrets User on a secret."""
        secret = f"{VAULT_ID}/secrets/{name}"
        return any(
            (each.principal_id, each.role_id) == (principal_id, SECRETS_USER) and _is_within(secret, each.scope)
            for each in self.all.values()
        )

    # The operations.

    def create(self, by: str, scope: str, name: str, body: Json) -> tuple[int, Json]:
        """PUT …/roleAssignments/{name}: 201, or 200 where exactly this one is there already."""
        if not is_guid(name):
            message = f"The role assignment ID '{name}' is not valid. The role assignment ID must be a GUID."
            raise ArmError(400, "InvalidRoleAssignmentId", message)
        asked, name = _asked(body), name.lower()
        role_id, principal_id = _role_of(asked["roleDefinitionId"]), asked["principalId"].lower()
        wanted = {"RoleDefinitionId": role_id, "PrincipalId": principal_id}
        wanted |= {"PrincipalType": asked["principalType"]} if asked.get("principalType") else {}
        request = {f"{PROVIDER}:{attribute}": value for attribute, value in wanted.items()}
        self._may(by, scope, Attempt(f"{PROVIDER}/write", request=request))
        if role_id not in ROLES:
            message = f"The specified role definition with ID '{role_id.replace('-', '')}' does not exist."
            raise ArmError(404, "RoleDefinitionDoesNotExist", message)
        kind = self._kind(principal_id, asked.get("principalType"))
        there = self.all.get(name)
        if there is not None:
            if (there.scope, there.role_id, there.principal_id) != (scope.lower(), role_id, principal_id):
                message = "Tenant ID, application ID, principal ID, and scope are not allowed to be updated."
                raise ArmError(400, "RoleAssignmentUpdateNotPermitted", message)
            return 200, _shown(there)
        for each in self.all.values():
            if (each.scope, each.role_id, each.principal_id) == (scope.lower(), role_id, principal_id):
                other = each.name.replace("-", "")
                message = f"The role assignment already exists. The ID of the existing role assignment is {other}."
                raise ArmError(409, "RoleAssignmentExists", message)
        if len(self.all) + self._faults.switches.other_role_assignments >= MOST_OF_A_SUBSCRIPTION:
            message = "No more role assignments can be created. The role assignment limit has been exceeded."
            raise ArmError(400, "RoleAssignmentLimitExceeded", message)
        return 201, _shown(self._put(name, scope, role_id, principal_id, kind, asked.get("condition"), by))

    def _put(  # noqa: PLR0913, PLR0917 -- what an assignment has
        self,
        name: str,
        scope: str,
        role_id: str,
        principal_id: str,
        kind: str,
        condition: str | None,
        by: str = "",
    ) -> RoleAssignment:
        self._number += 1
        at = self._now()
        made = RoleAssignment(name, scope.lower(), role_id, principal_id, kind, condition, by, at, self._number)
        self.all[name] = made
        return made

    def get(self, by: str, scope: str, name: str) -> Json:
        """GET …/roleAssignments/{name}."""
        self._may(by, scope, Attempt(f"{PROVIDER}/read"))
        there = self._there(scope, name)
        if there is None:
            raise ArmError(404, "RoleAssignmentNotFound", f"The role assignment '{name}' is not found.")
        return _shown(there)

    def delete(self, by: str, scope: str, name: str) -> tuple[int, Json | None]:
        """DELETE …/roleAssignments/{name}: 200 with what it was, 204 where it is not there."""
        there = self._there(scope, name)
        resource = there.attributes if there is not None else {}
        if there is None:
            self._may(by, scope, Attempt(f"{PROVIDER}/read"))  # of nothing no condition can be asked
            return 204, None
        self._may(by, scope, Attempt(f"{PROVIDER}/delete", resource=resource))
        del self.all[there.name]
        return 200, _shown(there)

    def listed(self, by: str, scope: str, query: Mapping[str, str]) -> Json:
        """GET …/roleAssignments: those of the scope, of what it is in, and, without atScope(), of what is in it."""
        self._may(by, scope, Attempt(f"{PROVIDER}/read"))
        unknown = set(query) - {"api-version", "$filter", "$skiptoken"}
        asked = _FILTER.fullmatch(query.get("$filter", ""))
        if unknown or asked is None:
            raise ArmError(400, "UnsupportedQuery", "The filter or an option of the query is not supported.")
        at_scope, principals = asked[1], {each.lower() for each in asked.groups()[1:] if each}
        found = [
            {**_shown(each), "#": each.number}
            for each in self.all.values()
            if (_is_within(scope, each.scope) or (not at_scope and _is_within(each.scope, scope)))
            and (not principals or each.principal_id in principals)
        ]
        arguments = dict(query)
        size = self._faults.switches.page_size or pages.LARGEST_PAGE
        shown, token = pages.page(found, {**arguments, "$top": str(size)}, None)
        path = f"{self._directory.origin}{scope}/providers/{PROVIDER}"
        link = {"nextLink": pages.next_link(path, arguments, token)} if token else {}
        return {"value": [pages.without_place(each) for each in shown], **link}

    def _there(self, scope: str, name: str) -> RoleAssignment | None:
        there = self.all.get(name.lower())
        return there if there is not None and there.scope == scope.lower() else None

    def _may(self, by: str, scope: str, attempt: Attempt) -> None:
        """The caller's own roles: one of them has to allow it, on the scope or on what that is in."""
        for each in self._roles_of(by, scope):
            if attempt.action.endswith("/read") or each.condition is None or is_fulfilled(each.condition, attempt):
                return
        message = (
            f"The client with object id '{by}' does not have authorization or an ABAC condition not fulfilled to "
            f"perform action '{attempt.action}' over scope '{scope}' or the scope is invalid. If access was recently "
            "granted, please refresh your credentials."
        )
        raise ArmError(403, "AuthorizationFailed", message)

    def _roles_of(self, by: str, scope: str) -> Iterator[RoleAssignment]:
        for each in self.all.values():
            if each.principal_id == by and each.role_id == ADMINISTRATOR and _is_within(scope, each.scope):
                yield each

    def _kind(self, principal_id: str, said: str | None) -> str:
        """What the principal is. Whoever says it is not asked whether the directory knows the principal by now."""
        directory = self._directory
        known = {
            "User": principal_id in directory.users | directory.people,
            "Group": principal_id in directory.groups,
            "ServicePrincipal": self._is_seen(principal_id),
        }
        kind = next((name for name, is_one in known.items() if is_one), None)
        if kind is None and said is None:
            message = (
                f"Principal {principal_id.replace('-', '')} does not exist in the directory "
                f"{self._directory.tenant_id}. Check that you have the correct principal ID. If you are creating this "
                "principal and then immediately assigning a role, this error might be related to a replication delay. "
                "In this case, set the role assignment principalType property to a value, such as ServicePrincipal, "
                "User, or Group."
            )
            raise ArmError(400, "PrincipalNotFound", message)
        if kind is not None and said not in (None, kind):
            message = (
                f"The PrincipalId '{principal_id.replace('-', '')}' has type '{kind}' , which is different from "
                f"specified PrinciaplType '{said}'."
            )
            raise ArmError(400, "UnmatchedPrincipalType", message)
        return str(kind or said)

    def _is_seen(self, principal_id: str) -> bool:
        """Whether the replica that is asked has heard of a service principal."""
        replicas, principal = self._directory.replicas, self._directory.principals.get(principal_id)
        return principal is not None and principal.seen_by(replicas, replicas.next()) is not None


def _is_within(scope: str, other: str) -> bool:
    scope, other = scope.lower(), other.lower()
    return scope == other or scope.startswith(f"{other}/")


def _asked(body: Json) -> dict[str, str]:
    """The properties that a write brings: texts, those that have to be, and no other."""
    asked = body.get("properties")
    required = ("roleDefinitionId", "principalId")
    if not isinstance(asked, dict) or set(body) - {"properties", "id", "name", "type"}:
        raise _invalid("The request content was invalid and could not be deserialized.")
    for name in asked:
        if name not in (*required, *_OPTIONAL):
            raise _invalid(f"Could not find member '{name}' on object of type 'RoleAssignmentPropertiesDefinition'.")
    wrong = [name for name in required if not isinstance(asked.get(name), str)]
    wrong += [name for name in _OPTIONAL if not isinstance(asked.get(name, ""), str)]
    wrong += ["principalId"] if not is_guid(asked.get("principalId")) else []
    wrong += ["principalType"] if asked.get("principalType", "User") not in TYPES else []
    wrong += ["conditionVersion"] if ("condition" in asked) != (asked.get("conditionVersion") == "2.0") else []
    if wrong:
        raise _invalid(f"The value of '{wrong[0]}' is missing or not valid.")
    return asked


def _role_of(definition: str) -> str:
    found = _ROLE.fullmatch(definition.lower())
    if found is None:
        raise ArmError(400, "InvalidRoleDefinitionId", "The role definition ID is not valid.")
    return found[1]


def _invalid(message: str) -> ArmError:
    return ArmError(400, "InvalidRequestContent", message)


def _shown(each: RoleAssignment) -> Json:
    subscription = "/".join(each.scope.split("/")[:3])
    return {
        "id": f"{each.scope}/providers/{PROVIDER}/{each.name}",
        "type": PROVIDER,
        "name": each.name,
        "properties": {
            "roleDefinitionId": f"{subscription}/providers/Microsoft.Authorization/roleDefinitions/{each.role_id}",
            "principalId": each.principal_id,
            "principalType": each.principal_type,
            "scope": each.scope,
            "condition": each.condition,
            "conditionVersion": "2.0" if each.condition else None,
            "createdOn": as_text(each.at),
            "updatedOn": as_text(each.at),
            "createdBy": each.by,
            "updatedBy": each.by,
            "delegatedManagedIdentityResourceId": None,
            "description": None,
        },
    }
