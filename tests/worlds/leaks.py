"""What only its holder may know, searched for where it must not be: secrets and access tokens, by their marks."""

from typing import Final

from dev.emulator import SECRET_MARKER, TOKEN_MARKERS

MARKS: Final = {SECRET_MARKER: "a secret", **dict.fromkeys(TOKEN_MARKERS, "an access token")}


def leaked(text: str) -> str:
    """Return what of it a text holds; nothing, where it holds none."""
    return next((what for mark, what in MARKS.items() if mark in text), "")
