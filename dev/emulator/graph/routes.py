"""Where Graph's operations are found, and how they read a request; what they do is in the modules beside."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import TYPE_CHECKING

from dev.emulator import pages
from dev.emulator.errors import GraphError, Json, bad_request
from dev.emulator.graph import queries, reports
from dev.emulator.graph.app_role_assignments import AppRoleAssignments
from dev.emulator.graph.applications import Applications
from dev.emulator.graph.members import Members
from dev.emulator.graph.records import Caller
from dev.emulator.graph.role_management import RoleManagement
from dev.emulator.graph.service_principals import ServicePrincipals
from dev.emulator.http import envelopes
from dev.emulator.http.exchange import Answer, Context, Handler, Route
from dev.emulator.pages import without_place

if TYPE_CHECKING:
    from werkzeug.wrappers import Request

    from dev.emulator.graph.directory import Directory
    from dev.emulator.http.bearer import Bearer

ROOT = "/v1.0"
ONE = queries.OPTIONS & {"$select"}
LISTED = queries.OPTIONS
_DEFINITIONS = "roleManagement/directory/roleDefinitions"
_ROLE_ASSIGNMENTS = "roleManagement/directory/roleAssignments"

Operation = Callable[["Directory", Caller, Context], Answer]


def _handler(
    find: Callable[[], Directory], bearer: Bearer, operation: Operation, options: frozenset[str] = frozenset()
) -> Handler:
    """Every operation of Graph first looks at the token, then at the query options."""

    def handle(context: Context) -> Answer:
        claims = bearer.graph(context.request)
        directory = find()
        caller = Caller(
            app_id=claims.get("appid") or claims["azp"],
            object_id=claims["oid"],
            roles=frozenset(claims.get("roles", [])),
            replica=directory.replicas.next(),
        )
        queries.check_options(context.request.args.to_dict(), options)
        return operation(directory, caller, context)

    return handle


def _body(request: Request) -> Json:
    """The JSON object that a write brings."""
    if not request.mimetype:
        message = "Write requests (excluding DELETE) must contain the Content-Type header declaration."
        raise bad_request(message, code="BadRequest")
    if request.mimetype != "application/json":
        raise GraphError(415, "BadRequest", "The Content-Type must be application/json.")
    body = envelopes.json_object(request)
    if body is None:
        raise bad_request("Unable to read JSON request payload.", code="BadRequest")
    return {name: value for name, value in body.items() if name != "@odata.type"}


def _key(context: Context) -> dict[str, str]:
    """The key that a path names an object by; quotes inside are doubled."""
    key = {name: value for name, value in context.path.items() if name in ("object_id", "app_id", "unique_name")}
    for name, value in key.items():
        if name != "object_id" and "'" in value.replace("''", ""):
            raise bad_request("The key in the request URI is not well-formed.", code="BadRequest")
        key[name] = value.replace("''", "'") if name != "object_id" else value
    return key


def _context_url(directory: Directory, what: str) -> Json:
    return {"@odata.context": f"{directory.origin}{ROOT}/$metadata#{what}"}


def _page(  # noqa: PLR0913, PLR0917 -- the parts of a list
    directory: Directory, context: Context, items: list[Json], supported: queries.Supported, collection: str, kind: str
) -> Answer:
    options = context.request.args.to_dict()
    counted = options.get("$count") == "true"
    if "$filter" in options:
        advanced = counted and context.request.headers.get("ConsistencyLevel", "").lower() == "eventual"
        matches = queries.predicate(options["$filter"], supported, advanced=advanced)
        items = [item for item in items if matches(item)]
    shown, token = pages.page(items, options, directory.switches.page_size)
    body: Json = _context_url(directory, collection)
    if counted:
        body["@odata.count"] = len(items)
    if token is not None:
        body["@odata.nextLink"] = pages.next_link(f"{directory.origin}{ROOT}/{collection}", options, token)
    body["value"] = [queries.select(item, options, kind) for item in shown]
    return Answer(200, body)


def _create_application(directory: Directory, by: Caller, context: Context) -> Answer:
    body = Applications(directory).create(by, _body(context.request))
    address = f"{directory.origin}{ROOT}/directoryObjects/{body['id']}"
    location = {"Location": f"{address}/Microsoft.DirectoryServices.Application"}
    return Answer(201, {**_context_url(directory, "applications/$entity"), **body}, location)


def _read_application(directory: Directory, by: Caller, context: Context) -> Answer:
    applications = Applications(directory)
    selects_keys = "keyCredentials" in context.request.args.get("$select", "").split(",")
    body = applications.read(by, applications.find(by, **_key(context)), keys=selects_keys)
    selected = queries.select(body, context.request.args.to_dict(), "microsoft.graph.application")
    if "$expand" in context.request.args:
        selected |= applications.expanded(by, applications.find(by, **_key(context)), context.request.args["$expand"])
    return Answer(200, {**_context_url(directory, "applications/$entity"), **selected})


def _list_applications(directory: Directory, by: Caller, context: Context) -> Answer:
    items = Applications(directory).listed(by)
    return _page(directory, context, items, queries.APPLICATION, "applications", "microsoft.graph.application")


def _update_application(directory: Directory, by: Caller, context: Context) -> Answer:
    Applications(directory).update(by, _body(context.request), **_key(context))
    return Answer(204)


def _delete_application(directory: Directory, by: Caller, context: Context) -> Answer:
    Applications(directory).delete(by, **_key(context))
    return Answer(204)


def _add_password(directory: Directory, by: Caller, context: Context) -> Answer:
    body = _body(context.request)
    password = Applications(directory).add_password(by, body, lives=context.lives, **_key(context))
    return Answer(200, {**_context_url(directory, "microsoft.graph.passwordCredential"), **password})


def _remove_password(directory: Directory, by: Caller, context: Context) -> Answer:
    Applications(directory).remove_password(by, _body(context.request), **_key(context))
    return Answer(204)


def _list_owners(directory: Directory, by: Caller, context: Context) -> Answer:
    applications = Applications(directory)
    owners = applications.owners(by, applications.find(by, **_key(context)))
    return Answer(200, {**_context_url(directory, "directoryObjects"), "value": owners})


def _list_federated(directory: Directory, by: Caller, context: Context) -> Answer:
    applications = Applications(directory)
    credentials = applications.federated(by, applications.find(by, **_key(context)))
    return Answer(200, {**_context_url(directory, "federatedIdentityCredentials"), "value": credentials})


def _create_federated(directory: Directory, by: Caller, context: Context) -> Answer:
    credential = Applications(directory).add_federated(by, _body(context.request), **_key(context))
    return Answer(201, {**_context_url(directory, "federatedIdentityCredentials/$entity"), **credential})


def _read_federated(directory: Directory, by: Caller, context: Context) -> Answer:
    applications = Applications(directory)
    body = applications.read_federated(by, applications.find(by, **_key(context)), context.path["credential"])
    selected = queries.select(body, context.request.args.to_dict(), "microsoft.graph.federatedIdentityCredential")
    return Answer(200, {**_context_url(directory, "federatedIdentityCredentials/$entity"), **selected})


def _update_federated(directory: Directory, by: Caller, context: Context) -> Answer:
    """As for applications, `Prefer: create-if-missing` makes it an upsert."""
    create = "create-if-missing" in context.request.headers.get("Prefer", "")
    made = Applications(directory).update_federated(
        by, _body(context.request), context.path["credential"], create=create, **_key(context)
    )
    if made is None:
        return Answer(204)
    return Answer(201, {**_context_url(directory, "federatedIdentityCredentials/$entity"), **made})


def _delete_federated(directory: Directory, by: Caller, context: Context) -> Answer:
    Applications(directory).remove_federated(by, context.path["credential"], **_key(context))
    return Answer(204)


def _create_principal(directory: Directory, by: Caller, context: Context) -> Answer:
    body = ServicePrincipals(directory).create(by, _body(context.request))
    return Answer(201, {**_context_url(directory, "servicePrincipals/$entity"), **body})


def _read_principal(directory: Directory, by: Caller, context: Context) -> Answer:
    body = ServicePrincipals(directory).read(by, **_key(context))
    selected = queries.select(body, context.request.args.to_dict(), "microsoft.graph.servicePrincipal")
    return Answer(200, {**_context_url(directory, "servicePrincipals/$entity"), **selected})


def _list_principals(directory: Directory, by: Caller, context: Context) -> Answer:
    items = ServicePrincipals(directory).listed(by)
    return _page(
        directory, context, items, queries.SERVICE_PRINCIPAL, "servicePrincipals", "microsoft.graph.servicePrincipal"
    )


def _update_principal(directory: Directory, by: Caller, context: Context) -> Answer:
    ServicePrincipals(directory).update(by, _body(context.request), **_key(context))
    return Answer(204)


def _delete_principal(directory: Directory, by: Caller, context: Context) -> Answer:
    ServicePrincipals(directory).delete(by, **_key(context))
    return Answer(204)


def _list_assignments(side: str, directory: Directory, by: Caller, context: Context) -> Answer:
    items = AppRoleAssignments(directory).listed(by, side, **_key(context))
    relation = "appRoleAssignedTo" if side == "resourceId" else "appRoleAssignments"
    principal = directory.find_principal(by, **_key(context))
    collection = f"servicePrincipals/{principal.id}/{relation}"
    return _page(directory, context, items, queries.ASSIGNMENT, collection, "microsoft.graph.appRoleAssignment")


def _assign(side: str, directory: Directory, by: Caller, context: Context) -> Answer:
    body = AppRoleAssignments(directory).create(by, _body(context.request), side, **_key(context))
    return Answer(201, {**_context_url(directory, "appRoleAssignments/$entity"), **body})


def _unassign(side: str, directory: Directory, by: Caller, context: Context) -> Answer:
    AppRoleAssignments(directory).delete(by, context.path["assignment"], side, **_key(context))
    return Answer(204)


def _list_definitions(directory: Directory, by: Caller, context: Context) -> Answer:
    items, kind = RoleManagement(directory).definitions(by), "microsoft.graph.unifiedRoleDefinition"
    return _page(directory, context, items, queries.ROLE_DEFINITION, _DEFINITIONS, kind)


def _define(directory: Directory, by: Caller, context: Context) -> Answer:
    return Answer(201, without_place(RoleManagement(directory).define(by, _body(context.request))))


def _redefine(directory: Directory, by: Caller, context: Context) -> Answer:
    RoleManagement(directory).redefine(by, context.path["definition"], _body(context.request))
    return Answer(204)


def _undefine(directory: Directory, by: Caller, context: Context) -> Answer:
    RoleManagement(directory).undefine(by, context.path["definition"])
    return Answer(204)


def _list_role_assignments(directory: Directory, by: Caller, context: Context) -> Answer:
    items, kind = RoleManagement(directory).assignments(by), "microsoft.graph.unifiedRoleAssignment"
    return _page(directory, context, items, queries.ROLE_ASSIGNMENT, _ROLE_ASSIGNMENTS, kind)


def _assign_role(directory: Directory, by: Caller, context: Context) -> Answer:
    return Answer(201, without_place(RoleManagement(directory).assign(by, _body(context.request))))


def _unassign_role(directory: Directory, by: Caller, context: Context) -> Answer:
    RoleManagement(directory).unassign(by, context.path["assignment"])
    return Answer(204)


def _read_member(what: str, directory: Directory, by: Caller, context: Context) -> Answer:
    body = Members(directory).read(by, what, context.path["object_id"])
    selected = queries.select(body, context.request.args.to_dict(), f"microsoft.graph.{what.removesuffix('s')}")
    return Answer(200, {**_context_url(directory, f"{what}/$entity"), **selected})


def _purge(directory: Directory, by: Caller, context: Context) -> Answer:
    Applications(directory).purge(by, context.path["object_id"])
    return Answer(204)


def _report(name: str, directory: Directory, by: Caller, context: Context) -> Answer:
    return Answer(200, reports.Reports(directory).read(by, name, context.request.args.to_dict()))


def _refuse(directory: Directory, by: Caller, _context: Context) -> Answer:
    """What Application.ReadWrite.OwnedBy does not reach: consents, owners, the recycle bin."""
    Applications(directory).refuse(by)
    raise AssertionError


def routes(directory: Callable[[], Directory], bearer: Bearer) -> Iterator[Route]:
    """The table of addresses; the directory is asked for at each request, because a reset makes a new one."""
    handler = partial(_handler, directory, bearer)
    by_id = f"{ROOT}/applications/<object_id>"
    by_app_id = f"{ROOT}/applications(appId='<app_id>')"
    by_name = f"{ROOT}/applications(uniqueName='<unique_name>')"
    collection = f"{ROOT}/applications"
    yield Route("POST", collection, "graph.createApplication", handler(_create_application))
    yield Route("GET", collection, "graph.listApplications", handler(_list_applications, LISTED))
    for one in (by_id, by_app_id, by_name):
        yield Route("GET", one, "graph.readApplication", handler(_read_application, ONE | {"$expand"}))
        yield Route("PATCH", one, "graph.updateApplication", handler(_update_application))
        yield Route("DELETE", one, "graph.deleteApplication", handler(_delete_application))
    for one in (by_id, by_app_id):
        yield Route("POST", f"{one}/addPassword", "graph.addPassword", handler(_add_password))
        yield Route("POST", f"{one}/removePassword", "graph.removePassword", handler(_remove_password))
        yield Route("GET", f"{one}/owners", "graph.listOwners", handler(_list_owners))
        yield Route("POST", f"{one}/owners/$ref", "graph.addOwner", handler(_refuse))
        federated = f"{one}/federatedIdentityCredentials"
        yield Route("GET", federated, "graph.listFederatedCredentials", handler(_list_federated, ONE))
        yield Route("POST", federated, "graph.createFederatedCredential", handler(_create_federated))
        for credential in (f"{federated}/<credential>", f"{federated}(name='<credential>')"):
            yield Route("GET", credential, "graph.readFederatedCredential", handler(_read_federated, ONE))
            yield Route("PATCH", credential, "graph.updateFederatedCredential", handler(_update_federated))
            yield Route("DELETE", credential, "graph.deleteFederatedCredential", handler(_delete_federated))
    for what in ("users", "groups"):
        operation = f"graph.read{what.removesuffix('s').capitalize()}"
        yield Route("GET", f"{ROOT}/{what}/<object_id>", operation, handler(partial(_read_member, what), ONE))
    for operation, name in reports.REPORTS.items():
        yield Route(
            "GET", f"{reports.PLACE}/{name}", f"graph.{operation}", handler(partial(_report, name), reports.OPTIONS)
        )
    yield from _principal_routes(handler)
    yield from _role_routes(handler)
    deleted = f"{ROOT}/directory/deletedItems"
    yield Route(
        "GET", f"{deleted}/microsoft.graph.application", "graph.listDeletedApplications", handler(_refuse, LISTED)
    )
    yield Route("GET", f"{deleted}/<object_id>", "graph.readDeletedItem", handler(_refuse, ONE))
    yield Route("DELETE", f"{deleted}/<object_id>", "graph.purgeDeletedItem", handler(_purge))


def _role_routes(handler: Callable[..., Handler]) -> Iterator[Route]:
    definitions, assignments = f"{ROOT}/{_DEFINITIONS}", f"{ROOT}/{_ROLE_ASSIGNMENTS}"
    yield Route("GET", definitions, "graph.listRoleDefinitions", handler(_list_definitions, LISTED))
    yield Route("POST", definitions, "graph.createRoleDefinition", handler(_define))
    yield Route("PATCH", f"{definitions}/<definition>", "graph.updateRoleDefinition", handler(_redefine))
    yield Route("DELETE", f"{definitions}/<definition>", "graph.deleteRoleDefinition", handler(_undefine))
    yield Route("GET", assignments, "graph.listRoleAssignments", handler(_list_role_assignments, LISTED))
    yield Route("POST", assignments, "graph.createRoleAssignment", handler(_assign_role))
    yield Route("DELETE", f"{assignments}/<assignment>", "graph.deleteRoleAssignment", handler(_unassign_role))


def _principal_routes(handler: Callable[..., Handler]) -> Iterator[Route]:
    collection = f"{ROOT}/servicePrincipals"
    yield Route("POST", collection, "graph.createServicePrincipal", handler(_create_principal))
    yield Route("GET", collection, "graph.listServicePrincipals", handler(_list_principals, LISTED))
    for one in (f"{collection}/<object_id>", f"{collection}(appId='<app_id>')"):
        yield Route("GET", one, "graph.readServicePrincipal", handler(_read_principal, ONE))
        yield Route("PATCH", one, "graph.updateServicePrincipal", handler(_update_principal))
        yield Route("DELETE", one, "graph.deleteServicePrincipal", handler(_delete_principal))
        for relation, side in (("appRoleAssignedTo", "resourceId"), ("appRoleAssignments", "principalId")):
            listed = f"{one}/{relation}"
            yield Route(
                "GET", listed, "graph.listAppRoleAssignments", handler(partial(_list_assignments, side), LISTED)
            )
            yield Route("POST", listed, "graph.assignAppRole", handler(partial(_assign, side)))
            yield Route("DELETE", f"{listed}/<assignment>", "graph.unassignAppRole", handler(partial(_unassign, side)))
    for method in ("GET", "POST"):
        yield Route(method, f"{ROOT}/oauth2PermissionGrants", "graph.permissionGrants", handler(_refuse, LISTED))
