"""An application that was made by hand becomes a registration, and whoever uses its old credential notices nothing."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from dev.emulator import Fault
from dev.emulator.client import Client
from dev.emulator.constants import FHIR_APP_ID, REGISTRAR_OBJECT_ID
from provisioning.domain.registration import Status
from tests.worlds.certificates import a_certificate
from tests.worlds.checker import token_answer
from tests.worlds.command_line import Ran, typed
from tests.worlds.deaths import dying, noting
from tests.worlds.memory import MemoryRegistry
from tests.worlds.outside import Died, done_twice, straight
from tests.worlds.request_bodies import MANAGED, OWNER, a_policy, a_resource, a_service_client
from tests.worlds.world import World

PERSON = "99999999-0000-4000-8000-00000000000a"
ADMIN_APP = "99999999-0000-4000-8000-00000000000b"
NOTES = "made by hand in 2023, ask Kim"


@dataclass
class ByHand:
    """An application that an administrator made, and the text of its secret."""

    world: World
    client_id: str
    secret: str
    record: Any

    def works(self) -> bool:
        """Whether whoever has the old secret gets a token with it."""
        return token_answer(self.world, self.client_id, self.secret).status_code == 200


def by_hand(world: World, *, owned: bool = True, principal: bool = True, **properties: Any) -> ByHand:
    """Have an administrator make an application in the portal, perhaps with this app's identity as an owner."""
    client = Client(world.emulator)
    body = {"displayName": "Export of 2023", "signInAudience": "AzureADMyOrg", **properties}
    created = client.create(passwordCredentials=[{"displayName": "by hand"}], **body)
    if principal:
        client.graph("POST", "/servicePrincipals", {"appId": created["appId"]})
    record = world.emulator.directory.records[created["id"]]
    record.created_by, record.owners = ADMIN_APP, {PERSON} | ({REGISTRAR_OBJECT_ID} if owned else set())
    return ByHand(world, created["appId"], created["passwordCredentials"][0]["secretText"], record)


def asked(world: World, hand: ByHand, *options: str) -> Ran:
    arguments = ("--owner", OWNER, "--contact", "team@contoso.example", *options)
    if "--resource" not in options:
        arguments += ("--resource", "https://ws-svc.fhir.azurehealthcareapis.com")
    return typed(world, "adopt", hand.client_id, *arguments, "--json")


def adopted(world: World, hand: ByHand, *options: str) -> str:
    ran = asked(world, hand, "--apply", *options)
    assert (ran.code, ran.json["applied"]) == (0, True), ran
    world.settle()
    return str(ran.json["registrationId"])


def test_what_is_found_and_what_would_change_is_said_first_and_nothing_is_written() -> None:
    world = World()
    hand = by_hand(world, tags=["HR"], requiredResourceAccess=[])
    before = dict(hand.record.last_body)
    ran = asked(world, hand)
    assert (ran.code, ran.json["applied"], ran.json["faults"]) == (0, False, [])
    assert ran.json["found"]["secrets"] == ["by hand, until 2028-01-15T12:00:00Z"]
    assert ran.json["found"]["tags"] == ["HR"]
    assert ran.json["found"]["uniqueName"] == "none"
    assert "the secrets that are there stay, until somebody removes them with `retire`" in ran.json["changes"]
    assert hand.record.last_body == before
    assert isinstance(world.registry, MemoryRegistry)
    assert (world.registry.rows, world.registry.entries, world.registry.owned) == ({}, set(), {})
    assert (
        "Nothing was written: --apply does it."
        in typed(
            world, "adopt", hand.client_id, "--owner", OWNER, "--contact", "t@contoso.example", "--resource", FHIR_URL
        ).out
    )


FHIR_URL = "https://ws-svc.fhir.azurehealthcareapis.com"


def test_a_service_client_with_a_secret_gets_one_of_its_own_beside_it_and_the_old_one_goes_on_working() -> None:
    world = World()
    hand = by_hand(world, tags=["HR"])
    identity = adopted(world, hand)
    row = world.row(identity)
    assert (row.status, row.client_id) == (Status.ACTIVE, hand.client_id)
    stored = world.emulator.vault.get(row.secret_name)
    assert token_answer(world, hand.client_id, stored["value"]).status_code == 200
    assert hand.works()
    tags = hand.record.last_body["tags"]
    assert {"HR", "fhir-registrar", f"fhir-registrar:id={identity}"} <= set(tags)
    assert hand.record.last_body["uniqueName"] == f"fhir-registrar-{identity}"
    [event] = [each for each in typed(world, "events", identity, "--json").json if each["what"] == "adopted"]
    assert event["actor"] == {"kind": "application", "objectId": REGISTRAR_OBJECT_ID}


