"""The HTTP API without HTTP: one function per call. How a call is read is in `calls.py`, what is told in `answers.py`.

`function_app.py` turns the host's request into `Call` and `Answer` into the host's response, and knows nothing else.
"""

import logging
import math
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, Final

from provisioning import telemetry, trail
from provisioning.api import alter
from provisioning.api.admit import admit
from provisioning.api.answers import (
    POLL_AFTER,
    Answer,
    accepted,
    approvals_needed,
    differences,
    named,
    ok,
    problem,
    represent,
    represent_event,
    shown,
)
from provisioning.api.calls import (
    Call,
    Wish,
    called_about,
    change_body,
    idempotency_key,
    json_body,
    no_body,
    no_parameters,
    read_dry_run,
    read_page,
    registration_id,
    revoke_previous,
    wish,
)
from provisioning.api.chat.link import link_chat, renewed, unlink_chat
from provisioning.api.clients import approve_client, list_clients, revoke_client
from provisioning.api.delete import delete
from provisioning.api.guidance import next_steps
from provisioning.api.prefer import preferred_wait
from provisioning.api.submit import Accepted, preview, submit
from provisioning.api.wait import wait
from provisioning.api.warnings import OWNER_NOT_SEEN, Warning_, consequences, of_owner, warnings
from provisioning.domain.approval import Outcome
from provisioning.domain.callers import Caller, Role
from provisioning.domain.client_types import ClientType
from provisioning.domain.credentials import exchanged_credentials
from provisioning.domain.errors import RequestRejected, SettingsError, TryAgain
from provisioning.domain.events import Actor, ActorKind
from provisioning.domain.intake import RegistrationRequest, dump, parse, parse_decision
from provisioning.domain.manifest import changed_properties
from provisioning.domain.operation import OperationType
from provisioning.domain.registration import REGISTRATION_ID, Registration
from provisioning.domain.traces import read_traceparent, traceparent
from provisioning.ports import Services

logger = trail.logger(__name__)

ABOUT_THE_API: Final = ("show_openapi", "show_docs_for_key_holders", "show_docs_for_people")
_NOBODY: Final = Actor(ActorKind.UNKNOWN)

Handle = Callable[[Services, Caller, Call], Answer]


def answer_call(services: Callable[[], Services], name: str, call: Call) -> Answer:
    """Return the answer to a call by its name; pages need no services, and are for anybody."""
    if name in CALLS:
        return answer(services, CALLS[name], call)
    if name in ABOUT_THE_API:
        from provisioning.api.openapi.served import PAGES
    else:
        from provisioning.api.page.served import PAGES
    return answer_alone(PAGES[name], call, name)


def answer(services: Callable[[], Services], handle: Handle, call: Call) -> Answer:
    """Return what `handle` answers to whoever calls, or the problem document of the error that was raised."""

    def admitted(call: Call) -> Answer:
        try:
            made = services()
        except SettingsError as error:
            if handle is not show_readiness:
                raise
            return _not_ready(error)
        caller = admit(made, call)
        trail.known(actor=Actor.of(caller))
        return handle(made, caller, call)

    return answer_alone(admitted, call, handle.__name__)


def answer_alone(handle: Callable[[Call], Answer], call: Call, name: str = "call") -> Answer:
    """Return what `handle`, which needs no services, answers, or the problem document of the error that it raised.

    The answer names its trace: the caller's own, or a new one. One that is an error has a line in the log.
    """
    trace_id, named = read_traceparent(call.headers.get("traceparent")), registration_id(call)
    subject = f"registration {named}" if REGISTRATION_ID.fullmatch(named) else ""
    with trail.following(trace_id, _NOBODY, subject) as followed:
        with telemetry.span(name, telemetry.Kind.SERVER, begins_trace=trace_id is None) as made:
            if subject:
                made.attributes["registrar.registration_id"] = named
            answered = _answered_somehow(handle, call)
            made.attributes["http.response.status_code"] = answered.status
        if answered.status >= HTTPStatus.BAD_REQUEST:
            level = logging.ERROR if answered.status == HTTPStatus.INTERNAL_SERVER_ERROR else logging.WARNING
            logger.log(level, "answered %d %s to %s", answered.status, answered.code, trail.current().actor)
        headers = {**answered.headers, "traceparent": traceparent(followed.trace_id)}
        return replace(answered, headers=headers)


