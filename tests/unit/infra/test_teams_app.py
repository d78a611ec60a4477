"""The package for Microsoft Teams, against the documented rules of its manifest ("App manifest", version 1.19)."""

import io
import json
import re
import struct
import uuid
import zipfile
import zlib
from pathlib import Path
from typing import Any

import pytest

from infra import teams_app
from provisioning.api.chat.verbs import Verb

BOT = "3f6f1c1e-6f0b-4a53-9d0e-5b1f6c8f2a12"
HOST = "func-registrar-1.azurewebsites.net"
REQUIRED = {
    *("$schema", "manifestVersion", "version", "id", "developer", "name", "description", "icons", "accentColor"),
    *("bots", "validDomains"),
}
LONGEST = {"name.short": 30, "name.full": 100, "description.short": 80, "description.full": 4000, "developer.name": 32}
MOST_COMMANDS, LONGEST_TITLE, LONGEST_DESCRIPTION = 10, 32, 128


@pytest.fixture
def files(tmp_path: Path) -> dict[str, bytes]:
    out, said = tmp_path / "teams.zip", list[str]()
    arguments = ["--bot", BOT.upper(), "--host", HOST, "--team", "Contoso", "--out", str(out)]
    assert teams_app.main(arguments, said.append) == 0
    assert said == [f"{out}: to be uploaded in the admin center of Microsoft Teams"]
    with zipfile.ZipFile(io.BytesIO(out.read_bytes())) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


@pytest.fixture
def manifest(files: dict[str, bytes]) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(files["manifest.json"])
    return read


def test_the_manifest_has_what_it_must_have_and_nothing_else(manifest: dict[str, Any]) -> None:
    assert manifest.keys() == REQUIRED
    assert manifest["$schema"].endswith(f"/v{manifest['manifestVersion']}/MicrosoftTeams.schema.json")
    assert uuid.UUID(manifest["id"]) != uuid.UUID(BOT)
    assert re.fullmatch(r"[0-9]+\.[0-9]+\.[0-9]+", manifest["version"])
    assert re.fullmatch(r"#[0-9A-F]{6}", manifest["accentColor"])
    assert manifest["validDomains"] == [HOST]
    for name, longest in LONGEST.items():
        outer, inner = name.split(".")
        assert 0 < len(manifest[outer][inner]) <= longest, name
    assert {each for each in manifest["developer"].values() if each.startswith("https://")} == {
        f"https://{HOST}/api/page/"
    }


def test_the_bot_is_to_be_had_in_a_chat_of_ones_own_alone_and_knows_these_commands(manifest: dict[str, Any]) -> None:
    [bot] = manifest["bots"]
    assert (bot["botId"], bot["scopes"], bot["isNotificationOnly"]) == (BOT, ["personal"], False)
    [commands] = bot["commandLists"]
    titles = [each["title"] for each in commands["commands"]]
    assert set(titles) == set(Verb) - {Verb.LINK, Verb.UNLINK}
    assert len(titles) <= MOST_COMMANDS
    assert all(len(each["title"]) <= LONGEST_TITLE for each in commands["commands"])
    assert all(len(each["description"]) <= LONGEST_DESCRIPTION for each in commands["commands"])


@pytest.mark.parametrize(("name", "width"), [("color", 192), ("outline", 32)])
def test_an_icon_is_a_png_of_its_size_and_the_outline_is_white_on_nothing(
    files: dict[str, bytes], manifest: dict[str, Any], name: str, width: int
) -> None:
    image = files[manifest["icons"][name]]
    assert image.startswith(b"\x89PNG\r\n\x1a\n")
    assert struct.unpack(">II", image[16:24]) == (width, width)
    [start] = [found.start() for found in re.finditer(b"IDAT", image)]
    [length] = struct.unpack(">I", image[start - 4 : start])
    rows = zlib.decompress(image[start + 4 : start + 4 + length])
    assert len(rows) == width * (4 * width + 1)
    pixels = {rows[at : at + 4] for row in range(width) for at in _pixels(row, width)}
    assert len(pixels) == 2
    if name == "outline":
        assert pixels == {b"\xff\xff\xff\xff", b"\0\0\0\0"}


def _pixels(row: int, width: int) -> range:
    begin = row * (4 * width + 1) + 1
    return range(begin, begin + 4 * width, 4)


def test_an_id_that_is_none_makes_no_package(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = tmp_path / "x.zip"
    with pytest.raises(SystemExit):
        teams_app.main(["--bot", "registrar", "--host", HOST, "--team", "Contoso", "--out", str(out)])
    assert "--bot must be a client id" in capsys.readouterr().err
    assert not out.exists()
