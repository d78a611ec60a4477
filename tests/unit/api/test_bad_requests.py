"""One table of bad requests: each is refused with field, rule and remedy, and leaves no trace."""

import ast
import json
import re
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.domain.errors import RequestRejected
from provisioning.domain.intake import parse
from tests.worlds.certificates import BEGINS, YEAR, a_certificate, as_pem
from tests.worlds.request_bodies import OWNER, a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.world import World

MARKER = "qzmarkerqz"
SERVER = "https://fhir.contoso.example"
MANAGED = "https://ws-svc.fhir.azurehealthcareapis.com"
DRY_RUN = {"dryRun": "true"}
JSON = {"content-type": "application/json"}


@dataclass(frozen=True)
class Bad:
    """What is sent, and all that must be said about it: the problem's code, and each fault's pointer and code."""

    body: Any
    faults: Mapping[str, str | list[str]] = field(default_factory=dict)
    code: str = "invalid-request"
    status: int = 400
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    given: tuple[Any, ...] = ()  # requests that came before, provisioned
    waiting: tuple[Any, ...] = ()  # requests that came before, not provisioned yet


def uris(*each: str, **fields: Any) -> dict[str, Any]:
    return a_confidential_client(redirectUris=list(each), **fields)


def native(*each: str) -> dict[str, Any]:
    return a_public_client(platform="native", redirectUris=list(each))


def certificate(pem: str) -> dict[str, Any]:
    return a_service_client(credential={"type": "certificate", "certificate": pem})


def federated(**fields: Any) -> dict[str, Any]:
    return a_service_client(credential={**TRUST, **fields})


TRUST = {"type": "federated", "issuer": "https://token.example", "subject": "repo:contoso/export:ref:refs/heads/main"}
PEM, ISSUER, SUBJECT = "#/credential/certificate", "#/credential/issuer", "#/credential/subject"
URI = "#/redirectUris/0"
URL = "#/fhirServerUrl"
given: Any = {"given": (a_resource(),)}

