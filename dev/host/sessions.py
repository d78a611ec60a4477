"""Signing in to the platform with a browser: `/.auth/login/aad`, `/.auth/logout`, and the cookie of a session.

Sources: "Customize sign-ins and sign-outs in Azure App Service authentication" (the addresses, post_login_redirect_uri,
post_logout_redirect_uri), "Authentication and authorization in App Service" (the cookie AppServiceAuthSession). Where
Entra would show its own pages, this one asks who it is, and believes it.
"""

from __future__ import annotations

import html
import re
import secrets
from http import HTTPStatus
from http.cookies import CookieError, SimpleCookie
from typing import TYPE_CHECKING, Final
from urllib.parse import urlencode

from dev.host.routes import Response

if TYPE_CHECKING:
    from collections.abc import Sequence

    from dev.host.routes import Request

COOKIE: Final = "AppServiceAuthSession"
_LOGIN: Final = "/.auth/login/aad"
_LOGOUT: Final = "/.auth/logout"
# On this host alone: others would have to be among its allowedExternalRedirectUrls, and it has none.
_PATH: Final = re.compile(r"/(?![/\\]).*")
_PAGE: Final = """<!doctype html><html lang="en"><meta charset="utf-8"><title>Who signs in?</title>
<meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark">
<h1>Who signs in?</h1><p>In the place of Entra's own pages, on this machine alone.</p><ul>{people}</ul></html>"""


class Sessions:
    """Who has signed in with which browser; kept while this process lives."""

    def __init__(self, people: Sequence[str]) -> None:
        self._people = people
        self._sessions: dict[str, str] = {}

    def answer(self, request: Request) -> Response | None:
        """Answers what is the platform's own; nothing for any other address."""
        path = request.path.rstrip("/").lower()
        if not path.startswith("/.auth"):
            return None
        if request.method == "GET" and path == _LOGIN:
            return self._signs_in(request)
        if request.method == "GET" and path == _LOGOUT:
            self._sessions.pop(self._cookie(request), None)
            return _moved(request.query.get("post_logout_redirect_uri", "/"), f"{COOKIE}=; Path=/; Max-Age=0")
        return Response(HTTPStatus.NOT_FOUND)

    def name(self, request: Request) -> str | None:
        """Returns who has signed in with this browser."""
        return self._sessions.get(self._cookie(request))

    def _signs_in(self, request: Request) -> Response:
        after, name = request.query.get("post_login_redirect_uri", "/"), request.query.get("as")
        if name is None:
            return _asked(self._people, after)
        if name not in self._people:
            return Response(HTTPStatus.UNAUTHORIZED)
        session = secrets.token_urlsafe(32)
        self._sessions[session] = name
        return _moved(after, f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Lax")

    @staticmethod
    def _cookie(request: Request) -> str:
        try:
            found = SimpleCookie(request.headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return ""
        return found.value if found else ""


def _moved(path: str, cookie: str) -> Response:
    if not _PATH.fullmatch(path):
        return Response(HTTPStatus.FORBIDDEN)
    return Response(HTTPStatus.FOUND, (("location", path), ("set-cookie", cookie)))


def _asked(people: Sequence[str], after: str) -> Response:
    links = (
        f'<li><a href="{_LOGIN}?{html.escape(urlencode({"as": name, "post_login_redirect_uri": after}))}">{name}</a>'
        for name in people
    )
    headers = (("content-type", "text/html; charset=utf-8"), ("content-security-policy", "default-src 'none'"))
    return Response(HTTPStatus.OK, headers, _PAGE.format(people="".join(links)).encode())
