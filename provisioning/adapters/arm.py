"""AzureRoles over Azure Resource Manager: role assignments are made, listed and taken back by this app's identity.

It is a delegate, on a condition that allows these roles alone. For whom it was denied nobody asks for an hour.
Sources: the operations RoleAssignments of Microsoft.Authorization 2022-04-01; "Troubleshoot Azure RBAC" and
"Troubleshoot Azure RBAC limits".
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError

from provisioning import trail
from provisioning.adapters.transport import TIMEOUT, BearerToken, next_page_token, retry_after
from provisioning.domain.azure_roles import AzureRole, RoleAssignment
from provisioning.domain.errors import AzureRoleDenied, NeedsOperator, PrincipalNotFound, TryAgain
from provisioning.domain.traces import as_guid
from provisioning.ports import Clock

logger = trail.logger(__name__)

API_VERSION: Final = "2022-04-01"
DENIAL_REMEMBERED_FOR: Final = timedelta(hours=1)
COUNTED_EVERY: Final = timedelta(hours=1)
# After so many requests in a row without an answer, or one that ran out of time, nothing is asked for a while: not each
# registration waits for a network that does not reach it.
UNANSWERED: Final = 2
LEFT_ALONE_FOR: Final = timedelta(minutes=1)
# Of 4,000 in a subscription, which nobody can raise: what is left is for those who run it.
MOST_ASSIGNMENTS: Final = 3800
_PROVIDER: Final = "providers/Microsoft.Authorization/roleAssignments"


class ArmRoles:
    """Role assignments on one resource, and on what is in it. `assign` counts them first, at most once an hour."""

    def __init__(
        self, endpoint: str, resource_id: str, credential: TokenCredential, session: requests.Session, clock: Clock
    ) -> None:
        self._endpoint = endpoint
        self.resource_id = resource_id
        self._token = BearerToken(credential, f"{endpoint}/.default")
        self._session = session
        self._clock = clock
        self._denied_until: dict[str, datetime] = {}
        self._count = 0
        self._counted_at: datetime | None = None
        self._unanswered = 0
        self._away_until: datetime | None = None

    def assign(self, assignment: RoleAssignment, principal_type: str | None) -> None:
        """As the port says. Where somebody else has made one for the same, that is as good, and stays theirs."""
        self._check_denied(assignment)
        self._check_room()
        subscription = "/".join(self.resource_id.split("/")[:3])
        definition = f"{subscription}/providers/Microsoft.Authorization/roleDefinitions/{assignment.role.id}"
        properties = {"roleDefinitionId": definition, "principalId": assignment.principal_id}
        properties |= {"principalType": principal_type} if principal_type is not None else {}
        status, answer = self._call("PUT", _path(assignment), {"properties": properties})
        if status >= HTTPStatus.BAD_REQUEST and _code(answer) != "RoleAssignmentExists":
            raise self._refused(status, _code(answer), assignment)
        self._count += status == HTTPStatus.CREATED

    def made(self, role: AzureRole, scope: str) -> frozenset[str]:
        """As the port says."""
        principals = (
            (str(each["name"]), str(each["properties"]["principalId"]).lower())
            for each in self._listed(f"{scope}/{_PROVIDER}", {"$filter": "atScope()"})
        )
        return frozenset(
            principal for name, principal in principals if RoleAssignment(role, scope, principal).name == name.lower()
        )

    def held(self, principal_id: str) -> Mapping[str, str]:
        """As the port says; what it has as a member of a group is not among them."""
        found = self._listed(f"{self.resource_id}/{_PROVIDER}", {"$filter": f"principalId eq '{principal_id}'"})
        return {
            str(each["name"]).lower(): str(each["properties"]["roleDefinitionId"]).rpartition("/")[2].lower()
            for each in found
        }

    def conditions(self, role: AzureRole, principal_id: str) -> tuple[str | None, ...]:
        """As the port says; what it has as a member of a group is among them."""
        query = {"$filter": f"atScope() and assignedTo('{principal_id}')"}
        found = (each["properties"] for each in self._listed(f"{self.resource_id}/{_PROVIDER}", query))
        return tuple(each.get("condition") for each in found if str(each["roleDefinitionId"]).endswith(f"/{role.id}"))

    def take_back(self, assignment: RoleAssignment) -> None:
        """As the port says."""
        self._check_denied(assignment)
        status, answer = self._call("DELETE", _path(assignment))
        if status >= HTTPStatus.BAD_REQUEST and status != HTTPStatus.NOT_FOUND:
            raise self._refused(status, _code(answer), assignment)

    def _check_denied(self, assignment: RoleAssignment) -> None:
        until = self._denied_until.get(self._about(assignment))
        if until is not None and self._clock.now() < until:
            raise AzureRoleDenied

    def _about(self, assignment: RoleAssignment) -> str:
        """Return what a denial is about: for the resource itself the delegation; for a part of it the holder, too.

        The condition may exclude a holder, whose registration must not stop those of others.
        """
        return "" if assignment.scope == self.resource_id else assignment.principal_id

    def _check_room(self) -> None:
        """Raise NeedsOperator where the subscription has hardly any room left, as far as this delegate can see."""
        now = self._clock.now()
        if self._counted_at is None or now - self._counted_at >= COUNTED_EVERY:
            with suppress(AzureRoleDenied):  # whoever may assign and not look is told by Azure
                self._count = sum(1 for _ in self._listed(f"{self.resource_id}/{_PROVIDER}", {}))
            self._counted_at = now
        if self._count >= MOST_ASSIGNMENTS:
            raise _no_room()

    def _listed(self, path: str, query: Mapping[str, str]) -> Iterator[Mapping[str, Any]]:
        token: str | None = None
        while True:
            status, answer = self._call("GET", path, query={**query, **({"$skiptoken": token} if token else {})})
            if status >= HTTPStatus.BAD_REQUEST:
                raise self._refused(status, _code(answer), None)
            try:
                yield from answer["value"]
                token = next_page_token(answer.get("nextLink"))
            except (KeyError, ValueError):
                raise _unavailable() from None
            if token is None:
                return

    def _refused(self, status: int, code: str, assignment: RoleAssignment | None) -> NeedsOperator | TryAgain:
        """Return what a refusal means, and remember for whom it was denied."""
        if status == HTTPStatus.FORBIDDEN:
            now = self._clock.now()
            self._denied_until = {each: until for each, until in self._denied_until.items() if now < until}
            if assignment is not None:
                self._denied_until[self._about(assignment)] = now + DENIAL_REMEMBERED_FOR
            return AzureRoleDenied()
        if status == HTTPStatus.UNAUTHORIZED:  # a token that ran out on the way
            return _unavailable()
        if code == "RoleAssignmentLimitExceeded":
            return _no_room()
        if code in ("PrincipalNotFound", "UnmatchedPrincipalType"):
            return PrincipalNotFound()
        return NeedsOperator(
            "azure-refused",
            f"Azure Resource Manager refused the role assignment with status {status}.",
            remedy="Check KEY_VAULT_ID and FHIR_SERVICE_IDS; then look the request up in the activity log there.",
        )

    def _call(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> tuple[int, dict[str, Any]]:
        """Send one request, of which a repeat does no harm; return status and JSON. Raise TryAgain for what passes."""
        client_request_id, now = as_guid(trail.current().trace_id), self._clock.now()
        if self._away_until is not None and now < self._away_until:
            raise _unavailable((self._away_until - now).total_seconds())
        try:
            response = self._session.request(
                method,
                f"{self._endpoint}{quote(path)}",
                params={"api-version": API_VERSION, **(query or {})},
                json=body,
                auth=self._token,
                headers={"x-ms-client-request-id": client_request_id, "Accept": "application/json"},
                timeout=TIMEOUT,
                allow_redirects=False,
            )
            answer = response.json() if response.content else {}
        except AzureError:
            raise TryAgain(
                "no-identity-token",
                "No token could be had for Azure Resource Manager.",
                remedy="If it lasts, check that the app has a managed identity and AZURE_CLIENT_ID names it.",
            ) from None
        except (requests.RequestException, ValueError) as error:
            raise self._unanswered_once_more(UNANSWERED if isinstance(error, requests.Timeout) else 1) from None
        self._unanswered = 0
        logger.info("arm %s: %d, client-request-id %s", method, response.status_code, client_request_id)
        if response.status_code == HTTPStatus.TOO_MANY_REQUESTS:
            raise TryAgain(
                "resource-manager-throttled",
                "Azure Resource Manager asks for fewer requests.",
                remedy=_IF_IT_LASTS,
                retry_after=retry_after(response.headers, self._clock.now()),
            )
        failed = response.is_redirect or response.status_code >= HTTPStatus.INTERNAL_SERVER_ERROR
        if failed or not isinstance(answer, dict):
            raise _unavailable()
        return response.status_code, answer

    def _unanswered_once_more(self, weight: int) -> TryAgain:
        """Return the error of a request that has no answer, and remember that."""
        self._unanswered += weight
        if self._unanswered >= UNANSWERED:
            self._unanswered, self._away_until = 0, self._clock.now() + LEFT_ALONE_FOR
        return _unavailable()


_IF_IT_LASTS: Final = "If it lasts, see the health of Azure, and whether the app's network reaches Resource Manager."


def _unavailable(seconds: float | None = None) -> TryAgain:
    return TryAgain(
        "resource-manager-unavailable",
        "Azure Resource Manager could not be reached, or its answer was lost.",
        remedy=_IF_IT_LASTS,
        retry_after=seconds,
    )


def _no_room() -> NeedsOperator:
    return NeedsOperator(
        "role-assignments-near-limit",
        "The subscription has hardly any room for another role assignment: 4,000 is the most.",
        remedy="Give the teams' groups their roles by hand, or move what they are for to a subscription of its own.",
    )


def _path(assignment: RoleAssignment) -> str:
    return f"{assignment.scope}/{_PROVIDER}/{assignment.name}"


def _code(answer: Mapping[str, Any]) -> str:
    error = answer.get("error")
    return str(error.get("code")) if isinstance(error, dict) else ""