BAD: dict[str, Bad] = {
    # the body as a whole
    "no body": Bad(b"", code="body-not-delivered"),
    "no json": Bad(b"{'clientType': 'qzmarkerqz'}", code="invalid-json"),
    "json cut off": Bad(b'{"clientType": "qzmarkerqz', code="invalid-json"),
    "two documents": Bad(b'{"a": 1} {"a": "qzmarkerqz"}', code="invalid-json"),
    "another encoding": Bad(json.dumps(a_resource()).encode("utf-16"), code="invalid-json"),
    "half a character": Bad(b'{"displayName": "\xc3"}', code="invalid-json"),
    "NaN": Bad(b'{"accessTokenVersion": NaN}', code="invalid-json"),
    "infinity": Bad(b'{"accessTokenVersion": -Infinity}', code="invalid-json"),
    "a name twice": Bad(b'{"clientType": "resource", "clientType": "service"}', code="invalid-json"),
    "a name twice, deeper": Bad(b'{"a": [{"qzmarkerqz": 1, "qzmarkerqz": 2}]}', code="invalid-json"),
    "nested without end": Bad(b"[" * 60_000, code="invalid-json"),
    "a number of 5000 digits": Bad(b'{"accessTokenVersion": ' + b"1" * 5000 + b"}", code="invalid-json"),
    "an array": Bad([MARKER], {"#": "wrong-type"}),
    "a string": Bad(MARKER, {"#": "wrong-type"}),
    "null": Bad(None, {"#": "wrong-type"}),
    "over 64 KB": Bad(a_resource(description=MARKER * 7000), code="body-too-large", status=413),
    "64 KB and a byte of white space": Bad(b" " * 65_537, code="body-too-large", status=413),
    "a form": Bad(
        b"clientType=qzmarkerqz",
        code="not-json",
        status=415,
        headers={"content-type": "application/x-www-form-urlencoded"},
    ),
    "text": Bad(a_resource(), code="not-json", status=415, headers={"content-type": "text/plain; charset=utf-8"}),
    "no content type": Bad(a_resource(), code="not-json", status=415, headers={"content-type": ""}),
    # headers and query
    "an empty idempotency key": Bad(a_resource(), code="invalid-idempotency-key", headers={"idempotency-key": ""}),
    "a blank in the idempotency key": Bad(
        a_resource(), code="invalid-idempotency-key", headers={"idempotency-key": f"{MARKER} 1"}
    ),
    "a line break in the idempotency key": Bad(
        a_resource(), code="invalid-idempotency-key", headers={"idempotency-key": f"{MARKER}\n"}
    ),
    "an idempotency key of 256": Bad(
        a_resource(), code="invalid-idempotency-key", headers={"idempotency-key": "x" * 256}
    ),
    "an idempotency key in another script": Bad(
        a_resource(), code="invalid-idempotency-key", headers={"idempotency-key": "ключ"}
    ),
    "dryRun without a value": Bad(
        a_resource(), {"?dryRun": "query-parameter-empty"}, "invalid-query", query={"dryRun": ""}
    ),
    "dryRun=yes": Bad(a_resource(), {"?dryRun": "not-one-of"}, "invalid-query", query={"dryRun": MARKER}),
    "dryRun misspelt": Bad(a_resource(), {"?": "query-parameter-unknown"}, "invalid-query", query={"dryrun": "true"}),
    # which fields there are
    "no client type": Bad({"displayName": MARKER}, {"#/clientType": "required"}),
    "an unknown client type": Bad({**a_resource(), "clientType": MARKER}, {"#/clientType": "client-type-unknown"}),
    "the client type in snake case": Bad({"client_type": "resource"}, {"#/clientType": "required"}),
    "nothing but the client type": Bad(
        {"clientType": "service"},
        {"#/displayName": "required", "#/owner": "required", "#/contact": "required", "#/resource": "required"},
    ),
    "an unknown field": Bad(a_resource(colour=MARKER), {"#/colour": "field-not-allowed"}),
    "a field whose name is a secret": Bad({**a_resource(), f"{MARKER}~8Q": 1}, {"#": "field-not-allowed"}),
    "a redirect URI for a resource": Bad(
        a_resource(redirectUris=[f"https://{MARKER}"]), {"#/redirectUris": "field-not-allowed"}
    ),
    "an identifier URI of one's own": Bad(
        a_resource(identifierUris=[f"api://{MARKER}"]), {"#/identifierUris": "field-not-allowed"}
    ),
    "a credential for a public client": Bad(
        a_public_client(credential={"type": MARKER}, secretLifetime="P90D"),
        {"#/credential": "field-not-allowed", "#/secretLifetime": "field-not-allowed"},
    ),
    "implicit grant": Bad(a_public_client(implicitGrant=True), {"#/implicitGrant": "field-not-allowed"}),
    "device code": Bad(a_public_client(isFallbackPublicClient=True), {"#/isFallbackPublicClient": "field-not-allowed"}),
    "scopes for a daemon": Bad(a_service_client(scopes=[MARKER]), {"#/scopes": "field-not-allowed"}),
    "a redirect URI for a daemon": Bad(
        a_service_client(redirectUris=[f"https://{MARKER}"]), {"#/redirectUris": "field-not-allowed"}
    ),
    "app roles for a web application": Bad(
        a_confidential_client(appRoles=[MARKER]), {"#/appRoles": "field-not-allowed"}
    ),
    "a platform for a web application": Bad(a_confidential_client(platform="web"), {"#/platform": "field-not-allowed"}),
    "the text of a secret": Bad(
        a_service_client(credential={"type": "secret", "value": MARKER}), {"#/credential/value": "field-not-allowed"}
    ),
    # what all have
    "an empty display name": Bad(a_resource(displayName=""), {"#/displayName": "wrong-length"}),
    "a display name of 121": Bad(a_resource(displayName=MARKER + "x" * 111), {"#/displayName": "wrong-length"}),
    "a display name of 61 emoji": Bad(a_resource(displayName="😀" * 61), {"#/displayName": "wrong-length"}),
    "a line break in the display name": Bad(
        a_resource(displayName=f"{MARKER}\nx"), {"#/displayName": "control-character"}
    ),
    "half an emoji": Bad(a_resource(displayName=f"{MARKER}\ud83d"), {"#/displayName": "control-character"}),
    "a blank before the display name": Bad(a_resource(displayName=f" {MARKER}"), {"#/displayName": "outer-whitespace"}),
    "a number as display name": Bad(a_resource(displayName=1), {"#/displayName": "wrong-type"}),
    "a description of 1025": Bad(a_resource(description="x" * 1025), {"#/description": "wrong-length"}),
    "a private key as description": Bad(
        a_resource(description=f"-----BEGIN PRIVATE KEY----- {MARKER}"), {"#/description": "private-key"}
    ),
    "an invisible character": Bad(a_resource(displayName=f"{MARKER}\u200bx"), {"#/displayName": "invisible-character"}),
    "writing from right to left": Bad(
        a_resource(description=f"\u202e{MARKER}"), {"#/description": "invisible-character"}
    ),
    "an owner by name": Bad(a_resource(owner=f"{MARKER}@contoso.example"), {"#/owner": "not-a-guid"}),
    "a contact without a domain": Bad(a_resource(contact=MARKER), {"#/contact": "not-an-email-address"}),
    "two contacts": Bad(a_resource(contact=f"{MARKER}@a.example,b@b.example"), {"#/contact": "not-an-email-address"}),
    "half a character in the contact": Bad(
        a_resource(contact=f"{MARKER}\ud800@x.example"), {"#/contact": "not-an-email-address"}
    ),
    # a resource
    "a server without https": Bad(a_resource(fhirServerUrl=f"http://{MARKER}.example"), {URL: "uri-not-https"}),
    "a server without a scheme": Bad(a_resource(fhirServerUrl=MARKER), {URL: "uri-host"}),
    "a server with a query": Bad(a_resource(fhirServerUrl=f"https://x.example/?{MARKER}"), {URL: "uri-query"}),
    "a server with a wildcard": Bad(a_resource(fhirServerUrl=f"https://*.{MARKER}.example"), {URL: "uri-wildcard"}),
    "a server with credentials": Bad(
        a_resource(fhirServerUrl=f"https://u:{MARKER}@x.example"), {URL: "uri-credentials"}
    ),
    "a server with .. in its path": Bad(a_resource(fhirServerUrl=f"https://x.example/../{MARKER}"), {URL: "uri-path"}),
    "a server with a blank": Bad(a_resource(fhirServerUrl=f"https://x.example/ {MARKER}"), {URL: "uri-character"}),
    "a server by IPv6": Bad(a_resource(fhirServerUrl="https://[2001:db8::1]/fhir"), {URL: "uri-ipv6"}),
    "a server with a long path": Bad(a_resource(fhirServerUrl="https://x.example/" + "x" * 240), {URL: "uri-too-long"}),
    "a server named by a client id": Bad(a_resource(fhirServerUrl=f"https://{OWNER}.example"), {URL: "uri-client-id"}),
    "a server named by a number": Bad(a_resource(fhirServerUrl="https://0x7f.1/fhir"), {URL: "uri-host"}),
    "a managed FHIR service of one's own": Bad(a_resource(fhirServerUrl=MANAGED), {URL: "name-not-claimable"}),
    "access tokens of version 3": Bad(a_resource(accessTokenVersion=3), {"#/accessTokenVersion": "not-one-of"}),
    "a version as text": Bad(a_resource(accessTokenVersion="1"), {"#/accessTokenVersion": "wrong-type"}),
    "scopes as text": Bad(a_resource(scopes=MARKER), {"#/scopes": "wrong-type"}),
    "an empty scope": Bad(a_resource(scopes=["ok", ""]), {"#/scopes/1": "wrong-length"}),
    "a scope with a blank": Bad(a_resource(scopes=[f"{MARKER} x"]), {"#/scopes/0": "name-character"}),
    "a scope that begins with a dot": Bad(a_resource(scopes=[f".{MARKER}"]), {"#/scopes/0": "name-leading-dot"}),
    "a SMART scope with a slash": Bad(a_resource(scopes=[f"patient/{MARKER}"]), {"#/scopes/0": "smart-scope-slash"}),
    "a SMART scope with letters out of order": Bad(
        a_resource(scopes=["patient.Patient.sr"]), {"#/scopes/0": "smart-scope-name"}
    ),
    "a scope twice": Bad(a_resource(scopes=[MARKER, MARKER.upper()]), {"#/scopes/1": "name-duplicate"}),
    "401 scopes": Bad(a_resource(scopes=[f"s{number}" for number in range(401)]), {"#/scopes": "too-many-items"}),
    "a role named as a scope": Bad(
        a_resource(scopes=[MARKER], appRoles=[MARKER]), {"#/appRoles/0": "role-named-as-scope"}
    ),
    "a scope named as a default role": Bad(a_resource(scopes=["smartUser"]), {"#/appRoles/6": "role-named-as-scope"}),
    # redirect URIs
    "no redirect URI": Bad(uris(), {"#/redirectUris": "too-few-items"}),
    "257 redirect URIs": Bad(
        uris(*(f"https://x.example/{number}" for number in range(257))), {"#/redirectUris": "too-many-items"}
    ),
    "one redirect URI, no list": Bad(
        a_confidential_client(redirectUris=f"https://{MARKER}"), {"#/redirectUris": "wrong-type"}
    ),
    "a number as redirect URI": Bad(a_confidential_client(redirectUris=[1]), {URI: "wrong-type"}),
    "a relative redirect URI": Bad(uris(f"/{MARKER}"), {URI: "uri-not-absolute"}),
    "a redirect URI of 257": Bad(uris("https://x.example/".ljust(257, "x")), {URI: "uri-too-long"}),
    "a wildcard": Bad(uris(f"https://*.{MARKER}.example/"), {URI: "uri-wildcard"}),
    "a fragment": Bad(uris(f"https://x.example/#{MARKER}"), {URI: "uri-fragment"}),
    "a tab in a redirect URI": Bad(uris(f"https://x.example/\t{MARKER}"), {URI: "uri-character"}),
    "a backslash in a redirect URI": Bad(uris(f"https://x.example\\@{MARKER}.example"), {URI: "uri-character"}),
    "a password in a redirect URI": Bad(uris(f"https://u:{MARKER}@x.example/"), {URI: "uri-credentials"}),
    "http in the open": Bad(uris(f"http://{MARKER}.example/"), {URI: "uri-not-https"}),
    "a custom scheme on the web": Bad(uris(f"{MARKER}://cb"), {URI: "uri-scheme"}),
    "an empty query": Bad(uris(f"https://{MARKER}.example/cb?"), {URI: "uri-empty-query"}),
    "a scheme that is anybody's": Bad(native(f"{MARKER}://auth"), {URI: "uri-unsafe-scheme"}),
    "the client id of another client": Bad(native(f"msal{OWNER}://auth"), {URI: "uri-client-id"}),
    "a script as redirect URI": Bad(native(f"javascript:{MARKER}"), {URI: "uri-unsafe-scheme"}),
    "a scheme and nothing else": Bad(native(f"com.{MARKER}://"), {URI: "uri-host"}),
    "IPv6 loopback": Bad(uris("http://[::1]:3000/"), {URI: "uri-ipv6"}),
    "a port that is none": Bad(uris("https://x.example:70000/"), {URI: "uri-host"}),
    "the same redirect URI twice": Bad(
        uris("https://x.example", "https://X.example/"), {"#/redirectUris/1": "uri-duplicate"}
    ),
    "two ports of localhost": Bad(
        uris("http://localhost:1/", "http://localhost:2/"), {"#/redirectUris/1": "uri-differs-by-port"}
    ),
    "several faults of several URIs": Bad(
        uris(f"http://{MARKER}.example/#x", "x"),
        {URI: ["uri-fragment", "uri-not-https"], "#/redirectUris/1": "uri-not-absolute"},
    ),
    "a log-out URL by http": Bad(
        a_confidential_client(logoutUrl=f"http://{MARKER}.example/"), {"#/logoutUrl": "uri-not-https"}
    ),
    "an unknown platform": Bad(a_public_client(platform="ios"), {"#/platform": "not-one-of"}),
    # credentials
    "a lifetime in words": Bad(a_service_client(secretLifetime=MARKER), {"#/secretLifetime": "not-a-duration"}),
    "a lifetime without end": Bad(
        a_service_client(secretLifetime="PT3000000H"), {"#/secretLifetime": "not-a-duration"}
    ),
    "a lifetime that the operator refuses": Bad(
        a_service_client(secretLifetime="P181D"),
        {"#/secretLifetime": "secret-lifetime-out-of-range"},
        given=(a_resource(),),
    ),
    "a lifetime shorter than a rotation": Bad(
        a_confidential_client(secretLifetime="P36D"), {"#/secretLifetime": "secret-lifetime-out-of-range"}, **given
    ),
    "a flag as text": Bad(a_confidential_client(autoRotate="true"), {"#/autoRotate": "wrong-type"}),
    "a lifetime without a secret": Bad(
        a_service_client(credential=TRUST, secretLifetime="P90D"),
        {"#/secretLifetime": "secret-lifetime-without-secret"},
    ),
    "a certificate without one": Bad(a_service_client(credential={"type": "certificate"}), {PEM: "required"}),
    "a private key": Bad(certificate(a_certificate().pem + a_certificate().private_pem), {PEM: "private-key"}),
    "a certificate of 17 KB": Bad(certificate(MARKER * 1700), {PEM: "certificate-too-large"}),
    "a certificate with its issuer's": Bad(certificate(a_certificate().pem * 2), {PEM: "certificate-chain"}),
    "a certificate without its first line": Bad(certificate(MARKER), {PEM: "certificate-not-pem"}),
    "a certificate that is none": Bad(certificate(as_pem(MARKER.encode())), {PEM: "certificate-unreadable"}),
    "a certificate of a small key": Bad(certificate(a_certificate(size=1024).pem), {PEM: "certificate-key"}),
    "a certificate signed with SHA-1": Bad(certificate(a_certificate(sha1=True).pem), {PEM: "certificate-signature"}),
    "a certificate of last year": Bad(
        certificate(a_certificate(BEGINS - YEAR, YEAR).pem), {PEM: "certificate-expired"}, **given
    ),
    "a certificate of tomorrow": Bad(
        certificate(a_certificate(BEGINS + timedelta(days=15)).pem), {PEM: "certificate-not-yet-valid"}, **given
    ),
    "a certificate that ends this week": Bad(
        certificate(a_certificate(BEGINS, timedelta(days=20)).pem), {PEM: "certificate-ends-too-soon"}, **given
    ),
    "a dry run with a certificate of last year": Bad(
        certificate(a_certificate(BEGINS - YEAR, YEAR).pem), {PEM: "certificate-expired"}, query=DRY_RUN, **given
    ),
    "a federated credential without its claims": Bad(
        a_service_client(credential={"type": "federated"}),
        {"#/credential/issuer": "required", "#/credential/subject": "required"},
    ),
    "an audience with a wildcard": Bad(federated(audience=f"{MARKER}*"), {"#/credential/audience": "claim-wildcard"}),
    "a subject beside subjects": Bad(federated(subjects=[MARKER]), {SUBJECT: "subject-twice"}),
    "the same subject twice": Bad(
        federated(subject=None, subjects=[MARKER, MARKER]), {f"{SUBJECT}s/1": "subject-duplicate"}
    ),
    "21 subjects": Bad(
        federated(subject=None, subjects=[f"s{number}" for number in range(21)]), {f"{SUBJECT}s": "too-many-items"}
    ),
    "an issuer on this machine": Bad(federated(issuer=f"https://{MARKER}.localhost"), {ISSUER: "uri-not-public"}),
    "an issuer by http": Bad(federated(issuer=f"http://{MARKER}.example"), {ISSUER: "uri-not-https"}),
    "an issuer without a scheme": Bad(federated(issuer=f"{MARKER}.example"), {ISSUER: "uri-host"}),
    "an issuer with a wildcard": Bad(federated(issuer=f"https://*.{MARKER}.example"), {ISSUER: "uri-wildcard"}),
    "an issuer with a query": Bad(federated(issuer=f"https://x.example/?{MARKER}"), {ISSUER: "uri-query"}),
    "an issuer with a password": Bad(federated(issuer=f"https://u:{MARKER}@x.example"), {ISSUER: "uri-credentials"}),
    "an issuer with a blank behind": Bad(federated(issuer=f"https://{MARKER}.example "), {ISSUER: "uri-character"}),
    "an issuer of 601": Bad(federated(issuer="https://x.example/".ljust(601, "x")), {ISSUER: "uri-too-long"}),
    "an empty subject": Bad(federated(subject=""), {SUBJECT: "wrong-length"}),
    "a subject of 601": Bad(federated(subject="x" * 601), {SUBJECT: "wrong-length"}),
    "a subject with a wildcard": Bad(federated(subject=f"repo:{MARKER}:*"), {SUBJECT: "claim-wildcard"}),
    "a subject with a line break": Bad(federated(subject=f"{MARKER}\nx"), {SUBJECT: "control-character"}),
    "a blank before the subject": Bad(federated(subject=f" {MARKER}"), {SUBJECT: "outer-whitespace"}),
    "a number as subject": Bad(federated(subject=1), {SUBJECT: "wrong-type"}),
    "an unknown credential": Bad(
        a_service_client(credential={"type": MARKER}), {"#/credential/type": "credential-type-unknown"}
    ),
    "a credential that is no object": Bad(a_service_client(credential=MARKER), {"#/credential": "wrong-type"}),
    # the resource of a client
    "Microsoft Graph as resource": Bad(
        a_service_client(resource="https://graph.microsoft.com", appRoles=["Directory.ReadWrite.All"]),
        {"#/resource": "resource-not-allowed"},
    ),
    "Microsoft Graph by its client id": Bad(
        a_service_client(resource="00000003-0000-0000-C000-000000000000"), {"#/resource": "resource-not-allowed"}
    ),
    "a server that nobody registered": Bad(
        a_public_client(resource=f"https://{MARKER}.example"), {"#/resource": "resource-not-allowed"}
    ),
    "a host that looks like a managed FHIR service": Bad(
        a_service_client(resource=f"{MANAGED}.{MARKER}.example"), {"#/resource": "resource-not-allowed"}
    ),
    "a managed FHIR service in brackets": Bad(
        a_service_client(resource="https://evil.example[v1.fhir.azurehealthcareapis.com]"),
        {"#/resource": "resource-not-allowed"},
    ),
    "two faults at once, one of them of the service": Bad(
        a_service_client(resource=f"https://{MARKER}.example", secretLifetime="P1D"),
        {"#/resource": "resource-not-allowed", "#/secretLifetime": "secret-lifetime-out-of-range"},
    ),
    "an empty resource": Bad(a_service_client(resource=""), {"#/resource": "wrong-length"}),
    # what a dry run finds out
    "a dry run for a registration that is none": Bad(
        a_service_client(resource=f"{'0' * 8}-{OWNER}"),
        {"#/resource": "resource-not-found"},
        "resource-not-found",
        query=DRY_RUN,
    ),
    "a dry run with a role that the resource lacks": Bad(
        a_service_client(appRoles=[MARKER]),
        {"#/resource": "app-role-not-found"},
        "app-role-not-found",
        query=DRY_RUN,
        **given,
    ),
    "a dry run with a scope that the resource lacks": Bad(
        a_public_client(scopes=[MARKER]), {"#/resource": "scope-not-found"}, "scope-not-found", query=DRY_RUN, **given
    ),
    "a dry run with roles of a managed FHIR service": Bad(
        a_service_client(resource=MANAGED), {"#/resource": "app-role-not-found"}, "app-role-not-found", query=DRY_RUN
    ),
    "a dry run for a resource that is not ready": Bad(
        a_service_client(), code="resource-not-ready", status=409, query=DRY_RUN, waiting=(a_resource(),)
    ),
    "a dry run for a server that is registered": Bad(
        a_resource(displayName=MARKER), code="fhir-server-already-registered", status=409, query=DRY_RUN, **given
    ),
    # conflicts
    "a second registration of a server": Bad(
        a_resource(displayName=MARKER), code="fhir-server-already-registered", status=409, **given
    ),
    "a second registration while the first is on its way": Bad(
        a_resource(fhirServerUrl=f"{SERVER.upper()}:443/".replace("HTTPS", "https")),
        code="fhir-server-already-registered",
        status=409,
        waiting=(a_resource(),),
    ),
    "an idempotency key for another request": Bad(
        a_resource(displayName=MARKER),
        code="idempotency-key-reused",
        status=409,
        headers={"idempotency-key": "first"},
        waiting=(a_resource(),),
    ),
    "an idempotency key for another server": Bad(
        a_resource(fhirServerUrl=f"https://{MARKER}.example"),
        code="idempotency-key-reused",
        status=409,
        headers={"idempotency-key": "first"},
        waiting=(a_resource(),),
    ),
    "an idempotency key for another client type": Bad(
        a_public_client(resource=MANAGED, displayName=MARKER),
        code="idempotency-key-reused",
        status=409,
        headers={"idempotency-key": "first"},
        **given,
    ),
}


