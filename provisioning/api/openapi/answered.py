"""The schemas of what is answered, as `answers.py` and `web.py` write it."""

from collections.abc import Iterable, Mapping
from typing import Final

from provisioning.api.openapi.bodies import Schema, any_of, asked, ref
from provisioning.domain.approval import Outcome
from provisioning.domain.callers import CallerKind, Role
from provisioning.domain.client_types import ClientType
from provisioning.domain.events import ActorKind, EventOutcome, What
from provisioning.domain.grants import GrantState
from provisioning.domain.operation import OperationStatus, OperationType
from provisioning.domain.readiness import Dependency, State
from provisioning.domain.registration import Status

_ACTORS: Final = [each for each in ActorKind if each is not ActorKind.UNKNOWN]


def _object(description: str, properties: Mapping[str, Schema], optional: Iterable[str] = ()) -> Schema:
    left_out = set(optional)
    return {
        "type": "object",
        "description": description,
        "properties": dict(properties),
        "required": [name for name in properties if name not in left_out],
    }


def _text(description: str, **keywords: object) -> Schema:
    return {"type": "string", "description": description, **keywords}


def _maybe(schema: Schema) -> Schema:
    return schema | {"type": [schema["type"], "null"]}


def _moment(description: str) -> Schema:
    return _text(description, format="date-time")


def _list(description: str, items: Schema) -> Schema:
    return {"type": "array", "description": description, "items": items}


def _one_of(description: str, *alternatives: Schema) -> Schema:
    return {"description": description, "oneOf": list(alternatives)}


# What was accepted under other rules is answered all the same: an answer says what a value means, not what it may be.
_RULES: Final = frozenset(
    {"pattern", "format", "minLength", "maxLength", "minItems", "maxItems", "uniqueItems", "default", "enum"}
)


def _as_answered(schema: Schema) -> Schema:
    content = {key: value for key, value in schema.items() if key not in _RULES}
    for several in ("anyOf", "oneOf"):
        kept = [_as_answered(each) for each in content.get(several, ()) if each != {"type": "null"}]
        if kept and all(each == kept[0] for each in kept):
            content = {key: value for key, value in content.items() if key != several} | kept[0]
    if "items" in content:
        content["items"] = _as_answered(content["items"])
    return content


