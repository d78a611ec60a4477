"""Notifier over a workflow of Power Automate, which posts a card into a channel of Microsoft Teams.

Sources: "Create incoming webhooks with Workflows for Microsoft Teams": 202 says that the workflow took the message, not
that a channel shows it; whoever knows the URL may post, so it is as good as a secret. A workflow knows no signature.
"""

import json

import requests

from provisioning.adapters.webhook import post
from provisioning.domain.cards import message_of
from provisioning.domain.notices import Notice


class TeamsNotifier:
    """The workflow at one URL, which is in no error and no log line; `page` is where its cards lead."""

    def __init__(self, url: str, page: str | None, session: requests.Session) -> None:
        self._url = url
        self._page = page
        self._session = session

    def send(self, notice: Notice) -> None:
        """As the port says; what is no news to people is taken, and nobody is told."""
        message = message_of(notice, self._page)
        if message is not None:
            # As it stands, not escaped: of an emoji 4 bytes count, not 12.
            body = json.dumps(message, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
            post(self._session, self._url, body, {"Content-Type": "application/json"})
