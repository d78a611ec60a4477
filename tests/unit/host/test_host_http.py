import socket
import threading
from collections.abc import Iterator
from http.client import HTTPConnection

import pytest

from dev.host.http import LARGEST_BODY, HttpServer
from dev.host.routes import Request, Response
from dev.host.settings import HostError

SEEN: list[Request] = []
LET = threading.Event()


def answer(request: Request) -> Response:
    SEEN.append(request)
    if request.path == "/slow":
        LET.wait(5)
    if request.path == "/broken":
        return Response(200, (("x-a", "1\r\nx-b: 2"),), b"")
    if request.path == "/nothing":
        return Response(204)
    return Response(200, (("X-A", "a"), ("set-cookie", "b"), ("set-cookie", "c"), ("content-length", "99")), b"body")


@pytest.fixture
def server() -> Iterator[HttpServer]:
    SEEN.clear()
    LET.clear()
    running = HttpServer(0, answer)
    running.start()
    yield running
    LET.set()
    running.stop()
    running.drain(5)


@pytest.fixture
def client(server: HttpServer) -> Iterator[HTTPConnection]:
    connection = HTTPConnection("127.0.0.1", server.server_port, timeout=10)
    yield connection
    connection.close()


def spoken(server: HttpServer, text: bytes) -> bytes:
    """What comes back for bytes sent as they are."""
    with socket.create_connection(("127.0.0.1", server.server_port), timeout=10) as connection:
        connection.sendall(text)
        connection.shutdown(socket.SHUT_WR)
        answered = b""
        while received := connection.recv(65536):
            answered += received
    return answered


def test_a_connection_serves_one_request_after_another(client: HTTPConnection) -> None:
    sockets = set()
    for number in range(3):
        client.request("POST", f"/things/{number}", body=b"x" * number)
        response = client.getresponse()
        assert (response.status, response.version, response.read()) == (200, 11, b"body")
        sockets.add(id(client.sock))
    assert len(sockets) == 1
    assert [(one.target, one.body) for one in SEEN] == [("/things/0", b""), ("/things/1", b"x"), ("/things/2", b"xx")]


def test_headers_of_one_name_are_joined_on_the_way_in_and_kept_on_the_way_out(client: HTTPConnection) -> None:
    client.putrequest("GET", "/")
    client.putheader("X-One", "1")
    client.putheader("x-one", "2")
    client.endheaders()
    response = client.getresponse()
    assert response.headers.get_all("set-cookie") == ["b", "c"]
    assert response.headers["x-a"] == "a"
    assert response.headers.get_all("content-length") == ["4"]
    assert SEEN[0].headers["x-one"] == "1,2"


def test_a_body_in_chunks_is_not_handed_over_though_its_header_is(client: HTTPConnection) -> None:
    client.request("POST", "/", body=iter([b"one ", b"two"]), encode_chunked=True)
    client.getresponse().read()
    assert (SEEN[0].body, SEEN[0].headers["transfer-encoding"]) == (b"", "chunked")
    client.request("GET", "/after")
    assert client.getresponse().read() == b"body"


@pytest.mark.parametrize(("method", "status"), [("POST", 411), ("PUT", 411), ("DELETE", 200), ("GET", 200)])
def test_a_request_that_should_say_its_length_must(server: HttpServer, method: str, status: int) -> None:
    answered = spoken(server, f"{method} / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
    assert answered.split()[1] == str(status).encode()


@pytest.mark.parametrize("method", ["QUERY", "TRACE", "PURGE"])
def test_a_method_that_few_know_reaches_the_routes_like_any_other(client: HTTPConnection, method: str) -> None:
    client.request(method, "/")
    client.getresponse().read()
    assert [one.method for one in SEEN] == [method]


def test_an_answer_to_head_has_no_body(client: HTTPConnection) -> None:
    client.request("HEAD", "/")
    response = client.getresponse()
    assert (response.headers["content-length"], response.read()) == ("4", b"")
    client.request("GET", "/")
    assert client.getresponse().read() == b"body"


def test_an_answer_without_content_says_no_length(client: HTTPConnection) -> None:
    client.request("DELETE", "/nothing")
    response = client.getresponse()
    assert (response.status, response.headers["content-length"], response.read()) == (204, None, b"")


def test_a_body_of_a_hundred_megabytes_is_read(client: HTTPConnection) -> None:
    client.request("POST", "/", body=bytes(LARGEST_BODY))
    assert client.getresponse().status == 200
    assert len(SEEN[0].body) == LARGEST_BODY


def test_a_larger_body_is_refused_before_it_is_read(client: HTTPConnection) -> None:
    client.putrequest("POST", "/")
    client.putheader("Content-Length", str(LARGEST_BODY + 1))
    client.endheaders()
    response = client.getresponse()
    assert (response.status, response.headers["connection"]) == (413, "close")
    assert not SEEN


def test_a_client_that_asks_before_it_sends_is_told_to_go_on_or_not(server: HttpServer) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nConnection: close\r\nContent-Length: "
    assert spoken(server, head + b"1\r\n\r\nx").startswith(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 ")
    assert spoken(server, head + b"104857601\r\n\r\n").startswith(b"HTTP/1.1 413 ")
    assert len(SEEN) == 1


@pytest.mark.parametrize(
    "head",
    [
        b"Content-Length: x",
        b"Content-Length: -1",
        b"Content-Length: 1\r\nContent-Length: 2",
        b"Content-Length: 3\r\nTransfer-Encoding: chunked",
        b"Transfer-Encoding: gzip",
    ],
)
def test_a_body_of_doubtful_length_is_refused(server: HttpServer, head: bytes) -> None:
    assert spoken(server, b"POST / HTTP/1.1\r\nHost: a\r\n" + head + b"\r\n\r\nabc").startswith(b"HTTP/1.1 400 ")
    assert not SEEN


@pytest.mark.parametrize("chunks", [b"x\r\nabc\r\n0\r\n\r\n", b"2\r\nabc\r\n0\r\n\r\n", b"7000000\r\n"])
def test_wrong_chunks_are_refused(server: HttpServer, chunks: bytes) -> None:
    head = b"POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert spoken(server, head + chunks).split()[1] in {b"400", b"413"}
    assert not SEEN


def test_a_request_that_breaks_off_calls_nothing(server: HttpServer) -> None:
    assert spoken(server, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nabc") == b""
    assert not SEEN


def test_a_header_with_a_line_break_is_a_500(client: HTTPConnection) -> None:
    client.request("GET", "/broken")
    response = client.getresponse()
    assert (response.status, response.headers["x-b"]) == (500, None)


def test_a_request_that_runs_when_the_server_stops_is_answered(server: HttpServer, client: HTTPConnection) -> None:
    client.request("GET", "/slow")
    while not SEEN:
        LET.wait(0.01)
    server.stop()
    LET.set()
    assert client.getresponse().read() == b"body"
    client.request("GET", "/")
    assert client.getresponse().status == 503
    with pytest.raises(OSError, match="refused"):
        socket.create_connection(("127.0.0.1", server.server_port), timeout=1).close()


def test_a_port_that_is_taken_is_told(server: HttpServer) -> None:
    with pytest.raises(HostError, match=f"port {server.server_port} .* cannot be listened on"):
        HttpServer(server.server_port, answer)
