"""Which hosts a URL may name, which of them everybody reaches, and where a callback may go."""

import pytest

from provisioning.domain.callbacks import callback_url_faults, host_is_named
from provisioning.domain.hosts import is_host, is_public, names_client_id
from tests.unit.domain.spellings import CLIENT_ID, codes


@pytest.mark.parametrize(
    ("host", "taken"),
    [
        *(
            ("a.example", True),
            ("a_b.example", True),
            ("10.0.0.1", True),
            ("a.xn--p1ai", True),
            ("a.x1", False),
            ("a.b-c", True),
        ),
        *(("example", False), ("", False), ("a.", False), ("a.1", False), ("10.0.1", False), ("256.0.0.1", False)),
        *((".".join(["x" * 61] * 4) + ".abcde", True), (".".join(["x" * 61] * 4) + ".abcdef", False)),
        *(("x" * 63 + ".example", True), ("x" * 64 + ".example", False), ("-a.example", False), ("a-.example", False)),
    ],
)
def test_a_host_is_a_dotted_name_of_253_characters_or_an_address_in_its_one_spelling(host: str, *, taken: bool) -> None:
    assert is_host(host) is taken


@pytest.mark.parametrize(
    ("host", "public"),
    [
        *(("fhir.contoso.example", True), ("8.8.8.8", True), ("localhost.example", True)),
        *(("localhost", False), ("app.localhost", False), ("127.0.0.1", False), ("10.0.0.1", False)),
        *(("169.254.169.254", False), ("192.168.1.1", False), ("0.0.0.0", False)),  # noqa: S104 -- judged
    ],
)
def test_a_host_of_one_machine_or_one_network_is_not_public(host: str, *, public: bool) -> None:
    assert is_public(host) is public


def test_a_label_that_could_be_a_client_id_is_known_with_its_hyphens_and_without() -> None:
    for host in (CLIENT_ID, f"a.{CLIENT_ID.replace('-', '')}.example"):
        assert names_client_id(host)
    assert not names_client_id(f"x{CLIENT_ID}.example")


@pytest.mark.parametrize(
    ("url", "code"),
    [
        *(("https://ci.contoso.example/x?y=z", None), ("https://ci.contoso.example/".ljust(1024, "x"), None)),
        *(("https://ci.contoso.example/".ljust(1025, "x"), "uri-too-long"), ("https://ci.example/ x", "uri-character")),
        *(("https://ci.contoso.example:443/", "uri-host"), ("https://[::1/", "uri-host"), ("https:///x", "uri-host")),
        *(("http://ci.contoso.example/", "uri-not-https"), ("https://a@ci.contoso.example/", "uri-credentials")),
        *(("https://ci.contoso.example/#x", "uri-fragment"), ("https://ci.contoso.example/#", "uri-fragment")),
        *(("https://intranet/", "uri-host"), ("https://10.0.0.1/", "uri-not-public"), ("https://8.8.8.8/", None)),
    ],
)
def test_a_callback_goes_by_https_to_a_host_that_everybody_reaches(url: str, code: str | None) -> None:
    assert codes(callback_url_faults(url)) == ([code] if code else [])


@pytest.mark.parametrize(
    ("host", "named"),
    [
        *(("ci.contoso.example", True), ("a.b.fabrikam.example", True), ("fabrikam.example", False)),
        *(("x.ci.contoso.example", False), ("evilfabrikam.example", False), ("contoso.example", False)),
    ],
)
def test_a_host_is_named_by_itself_or_by_a_domain_that_it_is_below(host: str, *, named: bool) -> None:
    assert host_is_named(f"https://{host}/", ("ci.contoso.example", "*.fabrikam.example")) is named
