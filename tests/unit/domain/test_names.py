from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from dev.emulator.constants import TENANT_ID
from dev.emulator.graph import uris as entra
from provisioning.domain.names import (
    LONGEST_IDENTIFIER_URI,
    Hold,
    can_name_resource,
    canonical_name,
    compared,
    identifier_uri,
    is_microsofts,
    managed_fhir_service,
    managed_fhir_url,
    normalise_server_url,
    opens_directory_or_azure,
    plain_name,
    server_url_faults,
)
from tests.unit.domain.spellings import any_uris, codes, server_urls, thorough

# --- the FHIR server's URL ------------------------------------------------------------------------------------------

SERVERS = {
    "host": ("https://fhir.contoso.example", "https://fhir.contoso.example"),
    "trailing slash": ("https://fhir.contoso.example/", "https://fhir.contoso.example"),
    "upper case": ("HTTPS://FHIR.Contoso.Example/R4", "https://fhir.contoso.example/R4"),
    "default port": ("https://fhir.contoso.example:443/r4/", "https://fhir.contoso.example/r4"),
    "another port": ("https://fhir.contoso.example:8443", "https://fhir.contoso.example:8443"),
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
    "http on localhost": ("http://localhost:8080", ["uri-host"]),
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
    "leading zero in the port": ("https://fhir.contoso.example:08443", ["uri-host"]),
    "a host of one label": ("https://fhir/r4", ["uri-host"]),
    "localhost": ("https://localhost:44348", ["uri-host"]),
    "trailing dot": ("https://fhir.contoso.example./r4", ["uri-host"]),
    "last label of digits": ("https://fhir.contoso.1", ["uri-host"]),
    "short address": ("https://127.1", ["uri-host"]),
    "address as one number": ("https://2130706433", ["uri-host"]),
    "address in octal": ("https://0177.0.0.1", ["uri-host"]),
    "address in hexadecimal": ("https://0x7f.0.0.1", ["uri-host"]),
    "address that ends in hexadecimal": ("https://127.0.0.0x7f", ["uri-host"]),
    "address with leading zeros": ("https://010.0.0.1", ["uri-host"]),
    "a client id as host": (f"https://{TENANT_ID}", ["uri-client-id"]),
    "a client id in capitals": (f"https://{TENANT_ID.upper()}/", ["uri-client-id"]),
    "a client id without hyphens": (f"https://{TENANT_ID.replace('-', '')}.contoso.example", ["uri-client-id"]),
    "a client id below a domain": (f"https://{TENANT_ID}.contoso.example/r4", ["uri-client-id"]),
    "a client id above one": (f"https://fhir.{TENANT_ID}.example", ["uri-client-id"]),
    "brackets behind a host": ("https://evil.example[v1.abc]", ["uri-ipv6"]),
    "address of the future": ("https://[v1.abc]", ["uri-ipv6"]),
}


@pytest.mark.parametrize(("url", "expected"), REFUSED_SERVERS.values(), ids=REFUSED_SERVERS)
def test_a_server_url_is_refused_by_its_own_rule(url: str, expected: list[str]) -> None:
    assert codes(server_url_faults(url)) == expected


def test_an_ipv6_server_is_refused_because_no_identifier_uri_has_one() -> None:
    assert codes(server_url_faults("https://[2001:db8::1]/fhir")) == ["uri-ipv6"]


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://*.contoso.example/r4?x", ["uri-wildcard", "uri-query", "uri-not-https"]),
        ("https://*.contoso.example/a b", ["uri-wildcard", "uri-character"]),
        (f"http://user@{TENANT_ID}/a//b", ["uri-client-id", "uri-not-https", "uri-credentials", "uri-path"]),
        ("http://[2001:db8::1]/.", ["uri-ipv6", "uri-not-https", "uri-path"]),
        ("https://fhir.contoso.example/*", ["uri-wildcard"]),
        ("https://fhir.contoso.example/é" + 255 * "x", ["uri-character"]),
    ],
)
def test_every_fault_of_a_server_url_is_named_at_once(url: str, expected: list[str]) -> None:
    assert codes(server_url_faults(url)) == expected


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
    assert codes(server_url_faults("https://fhir.contoso.example./r4")) == ["uri-host"]


