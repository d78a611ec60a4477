"""What goes wrong on our side is told as ours, without its text."""

from typing import Any

import pytest

from dev.emulator import Fault
from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.errors import SettingsError, TryAgain
from provisioning.domain.operation import DueEntry
from provisioning.domain.registration import Page, Registration
from tests.unit.api.test_dry_run import DRY_RUN
from tests.worlds.memory import MemoryRegistry
from tests.worlds.request_bodies import MARKER, OWNER, a_resource, a_service_client
from tests.worlds.steps import body_of
from tests.worlds.world import World


class BrokenRegistry(MemoryRegistry):
    """A registry that raises one error, whatever it is asked."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def get(self, registration_id: str) -> Registration | None:
        raise self.error

    def put_due(self, entry: DueEntry) -> None:
        raise self.error

    def find(self, **_query: Any) -> Page:
        raise self.error


def every_answer(world: World) -> list[Answer]:
    call = Call("/api/registrations/x", registration_id=f"00000000-{OWNER}")
    return [
        world.post(a_resource()),
        world.post(a_resource(), key="k"),
        world.call(web.show_registration, call),
        world.call(web.retry_registration, call),
        world.call(web.list_registrations, Call("/api/registrations")),
    ]


@pytest.mark.parametrize(("retry_after", "header"), [(None, "2"), (0.2, "1"), (7, "7"), (7.6, "8"), (3600.0, "3600")])
def test_what_passes_with_time_is_503_with_when_to_come_back(retry_after: float | None, header: str) -> None:
    world = World(registry=BrokenRegistry(TryAgain("storage-unavailable", "Constant.", retry_after=retry_after)))
    for answer in every_answer(world):
        assert (answer.status, answer.content_type) == (503, "application/problem+json")
        assert answer.headers["Retry-After"] == header
        assert body_of(answer)["code"] == "storage-unavailable"
        assert answer.message is None


def test_a_throttled_lookup_of_a_dry_run_passes_on_when_to_come_back() -> None:
    world = World(settings={"ALLOWED_RESOURCES": "api://other"})
    world.emulator.faults.add(Fault("throttle", operation="graph.*", times=None, retry_after=9))
    answer = world.post(a_service_client(resource="api://other"), query=DRY_RUN)
    assert (answer.status, body_of(answer)["code"], answer.headers["Retry-After"]) == (503, "graph-throttled", "9")


def test_wrong_settings_are_500_without_their_names() -> None:
    def services() -> Any:
        raise SettingsError([f"KEY_VAULT_URL: {MARKER}"])

    for handle in (web.submit_registration, web.show_registration, web.retry_registration, web.list_registrations):
        answer = web.answer(services, handle, Call("/api/registrations"))
        assert (answer.status, answer.content_type, body_of(answer)["code"]) == (
            500,
            "application/problem+json",
            "misconfigured",
        )
        assert "KEY_VAULT_URL" not in answer.body
        assert MARKER not in answer.body


def test_wrong_settings_are_one_line_of_the_log_that_names_them_all(caplog: pytest.LogCaptureFixture) -> None:
    def services() -> Any:
        raise SettingsError(["KEY_VAULT_URL: is required", "SECRET_OVERLAP: must be shorter"])

    web.answer(services, web.list_registrations, Call("/api/registrations"))
    line, answered = caplog.records
    expected = "The app settings are wrong: KEY_VAULT_URL: is required | SECRET_OVERLAP: must be shorter"
    assert (line.getMessage().rpartition(" [")[0], line.exc_info) == (expected, None)
    assert answered.getMessage().startswith("answered 500 misconfigured to nobody known")


def test_an_error_that_nobody_foresaw_is_500_without_its_text() -> None:
    world = World(registry=BrokenRegistry(RuntimeError(MARKER)))
    for answer in every_answer(world):
        assert (answer.status, answer.content_type, body_of(answer)["code"]) == (
            500,
            "application/problem+json",
            "internal-error",
        )
        assert MARKER not in answer.body
        assert "RuntimeError" not in answer.body
        assert answer.message is None
