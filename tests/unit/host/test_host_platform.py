"""The platform in front of the app: whom it lets in, what it takes off a request, and what it tells the app."""

import base64
import json
from argparse import Namespace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from dev.emulator import TENANT_ID, Emulator
from dev.emulator.constants import API_CLIENT_ID
from dev.emulator.sts.accounts import ACCOUNTS, Account
from dev.host.platform import EXCLUDED_PATHS, Claims, Platform
from dev.host.routes import Request, Response
from dev.host.run import platform_of
from dev.host.settings import HostError
from provisioning.domain.callers import caller_of, read_principal
from provisioning.domain.errors import RequestRejected
from provisioning.domain.front_door import OPEN_PATHS, front_door
from tests.worlds.signed_in import caller_called, claims_of, token_of

PATH = "/api/registrations"
USERS = ("alice", "mallory", "approver")


class Front:
    """The platform before an app that only keeps what it gets."""

    def __init__(self, emulator: Emulator | None = None, **options: Any) -> None:
        self.emulator = emulator or Emulator()
        self.reached: list[Request] = []
        self.platform = Platform(self.emulator.settings(), session=self.emulator.session(), **options)

    def ask(self, headers: dict[str, str] | None = None, *, method: str = "GET", path: str = PATH) -> Response:
        self.reached.clear()
        return self.platform.answer(Request(method, path, headers or {}), self._app)

    def _app(self, request: Request) -> Response:
        self.reached.append(request)
        return Response(204)

    def told(self, headers: dict[str, str] | None = None) -> dict[str, str]:
        """The headers that the app gets of a request that is let in."""
        assert self.ask(headers).status == 204
        return self.reached[0].headers

    def bearer(self, name: str, **changes: Any) -> dict[str, str]:
        claims = claims_of(caller_called(name)) | {"azp": API_CLIENT_ID}
        return {"authorization": f"Bearer {token_of(self.emulator, claims, **changes)}"}


@pytest.fixture(scope="module")
def front() -> Front:
    return Front()


@pytest.mark.parametrize("names", ["long", "short"])
@pytest.mark.parametrize("name", [*USERS, "bot"])
def test_in_each_shape_of_claims_the_app_reads_the_caller_whose_token_it_is(name: str, names: Claims) -> None:
    front = Front(names=names)
    token = front.emulator.sts.sign_in(ACCOUNTS[name])["access_token"]
    told = front.told({"authorization": f"Bearer {token}"})
    expected = caller_called(name)
    assert caller_of(read_principal(told["x-ms-client-principal"]), TENANT_ID) == expected
    assert told["x-ms-client-principal-id"] == expected.object_id
    assert told["x-ms-client-principal-idp"] == "aad"
    assert ("x-ms-client-principal-name" in told) == (name != "bot")
    assert told["authorization"] == f"Bearer {token}"


def test_the_token_store_renames_the_claims_that_the_documents_say_it_renames() -> None:
    types: dict[str, set[str]] = {}
    for names in ("long", "short"):
        told = Front(names=names).told({"x-dev-as": "alice"})
        listed = json.loads(base64.b64decode(told["x-ms-client-principal"]))
        types[names] = {each["typ"] for each in listed["claims"]}
        assert listed["role_typ"] in types[names]
    assert {"oid", "tid", "roles", "groups"} <= types["short"]
    assert not {"oid", "tid", "roles"} & types["long"]
    assert "groups" in types["long"]


def test_the_app_finds_nothing_wrong_with_what_the_platform_says_of_itself(front: Front) -> None:
    settings = front.platform.settings()
    door = front_door(settings["WEBSITE_AUTH_ENABLED"], settings["WEBSITE_AUTH_V2_CONFIG_JSON"], "", TENANT_ID)
    assert door.faults == ()
    assert API_CLIENT_ID in door.audiences
    assert set(EXCLUDED_PATHS) == OPEN_PATHS


@pytest.mark.parametrize(
    "name", ["x-ms-client-principal", "x-ms-client-principal-id", "x-ms-token-aad-id-token", "x-ms-a"]
)
def test_no_header_of_the_platforms_own_comes_from_outside(front: Front, name: str) -> None:
    assert front.ask({name: "forged"}).status == 401
    told = front.told({name: "forged", **front.bearer("alice")})
    assert "forged" not in told.values()
    assert told["x-ms-client-principal-id"] == caller_called("alice").object_id


