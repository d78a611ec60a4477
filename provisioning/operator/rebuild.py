"""`rebuild`: the tables are gone, and every live application that carries our mark gets its registration back.

What is there already is left alone, so a rebuild that died is run again, and one beside a running app does no harm. The
order for each is that of a new request: what is due, whose name, whose registration, and then the row; a crash leaves
at most what is stale. Each row is due at once: the check that follows finds whatever is left to do.
"""

from argparse import Namespace
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, Final, TypeVar

from provisioning import trail
from provisioning.domain.client_types import ClientType
from provisioning.domain.directory import Permission, TrustedToken
from provisioning.domain.errors import NeedsOperator, TryAgain, UnreadableRow
from provisioning.domain.events import Actor, brought_back
from provisioning.domain.intake import ResourceApplicationRequest
from provisioning.domain.permissions import app_roles_of, scopes_of
from provisioning.domain.recovered import (
    Manifest,
    Marks,
    Unrecoverable,
    has_secret,
    marks_of,
    registration_of,
    request_of,
    twice,
    unfinished,
)
from provisioning.domain.registration import Registration, Status
from provisioning.flow.clients import listed
from provisioning.flow.mint import belongs_to, shown
from provisioning.flow.patience import Patience
from provisioning.flow.plan import put_due
from provisioning.flow.resolve import claim_server, resolve_resource
from provisioning.operator.desk import Desk
from provisioning.ports import Services

T = TypeVar("T")

AT_ONCE: Final = 8
_BATCH: Final = 10 * AT_ONCE
_PATIENCE: Final = timedelta(minutes=5)
_COLUMNS: Final = {"clientId": "CLIENT ID", "displayName": "NAME", "outcome": "OUTCOME", "why": "WHY"}


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one application, or would: `restored`, `unfinished`, `there`, `another's` or `lost`."""

    outcome: str
    manifest: Manifest
    why: str = ""

    def told(self) -> dict[str, Any]:
        """Return it as it is printed."""
        named = {"clientId": self.manifest.get("appId"), "displayName": self.manifest.get("displayName")}
        return named | {"outcome": self.outcome, "why": self.why}


@dataclass
class _Rebuild:
    """One run: what the resources of ours offer, as far as they are known by now, by client id."""

    services: Services
    actor: Actor
    apply: bool
    identity: str | None
    offered: dict[str, tuple[Permission, ...]] = field(default_factory=dict)

    def one(self, manifest: Manifest, marks: Marks) -> Outcome:
        """Give one application its registration back, if it has none."""
        with trail.following(None, self.actor, f"registration {marks.registration_id}"):
            try:
                # What was done before something passed is found done the next time.
                return Patience(self.services.clock, _PATIENCE).through(lambda: self._once(manifest, marks))
            except Unrecoverable as error:
                return Outcome("lost", manifest, str(error))
            except NeedsOperator as error:
                return Outcome("lost", manifest, f"{error.code}: {error.message}")

    def _once(self, manifest: Manifest, marks: Marks) -> Outcome:
        if self._is_there(marks.registration_id):
            return Outcome("there", manifest)
        if not self.owns(manifest):
            return anothers(manifest)
        row = self._recovered(manifest, marks)
        if self.apply:
            row = self._stored(self._with_resource(row))
        return Outcome("restored" if row.status is Status.ACTIVE else "unfinished", manifest)

    def owns(self, manifest: Manifest) -> bool:
        """Whether this app's identity owns the application, and so may change it: it made it, or adopted it."""
        return self.identity is None or self.identity in self.services.directory.owners_of(str(manifest["id"]))

    def _is_there(self, registration_id: str) -> bool:
        try:
            return self.services.registry.get(registration_id) is not None
        except UnreadableRow:
            return True

    def _recovered(self, manifest: Manifest, marks: Marks) -> Registration:
        """Return the registration as Entra and the vault have it; nothing is written."""
        directory, tokens = self.services.directory, tuple[TrustedToken, ...]()
        if marks.client_type is ClientType.SERVICE and not has_secret(manifest):
            tokens = self._trusted(str(manifest["id"]))
            manifest = (directory.read_manifest(str(manifest["appId"])) or manifest) if not tokens else manifest
        request, now = request_of(manifest, marks, self._offered, tokens), self.services.clock.now()
        row = registration_of(manifest, marks, request, now)
        if isinstance(request, ResourceApplicationRequest):
            own = scopes_of(row.id, request) + app_roles_of(row.id, request)
            self.offered[str(row.client_id)] = own
        principal = directory.find_resource(str(row.client_id))
        row = replace(row, service_principal_id=principal.id if principal is not None else None)
        return self._with_secret(row) if principal is not None else unfinished(row, now)

    def _trusted(self, object_id: str) -> tuple[TrustedToken, ...]:
        """Return the application's federated credentials, without the audience that is meant where none is named."""
        usual = self.services.tenant.token_exchange_audience
        found = self.services.directory.trusted_tokens(object_id)
        return tuple(replace(each, audience="") if each.audience == usual else each for each in found)

    def _offered(self, client_id: str) -> Sequence[Permission]:
        known = self.offered.get(client_id)
        if known is not None:
            return known
        principal = self.services.directory.find_resource(client_id)
        return (*principal.scopes, *principal.app_roles) if principal is not None else ()

    def _with_secret(self, row: Registration) -> Registration:
        """Return it with the secret that the vault calls current; unfinished where there is none of its own."""
        if not row.holds_secret:
            return row
        current = self.services.vault.current(row.secret_name)
        if current is None or not belongs_to(current, row):
            return unfinished(row, self.services.clock.now())
        return replace(row, secret=shown(current))

    def _with_resource(self, row: Registration) -> Registration:
        """Return it with its resource resolved, as its own provisioning would; without, where that is gone."""
        if isinstance(row.request, ResourceApplicationRequest):
            return row
        try:
            return replace(row, resource=resolve_resource(self.services, row.request))
        except NeedsOperator:
            return row
        except TryAgain as error:
            if error.code != "resource-not-ready":
                raise
            return unfinished(row, self.services.clock.now())

    def _stored(self, row: Registration) -> Registration:
        registry, request = self.services.registry, row.request
        put_due(self.services, row)
        if isinstance(request, ResourceApplicationRequest):
            taken = claim_server(registry, row, request.fhir_server_url, self.services.clock.now())
            if taken is not None:
                raise Unrecoverable("another registration has its FHIR server's URL")
            registry.claim(str(row.client_id), row.id)
        registry.put_owned(request.owner, row.id)
        listed(self.services, row)
        registry.insert(row, brought_back(trail.current(), row))
        return row


