"""What of an application is not as its registration asks for it: property by property, as Graph has them. Pure."""

from collections.abc import Mapping
from typing import Any, Final

from provisioning.domain.entitlements import comparable
from provisioning.domain.manifest import required_access
from provisioning.domain.uris import normalise_redirect_uri

_PLATFORMS: Final = ("web", "spa", "publicClient")


def different(wanted: Mapping[str, Any], there: Mapping[str, Any]) -> list[str]:
    """Return the names of the properties of an application that are not as the body of a change has them.

    Entra keeps no order of what it has several of, and does not tell what is empty from what is not there.
    """
    return [name for name in wanted if _plain(name, wanted[name], wanted) != _plain(name, there.get(name), wanted)]


def _plain(name: str, value: Any, wanted: Mapping[str, Any]) -> object:  # noqa: ANN401 -- JSON
    if name in _PLATFORMS:
        has, asked = value or {}, wanted[name]
        return sorted(map(normalise_redirect_uri, has.get("redirectUris") or ())), (
            has.get("logoutUrl") or ""
        ) if "logoutUrl" in asked else ""
    match name:
        case "tags":
            return sorted(value or ())
        case "requiredResourceAccess":
            return sorted(required_access({name: value}))
        case "api":
            return comparable((value or {}).get("oauth2PermissionScopes") or ())
        case "appRoles":
            return comparable(value or ())
        case _:
            return value or ""
