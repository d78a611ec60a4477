from __future__ import annotations

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any

import pytest
import requests
from azure.core.exceptions import ClientAuthenticationError

from dev.emulator import Emulator, Fault
from dev.emulator.client import TIMEOUT, Client, ManualClock
from dev.emulator.faults import Faults
from dev.emulator.http.in_process import WouldHangForEver

if TYPE_CHECKING:
    from dev.emulator.faults import When


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def client(clock: ManualClock) -> Client:
    return Client(Emulator(now=clock.now, sleep=clock.sleep))


def create(client: Client) -> requests.Response:
    return client.graph("POST", "/applications", {"displayName": "x"})


def count(client: Client) -> int:
    return len(client.emulator.directory.records)


@pytest.mark.parametrize(("when", "created"), [("before", 0), ("after", 1)])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_server_error_strikes_before_or_after_the_effect(
    client: Client, status: int, when: When, created: int
) -> None:
    client.emulator.faults.add(Fault("status", "graph.createApplication", when, status=status))
    response = create(client)
    assert (response.status_code, count(client)) == (status, created)
    assert response.json()["error"]["code"]
    assert create(client).status_code == 201


def test_a_status_may_carry_its_own_code_message_and_waiting_time(client: Client) -> None:
    fault = Fault(
        "status", "graph.*", status=404, code="Directory_ObjectNotFound", message="Unable to read", retry_after=3
    )
    client.emulator.faults.add(fault)
    response = create(client)
    assert response.json()["error"]["code"] == "Directory_ObjectNotFound"
    assert response.headers["Retry-After"] == "3"


def test_each_service_fails_in_its_own_form(client: Client) -> None:
    client_id, secret = client.create_client()
    client.emulator.faults.add(Fault("status", times=None, skip=0, operation="vault.*"))
    client.emulator.faults.add(Fault("status", times=None, operation="token.clientCredentials"))
    assert client.vault("GET", "/secrets").json()["error"]["code"] == "ServiceUnavailable"
    assert client.sign_in(client_id, secret).json()["error"] == "temporarily_unavailable"


