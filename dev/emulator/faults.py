"""Named faults: rules that strike single calls, and switches that change the whole world. All are off at the start.

A rule names an operation (`graph.addPassword`, `graph.*`, `*`) and strikes after `skip` matching calls, `times` times
(None: always). Rules are asked in the order in which they were added; one that ends the call hides it from the rules
after it, so that rules of the same operation play out one after the other. `latency`, `hold` and `lostUpdate` do not
end a call.
"""

from __future__ import annotations

import dataclasses
import fnmatch
import itertools
import re
from dataclasses import dataclass
from typing import Any, Literal, get_args

Kind = Literal[
    "status",
    "throttle",
    "reset",
    "hang",
    "latency",
    "hold",
    "concurrencyViolation",
    "lostUpdate",
    "identityHiccup",
]
When = Literal["before", "after"]
RetryAfterForm = Literal["seconds", "fractional", "httpDate", "none"]
PASSING: frozenset[Kind] = frozenset({"latency", "hold", "lostUpdate"})
DEFAULT_OPERATION: dict[Kind, str] = {
    "concurrencyViolation": "graph.*Password",
    "lostUpdate": "graph.addPassword",
    "identityHiccup": "identity.token",
}


@dataclass(frozen=True)
class Fault:
    """One rule."""

    kind: Kind
    operation: str = ""  # empty: the kind's own operation, or every call
    when: When = "before"  # before or after the call takes effect
    skip: int = 0
    times: int | None = 1
    status: int = 0  # of `status` (default 503) and `concurrencyViolation` (409, the default, or 503)
    code: str = ""  # of `status`: another error code than the status has by default
    message: str = ""
    detail: str = ""  # of `status`: what stands beneath the code, Key Vault's inner code or the number of an AADSTS
    retry_after: float | None = None  # seconds, of `throttle` (default 1) and `status`
    form: RetryAfterForm = "seconds"
    seconds: float = 0  # of `latency`; of `lostUpdate`: how long the secret lives before it is lost
    jitter: float = 0  # of `latency`: up to so many seconds more

    def __post_init__(self) -> None:
        for value, choices in ((self.kind, Kind), (self.when, When), (self.form, RetryAfterForm)):
            if value not in get_args(choices):
                message = f"{value!r} is none of {', '.join(get_args(choices))}"
                raise ValueError(message)
        numbers = (self.skip, self.status, self.seconds, self.jitter, self.times or 0, self.retry_after or 0)
        if not all(_is_number(number) for number in numbers):
            message = f"a number of {self} is none, or is negative"
            raise ValueError(message)

    @property
    def pattern(self) -> str:
        """The operations that the rule strikes."""
        return self.operation or DEFAULT_OPERATION.get(self.kind, "*")


@dataclass
class Switches:
    """The state of the world. Every default is the friendly one."""

    # Replicas: a write is seen by replica k of n after lag * k / (n - 1) seconds; by the only one after the whole lag.
    replication_lag: float = 0
    replicas: int = 1
    # What POST /servicePrincipals says of an application that its replica has not seen: 400 or the misleading 403.
    unreplicated_principal: Literal["alternate", "badRequest", "forbidden"] = "alternate"
    # The token endpoint learns of a new or removed secret so much later, and then wavers for a while.
    secret_propagation: float = 0
    flapping: float = 0
    page_size: int | None = None
    writes_per_second: int | None = None
    unique_name_conflict_status: int = 400
    caller_not_owner: bool = False
    inline_secret_omitted: bool = False
    inline_secret_refused: bool = False
    inline_certificate_omitted: bool = False  # keyCredentials of a create call are dropped without a word
    directory_quota_exceeded: bool = False
    owner_may_not_assign: bool = False  # an owner of a service principal may not assign the roles that it exposes
    role_propagation: float = 0  # the token endpoint learns so much later of an app role that is given or taken back
    # The reports of sign-ins: how late they are, and whether the tenant lacks the licence, or they lack every row.
    report_lag: float = 0
    premium_missing: bool = False
    reports_empty: bool = False
    reports_per_ten_seconds: int | None = None  # how many requests for them are let through
    report_of_one_bare: bool = False  # of a single row the row itself comes, without a list, as examples show it
    other_role_assignments: int = 0  # how many of the subscription's are there beside those that the emulator has
    vault_denied: bool = False
    vault_purge_protected: bool = False
    vault_transition: float = (
        0  # how long a deletion or a recovery takes; until then the secret is neither here nor there
    )
    # Application management policies.
    password_lifetime_days: float | None = None
    password_addition_blocked: bool = False
    certificate_lifetime_days: float | None = None
    service_management_reference_required: bool = False
    known_services: list[str] | None = None  # the references that the tenant's inventory has; None: any
    allowed_audiences: list[str] | None = None
    non_default_uri_addition: bool = False


