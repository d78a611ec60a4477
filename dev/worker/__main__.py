"""`python -m dev.worker`: calls every function of the app through the worker's library, and says what is wrong.

It is the app in the current folder. The environment holds the app settings, which lead to a cloud that is served
meanwhile, and `EMULATOR`, the address of the emulator. Where a workspace of Slack may ask, the chats are called alone.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import io
import logging
import os
import pkgutil
import sys
from pathlib import Path

from dev.worker.channel import Channel, WorkerError
from dev.worker.chat import FUNCTIONS, Answers, Chat
from dev.worker.life import CheckError, Life, Notices

APP = Path.cwd()
EXAMPLES = Path(__file__).parents[2] / "examples"
# What a development environment has and a deployed app has not.
DEVELOPMENT_ONLY = ("azure-storage-queue", "hypothesis", "mypy", "pytest", "ruff", "trustme")
_LOG_LINES = 40


def _import_all() -> int:
    """Imports every module that is deployed, also those that triggers import late; returns how many there are."""
    names = [
        "provisioning",
        *(one.name for one in pkgutil.walk_packages([str(APP / "provisioning")], "provisioning.")),
    ]
    for name in names:
        if not name.endswith("__main__"):
            importlib.import_module(name)
    return len(names)


async def _check() -> Channel:
    channel, notices, chat = Channel(APP), Notices(), "SLACK_WORKSPACE" in os.environ
    answers = Answers()
    os.environ.update(notices.settings() | answers.settings() | {"GRANTS": "on"})
    try:
        await channel.load()
        await (Chat(channel, answers) if chat else Life(channel, notices, EXAMPLES)).play()
    finally:
        channel.stop()
    if (channel.functions.keys() & FUNCTIONS) != (FUNCTIONS if chat else set()):
        raise CheckError("the functions of the chats are there exactly where its settings are")
    left = (FUNCTIONS if chat else channel.functions.keys()) - channel.calls.keys()
    if left:
        raise CheckError(f"no invocation of {', '.join(sorted(left))} is checked; dev/worker/life.py says which are")
    return channel


def main() -> int:
    """Runs the check and prints what was called."""
    for name in DEVELOPMENT_ONLY:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        print(f"worker check: {name} is installed here; run `make worker-check`, which makes its own environment")
        return 2
    log = io.StringIO()
    logging.basicConfig(stream=log, level=logging.INFO)
    logging.getLogger("azure").setLevel(logging.WARNING)
    modules = _import_all()
    try:
        channel = asyncio.run(_check())
    except (CheckError, WorkerError) as error:
        print(f"worker check: {error}\nThe end of the log:", *log.getvalue().splitlines()[-_LOG_LINES:], sep="\n  ")
        return 1
    elsewhere = [
        name
        for name, module in sys.modules.items()
        if name.partition(".")[0] in ("provisioning", "function_app")
        and not Path(module.__file__ or "").is_relative_to(APP)
    ]
    if elsewhere:
        print(f"worker check: {elsewhere[0]} was not loaded from the package")
        return 1
    strangers = [name for name in sys.modules if name.startswith("dev.") and not name.startswith("dev.worker")]
    if strangers:
        print("worker check: what is deployed imports dev, which is not")
        return 1
    for name in channel.functions:
        kinds = ", ".join(f"{one['direction'].lower()} {one['type']}" for one in channel.bindings(name))
        print(f"  {name:<24} {channel.calls[name]:>3} x  {kinds}")
    version = importlib.metadata.version("azure-functions-runtime")
    print(
        f"worker check: {len(channel.functions)} functions in {channel.calls.total()} invocations, {modules} modules "
        f"(azure-functions-runtime {version}, Python {'.'.join(map(str, sys.version_info[:3]))})"
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