def answered(bodies: Mapping[str, Schema]) -> dict[str, Schema]:
    """Return the schema of every answer, and of their parts, by its name; some parts are those of a body too."""
    return {
        "Registration": _registration(asked(bodies)),
        "RegistrationList": _object(
            "A page of registrations.",
            {
                "value": _list(
                    "The registrations; a page may have fewer than `top` and still go on.", ref("Registration")
                ),
                "continuationToken": _maybe(_text("What the next page is asked for with; null on the last one.")),
            },
        ),
        **_parts_of_a_registration(),
        **_credentials(),
        **_previews(),
        "Problem": _problem(),
        "EventList": _object(
            "A part of what was done to a registration.",
            {
                "value": _list("Events, oldest first.", ref("Event")),
                "continuationToken": _maybe(_text("Where the next page begins; null on the last one.")),
            },
        ),
        "Event": _object(
            "Who did what, when, and what came of it. Never what was sent, and never a secret.",
            {
                "time": _moment("When it was asked or done."),
                "what": _text("What was asked or done.", enum=list(What)),
                "outcome": _text("What came of it.", enum=list(EventOutcome)),
                "actor": _object(
                    "Who did it.",
                    {
                        "kind": _text("A caller, or a part of this service.", enum=_ACTORS),
                        "objectId": _text("The Entra object id of the caller."),
                        "via": _text("The object id of the application that spoke for this person."),
                    },
                    optional=("objectId", "via"),
                ),
                "changed": _list("Names of fields, never their values.", {"type": "string"}),
                "operationId": _text("The operation that it belongs to."),
                "keyId": _text("The key id of the credential that it is about."),
                "formerKeyId": _text("The key id of the credential that was current before."),
                "code": _text("Why it failed or was refused, as a stable code."),
                "graphRequestId": _text("Microsoft Graph's id of the request that it refused."),
                "policyVersion": _text("The policy that it was judged by."),
                "lastUsedAt": _moment("When what ends was last used, as far as it is known."),
                "traceId": _text("Names what led to it in the service's log, in Graph and in notices."),
            },
            optional=("changed", "keyId", "formerKeyId", "code", "graphRequestId", "policyVersion", "lastUsedAt"),
        ),
        **_clients(),
        "Readiness": _object(
            "Whether the service can do its work.",
            {
                "ready": {"type": "boolean", "description": "Whether nothing is lacking."},
                "checkedAt": _moment("When it was looked at."),
                "checks": _list("Each permission, tried.", ref("Check")),
            },
        ),
        "Check": _object(
            "One permission that the service depends on.",
            {
                "dependency": _text("Of what.", enum=list(Dependency)),
                "what": _text("What has to be possible."),
                "state": _text("Whether it is; a warning is no lack.", enum=list(State)),
                "code": _text("Why not, as a stable code."),
                "message": _text("Why not, in words."),
                "remedy": _text("What to do about it."),
            },
            optional=("code", "message", "remedy"),
        ),
        "Caller": _object(
            "Who calls.",
            {
                "objectId": _text("The Entra object id; `function-key` where a key is all that is known."),
                "kind": _text("What the caller is.", enum=list(CallerKind)),
                "name": _text("For people to read; it decides nothing, and may be empty."),
                "roles": _list("The app roles of this API that it has.", {"type": "string", "enum": list(Role)}),
                "groups": _list("The object ids of the groups that it is in, and owns through.", {"type": "string"}),
                "tenantId": _text("The Entra tenant that registrations are made in."),
            },
        ),
        "ChatCode": _object(
            "What says in a chat who somebody is.",
            {
                "code": _text("Three times four letters and digits, good once."),
                "expiresAt": _text("Until when it is good: ten minutes.", format="date-time"),
            },
        ),
        "Policy": _object(
            "What of the policy holds for the caller.",
            {
                "version": _text("Which policy: every registration records the one that it was judged by."),
                "exceptions": _text("How to ask for an exception."),
                "rules": _list("The rules, as docs/policy.md describes them.", {"type": "object"}),
            },
        ),
        "Health": _object("A sign of life.", {"status": _text("`alive`, and nothing else.", const="alive")}),
    }


def _registration(fields: Mapping[str, list[Schema]]) -> Schema:
    requested = {name: _as_answered(any_of(several)) for name, several in fields.items()}
    common = {
        "clientType": requested["clientType"] | {"enum": list(ClientType)},
        "credential": _one_of(
            "How a service client proves who it is.",
            *(ref(each) for each in ("SecretCredential", "TrustedToken", "CertificateInUse")),
        ),
        "registrationId": _text("The id of the registration, which every other call takes."),
        "status": _text(
            "`accepted`: it is being provisioned, or waits for an approval. `active`: it is usable, but for nextSteps. "
            "`failed`: `operation` says why. `deleting`, then `deleted`: application and secret are gone; the "
            "registration stays readable by its id, and is listed with status=deleted.",
            enum=list(Status),
        ),
        "operation": ref("Operation"),
        "approval": ref("Approval"),
        "createdAt": _moment("When it was asked for."),
        "updatedAt": _moment("When it changed last, or what is known of it did."),
        "tenantId": _text("The Entra tenant that the application is in."),
        "clientId": _maybe(_text("The client id (application id) of the application; null until Entra assigned it.")),
        "applicationObjectId": _maybe(_text("The object id of the application in Entra, which Graph is asked by.")),
        "servicePrincipalId": _maybe(
            _text("The object id of its service principal, to which permissions are granted.")
        ),
        "oauth": ref("OAuth"),
        "secret": _one_of("The current secret; null where there is none, or not yet.", ref("Secret"), {"type": "null"}),
        "warnings": _list("What works, but perhaps not as the caller thinks; a dry run has the same.", ref("Warning")),
        "findings": _list("What the daily look at Entra and Key Vault found and does not repair.", ref("Failure")),
        "grants": _list("What became of each permission that a client asks of its resource.", ref("Grant")),
        "agreement": _one_of(
            "What the owner of the resource agreed to last; null where nobody was asked.",
            ref("Agreement"),
            {"type": "null"},
        ),
        "azureRoles": _list("The roles of Azure that this service gives the owner.", ref("AzureRole")),
        "usage": ref("Usage"),
        "callbackKey": _text(
            "The public key that verifies what is posted to callbackUrl, as Standard Webhooks writes it."
        ),
        "nextSteps": _list("What people still have to do before the first useful token.", ref("NextStep")),
        "fhirServerSettings": {
            "type": ["object", "null"],
            "description": "The settings of the open-source FHIR server that has it accept tokens for this resource, "
            "by their names; null until Entra assigned the client id.",
            "additionalProperties": {"type": "string"},
        },
    }
    always = (
        *("registrationId", "clientType", "displayName", "owner", "contact", "status", "operation", "createdAt"),
        *("updatedAt", "tenantId", "clientId", "applicationObjectId", "servicePrincipalId", "oauth", "secret"),
        *("warnings", "findings", "grants", "agreement", "azureRoles", "usage", "nextSteps"),
    )
    properties = requested | common
    return _object(
        "A registration: what was asked for, what became of it, and what is left to do. One that was deleted stays "
        "readable.",
        properties,
        optional=properties.keys() - set(always),
    )


