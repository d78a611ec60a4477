"""Two callers who ask for different things about what waits for an approval, at the same time."""

from functools import partial

from provisioning.api.answers import Answer
from provisioning.domain.operation import OperationStatus
from provisioning.domain.registration import Registration, Status
from tests.faults.overlaps import Overlap
from tests.faults.pasts import WAITING_VALUES, a_change_beside_a_secret, a_waiting_change, an_awaiting_request, subject
from tests.faults.scenarios import ALL_ASKS
from tests.faults.schedules import plays
from tests.worlds.checker import check
from tests.worlds.outside import straight
from tests.worlds.world import World

PASTS = {"request": an_awaiting_request, "change": a_waiting_change, "secret": a_change_beside_a_secret}
REFUSALS = ("nothing-to-decide", "operation-in-progress", "registration-in-progress", "registration-not-active")


@plays(r"(request|change|secret): (\w+) crosses (\w+) at (\d+)")
def cross(past: str, first: str, second: str, call: int) -> str | None:
    """Have one caller stop before that outside call while another is answered, and then go on.

    Return the name of the call; None where the first had been answered before.
    """
    world = PASTS[past]()
    row = subject(world)
    overlap = Overlap(world, [partial(ALL_ASKS[first], world, row.id), partial(ALL_ASKS[second], world, row.id)])
    reached = all(overlap.step(0) for _ in range(call + 1))
    name = overlap.jobs[0].next_call
    overlap.finish(1)
    overlap.finish(0)
    world.outside = straight
    answers = {what: job.result for what, job in zip((first, second), overlap.jobs, strict=True)}
    assert all(isinstance(answer, Answer) for answer in answers.values()), [job.error for job in overlap.jobs]
    world.settle()
    world.reconcile()
    check(world)
    has_crossed({what for what, answer in answers.items() if is_accepted(answer)}, world, world.row(row.id))
    return name if reached else None


def is_accepted(answer: Answer) -> bool:
    """Whether it was accepted; a refusal says why it cannot be now."""
    assert answer.status == 202 or (answer.status == 409 and answer.code in REFUSALS), answer.body
    return answer.status == 202


def has_crossed(accepted: set[str], world: World, row: Registration) -> None:
    """What was accepted has been done, in whatever order; of two decisions one alone was accepted."""
    decisions = accepted & {"approve", "deny"}
    assert accepted, "both were refused"
    assert len(decisions) < 2, "it was decided twice"
    if "delete" in accepted:
        assert row.status is Status.DELETED
        return
    changed = row.request.display_name == WAITING_VALUES["displayName"]
    if row.client_type != "resource":
        assert changed == ("approve" in accepted), "changed, or not, although it was decided otherwise"
    if "approve" in accepted:
        assert (row.status, row.operation.status) == (Status.ACTIVE, OperationStatus.SUCCEEDED)
    if "deny" in accepted:
        assert row.status is (Status.FAILED if row.client_type == "resource" else Status.ACTIVE)
        assert row.was_not_approved or accepted != {"deny"}
    assert world.queue == []
