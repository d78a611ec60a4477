from base64 import b64encode
from collections.abc import Callable
from typing import Any

import azure.functions as func
import pytest
from azure.functions.meta import Datum

from dev.host.functions import Function, Worker, index
from dev.host.queues import text_datum
from dev.host.routes import Request
from dev.host.settings import Connections, HostError
from dev.storage import connection_string

SETTINGS = {"AzureWebJobsStorage": connection_string(), "QUEUE": "things"}


def refused(build: Callable[[func.FunctionApp], Any]) -> str:
    """The reason for which an app is refused at start."""
    app = func.FunctionApp()
    build(app)
    with pytest.raises(HostError) as caught:
        worker().prepare(index(app))
    return str(caught.value)


def worker() -> Worker:
    return Worker(SETTINGS, Connections(SETTINGS), base64=True)


def http(app: func.FunctionApp) -> Function:
    return index(app)[0]


def request(body: bytes = b"") -> Datum:
    return Request("POST", "/api/things?a=1", {"host": "localhost"}, body).datum({"id": "7"})


def test_the_functions_of_an_app_are_found_with_their_bindings() -> None:
    app = func.FunctionApp()

    @app.route(route="things", methods=["POST"])
    @app.queue_output(arg_name="out", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
    def submit(req: func.HttpRequest, out: func.Out[str], context: func.Context) -> func.HttpResponse:
        return func.HttpResponse()

    @app.queue_trigger(arg_name="message", queue_name="things", connection="AzureWebJobsStorage")
    def work(message: func.QueueMessage) -> None: ...

    found = index(app)
    assert [(one.name, one.kind, one.wants_context) for one in found] == [
        ("submit", "httpTrigger", True),
        ("work", "queueTrigger", False),
    ]
    assert {binding["name"] for binding in found[0].outputs} == {"$return", "out"}


def test_an_app_without_functions_is_refused() -> None:
    assert "no function" in refused(lambda app: None)


def test_two_functions_of_one_name_are_refused() -> None:
    def build(app: func.FunctionApp) -> None:
        for route in ("a", "b"):
            app.function_name("same")(app.route(route=route)(lambda req: ""))

    assert "same" in refused(build)


def test_a_parameter_that_no_binding_names_is_refused() -> None:
    def build(app: func.FunctionApp) -> None:
        @app.timer_trigger(arg_name="timer", schedule="0 0 0 * * *")
        def tick(clock: func.TimerRequest) -> None: ...

    assert "function tick: its parameters are ['clock']" in refused(build)


def test_an_output_of_a_type_that_the_real_worker_refuses_is_refused() -> None:
    def build(app: func.FunctionApp) -> None:
        @app.timer_trigger(arg_name="timer", schedule="0 0 0 * * *")
        @app.queue_output(arg_name="out", queue_name="things", connection="AzureWebJobsStorage")
        def tick(timer: func.TimerRequest, out: func.Out[list[str]]) -> None: ...

    assert "function tick: the real worker refuses the type of out" in refused(build)


def test_a_binding_that_this_host_does_not_serve_is_refused() -> None:
    def build(app: func.FunctionApp) -> None:
        @app.timer_trigger(arg_name="timer", schedule="0 0 0 * * *")
        @app.blob_output(arg_name="out", path="a/b", connection="AzureWebJobsStorage")
        def tick(timer: func.TimerRequest, out: func.Out[str]) -> None: ...

    assert "function tick: this host does not serve the binding out" in refused(build)


def test_a_trigger_that_this_host_does_not_serve_is_refused() -> None:
    def build(app: func.FunctionApp) -> None:
        @app.blob_trigger(arg_name="blob", path="a/b", connection="AzureWebJobsStorage")
        def work(blob: func.InputStream) -> None: ...

    assert "function work" in refused(build)


def test_an_output_to_a_queue_of_a_wrong_name_is_refused() -> None:
    def build(app: func.FunctionApp) -> None:
        @app.timer_trigger(arg_name="timer", schedule="0 0 0 * * *")
        @app.queue_output(arg_name="out", queue_name="Things", connection="AzureWebJobsStorage")
        def tick(timer: func.TimerRequest, out: func.Out[str]) -> None: ...

    assert "function tick: 'Things' is no queue name" in refused(build)


def test_an_output_over_an_unknown_connection_is_refused() -> None:
    def build(app: func.FunctionApp) -> None:
        @app.timer_trigger(arg_name="timer", schedule="0 0 0 * * *")
        @app.queue_output(arg_name="out", queue_name="things", connection="Elsewhere")
        def tick(timer: func.TimerRequest, out: func.Out[str]) -> None: ...

    assert "function tick: the connection Elsewhere is not set" in refused(build)


@pytest.mark.parametrize("count", ["0", "many"])
def test_a_wrong_number_of_threads_is_refused(count: str) -> None:
    with pytest.raises(HostError, match="PYTHON_THREADPOOL_THREAD_COUNT"):
        Worker({"PYTHON_THREADPOOL_THREAD_COUNT": count}, Connections({}), base64=True)


def test_a_function_gets_its_request_and_its_context() -> None:
    app = func.FunctionApp()
    seen: list[Any] = []

    @app.route(route="things/{id}")
    def get(req: func.HttpRequest, context: func.Context) -> func.HttpResponse:
        seen.extend((req.method, req.params["a"], req.route_params["id"], req.get_body(), req.headers["HOST"]))
        local: Any = context.thread_local_storage
        seen.extend((context.function_name, local.invocation_id == context.invocation_id))
        return func.HttpResponse(b"answer", status_code=201, headers={"X-A": "a"}, mimetype="application/json")

    answer = worker().invoke(http(app), request(b"body"))
    assert seen[:5] == ["POST", "1", "7", b"body", "localhost"]
    assert seen[5:7] == ["get", True]
    assert answer is not None
    assert (answer.value["status_code"].value, answer.value["body"].value) == ("201", b"answer")
    assert answer.value["headers"]["content-type"].value == "application/json"


def test_an_async_function_is_awaited() -> None:
    app = func.FunctionApp()

    @app.route(route="things")
    async def get(req: func.HttpRequest) -> str:
        return "answer"

    answer = worker().invoke(http(app), request())
    assert answer is not None
    assert answer.value == "answer"


def test_what_the_library_cannot_encode_is_a_failure() -> None:
    app = func.FunctionApp()

    @app.route(route="things")
    def get(req: func.HttpRequest) -> object:
        return {"a": 1}

    with pytest.raises(NotImplementedError):
        worker().invoke(http(app), request())


def test_a_value_without_a_binding_for_it_is_a_failure() -> None:
    app = func.FunctionApp()

    @app.timer_trigger(arg_name="timer", schedule="0 0 0 * * *")
    def tick(timer: func.TimerRequest) -> object:
        return "nowhere to go"

    with pytest.raises(TypeError, match=r"\$return"):
        worker().invoke(http(app), Datum("{}", "json"))


def test_a_failure_is_logged_with_its_traceback_and_raised(caplog: pytest.LogCaptureFixture) -> None:
    app = func.FunctionApp()

    @app.route(route="things")
    def get(req: func.HttpRequest) -> str:
        raise ValueError("told in the log")

    with pytest.raises(ValueError, match="told in the log"):
        worker().invoke(http(app), request())
    assert "Executed get (Failed" in caplog.text
    assert "ValueError: told in the log" in caplog.text


def test_an_output_that_cannot_be_sent_fails_the_function() -> None:
    app = func.FunctionApp()

    @app.route(route="things")
    @app.queue_output(arg_name="out", queue_name="things", connection="Nowhere")
    def submit(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
        out.set("a message")
        return func.HttpResponse(status_code=202)

    # Nothing listens on port 1.
    settings = {"Nowhere": connection_string({"Queue": 1}), "AzureWebJobsStorage": connection_string()}
    functions = index(app)
    connections = Connections(settings, retries=0)
    sending = Worker(settings, connections, base64=True)
    sending.prepare(functions)
    with pytest.raises(Exception, match="Connection refused"):
        sending.invoke(functions[0], request())


def test_a_base64_message_is_what_the_trigger_expects() -> None:
    assert text_datum(b64encode("é".encode()).decode(), base64=True).value == "é"
    assert text_datum("plain", base64=False).value == "plain"
    with pytest.raises(ValueError, match=r"base64|padding"):
        text_datum("not base64!", base64=True)
