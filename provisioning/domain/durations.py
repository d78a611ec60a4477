"""ISO 8601 durations of days and time: `P180D`, `PT5M`, `P1DT12H`, down to seconds.

Years, months and weeks are refused: a month has no fixed length, and an expiry date should not depend on which one
was meant.
"""

import re
from datetime import timedelta
from typing import Final

_DURATION: Final = re.compile(
    r"P(?=[\dT])(?:(?P<days>\d{1,5})D)?(?:T(?=\d)(?:(?P<hours>\d{1,7})H)?(?:(?P<minutes>\d{1,9})M)?(?:(?P<seconds>\d{1,9})S)?)?",
    re.ASCII,
)

_TOO_LONG: Final = timedelta(days=100_000)


def parse_duration(text: str) -> timedelta:
    """Return the duration that `text` writes; raise ValueError when it is none."""
    match = _DURATION.fullmatch(text)
    if match is None:
        raise ValueError("not an ISO 8601 duration of days and time, such as P180D or PT5M")
    duration = timedelta(**{unit: int(amount) for unit, amount in match.groupdict(default="0").items()})
    if duration >= _TOO_LONG:
        raise ValueError("longer than anything here can last")
    return duration


def format_duration(duration: timedelta) -> str:
    """Return the shortest text that `parse_duration` reads back as the same number of whole seconds."""
    minutes, seconds = divmod(duration.seconds, 60)
    hours, minutes = divmod(minutes, 60)
    time = "".join(f"{amount}{unit}" for amount, unit in ((hours, "H"), (minutes, "M"), (seconds, "S")) if amount)
    days = f"{duration.days}D" if duration.days or not time else ""
    return f"P{days}" + (f"T{time}" if time else "")
