"""What a client signs in with is exchanged: the new works at once, the old until it is removed, or its overlap ends."""

import hashlib
import json
from datetime import timedelta
from typing import Any

import jwt
import pytest
import requests

from dev.emulator import Fault
from dev.emulator.client import Client
from provisioning.domain.certificates import as_base64
from provisioning.domain.events import What
from provisioning.domain.intake import dump
from tests.unit.flow.test_change_of_permissions import changed
from tests.worlds.certificates import BEGINS, YEAR, Pair, a_certificate
from tests.worlds.checker import check
from tests.worlds.outside import done_twice
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.steps import body_in_entra, body_of, operations
from tests.worlds.world import World

ISSUER = "https://token.example"
FIRST, SECOND = a_certificate(), a_certificate(life=YEAR)
BRIEF = a_certificate(BEGINS, timedelta(days=24))


def a_client(world: World, **credential: Any) -> str:
    return str(world.registered(a_service_client(credential=credential))["registrationId"])


def by_assertion(world: World, registration_id: str, assertion: str) -> requests.Response:
    form = {
        "grant_type": "client_credentials",
        "client_id": world.row(registration_id).client_id,
        "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        "client_assertion": assertion,
        "scope": f"{world.settings.tenant.graph_endpoint}/.default",
    }
    return world.emulator.session().post(f"{world.settings.tenant.authority}/oauth2/v2.0/token", data=form, timeout=5)


def signs_in(world: World, registration_id: str, pair: Pair) -> bool:
    """Whether the token endpoint takes what is signed with the key of this certificate."""
    client_id, now = world.row(registration_id).client_id, int(world.clock.now().timestamp())
    claims = {"iss": client_id, "sub": client_id, "exp": now + 300, "jti": "1"}
    claims |= {"aud": f"{world.settings.tenant.authority}/oauth2/v2.0/token"}
    x5t = jwt.utils.base64url_encode(hashlib.sha256(pair.der).digest()).decode()
    signed = jwt.encode(claims, pair.private_pem, "PS256", headers={"x5t#S256": x5t})
    return by_assertion(world, registration_id, signed).status_code == 200


def exchanges(world: World, registration_id: str, subject: str) -> bool:
    """Whether the token endpoint takes a token of the issuer with this subject."""
    now = int(world.clock.now().timestamp())
    claims = {"iss": ISSUER, "sub": subject, "aud": "api://AzureADTokenExchange", "exp": now + 300}
    return by_assertion(world, registration_id, jwt.encode(claims, "k" * 32)).status_code == 200


def federated(world: World, registration_id: str) -> dict[str, str]:
    """The federated credentials in Entra: their subjects, by name."""
    application = world.emulator.directory.application(app_id=world.row(registration_id).client_id or "")
    assert application is not None
    return {each["name"]: each["subject"] for each in application.federated}


@pytest.fixture
def world() -> World:
    """A world with a FHIR server."""
    world = World()
    world.registered(a_resource())
    return world


# --- a certificate --------------------------------------------------------------------------------------------------


def test_a_rolled_certificate_signs_in_beside_the_one_before_until_the_overlap_ends(world: World) -> None:
    client = a_client(world, type="certificate", certificate=FIRST.pem)
    [first] = body_in_entra(world, client)["keyCredentials"]
    assert changed(world, client, {"credential": {"certificate": SECOND.pem}}).status == 202
    assert world.get(client)["credential"]["expiresAt"] == "2027-01-01T00:00:00Z"
    assert world.row(client).due_at == world.clock.now() + world.settings.secrets.overlap
    assert (signs_in(world, client, FIRST), signs_in(world, client, SECOND)) == (True, True)
    world.live(world.settings.secrets.overlap - timedelta(minutes=1))
    assert (signs_in(world, client, FIRST), signs_in(world, client, SECOND)) == (True, True)
    world.live(timedelta(minutes=10), reconciled=timedelta(days=9))
    assert (signs_in(world, client, FIRST), signs_in(world, client, SECOND)) == (False, True)
    told = world.registry.events(client, top=99).events
    assert [each.former_key_id for each in told if each.what is What.CREDENTIAL_REMOVED] == [first["keyId"]]
    check(world)


