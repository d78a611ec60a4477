"""The URL of a FHIR server, its one spelling, and the identifier URI that follows from it."""

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from dev.emulator import uris as entra
from dev.emulator.constants import TENANT_ID
from provisioning.domain.uris import LONGEST_IDENTIFIER_URI, identifier_uri, normalise_server_url, server_url_faults
from tests.unit.domain.awkward_uris import any_uris, codes, server_urls, thorough

SERVERS = {
    "host": ("https://fhir.contoso.example", "https://fhir.contoso.example"),
    "trailing slash": ("https://fhir.contoso.example/", "https://fhir.contoso.example"),
    "upper case": ("HTTPS://FHIR.Contoso.Example/R4", "https://fhir.contoso.example/R4"),
    "default port": ("https://fhir.contoso.example:443/r4/", "https://fhir.contoso.example/r4"),
    "another port": ("https://fhir.contoso.example:8443", "https://fhir.contoso.example:8443"),
    "leading zero in the port": ("https://fhir.contoso.example:08443", "https://fhir.contoso.example:8443"),
    "path": ("https://fhir.contoso.example/a/b-c_d.e~f", "https://fhir.contoso.example/a/b-c_d.e~f"),
    "address": ("https://10.0.0.1/fhir", "https://10.0.0.1/fhir"),
    "punycode": ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example"),
}


@pytest.mark.parametrize(("url", "normal"), SERVERS.values(), ids=SERVERS)
def test_a_server_url_is_accepted_and_has_one_spelling(url: str, normal: str) -> None:
    assert codes(server_url_faults(url)) == []
    assert normalise_server_url(url) == normal


REFUSED_SERVERS = {
    "empty": ("", ["uri-host"]),
    "no scheme": ("fhir.contoso.example", ["uri-host"]),
    "http": ("http://fhir.contoso.example", ["uri-not-https"]),
    "http on localhost": ("http://localhost:8080", ["uri-not-https"]),
    "another scheme": ("ftp://fhir.contoso.example", ["uri-not-https"]),
    "api scheme": ("api://fhir.contoso.example", ["uri-not-https"]),
    "wildcard": ("https://*.contoso.example", ["uri-wildcard"]),
    "query": ("https://fhir.contoso.example/r4?x", ["uri-query"]),
    "empty query": ("https://fhir.contoso.example/r4?", ["uri-query"]),
    "fragment": ("https://fhir.contoso.example/#x", ["uri-query"]),
    "user": ("https://user@fhir.contoso.example", ["uri-credentials"]),
    "space": ("https://fhir.contoso.example/r 4", ["uri-character"]),
    "newline": ("https://fhir.contoso.example\n", ["uri-character"]),
    "backslash": ("https://fhir.contoso.example\\r4", ["uri-character"]),
    "international host": ("https://bücher.example", ["uri-character"]),
    "percent": ("https://fhir.contoso.example/%41", ["uri-path"]),
    "colon in the path": ("https://fhir.contoso.example/a:b", ["uri-path"]),
    "at in the path": ("https://fhir.contoso.example/a@b", ["uri-path"]),
    "dot segment": ("https://fhir.contoso.example/a/../b", ["uri-path"]),
    "single dot": ("https://fhir.contoso.example/.", ["uri-path"]),
    "empty segment": ("https://fhir.contoso.example/a//b", ["uri-path"]),
    "no host": ("https:///r4", ["uri-host"]),
    "port 0": ("https://fhir.contoso.example:0", ["uri-host"]),
    "port 65536": ("https://fhir.contoso.example:65536", ["uri-host"]),
    "brackets behind a host": ("https://evil.example[v1.abc]", ["uri-ipv6"]),
    "address of the future": ("https://[v1.abc]", ["uri-ipv6"]),
}


@pytest.mark.parametrize(("url", "expected"), REFUSED_SERVERS.values(), ids=REFUSED_SERVERS)
def test_a_server_url_is_refused_by_its_own_rule(url: str, expected: list[str]) -> None:
    assert codes(server_url_faults(url)) == expected


