"""The two reports of who signed in last: whoever may read them, what is in them, and how late."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from dev.emulator import Emulator
from dev.emulator.client import TIMEOUT, Client, ManualClock
from dev.emulator.constants import AUDIT_LOG_READ_ALL, GRAPH_PRINCIPAL_ID, REGISTRAR_OBJECT_ID

if TYPE_CHECKING:
    import requests

KEYS, PRINCIPALS = "appCredentialSignInActivities", "servicePrincipalSignInActivities"


class Tenant:
    """A tenant with one client, and a registrar that may read the reports unless told otherwise."""

    def __init__(self, *, may_read: bool = True) -> None:
        self.clock = ManualClock()
        self.emulator = Emulator(now=self.clock.now, sleep=self.clock.sleep)
        self.entra = Client(self.emulator)
        if may_read:
            self.emulator.directory.grant(REGISTRAR_OBJECT_ID, GRAPH_PRINCIPAL_ID, AUDIT_LOG_READ_ALL)
        self.client_id, self.secret = self.entra.create_client()

    def read(self, report: str, version: str = "beta", **options: str) -> requests.Response:
        headers = {"Authorization": f"Bearer {self.entra.token(self.emulator.origin)}"}
        url = f"{self.emulator.origin}/{version}/reports/{report}"
        query = {f"${name}": value for name, value in options.items()}
        return self.entra.session.get(url, headers=headers, params=query, timeout=TIMEOUT)

    def rows(self, report: str, **options: str) -> list[dict[str, Any]]:
        answer = self.read(report, **options)
        assert answer.status_code == 200, answer.text
        return list(answer.json()["value"])

    def sign_in(self) -> None:
        assert self.entra.sign_in(self.client_id, self.secret).status_code == 200


@pytest.mark.parametrize("report", [KEYS, PRINCIPALS])
def test_who_lacks_the_permission_or_the_licence_is_refused_with_the_code_of_that(report: str) -> None:
    denied = Tenant(may_read=False).read(report)
    assert denied.status_code == 403
    assert denied.json()["error"]["code"] == "Authentication_MSGraphPermissionMissing"
    tenant = Tenant()
    tenant.emulator.faults.set(premium_missing=True)
    unlicensed = tenant.read(report)
    assert unlicensed.status_code == 403
    assert unlicensed.json()["error"]["code"] == "Authentication_RequestFromNonPremiumTenantOrB2CTenant"


@pytest.mark.parametrize("report", [KEYS, PRINCIPALS])
def test_the_reports_are_of_the_beta_version_alone_and_take_no_option_that_is_not_documented(report: str) -> None:
    tenant = Tenant()
    assert tenant.read(report, version="v1.0").status_code == 404
    for options in (
        {"select": "appId"},
        {"filter": f"appId eq {tenant.client_id}"},
        {"filter": f"appId eq '{tenant.client_id}' or appId eq '{tenant.client_id}'"},
        {"filter": "startswith(appId,'0')"},
        {"orderby": "appId"},
        {"top": "1000"},
    ):
        assert tenant.read(report, **options).status_code == 400, options


def test_a_sign_in_shows_with_its_key_its_resource_and_its_time_and_a_refused_one_does_not() -> None:
    tenant = Tenant()
    assert tenant.rows(KEYS) == []
    assert tenant.entra.sign_in(tenant.client_id, "another").status_code == 401
    assert tenant.rows(KEYS) == []
    tenant.sign_in()
    first = tenant.clock.now()
    tenant.clock.sleep(60)
    tenant.sign_in()
    [row] = tenant.rows(KEYS, filter=f"appId eq '{tenant.client_id}'")
    application = tenant.emulator.directory.application(app_id=tenant.client_id)
    assert application is not None
    assert (row["keyId"], row["appId"]) == (application.passwords[0].key_id, tenant.client_id)
    assert (row["keyType"], row["credentialOrigin"], row["resourceId"]) == (
        "clientSecret",
        "application",
        GRAPH_PRINCIPAL_ID,
    )
    assert row["signInActivity"]["lastSignInDateTime"] > first.strftime("%Y-%m-%dT%H:%M:%S")
    assert tenant.rows(KEYS, filter=f"keyId eq '{row['keyId']}'") == [row]
    assert tenant.rows(KEYS, filter=f"keyId eq '{tenant.client_id}'") == []
    assert tenant.rows(KEYS, filter="signInActivity/lastSignInDateTime lt 2020-01-01T00:00:00Z") == []
    [principal] = tenant.rows(PRINCIPALS, filter=f"appId eq '{tenant.client_id}'")
    assert principal["lastSignInActivity"] == principal["applicationAuthenticationClientSignInActivity"]
    assert principal["delegatedClientSignInActivity"] is None
    assert tenant.read(PRINCIPALS, filter=f"keyId eq '{row['keyId']}'").status_code == 400


def test_what_is_young_is_not_reported_yet_and_what_was_before_it_is() -> None:
    tenant = Tenant()
    tenant.emulator.faults.set(report_lag=86_400)
    tenant.sign_in()
    assert tenant.rows(KEYS) == []
    first = tenant.clock.now()
    tenant.clock.sleep(86_400)
    tenant.sign_in()
    [row] = tenant.rows(KEYS)
    assert row["signInActivity"]["lastSignInDateTime"] == first.strftime("%Y-%m-%dT%H:%M:%SZ")


def test_a_long_report_comes_in_pages_and_may_lie_empty_or_come_without_its_list() -> None:
    tenant = Tenant()
    for _ in range(3):
        client_id, secret = tenant.entra.create_client()
        assert tenant.entra.sign_in(client_id, secret).status_code == 200
    first = tenant.read(KEYS, top="2").json()
    token = first["@odata.nextLink"].partition("$skiptoken=")[2]
    rest = tenant.rows(KEYS, top="2", skiptoken=token)
    assert [len(first["value"]), len(rest)] == [2, 1]
    assert len({each["keyId"] for each in (*first["value"], *rest)}) == 3
    tenant.emulator.faults.set(report_of_one_bare=True)
    key_id = rest[0]["keyId"]
    assert tenant.read(KEYS, filter=f"keyId eq '{key_id}'").json()["keyId"] == key_id
    tenant.emulator.faults.set(reports_empty=True)
    assert tenant.rows(KEYS) == []


def test_a_person_who_signs_in_shows_at_the_client_and_at_its_resource() -> None:
    tenant = Tenant()
    client = tenant.emulator.directory.principal_of(tenant.client_id)
    assert client is not None
    tenant.emulator.directory.sign_ins.of_a_person(client, tenant.emulator.directory.principals[GRAPH_PRINCIPAL_ID])
    [row] = tenant.rows(PRINCIPALS, filter=f"appId eq '{tenant.client_id}'")
    assert row["lastSignInActivity"] == row["delegatedClientSignInActivity"]
    assert row["applicationAuthenticationClientSignInActivity"] is None
    assert tenant.rows(KEYS) == []
