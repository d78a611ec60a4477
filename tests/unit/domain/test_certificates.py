"""A certificate is read strictly, and a private key that comes with one leaves no trace."""

import json
import logging
import math
import re
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ed25519

from provisioning.domain.certificates import (
    as_base64,
    certificate_faults,
    holds_private_key,
    normalise_certificate,
    thumbprint,
    validity,
    validity_faults,
)
from provisioning.domain.credentials import credential_expires_at
from provisioning.domain.intake import dump, fingerprint, parse
from tests.worlds.certificates import BEGINS, YEAR, Pair, a_certificate, a_key, as_pem
from tests.worlds.request_bodies import OWNER, a_confidential_client, a_public_client, a_resource, a_service_client
from tests.worlds.world import World

GOOD = a_certificate()
MANAGED = "https://ws-svc.fhir.azurehealthcareapis.com"


def codes(text: str) -> list[str]:
    return [fault.code for fault in certificate_faults(text)]


def with_certificate(pem: str, **fields: Any) -> dict[str, Any]:
    return a_service_client(credential={"type": "certificate", "certificate": pem}, **fields)


# --- what is taken --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        GOOD.pem,
        GOOD.pem.strip(),
        GOOD.pem.replace("\n", "\r\n"),
        f"\n\n{GOOD.pem}\n",
        GOOD.pem.replace("\n", " ").strip(),
        as_pem(GOOD.der),
    ],
    ids=["as tools write it", "without the last line's end", "CRLF", "blank lines", "on one line", "76 a line"],
)
def test_one_certificate_is_taken_and_written_in_one_way(text: str) -> None:
    assert codes(text) == []
    assert normalise_certificate(text) == GOOD.pem
    assert fingerprint(parse(with_certificate(text))) == fingerprint(parse(with_certificate(GOOD.pem)))


def test_what_is_known_of_a_certificate_is_what_tools_show() -> None:
    assert thumbprint(GOOD.pem) == GOOD.certificate.fingerprint(hashes.SHA256()).hex().upper()
    assert validity(GOOD.pem) == (BEGINS, BEGINS + 2 * YEAR)
    assert as_base64(GOOD.pem) == "".join(GOOD.pem.splitlines()[1:-1])


def test_a_key_of_4096_bits_is_taken() -> None:
    assert codes(a_certificate(size=4096).pem) == []


MODULUS, PRIME = a_key().public_key().public_numbers().n, a_key().private_numbers().p
MERSENNE = {exponent: 2**exponent - 1 for exponent in (521, 607, 1279, 2203, 2281, 3217, 4253, 4423)}


def of_modulus(*factors: int) -> str:
    return a_certificate(modulus=math.prod(factors)).pem


BAD = {
    "nothing": ("", "certificate-not-pem"),
    "a word": ("certificate", "certificate-not-pem"),
    "base64 alone": (as_base64(GOOD.pem), "certificate-not-pem"),
    "a backslash and an n": (GOOD.pem.replace("\n", "\\n"), "certificate-not-pem"),
    "a text before": (f"Bag Attributes\n{GOOD.pem}", "certificate-not-pem"),
    "in lower case": (GOOD.pem.lower(), "certificate-not-pem"),
    "another label": (as_pem(GOOD.der, "TRUSTED CERTIFICATE"), "certificate-not-pem"),
    "twice": (GOOD.pem + GOOD.pem, "certificate-chain"),
    "a chain": (GOOD.pem + a_certificate(BEGINS, YEAR).pem, "certificate-chain"),
    "an empty one": (as_pem(b""), "certificate-unreadable"),
    "other bytes": (as_pem(b"no certificate"), "certificate-unreadable"),
    "cut off": (as_pem(GOOD.der[:-1]), "certificate-unreadable"),
    "a byte too many": (as_pem(GOOD.der + b"x"), "certificate-unreadable"),
    "padding in the middle": (GOOD.pem.replace("MII", "MI=", 1), "certificate-unreadable"),
    "padding that nothing needs": (GOOD.pem.replace("\n-----END", "=\n-----END"), "certificate-unreadable"),
    "nested without end": (as_pem(b"\x30\x80" * 5000), "certificate-unreadable"),
    "over 16 KB": (as_pem(b"x" * 16_000), "certificate-too-large"),
    "16 KB": ("x" * 16_384, "certificate-not-pem"),
    "16 KB and a byte": ("x" * 16_385, "certificate-too-large"),
    "a small key": (a_certificate(size=1024).pem, "certificate-key"),
    "a key on a curve": (a_certificate(curve=True).pem, "certificate-key"),
    "signed with SHA-1": (a_certificate(sha1=True).pem, "certificate-signature"),
    "an even modulus": (of_modulus(2, MODULUS), "certificate-key"),
    "a modulus with a small factor": (of_modulus(1999, MODULUS), "certificate-key"),
    "the square of a prime": (of_modulus(PRIME, PRIME), "certificate-key"),
    "the fifth power of a prime": (of_modulus(*[MERSENNE[521]] * 5), "certificate-key"),
    "a power of a tiny prime": (of_modulus(*[2003] * 211), "certificate-key"),
    "a modulus beyond 16,384 bits": (of_modulus(*MERSENNE.values()), "certificate-key"),
}