def test_nobody_who_uses_the_old_secret_is_refused_through_rotations_changes_and_revocations() -> None:
    world = World()
    hand = by_hand(world, tags=["HR"])
    refused: list[str] = []

    def watched(name: str, action: Callable[[], Any]) -> Any:
        answer = action()
        if not hand.works():
            refused.append(name)
        return answer

    world.outside = watched
    identity = adopted(world, hand)
    for _ in range(2):
        world.clock.time += timedelta(days=150)
        world.settle()
        world.reconcile()
    assert world.change(identity, {"displayName": "Export"}).status == 202
    world.settle()
    world.rotate(identity, {"revokePrevious": True})
    world.settle()
    assert refused == []
    assert "HR" in hand.record.last_body["tags"]
    assert [each["code"] for each in world.get(identity)["findings"]] == ["foreign-credentials", "owners-added-by-hand"]


def test_the_old_secret_ends_when_its_owner_says_so() -> None:
    world = World()
    hand = by_hand(world)
    identity = adopted(world, hand)
    [old] = [each.key_id for each in hand.record.passwords if each.display_name == "by hand"]
    own = world.get(identity)["secret"]["keyId"]
    assert typed(world, "retire", identity, old).code == 0
    assert hand.works()
    assert typed(world, "retire", identity, own, "--apply").code == 2
    assert typed(world, "retire", identity, PERSON, "--apply").code == 3
    assert typed(world, "retire", identity, old, "--apply").code == 0
    assert [each["registrationId"] for each in typed(world, "due", "--json").json] == [identity]
    world.settle()
    world.reconcile()
    assert not hand.works()
    assert [each["code"] for each in world.get(identity)["findings"]] == ["owners-added-by-hand"], "its maker"
    [event] = [each for each in typed(world, "events", identity, "--json").json if each["what"] == "credential-removed"]
    assert (event["formerKeyId"], event["actor"]["kind"]) == (old, "application")


def test_of_a_registration_that_is_not_active_or_whose_application_is_not_ours_no_secret_is_removed() -> None:
    world = World()
    hand = by_hand(world)
    identity = adopted(world, hand)
    [old] = [each.key_id for each in hand.record.passwords if each.display_name == "by hand"]
    hand.record.last_body["tags"] = ["HR"]
    hand.record.body.put(world.clock.now(), hand.record.last_body)
    ran = typed(world, "retire", identity, old, "--apply")
    assert (ran.code, ran.err.partition(":")[0]) == (2, "application-not-ours")
    world.delete(identity)
    ran = typed(world, "retire", identity, old, "--apply")
    assert (ran.code, ran.err.partition(":")[0]) == (2, "registration-not-active")
    assert hand.works()


def test_an_old_secret_is_not_removed_while_the_own_one_is_not_seen_to_be_there() -> None:
    world = World()
    hand = by_hand(world)
    identity = adopted(world, hand)
    [old] = [each.key_id for each in hand.record.passwords if each.display_name == "by hand"]
    world.emulator.vault.delete(world.row(identity).secret_name)
    ran = typed(world, "retire", identity, old, "--apply")
    assert (ran.code, ran.err.partition(":")[0]) == (2, "credential-missing")
    assert hand.works()


def test_a_client_with_a_certificate_keeps_it_and_gets_no_secret() -> None:
    world = World()
    key = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": _base64(), "displayName": "CN=by hand"}
    hand = by_hand(world, keyCredentials=[key])
    hand.record.passwords.clear()
    certificates = list(hand.record.last_body["keyCredentials"])
    hand.record.last_body["uniqueName"] = "by-hand"
    hand.record.body.put(world.clock.now(), hand.record.last_body)
    before = asked(world, hand).json
    assert before["changes"] == ["tags: those of this service are added", "notes: the record of this service"]
    assert (before["found"]["certificates"], before["found"]["secrets"]) == (1, "none")
    identity = adopted(world, hand)
    row = world.row(identity)
    assert (row.status, row.credential_type) == (Status.ACTIVE, "certificate")
    assert hand.record.last_body["keyCredentials"] == certificates
    assert hand.record.passwords == []
    assert row.secret_name not in world.emulator.vault.secrets
    world.reconcile()
    assert [each["code"] for each in world.get(identity)["findings"]] == ["owners-added-by-hand"], "its maker"


