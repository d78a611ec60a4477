"""The app's own identity: azure-identity, without its own retries, and with one family of errors."""

from typing import Any

from azure.core.credentials import AccessToken, TokenCredential
from azure.core.exceptions import AzureError
from azure.identity import CredentialUnavailableError, DefaultAzureCredential, ManagedIdentityCredential

from provisioning.adapters.transport import SDK_OPTIONS


class OwnIdentity:
    """Tokens of this app. Every failure is an AzureError, which the adapters take for a hiccup that passes.

    The library would repeat by itself, obey any Retry-After, and let an answer that is not JSON through as an error of
    its parser.
    """

    def __init__(self, *, managed: bool, client_id: str | None, authority_host: str) -> None:
        self._credential: TokenCredential = (
            ManagedIdentityCredential(client_id=client_id, **SDK_OPTIONS)
            if managed
            else DefaultAzureCredential(authority=authority_host, managed_identity_client_id=client_id, **SDK_OPTIONS)
        )

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:  # noqa: ANN401 -- azure-core's protocol
        """Return a token for the scopes, from memory while it lasts."""
        try:
            return self._credential.get_token(*scopes, **options)
        except AzureError:
            raise
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is a hiccup of the endpoint
            raise CredentialUnavailableError(f"No token: {type(error).__name__}.") from None
