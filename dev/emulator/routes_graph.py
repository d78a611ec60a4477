"""Where Graph's operations are found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from dev.emulator import encoding, queries
from dev.emulator.errors import Json, bad_request
from dev.emulator.exchange import Answer, Context, Handler, Route
from dev.emulator.records import Caller

if TYPE_CHECKING:
    from dev.emulator.directory import Directory

ROOT = "/v1.0"
ONE = queries.OPTIONS & {"$select"}
LISTED = queries.OPTIONS

Operation = Callable[["Directory", Caller, Context], Answer]


def _handler(operation: Operation, options: frozenset[str] = frozenset()) -> Handler:
    """Every operation of Graph first looks at the token, then at the query options."""

    def handle(context: Context) -> Answer:
        claims = encoding.bearer(context.emulator, context.request, "graph.")
        directory = context.emulator.directory
        caller = Caller(
            app_id=claims.get("appid") or claims["azp"],
            object_id=claims["oid"],
            roles=frozenset(claims.get("roles", [])),
            replica=directory.replicas.next(),
        )
        queries.check_options(context.request.args.to_dict(), options)
        return operation(directory, caller, context)

    return handle


def _key(context: Context) -> dict[str, str]:
    """The key that a path names an object by; quotes inside are doubled."""
    key = {name: value for name, value in context.path.items() if name in ("object_id", "app_id", "unique_name")}
    for name, value in key.items():
        if name != "object_id" and "'" in value.replace("''", ""):
            raise bad_request("The key in the request URI is not well-formed.", code="BadRequest")
        key[name] = value.replace("''", "'") if name != "object_id" else value
    return key


def _context_url(context: Context, what: str) -> Json:
    return {"@odata.context": f"{context.emulator.origin}{ROOT}/$metadata#{what}"}


def _page(context: Context, items: list[Json], supported: queries.Supported, collection: str, kind: str) -> Answer:
    options = context.request.args.to_dict()
    counted = options.get("$count") == "true"
    if "$filter" in options:
        advanced = counted and context.request.headers.get("ConsistencyLevel", "").lower() == "eventual"
        matches = queries.predicate(options["$filter"], supported, advanced=advanced)
        items = [item for item in items if matches(item)]
    shown, token = queries.page(items, options, context.emulator.faults.switches.page_size)
    body: Json = _context_url(context, collection)
    if counted:
        body["@odata.count"] = len(items)
    if token is not None:
        body["@odata.nextLink"] = queries.next_link(f"{context.emulator.origin}{ROOT}/{collection}", options, token)
    body["value"] = [queries.select(item, options, kind) for item in shown]
    return Answer(200, body)


def _create_application(directory: Directory, by: Caller, context: Context) -> Answer:
    body = directory.applications.create(by, encoding.graph_body(context.request))
    address = f"{context.emulator.origin}{ROOT}/directoryObjects/{body['id']}"
    location = {"Location": f"{address}/Microsoft.DirectoryServices.Application"}
    return Answer(201, {**_context_url(context, "applications/$entity"), **body}, location)


def _read_application(directory: Directory, by: Caller, context: Context) -> Answer:
    applications = directory.applications
    selects_keys = "keyCredentials" in context.request.args.get("$select", "").split(",")
    body = applications.read(by, applications.find(by, **_key(context)), keys=selects_keys)
    selected = queries.select(body, context.request.args.to_dict(), "microsoft.graph.application")
    return Answer(200, {**_context_url(context, "applications/$entity"), **selected})


def _list_applications(directory: Directory, by: Caller, context: Context) -> Answer:
    items = directory.applications.listed(by)
    return _page(context, items, queries.APPLICATION, "applications", "microsoft.graph.application")


def _update_application(directory: Directory, by: Caller, context: Context) -> Answer:
    directory.applications.update(by, encoding.graph_body(context.request), **_key(context))
    return Answer(204)


def _delete_application(directory: Directory, by: Caller, context: Context) -> Answer:
    directory.applications.delete(by, **_key(context))
    return Answer(204)


def _add_password(directory: Directory, by: Caller, context: Context) -> Answer:
    body = encoding.graph_body(context.request)
    password = directory.applications.add_password(by, body, lives=context.lives, **_key(context))
    return Answer(200, {**_context_url(context, "microsoft.graph.passwordCredential"), **password})


def _remove_password(directory: Directory, by: Caller, context: Context) -> Answer:
    directory.applications.remove_password(by, encoding.graph_body(context.request), **_key(context))
    return Answer(204)


def _list_owners(directory: Directory, by: Caller, context: Context) -> Answer:
    applications = directory.applications
    owners = applications.owners(by, applications.find(by, **_key(context)))
    return Answer(200, {**_context_url(context, "directoryObjects"), "value": owners})


def _list_federated(directory: Directory, by: Caller, context: Context) -> Answer:
    applications = directory.applications
    credentials = applications.federated(by, applications.find(by, **_key(context)))
    return Answer(200, {**_context_url(context, "federatedIdentityCredentials"), "value": credentials})


def _create_federated(directory: Directory, by: Caller, context: Context) -> Answer:
    credential = directory.applications.add_federated(by, encoding.graph_body(context.request), **_key(context))
    return Answer(201, {**_context_url(context, "federatedIdentityCredentials/$entity"), **credential})


def _delete_federated(directory: Directory, by: Caller, context: Context) -> Answer:
    directory.applications.remove_federated(by, context.path["credential"], **_key(context))
    return Answer(204)


def _create_principal(directory: Directory, by: Caller, context: Context) -> Answer:
    body = directory.service_principals.create(by, encoding.graph_body(context.request))
    return Answer(201, {**_context_url(context, "servicePrincipals/$entity"), **body})


def _read_principal(directory: Directory, by: Caller, context: Context) -> Answer:
    body = directory.service_principals.read(by, **_key(context))
    selected = queries.select(body, context.request.args.to_dict(), "microsoft.graph.servicePrincipal")
    return Answer(200, {**_context_url(context, "servicePrincipals/$entity"), **selected})


def _list_principals(directory: Directory, by: Caller, context: Context) -> Answer:
    items = directory.service_principals.listed(by)
    return _page(context, items, queries.SERVICE_PRINCIPAL, "servicePrincipals", "microsoft.graph.servicePrincipal")


def _update_principal(directory: Directory, by: Caller, context: Context) -> Answer:
    directory.service_principals.update(by, encoding.graph_body(context.request), **_key(context))
    return Answer(204)


def _delete_principal(directory: Directory, by: Caller, context: Context) -> Answer:
    directory.service_principals.delete(by, **_key(context))
    return Answer(204)


def _purge(directory: Directory, by: Caller, context: Context) -> Answer:
    directory.applications.purge(by, context.path["object_id"])
    return Answer(204)


def _refuse(directory: Directory, by: Caller, _context: Context) -> Answer:
    """What Application.ReadWrite.OwnedBy does not reach: grants, owners, the recycle bin."""
    directory.applications.refuse(by)
    raise AssertionError


def routes() -> Iterator[Route]:
    """The table of addresses."""
    by_id = f"{ROOT}/applications/<object_id>"
    by_app_id = f"{ROOT}/applications(appId='<app_id>')"
    by_name = f"{ROOT}/applications(uniqueName='<unique_name>')"
    collection = f"{ROOT}/applications"
    yield Route("POST", collection, "graph.createApplication", _handler(_create_application))
    yield Route("GET", collection, "graph.listApplications", _handler(_list_applications, LISTED))
    for one in (by_id, by_app_id, by_name):
        yield Route("GET", one, "graph.readApplication", _handler(_read_application, ONE))
        yield Route("PATCH", one, "graph.updateApplication", _handler(_update_application))
        yield Route("DELETE", one, "graph.deleteApplication", _handler(_delete_application))
    for one in (by_id, by_app_id):
        yield Route("POST", f"{one}/addPassword", "graph.addPassword", _handler(_add_password))
        yield Route("POST", f"{one}/removePassword", "graph.removePassword", _handler(_remove_password))
        yield Route("GET", f"{one}/owners", "graph.listOwners", _handler(_list_owners))
        yield Route("POST", f"{one}/owners/$ref", "graph.addOwner", _handler(_refuse))
        federated = f"{one}/federatedIdentityCredentials"
        yield Route("GET", federated, "graph.listFederatedCredentials", _handler(_list_federated, ONE))
        yield Route("POST", federated, "graph.createFederatedCredential", _handler(_create_federated))
        yield Route(
            "DELETE", f"{federated}/<credential>", "graph.deleteFederatedCredential", _handler(_delete_federated)
        )
    yield from _principal_routes()
    deleted = f"{ROOT}/directory/deletedItems"
    yield Route(
        "GET", f"{deleted}/microsoft.graph.application", "graph.listDeletedApplications", _handler(_refuse, LISTED)
    )
    yield Route("GET", f"{deleted}/<object_id>", "graph.readDeletedItem", _handler(_refuse, ONE))
    yield Route("DELETE", f"{deleted}/<object_id>", "graph.purgeDeletedItem", _handler(_purge))


def _principal_routes() -> Iterator[Route]:
    collection = f"{ROOT}/servicePrincipals"
    yield Route("POST", collection, "graph.createServicePrincipal", _handler(_create_principal))
    yield Route("GET", collection, "graph.listServicePrincipals", _handler(_list_principals, LISTED))
    for one in (f"{collection}/<object_id>", f"{collection}(appId='<app_id>')"):
        yield Route("GET", one, "graph.readServicePrincipal", _handler(_read_principal, ONE))
        yield Route("PATCH", one, "graph.updateServicePrincipal", _handler(_update_principal))
        yield Route("DELETE", one, "graph.deleteServicePrincipal", _handler(_delete_principal))
        for method in ("GET", "POST"):
            for relation in ("appRoleAssignedTo", "appRoleAssignments"):
                yield Route(method, f"{one}/{relation}", "graph.appRoleAssignments", _handler(_refuse, LISTED))
    for method in ("GET", "POST"):
        yield Route(method, f"{ROOT}/oauth2PermissionGrants", "graph.permissionGrants", _handler(_refuse, LISTED))