def traces(world: World) -> tuple[object, ...]:
    registry: Any = world.registry
    return (
        dict(registry.rows),
        set(registry.entries),
        dict(registry.names),
        [queued.text for queued in world.queue],
        len(world.emulator.calls),
        len(world.emulator.directory.records),
    )


def prepared(bad: Bad) -> World:
    """Return a world in which happened what the row presupposes."""
    world = World()
    for body in bad.given:
        assert world.post(body, key="first").status == 202
        world.deliver()
    for body in bad.waiting:
        assert world.post(body, key="first").status == 202
    return world


def sent(world: World, bad: Bad) -> Answer:
    raw = bad.body if isinstance(bad.body, bytes) else json.dumps(bad.body).encode()
    return world.call(
        web.submit_registration, Call("/api/registrations", {**JSON, **bad.headers}, urlencode(bad.query), raw)
    )


@pytest.mark.parametrize("bad", BAD.values(), ids=BAD)
def test_a_bad_request_is_refused_with_field_rule_and_remedy_and_leaves_no_trace(bad: Bad) -> None:
    world = prepared(bad)
    before = traces(world)

    answer = sent(world, bad)

    assert traces(world) == before
    assert answer.message is None
    problem = json.loads(answer.body)
    assert (answer.status, problem["status"], problem["code"]) == (bad.status, bad.status, bad.code)
    assert answer.content_type == "application/problem+json"
    assert answer.headers == {"Cache-Control": "no-store"}
    assert len(problem["detail"]) > 20
    told: dict[str, list[str]] = {}
    for fault in problem.get("errors", []):
        assert set(fault) == {"pointer", "code", "message"}
        assert len(fault["message"]) > 12
        assert fault["message"].endswith((".", '."'))
        told.setdefault(fault["pointer"], []).append(fault["code"])
    assert told == {pointer: [code] if isinstance(code, str) else code for pointer, code in bad.faults.items()}
    assert MARKER not in answer.body.lower()
    assert MARKER not in repr(answer.headers)


