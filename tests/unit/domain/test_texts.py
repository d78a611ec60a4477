"""Texts that people read hold nothing that they cannot see, and nothing that changes what they see."""

import string
import unicodedata
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from provisioning.domain.errors import RequestRejected
from provisioning.domain.intake import parse, parse_change
from tests.unit.domain.spellings import thorough
from tests.worlds.request_bodies import a_public_client, a_resource, a_service_client


def codes_of(body: dict[str, Any]) -> list[tuple[str, str]]:
    with pytest.raises(RequestRejected) as caught:
        parse(body)
    return [(fault.pointer, fault.code) for fault in caught.value.faults]


def accepted(body: dict[str, Any]) -> bool:
    try:
        parse(body)
    except RequestRejected:
        return False
    return True


INVISIBLE = {
    "zero width space": "Contoso\u200bFHIR",
    "byte order mark": "\ufeffContoso",
    "soft hyphen": "Con\u00adtoso",
    "joiner in a Latin word": "Con\u200dtoso",
    "non-joiner in a Latin word": "Con\u200ctoso",
    "joiner in a Cyrillic word": "к\u200dт",
    "joiner at the end": "می\u200c",
    "joiner at the beginning": "\u200dx",
    "joiner between words": "می \u200c خواهم",
    "two joiners in an emoji": "👩\u200d\u200d⚕️",
    "joiner behind an emoji": "👩\u200d app",
    "right-to-left override": "Contoso \u202eoso",
    "right-to-left mark": "Contoso\u200f",
    "isolate": "\u2067Contoso\u2069",
    "Arabic letter mark": "\u0627\u061c",
    "word joiner": "Contoso\u2060FHIR",
    "invisible plus": "a\u2064b",
    "variation selector": "Contoso\ufe0f",
    "ideographic variation selector": "葛\U000e0100城",
    "grapheme joiner": "a\u034fb",
    "Hangul filler": "Contoso\u3164FHIR",
    "half-width Hangul filler": "Contoso\uffa0FHIR",
    "Braille blank": "Contoso\u2800FHIR",
    "tag characters": "Contoso\U000e0041\U000e0042",
    "tag characters behind an emoji": "👩\U000e0067\U000e0062\U000e007f",
    "private use": "Contoso \ue000",
    "private use of a higher plane": "Contoso \U000f0000",
    "unassigned": "Contoso \u0378",
    "no character": "Contoso \ufdd0",
    "interlinear annotation": "a\ufff9b",
}


@pytest.mark.parametrize("name", ["displayName", "description", "serviceManagementReference"])
@pytest.mark.parametrize("text", INVISIBLE.values(), ids=INVISIBLE)
def test_what_nobody_sees_or_what_turns_the_writing_is_refused_in_a_text(name: str, text: str) -> None:
    assert codes_of(a_resource(**{name: text})) == [(f"#/{name}", "invisible-character")]


@pytest.mark.parametrize("text", INVISIBLE.values(), ids=INVISIBLE)
def test_what_nobody_sees_is_refused_in_a_reference_and_in_claims_too(text: str) -> None:
    assert codes_of(a_public_client(resource=text)) == [("#/resource", "invisible-character")]
    claims = {"subjects": [text], "audience": text, "issuer": "https://token.example"}
    assert codes_of(a_service_client(credential={"type": "federated", **claims})) == [
        ("#/credential/subjects/0", "invisible-character"),
        ("#/credential/audience", "invisible-character"),
    ]


@pytest.mark.parametrize("text", INVISIBLE.values(), ids=INVISIBLE)
def test_a_change_is_held_to_the_same_characters(text: str) -> None:
    with pytest.raises(RequestRejected) as caught:
        parse_change(parse(a_resource()), {"displayName": text, "description": text}, None)
    assert [fault.code for fault in caught.value.faults] == ["invisible-character"] * 2


SEEN = [
    "\u062d\u0642\u0651\u200c\u0645\u0646",
    "می‌خواهم",
    "क्‍ष",
    "र‍्य",
    "👁️‍🗨️",
    "❤️‍🔥",
    "🙂‍↔️",
    "🏴󠁧󠁢󠁥󠁮󠁧󠁿 app",
    "1️⃣ first",
    "🇩🇪",
    "© 2026 ™",
    "👨‍👩‍👧‍👦",
    "שלום",
    "हिन्दी",
]


@pytest.mark.parametrize("text", SEEN)
def test_joiners_inside_of_words_and_emoji_stay(text: str) -> None:
    assert parse(a_resource(displayName=text)).display_name == text


@thorough
@given(st.text(st.one_of(st.characters(), st.sampled_from("\u200c\u200d\ufe0fa👩⚕क्षمی")), min_size=1, max_size=12))
def test_no_accepted_text_has_an_invisible_character_but_joiners_inside_words_and_emoji(text: str) -> None:
    assume(accepted(a_resource(displayName=text)))
    for index, character in enumerate(text):
        if character in "\u200c\u200d":
            before, after = text[index - 1 : index], text[index + 1 : index + 2]
            kinds = [unicodedata.category(each)[0] for each in (before, after)]
            assert kinds[1] in "LMS" or after == "\ufe0f"
            assert kinds[0] in "LMS"
            assert not {before, after} & set(string.ascii_letters)
        elif character != "\ufe0f" and not "\U000e0020" <= character <= "\U000e007f":
            assert unicodedata.category(character) not in ("Cc", "Cf", "Cn", "Co", "Cs", "Zl", "Zp")
