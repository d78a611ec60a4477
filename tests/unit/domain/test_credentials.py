"""What a client signs in with: what it is called in Entra, which of it may go, and what of it is told."""

from dataclasses import replace
from datetime import timedelta
from typing import Any, Final

import pytest

from provisioning.domain.certificates import as_base64, thumbprint, validity
from provisioning.domain.credentials import (
    credential_expires_at,
    exchanged_credentials,
    given_up,
    is_named_after,
    is_named_ours,
    is_usable,
    name_of,
    shown_credential,
    told_credential,
    trusted_tokens,
)
from provisioning.domain.directory import CertificateThere, TrustedToken
from provisioning.domain.intake import parse
from provisioning.domain.registration import Registration
from tests.unit.domain.test_manifest import TENANT
from tests.worlds.request_bodies import a_public_client, a_service_client
from tests.worlds.variants import CERTIFICATE, FEDERATED, ID, NOW, OTHER_CERTIFICATE, SUBJECTS, full, row

NAME: Final = f"fhir-registrar-{ID}"
BY_DEFAULT: Final = TENANT.token_exchange_audience
ISSUER: Final = FEDERATED["issuer"]
PEM: Final = str(CERTIFICATE["certificate"])


def client(credential: dict[str, Any]) -> Registration:
    return row(parse(a_service_client(credential=credential)))


def test_one_subject_has_the_name_of_the_registration_and_of_several_each_has_its_own() -> None:
    assert trusted_tokens(client(FEDERATED), TENANT) == (TrustedToken(NAME, ISSUER, "workload", BY_DEFAULT),)
    several = client({**SUBJECTS, "audience": "api://x"})
    first, second = trusted_tokens(several, TENANT)
    assert (first.subject, second.subject, first.audience) == ("workload", "another", "api://x")
    assert first.name == name_of(several, "workload") != second.name
    assert len(first.name) == len(NAME) + len("-") + 16
    for other in ({"type": "secret"}, CERTIFICATE):
        assert trusted_tokens(client(other), TENANT) == ()


def test_a_name_of_ours_is_known_and_whether_it_is_that_of_this_very_subject() -> None:
    mine = client(SUBJECTS)
    token = TrustedToken(name_of(mine, "workload"), ISSUER, "workload", BY_DEFAULT)
    assert is_named_after(mine, token)
    assert not is_named_after(mine, replace(token, subject="another"))
    ours = [
        name for name in (NAME, f"{NAME}-x", f"{NAME}x", "by-hand") if is_named_ours(mine, replace(token, name=name))
    ]
    assert ours == [NAME, f"{NAME}-x"]


def there(
    key: str, ends: timedelta, label: str = "registrar:x", begins: timedelta = timedelta(days=-9)
) -> CertificateThere:
    return CertificateThere("id", label, key, NOW + begins, NOW + ends)


NOTHING, DAY, SECOND = timedelta(), timedelta(days=1), timedelta(seconds=1)


@pytest.mark.parametrize(
    ("certificate", "usable"),
    [
        (there("current", DAY), True),
        (there("other", DAY), False),
        (there("current", NOTHING), False),
        (there("current", SECOND), True),
        (there("current", DAY, begins=NOTHING), True),
        (there("current", DAY, begins=SECOND), False),
    ],
)
def test_a_certificate_is_usable_from_its_beginning_on_and_not_at_its_end(
    certificate: CertificateThere, *, usable: bool
) -> None:
    assert is_usable([there("x", DAY), certificate], "current", NOW) is usable
    assert not is_usable([], "current", NOW)


@pytest.mark.parametrize(
    ("since", "current", "expected"),
    [
        (NOW, there("current", DAY), ["ended"]),
        (NOW - DAY + SECOND, there("current", DAY), ["ended"]),
        (NOW - DAY, there("current", DAY), ["old", "ended"]),
        (NOW - DAY, there("current", NOTHING), []),
    ],
    ids=["just now", "a second before the overlap ends", "as it ends", "the current one does not work"],
)
def test_a_certificate_of_ours_may_go_once_it_ended_or_another_one_works_for_the_overlap(
    since: Any, current: CertificateThere, expected: list[str]
) -> None:
    others = [there("old", SECOND), there("ended", NOTHING), there("by-hand", NOTHING, "somebody's")]
    assert [each.key for each in given_up([current, *others], "current", NOW, since, DAY)] == expected


def test_what_a_change_adds_and_takes_away_is_told_as_graph_has_it() -> None:
    one, two = ({"issuer": ISSUER, "subject": each, "audiences": [BY_DEFAULT]} for each in ("workload", "another"))
    assert exchanged_credentials(client(FEDERATED), client(SUBJECTS), TENANT) == {
        "credentials": {"added": [two], "removed": []}
    }
    assert exchanged_credentials(client(SUBJECTS), client({**FEDERATED, "subject": "another"}), TENANT) == {
        "credentials": {"added": [], "removed": [one]}
    }
    assert exchanged_credentials(client(SUBJECTS), client(SUBJECTS), TENANT) == {}
    before, after = (
        {"type": "AsymmetricX509Cert", "usage": "Verify", "thumbprint": thumbprint(each["certificate"])}
        for each in (CERTIFICATE, OTHER_CERTIFICATE)
    )
    assert exchanged_credentials(client(CERTIFICATE), client(OTHER_CERTIFICATE), TENANT) == {
        "credentials": {"added": [after], "removed": [before]}
    }


def test_a_certificate_is_told_by_its_thumbprint_and_its_end_and_never_by_its_text() -> None:
    told = {"type": "certificate", "thumbprint": thumbprint(PEM), "expiresAt": "2027-01-01T00:00:00Z"}
    assert told_credential(CERTIFICATE) == shown_credential(client(CERTIFICATE), TENANT) == told
    assert CERTIFICATE["certificate"] == PEM
    assert told_credential(FEDERATED) == FEDERATED
    assert shown_credential(client(FEDERATED), TENANT) == {**FEDERATED, "audience": BY_DEFAULT}
    assert shown_credential(client({**FEDERATED, "audience": "api://x"}), TENANT) == {
        **FEDERATED,
        "audience": "api://x",
    }
    assert shown_credential(client({"type": "secret"}), TENANT) == {"type": "secret"}
    assert shown_credential(row(parse(a_public_client())), TENANT) is None


def test_a_credential_ends_with_its_certificate_or_as_its_secret_does() -> None:
    secret = full(client({"type": "secret"}))
    assert secret.secret is not None
    assert credential_expires_at(secret) == secret.secret.expires_at
    assert credential_expires_at(replace(secret, request=client(CERTIFICATE).request)) == validity(PEM)[1]
    assert credential_expires_at(client(FEDERATED)) is None
    assert as_base64(PEM) in PEM.replace("\n", "")
