"""What of a resource a client asks for: each name is there, or the fault says which is not and what is."""

import time
from typing import Any

import pytest

from provisioning.domain.directory import Permission
from provisioning.domain.errors import NotOffered
from provisioning.domain.intake import ResourceApplicationRequest, parse
from provisioning.domain.openid import OPENID_SCOPES
from provisioning.domain.permissions import (
    ClientRequest,
    app_roles_of,
    asked_for,
    asked_names,
    data_roles_of,
    ids_of,
    openid_scopes,
    scopes_of,
    smart_contexts,
)
from tests.worlds.request_bodies import (
    MANAGED,
    a_confidential_client,
    a_public_client,
    a_resource,
    a_service_client,
)

OFFERED = ("user_impersonation", "patient.Patient.rs", "patient.Observation.rs", "fhirUser", "launch.patient")
ROLES = ("globalReader", "globalWriter", "smartUser")


def permissions(names: tuple[str, ...]) -> tuple[Permission, ...]:
    return tuple(Permission(f"id of {name}", name) for name in names)


def client(body: dict[str, Any]) -> ClientRequest:
    request = parse(body)
    assert not hasattr(request, "fhir_server_url")
    return request


def refused(body: dict[str, Any], scopes: tuple[str, ...] = OFFERED, roles: tuple[str, ...] = ROLES) -> NotOffered:
    with pytest.raises(NotOffered) as caught:
        asked_for(client(body), permissions(scopes), permissions(roles))
    return caught.value


def test_a_client_gets_the_scopes_that_it_names_and_a_daemon_the_app_roles() -> None:
    for builder in (a_confidential_client, a_public_client):
        names = ["fhirUser", "openid", "patient.Patient.rs"]
        scopes, roles = asked_for(client(builder(scopes=names)), permissions(OFFERED), permissions(ROLES))
        assert [each.value for each in scopes] == ["fhirUser", "patient.Patient.rs"]
        assert roles == ()
    scopes, roles = asked_for(
        client(a_service_client(appRoles=["smartUser"])), permissions(OFFERED), permissions(ROLES)
    )
    assert (scopes, [each.value for each in roles]) == ((), ["smartUser"])


def test_without_a_word_a_client_asks_for_the_default_scope() -> None:
    scopes, _ = asked_for(client(a_public_client()), permissions(OFFERED), ())
    assert [each.value for each in scopes] == ["user_impersonation"]


@pytest.mark.parametrize("fields", [{}, {"scopes": []}, {"scopes": ["openid", "offline_access"]}], ids=str)
def test_a_client_that_asks_for_nothing_of_its_resource_is_told_what_there_is(fields: dict[str, Any]) -> None:
    for offered in (OFFERED[1:], OFFERED):
        if fields or offered is not OFFERED:
            error = refused(a_public_client(**fields), offered)
            [fault] = error.faults
            assert (error.code, fault.pointer) == ("scope-required", "#/scopes")
            assert all(name in fault.message for name in offered)
            assert fault.message in error.remedy


def test_of_a_resource_without_scopes_it_is_said_that_it_has_none() -> None:
    [fault] = refused(a_public_client(), ()).faults
    assert fault.message.endswith("It has none.")


@pytest.mark.parametrize(
    ("name", "guess"),
    [
        ("patient.Patients.rs", "patient.Patient.rs"),
        ("patient.Pateint.rs", "patient.Patient.rs"),
        ("fhiruser", "fhirUser"),
        ("User_Impersonation", "user_impersonation"),
        ("launchpatient", "launch.patient"),
        ("OpenID", "openid"),
        ("offline_acces", "offline_access"),
        ("online_access", "offline_access"),
        ("phone", "profile"),
    ],
)
def test_a_near_miss_is_suggested(name: str, guess: str) -> None:
    [fault] = refused(a_public_client(scopes=[name])).faults
    assert (fault.pointer, fault.code) == ("#/scopes/0", "scope-not-found")
    assert f"Did you mean {guess}?" in fault.message


def test_each_unknown_name_has_its_place_and_what_there_is_is_listed_once() -> None:
    names = ["user_impersonation", "one.unknown", "openid", "another.unknown"]
    error = refused(a_confidential_client(scopes=names))
    assert [fault.pointer for fault in error.faults] == ["#/scopes/1", "#/scopes/3"]
    assert [all(name in fault.message for name in OFFERED) for fault in error.faults] == [True, False]
    assert error.remedy.startswith("Send a new request. scopes/1: ")
    roles = refused(a_service_client(appRoles=["globalReader", "globalreader2"]))
    assert [(fault.pointer, fault.code) for fault in roles.faults] == [("#/appRoles/1", "app-role-not-found")]
    assert "It has globalReader, globalWriter, smartUser." in roles.faults[0].message


def test_what_there_is_is_told_to_a_program_once_and_up_to_20_of_it_to_people() -> None:
    for count, more in ((20, ""), (21, " and 1 more")):
        offered = tuple(f"name{number}" for number in range(count))
        first, second = refused(a_public_client(scopes=["xxxx", "yyyy"]), offered).faults
        assert (first.offered, second.offered) == (offered, None)
        assert first.message == f"The resource has no scope of this name. It has {', '.join(offered[:20])}{more}."
        assert second.message == "The resource has no scope of this name."