HUGE: dict[str, Any] = {
    "empty redirect URIs": uris(*[""] * 20_000),
    "redirect URIs of another type": a_confidential_client(redirectUris=[1] * 28_000),
    "redirect URIs that are lists": a_confidential_client(redirectUris=[[]] * 20_000),
    "wildcards": uris(*["http://*:0#"] * 4_000),
    "256 redirect URIs with every fault": uris(*[f"http://u@*.a:0/{number}#?" for number in range(256)]),
    "scopes": a_public_client(scopes=[""] * 20_000),
    "app roles of another type": a_service_client(appRoles=[{}] * 20_000),
    "scopes and app roles of a resource": a_resource(scopes=[" "] * 400, appRoles=[" "] * 400),
    "subjects": federated(subject=None, subjects=[""] * 20_000),
    "unknown fields": a_resource(**{f"f{number}": 0 for number in range(6_000)}),
    "unknown fields with long names": a_resource(**{f"{number:04}".rjust(64, "x"): 0 for number in range(850)}),
    "unknown fields in a credential": a_service_client(credential={f"f{number}": 0 for number in range(6_000)}),
    "private keys": a_resource(scopes=["BEGIN PRIVATE KEY"] * 3_000),
    "one long text": a_resource(displayName="\ud800" * 10_000),
    "unknown scopes of a resource": a_public_client(scopes=[f"{number:03}{'x' * 117}" for number in range(400)]),
}


