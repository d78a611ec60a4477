import pytest

from provisioning.domain.hosts import split


@pytest.mark.parametrize("place", ["[v0.a]", "[v1.example]", "[V1.EXAMPLE]:443", "user@[v1.example]"])
def test_an_address_of_a_version_to_come_is_no_name(place: str) -> None:
    assert split(f"https://{place}/x") is None


@pytest.mark.parametrize("place", ["[::1]", "[2001:db8::1]:443", "a.example", "a.example:8443"])
def test_other_hosts_can_be_read(place: str) -> None:
    assert split(f"https://{place}/x") is not None