def test_a_guess_by_letters_is_made_for_3_names_and_one_by_case_for_20() -> None:
    offered = tuple(f"patient.Number{letter * 9}.rs" for letter in "abcdefghijklmnopqrstuvwxy")
    misspelt = [name.replace("patient", "pateint") for name in offered]
    in_capitals = [name.upper() for name in offered]
    for asked, guesses in ((misspelt, 3), (in_capitals, 20), (["xxxx", "yyyy", *misspelt], 3)):
        faults = refused(a_public_client(scopes=asked), offered).faults
        names = [*offered] if asked[0] != "xxxx" else ["", "", *offered]
        for index, fault in enumerate(faults):
            assert (f"Did you mean {names[index]}?" in fault.message) is (index < guesses and names[index] != "")


@pytest.mark.parametrize(
    ("body", "names"),
    [
        (a_public_client(), ("user_impersonation",)),
        (a_confidential_client(scopes=["openid", "fhirUser", "offline_access"]), ("fhirUser",)),
        (a_confidential_client(scopes=[]), ()),
        (a_service_client(appRoles=["one", "two"]), ("one", "two")),
        (a_service_client(resource=MANAGED, appRoles=[], dataRoles=["FHIR Data Reader"]), ("FHIR Data Reader",)),
    ],
)
def test_what_a_client_asks_of_its_resource_has_names(body: dict[str, Any], names: tuple[str, ...]) -> None:
    assert asked_names(client(body)) == names
    assert data_roles_of(client(body)) == tuple(body.get("dataRoles", ()))


def test_a_scope_and_an_app_role_of_one_name_are_one_permission_of_one_registration() -> None:
    request = parse(a_resource(scopes=["both", "scope"], appRoles=["both", "role"]))
    assert isinstance(request, ResourceApplicationRequest)
    scopes, roles = (
        {each.value: each.id for each in permissions_of("registration", request)}
        for permissions_of in (scopes_of, app_roles_of)
    )
    assert (list(scopes), list(roles)) == (["both", "scope"], ["both", "role"])
    assert scopes["both"] == roles["both"]
    assert len({*scopes.values(), *roles.values()}) == 3
    assert {*scopes.values(), *roles.values()} < ids_of("registration", ["both", "scope", "role"])
    assert len(ids_of("registration", ["both"])) == 2
    assert ids_of("registration", ["both"]).isdisjoint(ids_of("another", ["both"]))
    assert scopes_of("registration", request) == scopes_of("registration", request)


def test_what_was_asked_for_is_never_repeated() -> None:
    error = refused(a_public_client(scopes=["Eby8vdM02xNOcqFlqUwJPLlmEtlCD"]))
    assert "Eby8" not in "".join(fault.message for fault in error.faults) + error.remedy + error.message


def test_names_that_are_no_names_are_not_shown() -> None:
    foreign = ("good", "with a blank", "line\nbreak", "x" * 121, "ä", "")
    [fault] = refused(a_public_client(scopes=["with.a.blank"]), foreign).faults
    assert fault.message.endswith("It has good.")


def test_400_unknown_names_at_a_resource_of_400_are_answered_briefly_and_at_once() -> None:
    offered = tuple(f"{number:03}{'abcdefghij.' * 10}" for number in range(400))
    asked = [f"{number:03}{'jihgfedcba.' * 10}" for number in range(399)] + [offered[0].upper()]
    begun = time.thread_time()
    faults = refused(a_public_client(scopes=asked), offered).faults
    assert time.thread_time() - begun < 2
    assert len(faults) == 400
    assert sum(len(fault.message) for fault in faults) < 30_000
    assert "and 380 more" in faults[0].message


def test_the_scopes_of_openid_connect_have_the_ids_of_microsoft_graph() -> None:
    asked = openid_scopes(parse(a_public_client(scopes=["user_impersonation", *OPENID_SCOPES])))
    assert {each.value: each.id for each in asked} == dict(OPENID_SCOPES)
    assert openid_scopes(parse(a_public_client())) == ()
    assert openid_scopes(parse(a_service_client())) == ()
    assert openid_scopes(parse(a_resource(scopes=["fhirUser"]))) == ()


@pytest.mark.parametrize(
    ("body", "contexts"),
    [
        (a_public_client(scopes=["patient.Patient.rs", "launch.patient", "fhirUser", "openid"]), {"patient"}),
        (a_public_client(scopes=["patient.Patient.rs", "user.all.read"]), {"patient", "user"}),
        (a_service_client(appRoles=["system.all.read", "user.all.read"]), {"system", "user"}),
        (a_service_client(), set()),
        (a_public_client(), set()),
        (a_resource(scopes=["patient.all.read", "user.all.read"]), set()),
        (a_resource(appRoles=["system.all.read", "user.all.read"]), set()),
    ],
)
def test_smart_contexts_are_those_that_a_client_asks_for(body: dict[str, Any], contexts: set[str]) -> None:
    assert smart_contexts(parse(body)) == contexts