def test_a_client_with_a_secret_and_a_certificate_goes_on_with_a_secret() -> None:
    world = World()
    key = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": _base64(), "displayName": "CN=by hand"}
    hand = by_hand(world, keyCredentials=[key])
    row = world.row(adopted(world, hand))
    assert (row.status, row.credential_type) == (Status.ACTIVE, "secret")
    assert token_answer(world, hand.client_id, world.emulator.vault.get(row.secret_name)["value"]).status_code == 200
    assert hand.works()


def test_a_foreign_secret_is_not_removed_while_the_certificate_is_not_seen_to_be_there() -> None:
    world = World()
    certificate = {"type": "certificate", "certificate": a_certificate().pem}
    identity = world.registered(a_service_client(resource=MANAGED, appRoles=[], credential=certificate))[
        "registrationId"
    ]
    [(object_id, record)] = world.emulator.directory.records.items()
    added = Client(world.emulator).graph("POST", f"/applications/{object_id}/addPassword", {}).json()
    certificates = record.last_body["keyCredentials"]
    record.last_body["keyCredentials"] = []
    record.body.put(world.clock.now(), record.last_body)
    ran = typed(world, "retire", identity, added["keyId"], "--apply")
    assert (ran.code, ran.err.partition(":")[0]) == (2, "credential-missing")
    record.last_body["keyCredentials"] = certificates
    record.body.put(world.clock.now(), record.last_body)
    assert (
        typed(world, "retire", identity, added["keyId"]).out
        == f"Would remove {added['keyId']} (unnamed) of {identity}.\n"
    )
    told = {"registrationId": identity, "keyId": added["keyId"], "label": "", "applied": True}
    assert typed(world, "retire", identity, added["keyId"], "--apply", "--json").json == told


def _base64() -> str:
    return "".join(a_certificate().pem.splitlines()[1:-1])


def test_a_web_application_keeps_its_redirect_uris_and_its_scopes() -> None:
    world = World()
    hand = by_hand(
        world,
        web={"redirectUris": ["https://app.contoso.example/cb"], "logoutUrl": "https://app.contoso.example/out"},
        requiredResourceAccess=[{"resourceAppId": FHIR_APP_ID, "resourceAccess": [scope_of(world)]}],
    )
    found = world.get(adopted(world, hand))
    assert found["clientType"] == "confidential"
    assert found["redirectUris"] == ["https://app.contoso.example/cb"]
    assert (found["scopes"], found["logoutUrl"]) == (["patient.Patient.rs"], "https://app.contoso.example/out")
    assert hand.works()


@pytest.mark.parametrize(
    ("platform", "properties"),
    [
        ("spa", {"spa": {"redirectUris": ["https://app.contoso.example/cb"]}}),
        ("native", {"publicClient": {"redirectUris": ["com.contoso.app://auth"]}}),
    ],
)
def test_a_public_client_is_of_the_platform_that_its_redirect_uris_are_of(
    platform: str, properties: dict[str, Any]
) -> None:
    world = World()
    scopes: dict[str, Any] = {
        "requiredResourceAccess": [{"resourceAppId": FHIR_APP_ID, "resourceAccess": [scope_of(world)]}]
    }
    hand = by_hand(world, **properties, **scopes)
    hand.record.passwords.clear()
    found = world.get(adopted(world, hand))
    assert (found["clientType"], found["platform"]) == ("public", platform)
    assert [found["redirectUris"]] == [each["redirectUris"] for each in properties.values()]


def scope_of(world: World, name: str = "patient.Patient.rs") -> dict[str, str]:
    fhir = world.emulator.directory.resource(FHIR_APP_ID)
    assert fhir is not None
    scopes = {each["value"]: each["id"] for each in fhir.exposed["oauth2PermissionScopes"]}
    return {"id": scopes[name], "type": "Scope"}


