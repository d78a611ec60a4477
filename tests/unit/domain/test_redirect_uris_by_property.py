"""Of any redirect URI: Entra takes what we accept, and no text makes a judgement fail."""

from typing import Literal

import pytest
from hypothesis import assume, example, given

from dev.emulator.graph import uris as entra
from provisioning.domain.names import server_url_faults
from provisioning.domain.uris import Platform, normalise_redirect_uri, redirect_uri_faults, redirect_uri_list_faults
from tests.unit.domain.spellings import (
    ENTRA_PLATFORM,
    any_uris,
    codes,
    likely_uris,
    plain_uris,
    platforms,
    refused_by_entra,
    thorough,
)
from tests.worlds.request_bodies import MARKER

# Many examples of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover


@thorough
@given(likely_uris, platforms)
@example("https://[2001:db8::1]/cb", "web")
@example("com.example.app:?q", "native")
def test_what_we_accept_entra_accepts_in_the_form_that_we_send(uri: str, platform: Platform) -> None:
    assume(not list(redirect_uri_faults(uri, platform)))
    sent = normalise_redirect_uri(uri)
    assert entra.redirect_uri(sent, ENTRA_PLATFORM[platform]) == sent


# Where we refuse what Entra takes: what RFC 3986 and 6749 forbid, what would hand codes to somebody else, and the
# schemes that anybody may answer to.
STRICTER = {
    "uri-character",
    "uri-host",
    "uri-credentials",
    "uri-unsafe-scheme",
    "uri-scheme",
    "uri-client-id",
    "uri-empty-query",
}


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


@thorough
@given(any_uris, platforms)
def test_no_text_makes_the_judgement_of_a_redirect_uri_fail(
    uri: str, platform: Literal["web", "spa", "native"]
) -> None:
    for fault in redirect_uri_faults(uri, platform):
        assert fault.code.startswith("uri-")
