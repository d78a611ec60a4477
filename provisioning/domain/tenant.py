"""Where applications live: a value that the flows share and the settings fill."""

from provisioning.domain.clouds import Cloud, cloud_of
from provisioning.domain.values import dataclass


@dataclass(frozen=True, slots=True)
class Tenant:
    """Where applications live: the tenant, its endpoints, and what its administrators decided."""

    id: str
    authority_host: str
    graph_endpoint: str
    key_vault_url: str
    registrar_object_id: str | None
    verified_domains: tuple[str, ...]

    @property
    def authority(self) -> str:
        """The tenant's token authority, without a version."""
        return f"{self.authority_host}/{self.id}"

    @property
    def token_exchange_audience(self) -> str:
        """The audience that Microsoft recommends, in this cloud, for tokens of other issuers that are exchanged."""
        return f"api://AzureADTokenExchange{self.cloud.suffix}"

    @property
    def cloud(self) -> Cloud:
        """The cloud of Azure that it is in."""
        return cloud_of(self.authority_host)
