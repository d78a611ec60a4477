"""The token endpoint takes an assertion only from who holds the key of a certificate, for itself, now."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes

from dev.emulator import Emulator
from dev.emulator.client import Client, ManualClock
from dev.emulator.sts.assertions import TYPE
from tests.worlds.certificates import Pair, a_certificate

BEGINS = datetime(2029, 1, 1, tzinfo=UTC)
PAIR = a_certificate(BEGINS, timedelta(days=400))
OTHER = a_certificate(BEGINS, timedelta(days=401))


class Signer:
    """A client with one certificate."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.client = Client(Emulator(now=self.clock.now, sleep=self.clock.sleep))
        key = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": base64.b64encode(PAIR.der).decode()}
        self.client_id = self.client.create(keyCredentials=[key])["appId"]
        self.client.graph("POST", "/servicePrincipals", {"appId": self.client_id})
        emulator = self.client.emulator
        self.endpoint = f"{emulator.origin}/{emulator.tenant_id}/oauth2/v2.0/token"

    def assertion(
        self, *, algorithm: str = "PS256", named: Pair | None = PAIR, old: bool = False, **changes: Any
    ) -> str:
        now = int(self.clock.now().timestamp())
        claims = {"aud": self.endpoint, "iss": self.client_id, "sub": self.client_id, "nbf": now, "exp": now + 600}
        claims = {name: value for name, value in (claims | changes).items() if value is not None}
        digest: Any = hashes.SHA1() if old else hashes.SHA256()  # noqa: S303 -- names a certificate
        headers: dict[str, Any] = {}
        if named is not None:
            text = base64.urlsafe_b64encode(named.certificate.fingerprint(digest)).rstrip(b"=").decode()
            headers["x5t" if old else "x5t#S256"] = text
        return jwt.encode(claims, PAIR.key, algorithm=algorithm, headers=headers)

    def refusal(self, assertion: str, **form: str) -> tuple[int, str, int] | None:
        form = {"client_assertion": assertion, "client_assertion_type": TYPE, **form}
        response = self.client.sign_in(self.client_id, "", **form)
        body = response.json()
        return None if response.status_code == 200 else (response.status_code, body["error"], body["error_codes"][0])


@pytest.fixture
def signer() -> Signer:
    return Signer()


@pytest.mark.parametrize("algorithm", ["RS256", "PS256"])
def test_an_assertion_signed_with_the_key_of_the_certificate_signs_in(signer: Signer, algorithm: str) -> None:
    for old in (False, True):
        assert signer.refusal(signer.assertion(algorithm=algorithm, old=old)) is None


REFUSED: dict[str, tuple[dict[str, Any], int]] = {
    "another certificate": ({"named": OTHER}, 700027),
    "no certificate": ({"named": None}, 700027),
    "RS384": ({"algorithm": "RS384"}, 50027),
    "PS512": ({"algorithm": "PS512"}, 50027),
    "for somebody else": ({"aud": "https://elsewhere.example"}, 700023),
    "for nobody": ({"aud": None}, 700027),
    "about somebody else": ({"sub": "another"}, 700021),
    "by somebody else": ({"iss": "another"}, 70021),
    "without end": ({"exp": None}, 50027),
    "ended": ({"exp": 1}, 700024),
    "not begun": ({"nbf": 4_000_000_000, "exp": 4_000_000_600}, 700024),
}


@pytest.mark.parametrize(("changes", "number"), REFUSED.values(), ids=REFUSED)
def test_any_other_assertion_is_refused(signer: Signer, changes: dict[str, Any], number: int) -> None:
    assert signer.refusal(signer.assertion(**changes)) == (401, "invalid_client", number)


def test_a_signature_of_another_key_is_refused(signer: Signer) -> None:
    head, _, rest = signer.assertion().partition(".")
    claims, _, _ = rest.partition(".")
    forged = jwt.encode({}, a_certificate(size=3072).key, algorithm="PS256").rpartition(".")[2]
    assert signer.refusal(f"{head}.{claims}.{forged}") == (401, "invalid_client", 700027)


def test_what_is_no_token_or_of_another_type_is_refused(signer: Signer) -> None:
    assert signer.refusal("no token") == (401, "invalid_client", 50027)
    assert signer.refusal(signer.assertion(), client_assertion_type="") == (400, "invalid_request", 900144)


def test_a_certificate_that_has_ended_signs_nobody_in(signer: Signer) -> None:
    signer.clock.sleep(timedelta(days=40).total_seconds())
    assert signer.refusal(signer.assertion()) == (401, "invalid_client", 700027)


def test_an_application_is_not_born_with_a_certificate_that_is_missing_or_has_ended(signer: Signer) -> None:
    ended = base64.b64encode(a_certificate(BEGINS, timedelta(days=30)).der).decode()
    for key, code in ((None, "Request_BadRequest"), (ended, "KeyCredentialsInvalidEndDate")):
        body = {"type": "AsymmetricX509Cert", "usage": "Verify", "key": key}
        response = signer.client.graph("POST", "/applications", {"displayName": "x", "keyCredentials": [body]})
        assert (response.status_code, response.json()["error"]["code"]) == (400, code)
