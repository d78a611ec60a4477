"""What the policy says of a client's resource, which a registration of ours or Entra has to tell the names of."""

from collections.abc import Iterable
from typing import Final

from provisioning.domain.approval import DATA_ROLES
from provisioning.domain.directory import ResolvedResource
from provisioning.domain.errors import NeedsOperator
from provisioning.domain.judgement import ApprovalNeeded, Asked, Decision, Refusal, judge
from provisioning.domain.manifest import resource_identifier
from provisioning.domain.names import MANAGED_FHIR_CLIENT_ID, compared, managed_fhir_url, plain_name
from provisioning.domain.permissions import ClientRequest, data_roles_of
from provisioning.domain.policy import RESOURCE_OWNER
from provisioning.domain.registration import Registration
from provisioning.domain.tenant import Tenant
from provisioning.flow.resolve import check_resource, service_url
from provisioning.ports import Services

_ABOUT_RESOURCE: Final = ("#/resource", "#/appRoles", "#/credential")


def names_of(reference: str, ours: Registration | None, tenant: Tenant) -> frozenset[str]:
    """Return the names, as they are compared, by which a rule may name the resource that a client refers to."""
    names = [reference, plain_name(reference, tenant.id)]
    if ours is not None:
        names += [ours.id, resource_identifier(ours, tenant), getattr(ours.request, "fhir_server_url", "")]
        names += [ours.client_id] if ours.client_id is not None else []
    elif managed_fhir_url(reference) is not None:
        names.append(MANAGED_FHIR_CLIENT_ID)
    return _compared(names)


def names_of_resolved(resource: ResolvedResource | None) -> frozenset[str]:
    """Return the names that only a resource that is resolved has; its URL is among those that it is asked for by."""
    return frozenset() if resource is None else _compared([resource.audience, resource.client_id])


def _compared(names: Iterable[str]) -> frozenset[str]:
    return frozenset(compared(each.strip()) for each in names if each)


def judge_resolved(services: Services, request: ClientRequest, resource: ResolvedResource) -> Decision:
    """Return what the policy says of what a client asks of its resource, now that all names of that are known.

    Nothing is looked at where no rule looks at resources: all of that was judged when the request came.
    """
    policy = services.policy.current()
    if not policy.looks_at_resource:
        return Decision()
    ours = check_resource(services, request)
    names = names_of(request.resource, ours, services.tenant) | names_of_resolved(resource)
    return judge(policy, Asked(request, services.secrets.lifetime, names)).about(*_ABOUT_RESOURCE)


def check_permitted(services: Services, row: Registration, request: ClientRequest, resource: ResolvedResource) -> None:
    """Raise NeedsOperator where the policy refuses what a client asks of its resource.

    So it does where it wants an approval that nobody was asked for: by a name of the resource that Entra alone knows.
    """
    decision = judge_resolved(services, request, resource)
    approved = row.approval.rules if row.approval is not None else ()
    unapproved = [each.refusal for each in decision.approvals_needed if each.rule not in approved]
    for each in (*decision.refusals, *unapproved):
        raise NeedsOperator(
            "refused-by-policy",
            "The policy refuses what the registration asks of its resource.",
            remedy=f"{each.message} The rule is {each.rule}. {each.exception}",
        )


def judge_data_roles(
    services: Services, request: ClientRequest, ours: Registration | None, agreed: Iterable[str] = ()
) -> Decision:
    """Return the approval that data roles need beyond those that were agreed to, where this service would give them.

    The owner of the registration of the FHIR service decides, where it has one, else an approver.
    """
    names = [name for name in data_roles_of(request) if name not in agreed]
    url = service_url(services, ours, request) if names else None
    if url is None or compared(url) not in services.fhir_services:
        return Decision()
    refusal = Refusal(
        DATA_ROLES,
        "#/dataRoles",
        "data-roles-need-approval",
        "Leave them out, or ask where callers sign in with Entra: somebody else has to agree to data roles.",
        "",
        " ".join(names),
    )
    return Decision(approvals_needed=(ApprovalNeeded(DATA_ROLES, RESOURCE_OWNER, refusal),))
