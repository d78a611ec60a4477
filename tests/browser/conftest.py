"""People with browsers, before one local stack whose callers sign in. Each page is watched: what it loads, and says."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import sync_playwright

from dev.stack import Stack, stack
from tests.browser.person import Person

FLAGS = [
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync"),
]
POLICY = {
    "version": "browser",
    "exceptions": "Ask the platform team.",
    "rules": [
        {
            "id": "no-daemon-writes",
            "kind": "appRoles",
            "resources": {"include": ["*"]},
            "appRoles": {"include": ["*"], "exclude": ["globalWriter"]},
            "approval": "approver",
        }
    ],
}
SERVER = {
    "clientType": "resource",
    "displayName": "FHIR server, test",
    "contact": "fhir-team@contoso.example",
    "fhirServerUrl": "https://fhir.contoso.example",
    "scopes": [
        "user_impersonation",
        "fhirUser",
        "launch.patient",
        "patient.Patient.r",
        "patient.Observation.rs",
        "user.all.rs",
    ],
}


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--images", action="store_true", help="make the pictures of docs/images anew")


@pytest.fixture(scope="session")
def images(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where pictures go: to the documents where that was asked for."""
    return Path("docs/images") if request.config.getoption("--images") else tmp_path_factory.mktemp("images")


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """The local stack, whose callers sign in, with a policy under which one app role needs an approval."""
    folder = tmp_path_factory.mktemp("stack")
    policy = folder / "policy.json"
    policy.write_text(json.dumps(POLICY), encoding="utf-8")
    settings = {
        "CALLER_AUTH": "entra",
        "GRANTS": "on",
        "POLICY": str(policy),
        "SECRET_OVERLAP": "PT15S",
        "SECRET_PROOF_TIMEOUT": "PT30S",
        "SLACK_WORKSPACE": "T0CONTOSO",
        "SLACK_SIGNING_SECRET": os.urandom(16).hex(),
    }
    with stack(folder, app_settings=settings, log_file=folder / "host.log") as served:
        yield served


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """Debian's Chromium, or the one that CHROMIUM names."""
    flags = [*FLAGS, *(["--no-sandbox"] if os.geteuid() == 0 else [])]
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=os.environ.get("CHROMIUM", "/usr/bin/chromium"), args=flags)
        yield browser
        browser.close()


class People:
    """Everybody in one test, each with a browser that nobody else has used."""

    def __init__(self, chromium: Any, served: Stack, images: Path) -> None:
        self.chromium = chromium
        self.served = served
        self.images = images
        self.all: list[Person] = []

    def called(self, name: str | None, *, width: int = 1280, dark: bool = False, origin: str | None = None) -> Person:
        """Somebody who has signed in under this name, or nobody yet, with a window of this width."""
        context = self.chromium.new_context(
            viewport={"width": width, "height": 780},
            color_scheme="dark" if dark else "light",
            permissions=["clipboard-read", "clipboard-write"],
            timezone_id="UTC",
            locale="en-GB",
        )
        person = Person(context, origin or self.served.host.origin, self.images)
        self.all.append(person)
        if name is not None:
            person.signs_in(name)
        return person


@pytest.fixture
def people(chromium: Any, running: Stack, images: Path) -> Iterator[People]:
    there = People(chromium, running, images)
    yield there
    for person in there.all:
        person.leaves()


@pytest.fixture(scope="session")
def server(running: Stack) -> dict[str, Any]:
    """A FHIR server that a team has registered, for clients to call."""
    return registered(running, SERVER)


def registered(served: Stack, body: dict[str, Any], who: str = "alice", *, wait: bool = True) -> dict[str, Any]:
    """Have somebody register something by the API, and wait until it is done."""
    import requests  # noqa: PLC0415 -- the rest of the room looks through a browser alone

    session = requests.Session()
    session.trust_env = False
    headers = {"X-Dev-As": who}
    asked = {"owner": "a11ce000-0000-4000-8000-000000000001"} | body
    answer = session.post(f"{served.api}/registrations", json=asked, headers=headers, timeout=30)
    assert answer.status_code == 202, answer.text
    content: dict[str, Any] = answer.json()
    deadline = time.monotonic() + 30
    while wait and content["status"] == "accepted" and time.monotonic() < deadline:
        time.sleep(0.1)
        content = session.get(
            f"{served.api}/registrations/{content['registrationId']}", headers=headers, timeout=30
        ).json()
    assert not wait or content["status"] == "active", content
    return content
