"""`doctor`: each check of `GET /ready`, and for what is lacking the very command that mends it."""

import json
from argparse import Namespace
from collections.abc import Iterable
from typing import Any, Final, TextIO

from provisioning.domain.errors import ProvisioningError
from provisioning.domain.readiness import Check, Dependency, State
from provisioning.domain.tenant import Tenant
from provisioning.flow.ready import look
from provisioning.operator.desk import Desk
from provisioning.operator.remedies import command_for, command_for_setting

_COLUMNS: Final = {"state": "STATE", "dependency": "OF", "what": "WHAT", "message": "WHY"}
_UNKNOWN: Final = "$IDENTITY"


def doctor(desk: Desk, _: Namespace) -> int:
    """Try everything; 1 where anything is lacking."""
    checks, tenant, signed_in = look(desk.services), desk.services.tenant, _signed_in(desk)
    identity = tenant.registrar_object_id or signed_in
    told = [_told(each, tenant, identity, signed_in) for each in checks]
    desk.show(told, _COLUMNS, "")
    if not desk.as_json:
        for each in told:
            if "command" in each:
                about = f"{each['dependency']}: {each['what']} ({each['code']})"
                desk.say("", f"# {about}. {each['remedy']}", each["command"])
    return 1 if any(each.state is State.LACKING for each in checks) else 0


def tell_settings(faults: Iterable[str], out: TextIO, *, as_json: bool) -> None:
    """Print each wrong setting, and the command that sets it."""
    named = {fault: fault.partition(":")[0] for fault in faults}
    about = {"state": State.LACKING, "dependency": Dependency.SETTINGS}
    told = [
        {**about, "what": name, "message": fault, "command": command_for_setting(name)} for fault, name in named.items()
    ]
    if as_json:
        print(json.dumps(told, indent=2), file=out)
        return
    for each in told:
        print(f"# {each['message']}", each["command"], sep="\n", file=out)


def _signed_in(desk: Desk) -> str:
    """Return the object id of the app's identity, where it runs this."""
    try:
        return _UNKNOWN if desk.signed_in.person else desk.signed_in.object_id
    except ProvisioningError:
        return _UNKNOWN


def _told(check: Check, tenant: Tenant, identity: str, signed_in: str) -> dict[str, Any]:
    told = {"state": check.state.value, "dependency": check.dependency.value, "what": check.what}
    if check.state is State.OK:
        return told
    told |= {"code": check.code or "", "message": check.message, "remedy": check.remedy}
    return told | {"command": command_for(check, tenant, identity, signed_in)}
