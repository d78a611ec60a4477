"""`python -m provisioning`: the operator's command line; what each command does is in `operator/`."""

import logging
import sys
from collections.abc import Callable, Sequence
from typing import TextIO

from provisioning.domain.errors import ProvisioningError, RequestRejected, SettingsError, TryAgain
from provisioning.operator.arguments import parser
from provisioning.operator.commands import COMMANDS
from provisioning.operator.desk import Desk
from provisioning.operator.doctor import tell_settings
from provisioning.ports import Services
from provisioning.settings import from_environment, from_file
from provisioning.wiring import AzureServices

NOT_FOUND = 404


def main(
    arguments: Sequence[str] | None = None,
    services: Callable[[], Services] | None = None,
    out: TextIO = sys.stdout,
    err: TextIO = sys.stderr,
) -> int:
    """Do what was typed and return the exit code; without `services` they follow from the app settings."""
    typed = parser().parse_args(arguments)

    def of_settings() -> Services:
        return AzureServices(from_file(typed.settings) if typed.settings else from_environment())

    try:
        if typed.command == "completion":
            return COMMANDS["completion"](Desk(None, out, err), typed)  # type: ignore[arg-type] # it needs none
        desk = Desk((services or of_settings)(), out, err, as_json=typed.json)
        return COMMANDS[typed.command](desk, typed)
    except SettingsError as error:
        tell_settings(error.faults, out, as_json=typed.json)
        return 5
    except ProvisioningError as error:
        return _refused(error, err)
    except KeyboardInterrupt:
        return 130


def _refused(error: ProvisioningError, err: TextIO) -> int:
    """Say why, and return which kind of refusal it is."""
    print(f"{error.code}: {error.message} {error.remedy}".strip(), file=err)
    for fault in getattr(error, "faults", ()):
        print(f"  {fault.pointer} {fault.code}: {fault.message}", file=err)
    match error:
        case RequestRejected(status=status):
            return 3 if status == NOT_FOUND else 2
        case TryAgain():
            return 4
    return 1


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO if "--verbose" in sys.argv else logging.ERROR, stream=sys.stderr)
    sys.exit(main())
