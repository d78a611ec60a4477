"""One request to Microsoft Graph: who asks, whom nobody is sent to instead, and what is no answer."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
import requests
from azure.core.credentials import AccessToken

from dev.emulator import Fault
from provisioning.adapters.graph_calls import GraphCalls
from provisioning.domain.readiness import SignedIn
from provisioning.ports import Directory
from tests.worlds.steps import operations, refused_with
from tests.worlds.world import World

BODY = {"displayName": "An application", "signInAudience": "AzureADMyOrg"}


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"<html>", b""])
def test_an_answer_that_is_no_object_is_none(world: World, directory: Directory, body: bytes) -> None:
    def outside(_name: str, action: Callable[[], Any]) -> Any:
        answer = action()
        answer._content = body  # noqa: SLF001 -- requests has no other way to change one
        return answer

    world.outside = outside
    assert refused_with(directory.disabled_clients) == "graph-unavailable"
    assert sum(operations(world).values()) == 1


def test_nobody_is_sent_elsewhere_with_the_token(world: World, directory: Directory) -> None:
    def elsewhere(name: str, action: Callable[[], Any]) -> Any:
        went.append(name)
        answer = action()
        answer.status_code, answer.headers["Location"] = 307, f"{world.emulator.origin}/elsewhere"
        return answer

    went = list[str]()
    world.outside = elsewhere
    assert refused_with(directory.disabled_clients) == "graph-refused"
    assert refused_with(lambda: directory.create_application(BODY)) == "graph-refused"
    assert len(went) == 2


class Told:
    """A credential whose token says this of its holder."""

    def __init__(self, claims: Any) -> None:
        self._claims = claims

    def get_token(self, *_scopes: str, **_options: Any) -> AccessToken:
        text = json.dumps(self._claims).encode()
        return AccessToken(f"e30.{base64.urlsafe_b64encode(text).decode().rstrip('=')}.", 0)


@pytest.mark.parametrize(
    ("claims", "who"),
    [
        ({"oid": "A", "appid": "B", "roles": ["x", "y"]}, SignedIn("a", "b", frozenset({"x", "y"}))),
        ({"oid": "A", "azp": "C"}, SignedIn("a", "c", frozenset())),
        ({"oid": "A", "appid": "B", "azp": "C", "roles": None}, SignedIn("a", "b", frozenset())),
        (
            {"oid": "A", "appid": "B", "scp": "x y", "roles": ["z"]},
            SignedIn("a", "b", frozenset({"x", "y"}), person=True),
        ),
        ({}, SignedIn("", "", frozenset())),
        ([], None),
    ],
)
def test_who_this_is_to_graph_is_what_the_token_says(world: World, claims: Any, who: SignedIn | None) -> None:
    calls = GraphCalls("https://graph.microsoft.com", Told(claims), requests.Session(), world.clock)
    if who is not None:
        assert calls.signed_in() == who
    else:
        assert refused_with(calls.signed_in) == "graph-unavailable"


def test_without_a_token_nothing_is_sent_and_it_says_what_to_check(world: World, directory: Directory) -> None:
    world.emulator.faults.add(Fault("identityHiccup", times=2))
    assert (
        refused_with(directory.signed_in)
        == refused_with(lambda: directory.find_application("one"))
        == "no-identity-token"
    )
    assert sum(operations(world).values()) == 0
