"""What Resource Manager says of a cloud, and of whoever signs in: its tenant, and no subscription.

Whoever has a role on no resource sees no subscription; a command line then signs in to the tenant alone. Sources: the
operations Subscriptions_List and Tenants_List of Resource Manager, and what azure-cli reads of its metadata
(azure/cli/core/cloud.py).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.emulator.constants import GRAPH_RESOURCE, VAULT_RESOURCE
from dev.emulator.errors import ArmError, Json

if TYPE_CHECKING:
    from collections.abc import Mapping

METADATA_VERSIONS = frozenset({"2015-01-01", "2015-11-01", "2018-05-01", "2019-05-01", "2022-09-01"})
# Since this one, metadata is told by the names of azure-cli's own table of clouds.
_BY_ITS_NAMES = "2018-05-01"
SUBSCRIPTION_VERSIONS = frozenset({"2016-06-01", "2019-06-01", "2019-11-01", "2020-01-01", "2021-01-01", "2022-12-01"})


def check_version(query: Mapping[str, str], known: frozenset[str]) -> str:
    """Return the version of the API that a request names: it has to name one that there is."""
    version = query.get("api-version")
    if not version:
        message = "The api-version query parameter (?api-version=) is required for all requests."
        raise ArmError(400, "MissingApiVersionParameter", message)
    if version not in known:
        message = f"The api-version '{version}' is invalid. The supported versions are '{','.join(sorted(known))}'."
        raise ArmError(400, "InvalidApiVersionParameter", message)
    return version


def metadata(origin: str, version: str) -> Json:
    """Where the parts of this cloud are; asked for without a token, before anybody signs in."""
    audiences = [f"{origin}/"]
    if version < _BY_ITS_NAMES:
        return {
            "galleryEndpoint": f"{origin}/",
            "graphEndpoint": f"{origin}/",
            "portalEndpoint": f"{origin}/",
            "authentication": {"loginEndpoint": origin, "audiences": audiences},
        }
    return {
        "name": "Emulator",
        "portal": f"{origin}/",
        "resourceManager": f"{origin}/",
        "graph": f"{origin}/",
        "graphAudience": f"{origin}/",
        "microsoftGraphResourceId": GRAPH_RESOURCE,
        "authentication": {"loginEndpoint": origin, "audiences": audiences, "tenant": "common"},
        "suffixes": {"keyVaultDns": VAULT_RESOURCE.removeprefix("https://")},
    }


def subscriptions() -> Json:
    """GET /subscriptions: those on which the caller has a role."""
    return {"value": [], "count": {"type": "Total", "value": 0}}


def tenants(tenant_id: str) -> Json:
    """GET /tenants: those that know the caller."""
    tenant = {"id": f"/tenants/{tenant_id}", "tenantId": tenant_id, "tenantCategory": "Home", "displayName": "Emulator"}
    return {"value": [tenant]}
