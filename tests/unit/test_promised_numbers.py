"""Numbers that documents promise, or that a platform sets: each stands here once more, so that none changes unnoticed.

A test of what depends on such a number takes it from the code, and so goes on to pass when the number is another.
"""

import importlib
from datetime import timedelta
from typing import Final

import pytest

SECOND, MINUTE, HOUR, DAY = timedelta(seconds=1), timedelta(minutes=1), timedelta(hours=1), timedelta(days=1)

# What callers, owners and operators are told: design, docs/api.md, docs/limits.md, docs/operations.md.
TOLD: Final = {
    "domain.approval.LAPSES_AFTER": 14 * DAY,
    "domain.names.HELD_FOR": 30 * DAY,
    "domain.certificates.SHORTEST_REST_OF_LIFE": 7 * DAY,
    "flow.conclude.GIVEN_UP_AFTER": DAY,
    "flow.plan.STALLED_AFTER": 2 * MINUTE,
    "flow.plan.DUE_AGAIN_AFTER": 30 * MINUTE,
    "flow.delete.DELETED_AFTER": 5 * MINUTE,
    "flow.rotate.REPLICATED_AFTER": HOUR,
    "flow.check.LISTED_AFTER": HOUR,
    "flow.run.TOLD_AFTER": 5 * SECOND,
    "flow.grant.SHOWS_WITHIN": 30 * SECOND,
    "adapters.graph.REMEMBERED_FOR": 10 * MINUTE,
    "adapters.graph.REFUSAL_REMEMBERED_FOR": HOUR,
    "adapters.people.REMEMBERED_FOR": 10 * MINUTE,
    "adapters.people.DENIAL_REMEMBERED_FOR": HOUR,
    "adapters.app_roles.DENIAL_REMEMBERED_FOR": HOUR,
    "adapters.policy.READ_AGAIN_AFTER": MINUTE,
    "api.ready.KEPT_FOR": 30 * SECOND,
    "api.prefer.LONGEST_WAIT": 20,
    "api.answers.POLL_AFTER": 2,
    "api.calls.LARGEST_BODY": 64 * 1024,
    "api.calls.DEFAULT_TOP": 50,
    "api.calls.LARGEST_TOP": 200,
    "domain.policy_document.LARGEST_POLICY": 256 * 1024,
    "domain.policy.MOST_RULES": 200,
}
# What Entra, Graph, Key Vault and Table storage allow: reference pages named where each is used.
PLATFORM: Final = {
    "domain.uris.MOST_REDIRECT_URIS": 256,
    "domain.uris.LONGEST_REDIRECT_URI": 256,
    "domain.uris.LONGEST_LOGOUT_URL": 255,
    "domain.uris.LONGEST_ISSUER": 600,
    "domain.names.LONGEST_IDENTIFIER_URI": 255,
    "domain.fields.MOST_PERMISSIONS": 400,
    "domain.fields.MOST_SUBJECTS": 20,
    "domain.fields.LONGEST_CLAIM": 600,
    "domain.entitlements.LONGEST_CONSENT_NAME": 100,
    "domain.callers.GROUPS_IN_A_TOKEN": 200,
    "domain.certificates.SHORTEST_KEY": 2048,
    "domain.certificates.LONGEST_KEY": 16384,
    "adapters.graph.PAGE": 100,
    "adapters.app_roles.PAGE": 100,
    "adapters.signing_keys.CLOCK_SKEW": 5 * MINUTE,
    "adapters.pace.WINDOW": 150 * SECOND,
    "flow.rotate.MOST_CREDENTIALS": 10,
    "flow.reconcile.PAGE": 100,
}


@pytest.mark.parametrize(("name", "value"), (TOLD | PLATFORM).items(), ids=TOLD | PLATFORM)
def test_a_number_that_others_rely_on_is_what_they_were_told(name: str, value: object) -> None:
    module, _, constant = name.rpartition(".")
    assert getattr(importlib.import_module(f"provisioning.{module}"), constant) == value
