"""A request of each type and a registration with a value in every field, and what differs from them in one field."""

from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import Any, Literal, get_args, get_origin, get_type_hints

from pydantic import BaseModel, ValidationError
from pydantic.alias_generators import to_camel

from provisioning.domain.approval import Approval, Outcome, Proposal
from provisioning.domain.azure_roles import AzureGrant
from provisioning.domain.directory import Permission, ResolvedResource
from provisioning.domain.grants import Agreement, Cascaded, Grant, GrantState
from provisioning.domain.intake import RegistrationRequest, dump, fingerprint, parse
from provisioning.domain.operation import Failure, LastError, Operation, OperationStatus, OperationType
from provisioning.domain.registration import Registration, Status
from provisioning.domain.secrets import MissingCredential, SecretState
from provisioning.domain.usage import CredentialUse, Usage
from tests.worlds.certificates import YEAR, a_certificate
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client

NOW = datetime(2026, 1, 15, 12, tzinfo=UTC)
ID = "0a1b2c3d-11111111-2222-4333-8444-666666666666"
OTHER_SERVER = "https://other.contoso.example"
FEDERATED = {"type": "federated", "issuer": "https://token.example", "subject": "workload"}
SUBJECTS = {"type": "federated", "issuer": "https://token.example", "subjects": ["workload", "another"]}
CERTIFICATE, OTHER_CERTIFICATE = (
    {"type": "certificate", "certificate": a_certificate(life=life * YEAR).pem} for life in (1, 2)
)

# A request of each type, and one with each type of credential.
REQUESTS: Mapping[str, RegistrationRequest] = {
    "resource": parse(a_resource()),
    "confidential": parse(a_confidential_client()),
    "public": parse(a_public_client()),
    "service": parse(a_service_client()),
    "service-federated": parse(a_service_client(credential=FEDERATED)),
    "service-federated-subjects": parse(a_service_client(credential=SUBJECTS)),
    "service-certificate": parse(a_service_client(credential=CERTIFICATE)),
}

# Of every field another value than the requests above have.
ANOTHER: Mapping[str, Any] = {
    "displayName": "Another name",
    "owner": "99999999-2222-4333-8444-555555555555",
    "contact": "others@contoso.example",
    "description": "What it is for",
    "serviceManagementReference": "SVC-0042",
    "callbackUrl": "https://ci.contoso.example/fhir",
    "fhirServerUrl": OTHER_SERVER,
    "scopes": ["patient.all.read"],
    "appRoles": ["globalExporter"],
    "accessTokenVersion": 2,
    "resource": OTHER_SERVER,
    "redirectUris": ["https://other.contoso.example/cb"],
    "logoutUrl": "https://app.contoso.example/out",
    "secretLifetime": "P90D",
    "autoRotate": True,
    "acceptMappedClaims": True,
    "platform": "native",
    "credential": OTHER_CERTIFICATE,
    "dataRoles": ["FHIR Data Writer"],
    "credential.issuer": "https://other.example",
    "credential.subject": "other",
    "credential.subjects": ["other"],
    "credential.audience": "api://other",
    "credential.certificate": OTHER_CERTIFICATE["certificate"],
}


def paths(model: BaseModel) -> Iterator[str]:
    """Yield every field of the model and of the models in it, but for those that only say which type it is."""
    for name, field in type(model).model_fields.items():
        if get_origin(field.annotation) is Literal and len(get_args(field.annotation)) == 1:
            continue
        yield to_camel(name)
        value, path = getattr(model, name), to_camel(name)
        if isinstance(value, tuple) and value:
            value, path = value[0], f"{path}.0"
        if isinstance(value, BaseModel):
            yield from (f"{path}.{inner}" for inner in paths(value))


def others(
    request: RegistrationRequest, values: Mapping[str, Any] = ANOTHER
) -> Iterator[tuple[str, RegistrationRequest]]:
    """Yield, by field, a request that differs in it alone; a field that is refused beside the others is passed over."""
    for path in paths(request):
        assert path in values, f"nobody sees where the field {path} ends: give it another value in ANOTHER"
        body: Any = dump(request)
        *into, name = path.split(".")
        part = body
        for step in into:
            part = part[int(step) if step.isdecimal() else step]
        part[name] = values[path]
        try:
            other = type(request).model_validate(body)
        except ValidationError:
            continue
        assert other != request, f"the other value of {path} in ANOTHER is the same"
        yield path, other


