"""The host is killed with SIGKILL while a call to Graph, Entra or Key Vault is under way, once or twice.

A sample is played; `make kill` plays 200 kill points.
"""

from collections.abc import Iterator

import pytest

from dev.stack import stack
from tests.e2e.kills import MESSAGE_LEASE, KillableWorld
from tests.worlds.request_bodies import a_policy


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KillableWorld]:
    folder = tmp_path_factory.mktemp("kills")
    policy = folder / "policy.json"
    policy.write_bytes(a_policy())  # one owner registers hundreds of times
    settings = {"POLICY": str(policy)}
    log_file = folder / "host.log"
    with stack(folder, message_lease=MESSAGE_LEASE, log_file=log_file, app_settings=settings) as running:
        yield KillableWorld(running, folder / "host.log")


def test_a_host_that_is_killed_anywhere_leaves_nothing_lost_doubled_or_leaked(
    world: KillableWorld, kill_point: str
) -> None:
    try:
        world.play(kill_point)
    except Exception as error:
        raise AssertionError(f'make kill KILL="{kill_point}": {error}') from error
