import base64
import json
import uuid
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from provisioning.domain.callers import (
    KEY_HOLDER,
    Caller,
    CallerKind,
    Role,
    caller_of,
    claims_of_token,
    read_principal,
)
from provisioning.domain.errors import RequestRejected

TENANT = "aaaaaaaa-0000-4000-8000-000000000001"
ALICE, BOT, TEAM = (f"{digit * 8}-0000-4000-8000-000000000002" for digit in "abc")
LONG = {
    "oid": "http://schemas.microsoft.com/identity/claims/objectidentifier",
    "tid": "http://schemas.microsoft.com/identity/claims/tenantid",
    "roles": "http://schemas.microsoft.com/ws/2008/06/identity/claims/role",
    "name": "name",
}


def principal(claims: dict[str, Any], names: dict[str, str], **more: Any) -> str:
    listed = [
        {"typ": names.get(name, name), "val": value}
        for name, values in claims.items()
        for value in (values if isinstance(values, list) else [values])
    ]
    content = {"auth_typ": "aad", "name_typ": "name", "role_typ": names.get("roles", "roles"), "claims": listed, **more}
    return base64.b64encode(json.dumps(content).encode()).decode()


USER = {"oid": ALICE, "tid": TENANT, "name": "Alice", "scp": "user_impersonation", "groups": [TEAM]}
APPLICATION = {"oid": BOT, "tid": TENANT, "sub": BOT, "appid": str(uuid.UUID(int=9))}
ROLES = [str(Role.CREATE), str(Role.READ_ALL)]


@pytest.mark.parametrize("names", [{}, LONG], ids=["token store off", "token store on"])
@pytest.mark.parametrize(
    ("claims", "expected"),
    [
        (USER, Caller(ALICE, CallerKind.USER, frozenset(), frozenset({TEAM}), "Alice")),
        (APPLICATION, Caller(BOT, CallerKind.APPLICATION)),
    ],
    ids=["user", "application"],
)
def test_all_four_shapes_of_a_principal_name_the_same_caller(
    claims: dict[str, Any], names: dict[str, str], expected: Caller
) -> None:
    header = principal({**claims, "roles": ROLES}, names)
    found = caller_of(read_principal(header), TENANT)
    assert found == Caller(
        expected.object_id, expected.kind, frozenset({Role.CREATE, Role.READ_ALL}), expected.groups, expected.name
    )


@pytest.mark.parametrize("claims", [USER, APPLICATION], ids=["user", "application"])
def test_a_token_names_the_same_caller_as_its_principal(claims: dict[str, Any]) -> None:
    content = {**claims, "roles": ROLES, "exp": 1, "ver": "2.0"}
    assert caller_of(claims_of_token(content), TENANT) == caller_of(
        read_principal(principal(content | {"exp": "1"}, {})), TENANT
    )


@pytest.mark.parametrize(("told", "kind"), [("app", CallerKind.APPLICATION), ("user", CallerKind.USER)])
def test_what_a_token_says_of_its_kind_is_believed_before_it_is_guessed(told: str, kind: CallerKind) -> None:
    assert caller_of(claims_of_token({**APPLICATION, "idtyp": told}), TENANT).kind is kind
    assert caller_of(claims_of_token({**USER, "idtyp": told}), TENANT).kind is kind


@pytest.mark.parametrize(
    "change",
    [
        {"tid": "bbbbbbbb-0000-4000-8000-000000000001"},
        {"tid": None},
        {"oid": None},
        {"oid": "alice@contoso.example"},
        {"oid": [ALICE, BOT]},
        {"tid": [TENANT, "bbbbbbbb-0000-4000-8000-000000000001"]},
    ],
    ids=str,
)
def test_who_has_no_single_object_id_in_this_tenant_is_nobody(change: dict[str, Any]) -> None:
    claims = {name: value for name, value in (USER | change).items() if value is not None}
    with pytest.raises(RequestRejected) as raised:
        caller_of(read_principal(principal(claims, {})), TENANT)
    assert (raised.value.status, raised.value.code) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "overage",
    [
        {"_claim_names": json.dumps({"groups": "src1"}), "_claim_sources": json.dumps({"src1": {"endpoint": "x"}})},
        {"hasgroups": "true"},
    ],
    ids=["a link", "a flag"],
)
def test_a_caller_in_too_many_groups_is_told_so_and_no_link_is_followed(overage: dict[str, str]) -> None:
    claims = {**{name: value for name, value in USER.items() if name != "groups"}, **overage}
    for found in (read_principal(principal(claims, LONG)), claims_of_token(claims)):
        with pytest.raises(RequestRejected) as raised:
            caller_of(found, TENANT)
        assert (raised.value.status, raised.value.code) == (403, "groups-not-in-token")
        assert "ApplicationGroup" in raised.value.message


def test_a_verified_token_with_the_link_as_an_object_is_told_so_too() -> None:
    claims = {"oid": ALICE, "tid": TENANT, "_claim_names": {"groups": "src1"}}
    with pytest.raises(RequestRejected, match="groups"):
        caller_of(claims_of_token(claims), TENANT)


@given(st.one_of(st.text(max_size=200), st.binary(max_size=200).map(lambda raw: base64.b64encode(raw).decode())))
def test_whatever_is_no_principal_is_nobody(header: str) -> None:
    with pytest.raises(RequestRejected) as raised:
        caller_of(read_principal(header), TENANT)
    assert raised.value.status == 401


