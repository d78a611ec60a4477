"""The clouds of Azure, each known by the host of its token authority: its portal, its Graph, its Resource Manager.

Sources: "National clouds" of the Microsoft identity platform, "Microsoft Graph national cloud deployments", azure-cli
(azure/cli/core/cloud.py), and for the audience of exchanged tokens hashicorp/terraform-provider-azuread #1755 and
Azure/login #452.
"""

from typing import Final

from provisioning.domain.values import dataclass


@dataclass(frozen=True, slots=True)
class Cloud:
    """A cloud of Azure.

    `suffix` is how the audience for exchanged tokens ends there. `admin_consent` is whether
    `az ad app permission admin-consent` works in it.
    """

    portal: str
    graph_endpoint: str
    resource_manager: str
    suffix: str
    admin_consent: bool = False


PUBLIC: Final = Cloud(
    "https://portal.azure.com", "https://graph.microsoft.com", "https://management.azure.com", "", admin_consent=True
)
US_GOVERNMENT: Final = Cloud(
    "https://portal.azure.us", "https://graph.microsoft.us", "https://management.usgovcloudapi.net", "USGov"
)
CHINA: Final = Cloud(
    "https://portal.azure.cn",
    "https://microsoftgraph.chinacloudapi.cn",
    "https://management.chinacloudapi.cn",
    "China",
)
_BY_AUTHORITY: Final = {
    "https://login.microsoftonline.us": US_GOVERNMENT,
    "https://login.chinacloudapi.cn": CHINA,
    "https://login.partner.microsoftonline.cn": CHINA,
}


def cloud_of(authority_host: str) -> Cloud:
    """Return the cloud of a token authority; the public one for a host that is none of another cloud's."""
    return _BY_AUTHORITY.get(authority_host.lower(), PUBLIC)
