"""The policy: what of all that the service can do is allowed here. One JSON document, checked whole; then a value.

A document is a list of rules. Each says for whom it holds, and what may be asked for then; a request keeps every rule
that holds for it. Hosts, owners, resources and app roles are chosen as Entra's own policies choose: what `include`
names, unless `exclude` names it too. What a request breaks is found in `judgement.py`.
"""

import hashlib
import json
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Final, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError, SchemaError, SchemaValidator, core_schema

from provisioning.domain.errors import Fault
from provisioning.domain.fields import AppRoleNames, Lifetime, text
from provisioning.domain.names import compared
from provisioning.domain.quota import Quota
from provisioning.domain.rules import Basis, rule

EVERYTHING: Final = "*"
RESOURCE_OWNER: Final = "resourceOwner"
MOST_RULES: Final = 200
LONGEST_PATTERN: Final = 256
MOST_PLACES: Final = 1_000_000

_ID: Final = r"^[a-z0-9]+(-[a-z0-9]+)*$"
_VERSION: Final = r"^[A-Za-z0-9._-]+$"
_HOST: Final = r"^(\*|(\*\.)?[a-z0-9_-]{1,63}(\.[a-z0-9_-]{1,63})*)$"
_SCHEME: Final = r"^[a-z][a-z0-9+.-]*$"


class _Part(BaseModel):
    model_config = ConfigDict(
        strict=True,
        frozen=True,
        extra="forbid",
        defer_build=True,
        alias_generator=to_camel,
        hide_input_in_errors=True,
        serialize_by_alias=True,
        validate_by_alias=True,
    )


# --- what rules choose by -------------------------------------------------------------------------------------------


def _owner(value: str, _: Mapping[str, Any], __: Basis) -> Iterable[Fault]:
    if value != EVERYTHING and not re.fullmatch(r"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}", value):
        yield Fault("", "not-a-guid", "Give an Entra object id, or * for every owner.")


OwnerId = Annotated[str, rule(_owner, str.lower)]
HostPattern = Annotated[str, Field(pattern=_HOST, max_length=255)]
ResourceName = Annotated[str, text(255), AfterValidator(compared)]
Scheme = Annotated[str, Field(pattern=_SCHEME, max_length=64)]


class _Selection(_Part):
    """What `include` names, unless `exclude` names it too; an asterisk names everything."""

    include: Annotated[tuple[str, ...], Field(strict=False)]
    exclude: Annotated[tuple[str, ...], Field(strict=False)] = ()

    def has(self, *names: str) -> bool:
        """Whether it chooses what goes by these names."""
        return self._names(self.include, names) and not self._names(self.exclude, names)

    def names(self, name: str) -> bool:
        """Whether it chooses this one not only together with everything else."""
        others = [each for each in self.include if each != EVERYTHING]
        return self.has(name) and self._names(others, (name,))

    @staticmethod
    def _names(patterns: Collection[str], names: Collection[str]) -> bool:
        return EVERYTHING in patterns or any(name in patterns for name in names)


class Owners(_Selection):
    """Owners of registrations, by their Entra object ids."""

    include: Annotated[tuple[OwnerId, ...], Field(strict=False)]
    exclude: Annotated[tuple[OwnerId, ...], Field(strict=False)] = ()


class Hosts(_Selection):
    """Hosts in lower case, without a port. `*.contoso.com` is every host below contoso.com, and not that one itself."""

    include: Annotated[tuple[HostPattern, ...], Field(strict=False)]
    exclude: Annotated[tuple[HostPattern, ...], Field(strict=False)] = ()

    @staticmethod
    def _names(patterns: Collection[str], names: Collection[str]) -> bool:
        return any(
            pattern in (EVERYTHING, name) or (pattern.startswith("*.") and name.endswith(pattern[1:]))
            for pattern in patterns
            for name in names
        )


class Resources(_Selection):
    """Resources: those of ours by registration id, server's URL, client id or identifier URI; others as allowed."""

    include: Annotated[tuple[ResourceName, ...], Field(strict=False)]
    exclude: Annotated[tuple[ResourceName, ...], Field(strict=False)] = ()


class AppRoles(_Selection):
    """App roles of a resource, by their values, letter by letter."""

    include: AppRoleNames
    exclude: AppRoleNames = ()


ALL_OWNERS: Final = Owners.model_construct(include=(EVERYTHING,), exclude=())
ALL_RESOURCES: Final = Resources.model_construct(include=(EVERYTHING,), exclude=())


# --- the rules ------------------------------------------------------------------------------------------------------


class _Rule(_Part):
    id: Annotated[str, Field(pattern=_ID, max_length=64)] = Field(description="What a refusal names.")
    description: Annotated[str, text(1024)] | None = Field(default=None, description="For people; it decides nothing.")


class _OwnersRule(_Rule):
    owners: Owners = Field(default=ALL_OWNERS, description="For whose registrations the rule holds.")


