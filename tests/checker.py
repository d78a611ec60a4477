"""The promises, checked on the whole state of a world: the emulator's, the vault's, the registry's and the queue's."""

import json
from collections.abc import Sequence
from typing import Any, Protocol

import requests

from dev.emulator import SECRET_MARKER, Emulator
from provisioning.ports import Clock, Registry
from provisioning.registration import ClientType, Registration, Status
from provisioning.settings import Settings


class Checkable(Protocol):
    """A world whose promises can be checked: in this process and in virtual time, or made of processes and sockets."""

    @property
    def emulator(self) -> Emulator: ...

    @property
    def settings(self) -> Settings: ...

    @property
    def registry(self) -> Registry: ...

    @property
    def queue(self) -> Sequence[object]: ...

    @property
    def clock(self) -> Clock: ...

    @property
    def violations(self) -> Sequence[str]: ...

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
        assert row.status in (Status.ACTIVE, Status.FAILED), f"{row.id} is {row.status}"
        if row.status is Status.ACTIVE:
            check_active(world, row)
    for row in deleted:
        check_deleted(world, row)
    live = [each for each in world.emulator.directory.records.values() if each.deleted_at is None]
    ours = [application for application in live if is_ours(application.last_body)]
    assert len(ours) <= len(rows), "there is an application that no registration knows"
    assert SECRET_MARKER not in repr(rows), "a row holds a secret"
    assert SECRET_MARKER not in repr(world.queue), "a message holds a secret"
    assert SECRET_MARKER not in repr(world.told), "a notice holds a secret"
    for row in rows:
        assert SECRET_MARKER not in json.dumps(world.get(row.id)), "an answer holds a secret"


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
    else:
        assert not application.passwords, f"a {row.client_type} holds a secret"
    assert len(application.federated) == (row.credential_type == "federated"), "not one federated credential"
    assert len(application.last_body["keyCredentials"]) == (row.credential_type == "certificate"), "not one certificate"
    if row.client_type is ClientType.RESOURCE:
        assert application.last_body["identifierUris"], "a resource without identifier URI"


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
