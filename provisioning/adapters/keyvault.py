"""SecretStore over Azure Key Vault's own library, with its retries off: a repeat is decided where the clock is read."""

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final, NoReturn
from urllib.parse import quote

import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import (
    AzureError,
    ClientAuthenticationError,
    HttpResponseError,
    ResourceNotFoundError,
)
from azure.keyvault.secrets import KeyVaultSecret, SecretClient, SecretProperties

from provisioning.adapters.transport import next_page_token, retry_after, sdk_options
from provisioning.domain.directory import Marked
from provisioning.domain.errors import NeedsOperator, OutcomeUnknown, PublishBoundPassed, TryAgain
from provisioning.domain.registration import NAME_PREFIX
from provisioning.domain.secrets import CurrentSecret, MintedSecret
from provisioning.ports import Clock

_NEVER: Final = datetime.max.replace(tzinfo=UTC)
CONTENT_TYPE: Final = "Microsoft Entra client secret"


class KeyVaultSecrets:
    """Key Vault. Two requests for the first call of a process: the vault asks who calls before it answers."""

    def __init__(
        self,
        vault_url: str,
        credential: TokenCredential,
        session: requests.Session,
        clock: Clock,
        *,
        verify_challenge_resource: bool,
    ) -> None:
        self._clock = clock
        self._bound = threading.local()
        self._client = SecretClient(
            vault_url,
            credential,
            verify_challenge_resource=verify_challenge_resource,
            raw_request_hook=self._check_the_clock,
            **sdk_options(session),
        )

    def current(self, name: str) -> CurrentSecret | None:
        """As the port says. The vault answers with the secret's text too; it ends here."""
        stored = self._get(name)
        return None if stored is None else _current(stored.properties)

    def read(self, name: str) -> MintedSecret | None:
        """As the port says."""
        stored = self._get(name)
        if stored is None:
            return None
        current = _current(stored.properties)
        return MintedSecret(
            current.key_id or "",
            current.expires_at or _NEVER,
            current.minted_at,
            text=stored.value or "",
        )

    def remove(self, name: str) -> None:
        """As the port says: one request; it does not wait until the vault has finished."""
        try:
            self._client.begin_delete_secret(name)
        except AzureError as error:
            if _inner_code(error) != "ObjectIsBeingDeleted" and not _is_absent(error):
                self._translate(error, writing=False)

    def _get(self, name: str) -> KeyVaultSecret | None:
        try:
            return self._client.get_secret(name)
        except AzureError as error:
            if _is_absent(error):
                return None
            self._translate(error, writing=False)

    def marked(self, continuation_token: str | None) -> Marked:
        """As the port says. Of the link to the next page only its token is kept, never the address."""
        link = (
            f"{self._client.vault_url}/secrets?$skiptoken={quote(continuation_token, safe='')}"
            if continuation_token
            else None
        )
        pages: Any = self._client.list_properties_of_secrets().by_page(link)
        try:
            listed = list(next(pages, []))
            following = next_page_token(pages.continuation_token)
        except ValueError:
            raise TryAgain(
                "vault-unavailable",
                "Key Vault's answer has a next page that cannot be asked for.",
                remedy=_VAULT_HEALTH,
            ) from None
        except AzureError as error:
            self._translate(error, writing=False)
        ids = ((each.tags or {}).get("id") for each in listed if (each.name or "").startswith(NAME_PREFIX))
        return Marked(tuple(each for each in ids if each), following)

    def publish(self, name: str, secret: MintedSecret, tags: Mapping[str, str], not_after: datetime) -> CurrentSecret:
        """As the port says."""
        self._bound.not_after = not_after
        try:
            stored = self._client.set_secret(
                name,
                secret.text,
                expires_on=secret.expires_at,
                tags=dict(tags),
                content_type=CONTENT_TYPE,
            )
        except AzureError as error:
            self._translate(error, writing=True)
        finally:
            del self._bound.not_after
        return replace(_current(stored.properties), key_id=secret.key_id)

    def _check_the_clock(self, _request: object) -> None:
        """Stop a publication that comes too late.

        The library calls this after it had a token, and again after the vault asked who calls: each time directly
        before the request goes out.
        """
        not_after = getattr(self._bound, "not_after", None)
        if not_after is not None and self._clock.now() > not_after:
            raise PublishBoundPassed

    def _translate(self, error: AzureError, *, writing: bool) -> NoReturn:
        """Raise the error of the family whose turn it is; the library's own may hold the request, so it ends here."""
        status = error.status_code if isinstance(error, HttpResponseError) else None
        response: Any = error.response if isinstance(error, HttpResponseError) else None
        wait = retry_after(response.headers, self._clock.now()) if response is not None else None
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            raise TryAgain(
                "vault-throttled", "Key Vault asks for fewer requests.", remedy=_VAULT_HEALTH, retry_after=wait
            ) from None
        # azure-identity's errors have no response; a 401 is a token that ran out on the way.
        if isinstance(error, ClientAuthenticationError) or status == HTTPStatus.UNAUTHORIZED:
            raise TryAgain(
                "no-identity-token",
                "No token could be had for Key Vault, or it was not accepted.",
                remedy="If it lasts, check that the app has a managed identity and AZURE_CLIENT_ID names it.",
            ) from None
        if (
            status is not None
            and HTTPStatus.BAD_REQUEST <= status < HTTPStatus.INTERNAL_SERVER_ERROR
            # A 404 that names no secret is of somebody on the way, and says nothing of the vault.
            and status not in (HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.NOT_FOUND)
        ):
            raise _refused(status, _inner_code(error)) from None
        if writing:
            raise OutcomeUnknown(
                "vault-outcome-unknown",
                "Whether Key Vault stored the secret is not known.",
                remedy=_VAULT_HEALTH,
                retry_after=wait,
            ) from None
        raise TryAgain(
            "vault-unavailable", "Key Vault could not answer.", remedy=_VAULT_HEALTH, retry_after=wait
        ) from None


