"""Has the real Python worker's own library index function_app.py, with nothing installed but what is deployed.

`make worker-check` runs it in an environment of requirements.txt and that library, so that a development package
which something deployed imports is missed here. The local host of this repository is of our making; what it takes for
a function, the worker might refuse. Only the standard library and those two are imported.
"""

from __future__ import annotations

import asyncio
import importlib
import importlib.metadata
import json
import os
import pkgutil
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).parents[1]
# What a development environment has and a deployed app has not.
DEVELOPMENT_ONLY = ("azure-storage-queue", "hypothesis", "mypy", "pytest", "ruff", "trustme")


class _Messages:
    """Stands for the worker's protocol: a message of any name is a bag of its fields."""

    StatusResult = type("StatusResult", (SimpleNamespace,), {"Failure": 0, "Success": 1})
    BindingInfo = type("BindingInfo", (SimpleNamespace,), {"in": 0, "out": 1, "inout": 2, "undefined": 0})

    def __getattr__(self, name: str) -> type[SimpleNamespace]:
        return SimpleNamespace


async def _indexed(root: Path) -> list[Any]:
    """Returns what the worker reports for the app in a folder."""
    worker = importlib.import_module("azure_functions_runtime")
    request = SimpleNamespace(
        request=SimpleNamespace(
            worker_init_request=SimpleNamespace(capabilities={}, function_app_directory=str(root)),
            functions_metadata_request=SimpleNamespace(function_app_directory=str(root)),
        ),
        properties={"host": "127.0.0.1", "protos": _Messages()},
    )
    for call in (worker.worker_init_request, worker.functions_metadata_request):
        answer = await call(request)
        if answer.result.status != _Messages.StatusResult.Success:  # type: ignore[attr-defined]
            raise SystemExit(f"worker check: refused\n{answer.result.exception.message}")
    return list(answer.function_metadata_results or ())


def _import_all(root: Path) -> int:
    """Imports every module that is deployed, also those that triggers import late; returns how many there are."""
    names = [
        "provisioning",
        *(one.name for one in pkgutil.walk_packages([str(root / "provisioning")], "provisioning.")),
    ]
    for name in names:
        if not name.endswith("__main__"):
            importlib.import_module(name)
    return len(names)


def main() -> int:
    """Runs the check and prints what was indexed."""
    for name in DEVELOPMENT_ONLY:
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        print(f"worker check: {name} is installed here; run `make worker-check`, which makes its own environment")
        return 2
    os.chdir(ROOT)
    sys.path[:] = [str(ROOT), *(path for path in sys.path if path != str(ROOT / "dev"))]
    # What the decorators read at import.
    os.environ.setdefault("AzureWebJobsStorage", "UseDevelopmentStorage=true")
    functions = asyncio.run(_indexed(ROOT))
    modules = _import_all(ROOT)
    for function in functions:
        bindings = [json.loads(raw) for raw in function.raw_bindings]
        kinds = ", ".join(f"{one['direction'].lower()} {one['type']}" for one in bindings)
        print(f"  {function.name:<24} {kinds}")
    if "dev" in sys.modules or any(name.startswith("dev.") for name in sys.modules):
        print("worker check: what is deployed imports dev, which is not")
        return 1
    version = importlib.metadata.version("azure-functions-runtime")
    print(f"worker check: {len(functions)} functions, {modules} modules (azure-functions-runtime {version})")
    return 0 if functions else 1


if __name__ == "__main__":
    sys.exit(main())
