"""AppRoles over Microsoft Graph: app roles are assigned, read and taken back, by the identity that may.

This app's own identity is asked first, as the owner of the resource's service principal; a second one, where there is
one, only once the first was denied. Sources: the Graph pages of appRoleAssignment; "Manage app consent policies" of
Entra; hashicorp/terraform-provider-azuread #1290, of a directory role for one service principal.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Final, TypeVar
from urllib.parse import quote

from provisioning import trail
from provisioning.adapters.graph_calls import GraphCalls, Refused, Unanswered, unavailable
from provisioning.adapters.graph_errors import REPLICATION, error_of
from provisioning.domain.errors import GrantDenied, TryAgain
from provisioning.domain.readiness import SignedIn
from provisioning.ports import Clock

logger = trail.logger(__name__)

DENIAL_REMEMBERED_FOR: Final = timedelta(hours=1)
PAGE: Final = 100
T = TypeVar("T")


class GraphAppRoles:
    """App roles of a tenant. Each method is one request, but where the first identity is denied, and in long lists."""

    def __init__(self, own: GraphCalls, granter: GraphCalls | None, clock: Clock) -> None:
        self._own = own
        self._granter = granter
        self._clock = clock
        self._denied_until: dict[tuple[str, bool], datetime] = {}

    def assign(self, resource_id: str, principal_id: str, app_role_id: str, mark: str) -> str | None:
        """As the port says."""
        body = {"principalId": principal_id, "resourceId": resource_id, "appRoleId": app_role_id}

        def post(calls: GraphCalls) -> str | None:
            try:
                return str(calls.call("POST", f"/servicePrincipals/{resource_id}/appRoleAssignedTo", body)["id"])
            except Refused as error:
                if not error.refused.already_exists:
                    raise
                return None

        return self._by_whoever_may(resource_id, mark, post)

    def held(self, principal_id: str, resource_id: str) -> Mapping[str, str]:
        """As the port says. What a client holds of one resource fits into one page."""
        # The id stands bare: it is an Edm.Guid ("List appRoleAssignments granted to a user", example 2).
        path = f"/servicePrincipals/{principal_id}/appRoleAssignments?$filter=resourceId eq {resource_id}&$top={PAGE}"
        found = self._own.read(path)
        if found is None:
            raise _not_replicated()
        return {str(each["appRoleId"]): str(each["id"]) for each in found["value"]}

    def take_back(self, resource_id: str, assignment_id: str, mark: str) -> None:
        """As the port says."""
        path = f"/servicePrincipals/{resource_id}/appRoleAssignedTo/{quote(assignment_id, safe='')}"

        def delete(calls: GraphCalls) -> None:
            try:
                calls.call("DELETE", path)
            except Refused as error:
                if not error.refused.missing:
                    raise

        self._by_whoever_may(resource_id, mark, delete)

    def granter(self) -> SignedIn | None:
        """As the port says. No request, but for the token."""
        return self._granter.signed_in() if self._granter is not None else None

    def _by_whoever_may(self, resource_id: str, mark: str, act: Callable[[GraphCalls], T]) -> T:
        """Act as this app, or else as the granter; who was denied about this resource is not asked for an hour."""
        request_id = None
        for calls in (self._own, self._granter):
            key = resource_id, calls is self._granter
            denied_until = self._denied_until.get(key)
            if calls is None or (denied_until is not None and self._clock.now() < denied_until):
                continue
            if calls is self._granter and not self._carries(resource_id, mark):
                continue
            try:
                return act(calls)
            except Refused as error:
                refused = error.refused
                if refused.status == HTTPStatus.FORBIDDEN:
                    request_id = refused.request_id
                    self._denied_until[key] = self._clock.now() + DENIAL_REMEMBERED_FOR
                    continue
                # Graph has no code for it (terraform-provider-azuread).
                if refused.says("not a valid reference update"):
                    raise _not_replicated() from None
                raise error_of(refused) from None
            except Unanswered:
                raise unavailable() from None
        logger.info("app roles of %s: nobody of this service may assign them", resource_id)
        raise GrantDenied(request_id)

    def _carries(self, resource_id: str, mark: str) -> bool:
        """Whether the resource's service principal shows the mark, as it shows the tags of its application."""
        found = self._own.read(f"/servicePrincipals/{resource_id}?$select=tags")
        return found is not None and mark in found["tags"]


def _not_replicated() -> TryAgain:
    return TryAgain("not-replicated-yet", "Entra does not know the service principal, or not yet.", remedy=REPLICATION)
