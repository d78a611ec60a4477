"""Of any request: it is the same however it is spelt and stored, and no fault repeats what it said."""

import json
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from provisioning.domain.durations import parse_duration
from provisioning.domain.errors import RequestRejected
from provisioning.domain.intake import SERVER_ROLES, dump, fingerprint, parse, restore
from tests.unit.domain.any_requests import EVERY_FIELD, accepted, bodies, thorough
from tests.unit.domain.refusals import faults_of
from tests.worlds.certificates import a_certificate
from tests.worlds.request_bodies import MARKER, REQUESTS, a_confidential_client, a_resource, a_service_client

# Many examples of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover


@thorough
@given(bodies)
@example(a_resource(fhirServerUrl="https://[2001:db8::1]/fhir"))
def test_a_normalised_request_is_accepted_as_it_is(body: dict[str, Any]) -> None:
    assume(accepted(body))
    request = parse(body)
    assert parse(json.loads(json.dumps(dump(request)))) == request


@thorough
@given(bodies)
def test_a_stored_request_is_restored_as_it_was(body: dict[str, Any]) -> None:
    assume(accepted(body))
    request = parse(body)
    stored = json.loads(json.dumps(dump(request)))
    assert restore(stored) == request
    assert dump(restore(stored)) == stored


@pytest.mark.parametrize(
    "stored",
    [
        a_resource(fhirServerUrl="http://an.older.rule", scopes=["a b"]),
        a_confidential_client(redirectUris=["http://an.older.rule#x"], contact="nobody", displayName="x" * 500),
        a_service_client(secretLifetime="P9999D", appRoles=["a", "a"]),
        a_service_client(credential={"type": "federated", "issuer": "http://an.older.rule", "subject": "*"}),
        a_service_client(credential={"type": "certificate", "certificate": a_certificate(size=1024).pem}),
    ],
    ids=["resource", "confidential", "service", "federated", "certificate"],
)
def test_what_was_accepted_once_stays_readable_when_rules_are_tightened(stored: dict[str, Any]) -> None:
    assert not accepted(stored)
    restored = dump(restore(stored))
    assert {name: restored[name] for name in stored} == stored


@thorough
@given(bodies, bodies)
def test_two_requests_have_the_same_fingerprint_exactly_when_they_are_the_same(
    first: dict[str, Any], second: dict[str, Any]
) -> None:
    assume(accepted(first) and accepted(second))
    requests = parse(first), parse(second)
    same = dump(requests[0]) == dump(requests[1])
    assert (fingerprint(requests[0]) == fingerprint(requests[1])) is same


def respelt(body: Mapping[str, Any]) -> dict[str, Any]:
    """Say the same in other words: order, case, default port, defaults written out, nulls for what is not sent."""
    again = dict(reversed(list(body.items())))
    again["owner"] = again["owner"].swapcase()
    if "fhirServerUrl" in again:
        scheme, _, rest = again["fhirServerUrl"].partition("://")
        host, slash, path = rest.partition("/")
        again["fhirServerUrl"] = f"{scheme.upper()}://{host.swapcase()}{slash}{path}".removesuffix("/") + "/"
        again.setdefault("accessTokenVersion", 1)
        again.setdefault("scopes", ["user_impersonation"])
        again.setdefault("appRoles", list(SERVER_ROLES))
    if again.get("secretLifetime"):
        again["secretLifetime"] = f"PT{int(parse_duration(again['secretLifetime']).total_seconds())}S"
    if again["clientType"] == "service":
        if again.get("credential", {}).get("type", "secret") == "secret":
            again["credential"] = {"type": "secret"}
        again.setdefault("appRoles", [])
    if again["clientType"] == "confidential":
        again.setdefault("autoRotate", False)
        again.setdefault("logoutUrl", None)
        again.setdefault("scopes", None)
    again.setdefault("description", None)
    return again


@thorough
@given(bodies)
def test_a_request_keeps_its_fingerprint_however_it_is_spelt(body: dict[str, Any]) -> None:
    assume(accepted(body))
    assert fingerprint(parse(respelt(body))) == fingerprint(parse(body))


hostile_strings = st.one_of(
    st.just(MARKER),
    st.text(max_size=5).map(lambda text: MARKER + text),
    st.text(max_size=5).map(lambda text: text + MARKER),
    st.sampled_from([f"https://{MARKER}", f"https://{MARKER}.example/#", f"{MARKER}@x.example\n", f"P{MARKER}D"]),
    st.sampled_from([f"patient/{MARKER}", f".{MARKER}", f"javascript:{MARKER}", "{" + MARKER + "}", MARKER * 100]),
)
hostile_values = st.recursive(
    hostile_strings,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "a", "b"]), inner, max_size=2),
    max_leaves=4,
)
hostile_bodies = st.fixed_dictionaries(
    {"clientType": st.sampled_from([*REQUESTS, MARKER])},
    optional=dict.fromkeys(sorted(EVERY_FIELD - {"clientType"}), hostile_values),
)


@thorough
@given(hostile_bodies)
def test_no_fault_repeats_a_value(body: dict[str, Any]) -> None:
    with pytest.raises(RequestRejected) as caught:
        parse(body)
    told = [caught.value.code, caught.value.message, str(caught.value), *map(repr, caught.value.faults)]
    assert caught.value.faults
    assert MARKER not in "".join(told)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)


@thorough
@given(
    st.one_of(
        json_values,
        st.builds(
            lambda body, name, value: {**body, name: value},
            bodies,
            st.sampled_from(sorted(EVERY_FIELD)) | st.text(max_size=6),
            json_values,
        ),
    )
)
def test_any_json_is_accepted_or_refused_with_reasons_and_never_an_error(body: object) -> None:
    assume(not accepted(body))
    faults = faults_of(body)
    assert faults
    for fault in faults:
        assert fault.pointer.startswith("#")
        assert fault.code == fault.code.lower().replace("_", "-").strip("-")
        assert fault.message.endswith((".", '."'))
