"""The form of a new registration: its fields for each kind of application, as Slack shows them, and what comes back.

Sources: "Views" and "Block Kit" (`input` blocks, whose values come back by block and action; 3,000 characters in an
input, and in `private_metadata`), "Modals" (`response_action: errors`, each under its block).
"""

import json
from collections.abc import Iterable, Mapping
from typing import Any, Final

from provisioning.domain.errors import Fault
from provisioning.domain.values import dataclass

CALLBACK: Final = "register"
_ACTION: Final = "value"
_LONGEST_ERROR: Final = 250
_GENERAL: Final = "displayName"


@dataclass(frozen=True, slots=True)
class Entry:
    """A field of the form: the name that it has in a request, and whether it takes several values, a line each."""

    name: str
    label: str
    several: bool = False
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of application: its name, what a request for one always says, and what is asked of whoever wants one."""

    title: str
    says: Mapping[str, str]
    entries: tuple[Entry, ...]


_NAME: Final = Entry("displayName", "Name, as people see it when they sign in")
_CONTACT: Final = Entry("contact", "E-mail address for notices")
_RESOURCE: Final = Entry("resource", "FHIR server that it calls: its URL, or the id of its registration")
_REDIRECTS: Final = Entry("redirectUris", "Redirect URIs, one per line", several=True)
_SCOPES: Final = Entry("scopes", "Scopes, one per line, such as patient.Observation.rs", several=True, optional=True)
_ROLES: Final = Entry("appRoles", "App roles, one per line, such as globalReader", several=True, optional=True)
_SERVER: Final = Entry("fhirServerUrl", "URL of the FHIR server")
_OF_PEOPLE: Final = (_NAME, _CONTACT, _RESOURCE, _REDIRECTS, _SCOPES)

# As the page names them.
KINDS: Final[Mapping[str, Kind]] = {
    "spa": Kind("Single-page app", {"clientType": "public", "platform": "spa"}, _OF_PEOPLE),
    "native": Kind("Mobile or desktop app", {"clientType": "public", "platform": "native"}, _OF_PEOPLE),
    "confidential": Kind("Web app with a server", {"clientType": "confidential"}, _OF_PEOPLE),
    "service": Kind("Background service", {"clientType": "service"}, (_NAME, _CONTACT, _RESOURCE, _ROLES)),
    "resource": Kind("FHIR server", {"clientType": "resource"}, (_NAME, _CONTACT, _SERVER)),
}


def view_of(kind: str, url: str) -> dict[str, Any]:
    """Return the view with the form of this kind; what comes back of it is answered at the URL."""
    return {
        "type": "modal",
        "callback_id": CALLBACK,
        "private_metadata": json.dumps({"kind": kind, "url": url}),
        "title": _plain(KINDS[kind].title),
        "submit": _plain("Register"),
        "close": _plain("Cancel"),
        "blocks": [_input(each) for each in KINDS[kind].entries],
    }


def texts_of(values: Mapping[str, Mapping[str, Mapping[str, Any]]]) -> dict[str, str]:
    """Return what was filled into a view, by the names of its fields."""
    return {name: str(each[_ACTION]["value"] or "") for name, each in values.items()}


def body_of(kind: str, texts: Mapping[str, str]) -> dict[str, Any]:
    """Return the request of a form that was filled in, but for its owner; what was left empty is left out."""
    body: dict[str, Any] = dict(KINDS[kind].says)
    for each in KINDS[kind].entries:
        text = texts[each.name].strip()
        lines = [line.strip() for line in text.splitlines() if line.strip()]
        if lines or each is _ROLES:  # a service may ask for none, and says so
            body[each.name] = lines if each.several else text
    return body


def errors_of(kind: str, faults: Iterable[Fault]) -> dict[str, str]:
    """Return what is wrong, under the field that it is about; under the first one, where it is about none of them."""
    names, told = [each.name for each in KINDS[kind].entries], dict[str, str]()
    for fault in faults:
        name = fault.pointer.removeprefix("#/").partition("/")[0]
        place = name if name in names else _GENERAL
        message = fault.message if place == name else f"{fault.pointer}: {fault.message}"
        told[place] = f"{told[place]} {message}" if place in told else message
    return {name: _short(text, _LONGEST_ERROR) for name, text in told.items()}


def _input(entry: Entry) -> dict[str, Any]:
    element = {"type": "plain_text_input", "action_id": _ACTION, "multiline": entry.several, "max_length": 3000}
    return {
        "type": "input",
        "block_id": entry.name,
        "optional": entry.optional,
        "label": _plain(entry.label),
        "element": element,
    }


def _plain(text: str) -> dict[str, Any]:
    return {"type": "plain_text", "text": text, "emoji": False}


def _short(text: str, longest: int) -> str:
    return text if len(text) <= longest else f"{text[: longest - 1]}…"