def _parts_of_a_registration() -> dict[str, Schema]:
    return {
        "Operation": _object(
            "The latest thing that was asked of a registration.",
            {
                "id": _text("The id of the operation."),
                "type": _text("What is being done.", enum=list(OperationType)),
                "status": _text(
                    "How far it is. A failed rotation or change leaves an active registration active.",
                    enum=list(OperationStatus),
                ),
                "requestedAt": _moment("When it was asked for."),
                "failure": _one_of("Why it failed; null otherwise.", ref("Failure"), {"type": "null"}),
                "lastError": ref("Failure"),
                "supersedes": _text("The id of the pending or waiting operation that this deletion has ended."),
            },
            optional=("lastError", "supersedes"),
        ),
        "Approval": _object(
            "What has to be agreed to before anything is sent to Entra; the latest that was asked for.",
            {
                "operationId": _maybe(_text("The operation that waits, or waited, for it.")),
                "digest": _text("What a decision is about: it has to name this digest."),
                "rules": _list("The rules of the policy that ask for it.", {"type": "string"}),
                "who": _text("Who may decide."),
                "askedBy": _text("The object id of who asked last; `function-key` with function keys."),
                "askedVia": _maybe(_text("The object id of the application that spoke for this person.")),
                "lapsesAt": _moment("When it is too late to decide, and the operation fails."),
                "outcome": _maybe(_text("What was decided; null until then.")) | {"enum": [*Outcome, None]},
                "decidedBy": _maybe(_text("The object id of who decided.")),
                "decidedVia": _maybe(_text("The object id of the application that spoke for this person.")),
                "decidedAt": _maybe(_moment("When it was decided.")),
                "reason": _maybe(_text("Why it was decided so.")),
                "changes": _list("What a change that waits would change; nothing of it has.", ref("ChangedField")),
            },
            optional=("changes",),
        ),
        "Failure": _object(
            "Why something failed or waits, or what was found: an error or a finding.",
            {
                "code": _text("A stable code; docs/operations.md has each of them."),
                "message": _text("What happened."),
                "remedy": _text("What a person does about it."),
                "graphRequestId": _text("Microsoft Graph's id of the request that it refused, for a support case."),
            },
            optional=("graphRequestId",),
        ),
        "Warning": _object(
            "Something that works, but perhaps not as the caller thinks.",
            {"code": _text("A stable code."), "message": _text("What to think of.")},
        ),
        "NextStep": _object(
            "Something that a person does outside of this service.",
            {
                "code": _text("A stable code."),
                "who": _text("Who can do it."),
                "command": _text("The command that does it, ready to paste."),
                "url": _text("Where in the portal it is done; empty where it is a call of this API."),
            },
        ),
        "OAuth": _object(
            "Where tokens are asked for, and with which scope.",
            {
                "authority": _text("The authority, as MSAL takes it."),
                "tokenEndpoint": _text("Where a code or a credential becomes a token."),
                "authorizationEndpoint": _text("Where users sign in."),
                "scope": _maybe(_text("The scope to ask for; null until it is known.")),
            },
        ),
    }