def test_a_certificate_that_is_exchanged_lives_for_seven_days_more_and_one_that_stays_for_as_long_as_it_may(
    world: World,
) -> None:
    short, long = (a_client(world, type="certificate", certificate=each.pem) for each in (BRIEF, FIRST))
    body = {"credential": {"certificate": BRIEF.pem}}
    world.clock.time = BEGINS + timedelta(days=24 - 7)
    assert changed(world, long, body, query="dryRun=true").status == 200
    world.clock.sleep(1)
    answer = changed(world, long, body)
    assert [each["code"] for each in body_of(answer)["errors"]] == ["certificate-ends-too-soon"]
    assert changed(world, short, {"displayName": "Another"}).status == 202


def test_a_certificate_that_is_taken_back_in_time_is_current_again_and_the_other_one_is_given_up(world: World) -> None:
    client = a_client(world, type="certificate", certificate=FIRST.pem)
    for pair in (SECOND, FIRST):
        assert changed(world, client, {"credential": {"certificate": pair.pem}}).status == 202
        world.live(timedelta(days=3))
    world.live(timedelta(days=3))
    assert (signs_in(world, client, FIRST), signs_in(world, client, SECOND)) == (True, True)
    world.live(timedelta(days=2))
    assert (signs_in(world, client, FIRST), signs_in(world, client, SECOND)) == (True, False)


def test_the_last_certificate_that_works_is_never_removed_even_where_the_new_one_was_lost(world: World) -> None:
    client = a_client(world, type="certificate", certificate=FIRST.pem)
    changed(world, client, {"credential": {"certificate": BRIEF.pem}})
    keys = body_in_entra(world, client)["keyCredentials"]
    lost = [each for each in keys if each["key"] == as_base64(FIRST.pem)]
    world.clock.sleep(9 * 86_400)  # nothing of ours has run, and somebody took the new one away
    world.services.directory.update_application(world.row(client).application_object_id or "", {"keyCredentials": lost})
    world.plan()
    world.settle()
    assert signs_in(world, client, FIRST)


def test_a_certificate_of_somebody_else_stays_through_a_roll(world: World) -> None:
    client = a_client(world, type="certificate", certificate=FIRST.pem)
    object_id, other = world.row(client).application_object_id or "", a_certificate(life=YEAR * 3)
    key = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": as_base64(other.pem), "displayName": "by hand"}
    world.services.directory.add_certificate(object_id, key)
    changed(world, client, {"credential": {"certificate": SECOND.pem}})
    world.live(world.settings.secrets.overlap + timedelta(days=2))
    assert [signs_in(world, client, each) for each in (FIRST, SECOND, other)] == [False, True, True]


@pytest.mark.parametrize(("left", "there"), [(timedelta(seconds=1), True), (timedelta(0), False)])
def test_a_certificate_that_somebody_took_away_is_there_again_unless_it_has_ended(
    world: World,
    left: timedelta,
    there: bool,  # noqa: FBT001 -- a parameter of the test
) -> None:
    client = a_client(world, type="certificate", certificate=BRIEF.pem)
    world.services.directory.update_application(world.row(client).application_object_id or "", {"keyCredentials": []})
    world.clock.time = BEGINS + timedelta(days=24) - left
    world.reconcile()
    assert bool(body_in_entra(world, client)["keyCredentials"]) is there
    assert world.get(client)["findings"] == []


def test_a_certificate_is_judged_as_in_a_new_request(world: World) -> None:
    client = a_client(world, type="certificate", certificate=FIRST.pem)
    short = a_certificate(world.clock.now() - timedelta(days=1), timedelta(days=3))
    answer = changed(world, client, {"credential": {"certificate": short.pem}})
    [fault] = body_of(answer)["errors"]
    assert (fault["pointer"], fault["code"]) == ("#/credential/certificate", "certificate-ends-too-soon")
    answer = changed(world, client, {"credential": {"certificate": SECOND.private_pem}})
    assert body_of(answer)["errors"][0]["code"] == "private-key"


