"""The real client libraries against the emulator: in process, and over TLS."""

from __future__ import annotations

import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import msal
import pytest
import requests
import trustme
from azure.core.exceptions import HttpResponseError, ResourceExistsError, ResourceNotFoundError
from azure.core.pipeline.transport import RequestsTransport
from azure.identity import ClientSecretCredential, ManagedIdentityCredential
from azure.keyvault.secrets import SecretClient

from dev.emulator import Emulator, Fault
from dev.emulator.client import Client, RegistrarCredential
from dev.emulator.server import EmulatorServer, serve

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from dev.emulator.faults import When


@pytest.fixture
def server(tmp_path: Path) -> Iterator[EmulatorServer]:
    with EmulatorServer(tmp_path) as server:
        yield server


@pytest.fixture
def session(server: EmulatorServer) -> Iterator[requests.Session]:
    with requests.Session() as session:
        session.trust_env = False
        session.verify = str(server.ca_bundle)
        yield session


@pytest.fixture
def identity(server: EmulatorServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[ManagedIdentityCredential]:
    for name, value in server.emulator.settings().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(server.ca_bundle))
    with ManagedIdentityCredential(retry_total=0) as credential:
        yield credential


def discovery(server: EmulatorServer) -> str:
    return f"{server.origin}/{server.emulator.tenant_id}/v2.0/.well-known/openid-configuration"


def test_msal_signs_in_within_the_process() -> None:
    client = Client(Emulator())
    client_id, secret = client.create_client()
    authority = f"{client.emulator.origin}/{client.emulator.tenant_id}"

    def ask(text: str) -> dict[str, object]:
        application = msal.ConfidentialClientApplication(
            client_id,
            client_credential=text,
            authority=authority,
            instance_discovery=False,
            http_client=client.session,
        )
        answer: dict[str, object] = application.acquire_token_for_client([f"{client.emulator.origin}/.default"])
        return answer

    assert "access_token" in ask(secret)
    assert ask("wrong")["error_codes"] == [7000215]


def test_the_secret_client_works_within_the_process() -> None:
    emulator = Emulator(origin="https://a-vault-of-its-own:8443")  # the library remembers challenges for the process
    transport = RequestsTransport(session=emulator.session(), session_owner=False)
    credential = RegistrarCredential(emulator)
    with SecretClient(
        emulator.origin, credential, transport=transport, verify_challenge_resource=False, retry_total=0
    ) as vault:
        exercise(vault)
    assert [call.operation for call in emulator.calls][:2] == ["vault.challenge", "identity.token"]


def exercise(vault: SecretClient) -> None:
    first = vault.set_secret("one", "a", tags={"k": "v"}, content_type="text")
    second = vault.set_secret("one", "b")
    assert vault.get_secret("one").value == "b"
    assert vault.get_secret("one", first.properties.version).properties.tags == {"k": "v"}
    listed = [item.version for item in vault.list_properties_of_secret_versions("one")]
    assert listed == [first.properties.version, second.properties.version]
    assert vault.update_secret_properties("one", second.properties.version, enabled=False).enabled is False
    with pytest.raises(HttpResponseError):
        vault.get_secret("one")
    vault.begin_delete_secret("one").wait()
    with pytest.raises(ResourceExistsError) as caught:
        vault.set_secret("one", "c")
    assert caught.value.error is not None
    assert caught.value.error.innererror == {"code": "ObjectIsDeletedButRecoverable"}
    vault.begin_recover_deleted_secret("one").wait()
    vault.begin_delete_secret("one").wait()
    vault.purge_deleted_secret("one")
    with pytest.raises(ResourceNotFoundError):
        vault.get_secret("one")
    assert list(vault.list_properties_of_secrets()) == []


def test_the_secret_client_works_over_tls_with_the_managed_identity(
    server: EmulatorServer, identity: ManagedIdentityCredential
) -> None:
    with SecretClient(server.origin, identity, verify_challenge_resource=False, retry_total=0) as vault:
        exercise(vault)


def test_the_managed_identity_opens_graph_over_tls(
    server: EmulatorServer, identity: ManagedIdentityCredential, session: requests.Session
) -> None:
    token = identity.get_token(f"{server.origin}/.default").token
    headers = {"Authorization": f"Bearer {token}"}
    body = {"displayName": "x", "passwordCredentials": [{}]}
    created = session.post(f"{server.origin}/v1.0/applications", json=body, headers=headers).json()
    session.post(f"{server.origin}/v1.0/servicePrincipals", json={"appId": created["appId"]}, headers=headers)
    with ClientSecretCredential(
        server.emulator.tenant_id,
        created["appId"],
        created["passwordCredentials"][0]["secretText"],
        authority=server.origin,
        disable_instance_discovery=True,
    ) as credential:
        assert credential.get_token(f"{server.origin}/.default").token


