"""What can be typed: the commands, their options, and their completion in a shell."""

import argparse
from typing import Final

from provisioning.domain.client_types import ClientType
from provisioning.domain.registration import Status

PROGRAM: Final = "python -m provisioning"
_EXIT_CODES: Final = """exit codes:
  0  done; nothing is lacking
  1  something needs a person: doctor found a lack, findings found any, a work did not end as it should
  2  it cannot be done as it was asked, and why is said
  3  there is no such registration
  4  it passes with time: try again
  5  the app settings are wrong"""


def parser() -> argparse.ArgumentParser:
    """Return what reads the command line."""
    top = argparse.ArgumentParser(
        prog=PROGRAM,
        description="FHIR Registrar, for whoever operates it. It reads the app settings from the environment.",
        epilog=_EXIT_CODES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    top.add_argument(
        "--settings",
        metavar="FILE",
        help="read the app settings from here: what `az functionapp config appsettings list` prints, or a "
        "local.settings.json",
    )
    top.add_argument("--verbose", action="store_true", help="print the log of each step too")
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, text: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        added.add_argument("--json", action="store_true", help="print JSON in place of a table")
        return added

    command("status", "count registrations by status, what is overdue, failures and findings")
    listing = command("list", "list registrations")
    listing.add_argument("--owner", metavar="OBJECT_ID")
    listing.add_argument("--type", choices=list(ClientType))
    listing.add_argument("--status", choices=list(Status))
    _one(command("show", "show one registration, as its owner sees it"))
    due = command("due", "list what is due now, or will be soon")
    due.add_argument("--within", default="P0D", metavar="DURATION", help="such as PT1H or P7D (default: now)")
    plan = command("plan", "say what the planner and the reconciliation would do, and change nothing")
    plan.add_argument("--due-only", action="store_true", help="leave the reconciliation out, which reads everything")
    _dry(_one(rotate := command("rotate", "have a secret replaced")))
    rotate.add_argument("--revoke-previous", action="store_true", help="have the secrets before it end at once")
    _dry(_one(command("retry", "have a failed registration tried again")))
    approve = _dry(_one(command("approve", "agree to a request that waits for an approval")))
    approve.add_argument("--digest", required=True, help="of what was read, as show has it")
    approve.add_argument("--reason", help="the requester can read it")
    command("findings", "list what checks found and do not repair, and what has failed")
    _one(command("events", "list who did what to a registration"))
    command("doctor", "try each permission that the app needs, and say how to get what is lacking")
    backup = command("backup", "copy the tables into a file")
    backup.add_argument("file", metavar="FILE", help="a new one; only you can read it")
    restore = command("restore", "put back from such a file what is gone and no rebuild brings back")
    restore.add_argument("file", metavar="FILE")
    restore.add_argument("--apply", action="store_true", help="do it (default: say what would be done)")
    rebuild = command("rebuild", "give each live application with our mark its registration back")
    rebuild.add_argument("--apply", action="store_true", help="do it (default: say what would be done)")
    rebuild.add_argument("--any-owner", action="store_true", help="those too that another identity owns")
    _adoption(command("adopt", "have an application that was made by hand become a registration"))
    retire = _one(command("retire", "remove a secret that this service did not make, because nobody uses it any more"))
    retire.add_argument("key_id", metavar="KEY_ID")
    retire.add_argument("--apply", action="store_true", help="do it (default: say what would be done)")
    completion = commands.add_parser("completion", help="print what completes these commands in bash")
    completion.add_argument("--json", action="store_true", help=argparse.SUPPRESS)
    return top


def _adoption(adopt: argparse.ArgumentParser) -> None:
    adopt.add_argument("client_id", metavar="CLIENT_ID")
    adopt.add_argument("--owner", required=True, metavar="OBJECT_ID", help="whose it is to be")
    adopt.add_argument("--contact", required=True, metavar="ADDRESS", help="where notices go")
    adopt.add_argument("--type", choices=[each for each in ClientType if each is not ClientType.RESOURCE])
    adopt.add_argument("--resource", help="what it calls, as a request names it (default: what it asks for)")
    adopt.add_argument("--secret-lifetime", metavar="DURATION", help="of the secrets that replace its own")
    adopt.add_argument("--auto-rotate", action="store_true", help="replace a confidential client's secret in time")
    adopt.add_argument("--replace-notes", action="store_true", help="write over the notes that it has")
    adopt.add_argument("--apply", action="store_true", help="do it (default: say what is found and would change)")


def _one(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("id", metavar="REGISTRATION_ID")
    return command


def _dry(command: argparse.ArgumentParser) -> argparse.ArgumentParser:
    command.add_argument("--dry-run", action="store_true", help="say what would change, and change nothing")
    return command


def completion() -> str:
    """Return a function for bash that completes commands and their options; `eval` it."""
    found = {name: _options(each) for name, each in commands_of(parser()).items()}
    cases = "\n".join(f'    {name}) words="{" ".join(options)}" ;;' for name, options in found.items())
    return f"""_registrar() {{
  local words command="${{COMP_WORDS[3]}}"
  [ "${{COMP_WORDS[1]}} ${{COMP_WORDS[2]}}" = "-m provisioning" ] || return
  case "$command" in
{cases}
    *) words="{" ".join(found)}" ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "${{COMP_WORDS[COMP_CWORD]}}"))
}}
complete -o default -F _registrar python .venv/bin/python"""


def commands_of(top: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return what reads each command, by its name."""
    actions = top._actions  # noqa: SLF001 -- argparse tells its parts nowhere else
    [commands] = [each for each in actions if isinstance(each, argparse._SubParsersAction)]  # noqa: SLF001 -- as above
    return dict(commands.choices)


def _options(command: argparse.ArgumentParser) -> list[str]:
    return sorted(name for action in command._actions for name in action.option_strings if name.startswith("--"))  # noqa: SLF001 -- as above
