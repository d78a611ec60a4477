"""What a registration asks for changes, and Entra with it; what somebody added by hand stays."""

import json
from dataclasses import replace
from typing import Any

import pytest

from provisioning.domain.operation import OperationStatus
from provisioning.domain.registration import Status
from tests.worlds.checker import check
from tests.worlds.request_bodies import OWNER, a_confidential_client, a_public_client, a_service_client
from tests.worlds.steps import body_in_entra, code_of
from tests.worlds.world import World


def test_a_change_reaches_entra_as_an_operation_of_its_own(world: World) -> None:
    registration_id = world.registered(a_confidential_client(description="old"))["registrationId"]
    uris = ["https://app.contoso.example/new"]
    body = {"displayName": "New", "redirectUris": uris, "description": None, "contact": "new@contoso.example"}
    answer = world.change(registration_id, body | {"logoutUrl": "https://app.contoso.example/out"})
    assert answer.status == 202
    assert json.loads(answer.body)["operation"]["type"] == "change"
    world.deliver()
    entra, shown = body_in_entra(world, registration_id), world.get(registration_id)
    assert (entra["displayName"], entra["description"], entra["web"]["redirectUris"]) == ("New", None, uris)
    assert entra["web"]["logoutUrl"] == "https://app.contoso.example/out"
    assert json.loads(entra["notes"])["contact"] == "new@contoso.example"
    assert (shown["displayName"], shown["redirectUris"]) == ("New", uris)
    assert "description" not in shown
    assert shown["operation"]["status"] == "succeeded"
    check(world)


@pytest.mark.parametrize(
    ("body", "field", "platform"),
    [
        (a_confidential_client(), "web", None),
        (a_public_client(), "spa", None),
        (a_public_client(platform="native", redirectUris=["https://a.contoso.example/x"]), "publicClient", None),
    ],
)
def test_redirect_uris_that_somebody_added_by_hand_stay_and_are_reported(
    world: World, body: Any, field: str, platform: None
) -> None:
    registration_id = world.registered(body)["registrationId"]
    row = world.row(registration_id)
    by_hand = "https://by-hand.contoso.example/cb"
    ours = list(body["redirectUris"])
    world.services.directory.update_application(
        row.application_object_id or "", {field: {"redirectUris": [*ours, by_hand]}}
    )
    new = "https://new.contoso.example/cb"
    world.change(registration_id, {"redirectUris": [new]})
    world.deliver()
    assert body_in_entra(world, registration_id)[field]["redirectUris"] == [new, by_hand]
    world.reconcile()
    assert [each["code"] for each in world.get(registration_id)["findings"]] == ["redirect-uris-added-by-hand"]


def test_a_changed_redirect_uri_is_kept_as_entra_gives_it_back_and_leaves_with_the_next_change(world: World) -> None:
    registration_id = world.registered(a_confidential_client())["registrationId"]
    world.change(registration_id, {"redirectUris": ["HTTPS://App.Contoso.Example", "https://b.contoso.example/CB"]})
    world.settle()
    kept = ["https://app.contoso.example/", "https://b.contoso.example/CB"]
    assert world.get(registration_id)["redirectUris"] == kept
    world.change(registration_id, {"redirectUris": kept[1:]})
    world.settle()
    assert body_in_entra(world, registration_id)["web"]["redirectUris"] == kept[1:]


def test_a_form_that_holds_the_client_id_is_added_once_entra_has_assigned_it(world: World) -> None:
    first = ["http://localhost/"]
    early = a_public_client(platform="native", redirectUris=[*first, f"msal{OWNER}://auth"])
    assert json.loads(world.post(early).body)["errors"][0]["code"] == "uri-client-id"
    shown = world.registered(a_public_client(platform="native", redirectUris=first))
    another = world.change(shown["registrationId"], {"redirectUris": [*first, f"msal{OWNER}://auth"]})
    assert json.loads(another.body)["errors"][0]["code"] == "uri-client-id"
    own = [*first, f"msal{shown['clientId']}://auth", f"ms-appx-web://microsoft.aad.brokerplugin/{shown['clientId']}"]
    assert world.change(shown["registrationId"], {"redirectUris": own}).status == 202
    world.settle()
    assert body_in_entra(world, shown["registrationId"])["publicClient"]["redirectUris"] == own


def test_a_redirect_uri_of_an_earlier_version_stays_when_another_is_added_and_does_not_come_back(world: World) -> None:
    shown = world.registered(a_public_client(platform="native", redirectUris=["http://localhost"]))
    row = world.row(shown["registrationId"])
    old = ["myapp://auth", "https://intranet/cb?"]
    world.registry.replace(replace(row, request=row.request.model_copy(update={"redirect_uris": tuple(old)})))
    for uris, status in (
        ([*old, "https://new.contoso.example/cb"], 202),
        ([*old, "another://auth"], 400),
        ([*old, old[0]], 400),
        (["https://new.contoso.example/cb"], 202),
        (old, 400),
    ):
        assert world.change(row.id, {"redirectUris": uris}).status == status, uris
        world.settle()


def test_the_same_change_sent_again_is_the_same_change(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    first = world.change(registration_id, {"displayName": "New"})
    second = world.change(registration_id, {"displayName": "New"})
    assert (first.status, second.status) == (202, 202)
    assert json.loads(first.body)["operation"] == json.loads(second.body)["operation"]
    assert second.message is None
    world.settle()
    assert world.row(registration_id).change == 1


def test_another_change_is_refused_while_one_is_pending(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.change(registration_id, {"displayName": "New"})
    answer = world.change(registration_id, {"displayName": "Newer"})
    assert (answer.status, code_of(answer)) == (409, "operation-in-progress")


def test_a_stale_run_that_overwrote_a_later_change_is_repaired_by_the_next_reconciliation(world: World) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    for name in ("First", "Second"):
        world.change(registration_id, {"displayName": name})
        world.deliver()
    stale = {"displayName": "First", "notes": json.dumps({"change": 1})}
    world.services.directory.update_application(world.row(registration_id).application_object_id or "", stale)
    world.reconcile()
    assert body_in_entra(world, registration_id)["displayName"] == "Second"


def test_a_change_of_what_was_deleted_by_hand_fails_with_a_remedy_and_the_registration_stays_active(
    world: World,
) -> None:
    registration_id = world.registered(a_service_client())["registrationId"]
    world.clock.sleep(7200)
    world.services.directory.delete_application(world.row(registration_id).application_object_id or "")
    world.change(registration_id, {"displayName": "New"})
    world.deliver()
    row = world.row(registration_id)
    assert (row.status, row.operation.status) == (Status.ACTIVE, OperationStatus.FAILED)
    assert row.operation.failure is not None
    assert row.operation.failure.code == "application-missing"
