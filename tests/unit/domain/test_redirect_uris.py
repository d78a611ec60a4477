from collections.abc import Callable
from typing import Literal, get_args

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from dev.emulator.constants import TENANT_ID
from dev.emulator.errors import GraphError
from dev.emulator.graph import uris as entra
from provisioning.domain.uris import (
    LONGEST_IDENTIFIER_URI,
    Platform,
    identifier_uri,
    length,
    managed_fhir_service,
    managed_fhir_url,
    normalise_redirect_uri,
    normalise_server_url,
    redirect_uri_faults,
    redirect_uri_list_faults,
    server_url_faults,
)

thorough = settings(max_examples=300, deadline=None, derandomize=True, database=None)
MARKER = "qzmarkerqz"
ENTRA_PLATFORM = {"web": "web", "spa": "spa", "native": "publicClient"}
EVERY_PLATFORM = get_args(Platform)

# --- what a hostile or careless caller may send ---------------------------------------------------------------------

HOSTS = (
    "app.contoso.example",
    "APP.Contoso.Example",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "127.0.0.1",
    "127.0.0.2",
    "10.0.0.1",
    "999.1.1.1",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[2001:db8::1]",
    "[::ffff:127.0.0.1]",
    "[fe80::1%25eth0]",
    "[v1.abc]",
    "evil.example[v1.abc]",
    "[::1",
    "a..b",
    "-a.example",
    "a_b.example",
    "xn--bcher-kva.example",
    "bücher.example",
    "ｅxample.com",  # noqa: RUF001 -- a full-width letter
    "*.contoso.example",
    "a%2eb.example",
    "x" * 64 + ".example",
    ".".join(["x" * 60] * 5),
    "",
)
SCHEMES = (
    "https",
    "http",
    "HTTPS",
    "Http",
    "com.example.app",
    "COM.Example",
    "urn",
    "javascript",
    "JavaScript",
    "data",
    "file",
    "blob",
    "ms-appx-web",
    "brk-multihub",
    "1http",
    "",
)
AWKWARD = "/a0Z.-_~%!$'(),;*\"<>\\^`{|}\t\r\n\x00\x7f\u00a0 #?@[]:&=+é\ud800😀"
awkward_text = st.text(AWKWARD, max_size=8)
built_uris = st.builds(
    "{}{}{}{}{}{}{}".format,
    st.sampled_from(SCHEMES),
    st.sampled_from(("://", "://", "://", ":", ":/", ":///", "//", "")),
    st.sampled_from(("", "", "", "user@", "user:pw@", "a%40b@", "@")),
    st.sampled_from(HOSTS),
    st.sampled_from(("", "", "", ":443", ":8080", ":080", ":0", ":99999", ":", ":x", ":8080:1", ":-1")),
    st.sampled_from(("", "/", "/cb", "//", "/a/../b", "/CB/", "/%41", "/%4", "/%zz")),
    st.one_of(st.just(""), st.sampled_from(("?", "?a=b", "#", "#x", "?#", "/?*")), awkward_text),
)
any_uris = st.one_of(built_uris, awkward_text, st.text(max_size=30))
plain_uris = st.builds(
    "https://{}{}{}{}".format,
    st.from_regex(r"[a-z][a-z0-9]{0,20}(\.[a-z][a-z0-9]{0,20}){0,3}", fullmatch=True),
    st.sampled_from(("", ":443", ":8443")),
    st.from_regex(r"(/[A-Za-z0-9._~-]{0,10}){0,4}", fullmatch=True),
    st.from_regex(r"(\?[a-z]{1,5}=[A-Za-z0-9._~+&=-]{0,10})?", fullmatch=True),
)
platforms = st.sampled_from(EVERY_PLATFORM)
# Mostly acceptable, so that what is said of accepted URIs is said of many.
likely_uris = st.one_of(
    plain_uris,
    plain_uris,
    st.builds(
        "{}://{}{}{}{}".format,
        st.sampled_from(("https", "https", "HTTPS", "com.Example.app")),
        st.sampled_from(HOSTS),
        st.sampled_from(("", ":443", ":08080")),
        st.from_regex(r"(/[A-Za-z0-9._~-]{0,10}){0,3}", fullmatch=True),
        st.sampled_from(("", "?", "?a=b", "?a=%20")),
    ),
    st.builds("http://{}{}".format, st.sampled_from(("localhost", "127.0.0.1")), st.sampled_from(("", ":1", "/a?b"))),
    st.sampled_from(("com.ex:?q", "com.ex://?q", "com.ex:/a", "com.ex://a", "urn:a:b", "com.ex:///?", "a:b@c")),
    any_uris,
)
server_urls = st.builds(
    "{}://{}{}{}".format,
    st.sampled_from(("https", "https", "HTTPS")),
    st.one_of(
        st.sampled_from(HOSTS[:9]), st.from_regex(r"[a-zA-Z][a-z0-9-]{0,20}[a-z](\.[a-z]{1,9}){0,2}", fullmatch=True)
    ),
    st.sampled_from(("", "", ":443", ":8443", ":08443")),
    st.from_regex(r"(/[A-Za-z0-9_~-]{1,10}){0,3}/?", fullmatch=True),
)


