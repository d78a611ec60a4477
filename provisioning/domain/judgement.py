"""What a request breaks of the policy: refused, or to be approved, and by whom. Rules and values only, no I/O."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from provisioning.domain.durations import format_duration, parse_duration
from provisioning.domain.errors import Fault
from provisioning.domain.intake import RegistrationRequest, ResourceApplicationRequest, ServiceClientRequest
from provisioning.domain.policy import (
    ALL_CLIENT_TYPES,
    ALL_OWNERS,
    RESOURCE_OWNER,
    AppRolesRule,
    CallbackHosts,
    DisplayName,
    FhirServers,
    Policy,
    RedirectUris,
    Registrations,
    Resources,
    ResourcesRule,
    Rule,
    Secretless,
    SecretLifetime,
    ServiceManagementReference,
)
from provisioning.domain.quota import Exceeded, Quota
from provisioning.domain.values import dataclass

# A refusal that would tell of others: who may claim the server, or that somebody has it. `api/submit.py` hides which.
SERVER_NOT_CLAIMABLE: Final = "fhir-server-not-claimable"
HOST_NOT_ALLOWED: Final = "host-not-allowed"
_OTHER_HOST: Final = "Use a host that the policy allows; GET /policy shows them."


@dataclass(frozen=True, slots=True)
class Asked:
    """A request, and what of it only others know.

    `default_lifetime` is that of a secret for which none is asked. `resource` is all names of the client's resource,
    as they are compared; None where they are not known yet, and then no rule about resources is judged.
    """

    request: RegistrationRequest
    default_lifetime: timedelta
    resource: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Refusal:
    """One rule that is broken at one place: what to do about it, and how to ask for an exception.

    `about` is what breaks it, kept to tell what a change breaks from what was so before, and never shown.
    """

    rule: str
    pointer: str
    code: str
    message: str
    exception: str
    about: str

    @property
    def fault(self) -> Fault:
        """The refusal as a caller is told."""
        return Fault(self.pointer, self.code, self.message, self.rule, self.exception)


@dataclass(frozen=True, slots=True)
class ApprovalNeeded:
    """A rule that asks for an approval: "approver", whoever holds that role, or "resourceOwner"."""

    rule: str
    whose: str
    refusal: Refusal


@dataclass(frozen=True, slots=True)
class Decision:
    """What the policy says: refused for these reasons, or allowed once these approvals are there."""

    refusals: tuple[Refusal, ...] = ()
    approvals_needed: tuple[ApprovalNeeded, ...] = ()

    @property
    def allowed(self) -> bool:
        """Whether nothing is refused; an approval may be needed all the same."""
        return not self.refusals

    def beyond(self, before: "Decision") -> "Decision":
        """Return what is broken here and was not before: for what a change leaves alone it is not refused."""
        known = {(each.rule, each.code, each.about) for each in before.all_broken}
        fresh = [each for each in self.refusals if (each.rule, each.code, each.about) not in known]
        asked = [
            each for each in self.approvals_needed if (each.rule, each.refusal.code, each.refusal.about) not in known
        ]
        return Decision(tuple(fresh), tuple(asked))

    def joined(self, other: "Decision") -> "Decision":
        """Return both, each refusal and each approval once."""
        refusals = dict.fromkeys((*self.refusals, *other.refusals))
        return Decision(tuple(refusals), tuple(dict.fromkeys((*self.approvals_needed, *other.approvals_needed))))

    def about(self, *pointers: str) -> "Decision":
        """Return what is broken at these places and below them alone."""
        return Decision(
            tuple(each for each in self.refusals if each.pointer.startswith(pointers)),
            tuple(each for each in self.approvals_needed if each.refusal.pointer.startswith(pointers)),
        )

    @property
    def approving_rules(self) -> tuple[str, ...]:
        """The rules that want an approval, each once."""
        return tuple(dict.fromkeys(each.rule for each in self.approvals_needed))

    @property
    def approved_by_resource_owner(self) -> bool:
        """Whether the owner of the resource alone is to be asked."""
        return all(each.whose == RESOURCE_OWNER for each in self.approvals_needed)

    @property
    def all_broken(self) -> tuple[Refusal, ...]:
        """What is broken, whether it is refused for that or needs an approval."""
        return self.refusals + tuple(each.refusal for each in self.approvals_needed)


def judge(policy: Policy, asked: Asked) -> Decision:
    """Return what the policy says of a request: every rule that holds for it is looked at, and each fault named."""
    refusals, approvals = list[Refusal](), list[ApprovalNeeded]()
    for rule in policy.rules:
        whose = getattr(rule, "approval", None)
        for fault, about in _broken(rule, asked):
            refusal = Refusal(rule.id, fault.pointer, fault.code, fault.message, policy.exceptions, about)
            if whose is None:
                refusals.append(refusal)
            else:
                approvals.append(ApprovalNeeded(rule.id, whose, refusal))
    return Decision(tuple(refusals), tuple(approvals))


def too_many(policy: Policy, quota: Quota, exceeded: Exceeded) -> Fault:
    """Return the fault of an owner who has as many registrations as the policy allows."""
    if exceeded is Exceeded.HOUR:
        message = f"At most {quota.most_per_hour} registrations of an owner are accepted in one hour. Wait."
        return Fault("#/owner", "too-many-per-hour", message, quota.hour_rule, policy.exceptions)
    message = f"An owner has at most {quota.most} registrations. Delete those that nobody uses."
    return Fault("#/owner", "too-many-registrations", message, quota.rule, policy.exceptions)


# --- what each rule says --------------------------------------------------------------------------------------------

Broken = tuple[Fault, str]


def _broken(rule: Rule, asked: Asked) -> Iterable[Broken]:
    """Return what a request breaks of a rule, with what it is that does."""
    owners, client_types = getattr(rule, "owners", ALL_OWNERS), getattr(rule, "client_types", ALL_CLIENT_TYPES)
    if not owners.has(asked.request.owner) or asked.request.client_type not in client_types:
        return ()
    return _SAYS[type(rule)](rule, asked)


def _of_server(rule: FhirServers, asked: Asked) -> Iterator[Broken]:
    request = asked.request
    if not isinstance(request, ResourceApplicationRequest):
        return
    host = _parts(request.fhir_server_url).hostname or ""
    if rule.hosts.has(host) and not rule.claimants.has(request.owner):
        message = "Others may register FHIR servers on this host, and this owner may not."
        yield Fault("#/fhirServerUrl", SERVER_NOT_CLAIMABLE, message), f"{host} {request.owner}"


def _of_redirects(rule: RedirectUris, asked: Asked) -> Iterator[Broken]:
    request = asked.request
    places = {f"#/redirectUris/{index}": uri for index, uri in enumerate(getattr(request, "redirect_uris", ()))}
    logout_url = getattr(request, "logout_url", None)
    places |= {"#/logoutUrl": logout_url} if logout_url is not None else {}
    for pointer, uri in places.items():
        parts = _parts(uri)
        if rule.schemes is not None and parts.scheme not in rule.schemes:
            yield Fault(pointer, "scheme-not-allowed", f"Use one of the schemes {', '.join(rule.schemes)}."), uri
        if rule.hosts is not None and parts.scheme in ("http", "https") and not rule.hosts.has(parts.hostname or ""):
            yield Fault(pointer, HOST_NOT_ALLOWED, _OTHER_HOST), uri


def _of_resource(rule: ResourcesRule, asked: Asked) -> Iterator[Broken]:
    if asked.resource is not None and not rule.resources.has(*asked.resource):
        message = "Ask for a resource that the policy allows; GET /policy shows them."
        yield Fault("#/resource", "resource-not-permitted", message), " ".join(sorted(asked.resource))


def _of_app_roles(rule: AppRolesRule, asked: Asked) -> Iterator[Broken]:
    for index, role in enumerate(_app_roles_of(rule.resources, asked)):
        if not rule.app_roles.has(role):
            message = "Ask for app roles that the policy allows; GET /policy shows them."
            yield Fault(f"#/appRoles/{index}", "app-role-not-permitted", message), role


def _of_secret(rule: Secretless, asked: Asked) -> Iterator[Broken]:
    credential = getattr(asked.request, "credential", None)
    roles = [role for role in _app_roles_of(rule.resources, asked) if rule.app_roles.has(role)]
    if roles and credential is not None and credential.type == "secret":
        message = "With one of these app roles use a federated credential or a certificate in place of a secret."
        yield Fault("#/credential", "secret-not-permitted", message), " ".join(sorted(roles))


def _app_roles_of(resources: Resources, asked: Asked) -> tuple[str, ...]:
    """Return the app roles that a service client asks of one of these resources."""
    request = asked.request
    if not isinstance(request, ServiceClientRequest) or asked.resource is None:
        return ()
    return request.app_roles if resources.has(*asked.resource) else ()


def _of_lifetime(rule: SecretLifetime, asked: Asked) -> Iterator[Broken]:
    request = asked.request
    credential = getattr(request, "credential", None)
    if credential is not None and credential.type != "secret":
        return
    named = getattr(request, "secret_lifetime", None)
    lifetime = parse_duration(named) if named is not None else asked.default_lifetime
    if lifetime > parse_duration(rule.longest):
        message = f"Send a secretLifetime of at most {rule.longest}"
        message += "." if named is not None else f": left out, it is {format_duration(asked.default_lifetime)}."
        yield Fault("#/secretLifetime", "secret-lifetime-not-permitted", message), str(lifetime)


def _of_name(rule: DisplayName, asked: Asked) -> Iterator[Broken]:
    name = asked.request.display_name
    if not rule.matches(name):
        message = "Choose a name that matches the pattern of the policy; GET /policy shows it."
        yield Fault("#/displayName", "display-name-not-permitted", message), name


def _of_reference(_: ServiceManagementReference, asked: Asked) -> Iterator[Broken]:
    if asked.request.service_management_reference is None:
        message = "Send the serviceManagementReference: where your service inventory has this application."
        yield Fault("#/serviceManagementReference", "reference-required", message), ""


def _of_callback(rule: CallbackHosts, asked: Asked) -> Iterator[Broken]:
    url = asked.request.callback_url
    if url is not None and not rule.hosts.has(_parts(url).hostname or ""):
        yield Fault("#/callbackUrl", HOST_NOT_ALLOWED, _OTHER_HOST), url


def _parts(uri: str) -> SplitResult:
    """Return the parts of a URI; none of one that an older version took and that cannot be read."""
    try:
        return urlsplit(uri)
    except ValueError:
        return SplitResult("", "", "", "", "")


def _nothing(_: Registrations, __: Asked) -> Iterator[Broken]:
    """What is counted is no part of a request: see `Policy.quota`."""
    yield from ()


_SAYS: Final[Mapping[type[Rule], Callable[[Any, Asked], Iterator[Broken]]]] = {
    FhirServers: _of_server,
    RedirectUris: _of_redirects,
    ResourcesRule: _of_resource,
    AppRolesRule: _of_app_roles,
    Secretless: _of_secret,
    SecretLifetime: _of_lifetime,
    DisplayName: _of_name,
    ServiceManagementReference: _of_reference,
    CallbackHosts: _of_callback,
    Registrations: _nothing,
}
