"""Lists in pages, in order of creation: each item has its place under `#`. What is listed, each service decides."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from dev.emulator.errors import Json, bad_request

if TYPE_CHECKING:
    from collections.abc import Mapping

DEFAULT_PAGE = 100
LARGEST_PAGE = 999


def without_place(item: Json) -> Json:
    """The item as it is shown."""
    return {name: value for name, value in item.items() if name != "#"}


def page(items: list[Json], options: Mapping[str, str], cap: int | None) -> tuple[list[Json], str | None]:
    """One page in order of creation, and where the next one begins. A page cap below $top is Graph's right."""
    try:
        top = int(options.get("$top", DEFAULT_PAGE))
    except ValueError:
        top = 0
    if not 1 <= top <= LARGEST_PAGE:
        raise bad_request(
            "Invalid page size specified. Must be between 1 and 999 inclusive.", code="Request_BadRequest"
        )
    size = min(top, cap or LARGEST_PAGE)
    after = _read_token(options["$skiptoken"]) if "$skiptoken" in options else 0
    rest = sorted((item for item in items if item["#"] > after), key=lambda item: int(item["#"]))
    token = _token(int(rest[size - 1]["#"])) if len(rest) > size else None
    return rest[:size], token


def next_link(url: str, options: Mapping[str, str], token: str) -> str:
    """The address of the next page; it repeats the other options. In the token a plus stands as it is."""
    others = {name: value for name, value in options.items() if name != "$skiptoken"}
    return f"{url}?{urlencode({**others, '$skiptoken': token}, quote_via=quote, safe='$+')}"


def _token(number: int) -> str:
    return f"+{base64.b64encode(f'after:{number}'.encode()).decode().rstrip('=')}"


def _read_token(token: str) -> int:
    try:
        if not token.startswith("+"):
            raise ValueError("the plus is lost")  # noqa: TRY301 -- as bad as any other fault of a token
        padding = "=" * (-len(token[1:]) % 4)
        return int(base64.b64decode(token[1:] + padding, validate=True).decode().removeprefix("after:"))
    except (ValueError, binascii.Error, UnicodeDecodeError):
        raise bad_request("Invalid $skiptoken.", code="Request_BadRequest") from None
