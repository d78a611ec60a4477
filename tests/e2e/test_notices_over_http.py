"""Notices through the whole: a row in real storage, the planner, the queue, and a receiver over TLS."""

import time
from datetime import UTC, datetime
from pathlib import Path

import requests
from standardwebhooks import Webhook

from dev.host import HostProcess
from provisioning.domain.notices import heartbeat
from provisioning.settings import Settings
from provisioning.wiring import AzureServices
from tests.worlds.https_receiver import HttpsReceiver
from tests.worlds.receiver import WEBHOOK_SECRET, WEBHOOK_TOKEN


def test_a_notice_whose_message_was_lost_reaches_the_receiver_by_the_planner(azurite: str, tmp_path: Path) -> None:
    log = tmp_path / "host.log"
    with HttpsReceiver(tmp_path) as receiver:
        settings = {
            "AzureWebJobsStorage": azurite,
            "AZURE_TENANT_ID": "11111111-aaaa-4aaa-8aaa-000000000001",
            "KEY_VAULT_URL": "https://v.vault.azure.net",
            "NOTIFY_WEBHOOK_URL": receiver.url,
            "NOTIFY_WEBHOOK_SECRET": WEBHOOK_SECRET,
            "REQUESTS_CA_BUNDLE": receiver.ca_bundle,
        }
        registry = AzureServices(Settings.from_env(settings)).registry
        now = datetime.now(UTC)
        registry.put_notice(heartbeat("run-1", now, {"registrations": 0}), now)
        with HostProcess(settings, log_file=log) as host:
            fired = requests.post(f"{host.origin}/admin/functions/planner", json={"input": ""}, timeout=20)
            assert fired.status_code == 202
            deadline = time.monotonic() + 30
            while registry.notices() and time.monotonic() < deadline:
                time.sleep(0.1)
    [received] = receiver.received
    event = Webhook(WEBHOOK_SECRET).verify(received.body, received.headers)
    assert (event["id"], event["type"], event["data"]) == (
        "run-1-heartbeat",
        "registrar.heartbeat",
        {"counts": {"registrations": 0}},
    )
    assert registry.notices() == []
    assert "notice run-1-heartbeat: taken" in log.read_text()
    assert WEBHOOK_TOKEN not in log.read_text()
