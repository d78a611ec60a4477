import json
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.host.settings import Connections, HostError, HostOptions, load_local_settings, resolve
from dev.storage import connection_string


def options(folder: Path, queues: dict[str, Any], **more: object) -> HostOptions:
    path = folder / "host.json"
    path.write_text(json.dumps({"version": "2.0", "extensions": {"queues": queues, **more}}))
    return HostOptions.read(path)


def test_host_json_says_how_queues_are_read(tmp_path: Path) -> None:
    given = {
        "batchSize": 4,
        "newBatchThreshold": 2,
        "visibilityTimeout": "1.02:03:04.5",
        "maxDequeueCount": 12,
        "maxPollingInterval": "00:00:02",
        "messageEncoding": "none",
    }
    queues = options(tmp_path, given).queues
    assert (queues.batch_size, queues.new_batch_threshold, queues.max_dequeue_count) == (4, 2, 12)
    assert queues.visibility_timeout == timedelta(days=1, hours=2, minutes=3, seconds=4.5)
    assert queues.max_polling_interval == timedelta(seconds=2)
    assert not queues.base64


def test_what_host_json_leaves_out_is_as_the_real_host_has_it(tmp_path: Path) -> None:
    found = options(tmp_path, {})
    assert found.route_prefix == "api"
    assert (found.queues.batch_size, found.queues.new_batch_threshold, found.queues.max_dequeue_count) == (16, 8, 5)
    assert (found.queues.visibility_timeout, found.queues.base64) == (timedelta(0), True)


def test_the_threshold_follows_the_batch_size_unless_it_is_given(tmp_path: Path) -> None:
    assert options(tmp_path, {"batchSize": 6}).queues.new_batch_threshold == 3


@pytest.mark.parametrize(
    "queues",
    [
        {"batchSize": 33},
        {"batchSize": 0},
        {"batchSize": "4"},
        {"batchSize": True},
        {"maxDequeueCount": 0},
        {"visibilityTimeout": "a minute"},
        {"visibilityTimeout": 60},
        {"messageEncoding": "utf-8"},
    ],
)
def test_a_wrong_queue_setting_is_told_by_name(tmp_path: Path, queues: dict[str, Any]) -> None:
    with pytest.raises(HostError, match=next(iter(queues))):
        options(tmp_path, queues)


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"version": "1.0"}'])
def test_a_host_json_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "host.json").write_text(text)
    with pytest.raises(HostError, match=r"host\.json"):
        HostOptions.read(tmp_path / "host.json")


def test_the_host_json_of_this_repository_is_read() -> None:
    found = HostOptions.read(Path(__file__).parents[3] / "host.json")
    assert (found.queues.batch_size, found.queues.new_batch_threshold, found.queues.max_dequeue_count) == (16, 8, 12)
    assert (found.queues.visibility_timeout, found.queues.max_polling_interval) == (
        timedelta(minutes=1),
        timedelta(milliseconds=250),
    )


def test_the_environment_wins_over_local_settings(tmp_path: Path) -> None:
    path = tmp_path / "local.settings.json"
    path.write_text(json.dumps({"IsEncrypted": False, "Values": {"A": "file", "B": "file"}}))
    environment = {"A": "environment"}
    load_local_settings(path, environment)
    assert environment == {"A": "environment", "B": "file"}


def test_no_local_settings_are_no_error(tmp_path: Path) -> None:
    environment = {"A": "environment"}
    load_local_settings(tmp_path / "local.settings.json", environment)
    assert environment == {"A": "environment"}


@pytest.mark.parametrize("document", [{"IsEncrypted": True, "Values": {}}, {"Values": {"A": 1}}, {"Values": []}])
def test_local_settings_that_cannot_be_used_are_refused(tmp_path: Path, document: dict[str, Any]) -> None:
    path = tmp_path / "local.settings.json"
    path.write_text(json.dumps(document))
    with pytest.raises(HostError, match=r"local\.settings\.json"):
        load_local_settings(path, {})


def test_the_sample_of_local_settings_can_be_used_as_it_is() -> None:
    environment: dict[str, str] = {}
    load_local_settings(Path(__file__).parents[3] / "local.settings.sample.json", environment)
    assert environment["FUNCTIONS_WORKER_RUNTIME"] == "python"
    assert environment["AzureWebJobsStorage"] == "UseDevelopmentStorage=true"


def test_a_setting_in_percent_signs_is_replaced() -> None:
    assert resolve("a-%B%-%C%", {"B": "b", "C": "c"}, "function f") == "a-b-c"


@pytest.mark.parametrize("settings", [{}, {"B": ""}])
def test_a_missing_setting_is_told_with_the_function_that_needs_it(settings: dict[str, str]) -> None:
    with pytest.raises(HostError, match="function f: the setting B is not set"):
        resolve("%B%", settings, "function f")


@pytest.mark.parametrize(
    ("settings", "url"),
    [
        ({"Storage": connection_string()}, "http://127.0.0.1:10001/devstoreaccount1/things"),
        ({"AzureWebJobsStorage": connection_string()}, "http://127.0.0.1:10001/devstoreaccount1/things"),
        ({"Storage": "UseDevelopmentStorage=true"}, "http://127.0.0.1:10001/devstoreaccount1/things"),
        ({"Storage__queueServiceUri": "https://a.queue.example"}, "https://a.queue.example/things"),
        ({"Storage__serviceUri": "https://a.queue.example"}, "https://a.queue.example/things"),
        ({"Storage__accountName": "acc"}, "https://acc.queue.core.windows.net/things"),
        (
            {"Storage__accountName": "acc", "Storage__credential": "managedidentity", "Storage__clientId": "c"},
            "https://acc.queue.core.windows.net/things",
        ),
    ],
)
def test_a_connection_is_a_connection_string_or_one_of_the_identity_based_forms(
    settings: dict[str, str], url: str
) -> None:
    assert Connections(settings).queue("Storage", "things", "function f").url == url


def test_a_binding_without_connection_uses_the_storage_of_the_app() -> None:
    settings = {"AzureWebJobsStorage__queueServiceUri": "https://a.queue.example"}
    assert Connections(settings).queue("", "things", "function f").url == "https://a.queue.example/things"


def test_an_unknown_connection_is_told_by_name() -> None:
    with pytest.raises(HostError, match="function f: the connection Storage is not set"):
        Connections({}).queue("Storage", "things", "function f")


def test_a_malformed_connection_string_is_told_without_its_content() -> None:
    with pytest.raises(HostError, match="connection string Storage is malformed") as caught:
        Connections({"Storage": "AccountKey=abc"}).queue("Storage", "things", "function f")
    assert "abc" not in str(caught.value)


def test_no_line_of_the_log_and_no_error_is_sampled_away() -> None:
    """The page for whoever is on call tells people to find each line; Application Insights would keep some of them.

    Source: "host.json reference for Azure Functions", samplingSettings: what is excluded is always kept.
    """
    logging = json.loads((Path(__file__).parents[3] / "host.json").read_text())["logging"]
    sampling = logging["applicationInsights"]["samplingSettings"]
    assert not sampling["isEnabled"] or {"Exception", "Trace"} <= set(sampling["excludedTypes"].split(";"))
    assert logging["logLevel"]["default"] == "Information"
    assert not any(name.startswith("Function") for name in logging["logLevel"])