def row(request: RegistrationRequest) -> Registration:
    """Return a registration just accepted."""
    operation = Operation("88888888-2222-4333-8444-000000000008", OperationType.PROVISION, OperationStatus.PENDING, NOW)
    return Registration(ID, "", request, fingerprint(request), Status.ACCEPTED, operation, NOW, NOW)


def full(registration: Registration) -> Registration:
    """Return it with a value in every field."""
    failure = Failure("code", "message", "remedy", "graph-request")
    later = NOW + timedelta(days=1, microseconds=7)
    return replace(
        registration,
        caller="caller",
        via="an application that speaks for the caller",
        policy_version="policy",
        approval=Approval(
            *("digest", ("rule",), later, "owner", Outcome.DENIED, "decider", "bot", later, "reason"),
            *("operation", "requester", "bot"),
        ),
        proposal=Proposal("proposed", later, registration.request, "policy", "trace"),
        status=Status.ACTIVE,
        operation=Operation(
            "operation", OperationType.ROTATE, OperationStatus.PENDING, NOW, failure, "superseded", "trace"
        ),
        due_at=later,
        application_object_id="object",
        client_id="client",
        service_principal_id="principal",
        identifier_uri="https://fhir.contoso.example",
        resource=ResolvedResource(
            "https://fhir.contoso.example",
            "api",
            "api-principal",
            (Permission("1", "read"),),
            (Permission("2", "reader"),),
            "https://ws-svc.fhir.azurehealthcareapis.com",
            ID,
            (Permission("4", "FHIR Data Reader"),),
        ),
        secret=SecretState("https://vault/secrets/name", "key", later + timedelta(days=100), NOW, NOW),
        last_error=LastError(failure, passing=True),
        change=1,
        former_redirect_uris=("https://former.example",),
        former_permissions=("3",),
        changed_fields=("contact",),
        former_contact="former@contoso.example",
        replace_before=later,
        revoke_before=later,
        missing=MissingCredential("key", "run"),
        findings=(failure,),
        expiry_noticed=30,
        clean_up_at=later,
        deletion_sent_at=later,
        cascade=(Cascaded(ID, "owner"),),
        agreement=Agreement(1, ("read",), "agreed", later, "bot"),
        grants=(Grant("read", "1", GrantState.WAITS, later, "propagation", later),),
        grants_due_at=later,
        azure_grants=(AzureGrant("Role", "/scope", "principal", GrantState.WAITS, later, "azure-role-denied"),),
        azure_grants_due_at=later,
        usage=Usage(later, "graph-throttled", (CredentialUse("key", later, later),)),
        data_roles_by=("requester",),
        events=1,
        etag="etag",
    )


def variants(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Yield, by field, a value that differs in it alone, in fields of fields too; what is None has none."""
    match value:
        case BaseModel():
            yield from ((f"{path}.{inner}", other) for inner, other in others(value))  # type: ignore[arg-type]
        case _ if is_dataclass(value):
            for field in fields(value):
                inner = variants(getattr(value, field.name), f"{path}.{field.name}".lstrip("."))
                yield from ((name, replace(value, **{field.name: other})) for name, other in inner)  # type: ignore[type-var]
        case tuple():
            yield from ((name, (other, *value[1:])) for each in value[:1] for name, other in variants(each, path))
        case None:
            return
        case _:
            yield path, another(value, path)


def another(value: Any, path: str) -> Any:
    match value:
        case str() if path == "id":
            return f"{value[:-1]}{'0' if value[-1] != '0' else '1'}"
        case StrEnum():
            return next(each for each in type(value) if each is not value)
        case str():
            return value.replace(".", "x.", 1) if "." in value else f"{value}x"  # the host of a URL, not its end
        case bool():
            return not value
        case int():
            return value + 1
        case datetime():
            return value + timedelta(hours=1)
        case _:
            raise AssertionError(f"say what another value of {path} is")


def all_paths(kind: Any, path: str = "") -> Iterator[str]:
    """Yield every field of a type, and the fields of the types in it; a request has a table of its own."""
    inner = [each for each in get_args(kind) if each not in (type(None), ...)]  # of a tuple, or beside None
    if is_dataclass(kind):
        hints = get_type_hints(kind, localns={"RegistrationRequest": str})
        for field in fields(kind):
            yield from all_paths(hints[field.name], f"{path}.{field.name}".lstrip("."))
    elif inner:
        for each in inner:
            yield from all_paths(each, path)
    else:
        yield path
