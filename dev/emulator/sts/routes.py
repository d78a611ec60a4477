"""Where the token endpoint, its documents and the managed identity are found; `endpoint.py` has their rules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.emulator.http.exchange import Answer, Context, Handler, Route

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dev.emulator.sts.endpoint import TokenService


def _token(find: Callable[[], TokenService], version: int) -> Handler:
    def handle(context: Context) -> Answer:
        sts, request = find(), context.request
        replica = sts.replicas.next()
        authorization = request.headers.get("Authorization")
        form = request.form.to_dict()
        tenant = context.path["tenant"]
        body = sts.client_credentials(tenant, form, authorization, version=version, replica=replica)
        return Answer(200, body)

    return handle


def _discovery(find: Callable[[], TokenService], version: int) -> Handler:
    return lambda context: Answer(200, find().discovery(context.path["tenant"], version=version))


def _keys(find: Callable[[], TokenService]) -> Handler:
    return lambda context: Answer(200, find().keys(context.path["tenant"]))


def _identity(find: Callable[[], TokenService]) -> Handler:
    def handle(context: Context) -> Answer:
        query, header = context.request.args.to_dict(), context.request.headers.get("X-IDENTITY-HEADER")
        return Answer(200, find().managed_identity(query, header))

    return handle


def routes(sts: Callable[[], TokenService]) -> Iterator[Route]:
    """The table of addresses; the token service is asked for at each request, because a reset makes a new one."""
    known = ".well-known/openid-configuration"
    yield Route("POST", "/<tenant>/oauth2/v2.0/token", "token.clientCredentials", _token(sts, 2))
    yield Route("POST", "/<tenant>/oauth2/token", "token.clientCredentials", _token(sts, 1))
    yield Route("GET", f"/<tenant>/v2.0/{known}", "token.discovery", _discovery(sts, 2))
    yield Route("GET", f"/<tenant>/{known}", "token.discovery", _discovery(sts, 1))
    yield Route("GET", "/<tenant>/discovery/v2.0/keys", "token.keys", _keys(sts))
    yield Route("GET", "/<tenant>/discovery/keys", "token.keys", _keys(sts))
    yield Route("GET", "/msi/token", "identity.token", _identity(sts))