def codes(faults: object) -> list[str]:
    return [fault.code for fault in faults]  # type: ignore[attr-defined]


def refused_by_entra(uri: str, platform: Platform) -> bool:
    try:
        entra.redirect_uri(uri, ENTRA_PLATFORM[platform])
    except GraphError:
        return True
    return False


# --- redirect URIs, by example --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("platform", "uri"),
    [
        ("web", "https://app.contoso.example/cb"),
        ("web", "https://app.contoso.example"),
        ("web", "https://app.contoso.example:8443/cb?tenant=a&x=%20y"),
        ("web", "HTTPS://App.Contoso.Example/CB"),
        ("web", "https://xn--bcher-kva.example/cb"),
        ("web", "https://10.0.0.1/cb"),
        ("web", "http://localhost"),
        ("web", "http://localhost:5000/signin-oidc"),
        ("web", "http://127.0.0.1:5000/"),
        ("web", "https://fhir.contoso.example/AadSmartOnFhirProxy/callback/aHR0cHM6Ly9hcHA_-"),
        ("spa", "https://spa.contoso.example/cb"),
        ("spa", "http://localhost:3000"),
        ("native", "https://app.contoso.example/cb"),
        ("native", "http://127.0.0.1"),
        ("native", "com.example.app://auth"),
        ("native", "com.example.app:/oauth2redirect"),
        ("native", "msauth.com.example.app://auth"),
        ("native", "urn:ietf:wg:oauth:2.0:oob"),
        ("native", "ms-appx-web://microsoft.aad.brokerplugin/0a0a0a0a-0000-4000-8000-000000000001"),
    ],
)
def test_a_redirect_uri_that_entra_documents_is_accepted(platform: Platform, uri: str) -> None:
    assert list(redirect_uri_faults(uri, platform)) == []
    assert not refused_by_entra(uri, platform)


