"""Where Resource Manager's operations are found, and how they read a request; `accounts.py` has what they say."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.emulator.arm import accounts
from dev.emulator.http.exchange import Answer, Context, Route

if TYPE_CHECKING:
    from collections.abc import Iterator

    from dev.emulator.http.bearer import Bearer


def routes(bearer: Bearer) -> Iterator[Route]:
    """The table of addresses. Nothing is remembered here, so that a reset has nothing to forget."""

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
