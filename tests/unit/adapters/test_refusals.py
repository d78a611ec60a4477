"""What Graph, Key Vault and the token endpoint refuse is told apart by their codes; a text decides only without one."""

import json
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

import pytest
import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPResponse

from dev.emulator.faults import Fault
from provisioning.adapters.graph_errors import (
    REPLICATION,
    certificate_error,
    error_of,
    name_taken_error,
    refusal,
    request_id,
)
from provisioning.domain.errors import CredentialNotFound, NeedsOperator, OutcomeUnknown, ProvisioningError, TryAgain
from provisioning.domain.secrets import MintedSecret
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.world import World

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
MISSING = "ServiceManagementReference field is required for Create, but is missing in the request. Refer to the TSG"
UNKNOWN = "Invalid value provided for property ServiceManagementReference: Service not found for id 0 Refer to the TSG"
SIZE = "The size of the object has exceeded its limit. Please reduce the number of values and retry your request."
SAME_URI = "Another object with the same value for property identifierUris already exists."
SAME_NAME = "Another object with the same value for property uniqueName already exists."


def refused(status: int, code: str | None, message: str = "", details: Any = None) -> Any:
    """Return a refusal of Graph as the adapter reads it."""
    error = {"code": code, "message": message, "details": details, "innerError": {"request-id": "an-id"}}
    body = BytesIO(json.dumps({"error": error}).encode())
    request = requests.Request("POST", "https://graph.microsoft.com/").prepare()
    answer = HTTPResponse(body, {"Retry-After": "7"}, status=status, preload_content=False)
    return refusal(HTTPAdapter().build_response(request, answer), NOW)


def conflict(target: str) -> list[dict[str, str]]:
    return [{"code": "ObjectConflict", "message": "…", "target": target}]


@pytest.mark.parametrize(
    ("status", "code", "message", "details", "ours"),
    [
        (400, "ServiceTreeValueMissing", MISSING, None, "service-management-reference-required"),
        (400, "ServiceTreeNullValueProvided", UNKNOWN, None, "service-management-reference-required"),
        (400, "ServiceTreeInvalid", MISSING, None, "service-management-reference-refused"),
        (400, "Request_BadRequest", MISSING, None, "service-management-reference-required"),
        (400, "Request_BadRequest", UNKNOWN, None, "service-management-reference-refused"),
        (403, "Directory_ResourceSizeExceeded", "", None, "application-too-large"),
        (400, "Request_BadRequest", SIZE, None, "application-too-large"),
        (403, "Directory_QuotaExceeded", SIZE, None, "quota-exceeded"),
        (403, "Authorization_RequestDenied", SAME_URI, None, "permission-missing"),
        (400, "Request_BadRequest", SAME_URI, conflict("identifierUris"), "identifier-uri-taken"),
        (400, "Request_BadRequest", SAME_URI, None, "identifier-uri-taken"),
        (400, "ObjectConflict", "conflicting object exists", conflict("identifierUris"), "identifier-uri-taken"),
        (400, "HostNameNotOnVerifiedDomain", "The newly added URI", None, "domain-not-verified"),
        (400, "InvalidUniqueTenantIdentifierAsPerAppPolicy", "a verified domain", None, "identifier-uri-refused"),
        (400, "Request_BadRequest", "The newly added URI api://x must comply with", None, "identifier-uri-refused"),
        (400, "CredentialTypeNotAllowedAsPerAppPolicy", "concurrent lifetime", None, "secrets-forbidden"),
        (400, "CredentialInvalidLifetimeAsPerAppPolicy", "", None, "secret-lifetime-refused"),
        (400, "Request_BadRequest", "Credential lifetime exceeds the max value", None, "secret-lifetime-refused"),
        (400, "Request_BadRequest", "A lifetime of no interest here.", None, "graph-refused"),
        (400, "Request_BadRequest", "Insufficient privileges to complete", None, "graph-refused"),
    ],
)
def test_a_code_of_graph_says_what_is_refused_and_a_text_only_without_one(
    status: int, code: str, message: str, details: Any, ours: str
) -> None:
    error = error_of(refused(status, code, message, details))
    assert isinstance(error, NeedsOperator)
    assert error.code == ours
    assert error.remedy
    assert error.graph_request_id == "an-id"


