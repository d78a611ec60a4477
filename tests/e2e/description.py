"""The served description played against the product by Schemathesis: every phase, every check, nothing amiss."""

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

from dev.emulator import SECRET_MARKER
from dev.host import HostProcess
from dev.stack import Stack, cloud
from tests.e2e.caller import Caller, example
from tests.e2e.description_checks import ABSENT
from tests.worlds.request_bodies import MANAGED

ROOT = Path(__file__).parents[2]
KEY = "the-key-of-the-description"
LEAST_CASES, MOST_SECONDS = 1_500, 120
SEED = 1
# With the places that an owner has by default the first few requests would be all that are accepted.
POLICY = {
    "version": "fuzzing-1",
    "exceptions": "Ask nobody.",
    "rules": [
        {"id": "places", "kind": "registrations", "description": "Many.", "most": 100_000, "mostPerHour": 100_000}
    ],
}


@dataclass(frozen=True)
class Run:
    """What Schemathesis says at its end."""

    text: str
    exit_code: int
    seconds: float

    @property
    def cases(self) -> int:
        """How many requests it made."""
        found = re.search(r"(\d+) generated", self.text)
        return int(found[1]) if found else 0


def play(running: Stack, known: Mapping[str, str], *options: str) -> Run:
    """Have Schemathesis play the description that the stack serves."""
    began = time.monotonic()
    played = subprocess.run(  # noqa: S603 -- its own arguments
        [
            *(str(Path(sys.executable).parent / "st"), "--config-file", str(ROOT / "tests/e2e/schemathesis.toml")),
            *("--no-color", "run", f"{running.api}/openapi.json", "--url", running.api, *options),
        ],
        cwd=ROOT,
        env={
            **os.environ,
            "FUNCTION_KEY": KEY,
            "PYTHONPATH": str(ROOT),
            "PYTHONHASHSEED": "0",
            **known,
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    return Run(played.stdout, played.returncode, time.monotonic() - began)


def files() -> set[Path]:
    """What lies in the folder of the repository, and in it nothing that other tests make."""
    return {path for path in ROOT.iterdir() if path.name not in (".coverage", ".pytest_cache")}


def test_the_described_api_holds_against_itself_in_every_phase_by_every_check(
    tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    longer: int | None = request.config.getoption("--fuzz")
    options = [f"--max-examples={longer}"] if longer else ["--max-examples=12", f"--seed={SEED}"]
    before, log = files(), tmp_path / "host.log"
    policy = tmp_path / "policy.json"
    policy.write_text(json.dumps(POLICY))
    settings = {"ALLOWED_RESOURCES": ABSENT, "POLICY": str(policy)}
    with (
        cloud(tmp_path, app_settings=settings) as given,
        HostProcess(given.settings, function_key=KEY, log_file=log) as host,
    ):
        running = Stack(given.storage, given.azure, given.settings, host)
        caller = Caller(running, log)
        caller.http.headers["x-functions-key"] = KEY
        resource = caller.registered(example("resource"))["registrationId"]
        holders = [caller.registered(example("service"))["registrationId"] for _ in range(3)]
        of_a_service = {"resource": MANAGED, "appRoles": [], "dataRoles": ["FHIR Data Reader"]}
        reader = caller.registered(example("service") | of_a_service)["registrationId"]
        failed = caller.ended(caller.post(example("service") | {"resource": ABSENT}))["registrationId"]
        known = {"RESOURCE": resource, "HOLDERS": " ".join(holders), "READER": reader, "FAILED": failed}
        played = play(running, known, *options)
    sys.stdout.write(f"{played.cases} cases in {played.seconds:.0f} s\n")
    assert played.exit_code == 0, played.text
    assert re.search(rf"{played.cases} generated, {played.cases} passed", played.text), played.text
    for phase in ("Examples", "Coverage", "Fuzzing", "Stateful"):
        assert f"✅ {phase}" in played.text, played.text
    assert played.cases >= LEAST_CASES
    assert longer or played.seconds < MOST_SECONDS
    assert files() == before
    assert "nobody foresaw" not in log.read_text()
    assert SECRET_MARKER not in log.read_text() + played.text
