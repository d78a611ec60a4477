"""One valid request of each client type, whose fields a test exchanges, and a policy of the rules that it gives."""

import json
from collections.abc import Callable, Mapping
from typing import Any, Final

OWNER = "11111111-2222-4333-8444-555555555555"
OTHER_OWNER = "99999999-2222-4333-8444-555555555555"
MANAGED = "https://ws-svc.fhir.azurehealthcareapis.com"
MARKER = "qzmarkerqz"  # sent where it must not come back


def a_resource(**fields: Any) -> dict[str, Any]:
    """A valid request for a resource application."""
    return _request("resource", **{"fhirServerUrl": "https://fhir.contoso.example"} | fields)


def a_confidential_client(**fields: Any) -> dict[str, Any]:
    """A valid request for a confidential client of the FHIR server above."""
    return _request(
        "confidential",
        **{"resource": "https://fhir.contoso.example", "redirectUris": ["https://app.contoso.example/cb"]} | fields,
    )


def a_public_client(**fields: Any) -> dict[str, Any]:
    """A valid request for a single-page application of the FHIR server above."""
    defaults = {
        "resource": "https://fhir.contoso.example",
        "platform": "spa",
        "redirectUris": ["https://spa.contoso.example/cb"],
    }
    return _request("public", **defaults | fields)


def a_service_client(**fields: Any) -> dict[str, Any]:
    """A valid request for a service client of the FHIR server above."""
    return _request("service", **{"resource": "https://fhir.contoso.example", "appRoles": ["globalReader"]} | fields)


def _request(client_type: str, **fields: Any) -> dict[str, Any]:
    common = {"displayName": f"A {client_type}", "owner": OWNER, "contact": "team@contoso.example"}
    return {"clientType": client_type} | common | fields


REQUESTS: Final[dict[str, Callable[..., dict[str, Any]]]] = {
    "resource": a_resource,
    "confidential": a_confidential_client,
    "public": a_public_client,
    "service": a_service_client,
}


def a_policy(*rules: Mapping[str, Any], **fields: Any) -> bytes:
    """A valid policy of these rules, as a document."""
    content = {"version": "test-1", "exceptions": "Write to policy@contoso.example.", "rules": list(rules)}
    return json.dumps(content | fields).encode()
