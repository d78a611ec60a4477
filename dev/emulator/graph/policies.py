"""The tenant's policies on an application as a whole; those on one credential are with the credential."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.emulator.errors import Json, bad_request

if TYPE_CHECKING:
    from dev.emulator.faults import Switches


# The codes are those that microsoft-foundry/foundry-agent-webapp #3 and Azure/azure-dev show, the texts those of
# Azure/azure-cli #30717 and #31212.
_GUIDE = "Refer to the TSG `https://aka.ms/service-management-reference-error` for resolving the error"


def check_policies(switches: Switches, before: Json | None, after: Json) -> None:
    """Refuse what a policy forbids on create, or on a change that brings it in."""
    verb = "Create" if before is None else "Update"
    if switches.service_management_reference_required and not after["serviceManagementReference"]:
        message = f"ServiceManagementReference field is required for {verb}, but is missing in the request."
        raise bad_request(f"{message} {_GUIDE}", code="ServiceTreeValueMissing")
    reference = after["serviceManagementReference"]
    if switches.known_services is not None and reference and reference not in switches.known_services:
        message = (
            f"Invalid value provided for property ServiceManagementReference: Service not found for id {reference}"
        )
        raise bad_request(f"{message} {_GUIDE}", code="ServiceTreeInvalid")
    audience = after["signInAudience"]
    changed = before is None or before["signInAudience"] != audience
    if switches.allowed_audiences is not None and changed and audience not in switches.allowed_audiences:
        raise bad_request(
            "The sign-in audience is not allowed as per assigned policy.", code="SignInAudienceNotAllowedAsPerAppPolicy"
        )