def test_throttling_tells_the_waiting_time_in_each_of_its_forms(client: Client, clock: ManualClock) -> None:
    for form in ("seconds", "fractional", "httpDate", "none"):
        client.emulator.faults.add(Fault("throttle", "graph.*", retry_after=2.5, form=form))
    answers = [create(client) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [429] * 4
    seconds, fractional, date, none = (answer.headers.get("Retry-After") for answer in answers)
    assert (seconds, fractional, none) == ("2", "2.50", None)
    assert date is not None
    assert 2 <= (parsedate_to_datetime(date) - clock.now()).total_seconds() <= 2.5
    assert count(client) == 0


@pytest.mark.parametrize(("when", "created"), [("before", 0), ("after", 1)])
def test_a_reset_breaks_the_connection_before_or_after_the_effect(client: Client, when: When, created: int) -> None:
    client.emulator.faults.add(Fault("reset", "graph.createApplication", when))
    with pytest.raises(requests.ConnectionError, match="Connection aborted") as caught:
        create(client)
    assert isinstance(caught.value.args[0].args[1], ConnectionResetError)
    assert count(client) == created
    assert client.emulator.calls[-1].status == 0


@pytest.mark.parametrize(("when", "created"), [("before", 0), ("after", 1)])
def test_a_hanging_call_costs_the_read_time_out(client: Client, clock: ManualClock, when: When, created: int) -> None:
    client.emulator.faults.add(Fault("hang", "graph.createApplication", when))
    start = clock.now()
    with pytest.raises(requests.ReadTimeout):
        create(client)
    assert (clock.now() - start).total_seconds() == TIMEOUT
    assert count(client) == created


def test_a_hanging_call_without_a_time_out_is_a_mistake_of_the_client(client: Client) -> None:
    client.emulator.faults.add(Fault("hang", "token.discovery"))
    url = f"{client.emulator.origin}/{client.emulator.tenant_id}/v2.0/.well-known/openid-configuration"
    with pytest.raises(WouldHangForEver):
        client.session.get(url)


def test_latency_takes_time_and_past_the_time_out_the_effect_comes_all_the_same(
    client: Client, clock: ManualClock
) -> None:
    client.emulator.faults.add(Fault("latency", "graph.createApplication", seconds=3, jitter=1))
    start = clock.now()
    assert create(client).status_code == 201
    assert 3 <= (clock.now() - start).total_seconds() <= 4
    client.emulator.faults.add(Fault("latency", "graph.createApplication", seconds=60))
    with pytest.raises(requests.ReadTimeout):
        create(client)
    assert count(client) == 2


def test_rules_skip_strike_and_end_in_the_order_in_which_they_were_added(client: Client) -> None:
    client.emulator.faults.add(Fault("status", "graph.createApplication", skip=1, times=2, status=500))
    client.emulator.faults.add(Fault("status", "graph.createApplication", times=1, status=502))
    client.emulator.faults.add(Fault("status", "graph.listApplications", times=None, status=503))
    assert [create(client).status_code for _ in range(5)] == [502, 500, 500, 201, 201]
    assert [client.graph("GET", "/applications").status_code for _ in range(3)] == [503] * 3


def test_the_challenge_of_the_vault_is_no_call_of_the_operation(client: Client) -> None:
    client.emulator.faults.add(Fault("status", "vault.setSecret"))
    url = f"{client.emulator.origin}/secrets/one?api-version=2026-04-01"
    assert client.session.put(url).status_code == 401
    assert client.vault("PUT", "/secrets/one", {"value": "v"}).status_code == 503
    assert client.vault("PUT", "/secrets/one", {"value": "v"}).status_code == 200


@pytest.mark.parametrize("status", [409, 503])
def test_a_concurrency_violation_has_no_effect(client: Client, status: int) -> None:
    path = f"/applications/{client.create()['id']}"
    client.emulator.faults.add(Fault("concurrencyViolation", status=status))
    response = client.graph("POST", f"{path}/addPassword", {})
    assert (response.status_code, response.json()["error"]["code"]) == (status, "Directory_ConcurrencyViolation")
    assert client.graph("GET", path).json()["passwordCredentials"] == []


def test_an_added_secret_can_be_lost_at_once_or_later(client: Client, clock: ManualClock) -> None:
    client_id, _ = client.create_client()
    path = f"/applications(appId='{client_id}')"
    client.emulator.faults.add(Fault("lostUpdate"))
    client.emulator.faults.add(Fault("lostUpdate", skip=1, seconds=60))
    at_once = client.graph("POST", f"{path}/addPassword", {}).json()
    later = client.graph("POST", f"{path}/addPassword", {}).json()
    assert client.sign_in(client_id, at_once["secretText"]).status_code == 401
    assert client.sign_in(client_id, later["secretText"]).status_code == 200
    clock.sleep(60)
    assert client.sign_in(client_id, later["secretText"]).status_code == 401
    assert len(client.graph("GET", path).json()["passwordCredentials"]) == 1
    assert client.graph("POST", f"{path}/removePassword", {"keyId": later["keyId"]}).status_code == 400


def test_the_managed_identity_can_hiccup(client: Client) -> None:
    client.emulator.faults.add(Fault("identityHiccup"))
    with pytest.raises(ClientAuthenticationError):
        client.token("https://vault.azure.net")
    assert client.token("https://vault.azure.net")


def test_a_cap_on_writes_throttles_what_is_above_it_in_the_same_second(client: Client, clock: ManualClock) -> None:
    client.emulator.faults.set(writes_per_second=2)
    assert [create(client).status_code for _ in range(4)] == [201, 201, 429, 429]
    assert client.graph("GET", "/applications").status_code == 200
    assert client.vault("PUT", "/secrets/one", {"value": "v"}).status_code == 200
    clock.sleep(int(create(client).headers["Retry-After"]))
    assert create(client).status_code == 201


@pytest.mark.parametrize(("when", "while_held"), [("before", 0), ("after", 1)])
def test_a_held_call_waits_before_or_after_its_effect_until_it_is_released(
    client: Client, when: When, while_held: int
) -> None:
    manage = f"{client.emulator.origin}/_emulator/holds"
    hold = {"operation": "graph.createApplication", "when": when, "skip": 1}
    assert client.session.post(manage, json=hold).status_code == 201
    assert create(client).status_code == 201
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(create, client)
        (held,) = wait_for_held(client)
        assert (held["operation"], held["when"]) == ("graph.createApplication", when)
        assert count(client) - 1 == while_held
        assert client.session.delete(manage).json() == {"released": 1}
        assert answer.result().status_code == 201
    assert count(client) == 2


def test_a_held_call_can_be_dropped_without_its_effect(client: Client) -> None:
    client.emulator.faults.add(Fault("hold", "graph.createApplication"))
    with ThreadPoolExecutor() as pool:
        answer = pool.submit(create, client)
        (held,) = wait_for_held(client)
        manage = f"{client.emulator.origin}/_emulator/holds?number={held['number']}&drop=true"
        assert client.session.delete(manage).json() == {"released": 1}
        with pytest.raises(requests.ConnectionError):
            answer.result()
    assert count(client) == 0


def wait_for_held(client: Client) -> list[dict[str, Any]]:
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        held: list[dict[str, Any]] = client.session.get(f"{client.emulator.origin}/_emulator/holds").json()["value"]
        if held:
            return held
        threading.Event().wait(0.01)
    raise AssertionError("no call is held")


def test_faults_are_set_read_and_cleared_over_http(client: Client) -> None:
    url = f"{client.emulator.origin}/_emulator/faults"
    rule = {"kind": "throttle", "operation": "graph.*", "retryAfter": 7, "form": "seconds", "times": None}
    body = {"rules": [rule], "switches": {"replicationLag": 5, "callerNotOwner": True}}
    assert client.session.post(url, json=body).json() == {"numbers": [1]}
    assert create(client).headers["Retry-After"] == "7"
    dump = client.session.get(url).json()
    assert dump["rules"][0]["struck"] == 1
    assert dump["switches"]["replicationLag"] == 5
    assert client.session.delete(url).status_code == 204
    assert create(client).status_code == 201
    assert client.emulator.faults.switches.caller_not_owner is False


@pytest.mark.parametrize(
    "body",
    [
        {"rules": [{"kind": "explosion"}]},
        {"rules": [{"kind": "status", "colour": 1}]},
        {"rules": [{"kind": "status", "when": "during"}]},
        {"rules": [{"operation": "graph.*"}]},
        {"rules": [{"kind": "latency", "seconds": "2"}]},
        {"rules": [{"kind": "status", "times": -1}]},
        {"rules": [{"kind": "status"}], "switches": {"gravity": 0}},
        {
            "rules": [{"kind": "status"}, {"kind": "status", "operation": "graph.addPasword"}],
            "switches": {"replicas": 2},
        },
        {"rules": [{"kind": "status", "operation": "grahp.*"}]},
        {"rules": [{"kind": "hold", "operation": "emulator.state"}]},
        {"switches": {"pageSize": 1, "replicas": "two"}},
        {"switches": {"callerNotOwner": 1}},
        {"switches": {"unreplicatedPrincipal": "teapot"}},
        {"switches": {"allowedAudiences": "AzureADMyOrg"}},
        {"faults": []},
        [],
    ],
)
def test_a_fault_that_does_not_exist_is_refused_as_a_whole(client: Client, body: object) -> None:
    url = f"{client.emulator.origin}/_emulator/faults"
    response = client.session.post(url, json=body)
    assert response.status_code == 400
    assert response.json()["error"]
    assert client.emulator.faults.dump() == Faults().dump()


def test_a_fault_of_an_operation_that_does_not_exist_is_refused_in_process_too(client: Client) -> None:
    with pytest.raises(ValueError, match="there is no operation"):
        client.emulator.faults.add(Fault("reset", "vault.setSecrets"))
    client.emulator.faults.add(Fault("reset", "vault.challenge"))


def test_what_the_emulators_own_addresses_do_not_know_is_refused(client: Client) -> None:
    root = f"{client.emulator.origin}/_emulator"
    for query in ("dorp=true", "drop=yes", "number=x"):
        assert client.session.delete(f"{root}/holds?{query}").status_code == 400
    assert client.session.post(f"{root}/holds", json={"operation": "graph.nothing"}).status_code == 400
    assert client.session.post(f"{root}/principals", json={"objectId": "x"}).status_code == 400


def test_state_and_calls_can_be_looked_at_without_any_secret(client: Client) -> None:
    client_id, secret = client.create_client(uniqueName="n", tags=["mine"])
    client.vault("PUT", "/secrets/one", {"value": secret, "tags": {"keyId": "k"}})
    state = client.session.get(f"{client.emulator.origin}/_emulator/state")
    calls = client.session.get(f"{client.emulator.origin}/_emulator/calls")
    assert secret not in state.text + calls.text
    (application,) = state.json()["applications"]
    assert (application["appId"], application["uniqueName"], application["tags"]) == (client_id, "n", ["mine"])
    assert application["passwords"][0]["displayName"] == "first"
    assert state.json()["secrets"][0]["versions"][0]["tags"] == {"keyId": "k"}
    operations = [(call["operation"], call["status"]) for call in calls.json()["value"]]
    assert ("graph.createApplication", 201) in operations
    assert client.session.delete(calls.url).status_code == 204
    assert client.emulator.calls == []


def test_owners_and_grants_can_be_set_up_over_http(client: Client) -> None:
    root = f"{client.emulator.origin}/_emulator"
    person = client.session.post(f"{root}/principals", json={}).json()["id"]
    client.create(**{"owners@odata.bind": [f"{client.emulator.origin}/v1.0/directoryObjects/{person}"]})
    assert client.session.post(f"{root}/principals", json={"id": "x"}).status_code == 400
    client_id, secret = client.create_client()
    principal = client.graph("GET", f"/servicePrincipals(appId='{client_id}')").json()["id"]
    graph = client.graph("GET", "/servicePrincipals?$filter=displayName eq 'Microsoft Graph'").json()["value"][0]["id"]
    grant = {"principalId": principal, "resourceId": graph, "appRole": "Application.Read.All"}
    assert client.session.post(f"{root}/grants", json=grant).status_code == 204
    assert client.session.post(f"{root}/grants", json={**grant, "appRole": "x"}).status_code == 400
    token = client.sign_in(client_id, secret).json()["access_token"]
    url = f"{client.emulator.origin}/v1.0/applications"
    assert client.session.get(url, headers={"Authorization": f"Bearer {token}"}).status_code == 200
    assert client.session.post(f"{root}/reset").status_code == 204
    assert count(client) == 0


def test_many_callers_at_once_get_one_application_for_one_unique_name(client: Client) -> None:
    body = {"displayName": "x", "uniqueName": "n"}
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: client.graph("POST", "/applications", body).status_code, range(24)))
    assert sorted(answers) == [201] + [400] * 23
    assert count(client) == 1