def test_an_ipv6_server_is_refused_because_no_identifier_uri_has_one() -> None:
    assert codes(server_url_faults("https://[2001:db8::1]/fhir")) == ["uri-ipv6"]


@thorough
@given(st.one_of(server_urls, server_urls, any_uris))
@example("https://[2001:db8::1]/fhir")
@example("https://[v1.abc]/fhir")
def test_a_server_url_that_is_accepted_is_accepted_in_its_one_spelling_too(url: str) -> None:
    assume(not list(server_url_faults(url)))
    normal = normalise_server_url(url)
    assert codes(server_url_faults(normal)) == []
    assert normalise_server_url(normal) == normal


def test_a_trailing_dot_does_not_make_a_second_server() -> None:
    dotted = "https://fhir.contoso.example./r4"
    refused = bool(list(server_url_faults(dotted)))
    assert refused or normalise_server_url(dotted) == "https://fhir.contoso.example/r4"


def test_a_server_url_may_be_as_long_as_its_longest_identifier_uri_allows() -> None:
    longest = "https://fhir.contoso.example/".ljust(255 - len("api://" + TENANT_ID + "/") + len("https://"), "x")
    assert len(identifier_uri(longest, TENANT_ID, ())) == LONGEST_IDENTIFIER_URI == 255
    assert codes(server_url_faults(longest)) == []
    assert codes(server_url_faults(longest + "x")) == ["uri-too-long"]


@pytest.mark.parametrize(
    ("url", "domains", "expected"),
    [
        ("https://fhir.contoso.example", ["contoso.example"], "https://fhir.contoso.example"),
        ("https://fhir.contoso.example/r4", ["contoso.example"], "https://fhir.contoso.example/r4"),
        ("https://contoso.example/r4", ["contoso.example"], "https://contoso.example/r4"),
        ("https://a.b.contoso.example", ["x.example", "contoso.example"], "https://a.b.contoso.example"),
        ("https://fhir.contoso.example", [], f"api://{TENANT_ID}/fhir.contoso.example"),
        ("https://fhir.azurewebsites.net/r4", ["contoso.example"], f"api://{TENANT_ID}/fhir.azurewebsites.net/r4"),
        ("https://evilcontoso.example", ["contoso.example"], f"api://{TENANT_ID}/evilcontoso.example"),
        ("https://contoso.example.evil", ["contoso.example"], f"api://{TENANT_ID}/contoso.example.evil"),
        ("https://fhir.contoso.example:8443", ["contoso.example"], f"api://{TENANT_ID}/fhir.contoso.example:8443"),
    ],
    ids=[
        "on a verified domain",
        "with a path",
        "the domain itself",
        "a second domain",
        "no domain",
        "a platform's domain",
        "a domain that ends alike",
        "a domain that begins alike",
        "a port",
    ],
)
def test_the_identifier_uri_is_the_url_only_on_a_verified_domain(url: str, domains: list[str], expected: str) -> None:
    assert identifier_uri(url, TENANT_ID, domains) == expected


@thorough
@given(
    st.one_of(server_urls, server_urls, any_uris),
    st.sampled_from([(), ("contoso.example",), ("contoso.example", "b.example")]),
)
def test_entra_accepts_every_identifier_uri_that_follows_from_an_accepted_url(
    url: str, domains: tuple[str, ...]
) -> None:
    assume(not list(server_url_faults(url)))
    uri = identifier_uri(normalise_server_url(url), TENANT_ID, domains)
    policy = entra.UriPolicy(TENANT_ID, frozenset(domains), only_default_uris=False)
    entra.identifier_uri(uri, app_id=None, token_version=1, policy=policy)


@thorough
@given(server_urls, server_urls)
def test_two_servers_never_share_an_identifier_uri(first: str, second: str) -> None:
    assume(not [*server_url_faults(first), *server_url_faults(second)])
    urls = {normalise_server_url(url) for url in (first, second)}
    assert len({identifier_uri(url, TENANT_ID, ["example", "com"]) for url in urls}) == len(urls)