def _answered_somehow(handle: Callable[[Call], Answer], call: Call) -> Answer:
    try:
        return handle(call)
    except RequestRejected as error:
        return problem(error.status, error.code, error.message, error.faults, _retry_after(error.retry_after))
    except TryAgain as error:
        return problem(503, error.code, error.message, headers=_retry_after(error.retry_after or POLL_AFTER))
    except SettingsError as error:
        _log_settings(error)
        return problem(500, "misconfigured", "The service is not configured; its log names each wrong setting.")
    except Exception as error:  # noqa: BLE001 -- whatever it is, the caller is answered
        # Not its text, which could quote the caller, and break the line.
        logger.error("ended in an error that nobody foresaw: %s at %s", type(error).__name__, _where(error))  # noqa: TRY400
        return problem(500, "internal-error", "The service failed; its log has the cause. It is safe to send it again.")


def _not_ready(error: SettingsError) -> Answer:
    """Return 503: each wrong setting by its name to whoever had to have a key; else who calls is not known."""
    from provisioning.api import ready

    _log_settings(error)
    return ready.show_settings(error.faults if error.keys_are_asked else ())


def _log_settings(error: SettingsError) -> None:
    logger.error("The app settings are wrong: %s", " | ".join(error.faults))


def _retry_after(seconds: float | None) -> dict[str, str]:
    return {} if seconds is None else {"Retry-After": str(max(1, math.ceil(seconds)))}


def _where(error: Exception) -> str:
    """Return the lines of code that led to an error, the last one first."""
    frames = reversed(traceback.extract_tb(error.__traceback__))
    return " < ".join(f"{Path(each.filename).name}:{each.lineno} {each.name}" for each in frames)


# --- the calls ------------------------------------------------------------------------------------------------------


def submit_registration(services: Services, caller: Caller, call: Call) -> Answer:
    """POST /registrations: 202 and the registration; with dryRun=true 200 and what would be done."""
    dry_run, key, seconds = read_dry_run(call), idempotency_key(call), preferred_wait(call.headers)
    request = parse(json_body(call), services.secrets.lifetimes)
    if dry_run:
        return _preview(services, caller, request, key)
    return _accepted(submit(services, request, caller, key), caller, call, services, seconds)


def _preview(services: Services, caller: Caller, request: RegistrationRequest, key: str | None) -> Answer:
    seen = preview(services, request, caller, key)
    return ok(
        {
            "registrationId": seen.registration.id,
            "request": dump(request),
            "application": seen.body,
            "approvalsNeeded": approvals_needed(seen.approvals),
            "warnings": [asdict(warning) for warning in seen.warnings],
            "nextSteps": [asdict(step) for step in next_steps(seen.registration, services.tenant)],
        }
    )


def retry_registration(services: Services, caller: Caller, call: Call) -> Answer:
    """POST /registrations/{id}/retry: 202, and the failed registration is accepted again."""
    no_body(call)
    wanted = wish(caller, call)
    return _answered(alter.retry(services, wanted), wanted, call, services)


def rotate_registration(services: Services, caller: Caller, call: Call) -> Answer:
    """POST /registrations/{id}/rotate: 202, and its secret is replaced; with revokePrevious the others end at once."""
    wanted, revoke = wish(caller, call), revoke_previous(call)
    return _answered(alter.rotate(services, wanted, revoke_previous=revoke), wanted, call, services)


def change_registration(services: Services, caller: Caller, call: Call) -> Answer:
    """PATCH /registrations/{id}: 202, and Entra gets what was changed."""
    wanted = wish(caller, call)
    return _answered(alter.change(services, wanted, change_body(call)), wanted, call, services)


def approve_registration(services: Services, caller: Caller, call: Call) -> Answer:
    """POST /registrations/{id}/approve: 202, and what was asked is carried out."""
    wanted, decision = wish(caller, call), parse_decision(json_body(call))
    return _answered(alter.decide(services, wanted, Outcome.APPROVED, decision), wanted, call, services)


def deny_registration(services: Services, caller: Caller, call: Call) -> Answer:
    """POST /registrations/{id}/deny: 202, and what was asked fails with the reason."""
    wanted, decision = wish(caller, call), parse_decision(json_body(call), reason_required=True)
    return _answered(alter.decide(services, wanted, Outcome.DENIED, decision), wanted, call, services)


def revoke_registration(services: Services, caller: Caller, call: Call) -> Answer:
    """POST /registrations/{id}/revoke: 202, and the data roles that the client was given are taken back."""
    no_body(call)
    wanted = wish(caller, call)
    return _answered(alter.revoke(services, wanted), wanted, call, services)


def delete_registration(services: Services, caller: Caller, call: Call) -> Answer:
    """DELETE /registrations/{id}: 202, and the application and the secret are deleted; the registration is kept."""
    no_body(call)
    wanted = wish(caller, call, may_cascade=True)
    return _answered(delete(services, wanted), wanted, call, services)


