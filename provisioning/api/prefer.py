"""What a caller would prefer, by RFC 7240: of all preferences `wait` is known here.

One that is not known is ignored, as section 2 demands of every server. What was honoured is named by
`Preference-Applied`, so nothing is dropped in silence. A `wait` that is none, by section 4.3, is refused.
"""

import re
from collections.abc import Mapping
from typing import Final

from provisioning.domain.errors import RequestRejected

LONGEST_WAIT: Final = 20
_PREFERENCES: Final = re.compile(r'(?:[^",]|"(?:[^"\\]|\\.)*"?)+')
_SECONDS: Final = re.compile(r'"?([0-9]{1,10})"?', re.ASCII)


def preferred_wait(headers: Mapping[str, str]) -> int | None:
    """Return how many seconds the caller would wait, at most 20; None where it does not say.

    Of several the first counts (RFC 7240, section 2). Raises RequestRejected (400) for a `wait` without whole seconds.
    """
    for preference in _PREFERENCES.findall(headers.get("prefer", "")):
        name, _, value = preference.partition(";")[0].partition("=")
        if name.strip().lower() != "wait":
            continue
        seconds = _SECONDS.fullmatch(value.strip())
        if seconds is None:
            raise RequestRejected(
                400, "invalid-prefer", f"In Prefer, wait is whole seconds, as wait=10; {LONGEST_WAIT} are the most."
            )
        return min(int(seconds[1]), LONGEST_WAIT)
    return None
