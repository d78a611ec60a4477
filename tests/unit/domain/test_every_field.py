"""Every field reaches its end: what is asked for is sent to Entra or used, what is remembered is kept and told.

A field that was added at one place and forgotten at the next fails a test that names it.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, get_args

import pytest
from azure.data.tables import TableEntity
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from dev.emulator.constants import FHIR_SERVICE_ID
from provisioning.adapters.rows import registration_entity, registration_of
from provisioning.api.answers import represent
from provisioning.domain.client_types import ClientType
from provisioning.domain.credentials import trusted_tokens
from provisioning.domain.intake import (
    CHANGEABLE,
    REQUEST_TYPES,
    CertificateCredential,
    FederatedCredential,
    RegistrationRequest,
    ResourceApplicationRequest,
    ServiceClientRequest,
    dump,
)
from provisioning.domain.manifest import application_body, changed_properties, key_credential, mapped_claims
from provisioning.domain.notices import of_ended_operation
from provisioning.domain.registration import Registration
from provisioning.flow.mint import new_secret
from provisioning.flow.provision import STEPS
from provisioning.flow.resolve import resolve_resource
from provisioning.flow.rotate import rotates
from provisioning.ports import Services
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.variants import (
    ANOTHER,
    FEDERATED,
    NOW,
    OTHER_SERVER,
    REQUESTS,
    all_paths,
    full,
    others,
    paths,
    row,
    variants,
)
from tests.worlds.world import World


class Use(NamedTuple):
    """Why Entra is not told of a field, and where its use is seen."""

    reason: str
    seen: Callable[[Registration], object]


# What Entra is not told but by marks that only a rebuild of the registry reads.
OWN_USE: Mapping[str, Use] = {
    "owner": Use("decides who has access: lists are by it", lambda row: registration_entity(row)["owner"]),
    "contact": Use("notices name whom to tell", lambda row: of_ended_operation(row.succeeded(NOW)).data),
    "callbackUrl": Use("notices about it go there too", lambda row: row.request.callback_url),
    "dataRoles": Use("roles of Azure, which knows them", lambda row: dump(row.request).get("dataRoles")),
    "autoRotate": Use("decides whether the planner has the secret replaced", rotates),
}

# What is not read is not told.
READ: Mapping[str, str] = {"SIGN_IN_ACTIVITY": "on"}
# What the answer leaves out.
NOT_TOLD: Mapping[str, str] = {
    "caller": "the caller knows; with function keys it says nothing",
    "approval.resource_owner": "who that is may be another team's business; that there is one is told",
    "approval.told": "keeps those who decide from being told twice",
    "proposal.operation_id": "as approval.operation_id",
    "proposal.requested_at": "when the change was asked for: operation.requestedAt, until another operation begins",
    "proposal.policy_version": "by which policy the change was judged; part of the digest of its approval",
    "proposal.trace_id": "as operation.trace_id",
    "via": "evidence for whoever looks into it later",
    "request_hash": "tells a repeat of a request from another request",
    "resource.scopes.id": "what the manifest names a scope by; people know it by its value",
    "resource.app_roles.value": "as asked for in appRoles; the grant names the id",
    "operation.trace_id": "the answer to the call names it, and so does each event",
    "events": "how many there are; they have a call of their own",
    "agreement.number": "tells an agreement from the one before",
    "grants.id": "what Entra knows the permission by; people know it by its name",
    "grants_due_at": "when what takes time to show is looked for again",
    "data_roles_by": "who may not agree to the data roles; events name who asked for what",
    "resource.data_roles.id": "as resource.scopes.id",
    "azure_grants_due_at": "when what stood in its way for a while is tried again",
    "due_at": "when the planner looks again",
    "last_error.passing": "whether the queue goes on trying; that it does is told as pending",
    "change": "compared with what the application's notes say",
    "former_redirect_uris": "tells which redirect URIs in Entra were added by hand",
    "former_permissions": "as former_redirect_uris, of the permissions that it asks for",
    "changed_fields": "notices of the change name them",
    "former_contact": "notices of the change go there too",
    "replace_before": "a secret minted before is due; the new key id is what callers see",
    "revoke_before": "secrets minted before end; the new key id is what callers see",
    "secret.minted_at": "compared with the two bounds",
    "missing.key_id": "not yet drift: told as a finding once a second reconciliation agrees",
    "missing.run": "as missing.key_id",
    "cascade.registration_id": "what is deleted with it; the dry run of the deletion tells",
    "cascade.owner": "as long as it is still this owner's, who was judged",
    "expiry_noticed": "keeps a notice from being sent twice",
    "clean_up_at": "when replaced secrets may be removed",
    "deletion_sent_at": "tells a deletion's own effect from a late replica",
    "policy_version": "by which policy the request was judged; part of the digest of an approval",
    "etag": "the registry's own guard of a write",
}


# --- what is asked for ----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def services() -> Services:
    """A world in which both FHIR servers are registered, one of which is the own name of a managed service."""
    world, permissions = World(settings=READ), {"scopes": ["user_impersonation", *ANOTHER["scopes"]]}
    world.registered(a_resource(**permissions))
    world.registered(a_resource(**permissions, fhirServerUrl=OTHER_SERVER))
    return replace(world.services, fhir_services={"https://fhir.contoso.example": FHIR_SERVICE_ID})


def without_marks(body: Mapping[str, Any]) -> dict[str, Any]:
    """Return a body without what only says whose the application is: no field ends there."""
    return {name: value for name, value in body.items() if name not in ("tags", "notes")}


def sent(request: RegistrationRequest, services: Services) -> object:
    """Return what Entra is told when the request is provisioned."""
    registration = row(request)
    if not isinstance(request, ResourceApplicationRequest):
        registration = replace(registration, resource=resolve_resource(services, request))
    body = application_body(registration, services.tenant, new_secret(services, registration))
    return without_marks(body), trusted_tokens(registration, services.tenant), mapped_claims(request)


def sent_by_a_change(request: RegistrationRequest, services: Services) -> object:
    """Return what Entra is told when the request was changed, and what of the next secret."""
    registration = row(request)
    if not isinstance(request, ResourceApplicationRequest):
        registration = replace(registration, resource=resolve_resource(services, request))
    told = (without_marks(changed_properties(registration)), new_secret(services, registration))
    credential = getattr(request, "credential", None)
    key = key_credential(registration, credential) if isinstance(credential, CertificateCredential) else None
    return *told, key, trusted_tokens(registration, services.tenant)


def forgotten(
    request: RegistrationRequest, told: Callable[[RegistrationRequest], object], values: Mapping[str, Any] = ANOTHER
) -> list[str]:
    """Return the fields that Entra is not told of and that have no use of their own either."""
    return [
        path
        for path, other in others(request, values)
        if told(request) == told(other)
        and not (path in OWN_USE and OWN_USE[path].seen(row(request)) != OWN_USE[path].seen(row(other)))
    ]


@pytest.mark.parametrize("name", REQUESTS)
def test_every_field_that_is_accepted_is_sent_to_entra_or_used(name: str, services: Services) -> None:
    assert forgotten(REQUESTS[name], lambda request: sent(request, services)) == []


@pytest.mark.parametrize("name", REQUESTS)
def test_every_field_that_can_be_changed_is_sent_when_it_is(name: str, services: Services) -> None:
    changeable = CHANGEABLE[type(REQUESTS[name])]
    unsent = forgotten(REQUESTS[name], lambda request: sent_by_a_change(request, services))
    assert [path for path in unsent if path in changeable] == []


def test_no_field_is_refused_in_every_request() -> None:
    accepted = {(type(request), path) for request in REQUESTS.values() for path, _ in others(request)}
    assert {(type(request), path) for request in REQUESTS.values() for path in paths(request)} - accepted == set()


@pytest.mark.parametrize("path", OWN_USE)
def test_a_field_with_a_use_of_its_own_is_one_that_entra_is_not_told(path: str, services: Services) -> None:
    pairs = [(request, dict(others(request)).get(path)) for request in REQUESTS.values()]
    told = [sent(request, services) == sent(other, services) for request, other in pairs if other is not None]
    assert told
    assert all(told)


class CredentialWithMore(FederatedCredential):
    colour: str = ""


class RequestWithMore(ServiceClientRequest):
    nickname: str | None = None
    credential: CredentialWithMore


def test_a_field_that_is_accepted_and_never_sent_is_found_by_its_name(services: Services) -> None:
    request = RequestWithMore.model_validate(a_service_client(credential=FEDERATED))
    values = dict(ANOTHER)
    for path in ("credential.colour", "nickname"):
        with pytest.raises(AssertionError, match=f"where the field {path} ends"):
            forgotten(request, lambda each: sent(each, services), values)
        values[path] = "blue"
    values["credential"] = FEDERATED | {"subject": "another"}
    assert forgotten(request, lambda each: sent(each, services), values) == ["credential.colour", "nickname"]


# --- the tables of client types -------------------------------------------------------------------------------------


def test_every_client_type_has_its_request_type() -> None:
    assert set(REQUEST_TYPES) == set(ClientType)
    assert set(REQUEST_TYPES.values()) == set(get_args(RegistrationRequest))
    for client_type, request_type in REQUEST_TYPES.items():
        assert get_args(request_type.model_fields["client_type"].annotation) == (client_type.value,)


def test_every_request_type_says_what_of_it_can_be_changed() -> None:
    assert set(CHANGEABLE) == set(REQUEST_TYPES.values())
    for request_type, names in CHANGEABLE.items():
        assert set(names) <= {to_camel(name) for name in request_type.model_fields}


def test_every_client_type_has_its_steps_with_each_credential() -> None:
    assert set(STEPS) == {(row(request).client_type, row(request).credential_type) for request in REQUESTS.values()}


def models_of(annotation: object) -> Iterator[type[BaseModel]]:
    """Yield the models that a value of such a type is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models_of(field.annotation)
    for each in get_args(annotation):
        yield from models_of(each)


