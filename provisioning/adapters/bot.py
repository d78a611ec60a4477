"""Teams over the Bot Framework: its tokens, by its keys, and one HTTPS request for each answer.

Sources: "Authentication with the Bot Connector API" (`endorsements` name the channels that a key signs for; a token of
this bot's own identity for `https://api.botframework.com`), "Bot Connector API reference" (Send to Conversation, Update
Activity).
"""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote

import requests
from azure.core.credentials import TokenCredential
from azure.core.exceptions import AzureError

from provisioning.adapters.signing_keys import SigningKeys
from provisioning.adapters.transport import BearerToken
from provisioning.domain.errors import TryAgain
from provisioning.domain.teams import CHANNEL, Bot, Conversation
from provisioning.ports import Clock

_TELLING: Final = 10.0
_TAKEN: Final = (HTTPStatus.OK, HTTPStatus.CREATED, HTTPStatus.ACCEPTED)


class TeamsBot:
    """The bot's end: `session` is for the keys, whose address is known, `answers` for where activities say they go."""

    def __init__(
        self, bot: Bot, identity: TokenCredential, session: requests.Session, answers: requests.Session, clock: Clock
    ) -> None:
        self._bot = bot
        self._identity = identity
        self._auth = BearerToken(identity, bot.cloud.scope)
        self._answers = answers
        self._keys = SigningKeys(f"{bot.cloud.login}/v1/.well-known/keys", session, clock, _signs_for_teams)

    def verify(self, token: str) -> Mapping[str, Any] | None:
        """As the port says; one that is for others, too, is not for this bot."""
        claims = self._keys.verified(token, frozenset({self._bot.id}), self._bot.cloud.issuer)
        return claims if claims is not None and claims["aud"] == self._bot.id else None

    def check(self) -> None:
        """As the port says."""
        try:
            self._identity.get_token(self._bot.cloud.scope)
        except AzureError:
            raise TryAgain(
                "no-identity-token",
                "There is no token of the bot's identity for the Bot Framework.",
                remedy="Give the app the managed identity that TEAMS_BOT_ID names, and the bot the same.",
            ) from None

    def tell(self, conversation: Conversation, activity: Mapping[str, Any], instead_of: str = "") -> str:
        """As the port says. Our token goes to the hosts of the Bot Framework alone."""
        if not self._bot.answers_at(conversation.service):
            raise _not_taken("is not where the conversation is said to be")
        url = f"{conversation.service.rstrip('/')}/v3/conversations/{quote(conversation.id, safe='')}/activities"
        url += f"/{quote(instead_of, safe='')}" if instead_of else ""
        body = json.dumps(activity, ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
        try:
            answer = self._answers.request(
                "PUT" if instead_of else "POST",
                url,
                data=body,
                headers={"Content-Type": "application/json; charset=utf-8"},
                auth=self._auth,
                timeout=_TELLING,
                allow_redirects=False,
            )
        except (requests.RequestException, AzureError, ValueError):
            # Its text may have the URL, so it ends here.
            raise _not_taken("gave no answer") from None
        if answer.status_code not in _TAKEN:
            raise _not_taken(f"answered {answer.status_code}")
        try:
            return instead_of or str(answer.json()["id"])
        except (ValueError, KeyError, TypeError):
            return instead_of  # it was taken, and cannot be changed


def _signs_for_teams(key: Mapping[str, Any]) -> bool:
    endorsed = key.get("endorsements")
    return isinstance(endorsed, list) and CHANNEL in endorsed


def _not_taken(how: str) -> TryAgain:
    return TryAgain(
        "chat-not-told",
        f"Microsoft Teams {how}.",
        remedy="If it lasts, check that the bot has the identity that TEAMS_BOT_ID names, and the network.",
    )
