"""What a browser is told with every page of this service: to load and run the service's own files, and nothing else.

Sources: Content Security Policy Level 3, Trusted Types, Fetch (nosniff, Cross-Origin-Resource-Policy), HTML
(Cross-Origin-Opener-Policy), RFC 9110 (entity tags, If-None-Match).
"""

import hashlib
import re
from collections.abc import Mapping
from typing import Final

from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain import patterns

# Text becomes an element by no way: a script that tries is stopped by the browser.
POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; form-action 'none'; "
    "base-uri 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"
)
_HEADERS: Final[Mapping[str, str]] = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    # Kept by the browser, and asked for again each time: files of two versions never meet.
    "Cache-Control": "no-cache",
}
_ENTITY_TAG: Final = re.compile(patterns.ENTITY_TAG)


def in_browser(call: Call, body: str, content_type: str) -> Answer:
    """Return 200 with a file for a browser, or 304 where the browser has this very one."""
    tag = f'"{hashlib.sha256(body.encode()).hexdigest()[:24]}"'
    headers = {**_HEADERS, "ETag": tag}
    if tag in _ENTITY_TAG.findall(call.headers.get("if-none-match", "")):
        return Answer(304, "", content_type, headers)
    return Answer(200, body, content_type, headers)
