"""What a client and a FHIR server do in the demo: a token for a secret of the vault, and a look at what it carries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import jwt
import requests
from azure.identity import ManagedIdentityCredential
from azure.keyvault.secrets import KeyVaultSecretIdentifier, SecretClient

if TYPE_CHECKING:
    from collections.abc import Mapping

_TIMEOUT = 30


class ClientError(Exception):
    """A client got no token, or a server would not take it."""


class Clients:
    """Whoever has a registration, with an identity of its own that may read the vault."""

    def __init__(self, session: requests.Session, vault_url: str) -> None:
        self._session = session
        self._vault = SecretClient(vault_url, ManagedIdentityCredential(), verify_challenge_resource=False)

    def secret(self, registration: Mapping[str, Any]) -> str:
        """Returns the client's current secret, from the vault."""
        at = KeyVaultSecretIdentifier(str(registration["secret"]["id"]))
        return str(self._vault.get_secret(at.name).value)

    def ask(self, registration: Mapping[str, Any], secret: str, scope: str) -> requests.Response:
        """Asks the token endpoint for a token, and returns its answer."""
        return self._session.post(
            registration["oauth"]["tokenEndpoint"],
            data={
                "grant_type": "client_credentials",
                "client_id": registration["clientId"],
                "client_secret": secret,
                "scope": scope,
            },
            timeout=_TIMEOUT,
        )

    def token(self, registration: Mapping[str, Any], scope: str) -> str:
        """Returns a token for a client, by its secret from the vault; raises ClientError where there is none."""
        answer = self.ask(registration, self.secret(registration), scope)
        if answer.status_code != requests.codes.ok:
            raise ClientError(f"the token endpoint answered {answer.status_code} {answer.json().get('error', '')}")
        return str(answer.json()["access_token"])

    def taken_by(self, server: Mapping[str, Any], token: str) -> dict[str, Any]:
        """Does with a token what the FHIR server does, with the settings that its registration gives for it.

        Returns what the token says. Raises jwt.PyJWTError for another issuer, audience, signature or time.
        """
        given = server["fhirServerSettings"]
        audience = given["FhirServer__Security__Authentication__Audience"]
        authority = given["FhirServer__Security__Authentication__Authority"]
        metadata = self._get(f"{authority}/.well-known/openid-configuration")
        keys = jwt.PyJWKSet.from_dict(self._get(metadata["jwks_uri"]))
        key = keys[jwt.get_unverified_header(token)["kid"]]
        claims: dict[str, Any] = jwt.decode(
            token, key, algorithms=["RS256"], audience=audience, issuer=metadata["issuer"]
        )
        return claims

    def _get(self, url: str) -> dict[str, Any]:
        answer = self._session.get(url, timeout=_TIMEOUT)
        if answer.status_code != requests.codes.ok:
            raise ClientError(f"{url} answered {answer.status_code}")
        document: dict[str, Any] = answer.json()
        return document
