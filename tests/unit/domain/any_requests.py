"""Requests of every client type as anybody may send them, most of which are accepted."""

from collections.abc import Mapping
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st

from provisioning.domain.errors import RequestRejected
from provisioning.domain.intake import SERVER_ROLES, parse
from tests.worlds.certificates import a_certificate
from tests.worlds.request_bodies import OWNER

thorough = settings(max_examples=120, deadline=None, derandomize=True, database=None)
slow = settings(max_examples=60, deadline=None, derandomize=True, database=None)
COMMON = {"clientType", "displayName", "owner", "contact", "description", "serviceManagementReference", "callbackUrl"}
FIELDS = {
    "resource": COMMON | {"fhirServerUrl", "scopes", "appRoles", "accessTokenVersion", "acceptMappedClaims"},
    "confidential": COMMON
    | {"redirectUris", "resource", "scopes", "logoutUrl", "secretLifetime", "autoRotate"}
    | {"acceptMappedClaims"},
    "public": COMMON | {"platform", "redirectUris", "resource", "scopes", "acceptMappedClaims"},
    "service": COMMON | {"resource", "appRoles", "credential", "secretLifetime"},
}
EVERY_FIELD = {*FIELDS["resource"], *FIELDS["confidential"], *FIELDS["public"], *FIELDS["service"]}
FEDERATED = {"type": "federated", "issuer": "https://Token.example/Tenant/", "subject": "Repo:A/b:Environment:Prod"}


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


plain_text = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs", "Zs", "Zl", "Zp"]), min_size=1)
names = st.from_regex(
    r"[A-Za-z0-9:!#%&*+,/;<=>?@^_`{|}~'()$\[\]-][A-Za-z0-9:!#%&*+,./;<=>?@^_`{|}~'()$\[\]-]{0,119}", fullmatch=True
)
name_lists = st.lists(st.one_of(names, st.sampled_from(["globalReader", "User_Impersonation", "s" * 120])), max_size=6)
durations = st.one_of(
    st.integers(38, 180).map("P{}D".format),
    st.integers(37 * 24 + 1, 180 * 24).map("PT{}H".format),
    st.sampled_from(["P90D", "PT2160H", "P0089DT24H"]),
)
https_uris = st.one_of(
    st.sampled_from(
        ["https://a.example", "https://A.Example/", "https://a.example/cb", "https://a.example:443/cb?x=%20"]
    ),
    st.from_regex(
        r"https://[a-z0-9]{1,20}(\.[A-Z]{1,9}){0,2}(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~@:+=&%%*-]{0,20}){0,2}",
        fullmatch=True,
    ),
    st.sampled_from(["http://localhost:1/a", "http://localhost:2/b", "http://127.0.0.1", "https://[2001:db8::1]/"]),
)
native_uris = st.one_of(https_uris, st.sampled_from(["com.ex://auth", "com.ex:/a?b", "urn:a:b", "a:b", "com.ex:?q"]))
common = st.fixed_dictionaries(
    {
        "displayName": plain_text.filter(lambda text: len(text) <= 60),
        "owner": st.uuids().map(str) | st.uuids().map(lambda owner: str(owner).upper()) | st.just(OWNER),
        "contact": st.from_regex(r"[a-z0-9.'+]{1,64}@[a-z0-9-]{1,63}\.[a-z]{1,63}", fullmatch=True),
    },
    optional={
        "description": st.none() | plain_text.filter(lambda text: len(text) <= 512) | st.just("é" * 1024),
        "serviceManagementReference": st.none() | st.uuids().map(str),
    },
)
SERVER = "https://fhir.contoso.example"


def client(required: Mapping[str, Any], **fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    always = st.fixed_dictionaries({"resource": st.just(SERVER), **required})
    return st.tuples(common, always, optional(**fields)).map(lambda parts: {**parts[0], **parts[1], **parts[2]})


resource_bodies = st.tuples(
    common,
    st.fixed_dictionaries(
        {
            "clientType": st.just("resource"),
            "fhirServerUrl": st.sampled_from([SERVER, SERVER.upper().replace("HTTPS", "https") + "/", f"{SERVER}:443"])
            | st.from_regex(
                r"https://[a-z]{1,9}(\.[a-zA-Z]{1,9}){0,2}(:[1-9][0-9]{0,3})?(/[A-Za-z0-9._~-]{1,9}){0,2}/?",
                fullmatch=True,
            )
            | st.sampled_from(["https://[2001:db8::1]/x", "https://10.0.0.1", "https://a.example./"]),
        },
        optional={"scopes": name_lists, "appRoles": name_lists, "accessTokenVersion": st.sampled_from([1, 2])},
    ),
).map(lambda parts: {**parts[0], **parts[1]})
federated_credentials = st.fixed_dictionaries(
    {"type": st.just("federated"), "issuer": https_uris, "subject": st.text(min_size=1, max_size=8)}
)
CERTIFICATE = {"type": "certificate", "certificate": a_certificate().pem}
client_bodies = st.one_of(
    client(
        {"clientType": st.just("confidential"), "redirectUris": st.lists(https_uris, min_size=1, max_size=4)},
        scopes=st.none() | st.sampled_from([["user_impersonation"], ["openid", "user_impersonation"]]),
        logoutUrl=st.none() | https_uris,
        secretLifetime=st.none() | durations,
        autoRotate=st.booleans(),
    ),
    client(
        {
            "clientType": st.just("public"),
            "platform": st.sampled_from(["spa", "native"]),
            "redirectUris": st.lists(native_uris, min_size=1, max_size=4),
        },
        scopes=st.none() | st.sampled_from([["user_impersonation"], ["openid", "user_impersonation"]]),
    ),
    client(
        {"clientType": st.just("service")},
        appRoles=st.lists(st.sampled_from(SERVER_ROLES), unique=True),
        credential=st.sampled_from([{}, {"type": "secret"}]) | federated_credentials | st.just(CERTIFICATE),
        secretLifetime=st.none() | durations,
    ),
)
bodies = st.one_of(resource_bodies, client_bodies)


def accepted(body: object) -> bool:
    try:
        parse(body)
    except RequestRejected:
        return False
    return True
