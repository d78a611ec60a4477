"""Service clients without a secret: a certificate or a foreign token signs them in, and the vault knows nothing."""

import base64
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import jwt
import msal
import pytest

from dev.emulator import Fault
from dev.emulator.client import Client
from tests.worlds.certificates import YEAR, Pair, a_certificate
from tests.worlds.checker import check
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.steps import failure_of, operations, submitted
from tests.worlds.world import World

ISSUER, SUBJECT = "https://token.example", "repo:contoso/export:environment:Prod"
AUDIENCE = "api://AzureADTokenExchange"
KINDS = ("federated", "certificate")


def credential(kind: str) -> dict[str, Any]:
    if kind == "federated":
        return {"type": "federated", "issuer": ISSUER, "subject": SUBJECT}
    return {"type": "certificate", "certificate": a_certificate().pem}


def a_client(kind: str, **fields: Any) -> dict[str, Any]:
    return a_service_client(credential=credential(kind), **fields)


def application_of(world: World, registration_id: str) -> Any:
    application = world.emulator.directory.application(unique_name=f"fhir-registrar-{registration_id}")
    assert application is not None
    return application


# --- the good case, and its budget ----------------------------------------------------------------------------------


def test_a_certificate_costs_two_graph_calls_and_is_there_from_the_first(world: World) -> None:
    shown = world.registered(a_client("certificate"))
    assert operations(world) == {"graph.createApplication": 1, "graph.createServicePrincipal": 1}
    [key] = application_of(world, shown["registrationId"]).last_body["keyCredentials"]
    assert key["displayName"] == f"registrar:{shown['operation']['id']}"
    assert key["endDateTime"] == "2028-01-01T00:00:00Z"
    check(world)


def test_a_federated_credential_costs_a_third_call(world: World) -> None:
    shown = world.registered(a_client("federated"))
    assert operations(world) == {
        "graph.createApplication": 1,
        "graph.createServicePrincipal": 1,
        "graph.createFederatedCredential": 1,
    }
    [trusted] = application_of(world, shown["registrationId"]).federated
    assert {name: trusted[name] for name in ("name", "issuer", "subject", "audiences")} == {
        "name": f"fhir-registrar-{shown['registrationId']}",
        "issuer": ISSUER,
        "subject": SUBJECT,
        "audiences": [AUDIENCE],
    }
    check(world)


@pytest.mark.parametrize("kind", KINDS)
def test_there_is_no_secret_anywhere(world: World, kind: str) -> None:
    shown = world.registered(a_client(kind))
    assert shown["secret"] is None
    assert world.emulator.vault.secrets == {}
    assert application_of(world, shown["registrationId"]).passwords == []
    assert world.clock.slept == []


def test_an_answer_shows_what_the_client_signs_in_with(world: World) -> None:
    shown = {kind: world.registered(a_client(kind))["credential"] for kind in KINDS}
    pair = a_certificate()
    assert shown == {
        "federated": {"type": "federated", "issuer": ISSUER, "subject": SUBJECT, "audience": AUDIENCE},
        "certificate": {
            "type": "certificate",
            "thumbprint": shown["certificate"]["thumbprint"],
            "expiresAt": "2028-01-01T00:00:00Z",
        },
    }
    assert len(shown["certificate"]["thumbprint"]) == 64
    assert pair.pem not in json.dumps(shown)


@pytest.mark.parametrize(
    ("kind", "steps"), [("federated", ["grant-app-role", "exchange-token"]), ("certificate", ["grant-app-role"])]
)
def test_nobody_is_told_to_read_a_secret(world: World, kind: str, steps: list[str]) -> None:
    shown = world.registered(a_client(kind))
    assert [step["code"] for step in shown["nextSteps"]] == steps
    preview = json.loads(world.post(a_client(kind), query={"dryRun": "true"}).body)
    assert [step["code"] for step in preview["nextSteps"]] == steps
    assert "passwordCredentials" not in preview["application"]


def test_a_foreign_token_is_exchanged_by_a_command_that_holds_ids_alone(world: World) -> None:
    body = a_service_client(credential={**credential("federated"), "subject": "'; touch /tmp/pwned; '$(id)"})
    shown = world.registered(body)
    [step] = [step for step in shown["nextSteps"] if step["code"] == "exchange-token"]
    assert step["command"] == (
        f"az login --service-principal --username {shown['clientId']} --tenant {world.emulator.tenant_id} "
        '--federated-token "$TOKEN" --allow-no-subscriptions'
    )
    assert step["url"].endswith(f"/~/Credentials/appId/{shown['clientId']}")


MANY = {"type": "federated", "issuer": ISSUER, "subjects": [f"repo:contoso/export:environment:{n}" for n in range(20)]}


def test_twenty_subjects_are_trusted_and_shown_as_they_were_sent(world: World) -> None:
    shown = world.registered(a_service_client(credential=MANY))
    assert shown["credential"] == {**MANY, "audience": AUDIENCE}
    trusted = application_of(world, shown["registrationId"]).federated
    assert [each["subject"] for each in trusted] == MANY["subjects"]
    assert len({each["name"] for each in trusted}) == 20
    assert {(each["issuer"], *each["audiences"]) for each in trusted} == {(ISSUER, AUDIENCE)}
    assert operations(world)["graph.createFederatedCredential"] == 20
    check(world)


