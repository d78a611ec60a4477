"""The error tree, by who acts.

    ProvisioningError
    ├─ RequestRejected       the caller: a problem document with a 4xx status
    ├─ TryAgain              time: waited out in the function, then by the queue
    │  ├─ OutcomeUnknown     time: a request that must not be repeated blindly may have taken effect
    │  ├─ CredentialNotFound time: a credential to remove is not known, or not yet
    │  ├─ PublishBoundPassed time: a secret grew too old to be published; another is minted
    │  ├─ StaleRegistration  time: another run wrote the row first
    │  └─ UnreadableRow      time: a newer version wrote a row, and this one cannot read it
    ├─ NeedsOperator         a person: the registration is `failed` with a remedy
    │  └─ NotOffered         a person: the resource does not have what the client asks of it
    └─ NameTaken             nobody: another delivery was here before; `provision.py` adopts its work
    SettingsError            the operator, at first use: names every wrong setting

Triggers and the runner catch families, never leaves. Messages and remedies are constants: no value that a caller sent
and no answer of another system is ever part of one, so that nothing secret can reach a row, a log or a response. The
one exception is the names of scopes and app roles that a resource has, which everybody may read in Entra.
"""

from collections.abc import Iterable
from itertools import islice
from typing import Final

from provisioning.domain.values import dataclass

# More of them help nobody, and a small request must not be answered by a large one.
MOST_FAULTS: Final = 100


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request: where, which rule, and what to do about it.

    What the policy refuses names the policy's rule by its id, and how to ask for an exception. Where a name is not one
    of a resource's, `offered` has those that are.
    """

    pointer: str
    code: str
    message: str
    rule: str | None = None
    exception: str | None = None
    offered: tuple[str, ...] | None = None


class ProvisioningError(Exception):
    """What every error of this package has: a stable kebab-case code, a constant message and, mostly, a remedy."""

    def __init__(self, code: str, message: str, *, remedy: str = "", graph_request_id: str | None = None) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.remedy = remedy
        self.graph_request_id = graph_request_id


class RequestRejected(ProvisioningError):
    """The caller must change something; answered with `status` and every fault at once, of very many the first ones.

    `retry_after` is in seconds, where the same request is taken once they are over.
    """

    def __init__(
        self, status: int, code: str, message: str, faults: Iterable[Fault] = (), *, retry_after: float | None = None
    ) -> None:
        super().__init__(code, message)
        self.status = status
        self.retry_after = retry_after
        self.faults = tuple(islice(faults, MOST_FAULTS))


class TryAgain(ProvisioningError):
    """Passes with time. `retry_after` is in seconds, where the other side named it."""

    def __init__(
        self,
        code: str,
        message: str,
        *,
        remedy: str = "",
        retry_after: float | None = None,
        graph_request_id: str | None = None,
    ) -> None:
        super().__init__(code, message, remedy=remedy, graph_request_id=graph_request_id)
        self.retry_after = retry_after


class OutcomeUnknown(TryAgain):
    """The request may have taken effect and must not be sent again before the world was asked."""


class CredentialNotFound(TryAgain):
    """Entra knows no credential of that key id: not yet, just after it was minted; not any more, long after."""


class PublishBoundPassed(TryAgain):
    """The secret was minted too long ago: somebody may have begun to count on its never being published."""

    def __init__(self) -> None:
        super().__init__(
            "publish-bound-passed",
            "The secret was minted too long ago to be published.",
            remedy="If it lasts, see whether Key Vault answers slowly or the app's instances stall, then retry.",
        )


class StaleRegistration(TryAgain):
    """Another run wrote the row since it was read; what this run knows is out of date."""

    def __init__(self) -> None:
        super().__init__(
            "registration-changed",
            "Another run changed the registration at the same time.",
            remedy="Nothing, if it passes; if it lasts, report it.",
        )


class UnreadableRow(TryAgain):
    """A newer version wrote what this one cannot read, or not act on: it is left alone until that one is back."""

    def __init__(self) -> None:
        super().__init__(
            "registration-unreadable",
            "Another version of this service wrote the registration, and this one does not understand it.",
            remedy="Deploy the newer version again.",
        )


class NeedsOperator(ProvisioningError):
    """Waiting does not help: a person must act, and `remedy` says how."""


class GrantDenied(NeedsOperator):
    """No identity of this service may assign app roles of the resource; a person does, as nextSteps say."""

    def __init__(self, graph_request_id: str | None = None) -> None:
        super().__init__(
            "grant-denied",
            "This service may not assign app roles of the resource.",
            remedy="Grant it as nextSteps say; or give this service, or the identity that GRANTER_CLIENT_ID names, a "
            "directory role for the resource's service principal.",
            graph_request_id=graph_request_id,
        )


class AzureRoleDenied(NeedsOperator):
    """This service may not give or take back the Azure role; a person does, as nextSteps say."""

    def __init__(self) -> None:
        super().__init__(
            "azure-role-denied",
            "This service may not assign the role of Azure there.",
            remedy="Assign it as nextSteps say; or give this app's identity Role Based Access Control Administrator on "
            "the resource, on the condition that docs/deploy.md names.",
        )


class PrincipalNotFound(NeedsOperator):
    """Azure knows nobody of the object id, or not yet; whoever is told which kind of principal it is believes that."""

    def __init__(self) -> None:
        super().__init__(
            "principal-not-found",
            "Azure knows no user, group or service principal of the object id, or not yet.",
            remedy="Nothing for a new one, which is found within a day; else give the registration to a group of the "
            "team: PATCH /registrations/{id} with owner.",
        )


class NotOffered(NeedsOperator):
    """The resource does not have what was asked of it; `faults` has each name, and what there is in its place."""

    def __init__(self, code: str, message: str, faults: Iterable[Fault]) -> None:
        self.faults = tuple(faults)
        first = self.faults[0]
        super().__init__(
            code, message, remedy=f"Send a new request. {first.pointer.removeprefix('#/')}: {first.message}"
        )


class NameTaken(ProvisioningError):
    """A name of the application is in use: by our own earlier delivery, or by another, perhaps deleted, application.

    `otherwise` is what it means where no application of ours is found: only then is it an error.
    """

    def __init__(self, otherwise: ProvisioningError) -> None:
        super().__init__("name-taken", "A name of the application is in use.")
        self.otherwise = otherwise


class SettingsError(Exception):
    """The app settings are wrong; `faults` names each setting and what it should be, all of them at once.

    `keys_are_asked` is whether the host lets nobody call without a function key, so that a caller may be told them.
    """

    def __init__(self, faults: Iterable[str], *, keys_are_asked: bool = False) -> None:
        self.faults, self.keys_are_asked = tuple(faults), keys_are_asked
        super().__init__("Wrong app settings: " + " | ".join(self.faults))