@pytest.mark.parametrize("query", [{}, DRY_RUN], ids=["POST", "dry run"])
@pytest.mark.parametrize("body", HUGE.values(), ids=HUGE)
def test_no_answer_to_a_bad_request_is_larger_than_100_kb_or_takes_long(body: Any, query: dict[str, str]) -> None:
    raw = json.dumps(body, separators=(",", ":")).encode()
    assert len(raw) <= 64 * 1024
    world = World()
    world.registered(a_resource(scopes=[f"{number:03}{'y' * 117}" for number in range(400)], appRoles=[]))
    began = time.perf_counter()
    answer = world.post(raw, query=query)
    assert time.perf_counter() - began < 3
    assert len(answer.body) <= 100 * 1024
    if answer.status == 202:
        return  # what it is short of shows later
    problem = json.loads(answer.body)
    assert answer.status == 400
    assert 1 <= len(problem["errors"]) <= 100


def test_of_very_many_faults_the_first_are_told_and_how_many_there_are() -> None:
    raw = json.dumps(HUGE["unknown fields"], separators=(",", ":")).encode()
    problem = json.loads(World().post(raw).body)
    assert problem["detail"] == "The request breaks 6000 rules; errors has the first 100."
    assert len(problem["errors"]) == 100


@pytest.mark.parametrize("name", ["displayName", "fhirServerUrl", "contact", "owner", "description"])
@pytest.mark.parametrize("piece", ["a", "a.", "-", "/", "a@", "%", "é", "\u200d", "M", "PRIVATE ", "?", "[", "1."])
def test_no_text_of_64_kb_takes_long_to_be_refused(name: str, piece: str) -> None:
    body = a_resource(
        **{name: (f"https://{piece}" + piece * 60_000)[:60_000].encode()[:60_000].decode(errors="ignore")}
    )
    began = time.perf_counter()
    with pytest.raises(RequestRejected):
        parse(body)
    assert time.perf_counter() - began < 3


