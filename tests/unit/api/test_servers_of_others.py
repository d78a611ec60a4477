"""FHIR servers that others have, had lately, or may alone claim: refused alike, but to those who may know of others."""

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from provisioning.api.answers import Answer
from provisioning.domain.callers import Caller, CallerKind, Role
from tests.worlds.clock import DAY
from tests.worlds.request_bodies import MANAGED, a_policy, a_resource
from tests.worlds.servers import FOR_ALICES_TEAM, WHYS, freed, taken
from tests.worlds.signed_in import ALICE, ENTRA, MALLORY, OTHER_TEAM, TEAM
from tests.worlds.steps import body_of, code_of, post_as
from tests.worlds.world import World

MANAGER = Caller("3a9a9e60-0000-4000-8000-00000000000a", CallerKind.USER, frozenset({Role.MANAGE_ALL}), name="Manager")
NAMES = {"id": "names", "kind": "displayName", "pattern": "FHR-.*"}


@pytest.mark.parametrize("query", ["", "dryRun=true"])
def test_a_server_that_another_has_had_lately_or_may_alone_claim_is_refused_alike(query: str) -> None:
    answers, asked = [], []
    for why in WHYS.values():
        world = World(settings=ENTRA, rules=[])
        why(world)
        calls: list[str] = []
        world.outside = noting(calls)
        answers.append(post_as(world, MALLORY, a_resource(owner=OTHER_TEAM), query))
        # To claim a name that is taken are two requests: one that would write, and one that reads whose it is.
        asked.append(sum(2 if each == "registry.claim" else 1 for each in calls if each.startswith("registry.")))
    assert {each.status for each in answers} == {409}
    assert {code_of(each) for each in answers} == {"fhir-server-not-available"}
    assert len({without_trace(each) for each in answers}) == 1
    assert len(set(asked)) == 1, "how long it takes tells nothing"


def noting(calls: list[str]) -> Callable[[str, Callable[[], Any]], Any]:
    def outside(name: str, action: Callable[[], Any]) -> Any:
        calls.append(name)
        return action()

    return outside


def without_trace(answer: Answer) -> str:
    """The answer but for its trace, which is another one for each call."""
    body = {name: value for name, value in json.loads(answer.body).items() if name != "traceId"}
    headers = {name: value for name, value in answer.headers.items() if name != "traceparent"}
    return json.dumps([body, headers], sort_keys=True)


def test_ones_own_duplicate_says_so_and_what_ones_own_team_had_lately_is_free() -> None:
    world = World(settings=ENTRA, rules=[FOR_ALICES_TEAM])
    taken(world)
    assert code_of(post_as(world, ALICE, a_resource(owner=TEAM))) == "fhir-server-already-registered"
    world = World(settings=ENTRA, rules=[FOR_ALICES_TEAM])
    freed(world)
    assert post_as(world, ALICE, a_resource(owner=TEAM), "dryRun=true").status == 200
    assert post_as(world, ALICE, a_resource(owner=TEAM)).status == 202


def test_who_may_know_of_others_registrations_is_told_the_reason() -> None:
    codes = []
    for why in WHYS.values():
        world = World(settings=ENTRA, rules=[])
        why(world)
        codes.append(code_of(post_as(world, MANAGER, a_resource(owner=OTHER_TEAM))))
    assert codes == ["fhir-server-already-registered", "fhir-server-held", "refused-by-policy"]


def test_a_server_that_was_freed_is_held_for_its_last_owner_for_thirty_days() -> None:
    world = World(settings=ENTRA, rules=[])
    freed(world)
    world.clock.time += 30 * DAY - timedelta(minutes=5)
    assert post_as(world, MALLORY, a_resource(owner=OTHER_TEAM)).status == 409
    world.clock.time += timedelta(minutes=10)
    assert post_as(world, MALLORY, a_resource(owner=OTHER_TEAM)).status == 202


def test_a_claim_of_its_last_owner_that_comes_to_nothing_does_not_end_the_hold() -> None:
    world = World(settings=ENTRA, rules=[])
    freed(world)
    world.policy = a_policy({"id": "none", "kind": "registrations", "most": 0, "owners": {"include": [TEAM]}})
    world.clock.time += timedelta(minutes=1)
    assert post_as(world, ALICE, a_resource(owner=TEAM)).status == 403
    assert code_of(post_as(world, MALLORY, a_resource(owner=OTHER_TEAM))) == "fhir-server-not-available"
    world.policy = a_policy()
    world.clock.time += timedelta(minutes=1)
    assert post_as(world, ALICE, a_resource(owner=TEAM)).status == 202


def test_what_else_is_wrong_is_told_before_a_server_is_refused_that_others_may_claim() -> None:
    world = World(settings=ENTRA, rules=[FOR_ALICES_TEAM, NAMES])
    answer = post_as(world, MALLORY, a_resource(owner=OTHER_TEAM))
    assert [each["rule"] for each in body_of(answer)["errors"]] == ["names"]
    answer = post_as(world, MALLORY, a_resource(owner=OTHER_TEAM, displayName="FHR-1"))
    assert code_of(answer) == "fhir-server-not-available"


@pytest.mark.parametrize("url", [MANAGED, "https://payments.example"])
def test_a_name_of_microsoft_or_of_the_operators_list_is_whose_the_policy_names_and_nobodys_else(url: str) -> None:
    settings = ENTRA | {"ALLOWED_RESOURCES": "https://payments.example"}
    host = url.removeprefix("https://")
    named = {**FOR_ALICES_TEAM, "hosts": {"include": [host]}}
    everywhere = {**FOR_ALICES_TEAM, "hosts": {"include": ["*"]}}
    for rules, codes in (
        ([], ["invalid-request", "invalid-request"]),
        ([everywhere], ["invalid-request", "invalid-request"]),
        ([named], ["", "invalid-request"]),
    ):
        world = World(settings=settings, rules=rules)
        answers = [
            post_as(world, caller, a_resource(owner=owner, fhirServerUrl=url))
            for caller, owner in ((ALICE, TEAM), (MALLORY, OTHER_TEAM))
        ]
        assert [code_of(each) if each.status != 202 else "" for each in answers] == codes
        refused = [each for answer in answers if answer.status == 400 for each in body_of(answer)["errors"]]
        assert {each["code"] for each in refused} == {"name-not-claimable"}
