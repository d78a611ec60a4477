"""The triggers, and nothing else; importing this loads azure.functions only, as a cold start is what callers feel."""

import functools
import gc
import os
import typing

import azure.functions as func

if typing.TYPE_CHECKING:
    from provisioning.ports import Services

QUEUE = "registrations"
NOTICES = "notices"
CHAT = "chat"
STORAGE = "AzureWebJobsStorage"
# The host has no default for a %SETTING% that is not set, and would refuse the function.
PLANNER_SCHEDULE = "%PLANNER_SCHEDULE%" if os.environ.get("PLANNER_SCHEDULE") else "0 */5 * * * *"
RECONCILE_SCHEDULE = "%RECONCILE_SCHEDULE%" if os.environ.get("RECONCILE_SCHEDULE") else "0 30 2 * * *"
# Callers who sign in are asked by the platform in front, and have no key for the host to ask for.
ENTRA = os.environ.get("CALLER_AUTH", "").strip() == "entra"
# Without a chat its functions do not exist.
SLACK = bool(os.environ.get("SLACK_SIGNING_SECRET", "").strip())
TEAMS = bool(os.environ.get("TEAMS_BOT_ID", "").strip())
# Or pydantic looks for plug-ins in every installed package, which takes a tenth of the time to the first answer.
os.environ.setdefault("PYDANTIC_DISABLE_PLUGINS", "__all__")
# What is loaded stays; to look for garbage among it at every 700 objects takes a quarter of the time to load it.
gc.set_threshold(50_000)

Messages: typing.TypeAlias = func.Out[typing.List[str]]  # noqa: UP006 -- the worker refuses list[str]

app = func.FunctionApp(http_auth_level=func.AuthLevel.ANONYMOUS if ENTRA else func.AuthLevel.FUNCTION)


# What callers ask over HTTP: the function, its method and route, and the call of the callers' side that answers.
CALLS = (
    ("submit", "POST", "registrations", "submit_registration"),
    ("list_registrations", "GET", "registrations", "list_registrations"),
    ("show", "GET", "registrations/{registrationId}", "show_registration"),
    ("events", "GET", "registrations/{registrationId}/events", "list_events"),
    ("change", "PATCH", "registrations/{registrationId}", "change_registration"),
    ("delete", "DELETE", "registrations/{registrationId}", "delete_registration"),
    ("retry", "POST", "registrations/{registrationId}/retry", "retry_registration"),
    ("rotate", "POST", "registrations/{registrationId}/rotate", "rotate_registration"),
    ("approve", "POST", "registrations/{registrationId}/approve", "approve_registration"),
    ("deny", "POST", "registrations/{registrationId}/deny", "deny_registration"),
    ("revoke", "POST", "registrations/{registrationId}/revoke", "revoke_registration"),
    ("clients", "GET", "registrations/{registrationId}/clients", "list_clients"),
    ("approve_client", "POST", "registrations/{registrationId}/clients/{clientId}/approve", "approve_client"),
    ("revoke_client", "POST", "registrations/{registrationId}/clients/{clientId}/revoke", "revoke_client"),
    ("policy", "GET", "policy", "show_policy"),
    ("ready", "GET", "ready", "show_readiness"),
    ("me", "GET", "me", "show_caller"),
)
# The two of Slack, whose caller has signed in.
CHAT_CALLS = (("link", "POST", "chat/link", "link_chat"), ("unlink", "DELETE", "chat/link", "unlink_chat"))
# What anybody may read. The host has the function's name as the route of one whose route is empty
# (WebScriptHostHttpRoutesManager.cs), and no order for routes that overlap: that of `home` matches the prefix alone.
PAGES = (
    ("openapi", "GET", "openapi.json", "show_openapi"),
    ("docs", "GET", "docs", "show_docs_for_people" if ENTRA else "show_docs_for_key_holders"),
    ("home", "GET", "{nothing:maxlength(0)?}", "show_home"),
    ("page", "GET", "page/{file?}", "show_page_for_people" if ENTRA else "show_page_for_key_holders"),
)
OPEN = func.AuthLevel.ANONYMOUS


def _serve(name: str, method: str, route: str, call: str, level: func.AuthLevel | None = None) -> None:
    """Have a function answer the call; what a call that writes sends to the queue goes out before its answer does."""

    def read(req: func.HttpRequest) -> func.HttpResponse:
        return _answer(call, req)

    def write(req: func.HttpRequest, message: func.Out[str]) -> func.HttpResponse:
        return _answer(call, req, message)

    sends = app.queue_output(arg_name="message", queue_name=QUEUE, connection=STORAGE)
    at = app.route(route=route, methods=[method], auth_level=level)
    app.function_name(name)(at(read if method == "GET" or level is OPEN else sends(write)))


for _each in (*CALLS, *(CHAT_CALLS if SLACK else ())):
    _serve(*_each)
for _each in PAGES:
    _serve(*_each, OPEN)


@app.route(route="health", methods=["GET", "HEAD"], auth_level=OPEN)
def health(req: func.HttpRequest) -> func.HttpResponse:  # noqa: ARG001 -- a trigger's binding
    """Answer that the process lives, and nothing else."""
    return func.HttpResponse('{"status": "alive"}', mimetype="application/json")


