"""Entra's directory in memory: who exists, owns what, may do what, which names are taken; no operation is here."""

from __future__ import annotations

import base64
import hashlib
import itertools
import random
import uuid
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from dev.emulator import constants
from dev.emulator.errors import Json, bad_request, denied, not_found, object_conflict
from dev.emulator.graph import first_party
from dev.emulator.graph.records import Application, AppRoleAssignment, Caller, ServicePrincipal
from dev.emulator.graph.replication import Replicas, Versioned
from dev.emulator.graph.sign_ins import SignIns
from dev.emulator.graph.uris import UriPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from dev.emulator.faults import Faults, Switches

MOST_BOUND = 20
READERS = frozenset({constants.OWNED_BY, constants.READ_WRITE_ALL, constants.APPLICATION_READ_ALL})
WRITERS = frozenset({constants.OWNED_BY, constants.READ_WRITE_ALL})


class Directory:
    """The state of one tenant, and what the operations on it share."""

    def __init__(  # noqa: PLR0913 -- the parts of a world
        self,
        *,
        origin: str,
        tenant_id: str,
        faults: Faults,
        now: Callable[[], datetime],
        verified_domains: Iterable[str],
        managed_fhir: bool,
        seed: int,
    ) -> None:
        self.origin = origin
        self.tenant_id = tenant_id
        self.now = now
        self.verified_domains = frozenset(domain.lower() for domain in verified_domains)
        self.replicas = Replicas(faults, now, seed)
        self.rng = random.Random(seed)  # noqa: S311 -- the ids and secrets of an emulator guard nothing
        self.records: dict[str, Application] = {}
        self.principals: dict[str, ServicePrincipal] = {}
        self.people: set[str] = set()
        # Those who sign in to the registrar's own API, and the groups of the tenant.
        self.users: set[str] = set()
        self.groups: set[str] = set()
        self.assignments: list[AppRoleAssignment] = []
        # Who has a directory role for the assignments of one service principal: object ids of both.
        self.scoped_to: set[tuple[str, str]] = set()
        self.role_definitions: dict[str, Json] = {}
        self.role_assignments: dict[str, Json] = {}
        self.unique_names: dict[str, str] = {}
        self.identifier_uris: dict[str, str] = {}
        self.first_party_names: dict[str, ServicePrincipal] = {}
        self._by_app_id: dict[str, Application] = {}
        self._living: dict[str, ServicePrincipal] = {}
        self.misleading = itertools.count()  # whose turn it is under `unreplicated_principal`
        self._faults = faults
        self._numbers = itertools.count(1)
        self.sign_ins = SignIns(faults, now)
        self._seed(managed_fhir=managed_fhir)

    @property
    def switches(self) -> Switches:
        """The switches in force."""
        return self._faults.switches

    # What tests and the demo set up.

    def add_principal(self, object_id: str | None = None) -> str:
        """A user, who may own things."""
        object_id = (object_id or self.new_id()).lower()
        self.people.add(object_id)
        return object_id

    def grant(self, principal_id: str, resource_id: str, role: str, at: datetime | None = None) -> None:
        """Give a service principal an application role of a resource, as an admin would; `role` is its id or value."""
        principal, resource = self.principals[principal_id], self.principals[resource_id]
        for known in resource.exposed["appRoles"]:
            if role in (known["id"], known["value"]) and "Application" in known["allowedMemberTypes"]:
                held = self.living_assignments(principal.id)
                if not any((each.resource_id, each.role_id) == (resource.id, known["id"]) for each in held):
                    self.assign(principal, resource, known["id"], at)
                return
        message = f"{resource_id} has no application role {role}"
        raise ValueError(message)

    def revoke(self, principal_id: str) -> None:
        """Take every application role from a service principal."""
        for each in self.living_assignments(principal_id):
            each.body.put(self.now(), None)

    def let_assign(self, object_id: str, resource_id: str) -> None:
        """Give somebody a directory role whose scope is one service principal, to assign the roles that it exposes."""
        self.scoped_to.add((object_id, resource_id))

    # What the operations share.

    def new_id(self) -> str:
        """A random GUID."""
        return str(uuid.UUID(int=self.rng.getrandbits(128), version=4))

    def next_number(self) -> int:
        """The place of a new object in lists."""
        return next(self._numbers)

    def may_read(self, by: Caller) -> None:
        """Reading is for everyone with a permission on applications; OwnedBy may read all."""
        if not by.roles & READERS:
            raise denied()

    def may_write(self, by: Caller, record: Application | ServicePrincipal | None = None) -> None:
        """Writing an object needs the permission, and under OwnedBy the ownership."""
        if constants.READ_WRITE_ALL in by.roles:
            return
        if constants.OWNED_BY not in by.roles or (record is not None and by.object_id not in record.owners):
            raise denied()

    def find_application(self, by: Caller, **key: str) -> Application:
        """The application with this `object_id`, `app_id` or `unique_name`, if the caller's replica has seen it."""
        record = self.application(**key)
        if record is None or record.body.seen_by(self.replicas, by.replica) is None:
            raise not_found(next(iter(key.values())))
        return record

    def application(self, *, object_id: str = "", app_id: str = "", unique_name: str = "") -> Application | None:
        """The application with this key, deleted or not, whatever the replicas have seen."""
        if unique_name:
            object_id = self.unique_names.get(unique_name, unique_name)
        if object_id:
            return self.records.get(object_id.lower())
        return self._by_app_id.get(app_id.lower())

    def find_principal(self, by: Caller, *, object_id: str = "", app_id: str = "") -> ServicePrincipal:
        """The service principal, if the caller's replica has seen it."""
        principal = self.principals.get(object_id.lower()) if object_id else self.principal_of(app_id)
        if principal is None or principal.seen_by(self.replicas, by.replica) is None:
            raise not_found(object_id or app_id)
        return principal

    def principal_of(self, app_id: str) -> ServicePrincipal | None:
        """The living service principal of an application."""
        return self._living.get(app_id.lower())

    def add_application(self, record: Application) -> None:
        """Keep a new application and take its unique name."""
        self.records[record.id] = record
        self._by_app_id[record.app_id] = record
        self.take_unique_name(record)

    def take_unique_name(self, record: Application) -> None:
        """Have the application's unique name, if it has one, be known as its own."""
        if record.last_body["uniqueName"] is not None:
            self.unique_names[record.last_body["uniqueName"]] = record.id

    def forget_application(self, record: Application) -> None:
        """Purge a deleted application and free its names."""
        del self.records[record.id]
        del self._by_app_id[record.app_id]
        if record.last_body["uniqueName"] is not None:
            del self.unique_names[record.last_body["uniqueName"]]
        self.reserve_uris(record.id, record.last_body["identifierUris"], [])
        for principal in [item for item in self.principals.values() if item.application is record]:
            del self.principals[principal.id]

    def add_service_principal(self, principal: ServicePrincipal) -> None:
        """Keep a new service principal."""
        self.principals[principal.id] = principal
        self._living[principal.app_id] = principal

    def retire_service_principal(self, principal: ServicePrincipal) -> None:
        """Move a service principal to the recycle bin; what it holds, and what others hold of it, ends."""
        for each in self.assignments:
            if principal.id in (each.principal_id, each.resource_id) and each.body.latest:
                each.body.put(self.now(), None)
        principal.body.put(self.now(), None)
        principal.deleted_at = self.now()
        del self._living[principal.app_id]

    def resource(self, name: str) -> ServicePrincipal | None:
        """The living service principal with this name: an application id or an identifier URI."""
        spelling = name.lower().removesuffix("/")
        if spelling in self.first_party_names:
            return self.first_party_names[spelling]
        record = self.records.get(self.identifier_uris.get(spelling, ""))
        return self.principal_of(record.app_id if record else spelling)

    def bound_owners(self, references: object) -> set[str]:
        """The objects that `owners@odata.bind` names."""
        if not isinstance(references, list) or len(references) > MOST_BOUND:
            raise bad_request("Invalid value for 'owners@odata.bind': a list of at most 20 references is expected.")
        return {self._bound(reference) for reference in references}

    def _bound(self, reference: object) -> str:
        roots = (self.origin, constants.GRAPH_RESOURCE)
        kinds = ("directoryObjects", "servicePrincipals", "users")
        prefixes = [f"{root}/v1.0/{kind}/" for root in roots for kind in kinds]
        for prefix in prefixes:
            if isinstance(reference, str) and reference.startswith(prefix):
                object_id = reference.removeprefix(prefix).lower()
                if object_id not in self.people and object_id not in self.principals:
                    raise not_found(object_id)
                return object_id
        raise bad_request("Invalid value for 'owners@odata.bind': not the URL of a directory object.")

    def uri_policy(self) -> UriPolicy:
        """The tenant's rules for identifier URIs."""
        return UriPolicy(self.tenant_id, self.verified_domains, self.switches.non_default_uri_addition)

    def reserve_uris(self, record_id: str, before: list[str], after: list[str]) -> None:
        """Move the reservations of identifier URIs; they outlive a deletion until the purge."""
        for uri in after:
            if self.identifier_uris.get(uri.lower(), record_id) != record_id:
                raise object_conflict("identifierUris")
        for uri in before:
            self.identifier_uris.pop(uri.lower(), None)
        for uri in after:
            self.identifier_uris[uri.lower()] = record_id

    def assign(
        self, principal: ServicePrincipal, resource: ServicePrincipal, role_id: str, at: datetime | None = None
    ) -> AppRoleAssignment:
        """Have the principal hold the role: from now on, or since then."""
        body = Versioned(at or self.now(), value=True)
        number = len(self.assignments)
        # Graph's ids of them are 32 bytes in base64url.
        digest = hashlib.sha256(f"{number}\n{principal.id}\n{resource.id}\n{role_id}".encode()).digest()
        name = base64.urlsafe_b64encode(digest).decode().rstrip("=")
        assignment = AppRoleAssignment(number, name, principal.id, resource.id, role_id, body)
        self.assignments.append(assignment)
        return assignment

    def living_assignments(self, principal_id: str) -> list[AppRoleAssignment]:
        """What a principal holds, whatever the replicas have seen."""
        return [each for each in self.assignments if each.principal_id == principal_id and each.body.latest]

    def roles_of(self, principal_id: str, resource: ServicePrincipal) -> list[str]:
        """The values of the application roles that a token for a resource names: an assignment takes time to show."""
        lag, now = timedelta(seconds=self.switches.role_propagation), self.now()
        held = {
            each.role_id
            for each in self.assignments
            if (each.principal_id, each.resource_id) == (principal_id, resource.id)
            and now - lag >= each.created_at
            and not (each.body.ended_at is not None and now - lag >= each.body.ended_at)
        }
        return [role["value"] for role in resource.exposed["appRoles"] if role["id"] in held and role["isEnabled"]]

    def _seed(self, *, managed_fhir: bool) -> None:
        for object_id, published in first_party.first_party(self.origin, managed_fhir=managed_fhir):
            self._seed_principal(object_id, published)
        self._seed_principal(constants.REGISTRAR_OBJECT_ID, first_party.registrar())
        self._seed_principal(constants.GRANTER_OBJECT_ID, first_party.granter())
        always = datetime.min.replace(tzinfo=self.now().tzinfo)
        self.grant(constants.REGISTRAR_OBJECT_ID, constants.GRAPH_PRINCIPAL_ID, constants.OWNED_BY, always)

    def _seed_principal(self, object_id: str, published: Json) -> None:
        body = {"accountEnabled": True, "appRoleAssignmentRequired": False, "tags": []}
        principal = ServicePrincipal(
            number=self.next_number(),
            id=object_id,
            app_id=published["appId"],
            application=None,
            published=published,
            body=Versioned(datetime.min.replace(tzinfo=self.now().tzinfo), body),
            last_body=body,
        )
        self.add_service_principal(principal)
        for name in published["servicePrincipalNames"]:
            self.first_party_names[name.lower()] = principal
