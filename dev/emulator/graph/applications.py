"""Graph's operations on applications: who may, and what is done; the body's rules are `application_body.py`'s."""

from __future__ import annotations

from typing import TYPE_CHECKING

from dev.emulator import constants
from dev.emulator.errors import GraphError, Json, bad_request, denied, not_found, object_conflict
from dev.emulator.graph import federated_credentials, key_credentials, password_credentials
from dev.emulator.graph.application_body import PERSONAL, check_size, created, token_version, updated
from dev.emulator.graph.policies import check_policies
from dev.emulator.graph.records import Application, Caller
from dev.emulator.graph.replication import Versioned
from dev.emulator.graph.uris import identifier_uri
from dev.emulator.shapes import as_text, is_guid

if TYPE_CHECKING:
    from dev.emulator.graph.directory import Directory

MOST_PERSONAL_PASSWORDS = 2
_MOST_EXPANDED = 20


class Applications:
    """Each method is one operation: checks the caller, then the body, then acts."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    def create(self, by: Caller, body: Json) -> Json:
        """POST /applications."""
        directory, switches = self._directory, self._directory.switches
        directory.may_write(by)
        body = dict(body)
        bound = directory.bound_owners(body.pop("owners@odata.bind", []))
        passwords = body.pop("passwordCredentials", [])
        if switches.inline_certificate_omitted:
            body.pop("keyCredentials", None)
        stored = created(body, owned_by=constants.READ_WRITE_ALL not in by.roles)
        check_policies(switches, None, stored)
        self._check_keys([], stored["keyCredentials"])
        if switches.directory_quota_exceeded:
            message = "The directory object quota limit for the Principal has been exceeded."
            raise GraphError(403, "Directory_QuotaExceeded", message)
        record = self._blank(by, stored)
        if stored["uniqueName"] in directory.unique_names:
            raise object_conflict("uniqueName", status=switches.unique_name_conflict_status)
        record.passwords = self._inline_passwords(passwords)
        self._check_passwords(stored, len(record.passwords))
        self._add_uris(record, [], stored["identifierUris"], version=1, app_id=None)
        record.owners = bound if switches.caller_not_owner else bound | {by.object_id}
        directory.add_application(record)
        answer = self._shown(record, stored, record.passwords)
        if not switches.inline_secret_omitted:
            for item, password in zip(answer["passwordCredentials"], record.passwords, strict=True):
                item["secretText"] = password.text
        return answer

    def _blank(self, by: Caller, stored: Json) -> Application:
        now = self._directory.now()
        return Application(
            number=self._directory.next_number(),
            id=self._directory.new_id(),
            app_id=self._directory.new_id(),
            created_at=now,
            created_by=by.app_id,
            body=Versioned(now, stored),
            last_body=stored,
        )

    def _inline_passwords(self, items: object) -> list[password_credentials.Password]:
        if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
            raise bad_request("Invalid value specified for property 'passwordCredentials' of resource 'Application'.")
        if items and self._directory.switches.inline_secret_refused:
            raise bad_request("New password credentials must be generated with service actions.")
        return [self._mint(item) for item in items]

    def _mint(self, item: Json) -> password_credentials.Password:
        directory = self._directory
        return password_credentials.mint(item, directory.switches, directory.now(), directory.rng, directory.new_id)

    def _check_passwords(self, stored: Json, count: int) -> None:
        if stored["signInAudience"] in PERSONAL and count > MOST_PERSONAL_PASSWORDS:
            raise bad_request("The application has too many passwords for its audience.", detail="TooManyValues")
        check_size(stored, count)

    def _check_keys(self, before: list[Json], after: list[Json]) -> None:
        directory = self._directory
        key_credentials.check_new_keys(before, after, directory.now(), directory.switches.certificate_lifetime_days)

    def _add_uris(
        self, record: Application, before: list[str], after: list[str], *, version: int, app_id: str | None
    ) -> None:
        for uri in after:
            if uri not in before:
                identifier_uri(uri, app_id, version, self._directory.uri_policy())
        self._directory.reserve_uris(record.id, before, after)

    def read(self, by: Caller, record: Application, *, keys: bool = False) -> Json:
        """GET of one application, as the caller's replica has it; `keys`: with the certificates themselves."""
        body = record.body.seen_by(self._directory.replicas, by.replica)
        if body is None:
            raise not_found(record.id)
        shown = self._shown(record, body, self._seen_passwords(record, by.replica))
        return {**shown, "keyCredentials": body["keyCredentials"]} if keys else shown

    def find(self, by: Caller, **key: str) -> Application:
        """The application that a path names, for a read."""
        self._directory.may_read(by)
        return self._directory.find_application(by, **key)

    def _find_owned(self, by: Caller, **key: str) -> tuple[Application, Json]:
        """The application that a path names, for a write; the replica passes it on to where it is written."""
        self._directory.may_write(by)
        record = self._directory.find_application(by, **key)
        self._directory.may_write(by, record)
        if record.body.latest is None:
            raise not_found(next(iter(key.values())))
        return record, record.body.latest

    def listed(self, by: Caller) -> list[Json]:
        """All applications that the caller's replica has."""
        self._directory.may_read(by)
        replicas = self._directory.replicas
        seen = ((record, record.body.seen_by(replicas, by.replica)) for record in self._directory.records.values())
        return [
            {**self._shown(record, body, self._seen_passwords(record, by.replica)), "#": record.number}
            for record, body in seen
            if body is not None
        ]

    def update(self, by: Caller, body: Json, **key: str) -> None:
        """PATCH of one application."""
        record, before = self._find_owned(by, **key)
        if before["signInAudience"] in PERSONAL and not self._is_everywhere(record):
            message = "The application does not exist in the directory of personal accounts."
            raise GraphError(409, "Error_MsaAppDoesNotExist", message)
        after = updated(before, body)
        if before["uniqueName"] is None and after["uniqueName"] in self._directory.unique_names:
            raise object_conflict("uniqueName")
        check_policies(self._directory.switches, before, after)
        self._check_keys(before["keyCredentials"], after["keyCredentials"])
        self._check_passwords(after, len(self._live_passwords(record)))
        version = token_version(before)
        uris = before["identifierUris"], after["identifierUris"]
        self._add_uris(record, *uris, version=version, app_id=record.app_id)
        record.body.put(self._directory.now(), after)
        record.last_body = after
        self._directory.take_unique_name(record)

    def _is_everywhere(self, record: Application) -> bool:
        replicas = range(max(1, self._directory.switches.replicas))
        return all(self._directory.replicas.has_seen(replica, record.created_at) for replica in replicas)

    def delete(self, by: Caller, **key: str) -> None:
        """DELETE: the application and its service principal go to the recycle bin; its names stay taken."""
        record, _ = self._find_owned(by, **key)
        now = self._directory.now()
        record.body.put(now, None)
        record.deleted_at = now
        principal = self._directory.principal_of(record.app_id)
        if principal is not None:
            self._directory.retire_service_principal(principal)

    def purge(self, by: Caller, object_id: str) -> None:
        """DELETE /directory/deletedItems/{id}: gone for good, its names are free."""
        directory = self._directory
        directory.may_write(by)
        principal = directory.principals.get(object_id.lower())
        if principal is not None and principal.deleted_at is not None:
            directory.may_write(by, principal)
            del directory.principals[principal.id]
            return
        record = directory.records.get(object_id.lower())
        if record is None or record.deleted_at is None:
            raise not_found(object_id)
        directory.may_write(by, record)
        directory.forget_application(record)

    def add_password(self, by: Caller, body: Json, *, lives: float | None, **key: str) -> Json:
        """POST …/addPassword; `lives`: the write is lost after so many seconds, silently."""
        record, stored = self._find_owned(by, **key)
        if set(body) - {"passwordCredential"} or not isinstance(body.get("passwordCredential", {}), dict):
            raise bad_request("Invalid parameters of the action 'addPassword'.")
        password = self._mint(body.get("passwordCredential", {}))
        self._check_passwords(stored, len(self._live_passwords(record)) + 1)
        if lives is not None:
            password.lose_after(lives)
        record.passwords.append(password)
        return {**password.shown(), "secretText": password.text}

    def remove_password(self, by: Caller, body: Json, **key: str) -> None:
        """POST …/removePassword."""
        record, _ = self._find_owned(by, **key)
        key_id = body.get("keyId")
        if set(body) != {"keyId"} or not is_guid(key_id):
            raise bad_request("Invalid parameters of the action 'removePassword': a keyId is expected.")
        seen = self._seen_passwords(record, by.replica)
        for password in self._live_passwords(record):
            if password.key_id == str(key_id).lower() and password in seen:
                password.removed_at = self._directory.now()
                return
        raise bad_request(f"No password credential found with keyId '{key_id}'.")

    def _live_passwords(self, record: Application) -> list[password_credentials.Password]:
        now = self._directory.now()
        return [item for item in record.passwords if item.removed_at is None or item.removed_at > now]

    def _seen_passwords(self, record: Application, replica: int) -> list[password_credentials.Password]:
        replicas = self._directory.replicas
        return [
            item
            for item in record.passwords
            if replicas.has_seen(replica, item.added_at)
            and not (item.removed_at is not None and replicas.has_seen(replica, item.removed_at))
        ]

    def federated(self, by: Caller, record: Application) -> list[Json]:
        """GET …/federatedIdentityCredentials."""
        self._directory.may_read(by)
        return list(record.federated)

    def read_federated(self, by: Caller, record: Application, credential: str) -> Json:
        """GET …/federatedIdentityCredentials/{id or name}."""
        self._directory.may_read(by)
        return dict(record.federated[self._place_of(credential, record)])

    def add_federated(self, by: Caller, body: Json, **key: str) -> Json:
        """POST …/federatedIdentityCredentials."""
        record, _ = self._find_owned(by, **key)
        credential = federated_credentials.created(body, record.federated, self._directory.new_id)
        record.federated.append(credential)
        return dict(credential)

    def update_federated(self, by: Caller, body: Json, credential: str, *, create: bool, **key: str) -> Json | None:
        """PATCH …/federatedIdentityCredentials/{id or name}; with `create` one that is not there is made, and shown."""
        record, _ = self._find_owned(by, **key)
        if create and all(credential != item["name"] for item in record.federated):
            return self.add_federated(by, {**body, "name": credential}, **key)
        place = self._place_of(credential, record)
        others = [item for item in record.federated if item is not record.federated[place]]
        record.federated[place] = federated_credentials.updated(body, record.federated[place], others)
        return None

    def remove_federated(self, by: Caller, credential: str, **key: str) -> None:
        """DELETE …/federatedIdentityCredentials/{id or name}."""
        record, _ = self._find_owned(by, **key)
        del record.federated[self._place_of(credential, record)]

    @staticmethod
    def _place_of(credential: str, record: Application) -> int:
        for place, item in enumerate(record.federated):
            if credential in (item["id"], item["name"]):
                return place
        raise not_found(credential)

    def owners(self, by: Caller, record: Application) -> list[Json]:
        """GET …/owners."""
        self._directory.may_read(by)
        return [self._owner(object_id) for object_id in sorted(record.owners)]

    def expanded(self, by: Caller, record: Application, asked: str) -> Json:
        """What $expand adds: at most 20 of one relationship, without other options in it (known issues of Graph)."""
        if asked != "owners":
            raise bad_request(f"Parsing OData Select and Expand failed: '{asked}' is not supported.", code="BadRequest")
        return {"owners": self.owners(by, record)[:_MOST_EXPANDED]}

    def _owner(self, object_id: str) -> Json:
        kind = "servicePrincipal" if object_id in self._directory.principals else "user"
        return {"@odata.type": f"#microsoft.graph.{kind}", "id": object_id}

    def refuse(self, by: Caller) -> None:
        """What needs more than the right to write applications."""
        self._directory.may_read(by)
        raise denied()

    def _shown(self, record: Application, body: Json, passwords: list[password_credentials.Password]) -> Json:
        """The whole application as Graph answers it; never a secret text."""
        return {
            "id": record.id,
            "deletedDateTime": None,
            "appId": record.app_id,
            "applicationTemplateId": None,
            "createdByAppId": record.created_by,
            "createdDateTime": as_text(record.created_at),
            "disabledByMicrosoftStatus": None,
            "publisherDomain": min(self._directory.verified_domains, default=None),
            **body,
            "keyCredentials": key_credentials.shown(body["keyCredentials"]),
            "passwordCredentials": [item.shown() for item in passwords],
        }
