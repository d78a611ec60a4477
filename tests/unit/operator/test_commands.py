"""Each command does what the function of its name does, for whoever runs it, and says how it went by its exit code."""

import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from dev.emulator import Fault
from dev.emulator.constants import REGISTRAR_OBJECT_ID
from provisioning.__main__ import main
from provisioning.domain.errors import NeedsOperator, OutcomeUnknown, ProvisioningError, TryAgain
from provisioning.domain.notices import Notice
from provisioning.domain.operation import DueEntry
from provisioning.domain.registration import Status
from provisioning.operator.arguments import commands_of, completion, parser
from provisioning.operator.commands import COMMANDS
from provisioning.operator.desk import PAGE
from provisioning.operator.shown import time_text
from provisioning.ports import Services
from provisioning.settings import from_file
from tests.worlds.approvals import awaiting
from tests.worlds.command_line import typed
from tests.worlds.memory import MemoryRegistry
from tests.worlds.request_bodies import MANAGED, OTHER_OWNER, OWNER, a_public_client, a_service_client
from tests.worlds.steps import id_of
from tests.worlds.world import World

NOBODYS = "00000000-11111111-2222-4333-8444-555555555555"
CLIENT = a_service_client(resource=MANAGED, appRoles=[])


def a_world() -> tuple[World, str]:
    """A world with one service client, and its id."""
    world = World()
    return world, str(world.registered(CLIENT)["registrationId"])


# --- acting ---------------------------------------------------------------------------------------------------------


def test_rotate_has_the_secret_replaced_and_names_who_ran_it() -> None:
    world, identity = a_world()
    before = world.get(identity)["secret"]["keyId"]
    world.clock.time += timedelta(hours=1)
    ran = typed(world, "rotate", identity)
    assert (ran.code, ran.err) == (0, "")
    assert ran.out == f"{identity}: rotate pending, asked for by {REGISTRAR_OBJECT_ID}\n"
    world.deliver()
    assert world.get(identity)["secret"]["keyId"] != before
    [asked] = [each for each in typed(world, "events", identity, "--json").json if each["what"] == "rotation-requested"]
    assert asked["actor"] == {"kind": "application", "objectId": REGISTRAR_OBJECT_ID}


def test_an_id_is_taken_in_any_case() -> None:
    world, identity = a_world()
    assert typed(world, "rotate", identity.upper(), "--dry-run").code == 0


def test_a_revocation_ends_the_secret_before() -> None:
    world, identity = a_world()
    before = world.get(identity)["secret"]["keyId"]
    world.clock.time += timedelta(hours=1)
    assert typed(world, "rotate", identity, "--revoke-previous").code == 0
    world.settle()
    [application] = world.emulator.directory.records.values()
    assert [each.removed_at is not None for each in application.passwords if each.key_id == before] == [True]


def test_a_dry_run_changes_nothing() -> None:
    world, identity = a_world()
    before = world.row(identity)
    ran = typed(world, "rotate", identity, "--dry-run")
    assert (ran.code, ran.out) == (0, "It would be active, with rotate. Nothing was done.\n")
    assert (world.row(identity), world.queue) == (before, [])


def test_retry_has_a_failed_registration_tried_again() -> None:
    world = World()
    world.emulator.faults.set(directory_quota_exceeded=True)
    identity = json.loads(world.post(CLIENT).body)["registrationId"]
    world.deliver()
    assert world.row(identity).status is Status.FAILED
    world.emulator.faults.clear()
    assert typed(world, "retry", identity).code == 0
    world.deliver()
    assert world.row(identity).status is Status.ACTIVE


def test_approve_has_what_was_read_carried_out_and_says_who_agreed() -> None:
    world = World()
    row = awaiting(world, CLIENT)
    digest = typed(world, "show", row.id, "--json").json["approval"]["digest"]
    assert typed(world, "approve", row.id, "--digest", "0" * 64).code == 2
    assert typed(world, "approve", row.id, "--digest", digest, "--reason", "It was asked for in a ticket.").code == 0
    world.deliver()
    approval = world.get(row.id)["approval"]
    assert (approval["outcome"], approval["decidedBy"]) == ("approved", REGISTRAR_OBJECT_ID)
    assert world.row(row.id).status is Status.ACTIVE


