"""The adapters as they are deployed: chosen by settings alone, over TLS and real storage."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
import requests

from dev.emulator.server import EmulatorServer
from provisioning.adapters.transport import new_session, tls_context
from provisioning.api import web
from provisioning.api.calls import Call
from provisioning.domain.errors import TryAgain
from provisioning.domain.messages import read_message
from provisioning.domain.secrets import MintedSecret
from provisioning.flow import plan
from provisioning.flow.provision import carry_out
from provisioning.settings import Settings
from provisioning.wiring import AzureServices
from tests.worlds.request_bodies import OWNER, a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.steps import code_of


@pytest.fixture(scope="module")
def azure(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmulatorServer]:
    with EmulatorServer(tmp_path_factory.mktemp("ca")) as server:
        yield server


@pytest.fixture
def environment(azure: EmulatorServer, azurite: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The settings, in this process's environment too: Azure's libraries read some of them there."""
    settings = {
        **azure.emulator.settings(),
        "AzureWebJobsStorage": azurite,
        "REQUESTS_CA_BUNDLE": str(azure.ca_bundle),
    }
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    return settings


def test_each_client_type_is_provisioned_by_what_the_settings_choose(environment: dict[str, str]) -> None:
    services = AzureServices(Settings.from_env(environment))
    for body in (a_resource(), a_confidential_client(), a_public_client(), a_service_client()):
        call = Call("/api/registrations", {"content-type": "application/json"}, body=json.dumps(body).encode())
        answer = web.answer(lambda: services, web.submit_registration, call)
        assert answer.status == 202, answer.body
        assert answer.message is not None
        carry_out(services, read_message(answer.message.encode()))
        registration_id = json.loads(answer.body)["registrationId"]
        shown = web.answer(lambda: services, web.show_registration, Call("", registration_id=registration_id))
        assert json.loads(shown.body)["status"] == "active", shown.body
    assert list(plan.due_messages(services)) == []


def test_without_an_identity_endpoint_a_token_that_cannot_be_had_is_a_passing_error(
    environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("IDENTITY_ENDPOINT", "IDENTITY_HEADER"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AZURE_TOKEN_CREDENTIALS", "EnvironmentCredential")
    alone = {name: value for name, value in environment.items() if not name.startswith("IDENTITY")}
    services = AzureServices(Settings.from_env(alone))
    call = Call(
        "/api/registrations",
        {"content-type": "application/json"},
        "dryRun=true",
        json.dumps(a_service_client(resource="https://ws-x.fhir.azurehealthcareapis.com", appRoles=[])).encode(),
    )
    answer = web.answer(lambda: services, web.submit_registration, call)
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "no-identity-token")


AN_ID = "0badc0de-0f0e0d0c-1111-2222-3333-444455556666"


def tables_at(environment: dict[str, str], port: int) -> dict[str, str]:
    """Return the settings with the tables at a port of this machine."""
    parts = dict(part.split("=", 1) for part in environment["AzureWebJobsStorage"].split(";") if part)
    parts["TableEndpoint"] = f"http://127.0.0.1:{port}/devstoreaccount1"
    return {**environment, "AzureWebJobsStorage": ";".join(f"{name}={value}" for name, value in parts.items())}


def test_storage_that_is_not_there_is_a_passing_error(environment: dict[str, str]) -> None:
    services = AzureServices(Settings.from_env(tables_at(environment, 9)))
    answer = web.answer(lambda: services, web.list_registrations, Call(""))
    assert (answer.status, json.loads(answer.body)["code"]) == (503, "storage-unavailable")


@pytest.mark.parametrize("call", ["submit", "show", "rotate", "list"])
def test_storage_that_takes_a_connection_and_says_nothing_costs_a_caller_five_seconds_and_no_more(
    environment: dict[str, str], call: str
) -> None:
    """A stopped process looks like that: its system goes on taking connections."""
    headers, body = {"content-type": "application/json"}, json.dumps(a_service_client()).encode()
    calls: dict[str, tuple[Any, Call]] = {
        "submit": (web.submit_registration, Call("/api/registrations", headers, body=body)),
        "show": (web.show_registration, Call("", registration_id=AN_ID)),
        "rotate": (web.rotate_registration, Call("", registration_id=AN_ID)),
        "list": (web.list_registrations, Call("/api/registrations", query=f"owner={OWNER}")),
    }
    with socket.create_server(("127.0.0.1", 0)) as silent:
        services = AzureServices(Settings.from_env(tables_at(environment, silent.getsockname()[1])))
        began = time.monotonic()
        answer = web.answer(lambda: services, *calls[call])
    assert (answer.status, code_of(answer)) == (503, "storage-unavailable")
    assert int(answer.headers["Retry-After"]) >= 1
    assert time.monotonic() - began < 5


def test_a_look_through_all_registrations_may_take_the_five_seconds_that_the_service_takes_at_most(
    environment: dict[str, str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        services = AzureServices(Settings.from_env(tables_at(environment, silent.getsockname()[1])))
        began = time.monotonic()
        answer = web.answer(lambda: services, web.list_registrations, Call("/api/registrations"))
    assert answer.status == 503
    assert 5 < time.monotonic() - began < 6.5


def test_a_token_endpoint_that_says_nothing_is_no_answer_within_ten_seconds(environment: dict[str, str]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        authority = f"https://127.0.0.1:{silent.getsockname()[1]}"
        services = AzureServices(Settings.from_env({**environment, "AZURE_AUTHORITY_HOST": authority}))
        minted = MintedSecret("key", datetime.now(UTC), datetime.now(UTC), text="text")
        began = time.monotonic()
        with pytest.raises(TryAgain):
            services.proof.accepts(AN_ID, minted)
    assert time.monotonic() - began < 9


def test_a_shared_context_trusts_the_bundle_that_the_settings_name_and_nothing_else(
    azure: EmulatorServer, tmp_path: Path
) -> None:
    url = f"{azure.origin}/_emulator/state"
    with new_session(tls_context(str(azure.ca_bundle)), 2) as session:
        assert session.get(url, timeout=5).status_code == 200
    with (
        EmulatorServer(tmp_path) as foreign,
        new_session(tls_context(str(foreign.ca_bundle)), 2) as session,
        pytest.raises(requests.exceptions.SSLError),
    ):
        session.get(url, timeout=5)


class _Proxy(BaseHTTPRequestHandler):
    """Answers itself, with what it was asked for and with whose password."""

    def do_GET(self) -> None:
        body = f"{self.path} {self.headers.get('Authorization')}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None: ...


@pytest.fixture
def proxy(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Proxy) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{server.server_port}")
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_session_uses_the_proxy_that_the_environment_names_and_no_password_file(
    proxy: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "netrc").write_text("machine storage.invalid login somebody password else\n")
    monkeypatch.setenv("NETRC", str(tmp_path / "netrc"))
    with new_session(tls_context(None), 2) as session:
        assert session.get("http://storage.invalid/table", timeout=5).text == "http://storage.invalid/table None"
        assert session.get(f"http://{proxy}/direct", timeout=5).text == f"http://{proxy}/direct None"


def test_a_session_goes_past_the_proxy_where_the_environment_says_so(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with new_session(tls_context(None), 2) as session:
        assert session.get(f"http://{proxy}/direct", timeout=5).text == "/direct None"


def test_a_folder_of_certificates_is_taken_too(tmp_path: Path) -> None:
    assert tls_context(str(tmp_path)).verify_mode.name == "CERT_REQUIRED"


def test_without_a_bundle_the_usual_authorities_are_trusted() -> None:
    assert tls_context(None).cert_store_stats()["x509_ca"] > 50
