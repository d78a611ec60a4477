"""Every alert looks for what the log really says, and leads whoever is called to a section that there is."""

import json
import logging
import re
from pathlib import Path
from typing import Any

import pytest

from dev.infra.templates import read
from provisioning.adapters.metrics import METRICS, Instrument
from tests.unit.test_docs import headings
from tests.worlds.approvals import awaiting
from tests.worlds.certificates import a_certificate
from tests.worlds.clock import DAY
from tests.worlds.request_bodies import a_resource, a_service_client
from tests.worlds.signed_in import ENTRA, TEAM
from tests.worlds.world import World

ROOT = Path(__file__).parents[3]
OPERATIONS = Path("docs/operations.md")
ALERTS: list[dict[str, Any]] = read(ROOT / "infra")["modules/alerts.bicep"].variables["alerts"]
NAMES = [each["name"] for each in ALERTS]
# What the log says: every constant text of the source in which something is told.
SOURCE = "\n".join(path.read_text(encoding="utf-8") for path in (ROOT / "provisioning").rglob("*.py"))
# Of these the code or the operation is filled in.
FILLED_IN = {
    "comes back: graph-throttled": ("comes back: %s", '"graph-throttled"'),
    "comes back: unexpected-error": ("comes back: %s", '"unexpected-error"'),
    "rotate failed with": ("%s %s", "failed with {", 'ROTATE = "rotate"'),
    ": found: ": ("registration %s: found: %s",),
    "succeeded": ('"succeeded"',),
    "unreadable": ('"unreadable": found.unreadable',),
    "reconciliation ": ('"reconciliation {', '"%s: %s", page, counts'),
}


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_names_a_section_of_the_runbook(alert: dict[str, Any]) -> None:
    assert alert["section"] in headings(OPERATIONS)


def test_the_runbook_has_each_alert_with_its_section_and_no_other() -> None:
    text = OPERATIONS.read_text(encoding="utf-8")
    table = text[text.index("### Alerts that are deployed") : text.index("## Approvals that wait")]
    rows = re.findall(r"^\| `([a-z-]+)` \|.*\]\(#([a-z-]+)\) \|$", table, re.MULTILINE)
    assert dict(rows) == {each["name"]: each["section"] for each in ALERTS}
    assert len(rows) == len(ALERTS) == 13


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_looks_for_what_the_log_says(alert: dict[str, Any]) -> None:
    said = re.findall(r'message (?:has|startswith) "([^"]+)"', alert["query"])
    functions = set(re.findall(r"^def (\w+)\(", (ROOT / "function_app.py").read_text(encoding="utf-8"), re.MULTILINE))
    named = re.findall(r'name == "([^"]+)"', alert["query"])
    assert said or named
    assert set(named) <= functions
    for text in said:
        for part in FILLED_IN.get(text, (text,)):
            assert part in SOURCE, f"{text}: nothing says it"


@pytest.mark.parametrize("alert", ALERTS, ids=NAMES)
def test_an_alert_asks_for_a_time_that_azure_takes(alert: dict[str, Any]) -> None:
    """Source: the reference of scheduled query rules; a range is no shorter than the window that is looked at."""
    minutes = {"PT5M": 5, "PT15M": 15, "PT30M": 30, "PT1H": 60, "P1D": 1440, "P2D": 2880}
    assert minutes[alert["every"]] <= minutes[alert["window"]] <= minutes[alert["range"]]


def test_the_workbook_is_one_and_asks_the_log() -> None:
    book = json.loads((ROOT / "infra" / "workbook.json").read_text(encoding="utf-8"))
    queries = {each["name"]: each["content"]["query"] for each in book["items"] if each["type"] == 3}
    assert len(queries) == 17
    assert all(query.startswith(("traces |", "requests |", "customMetrics |")) for query in queries.values())
    patterns = [found for query in queries.values() for found in re.findall(r'extract\(@"([^"]+)"', query)]
    lines = [
        "registration x: rotate failed with vault-denied [t]",
        "registration x: comes back: graph-throttled [t]",
        "registration x: graph POST applications: 201, client-request-id y [t]",
        "registration x: found: foreign-credentials, notes-changed [t]",
        "answered 409 operation-in-progress to key [t]",
    ]
    assert all(any(re.search(pattern, line) for line in lines) for pattern in patterns)


def test_the_workbook_shows_each_measure_by_the_attributes_that_it_has() -> None:
    """As Azure's exporter sends them: counters and histograms as what came since, of a histogram count, sum and max."""
    book = json.loads((ROOT / "infra" / "workbook.json").read_text(encoding="utf-8"))
    queries = [each["content"]["query"] for each in book["items"] if each["type"] == 3]
    shown = set()
    for query in [each for each in queries if each.startswith("customMetrics |")]:
        names = re.findall(r'"(registrar\.[a-z.]+)"', query)
        assert names
        shown |= set(names)
        dimensions = set(re.findall(r'customDimensions\["([^"]+)"\]', query))
        assert dimensions <= set().union(*(METRICS[name].attributes for name in names)), query
        distributed = {name for name in names if METRICS[name].instrument is Instrument.HISTOGRAM}
        assert bool(distributed) == ("valueMax" in query), query
    assert shown == METRICS.keys()


def test_what_a_check_finds_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World()
    world.registered(a_resource())
    registration_id = world.registered(a_service_client())["registrationId"]
    world.emulator.vault.set(world.row(registration_id).secret_name, {"value": "by hand"})
    world.reconcile()
    assert f"registration {registration_id}: found: vault-secret-not-ours" in caplog.text
    assert "by hand" not in caplog.text


def test_an_end_that_nothing_prevents_is_in_the_log_once_for_each_notice(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World()
    world.registered(a_resource())
    certificate = a_certificate(world.clock.now() - DAY, 21 * DAY).pem
    body = a_service_client(credential={"type": "certificate", "certificate": certificate})
    registration_id = world.registered(body)["registrationId"]
    world.live(21 * DAY)
    told = re.findall(rf"registration {registration_id}: its certificate ends in (\d+) days, and nothing", caplog.text)
    assert len(told) == 4


def test_what_waits_for_an_approval_is_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    world = World(settings=ENTRA)
    row = awaiting(world, a_resource(owner=TEAM))
    world.settle()
    world.clock.sleep(300)
    world.plan()
    world.settle()
    assert caplog.text.count(f"registration {row.id}: waits for an approval") == 1