@dataclass
class _Rule:
    number: int
    fault: Fault
    seen: int = 0
    struck: int = 0


class Faults:
    """The rules in force and the switches. Not locked by itself: the emulator's lock is held by whoever asks."""

    def __init__(self) -> None:
        self.switches = Switches()
        self.operations: frozenset[str] = frozenset()  # that there are; the emulator fills it, once it has its routes
        self._rules: list[_Rule] = []
        self._numbers = itertools.count(1)

    def add(self, fault: Fault) -> int:
        """Put a rule in force; the number identifies it."""
        self._check(fault)
        number = next(self._numbers)
        self._rules.append(_Rule(number, fault))
        return number

    def _check(self, fault: Fault) -> None:
        """A rule that no call can ever meet is a typing error, and must not pass for calm."""
        if self.operations and not fnmatch.filter(self.operations, fault.pattern):
            message = f"there is no operation {fault.pattern!r}"
            raise ValueError(message)

    def remove(self, number: int) -> None:
        """Take one rule out."""
        self._rules = [rule for rule in self._rules if rule.number != number]

    def set(self, **switches: object) -> None:
        """Turn switches, by their Python names."""
        for name, value in switches.items():
            _check_switch(name, value)
        for name, value in switches.items():
            setattr(self.switches, name, value)

    def clear(self) -> None:
        """Every rule out, every switch off."""
        self.switches = Switches()
        self._rules.clear()

    def take(self, operation: str) -> list[tuple[int, Fault]]:
        """The rules that strike this call, counted as having done so."""
        struck = []
        for rule in self._rules:
            if not fnmatch.fnmatchcase(operation, rule.fault.pattern):
                continue
            rule.seen += 1
            if rule.seen <= rule.fault.skip or (rule.fault.times is not None and rule.struck >= rule.fault.times):
                continue
            rule.struck += 1
            struck.append((rule.number, rule.fault))
            if rule.fault.kind not in PASSING:
                break
        return struck

    def load(self, document: object) -> list[int]:
        """Add what `POST /_emulator/faults` brings: `{"rules": [{…}], "switches": {…}}`, names in camelCase."""
        if not isinstance(document, dict) or set(document) - {"rules", "switches"}:
            raise ValueError('expected {"rules": [...], "switches": {...}}')
        rules = [_from_json(rule) for rule in document.get("rules", [])]
        for rule in rules:
            self._check(rule)
        switches = {_snake(name): value for name, value in document.get("switches", {}).items()}
        self.set(**switches)
        return [self.add(rule) for rule in rules]

    def dump(self) -> dict[str, Any]:
        """What is in force, as JSON."""
        rules = [
            {
                "number": rule.number,
                **_to_json(rule.fault),
                "seen": rule.seen,
                "struck": rule.struck,
            }
            for rule in self._rules
        ]
        return {"rules": rules, "switches": _to_json(self.switches)}


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and value >= 0


def _check_switch(name: str, value: object) -> None:
    """Whether there is such a switch and the value can be one of its own: a typing error must not pass for calm."""
    if name not in Switches.__dataclass_fields__:
        message = f"there is no switch {name!r}"
        raise ValueError(message)
    default = getattr(Switches(), name)
    if isinstance(default, bool):
        fits = isinstance(value, bool)
    elif isinstance(default, str):
        fits = value in ("alternate", "badRequest", "forbidden")
    elif name in ("allowed_audiences", "known_services"):
        fits = value is None or isinstance(value, list)
    else:
        fits = _is_number(value) or (value is None and default is None)
    if not fits:
        message = f"{value!r} is no value for the switch {name!r}"
        raise ValueError(message)


def _from_json(rule: dict[str, Any]) -> Fault:
    try:
        return Fault(**{_snake(name): value for name, value in rule.items()})
    except TypeError as error:
        raise ValueError(str(error)) from error


def _to_json(record: Fault | Switches) -> dict[str, Any]:
    return {_camel(name): value for name, value in dataclasses.asdict(record).items()}


def _snake(name: str) -> str:
    return re.sub("[A-Z]", lambda match: "_" + match[0].lower(), name)


def _camel(name: str) -> str:
    return re.sub("_([a-z])", lambda match: match[1].upper(), name)
