"""Callbacks as they are sent over TLS: what receivers verify, and where none is sent."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from provisioning.adapters.callbacks import SignedCallbacks
from provisioning.adapters.public_hosts import public_session
from provisioning.adapters.transport import tls_context
from provisioning.domain.errors import TryAgain
from provisioning.domain.notices import FAILED, Notice
from provisioning.settings import Settings
from provisioning.wiring import AzureServices, SystemClock
from tests.worlds.https_receiver import HttpsReceiver, answering
from tests.worlds.receiver import WEBHOOK_TOKEN, CallbackReceiver

NOTICE = Notice("an-id", FAILED, "subject", datetime(2026, 11, 23, tzinfo=UTC), {"a": "é"}, callback=True)


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpsReceiver]:
    with HttpsReceiver(tmp_path) as running:
        yield running


def callbacks(server: HttpsReceiver) -> SignedCallbacks:
    """Callbacks for which this machine plays the internet."""
    context = tls_context(server.ca_bundle)
    session = public_session(context, lambda *_: ["127.0.0.1"], lambda address: address == "127.0.0.1")
    return SignedCallbacks(["localhost"], bytes(range(32)), "urn:test", session, SystemClock())


def test_the_verification_that_is_shown_takes_a_callback_and_refuses_a_changed_one(server: HttpsReceiver) -> None:
    sender = callbacks(server)
    sender.send(server.url, NOTICE)
    [received] = server.received
    _, example = re.findall(r"```python\n(.*?)```", Path("docs/notices.md").read_text(encoding="utf-8"), re.DOTALL)
    shown: dict[str, Any] = {}
    exec(example, shown)  # noqa: S102 -- the document of this repository
    shown["verify"](received.headers, received.body, sender.public_key)
    with pytest.raises(InvalidSignature):
        shown["verify"](received.headers, received.body + b" ", sender.public_key)
    for name in ("webhook-id", "webhook-timestamp"):
        with pytest.raises(InvalidSignature):
            shown["verify"](received.headers | {name: "1"}, received.body, sender.public_key)


def test_a_callback_that_leads_to_this_machine_is_not_sent(server: HttpsReceiver) -> None:
    services = AzureServices(
        Settings.from_env(
            {
                "AzureWebJobsStorage": "UseDevelopmentStorage=true",
                "AZURE_TENANT_ID": "11111111-aaaa-4aaa-8aaa-000000000001",
                "KEY_VAULT_URL": "https://v.vault.azure.net",
                "REQUESTS_CA_BUNDLE": server.ca_bundle,
                **CallbackReceiver().settings(),
            }
        )
    )
    assert services.callbacks is not None
    assert services.callbacks.allows(CallbackReceiver.url)
    with pytest.raises(TryAgain) as caught:
        services.callbacks.send(server.url, NOTICE)
    assert WEBHOOK_TOKEN not in str(caught.value)
    assert server.received == []


def test_a_redirect_to_the_platform_is_no_success_and_is_not_followed(server: HttpsReceiver) -> None:
    server.answer = answering(307, Location="https://169.254.169.254/metadata/instance")
    with pytest.raises(TryAgain):
        callbacks(server).send(server.url, NOTICE)
    assert len(server.received) == 1
