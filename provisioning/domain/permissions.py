"""What a resource offers, and what of it a client asks for: scopes and app roles by name, each with its id in Entra.

A scope and an app role of one value are one permission, as Entra has it: with one id, and equal texts in the manifest.
"""

import re
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final

from provisioning.domain.directory import Permission
from provisioning.domain.errors import Fault, NotOffered
from provisioning.domain.intake import (
    DEFAULT_SCOPE,
    ConfidentialClientRequest,
    PublicClientRequest,
    RegistrationRequest,
    ResourceApplicationRequest,
    ServiceClientRequest,
)
from provisioning.domain.openid import NEAREST, OPENID_SCOPES

ClientRequest = ConfidentialClientRequest | PublicClientRequest | ServiceClientRequest

_IDS: Final = uuid.UUID("0c1a7c6e-7a5b-5c58-8b0f-1f1d8f0f6a11")
_CONTEXT: Final = re.compile(r"(patient|user|system)\.")
_SHOWN: Final = re.compile(r"[!-~]{1,120}")
_MOST_SHOWN: Final = 20
_MOST_GUESSES: Final = 20
# To compare names letter by letter costs time: of so many faults, each with so many names.
_MOST_COMPARISONS: Final = 3
_MOST_COMPARED: Final = 100


# --- what a resource of ours offers ---------------------------------------------------------------------------------


def scopes_of(registration_id: str, request: ResourceApplicationRequest) -> tuple[Permission, ...]:
    """Return the scopes of a resource application of ours: with the same ids, however often it is asked."""
    return tuple(Permission(_id(registration_id, "scope", value), value) for value in request.scopes)


def app_roles_of(registration_id: str, request: ResourceApplicationRequest) -> tuple[Permission, ...]:
    """Return the app roles of a resource application of ours; one that is a scope too has the scope's id."""
    kinds = {value: "scope" if value in request.scopes else "role" for value in request.app_roles}
    return tuple(Permission(_id(registration_id, kind, value), value) for value, kind in kinds.items())


def ids_of(registration_id: str, names: Iterable[str]) -> frozenset[str]:
    """Return the ids that permissions of these names have at a resource application of ours, whatever they are."""
    return frozenset(_id(registration_id, kind, name) for name in names for kind in ("scope", "role"))


def _id(registration_id: str, kind: str, value: str) -> str:
    return str(uuid.uuid5(_IDS, f"{registration_id}\n{kind}\n{value}"))


# --- what a client asks for -----------------------------------------------------------------------------------------


def openid_scopes(request: RegistrationRequest) -> tuple[Permission, ...]:
    """Return the scopes that a client asks of Microsoft Graph, for the sign-in itself."""
    return tuple(Permission(OPENID_SCOPES[name], name) for name in _asked_scopes(request) if name in OPENID_SCOPES)


def smart_contexts(request: RegistrationRequest) -> frozenset[str]:
    """Return for whom a client asks: patient, user, system."""
    if isinstance(request, ResourceApplicationRequest):
        return frozenset()
    names = (*_asked_scopes(request), *getattr(request, "app_roles", ()))
    return frozenset(match[1] for name in names if (match := _CONTEXT.match(name)))


def _asked_scopes(request: RegistrationRequest) -> Sequence[str]:
    return (request.scopes or ()) if isinstance(request, ConfidentialClientRequest | PublicClientRequest) else ()


def asked_names(request: ClientRequest) -> tuple[str, ...]:
    """Return the names of what a client asks of its resource."""
    if isinstance(request, ServiceClientRequest):
        return (*request.app_roles, *data_roles_of(request))
    if request.scopes is None:
        return (DEFAULT_SCOPE,)
    return tuple(name for name in request.scopes if name not in OPENID_SCOPES)


def data_roles_of(request: RegistrationRequest) -> tuple[str, ...]:
    """Return the names of the data roles that it asks for of a managed FHIR service."""
    return (request.data_roles or ()) if isinstance(request, ServiceClientRequest) else ()


def asked_for(
    request: ClientRequest, scopes: Iterable[Permission], app_roles: Iterable[Permission]
) -> tuple[tuple[Permission, ...], tuple[Permission, ...]]:
    """Return what a client asks of a resource that offers these: scopes for its users, app roles for itself.

    Raises NotOffered with a fault for each name that the resource does not have, and where nothing is left that the
    user of a client could consent to: Entra gives no token for a resource of which nothing is declared (AADSTS650057).
    """
    if isinstance(request, ServiceClientRequest):
        return (), _chosen("app role", "#/appRoles", dict(enumerate(request.app_roles)), app_roles)
    offered = tuple(scopes)
    if request.scopes is None:
        names = {0: DEFAULT_SCOPE} if any(scope.value == DEFAULT_SCOPE for scope in offered) else {}
    else:
        names = {index: name for index, name in enumerate(request.scopes) if name not in OPENID_SCOPES}
    if not names:
        raise NotOffered(
            "scope-required",
            f"No scope of the resource was asked for, and {DEFAULT_SCOPE} is not asked for by itself.",
            [
                Fault(
                    "#/scopes",
                    "scope-required",
                    f"Name a scope of the resource. {_existing(offered)}",
                    offered=tuple(_public(offered)),
                )
            ],
        )
    return _chosen("scope", "#/scopes", names, offered), ()


def _chosen(kind: str, pointer: str, names: Mapping[int, str], offered: Iterable[Permission]) -> tuple[Permission, ...]:
    by_name = {permission.value: permission for permission in offered}
    unknown = {index: name for index, name in names.items() if name not in by_name}
    if unknown:
        code = f"{kind.replace(' ', '-')}-not-found"
        raise NotOffered(
            code,
            f"The resource does not have every {kind} that was asked for.",
            [
                # What there is, is listed once.
                Fault(f"{pointer}/{index}", code, text, offered=tuple(_public(by_name.values())) if not count else None)
                for count, (index, text) in enumerate(_texts(kind, unknown, by_name))
            ],
        )
    return tuple(by_name[name] for name in names.values())


def _texts(kind: str, unknown: Mapping[int, str], offered: Mapping[str, Permission]) -> Iterator[tuple[int, str]]:
    """Yield what is said of each name that the resource does not have; what it has is listed once."""
    known = [*offered, *(OPENID_SCOPES if kind == "scope" else ())]
    in_any_case = {name.lower(): name for name in known if _SHOWN.fullmatch(name)}
    for count, (index, name) in enumerate(unknown.items()):
        near = in_any_case.get(name.lower()) or NEAREST.get(name)
        if near is None and count < _MOST_COMPARISONS:
            near = _nearest(name, list(in_any_case.values())[:_MOST_COMPARED])
        guess = f" Did you mean {near}?" if near is not None and count < _MOST_GUESSES else ""
        listed = f" {_existing(offered.values())}" if count == 0 else ""
        yield index, f"The resource has no {kind} of this name.{guess}{listed}"


def _nearest(name: str, names: Sequence[str]) -> str | None:
    from difflib import get_close_matches  # noqa: PLC0415 -- which few requests need

    return next(iter(get_close_matches(name, names, n=1)), None)


def _existing(offered: Iterable[Permission]) -> str:
    """Say what a resource has."""
    names = _public(offered)
    more = f" and {len(names) - _MOST_SHOWN} more" if len(names) > _MOST_SHOWN else ""
    return f"It has {', '.join(names[:_MOST_SHOWN])}{more}." if names else "It has none."


def _public(offered: Iterable[Permission]) -> list[str]:
    """Return the names of what a resource has. They are public: they stand in its manifest, and in tokens for it."""
    return [each.value for each in offered if _SHOWN.fullmatch(each.value)]
