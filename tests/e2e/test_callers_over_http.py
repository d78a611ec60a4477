"""Callers who sign in, over HTTP only: the local host plays the platform, and the app behind it refuses on its own."""

import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests

from dev.host import HostProcess
from dev.stack import Cloud, cloud
from tests.e2e.caller import PATIENCE, example
from tests.worlds.request_bodies import a_resource
from tests.worlds.signed_in import ALICE, BOT, MALLORY, OTHER_TEAM, TEAM, claims_of, principal_of

COLLECTION = "/registrations"
NOBODYS = f"{COLLECTION}/00000000-00000000-0000-4000-8000-000000000000"
# Every call about one registration.
ABOUT_ONE = [
    ("GET", "", None),
    ("PATCH", "", {"displayName": "Mine now"}),
    ("PATCH", "?dryRun=true", {"displayName": "Mine now"}),
    ("POST", "/rotate", None),
    ("POST", "/rotate", {"revokePrevious": True}),
    ("POST", "/retry", None),
    ("DELETE", "", None),
    ("DELETE", "?dryRun=true", None),
]


class Hosts(NamedTuple):
    """Hosts of one app over one cloud, by what stands in front of each."""

    served: Cloud
    short: HostProcess
    long: HostProcess
    session: HostProcess
    bare: HostProcess

    def token(self, name: str) -> str:
        answer = requests.post(
            f"{self.served.azure.origin}/_emulator/accounts/{name}/token",
            verify=str(self.served.azure.ca_bundle),
            timeout=10,
        )
        return str(answer.json()["access_token"])


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hosts]:
    folder = tmp_path_factory.mktemp("hosts")
    with ExitStack() as running:
        served = running.enter_context(cloud(folder, app_settings={"CALLER_AUTH": "entra"}))
        platforms: tuple[list[str], ...] = ([], ["--claims", "long"], ["--as", "alice"], ["--no-platform"])
        started = (HostProcess(served.settings, platform=each, log_file=folder / "host.log") for each in platforms)
        yield Hosts(served, *map(running.enter_context, started))


def ask(
    host: HostProcess, method: str, path: str, headers: dict[str, str] | None = None, body: Any = None
) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, f"{host.origin}/api{path}", headers=headers or {}, json=body, timeout=30)


def by(name: str, **headers: str) -> dict[str, str]:
    return {"X-Dev-As": name, **headers}


def registered(host: HostProcess, headers: dict[str, str], **changes: Any) -> str:
    """Register a resource, wait until it is active, and return its path."""
    accepted = ask(host, "POST", COLLECTION, headers, a_resource(**changes))
    assert accepted.status_code == 202, accepted.text
    path = f"{COLLECTION}/{accepted.json()['registrationId']}"
    deadline = time.monotonic() + PATIENCE
    while (status := ask(host, "GET", path, headers).json()["status"]) == "accepted":
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert status == "active"
    return path


def seen_by(host: HostProcess, headers: dict[str, str]) -> set[str]:
    answer = ask(host, "GET", COLLECTION, headers)
    assert answer.status_code == 200, answer.text
    return {f"{COLLECTION}/{each['registrationId']}" for each in answer.json()["value"]}


@pytest.fixture(scope="module")
def of_the_team(hosts: Hosts) -> str:
    """A registration of Alice's team."""
    return registered(hosts.short, by("alice"), owner=TEAM, fhirServerUrl="https://team.contoso.example")


@pytest.mark.parametrize("claims", ["short", "long"])
@pytest.mark.parametrize("name", ["alice", "bot", "approver", "mallory"])
def test_in_each_shape_of_claims_a_caller_is_let_in_by_a_token_of_its_own(hosts: Hosts, claims: str, name: str) -> None:
    host: HostProcess = getattr(hosts, claims)
    headers = {"Authorization": f"Bearer {hosts.token(name)}"}
    assert ask(host, "GET", COLLECTION, headers).status_code == 200


@pytest.mark.parametrize("claims", ["short", "long"])
def test_who_is_in_too_many_groups_is_told_the_remedy(hosts: Hosts, claims: str) -> None:
    answer = ask(getattr(hosts, claims), "GET", COLLECTION, by("carol"))
    assert (answer.status_code, answer.json()["code"]) == (403, "groups-not-in-token")


@pytest.mark.parametrize(("method", "suffix", "body"), [("GET", None, None), ("POST", None, {}), *ABOUT_ONE], ids=str)
def test_nobody_is_let_in_unasked_on_any_route(hosts: Hosts, method: str, suffix: str | None, body: Any) -> None:
    path = COLLECTION if suffix is None else NOBODYS + suffix
    for headers in ({}, {"Authorization": "Bearer x"}, {"x-functions-key": "k"}, by("nobody")):
        assert ask(hosts.short, method, path, headers, body).status_code == 401


@pytest.mark.parametrize("path", ["/health", "/docs", "/openapi.json"])
def test_what_says_nothing_about_anybody_is_open(hosts: Hosts, path: str) -> None:
    for host in (hosts.short, hosts.bare):
        assert ask(host, "GET", path).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST"])
