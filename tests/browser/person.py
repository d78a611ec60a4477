"""What a person does with the page, counted; and what the browser finds wrong meanwhile."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from dev.emulator import SECRET_MARKER, TOKEN_MARKERS

AXE = (files("axe_playwright_python") / "axe.min.js").read_text(encoding="utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
REPORTS = """
window.violations = [];
addEventListener("securitypolicyviolation", (event) =>
  window.violations.push(`${event.violatedDirective} ${event.blockedURI} ${event.sourceFile}`));
"""
# No secret and no token goes anywhere near a browser.
MARKS = (SECRET_MARKER, *TOKEN_MARKERS)
PATIENCE = 20_000


class Person:
    """Somebody before a browser. An action is a click, a text that is typed, or a choice."""

    def __init__(self, context: Any, origin: str, images: Path) -> None:
        self.context = context
        self.origin = origin
        self.images = images
        self.actions = 0
        self.wrong: list[str] = []
        context.add_init_script(REPORTS)
        self.page = context.new_page()
        self.page.set_default_timeout(PATIENCE)
        self.page.on("request", self._asks)
        self.page.on("pageerror", lambda error: self.wrong.append(f"script: {error}"))
        self.page.on("console", self._says)

    def _asks(self, request: Any) -> None:
        if urlsplit(request.url).netloc != urlsplit(self.origin).netloc:
            self.wrong.append(f"another host: {request.url}")

    def _says(self, message: Any) -> None:
        # A refusal is one of the things that the page has to show; the browser tells it as an error as well.
        if message.type in ("error", "warning") and "Failed to load resource" not in message.text:
            self.wrong.append(f"console: {message.text}")

    # --- going somewhere --------------------------------------------------------------------------------------------

    def signs_in(self, name: str, at: str = "") -> None:
        self.opens(at)
        self.page.get_by_role("link", name=name, exact=True).click()
        self.page.locator("h1").wait_for()

    def opens(self, at: str = "") -> None:
        self.page.goto(f"{self.origin}/api/page/{at}")

    def looks_at(self, at: str, heading: str | None = None) -> None:
        """Goes to an address of the page, and waits until its heading is there."""
        self.opens(at)
        self.sees_heading(heading)

    def sees_heading(self, heading: str | None = None) -> None:
        at = self.page.get_by_role("heading", level=1, **({"name": heading} if heading else {}))
        at.wait_for()

    def sees(self, text: str) -> None:
        self.page.get_by_text(text).first.wait_for()

    @property
    def text(self) -> str:
        return str(self.page.inner_text("body"))

    @property
    def registration_id(self) -> str:
        return urlsplit(str(self.page.url)).fragment.split("/")[2]

    # --- actions ----------------------------------------------------------------------------------------------------

    def clicks(self, name: str, role: str = "button") -> None:
        self.actions += 1
        self.page.get_by_role(role, name=name, exact=True).first.click()

    def types(self, label: str, text: str) -> None:
        self.actions += 1
        self.page.get_by_label(label, exact=True).fill(text)

    def ticks(self, label: str) -> None:
        self.actions += 1
        self.page.get_by_label(label, exact=True).check()

    def chooses(self, label: str, option: str) -> None:
        self.actions += 1
        self.page.get_by_label(label, exact=True).select_option(label=option)

    def registers(self) -> None:
        """Sends the form, and waits until the registration is active."""
        self.clicks("Register")
        self.page.wait_for_url("**/#/r/*")
        self.page.locator(".head .badge.active").wait_for()
        self.page.get_by_role("heading", name="What is left to do").wait_for()

    # --- what is wrong ----------------------------------------------------------------------------------------------

    def looks_well(self, name: str | None = None, *, scrolled: bool = False) -> None:
        """Finds no barrier, and nothing that is cut off; makes a picture of what is seen."""
        self.page.wait_for_load_state("networkidle")
        self.page.evaluate(AXE)
        asked = {"runOnly": {"type": "tag", "values": RULES}, "resultTypes": ["violations"]}
        found = self.page.evaluate("(options) => axe.run(document, options)", asked)["violations"]
        told = [(each["id"], each["help"], [node["html"][:160] for node in each["nodes"]]) for each in found]
        assert told == [], json.dumps(told, indent=2)
        width = self.page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
        assert width[0] <= width[1], f"wider than the window: {width}"
        if name is not None:
            self.page.evaluate("document.activeElement?.blur()")
            if not scrolled:
                self.page.evaluate("scrollTo(0, 0)")
            self.page.screenshot(path=self.images / f"{name}.png", animations="disabled")

    def leaves(self) -> None:
        """Goes, and tells what was wrong: a policy that was broken, another host, an error of a script, a secret."""
        violations = self.page.evaluate("window.violations")
        seen = self.page.content()
        kept = self.page.evaluate("JSON.stringify([{...localStorage}, {...sessionStorage}])")
        self.context.close()
        assert [*self.wrong, *violations] == []
        assert not [mark for mark in MARKS if mark in seen + kept]