def test_a_server_url_may_be_as_long_as_its_longest_identifier_uri_allows() -> None:
    longest = "https://fhir.contoso.example/".ljust(255 - len("api://" + TENANT_ID + "/") + len("https://"), "x")
    assert len(identifier_uri(longest, TENANT_ID, ())) == LONGEST_IDENTIFIER_URI == 255
    assert codes(server_url_faults(longest)) == []
    assert codes(server_url_faults(longest + "x")) == ["uri-too-long"]


# --- the identifier URI ---------------------------------------------------------------------------------------------


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


# --- one name for all that Entra compares as equal --------------------------------------------------------------------

CLIENT_ID = "Abcdef01-2345-6789-abcd-ef0123456789"
KELVIN = "\u212a"  # whose lower case is an ASCII letter


@pytest.mark.parametrize(
    ("reference", "plain", "canonical"),
    [
        ("https://Fhir.contoso.example/R4/", "https://fhir.contoso.example/R4", "https://fhir.contoso.example/r4"),
        (" https://a.example ", "https://a.example", "https://a.example"),
        (f"api://{TENANT_ID}/a.example/R4", "https://a.example/R4", "https://a.example/r4"),
        (f"API://{TENANT_ID.upper()}/a.example", "https://a.example", "https://a.example"),
        (f"api://{TENANT_ID}/{CLIENT_ID}", CLIENT_ID.lower(), CLIENT_ID.lower()),
        (f"api://{CLIENT_ID}", CLIENT_ID.lower(), CLIENT_ID.lower()),
        (CLIENT_ID, CLIENT_ID.lower(), CLIENT_ID.lower()),
        (f"urn://{CLIENT_ID}", f"urn://{CLIENT_ID}", f"urn://{CLIENT_ID.lower()}"),
        (f"https://{TENANT_ID}/x.example", f"https://{TENANT_ID}/x.example", f"https://{TENANT_ID}/x.example"),
        ("api://Elsewhere/a.example", "api://Elsewhere/a.example", "api://elsewhere/a.example"),
        (f"https://a.example/K{KELVIN}/", f"https://a.example/K{KELVIN}/", f"https://a.example/K{KELVIN}/"),
        ("https://a.example:443", "https://a.example", "https://a.example"),
        ("https://a.example:0443", "https://a.example", "https://a.example"),
        ("http://A.example/", "http://A.example/", "http://a.example"),
    ],
)
def test_a_resource_has_one_name_however_it_is_written(reference: str, plain: str, canonical: str) -> None:
    assert plain_name(reference, TENANT_ID) == plain
    assert canonical_name(reference, TENANT_ID) == compared(plain) == canonical


def test_a_free_name_is_held_against_all_but_its_last_owner_until_its_time_is_over() -> None:
    until = datetime(2026, 11, 28, tzinfo=UTC)
    hold, before = Hold("last", until), until - timedelta(microseconds=1)
    assert [hold.keeps_out("other", at) for at in (before, until)] == [True, False]
    assert [hold.keeps_out("last", at) for at in (before, until)] == [False, False]


@pytest.mark.parametrize(
    ("url", "verified", "theirs"),
    [
        ("https://ws-svc.fhir.azurehealthcareapis.com", (), True),
        ("https://ws-svc.fhir.azurehealthcareapis.com", ("azurehealthcareapis.com",), True),
        ("https://graph.microsoft.com", (), True),
        ("https://a.vm.azure.com/r4", (), True),
        ("https://contoso.microsoft.com", ("contoso.microsoft.com",), False),
        ("https://vm.westeurope.cloudapp.azure.com", (), False),
        ("https://cloudapp.azure.com", (), False),
        ("https://notcloudapp.azure.com", (), True),
        ("https://fhir.contoso.example", (), False),
        ("https://evilmicrosoft.com", (), False),
        ("no url", (), False),
    ],
)
def test_a_name_on_a_domain_of_microsofts_means_a_service_of_microsoft_unless_the_tenant_has_it(
    url: str, verified: tuple[str, ...], *, theirs: bool
) -> None:
    assert is_microsofts(url, verified) is theirs


@pytest.mark.parametrize(
    ("name", "opens"),
    [
        ("00000003-0000-0000-c000-000000000000", True),
        ("https://graph.microsoft.com", True),
        ("https://vault.azure.net/x", True),
        ("https://mine.vault.azure.net", True),
        ("https://fhir.contoso.example", False),
        ("00000003-0000-0000-c000-000000000001", False),
        ("https://[", False),
        ("urn:x", False),
    ],
)
def test_what_opens_the_directory_or_azure_is_known_by_its_name(name: str, *, opens: bool) -> None:
    assert opens_directory_or_azure(name) is opens