REFUSED_EVERYWHERE = {
    "empty": ("", ["uri-not-absolute"]),
    "no scheme": ("app.contoso.example/cb", ["uri-not-absolute"]),
    "only a path": ("/cb", ["uri-not-absolute"]),
    "scheme relative": ("//app.contoso.example/cb", ["uri-not-absolute"]),
    "scheme with a digit first": ("1http://app.contoso.example", ["uri-not-absolute"]),
    "too long": ("https://app.contoso.example/" + "x" * 229, ["uri-too-long"]),
    "wildcard host": ("https://*.contoso.example/cb", ["uri-wildcard"]),
    "wildcard path": ("https://app.contoso.example/*", ["uri-wildcard"]),
    "fragment": ("https://app.contoso.example/cb#x", ["uri-fragment"]),
    "empty fragment": ("https://app.contoso.example/cb#", ["uri-fragment"]),
    "space": ("https://app.contoso.example/c b", ["uri-character"]),
    "leading space": (" https://app.contoso.example/cb", ["uri-not-absolute"]),
    "tab": ("https://app.contoso\t.example/cb", ["uri-character"]),
    "trailing newline": ("https://app.contoso.example/cb\n", ["uri-character"]),
    "null": ("https://app.contoso.example/\x00", ["uri-character"]),
    "backslash": ("https://app.contoso.example\\@evil.example/", ["uri-character"]),
    "exclamation mark": ("https://app.contoso.example/!", ["uri-character"]),
    "dollar": ("https://app.contoso.example/$", ["uri-character"]),
    "apostrophe": ("https://app.contoso.example/'", ["uri-character"]),
    "parenthesis": ("https://app.contoso.example/(", ["uri-character"]),
    "closing parenthesis": ("https://app.contoso.example/)", ["uri-character"]),
    "comma": ("https://app.contoso.example/,", ["uri-character"]),
    "semicolon": ("https://app.contoso.example/;", ["uri-character"]),
    "international host": ("https://bücher.example/", ["uri-character"]),
    "lone surrogate": ("https://app.contoso.example/\ud800", ["uri-character"]),
    "half a percent escape": ("https://app.contoso.example/%4", ["uri-character"]),
    "percent escape of no digits": ("https://app.contoso.example/%zz", ["uri-character"]),
    "no host": ("https:///cb", ["uri-host"]),
    "one slash": ("https:/app.contoso.example/cb", ["uri-host"]),
    "no slash": ("https:app.contoso.example", ["uri-host"]),
    "empty label": ("https://a..example/", ["uri-host"]),
    "label with a hyphen first": ("https://-a.example/", ["uri-host"]),
    "label of 64": ("https://" + "x" * 64 + ".example/", ["uri-host"]),
    "percent in the host": ("https://a%2eb.example/", ["uri-host"]),
    "port 0": ("https://app.contoso.example:0/", ["uri-host"]),
    "port 65536": ("https://app.contoso.example:65536/", ["uri-host"]),
    "empty port": ("https://app.contoso.example:/", ["uri-host"]),
    "port of letters": ("https://app.contoso.example:x/", ["uri-host"]),
    "open bracket": ("https://[::1/cb", ["uri-host"]),
    "brackets behind a host": ("https://evil.example[v1.abc]/cb", ["uri-ipv6"]),
    "address of the future": ("https://[v1.abc]/cb", ["uri-ipv6"]),
    "user": ("https://user@app.contoso.example/", ["uri-credentials"]),
    "user and password": ("https://user:pw@app.contoso.example/", ["uri-credentials"]),
    "empty user": ("https://@app.contoso.example/", ["uri-credentials"]),
    "host as a user": ("https://app.contoso.example@evil.example/", ["uri-credentials"]),
    "http on a host": ("http://app.contoso.example/cb", ["uri-not-https"]),
    "http on a host that begins with localhost": ("http://localhost.evil.example/", ["uri-not-https"]),
    "http on localhost with a dot": ("http://localhost./", ["uri-not-https"]),
    "http on another loopback address": ("http://127.0.0.2/", ["uri-not-https"]),
    "http on an abbreviated loopback address": ("http://127.1/", ["uri-not-https"]),
    "IPv6 loopback": ("http://[::1]:5000/cb", ["uri-ipv6"]),
    "IPv6 loopback by https": ("https://[::1]/cb", ["uri-ipv6"]),
    "all that a person may get wrong": ("http://u@*.Contoso.example/#x", None),
}


@pytest.mark.parametrize("platform", EVERY_PLATFORM)
@pytest.mark.parametrize(("uri", "expected"), REFUSED_EVERYWHERE.values(), ids=REFUSED_EVERYWHERE)
def test_a_redirect_uri_is_refused_by_its_own_rule_on_every_platform(
    platform: Platform, uri: str, expected: list[str] | None
) -> None:
    expected = expected or ["uri-wildcard", "uri-fragment", "uri-credentials", "uri-not-https"]
    assert codes(redirect_uri_faults(uri, platform)) == expected


@pytest.mark.parametrize("platform", EVERY_PLATFORM)
@pytest.mark.parametrize(
    "host", ["[2001:db8::1]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]", "[fe80::1%25eth0]", "[::]"]
)
def test_no_spelling_of_an_ipv6_host_is_accepted(platform: Platform, host: str) -> None:
    assert codes(redirect_uri_faults(f"https://{host}/cb", platform)) == ["uri-ipv6"]


