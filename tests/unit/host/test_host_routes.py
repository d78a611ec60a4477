import json
from typing import Any

import azure.functions as func
import pytest
from azure.functions.meta import Datum

from dev.host.functions import Function, index
from dev.host.routes import Gateway, Request, Response
from dev.host.settings import HostError

KEY = "the key of this test"


def answering(req: func.HttpRequest) -> func.HttpResponse:
    return func.HttpResponse(status_code=200)


def app_with(*routes: dict[str, Any], level: func.AuthLevel = func.AuthLevel.ANONYMOUS) -> list[Function]:
    app = func.FunctionApp(http_auth_level=level)
    for number, route in enumerate(routes):
        app.function_name(f"f{number}")(app.route(trigger_arg_name="req", **route)(answering))
    return index(app)


class Served:
    """A gateway, and what it called."""

    def __init__(self, functions: list[Function], *, key: str | None = None, result: Datum | None = None) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.fired: list[tuple[str, Any]] = []
        self._result = result
        self._gateway = Gateway(functions, prefix="api", key=key, call=self._call, fire=self._fire)

    def _call(self, function: Function, datum: Datum) -> Datum | None:
        self.calls.append((function.name, datum.value))
        return self._result

    def _fire(self, function: Function, given: object) -> None:
        self.fired.append((function.name, given))

    def ask(self, method: str, target: str, body: bytes = b"", **headers: str) -> Response:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self._gateway.answer(Request(method, target, named, body))

    def called(self, method: str, target: str) -> tuple[str, dict[str, str]] | None:
        """The function that a request reached and its route parameters."""
        self.calls.clear()
        self.ask(method, target)
        if not self.calls:
            return None
        name, value = self.calls[0]
        return name, {parameter: found.value for parameter, found in value["params"].items()}


def test_a_route_parameter_stands_for_one_segment_that_is_not_empty() -> None:
    served = Served(app_with({"route": "things/{id}"}))
    assert served.called("GET", "/api/things/1") == ("f0", {"id": "1"})
    assert served.called("GET", "/api/things/1/") == ("f0", {"id": "1"})
    assert served.called("GET", "/api/things/") is None
    assert served.called("GET", "/api/things") is None
    assert served.called("GET", "/api/things/1/more") is None
    assert served.called("GET", "/things/1") is None


def test_literals_are_matched_without_regard_to_case_and_parameters_keep_theirs() -> None:
    assert Served(app_with({"route": "things/{id}"})).called("GET", "/API/Things/Ab") == ("f0", {"id": "Ab"})


def test_a_parameter_is_decoded_but_for_a_slash() -> None:
    served = Served(app_with({"route": "things/{id}"}))
    assert served.called("GET", "/api/things/a%20b%2Fc%C3%A9") == ("f0", {"id": "a b%2Fcé"})


def test_a_literal_wins_over_a_parameter_and_a_parameter_over_a_catch_all() -> None:
    served = Served(app_with({"route": "{*rest}"}, {"route": "things/{id}"}, {"route": "things/new"}))
    assert served.called("GET", "/api/things/new") == ("f2", {})
    assert served.called("GET", "/api/things/1") == ("f1", {"id": "1"})
    assert served.called("GET", "/api/other/1/2") == ("f0", {"rest": "other/1/2"})


def test_an_optional_parameter_may_be_left_out() -> None:
    served = Served(app_with({"route": "things/{id?}"}))
    assert served.called("GET", "/api/things") == ("f0", {})
    assert served.called("GET", "/api/things/1") == ("f0", {"id": "1"})


def test_a_constraint_is_kept() -> None:
    served = Served(app_with({"route": "things/{id:int}"}, {"route": "things/{name:alpha}"}))
    assert served.called("GET", "/api/things/12") == ("f0", {"id": "12"})
    assert served.called("GET", "/api/things/ab") == ("f1", {"name": "ab"})
    assert served.called("GET", "/api/things/a1") is None


@pytest.mark.parametrize("route", ["things/{id:datetime}", "things/a{id}", "things/{id", "things/{id=1}"])
def test_a_route_that_cannot_be_served_is_refused(route: str) -> None:
    with pytest.raises(HostError, match="function f0"):
        Served(app_with({"route": route}))


def test_functions_of_one_route_share_it_by_method() -> None:
    served = Served(app_with({"route": "things", "methods": ["GET"]}, {"route": "things", "methods": ["POST"]}))
    assert served.called("GET", "/api/things") == ("f0", {})
    assert served.called("POST", "/api/things") == ("f1", {})


@pytest.mark.parametrize("method", ["DELETE", "HEAD", "OPTIONS"])
def test_a_method_that_no_function_takes_is_404_as_in_the_real_host(method: str) -> None:
    served = Served(app_with({"route": "things", "methods": ["GET"]}))
    assert served.ask(method, "/api/things").status == 404
    assert not served.calls


def test_a_function_without_route_and_methods_answers_to_its_name_and_to_every_method() -> None:
    served = Served(app_with({}))
    for method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"):
        assert served.called(method, "/api/f0") == ("f0", {})