def test_the_requests_here_are_of_every_type_and_have_every_credential() -> None:
    assert {type(request) for request in REQUESTS.values()} == set(REQUEST_TYPES.values())
    credentials = {type(request.credential) for request in REQUESTS.values() if hasattr(request, "credential")}
    assert {*REQUEST_TYPES.values(), *credentials} == set(models_of(RegistrationRequest))


# --- what is remembered ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REQUESTS)
def test_the_registrations_here_have_a_value_in_every_field(name: str) -> None:
    varied = {path for path, _ in variants(full(row(REQUESTS[name])))}
    # What was read of a row is kept beside the registration, and is no part of it.
    assert set(all_paths(Registration)) - {"request", "row", "proposal.request"} - varied == set()


@dataclass(frozen=True, slots=True)
class RegistrationWithMore(Registration):
    nickname: str | None = None


def test_a_field_that_is_remembered_and_has_no_value_here_is_found_by_its_name() -> None:
    assert set(all_paths(RegistrationWithMore)) - set(all_paths(Registration)) == {"nickname"}


def read_back(registration: Registration) -> Registration:
    """Return what is read of a row that was written, through values of types that Table storage has."""
    entity = TableEntity(registration_entity(registration))
    assert {type(value) for value in entity.values()} <= {str, int, bool}
    entity._metadata = {"etag": registration.etag, "timestamp": None}  # noqa: SLF001 -- the storage's own
    return registration_of(entity)


@pytest.mark.parametrize("name", REQUESTS)
def test_every_field_of_a_registration_is_read_back_from_its_row(name: str) -> None:
    registration = full(row(REQUESTS[name]))
    assert read_back(registration) == registration
    assert [path for path, other in variants(registration) if read_back(other) != other] == []


def test_every_field_of_a_registration_is_told_or_stands_in_the_table_of_those_that_are_not(services: Services) -> None:
    known, told = set[str](), set[str]()
    for name in REQUESTS:
        registration = full(row(REQUESTS[name]))
        assert registration.resource is not None
        ours = replace(registration.resource, fhir_service=None)
        for resource in (registration.resource, ours, replace(ours, app_roles=())):
            shown = replace(registration, resource=resource)
            answer = represent(shown, services)
            for path, other in variants(shown):
                known.add(path)
                told |= {path} if represent(other, services) != answer else set()
    assert known - told == set(NOT_TOLD)
