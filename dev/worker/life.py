"""What is called and what is expected: registrations from their request to their end, by invocations alone.

Each message goes to the function that the host would give it to. Where the emulator has to play a fault, it is asked.
"""

from __future__ import annotations

import base64
import json
import os
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import requests

if TYPE_CHECKING:
    from pathlib import Path

    from dev.worker.channel import Channel, Outcome

JSON = {"content-type": "application/json"}
COLLECTION = "/api/registrations"
GARBAGE = (
    "",
    "garbage",
    "{}",
    "[1]",
    '{"operation": "provision", "registrationId": "x\\n"}',
    '{"subject": "x"}',
    "null",
)
_TIMEOUT = 10


class CheckError(Exception):
    """Something is not as the host, or a caller, expects it."""


def expect(what: str, outcome: Outcome, status: int = 0, **outputs: int) -> Outcome:
    """Has an invocation succeed, with this HTTP status, and with so many queue messages by each output."""
    found = {name: len(messages) for name, messages in outcome.outputs.items()}
    if outcome.failure or outcome.status != status or found != outputs:
        raise CheckError(
            f"{what}: {outcome.failure or outcome.status}, {found} where {status}, {outputs} is expected\n"
            f"{outcome.body.decode()}"
        )
    return outcome


def expect_that(what: str, holds: object) -> None:
    """Has something be true."""
    if not holds:
        raise CheckError(f"{what}: it is not so")


