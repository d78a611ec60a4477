"""The four client types. What each may ask for is in `intake.py`."""

from enum import StrEnum


class ClientType(StrEnum):
    """What is being registered."""

    RESOURCE = "resource"
    CONFIDENTIAL = "confidential"
    PUBLIC = "public"
    SERVICE = "service"
