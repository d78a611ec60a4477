"""Conditions that last: what passes is waited out, however long; what does not pass fails at once with its remedy."""

import pytest

from dev.emulator import Fault
from provisioning.domain.registration import Status
from tests.faults.conditions import CLIENTS, REFUSALS, SECRET_HOLDERS, begin, calls, submit
from tests.faults.schedules import replay
from tests.worlds.request_bodies import REQUESTS

# Many runs of what other tests cover already: tracing them would double the time.
pytestmark = pytest.mark.no_cover

LAGS = (0, 1, 2, 5, 10, 15, 30, 45, 60, 90, 120)


@pytest.mark.parametrize("client_type", CLIENTS)
def test_under_a_replication_lag_it_takes_the_lag_one_back_off_step_and_the_proof(client_type: str) -> None:
    for lag in LAGS:
        for replicas in (1, 2, 5):
            replay(f"{client_type}: lag {lag} s, {replicas} replicas, told as alternate")


@pytest.mark.parametrize("form", ["badRequest", "forbidden"])
@pytest.mark.parametrize("client_type", CLIENTS)
def test_not_replicated_yet_is_waited_out_in_whichever_words_entra_says_it(client_type: str, form: str) -> None:
    for lag in (10, 90):
        replay(f"{client_type}: lag {lag} s, 1 replicas, told as {form}")


@pytest.mark.parametrize("wavering", [0, 60])
@pytest.mark.parametrize("seconds", [20, 600])
@pytest.mark.parametrize("client_type", SECRET_HOLDERS)
def test_a_secret_that_is_known_late_is_published_once_it_is_proven(
    client_type: str, seconds: int, wavering: int
) -> None:
    replay(f"{client_type}: secret known after {seconds} s, wavering for {wavering} s")


@pytest.mark.parametrize("status", [409, 503])
@pytest.mark.parametrize("seconds", [10, 300])
def test_concurrent_writes_are_waited_out_and_leave_one_credential(seconds: int, status: int) -> None:
    for client_type in CLIENTS:
        replay(f"{client_type}: concurrent with any write for {seconds} s, told as {status}")
    for client_type in SECRET_HOLDERS:
        replay(f"{client_type}: concurrent with credential write for {seconds} s, told as {status}")


@pytest.mark.parametrize("number", [1, 3])
@pytest.mark.parametrize("client_type", SECRET_HOLDERS)
def test_a_secret_that_entra_loses_is_never_published_and_another_is_minted(client_type: str, number: int) -> None:
    replay(f"{client_type}: {number} secrets lost at once")


def test_a_secret_that_entra_loses_after_it_was_published_had_been_proven() -> None:
    world = begin("service")
    world.emulator.faults.set(inline_secret_refused=True)
    world.emulator.faults.add(Fault("lostUpdate", seconds=60))
    row = submit(world, "service")
    world.settle()
    assert world.row(row.id).status is Status.ACTIVE
    assert world.violations == []
    assert calls(world, "token.clientCredentials") == [200, 200, 200]


@pytest.mark.parametrize("client_type", REQUESTS)
def test_an_outage_of_graph_for_half_a_day_ends_active_once_it_is_over(client_type: str) -> None:
    replay(f"{client_type}: no Graph for 780 min")


@pytest.mark.parametrize("client_type", SECRET_HOLDERS)
@pytest.mark.parametrize("what", ["vault", "token endpoint"])
def test_an_outage_of_the_vault_or_the_token_endpoint_ends_active_once_it_is_over(client_type: str, what: str) -> None:
    replay(f"{client_type}: no {what} for 780 min")


@pytest.mark.parametrize("minutes", [1, 90])
@pytest.mark.parametrize("client_type", CLIENTS)
def test_a_hiccup_of_the_identity_endpoint_is_never_taken_for_a_missing_identity(
    client_type: str, minutes: int
) -> None:
    replay(f"{client_type}: no identity for {minutes} min")


@pytest.mark.parametrize("direction", ["ahead", "behind"])
@pytest.mark.parametrize("client_type", CLIENTS)
def test_a_clock_that_is_five_minutes_wrong_does_no_harm(client_type: str, direction: str) -> None:
    replay(f"{client_type}: our clock 5 min {direction}")


@pytest.mark.parametrize("why", REFUSALS)
def test_a_permanent_refusal_fails_in_one_delivery_and_is_active_once_mended_and_retried(why: str) -> None:
    for client_type in REFUSALS[why].concerns:
        replay(f"{client_type}: refused by {why}")


@pytest.mark.parametrize("seconds", [0, 90])
@pytest.mark.parametrize("then", ["recovered", "purged"])
@pytest.mark.parametrize("client_type", SECRET_HOLDERS)
def test_a_deleted_secret_fails_with_its_remedy_and_is_active_once_recovered_or_purged(
    client_type: str, then: str, seconds: int
) -> None:
    replay(f"{client_type}: vault secret deleted, then {then}, each in {seconds} s")


@pytest.mark.parametrize("client_type", CLIENTS)
@pytest.mark.parametrize(("ids", "then"), [("unknown", "restored"), ("unknown", "purged"), ("known", "restored")])
def test_an_application_that_was_deleted_half_way_fails_only_after_a_day_and_names_both_causes(
    client_type: str, ids: str, then: str
) -> None:
    replay(f"{client_type}: application deleted while its ids are {ids}, then {then}")
