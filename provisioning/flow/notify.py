"""Notices, from "a notice was put" to "the receiver took it".

They wait in the registry, and a message only says whose are waiting: losing one loses nothing, because the planner
finds what has waited for two minutes. A notice is removed after it was taken, so each is sent at least once; its id is
the same each time. Those of one subject go in order. A callback waits beside the operator's notice of the same event,
in a mailbox of its own, and is given up after three days: a receiver that somebody else runs holds up nobody.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Final

from provisioning import telemetry, trail
from provisioning.domain.errors import TryAgain, UnreadableRow
from provisioning.domain.events import Actor, ActorKind
from provisioning.domain.messages import CHAT_QUEUE, DROPPED, notice_message, waiting_message
from provisioning.domain.notices import CALLBACK, CHAT, REGISTRAR, Notice
from provisioning.domain.registration import Registration
from provisioning.flow.plan import DUE_AGAIN_AFTER, STALLED_AFTER
from provisioning.flow.run import briefly
from provisioning.ports import Callbacks, Notifier, Services
from provisioning.telemetry import Kind

logger = trail.logger(__name__)

CALLBACK_GIVEN_UP_AFTER: Final = timedelta(days=3)
_LONGEST_PAUSE: Final = timedelta(hours=6)


def announce(services: Services, notice: Notice, about: Registration | None) -> list[str]:
    """Have the notice wait, and return the messages that have it sent: none where nobody is to be told.

    It waits for the operator, and for the callback of the registration that it is about, as far as there are any; for
    those in a chat where it is about what waits for an approval, or has got one.
    """
    waits = [notice] if services.notifier is not None else []
    if tells_chats(services) and about is not None and about.approval is not None:
        waits.append(replace(notice, chat=True))
    if services.callbacks is not None and about is not None and about.request.callback_url is not None:
        waits.append(replace(notice, callback=True))
    for each in waits:
        traced = replace(each, trace_id=each.trace_id or trail.current().trace_id)
        services.registry.put_notice(traced, services.clock.now() + STALLED_AFTER)
    return [notice_message(each.mailbox) for each in waits]


@briefly
def send_notices(services: Services, mailbox: str | None) -> None:
    """Afterwards the receiver took every notice that waited there, or TryAgain is raised at the first other.

    That one is put off: or the planner would enqueue a message at every turn while this one comes back. The others
    wait behind it. None, a message that is none of ours, is dropped. For callbacks see `_call_back`.
    """
    with (
        trail.following(None, Actor(ActorKind.QUEUE)),
        telemetry.span("send_notices", Kind.CONSUMER, begins_trace=True),
    ):
        _send_notices(services, mailbox)


def _send_notices(services: Services, mailbox: str | None) -> None:
    if mailbox is None:
        logger.error(DROPPED)
        return
    if mailbox.startswith(CALLBACK):
        if services.callbacks is not None:
            _call_back(services, services.callbacks, mailbox)
        return
    if mailbox.startswith(CHAT):
        _hand_on(services, mailbox)
        return
    if services.notifier is None:
        return
    about = "" if mailbox == REGISTRAR else f"registration {mailbox}"
    for notice in services.registry.notices(mailbox):
        with trail.following(notice.trace_id, subject=about), telemetry.span("send_notice"):
            _send(services, services.notifier, notice)


def _send(services: Services, notifier: Notifier, notice: Notice) -> None:
    try:
        notifier.send(notice)
    except TryAgain as error:
        logger.warning("notice %s: waits: %s", notice.id, error)
        services.registry.put_notice(notice, services.clock.now() + DUE_AGAIN_AFTER)
        raise
    services.registry.remove_notice(notice)
    logger.info("notice %s: taken", notice.id)


def tells_chats(services: Services) -> bool:
    """Whether people in a chat can be told what they did not ask for."""
    return services.bot is not None or (services.workspace is not None and services.workspace.has_forms)


def _hand_on(services: Services, mailbox: str) -> None:
    """Have the chat's queue tell how the registration stands, once for all that waits there."""
    waiting = list(services.registry.notices(mailbox))
    if waiting and tells_chats(services):
        try:
            services.queues.send(CHAT_QUEUE, waiting_message(mailbox.removeprefix(CHAT)))
        except TryAgain:
            services.registry.put_notice(waiting[0], services.clock.now() + DUE_AGAIN_AFTER)
            raise
    for notice in waiting:
        services.registry.remove_notice(notice)


def _call_back(services: Services, callbacks: Callbacks, mailbox: str) -> None:
    """Afterwards the registration's callback took every notice that waited for it, up to the first that it did not.

    That one waits about as long again as it has waited, which the planner sees to: the message does not come back. What
    has no receiver any more, or one that the operator does not allow any more, is dropped.
    """
    subject = mailbox.removeprefix(CALLBACK)
    try:
        row = services.registry.get(subject)
    except UnreadableRow:  # a newer version knows where they go
        return
    url = row.request.callback_url if row is not None else None
    for notice in services.registry.notices(mailbox):
        with trail.following(notice.trace_id, subject=f"registration {subject}"), telemetry.span("call_back"):
            if url is None or not callbacks.allows(url):
                services.registry.remove_notice(notice)
                logger.warning("callback %s: dropped, as there is no callback that is allowed any more", notice.id)
            elif not _is_settled(services, callbacks, url, notice):
                return


def _is_settled(services: Services, callbacks: Callbacks, url: str, notice: Notice) -> bool:
    """Return whether the notice waits no longer: it was taken, or is given up."""
    try:
        callbacks.send(url, notice)
    except TryAgain as error:
        now = services.clock.now()
        waited = now - notice.time
        if waited < CALLBACK_GIVEN_UP_AFTER:
            logger.info("callback %s: waits: %s", notice.id, error.code)
            services.registry.put_notice(notice, now + min(max(waited, STALLED_AFTER), _LONGEST_PAUSE))
            return False
        logger.warning("callback %s: given up after three days: %s", notice.id, error.code)
    else:
        logger.info("callback %s: taken", notice.id)
    services.registry.remove_notice(notice)
    return True