_VAULT_HEALTH: Final = "If it lasts, see the health of Key Vault and the app's network, then retry."


def _refused(status: int, inner_code: str) -> NeedsOperator | TryAgain:
    if inner_code in ("ObjectIsBeingDeleted", "ObjectIsBeingRecovered"):
        return TryAgain("vault-secret-deleting", "The secret is being deleted or recovered.", remedy=_RECOVER)
    if inner_code == "ObjectIsDeletedButRecoverable":
        return NeedsOperator("vault-secret-deleted", "The vault holds a deleted secret of this name.", remedy=_RECOVER)
    if status == HTTPStatus.CONFLICT:
        return TryAgain("vault-conflict", "Another operation on the secret was under way.", remedy=_VAULT_HEALTH)
    if inner_code == "SecretDisabled":
        return NeedsOperator(
            "vault-secret-disabled",
            "Somebody disabled the current version of the secret.",
            remedy="Find out why; enable that version again, then retry.",
        )
    if status == HTTPStatus.FORBIDDEN:
        return NeedsOperator(
            "vault-denied",
            "Key Vault denied the request.",
            remedy="Give this app's identity the role Key Vault Secrets Officer on the vault, let its network reach "
            "the vault, then retry.",
        )
    return NeedsOperator(
        "vault-refused",
        f"Key Vault refused the request with status {status}.",
        remedy="See the vault's diagnostic log for the cause, mend it, then retry.",
    )


_RECOVER: Final = "Recover it (az keyvault secret recover), so that its versions are kept, then retry."


def _is_absent(error: AzureError) -> bool:
    """Whether the vault says that it has no secret of the name; a 404 alone may come from anybody."""
    return isinstance(error, ResourceNotFoundError) and _code(error) == "SecretNotFound"


def _code(error: AzureError) -> str:
    code = getattr(getattr(error, "error", None), "code", None)
    return code if isinstance(code, str) else ""


def _inner_code(error: AzureError) -> str:
    inner = getattr(getattr(error, "error", None), "innererror", None)
    code = inner.get("code") if isinstance(inner, dict) else None
    return code if isinstance(code, str) else ""


def _current(properties: SecretProperties) -> CurrentSecret:
    tags = properties.tags or {}
    return CurrentSecret(
        id=f"{properties.vault_url}/secrets/{properties.name}",
        key_id=tags.get("keyId"),
        created_at=properties.created_on or datetime.fromtimestamp(0, UTC),
        expires_at=properties.expires_on,
        tags=tags,
    )