def test_what_the_queue_cannot_be_told_is_found_by_the_planner() -> None:
    world, identity = a_world()
    before = world.get(identity)["secret"]["keyId"]

    def without_queue(name: str, action: object) -> object:
        if name == "queue.send":
            raise TryAgain("storage-unavailable", "Queue storage could not answer.")
        return action()  # type: ignore[operator]

    world.outside = without_queue
    ran = typed(world, "rotate", identity)
    assert (ran.code, "the planner takes it up" in ran.err) == (0, True)
    world.outside = lambda _, action: action()
    world.settle()
    assert world.get(identity)["secret"]["keyId"] != before


def test_what_was_asked_for_is_answered_as_the_api_answers_it_with_json() -> None:
    world, identity = a_world()
    world.clock.time += timedelta(hours=1)
    told = typed(world, "rotate", identity, "--json").json
    assert (told["registrationId"], told["operation"]["type"]) == (identity, "rotate")


# --- exit codes -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", ["show", "events", "rotate", "retry", "retire"])
def test_what_is_not_there_is_3(command: str) -> None:
    ran = typed(World(), command, NOBODYS, *([NOBODYS[9:]] if command == "retire" else []))
    assert (ran.code, ran.err) == (3, "registration-not-found: There is no registration of that id.\n")


def test_what_cannot_be_done_as_it_was_asked_is_2() -> None:
    world, identity = a_world()
    ran = typed(world, "retry", identity)
    assert (ran.code, ran.err.partition(":")[0]) == (2, "registration-not-failed")
    ran = typed(world, "list", "--owner", "nobody")
    assert (ran.code, "?owner not-a-guid" in ran.err) == (2, True)
    adoption = ("adopt", NOBODYS[9:], "--owner", OWNER, "--contact", "t@contoso.example")
    for incomplete in ((), ("rotate",), ("approve", identity), adoption[:4], (*adoption[:2], *adoption[4:])):
        with pytest.raises(SystemExit) as raised:
            typed(world, *incomplete)
        assert raised.value.code == 2, incomplete
    assert typed(world, *adoption).code == 3


def test_what_passes_with_time_is_4() -> None:
    world, identity = a_world()
    world.emulator.faults.add(Fault("identityHiccup", times=None))
    world.services = world.new_process()
    ran = typed(world, "rotate", identity)
    assert (ran.code, ran.err.partition(":")[0]) == (4, "no-identity-token")


@pytest.mark.parametrize("as_json", [False, True])
def test_wrong_settings_are_5_and_each_has_its_command(tmp_path: Path, *, as_json: bool) -> None:
    file, out = tmp_path / "settings.json", io.StringIO()
    file.write_text(json.dumps([{"name": "AZURE_TENANT_ID", "value": "x"}, {"name": "KEY_VAULT_URL", "value": "y"}]))
    arguments = ["--settings", str(file), "doctor", *(["--json"] if as_json else [])]
    assert main(arguments, None, out, io.StringIO()) == 5
    lines = out.getvalue().splitlines()
    if as_json:
        told = json.loads(out.getvalue())
        assert out.getvalue() == json.dumps(told, indent=2) + "\n"
        assert {(each["state"], each["dependency"]) for each in told} == {("lacking", "settings")}
        lines = [line for each in told for line in (f"# {each['message']}", each["command"])]
    names = [line.removeprefix("# ").partition(":")[0] for line in lines[::2]]
    assert {"AZURE_TENANT_ID", "KEY_VAULT_URL"} <= set(names)
    az = 'az functionapp config appsettings set --resource-group "$GROUP" --name "$APP" --settings'
    assert lines[1::2] == [f"{az} {name}=…" for name in names]


