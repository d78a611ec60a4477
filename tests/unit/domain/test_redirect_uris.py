"""Redirect URIs, one by one and as a list, log-out URLs and issuers: which are accepted, by which rule each is not."""

import pytest

from provisioning.domain.hosts import length
from provisioning.domain.uris import (
    Platform,
    issuer_faults,
    logout_url_faults,
    normalise_redirect_uri,
    redirect_uri_faults,
    redirect_uri_list_faults,
)
from tests.unit.domain.spellings import EVERY_PLATFORM, codes, refused_by_entra


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
        ("native", "msauth://com.example.app/2pwz1Qq%2BsG4rL%2F0uXn7rV3oYt1E%3D"),
        ("spa", "brk-multihub://addin.contoso.example"),
        ("spa", "brk-multihub://localhost:3000"),
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
    "http with one slash": ("http:/app.contoso.example/cb", ["uri-host"]),
    "http without a slash": ("http:localhost", ["uri-host"]),
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
    "empty query": ("https://app.contoso.example/cb?", ["uri-empty-query"]),
    "empty query without a path": ("https://app.contoso.example?", ["uri-empty-query"]),
    "a host of one label": ("https://intranet/cb", ["uri-host"]),
    "trailing dot": ("https://app.contoso.example./cb", ["uri-host"]),
    "last label of digits": ("https://app.contoso.1/cb", ["uri-host"]),
    "short address": ("https://10.1/cb", ["uri-host"]),
    "address as one number": ("https://167772161/cb", ["uri-host"]),
    "address in octal": ("https://012.0.0.1/cb", ["uri-host"]),
    "address in hexadecimal": ("https://0xa.0.0.1/cb", ["uri-host"]),
    "address that ends in hexadecimal": ("https://10.0.0.0x1/cb", ["uri-host"]),
    "leading zero in the port": ("https://app.contoso.example:08443/cb", ["uri-host"]),
    "http on loopback as one number": ("http://2130706433/", ["uri-not-https"]),
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
    [
        *("javascript:alert", "JavaScript:x", "data:text/html", "file:///etc/passwd", "blob:x", "vbscript:x"),
        *("about:blank", "ftp://a.example/", "ws://a.example/", "wss://a.example/", "intent://a/b", "ms-msdt:/id"),
        *("mailto:a", "tel:1", "sms:1", "market://details", "search-ms:query", "ms-officecmd:x", "ms-settings:x"),
        *("steam://run", "myapp://auth", "msauth://auth", "msal://auth", "ms-appx-web://auth", "ms-app://s-1-15-2-1"),
        *("ms-appx-web:///x", "brk-multihub://a.example", "urn:a:b", "urn:ietf:wg:oauth:2.0:oob:auto", "com:x"),
        *("x-apple.systempreferences:x", "com.:x", "com..app:x", "c.app:/x", "com+x.app:/x"),
        "msauth://com.example.app/notahash",
        "msauth://app/2pwz1Qq%2BsG4rL%2F0uXn7rV3oYt1E%3D",
    ],
)
def test_a_scheme_that_anybody_may_answer_to_is_refused_even_natively(uri: str) -> None:
    assert codes(redirect_uri_faults(uri, "native")) == ["uri-unsafe-scheme"]


OWN, ANOTHERS = "0a0a0a0a-0000-4000-8000-000000000001", "0b0b0b0b-0000-4000-8000-000000000002"
OF_ONE_CLIENT = ["msal{}://auth", "ms-appx-web://microsoft.aad.brokerplugin/{}", "MSAL{}://auth"]


@pytest.mark.parametrize("form", OF_ONE_CLIENT)
def test_a_form_that_holds_a_client_id_is_for_the_client_of_that_id_alone(form: str) -> None:
    assert codes(redirect_uri_faults(form.format(OWN), "native", client_id=OWN)) == []
    assert codes(redirect_uri_faults(form.format(OWN.upper()), "native", client_id=OWN)) == []
    assert codes(redirect_uri_faults(form.format(ANOTHERS), "native", client_id=OWN)) == ["uri-client-id"]
    assert codes(redirect_uri_faults(form.format(OWN), "native")) == ["uri-client-id"]
    for platform in ("web", "spa"):
        assert codes(redirect_uri_faults(form.format(OWN), platform, client_id=OWN)) == ["uri-scheme"]