def role_of(world: World, server: dict[str, Any], name: str = "globalExporter") -> tuple[str, dict[str, str]]:
    resource = world.emulator.directory.resource(server["clientId"])
    assert resource is not None
    roles = {each["value"]: each["id"] for each in resource.exposed["appRoles"]}
    return server["clientId"], {"id": roles[name], "type": "Role"}


def test_what_it_asks_of_several_resources_and_what_would_need_an_approval_is_said() -> None:
    world = World()
    client_id, role = role_of(world, world.registered(a_resource()))
    world.policy = a_policy({"id": "names", "kind": "displayName", "pattern": "never", "approval": "approver"})
    world.services = world.new_process()
    others = [
        {"resourceAppId": FHIR_APP_ID, "resourceAccess": [scope_of(world)]},
        {"resourceAppId": client_id, "resourceAccess": [role]},
    ]
    hand = by_hand(world, requiredResourceAccess=others)
    ran = asked(world, hand)
    assert "what it asks of other resources stays declared, and is not managed here" in ran.json["changes"]
    assert ran.json["approvalsNotAsked"] == ["names"]
    told = typed(
        world, "adopt", hand.client_id, "--owner", OWNER, "--contact", "t@contoso.example", "--resource", MANAGED
    )
    assert "A new request would need an approval (names); what exists is adopted." in told.out


@pytest.mark.parametrize("option", ["--type", "--resource"])
def test_what_only_a_person_knows_has_to_be_said(option: str) -> None:
    world = World()
    several: dict[str, Any] = {
        name: {"redirectUris": [f"https://{name}.contoso.example/cb"]} for name in ("web", "spa")
    }
    hand = by_hand(world, **(several if option == "--type" else {}))
    more = () if option == "--resource" else ("--resource", MANAGED)
    ran = typed(world, "adopt", hand.client_id, "--owner", OWNER, "--contact", "t@contoso.example", *more)
    assert ran.code == 2
    assert f"  {option} required: " in ran.err


@pytest.mark.parametrize("named", ["registrationId", "clientId", "fhirServerUrl"])
def test_the_resource_that_is_named_is_the_one_of_several_whose_permissions_count(named: str) -> None:
    world = World()
    server, other = (
        world.registered(a_resource(fhirServerUrl=f"https://{name}.contoso.example")) for name in ("fhir", "other")
    )
    roles = [role_of(world, other, "globalAdmin"), role_of(world, server)]
    asks = [{"resourceAppId": client_id, "resourceAccess": [role]} for client_id, role in roles]
    hand = by_hand(world, requiredResourceAccess=asks)
    reference = server[named].upper() if named == "registrationId" else server[named]
    assert world.get(adopted(world, hand, "--resource", reference))["appRoles"] == ["globalExporter"]


def test_a_managed_service_that_is_named_is_the_one_whose_permissions_count() -> None:
    world = World()
    client_id, role = role_of(world, world.registered(a_resource()))
    asks = [
        {"resourceAppId": client_id, "resourceAccess": [role]},
        {"resourceAppId": FHIR_APP_ID, "resourceAccess": [scope_of(world)]},
    ]
    hand = by_hand(world, requiredResourceAccess=asks, web={"redirectUris": ["https://app.contoso.example/cb"]})
    found = world.get(adopted(world, hand, "--resource", FHIR_URL, "--auto-rotate", "--secret-lifetime", "P90D"))
    assert (found["scopes"], found["autoRotate"], found["secretLifetime"]) == (["patient.Patient.rs"], True, "P90D")


@pytest.mark.parametrize("reference", ["0" * 8 + "-" + PERSON, "https://nobody.example"])
def test_a_resource_that_is_nowhere_is_refused_as_in_a_request(reference: str) -> None:
    world = World()
    ran = asked(world, by_hand(world), "--resource", reference)
    assert (ran.code, "resource-not-" in ran.err) == (2, True)


def test_the_identity_that_owns_and_marks_it_is_that_of_the_app_whoever_runs_the_command() -> None:
    world = World(settings={"REGISTRAR_OBJECT_ID": PERSON})
    hand = by_hand(world, owned=False)
    ran = asked(world, hand)
    assert (ran.code, ran.json["faults"]) == (0, [])
    hand.record.owners = {REGISTRAR_OBJECT_ID}
    ran = asked(world, hand)
    assert (ran.code, ran.json["faults"][0].rpartition(" ")[2]) == (2, PERSON)