def test_the_table_has_at_least_sixty_rows() -> None:
    assert len(BAD) >= 60


def test_the_service_still_takes_what_a_refused_request_named() -> None:
    for name in ("an idempotency key for another server", "a second registration of a server"):
        world = prepared(BAD[name])
        assert sent(world, BAD[name]).status == 409
        url = f"https://{MARKER}.example"
        assert world.post(a_resource(fhirServerUrl=url)).status == 202, name


# --- the other calls ------------------------------------------------------------------------------------------------

LISTS: dict[str, tuple[dict[str, str], dict[str, str], str]] = {
    "an owner by name": ({"owner": MARKER}, {"?owner": "not-a-guid"}, "invalid-query"),
    "an empty owner": ({"owner": ""}, {"?owner": "query-parameter-empty"}, "invalid-query"),
    "an unknown client type": ({"clientType": MARKER}, {"?clientType": "not-one-of"}, "invalid-query"),
    "an unknown status": ({"status": MARKER}, {"?status": "not-one-of"}, "invalid-query"),
    "no items": ({"top": "0"}, {"?top": "out-of-range"}, "invalid-query"),
    "201 items": ({"top": "201"}, {"?top": "out-of-range"}, "invalid-query"),
    "minus one items": ({"top": "-1"}, {"?top": "out-of-range"}, "invalid-query"),
    "1.5 items": ({"top": "1.5"}, {"?top": "out-of-range"}, "invalid-query"),
    "items in another script": ({"top": "٣"}, {"?top": "out-of-range"}, "invalid-query"),
    "items in words": ({"top": MARKER}, {"?top": "out-of-range"}, "invalid-query"),
    "an unknown parameter": ({MARKER: MARKER}, {"?": "query-parameter-unknown"}, "invalid-query"),
    "a parameter in another case": ({"Owner": OWNER}, {"?": "query-parameter-unknown"}, "invalid-query"),
    "a token of one's own": ({"continuationToken": MARKER}, {}, "invalid-continuation-token"),
    "an empty token": ({"continuationToken": ""}, {"?continuationToken": "query-parameter-empty"}, "invalid-query"),
    "everything at once": (
        {"owner": MARKER, "clientType": MARKER, "status": MARKER, "top": MARKER, "x": MARKER},
        {
            "?": "query-parameter-unknown",
            "?owner": "not-a-guid",
            "?clientType": "not-one-of",
            "?status": "not-one-of",
            "?top": "out-of-range",
        },
        "invalid-query",
    ),
}