def test_a_roll_whose_answer_was_lost_adds_the_certificate_once(world: World) -> None:
    client = a_client(world, type="certificate", certificate=FIRST.pem)
    world.emulator.faults.add(Fault("reset", "graph.updateApplication", when="after", skip=1))
    changed(world, client, {"credential": {"certificate": SECOND.pem}})
    world.settle()
    assert world.row(client).operation.failure is None
    assert len(body_in_entra(world, client)["keyCredentials"]) == 2


# --- subjects -------------------------------------------------------------------------------------------------------


def test_subjects_are_added_and_removed_and_those_that_stay_keep_their_credentials(world: World) -> None:
    client = a_client(world, type="federated", issuer=ISSUER, subject="one")
    [first] = federated(world, client)
    calls = operations(world)
    changed(world, client, {"credential": {"subjects": ["one", "two"]}})
    assert federated(world, client)[first] == "one"
    assert [exchanges(world, client, each) for each in ("one", "two")] == [True, True]
    [second] = [name for name, subject in federated(world, client).items() if subject == "two"]
    changed(world, client, {"credential": {"subjects": ["two", "three"]}})
    assert federated(world, client)[second] == "two"
    assert [exchanges(world, client, each) for each in ("one", "two", "three")] == [False, True, True]
    spent = operations(world) - calls
    assert (spent["graph.createFederatedCredential"], spent["graph.deleteFederatedCredential"]) == (2, 1)
    assert dump(world.row(client).request)["credential"] == {
        "type": "federated",
        "issuer": ISSUER,
        "subjects": ["two", "three"],
    }
    check(world)


def test_a_renamed_subject_works_before_the_old_one_ends(world: World) -> None:
    client = a_client(world, type="federated", issuer=ISSUER, subject="old")
    seen = list[tuple[bool, bool]]()

    def outside(name: str, action: Any) -> Any:
        if name.startswith("DELETE"):
            world.outside = lambda _name, action: action()
            seen.append((exchanges(world, client, "old"), exchanges(world, client, "new")))
        return action()

    world.outside = outside
    assert changed(world, client, {"credential": {"subject": "new"}}).status == 202
    assert seen == [(True, True)]
    assert [exchanges(world, client, each) for each in ("old", "new")] == [False, True]


def test_a_subject_that_somebody_else_takes_away_at_the_same_moment_is_gone_and_no_error(world: World) -> None:
    client = a_client(world, type="federated", issuer=ISSUER, subject="old")
    world.outside = done_twice("DELETE")
    assert changed(world, client, {"credential": {"subject": "new"}}).status == 202
    assert (world.errors, world.row(client).operation.failure) == ([], None)
    assert [exchanges(world, client, each) for each in ("old", "new")] == [False, True]


def test_where_there_is_no_room_each_one_that_goes_makes_it(world: World) -> None:
    subjects = [f"subject {number}" for number in range(20)]
    client, wanted = a_client(world, type="federated", issuer=ISSUER, subjects=subjects), [*subjects[2:], "one", "two"]
    world.emulator.calls.clear()
    assert changed(world, client, {"credential": {"subjects": wanted}}).status == 202
    assert world.row(client).operation.failure is None
    assert sorted(federated(world, client).values()) == sorted(wanted)
    assert [each.operation for each in world.emulator.calls if each.status >= 400] == []


def test_a_federated_credential_that_was_made_by_hand_stays(world: World) -> None:
    client = a_client(world, type="federated", issuer=ISSUER, subject="one")
    path = f"/applications/{world.row(client).application_object_id}/federatedIdentityCredentials"
    by_hand = {"name": "by-hand", "issuer": ISSUER, "subject": "hand", "audiences": ["api://AzureADTokenExchange"]}
    assert Client(world.emulator).graph("POST", path, by_hand).status_code == 201
    changed(world, client, {"credential": {"subjects": ["two"]}})
    assert sorted(federated(world, client).values()) == ["hand", "two"]


