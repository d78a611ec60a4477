"""What has to be told of a registration, and what its events tell: read from rows and from events, each by itself."""

from provisioning.domain.events import Event, EventOutcome, What
from provisioning.domain.operation import OperationStatus
from provisioning.domain.registration import Registration
from provisioning.ports import Registry

Facts = set[tuple[str, str]]

_ENDED = (OperationStatus.SUCCEEDED, OperationStatus.FAILED)


def facts_of(before: Registration | None, after: Registration) -> Facts:
    """Return what somebody must be able to read of a write: an operation began or ended, a secret is another."""
    found: Facts = set()
    was, operation = before.operation if before is not None else None, after.operation
    if was is None or was.id != operation.id:
        found.add(("began", operation.id))
    if operation.status in _ENDED and (was is None or (was.id, was.status) != (operation.id, operation.status)):
        found.add((operation.status.value, operation.id))
    if before is not None and before.status is not after.status:
        found.add(("began" if after.pending else operation.status.value, operation.id))
    key_id = before.secret.key_id if before is not None and before.secret is not None else None
    if after.secret is not None and after.secret.key_id != key_id:
        found.add(("secret", after.secret.key_id))
    return found


def told_by(event: Event) -> Facts:
    """Return what an event tells."""
    told: Facts = {("secret", event.key_id)} if event.key_id is not None else set()
    if event.outcome is EventOutcome.ACCEPTED:
        return {*told, ("began", event.operation_id)}
    if event.what is What.REBUILT:  # what began it is lost
        told.add(("began", event.operation_id))
    return {*told, (event.outcome.value, event.operation_id)}


def check_told(registry: Registry, row: Registration, changes: Facts) -> None:
    """Every change of status, operation or secret has its event; none is missing among those that are numbered."""
    events = registry.events(row.id, top=1000).events
    numbers = [event.n for event in events if event.n.isdecimal()]
    assert sorted(numbers) == [f"{number:06}" for number in range(1, row.events + 1)], "an event is missing"
    told = set().union(*map(told_by, events))
    untold = (facts_of(None, row) | changes) - told
    assert not untold, f"no event tells of {sorted(untold)}"