def test_without_the_platforms_word_a_forged_principal_is_refused_by_the_app(hosts: Hosts, method: str) -> None:
    forged = {"X-MS-CLIENT-PRINCIPAL": principal_of(claims_of(ALICE)), "X-MS-CLIENT-PRINCIPAL-ID": ALICE.object_id}
    for headers in (forged, forged | {"Authorization": f"Bearer {hosts.token('alice')}"}, by("alice")):
        answer = ask(hosts.bare, method, COLLECTION, headers, None if method == "GET" else a_resource(owner=TEAM))
        assert (answer.status_code, answer.json()["code"]) == (401, "unauthenticated")


def test_a_forged_principal_does_not_reach_the_app_behind_the_platform(hosts: Hosts, of_the_team: str) -> None:
    forged = {"X-MS-CLIENT-PRINCIPAL": principal_of(claims_of(ALICE))}
    assert ask(hosts.short, "GET", of_the_team, forged).status_code == 401
    assert ask(hosts.short, "GET", of_the_team, by("mallory") | forged).status_code == 404
    assert ask(hosts.short, "GET", of_the_team, by("alice")).status_code == 200


@pytest.mark.parametrize(("method", "suffix", "body"), ABOUT_ONE, ids=str)
def test_what_is_another_teams_cannot_be_told_from_what_is_not_there(
    hosts: Hosts, of_the_team: str, method: str, suffix: str, body: Any
) -> None:
    for name in ("mallory", "approver", "bot"):
        answers = [ask(hosts.short, method, path + suffix, by(name), body) for path in (of_the_team, NOBODYS)]
        assert [answer.status_code for answer in answers] == [404, 404]
        # Of each call the trace is another one, and the time.
        told = [{name: value for name, value in answer.json().items() if name != "traceId"} for answer in answers]
        assert told[0] == told[1]
        assert len({len(answer.content) for answer in answers}) == 1
        of_the_call = ("date", "traceparent")
        named = [{each for each in answer.headers.items() if each[0].lower() not in of_the_call} for answer in answers]
        assert named[0] == named[1]
    assert ask(hosts.short, "GET", of_the_team, by("alice")).json()["displayName"] != "Mine now"


def test_a_list_holds_what_is_the_callers_own(hosts: Hosts, of_the_team: str) -> None:
    assert of_the_team in seen_by(hosts.short, by("alice"))
    for name in ("mallory", "approver", "bot"):
        assert of_the_team not in seen_by(hosts.short, by(name))
        answer = ask(hosts.short, "GET", f"{COLLECTION}?owner={TEAM}", by(name))
        assert (answer.status_code, answer.json()["value"]) == (200, [])


def test_nobody_registers_for_another_team_and_an_approver_for_nobody(hosts: Hosts) -> None:
    for name, owner, code in (
        ("alice", OTHER_TEAM, "owner-not-yours"),
        ("mallory", TEAM, "owner-not-yours"),
        ("approver", TEAM, "role-required"),
    ):
        answer = ask(hosts.short, "POST", COLLECTION, by(name), a_resource(owner=owner))
        assert (answer.status_code, answer.json()["code"]) == (403, code)


def test_a_bot_acts_for_a_person_with_that_persons_rights_alone(hosts: Hosts) -> None:
    for_alice = by("bot", **{"On-Behalf-Of": ALICE.object_id})
    path = registered(hosts.long, for_alice, owner=ALICE.object_id, fhirServerUrl="https://alice.contoso.example")
    assert path in seen_by(hosts.short, by("alice"))
    assert path in seen_by(hosts.short, for_alice)
    for headers in (by("bot"), by("mallory"), by("bot", **{"On-Behalf-Of": MALLORY.object_id})):
        assert ask(hosts.short, "GET", path, headers).status_code == 404
    answer = ask(hosts.short, "POST", COLLECTION, for_alice, a_resource(owner=BOT.object_id))
    assert (answer.status_code, answer.json()["code"]) == (403, "owner-not-yours")
    answer = ask(hosts.short, "GET", COLLECTION, by("mallory", **{"On-Behalf-Of": ALICE.object_id}))
    assert (answer.status_code, answer.json()["code"]) == (403, "on-behalf-not-allowed")


def test_a_session_reads_and_writes_only_from_the_services_own_page(hosts: Hosts, of_the_team: str) -> None:
    assert of_the_team in seen_by(hosts.session, {})
    body = example("resource") | {"owner": TEAM, "fhirServerUrl": "https://page.contoso.example"}
    own = {"Origin": hosts.session.origin, "X-Registrar-Page": "1"}
    for headers in ({}, {"X-Registrar-Page": "1"}, own | {"Origin": "https://evil.example"}):
        answer = ask(hosts.session, "POST", COLLECTION, headers, body)
        assert (answer.status_code, answer.json()["code"]) == (403, "foreign-page")
    assert ask(hosts.session, "POST", COLLECTION, own, body).status_code == 202


def test_the_host_does_not_start_for_somebody_who_is_not_there(hosts: Hosts, tmp_path: Path) -> None:
    log = tmp_path / "host.log"
    with pytest.raises(RuntimeError, match="did not start"):
        HostProcess(hosts.served.settings, platform=["--as", "eve"], log_file=log).start()
    assert "nobody is called eve" in log.read_text(encoding="utf-8")