def test_subjects_of_which_some_were_made_before_an_answer_was_lost_are_made_once_each(world: World) -> None:
    world.emulator.faults.add(Fault("status", "graph.createFederatedCredential", when="after", skip=3, status=503))
    shown = world.registered(a_service_client(credential=MANY))
    assert len(application_of(world, shown["registrationId"]).federated) == 20
    check(world)


@pytest.mark.parametrize(
    ("authority", "audience"),
    [
        ("https://login.microsoftonline.com", "api://AzureADTokenExchange"),
        ("https://login.microsoftonline.us", "api://AzureADTokenExchangeUSGov"),
        ("https://login.chinacloudapi.cn", "api://AzureADTokenExchangeChina"),
        ("https://login.partner.microsoftonline.cn", "api://AzureADTokenExchangeChina"),
    ],
)
def test_the_audience_is_the_clouds_own_unless_the_request_names_another(
    world: World, authority: str, audience: str
) -> None:
    tenant = replace(world.services.tenant, authority_host=authority)
    world.exchange(lambda services: replace(services, tenant=tenant))
    own = world.registered(a_client("federated"))
    another = {**credential("federated"), "audience": "ari:cloud:bitbucket::workspace/1"}
    named = world.registered(a_service_client(credential=another))
    for shown, expected in ((own, audience), (named, another["audience"])):
        assert shown["credential"]["audience"] == expected
        [trusted] = application_of(world, shown["registrationId"]).federated
        assert trusted["audiences"] == [expected]


# --- safe to repeat -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_redelivery_does_nothing(world: World, kind: str) -> None:
    answer = world.post(a_client(kind))
    assert answer.message is not None
    world.deliver()
    world.emulator.calls.clear()
    world.send(answer.message)
    world.deliver()
    assert world.emulator.calls == []


def test_a_federated_credential_whose_answer_was_lost_is_found_and_not_made_twice(world: World) -> None:
    world.emulator.faults.add(Fault("reset", "graph.createFederatedCredential", when="after"))
    shown = world.registered(a_client("federated"))
    assert operations(world)["graph.createFederatedCredential"] == 2
    assert operations(world)["graph.listFederatedCredentials"] == 1
    assert len(application_of(world, shown["registrationId"]).federated) == 1
    check(world)


def test_a_federated_credential_that_exists_but_is_not_listed_yet_is_waited_for(world: World) -> None:
    world.emulator.faults.add(Fault("status", "graph.createFederatedCredential", status=409))
    shown = world.registered(a_client("federated"))
    assert operations(world)["graph.createFederatedCredential"] == 2
    assert len(application_of(world, shown["registrationId"]).federated) == 1
    check(world)


def test_an_application_whose_answer_was_lost_is_adopted_with_its_certificate(world: World) -> None:
    world.emulator.faults.add(Fault("reset", "graph.createApplication", when="after"))
    shown = world.registered(a_client("certificate"))
    assert operations(world)["graph.updateApplication"] == 0
    assert len(application_of(world, shown["registrationId"]).last_body["keyCredentials"]) == 1
    check(world)


def test_where_no_certificate_is_born_with_the_application_it_is_set_afterwards(world: World) -> None:
    world.emulator.faults.set(inline_certificate_omitted=True)
    world.registered(a_client("certificate"))
    assert operations(world) == {
        "graph.createApplication": 1,
        "graph.createServicePrincipal": 1,
        "graph.readApplication": 1,
        "graph.updateApplication": 1,
    }
    check(world)


def test_a_certificate_that_somebody_else_added_stays(world: World) -> None:
    other = base64.b64encode(a_certificate(life=YEAR).der).decode()

    def added_by_hand(name: str, action: Callable[[], Any]) -> Any:
        answer = action()
        if name == "POST /*/servicePrincipals":
            key = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": other}
            path = f"/applications(uniqueName='fhir-registrar-{registration_id}')"
            assert Client(world.emulator).graph("PATCH", path, {"keyCredentials": [key]}).status_code == 204
        return answer

    world.emulator.faults.set(inline_certificate_omitted=True)
    registration_id = submitted(world, a_client("certificate"))
    world.outside = added_by_hand
    world.deliver()
    assert world.get(registration_id)["status"] == "active"
    keys = [each["key"] for each in application_of(world, registration_id).last_body["keyCredentials"]]
    assert keys == [other, base64.b64encode(a_certificate().der).decode()]


@pytest.mark.parametrize("kind", KINDS)
def test_replication_lag_is_waited_out(world: World, kind: str) -> None:
    world.emulator.faults.set(replication_lag=20, replicas=3)
    registration_id = submitted(world, a_client(kind))
    world.settle()
    assert world.get(registration_id)["status"] == "active"
    assert len(application_of(world, registration_id).federated) == (kind == "federated")
    check(world)