@pytest.mark.parametrize(
    "changes",
    [
        {"aud": "00000003-0000-0000-c000-000000000000"},
        {"aud": [API_CLIENT_ID + "x"]},
        {"iss": "https://login.microsoftonline.com/other/v2.0"},
        {"oid": None},
    ],
    ids=str,
)
def test_a_token_that_is_not_for_this_api_is_401(front: Front, changes: dict[str, Any]) -> None:
    answer = front.ask(front.bearer("alice", **changes))
    assert (answer.status, front.reached) == (401, [])
    assert any(name == "www-authenticate" for name, _ in answer.headers)


@pytest.mark.parametrize("days", [-2, 2])
def test_a_token_that_is_over_or_not_valid_yet_is_401(days: int) -> None:
    front = Front(Emulator(now=lambda: datetime.now(UTC) + timedelta(days=days)))
    assert front.ask(front.bearer("alice")).status == 401


@pytest.mark.parametrize(
    "value", ["Bearer", "Bearer x", "Bearer a.b.c", "Bearer eyJhbGciOiJub25lIn0.e30.", "Basic eDp5", ""]
)
def test_what_is_no_token_is_401(front: Front, value: str) -> None:
    assert (front.ask({"authorization": value}).status, front.reached) == (401, [])


def test_a_forged_signature_is_401(front: Front) -> None:
    head, body, signature = front.bearer("alice")["authorization"].split(".")
    assert front.ask({"authorization": f"{head}.{body}.{signature[::-1]}"}).status == 401


def test_an_application_that_is_not_listed_is_403_before_the_app_hears_of_it(front: Front) -> None:
    stranger = Account("", "57a49e00-0000-4000-8000-000000000006", client_id="57a49e00-0000-4000-8000-00000000c11e")
    token = front.emulator.sts.sign_in(stranger)["access_token"]
    assert (front.ask({"authorization": f"Bearer {token}"}).status, front.reached) == (403, [])


@pytest.mark.parametrize("path", EXCLUDED_PATHS)
def test_an_excluded_path_is_reached_by_anybody_and_nothing_near_it_is(front: Front, path: str) -> None:
    named = path.removesuffix("*")
    assert front.ask(path=named).status == 204
    beyond = [] if path.endswith("*") else [f"{path}/", f"{path}x"]
    for near in (*beyond, named.rstrip("/")[:-1], f"{named.rstrip('/')}/../registrations", path.upper(), f"/api{path}"):
        assert front.ask(path=near).status == 401


def test_signing_in_with_a_browser_makes_a_session_that_ends_by_signing_out(front: Front) -> None:
    asked = front.ask(path="/.auth/login/aad?post_login_redirect_uri=/api/page/")
    assert (asked.status, front.reached) == (200, [])
    assert b"as=alice&amp;post_login_redirect_uri=%2Fapi%2Fpage%2F" in asked.body
    assert b"as=bot" not in asked.body
    answer = front.ask(path="/.auth/login/aad?as=alice&post_login_redirect_uri=/api/page/")
    headers = dict(answer.headers)
    assert (answer.status, headers["location"]) == (302, "/api/page/")
    assert "HttpOnly" in headers["set-cookie"]
    cookie = {"cookie": headers["set-cookie"].partition(";")[0]}
    told = front.told(cookie)
    assert told["x-ms-client-principal-id"] == caller_called("alice").object_id
    assert "authorization" not in told
    foreign = cookie | {"user-agent": "Mozilla/5.0", "origin": "https://evil.example"}
    assert front.ask(foreign, method="POST").status == 403
    assert front.ask(cookie, path="/.auth/logout?post_logout_redirect_uri=/api/page/").status == 302
    assert front.ask(cookie).status == 401


@pytest.mark.parametrize("where", ["https://evil.example", "//evil.example", "/\\evil.example", "javascript:alert(1)"])
def test_nobody_is_sent_to_another_host_by_signing_in_or_out(front: Front, where: str) -> None:
    for path in (
        f"/.auth/login/aad?as=alice&post_login_redirect_uri={where}",
        f"/.auth/logout?post_logout_redirect_uri={where}",
    ):
        answer = front.ask(path=path)
        assert (answer.status, answer.headers) == (403, ())


@pytest.mark.parametrize(
    "cookie", ["AppServiceAuthSession=", "AppServiceAuthSession=x", "x", "AppServiceAuthSession=alice"]
)
def test_a_cookie_that_nobody_was_given_is_no_session(front: Front, cookie: str) -> None:
    assert front.ask({"cookie": cookie}).status == 401