def _answered(done: Accepted, wanted: Wish, call: Call, services: Services) -> Answer:
    """Return 202 and the registration, or 200 and what would change where that alone was asked for."""
    if not wanted.dry_run:
        return _accepted(done, wanted.caller, call, services, wanted.wait)
    before, after = done.before, done.registration
    anew = after.pending and (not before.pending or after.operation.id != before.operation.id)
    begins = after.operation.type if anew else None
    news = [each for each in warnings(after) if each not in warnings(before) and each != OWNER_NOT_SEEN]
    of_change = (*_of_new_owner(services, before, after), *([] if after.ending else news), *consequences(before, after))
    content: dict[str, Any] = {
        "registrationId": after.id,
        "operation": begins,
        "status": after.status,
        "changes": differences(before.request, after.request),
        "approvalsNeeded": approvals_needed(done.approvals),
        "warnings": [asdict(each) for each in of_change],
    }
    if after.ending and after.client_type is ClientType.RESOURCE:
        content["clients"] = [named(each) for each in done.clients]
    if begins is OperationType.CHANGE:
        content["application"] = changed_properties(after)
        content |= exchanged_credentials(before, after, services.tenant)
    return ok(content)


def _of_new_owner(services: Services, before: Registration, after: Registration) -> tuple[Warning_, ...]:
    return of_owner(services, after) if after.request.owner != before.request.owner else ()


def _accepted(done: Accepted, caller: Caller, call: Call, services: Services, seconds: int | None) -> Answer:
    waited = wait(services, caller, done.registration, seconds, done.message)
    return accepted(waited.registration, waited.message, call.collection, services, waited.headers)


def show_registration(services: Services, caller: Caller, call: Call) -> Answer:
    """GET /registrations/{id}: 200 and the registration, with Retry-After while an operation is pending."""
    no_body(call)
    no_parameters(call)
    seconds = preferred_wait(call.headers)
    found = called_about(services, caller, call)
    waited = wait(services, caller, found, seconds)
    return shown(waited.registration, services, waited.headers)


def list_events(services: Services, caller: Caller, call: Call) -> Answer:
    """GET /registrations/{id}/events: 200 and a page of what was done to the registration, oldest first."""
    no_body(call)
    top, continuation_token = read_page(call)
    found = called_about(services, caller, call)
    page = services.registry.events(found.id, top=top, continuation_token=continuation_token)
    value = [represent_event(event) for event in page.events]
    return ok({"value": value, "continuationToken": page.continuation_token})


def list_registrations(services: Services, caller: Caller, call: Call) -> Answer:
    """GET /registrations: 200 and a page of registrations."""
    from provisioning.api.lists import ListQuery, listed

    no_body(call)
    page = listed(services, caller, ListQuery.read(call))
    value = [represent(registration, services) for registration in page.registrations]
    return ok({"value": value, "continuationToken": page.continuation_token})


def show_policy(services: Services, caller: Caller, call: Call) -> Answer:
    """GET /policy: 200, and what of the policy holds for registrations of the caller and its groups."""
    no_body(call)
    no_parameters(call)
    policy = services.policy.current()
    rules = policy.shown() if caller.sees_all else policy.shown_to(caller.identities)
    return ok({"version": policy.recorded_version, "exceptions": policy.exceptions, "rules": rules})


def show_readiness(services: Services, caller: Caller, call: Call) -> Answer:
    """GET /ready: 200, or 503 where anything is lacking, and each check; for callers with a role."""
    from provisioning.api import ready

    no_body(call)
    no_parameters(call)
    if not caller.roles:
        raise RequestRejected(403, "role-required", f"This needs an app role, such as {Role.READ_ALL}.")
    return ready.show(services)


def show_caller(services: Services, caller: Caller, call: Call) -> Answer:
    """GET /me: 200, and who calls, as whoever calls may know it; it counts in the chat from now on."""
    no_body(call)
    no_parameters(call)
    renewed(services, caller)
    told = {"objectId": caller.object_id, "kind": caller.kind, "name": caller.name}
    return ok({**told, "roles": sorted(caller.roles), "groups": sorted(caller.groups), "tenantId": services.tenant.id})


CALLS: Final[Mapping[str, Handle]] = {
    handle.__name__: handle
    for handle in (
        submit_registration,
        list_registrations,
        show_registration,
        list_events,
        retry_registration,
        rotate_registration,
        change_registration,
        approve_registration,
        deny_registration,
        revoke_registration,
        delete_registration,
        list_clients,
        approve_client,
        revoke_client,
        show_policy,
        show_readiness,
        show_caller,
        link_chat,
        unlink_chat,
    )
}
