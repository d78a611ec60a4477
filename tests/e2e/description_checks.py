"""What Schemathesis is told about this API beside its description: one check more, and requests that go further.

Schemathesis loads this by schemathesis.toml.
"""

import json
import os
import re
import zlib
from collections.abc import Mapping, Sequence
from http import HTTPStatus
from typing import Any

import schemathesis

from provisioning.domain.patterns import ENTITY_TAGS

SERVER = "https://fhir.contoso.example"  # registered before
ABSENT = "https://absent.contoso.example"  # in ALLOWED_RESOURCES, and not in Entra: registrations that name it fail
OFFERED: Mapping[str, Any] = {"scopes": ["user_impersonation"], "appRoles": ["globalReader"]}

# Why a request that is valid by its schema may be refused all the same.
UNSAID: Mapping[str, str] = {
    "wrong-length": "a schema counts characters, Entra counts UTF-16 units",
    "invisible-character": "a table of Unicode",
    "outer-whitespace": "as Python knows white space",
    "private-key": "what base64 of a key begins with",
    "name-duplicate": "names that differ by case alone are one",
    "role-named-as-scope": "one list about another",
    "smart-scope-name": "a grammar, of names that begin in a certain way",
    "openid-scope": "names in any case",
    "uri-duplicate": "URIs that differ in what is normalised are one",
    "uri-differs-by-port": "one entry of a list about another",
    "uri-scheme": "which schemes there are depends on the platform",
    "uri-unsafe-scheme": "as uri-scheme",
    "uri-client-id": "the id that Entra assigned",
    "uri-host": "port numbers, addresses, and labels that are too long together",
    "uri-credentials": "what is before an @ of a scheme of one's own",
    "uri-empty-query": "a ? at the very end",
    "uri-not-public": "ranges of addresses",
    "name-not-claimable": "the domains of Microsoft, and the settings",
    "mapped-claims-unverified-audience": "the domains that the tenant has verified",
    "subject-duplicate": "as name-duplicate",
    "not-a-duration": "a duration that is longer than anything can last",
    "secret-lifetime-out-of-range": "the settings",
    "callback-not-allowed": "the settings",
    "secret-lifetime-without-secret": "one field about another",
    "certificate-unreadable": "X.509",
    "field-not-changeable": "which fields can be changed depends on the client type",
    **dict.fromkeys(
        ("resource-not-allowed", "resource-not-found", "resource-is-a-client", "resource-not-active"),
        "what is registered",
    ),
    **dict.fromkeys(
        ("scope-required", "scope-not-found", "app-role-not-found", "data-roles-not-offered"), "what the resource has"
    ),
    "invalid-continuation-token": "what a page before had",
    "not-a-moment": "days that a month does not have",
    "invalid-prefer": "the grammar of one preference among others, which are ignored",
}


KNOWN: list[str] = []  # ids of registrations that were answered
HOLDERS: Sequence[str] = os.environ.get("HOLDERS", "").split()  # which hold a secret, and are deleted by nobody
RESOURCE = os.environ.get("RESOURCE", "")  # of which they are clients
READER = os.environ.get("READER", "")  # a client that asks for data roles, of another one
FAILED = os.environ.get("FAILED", "")  # a registration that fails however often it is tried


@schemathesis.hook
def after_call(_: Any, __: Any, response: Any) -> None:
    """Remember which registrations there are."""
    if response.status_code == HTTPStatus.ACCEPTED and response.json()["registrationId"] not in KNOWN:
        KNOWN.append(response.json()["registrationId"])