class _RequestRule(_OwnersRule):
    approval: Literal["approver", "resourceOwner"] | None = Field(
        default=None,
        description="Whose approval a request needs that breaks the rule. Left out, it is refused.",
    )


class _ApproverRule(_OwnersRule):
    approval: Literal["approver"] | None = Field(
        default=None,
        description="Whose approval a request needs that breaks the rule. Left out, it is refused.",
    )


def _some(value: tuple[str, ...], _: Mapping[str, Any], __: Basis) -> Iterable[Fault]:
    if not value:
        yield Fault("", "too-few-items", "Name at least one, or leave the field out.")


class RedirectUris(_RequestRule):
    """Schemes and hosts of redirect URIs, and of log-out URLs. Only http and https have hosts that are looked at."""

    kind: Literal["redirectUris"]
    client_types: Annotated[
        tuple[Literal["confidential", "public"], ...],
        Field(strict=False, json_schema_extra={"minItems": 1}),
        rule(_some),
    ] = (
        "confidential",
        "public",
    )
    schemes: Annotated[tuple[Scheme, ...], Field(strict=False)] | None = None
    hosts: Hosts | None = None


class FhirServers(_Rule):
    """Who may register a FHIR server on these hosts. What no such rule has is anybody's, but for names of Microsoft."""

    kind: Literal["fhirServers"]
    hosts: Hosts
    claimants: Owners = Field(description="The owners who may; nobody where include is empty.")
    approval: Literal["approver"] | None = Field(
        default=None, description="Whose approval another owner needs. Left out, it is refused."
    )


class ResourcesRule(_RequestRule):
    """Which resources clients may ask for."""

    kind: Literal["resources"]
    client_types: Annotated[
        tuple[Literal["confidential", "public", "service"], ...],
        Field(strict=False, json_schema_extra={"minItems": 1}),
        rule(_some),
    ] = ("confidential", "public", "service")
    resources: Resources


class AppRolesRule(_RequestRule):
    """Which app roles of these resources service clients may ask for."""

    kind: Literal["appRoles"]
    resources: Resources = ALL_RESOURCES
    app_roles: AppRoles


class Secretless(_RequestRule):
    """A service client with one of these app roles has a federated credential or a certificate, and no secret."""

    kind: Literal["secretless"]
    resources: Resources = ALL_RESOURCES
    app_roles: AppRoles


class SecretLifetime(_RequestRule):
    """The longest life of a secret, that of a request which names none included."""

    kind: Literal["secretLifetime"]
    client_types: Annotated[
        tuple[Literal["confidential", "service"], ...],
        Field(strict=False, json_schema_extra={"minItems": 1}),
        rule(_some),
    ] = (
        "confidential",
        "service",
    )
    longest: Lifetime


ClientTypes = Annotated[
    tuple[Literal["resource", "confidential", "public", "service"], ...],
    Field(strict=False, json_schema_extra={"minItems": 1}),
    rule(_some),
]
ALL_CLIENT_TYPES: Final = ("resource", "confidential", "public", "service")


def _anchored(pattern: str) -> str:
    """Return the pattern for the whole of a text; alone it must be one already, so it cannot close the group."""
    return f"^(?:{pattern})$"


def _pattern(value: str, _: Mapping[str, Any], __: Basis) -> Iterable[Fault]:
    try:
        for each in (value, _anchored(value)):
            SchemaValidator(core_schema.str_schema(pattern=each, regex_engine="rust-regex"))
    except SchemaError:
        yield Fault("", "not-a-pattern", "Give a regular expression without look-around and back references.")


class DisplayName(_ApproverRule):
    """How display names are to look. The pattern is for the whole name, and takes a time that grows with its length."""

    kind: Literal["displayName"]
    client_types: ClientTypes = ALL_CLIENT_TYPES
    pattern: Annotated[str, Field(min_length=1, max_length=LONGEST_PATTERN), rule(_pattern)] = Field(
        description="A regular expression of the Rust crate regex, which RE2 and Go understand too."
    )

    @cached_property
    def _compiled(self) -> SchemaValidator:
        # pydantic's own engine: a name is matched in linear time, whatever the pattern, unlike by Python's.
        return SchemaValidator(core_schema.str_schema(pattern=_anchored(self.pattern), regex_engine="rust-regex"))

    def matches(self, name: str) -> bool:
        """Whether the whole name is as the pattern says."""
        return self._compiled.isinstance_python(name)


class ServiceManagementReference(_ApproverRule):
    """A `serviceManagementReference` is required."""

    kind: Literal["serviceManagementReference"]
    client_types: ClientTypes = ALL_CLIENT_TYPES


class CallbackHosts(_ApproverRule):
    """Where callbacks go. Only those hosts that the operator's own setting has are anywhere to be allowed."""

    kind: Literal["callbackHosts"]
    client_types: ClientTypes = ALL_CLIENT_TYPES
    hosts: Hosts