@pytest.mark.parametrize(
    "changed",
    [{"subject": "another"}, {"issuer": "https://another.example"}, {"audiences": ["another"]}, {"name": "by-hand"}],
    ids=lambda changed: str(*changed),
)
def test_a_federated_credential_that_somebody_else_made_is_never_taken_for_ours(
    world: World, changed: dict[str, Any]
) -> None:
    def made_by_hand_first(name: str, action: Callable[[], Any]) -> Any:
        answer = action()
        if name == "POST /*/servicePrincipals":
            [object_id] = [
                each.id
                for each in world.emulator.directory.records.values()
                if "service" in str(each.last_body["tags"])
            ]
            wanted = {"name": f"fhir-registrar-{registration_id}", "issuer": ISSUER, "subject": SUBJECT}
            body = {**wanted, "audiences": [AUDIENCE], **changed}
            path = f"/applications/{object_id}/federatedIdentityCredentials"
            assert Client(world.emulator).graph("POST", path, body).status_code == 201
        return answer

    registration_id = submitted(world, a_client("federated"))
    world.outside = made_by_hand_first
    world.deliver()
    assert failure_of(world, registration_id)["code"] == "federated-credential-differs"
    [left] = application_of(world, registration_id).federated
    assert {name: left[name] for name in changed} == changed


# --- what does not pass ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("omitted", [False, True], ids=["at create", "afterwards"])
def test_a_policy_on_the_life_of_certificates_fails_with_a_remedy_of_its_own(world: World, omitted: Any) -> None:
    world.emulator.faults.set(certificate_lifetime_days=90, inline_certificate_omitted=omitted)
    registration_id = submitted(world, a_client("certificate"))
    world.deliver()
    assert failure_of(world, registration_id)["code"] == "certificate-lifetime-refused"
    assert world.clock.slept == []


def test_a_policy_against_secrets_does_not_concern_who_has_none(world: World) -> None:
    world.emulator.faults.set(password_addition_blocked=True, password_lifetime_days=1)
    for kind in KINDS:
        world.registered(a_client(kind))
    check(world)


def test_a_certificate_that_ran_out_on_the_way_is_refused_by_entra_and_says_so(world: World) -> None:
    short = a_certificate(world.clock.now() - timedelta(days=1), timedelta(days=10))
    registration_id = submitted(world, a_service_client(credential={"type": "certificate", "certificate": short.pem}))
    world.clock.sleep(timedelta(days=20).total_seconds())
    world.deliver()
    assert failure_of(world, registration_id)["code"] == "certificate-refused"


# --- it really signs in ---------------------------------------------------------------------------------------------


@pytest.fixture
def now_world() -> World:
    """A world in which it is now: msal looks at the machine's own clock."""
    world = World()
    world.clock.time = datetime.now(UTC)
    world.registered(a_resource())
    return world


def a_current_certificate() -> Pair:
    return a_certificate(datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0) - timedelta(days=1), YEAR)


def by_msal(world: World, shown: dict[str, Any], client_credential: Any) -> dict[str, Any]:
    client = msal.ConfidentialClientApplication(
        shown["clientId"],
        client_credential=client_credential,
        authority=world.settings.tenant.authority,
        instance_discovery=False,
        http_client=world.emulator.session(),
    )
    return dict(client.acquire_token_for_client([shown["oauth"]["scope"]]))


def test_msal_signs_in_with_the_key_of_the_registered_certificate(now_world: World) -> None:
    pair = a_current_certificate()
    shown = now_world.registered(a_service_client(credential={"type": "certificate", "certificate": pair.pem}))
    answer = by_msal(now_world, shown, {"private_key": pair.private_pem, "public_certificate": pair.pem})
    assert "access_token" in answer, answer
    claims = jwt.decode(answer["access_token"], options={"verify_signature": False})
    assert (claims["appid"], claims["appidacr"]) == (shown["clientId"], "2")


def test_msal_does_not_sign_in_with_another_certificate_or_with_another_key(now_world: World) -> None:
    pair = a_current_certificate()
    shown = now_world.registered(a_service_client(credential={"type": "certificate", "certificate": pair.pem}))
    other = a_certificate(pair.certificate.not_valid_before_utc, YEAR / 2)
    for private_key, certificate in ((pair.private_pem, other.pem), (a_certificate(size=3072).private_pem, pair.pem)):
        answer = by_msal(now_world, shown, {"private_key": private_key, "public_certificate": certificate})
        assert answer["error_codes"] == [700027], answer


def test_msal_exchanges_a_token_of_the_trusted_issuer_and_of_no_other(now_world: World) -> None:
    shown = now_world.registered(a_client("federated"))
    ends_at = int(now_world.clock.now().timestamp()) + 600
    good = {"iss": ISSUER, "sub": SUBJECT, "aud": shown["credential"]["audience"], "exp": ends_at}
    answers = [
        by_msal(now_world, shown, {"client_assertion": partial(jwt.encode, each, "k" * 32)})
        for each in (good, good | {"sub": SUBJECT.lower()}, good | {"iss": f"{ISSUER}/"}, good | {"aud": "api://x"})
    ]
    assert "access_token" in answers[0], answers[0]
    assert [answer["error_codes"] for answer in answers[1:]] == [[70021]] * 3
