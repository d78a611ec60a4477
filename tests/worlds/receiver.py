"""A receiver of notices in this process: it takes what Standard Webhooks' own library signs in the same way."""

import base64
import json
from datetime import UTC, datetime
from http import HTTPStatus
from io import BytesIO
from typing import Any, Final

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from requests.adapters import BaseAdapter, HTTPAdapter
from standardwebhooks import Webhook
from urllib3 import HTTPResponse

WEBHOOK_SECRET: Final = "whsec_" + base64.b64encode(bytes(range(32))).decode()
WEBHOOK_TOKEN: Final = "qzwebhooktokenqz"


class Receiver(BaseAdapter):
    """What it took, in order, repeats included. `status` is its answer; None is none at all."""

    url = f"https://notices.contoso.example/hook?token={WEBHOOK_TOKEN}"

    def __init__(self) -> None:
        super().__init__()
        self.status: int | None = HTTPStatus.NO_CONTENT
        self.attempts = 0
        self.taken: list[dict[str, Any]] = []

    def settings(self) -> dict[str, str]:
        """Return the settings that have notices sent here."""
        return {"NOTIFY_WEBHOOK_URL": self.url, "NOTIFY_WEBHOOK_SECRET": WEBHOOK_SECRET}

    @property
    def ids(self) -> list[str]:
        """The ids of what it took."""
        return [event["id"] for event in self.taken]

    def send(self, request: requests.PreparedRequest, **options: Any) -> requests.Response:  # type: ignore[override]
        self.attempts += 1
        if self.status is None:
            raise requests.ConnectionError(f"no connection to {request.url}")
        status = self.status if self._is_signed(request) else HTTPStatus.UNAUTHORIZED
        if status < HTTPStatus.MULTIPLE_CHOICES:
            self.taken.append(json.loads(request.body or b""))
        raw = HTTPResponse(BytesIO(), status=status, preload_content=False)
        return HTTPAdapter().build_response(request, raw)

    def _is_signed(self, request: requests.PreparedRequest) -> bool:
        """Whether the signature is right; `Webhook.verify` would read the machine's clock, and a test has another."""
        sent_at = datetime.fromtimestamp(int(request.headers["webhook-timestamp"]), UTC)
        assert isinstance(request.body, bytes)
        expected = Webhook(WEBHOOK_SECRET).sign(request.headers["webhook-id"], sent_at, request.body.decode())
        return bool(expected == request.headers["webhook-signature"])

    def close(self) -> None:
        """Nothing is held."""


CALLBACK_SEED: Final = bytes(range(32, 64))


class CallbackReceiver(Receiver):
    """The receiver of callbacks at any path of one host, which has the public key and no secret."""

    origin = "https://ci.contoso.example"
    url = f"{origin}/fhir?token={WEBHOOK_TOKEN}"

    def settings(self) -> dict[str, str]:
        """Return the settings that allow callbacks to it."""
        key = "whsk_" + base64.b64encode(CALLBACK_SEED).decode()
        return {"CALLBACK_HOSTS": "ci.contoso.example", "CALLBACK_SIGNING_KEY": key}

    def _is_signed(self, request: requests.PreparedRequest) -> bool:
        """Whether the signature is right, as whoever has the public key verifies it."""
        assert isinstance(request.body, bytes)
        version, _, signature = request.headers["webhook-signature"].partition(",")
        signed = f"{request.headers['webhook-id']}.{request.headers['webhook-timestamp']}.".encode() + request.body
        public = Ed25519PrivateKey.from_private_bytes(CALLBACK_SEED).public_key()
        public.verify(base64.b64decode(signature), signed)
        return version == "v1a"
