"""The calls: what each is for, what it takes, and what it answers."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from provisioning.api.calls import JSON_PATCH, MERGE_PATCH
from provisioning.api.openapi import examples
from provisioning.api.openapi.bodies import Schema, ref, request_schema
from provisioning.api.openapi.refusals import refusals

JSON: Final = "application/json"
_Headers = Mapping[str, tuple[str, Schema]]
_UNTIL_WHEN: Final[_Headers] = {"Retry-After": ("Seconds to wait before that.", {"type": "integer", "minimum": 1})}
_ETAG: Final[_Headers] = {"ETag": ("What this answer shows: another one after each change.", {"type": "string"})}
_LOCATION: Final[_Headers] = {"Location": ("Where to ask how it went.", {"type": "string", "format": "uri-reference"})}
_WAITED: Final[_Headers] = {"Preference-Applied": ("What of Prefer was honoured.", {"type": "string"})}
_ONE: Final = ("registrationId", "dryRun", "ifMatch", "prefer", "onBehalfOf")


def paths() -> dict[str, Any]:
    """Return every call, by its path and its method."""
    one = "/registrations/{registrationId}"
    return {
        "/registrations": {"post": _submit(), "get": _list()},
        one: {"get": _show(), "patch": _change(), "delete": _delete()},
        f"{one}/events": {"get": _events()},
        f"{one}/rotate": {"post": _rotate()},
        f"{one}/approve": {"post": _decide("approve", "Decision", _APPROVE)},
        f"{one}/deny": {"post": _decide("deny", "Denial", _DENY)},
        f"{one}/retry": {"post": _retry()},
        f"{one}/revoke": {"post": _revoke()},
        f"{one}/clients": {"get": _clients()},
        f"{one}/clients/{{clientId}}/approve": {"post": _agree("approveClient", *_APPROVE_CLIENT)},
        f"{one}/clients/{{clientId}}/revoke": {"post": _agree("revokeClient", *_REVOKE_CLIENT)},
        "/policy": {"get": _policy()},
        "/ready": {"get": _ready()},
        "/me": {"get": _me()},
        "/chat/link": {"post": _link(), "delete": _unlink()},
        "/openapi.json": {"get": _page("showOpenapi", "This description", {JSON: {"schema": {"type": "object"}}})},
        "/docs": {
            "get": _page("showDocs", "This description as a page", {"text/html": {"schema": {"type": "string"}}})
        },
        "/health": {"get": _health(), "head": _probe()},
    }


# --- registrations --------------------------------------------------------------------------------------------------


def _submit() -> Schema:
    return _operation(
        "submitRegistration",
        "Ask for a registration",
        "The work is done after the answer. The same Idempotency-Key, owner and request give the same registration; "
        "without the header every call is a new one.",
        parameters=("dryRun", "idempotencyKey", "prefer", "onBehalfOf"),
        body=_body(request_schema(), examples.REQUESTS),
        answers={
            "200": _answer("With dryRun=true: what would be done. Nothing was.", "Preview", examples.PREVIEW),
            "202": _accepted(),
        },
    )


def _list() -> Schema:
    return _operation(
        "listRegistrations",
        "List registrations",
        "Those that the caller may read, in pages and in order of their ids. Deleted ones only with status=deleted.",
        parameters=(
            *("owner", "mine", "clientType", "status", "q", "expiringBefore", "hasFindings", "awaitingMyApproval"),
            *("top", "continuationToken", "onBehalfOf"),
        ),
        answers={"200": _answer("A page.", "RegistrationList", examples.LIST)},
    )


def _show() -> Schema:
    found = _answer(
        "The registration. `Retry-After` is there while an operation is pending.",
        "Registration",
        examples.ACTIVE,
        headers=_ETAG,
    )
    found["headers"] |= _headers({**_UNTIL_WHEN, **_WAITED}, required=False)
    return _operation(
        "showRegistration",
        "Read a registration",
        "One that was deleted stays readable: it is the evidence of what there was.",
        parameters=("registrationId", "prefer", "onBehalfOf"),
        answers={"200": found | {"links": _links(unchanged=True)}},
    )


def _events() -> Schema:
    return _operation(
        "listEvents",
        "Read who did what to a registration",
        "Oldest first, in pages. It is kept as long as the registration is, and never changed.",
        parameters=("registrationId", "top", "continuationToken", "onBehalfOf"),
        answers={"200": _answer("A page.", "EventList", examples.EVENTS)},
    )


def _change() -> Schema:
    return _altering(
        "changeRegistration",
        "Change a registration",
        "What people see, whom notices go to, who owns it, where sign-ins go, and what it asks of its resource. null "
        "takes an optional field out. Anything else is a new registration. What the policy wants an approval of waits "
        "for it.",
        example=examples.CHANGE_PREVIEW,
        body=_change_body(),
    )


def _delete() -> Schema:
    return _altering(
        "deleteRegistration",
        "Delete a registration",
        "Application and secret are deleted, recoverably. A pending operation is superseded. The registration stays "
        "readable, as evidence; to delete it again is no error. A resource that live clients use is not deleted unless "
        "with them.",
        example=examples.DELETE_PREVIEW,
        also=("cascade",),
    )


def _rotate() -> Schema:
    return _altering(
        "rotateRegistration",
        "Replace the secret now",
        "The one before goes on working for the overlap, unless it is revoked. The body may be left out.",
        example=examples.ROTATE_PREVIEW,
        body=_body(ref("Rotation"), examples.ROTATIONS) | {"required": False},
    )


def _retry() -> Schema:
    return _altering(
        "retryRegistration",
        "Try a failed registration again",
        "Mend its cause before: `operation.failure` has the remedy.",
        example=examples.RETRY_PREVIEW,
    )


def _clients() -> Schema:
    return _operation(
        "listClients",
        "Read who may do what on a resource",
        "Its clients, in pages, each with what it may do there, since when, and what waits for the resource's owner.",
        parameters=("registrationId", "top", "continuationToken", "onBehalfOf"),
        answers={"200": _answer("A page.", "ClientList", examples.CLIENTS)},
    )


_APPROVE_CLIENT: Final = (
    "Agree that a client of a resource holds what it asks for",
    "For the owner of the resource. It names every permission that the client asks for, and no other.",
)
_REVOKE_CLIENT: Final = (
    "Take away what a client of a resource was granted",
    "For the owner of the resource. Tokens that were issued work until they expire. The client itself stays.",
)


def _revoke() -> Schema:
    return _altering(
        "revokeRegistration",
        "Take back the data roles of a client",
        "For an approver, or whoever may change the client. What it has on its managed FHIR service by this service is "
        "taken away; it still asks for it, and holds nothing until somebody agrees anew.",
        example=examples.REVOCATION_PREVIEW,
    )


def _agree(operation_id: str, summary: str, description: str) -> Schema:
    body = _body(ref("Permissions"), {"permissions": examples.PERMISSIONS}) if operation_id == "approveClient" else None
    accepted = _answer(
        "Accepted. Read the list again.", "Client", examples.CLIENT, headers={**_LOCATION, **_UNTIL_WHEN}
    )
    return _operation(
        operation_id,
        summary,
        description,
        parameters=("registrationId", "clientId", "dryRun", "ifMatch", "onBehalfOf"),
        body=body,
        answers={
            "200": _answer("With dryRun=true: as it would be. Nothing was done.", "Client", examples.CLIENT),
            "202": accepted,
        },
    )


_APPROVE: Final = (
    "Agree to a request, or a change, that waits for an approval",
    "It is then carried out. Whoever asked for it does not agree to it.",
)
_DENY: Final = (
    "Refuse a request, or a change, that waits for an approval, or take it back",
    "Its operation then fails with the reason, which can be read. Whoever could delete the registration may do so too.",
)


def _decide(name: str, schema: str, words: tuple[str, str]) -> Schema:
    decision = {"decision": examples.APPROVAL if name == "approve" else examples.DENIAL}
    return _altering(
        f"{name}Registration", *words, example=examples.DECISION_PREVIEW, body=_body(ref(schema), decision)
    )


def _altering(  # noqa: PLR0913 -- as of any call
    operation_id: str,
    summary: str,
    description: str,
    *,
    example: object,
    body: Schema | None = None,
    also: Iterable[str] = (),
) -> Schema:
    """Return a call that alters one registration."""
    return _operation(
        operation_id,
        summary,
        description,
        parameters=(*_ONE, *also),
        body=body,
        answers={
            "200": _answer("With dryRun=true: what would change. Nothing did.", "ChangePreview", example),
            "202": _accepted(),
        },
    )


def _accepted() -> Schema:
    answer = _answer(
        "Accepted. Poll `Location` after `Retry-After` seconds; without that the operation has ended meanwhile.",
        "Registration",
        examples.ACCEPTED,
        headers={**_LOCATION, **_ETAG},
    )
    answer["headers"] |= _headers({**_UNTIL_WHEN, **_WAITED}, required=False)
    return answer | {"links": _links()}


def _links(*, unchanged: bool = False) -> dict[str, Any]:
    """Return the calls that follow, about the registration that was answered, perhaps only if it is still as it was."""
    known = {"registrationId": "$response.body#/registrationId"}
    condition = {"header.If-Match": "$response.header.ETag"} if unchanged else {}
    return {
        name: {"operationId": f"{name}Registration", "parameters": known | (condition if name != "show" else {})}
        for name in ("show", "change", "rotate", "retry", "approve", "deny", "delete")
    }


def _policy() -> Schema:
    return _operation(
        "showPolicy",
        "Read the policy",
        "What of it holds for registrations of the caller and its groups; all of it for whoever may read all of them.",
        parameters=("onBehalfOf",),
        answers={"200": _answer("The rules.", "Policy", examples.POLICY)},
    )


def _ready() -> Schema:
    return _operation(
        "showReadiness",
        "Tell whether the service can do its work",
        "Each permission that it depends on is tried, at most every 30 seconds. For callers with an app role. Where "
        "anything is lacking, the answer is 503, with each check and its remedy.",
        answers={"200": _answer("Nothing is lacking.", "Readiness", examples.READY)},
    )


def _me() -> Schema:
    return _operation(
        "showCaller",
        "Read who you are",
        "As this service knows its caller: what the rest is decided by.",
        parameters=("onBehalfOf",),
        answers={"200": _answer("The caller.", "Caller", examples.CALLER)},
    )


_NO_CHAT: Final[Schema] = {"404": {"description": "This service has no chat. The host answers, without a body."}}


def _link() -> Schema:
    shown = _answer("The code, which is shown this once.", "ChatCode", examples.CHAT_CODE)
    return _operation(
        "linkChat",
        "Get a code to say in the chat",
        "Whoever writes `link` and this code in the chat is the caller there, with the roles and groups of this "
        "sign-in. Only a person who has signed in gets one. Nobody else should be given it.",
        answers={"200": shown, **_NO_CHAT},
    )


def _unlink() -> Schema:
    return _operation(
        "unlinkChat",
        "Be nobody in the chat",
        "What is known of the caller from a chat is forgotten. A second time is no error.",
        answers={"204": {"description": "Nobody in a chat is the caller."}, **_NO_CHAT},
    )


# --- the rest -------------------------------------------------------------------------------------------------------


def _page(operation_id: str, summary: str, content: Mapping[str, Any]) -> Schema:
    answers = {"200": {"description": f"{summary}.", "content": dict(content)}}
    text = "It needs no key: it says nothing about anybody."
    return _operation(operation_id, summary, text, answers=answers) | {"security": []}


def _health() -> Schema:
    return {
        "operationId": "health",
        "summary": "Tell that the process lives",
        "description": "It needs no key and says nothing else.",
        "security": [],
        "responses": {"200": _answer("It lives.", "Health", {"status": "alive"})},
    }


def _probe() -> Schema:
    return {
        "operationId": "probe",
        "summary": "Tell that the process lives, without a word",
        "description": "As GET, without a body.",
        "security": [],
        "responses": {"200": {"description": "It lives."}},
    }


def _operation(  # noqa: PLR0913 -- each is one part of a call
    operation_id: str,
    summary: str,
    description: str,
    *,
    parameters: Iterable[str] = (),
    body: Schema | None = None,
    answers: Mapping[str, Schema],
) -> Schema:
    """Return a call with what it may be refused with."""
    operation: Schema = {"operationId": operation_id, "summary": summary, "description": description}
    if parameters:
        operation["parameters"] = [{"$ref": f"#/components/parameters/{name}"} for name in parameters]
    if body is not None:
        operation["requestBody"] = body
    operation["responses"] = dict(answers)
    for status, refusal in refusals(operation_id):
        operation["responses"][status] = refusal | _problem(status)
    return operation


def _problem(status: str) -> Schema:
    if status == "401":  # the host's own has no body
        return {}
    content = {"application/problem+json": {"schema": ref("Problem")} | _shown(examples.PROBLEMS.get(status))}
    return {"content": content} | ({"headers": _headers(_UNTIL_WHEN)} if status == "503" else {})


def _body(schema: Schema, shown: Mapping[str, Any], *also: str) -> Schema:
    content = {"schema": schema, "examples": {name: {"value": value} for name, value in shown.items()}}
    return {"required": True, "content": dict.fromkeys((JSON, *also), content)}


def _change_body() -> Schema:
    body = _body(ref("Change"), examples.CHANGES, MERGE_PATCH)
    patch = {"schema": ref("JsonPatch"), "examples": {"one-entry": {"value": examples.JSON_PATCH}}}
    return body | {"content": {**body["content"], JSON_PATCH: patch}}


def _answer(description: str, schema: str, example: object, headers: _Headers | None = None) -> Schema:
    answer: Schema = {"description": description, "content": {JSON: {"schema": ref(schema)} | _shown(example)}}
    return answer | ({"headers": _headers(headers)} if headers else {})


def _shown(example: object) -> Schema:
    return {"examples": {"answer": {"value": example}}} if example is not None else {}


def _headers(headers: _Headers, *, required: bool = True) -> Schema:
    return {
        name: {"description": description, "required": required, "schema": schema}
        for name, (description, schema) in headers.items()
    }
