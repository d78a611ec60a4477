"""Where Key Vault's operations are found, and how they read a request; `secrets.py` has their rules."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from dev.emulator import pages
from dev.emulator.errors import Json, VaultError
from dev.emulator.http import envelopes
from dev.emulator.http.exchange import Answer, Context, Handler, Route
from dev.emulator.vault.secrets import LARGEST_PAGE, Vault

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from dev.emulator.http.bearer import Bearer

_API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(-preview\.\d+)?|7\.\d(-preview\.\d+)?|2015-06-01|2016-10-01")
Secrets = Callable[[Vault, Context], Answer]


def _handler(find: Callable[[], Vault], bearer: Bearer, operation: Secrets, *, reads: bool = False) -> Handler:
    """Every operation of the vault first looks at the token, then at the role, then at the API version."""

    def handle(context: Context) -> Answer:
        claims = bearer.vault(context.request)
        vault = find()
        vault.authorize(claims["oid"], context.path["name"] if reads else None)
        if not _API_VERSION.fullmatch(context.request.args.get("api-version", "")):
            raise VaultError(400, "BadParameter", "The request must have a valid api-version.")
        return operation(vault, context)

    return handle


def _listed(vault: Vault, context: Context, items: list[Json], path: str) -> Answer:
    arguments = context.request.args.to_dict()
    try:
        size = int(arguments.get("maxresults", LARGEST_PAGE))
    except ValueError:
        size = 0
    if not 1 <= size <= LARGEST_PAGE:
        raise VaultError(400, "BadParameter", "maxresults must be between 1 and 25.")
    size = min(size, vault.page_cap or size)
    options = {"$top": str(size)} | {name: value for name, value in arguments.items() if name == "$skiptoken"}
    shown, token = pages.page(items, options, None)
    link = pages.next_link(f"{vault.url}{path}", arguments, token) if token else None
    return Answer(200, {"value": [pages.without_place(item) for item in shown], "nextLink": link})


def _body(request: Request) -> Json:
    """The JSON object that a write brings."""
    body = envelopes.json_object(request) if request.mimetype == "application/json" else None
    if body is None:
        raise VaultError(400, "BadParameter", "The request body must be a JSON object.")
    return body


def _name(context: Context) -> str:
    return context.path["name"]


def _set(vault: Vault, context: Context) -> Answer:
    return Answer(200, vault.set(_name(context), _body(context.request)))


def _get(vault: Vault, context: Context) -> Answer:
    return Answer(200, vault.get(_name(context), context.path.get("version", "")))


def _update(vault: Vault, context: Context) -> Answer:
    body = _body(context.request)
    return Answer(200, vault.update(_name(context), context.path.get("version", ""), body))


def _delete(vault: Vault, context: Context) -> Answer:
    return Answer(200, vault.delete(_name(context)))


def _list(vault: Vault, context: Context) -> Answer:
    return _listed(vault, context, vault.listed(), "/secrets")


def _versions(vault: Vault, context: Context) -> Answer:
    return _listed(vault, context, vault.versions(_name(context)), f"/secrets/{_name(context)}/versions")


def _get_deleted(vault: Vault, context: Context) -> Answer:
    return Answer(200, vault.get_deleted(_name(context)))


def _list_deleted(vault: Vault, context: Context) -> Answer:
    return _listed(vault, context, vault.listed_deleted(), "/deletedsecrets")


def _recover(vault: Vault, context: Context) -> Answer:
    return Answer(200, vault.recover(_name(context)))


def _purge(vault: Vault, context: Context) -> Answer:
    vault.purge(_name(context))
    return Answer(204)


def routes(vault: Callable[[], Vault], bearer: Bearer) -> Iterator[Route]:
    """The table of addresses; the vault is asked for at each request, because a reset makes a new one."""
    handler = partial(_handler, vault, bearer)
    one, version = "/secrets/<name>", "/secrets/<name>/<version>"
    yield Route("GET", "/secrets", "vault.listSecrets", handler(_list))
    yield Route("PUT", one, "vault.setSecret", handler(_set))
    yield Route("GET", f"{one}/", "vault.getSecret", handler(_get, reads=True))
    yield Route("PATCH", f"{one}/", "vault.updateSecret", handler(_update))
    yield Route("DELETE", one, "vault.deleteSecret", handler(_delete))
    yield Route("GET", f"{one}/versions", "vault.listSecretVersions", handler(_versions))
    yield Route("GET", version, "vault.getSecret", handler(_get, reads=True))
    yield Route("PATCH", version, "vault.updateSecret", handler(_update))
    deleted = "/deletedsecrets/<name>"
    yield Route("GET", "/deletedsecrets", "vault.listDeletedSecrets", handler(_list_deleted))
    yield Route("GET", deleted, "vault.getDeletedSecret", handler(_get_deleted))
    yield Route("DELETE", deleted, "vault.purgeSecret", handler(_purge))
    yield Route("POST", f"{deleted}/recover", "vault.recoverSecret", handler(_recover))
