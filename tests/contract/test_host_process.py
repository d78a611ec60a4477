"""The host as a process of its own: how it starts, stops and is lost."""

import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest
import requests
from azure.storage.queue import QueueServiceClient

from dev.host import HostProcess
from dev.storage import Azurite, StorageError

HOST_JSON = '{"version": "2.0", "extensions": {"queues": {"maxPollingInterval": "00:00:01"}}}'
APP = """
import os
import time
from pathlib import Path

import azure.functions as func

app = func.FunctionApp(http_auth_level=func.AuthLevel.FUNCTION)


@app.route(route="hello")
def hello(req: func.HttpRequest) -> str:
    return os.environ["GREETING"]


@app.route(route="send", methods=["POST"])
@app.queue_output(arg_name="out", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
def send(req: func.HttpRequest, out: func.Out[str]) -> func.HttpResponse:
    out.set(req.get_body().decode())
    return func.HttpResponse(status_code=202)


@app.queue_trigger(arg_name="message", queue_name="%QUEUE%", connection="AzureWebJobsStorage")
def work(message: func.QueueMessage) -> None:
    with Path("seen").open("a") as seen:
        seen.write("begun ")
    time.sleep(float(os.environ["SECONDS"]))
    with Path("seen").open("a") as seen:
        seen.write("ended ")
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "function_app.py").write_text(APP)
    (tmp_path / "host.json").write_text(HOST_JSON)
    (tmp_path / "local.settings.json").write_text('{"Values": {"GREETING": "hello", "SECONDS": "9"}}')
    (tmp_path / "seen").touch()
    return tmp_path


def within(seconds: float, condition: Callable[[], bool]) -> bool:
    end = time.monotonic() + seconds
    while not condition() and time.monotonic() < end:
        time.sleep(0.02)
    return condition()


def environment(storage: str, **more: str) -> dict[str, str]:
    return {"AzureWebJobsStorage": storage, "QUEUE": f"q{uuid.uuid4().hex[:20]}", **more}


def test_it_serves_the_app_of_the_current_folder_with_its_settings_and_key(azurite: str, folder: Path) -> None:
    log = folder / "log"
    with HostProcess(
        environment(azurite), folder=folder, local_settings=True, function_key="the-key", log_file=log
    ) as host:
        assert requests.get(f"{host.origin}/api/hello", timeout=10).status_code == 401
        answer = requests.get(f"{host.origin}/api/hello?code=the-key", timeout=10)
        assert (answer.status_code, answer.text) == (200, "hello")
        assert host.stop() == 0
    assert "Executed hello (Succeeded" in log.read_text()
    assert "the-key" not in log.read_text()


def test_it_lets_a_running_invocation_end_when_asked_to_stop(azurite: str, folder: Path) -> None:
    settings = environment(azurite, SECONDS="1")
    with HostProcess(settings, folder=folder, local_settings=True, log_file=folder / "log") as host:
        requests.post(f"{host.origin}/api/send", data="1", timeout=10)
        assert within(5, lambda: "begun" in (folder / "seen").read_text())
        assert host.stop() == 0
    assert (folder / "seen").read_text() == "begun ended "


def test_the_message_of_a_killed_host_comes_back_after_the_message_lease(azurite: str, folder: Path) -> None:
    settings = environment(azurite)
    with HostProcess(settings, folder=folder, local_settings=True, message_lease=2, log_file=folder / "log") as host:
        requests.post(f"{host.origin}/api/send", data="1", timeout=10)
        assert within(5, lambda: "begun" in (folder / "seen").read_text())
        host.kill()
    killed = time.monotonic()
    with HostProcess(
        settings | {"SECONDS": "0"}, folder=folder, local_settings=True, message_lease=2, log_file=folder / "log"
    ):
        assert within(10, lambda: (folder / "seen").read_text() == "begun begun ended ")
    assert time.monotonic() - killed > 0.5


@pytest.mark.parametrize(
    ("app", "reason"),
    [
        ("import no_such_module", "No module named 'no_such_module'"),
        ("", "one FunctionApp object"),
        (APP.replace('"%QUEUE%"', '"%OTHER%"'), "the setting OTHER is not set"),
        (APP.replace('connection="AzureWebJobsStorage"', 'connection="Other"'), "the connection Other is not set"),
        (APP.replace("def work", "def send"), "send"),
    ],
)
def test_it_does_not_start_with_an_app_that_cannot_be_served_and_says_why(folder: Path, app: str, reason: str) -> None:
    (folder / "function_app.py").write_text(app)
    log = folder / "log"
    host = HostProcess(environment("UseDevelopmentStorage=true"), folder=folder, log_file=log)
    with pytest.raises(RuntimeError, match="did not start"):
        host.start()
    assert reason in log.read_text()
    assert "Fatal" not in log.read_text()


PARENT = """
import sys, time
from pathlib import Path
from dev.host import HostProcess
from dev.storage import Azurite
with Azurite() as storage:
    settings = {"AzureWebJobsStorage": storage.connection_string, "QUEUE": "things"}
    with HostProcess(settings, folder=Path(sys.argv[1]), log_file=Path(sys.argv[1]) / "log") as host:
        print(host.origin, storage.ports["Queue"], flush=True)
        time.sleep(60)
"""


def test_nothing_outlives_a_parent_that_is_killed(folder: Path) -> None:
    root = Path(__file__).parents[2]
    with subprocess.Popen(  # noqa: S603 - its own interpreter
        [sys.executable, "-c", PARENT, str(folder)], cwd=root, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout
        origin, port = parent.stdout.readline().split()
        ends = [f"{origin}/api/hello", f"http://127.0.0.1:{port}/"]
        assert all(answers(end) for end in ends)
        parent.send_signal(signal.SIGKILL)
    assert within(10, lambda: not any(answers(end) for end in ends))


def answers(url: str) -> bool:
    try:
        requests.get(url, timeout=5)
    except requests.ConnectionError:
        return False
    return True


def test_storage_on_a_disk_outlives_its_process(tmp_path: Path) -> None:
    with (
        Azurite(location=tmp_path) as storage,
        QueueServiceClient.from_connection_string(storage.connection_string) as client,
    ):
        client.create_queue("things").close()
    with (
        Azurite(location=tmp_path) as storage,
        QueueServiceClient.from_connection_string(storage.connection_string) as client,
    ):
        assert [queue.name for queue in client.list_queues()] == ["things"]


def test_storage_that_cannot_start_says_why(azurite: str) -> None:
    taken = int(azurite.split("QueueEndpoint=http://127.0.0.1:")[1].split("/", maxsplit=1)[0])
    with (
        pytest.raises(StorageError, match=r"EADDRINUSE|in use"),
        Azurite(ports={"Blob": 0, "Queue": taken, "Table": 0}),
    ):
        pass
