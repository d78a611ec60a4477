"""A managed FHIR service is known by its URL, and nothing else passes for one."""

from collections.abc import Callable

import pytest
from hypothesis import given

from provisioning.domain.uris import managed_fhir_service, managed_fhir_url, server_url_faults
from tests.unit.domain.awkward_uris import any_uris, thorough


@pytest.mark.parametrize(
    ("url", "one_spelling", "service"),
    [
        ("https://ws-svc.fhir.azurehealthcareapis.com", "https://ws-svc.fhir.azurehealthcareapis.com", ("ws", "svc")),
        ("https://ws-svc.fhir.azurehealthcareapis.com/", "https://ws-svc.fhir.azurehealthcareapis.com", ("ws", "svc")),
        (
            "HTTPS://WS1-My-Svc.FHIR.AzureHealthcareAPIs.com:443",
            "https://ws1-my-svc.fhir.azurehealthcareapis.com",
            ("ws1", "my-svc"),
        ),
        ("https://ws-svc.fhir.azurehealthcareapis.us", "https://ws-svc.fhir.azurehealthcareapis.us", ("ws", "svc")),
        ("https://account.azurehealthcareapis.com", "https://account.azurehealthcareapis.com", None),
    ],
    ids=["as the portal shows it", "trailing slash", "case and port", "US government", "Azure API for FHIR"],
)
def test_a_managed_fhir_service_is_known_by_its_url(
    url: str, one_spelling: str, service: tuple[str, str] | None
) -> None:
    assert managed_fhir_url(url) == one_spelling
    assert managed_fhir_service(one_spelling) == service


@pytest.mark.parametrize(
    "url",
    [
        "http://ws-svc.fhir.azurehealthcareapis.com",
        "https://ws-svc.fhir.azurehealthcareapis.com.evil.example",
        "https://evil.example/ws-svc.fhir.azurehealthcareapis.com",
        "https://evil.example/https://ws-svc.fhir.azurehealthcareapis.com",
        "https://ws-svc.fhir.azurehealthcareapis.com@evil.example",
        "https://user@ws-svc.fhir.azurehealthcareapis.com",
        "https://ws-svc.fhir.azurehealthcareapis.com:99999",
        "https://evil.example[v1.fhir.azurehealthcareapis.com]",
        "https://[v1.fhir.azurehealthcareapis.com]",
        "https://ws-svc.fhir.azurehealthcareapis.com\\@evil.example",
        "https://ws-svc.fhir.azurehealthcareapis.com/x https://graph.microsoft.com",
        "https://ws-svc.dicom.azurehealthcareapis.com",
        "https://a.b.azurehealthcareapis.com",
        "https://azurehealthcareapis.com",
        "https://evilazurehealthcareapis.com",
        "https://ws-svc.fhir.azurehealthcareapis.net",
        "https://[ws-svc.fhir.azurehealthcareapis.com",
        "ws-svc.fhir.azurehealthcareapis.com",
        "api://ws-svc.fhir.azurehealthcareapis.com",
        "",
    ],
)
def test_nothing_else_passes_for_a_managed_fhir_service(url: str) -> None:
    assert managed_fhir_url(url) is None


@pytest.mark.parametrize("behind", ["", "/", "/Patient", "/metadata", ":8443"])
def test_whatever_stands_behind_the_host_never_reaches_the_audience_of_a_managed_fhir_service(behind: str) -> None:
    known = managed_fhir_url(f"https://ws-svc.fhir.azurehealthcareapis.com{behind}")
    assert known in (None, "https://ws-svc.fhir.azurehealthcareapis.com")


Judge = Callable[[str], object]


@pytest.mark.parametrize("judge", [managed_fhir_url, lambda url: list(server_url_faults(url))], ids=["managed", "url"])
@thorough
@given(url=any_uris)
def test_no_text_makes_a_judgement_fail(judge: Judge, url: str) -> None:
    judge(url)
