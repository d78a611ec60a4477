"""Whether this service can do its work now: every permission that it depends on is tried, and none is assumed.

What is written to try a permission is taken away again: a secret that is none, an entry that is never due, and messages
that nobody sees. `GET /ready` and the command line tell the same.
"""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Final

from provisioning.domain.azure_roles import DELEGATE, SECRETS_USER, data_delegation, delegation
from provisioning.domain.errors import AzureRoleDenied, ProvisioningError
from provisioning.domain.operation import DueEntry
from provisioning.domain.readiness import Check, Dependency, SignedIn
from provisioning.domain.registration import NAME_PREFIX
from provisioning.domain.secrets import MintedSecret
from provisioning.ports import AzureRoles, Services

NEEDED: Final = "Application.ReadWrite.OwnedBy"
# With these an owner can be looked for; without them nothing else is lost.
OPTIONAL: Final = frozenset({"User.Read.All", "GroupMember.Read.All"})
# With this one, and SIGN_IN_ACTIVITY on, it knows what is used.
SIGN_INS: Final = "AuditLog.Read.All"
_NOBODYS_KEY: Final = "00000000-0000-0000-0000-000000000000"
# It does what the one above does, and to the applications of others too.
WIDER: Final = "Application.ReadWrite.All"
DATA_ROLES_OF: Final = "assign data roles of"
CANARY: Final = f"{NAME_PREFIX}canary"
_CANARY_ENTRY: Final = DueEntry("00000000-00000000-0000-4000-8000-000000000000", datetime(9000, 1, 1, tzinfo=UTC))
_GRANT: Final = "Have an administrator grant it; it takes up to a day to show."
# The vault has asked who calls before it says so: whoever may not set is denied.
_MAY_BE_SET: Final = frozenset({"vault-secret-deleted", "vault-secret-deleting", "vault-conflict"})


def look(services: Services) -> tuple[Check, ...]:
    """Return every check, one after the other; nothing is left behind, and nothing raised for what is lacking."""
    return (
        *_callers(services),
        *_graph(services),
        *_granter(services),
        _tried(Check(Dependency.TOKEN_ENDPOINT, "knows the tenant"), services.proof.check_tenant),
        *_bot(services),
        *_vault(services),
        *_delegations(services),
        *_tables(services),
        *_queues(services),
        _tried(Check(Dependency.POLICY, "read"), services.policy.current),
    )


def _tried(check: Check, act: Callable[[], object]) -> Check:
    try:
        act()
    except ProvisioningError as error:
        return check.lacking(error)
    return check


def _callers(services: Services) -> Iterator[Check]:
    """Yield whether callers are known, where they sign in."""
    check = Check(Dependency.CALLERS, "are named by the platform")
    if services.front_door is None:
        return
    faults = services.front_door.faults
    remedy = " ".join(faults)
    yield check.lacks("unauthenticated", "Nobody vouches for callers.", remedy) if faults else check


def _graph(services: Services) -> Iterator[Check]:
    identity = Check(Dependency.GRAPH, "identity")
    try:
        signed_in = services.directory.signed_in()
    except ProvisioningError as error:
        yield identity.lacking(error)
        return
    yield _identified(identity, signed_in, services.tenant.registrar_object_id)
    yield _permitted(Check(Dependency.GRAPH, NEEDED), signed_in)
    read = {SIGN_INS} if services.sign_ins is not None else set[str]()
    for each in sorted(signed_in.permissions - {NEEDED} - OPTIONAL - read) if not signed_in.person else ():
        yield Check(Dependency.GRAPH, each).warned(
            "permission-too-wide",
            "This app's identity has a permission of Microsoft Graph that it does not need.",
            "Take it back: whoever takes over this app has it too.",
        )
    yield _tried(Check(Dependency.GRAPH, "list applications"), lambda: services.directory.marked_applications(None))
    if not signed_in.person:
        yield from _sign_ins(services)


def _sign_ins(services: Services) -> Iterator[Check]:
    """Yield whether the reports of sign-ins can be read, where they are to be; without them everything else works."""
    if services.sign_ins is None:
        return
    check = Check(Dependency.GRAPH, SIGN_INS)
    try:
        services.sign_ins.of_credential(_NOBODYS_KEY)
    except ProvisioningError as error:
        yield check.warned(error.code, error.message, error.remedy)
    else:
        yield check


def _bot(services: Services) -> Iterator[Check]:
    """Yield whether the bot of Microsoft Teams can answer, where there is one: all else works without."""
    if services.teams is None:
        return
    check = Check(Dependency.TOKEN_ENDPOINT, "the bot's identity")
    try:
        services.teams.check()
    except ProvisioningError as error:
        yield check.warned(error.code, error.message, error.remedy)
        return
    yield check