def test_a_connection_is_kept_alive(server: EmulatorServer, session: requests.Session) -> None:
    used = set()
    for _ in range(5):
        with session.get(discovery(server), stream=True) as response:
            assert response.raw.connection is not None
            used.add(response.raw.connection.sock.getsockname())
            assert response.headers["X-Emulator"] == "memory-only"
            response.json()
    assert len(used) == 1


def test_the_authority_of_the_certificate_is_written_for_clients_and_trusted_by_nobody_else(
    server: EmulatorServer,
) -> None:
    assert server.ca_bundle.read_text().count("BEGIN CERTIFICATE") == 1
    with requests.Session() as stranger:
        stranger.trust_env = False
        with pytest.raises(requests.exceptions.SSLError):
            stranger.get(discovery(server))


def test_a_client_that_does_not_speak_keeps_no_other_waiting(server: EmulatorServer, session: requests.Session) -> None:
    port = int(server.origin.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)):
        assert session.get(discovery(server), timeout=5).status_code == 200


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_reset_really_breaks_the_connection(server: EmulatorServer, session: requests.Session, when: When) -> None:
    server.emulator.faults.add(Fault("reset", "token.discovery", when))
    with pytest.raises(requests.ConnectionError):
        session.get(discovery(server))
    assert session.get(discovery(server)).status_code == 200


def test_a_hanging_call_holds_its_connection_until_the_client_gives_up(
    server: EmulatorServer, session: requests.Session
) -> None:
    server.emulator.faults.add(Fault("hang", "token.discovery"))
    with pytest.raises(requests.ReadTimeout):
        session.get(discovery(server), timeout=0.2)
    assert [held.operation for held in server.emulator.holds.held()] == ["token.discovery"]
    assert session.get(discovery(server), timeout=5).status_code == 200


def test_a_held_call_takes_effect_after_its_client_was_killed(
    server: EmulatorServer, session: requests.Session
) -> None:
    manage = f"{server.origin}/_emulator/holds"
    session.post(manage, json={"operation": "token.discovery", "when": "before"})
    script = f"import requests; requests.get({discovery(server)!r}, verify={str(server.ca_bundle)!r})"
    child = subprocess.Popen([sys.executable, "-c", script])  # noqa: S603 -- our own interpreter
    try:
        wait_until(lambda: session.get(manage).json()["value"])
    finally:
        child.kill()
        child.wait()
    assert server.emulator.calls[-1].status == 0
    assert session.delete(manage).json() == {"released": 1}
    wait_until(lambda: server.emulator.calls[-1].status == 200)


def wait_until(condition: object) -> None:
    assert callable(condition)
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.01)


def test_a_stopped_server_leaves_no_call_waiting(tmp_path: Path) -> None:
    with ThreadPoolExecutor() as pool, requests.Session() as session:
        session.trust_env = False
        with EmulatorServer(tmp_path) as server:
            session.verify = str(server.ca_bundle)
            server.emulator.faults.add(Fault("hang", "token.discovery"))
            hanging = pool.submit(session.get, discovery(server))
            wait_until(server.emulator.holds.held)
        with pytest.raises(requests.ConnectionError):
            hanging.result(timeout=5)


def test_the_server_says_what_it_is_and_serves_this_machine_only(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with EmulatorServer(tmp_path) as server:
        banner = capsys.readouterr().err
    assert server.origin in banner
    assert "memory only" in banner
    assert "never production" in banner
    for host in ("0.0.0.0", "::", "192.0.2.1"):  # noqa: S104 -- refused
        with pytest.raises(ValueError, match="this machine only"):
            EmulatorServer(tmp_path, host=host)
        with pytest.raises(ValueError, match="this machine only"):
            serve(Emulator(), host, certificate=server.ca_bundle, key=server.ca_bundle)


def test_an_emulator_is_served_with_a_given_certificate_at_the_port_of_its_origin(tmp_path: Path) -> None:
    authority = trustme.CA()
    issued = authority.issue_cert("localhost")
    issued.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "server.pem"))
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
    emulator = Emulator(origin=f"https://localhost:{port}")
    server = serve(emulator, certificate=tmp_path / "server.pem", key=tmp_path / "server.pem")
    try:
        url = f"{emulator.origin}/{emulator.tenant_id}/discovery/v2.0/keys"
        with requests.Session() as session:
            session.trust_env = False
            assert session.get(url, verify=str(tmp_path / "ca.pem"), timeout=5).json()["keys"]
    finally:
        server.stop()


def test_many_clients_are_served_at_once(server: EmulatorServer) -> None:
    def ask(_: int) -> int:
        with requests.Session() as session:
            session.trust_env = False
            session.verify = str(server.ca_bundle)
            return session.get(discovery(server), timeout=10).status_code

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(ask, range(40))) == [200] * 40
