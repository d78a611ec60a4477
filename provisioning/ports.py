"""The outside world, as Protocols in the words of the domain. Every method says what holds when it returns.

Only the Protocols are here; their values are in `domain/`. All methods raise the families of `domain/errors.py` and
nothing else: `TryAgain` for what passes, `NeedsOperator` for what does not. Times are aware and in UTC.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from provisioning.domain.azure_roles import AzureRole, RoleAssignment
from provisioning.domain.chat import ChatUser, SignIn
from provisioning.domain.client_types import ClientType
from provisioning.domain.copies import StoredRow
from provisioning.domain.directory import (
    Application,
    CertificateThere,
    Manifests,
    Marked,
    ResourceServicePrincipal,
    TrustedToken,
)
from provisioning.domain.events import Event, EventPage
from provisioning.domain.front_door import FrontDoor
from provisioning.domain.grants import ClientOf, ClientPage
from provisioning.domain.names import Hold
from provisioning.domain.notices import Notice
from provisioning.domain.operation import DueEntry
from provisioning.domain.policy import Policy
from provisioning.domain.quota import Exceeded, Quota
from provisioning.domain.readiness import SignedIn
from provisioning.domain.registration import Page, Registration, Status
from provisioning.domain.secrets import CurrentSecret, MintedSecret, SecretPolicy
from provisioning.domain.slack import Workspace
from provisioning.domain.teams import Bot, Conversation
from provisioning.domain.tenant import Tenant
from provisioning.domain.usage import Observed


class Directory(Protocol):
    """Microsoft Entra, through Microsoft Graph."""

    def create_application(self, body: Mapping[str, Any]) -> Application:
        """Create it; raise NameTaken when its `uniqueName` is in use. A repeat is safe, because of that name."""
        ...

    def find_application(self, unique_name: str) -> Application | None:
        """Return the live application of that name, or None where this replica knows none."""
        ...

    def read_application(self, object_id: str, *, owners: bool = False) -> Application | None:
        """Return the live application with its credentials, or None where this replica knows none.

        With its owners where they are asked for.
        """
        ...

    def marked_applications(self, continuation_token: str | None) -> Marked:
        """Return a page of the live applications that carry our tag."""
        ...

    def marked_manifests(self, continuation_token: str | None) -> Manifests:
        """Return a page of the live applications that carry our tag, in full, but for the text of certificates."""
        ...

    def read_manifest(self, client_id: str) -> Mapping[str, Any] | None:
        """Return the live application of that client id in full, certificates included; None where none is known."""
        ...

    def trusted_tokens(self, object_id: str) -> tuple[TrustedToken, ...]:
        """Return the federated identity credentials of an application."""
        ...

    def disabled_clients(self) -> frozenset[str]:
        """Return the client ids of our applications whose service principal is disabled; remembered for ten minutes."""
        ...

    def owners_of(self, object_id: str) -> frozenset[str]:
        """Return the object ids of an application's owners."""
        ...

    def update_application(self, object_id: str, changes: Mapping[str, Any]) -> None:
        """Set these properties: collections are replaced, the fields of complex values are merged."""
        ...

    def delete_application(self, object_id: str) -> bool:
        """Have the application, and its service principal with it, not exist; return whether this replica knew it.

        A second time is no error.
        """
        ...

    def create_service_principal(self, client_id: str) -> str:
        """Return the object id of the application's service principal, made now or earlier."""
        ...

    def add_secret(self, object_id: str, label: str, expires_at: datetime) -> MintedSecret:
        """Mint one more secret; raise OutcomeUnknown when one may have been minted whose text is lost."""
        ...

    def remove_secret(self, object_id: str, key_id: str) -> None:
        """Remove the credential; raise CredentialNotFound where Entra says that it knows none of that key id."""
        ...

    def add_certificate(self, object_id: str, key: Mapping[str, str]) -> None:
        """Have the application hold this certificate, beside those that it has."""
        ...

    def certificates(self, object_id: str) -> tuple[CertificateThere, ...] | None:
        """Return the certificates of an application, or None where this replica knows none of that id."""
        ...

    def remove_certificates(self, object_id: str, key_ids: Collection[str]) -> None:
        """Have the application not hold these certificates; a second time is no error."""
        ...

    def distrust_token(self, object_id: str, name: str) -> None:
        """Have the application have no federated identity credential of that name; a second time is no error."""
        ...

    def trust_token(self, object_id: str, token: TrustedToken) -> TrustedToken:
        """Return the application's federated identity credential of that name or those claims, made now or earlier.

        It is another one than asked for where somebody else made or changed it.
        """
        ...

    def find_resource(self, name: str) -> ResourceServicePrincipal | None:
        """Return the service principal with that client id or identifier URI, or None; remembered for ten minutes."""
        ...

    def knows(self, object_id: str) -> bool | None:
        """Return whether Entra has a user, a group or a service principal of that id; None where it cannot be told.

        One that is there is remembered for ten minutes, and for an hour that this app may not look. Nothing is raised:
        whoever asks goes on without the answer.
        """
        ...

    def kind_of(self, object_id: str) -> str | None:
        """Return which kind of principal it is, as Azure names kinds; None where it cannot be told, or nobody is known.

        Remembered as what `knows` finds.
        """
        ...

    def signed_in(self) -> SignedIn:
        """Return who this process is to Graph and what it may do, as its own token says."""
        ...