@pytest.mark.parametrize("audience", ["api://another", "api://AzureADTokenExchange"])
def test_a_subject_that_somebody_else_made_is_not_taken_for_ours(world: World, audience: str) -> None:
    client = a_client(world, type="federated", issuer=ISSUER, subject="one")
    path = f"/applications/{world.row(client).application_object_id}/federatedIdentityCredentials"
    by_hand = {"name": "by-hand", "issuer": ISSUER, "subject": "two", "audiences": [audience]}
    assert Client(world.emulator).graph("POST", path, by_hand).status_code == 201
    changed(world, client, {"credential": {"subjects": ["one", "two"]}})
    failure = world.row(client).operation.failure
    assert failure is not None
    assert failure.code == "federated-credential-differs"
    assert exchanges(world, client, "one")


# --- what of it stays -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("credential", "change", "pointer"),
    [
        ({"type": "federated", "issuer": ISSUER, "subject": "a"}, {"issuer": "https://x.example"}, "/issuer"),
        ({"type": "federated", "issuer": ISSUER, "subject": "a"}, {"audience": "api://x"}, "/audience"),
        ({"type": "federated", "issuer": ISSUER, "subject": "a"}, {"type": "secret"}, "/type"),
        ({"type": "secret"}, {"type": "certificate"}, "/type"),
        ({"type": "secret"}, None, ""),
    ],
    ids=str,
)
def test_the_kind_of_a_credential_and_whom_it_trusts_stay(
    world: World, credential: Any, change: Any, pointer: str
) -> None:
    answer = changed(world, a_client(world, **credential), {"credential": change})
    faults = [(each["pointer"], each["code"]) for each in body_of(answer)["errors"]]
    assert (f"#/credential{pointer}", "field-not-changeable") in faults


@pytest.mark.parametrize("change", [[], "x", 1])
def test_a_credential_is_changed_by_an_object(world: World, change: Any) -> None:
    answer = changed(world, a_client(world, type="secret"), {"credential": change})
    assert [(each["pointer"], each["code"]) for each in body_of(answer)["errors"]] == [("#/credential", "wrong-type")]


def test_a_dry_run_shows_what_entra_would_trust_and_no_text_of_a_certificate(world: World) -> None:
    client = a_client(world, type="certificate", certificate=FIRST.pem)
    answer = changed(world, client, {"credential": {"certificate": SECOND.pem}}, query="dryRun=true")
    seen = body_of(answer)
    assert "BEGIN CERTIFICATE" not in answer.body
    assert len(seen["credentials"]["added"]) == len(seen["credentials"]["removed"]) == 1
    assert [each["field"] for each in seen["changes"]] == ["credential"]
    assert [each["code"] for each in seen["warnings"]] == ["previous-certificate-ends"]
    other = a_client(world, type="federated", issuer=ISSUER, subject="a")
    seen = body_of(changed(world, other, {"credential": {"subject": "b"}}, query="dryRun=true"))
    assert [each["subject"] for each in seen["credentials"]["added"]] == ["b"]
    assert [each["code"] for each in seen["warnings"]] == ["subjects-removed"]
    assert json.loads(answer.body)["status"] == "active"
    assert world.row(client).change == 0


def test_a_failed_change_leaves_what_worked(world: World) -> None:
    client = a_client(world, type="certificate", certificate=FIRST.pem)
    world.emulator.faults.set(certificate_lifetime_days=90)
    changed(world, client, {"credential": {"certificate": SECOND.pem}})
    world.settle()
    row = world.row(client)
    assert row.operation.failure is not None
    assert row.operation.failure.code == "certificate-lifetime-refused"
    assert signs_in(world, client, FIRST)
