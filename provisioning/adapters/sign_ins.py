"""SignIns over two reports of Microsoft Graph, both of its beta version: of credentials, and of service principals.

Sources: the Graph pages "List appCredentialSignInActivities" and "List servicePrincipalSignInActivities" ($top, $filter
by one comparison; AuditLog.Read.All; the global cloud alone), and "Known issues with Microsoft Graph" for what is said
without Entra ID P1.
"""

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

from provisioning import trail
from provisioning.adapters.graph_calls import GraphCalls, Refused, Unanswered, unavailable
from provisioning.adapters.graph_errors import Refusal, error_of
from provisioning.adapters.transport import next_page_token
from provisioning.domain.errors import NeedsOperator, ProvisioningError, TryAgain
from provisioning.domain.usage import CLOCKS_DIFFER, Observed, later
from provisioning.ports import Clock

logger = trail.logger(__name__)

REFUSAL_REMEMBERED_FOR: Final = timedelta(hours=1)
FAILURE_REMEMBERED_FOR: Final = timedelta(minutes=5)
# Of reports of this kind five requests are let through in so long ("Microsoft Graph throttling limits").
THROTTLED_FOR: Final = timedelta(seconds=10)
KEPT_FOR: Final = timedelta(hours=1)
PAGE: Final = 999
CREDENTIALS: Final = "appCredentialSignInActivities"
PRINCIPALS: Final = "servicePrincipalSignInActivities"
_NO_LICENCE: Final = "Authentication_RequestFromNonPremiumTenantOrB2CTenant"

# The times of a report by application, and in each by key; those of service principals have no key.
_Times = dict[str, dict[str, datetime]]


@dataclass
class _Reading:
    """How far a report has been read: so many pages, the next of which begins at the token, and these clients alone."""

    until: datetime
    times: _Times = field(default_factory=dict)
    pages: int = 0
    token: str | None = None
    whole: bool = False
    asked: set[str] = field(default_factory=set)


