"""What is said of a request that is refused."""

import pytest

from provisioning.domain.errors import Fault, RequestRejected
from provisioning.domain.intake import parse


def faults_of(body: object) -> list[Fault]:
    with pytest.raises(RequestRejected) as caught:
        parse(body)
    assert caught.value.status == 400
    assert caught.value.code == "invalid-request"
    return list(caught.value.faults)


def codes_of(body: object) -> list[tuple[str, str]]:
    return [(fault.pointer, fault.code) for fault in faults_of(body)]