class AppRoles(Protocol):
    """Who holds which app role of which resource, in Microsoft Entra; all ids are those of service principals."""

    def assign(self, resource_id: str, principal_id: str, app_role_id: str, mark: str) -> str | None:
        """Have the principal hold the role; return the id of the assignment, or None where it held the role already.

        Raise GrantDenied where nobody of this service may assign it, which is remembered for an hour. A second
        identity is asked only where the first may not, and only about a resource that carries the mark.
        """
        ...

    def held(self, principal_id: str, resource_id: str) -> Mapping[str, str]:
        """Return the assignments of the principal for the resource: their ids, by the id of the role."""
        ...

    def take_back(self, resource_id: str, assignment_id: str, mark: str) -> None:
        """Have the assignment not exist; a second time is no error. Raise GrantDenied as `assign` does."""
        ...

    def granter(self) -> SignedIn | None:
        """Return who the second identity is to Microsoft Graph, as its own token says; None where there is none."""
        ...


class SignIns(Protocol):
    """Who signed in last with what, as Entra reports it, a day late or so: it shows use, and by its lack nothing."""

    def of_clients(self, client_ids: Collection[str]) -> Mapping[str, Observed]:
        """Return, by client id, what is reported of these applications; those of which nothing is are left out.

        Raise NeedsOperator where this service may not read it, which is remembered for an hour.
        """
        ...

    def of_credential(self, key_id: str) -> datetime | None:
        """Return when somebody signed in with this secret or certificate last; None where nothing is reported of it.

        Raise as `of_clients` does.
        """
        ...


class AzureRoles(Protocol):
    """Who has which role of Azure on one resource and what is in it, in Azure Resource Manager."""

    @property
    def resource_id(self) -> str:
        """The id of the resource."""
        ...

    def assign(self, assignment: RoleAssignment, principal_type: str | None) -> None:
        """Have the principal have the role there; a second time is no error.

        Raise AzureRoleDenied where this service may not, which is remembered for an hour; PrincipalNotFound where Azure
        knows no such principal, which it does not look for where it is told the type; NeedsOperator where the
        subscription has hardly any room left.
        """
        ...

    def made(self, role: AzureRole, scope: str) -> frozenset[str]:
        """Return the principals to whom this service gave the role on exactly this scope, and who have it still."""
        ...

    def held(self, principal_id: str) -> Mapping[str, str]:
        """Return the principal's assignments on the resource, or on what that is in: ids of roles by their names."""
        ...

    def conditions(self, role: AzureRole, principal_id: str) -> tuple[str | None, ...]:
        """Return on which conditions the principal has the role on the resource, or on what that is in."""
        ...

    def take_back(self, assignment: RoleAssignment) -> None:
        """Have the assignment that this service made not exist; a second time is no error. Raise as `assign` does."""
        ...