def test_the_platform_has_no_other_addresses_of_its_own(front: Front) -> None:
    for path in ("/.auth/me", "/.auth/login/aad/callback", "/.auth"):
        assert (front.ask(path=path).status, front.reached) == (404, [])


def test_a_session_names_its_caller_and_has_no_token_on_the_request() -> None:
    front = Front(signed_in_as="alice")
    told = front.told()
    assert told["x-ms-client-principal-id"] == caller_called("alice").object_id
    assert "authorization" not in told
    assert front.told(front.bearer("mallory"))["x-ms-client-principal-id"] == caller_called("mallory").object_id
    assert front.ask({"authorization": "Bearer x"}).status == 401


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"user-agent": "Mozilla/5.0", "origin": "https://evil.example"}, 403),
        ({"user-agent": "Mozilla/5.0", "origin": "null"}, 403),
        ({"user-agent": "Mozilla/5.0"}, 403),
        ({"user-agent": "Mozilla/5.0", "origin": "https://registrar.example"}, 204),
        ({"user-agent": "Mozilla/5.0", "referer": "https://registrar.example/api/"}, 204),
        ({"user-agent": "curl/8"}, 204),
    ],
    ids=str,
)
def test_a_browsers_post_with_a_session_comes_from_its_own_origin(headers: dict[str, str], status: int) -> None:
    front = Front(signed_in_as="alice")
    headers = {"host": "registrar.example", **headers}
    assert front.ask(headers, method="POST").status == status
    assert front.ask(headers, method="PATCH").status == 204


def test_the_switch_of_this_host_stands_for_a_token_and_does_not_reach_the_app(front: Front) -> None:
    told = front.told({"x-dev-as": "bot"})
    assert told["authorization"].startswith("Bearer ")
    assert "x-dev-as" not in told
    for headers in ({"x-dev-as": "nobody"}, {"x-dev-as": ""}, {"x-dev-as": "bot", **front.bearer("alice")}):
        assert (front.ask(headers).status, front.reached) == (401, [])


def test_of_more_groups_than_a_token_holds_none_is_told(front: Front) -> None:
    told = front.told({"x-dev-as": "carol"})
    claims = read_principal(told["x-ms-client-principal"])
    assert "groups" not in claims
    assert json.loads(claims["_claim_names"][0]) == {"groups": "src1"}
    with pytest.raises(RequestRejected, match="more than 200 groups"):
        caller_of(claims, TENANT_ID)


def test_two_hundred_groups_are_all_told() -> None:
    most = Account("Most", "40570000-0000-4000-8000-000000000007", groups=ACCOUNTS["carol"].groups[:200])
    assert len(most.claims(TENANT_ID)["groups"]) == 200


def test_somebody_who_is_not_there_cannot_be_signed_in() -> None:
    with pytest.raises(HostError, match=r"--as: nobody is called eve; known are alice"):
        Front(signed_in_as="eve")


def test_keys_that_cannot_be_read_are_500_and_nobody_is_let_in() -> None:
    front = Front()
    headers = front.bearer("alice")
    front.emulator.faults.load({"rules": [{"kind": "status", "operation": "token.keys", "status": 503}]})
    assert (front.ask(headers).status, front.reached) == (500, [])
    assert front.ask(headers).status == 204


@pytest.mark.parametrize(
    ("setting", "flags", "fault"),
    [
        ("key", {"signed_in_as": "alice"}, "are for the app setting CALLER_AUTH=entra"),
        ("key", {"claims": "long"}, "are for the app setting CALLER_AUTH=entra"),
        ("", {"no_platform": True}, "are for the app setting CALLER_AUTH=entra"),
        ("entra", {"no_platform": True, "signed_in_as": "alice"}, "leave --as and --claims out"),
        ("entra", {}, "the emulated tenant alone"),
    ],
)
def test_what_the_command_line_says_of_the_platform_has_to_fit_the_setting(
    setting: str, flags: dict[str, Any], fault: str
) -> None:
    arguments = Namespace(**{"signed_in_as": None, "claims": None, "no_platform": False, **flags})
    settings = {"CALLER_AUTH": setting, "AZURE_AUTHORITY_HOST": "http://127.0.0.1:9"}
    with pytest.raises(HostError, match=fault):
        platform_of(arguments, settings)


def test_nothing_stands_in_front_where_callers_have_keys_or_none_is_wanted() -> None:
    given = {"signed_in_as": None, "claims": None}
    assert platform_of(Namespace(**given, no_platform=False), {}) is None
    assert platform_of(Namespace(**given, no_platform=True), {"CALLER_AUTH": "entra"}) is None