@pytest.mark.parametrize(
    ("status", "code", "message", "ours"),
    [
        (429, "Directory_ConcurrencyViolation", "", "graph-throttled"),
        *((status, "ServiceTreeInvalid", "", "graph-unavailable") for status in (408, 423, 424, 425, 500, 503, 599)),
        (401, "InvalidAuthenticationToken", "", "graph-token-refused"),
        (409, "Directory_ConcurrencyViolation", "", "graph-concurrent-write"),
        (400, "Request_BadRequest", "Error due to concurrent requests being made.", "graph-concurrent-write"),
        (404, "Request_ResourceNotFound", "a concurrent write", "not-replicated-yet"),
        (404, "Directory_ObjectNotFound", "Unable to read the company information", "not-replicated-yet"),
        (409, "Error_MsaAppDoesNotExist", "", "not-replicated-yet"),
        (400, "Request_BadRequest", "does not reference a valid application object", "not-replicated-yet"),
        (
            403,
            "Authorization_RequestDenied",
            "the backing application … must in the local tenant",
            "not-replicated-yet",
        ),
    ],
)
def test_what_passes_is_told_apart_in_the_same_way(status: int, code: str, message: str, ours: str) -> None:
    error = error_of(refused(status, code, message))
    assert isinstance(error, TryAgain)
    assert (error.code, error.retry_after, error.graph_request_id) == (ours, 7, "an-id")
    assert error.remedy


@pytest.mark.parametrize(
    ("status", "code", "message", "details", "said"),
    [
        (400, "Request_BadRequest", SAME_NAME, conflict("uniqueName"), "a name is taken"),
        (400, "Request_BadRequest", SAME_NAME, None, "a name is taken"),
        (400, "ObjectConflict", "conflicting object exists", None, "a name is taken"),
        (409, "Request_MultipleObjectsWithSameKeyValue", "", None, "a name is taken"),
        (409, None, "", None, "a name is taken"),
        (400, "Request_BadRequest", "The tag already exists.", None, "it exists"),
        (400, "Request_BadRequest", "…", conflict("appRoles"), "it exists"),
        (409, "Directory_ConcurrencyViolation", "already exists", None, "neither"),
        (409, "Error_MsaAppDoesNotExist", "", None, "neither"),
        (400, "ServiceTreeInvalid", SAME_NAME, None, "neither"),
    ],
)
def test_whether_something_exists_is_told_by_code_and_property(
    status: int, code: str | None, message: str, details: Any, said: str
) -> None:
    refusal = refused(status, code, message, details)
    assert refusal.name_taken is (said == "a name is taken")
    assert refusal.already_exists is (said != "neither")


@pytest.mark.parametrize(
    ("status", "unfinished"),
    [(s, True) for s in (408, 423, 424, 425, 500, 504)] + [(s, False) for s in (400, 409, 422, 426, 429, 499)],
)
def test_what_may_have_taken_effect_all_the_same_is_told_by_the_status(status: int, *, unfinished: bool) -> None:
    assert refused(status, "Request_BadRequest").unfinished is unfinished


@pytest.mark.parametrize(
    ("status", "code", "missing"),
    [
        (404, "Request_ResourceNotFound", True),
        (404, "Directory_ObjectNotFound", False),
        (404, None, False),
        (400, "Request_ResourceNotFound", False),
    ],
)
def test_what_is_not_there_is_told_by_status_and_code_together(status: int, code: str | None, *, missing: bool) -> None:
    assert refused(status, code).missing is missing


@pytest.mark.parametrize(
    ("status", "code", "message", "inline"),
    [
        (400, "Request_BadRequest", "Property 'passwordCredentials' is not allowed.", True),
        (400, "Request_BadRequest", "A password credential is not allowed here.", True),
        (400, "Request_BadRequest", "Something else.", False),
        (400, "CredentialTypeNotAllowedAsPerAppPolicy", "passwordCredentials", False),
        (403, "Request_BadRequest", "passwordCredentials", False),
    ],
)
def test_a_secret_in_the_create_call_is_refused_by_a_text_alone(
    status: int, code: str, message: str, *, inline: bool
) -> None:
    assert refused(status, code, message).inline_secret_refused is inline


def test_a_refusal_that_nobody_knows_is_told_by_its_status_and_codes() -> None:
    assert "status 400 (no code)" in error_of(refused(400, None)).message
    several = [{"code": "AnotherNew", "message": ""}]
    assert "status 418 (AnotherNew, SomethingNew)" in error_of(refused(418, "SomethingNew", details=several)).message


def test_the_id_of_a_request_is_a_short_plain_text_or_none() -> None:
    told: list[object] = ["an-id-1", "x" * 64, "x" * 65, "an id", "", None, 5, {}]
    assert [request_id(each) for each in told] == ["an-id-1", "x" * 64, *[None] * 6]


def test_whose_name_is_taken_is_told_by_the_property_that_graph_names() -> None:
    code = "Request_BadRequest"
    assert name_taken_error(refused(400, code, SAME_NAME, conflict("identifierUris"))).code == "identifier-uri-taken"
    assert name_taken_error(refused(400, code, SAME_URI, conflict("uniqueName"))).code == "unique-name-taken"


