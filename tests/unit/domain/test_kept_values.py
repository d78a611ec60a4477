"""Values of which a newer version may have more, and checks of whether this service can do its work."""

import pytest

from provisioning.domain.errors import ProvisioningError
from provisioning.domain.operation import OperationStatus
from provisioning.domain.readiness import Check, Dependency, State, is_ready


def test_a_value_of_a_newer_version_is_kept_and_is_none_that_this_one_knows() -> None:
    kept = OperationStatus("of-a-newer-version")
    assert (kept, kept.value, kept.known) == ("of-a-newer-version", "of-a-newer-version", False)
    assert kept not in list(OperationStatus)
    assert OperationStatus("pending") is OperationStatus.PENDING
    assert OperationStatus.PENDING.known
    with pytest.raises(ValueError, match="1 is not a valid OperationStatus"):
        OperationStatus(1)  # type: ignore[arg-type]


CHECK = Check(Dependency.VAULT, "read secrets")
LACKING = Check(Dependency.VAULT, "read secrets", State.LACKING, "code", "message", "remedy")
WARNING = Check(Dependency.VAULT, "read secrets", State.WARNING, "code", "message", "remedy")


def test_a_check_says_what_is_lacking_and_what_should_be_otherwise() -> None:
    assert CHECK.lacking(ProvisioningError("code", "message", remedy="remedy")) == LACKING
    assert CHECK.lacks("code", "message", "remedy") == LACKING
    assert CHECK.warned("code", "message", "remedy") == WARNING


@pytest.mark.parametrize(
    ("checks", "ready"), [((), True), ((CHECK, WARNING), True), ((CHECK, LACKING), False), ((LACKING,), False)]
)
def test_a_service_is_ready_where_nothing_is_lacking(checks: tuple[Check, ...], *, ready: bool) -> None:
    assert is_ready(checks) is ready
