"""The reports of sign-ins, as they are asked for and read: how often, and what becomes of a refusal."""

from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from dev.emulator import Emulator, Fault
from dev.emulator.client import Client, ManualClock, RegistrarCredential
from dev.emulator.constants import AUDIT_LOG_READ_ALL, GRAPH_PRINCIPAL_ID, REGISTRAR_OBJECT_ID
from provisioning.adapters.graph_calls import GraphCalls
from provisioning.adapters.sign_ins import GraphSignIns
from provisioning.domain.errors import NeedsOperator, TryAgain

UNKNOWN = "99999999-0000-4000-8000-000000000009"
HOUR = 3600


class Tenant:
    """A tenant of so many clients, all of which have signed in once, and the adapter over it."""

    def __init__(self, clients: int = 1, *, may_read: bool = True) -> None:
        self.clock = ManualClock()
        self.emulator = Emulator(now=self.clock.now, sleep=self.clock.sleep)
        self.entra = Client(self.emulator)
        if may_read:
            self.emulator.directory.grant(REGISTRAR_OBJECT_ID, GRAPH_PRINCIPAL_ID, AUDIT_LOG_READ_ALL)
        self.signed_in_at = self.clock.now()
        self.clients = [self.entra.create_client() for _ in range(clients)]
        for client in self.clients:
            assert self.entra.sign_in(*client).status_code == 200
        self.ids = [client_id for client_id, _ in self.clients]
        self.calls = GraphCalls(
            self.emulator.origin, RegistrarCredential(self.emulator), self.emulator.session(), self.clock, "beta"
        )
        self.reports = GraphSignIns(self.calls, self.clock)
        self.emulator.calls.clear()

    def key_of(self, number: int) -> str:
        application = self.emulator.directory.application(app_id=self.ids[number])
        assert application is not None
        return application.passwords[0].key_id

    @property
    def asked(self) -> Counter[str]:
        return Counter(each.operation for each in self.emulator.calls if "SignIns" in each.operation)


def test_a_client_and_each_of_its_credentials_has_its_last_sign_in() -> None:
    tenant = Tenant(2)
    tenant.clock.sleep(HOUR)
    assert tenant.entra.sign_in(*tenant.clients[1]).status_code == 200
    found = tenant.reports.of_clients([*tenant.ids, UNKNOWN])
    assert set(found) == set(tenant.ids), "of what is not reported nothing is said"
    assert found[tenant.ids[0]].keys == {tenant.key_of(0): tenant.signed_in_at}
    assert found[tenant.ids[1]].last_used_at == tenant.signed_in_at + timedelta(hours=1)
    assert tenant.reports.of_credential(tenant.key_of(1)) == tenant.signed_in_at + timedelta(hours=1)
    assert tenant.reports.of_credential(UNKNOWN) is None


def test_a_person_at_a_public_client_is_a_use_of_it_without_a_credential() -> None:
    tenant = Tenant()
    tenant.clock.sleep(HOUR)
    directory = tenant.emulator.directory
    principal = directory.principal_of(tenant.ids[0])
    assert principal is not None
    directory.sign_ins.of_a_person(principal, directory.principals[GRAPH_PRINCIPAL_ID])
    [found] = tenant.reports.of_clients(tenant.ids).values()
    assert found.last_used_at == tenant.signed_in_at + timedelta(hours=1)
    assert found.keys == {tenant.key_of(0): tenant.signed_in_at}


def test_one_request_for_each_report_is_enough_for_all_clients_and_for_an_hour() -> None:
    tenant = Tenant(30)
    assert len(tenant.reports.of_clients(tenant.ids)) == 30
    tenant.clock.sleep(HOUR - 1)
    assert len(tenant.reports.of_clients(tenant.ids[:5])) >= 5
    assert tenant.asked == {"graph.listCredentialSignIns": 1, "graph.listPrincipalSignIns": 1}
    tenant.clock.sleep(1)
    tenant.reports.of_clients(tenant.ids)
    assert tenant.asked == {"graph.listCredentialSignIns": 2, "graph.listPrincipalSignIns": 2}


def test_a_report_with_more_pages_than_clients_to_look_for_costs_at_most_twice_as_many_requests() -> None:
    tenant = Tenant(12)
    tenant.emulator.faults.set(page_size=1)
    found = tenant.reports.of_clients(tenant.ids[-2:])
    assert {name: each.keys for name, each in found.items()} == {
        tenant.ids[number]: {tenant.key_of(number): tenant.signed_in_at} for number in (10, 11)
    }
    assert tenant.asked["graph.listCredentialSignIns"] == 2 * 2


def test_a_report_that_is_known_to_be_long_is_not_begun_again_for_each_page_of_registrations() -> None:
    tenant = Tenant(12)
    tenant.emulator.faults.set(page_size=1)
    for begin in (0, 3, 6, 9):
        assert set(tenant.reports.of_clients(tenant.ids[begin : begin + 3])) >= set(tenant.ids[begin : begin + 3])
    asked = tenant.asked
    assert asked["graph.listCredentialSignIns"] == 3 + 12
    tenant.reports.of_clients(tenant.ids[:3])
    assert tenant.asked == asked, "whoever was asked about alone is known for the hour"