@pytest.mark.parametrize("form", ["az", "func"])
def test_the_settings_of_an_app_are_read_as_whoever_runs_it_and_not_as_the_app(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, form: str
) -> None:
    values = {
        "AzureWebJobsStorage__accountName": "registrar",
        "AzureWebJobsStorage__credential": "managedidentity",
        "AzureWebJobsStorage__clientId": NOBODYS[9:],
        "AZURE_CLIENT_ID": NOBODYS[9:],
        "AZURE_TENANT_ID": NOBODYS[9:],
        "KEY_VAULT_URL": "https://my-vault.vault.azure.net",
        "CALLER_AUTH": "entra",
        "REQUESTS_CA_BUNDLE": "/home/site/wwwroot/ca.pem",
        "NOTIFY_WEBHOOK_URL": "https://hooks.contoso.example",
        "NOTIFY_WEBHOOK_SECRET": "@Microsoft.KeyVault(SecretUri=https://my-vault.vault.azure.net/secrets/x)",
        "CALLBACK_HOSTS": "ci.contoso.example",
        "CALLBACK_SIGNING_KEY": "@Microsoft.KeyVault(SecretUri=https://my-vault.vault.azure.net/secrets/y)",
    }
    for name in ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "settings.json"
    az = [{"name": name, "slotSetting": False, "value": value} for name, value in values.items()]
    file.write_text(json.dumps(az if form == "az" else {"IsEncrypted": False, "Values": values}))
    settings = from_file(str(file))
    assert (settings.client_id, settings.storage.client_id, settings.storage.managed) == (None, None, False)
    assert (settings.front_door, settings.webhook, settings.ca_bundle) == (None, None, None)
    assert settings.callbacks is None
    assert settings.storage.queue_service_uri == "https://registrar.queue.core.windows.net"


def test_a_file_that_holds_no_settings_is_5(tmp_path: Path) -> None:
    (tmp_path / "settings.json").write_text("[1]")
    out = io.StringIO()
    assert main(["--settings", str(tmp_path / "settings.json"), "status"], None, out, io.StringIO()) == 5


# --- reading --------------------------------------------------------------------------------------------------------


def test_status_counts_what_there_is_and_what_needs_somebody() -> None:
    world, _ = a_world()
    world.emulator.faults.set(directory_quota_exceeded=True)
    world.post(CLIENT)
    world.deliver()
    found = typed(world, "status", "--json").json
    assert found["registrations"] == {"active": 1, "failed": 1}
    assert found["failed"] == {"quota-exceeded": 1}
    assert (found["pending"], found["overdue"], found["noticesWaiting"], found["callbacksWaiting"]) == (0, 0, 0, 0)
    [entry] = world.registry.due(world.clock.now() + timedelta(days=200), 10)
    world.clock.time = entry.due_at + timedelta(minutes=10) - timedelta(seconds=1)
    assert typed(world, "status", "--json").json["overdue"] == 0
    world.clock.time += timedelta(seconds=1)
    found = typed(world, "status", "--json").json
    assert (found["overdue"], found["oldestDueAt"]) == (1, time_text(entry.due_at))
    for number, callback in enumerate((True, True, False)):
        notice = Notice(f"n{number}", "registration.active", "x", world.clock.now(), {}, callback=callback)
        world.registry.put_notice(notice, world.clock.now())
    found = typed(world, "status", "--json").json
    assert (found["noticesWaiting"], found["callbacksWaiting"]) == (1, 2)
    assert "failed:          1 quota-exceeded" in typed(world, "status").out


def test_list_has_what_is_asked_for_and_no_other() -> None:
    world, identity = a_world()
    other = world.registered(a_public_client(resource=MANAGED, owner=OTHER_OWNER, scopes=["patient.Observation.rs"]))[
        "registrationId"
    ]
    assert {each["registrationId"] for each in typed(world, "list", "--json").json} == {identity, other}
    assert [each["registrationId"] for each in typed(world, "list", "--owner", OWNER, "--json").json] == [identity]
    assert other in typed(world, "list", "--type", "public").out
    assert typed(world, "list", "--status", "failed").out == "There are none.\n"


