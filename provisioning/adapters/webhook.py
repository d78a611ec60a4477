"""Notifier over one HTTPS POST: a CloudEvent, signed by the rules of Standard Webhooks.

Where each rule is from:

    CloudEvents 1.0, HTTP Protocol Binding     structured mode: the event is the body, application/cloudevents+json
    Standard Webhooks 1.0.0, Signature scheme  HMAC-SHA256 of "{id}.{timestamp}.{body}", by the bytes behind `whsec_`
    -, Webhook headers                         webhook-id, webhook-timestamp (of this attempt), webhook-signature
    -, Delivery success and failure            2xx is success; all else is failure, a redirect too
    -, Request timeouts                        15 to 30 s
    our own                                    410 is a failure like any other, where the standard would have the
                                               receiver disabled: nothing that the operator is to know may vanish

There is no retry here, and nothing of an answer but its status is read.
"""

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

import requests

from provisioning.adapters.transport import TIMEOUT
from provisioning.domain.errors import TryAgain
from provisioning.domain.notices import Notice, cloud_event
from provisioning.ports import Clock

CONTENT_TYPE: Final = "application/cloudevents+json"


class WebhookNotifier:
    """The receiver at one URL, which may hold a token: it is in no error and no log line."""

    def __init__(self, url: str, key: bytes, source: str, session: requests.Session, clock: Clock) -> None:
        self._url = url
        self._key = key
        self._source = source
        self._session = session
        self._clock = clock

    def send(self, notice: Notice) -> None:
        """As the port says."""
        body = json.dumps(cloud_event(notice, self._source), separators=(",", ":")).encode()
        post(self._session, self._url, body, {"Content-Type": CONTENT_TYPE} | self._signature(notice.id, body))

    def _signature(self, notice_id: str, body: bytes) -> dict[str, str]:
        timestamp = str(int(self._clock.now().timestamp()))
        signed = hmac.digest(self._key, f"{notice_id}.{timestamp}.".encode() + body, hashlib.sha256)
        return {
            "webhook-id": notice_id,
            "webhook-timestamp": timestamp,
            "webhook-signature": f"v1,{base64.b64encode(signed).decode()}",
        }


def post(session: requests.Session, url: str, body: bytes, headers: Mapping[str, str]) -> None:
    """Return once the receiver took it; raise TryAgain otherwise, which does not say where that is."""
    try:
        # Streamed, so that the answer's body, however long, is left alone.
        with session.post(
            url, data=body, headers=headers, auth=_as_it_is, timeout=TIMEOUT, allow_redirects=False, stream=True
        ) as response:
            status = response.status_code
    except (requests.RequestException, ValueError):
        # Its text has the URL, so it ends here.
        raise _not_taken("gave no answer") from None
    if not HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        raise _not_taken(f"answered {status}")


def _as_it_is(request: requests.PreparedRequest) -> requests.PreparedRequest:
    """Keep requests from putting a password from a .netrc file on it."""
    return request


def _not_taken(how: str) -> TryAgain:
    return TryAgain(
        "notice-not-taken",
        f"The receiver of notices {how}.",
        remedy="If it lasts, check the receiver, NOTIFY_WEBHOOK_URL and the app's network. Notices wait.",
    )
