"""GET / and GET /page/{file}: anonymous, because the files are the same for everybody."""

import functools
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, Literal

from provisioning.api.answers import Answer
from provisioning.api.calls import Call, no_parameters
from provisioning.api.page.headers import in_browser

SignIn = Literal["key", "entra"]

FILES: Final = Path(__file__).parent / "static"
INDEX: Final = "index.html"
FIELDS: Final = "fields.json"
_TYPES: Final[Mapping[str, str]] = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json",
    ".svg": "image/svg+xml; charset=utf-8",
}


def show_home(call: Call) -> Answer:
    """GET /: where the page is. The address is relative: what a proxy puts before it stays."""
    no_parameters(call)
    return _moved(call, "page/")


def show_page_for_key_holders(call: Call) -> Answer:
    """GET /page/{file}: a file of the page, which asks for a function key."""
    return _show(call, "key")


def show_page_for_people(call: Call) -> Answer:
    """GET /page/{file}: a file of the page, which has the platform sign people in."""
    return _show(call, "entra")


def _show(call: Call, sign_in: SignIn) -> Answer:
    no_parameters(call)
    name = call.path.lower().rpartition("/page")[2].removeprefix("/")
    if not name and not call.path.endswith("/"):
        return _moved(call, "")
    found = file_of(name or INDEX, sign_in)
    if found is None:
        return Answer(404, "The page has no file of that name. It begins at /api/page/.\n", "text/plain; charset=utf-8")
    return in_browser(call, found, _TYPES[Path(name or INDEX).suffix])


def _moved(call: Call, path: str) -> Answer:
    """Return where to go from here, relative to the last part of the path: a page's own files are beside it."""
    last = "" if call.path.endswith("/") else f"{call.path.rpartition('/')[2]}/"
    return Answer(307, "", headers={"Location": f"{last}{path}", "Cache-Control": "no-store"})


@functools.cache
def file_of(name: str, sign_in: SignIn) -> str | None:
    """Return a file of the page by its name, and None where there is none of that name."""
    if name == FIELDS:
        from provisioning.api.page.fields import fields_json

        return fields_json()
    if name not in {each.name for each in FILES.iterdir()}:
        return None
    text = (FILES / name).read_text(encoding="utf-8")
    return text.replace("{sign-in}", sign_in) if name == INDEX else text


PAGES: Final[Mapping[str, Callable[[Call], Answer]]] = {
    handle.__name__: handle for handle in (show_home, show_page_for_key_holders, show_page_for_people)
}
