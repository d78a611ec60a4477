"""The package by which people of Microsoft Teams find the bot: a manifest and two icons.

    python3 -m infra.teams_app --bot ID --host HOST --team NAME [--privacy URL] [--terms URL] [--out FILE]

ID is the client id of the app's identity (`TEAMS_BOT_ID`), HOST its host name, NAME whose service it is. An
administrator of Teams uploads the file. It needs nothing but Python.

Source: "App manifest" of Microsoft Teams, version 1.19; what it asks for is looked at by the tests.
"""

from __future__ import annotations

import argparse
import io
import json
import struct
import sys
import uuid
import zipfile
import zlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

SCHEMA = "https://developer.microsoft.com/json-schemas/teams/v1.19/MicrosoftTeams.schema.json"
# Raised with each change below, or Teams would keep the package that it has.
VERSION = "1.0.0"
COMMANDS = {
    "list": "Registrations that you may see; list mine, list waiting, list and a part of a name",
    "show": "One registration, by its id",
    "register": "Ask for a new registration, in a form",
    "approve": "What a registration asks for, with a button that agrees to it",
    "deny": "Refuse what a registration asks for, with a reason",
    "rotate": "Replace a secret; the one before works on for a while",
    "help": "All of this",
}
_ACCENT = (0x0F, 0x4C, 0x81)
_COLOR, _OUTLINE = 192, 32
# Both icons are a cross, of so many twelfths of the width.
_ARM, _EDGE = 2, 2
Pixel = tuple[int, int, int, int]


def manifest(bot: str, host: str, team: str, privacy: str, terms: str) -> dict[str, Any]:
    """Returns the manifest; the app has an id of its own, which follows from the bot's."""
    return {
        "$schema": SCHEMA,
        "manifestVersion": "1.19",
        "version": VERSION,
        "id": str(uuid.uuid5(uuid.UUID(bot), "teams")),
        "developer": {
            "name": team,
            "websiteUrl": f"https://{host}/api/page/",
            "privacyUrl": privacy,
            "termsOfUseUrl": terms,
        },
        "name": {"short": "FHIR Registrar", "full": "FHIR Registrar"},
        "description": {
            "short": "Register applications for FHIR servers in Microsoft Entra.",
            "full": "Ask for a registration, see those that are yours, approve or deny what waits for you, and rotate "
            "a secret. Each sees and does what they may by the page. Secrets are in the vault, and in no message.",
        },
        "icons": {"color": "color.png", "outline": "outline.png"},
        "accentColor": "#" + bytes(_ACCENT).hex().upper(),
        "bots": [
            {
                "botId": bot,
                "scopes": ["personal"],
                "supportsFiles": False,
                "isNotificationOnly": False,
                "commandLists": [
                    {
                        "scopes": ["personal"],
                        "commands": [{"title": title, "description": text} for title, text in COMMANDS.items()],
                    }
                ],
            }
        ],
        "validDomains": [host],
    }


def package(content: dict[str, Any]) -> bytes:
    """Returns the zip file: the same bytes for the same manifest."""
    files = {
        "manifest.json": json.dumps(content, indent=2).encode(),
        "color.png": _png(_COLOR, (*_ACCENT, 255), (255, 255, 255, 255)),
        "outline.png": _png(_OUTLINE, (0, 0, 0, 0), (255, 255, 255, 255)),
    }
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, body in files.items():
            archive.writestr(zipfile.ZipInfo(name), body)
    return made.getvalue()


def _png(width: int, ground: Pixel, mark: Pixel) -> bytes:
    """Returns a square image with a cross in it, as PNG: eight bits for each of four colours, no filter."""

    def is_mark(first: int, second: int) -> bool:
        half, arm, edge = width // 2, width * _ARM // 12, width * _EDGE // 12
        return abs(first - half) < arm and edge <= second < width - edge

    rows = b"".join(
        b"\0" + b"".join(bytes(mark if is_mark(x, y) or is_mark(y, x) else ground) for x in range(width))
        for y in range(width)
    )
    header = struct.pack(">IIBBBBB", width, width, 8, 6, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(rows, 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body)) for kind, body in chunks
    )


def main(arguments: Sequence[str], say: Callable[[str], object] = print) -> int:
    """Writes the package, and says where it is."""
    parser = argparse.ArgumentParser(prog="python3 -m infra.teams_app", description=__doc__.partition("\n")[0])
    for name in ("bot", "host", "team"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--privacy")
    parser.add_argument("--terms")
    parser.add_argument("--out", type=Path, default=Path("registrar-teams.zip"))
    given = parser.parse_args(arguments)
    try:
        bot = str(uuid.UUID(given.bot))
    except ValueError:
        parser.error("--bot must be a client id, which is a GUID")
    page = f"https://{given.host}/api/page/"
    content = manifest(bot, given.host, given.team, given.privacy or page, given.terms or page)
    given.out.write_bytes(package(content))
    say(f"{given.out}: to be uploaded in the admin center of Microsoft Teams")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