@schemathesis.hook
def before_call(_: Any, case: Any, __: Any) -> None:
    """Have a valid request go further than to the first refusal: most of them are about what there is."""
    if case.meta is None or not case.meta.generation.mode.is_positive:
        return
    chance = zlib.crc32(json.dumps([case.path_parameters, case.body], default=str).encode())
    headers, path, body = case.headers or {}, case.path_parameters or {}, case.body
    # With function keys nobody speaks for somebody.
    headers.pop("On-Behalf-Of", None)
    # The coverage of Schemathesis has headers of letters and digits alone, valid or not.
    if not re.fullmatch(ENTITY_TAGS, headers.get("If-Match", "*")):
        headers["If-Match"] = "*"
    if "Prefer" in headers:
        headers["Prefer"] = "wait=1"  # it is long enough to be waited for, and not for a revocation
    known = _known(case.operation.path, chance)
    if known and path.get("registrationId", known[0]) not in known:
        path["registrationId"] = known[chance % len(known)]
    if HOLDERS and "clientId" in path and chance % 2:
        path |= {"registrationId": RESOURCE, "clientId": HOLDERS[chance % len(HOLDERS)]}
        if isinstance(body, dict):
            body["permissions"] = OFFERED["appRoles"]
    if isinstance(body, dict) and "clientType" in body and chance % 4:
        _aim(body, chance)
    if case.operation.method.upper() == "PATCH" and chance % 4:
        case.body = _everybodys(body)


def _known(path: str, chance: int) -> Sequence[str]:
    """Return registrations to choose from: few are such that this can be done; others are chosen as well."""
    able = {"rotate": HOLDERS, "revoke": [READER], "retry": [FAILED]}
    chosen = [each for each in able.get(path.removeprefix("/registrations/{registrationId}/"), ()) if each]
    return chosen if chosen and chance % 2 else KNOWN


def _everybodys(body: Any) -> Any:
    """Return what of a change every client type has; of a JSON Patch one that fits each."""
    if not isinstance(body, dict):
        return [{"op": "replace", "path": "/displayName", "value": "Patched"}]
    return {name: body[name] for name in ("displayName", "contact", "description") if body.get(name)} or body


def _aim(body: dict[str, Any], chance: int) -> None:
    """Have a request name what there is, a server that is not registered yet, and a life that the settings allow."""
    if "fhirServerUrl" in body:
        body["fhirServerUrl"] = f"https://server-{chance}.contoso.example"
    if "resource" in body:
        body |= {name: value for name, value in OFFERED.items() if body.get(name)}
        body["resource"] = ABSENT if chance % 8 == 1 else SERVER
        body.pop("dataRoles", None)  # of neither
    if body.get("secretLifetime"):
        body["secretLifetime"] = "P90D"
        body.pop("credential", None)


@schemathesis.check
def refused_for_what_no_schema_says(_: Any, response: Any, case: Any) -> None:
    """A request that is valid by its schema is refused with 400 for reasons that no schema can say, and no other."""
    is_json_patch = isinstance(case.body, list)  # of which no schema says what it leads to
    if response.status_code != HTTPStatus.BAD_REQUEST or case.meta is None or is_json_patch:
        return
    if case.meta.generation.mode.is_positive:
        problem = response.json()
        told = {fault["code"] for fault in problem.get("errors", ())} or {problem["code"]}
        assert told <= UNSAID.keys(), f"a schema could say {', '.join(sorted(told - UNSAID.keys()))}"


@schemathesis.check
class EveryCallSucceeds:
    """Every call is answered with success at least once, so that the refusals are not all that was seen."""

    # With function keys nobody can be told apart, so nobody decides, and there is no chat.
    never = frozenset({"approveRegistration", "denyRegistration", "linkChat", "unlinkChat"})

    def __init__(self) -> None:
        self.left = set[str]()
        self.done = set[str]()

    def after_response(self, _: Any, response: Any, case: Any) -> None:
        """Note how a call was answered."""
        operation_id = case.operation.definition.raw["operationId"]
        self.left.add(operation_id)
        if response.status_code < HTTPStatus.MULTIPLE_CHOICES:
            self.done.add(operation_id)

    def after_run(self, _: Any) -> None:
        """Fail for a call that never succeeded."""
        left = self.left - self.done - self.never
        assert not left, f"never a success: {', '.join(sorted(left))}"