def test_a_request_is_handed_over_whole() -> None:
    served = Served(app_with({"route": "things"}))
    served.ask("POST", "/api/things?a=1&a=2&b=&c=%26", b"\x00body", host="localhost:1", x_one="1")
    value = served.calls[0][1]
    assert value["method"].value == "POST"
    assert value["url"].value == "http://localhost:1/api/things?a=1&a=2&b=&c=%26"
    assert {name: found.value for name, found in value["query"].items()} == {"a": "1,2", "c": "&"}
    assert value["headers"]["x-one"].value == "1"
    assert (value["body"].type, value["body"].value) == ("bytes", b"\x00body")


@pytest.mark.parametrize("level", [func.AuthLevel.FUNCTION, func.AuthLevel.ADMIN])
def test_a_function_that_asks_for_a_key_is_reached_only_with_it(level: func.AuthLevel) -> None:
    served = Served(app_with({"route": "things"}, level=level), key=KEY)
    assert served.ask("GET", "/api/things").status == 401
    assert served.ask("GET", "/api/things", x_functions_key="another").status == 401
    assert served.ask("GET", "/api/things?code=another").status == 401
    assert served.ask("GET", "/api/things", x_functions_key="\u00e9").status == 401
    assert not served.calls
    assert served.ask("GET", "/api/things", x_functions_key=KEY).status == 204
    assert served.ask("GET", "/api/things?code=the%20key%20of%20this%20test").status == 204


def test_an_anonymous_function_asks_for_no_key() -> None:
    assert Served(app_with({"route": "things"}), key=KEY).ask("GET", "/api/things").status == 204


def test_without_a_key_of_the_host_none_is_asked_for() -> None:
    served = Served(app_with({"route": "things"}, level=func.AuthLevel.FUNCTION))
    assert served.ask("GET", "/api/things").status == 204


def timer_and_queue() -> list[Function]:
    app = func.FunctionApp()

    @app.timer_trigger(arg_name="timer", schedule="0 0 0 * * *")
    def tick(timer: func.TimerRequest) -> None: ...

    @app.queue_trigger(arg_name="message", queue_name="things", connection="AzureWebJobsStorage")
    def work(message: func.QueueMessage) -> None: ...

    @app.route(route="things")
    def things(req: func.HttpRequest) -> str:
        return ""

    return index(app)


@pytest.mark.parametrize(("name", "given"), [("tick", ""), ("work", "a message"), ("WORK", {"a": 1})])
def test_a_timer_and_a_queue_function_can_be_fired_by_hand(name: str, given: object) -> None:
    served = Served(timer_and_queue())
    assert served.ask("POST", f"/admin/functions/{name}", json.dumps({"input": given}).encode()).status == 202
    assert served.fired == [(name.lower(), given)]


@pytest.mark.parametrize(
    ("method", "target", "body", "status"),
    [
        ("POST", "/admin/functions/unknown", b'{"input": ""}', 404),
        ("GET", "/admin/functions/tick", b'{"input": ""}', 404),
        ("POST", "/admin/functions/tick", b"", 400),
        ("POST", "/admin/functions/tick", b"[]", 400),
        ("POST", "/admin/functions/tick", b"{}", 400),
        ("POST", "/admin/functions/things", b'{"input": ""}', 400),
        ("GET", "/admin/other", b"", 404),
        ("GET", "/admin/host/status", b"", 200),
    ],
)
def test_what_else_is_asked_of_the_administration_fires_nothing(
    method: str, target: str, body: bytes, status: int
) -> None:
    served = Served(timer_and_queue())
    assert served.ask(method, target, body).status == status
    assert not served.fired


def test_the_administration_asks_for_the_key() -> None:
    served = Served(timer_and_queue(), key=KEY)
    assert served.ask("POST", "/admin/functions/tick", b'{"input": ""}').status == 401
    assert served.ask("GET", "/admin/host/status").status == 401
    assert not served.fired
    assert served.ask("POST", "/admin/functions/tick", b'{"input": ""}', x_functions_key=KEY).status == 202


def test_a_function_that_raises_is_a_500_without_a_word() -> None:
    def broken(function: Function, datum: Datum) -> Datum | None:
        raise ValueError("not for the caller")

    gateway = Gateway(app_with({"route": "things"}), prefix="api", key=None, call=broken, fire=lambda *_: None)
    assert gateway.answer(Request("GET", "/api/things")) == Response(500)


def test_text_is_an_answer_and_nothing_is_204() -> None:
    functions = app_with({"route": "things"})
    assert Served(functions).ask("GET", "/api/things") == Response(204)
    text = Served(functions, result=Datum("héllo", "string")).ask("GET", "/api/things")
    assert (text.status, text.body) == (200, "héllo".encode())


def test_a_parameter_that_no_segment_satisfies_leaves_the_prefix_alone() -> None:
    served = Served(app_with({"route": "{nothing:maxlength(0)?}"}, {"route": "things"}))
    assert served.called("GET", "/api") == ("f0", {})
    assert served.called("GET", "/api/") == ("f0", {})
    assert served.called("GET", "/api/things") == ("f1", {})
    for path in ("/api/other", "/api//", "/", "/api/things/1"):
        assert served.called("GET", path) is None


def test_other_constraints_are_told_and_not_guessed() -> None:
    for route in ("{x:maxlength(3)}", "{x:length(2)}", "{x:minlength(1)?}"):
        with pytest.raises(HostError, match="does not serve the route segment"):
            Served(app_with({"route": route}))