@pytest.mark.parametrize(
    ("reference", "can"),
    [
        (CLIENT_ID, True),
        (f"api://{CLIENT_ID}", True),
        ("urn:fhir:contoso", True),
        ("https://a.example/".ljust(255, "x"), True),
        ("https://a.example/".ljust(256, "x"), False),
        ("https://bücher.example", False),
        ("no uri", False),
        ("", False),
    ],
)
def test_a_resource_of_somebody_elses_goes_by_a_client_id_or_an_identifier_uri(reference: str, *, can: bool) -> None:
    assert can_name_resource(reference) is can


# --- managed FHIR services ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "one_spelling", "service"),
    [
        ("https://ws-svc.fhir.azurehealthcareapis.com", "https://ws-svc.fhir.azurehealthcareapis.com", ("ws", "svc")),
        ("https://ws-svc.fhir.azurehealthcareapis.com/", "https://ws-svc.fhir.azurehealthcareapis.com", ("ws", "svc")),
        (
            "HTTPS://WS1-My-Svc.FHIR.AzureHealthcareAPIs.com:443",
            "https://ws1-my-svc.fhir.azurehealthcareapis.com",
            ("ws1", "my-svc"),
        ),
        ("https://ws-svc.fhir.azurehealthcareapis.us", "https://ws-svc.fhir.azurehealthcareapis.us", ("ws", "svc")),
        ("https://account.azurehealthcareapis.com", "https://account.azurehealthcareapis.com", None),
    ],
    ids=["as the portal shows it", "trailing slash", "case and port", "US government", "Azure API for FHIR"],
)
def test_a_managed_fhir_service_is_known_by_its_url(
    url: str, one_spelling: str, service: tuple[str, str] | None
) -> None:
    assert managed_fhir_url(url) == one_spelling
    assert managed_fhir_service(one_spelling) == service


@pytest.mark.parametrize(
    "url",
    [
        "http://ws-svc.fhir.azurehealthcareapis.com",
        "https://ws-svc.fhir.azurehealthcareapis.com.evil.example",
        "https://evil.example/ws-svc.fhir.azurehealthcareapis.com",
        "https://evil.example/https://ws-svc.fhir.azurehealthcareapis.com",
        "https://ws-svc.fhir.azurehealthcareapis.com@evil.example",
        "https://user@ws-svc.fhir.azurehealthcareapis.com",
        "https://ws-svc.fhir.azurehealthcareapis.com:99999",
        "https://evil.example[v1.fhir.azurehealthcareapis.com]",
        "https://[v1.fhir.azurehealthcareapis.com]",
        "https://ws-svc.fhir.azurehealthcareapis.com\\@evil.example",
        "https://ws-svc.fhir.azurehealthcareapis.com/x https://graph.microsoft.com",
        "https://ws-svc.dicom.azurehealthcareapis.com",
        "https://a.b.azurehealthcareapis.com",
        "https://azurehealthcareapis.com",
        "https://evilazurehealthcareapis.com",
        "https://ws-svc.fhir.azurehealthcareapis.net",
        "https://[ws-svc.fhir.azurehealthcareapis.com",
        "ws-svc.fhir.azurehealthcareapis.com",
        "api://ws-svc.fhir.azurehealthcareapis.com",
        "",
    ],
)
def test_nothing_else_passes_for_a_managed_fhir_service(url: str) -> None:
    assert managed_fhir_url(url) is None


@pytest.mark.parametrize("behind", ["", "/", "/Patient", "/metadata", ":8443"])
def test_whatever_stands_behind_the_host_never_reaches_the_audience_of_a_managed_fhir_service(behind: str) -> None:
    known = managed_fhir_url(f"https://ws-svc.fhir.azurehealthcareapis.com{behind}")
    assert known in (None, "https://ws-svc.fhir.azurehealthcareapis.com")


Judge = Callable[[str], object]


@pytest.mark.parametrize("judge", [managed_fhir_url, lambda url: list(server_url_faults(url))], ids=["managed", "url"])
@thorough
@given(url=any_uris)
def test_no_text_makes_a_judgement_fail(judge: Judge, url: str) -> None:
    judge(url)