def test_show_tells_what_a_get_tells() -> None:
    world, identity = a_world()
    assert typed(world, "show", identity, "--json").json == world.get(identity)
    assert (
        f"secret.keyId:                    {world.get(identity)['secret']['keyId']}"
        in typed(world, "show", identity).out
    )


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["text", "JSON"])
@pytest.mark.parametrize("command", ["status", "list", "show", "due", "plan", "findings", "events", "doctor"])
def test_who_only_looks_at_what_is_well_is_answered_0(command: str, options: tuple[str, ...]) -> None:
    world, identity = a_world()
    about = (identity,) if command in ("show", "events") else ()
    ran = typed(world, command, *about, *options)
    assert (ran.code, ran.out != "") == (0, True)


def test_what_is_due_without_a_row_and_what_stands_there_from_before_is_told() -> None:
    world, identity = a_world()
    now, nobodys = world.clock.now(), f"00000000{identity[8:]}"
    for each in (identity, nobodys):
        world.registry.put_due(DueEntry(each, now))
    told = {each["registrationId"]: each for each in typed(world, "due", "--json").json}
    assert told[nobodys] == {"dueAt": told[nobodys]["dueAt"], "registrationId": nobodys, "status": "no row"}
    assert told[identity]["operation"] == "look at it (stale entry)"


def test_due_tells_when_somebody_looks_next() -> None:
    world, identity = a_world()
    assert typed(world, "due").out == "Nothing is due.\n"
    [entry] = typed(world, "due", "--within", "P8D", "--json").json
    assert (entry["registrationId"], entry["operation"]) == (identity, "look at it")


def test_findings_are_1_and_name_what_to_do() -> None:
    world, identity = a_world()
    assert typed(world, "findings").code == 0
    [application] = world.emulator.directory.records.values()
    application.last_body["notes"] = "somebody's own"
    application.body.put(world.clock.now(), application.last_body)
    world.reconcile()
    ran = typed(world, "findings", "--json")
    assert ran.code == 1
    assert [(each["registrationId"], each["code"]) for each in ran.json] == [(identity, "notes-changed")]
    world.emulator.faults.set(directory_quota_exceeded=True)
    failed = id_of(world.post(CLIENT))
    world.deliver()
    told = {(each["registrationId"], each["code"]) for each in typed(world, "findings", "--json").json}
    assert told == {(identity, "notes-changed"), (failed, "quota-exceeded")}


def test_what_passes_with_time_is_no_finding_but_a_deletion_that_is_stuck_is() -> None:
    world = World()
    world.emulator.faults.add(Fault("status", "graph.*", times=None, status=503))
    waiting = id_of(world.post(CLIENT))
    world.deliver()
    assert world.get(waiting)["operation"]["lastError"]["code"] == "graph-unavailable"
    assert typed(world, "findings").code == 0
    world.emulator.faults.clear()
    world.settle()
    world.emulator.faults.set(vault_denied=True)
    world.delete(waiting)
    world.deliver()
    ran = typed(world, "findings", "--json")
    assert [(each["registrationId"], each["code"]) for each in ran.json] == [(waiting, "vault-denied")]


def test_how_far_a_long_list_is_read_is_told_every_few_seconds() -> None:
    world = World()
    for _ in range(2 * PAGE + 1):
        awaiting(world, CLIENT)

    def slow(_: str, action: Callable[[], Any]) -> Any:
        world.clock.time += timedelta(seconds=6)
        return action()

    world.outside = slow
    for command in ("list", "status"):
        ran = typed(world, command)
        assert (ran.code, f"… {2 * PAGE} registrations read\n" in ran.err) == (0, True), command


def test_rows_of_a_newer_version_are_counted_and_said_to_be_unreadable() -> None:
    world, identity = a_world()
    assert isinstance(world.registry, MemoryRegistry)
    world.registry.unreadable.add(identity)
    ran = typed(world, "status")
    assert "1 rows were written by another version and are left out.\n" in ran.err
    world.registry.put_due(DueEntry(identity, world.clock.now()))
    assert [each["status"] for each in typed(world, "due", "--json").json] == ["unreadable"]


