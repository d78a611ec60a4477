"""What was looked at to tell whether this service can do its work: a check for each permission that it needs."""

from enum import StrEnum

from provisioning.domain.errors import ProvisioningError
from provisioning.domain.values import dataclass


class Dependency(StrEnum):
    """What this service depends on."""

    SETTINGS = "settings"
    CALLERS = "callers"
    GRAPH = "graph"
    TOKEN_ENDPOINT = "tokenEndpoint"  # noqa: S105 -- a name
    VAULT = "vault"
    RESOURCE_MANAGER = "resourceManager"
    TABLES = "tables"
    QUEUES = "queues"
    POLICY = "policy"


class State(StrEnum):
    """What a check found: a warning is no reason not to work, a lack is."""

    OK = "ok"
    WARNING = "warning"
    LACKING = "lacking"


@dataclass(frozen=True, slots=True)
class Check:
    """One permission of one dependency, and whether it is really held; all texts are constants of ours."""

    dependency: Dependency
    what: str
    state: State = State.OK
    code: str | None = None
    message: str = ""
    remedy: str = ""

    def lacking(self, error: ProvisioningError) -> "Check":
        """Return it as lacking, for the reason that the error gives."""
        return Check(self.dependency, self.what, State.LACKING, error.code, error.message, error.remedy)

    def warned(self, code: str, message: str, remedy: str) -> "Check":
        """Return it as held, with something that should be otherwise."""
        return Check(self.dependency, self.what, State.WARNING, code, message, remedy)

    def lacks(self, code: str, message: str, remedy: str) -> "Check":
        """Return it as lacking for this reason."""
        return Check(self.dependency, self.what, State.LACKING, code, message, remedy)


@dataclass(frozen=True, slots=True)
class SignedIn:
    """Who this process is to Microsoft Graph, as its own token says.

    `permissions` are those that an application was granted; of a person, what it may do through the signed-in app.
    """

    object_id: str
    client_id: str
    permissions: frozenset[str]
    person: bool = False


def is_ready(checks: tuple[Check, ...]) -> bool:
    """Whether nothing is lacking."""
    return all(check.state is not State.LACKING for check in checks)
