"""A chat, in a world of its own."""

import pytest

from tests.worlds.chatting import Chat


@pytest.fixture
def chat() -> Chat:
    return Chat()
