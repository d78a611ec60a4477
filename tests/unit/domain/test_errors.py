"""What an error says of itself: to whoever catches it, and in a line of the log."""

import pytest

from provisioning.domain.errors import (
    AzureRoleDenied,
    CredentialNotFound,
    Fault,
    GrantDenied,
    NameTaken,
    NeedsOperator,
    NotOffered,
    OutcomeUnknown,
    PrincipalNotFound,
    ProvisioningError,
    PublishBoundPassed,
    RequestRejected,
    SettingsError,
    StaleRegistration,
    TryAgain,
    UnreadableRow,
)

FAULT = Fault("#/appRoles/0", "app-role-not-found", "There is none.")


@pytest.mark.parametrize(
    ("error", "code", "family", "remedy"),
    [
        (RequestRejected(409, "not-now", "Not now."), "not-now", RequestRejected, False),
        (TryAgain("throttled", "Wait.", remedy="Wait."), "throttled", TryAgain, True),
        (OutcomeUnknown("unknown", "Nobody knows."), "unknown", TryAgain, False),
        (CredentialNotFound("none", "There is none."), "none", TryAgain, False),
        (PublishBoundPassed(), "publish-bound-passed", TryAgain, True),
        (StaleRegistration(), "registration-changed", TryAgain, True),
        (UnreadableRow(), "registration-unreadable", TryAgain, True),
        (NeedsOperator("denied", "Denied.", remedy="Allow it."), "denied", NeedsOperator, True),
        (GrantDenied("request"), "grant-denied", NeedsOperator, True),
        (AzureRoleDenied(), "azure-role-denied", NeedsOperator, True),
        (PrincipalNotFound(), "principal-not-found", NeedsOperator, True),
        (NotOffered("app-role-not-found", "It has none.", [FAULT]), "app-role-not-found", NeedsOperator, True),
        (NameTaken(StaleRegistration()), "name-taken", ProvisioningError, False),
    ],
    ids=lambda each: each.code if isinstance(each, ProvisioningError) else "",
)
def test_every_error_says_its_code_and_its_message_and_what_is_to_be_done(
    error: ProvisioningError, code: str, family: type[ProvisioningError], *, remedy: bool
) -> None:
    assert isinstance(error, family)
    assert (error.code, str(error), bool(error.remedy)) == (code, f"{code}: {error.message}", remedy)
    assert error.message


def test_what_another_system_says_beside_is_kept_with_the_error() -> None:
    waits = TryAgain("throttled", "Wait.", retry_after=2.5, graph_request_id="request")
    assert (waits.retry_after, waits.graph_request_id) == (2.5, "request")
    assert GrantDenied("request").graph_request_id == "request"
    assert RequestRejected(429, "too-many", "Wait.", retry_after=3).retry_after == 3
    assert NameTaken(waits).otherwise is waits


def test_a_refusal_has_at_most_a_hundred_faults() -> None:
    refused = RequestRejected(400, "invalid-request", "No.", (Fault(f"#/{number}", "x", "y") for number in range(101)))
    assert (len(refused.faults), refused.faults[-1].pointer) == (100, "#/99")


def test_what_is_not_offered_is_told_by_its_first_fault() -> None:
    error = NotOffered("app-role-not-found", "It has none.", [FAULT, Fault("#/appRoles/1", "x", "y")])
    assert error.remedy == "Send a new request. appRoles/0: There is none."
    assert len(error.faults) == 2


def test_wrong_settings_are_named_all_at_once_and_only_who_has_a_key_is_told() -> None:
    for asked in (False, True):
        error = SettingsError(["A: wrong", "B: wrong"], keys_are_asked=asked)
        assert (str(error), error.faults, error.keys_are_asked) == (
            *("Wrong app settings: A: wrong | B: wrong", ("A: wrong", "B: wrong"), asked),
        )
    assert not SettingsError([]).keys_are_asked