def _granter(services: Services) -> Iterator[Check]:
    """Yield whether there is a token of the identity that assigns app roles, where there is one beside the app's own.

    It has a directory role for single resources, and no permission of Graph: that one would be for all of the tenant.
    """
    check = Check(Dependency.GRAPH, "granter's identity")
    try:
        granter = services.app_roles.granter() if services.grants else None
    except ProvisioningError as error:
        yield check.lacking(error)
        return
    if granter is None or granter.person:
        return
    yield check
    for each in sorted(granter.permissions):
        yield Check(Dependency.GRAPH, each).warned(
            "granter-too-powerful",
            "The granter has a permission of Microsoft Graph, which is for the whole tenant.",
            "Take it back: a directory role for the service principal of one resource is enough.",
        )


def _identified(check: Check, signed_in: SignedIn, expected: str | None) -> Check:
    if signed_in.person:
        return check.warned(
            "not-the-app",
            "A person is signed in, so that what is found is about this person's rights, and not about the app's.",
            "Ask GET /ready of the app too, or run it as the app's identity.",
        )
    if expected is None:
        return check.warned(
            "registrar-unknown",
            "REGISTRAR_OBJECT_ID is not set, so that ownership of new applications is left to Entra.",
            "Set REGISTRAR_OBJECT_ID to the object id of this app's identity.",
        )
    if expected != signed_in.object_id:
        return check.lacks(
            "registrar-differs",
            "REGISTRAR_OBJECT_ID names another identity than the one that calls Microsoft Graph.",
            "Set REGISTRAR_OBJECT_ID to the object id of this app's identity, or AZURE_CLIENT_ID to its client id.",
        )
    return check


def _permitted(check: Check, signed_in: SignedIn) -> Check:
    if signed_in.person or signed_in.permissions & {NEEDED, WIDER}:
        return check
    return check.lacks("permission-missing", "This app's identity does not have the permission.", _GRANT)


def _vault(services: Services) -> Iterator[Check]:
    """Yield whether secrets can be listed, set, read and deleted.

    The canary is set once, and deleted at once; from then on the vault answers that its name is taken by what was
    deleted, but only to whoever may set a secret. So looking again and again fills no vault.
    """
    vault, now = services.vault, services.clock.now()
    canary = MintedSecret("canary", now + timedelta(days=1), now, text="This is no secret.")
    yield _tried(Check(Dependency.VAULT, "list secrets"), lambda: vault.marked(None))
    setting = _tried(
        Check(Dependency.VAULT, "set secrets"),
        lambda: vault.publish(CANARY, canary, {}, now + timedelta(minutes=1)),
    )
    yield Check(setting.dependency, setting.what) if setting.code in _MAY_BE_SET else setting
    yield _tried(Check(Dependency.VAULT, "get secrets"), lambda: vault.current(CANARY))
    yield _tried(Check(Dependency.VAULT, "delete secrets"), lambda: vault.remove(CANARY))


def _delegations(services: Services) -> Iterator[Check]:
    """Yield whether this app may assign the roles that the settings name, and nothing else; all else works without."""
    own_id = services.tenant.registrar_object_id
    if own_id is None:
        return
    if services.azure_roles is not None:
        check = Check(Dependency.RESOURCE_MANAGER, f"assign {SECRETS_USER.name}")
        yield _delegation(check, services.azure_roles, own_id, delegation([SECRETS_USER], own_id))
    for url, resource_id in sorted(services.fhir_services.items()):
        check = Check(Dependency.RESOURCE_MANAGER, f"{DATA_ROLES_OF} {url}")
        yield _delegation(check, services.data_roles[resource_id], own_id, data_delegation(own_id))


def _delegation(check: Check, roles: AzureRoles, own_id: str, expected: str) -> Check:
    try:
        conditions = roles.conditions(DELEGATE, own_id)
    except ProvisioningError as error:
        return check.warned(error.code, error.message, error.remedy)
    if not conditions:
        denied = AzureRoleDenied()
        return check.warned(denied.code, denied.message, denied.remedy)
    if any(each != expected for each in conditions):
        return check.warned(
            "delegation-differs",
            "This app may assign roles there on another condition than the one that it needs.",
            "Give it the condition that docs/deploy.md names: whoever takes over this app may do what it allows.",
        )
    return check


def _tables(services: Services) -> Iterator[Check]:
    registry = services.registry
    yield _tried(Check(Dependency.TABLES, "read"), lambda: registry.due(services.clock.now(), 1))
    writing = _tried(Check(Dependency.TABLES, "write"), lambda: registry.put_due(_CANARY_ENTRY))
    yield writing
    yield _tried(Check(Dependency.TABLES, "delete"), lambda: registry.remove_due(_CANARY_ENTRY))


def _queues(services: Services) -> Iterator[Check]:
    for queue in services.queues.names:
        yield _tried(
            Check(Dependency.QUEUES, f"send to {queue}"),
            lambda queue=queue: services.queues.check(queue),  # type: ignore[misc]
        )
