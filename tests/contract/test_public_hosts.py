"""A URL that a caller chose leads to the internet or nowhere: by address, name, redirect, proxy and changing names."""

import ssl
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest
import requests

from provisioning.adapters.public_hosts import addresses_of, is_public_address, public_session
from provisioning.adapters.transport import tls_context
from tests.worlds.https_receiver import Handler, HttpsReceiver, answering

TIMEOUT = 5


@pytest.fixture
def server(tmp_path: Path) -> Iterator[HttpsReceiver]:
    with HttpsReceiver(tmp_path) as running:
        yield running


def trusting(server: HttpsReceiver) -> ssl.SSLContext:
    return tls_context(server.ca_bundle)


class Names:
    """Answers each look-up of a name with the next of some addresses, and with the last ever after."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    def __call__(self, host: str, _port: int) -> Iterable[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


def plays_public(address: str) -> bool:
    """As if the receiver of these tests were on the internet, and another address of this machine were not."""
    return address == "127.0.0.1"


NOT_PUBLIC = {
    "loopback": ["127.0.0.1", "127.8.8.8", "::1"],
    "this host": ["0.0.0.0", "::"],  # noqa: S104 -- to be refused
    "private": ["10.0.0.4", "172.16.0.1", "172.31.255.254", "192.168.1.1", "fc00::1", "fd12:3456::1"],
    "link-local": ["169.254.0.1", "fe80::1", "fe80::1%eth0"],
    "metadata": ["169.254.169.254", "fd00:ec2::254", "168.63.129.16"],
    "shared": ["100.64.0.1"],
    "documentation": ["192.0.2.1", "198.51.100.1", "203.0.113.1", "2001:db8::1"],
    "benchmark and reserved": ["198.18.0.1", "240.0.0.1", "255.255.255.255"],
    "groups": ["224.0.0.1", "239.1.1.1", "ff02::1", "ff0e::1"],
    "IPv4 within IPv6": [
        *("::ffff:127.0.0.1", "::ffff:169.254.169.254", "::ffff:10.0.0.1", "::ffff:168.63.129.16"),
        *("2002:7f00:1::", "2002:a9fe:a9fe::1", "64:ff9b::7f00:1", "64:ff9b::a9fe:a9fe", "64:ff9b::10.0.0.1"),
        *("::127.0.0.1", "::8.8.8.8", "2001:0:7f00:1::1"),
    ],
    "no address": ["", "localhost", "127.1", "0x7f000001", "2130706433", "1.2.3", "::g"],
}


@pytest.mark.parametrize("address", [each for group in NOT_PUBLIC.values() for each in group])
def test_an_address_that_is_not_of_the_internet_is_none(address: str) -> None:
    assert not is_public_address(address)


@pytest.mark.parametrize("address", ["8.8.8.8", "20.42.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8"])
def test_an_address_of_the_internet_is_one(address: str) -> None:
    assert is_public_address(address)


@pytest.mark.parametrize("address", ["127.0.0.1", "10.0.0.4", "169.254.169.254", "168.63.129.16", "::1", "fe80::1"])
def test_a_name_that_leads_to_such_an_address_is_not_connected_to(server: HttpsReceiver, address: str) -> None:
    names = Names([address])
    session = public_session(trusting(server), names)
    with pytest.raises(requests.ConnectionError, match="not public"):
        session.post(server.url, data=b"x", timeout=TIMEOUT)
    assert (names.asked, server.received) == (["localhost"], [])


def test_a_name_of_this_machine_is_not_connected_to_by_the_real_look_up(server: HttpsReceiver) -> None:
    assert set(addresses_of("localhost", 443)) <= {"127.0.0.1", "::1"}
    with pytest.raises(requests.ConnectionError, match="not public"):
        public_session(trusting(server)).post(server.url, data=b"x", timeout=TIMEOUT)
    assert server.received == []


@pytest.mark.parametrize("host", ["127.0.0.1", "[::1]", "169.254.169.254", "10.0.0.4", "2130706433", "0x7f.1", "127.1"])
def test_an_address_in_the_url_itself_is_looked_at_too_however_it_is_written(server: HttpsReceiver, host: str) -> None:
    session = public_session(trusting(server))
    with pytest.raises(requests.RequestException):
        session.post(f"https://{host}:{server.server_address[1]}/", data=b"x", timeout=TIMEOUT)
    assert server.received == []


def test_a_name_with_one_bad_address_among_good_ones_is_not_connected_to(server: HttpsReceiver) -> None:
    for addresses in (["127.0.0.1", "127.0.0.2"], ["127.0.0.2", "127.0.0.1"]):
        session = public_session(trusting(server), Names(addresses), plays_public)
        with pytest.raises(requests.ConnectionError, match="not public"):
            session.post(server.url, data=b"x", timeout=TIMEOUT)
    assert server.received == []


def test_the_address_that_was_looked_at_is_the_one_that_is_connected_to(server: HttpsReceiver) -> None:
    """A name that leads elsewhere from the second look-up on: there is no second one for the same connection."""
    names = Names(["127.0.0.1"], ["127.0.0.2"])
    session = public_session(trusting(server), names, plays_public)
    assert session.post(server.url, data=b"x", timeout=TIMEOUT).status_code == 204
    assert names.asked == ["localhost"]
    session.close()
    with pytest.raises(requests.ConnectionError, match="not public"):
        session.post(server.url, data=b"x", timeout=TIMEOUT)
    assert (len(names.asked), len(server.received)) == (2, 1)


def test_the_certificate_has_to_be_that_of_the_name_and_trusted(server: HttpsReceiver, tmp_path: Path) -> None:
    session = public_session(trusting(server), Names(["127.0.0.1"]), plays_public)
    with pytest.raises(requests.exceptions.SSLError):
        session.post(server.url.replace("localhost", "other.contoso.example"), data=b"x", timeout=TIMEOUT)
    with pytest.raises(requests.exceptions.SSLError):
        public_session(tls_context(None), Names(["127.0.0.1"]), plays_public).post(server.url, timeout=TIMEOUT)
    assert server.received == []
    assert tmp_path.exists()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_is_not_followed(server: HttpsReceiver, status: int) -> None:
    names = Names(["127.0.0.1"])
    server.answer = answering(status, Location="https://169.254.169.254/metadata/instance")
    session = public_session(trusting(server), names, plays_public)
    for follows in (True, False):
        answer = session.post(server.url, data=b"x", timeout=TIMEOUT, allow_redirects=follows)
        assert answer.status_code == status
    assert (set(names.asked), len(server.received)) == ({"localhost"}, 2)


def test_an_answer_that_comes_a_byte_at_a_time_ends_all_the_same(server: HttpsReceiver) -> None:
    def drip(handler: Handler) -> None:
        with suppress(OSError):
            while True:
                handler.wfile.write(b"HTTP/1.1 200 OK\r\nX: y"[:1])
                handler.wfile.flush()
                time.sleep(0.05)

    server.answer = drip
    began = time.monotonic()
    session = public_session(trusting(server), Names(["127.0.0.1"]), plays_public, longest=0.4)
    with pytest.raises(requests.RequestException):
        session.post(server.url, data=b"x", timeout=TIMEOUT)
    assert time.monotonic() - began < TIMEOUT


def test_a_connection_that_is_closed_leaves_nothing_that_waits_for_its_end(server: HttpsReceiver) -> None:
    def waiting() -> int:
        return sum(isinstance(each, threading.Timer) and not each.finished.is_set() for each in threading.enumerate())

    before, session = waiting(), public_session(trusting(server), Names(["127.0.0.1"]), plays_public)
    for _ in range(5):
        with session.post(server.url, data=b"x", timeout=TIMEOUT, headers={"Connection": "close"}) as answer:
            assert answer.status_code == 204
    session.close()
    assert waiting() == before


def test_nothing_but_https_is_asked_for(server: HttpsReceiver) -> None:
    session = public_session(trusting(server), Names(["127.0.0.1"]), plays_public)
    for url in (server.url.replace("https:", "http:"), "file:///etc/passwd", "ftp://localhost/x", "gopher://localhost"):
        with pytest.raises(requests.exceptions.InvalidSchema):
            session.post(url, timeout=TIMEOUT)


def test_no_proxy_looks_a_name_up_in_its_place(server: HttpsReceiver) -> None:
    session = public_session(trusting(server), Names(["10.0.0.4"]))
    with pytest.raises(requests.exceptions.ProxyError):
        session.post(server.url, timeout=TIMEOUT, proxies={"https": f"http://127.0.0.1:{server.server_address[1]}"})
    assert server.received == []


def test_a_name_that_leads_nowhere_is_an_answer_that_did_not_come(server: HttpsReceiver) -> None:
    def nowhere(_host: str, _port: int) -> Iterable[str]:
        raise OSError("Name or service not known")

    for resolve in (nowhere, Names([])):
        with pytest.raises(requests.ConnectionError):
            public_session(trusting(server), resolve).post(server.url, timeout=TIMEOUT)