def _clients() -> dict[str, Schema]:
    return {
        "ClientList": _object(
            "A part of a resource's clients.",
            {
                "value": _list("The clients.", ref("Client")),
                "continuationToken": _maybe(_text("Where the next page begins; null on the last one.")),
            },
        ),
        "Client": _object(
            "A client of a resource, as the resource's owner sees it.",
            {
                "registrationId": _text("The id of the client's registration."),
                "clientId": _maybe(_text("Its client id.")),
                "clientType": _text("Of which type it is.", enum=list(ClientType)),
                "displayName": _text("Its display name."),
                "owner": _text("The Entra object id of its owner."),
                "contact": _text("Where notices about it go."),
                "status": _text("How far it is.", enum=list(Status)),
                "grants": _list("What became of each permission that it asks for.", ref("Grant")),
                "agreement": _one_of("What was agreed to last.", ref("Agreement"), {"type": "null"}),
            },
        ),
        "Grant": _object(
            "A permission that a client asks of its resource.",
            {
                "permission": _text("The name of the scope, the app role or the data role."),
                "resource": _text("The registration id of the resource; the client id of one that is not ours."),
                "state": _text(
                    "`declared`: a person has to grant it. `granted`: the client holds it. `waits`: see waitsFor.",
                    enum=list(GrantState),
                ),
                "since": _moment("Since when it is so."),
                "waitsFor": _maybe(
                    _text(
                        "`resource-owner`: for that owner's word. `approver`: for an approver's. `propagation`: until "
                        "tokens carry it. Else the code of what stands in its way; docs/operations.md has each of them."
                    )
                ),
                "provenAt": _maybe(_moment("When a token of the client was first seen to carry it.")),
            },
        ),
        "AzureRole": _object(
            "A role of Azure that this service gives the owner of a registration.",
            {
                "role": _text("The name of the role, which Azure has built in."),
                "scope": _text("The resource id of what it is for: one secret."),
                "principalId": _text("The object id of who has it: the owner, or a former one who has it still."),
                "state": _text("`granted`: it is assigned. `waits`: see waitsFor.", enum=list(GrantState)),
                "since": _moment("Since when it is so."),
                "waitsFor": _maybe(_text("The code of what stands in its way; docs/operations.md has each of them.")),
            },
        ),
        "Usage": _object(
            "When it was last used, as the reports of sign-ins in Entra say, which are late by a day or so.",
            {
                "lastUsedAt": _maybe(_moment("When somebody last signed in with it or to it; null where not known.")),
                "reason": _maybe(
                    _text("The code of why that is not known, or nothing newer; docs/operations.md has each of them.")
                ),
                "credentials": _list("The same of its secrets and certificates.", ref("CredentialUse")),
            },
        ),
        "CredentialUse": _object(
            "When a secret or a certificate was last used.",
            {
                "keyId": _text("Its key id in Entra."),
                "lastUsedAt": _maybe(_moment("When somebody last signed in with it; null where not known.")),
                "reason": _maybe(_text("The code of why that is not known, or nothing newer.")),
                "keptUntil": _maybe(_moment("Until when it stays at most, though replaced, because it is used still.")),
            },
        ),
        "Agreement": _object(
            "What the owner of a resource agreed to.",
            {
                "permissions": _list("The permissions, by name; none where it was withdrawn.", {"type": "string"}),
                "by": _text("The object id of who agreed, or withdrew it."),
                "via": _maybe(_text("The object id of the application that spoke for this person.")),
                "at": _moment("When it was agreed, or withdrawn."),
            },
        ),
    }


def _credentials() -> dict[str, Schema]:
    return {
        "Secret": _object(
            "Where the current secret is. Its text is in Key Vault alone.",
            {
                "id": _text("The secret's id in Key Vault, without version: it always leads to the current one."),
                "keyId": _text("The key id of the credential in Entra."),
                "expiresAt": _maybe(_moment("When it ends.")),
                "rotatesAt": _maybe(_moment("When it is replaced by itself; null where it is not.")),
            },
        ),
        "TrustedToken": _object(
            "The tokens with which the client proves who it is.",
            {
                "type": _text("It shows a token of another issuer.", const="federated"),
                "issuer": _text("The claim iss."),
                "subject": _text("The claim sub; several are in subjects."),
                "subjects": _list("The claims sub, each of which is trusted.", {"type": "string"}),
                "audience": _text("The claim aud."),
            },
            optional=("subject", "subjects"),
        ),
        "CertificateInUse": _object(
            "The certificate with whose key the client proves who it is.",
            {
                "type": _text("It signs with the key of a certificate.", const="certificate"),
                "thumbprint": _text("SHA-256 of the certificate, in hexadecimal digits."),
                "expiresAt": _moment("When the certificate ends."),
            },
        ),
    }


