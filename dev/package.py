"""`python -m dev package`: builds what is deployed, as Azure's remote build expects it, and says what is in it.

A zip with `host.json` and `requirements.txt` at its root, and sources only: the remote build installs the packages.
Equal sources make an equal file: the names are sorted, the times fixed, and nothing is compressed, because one zlib
compresses unlike another. A bill of what is installed with it lies beside it.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING

from dev.bill import bill_of_materials

if TYPE_CHECKING:
    import argparse

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".local" / "package"
PACKAGE = FOLDER / "fhir-registrar.zip"
BILL = FOLDER / "fhir-registrar.cdx.json"
# The first day that a zip can name, and a plain file that everybody may read.
_TIME = (1980, 1, 1, 0, 0, 0)
_MODE = 0o100644 << 16
_UNIX = 3


def files(root: Path = ROOT) -> list[str]:
    """The files that `.funcignore` leaves of those that are, or are about to be, in the repository."""
    ignored = {*_git_files(root, "--ignored", "--exclude-from=.funcignore")}
    there = _git_files(root, "--exclude-standard")
    return sorted(name for name in there if name not in ignored and (root / name).is_file())


def _git_files(root: Path, *arguments: str) -> list[str]:
    command = ["git", "ls-files", "-z", "--cached", "--others", *arguments]
    ran = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)  # noqa: S603
    return ran.stdout.split("\0")[:-1]


def build(package: Path = PACKAGE, root: Path = ROOT) -> list[str]:
    """Writes the zip, and returns what is in it."""
    package.parent.mkdir(parents=True, exist_ok=True)
    names = files(root)
    with zipfile.ZipFile(package, "w", zipfile.ZIP_STORED) as written:
        for name in names:
            entry = zipfile.ZipInfo(name, _TIME)
            entry.external_attr, entry.create_system = _MODE, _UNIX
            written.writestr(entry, (root / name).read_bytes())
    return names


def main(_: argparse.Namespace) -> int:
    """Builds both files and prints their digests."""
    try:
        names = build()
    except subprocess.CalledProcessError as error:
        print(f"The package could not be built: {error.stderr}", file=sys.stderr)
        return 1
    BILL.write_text(bill_of_materials(ROOT), encoding="utf-8")
    for path, what in ((PACKAGE, f"{len(names)} files"), (BILL, "what is installed with them")):
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        print(f"  {path.relative_to(ROOT)}  {path.stat().st_size:>7} bytes  sha256 {digest}  ({what})")
    return 0