def test_a_table_holds_no_control_character() -> None:
    world = World()
    world.registered({**CLIENT, "displayName": "Ein Würfel"})
    assert "Ein Würfel" in typed(world, "list").out


def test_what_completes_the_commands_is_printed_without_any_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.startswith(("AZURE_", "KEY_VAULT")):
            monkeypatch.delenv(name)
    for more in ([], ["--json"]):
        out = io.StringIO()
        assert main(["--verbose", "completion", *more], None, out, io.StringIO()) == 0
        assert out.getvalue() == f"{completion()}\n"


@pytest.mark.parametrize(("error", "code"), [(NeedsOperator, 1), (OutcomeUnknown, 4), (TryAgain, 4)])
def test_what_somebody_has_to_mend_is_1_and_what_passes_is_not(error: type[ProvisioningError], code: int) -> None:
    def failed() -> Services:
        raise error("a-code", "It failed.", remedy="Mend it.")

    err = io.StringIO()
    assert main(["status"], failed, io.StringIO(), err) == code
    assert err.getvalue() == "a-code: It failed. Mend it.\n"


@pytest.mark.parametrize(("typed", "code", "printed"), [("completion", 0, f"{completion()}\n"), ("no-command", 2, "")])
def test_the_module_does_what_was_typed_and_ends_with_its_exit_code(typed: str, code: int, printed: str) -> None:
    ended = subprocess.run([sys.executable, "-m", "provisioning", typed], capture_output=True, text=True, check=False)  # noqa: S603 -- our own module
    assert (ended.returncode, ended.stdout) == (code, printed)


def test_whoever_stops_a_command_is_answered_as_a_shell_has_it() -> None:
    def stopped() -> Services:
        raise KeyboardInterrupt

    assert main(["status"], stopped, io.StringIO(), io.StringIO()) == 130


# --- the command line itself ----------------------------------------------------------------------------------------


def test_the_help_of_a_command_says_what_it_does() -> None:
    told = commands_of(parser())["due"].format_help()
    assert "\nList what is due now, or will be soon.\n" in told


def test_who_did_what_is_listed_to_the_last_page() -> None:
    world, identity = a_world()
    [first, *_] = world.registry.events(identity, top=1).events
    for number in range(401):
        world.registry.put_event(replace(first, time=first.time + timedelta(days=1), n=f"z{number:03}"))
    before = len(world.registry.events(identity, top=1000).events)
    assert before > 401
    assert len(typed(world, "events", identity, "--json").json) == before


def test_every_command_that_can_be_typed_is_there() -> None:
    assert list(commands_of(parser())) == list(COMMANDS)


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_and_each_of_its_options_is_explained(name: str) -> None:
    document = Path("docs/command-line.md").read_text()
    [line] = [each for each in document.splitlines() if each.startswith((f"| `{name}`", f"| `{name} "))]
    options = {each for action in commands_of(parser())[name]._actions for each in action.option_strings}  # noqa: SLF001
    assert [each for each in options - {"-h", "--help", "--json"} if each not in line] == []


def test_the_exit_codes_are_those_of_the_help() -> None:
    document = Path("docs/command-line.md").read_text()
    told = [each.split()[0] for each in parser().format_help().partition("exit codes:")[2].splitlines() if each]
    assert told == re.findall(r"^\| (\d) \|", document, re.MULTILINE)


@pytest.mark.parametrize(
    ("words", "expected"),
    [(["fin"], ["findings"]), (["rotate", "--re"], ["--revoke-previous"]), (["plan", "--d"], ["--due-only"])],
)
def test_a_shell_completes_commands_and_options(words: list[str], expected: list[str]) -> None:
    line = ["python", "-m", "provisioning", *words]
    quoted = " ".join(line)
    script = f"{completion()}\nCOMP_WORDS=({quoted}); COMP_CWORD={len(line) - 1}; _registrar; echo ${{COMPREPLY[@]}}"
    ran = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True)  # noqa: S603, S607 -- the shell of whoever runs it
    assert ran.stdout.split() == expected