class GraphSignIns:
    """The reports of a tenant. `calls` are to the beta version.

    Whoever was refused does not ask again for an hour, whoever was not answered for five minutes, and whoever asked too
    often for as long as Graph wants.
    """

    def __init__(self, calls: GraphCalls, clock: Clock) -> None:
        self._calls = calls
        self._clock = clock
        self._kept: dict[str, _Reading] = {}
        self._silent: tuple[datetime, ProvisioningError] | None = None

    def of_clients(self, client_ids: Collection[str]) -> Mapping[str, Observed]:
        """As the port says.

        A report is read whole, and kept for an hour; but where it has more pages than there are clients to look for,
        each is asked about alone. So it is never more than twice the requests of the cheaper way.
        """
        wanted = {each.lower(): each for each in client_ids}
        keys, principals = self._times(CREDENTIALS, wanted), self._times(PRINCIPALS, wanted)
        found = {}
        for name in wanted.keys() & (keys.keys() | principals.keys()):
            times = keys.get(name, {})
            last = max((*times.values(), *principals.get(name, {}).values()))
            found[wanted[name]] = Observed(last, times)
        return found

    def of_credential(self, key_id: str) -> datetime | None:
        """As the port says. One request."""
        found = self._read(f"{CREDENTIALS}?$filter=keyId eq '{key_id}'")
        return _last([self._time(row, CREDENTIALS) for row in _rows(found)])

    def _times(self, report: str, client_ids: Collection[str]) -> _Times:
        """Return the times of a report, read on from where a refusal had ended that."""
        kept = self._kept.get(report)
        if kept is None or self._clock.now() >= kept.until:
            kept = self._kept[report] = _Reading(self._clock.now() + KEPT_FOR)
        try:
            while not kept.whole and kept.pages < len(client_ids):
                rows, kept.token = self._page(f"{report}?$top={PAGE}", kept.token)
                self._note(kept.times, rows, report)
                kept.pages, kept.whole = kept.pages + 1, kept.token is None
            for client_id in () if kept.whole else set(client_ids) - kept.asked:
                for rows in self._pages(f"{report}?$filter=appId eq '{client_id}'"):
                    self._note(kept.times, rows, report)
                kept.asked.add(client_id)
        except NeedsOperator:
            del self._kept[report]
            raise
        return kept.times

    def _note(self, times: _Times, rows: list[Mapping[str, Any]], report: str) -> None:
        for row in rows:
            at = self._time(row, report)
            if at is not None:
                of_client = times.setdefault(str(row.get("appId")).lower(), {})
                key_id = str(row.get("keyId", ""))
                of_client[key_id] = max(at, of_client.get(key_id, at))

    def _time(self, row: Mapping[str, Any], report: str) -> datetime | None:
        """Return the time of a row; None for one that is none, or has not come yet."""
        activity = row.get("signInActivity" if report == CREDENTIALS else "lastSignInActivity") or {}
        try:
            at = datetime.fromisoformat(str(activity["lastSignInDateTime"]))
        except (KeyError, ValueError):
            return None
        if at.tzinfo is None or at > self._clock.now() + CLOCKS_DIFFER:
            return None
        return at.astimezone(UTC)

    def _pages(self, path: str) -> Iterator[list[Mapping[str, Any]]]:
        rows, token = self._page(path, None)
        yield rows
        while token is not None:
            rows, token = self._page(path, token)
            yield rows

    def _page(self, path: str, token: str | None) -> tuple[list[Mapping[str, Any]], str | None]:
        """Return a page and where the next one begins: of the link to it only its token is kept, never the address."""
        found = self._read(path + (f"&$skiptoken={quote(token, safe='')}" if token else ""))
        try:
            return _rows(found), next_page_token(found.get("@odata.nextLink"))
        except ValueError:
            raise self._silenced(unavailable(), FAILURE_REMEMBERED_FOR) from None

    def _read(self, path: str) -> Mapping[str, Any]:
        if self._silent is not None and self._clock.now() < self._silent[0]:
            raise self._silent[1]
        try:
            return self._calls.call("GET", f"/reports/{path}")
        except Refused as error:
            raised = _error(error.refused)
        except Unanswered:
            raised = unavailable()
        pause = REFUSAL_REMEMBERED_FOR
        if isinstance(raised, TryAgain):
            at_least = THROTTLED_FOR if raised.code == "graph-throttled" else FAILURE_REMEMBERED_FOR
            pause = max(at_least, timedelta(seconds=raised.retry_after or 0))
        raise self._silenced(raised, pause)

    def _silenced(self, error: ProvisioningError, pause: timedelta) -> ProvisioningError:
        """Have nobody ask for that long; return the error that everybody gets meanwhile."""
        logger.info("sign-ins: not asked for %s: %s", pause, error.code)
        self._silent = self._clock.now() + pause, error
        return error


def _rows(found: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """Return the rows of an answer: a list, or, as the pages' examples show it for a filter, a single row bare."""
    listed = found.get("value", [found] if "appId" in found else [])
    return [row for row in listed if isinstance(row, dict)] if isinstance(listed, list) else []


def _last(times: list[datetime | None]) -> datetime | None:
    last = None
    for each in times:
        last = later(last, each)
    return last


def _error(refused: Refusal) -> ProvisioningError:
    if _NO_LICENCE in refused.codes:
        return NeedsOperator(
            "entra-premium-missing",
            "The tenant has no licence for the reports of sign-ins.",
            remedy="Have Entra ID P1 or P2 in the tenant, or set SIGN_IN_ACTIVITY to off.",
            graph_request_id=refused.request_id,
        )
    if refused.status == HTTPStatus.FORBIDDEN:
        return NeedsOperator(
            "sign-in-activity-denied",
            "This app's identity may not read the reports of sign-ins.",
            remedy="Grant it AuditLog.Read.All, which shows within a day, or set SIGN_IN_ACTIVITY to off.",
            graph_request_id=refused.request_id,
        )
    if refused.status in (HTTPStatus.NOT_FOUND, HTTPStatus.BAD_REQUEST):
        return NeedsOperator(
            "sign-in-activity-not-offered",
            "Microsoft Graph does not offer the reports of sign-ins here, or not any more as they were.",
            remedy="The reports are of the beta version, and of the global cloud alone: set SIGN_IN_ACTIVITY to off.",
            graph_request_id=refused.request_id,
        )
    return error_of(refused)