class Registrations(_OwnersRule):
    """How many registrations an owner may have, deleted ones apart, and how many more in one hour of the clock."""

    kind: Literal["registrations"]
    most: Annotated[int, Field(ge=0, le=MOST_PLACES)] | None = None
    most_per_hour: Annotated[int, Field(ge=0, le=MOST_PLACES)] | None = None


Rule = (
    RedirectUris
    | FhirServers
    | ResourcesRule
    | AppRolesRule
    | Secretless
    | SecretLifetime
    | DisplayName
    | ServiceManagementReference
    | CallbackHosts
    | Registrations
)
KINDS: Final = (
    "redirectUris",
    "fhirServers",
    "resources",
    "appRoles",
    "secretless",
    "secretLifetime",
    "displayName",
    "serviceManagementReference",
    "callbackHosts",
    "registrations",
)


class Policy(_Part):
    """Rules on what may be registered. A request keeps every rule that holds for it, or is refused."""

    schema_: Annotated[str, text(255)] | None = Field(default=None, alias="$schema", description="For editors.")
    version: Annotated[str, Field(pattern=_VERSION, min_length=1, max_length=64)] = Field(
        description="Yours, such as a date. Each registration keeps it, with a hash of the document."
    )
    exceptions: Annotated[str, text(300)] = Field(
        description="How to ask for an exception: whom to write to, or a link. Each refusal says it."
    )
    rules: Annotated[
        tuple[Annotated[Rule, Field(discriminator="kind")], ...], Field(strict=False, max_length=MOST_RULES)
    ]

    @model_validator(mode="after")
    def _whole(self) -> "Policy":
        faults = list(_faults_between(self.rules))
        if faults:
            raise PydanticCustomError("policy", "policy", {"faults": faults})
        return self

    @cached_property
    def recorded_version(self) -> str:
        """The version with a hash of the document: another for each change, also where nobody raised the version."""
        canonical = json.dumps(self.model_dump(mode="json", by_alias=True), sort_keys=True, separators=(",", ":"))
        return f"{self.version}+{hashlib.sha256(canonical.encode()).hexdigest()[:12]}"

    @cached_property
    def looks_at_resource(self) -> bool:
        """Whether a rule holds for some resources and not for others, or asks the owner of one."""
        return any(
            isinstance(each, ResourcesRule)
            or (isinstance(each, AppRolesRule | Secretless) and each.resources != ALL_RESOURCES)
            or getattr(each, "approval", None) == RESOURCE_OWNER
            for each in self.rules
        )

    def quota(self, owner: str) -> Quota:
        """Return how many registrations this owner may have, and by which rules: the lowest number of each kind."""
        rules = [each for each in self.rules if isinstance(each, Registrations) and each.owners.has(owner)]
        most = min(((each.most, each.id) for each in rules if each.most is not None), default=(None, ""))
        hour = min(
            ((each.most_per_hour, each.id) for each in rules if each.most_per_hour is not None), default=(None, "")
        )
        return Quota(most[0], hour[0], most[1], hour[1])

    def names_claimant(self, host: str, owner: str) -> bool:
        """Whether a rule names this host, and not only with every other, as one that this owner may claim."""
        rules = [each for each in self.rules if isinstance(each, FhirServers)]
        return any(each.hosts.names(host) and each.claimants.has(owner) for each in rules)

    def shown(self) -> list[dict[str, Any]]:
        """Return all rules."""
        return [each.model_dump(mode="json", by_alias=True, exclude_none=True) for each in self.rules]

    def shown_to(self, owners: Collection[str]) -> list[dict[str, Any]]:
        """Return the rules that hold for registrations of any of these owners, and for which of them.

        Who else may claim hosts that these owners may not is left out: a refusal does not tell it either.
        """
        rules = []
        for each, content in zip(self.rules, self.shown(), strict=True):
            name = "claimants" if isinstance(each, FhirServers) else "owners"
            holds_for = sorted(owner for owner in owners if getattr(each, name).has(owner))
            if holds_for:
                rules.append(content | {name: {"include": holds_for, "exclude": []}})
        return rules


def _faults_between(rules: Iterable[Rule]) -> Iterator[Fault]:
    """Yield what is wrong with rules that are good field by field."""
    seen = set[str]()
    for index, each in enumerate(rules):
        place = f"#/rules/{index}"
        if each.id in seen:
            yield Fault(f"{place}/id", "rule-id-duplicate", "An earlier rule has the same id. Give each its own.")
        seen.add(each.id)
        if isinstance(each, RedirectUris) and each.schemes is None and each.hosts is None:
            yield Fault(place, "rule-without-effect", "Give schemes, hosts or both.")
        if isinstance(each, Registrations) and each.most is None and each.most_per_hour is None:
            yield Fault(place, "rule-without-effect", "Give most, mostPerHour or both.")
