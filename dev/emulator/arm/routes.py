"""Where Resource Manager's operations are found, and how they read a request; `accounts.py` has what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.emulator.arm import accounts
from dev.emulator.arm.role_assignments import PROVIDER, VERSIONS, RoleAssignments
from dev.emulator.errors import ArmError
from dev.emulator.http import envelopes
from dev.emulator.http.exchange import Answer, Context, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dev.emulator.http.bearer import Bearer


def routes(find: Callable[[], RoleAssignments], bearer: Bearer) -> Iterator[Route]:
    """The table of addresses; what is remembered is asked for at each request, because a reset makes a new one."""

    def metadata(context: Context) -> Answer:
        version = accounts.check_version(context.request.args.to_dict(), accounts.METADATA_VERSIONS)
        return Answer(200, accounts.metadata(bearer.origin, version))

    def subscriptions(context: Context) -> Answer:
        bearer.arm(context.request)
        accounts.check_version(context.request.args.to_dict(), accounts.SUBSCRIPTION_VERSIONS)
        return Answer(200, accounts.subscriptions())

    def tenants(context: Context) -> Answer:
        claims = bearer.arm(context.request)
        accounts.check_version(context.request.args.to_dict(), accounts.SUBSCRIPTION_VERSIONS)
        return Answer(200, accounts.tenants(claims["tid"]))

    yield Route("GET", "/metadata/endpoints", "arm.metadata", metadata)
    yield Route("GET", "/subscriptions", "arm.listSubscriptions", subscriptions)
    yield Route("GET", "/tenants", "arm.listTenants", tenants)
    yield from _role_assignments(find, bearer)


def _role_assignments(find: Callable[[], RoleAssignments], bearer: Bearer) -> Iterator[Route]:
    def asked(context: Context) -> tuple[str, str]:
        """Who asks, by object id, and about which scope."""
        claims = bearer.arm(context.request)
        accounts.check_version(context.request.args.to_dict(), VERSIONS)
        return claims["oid"], f"/subscriptions/{context.path['scope']}"

    def create(context: Context) -> Answer:
        by, scope = asked(context)
        body = envelopes.json_object(context.request) if context.request.mimetype == "application/json" else None
        if body is None:
            raise ArmError(400, "InvalidRequestContent", "The request content was invalid.")
        return Answer(*find().create(by, scope, context.path["name"], body))

    def get(context: Context) -> Answer:
        return Answer(200, find().get(*asked(context), context.path["name"]))

    def delete(context: Context) -> Answer:
        return Answer(*find().delete(*asked(context), context.path["name"]))

    def listed(context: Context) -> Answer:
        return Answer(200, find().listed(*asked(context), context.request.args.to_dict()))

    everywhere = f"/subscriptions/<path:scope>/providers/{PROVIDER}"
    yield Route("GET", everywhere, "arm.listRoleAssignments", listed)
    yield Route("PUT", f"{everywhere}/<name>", "arm.assignRole", create)
    yield Route("GET", f"{everywhere}/<name>", "arm.getRoleAssignment", get)
    yield Route("DELETE", f"{everywhere}/<name>", "arm.unassignRole", delete)
