"""Notices, from "a notice was put" to "the receiver took it".

They wait in the registry, and a message only says whose are waiting: losing one loses nothing, because the planner
finds what has waited for two minutes. A notice is removed after it was taken, so each is sent at least once; its id is
the same each time. Those of one subject go in order.
"""

from dataclasses import replace

from provisioning import trail
from provisioning.domain.errors import TryAgain
from provisioning.domain.messages import DROPPED, notice_message
from provisioning.domain.notices import REGISTRAR, Notice
from provisioning.flow.plan import DUE_AGAIN_AFTER, STALLED_AFTER
from provisioning.flow.run import briefly
from provisioning.ports import Notifier, Services

logger = trail.logger(__name__)


def announce(services: Services, notice: Notice) -> list[str]:
    """Have the notice wait, and return the messages that have it sent: none where nobody is to be told."""
    if services.notifier is None:
        return []
    traced = replace(notice, trace_id=notice.trace_id or trail.current().trace_id)
    services.registry.put_notice(traced, services.clock.now() + STALLED_AFTER)
    return [notice_message(notice.subject)]


@briefly
def send_notices(services: Services, subject: str | None) -> None:
    """Afterwards the receiver took every notice that waited for the subject, or TryAgain is raised at the first other.

    That one is put off: or the planner would enqueue a message at every turn while this one comes back. The others
    wait behind it. None, a message that is none of ours, is dropped.
    """
    if subject is None:
        logger.error(DROPPED)
        return
    if services.notifier is None:
        return
    about = "" if subject == REGISTRAR else f"registration {subject}"
    for notice in services.registry.notices(subject):
        with trail.following(notice.trace_id, subject=about):
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
