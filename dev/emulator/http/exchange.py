"""One exchange over HTTP, as the handlers see it: call, context, answer; the connection under it is `wire.py`'s."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datetime import datetime

    from werkzeug.wrappers import Request

    from dev.emulator.errors import Json


@dataclass
class Call:
    """One call; status 0 while it is under way, and for ever if its connection broke or hung."""

    operation: str
    method: str
    path: str
    client_request_id: str | None
    at: datetime
    status: int = 0


@dataclass
class Answer:
    """What a handler gives back."""

    status: int
    body: Json | None = None
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Context:
    """What a handler gets: the request, the parts of its path, and what a fault wants of the rules."""

    request: Request
    path: dict[str, str]
    lives: float | None = None  # a write is lost after so many seconds


Handler = Callable[[Context], Answer]


@dataclass(frozen=True)
class Route:
    """One operation at one address."""

    method: str
    rule: str
    operation: str
    handler: Handler
