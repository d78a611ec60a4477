"""What comes from Slack, and whether it does: the signature over the bytes as they came, before anything is parsed.

Sources: "Verifying requests from Slack" (v0, HMAC-SHA256 of `v0:{timestamp}:{body}`, five minutes), slack_sdk's
`SignatureVerifier`, which the tests sign with; "Handling user interaction" (a response URL is good for 30 minutes).
"""

import hashlib
import hmac
import json
import re
from collections.abc import Mapping
from dataclasses import field
from datetime import UTC, datetime, timedelta
from typing import Final

from provisioning.domain.chat import answers_at
from provisioning.domain.values import dataclass

# Of Slack: how old a request may be when it comes, and how long its response URL works.
OLDEST: Final = timedelta(minutes=5)
LONGEST_WAIT: Final = timedelta(minutes=30)
# A signature is remembered for longer than a request can be acted upon.
REMEMBERED: Final = timedelta(hours=1)
LARGEST_BODY: Final = 32 * 1024
ANSWERS_AT: Final = "hooks.slack.com"
_TIMESTAMP: Final = re.compile(r"[0-9]{1,11}", re.ASCII)
_SIGNATURE: Final = re.compile(r"v0=[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SignedRequest:
    """A request as it came: the bytes, and what is said to vouch for them."""

    body: bytes = field(repr=False)
    timestamp: str
    signature: str

    @classmethod
    def received(cls, headers: Mapping[str, str], body: bytes) -> "SignedRequest":
        """Return the request of a call, whose header names are in lower case."""
        timestamp, signature = (headers.get(f"x-slack-{name}", "") for name in ("request-timestamp", "signature"))
        return cls(body, timestamp, signature)

    @classmethod
    def from_message(cls, message: bytes) -> "SignedRequest | None":
        """Return the request of a queue's message; None for a message of another shape."""
        try:
            content = json.loads(message)
            body, timestamp, signature = (content[name] for name in ("body", "timestamp", "signature"))
            return cls(body.encode(), str(timestamp), str(signature))
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None

    @property
    def message(self) -> str:
        """The queue's message: the request itself, so that whoever takes it sees for itself who vouches for it."""
        return json.dumps({"body": self.body.decode(), "timestamp": self.timestamp, "signature": self.signature})


@dataclass(frozen=True, slots=True)
class Workspace:
    """The one workspace of Slack whose people may ask here. What signs for Slack hides itself in `repr`.

    `session` is for how long a sign-in counts, `page` where to sign in. On the `local` stack alone an answer may go to
    this machine.
    """

    id: str
    signing_secret: bytes = field(repr=False)
    session: timedelta
    page: str | None
    local: bool = False
    has_forms: bool = False

    def vouches_for(self, request: SignedRequest, now: datetime, oldest: timedelta = OLDEST) -> bool:
        """Whether Slack signed exactly these bytes, at most that long ago."""
        if not _TIMESTAMP.fullmatch(request.timestamp) or not _SIGNATURE.fullmatch(request.signature):
            return False
        signed = b"v0:" + request.timestamp.encode() + b":" + request.body
        expected = "v0=" + hmac.digest(self.signing_secret, signed, hashlib.sha256).hex()
        if not hmac.compare_digest(expected, request.signature):
            return False
        return abs(now - datetime.fromtimestamp(int(request.timestamp), UTC)) <= oldest

    def answers_at(self, url: str) -> bool:
        """Whether an answer may be sent there."""
        return answers_at(url, (ANSWERS_AT,), local=self.local)
