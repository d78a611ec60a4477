"""Bad requests, and all that must be said about each."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from tests.worlds.certificates import BEGINS, YEAR, a_certificate, as_pem
from tests.worlds.request_bodies import (
    MANAGED,
    MARKER,
    OWNER,
    a_confidential_client,
    a_public_client,
    a_resource,
    a_service_client,
)

SERVER = "https://fhir.contoso.example"
DRY_RUN = {"dryRun": "true"}


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
        a_resource(scopes=[MARKER], appRoles=[MARKER.upper()]), {"#/appRoles/0": "role-named-as-scope"}
    ),
    "a scope named as a default role": Bad(a_resource(scopes=["SmartUser"]), {"#/appRoles/6": "role-named-as-scope"}),
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
    "a callback to a host that the operator does not allow": Bad(
        a_resource(callbackUrl=f"https://{MARKER}.example/"), {"#/callbackUrl": "callback-not-allowed"}
    ),
    "a callback by http": Bad(a_resource(callbackUrl=f"http://{MARKER}.example/"), {"#/callbackUrl": "uri-not-https"}),
    "a callback to this machine": Bad(
        a_resource(callbackUrl="https://127.0.0.1/"), {"#/callbackUrl": "uri-not-public"}
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
    "a registration that is none": Bad(
        a_service_client(resource=f"{'0' * 8}-{OWNER}"), {"#/resource": "resource-not-found"}
    ),
    "a role that the resource lacks": Bad(
        a_service_client(appRoles=["globalReader", MARKER]), {"#/appRoles/1": "app-role-not-found"}, **given
    ),
    "scopes that the resource lacks": Bad(
        a_public_client(scopes=[MARKER, "openid", f"{MARKER}.x"]),
        {"#/scopes/0": "scope-not-found", "#/scopes/2": "scope-not-found"},
        **given,
    ),
    "no scope of the resource": Bad(a_public_client(scopes=["openid"]), {"#/scopes": "scope-required"}, **given),
    "data roles of a server of one's own": Bad(
        a_service_client(dataRoles=["FHIR Data Reader"]), {"#/dataRoles": "data-roles-not-offered"}, **given
    ),
    "roles of a managed FHIR service": Bad(a_service_client(resource=MANAGED), {"#/appRoles": "app-role-not-found"}),
    "a scope by its URI": Bad(a_public_client(scopes=[f"api://{MARKER}/x"]), {"#/scopes/0": "name-is-uri"}),
    "a role by its URI": Bad(a_service_client(appRoles=[f"https://{MARKER}/x"]), {"#/appRoles/0": "name-is-uri"}),
    "a scope of OpenID Connect at a resource": Bad(
        a_resource(scopes=["Offline_Access"]), {"#/scopes/0": "openid-scope"}
    ),
    "mapped claims for an audience that anybody could have": Bad(
        a_resource(fhirServerUrl="https://fhir.elsewhere.example", acceptMappedClaims=True),
        {"#/acceptMappedClaims": "mapped-claims-unverified-audience"},
    ),
    "mapped claims without a user": Bad(
        a_service_client(acceptMappedClaims=True), {"#/acceptMappedClaims": "field-not-allowed"}
    ),
    # what a dry run finds out
    "a dry run with a role that the resource lacks": Bad(
        a_service_client(appRoles=[MARKER]), {"#/appRoles/0": "app-role-not-found"}, query=DRY_RUN, **given
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
