"""What the commands print for people, word by word; ids, times and columns are left out."""

import re

import pytest

from tests.unit.operator.test_adopt import by_hand
from tests.worlds.command_line import typed
from tests.worlds.request_bodies import MANAGED, OWNER, a_service_client
from tests.worlds.world import World

REPLACED = {
    "ID": r"[0-9a-f]{8}-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "GUID": r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}",
    "TIME": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z",
    "az ROLE": r"az role assignment create .*",
    " ": r" +",
}
WELL = {
    "status": """
        registrations: 1 active
        pending: none
        overdue: none
        oldestDueAt: none
        noticesWaiting: none
        callbacksWaiting: none
        failed: none
        findings: none""",
    "list": """
        ID TYPE STATUS OPERATION OWNER NAME
        ID service active provision succeeded GUID Export""",
    "show ID": """
        displayName: Export
        owner: GUID
        contact: team@contoso.example
        resource: https://ws-svc.fhir.azurehealthcareapis.com
        clientType: service
        credential.type: secret
        registrationId: ID
        status: active
        operation.id: GUID
        operation.type: provision
        operation.status: succeeded
        operation.requestedAt: TIME
        createdAt: TIME
        updatedAt: TIME
        tenantId: GUID
        clientId: GUID
        applicationObjectId: GUID
        servicePrincipalId: GUID
        oauth.authority: https://localhost:8443/GUID/v2.0
        oauth.tokenEndpoint: https://localhost:8443/GUID/oauth2/v2.0/token
        oauth.authorizationEndpoint: https://localhost:8443/GUID/oauth2/v2.0/authorize
        oauth.scope: https://ws-svc.fhir.azurehealthcareapis.com/.default
        secret.id: https://localhost:8443/secrets/fhir-registrar-ID
        secret.keyId: GUID
        secret.expiresAt: TIME
        secret.rotatesAt: TIME
        usage.reason: sign-in-activity-off
        usage.credentials: keyId GUID reason sign-in-activity-off
        nextSteps: assign-fhir-data-role: an Owner or User Access Administrator of the FHIR service az ROLE
        nextSteps: grant-vault-read: an Owner or User Access Administrator of the key vault az ROLE""",
    "due --within P8D": """
        DUE AT ID TYPE STATUS WHAT
        TIME ID service active look at it""",
    "due": "Nothing is due.",
    "plan": "Nothing would be done.",
    "findings": "There is nothing that a person has to see to.",
    "events ID": """
        TIME WHAT OUTCOME CODE WHO
        TIME requested accepted - key
        TIME provisioned succeeded - queue""",
    "rotate ID --dry-run": "It would be active, with rotate. Nothing was done.",
    "rotate ID": "ID: rotate pending, asked for by GUID",
    "rebuild": "1 there. Nothing was written: --apply does it.",
    "rebuild --apply": "1 there.",
    "list --status failed": "There are none.",
}
FOUND = """
    Export of 2023 (GUID)
    type: service
    secrets: by hand, until TIME
    certificates: none
    redirectUris: none
    resources: none
    tags: HR, export
    uniqueName: none

    {}:
    tags: those of this service are added
    notes: the record of this service
    uniqueName: fhir-registrar-ID, if Entra lets it be set
    a secret of its own, proven and kept as fhir-registrar-ID in the vault
    the secrets that are there stay, until somebody removes them with `retire`

    {}"""


def words(text: str) -> list[str]:
    for instead, pattern in REPLACED.items():
        text = re.sub(pattern, instead, text)
    return [line.strip() for line in text.strip().splitlines()]


@pytest.mark.parametrize("command", WELL)
def test_of_what_is_well_people_read(command: str) -> None:
    world = World()
    body = a_service_client(resource=MANAGED, appRoles=[], displayName="Export")
    identity = world.registered(body)["registrationId"]
    ran = typed(world, *command.replace("ID", identity).split())
    assert (words(ran.out), ran.err, ran.code) == (words(WELL[command]), "", 0)


def test_of_a_finding_people_read_what_to_do() -> None:
    world = World()
    identity = world.registered(a_service_client(resource=MANAGED, appRoles=[], displayName="Export"))["registrationId"]
    [application] = world.emulator.directory.records.values()
    application.last_body["notes"] = "somebody's own"
    application.body.put(world.clock.now(), application.last_body)
    world.reconcile()
    remedy = "Keep notes elsewhere; the next change of the registration restores them."
    ran = typed(world, "findings")
    assert (words(ran.out), ran.code) == (["ID NAME CODE REMEDY", f"ID Export notes-changed {remedy}"], 1)
    assert words(typed(world, "status").out)[-1] == "findings: 1 notes-changed"
    assert f"{remedy}" in next(each for each in words(typed(world, "show", identity).out) if "findings:" in each)


def test_of_nothing_to_rebuild_people_read_so() -> None:
    assert words(typed(World(), "rebuild", "--apply").out) == ["no application has our mark."]


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ((), ("Would change", "Nothing was written: --apply does it.")),
        (("--apply",), ("Changed now", "Adopted as ID: see `show`.")),
    ],
    ids=["before", "done"],
)
def test_of_an_adoption_people_read(options: tuple[str, ...], told: tuple[str, str]) -> None:
    world = World()
    hand = by_hand(world, tags=["HR", "export"])
    asked = ("--owner", OWNER, "--contact", "team@contoso.example", "--resource", MANAGED, *options)
    ran = typed(world, "adopt", hand.client_id, *asked)
    assert (words(ran.out), ran.code) == (words(FOUND.format(*told)), 0)
