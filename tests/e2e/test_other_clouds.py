"""The host alone, pointed at a cloud by nothing but settings in its environment."""

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from dev.emulator.server import EmulatorServer

NAMED = (
    "GRAPH_ENDPOINT",
    "AZURE_AUTHORITY_HOST",
    "AZURE_TENANT_ID",
    "KEY_VAULT_URL",
    "IDENTITY_ENDPOINT",
    "IDENTITY_HEADER",
)
EXAMPLES = ("resource", "confidential", "public", "service")


@pytest.mark.parametrize("switch", [None, "inline_secret_omitted", "inline_secret_refused"])
def test_each_example_ends_active_against_a_cloud_that_only_settings_name(
    azurite: str, tmp_path: Path, switch: str | None
) -> None:
    with EmulatorServer(tmp_path) as azure:
        if switch is not None:
            azure.emulator.faults.set(**{switch: True, "unique_name_conflict_status": 409})
        settings = azure.emulator.settings()
        environment = {name: settings[name] for name in NAMED} | {
            "AzureWebJobsStorage": azurite,
            "REQUESTS_CA_BUNDLE": str(azure.ca_bundle),
            "HOME": str(tmp_path),
            "PATH": os.environ["PATH"],
        }
        command = [sys.executable, "-m", "dev", "host", "--port", "0", "--environment-only"]
        with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, text=True) as host:  # noqa: S603 -- our own
            assert host.stdout is not None
            origin = host.stdout.readline().split()[-1]
            try:
                assert [ended(origin, name) for name in EXAMPLES] == ["active"] * 4
            finally:
                host.terminate()
            assert host.wait(timeout=20) == 0


def ended(origin: str, example: str) -> str:
    """Submit an example for a server of its own, and return the status it ends with."""
    body = json.loads(Path(f"examples/{example}.json").read_text())
    place = "fhirServerUrl" if example == "resource" else "resource"
    body[place] = body[place].replace("fhir.", f"fhir-{origin.rpartition(':')[2]}.")
    accepted = requests.post(f"{origin}/api/registrations", json=body, timeout=20)
    assert accepted.status_code == 202, accepted.text
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        registration = requests.get(origin + accepted.headers["Location"], timeout=20).json()
        if registration["status"] != "accepted":
            return str(registration["status"])
        time.sleep(0.1)
    raise AssertionError(f"still accepted: {registration}")
