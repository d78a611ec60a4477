"""Who calls, and what they may do: read from the platform's principal or a token's claims, then a value like others.

Sources: "Work with user identities in Azure App Service authentication" (X-MS-CLIENT-PRINCIPAL, claim mapping), "Access
token claims reference" (oid, tid, roles, groups, `_claim_names`, hasgroups, idtyp). Names and e-mail addresses change
and are reused, so nothing is decided by them: the key of a caller is tenant and object id.
"""

import base64
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from enum import StrEnum
from typing import Any, Final

from provisioning.domain.errors import RequestRejected
from provisioning.domain.values import dataclass

GROUPS_IN_A_TOKEN: Final = 200
_GUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_LONGEST_PRINCIPAL: Final = 64 * 1024

# With the token store on the platform renames claims; with it off they keep the names that Entra gave them.
_SHORT_NAMES: Final = {
    "http://schemas.microsoft.com/identity/claims/objectidentifier": "oid",
    "http://schemas.microsoft.com/identity/claims/tenantid": "tid",
    "http://schemas.microsoft.com/identity/claims/scope": "scp",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/role": "roles",
    "http://schemas.microsoft.com/ws/2008/06/identity/claims/groups": "groups",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/nameidentifier": "sub",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/name": "name",
    "http://schemas.xmlsoap.org/ws/2005/05/identity/claims/upn": "upn",
}

Claims = Mapping[str, Sequence[str]]


class Role(StrEnum):
    """The app roles of this service's own API: for users and for applications."""

    CREATE = "Registrations.Create"
    READ_ALL = "Registrations.Read.All"
    MANAGE_ALL = "Registrations.Manage.All"
    APPROVE = "Registrations.Approve"
    ON_BEHALF = "Registrations.OnBehalf"


class CallerKind(StrEnum):
    """What a caller is; `key` is whoever holds the function key, whom nobody can tell apart."""

    USER = "user"
    APPLICATION = "application"
    KEY = "key"


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: an Entra object id, its roles and groups. `name` is for people to read and decides nothing.

    `via` is the object id of the application that acts for this person, whose rights alone count.
    """

    object_id: str
    kind: CallerKind
    roles: frozenset[Role] = frozenset()
    groups: frozenset[str] = frozenset()
    name: str = ""
    via: str | None = None

    @property
    def identities(self) -> frozenset[str]:
        """The object ids by which it owns registrations: its own, and those of its groups."""
        return frozenset({self.object_id}) | self.groups

    @property
    def both_ids(self) -> tuple[str, ...]:
        """Its own object id, and that of the application that acts for it, if one does."""
        return (self.object_id, self.via) if self.via is not None else (self.object_id,)

    @property
    def sees_all(self) -> bool:
        """Whether it may read every registration."""
        return bool(self.roles & {Role.READ_ALL, Role.MANAGE_ALL})

    @property
    def may_create(self) -> bool:
        """Whether it may ask for new registrations."""
        return bool(self.roles & {Role.CREATE, Role.MANAGE_ALL})

    def may_read(self, owner: str) -> bool:
        """Whether it may know that a registration of this owner exists."""
        return self.sees_all or owner in self.identities

    def vouches_for(self, owner: str) -> bool:
        """Whether the caller's own token shows that Entra knows this owner: a bot says whatever it says."""
        return self.via is None and owner in self.identities

    def may_change(self, owner: str) -> bool:
        """Whether it may change, rotate, retry and delete a registration of this owner, or make one for it."""
        return Role.MANAGE_ALL in self.roles or owner in self.identities

    def acting_for(self, person: str) -> "Caller":
        """Return the person for whom this application acts: with that person's id, and no roles or groups.

        Which groups the person is in is not known here, so nothing is owned through them. Raises RequestRejected:
        403 without the role for it, 400 for what is no object id.
        """
        if Role.ON_BEHALF not in self.roles:
            raise RequestRejected(
                403, "on-behalf-not-allowed", f"On-Behalf-Of needs the app role {Role.ON_BEHALF}. Leave it out."
            )
        if not _GUID.fullmatch(person.strip().lower()):
            raise RequestRejected(400, "invalid-on-behalf-of", "On-Behalf-Of is the Entra object id of one person.")
        rights = frozenset({Role.CREATE}) & self.roles
        return replace(
            Caller(person.strip().lower(), CallerKind.USER), roles=rights, name=self.name, via=self.object_id
        )


