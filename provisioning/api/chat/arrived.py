"""What came from a chat, whichever it is: kept and queued before the chat is answered, and taken from the queue."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from datetime import datetime

from provisioning.api.chat.verbs import Ask, Said
from provisioning.domain.callers import unauthenticated
from provisioning.domain.messages import CHAT_QUEUE
from provisioning.domain.values import dataclass
from provisioning.ports import Services


@dataclass(frozen=True, slots=True)
class Arrived:
    """What somebody asks for. `key` names this request; `say` does it, and returns what is said; `tell` tells that.

    `remember` keeps where this person is reached from now on.
    """

    key: str
    ask: Ask
    say: Callable[[], Said]
    tell: Callable[[Said], None]
    remember: Callable[[], None] = lambda: None


def queue(services: Services, key: str, content: str, message: str, until: datetime) -> None:
    """Have the message be in the queue, and what it asks for be kept: at the same time, as each may take long.

    Raises RequestRejected (401) for a request that came before: it proves nothing any more. The queue takes each once,
    so its message does nothing. Raises TryAgain where storage cannot answer.
    """
    with ThreadPoolExecutor() as threads:
        sending = threads.submit(copy_context().run, services.queues.send, CHAT_QUEUE, message)
        is_first = services.people.keep(key, content, until)
        sending.result()
    if not is_first:
        raise unauthenticated()
