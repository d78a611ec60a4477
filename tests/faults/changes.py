"""Changes of what a registration signs in with, offers and asks for: the new is there at the end, nothing is lost."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

from provisioning.domain.errors import TryAgain
from provisioning.domain.operation import OperationType
from provisioning.domain.registration import Registration
from tests.faults.grants import a_granted, holds_all
from tests.faults.overlaps import Deliveries
from tests.faults.pasts import DAY, pass_time, ready, registered, subject
from tests.faults.scenarios import SCENARIOS, Scenario, answered, has_succeeded
from tests.faults.schedules import plays
from tests.faults.weakened import InsteadOf
from tests.worlds.certificates import YEAR, a_certificate
from tests.worlds.checker import check, check_secretless
from tests.worlds.outside import Died
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.world import World

if TYPE_CHECKING:
    from provisioning.ports import Directory

FIRST, SECOND, THIRD = a_certificate(), a_certificate(life=YEAR), a_certificate(life=3 * YEAR)
TOKEN: Final = {"type": "federated", "issuer": "https://token.example"}
ROLES: Final = ["globalReader", "globalExporter"]


# --- what was before ------------------------------------------------------------------------------------------------


@ready
def a_certified() -> World:
    return registered(a_service_client(credential={"type": "certificate", "certificate": FIRST.pem}))


@ready
def a_federated() -> World:
    return registered(a_service_client(credential={**TOKEN, "subjects": ["old", "staying"]}))


@ready
def a_generous_server() -> World:
    return registered(a_resource(appRoles=ROLES))


# --- what is asked --------------------------------------------------------------------------------------------------


def patched(body: dict[str, Any], world: World) -> str:
    """PATCH it as often as it takes to get an answer: that it is pending already is one, if the first was lost."""
    row = subject(world)
    answer = answered(world, lambda: world.change(row.id, body))
    in_progress = answer.status == 409 and world.row(row.id).operation.id != row.operation.id
    assert answer.status == 202 or in_progress, answer.body
    return row.id


# --- how it must end ------------------------------------------------------------------------------------------------


def application(world: World, row: Registration) -> Any:
    found = world.emulator.directory.application(app_id=row.client_id or "")
    assert found is not None
    return found


def is_rolled(world: World, row: Registration) -> None:
    """Both certificates are there, each once; a day after the overlap the new one alone."""
    has_succeeded(OperationType.CHANGE, row)
    ends = [each["endDateTime"][:4] for each in application(world, row).last_body["keyCredentials"]]
    assert sorted(ends) == ["2027", "2028"], "one of the two is not there, or twice"
    pass_time(world, world.settings.secrets.overlap + DAY)
    world.settle()
    check(world)
    ends = [each["endDateTime"][:4] for each in application(world, row).last_body["keyCredentials"]]
    assert ends == ["2027"], "the old one is left, or the new one gone"


def is_exchanged(world: World, row: Registration) -> None:
    has_succeeded(OperationType.CHANGE, row)
    subjects = sorted(each["subject"] for each in application(world, row).federated)
    assert subjects == ["new", "staying"], "other subjects are trusted than were asked for"


def offers_less(world: World, row: Registration) -> None:
    has_succeeded(OperationType.CHANGE, row)
    body = application(world, row).last_body
    assert [each["value"] for each in body["appRoles"]] == ROLES[:1]
    assert all(each["isEnabled"] for each in (*body["appRoles"], *body["api"]["oauth2PermissionScopes"]))


def holds_the_other(world: World, row: Registration) -> None:
    assert [each.value for each in row.declared] == ROLES[1:]
    holds_all(world, row)


CHANGES: Final[dict[str, Scenario]] = {
    "roll": Scenario(a_certified, partial(patched, {"credential": {"certificate": SECOND.pem}}), is_rolled),
    "exchange": Scenario(a_federated, partial(patched, {"credential": {"subjects": ["staying", "new"]}}), is_exchanged),
    "offer-less": Scenario(a_generous_server, partial(patched, {"appRoles": ROLES[:1]}), offers_less),
    "swap": Scenario(partial(a_granted, "service"), partial(patched, {"appRoles": ROLES[1:]}), holds_the_other),
}
SCENARIOS.update(CHANGES)


# --- what comes between ---------------------------------------------------------------------------------------------

AGAIN: Final[dict[str, dict[str, Any]]] = {
    "roll": {"certificate": THIRD.pem},
    "exchange": {"subjects": ["staying", "newer"]},
}


@plays(r"(roll|exchange): changed again while a run stands still at (\d+)")
def change_again(scenario: str, call: int) -> str | None:
    """Have a run stall before that call while another one finishes, and a later change is made; then it goes on.

    Return the name of the call; None where the run had ended before.
    """
    runs = Deliveries(scenario, 1)
    runs.awaited = (TryAgain, Died)
    world, reached = runs.world, runs.stall(call)
    world.clock.sleep(180)
    world.plan()
    world.deliver()
    assert world.change(runs.registration_id, {"credential": AGAIN[scenario]}).status == 202
    world.deliver()
    runs.finish(0)
    runs.settle()
    row = world.row(runs.registration_id)
    check_secretless(row, application(world, row))
    world.reconcile()  # an earlier change that was sent late is mended so
    check(world)
    return reached


# --- with a rule broken ---------------------------------------------------------------------------------------------


class KeepsOneCertificate(InsteadOf):
    """Has a new certificate be the only one."""

    def add_certificate(self, object_id: str, key: Mapping[str, str]) -> None:
        self._inner.update_application(object_id, {"keyCredentials": [dict(key)]})


def keep_one_certificate(world: World) -> None:
    world.exchange(
        lambda services: replace(services, directory=cast("Directory", KeepsOneCertificate(services.directory)))
    )


def know_no_overlap(world: World) -> None:
    world.exchange(lambda services: replace(services, secrets=replace(services.secrets, overlap=timedelta(0))))