@app.queue_trigger(arg_name="message", queue_name=QUEUE, connection=STORAGE)
@app.queue_output(arg_name="messages", queue_name=QUEUE, connection=STORAGE)
@app.queue_output(arg_name="notices", queue_name=NOTICES, connection=STORAGE)
def provision(message: func.QueueMessage, messages: Messages, notices: Messages) -> None:
    """Carry out what a message asks; an error has the queue deliver it again."""
    from provisioning.domain.messages import read_message
    from provisioning.flow.provision import carry_out
    from provisioning.flow.run import taken

    taken(_services(), message.insertion_time)
    outgoing = carry_out(_services(), read_message(message.get_body()))
    messages.set(list(outgoing.registrations))
    notices.set(list(outgoing.notices))


@app.queue_trigger(arg_name="message", queue_name=f"{QUEUE}-poison", connection=STORAGE)
def give_up(message: func.QueueMessage) -> None:
    """Decide about a message that failed as often as the queue allows."""
    from provisioning.domain.messages import read_message
    from provisioning.flow import conclude

    conclude.give_up(_services(), read_message(message.get_body()))


@app.queue_trigger(arg_name="message", queue_name=NOTICES, connection=STORAGE)
def notify(message: func.QueueMessage) -> None:
    """Send what a subject's notices tell; an error has the queue deliver the message again."""
    from provisioning.domain.messages import read_notice_message
    from provisioning.flow.notify import send_notices

    send_notices(_services(), read_notice_message(message.get_body()))


@app.queue_trigger(arg_name="message", queue_name=f"{NOTICES}-poison", connection=STORAGE)
def drop_notice_message(message: func.QueueMessage) -> None:
    """Let go of a message that failed for good; the notices wait in their table, and the planner sends another."""


@app.timer_trigger(arg_name="timer", schedule=PLANNER_SCHEDULE, use_monitor=True)
@app.queue_output(arg_name="messages", queue_name=QUEUE, connection=STORAGE)
@app.queue_output(arg_name="notices", queue_name=NOTICES, connection=STORAGE)
def planner(timer: func.TimerRequest, messages: Messages, notices: Messages) -> None:  # noqa: ARG001 -- a trigger's binding
    """Enqueue one message for each registration with something left to do, and for each subject with notices."""
    from provisioning.flow import plan

    messages.set(list(plan.due_messages(_services())))
    notices.set(list(plan.waiting_notices(_services())))


@app.timer_trigger(arg_name="timer", schedule=RECONCILE_SCHEDULE, use_monitor=True)
@app.queue_output(arg_name="messages", queue_name=QUEUE, connection=STORAGE)
def reconcile(timer: func.TimerRequest, messages: Messages) -> None:  # noqa: ARG001 -- a trigger's binding
    """Begin to compare what is remembered with Entra and the vault."""
    from provisioning.flow.reconcile import first_page

    messages.set([first_page(_services())])


# A chat signs what it sends, and is answered at once; what somebody asks for is done from the queue.
for _chat in [name for name, there in (("slack", SLACK), ("teams", TEAMS)) if there]:
    _serve(_chat, "POST", f"chat/{_chat}", f"answer_{_chat}", OPEN)
if SLACK or TEAMS:

    @app.queue_trigger(arg_name="message", queue_name=CHAT, connection=STORAGE)
    @app.queue_output(arg_name="messages", queue_name=QUEUE, connection=STORAGE)
    def chat(message: func.QueueMessage, messages: Messages) -> None:
        """Do what somebody asks for in a chat, and tell them; an error has the queue deliver it again."""
        from provisioning.api.chat.work import carry_out

        messages.set(carry_out(_services(), message.get_body(), message.id or ""))

    @app.queue_trigger(arg_name="message", queue_name=f"{CHAT}-poison", connection=STORAGE)
    def give_up_chat(message: func.QueueMessage) -> None:
        """Tell somebody that what they asked for in a chat could not be done."""
        from provisioning.api.chat.work import give_up

        give_up(_services(), message.get_body())


@functools.cache
def _services() -> "Services":
    """Return the services of this process, made from its settings on first use."""
    from provisioning.settings import from_environment
    from provisioning.wiring import AzureServices

    return AzureServices(from_environment())


def _answer(call: str, req: func.HttpRequest, message: func.Out[str] | None = None) -> func.HttpResponse:
    """Have the callers' side answer, which is loaded only now."""
    from provisioning.api import web
    from provisioning.api.calls import Call

    received = Call.received(req.method, req.url, req.headers, req.get_body(), req.route_params)
    if call.startswith("answer_"):
        from provisioning.api.chat.work import answer_chat

        answer = answer_chat(_services, call, received)
    else:
        answer = web.answer_call(_services, call, received)
    if message is not None and answer.message is not None:
        message.set(answer.message)
    return func.HttpResponse(
        answer.body, status_code=answer.status, headers=dict(answer.headers), mimetype=answer.content_type
    )