def test_a_place_in_a_report_that_is_refused_later_has_it_begun_anew() -> None:
    tenant = Tenant(6)
    tenant.emulator.faults.set(page_size=1)
    tenant.emulator.faults.add(Fault("throttle", "graph.*SignIns", skip=1))
    with pytest.raises(TryAgain):
        tenant.reports.of_clients(tenant.ids * 2)
    tenant.clock.sleep(60)
    tenant.emulator.faults.add(Fault("status", "graph.*SignIns", status=400, code="BadRequest"))
    with pytest.raises(NeedsOperator):
        tenant.reports.of_clients(tenant.ids)
    tenant.clock.sleep(HOUR)
    assert set(tenant.reports.of_clients(tenant.ids)) == set(tenant.ids)


def test_a_row_that_comes_bare_as_the_examples_show_it_is_read_too() -> None:
    tenant = Tenant()
    tenant.emulator.faults.set(report_of_one_bare=True)
    assert tenant.reports.of_credential(tenant.key_of(0)) == tenant.signed_in_at


@pytest.mark.parametrize(
    ("switches", "code"),
    [({}, "sign-in-activity-denied"), ({"premium_missing": True}, "entra-premium-missing")],
)
def test_who_may_not_read_is_told_why_and_does_not_ask_again_for_an_hour(switches: dict[str, Any], code: str) -> None:
    tenant = Tenant(may_read=bool(switches))
    tenant.emulator.faults.set(**switches)
    for _ in range(3):
        with pytest.raises(NeedsOperator) as refused:
            tenant.reports.of_clients(tenant.ids)
        assert refused.value.code == code
        with pytest.raises(NeedsOperator):
            tenant.reports.of_credential(UNKNOWN)
        tenant.clock.sleep(HOUR / 4)
    assert tenant.asked == {"graph.listCredentialSignIns": 1}
    tenant.emulator.faults.clear()
    tenant.emulator.directory.grant(REGISTRAR_OBJECT_ID, GRAPH_PRINCIPAL_ID, AUDIT_LOG_READ_ALL)
    tenant.clock.sleep(HOUR)
    assert tenant.reports.of_credential(tenant.key_of(0)) == tenant.signed_in_at


def test_a_cloud_without_the_reports_is_no_outage_but_for_a_person_to_know() -> None:
    tenant = Tenant()
    tenant.emulator.faults.add(Fault("status", "graph.*SignIns", status=404, code="ResourceNotFound"))
    with pytest.raises(NeedsOperator) as refused:
        tenant.reports.of_clients(tenant.ids)
    assert refused.value.code == "sign-in-activity-not-offered"


@pytest.mark.parametrize(
    ("fault", "code", "pause"),
    [
        (Fault("throttle", "graph.*SignIns", retry_after=1200), "graph-throttled", 1200),
        (Fault("throttle", "graph.*SignIns", retry_after=3), "graph-throttled", 10),
        (Fault("status", "graph.*SignIns", status=503), "graph-unavailable", 300),
        (Fault("reset", "graph.*SignIns", when="after"), "graph-unavailable", 300),
        (Fault("hang", "graph.*SignIns"), "graph-unavailable", 300),
    ],
    ids=lambda value: value.kind if isinstance(value, Fault) else "",
)
def test_who_could_not_be_answered_waits_as_long_as_was_asked_for(fault: Fault, code: str, pause: int) -> None:
    tenant = Tenant()
    tenant.emulator.faults.add(fault)
    for _ in range(2):
        with pytest.raises(TryAgain) as refused:
            tenant.reports.of_credential(tenant.key_of(0))
        assert refused.value.code == code
        tenant.clock.sleep(pause / 2)
    assert sum(tenant.asked.values()) == 1
    assert tenant.reports.of_credential(tenant.key_of(0)) == tenant.signed_in_at


def test_a_time_that_is_none_or_has_not_come_yet_is_no_use() -> None:
    tenant = Tenant()
    for behind, uses in ((60, 1), (61, 0)):
        reports = GraphSignIns(tenant.calls, ManualClock(tenant.signed_in_at - timedelta(seconds=behind)))
        assert len(reports.of_clients(tenant.ids)) == uses
        assert (reports.of_credential(tenant.key_of(0)) is not None) == bool(uses)
    for text in ("2021-03-18T00:00:00-8:00", "2021-03-18T00:00:00", "", None):
        row = {"signInActivity": {"lastSignInDateTime": text}}
        assert tenant.reports._time(row, "appCredentialSignInActivities") is None  # noqa: SLF001 -- no service says it
    assert datetime.fromisoformat("2021-03-18T00:00:00Z").tzinfo is not None