@pytest.mark.parametrize(
    "content",
    [
        '[{"typ": "oid", "val": "x"}]',
        '{"auth_typ": "aad"}',
        '{"auth_typ": "aad", "claims": {"typ": "oid", "val": "x"}}',
        '{"auth_typ": "aad", "claims": ["oid"]}',
        '{"auth_typ": "aad", "claims": [{"typ": "oid"}]}',
        '{"auth_typ": "aad", "claims": [{"typ": "oid", "val": 1}]}',
        '{"auth_typ": "aad", "claims": [{"typ": null, "val": "x"}]}',
        '{"auth_typ": "aad", "claims": [{"typ": "name", "val": "\\ud800"}]}',
        '{"auth_typ": "aad", "claims": [], "role_typ": 1}',
        '{"auth_typ": ["aad"], "claims": []}',
        "[" * 40_000,
    ],
)
def test_a_principal_of_another_shape_is_refused_and_no_error(content: str) -> None:
    with pytest.raises(RequestRejected) as raised:
        read_principal(base64.b64encode(content.encode()).decode())
    assert raised.value.status == 401


def test_a_header_with_anything_but_base64_in_it_is_no_principal() -> None:
    header = principal(USER, {})
    assert read_principal(header)["oid"] == [ALICE]
    for other in (f"{header[:8]}!{header[8:]}", f"{header[:8]}\n{header[8:]}", f" {header}"):
        with pytest.raises(RequestRejected):
            read_principal(other)


def test_a_principal_may_have_64_kib_and_no_more() -> None:
    room = 64 * 1024 // 4 * 3 - len(base64.b64decode(principal(USER, {}, more="")))
    assert read_principal(principal(USER, {}, more="x" * room))["oid"] == [ALICE]
    with pytest.raises(RequestRejected):
        read_principal(principal(USER, {}, more="x" * (room + 1)))


@pytest.mark.parametrize("provider", ["google", "facebook", "", None])
def test_another_identity_provider_names_nobody(provider: str | None) -> None:
    with pytest.raises(RequestRejected):
        read_principal(principal(USER, {}, auth_typ=provider))


def test_roles_and_groups_that_are_none_of_ours_count_for_nothing() -> None:
    claims = {**USER, "roles": ["Directory.ReadWrite.All", "registrations.create", ""], "groups": ["Admins", "*"]}
    found = caller_of(read_principal(principal(claims, {})), TENANT)
    assert (found.roles, found.groups) == (frozenset(), frozenset())


def test_ids_are_compared_without_case() -> None:
    found = caller_of(
        claims_of_token({**USER, "oid": ALICE.upper(), "tid": TENANT.upper(), "groups": [TEAM.upper()]}), TENANT
    )
    assert found.identities == {ALICE, TEAM}


# --- rights ---------------------------------------------------------------------------------------------------------


@given(
    st.sets(st.sampled_from(Role)),
    st.sets(st.sampled_from([ALICE, BOT, TEAM])),
    st.sampled_from([ALICE, BOT, TEAM]),
)
def test_rights_follow_from_ownership_and_roles_alone(roles: set[Role], groups: set[str], owner: str) -> None:
    caller = Caller(ALICE, CallerKind.USER, frozenset(roles), frozenset(groups))
    owns = owner == ALICE or owner in groups
    assert caller.may_change(owner) == (owns or Role.MANAGE_ALL in roles)
    assert caller.may_read(owner) == (owns or bool(roles & {Role.MANAGE_ALL, Role.READ_ALL}))
    assert caller.may_create == bool(roles & {Role.CREATE, Role.MANAGE_ALL})
    assert caller.vouches_for(owner) == owns


def test_a_bot_that_acts_for_a_person_has_that_persons_rights_and_none_of_its_own() -> None:
    bot = Caller(BOT, CallerKind.APPLICATION, frozenset(Role), frozenset({TEAM}), "chatops")
    person = bot.acting_for(ALICE.upper())
    assert (person.object_id, person.via, person.kind) == (ALICE, BOT, CallerKind.USER)
    assert person.identities == {ALICE}
    assert person.roles == {Role.CREATE}
    assert not person.sees_all
    assert not person.may_change(BOT)
    assert not person.vouches_for(ALICE)
    assert (person.both_ids, bot.both_ids) == ((ALICE, BOT), (BOT,))


def test_only_who_has_the_role_may_speak_for_somebody() -> None:
    for caller in (KEY_HOLDER, Caller(BOT, CallerKind.APPLICATION, frozenset(Role) - {Role.ON_BEHALF})):
        with pytest.raises(RequestRejected) as raised:
            caller.acting_for(ALICE)
        assert (raised.value.status, raised.value.code) == (403, "on-behalf-not-allowed")


@pytest.mark.parametrize("person", ["", "alice@contoso.example", "*", f"{ALICE},{BOT}", "me"])
def test_a_person_is_named_by_one_object_id(person: str) -> None:
    with pytest.raises(RequestRejected) as raised:
        Caller(BOT, CallerKind.APPLICATION, frozenset(Role)).acting_for(person)
    assert (raised.value.status, raised.value.code) == (400, "invalid-on-behalf-of")