@pytest.mark.parametrize(("text", "code"), BAD.values(), ids=BAD)
def test_anything_else_is_refused_by_one_code(text: str, code: str) -> None:
    assert codes(text) == [code]


def test_a_modulus_of_almost_16384_bits_is_taken_and_judged_in_less_than_a_second() -> None:
    pem = of_modulus(*(MERSENNE[each] for each in (2203, 2281, 3217, 4253, 4423)))
    began = time.thread_time()
    assert codes(pem) == []
    assert time.thread_time() - began < 1


def test_a_small_key_and_a_weak_signature_are_told_at_once() -> None:
    assert codes(a_certificate(size=1024, sha1=True).pem) == ["certificate-key", "certificate-signature"]


# --- time -----------------------------------------------------------------------------------------------------------

ENDS = BEGINS + 2 * YEAR


@pytest.mark.parametrize(
    ("now", "expected"),
    [
        (BEGINS - timedelta(minutes=5, seconds=1), ["certificate-not-yet-valid"]),
        (BEGINS - timedelta(minutes=5), []),
        (ENDS - timedelta(days=7), []),
        (ENDS - timedelta(days=6, hours=23), ["certificate-ends-too-soon"]),
        (ENDS, ["certificate-expired"]),
        (ENDS + YEAR, ["certificate-expired"]),
    ],
)
def test_a_certificate_must_be_valid_for_a_week(now: datetime, expected: list[str]) -> None:
    assert [fault.code for fault in validity_faults(GOOD.pem, now)] == expected


def test_its_end_is_told_to_whoever_sends_notices() -> None:
    world = World()
    world.registered(a_resource())
    ids = {
        name: world.registered(body)["registrationId"]
        for name, body in {
            "certificate": with_certificate(GOOD.pem),
            "federated": a_service_client(
                credential={"type": "federated", "issuer": "https://token.example", "subject": "s"}
            ),
            "secret": a_service_client(),
            "confidential": a_confidential_client(),
            "public": a_public_client(),
        }.items()
    }
    ends = {name: credential_expires_at(world.row(each)) for name, each in ids.items()}
    secret_ends = world.clock.now() + timedelta(days=180)
    assert ends == {
        "certificate": datetime(2028, 1, 1, tzinfo=UTC),
        "federated": None,
        "secret": secret_ends,
        "confidential": secret_ends,
        "public": None,
    }


# --- a private key leaves no trace ----------------------------------------------------------------------------------


def private_keys() -> dict[str, str]:
    """Private keys as people paste them."""
    curve = a_certificate(curve=True)
    edwards = ed25519.Ed25519PrivateKey.generate()
    pems = {
        "RSA, PKCS #8": GOOD.private_pem,
        "RSA, PKCS #1": GOOD.private("TraditionalOpenSSL"),
        "RSA, encrypted": GOOD.private("PKCS8", b"password"),
        "RSA, encrypted as of old": GOOD.private("TraditionalOpenSSL", b"password"),
        "RSA, OpenSSH": GOOD.private("OpenSSH"),
        "EC": curve.private_pem,
        "EC, SEC 1": curve.private("TraditionalOpenSSL"),
        "Ed25519": Pair(GOOD.certificate, edwards).private_pem,
    }
    lines = {name: pem.splitlines() for name, pem in pems.items()}
    known = {name: "".join(each[1:-1]) for name, each in lines.items() if "as of old" not in name}
    return {
        **pems,
        **{f"{name}, on one line": pem.replace("\n", " ").strip() for name, pem in pems.items()},
        **{f"{name}, without white space": "".join(each) for name, each in lines.items()},
        **{f"{name}, base64 alone": body for name, body in known.items()},
        **{f"{name}, base64 in lower-case words": f"key is {body}" for name, body in known.items()},
        "in lower case": GOOD.private_pem.lower(),
        "in PGP": "-----BEGIN PGP PRIVATE KEY BLOCK----- xyz",
        "of SSH 2": "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----",
        "cut off": "-----BEGIN RSA PRIVATE KEY",
        "its end alone": "abc -----END EC PRIVATE KEY-----",
    }


@pytest.mark.parametrize("text", private_keys().values(), ids=private_keys())
def test_a_private_key_is_known_in_every_form_that_people_paste(text: str) -> None:
    assert holds_private_key(text)
    assert holds_private_key(f"Our key: {text} Thanks!")


