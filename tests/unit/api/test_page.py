"""The files of the page: what a browser is told with each, and that they hold nothing that a browser would refuse."""

import json
import re
from typing import NoReturn

import pytest

from provisioning.api import web
from provisioning.api.answers import Answer
from provisioning.api.calls import Call
from provisioning.api.page.headers import POLICY
from provisioning.api.page.served import FIELDS, FILES, PAGES
from provisioning.domain.client_types import ClientType
from provisioning.domain.intake import CHANGEABLE, REQUEST_TYPES
from tests.worlds.elements import elements_of

NAMES = sorted(each.name for each in FILES.iterdir())
SCRIPTS = {name: (FILES / name).read_text(encoding="utf-8") for name in NAMES if name.endswith(".js")}
LARGEST = 150_000
WITHOUT_A_FIELD = {"dataRoles"}  # few ask for them, and the page stays small


def no_services() -> NoReturn:
    raise AssertionError("a page needs no services")


def asked(path: str, *, page: str = "show_page_for_people", query: str = "", **headers: str) -> Answer:
    return web.answer_call(
        no_services, page, Call(path, {name.replace("_", "-"): value for name, value in headers.items()}, query)
    )


@pytest.mark.parametrize(
    ("path", "where"), [("/api/", "page/"), ("/api", "api/page/"), ("/behind/a/proxy/api", "api/page/")]
)
def test_the_root_of_the_api_leads_to_the_page_whatever_a_proxy_puts_before_it(path: str, where: str) -> None:
    answer = asked(path, page="show_home")
    assert (answer.status, answer.headers["Location"]) == (307, where)


def test_the_page_without_its_last_slash_leads_to_the_one_that_its_files_are_beside() -> None:
    answer = asked("/api/page")
    assert (answer.status, answer.headers["Location"]) == (307, "page/")


@pytest.mark.parametrize("name", ["", *NAMES, FIELDS])
def test_a_browser_runs_and_frames_nothing_but_what_is_the_services_own(name: str) -> None:
    answer = asked(f"/api/page/{name}")
    assert answer.status == 200
    assert answer.headers["Content-Security-Policy"] == POLICY
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    policy = dict(each.split(" ", 1) for each in POLICY.split("; "))
    assert policy.pop("require-trusted-types-for") == "'script'"
    assert set(policy.values()) == {"'none'", "'self'"}
    assert policy["default-src"] == policy["frame-ancestors"] == policy["base-uri"] == policy["form-action"] == "'none'"


@pytest.mark.parametrize("name", ["", *NAMES, FIELDS])
def test_a_file_that_the_browser_has_is_not_sent_again(name: str) -> None:
    first = asked(f"/api/page/{name}")
    assert first.headers["Cache-Control"] == "no-cache"
    again = asked(f"/api/page/{name}", if_none_match=f'W/"other", {first.headers["ETag"]}')
    assert (again.status, again.body, again.headers["ETag"]) == (304, "", first.headers["ETag"])
    assert asked(f"/api/page/{name}", if_none_match='"other"').status == 200


@pytest.mark.parametrize(
    "name",
    [
        "other.js",
        "served.py",
        "../served.py",
        "__init__.py",
        "static/app.js",
        "%2e%2e/served.py",
        "index.html/",
        "app.js ",
    ],
)
def test_nothing_but_the_pages_own_files_is_served(name: str) -> None:
    assert asked(f"/api/page/{name}").status == 404


def test_a_parameter_that_a_page_does_not_have_is_refused() -> None:
    for page in PAGES:
        assert asked("/api/page/", page=page, query="x=1").status == 400


def test_the_page_says_how_its_callers_sign_in() -> None:
    shown = {page: asked("/api/page/", page=page).body for page in PAGES if page != "show_home"}
    signs_in = {page: dict(elements_of(body).found[0][1])["data-sign-in"] for page, body in shown.items()}
    assert signs_in == {"show_page_for_key_holders": "key", "show_page_for_people": "entra"}


def test_the_whole_page_is_small() -> None:
    loads = {"", *NAMES, FIELDS} - {"docs.css", "docs.js"}  # which the description of the API loads
    assert sum(len(asked(f"/api/page/{name}").body.encode()) for name in loads) < LARGEST


def test_the_page_has_no_script_and_no_style_of_its_own_inside_it_and_loads_from_nowhere_else() -> None:
    found = elements_of(asked("/api/page/").body).found
    for tag, attributes in found:
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        for name in ("src", "href"):
            assert attributes.get(name) is None or attributes[name] in NAMES
        assert tag != "style"
        assert tag != "script" or attributes["src"]


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_a_script_makes_no_markup_of_a_text_and_asks_no_other_host(name: str) -> None:
    text = SCRIPTS[name]
    assert not re.search(
        r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\b|new Function|\.style\b|cssText", text
    )
    if name != "msal.js":  # which writes programs for others to paste
        assert set(re.findall(r'import(?:\(| .*?from )"(.*?)"', text)) <= {f"./{each}" for each in SCRIPTS}
        assert set(re.findall(r"https?://[^\s\"'`,]*", text)) <= {"http://www.w3.org/2000/svg", "https://localhost/"}


@pytest.mark.parametrize("name", sorted(SCRIPTS))
def test_every_script_can_be_read_whole(name: str) -> None:
    assert len(SCRIPTS[name].splitlines()) <= 350


def test_no_function_key_and_no_secret_is_kept_in_the_browser() -> None:
    keeping = {
        name for name, text in SCRIPTS.items() if "localStorage" in text or "sessionStorage" in text or "cookie" in text
    }
    assert keeping == {"app.js", "draft.js"}
    assert "PRIVATE KEY" in SCRIPTS["draft.js"]
    assert not re.search(r"Storage\.setItem\((?!HASH|TRIED)", SCRIPTS["app.js"])


@pytest.mark.parametrize("client_type", list(ClientType))
def test_a_form_has_every_field_of_its_request_with_what_the_description_says_of_it(client_type: ClientType) -> None:
    told = json.loads(asked(f"/api/page/{FIELDS}").body)[client_type]
    request = REQUEST_TYPES[client_type]
    fields = {field.alias or name: field for name, field in request.model_fields.items() if name != "client_type"}
    assert told["fields"].keys() == fields.keys() - WITHOUT_A_FIELD
    assert set(told["required"]) == {name for name, field in fields.items() if field.is_required()}
    assert told["changeable"] == [name for name in CHANGEABLE[request] if name not in WITHOUT_A_FIELD]
    for name, content in told["fields"].items():
        assert content["description"], name


def test_every_field_has_its_words() -> None:
    told = json.loads(asked(f"/api/page/{FIELDS}").body)
    names = {name for each in told.values() for name in each["fields"]}
    written = re.search(r"\n  fields: \{\n(.*?)\n  \},", SCRIPTS["words.js"], re.DOTALL)
    assert written is not None
    assert names <= set(re.findall(r"^    (\w+): \[", written[1], re.MULTILINE))