@pytest.mark.parametrize(("query", "faults", "code"), LISTS.values(), ids=LISTS)
def test_a_bad_query_is_refused_with_every_fault_and_without_its_values(
    query: dict[str, str], faults: dict[str, str], code: str
) -> None:
    answer = World().call(web.list_registrations, Call("/api/registrations", query=urlencode(query)))
    problem = json.loads(answer.body)
    assert (answer.status, answer.content_type, problem["code"]) == (400, "application/problem+json", code)
    assert {fault["pointer"]: fault["code"] for fault in problem.get("errors", [])} == faults
    assert MARKER not in answer.body


ODD_IDS = ["", MARKER, f"{'0' * 8}-{OWNER}", "../x", f"{'0' * 8}-{OWNER}\n", "٣" * 8, "x" * 5000, "\ud800"]


@pytest.mark.parametrize(
    "handle",
    [web.show_registration, web.retry_registration, web.rotate_registration, web.delete_registration],
    ids=["show", "retry", "rotate", "delete"],
)
@pytest.mark.parametrize("registration_id", ODD_IDS, ids=ascii)
def test_an_unknown_registration_is_not_found_whatever_its_id(handle: Any, registration_id: str) -> None:
    answer = World().call(handle, Call("/api/registrations/x", registration_id=registration_id))
    assert (answer.status, json.loads(answer.body)["code"]) == (404, "registration-not-found")
    assert answer.message is None
    assert MARKER not in answer.body


CHANGES: dict[str, tuple[dict[str, Any], Any, dict[str, str]]] = {
    "nothing": (a_service_client(), {}, {"#": "required"}),
    "a list": (a_service_client(), [], {"#": "required"}),
    "an owner who is none": (a_service_client(), {"owner": MARKER}, {"#/owner": "not-a-guid"}),
    "no owner": (a_service_client(), {"owner": None}, {"#/owner": "required"}),
    "a client type": (a_service_client(), {"clientType": "public"}, {"#/clientType": "field-not-changeable"}),
    "an unknown field": (a_service_client(), {MARKER: 1}, {f"#/{MARKER}": "field-not-changeable"}),
    "a field that could be a secret": (a_service_client(), {f"{MARKER} ~!": 1}, {"#": "field-not-changeable"}),
    "redirect URIs of a service client": (
        a_service_client(),
        {"redirectUris": ["https://app.contoso.example/cb"]},
        {"#/redirectUris": "field-not-changeable"},
    ),
    "a log-out URL of a public client": (
        a_public_client(),
        {"logoutUrl": "https://app.contoso.example/out"},
        {"#/logoutUrl": "field-not-changeable"},
    ),
    "a name that is taken out": (a_service_client(), {"displayName": None}, {"#/displayName": "required"}),
    "a name that is too long": (a_service_client(), {"displayName": "x" * 121}, {"#/displayName": "wrong-length"}),
    "a contact that is none": (a_service_client(), {"contact": MARKER}, {"#/contact": "not-an-email-address"}),
    "a redirect URI that is none": (
        a_confidential_client(),
        {"redirectUris": [f"http://{MARKER}.example/cb"]},
        {"#/redirectUris/0": "uri-not-https"},
    ),
    "everything at once": (
        a_confidential_client(),
        {"displayName": "", "contact": MARKER, "resource": MARKER},
        {"#/displayName": "wrong-length", "#/contact": "not-an-email-address", "#/resource": "field-not-changeable"},
    ),
}