_NEEDED: Final = "The approvals that the policy asks for before it is done; until then it waits."


def _previews() -> dict[str, Schema]:
    warnings = _list("What works, but perhaps not as the caller thinks.", ref("Warning"))
    return {
        "ApprovalNeeded": _object(
            "An approval that a rule asks for.",
            {
                "rule": _text("The id of the rule."),
                "whose": _text("Who decides: the owner of the resource, or approvers."),
                "pointer": _text("What of the request it is about."),
            },
        ),
        "ChangedField": _object(
            "A field that would be different.",
            {
                "field": _text("Its name."),
                "from": {"description": "What it is; null where it has no value."},
                "to": {"description": "What it would be; null where it would have no value."},
            },
        ),
        "Preview": _object(
            "What a request would lead to; nothing was stored or sent.",
            {
                "registrationId": _text("The id that it would have; with an Idempotency-Key the very one."),
                "request": {"type": "object", "description": "The request, normalised and with its defaults."},
                "application": {"type": "object", "description": "The body of POST /applications, exactly."},
                "approvalsNeeded": _list(_NEEDED, ref("ApprovalNeeded")),
                "warnings": warnings,
                "nextSteps": _list("What people would have to do afterwards.", ref("NextStep")),
            },
        ),
        "ChangePreview": _object(
            "What a call would do to a registration; nothing was stored or sent.",
            {
                "registrationId": _text("The id of the registration."),
                "operation": _maybe(_text("The operation that would begin; null for none."))
                | {"enum": [*OperationType, None]},
                "status": _text("The status that would follow.", enum=list(Status)),
                "changes": _list("Each field that would be different.", ref("ChangedField")),
                "approvalsNeeded": _list(_NEEDED, ref("ApprovalNeeded")),
                "application": {"type": "object", "description": "The body of PATCH /applications/{id}, of a change."},
                "credentials": _object(
                    "Of a change of the credential: what Entra would trust beside, and what no more; a certificate "
                    "goes once the overlap is past.",
                    {
                        "added": {"type": "array", "items": {"type": "object"}, "description": "As Graph has them."},
                        "removed": {"type": "array", "items": {"type": "object"}, "description": "As Graph has them."},
                    },
                ),
                "clients": _list("Of a resource's deletion: the clients that are deleted first.", ref("Going")),
                "warnings": _list("What becomes of those who use the registration.", ref("Warning")),
            },
            optional=("application", "credentials", "clients"),
        ),
        "Going": _object(
            "A client that is deleted with its resource.",
            {
                "registrationId": _text("The id of its registration."),
                "clientType": _text("What kind it is.", enum=list(ClientType)),
                "displayName": _text("Its name."),
                "owner": _text("Whose it is."),
                "status": _text("Where it stands.", enum=list(Status)),
            },
        ),
    }


def _problem() -> Schema:
    fault = _object(
        "One thing that is wrong with a request.",
        {
            "pointer": _text("Where: a JSON pointer into the body, behind #; or a parameter of the query, behind ?."),
            "code": _text("Which rule, as a stable code."),
            "message": _text("The rule, and what to do about it; never what was sent."),
            "rule": _text("The id of the rule of the policy, where it is one."),
            "exception": _text("How to ask for an exception from that rule."),
            "offered": _list(
                "The names that the resource has, where it does not have this one; once for all of them.",
                {"type": "string"},
            ),
        },
        optional=("rule", "exception", "offered"),
    )
    return _object(
        "What is wrong and what to do (RFC 9457).",
        {
            "type": _text("`about:blank`: `code` says which problem it is."),
            "title": _text("The status in words."),
            "status": {"type": "integer", "description": "The status of the answer."},
            "detail": _text("What is wrong, and what to do."),
            "code": _text("Which problem it is, as a stable code."),
            "traceId": _text("Names the call in the service's log."),
            "errors": _list("Every fault of the request at once; of very many the first 100.", fault),
            "ready": {"type": "boolean", "description": "Of GET /ready alone: false."},
            "checkedAt": _moment("Of GET /ready alone: when it was looked at."),
            "checks": _list("Of GET /ready alone: each permission, tried.", ref("Check")),
        },
        optional=("errors", "ready", "checkedAt", "checks"),
    )
