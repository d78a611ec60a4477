"""Where the vault, the token endpoint and the managed identity are found."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from dev.emulator import encoding, queries
from dev.emulator.errors import Json, VaultError
from dev.emulator.exchange import Answer, Context, Handler, Route
from dev.emulator.vault import LARGEST_PAGE, Vault

_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview\.\d+)?|7\.\d(-preview\.\d+)?|2015-06-01|2016-10-01")
Secrets = Callable[[Vault, Context], Answer]


def _vault_handler(operation: Secrets) -> Handler:
    """Every operation of the vault first looks at the token, then at the role, then at the API version."""

    def handle(context: Context) -> Answer:
        claims = encoding.bearer(context.emulator, context.request, "vault.")
        vault = context.emulator.vault
        vault.authorize(claims["oid"])
        if not _API_VERSION.fullmatch(context.request.args.get("api-version", "")):
            raise VaultError(400, "BadParameter", "The request must have a valid api-version.")
        return operation(vault, context)

    return handle


def _listed(context: Context, items: list[Json], path: str) -> Answer:
    arguments = context.request.args.to_dict()
    try:
        size = int(arguments.get("maxresults", LARGEST_PAGE))
    except ValueError:
        size = 0
    if not 1 <= size <= LARGEST_PAGE:
        raise VaultError(400, "BadParameter", "maxresults must be between 1 and 25.")
    size = min(size, context.emulator.faults.switches.page_size or size)
    options = {"$top": str(size)} | {name: value for name, value in arguments.items() if name == "$skiptoken"}
    shown, token = queries.page(items, options, None)
    link = queries.next_link(f"{context.emulator.origin}{path}", arguments, token) if token else None
    return Answer(200, {"value": [queries.select(item, {}, "secret") for item in shown], "nextLink": link})


def _name(context: Context) -> str:
    return context.path["name"]


def _set(vault: Vault, context: Context) -> Answer:
    return Answer(200, vault.set(_name(context), encoding.vault_body(context.request)))


def _get(vault: Vault, context: Context) -> Answer:
    return Answer(200, vault.get(_name(context), context.path.get("version", "")))


def _update(vault: Vault, context: Context) -> Answer:
    body = encoding.vault_body(context.request)
    return Answer(200, vault.update(_name(context), context.path.get("version", ""), body))


def _delete(vault: Vault, context: Context) -> Answer:
    return Answer(200, vault.delete(_name(context)))


def _list(vault: Vault, context: Context) -> Answer:
    return _listed(context, vault.listed(), "/secrets")


def _versions(vault: Vault, context: Context) -> Answer:
    return _listed(context, vault.versions(_name(context)), f"/secrets/{_name(context)}/versions")


def _get_deleted(vault: Vault, context: Context) -> Answer:
    return Answer(200, vault.get_deleted(_name(context)))


def _list_deleted(vault: Vault, context: Context) -> Answer:
    return _listed(context, vault.listed_deleted(), "/deletedsecrets")


def _recover(vault: Vault, context: Context) -> Answer:
    return Answer(200, vault.recover(_name(context)))


def _purge(vault: Vault, context: Context) -> Answer:
    vault.purge(_name(context))
    return Answer(204)


def vault_routes() -> Iterator[Route]:
    """The secrets of the vault."""
    one, version = "/secrets/<name>", "/secrets/<name>/<version>"
    yield Route("GET", "/secrets", "vault.listSecrets", _vault_handler(_list))
    yield Route("PUT", one, "vault.setSecret", _vault_handler(_set))
    yield Route("GET", f"{one}/", "vault.getSecret", _vault_handler(_get))
    yield Route("PATCH", f"{one}/", "vault.updateSecret", _vault_handler(_update))
    yield Route("DELETE", one, "vault.deleteSecret", _vault_handler(_delete))
    yield Route("GET", f"{one}/versions", "vault.listSecretVersions", _vault_handler(_versions))
    yield Route("GET", version, "vault.getSecret", _vault_handler(_get))
    yield Route("PATCH", version, "vault.updateSecret", _vault_handler(_update))
    deleted = "/deletedsecrets/<name>"
    yield Route("GET", "/deletedsecrets", "vault.listDeletedSecrets", _vault_handler(_list_deleted))
    yield Route("GET", deleted, "vault.getDeletedSecret", _vault_handler(_get_deleted))
    yield Route("DELETE", deleted, "vault.purgeSecret", _vault_handler(_purge))
    yield Route("POST", f"{deleted}/recover", "vault.recoverSecret", _vault_handler(_recover))


def _token(version: int) -> Handler:
    def handle(context: Context) -> Answer:
        sts, request = context.emulator.sts, context.request
        replica = context.emulator.directory.replicas.next()
        authorization = request.headers.get("Authorization")
        form = request.form.to_dict()
        tenant = context.path["tenant"]
        body = sts.client_credentials(tenant, form, authorization, version=version, replica=replica)
        return Answer(200, body)

    return handle


def _discovery(version: int) -> Handler:
    return lambda context: Answer(200, context.emulator.sts.discovery(context.path["tenant"], version=version))


def _keys(context: Context) -> Answer:
    return Answer(200, context.emulator.sts.keys(context.path["tenant"]))


def _identity(context: Context) -> Answer:
    request = context.request
    return Answer(
        200, context.emulator.sts.managed_identity(request.args.to_dict(), request.headers.get("X-IDENTITY-HEADER"))
    )


def token_routes() -> Iterator[Route]:
    """The token endpoint, its documents, and the managed identity."""
    known = ".well-known/openid-configuration"
    yield Route("POST", "/<tenant>/oauth2/v2.0/token", "token.clientCredentials", _token(2))
    yield Route("POST", "/<tenant>/oauth2/token", "token.clientCredentials", _token(1))
    yield Route("GET", f"/<tenant>/v2.0/{known}", "token.discovery", _discovery(2))
    yield Route("GET", f"/<tenant>/{known}", "token.discovery", _discovery(1))
    yield Route("GET", "/<tenant>/discovery/v2.0/keys", "token.keys", _keys)
    yield Route("GET", "/<tenant>/discovery/keys", "token.keys", _keys)
    yield Route("GET", "/msi/token", "identity.token", _identity)