@pytest.mark.parametrize(("registered", "body", "faults"), CHANGES.values(), ids=CHANGES)
def test_a_bad_change_is_refused_with_every_fault_and_changes_nothing(
    registered: dict[str, Any], body: Any, faults: dict[str, str]
) -> None:
    world = World()
    world.registered(a_resource())
    registration_id = world.registered(registered)["registrationId"]
    row = world.row(registration_id)
    answer = world.change(registration_id, body)
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"], answer.message) == (400, "invalid-request", None)
    assert {fault["pointer"]: fault["code"] for fault in problem["errors"]} == faults
    assert world.row(registration_id) == row


@pytest.mark.parametrize("body", [[], {"revokePrevious": "yes"}, {"revokePrevious": None}, {"revoke": True}, "x"])
def test_a_bad_rotation_is_refused_and_rotates_nothing(body: Any) -> None:
    world = World()
    world.registered(a_resource())
    registration_id = world.registered(a_service_client())["registrationId"]
    answer = world.rotate(registration_id, body)
    problem = json.loads(answer.body)
    assert (answer.status, problem["code"], answer.message) == (400, "invalid-request", None)
    assert [fault["code"] for fault in problem["errors"]] == ["wrong-type"]
    assert not world.row(registration_id).pending


def test_only_a_failed_registration_is_retried() -> None:
    world = World()
    registered = world.registered(a_resource())
    before = traces(world)
    answer = world.retry(registered["registrationId"])
    assert (answer.status, json.loads(answer.body)["code"]) == (409, "registration-not-failed")
    assert (traces(world), answer.message) == (before, None)


# --- the table is complete ------------------------------------------------------------------------------------------

SOURCES = ("intake", "fields", "faults", "uris", "names", "certificates", "calls", "web", "submit", "alter")
NAMED_ELSEWHERE = {
    "registration-not-found": "above: an unknown registration is not found",
    "registration-not-failed": "above: only a failed registration is retried",
    **dict.fromkeys(
        (
            "registration-not-active",
            "registration-holds-no-secret",
            "registration-in-progress",
            "operation-in-progress",
        ),
        "tests/unit/flow/test_life_*.py: each refused while it is so",
    ),
    **dict.fromkeys(
        (
            "body-not-expected",
            "condition-not-supported",
            "encoding-not-supported",
            "idempotency-key-not-supported",
            "invalid-if-match",
            "query-parameter-repeated",
            "registration-changed",
        ),
        "tests/unit/api/test_calls.py: what is not fully understood is refused",
    ),
    **dict.fromkeys(
        ("foreign-page", "not-the-owner", "owner-not-yours", "role-required"),
        "tests/unit/api/test_admit.py: who is let in, and for whom",
    ),
}
_CODE = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")
_ARGUMENT = {"Fault": 1, "fault": 0, "RequestRejected": 1}


def codes_in(source: str) -> Iterator[str]:
    """Yield the error codes that a module can produce: where one is an argument, and where pydantic's become ours."""
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _ARGUMENT:
            position = _ARGUMENT[node.func.id]
            yield from texts(node.args[position]) if len(node.args) > position else ()
        if isinstance(node, ast.Dict):
            for value in node.values:
                if isinstance(value, ast.Tuple):
                    yield from texts(value.elts[0])
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name) and node.targets[0].id == "code":
            yield from texts(node.value)


def texts(node: ast.expr) -> Iterator[str]:
    match node:
        case ast.Constant(value=str(text)) if _CODE.fullmatch(text):
            yield text
        case ast.IfExp(body=body, orelse=orelse):
            yield from texts(body)
            yield from texts(orelse)


def known_codes() -> set[str]:
    package = Path(web.__file__).parents[1]
    sources = [path for path in package.rglob("*.py") if path.stem in SOURCES]
    assert {path.stem for path in sources} == set(SOURCES)
    return {code for path in sources for code in codes_in(path.read_text())}


def test_every_error_code_that_a_caller_can_meet_is_explained() -> None:
    explained = Path("docs/api.md").read_text() + Path("docs/operations.md").read_text()
    assert {code for code in known_codes() if f"`{code}`" not in explained} == set()


def test_every_error_code_that_a_caller_can_meet_is_in_the_table() -> None:
    known = known_codes()
    assert {"required", "uri-host", "not-json", "idempotency-key-reused", "wrong-type", "not-one-of"} <= known
    assert len(known) >= 45
    shown = set(NAMED_ELSEWHERE)
    for bad in BAD.values():
        shown |= {
            bad.code,
            *(code for codes in bad.faults.values() for code in ([codes] if isinstance(codes, str) else codes)),
        }
    for _, faults, code in LISTS.values():
        shown |= {code, *faults.values()}
    for _, _, faults in CHANGES.values():
        shown |= set(faults.values())
    assert known - shown == set()
