"""The access token of a request, and what Graph and the vault say without one; who gets one is not decided here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from dev.emulator.constants import ARM_RESOURCES, BOT_RESOURCE, GRAPH_RESOURCE, VAULT_RESOURCE
from dev.emulator.errors import ArmError, GraphError, Json, VaultError

if TYPE_CHECKING:
    from collections.abc import Callable

    from werkzeug.wrappers import Request


@dataclass(frozen=True)
class Bearer:
    """`verify` gives the claims of a token that is valid now, for one of the audiences."""

    origin: str
    tenant_id: str
    verify: Callable[[str, frozenset[str]], Json | None]

    def graph(self, request: Request) -> Json:
        """The claims of a token for Graph, whose audience is the emulator, too."""
        token, claims = self._read(request, GRAPH_RESOURCE, self.origin)
        if claims is not None:
            return claims
        message = "Access token validation failure." if token else "Access token is empty."
        raise GraphError(401, "InvalidAuthenticationToken", message, headers={"WWW-Authenticate": "Bearer"})

    def vault(self, request: Request) -> Json:
        """The claims of a token for Key Vault; without one, the challenge names where to get it."""
        token, claims = self._read(request, VAULT_RESOURCE)
        if claims is not None:
            return claims
        challenge = f'Bearer authorization="{self.origin}/{self.tenant_id}", resource="{VAULT_RESOURCE}"'
        message = "AKV10000: Request is missing a Bearer or PoP token." if not token else "AKV10032: Invalid token."
        raise VaultError(401, "Unauthorized", message, headers={"WWW-Authenticate": challenge})

    def arm(self, request: Request) -> Json:
        """The claims of a token for Resource Manager, whose audience is the emulator, too."""
        token, claims = self._read(request, *ARM_RESOURCES, self.origin)
        if claims is not None:
            return claims
        challenge = f'Bearer authorization_uri="{self.origin}/{self.tenant_id}", error="invalid_token"'
        code, message = ("InvalidAuthenticationToken", "The access token is invalid.")
        if not token:
            code, message = "AuthenticationFailed", "Authentication failed. The 'Authorization' header is missing."
        raise ArmError(401, code, message, headers={"WWW-Authenticate": challenge})

    def bot(self, request: Request) -> Json | None:
        """The claims of a token for the Bot Framework; None without one."""
        return self._read(request, BOT_RESOURCE)[1]

    def _read(self, request: Request, *audiences: str) -> tuple[str, Json | None]:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        accepted = frozenset(name for audience in audiences for name in (audience, f"{audience}/"))
        return token, self.verify(token, accepted) if scheme.lower() == "bearer" else None
