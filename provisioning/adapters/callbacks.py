"""Callbacks over one HTTPS POST each: the CloudEvents of `webhook.py`, to URLs that callers chose.

Signed by a private key, so that whoever has the public key can verify one and nobody but us can sign one: there is no
secret to share with each receiver. Standard Webhooks 1.0.0, section Signature scheme: `v1a` is Ed25519 of
"{id}.{timestamp}.{body}"; keys are written `whsk_` and `whpk_` with base64. `public_hosts.py` has where they can lead.
"""

import base64
import json
from collections.abc import Sequence

import requests
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from provisioning.adapters.webhook import CONTENT_TYPE, post
from provisioning.domain.callbacks import host_is_named
from provisioning.domain.notices import Notice, cloud_event
from provisioning.ports import Clock


class SignedCallbacks:
    """Callbacks to the hosts that the operator names."""

    def __init__(self, hosts: Sequence[str], seed: bytes, source: str, session: requests.Session, clock: Clock) -> None:
        self._hosts = hosts
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self._source = source
        self._session = session
        self._clock = clock

    @property
    def public_key(self) -> str:
        """As the port says."""
        return f"whpk_{base64.b64encode(self._key.public_key().public_bytes_raw()).decode()}"

    def allows(self, url: str) -> bool:
        """As the port says."""
        return host_is_named(url, self._hosts)

    def send(self, url: str, notice: Notice) -> None:
        """As the port says."""
        body = json.dumps(cloud_event(notice, self._source), separators=(",", ":")).encode()
        timestamp = str(int(self._clock.now().timestamp()))
        signature = base64.b64encode(self._key.sign(f"{notice.id}.{timestamp}.".encode() + body)).decode()
        headers = {"webhook-id": notice.id, "webhook-timestamp": timestamp, "webhook-signature": f"v1a,{signature}"}
        post(self._session, url, body, {"Content-Type": CONTENT_TYPE} | headers)