def test_a_client_that_is_adopted_is_among_those_of_its_resource_at_once_and_once() -> None:
    world = World()
    server = world.registered(a_resource())
    client_id, role = role_of(world, server)
    hand = by_hand(world, requiredResourceAccess=[{"resourceAppId": client_id, "resourceAccess": [role]}])
    world.outside = done_twice("registry.insert")
    ran = asked(world, hand, "--apply", "--resource", server["registrationId"])
    assert ran.code == 0
    assert not [each for each in ran.json["changes"] if "of other resources" in each]
    listed = world.registry.clients(server["registrationId"], top=10).clients
    assert [each.registration_id for each in listed] == [ran.json["registrationId"]]


def test_of_what_cannot_be_adopted_people_read_what_to_do_and_not_that_apply_would_do_it() -> None:
    world = World()
    hand = by_hand(world, owned=False)
    asked_for = ("--owner", OWNER, "--contact", "t@contoso.example", "--resource", MANAGED, "--apply")
    last, *_ = reversed(typed(world, "adopt", hand.client_id, *asked_for).out.splitlines())
    assert last.startswith("Not possible: This app's identity does not own it")


def test_what_a_newer_version_has_adopted_is_not_adopted_again() -> None:
    world = World()
    hand = by_hand(world)
    identity = adopted(world, hand)
    assert isinstance(world.registry, MemoryRegistry)
    world.registry.unreadable.add(identity)
    ran = asked(world, hand, "--apply")
    assert (ran.code, "It is registered already" in ran.json["faults"][0]) == (2, True)


def test_a_client_of_a_server_that_is_registered_here_asks_for_what_it_asked_for() -> None:
    world = World()
    server = world.registered(a_resource())
    client_id, role = role_of(world, server)
    hand = by_hand(world, requiredResourceAccess=[{"resourceAppId": client_id, "resourceAccess": [role]}])
    found = world.get(adopted(world, hand, "--resource", "https://fhir.contoso.example"))
    assert (found["appRoles"], found["resource"]) == (["globalExporter"], "https://fhir.contoso.example")


@pytest.mark.parametrize("status", [400, 403])
def test_a_unique_name_that_cannot_be_set_is_done_without(status: int) -> None:
    world = World()
    hand = by_hand(world)
    world.emulator.faults.add(Fault("status", "graph.updateApplication", status=status, skip=1))
    ran = asked(world, hand, "--apply")
    assert ran.code == 0
    assert ran.err.startswith("Its uniqueName stays empty (")
    world.settle()
    identity = str(ran.json["registrationId"])
    assert hand.record.last_body["uniqueName"] is None
    world.clock.time += timedelta(days=150)
    world.settle()
    assert world.change(identity, {"displayName": "Changed"}).status == 202
    world.settle()
    assert hand.record.last_body["displayName"] == "Changed"
    assert world.delete(identity).status == 202
    world.settle()
    assert (world.row(identity).status, hand.record.deleted_at is not None) == (Status.DELETED, True)


def test_what_was_adopted_is_rebuilt_like_any_other() -> None:
    world = World()
    identity = adopted(world, by_hand(world))
    before = world.row(identity)
    assert isinstance(world.registry, MemoryRegistry)
    world.registry.rows.clear()
    assert typed(world, "rebuild", "--apply", "--json").json["counts"] == {"restored": 1}
    assert (world.row(identity).request, world.row(identity).secret) == (before.request, before.secret)


def test_an_adoption_that_dies_anywhere_is_run_again() -> None:
    alive, writes = World(), list[str]()
    made = by_hand(alive)

    def one() -> tuple[World, ByHand]:
        world = alive.copy()
        return world, replace(made, world=world, record=world.emulator.directory.records[made.record.id])

    world, hand = one()
    world.outside = noting(writes)
    assert asked(world, hand, "--apply").code == 0
    assert len(writes) > 5
    for number, after in product(range(len(writes)), (False, True)):
        world, hand = one()
        world.outside = dying(number, after=after)
        with pytest.raises(Died):
            asked(world, hand, "--apply")
        world.outside = straight
        again = asked(world, hand, "--apply")
        assert again.code == 0 or "registered already" in again.json["faults"][0]
        world.settle()
        [row] = world.registry.find(top=10).registrations
        assert (row.status, row.client_id, hand.works()) == (Status.ACTIVE, hand.client_id, True)


