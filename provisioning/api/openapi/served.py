"""GET /openapi.json and GET /docs: anonymous, because they say nothing about anybody."""

import json
from collections.abc import Callable, Mapping
from typing import Final

from provisioning.api.answers import Answer
from provisioning.api.calls import Call, no_parameters
from provisioning.api.openapi.document import describe
from provisioning.api.openapi.page import page
from provisioning.api.page.headers import in_browser


def show_openapi(call: Call) -> Answer:
    """GET /openapi.json: the description of this API."""
    no_parameters(call)
    return Answer(200, json.dumps(describe()))


def show_docs_for_key_holders(call: Call) -> Answer:
    """GET /docs: the description as a page, which asks for a function key where somebody tries a call."""
    return _docs(call, "key")


def show_docs_for_people(call: Call) -> Answer:
    """GET /docs: the description as a page, which calls as whoever has signed in."""
    return _docs(call, "entra")


def _docs(call: Call, sign_in: str) -> Answer:
    no_parameters(call)
    if call.path.endswith("/"):  # its files are beside the path without it
        return Answer(307, "", headers={"Location": "../docs", "Cache-Control": "no-store"})
    return in_browser(call, page(describe(), sign_in), "text/html; charset=utf-8")


PAGES: Final[Mapping[str, Callable[[Call], Answer]]] = {
    handle.__name__: handle for handle in (show_openapi, show_docs_for_key_holders, show_docs_for_people)
}