def anothers(manifest: Manifest) -> Outcome:
    """Return the outcome for an application that this app's identity does not own."""
    return Outcome("another's", manifest, "this app's identity does not own it; --any-owner takes it all the same")


def rebuild(desk: Desk, typed: Namespace) -> int:
    """Have each live application with our mark have its registration; without --apply say what would be done.

    1 where an application could not be given its registration.
    """
    run = _Rebuild(desk.services, Actor.of(desk.caller), typed.apply, None if typed.any_owner else _identity(desk))
    outcomes = list(_outcomes(desk, run))
    counts = Counter(each.outcome for each in outcomes)
    if desk.as_json:
        desk.show_json({"applied": typed.apply, "counts": counts, "applications": [each.told() for each in outcomes]})
    else:
        _tell(desk, outcomes, counts, applied=typed.apply)
    return 1 if counts["lost"] else 0


def _tell(desk: Desk, outcomes: Iterable[Outcome], counts: Mapping[str, int], *, applied: bool) -> None:
    remarkable = [each.told() for each in outcomes if each.outcome not in ("restored", "there")]
    if remarkable:
        desk.show(remarkable, _COLUMNS, "")
    total = ", ".join(f"{count} {name}" for name, count in sorted(counts.items())) or "no application has our mark"
    desk.say(f"{total}." if applied else f"{total}. Nothing was written: --apply does it.")


def _identity(desk: Desk) -> str | None:
    """Return the object id of this app's identity; None where nobody has said it, and then all with our mark count."""
    return desk.services.tenant.registrar_object_id or (None if desk.signed_in.person else desk.signed_in.object_id)


def patient(desk: Desk, action: Callable[[], T]) -> T:
    """Return what the action returns, once what passes with time has passed."""
    return Patience(desk.services.clock, _PATIENCE).through(action)


def _outcomes(desk: Desk, run: _Rebuild) -> Iterator[Outcome]:
    """Yield what became of each application: resources first, because clients ask for what these offer."""
    marked, refused = _marked(desk, run)
    yield from refused
    resources = [each for each in marked if each[1].client_type is ClientType.RESOURCE]
    clients = [each for each in marked if each[1].client_type is not ClientType.RESOURCE]
    done = 0
    with ThreadPoolExecutor(AT_ONCE) as pool:
        for part in (resources, clients):
            for start in range(0, len(part), _BATCH):
                batch = part[start : start + _BATCH]
                yield from pool.map(lambda each: run.one(*each), batch)
                done += len(batch)
                desk.progress(done, f"of {len(marked)} applications done")


def _marked(desk: Desk, run: _Rebuild) -> tuple[list[tuple[Manifest, Marks]], list[Outcome]]:
    """Return the applications with our mark, one for each registration, and the others with what is wrong."""
    marked, refused, token = list[tuple[Manifest, Marks]](), list[Outcome](), None
    while True:
        page = patient(desk, lambda token=token: desk.services.directory.marked_manifests(token))  # type: ignore[misc]
        for manifest in page.manifests:
            try:
                marked.append((manifest, marks_of(manifest)))
            except Unrecoverable as error:
                owned = patient(desk, lambda manifest=manifest: run.owns(manifest))  # type: ignore[misc]
                refused.append(Outcome("lost", manifest, str(error)) if owned else anothers(manifest))
        token = page.continuation_token
        if token is None:
            return _distinct(desk, run, marked, refused)
        desk.progress(len(marked), "applications listed")


def _distinct(
    desk: Desk, run: _Rebuild, marked: list[tuple[Manifest, Marks]], refused: list[Outcome]
) -> tuple[list[tuple[Manifest, Marks]], list[Outcome]]:
    """Return one application for each registration: whoever puts our mark on its own takes none away."""
    several = twice(marks.registration_id for _, marks in marked)
    alone = [each for each in marked if each[1].registration_id not in several]
    for identity in sorted(several):
        same = [each for each in marked if each[1].registration_id == identity]
        owned = [each for each in same if patient(desk, lambda each=each: run.owns(each[0]))]  # type: ignore[misc]
        refused += [anothers(each[0]) for each in same if each not in owned]
        if len(owned) == 1:
            alone += owned
        else:
            why = "another application has the same tag fhir-registrar:id"
            refused += [Outcome("lost", each[0], why) for each in owned]
    return alone, refused
