"""One id for all that one call, or one run by a timer, leads to: the trace id of W3C Trace Context. Pure.

Sources: Trace Context (traceparent: version, trace-id, parent-id, flags; lower case; zeros and version ff are invalid;
of a later version the first four parts are read), CloudEvents' "Distributed Tracing" extension.
"""

import hashlib
import re
import secrets
import uuid
from typing import Final

TRACE_ID: Final = re.compile(r"(?!0{32})[0-9a-f]{32}", re.ASCII)
_PARTS: Final = rf"-({TRACE_ID.pattern})-(?!0{{16}})[0-9a-f]{{16}}-[0-9a-f]{{2}}"
_TRACEPARENT: Final = re.compile(rf"00{_PARTS}|(?!00|ff)[0-9a-f]{{2}}{_PARTS}(?:-[\x21-\x7e]*)?", re.ASCII)


def new_trace_id() -> str:
    """Return a trace id that nobody else has."""
    return uuid.uuid4().hex


def read_traceparent(header: str | None) -> str | None:
    """Return the trace id of a traceparent header; None for what is none."""
    found = _TRACEPARENT.fullmatch(header or "")
    return (found.group(1) or found.group(2)) if found else None


def traceparent(trace_id: str, act: str | None = None) -> str:
    """Return the header that names the trace, not recorded here; the same one for the same act."""
    parent = secrets.token_hex(8) if act is None else hashlib.sha256(act.encode()).hexdigest()[:16]
    return f"00-{trace_id}-{parent}-00"


def as_guid(trace_id: str) -> str:
    """Return the trace id as Microsoft Graph takes one."""
    return str(uuid.UUID(hex=trace_id))
