"""`python -m dev infra-check`: looks at `infra/` as far as can be without a subscription, and says what is wrong."""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from dev.infra import rules, wiring
from dev.infra.properties import Known, walk
from dev.infra.templates import TemplateError, read

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

FOLDER = Path(__file__).parents[1] / "infra"


def faults(folder: Path = FOLDER) -> Iterator[str]:
    """Everything that is wrong with the templates and the parameter files of a folder."""
    try:
        templates = read(folder)
    except TemplateError as error:
        yield str(error)
        return
    sources = {name: (folder / name).read_text(encoding="utf-8") for name in templates}
    yield from wiring.faults(templates, sources)
    known = Known.load()
    for template in templates.values():
        yield from rules.faults(template)
        for resource in template.resources:
            yield from walk(known, template, resource)
    main = templates["main.bicep"]
    for path in sorted(folder.glob("*.parameters*.json")):
        given = json.loads(path.read_text(encoding="utf-8"))["parameters"]
        yield from (
            f"{path.name}: there is no parameter {name}" for name in sorted(given.keys() - main.parameters.keys())
        )
        yield from (
            f"{path.name}: the parameter {name} is missing" for name in sorted(wiring.required_of(main) - given.keys())
        )


def main(_: argparse.Namespace) -> int:
    """Prints what is wrong; 1 where anything is."""
    found = list(faults())
    print(*(f"infra check: {one}" for one in found), sep="\n", end="\n" if found else "", file=sys.stderr)
    if not found:
        templates = read(FOLDER)
        count = sum(len(each.resources) for each in templates.values())
        versions = {m for n in templates for m in re.findall(r"@(\d{4}-\d\d-\d\d)", (FOLDER / n).read_text("utf-8"))}
        print(f"infra check: {len(templates)} templates, {count} resources, API versions to {max(versions)}")
    return 1 if found else 0
