"""People who ask from a chat: who in it is who in Entra, since when, and what says so. Pure.

An id of a chat says nothing of a person's roles or groups. So a person signs in on the page, where the platform names
both, and says in the chat a code that only this sign-in was shown (docs/decisions/0075).
"""

import hashlib
import secrets
from collections.abc import Collection
from datetime import datetime, timedelta
from typing import Final
from urllib.parse import urlsplit

from provisioning.domain.callers import Caller
from provisioning.domain.values import dataclass

CODE_LIVES: Final = timedelta(minutes=10)
# No letter that is easily taken for another; twelve of them are 60 bits.
_LETTERS: Final = "ABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_PARTS: Final = (4, 4, 4)
_LOOPBACK: Final = frozenset({"localhost", "127.0.0.1"})


@dataclass(frozen=True, slots=True)
class ChatUser:
    """Somebody in a chat, by the ids that the chat gives: of the workspace, and of the user there."""

    workspace: str
    user: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """What the platform said of a person, and when: the roles and groups that count in the chat for a while."""

    caller: Caller
    at: datetime

    def counts(self, now: datetime, session: timedelta) -> bool:
        """Whether it still counts."""
        return now < self.at + session


def answers_at(url: str, hosts: Collection[str], *, local: bool) -> bool:
    """Whether an answer may be sent there: by https to one of these hosts; on the `local` stack to this machine too."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except ValueError:
        return False
    if "@" in parts.netloc or parts.fragment:
        return False
    if local and host in _LOOPBACK:
        return True
    return parts.scheme == "https" and host in hosts and port is None


def new_code() -> str:
    """Return a code that nobody guesses, as a person can type it."""
    return "-".join("".join(secrets.choice(_LETTERS) for _ in range(length)) for length in _PARTS)


def code_key(code: str) -> str:
    """Return what a code is kept by, in whatever way it was typed: the code itself is kept nowhere."""
    letters = "".join(each for each in code.upper() if each in _LETTERS)
    return hashlib.sha256(letters.encode()).hexdigest()
