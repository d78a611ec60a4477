"""The command line as somebody types it, over a world."""

import io
import json
from dataclasses import dataclass
from typing import Any

from provisioning.__main__ import main
from tests.worlds.leaks import leaked
from tests.worlds.world import World


@dataclass(frozen=True)
class Ran:
    """What a command printed, and its exit code."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def typed(world: World, *arguments: str) -> Ran:
    """Run a command; whatever it is, it prints no secret."""
    out, err = io.StringIO(), io.StringIO()
    code = main(arguments, lambda: world.services, out, err)
    ran = Ran(code, out.getvalue(), err.getvalue())
    assert not leaked(ran.out + ran.err)
    return ran
