"""Queues over Azure Queue storage with requests: the host sends what functions send, and this what no function does.

Sources: "Put Message", "Delete Message", "Create Queue" (REST reference of Queue storage); the host reads messages in
base64 (host.json).
"""

import base64
import re
from http import HTTPStatus
from typing import Final
from urllib.parse import quote

import requests
from azure.core.exceptions import AzureError
from requests.auth import AuthBase

from provisioning.adapters.transport import TABLES_TIMEOUT, retry_after
from provisioning.domain.errors import TryAgain
from provisioning.domain.messages import NOTICES_QUEUE, REGISTRATIONS_QUEUE
from provisioning.ports import Clock

_API_VERSION: Final = "2023-11-03"
# A message that only tries a permission is not seen by anybody for as long as it lives at the most.
_UNSEEN: Final = "visibilitytimeout=59&messagettl=60"
_FOR_EVER: Final = "messagettl=-1"
_MESSAGE_ID: Final = re.compile(r"<MessageId>([0-9A-Za-z-]+)</MessageId>")
_RECEIPT: Final = re.compile(r"<PopReceipt>([^<]+)</PopReceipt>")


class StorageQueues:
    """The queues of this app; one that is missing is made, as the host makes it."""

    names: Final = (REGISTRATIONS_QUEUE, NOTICES_QUEUE)

    def __init__(self, endpoint: str, session: requests.Session, auth: AuthBase, clock: Clock) -> None:
        self._endpoint = endpoint.rstrip("/")
        self._session = session
        self._auth = auth
        self._clock = clock

    def send(self, queue: str, message: str) -> None:
        """As the port says."""
        self._put(queue, message, _FOR_EVER)

    def check(self, queue: str) -> None:
        """As the port says: two requests."""
        content = self._put(queue, "check", _UNSEEN)
        message_id, receipt = _MESSAGE_ID.search(content), _RECEIPT.search(content)
        if message_id is None or receipt is None:
            raise _unavailable("Queue storage's answer is not one of a queue.", None)
        path = f"/{queue}/messages/{message_id[1]}?popreceipt={quote(receipt[1], safe='')}"
        self._answered(self._sent("DELETE", path, ""), HTTPStatus.NO_CONTENT)

    def _put(self, queue: str, message: str, options: str) -> str:
        text = base64.b64encode(message.encode()).decode()
        body = f"<QueueMessage><MessageText>{text}</MessageText></QueueMessage>"
        path = f"/{queue}/messages?{options}"
        answer = self._sent("POST", path, body)
        if answer.status_code == HTTPStatus.NOT_FOUND:
            self._answered(self._sent("PUT", f"/{queue}", ""), HTTPStatus.CREATED, HTTPStatus.NO_CONTENT)
            answer = self._sent("POST", path, body)
        return self._answered(answer, HTTPStatus.CREATED).text

    def _sent(self, method: str, path: str, body: str) -> requests.Response:
        headers = {"x-ms-version": _API_VERSION} | ({"Content-Type": "application/xml"} if body else {})
        try:
            return self._session.request(
                method,
                self._endpoint + path,
                data=body.encode() or None,
                headers=headers,
                auth=self._auth,
                timeout=TABLES_TIMEOUT,
                allow_redirects=False,
            )
        except (requests.RequestException, AzureError):
            raise _unavailable("Queue storage could not answer.", None) from None

    def _answered(self, answer: requests.Response, *expected: HTTPStatus) -> requests.Response:
        if answer.status_code not in expected:
            wait = retry_after(answer.headers, self._clock.now())
            raise _unavailable(f"Queue storage answered {answer.status_code}.", wait)
        return answer


def _unavailable(message: str, wait: float | None) -> TryAgain:
    return TryAgain(
        "storage-unavailable",
        message,
        remedy="If it lasts, check AzureWebJobsStorage and the role Storage Queue Data Contributor.",
        retry_after=wait,
    )
