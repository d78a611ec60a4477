"""`backup` and `restore`: a copy of the tables in a file, and of that what a rebuild does not bring back.

The file has a row on each line, as JSON; the first line says what it is, and the last how many rows there are, so that
one that was cut short is seen. Nothing that is there is ever written over.
"""

import json
import os
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NoReturn, TextIO

from provisioning.domain.copies import StoredRow, kind_of
from provisioning.domain.errors import RequestRejected, UnreadableRow
from provisioning.domain.registration import Status
from provisioning.operator.desk import Desk
from provisioning.operator.rebuild import patient
from provisioning.operator.shown import time_text

FORMAT: Final = "fhir-registrar-tables-1"
_FOR_THEM_ALONE: Final = 0o600
_COLUMNS: Final = {"registrationId": "ID", "status": "STATUS", "why": "WHY"}


def backup(desk: Desk, typed: Namespace) -> int:
    """Write every row of every table into a new file, which only whoever runs this can read."""
    try:
        descriptor = os.open(typed.file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, _FOR_THEM_ALONE)
    except OSError as error:
        _refuse("backup-not-written", f"The file cannot be made ({error.strerror}): name one that is not there.")
    try:
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            counts = _write(desk, file)
    except BaseException:
        Path(typed.file).unlink()  # half a copy would be taken for one
        raise
    if desk.as_json:
        desk.show_json({"file": typed.file, "rows": counts})
    else:
        desk.say(f"{_text(counts)} are in {typed.file}. It has names and addresses, and no secret.")
    return 0


def _write(desk: Desk, file: TextIO) -> Counter[str]:
    counts, now = Counter[str](), time_text(desk.services.clock.now())
    file.write(json.dumps({"format": FORMAT, "tenant": desk.services.tenant.id, "at": now}) + "\n")
    for row in desk.services.copies.rows():
        file.write(json.dumps({"table": row.table, "row": row.content}) + "\n")
        counts[row.table] += 1
        desk.progress(counts.total(), "rows written")
    file.write(json.dumps({"rows": counts.total()}) + "\n")
    return counts


def restore(desk: Desk, typed: Namespace) -> int:
    """Put back what is gone and nothing else brings back; without --apply say what is in the file.

    1 where a registration is there that was deleted when the copy was made: a person has to look at it.
    """
    wanted = [(kind, row) for row in _read(typed.file, desk.services.tenant.id) if (kind := kind_of(row)) is not None]
    counts, written, undead = Counter(kind for kind, _ in wanted), Counter[str](), list[dict[str, Any]]()
    for number, (kind, row) in enumerate(wanted, 1):
        if kind == "deletedRegistrations":
            undead += _undead(desk, row)
        if typed.apply:
            written[kind] += _put(desk, row)
        desk.progress(number, f"of {len(wanted)} rows done")
    if desk.as_json:
        desk.show_json({"applied": typed.apply, "found": counts, "written": written, "notDeleted": undead})
    else:
        if undead:
            desk.show(undead, _COLUMNS, "")
        done = f"{_text(written)} were put back; the others are there." if typed.apply else "Nothing was written."
        desk.say(f"{_text(counts)} may be put back. {done}{'' if typed.apply else ' --apply does it.'}")
    return 1 if undead else 0


def _put(desk: Desk, row: StoredRow) -> bool:
    try:
        return patient(desk, lambda: desk.services.copies.put(row))
    except ValueError:
        _refuse("backup-unreadable", "The file has a row that no table could hold. Those before it were put back.")


def _text(counts: Counter[str]) -> str:
    return ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "No rows"


def _undead(desk: Desk, row: StoredRow) -> list[dict[str, Any]]:
    """Return the registration where it is deleted in the file, and is not any more."""
    try:
        known = patient(desk, lambda: desk.services.registry.get(row.key))
    except UnreadableRow:
        known = None
    if known is None or known.status is Status.DELETED:
        return []
    why = "it was deleted when the copy was made: DELETE it again, unless somebody recovered it"
    return [{"registrationId": known.id, "status": known.status.value, "why": why}]


def _read(path: str, tenant: str) -> Iterator[StoredRow]:
    """Yield the rows of a file, all of which was looked at before; raise RequestRejected for any other."""
    try:
        first, *lines = Path(path).read_text(encoding="utf-8").splitlines()
        head, rows, last = json.loads(first), [json.loads(line) for line in lines[:-1]], json.loads(lines[-1])
        found = [StoredRow(row["table"], row["row"]) for row in rows]
        whole = head["format"] == FORMAT and last == {"rows": len(found)}
    except (OSError, ValueError, TypeError, KeyError, AttributeError, IndexError, RecursionError):
        _refuse("backup-unreadable", "The file is none that backup wrote.")
    if not whole:
        _refuse("backup-unreadable", "The file is cut short, or of another version.")
    if head["tenant"] != tenant:
        _refuse("backup-of-another", "The file is a copy of what another tenant's service remembered.")
    yield from found


def _refuse(code: str, message: str) -> NoReturn:
    raise RequestRejected(400, code, message)
