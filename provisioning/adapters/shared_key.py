"""Who asks storage, where no identity does: the key of the account, or a shared access signature.

Sources: "Authorize with Shared Key" (blobs and queues), "Delegate access with a shared access signature".
"""

import base64
import hashlib
import hmac
from email.utils import format_datetime
from typing import Final
from urllib.parse import parse_qsl, urlsplit

import requests
from requests.auth import AuthBase

from provisioning.ports import Clock

# In this order they stand in what is signed, before the headers of storage itself.
_SIGNED: Final = (
    *("Content-Encoding", "Content-Language", "Content-Length", "Content-MD5", "Content-Type", "Date"),
    *("If-Modified-Since", "If-Match", "If-None-Match", "If-Unmodified-Since", "Range"),
)


class SharedKey(AuthBase):
    """Signs a request to blobs or queues with the key of the storage account."""

    def __init__(self, account: str, key: str, clock: Clock) -> None:
        self._account = account
        self._key = base64.b64decode(key)
        self._clock = clock

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request with its date and signature."""
        request.headers["x-ms-date"] = format_datetime(self._clock.now(), usegmt=True)
        own = sorted((name.lower(), value) for name, value in request.headers.items() if name.lower()[:5] == "x-ms-")
        parts = urlsplit(request.url or "")
        lines = [
            request.method or "",
            *("" if value == "0" else value for value in (str(request.headers.get(name, "")) for name in _SIGNED)),
            *(f"{name}:{value}" for name, value in own),
            f"/{self._account}{parts.path}",
            *(f"{name.lower()}:{value}" for name, value in sorted(parse_qsl(parts.query, keep_blank_values=True))),
        ]
        signature = hmac.new(self._key, "\n".join(map(str, lines)).encode(), hashlib.sha256).digest()
        request.headers["Authorization"] = f"SharedKey {self._account}:{base64.b64encode(signature).decode()}"
        return request


class SharedAccessSignature(AuthBase):
    """Puts a signature that the account's owner made on each request."""

    def __init__(self, signature: str) -> None:
        self._signature = signature.lstrip("?")

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """Return the request with the signature in its URL."""
        url = request.url or ""
        request.url = f"{url}{'&' if urlsplit(url).query else '?'}{self._signature}"
        return request