@pytest.mark.parametrize(
    "uri",
    [
        *("brk-multihub://", "brk-multihub://a", "brk-multihub://a.example/x", "brk-multihub://a.example?x"),
        *("brk-multihub:a", "brk-multihub://127.1", "brk-multihub://a.example:0", "brk-multihub:///a.example"),
    ],
)
def test_the_broker_of_office_add_ins_is_named_by_host_and_nothing_else(uri: str) -> None:
    assert set(codes(redirect_uri_faults(uri, "spa"))) <= {"uri-scheme", "uri-host"}
    assert codes(redirect_uri_faults(uri, "spa"))


def test_the_legacy_forms_are_told_where_they_belong() -> None:
    for uri in ("urn:ietf:wg:oauth:2.0:oob", "ms-appx-web://microsoft.aad.brokerplugin/x"):
        for platform in ("web", "spa"):
            [fault] = redirect_uri_faults(uri, platform)
            assert fault.code == "uri-scheme"
            assert "platform native" in fault.message


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


@pytest.mark.parametrize(
    ("uri", "normal"),
    [
        ("HTTPS://App.Contoso.example:8443", "https://app.contoso.example:8443/"),
        ("http://LOCALHOST?A=B", "http://localhost/?A=B"),
        ("https://a.example/CB?x#Y", "https://a.example/CB?x#Y"),
        ("com.Example.app://Auth", "com.Example.app://Auth"),
        ("urn:ietf:wg:oauth:2.0:oob", "urn:ietf:wg:oauth:2.0:oob"),
    ],
)
def test_a_redirect_uri_is_written_as_entra_gives_it_back(uri: str, normal: str) -> None:
    assert normalise_redirect_uri(uri) == normal


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://app.contoso.example/out", []),
        ("HTTPS://app.contoso.example/out", []),
        ("https://localhost/out", []),
        ("http://localhost/out", ["uri-not-https"]),
        ("http://127.0.0.1/out#x", ["uri-fragment"]),
        ("http://app.contoso.example", ["uri-not-https"]),
        ("com.example.app://out", ["uri-scheme"]),
        ("https://app.contoso.example/".ljust(255, "x"), []),
        ("https://app.contoso.example/".ljust(256, "x"), ["uri-too-long"]),
        ("https://app.contoso.example/".ljust(257, "x"), ["uri-too-long"]),
        ("http://localhost/".ljust(256, "x"), ["uri-not-https", "uri-too-long"]),
    ],
)
def test_a_log_out_url_is_called_by_https_and_is_a_character_shorter(url: str, expected: list[str]) -> None:
    faults = list(logout_url_faults(url, "#/logoutUrl"))
    assert codes(faults) == expected
    assert {fault.pointer for fault in faults} <= {"#/logoutUrl"}


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://token.example", []),
        ("https://token.example:8443/Tenant/", []),
        ("https://8.8.8.8/x", []),
        ("https://token.example/".ljust(600, "x"), []),
        ("https://token.example/".ljust(601, "x"), ["uri-too-long"]),
        ("https://*.token.example/", ["uri-wildcard"]),
        ("https://token.example?x", ["uri-query"]),
        ("https://token.example#", ["uri-query"]),
        ("https://token.example/a b", ["uri-character"]),
        ("https://bücher.example?*", ["uri-wildcard", "uri-query", "uri-character"]),
        ("token.example", ["uri-host"]),
        ("https://token", ["uri-host"]),
        ("https://", ["uri-host"]),
        ("https://token.example:0", ["uri-host"]),
        ("https://[::1]", ["uri-host"]),
        ("https://[v1.example]", ["uri-host"]),
        ("https://[::1", ["uri-host"]),
        ("http://token.example", ["uri-not-https"]),
        ("https://localhost", ["uri-not-public"]),
        ("https://10.0.0.1", ["uri-not-public"]),
        ("https://user@token.example", ["uri-credentials"]),
        (
            "ftp://user@localhost/".ljust(601, "x"),
            ["uri-too-long", "uri-not-https", "uri-not-public", "uri-credentials"],
        ),
    ],
)
def test_an_issuer_is_where_entra_fetches_its_keys_and_stands_as_in_the_claim(url: str, expected: list[str]) -> None:
    faults = list(issuer_faults(url, "#/credential/issuer"))
    assert codes(faults) == expected
    assert {fault.pointer for fault in faults} <= {"#/credential/issuer"}
