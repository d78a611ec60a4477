"""GET /openapi.json and GET /docs: anonymous, because they say nothing about anybody."""

import json
from collections.abc import Callable, Mapping
from typing import Final

from provisioning.api.answers import Answer
from provisioning.api.calls import Call, no_parameters
from provisioning.api.openapi.document import describe
from provisioning.api.openapi.page import page


def show_openapi(call: Call) -> Answer:
    """GET /openapi.json: the description of this API."""
    no_parameters(call)
    return Answer(200, json.dumps(describe()))


def show_docs(call: Call) -> Answer:
    """GET /docs: the description as a page that loads nothing from elsewhere."""
    no_parameters(call)
    policy = "default-src 'none'; style-src 'unsafe-inline'"
    return Answer(200, page(describe()), "text/html", {"Content-Security-Policy": policy})


PAGES: Final[Mapping[str, Callable[[Call], Answer]]] = {handle.__name__: handle for handle in (show_openapi, show_docs)}
