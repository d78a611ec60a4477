"""What a notice says, when an expiry is told, and the CloudEvent that it becomes."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from enum import StrEnum
from pathlib import Path
from typing import Any, cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.domain.approval import Approval, Proposal
from provisioning.domain.intake import fingerprint, parse
from provisioning.domain.notices import (
    APPROVAL_REQUESTED,
    DRIFT,
    EXPIRING,
    HEARTBEAT,
    SECRET_IN_USE,
    THRESHOLDS,
    Notice,
    are_same,
    cloud_event,
    expiry_days,
    heartbeat,
    next_expiry_notice,
    of_drift,
    of_ended_operation,
    of_expiry,
    of_requested_approval,
    of_secret_in_use,
    source_of,
)
from provisioning.domain.operation import Failure, LastError, Operation, OperationStatus, OperationType
from provisioning.domain.registration import Registration, Status
from provisioning.domain.secrets import SecretState
from provisioning.domain.usage import CredentialUse, Usage
from tests.documents import blocks, differences
from tests.worlds.request_bodies import OWNER, a_service_client
from tests.worlds.world import World

NOW = datetime(2026, 1, 15, 12, 0, 0, 123456, tzinfo=UTC)
DAY = timedelta(days=1)
ID = "cf4c4732-e2dac6e6-8deb-4deb-b54d-7987f82f2a96"
OPERATION = "0d7d1a1e-3a1a-4a5b-9d0e-5b1f6c8f2a11"


class Kind(StrEnum):
    """The types that an operation can have, apart from which of them there are yet."""

    PROVISION = "provision"
    ROTATE = "rotate"
    CHANGE = "change"
    DELETE = "delete"


def a_registration(**changes: Any) -> Registration:
    request = parse(a_service_client())
    registration = Registration(
        id=ID,
        caller="caller",
        request=request,
        request_hash=fingerprint(request),
        status=Status.ACTIVE,
        operation=Operation(OPERATION, OperationType.PROVISION, OperationStatus.SUCCEEDED, NOW),
        created_at=NOW,
        updated_at=NOW + timedelta(seconds=7),
        client_id="client",
        secret=SecretState(f"https://vault/secrets/{ID}", "key", NOW + 180 * DAY),
        last_error=LastError(Failure("other", "text"), passing=True),
    )
    return replace(registration, **changes)


def ended(kind: Kind, status: OperationStatus, failure: Failure | None = None) -> Registration:
    return a_registration(operation=Operation(OPERATION, cast("OperationType", kind), status, NOW, failure))


@pytest.mark.parametrize(
    ("kind", "status", "told"),
    [
        (Kind.PROVISION, OperationStatus.SUCCEEDED, "registration.active"),
        (Kind.PROVISION, OperationStatus.FAILED, "registration.failed"),
        (Kind.ROTATE, OperationStatus.SUCCEEDED, "registration.rotated"),
        (Kind.ROTATE, OperationStatus.FAILED, "registration.rotation-failed"),
        (Kind.CHANGE, OperationStatus.SUCCEEDED, "registration.changed"),
        (Kind.CHANGE, OperationStatus.FAILED, "registration.change-failed"),
        (Kind.DELETE, OperationStatus.SUCCEEDED, "registration.deleted"),
    ],
)
def test_an_operation_that_ended_is_told_by_its_type_and_how_it_ended(
    kind: Kind, status: OperationStatus, told: str
) -> None:
    notice = of_ended_operation(ended(kind, status))
    assert (notice.type, notice.subject, notice.time) == (told, ID, NOW + timedelta(seconds=7))
    assert notice.id.startswith(f"{OPERATION}-{told.removeprefix('registration.')}-")


def test_an_operation_that_has_not_ended_is_not_told() -> None:
    with pytest.raises(ValueError, match="pending"):
        of_ended_operation(ended(Kind.PROVISION, OperationStatus.PENDING))


def test_a_notice_says_whose_it_is_what_happened_and_what_to_do() -> None:
    failure = Failure("vault-denied", "Key Vault denied the request.", "Grant the role.", "request-id")
    notice = of_ended_operation(
        replace(ended(Kind.PROVISION, OperationStatus.FAILED, failure), status=Status.FAILED, secret=None)
    )
    assert notice.data == {
        "clientType": "service",
        "displayName": "A service",
        "owner": OWNER,
        "contact": "team@contoso.example",
        "clientId": "client",
        "status": "failed",
        "secretId": None,
        "secretExpiresAt": None,
        "lastUsedAt": None,
        "operationId": OPERATION,
        "failure": {
            "code": "vault-denied",
            "message": "Key Vault denied the request.",
            "remedy": "Grant the role.",
            "graphRequestId": "request-id",
        },
    }


def test_a_change_is_told_with_what_it_is_about_and_to_whom_it_was_told_before() -> None:
    change = ended(Kind.CHANGE, OperationStatus.SUCCEEDED)
    assert not {"changed", "formerContact"} & of_ended_operation(change).data.keys()
    about = replace(change, changed_fields=("contact",), former_contact="old@contoso.example")
    data = of_ended_operation(about).data
    assert (data["changed"], data["formerContact"]) == (["contact"], "old@contoso.example")


def test_what_waits_for_an_approval_is_told_with_who_decides_and_until_when() -> None:
    approval = Approval("digest", ("rule",), NOW + 14 * DAY, operation_id=OPERATION)
    asked = {"digest": "digest", "rules": ["rule"], "who": "an approver", "lapsesAt": "2026-01-29T12:00:00.123456Z"}
    creation = of_requested_approval(a_registration(), approval)
    assert creation.data.items() >= {**asked, "operationId": OPERATION}.items()
    assert "changed" not in creation.data
    assert (creation.id, creation.time) == (f"{OPERATION}-approval-requested", NOW)
    changed = parse(a_service_client(displayName="Other"))
    proposal = Proposal("proposed", NOW - DAY, changed, "policy", "trace")
    change = of_requested_approval(a_registration(proposal=proposal), replace(approval, resource_owner=OWNER))
    whose = {"who": "the owner of the resource, or an approver", "changed": ["displayName"], "operationId": "proposed"}
    assert change.data.items() >= {**asked, **whose}.items()
    assert (change.id, change.type, change.subject) == ("proposed-approval-requested", APPROVAL_REQUESTED, ID)
    assert (change.time, change.trace_id) == (NOW - DAY, "trace")


def test_each_event_has_its_time_and_its_id() -> None:
    expiry = of_expiry(a_registration(), "secret", NOW + 30 * DAY, 7)
    assert (expiry.id, expiry.time) == (f"{ID}-expiring-secret-20260214T120000Z-7", NOW + 23 * DAY)
    drift = of_drift(a_registration(), [Failure("a", "b")], NOW)
    assert re.fullmatch(rf"{ID}-drift-20260115-[0-9a-f]{{16}}", drift.id)
    assert drift.time == NOW
    use = of_secret_in_use(a_registration(usage=Usage(NOW)), CredentialUse("key", None, NOW + DAY), NOW)
    told = {"keyId": "key", "lastUsedAt": None, "keptUntil": "2026-01-16T12:00:00.123456Z"}
    assert use.data.items() >= told.items()


def test_the_last_use_is_told_where_it_is_known() -> None:
    data = of_ended_operation(a_registration(usage=Usage(NOW))).data
    assert data == {**of_ended_operation(a_registration()).data, "lastUsedAt": "2026-01-15T12:00:00.123456Z"}


def test_findings_are_the_same_whatever_the_requests_that_found_them() -> None:
    one, again, other = Failure("a", "b"), Failure("a", "b", "c", "request"), Failure("a", "d")
    assert are_same([one], [again])
    assert not are_same([one], [other])
    assert not are_same([one], [])


def test_a_callback_and_a_chat_have_mailboxes_of_their_own() -> None:
    notice = Notice("id", HEARTBEAT, "subject", NOW, {})
    boxes = [
        notice,
        replace(notice, callback=True),
        replace(notice, chat=True),
        replace(notice, callback=True, chat=True),
    ]
    assert [each.mailbox for each in boxes] == ["subject", "callback:subject", "chat:subject", "callback:subject"]


def every_notice() -> list[Notice]:
    finding = Failure("application-missing", "Entra has no such application.", "Restore it.")
    return [
        of_ended_operation(a_registration()),
        of_expiry(a_registration(), "secret", NOW + 5 * DAY, 7),
        of_drift(a_registration(), [finding, finding], NOW),
        heartbeat("2026-01-15T1200", NOW, {"registrations": 4, "drift": 1}),
    ]


@pytest.mark.parametrize("notice", every_notice(), ids=lambda notice: notice.type)
def test_a_cloud_event_has_every_required_attribute_in_its_form(notice: Notice) -> None:
    event = json.loads(json.dumps(cloud_event(notice, "urn:fhir-registrar:tenant")))
    assert event.keys() == {"specversion", "id", "source", "type", "subject", "time", "datacontenttype", "data"}
    assert (event["specversion"], event["datacontenttype"]) == ("1.0", "application/json")
    assert (event["id"], event["type"], event["subject"]) == (notice.id, notice.type, notice.subject)
    assert event["source"] == "urn:fhir-registrar:tenant"
    assert event["time"].endswith("Z")
    assert datetime.fromisoformat(event["time"]) == notice.time
    assert event["data"] == notice.data, "its data is JSON values, and nothing that JSON would change"


def test_the_notice_that_is_shown_is_one_that_is_sent() -> None:
    [shown] = [block.text for block in blocks(Path("docs/notices.md")) if block.language == "json"]
    remedy = "Give this app's identity the role Key Vault Secrets Officer on the vault."
    failed = ended(
        Kind.PROVISION, OperationStatus.FAILED, Failure("vault-denied", "Key Vault denied the request.", remedy)
    )
    sent = cloud_event(of_ended_operation(replace(failed, status=Status.FAILED)), source_of(World().settings.tenant))
    assert list(differences(json.loads(shown), sent)) == []


def test_the_source_is_the_registrar_of_a_tenant() -> None:
    tenant = World().settings.tenant
    assert source_of(tenant) == f"urn:fhir-registrar:{tenant.id}"


def test_ids_are_the_same_for_the_same_event_and_differ_for_another() -> None:
    assert [notice.id for notice in every_notice()] == [notice.id for notice in every_notice()]
    finding = Failure("a", "b")
    others = [
        of_expiry(a_registration(), "secret", NOW + 5 * DAY, 7),
        of_expiry(a_registration(), "secret", NOW + 5 * DAY, 1),
        of_expiry(a_registration(), "secret", NOW + 6 * DAY, 7),
        of_expiry(a_registration(), "certificate-1", NOW + 5 * DAY, 7),
        of_drift(a_registration(), [finding], NOW),
        of_drift(a_registration(), [finding, finding], NOW),
        of_drift(a_registration(), [finding], NOW + DAY),
        of_secret_in_use(a_registration(), CredentialUse("key-1", NOW, NOW + DAY), NOW),
        of_secret_in_use(a_registration(), CredentialUse("key-2", NOW, NOW + DAY), NOW),
        heartbeat("1", NOW, {}),
        heartbeat("2", NOW, {}),
    ]
    assert len({notice.id for notice in others}) == len(others)
    assert of_drift(a_registration(), [finding], NOW).id == of_drift(a_registration(), [finding], NOW + DAY / 4).id
    again = CredentialUse("key-1", NOW + DAY, NOW + DAY)
    assert of_secret_in_use(a_registration(), again, NOW + DAY).id in {notice.id for notice in others}
    assert {notice.type for notice in others} == {EXPIRING, DRIFT, SECRET_IN_USE, HEARTBEAT}


@pytest.mark.parametrize("bad", ["", "a.b", "a b", "a/b", "a\nb", "ä", "a" * 201])
def test_an_id_is_a_header_a_key_and_ends_where_the_signature_has_it_end(bad: str) -> None:
    with pytest.raises(ValueError, match="id of a notice"):
        Notice(bad, HEARTBEAT, "registrar", NOW, {})


# --- expiry ---------------------------------------------------------------------------------------------------------

MOMENTS = st.timedeltas(-400 * DAY, 4000 * DAY).map(lambda since: (NOW + since).astimezone(timezone(-9 * DAY / 24)))
REMAINING = st.timedeltas(-40 * DAY, 400 * DAY) | st.sampled_from([days * DAY for days in (*THRESHOLDS, 0)])


@pytest.mark.parametrize(
    ("remaining", "days", "following"),
    [
        (31 * DAY, None, 30),
        (30 * DAY, 30, 14),
        (14 * DAY + timedelta(microseconds=1), 30, 14),
        (14 * DAY, 14, 7),
        (7 * DAY, 7, 1),
        (1 * DAY, 1, None),
        (0 * DAY, 1, None),
        (-9 * DAY, 1, None),
    ],
    ids=str,
)
def test_an_expiry_is_told_30_14_7_and_1_days_before(
    remaining: timedelta, days: int | None, following: int | None
) -> None:
    end = NOW + remaining
    assert expiry_days(end, NOW) == days
    assert next_expiry_notice(end, NOW) == (None if following is None else end - following * DAY)


@given(MOMENTS, REMAINING)
def test_the_next_notice_is_in_the_future_and_exactly_when_the_threshold_changes(
    now: datetime, remaining: timedelta
) -> None:
    end = now + remaining
    reached, following = expiry_days(end, now), next_expiry_notice(end, now)
    if following is None:
        assert reached == min(THRESHOLDS)
        assert expiry_days(end, end + 1000 * DAY) == reached
        return
    assert now < following < end
    assert expiry_days(end, following - timedelta(microseconds=1)) == reached
    after = expiry_days(end, following)
    assert after is not None
    assert reached is None or after < reached


@given(MOMENTS, REMAINING)
def test_whoever_follows_the_next_notices_tells_each_threshold_that_is_left_once(
    now: datetime, remaining: timedelta
) -> None:
    end, told = now + remaining, []
    moment = next_expiry_notice(end, now)
    while moment is not None:
        told.append(expiry_days(end, moment))
        moment = next_expiry_notice(end, moment)
    assert told == [days for days in THRESHOLDS if remaining > days * DAY]
