"""The promises, checked on the whole state of a world: the emulator's, the vault's, the registry's and the queue's."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final, Protocol

import requests

from dev.emulator.graph.password_credentials import Password
from dev.emulator.graph.records import Application
from provisioning.domain.approval import Outcome
from provisioning.domain.azure_roles import DATA_ROLES_BY_ID
from provisioning.domain.certificates import as_base64
from provisioning.domain.client_types import ClientType
from provisioning.domain.events import What
from provisioning.domain.intake import CertificateCredential
from provisioning.domain.operation import OperationStatus, OperationType
from provisioning.domain.registration import Registration, Status
from tests.worlds.leaks import leaked
from tests.worlds.told import Facts, check_told
from tests.worlds.watch import Watchable, in_use, is_labelled, live, minted_at, versions_of

# How long after the overlap what nobody uses may still be there: until a reconciliation has found it.
CLEANED_UP_WITHIN: Final = timedelta(days=1, hours=1)
USED_LATELY: Final = timedelta(days=4, hours=1)
SOME_DAY: Final = timedelta(days=3650)


class Checkable(Watchable, Protocol):
    """A world whose promises can be checked: in this process and in virtual time, or made of processes and sockets."""

    @property
    def queue(self) -> Sequence[object]: ...

    @property
    def changes(self) -> Mapping[str, Facts]: ...

    @property
    def told(self) -> Sequence[object]: ...

    def get(self, registration_id: str) -> dict[str, Any]: ...


def check(world: Checkable) -> None:
    """Assert of every registration, at rest, what design promises: nothing lost, nothing doubled, nothing leaked."""
    assert not world.violations, world.violations
    assert not world.queue, "messages are left over"
    assert not world.registry.due(world.clock.now(), 1), "entries are due"
    assert not world.registry.notices(), "notices wait"
    rows = world.registry.find(top=1000).registrations
    deleted = world.registry.find(top=1000, status=Status.DELETED).registrations
    for row in rows:
        at_rest = row.status in (Status.ACTIVE, Status.FAILED) or row.awaits_approval
        assert at_rest, f"{row.id} is {row.status}"
        owned = world.registry.find(owners=[row.request.owner], top=1000).registrations
        assert row.id in [each.id for each in owned], "its owner's list does not name it"
        if row.status is Status.ACTIVE:
            check_active(world, row)
        if row.approval is not None and row.approval.outcome is not Outcome.APPROVED and not is_of_change(world, row):
            application = world.emulator.directory.application(unique_name=row.unique_name)
            assert application is None, "created although nobody agreed"
    for row in deleted:
        check_deleted(world, row)
    for row in (*rows, *deleted):
        check_told(world.registry, row, world.changes.get(row.id, set()))
        assert not leaked(repr(world.registry.events(row.id, top=1000))), "an event holds a secret or a token"
    live = [each for each in world.emulator.directory.records.values() if each.deleted_at is None]
    ours = [application for application in live if is_ours(application.last_body)]
    assert len(ours) <= len(rows), "there is an application that no registration knows"
    for where, content in {"row": rows, "deleted row": deleted, "message": world.queue, "notice": world.told}.items():
        assert not leaked(repr(content)), f"a {where} holds {leaked(repr(content))}"
    for row in rows:
        assert not leaked(json.dumps(world.get(row.id))), "an answer holds a secret or a token"


def is_of_change(world: Checkable, row: Registration) -> bool:
    """Whether the latest approval is that of a change: then Entra has what the registration was before."""
    assert row.approval is not None
    asked = [
        each.what
        for each in world.registry.events(row.id, top=1000).events
        if each.operation_id == row.approval.operation_id
    ]
    return What.CHANGE_REQUESTED in asked


def is_ours(body: dict[str, Any]) -> bool:
    return "fhir-registrar" in body.get("tags", ())


def check_active(world: Checkable, row: Registration) -> None:
    directory = world.emulator.directory
    applications = [
        each for each in directory.records.values() if f"fhir-registrar:id={row.id}" in each.last_body["tags"]
    ]
    assert len(applications) == 1, f"{len(applications)} applications for {row.id}"
    [application] = applications
    assert application.deleted_at is None
    assert (application.id, application.app_id) == (row.application_object_id, row.client_id)
    principal = directory.principal_of(application.app_id)
    assert principal is not None
    assert principal.id == row.service_principal_id
    if row.holds_secret:
        check_secret(world, row)
        check_credentials(world, row)
    else:
        assert not application.passwords, f"a {row.client_type} holds a secret"
    check_secretless(row, application)
    if row.client_type is ClientType.RESOURCE:
        assert application.last_body["identifierUris"], "a resource without identifier URI"
    if (row.operation.type, row.operation.status) != (OperationType.CHANGE, OperationStatus.FAILED):
        check_values(row, application.last_body)
    check_due(world, row)


def check_secretless(row: Registration, application: Application) -> None:
    """Each subject is trusted, and the certificate is there; beside it another one only as long as an overlap lasts."""
    credential = getattr(row.request, "credential", None)
    keys = [each["key"] for each in application.last_body["keyCredentials"]]
    trusted = sorted(each["subject"] for each in application.federated)
    if (row.operation.type, row.operation.status) != (OperationType.CHANGE, OperationStatus.FAILED):
        assert trusted == sorted(getattr(credential, "trusted", ())), "not one federated credential for each subject"
        own = [as_base64(credential.certificate)] if isinstance(credential, CertificateCredential) else []
        assert [each for each in keys if each in own] == own, "not the one certificate"
        assert len(keys) == len(own) or row.clean_up_at is not None, "not one certificate"


def check_values(row: Registration, body: dict[str, Any]) -> None:
    """Entra has what the registration asks for now, and says so."""
    assert body["displayName"] == row.request.display_name, "Entra has another display name"
    assert json.loads(body["notes"])["change"] == row.change, "Entra has another change than the row"
    entries = {each["resourceAppId"]: each["resourceAccess"] for each in body["requiredResourceAccess"]}
    if row.resource is not None and row.resource.service_principal_id is not None:
        asked = {each["id"] for each in entries.get(row.resource.client_id, ())}
        declared = {each.id for each in row.declared} - DATA_ROLES_BY_ID.keys()
        assert asked == declared, "Entra has other permissions declared"
    lists = {"scopes": body["api"]["oauth2PermissionScopes"], "app_roles": body["appRoles"]}
    for name in lists if row.client_type is ClientType.RESOURCE else ():
        offered = {each["value"] for each in lists[name] if each["isEnabled"]}
        assert offered == set(getattr(row.request, name)), f"Entra has other {name}"
    accepts = getattr(row.request, "accept_mapped_claims", None)
    assert body["api"]["acceptMappedClaims"] is accepts, "Entra has other mapped claims"
    platforms = [body.get(name) or {} for name in ("web", "spa", "publicClient")]
    uris = {uri for each in platforms for uri in each.get("redirectUris", ())}
    assert uris >= set(getattr(row.request, "redirect_uris", ())), "Entra lacks a redirect URI"
    assert not uris & set(row.former_redirect_uris), "Entra has a redirect URI that was given up"


def check_credentials(world: Checkable, row: Registration) -> None:
    """Whoever may use a secret can; what was revoked, and what nobody uses any more, is gone."""
    application, now = world.emulator.directory.application(app_id=row.client_id or ""), world.clock.now()
    assert application is not None
    living = live(application, now)
    cut_off = [
        each for each in in_use(world, row, application, world.settings.secrets.overlap / 2) if each not in living
    ]
    assert not cut_off, "a secret that somebody may use is refused"
    current = versions_of(world, row)[-1]
    if row.operation.status is OperationStatus.SUCCEEDED:
        asked_for = [bound for bound in (row.replace_before, row.revoke_before) if bound is not None]
        minted = datetime.fromisoformat(current.tags["mintedAt"])
        assert all(minted >= bound for bound in asked_for), "the current secret was to be replaced"
    for each in living:
        if is_labelled(each) and each.key_id != current.tags["keyId"]:
            assert row.revoke_before is None or minted_at(each) >= row.revoke_before, "a revoked secret lives"
            assert now <= last_day(world, each, current.created), "what nobody uses any more lives"


def last_day(world: Checkable, each: Password, replaced: datetime) -> datetime:
    """When a credential that is not current is gone at the latest: after the limit where somebody uses it still."""
    secrets, since = world.settings.secrets, max(each.added_at, replaced)
    if world.settings.sign_in_activity and is_used(world, each):
        return since + max(secrets.overlap, secrets.overlap_limit) + CLEANED_UP_WITHIN
    return since + secrets.overlap + CLEANED_UP_WITHIN


def is_used(world: Checkable, each: Password) -> bool:
    """Whether somebody signed in with it so lately that it may stay for that: in three days, and one until a look."""
    sign_ins = world.emulator.directory.sign_ins
    times = (sign_ins.seen("key", *about) for about in sign_ins.keys() if about[1] == each.key_id)  # noqa: SIM118
    return any(at is not None and at > world.clock.now() - USED_LATELY for at in times)


def check_due(world: Checkable, row: Registration) -> None:
    """Whatever will be left to do for a registration is due some day, in time."""
    entries = world.registry.due(world.clock.now() + SOME_DAY, 1000)
    due = [entry.due_at for entry in entries if entry.registration_id == row.id]
    assert row.due_at is None or row.due_at in due, "the row names an entry that is not there"
    rotates_at = (world.get(row.id)["secret"] or {}).get("rotatesAt") if row.holds_secret else None
    if rotates_at is not None:
        assert due, "a rotation is not due some day"
        assert min(due) <= datetime.fromisoformat(rotates_at) + timedelta(seconds=1), "a rotation is due too late"


def check_deleted(world: Checkable, row: Registration) -> None:
    """Nothing of it is live; what was is recoverable."""
    tag = f"fhir-registrar:id={row.id}"
    marked = [each for each in world.emulator.directory.records.values() if tag in each.last_body["tags"]]
    assert all(each.deleted_at is not None for each in marked), "an application of a deleted registration lives"
    assert row.secret_name.lower() not in world.emulator.vault.secrets, "a secret of a deleted registration lives"


def check_secret(world: Checkable, row: Registration) -> None:
    """The vault's current secret is ours, and the token endpoint accepts it, now and in a row."""
    stored = world.emulator.vault.get(row.secret_name)
    assert row.secret is not None
    assert stored["tags"]["keyId"] == row.secret.key_id, "the row shows another secret than the vault holds"
    assert stored["tags"]["clientId"] == row.client_id
    ended = (versions_of(world, row)[-1].expires or 0) <= world.clock.now().timestamp()
    if ended and not getattr(row.request, "auto_rotate", True):
        return  # its owner was told, and did not ask for another
    for _ in range(3):
        answer = token_answer(world, row.client_id or "", stored["value"])
        refusal = answer.json().get("error_description")
        assert answer.status_code == 200, f"the token endpoint refuses the secret in the vault: {refusal}"


def token_answer(world: Checkable, client_id: str, secret: str, scope: str | None = None) -> requests.Response:
    """Ask the token endpoint as a service client does."""
    form = {
        "grant_type": "client_credentials",
        "client_id": client_id,
        "client_secret": secret,
        "scope": scope or f"{world.settings.tenant.graph_endpoint}/.default",
    }
    return world.emulator.session().post(f"{world.settings.tenant.authority}/oauth2/v2.0/token", data=form, timeout=5)