class Notices:
    """A receiver of notices on this machine; it counts them."""

    def __init__(self) -> None:
        self.taken = 0
        notices = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.rfile.read(int(self.headers["content-length"]))
                notices.taken += 1
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:  # noqa: ANN401 -- the library's signature
                """Writes nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    def settings(self) -> dict[str, str]:
        """The app settings that have notices sent here."""
        return {
            "NOTIFY_WEBHOOK_URL": f"http://127.0.0.1:{self._server.server_address[1]}/notices",
            "NOTIFY_WEBHOOK_SECRET": "whsec_" + base64.b64encode(os.urandom(32)).decode(),
        }


class Life:
    """The invocations, in order."""

    def __init__(self, channel: Channel, notices: Notices, examples: Path) -> None:
        self.channel = channel
        self.examples = examples
        self.notices = notices

    async def play(self) -> None:
        """Plays all of it."""
        await self.what_anybody_may_read()
        await self.policy_in_force()
        await self.ready()
        await self.refusals()
        resource = await self.registered("resource")
        service = await self.registered("service")
        await self.lists(service)
        await self.told(service)
        await self.granted(resource, service)
        await self.changes(service)
        web = await self.failures()
        await self.timers()
        await self.foreign_messages()
        for registration in (service, web, resource):
            await self.ends(registration)

    async def what_anybody_may_read(self) -> None:
        """The anonymous functions."""
        for method in ("GET", "HEAD"):
            health = expect("health", await self.channel.http("health", method, "/api/health"), 200)
            expect_that("health says that it lives", health.json() == {"status": "alive"})
        described = expect("openapi", await self.channel.http("openapi", "GET", "/api/openapi.json"), 200)
        expect_that("openapi describes the calls", "/registrations" in described.json()["paths"])
        docs = expect("docs", await self.channel.http("docs", "GET", "/api/docs"), 200)
        expect_that("docs is a page", docs.headers["content-type"].startswith("text/html"))
        home = expect("home", await self.channel.http("home", "GET", "/api/"), 307)
        expect_that("home says where the page is", home.headers["Location"] == "page/")
        page = expect("page", await self.channel.http("page", "GET", "/api/page/"), 200)
        expect_that("page is one", page.headers["content-type"].startswith("text/html"))
        pages = (("home", "/api/"), ("page", "/api/page/"))
        for name, path in (("openapi", "/api/openapi.json"), ("docs", "/api/docs"), *pages):
            expect(f"{name} with a query", await self.channel.http(name, "GET", f"{path}?x=1"), 400)

    async def policy_in_force(self) -> None:
        """The policy, which is the built-in one here."""
        shown = expect("policy", await self.channel.http("policy", "GET", "/api/policy"), 200).json()
        expect_that("policy says which is in force", "version" in shown)
        me = expect("me", await self.channel.http("me", "GET", "/api/me"), 200).json()
        expect_that("me says who calls", me["kind"] == "key")
        expect("policy with a query", await self.channel.http("policy", "GET", "/api/policy?x=1"), 400)

    async def ready(self) -> None:
        """Whether everything is there, by the deployed libraries, and once the vault is not."""
        found = expect("ready", await self.channel.http("ready", "GET", "/api/ready"), 200).json()
        expect_that("ready says that nothing is lacking", found["ready"] and found["checks"])
        expect("ready with a query", await self.channel.http("ready", "GET", "/api/ready?x=1"), 400)

    async def told(self, path: str) -> None:
        """The events of a registration, the request first."""
        events = expect("events", await self.channel.http("events", "GET", f"{path}/events"), 200).json()["value"]
        expect_that("the first event is the request", events[0]["what"] == "requested")

    async def granted(self, resource: str, service: str) -> None:
        """Who may do what on the server; its owner takes that away, and agrees to it again."""
        listed = expect("clients", await self.channel.http("clients", "GET", f"{resource}/clients"), 200).json()
        [client] = listed["value"]
        names = [each["permission"] for each in client["grants"]]
        expect_that("the client is granted what it asks for", await self.states(service) == {"granted"})
        one = f"{resource}/clients/{client['registrationId']}"
        answer = await self.channel.http("revoke_client", "POST", f"{one}/revoke")
        revoked = expect("revoke_client", answer, 202, message=1)
        expect("provision", await self.channel.queue("provision", revoked.outputs["message"][0]), messages=0, notices=0)
        expect_that("it is taken away", await self.states(service) == {"waits"})
        body = json.dumps({"permissions": names}).encode()
        answer = await self.channel.http("approve_client", "POST", f"{one}/approve", body, JSON)
        approved = expect("approve_client", answer, 202, message=1)
        expect(
            "provision", await self.channel.queue("provision", approved.outputs["message"][0]), messages=0, notices=0
        )
        expect_that("it is granted again", await self.states(service) == {"granted"})

    async def states(self, path: str) -> set[str]:
        """Returns how far the permissions of a client are."""
        return {each["state"] for each in (await self.shown(path))["grants"]}

    async def refusals(self) -> None:
        """What is refused leaves no message: without a body, and with a query whose value the host leaves out."""
        body = self._example("resource")
        for what, target, sent, status in (
            ("no body", COLLECTION, b"", 400),
            ("no JSON", COLLECTION, b"{", 400),
            ("an empty dryRun", f"{COLLECTION}?dryRun=", body, 400),
            ("a dry run", f"{COLLECTION}?dryRun=true", body, 200),
        ):
            expect(f"submit, {what}", await self.channel.http("submit", "POST", target, sent, JSON), status)
        expect("an empty owner", await self.channel.http("list_registrations", "GET", f"{COLLECTION}?owner="), 400)
        nobody = f"{COLLECTION}/00000000-00000000-0000-4000-8000-000000000000"
        expect("show, of none", await self.channel.http("show", "GET", nobody), 404)
        decision = b'{"digest": "%s", "reason": "None."}' % (b"0" * 64)
        for name, method, path, sent in (
            ("events", "GET", "/events", b""),
            ("change", "PATCH", "", b'{"displayName": "x"}'),
            ("rotate", "POST", "/rotate", b""),
            ("retry", "POST", "/retry", b""),
            ("approve", "POST", "/approve", decision),
            ("deny", "POST", "/deny", decision),
            ("revoke", "POST", "/revoke", b""),
            ("clients", "GET", "/clients", b""),
            ("approve_client", "POST", "/clients/none/approve", b'{"permissions": ["globalReader"]}'),
            ("revoke_client", "POST", "/clients/none/revoke", b""),
            ("delete", "DELETE", "", b""),
        ):
            answer = await self.channel.http(name, method, nobody + path, sent, JSON if sent else {})
            expect(f"{name}, of none", answer, 404)

    async def registered(self, example: str) -> str:
        """Registers an example, and returns its path."""
        answer = await self.channel.http("submit", "POST", COLLECTION, self._example(example), JSON)
        accepted = expect("submit", answer, 202, message=1)
        expect_that("submit says when to ask again", accepted.headers["Retry-After"].isdecimal())
        path = accepted.headers["Location"]
        expect_that("submit says where", path == f"{COLLECTION}/{accepted.json()['registrationId']}")
        ran = await self.carried_out(accepted)
        told = self.notices.taken
        for message in ran.outputs["notices"]:
            expect("notify", await self.channel.queue("notify", message))
            expect("drop_notice_message", await self.channel.queue("drop_notice_message", message))
        expect_that("the receiver is told", self.notices.taken == told + 1)
        expect_that(f"{example} is active", (await self.shown(path))["status"] == "active")
        return path

    async def carried_out(self, accepted: Outcome) -> Outcome:
        """Has the message of an accepted call carried out."""
        [message] = accepted.outputs["message"]
        return expect("provision", await self.channel.queue("provision", message), messages=0, notices=1)

    async def shown(self, path: str) -> dict[str, Any]:
        """Returns the registration as a caller sees it."""
        shown: dict[str, Any] = expect("show", await self.channel.http("show", "GET", path), 200).json()
        return shown

    async def lists(self, path: str) -> None:
        """The list, with and without a query."""
        for query, least in (("", 2), ("?clientType=service&status=active&top=1", 1)):
            answer = await self.channel.http("list_registrations", "GET", COLLECTION + query)
            value = expect("list_registrations", answer, 200).json()["value"]
            expect_that("the list holds what is registered", len(value) == least)
            expect_that("the newest is in it", path.endswith(value[-1]["registrationId"]) or least > 1)

    async def changes(self, path: str) -> None:
        """A change, and a rotation without and with a body."""
        changed = await self.channel.http("change", "PATCH", path, b'{"displayName": "Changed"}', JSON)
        await self.carried_out(expect("change", changed, 202, message=1))
        expect_that("the change is there", (await self.shown(path))["displayName"] == "Changed")
        before = (await self.shown(path))["secret"]["keyId"]
        rotated = await self.channel.http("rotate", "POST", f"{path}/rotate")
        await self.carried_out(expect("rotate", rotated, 202, message=1))
        expect_that("the secret is another", (await self.shown(path))["secret"]["keyId"] != before)
        leaked = b'{"revokePrevious": true}'
        expect(
            "rotate, dry", await self.channel.http("rotate", "POST", f"{path}/rotate?dryRun=true", leaked, JSON), 200
        )
        revoked = await self.channel.http("rotate", "POST", f"{path}/rotate", leaked, JSON)
        expect("rotate, with a body", revoked, 202, message=1)

    async def failures(self) -> str:
        """What fails for a while is failed to the host, which delivers again; what fails for good is retried.

        Returns where the registration is that has been through it.
        """
        answer = await self.channel.http("submit", "POST", COLLECTION, self._example("confidential"), JSON)
        accepted = expect("submit", answer, 202, message=1)
        [message] = accepted.outputs["message"]
        graph_is_down = {"kind": "status", "operation": "graph.*", "status": 503, "retry_after": 600, "times": None}
        _faults({"rules": [graph_is_down]})
        failed = await self.channel.queue("provision", message)
        expect_that("the host is told of a failure", failed.failure and not failed.outputs)
        expect("give_up", await self.channel.queue("give_up", message, taken=12))
        _faults(None)
        _faults({"switches": {"directoryQuotaExceeded": True}})
        await self.carried_out(accepted)
        path = accepted.headers["Location"]
        expect_that("it has failed", (await self.shown(path))["status"] == "failed")
        _faults(None)
        retried = await self.channel.http("retry", "POST", f"{path}/retry")
        await self.carried_out(expect("retry", retried, 202, message=1))
        expect_that("it is active", (await self.shown(path))["status"] == "active")
        return path

    async def timers(self) -> None:
        """Both timers; the message of the reconciliation is carried out like any other."""
        planned = await self.channel.timer("planner")
        expect("planner", planned, **{name: len(planned.outputs.get(name, ())) for name in ("messages", "notices")})
        begun = expect("reconcile", await self.channel.timer("reconcile"), messages=1)
        ran = await self.channel.queue("provision", begun.outputs["messages"][0])
        expect_that("a page has the next ones read", not ran.failure and ran.outputs["messages"])

    async def foreign_messages(self) -> None:
        """What this service never wrote is taken off each queue, and nothing comes of it."""
        for text in GARBAGE:
            expect("provision, garbage", await self.channel.queue("provision", text), messages=0, notices=0)
            for name in ("give_up", "notify", "drop_notice_message"):
                expect(f"{name}, garbage", await self.channel.queue(name, text, taken=12))

    async def ends(self, path: str) -> None:
        """A deletion."""
        deleted = await self.channel.http("delete", "DELETE", path)
        await self.carried_out(expect("delete", deleted, 202, message=1))
        expect_that("it is deleted", (await self.shown(path))["status"] == "deleted")

    def _example(self, name: str) -> bytes:
        return (self.examples / f"{name}.json").read_bytes()


def _faults(content: dict[str, Any] | None) -> None:
    """Has the emulator play faults, or none any more."""
    requests.request(
        "POST" if content else "DELETE",
        f"{os.environ['EMULATOR']}/_emulator/faults",
        json=content,
        verify=os.environ["REQUESTS_CA_BUNDLE"],
        timeout=_TIMEOUT,
    ).raise_for_status()
