"""A chat of either kind, in a world of its own."""

import pytest

from tests.worlds.chatting import Chat
from tests.worlds.teaming import TeamsChat


@pytest.fixture
def chat() -> Chat:
    return Chat()


@pytest.fixture
def teams() -> TeamsChat:
    return TeamsChat()