class SecretStore(Protocol):
    """Azure Key Vault, which says which secret is current."""

    def current(self, name: str) -> CurrentSecret | None:
        """Return the current version's metadata, or None where the name does not exist."""
        ...

    def read(self, name: str) -> MintedSecret | None:
        """Return the current version with its text, in memory only; None where the name does not exist."""
        ...

    def remove(self, name: str) -> None:
        """Have the name, with all of its versions, not exist, recoverably; a second time is no error."""
        ...

    def marked(self, continuation_token: str | None) -> Marked:
        """Return a page of the secrets that carry our mark."""
        ...

    def publish(self, name: str, secret: MintedSecret, tags: Mapping[str, str], not_after: datetime) -> CurrentSecret:
        """Make it the current version, expiring when the credential does.

        The clock is read directly before the request is sent: after `not_after` nothing is sent, and TryAgain with
        the code `publish-bound-passed` is raised. Raise OutcomeUnknown when it may have been stored.
        """
        ...


class TokenProof(Protocol):
    """The token endpoint."""

    def accepts(self, client_id: str, secret: MintedSecret) -> bool:
        """Ask once, on a new connection, for a token; False means "not yet".

        Raise TryAgain when the endpoint could not answer, which says nothing about the secret.
        """
        ...

    def roles(self, client_id: str, secret: MintedSecret, audience: str) -> frozenset[str]:
        """Return the app roles that a token for the audience names, asked for once on a new connection.

        None where no such token is issued. Raise TryAgain when the endpoint could not answer.
        """
        ...

    def check_tenant(self) -> None:
        """Return once the endpoint told that it knows the tenant."""
        ...


class CallerTokens(Protocol):
    """The tokens by which callers sign in to this service's own API."""

    def verify(self, token: str, audiences: frozenset[str]) -> Mapping[str, Any] | None:
        """Return the claims of a token that the tenant issued for one of the audiences and that is valid now, or None.

        Raise TryAgain when the keys that it may be signed with cannot be read.
        """
        ...


class Notifier(Protocol):
    """The operator's receiver of notices."""

    def send(self, notice: Notice) -> None:
        """Return once the receiver took it; raise TryAgain otherwise, and never NeedsOperator."""
        ...


class Callbacks(Protocol):
    """The callbacks of registrations, to URLs that callers chose."""

    @property
    def public_key(self) -> str:
        """What verifies them, as Standard Webhooks writes it."""
        ...

    def allows(self, url: str) -> bool:
        """Whether the operator names the host of the URL."""
        ...

    def send(self, url: str, notice: Notice) -> None:
        """Return once the receiver took it; raise TryAgain otherwise, and never NeedsOperator.

        Nothing is reached that is not of the internet.
        """
        ...