# Whoever holds the function key may do everything, except speak for somebody.
KEY_HOLDER: Final = Caller(
    "function-key",
    CallerKind.KEY,
    frozenset({Role.CREATE, Role.READ_ALL, Role.MANAGE_ALL, Role.APPROVE}),
)


def read_principal(header: str) -> Claims:
    """Return the claims of an X-MS-CLIENT-PRINCIPAL header, by their short names.

    Raises RequestRejected (401) for what no platform writes.
    """
    try:
        principal = json.loads(base64.b64decode(header[:_LONGEST_PRINCIPAL], validate=True).decode())
        roles, told = principal.get("role_typ"), [(each["typ"], each["val"]) for each in principal["claims"]]
        "".join(text for claim in told for text in claim).encode()  # they are texts, and without half of a character
    except (ValueError, RecursionError, KeyError, TypeError, AttributeError):  # no base64, no JSON, or of another shape
        raise unauthenticated() from None
    if principal.get("auth_typ") != "aad" or not isinstance(roles, str | None):
        raise unauthenticated()
    claims: dict[str, list[str]] = {}
    for name, value in told:
        claims.setdefault("roles" if name == roles else _SHORT_NAMES.get(name, name), []).append(value)
    return claims


def claims_of_token(content: Mapping[str, Any]) -> Claims:
    """Return the claims of a verified token in the shape of a principal's: a list of texts for each."""
    return {
        name: [str(each) for each in value] if isinstance(value, list) else [_text(value)]
        for name, value in content.items()
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def caller_of(claims: Claims, tenant_id: str) -> Caller:
    """Return the caller whom the claims name.

    Raises RequestRejected: 401 without an object id, or for one of another tenant; 403 where the caller has more groups
    than a token holds, because what it owns could then not be known. The address that Entra gives for the rest is
    never followed: it may lead to a retired service.
    """
    object_id, tenant = _one(claims, "oid").lower(), _one(claims, "tid").lower()
    if not _GUID.fullmatch(object_id) or tenant != tenant_id.lower():
        raise unauthenticated()
    if "groups" in _one(claims, "_claim_names") or _one(claims, "hasgroups").lower() == "true":
        raise RequestRejected(
            403,
            "groups-not-in-token",
            f"You are in more than {GROUPS_IN_A_TOKEN} groups, so the token names none. Have the administrator set "
            "groupMembershipClaims of this API to ApplicationGroup, and turn the token store off.",
        )
    return Caller(
        object_id,
        CallerKind.APPLICATION if _is_application(claims) else CallerKind.USER,
        frozenset(Role(each) for each in claims.get("roles", ()) if each in set(Role)),
        frozenset(each.lower() for each in claims.get("groups", ()) if _GUID.fullmatch(each.lower())),
        _one(claims, "name") or _one(claims, "preferred_username") or _one(claims, "app_displayname"),
    )


def _is_application(claims: Claims) -> bool:
    """Whether an application acts for itself: it says so, or has neither a scope nor a name of a person."""
    told = _one(claims, "idtyp")
    if told:
        return told == "app"
    return not any(name in claims for name in ("scp", "name", "preferred_username", "upn"))


def _one(claims: Claims, name: str) -> str:
    values = claims.get(name, ())
    return values[0] if len(values) == 1 else ""


def unauthenticated() -> RequestRejected:
    """Return the one answer to whoever is not known, whatever the reason."""
    return RequestRejected(401, "unauthenticated", "Sign in, or send a token of the tenant for this API.")
