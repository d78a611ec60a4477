"""The bill of materials of what is deployed: each package that `requirements.txt` pins, with its hashes, as CycloneDX.

It says what the lock says and nothing of this machine, so that equal locks have equal bills. Where two versions are
pinned for different versions of Python, both are named, each with its marker.
"""

from __future__ import annotations

import json
import re
import tomllib
import uuid
from typing import TYPE_CHECKING, Any

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

SPECIFICATION = "1.6"
_HASH = re.compile(r"--hash=sha256:([0-9a-f]{64})")


def bill_of_materials(root: Path) -> str:
    """The bill of the project in a folder, as JSON."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lock = (root / "requirements.txt").read_text(encoding="utf-8")
    components = list(_components(lock))
    name, version = project["name"], project["version"]
    ours = {
        "bom-ref": _purl(name, version),
        "type": "application",
        "name": name,
        "version": version,
        "description": project["description"],
        "licenses": [{"license": {"id": project["license"]}}],
        "purl": _purl(name, version),
    }
    asked = {canonicalize_name(Requirement(text).name) for text in project["dependencies"]}
    bill = {
        "$schema": f"http://cyclonedx.org/schema/bom-{SPECIFICATION}.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": SPECIFICATION,
        "serialNumber": f"urn:uuid:{uuid.uuid5(uuid.NAMESPACE_URL, ours['purl'] + lock)}",
        "version": 1,
        "metadata": {"lifecycles": [{"phase": "pre-build"}], "component": ours},
        "components": components,
        "dependencies": [
            {"ref": ours["bom-ref"], "dependsOn": [one["bom-ref"] for one in components if one["name"] in asked]}
        ],
        # All packages are here; which of them another one brought, the lock does not say.
        "compositions": [
            {"aggregate": "complete", "assemblies": [ours["bom-ref"]]},
            {"aggregate": "incomplete", "dependencies": [ours["bom-ref"]]},
        ],
    }
    return json.dumps(bill, indent=2) + "\n"


def _components(lock: str) -> Iterator[dict[str, Any]]:
    for line in lock.replace("\\\n", " ").splitlines():
        if not line or line.startswith(("#", "-", " ")):
            continue
        pin = Requirement(line.split(" --hash")[0].strip())
        [one] = pin.specifier
        name = canonicalize_name(pin.name)
        marker = [{"name": "python:marker", "value": str(pin.marker)}] if pin.marker else []
        yield {
            "bom-ref": _purl(name, one.version),
            "type": "library",
            "name": name,
            "version": one.version,
            "purl": _purl(name, one.version),
            # A package has a file for each platform; these are the ones that an install may take.
            "externalReferences": [
                {
                    "type": "distribution",
                    "url": _purl(name, one.version),
                    "hashes": [{"alg": "SHA-256", "content": each} for each in _HASH.findall(line)],
                }
            ],
            **({"properties": marker} if marker else {}),
        }


def _purl(name: str, version: str) -> str:
    return f"pkg:pypi/{canonicalize_name(name)}@{version}"
