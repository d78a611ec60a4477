"""The two reports of who signed in last, with what: both of Graph's beta version, late, and licensed.

Sources: the Graph pages "List appCredentialSignInActivities" and "List servicePrincipalSignInActivities" ($top,
$filter and $orderby; AuditLog.Read.All, or Directory.Read.All above it; the global cloud alone), their resource types,
and "Application credential last used API" (which patterns of $filter there are: one comparison each). That they need
Entra ID P1, and what Graph says without it: "Known issues with Microsoft Graph", microsoft-graph-docs #12772. What it
says without the permission is reported alone (Authentication_MSGraphPermissionMissing). How late they are is not told:
field reports name hours to a day. How many requests are let through: "Microsoft Graph throttling
limits", identity and access reports.
"""

from __future__ import annotations

import base64
import re
from typing import TYPE_CHECKING

from dev.emulator import constants, pages
from dev.emulator.errors import GraphError, Json, unsupported_query
from dev.emulator.graph.sign_ins import ROLES
from dev.emulator.shapes import as_text, parse_time

if TYPE_CHECKING:
    from datetime import datetime

    from dev.emulator.graph.directory import Directory
    from dev.emulator.graph.records import Caller

PLACE = "/beta/reports"
CREDENTIALS, PRINCIPALS = "appCredentialSignInActivities", "servicePrincipalSignInActivities"
# Each report, by the operation that reads it.
REPORTS = {"listCredentialSignIns": CREDENTIALS, "listPrincipalSignIns": PRINCIPALS}
READERS = frozenset({constants.AUDIT_LOG_READ_ALL, constants.DIRECTORY_READ_ALL})
OPTIONS = frozenset({"$top", "$filter", "$orderby", "$skiptoken"})
# What a report can be filtered by: one comparison, a key or a time.
_KEY = re.compile(r"(?P<name>appId|keyId)\s+eq\s+'(?P<value>[0-9a-fA-F-]{36})'")
_EARLIER = re.compile(r"signInActivity/lastSignInDateTime\s+lt\s+(?P<time>\d{4}-[\dT:.Z+-]+)", re.IGNORECASE)
_ORDER = re.compile(r"(?:signInActivity/lastSignInDateTime|expirationDate|expirationDateTime)(?:\s+(?:asc|desc))?")


class Reports:
    """The reports, as the caller may read them."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def read(self, by: Caller, name: str, options: Json) -> Json:
        """GET of a page of one of them."""
        self._may_read(by)
        directory = self._directory
        cap = directory.switches.reports_per_ten_seconds
        if cap is not None and directory.sign_ins.asked() > cap:
            raise GraphError(429, "TooManyRequests", "Too many requests.", headers={"Retry-After": "10"})
        items = self._credentials() if name == CREDENTIALS else self._principals()
        if directory.switches.reports_empty:
            items = []
        if "$filter" in options:
            items = _matching(items, options["$filter"], by_key=name == CREDENTIALS)
        if "$orderby" in options and not _ORDER.fullmatch(options["$orderby"].strip()):  # that of creation stays
            raise unsupported_query("Unsupported or invalid orderby clause.")
        shown, token = pages.page(items, options, directory.switches.page_size)
        body: Json = {"@odata.context": f"{directory.origin}/beta/$metadata#reports/{name}"}
        if "$filter" in options and len(items) == 1 and directory.switches.report_of_one_bare:
            return body | pages.without_place(items[0])
        if token is not None:
            body["@odata.nextLink"] = pages.next_link(f"{directory.origin}{PLACE}/{name}", options, token)
        return body | {"value": [pages.without_place(item) for item in shown]}

    def _credentials(self) -> list[Json]:
        """A row for each key, of the resource that it was used for last."""
        latest: dict[tuple[str, str], tuple[datetime, str]] = {}
        for app_id, key_id, resource_id in self._directory.sign_ins.keys():  # noqa: SIM118 -- no mapping
            at = self._directory.sign_ins.seen("key", app_id, key_id, resource_id)
            if at is not None and at >= latest.get((app_id, key_id), (at, ""))[0]:
                latest[app_id, key_id] = at, resource_id
        rows = (self._of_key(*names, *last) for names, last in latest.items())
        return [{**row, "#": number} for number, row in enumerate(filter(None, rows), start=1)]

    def _principals(self) -> list[Json]:
        """A row for each application that was part of a sign-in, in whatever part."""
        rows: list[Json] = []
        for app_id in dict.fromkeys(each.app_id for each in self._directory.principals.values()):
            times = {role: self._directory.sign_ins.seen(role, app_id) for role in ROLES}
            known = [each for each in times.values() if each is not None]
            if known:
                row: Json = {"id": _encoded(app_id), "appId": app_id, "lastSignInActivity": _activity(max(known))}
                rows.append({**row, **{role: _activity(at) for role, at in times.items()}, "#": len(rows) + 1})
        return rows

    def _may_read(self, by: Caller) -> None:
        if not by.roles & READERS:
            message = "The principal does not have required Microsoft Graph permission(s): AuditLog.Read.All to call "
            raise GraphError(403, "Authentication_MSGraphPermissionMissing", f"{message}this API.")
        if self._directory.switches.premium_missing:
            message = "Neither tenant is B2C or tenant doesn't have premium license"
            raise GraphError(403, "Authentication_RequestFromNonPremiumTenantOrB2CTenant", message)

    def _of_key(self, app_id: str, key_id: str, at: datetime, resource_id: str) -> Json | None:
        """A row; None for the key of an application that was deleted for good."""
        directory = self._directory
        application = directory.application(app_id=app_id)
        if application is None:
            return None
        password = next((each for each in application.passwords if each.key_id == key_id), None)
        certificates = application.last_body["keyCredentials"]
        certificate = next((each for each in certificates if each["keyId"] == key_id), None)
        times: Json = {"createdDateTime": None, "expirationDateTime": None}
        if password is not None:
            times = {"createdDateTime": as_text(password.start), "expirationDateTime": as_text(password.end)}
        elif certificate is not None:
            names = {"createdDateTime": "startDateTime", "expirationDateTime": "endDateTime"}
            times = {name: certificate[theirs] for name, theirs in names.items()}
        principal = directory.principal_of(app_id)
        return {
            "id": _encoded(f"{key_id}|application"),
            "keyId": key_id,
            "keyType": "clientSecret" if password is not None else "certificate",
            "keyUsage": "sign" if password is not None else "verify",
            "appId": app_id,
            "appObjectId": application.id,
            "servicePrincipalObjectId": principal.id if principal is not None else None,
            "resourceId": resource_id,
            "credentialOrigin": "application",
            **times,
            "signInActivity": _activity(at),
        }


def _matching(items: list[Json], text: str, *, by_key: bool) -> list[Json]:
    """The rows of a report that a $filter lets through."""
    if found := _KEY.fullmatch(text.strip()):
        name, value = found["name"], found["value"].lower()
        if name == "appId" or by_key:
            return [item for item in items if item[name] == value]
    if by_key and (found := _EARLIER.fullmatch(text.strip())):
        bound = parse_time(found["time"])
        return [item for item in items if parse_time(item["signInActivity"]["lastSignInDateTime"]) < bound]
    raise unsupported_query("Unsupported or invalid query filter clause.")


def _activity(at: datetime | None) -> Json | None:
    if at is None:
        return None
    return {"lastSignInDateTime": as_text(at), "lastSignInRequestId": "00000000-0000-0000-0000-000000000000"}


def _encoded(name: str) -> str:
    return base64.b64encode(name.encode()).decode()
