import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.domain.front_door import front_door

TENANT = "aaaaaaaa-0000-4000-8000-000000000001"
API = "bbbbbbbb-0000-4000-8000-000000000002"


def configuration(**changes: Any) -> dict[str, Any]:
    """What App Service holds for an API that is set up as the documents of this service say."""
    content: dict[str, Any] = {
        "platform": {"enabled": True, "runtimeVersion": "~1"},
        "globalValidation": {
            "requireAuthentication": True,
            "unauthenticatedClientAction": "Return401",
            "excludedPaths": ["/api/health", "/api/docs", "/api/openapi.json"],
        },
        "identityProviders": {
            "azureActiveDirectory": {
                "enabled": True,
                "registration": {
                    "openIdIssuer": f"https://login.microsoftonline.com/{TENANT}/v2.0",
                    "clientId": API,
                    "clientSecretSettingName": "OVERRIDE_USE_MI_FIC_ASSERTION_CLIENTID",
                },
                "validation": {
                    "allowedAudiences": [f"api://{API}"],
                    "defaultAuthorizationPolicy": {"allowedApplications": [API]},
                },
            }
        },
    }
    for path, value in changes.items():
        place = content
        *parents, last = path.split("__")
        for step in parents:
            place = place[step]
        if value is None:
            del place[last]
        else:
            place[last] = value
    return content


ENTRA = "identityProviders__azureActiveDirectory"


def seen(content: Any, enabled: str = "True", legacy: str = "") -> tuple[str, ...]:
    return front_door(enabled, content if isinstance(content, str) else json.dumps(content), legacy, TENANT).faults


def test_the_platform_that_is_set_up_as_documented_vouches() -> None:
    for content in (configuration(), {"properties": configuration()}):
        found = front_door("true", json.dumps(content), "", TENANT.upper())
        assert found.vouches
        assert found.audiences == {API, f"api://{API}"}


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"platform__enabled": False}, "platform.enabled"),
        ({"platform__enabled": "false"}, "platform.enabled"),
        ({"platform": None}, "platform.enabled"),
        ({"globalValidation__requireAuthentication": False}, "requireAuthentication"),
        ({"globalValidation": None}, "requireAuthentication"),
        ({"globalValidation__unauthenticatedClientAction": "AllowAnonymous"}, "unauthenticatedClientAction"),
        ({"globalValidation__excludedPaths": ["/api/health", "/api/registrations"]}, "excludedPaths"),
        ({"globalValidation__excludedPaths": ["/api/*"]}, "excludedPaths"),
        ({"globalValidation__excludedPaths": ["/"]}, "excludedPaths"),
        ({f"{ENTRA}__enabled": False}, "azureActiveDirectory"),
        ({f"{ENTRA}__registration__clientId": None}, "azureActiveDirectory"),
        ({ENTRA: None}, "azureActiveDirectory"),
        ({f"{ENTRA}__registration__openIdIssuer": "https://login.microsoftonline.com/common/v2.0"}, "openIdIssuer"),
        ({f"{ENTRA}__validation__defaultAuthorizationPolicy": None}, "allowedApplications"),
        ({f"{ENTRA}__validation__defaultAuthorizationPolicy": {"allowedApplications": []}}, "allowedApplications"),
    ],
    ids=str,
)
def test_each_setting_that_lets_somebody_in_is_named(changes: dict[str, Any], named: str) -> None:
    faults = seen(configuration(**changes))
    assert any(named in fault for fault in faults), faults


@pytest.mark.parametrize("enabled", ["", "false", "False", "0", "yes"])
def test_a_platform_that_is_off_vouches_for_nobody(enabled: str) -> None:
    [fault] = seen(configuration(), enabled)
    assert fault.startswith("WEBSITE_AUTH_ENABLED")


def test_renamed_claims_are_not_read() -> None:
    [fault] = seen(configuration(), legacy="True")
    assert fault.startswith("WEBSITE_AUTH_USE_LEGACY_CLAIMS")


json_values = st.recursive(
    st.none() | st.booleans() | st.text(max_size=5),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=5), inner),
)


@given(st.one_of(st.text(max_size=50), json_values.map(json.dumps)))
def test_whatever_is_no_configuration_vouches_for_nobody(content: str) -> None:
    assert seen(content) != ()


@given(st.sampled_from(["platform", "globalValidation", "identityProviders"]), json_values)
def test_a_part_of_another_shape_vouches_for_nobody_and_raises_nothing(part: str, value: Any) -> None:
    assert seen(configuration() | {part: value}) != ()