@pytest.mark.parametrize("platform", ["web", "spa"])
@pytest.mark.parametrize(
    "uri", ["com.example.app://auth", "urn:ietf:wg:oauth:2.0:oob", "ftp://a.example/", "javascript:alert", "data:x"]
)
def test_another_scheme_is_for_the_native_platform_only(platform: Platform, uri: str) -> None:
    assert codes(redirect_uri_faults(uri, platform)) == ["uri-scheme"]


@pytest.mark.parametrize(
    "uri",
    ["javascript:alert", "JavaScript:x", "data:text/html", "file:///etc/passwd", "blob:x", "vbscript:x", "about:blank"],
)
def test_a_scheme_that_a_browser_would_run_is_refused_even_natively(uri: str) -> None:
    assert codes(redirect_uri_faults(uri, "native")) == ["uri-unsafe-scheme"]


@pytest.mark.parametrize(
    "uri", ["com.example.app:", "com.example.app:/", "com.example.app://", "com.example.app:?a", "com.example.app://?a"]
)
def test_something_must_follow_a_custom_scheme(uri: str) -> None:
    assert codes(redirect_uri_faults(uri, "native")) == ["uri-host"]


def test_a_custom_scheme_holds_no_credentials_either() -> None:
    assert codes(redirect_uri_faults("com.example.app://user:pw@auth", "native")) == ["uri-credentials"]


@pytest.mark.parametrize("platform", EVERY_PLATFORM)
def test_256_characters_are_accepted_and_257_are_not(platform: Platform) -> None:
    longest = "https://app.contoso.example/".ljust(256, "x")
    assert codes(redirect_uri_faults(longest, platform)) == []
    assert codes(redirect_uri_faults(longest + "x", platform)) == ["uri-too-long"]


def test_length_counts_as_entra_does() -> None:
    assert [length("a"), length("é"), length("😀"), length("\ud800")] == [1, 1, 2, 1]


def test_each_fault_carries_the_pointer_it_was_asked_with() -> None:
    faults = list(redirect_uri_faults("http://u@*.contoso.example/#x", "web", "/redirectUris/3"))
    assert len(faults) == 4
    assert {fault.pointer for fault in faults} == {"/redirectUris/3"}


# --- redirect URIs, as a list ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("uris", "expected"),
    [
        ([], [("", "too-few-items")]),
        (["https://a.example/"], []),
        ([f"https://a.example/{number}" for number in range(256)], []),
        ([f"https://a.example/{number}" for number in range(257)], [("", "too-many-items")]),
        (["https://a.example/cb", "https://a.example/CB"], []),
        (["https://a.example/cb", "https://a.example/cb"], [("/1", "uri-duplicate")]),
        (["https://a.example", "https://A.Example/"], [("/1", "uri-duplicate")]),
        (["https://a.example:1/", "https://a.example:2/"], []),
        (["http://localhost:1/cb", "http://localhost:2/cb"], [("/1", "uri-differs-by-port")]),
        (["http://localhost/cb", "http://LOCALHOST:80/cb"], [("/1", "uri-differs-by-port")]),
        (["http://127.0.0.1:1/", "http://127.0.0.1:2"], [("/1", "uri-differs-by-port")]),
        (["http://localhost:1/a", "http://localhost:2/b"], []),
        (["http://localhost:1/", "http://127.0.0.1:1/"], []),
        (["http://localhost:1/", "https://localhost:2/"], []),
        (["https://localhost:1/", "https://localhost:2/"], [("/1", "uri-differs-by-port")]),
        (
            ["http://localhost:1/", "http://localhost:2/", "http://localhost:1/", "http://localhost:3/"],
            [("/1", "uri-differs-by-port"), ("/2", "uri-duplicate"), ("/3", "uri-differs-by-port")],
        ),
    ],
    ids=[
        "none",
        "one",
        "256",
        "257",
        "paths differ in case",
        "the same twice",
        "the same by normalisation",
        "ports of a real host",
        "ports of localhost",
        "default port of localhost",
        "ports of 127.0.0.1",
        "localhost with two paths",
        "two loopback names",
        "two schemes",
        "ports of localhost by https",
        "several at once",
    ],
)
def test_a_list_of_redirect_uris_is_judged_as_a_whole(uris: list[str], expected: list[tuple[str, str]]) -> None:
    assert [(fault.pointer, fault.code) for fault in redirect_uri_list_faults(uris)] == expected


