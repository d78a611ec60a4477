"""A certificate is read strictly, and a private key that comes with one leaves no trace."""

import json
import logging
import re
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives import hashes

from provisioning.domain.certificates import (
    as_base64,
    certificate_faults,
    normalise_certificate,
    thumbprint,
    validity,
    validity_faults,
)
from provisioning.domain.credentials import credential_expires_at
from provisioning.domain.intake import dump, fingerprint, parse
from tests.worlds.certificates import BEGINS, YEAR, a_certificate, as_pem
from tests.worlds.request_bodies import a_confidential_client, a_public_client, a_resource, a_service_client
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
    "nested without end": (as_pem(b"\x30\x80" * 5000), "certificate-unreadable"),
    "over 16 KB": (as_pem(b"x" * 16_000), "certificate-too-large"),
    "a small key": (a_certificate(size=1024).pem, "certificate-key"),
    "a key on a curve": (a_certificate(curve=True).pem, "certificate-key"),
    "signed with SHA-1": (a_certificate(sha1=True).pem, "certificate-signature"),
    "a private key behind": (GOOD.pem + GOOD.private_pem, "certificate-private-key"),
    "a private key alone": (GOOD.private_pem, "certificate-private-key"),
    "an RSA private key": (GOOD.private("TraditionalOpenSSL"), "certificate-private-key"),
    "an encrypted private key": (GOOD.private("PKCS8", b"password"), "certificate-private-key"),
    "an EC private key": (a_certificate(curve=True).private("TraditionalOpenSSL"), "certificate-private-key"),
    "a private key in lower case, over 16 KB": (GOOD.private_pem.lower() + "x" * 20_000, "certificate-private-key"),
}


@pytest.mark.parametrize(("text", "code"), BAD.values(), ids=BAD)
def test_anything_else_is_refused_by_one_code(text: str, code: str) -> None:
    assert codes(text) == [code]


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


@pytest.mark.parametrize(
    "body",
    [
        with_certificate(GOOD.pem + GOOD.private_pem),
        with_certificate(GOOD.private_pem + GOOD.pem),
        with_certificate(GOOD.private("TraditionalOpenSSL")),
        with_certificate(as_pem("".join(GOOD.private_pem.splitlines()[1:-1]).encode())),
        a_service_client(credential={"type": "secret", "certificate": GOOD.private_pem}),
        a_service_client(credential={"type": "certificate", GOOD.private_pem: GOOD.pem}),
        a_service_client(credential={"type": GOOD.private_pem}),
        a_service_client(credential=GOOD.private_pem),
        a_service_client(credential={"type": "federated", "issuer": GOOD.private_pem, "subject": GOOD.private_pem}),
    ],
    ids=["behind", "before", "alone", "in disguise", "as secret", "as name", "as type", "as credential", "federated"],
)
@pytest.mark.parametrize("query", [{}, {"dryRun": "true"}], ids=["POST", "dry run"])
def test_a_private_key_leaves_no_trace(
    body: dict[str, Any], query: dict[str, str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    world = World()
    answer = world.post({**body, "resource": MANAGED, "appRoles": []}, key="k", query=query)
    assert answer.status == 400
    registry: Any = world.registry
    left = [answer.body, repr(answer.headers), caplog.text, repr(registry.rows), repr(registry.entries)]
    left += [repr(registry.names), repr(world.queue), repr(world.emulator.calls)]
    secret = [line for line in GOOD.private_pem.splitlines() if "-----" not in line]
    assert not [line for line in secret for text in left if line in text]
    assert "PRIVATE" not in "".join(left)
    assert registry.rows == {}


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
