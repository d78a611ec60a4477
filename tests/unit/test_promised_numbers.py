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
    "domain.chat.CODE_LIVES": 10 * MINUTE,
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
    "domain.policy.LONGEST_PATTERN": 256,
    "domain.policy.MOST_PLACES": 1_000_000,
    "domain.errors.MOST_FAULTS": 100,
    "domain.callbacks.LONGEST_CALLBACK_URL": 1024,
    "domain.registration.MOST_FORMER_URIS": 256,
    "domain.registration.MOST_FORMER_PERMISSIONS": 1000,
    "domain.permissions._MOST_SHOWN": 20,
    "flow.grant.LOOKED_AT_AGAIN_AFTER": 2 * MINUTE,
    "flow.grant.LONGEST_PAUSE": DAY,
    "flow.assign.WAITS_UP_TO": 20 * SECOND,
    "flow.notify.CALLBACK_GIVEN_UP_AFTER": 3 * DAY,
    "flow.notify._LONGEST_PAUSE": 6 * HOUR,
    "flow.plan.ENTRY_OUTLIVES_ITS_ROW": 10 * MINUTE,
    "flow.plan.MOST_PER_TURN": 1000,
    "flow.rotate.SPREAD": 10,
    "api.submit.MESSAGE_ON_ITS_WAY": 5 * SECOND,
    "api.lists.SHORTEST_TEXT": 2,
    "api.lists.LONGEST_TEXT": 255,
    "api.lists._LONGEST_LOOK": 5 * SECOND,
    "api.chat.verbs.MOST_LISTED": 10,
    "api.chat.waiting.MOST_TOLD": 50,
    "operator.commands.OVERDUE_AFTER": 10 * MINUTE,
    "operator.commands.MOST_DUE": 1000,
    "operator.rebuild._PATIENCE": 5 * MINUTE,
    "operator.backup._FOR_THEM_ALONE": 0o600,
    "settings._LONGEST_PROOF": 7 * MINUTE,
    "settings._LONGEST_SESSION": DAY,
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
    "adapters.arm.COUNTED_EVERY": HOUR,
    "adapters.arm.MOST_ASSIGNMENTS": 3800,
    "adapters.arm.UNANSWERED": 2,
    "adapters.arm.LEFT_ALONE_FOR": MINUTE,
    "adapters.signing_keys.KEYS_KEPT_FOR": 24 * HOUR,
    "adapters.signing_keys.KEYS_ASKED_AGAIN_AFTER": MINUTE,
    "adapters.owners._IN_ONE_TRANSACTION": 100,
    "adapters.rows._PIECE": 32000,
    "adapters.tokens._NOT_YET": {7000215, 700016, 7000229},
    "adapters.tokens._UNKNOWN_TENANT": {90002, 900023},
    "domain.hosts._LONGEST_HOST": 253,
    "domain.fields._LONGEST_EMAIL": 254,
    "domain.fields._LONGEST_PERMISSION_NAME": 120,
    "domain.teams.LARGEST_BODY": 64 * 1024,
    "domain.teams.OLDEST": 5 * MINUTE,
    "domain.teams.REMEMBERED": HOUR,
    "api.chat.blocks._LONGEST": 3000,
    "api.chat.blocks._LONGEST_NAME": 150,
    "api.chat.blocks._MOST_BLOCKS": 50,
    "flow.rotate.MOST_CREDENTIALS": 10,
    "flow.reconcile.PAGE": 100,
}


@pytest.mark.parametrize(("name", "value"), (TOLD | PLATFORM).items(), ids=TOLD | PLATFORM)
def test_a_number_that_others_rely_on_is_what_they_were_told(name: str, value: object) -> None:
    module, _, constant = name.rpartition(".")
    assert getattr(importlib.import_module(f"provisioning.{module}"), constant) == value
