"""The OpenAPI 3.1 document, put together from its parts, and what holds for every call."""

import functools
from typing import Any, Final

from provisioning.api.openapi.answered import answered
from provisioning.api.openapi.bodies import bodies
from provisioning.api.openapi.operations import paths
from provisioning.api.openapi.parameters import PARAMETERS

VERSION: Final = "0.1.0"


@functools.cache
def describe() -> dict[str, Any]:
    """Return the OpenAPI 3.1 document."""
    sent = bodies()
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "FHIR Registrar",
            "version": VERSION,
            "description": (
                "Self-service Microsoft Entra app registrations for FHIR servers. A request that was accepted ends "
                "`active`, with a credential that is proven to work, or `failed`, with a reason a person can act on. "
                "A secret is only ever in Key Vault. A registration that was deleted stays readable: it is the "
                "evidence of what there was. What is not fully understood is refused, never ignored: a parameter, a "
                "field or a header that a call does not have."
            ),
        },
        "servers": [{"url": "/api"}],
        "security": [{"functionKey": []}, {"bearerToken": []}],
        "paths": paths(),
        "components": {
            "securitySchemes": {
                "functionKey": {
                    "type": "apiKey",
                    "in": "header",
                    "name": "x-functions-key",
                    "description": "A key of the function app, where CALLER_AUTH is `key`. The query parameter `code` "
                    "may have it instead, which logs of proxies then have too.",
                },
                "bearerToken": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "JWT",
                    "description": "An access token of the tenant for this API, where CALLER_AUTH is `entra`. Its app "
                    "roles, object id and groups say what its caller may do. The page of this service has the session "
                    "of the browser instead.",
                },
            },
            "parameters": PARAMETERS,
            "schemas": sent | answered(sent),
        },
    }