REFUSED: dict[str, tuple[dict[str, Any], str]] = {
    "another's": ({"owned": False}, "az ad app owner add --id"),
    "several tenants": ({"signInAudience": "AzureADMultipleOrgs"}, "set its signInAudience to AzureADMyOrg"),
    "implicit grant": (
        {"web": {"implicitGrantSettings": {"enableIdTokenIssuance": True}, "redirectUris": ["https://a.example/cb"]}},
        "The implicit grant is on",
    ),
    "device code": ({"isFallbackPublicClient": True}, "The device code flow is on"),
    "notes": ({"notes": NOTES}, "Its notes hold something"),
    "several platforms": (
        {"web": {"redirectUris": ["https://a.example/cb"]}, "spa": {"redirectUris": ["https://b.example/cb"]}},
        "It has redirect URIs of several platforms: keep those of one",
    ),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_adopted_as_it_is_says_what_to_do_first(name: str) -> None:
    world = World()
    properties, fault = REFUSED[name]
    hand = by_hand(world, **properties)
    before = dict(hand.record.last_body)
    options = ("--type", "service") if name in ("implicit grant", "several platforms") else ()
    ran = asked(world, hand, "--apply", *options)
    assert (ran.code, ran.json["applied"]) == (2, False)
    assert any(fault in each for each in ran.json["faults"])
    assert hand.record.last_body == before


def test_notes_are_replaced_where_somebody_says_so() -> None:
    world = World()
    hand = by_hand(world, notes=NOTES)
    adopted(world, hand, "--replace-notes")
    assert hand.record.last_body["notes"].startswith('{"contact"')


def test_what_another_installation_has_registered_is_not_taken_from_it() -> None:
    world = World()
    mark = "0badc0de-11111111-2222-4333-8444-555555555555"
    tags = ["fhir-registrar", f"fhir-registrar:id={mark}", f"fhir-registrar:adopted-by={PERSON}"]
    hand = by_hand(world, tags=tags, notes='{"change":0}')
    ran = asked(world, hand, "--apply", "--replace-notes")
    assert (ran.code, "another installation's" in ran.json["faults"][0]) == (2, True)
    assert hand.record.last_body["tags"] == tags


def test_a_unique_name_that_is_there_is_said_and_stays() -> None:
    world = World()
    hand = by_hand(world, uniqueName="hr-export")
    ran = asked(world, hand, "--apply")
    assert (ran.code, ran.err, ran.json["found"]["uniqueName"]) == (0, "", "hr-export")
    assert not [each for each in ran.json["changes"] if each.startswith("uniqueName")]
    sent = [each.operation for each in world.emulator.calls if each.operation == "graph.updateApplication"]
    assert len(sent) == 1, "its marks, and no name"
    world.settle()
    assert hand.record.last_body["uniqueName"] == "hr-export"


def test_an_api_is_not_adopted() -> None:
    world = World()
    scope = {
        "id": PERSON,
        "value": "read",
        "type": "User",
        "isEnabled": True,
        "adminConsentDisplayName": "x",
        "adminConsentDescription": "x",
        "userConsentDisplayName": "x",
        "userConsentDescription": "x",
    }
    hand = by_hand(world, api={"oauth2PermissionScopes": [scope]})
    ran = asked(world, hand, "--apply", "--type", "service")
    assert (ran.code, "register the FHIR server anew" in ran.json["faults"][0]) == (2, True)


def test_an_application_that_is_not_there_is_3_and_one_that_is_registered_is_2() -> None:
    world = World()
    hand = by_hand(world)
    nobody = ByHand(world, PERSON, "", None)
    assert asked(world, nobody).code == 3
    adopted(world, hand)
    ran = asked(world, hand, "--apply")
    assert (ran.code, "It is registered already" in ran.json["faults"][0]) == (2, True)


def test_a_resource_that_may_not_be_asked_for_is_refused_as_in_a_request() -> None:
    world = World()
    hand = by_hand(world)
    ran = asked(world, hand, "--resource", "https://vault.azure.net")
    assert (ran.code, "resource-not-allowed" in ran.err) == (2, True)
