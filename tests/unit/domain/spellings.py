"""What a hostile or careless caller may send for a URI: every spelling that somebody takes for another one."""

from typing import get_args

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from dev.emulator.errors import GraphError
from dev.emulator.graph import uris as entra
from provisioning.domain.uris import Platform

# Of any URIs most are refused by the rule itself, which is what the tests want to see.
thorough = settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.filter_too_much],
)
CLIENT_ID = "0a0a0a0a-0000-4000-8000-000000000001"
EVERY_PLATFORM = get_args(Platform)
ENTRA_PLATFORM = {"web": "web", "spa": "spa", "native": "publicClient"}
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
    *("intranet", "a.example.", "127.1", "2130706433", "0177.0.0.1", "0x7f.0.0.1", "127.0.0.0x7f", "010.0.0.1"),
    *(CLIENT_ID, CLIENT_ID.replace("-", ""), f"{CLIENT_ID}.contoso.example", "app.localhost"),
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
    *("ftp", "ws", "intent", "ms-msdt", "myapp", "msauth", f"msal{CLIENT_ID}", "x-apple.systempreferences"),
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
    st.from_regex(r"([a-z][a-z0-9]{0,20}\.){1,3}[a-z]{2,9}", fullmatch=True),
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
        st.sampled_from(("FHIR.Contoso.Example", "contoso.example", "10.0.0.1", *HOSTS)),
        st.from_regex(r"[a-zA-Z][a-z0-9-]{0,20}[a-z](\.[a-z]{1,9}){1,2}", fullmatch=True),
    ),
    st.sampled_from(("", "", ":443", ":8443", ":08443")),
    st.from_regex(r"(/[A-Za-z0-9_~-]{1,10}){0,3}/?", fullmatch=True),
)


def codes(faults: object) -> list[str]:
    """Name what is wrong, in order."""
    return [fault.code for fault in faults]  # type: ignore[attr-defined]


def refused_by_entra(uri: str, platform: Platform) -> bool:
    try:
        entra.redirect_uri(uri, ENTRA_PLATFORM[platform])
    except GraphError:
        return True
    return False
