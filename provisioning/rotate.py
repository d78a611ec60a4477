"""Pure: when a secret has to be replaced."""

from datetime import datetime, timedelta

from provisioning.ports import CurrentSecret


def is_due(current: CurrentSecret, now: datetime, rotate_before: timedelta) -> bool:
    """Tell whether the vault's current secret ends within `rotate_before`, or has no end date that says when."""
    return current.expires_at is None or current.expires_at - rotate_before <= now