class Registry(Protocol):
    """What we remember: registrations, what is due, whose a resource's name is, and which notices wait."""

    def insert(self, registration: Registration, *events: Event) -> Registration | None:
        """Store a new registration and return it with its etag; return None where the id exists already.

        With its events, which are stored exactly when it is.
        """
        ...

    def get(self, registration_id: str) -> Registration | None:
        """Return the registration of that id; raise UnreadableRow for one that this version cannot read."""
        ...

    def replace(self, registration: Registration, *events: Event) -> Registration:
        """Overwrite it and return it with its new etag; raise StaleRegistration when another run wrote it since.

        With events, which are stored exactly when it is. What another version wrote beside what this one knows stays.
        """
        ...

    def put_event(self, event: Event) -> None:
        """Store the event of what wrote no row."""
        ...

    def events(self, registration_id: str, *, top: int, continuation_token: str | None = None) -> EventPage:
        """Return a page of at most `top` events of the registration, oldest first.

        Raise RequestRejected (400) for a continuation token that this registry did not write.
        """
        ...

    def find(
        self,
        *,
        owners: Collection[str] | None = None,
        client_type: ClientType | None = None,
        status: Status | None = None,
        top: int,
        continuation_token: str | None = None,
    ) -> Page:
        """Return a page of at most `top` registrations; deleted ones only when `status` asks for them.

        With `owners` those of these owners that `put_owned` has named, in the order of their ids: the cost follows from
        how many these are, and not from how many there are.

        What this version cannot read is logged by its id, counted and left out, here as in every other list.
        Raise RequestRejected (400) for a continuation token that this registry did not write.
        """
        ...

    def put_owned(self, owner: str, registration_id: str) -> None:
        """Have the owner's list name the registration; before its row is. A name that is wrong does no harm."""
        ...

    def take_place(self, owner: str, registration_id: str, quota: Quota, now: datetime) -> Exceeded | None:
        """Have the owner's list name one registration more, and count it, before its row is; or return what is reached.

        Then nothing is written. Of several at the same time no more succeed than the quota allows. One that is listed
        already is not counted twice. Deleted registrations do not count, nor, ten minutes later, those without a row.
        """
        ...

    def exceeds(self, owner: str, quota: Quota, now: datetime) -> Exceeded | None:
        """Return what of the quota is reached, so that `take_place` would be refused; nothing is written."""
        ...

    def put_due(self, entry: DueEntry) -> None:
        """Have the entry exist; the same entry twice is one."""
        ...

    def remove_due(self, entry: DueEntry) -> None:
        """Have the entry not exist; a second time is no error."""
        ...

    def due(self, until: datetime, most: int) -> list[DueEntry]:
        """Return the entries due up to `until`, oldest first, at most `most`."""
        ...

    def claim(self, name: str, registration_id: str, *, instead_of: str | None = None) -> str:
        """Return whose the name is afterwards: this registration's if it was free, or still `instead_of`'s."""
        ...

    def holder(self, name: str) -> str | None:
        """Return the id of the registration whose name this is."""
        ...

    def put_hold(self, name: str, registration_id: str, hold: Hold) -> None:
        """Have the name be held for an owner once it is free, where it is this registration's; another's is left so."""
        ...

    def hold(self, name: str) -> Hold | None:
        """Return for whom the name was held last, and until when; whoever claims it later does not change that."""
        ...

    def put_client(self, client: ClientOf) -> ClientOf:
        """Have the list of its resource name the client; return the entry that it has there then.

        An entry with a higher number stays, and is what is returned.
        """
        ...

    def list_client(self, resource_id: str, registration_id: str, row_follows: datetime | None = None) -> bool:
        """Have the list of the resource name the client; return whether it did not before.

        With a time the list says that the client's row is about to be written then.
        """
        ...

    def lists_all_clients(self) -> bool:
        """Return whether the lists name every client that there is: earlier versions did not list them."""
        ...

    def note_listed(self, run: str, *, lacked: bool) -> None:
        """Note that a reconciliation found a client that no list named; or that it has gone through all of them.

        The lists name all of them once one went through that found none.
        """
        ...

    def clients(self, resource_id: str, *, top: int, continuation_token: str | None = None) -> ClientPage:
        """Return a page of at most `top` entries of the resource's list of clients.

        Raise RequestRejected (400) for a continuation token that this registry did not write.
        """
        ...

    def put_notice(self, notice: Notice, due_at: datetime) -> None:
        """Have the notice wait until it is removed; the same id twice is one, and its later `due_at` holds."""
        ...

    def remove_notice(self, notice: Notice) -> None:
        """Have the notice not wait; a second time is no error."""
        ...

    def notices(self, mailbox: str | None = None, most: int = 1000) -> list[Notice]:
        """Return the notices that wait, in one mailbox or in all, oldest first, at most `most`."""
        ...

    def mailboxes(self, until: datetime) -> list[str]:
        """Return the mailboxes whose oldest notice is due up to `until`, due or not the others, in no order."""
        ...


class Copies(Protocol):
    """What is stored, row by row, whatever it means."""

    def rows(self) -> Iterator[StoredRow]:
        """Yield every row of every table, as it is stored; those written meanwhile may be among them or not."""
        ...

    def put(self, row: StoredRow) -> bool:
        """Store the row as it is and return True; return False, and change nothing, where its key is taken.

        Raise ValueError for a row that no table of this service could hold.
        """
        ...