@pytest.mark.parametrize(
    "text",
    [
        *("", "Rotates the private key weekly", "a private key -- of ours", "BEGIN", "PRIVATE", "x" * 60_000),
        *(GOOD.pem, as_base64(GOOD.pem), a_certificate(curve=True).pem, GOOD.pem.replace("\n", " "), "M" * 60_000),
        *("https://fhir.contoso.example/" + "A" * 64, OWNER.replace("-", "")),
    ],
)
def test_nothing_else_is_taken_for_one(text: str) -> None:
    assert not holds_private_key(text)


def places(text: str) -> dict[str, dict[str, Any]]:
    """A request with the text in each place that a request has."""
    client = {"resource": MANAGED}
    federated = {"type": "federated", "issuer": "https://token.example", "subject": "s"}
    return {
        "as certificate": with_certificate(text, **client),
        "behind a certificate": with_certificate(GOOD.pem + text, **client),
        "before a certificate": with_certificate(text + GOOD.pem, **client),
        "in disguise": with_certificate(as_pem(text.encode()), **client),
        "as secret": a_service_client(credential={"type": "secret", "certificate": text}, **client),
        "as name": a_service_client(credential={"type": "certificate", text: GOOD.pem}, **client),
        "as type": a_service_client(credential={"type": text}, **client),
        "as credential": a_service_client(credential=text, **client),
        "as claim": a_service_client(credential={**federated, "subject": text}, **client),
        "among claims": a_service_client(credential={**federated, "subjects": ["s", text]}, **client),
        "as display name": a_resource(displayName=text),
        "as description": a_resource(description=text),
        "as reference": a_resource(serviceManagementReference=text),
        "as resource": a_service_client(resource=text),
        "as scope": a_resource(scopes=[text]),
        "as redirect URI": a_public_client(redirectUris=[f"https://app.contoso.example/{text}"], **client),
        "as contact": a_resource(contact=text),
        "as client type": a_resource(clientType=text),
        "in an unknown field": a_resource(privateKey={"of": [text]}),
        "as unknown field": a_resource(**{text: 1}),
    }


def lines_of(text: str) -> list[str]:
    return [line for line in re.split(r"[\s-]+", text) if len(line) > 24]


@pytest.mark.parametrize("query", [{}, {"dryRun": "true"}], ids=["POST", "dry run"])
@pytest.mark.parametrize("form", ["RSA, PKCS #8", "Ed25519, on one line", "EC, SEC 1, base64 alone"])
@pytest.mark.parametrize("place", places(""))
def test_a_private_key_in_any_place_leaves_no_trace(
    place: str, form: str, query: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    world, key = World(), private_keys()[form]
    answer = world.post(places(key)[place], key="k", query=query)
    assert answer.status == 400
    faults = json.loads(answer.body)["errors"]
    if place != "in disguise":
        assert {fault["code"] for fault in faults} == {"private-key"}
    registry: Any = world.registry
    left = [answer.body, repr(answer.headers), caplog.text, repr(registry.rows), repr(registry.entries)]
    left += [repr(registry.names), repr(world.queue), repr(world.emulator.calls)]
    assert lines_of(key)
    assert not [line for line in lines_of(key) for text in left if line in text]
    assert registry.rows == {}


def test_a_private_key_in_a_change_is_refused_and_changes_nothing() -> None:
    world, key = World(), private_keys()["Ed25519, on one line"]
    registration_id = world.registered(a_resource())["registrationId"]
    row = world.row(registration_id)
    for body in ({"displayName": key}, {"description": f"x {key}"}, {"owner": key}, {key: 1}, [key], key):
        answer = world.change(registration_id, body)
        assert (answer.status, {fault["code"] for fault in json.loads(answer.body)["errors"]}) == (400, {"private-key"})
        assert not [line for line in lines_of(key) if line in answer.body]
    assert world.row(registration_id) == row


# --- cold start -----------------------------------------------------------------------------------------------------


def test_the_library_is_loaded_for_the_first_certificate_and_not_before() -> None:
    script = (
        "import json, sys; from provisioning.api import web; from provisioning.domain import intake, credentials\n"
        f"body = json.loads({json.dumps(json.dumps(a_service_client()))})\n"
        "intake.parse(body); print('cryptography' in sys.modules)\n"
        f"body['credential'] = {{'type': 'certificate', 'certificate': {GOOD.pem!r}}}\n"
        "intake.parse(body); print('cryptography' in sys.modules)\n"
    )
    ran = subprocess.run(  # noqa: S603 -- this very interpreter
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, timeout=60
    )
    assert ran.stdout.split() == ["False", "True"]


def test_what_is_stored_of_a_certificate_is_the_certificate_and_nothing_around_it() -> None:
    stored = dump(parse(with_certificate(f"\r\n{GOOD.pem}\r\n")))["credential"]
    assert stored == {"type": "certificate", "certificate": GOOD.pem}
    assert re.fullmatch(r"-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----\n", GOOD.pem)