# --- redirect URIs, by property -------------------------------------------------------------------------------------


@thorough
@given(likely_uris, platforms)
@example("https://[2001:db8::1]/cb", "web")
@example("com.example.app:?q", "native")
def test_what_we_accept_entra_accepts_in_the_form_that_we_send(uri: str, platform: Platform) -> None:
    assume(not list(redirect_uri_faults(uri, platform)))
    sent = normalise_redirect_uri(uri)
    assert entra.redirect_uri(sent, ENTRA_PLATFORM[platform]) == sent


# Where we refuse what Entra takes: what RFC 3986 and 6749 forbid, what would hand codes to somebody else, and the
# schemes of two products that our clients are not.
STRICTER = {"uri-character", "uri-host", "uri-credentials", "uri-unsafe-scheme", "uri-scheme"}


@thorough
@given(likely_uris, platforms)
def test_what_we_refuse_entra_refuses_too_except_for_reasons_of_our_own(uri: str, platform: Platform) -> None:
    assume(not refused_by_entra(uri, platform))
    assert set(codes(redirect_uri_faults(uri, platform))) <= STRICTER


@thorough
@given(plain_uris, platforms)
def test_a_plain_https_uri_is_accepted_on_every_platform_by_both(uri: str, platform: Platform) -> None:
    assert codes(redirect_uri_faults(uri, platform)) == []
    assert not refused_by_entra(uri, platform)


@thorough
@given(any_uris)
def test_normalising_a_redirect_uri_is_idempotent(uri: str) -> None:
    once = normalise_redirect_uri(uri)
    assert normalise_redirect_uri(once) == once


@thorough
@given(likely_uris, platforms)
def test_a_redirect_uri_stays_acceptable_when_normalised(uri: str, platform: Platform) -> None:
    assume(not list(redirect_uri_faults(uri, platform)))
    assert codes(redirect_uri_faults(normalise_redirect_uri(uri), platform)) in ([], ["uri-too-long"])


@thorough
@given(any_uris, any_uris, platforms)
def test_no_fault_of_a_uri_repeats_it(before: str, after: str, platform: Platform) -> None:
    uri = f"{before}{MARKER}{after}"
    faults = [
        *redirect_uri_faults(uri, platform, "/p"),
        *redirect_uri_list_faults([uri, uri], "/p"),
        *server_url_faults(uri, "/p"),
    ]
    assert faults  # the duplicate at least
    assert MARKER not in repr(faults)


@pytest.mark.parametrize(
    ("uri", "normal"),
    [
        ("HTTPS://App.Contoso.EXAMPLE", "https://app.contoso.example/"),
        ("https://app.contoso.example?x=Y", "https://app.contoso.example/?x=Y"),
        ("https://app.contoso.example/CB", "https://app.contoso.example/CB"),
        ("https://app.contoso.example/cb/", "https://app.contoso.example/cb/"),
        ("https://app.contoso.example:443/cb", "https://app.contoso.example:443/cb"),
        ("com.Example.App://Auth", "com.Example.App://Auth"),
        ("urn:IETF:x", "urn:IETF:x"),
    ],
)
def test_scheme_and_host_are_lowered_and_an_empty_path_is_filled_and_nothing_else(uri: str, normal: str) -> None:
    assert normalise_redirect_uri(uri) == normal


# --- the FHIR server's URL ------------------------------------------------------------------------------------------

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


@thorough
@given(any_uris, platforms)
def test_no_text_makes_the_judgement_of_a_redirect_uri_fail(
    uri: str, platform: Literal["web", "spa", "native"]
) -> None:
    for fault in redirect_uri_faults(uri, platform):
        assert fault.code.startswith("uri-")