class Queues(Protocol):
    """The queues whose messages functions take."""

    @property
    def names(self) -> Sequence[str]:
        """Their names."""
        ...

    def send(self, queue: str, message: str) -> None:
        """Return once the queue has the message."""
        ...

    def check(self, queue: str) -> None:
        """Return once a message was put there that nobody sees, and taken away again."""
        ...


class ChatPeople(Protocol):
    """Who in a chat is who in Entra, what was said of each at the last sign-in, and which requests were taken."""

    def keep(self, request: str, content: str, until: datetime) -> bool:
        """Keep what a request asks for; return False, and keep what there is, where it came before: a replay."""
        ...

    def kept(self, request: str) -> str | None:
        """Return what was kept of a request; None where nothing was."""
        ...

    def take(self, request: str, delivery: str, until: datetime) -> bool:
        """Have the request be this delivery's; return whether it is. Another delivery of the same one is a replay."""
        ...

    def put_code(self, key: str, object_id: str, until: datetime) -> None:
        """Have the code be good for this person, once, until then."""
        ...

    def take_code(self, key: str, now: datetime) -> str | None:
        """Return for whom the code is good, and have it be good for nobody any more; None for one that is not."""
        ...

    def link(self, user: ChatUser, object_id: str) -> None:
        """Have the chat's user be this person, and nobody else."""
        ...

    def linked(self, user: ChatUser) -> str | None:
        """Return the object id of the person whom the chat's user is; None where nobody has said so."""
        ...

    def unlink(self, object_id: str) -> None:
        """Have no user of a chat be this person, and nothing be known of the sign-in; a second time is no error."""
        ...

    def put_sign_in(self, sign_in: SignIn) -> None:
        """Remember what was said of the person last."""
        ...

    def renew(self, sign_in: SignIn) -> None:
        """As `put_sign_in`, of a person who is known from a chat; of another nothing is remembered."""
        ...

    def sign_in(self, object_id: str) -> SignIn | None:
        """Return what was said of the person last; None where nothing is known, or what there is cannot be read."""
        ...

    def everybody(self) -> Iterable[SignIn]:
        """Return what was said last of each person who is known from a chat."""
        ...

    def links(self) -> Iterable[tuple[ChatUser, str]]:
        """Return the users of a chat who are a person, with that person's object id."""
        ...

    def put_place(self, object_id: str, conversation: Conversation) -> None:
        """Remember where the person is reached in Microsoft Teams."""
        ...

    def places(self) -> Mapping[str, Conversation]:
        """Return where people are reached in Microsoft Teams, by their object ids."""
        ...

    def put_told(self, registration_id: str, messages: str) -> None:
        """Remember which messages tell of a registration; an empty text forgets them."""
        ...

    def told(self, registration_id: str) -> str:
        """Return what was remembered of the messages that tell of a registration; else an empty text."""
        ...

    def forget(self, now: datetime) -> None:
        """Have codes and requests that are over not exist, some of them at least."""
        ...


class Slack(Protocol):
    """Slack, where answers go."""

    def tell(self, url: str, message: Mapping[str, Any]) -> None:
        """Return once Slack took the message at this response URL; raise TryAgain otherwise, and tell no redirect."""
        ...

    def say(self, user: str, message: Mapping[str, Any]) -> str:
        """Return the name of the message that this user now has of the app; raise TryAgain where Slack took none."""
        ...

    def change(self, name: str, message: Mapping[str, Any]) -> None:
        """Return once that message says this instead; raise TryAgain otherwise."""
        ...

    def open_form(self, trigger: str, view: Mapping[str, Any]) -> None:
        """Return once Slack shows the view to whoever pressed the trigger; raise TryAgain otherwise."""
        ...


