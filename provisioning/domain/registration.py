"""What we remember: a registration, its status, and the allowed transitions; its operation is in `operation.py`.

Everything here is a frozen value; a change is a new value. Nothing here holds a secret's text.
"""

import re
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import field, replace
from datetime import datetime, timedelta
from typing import Any, Final

from provisioning.domain.approval import Approval, Outcome, Proposal, digest_of
from provisioning.domain.azure_roles import AzureGrant, data_permissions
from provisioning.domain.callers import Caller
from provisioning.domain.client_types import ClientType
from provisioning.domain.directory import Permission, ResolvedResource
from provisioning.domain.grants import Agreement, Cascaded, Grant
from provisioning.domain.intake import (
    RegistrationRequest,
    ResourceApplicationRequest,
    changed_names,
    fingerprint,
)
from provisioning.domain.operation import Failure, Kept, LastError, Operation, OperationStatus, OperationType
from provisioning.domain.permissions import app_roles_of, asked_names, data_roles_of, openid_scopes, scopes_of
from provisioning.domain.secrets import CREDENTIAL_LABEL_PREFIX, MissingCredential, SecretState, timed_label
from provisioning.domain.usage import Usage
from provisioning.domain.values import dataclass

REGISTRATION_ID: Final = re.compile(r"[0-9a-f]{8}-[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)
_IDEMPOTENT_IDS: Final = uuid.UUID("5d5f3f5b-4c3a-5bb5-9f0e-6a2c8f6d1a77")


class Status(Kept):
    """Where a registration stands; only a failed `provision` operation makes it `failed`."""

    ACCEPTED = "accepted"
    ACTIVE = "active"
    FAILED = "failed"
    DELETING = "deleting"
    DELETED = "deleted"


@dataclass(frozen=True, slots=True)
class Registration:
    """One request and all that became of it.

    `caller` is the object id of whoever asked for it, `via` that of the application that spoke for this person.
    `etag` and `row` are the registry's own: the one guards every write; the other is what was read, of which a write
    keeps what this version does not know.
    `change` counts the accepted changes of the request; the application's notes say which of them Entra has.
    `former_redirect_uris` and `former_permissions`, these by their ids, are those that changes took away, the latest
    first. `changed_fields` is what the latest
    change is about, and `former_contact` who has to be told of it too: both until another operation begins. A secret
    minted before `replace_before` is due; of those minted before `revoke_before` none may go on working. Both are only
    ever raised. `findings` is what a check found and does not repair; `expiry_noticed` the days before its credential's
    end that were told last; `clean_up_at` is when replaced secrets may be removed; `deletion_sent_at` when Entra was
    last asked to delete an application that not all of its replicas may have heard of. `agreement` is what the owner of
    its resource agreed to, `grants` what became of each permission, `grants_due_at` when that is looked at next;
    `azure_grants` and `azure_grants_due_at` say the same of the roles of Azure that its owner is given. `usage` is when
    it was last used, None until the reports of sign-ins were looked at. `cascade` are the clients that are deleted with
    a resource.
    `data_roles_by` is who asked for the data roles that it asks for: the object ids of caller and application.
    `events` is how many of its writes were told by an event. `approval` is the latest that was asked for; `proposal` is
    the change that waits for it, and stays whatever else is done meanwhile. `owner_unseen` is whether nothing has shown
    yet that Entra knows the owner.
    """

    id: str
    caller: str
    request: RegistrationRequest
    request_hash: str
    status: Status
    operation: Operation
    created_at: datetime
    updated_at: datetime
    due_at: datetime | None = None
    application_object_id: str | None = None
    client_id: str | None = None
    service_principal_id: str | None = None
    identifier_uri: str | None = None
    resource: ResolvedResource | None = None
    secret: SecretState | None = None
    last_error: LastError | None = None
    change: int = 0
    former_redirect_uris: tuple[str, ...] = ()
    former_permissions: tuple[str, ...] = ()
    changed_fields: tuple[str, ...] = ()
    former_contact: str | None = None
    replace_before: datetime | None = None
    revoke_before: datetime | None = None
    missing: MissingCredential | None = None
    findings: tuple[Failure, ...] = ()
    expiry_noticed: int | None = None
    clean_up_at: datetime | None = None
    via: str | None = None
    approval: Approval | None = None
    proposal: Proposal | None = None
    owner_unseen: bool = False
    policy_version: str = ""
    deletion_sent_at: datetime | None = None
    agreement: Agreement | None = None
    grants: tuple[Grant, ...] = ()
    grants_due_at: datetime | None = None
    azure_grants: tuple[AzureGrant, ...] = ()
    azure_grants_due_at: datetime | None = None
    usage: Usage | None = None
    cascade: tuple[Cascaded, ...] = ()
    data_roles_by: tuple[str, ...] = ()
    events: int = 0
    etag: str | None = None
    row: Mapping[str, Any] | None = field(default=None, compare=False, repr=False)

    @property
    def client_type(self) -> ClientType:
        """The client type of the request."""
        return ClientType(self.request.client_type)

    @property
    def credential_type(self) -> str | None:
        """What it signs in with: "secret", "federated" or "certificate"; None where it has no credential."""
        if self.client_type is ClientType.CONFIDENTIAL:
            return "secret"
        credential = getattr(self.request, "credential", None)
        return str(credential.type) if credential is not None else None

    @property
    def holds_secret(self) -> bool:
        """Whether it ends with a client secret in Key Vault."""
        return self.credential_type == "secret"

    @property
    def pending(self) -> bool:
        """Whether the latest operation has not ended."""
        return self.operation.status is OperationStatus.PENDING

    @property
    def awaits_approval(self) -> bool:
        """Whether somebody has to agree first to it, or to a change of it; nothing of that has been sent to Entra."""
        return self.proposal is not None or self.operation.status is OperationStatus.AWAITING_APPROVAL

    @property
    def asked_digest(self) -> str:
        """What an approval of it is bound to: of a change, once that is what it asks for too."""
        if self.proposal is not None:
            return digest_of(fingerprint(self.proposal.request), self.proposal.policy_version)
        return digest_of(fingerprint(self.request), self.policy_version)

    @property
    def asked_by(self) -> frozenset[str]:
        """Who asked for what waits for an approval, in person, and as the application that spoke for somebody."""
        approval = self.approval
        asked = {approval.asked_by, approval.asked_via} if approval is not None else set()
        if self.proposal is None:
            asked |= {self.caller, self.via}
        return frozenset(each for each in asked if each is not None)

    @property
    def was_not_approved(self) -> bool:
        """Whether its latest operation ended because nobody agreed to it: nothing of that was ever begun."""
        approval, operation = self.approval, self.operation
        return (
            operation.status is OperationStatus.FAILED
            and approval is not None
            and (approval.operation_id, approval.outcome is Outcome.APPROVED) == (operation.id, False)
        )

    @property
    def was_never_approved(self) -> bool:
        """Whether nobody has agreed to have it created: until somebody does, nothing is its own."""
        approval = self.approval
        asked = approval is not None and approval.outcome is not Outcome.APPROVED
        return asked and self.application_object_id is None

    @property
    def asks_otherwise(self) -> bool:
        """Whether its latest change is about what it asks of its resource."""
        return self.resource is not None and not _PERMISSIONS.isdisjoint(self.changed_fields)

    @property
    def has_lost_change(self) -> bool:
        """Whether its latest operation is a change that Entra did not get."""
        failed = (self.operation.type, self.operation.status) == (OperationType.CHANGE, OperationStatus.FAILED)
        return failed and not self.was_not_approved

    def readable_by(self, caller: Caller) -> bool:
        """Whether the caller may know of it: as its owner, by a role, or because it decides about it."""
        decides = self.approval is not None and self.approval.may_be_read_by(caller)
        return decides or caller.may_read(self.request.owner)

    @property
    def declared(self) -> tuple[Permission, ...]:
        """What it asks of its resource: scopes for its users, or app roles and data roles for itself."""
        resource = self.resource
        return (*resource.scopes, *resource.app_roles, *resource.data_roles) if resource is not None else ()

    @property
    def agreed(self) -> tuple[Permission, ...]:
        """What of that the owner of a resource of ours agreed to."""
        permitted = self.agreement.permissions if self.agreement is not None and not self.ending else ()
        return tuple(each for each in self.declared if each.value in permitted)

    @property
    def grant_number(self) -> int:
        """Rises with every change of what is to be granted."""
        return self.change + (self.agreement.number if self.agreement is not None else 0) + self.ending

    @property
    def understood(self) -> bool:
        """Whether this version knows what is to be done with it; what a newer one began is left to that one."""
        operation = self.operation
        return self.status.known and operation.status.known and (operation.type.known or not self.pending)

    @property
    def ending(self) -> bool:
        """Whether it is being deleted, or was."""
        return self.status in (Status.DELETING, Status.DELETED)

    @property
    def unique_name(self) -> str:
        """The application's `uniqueName`, which makes its creation safe to repeat."""
        return f"{NAME_PREFIX}{self.id}"

    @property
    def secret_name(self) -> str:
        """The name of its secret in Key Vault: never reused, because registration ids are not."""
        return f"{NAME_PREFIX}{self.id}"

    @property
    def federated_credential_name(self) -> str:
        """The name of its federated identity credential, which makes its creation safe to repeat."""
        return f"{NAME_PREFIX}{self.id}"

    @property
    def credential_label(self) -> str:
        """How the display name of every credential of the current operation begins."""
        return f"{CREDENTIAL_LABEL_PREFIX}{self.operation.id}"

    def bound_at(self, now: datetime) -> datetime:
        """Return the time to which a bound is raised now: after its secret was minted, whichever clock was ahead.

        It is never before a bound that was raised earlier.
        """
        minted_at = self.secret.minted_at if self.secret is not None else None
        raised = self.minted_at(now)
        return raised if minted_at is None else max(raised, minted_at + timedelta(microseconds=1))

    def minted_at(self, now: datetime) -> datetime:
        """Return the time at which a secret minted now counts as minted: not before a bound that is known by then.

        The clocks of those who ask for another secret, of those who mint it, and of Entra differ; their order must not.
        """
        return max(each for each in (now, self.replace_before, self.revoke_before) if each is not None)

    def wants_younger(self, minted_at: datetime) -> bool:
        """Whether somebody asked for another secret than one that counts as minted then."""
        return any(bound is not None and minted_at < bound for bound in (self.replace_before, self.revoke_before))

    def secret_label(self, now: datetime) -> str:
        """Return the display name of a secret that the current operation mints now."""
        return timed_label(self.credential_label, self.minted_at(now))

    def begun(
        self, operation_id: str, kind: OperationType, now: datetime, due_at: datetime, trace_id: str | None = None
    ) -> "Registration":
        """Return it with a new operation pending; the status follows from what is asked."""
        status = _BEGINS.get(kind, self.status)
        if (self.status, status) not in _TRANSITIONS:
            raise ValueError(f"a registration that is {self.status} cannot be {status}")
        proposal = self.proposal if kind is not OperationType.DELETE else None
        superseded = self._superseded(proposal)
        untold = kind is OperationType.CHANGE or (self.pending and self.operation.type is OperationType.CHANGE)
        return replace(
            self,
            proposal=proposal,
            changed_fields=self.changed_fields if untold else (),
            former_contact=self.former_contact if untold else None,
            status=status,
            operation=Operation(operation_id, kind, OperationStatus.PENDING, now, None, superseded, trace_id),
            updated_at=now,
            due_at=due_at,
            last_error=None,
        )

    def _superseded(self, proposal: Proposal | None) -> str | None:
        """Return the id of the operation that another one takes the place of, which leaves this proposal."""
        if self.pending or (self.awaits_approval and self.proposal is None):
            return self.operation.id
        return self.proposal.operation.id if self.proposal is not None and proposal is None else None

    def awaiting(self, approval: Approval, due_at: datetime) -> "Registration":
        """Return it, newly asked for, with its operation waiting for an approval, and due when that is to be told."""
        operation = replace(self.operation, status=OperationStatus.AWAITING_APPROVAL)
        return replace(self, operation=operation, approval=approval, due_at=due_at)

    def proposed(self, proposal: Proposal, approval: Approval, now: datetime, due_at: datetime) -> "Registration":
        """Return it with a change of it waiting for an approval; what it asks for stays what it was."""
        return replace(
            self,
            operation=proposal.operation,
            proposal=proposal,
            approval=approval,
            changed_fields=self.changed_fields if self.has_lost_change else (),
            former_contact=self.former_contact if self.has_lost_change else None,
            updated_at=now,
            due_at=due_at,
        )

    def decided(self, approval: Approval, now: datetime, due_at: datetime) -> "Registration":
        """Return it as it was decided: its operation pending from now on, or still waiting for its end."""
        operation = self.proposal.operation if self.proposal is not None else self.operation
        row = self
        if approval.outcome is Outcome.APPROVED:
            operation = replace(operation, status=OperationStatus.PENDING, requested_at=now)
            if self.proposal is not None:
                changed = self.changed(self.proposal.request, self.proposal.policy_version)
                row = replace(changed, proposal=None, last_error=None)
        return replace(row, operation=operation, approval=approval, updated_at=now, due_at=due_at)

    def changed(self, request: RegistrationRequest, policy_version: str) -> "Registration":
        """Return it with its request changed; what a failed change was about is changed with it, and told with it."""
        again = self.has_lost_change or self.proposal is not None
        former = dict.fromkeys((*_redirect_uris(self.request), *self.former_redirect_uris))
        gone = [uri for uri in former if uri not in _redirect_uris(request)][:MOST_FORMER_URIS]
        fields = {*(self.changed_fields if again else ()), *changed_names(self.request, request)}
        contact = (self.former_contact if again else None) or self.request.contact
        return replace(
            self,
            request=request,
            owner_unseen=self.owner_unseen if request.owner == self.request.owner else True,
            policy_version=policy_version,
            change=self.change + 1,
            former_redirect_uris=tuple(gone),
            former_permissions=self._without(self._known(self.request), self._known(request)),
            agreement=self._still_agreed(request),
            changed_fields=tuple(sorted(fields)),
            former_contact=contact if contact != request.contact else None,
        )

    def declaring(self, resource: ResolvedResource) -> "Registration":
        """Return it with what it asks of its resource now."""
        asked = (*resource.scopes, *resource.app_roles, *resource.data_roles)
        return replace(self, resource=resource, former_permissions=self._without(self.declared, asked))

    def agreed_to(self, permissions: tuple[str, ...], caller: Caller, at: datetime) -> "Registration":
        """Return it as somebody agreed to these permissions for the owner of its resource; to none: took them back."""
        number = self.agreement.number + 1 if self.agreement is not None else 1
        return replace(self, agreement=Agreement(number, permissions, caller.object_id, at, caller.via))

    def _known(self, request: RegistrationRequest) -> tuple[Permission, ...]:
        """Return the permissions of which the request alone says all: what is offered, sign-in scopes, data roles."""
        if isinstance(request, ResourceApplicationRequest):
            return (*scopes_of(self.id, request), *app_roles_of(self.id, request))
        return (*openid_scopes(request), *data_permissions(data_roles_of(request)))

    def _without(self, before: Iterable[Permission], after: Iterable[Permission]) -> tuple[str, ...]:
        """Return the ids of all permissions that changes took away, now that it asks for others than before."""
        asked = {each.id for each in after}
        former = dict.fromkeys((*(each.id for each in before), *self.former_permissions))
        return tuple(each for each in former if each not in asked)[:MOST_FORMER_PERMISSIONS]

    def _still_agreed(self, request: RegistrationRequest) -> Agreement | None:
        """Return what the owner of its resource agreed to and is asked for still: what is asked anew is agreed anew."""
        agreement = self.agreement
        if agreement is None or isinstance(request, ResourceApplicationRequest):
            return agreement
        kept = tuple(each for each in agreement.permissions if each in asked_names(request))
        if kept == agreement.permissions:
            return agreement
        return replace(agreement, number=agreement.number + 1, permissions=kept)

    def not_approved(self, failure: Failure, now: datetime) -> "Registration":
        """Return it with what waited for an approval ended without one; of a change nothing is left but its names."""
        if self.proposal is None:
            return self.failed(failure, now)
        names = changed_names(self.request, self.proposal.request)
        ended = replace(self, operation=self.proposal.operation, proposal=None, changed_fields=names)
        return ended.failed(failure, now)

    def succeeded(self, now: datetime) -> "Registration":
        """Return it with its operation ended well: active, or deleted."""
        deleted = self.operation.type is OperationType.DELETE
        return replace(
            self,
            status=Status.DELETED if deleted else Status.ACTIVE,
            operation=replace(self.operation, status=OperationStatus.SUCCEEDED, failure=None),
            updated_at=now,
            due_at=None,
            last_error=None,
        )

    def failed(self, failure: Failure, now: datetime) -> "Registration":
        """Return it with its operation ended by `failure`; a failed first provisioning makes it `failed` as a whole."""
        return replace(
            self,
            status=Status.FAILED if self.operation.type is OperationType.PROVISION else self.status,
            operation=replace(self.operation, status=OperationStatus.FAILED, failure=failure),
            updated_at=now,
            due_at=None,
            last_error=None,
        )


_PERMISSIONS: Final = frozenset({"scopes", "appRoles", "dataRoles"})
_BEGINS: Final = {OperationType.PROVISION: Status.ACCEPTED, OperationType.DELETE: Status.DELETING}
# How an operation that begins may move the status; what an operation leads to is in `succeeded` and `failed`.
_TRANSITIONS: Final = frozenset(
    {
        (Status.FAILED, Status.ACCEPTED),
        (Status.ACTIVE, Status.ACTIVE),
        (Status.ACTIVE, Status.DELETING),
        (Status.FAILED, Status.DELETING),
        (Status.ACCEPTED, Status.DELETING),  # of one that waits for an approval: nothing was sent for it
    }
)
NAME_PREFIX: Final = "fhir-registrar-"
MOST_FORMER_URIS: Final = 256
MOST_FORMER_PERMISSIONS: Final = 1000


def _redirect_uris(request: RegistrationRequest) -> tuple[str, ...]:
    return getattr(request, "redirect_uris", ())


def registration_id(owner: str, caller: str, idempotency_key: str | None) -> str:
    """Return a new registration's id: the same one for the same caller, owner and key, a random one without a key."""
    if idempotency_key is None:
        unique = uuid.uuid4()
    else:
        unique = uuid.uuid5(_IDEMPOTENT_IDS, f"{caller}\n{owner}\n{idempotency_key}")
    return f"{unique.hex[-8:]}-{unique}"


@dataclass(frozen=True, slots=True)
class Page:
    """A part of a list; `continuation_token` is None on the last one.

    `unreadable` is how many were passed over because this version cannot read them.
    """

    registrations: tuple[Registration, ...]
    continuation_token: str | None
    unreadable: int = 0
