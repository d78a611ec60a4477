"""The tenant's policies on an application as a whole; those on one credential are with the credential."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.emulator.errors import Json, bad_request

if TYPE_CHECKING:
    from dev.emulator.faults import Switches


def check_policies(switches: Switches, before: Json | None, after: Json) -> None:
    """Refuse what a policy forbids on create, or on a change that brings it in."""
    verb = "Create" if before is None else "Update"
    if switches.service_management_reference_required and not after["serviceManagementReference"]:
        raise bad_request(
            f"ServiceManagementReference field is required for {verb}, but is missing in the request.",
            target="serviceManagementReference",
        )
    audience = after["signInAudience"]
    changed = before is None or before["signInAudience"] != audience
    if switches.allowed_audiences is not None and changed and audience not in switches.allowed_audiences:
        raise bad_request(
            "The sign-in audience is not allowed as per assigned policy.", code="SignInAudienceNotAllowedAsPerAppPolicy"
        )
