"""A message as the queue keeps it, and the times by which the platform plays."""

from dataclasses import dataclass
from datetime import datetime, timedelta

MAX_DEQUEUE_COUNT = 12
VISIBILITY_TIMEOUT = timedelta(minutes=1)
LEASE = timedelta(minutes=10)
PLANNER_PERIOD = timedelta(minutes=5)
AT_REST = timedelta(hours=1)


@dataclass
class Queued:
    """A message as the queue keeps it."""

    text: str
    visible_at: datetime
    dequeue_count: int = 0
    poison: bool = False
    about_notices: bool = False