def test_the_remedy_of_a_used_up_quota_names_the_role_that_lifts_it() -> None:
    error = error_of(refused(403, "Directory_QuotaExceeded"))
    assert "250" in error.message
    assert "microsoft.directory/applications/create" in error.remedy


def test_a_credential_that_is_gone_has_no_code_of_its_own() -> None:
    said = "No password credential found with keyId '0'."
    assert isinstance(error_of(refused(400, "Request_BadRequest", said)), CredentialNotFound)
    assert not isinstance(error_of(refused(404, "Request_ResourceNotFound", said)), CredentialNotFound)


@pytest.mark.parametrize(
    ("code", "message", "ours"),
    [
        ("KeyCredentialsInvalidEndDate", "", "certificate-refused"),
        ("KeyCredentialsInvalidValue", "", "certificate-refused"),
        ("Request_BadRequest", "Key credential end date is invalid.", "certificate-refused"),
        ("CredentialInvalidLifetimeAsPerAppPolicy", "", "certificate-lifetime-refused"),
        ("ServiceTreeInvalid", "key credential", None),
        ("Request_BadRequest", "Something else.", None),
    ],
)
def test_what_is_wrong_with_a_certificate_is_told_by_its_code(code: str, message: str, ours: str | None) -> None:
    error = certificate_error(refused(400, code, message))
    assert (error.code if error else None) == ours
    assert certificate_error(refused(403, code, message)) is None


def test_a_directory_that_cannot_be_read_is_no_application_that_is_missing() -> None:
    world = World()
    world.registered(a_resource())
    registration_id = str(world.registered(a_service_client())["registrationId"])
    world.clock.sleep(7200)
    world.emulator.faults.add(
        Fault("status", "graph.readApplication", status=404, code="Directory_ObjectNotFound", times=2)
    )
    assert world.rotate(registration_id).status == 202
    world.deliver()
    shown = world.get(registration_id)["operation"]
    assert shown["status"] == "succeeded", shown


# --- Key Vault ------------------------------------------------------------------------------------------------------


def published(world: World) -> None:
    minted = MintedSecret("key", world.clock.now(), world.clock.now(), text="text")
    world.services.vault.publish("name", minted, {}, world.clock.now())


@pytest.mark.parametrize(
    ("inner", "ours", "family"),
    [
        ("ObjectIsDeletedButRecoverable", "vault-secret-deleted", NeedsOperator),
        ("ObjectIsBeingDeleted", "vault-secret-deleting", TryAgain),
        ("ObjectIsBeingRecovered", "vault-secret-deleting", TryAgain),
        ("", "vault-conflict", TryAgain),
        ("SomethingNew", "vault-conflict", TryAgain),
    ],
)
def test_only_one_conflict_of_key_vault_is_a_deleted_secret(inner: str, ours: str, family: type) -> None:
    world = World()
    world.emulator.faults.add(Fault("status", "vault.setSecret", status=409, code="Conflict", detail=inner))
    with pytest.raises(ProvisioningError) as raised:
        published(world)
    assert raised.value.code == ours
    assert isinstance(raised.value, family)
    assert not isinstance(raised.value, OutcomeUnknown)


@pytest.mark.parametrize(("status", "final"), [(400, True), (403, True), (499, True), (500, False), (503, False)])
def test_key_vault_refuses_for_good_by_any_status_of_the_caller_and_by_none_of_its_own(
    status: int, *, final: bool
) -> None:
    world = World()
    world.emulator.faults.add(Fault("status", "vault.setSecret", status=status, code="SomethingNew"))
    with pytest.raises(ProvisioningError) as raised:
        published(world)
    assert isinstance(raised.value, NeedsOperator) is final


def test_a_404_of_somebody_on_the_way_is_no_secret_that_is_missing() -> None:
    world = World()
    for ask in (world.services.vault.current, world.services.vault.read, world.services.vault.remove):
        world.emulator.faults.add(Fault("status", "vault.*", status=404, code="NotFound"))
        with pytest.raises(TryAgain) as raised:
            ask("name")
        assert raised.value.code == "vault-unavailable"
    assert world.services.vault.current("name") is None


# --- the token endpoint ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [50196, 90006, 90012, 90024, 90033, 90055])
def test_a_loop_guard_and_a_hiccup_of_the_token_endpoint_are_no_refusal(number: int) -> None:
    world = World()
    world.registered(a_resource())
    refusing = Fault("status", "token.clientCredentials", status=400, code="invalid_grant", detail=str(number), times=2)
    world.emulator.faults.add(refusing)
    world.registered(a_service_client())


def test_the_remedy_of_a_404_to_a_young_application_is_to_look_for_it() -> None:
    assert error_of(refused(404, "Request_ResourceNotFound")).remedy == REPLICATION