class Teams(Protocol):
    """Microsoft Teams, by the Bot Framework: what vouches for its activities, and where answers go."""

    def verify(self, token: str) -> Mapping[str, Any] | None:
        """Return what a token says that the Bot Framework issued for this bot, valid now; None for any other.

        Raises TryAgain where it cannot be told.
        """
        ...

    def check(self) -> None:
        """Return once this process has a token for answers; raise TryAgain where it gets none."""
        ...

    def tell(self, conversation: Conversation, activity: Mapping[str, Any], instead_of: str = "") -> str:
        """Return the id of the activity that the conversation has now, in place of an earlier one where one is named.

        Raises TryAgain where it was not taken.
        """
        ...


class PolicySource(Protocol):
    """The policy document, which the operator may exchange at any time."""

    def current(self) -> Policy:
        """Return the policy in force, at most a minute old; while a newer document is broken, the last good one.

        Raise TryAgain (`policy-broken`, `policy-unavailable`) where this process has never seen a good one.
        """
        ...


class Clock(Protocol):
    """Time, as a parameter."""

    def now(self) -> datetime:
        """Return the time, aware and in UTC."""
        ...

    def sleep(self, seconds: float) -> None:
        """Return after that time."""
        ...


class Services(Protocol):
    """All that a flow needs of the outside; read-only, so that adapters can be made on first use."""

    @property
    def directory(self) -> Directory:
        """Microsoft Graph."""
        ...

    @property
    def app_roles(self) -> AppRoles:
        """App roles, by whoever may assign them."""
        ...

    @property
    def grants(self) -> bool:
        """Whether this service grants what the owner of a resource agreed to."""
        ...

    @property
    def sign_ins(self) -> SignIns | None:
        """The reports of sign-ins; None where this service does not read them."""
        ...

    @property
    def azure_roles(self) -> AzureRoles | None:
        """Roles of Azure on the key vault; None where this service gives none."""
        ...

    @property
    def fhir_services(self) -> Mapping[str, str]:
        """The managed FHIR services on which this service gives data roles: their resource ids, by compared URL."""
        ...

    @property
    def data_roles(self) -> Mapping[str, AzureRoles]:
        """Roles of Azure on each of those services, by its resource id."""
        ...

    @property
    def vault(self) -> SecretStore:
        """The key vault."""
        ...

    @property
    def proof(self) -> TokenProof:
        """The token endpoint."""
        ...

    @property
    def registry(self) -> Registry:
        """What we remember."""
        ...

    @property
    def copies(self) -> Copies:
        """What is stored, for whoever keeps a copy of it."""
        ...

    @property
    def queues(self) -> Queues:
        """The queues, for whoever is no function."""
        ...

    @property
    def notifier(self) -> Notifier | None:
        """Who is told of events; None where nobody is."""
        ...

    @property
    def callbacks(self) -> Callbacks | None:
        """The callbacks of registrations; None where the operator allows none."""
        ...

    @property
    def clock(self) -> Clock:
        """Time."""
        ...

    @property
    def tenant(self) -> Tenant:
        """Where applications live."""
        ...

    @property
    def most_waiting(self) -> int:
        """How many calls of this process may wait at the same time for what they asked for."""
        ...

    @property
    def secrets(self) -> SecretPolicy:
        """How long secrets live."""
        ...

    @property
    def front_door(self) -> FrontDoor | None:
        """The platform that names the callers; None where whoever holds a function key is the caller."""
        ...

    @property
    def caller_tokens(self) -> CallerTokens:
        """Tokens of callers."""
        ...

    @property
    def policy(self) -> PolicySource:
        """What may be registered here."""
        ...

    @property
    def allowed_resources(self) -> Mapping[str, str]:
        """Foreign resources that may be asked for: by canonical name, what Entra knows them by."""
        ...

    @property
    def workspace(self) -> Workspace | None:
        """The workspace of Slack whose people may ask; None where nobody asks from there."""
        ...

    @property
    def bot(self) -> Bot | None:
        """The bot that people of Microsoft Teams ask; None where there is none."""
        ...

    @property
    def people(self) -> ChatPeople:
        """Who in a chat is who."""
        ...

    @property
    def slack(self) -> Slack:
        """Where answers to people of Slack go."""
        ...

    @property
    def teams(self) -> Teams | None:
        """Where answers to people of Microsoft Teams go; None where there is no bot."""
        ...
