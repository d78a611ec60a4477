"""What is read from Key Vault's answers and refusals: what is absent, what passes, and who must act."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.emulator import Fault
from provisioning.domain.errors import ProvisioningError, PublishBoundPassed
from provisioning.domain.registration import NAME_PREFIX
from provisioning.domain.secrets import CurrentSecret, MintedSecret
from provisioning.ports import SecretStore
from tests.worlds.steps import operations, refused_with
from tests.worlds.world import World


@pytest.fixture
def world() -> World:
    return World()


@pytest.fixture
def vault(world: World) -> SecretStore:
    return world.services.vault


def a_secret(world: World) -> MintedSecret:
    now = world.clock.now()
    return MintedSecret("key", now + timedelta(days=1), now - timedelta(minutes=1), text="text")


def published(world: World, name: str = "name", **tags: str) -> CurrentSecret:
    secret = a_secret(world)
    told = {"keyId": secret.key_id, "mintedAt": secret.minted_at.isoformat(), **tags}
    return world.services.vault.publish(name, secret, told, world.clock.now())


UNAVAILABLE, UNKNOWN = "vault-unavailable", "vault-outcome-unknown"


@pytest.mark.parametrize(
    ("status", "theirs", "inner", "ours"),
    [
        (400, "BadParameter", "", ("vault-refused", "vault-refused")),
        (401, "Unauthorized", "", ("no-identity-token", "no-identity-token")),
        (403, "Forbidden", "AccessDenied", ("vault-denied", "vault-denied")),
        (403, "Forbidden", "SecretDisabled", ("vault-secret-disabled", "vault-secret-disabled")),
        (404, "NotFound", "", (UNAVAILABLE, UNKNOWN)),
        (408, "RequestTimeout", "", (UNAVAILABLE, UNKNOWN)),
        (409, "Conflict", "", ("vault-conflict", "vault-conflict")),
        (409, "Conflict", "ObjectIsBeingDeleted", ("vault-secret-deleting", "vault-secret-deleting")),
        (409, "Conflict", "ObjectIsDeletedButRecoverable", ("vault-secret-deleted", "vault-secret-deleted")),
        (429, "Throttled", "", ("vault-throttled", "vault-throttled")),
        (499, "ClientClosed", "", ("vault-refused", "vault-refused")),
        (500, "InternalError", "", (UNAVAILABLE, UNKNOWN)),
    ],
)
def test_a_refusal_of_the_vault_means_what_its_status_and_inner_code_say(
    world: World, status: int, theirs: str, inner: str, ours: tuple[str, str]
) -> None:
    reading, writing = ours
    asks: dict[str, tuple[Callable[[], Any], str]] = {
        "vault.getSecret": (lambda: world.services.vault.current("name"), reading),
        "vault.setSecret": (lambda: published(world), writing),
        "vault.listSecrets": (lambda: world.services.vault.marked(None), reading),
    }
    assert world.services.vault.current("name") is None  # the vault has asked who calls
    for operation, (act, expected) in asks.items():
        fault = Fault("status", operation, status=status, code=theirs, detail=inner, retry_after=7)
        world.emulator.faults.add(fault)
        with pytest.raises(ProvisioningError) as raised:
            act()
        assert raised.value.code == expected
        world.emulator.faults.clear()


@pytest.mark.parametrize(
    "fault", [Fault("throttle", "vault.*", retry_after=40), Fault("status", "vault.*", status=503, retry_after=40)]
)
def test_how_long_the_vault_asks_to_wait_is_told(world: World, vault: SecretStore, fault: Fault) -> None:
    acts: tuple[Callable[[], Any], ...] = (lambda: vault.current("name"), lambda: published(world))
    for act in acts:
        world.emulator.faults.add(fault)
        with pytest.raises(ProvisioningError) as raised:
            act()
        assert getattr(raised.value, "retry_after", None) == 40


def test_an_answer_that_was_lost_is_unknown_where_it_was_a_write(world: World, vault: SecretStore) -> None:
    world.emulator.faults.add(Fault("reset", "vault.*", times=2))
    assert refused_with(lambda: vault.read("name")) == UNAVAILABLE
    assert refused_with(lambda: published(world)) == UNKNOWN
    world.emulator.faults.add(Fault("identityHiccup"))
    assert refused_with(lambda: world.new_process().vault.read("name")) == "no-identity-token"


def test_what_was_published_is_current_and_is_read_back(world: World, vault: SecretStore) -> None:
    assert (vault.current("name"), vault.read("name")) == (None, None)
    made, current, secret = published(world), vault.current("name"), a_secret(world)
    assert made == current
    assert (made.key_id, made.expires_at, made.minted_at) == (secret.key_id, secret.expires_at, secret.minted_at)
    assert made.id == f"{world.settings.tenant.key_vault_url}/secrets/name"
    assert vault.read("name") == secret
    assert world.emulator.vault.get("name")["contentType"] == "Microsoft Entra client secret"


def test_a_secret_of_somebody_else_has_no_key_and_no_end(world: World, vault: SecretStore) -> None:
    world.emulator.vault.set("name", {"value": "theirs"})
    current, read = vault.current("name"), vault.read("name")
    assert current is not None
    assert (current.key_id, current.expires_at, current.tags) == (None, None, {})
    assert current.created_at == world.clock.now()
    assert read == MintedSecret("", datetime.max.replace(tzinfo=UTC), world.clock.now(), text="theirs")


def test_after_its_bound_a_secret_is_not_published_and_the_next_one_has_a_bound_of_its_own(
    world: World, vault: SecretStore
) -> None:
    bound = world.clock.now()
    world.clock.sleep(1)
    with pytest.raises(PublishBoundPassed):
        vault.publish("name", a_secret(world), {}, bound)
    assert operations(world)["vault.setSecret"] == 0
    assert vault.current("name") is None
    assert published(world) == vault.current("name")


def test_what_is_removed_is_gone_and_a_second_time_is_no_error(world: World, vault: SecretStore) -> None:
    published(world)
    world.emulator.faults.set(vault_transition=60)
    for _ in range(2):
        vault.remove("name")
    world.clock.sleep(61)
    vault.remove("name")
    assert vault.current("name") is None
    assert refused_with(lambda: published(world)) == "vault-secret-deleted"
    world.emulator.faults.add(Fault("status", "vault.deleteSecret", status=403, code="Forbidden"))
    assert refused_with(lambda: vault.remove("name")) == "vault-denied"


def test_what_carries_our_name_and_our_mark_is_listed_to_the_last_page(world: World, vault: SecretStore) -> None:
    assert vault.marked(None).registration_ids == ()
    for number in range(3):
        published(world, f"{NAME_PREFIX}{number}", id=str(number))
    published(world, "another", id="another")
    world.emulator.vault.set(f"{NAME_PREFIX}bare", {"value": "text"})
    world.emulator.faults.set(page_size=2)
    ids, token, pages = list[str](), None, 0
    while pages == 0 or token:
        page = vault.marked(token)
        ids, token, pages = [*ids, *page.registration_ids], page.continuation_token, pages + 1
        assert pages < 9
    assert (sorted(ids), pages) == (["0", "1", "2"], 3)


def test_a_next_page_that_cannot_be_asked_for_is_no_end(world: World, vault: SecretStore) -> None:
    def outside(_name: str, action: Callable[[], Any]) -> Any:
        answer = action()
        if answer.status_code == 200:
            link = {"nextLink": f"{world.settings.tenant.key_vault_url}/secrets?api-version=7.6"}
            answer._content = json.dumps(answer.json() | link).encode()  # noqa: SLF001 -- requests has no other way to change one
        return answer

    world.outside = outside
    assert refused_with(lambda: vault.marked(None)) == UNAVAILABLE
